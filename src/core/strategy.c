/* SPDX-License-Identifier: MIT */
#include "core/strategy.h"
#include <assert.h>
#include <stdio.h>
#include "core/hooks.h"
#include "core/moves.h"
#include "core/rolling_hooks.h"
#include "core/rollout.h"
#include "core/said.h"
#include "core/traffic_shift.h"

#define ASK_WEIGHTS_MS 10000 /* no word from the balancer: asked again */
#define MINUTE_MS 60000LL

/* ---- who is who ---- */

static struct deployment *
base_of(const struct service *s)
{
    return service_find_deployment(s, s->course.base_id);
}

static struct deployment *
via_of(const struct service *s)
{
    return service_find_deployment(s, s->course.via_id);
}

static bool
is_live(const struct service *s, const struct deployment *d)
{
    return strcmp(s->live_id, d->id) == 0;
}

bool
strategy_is_cleaning_up(const struct service *s)
{
    const struct course *c = &s->course;

    return c->is_on && c->stage == STAGE_CLEAN_UP && !c->is_returning && !c->is_frozen;
}

struct deployment *
strategy_rollback_target(const struct service *s)
{
    struct deployment *base = base_of(s);

    return base != NULL && is_live(s, base) && base->completed_at_ms != 0 &&
                   base->status != DEPLOYMENT_PRIMARY
               ? base
               : NULL;
}

/* ---- beginning ---- */

static void
enter(struct core *core, struct service *s, enum lifecycle_stage stage)
{
    struct course *c = &s->course;

    c->stage = stage;
    c->stage_at_ms = core->now_ms;
    c->has_begun = c->has_hooks = false;
    c->wait_until_ms = c->ask_at_ms = 0;
    hooks_drop(core, s);
    service_current(s)->stage = stage;
    service_current(s)->updated_at_ms = core->now_ms;
    core_touch_service(core, s);
}

/* What was proved last; in a service that never had that, whatever runs. */
static struct deployment *
find_base(struct service *s)
{
    const struct deployment *before = s->course.is_on ? base_of(s) : NULL;
    struct deployment *d = service_find_deployment(s, s->live_id);

    if (d != NULL && d->status != DEPLOYMENT_INACTIVE)
        return d;
    assert(d == NULL); /* it steps back only for the next one that is proved */
    for (d = s->deployments; d != NULL; d = d->next) {
        if (d->status == DEPLOYMENT_ACTIVE && d->rollout_state == ROLLOUT_COMPLETED) {
            text_copy(s->live_id, ID_SIZE, str_of(d->id)); /* of a row from before there was one */
            return d;
        }
    }
    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if (!task_is_wanted(t) || t->deployment->status != DEPLOYMENT_ACTIVE)
            continue;
        if (t->deployment == before)
            return t->deployment; /* it has the traffic */
        if (d == NULL)
            d = t->deployment;
    }
    return d;
}

static bool
has_others(const struct service *s, const struct deployment *base)
{
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->status == DEPLOYMENT_ACTIVE && d != base)
            return true;
    }
    return false;
}

static void
set_via(struct service *s, const struct deployment *p, const char *before)
{
    const bool has_pairs = traffic_has_listeners(p, TRAFFIC_PRODUCTION);

    text_copy(s->course.via_id, ID_SIZE, str_of(has_pairs || before[0] == '\0' ? p->id : before));
}

void
strategy_begin(struct core *core, struct service *s)
{
    struct deployment *p = service_primary(s), *base = find_base(s);
    const bool was_on = s->course.is_on;
    const bool moves_traffic = s->config.strategy.strategy != STRATEGY_ROLLING;
    char via[ID_SIZE];

    hooks_drop(core, s);
    memcpy(via, s->course.via_id, sizeof(via));
    s->course = (struct course){.is_on = moves_traffic || was_on,
                                .plan = s->config.strategy,
                                .began_at_ms = core->now_ms};
    if (base != p)
        traffic_choose_groups(p, base, moves_traffic);
    core_touch_service(core, s);
    if (!s->course.is_on) {
        rolling_begin(core, s);
        return;
    }
    set_via(s, p, was_on ? via : "");
    if (base != NULL)
        text_copy(s->course.base_id, ID_SIZE, str_of(base->id));
    if (base != NULL && base != p && is_live(s, base))
        base->desired_count = s->desired_count;
    if (base == p)
        strategy_return(core, s);
    else
        enter(core, s, was_on || has_others(s, base) ? STAGE_RECONCILE_SERVICE : STAGE_PRE_SCALE_UP);
}

