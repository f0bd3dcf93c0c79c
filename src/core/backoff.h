/* SPDX-License-Identifier: MIT */
/* backoff.h - how long a service waits until it launches again (ecs.md 5.9, and ours). Three
 * waits, each with its own cause: tasks that do not get RUNNING (0, 10, 30, ... 900 s), tasks that
 * run and exit at once (10 s each, after the third), tasks that the runtime lost (5 s more each
 * time, up to a minute).  The first two are each task set's own, so that a bad new one never slows
 * the one that serves; the last is of the whole service: no set is to blame for it.
 * rollout.c says what happened; backoff_is_over() says whether it may launch. */
#pragma once
#include "core/index.h"

/* The wait after so many failures before this one, as ECS takes its steps. */
int64_t backoff_step_ms(int failures);
bool backoff_is_over(const struct core *core, const struct service *s, const struct deployment *d);
/* When the first of the waits that run is over; INT64_MAX: none does. */
int64_t backoff_deadline_ms(const struct core *core, const struct service *s);
/* Whose fault the failure of a task was: the environment's (registry, runtime, machine), or its
 * own. */
void backoff_blame(struct core *core, struct service *s, bool is_environment);
void backoff_failed_to_start(struct core *core, struct task *t);
void backoff_crashed(struct core *core, struct task *t);
void backoff_lost(struct core *core, struct service *s); /* by the runtime */
void backoff_running(struct core *core, struct task *t);
void backoff_healthy(struct task *t);
/* An agent speaks (again): what the environment kept from starting is tried at once. */
void backoff_host_returned(struct core *core);
/* Whatever was waited for: it may be another one now.  Any update of the service does that. */
void backoff_end(struct service *s);
