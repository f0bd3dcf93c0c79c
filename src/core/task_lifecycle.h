/* SPDX-License-Identifier: MIT */
/* task_lifecycle.h - the life of one task, from its creation to its last container.
 * There is ONE way to stop a task, whatever the reason (scale-in, rolling update, bad health, an
 * operator, a deleted service): task_stop().  It fixes code and reason (the first cause wins), takes the
 * task out of every target group, waits until the balancer saw its last request end, and only then
 * asks the agent to signal it.  A task that dies by itself is taken out after the fact.
 *
 *   PENDING -> RUNNING -> DEACTIVATING (draining) -> STOPPING (signalled) -> STOPPED
 *
 * The hands are asked again on deadlines, since a report may be lost; all they do is idempotent. */
#pragma once
#include "core/index.h"

struct task_plan {
    const char *cluster_arn, *cluster_name, *region;
    struct task_definition *definition;
    enum launch_type launch_type;
    struct container_instance *instance;       /* NULL for FARGATE */
    const char *provider;                      /* of its capacity; "" or NULL: none */
    struct service *service;                   /* NULL: standalone */
    struct deployment *deployment;
    const char *group, *started_by, *hook_id;  /* hook_id NULL: of no lifecycle hook */
    const struct json *overrides, *doc, *tags;
};

struct task *task_create(struct core *core, const struct task_plan *plan); /* and TASK_START */
void task_stop(struct core *core, struct task *t, enum stop_code code, const char *reason);
void task_state_changed(struct core *core, const struct ev_task_state *ev);
/* Makes every move of the task's own that is due: registers targets, notes health, asks again, gives
 * up waiting.  May settle the task. */
void task_advance(struct core *core, struct task *t);
/* naru stood still for so long: a start has that time in addition. */
void task_stood_still(struct core *core, struct task *t, int64_t late_ms);
/* When task_advance() has something to do next, or INT64_MAX. */
int64_t task_deadline_ms(const struct core *core, const struct task *t);
/* After a restart: what the hands must know of the task. */
void task_resume(struct core *core, struct task *t);
