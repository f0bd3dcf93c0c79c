/* SPDX-License-Identifier: MIT */
#include "core/placement.h"
#include <assert.h>
#include <stdio.h>

static bool
port_is_taken(const struct host *h, int port, bool is_udp)
{
    return (h->ports[is_udp][port / 8] & (1 << (port % 8))) != 0;
}

static void
port_set(struct host *h, int port, bool is_udp, bool taken)
{
    uint8_t *byte = &h->ports[is_udp][port / 8];
    const uint8_t bit = (uint8_t)(1 << (port % 8));

    *byte = (uint8_t)(taken ? *byte | bit : *byte & ~bit);
}

/* Dynamic ports and those of a task's own address reserve nothing. */
static bool
reserves_ports(const struct task_definition *td)
{
    return td->network_mode == NETWORK_bridge || td->network_mode == NETWORK_host;
}

static bool
ports_are_free(const struct host *h, const struct task_definition *td)
{
    if (!reserves_ports(td))
        return true;
    for (int i = 0; i < td->container_count; i++) {
        const struct container_definition *c = &td->containers[i];
        for (int k = 0; k < c->port_count; k++) {
            const int port = c->ports[k].host_port;
            if (port > 0 && port < 65536 && port_is_taken(h, port, c->ports[k].is_udp))
                return false;
        }
    }
    return true;
}

static const char *
lacks(const struct host *h, const struct task_definition *td)
{
    if (h == NULL || !h->is_connected)
        return "AGENT";
    if (h->cpu_total > 0 && h->cpu_used + td->cpu > h->cpu_total)
        return "RESOURCE:CPU";
    if (h->memory_total_mib > 0 && h->memory_used_mib + td->memory_mib > h->memory_total_mib)
        return "RESOURCE:MEMORY";
    if (!ports_are_free(h, td))
        return "RESOURCE:PORTS";
    return NULL;
}

bool
place_find(const struct core *core, const char *cluster_arn, const struct task_definition *td,
           enum launch_type launch_type, struct container_instance **instance_out,
           struct container_instance **closest_out, const char **why)
{
    bool any_disconnected = false, any_connected = false;

    *instance_out = *closest_out = NULL;
    *why = NULL;
    for (struct container_instance *i = core->instances; i != NULL; i = i->next) {
        const char *lack;
        if (strcmp(i->cluster_arn, cluster_arn) != 0)
            continue;
        any_connected |= i->is_connected;
        any_disconnected |= !i->is_connected;
        if (launch_type == LAUNCH_FARGATE)
            continue;
        lack = lacks(core_host(core, i->host), td);
        if (lack == NULL) {
            *instance_out = i;
            return true;
        }
        if (*closest_out == NULL || strcmp(*why, "AGENT") == 0) {
            *closest_out = i;
            *why = lack;
        }
    }
    /* A FARGATE task runs on this machine too: without its agent it could only fail. */
    if (launch_type == LAUNCH_FARGATE && (any_connected || !any_disconnected))
        return true;
    if (*why == NULL)
        *why = launch_type == LAUNCH_FARGATE ? "AGENT" : "EMPTY";
    return false;
}

#define TROUBLE \
    "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."

void
place_complaint(char out[static REASON_SIZE], const struct service *s,
                const struct container_instance *closest, const char *why)
{
    static const struct {
        const char *why, *words;
    } words[] = {
        {"RESOURCE:CPU", "has insufficient CPU units available"},
        {"RESOURCE:MEMORY", "has insufficient memory available"},
        {"RESOURCE:PORTS", "is already using a port required by your task"},
        {"AGENT", "doesn't have the agent connected"},
    };

    if (closest == NULL) {
        const char *reason = strcmp(why, "AGENT") == 0
                                 ? "The agent of this machine is not connected."
                                 : "No Container Instances were found in your cluster.";
        snprintf(out, REASON_SIZE,
                 "(service %.255s) was unable to place a task because no container instance met "
                 "all of its requirements. Reason: %s " TROUBLE,
                 s->name, reason);
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (strcmp(why, words[i].why) == 0) {
            snprintf(out, REASON_SIZE,
                     "(service %.255s) was unable to place a task because no container instance "
                     "met all of its requirements. The closest matching (container-instance %s) "
                     "%s. " TROUBLE,
                     s->name, closest->id, words[i].words);
            return;
        }
    }
    assert(false && "a reason without words");
}

/* Takes (or gives back) what `t` needs on its host. */
static void
account(struct core *core, const struct task *t, bool taking)
{
    const struct container_instance *i = core_instance(core, t->instance_arn);
    struct host *h = i == NULL ? NULL : core_host(core, i->host);
    const struct task_definition *td = t->definition;

    if (h == NULL)
        return;
    h->cpu_used += taking ? t->cpu : -t->cpu;
    h->memory_used_mib += taking ? t->memory_mib : -t->memory_mib;
    if (!reserves_ports(td))
        return;
    for (int c = 0; c < td->container_count; c++) {
        for (int k = 0; k < td->containers[c].port_count; k++) {
            const struct port_mapping *p = &td->containers[c].ports[k];
            if (p->host_port > 0 && p->host_port < 65536)
                port_set(h, p->host_port, p->is_udp, taking);
        }
    }
}

void
place_take(struct core *core, struct task *t)
{
    if (t->holds_place || t->launch_type != LAUNCH_EC2 || t->instance_arn[0] == '\0')
        return;
    t->holds_place = true;
    account(core, t, true);
}

void
place_release(struct core *core, struct task *t)
{
    if (!t->holds_place)
        return;
    t->holds_place = false;
    account(core, t, false);
    core_queue_waiting(core);
}
