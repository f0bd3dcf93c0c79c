/* SPDX-License-Identifier: MIT */
/* world.h - a seeded world around the core: Docker, HAProxy, the store, operators, and what goes wrong.
 * Time is simulated: a heap of happenings, each at its millisecond.  Every choice is drawn from the
 * seed.  The world keeps its own book of what it was told and what really runs; checks.c judges the
 * core's decisions by that book only, never by the core's own view.
 * Faults: slow pulls, crashing tasks, bad images, lost, late, repeated and reordered reports, a dying
 * Docker (or one that refuses, hangs or forgets), images that are gone, a HAProxy that restarts, commits that
 * fail, naru dying before its commit, before its effects or after, naru standing still, a clock that was set
 * while it was down.
 * Half of the worlds have several hosts, which come, go, are drained and get attributes.  In a
 * third of them hosts have GPUs, which their agents name in another order after each restart.
 * A world can be cut (shrink.c): its faults of a kind, services or acts of operators are left out while
 * every other choice stays as it was drawn. */
#pragma once
#include <stdio.h>
#include "core/core.h"
#include "core/target_health.h"
#include "fake_hooks.h"
#include "rules.h"
#include "task_sets.h"

#define SERVICES_MAX 3
#define VERSIONS_MAX 6
#define DELETIONS_MAX 8
#define HOSTS_MAX 5
#define TASK_CPU 10   /* of every task; its memory, too */
#define ROOMY 100000  /* the cpu and memory of a host where neither is short */
#define GPU_OVERRIDE 2 /* GPUs that some standalone tasks ask for by an override */

enum behaviour { GOOD, SLOW, CRASHES_AT_START, CRASHES_LATER, UNHEALTHY, BAD_IMAGE, FLAKY, BEHAVIOURS };
enum service_kind { BRIDGE_LB, AWSVPC_LB, FIXED_PORT_LB, NO_LB, CHECKED_NO_LB, SERVICE_KINDS };

/* What a service asks of placement: one strategy, at most one constraint. */
enum sim_strategy { NO_STRATEGY, BY_CPU, BY_MEMORY, OVER_INSTANCES, OVER_ZONES, OVER_COLORS, AT_RANDOM,
                    SIM_STRATEGIES };
enum sim_constraint { NO_CONSTRAINT, DISTINCT, RED, SIM_CONSTRAINTS };

struct sim_host {
    char name[16], instance[ID_SIZE], instance_arn[ARN_SIZE];
    bool docker_is_up;
    /* the book */
    bool told_connected, told_draining, told_red;
    uint64_t told_gpus; /* bits: which GPUs its agent names */
    uint32_t told_epoch; /* the last life of naru in which it was told of the host */
};

/* Name, and how many in 10,000 chances at most. */
#define FAULTS(X)                                                                             \
    X(lost, 800) X(repeated, 1000) X(late, 1000) X(slow_pull, 2000) X(docker_death, 800)      \
    X(haproxy_restart, 800) X(naru_crash, 200) X(probe_flake, 300) X(docker_refuses, 300)     \
    X(docker_hangs, 200) X(container_lost, 800) X(image_gone, 300) X(commit_fails, 100)       \
    X(naru_stalls, 300) X(clock_set, 3000)
struct faults {
#define X(name, most) int name;
    FAULTS(X)
#undef X
};
enum fault_kind {
#define X(name, most) FAULT_##name,
    FAULTS(X)
#undef X
    FAULT_KINDS
};

#define ACTS_MAX 1024 /* of operators, in one world */

/* What is left out of a world. */
struct cut {
    uint32_t without;         /* bits of enum fault_kind */
    int services_max;         /* 0: as drawn */
    bool has_acts;            /* only those of `acts` happen */
    bool acts[ACTS_MAX];
};

struct sim_container {
    char id[ID_SIZE], arn[ARN_SIZE], deployment_id[ID_SIZE], digest[DIGEST_SIZE];
    int service; /* -1: standalone */
    int host;
    bool is_placed; /* EC2: it takes of its host */
    uint64_t gpus;  /* bits: which of its host's it was given */
    enum behaviour behaviour;
    enum container_state state;
    char hook_id[ID_SIZE]; /* it is the task of a lifecycle hook */
    int hook_service; /* of this service, or -1 */
    bool ignores_sigterm, has_check, is_infrastructure, is_signalled, crashes_early;
    int exit_code, port;
    char address[ADDRESS_SIZE];
    enum health_status health;
    uint32_t generation; /* of its next happening */
    /* the book: what the core was told (and has committed), what it decided */
    bool told_stopped, asked_stop, by_user, exited_early; /* early: within a probation, and badly */
    int64_t told_running_ms, asked_stop_ms;
    bool is_unheard; /* not known to be healthy when nobody watched, nor spoken of since then */
    bool was_steady; /* RUNNING for so long that it is healthy without a check */
    int64_t protected_until_ms;
    enum health_status told_health;
    int version;
    bool image_is_gone;
};

