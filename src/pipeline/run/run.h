/* SPDX-License-Identifier: MIT */
/* run.h - the state of one running build, shared by runner.c, declarative.c and the steps.
 * A build has several lines of control when it runs branches in parallel (flow.h): the fields that
 * FLOW_RUN_FIELDS names are those of the one that runs.  A step that waits does it by run_wait(),
 * run_sleep() or run_process(), never by blocking the thread: the other branches go on meanwhile.
 * Functions that give bool and take a `struct run` throw in `run->in` when they give false. */
#pragma once
#include "base/json.h"
#include "pipeline/groovy/interp.h"
#include "io/cgroup.h"
#include "io/process.h"
#include "pipeline/run/build_user.h"
#include "pipeline/run/flow.h"
#include "pipeline/language/jenkinsfile.h"
#include "pipeline/run/runner.h"

#define RUN_NODES_MAX 1024u /* workspaces of a build at a time */
#define RUN_POLL_MS 100     /* how soon a waiting step learns of aborts and timeouts */

enum env_state { ENV_DONE, ENV_TODO, ENV_BUSY };
struct env_entry {
    struct str name;
    struct value value;
    const struct node *source; /* ENV_TODO */
    enum env_state state;
    struct env_entry *next;
};
struct env_file {
    const char *path;
    struct env_file *next;
};
struct env_layer {
    struct env_entry *entries;
    struct env_file *files; /* of credentials that are bound in it */
    struct env_layer *outer;
};

/* A timeout around a block; the outermost one is the build's own. */
struct deadline {
    int64_t at_ms;       /* monotonic */
    int64_t activity_ms; /* > 0: counts from the last output */
    int64_t last_output_ms;
    struct deadline *outer;
};

/* A deadline interrupts each flow below it once; then there is a grace for what the script does about
 * it (post, catch), and after that no more: all is interrupted, and nothing catches it. */
struct fired {
    const struct deadline *deadline;
    int64_t grace_ms; /* when it fires again */
    unsigned count;
    struct fired *next;
};

/* How a process is started here, where it is not just started: in a container.  Gives the argv
 * that does it, in the arena. */
struct launcher {
    const char *const *(*wrap)(struct run *run, const struct launcher *l, const char *const *argv,
                               const char *const *env);
    void *ctx;
};


struct mask {
    struct str secret;
    struct mask *next;
};

struct stage_run {
    enum build_result mark; /* the worst warning in it */
    struct stage_run *outer;
    const char *key; /* names it among the build's stages */
    bool is_branch;
    unsigned children;
};

/* On the stack of the step `dir`; branches within have it, too. */
struct dir_block {
    const char *directory;
    bool is_deleted; /* deleteDir has left nothing but itself of it */
};

struct run {
    const struct runner_config *config;
    struct arena arena;
    struct interp in;
    struct interp_world world;
    struct jenkinsfile *file;
    const char *library_folders; /* those loaded, a line each; or NULL */
    struct flow_set *flows;
    struct lock_table *locks;
    struct json *changes; /* changes.c; NULL: nobody asked yet */
    bool is_fetching;     /* a flow is: run_fetch_begin() */
    struct journal *journal;   /* NULL: none is kept */
    struct journal_flow *past; /* what it knows of the flow that runs */
    int64_t logged;            /* bytes, before there was a journal */

    struct env_layer *env;     /* innermost */
    struct env_layer base;     /* the process's and the build's own variables */
    struct env_layer assigned; /* env.X = ... */
    struct map *params;

