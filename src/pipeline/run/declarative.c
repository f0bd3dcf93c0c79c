/* SPDX-License-Identifier: MIT */
/* declarative.c - runs the stages of a declarative pipeline: agents, environment, options, when,
 * failure and post, in the order Jenkins does. */
#include <stdio.h>
#include "pipeline/run/job_properties.h"
#include "pipeline/run/journal.h"
#include "pipeline/run/matrix.h"
#include "pipeline/run/params.h"
#include "pipeline/steps/docker.h"
#include "pipeline/run/when.h"

static bool run_stages(struct run *run, const struct stage *parent);
static bool run_stage(struct run *run, const struct stage *stage, bool is_branch);

static void
report_skipped(struct run *run, const struct stage *stage, struct stage_run *own,
               const char *reason)
{
    struct stage_run inner = {0};

    stage_skip(run, own, stage->name, reason);
    for (const struct stage *s = stage->stages; s != NULL; s = s->next)
        report_skipped(run, s, &inner, reason);
    stage_skipped(run, own);
}

/* The statements of a section in a scope of their own. */
static bool
run_section(struct run *run, const struct node *call)
{
    struct value ignored;

    return interp_block(&run->in, section_block(call), &ignored);
}

static bool
bind_environment(struct run *run, const struct node *call)
{
    struct env_layer *layer;

    if (call == NULL)
        return true;
    layer = run_env_push(run);
    /* credentials() first: the other entries may use them. */
    for (const struct node *n = section_block(call)->first; n != NULL; n = n->next) {
        struct str id;
        if (n->b->type != N_CALL || n->b->a != NULL || !str_is(n->b->text, "credentials"))
            continue;
        if (!interp_eval_text(&run->in, n->b->first, &id) ||
            !credentials_bind(run, n, layer, n->a->text, id))
            return false;
    }
    for (const struct node *n = section_block(call)->first; n != NULL; n = n->next) {
        struct env_entry *e;
        if (n->b->type == N_CALL && n->b->a == NULL && str_is(n->b->text, "credentials"))
            continue;
        e = arena_alloc(&run->arena, sizeof(*e));
        e->name = n->a->text;
        e->source = n->b;
        e->state = ENV_TODO;
        e->next = layer->entries;
        layer->entries = e;
    }
    return run_env_evaluate(run, layer);
}

/* tools { maven 'name' }: into PATH, where their homes are known. */
static bool
enter_tools(struct run *run, const struct node *call)
{
    struct env_layer *layer;
    struct str name;

    if (call == NULL || run->directory == NULL)
        return true;
    layer = run_env_push(run);
    for (const struct node *n = section_block(call)->first; n != NULL; n = n->next)
        if (n->first != NULL && (!interp_eval_text(&run->in, n->first, &name) ||
                                 !tool_enter(run, layer, n->text, name)))
            return false;
    return true;
}

static bool
checkout_implicitly(struct run *run, const struct node *at)
{
    struct map *values = arena_alloc(&run->arena, sizeof(*values));
    const char *before = run->directory;
    const struct str name = STR("Declarative: Checkout SCM");
    const char *id = step_make_id(run);
    struct stage_run own;
    int64_t started_ms;
    struct env_layer *layer;
    struct value v;
    bool ok = true;

    if (run->config->git_url == NULL && !run->config->in_place)
        return true;
    if (run->checkout_subdirectory != NULL)
        run->directory = arena_format(&run->arena, "%s/%s", before, run->checkout_subdirectory);
    if (!run->config->in_place)
        stage_enter(run, &own, name, false, &started_ms);
    if (journal_known(run, id, &v) && v.type == V_MAP) {
        values = v.map;
    } else {
        ok = workspace_checkout(run, at, values);
        run_log_flush(run);
        if (ok)
            journal_note(run, id, (struct value){.type = V_MAP, .map = values});
    }
    if (!run->config->in_place)
        stage_leave(run, &own, name, started_ms, ok ? NULL : run->in.thrown);
    run->directory = before;
    if (!ok)
        return false;
    layer = run_env_push(run);
    for (size_t i = 0; i < values->count; i++)
        run_env_set(run, layer, values->at[i].key.text, values->at[i].value.text);
    return true;
}

