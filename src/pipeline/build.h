/* SPDX-License-Identifier: MIT */
/* build.h - the record of a build and its place on disk:
 *   <data>/builds/<pipeline>/<number>/build.json   written before what it says is done
 *   <data>/builds/<pipeline>/<number>/log
 *   <data>/builds/<pipeline>/<number>/artifacts/
 *   <data>/builds/<pipeline>/<number>/run/         while it runs: what takes it up again (journal.h)
 * A record is plain data; who may touch it when is pipeline.c's business. Times are in
 * milliseconds since the epoch, 0 where it has not happened. */
#pragma once
#include "base/json.h"
#include "pipeline/run/runner.h"

#define BUILD_STAGES_MAX 5000 /* the others are not shown */
#define BUILD_PATHS_MAX 2000
#define BUILD_RESUMES_MAX 50 /* times a build is taken up again after naru ended under it */
#define BUILD_ATTEMPTS_MAX 3 /* times a build is queued again after naru died under it */
#define BUILD_LOG_MAX ((int64_t)64 << 20)

enum build_state { BUILD_QUEUED, BUILD_RUNNING, BUILD_ENDED };

struct build_stage {
    char *name;
    char *key; /* of the report */
    bool is_branch;
    unsigned depth;
    enum stage_state state;
    const char *reason; /* a literal, or NULL */
    int64_t started_ms, took_ms;
};

struct build {
    char *pipeline;
    int64_t number;
    char *branch, *commit;
    char *before;           /* the commit that its push moved the branch from; may be NULL */
    char *ref;              /* to fetch, of a tag or a change; NULL: the branch */
    char *head;             /* of a change: the commit that is judged; else NULL */
    struct json *change;    /* forge.h; NULL: none */
    char *cause;            /* "BranchEventCause", "UserIdCause" */
    char *message, *author; /* of the commit; may be NULL */
    char *upstream;         /* the key of the step that started it (runner_host.start), or NULL */
    char *started_by;       /* the pipeline of the build whose step or end started it, or NULL */
    int64_t started_by_number;
    char *cookie;           /* carried by every process of the build */
    enum build_state state;
    enum build_result result;
    char *reason; /* one sentence; NULL on success */
    char *display_name, *description;
    int64_t superseded_by; /* a newer build of the branch, or 0 */
    int64_t replay_of;     /* the build of which this is a replay, or 0 */
    char *script;          /* the Jenkinsfile's text instead of the commit's, or NULL */
    char *restart_stage;   /* where it begins, or NULL */
    int64_t retry_of;      /* the build that was cut off, or 0 */
    int attempt;           /* from 1 */
    int resumed;           /* times it was taken up after naru had ended */
    int64_t queued_ms, started_ms, ended_ms;
    int64_t cpu_ms, memory_peak_bytes; /* of its processes; -1: not known */
    int64_t disk_bytes;   /* of its folder: log, artifacts, results; -1: not measured */
    char *waiting;        /* for what it waits before it begins, or for an executor; not kept; NULL: nothing */
    struct build_stage *stages;
    size_t stage_count, stage_capacity;
    char **paths; /* changed by the push */
    size_t path_count;
    struct json *tests; /* counts of what `junit` found (test_history.h), or NULL */
    bool abort_asked, abort_now; /* a second time: nothing more is waited for */
    int64_t overtaken_by; /* a newer build that takes its place while it runs: by a milestone, or as it had no executor yet; or 0 */
    int64_t milestone;    /* one more than the last that it passed; 0: none */
    int64_t place;        /* which workspace of the branch it has; 0: the first */
    bool had_executor;    /* at any time; not kept */
    int64_t waits_since_ms, waited_ms; /* its time stands still, or 0; how long it did before */
    bool is_parked;       /* does nothing but wait, in all of its branches; not kept */
    bool wants_place;     /* ... for a place among those that run; not kept */
    bool keeps_turn;      /* ... for an executor: as one that runs it holds up those behind it */
    struct json *parameters; /* given, by name; NULL: none. On disk they and the answers are sealed (secrets.h) */
    struct json *plain;      /* {"NAME": true} of those declared as no passwords; NULL: none yet */
    struct json *questions;  /* open ones; an array, or NULL */
    struct json *answers;    /* given ones by the question's id; NULL: none */
    char *sealed;            /* what could not be unsealed, as it was; else NULL */
};

struct build *build_new(const char *pipeline, int64_t number);
void build_free(struct build *b);
struct json *build_to_json(const struct build *b); /* without what is sealed */
struct build *build_from_json(const struct json *j, struct err *err) MUST_CHECK;
/* What the API shows: without paths and cookie; `with_stages` false for lists. Of parameters, which may be
 * passwords until the Jenkinsfile has said what they are, only those in `plain` have their values. */
struct json *build_to_public_json(const struct build *b, bool with_stages);
const char *build_state_name(enum build_state s);

char *build_directory(const char *data_dir, const char *pipeline, int64_t number); /* malloc'd */
bool build_has_journal(const struct build *b, const char *data_dir); /* can it be taken up? */
/* A record whose parameters cannot be unsealed is loaded without them; if it has not ended, it has FAILED, for
 * good. One of an earlier version is saved again, sealed. */
bool build_save(const struct build *b, const char *data_dir, struct err *err) MUST_CHECK;
struct build *build_load(const char *data_dir, const char *pipeline, int64_t number,
                         struct err *err) MUST_CHECK;
/* Enters or updates a stage from a runner's report. */
void build_stage_report(struct build *b, const struct stage_report *r);
/* A pipeline's or repository's name: a letter or digit, then up to 62 of [a-z0-9._-]. */
bool build_name_is_valid(struct str name);
bool build_branch_is_valid(struct str branch); /* as git check-ref-format, and not "-x" */
bool build_commit_is_valid(struct str commit); /* 40 hex digits, not all zeros */
