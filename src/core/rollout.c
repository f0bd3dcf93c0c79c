/* SPDX-License-Identifier: MIT */
#include "core/rollout.h"
#include <assert.h>
#include <stdio.h>
#include "core/alarms.h"
#include "core/backoff.h"
#include "core/deployment.h"
#include "core/parts.h"
#include "core/probation.h"
#include "model/arn.h"
#include "core/said.h"
#include "core/strategy.h"
#include "core/task_set.h"
#include "core/traffic_shift.h"

#define DEPLOYMENTS_KEPT 20
#define HISTORY_KEPT 40
#define REVISIONS_KEPT 60
#define IN_PROGRESS_TEXT "ECS deployment %s in progress."

bool
sd_is_finished(const struct service_deployment *sd)
{
    switch (sd->status) {
    case SD_SUCCESSFUL:
    case SD_STOPPED:
    case SD_ROLLBACK_SUCCESSFUL:
    case SD_ROLLBACK_FAILED:
        return true;
    default:
        return false;
    }
}

static void
set_rollout(struct core *core, struct deployment *d, enum rollout_state state, const char *format)
{
    d->rollout_state = state;
    d->updated_at_ms = core->now_ms;
    d->rollout_reason[0] = '\0';
    /* Every format is a literal of this file with at most one %s. */
    for (const char *p = format; *p != '\0';) {
        size_t len = strlen(d->rollout_reason);
        const char *mark = strstr(p, "%s");
        const size_t piece = mark == NULL ? strlen(p) : (size_t)(mark - p);
        snprintf(d->rollout_reason + len, sizeof(d->rollout_reason) - len, "%.*s%s", (int)piece, p,
                 mark == NULL ? "" : d->id);
        p += piece + (mark == NULL ? 0 : 2);
    }
}

static void
sd_touch(struct core *core, struct service_deployment *sd, enum sd_status status)
{
    sd->status = status;
    sd->updated_at_ms = core->now_ms;
}

static void
sd_finish(struct core *core, struct service_deployment *sd, enum sd_status status,
          const char *reason)
{
    assert(!sd_is_finished(sd));
    sd_touch(core, sd, status);
    assert(sd_is_finished(sd));
    sd->finished_at_ms = core->now_ms;
    if (status != SD_SUCCESSFUL)
        sd->stopped_at_ms = core->now_ms;
    if (sd->breaker_status == BREAKER_MONITORING)
        sd->breaker_status = BREAKER_MONITORING_COMPLETE;
    if (sd->alarm_status == BREAKER_MONITORING)
        sd->alarm_status = BREAKER_MONITORING_COMPLETE;
    if (reason != NULL)
        snprintf(sd->status_reason, sizeof(sd->status_reason), "%s", reason);
}

/* Is it about going back?  One that takes a complete deployment back is of its own, and goes its way like
 * any other until it ends. */
static bool
sd_is_return(const struct service_deployment *sd)
{
    return sd->rollback_started_at_ms != 0;
}

static void
sd_succeed(struct core *core, struct service_deployment *sd, const char *reason)
{
    sd_finish(core, sd, sd_is_return(sd) ? SD_ROLLBACK_SUCCESSFUL : SD_SUCCESSFUL, reason);
}

static int
count_wanted(const struct service *s, const struct deployment *d)
{
    int n = 0;

    for (const struct task *t = s->live; t != NULL; t = t->next_live)
        n += t->deployment == d && task_is_wanted(t);
    return n;
}

/* The PRIMARY steps back and is drained like any source.  One that was complete keeps its whole
 * count (what dies of it meanwhile is replaced, ecs.md 5.6); an unfinished one only what it has. */
static void
demote(struct core *core, struct service *s, struct deployment *d)
{
    d->status = DEPLOYMENT_ACTIVE;
    d->updated_at_ms = core->now_ms;
    d->desired_count =
        d->rollout_state == ROLLOUT_COMPLETED ? s->desired_count : count_wanted(s, d);
}

/* ---- begin ---- */

