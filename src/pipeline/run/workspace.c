/* SPDX-License-Identifier: MIT */
/* workspace.c - sources by git: one shallow fetch of exactly the commit that is built.
 * What the build wrote, its .git with hooks and configuration in it, is the build's: where it has a user of
 * its own (build_user.h), git works there as that user, and what naru fetches and reads by itself is in
 * repositories of its own, naru's bare one or, for what comes from elsewhere, <workspace>@git.
 * Without such a user the second holds for changes that are not trusted, and git begins with a new .git in
 * their workspaces each time, and ignores hooks. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/log.h"
#include "io/file.h"
#include "pipeline/run/credentials.h"
#include "pipeline/forge/git_login.h"

#define GIT_ARGS_MAX 16
#define GIT_TIMEOUT_MS ((int64_t)10 * 60 * 1000)
#define GIT_FILE_MAX ((size_t)SYNTAX_TEXT_MAX + 1) /* of a Jenkinsfile: one more is too long */
#define GIT_LOG_MAX ((size_t)32 << 20)

extern char **environ;

static bool
is_untrusted(const struct run *run)
{
    return run->config->trusted_ref != NULL;
}

/* Nothing of the environment that the build gave itself: it has programs in its PATH. */
static const char *const *
own_env(struct run *run)
{
    const char *const *login = run->login;
    const char **out;
    size_t count = 0, n = 0;

    for (; environ[count] != NULL; count++)
        continue;
    for (size_t i = 0; login != NULL && login[i] != NULL; i++)
        count++;
    out = arena_alloc(&run->arena, (count + 3) * sizeof(*out));
    for (; environ[n] != NULL; n++)
        out[n] = environ[n];
    for (size_t i = 0; login != NULL && login[i] != NULL; i++)
        out[n++] = login[i];
    out[n++] = "GIT_TERMINAL_PROMPT=0";
    out[n++] = arena_format(&run->arena, "JENKINS_NODE_COOKIE=%s", run->config->cookie);
    out[n] = NULL;
    return out;
}

static const char *const *
build_env(struct run *run)
{
    struct env_layer *outer = run->env, *layer = run_env_push(run);
    const char *const *env;

    run_env_set(run, layer, STR("GIT_TERMINAL_PROMPT"), STR("0"));
    if (run->user != NULL)
        run_env_set(run, layer, STR("GIT_CONFIG_GLOBAL"), str_of(run->user->git_config));
    env = run_env_list(run);
    run->env = outer;
    return env;
}

/* Runs git; its output, `out_max` bytes of it, goes to `out` (NULL: to the log, when it fails).
 * `is_own`: in a repository of naru's, as naru. */
static bool
git_with_input(struct run *run, const char *directory, bool is_own, struct str input,
               struct strbuf *out, size_t out_max, int *code, const char *const *arguments)
{
    const char *argv[GIT_ARGS_MAX + 12] = {"git",       "-c", "safe.directory=*",         "-c",
                                           "gc.auto=0", "-c", "advice.detachedHead=false"};
    struct process_result result = {0};
    struct err err;
    size_t n = 7;
    bool ok;

