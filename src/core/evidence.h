/* SPDX-License-Identifier: MIT */
/* evidence.h - what is kept of a task for the question why it ended, beside its own fields: what its
 * health checks said, and what the balancer thought of its targets when it was taken out of traffic.
 * At most EVIDENCE_LOG_MAX bytes and a few hundred a target; it goes with the task. */
#pragma once
#include "core/index.h"

#define EVIDENCE_LOG_MAX 4096

bool evidence_health_log(struct task *t, const char *log); /* true: it says something new */
void evidence_target(struct task *t, const struct task_target *tt, const struct target *x);