static void
note_sources(struct service *s, struct service_deployment *sd)
{
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->status == DEPLOYMENT_INACTIVE ||
            sd->source_count == (int)ARRAY_COUNT(sd->source_revision_arns))
            continue;
        text_copy(sd->source_revision_arns[sd->source_count++], ARN_SIZE, str_of(d->revision->arn));
    }
}

static struct service_deployment *
sd_begin(struct core *core, struct service *s, const struct revision *target)
{
    struct service_deployment *sd = mem_new(sizeof(*sd));
    const struct breaker_config *breaker = &s->config.breaker;

    rng_token(&core->rng, sd->id, 21);
    arn_format(sd->arn, "ecs", s->region, core->options.account, "service-deployment/%s/%s/%s",
               s->cluster_name, s->name, sd->id);
    text_copy(sd->target_revision_arn, ARN_SIZE, str_of(target->arn));
    note_sources(s, sd);
    sd->status = SD_IN_PROGRESS;
    sd->breaker_status = breaker->enable ? BREAKER_MONITORING : BREAKER_DISABLED;
    sd->breaker_threshold = deployment_breaker_threshold(breaker, s->desired_count);
    sd->alarm_status = s->config.watches_alarms && alarms_triggered(core, s) == NULL
                           ? BREAKER_MONITORING
                           : BREAKER_DISABLED;
    sd->created_at_ms = sd->started_at_ms = sd->updated_at_ms = core->now_ms;
    sd->config = s->config.doc == NULL ? NULL : json_ref(s->config.doc);
    sd->next = s->history;
    s->history = sd;
    core_touch_meta(core);
    return sd;
}

/* It has all the traffic and was proved; what is left of its CLEAN_UP is the newer one's. */
static void
end_proved(struct core *core, struct service *s)
{
    struct deployment *d = service_primary(s);

    set_rollout(core, d, ROLLOUT_COMPLETED, "ECS deployment %s completed.");
    d->completed_at_ms = core->now_ms;
    sd_succeed(core, service_current(s),
               "Service deployment succeeded; a newer service deployment started during CLEAN_UP.");
}

void
rollout_begin(struct core *core, struct service *s, struct revision *revision)
{
    struct service_deployment *before = service_current(s);
    struct deployment *old = service_primary(s);
    struct deployment *d = mem_new(sizeof(*d));
    struct service_deployment *sd;
    char number[ID_SIZE];

    if (strategy_is_cleaning_up(s))
        end_proved(core, s);
    else if (before != NULL && !sd_is_finished(before))
        sd_finish(core, before, SD_STOPPED,
                  "Service deployment stopped because a newer service deployment started.");
    sd = sd_begin(core, s, revision);
    if (old != NULL)
        demote(core, s, old);
    core_next_number(core, number);
    snprintf(d->id, sizeof(d->id), "ecs-svc/%.32s", number);
    text_copy(sd->deployment_id, ID_SIZE, str_of(d->id));
    d->status = DEPLOYMENT_PRIMARY;
    d->revision = revision;
    d->desired_count = s->desired_count;
    d->created_at_ms = core->now_ms;
    set_rollout(core, d, ROLLOUT_IN_PROGRESS, IN_PROGRESS_TEXT);
    d->next = s->deployments;
    s->deployments = d;
    backoff_end(s);
    s->is_steady = false;
    strategy_begin(core, s);
    rollout_prune(core, s);
    core_touch_service(core, s);
    core_queue(core, s);
}

/* ---- failure, rollback ---- */

static void
move_to_front(struct service *s, struct deployment *d)
{
    struct deployment **at = &s->deployments;

    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    d->next = s->deployments;
    s->deployments = d;
}

/* Makes `target` the PRIMARY again, under its old id and with its own digests (ecs.md 6.3). */
static void
restore(struct core *core, struct service *s, struct deployment *target, const char *text)
{
    struct deployment *old = service_primary(s);

    assert(target->status != DEPLOYMENT_PRIMARY);
    if (old != NULL)
        demote(core, s, old);
    move_to_front(s, target);
    target->status = DEPLOYMENT_PRIMARY;
    target->desired_count = s->desired_count;
    target->failed_tasks = target->probation_failures = 0;
    target->is_failed = false;
    target->is_rollback = true;
    set_rollout(core, target, ROLLOUT_IN_PROGRESS, text);
    backoff_end(s);
    s->is_steady = false;
    said_event(core, s, "(service %s) rolling back to deployment %s.", s->name, target->id);
    core_touch_service(core, s);
    core_queue(core, s);
}