    if (is_untrusted(run)) {
        argv[n++] = "-c";
        argv[n++] = "core.hooksPath=/dev/null";
        argv[n++] = "-c";
        argv[n++] = "core.fsmonitor=false";
    }
    for (size_t i = 0; arguments[i] != NULL && i < GIT_ARGS_MAX; i++)
        argv[n++] = arguments[i];
    argv[n] = NULL;
    const struct process_spec spec = {.argv = argv,
                                      .env = is_own ? own_env(run) : build_env(run),
                                      .directory = directory,
                                      .input = input,
                                      .timeout_ms = GIT_TIMEOUT_MS,
                                      .output_limit = out_max};
    ok = is_own ? run_own_process(run, &spec, &result, &err)
                : run_process(run, &spec, &result, &err);
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

static bool
git(struct run *run, const char *directory, struct strbuf *out, int *code,
    const char *const *arguments)
{
    return git_with_input(run, directory, false, (struct str){0}, out, GIT_FILE_MAX, code,
                          arguments);
}

#define GIT(run, directory, out, code, ...) \
    git(run, directory, out, code, (const char *const[]){__VA_ARGS__, NULL})
#define OWN_GIT(run, directory, out, code, ...)                                           \
    git_with_input(run, directory, true, (struct str){0}, out, GIT_FILE_MAX, code,        \
                   (const char *const[]){__VA_ARGS__, NULL})

/* Once more if what stands in the way may be what a container left as root. */
#define TWICE(run, git) ((git) || (build_user_take_back(run) > 0 && (git)))

static bool
git_failed(struct run *run, const struct node *at, const char *what, int code)
{
    if (!run_poll(&run->in, at))
        return false;
    return interp_throw(&run->in, at, "AbortException", "git %s failed with exit code %d", what,
                        code);
}

static bool
write_plain(struct run *run, const char *directory, const char *name, struct str text,
            struct err *err)
{
    const char *path = arena_format(&run->arena, "%s/.git/%s", directory, name);
    USER_ACTS(run);
    cleanup_close int fd = -1;

