/* SPDX-License-Identifier: MIT */
/* crowd.h - a large world around the core: thousands of services, instances and tasks at once, and
 * faults.  The worlds of world.h are small and judged whole after each step.  Here a step is judged
 * by what it touched: the services and tasks that its effects name.  Everything is reckoned with at
 * intervals and after each restart.
 * Start at crowd_run(); crowd.c has the course, crowd_make.c what there is, crowd_operators.c the
 * people, crowd_hands.c Docker and the balancer, crowd_book.c what naru was told, crowd_judge.c the
 * judge of what it decides, crowd_shown.c that of what it shows, crowd_rows.c the store and naru's
 * deaths.  acts.h, fake_hooks.h, fate.h, shown.h and task_sets.h are of both sizes of worlds.
 * As there, one seed draws everything, and the judge goes by a book of its own: what naru was told
 * in steps that are committed, and what it decided.
 * Units: '_ms' is milliseconds, '_s' seconds. */
#pragma once
#include "core/core.h"
#include "core/index.h"
#include "fake_hooks.h"
#include "rules.h"
#include "task_sets.h"

struct crowd_size {
    int services, hosts; /* services 0: no crowd */
};

/* One world; false if a promise was broken, which `failure` then says.  Adds to *steps. */
bool crowd_run(uint64_t seed, const struct crowd_size *size, bool traces, char *failure, size_t failure_size,
               unsigned long long *steps);

/* ---- among the files of the crowd ---- */

#define CROWD_STORY 48 /* lines kept of each service */
#define CROWD_SIZES 2
#define CROWD_FIXED_PORT 8000 /* and the number of the service: of daemons */

enum crowd_behaviour { CROWD_GOOD, CROWD_SLOW, CROWD_CRASHES_AT_START, CROWD_CRASHES_LATER, CROWD_UNHEALTHY,
                       CROWD_BAD_IMAGE, CROWD_BEHAVIOURS };
enum crowd_kind { CROWD_PLAIN, CROWD_BRIDGE_LB, CROWD_FARGATE_LB, CROWD_SHIFTS, CROWD_DAEMON, CROWD_KINDS };

/* A task, as it really is and as the book has it; never freed within its world. */
struct crowd_task {
    char id[ID_SIZE], deployment_id[ID_SIZE], digest[DIGEST_SIZE];
    int service, host; /* -1: standalone; FARGATE */
    int cpu, memory_mib, fixed_port;
    enum crowd_behaviour behaviour;
    enum container_state state;
    bool is_signalled, is_infrastructure, image_is_gone;
    char hook_id[ID_SIZE]; /* it is the task of a lifecycle hook, */
    int hook_service;      /* of this service, or -1 */
    int exit_code, port;
    char address[ADDRESS_SIZE];
    uint32_t generation; /* of its next happening */
    struct { /* the balancer's */
        int group; /* of the pair of its service */
        char id[ADDRESS_SIZE];
        int port;
        int64_t registration, last_report_ms;
        bool is_registered, is_draining;
        bool has_requests; /* in flight, while it drains */
        enum target_state state;
        uint32_t generation;
    } target;
    struct { /* undone if naru dies before a commit */
        bool told_stopped, asked_stop, by_user;
        bool exited_early; /* within a probation, and badly */
        bool is_unheard;   /* as in world.h */
        bool was_steady;   /* RUNNING for so long that it is healthy without a check */
        int64_t told_running_ms, protected_until_ms; /* by naru's clock */
        enum target_state told;
        int version;
    } book;
    struct crowd_task *next_of_service, *next_here;
};

struct crowd_host {
    char name[24], instance[ID_SIZE], instance_arn[ARN_SIZE];
    int cpu, memory_mib, next_port;
    int64_t back_ms; /* its machine or its agent is off until then; 0: it is not */
    struct {
        bool told_connected, told_draining;
        uint32_t told_epoch; /* the last life of naru in which it was told of the host */
    } book;
    struct crowd_task *tasks; /* those that hold a place here */
};

struct crowd_line {
    int64_t at_ms;
    uint64_t order;
    char text[108];
};

struct crowd_story {
    struct crowd_line lines[CROWD_STORY];
    int count; /* ever */
};

