/* SPDX-License-Identifier: MIT */
#include "core/moves.h"
#include <assert.h>
#include <stdio.h>
#include "core/backoff.h"
#include "core/capacity.h"
#include "core/deployment.h"
#include "core/placement.h"
#include "core/rolling_hooks.h"
#include "core/said.h"
#include "core/task_lifecycle.h"
#include "core/traffic_shift.h"
#include "core/zone_balance.h"

/* ---- what there is ---- */

static void
count_tasks(struct service *s, struct scene *sc)
{
    for (struct deployment *d = s->deployments; d != NULL; d = d->next)
        memset(&d->count, 0, sizeof(d->count));
    for (struct task *t = s->live; t != NULL; t = t->next_live) {
        struct deployment *d = t->deployment;
        d->count.before_stopping += t->last_status < TASK_STOPPING;
        if (!task_is_wanted(t)) {
            sc->places_leaving += t->instance != NULL;
            continue;
        }
        d->count.wanted++;
        d->count.marked += t->is_unhealthy_marked;
        d->count.running += t->last_status == TASK_RUNNING;
        if (place_is_leaving(t) && !t->is_unhealthy_marked) {
            d->count.leaving++;
            d->count.leaving_healthy += t->is_healthy_now;
        }
        d->count.healthy += t->is_healthy_now;
    }
}

bool
moves_may_launch(const struct core *core, const struct service *s, const struct deployment *d)
{
    if (d->status == DEPLOYMENT_PRIMARY && rolling_holds(s))
        return false;
    return !d->is_failed && backoff_is_over(core, s, d);
}

struct scene
moves_look(const struct core *core, struct service *s)
{
    const struct deployment_limits limits = deployment_limits(
        s->desired_count, s->config.minimum_healthy_percent, s->config.maximum_percent);
    struct scene sc = {.primary = service_primary(s), .desired = s->desired_count};

    /* More than 100 % could never be kept while anything is replaced. */
    sc.healthy_min = limits.healthy_min < sc.desired ? limits.healthy_min : sc.desired;
    sc.total_max = limits.total_max;
    count_tasks(s, &sc);
    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        sc.total += d->count.wanted;
        sc.healthy += d->count.healthy;
        sc.running += d->count.running;
        sc.leaving += d->count.leaving;
        if (d == sc.primary)
            continue;
        sc.sources_total += d->count.wanted;
        if (d->rollout_state == ROLLOUT_COMPLETED)
            sc.sources_in_flight += d->count.wanted - d->count.marked - d->count.healthy;
    }
    if (sc.primary != NULL) {
        const struct deployment *p = sc.primary;
        const int staying = p->count.wanted - p->count.marked - p->count.leaving;
        sc.new_in_flight = staying - (p->count.healthy - p->count.leaving_healthy);
        sc.wanted_new = sc.desired - staying;
        sc.can_launch = moves_may_launch(core, s, p) && p->revision->is_resolved;
    }
    return sc;
}

struct scene
moves_look_at(struct service *s, struct deployment *d)
{
    const struct deployment_limits limits = deployment_limits(
        d->desired_count, s->config.minimum_healthy_percent, s->config.maximum_percent);
    struct scene sc = {.primary = d, .desired = d->desired_count};
    int staying;

    count_tasks(s, &sc);
    staying = d->count.wanted - d->count.marked - d->count.leaving;
    sc.healthy_min = smaller(limits.healthy_min, sc.desired);
    sc.total_max = limits.total_max > sc.desired ? limits.total_max : sc.desired;
    sc.total = d->count.wanted;
    sc.healthy = d->count.healthy;
    sc.running = d->count.running;
    sc.leaving = d->count.leaving;
    sc.new_in_flight = staying - (d->count.healthy - d->count.leaving_healthy);
    sc.wanted_new = sc.desired - staying;
    return sc;
}

/* ---- launching ---- */

void
moves_lose_steadiness(struct core *core, struct service *s)
{
    if (!s->is_steady)
        return;
    s->is_steady = false;
    core_touch_service(core, s);
}