/* A deployment under way is undone by its own means: where the traffic was moved, it moves back. */
static void
undo(struct core *core, struct service *s)
{
    struct deployment *p = service_primary(s), *live = service_find_deployment(s, s->live_id);

    if (s->course.is_on)
        strategy_return(core, s);
    else if (live != NULL && live != p)
        traffic_choose_groups(p, live, /* is_beside= */ false);
}

static void
sd_returns_to(struct core *core, struct service_deployment *sd, const struct deployment *target,
              const char *reason)
{
    snprintf(sd->rollback_reason, sizeof(sd->rollback_reason), "%s", reason);
    text_copy(sd->rollback_revision_arn, ARN_SIZE, str_of(target->revision->arn));
    text_copy(sd->rollback_deployment_id, ID_SIZE, str_of(target->id));
    sd->rollback_started_at_ms = core->now_ms;
}

static void
sd_roll_back(struct core *core, struct service_deployment *sd, const struct deployment *target,
             const char *reason)
{
    sd_touch(core, sd, SD_ROLLBACK_IN_PROGRESS);
    snprintf(sd->status_reason, sizeof(sd->status_reason), "%s", reason);
    sd_returns_to(core, sd, target, reason);
    sd->stalled_ms = sd->clock_from_ms = sd->moments_ms = 0;
    sd->most_healthy = 0;
}

static void
fail_primary(struct core *core, struct service *s, struct deployment *d, const char *text)
{
    d->is_failed = true;
    strategy_freeze(core, s);
    set_rollout(core, d, ROLLOUT_FAILED, text);
    core_touch_service(core, s);
    core_queue(core, s);
}

/* Why a deployment failed, in the words of its three readers. */
struct failure {
    const char *rollout;   /* of the deployment, with at most one %s: its id */
    const char *returning; /* of the one restored */
    const char *event;     /* "deployment failed: ..." */
    const char *because;   /* "Service deployment rolled back because ..." */
    bool rolls_back;
};

static void
fail_deployment(struct core *core, struct service *s, const struct failure *f)
{
    struct deployment *d = service_primary(s), *target = core_rollback_target(core, s);
    struct service_deployment *sd = service_current(s);
    char reason[REASON_SIZE];

    fail_primary(core, s, d, f->rollout);
    said_event(core, s, "(service %s) (deployment %s) deployment failed: %s.", s->name, d->id,
               f->event);
    if (sd_is_return(sd)) {
        /* What was restored failed, too: no second rollback, an operator has to decide. */
        snprintf(reason, sizeof(reason), "Service deployment rollback failed because %s.",
                 f->because);
        sd_finish(core, sd, SD_ROLLBACK_FAILED, reason);
    } else if (!f->rolls_back) {
        snprintf(reason, sizeof(reason), "Service deployment stopped because %s.", f->because);
        sd_finish(core, sd, SD_STOPPED, reason);
    } else if (target == NULL) {
        snprintf(reason, sizeof(reason),
                 "Service deployment failed because %s; there is no completed deployment to roll "
                 "back to.",
                 f->because);
        sd_finish(core, sd, SD_ROLLBACK_FAILED, reason);
    } else {
        snprintf(reason, sizeof(reason), "Service deployment rolled back because %s.", f->because);
        sd_roll_back(core, sd, target, reason);
        restore(core, s, target, f->returning);
        undo(core, s);
    }
}

static void
breaker_tripped(struct core *core, struct service *s)
{
    service_current(s)->breaker_status = BREAKER_TRIGGERED;
    fail_deployment(
        core, s,
        &(struct failure){.rollout = "ECS deployment circuit breaker: tasks failed to start.",
                          .returning =
                              "ECS deployment circuit breaker: rolling back to deploymentId %s.",
                          .event = "tasks failed to start",
                          .because = "the circuit breaker threshold was exceeded",
                          .rolls_back = s->config.breaker.rollback});
}

