/* SPDX-License-Identifier: MIT */
#include "core/deployment.h"
#include <assert.h>
#include <stdio.h>
#include "core/capacity.h"
#include "core/daemon.h"
#include "core/protection.h"
#include "core/rollout.h"
#include "core/said.h"
#include "core/targets.h"
#include "core/task_lifecycle.h"
#include "core/zone_balance.h"

#define ROUNDS_MAX \
    64 /* of one advance; each makes at least one move, so this is a bug when reached */

struct deployment_limits
deployment_limits(int desired_count, int minimum_healthy_percent, int maximum_percent)
{
    const int64_t d = desired_count;

    assert(desired_count >= 0 && minimum_healthy_percent >= 0 && maximum_percent >= 0);
    return (struct deployment_limits){
        .healthy_min = (int)((d * minimum_healthy_percent + 99) / 100),
        .total_max = (int)(d * maximum_percent / 100),
    };
}

int
deployment_breaker_threshold(const struct breaker_config *breaker, int desired_count)
{
    const int64_t part = ((int64_t)desired_count * breaker->value + 99) / 100;

    switch (breaker->type) {
    case THRESHOLD_COUNT:
        return breaker->value;
    case THRESHOLD_UNBOUNDED_PERCENT:
        return (int)part;
    case THRESHOLD_BOUNDED_PERCENT:
    case THRESHOLD_ENUM_SIZE:
        return part < 3 ? 3 : part > 200 ? 200 : (int)part;
    }
    return 3;
}

/* ---- what there is ---- */

struct scene {
    struct deployment *primary;
    int desired; /* D */
    int healthy_min, total_max;
    int total;            /* desired RUNNING, of all deployments */
    int healthy, running; /* of these */
    int wanted_new;       /* tasks that the PRIMARY still lacks; those to be replaced do not count */
    int new_in_flight; /* its tasks that are not healthy yet and will stay: wait for their verdict */
    int leaving;       /* tasks of any deployment on instances that are being drained */
    int sources_in_flight; /* the same of sources that were complete once */
    int sources_total;
    int places_leaving; /* stopping tasks that still hold a place on a host */
    bool can_launch;    /* the PRIMARY may start tasks now */
    bool has_no_place;  /* it may, and no instance takes one */
};

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
deployment_may_launch(const struct core *core, const struct service *s, const struct deployment *d)
{
    return !d->is_failed && core->now_ms >= s->launch_after_ms &&
           core->now_ms >= s->infrastructure_after_ms;
}

static struct scene
look(const struct core *core, struct service *s)
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
        sc.can_launch = deployment_may_launch(core, s, p) && p->revision->is_resolved;
    }
    return sc;
}

/* ---- launching ---- */

static void
lose_steadiness(struct core *core, struct service *s)
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
    rq.cpu = td->cpu;
    rq.memory_mib = td->memory_mib;
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
        core_wait_for_place(core, s);
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
    said_started(core, t, replaces_unhealthy);
    lose_steadiness(core, s);
    return true;
}

bool
deployment_launch_on(struct core *core, struct service *s, struct deployment *d,
                     struct container_instance *i)
{
    return launch_one(core, s, d, /* replaces_unhealthy= */ false, i);
}

static int
launch(struct core *core, struct service *s, struct deployment *d, int count, int replaced,
       struct scene *sc)
{
    int done = 0;

    assert(sc->total + count <= sc->total_max); /* promise 2 */
    while (done < count && launch_one(core, s, d, done < replaced, /* only= */ NULL))
        done++;
    sc->total += done;
    if (done < count && d == sc->primary)
        sc->has_no_place = true;
    if (done == count)
        core_stop_waiting(core, s);
    return done;
}

static int
smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Tasks that a source lost since it was complete, while their capacity is short (Nov 2025: by their
 * own revision, and a scale-out reaches it too). */
static int
launch_sources(struct core *core, struct service *s, struct scene *sc, int short_of)
{
    int done = 0, need = short_of - sc->healthy - sc->sources_in_flight;

    if (core->now_ms < s->infrastructure_after_ms)
        return 0;
    for (struct deployment *d = s->deployments; d != NULL && need > 0; d = d->next) {
        int n = d->desired_count - (d->count.wanted - d->count.marked);
        if (d->status != DEPLOYMENT_ACTIVE || d->rollout_state != ROLLOUT_COMPLETED ||
            !d->revision->is_resolved)
            continue;
        n = smaller(smaller(n, need), sc->total_max - sc->total);
        if (n <= 0)
            continue;
        n = launch(core, s, d, n, /* replaced= */ 0, sc);
        sc->sources_in_flight += n;
        need -= n;
        done += n;
    }
    return done;
}

