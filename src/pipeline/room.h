/* SPDX-License-Identifier: MIT */
/* room.h - what pipeline.c (the queue) and build_run.c (one build) share.
 * `mutex` guards everything in here but the configuration. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "pipeline/forge/github_report.h"
#include "pipeline/forge/github.h"
#include "pipeline/builds_config.h"
#include "pipeline/disk_book.h"
#include "pipeline/executors.h"
#include "pipeline/lock_table.h"
#include "pipeline/pipeline.h"
#include "pipeline/pipeline_store.h"

#define PARALLEL_MAX 16u
#define BUILDS_MAX 1024u /* under way at a time; but for PARALLEL_MAX they only wait */
#define WORKERS_IDLE 4u  /* threads that stay when there is nothing to do */

struct worker { /* a thread that builds: pipeline.c */
    struct pipeline_room *room;
    pthread_t thread;
    bool is_there, is_over; /* to be joined; it does nothing more */
};

struct room_disk { /* room_disk.c */
    struct disk_book book;
    pthread_t thread;
    pthread_cond_t wake; /* the thread has something to do */
    pthread_mutex_t keeping; /* before the room's */
    bool is_running, is_due, was_over;
    bool is_of_others; /* too full, and workspaces are not what fills it */
    int64_t looked_ms; /* monotonic, at these: */
    int64_t free_bytes, budget_bytes, floor_bytes;
};

struct pipeline_room {
    struct pipeline_config config; /* texts are ours */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* anything: queue, build, log */
    struct pipeline_store store;
    struct github_deliveries deliveries;
    struct worker workers[BUILDS_MAX + 1]; /* one looks into the queue */
    unsigned worker_count;                 /* of those that are not over */
    unsigned builds_max, queue_max;        /* tests have less */
    bool was_crowded, lacks_worker;
    struct github_reports *reports;
    pthread_t watch; /* compares heads now and then */
    bool is_watching;
    atomic_bool stopping;
    unsigned running, parked; /* builds; of them those that only wait */
    unsigned returning;       /* of these those that wait for a place among the others; before any that is queued */
    unsigned to_take_up; /* builds that ran when naru ended and wait for a thread again */
    struct json *throttle; /* throttle.json as it was at `throttle_ms`; NULL: none */
    int64_t throttle_ms;   /* monotonic; 0: not read yet */
    struct lock_table *locks;
    struct room_disk disk;
    struct executor_table *executors; /* NULL: not looked at yet */
    int64_t executors_ms;             /* monotonic, when builds.json was */
    pthread_t clock;
    bool has_clock;
    bool has_postponed; /* a queued build has to wait for a time */
};

void room_lock(struct pipeline_room *room);
void room_unlock(struct pipeline_room *room);
/* Tells on_change, without the lock; takes the value. */
void room_announce(struct pipeline_room *room, struct json *build);
/* room_watch.c: the threads that find missed pushes and report to GitHub.  Stopping is for a room
 * that is closed. */
bool room_watch_start(struct pipeline_room *room, struct err *err) MUST_CHECK;
void room_watch_stop(struct pipeline_room *room);
/* Offers it to GitHub, if its pipeline is tied to a repository there; with the lock held. */
void room_report(struct pipeline_room *room, const struct build *b);
void room_save(struct pipeline_room *room, const struct build *b);
void room_end_build(struct build *b, enum build_result result, const char *reason);
/* Sees to it that a thread looks into the queue; with the lock held. */
void room_need_worker(struct pipeline_room *room);
/* May one more run, behind so many that come back?  With the lock held. */
bool room_has_place(struct pipeline_room *room, unsigned returning);
/* Called with the lock held; gives it up while the build runs. */
void room_run_build(struct pipeline_room *room, struct build *b);
/* Builds that ran when naru ended wait for a thread again. */
void room_recover(struct pipeline_room *room, struct pipeline *p);
/* Ends what is left in cgroups of builds that are over; before any build runs. */
void room_sweep(struct pipeline_room *room);

/* order.c: which builds may run beside each other; the lock is held, but for room_milestone() */
bool room_milestone(struct pipeline_room *room, struct build *b, int64_t *ordinal, int64_t *last,
                    int64_t *by); /* as runner_host.milestone */
/* Of builds that are not to be taken up, as their records cannot be read; before any build runs. */
void room_sweep_locks(struct pipeline_room *room);
bool room_has_same(const struct build *b, const struct json *parameters);
/* Does it wait to begin, and is a newer one of that branch instead of it?  One with other parameters, or for which another
 * build waits, is meant by itself. */
bool room_gives_way(const struct build *b, const char *branch, const struct json *parameters);
/* Whoever takes another one's place makes it no longer. */
bool room_queue_is_full(const struct pipeline_room *room, const struct pipeline *of, const struct build_request *r);
/* A parked build goes on if there is a place, else it waits for one. */
bool room_take_place(struct pipeline_room *room, struct build *b);
void room_place_taken(struct pipeline_room *room, struct build *b); /* it waits for none any more */
bool room_branch_is_busy(const struct pipeline *p, const char *branch);
void room_choose_place(const struct pipeline *p, struct build *b);
bool room_is_throttled(struct pipeline_room *room, const struct pipeline *p,
                       const struct build *b);

/* room_disk.c; but for starting and stopping with the lock held */
/* Those that have not begun hear why, or (NULL) that it is over. */
void room_tell_queued(const struct pipeline_room *room, const char *why);
bool room_disk_start(struct pipeline_room *room, struct err *err) MUST_CHECK;
void room_disk_stop(struct pipeline_room *room); /* the room is closed */
bool room_disk_allows(struct pipeline_room *room); /* may builds begin? If not, those that wait say why */
void room_disk_began(struct pipeline_room *room, const struct build *b);
void room_disk_ended(struct pipeline_room *room, struct build *b);
/* True: somebody is to keep that, as nobody says it a second time. */
bool room_disk_gone(struct pipeline_room *room, const char *pipeline, const char *branch);
void room_disk_keep(struct pipeline_room *room); /* without the lock */
struct json *room_disk_json(const struct pipeline_room *room);
char *room_place_name(const struct build *b); /* of its workspace; malloc'd */

/* room_executors.c; with the lock held, but for the two of the runner's host */
unsigned room_builds_at_once(struct pipeline_room *room, unsigned otherwise);
struct json *room_executors_json(struct pipeline_room *room);
void room_executors_ended(struct pipeline_room *room, const struct build *b);
void room_set_waiting(struct build *b, const char *why); /* NULL: for nothing */
bool room_executor(struct pipeline_room *room, struct build *b, struct executor_wish *wish,
                   struct arena *arena, struct executor_given *out);
void room_executor_over(struct pipeline_room *room, struct build *b, const char *key);

/* triggers.c */
/* A branch's property (job_properties.h), or NULL; with the lock held. */
const struct json *room_property(const struct pipeline *p, const char *branch, const char *name);
/* These are called without the lock. */
void room_set_properties(struct pipeline_room *room, const struct build *b,
                         const struct json *given);
void room_minute(struct pipeline_room *room, int64_t now_ms); /* starts what cron wants now */
void room_start_downstream(struct pipeline_room *room, const struct build *ended);
/* As runner_host.start, by a step of `by`. */
bool room_start_for(struct pipeline_room *room, const struct build *by, const char *job, const char *key,
                    const struct json *parameters, char pipeline[static 64], int64_t *number,
                    struct err *err) MUST_CHECK;
bool room_clock_start(struct pipeline_room *room, struct err *err) MUST_CHECK;
void room_clock_stop(struct pipeline_room *room); /* the room is closed */