static bool
skips_checkout(const struct stage *stage)
{
    const struct node *n = section_entry(stage->section[SECTION_OPTIONS], "skipDefaultCheckout");

    return n != NULL && (n->first == NULL || n->first->type != N_BOOL || n->first->number != 0);
}

/* agent { label 'x' }, or that of agent { node { label 'x' } } and of agent { docker { } }; "": any. */
static bool
agent_label(struct run *run, const struct stage *stage, struct str *out)
{
    const struct node *label = section_entry(stage->section[SECTION_AGENT], "label");

    if (label == NULL || label->first == NULL)
        return docker_agent_text(run, stage, "label", out);
    return interp_eval_text(&run->in, label->first, out);
}

static bool
enter_agent(struct run *run, const struct stage *stage, struct node_before *before)
{
    const struct node *at = stage->section[SECTION_AGENT];
    struct str custom = STR(""), label;
    bool in_container = stage->agent == AGENT_DOCKER || stage->agent == AGENT_DOCKERFILE;
    bool reuses = false;

    node_stay(run, before);
    if (stage->agent == AGENT_INHERIT || stage->agent == AGENT_NONE)
        return true;
    if (stage->agent == AGENT_KUBERNETES)
        return interp_throw(&run->in, at, "UnsupportedFeature",
                            "a kubernetes agent is not supported; use agent { docker 'image' }");
    if (!docker_agent_reuses(run, stage, &reuses) ||
        !agent_label(run, stage, &label))
        return false;
    if (reuses)
        return docker_agent_enter(run, stage);
    if (stage->custom_workspace != NULL &&
        !interp_eval_text(&run->in, stage->custom_workspace, &custom))
        return false;
    if (!node_enter(run, at, label, custom, before))
        return false;
    if (!run->skip_checkout && !skips_checkout(stage) && !checkout_implicitly(run, at))
        return false;
    return !in_container || docker_agent_enter(run, stage);
}

static void
leave_agent(struct run *run, const struct node_before *before)
{
    docker_box_leave(run, before->launcher);
    node_leave(run, before);
}

/* Options that are wrappers lie around the body, the first one outermost. */
struct wrapping {
    const struct node *option;
    struct body body;
};

static bool
run_wrapped(struct run *run, void *arg, struct value *out)
{
    const struct wrapping *w = arg;
    const struct node *option = w->option;

    for (; option != NULL; option = option->next) {
        struct wrapping inner = {option->next, w->body};
        struct body body = {run_wrapped, &inner};
        bool found;
        bool ok = step_wrap(run, option, &body, out, &found);
        if (found || !ok)
            return ok;
    }
    return w->body.run(run, w->body.arg, out);
}

static bool
run_with_options(struct run *run, const struct stage *stage,
                 bool (*body)(struct run *, void *, struct value *), void *arg)
{
    const struct node *options = stage->section[SECTION_OPTIONS];
    struct wrapping w = {options == NULL ? NULL : section_block(options)->first, {body, arg}};
    struct value ignored;

    return run_wrapped(run, &w, &ignored);
}

/* The result conditions of post see: the build's, this error's and this stage's warnings. */
static enum build_result
combined_result(const struct run *run, const struct exception *e)
{
    enum build_result r = run->result;

    if (run_error_result(e) > r)
        r = run_error_result(e);
    if (run->stage != NULL && run->stage->mark > r)
        r = run->stage->mark;
    return r;
}

static bool
post_matches(const struct run *run, const char *name, enum build_result now)
{
    enum build_result before = RESULT_SUCCESS;
    bool has_before = run->config->previous_result != NULL &&
                      build_result_parse(str_of(run->config->previous_result), &before);

    if (strcmp(name, "always") == 0 || strcmp(name, "cleanup") == 0)
        return true;
    if (strcmp(name, "changed") == 0)
        return !has_before || now != before;
    if (strcmp(name, "fixed") == 0)
        return has_before && now == RESULT_SUCCESS &&
               (before == RESULT_FAILURE || before == RESULT_UNSTABLE);
    if (strcmp(name, "regression") == 0)
        return has_before && now > before;
    if (strcmp(name, "aborted") == 0)
        return now == RESULT_ABORTED;
    if (strcmp(name, "success") == 0)
        return now == RESULT_SUCCESS;
    if (strcmp(name, "unsuccessful") == 0)
        return now != RESULT_SUCCESS;
    if (strcmp(name, "unstable") == 0)
        return now == RESULT_UNSTABLE;
    if (strcmp(name, "failure") == 0)
        return now == RESULT_FAILURE;
    return now == RESULT_NOT_BUILT;
}