static int
launch_new(struct core *core, struct service *s, struct scene *sc)
{
    struct deployment *p = sc->primary;
    const int count = smaller(sc->wanted_new, sc->total_max - sc->total);

    /* The digests come first, even if there is no room yet: nothing old may go for an image that
     * perhaps does not exist. */
    if (sc->wanted_new <= 0 || !deployment_may_launch(core, s, p) || !revision_resolve(core, s, p->revision) ||
        count <= 0)
        return 0;
    return launch(core, s, p, count, smaller(p->count.marked, count), sc);
}

/* ---- stopping ---- */

/* Who goes first: the marked, then those not healthy yet, then the healthy; within that those on
 * instances that are being drained, then the oldest deployment (ids only rise), then as the placement
 * strategies want it (ecs.md 7.6), and the newest task. */
static int
rank_of(const struct task *t)
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
    int order = rank_of(b) - rank_of(a);

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

typedef bool victim_filter(const struct service *s, const struct task *t);

/* If only protected tasks could be chosen, their deployment is held back by them. */
static struct task *
pick_victim(struct core *core, const struct service *s, const struct scene *sc,
            victim_filter *filter)
{
    struct task *best = NULL, *spared = NULL;
    int equals[2] = {1, 1};

    place_rank(s);
    for (struct task *t = s->live; t != NULL; t = t->next_live) {
        struct task **choice = core_task_is_protected(core, t) ? &spared : &best;
        if (!task_is_wanted(t) || !filter(s, t))
            continue;
        const int order = *choice == NULL ? 1 : goes_before(s, t, *choice);
        int *count = &equals[choice == &spared];
        *count = order > 0 ? 1 : *count + (order == 0);
        if (order > 0 || (order == 0 && takes_its_turn(core, s, *count)))
            *choice = t;
    }
    if (best == NULL && spared != NULL &&
        (!spared->is_healthy_now || sc->healthy - 1 >= sc->healthy_min))
        spared->deployment->is_held = true;
    return best;
}

static void
scale_in(struct core *core, struct scene *sc, struct task *t)
{
    struct deployment *d = t->deployment;
    char reason[REASON_SIZE];

    snprintf(reason, sizeof(reason), "Scaling activity initiated by (deployment %s)",
             t->deployment_id);
    if (t->is_moving && t->instance != NULL && t->instance->status == INSTANCE_ACTIVE)
        snprintf(reason, sizeof(reason), "Availability-zone rebalancing initiated by (deployment %s)",
                 t->deployment_id);
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
    if (d->status == DEPLOYMENT_ACTIVE && d->desired_count > 0) {
        d->desired_count--;
        core_touch_service(core, t->service);
    }
    task_stop(core, t, STOP_ServiceSchedulerInitiated, reason);
}

static bool
is_of_primary(const struct service *s, const struct task *t)
{
    return t->deployment->status == DEPLOYMENT_PRIMARY;
}

static bool
is_marked_of_primary(const struct service *s, const struct task *t)
{
    return is_of_primary(s, t) && t->is_unhealthy_marked;
}

static bool
is_good_of_primary(const struct service *s, const struct task *t)
{
    return is_of_primary(s, t) && !t->is_unhealthy_marked && !place_is_leaving(t);
}

static bool
is_of_source(const struct service *s, const struct task *t)
{
    return !is_of_primary(s, t);
}

/* Not one of a complete source that is merely being replaced: it will never be needed again. */
static bool
is_useless_source(const struct service *s, const struct task *t)
{
    return is_of_source(s, t) && t->deployment->rollout_state != ROLLOUT_COMPLETED &&
           rank_of(t) < 2;
}

/* Not needed once its replacement is healthy: of a source, or on an instance that is being drained. */
static bool
is_going(const struct service *s, const struct task *t)
{
    return is_of_source(s, t) || place_is_leaving(t);
}

static bool
is_going_unhealthy(const struct service *s, const struct task *t)
{
    return is_going(s, t) && !t->is_healthy_now;
}

static bool
is_starting_to_leave(const struct service *s, const struct task *t)
{
    return place_is_leaving(t) && t->last_status < TASK_RUNNING;
}

static bool
is_surplus_source(const struct service *s, const struct task *t)
{
    const struct deployment *d = t->deployment;

    return is_of_source(s, t) && d->count.wanted - d->count.marked > d->desired_count;
}

