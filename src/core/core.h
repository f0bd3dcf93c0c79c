/* SPDX-License-Identifier: MIT */
/* core.h - decides.  All state of clusters, task definitions, services, tasks and load balancing,
 * and the one function that changes it.
 * Start at core_step().  Pure: no clock, no I/O, no dice but the seeded generator, whose state is
 * part of what is stored, so that the same history always gives the same ids and effects.
 * Readers (the API's handlers) read the lists directly, under the lock that the engine holds while it
 * steps and commits; they never change anything: every change is an event.
 * Units: '_ms' is milliseconds since the epoch, 0 for never; counts are tasks, memory is MiB, cpu is
 * 1/1024 of a core.
 * Errors: only rows of a damaged store.  Unknown ids in requests are the door's to refuse:
 * core_step() asserts on them; in reports of the world they are ignored.
 * Ownership: the core owns all it points to. */
#pragma once
#include "base/random.h"
#include "core/effect.h"
#include "core/event.h"

struct core_options {
    char account[16];          /* "000000000000" */
    char default_region[REGION_SIZE];
    uint64_t seed;
    int64_t steady_after_ms;   /* RUNNING so long counts as healthy without any check: 40000 (ecs.md 5.3) */
    int64_t start_timeout_ms;  /* PENDING longer than that has failed to start: 3 h (pull 2 h, create, start) */
};

struct core {
    struct core_options options;
    struct rng rng;
    int64_t now_ms;
    uint64_t last_id;           /* ecs-svc and revision numbers only rise */
    struct account *accounts;   /* one a region that has settings */
    struct cluster *clusters;
    struct capacity_provider *capacity_providers; /* own ones, oldest first */
    struct container_instance *instances;
    struct task_definition *task_definitions; /* newest revision of a family first */
    struct service *services;
    struct task *tasks;         /* newest first; STOPPED ones too, until forgotten */
    struct load_balancer *load_balancers;
    struct listener *listeners;
    struct rule *rules;         /* of all listeners, in no order */
    struct certificate *certificates;
    struct trust_store *trust_stores;
    struct target_group *target_groups;
    struct network *networks;   /* VPCs, subnets and security groups, in no order */
    struct json *families;      /* {"region/family": highest revision ever}; a row each */
    struct json *alarms;        /* {"region/name": true} of those in ALARM; in META */
    /* what the last TASK_RUN made, for the answer */
    char created_arns[10][ARN_SIZE];
    int created_count;
    const char *run_failure; /* why it made fewer than asked ("CAPACITY", "AGENT", ...), else NULL */
    struct core_index *index; /* the core's own: maps, lists and deadlines over all of the above */
};

struct core *core_new(const struct core_options *options);
void core_free(struct core *core);

/* The only door.  Changes `core` for `event` and appends to `out` what the world has to do about it.
 * `now_ms` never goes back (the caller clamps). */
void core_step(struct core *core, const struct event *event, int64_t now_ms, struct effects *out);

/* When EVENT_CLOCK is next due (a deadline, a back-off, a grace period), or INT64_MAX. */
int64_t core_deadline_ms(const struct core *core);
/* How much later than that it is by now, or than `look_ms`, at which whoever drives the core was to look at the clock in
 * any case; if naru itself stood still meanwhile (seconds; less is a busy moment), else 0.  The core is told that first,
 * by EVENT_STOOD_STILL. */
int64_t core_stood_still_ms(const struct core *core, int64_t look_ms, int64_t now_ms);

/* Store rows.  core_row() gives the row's document, or NULL if the object is gone (delete it).
 * core_load() takes rows back, any order; core_link() puts together what belongs together, false if
 * something is missing, and core->now_ms is then the latest moment that the rows know; then core_resume(),
 * which may not be given an earlier one, makes the effects that bring the hands up to date after a
 * restart: resolve, start/adopt, stop, forget, register, deregister. */
struct json *core_row(const struct core *core, enum row_kind kind, const char *key);
bool core_load(struct core *core, enum row_kind kind, const struct json *row, struct err *err) MUST_CHECK;
bool core_link(struct core *core, struct err *err) MUST_CHECK;
/* The rows that there should be, all of them. */
void core_each_row(const struct core *core, void (*each)(void *arg, enum row_kind kind, const char *key),
                   void *arg);
void core_resume(struct core *core, int64_t now_ms, struct effects *out);