struct sim_target {
    int group; /* 2 * service, + 1: its alternate one */
    char id[ADDRESS_SIZE];
    int port, container;
    int64_t registration;
    bool is_registered, is_draining, in_rotation;
    bool by_hand; /* an operator deregistered it */
    struct target_health health;
    enum target_state told; /* by reports that the core has committed */
    int in_flight;
    int64_t last_report_ms; /* reports of one registration stay in order */
    uint32_t generation;
};

struct sim_service {
    enum service_kind kind;
    char name[32], arn[ARN_SIZE];
    char groups[2][BALANCING_ARN_SIZE], listener[BALANCING_ARN_SIZE];
    char definitions[VERSIONS_MAX][ARN_SIZE];
    enum behaviour behaviours[VERSIONS_MAX];
    struct {
        char arn[ARN_SIZE];
        int version;
    } deleted[DELETIONS_MAX]; /* definitions that were asked to go; what runs from them runs on */
    int deleted_count;
    bool exists, is_deleted;
    int desired_count, minimum, maximum, drain_s;
    bool has_breaker;
    enum sim_strategy strategy;
    enum sim_constraint constraint;
    bool is_daemon;
    bool balances_zones;
    bool has_providers; /* a strategy over the groups of hosts with even and with odd numbers */
    struct watch watch;
    bool has_rolled, has_shifted, may_be_early; /* was it ever configured so? */
    bool is_external; /* its deployments are task sets */
    struct set_book sets;
    struct hook_book hooks;
    int weights[2];               /* that HAProxy acts by: where requests really go */
    struct rule_book rules, served_rules; /* asked for; that HAProxy acts by */
};

struct stored_row {
    enum row_kind kind;
    char key[ARN_SIZE];
    struct json *doc;
};

struct world {
    uint64_t seed;
    struct fate fate;
    struct core *core; /* NULL while naru is dead */
    struct core_options options;
    uint32_t epoch;    /* of naru's life: reports of an earlier one are lost */
    int64_t now_ms, start_ms;
    int64_t skew_ms;          /* of naru's clock: naru_now() */
    int64_t stalled_until_ms; /* naru stands still */
    struct still still;
    bool store_is_away;       /* commits fail: nothing is performed, and a death loses all of it */
    struct book *book;        /* as it was when they began to fail */
    struct cut cut;
    int acts;                 /* of operators, so far */
    struct effects effects;
    struct faults faults;
    struct stored_row *rows;
    int row_count, row_capacity, kept_count;
    bool stores_every_step; /* else only when naru dies: faster */
    struct sim_container *containers;
    int container_count, container_capacity;
    struct sim_target *targets;
    int target_count, target_capacity;
    struct sim_service services[SERVICES_MAX];
    int service_count;
    struct rule_book asked_rules; /* of a service, once the step is committed that asks for it */
    int asked_service;
    char cluster[ARN_SIZE];
    struct sim_host hosts[HOSTS_MAX];
    int host_count;
    int host_cpu;  /* of each; or its memory, in the worlds with odd seeds */
    bool is_tight; /* there is room for all upper bounds on all hosts, and not for more */
    bool has_gpus; /* then it is they that are tight */
    int next_port, next_address, image_version;
    uint64_t steps;
    bool traces;
    bool has_failed;
    char failure[512];
    /* deployment id -> digest, for promise 6 and 4 */
    struct { char id[ID_SIZE]; char digest[DIGEST_SIZE]; } *pinned;
    int pinned_count, pinned_capacity;
    struct completed completed;
    int64_t operators_end_ms;
};

struct world *world_new(uint64_t seed, const struct cut *cut, bool traces); /* cut: or NULL */
void world_free(struct world *w);
/* Runs the whole course; false if a promise was broken (world.failure says which). */
bool world_run(struct world *w);

/* ---- among the files of sim/ ---- */
void world_fail(struct world *w, const char *format, ...) PRINTF_LIKE(2, 3);
/* Fails with the complaint of a judge of both sizes, unless that found all well. */
void world_judge(struct world *w, bool is_well, const struct complaint *complaint);
void world_trace(struct world *w, const char *format, ...) PRINTF_LIKE(2, 3);
/* Does a fault strike now?  One that was cut is drawn all the same, and does not. */
#define strikes(w, fault) (chance((w), (w)->faults.fault) && ((w)->cut.without >> FAULT_##fault & 1) == 0)
int64_t naru_now(const struct world *w);
/* Steps the core, commits, judges, performs; false if naru died before the commit. */
bool world_step(struct world *w, const struct event *event);
void world_perform(struct world *w);
struct report *report_task(struct world *w, int container);
void send_report(struct world *w, struct report *r);