/* desiredCount was lowered, or a marked task recovered after its replacement had come. */
static int
stop_surplus(struct core *core, struct service *s, struct scene *sc)
{
    struct deployment *p = sc->primary;
    struct task *t;
    int done = 0;

    while (p->count.wanted - p->count.marked - p->count.leaving > sc->desired &&
           (t = pick_victim(core, s, sc, is_good_of_primary)) != NULL) {
        if (t->is_healthy_now && sc->healthy - 1 < sc->healthy_min)
            break;
        scale_in(core, sc, t);
        done++;
    }
    while ((t = pick_victim(core, s, sc, is_surplus_source)) != NULL) {
        if (t->is_healthy_now && sc->healthy - 1 < sc->healthy_min)
            break;
        /* its desired_count fell already */
        t->deployment->desired_count++;
        scale_in(core, sc, t);
        done++;
    }
    return done;
}

/* Unhealthy tasks of the PRIMARY go once enough healthy ones are there without them.  If there is
 * no room for a replacement, one after the other makes it; where the bounds leave no room at all
 * (lower == upper == D) that is the only cure, and no healthy task is lost by it. */
static int
stop_marked(struct core *core, struct service *s, struct scene *sc)
{
    struct task *t;
    int done = 0;

    while (sc->primary->count.marked > 0 && sc->healthy >= sc->desired &&
           (t = pick_victim(core, s, sc, is_marked_of_primary)) != NULL) {
        scale_in(core, sc, t);
        done++;
    }
    if (done > 0 || sc->primary->count.marked == 0 || !sc->can_launch || sc->wanted_new <= 0)
        return done;
    if (sc->total < sc->total_max && !(sc->has_no_place && sc->places_leaving == 0))
        return 0;
    if (sc->new_in_flight > 0 || sc->sources_in_flight > 0)
        return 0;
    if (sc->running - 1 < sc->healthy_min && sc->total_max > sc->desired)
        return 0;
    t = pick_victim(core, s, sc, is_marked_of_primary);
    if (t == NULL)
        return 0;
    scale_in(core, sc, t);
    return 1;
}

static int
stop_while(struct core *core, struct service *s, struct scene *sc, victim_filter *filter, int max)
{
    struct task *t;
    int done = 0;

    while (done < max && (t = pick_victim(core, s, sc, filter)) != NULL) {
        if (t->is_healthy_now && sc->healthy - 1 < sc->healthy_min)
            break;
        scale_in(core, sc, t);
        done++;
    }
    return done;
}

/* The heart of a rolling update, and of draining an instance (ecs.md 5.11): there the new tasks are of
 * the same revision.  New tasks are started first whenever the upper bound allows, and
 * old ones go only as healthy new ones take their place (healthy > D).  Only if nothing can be
 * started and none is under way are old ones stopped first, down to the lower bound (ecs.md 5.2).
 */
static int
stop_sources(struct core *core, struct service *s, struct scene *sc)
{
    const bool is_full = sc->total >= sc->total_max;
    bool is_blocked;
    int done = stop_while(core, s, sc, is_starting_to_leave, INT32_MAX);

    if (sc->primary->is_failed)
        return done; /* what runs stays (ecs.md 5.5): nothing will replace it */
    done += stop_while(core, s, sc, is_useless_source, INT32_MAX);
    if (sc->healthy >= sc->desired && sc->total > sc->desired)
        done += stop_while(core, s, sc, is_going_unhealthy, sc->total - sc->desired);
    if (sc->healthy > sc->desired)
        done += stop_while(core, s, sc, is_going, sc->healthy - sc->desired);
    is_blocked = sc->can_launch && sc->wanted_new > 0 && sc->new_in_flight == 0 &&
                 (is_full || (sc->has_no_place && sc->places_leaving == 0));
    if (done == 0 && is_blocked)
        done += stop_while(core, s, sc, is_going, sc->wanted_new);
    return done;
}

/* ---- the loop ---- */

static void
complain_if_stuck(struct core *core, struct service *s, const struct scene *sc)
{
    char text[REASON_SIZE];

    if (sc->wanted_new <= 0 || !sc->can_launch || (sc->sources_total == 0 && sc->leaving == 0) ||
        sc->total < sc->total_max || sc->healthy_min < sc->desired || sc->total_max > sc->desired)
        return;
    snprintf(
        text, sizeof(text),
        "(service %.255s) was unable to stop or start tasks during a deployment because of the "
        "service deployment configuration. Update the minimumHealthyPercent or "
        "maximumPercent value and try again.",
        s->name);
    said_complaint(core, s, text);
}

