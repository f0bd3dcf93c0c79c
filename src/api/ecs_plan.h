/* SPDX-License-Identifier: MIT */
/* ecs_plan.h - the member `plan` of UpdateService, ours: what the update would do, without doing
 * it. The update is checked as always; then a copy of the core takes its event (core/forecast.h).
 * How long things take is what the service's own tasks took lately, unless the request says it. */
#pragma once
#include "api/operations.h"

/* Takes the event, or foretells it into out's `plan` if the request has that member. */
bool ecs_step_or_plan(struct request *rq, const struct service *service, const struct event *event,
                      struct json *out, struct err *err) MUST_CHECK;