void docker_effect(struct world *w, const struct effect *e);
void docker_happened(struct world *w, int container, uint32_t generation);
void docker_dies(struct world *w, int host);
void docker_returns(struct world *w, int host);
void report_host(struct world *w, int host);
struct json *host_doc(const struct world *w, int host); /* zone and group, by its number; GPUs */
void host_sizes(const struct world *w, struct ev_instance_report *ev);
int gpus_wanted_by(const struct world *w, int service); /* that its definitions ask for */
uint64_t gpu_bits(const struct json *list, int host);   /* identifiers; another host's are left out */
int host_find(const struct world *w, const char *instance_arn); /* -1: none */
int container_find(const struct world *w, const char *id);
int container_of_target(const struct world *w, int group, const char *id, int port);
bool container_answers(struct world *w, const struct sim_container *c);

void balancer_effect(struct world *w, const struct effect *e);
void balancer_probe(struct world *w, int target, uint32_t generation);
void balancer_traffic(struct world *w);
void balancer_request_end(struct world *w, int target, uint32_t generation);
void balancer_weights_ordered(struct world *w, const char *listener_arn);
void balancer_weights_set(struct world *w, int service, uint32_t epoch);
void balancer_view_again(struct world *w); /* after a restart of naru */
bool service_has_pair(const struct sim_service *s);
void balancer_drain_end(struct world *w, int target, uint32_t generation);
int group_find(const struct world *w, const char *arn); /* 2 * service + which of its pair */
int target_find(const struct world *w, const char *group, const char *id, int port);
void report_health(struct world *w, int target);
void report_in_force(struct world *w, const struct listener *l);
void report_drained_target(struct world *w, int target, const struct ef_target_change *asked);

void operators_begin(struct world *w);
int version_of(const struct sim_service *s, const char *definition_arn); /* -1: not one of its */
void operator_acts(struct world *w);
void operators_finish(struct world *w);

void store_commit_rows(struct world *w);
void store_take_all(struct world *w);
void store_clear(struct world *w);

/* checks.c: by the world's book */
void check_effects(struct world *w);           /* decisions, before they are performed */
void check_after_step(struct world *w);
void check_signal(struct world *w, int container); /* a SIGTERM arrives */
void check_effects_from(struct world *w, int first);
void told(struct world *w, const struct event *ev); /* the step of `ev` is committed */
void nobody_watched(struct world *w, int host); /* what is there; -1: anywhere */

/* ... and for the judges of other files */
bool is_wanted(const struct sim_container *c);
bool is_told_healthy(const struct world *w, int container);
int wanted_on(const struct world *w, int service, int host);
int desired_of(const struct world *w, int service);
bool is_eligible(const struct world *w, int service, int host); /* takes one more task */

/* steady.c: has come to rest */
bool is_bad(const struct sim_service *s, const char *definition);
bool world_is_steady(struct world *w, char *why, size_t why_size);

/* hook_book.c: calls of hooks (fake_hooks.h) */
void note_hook_effect(struct world *w, const struct effect *e);
void note_hook_answer(struct world *w, const struct ev_hook_answered *ev);
void check_hooks_heard(struct world *w, int service);

/* set_book.c: the deployment controller EXTERNAL (task_sets.h) */
void note_task_set(struct world *w, const struct event *ev);
bool is_set_deleted(const struct world *w, int container);
void judge_set_start(struct world *w, int container);
void judge_set_stop(struct world *w, int container);
void check_sets_shown(struct world *w, int service);
bool sets_are_steady(struct world *w, int service, char *why, size_t why_size);
bool deployer_acts(struct world *w, struct sim_service *s, struct act *out);

/* rule_book.c: rules of listeners */
void rules_act(struct world *w);   /* an operator makes, changes, deletes or reorders some */
void told_rules(struct world *w);  /* that is committed */
void check_rules(struct world *w, int service);
void balancer_rules_set(struct world *w, int service);
void balancer_rule_ordered(struct world *w, const char *arn); /* of one; else nothing happens */
bool rules_are_steady(const struct world *w, int service, char *why, size_t why_size);

/* pushes.c: one image, and who shall fetch it */
void operator_pushes(struct world *w, int number);

/* invariants.c: of what the core shows (shown.h) */
void check_task_rows(struct world *w, int first);
void check_service_shown(struct world *w, int service);
void check_rows_read_back(struct world *w); /* loaded, not resumed yet */

/* book.c: commits that fail */
void book_keep(struct world *w);
void book_forget(struct world *w);
void book_return(struct world *w); /* naru died: none of it happened */

/* shrink.c */
int shrink(uint64_t seed, const struct cut *cut); /* the exit status */
bool cut_parse_acts(struct cut *cut, const char *text);
bool cut_parse_without(struct cut *cut, const char *text);
