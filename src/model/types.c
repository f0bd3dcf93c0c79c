/* SPDX-License-Identifier: MIT */
#include "model/types.h"
#include <assert.h>
#include "model/row.h"

#define ENUM_TEXT(n) #n,
#define DEFINE_ENUM(prefix, PREFIX, LIST)                                          \
    static const char *const prefix##_texts[] = {LIST(ENUM_TEXT)};                 \
    const struct enum_names prefix##_names = {prefix##_texts, PREFIX##_ENUM_SIZE}; \
    const char *prefix##_name(enum prefix value)                                   \
    {                                                                              \
        assert((int)value >= 0 && (int)value < (int)PREFIX##_ENUM_SIZE);           \
        return prefix##_texts[value];                                              \
    }                                                                              \
    bool prefix##_parse(struct str name, enum prefix *out)                         \
    {                                                                              \
        for (int i = 0; i < (int)PREFIX##_ENUM_SIZE; i++) {                        \
            if (str_is(name, prefix##_texts[i])) {                                 \
                *out = (enum prefix)i;                                             \
                return true;                                                       \
            }                                                                      \
        }                                                                          \
        return false;                                                              \
    }

DEFINE_ENUM(cluster_status, CLUSTER, CLUSTER_STATUS)
DEFINE_ENUM(instance_status, INSTANCE, INSTANCE_STATUS)
DEFINE_ENUM(service_status, SERVICE, SERVICE_STATUS)
DEFINE_ENUM(task_definition_status, TASK_DEFINITION, TASK_DEFINITION_STATUS)
DEFINE_ENUM(task_status, TASK, TASK_STATUS)
DEFINE_ENUM(health_status, HEALTH, HEALTH_STATUS)
DEFINE_ENUM(launch_type, LAUNCH, LAUNCH_TYPE)
DEFINE_ENUM(network_mode, NETWORK, NETWORK_MODE)
DEFINE_ENUM(deployment_status, DEPLOYMENT, DEPLOYMENT_STATUS)
DEFINE_ENUM(stability_status, STABILITY, STABILITY_STATUS)
DEFINE_ENUM(rollout_state, ROLLOUT, ROLLOUT_STATE)
DEFINE_ENUM(sd_status, SD, SERVICE_DEPLOYMENT_STATUS)
DEFINE_ENUM(breaker_status, BREAKER, BREAKER_STATUS)
DEFINE_ENUM(threshold_type, THRESHOLD, THRESHOLD_TYPE)
DEFINE_ENUM(deployment_strategy, STRATEGY, DEPLOYMENT_STRATEGY)
DEFINE_ENUM(lifecycle_stage, STAGE, LIFECYCLE_STAGE)
DEFINE_ENUM(hook_status, HOOK, HOOK_STATUS)
DEFINE_ENUM(hook_kind, HOOK_KIND, HOOK_KIND)
DEFINE_ENUM(hook_outcome, OUTCOME, HOOK_OUTCOME)
DEFINE_ENUM(target_state, TARGET, TARGET_STATE)
DEFINE_ENUM(target_type, TARGET_TYPE, TARGET_TYPE)
DEFINE_ENUM(network_kind, NETWORK_KIND, NETWORK_KIND)
DEFINE_ENUM(stop_code, STOP, STOP_CODE)
