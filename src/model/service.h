/* SPDX-License-Identifier: MIT */
/* service.h - a service, its revisions, deployments and service deployments.
 * ECS shows a rollout in two ways (ecs.md head): `deployments[]` items with ids ecs-svc/N, and
 * service deployments with ARNs of their own.  A rollback re-activates the old `deployment`
 * under its old id, while the one `service_deployment` goes on as ROLLBACK_IN_PROGRESS.
 * All strategies but ROLLING run the new revision beside the old one and move the traffic between the
 * two target groups of a load balancer entry; where they stand is the service's `course`.
 * With the controller EXTERNAL each of its `deployments` is a task set (task_set.h): perhaps none of them is
 * PRIMARY, and there are no service deployments. */
#pragma once
#include "model/placement_rules.h"
#include "model/service_options.h"
#include "model/task_set.h"
#include "model/types.h"

struct service_load_balancer {
    char target_group_arn[ARN_SIZE];
    char container_name[NAME_SIZE];
    int container_port;
    /* Only if the service may use other strategies than ROLLING; else empty. */
    char alternate_group_arn[BALANCING_ARN_SIZE];
    char production_listener_arn[BALANCING_ARN_SIZE], test_listener_arn[BALANCING_ARN_SIZE];
};

/* PAUSE waits in each of its stages until somebody says how to go on; the others are called.  What is
 * called, and with which details, stands in the document of the configuration, at the same index. */
struct hook_config {
    enum hook_kind kind;
    int stages; /* bit 1 << enum lifecycle_stage */
    int timeout_min;
    bool continues; /* when the time is over; else it rolls back */
};

struct strategy_config {
    enum deployment_strategy strategy;
    int bake_min;
    int step_permille; /* LINEAR: each step; CANARY: the first one */
    int step_bake_min; /* after each step but the last */
    /* ROLLING: success before all tasks are replaced (ecs.md 5.13) */
    bool succeeds_early, cleans_up_later;
    int early_percent;
    struct hook_config hooks[HOOKS_MAX];
    int hook_count;
};

struct breaker_config {
    bool enable, rollback, reset_on_healthy_task;
    enum threshold_type type;
    int value;
};

struct deployment_config {
    int minimum_healthy_percent, maximum_percent;
    struct breaker_config breaker;
    struct strategy_config strategy;
    bool watches_alarms, alarms_roll_back; /* those that `doc` names */
    struct json *doc; /* as DescribeServices shows it, every default written out */
};

/* Of a container of the definition. `digest` empty: not resolved or not pinned. */
struct pinned_image {
    char container[NAME_SIZE];
    char image[IMAGE_SIZE];
    char digest[DIGEST_SIZE];
};

/* What a deployment rolls out; immutable but for the digests, which are resolved once.
 * It owns its lists and `doc`; a list has room for what is in it; it may be NULL if empty. */
struct revision {
    char arn[ARN_SIZE];
    char id[ID_SIZE]; /* 19 digits */
    char task_definition_arn[ARN_SIZE];
    enum launch_type launch_type;
    struct service_load_balancer *load_balancers; /* LOAD_BALANCERS_MAX at most */
    int load_balancer_count;
    struct json *doc; /* networkConfiguration, platformVersion, ... : API members the core only keeps */
    int64_t created_at_ms;
    struct pinned_image *images; /* CONTAINERS_MAX at most */
    int image_count;
    bool is_resolved;       /* tasks may start */
    bool has_row;           /* of its own: it does not change any more */
    int resolve_failures;
    int64_t resolve_at_ms;  /* when to ask (again); 0: not asked yet */
};

struct deployment {
    /* First what is looked at of each of them with every change of the service. */
    struct deployment *next; /* newest first */
    enum deployment_status status;
    bool has_row; /* of its own: it is INACTIVE */
    char id[ID_SIZE]; /* ecs-svc/N */
    enum rollout_state rollout_state;
    char rollout_reason[REASON_SIZE];
    struct revision *revision; /* owned by the service */
    int desired_count;
    int failed_tasks;      /* consecutive, as shown; the breaker's counter is here too */
    bool has_run;          /* one of its tasks reached RUNNING */
    bool is_failed;        /* no further launches */
    bool is_rollback;      /* re-activated by a rollback */
    int probation_failures;         /* probation.h */
    int64_t probation_until_ms;     /* a loop of failures has to begin before; 0: not complete, or restored */
    int64_t probation_failed_at_ms; /* the last one */
    int alternates;        /* bit i: load balancer i of its revision leads to the alternate group */
    int64_t created_at_ms, updated_at_ms, completed_at_ms; /* completed 0: never */
    struct task_set *set;  /* owned; NULL: an ordinary one */

    struct {                 /* the core's own: counted anew in each of its advances, not stored */
        int wanted;          /* desired RUNNING */
        int marked;          /* of these, to be replaced for their health */
        int leaving;         /* of the others, on an instance that is being drained */
        int healthy, running;
        int leaving_healthy; /* of the leaving */
        int before_stopping; /* any desire, not yet STOPPING: may still take traffic */
    } count;
    bool is_held;            /* likewise: protected tasks keep it from scaling in */
    bool has_turn;           /* likewise: of several task sets the one that moves now */
};

