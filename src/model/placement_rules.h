/* SPDX-License-Identifier: MIT */
/* placement_rules.h - placementStrategy and placementConstraints, read once (ecs.md 7.2, 7.3).
 * Constraints bind; strategies are best effort, one after the other.
 * Errors: ERR_INVALID_PARAMETER, naming the member; the rules are then empty. */
#pragma once
#include "model/cluster_query.h"
#include "model/types.h"

#define ATTRIBUTE_NAME_MAX 128
#define ZONE_ATTRIBUTE "ecs.availability-zone"

enum strategy_kind { BINPACK_CPU, BINPACK_MEMORY, SPREAD_INSTANCE, SPREAD_ATTRIBUTE, RANDOM };

struct placement_strategy {
    enum strategy_kind kind;
    char attribute[ATTRIBUTE_NAME_MAX + 1]; /* of SPREAD_ATTRIBUTE */
};

struct placement_rules {
    struct placement_strategy strategies[STRATEGIES_MAX];
    int strategy_count; /* 0: the default, see placement_default() */
    bool is_distinct;   /* distinctInstance: at most one task of the group on an instance */
    struct cluster_query *members[CONSTRAINTS_MAX]; /* memberOf: all of them must hold */
    int member_count;
};

/* Either list may be NULL.  Fields and types are taken whatever their case, as in ECS. */
bool placement_rules_read(const struct json *strategies, const struct json *constraints,
                          struct placement_rules *out, struct err *err);
void placement_rules_done(struct placement_rules *rules); /* and empty again */
/* What holds without a strategy: spread over zones, then over instances. */
const struct placement_rules *placement_default(void);
