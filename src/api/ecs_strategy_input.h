/* SPDX-License-Identifier: MIT */
/* ecs_strategy_input.h - how a service's deployments go, from the input to what the core takes: strategy,
 * steps, bake times, hooks, early success; and the target groups and listeners that traffic moves
 * between (ecs.md 5.13, 6.7, 6.8). */
#pragma once
#include "api/ecs_service_input.h"

/* `given` (may be NULL) over `old` with its document (both NULL: the defaults).  Adds to `doc` what
 * DescribeServices shows of it. */
bool strategy_read(const struct json *given, const struct deployment_config *old,
                   int minimum_healthy_percent, struct strategy_config *out, struct json *doc,
                   struct err *err) MUST_CHECK;
/* One item of loadBalancers: its advancedConfiguration, if it has one. */
bool strategy_read_pair(const struct json *item, struct service_load_balancer *lb,
                        struct err *err) MUST_CHECK;
/* Do the load balancers go together, and with the strategy?  `s` NULL: of a new service; else also
 * with where its tasks are now. */
bool strategy_check_pairs(const struct request *rq, const struct workload *w, struct err *err) MUST_CHECK;
bool strategy_check(const struct request *rq, const struct strategy_config *config,
                    const struct service_load_balancer *lbs, int count, const struct service *s,
                    struct err *err) MUST_CHECK;