/* Runs what matches; gives the first error of stage or post. */
static struct exception *
run_post(struct run *run, const struct node *post, struct exception *first)
{
    static const char *const order[] = {"always",  "changed",  "fixed",        "regression",
                                        "aborted", "success",  "unsuccessful", "unstable",
                                        "failure", "notBuilt", "cleanup"};
    bool shows = run->shows_result;
    enum build_result shown = run->shown;

    if (post == NULL)
        return first;
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        const struct node *block = section_entry(post, order[i]);
        enum build_result now = combined_result(run, first);
        struct exception *e;
        if (block == NULL || !post_matches(run, order[i], now))
            continue;
        run_logf(run, "[post] %s", order[i]);
        run->shows_result = true;
        run->shown = now;
        if (!run_section(run, block)) {
            if (run->in.completion != COMPLETION_THROW) {
                run->in.completion = COMPLETION_NONE;
            } else {
                e = interp_catch(&run->in);
                run_log_error(run, e);
                run_logf(run, "Error when executing the '%s' post condition", order[i]);
                first = first == NULL ? e : first;
            }
        }
        run->shows_result = shows;
        run->shown = shown;
    }
    return first;
}

static bool
run_stage_branch(struct run *run, void *arg, struct value *out)
{
    *out = value_null();
    return run_stage(run, arg, true);
}

static bool
fails_fast(const struct stage *stage)
{
    const struct node *n = stage->section[SECTION_FAIL_FAST];

    return n != NULL && n->first != NULL && n->first->type == N_BOOL && n->first->number != 0;
}

static bool
run_parallel(struct run *run, const struct stage *parent)
{
    struct branch_spec *specs;
    size_t count = 0;

    for (struct stage *s = parent->stages; s != NULL; s = s->next)
        count++;
    specs = arena_alloc(&run->arena, (count + 1) * sizeof(*specs));
    count = 0;
    for (struct stage *s = parent->stages; s != NULL; s = s->next)
        specs[count++] = (struct branch_spec){s->name, {run_stage_branch, s}};
    return parallel_run(run, parent->section[SECTION_PARALLEL], specs, count, fails_fast(parent),
                        NULL);
}

/* A cell of a matrix is a stage of its own: that of the matrix block, with its axes' values. */
struct cell_run {
    const struct stage *stage;
    const struct matrix_cell *cell;
};

static bool
run_cell(struct run *run, void *arg, struct value *out)
{
    const struct cell_run *c = arg;
    struct env_layer *before = run->env, *layer = run_env_push(run);
    bool ok;

    *out = value_null();
    for (size_t i = 0; i < c->cell->count; i++)
        run_env_set(run, layer, c->cell->names[i], c->cell->values[i]);
    ok = run_stage(run, c->stage, true);
    run->env = before;
    return ok;
}

static bool
run_matrix(struct run *run, const struct stage *parent)
{
    const struct matrix_cell *cells;
    struct branch_spec *specs;
    size_t count;

    if (!matrix_cells(run, parent->section[SECTION_MATRIX], &cells, &count))
        return false;
    specs = arena_alloc(&run->arena, (count + 1) * sizeof(*specs));
    for (size_t i = 0; i < count; i++) {
        struct cell_run *c = arena_alloc(&run->arena, sizeof(*c));
        struct stage *stage = arena_alloc(&run->arena, sizeof(*stage));
        *stage = *parent->matrix;
        stage->name = cells[i].name;
        *c = (struct cell_run){stage, &cells[i]};
        specs[i] = (struct branch_spec){cells[i].name, {run_cell, c}};
    }
    return parallel_run(run, parent->section[SECTION_MATRIX], specs, count, fails_fast(parent),
                        NULL);
}

static bool
run_body(struct run *run, const struct stage *stage)
{
    const struct node *const *s = stage->section;

    if (s[SECTION_STEPS] != NULL)
        return run_section(run, s[SECTION_STEPS]);
    if (s[SECTION_STAGES] != NULL)
        return run_stages(run, stage);
    return s[SECTION_PARALLEL] != NULL ? run_parallel(run, stage) : run_matrix(run, stage);
}