/* One round; false once nothing moves any more. */
static bool
move(struct core *core, struct service *s)
{
    struct scene sc;
    int moved;

    if (rollout_judge(core, s))
        return true;
    sc = look(core, s);
    for (struct deployment *d = s->deployments; d != NULL; d = d->next)
        d->is_held = false;
    if (sc.primary == NULL)
        return false;
    /* Old capacity below the lower bound comes before new: that is what users feel. */
    moved = launch_sources(core, s, &sc, sc.healthy_min);
    moved += launch_new(core, s, &sc);
    moved += launch_sources(core, s, &sc, sc.desired);
    if (moved > 0)
        return true;
    moved = stop_surplus(core, s, &sc);
    if (moved == 0)
        moved = stop_marked(core, s, &sc);
    if (moved == 0)
        moved = stop_sources(core, s, &sc);
    if (moved == 0) {
        complain_if_stuck(core, s, &sc);
        protection_complain(core, s);
    }
    return moved > 0;
}

static void
finish(struct core *core, struct service *s)
{
    const struct scene sc = look(core, s);
    struct deployment *p = sc.primary;
    bool is_whole;

    if (p == NULL || p->is_failed)
        return;
    if (p->desired_count != sc.desired) {
        p->desired_count = sc.desired;
        core_touch_service(core, s);
    }
    is_whole = p->count.wanted == sc.desired && p->count.healthy == sc.desired;
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d != p && (d->count.wanted > 0 || d->count.before_stopping > 0))
            is_whole = false; /* some of the old may still take traffic */
    }
    if (!is_whole) {
        lose_steadiness(core, s);
        return;
    }
    if (!s->is_steady) {
        s->is_steady = true;
        if (s->balances_zones)
            core_queue(core, s); /* once more, for zones_balance() */
        said_flush(core);
        said_no_complaint(core, s);
        said_event(core, s, "(service %s) has reached a steady state.", s->name);
    }
    if (p->rollout_state == ROLLOUT_IN_PROGRESS)
        rollout_complete(core, s);
}

static void
drain_service(struct core *core, struct service *s)
{
    bool is_empty = true;

    for (struct task *t = s->live; t != NULL; t = t->next_live) {
        char reason[REASON_SIZE];
        if (task_is_wanted(t)) {
            snprintf(reason, sizeof(reason), "Scaling activity initiated by (deployment %s)",
                     t->deployment_id);
            task_stop(core, t, STOP_ServiceSchedulerInitiated, reason);
        }
        is_empty &= t->last_status >= TASK_STOPPING;
    }
    if (!is_empty)
        return;
    s->status = SERVICE_INACTIVE;
    for (struct deployment *d = s->deployments; d != NULL; d = d->next)
        d->status = DEPLOYMENT_INACTIVE;
    core_touch_service(core, s);
}

static int64_t
next_deadline_ms(const struct core *core, const struct service *s)
{
    const struct deployment *p = service_primary(s);
    int64_t due = INT64_MAX;

    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        due = earlier(due, task_deadline_ms(core, t));
        if (core_task_is_protected(core, t))
            due = earlier(due, t->protected_until_ms);
    }
    if (s->status != SERVICE_ACTIVE || p == NULL)
        return due;
    if (s->launch_after_ms > core->now_ms)
        due = earlier(due, s->launch_after_ms);
    if (s->infrastructure_after_ms > core->now_ms)
        due = earlier(due, s->infrastructure_after_ms);
    if (!p->revision->is_resolved && p->revision->resolve_at_ms > core->now_ms)
        due = earlier(due, p->revision->resolve_at_ms);
    return due;
}

void
deployment_advance(struct core *core, struct service *s, struct effects *out)
{
    int rounds = 0;

    assert(core->index->out == out);
    for (struct task *t = s->live, *next; t != NULL; t = next) {
        next = t->next_live;
        task_advance(core, t);
    }
    if (s->status == SERVICE_ACTIVE) {
        zones_balance(core, s);
        while (s->is_daemon ? daemon_move(core, s) : move(core, s)) {
            rounds++;
            assert(rounds < ROUNDS_MAX);
        }
        finish(core, s);
    } else if (s->status == SERVICE_DRAINING) {
        drain_service(core, s);
    }
    said_flush(core);
    core_set_wake(core, s, next_deadline_ms(core, s));
}
