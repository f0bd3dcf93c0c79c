/* SPDX-License-Identifier: MIT */
#include "pipeline/forge/git_remote.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/file.h"
#include "io/process.h"
#include "pipeline/build.h"
#include "pipeline/forge/git_login.h"
#include "pipeline/forge/github.h"

#define GIT_TIMEOUT_MS ((int64_t)60 * 1000)
#define GIT_OUTPUT_MAX ((size_t)4 << 20)
#define ARGS_MAX 12

extern char **environ;

/* Ours and what logs git in; malloc'd, its texts are borrowed. */
static const char **
environment(const struct git_login *login)
{
    size_t count = 0, n = 0;
    const char **env;

    while (environ[count] != NULL)
        count++;
    env = mem_new((count + GIT_LOGIN_VARIABLES + 2) * sizeof(*env));
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "GIT_CONFIG_", 11) != 0 || login->token == NULL)
            env[n++] = environ[i];
    env[n++] = "GIT_TERMINAL_PROMPT=0";
    for (size_t i = 0; login->variables[i] != NULL; i++)
        env[n++] = login->variables[i];
    return env;
}

static bool
run_git_as(const struct git_login *login, const char *const *arguments, struct strbuf *out,
           struct err *err)
{
    cleanup_free const char **env = environment(login);
    const char *argv[ARGS_MAX + 5] = {"git", "-c", "safe.directory=*"};
    struct process_result result = {0};
    size_t n = 3;
    bool ok;

    for (size_t i = 0; arguments[i] != NULL && i < ARGS_MAX; i++)
        argv[n++] = arguments[i];
    argv[n] = NULL;
    const struct process_spec spec = {
        .argv = argv, .env = env, .timeout_ms = GIT_TIMEOUT_MS, .output_limit = GIT_OUTPUT_MAX};
    if (!process_run(&spec, &result, err))
        return false;
    ok = result.exit_code == 0 && !result.timed_out;
    if (!ok)
        err_set(err, ERR_INTERNAL, "git %s: " STR_FMT, arguments[0],
                STR_ARG(str_slice(str_trim(strbuf_str(&result.error)), 0, 600)));
    else if (out != NULL)
        strbuf_add(out, strbuf_str(&result.output));
    process_result_done(&result);
    return ok;
}

#define GIT_AS(login, out, err, ...) \
    run_git_as(login, (const char *const[]){__VA_ARGS__, NULL}, out, err)
#define GIT(out, err, ...) GIT_AS(&(struct git_login){0}, out, err, __VA_ARGS__)

char *
git_remote_path(const char *data_dir, const char *name)
{
    return text_format("%s/git/%s.git", data_dir, name);
}

/* Into single quotes of sh. */
static void
add_quoted(struct strbuf *out, const char *s)
{
    strbuf_add_char(out, '\'');
    for (; *s != '\0'; s++) {
        if (*s == '\'')
            strbuf_add_cstr(out, "'\\''");
        else
            strbuf_add_char(out, *s);
    }
    strbuf_add_char(out, '\'');
}

static bool
write_hook(const char *path, const char *data_dir, const char *name, const char *naru_path,
           struct err *err)
{
    cleanup_free char *hook = text_format("%s/hooks/post-receive", path);
    cleanup(strbuf_done) struct strbuf text = {0};

    strbuf_add_cstr(&text,
                    "#!/bin/sh\n# Written by naru; tells it what was pushed.\nNARU_DATA_DIR=");
    add_quoted(&text, data_dir);
    strbuf_add_cstr(&text, " exec ");
    add_quoted(&text, naru_path);
    strbuf_addf(&text, " git-hook %s\n", name);
    return file_write_atomic(hook, strbuf_str(&text), 0755, err);
}

/* Each build has a user of its own (run/build_user.h), who is to read those of his pipeline. */
static bool
close_to_others(const char *path, struct err *err)
{
    return geteuid() != 0 || chmod(path, 0750) == 0 ||
           err_errno(err, "cannot set the mode of '%s'", path);
}

/* git does not wait for who writes the configuration of the same repository. */
static pthread_mutex_t creating = PTHREAD_MUTEX_INITIALIZER;

static bool
create(const char *path, const char *data_dir, const char *name, const char *naru_path, struct err *err)
{
    cleanup_free char *hooks = text_format("%s/hooks", path);

    if (!file_make_dirs(path, 0755, err) ||
        !GIT(NULL, err, "init", "--quiet", "--bare", "--initial-branch=main", path))
        return err_context(err, "repository '%s'", name);
    /* A build fetches exactly its commit, also when the branch has moved on meanwhile. */
    if (!close_to_others(path, err))
        return false;
    if (!GIT(NULL, err, "-C", path, "config", "uploadpack.allowAnySHA1InWant", "true") ||
        !file_make_dirs(hooks, 0755, err))
        return err_context(err, "repository '%s'", name);
    return write_hook(path, data_dir, name, naru_path, err);
}

