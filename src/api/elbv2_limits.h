/* SPDX-License-Identifier: MIT */
/* elbv2_limits.h - how many of what there may be (alb.md A2).  They are Amazon's default quotas and cannot
 * be raised; DescribeAccountLimits tells them. */
#pragma once

#define LOAD_BALANCERS_PER_REGION 50
#define TARGET_GROUPS_PER_REGION 3000
#define LISTENERS_PER_LOAD_BALANCER 50
#define SLOW_REGEXES_PER_LISTENER 6 /* each may take a third of a millisecond of each request */
#define RULES_PER_LOAD_BALANCER 100 /* default rules not counted */
#define TARGETS_PER_LOAD_BALANCER 1000 /* of either type: less than Amazon has for network ones */
#define TARGETS_PER_GROUP 1000
#define GROUPS_PER_LOAD_BALANCER 100
#define VALUES_PER_RULE 5
#define WILDCARDS_PER_RULE 6
#define TRUST_STORES_PER_REGION 20
#define REVOCATIONS_PER_TRUST_STORE 10
#define REVOKED_ENTRIES_PER_TRUST_STORE 100000
#define CERTIFICATES_PER_LOAD_BALANCER 25 /* default ones not counted */
#define SECURITY_GROUPS_PER_LOAD_BALANCER 5
/* Of network load balancers. */
#define GROUPS_PER_NETWORK_ACTION 1
