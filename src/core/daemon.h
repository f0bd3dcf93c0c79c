/* SPDX-License-Identifier: MIT */
/* daemon.h - services of scheduling strategy DAEMON: one task on each eligible instance (ecs.md 5.11).
 * An instance is eligible if it is ACTIVE and satisfies the constraints; while its agent is away, only if a
 * task of the service is there.  Their number is the service's desired count.
 * A task is replaced by stopping it and starting the new one once it is gone, at no time leaving fewer
 * healthy than the lower bound; the upper bound is fixed at 100 %.
 * On an instance that is being drained the task goes when only daemons are left there, or with its revision:
 * a deployment waits for nobody else's task.  One of the present revision is no part of what is desired. */
#pragma once
#include "core/index.h"

/* One round; false once nothing moves any more.  The rest of a deployment (verdicts, completion) is the
 * same for all services: deployment.c, rollout.c. */
bool daemon_move(struct core *core, struct service *s);
