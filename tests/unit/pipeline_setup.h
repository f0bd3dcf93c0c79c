/* SPDX-License-Identifier: MIT */
/* pipeline_setup.h - a room of pipelines for tests: a data directory, a clone to push from, an HTTP
 * server. */
#pragma once
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "check.h"
#include "io/file.h"
#include "io/http_client.h"
#include "io/process.h"
#include "pipeline/build.h"
#include "pipeline/forge/git_remote.h"
#include "pipeline/forge/forge.h"
#include "pipeline/forge/github_api.h"
#include "pipeline/forge/github_report.h"
#include "pipeline/pipeline.h"

#define SECRET "It's a Secret to Everybody"

/* A zombie that its new parent has not collected yet is gone as well. */
#define IS_GONE \
    "p=/proc/$(cat ../data/workspaces/web/pid); [ ! -e $p ] || grep -q '^State:.Z' $p/status"

/* A data directory, a clone to push from, and the room. */
struct world {
    char *root, *data, *clone;
    struct pipeline_room *room;
    struct http_server *server;
    struct guard *guard; /* of tests that set these four */
    struct access_keys *keys;
    const char *build_roles;
    int64_t reconcile_ms;
};

static inline void
sh(const struct world *w, const char *script)
{
    const char *const argv[] = {"sh", "-ec", script, NULL};
    const struct process_spec spec = {.argv = argv, .directory = w->clone, .merge_stderr = true};
    struct process_result r;

    CHECK(process_run(&spec, &r, NULL));
    if (r.exit_code != 0)
        check_fail(__FILE__, __LINE__, "%s: %s", script, strbuf_cstr(&r.output));
    process_result_done(&r);
}

static atomic_uint let_in; /* requests, so far */

static inline bool
allow_all(void *ctx, struct http_exchange *x)
{
    if (str_is(http_header_get(x, "Authorization"), "let me in")) {
        atomic_fetch_add(&let_in, 1);
        return true;
    }
    http_reply(x, 401, NULL, STR("no"));
    return false;
}

