/* SPDX-License-Identifier: MIT */
/* rules.h - rules of a listener in worlds of both sizes: what operators do to them, and what the core has of them.
 * A rule leads the path "/<path>" to the listener's two groups. */
#pragma once
#include "core/core.h"
#include "fate.h"

#define SIM_RULES_MAX 5 /* of a listener */

struct sim_rule {
    int number, priority, path;
    int weights[2], stays_s; /* of clients with their group; 0: they do not */
};

struct rule_book {
    struct sim_rule rules[SIM_RULES_MAX];
    int count, made;
};

struct rule_place {
    const char *name, *listener; /* what it is called in ARNs of rules; its own ARN */
    const char (*groups)[BALANCING_ARN_SIZE];
};

struct rule_act { /* the event points into it */
    struct event event;
    char arns[SIM_RULES_MAX][ARN_SIZE];
    struct rule_priority priorities[SIM_RULES_MAX];
    char said[160];
};

void rule_arn(const char *name, int number, char out[static ARN_SIZE]);
/* An operator makes, changes, deletes or reorders some: `dice` of 0 to 9 says which; `asked` is then what is asked for. */
void rules_draw(struct fate *f, const struct rule_place *place, int64_t dice, struct rule_book *asked, struct rule_act *out);
/* As a view of the core gives it. */
struct sim_rule rule_seen(const char (*groups)[BALANCING_ARN_SIZE], const struct rule *r);
/* The same rules, each with the same in it, and no two of one priority. */
bool rules_are_same(const struct rule_book *want, const struct rule_book *have);