struct crowd_service {
    enum crowd_kind kind;
    int size; /* of its tasks */
    char name[32], arn[ARN_SIZE];
    char groups[2][BALANCING_ARN_SIZE], listener[BALANCING_ARN_SIZE];
    int weights[2]; /* that the balancer acts by */
    struct rule_book rules, served_rules; /* of its listener: asked for; that the balancer acts by */
    int drain_s;
    struct {
        int desired_count, minimum, maximum;
        bool has_breaker, is_created;
        struct watch watch;
    } book;
    struct hook_book hooks;
    struct set_book *sets;    /* its deployments are task sets; else NULL */
    uint64_t judged;          /* what it shows, in this look */
    char counted_id[ID_SIZE]; /* the last service deployment whose outcome was counted */
    struct crowd_task *tasks; /* that are not known to be over */
    struct crowd_task *hook_tasks; /* ever; by next_of_service */
};

/* In 10,000 chances: of each report, start, look-up, act of Docker's or return of naru; and of each
 * moment of crowd.c's faults. */
struct crowd_faults {
    int lost, late, repeated, refuses, image_fails, hangs, image_gone, clock_set;
    int naru_dies, commit_fails, host_dies, flakes, container_lost, haproxy_restarts, naru_stalls;
};

struct crowd_undo {
    void *at;
    void *was;
    size_t size;
};

struct crowd {
    uint64_t seed;
    struct fate fate;
    struct core *core; /* NULL while naru is dead */
    struct core_options options;
    uint32_t epoch; /* of naru's life */
    int64_t now_ms, start_ms, operators_end_ms;
    int64_t skew_ms;          /* of naru's clock: crowd_naru_now() */
    int64_t stalled_until_ms; /* naru stands still */
    struct still still;
    uint64_t looks;           /* at what is shown */
    struct completed completed;
    int kept_completed_count; /* while commits fail */
    struct effects effects;
    struct crowd_faults faults;
    bool store_is_away, traces, has_failed, commit_fails_next;
    int dies_next; /* in the next step: 1 before its commit, 2 before what it decided is done, 3 after; 0: no */
    int acts_left; /* of operators */
    struct rule_book asked_rules; /* of a service, once the step is told that asks for it */
    struct crowd_service *asked_service;
    char failure[512];
    uint64_t steps, lines_told;

    struct crowd_service *services;
    struct crowd_host *hosts;
    int service_count, host_count;
    struct strmap services_by_arn, services_by_listener, groups; /* group ARN -> service */
    struct strmap hosts_by_arn;
    char cluster[ARN_SIZE];
    char definitions[CROWD_KINDS][CROWD_BEHAVIOURS][CROWD_SIZES][ARN_SIZE];
    struct strmap behaviours; /* definition ARN -> where it is in `definitions`, and 1 */
    int next_address, image_version;

    struct crowd_task **tasks; /* all that ever were */
    int task_count, task_capacity;
    struct strmap tasks_by_id, tasks_by_target;

    struct crowd_undo *undo; /* of the book, while commits fail */
    int undo_count, undo_capacity, kept_task_count;

    struct strmap rows; /* kind and key -> struct crowd_row, which stays when the row is deleted */
    struct crowd_row **row_list;
    int row_count, row_capacity, kept_count;

    struct { /* to be told at the end */
        uint64_t deaths, failed_commits, dead_hosts, outcomes[SD_ENUM_SIZE];
        uint64_t rules, hook_calls, hook_tasks, sets, protections, alarms, late, taken_back, stalls,
            clocks_set;
        char last[256]; /* the last service to come to rest, half a minute before */
        int most_tasks; /* not STOPPED at once, when everything was reckoned with */
    } sum;
    struct crowd_story *stories; /* one a service, and the world's own */
};

struct crowd_row {
    enum row_kind kind;
    char key[ARN_SIZE];
    struct json *doc; /* NULL: there is none */
};

/* crowd.c.  `service`: whose story it is, -1: everybody's. */
void crowd_fail(struct crowd *w, int service, const char *format, ...) PRINTF_LIKE(3, 4);
void crowd_tell(struct crowd *w, int service, const char *format, ...) PRINTF_LIKE(3, 4);
/* Steps the core, commits, judges, performs; false if naru died before the commit. */
bool crowd_step(struct crowd *w, const struct event *event);
struct json *crowd_parse(const char *text);
/* What naru takes for the time; the world's own never jumps. */
int64_t crowd_naru_now(const struct crowd *w);
/* Fails with the complaint of a judge of both sizes, unless that found all well. */
void crowd_complain(struct crowd *w, int service, bool is_well, const struct complaint *complaint);

