/* SPDX-License-Identifier: MIT */
/* internal.h - what the files of this folder share.
 * Who runs where: the *loop* thread owns every struct below; *crews* of threads make the blocking calls
 * of docker.h, as jobs.  A job reads only what cannot change while it runs (the config, a runner's task
 * and plans, its own fields), and its done() is called back on the loop.  So nothing is locked.
 *
 *   agent.c         the door: calls become posts to the loop; jobs
 *   docker_events.c the link: connect, events, pings, back-off; who is told what came
 *   adopt.c         what Docker has of ours: resync, sweep, removal, purge
 *   task_runner.c   one task: decides the next job of each container, level-triggered
 *   task_outcome.c  one task: what jobs and inspections taught about it
 *   task_report.c   one task: what is told to the control plane
 *   task_jobs.c     the work of those jobs
 *   resolve.c       tags to digests
 *   prefetch.c      images that are wanted next */
#pragma once
#include <stdatomic.h>
#include "agent/container_logs.h"
#include "agent/container_spec.h"
#include "agent/docker.h"
#include "agent/docker_stream.h"
#include "agent/host_ports.h"
#include "io/loop.h"

#define WORKERS 6
#define QUICK_WORKERS 8
#define LOOKS_MAX 4 /* inspections at once: they may hang, and signals must not wait behind them */
#define LOOKS_ENDING_MAX 6 /* likewise, if one is of a task that ends: its stop is over when it was looked at */
#define PULLERS 3
#define PAUSE_INDEX CONTAINERS_MAX /* the pause container's place behind the others */
#define RUNNER_BUCKETS 256
#define UNANSWERED_MAX 5     /* calls in a row without an answer while Docker answers others */

struct job;
struct runner;
typedef void job_work(struct job *job, struct docker *docker); /* on a crew's thread */
typedef void job_done(struct job *job);                        /* on the loop */

struct prefetch; /* prefetch.c */

struct job {
    struct agent *agent;
    job_work *work;
    job_done *done;
    struct runner *runner; /* may be NULL; held until done() has returned */
    int container;
    int api_minor;
    struct spec_host host; /* a copy: what it points to is fixed */
    char id[DOCKER_ID_SIZE], signal[32];
    const atomic_bool *is_cancelled; /* may be NULL */
    /* results */
    bool is_ok;
    struct err err;
    struct docker_state state;
    bool has_state, needs_image, lacks_secret;
    bool makes_network, has_network, lacks_network; /* of job_prepare(): ours, or a place in it */
    char digest[DIGEST_SIZE];
    char reason[REASON_SIZE];
    struct docker_info info;
    struct json *json;
    struct prefetch *prefetch;
    struct agent_resolve *resolve;
    int64_t deadline_ms; /* of `resolve` */
    const struct pending_removal *removal; /* stays as it is while it is busy */
};

struct runner_container {
    struct container_plan plan;
    bool is_busy;          /* a job is on its way */
    bool needs_inspect;    /* something happened to it */
    bool recheck;          /* likewise, while it was busy */
    bool has_image;        /* as far as we know: creating it will tell */
    bool must_pull;
    bool may_exist;        /* its creation or start went unanswered: it may even run */
    bool is_running, is_stopped, has_run, has_tty;
    bool has_exit_code;
    bool was_running_when_lost; /* the link broke while it ran, and nothing was seen of it since */
    int exit_code;
    int pull_tries, unanswered;
    char id[DOCKER_ID_SIZE];
    char digest[DIGEST_SIZE];
    char reason[REASON_SIZE];
    char stop_signal[32];
    enum health_status health;
    bool health_is_newer; /* an event told it while a job was busy, which may have looked before */
    char health_log[HEALTH_LOG_SIZE];
    struct network_binding bindings[BINDINGS_MAX];
    int binding_count;
    int64_t started_at_ms;  /* monotonic: 0 not yet */
    int64_t exited_at_ms;   /* wall clock, as Docker says; 0: not, or unknown */
    int64_t signalled_at_ms; /* first stop signal; 0: none */
    int64_t kill_at_ms;     /* next SIGKILL; 0: none */
    int64_t retry_at_ms;    /* nothing before; 0: at once */
};

struct runner {
    struct agent *agent;
    struct agent_task *task;
    char id[ID_SIZE];
    int count; /* containers */
    struct runner_container containers[CONTAINERS_MAX + 1]; /* and the pause container */
    bool has_pause, needs_preparing, is_prepared, is_preparing;
    bool is_found;          /* looked for in what Docker has */
    bool is_stopping;       /* asked to stop */
    bool has_run;           /* RUNNING was reached once */
    bool is_over;           /* STOPPED was reached */
    bool is_dirty;          /* to be reported */
    bool looks_first;       /* but not before each container was looked at */
    bool is_forgotten;
    bool is_infrastructure, is_environment; /* as of ev_task_state */
    atomic_bool cancels_pulls;
    int jobs;               /* under way */
    char reason[REASON_SIZE];
    char address[ADDRESS_SIZE], mac_address[32];
    int64_t made_at_ms, prepare_retry_at_ms;
    int prepare_tries;
    int64_t pull_started_at_ms, pull_stopped_at_ms; /* wall clock */
    struct loop_timer *timer;
    struct runner *next;
    struct runner *next_in_line;
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_LISTING, LINK_UP };
enum network_state { NETWORK_UNKNOWN, NETWORK_MAKING, NETWORK_READY };

