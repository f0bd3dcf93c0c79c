/* SPDX-License-Identifier: MIT */
#include "rules.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

void
rule_arn(const char *name, int number, char out[static ARN_SIZE])
{
    snprintf(out, ARN_SIZE, "arn:aws:elasticloadbalancing:eu-west-1:000000000000:listener-rule/app/lb/%s/%d", name, number);
}

/* ---- what is asked for ---- */

/* As a door that checks everything would write it. */
static struct rule *
make_rule(const struct rule_place *place, const struct sim_rule *asked)
{
    struct rule *r = mem_new(sizeof(*r));
    char text[1024];
    struct err err;

    rule_arn(place->name, asked->number, r->arn);
    text_copy(r->listener_arn, ARN_SIZE, str_of(place->listener));
    r->priority = asked->priority;
    snprintf(text, sizeof(text),
             "[{\"Type\":\"forward\",\"ForwardConfig\":{\"TargetGroups\":[{\"TargetGroupArn\":\"%s\",\"Weight\":%d},"
             "{\"TargetGroupArn\":\"%s\",\"Weight\":%d}],\"TargetGroupStickinessConfig\":{\"Enabled\":%s,"
             "\"DurationSeconds\":%d}}}]",
             place->groups[0], asked->weights[0], place->groups[1], asked->weights[1],
             asked->stays_s > 0 ? "true" : "false", asked->stays_s > 0 ? asked->stays_s : 1);
    r->actions = json_parse(str_of(text), &err);
    snprintf(text, sizeof(text), "[{\"Field\":\"path-pattern\",\"Values\":[\"/%d\"]}]", asked->path);
    r->conditions = json_parse(str_of(text), &err);
    assert(r->actions != NULL && r->conditions != NULL);
    return r;
}

static void
draw_rule(struct fate *f, struct sim_rule *r)
{
    r->path = (int)fate_between(f, 0, 99);
    r->stays_s = fate_chance(f, 3000) ? (int)fate_between(f, 1, 604800) : 0;
    for (int g = 0; g < 2; g++)
        r->weights[g] = fate_chance(f, 3000) ? 0 : (int)fate_between(f, 1, 999);
}

static int
free_priority(struct fate *f, const struct rule_book *b)
{
    for (;;) {
        const int priority = (int)fate_between(f, RULE_PRIORITY_MIN, 20);
        bool is_free = true;
        for (int i = 0; i < b->count; i++)
            is_free = is_free && b->rules[i].priority != priority;
        if (is_free)
            return priority;
    }
}

static void
put_rule(const struct rule_place *place, const struct sim_rule *r, struct rule_act *out)
{
    out->event.type = EVENT_RULE_PUT;
    out->event.rule_put.rule = make_rule(place, r);
    snprintf(out->said, sizeof(out->said), "operator puts rule %d of %s: priority %d, weights %d/%d", r->number, place->name,
             r->priority, r->weights[0], r->weights[1]);
}

static void
create_rule(struct fate *f, const struct rule_place *place, struct rule_book *asked, struct rule_act *out)
{
    struct sim_rule *r = &asked->rules[asked->count];

    *r = (struct sim_rule){.number = ++asked->made, .priority = free_priority(f, asked)};
    draw_rule(f, r);
    asked->count++;
    put_rule(place, r, out);
}

static void
delete_rule(const struct rule_place *place, struct rule_book *asked, int index, struct rule_act *out)
{
    rule_arn(place->name, asked->rules[index].number, out->arns[0]);
    asked->rules[index] = asked->rules[--asked->count];
    out->event.type = EVENT_RULE_DELETE;
    out->event.rule_delete.arn = out->arns[0];
    snprintf(out->said, sizeof(out->said), "operator deletes a rule of %s", place->name);
}

/* Each takes the next one's place, or they all move. */
static void
reorder_rules(struct fate *f, const struct rule_place *place, struct rule_book *asked, struct rule_act *out)
{
    const int first = asked->rules[0].priority, shift = fate_chance(f, 5000) ? (int)fate_between(f, 1, 1000) : 0;

    for (int i = 0; i < asked->count; i++) {
        rule_arn(place->name, asked->rules[i].number, out->arns[i]);
        if (shift > 0)
            asked->rules[i].priority = asked->rules[i].priority % 20 + 20 * (shift + i);
        else
            asked->rules[i].priority = i + 1 < asked->count ? asked->rules[i + 1].priority : first;
        out->priorities[i] = (struct rule_priority){out->arns[i], asked->rules[i].priority};
    }
    out->event.type = EVENT_RULE_PRIORITIES;
    out->event.rule_priorities.list = out->priorities;
    out->event.rule_priorities.count = asked->count;
    snprintf(out->said, sizeof(out->said), "operator reorders the rules of %s", place->name);
}

void
rules_draw(struct fate *f, const struct rule_place *place, int64_t dice, struct rule_book *asked, struct rule_act *out)
{
    int index;

    *out = (struct rule_act){0};
    if (asked->count == 0 || (dice < 4 && asked->count < SIM_RULES_MAX)) {
        create_rule(f, place, asked, out);
        return;
    }
    index = (int)fate_between(f, 0, asked->count - 1);
    if (dice < 6) {
        draw_rule(f, &asked->rules[index]);
        put_rule(place, &asked->rules[index], out);
    } else if (dice < 8) {
        delete_rule(place, asked, index, out);
    } else {
        reorder_rules(f, place, asked, out);
    }
}

/* ---- what there is ---- */

struct sim_rule
rule_seen(const char (*groups)[BALANCING_ARN_SIZE], const struct rule *r)
{
    const struct json *config = json_get(json_at(r->actions, 0), "ForwardConfig");
    const struct json *stays = json_get(config, "TargetGroupStickinessConfig");
    const char *path = json_cstr(json_at(json_get(json_at(r->conditions, 0), "Values"), 0), "/-1");
    struct sim_rule seen = {.number = atoi(strrchr(r->arn, '/') + 1), .priority = r->priority, .path = atoi(path + 1)};

    for (int g = 0; g < 2; g++)
        (void)actions_forward_to(r->actions, groups[g], &seen.weights[g]);
    if (json_get_bool(stays, "Enabled", false))
        seen.stays_s = (int)json_get_i64(stays, "DurationSeconds", 0);
    return seen;
}

static const struct sim_rule *
rule_of(const struct rule_book *b, int number)
{
    for (int i = 0; i < b->count; i++)
        if (b->rules[i].number == number)
            return &b->rules[i];
    return NULL;
}

bool
rules_are_same(const struct rule_book *want, const struct rule_book *have)
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
