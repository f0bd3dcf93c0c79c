/* SPDX-License-Identifier: MIT */
#include "core/task_set.h"
#include <assert.h>
#include <stdio.h>
#include "core/moves.h"
#include "core/placement.h"
#include "core/protection.h"
#include "core/requests.h"
#include "core/rollout.h"
#include "core/said.h"
#include "core/targets.h"
#include "core/task_lifecycle.h"
#include "model/arn.h"

#define ROUNDS_MAX 64 /* as of deployment_advance() */

/* ---- what operators ask for ---- */

static void
note_stability(struct core *core, struct service *s, struct task_set *set, bool is_steady)
{
    const enum stability_status now = is_steady ? STABILITY_STEADY_STATE : STABILITY_STABILIZING;

    if (set->stability == now)
        return;
    set->stability = now;
    set->stability_at_ms = core->now_ms;
    core_touch_service(core, s);
}

static void
resize(struct core *core, struct service *s, struct deployment *d)
{
    const int count = task_set_count(d->set, s->desired_count);

    core_touch_service(core, s);
    core_queue(core, s);
    if (d->desired_count == count)
        return;
    d->desired_count = count;
    d->updated_at_ms = core->now_ms;
    said_event(core, s, "(service %s) updated computedDesiredCount for taskSet %s to %d.", s->name,
               d->id, count);
}

static struct revision *
make_revision(struct core *core, struct service *s, const struct ev_task_set_create *ev)
{
    const struct task_definition *td =
        strmap_get(&core->index->definitions, ev->task_definition_arn);
    struct revision *r;

    assert(td != NULL);
    r = revision_new(core, s, td);
    r->launch_type = ev->launch_type;
    revision_set_load_balancers(r, ev->load_balancers, ev->load_balancer_count);
    r->doc = ev->revision_doc == NULL ? NULL : json_ref(ev->revision_doc);
    return r;
}

static struct task_set *
make_set(const struct core *core, const struct service *s, const struct ev_task_set_create *ev,
         const char *id)
{
    struct task_set *set = mem_new(sizeof(*set));

    text_copy_all(set->external_id, sizeof(set->external_id), ev->external_id);
    text_copy_all(set->client_token, sizeof(set->client_token), ev->client_token);
    arn_format(set->arn, "ecs", s->region, core->options.account, "task-set/%s/%s/%s",
               s->cluster_name, s->name, id);
    set->scale = ev->scale;
    set->stability_at_ms = core->now_ms;
    replace_doc(&set->tags, ev->tags);
    replace_doc(&set->request, ev->request);
    return set;
}

/* After the PRIMARY, before the older ones. */
static void
insert(struct service *s, struct deployment *d)
{
    struct deployment **at = &s->deployments;

    while (*at != NULL && (*at)->status == DEPLOYMENT_PRIMARY)
        at = &(*at)->next;
    d->next = *at;
    *at = d;
}

void
task_set_create(struct core *core, const struct ev_task_set_create *ev)
{
    struct service *s = core_service_by_arn(core, ev->service_arn);
    struct deployment *d = mem_new(sizeof(*d));
    char number[ID_SIZE];

    assert(s != NULL && s->is_external && s->status == SERVICE_ACTIVE);
    assert(ev->scale >= 0 && ev->scale <= SCALE_WHOLE);
    d->revision = make_revision(core, s, ev);
    core_next_number(core, number);
    snprintf(d->id, sizeof(d->id), "ecs-svc/%.32s", number);
    d->set = make_set(core, s, ev, d->id);
    d->status = DEPLOYMENT_ACTIVE;
    d->desired_count = task_set_count(d->set, s->desired_count);
    d->created_at_ms = d->updated_at_ms = core->now_ms;
    insert(s, d);
    rollout_prune(core, s);
    core_touch_service(core, s);
    core_queue(core, s);
}

void
task_set_scale(struct core *core, const struct ev_task_set_scale *ev)
{
    struct service *s = NULL;
    struct deployment *d = core_task_set(core, ev->arn, &s);

    assert(d != NULL && s->status == SERVICE_ACTIVE && !d->set->is_draining);
    assert(ev->scale >= 0 && ev->scale <= SCALE_WHOLE);
    d->set->launches = (struct launches){0}; /* as after every update of a service (ecs.md 5.9) */
    if (d->set->scale != ev->scale) {
        d->set->scale = ev->scale;
        d->updated_at_ms = core->now_ms;
    }
    resize(core, s, d);
}