void
strategy_size_changed(struct service *s)
{
    struct deployment *base = s->course.is_on ? base_of(s) : NULL;

    if (base != NULL && is_live(s, base) && base->status == DEPLOYMENT_ACTIVE)
        base->desired_count = s->desired_count;
}

void
strategy_return(struct core *core, struct service *s)
{
    struct course *c = &s->course;

    assert(c->is_on && base_of(s) == service_primary(s));
    c->is_returning = true;
    c->is_frozen = false;
    c->again = (c->share > 0 ? 1 << STAGE_PRODUCTION_TRAFFIC_SHIFT : 0) |
               (c->test_share > 0 ? 1 << STAGE_TEST_TRAFFIC_SHIFT : 0);
    c->share = c->test_share = 0;
    enter(core, s, STAGE_PRODUCTION_TRAFFIC_SHIFT);
}

void
strategy_freeze(struct core *core, struct service *s)
{
    hooks_drop(core, s);
    if (s->course.is_on)
        s->course.is_frozen = true;
    else
        s->course = (struct course){0};
}

void
strategy_end(struct core *core, struct service *s)
{
    hooks_drop(core, s);
    s->course = (struct course){0};
}

/* Are they reached by the same traffic?  All are in a service without load balancers. */
static bool
share_group(const struct deployment *a, const struct deployment *b)
{
    return a->revision->load_balancer_count == 0 || b->revision->load_balancer_count == 0 ||
           strcmp(deployment_target_group(a, 0), deployment_target_group(b, 0)) == 0;
}

/* Tasks of an unfinished rolling update are in the same group as the base: they serve beside it until
 * CLEAN_UP. */
static bool
is_of_base(const struct service *s, const struct deployment *d)
{
    const struct deployment *base = base_of(s);

    if (d == base || base == NULL || d->status == DEPLOYMENT_PRIMARY)
        return d == base;
    return share_group(base, d);
}

/* Counts of the base and of what serves beside it. */
static struct scene
crowd_of(const struct service *s)
{
    struct scene crowd = {0};

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (is_of_base(s, d)) {
            crowd.total += d->count.wanted;
            crowd.healthy += d->count.healthy;
        }
    }
    return crowd;
}

/* ---- fleets: the tasks of one deployment, kept at the desired count ---- */

static struct task *
pick(const struct core *core, const struct deployment *d, const struct service *s, bool is_marked)
{
    struct task *best = NULL;

    for (struct task *t = s->live; t != NULL; t = t->next_live) {
        if (t->deployment != d || !task_is_wanted(t) || t->is_unhealthy_marked != is_marked ||
            core_task_is_protected(core, t))
            continue;
        if (best == NULL || moves_rank(t) < moves_rank(best))
            best = t;
    }
    return best;
}

/* The PRIMARY, and what takes the traffic: that is kept up without waiting for anything. */
static bool
fleet_may_launch(struct core *core, struct service *s, struct deployment *d)
{
    const bool is_primary = d->status == DEPLOYMENT_PRIMARY;

    if (core->now_ms < s->infrastructure_after_ms ||
        (is_primary && core->now_ms < s->launches.after_ms))
        return false;
    return (is_live(s, d) || is_primary) && !d->is_failed &&
           revision_resolve(core, s, d->revision);
}

/* A base whose tasks do not start any more is given up, one after the other (rollout.c); and it needs
 * not replace what serves beside it. */
static int
fleet_size(const struct service *s, const struct deployment *d, const struct scene *sc)
{
    const int beside = crowd_of(s).healthy - d->count.healthy;

    if (d->status == DEPLOYMENT_PRIMARY)
        return sc->desired;
    return smaller(d->desired_count, beside < sc->desired ? sc->desired - beside : 0);
}

