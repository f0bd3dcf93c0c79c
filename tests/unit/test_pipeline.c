/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "check.h"
#include "io/file.h"
#include "io/http_client.h"
#include "io/process.h"
#include "pipeline/build.h"
#include "pipeline/git_remote.h"
#include "pipeline/forge.h"
#include "pipeline/github_api.h"
#include "pipeline/github_report.h"
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
};

static void
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

static bool
allow_all(void *ctx, struct http_exchange *x)
{
    if (str_is(http_header_get(x, "Authorization"), "let me in"))
        return true;
    http_reply(x, 401, NULL, STR("no"));
    return false;
}

static void
room_up(struct world *w)
{
    const struct pipeline_config config = {
        .data_dir = w->data,
        .naru_path = "/bin/true",
        .base_url = "http://localhost:4566",
        .github_secret = SECRET,
        .authorise = allow_all,
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

static void
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

static void
world_init(struct world *w)
{
    char template[] = "/tmp/naru-pipeline-XXXXXX";

    CHECK(mkdtemp(template) != NULL);
    w->root = text_dup(template);
    w->data = text_format("%s/data", w->root);
    w->clone = text_format("%s/clone", w->root);
    CHECK(file_make_dirs(w->clone, 0755, NULL));
    setenv("GIT_AUTHOR_NAME", "Ann", 1);
    setenv("GIT_AUTHOR_EMAIL", "ann@example.org", 1);
    setenv("GIT_COMMITTER_NAME", "Ann", 1);
    setenv("GIT_COMMITTER_EMAIL", "ann@example.org", 1);
    setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
    sh(w, "git init -q -b main .");
}

static void
world_done(struct world *w)
{
    room_down(w);
    if (w->root != NULL)
        (void)!file_remove_tree(w->root, NULL);
    free(w->root);
    free(w->data);
    free(w->clone);
}

static void
commit(const struct world *w, const char *steps, const char *message)
{
    cleanup_free char *path = text_format("%s/Jenkinsfile", w->clone);
    cleanup_free char *text = text_format(
        "pipeline {\nagent any\nstages {\nstage('One') {\nsteps {\n%s\n}\n}\n}\n}\n", steps);
    cleanup_free char *script = text_format("git add . && git commit -q -m '%s'", message);

    CHECK(file_write_atomic(path, str_of(text), 0644, NULL));
    sh(w, script);
}

static void
create(struct world *w, const char *name, const char *github)
{
    struct json *j = NULL;
    struct err err;

    if (!pipeline_create(w->room, name, NULL, github, &j, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    json_unref(j);
}

static void
push(const struct world *w, const char *name)
{
    cleanup_free char *path = git_remote_path(w->data, name);
    cleanup_free char *script = text_format("git push -q -f '%s' HEAD", path);

    sh(w, script);
}

static int64_t
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

/* Waits for a state (or the end); the caller's. */
static struct json *
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

static void
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

static void
expect_log(struct world *w, const char *name, int64_t number, const char *want)
{
    cleanup_free char *path = pipeline_log_path(w->room, name, number);
    cleanup(strbuf_done) struct strbuf log = {0};

    CHECK(file_read(path, 1 << 20, &log, NULL));
    if (strstr(strbuf_cstr(&log), want) == NULL)
        check_fail(__FILE__, __LINE__, "no '%s' in:\n%s", want, strbuf_cstr(&log));
}

static int
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

TEST(a_pushed_commit_is_built_and_recorded)
{
    cleanup(world_done) struct world w = {0};
    int64_t number;

    world_init(&w);
    room_up(&w);
    create(&w, "web", NULL);
    commit(&w, "sh 'echo building $GIT_COMMIT of $BRANCH_NAME as $JOB_NAME; test -f Jenkinsfile'",
           "first");
    push(&w, "web");
    number = submit(&w, "web", "main");
    expect_result(&w, "web", number, "SUCCESS");
    expect_log(&w, "web", number, "of main as web/main");
    {
        cleanup_json struct json *j = pipeline_build(w.room, "web", number, NULL);
        CHECK_TEXT(json_get_cstr(j, "message", ""), "first");
        CHECK_TEXT(json_get_cstr(j, "author", ""), "Ann");
        CHECK_EQ(json_size(json_get(j, "stages")), 2);
        CHECK_TEXT(json_get_cstr(json_at(json_get(j, "stages"), 1), "status", ""), "SUCCESS");
    }
    /* The record outlives the room, and the head is known: nothing new is queued. */
    room_down(&w);
    room_up(&w);
    clock_sleep_ms(300);
    expect_result(&w, "web", number, "SUCCESS");
    {
        cleanup_json struct json *list = pipeline_builds(w.room, "web", 10);
        CHECK_EQ(json_size(json_get(list, "builds")), 1);
    }
}

TEST(the_newest_commit_wins_and_a_running_one_goes_on)
{
    cleanup(world_done) struct world w = {0};
    int64_t a, b, c;

    world_init(&w);
    room_up(&w);
    create(&w, "web", NULL);
    commit(&w, "sh 'while [ ! -e $WORKSPACE/../go ]; do sleep 0.05; done'", "one");
    push(&w, "web");
    a = submit(&w, "web", "main");
    json_unref(wait_for(&w, "web", a, "RUNNING"));
    commit(&w, "echo 'two'", "two");
    push(&w, "web");
    b = submit(&w, "web", "main");
    commit(&w, "echo 'three'", "three");
    push(&w, "web");
    c = submit(&w, "web", "main");
    expect_result(&w, "web", b, "NOT_BUILT");
    sh(&w, "mkdir -p ../data/workspaces/web && touch ../data/workspaces/web/go");
    expect_result(&w, "web", a, "SUCCESS");
    expect_result(&w, "web", c, "SUCCESS");
    expect_log(&w, "web", c, "three");
}

TEST(a_push_made_while_naru_was_down_is_built_at_the_start)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    room_up(&w);
    create(&w, "web", NULL);
    room_down(&w);
    commit(&w, "echo 'late'", "late");
    push(&w, "web");
    room_up(&w);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "late");
}

TEST(an_aborted_build_ends_its_processes_and_runs_its_post)
{
    cleanup(world_done) struct world w = {0};
    int64_t number;
    struct err err;

    world_init(&w);
    room_up(&w);
    create(&w, "web", NULL);
    commit(&w,
           "sh 'sleep 1000 & echo $! > ../pid; touch ../up; sleep 1000'\n}\npost {\naborted { echo "
           "'cleaned up' }",
           "slow");
    push(&w, "web");
    number = submit(&w, "web", "main");
    json_unref(wait_for(&w, "web", number, "RUNNING"));
    sh(&w, "for i in $(seq 200); do [ -e ../data/workspaces/web/up ] && exit 0; sleep 0.05; done; "
           "exit 1");
    CHECK(pipeline_abort(w.room, "web", number, &err));
    expect_result(&w, "web", number, "ABORTED");
    expect_log(&w, "web", number, "cleaned up");
    sh(&w, IS_GONE);
}

static void *
follow_the_log(void *arg)
{
    static const char *const auth[] = {"Authorization: let me in", NULL};

    (void)call(arg, "GET", "/naru/builds/web/1/log?follow=1", NULL, auth, NULL);
    return NULL;
}

/* Counts its starts, waits for the file `go`. */
#define WAITING_STEP                                                           \
    "echo \"n ${BUILD_NUMBER}\"\n"                                             \
    "sh 'echo $$ > ../pid; echo start >> ../starts; echo began; touch ../up; " \
    "while [ ! -e ../go ]; do sleep 0.02; done; echo went on'\n"               \
    "echo 'and after'"
#define WAIT_UNTIL_UP \
    "for i in $(seq 300); do [ -e ../data/workspaces/web/up ] && exit 0; sleep 0.05; done; exit 1"
#define IS_ALIVE "kill -0 $(cat ../data/workspaces/web/pid)"

/* The script that ran when naru ended went on; the build goes on, and nothing was done twice. */
static void
expect_to_go_on(struct world *w)
{
    sh(w, IS_ALIVE);
    room_up(w);
    json_unref(wait_for(w, "web", 1, "RUNNING"));
    sh(w, "touch ../data/workspaces/web/go");
    expect_result(w, "web", 1, "SUCCESS");
    expect_log(w, "web", 1, "went on\n");
    expect_log(w, "web", 1, "and after\nFinished: SUCCESS\n");
    sh(w, "test \"$(cat ../data/workspaces/web/starts)\" = start");
    sh(w, "for line in 'n 1' began 'went on' 'and after'; do "
          "test $(grep -cx \"$line\" ../data/builds/web/1/log) = 1; done");
    sh(w, "test ! -e ../data/builds/web/1/run && test ! -e ../data/builds/web/2");
}

TEST(an_orderly_stop_is_quick_and_builds_go_on_afterwards)
{
    cleanup(world_done) struct world w = {0};
    struct world follower;
    pthread_t thread;
    int64_t start_ms;

    world_init(&w);
    room_up(&w);
    create(&w, "web", NULL);
    commit(&w, WAITING_STEP, "x");
    push(&w, "web");
    CHECK_EQ(submit(&w, "web", "main"), 1);
    sh(&w, WAIT_UNTIL_UP);
    follower = w;
    CHECK(pthread_create(&thread, NULL, follow_the_log, &follower) == 0);
    clock_sleep_ms(300);
    start_ms = clock_monotonic_ms();
    room_down(&w);
    CHECK(clock_monotonic_ms() - start_ms < 10000 * CHECK_PATIENCE);
    pthread_join(thread, NULL);
    expect_to_go_on(&w);
}

TEST(the_builds_of_a_killed_naru_go_on)
{
    cleanup(world_done) struct world w = {0};
    pid_t child;

    world_init(&w);
    room_up(&w);
    create(&w, "web", NULL);
    room_down(&w);
    commit(&w, WAITING_STEP, "x");
    push(&w, "web");
    child = fork();
    if (child == 0) { /* finds the push, builds it, and is killed in the middle */
        struct world mine = w;
        room_up(&mine);
        clock_sleep_ms(60000);
        _exit(0);
    }
    sh(&w, WAIT_UNTIL_UP);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    expect_to_go_on(&w);
}

TEST(a_build_that_was_aborted_while_naru_was_down_aborts)
{
    cleanup(world_done) struct world w = {0};
    struct err err;

    world_init(&w);
    room_up(&w);
    create(&w, "web", NULL);
    commit(&w, WAITING_STEP "\n}\npost {\naborted { echo 'cleaned up' }", "x");
    push(&w, "web");
    CHECK_EQ(submit(&w, "web", "main"), 1);
    sh(&w, WAIT_UNTIL_UP);
    room_down(&w);
    sh(&w, IS_ALIVE);
    room_up(&w);
    CHECK(pipeline_abort(w.room, "web", 1, &err));
    expect_result(&w, "web", 1, "ABORTED");
    expect_log(&w, "web", 1, "cleaned up");
    sh(&w, IS_GONE);
}

/* Waits until build 1 asks something of that id. */
static void
wait_for_question(struct world *w, const char *id)
{
    int64_t until_ms = clock_monotonic_ms() + 12000 * CHECK_PATIENCE;

    while (clock_monotonic_ms() < until_ms) {
        cleanup_json struct json *j = pipeline_build(w->room, "web", 1, NULL);
        if (json_find(json_get(j, "inputs"), "id", id) != NULL)
            return;
        (void)pipeline_wait(w->room, 50);
    }
    check_fail(__FILE__, __LINE__, "the build never asked '%s'", id);
}

static int
say(const struct world *w, const char *body)
{
    static const char *const auth[] = {"Authorization: let me in", NULL};

    return call(w, "POST", "/naru/builds/web/1/input", body, auth, NULL);
}

TEST(people_are_asked_and_their_answers_survive_a_restart)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    room_up(&w);
    create(&w, "web", NULL);
    commit(&w,
           "script { def v = input(message: 'Where to?', id: 'where', submitter: 'anna, bert', "
           "submitterParameter: 'WHO', parameters: [choice(name: 'PLACE', choices: ['here', 'there']),"
           " booleanParam(name: 'FAST', defaultValue: true)])\n"
           "echo \"to ${v.PLACE} ${v.FAST} ${v.WHO}\" } }\n}\n"
           "stage('Deploy') {\n input { message 'Deploy?'\n parameters { string(name: 'TAG', "
           "defaultValue: 'v0') } }\n steps { sh 'echo \"tag $TAG\" | cat'",
           "x");
    push(&w, "web");
    CHECK_EQ(submit(&w, "web", "main"), 1);
    wait_for_question(&w, "where");
    CHECK_EQ(say(&w, "{\"id\": \"none\", \"proceed\": true}"), 404);
    CHECK_EQ(say(&w, "{\"proceed\": true, \"by\": \"carl\"}"), 400);
    room_down(&w);
    room_up(&w);
    wait_for_question(&w, "where");
    CHECK_EQ(say(&w, "{\"proceed\": true, \"by\": \"bert\", \"parameters\": {\"PLACE\": "
                     "\"there\"}}"),
             202);
    wait_for_question(&w, "Deploy");
    room_down(&w);
    room_up(&w);
    wait_for_question(&w, "Deploy");
    CHECK_EQ(say(&w, "{\"proceed\": true, \"parameters\": {\"TAG\": \"v2\"}}"), 202);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "Approved by bert\nto there true bert\n");
    expect_log(&w, "web", 1, "tag v2\n");
    sh(&w, "test $(grep -c 'Where to?' ../data/builds/web/1/log) = 1");
}

