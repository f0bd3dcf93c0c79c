/* SPDX-License-Identifier: MIT */
#include "balancer/balancer.h"
#include "base/json.h"

void
view_rules_free(struct view_rule *rules, int count)
{
    for (int i = 0; i < count; i++) {
        json_unref(rules[i].conditions);
        json_unref(rules[i].actions);
        json_unref(rules[i].transforms);
    }
    free(rules);
}

void
balancer_view_free(struct balancer_view *v)
{
    for (int i = 0; i < v->listener_count; i++) {
        json_unref(v->listeners[i].actions);
        json_unref(v->listeners[i].sources);
        json_unref(v->listeners[i].attributes);
        json_unref(v->listeners[i].balancer_attributes);
        view_rules_free(v->listeners[i].rules, v->listeners[i].rule_count);
        free(v->listeners[i].certificate_ids);
        json_unref(v->listeners[i].trust.bundle);
        json_unref(v->listeners[i].trust.revocations);
    }
    for (int i = 0; i < v->certificate_count; i++) {
        json_unref(v->certificates[i].body);
        json_unref(v->certificates[i].chain);
        json_unref(v->certificates[i].private_key);
    }
    free(v->certificates);
    for (int i = 0; i < v->group_count; i++)
        free(v->groups[i].targets);
    free(v->listeners);
    free(v->groups);
    free(v);
}
