/* SPDX-License-Identifier: MIT */
/* placement.h - which instance takes a task, and what it takes of the machine (ecs.md 7.7).
 * EC2 tasks reserve cpu, memory and fixed host ports until they are STOPPED; FARGATE tasks run on the
 * same machine and are not counted. */
#pragma once
#include "core/index.h"

/* The instance for a task of `td`; NULL on failure and for FARGATE (then true is returned).
 * On failure `why` names the lacking resource as in ecs.md 4.5 ("RESOURCE:CPU", "AGENT", ...) and
 * *closest_out the instance that came closest, if there is any. */
bool place_find(const struct core *core, const char *cluster_arn, const struct task_definition *td,
                enum launch_type launch_type, struct container_instance **instance_out,
                struct container_instance **closest_out, const char **why);
/* The words of the service event for `why` (ecs.md 5.12). */
void place_complaint(char out[static REASON_SIZE], const struct service *s,
                     const struct container_instance *closest, const char *why);
void place_take(struct core *core, struct task *t);
void place_release(struct core *core, struct task *t); /* wakes services that wait for a place */
