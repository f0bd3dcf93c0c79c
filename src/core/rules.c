/* SPDX-License-Identifier: MIT */
/* rules.c - rules of listeners, and what leads to target groups. */
#include "core/rules.h"
#include <assert.h>
#include "core/requests.h"

struct rule *
core_rule(const struct core *core, const char *arn)
{
    return strmap_get(&core->index->rules, arn);
}

bool
core_target_group_in_use(const struct core *core, const char *arn)
{
    for (const struct listener *l = core->listeners; l != NULL; l = l->next) {
        if (listener_forwards_to(l, arn, NULL))
            return true;
    }
    for (const struct rule *r = core->rules; r != NULL; r = r->next) {
        if (rule_forwards_to(r, arn))
            return true;
    }
    return false;
}

void
rule_put(struct core *core, const struct ev_rule_put *ev)
{
    struct rule *r = ev->rule, **at = SLOT_OF(core->rules, r->arn);

    assert(core_listener(core, r->listener_arn) != NULL);
    r->next = NULL;
    if (*at != NULL) {
        r->next = (*at)->next;
        rule_free(*at);
    }
    *at = r;
    strmap_put(&core->index->rules, r->arn, r);
    config_changed(core, ROW_RULE, r->arn);
}

static void
remove_rule(struct core *core, struct rule **at)
{
    struct rule *r = *at;

    *at = r->next;
    strmap_remove(&core->index->rules, r->arn);
    config_changed(core, ROW_RULE, r->arn);
    rule_free(r);
}

void
rule_delete(struct core *core, const struct ev_rule_delete *ev)
{
    struct rule **at = SLOT_OF(core->rules, ev->arn);

    assert(*at != NULL);
    remove_rule(core, at);
}

void
rule_priorities(struct core *core, const struct ev_rule_priorities *ev)
{
    for (int i = 0; i < ev->count; i++) {
        struct rule *r = core_rule(core, ev->list[i].rule_arn);
        assert(r != NULL);
        r->priority = ev->list[i].priority;
        config_changed(core, ROW_RULE, r->arn);
    }
}

void
rules_forget_listener(struct core *core, const char *listener_arn)
{
    for (struct rule **at = &core->rules; *at != NULL;) {
        if (strcmp((*at)->listener_arn, listener_arn) == 0)
            remove_rule(core, at);
        else
            at = &(*at)->next;
    }
}

void
rule_check(const struct core *core, const struct rule *r)
{
    assert(core_listener(core, r->listener_arn) != NULL);
    assert(r->priority >= RULE_PRIORITY_MIN && r->priority <= RULE_PRIORITY_MAX);
    /* Two of one priority: nobody could say which decides. */
    for (const struct rule *o = core->rules; o != NULL; o = o->next)
        assert(o == r || o->priority != r->priority || strcmp(o->listener_arn, r->listener_arn) != 0);
}