struct task;

struct service_deployment {
    /* First what is looked at of each of them with every change of the service. */
    struct service_deployment *next; /* newest first */
    enum sd_status status;
    bool has_row; /* of its own: it is over, and not the newest */
    char id[ID_SIZE];
    char arn[ARN_SIZE];
    char deployment_id[ID_SIZE];      /* ecs-svc/N that it made */
    char target_revision_arn[ARN_SIZE];
    char source_revision_arns[4][ARN_SIZE];
    int source_count;
    char status_reason[REASON_SIZE];
    enum breaker_status breaker_status;
    int breaker_failures, breaker_threshold;
    enum breaker_status alarm_status;        /* the alarms are watched in the same way */
    char triggered_alarm[NAME_SIZE];         /* empty: none */
    char rollback_reason[REASON_SIZE];       /* empty: none */
    char rollback_revision_arn[ARN_SIZE];
    char rollback_deployment_id[ID_SIZE];
    int64_t rollback_started_at_ms;
    int64_t created_at_ms, started_at_ms, updated_at_ms, finished_at_ms, stopped_at_ms; /* 0: not yet */
    struct json *config; /* the deploymentConfiguration it ran under */
    enum lifecycle_stage stage; /* the one reached; NONE in a rolling update without bake time */
    int64_t bake_until_ms;      /* of a rolling update; 0: not begun */
    bool is_early;              /* succeeded while old tasks still ran */
    int64_t stalled_ms;         /* without progress, before the clock stood last (progress.h) */
    int64_t clock_from_ms;      /* not stored: when it began to run; 0: it stands */
    int64_t moments_ms;         /* not stored: that its clock gave since there was progress, for reports on their way */
    int most_healthy;           /* not stored: tasks of the PRIMARY at once, so far */
};

#define HOOK_ID_SIZE 64

struct hook_run {
    char id[HOOK_ID_SIZE]; /* hookId: "ecs-pause-" and 43 characters */
    int hook;              /* of the plan */
    enum hook_status status;
    int64_t expires_at_ms;
    int attempt;          /* URL, COMMAND: the present call, or the next one */
    int64_t call_at_ms;   /* when it is due; 0: it is under way (TASK: may be started) */
    int unreached;        /* calls in a row that reached nobody */
    char task_id[ID_SIZE];/* TASK: what was started for it, once; empty: not yet */
    int64_t ask_at_ms;    /* not stored: when the hands are asked again what became of a call */
};

/* Where a deployment that moves traffic stands: all of it is stored, so that a restart goes on.
 *   forward     stage after stage; the base, if there is one, runs on until CLEAN_UP
 *   returning   rolled back: the PRIMARY is the base again; traffic goes back, then the rest goes
 *   frozen      failed with nothing to return to, or not asked to: traffic stays where it is
 * A rolling update that has hooks is in a stage, too, without the course being on. */
struct course {
    bool is_on;
    bool is_returning, is_frozen;
    struct strategy_config plan; /* as it was configured when it began */
    enum lifecycle_stage stage;
    bool has_begun; /* its own work: the weights are ordered, the bake time runs */
    bool has_hooks; /* its own work is done, its hooks are under way */
    char base_id[ID_SIZE]; /* the deployment that had the traffic before; empty: none */
    char via_id[ID_SIZE];  /* the deployment whose load balancer entries name the listeners */
    int share;             /* of production traffic led to the new deployment, in 1/1000 */
    int test_share;
    int64_t began_at_ms;   /* the whole */
    int64_t stage_at_ms;   /* from when its present stage has its time: since it began, or was held up last */
    int64_t wait_until_ms; /* bake time; 0: none */
    enum lifecycle_stage hook_stage;  /* whose hooks these are; NONE: of the present stage */
    struct hook_run hooks[HOOKS_MAX];
    int hook_count;
    char hook_note[512];   /* why one of them did not succeed: the first that failed, or the last word */
    int again;             /* returning: bits of the stages whose hooks are to run once more */
    int64_t ask_at_ms; /* not stored: when the balancer is asked again whether the weights are in force */
};

struct service_event {
    char id[37];
    int64_t created_at_ms;
    char *message;
    /* A reader's own, while it holds the core: as it writes the event; of the newest of a row of
     * five (by its number, see events_ever), as it writes the five; or NULL. */
    struct json *shown, *shown_row;
};

#define SERVICE_REVISIONS_MAX 512 /* far above what the core keeps */

enum service_part { PART_REVISION, PART_DEPLOYMENT, PART_SERVICE_DEPLOYMENT, PART_EVENTS };

#define INVOCATION_SIZE 64