    return file_open_plain(path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd, err) &&
           file_write_all(fd, text, err);
}

/* As git writes it, always in quotes. */
static void
add_origin(struct strbuf *out, const char *url)
{
    strbuf_add_cstr(out, "[remote \"origin\"]\n\turl = \"");
    for (const char *c = url; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            strbuf_add_char(out, '\\');
        strbuf_add_char(out, *c);
    }
    strbuf_add_cstr(out, "\"\n");
}

/* What `git init` and `git config` make, without the time that these take.  HEAD comes last: it says
 * that the rest is there. */
static bool
make_repository(struct run *run, const char *directory, const char *url, struct err *err)
{
    static const char *const folders[] = {"objects/info", "objects/pack", "refs/heads",
                                          "refs/tags", "info"};
    cleanup(strbuf_done) struct strbuf config = {0};
    USER_ACTS(run);

    for (size_t i = 0; i < ARRAY_COUNT(folders); i++)
        if (!file_make_dirs(arena_format(&run->arena, "%s/.git/%s", directory, folders[i]), 0755,
                            err))
            return false;
    strbuf_add_cstr(&config, "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n"
                             "\tbare = false\n\tlogallrefupdates = true\n");
    if (url != NULL)
        add_origin(&config, url);
    return write_plain(run, directory, "config", strbuf_str(&config), err) &&
           write_plain(run, directory, "HEAD", STR("ref: refs/heads/master\n"), err);
}

/* What strangers wrote there is not for git to find while it is us. */
static bool
begins_anew(const struct run *run)
{
    return run->user == NULL && is_untrusted(run);
}

static bool
forget_repository(struct run *run, const char *directory, struct err *err)
{
    return !begins_anew(run) ||
           file_remove_tree(arena_format(&run->arena, "%s/.git", directory), err);
}

/* `url` NULL: who calls sets the remote. `is_new`: nothing was there. */
static bool
prepare(struct run *run, const struct node *at, const char *directory, const char *url,
        bool *is_new)
{
    struct err err;
    USER_ACTS(run);

    if (!forget_repository(run, directory, &err))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    *is_new = !file_exists(arena_format(&run->arena, "%s/.git/HEAD", directory));
    if (!file_make_dirs(directory, 0755, &err) ||
        (*is_new && !make_repository(run, directory, url, &err)))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    if (!*is_new) {
        /* A build that was killed may have left it; nobody else works here. */
        unlink(arena_format(&run->arena, "%s/.git/index.lock", directory));
        unlink(arena_format(&run->arena, "%s/.git/shallow.lock", directory));
    }
    return true;
}

static bool
is_commit(struct str s)
{
    return s.len == 40 && str_is_hex(s);
}

/* One of this machine, without a working tree; NULL: elsewhere. */
static const char *
local_repository(struct run *run)
{
    const char *url = run->config->git_url;

    return url[0] == '/' && file_exists(arena_format(&run->arena, "%s/HEAD", url)) ? url : NULL;
}

/* Is it a repository that `git push` to naru made?  Nothing above one or in one: a Jenkinsfile may name it. */
static bool
is_narus(struct run *run, const char *url)
{
    const char *home = run->config->home;
    const struct str folder = str_of(home == NULL ? "" : arena_format(&run->arena, "%s/git/", home));

    if (home == NULL || !str_starts(str_of(url), folder))
        return false;
    const struct str name = str_slice(str_of(url), folder.len, strlen(url));
    return str_index(name, '/') < 0 && name.at[0] != '.' && str_ends(name, STR(".git"));
}

/* ---- what naru fetches and reads by itself, where what is in the workspace is not for it to trust ---- */

static bool
reads_apart(const struct run *run)
{
    return run->user != NULL || is_untrusted(run);
}

static const char *
mirror_of(struct run *run)
{
    return arena_format(&run->arena, "%s@git", run->config->workspace);
}

/* What a git that was killed has left of its work there: only one fetches into it at a time. */
static void
unlock_mirror(struct run *run, const char *mirror)
{
    (void)unlink(arena_format(&run->arena, "%s/shallow.lock", mirror));
}

/* The last that `git init` makes: one that was ended in the middle of it is made anew. */
static bool
mirror_is_made(struct run *run, const char *mirror)
{
    return file_exists(arena_format(&run->arena, "%s/objects/info", mirror));
}

static bool
make_mirror(struct run *run, const char *mirror, int *code)
{
    struct err err;

    if (mirror_is_made(run, mirror))
        return true;
    if (!file_remove_tree(mirror, &err)) {
        run_logf(run, "%s", err.message);
        return false;
    }
    return OWN_GIT(run, NULL, NULL, code, "init", "--quiet", "--bare", mirror);
}

static bool
mirror_has_commit(struct run *run, const char *mirror)
{
    cleanup(strbuf_done) struct strbuf ignored = {0};
    int code;

    return mirror_is_made(run, mirror) &&
           OWN_GIT(run, mirror, &ignored, &code, "cat-file", "-e",
                   arena_format(&run->arena, "%s^{tree}", run->config->commit));
}

/* The commit may be on `ref` only: some servers refuse to serve one by its id. */
static bool
fetch_into_mirror(struct run *run, const char *mirror, int *code)
{
    const struct runner_config *c = run->config;

    run_logf(run, "Fetching %s from %s", c->commit, c->git_url);
    unlock_mirror(run, mirror);
    if (OWN_GIT(run, mirror, NULL, code, "fetch", "--quiet", "--no-tags", "--depth=1", "--force",
                "--no-auto-maintenance", c->git_url, c->commit))
        return true;
    return !run_is_due(run) && c->branch != NULL &&
           OWN_GIT(run, mirror, NULL, code, "fetch", "--quiet", "--no-tags", "--force", c->git_url,
                   c->ref != NULL ? c->ref : arena_format(&run->arena, "refs/heads/%s", c->branch));
}

/* Several branches of a build may find at once that it has to be fetched. */
static bool
fill_mirror(struct run *run, const char *mirror, int *code)
{
    const bool waits = run->is_fetching;
    bool ok;

    if (!run_fetch_begin(run))
        return false;
    ok = (waits && mirror_has_commit(run, mirror)) ||
         (make_mirror(run, mirror, code) && fetch_into_mirror(run, mirror, code));
    run_fetch_end(run);
    return ok;
}

/* From where the commit gets into the workspace; NULL: thrown. */
static const char *
source_apart(struct run *run, const struct node *at)
{
    const char *source = run->config->git_url;
    int code = 1;
    struct err err;

    if (!is_narus(run, source)) {
        source = mirror_of(run);
        if (!mirror_has_commit(run, source) && !fill_mirror(run, source, &code)) {
            git_failed(run, at, "fetch", code);
            return NULL;
        }
    }
    if (build_user_may_read(run, source, &err))
        return source;
    interp_throw(&run->in, at, "AbortException", "%s", err.message);
    return NULL;
}

/* ---- */

/* What `git fetch --depth=1` brings, in one process instead of seven: the commit without its history as
 * a pack.  False: it is to be fetched. */
static bool
pack_commit(struct run *run, const char *source, const char *directory)
{
    const char *commit = run->config->commit;
    cleanup(strbuf_done) struct strbuf ignored = {0}, input = {0};
    const char *pack = arena_format(&run->arena, "%s/.git/objects/pack/pack", directory);
    const char *const arguments[] = {"pack-objects", "--quiet",   "--revs", "--shallow",
                                     "--window=0",   "--threads=1", pack,   NULL};
    struct err err;
    int code;

    if (source == NULL)
        return false;
    /* First that it has no history here: a build that is killed in between leaves a repository that
     * the next one takes for whole. */
    strbuf_addf(&input, "%s\n", commit);
    if (!write_plain(run, directory, "shallow", strbuf_str(&input), &err))
        return false;
    strbuf_clear(&input);
    strbuf_addf(&input, "--shallow %s\n%s\n", commit, commit);
    if (git_with_input(run, source, false, strbuf_str(&input), &ignored, GIT_FILE_MAX, &code, arguments))
        return true;
    USER_ACTS(run);
    unlink(arena_format(&run->arena, "%s/.git/shallow", directory));
    return false;
}

static bool
fetch_commit(struct run *run, const struct node *at, const char *directory)
{
    const struct runner_config *c = run->config;
    cleanup(strbuf_done) struct strbuf ignored = {0};
    const char *url = c->git_url;
    bool is_new;
    int code;

    if (!is_commit(str_of(c->commit)))
        return interp_throw(&run->in, at, "AbortException", "'%s' is not a commit id",
                            c->commit == NULL ? "" : c->commit);
    if (reads_apart(run) && (url = source_apart(run, at)) == NULL)
        return false;
    if (!prepare(run, at, directory, c->git_url, &is_new))
        return false;
    /* There already, for instance in a rebuild. */
    if (!is_new && GIT(run, directory, &ignored, &code, "cat-file", "-e",
            arena_format(&run->arena, "%s^{tree}", c->commit))) {
        run->fetched = directory;
        return true;
    }
    if (url == c->git_url)
        run_logf(run, "Fetching %s from %s", c->commit, url);
    if ((is_new && pack_commit(run, reads_apart(run) ? url : local_repository(run), directory)) ||
        GIT(run, directory, NULL, &code, "fetch", "--quiet", "--no-tags", "--depth=1", "--force",
            "--no-auto-maintenance", url, c->commit)) {
        run->fetched = directory;
        return true;
    }
    if (!run_poll(&run->in, at))
        return false;
    /* Some servers refuse to serve a commit by its id: then the branch with its history. */
    if (c->branch == NULL || url != c->git_url ||
        !GIT(run, directory, NULL, &code, "fetch", "--quiet", "--no-tags", "--force", c->git_url,
             c->ref != NULL ? c->ref : arena_format(&run->arena, "refs/heads/%s", c->branch)))
        return git_failed(run, at, "fetch", code);
    run->fetched = directory;
    return true;
}

static const char *const *
copy_lines(struct run *run, const struct git_login *login)
{
    size_t count = 0;
    const char **out;

    while (login->variables[count] != NULL)
        count++;
    out = arena_alloc(&run->arena, (count + 1) * sizeof(*out));
    for (size_t i = 0; i < count; i++)
        out[i] = arena_format(&run->arena, "%s", login->variables[i]);
    return out;
}

/* The login of a private repository on a forge, where there is one: in the environment until the caller
 * takes that back. */
static void
log_in(struct run *run)
{
    cleanup(git_login_done) struct git_login login = {0};
    struct env_layer *layer = run_env_push(run);

    git_login_find(run->config->github != NULL ? run->config->secrets_dir : NULL,
                   run->config->forge, run->config->git_url, &login);
    if (login.token != NULL) {
        credential_mask(run, str_of(login.token));
        run_mask(run, str_of(strrchr(login.variables[2], ' ') + 1));
    }
    run->login = copy_lines(run, &login);
    for (size_t i = 0; login.variables[i] != NULL; i++) {
        struct str variable = str_of(login.variables[i]);
        ptrdiff_t equals = str_index(variable, '=');
        run_env_set(run, layer, str_slice(variable, 0, (size_t)equals),
                    str_slice(variable, (size_t)equals + 1, variable.len));
    }
}

bool
workspace_fetch(struct run *run, const struct node *at, const char *directory)
{
    struct env_layer *outer = run->env;
    bool ok;

    log_in(run);
    if (reads_apart(run))
        run->env = outer; /* the login is for naru's own git, not for what is in the workspace */
    ok = fetch_commit(run, at, directory);
    run->env = outer;
    return ok;
}

/* Where git knows the history of both commits; NULL: it does not know the older one.  A fetch of
 * what was built has none: it is made anew, with `count` commits of each.  After a force push the older one
 * may be in no history of the newer one, and where nobody has it any more, too. */
static const char *
with_history(struct run *run, const char *from, const char *to, unsigned count)
{
    const struct runner_config *c = run->config;
    const char *depth = arena_format(&run->arena, "--depth=%u", count + 1);
    cleanup(strbuf_done) struct strbuf ignored = {0};
    struct env_layer *outer = run->env;
    bool has_both;
    const char *directory;
    int code;

    if (local_repository(run) != NULL)
        return c->git_url;
    directory = reads_apart(run) ? mirror_of(run) : c->workspace;
    if (reads_apart(run))
        unlock_mirror(run, directory);
    log_in(run);
    has_both = str_is_hex(str_of(from)) && /* or "commit^1": its own parent is there in any case */
               OWN_GIT(run, directory, &ignored, &code, "fetch", "--quiet", "--no-tags", "--force",
                   depth, c->git_url, from, c->commit);
    if (!has_both)
        (void)OWN_GIT(run, directory, &ignored, &code, "fetch", "--quiet", "--no-tags", "--force",
                  depth, c->git_url, c->commit);
    run->env = outer;
    if (!has_both &&
        !OWN_GIT(run, directory, &ignored, &code, "merge-base", "--is-ancestor", from, to))
        return NULL;
    return directory;
}

#define COMMIT_FORMAT "--format=%H%x00%an%x00%ae%x00%ct%x00%B%x00"

static bool
log_of(struct run *run, const char *directory, const char *from, const char *to, unsigned count,
       struct strbuf *out)
{
    const char *most = arena_format(&run->arena, "--max-count=%u", count);
    const char *range = arena_format(&run->arena, "%s..%s", from, to);
    /* No renames: one is a path that went and a path that came. */
    const char *const arguments[] = {"log", "-z", "--no-merges", "--no-renames", "--name-status",
                                     most, "--reverse", COMMIT_FORMAT, range, "--", NULL};
    int code;