static bool
launch_one(struct core *core, struct service *s, struct deployment *d, bool replaces_unhealthy,
           struct container_instance *only)
{
    struct task_definition *td =
        strmap_get(&core->index->definitions, d->revision->task_definition_arn);
    struct container_instance *instance, *closest;
    char group[NAME_SIZE + 16], complaint[REASON_SIZE];
    struct place_request rq = {.cluster = s->cluster,
                               .definition = td,
                               .launch_type = d->revision->launch_type,
                               .rules = &s->rules,
                               .group = group,
                               .service = s};
    const char *provider;
    enum place_lack lack;
    struct task *t;

    assert(td != NULL);
    place_size(&rq, /* overrides= */ NULL);
    snprintf(group, sizeof(group), "service:%s", s->name);
    closest = NULL;
    lack = capacity_for_service(core, s, d, &rq, &provider);
    if (only != NULL) {
        instance = closest = only;
        lack = place_lack(&rq, only);
    } else if (lack == PLACE_FITS) {
        lack = place_find(core, &rq, &instance, &closest);
    }
    if (lack != PLACE_FITS) {
        place_complaint(complaint, s, closest, lack);
        said_complaint(core, s, complaint);
        s->lacks_place = true;
        return false;
    }
    t = task_create(core, &(struct task_plan){.cluster_arn = s->cluster_arn,
                                              .cluster_name = s->cluster_name,
                                              .region = s->region,
                                              .definition = td,
                                              .launch_type = d->revision->launch_type,
                                              .instance = instance,
                                              .provider = provider,
                                              .service = s,
                                              .deployment = d,
                                              .group = group,
                                              .started_by = d->id,
                                              .doc = d->revision->doc});
    s->launch_step = core->index->step;
    said_started(core, t, replaces_unhealthy);
    moves_lose_steadiness(core, s);
    return true;
}

bool
moves_launch_on(struct core *core, struct service *s, struct deployment *d,
                     struct container_instance *i)
{
    return launch_one(core, s, d, /* replaces_unhealthy= */ false, i);
}

int
moves_launch(struct core *core, struct service *s, struct deployment *d, int count, int replaced,
       struct scene *sc)
{
    int done = 0;

    assert(sc->total + count <= sc->total_max); /* promise 2 */
    while (done < count && launch_one(core, s, d, done < replaced, /* only= */ NULL))
        done++;
    sc->total += done;
    if (done < count && d == sc->primary)
        sc->has_no_place = true;
    return done;
}

/* ---- stopping ---- */

/* Who goes first: the marked, then those not healthy yet, then the healthy; within that those in a
 * target group that their deployment has left, then those on instances that are being drained, then
 * the oldest deployment (ids only rise), then as the placement strategies want it (ecs.md 7.6), and
 * the newest task. */
int
moves_rank(const struct task *t)
{
    return t->is_unhealthy_marked          ? 0
           : t->last_status < TASK_RUNNING ? 1
           : !t->is_healthy_now            ? 2
                                           : 3;
}

/* Greater than 0: `a` goes before `b`. */
static int
goes_before(const struct service *s, const struct task *a, const struct task *b)
{
    int order = moves_rank(b) - moves_rank(a);

    if (order == 0)
        order = traffic_is_astray(a) - traffic_is_astray(b);
    if (order == 0)
        order = place_is_leaving(a) - place_is_leaving(b);
    if (order == 0)
        order = strcmp(b->deployment_id, a->deployment_id);
    return order != 0 ? order : place_gives_way(s, a, b);
}

/* Strategy random: each of the `count` equals seen so far has the same chance to be the one. */
static bool
takes_its_turn(struct core *core, const struct service *s, int count)
{
    if (!place_is_random(s))
        return false;
    core_touch_meta(core);
    return rng_below(&core->rng, (uint64_t)count) == 0;
}

