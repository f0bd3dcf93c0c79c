/* SPDX-License-Identifier: MIT */
/* ecs_capacity.h - what other handlers need of capacity providers (ecs.md 7.8). */
#pragma once
#include "api/operations.h"

/* Names of a cluster's providers: each exists. */
bool capacity_check_names(const struct request *rq, const struct json *names, struct err *err);
/* A strategy: its providers are among `associated`, no FARGATE beside own ones, each once, one base. */
bool capacity_check_strategy(const struct json *strategy, const struct json *associated,
                             struct err *err);
/* Can `count` tasks be started by it?  Beyond its base something must have a weight. */
bool capacity_check_count(const struct json *strategy, int64_t count, struct err *err);
/* The provider that an instance belongs to in its cluster, or NULL. */
const struct capacity_provider *capacity_of_instance(const struct request *rq,
                                                     const struct container_instance *i);