void
task_set_promote(struct core *core, const struct ev_task_set_promote *ev)
{
    struct service *s = NULL;
    struct deployment *d = core_task_set(core, ev->arn, &s), *before, **at;

    assert(d != NULL && s->status == SERVICE_ACTIVE && !d->set->is_draining);
    before = service_primary(s);
    if (before == d)
        return;
    if (before != NULL) {
        before->status = DEPLOYMENT_ACTIVE;
        before->updated_at_ms = core->now_ms;
    }
    for (at = &s->deployments; *at != d;)
        at = &(*at)->next;
    *at = d->next;
    d->next = s->deployments;
    s->deployments = d;
    d->status = DEPLOYMENT_PRIMARY;
    d->updated_at_ms = core->now_ms;
    core_touch_service(core, s);
    core_queue(core, s);
}

void
task_set_delete(struct core *core, const struct ev_task_set_delete *ev)
{
    struct service *s = NULL;
    struct deployment *d = core_task_set(core, ev->arn, &s);

    assert(d != NULL && s->status == SERVICE_ACTIVE);
    if (d->set->is_draining)
        return;
    d->set->is_draining = true;
    d->status = DEPLOYMENT_ACTIVE;
    d->updated_at_ms = core->now_ms;
    resize(core, s, d);
}

void
task_sets_resize(struct core *core, struct service *s)
{
    assert(s->is_external);
    for (struct deployment *d = s->deployments; d != NULL; d = d->next)
        resize(core, s, d);
}

void
task_sets_abandon(struct service *s)
{
    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->set == NULL)
            continue;
        d->set->is_draining = true;
        d->status = DEPLOYMENT_ACTIVE;
    }
}

/* ---- launching ---- */

static int
launch(struct core *core, struct service *s, struct deployment *d, struct scene *sc)
{
    const int count = smaller(sc->wanted_new, sc->total_max - sc->total);

    sc->can_launch = moves_may_launch(core, s, d) && d->revision->is_resolved;
    if (sc->wanted_new <= 0 || !moves_may_launch(core, s, d) || !revision_resolve(core, s, d->revision) ||
        count <= 0)
        return 0;
    return moves_launch(core, s, d, count, smaller(d->count.marked, count), sc);
}

/* ---- stopping: filters for the set whose turn it is ---- */

static bool
is_good(const struct service *s, const struct task *t)
{
    return t->deployment->has_turn && !t->is_unhealthy_marked && !place_is_leaving(t);
}

static bool
is_marked(const struct service *s, const struct task *t)
{
    return t->deployment->has_turn && t->is_unhealthy_marked;
}

static bool
is_going(const struct service *s, const struct task *t)
{
    return t->deployment->has_turn && place_is_leaving(t);
}

static bool
is_going_unhealthy(const struct service *s, const struct task *t)
{
    return is_going(s, t) && !t->is_healthy_now;
}

static bool
is_starting_to_leave(const struct service *s, const struct task *t)
{
    return is_going(s, t) && t->last_status < TASK_RUNNING;
}

/* Its scale is smaller, or a marked task recovered after its replacement had come. */
static int
stop_surplus(struct core *core, struct service *s, struct deployment *d, struct scene *sc)
{
    struct task *t;
    int done = 0;

    while (d->count.wanted - d->count.marked - d->count.leaving > sc->desired &&
           (t = moves_pick_victim(core, s, sc, is_good)) != NULL) {
        /* The others may be protected, and not healthy yet. */
        if (t->is_healthy_now && d->count.healthy <= sc->desired)
            break;
        moves_take_out(core, sc, t);
        done++;
    }
    return done;
}

/* Off the instances that are being drained (ecs.md 5.11), as others take their place. */
static int
stop_leaving(struct core *core, struct service *s, struct scene *sc)
{
    int done = moves_stop_while(core, s, sc, is_starting_to_leave, INT32_MAX);

    if (sc->healthy >= sc->desired && sc->total > sc->desired)
        done += moves_stop_while(core, s, sc, is_going_unhealthy, sc->total - sc->desired);
    if (sc->healthy > sc->desired)
        done += moves_stop_while(core, s, sc, is_going, sc->healthy - sc->desired);
    if (done == 0 && moves_is_blocked(sc))
        done += moves_stop_while(core, s, sc, is_going, sc->wanted_new);
    return done;
}

