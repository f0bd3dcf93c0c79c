/* SPDX-License-Identifier: MIT */
/* runner.h - runs one build: a Jenkinsfile in a workspace, on the calling thread.
 * runner_run() returns when everything has ended, post conditions included; the processes a build
 * started and left behind are ended too.  It never fails: what goes wrong is the build's result,
 * with the reason in its log.  Callbacks come on the calling thread.
 * The thread needs RUNNER_STACK_SIZE of stack (the interpreter recurses). */
#pragma once
#include "pipeline/language/jenkinsfile.h"

#define RUNNER_STACK_SIZE ((size_t)64 << 20)
#define RUNNER_TIMEOUT_MS ((int64_t)60 * 60 * 1000) /* of a build, unless the config says more */
#define RUNNER_JOURNAL_MAX ((size_t)64 << 20)       /* bytes; beyond it a build is not taken up again */
#define RUNNER_GRACE_MS ((int64_t)60 * 1000)        /* for post after an abort or a timeout */

/* From best to worst. */
enum build_result {
    RESULT_SUCCESS,
    RESULT_UNSTABLE,
    RESULT_FAILURE,
    RESULT_NOT_BUILT,
    RESULT_ABORTED
};
const char *build_result_name(enum build_result r);
bool build_result_parse(struct str name, enum build_result *out);

enum stage_state {
    STAGE_RUNNING,
    STAGE_SUCCESS,
    STAGE_UNSTABLE,
    STAGE_FAILED,
    STAGE_ABORTED,
    STAGE_SKIPPED
};
const char *stage_state_name(enum stage_state s);

struct stage_report {
    struct str name;
    unsigned depth; /* 0 for stages of the pipeline */
    const char *key; /* names it among the stages of the build: "1", "1/2" is the second in it */
    bool is_branch;  /* of a parallel */
    enum stage_state state;
    const char *reason; /* of a skip: "WHEN", "FAILURE", "UNSTABLE", "RESTART"; else NULL */
    int64_t started_ms, took_ms;
};

/* ABORT_ASKED leaves RUNNER_GRACE_MS for the post conditions, ABORT_NOW leaves nothing.
 * ABORT_SUSPEND ends the run without ending the build: nothing is done or said any more, scripts
 * go on by themselves, and a runner with the same `state_dir` takes the build up again.
 * ABORT_OVERTAKEN is as ABORT_ASKED, with the result NOT_BUILT. */
enum abort_request { ABORT_NO, ABORT_ASKED, ABORT_NOW, ABORT_SUSPEND, ABORT_OVERTAKEN };

#define MILESTONE_NEXT INT64_MIN

/* Around each record of the journal; tests end the process there.  JOURNAL_FLUSHED comes on a thread of the
 * journal's. */
enum journal_point { JOURNAL_DUE, JOURNAL_WRITTEN, JOURNAL_FLUSHED };
#define JOURNAL_POINTS 3

struct json;
struct lock_table;
struct cgroup_limits;
struct build_rights;

/* Of an agent: where it may work (executors.h). */
struct executor_wish {
    const char *key; /* of the agent in its build, also after a restart */
    struct str label; /* empty: any */
    int held, known; /* the executor around this one, the one it had before a restart; -1: none */
    uint64_t seen;   /* 0; then the host's */
};
struct executor_given {
    int number;
    const char *node, *labels; /* both, and `why`, in the arena */
    const char *why; /* not given, in Jenkins's words */
};
struct arena;

/* What a build asks of those around it. Callbacks get the config's ctx. */
struct runner_host {
    /* A question to people, {"id", "step", "message", "ok", "submitter", "parameters"}; `is_over`: it
     * was answered, or is none any more. */
    void (*question)(void *ctx, const struct json *question, bool is_over);
    /* {"proceed", "by", "parameters"} for the caller to unref; NULL: not yet. */
    struct json *(*answer)(void *ctx, const char *step);
    /* A parameter of the build is no password. */
    void (*parameter_is_plain)(void *ctx, const char *name);
    /* What the Jenkinsfile says of its job (job_properties.h). */
    void (*properties)(void *ctx, const struct json *properties);
    /* Starts a build of another pipeline ("web", "web/main"), or gives the one that was started under
     * this key before. */
    bool (*start)(void *ctx, const char *job, const char *key, const struct json *parameters,
                  char pipeline_out[static 64], int64_t *number_out, struct err *err);
    /* Is that build over?  Then with its record as build_to_public_json() shows it, for the caller to unref; NULL: it is no
     * longer kept. */
    bool (*ended)(void *ctx, const char *pipeline, int64_t number, enum build_result *out, struct json **record_out);
    /* All that the build does is wait, in all of its branches; and does its time stand still meanwhile
     * (run_rest())? */
    void (*parked)(void *ctx, bool is_parked, bool stands_still);
    /* One that was parked goes on, if there is a place for it; asked again until then. */
    bool (*place)(void *ctx);
    /* Keeps what a `junit` step found, {name: status} (test_history.h) of `total` tests; gives names by what
     * became of them since earlier builds, {"newlyFailing", "fixed", "flaky": [...]}, and how many there was
     * no room for, {"notKept": n}, for the caller to unref. */
    struct json *(*tests)(void *ctx, const char *step, const struct json *cases, int64_t total);
    /* Passes a milestone; MILESTONE_NEXT becomes the one after the last.  False: a newer build (`by_out`)
     * passed it, or (0) this one is already beyond it, as `last_out` says. */
    bool (*milestone)(void *ctx, int64_t *ordinal, int64_t *last_out, int64_t *by_out);
    /* An executor for an agent, now; asked again while it waits.  Then, or if it waits no longer: over. */
    bool (*executor)(void *ctx, struct executor_wish *wish, struct arena *arena,
                     struct executor_given *out);
    void (*executor_over)(void *ctx, const char *key);
};

