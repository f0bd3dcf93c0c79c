/* SPDX-License-Identifier: MIT */
/* crowd_rules.c - rules of listeners in a large world: as rule_book.c in a small one. */
#include "crowd.h"
#include <stdio.h>
#include <string.h>

void
crowd_rules_act(struct crowd *w, struct crowd_service *s)
{
    const struct rule_place place = {strrchr(s->listener, '/') + 1, s->listener,
                                     (const char(*)[BALANCING_ARN_SIZE])s->groups};
    struct rule_act act;

    w->asked_rules = s->rules;
    w->asked_service = s;
    rules_draw(&w->fate, &place, between(w, 0, 9), &w->asked_rules, &act);
    crowd_tell(w, (int)(s - w->services), "%s", act.said);
    w->sum.rules++;
    (void)crowd_step(w, &act.event);
}

void
crowd_told_rules(struct crowd *w)
{
    crowd_note(w, &w->asked_service->rules, sizeof(w->asked_service->rules));
    w->asked_service->rules = w->asked_rules;
}

/* Those of all listeners, in one walk; false: there are too many of the service, or of nobody. */
static bool
see_rules(const struct crowd *w, struct rule_book *seen)
{
    for (const struct rule *r = w->core->rules; r != NULL; r = r->next) {
        const struct crowd_service *s = strmap_get(&w->services_by_listener, r->listener_arn);
        struct rule_book *b = s == NULL ? NULL : &seen[s - w->services];
        if (b == NULL || b->count == SIM_RULES_MAX)
            return false;
        b->rules[b->count++] = rule_seen((const char(*)[BALANCING_ARN_SIZE])s->groups, r);
    }
    return true;
}

void
crowd_judge_rules(struct crowd *w)
{
    struct rule_book *seen = mem_new((size_t)w->service_count * sizeof(*seen));

    if (!see_rules(w, seen))
        crowd_fail(w, -1, "there are rules that nobody asked for");
    for (int i = 0; i < w->service_count; i++)
        if (!rules_are_same(&w->services[i].rules, &seen[i]))
            crowd_fail(w, i, "the rules of %s are not those that were asked for", w->services[i].name);
    free(seen);
}

struct crowd_service *
crowd_service_of_rule(const struct crowd *w, const char *arn)
{
    const char *kind = strstr(arn, ":listener-rule/"), *number = strrchr(arn, '/');
    char listener[ARN_SIZE];

    if (kind == NULL)
        return NULL;
    snprintf(listener, sizeof(listener), "%.*s:listener%.*s", (int)(kind - arn), arn,
             (int)(number - kind - (ptrdiff_t)strlen(":listener-rule")), kind + strlen(":listener-rule"));
    return strmap_get(&w->services_by_listener, listener);
}

void
crowd_rules_set(struct crowd *w, struct crowd_service *s)
{
    s->served_rules.count = 0;
    for (const struct rule *r = w->core->rules; r != NULL; r = r->next)
        if (strcmp(r->listener_arn, s->listener) == 0 && s->served_rules.count < SIM_RULES_MAX)
            s->served_rules.rules[s->served_rules.count++] = rule_seen((const char(*)[BALANCING_ARN_SIZE])s->groups, r);
}

bool
crowd_rules_are_steady(const struct crowd_service *s, char *why, size_t why_size)
{
    if (rules_are_same(&s->rules, &s->served_rules))
        return true;
    snprintf(why, why_size, "HAProxy does not act by the rules of %s", s->name);
    return false;
}
