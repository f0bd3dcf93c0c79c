/* SPDX-License-Identifier: MIT */
#include "shown.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool
complain(struct complaint *out, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(out->text, sizeof(out->text), format, args);
    va_end(args);
    return false;
}

#define LATE_MS 1000 /* as the core's */
#define LOOK_EVERY_MS 1000 /* as the engine's */

/* ---- tasks ---- */

static bool
is_in_order(const struct task *t)
{
    const int64_t ends_ms = t->stopped_at_ms != 0 ? t->stopped_at_ms : INT64_MAX;

    return t->created_at_ms > 0 &&
           (t->started_at_ms == 0 || t->started_at_ms >= t->created_at_ms) &&
           (t->stopping_at_ms == 0 || t->stopping_at_ms >= t->created_at_ms) &&
           t->started_at_ms <= ends_ms && t->stopping_at_ms <= ends_ms;
}

bool
task_is_shown_well(const struct task *t, int version_before, bool told_stopped,
                   struct complaint *out)
{
    if (t->version <= version_before)
        return complain(out, "version of task %.8s went from %d to %d", t->id, version_before,
                        t->version);
    if (told_stopped && t->last_status != TASK_STOPPED)
        return complain(out, "task %.8s left STOPPED", t->id);
    if (!is_in_order(t))
        return complain(out, "the times of task %.8s are not in order", t->id);
    return true;
}

bool
launch_is_allowed(const struct task *t, struct complaint *out)
{
    const struct service *s = t->service;
    const struct deployment *p = service_primary(s);
    const struct service_deployment *sd = service_current(s);

    if (p == NULL || t->deployment != p || !s->config.breaker.enable ||
        (s->course.is_on && s->course.stage == STAGE_CLEAN_UP)) /* proved: it is not watched */
        return true;
    if (p->is_failed)
        return complain(out, "%s failed and starts task %.8s", p->id, t->id);
    if (sd->finished_at_ms == 0 && sd->breaker_failures >= sd->breaker_threshold &&
        strcmp(sd->deployment_id, p->id) == 0)
        return complain(out, "promise 3: %s starts task %.8s after %d failures of %d", p->id, t->id,
                        sd->breaker_failures, sd->breaker_threshold);
    return true;
}

/* ---- deployments ---- */

static bool
was_completed(const struct completed *c, const char *id)
{
    return strmap_get(&c->by_id, id) != NULL;
}

static void
note_completed(struct completed *c, const struct deployment *p)
{
    if (p->rollout_state != ROLLOUT_COMPLETED || was_completed(c, p->id))
        return;
    if (c->count == c->capacity) {
        c->capacity = c->capacity == 0 ? 16 : c->capacity * 2;
        c->ids = mem_grow(c->ids, (size_t)c->capacity, sizeof(c->ids[0]));
    }
    text_copy(c->ids[c->count++], ID_SIZE, str_of(p->id));
    strmap_put(&c->by_id, p->id, c);
}

void
completed_cut(struct completed *c, int count)
{
    while (c->count > count)
        strmap_remove(&c->by_id, c->ids[--c->count]);
}

void
completed_done(struct completed *c)
{
    strmap_done(&c->by_id);
    free(c->ids);
}

/* What `aws ecs wait services-stable` looks at: one deployment, and all its tasks run. */
static bool
looks_stable(const struct core *core, const struct service *s)
{
    int shown = 0;

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
        shown += d->status != DEPLOYMENT_INACTIVE;
    return shown == 1 && core_counts(core, s, NULL).running == s->desired_count;
}