TEST(a_question_that_is_answered_with_no_aborts_the_build)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    room_up(&w);
    create(&w, "web", NULL);
    commit(&w, "input 'Sure?'\n}\npost {\naborted { echo 'it was not sure' }", "x");
    push(&w, "web");
    CHECK_EQ(submit(&w, "web", "main"), 1);
    for (int i = 0; i < 200 && say(&w, "{\"proceed\": false, \"by\": \"anna\"}") != 202; i++)
        clock_sleep_ms(50);
    expect_result(&w, "web", 1, "ABORTED");
    expect_log(&w, "web", 1, "ERROR: Rejected by anna\n");
    expect_log(&w, "web", 1, "it was not sure");
}

TEST(builds_that_wait_for_people_do_not_hold_up_others)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    room_up(&w);
    create(&w, "web", NULL);
    commit(&w, "script { if (env.BRANCH_NAME.startsWith('ask')) { input 'Sure?' }\n"
               " lock('one') { echo \"for ${params.TARGET ?: 'nobody'}\" } }",
           "x");
    sh(&w, "git branch ask1; git branch ask2; git branch ask3; "
           "git push -q ../data/git/web.git ask1 ask2 ask3 main");
    CHECK_EQ(submit(&w, "web", "ask1"), 1);
    CHECK_EQ(submit(&w, "web", "ask2"), 2);
    CHECK_EQ(submit(&w, "web", "ask3"), 3);
    CHECK_EQ(submit(&w, "web", "main"), 4);
    expect_result(&w, "web", 4, "SUCCESS");
    expect_log(&w, "web", 4, "Lock acquired on [one]\nfor nobody\nLock released on resource [one]\n");
}

