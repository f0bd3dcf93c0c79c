/* SPDX-License-Identifier: MIT */
/* hooks.h - the lifecycle hooks of the stage that a deployment is in (ecs.md 6.8).
 * All of a stage start together and all have to succeed.  What a hook is, is told by its kind:
 *   PAUSE         waits for ContinueServiceDeployment
 *   URL, COMMAND  is called by the hands (HOOK_CALL); IN_PROGRESS: again after the delay; nobody
 *                 there: again after 1 s, 2 s, ... 60 s, until its time is over
 *   TASK          a standalone task of the service's kind, started once; its exit code answers
 * A call is named by (hook id, attempt): an answer to an earlier attempt, or a second one,
 * is ignored.  After a restart, and when no answer came for longer than a call may take, the same
 * attempt is asked for again; so URLs and commands are called at least once, and their execution
 * id, which is the hook's id, tells them.  A task is named by its hook from the commit that made
 * it: never a second one.
 * Where they are: strategy.c for the stages that move traffic, rolling_hooks.c for ROLLING. */
#pragma once
#include "core/index.h"

/* Those of `stage` are what is waited for from now on; hooks_advance() then makes the calls. */
void hooks_start(struct core *core, struct service *s, enum lifecycle_stage stage);
/* Makes what is due; false if one failed, and (not on the way back) the deployment with it. */
bool hooks_advance(struct core *core, struct service *s);
/* The deployment fails because of them. */
void hooks_fail(struct core *core, struct service *s);
bool hooks_are_over(const struct course *c);
/* What is still under way is none of the deployment's any more: calls are cancelled, tasks
 * stopped. */
void hooks_drop(struct core *core, struct service *s);
/* When hooks_advance() has something to do next, or INT64_MAX. */
int64_t hooks_deadline_ms(const struct service *s);
enum lifecycle_stage hooks_stage(const struct course *c);

/* naru was away: the time of who could not answer meanwhile begins anew. */
void hooks_resume(struct core *core, struct service *s);
/* naru stood still for so long: that does not count either. */
void hooks_stood_still(struct core *core, int64_t late_ms);

void hooks_continued(struct core *core, const struct ev_service_deployment_continue *ev);
void hooks_answered(struct core *core, const struct ev_hook_answered *ev);
void hooks_task_changed(struct core *core, const struct task *t); /* one that was started for a hook */

/* Of the configuration that its service deployment runs under. */
const struct json *hooks_document(const struct service *s, const struct hook_run *run);
const char *hooks_target(const struct service *s, const struct hook_run *run); /* "" of a PAUSE */