struct stage_frame {
    const struct stage *stage;
    bool is_skipped; /* by when */
};

static bool
check_when(struct run *run, const struct stage *stage, const char *before, bool *holds)
{
    const struct node *when = stage->section[SECTION_WHEN];

    *holds = true;
    if (when == NULL || strcmp(when_place(when), before) != 0)
        return true;
    return when_holds(run, when, holds);
}

/* Environment, tools, steps, post: inside the agent. */
static bool
run_inside_agent(struct run *run, struct stage_frame *frame)
{
    const struct stage *stage = frame->stage;
    const struct env_layer *outer = run->env;
    struct exception *error = NULL;
    bool holds;

    if (!check_when(run, stage, "", &holds))
        return false;
    if (!holds) {
        frame->is_skipped = true;
        return true;
    }
    if (!bind_environment(run, stage->section[SECTION_ENVIRONMENT])) {
        error = interp_catch(&run->in);
    } else {
        if (!enter_tools(run, stage->section[SECTION_TOOLS]) || !run_body(run, stage)) {
            if (run->in.completion == COMPLETION_THROW)
                error = interp_catch(&run->in);
            else
                run->in.completion = COMPLETION_NONE; /* `return` in steps ends the stage */
        }
    }
    if (error != NULL)
        run_log_error(run, error); /* before the post conditions that answer it */
    error = run_post(run, stage->section[SECTION_POST], error);
    credentials_unbind(run, outer);
    return error == NULL || interp_rethrow(&run->in, error);
}

static bool
run_inside_options(struct run *run, void *arg, struct value *out)
{
    struct stage_frame *frame = arg;
    const struct stage *stage = frame->stage;
    struct node_before before;
    bool holds, ok;

    *out = value_null();
    if (!check_when(run, stage, "beforeInput", &holds))
        return false;
    if (holds && stage->section[SECTION_INPUT] != NULL && !input_directive(run, stage))
        return false;
    if (holds && !check_when(run, stage, "beforeAgent", &holds))
        return false;
    if (!holds) {
        frame->is_skipped = true;
        return true;
    }
    ok = enter_agent(run, stage, &before) && run_inside_agent(run, frame);
    leave_agent(run, &before);
    return ok;
}

static bool
run_stage(struct run *run, const struct stage *stage, bool is_branch)
{
    struct stage_run own;
    struct stage_frame frame = {stage, false};
    struct env_layer *env = run->env, *layer;
    int64_t started_ms;
    bool holds = true, ok;

    stage_enter(run, &own, stage->name, is_branch, &started_ms);
    layer = run_env_push(run);
    run_env_set(run, layer, STR("STAGE_NAME"), stage->name);
    ok = check_when(run, stage, "beforeOptions", &holds);
    if (ok && !holds)
        frame.is_skipped = true;
    else if (ok)
        ok = run_with_options(run, stage, run_inside_options, &frame);
    run->env = env;
    if (frame.is_skipped && ok) {
        run_logf(run, "Stage \"" STR_FMT "\" skipped due to when conditional",
                 STR_ARG(stage->name));
        report_skipped(run, stage, &own, "WHEN");
        return true;
    }
    if (!ok) { /* thrown, whatever ended it */
        (void)interp_rethrow(&run->in, interp_catch(&run->in));
        run_log_error(run, run->in.thrown);
    }
    stage_leave(run, &own, stage->name, started_ms, ok ? NULL : run->in.thrown);
    return ok;
}

/* Where a restarted build begins, or NULL. */
static const struct stage *
restart_stage(const struct run *run)
{
    for (const struct stage *s = run->file->pipeline->stages; s != NULL; s = s->next)
        if (run->config->restart_stage != NULL && str_is(s->name, run->config->restart_stage))
            return s;
    return NULL;
}