TEST(builds_get_their_parameters)
{
    cleanup(world_done) struct world w = {0};
    static const char *const auth[] = {"Authorization: let me in", NULL};

    world_init(&w);
    room_up(&w);
    create(&w, "web", NULL);
    commit(&w, "echo \"to ${params.TARGET} ${params.DRY} ${params.NOTE}\"\n"
               "sh 'echo \"env $TARGET $DRY\" | cat'\n}\n}\n}\nparameters {\n"
               "choice(name: 'TARGET', choices: ['test', 'live'])\n"
               "booleanParam(name: 'DRY', defaultValue: true)\nstring(name: 'NOTE', defaultValue: "
               "'n')\n}\noptions { timestamps()\n}\npost { always { script {",
           "x");
    push(&w, "web");
    CHECK_EQ(call(&w, "POST", "/naru/builds",
                  "{\"pipeline\": \"web\", \"branch\": \"main\", \"parameters\": {\"TARGET\": "
                  "\"live\", \"DRY\": \"false\"}}",
                  auth, NULL),
             202);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "to live false n\n");
    expect_log(&w, "web", 1, "env live false\n");
    CHECK_EQ(call(&w, "POST", "/naru/builds",
                  "{\"pipeline\": \"web\", \"branch\": \"main\", \"parameters\": {\"TARGET\": "
                  "\"moon\"}}",
                  auth, NULL),
             202);
    expect_result(&w, "web", 2, "FAILURE");
    expect_log(&w, "web", 2, "the parameter 'TARGET' cannot be 'moon'");
}

