/* SPDX-License-Identifier: MIT */
/* workspace.c - sources by git: one shallow fetch of exactly the commit that is built. */
#include <ctype.h>
#include <stdio.h>
#include "io/file.h"
#include "pipeline/run.h"

#define GIT_ARGS_MAX 16
#define GIT_TIMEOUT_MS ((int64_t)10 * 60 * 1000)

/* Runs git; its output goes to `out` (NULL: to the log, when it fails). */
static bool
git(struct run *run, const char *directory, struct strbuf *out, int *code,
    const char *const *arguments)
{
    const char *argv[GIT_ARGS_MAX + 8] = {"git",       "-c", "safe.directory=*",         "-c",
                                          "gc.auto=0", "-c", "advice.detachedHead=false"};
    const char *const *env;
    struct process_result result = {0};
    struct env_layer *outer = run->env, *layer = run_env_push(run);
    struct err err;
    size_t n = 7;
    bool ok;

    run_env_set(run, layer, STR("GIT_TERMINAL_PROMPT"), STR("0"));
    env = run_env_list(run);
    run->env = outer;
    for (size_t i = 0; arguments[i] != NULL && i < GIT_ARGS_MAX; i++)
        argv[n++] = arguments[i];
    argv[n] = NULL;
    const struct process_spec spec = {.argv = argv,
                                      .env = env,
                                      .directory = directory,
                                      .timeout_ms = GIT_TIMEOUT_MS,
                                      .output_limit = SYNTAX_TEXT_MAX + 1};
    ok = run_process(run, &spec, &result, &err);
    if (!ok) {
        run_logf(run, "%s", err.message);
        *code = 127;
    } else {
        *code = result.exit_code;
        if (out != NULL)
            strbuf_add(out, strbuf_str(&result.output));
        else if (result.exit_code != 0)
            run_log(run, strbuf_str(&result.error));
    }
    process_result_done(&result);
    return ok && *code == 0;
}

#define GIT(run, directory, out, code, ...) \
    git(run, directory, out, code, (const char *const[]){__VA_ARGS__, NULL})

static bool
git_failed(struct run *run, const struct node *at, const char *what, int code)
{
    if (!run_poll(&run->in, at))
        return false;
    return interp_throw(&run->in, at, "AbortException", "git %s failed with exit code %d", what,
                        code);
}

static bool
prepare(struct run *run, const struct node *at, const char *directory)
{
    struct err err;
    int code;

    if (!file_make_dirs(directory, 0755, &err))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    if (file_exists(arena_format(&run->arena, "%s/.git/HEAD", directory))) {
        /* A build that was killed may have left it; nobody else works here. */
        unlink(arena_format(&run->arena, "%s/.git/index.lock", directory));
        unlink(arena_format(&run->arena, "%s/.git/shallow.lock", directory));
        return true;
    }
    if (!GIT(run, directory, NULL, &code, "init", "--quiet"))
        return git_failed(run, at, "init", code);
    return true;
}

static bool
is_commit(struct str s)
{
    if (s.len != 40)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!isxdigit((unsigned char)s.at[i]))
            return false;
    return true;
}

bool
workspace_fetch(struct run *run, const struct node *at, const char *directory)
{
    const struct runner_config *c = run->config;
    cleanup(strbuf_done) struct strbuf ignored = {0};
    int code;

    if (!prepare(run, at, directory))
        return false;
    if (!is_commit(str_of(c->commit)))
        return interp_throw(&run->in, at, "AbortException", "'%s' is not a commit id",
                            c->commit == NULL ? "" : c->commit);
    /* There already, for instance in a rebuild. */
    if (GIT(run, directory, &ignored, &code, "cat-file", "-e",
            arena_format(&run->arena, "%s^{tree}", c->commit))) {
        run->fetched = directory;
        return true;
    }
    run_logf(run, "Fetching %s from %s", c->commit, c->git_url);
    if (GIT(run, directory, NULL, &code, "fetch", "--quiet", "--no-tags", "--depth=1", "--force",
            c->git_url, c->commit)) {
        run->fetched = directory;
        return true;
    }
    if (!run_poll(&run->in, at))
        return false;
    /* Some servers refuse to serve a commit by its id: then the branch with its history. */
    if (c->branch == NULL ||
        !GIT(run, directory, NULL, &code, "fetch", "--quiet", "--no-tags", "--force", c->git_url,
             arena_format(&run->arena, "refs/heads/%s", c->branch)))
        return git_failed(run, at, "fetch", code);
    run->fetched = directory;
    return true;
}

