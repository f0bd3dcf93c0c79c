/* SPDX-License-Identifier: MIT */
/* routes.c - this room's HTTP: GitHub's webhook, and the JSON the CLI uses.
 *   POST /github/webhook, /gitlab/webhook, /gitea/webhook (webhooks.c)
 *   GET  /naru/pipelines          POST /naru/pipelines {"name", "url", "github"}
 *   POST /naru/repositories {"name", "github"}
 *   GET  /naru/builds?pipeline=&limit=    GET /naru/builds/<pipeline>/?limit=
 *   POST /naru/builds {"pipeline", "branch", "commit", "before", "cause": "push", "parameters"}
 *   GET  /naru/builds/<pipeline>/<number>
 *   GET  /naru/builds/<pipeline>/<number>/log?offset=&follow=1
 *   GET  /naru/builds/<pipeline>/<number>/tests
 *   GET  /naru/builds/<pipeline>/<number>/artifacts    and one of them: .../artifacts/<path>
 *   POST /naru/builds/<pipeline>/<number>/abort
 *   POST /naru/builds/<pipeline>/<number>/replay {"jenkinsfile", "stage"}
 *   POST /naru/builds/<pipeline>/<number>/input {"id", "proceed", "by", "parameters"} */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/uri.h"
#include "pipeline/artifacts.h"
#include "pipeline/build.h"
#include "pipeline/forks.h"
#include "pipeline/forge/webhooks.h"
#include "pipeline/pipeline.h"
#include "pipeline/test_history.h"

#define BODY_MAX 65536u
#define LIST_DEFAULT 50
#define LIST_MAX 1000
#define FOLLOW_WAIT_MS 500

void
room_reply_json(struct http_exchange *x, int status, struct json *j)
{
    static const struct http_header headers[] = {{"Content-Type", "application/json"},
                                                 {NULL, NULL}};
    cleanup_free char *text = json_format(j);

    http_reply(x, status, headers, str_of(text));
    json_unref(j);
}

void
room_reply_error(struct http_exchange *x, const struct err *err)
{
    struct json *j = json_object();

    json_set(j, "code", json_text(err_wire(err->code)));
    json_set(j, "message", json_text(err->message));
    room_reply_json(x, err_http(err->code), j);
}

void
room_reply_message(struct http_exchange *x, int status, const char *message)
{
    struct json *j = json_object();

    json_set(j, "message", json_text(message));
    room_reply_json(x, status, j);
}

void
room_refuse(struct http_exchange *x, int status, const char *why, void *ctx)
{
    room_reply_message(x, status, why);
}

static bool
is_allowed(struct pipeline_room *room, struct http_exchange *x)
{
    const struct pipeline_config *c = pipeline_room_config(room);

    if (c->authorise == NULL) {
        room_reply_message(x, 401, "this naru accepts no signed requests");
        return false;
    }
    return c->authorise(c->ctx, x);
}

static bool
is_get(const struct http_exchange *x)
{
    return str_is(x->method, "GET") || str_is(x->method, "HEAD");
}

static void
reply_method(struct http_exchange *x)
{
    room_reply_message(x, 405, "this method is not allowed here");
}

/* The body as a JSON object, for the caller to unref; NULL after an error was answered. */
static struct json *
read_body(struct http_exchange *x)
{
    struct err err;
    struct json *j = json_parse(x->body, &err);

    if (j != NULL && json_type(j) != JSON_OBJECT) {
        json_unref(j);
        j = NULL;
        err_set(&err, ERR_SERIALIZATION, "the body is not a JSON object");
    }
    if (j == NULL)
        room_reply_error(x, &err);
    return j;
}

/* An optional text member; false after an error was answered. */
static bool
text_member(struct http_exchange *x, const struct json *j, const char *key, bool required,
            const char **out)
{
    const struct json *v = json_get(j, key);
    struct err err;

    *out = json_cstr(v, NULL);
    if (*out != NULL || (!required && (v == NULL || json_type(v) == JSON_NULL)))
        return true;
    err_set(&err, ERR_VALIDATION, "'%s' must be a text", key);
    room_reply_error(x, &err);
    return false;
}