    return git_with_input(run, directory, true, (struct str){0}, out, GIT_LOG_MAX, &code,
                          arguments);
}

/* The branch was set back: nothing was committed, but much may have changed.  All of it counts as of the
 * commit that it was set back to. */
static void
log_of_step_back(struct run *run, const char *directory, const char *from, const char *to,
                 struct strbuf *out)
{
    const char *const show[] = {"log", "-z", "-1", "--no-patch", COMMIT_FORMAT, to, "--", NULL};
    const char *const diff[] = {"diff", "-z", "--no-renames", "--name-status", from, to, "--", NULL};
    cleanup(strbuf_done) struct strbuf files = {0};
    int code;

    if (!git_with_input(run, directory, true, (struct str){0}, &files, GIT_LOG_MAX, &code, diff) ||
        files.len == 0 ||
        !git_with_input(run, directory, true, (struct str){0}, out, GIT_LOG_MAX, &code, show))
        return;
    strbuf_add_char(out, '\0');
    strbuf_add(out, strbuf_str(&files));
}

bool
workspace_log(struct run *run, const char *from, const char *to, unsigned count, struct strbuf *out)
{
    const char *directory;

    if (run->config->git_url == NULL || from[0] == '-' || to[0] == '-')
        return false;
    directory = with_history(run, from, to, count);
    if (directory == NULL || !log_of(run, directory, from, to, count, out))
        return false;
    if (out->len == 0)
        log_of_step_back(run, directory, from, to, out);
    /* Not in the build's log: a build that is taken up does not ask again, and its lines are counted. */
    if (out->len >= GIT_LOG_MAX)
        log_warn("build.changes", "job=%s build=%lld error=\"the newest commits are cut off\"",
                 run->config->job_name, (long long)run->config->number);
    return true;
}

/* Where naru reads what the build may not have changed: not in its workspace, if it is another user's. */
static const char *
source_or(struct run *run, const char *directory)
{
    return !reads_apart(run)                    ? directory
           : is_narus(run, run->config->git_url) ? run->config->git_url
                                                 : mirror_of(run);
}

bool
workspace_show(struct run *run, const char *directory, const char *path, struct strbuf *out)
{
    int code;

    return OWN_GIT(run, source_or(run, directory), out, &code, "show",
                   arena_format(&run->arena, "%s:%s", run->config->commit, path));
}

bool
workspace_show_ref(struct run *run, const char *directory, const char *ref, const char *path,
                   struct strbuf *out)
{
    const char *url = run->config->git_url, *source = source_or(run, directory);
    struct env_layer *outer = run->env;
    int code;
    bool ok;

