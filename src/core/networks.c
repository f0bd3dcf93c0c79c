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
    static const char *const words[] = {[NETWORK_KIND_vpc] = "vpc",
                                        [NETWORK_KIND_subnet] = "subnet",
                                        [NETWORK_KIND_group] = "security-group"};
    char arn[ARN_SIZE];

    for (size_t kind = 0; kind < ARRAY_COUNT(words); kind++) {
        const char *prefix = network_prefix((enum network_kind)kind);
        struct network *n;
        if (strncmp(id, prefix, strlen(prefix)) != 0 || strlen(id) >= EC2_ID_SIZE)
            continue;
        arn_format(arn, "ec2", region, core->options.account, "%s/%s", words[kind], id);
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