static void
stop_all(struct core *core, struct service *s, const struct deployment *d)
{
    char reason[REASON_SIZE];

    snprintf(reason, sizeof(reason), "Scaling activity initiated by (taskSet %s)", d->id);
    for (struct task *t = s->live; t != NULL; t = t->next_live) {
        if (t->deployment == d)
            task_stop(core, t, STOP_ServiceSchedulerInitiated, reason);
    }
}

/* ---- the loop ---- */

/* One round of one set; 0 once nothing moves any more. */
static int
move(struct core *core, struct service *s, struct deployment *d)
{
    struct scene sc = moves_look_at(s, d);
    int moved = 0;

    d->is_held = false;
    if (d->set->is_draining) {
        stop_all(core, s, d);
        return 0;
    }
    d->has_turn = true;
    moved = launch(core, s, d, &sc);
    if (moved == 0)
        moved = stop_surplus(core, s, d, &sc);
    if (moved == 0)
        moved = moves_stop_marked(core, s, &sc, is_marked);
    if (moved == 0)
        moved = stop_leaving(core, s, &sc);
    d->has_turn = false;
    return moved;
}

/* By whatever is checked; a task without checks is as well as it runs. */
static bool
is_well(const struct core *core, const struct task *t)
{
    if (t->last_status != TASK_RUNNING || place_is_leaving(t))
        return false;
    if (task_definition_has_health_check(t->definition) && t->health != HEALTH_HEALTHY)
        return false;
    return targets_are_healthy(core, t);
}

static bool
is_stable(const struct core *core, const struct service *s, const struct deployment *d)
{
    int running = 0;

    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if (t->deployment != d || !task_is_wanted(t))
            continue;
        if (!is_well(core, t))
            return false;
        running++;
    }
    return running == d->desired_count;
}

static void
forget_drained(struct core *core, struct service *s)
{
    bool has_gone = false;

    for (struct deployment **at = &s->deployments; *at != NULL;) {
        struct deployment *d = *at;
        if (!d->set->is_draining || deployment_has_tasks(s, d)) {
            at = &d->next;
            continue;
        }
        *at = d->next;
        deployment_free(d);
        has_gone = true;
    }
    if (!has_gone)
        return;
    rollout_prune(core, s);
    core_touch_service(core, s);
}

void
task_sets_note_steadiness(struct core *core, struct service *s)
{
    bool is_whole = s->deployments != NULL;

    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        note_stability(core, s, d->set, is_stable(core, s, d));
        is_whole &= d->set->stability == STABILITY_STEADY_STATE && !d->set->is_draining;
    }
    if (!is_whole) {
        moves_lose_steadiness(core, s);
        return;
    }
    if (s->is_steady)
        return;
    s->is_steady = true;
    said_flush(core);
    said_no_complaint(core, s);
    said_event(core, s, "(service %s) has reached a steady state.", s->name);
}

void
task_sets_advance(struct core *core, struct service *s)
{
    int rounds = 0, moved;

    do {
        moved = 0;
        s->lacks_place = false;
        for (struct deployment *d = s->deployments; d != NULL; d = d->next)
            moved += move(core, s, d);
        assert(++rounds < ROUNDS_MAX);
    } while (moved > 0);
    protection_complain(core, s);
    forget_drained(core, s);
    task_sets_note_steadiness(core, s);
}

int64_t
task_sets_deadline_ms(const struct core *core, const struct service *s)
{
    int64_t due = INT64_MAX;

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (!d->revision->is_resolved && d->revision->resolve_at_ms > core->now_ms)
            due = earlier(due, d->revision->resolve_at_ms);
    }
    return due;
}

/* ---- what must always be true ---- */

void
task_sets_check(const struct service *s)
{
    int count = 0, primaries = 0;

    assert(s->history == NULL && !s->course.is_on);
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        assert(d->set != NULL && !d->has_turn);
        assert(d->set->scale >= 0 && d->set->scale <= SCALE_WHOLE);
        count++;
        primaries += d->status == DEPLOYMENT_PRIMARY;
        assert((d->status == DEPLOYMENT_INACTIVE) == (s->status == SERVICE_INACTIVE));
        assert(d->status != DEPLOYMENT_PRIMARY || (d == s->deployments && !d->set->is_draining));
        assert(s->status == SERVICE_ACTIVE || d->set->is_draining);
        assert(d->desired_count == task_set_count(d->set, s->desired_count));
    }
    assert(count <= TASK_SETS_MAX && primaries <= 1);
}
