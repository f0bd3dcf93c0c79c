/* SPDX-License-Identifier: MIT */
/* probation.h - tasks that were healthy, and exit soon after. A task is on probation for its first
 * seconds of RUNNING (naru:probationSeconds of the service).  A bad exit in that time is a failure
 * of the deployment even if the task had been healthy, and the next healthy task does not make it
 * good: only one that came later and stood its whole probation does. The deployment itself is on
 * probation for as long after it was COMPLETED.  A loop of such exits that begins in that time,
 * and goes on until the breaker's threshold, takes the deployment back, if the breaker is on and
 * rolls back.  What a rollback restored is not on probation again: it served before, so whatever
 * ails it now is not cured by an even older revision. */
#pragma once
#include "core/index.h"

/* A task exited by itself, and not for the infrastructure: does its probation make that a failure?
 * Then it is counted. */
bool probation_failed(struct core *core, struct task *t);
/* Before an end is judged: has a task meanwhile stood its probation? */
void probation_forgive(struct core *core, struct task *ended);
/* `d` was completed: by a rollback, or going forward. */
void probation_begin(struct core *core, struct service *s, struct deployment *d, bool is_rollback);
/* Takes a complete deployment back if it failed its probation. */
bool probation_judge(struct core *core, struct service *s);