/* Promise 8: the newest complete deployment besides the present one can be returned to. */
static bool
has_way_back(const struct core *core, const struct service *s, const struct deployment *p,
             const struct completed *completed, struct complaint *out)
{
    const struct deployment *target = core_rollback_target(core, s);

    if (p->rollout_state != ROLLOUT_IN_PROGRESS || target == NULL)
        return true;
    if (!was_completed(completed, target->id))
        return complain(out, "promise 4: %s would return to %s, which never was COMPLETED", s->name,
                        target->id);
    if (target->revision == NULL || service_find_revision(s, target->revision->arn) == NULL)
        return complain(out, "promise 8: the revision of %s is gone", target->id);
    return true;
}

bool
service_is_shown_well(const struct core *core, const struct service *s, struct completed *completed,
                      struct complaint *out)
{
    const struct deployment *p = service_primary(s);
    const struct service_deployment *sd = service_current(s);

    if (s->status != SERVICE_ACTIVE)
        return sd == NULL || sd->finished_at_ms != 0 ||
               complain(out, "promise 3: %s is deleted and %s goes on", s->name, sd->id);
    if (p == NULL)
        return complain(out, "%s has no PRIMARY", s->name);
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
        note_completed(completed, d); /* one that is in CLEAN_UP completes when a newer one comes */
    if (p->is_rollback && !was_completed(completed, p->id))
        return complain(out, "promise 4: %s returned to %s, which never was COMPLETED", s->name,
                        p->id);
    if (!has_way_back(core, s, p, completed, out))
        return false;
    if (p->rollout_state == ROLLOUT_IN_PROGRESS && sd->next != NULL && sd->source_count > 0 &&
        looks_stable(core, s))
        return complain(out, "promise 5: %s looks stable while %s is IN_PROGRESS", s->name, p->id);
    return true;
}

bool
waits_have_ended(const struct core *core, int64_t naru_now_ms, struct complaint *out)
{
    for (const struct service *s = core->services; s != NULL; s = s->next) {
        if (s->environment_failed &&
            (s->launches.after_ms > naru_now_ms || s->infrastructure_after_ms > naru_now_ms))
            return complain(out, "promise 3: a host came back, and %s waits on for another %lld ms",
                            s->name, (long long)(s->launches.after_ms - naru_now_ms));
    }
    return true;
}

bool
is_led_well(const struct deployment *p, const char groups[2][BALANCING_ARN_SIZE],
            const int weights[2], struct complaint *out)
{
    const int group = strcmp(deployment_target_group(p, 0), groups[1]) == 0;

    return weights[1 - group] == 0 ||
           complain(out, "promise 5: %s is COMPLETED and HAProxy leads %d/%d", p->id, weights[0],
                    weights[1]);
}

/* ---- naru: tags ---- */

void
watch_begin(struct watch *watch)
{
    watch->deadline_s = 0;
    watch->most_probation_s = 60; /* by default */
}

void
watch_told(struct watch *watch, const struct json *tags)
{
    const struct service_options options = service_options_read(tags);

    watch->deadline_s = options.progress_deadline_s;
    if (watch->most_probation_s < options.probation_s)
        watch->most_probation_s = options.probation_s;
}

bool
is_early_exit(const struct watch *watch, const struct ev_task_state *ev, int64_t told_running_ms,
              int64_t naru_now_ms)
{
    return told_running_ms != 0 && !ev->is_infrastructure && ev->containers[0].exit_code != 0 &&
           naru_now_ms - told_running_ms < watch->most_probation_s * 1000LL;
}

void
still_begin(struct still *still, int64_t naru_now_ms, int64_t now_ms, int64_t until_ms)
{
    still->look_ms = now_ms < until_ms ? naru_now_ms + LOOK_EVERY_MS : INT64_MAX;
}

void
still_note(struct still *still, const struct core *core, int64_t naru_now_ms, int64_t now_ms)
{
    const int64_t due_ms = core_deadline_ms(core), went_by_ms = now_ms - still->stepped_ms;
    const int64_t told_ms = core_stood_still_ms(core, still->look_ms, naru_now_ms),
                  late_ms = later(told_ms, due_ms == INT64_MAX ? 0 : naru_now_ms - due_ms);

    if (late_ms > LATE_MS)
        still->stood_ms += late_ms < went_by_ms ? late_ms : went_by_ms;
    still->stepped_ms = now_ms;
}

