/* SPDX-License-Identifier: MIT */
/* pipeline.h - the front of this room: pipelines, their queue, and the threads that build.
 * A pipeline is a repository (one of naru's own, or any URL) with a Jenkinsfile.  Builds of one
 * branch run one after another, different branches side by side, at most `parallel_builds` at
 * once.  The newest commit wins: a queued build gives way to a newer one of its branch with the
 * same parameters (NOT_BUILT, superseded); a running one goes on, unless `abortPrevious` is set.
 * Everything is on disk before it is acted upon (build.h).  When naru ends, in order or not, the
 * scripts of running builds go on, and the next start takes the builds up where they were
 * (journal.h); pushes made meanwhile are found and built.
 * All functions may be called on any thread; JSON results are the caller's.  `on_change` comes on
 * a build's thread (or that of the request) with no lock held. */
#pragma once
#include "base/json.h"
#include "io/http_server.h"
#include "pipeline/run/runner.h"

struct pipeline_room;
struct access_keys;
struct guard;

struct pipeline_config {
    const char *data_dir;
    const char *tool_dir;         /* first in PATH of every step; may be NULL */
    const char *const *extra_env; /* "AWS_ENDPOINT_URL=..." and so on, NULL-terminated */
    struct access_keys *keys;     /* what lends each build a key of its own; NULL: extra_env has one */
    const char *build_roles;      /* of these keys (build_key.h); NULL: the default */
    const char *naru_path;        /* absolute; for the hooks of repositories */
    const char *base_url;         /* "http://localhost:4566" */
    const char *github_secret;    /* of GitHub's webhooks; NULL or "": the secret `github-webhook`, if any */
    struct guard *guard;          /* slows down who guesses it; NULL: nobody */
    const char *github_api_url;   /* NULL: by the URL of a repository */
    int64_t reconcile_ms;         /* how often heads are compared; 0: five minutes */
    unsigned parallel_builds;     /* 0: 2 */
    int64_t build_timeout_ms;     /* 0: RUNNER_TIMEOUT_MS */
    void *ctx;
    void (*on_change)(void *ctx, const struct json *build); /* may be NULL */
    /* Decides about a request to /naru/...; answers it itself when it gives false. */
    bool (*authorise)(void *ctx, struct http_exchange *x);
};

/* Texts are copied. Starts the threads. */
struct pipeline_room *pipeline_room_start(const struct pipeline_config *config,
                                          struct err *err) MUST_CHECK;
/* Begins to stop and returns at once: builds are cut off, logs that are followed end.  Call it
 * before http_server_stop(), which waits for those who follow. */
void pipeline_room_close(struct pipeline_room *room);
/* Leaves running builds (the next start takes them up) and waits for the threads. */
void pipeline_room_stop(struct pipeline_room *room);

/* Creates naru's own repository `name` and its pipeline; existing ones are brought up to date.
 * `url` set: a pipeline for that repository instead; `github` "owner/name" ties webhooks to it. */
bool pipeline_create(struct pipeline_room *room, const char *name, const char *url,
                     const char *github, struct json **out, struct err *err) MUST_CHECK;

/* With a policy for forks (fork_policy_json()); NULL: what there is stays. */
bool pipeline_create_with(struct pipeline_room *room, const char *name, const char *url,
                          const char *github, const struct json *forks, struct json **out,
                          struct err *err) MUST_CHECK;

struct build_request {
    const char *pipeline, *branch;
    const char *commit;           /* NULL: where the branch stands */
    int64_t looked_at;            /* the commit is where it stood when the next build was to have this number; 0: told */
    const char *before;           /* of a push: where the branch stood before it; NULL: not known */
    const char *ref;              /* to fetch, of a tag or a change; NULL: the branch */
    const char *head;             /* of a change: the commit that is judged */
    const struct json *change;    /* forge.h */
    const char *cause;            /* "UserIdCause", "BranchEventCause" */
    const char *message, *author; /* may be NULL: asked of git where possible */
    char *const *paths;
    size_t path_count;
    const struct json *parameters; /* {"NAME": value}; NULL: none */
    int64_t replay_of;             /* a build whose commit is built again; 0: none */
    const char *script, *restart_stage; /* of a replay; may be NULL */
    const char *upstream;          /* the key of the step that asks; NULL: none */
    const char *started_by;        /* the pipeline of the build whose step asks, or that has ended; NULL: none */
    int64_t started_by_number;
    bool unless_known; /* no new build if the branch's newest one is of this commit */
    /* ... nor if it was pushed on top of this commit: news of pushes may come late and out of
     * order, and the newest commit wins. */
    bool may_be_late;
};
/* The branch, tag or change is gone: what waits of it is not built.  False: it is there, as a build of it says since
 * that was `looked_at` (build_request). */
