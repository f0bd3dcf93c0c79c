/* SPDX-License-Identifier: MIT */
/* placement.c - what fits, and the account of each machine; placement_choice.c chooses. */
#include "core/place_index.h"
#include "core/placement.h"
#include <assert.h>
#include <stdio.h>
#include "core/gpus.h"
#include "core/task_lifecycle.h"

/* ---- an instance as the cluster query language sees it ---- */

static bool
subject_attribute(const void *ctx, struct str name, struct str *value_out)
{
    return container_instance_attribute(ctx, name, value_out);
}

static const char *
subject_group(const void *ctx, int index)
{
    const struct task *t = ((const struct container_instance *)ctx)->tasks;

    while (t != NULL && index-- > 0)
        t = t->next_here;
    return t == NULL ? NULL : t->group;
}

int
place_running(const struct container_instance *i)
{
    int n = 0;

    for (const struct task *t = i->tasks; t != NULL; t = t->next_here)
        n += t->last_status == TASK_RUNNING;
    return n;
}

struct query_instance
place_subject(const struct container_instance *i)
{
    return (struct query_instance){
        .is_connected = i->is_connected,
        .agent_version = json_get_cstr(json_get(i->doc, "versionInfo"), "agentVersion", ""),
        .ec2_instance_id = i->id,
        .registered_at_ms = i->registered_at_ms,
        .running_tasks = place_running(i),
        .ctx = i,
        .attribute = subject_attribute,
        .task_group = subject_group,
    };
}

bool
place_is_member(const struct placement_rules *rules, const struct container_instance *i)
{
    const struct query_instance subject = rules == NULL || rules->member_count == 0
                                              ? (struct query_instance){0}
                                              : place_subject(i);

    for (int k = 0; rules != NULL && k < rules->member_count; k++) {
        if (!cluster_query_matches(rules->members[k], &subject))
            return false;
    }
    return true;
}

bool
place_may_be_member(const struct placement_rules *rules, const struct container_instance *i)
{
    for (int k = 0; rules != NULL && k < rules->member_count; k++) {
        const struct query_instance subject = place_subject(i);
        if (cluster_query_is_of_attributes(rules->members[k]) &&
            !cluster_query_matches(rules->members[k], &subject))
            return false;
    }
    return true;
}

/* ---- what a machine has left ---- */

#define PORTS 65536

static bool
port_is_taken(const struct host *h, int port, bool is_udp)
{
    return h->ports[is_udp] != NULL && (h->ports[is_udp][port / 8] & (1 << (port % 8))) != 0;
}

int
place_next_port(const struct container_instance *i, int port, bool is_udp)
{
    const uint8_t *taken = i->machine->ports[is_udp];

    for (port++; taken != NULL && port < PORTS; port++) {
        if (taken[port / 8] == 0)
            port |= 7; /* none of these eight */
        else if (port_is_taken(i->machine, port, is_udp))
            return port;
    }
    return 0;
}

