/* SPDX-License-Identifier: MIT */
#include "core/protection.h"
#include <assert.h>
#include <stdio.h>
#include "core/said.h"

bool
core_task_is_protected(const struct core *core, const struct task *task)
{
    return task_is_wanted(task) && core->now_ms < task->protected_until_ms;
}

const char *
core_protection_obstacle(const struct task *task, bool turns_on, const char **detail_out)
{
    if (task->service_arn[0] == '\0') {
        *detail_out = "The task does not belong to a service.";
        return "TASK_NOT_VALID";
    }
    if (turns_on && !task_is_wanted(task)) {
        *detail_out = "The task is being stopped, or has stopped.";
        return "TASK_NOT_VALID";
    }
    if (turns_on && task->deployment != NULL && task->deployment->is_held) {
        *detail_out = "Protected tasks keep the deployment of this task from scaling in.";
        return "DEPLOYMENT_BLOCKED";
    }
    return NULL;
}

void
task_protect(struct core *core, const struct ev_task_protect *ev)
{
    struct task *t = core_task_by_arn(core, ev->task_arn);

    assert(t != NULL && t->service_arn[0] != '\0' && ev->duration_ms >= 0);
    t->protected_until_ms = ev->duration_ms == 0 ? 0 : core->now_ms + ev->duration_ms;
    core_touch_task(core, t);
    core_queue(core, t->service);
}

void
protection_complain(struct core *core, struct service *s)
{
    const struct deployment *held = NULL;
    char text[REASON_SIZE];

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->is_held && (held == NULL || strcmp(d->id, held->id) < 0))
            held = d; /* of several the oldest: ids only rise */
    }
    if (held == NULL)
        return;
    snprintf(
        text, sizeof(text),
        "(service %.255s) was unable to reach steady state because task set (%s) was unable to "
        "scale in. Reason: The number of protected tasks are more than the desired count of "
        "tasks.",
        s->name, held->id);
    said_complaint(core, s, text);
}
