/* SPDX-License-Identifier: MIT */
#include "core/deployment.h"
#include <assert.h>
#include <stdio.h>
#include "core/backoff.h"
#include "core/daemon.h"
#include "core/hearing.h"
#include "core/moves.h"
#include "core/placement.h"
#include "core/progress.h"
#include "core/protection.h"
#include "core/rolling_hooks.h"
#include "core/rollout.h"
#include "core/said.h"
#include "core/strategy.h"
#include "core/targets.h"
#include "core/task_lifecycle.h"
#include "core/task_set.h"
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
        return part < 1 ? 1 : (int)part;
    case THRESHOLD_BOUNDED_PERCENT:
    case THRESHOLD_ENUM_SIZE:
        return part < 3 ? 3 : part > 200 ? 200 : (int)part;
    }
    return 3;
}

/* The PRIMARY's healthy tasks that early success asks for; -1: it does not apply (ecs.md 5.13). */
static int
early_count(const struct service *s)
{
    const struct strategy_config *config = &s->config.strategy;
    const struct service_deployment *sd = service_current(s);
    const int64_t part = ((int64_t)s->desired_count * config->early_percent + 99) / 100;

    if (!config->succeeds_early || s->course.is_on || sd == NULL || sd->status != SD_IN_PROGRESS)
        return -1;
    return part < 1 && s->desired_count > 0 ? 1 : (int)part;
}

/* ---- launching ---- */

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
        n = moves_launch(core, s, d, n, /* replaced= */ 0, sc);
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
    if (sc->wanted_new <= 0 || !moves_may_launch(core, s, p) || !revision_resolve(core, s, p->revision) ||
        count <= 0)
        return 0;
    return moves_launch(core, s, p, count, smaller(p->count.marked, count), sc);
}

/* ---- stopping ---- */

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
           moves_rank(t) < 2;
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
           (t = moves_pick_victim(core, s, sc, is_good_of_primary)) != NULL) {
        /* The others may be protected, and not healthy yet. */
        if (t->is_healthy_now &&
            (sc->healthy - 1 < sc->healthy_min || p->count.healthy <= sc->desired))
            break;
        moves_scale_in(core, sc, t);
        done++;
    }
    while ((t = moves_pick_victim(core, s, sc, is_surplus_source)) != NULL) {
        if (t->is_healthy_now && sc->healthy - 1 < sc->healthy_min)
            break;
        moves_take_out(core, sc, t); /* its desired_count fell already */
        done++;
    }
    return done;
}

/* While hooks hold the new ones up, the old ones are kept: what is not healthy goes once its
 * replacement is, and their number stays. */
static int
replace_sources(struct core *core, struct service *s, struct scene *sc)
{
    struct task *t;
    int done = 0;

    while (sc->healthy >= sc->desired && sc->total > sc->desired &&
           (t = moves_pick_victim(core, s, sc, is_going_unhealthy)) != NULL) {
        moves_take_out(core, sc, t);
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
    int done;

    if (rolling_holds(s))
        return replace_sources(core, s, sc);
    done = moves_stop_while(core, s, sc, is_starting_to_leave, INT32_MAX);
    if (sc->primary->is_failed)
        return done; /* what runs stays (ecs.md 5.5): nothing will replace it */
    if (early_count(s) >= 0 && !s->config.strategy.cleans_up_later &&
        sc->primary->count.healthy >= early_count(s))
        return done + moves_stop_while(core, s, sc, is_of_source, INT32_MAX);
    done += moves_stop_while(core, s, sc, is_useless_source, INT32_MAX);
    if (sc->healthy >= sc->desired && sc->total > sc->desired)
        done += moves_stop_while(core, s, sc, is_going_unhealthy, sc->total - sc->desired);
    if (sc->healthy > sc->desired)
        done += moves_stop_while(core, s, sc, is_going, sc->healthy - sc->desired);
    if (done == 0 && moves_is_blocked(sc))
        done += moves_stop_while(core, s, sc, is_going, sc->wanted_new);
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
    s->lacks_place = false;
    if (s->course.is_on)
        return strategy_move(core, s);
    if (rolling_move(core, s))
        return true;
    sc = moves_look(core, s);
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
        moved = moves_stop_marked(core, s, &sc, is_marked_of_primary);
    if (moved == 0)
        moved = stop_sources(core, s, &sc);
    if (moved == 0) {
        complain_if_stuck(core, s, &sc);
        protection_complain(core, s);
    }
    return moved > 0;
}

static bool
sources_are_gone(const struct service *s)
{
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->status != DEPLOYMENT_PRIMARY &&
            (d->count.wanted > 0 || d->count.before_stopping > 0))
            return false; /* some of the old may still take traffic */
    }
    return true;
}

