/* SPDX-License-Identifier: MIT */
/* zone_balance.h - availability zone rebalancing (ecs.md 7.5).
 * While a service is steady, a task of the zone with the most tasks is moved to the one with the fewest that
 * has room, if they differ by two or more: it is marked, and deployment.c replaces it like one on a draining
 * instance: the new one first, the old one once that is healthy, within the bounds.  One at a time. */
#pragma once
#include "core/index.h"

/* Marks a task to be moved, or takes a mark back that has become pointless. */
void zones_balance(struct core *core, struct service *s);
/* What place_changed() asks: is it worth while to look at the service again? */
void zones_set_uneven(struct core *core, struct service *s, bool is_uneven);
/* The zone to which the new task is to bring the services's tasks, or which the task that is stopped leaves
 * for another's sake; empty: it is started, or stopped, for another reason. */
struct str zones_evened_by_start(const struct task *t);
struct str zones_evened_by_stop(const struct task *t);
bool zones_moves_away(const struct task *t); /* and not because its instance drains */
/* Can the setting be ENABLED: REPLICA on instances by launch type, without a strategy or spread over
 * zones first, room above the desired count? */
bool zones_can_balance(const struct placement_rules *rules, enum launch_type launch_type,
                       bool is_daemon, int maximum_percent);
