/* SPDX-License-Identifier: MIT */
/* A task in words, its containers, what its checks and the balancer said, and the end of its logs. */
#include "cli/explain_parts.h"
#include <dirent.h>
#include "agent/log_tail.h"

static double
time_of(const struct json *task, const char *member)
{
    return json_f64(json_get(task, member), 0);
}

/* Was it so short that it was never seen RUNNING? */
static bool
has_exited(const struct json *task)
{
    const struct json *list = json_get(task, "containers");

    for (size_t i = 0; i < json_size(list); i++) {
        if (json_get(json_at(list, i), "exitCode") != NULL)
            return true;
    }
    return false;
}

char *
explain_task_story(const struct json *task)
{
    const char *status = json_get_cstr(task, "lastStatus", ""),
               *group = json_get_cstr(task, "group", "");
    const char *reason = json_get_cstr(task, "stoppedReason", "");
    const double started = time_of(task, "startedAt"), stopped = time_of(task, "stoppedAt");
    cleanup(strbuf_done) struct strbuf out = {0};

    strbuf_addf(&out, "Task %s (%s, %s) ", arn_tail(json_get_cstr(task, "taskArn", "")),
                arn_tail(json_get_cstr(task, "taskDefinitionArn", "")), group);
    if (reason[0] == '\0') {
        strbuf_addf(&out, "is %s.", status);
        return text_dup(strbuf_cstr(&out));
    }
    if (stopped == 0)
        strbuf_add_cstr(&out, "is being stopped");
    else if (started != 0)
        strbuf_addf(&out, "ran for %.1f s and stopped", stopped - started);
    else if (has_exited(task))
        strbuf_add_cstr(&out, "ran too shortly to be seen running, and stopped");
    else
        strbuf_add_cstr(&out, "never ran");
    strbuf_addf(&out, ": %s%s%s (%s)", cli_colour(COLOUR_BOLD), reason, cli_colour(COLOUR_NONE),
                json_get_cstr(task, "stopCode", "no code"));
    return text_dup(strbuf_cstr(&out));
}

void
explain_print_containers(const struct json *task)
{
    const struct json *list = json_get(task, "containers");

    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *c = json_at(list, i), *code = json_get(c, "exitCode");
        const char *reason = json_get_cstr(c, "reason", "");

        printf("  container %s: %s", json_get_cstr(c, "name", ""),
               json_get_cstr(c, "lastStatus", ""));
        if (code != NULL)
            printf(", exit code %lld", (long long)json_i64(code, 0));
        if (json_i64(code, 0) > 128)
            printf(" (signal %lld)", (long long)json_i64(code, 0) - 128);
        printf("%s%s\n", reason[0] != '\0' ? ", " : "", reason);
    }
}

void
explain_print_evidence(const struct json *post)
{
    const struct json *targets = json_get(post, "targets");
    struct str rest = str_of(json_get_cstr(post, "healthLog", "")), line;

    if (rest.len > 0)
        puts("Health checks, newest first:");
    while (rest.len > 0 && str_split(&rest, '\n', &line))
        if (line.len > 0)
            printf("  " STR_FMT "\n", STR_ARG(line));
    if (json_size(targets) > 0)
        puts("Load balancer, when the task was taken out of traffic:");
    for (size_t i = 0; i < json_size(targets); i++) {
        const struct json *t = json_at(targets, i);
        const char *description = json_get_cstr(t, "description", "");

        printf("  %s:%lld in %s was %s%s%s%s\n", json_get_cstr(t, "targetId", ""),
               (long long)json_get_i64(t, "port", 0), json_get_cstr(t, "targetGroupArn", ""),
               json_get_cstr(t, "state", ""), description[0] != '\0' ? ": " : "", description,
               json_get_bool(t, "wasHealthy", false) ? "" : "; it had never been healthy");
    }
}

/* ---- the end of the logs ---- */

static void
add_lines(struct json *log, const char *path, struct str container, int64_t lines)
{
    cleanup(strbuf_done) struct strbuf tail = {0};
    struct str rest, line;

    log_tail_read(path, lines, &tail);
    rest = strbuf_str(&tail);
    while (str_split(&rest, '\n', &line)) {
        cleanup_free char *text =
            text_format(STR_FMT ": " STR_FMT, STR_ARG(container), STR_ARG(line));
        if (line.len > 0 || rest.len > 0)
            json_append(log, json_text(text));
    }
}

/* Each container's, of one folder; false if there is nothing. */
static bool
read_folder(struct json *log, const char *folder, int64_t lines)
{
    DIR *dir = opendir(folder);

    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        const struct str name = str_of(e->d_name);
        cleanup_free char *path = text_format("%s/%s", folder, e->d_name);
        if (str_ends(name, STR(".log")))
            add_lines(log, path, str_slice(name, 0, name.len - 4), lines);
    }
    if (dir != NULL)
        closedir(dir);
    return json_size(log) > 0;
}

struct json *
explain_log(const char *data_dir, const char *task_id, int64_t lines)
{
    cleanup_free char *whole = text_format("%s/log/tasks/%s", client_data_dir(data_dir), task_id);
    cleanup_free char *kept = text_format("%s/log/tails/%s", client_data_dir(data_dir), task_id);
    struct json *log = json_array();

    (void)!(read_folder(log, whole, lines) || read_folder(log, kept, lines));
    return log;
}