static int
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

TEST(a_webhook_starts_a_build_once)
{
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf out = {0};
    cleanup_free char *body = NULL;
    char head[41];

    world_init(&w);
    room_up(&w);
    create(&w, "web", "acme/web");
    commit(&w, "echo 'hooked'", "one");
    push(&w, "web");
    {
        cleanup_free char *path = git_remote_path(w.data, "web");
        CHECK(git_remote_resolve(path, NULL, "main", head, NULL));
    }
    body = text_format(
        "{\"ref\":\"refs/heads/main\",\"after\":\"%s\",\"deleted\":false,\"repository\":"
        "{\"full_name\":\"acme/web\"},\"head_commit\":{\"message\":\"one\\ntwo\",\"author\":"
        "{\"name\":\"Bo\"}},\"commits\":[{\"added\":[\"a.txt\"]}]}",
        head);
    CHECK_EQ(deliver(&w, "ping", "d0", "{}", SECRET, &out), 200);
    CHECK_EQ(deliver(&w, "push", "d1", body, "wrong", &out), 401);
    CHECK_EQ(call(&w, "POST", "/github/webhook", body, NULL, &out), 401);
    CHECK_EQ(call(&w, "GET", "/github/webhook", NULL, NULL, &out), 405);
    CHECK_EQ(deliver(&w, "push", "d2", "{\"ref\":1}", SECRET, &out), 400);
    CHECK_EQ(deliver(&w, "push", "d2", body, SECRET, &out), 202); /* a refused id is not used up */
    CHECK(strstr(strbuf_cstr(&out), "\"build\":1") != NULL);
    CHECK_EQ(deliver(&w, "push", "d2", body, SECRET, &out), 200);
    CHECK(strstr(strbuf_cstr(&out), "seen before") != NULL);
    CHECK_EQ(deliver(&w, "push", "d3", body, SECRET, &out), 202); /* same commit: the same build */
    CHECK(strstr(strbuf_cstr(&out), "\"build\":1") != NULL);
    expect_result(&w, "web", 1, "SUCCESS");
    CHECK_EQ(
        deliver(&w, "push", "d4",
                "{\"ref\":\"refs/heads/x\",\"after\":\"0000000000000000000000000000000000000000\","
                "\"deleted\":true,\"repository\":{\"full_name\":\"acme/web\"}}",
                SECRET, &out),
        200);
    CHECK_EQ(
        deliver(&w, "push", "d5",
                "{\"ref\":\"refs/heads/x\",\"after\":\"1111111111111111111111111111111111111111\","
                "\"repository\":{\"full_name\":\"acme/other\"}}",
                SECRET, &out),
        404);
    room_down(&w);
    room_up(&w);
    CHECK_EQ(deliver(&w, "push", "d2", body, SECRET, &out), 200); /* remembered over a restart */
}

