/* SPDX-License-Identifier: MIT */
#include "core/zone_balance.h"
#include <assert.h>
#include <stdio.h>
#include "core/deployment.h"
#include "core/moves.h"
#include "core/placement.h"
#include "core/said.h"

#define ZONES_MAX 16 /* that are looked at; more would be a strange cluster */

struct zone {
    struct str name;
    int tasks;
    bool has_room;
};

struct zones {
    struct zone at[ZONES_MAX];
    int count;
};

bool
zones_can_balance(const struct placement_rules *rules, enum launch_type launch_type, bool is_daemon,
                  int maximum_percent)
{
    const struct placement_strategy *first = &rules->strategies[0];

    return !is_daemon && launch_type == LAUNCH_EC2 && maximum_percent > 100 &&
           (rules->strategy_count == 0 ||
            (first->kind == SPREAD_ATTRIBUTE && strcmp(first->attribute, ZONE_ATTRIBUTE) == 0));
}

static struct str
name_of(const struct container_instance *i)
{
    struct str name = {0};

    (void)container_instance_attribute(i, STR(ZONE_ATTRIBUTE), &name);
    return name;
}

static struct zone *
zone_of(struct zones *z, const struct container_instance *i)
{
    const struct str name = name_of(i);

    for (int k = 0; k < z->count; k++) {
        if (str_equal(z->at[k].name, name))
            return &z->at[k];
    }
    if (z->count == ZONES_MAX)
        return NULL;
    z->at[z->count] = (struct zone){.name = name};
    return &z->at[z->count++];
}

static void
look_at(void *arg, const struct container_instance *i, bool has_room)
{
    struct zone *zone = zone_of(arg, i);

    if (zone != NULL)
        zone->has_room |= has_room;
}

/* The zones of the cluster, with the tasks of the service and whether they take one more. */
static void
look(struct core *core, struct service *s, const struct deployment *p,
     const struct task_definition *td, struct zones *z)
{
    char group[NAME_SIZE + 16];
    struct place_request rq = {.cluster = s->cluster,
                               .definition = td,
                               .launch_type = p->revision->launch_type,
                               .rules = &s->rules,
                               .group = group,
                               .service = s};

    place_size(&rq, /* overrides= */ NULL);
    snprintf(group, sizeof(group), "service:%s", s->name);
    place_each_class(core, &rq, look_at, z);
    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        struct zone *zone = t->instance == NULL || !task_is_wanted(t) ? NULL : zone_of(z, t->instance);
        if (zone != NULL)
            zone->tasks++;
    }
}

/* Which two zones differ too much; false: none, as far as there is room. */
static bool
find_imbalance(struct zones *z, struct zone **crowded_out, struct zone **starved_out)
{
    *crowded_out = *starved_out = NULL;
    for (int k = 0; k < z->count; k++) {
        struct zone *zone = &z->at[k];
        if (*crowded_out == NULL || zone->tasks > (*crowded_out)->tasks)
            *crowded_out = zone;
        if (zone->has_room && (*starved_out == NULL || zone->tasks < (*starved_out)->tasks))
            *starved_out = zone;
    }
    return *starved_out != NULL && (*crowded_out)->tasks - (*starved_out)->tasks >= 2;
}

void
zones_set_uneven(struct core *core, struct service *s, bool is_uneven)
{
    core->index->uneven_count += is_uneven - s->is_uneven;
    s->is_uneven = is_uneven;
}

/* Whatever room there is. */
static bool
are_uneven(const struct zones *z)
{
    int most = 0, least = INT32_MAX;

    for (int k = 0; k < z->count; k++) {
        most = z->at[k].tasks > most ? z->at[k].tasks : most;
        least = z->at[k].tasks < least ? z->at[k].tasks : least;
    }
    return z->count > 0 && most - least >= 2;
}

static void
say(struct core *core, struct service *s, const struct zones *z, bool is_over)
{
    const bool is_balanced = is_over && !are_uneven(z);
    cleanup(strbuf_done) struct strbuf text = {0};

    if (is_over && !is_balanced) { /* nothing more can be done */
        said_event(core, s, "(service %s) stopped AZ Rebalancing.", s->name);
        return;
    }
    strbuf_addf(&text, "(service %s) is %sAZ balanced with", s->name, is_balanced ? "" : "not ");
    for (int k = 0; k < z->count; k++)
        strbuf_addf(&text, "%s %d tasks in " STR_FMT, k == 0 ? "" : ",", z->at[k].tasks,
                    STR_ARG(z->at[k].name));
    strbuf_add_cstr(&text, is_balanced ? "." : ". AZ Rebalancing in progress.");
    said_event(core, s, "%s", strbuf_cstr(&text));
}

