/* SPDX-License-Identifier: MIT */
/* event.h - everything that can come into the core.
 * Requests were checked by the API door, so their fields are in range; a report of the world may be
 * late, repeated, out of order or about things long gone, and is then ignored.
 * Ownership: events and what they point to are borrowed for the step; the core copies or refs. */
#pragma once
#include "model/account.h"
#include "model/balancing.h"
#include "model/capacity_provider.h"
#include "model/certificate.h"
#include "model/trust_store.h"
#include "model/cluster.h"
#include "model/image_ref.h"
#include "model/network.h"
#include "model/service.h"
#include "model/task.h"
#include "model/task_definition.h"

/* ---- requests ---- */
struct ev_account_setting_put {
    const char *region, *principal, *name;
    const char *value; /* NULL: not set any more */
};
struct ev_cluster_create {
    const char *region, *name;
    const struct json *doc, *tags;
};
struct ev_cluster_delete {
    const char *arn; /* the door saw that it is empty */
};
struct ev_cluster_update {
    const char *arn;
    const struct json *doc;
};
struct ev_instance_status {
    const char *arn;
    enum instance_status status;
};
struct ev_instance_attributes {
    const char *arn;
    const struct json *custom; /* the whole new array of {name,value} */
};
struct ev_capacity_provider_put { /* new, or its doc and tags changed */
    const char *region, *name, *host_group;
    const struct json *doc, *tags; /* NULL: keep */
};
struct ev_capacity_provider_delete {
    const char *arn; /* the door saw that no cluster has it */
};
struct ev_task_definition_register {
    /* revision, arn, registeredAt are filled in by the core; doc lacks them */
    const char *region, *family;
    const struct json *doc, *tags;
};
struct ev_task_definition_deregister {
    const char *arn;
};
struct ev_task_definition_delete {
    const char *arn; /* INACTIVE: the door checked it */
};
struct ev_service_create {
    const char *cluster_arn, *name, *created_by, *client_token;
    int desired_count, health_check_grace_s;
    const char *task_definition_arn; /* NULL: its controller is EXTERNAL, task sets will have theirs */
    enum launch_type launch_type;
    const struct service_load_balancer *load_balancers;
    int load_balancer_count;
    const struct deployment_config *config; /* complete, defaults written out */
    const struct json *doc, *revision_doc, *tags;
};
/* NULL or -1: keep. A deployment starts if `starts_deployment` (the door compared). */
struct ev_service_update {
    const char *service_arn, *invocation; /* of the call, kept with the service; NULL: it has none */
    int desired_count, health_check_grace_s;
    const struct deployment_config *config;
    const struct json *doc;
    bool starts_deployment;
    const char *task_definition_arn;
    int launch_type; /* enum launch_type or -1 */
    bool has_load_balancers;
    const struct service_load_balancer *load_balancers;
    int load_balancer_count;
    const struct json *revision_doc;
};
/* Roll back to a COMPLETED deployment, by its digests. Refused by the door if there is none
 * (core_rollback_target, core_can_return_to). desired_count -1: keep. */
