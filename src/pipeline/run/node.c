/* SPDX-License-Identifier: MIT */
/* node.c - agents of this machine: every one that is allocated at a time has an executor, and a workspace
 * of its own, the build's directory or that with "@2", "@3" ... behind its name. */
#include "base/clock.h"
#include "io/file.h"
#include "pipeline/run/journal.h"

static unsigned
take(struct run *run)
{
    for (unsigned i = 0; i < RUN_NODES_MAX; i++) {
        uint64_t bit = (uint64_t)1 << (i % 64);
        if ((run->nodes[i / 64] & bit) == 0) {
            run->nodes[i / 64] |= bit;
            return i + 1;
        }
    }
    return 0;
}

static void
give_back(struct run *run, unsigned node)
{
    run->nodes[(node - 1) / 64] &= ~((uint64_t)1 << ((node - 1) % 64));
}

static bool
custom_path(struct run *run, const struct node *at, struct str path)
{
    if (str_find(path, STR("..")) >= 0)
        return interp_throw(&run->in, at, "AbortException",
                            "the workspace '" STR_FMT "' is not a usable path", STR_ARG(path));
    run->workspace =
        path.at[0] == '/'
            ? arena_cstr(&run->arena, path)
            : arena_format(&run->arena, "%s/" STR_FMT, run->config->workspace, STR_ARG(path));
    return true;
}

/* ---- executors ---- */

/* Of the agent that is entered now: the same in every run of the build, and no other one's. */
static const char *
agent_key(struct run *run)
{
    return arena_format(&run->arena, "agent-%s-%u", flow_path(run), ++run->agents);
}

/* Says once for what it waits: a line that comes again after a restart, or not, would be counted as
 * another one. */
static void
say_waiting(struct run *run, const char *key, const char *why)
{
    const char *said = arena_format(&run->arena, "waits-%s", key);
    struct value v;

    if (why == NULL || journal_known(run, said, &v))
        return;
    run_logf(run, "Still waiting to schedule task");
    run_logf(run, "%s", why);
    journal_note(run, said, value_null());
}

/* Within another agent nobody else's place is left: two builds that hold what the other one wants end by their
 * time. */
static bool
wait_for_executor(struct run *run, const struct node *at, struct executor_wish *wish,
                  struct executor_given *given)
{
    const struct runner_host *host = run->config->host;
    void *ctx = run->config->ctx;
    const bool rests = wish->held < 0;
    bool ok = true, has = false;

    say_waiting(run, wish->key, given->why);
    if (rests)
        run_rest(run, REST_FOR_OTHERS);
    while (ok && !has) {
        ok = run_wait(run, at, NULL, 0, INT64_MAX);
        has = ok && host->executor(ctx, wish, &run->arena, given);
    }
    if (rests)
        run_rested(run);
    if (!ok && !run_is_suspended(run))
        host->executor_over(ctx, wish->key);
    return ok;
}

/* `given` is what a build without a host has. */
static bool
take_executor(struct run *run, const struct node *at, struct str label,
              struct executor_given *given)
{
    const struct runner_host *host = run->config->host;
    const char *key = agent_key(run);
    struct executor_wish wish = {
        .key = key, .label = label, .held = run->executor_number, .known = -1};
    struct value v;

    if (host == NULL || host->executor == NULL)
        return true;
    if (journal_known(run, key, &v) && v.type == V_LONG)
        wish.known = (int)v.number;
    if (!host->executor(run->config->ctx, &wish, &run->arena, given) &&
        !wait_for_executor(run, at, &wish, given))
        return false;
    run->executor = key;
    run->executor_number = given->number;
    if (wish.known < 0)
        journal_note(run, key, value_long(given->number));
    return true;
}

/* ---- nodes ---- */

void
node_stay(const struct run *run, struct node_before *before)
{
    *before = (struct node_before){run->workspace, run->directory, run->launcher,       run->env,
                                   run->node,      run->executor,  run->executor_number};
}

/* One that the Jenkinsfile names may be any folder: only what the build's user can make or write is his. */
static bool
make_workspace(struct run *run, bool is_custom, struct err *err)
{
    const char *tmp = arena_format(&run->arena, "%s@tmp", run->workspace);

    if (is_custom || run->user == NULL) {
        USER_ACTS(run);
        return file_make_dirs(run->workspace, 0755, err);
    }
    return build_user_folder(run, run->workspace, 0750, err) &&
           build_user_folder(run, tmp, 0711, err);
}

static bool
take_workspace(struct run *run, const struct node *at, struct str custom)
{
    const char *base = run->config->workspace;
    struct err err;

    run->node = take(run);
    if (run->node == 0)
        return interp_throw(&run->in, at, "AbortException",
                            "a build has at most %u workspaces at a time", RUN_NODES_MAX);
    run->workspace = run->node == 1 || run->config->in_place
                         ? base
                         : arena_format(&run->arena, "%s@%u", base, run->node);
    run->launcher = NULL;
    if (custom.len > 0 && !custom_path(run, at, custom))
        return false;
    if (!make_workspace(run, custom.len > 0, &err))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    run->directory = run->workspace;
    return true;
}

static struct env_layer *
set_place(struct run *run)
{
    struct env_layer *layer = run_env_push(run);

    run_env_set(run, layer, STR("WORKSPACE"), str_of(run->workspace));
    run_env_set(run, layer, STR("WORKSPACE_TMP"),
                str_of(arena_format(&run->arena, "%s@tmp", run->workspace)));
    return layer;
}

bool
node_move(struct run *run, const struct node *at, struct str custom, struct node_before *before)
{
    node_stay(run, before);
    if (!take_workspace(run, at, custom))
        return false;
    (void)set_place(run);
    run_logf(run, "Running in %s", run->workspace);
    return true;
}

bool
node_enter(struct run *run, const struct node *at, struct str label, struct str custom,
           struct node_before *before)
{
    struct executor_given given = {.node = "built-in", .labels = "built-in"};
    struct env_layer *layer;

    node_stay(run, before);
    if (!take_executor(run, at, label, &given) || !take_workspace(run, at, custom))
        return false;
    layer = set_place(run);
    run_env_set(run, layer, STR("NODE_NAME"), str_of(given.node));
    run_env_set(run, layer, STR("NODE_LABELS"), str_of(given.labels));
    run_env_set(run, layer, STR("EXECUTOR_NUMBER"),
                str_of(arena_format(&run->arena, "%d", given.number)));
    run_logf(run, "Running in %s", run->workspace);
    return true;
}

void
node_leave(struct run *run, const struct node_before *before)
{
    if (run->node != 0 && run->node != before->node)
        give_back(run, run->node);
    if (run->executor != NULL && run->executor != before->executor && !run_is_suspended(run))
        run->config->host->executor_over(run->config->ctx, run->executor);
    run->workspace = before->workspace;
    run->directory = before->directory;
    run->launcher = before->launcher;
    run->env = before->env;
    run->node = before->node;
    run->executor = before->executor;
    run->executor_number = before->executor_number;
}