static void
pipelines(struct http_exchange *x, void *ctx)
{
    struct pipeline_room *room = ctx;
    cleanup_json struct json *body = NULL, *policy = NULL;
    const char *name, *url = NULL, *github, *forks, *trusted;
    struct json *j;
    struct err err;
    bool repository = str_starts(x->path, STR("/naru/repositories"));

    if (!is_allowed(room, x))
        return;
    if (is_get(x)) {
        room_reply_json(x, 200, pipeline_list(room));
        return;
    }
    if (!str_is(x->method, "POST")) {
        reply_method(x);
        return;
    }
    body = read_body(x);
    if (body == NULL || !text_member(x, body, "name", true, &name) ||
        !text_member(x, body, "github", false, &github) ||
        (!repository && !text_member(x, body, "url", true, &url)) ||
        !text_member(x, body, "forks", false, &forks) ||
        !text_member(x, body, "trusted", false, &trusted))
        return;
    policy = fork_policy_json(forks, trusted);
    if (fork_policy_check(forks, trusted, &err) &&
        pipeline_create_with(room, name, url, github, policy, &j, &err))
        room_reply_json(x, 200, j);
    else
        room_reply_error(x, &err);
}

static void
list_builds(struct http_exchange *x, struct pipeline_room *room, struct str pipeline)
{
    cleanup(strbuf_done) struct strbuf name = {0}, limit = {0};
    bool by_name = pipeline.len > 0 || uri_query_get(x->query, "pipeline", &name);
    int64_t n = LIST_DEFAULT;
    struct err err;

    if (uri_query_get(x->query, "limit", &limit) &&
        (!str_to_i64(strbuf_str(&limit), &n) || n < 1 || n > LIST_MAX)) {
        err_set(&err, ERR_VALIDATION, "'limit' must be from 1 to %d", LIST_MAX);
        room_reply_error(x, &err);
        return;
    }
    if (pipeline.len > 0)
        strbuf_add(&name, pipeline);
    room_reply_json(x, 200, pipeline_builds(room, by_name ? strbuf_cstr(&name) : NULL, (size_t)n));
}

static void
submit_build(struct http_exchange *x, struct pipeline_room *room)
{
    cleanup_json struct json *body = read_body(x);
    struct build_request request = {.cause = "UserIdCause"};
    const char *cause;
    int64_t number;
    struct json *j;
    struct err err;

    if (body == NULL || !text_member(x, body, "pipeline", true, &request.pipeline) ||
        !text_member(x, body, "branch", true, &request.branch) ||
        !text_member(x, body, "commit", false, &request.commit) ||
        !text_member(x, body, "before", false, &request.before) ||
        !text_member(x, body, "cause", false, &cause))
        return;
    request.parameters = json_get(body, "parameters");
    if (request.parameters != NULL && json_type(request.parameters) != JSON_OBJECT) {
        err_set(&err, ERR_VALIDATION, "'parameters' is an object: {\"NAME\": value}");
        room_reply_error(x, &err);
        return;
    }
    if (cause != NULL && strcmp(cause, "push") == 0) {
        request.cause = "BranchEventCause";
        request.unless_known = request.may_be_late = true;
    } else if (cause != NULL && strcmp(cause, "user") != 0) {
        err_set(&err, ERR_VALIDATION, "'cause' is \"push\" or \"user\"");
        room_reply_error(x, &err);
        return;
    }
    if (!pipeline_submit(room, &request, &number, &err)) {
        room_reply_error(x, &err);
        return;
    }
    j = pipeline_build(room, request.pipeline, number, &err);
    if (j != NULL)
        room_reply_json(x, 202, j);
    else
        room_reply_error(x, &err);
}

/* A log that is being written: reads what is there, waits for more, ends with the build. */
struct follow {
    struct pipeline_room *room;
    char *pipeline;
    int64_t number;
    char *path;
    int fd;
    int64_t offset;
    bool waits;
};

static bool
build_has_ended(const struct follow *f)
{
    struct err err;
    cleanup_json struct json *j = pipeline_build(f->room, f->pipeline, f->number, &err);

    return j == NULL || strcmp(json_get_cstr(j, "state", ""), "ENDED") == 0;
}