static struct task *
find_moving(const struct service *s)
{
    for (struct task *t = s->live; t != NULL; t = t->next_live) {
        if (t->is_moving && task_is_wanted(t))
            return t;
    }
    return NULL;
}

struct str
zones_evened_by_start(const struct task *t)
{
    const struct task *moving = find_moving(t->service);
    const struct str zone = t->instance == NULL ? (struct str){0} : name_of(t->instance);

    return moving == NULL || moving->instance == NULL || str_equal(zone, name_of(moving->instance))
               ? (struct str){0}
               : zone;
}

struct str
zones_evened_by_stop(const struct task *t)
{
    return zones_moves_away(t) && !t->is_unhealthy_marked ? name_of(t->instance) : (struct str){0};
}

bool
zones_moves_away(const struct task *t)
{
    return t->is_moving && t->instance != NULL && t->instance->status == INSTANCE_ACTIVE;
}

/* The one that would give way anyway if the service were scaled in, of the crowded zone. */
static struct task *
choose(struct core *core, struct service *s, struct zones *z, const struct zone *crowded)
{
    struct task *best = NULL;

    place_rank(core, s);
    for (struct task *t = s->live; t != NULL; t = t->next_live) {
        if (t->instance == NULL || !task_is_wanted(t) || core_task_is_protected(core, t) ||
            zone_of(z, t->instance) != crowded)
            continue;
        if (best == NULL || place_gives_way(s, t, best) > 0)
            best = t;
    }
    return best;
}

static void
mark(struct core *core, struct task *t, bool is_moving)
{
    t->is_moving = is_moving;
    core_touch_task(core, t);
}

/* As many as desired, all healthy, none on its way out for another reason. */
static bool
is_at_rest(const struct service *s, const struct deployment *p)
{
    int healthy = 0;

    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if (!task_is_wanted(t))
            continue;
        if (t->deployment != p || t->is_unhealthy_marked || !t->is_healthy_now ||
            t->instance == NULL || t->instance->status != INSTANCE_ACTIVE)
            return false;
        healthy++;
    }
    return healthy == s->desired_count;
}

void
zones_balance(struct core *core, struct service *s)
{
    struct deployment *p = service_primary(s);
    struct zones z = {.count = 0};
    struct zone *crowded, *starved;
    struct task *moving;
    const struct task_definition *td;

    if (!s->balances_zones || p == NULL || p->rollout_state != ROLLOUT_COMPLETED ||
        json_size(json_get(p->revision->doc, "capacityProviderStrategy")) > 0 ||
        !zones_can_balance(&s->rules, p->revision->launch_type, s->is_daemon,
                           s->config.maximum_percent) ||
        s->cluster->instances == NULL || s->cluster->instances->next_in_cluster == NULL ||
        !is_at_rest(s, p))
        return;
    td = strmap_get(&core->index->definitions, p->revision->task_definition_arn);
    assert(td != NULL);
    look(core, s, p, td, &z);
    moving = find_moving(s);
    s->is_unbalanced |= moving != NULL; /* it was said before a restart */
    if (!find_imbalance(&z, &crowded, &starved) || !moves_may_launch(core, s, p) ||
        deployment_limits(s->desired_count, /* minimum_healthy_percent= */ 0, s->config.maximum_percent)
                .total_max <= s->desired_count) {
        if (moving != NULL)
            mark(core, moving, false); /* there is no place for it any more */
        if (s->is_unbalanced)
            say(core, s, &z, /* is_over= */ true);
        s->is_unbalanced = false;
        zones_set_uneven(core, s, are_uneven(&z));
        return;
    }
    zones_set_uneven(core, s, true);
    if (moving != NULL)
        return;
    moving = choose(core, s, &z, crowded);
    if (moving == NULL)
        return;
    if (!s->is_unbalanced)
        say(core, s, &z, /* is_over= */ false);
    s->is_unbalanced = true;
    mark(core, moving, true);
}
