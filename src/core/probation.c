/* SPDX-License-Identifier: MIT */
#include "core/probation.h"
#include <stdio.h>
#include "core/deployment.h"
#include "core/rollout.h"
#include "core/said.h"
#include "core/strategy.h"

#define EXIT_SIGTERM 143 /* another essential container ended, and this one was told to stop */

static int64_t
probation_ms(const struct service *s)
{
    return s->options.probation_s * 1000LL;
}

/* 0 is what a program says that meant to end. */
static bool
exited_badly(const struct task *t)
{
    for (int i = 0; i < t->container_count; i++) {
        const struct task_container *c = &t->containers[i];
        const bool is_essential =
            i < t->definition->container_count && t->definition->containers[i].essential;
        if (is_essential && c->has_exit_code && c->exit_code != 0 && c->exit_code != EXIT_SIGTERM)
            return true;
    }
    return false;
}

/* How it was when it exited: nobody may have heard of it for long. */
static int64_t
seen_ms(const struct core *core, const struct task *t)
{
    return t->last_status == TASK_STOPPED ? t->execution_stopped_at_ms : core->now_ms;
}

/* Before it was complete the breaker counts what was never healthy anyway, by ECS's rules. */
static bool
is_watched(const struct service *s, const struct deployment *d, const struct task *t)
{
    if (d->status != DEPLOYMENT_PRIMARY || d->is_rollback || strategy_is_cleaning_up(s))
        return false;
    if (d->rollout_state == ROLLOUT_IN_PROGRESS)
        return t->healthy_at_ms != 0;
    return d->rollout_state == ROLLOUT_COMPLETED &&
           (t->execution_stopped_at_ms < d->probation_until_ms || d->probation_failures > 0);
}

bool
probation_failed(struct core *core, struct task *t)
{
    struct service *s = t->service;
    struct deployment *d = t->deployment;

    if (t->execution_stopped_at_ms >= t->started_at_ms + probation_ms(s) || !exited_badly(t) ||
        !is_watched(s, d, t))
        return false;
    d->probation_failures++;
    d->probation_failed_at_ms = core->now_ms;
    core_touch_service(core, s);
    return true;
}

static bool
has_stood(const struct core *core, const struct service *s, const struct deployment *d,
          const struct task *t)
{
    return t->deployment == d && t->healthy_at_ms != 0 && !t->is_unheard &&
           t->created_at_ms >= d->probation_failed_at_ms &&
           seen_ms(core, t) >= t->started_at_ms + probation_ms(s);
}

void
probation_forgive(struct core *core, struct task *ended)
{
    struct service *s = ended->service;
    struct deployment *d = ended->deployment;
    bool is_forgiven = false;

    if (d->status != DEPLOYMENT_PRIMARY || d->probation_failures == 0 ||
        !s->config.breaker.reset_on_healthy_task)
        return;
    is_forgiven = has_stood(core, s, d, ended);
    for (const struct task *t = s->live; t != NULL && !is_forgiven; t = t->next_live)
        is_forgiven = t->is_healthy_now && has_stood(core, s, d, t);
    if (!is_forgiven)
        return;
    d->probation_failures = 0;
    core_touch_service(core, s);
}

void
probation_begin(struct core *core, struct service *s, struct deployment *d, bool is_rollback)
{
    d->probation_until_ms = is_rollback ? 0 : core->now_ms + probation_ms(s);
    if (is_rollback)
        d->probation_failures = 0;
}

static void
complain(struct core *core, struct service *s, const struct deployment *d, const char *why)
{
    char text[REASON_SIZE];

    snprintf(text, sizeof(text),
             "(service %.255s) (deployment %s) tasks exit within their probation; it is not rolled back: %s.",
             s->name, d->id, why);
    said_complaint(core, s, text);
}

bool
probation_judge(struct core *core, struct service *s)
{
    const struct breaker_config *breaker = &s->config.breaker;
    struct deployment *d = service_primary(s), *target;

    if (d == NULL || d->rollout_state != ROLLOUT_COMPLETED || d->probation_failures == 0 ||
        s->options.probation_s == 0 || !breaker->enable ||
        d->probation_failures < deployment_breaker_threshold(breaker, s->desired_count))
        return false;
    target = core_rollback_target(core, s);
    if (target != NULL && breaker->rollback) {
        rollout_take_back(core, s, target);
        return true;
    }
    complain(core, s, d,
             target == NULL ? "there is no completed deployment before it"
                            : "its circuit breaker does not roll back");
    return false;
}
