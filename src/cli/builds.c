/* SPDX-License-Identifier: MIT */
#include "cli/builds.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/uri.h"

#define POLL_MS 100
#define OUTAGE_MAX_MS 30000

struct json *
builds_ask(struct client *client, const char *method, const char *path, const struct json *body,
           struct err *err)
{
    cleanup(client_answer_done) struct client_answer answer = {0};

    if (!client_http(client, method, path, body, &answer, err))
        return NULL;
    if (answer.code[0] != '\0') {
        client_refused(&answer, err);
        return NULL;
    }
    return answer.body != NULL ? TAKE(answer.body) : json_object();
}

bool
builds_make_repository(struct client *client, const char *name, char *path, size_t size,
                       bool *is_new, struct err *err)
{
    cleanup_json struct json *body = json_object(), *before = NULL, *answer = NULL;

    before = builds_ask(client, "GET", "/naru/pipelines", NULL, err);
    if (before == NULL)
        return err_context(err, "listing the pipelines");
    *is_new = json_find(json_get(before, "pipelines"), "name", name) == NULL;
    json_set(body, "name", json_text(name));
    /* brings an existing one up to date */
    answer = builds_ask(client, "POST", "/naru/repositories", body, err);
    if (answer == NULL)
        return err_context(err, "making the git repository '%s'", name);
    if (!text_copy(path, size, str_of(json_get_cstr(answer, "url", ""))) || path[0] == '\0')
        return err_set(err, ERR_INTERNAL, "the answer names no URL for the repository '%s'", name);
    return true;
}

struct json *
builds_find(struct client *client, const char *pipeline, const char *commit, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};
    cleanup_json struct json *answer = NULL;
    const struct json *builds;

    strbuf_add_cstr(&path, "/naru/builds?pipeline=");
    uri_encode(&path, str_of(pipeline), false);
    answer = builds_ask(client, "GET", strbuf_cstr(&path), NULL, err);
    builds = json_get(answer, "builds");
    for (size_t i = 0; i < json_size(builds); i++)
        if (commit == NULL || strcmp(json_get_cstr(json_at(builds, i), "commit", ""), commit) == 0)
            return json_ref(json_at(builds, i));
    return NULL;
}

void
builds_tell_waiting(const struct json *builds)
{
    for (size_t i = 0; i < json_size(builds); i++) {
        const struct json *b = json_at(builds, i);
        const char *what = json_get_cstr(b, "waitingFor", "");
        if (what[0] != '\0')
            printf("%s#%lld waits: %s\n", json_get_cstr(b, "pipeline", ""),
                   (long long)json_get_i64(b, "number", 0), what);
    }
}

static char *
build_path(const char *pipeline, int64_t number, const char *rest)
{
    cleanup(strbuf_done) struct strbuf path = {0};

    strbuf_add_cstr(&path, "/naru/builds/");
    uri_encode(&path, str_of(pipeline), false);
    strbuf_addf(&path, "/%lld%s", (long long)number, rest);
    return strbuf_take(&path);
}

struct json *
builds_get(struct client *client, const char *pipeline, int64_t number, struct err *err)
{
    cleanup_free char *path = build_path(pipeline, number, "");

    return builds_ask(client, "GET", path, NULL, err);
}

bool
builds_log(struct client *client, const char *pipeline, int64_t number, struct strbuf *out,
           struct err *err)
{
    cleanup_free char *path = build_path(pipeline, number, "/log");

    return client_http_text(client, path, out, err);
}

const char *
build_result(const struct json *build)
{
    return json_get_cstr(build, "result", "");
}

bool
build_is_over(const struct json *build)
{
    return build_result(build)[0] != '\0';
}

static void
tell_stages(const struct json *build, size_t *told, struct progress *progress)
{
    const struct json *stages = json_get(build, "stages");

    for (; *told < json_size(stages); (*told)++) {
        const struct json *stage = json_at(stages, *told);
        const char *state = json_get_cstr(stage, "status", "");

        if (strcmp(state, "RUNNING") == 0 || state[0] == '\0')
            return;
        progress_line(progress, "stage", "%-10s %-8s %lld ms", json_get_cstr(stage, "name", ""),
                      state, (long long)json_get_i64(stage, "tookMs", 0));
    }
}

struct json *
builds_follow(struct client *client, const char *pipeline, int64_t number,
              struct progress *progress, int64_t timeout_ms, struct err *err)
{
    const int64_t end_ms = clock_monotonic_ms() + timeout_ms;
    int64_t answered_ms = clock_monotonic_ms();
    size_t told = 0;

    for (;;) {
        cleanup_json struct json *build = NULL;

        *err = (struct err){0};
        build = builds_get(client, pipeline, number, err);
        if (build != NULL) {
            answered_ms = clock_monotonic_ms();
            tell_stages(build, &told, progress);
            if (build_is_over(build))
                return TAKE(build);
        } else if (cli_exit_code(err) != EXIT_INFRASTRUCTURE ||
                   clock_monotonic_ms() - answered_ms > OUTAGE_MAX_MS) {
            return NULL;
        }
        if (clock_monotonic_ms() > end_ms) {
            err_set(err, ERR_TIMEOUT, "build #%lld of %s is not over yet", (long long)number,
                    pipeline);
            return NULL;
        }
        clock_sleep_ms(POLL_MS);
    }
}
