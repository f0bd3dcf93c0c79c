/* SPDX-License-Identifier: MIT */
/* deployment.h - decides the next move of a rolling deployment.
 * A deployment replaces the tasks of one service revision by those of another.
 * Start at deployment_advance(); the rest serves it.
 * Units: counts are tasks; '_percent' is whole percent; '_ms' is milliseconds.
 * Errors: none; the API door checked the input, so a bad value is our bug and asserts.
 * Ownership: every pointer is borrowed for the call.  Pure: no clock, no I/O. */
#pragma once
#include "core/core.h"

struct deployment_limits {
    int healthy_min; /* stopping a task may not leave fewer healthy ones */
    int total_max;   /* starting a task may not exceed this; PENDING ones count */
};

/* Turns percentages into task counts.  The minimum rounds up and the maximum down, as in ECS:
 * 50 % of 3 keeps 2, 150 % of 3 allows 4 (ecs.md 5.1). */
struct deployment_limits deployment_limits(int desired_count, int minimum_healthy_percent,
                                           int maximum_percent);
/* The circuit breaker opens at this many failed tasks (ecs.md 6.1). */
int deployment_breaker_threshold(const struct breaker_config *breaker, int desired_count);
/* Makes every move that is possible now for `service` and appends the effects. */
void deployment_advance(struct core *core, struct service *service, struct effects *out);