struct ev_service_rollback {
    const char *service_arn, *invocation; /* as above */
    const char *deployment_id; /* NULL: the last one before the present one */
    int desired_count;
    const char *reason;
};
struct ev_service_delete {
    const char *service_arn;
};
struct ev_service_deployment_stop {
    const char *arn; /* of the service deployment */
    bool rolls_back; /* ROLLBACK, else ABORT: freeze as it is */
};
/* The answer to a PAUSE hook that waits (AWAITING_ACTION); others are ignored. */
struct ev_service_deployment_continue {
    const char *arn, *hook_id;
    bool rolls_back; /* else the deployment goes on */
};
/* Of a service with the controller EXTERNAL; the door saw that it has room for one more. */
struct ev_task_set_create {
    const char *service_arn, *external_id, *client_token;
    int scale; /* model/task_set.h */
    const char *task_definition_arn;
    enum launch_type launch_type;
    const struct service_load_balancer *load_balancers;
    int load_balancer_count;
    const struct json *revision_doc, *tags, *request;
};
struct ev_task_set_scale {
    const char *arn; /* not of one that drains */
    int scale;
};
struct ev_task_set_promote {
    const char *arn; /* it becomes the PRIMARY; not of one that drains */
};
struct ev_task_set_delete {
    const char *arn;
};
struct ev_task_run {
    const char *cluster_arn, *task_definition_arn, *group, *started_by;
    int count;
    enum launch_type launch_type;
    const char *instance_arn;            /* StartTask: there and nowhere else, one task; else NULL */
    const struct placement_rules *rules; /* of the call; NULL: none */
    const struct json *providers;        /* capacityProviderStrategy; NULL: none */
    const struct json *overrides, *doc, *tags;
};
struct ev_task_stop_request {
    const char *task_arn, *reason;
};
struct ev_task_protect {
    const char *task_arn; /* of a service; the door asked core_protection_obstacle() */
    int64_t duration_ms;  /* from now on; 0: protected no more */
};
struct ev_tags_set {
    const char *arn;         /* any taggable resource of the core */
    const struct json *tags; /* the whole new array */
};
struct ev_load_balancer_put {
    struct load_balancer *load_balancer; /* new or changed; the core takes it over (replaces by arn) */
};
struct ev_load_balancer_delete {
    const char *arn; /* and its listeners with their rules */
};
struct ev_listener_put {
    struct listener *listener; /* taken over */
};
struct ev_listener_delete {
    const char *arn; /* and its rules */
};
struct ev_rule_put {
    struct rule *rule; /* taken over; its listener is there, its priority nobody else's */
};
struct ev_rule_delete {
    const char *arn;
};
struct rule_priority {
    const char *rule_arn;
    int priority;
};
struct ev_rule_priorities { /* SetRulePriorities: all at once, so that two may change places */
    const struct rule_priority *list;
    int count;
};
struct ev_certificate_put {
    struct certificate *certificate; /* taken over; the core says when it was made and imported */
};
struct ev_certificate_delete {
    const char *arn; /* no listener serves it */
};
struct ev_trust_store_put {
    struct trust_store *trust_store; /* taken over; the core says when it was made */
};
struct ev_trust_store_delete {
    const char *arn; /* no listener verifies by it */
};
struct ev_network_put {
    struct network *network; /* taken over; replaces by arn */
};
struct ev_network_delete {
    const char *arn; /* nothing hangs on it any more */
};
struct ev_target_group_put {
    struct target_group *target_group; /* taken over; targets of an existing one are kept */
};
struct ev_target_group_delete {
    const char *arn;
};
struct ev_targets_change { /* RegisterTargets, DeregisterTargets by hand */
    const char *target_group_arn;
    bool registers;
    const struct target *targets; /* array: id and port (0 in a deregistration: every port) */
    int target_count;
};

/* ---- reports ---- */
struct ev_instance_report { /* the host's agent came, went or changed */
    const char *host;
    bool is_connected;
    int cpu_total, memory_total_mib;
    const struct json *doc; /* see struct container_instance */
};
struct ev_image_resolved {
    const char *service_arn, *revision_arn;
    /* One a container, in the revision's order; digest empty: the image has none (local only). */
    const char (*digests)[DIGEST_SIZE];
    int digest_count;
    const char *error; /* not NULL: could not be resolved, with the reason */
};
/* A push of an image of our own registry has ended. */
struct ev_image_pushed {
    const char *name;         /* as image_ref_parse() reads whatever a definition writes of it */
    struct image_home home;   /* for that */
    const char *tag;          /* or empty: by digest alone */
    const char *digest;
    const char *config_digest; /* of an image manifest: what it runs by; or empty */
};
/* The agent's view of one task, always complete. Only PENDING, RUNNING, STOPPED occur. */
struct ev_task_state {
    const char *task_id;
    enum task_status status;
    enum health_status health;
    const struct task_container *containers; /* name, runtime_id, digest, last_status, health, exit
                                                code, reason, bindings; found by name */
    int container_count;
    const char *address, *mac_address; /* awsvpc; else NULL */
    int64_t pull_started_at_ms, pull_stopped_at_ms; /* 0: not */
    const char *reason; /* of a task that failed to start: "CannotPullContainerError: ..." */
    int64_t exited_ago_ms; /* of one that STOPPED: since its first essential container exited; 0: just now */
    const char *health_log; /* what its health checks said last, a line a probe; NULL: nothing new */
    bool is_infrastructure; /* Docker was not there: not the application's fault */
    /* It did not start for what is around it, such as a registry that does not answer: a failure like
     * others, but time or somebody else has to mend it. */
    bool is_environment;
};
/* Of targets both reports say which registration they are about: the same (id, port) may be another
 * task's by the time that they arrive. */
struct ev_target_health {
    const char *target_group_arn, *target_id;
    int port;
    int64_t registration;
    enum target_state state; /* initial, healthy, unhealthy, unused, unavailable */
    const char *reason, *description;
};
/* Nothing is in flight any more and it is out of rotation, in every worker. */
struct ev_target_drained {
    const char *target_group_arn, *target_id;
    int port;
    int64_t registration;
};