static void
port_set(struct host *h, int port, bool is_udp, bool taken)
{
    const uint8_t bit = (uint8_t)(1 << (port % 8));
    uint8_t *byte;

    if (h->ports[is_udp] == NULL)
        h->ports[is_udp] = mem_new(PORTS / 8);
    byte = &h->ports[is_udp][port / 8];
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

/* Also a task that is about to stop still is where it is, be it of a service of that name before. */
static bool
has_peer(const struct place_request *rq, const struct container_instance *i)
{
    for (const struct task *t = i->tasks; t != NULL; t = t->next_here) {
        if (strcmp(t->group, rq->group) == 0)
            return true;
    }
    return false;
}

bool
place_is_of_provider(const struct place_request *rq, const struct container_instance *i)
{
    struct str value;

    return rq->host_group == NULL ||
           (container_instance_attribute(i, STR(HOST_GROUP_ATTRIBUTE), &value) &&
            str_is(value, rq->host_group));
}

void
place_size(struct place_request *rq, const struct json *overrides)
{
    task_definition_size(rq->definition, overrides, &rq->cpu, &rq->memory_mib);
    rq->gpu_count = gpus_wanted(rq->definition, overrides);
}

enum place_lack
place_lack(const struct place_request *rq, const struct container_instance *i)
{
    const struct host *h = i->machine;

    if (h == NULL || !h->is_connected)
        return LACK_AGENT;
    if (i->status != INSTANCE_ACTIVE)
        return LACK_ACTIVE;
    if (!place_is_member(&rq->definition->rules, i) || !place_is_member(rq->rules, i))
        return LACK_MEMBER_OF;
    if (rq->rules != NULL && rq->rules->is_distinct && has_peer(rq, i))
        return LACK_DISTINCT;
    if (h->cpu_total > 0 && h->cpu_used + rq->cpu > h->cpu_total)
        return LACK_CPU;
    if (h->memory_total_mib > 0 && h->memory_used_mib + rq->memory_mib > h->memory_total_mib)
        return LACK_MEMORY;
    if (rq->gpu_count > 0 && rq->gpu_count > gpus_free(h))
        return LACK_GPU;
    return ports_are_free(h, rq->definition) ? PLACE_FITS : LACK_PORTS;
}

/* ---- words ---- */

static const struct {
    const char *reason, *words, *detail;
} lacks[] = {
    [LACK_CPU] = {"RESOURCE:CPU", "has insufficient CPU units available", NULL},
    [LACK_MEMORY] = {"RESOURCE:MEMORY", "has insufficient memory available", NULL},
    [LACK_GPU] = {"RESOURCE:GPU", "has insufficient GPU resource available", NULL},
    [LACK_PORTS] = {"RESOURCE:PORTS", "is already using a port required by your task", NULL},
    [LACK_MEMBER_OF] = {"ATTRIBUTE",
                        "encountered error \"MemberOf placement constraint unsatisfied.\"",
                        "MemberOf placement constraint unsatisfied."},
    [LACK_DISTINCT] = {"ATTRIBUTE",
                       "encountered error \"DistinctInstance placement constraint unsatisfied.\"",
                       "DistinctInstance placement constraint unsatisfied."},
    [LACK_ACTIVE] = {"INACTIVE", "encountered error \"INACTIVE\"", NULL},
    [LACK_AGENT] = {"AGENT", "doesn't have the agent connected", NULL},
    [LACK_INSTANCES] = {"EMPTY", NULL, NULL},
    [LACK_PROVIDER_INSTANCES] = {"EMPTY CAPACITY PROVIDER", NULL, NULL},
    [LACK_CAPACITY] = {"CAPACITY", NULL, NULL},
};

const char *
place_reason(enum place_lack lack)
{
    return lacks[lack].reason;
}

const char *
place_detail(enum place_lack lack)
{
    return lacks[lack].detail;
}

#define TROUBLE \
    "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."

void
place_complaint(char out[static REASON_SIZE], const struct service *s,
                const struct container_instance *closest, enum place_lack lack)
{
    if (lack == LACK_CAPACITY) {
        snprintf(out, REASON_SIZE,
                 "(service %.255s) was unable to place a task. Reason: No capacity provider of its "
                 "strategy has a weight.", s->name);
        return;
    }
    if (closest == NULL) {
        const char *reason =
            lack == LACK_AGENT ? "The agent of this machine is not connected."
            : lack == LACK_PROVIDER_INSTANCES
                ? "No Container Instances were found in your capacity provider."
                : "No Container Instances were found in your cluster.";
        snprintf(out, REASON_SIZE,
                 "(service %.255s) was unable to place a task because no container instance met "
                 "all of its requirements. Reason: %s " TROUBLE,
                 s->name, reason);
        return;
    }
    assert(lacks[lack].words != NULL);
    snprintf(out, REASON_SIZE,
             "(service %.255s) was unable to place a task because no container instance "
             "met all of its requirements. The closest matching (container-instance %s) "
             "%s. " TROUBLE,
             s->name, closest->id, lacks[lack].words);
}

/* ---- the account ---- */

/* Takes (or gives back) what `t` needs on its machine. */
static void
account(struct core *core, const struct task *t, bool taking)
{
    struct host *h = t->instance->machine;
    const struct task_definition *td = t->definition;

    h->cpu_used += taking ? t->cpu : -t->cpu;
    h->memory_used_mib += taking ? t->memory_mib : -t->memory_mib;
    assert(h->cpu_used >= 0 && h->memory_used_mib >= 0);
    gpus_mark(h, t, taking);
    place_index_note(core, h);
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
place_take(struct core *core, struct task *t, struct container_instance *i)
{
    assert(t->instance == NULL && t->launch_type == LAUNCH_EC2 && i->machine != NULL);
    t->instance = i;
    t->prev_here = NULL;
    t->next_here = i->tasks;
    if (i->tasks != NULL)
        i->tasks->prev_here = t;
    i->tasks = t;
    account(core, t, true);
}

/* Perhaps only they are left now. */
static void
queue_daemons(struct core *core, const struct container_instance *i)
{
    for (struct task *t = i->tasks; t != NULL; t = t->next_here) {
        if (place_is_leaving(t) && t->service != NULL && t->service->is_daemon)
            core_queue(core, t->service);
    }
}

void
place_release(struct core *core, struct task *t)
{
    if (t->instance == NULL)
        return;
    account(core, t, false);
    if (t->instance->status == INSTANCE_DRAINING)
        queue_daemons(core, t->instance);
    if (t->prev_here != NULL)
        t->prev_here->next_here = t->next_here;
    else
        t->instance->tasks = t->next_here;
    if (t->next_here != NULL)
        t->next_here->prev_here = t->prev_here;
    t->instance = NULL;
    t->next_here = t->prev_here = NULL;
    core_queue_waiting(core);
}

void
place_changed(struct core *core, bool zones_changed)
{
    const struct core_index *x = core->index;

    core_queue_waiting(core);
    for (struct service *s = zones_changed || x->uneven_count > 0 ? core->services : NULL;
         s != NULL; s = s->next) {
        if (s->balances_zones && !s->is_daemon && (zones_changed || s->is_uneven))
            core_queue(core, s);
    }
    for (struct service *s = x->daemon_count > 0 ? core->services : NULL; s != NULL; s = s->next) {
        if (s->is_daemon)
            core_queue(core, s); /* queued last, so first: daemons come before others (ecs.md 5.11) */
    }
}

bool
place_is_leaving(const struct task *t)
{
    return t->instance != NULL && (t->is_moving || t->instance->status == INSTANCE_DRAINING);
}
