/* SPDX-License-Identifier: MIT */
/* node.c - agents of this machine: every one that is allocated at a time has a workspace of its
 * own, the build's directory or that with "@2", "@3" ... behind its name. */
#include "io/file.h"
#include "pipeline/run/run.h"

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

bool
node_enter(struct run *run, const struct node *at, struct str label, struct str custom,
           struct node_before *before)
{
    const char *base = run->config->workspace;
    struct env_layer *layer;
    struct err err;

    *before = (struct node_before){run->workspace, run->directory, run->launcher, run->env,
                                   run->node};
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
    if (!file_make_dirs(run->workspace, 0755, &err))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    run->directory = run->workspace;
    layer = run_env_push(run);
    run_env_set(run, layer, STR("WORKSPACE"), str_of(run->workspace));
    run_env_set(run, layer, STR("WORKSPACE_TMP"),
                str_of(arena_format(&run->arena, "%s@tmp", run->workspace)));
    if (label.len > 0)
        run_env_set(run, layer, STR("NODE_LABELS"),
                    str_of(arena_format(&run->arena, "built-in " STR_FMT, STR_ARG(label))));
    run_logf(run, "Running in %s", run->workspace);
    return true;
}

void
node_leave(struct run *run, const struct node_before *before)
{
    if (run->node != 0 && run->node != before->node)
        give_back(run, run->node);
    run->workspace = before->workspace;
    run->directory = before->directory;
    run->launcher = before->launcher;
    run->env = before->env;
    run->node = before->node;
}