    const char *workspace; /* NULL without an agent */
    const char *directory; /* the current one */
    struct dir_block *block; /* the innermost `dir`; NULL: none */
    const struct launcher *launcher; /* NULL: processes run on this machine */
    struct str branch;               /* the innermost parallel branch: a prefix of its log lines */
    bool is_parked;       /* all flows rest */
    bool stands_still;
    int64_t left_ms;      /* of the build's time, while it stands still */
    unsigned locks_held;
    const char *executor; /* the key of the agent whose executor it is (node.c); NULL: none */
    int executor_number;  /* -1: none */
    unsigned agents;      /* entered by the flow */
    unsigned node;                   /* 1: the first workspace of the build, 2: "@2"; 0: none */
    uint64_t nodes[RUN_NODES_MAX / 64]; /* taken ones, a bit each */
    const char *fetched;   /* the directory that already has the commit's objects */
    unsigned files;        /* numbers secret files; every flow has a range of its own */

    enum build_result result;
    bool has_result;
    bool shows_result; /* inside post: `shown` is what scripts see */
    enum build_result shown;
    struct stage_run *stage;
    unsigned depth; /* of stages */
    unsigned stage_count; /* outside of stages, for their keys */
    bool skip_after_unstable;
    bool always_fail_fast;
    bool skip_checkout;
    const char *checkout_subdirectory;

    struct deadline *deadlines;
    struct fired *fired;
    unsigned abort_fired; /* 2: the grace is over, too */
    bool was_aborted; /* any flow was told so */
    bool is_overtaken; /* ... because a newer build takes its place */
    int64_t milestone; /* the last one that was passed, without a host; from 0 */
    bool is_suspended;
    int64_t abort_grace_ms;
    unsigned interrupts_seen;
    bool acts; /* in a step whose end is recorded (step_act) */
    int64_t started_ms;
    /* The worst that the step which runs said of the build and its stage, and whether it did. */
    int noted_result, noted_mark; /* an enum build_result, or -1 */

    struct cgroup *group;                /* of its processes; NULL: none */
    int64_t killed_said, refused_said;   /* build_group.h */
    struct build_user *user; /* NULL: naru's own */
    bool acts_as_user;
    struct process_place place, own_place; /* of the build's processes; of naru's own ones for it */
    const char *const *login; /* of naru's own git at the forge; NULL: none */
    bool uses_docker; /* containers of the build may be left */
    struct mask *masks;
    unsigned timestamps;
    struct strbuf line; /* not yet ended */
    char display_name[100], description[400];
};

/* What a block step or an option wraps. */
struct body {
    bool (*run)(struct run *run, void *arg, struct value *out);
    void *arg;
};

struct step_call {
    struct run *run;
    struct interp *in;
    const struct node *at;
    struct str name;
    const struct args *args;
    struct map *values; /* arguments by name, the unnamed one in its place */
    struct body body;   /* run NULL: no block */
    struct value *out;
    const char *id; /* the same in every run of the build; fit for a file name */
    const char *folder; /* removed when the step's end is recorded; NULL: none */
};

typedef bool step_function(struct step_call *s);

/* run.c */
void run_log(struct run *run, struct str text); /* any bytes; lines are masked and sent whole */
void run_logf(struct run *run, const char *format, ...) PRINTF_LIKE(2, 3); /* one line */
void run_log_flush(struct run *run);
void run_note_output(struct run *run); /* for timeouts that count from the last output */
void run_mask(struct run *run, struct str secret);
/* The text with **** for every secret. */
void run_add_masked(const struct run *run, struct str text, struct strbuf *out);
void run_worsen(struct run *run, enum build_result r);
void run_mark(struct run *run, enum build_result r); /* this stage and those around it */
enum build_result run_error_result(const struct exception *e);
/* "ERROR: ..." with the place for errors of the script itself; once, however often it is thrown on.
 */
void run_log_error(struct run *run, struct exception *e);
struct env_layer *run_env_push(struct run *run);
void run_env_set(struct run *run, struct env_layer *layer, struct str name, struct str value);
bool run_env_evaluate(struct run *run, struct env_layer *layer);
/* The effective value; `found` false if unset. */
bool run_env_get(struct run *run, struct str name, struct value *out, bool *found);
/* "NAME=value"s for a process, in the arena. */
const char *const *run_env_list(struct run *run);
/* Throws one, which ends the build with `result` if nothing catches it; always false. */
bool run_interrupt(struct run *run, const struct node *at, enum interruption kind, enum build_result result,
                   const char *message);
