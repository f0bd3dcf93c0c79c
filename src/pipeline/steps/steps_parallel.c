/* SPDX-License-Identifier: MIT */
/* steps_parallel.c - bodies side by side, each in a flow of its own. */
#include <assert.h>
#include "pipeline/run/run.h"

struct group;
struct branch {
    struct group *group;
    const struct branch_spec *spec;
    struct flow *flow; /* NULL: not begun, or over */
    bool is_told;      /* that another one has failed */
    struct value value;
    struct exception *error;
};
struct group {
    struct run *run;
    struct branch *branches;
    size_t count, living;
    bool fail_fast, has_failed;
    struct exception *first, *first_ordinary; /* in the order in which they ended */
    struct exception *worst;                  /* of the interruptions; of equal ones the first */
    struct str why;                           /* the others are interrupted */
};

static bool
run_branch(struct run *run, void *arg, struct value *out)
{
    const struct branch *b = arg;

    return b->spec->body.run(run, b->spec->body.arg, out);
}

static void
note_error(struct group *g, struct branch *b)
{
    const struct str why =
        str_of(arena_format(&g->run->arena, "Failed in branch " STR_FMT, STR_ARG(b->spec->name)));

    g->has_failed = true;
    if (g->first == NULL) {
        g->first = b->error;
        g->why = why;
    }
    if (b->error->interruption != INTERRUPTED_NOT)
        g->worst = run_error_result(b->error) > run_error_result(g->worst) ? b->error : g->worst;
    else if (g->first_ordinary == NULL)
        g->first_ordinary = b->error;
    run_log_error(g->run, b->error);
    run_logf(g->run, STR_FMT, STR_ARG(why));
}

/* Takes what became of those that have ended. */
static void
collect(struct group *g)
{
    for (size_t i = 0; i < g->count; i++) {
        struct branch *b = &g->branches[i];
        if (b->flow == NULL || !flow_has_ended(b->flow))
            continue;
        if (!flow_outcome(b->flow, &b->value, &b->error))
            note_error(g, b);
        flow_inherit(g->run, b->flow);
        flow_free(b->flow);
        b->flow = NULL;
        g->living--;
    }
}

/* Each of them once: what it does about it (post, finally) is not to be interrupted again. */
static void
interrupt_others(struct group *g)
{
    for (size_t i = 0; i < g->count; i++) {
        struct branch *b = &g->branches[i];
        if (b->flow == NULL || b->is_told)
            continue;
        b->is_told = true;
        flow_interrupt(b->flow, g->why);
    }
}

static bool
start(struct group *g, size_t i, unsigned step)
{
    struct run *run = g->run;
    struct branch *b = &g->branches[i];
    const char *path = arena_format(&run->arena, "%s/%u.%zu", flow_path(run), step, i);

    b->flow = flow_new(run, path, b->spec->name, run_branch, b);
    if (b->flow == NULL)
        return false;
    g->living++;
    if (g->fail_fast && g->has_failed)
        interrupt_others(g);
    flow_run(b->flow);
    return true;
}

static void
join(struct group *g)
{
    for (collect(g); g->living > 0; collect(g)) {
        if (g->fail_fast && g->has_failed)
            interrupt_others(g);
        run_rest(g->run, REST_FOR_OTHERS);
        flow_wait(g->run, NULL, 0, INT64_MAX);
        run_rested(g->run);
    }
}

bool
parallel_run(struct run *run, const struct node *at, const struct branch_spec *specs, size_t count,
             bool fail_fast, struct value *values)
{
    struct group g = {.run = run, .count = count, .fail_fast = fail_fast || run->always_fail_fast};
    unsigned step = flow_next_step(run);
    struct exception *error = NULL;

    if (count > BRANCHES_MAX)
        return interp_throw(&run->in, at, "IllegalArgumentException",
                            "parallel takes at most %u branches", BRANCHES_MAX);
    g.branches = arena_alloc(&run->arena, (count + 1) * sizeof(*g.branches));
    for (size_t i = 0; i < count; i++) {
        g.branches[i].group = &g;
        g.branches[i].spec = &specs[i];
    }
    for (size_t i = 0; i < count && error == NULL; i++) {
        if (!start(&g, i, step))
            error = interp_catch(&run->in); /* no room: those that run are waited for */
        if (g.branches[i].flow != NULL && flow_has_ended(g.branches[i].flow))
            collect(&g);
    }
    join(&g);
    if (error == NULL)
        error = g.fail_fast ? g.first : g.first_ordinary != NULL ? g.first_ordinary : g.worst;
    if (values != NULL)
        *values = value_map(&run->arena);
    for (size_t i = 0; values != NULL && i < count; i++)
        map_put(&run->arena, values->map, value_text(specs[i].name), g.branches[i].value);
    return error == NULL || interp_rethrow(&run->in, error);
}

