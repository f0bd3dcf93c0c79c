/* SPDX-License-Identifier: MIT */
/* steps_flow.c - sh, and the steps that decide what runs and for how long. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "io/file.h"
#include "pipeline/run/credentials.h"
#include "pipeline/run/build_group.h"
#include "pipeline/run/durable.h"
#include "pipeline/run/journal.h"

#define CAPTURE_MAX ((size_t)16 << 20)

struct shell {
    struct run *run;
    bool captures;
    struct strbuf captured;
    bool overflow;
};

static void
on_shell_output(void *arg, struct str data, bool is_error)
{
    struct shell *sh = arg;

    if (!sh->captures || is_error) {
        run_log(sh->run, data);
        return;
    }
    run_note_output(sh->run);
    if (sh->captured.len + data.len > CAPTURE_MAX)
        sh->overflow = true;
    else
        strbuf_add(&sh->captured, data);
}

static bool
write_file(const char *path, struct str text, unsigned mode, struct err *err)
{
    cleanup_close int fd = -1;

    return file_open_plain(path, O_WRONLY | O_CREAT | O_TRUNC, mode, &fd, err) &&
           file_write_all(fd, text, err);
}

/* A container may have another user. */
static unsigned
script_mode(const struct run *run, bool direct)
{
    if (run->launcher != NULL)
        return direct ? 0755 : 0644;
    return direct ? 0700 : 0600;
}

static bool
has_text(const char *path, struct str text)
{
    cleanup(strbuf_done) struct strbuf there = {0};

    return file_exists(path) && file_read_plain(path, text.len, &there, NULL) &&
           str_equal(strbuf_str(&there), text);
}

/* A shell that an earlier naru started may be about to open the file, or in the midst of it, and takes
 * the end of what it finds for the end of the script: there is never less than all of it. */
static bool
put_script(const char *path, struct str script, unsigned mode, struct err *err)
{
    cleanup_free char *fresh = NULL;

    if (has_text(path, script))
        return true;
    fresh = text_format("%s.new", path);
    return write_file(fresh, script, mode, err) &&
           (rename(fresh, path) == 0 || err_errno(err, "cannot rename '%s'", fresh));
}

/* The script as a file beside the workspace, where a container sees it, too; its name is in the
 * arena. */
static const char *
write_script(struct step_call *s, struct str script)
{
    struct run *run = s->run;
    const char *folder = arena_format(&run->arena, "%s@tmp", run->workspace);
    const char *path = arena_format(&run->arena, "%s/script-%s.sh", folder, s->id);
    bool direct = str_starts(script, STR("#!"));
    struct err err;
    USER_ACTS(run);

    if (file_make_dirs(folder, 0700, &err) &&
        put_script(path, script, script_mode(run, direct), &err))
        return path;
    step_fail(s, "%s", err.message);
    return NULL;
}

static bool
shell_result(struct step_call *s, struct shell *sh, const struct durable_result *result)
{
    bool wants_status = step_truth(s, "returnStatus", false);

    run_log_flush(s->run);
    if (!result->left)
        build_group_tell(s->run, s->folder);
    if (result->interrupted || result->left) {
        if (!run_poll(s->in, s->at))
            return false;
        return step_fail(s, "the script was interrupted");
    }
    if (sh->overflow)
        return step_fail(s, "the output of the script is larger than %zu MiB", CAPTURE_MAX >> 20);
    if (wants_status) {
        *s->out = value_int(result->exit_code);
        return true;
    }
    if (result->exit_code != 0) {
        run_log(s->run, strbuf_str(&sh->captured));
        run_log_flush(s->run);
        return step_fail(s, "script returned exit code %d", result->exit_code);
    }
    if (sh->captures)
        *s->out = value_text(arena_dup(&s->run->arena, strbuf_str(&sh->captured)));
    return true;
}

/* With the cookie that Jenkins gives the processes of a step; the same when the build is taken up. */
static const char *const *
marked_env(struct step_call *s, const char **mark_out)
{
    struct run *run = s->run;
    struct env_layer *outer = run->env, *layer = run_env_push(run);
    const char *cookie = arena_format(&run->arena, "durable-%s-%s", run->config->cookie, s->id);
    const char *const *env;

    run_env_set(run, layer, STR("JENKINS_SERVER_COOKIE"), str_of(cookie));
    env = run_env_list(run);
    run->env = outer;
    *mark_out = arena_format(&run->arena, "JENKINS_SERVER_COOKIE=%s", cookie);
    return env;
}