/* HAProxy acts by these weights: whoever comes now is led by them. */
struct ev_listener_in_force {
    const char *listener_arn;
    int64_t generation;
};

/* Of the call of a lifecycle hook; an attempt that is not the present one is ignored. */
struct ev_hook_answered {
    const char *service_deployment_arn, *hook_id;
    int attempt;
    enum hook_outcome outcome;
    int delay_s;        /* IN_PROGRESS: to be called again after that */
    const char *detail; /* why not SUCCEEDED, in a clause; "" or NULL: unknown */
};

/* Of an alarm as a deployment may name it (ecs.md 6.4); repeats do no harm. */
struct ev_alarm_state {
    const char *region, *name;
    bool is_alarm; /* ALARM; else OK or INSUFFICIENT_DATA, which are no failure */
};

/* naru itself did not run for a while: the present step comes so much later than it was to come.  What its hands
 * have to report of that time is on its way at best. */
struct ev_stood_still {
    int64_t late_ms;
};

#define EVENTS(X)                                                                                  \
    X(ACCOUNT_SETTING_PUT, account_setting_put)                                                    \
    X(CLUSTER_CREATE, cluster_create) X(CLUSTER_DELETE, cluster_delete)                            \
    X(CLUSTER_UPDATE, cluster_update) X(INSTANCE_STATUS, instance_status)                          \
    X(INSTANCE_ATTRIBUTES, instance_attributes) X(CAPACITY_PROVIDER_PUT, capacity_provider_put)    \
    X(CAPACITY_PROVIDER_DELETE, capacity_provider_delete)                                          \
    X(TASK_DEFINITION_REGISTER, task_definition_register)                                          \
    X(TASK_DEFINITION_DEREGISTER, task_definition_deregister)                                      \
    X(TASK_DEFINITION_DELETE, task_definition_delete)                                              \
    X(SERVICE_CREATE, service_create) X(SERVICE_UPDATE, service_update)                            \
    X(SERVICE_ROLLBACK, service_rollback) X(SERVICE_DELETE, service_delete)                        \
    X(SERVICE_DEPLOYMENT_STOP, service_deployment_stop)                                            \
    X(SERVICE_DEPLOYMENT_CONTINUE, service_deployment_continue)                                    \
    X(TASK_SET_CREATE, task_set_create) X(TASK_SET_SCALE, task_set_scale)                          \
    X(TASK_SET_PROMOTE, task_set_promote) X(TASK_SET_DELETE, task_set_delete)                      \
    X(TASK_RUN, task_run) X(TASK_STOP_REQUEST, task_stop_request)                                  \
    X(TASK_PROTECT, task_protect) X(TAGS_SET, tags_set)                                            \
    X(LOAD_BALANCER_PUT, load_balancer_put) X(LOAD_BALANCER_DELETE, load_balancer_delete)          \
    X(LISTENER_PUT, listener_put) X(LISTENER_DELETE, listener_delete)                              \
    X(RULE_PUT, rule_put) X(RULE_DELETE, rule_delete) X(RULE_PRIORITIES, rule_priorities)          \
    X(CERTIFICATE_PUT, certificate_put) X(CERTIFICATE_DELETE, certificate_delete)                  \
    X(TRUST_STORE_PUT, trust_store_put) X(TRUST_STORE_DELETE, trust_store_delete)                  \
    X(NETWORK_PUT, network_put) X(NETWORK_DELETE, network_delete)                                  \
    X(TARGET_GROUP_PUT, target_group_put) X(TARGET_GROUP_DELETE, target_group_delete)              \
    X(TARGETS_CHANGE, targets_change) X(INSTANCE_REPORT, instance_report)                          \
    X(IMAGE_RESOLVED, image_resolved) X(IMAGE_PUSHED, image_pushed) X(TASK_STATE, task_state)      \
    X(TARGET_HEALTH, target_health) X(TARGET_DRAINED, target_drained)                              \
    X(LISTENER_IN_FORCE, listener_in_force) X(HOOK_ANSWERED, hook_answered)                        \
    X(ALARM_STATE, alarm_state) X(STOOD_STILL, stood_still)

enum event_type {
    EVENT_CLOCK, /* only time passed */
    /* Commits failed for a while, and what was decided meanwhile was performed only now: whatever waits
     * for the balancer waits from now on. */
    EVENT_ORDERS_LATE,
#define X(NAME, member) EVENT_##NAME,
    EVENTS(X)
#undef X
};

struct event {
    enum event_type type;
    union {
#define X(NAME, member) struct ev_##member member;
        EVENTS(X)
#undef X
    };
};

const char *event_name(enum event_type type);