/* One that is meant for what is around it, too: no result of another build, and no timeout whose step is left. */
bool run_is_interrupted(const struct run *run, const struct exception *e);
/* What scripts ask of one: its result and its causes.  False: it has no such method. */
bool run_interruption_method(struct run *run, const struct exception *e, struct str name, const struct args *args,
                             struct value *out);
/* A path for what belongs to the step `id` and is to outlive naru, if the build can. */
const char *run_state_path(struct run *run, const char *kind, const char *id);
/* NAME=value or PATH+X=/dir, as withEnv takes them. */
bool run_env_override(struct run *run, const struct node *at, struct env_layer *layer,
                      struct str text);
bool run_is_suspended(struct run *run); /* naru ends, the build does not */
/* What scripts see as currentBuild.currentResult. */
enum build_result run_visible_result(const struct run *run);
bool run_is_due(struct run *run); /* aborted, interrupted or out of time */
struct fired *run_note_fired(struct run *run, const struct deadline *d, int64_t grace_ms);
void run_forget_fired(struct run *run, const struct deadline *d); /* before it dies */
/* Wait without holding up other branches; false with an interruption thrown.  run_wait() returns
 * at the latest after RUN_POLL_MS, so that the caller looks again. */
bool run_wait(struct run *run, const struct node *at, struct pollfd *fds, size_t count,
              int64_t until_ms) MUST_CHECK;
bool run_sleep(struct run *run, const struct node *at, int64_t ms) MUST_CHECK;
/* Around the waiting of a flow that does nothing meanwhile: when all of them rest, the build leaves its place
 * to others (runner_host.parked). */
enum rest {
    REST_FOR_OTHERS, /* its time stands still */
    REST_ON_TIME     /* ... does not: for a time, or with something held for which others may wait */
};
void run_rest(struct run *run, enum rest rest);
void run_rested(struct run *run); /* takes it again, whoever has it by now */
/* Waits until there is one, unless the build holds something for which others may wait; `ok` false: the waiting was
 * interrupted, and nothing more is waited for. */
bool run_come_back(struct run *run, const struct node *at, bool ok) MUST_CHECK;
enum rest run_rest_kind(const struct run *run); /* of who waits for a lock or a build */
/* Around what a flow makes that others may want as well (a repository, a library): one at a time.  Who had to wait
 * looks whether it is there by now.  False: the flow is due, and has no turn. */
bool run_fetch_begin(struct run *run) MUST_CHECK;
void run_fetch_end(struct run *run);
/* process_run() for steps: on this machine whatever `launcher` says; an interruption ends it
 * (`cancelled`; the caller's run_poll() then throws).  Sets the spec's is_cancelled, wait and arg
 * unless they are set. */
bool run_process(struct run *run, const struct process_spec *spec, struct process_result *out,
                 struct err *err) MUST_CHECK;
/* The same as naru itself, where nothing is read that the build could have written. */
bool run_own_process(struct run *run, const struct process_spec *spec, struct process_result *out,
                     struct err *err) MUST_CHECK;
/* False with an interruption thrown; in a flow that repeats what is recorded only those that struck it
 * there before. */
bool run_poll(struct interp *in, const struct node *at);
struct run *run_of(struct interp *in);
extern const struct interp_world run_world;

/* steps.c */
bool step_call(struct interp *in, const struct node *call, const struct args *args,
               struct value *out, bool *found);
/* An option of the pipeline or a stage that is a wrapper, around `body`. `found`: it is one. */
bool step_wrap(struct run *run, const struct node *option, const struct body *body,
               struct value *out, bool *found);
struct value *step_value(const struct step_call *s, const char *name);
struct str step_text(const struct step_call *s, const char *name, const char *fallback);
bool step_truth(const struct step_call *s, const char *name, bool fallback);
int64_t step_int(const struct step_call *s, const char *name, int64_t fallback);
bool step_fail(const struct step_call *s, const char *format, ...)
    PRINTF_LIKE(2, 3); /* AbortException */