struct service {
    char arn[ARN_SIZE];
    char name[NAME_SIZE];
    char cluster_arn[ARN_SIZE];
    char cluster_name[NAME_SIZE];
    char region[REGION_SIZE];
    char created_by[ARN_SIZE];
    enum service_status status;
    int desired_count;
    int health_check_grace_s;
    struct deployment_config config;
    struct json *doc;  /* schedulingStrategy, placement*, propagateTags, ...: what the core only keeps */
    struct json *tags; /* array of {key,value} */
    char client_token[64];
    char invocation[INVOCATION_SIZE]; /* of the last UpdateService: told again, it is answered and not done again */
    int64_t created_at_ms, deleted_at_ms;

    struct revision **revisions; /* owned; newest last; oldest unused are forgotten */
    int revision_count, revision_capacity;
    struct deployment *deployments;  /* PRIMARY first, INACTIVE ones kept for rollback and history */
    struct service_deployment *history;
    struct course course;
    char live_id[ID_SIZE];           /* the deployment that was last proved and given all traffic, or
                                      * whatever of the service still answered when that one did not */
    struct service_event *events; /* newest first; EVENTS_MAX are shown */
    int event_count, event_capacity;
    int64_t events_ever;       /* ever said: numbers them */
    int64_t event_rows;        /* so many fives of them were ever put into rows of their own */

    struct launches launches;  /* each task set has its own */
    bool environment_failed;   /* what failed last did so for what is around it: registry, runtime, machine */
    bool is_steady;            /* "has reached a steady state." was said */
    char last_complaint[REASON_SIZE]; /* the last 'was unable to' event, not repeated for 6 h */
    int64_t last_complaint_ms;
    uint64_t version;          /* rises with every change; readers compare */
    struct service *next;

    /* The core's own; not stored. */
    struct json *loaded_row;   /* until service_link() */
    struct json *loaded_parts[PART_EVENTS + 1]; /* arrays, or NULL */
    bool balances_zones;          /* availabilityZoneRebalancing of doc is ENABLED */
    bool is_unbalanced;           /* and this was said */
    bool is_uneven;               /* its zones differ, so that room in one of them matters to it */
    bool is_daemon;               /* schedulingStrategy of doc */
    bool is_external;             /* deploymentController of doc: its deployments are task sets */
    int64_t complained_at_ms;     /* when there last was something to complain of */
    struct service_options options; /* by its tags */
    struct placement_rules rules; /* placementStrategy and placementConstraints of doc */
    struct cluster *cluster;
    struct task *live;         /* tasks that are not settled, newest first */
    struct task *settled;      /* the others, kept for post-mortems, newest first */
    int settled_count;
    struct service *next_queued;
    bool is_awaiting_word;     /* of its tasks' agents, after a restart: hearing.h */
    bool is_queued, is_dirty;
    uint64_t change;           /* numbers its state and its tasks': no other state of any service has it */
    bool lacks_place;          /* no instance took a task in the last round */
    uint64_t launch_step;      /* the step of the core in which a task was started last */
    bool is_waiting;           /* for that: in the core's list of those that wait */
    struct service *next_waiting, *prev_waiting;
    int infrastructure_streak; /* tasks lost to the runtime, in a row */
    int64_t infrastructure_after_ms; /* until then nothing is launched: it would be lost, too */
    int64_t wake_ms;           /* its next deadline */
    int heap_index;            /* in the core's heap of deadlines; -1: not there */
};

struct service *service_new(void);
void service_free(struct service *s);
struct deployment *service_primary(const struct service *s); /* NULL once INACTIVE */
struct deployment *service_find_deployment(const struct service *s, const char *id);
/* The newest of that revision; NULL: none has it any more. */
struct deployment *service_deployment_of(const struct service *s, const struct revision *r);
void deployment_free(struct deployment *d);
/* As the reasons of its tasks name it: "deployment" or "taskSet". */
const char *deployment_word(const struct deployment *d);
const char *deployment_number(const struct deployment *d); /* of "ecs-svc/123": "123" */
void service_add_revision(struct service *s, struct revision *r); /* the newest; takes it */
void revision_free(struct revision *r); /* that no service has any more */
struct revision *service_find_revision(const struct service *s, const char *arn);
struct service_deployment *service_current(const struct service *s); /* newest, or NULL */
/* The target group that tasks of `d` are registered in, for entry `at` of its load balancers. */
const char *deployment_target_group(const struct deployment *d, int at);
void service_add_event(struct service *s, const char *id, int64_t now_ms, char *message); /* takes it */

/* Store rows.  The service's own row holds what may still change; what is settled for good (`has_row`, and
 * all but the newest few events) is written once, as a part: else each change of a count would write a
 * hundred events and sixty revisions again.
 * service_decode() keeps the row and service_add_part() the parts, in any order, until service_link()
 * makes one service of them.  A row of a naru that knew no parts holds everything: that is fine. */
struct json *service_encode(const struct service *s);
/* `id`: of the revision or service deployment, the number of a deployment's id, the slot of events.
 * NULL: the part is not there, or has no row of its own. */
struct json *service_encode_part(const struct service *s, enum service_part kind, const char *id);
struct service *service_decode(const struct json *row, struct err *err);
void service_add_part(struct service *s, enum service_part kind, const struct json *row);
bool service_link(struct service *s, struct err *err) MUST_CHECK;
