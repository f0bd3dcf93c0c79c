/* SPDX-License-Identifier: MIT */
#include "core/backoff.h"
#include <stdio.h>
#include "core/said.h"
#include "core/task_set.h"

int64_t
backoff_step_ms(int failures)
{
    static const int steps_s[] = {0, 10, 30, 60, 120, 240, 480, 900};
    const int last = (int)ARRAY_COUNT(steps_s) - 1;

    return steps_s[failures < last ? failures : last] * 1000LL;
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
backoff_failed_to_start(struct core *core, struct service *s)
{
    char text[REASON_SIZE];
    int64_t wait_ms;

    /* Failures that come while it waits already belong to the same batch of launches. */
    if (core->now_ms < s->launch_after_ms)
        return;
    wait_ms = backoff_step_ms(s->start_failures);
    s->start_failures++;
    s->launch_after_ms = core->now_ms + wait_ms;
    core_touch_service(core, s);
    if (s->start_failures < 3)
        return;
    snprintf(text, sizeof(text),
             "(service %.255s) is unable to consistently start tasks successfully. For more "
             "information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
             s->name);
    said_complaint(core, s, text);
}

/* A task that runs and exits at once is started again as fast as the scheduler cycles; ECS's cycle
 * is about 10 s, ours would be a hot loop. */
void
backoff_crashed(struct core *core, struct service *s)
{
    if (++s->crash_streak <= 3)
        return;
    if (s->launch_after_ms < core->now_ms + 10000)
        s->launch_after_ms = core->now_ms + 10000;
    core_touch_service(core, s);
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
    struct service *s = t->service;

    s->infrastructure_streak = 0;
    backoff_blame(core, s, /* is_environment= */ false);
    if (t->deployment->status != DEPLOYMENT_PRIMARY || s->start_failures == 0)
        return;
    s->start_failures = 0;
    s->launch_after_ms = 0;
    core_touch_service(core, s);
}

/* The wait ends, not the count of what was lost: a Docker that comes and goes gets no hot loop.  A
 * registry may need a moment more than its machine, so its steps begin anew. */
void
backoff_host_returned(struct core *core)
{
    for (struct service *s = core->services; s != NULL; s = s->next) {
        if (!s->environment_failed ||
            (!s->is_external && core->now_ms >= s->launch_after_ms &&
             core->now_ms >= s->infrastructure_after_ms))
            continue;
        if (s->is_external) /* each of its sets waits for itself */
            task_sets_reset_launches(s);
        s->start_failures = 0;
        s->launch_after_ms = s->infrastructure_after_ms = 0;
        core_touch_service(core, s);
        core_queue(core, s);
    }
}

void
backoff_end(struct service *s)
{
    s->environment_failed = false;
    s->start_failures = s->crash_streak = s->infrastructure_streak = 0;
    s->launch_after_ms = s->infrastructure_after_ms = 0;
    s->last_complaint[0] = '\0';
}