bool
workspace_show(struct run *run, const char *directory, const char *path, struct strbuf *out)
{
    int code;

    return GIT(run, directory, out, &code, "show",
               arena_format(&run->arena, "%s:%s", run->config->commit, path));
}

static void
put(struct run *run, struct map *to, const char *name, const char *value)
{
    if (value != NULL)
        map_put_text(&run->arena, to, name, value_cstr(&run->arena, value));
}

static bool
checkout_in_place(struct run *run, struct map *to)
{
    cleanup(strbuf_done) struct strbuf head = {0}, branch = {0};
    int code;

    if (GIT(run, run->directory, &head, &code, "rev-parse", "HEAD")) {
        put(run, to, "GIT_COMMIT", arena_cstr(&run->arena, str_trim(strbuf_str(&head))));
        if (GIT(run, run->directory, &branch, &code, "rev-parse", "--abbrev-ref", "HEAD"))
            put(run, to, "GIT_BRANCH", arena_cstr(&run->arena, str_trim(strbuf_str(&branch))));
    }
    return true;
}

bool
workspace_checkout(struct run *run, const struct node *at, struct map *to)
{
    const struct runner_config *c = run->config;
    int code;

    if (c->in_place)
        return checkout_in_place(run, to);
    if (c->git_url == NULL)
        return interp_throw(&run->in, at, "AbortException",
                            "'checkout scm' needs a pipeline that comes from a repository");
    if ((run->fetched == NULL || strcmp(run->fetched, run->directory) != 0) &&
        !workspace_fetch(run, at, run->directory))
        return false;
    if (!GIT(run, run->directory, NULL, &code, "checkout", "--quiet", "--force", "--detach",
             c->commit))
        return git_failed(run, at, "checkout", code);
    run_logf(run, "Checked out %s%s%s", c->commit, c->branch == NULL ? "" : " of ",
             c->branch == NULL ? "" : c->branch);
    put(run, to, "GIT_COMMIT", c->commit);
    put(run, to, "GIT_BRANCH", c->branch);
    put(run, to, "GIT_URL", c->git_url);
    put(run, to, "GIT_PREVIOUS_COMMIT", c->previous_commit);
    put(run, to, "GIT_PREVIOUS_SUCCESSFUL_COMMIT", c->previous_successful_commit);
    return true;
}

/* "* /main", "origin/main" and "refs/heads/main" name the branch main. */
static const char *
branch_of(struct run *run, const char *what)
{
    struct str s = str_of(what);

    if (str_starts(s, STR("*/")))
        s = str_slice(s, 2, s.len);
    else if (str_starts(s, STR("origin/")))
        s = str_slice(s, 7, s.len);
    else if (str_starts(s, STR("refs/heads/")))
        s = str_slice(s, 11, s.len);
    return arena_cstr(&run->arena, s);
}

bool
workspace_git(struct run *run, const struct node *at, const char *url, const char *what,
              struct map *to)
{
    cleanup(strbuf_done) struct strbuf head = {0};
    const char *branch = branch_of(run, what);
    bool by_ref = is_commit(str_of(branch)) || str_starts(str_of(branch), STR("refs/"));
    int code;

    if (branch[0] == '-' || url[0] == '-')
        return interp_throw(&run->in, at, "AbortException",
                            "a branch or URL cannot start with '-'");
    if (!prepare(run, at, run->directory))
        return false;
    run_logf(run, "Fetching %s from %s", branch, url);
    if (!GIT(run, run->directory, NULL, &code, "fetch", "--quiet", "--no-tags", "--depth=1",
             "--force", url, by_ref ? branch : arena_format(&run->arena, "refs/heads/%s", branch)))
        return git_failed(run, at, "fetch", code);
    if (by_ref ? !GIT(run, run->directory, NULL, &code, "checkout", "--quiet", "--force",
                      "--detach", "FETCH_HEAD")
               : !GIT(run, run->directory, NULL, &code, "checkout", "--quiet", "--force", "-B",
                      branch, "FETCH_HEAD"))
        return git_failed(run, at, "checkout", code);
    if (!GIT(run, run->directory, &head, &code, "rev-parse", "HEAD"))
        return git_failed(run, at, "rev-parse", code);
    put(run, to, "GIT_COMMIT", arena_cstr(&run->arena, str_trim(strbuf_str(&head))));
    put(run, to, "GIT_BRANCH",
        by_ref ? "detached" : arena_format(&run->arena, "origin/%s", branch));
    put(run, to, "GIT_URL", url);
    return true;
}
