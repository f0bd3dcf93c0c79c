/* SPDX-License-Identifier: MIT */
/* rule_book.c - rules of listeners, in small worlds: what operators asked for, what the core has of it, and what
 * HAProxy acts by.  Operators make, change, delete and reorder them in the middle of everything else; deployments move
 * the weights of the listener itself, and must leave rules alone. */
#include "world.h"
#include <assert.h>
#include <string.h>

static void
rule_arn(const struct sim_service *s, int number, char out[static ARN_SIZE])
{
    snprintf(out, ARN_SIZE, "arn:aws:elasticloadbalancing:eu-west-1:000000000000:listener-rule/app/lb/%s/%d", s->name, number);
}

/* ---- what is asked for ---- */

/* As a door that checks everything would write it. */
static struct rule *
make_rule(const struct sim_service *s, const struct sim_rule *asked)
{
    struct rule *r = mem_new(sizeof(*r));
    char text[1024];
    struct err err;

    rule_arn(s, asked->number, r->arn);
    text_copy(r->listener_arn, ARN_SIZE, str_of(s->listener));
    r->priority = asked->priority;
    snprintf(text, sizeof(text),
             "[{\"Type\":\"forward\",\"ForwardConfig\":{\"TargetGroups\":[{\"TargetGroupArn\":\"%s\",\"Weight\":%d},"
             "{\"TargetGroupArn\":\"%s\",\"Weight\":%d}],\"TargetGroupStickinessConfig\":{\"Enabled\":%s,"
             "\"DurationSeconds\":%d}}}]",
             s->groups[0], asked->weights[0], s->groups[1], asked->weights[1], asked->stays_s > 0 ? "true" : "false",
             asked->stays_s > 0 ? asked->stays_s : 1);
    r->actions = json_parse(str_of(text), &err);
    snprintf(text, sizeof(text), "[{\"Field\":\"path-pattern\",\"Values\":[\"/%d\"]}]", asked->path);
    r->conditions = json_parse(str_of(text), &err);
    assert(r->actions != NULL && r->conditions != NULL);
    return r;
}

static void
draw_rule(struct world *w, struct sim_rule *r)
{
    r->path = (int)between(w, 0, 99);
    r->stays_s = chance(w, 3000) ? (int)between(w, 1, 604800) : 0;
    for (int g = 0; g < 2; g++)
        r->weights[g] = chance(w, 3000) ? 0 : (int)between(w, 1, 999);
}

static int
free_priority(struct world *w, const struct rule_book *b)
{
    for (;;) {
        const int priority = (int)between(w, RULE_PRIORITY_MIN, 20);
        bool is_free = true;
        for (int i = 0; i < b->count; i++)
            is_free = is_free && b->rules[i].priority != priority;
        if (is_free)
            return priority;
    }
}

static void
put_rule(struct world *w, struct sim_service *s, const struct sim_rule *r)
{
    const struct event ev = {.type = EVENT_RULE_PUT, .rule_put = {.rule = make_rule(s, r)}};

    world_trace(w, "operator puts rule %d of %s: priority %d, weights %d/%d", r->number, s->name, r->priority,
                r->weights[0], r->weights[1]);
    world_step(w, &ev);
}

static void
create_rule(struct world *w, struct sim_service *s)
{
    struct rule_book *asked = &w->asked_rules;
    struct sim_rule *r = &asked->rules[asked->count];

    *r = (struct sim_rule){.number = ++asked->made, .priority = free_priority(w, asked)};
    draw_rule(w, r);
    asked->count++;
    put_rule(w, s, r);
}

static void
delete_rule(struct world *w, struct sim_service *s, int index)
{
    struct rule_book *asked = &w->asked_rules;
    struct event ev = {.type = EVENT_RULE_DELETE};
    char arn[ARN_SIZE];

    rule_arn(s, asked->rules[index].number, arn);
    asked->rules[index] = asked->rules[--asked->count];
    ev.rule_delete.arn = arn;
    world_trace(w, "operator deletes a rule of %s", s->name);
    world_step(w, &ev);
}