bool pipeline_gone(struct pipeline_room *room, const char *pipeline, const char *branch, int64_t looked_at);
/* Queues a build; `number_out` gets its number (or the known one's). */
bool pipeline_submit(struct pipeline_room *room, const struct build_request *request,
                     int64_t *number_out, struct err *err) MUST_CHECK;
/* Once: the script sees it, and its post conditions have a minute.  A second time: all ends at once. */
bool pipeline_abort(struct pipeline_room *room, const char *pipeline, int64_t number,
                    struct err *err) MUST_CHECK;

/* Builds a build's commit once more, with its parameters: with another Jenkinsfile (`script`), from a
 * stage on, or just so. */
bool pipeline_replay(struct pipeline_room *room, const char *pipeline, int64_t number,
                     const char *script, const char *stage, int64_t *number_out,
                     struct err *err) MUST_CHECK;
/* Answers an open question of a build: {"proceed": true, "by": "name", "parameters": {...}}; `id`
 * NULL: the only one there is. */
bool pipeline_answer(struct pipeline_room *room, const char *pipeline, int64_t number,
                     const char *id, const struct json *answer, struct err *err) MUST_CHECK;

/* {"pipelines": [...]} and {"builds": [...]}, newest first; `pipeline` NULL: of all. */
struct json *pipeline_list(struct pipeline_room *room);
struct json *pipeline_builds(struct pipeline_room *room, const char *pipeline, size_t limit);
/* One build with its stages; NULL with ERR_NOT_FOUND. */
struct json *pipeline_build(struct pipeline_room *room, const char *pipeline, int64_t number,
                            struct err *err) MUST_CHECK;
/* The name of the pipeline tied to a GitHub repository; false if there is none. */
bool pipeline_of_github(struct pipeline_room *room, const char *repository, char *name_out,
                        size_t size);
/* The forge whose webhook came for a pipeline: verdicts go there (forge_status.h). */
void pipeline_note_forge(struct pipeline_room *room, const char *pipeline, const char *forge);
/* What signs the webhooks of a forge ("github", "gitlab", "gitea"): the secret `<forge>-webhook`, or of
 * GitHub what the configuration says (GitLab sends its own in the clear); "" if there is none.  malloc'd. */
char *pipeline_webhook_secret(struct pipeline_room *room, const char *forge);
const struct pipeline_config *pipeline_room_config(const struct pipeline_room *room);
/* Waits up to `wait_ms` for something to change; false when the room stops. */
bool pipeline_wait(struct pipeline_room *room, int64_t wait_ms);
char *pipeline_log_path(struct pipeline_room *room, const char *pipeline, int64_t number);
/* Webhook ids: `is_new` false if seen; then pipeline_delivery_seen() after it was acted upon. */
bool pipeline_delivery_is_new(struct pipeline_room *room, struct str id);
bool pipeline_delivery_seen(struct pipeline_room *room, struct str id, struct err *err) MUST_CHECK;

/* Routes for the daemon to mount: /github/webhook and /naru/{builds,pipelines,repositories}.
 * Gives how many of `out` were filled. */
#define PIPELINE_ROUTES_MAX 6
size_t pipeline_routes(struct pipeline_room *room,
                       struct http_route out[static PIPELINE_ROUTES_MAX]);

/* Ends the scripts and containers that builds of an installation have left, those that were to be
 * taken up, too; the server has ended.  DOCKER_HOST says which Docker. */
void pipeline_purge(const char *data_dir);

/* Runs a directory's Jenkinsfile in the foreground, in that directory (no checkout; deleteDir and
 * cleanWs are skipped). Callbacks come on another thread, while this call waits. */
struct pipeline_local {
    const char *directory;   /* absolute */
    const char *jenkinsfile; /* NULL: "Jenkinsfile" */
    const char *job_name;    /* NULL: the directory's name */
    const char *branch;      /* NULL: what git says */
    const char *tool_dir;
    const char *const *extra_env;
    const char *data_dir; /* of the installation whose secrets, libraries and tools.json it has; NULL: none */
    const char *artifact_dir; /* NULL: artifacts stay where they are */
    int64_t timeout_ms;
    const struct json *parameters; /* {"NAME": "value"}; NULL: none */
    void *ctx;
    void (*on_log)(void *ctx, struct str text);
    void (*on_stage)(void *ctx, const struct stage_report *report);
    enum abort_request (*abort_request)(void *ctx);
};
bool pipeline_run_directory(const struct pipeline_local *spec, struct runner_outcome *out,
                            struct err *err) MUST_CHECK;
