/* SPDX-License-Identifier: MIT */
/* strategy.h - the course of a BLUE_GREEN, LINEAR or CANARY deployment (ecs.md 6.7, 6.8).
 * The new revision comes up beside the base, which keeps all its tasks; then the traffic moves, at
 * once or in steps, with hooks and bake times between; only after the last bake time does the base go.
 * Until then a rollback is a change of weights.
 *
 *   RECONCILE_SERVICE (only if more than the base is there: traffic to the base, the rest goes)
 *   PRE_SCALE_UP  SCALE_UP  POST_SCALE_UP  TEST_TRAFFIC_SHIFT  POST_TEST_TRAFFIC_SHIFT
 *   { PRE_PRODUCTION_TRAFFIC_SHIFT  PRODUCTION_TRAFFIC_SHIFT } once a step
 *   POST_PRODUCTION_TRAFFIC_SHIFT  BAKE_TIME  CLEAN_UP
 *
 * Each stage first does its work, then runs its hooks, then gives way to the next.  Every wait has an
 * end: 24 h for the work of a stage, the timeout of a hook, 30 days for the whole; then it rolls back.
 * All of it stands in service->course, so a restart goes on where it was. */
#pragma once
#include "core/index.h"

#define STAGE_MAX_MS (24LL * 3600 * 1000)
#define COURSE_MAX_MS (30LL * 24 * 3600 * 1000)

/* A new PRIMARY stands there, the old one has stepped back: chooses its target groups and, by the
 * service's configuration, begins a course. */
void strategy_begin(struct core *core, struct service *s);
/* The base is PRIMARY again: its traffic comes back at once. */
void strategy_return(struct core *core, struct service *s);
/* The deployment failed and nothing is restored: what runs and what is led where stays. */
void strategy_freeze(struct core *core, struct service *s);
/* It is over, one way or the other. */
void strategy_end(struct core *core, struct service *s);
/* The service's desired count is another one: the base follows, too. */
void strategy_size_changed(struct service *s);
/* One round, while s->course.is_on; false if nothing moves. */
bool strategy_move(struct core *core, struct service *s);
/* Only the old tasks' end is waited for: the breaker watches no more, and nobody can go back. */
bool strategy_is_cleaning_up(const struct service *s);
/* naru stood still for so long: the work of a stage has that time in addition. */
void strategy_stood_still(struct core *core, int64_t late_ms);
int64_t strategy_deadline_ms(const struct core *core, const struct service *s);
/* The base to which a rollback of the course would return; NULL: there is none, or not any more. */
struct deployment *strategy_rollback_target(const struct service *s);