/* GitHub promises no order: the news of the second push may be there first. */
TEST(a_late_webhook_does_not_bring_an_older_commit_back)
{
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf out = {0};
    char commits[3][41];

    world_init(&w);
    room_up(&w);
    create(&w, "web", "acme/web");
    cleanup_free char *path = git_remote_path(w.data, "web");
    for (int i = 0; i < 3; i++) {
        commit(&w, i == 0 ? "echo 'a'" : i == 1 ? "echo 'b'" : "echo 'c'", "more");
        push(&w, "web");
        CHECK(git_remote_resolve(path, NULL, "main", commits[i], NULL));
    }
    const struct {
        const char *delivery;
        int before, after; /* -1: none */
        const char *build;
    } steps[] = {
        {"d1", 0, 1, "\"build\":1"},  {"d2", 1, 2, "\"build\":2"},
        {"d3", -1, 0, "\"build\":2"}, /* late by two */
        {"d4", 0, 1, "\"build\":2"},  /* redelivered by hand */
        {"d5", 2, 0, "\"build\":3"},  /* a forced push back is no late one */
    };
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        cleanup_free char *body = text_format(
            "{\"ref\":\"refs/heads/main\",\"before\":\"%s\",\"after\":\"%s\",\"repository\":"
            "{\"full_name\":\"acme/web\"}}",
            steps[i].before < 0 ? "0000000000000000000000000000000000000000"
                                : commits[steps[i].before],
            commits[steps[i].after]);
        CHECK_EQ(deliver(&w, "push", steps[i].delivery, body, SECRET, &out), 202);
        if (strstr(strbuf_cstr(&out), steps[i].build) == NULL)
            fprintf(stderr, "%s: %s\n", steps[i].delivery, strbuf_cstr(&out));
        CHECK(strstr(strbuf_cstr(&out), steps[i].build) != NULL);
    }
}

