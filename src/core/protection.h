/* SPDX-License-Identifier: MIT */
/* protection.h - tasks that say that they must not be interrupted (UpdateTaskProtection).
 * A protected task is stopped by no scale-in, no deployment and no replacement for its health; it
 * counts towards both bounds like any other, so whatever waits for its place waits for it.
 * StopTask, DeleteService and its own end are not held up.
 * A wait ends: protection has a date, and while a deployment (old or new) is held back by protected
 * tasks, none of its tasks can be protected again (DEPLOYMENT_BLOCKED). */
#pragma once
#include "core/index.h"

void task_protect(struct core *core, const struct ev_task_protect *ev);
/* Says as an event which deployment of the service cannot scale in, if there is one. */
void protection_complain(struct core *core, struct service *s);