void
still_looks(struct still *still, const struct core *core, int64_t naru_now_ms, int64_t now_ms)
{
    still_note(still, core, naru_now_ms, now_ms);
    still->look_ms = INT64_MAX;
}

int64_t
deadline_due_ms(const struct core *core, const struct still *still, int64_t skew_ms, int64_t stalled_until_ms)
{
    int64_t due_ms = core == NULL ? INT64_MAX : earlier(core_deadline_ms(core), still->look_ms);

    if (due_ms != INT64_MAX)
        due_ms -= skew_ms;
    return due_ms < stalled_until_ms ? stalled_until_ms : due_ms;
}

bool
progress_is_judged_well(struct watch *watch, const struct service *now, int healthy, int64_t now_ms,
                        int64_t stood_ms, bool is_stalled, struct complaint *out)
{
    const int64_t spent_ms = now_ms - watch->progress_ms - (stood_ms - watch->stood_ms);
    const struct deployment *p = service_primary(now);
    const struct service_deployment *sd = service_current(now);
    const bool is_late =
        sd != NULL && strstr(sd->status_reason, "no more of its tasks became healthy") != NULL;
    bool is_well = true;

    if (p == NULL || sd == NULL)
        return true;
    if (is_late && !is_stalled && strcmp(watch->late_id, sd->id) != 0) {
        text_copy(watch->late_id, ID_SIZE, str_of(sd->id));
        if (watch->deadline_s == 0 || strcmp(watch->watched_id, sd->id) != 0 ||
            spent_ms < watch->deadline_s * 1000LL)
            is_well = complain(out, "promise 5: %s is too slow after %lld ms, its deadline is %d s",
                               p->id, (long long)spent_ms, watch->deadline_s);
    }
    if (strcmp(watch->watched_id, sd->id) == 0 && (is_stalled || healthy <= watch->most_healthy))
        return is_well;
    text_copy(watch->watched_id, ID_SIZE, str_of(sd->id));
    watch->most_healthy = healthy;
    watch->progress_ms = now_ms;
    watch->stood_ms = stood_ms;
    return is_well;
}

static const struct deployment *
failed_probation(const struct service *s)
{
    const struct deployment *newest = NULL;

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->rollout_state == ROLLOUT_FAILED && strstr(d->rollout_reason, "probation") != NULL &&
            (newest == NULL || d->updated_at_ms > newest->updated_at_ms))
            newest = d;
    }
    return newest;
}

static bool
is_after_probation(const struct service_deployment *sd)
{
    return sd != NULL && strstr(sd->rollback_reason, "probation") != NULL;
}

bool
is_taken_back(struct watch *watch, const struct service *now, const struct deployment **failed_out)
{
    const struct service_deployment *sd = service_current(now);

    if (!is_after_probation(sd) || strcmp(watch->taken_back_id, sd->id) == 0)
        return false;
    text_copy(watch->taken_back_id, ID_SIZE, str_of(sd->id));
    *failed_out = failed_probation(now);
    return true;
}

bool
probation_is_judged_well(const struct service *now, bool is_news, int exits, struct complaint *out)
{
    const struct service_deployment *sd = service_current(now);

    if (!is_after_probation(sd))
        return true;
    if (sd->status == SD_SUCCESSFUL)
        return complain(out, "promise 5: %s took a deployment back, and calls that a success",
                        sd->id);
    if (!is_news)
        return true;
    if (exits < 3)
        return complain(out, "promise 5: %s took a deployment back for %d early exits", sd->id,
                        exits);
    if (!now->config.breaker.enable || !now->config.breaker.rollback)
        return complain(out, "promise 5: %s took a deployment back unasked", sd->id);
    return true;
}
