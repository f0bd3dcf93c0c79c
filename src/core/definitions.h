/* SPDX-License-Identifier: MIT */
/* definitions.h - task definitions that shall go (DeleteTaskDefinitions).
 * One that is DELETE_IN_PROGRESS stays while a task runs from it, a deployment of a service still has
 * it, or a rollback would return to it; it is looked at again every few seconds, and then forgotten.
 * Tasks that are over and old deployments keep its name only. */
#pragma once
#include "core/index.h"

void task_definition_delete(struct core *core, const struct ev_task_definition_delete *ev);
/* Forgets what nobody uses any more, if it is time to; gives when it next will be, or INT64_MAX. */
int64_t definitions_sweep(struct core *core);
void definitions_resume(struct core *core);
