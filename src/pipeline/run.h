/* SPDX-License-Identifier: MIT */
/* run.h - the state of one running build, shared by runner.c, declarative.c and the steps.
 * Functions that give bool and take a `struct run` throw in `run->in` when they give false. */
#pragma once
#include "pipeline/interp.h"
#include "pipeline/jenkinsfile.h"
#include "pipeline/runner.h"

enum env_state { ENV_DONE, ENV_TODO, ENV_BUSY };
struct env_entry {
    struct str name;
    struct value value;
    const struct node *source; /* ENV_TODO */
    enum env_state state;
    struct env_entry *next;
};
struct env_layer {
    struct env_entry *entries;
    struct env_layer *outer;
};

/* A timeout around a block; the outermost one is the build's own. */
struct deadline {
    int64_t at_ms;       /* monotonic */
    int64_t activity_ms; /* > 0: counts from the last output */
    bool has_fired;
    int64_t grace_ms; /* when it fires again */
    struct deadline *outer;
};

struct mask {
    struct str secret;
    struct mask *next;
};

struct stage_run {
    enum build_result mark; /* the worst warning in it */
    struct stage_run *outer;
};

struct run {
    const struct runner_config *config;
    struct arena arena;
    struct interp in;
    struct interp_world world;
    struct jenkinsfile *file;

    struct env_layer *env;     /* innermost */
    struct env_layer base;     /* the process's and the build's own variables */
    struct env_layer assigned; /* env.X = ... */
    struct map *params;

    const char *workspace; /* NULL without an agent */
    const char *directory; /* the current one */
    unsigned workspaces;   /* how many agents are allocated */
    const char *fetched;   /* the directory that already has the commit's objects */
    unsigned files;        /* numbers script files */

    enum build_result result;
    bool has_result;
    bool shows_result; /* inside post: `shown` is what scripts see */
    enum build_result shown;
    struct stage_run *stage;
    unsigned depth; /* of stages */
    bool skip_after_unstable;
    bool skip_checkout;
    const char *checkout_subdirectory;

    struct deadline *deadlines;
    bool abort_fired;
    int64_t abort_grace_ms;
    int64_t last_output_ms, started_ms;

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
};

/* run.c */
void run_log(struct run *run, struct str text); /* any bytes; lines are masked and sent whole */
void run_logf(struct run *run, const char *format, ...) PRINTF_LIKE(2, 3); /* one line */
void run_log_flush(struct run *run);
void run_mask(struct run *run, struct str secret);
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
/* NAME=value or PATH+X=/dir, as withEnv takes them. */
bool run_env_override(struct run *run, const struct node *at, struct env_layer *layer,
                      struct str text);
bool run_is_due(struct run *run); /* aborted or out of time */
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
typedef bool step_function(struct step_call *s);
step_function *step_flow_find(struct str name);        /* steps_flow.c */
step_function *step_file_find(struct str name);        /* steps_file.c */
step_function *step_scm_find(struct str name);         /* steps_scm.c */
step_function *step_stash_find(struct str name);       /* steps_stash.c */
step_function *step_credentials_find(struct str name); /* credentials.c */
step_function *step_junit_find(struct str name);       /* steps_junit.c */
step_function *step_data_find(struct str name);        /* steps_data.c */
step_function *step_archive_find(struct str name);     /* steps_archive.c */
struct step_row {
    const char *name;
    step_function *function;
};
step_function *step_row_find(const struct step_row *rows, size_t count, struct str name);
/* A file of the workspace, with its folders; `mode` as of fopen(). */
bool step_write_text(struct step_call *s, const char *path, struct str text, const char *mode);
/* A copy; `to` is replaced, its folders are made. */
bool step_keep_file(struct step_call *s, const char *from, const char *to);
bool step_sh(struct step_call *s);

/* credentials.c: binds `id` under `name` in the layer (environment { X = credentials('id') }). */
bool credentials_bind(struct run *run, const struct node *at, struct env_layer *layer,
                      struct str name, struct str id);

/* declarative.c */
bool declarative_run(struct run *run, const struct stage *pipeline);
/* workspace.c: fetches the build's commit into a directory, without files yet. */
bool workspace_fetch(struct run *run, const struct node *at, const char *directory);
/* A file of the fetched commit. */
bool workspace_show(struct run *run, const char *directory, const char *path, struct strbuf *out);
/* The build's commit in the current directory; `to` gets GIT_COMMIT and so on. */
bool workspace_checkout(struct run *run, const struct node *at, struct map *to);
/* Any repository, as the step `git` does. `what` is a branch, a ref or a commit. */
bool workspace_git(struct run *run, const struct node *at, const char *url, const char *what,
                   struct map *to);
bool glob_match(struct str pattern, struct str path, bool ignore_case);