bool
git_remote_create(const char *data_dir, const char *name, const char *naru_path, struct err *err)
{
    cleanup_free char *path = git_remote_path(data_dir, name);
    bool ok;

    if (!build_name_is_valid(str_of(name)))
        return err_set(
            err, ERR_VALIDATION,
            "'%s' is not a repository name: a letter or digit, then [a-z0-9._-], at most "
            "63 in all",
            name);
    pthread_mutex_lock(&creating);
    ok = create(path, data_dir, name, naru_path, err);
    pthread_mutex_unlock(&creating);
    return ok;
}

bool
git_hook_line(struct str line, struct git_hook_push *out)
{
    const struct str heads = STR("refs/heads/");
    struct str ref = str_trim(line), before, commit;

    if (!str_split(&ref, ' ', &before) || !str_split(&ref, ' ', &commit) || ref.at == NULL ||
        !str_starts(ref, heads) || !build_commit_is_valid(commit))
        return false;
    *out = (struct git_hook_push){.branch = str_slice(ref, heads.len, ref.len),
                                  .commit = commit,
                                  .before = build_commit_is_valid(before) ? before : STR("")};
    return true;
}

bool
git_remote_heads(const char *url, const char *secrets_dir, const char *forge,
                 void (*call)(void *arg, struct str branch, struct str commit), void *arg,
                 struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup(git_login_done) struct git_login login = {0};
    struct str rest, line, commit;

    if (url[0] == '-')
        return err_set(err, ERR_VALIDATION, "'%s' is not a repository", url);
    git_login_find(secrets_dir, forge, url, &login);
    if (!GIT_AS(&login, &text, err, "ls-remote", "--heads", url))
        return false;
    rest = strbuf_str(&text);
    while (str_split(&rest, '\n', &line)) {
        if (!str_split(&line, '\t', &commit) || !str_starts(line, STR("refs/heads/")))
            continue;
        line = str_slice(line, 11, line.len);
        if (build_branch_is_valid(line) && build_commit_is_valid(commit))
            call(arg, line, commit);
    }
    return true;
}

struct resolve {
    const char *branch;
    char *commit;
};

static void
resolve_one(void *arg, struct str branch, struct str commit)
{
    struct resolve *r = arg;

    if (str_is(branch, r->branch))
        (void)text_copy(r->commit, 41, commit);
}

bool
git_remote_resolve(const char *url, const char *secrets_dir, const char *forge,
                   const char *branch, char commit[static 41], struct err *err)
{
    struct resolve r = {branch, commit};

    commit[0] = '\0';
    if (!git_remote_heads(url, secrets_dir, forge, resolve_one, &r, err))
        return false;
    if (commit[0] == '\0')
        return err_set(err, ERR_NOT_FOUND, "there is no branch '%s'", branch);
    return true;
}

bool
git_remote_ref(const char *url, const char *secrets_dir, const char *forge, const char *ref,
               char commit[static 41], struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup(git_login_done) struct git_login login = {0};
    struct str rest, line;

    if (url[0] == '-' || ref[0] == '-')
        return err_set(err, ERR_VALIDATION, "'%s' is not a repository", url);
    git_login_find(secrets_dir, forge, url, &login);
    if (!GIT_AS(&login, &text, err, "ls-remote", url, ref))
        return false;
    rest = strbuf_str(&text);
    if (str_split(&rest, '\n', &line) && str_split(&line, '\t', &rest) &&
        build_commit_is_valid(rest) && text_copy(commit, 41, rest))
        return true;
    return err_set(err, ERR_NOT_FOUND, "there is no ref '%s'", ref);
}

static void
take_line(struct str *rest, char *to, size_t size)
{
    struct str line = {0};
    cleanup_free char *text = str_split(rest, '\n', &line) ? str_dup(line) : NULL;

    github_copy_line(to, size, text);
}

bool
git_remote_describe(const char *path, const char *commit, char message[static 512],
                    char author[static 128], struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str rest;

    message[0] = author[0] = '\0';
    if (!GIT(&text, err, "-C", path, "log", "-1", "--format=%an%n%s", commit, "--"))
        return false;
    rest = strbuf_str(&text);
    take_line(&rest, author, 128);
    take_line(&rest, message, 512);
    return true;
}