TEST(the_api_lists_triggers_and_follows)
{
    static const char *const auth[] = {"Authorization: let me in", "Content-Type: application/json",
                                       NULL};
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf out = {0};

    world_init(&w);
    room_up(&w);
    CHECK_EQ(call(&w, "GET", "/naru/builds", NULL, NULL, &out), 401);
    CHECK_EQ(call(&w, "POST", "/naru/repositories", "{\"name\":\"web\"}", auth, &out), 200);
    CHECK_EQ(call(&w, "POST", "/naru/repositories", "{\"name\":\"../x\"}", auth, &out), 400);
    CHECK_EQ(call(&w, "POST", "/naru/repositories", "[]", auth, &out), 400);
    CHECK_EQ(
        call(&w, "POST", "/naru/builds", "{\"pipeline\":\"web\",\"branch\":\"main\"}", auth, &out),
        404);
    commit(&w, "sh 'for i in 1 2 3; do echo line $i; sleep 0.1; done'", "one");
    push(&w, "web");
    CHECK_EQ(
        call(&w, "POST", "/naru/builds", "{\"pipeline\":\"web\",\"branch\":\"main\"}", auth, &out),
        202);
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/1/log?follow=1", NULL, auth, &out), 200);
    CHECK(strstr(strbuf_cstr(&out), "line 3") != NULL);
    CHECK(strstr(strbuf_cstr(&out), "Finished: SUCCESS") != NULL);
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/1", NULL, auth, &out), 200);
    CHECK(strstr(strbuf_cstr(&out), "\"result\":\"SUCCESS\"") != NULL);
    CHECK_EQ(call(&w, "GET", "/naru/builds?pipeline=web&limit=5", NULL, auth, &out), 200);
    CHECK(strstr(strbuf_cstr(&out), "\"number\":1") != NULL);
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/", NULL, auth, &out), 200); /* JOB_URL */
    CHECK(strstr(strbuf_cstr(&out), "\"number\":1") != NULL);
    CHECK_EQ(call(&w, "GET", "/naru/builds/none/", NULL, auth, &out), 200);
    CHECK_TEXT(strbuf_cstr(&out), "{\"builds\":[]}");
    CHECK_EQ(call(&w, "GET", "/naru/builds?limit=0", NULL, auth, &out), 400);
    CHECK_EQ(call(&w, "GET", "/naru/pipelines", NULL, auth, &out), 200);
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/9", NULL, auth, &out), 404);
    CHECK_EQ(call(&w, "DELETE", "/naru/builds/web/1", NULL, auth, &out), 405);
}