static ptrdiff_t
follow_next(void *arg, char *buffer, size_t size)
{
    struct follow *f = arg;
    bool last = false;

    for (;;) {
        ssize_t n = 0;
        if (f->fd < 0)
            f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
        if (f->fd >= 0)
            n = pread(f->fd, buffer, size, f->offset);
        if (n < 0)
            return -1;
        if (n > 0) {
            f->offset += n;
            return n;
        }
        if (last || !f->waits)
            return 0;
        /* Once more after the end: the last lines may have come between the read and now. */
        last = build_has_ended(f);
        if (!last && !pipeline_wait(f->room, FOLLOW_WAIT_MS))
            last = true;
    }
}

static void
follow_done(void *arg)
{
    struct follow *f = arg;

    cleanup_close_(&f->fd);
    free(f->pipeline);
    free(f->path);
    free(f);
}

static void
reply_log(struct http_exchange *x, struct pipeline_room *room, const char *pipeline, int64_t number)
{
    static const struct http_header headers[] = {{"Content-Type", "text/plain; charset=utf-8"},
                                                 {NULL, NULL}};
    cleanup(strbuf_done) struct strbuf offset = {0}, waits = {0};
    struct follow *f;
    int64_t from = 0;
    struct err err;

    if (uri_query_get(x->query, "offset", &offset) &&
        (!str_to_i64(strbuf_str(&offset), &from) || from < 0)) {
        err_set(&err, ERR_VALIDATION, "'offset' must be a number from 0");
        room_reply_error(x, &err);
        return;
    }
    f = mem_new(sizeof(*f));
    f->room = room;
    f->pipeline = text_dup(pipeline);
    f->number = number;
    f->path = pipeline_log_path(room, pipeline, number);
    f->fd = -1;
    f->offset = from;
    f->waits = uri_query_get(x->query, "follow", &waits) && !str_is(strbuf_str(&waits), "0");
    http_reply_stream(x, 200, headers, follow_next, follow_done, f);
}

static void
answer_input(struct http_exchange *x, struct pipeline_room *room, const char *pipeline,
             int64_t number)
{
    cleanup_json struct json *body = read_body(x);
    const char *id, *by;
    struct err err;

    if (body == NULL || !text_member(x, body, "id", false, &id) ||
        !text_member(x, body, "by", false, &by))
        return;
    if (pipeline_answer(room, pipeline, number, id, body, &err))
        room_reply_message(x, 202, "the build goes on with this answer");
    else
        room_reply_error(x, &err);
}

static void
replay(struct http_exchange *x, struct pipeline_room *room, const char *pipeline, int64_t number)
{
    cleanup_json struct json *body = read_body(x);
    const char *script, *stage;
    struct json *j;
    struct err err;

    if (body == NULL || !text_member(x, body, "jenkinsfile", false, &script) ||
        !text_member(x, body, "stage", false, &stage))
        return;
    j = pipeline_replay(room, pipeline, number, script, stage, &number, &err)
            ? pipeline_build(room, pipeline, number, &err)
            : NULL;
    if (j != NULL)
        room_reply_json(x, 202, j);
    else
        room_reply_error(x, &err);
}

/* Somebody's bytes: no browser shows them as a page of ours. */
static void
reply_artifact(struct http_exchange *x, struct pipeline_room *room, const char *pipeline,
               int64_t number, struct str encoded)
{
    static const struct http_header headers[] = {{"Content-Type", "application/octet-stream"},
                                                 {"Content-Disposition", "attachment"},
                                                 {"X-Content-Type-Options", "nosniff"},
                                                 {NULL, NULL}};
    cleanup(strbuf_done) struct strbuf path = {0};
    int64_t size;
    struct err err;
    int fd;

    if (!uri_decode(&path, encoded, false)) {
        err_set(&err, ERR_VALIDATION, "the path of an artifact is percent-encoded");
        room_reply_error(x, &err);
    } else if (!room_artifact_open(room, pipeline, number, strbuf_cstr(&path), &fd, &size, &err)) {
        room_reply_error(x, &err);
    } else if (str_is(x->method, "HEAD")) {
        close(fd);
        http_reply_file(x, 200, headers, -1, 0, size);
    } else {
        http_reply_file(x, 200, headers, fd, 0, size);
    }
}

static void
artifacts(struct http_exchange *x, struct pipeline_room *room, const char *pipeline, int64_t number,
          struct str rest)
{
    struct json *j;
    struct err err;