/* What a fleet may still start: the base leaves the new deployment its room. */
static int
room_for(const struct service *s, const struct deployment *d, const struct scene *sc)
{
    const struct course *c = &s->course;
    const int lacking = sc->desired - (sc->primary->count.wanted - sc->primary->count.marked);
    const bool reserves = d != sc->primary && c->stage >= STAGE_SCALE_UP && !c->is_frozen;

    return sc->total_max - sc->total - (reserves && lacking > 0 ? lacking : 0);
}

/* Those whose replacement is healthy; else, where there is no room for one, all of them if they take
 * no traffic, or one after the other. */
static int
stop_marked(struct core *core, struct service *s, struct deployment *d, struct scene *sc)
{
    const int size = fleet_size(s, d, sc), good = d->count.wanted - d->count.marked;
    const bool has_no_room = room_for(s, d, sc) <= 0;
    const bool is_full = good < size && has_no_room && fleet_may_launch(core, s, d);
    int count = d->count.healthy >= size ? d->count.marked : 0;
    struct task *t;
    int done = 0;

    if (is_full && d->status == DEPLOYMENT_PRIMARY && s->course.share == 0 && !is_live(s, d))
        count = d->count.marked;
    else if (d->count.wanted > size && (d->is_failed || (has_no_room && d != sc->primary)))
        count = d->count.wanted - size; /* in the way of the new ones */
    else if (is_full && good == d->count.healthy && d->count.marked > 0)
        count = 1;
    while (done < count && (t = pick(core, d, s, /* is_marked= */ true)) != NULL) {
        moves_take_out(core, sc, t);
        done++;
    }
    return done;
}

static int
stop_surplus(struct core *core, struct service *s, struct deployment *d, struct scene *sc, int size)
{
    struct task *t;
    int done = 0;

    while (d->count.wanted - d->count.marked > size &&
           (t = pick(core, d, s, /* is_marked= */ false)) != NULL) {
        /* The others may be protected, and serve nobody yet. */
        if (t->is_healthy_now &&
            (d->count.healthy - 1 < sc->healthy_min || d->count.healthy <= size))
            break;
        moves_take_out(core, sc, t);
        done++;
    }
    return done;
}

static int
keep_fleet(struct core *core, struct service *s, struct deployment *d, struct scene *sc)
{
    const int n = smaller(fleet_size(s, d, sc) - (d->count.wanted - d->count.marked),
                          room_for(s, d, sc));
    int done;

    if (n > 0 && fleet_may_launch(core, s, d)) {
        done = moves_launch(core, s, d, n, smaller(d->count.marked, n), sc);
        if (done > 0)
            return done;
    }
    return stop_surplus(core, s, d, sc, fleet_size(s, d, sc)) + stop_marked(core, s, d, sc);
}

static struct task *
pick_beside(const struct core *core, const struct service *s)
{
    const struct deployment *base = base_of(s);
    struct task *best = NULL;

    for (struct task *t = s->live; t != NULL; t = t->next_live) {
        if (task_is_wanted(t) && is_of_base(s, t->deployment) &&
            (t->deployment != base || !is_live(s, base)) &&
            !core_task_is_protected(core, t) &&
            (best == NULL || moves_rank(t) < moves_rank(best)))
            best = t;
    }
    return best;
}

/* What serves beside the base, and a base that was never proved, get no new tasks; of the old ones
 * those that do not run well only take room. */
static int
shed(struct core *core, struct service *s, struct scene *sc)
{
    struct scene crowd = crowd_of(s);
    struct task *t;
    int done = 0;

    while ((t = pick_beside(core, s)) != NULL) {
        const bool is_surplus =
            t->is_healthy_now ? crowd.healthy > sc->desired : crowd.total > sc->desired;
        if (moves_rank(t) > 1 && !is_surplus)
            break;
        crowd.total--;
        crowd.healthy -= t->is_healthy_now;
        moves_scale_in(core, sc, t);
        done++;
    }
    return done;
}