/* A script with an interpreter of its own is made anew by a process that has no others: what naru wrote is
 * still open for writing in whatever it starts in that moment, and not to be executed (ETXTBSY). */
#define MADE_ANEW "cp -p \"$0\" \"$0.run\" && mv -f \"$0.run\" \"$0\"; exec \"$0\""
static const char direct_shell[] = MADE_ANEW;
static const char merged_direct_shell[] = "exec 2>&1; " MADE_ANEW;

static bool
run_script(struct step_call *s, struct shell *sh, const char *path, bool direct,
           struct durable_result *result, struct err *err)
{
    struct run *run = s->run;
    const char *const shell_argv[] = {"sh", "-xe", path, NULL};
    const char *const direct_argv[] = {"sh", "-c", direct_shell, path, NULL};
    /* docker exec carries stdout and stderr apart; their order would be lost. */
    const char *const merged_argv[] = {"sh", "-c", "exec \"$0\" \"$@\" 2>&1", "sh", "-xe",
                                       path, NULL};
    const char *const merged_direct_argv[] = {"sh", "-c", merged_direct_shell, path, NULL};
    const bool merges = run->launcher != NULL && !sh->captures;
    const char *const *argv = merges   ? (direct ? merged_direct_argv : merged_argv)
                              : direct ? direct_argv
                                       : shell_argv;
    const char *mark, *const *env = marked_env(s, &mark);

    s->folder = run_state_path(run, "sh", s->id);
    const struct durable_spec spec = {
        .folder = s->folder,
        .argv = run->launcher != NULL ? run->launcher->wrap(run, run->launcher, argv, env) : argv,
        .env = env,
        .directory = run->directory,
        .mark = mark,
        .captures = sh->captures,
        .is_lost = journal_is_lost(run, s->id, s->folder),
        .on_output = on_shell_output,
        .arg = sh,
    };

    /* Background processes go on until the build ends, and write on. */
    return durable_run(run, &spec, result, err);
}

static bool
make_directory(struct run *run, struct err *err)
{
    USER_ACTS(run);

    return file_make_dirs(run->directory, 0755, err);
}

static void
remove_script(struct run *run, const char *path)
{
    USER_ACTS(run);

    (void)unlink(path);
}

bool
step_sh(struct step_call *s)
{
    struct run *run = s->run;
    struct str script = step_text(s, "script", "");
    struct shell sh = {.run = run, .captures = step_truth(s, "returnStdout", false)};
    struct durable_result result = {0};
    const char *path;
    struct err err;
    bool ok;

    if (!step_needs_workspace(s))
        return false;
    if (sh.captures && step_truth(s, "returnStatus", false))
        return step_fail(s, "sh takes either returnStdout or returnStatus, not both");
    if (str_trim(script).len == 0)
        run_logf(run, "WARNING: the script of 'sh' is empty");
    credential_warn(run, "sh", script);
    if (!make_directory(run, &err))
        return step_fail(s, "%s", err.message);
    path = write_script(s, script);
    if (path == NULL)
        return false;
    run_log_flush(run);
    ok = run_script(s, &sh, path, str_starts(script, STR("#!")), &result, &err);
    if (!result.left)
        remove_script(run, path);
    ok = ok ? shell_result(s, &sh, &result) : step_fail(s, "%s", err.message);
    strbuf_done(&sh.captured);
    return ok;
}

static bool
step_echo(struct step_call *s)
{
    struct value *v = step_value(s, "message");
    cleanup(strbuf_done) struct strbuf text = {0};

    if (v == NULL)
        strbuf_add_cstr(&text, "null");
    else if (!interp_format(s->in, s->at, *v, INTERP_TEXT_MAX, &text))
        return false;
    strbuf_add_char(&text, '\n');
    run_log_flush(s->run);
    run_log(s->run, strbuf_str(&text));
    return true;
}

static bool
step_print(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (s->args->count > 0 &&
        !interp_format(s->in, s->at, s->args->at[0], INTERP_TEXT_MAX, &text))
        return false;
    strbuf_add_char(&text, '\n');
    run_log(s->run, strbuf_str(&text));
    return true;
}

static bool
step_error(struct step_call *s)
{
    return step_fail(s, STR_FMT, STR_ARG(step_text(s, "message", "")));
}