struct scripted {
    struct str name;
    const struct closure *closure;
};

static bool
run_scripted(struct run *run, void *arg, struct value *out)
{
    const struct scripted *s = arg;
    struct stage_run own;
    int64_t started_ms;
    bool ok;

    stage_enter(run, &own, s->name, true, &started_ms);
    ok = interp_call_closure(&run->in, s->closure, NULL, 0, out);
    stage_leave(run, &own, s->name, started_ms,
                !ok && run->in.completion == COMPLETION_THROW ? run->in.thrown : NULL);
    return ok;
}

static bool
step_parallel(struct step_call *s)
{
    struct run *run = s->run;
    const struct map *given = s->args->named;
    struct branch_spec *specs;
    bool fail_fast = false;
    size_t count = 0;

    if (s->args->count > 0 && s->args->at[0].type == V_MAP)
        given = s->args->at[0].map;
    if (given == NULL || given->count == 0)
        return step_fail(s, "parallel needs branches: parallel(name: { ... }, ...)");
    specs = arena_alloc(&run->arena, given->count * sizeof(*specs));
    for (size_t i = 0; i < given->count; i++) {
        struct str name = value_to_text(&run->arena, given->at[i].key);
        struct value v = given->at[i].value;
        struct scripted *branch;
        if (str_is(name, "failFast") && v.type == V_BOOL) {
            fail_fast = v.truth;
            continue;
        }
        if (v.type != V_CLOSURE)
            return step_fail(s, "the branch '" STR_FMT "' of parallel is no block in braces",
                             STR_ARG(name));
        branch = arena_alloc(&run->arena, sizeof(*branch));
        *branch = (struct scripted){name, v.closure};
        specs[count++] = (struct branch_spec){name, {run_scripted, branch}};
    }
    return parallel_run(run, s->at, specs, count, fail_fast, s->out);
}

static bool
step_stage(struct step_call *s)
{
    struct run *run = s->run;
    struct str name = step_text(s, "name", "");
    struct env_layer *env = run->env, *layer;
    struct stage_run own;
    int64_t started_ms;
    bool ok;

    if (s->body.run == NULL) {
        run_logf(run, "WARNING: 'stage' without a block has no effect");
        return true;
    }
    stage_enter(run, &own, name, false, &started_ms);
    layer = run_env_push(run);
    run_env_set(run, layer, STR("STAGE_NAME"), name);
    ok = s->body.run(run, s->body.arg, s->out);
    run->env = env;
    if (!ok && s->in->completion == COMPLETION_THROW)
        run_log_error(run, s->in->thrown);
    stage_leave(run, &own, name, started_ms,
                !ok && s->in->completion == COMPLETION_THROW ? s->in->thrown : NULL);
    return ok;
}

static bool
step_node(struct step_call *s)
{
    struct node_before before;
    bool ok = node_enter(s->run, s->at, step_text(s, "label", ""), STR(""), &before) &&
              s->body.run(s->run, s->body.arg, s->out);

    node_leave(s->run, &before);
    return ok;
}

static bool
step_ws(struct step_call *s)
{
    struct node_before before;
    bool ok;

    if (!step_needs_workspace(s))
        return false;
    ok = node_move(s->run, s->at, step_text(s, "dir", ""), &before) &&
         s->body.run(s->run, s->body.arg, s->out);
    node_leave(s->run, &before);
    return ok;
}

step_function *
step_parallel_find(struct str name)
{
    static const struct step_row table[] = {
        {"parallel", step_parallel},
        {"stage", step_stage},
        {"node", step_node},
        {"ws", step_ws},
    };

    return step_row_find(table, ARRAY_COUNT(table), name);
}