/* Of all but the PRIMARY: at once what is not healthy, the others as far as enough healthy ones are
 * there without them; for those that serve beside the PRIMARY only such count that serve. */
static int
stop_sources(struct core *core, struct service *s, struct scene *sc)
{
    int done = 0, serving = 0;

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
        serving += share_group(d, sc->primary) ? d->count.healthy : 0;
    for (struct task *t = s->live; t != NULL; t = t->next_live) {
        if (!task_is_wanted(t) || t->deployment == sc->primary ||
            core_task_is_protected(core, t) ||
            (t->is_healthy_now && sc->healthy <= sc->desired))
            continue;
        if (t->is_healthy_now && share_group(t->deployment, sc->primary)) {
            if (serving <= sc->desired)
                continue;
            serving--;
        }
        moves_scale_in(core, sc, t);
        done++;
    }
    return done;
}

/* What is neither of the base nor of the PRIMARY; nobody is led there any more. */
static int
stop_leftovers(struct core *core, struct service *s, struct scene *sc)
{
    int done = 0;

    for (struct task *t = s->live; t != NULL; t = t->next_live) {
        if (!task_is_wanted(t) || t->deployment == sc->primary || is_of_base(s, t->deployment) ||
            core_task_is_protected(core, t))
            continue;
        moves_scale_in(core, sc, t);
        done++;
    }
    return done;
}

static bool
leftovers_are_gone(const struct service *s)
{
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->status != DEPLOYMENT_PRIMARY && !is_of_base(s, d) &&
            (d->count.wanted > 0 || d->count.before_stopping > 0))
            return false;
    }
    return true;
}

static bool
is_whole(const struct deployment *d, const struct scene *sc)
{
    return d->count.wanted == sc->desired && d->count.healthy == sc->desired;
}

/* Leading everybody to tasks that do not answer would make an outage of a rollback. */
static bool
can_serve(const struct service *s, const struct deployment *d, const struct scene *sc)
{
    const int healthy = crowd_of(s).healthy;
    const int bound = smaller(sc->healthy_min, d->desired_count);
    const bool can_be_whole = is_live(s, d) && !d->is_failed;
    const int needed = bound > 0 && can_be_whole ? bound : 1;

    return healthy >= needed || sc->healthy == healthy;
}

/* ---- failing ---- */

/* A bake time, which may be as long, comes on top; hooks have times of their own.  What naru was away for does
 * not count: nobody worked. */
static int64_t
work_end_ms(const struct core *core, const struct course *c)
{
    return later(later(c->wait_until_ms, c->stage_at_ms), core->index->resumed_at_ms) + STAGE_MAX_MS;
}

/* Protection ends by itself; until then nobody is to blame for waiting, and whoever was held up has
 * the whole time of a stage from there. */
static bool
waits_for_protected_tasks(struct core *core, struct service *s)
{
    int64_t until_ms = 0;

    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if (core_task_is_protected(core, t) && t->protected_until_ms > until_ms)
            until_ms = t->protected_until_ms;
    }
    if (until_ms == 0)
        return false;
    s->course.stage_at_ms = until_ms;
    core_touch_service(core, s);
    return true;
}

static bool
fail_if_late(struct core *core, struct service *s)
{
    const struct course *c = &s->course;
    char because[256];

    if (c->is_frozen)
        return false;
    if (core->now_ms >= c->began_at_ms + COURSE_MAX_MS && !c->is_returning &&
        c->stage != STAGE_CLEAN_UP) {
        rollout_fail(core, s, "it lasted longer than 30 days");
        return true;
    }
    if (c->has_hooks || core->now_ms < work_end_ms(core, c) || waits_for_protected_tasks(core, s))
        return false;
    snprintf(because, sizeof(because), "stage %s lasted longer than 24 hours",
             lifecycle_stage_name(c->stage));
    rollout_fail(core, s, because);
    return true;
}

/* Nothing of the base answers any more, or what is left of it can not be made whole, but more of
 * something else does: then that is what users have. */