static inline void
room_up(struct world *w)
{
    const struct pipeline_config config = {
        .data_dir = w->data,
        .naru_path = "/bin/true",
        .base_url = "http://localhost:4566",
        .github_secret = SECRET,
        .authorise = allow_all,
        .guard = w->guard,
        .keys = w->keys,
        .build_roles = w->build_roles,
        .reconcile_ms = w->reconcile_ms,
    };
    struct http_route routes[PIPELINE_ROUTES_MAX];
    struct err err;
    size_t count;

    w->room = pipeline_room_start(&config, &err);
    if (w->room == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
    count = pipeline_routes(w->room, routes);
    w->server = http_server_start("127.0.0.1", 0, routes, count, &err);
    CHECK(w->server != NULL);
}

static inline void
room_down(struct world *w)
{
    if (w->room != NULL)
        pipeline_room_close(w->room);
    if (w->server != NULL)
        http_server_stop(w->server);
    pipeline_room_stop(w->room);
    w->server = NULL;
    w->room = NULL;
}

/* Builds tell the test by a file beside their workspace, where their users may else write nothing. */
static inline void
open_workspaces(const struct world *w)
{
    cleanup_free char *folder = text_format("%s/workspaces/web", w->data);

    CHECK(file_make_dirs(folder, 0755, NULL) && chmod(folder, 01777) == 0);
}

static inline void
world_init(struct world *w)
{
    char template[] = "/tmp/naru-pipeline-XXXXXX";

    CHECK(mkdtemp(template) != NULL && chmod(template, 0711) == 0); /* for the users of builds */
    w->root = text_dup(template);
    w->data = text_format("%s/data", w->root);
    w->clone = text_format("%s/clone", w->root);
    CHECK(file_make_dirs(w->clone, 0755, NULL));
    open_workspaces(w);
    setenv("GIT_AUTHOR_NAME", "Ann", 1);
    setenv("GIT_AUTHOR_EMAIL", "ann@example.org", 1);
    setenv("GIT_COMMITTER_NAME", "Ann", 1);
    setenv("GIT_COMMITTER_EMAIL", "ann@example.org", 1);
    setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
    sh(w, "git init -q -b main .");
}

static inline void
world_done(struct world *w)
{
    room_down(w);
    if (w->data != NULL)
        pipeline_purge(w->data); /* builds that would be taken up, with their cgroups */
    if (w->root != NULL)
        (void)!file_remove_tree(w->root, NULL);
    free(w->root);
    free(w->data);
    free(w->clone);
}

static inline void
commit(const struct world *w, const char *steps, const char *message)
{
    cleanup_free char *path = text_format("%s/Jenkinsfile", w->clone);
    cleanup_free char *text = text_format(
        "pipeline {\nagent any\nstages {\nstage('One') {\nsteps {\n%s\n}\n}\n}\n}\n", steps);
    cleanup_free char *script = text_format("git add . && git commit -q -m '%s'", message);

    CHECK(file_write_atomic(path, str_of(text), 0644, NULL));
    sh(w, script);
}

static inline void
create(struct world *w, const char *name, const char *github)
{
    struct json *j = NULL;
    struct err err;

    if (!pipeline_create(w->room, name, NULL, github, &j, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    json_unref(j);
}

static inline void
push(const struct world *w, const char *name)
{
    cleanup_free char *path = git_remote_path(w->data, name);
    cleanup_free char *script = text_format("git push -q -f '%s' HEAD", path);

    sh(w, script);
}

static inline int64_t
submit(struct world *w, const char *name, const char *branch)
{
    const struct build_request r = {
        .pipeline = name, .branch = branch, .cause = "BranchEventCause"};
    int64_t number = 0;
    struct err err;

    if (!pipeline_submit(w->room, &r, &number, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return number;
}

/* A world with the pipeline "web". */
static inline void
web_init(struct world *w, const char *github)
{
    world_init(w);
    room_up(w);
    create(w, "web", github);
}

/* Its main branch, with a pipeline of these steps: pushed, and a build of it asked for. */
static inline int64_t
web_build(struct world *w, const char *steps, const char *message)
{
    commit(w, steps, message);
    push(w, "web");
    return submit(w, "web", "main");
}

/* A world with "web" and its first build. */
static inline void
web_first(struct world *w, const char *steps)
{
    web_init(w, NULL);
    CHECK_EQ(web_build(w, steps, "x"), 1);
}

/* Waits for a state (or the end); the caller's. */
static inline struct json *
wait_for(struct world *w, const char *name, int64_t number, const char *state)
{
    int64_t until_ms = clock_monotonic_ms() + 12000 * CHECK_PATIENCE;

    while (clock_monotonic_ms() < until_ms) {
        struct json *j = pipeline_build(w->room, name, number, NULL);
        if (j != NULL && (strcmp(json_get_cstr(j, "state", ""), state) == 0 ||
                          strcmp(json_get_cstr(j, "state", ""), "ENDED") == 0))
            return j;
        json_unref(j);
        (void)pipeline_wait(w->room, 100);
    }
    check_fail(__FILE__, __LINE__, "build %lld did not become %s", (long long)number, state);
}

static inline void
expect_result(struct world *w, const char *name, int64_t number, const char *want)
{
    cleanup_json struct json *j = wait_for(w, name, number, "ENDED");

    if (strcmp(json_get_cstr(j, "result", ""), want) != 0) {
        cleanup_free char *path = pipeline_log_path(w->room, name, number);
        cleanup(strbuf_done) struct strbuf log = {0};
        (void)!file_read(path, 1 << 20, &log, NULL);
        check_fail(__FILE__, __LINE__, "build %lld is %s (%s), not %s:\n%s", (long long)number,
                   json_get_cstr(j, "result", ""), json_get_cstr(j, "reason", ""), want,
                   strbuf_cstr(&log));
    }
}

static inline void
wait_until_waiting(struct world *w, int64_t number, const char *what)
{
    for (int i = 0; i < 600 * CHECK_PATIENCE; i++) {
        cleanup_json struct json *j = pipeline_build(w->room, "web", number, NULL);
        if (strstr(json_get_cstr(j, "waitingFor", ""), what) != NULL)
            return;
        (void)pipeline_wait(w->room, 50);
    }
    check_fail(__FILE__, __LINE__, "build %lld does not wait for %s", (long long)number, what);
}

static inline void
expect_log(struct world *w, const char *name, int64_t number, const char *want)
{
    cleanup_free char *path = pipeline_log_path(w->room, name, number);
    cleanup(strbuf_done) struct strbuf log = {0};

    CHECK(file_read(path, 1 << 20, &log, NULL));
    if (strstr(strbuf_cstr(&log), want) == NULL)
        check_fail(__FILE__, __LINE__, "no '%s' in:\n%s", want, strbuf_cstr(&log));
}

static inline int
call(const struct world *w, const char *method, const char *path, const char *body,
     const char *const *headers, struct strbuf *out)
{
    cleanup_free char *url =
        text_format("http://127.0.0.1:%u%s", http_server_port(w->server), path);
    struct http_client *c = http_client_new();
    struct http_answer a = {0};
    const struct http_call request = {.method = method,
                                      .url = url,
                                      .headers = headers,
                                      .body = body == NULL ? (struct str){0} : str_of(body)};
    struct err err;
    int status;

    if (!http_client_call(c, &request, &a, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    status = a.status;
    if (out != NULL) {
        strbuf_clear(out);
        strbuf_add(out, strbuf_str(&a.body));
    }
    http_answer_done(&a);
    http_client_free(c);
    return status;
}

/* A webhook of GitHub, signed with `secret`. */
static inline int
deliver(const struct world *w, const char *event, const char *id, const char *body,
        const char *secret, struct strbuf *out)
{
    unsigned char mac[SHA256_LEN];
    char hex[SHA256_HEX + 1];
    cleanup_free char *signature = NULL;
    cleanup_free char *event_line = text_format("X-GitHub-Event: %s", event);
    cleanup_free char *id_line = text_format("X-GitHub-Delivery: %s", id);

    hmac_sha256(str_of(secret), str_of(body), mac);
    hex_encode(mac, sizeof(mac), hex);
    signature = text_format("X-Hub-Signature-256: sha256=%s", hex);
    const char *const headers[] = {event_line, id_line, signature, "Content-Type: application/json",
                                   NULL};
    return call(w, "POST", "/github/webhook", body, headers, out);
}