struct runner_config {
    const char *jenkinsfile_name; /* for messages */
    const char *workspace;        /* absolute; made if missing */
    bool in_place;                /* the workspace is the user's own directory: no checkout */
    const char *tool_dir;         /* first in PATH; may be NULL */
    const char *const *extra_env; /* "NAME=value", NULL-terminated; may be NULL */
    const char *artifact_dir;     /* for archiveArtifacts; NULL: artifacts stay where they are */
    /* Where the run keeps what it needs to be taken up again (journal.h); NULL: it cannot be. */
    const char *state_dir;
    size_t journal_max;           /* 0: RUNNER_JOURNAL_MAX */
    const char *secrets_dir;      /* secrets.h; may be NULL */
    const char *cookie;           /* in the environment of every process of the build */
    const char *warning;          /* to begin the log with; may be NULL */
    const struct cgroup_limits *limits; /* of all its processes together; NULL: it has no group */
    const struct build_rights *rights; /* build_user.h; NULL: naru's own, all of them */
    int64_t timeout_ms;           /* 0: RUNNER_TIMEOUT_MS */
    int64_t started_ms;           /* since the epoch, when the build first began; 0: now */
    int64_t waited_ms;            /* of that in which it stood still, which does not count as its time */

    /* Who we are; text may be NULL where it is unknown. */
    int64_t number;
    const char *job_name;                         /* "web/main" */
    const char *build_url, *job_url, *server_url; /* end with '/' */
    const char *home;                             /* the data directory */
    const char *branch, *commit, *git_url;
    const char *ref; /* where the commit is, if not on the branch */
    const char *trusted_ref; /* whose Jenkinsfile is run instead of the commit's; NULL: that */
    const char *github, *github_api_url; /* "acme/shop"; NULL: of no repository, the usual one */
    const char *forge; /* by its webhooks (forge_of()); NULL: not told */
    const char *const *change_env; /* "CHANGE_ID=7", NULL-terminated; may be NULL */
    bool is_primary_branch;
    const char *cause;           /* "BranchEventCause" */
    const char *previous_result; /* of the last completed build of the branch */
    /* Completed builds of the branch before this one, as build_to_public_json() shows them, newest
     * first; NULL: none. */
    const struct json *history;
    const struct json *upstream; /* the build that started this one, the one that started that ...; NULL: none */
    const struct json *changes; /* as changes.h has them; NULL: git is asked */
    const char *previous_commit, *previous_successful_commit;
    const struct str *changed_paths; /* of the push; for `changeset` */
    size_t changed_path_count;

    const char *script;        /* the Jenkinsfile's text, instead of the commit's; NULL: that */
    const char *restart_stage; /* stages before it are skipped; NULL: from the start */
    const struct json *parameters; /* given to the build by name; NULL: none */
    struct lock_table *locks;      /* NULL: one for this build alone */
    const struct runner_host *host; /* NULL: nobody */

    void *ctx;
    void (*on_log)(void *ctx, struct str text); /* whole lines, secrets masked */
    void (*on_stage)(void *ctx, const struct stage_report *report);
    void (*on_journal)(void *ctx, enum journal_point point); /* may be NULL */
    enum abort_request (*abort_request)(void *ctx); /* may be NULL */
};

struct runner_outcome {
    enum build_result result;
    bool is_suspended; /* not over: the rest means nothing */
    char reason[400]; /* one sentence, empty on success */
    char display_name[100], description[400];
    int64_t cpu_ms, memory_peak_bytes; /* of its processes; -1: not known */
};

/* Fetches the commit into the workspace (unless `in_place`), reads the Jenkinsfile there, runs it.
 */
void runner_run(const struct runner_config *config, struct runner_outcome *out);
/* A branch as Jenkins has it in the names of jobs: "feature%2Fx". */
void runner_add_branch(struct strbuf *out, const char *branch);