/* Each takes the next one's place, or they all move. */
static void
reorder_rules(struct world *w, struct sim_service *s)
{
    struct rule_book *asked = &w->asked_rules;
    struct rule_priority list[SIM_RULES_MAX];
    char arns[SIM_RULES_MAX][ARN_SIZE];
    const int first = asked->rules[0].priority, shift = chance(w, 5000) ? (int)between(w, 1, 1000) : 0;
    const struct event ev = {.type = EVENT_RULE_PRIORITIES, .rule_priorities = {list, asked->count}};

    for (int i = 0; i < asked->count; i++) {
        rule_arn(s, asked->rules[i].number, arns[i]);
        if (shift > 0)
            asked->rules[i].priority = asked->rules[i].priority % 20 + 20 * (shift + i);
        else
            asked->rules[i].priority = i + 1 < asked->count ? asked->rules[i + 1].priority : first;
        list[i] = (struct rule_priority){arns[i], asked->rules[i].priority};
    }
    world_trace(w, "operator reorders the rules of %s", s->name);
    world_step(w, &ev);
}

void
rules_act(struct world *w)
{
    const int service = (int)between(w, 0, w->service_count - 1);
    struct sim_service *s = &w->services[service];
    struct rule_book *asked = &w->asked_rules;
    const int64_t dice = between(w, 0, 9);
    int index;

    if (!service_has_pair(s))
        return;
    *asked = s->rules;
    w->asked_service = service;
    if (asked->count == 0 || (dice < 4 && asked->count < SIM_RULES_MAX)) {
        create_rule(w, s);
        return;
    }
    index = (int)between(w, 0, asked->count - 1);
    if (dice < 6) {
        draw_rule(w, &asked->rules[index]);
        put_rule(w, s, &asked->rules[index]);
    } else if (dice < 8) {
        delete_rule(w, s, index);
    } else {
        reorder_rules(w, s);
    }
}

void
told_rules(struct world *w)
{
    w->services[w->asked_service].rules = w->asked_rules;
}

/* ---- what the core has ---- */

/* As a view of the core gives it. */
static struct sim_rule
seen_rule(const struct sim_service *s, const struct rule *r)
{
    const struct json *config = json_get(json_at(r->actions, 0), "ForwardConfig");
    const struct json *stays = json_get(config, "TargetGroupStickinessConfig");
    const char *path = json_cstr(json_at(json_get(json_at(r->conditions, 0), "Values"), 0), "/-1");
    struct sim_rule seen = {.number = atoi(strrchr(r->arn, '/') + 1), .priority = r->priority, .path = atoi(path + 1)};

    for (int g = 0; g < 2; g++)
        (void)actions_forward_to(r->actions, s->groups[g], &seen.weights[g]);
    if (json_get_bool(stays, "Enabled", false))
        seen.stays_s = (int)json_get_i64(stays, "DurationSeconds", 0);
    return seen;
}

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
        out->rules[out->count++] = seen_rule(s, r);
    }
    return true;
}

static const struct sim_rule *
rule_of(const struct rule_book *b, int number)
{
    for (int i = 0; i < b->count; i++)
        if (b->rules[i].number == number)
            return &b->rules[i];
    return NULL;
}

/* The same rules, each with the same in it, and no two of one priority. */
static bool
are_same(const struct rule_book *want, const struct rule_book *have)
{
    if (want->count != have->count)
        return false;
    for (int i = 0; i < want->count; i++) {
        const struct sim_rule *a = &want->rules[i], *b = rule_of(have, a->number);
        if (b == NULL || a->priority != b->priority || a->path != b->path || a->stays_s != b->stays_s ||
            a->weights[0] != b->weights[0] || a->weights[1] != b->weights[1])
            return false;
        for (int k = 0; k < i; k++)
            if (have->rules[k].priority == have->rules[i].priority)
                return false;
    }
    return true;
}

void
check_rules(struct world *w, int service)
{
    const struct sim_service *s = &w->services[service];
    struct rule_book seen;

    if (service_has_pair(s) && (!see_rules(w, s, &seen) || !are_same(&s->rules, &seen)))
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
        rule_arn(&w->services[i], 0, name);
        *strrchr(name, '/') = '\0';
        if (strncmp(arn, name, strlen(name)) == 0 && arn[strlen(name)] == '/')
            balancer_rules_set(w, i);
    }
}

bool
rules_are_steady(const struct world *w, int service, char *why, size_t why_size)
{
    const struct sim_service *s = &w->services[service];

    if (!service_has_pair(s) || are_same(&s->rules, &s->served_rules))
        return true;
    snprintf(why, why_size, "HAProxy does not act by the rules of %s", s->name);
    return false;
}