void
rollout_fail(struct core *core, struct service *s, const char *because)
{
    fail_deployment(core, s,
                    &(struct failure){.rollout = "ECS deployment %s failed.",
                                      .returning =
                                          "ECS deployment rolling back to deploymentId %s.",
                                      .event = because,
                                      .because = because,
                                      .rolls_back = true});
}

void
rollout_out_of_time(struct core *core, struct service *s, int seconds)
{
    const struct breaker_config *breaker = &s->config.breaker;
    char because[96];

    snprintf(because, sizeof(because), "no more of its tasks became healthy for %d seconds", seconds);
    fail_deployment(
        core, s,
        &(struct failure){
            .rollout = "ECS deployment %s failed: progress deadline exceeded.",
            .returning =
                "ECS deployment progress deadline exceeded: rolling back to deploymentId %s.",
            .event = "progress deadline exceeded",
            .because = because,
            .rolls_back = breaker->enable && breaker->rollback});
}

/* Until the end of the bake time; a rollback is not watched (ecs.md 6.4). */
static bool
judge_alarms(struct core *core, struct service *s, struct service_deployment *sd)
{
    const char *alarm = sd->alarm_status == BREAKER_MONITORING && sd->status == SD_IN_PROGRESS &&
                                !strategy_is_cleaning_up(s)
                            ? alarms_triggered(core, s)
                            : NULL;
    char because[NAME_SIZE + 64];

    if (alarm == NULL)
        return false;
    sd->alarm_status = BREAKER_TRIGGERED;
    snprintf(sd->triggered_alarm, sizeof(sd->triggered_alarm), "%s", alarm);
    snprintf(because, sizeof(because), "alarm %s was detected", sd->triggered_alarm);
    fail_deployment(core, s,
                    &(struct failure){.rollout = "ECS deployment failed: alarm detected.",
                                      .returning = "ECS deployment failed: alarm detected. "
                                                   "Rolling back to deploymentId %s.",
                                      .event = "alarm detected",
                                      .because = because,
                                      .rolls_back = s->config.alarms_roll_back});
    return true;
}

bool
rollout_judge(struct core *core, struct service *s)
{
    struct deployment *d = service_primary(s);
    struct service_deployment *sd = service_current(s);
    enum breaker_status watched;
    int failures, threshold;

    if (probation_judge(core, s))
        return true;
    if (d == NULL || sd == NULL || d->rollout_state != ROLLOUT_IN_PROGRESS || sd_is_finished(sd))
        return false;
    if (judge_alarms(core, s, sd))
        return true;
    threshold = deployment_breaker_threshold(&s->config.breaker, s->desired_count);
    if (sd->breaker_threshold != threshold) {
        sd->breaker_threshold = threshold;
        core_touch_service(core, s);
    }
    watched = s->config.breaker.enable ? BREAKER_MONITORING : BREAKER_DISABLED;
    if (sd->status == SD_IN_PROGRESS && sd->breaker_status != watched) {
        sd->breaker_status = watched; /* switched on or off under way */
        core_touch_service(core, s);
    }
    if (!s->config.breaker.enable || strategy_is_cleaning_up(s))
        return false;
    failures = sd->status == SD_ROLLBACK_IN_PROGRESS ? d->failed_tasks : sd->breaker_failures;
    if (failures < threshold)
        return false;
    breaker_tripped(core, s);
    return true;
}

/* Its service deployment was a success, and stays one: whoever waited for it was told so.  Going back is
 * another one, of the revision that is restored; both say why. */
static struct service_deployment *
begin_return(struct core *core, struct service *s, const struct deployment *target, const char *why)
{
    struct service_deployment *sd = sd_begin(core, s, target->revision);

    text_copy(sd->deployment_id, ID_SIZE, str_of(target->id));
    snprintf(sd->status_reason, sizeof(sd->status_reason), "%s", why);
    return sd;
}

