/* SPDX-License-Identifier: MIT */
/* types.h - sizes and enums that all of the model shares.
 * What the nouns of model/ have in common: `_new()` and `_decode()` give an object that is the
 * caller's, or `_decode()` NULL and ERR_INTERNAL for a damaged row; `_encode()` gives the caller a
 * row for the store (row.h); `_free()` accepts NULL.  Other pointers are borrowed for the call.
 * Every enum is one X-list: value, wire name.  `<enum>_name()` gives the wire name, and
 * `<enum>_parse()` finds the value (false if unknown). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/json.h"
#include "base/str.h"

#define NAME_SIZE 256   /* cluster, service, family, container names: up to 255 and a NUL */
#define ARN_SIZE 768
#define BALANCING_ARN_SIZE 256 /* of a listener or target group, which have short names */
#define ID_SIZE 64      /* 32 hex task ids, "ecs-svc/<19 digits>", uuids */
#define REGION_SIZE 32
#define DIGEST_SIZE 136 /* "sha512:" and 128 hex, or "sha256:" and 64 */
#define IMAGE_SIZE 512
#define REASON_SIZE 1024
#define ADDRESS_SIZE 64

#define CONTAINERS_MAX 10       /* a task definition */
#define GPUS_MAX 64              /* of a host */
#define GPU_COUNT_MAX 1024       /* that a container can ask for */
#define STRATEGIES_MAX 5         /* of placement: of a service or a RunTask */
#define CONSTRAINTS_MAX 10       /* likewise, and of a task definition */
#define LOAD_BALANCERS_MAX 5    /* target groups of a service */
#define PORTS_MAX 100           /* port mappings of a container definition */
#define BINDINGS_MAX PORTS_MAX  /* published ports of one running container: one a mapping */
#define HOOKS_MAX 10            /* lifecycle hooks of a service */
#define EVENTS_MAX 100          /* service events shown, as ECS */
#define EVENTS_A_ROW 5          /* older ones are stored by fives */
#define EVENT_ROWS_MAX (EVENTS_MAX / EVENTS_A_ROW)
#define STOPPED_TASKS_MAX 500   /* stopped tasks kept per service or standalone, newest first */

#define CLUSTER_STATUS(X) X(ACTIVE) X(INACTIVE)
#define INSTANCE_STATUS(X) X(ACTIVE) X(DRAINING)
#define SERVICE_STATUS(X) X(ACTIVE) X(DRAINING) X(INACTIVE)
#define TASK_DEFINITION_STATUS(X) X(ACTIVE) X(INACTIVE) X(DELETE_IN_PROGRESS)
#define TASK_STATUS(X)                                                                             \
    X(PROVISIONING) X(PENDING) X(ACTIVATING) X(RUNNING) X(DEACTIVATING) X(STOPPING)                \
    X(DEPROVISIONING) X(STOPPED)
#define HEALTH_STATUS(X) X(UNKNOWN) X(HEALTHY) X(UNHEALTHY)
#define LAUNCH_TYPE(X) X(EC2) X(FARGATE)
#define NETWORK_MODE(X) X(bridge) X(host) X(awsvpc) X(none)
#define DEPLOYMENT_STATUS(X) X(PRIMARY) X(ACTIVE) X(INACTIVE)
#define STABILITY_STATUS(X) X(STABILIZING) X(STEADY_STATE)
#define ROLLOUT_STATE(X) X(IN_PROGRESS) X(COMPLETED) X(FAILED)
#define SERVICE_DEPLOYMENT_STATUS(X)                                                               \
    X(PENDING) X(SUCCESSFUL) X(STOPPED) X(STOP_REQUESTED) X(IN_PROGRESS) X(ROLLBACK_REQUESTED)     \
    X(ROLLBACK_IN_PROGRESS) X(ROLLBACK_SUCCESSFUL) X(ROLLBACK_FAILED)
#define BREAKER_STATUS(X) X(DISABLED) X(MONITORING) X(TRIGGERED) X(MONITORING_COMPLETE)
#define THRESHOLD_TYPE(X) X(BOUNDED_PERCENT) X(UNBOUNDED_PERCENT) X(COUNT)
#define DEPLOYMENT_STRATEGY(X) X(ROLLING) X(BLUE_GREEN) X(LINEAR) X(CANARY)
/* In the order of their course (ecs.md 6.8). */
#define LIFECYCLE_STAGE(X)                                                                         \
    X(NONE) X(RECONCILE_SERVICE) X(PRE_SCALE_UP) X(SCALE_UP) X(POST_SCALE_UP)                      \
    X(TEST_TRAFFIC_SHIFT) X(POST_TEST_TRAFFIC_SHIFT) X(PRE_PRODUCTION_TRAFFIC_SHIFT)               \
    X(PRODUCTION_TRAFFIC_SHIFT) X(POST_PRODUCTION_TRAFFIC_SHIFT) X(BAKE_TIME) X(CLEAN_UP)