static void
change_base(struct core *core, struct service *s, struct deployment *base, const struct scene *sc)
{
    struct deployment *best = base;

    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->status == DEPLOYMENT_ACTIVE && d->count.healthy > best->count.healthy)
            best = d;
    }
    if (best == base || (base->count.healthy > 0 && !base->is_failed))
        return;
    text_copy(s->course.base_id, ID_SIZE, str_of(best->id));
    text_copy(s->live_id, ID_SIZE, str_of(best->id));
    best->desired_count = sc->desired;
    traffic_choose_groups(sc->primary, best, s->course.plan.strategy != STRATEGY_ROLLING);
    core_touch_service(core, s);
}

/* ---- traffic ---- */

/* True once it is so; sees to it that the balancer is asked again. */
static bool
wait_in_force(struct core *core, struct service *s, enum traffic_kind kind)
{
    struct course *c = &s->course;
    const struct deployment *via = via_of(s);

    if (via == NULL || traffic_is_in_force(core, via, kind))
        return true;
    if (c->ask_at_ms <= core->now_ms) {
        if (c->ask_at_ms != 0)
            traffic_ask_again(core, via, kind);
        c->ask_at_ms = core->now_ms + ASK_WEIGHTS_MS;
    }
    return false;
}

static bool
order(struct core *core, struct service *s, const struct deployment *to, enum traffic_kind kind,
      int share)
{
    const struct deployment *via = via_of(s);

    return via == NULL || traffic_order(core, via, to, kind, share);
}

/* All of it to the base again, of both kinds. */
static bool
lead_to_base(struct core *core, struct service *s, const struct scene *sc)
{
    struct course *c = &s->course;
    const struct deployment *base = base_of(s);

    if (base == NULL)
        return true;
    if (!c->has_begun) {
        if (!can_serve(s, base, sc)) {
            if (!c->is_returning)
                change_base(core, s, base_of(s), sc);
            return false;
        }
        /* A listener that is gone leads nobody anywhere. */
        (void)order(core, s, base, TRAFFIC_PRODUCTION, SHARE_ALL);
        (void)order(core, s, base, TRAFFIC_TEST, SHARE_ALL);
        c->has_begun = true;
        c->share = c->test_share = 0;
        core_touch_service(core, s);
    }
    return wait_in_force(core, s, TRAFFIC_PRODUCTION) && wait_in_force(core, s, TRAFFIC_TEST);
}

static int
next_share(const struct service *s)
{
    const struct course *c = &s->course;
    const bool has_steps = base_of(s) != NULL && via_of(s) != NULL &&
                           traffic_has_listeners(via_of(s), TRAFFIC_PRODUCTION);

    if (!has_steps || c->plan.strategy == STRATEGY_BLUE_GREEN)
        return SHARE_ALL;
    if (c->plan.strategy == STRATEGY_CANARY)
        return c->share == 0 ? c->plan.step_permille : SHARE_ALL;
    return smaller(c->share + c->plan.step_permille, SHARE_ALL);
}

/* False while it waits.  A listener that is gone fails the deployment: nobody could be led anywhere. */
static bool
shift(struct core *core, struct service *s, enum traffic_kind kind, const struct scene *sc)
{
    struct course *c = &s->course;
    int *share = kind == TRAFFIC_PRODUCTION ? &c->share : &c->test_share;
    const int next = kind == TRAFFIC_PRODUCTION ? next_share(s) : SHARE_ALL;

    if (!c->has_begun) {
        if (!is_whole(sc->primary, sc))
            return false; /* one of them died meanwhile, and is being replaced */
        if (!order(core, s, sc->primary, kind, next)) {
            rollout_fail(core, s, "a listener or target group of its loadBalancers does not exist any more");
            return false;
        }
        c->has_begun = true;
        *share = next;
        core_touch_service(core, s);
    }
    return wait_in_force(core, s, kind);
}

/* ---- stages ---- */

static bool
wait_out(struct core *core, struct service *s, int minutes)
{
    struct course *c = &s->course;

    if (minutes == 0)
        return true;
    if (c->wait_until_ms == 0) {
        c->wait_until_ms = core->now_ms + minutes * MINUTE_MS;
        core_touch_service(core, s);
    }
    return core->now_ms >= c->wait_until_ms;
}

