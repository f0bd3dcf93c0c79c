/* SPDX-License-Identifier: MIT */
#include "core/progress.h"
#include "core/backoff.h"
#include "core/rolling_hooks.h"
#include "core/rollout.h"

/* Woken so much after it had asked for, naru itself stood still; reports of progress may be on
 * their way, and get a moment more. */
#define LATE_MS 1000

static struct service_deployment *
watched(const struct service *s, const struct deployment *p)
{
    struct service_deployment *sd = service_current(s);

    return p == NULL || p->rollout_state != ROLLOUT_IN_PROGRESS || sd == NULL || sd_is_finished(sd)
               ? NULL
               : sd;
}

static int64_t
limit_ms(const struct service *s)
{
    return s->options.progress_deadline_s * 1000LL;
}

/* A course has its fleet from SCALE_UP on, and is proved before CLEAN_UP; on its way back the others
 * serve already. */
static bool
lacks_tasks(const struct service *s, const struct deployment *p)
{
    const struct course *c = &s->course;

    if (c->is_on && (c->stage < STAGE_SCALE_UP || c->stage >= STAGE_CLEAN_UP || c->is_returning ||
                     c->is_frozen))
        return false;
    return p->count.healthy < s->desired_count && !rolling_holds(s);
}

static bool
is_out_of_reach(const struct service *s, const struct deployment *p)
{
    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if (t->deployment == p && task_is_wanted(t) && !t->is_healthy_now && t->instance != NULL &&
            !t->instance->is_connected)
            return true;
    }
    return false;
}

static bool
is_held(const struct service *s)
{
    if (s->course.is_on || s->is_daemon)
        return false; /* is_held is of the last look of a rolling update */
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->is_held)
            return true;
    }
    return false;
}

/* The lack of places is to blame as long as whoever has one is healthy: it does not excuse a task
 * that fails, nor that its replacement has to wait. */
static bool
lacks_places(const struct service *s, const struct deployment *p)
{
    return s->lacks_place && p->count.healthy >= p->count.wanted;
}

/* It failed last, and what comes of the next try is not known yet. */
static bool
lacks_environment(const struct core *core, const struct service *s, const struct deployment *p)
{
    return s->environment_failed &&
           (!backoff_is_over(core, s, p) || p->count.wanted > p->count.healthy);
}

static bool
must_stand(const struct core *core, const struct service *s, const struct deployment *p)
{
    const struct revision *r = p->revision;

    return lacks_environment(core, s, p) || lacks_places(s, p) ||
           (!r->is_resolved && r->resolve_failures > 0) || !core_any_is_connected(core) ||
           is_out_of_reach(s, p) || is_held(s);
}

/* More than all may be spent when the clock begins to run again, since a tag has changed or a look
 * came late; there is a moment left then, or a task would be started in the very step that fails. */
static int64_t
end_ms(const struct service *s, const struct service_deployment *sd)
{
    const int64_t left_ms = limit_ms(s) - sd->stalled_ms;

    return sd->clock_from_ms + (left_ms > LATE_MS ? left_ms : LATE_MS);
}

static void
set_spent(struct core *core, struct service *s, struct service_deployment *sd, int64_t spent_ms)
{
    if (sd->stalled_ms == spent_ms)
        return;
    sd->stalled_ms = spent_ms;
    core_touch_service(core, s);
}

static void
stand(struct core *core, struct service *s, struct service_deployment *sd)
{
    if (sd->clock_from_ms == 0)
        return;
    if (core->now_ms > sd->clock_from_ms) /* behind a late step it runs from soon on */
        set_spent(core, s, sd, sd->stalled_ms + core->now_ms - sd->clock_from_ms);
    sd->clock_from_ms = 0;
}

bool
progress_judge(struct core *core, struct service *s)
{
    const struct deployment *p = service_primary(s);
    struct service_deployment *sd = watched(s, p);
    const int64_t limit = limit_ms(s);

    if (sd == NULL)
        return false;
    if (limit == 0 || p->count.healthy > sd->most_healthy) {
        sd->most_healthy = p->count.healthy;
        sd->clock_from_ms = sd->moments_ms = 0;
        set_spent(core, s, sd, 0);
    }
    if (limit == 0)
        return false;
    if (!lacks_tasks(s, p) || must_stand(core, s, p)) {
        stand(core, s, sd);
        return false;
    }
    if (sd->clock_from_ms == 0)
        sd->clock_from_ms = core->now_ms;
    if (core->now_ms < end_ms(s, sd))
        return false;
    rollout_out_of_time(core, s, (int)(limit / 1000));
    return true;
}

void
progress_awaits_word(struct core *core, struct service *s)
{
    struct service_deployment *sd = watched(s, service_primary(s));

    if (sd != NULL)
        stand(core, s, sd);
}

int64_t
progress_deadline_ms(const struct core *core, const struct service *s)
{
    const struct service_deployment *sd = watched(s, service_primary(s));
    int64_t due_ms;

    if (sd == NULL || sd->clock_from_ms == 0)
        return INT64_MAX;
    due_ms = end_ms(s, sd);
    return due_ms > core->now_ms ? due_ms : INT64_MAX;
}

void
progress_agents_changed(struct core *core)
{
    for (struct service *s = core->services; s != NULL; s = s->next) {
        if (s->status == SERVICE_ACTIVE && watched(s, service_primary(s)) != NULL)
            core_queue(core, s);
    }
}

/* What was reported meanwhile is on its way. */
static void
give_moment(const struct core *core, const struct service *s, struct service_deployment *sd)
{
    const int64_t lacking_ms = core->now_ms + REPORTS_TAKE_MS - end_ms(s, sd),
                  given_ms = earlier(lacking_ms, REPORTS_TAKE_MS - sd->moments_ms);

    if (given_ms <= 0)
        return;
    sd->moments_ms += given_ms;
    sd->clock_from_ms += given_ms;
}

void
progress_was_late(struct core *core, int64_t late_ms)
{
    if (late_ms <= LATE_MS)
        return;
    for (struct service *s = core->services; s != NULL; s = s->next) {
        struct service_deployment *sd = service_current(s);

        if (sd == NULL || sd->clock_from_ms == 0)
            continue;
        sd->clock_from_ms += late_ms;
        give_moment(core, s, sd);
    }
}

void
progress_anew(struct core *core)
{
    for (struct service *s = core->services; s != NULL; s = s->next) {
        struct service_deployment *sd = service_current(s);

        if (sd == NULL || sd->clock_from_ms == 0)
            continue;
        sd->clock_from_ms = core->now_ms;
        core_queue(core, s);
    }
}