/* If only protected tasks could be chosen, their deployment is held back by them. */
struct task *
moves_pick_victim(struct core *core, const struct service *s, const struct scene *sc,
            victim_filter *filter)
{
    struct task *best = NULL, *spared = NULL;
    int equals[2] = {1, 1}, count = 0;

    for (const struct task *t = s->live; t != NULL; t = t->next_live)
        count += task_is_wanted(t) && filter(s, t);
    if (count > 1)
        place_rank(core, s); /* else there is nothing to compare */
    for (struct task *t = s->live; t != NULL; t = t->next_live) {
        struct task **choice = core_task_is_protected(core, t) ? &spared : &best;
        if (!task_is_wanted(t) || !filter(s, t))
            continue;
        const int order = *choice == NULL ? 1 : goes_before(s, t, *choice);
        int *equal = &equals[choice == &spared];
        *equal = order > 0 ? 1 : *equal + (order == 0);
        if (order > 0 || (order == 0 && takes_its_turn(core, s, *equal)))
            *choice = t;
    }
    if (best == NULL && spared != NULL &&
        (!spared->is_healthy_now || sc->healthy - 1 >= sc->healthy_min))
        spared->deployment->is_held = true;
    return best;
}

void
moves_take_out(struct core *core, struct scene *sc, struct task *t)
{
    struct deployment *d = t->deployment;
    char reason[REASON_SIZE];

    snprintf(reason, sizeof(reason), "Scaling activity initiated by (%s %s)", deployment_word(d),
             t->deployment_id);
    if (zones_moves_away(t))
        snprintf(reason, sizeof(reason),
                 "Availability-zone rebalancing initiated by (deployment %s)", t->deployment_id);
    if (t->is_unhealthy_marked)
        snprintf(reason, sizeof(reason), "%s", t->unhealthy_reason);
    sc->total--;
    sc->healthy -= t->is_healthy_now;
    sc->running -= t->last_status == TASK_RUNNING;
    d->count.wanted--;
    d->count.marked -= t->is_unhealthy_marked;
    d->count.healthy -= t->is_healthy_now;
    if (place_is_leaving(t) && !t->is_unhealthy_marked) {
        sc->leaving--;
        d->count.leaving--;
        d->count.leaving_healthy -= t->is_healthy_now;
    }
    task_stop(core, t, STOP_ServiceSchedulerInitiated, reason);
}

void
moves_scale_in(struct core *core, struct scene *sc, struct task *t)
{
    struct deployment *d = t->deployment;

    if (d->status == DEPLOYMENT_ACTIVE && d->desired_count > 0 && d->set == NULL) {
        d->desired_count--;
        core_touch_service(core, t->service);
    }
    moves_take_out(core, sc, t);
}

int
moves_stop_while(struct core *core, struct service *s, struct scene *sc, victim_filter *filter, int max)
{
    struct task *t;
    int done = 0;

    while (done < max && (t = moves_pick_victim(core, s, sc, filter)) != NULL) {
        if (t->is_healthy_now && sc->healthy - 1 < sc->healthy_min)
            break;
        moves_scale_in(core, sc, t);
        done++;
    }
    return done;
}

bool
moves_is_blocked(const struct scene *sc)
{
    return sc->can_launch && sc->wanted_new > 0 && sc->new_in_flight == 0 &&
           (sc->total >= sc->total_max || (sc->has_no_place && sc->places_leaving == 0));
}

int
moves_stop_marked(struct core *core, struct service *s, struct scene *sc, victim_filter *is_marked)
{
    struct task *t;
    int done = 0;

    while (sc->primary->count.marked > 0 && sc->healthy >= sc->desired &&
           (t = moves_pick_victim(core, s, sc, is_marked)) != NULL) {
        moves_take_out(core, sc, t);
        done++;
    }
    if (done > 0 || sc->primary->count.marked == 0 || !moves_is_blocked(sc) ||
        sc->sources_in_flight > 0)
        return done;
    if (sc->running - 1 < sc->healthy_min && sc->total_max > sc->desired)
        return 0;
    t = moves_pick_victim(core, s, sc, is_marked);
    if (t == NULL)
        return 0;
    moves_take_out(core, sc, t);
    return 1;
}
