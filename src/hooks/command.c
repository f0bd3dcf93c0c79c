/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hooks/internal.h"
#include "io/process.h"
#include "model/arn.h"
#include "model/hook_target.h"

#define TAIL_SIZE 4096 /* of the output */
#define LINES_KEPT 5
#define ENV_MAX 16

struct run {
    hook_cancelled *is_cancelled;
    void *arg;
    char tail[TAIL_SIZE];
    size_t tail_len;
};

/* ---- which ---- */

/* The directory is the operator's; what stands there under that name is run, if nobody else could
 * have put it there and it is no way to something outside. */
static bool
find_command(const char *dir, const char *target, char path[static PATH_MAX], struct err *err)
{
    const char *name = target + strlen(HOOK_COMMAND_PREFIX);
    char whole[PATH_MAX]; /* it will run there, so a relative name would lead elsewhere */
    struct stat st;

    if (!hook_command_name_is_valid(str_of(name)))
        return err_set(err, ERR_INVALID_PARAMETER, "it is no name of a command");
    if (realpath(dir, whole) == NULL || stat(whole, &st) < 0)
        return err_errno(err, "there is no directory of hooks");
    if ((st.st_mode & S_IWOTH) != 0)
        return err_set(err, ERR_INVALID_PARAMETER, "everybody may write to the directory of hooks");
    if (snprintf(path, PATH_MAX, "%s/%s", whole, name) >= PATH_MAX)
        return err_set(err, ERR_INVALID_PARAMETER, "the path of the directory is too long");
    if (lstat(path, &st) < 0)
        return err_errno(err, "it is not in the directory of hooks");
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID_PARAMETER, "it is not a regular file");
    if ((st.st_mode & S_IWOTH) != 0)
        return err_set(err, ERR_INVALID_PARAMETER, "everybody may write to it");
    if (access(path, X_OK) < 0)
        return err_errno(err, "it is not executable");
    return true;
}

/* ---- what it is told ---- */

static void
add_env(char **env, int *count, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0')
        env[(*count)++] = text_format("%s=%s", name, value);
}

static void
make_env(const struct hook_call *call, char *env[static ENV_MAX])
{
    static const char *const handed_on[] = {"PATH", "HOME", "LANG", "TZ"};
    const struct json *p = call->payload, *d = json_get(p, "executionDetails");
    cleanup_free char *details = json_format(json_get(p, "hookDetails"));
    char attempt[16];
    int n = 0;

    for (size_t i = 0; i < ARRAY_COUNT(handed_on); i++)
        add_env(env, &n, handed_on[i], getenv(handed_on[i]));
    snprintf(attempt, sizeof(attempt), "%d", call->attempt);
    add_env(env, &n, "NARU_EXECUTION_ID", json_get_cstr(p, "executionId", ""));
    add_env(env, &n, "NARU_ATTEMPT", attempt);
    add_env(env, &n, "NARU_LIFECYCLE_STAGE", json_get_cstr(p, "lifecycleStage", ""));
    add_env(env, &n, "NARU_SERVICE_DEPLOYMENT_ARN", json_get_cstr(p, "resourceArn", ""));
    add_env(env, &n, "NARU_SERVICE_ARN", json_get_cstr(d, "serviceArn", ""));
    add_env(env, &n, "NARU_TARGET_SERVICE_REVISION_ARN",
            json_get_cstr(d, "targetServiceRevisionArn", ""));
    if (json_get(p, "hookDetails") != NULL)
        add_env(env, &n, "NARU_HOOK_DETAILS", details);
}

/* ---- what it says ---- */

static void
keep_tail(void *arg, struct str data, bool is_error)
{
    struct run *run = arg;
    const struct str end =
        str_slice(data, data.len > TAIL_SIZE ? data.len - TAIL_SIZE : 0, data.len);
    const size_t room = TAIL_SIZE - end.len;
    const size_t keep = run->tail_len < room ? run->tail_len : room;

    (void)is_error;
    memmove(run->tail, run->tail + run->tail_len - keep, keep);
    memcpy(run->tail + keep, end.at, end.len);
    run->tail_len = keep + end.len;
}

