/* SPDX-License-Identifier: MIT */
/* alarms.h - alarms that a deployment is watched by (ecs.md 6.4).
 * An alarm that is in ALARM already when the deployment begins makes the whole set be ignored for it:
 * otherwise nobody could deploy the fix. */
#pragma once
#include "core/index.h"

void alarm_changed(struct core *core, const struct ev_alarm_state *ev);
/* One of those that the service's deployments are watched by and that is in ALARM; or NULL. */
const char *alarms_triggered(const struct core *core, const struct service *s);