static bool
step_unstable(struct step_call *s)
{
    run_logf(s->run, "WARNING: " STR_FMT, STR_ARG(step_text(s, "message", "")));
    run_worsen(s->run, RESULT_UNSTABLE);
    run_mark(s->run, RESULT_UNSTABLE);
    return true;
}

/* Milliseconds of `time` in `unit`; -1 on a unit that does not exist. */
static int64_t
duration_ms(const struct step_call *s, const char *unit)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {
        {"NANOSECONDS", 0}, {"MICROSECONDS", 0}, {"MILLISECONDS", 1}, {"SECONDS", 1000},
        {"MINUTES", 60000}, {"HOURS", 3600000},  {"DAYS", 86400000},
    };
    struct str given = step_text(s, "unit", unit);
    int64_t time = step_int(s, "time", 0);

    if (time < 0)
        time = 0;
    if (time > 1000000000)
        time = 1000000000;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++)
        if (str_is(given, units[i].name))
            return time * units[i].ms;
    step_fail(s, "'" STR_FMT "' is not a unit of time; use SECONDS, MINUTES, HOURS ...",
              STR_ARG(given));
    return -1;
}

/* Of a time that began with the step, which may have been before naru started. */
static int64_t
left_ms(const struct step_call *s, int64_t ms)
{
    int64_t gone_ms = clock_wall_ms() - journal_time_ms(s->run, s->id);

    return gone_ms <= 0 ? ms : gone_ms < ms ? ms - gone_ms : 0;
}

static bool
step_sleep(struct step_call *s)
{
    int64_t ms = duration_ms(s, "SECONDS");

    if (ms < 0)
        return false;
    run_logf(s->run, "Sleeping for %lld s", (long long)(ms / 1000));
    return run_sleep(s->run, s->at, left_ms(s, ms));
}

static bool
step_timeout(struct step_call *s)
{
    struct run *run = s->run;
    struct deadline d = {.outer = run->deadlines};
    int64_t ms = duration_ms(s, "MINUTES");
    bool ok;

    if (ms < 0)
        return false;
    d.at_ms = clock_monotonic_ms() + left_ms(s, ms);
    if (step_truth(s, "activity", false)) {
        d.activity_ms = ms > 0 ? ms : 1;
        d.last_output_ms = clock_monotonic_ms();
    }
    run_logf(run, "Timeout set to expire in %lld s", (long long)(ms / 1000));
    run->deadlines = &d;
    ok = s->body.run(run, s->body.arg, s->out);
    run->deadlines = d.outer;
    run_forget_fired(run, &d);
    if (!ok && s->in->completion == COMPLETION_THROW && s->in->thrown->timeout == &d) {
        s->in->thrown->timeout = NULL; /* `d` dies here */
        s->in->thrown->is_final = false;
    }
    return ok;
}

static bool
step_retry(struct step_call *s)
{
    int64_t count = step_int(s, "count", 1);

    for (int64_t attempt = 1;; attempt++) {
        struct exception *e;
        if (s->body.run(s->run, s->body.arg, s->out))
            return true;
        if (s->in->completion != COMPLETION_THROW || attempt >= count || s->in->thrown->is_final)
            return false;
        /* An abort is meant; a timeout set inside the block, or the result of another build, counts as a failure of it. */
        if (s->in->thrown->interruption != INTERRUPTED_NOT && (s->run->abort_fired || run_is_interrupted(s->run, s->in->thrown)))
            return false;
        e = interp_catch(s->in);
        run_log_error(s->run, e);
        run_logf(s->run, "Retrying");
    }
}

static bool
parse_result(struct step_call *s, const char *name, enum build_result fallback,
             enum build_result *out)
{
    const struct value *v = step_value(s, name);

    *out = fallback;
    if (v == NULL)
        return true;
    if (!build_result_parse(value_to_text(&s->run->arena, *v), out))
        return step_fail(s, "'" STR_FMT "' is not a build result",
                         STR_ARG(value_to_text(&s->run->arena, *v)));
    return true;
}

/* Shared by catchError and warnError. */
static bool
catch_with(struct step_call *s, enum build_result build, enum build_result stage)
{
    struct exception *e;

    if (s->body.run(s->run, s->body.arg, s->out))
        return true;
    if (s->in->completion != COMPLETION_THROW || s->in->thrown->is_final)
        return false;
    if (run_is_interrupted(s->run, s->in->thrown) && !step_truth(s, "catchInterruptions", true))
        return false;
    e = interp_catch(s->in);
    *s->out = value_null();
    if (step_value(s, "message") != NULL)
        run_logf(s->run, STR_FMT, STR_ARG(step_text(s, "message", "")));
    run_log_error(s->run, e);
    if (e->interruption != INTERRUPTED_NOT)
        build = stage = run_error_result(e);
    if (build != RESULT_SUCCESS)
        run_worsen(s->run, build);
    if (stage != RESULT_SUCCESS)
        run_mark(s->run, stage);
    return true;
}