TEST(signatures_are_checked_to_the_letter)
{
    const struct str body = STR("Hello, World!");
    const struct str secret = STR(SECRET);

    CHECK(github_signature_is_valid(
        secret, body,
        STR("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")));
    CHECK(!github_signature_is_valid(
        secret, body,
        STR("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e18")));
    CHECK(!github_signature_is_valid(
        secret, STR("Hello, World"),
        STR("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")));
    CHECK(!github_signature_is_valid(secret, body, STR("sha256=")));
    CHECK(!github_signature_is_valid(
        secret, body, STR("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")));
    CHECK(!github_signature_is_valid(STR(""), body, STR("sha256=")));
    CHECK(!github_signature_is_valid(secret, body, (struct str){0}));
}

TEST(hook_lines_name_branches)
{
    char branch[256], id[41];
#define OLD "0000000000000000000000000000000000000000"
#define NEW "1234567890123456789012345678901234567890"

    CHECK(git_hook_line(STR(OLD " " NEW " refs/heads/feature/x\n"), branch, id));
    CHECK_TEXT(branch, "feature/x");
    CHECK_TEXT(id, NEW);
    CHECK(!git_hook_line(STR(NEW " " OLD " refs/heads/main"), branch, id)); /* deleted */
    CHECK(!git_hook_line(STR(OLD " " NEW " refs/tags/v1"), branch, id));
    CHECK(!git_hook_line(STR(OLD " " NEW " refs/heads/../x"), branch, id));
    CHECK(!git_hook_line(STR("x"), branch, id));
}