void
rollout_take_back(struct core *core, struct service *s, struct deployment *target)
{
    static const char why[] =
        "Service deployment rolled back because its tasks exited within their probation.";
    struct deployment *d = service_primary(s);
    struct service_deployment *sd = service_current(s);

    set_rollout(core, d, ROLLOUT_FAILED, "ECS deployment %s failed: tasks exited within their probation.");
    said_event(core, s,
               "(service %s) (deployment %s) deployment failed: tasks exited within their probation.",
               s->name, d->id);
    snprintf(sd->status_reason, sizeof(sd->status_reason),
             "Service deployment succeeded; later its tasks exited within their probation, and it was "
             "rolled back.");
    sd->updated_at_ms = core->now_ms;
    sd = begin_return(core, s, target, why);
    sd_returns_to(core, sd, target, why);
    restore(core, s, target, "ECS deployment rolling back to deploymentId %s.");
    strategy_begin(core, s);
}

void
rollout_return(struct core *core, struct service *s, struct deployment *target, const char *reason)
{
    struct deployment *d = service_primary(s);
    struct service_deployment *sd = service_current(s);
    const char *why = reason != NULL
                          ? reason
                          : "Service deployment rolled back because an operator asked for it.";

    assert(d != NULL && target != d);
    if (sd != NULL && !sd_is_finished(sd)) {
        if (sd->status == SD_ROLLBACK_IN_PROGRESS)
            return;
        fail_primary(core, s, d, "ECS deployment %s was rolled back by an operator.");
        sd_roll_back(core, sd, target, why);
        restore(core, s, target, "ECS deployment rolling back to deploymentId %s.");
        undo(core, s);
    } else {
        /* The present one is complete (or failed and stalls): going back is a deployment of its
         * own. */
        begin_return(core, s, target, why);
        restore(core, s, target, "ECS deployment rolling back to deploymentId %s.");
        strategy_begin(core, s);
    }
}

void
rollout_stop(struct core *core, struct service *s, struct service_deployment *sd, bool rolls_back)
{
    struct deployment *d = service_primary(s);
    struct deployment *target = core_rollback_target(core, s);

    if (sd_is_finished(sd) || d == NULL || sd->status == SD_ROLLBACK_IN_PROGRESS ||
        strategy_is_cleaning_up(s))
        return; /* the door refuses finished ones; a rollback under way goes on */
    assert(sd == service_current(s));
    if (rolls_back && target != NULL) {
        rollout_return(core, s, target,
                       "Service deployment rolled back because of a user-initiated stop.");
        return;
    }
    fail_primary(core, s, d, "ECS deployment %s was stopped by a user.");
    if (rolls_back)
        sd_finish(core, sd, SD_ROLLBACK_FAILED,
                  "Service deployment stopped by a user; there is no completed deployment to roll "
                  "back to.");
    else
        sd_finish(core, sd, SD_STOPPED, "Service deployment stopped by a user.");
}

void
rollout_abandon(struct core *core, struct service *s)
{
    struct service_deployment *sd = service_current(s);

    if (sd != NULL && !sd_is_finished(sd))
        sd_finish(core, sd, SD_STOPPED,
                  "Service deployment stopped because the service was deleted.");
    for (struct deployment *d = s->deployments; d != NULL; d = d->next)
        d->desired_count = 0;
    strategy_end(core, s);
    core_touch_service(core, s);
}

/* ---- success ---- */

bool
rollout_retire_sources(struct core *core, struct service *s)
{
    bool all = true;

    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->status != DEPLOYMENT_ACTIVE)
            continue;
        if (d->count.wanted > 0 || d->count.before_stopping > 0) {
            all = false;
            continue;
        }
        d->status = DEPLOYMENT_INACTIVE;
        d->desired_count = 0;
        d->updated_at_ms = core->now_ms;
        core_touch_service(core, s);
    }
    return all;
}

bool
rollout_has_baked(struct core *core, struct service *s)
{
    struct service_deployment *sd = service_current(s);

    if (sd == NULL || sd->status != SD_IN_PROGRESS)
        return true; /* nobody watches what was restored */
    if (sd->bake_until_ms == 0 && s->config.strategy.bake_min > 0) {
        sd->bake_until_ms = core->now_ms + s->config.strategy.bake_min * 60000LL;
        sd->stage = STAGE_BAKE_TIME;
        sd->updated_at_ms = core->now_ms;
        core_touch_service(core, s);
    }
    return core->now_ms >= sd->bake_until_ms;
}

