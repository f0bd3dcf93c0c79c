/* SPDX-License-Identifier: MIT */
#include "core/networks.h"
#include <assert.h>
#include "core/requests.h"
#include "model/arn.h"

struct network *
core_network(const struct core *core, const char *arn)
{
    return strmap_get(&core->index->networks, arn);
}

struct network *
core_network_by_id(const struct core *core, const char *region, const char *id)
{
    static const enum network_kind kinds[] = {NETWORK_KIND_vpc, NETWORK_KIND_subnet,
                                              NETWORK_KIND_group};
    char arn[ARN_SIZE];

    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        const char *prefix = network_prefix(kinds[i]);
        struct network *n;
        if (strncmp(id, prefix, strlen(prefix)) != 0 || strlen(id) >= EC2_ID_SIZE)
            continue;
        arn_format(arn, "ec2", region, core->options.account, "%s/%s", network_type(kinds[i]), id);
        n = core_network(core, arn);
        return n != NULL && !n->is_gone ? n : NULL;
    }
    return NULL;
}

/* The balancer is told only of what it enforces. */
static void
changed(struct core *core, enum network_kind kind, const char *arn)
{
    if (kind == NETWORK_KIND_group)
        config_changed(core, ROW_NETWORK, arn);
    else
        core_touch(core, ROW_NETWORK, arn);
}

void
network_put(struct core *core, const struct ev_network_put *ev)
{
    struct network *n = ev->network, **at = SLOT_OF(core->networks, n->arn);

    n->next = NULL;
    if (*at != NULL) {
        n->next = (*at)->next;
        network_free(*at);
    }
    *at = n;
    strmap_put(&core->index->networks, n->arn, n);
    changed(core, n->kind, n->arn);
}

void
network_delete(struct core *core, const struct ev_network_delete *ev)
{
    struct network **at = SLOT_OF(core->networks, ev->arn), *n = *at;

    assert(n != NULL);
    *at = n->next;
    strmap_remove(&core->index->networks, n->arn);
    changed(core, n->kind, n->arn);
    network_free(n);
}

void
network_check(const struct core *core, const struct network *n)
{
    const struct network *vpc = core_network_by_id(core, n->region, n->vpc_id);

    assert(n->is_gone || (vpc != NULL && vpc->kind == NETWORK_KIND_vpc));
    assert(!n->is_gone || n->kind == NETWORK_KIND_vpc);
}

/* ---- whom groups let in ---- */

static bool
rule_is_for(const struct json *rule, int port)
{
    const char *protocol = json_get_cstr(rule, "Protocol", "");

    return strcmp(protocol, "-1") == 0 ||
           (strcmp(protocol, "tcp") == 0 && json_get_i64(rule, "FromPort", 0) <= port &&
            port <= json_get_i64(rule, "ToPort", -1));
}

static void
add_block(struct json *sources, const char *block)
{
    if (block == NULL) /* the rule's source is a group: whose addresses those are is not known */
        return;
    if (!json_has_text(sources, block))
        json_append(sources, json_text(block));
}

struct json *
core_allowed_sources(const struct core *core, const struct load_balancer *lb, int port)
{
    const struct json *groups = json_get(lb->doc, "SecurityGroups");
    struct json *sources = NULL;

    for (size_t i = 0; i < json_size(groups); i++) {
        const char *id = json_cstr(json_at(groups, i), "");
        const struct network *group = core_network_by_id(core, lb->region, id);
        const struct json *rules = group != NULL ? json_get(group->doc, "Rules") : NULL;
        if (group == NULL || group->kind != NETWORK_KIND_group)
            continue;
        if (sources == NULL)
            sources = json_array();
        for (size_t k = 0; k < json_size(rules); k++) {
            const struct json *rule = json_at(rules, k);
            if (!rule_is_for(rule, port))
                continue;
            add_block(sources, json_get_cstr(rule, "CidrIpv4", NULL));
            add_block(sources, json_get_cstr(rule, "CidrIpv6", NULL));
        }
    }
    return sources;
}