TEST(rate_limits_say_how_long_to_wait)
{
    const struct str no = STR("");

    CHECK_EQ(github_retry_ms(403, STR("7"), no, no, 100, 0), 7000);
    CHECK_EQ(github_retry_ms(429, STR("0"), no, no, 100, 0), 1000);
    CHECK_EQ(github_retry_ms(403, no, STR("0"), STR("160"), 100, 0), 61000);
    CHECK_EQ(github_retry_ms(403, no, STR("0"), STR("99999999"), 100, 0), 60000);
    CHECK_EQ(github_retry_ms(403, no, no, no, 100, 0), 60000);
    CHECK_EQ(github_retry_ms(502, no, no, no, 100, 0), 1000);
    CHECK_EQ(github_retry_ms(502, no, no, no, 100, 3), 8000);
    CHECK_EQ(github_retry_ms(502, no, no, no, 100, 200), 300000);
    CHECK_EQ(github_retry_ms(502, STR("-5"), no, no, 100, 0), 1000);
    CHECK_EQ(github_retry_ms(502, STR("999999999"), no, no, 100, 0), 1000);

    static const char *const urls[][2] = {
        {"https://github.com/acme/shop.git", "https://api.github.com"},
        {"ssh://git@github.com/acme/shop", "https://api.github.com"},
        {"https://token@ghe.example.com/acme/shop", "https://ghe.example.com/api/v3"},
        {"file:///srv/shop", "https://api.github.com"},
        {"/srv/shop", "https://api.github.com"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        cleanup_free char *url = github_api_url_of(urls[i][0]);
        CHECK_TEXT(url, urls[i][1]);
    }
}

TEST(builds_are_judged_in_githubs_words)
{
    static const struct {
        const char *build, *state, *context;
    } rows[] = {
        {"{\"state\":\"QUEUED\",\"commit\":\"a\"}", "pending", "branch"},
        {"{\"state\":\"RUNNING\",\"commit\":\"a\",\"head\":\"b\"}", "pending", "pr-merge"},
        {"{\"state\":\"ENDED\",\"result\":\"SUCCESS\",\"commit\":\"a\",\"head\":\"a\"}", "success",
         "pr-head"},
        {"{\"state\":\"ENDED\",\"result\":\"UNSTABLE\",\"ref\":\"refs/tags/v1\"}", "failure",
         "tags"},
        {"{\"state\":\"ENDED\",\"result\":\"FAILURE\"}", "failure", "branch"},
        {"{\"state\":\"ENDED\",\"result\":\"ABORTED\"}", "error", "branch"},
        {"{\"state\":\"ENDED\",\"result\":\"NOT_BUILT\"}", "error", "branch"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        cleanup_json struct json *j = json_parse(str_of(rows[i].build), NULL);
        cleanup_free char *context =
            text_format("continuous-integration/jenkins/%s", rows[i].context);
        CHECK_TEXT(github_state_of(j), rows[i].state);
        CHECK_TEXT(github_context_of(j), context);
    }
}

TEST(events_of_forges_are_understood_or_refused)
{
    static const char sha[] = "1234567890123456789012345678901234567890";
    struct forge_event e;
    struct err err;
    cleanup_free char *gitlab = text_format(
        "{\"ref\":\"refs/tags/v2\",\"after\":\"%s\",\"checkout_sha\":\"%s\",\"project\":{"
        "\"path_with_namespace\":\"g/s/p\"}}",
        sha, sha);
    cleanup_free char *pr = text_format(
        "{\"action\":\"synchronized\",\"number\":9,\"repository\":{\"full_name\":\"a/b\"},"
        "\"pull_request\":{\"number\":9,\"head\":{\"sha\":\"%s\",\"ref\":\"t\",\"repo\":{\"full_"
        "name\":\"e/b\"}},\"base\":{\"ref\":\"main\"}}}",
        sha);

    CHECK(forge_event_parse(FORGE_GITLAB, STR("Tag Push Hook"), str_of(gitlab), &e, &err));
    CHECK(e.what == FORGE_BUILD);
    CHECK_TEXT(e.push.branch, "v2");
    CHECK_TEXT(e.ref, "refs/tags/v2");
    CHECK_TEXT(e.push.repository, "g/s/p");
    forge_event_done(&e);
    CHECK(forge_event_parse(FORGE_GITEA, STR("pull_request_sync"), str_of(pr), &e, &err));
    CHECK(e.what == FORGE_BUILD && e.is_fork);
    CHECK_TEXT(e.push.branch, "PR-9");
    CHECK_TEXT(e.ref, "refs/pull/9/head");
    CHECK_TEXT(json_get_cstr(e.change, "fork", ""), "e/b");
    forge_event_done(&e);
    CHECK(forge_event_parse(
        FORGE_GITHUB, STR("push"),
        STR("{\"ref\":\"refs/heads/x\",\"after\":\"0000000000000000000000000000000000000000\","
            "\"deleted\":true,\"repository\":{\"full_name\":\"a/b\"}}"),
        &e, &err));
    CHECK(e.what == FORGE_GONE);
    CHECK_TEXT(e.push.branch, "x");
    forge_event_done(&e);
    CHECK(!forge_event_parse(FORGE_GITHUB, STR("pull_request"), STR("{\"action\":\"opened\"}"), &e,
                             &err));
    CHECK(err.code == ERR_BAD_REQUEST);
    CHECK(!forge_event_parse(FORGE_GITLAB, STR("Push Hook"), STR("[]"), &e, &err));
    CHECK(forge_event_parse(FORGE_GITLAB, STR("Note Hook"), STR("{}"), &e, &err));
    CHECK(e.what == FORGE_NOTHING);
    forge_event_done(&e);
    CHECK(forge_is_authentic(FORGE_GITLAB, STR("tok"), STR("x"), STR("tok")));
    CHECK(!forge_is_authentic(FORGE_GITLAB, STR("tok"), STR("x"), STR("tok2")));
    CHECK(!forge_is_authentic(FORGE_GITLAB, STR(""), STR("x"), STR("")));
    CHECK(forge_is_authentic(
        FORGE_GITEA, STR("It's a Secret to Everybody"), STR("Hello, World!"),
        STR("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")));
}