void
rollout_complete(struct core *core, struct service *s)
{
    struct deployment *d = service_primary(s);
    struct service_deployment *sd = service_current(s);

    set_rollout(core, d, ROLLOUT_COMPLETED, "ECS deployment %s completed.");
    d->completed_at_ms = core->now_ms;
    probation_begin(core, s, d, d->is_rollback);
    d->is_rollback = false;
    text_copy(s->live_id, ID_SIZE, str_of(d->id));
    strategy_end(core, s);
    if (!rollout_retire_sources(core, s) && sd != NULL)
        sd->is_early = true;
    if (sd != NULL && !sd_is_finished(sd))
        sd_succeed(core, sd, NULL);
    s->launches.crash_streak = 0;
    said_event(core, s, "(service %s) (deployment %s) deployment completed.", s->name, d->id);
    rollout_prune(core, s);
    core_touch_service(core, s);
}

/* ---- what tasks go through ---- */

/* Does the breaker watch?  Then launches are not slowed down: its threshold bounds how many can
 * fail, and the verdict, which users wait for, would only come later (ecs.md 11, pain 1). */
static bool
breaker_watches(const struct service *s, const struct deployment *d)
{
    return s->config.breaker.enable && d->status == DEPLOYMENT_PRIMARY &&
           d->rollout_state == ROLLOUT_IN_PROGRESS;
}

static void
count_failure(struct core *core, struct service *s, struct deployment *d, struct task *t)
{
    struct service_deployment *sd = service_current(s);

    if (t->is_failure_counted || d->status != DEPLOYMENT_PRIMARY ||
        d->rollout_state != ROLLOUT_IN_PROGRESS || strategy_is_cleaning_up(s))
        return;
    t->is_failure_counted = true;
    d->failed_tasks++;
    d->updated_at_ms = core->now_ms;
    if (sd != NULL && sd->status == SD_IN_PROGRESS) {
        sd->breaker_failures++;
        sd->updated_at_ms = core->now_ms;
    }
    core_touch_service(core, s);
}

void
rollout_task_running(struct core *core, struct task *t)
{
    struct service *s = t->service;

    if (!t->deployment->has_run) {
        t->deployment->has_run = true;
        core_touch_service(core, s);
    }
    backoff_running(core, t);
}

void
rollout_task_healthy(struct core *core, struct task *t)
{
    struct service *s = t->service;
    struct service_deployment *sd = service_current(s);
    struct deployment *d = t->deployment;

    if (d->set != NULL || d->status == DEPLOYMENT_PRIMARY)
        backoff_healthy(t);
    if (d->set != NULL || d->status != DEPLOYMENT_PRIMARY)
        return;
    if (d->rollout_state != ROLLOUT_IN_PROGRESS)
        return;
    /* What failed its probation had been as healthy as this one is now. */
    if (d->failed_tasks > d->probation_failures) {
        d->failed_tasks = d->probation_failures;
        core_touch_service(core, s);
    }
    if (sd != NULL && sd->status == SD_IN_PROGRESS && sd->breaker_failures > d->probation_failures &&
        s->config.breaker.reset_on_healthy_task) {
        sd->breaker_failures = d->probation_failures;
        core_touch_service(core, s);
    }
}

void
rollout_task_unhealthy(struct core *core, struct task *t)
{
    if (!t->service->is_external) /* of task sets somebody outside is the judge */
        count_failure(core, t->service, t->deployment, t);
}

/* A source's task that is gone is replaced by its own revision only if that was complete once and
 * its images still start; otherwise the deployment wants one less. */
static void
source_lost_task(struct core *core, struct service *s, struct deployment *d, bool failed_to_start,
                 bool is_infrastructure)
{
    const bool was_complete = d->rollout_state == ROLLOUT_COMPLETED ||
                              (s->course.is_on && strcmp(s->live_id, d->id) == 0);

    if (d->status != DEPLOYMENT_ACTIVE || d->desired_count == 0)
        return;
    if (was_complete && (!failed_to_start || is_infrastructure))
        return;
    d->desired_count--;
    core_touch_service(core, s);
}