struct pending_removal {
    char task[ID_SIZE];
    /* All that there is of the task, where its runner knows; else Docker is asked for its label. */
    char ids[CONTAINERS_MAX][DOCKER_ID_SIZE];
    int id_count;
    bool is_busy;
    struct pending_removal *next;
};
struct pending_resolve {
    struct agent_resolve *ask;
    int64_t deadline_ms; /* then it has failed */
    int64_t retry_at_ms;
    struct pending_resolve *next;
};

struct agent {
    struct agent_config config; /* its texts are copies */
    char network[32];
    struct loop *loop;
    struct crew *workers; /* create, start, remove: may take minutes */
    struct crew *quick;   /* inspections and signals, which must not wait behind those */
    struct crew *pullers, *watcher;
    struct crew *prefetcher; /* one at a time */
    struct container_logs *logs;
    struct host_ports host_ports;
    atomic_bool is_closing;
    /* the link to Docker */
    enum link_state link;
    struct docker_info info;
    struct docker_stream *events;
    struct docker_lines event_lines;
    struct loop_timer *link_timer;
    int64_t backoff_ms, down_since_ms;
    bool is_pinging, was_connected;
    int ping_failures;
    bool is_reported; /* what the control plane was told last */
    bool has_reported;
    /* what there is */
    struct json *seen; /* the last list of our containers */
    enum network_state network_state;
    struct runner *runners[RUNNER_BUCKETS];
    struct runner *line; /* who waits to be looked at, the longest first */
    int looks;           /* inspections under way */
    struct pending_removal *removals;
    struct pending_removal *stops; /* tasks to stop that nobody started here, until the link is up */
    struct pending_resolve *resolves;
    char (*known)[ID_SIZE]; /* of agent_begin() */
    int known_count;
    bool has_begun, is_swept;
    struct prefetch *prefetches; /* that wait */
    bool is_prefetching;
};

/* agent.c */
struct job *job_new(struct agent *agent, struct runner *runner, int container, job_work *work, job_done *done);
void job_post(struct job *job, struct crew *crew); /* takes it over */
struct runner *agent_find(struct agent *agent, const char *task_id);
struct runner *agent_add_runner(struct agent *agent, struct agent_task *task); /* takes the task over */
void agent_advance_all(struct agent *agent);
/* Where image names have to point; borrows from the config. */
struct image_home agent_image_home(const struct agent_config *config);
/* The auth header for an image of our own registry; on a crew's thread. */
void agent_registry_auth(const struct agent_config *config, struct strbuf *out);

/* docker_events.c */
void link_start(struct agent *agent);
void link_done(struct agent *agent);
void link_suspect(struct agent *agent); /* a call went unanswered: ask whether Docker is there */

/* adopt.c */
void adopt_resync(struct agent *agent); /* `seen` is fresh */
const struct json *adopt_find(const struct agent *agent, const char *docker_name);
void adopt_remove(struct agent *agent, const char *task_id);
void adopt_remove_runner(struct agent *agent, const struct runner *r); /* what belongs to its task */
void adopt_retry_removals(struct agent *agent);
void adopt_begin(struct agent *agent);
/* A task as far as its containers' labels tell, good enough to stop it; NULL if it has none. */
struct agent_task *adopt_task(const struct agent *agent, const char *task_id);
/* Stops a task that nobody started here: at once, or as soon as Docker answers. */
void adopt_stop(struct agent *agent, const char *task_id);
void adopt_retry_stops(struct agent *agent);

/* task_runner.c */
struct runner *runner_new(struct agent *agent, struct agent_task *task);
void runner_free(struct runner *r);
void runner_advance(struct runner *r);
void runner_event(struct runner *r, const struct docker_event *event);
void runner_lost(struct runner *r); /* the link broke: what we know may be old */
void runner_look(struct runner *r); /* likewise, an event may be on its way: what is said next was looked at */
void runner_looked(struct agent *agent); /* an inspection is over: others have their turn */
void runner_job_done(struct runner *r);
struct runner_container *runner_at(struct runner *r, int index);

/* task_outcome.c: outcome_*() are the ends of the jobs of task_jobs.c */
void runner_apply(struct runner *r, struct runner_container *c, const struct docker_state *s);
void runner_container_failed(struct runner *r, struct runner_container *c, const char *reason);
void runner_container_stopped(struct runner *r, struct runner_container *c);
void outcome_prepare(struct job *job);
void outcome_image(struct job *job);
void outcome_run(struct job *job);
void outcome_inspect(struct job *job);
void outcome_signal(struct job *job);

/* task_report.c */
void runner_report(struct runner *r);
bool runner_all_stopped(const struct runner *r);

/* task_jobs.c */
void job_prepare(struct job *job, struct docker *d);
void job_image(struct job *job, struct docker *d);
void job_run(struct job *job, struct docker *d);
void job_restart(struct job *job, struct docker *d);
void job_inspect(struct job *job, struct docker *d);
void job_signal(struct job *job, struct docker *d);

/* resolve.c */
void resolve_start(struct agent *agent, struct agent_resolve *ask);
void resolve_retry(struct agent *agent); /* the link is up, or time has passed */
void resolve_drop(struct agent *agent);

/* prefetch.c */
struct prefetch *prefetch_new(const char *image, const char *digest, const char *config_digest);
void prefetch_add(struct agent *agent, struct prefetch *p); /* takes it over */
void prefetch_drop(struct agent *agent); /* all that wait */
