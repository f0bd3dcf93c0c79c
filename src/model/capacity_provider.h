/* SPDX-License-Identifier: MIT */
/* capacity_provider.h - a named group of hosts (docs/decisions/placement.md).
 * FARGATE and FARGATE_SPOT always exist and have no object.  An own one stands for an auto scaling group:
 * on own machines those instances whose attribute naru.auto-scaling-group has the group's name. */
#pragma once
#include "model/types.h"

#define HOST_GROUP_ATTRIBUTE "naru.auto-scaling-group"
#define HOST_GROUP_SIZE 129
#define PROVIDERS_MAX 20 /* in one strategy */

struct capacity_provider {
    char arn[ARN_SIZE];
    char name[NAME_SIZE];
    char region[REGION_SIZE];
    char host_group[HOST_GROUP_SIZE]; /* the auto scaling group's name */
    struct json *doc;                 /* autoScalingGroupProvider, as DescribeCapacityProviders shows it */
    struct json *tags;                /* array of {key,value} */
    struct capacity_provider *next;
};

void capacity_provider_free(struct capacity_provider *p);
struct json *capacity_provider_encode(const struct capacity_provider *p);
struct capacity_provider *capacity_provider_decode(const struct json *row, struct err *err);
bool capacity_provider_is_fargate(const char *name); /* FARGATE or FARGATE_SPOT */

/* Which item of a strategy the next task goes by, with `counts[i]` tasks at item i already: first the
 * item with a base until that is reached, then whoever is furthest below its share by weight; the first
 * of equals.  -1: no item has a weight and the base is reached. */
int capacity_choose(const struct json *strategy, const int counts[static PROVIDERS_MAX]);