bool step_needs_workspace(const struct step_call *s);
/* An absolute path in the arena, from the current directory; "..": out of the workspace is refused
 * for writing steps. */
const char *step_path(const struct step_call *s, struct str path);
step_function *step_flow_find(struct str name);        /* steps_flow.c */
step_function *step_file_find(struct str name);        /* steps_file.c */
step_function *step_scm_find(struct str name);         /* steps_scm.c */
step_function *step_stash_find(struct str name);       /* steps_stash.c */
step_function *step_credentials_find(struct str name); /* credentials.c */
step_function *step_junit_find(struct str name);       /* steps_junit.c */
step_function *step_data_find(struct str name);        /* steps_data.c */
/* Unpacks an archive into a folder, as `unzip` does; steps_archive.c */
bool step_unpack_secret(struct step_call *s, const char *path, const char *folder);
step_function *step_archive_find(struct str name);     /* steps_archive.c */
step_function *step_docker_find(struct str name);      /* docker_dsl.c */
step_function *step_env_find(struct str name);         /* steps_env.c */
step_function *step_aws_find(struct str name);         /* steps_aws.c */
step_function *step_notify_find(struct str name);      /* steps_notify.c */
step_function *step_github_find(struct str name);      /* steps_github.c */
step_function *step_library_find(struct str name);     /* library.c */
step_function *step_lock_find(struct str name);        /* steps_lock.c */
step_function *step_plugin_find(struct str name);      /* steps_plugin.c */
/* A step that another one calls; `body` NULL: it has none. */
bool step_invoke(struct run *run, const struct node *at, const char *name, struct map *named,
                 const struct body *body, struct value *out);
const char *step_make_id(struct run *run);
/* "web/main#7 _3.0-2", among all builds: who holds a lock, who started another build.  In the arena. */
const char *step_owner(const struct step_call *s);
/* steps_env.c: puts the tool `name` of a type ("maven", "jdk") into PATH and its variable. */
bool tool_enter(struct run *run, struct env_layer *layer, struct str type, struct str name);
/* The same: runs a program in the environment of the step; what it says is in `out`, or logged when it fails.
 * `is_daemon`: its child, which may not have left the group yet when the program ends, goes on. */
bool step_call_program(struct step_call *s, const char *const *argv, bool is_daemon, struct strbuf *out);
/* steps_aws.c: sets the keys of a session of a role, got with those that are in the environment. */
struct aws_role {
    struct str role, account;             /* an ARN; or a name, and the account or "" */
    struct str session_name, external_id; /* may be empty */
    int64_t seconds;                      /* 0: as STS thinks */
    const char *key_variable, *secret_variable;
};
bool aws_assume_role(struct step_call *s, struct env_layer *layer, const struct aws_role *role);
struct step_row {
    const char *name;
    step_function *function;
};
step_function *step_row_find(const struct step_row *rows, size_t count, struct str name);
/* A file of the workspace, with its folders, as the build's user. */
bool step_write_text(struct step_call *s, const char *path, struct str text, bool appends);
/* A copy; `to` is replaced, its folders are made. */
bool step_keep_file(struct step_call *s, const char *from, const char *to);
bool step_sh(struct step_call *s);

/* credentials.c: binds `id` under `name` in the layer (environment { X = credentials('id') }). */
bool credentials_bind(struct run *run, const struct node *at, struct env_layer *layer,
                      struct str name, struct str id);
/* Removes the files that layers inside of `outer` have for credentials. */
void credentials_unbind(struct run *run, const struct env_layer *outer);

/* steps_parallel.c: runs bodies side by side and gives the worst error, or with `fail_fast` the
 * first, as theirs. */
struct branch_spec {
    struct str name; /* as it is shown */
    struct body body;
};
#define BRANCHES_MAX 2000u /* of one `parallel` */
bool parallel_run(struct run *run, const struct node *at, const struct branch_spec *branches,
                  size_t count, bool fail_fast, struct value *values_out);
