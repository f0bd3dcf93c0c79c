/* SPDX-License-Identifier: MIT */
#include "balancer/seeing_names.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/json.h"
#include "model/arn.h"

/* ---- finding ---- */

/* Every row of the three lists begins with its key. */
struct key {
    char text[ARN_SIZE];
};

static int
compare_keys(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void *
find_row(void *rows, int count, size_t size, struct str id)
{
    struct key key;

    if (count == 0 || !text_copy(key.text, sizeof(key.text), id))
        return NULL;
    return bsearch(key.text, rows, (size_t)count, size, compare_keys);
}

struct seen_listener *
names_listener(const struct seen_names *n, struct str id)
{
    return find_row(n->listeners, n->listener_count, sizeof(*n->listeners), id);
}

struct seen_group *
names_group(const struct seen_names *n, struct str id)
{
    return find_row(n->groups, n->group_count, sizeof(*n->groups), id);
}

static struct seen_balancer *
find_balancer(const struct seen_names *n, const char *arn)
{
    return find_row(n->balancers, n->balancer_count, sizeof(*n->balancers), str_of(arn));
}

struct seen_rule *
names_rule(const struct seen_listener *l, struct str key)
{
    for (int i = 0; i < l->rule_count; i++)
        if (str_is(key, l->rules[i].key))
            return &l->rules[i];
    return NULL;
}

struct seen_rule *
names_rule_of(const struct seen_listener *l, const struct access_line *line)
{
    if (line->is_refused)
        return NULL;
    return line->rule.len > 0 ? names_rule(l, line->rule) : &l->rules[l->rule_count - 1];
}

struct str
names_listener_id(struct str frontend)
{
    const ptrdiff_t cut = str_rindex(frontend, '_');

    if (!str_starts(frontend, STR("listener_")) || cut < 9)
        return (struct str){0};
    return str_slice(frontend, 9, (size_t)cut);
}

struct str
names_group_id(struct str backend)
{
    if (!str_starts(backend, STR("group_")))
        return (struct str){0};
    return str_slice(backend, 6, backend.len);
}

/* ---- making ---- */

static void
fill_rule(struct seen_rule *r, struct str key, int priority, const struct json *actions)
{
    const size_t count = json_size(actions);
    const char *type = count == 0 ? "" : json_get_cstr(json_at(actions, count - 1), "Type", "");

    text_copy(r->key, sizeof(r->key), key);
    text_copy(r->action, sizeof(r->action), str_of(type));
    r->priority = priority;
}

static void
fill_listener(struct seen_listener *l, const struct view_listener *v)
{
    char key[RULE_KEY_SIZE];

    memcpy(l->id, v->id, sizeof(l->id));
    l->port = v->port;
    l->rules = mem_new(sizeof(*l->rules) * ((size_t)v->rule_count + 1));
    for (int i = 0; i < v->rule_count; i++)
        fill_rule(&l->rules[l->rule_count++], str_of(v->rules[i].id), v->rules[i].priority, v->rules[i].actions);
    snprintf(key, sizeof(key), "%.16s.default", v->id);
    fill_rule(&l->rules[l->rule_count++], str_of(key), 0, v->actions);
}

/* One of each load balancer that has a listener. */
static void
collect_balancers(struct seen_names *n, const struct balancer_view *v)
{
    n->balancers = mem_new(sizeof(*n->balancers) * ((size_t)v->listener_count + 1));
    for (int i = 0; i < v->listener_count; i++) {
        const struct view_listener *l = &v->listeners[i];
        struct seen_balancer *b = &n->balancers[n->balancer_count];
        struct arn parts;
        bool is_there = false;

        for (int k = 0; k < n->balancer_count && !is_there; k++)
            is_there = strcmp(n->balancers[k].arn, l->load_balancer_arn) == 0;
        if (is_there || !arn_parse(str_of(l->load_balancer_arn), &parts))
            continue;
        memcpy(b->arn, l->load_balancer_arn, sizeof(b->arn));
        text_copy(b->region, sizeof(b->region), parts.region);
        text_copy(b->name, sizeof(b->name), str_slice(parts.resource, strlen("loadbalancer/"), parts.resource.len));
        memcpy(b->bucket, l->log_bucket, sizeof(b->bucket));
        memcpy(b->prefix, l->log_prefix, sizeof(b->prefix));
        n->balancer_count++;
    }
    qsort(n->balancers, (size_t)n->balancer_count, sizeof(*n->balancers), compare_keys);
}

static void
collect_groups(struct seen_names *n, const struct balancer_view *v)
{
    n->groups = mem_new(sizeof(*n->groups) * ((size_t)v->group_count + 1));
    for (int i = 0; i < v->group_count; i++) {
        const struct view_group *from = &v->groups[i];
        struct seen_group *g = &n->groups[n->group_count++];

        memcpy(g->id, from->id, sizeof(g->id));
        memcpy(g->arn, from->arn, sizeof(g->arn));
        g->balancer = -1;
    }
    qsort(n->groups, (size_t)n->group_count, sizeof(*n->groups), compare_keys);
}

static void
lead_to(struct seen_names *n, const char *group_arn, int balancer)
{
    struct seen_group *g = names_group(n, arn_last(str_of(group_arn)));

    if (g != NULL)
        g->balancer = balancer;
}

/* Of the load balancer: each group has one at most (alb.md A2). */
static void
lead_actions(struct seen_names *n, const struct json *actions, int balancer)
{
    for (size_t i = 0; i < json_size(actions); i++) {
        const struct json *action = json_at(actions, i);
        const struct json *list = json_get(json_get(action, "ForwardConfig"), "TargetGroups");

        lead_to(n, json_get_cstr(action, "TargetGroupArn", ""), balancer);
        for (size_t k = 0; k < json_size(list); k++)
            lead_to(n, json_get_cstr(json_at(list, k), "TargetGroupArn", ""), balancer);
    }
}

static void
collect_listeners(struct seen_names *n, const struct balancer_view *v)
{
    n->listeners = mem_new(sizeof(*n->listeners) * ((size_t)v->listener_count + 1));
    for (int i = 0; i < v->listener_count; i++) {
        const struct view_listener *from = &v->listeners[i];
        const struct seen_balancer *b = find_balancer(n, from->load_balancer_arn);
        struct seen_listener *l = &n->listeners[n->listener_count];

        if (b == NULL)
            continue;
        n->listener_count++;
        fill_listener(l, from);
        l->balancer = (int)(b - n->balancers);
        lead_actions(n, from->actions, l->balancer);
        for (int k = 0; k < from->rule_count; k++)
            lead_actions(n, from->rules[k].actions, l->balancer);
    }
    qsort(n->listeners, (size_t)n->listener_count, sizeof(*n->listeners), compare_keys);
}

struct seen_names *
names_new(const struct balancer_view *view)
{
    struct seen_names *n = mem_new(sizeof(*n));

    collect_balancers(n, view);
    collect_groups(n, view);
    collect_listeners(n, view);
    return n;
}

void
names_free(struct seen_names *n)
{
    if (n == NULL)
        return;
    for (int i = 0; i < n->listener_count; i++)
        free(n->listeners[i].rules);
    free(n->listeners);
    free(n->balancers);
    free(n->groups);
    free(n);
}

static void
inherit_rules(struct seen_listener *l, const struct seen_listener *old)
{
    for (int i = 0; i < l->rule_count; i++) {
        const struct seen_rule *r = names_rule(old, str_of(l->rules[i].key));
        if (r != NULL)
            l->rules[i].samples = r->samples;
    }
}

void
names_inherit(struct seen_names *n, const struct seen_names *old)
{
    for (int i = 0; old != NULL && i < n->balancer_count; i++) {
        struct seen_balancer *b = &n->balancers[i], given = *b;
        const struct seen_balancer *from = find_balancer(old, b->arn);
        if (from == NULL)
            continue;
        *b = *from;
        memcpy(b->bucket, given.bucket, sizeof(b->bucket));
        memcpy(b->prefix, given.prefix, sizeof(b->prefix));
    }
    for (int i = 0; old != NULL && i < n->group_count; i++) {
        const struct seen_group *from = names_group(old, str_of(n->groups[i].id));
        if (from == NULL)
            continue;
        n->groups[i].healthy = from->healthy;
        n->groups[i].unhealthy = from->unhealthy;
    }
    for (int i = 0; old != NULL && i < n->listener_count; i++) {
        const struct seen_listener *from = names_listener(old, str_of(n->listeners[i].id));
        if (from == NULL)
            continue;
        n->listeners[i].requests_left = from->requests_left;
        n->listeners[i].other_samples = from->other_samples;
        inherit_rules(&n->listeners[i], from);
    }
}