    if (ref[0] == '-')
        return false;
    if (reads_apart(run) && is_narus(run, url))
        return OWN_GIT(run, source, out, &code, "show",
                       arena_format(&run->arena, "%s:%s", ref, path));
    if (reads_apart(run))
        unlock_mirror(run, source);
    log_in(run);
    ok = OWN_GIT(run, source, NULL, &code, "fetch", "--quiet", "--no-tags", "--depth=1", url, ref) &&
         OWN_GIT(run, source, out, &code, "show", arena_format(&run->arena, "FETCH_HEAD:%s", path));
    run->env = outer;
    return ok;
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

/* Is the remote in the file as we would write it?  Else git is to decide. */
static bool
has_origin(struct run *run)
{
    cleanup(strbuf_done) struct strbuf text = {0}, origin = {0};
    USER_ACTS(run);

    add_origin(&origin, run->config->git_url);
    return file_read_plain(arena_format(&run->arena, "%s/.git/config", run->directory), 1 << 20, &text,
                     NULL) &&
           str_find(strbuf_str(&text), strbuf_str(&origin)) >= 0;
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
    if ((run->fetched == NULL || strcmp(run->fetched, run->directory) != 0 || begins_anew(run)) &&
        !workspace_fetch(run, at, run->directory))
        return false;
    if (!TWICE(run, GIT(run, run->directory, NULL, &code, "checkout", "--quiet", "--force",
                        "--detach", c->commit)))
        return git_failed(run, at, "checkout", code);
    if (!has_origin(run) &&
        !GIT(run, run->directory, NULL, &code, "config", "remote.origin.url", c->git_url))
        return git_failed(run, at, "config", code);
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
branch_of(struct run *run, struct str s)
{
    static const char *const prefixes[] = {"*/", "origin/", "remotes/origin/", "refs/heads/"};

    for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++)
        if (str_starts(s, str_of(prefixes[i])))
            s = str_slice(s, strlen(prefixes[i]), s.len);
    return arena_cstr(&run->arena, s);
}

/* What one fetch is to bring: a refspec, and the name that it has here afterwards. */
struct wanted {
    const char *refspec, *name, *branch; /* branch NULL: a tag, a commit, or whatever HEAD is */
};

static bool
is_shallow(struct run *run)
{
    USER_ACTS(run);

    return file_exists(arena_format(&run->arena, "%s/.git/shallow", run->directory));
}

static bool
fetch(struct run *run, const struct git_source *g, const char *refspec, bool tells, int *code)
{
    cleanup(strbuf_done) struct strbuf ignored = {0};
    const char *arguments[GIT_ARGS_MAX] = {"fetch", "--quiet", "--force",
                                           g->no_tags ? "--no-tags" : "--tags"};
    size_t n = 4;

    if (g->depth > 0)
        arguments[n++] = arena_format(&run->arena, "--depth=%d", g->depth);
    else if (is_shallow(run))
        arguments[n++] = "--unshallow";
    arguments[n++] = "origin";
    arguments[n++] = refspec;
    return git(run, run->directory, tells ? NULL : &ignored, code, arguments);
}

/* A name without more may be a branch or a tag. */
static bool
fetch_name(struct run *run, const struct git_source *g, const char *name, struct wanted *w,
           int *code)
{
    w->branch = name;
    w->name = arena_format(&run->arena, "refs/remotes/origin/%s", name);
    if (fetch(run, g, arena_format(&run->arena, "+refs/heads/%s:%s", name, w->name), false, code))
        return true;
    if (run_is_due(run))
        return false;
    w->branch = NULL;
    w->name = arena_format(&run->arena, "refs/tags/%s", name);
    return fetch(run, g, arena_format(&run->arena, "+%s:%s", w->name, w->name), true, code);
}

static bool
fetch_wanted(struct run *run, const struct git_source *g, struct wanted *w, int *code)
{
    struct str what = str_of(g->what);
    const char *name = branch_of(run, what);

    *w = (struct wanted){.name = "FETCH_HEAD"};
    if (name[0] == '\0' || strcmp(name, "*") == 0 || strcmp(name, "**") == 0)
        return fetch(run, g, "HEAD", true, code);
    if (is_commit(str_of(name))) {
        w->name = name;
        /* Some servers refuse to serve a commit by its id. */
        return fetch(run, g, name, false, code) ||
               fetch(run, g, "+refs/heads/*:refs/remotes/origin/*", true, code);
    }
    if (str_starts(what, STR("refs/tags/"))) {
        w->name = g->what;
        return fetch(run, g, arena_format(&run->arena, "+%s:%s", g->what, g->what), true, code);
    }
    if (str_starts(what, STR("refs/")) && !str_starts(what, STR("refs/heads/")))
        return fetch(run, g, g->what, true, code);
    return fetch_name(run, g, name, w, code);
}

static bool
set_config(struct run *run, const char *key, const char *value)
{
    int code;

    return value == NULL || GIT(run, run->directory, NULL, &code, "config", key, value);
}

static bool
clean(struct run *run, const struct node *at)
{
    cleanup(strbuf_done) struct strbuf ignored = {0};
    int code;

    (void)GIT(run, run->directory, &ignored, &code, "reset", "--quiet", "--hard"); /* none yet */
    return TWICE(run, GIT(run, run->directory, NULL, &code, "clean", "-ffdxq")) ||
           git_failed(run, at, "clean", code);
}

static bool
wipe(struct run *run, struct err *err)
{
    USER_ACTS(run);

    return file_empty_folder(run->directory, err);
}

static bool
get_ready(struct run *run, const struct node *at, const struct git_source *g)
{
    struct err err;
    bool is_new;

    if (g->wipes && !TWICE(run, wipe(run, &err)))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    if (!prepare(run, at, run->directory, NULL, &is_new))
        return false;
    if (!set_config(run, "remote.origin.url", g->url) ||
        !set_config(run, "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*") ||
        !set_config(run, "user.name", g->user_name) ||
        !set_config(run, "user.email", g->user_email))
        return git_failed(run, at, "config", 1);
    return !g->cleans_before || clean(run, at);
}

static bool
set_sparse(struct run *run, const struct node *at, const struct git_source *g)
{
    const char *arguments[GIT_ARGS_MAX] = {"sparse-checkout", "set", "--no-cone"};
    size_t n = 3;
    int code;

    if (g->sparse == NULL)
        return true;
    for (size_t i = 0; i < g->sparse->count && n + 1 < GIT_ARGS_MAX; i++)
        arguments[n++] = arena_cstr(&run->arena, g->sparse->at[i].text);
    return git(run, run->directory, NULL, &code, arguments) ||
           git_failed(run, at, "sparse-checkout", code);
}

static bool
check_out(struct run *run, const struct node *at, const struct git_source *g,
          const struct wanted *w, const char **local_out)
{
    const char *commit = arena_format(&run->arena, "%s^{commit}", w->name),
               *local = g->local_branch;
    int code;

    if (local != NULL && (local[0] == '\0' || strcmp(local, "**") == 0))
        local = w->branch;
    *local_out = local;
    if (local != NULL ? !GIT(run, run->directory, NULL, &code, "checkout", "--quiet", "--force",
                             "--no-track", "-B", local, commit)
                      : !GIT(run, run->directory, NULL, &code, "checkout", "--quiet", "--force",
                             "--detach", commit))
        return git_failed(run, at, "checkout", code);
    if (g->cleans_after && !clean(run, at))
        return false;
    if (g->has_lfs && !GIT(run, run->directory, NULL, &code, "lfs", "pull"))
        return git_failed(run, at, "lfs pull", code);
    if (!g->has_submodules)
        return true;
    return GIT(run, run->directory, NULL, &code, "submodule", "--quiet", "update", "--init",
               g->is_recursive ? "--recursive" : "--force") ||
           git_failed(run, at, "submodule update", code);
}

static bool
get_source(struct run *run, const struct node *at, const struct git_source *g, struct map *to)
{
    cleanup(strbuf_done) struct strbuf head = {0};
    const char *local;
    struct wanted w;
    int code;

    if (!get_ready(run, at, g))
        return false;
    run_logf(run, "Fetching %s from %s", g->what, g->url);
    if (!fetch_wanted(run, g, &w, &code))
        return git_failed(run, at, "fetch", code);
    if (!set_sparse(run, at, g) || !check_out(run, at, g, &w, &local))
        return false;
    if (!GIT(run, run->directory, &head, &code, "rev-parse", "HEAD"))
        return git_failed(run, at, "rev-parse", code);
    put(run, to, "GIT_COMMIT", arena_cstr(&run->arena, str_trim(strbuf_str(&head))));
    put(run, to, "GIT_BRANCH",
        w.branch == NULL ? "detached" : arena_format(&run->arena, "origin/%s", w.branch));
    put(run, to, "GIT_LOCAL_BRANCH", local);
    put(run, to, "GIT_URL", g->url);
    return true;
}

bool
workspace_git(struct run *run, const struct node *at, const struct git_source *g, struct map *to)
{
    struct env_layer *outer = run->env, *layer;
    const char *path = NULL;
    struct err err;
    bool ok;

    if (g->what[0] == '-' || g->url[0] == '-' || g->url[0] == '\0' ||
        (g->local_branch != NULL && g->local_branch[0] == '-'))
        return interp_throw(&run->in, at, "AbortException",
                            "a branch or URL cannot be empty or start with '-'");
    if (run->config->in_place && strcmp(run->directory, run->config->workspace) == 0) {
        run_logf(run, "WARNING: %s is not fetched: this build runs in your own directory", g->url);
        return checkout_in_place(run, to);
    }
    if (is_narus(run, g->url) && !is_untrusted(run) && !build_user_may_read(run, g->url, &err))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    layer = run_env_push(run);
    /* The machine's own helper would be asked before the credential that is named here. */
    run_env_set(run, layer, STR("GIT_CONFIG_COUNT"), g->credential != NULL ? STR("1") : STR("0"));
    run_env_set(run, layer, STR("GIT_CONFIG_KEY_0"), STR("credential.helper"));
    run_env_set(run, layer, STR("GIT_CONFIG_VALUE_0"), STR(""));
    ok = (g->credential == NULL || credential_for_git(run, at, layer, g->credential, &path)) &&
         get_source(run, at, g, to);
    credential_file_remove(run, path);
    run->env = outer;
    return ok;
}
