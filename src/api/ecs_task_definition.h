/* SPDX-License-Identifier: MIT */
/* ecs_task_definition.h - what makes a task definition valid, and its normal form.
 * Start at definition_check(): RegisterTaskDefinition's input in, the first fault out (ecs.md 3.11).
 * definition_normalise() then gives the document that DescribeTaskDefinition answers, without
 * revision, ARN and times (ecs.md 2.2).  Pure.
 * Errors: ERR_CLIENT with the texts of ecs.md 3.11. */
#pragma once
#include "base/json.h"

#define DEFINITION_SIZE_MAX (64 * 1024)

bool definition_check(const struct json *input, struct err *err) MUST_CHECK;

/* The part of it that refuses by name what no task of naru would get: EFS, FireLens... */
bool definition_check_built(const struct json *input, struct err *err) MUST_CHECK;

struct json *definition_normalise(const struct json *input, const char *account, const char *principal);

/* Are the resourceRequirements of a container, or of the override of one, a number of GPUs each? */
bool definition_check_requirements(const struct json *container, struct err *err) MUST_CHECK;

/* Do all variables of the list have a name that an environment can hold?  Overrides bring some too. */
bool definition_is_environment(const struct json *list);

/* Could it run with this launch type?  The error says why not. */
bool definition_fits_ec2(const struct json *input, struct err *err);
bool definition_fits_fargate(const struct json *input, struct err *err);

/* "256" or ".25 vCPU" -> 256; "512", "0.5 GB" -> 512.  False if it is neither. */
bool definition_parse_cpu(const char *text, int64_t *units_out);
bool definition_parse_memory(const char *text, int64_t *mib_out);