step_function *step_parallel_find(struct str name);
step_function *step_people_find(struct str name);
/* Asks the question of a stage's `input` and binds what is given in the environment. */
bool input_directive(struct run *run, const struct stage *stage);
/* Runs the function of a step that does something to the world: once, whatever happens to us. */
bool step_act(struct step_call *s, step_function *function);

/* stage_report.c: what a stage does, for those who look on. */
void stage_enter(struct run *run, struct stage_run *own, struct str name, bool is_branch,
                 int64_t *started_ms);
void stage_leave(struct run *run, struct stage_run *own, struct str name, int64_t started_ms,
                 const struct exception *e);
/* Instead of entering or leaving it; then those in it are skipped, then stage_skipped(). */
void stage_skip(struct run *run, struct stage_run *own, struct str name, const char *reason);
void stage_skipped(struct run *run, struct stage_run *own);

/* node.c: an executor with the label (empty: any), for which it may have to wait, and a workspace of the
 * build's own until node_leave(); `custom` a path or empty.  node_move() is without an executor. */
struct node_before {
    const char *workspace, *directory;
    const struct launcher *launcher;
    struct env_layer *env;
    unsigned node;
    const char *executor;
    int executor_number;
};
bool node_enter(struct run *run, const struct node *at, struct str label, struct str custom,
                struct node_before *before);
void node_stay(const struct run *run, struct node_before *before); /* for node_leave(), without either */
bool node_move(struct run *run, const struct node *at, struct str custom, struct node_before *before);
void node_leave(struct run *run, const struct node_before *before);

/* library.c: "name@version" */
bool library_load(struct run *run, const struct node *at, struct str identifier) MUST_CHECK;

/* declarative.c */
bool declarative_run(struct run *run, const struct stage *pipeline);
/* workspace.c: fetches the build's commit into a directory, without files yet. */
bool workspace_fetch(struct run *run, const struct node *at, const char *directory);
/* A file of another ref of the repository, which is fetched for that. */
bool workspace_show_ref(struct run *run, const char *directory, const char *ref, const char *path,
                        struct strbuf *out);
/* A file of the fetched commit. */
bool workspace_show(struct run *run, const char *directory, const char *path, struct strbuf *out);
/* The build's commit in the current directory; `to` gets GIT_COMMIT and so on. */
bool workspace_checkout(struct run *run, const struct node *at, struct map *to);
/* Any repository, as the steps `git` and `checkout` do, into the current directory. */
struct git_source {
    const char *url, *what;   /* a branch, a tag, a ref or a commit; "": what HEAD is there */
    const char *credential;   /* its id, or NULL */
    const char *local_branch; /* NULL: none; "**": the branch's own name */
    int depth;                /* 0: the whole history */
    bool no_tags, cleans_before, cleans_after, wipes, has_submodules, is_recursive, has_lfs;
    const char *user_name, *user_email; /* may be NULL */
    const struct list *sparse;          /* texts; NULL: all files */
};
bool workspace_git(struct run *run, const struct node *at, const struct git_source *source,
                   struct map *to);
/* What was committed after `from`, up to `to`, as changes_parse() reads it: the last `count` commits.
 * False if git does not know. */
bool workspace_log(struct run *run, const char *from, const char *to, unsigned count,
                   struct strbuf *out);
bool glob_match(struct str pattern, struct str path, bool ignore_case);

/* build_info.c: what scripts see of currentBuild and of the builds before it. */
bool build_info_get(struct run *run, const struct node *at, struct value object, struct str name,
                    struct value *out);
/* What a finished one of another job is called and when it ran, by its record (build_to_public_json()). */
void build_info_of_other(struct run *run, const struct json *record, struct map *to);
bool build_info_method(struct run *run, const struct node *call, struct value object,
                       struct str name, const struct args *args, struct value *out, bool *found);