static bool
step_catch_error(struct step_call *s)
{
    enum build_result build, stage;

    return parse_result(s, "buildResult", RESULT_FAILURE, &build) &&
           parse_result(s, "stageResult", RESULT_SUCCESS, &stage) && catch_with(s, build, stage);
}

static bool
step_warn_error(struct step_call *s)
{
    return catch_with(s, RESULT_UNSTABLE, RESULT_UNSTABLE);
}

/* Unless something was put there since. */
static void
remove_deleted(struct run *run, const struct dir_block *block)
{
    USER_ACTS(run);

    if (block->is_deleted && strcmp(block->directory, run->workspace) != 0)
        (void)rmdir(block->directory);
}

static bool
step_dir(struct step_call *s)
{
    struct run *run = s->run;
    const char *before = run->directory;
    struct dir_block block = {0}, *around = run->block;
    struct err err;
    bool ok;

    if (!step_needs_workspace(s))
        return false;
    block.directory = run->directory = step_path(s, step_text(s, "path", ""));
    run->block = &block;
    run_logf(run, "Running in %s", run->directory);
    ok = make_directory(run, &err) || step_fail(s, "%s", err.message);
    ok = ok && s->body.run(run, s->body.arg, s->out);
    remove_deleted(run, &block);
    run->block = around;
    run->directory = before;
    return ok;
}

static bool
step_with_env(struct step_call *s)
{
    struct run *run = s->run;
    struct env_layer *outer = run->env, *layer;
    const struct value *list = step_value(s, "overrides");
    bool ok = true;

    if (list == NULL || list->type != V_LIST)
        return step_fail(s, "withEnv needs a list of 'NAME=value'");
    layer = run_env_push(run);
    for (size_t i = 0; i < list->list->count && ok; i++)
        ok = run_env_override(run, s->at, layer, value_to_text(&run->arena, list->list->at[i]));
    ok = ok && s->body.run(run, s->body.arg, s->out);
    run->env = outer;
    return ok;
}

static bool
step_block(struct step_call *s)
{
    if (s->body.run == NULL)
        return interp_throw(s->in, s->at, "IllegalArgumentException",
                            "'" STR_FMT "' needs a block in braces", STR_ARG(s->name));
    return s->body.run(s->run, s->body.arg, s->out);
}

static bool
step_timestamps(struct step_call *s)
{
    bool ok;

    run_log_flush(s->run);
    s->run->timestamps++;
    ok = s->body.run(s->run, s->body.arg, s->out);
    run_log_flush(s->run);
    s->run->timestamps--;
    return ok;
}

static bool
step_wait_until(struct step_call *s)
{
    int64_t wait_ms = step_int(s, "initialRecurrencePeriod", 250);

    for (;;) {
        struct value v;
        if (!s->body.run(s->run, s->body.arg, &v))
            return false;
        if (value_truth(v))
            return true;
        if (!step_truth(s, "quiet", false))
            run_logf(s->run, "Will try again after %lld ms", (long long)wait_ms);
        if (!run_sleep(s->run, s->at, wait_ms))
            return false;
        wait_ms = wait_ms * 6 / 5;
        if (wait_ms > 15000)
            wait_ms = 15000;
    }
}

static bool
step_is_unix(struct step_call *s)
{
    *s->out = value_bool(true);
    return true;
}

step_function *
step_flow_find(struct str name)
{
    static const struct step_row table[] = {
        {"sh", step_sh},
        {"echo", step_echo},
        {"println", step_print},
        {"print", step_print},
        {"error", step_error},
        {"unstable", step_unstable},
        {"sleep", step_sleep},
        {"timeout", step_timeout},
        {"retry", step_retry},
        {"catchError", step_catch_error},
        {"warnError", step_warn_error},
        {"dir", step_dir},
        {"withEnv", step_with_env},
        {"script", step_block},
        {"ansiColor", step_block},
        {"timestamps", step_timestamps},
        {"waitUntil", step_wait_until},
        {"isUnix", step_is_unix},
    };

    return step_row_find(table, ARRAY_COUNT(table), name);
}
