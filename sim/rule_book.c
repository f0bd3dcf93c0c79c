/* SPDX-License-Identifier: MIT */
/* rule_book.c - rules of listeners, in small worlds: what operators asked for, what the core has of it, and what
 * HAProxy acts by.  Operators make, change, delete and reorder them in the middle of everything else; deployments move
 * the weights of the listener itself, and must leave rules alone. */
#include "world.h"
#include <string.h>

void
rules_act(struct world *w)
{
    const int service = (int)between(w, 0, w->service_count - 1);
    struct sim_service *s = &w->services[service];
    const struct rule_place place = {s->name, s->listener, (const char(*)[BALANCING_ARN_SIZE])s->groups};
    const int64_t dice = between(w, 0, 9);
    struct rule_act act;

    if (!service_has_pair(s))
        return;
    w->asked_rules = s->rules;
    w->asked_service = service;
    rules_draw(&w->fate, &place, dice, &w->asked_rules, &act);
    world_trace(w, "%s", act.said);
    world_step(w, &act.event);
}

void
told_rules(struct world *w)
{
    w->services[w->asked_service].rules = w->asked_rules;
}

/* ---- what the core has ---- */

/* All of the listener; false: more than there can be. */
static bool
see_rules(const struct world *w, const struct sim_service *s, struct rule_book *out)
{
    out->count = 0;
    for (const struct rule *r = w->core->rules; r != NULL; r = r->next) {
        if (strcmp(r->listener_arn, s->listener) != 0)
            continue;
        if (out->count == SIM_RULES_MAX)
            return false;
        out->rules[out->count++] = rule_seen((const char(*)[BALANCING_ARN_SIZE])s->groups, r);
    }
    return true;
}

void
check_rules(struct world *w, int service)
{
    const struct sim_service *s = &w->services[service];
    struct rule_book seen;

    if (service_has_pair(s) && (!see_rules(w, s, &seen) || !rules_are_same(&s->rules, &seen)))
        world_fail(w, "the rules of %s are not those that were asked for", s->name);
}

/* ---- HAProxy ---- */

void
balancer_rules_set(struct world *w, int service)
{
    struct sim_service *s = &w->services[service];

    if (w->core != NULL && service_has_pair(s))
        (void)see_rules(w, s, &s->served_rules);
}

void
balancer_rule_ordered(struct world *w, const char *arn)
{
    char name[ARN_SIZE];

    for (int i = 0; i < w->service_count; i++) {
        rule_arn(w->services[i].name, 0, name);
        *strrchr(name, '/') = '\0';
        if (strncmp(arn, name, strlen(name)) == 0 && arn[strlen(name)] == '/')
            balancer_rules_set(w, i);
    }
}

bool
rules_are_steady(const struct world *w, int service, char *why, size_t why_size)
{
    const struct sim_service *s = &w->services[service];

    if (!service_has_pair(s) || rules_are_same(&s->rules, &s->served_rules))
        return true;
    snprintf(why, why_size, "HAProxy does not act by the rules of %s", s->name);
    return false;
}
