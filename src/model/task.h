/* SPDX-License-Identifier: MIT */
/* task.h - a task and its containers as the control plane knows them. */
#pragma once
#include "model/types.h"

struct network_binding {
    int container_port, host_port;
    bool is_udp;
    int range_len; /* 0: one port; else those of a containerPortRange from these on, so many */
};

struct task_container {
    char name[NAME_SIZE];
    char id[40];         /* uuid of its ARN */
    char image[IMAGE_SIZE + DIGEST_SIZE];
    char digest[DIGEST_SIZE];
    char runtime_id[72]; /* Docker's id, empty before it exists */
    enum task_status last_status; /* PENDING, RUNNING or STOPPED */
    enum health_status health;
    bool has_exit_code;
    int exit_code;
    char reason[REASON_SIZE];
    struct network_binding *bindings; /* of a task its own: task_container_bind() */
    int binding_count;
};

/* Where one load balancer entry of the service leads to, once the task runs. */
struct task_target {
    char target_group_arn[ARN_SIZE];
    char target_id[ADDRESS_SIZE]; /* address of the task, or the instance id */
    int port;
    bool is_registered; /* we asked for it and have not seen it drained */
    bool is_draining;
    enum target_state state;
    bool was_healthy;   /* once, since registration */
};

struct container_instance;
struct service;
struct deployment;
struct task_definition;

struct task {
    char id[ID_SIZE]; /* 32 hex; also names its containers in Docker */
    char arn[ARN_SIZE];
    char cluster_arn[ARN_SIZE];
    char cluster_name[NAME_SIZE];
    char region[REGION_SIZE];
    char service_arn[ARN_SIZE];   /* empty: standalone */
    char service_name[NAME_SIZE];
    char deployment_id[ID_SIZE];  /* of a service task; shown as startedBy */
    char revision_arn[ARN_SIZE];  /* service revision */
    char task_definition_arn[ARN_SIZE];
    char group[NAME_SIZE];
    char started_by[136];
    char hook_id[ID_SIZE];             /* of the lifecycle hook that it was started as; empty: none */
    char instance_arn[ARN_SIZE];
    char capacity_provider[NAME_SIZE]; /* its name; empty: a launch type was asked for */
    enum launch_type launch_type;
    enum task_status last_status, desired_status; /* desired: RUNNING or STOPPED */
    enum health_status health;
    bool has_stop_code;
    enum stop_code stop_code;
    char stopped_reason[REASON_SIZE];
    char address[ADDRESS_SIZE];   /* awsvpc: its own */
    char mac_address[32];
    char attachment_id[40];
    int cpu, memory_mib;
    struct task_container *containers; /* as many as there are: task_make_parts() */
    int container_count;
    struct task_target *targets;
    int target_count;
    int64_t created_at_ms, pull_started_at_ms, pull_stopped_at_ms, started_at_ms,
        execution_stopped_at_ms, stopping_at_ms, stopped_at_ms; /* 0: not yet */
    int64_t healthy_at_ms;        /* first time it counted as healthy (ecs.md 5.3); 0: never */
    int64_t drain_deadline_ms;    /* while DEACTIVATING */
    int64_t stop_deadline_ms;     /* while STOPPING: then it is asked again */
    int stop_tries;
    bool is_failure_counted;      /* the breaker and back-off have seen it */
    bool is_unhealthy_marked;     /* to be replaced */
    char unhealthy_reason[REASON_SIZE]; /* stoppedReason when it is */
    bool is_moving;               /* to another zone: replaced like one on a draining instance */
    int64_t protected_until_ms;   /* until then no scale-in and no deployment stops it; 0: never set */
    int version;
    struct json *overrides;       /* as DescribeTasks shows it */
    struct json *gpus;            /* {container: [identifier, ...]} that it was given; or NULL */
    struct json *doc;             /* networkConfiguration, enableExecuteCommand, ...: kept only */
    struct json *tags;
    struct json *evidence;        /* {"healthLog": text, "targets": [what the balancer saw last]} or NULL */
    struct task *next;

    /* The core's own; not stored. */
    struct task *prev;                   /* in core->tasks */
    struct task *next_live, *prev_live;  /* in its service's (or the standalone) list */
    struct service *service;             /* NULL: standalone */
    struct deployment *deployment;       /* NULL: standalone, or settled */
    struct task_definition *definition;  /* NULL: settled, and deleted meanwhile */
    struct container_instance *instance; /* where it holds a place; NULL: FARGATE, or STOPPED */
    struct task *next_here, *prev_here;  /* in the instance's list */
    int64_t give_key[STRATEGIES_MAX];    /* of one choice of a victim: the greater goes first */
    int64_t ask_at_ms;                   /* when the hands are asked again what became of it */
    bool is_healthy_now;                 /* as task_advance() last saw it; false once not wanted */
    bool is_settled;                     /* STOPPED and out of every target group */
    bool is_unheard;                     /* nobody watched, and its agent did not speak of it yet: hearing.h */
    int64_t unheard_since_ms;            /* without the time in which its agent could not speak */
    int64_t start_from_ms;               /* its start has its time from then on, after naru stood still; 0: it did not */
    int64_t grace_from_ms;               /* its grace period begins anew then, after nobody watched; 0: it does not */
    bool is_dirty;                       /* will be persisted at the end of this step */
};

struct task *task_new(void);
void task_free(struct task *t);
/* Zeroed containers and targets, once. */
void task_make_parts(struct task *t, int container_count, int target_count);
/* Gives a task's container a copy of these bindings; true if it had others. */
bool task_container_bind(struct task_container *c, const struct network_binding *bindings,
                         int count);
bool task_is_wanted(const struct task *t); /* desired RUNNING */
/* What the overrides of a task (may be NULL) have for one of its containers; NULL: nothing. */
const struct json *task_container_override(const struct json *overrides, const char *container);
struct json *task_encode(const struct task *t);
struct task *task_decode(const struct json *row, struct err *err);
