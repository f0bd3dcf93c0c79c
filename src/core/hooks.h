/* SPDX-License-Identifier: MIT */
/* hooks.h - the lifecycle hooks of the stage that a deployment is in (ecs.md 6.8).
 * All of a stage start together and all have to succeed. */
#pragma once
#include "core/index.h"

/* Starts those of the present stage of the service's course. */
void hooks_start(struct core *core, struct service *s);
/* Those whose time is over; false if one of all hooks failed, and the deployment with it. */
bool hooks_expire(struct core *core, struct service *s);
bool hooks_are_over(const struct course *c);
/* When the next one's time is over, or INT64_MAX. */
int64_t hooks_deadline_ms(const struct service *s);

void hooks_continued(struct core *core, const struct ev_service_deployment_continue *ev);