/* The work of the present stage; true once it is done. */
static bool
work(struct core *core, struct service *s, const struct scene *sc)
{
    const struct course *c = &s->course;

    switch (c->stage) {
    case STAGE_RECONCILE_SERVICE:
        return lead_to_base(core, s, sc) && leftovers_are_gone(s);
    case STAGE_SCALE_UP:
        return is_whole(sc->primary, sc);
    case STAGE_TEST_TRAFFIC_SHIFT:
        return shift(core, s, TRAFFIC_TEST, sc);
    case STAGE_PRODUCTION_TRAFFIC_SHIFT:
        return shift(core, s, TRAFFIC_PRODUCTION, sc) &&
               wait_out(core, s, c->share < SHARE_ALL ? c->plan.step_bake_min : 0);
    case STAGE_BAKE_TIME:
        return wait_out(core, s, c->plan.bake_min);
    case STAGE_CLEAN_UP: /* its end is that of the deployment, see deployment.c */
        return false;
    case STAGE_NONE:
    case STAGE_PRE_SCALE_UP:
    case STAGE_POST_SCALE_UP:
    case STAGE_POST_TEST_TRAFFIC_SHIFT:
    case STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT:
    case STAGE_POST_PRODUCTION_TRAFFIC_SHIFT:
    case STAGE_ENUM_SIZE:
        return true;
    }
    return true;
}

/* They are in a group without traffic: nothing of theirs may be started again. */
static void
retire_leftovers(struct core *core, struct service *s)
{
    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->status != DEPLOYMENT_ACTIVE || is_of_base(s, d))
            continue;
        d->desired_count = 0;
        d->updated_at_ms = core->now_ms;
    }
}

static void
go_on(struct core *core, struct service *s)
{
    const struct course *c = &s->course;

    if (c->stage == STAGE_RECONCILE_SERVICE)
        retire_leftovers(core, s);

    if (c->stage == STAGE_RECONCILE_SERVICE && c->plan.strategy == STRATEGY_ROLLING) {
        s->course.is_on = false; /* the traffic is in one place: the rolling update may begin */
        rolling_begin(core, s);
    } else if (c->stage == STAGE_PRODUCTION_TRAFFIC_SHIFT && c->share < SHARE_ALL) {
        enter(core, s, STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT);
    } else {
        enter(core, s, (enum lifecycle_stage)(c->stage + 1));
        if (c->stage == STAGE_CLEAN_UP) /* proved: from here on there is no way back */
            text_copy(s->live_id, ID_SIZE, str_of(service_primary(s)->id));
    }
}

/* ---- the round ---- */

static bool
advance_stage(struct core *core, struct service *s, const struct scene *sc)
{
    const struct course *c = &s->course;

    if (!c->has_hooks) {
        if (!work(core, s, sc))
            return c->is_frozen || c->is_returning; /* it failed, and that changed much */
        hooks_start(core, s, c->stage);
        if (!hooks_advance(core, s))
            return true; /* the next round sees to it */
    }
    if (!hooks_are_over(c))
        return false;
    go_on(core, s);
    return true;
}

/* Those of the stages that led traffic to the new revision, now that it is led back: the later one
 * first, the weights are those of before.  True once they are over; whether they succeeded changes
 * nothing, there is no other way. */
static bool
run_hooks_again(struct core *core, struct service *s)
{
    static const enum lifecycle_stage stages[] = {STAGE_PRODUCTION_TRAFFIC_SHIFT,
                                                  STAGE_TEST_TRAFFIC_SHIFT};
    struct course *c = &s->course;

    for (size_t i = 0; i < ARRAY_COUNT(stages); i++) {
        if (!hooks_are_over(c))
            return false;
        if ((c->again & 1 << stages[i]) == 0)
            continue;
        c->again &= ~(1 << stages[i]);
        hooks_start(core, s, stages[i]);
        (void)hooks_advance(core, s);
    }
    return hooks_are_over(c);
}