static void
note_steadiness(struct core *core, struct service *s, bool is_whole)
{
    if (!is_whole) {
        moves_lose_steadiness(core, s);
        return;
    }
    if (s->is_steady)
        return;
    s->is_steady = true;
    if (s->balances_zones)
        core_queue(core, s); /* once more, for zones_balance() */
    said_flush(core);
    said_no_complaint(core, s);
    said_event(core, s, "(service %s) has reached a steady state.", s->name);
}

static bool
has_succeeded(struct core *core, struct service *s, const struct deployment *p, bool is_whole)
{
    const int early = early_count(s);

    if (s->course.is_on) /* on its way forward it was whole, and proved, before CLEAN_UP */
        return s->course.stage == STAGE_CLEAN_UP && !s->course.is_frozen &&
               (is_whole || (!s->course.is_returning && sources_are_gone(s)));
    if (!is_whole && (early < 0 || p->count.healthy < early ||
                      (!s->config.strategy.cleans_up_later && !sources_are_gone(s))))
        return false;
    return rolling_has_passed(core, s) && rollout_has_baked(core, s);
}

static void
finish(struct core *core, struct service *s)
{
    const struct scene sc = moves_look(core, s);
    struct deployment *p = sc.primary;
    int beside, beside_healthy; /* daemons that leave an instance last */
    bool is_whole;

    if (p == NULL || p->is_failed)
        return;
    beside = s->is_daemon ? p->count.leaving : 0;
    beside_healthy = s->is_daemon ? p->count.leaving_healthy : 0;
    if (p->desired_count != sc.desired) {
        p->desired_count = sc.desired;
        core_touch_service(core, s);
    }
    is_whole = p->count.wanted - beside == sc.desired &&
               p->count.healthy - beside_healthy == sc.desired && sources_are_gone(s);
    note_steadiness(core, s, is_whole);
    if (p->rollout_state == ROLLOUT_IN_PROGRESS && has_succeeded(core, s, p, is_whole))
        rollout_complete(core, s);
    else if (!progress_judge(core, s) && p->rollout_state == ROLLOUT_COMPLETED)
        rollout_retire_sources(core, s);
}

static void
drain_service(struct core *core, struct service *s)
{
    bool is_empty = true;

    for (struct task *t = s->live; t != NULL; t = t->next_live) {
        char reason[REASON_SIZE];
        if (task_is_wanted(t)) {
            snprintf(reason, sizeof(reason), "Scaling activity initiated by (%s %s)",
                     deployment_word(t->deployment), t->deployment_id);
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
next_deadline_ms(const struct core *core, const struct service *s, const struct task *awaited)
{
    const struct deployment *p = service_primary(s);
    int64_t due = awaited != NULL ? hearing_deadline_ms(core, awaited) : INT64_MAX;

    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        due = earlier(due, task_deadline_ms(core, t));
        if (core_task_is_protected(core, t))
            due = earlier(due, t->protected_until_ms);
    }
    if (s->status != SERVICE_ACTIVE || awaited != NULL)
        return due;
    due = earlier(due, backoff_deadline_ms(core, s));
    if (s->is_external)
        return earlier(due, task_sets_deadline_ms(core, s));
    if (p == NULL)
        return due;
    due = earlier(due, strategy_deadline_ms(core, s));
    due = earlier(due, progress_deadline_ms(core, s));
    if (service_current(s)->bake_until_ms > core->now_ms)
        due = earlier(due, service_current(s)->bake_until_ms);
    if (!p->revision->is_resolved && p->revision->resolve_at_ms > core->now_ms)
        due = earlier(due, p->revision->resolve_at_ms);
    return due;
}

void
deployment_advance(struct core *core, struct service *s, struct effects *out)
{
    const struct task *awaited;
    int rounds = 0;

    assert(core->index->out == out);
    for (struct task *t = s->live, *next; t != NULL; t = next) {
        next = t->next_live;
        task_advance(core, t);
    }
    awaited = s->status == SERVICE_ACTIVE ? hearing_awaited(core, s) : NULL;
    s->is_awaiting_word = awaited != NULL;
    if (s->is_awaiting_word) {
        hearing_complain(core, s, awaited);
        progress_awaits_word(core, s);
        (void)rollout_judge(core, s); /* what was told already counts at once */
        if (s->is_external)
            task_sets_note_steadiness(core, s);
    } else if (s->status == SERVICE_ACTIVE && s->is_external) {
        task_sets_advance(core, s);
        core_wait_for_place(core, s);
    } else if (s->status == SERVICE_ACTIVE) {
        if (!s->course.is_on)
            zones_balance(core, s);
        while (s->is_daemon ? daemon_move(core, s) : move(core, s)) {
            rounds++;
            assert(rounds < ROUNDS_MAX);
        }
        finish(core, s);
        core_wait_for_place(core, s);
    } else if (s->status == SERVICE_DRAINING) {
        drain_service(core, s);
    }
    said_flush(core);
    core_set_wake(core, s, next_deadline_ms(core, s, awaited));
}