static bool
run_stages(struct run *run, const struct stage *parent)
{
    struct exception *first = NULL;
    struct stage_run own = {0};
    const struct stage *from = parent == run->file->pipeline ? restart_stage(run) : NULL;

    for (const struct stage *s = parent->stages; s != NULL; s = s->next) {
        from = s == from ? NULL : from;
        if (from != NULL) {
            run_logf(run, "Stage \"" STR_FMT "\" skipped due to this build restarting at stage \""
                     STR_FMT "\"", STR_ARG(s->name), STR_ARG(from->name));
            report_skipped(run, s, &own, "RESTART");
        } else if (first != NULL) {
            run_logf(run, "Stage \"" STR_FMT "\" skipped due to earlier failure(s)",
                     STR_ARG(s->name));
            report_skipped(run, s, &own, "FAILURE");
        } else if (run->skip_after_unstable && run->result == RESULT_UNSTABLE) {
            run_logf(run, "Stage \"" STR_FMT "\" skipped because the build is unstable",
                     STR_ARG(s->name));
            report_skipped(run, s, &own, "UNSTABLE");
        } else if (!run_stage(run, s, false)) {
            first = interp_catch(&run->in);
        }
    }
    return first == NULL || interp_rethrow(&run->in, first);
}

static bool
bind_parameters(struct run *run, const struct node *call)
{
    if (call == NULL)
        return true;
    for (const struct node *n = section_block(call)->first; n != NULL; n = n->next) {
        struct args args;
        struct param p;
        if (!interp_args(&run->in, n, &args) || !param_declared(run, n, n->text, &args, &p) ||
            !param_bind(run, n, &p))
            return false;
    }
    return true;
}

static bool
run_inside_pipeline_options(struct run *run, void *arg, struct value *out)
{
    const struct stage *pipeline = arg;
    struct exception *error = NULL;

    *out = value_null();
    if (!enter_tools(run, pipeline->section[SECTION_TOOLS]) || !run_stages(run, pipeline))
        error = interp_catch(&run->in);
    error = run_post(run, pipeline->section[SECTION_POST], error);
    return error == NULL || interp_rethrow(&run->in, error);
}

static bool
read_options(struct run *run, const struct stage *pipeline)
{
    const struct node *options = pipeline->section[SECTION_OPTIONS];
    const struct node *n = section_entry(options, "checkoutToSubdirectory");
    struct str path;

    run->skip_checkout = skips_checkout(pipeline);
    n = section_entry(options, "skipStagesAfterUnstable");
    run->skip_after_unstable =
        n != NULL && (n->first == NULL || n->first->type != N_BOOL || n->first->number != 0);
    n = section_entry(options, "parallelsAlwaysFailFast");
    run->always_fail_fast =
        n != NULL && (n->first == NULL || n->first->type != N_BOOL || n->first->number != 0);
    n = section_entry(options, "checkoutToSubdirectory");
    if (n != NULL && n->first != NULL) {
        if (!interp_eval_text(&run->in, n->first, &path))
            return false;
        run->checkout_subdirectory = arena_cstr(&run->arena, path);
    }
    return true;
}

/* libraries { lib('name@version') } */
static bool
load_libraries(struct run *run, const struct node *call)
{
    const struct node *block = section_block(call);

    for (const struct node *n = block == NULL ? NULL : block->first; n != NULL; n = n->next) {
        struct str identifier;
        if (n->first == NULL || !interp_eval_text(&run->in, n->first, &identifier) ||
            !library_load(run, n, identifier))
            return false;
    }
    return true;
}

bool
declarative_run(struct run *run, const struct stage *pipeline)
{
    struct node_before before;
    const struct env_layer *outer;
    struct exception *error = NULL;
    bool ok;

    if (!load_libraries(run, pipeline->section[SECTION_LIBRARIES]))
        return false;
    if (run->config->restart_stage != NULL && restart_stage(run) == NULL)
        return interp_throw(&run->in, NULL, "AbortException",
                            "there is no stage '%s' to restart from",
                            run->config->restart_stage);
    if (!job_properties_declarative(run, pipeline) ||
        !bind_parameters(run, pipeline->section[SECTION_PARAMETERS]) ||
        !read_options(run, pipeline))
        return false;
    outer = run->env;
    ok = enter_agent(run, pipeline, &before) &&
         bind_environment(run, pipeline->section[SECTION_ENVIRONMENT]);
    if (!ok) { /* before the stages: post runs outside of what failed */
        error = interp_catch(&run->in);
        run_log_error(run, error);
        error = run_post(run, pipeline->section[SECTION_POST], error);
        interp_rethrow(&run->in, error);
    } else {
        ok = run_with_options(run, pipeline, run_inside_pipeline_options,
                              (void *)(uintptr_t)pipeline);
    }
    credentials_unbind(run, outer);
    leave_agent(run, &before);
    return ok;
}