/* More than are desired, since that was lowered, would keep from the base the room to be whole. */
static int
shrink_others(struct core *core, struct service *s, struct scene *sc)
{
    int done = 0;

    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->status == DEPLOYMENT_ACTIVE && !is_of_base(s, d))
            done += stop_surplus(core, s, d, sc, sc->desired); /* users may still be led there */
    }
    return done;
}

static bool
move_back(struct core *core, struct service *s, struct scene *sc)
{
    struct deployment *p = sc->primary;
    const int kept = keep_fleet(core, s, p, sc);

    (void)hooks_advance(core, s);
    if (kept > 0)
        return true;
    if (s->course.stage == STAGE_PRODUCTION_TRAFFIC_SHIFT) {
        if (shrink_others(core, s, sc) > 0)
            return true;
        if (!lead_to_base(core, s, sc) || !run_hooks_again(core, s))
            return false;
        enter(core, s, STAGE_CLEAN_UP);
        return true;
    }
    return stop_sources(core, s, sc) > 0;
}

static int
keep_fleets(struct core *core, struct service *s, struct scene *sc)
{
    struct deployment *base = base_of(s), *p = sc->primary;
    const enum lifecycle_stage stage = s->course.stage;
    int moved = 0;

    if (base != NULL && stage != STAGE_CLEAN_UP)
        moved += shed(core, s, sc);
    if (base != NULL && stage != STAGE_CLEAN_UP && is_live(s, base))
        moved += keep_fleet(core, s, base, sc);
    if (stage >= STAGE_SCALE_UP)
        moved += keep_fleet(core, s, p, sc);
    if (stage == STAGE_CLEAN_UP)
        moved += stop_sources(core, s, sc);
    if (stage == STAGE_RECONCILE_SERVICE && s->course.has_begun &&
        wait_in_force(core, s, TRAFFIC_PRODUCTION))
        moved += stop_leftovers(core, s, sc);
    return moved;
}

static bool
stay(struct core *core, struct service *s, struct scene *sc)
{
    struct deployment *live = service_find_deployment(s, s->live_id);

    return live != NULL && live->status != DEPLOYMENT_INACTIVE &&
           keep_fleet(core, s, live, sc) > 0;
}

/* Before anything is started for a deployment that has failed by now. */
static bool
fail_by_hooks(struct core *core, struct service *s)
{
    if (s->course.is_frozen || s->course.is_returning || hooks_advance(core, s))
        return false;
    hooks_fail(core, s);
    return true;
}

bool
strategy_move(struct core *core, struct service *s)
{
    struct scene sc;

    if (fail_if_late(core, s) || fail_by_hooks(core, s))
        return true;
    sc = moves_look(core, s);
    sc.total_max = 2 * sc.desired; /* the percentages bound a rolling update only (ecs.md 6.7) */
    if (s->course.is_frozen)
        return stay(core, s, &sc);
    if (s->course.is_returning)
        return move_back(core, s, &sc);
    return keep_fleets(core, s, &sc) > 0 || advance_stage(core, s, &sc);
}

void
strategy_stood_still(struct core *core, int64_t late_ms)
{
    for (struct service *s = core->services; s != NULL; s = s->next) {
        struct course *c = &s->course;

        if (!c->is_on)
            continue;
        c->stage_at_ms = extended_ms(core, work_end_ms(core, c), late_ms) - STAGE_MAX_MS;
        core_touch_service(core, s);
    }
}

int64_t
strategy_deadline_ms(const struct core *core, const struct service *s)
{
    const struct course *c = &s->course;
    int64_t due = INT64_MAX;

    if (!c->is_on || c->is_frozen)
        return hooks_deadline_ms(s);
    if (!c->is_returning && c->stage != STAGE_CLEAN_UP)
        due = earlier(due, c->began_at_ms + COURSE_MAX_MS);
    if (!c->has_hooks)
        due = earlier(due, work_end_ms(core, c));
    if (c->wait_until_ms > core->now_ms)
        due = earlier(due, c->wait_until_ms);
    if (c->ask_at_ms > core->now_ms)
        due = earlier(due, c->ask_at_ms);
    return earlier(due, hooks_deadline_ms(s));
}
