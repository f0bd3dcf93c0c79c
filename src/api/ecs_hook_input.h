/* SPDX-License-Identifier: MIT */
/* ecs_hook_input.h - lifecycleHooks of a deployment configuration (ecs.md 6.8). */
#pragma once
#include "api/ecs_service_input.h"

/* Those `given`, or else those of `old` (NULL: none): a list replaces the old one.  Adds to `doc`
 * what DescribeServices shows of them. */
bool hooks_read(const struct json *given, const struct deployment_config *old,
                struct strategy_config *c, struct json *doc, struct err *err) MUST_CHECK;
/* The task definitions that they name have to be there, and run where the service's tasks do;
 * without a revision the newest is meant, from now on. */
bool hooks_resolve(const struct request *rq, enum launch_type launch_type,
                   struct deployment_config *config, struct err *err) MUST_CHECK;
