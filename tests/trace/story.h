/* SPDX-License-Identifier: MIT */
/* story.h - tells the core a story and writes down what it answers.
 * A story has cluster "c", target group "tg" behind a listener, host "h" (or those of its options) and
 * service "web"; one with another strategy than ROLLING also has the group "tg2", and perhaps a test
 * listener; what its listeners are told is written as "production 90/10" or "test 0/100": of tg and
 * of tg2.  Tasks are
 * named t1, t2, ... in the order of their creation.  Each told event makes one line:
 *     "  900 running t2 | target_register t2"
 * milliseconds since the start, the event, then the effects without PERSIST ("-" for none).
 * CHECK_TRACE compares all lines since the last one.  After each event the invariants are checked, and that
 * every row that changed was persisted; story_restart() has only what was. */
#pragma once
#include "check.h"
#include "core/core.h"
#include "core/deployment.h"

#define STORY_TASKS_MAX 640

struct story_row { /* in the store */
    enum row_kind kind;
    char key[ARN_SIZE];
    char *text;
};

struct story {
    struct core *core;
    int64_t start_ms, now_ms;
    struct effects effects;
    struct strbuf trace;
    char ids[STORY_TASKS_MAX][ID_SIZE];
    int task_count;
    char cluster[ARN_SIZE], service[ARN_SIZE], group[ARN_SIZE], second_group[ARN_SIZE];
    char group2[ARN_SIZE], production[ARN_SIZE], test[ARN_SIZE]; /* alternate group, listeners */
    char definitions[8][ARN_SIZE];
    int definition_count;
    int next_port;
    char hooks[32][ID_SIZE]; /* ids of those that were called: h1, h2, ... */
    int hook_count;
    struct story_row *rows;
    int row_count;
    int unchecked; /* steps since all rows were compared */
    bool names_hosts;        /* several: TASK_START is told as "start t1@h2" */
    bool resolves_by_itself; /* default: IMAGE_RESOLVE is answered in the same step */
};

/* A machine: its zone and colour are attributes of its agent; its host group is named like its zone. */
struct story_host {
    const char *name, *zone, *color; /* the last two may be NULL */
    int cpu, memory_mib;
};

struct story_options {
    int desired_count, minimum_healthy_percent, maximum_percent;
    bool has_load_balancer, has_breaker, rolls_back;
    bool has_second_group; /* a second entry for the same port, in target group "tg2" */
    bool no_reset; /* resetOnHealthyTask: false */
    bool keeps_unresolved;
    const struct story_host *hosts; /* ends with a NULL name; NULL: one, "h" */
    const char *providers;          /* capacityProviderStrategy, as JSON */
    const char *doc;                /* placementStrategy, ... of the service, as JSON */
    int fixed_port;                 /* host port of definition 1 and all others; 0: dynamic */
    int gpus;                       /* that each of their tasks asks for */
    struct strategy_config strategy;
    const char *hooks; /* lifecycleHooks as the API shows them, as JSON: those of `strategy` */
    bool has_test_listener;
    const char *tags;    /* of the service, as JSON */
    bool watches_alarms; /* "bad" and "worse", with rollback */
};

/* What most stories begin with, beside a desired count. */
#define STORY_USUAL                                                                                \
    .minimum_healthy_percent = 100, .maximum_percent = 200, .has_load_balancer = true,             \
    .has_breaker = true, .rolls_back = true

struct story *story_new(const struct story_options *options);
/* The same with another desired count; its tasks are healthy, its deployment is COMPLETED. */
struct story *story_new_running(const struct story_options *options, int desired_count);
void story_free(struct story *st);
static inline void story_free_(struct story **st) { story_free(*st); }
#define cleanup_story cleanup(story_free_)

struct json *story_json(const char *text); /* fails the test if it is none */
void story_at(struct story *st, int64_t ms); /* later events happen then */
void story_tell(struct story *st, const struct event *event, const char *words);
/* The agent of a host speaks (again); a new name is a new host. */
void story_machine(struct story *st, const struct story_host *host, bool is_connected);
/* The same of a host without a zone, with room and these GPUs: identifiers, separated by blanks. */
void story_gpus(struct story *st, const char *host, const char *gpus);
void story_status(struct story *st, const char *host, enum instance_status status);
void story_color(struct story *st, const char *host, const char *color); /* PutAttributes */
void story_run(struct story *st, int count, const char *instance_host, const char *rules); /* RunTask */
const char *story_place(const struct story *st, int task); /* the host's name */
struct container_instance *story_instance(const struct story *st, const char *host);
void story_clock(struct story *st);
void story_host(struct story *st, int cpu, bool is_connected);
void story_pending(struct story *st, int task);
void story_running(struct story *st, int task);
void story_moved(struct story *st, int task); /* runs, at another host port than before */
void story_stopped(struct story *st, int task, int exit_code);
void story_failed_to_start(struct story *st, int task);
void story_cannot_pull(struct story *st, int task); /* the registry does not answer */
void story_lost(struct story *st, int task); /* by the runtime */
void story_healthy(struct story *st, int task); /* in every group */
void story_unhealthy(struct story *st, int task);
void story_drained(struct story *st, int task);
int64_t story_registration(const struct story *st, int task); /* of its target */
void story_drained_of(struct story *st, int task, int64_t registration); /* perhaps an earlier one */
void story_update(struct story *st, int definition); /* 1.. */
void story_desired(struct story *st, int count);
void story_rollback(struct story *st);
void story_rollback_to(struct story *st, const char *deployment_id);
void story_in_force(struct story *st); /* the balancer acts by the weights as they are now */
void story_continue(struct story *st, bool rolls_back); /* the first hook that waits */
void story_answer(struct story *st, int hook, enum hook_outcome outcome); /* its first attempt */
void story_answer_of(struct story *st, int hook, int attempt, enum hook_outcome outcome, int delay_s);
void story_stop_deployment(struct story *st, bool rolls_back);
void story_strategy(struct story *st, const struct strategy_config *strategy); /* of the next one */
enum lifecycle_stage story_stage(const struct story *st);
void story_alarm(struct story *st, const char *name, bool is_alarm);
void story_tag(struct story *st, const char *tags); /* all the service has from now on */
void story_protect(struct story *st, int task, int minutes);
void story_stop_task(struct story *st, int task);
void story_delete(struct story *st);
void story_define(struct story *st, const char *doc); /* one more revision of "web" */
void story_run_task(struct story *st, int definition, int count);
void story_targets(struct story *st, int port, bool registers); /* of the host, by hand */
void story_resolved(struct story *st, const char *digest, const char *error);
void story_run_and_heal(struct story *st, int first, int last);
/* Drops the core, loads what was persisted into a new one and resumes it; the agents say at once that
 * all tasks are as they were. */
void story_restart(struct story *st);
void story_heard(struct story *st); /* agents of whom something is waited for say that it is as it was */
void story_return(struct story *st); /* the same, but that nobody has said anything yet */

struct service *story_service(const struct story *st);
struct task *story_task(const struct story *st, int task);
bool story_has_event(const struct story *st, const char *part);
void story_check_trace(struct story *st, const char *file, int line, const char *want);
#define CHECK_TRACE(st, want) story_check_trace(st, __FILE__, __LINE__, want)
