/* SPDX-License-Identifier: MIT */
#include "core/backoff.h"
#include <stdio.h>
#include "core/said.h"

int64_t
backoff_step_ms(int failures)
{
    static const int steps_s[] = {0, 10, 30, 60, 120, 240, 480, 900};
    const int last = (int)ARRAY_COUNT(steps_s) - 1;

    return steps_s[failures < last ? failures : last] * 1000LL;
}

static struct launches *
launches_of(const struct task *t)
{
    struct task_set *set = t->deployment->set;

    return set != NULL ? &set->launches : &t->service->launches;
}

bool
backoff_is_over(const struct core *core, const struct service *s, const struct deployment *d)
{
    const struct launches *l = d->set != NULL ? &d->set->launches : &s->launches;

    return core->now_ms >= l->after_ms && core->now_ms >= s->infrastructure_after_ms;
}

static int64_t
later_than_now(const struct core *core, int64_t ms)
{
    return ms > core->now_ms ? ms : INT64_MAX;
}

int64_t
backoff_deadline_ms(const struct core *core, const struct service *s)
{
    int64_t due = earlier(later_than_now(core, s->launches.after_ms),
                          later_than_now(core, s->infrastructure_after_ms));

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->set != NULL)
            due = earlier(due, later_than_now(core, d->set->launches.after_ms));
    }
    return due;
}

void
backoff_blame(struct core *core, struct service *s, bool is_environment)
{
    if (s->environment_failed == is_environment)
        return;
    s->environment_failed = is_environment;
    core_touch_service(core, s);
}

void
backoff_failed_to_start(struct core *core, struct task *t)
{
    struct launches *l = launches_of(t);
    char text[REASON_SIZE];

    /* Failures that come while it waits already belong to the same batch of launches. */
    if (core->now_ms < l->after_ms)
        return;
    l->after_ms = core->now_ms + backoff_step_ms(l->start_failures);
    l->start_failures++;
    core_touch_service(core, t->service);
    if (l->start_failures < 3)
        return;
    snprintf(text, sizeof(text),
             "(service %.255s) is unable to consistently start tasks successfully. For more "
             "information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
             t->service->name);
    said_complaint(core, t->service, text);
}

/* A task that runs and exits at once is started again as fast as the scheduler cycles; ECS's cycle
 * is about 10 s, ours would be a hot loop. */
void
backoff_crashed(struct core *core, struct task *t)
{
    struct launches *l = launches_of(t);

    if (++l->crash_streak <= 3)
        return;
    if (l->after_ms < core->now_ms + 10000)
        l->after_ms = core->now_ms + 10000;
    core_touch_service(core, t->service);
}

void
backoff_lost(struct core *core, struct service *s)
{
    const int64_t wait_ms =
        s->infrastructure_streak < 12 ? 5000LL * s->infrastructure_streak : 60000;

    s->infrastructure_streak++;
    s->infrastructure_after_ms = core->now_ms + wait_ms;
}

void
backoff_running(struct core *core, struct task *t)
{
    struct launches *l = launches_of(t);

    t->service->infrastructure_streak = 0;
    backoff_blame(core, t->service, /* is_environment= */ false);
    if (l->start_failures == 0 ||
        (t->deployment->set == NULL && t->deployment->status != DEPLOYMENT_PRIMARY))
        return;
    l->start_failures = 0;
    l->after_ms = 0;
    core_touch_service(core, t->service);
}

void
backoff_healthy(struct task *t)
{
    launches_of(t)->crash_streak = 0;
}

static void
end_wait(struct launches *l, bool forgets_crashes)
{
    l->start_failures = 0;
    l->after_ms = 0;
    if (forgets_crashes)
        l->crash_streak = 0;
}

static void
end_waits(struct service *s, bool forgets_crashes)
{
    end_wait(&s->launches, forgets_crashes);
    s->infrastructure_after_ms = 0;
    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->set != NULL)
            end_wait(&d->set->launches, forgets_crashes);
    }
}

/* The wait ends, not the count of what was lost: a Docker that comes and goes gets no hot loop.  A
 * registry may need a moment more than its machine, so its steps begin anew. */
void
backoff_host_returned(struct core *core)
{
    for (struct service *s = core->services; s != NULL; s = s->next) {
        if (!s->environment_failed || backoff_deadline_ms(core, s) == INT64_MAX)
            continue;
        end_waits(s, /* forgets_crashes= */ false);
        core_touch_service(core, s);
        core_queue(core, s);
    }
}

void
backoff_end(struct service *s)
{
    end_waits(s, /* forgets_crashes= */ true);
    s->environment_failed = false;
    s->infrastructure_streak = 0;
    s->last_complaint[0] = '\0';
}