    if (!is_get(x)) {
        reply_method(x);
    } else if (rest.len > 0) {
        reply_artifact(x, room, pipeline, number, rest);
    } else {
        j = room_artifacts(room, pipeline, number, &err);
        if (j != NULL)
            room_reply_json(x, 200, j);
        else
            room_reply_error(x, &err);
    }
}

/* Below /naru/builds/: "<pipeline>/<number>" and what follows. */
static void
one_build(struct http_exchange *x, struct pipeline_room *room, struct str rest)
{
    struct str name, number_text;
    struct json *j;
    int64_t number;
    struct err err;
    char pipeline[64];

    if (!str_split(&rest, '/', &name) || !str_split(&rest, '/', &number_text) ||
        !build_name_is_valid(name) || !text_copy(pipeline, sizeof(pipeline), name) ||
        !str_to_i64(number_text, &number)) {
        err_set(&err, ERR_NOT_FOUND, "the path is /naru/builds/<pipeline>/<number>");
        room_reply_error(x, &err);
        return;
    }
    j = pipeline_build(room, pipeline, number, &err);
    if (j == NULL) {
        room_reply_error(x, &err);
        return;
    }
    if (rest.len == 0 && is_get(x)) {
        room_reply_json(x, 200, j);
        return;
    }
    json_unref(j);
    if (str_is(rest, "log") && is_get(x)) {
        reply_log(x, room, pipeline, number);
    } else if (str_is(rest, "abort") && str_is(x->method, "POST")) {
        if (pipeline_abort(room, pipeline, number, &err))
            room_reply_message(x, 202, "the build is being aborted");
        else
            room_reply_error(x, &err);
    } else if (str_is(rest, "tests") && is_get(x)) {
        j = room_test_report(room, pipeline, number, &err);
        if (j != NULL)
            room_reply_json(x, 200, j);
        else
            room_reply_error(x, &err);
    } else if (str_is(rest, "artifacts") || str_starts(rest, STR("artifacts/"))) {
        artifacts(x, room, pipeline, number, str_slice(rest, sizeof("artifacts/") - 1, rest.len));
    } else if (str_is(rest, "input") && str_is(x->method, "POST")) {
        answer_input(x, room, pipeline, number);
    } else if (str_is(rest, "replay") && str_is(x->method, "POST")) {
        replay(x, room, pipeline, number);
    } else if (rest.len == 0 || str_is(rest, "log") || str_is(rest, "abort") ||
               str_is(rest, "input") || str_is(rest, "replay") || str_is(rest, "tests")) {
        reply_method(x);
    } else {
        err_set(&err, ERR_NOT_FOUND, "a build has 'log', 'tests', 'artifacts', 'abort', 'input' and 'replay'");
        room_reply_error(x, &err);
    }
}

static void
builds(struct http_exchange *x, void *ctx)
{
    struct pipeline_room *room = ctx;
    struct str rest = str_slice(x->path, sizeof("/naru/builds") - 1, x->path.len);

    if (!is_allowed(room, x))
        return;
    if (rest.len > 2 && rest.at[0] == '/' &&
        str_index(str_slice(rest, 1, rest.len), '/') == (ptrdiff_t)rest.len - 2 && is_get(x))
        list_builds(x, room, str_slice(rest, 1, rest.len - 1));
    else if (rest.len > 1 && rest.at[0] == '/')
        one_build(x, room, str_slice(rest, 1, rest.len));
    else if (rest.len > 0 && !str_is(rest, "/"))
        room_reply_message(x, 404, "there is nothing here");
    else if (is_get(x))
        list_builds(x, room, (struct str){0});
    else if (str_is(x->method, "POST"))
        submit_build(x, room);
    else
        reply_method(x);
}

size_t
pipeline_routes(struct pipeline_room *room, struct http_route out[static PIPELINE_ROUTES_MAX])
{
    out[0] = (struct http_route){
        .prefix = "/naru/repositories", .body_limit = BODY_MAX, .end = pipelines, .refuse = room_refuse,
        .ctx = room};
    out[1] = (struct http_route){
        .prefix = "/naru/builds", .body_limit = BODY_MAX, .end = builds, .refuse = room_refuse,
        .ctx = room};
    out[2] = (struct http_route){
        .prefix = "/naru/pipelines", .body_limit = BODY_MAX, .end = pipelines, .refuse = room_refuse,
        .ctx = room};
    webhook_routes(room, &out[3]);
    return PIPELINE_ROUTES_MAX;
}
