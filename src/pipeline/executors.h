/* SPDX-License-Identifier: MIT */
/* executors.h - how many agents builds may have at a time, and which labels these have.
 * In `builds.json`:
 *   {"labels": ["linux", "docker"]}                 of this machine; any number of agents
 *   {"executors": 4}                                four of them, with any label
 *   {"executors": [{"labels": ["linux", "docker"], "count": 2},
 *                  {"name": "deployer", "labels": ["deploy"], "count": 1, "exclusive": true}]}
 * `labels` beside `executors` are those of all groups.  An exclusive group is for agents that ask for a
 * label, as Jenkins's nodes that only build what matches.  Where no labels are said any label is had.
 * Who asks holds an executor, or a wish for one.  A free executor goes to the pipeline that holds the
 * fewest, and there to who asked first.  An agent within another one shares that one's executor if no
 * other is free: it would wait for itself.
 * Not thread safe: the room's lock is held around every call. */
#pragma once
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

#define EXECUTORS_MAX 256
#define EXECUTOR_GROUPS_MAX 32u
#define EXECUTOR_LABELS_MAX 64u
#define EXECUTOR_CLAIMS_MAX 16384u
#define EXECUTOR_NODE "built-in" /* the name of a group that has none, as of Jenkins's own node */

struct executor_group {
    char *name;
    char **labels;
    size_t label_count;
    int count; /* 0: any number */
    bool is_exclusive;
};
struct executor_plan {
    struct executor_group *groups; /* at least one, once it was read */
    size_t group_count;
    int total; /* 0: any number */
    bool has_all_labels;
};
/* Of the object in builds.json, NULL: there is none.  False and the plan without limits: it is not as above. */
bool executor_plan_read(struct executor_plan *p, const struct json *builds, struct err *err) MUST_CHECK;
void executor_plan_done(struct executor_plan *p);
/* Does any group have what the expression asks for? */
bool executor_plan_has(const struct executor_plan *p, struct str label);

struct executor_table;
struct executor_table *executor_table_new(void); /* without limits */
void executor_table_free(struct executor_table *t);
void executor_table_use(struct executor_table *t, struct executor_plan *plan); /* takes what is in it */
const struct executor_plan *executor_table_plan(const struct executor_table *t);

struct executor_ask {
    const char *pipeline;
    int64_t build;
    const char *key; /* of the agent within its build */
    struct str label; /* empty: any */
    int held;  /* the executor of the agent around this one; -1: none */
    int known; /* the one that it had before a restart; -1: none */
    uint64_t seen; /* `changes` of the last answer: nothing is looked at again before something changed; 0 */
};
struct executor_grant {
    int number;
    const struct executor_group *group; /* borrowed, until the plan changes */
    char why[512]; /* if it was not granted, in Jenkins's words; "": as before */
    uint64_t changes;
};
/* May be asked again and again: the wish keeps its place. */
bool executor_table_take(struct executor_table *t, const struct executor_ask *ask,
                         struct executor_grant *out);
void executor_table_give(struct executor_table *t, const char *pipeline, int64_t build,
                         const char *key); /* NULL: all of the build */
/* Has the build a wish for one? */
bool executor_table_waits(const struct executor_table *t, const char *pipeline, int64_t build);
/* What is held, for a later table: after a restart builds go on where they were, before anybody else. */
struct json *executor_table_held(const struct executor_table *t);
void executor_table_hold(struct executor_table *t, const struct json *held,
                         bool (*is_over)(void *arg, const char *pipeline, int64_t build), void *arg);
/* [{"name", "labels", "count", "busy"}]; `labels` missing: all */
struct json *executor_table_json(const struct executor_table *t);