void
rollout_task_ended(struct core *core, struct task *t, const struct ending *e)
{
    struct service *s = t->service;
    struct deployment *d = t->deployment;
    const bool failed_to_start =
        t->started_at_ms == 0 && (e->by_itself || t->stop_code == STOP_TaskFailedToStart);
    const bool crashed = t->started_at_ms != 0 && e->by_itself;
    const bool was_good = t->healthy_at_ms != 0;
    bool on_probation;

    probation_forgive(core, t);
    if (!failed_to_start && !crashed)
        return;
    if (!s->is_external)
        source_lost_task(core, s, d, failed_to_start, e->is_infrastructure);
    backoff_blame(core, s, e->is_infrastructure || (failed_to_start && e->is_environment));
    if (e->is_infrastructure) {
        backoff_lost(core, s);
        return;
    }
    if (d->set == NULL) {
        on_probation = crashed && probation_failed(core, t);
        /* Whoever turned resetOnHealthyTask off wants flapping tasks to add up. */
        if (failed_to_start || !was_good || on_probation ||
            !s->config.breaker.reset_on_healthy_task)
            count_failure(core, s, d, t);
        if (d->status != DEPLOYMENT_PRIMARY || breaker_watches(s, d))
            return;
    }
    if (failed_to_start)
        backoff_failed_to_start(core, t);
    else if (!was_good)
        backoff_crashed(core, t);
}

/* ---- forgetting ---- */

static void
prune_revisions(struct core *core, struct service *s)
{
    for (int i = 0; s->revision_count > REVISIONS_KEPT && i < s->revision_count;) {
        struct revision *r = s->revisions[i];
        if (service_deployment_of(s, r) != NULL) {
            i++;
            continue;
        }
        parts_drop(core, s, ROW_SERVICE_REVISION, r->id);
        revision_free(r);
        s->revision_count--;
        memmove(&s->revisions[i], &s->revisions[i + 1],
                (size_t)(s->revision_count - i) * sizeof(s->revisions[0]));
    }
}

bool
deployment_has_tasks(const struct service *s, const struct deployment *d)
{
    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if (t->deployment == d)
            return true;
    }
    return false;
}

/* Where a course would lead users back to, and whose listeners it moves them by. */
static bool
is_returned_to(const struct service *s, const struct deployment *d)
{
    const struct course *c = &s->course;

    return strcmp(d->id, s->live_id) == 0 ||
           (c->is_on && (strcmp(d->id, c->base_id) == 0 || strcmp(d->id, c->via_id) == 0));
}

/* Newest first: after the first DEPLOYMENTS_KEPT, what has no tasks goes, but never the newest
 * completed one, to which a rollback would return, nor what users are led back to meanwhile. */
static void
prune_deployments(struct core *core, struct service *s)
{
    bool has_target = false;
    int kept = 0;

    for (struct deployment **at = &s->deployments; *at != NULL;) {
        struct deployment *d = *at;
        const bool is_target =
            !has_target && d->status != DEPLOYMENT_PRIMARY && d->rollout_state == ROLLOUT_COMPLETED;
        has_target |= is_target;
        if (kept < DEPLOYMENTS_KEPT || is_target || d->status == DEPLOYMENT_PRIMARY ||
            is_returned_to(s, d) || deployment_has_tasks(s, d)) {
            kept++;
            at = &d->next;
            continue;
        }
        *at = d->next;
        parts_drop(core, s, ROW_DEPLOYMENT, deployment_number(d));
        free(d);
    }
}

void
rollout_prune(struct core *core, struct service *s)
{
    struct service_deployment *sd = s->history;

    prune_deployments(core, s);
    prune_revisions(core, s);
    assert(s->revision_count < SERVICE_REVISIONS_MAX);
    for (int i = 1; sd != NULL && i < HISTORY_KEPT; i++)
        sd = sd->next;
    while (sd != NULL && sd->next != NULL) {
        struct service_deployment *oldest = sd->next;
        sd->next = oldest->next;
        parts_drop(core, s, ROW_SERVICE_DEPLOYMENT, oldest->id);
        json_unref(oldest->config);
        free(oldest);
    }
}
