/* SPDX-License-Identifier: MIT */
/* backoff.h - how long a service waits until it launches again (ecs.md 5.9, and ours). Three
 * waits, each with its own cause: tasks that do not get RUNNING (0, 10, 30, ... 900 s), tasks that
 * run and exit at once (10 s each, after the third), tasks that the runtime lost (5 s more each
 * time, up to a minute).  rollout.c says what happened; moves.c and strategy.c ask whether it is
 * over. */
#pragma once
#include "core/index.h"

/* The wait after so many failures before this one, as ECS takes its steps. */
int64_t backoff_step_ms(int failures);
/* Whose fault the failure of a task was: the environment's (registry, runtime, machine), or its
 * own. */
void backoff_blame(struct core *core, struct service *s, bool is_environment);
void backoff_failed_to_start(struct core *core, struct service *s);
void backoff_crashed(struct core *core, struct service *s);
void backoff_lost(struct core *core, struct service *s); /* by the runtime */
void backoff_running(struct core *core, struct task *t);
/* An agent speaks (again): what the environment kept from starting is tried at once. */
void backoff_host_returned(struct core *core);
/* Whatever was waited for: it may be another one now.  Any update of the service does that. */
void backoff_end(struct service *s);