#define HOOK_STATUS(X) X(AWAITING_ACTION) X(IN_PROGRESS) X(SUCCEEDED) X(FAILED) X(TIMED_OUT)
#define HOOK_KIND(X) X(PAUSE) X(URL) X(COMMAND) X(TASK)
/* What became of one call of a hook; UNREACHED: nobody was there who could have answered. */
#define HOOK_OUTCOME(X) X(SUCCEEDED) X(FAILED) X(IN_PROGRESS) X(UNREACHED)
/* alb.md A6; the wire names are lower case and come from target_state_name(). */
#define TARGET_STATE(X) X(initial) X(healthy) X(unhealthy) X(unused) X(draining) X(unavailable)
#define TARGET_TYPE(X) X(instance) X(ip)
/* What network.h has. */
#define NETWORK_KIND(X) X(vpc) X(subnet) X(group)
/* Why a task stops: stopCode of ecs.md 4.5. */
#define STOP_CODE(X)                                                                               \
    X(TaskFailedToStart) X(EssentialContainerExited) X(UserInitiated) X(ServiceSchedulerInitiated) \
    X(TerminationNotice)

/* <PREFIX>_ENUM_SIZE is the number of values (not _COUNT: a threshold type has that name). */
#define DECLARE_ENUM(prefix, PREFIX, LIST)                                                         \
    enum prefix { LIST(ENUM_VALUE_##PREFIX) PREFIX##_ENUM_SIZE };                                      \
    const char *prefix##_name(enum prefix value);                                                  \
    bool prefix##_parse(struct str name, enum prefix *out);

#define ENUM_VALUE_CLUSTER(n) CLUSTER_##n,
#define ENUM_VALUE_INSTANCE(n) INSTANCE_##n,
#define ENUM_VALUE_SERVICE(n) SERVICE_##n,
#define ENUM_VALUE_TASK_DEFINITION(n) TASK_DEFINITION_##n,
#define ENUM_VALUE_TASK(n) TASK_##n,
#define ENUM_VALUE_HEALTH(n) HEALTH_##n,
#define ENUM_VALUE_LAUNCH(n) LAUNCH_##n,
#define ENUM_VALUE_NETWORK(n) NETWORK_##n,
#define ENUM_VALUE_DEPLOYMENT(n) DEPLOYMENT_##n,
#define ENUM_VALUE_STABILITY(n) STABILITY_##n,
#define ENUM_VALUE_ROLLOUT(n) ROLLOUT_##n,
#define ENUM_VALUE_SD(n) SD_##n,
#define ENUM_VALUE_BREAKER(n) BREAKER_##n,
#define ENUM_VALUE_THRESHOLD(n) THRESHOLD_##n,
#define ENUM_VALUE_STRATEGY(n) STRATEGY_##n,
#define ENUM_VALUE_STAGE(n) STAGE_##n,
#define ENUM_VALUE_HOOK(n) HOOK_##n,
#define ENUM_VALUE_HOOK_KIND(n) HOOK_KIND_##n,
#define ENUM_VALUE_OUTCOME(n) OUTCOME_##n,
#define ENUM_VALUE_TARGET(n) TARGET_##n,
#define ENUM_VALUE_TARGET_TYPE(n) TARGET_TYPE_##n,
#define ENUM_VALUE_NETWORK_KIND(n) NETWORK_KIND_##n,
#define ENUM_VALUE_STOP(n) STOP_##n,

DECLARE_ENUM(cluster_status, CLUSTER, CLUSTER_STATUS)
DECLARE_ENUM(instance_status, INSTANCE, INSTANCE_STATUS)
DECLARE_ENUM(service_status, SERVICE, SERVICE_STATUS)
DECLARE_ENUM(task_definition_status, TASK_DEFINITION, TASK_DEFINITION_STATUS)
DECLARE_ENUM(task_status, TASK, TASK_STATUS)
DECLARE_ENUM(health_status, HEALTH, HEALTH_STATUS)
DECLARE_ENUM(launch_type, LAUNCH, LAUNCH_TYPE)
DECLARE_ENUM(network_mode, NETWORK, NETWORK_MODE)
DECLARE_ENUM(deployment_status, DEPLOYMENT, DEPLOYMENT_STATUS)
DECLARE_ENUM(stability_status, STABILITY, STABILITY_STATUS)
DECLARE_ENUM(rollout_state, ROLLOUT, ROLLOUT_STATE)
DECLARE_ENUM(sd_status, SD, SERVICE_DEPLOYMENT_STATUS)
DECLARE_ENUM(breaker_status, BREAKER, BREAKER_STATUS)
DECLARE_ENUM(threshold_type, THRESHOLD, THRESHOLD_TYPE)
DECLARE_ENUM(deployment_strategy, STRATEGY, DEPLOYMENT_STRATEGY)
DECLARE_ENUM(lifecycle_stage, STAGE, LIFECYCLE_STAGE)
DECLARE_ENUM(hook_status, HOOK, HOOK_STATUS)
DECLARE_ENUM(hook_kind, HOOK_KIND, HOOK_KIND)
DECLARE_ENUM(hook_outcome, OUTCOME, HOOK_OUTCOME)
DECLARE_ENUM(target_state, TARGET, TARGET_STATE)
DECLARE_ENUM(target_type, TARGET_TYPE, TARGET_TYPE)
DECLARE_ENUM(network_kind, NETWORK_KIND, NETWORK_KIND)
DECLARE_ENUM(stop_code, STOP, STOP_CODE)