/* Finders: by ARN, or by name within a region / cluster. NULL: not there. */
struct cluster *core_cluster(const struct core *core, const char *region, struct str name_or_arn);
struct service *core_service(const struct core *core, const struct cluster *cluster, struct str name_or_arn);
struct service *core_service_by_arn(const struct core *core, const char *arn);
/* Of a service revision, service deployment, ...: whatever is named kind/CLUSTER/SERVICE/id. */
struct service *core_service_of_part(const struct core *core, const char *part_arn);
struct service *core_service_of_deployment(const struct core *core, const char *service_deployment_arn,
                                           struct service_deployment **out);
struct task *core_task(const struct core *core, const struct cluster *cluster, struct str id_or_arn);
struct task *core_task_by_id(const struct core *core, const char *id);
struct task *core_task_by_arn(const struct core *core, const char *arn);
/* A task set, and of which service; NULL: not there (any more). */
struct deployment *core_task_set(const struct core *core, const char *arn, struct service **service_out);
/* "family" (newest ACTIVE), "family:revision", or an ARN. */
struct task_definition *core_task_definition(const struct core *core, const char *region, struct str name);
/* An own one, by name or ARN. */
struct capacity_provider *core_capacity_provider(const struct core *core, const char *region,
                                                 const char *name_or_arn);
struct container_instance *core_instance(const struct core *core, const char *arn);
struct load_balancer *core_load_balancer(const struct core *core, const char *arn);
struct listener *core_listener(const struct core *core, const char *arn);
struct rule *core_rule(const struct core *core, const char *arn);
struct certificate *core_certificate(const struct core *core, const char *arn);
bool core_certificate_in_use(const struct core *core, const char *arn); /* a listener serves it */
struct trust_store *core_trust_store(const struct core *core, const char *arn);
bool core_trust_store_in_use(const struct core *core, const char *arn); /* a listener verifies by it */
/* Also a default VPC that is gone. */
struct network *core_network(const struct core *core, const char *arn);
/* "vpc-..", "subnet-.." or "sg-.."; NULL: there is none. */
struct network *core_network_by_id(const struct core *core, const char *region, const char *id);
struct target_group *core_target_group(const struct core *core, const char *arn);
/* The blocks of addresses that the load balancer's security groups let in at the port, each once, or NULL:
 * it has no group that is known here, and lets in everybody.  Unknown ones beside known ones add nothing. */
struct json *core_allowed_sources(const struct core *core, const struct load_balancer *lb, int port);
/* Does some listener's or rule's action lead to the group? */
bool core_target_group_in_use(const struct core *core, const char *arn);
/* The service whose deployment under way owns the weights of the listener; NULL: they are nobody's. */
const struct service *core_listener_owner(const struct core *core, const char *listener_arn);
/* The deployment a rollback of `service` would restore, or NULL (ecs.md 6.3). */
struct deployment *core_rollback_target(const struct core *core, const struct service *service);
/* May a rollback restore that deployment of `service`, however old it is (ecs.md 11, pain 5)?  While a
 * deployment moves traffic: only the one that has it. */
bool core_can_return_to(const struct core *core, const struct service *service,
                        const struct deployment *deployment);

/* Has the service room for another deployment?  Not while the tasks of hundreds are still being stopped. */
bool core_has_room_for_deployment(const struct service *service);

/* What a HOOK_CALL asks for.  False: it is not waited for any more.  The payload is the caller's. */
struct hook_order {
    const char *target;
    struct json *payload; /* ecs.md 6.8 */
    int64_t time_left_ms;
};
bool core_hook_order(const struct core *core, const struct ef_hook_call *call, struct hook_order *out);

/* What was set for the principal (its ARN), {name: value}, or NULL; the root's are everybody's default. */
const struct json *core_account_settings(const struct core *core, const char *region,
                                         const char *principal);
const char *core_account_default(const struct core *core, const char *region, const char *name);

/* May the task be protected now?  NULL: yes; else the reason of the failure that UpdateTaskProtection
 * answers, and *detail_out says it in a sentence.  Turning protection off is refused for standalone
 * tasks only. */
const char *core_protection_obstacle(const struct task *task, bool turns_on, const char **detail_out);
bool core_task_is_protected(const struct core *core, const struct task *task);

/* Counts of a deployment's (or, with NULL, the service's) tasks as ECS shows them (ecs.md 4.1). */
struct task_counts {
    int desired_running; /* desired RUNNING, any state; only these count towards the upper bound */
    int running, pending, healthy;
    int stopping;        /* desired STOPPED, not yet STOPPED */
};
struct task_counts core_counts(const struct core *core, const struct service *service,
                               const struct deployment *deployment);
bool core_task_is_healthy(const struct core *core, const struct task *task); /* ecs.md 5.3 */

/* Asserts every invariant: after a restart, and in tests.  A step looks at the rows that it touched. */
void core_check(const struct core *core);