static struct str
take_last_line(struct str *text)
{
    const ptrdiff_t at = str_rindex(*text, '\n');
    const struct str line = str_slice(*text, (size_t)(at + 1), text->len);

    *text = str_slice(*text, 0, at < 0 ? 0 : (size_t)at);
    return str_trim(line);
}

/* Bytes that no reader of an event should get: control characters, and UTF-8 that was cut apart. */
static void
make_printable(char *text)
{
    if (json_is_utf8(str_of(text))) {
        for (char *p = text; *p != '\0'; p++)
            *p = (unsigned char)*p < ' ' || *p == 127 ? ' ' : *p;
        return;
    }
    for (char *p = text; *p != '\0'; p++)
        *p = (unsigned char)*p < ' ' || (unsigned char)*p > '~' ? '?' : *p;
}

void
hook_last_lines(struct str text, char *out, size_t size)
{
    struct str lines[LINES_KEPT];
    size_t used = 0, total = 0;
    int count = 0;

    while (count < LINES_KEPT && text.len > 0) {
        const struct str line = take_last_line(&text);
        if (line.len == 0)
            continue;
        if (total + line.len + 2 >= size) { /* of a long one, its end */
            if (count == 0)
                lines[count++] = str_slice(line, line.len - (size - 1), line.len);
            break;
        }
        total += line.len + 2;
        lines[count++] = line;
    }
    out[0] = '\0';
    while (count > 0) {
        const struct str line = lines[--count];
        used += (size_t)snprintf(out + used, size - used, STR_FMT "%s", STR_ARG(line),
                                 count > 0 ? "; " : "");
    }
    make_printable(out);
}

static void
say(struct hook_verdict *out, const struct run *run, const char *what)
{
    char lines[HOOK_DETAIL_SIZE - 100];

    hook_last_lines((struct str){run->tail, run->tail_len}, lines, sizeof(lines));
    snprintf(out->detail, sizeof(out->detail), "%s%s%s", what, lines[0] != '\0' ? ": " : "", lines);
}

/* ---- all of it ---- */

static bool
is_cancelled(void *arg)
{
    const struct run *run = arg;

    return run->is_cancelled(run->arg);
}

static void
judge(const struct process_result *result, const struct run *run, struct hook_verdict *out)
{
    char what[64];

    if (result->timed_out) {
        say(out, run, "its time was over");
    } else if (result->exit_code != 0) {
        snprintf(what, sizeof(what), "exit code %d", result->exit_code);
        say(out, run, what);
    } else {
        out->outcome = OUTCOME_SUCCEEDED;
    }
}

void
hook_command_run(const char *commands_dir, const struct hook_call *call, hook_cancelled *cancelled,
                 void *arg, struct hook_verdict *out)
{
    char path[PATH_MAX], *env[ENV_MAX] = {NULL};
    const char *argv[] = {path, NULL};
    cleanup_free char *input = json_format(call->payload);
    struct run run = {.is_cancelled = cancelled, .arg = arg};
    struct process_result result = {0};
    struct err err = {0};
    const struct process_spec spec = {
        .argv = argv,
        .env = (const char *const *)env,
        .directory = commands_dir,
        .input = str_of(input),
        .timeout_ms = call->timeout_ms,
        .merge_stderr = true,
        .on_output = keep_tail,
        .is_cancelled = is_cancelled,
        .arg = &run,
    };

    out->outcome = OUTCOME_FAILED;
    make_env(call, env);
    if (find_command(commands_dir, call->target, path, &err) && process_run(&spec, &result, &err))
        judge(&result, &run, out);
    else
        snprintf(out->detail, sizeof(out->detail), "it could not be run: %.400s", err.message);
    process_result_done(&result);
    for (int i = 0; i < ENV_MAX; i++)
        free(env[i]);
}
