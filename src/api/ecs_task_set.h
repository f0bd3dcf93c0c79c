/* SPDX-License-Identifier: MIT */
/* ecs_task_set.h - task sets, and what a service with the deployment controller EXTERNAL can be
 * asked for. What belongs to a task set (definition, launch type, network, load balancers) is
 * refused in CreateService and UpdateService; the operations on task sets are refused for services
 * of the controller ECS. */
#pragma once
#include "api/operations.h"

bool external_is_asked(const struct json *input); /* deploymentController of a CreateService */
bool external_check_create(const struct json *input, struct err *err) MUST_CHECK;
/* UpdateService of such a service: checked, and done. */
bool external_update(struct request *rq, const struct service *s, const struct json *doc,
                     struct err *err) MUST_CHECK;
/* The member taskSets of a service. */
struct json *ecs_describe_task_sets_of(const struct request *rq, const struct service *s,
                                       bool with_tags);