/* crowd_make.c */
extern const struct crowd_needs {
    int cpu, memory_mib;
} crowd_sizes[CROWD_SIZES];
void crowd_make(struct crowd *w);
void crowd_report_host(struct crowd *w, int host);
struct crowd_service *crowd_service_of(const struct crowd *w, const char *arn); /* or NULL */

/* crowd_operators.c */
void crowd_operator_acts(struct crowd *w);
void crowd_operators_finish(struct crowd *w);

/* crowd_hands.c */
void crowd_perform(struct crowd *w);
void crowd_docker_happened(struct crowd *w, struct crowd_task *t);
void crowd_verdict(struct crowd *w, struct crowd_task *t);
void crowd_drain_ended(struct crowd *w, struct crowd_task *t);
void crowd_container_lost(struct crowd *w);
void crowd_haproxy_restarts(struct crowd *w);
void crowd_weights_ordered(struct crowd *w, int service);
void crowd_weights_set(struct crowd *w, int service);
void crowd_host_dies(struct crowd *w, int host);
void crowd_host_returns(struct crowd *w, int host);
void crowd_send(struct crowd *w, struct report *r);

/* crowd_rules.c */
void crowd_rules_act(struct crowd *w, struct crowd_service *s);
void crowd_told_rules(struct crowd *w);
void crowd_judge_rules(struct crowd *w);
struct crowd_service *crowd_service_of_rule(const struct crowd *w, const char *arn); /* or NULL: it is no rule's */
void crowd_rules_set(struct crowd *w, struct crowd_service *s); /* the balancer has them */
bool crowd_rules_are_steady(const struct crowd_service *s, char *why, size_t why_size);

/* crowd_judge.c */
/* The effects from there on, before they are performed. */
void crowd_judge(struct crowd *w, int first);

/* crowd_shown.c */
/* ... after: what they say has changed. */
void crowd_judge_services(struct crowd *w, int first);
void crowd_judge_all_services(struct crowd *w);        /* naru is back */
bool crowd_sets_are_steady(struct crowd *w, int service, char *why, size_t why_size);
struct set_service crowd_set_service(const struct crowd_service *s);
void crowd_count_outcomes(struct crowd *w);

/* crowd_book.c */
struct crowd_task *crowd_task_by_arn(const struct crowd *w, const char *arn);
void crowd_told(struct crowd *w, const struct event *ev); /* its step is committed */
void crowd_note(struct crowd *w, void *at, size_t size);  /* of the book, and about to change */
void crowd_nobody_watched(struct crowd *w, int host);     /* what is there; -1: anywhere */
/* NULL: nobody was called for it. */
struct hook_note *crowd_hook_note(struct crowd *w, const char *hook_id,
                                  struct crowd_service **service_out);
bool crowd_is_told_healthy(const struct crowd *w, const struct crowd_task *t);
enum crowd_behaviour crowd_behaviour_of(const struct crowd *w, const char *definition_arn);
void crowd_book_forget(struct crowd *w); /* what was noted: it is committed */
void crowd_book_return(struct crowd *w); /* to what it was when commits began to fail */
bool crowd_is_wanted(const struct crowd_task *t);
bool crowd_has_balancer(const struct crowd_service *s);
int crowd_desired_of(struct crowd *w, int service);
/* The first task that is not known to be over; what is over leaves the list for good. */
struct crowd_task *crowd_first_of_service(const struct crowd *w, struct crowd_service *s);
struct crowd_task *crowd_first_of_host(const struct crowd *w, struct crowd_host *h);

/* crowd_reckon.c */
bool crowd_is_bad(enum crowd_behaviour b); /* never gets well */
void crowd_reckon(struct crowd *w); /* everything, against the core */
bool crowd_is_steady(struct crowd *w, char *why, size_t why_size, int *service_out);

/* crowd_rows.c */
void crowd_rows_commit(struct crowd *w); /* writes what its effects say has changed */
void crowd_rows_free(struct crowd *w);
void crowd_naru_dies(struct crowd *w, bool is_committed); /* if so, the core is where the rows shall be */
void crowd_naru_returns(struct crowd *w);
