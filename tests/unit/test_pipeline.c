/* SPDX-License-Identifier: MIT */
#include "pipeline_setup.h"
#include "io/guard.h"
#include "pipeline/secrets.h"

TEST(a_pushed_commit_is_built_and_recorded)
{
    cleanup(world_done) struct world w = {0};
    int64_t number;

    web_init(&w, NULL);
    number = web_build(
        &w, "sh 'echo building $GIT_COMMIT of $BRANCH_NAME as $JOB_NAME; test -f Jenkinsfile'",
        "first");
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

#define CREATORS 4

struct creator {
    struct world *w;
    pthread_barrier_t *start;
    struct err err;
    bool ok;
};

static void *
create_web(void *arg)
{
    struct creator *c = arg;
    struct json *j = NULL;

    (void)pthread_barrier_wait(c->start);
    c->ok = pipeline_create(c->w->room, "web", NULL, NULL, &j, &c->err);
    json_unref(j);
    return NULL;
}

TEST(who_create_one_repository_at_once_all_have_it)
{
    cleanup(world_done) struct world w = {0};
    struct creator creators[CREATORS] = {0};
    pthread_t threads[CREATORS];
    pthread_barrier_t start;

    world_init(&w);
    room_up(&w);
    CHECK(pthread_barrier_init(&start, NULL, CREATORS) == 0);
    for (size_t i = 0; i < CREATORS; i++) {
        creators[i] = (struct creator){.w = &w, .start = &start};
        CHECK(pthread_create(&threads[i], NULL, create_web, &creators[i]) == 0);
    }
    for (size_t i = 0; i < CREATORS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    for (size_t i = 0; i < CREATORS; i++)
        if (!creators[i].ok)
            check_fail(__FILE__, __LINE__, "%s", creators[i].err.message);
    pthread_barrier_destroy(&start);
}

TEST(clean_ws_takes_what_its_patterns_name)
{
    cleanup(world_done) struct world w = {0};
    int64_t number;

    web_init(&w, NULL);
    number = web_build(
        &w,
        "sh 'mkdir -p out/deep src; touch out/a.o out/deep/b.o out/keep.o src/c.o src/c.c'\n"
        "cleanWs patterns: [[pattern: '**/*.o', type: 'INCLUDE'],\n"
        " [pattern: '**/keep.o', type: 'EXCLUDE']]\n"
        "sh 'echo first $(find out src | sort)'\n"
        "cleanWs deleteDirs: true, patterns: [[pattern: 'out/**', type: 'INCLUDE']]\n"
        "sh 'echo second $(find . -name out -o -name c.c | sort) $(ls out)'\n"
        "cleanWs cleanWhenSuccess: false\n"
        "sh 'echo third $(ls src)'\n"
        "cleanWs()\n"
        "sh 'echo fourth [$(ls -A)]'\n",
        "first");
    expect_result(&w, "web", number, "SUCCESS");
    expect_log(&w, "web", number, "first out out/deep out/keep.o src src/c.c\n");
    expect_log(&w, "web", number, "second ./out ./src/c.c deep\n");
    expect_log(&w, "web", number, "third c.c\n");
    expect_log(&w, "web", number, "fourth []\n");
}

TEST(the_newest_commit_wins_and_a_running_one_goes_on)
{
    cleanup(world_done) struct world w = {0};
    int64_t a, b, c;

    web_init(&w, NULL);
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

    web_init(&w, NULL);
    room_down(&w);
    commit(&w, "echo 'late'", "late");
    push(&w, "web");
    room_up(&w);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "late");
}

/* The first one is made without `git init` and `git fetch`, the second is fetched into it. */
TEST(a_workspace_is_a_sound_repository_of_one_commit)
{
    static const char look[] =
        "sh 'git fsck --strict; test $(git log --format=%H | wc -l) = 1; "
        "test $(git rev-parse HEAD) = $GIT_COMMIT; test $(git rev-parse --is-shallow-repository) = "
        "true; test $(git config remote.origin.url) = $GIT_URL; git fetch --quiet --unshallow; "
        "test $(git log --format=%H | wc -l) -gt 1; test -z \"$(git status --porcelain)\"'";
    static const char plain[] = "sh 'test $(git rev-parse HEAD) = $GIT_COMMIT; git fsck --strict'";
    cleanup(world_done) struct world w = {0};

    web_init(&w, NULL);
    commit(&w, "echo 'x'", "first");
    CHECK_EQ(web_build(&w, look, "second"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    CHECK_EQ(web_build(&w, plain, "third"), 2);
    expect_result(&w, "web", 2, "SUCCESS");
}

TEST(an_aborted_build_ends_its_processes_and_runs_its_post)
{
    cleanup(world_done) struct world w = {0};
    int64_t number;
    struct err err;

    web_init(&w, NULL);
    number = web_build(
        &w,
        "sh 'sleep 1000 & echo $! > ../pid; touch ../up; sleep 1000'\n}\npost {\naborted { echo "
        "'cleaned up' }",
        "slow");
    json_unref(wait_for(&w, "web", number, "RUNNING"));
    sh(&w, "for i in $(seq 200); do [ -e ../data/workspaces/web/up ] && exit 0; sleep 0.05; done; "
           "exit 1");
    CHECK(pipeline_abort(w.room, "web", number, &err));
    expect_result(&w, "web", number, "ABORTED");
    expect_log(&w, "web", number, "cleaned up");
    sh(&w, IS_GONE);
}

TEST(deleting_a_directory_leaves_nothing_of_it)
{
    cleanup(world_done) struct world w = {0};

    web_first(&w, "dir('out') { writeFile file: 'a/b', text: 'x'\n deleteDir()\n sh 'test -z \"$(ls -A)\" && touch c'\n deleteDir() }\n"
                  "sh 'test ! -e out'\n"
                  "dir('new') { deleteDir()\n writeFile file: 'd', text: 'x' }\n"
                  "sh 'test -e new/d'\n"
                  "deleteDir()\n"
                  "sh 'test -z \"$(ls -A)\"'");
    expect_result(&w, "web", 1, "SUCCESS");
}

TEST(each_branch_removes_the_directory_that_it_deleted_and_none_outside)
{
    cleanup(world_done) struct world w = {0};

    web_first(&w, "script { parallel(a: { dir('a') { deleteDir()\n sleep time: 200, unit: 'MILLISECONDS' } },\n"
                  " b: { dir('b') { deleteDir()\n sleep time: 200, unit: 'MILLISECONDS' } })\n"
                  "sh 'test ! -e a && test ! -e b'\n"
                  "dir('c') { parallel(d: { deleteDir() }) }\n"
                  "sh 'test ! -e c'\n"
                  "def out = sh(script: 'mktemp -d', returnStdout: true).trim()\n"
                  "def why\n"
                  "try { dir(out) { deleteDir() } } catch (e) { why = e.message }\n"
                  "echo why\n"
                  "sh \"rmdir ${out}\" }");
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "lies outside of the workspace and is not deleted");
}

TEST(a_webhook_starts_a_build_once)
{
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf out = {0};
    cleanup_free char *body = NULL;
    char head[41];

    web_init(&w, "acme/web");
    commit(&w, "echo 'hooked'", "one");
    push(&w, "web");
    {
        cleanup_free char *path = git_remote_path(w.data, "web");
        CHECK(git_remote_resolve(path, NULL, NULL, "main", head, NULL));
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
static int
deliver_to_gitlab(const struct world *w, const char *token)
{
    cleanup_free char *line = text_format("X-Gitlab-Token: %s", token);
    const char *const headers[] = {"X-Gitlab-Event: Note Hook", line, NULL};

    return call(w, "POST", "/gitlab/webhook", "{}", headers, NULL);
}

TEST(the_secret_of_github_opens_no_other_door)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *secret = json_object();
    struct err err;

    web_init(&w, "acme/web");
    CHECK_EQ(deliver_to_gitlab(&w, SECRET), 403);
    CHECK_EQ(call(&w, "POST", "/gitea/webhook", "{}", NULL, NULL), 403);
    cleanup_free char *directory = text_format("%s/secrets", w.data);
    json_set(secret, "kind", json_text("text"));
    json_set(secret, "text", json_text("its own"));
    CHECK(secrets_set(directory, "gitlab-webhook", secret, "", &err));
    CHECK_EQ(deliver_to_gitlab(&w, SECRET), 401);
    CHECK_EQ(deliver_to_gitlab(&w, "its own"), 200);
}

static void
world_with_guard_done(struct world *w)
{
    struct guard *guard = w->guard;

    world_done(w);
    guard_free(guard);
}

TEST(who_guesses_the_secret_of_webhooks_has_to_wait)
{
    cleanup(world_with_guard_done) struct world w = {.guard = guard_new()};
    cleanup(strbuf_done) struct strbuf out = {0};

    web_init(&w, "acme/web");
    CHECK_EQ(deliver(&w, "ping", "d0", "{}", SECRET, &out), 200);
    for (int i = 0; i < GUARD_FREE; i++)
        CHECK_EQ(deliver(&w, "ping", "d1", "{}", "wrong", &out), 401);
    /* The right one waits, too, or the answer would tell; a slow machine may miss the moment. */
    bool waits = false;
    for (int i = 0; i < 20 * GUARD_FREE && !waits; i++)
        waits = deliver(&w, "ping", "d1", "{}", "wrong", &out) == 429 &&
                deliver(&w, "ping", "d1", "{}", SECRET, &out) == 429;
    CHECK(waits);
    CHECK(strstr(strbuf_cstr(&out), "too many wrong signatures") != NULL);
}

TEST(a_late_webhook_does_not_bring_an_older_commit_back)
{
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf out = {0};
    char commits[3][41];

    web_init(&w, "acme/web");
    cleanup_free char *path = git_remote_path(w.data, "web");
    for (int i = 0; i < 3; i++) {
        commit(&w, i == 0 ? "echo 'a'" : i == 1 ? "echo 'b'" : "echo 'c'", "more");
        push(&w, "web");
        CHECK(git_remote_resolve(path, NULL, NULL, "main", commits[i], NULL));
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
    CHECK_EQ(call(&w, "POST", "/naru/pipelines",
                  "{\"name\":\"new\",\"url\":\"/srv/new.git\",\"forks\":\"some\"}", auth, &out),
             400);
    CHECK_EQ(call(&w, "POST", "/naru/pipelines",
                  "{\"name\":\"new\",\"url\":\"/srv/new.git\",\"trusted\":\"ann\"}", auth, &out),
             400); /* it would be trusted for nothing */
    CHECK_EQ(call(&w, "GET", "/naru/pipelines", NULL, auth, &out), 200);
    CHECK(strstr(strbuf_cstr(&out), "\"web\"") != NULL);
    CHECK(strstr(strbuf_cstr(&out), "\"new\"") == NULL);
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
    struct git_hook_push push;
#define OLD "0000000000000000000000000000000000000000"
#define NEW "1234567890123456789012345678901234567890"

    CHECK(git_hook_line(STR(OLD " " NEW " refs/heads/feature/x\n"), &push));
    CHECK(str_is(push.branch, "feature/x") && str_is(push.commit, NEW) && push.before.len == 0);
    CHECK(git_hook_line(STR(NEW " " NEW " refs/heads/main"), &push));
    CHECK(str_is(push.branch, "main") && str_is(push.before, NEW));
    CHECK(!git_hook_line(STR(NEW " " OLD " refs/heads/main"), &push)); /* deleted */
    CHECK(!git_hook_line(STR(OLD " " NEW " refs/tags/v1"), &push));
    CHECK(!git_hook_line(STR(OLD " 123 refs/heads/main"), &push));
    CHECK(!git_hook_line(STR("x"), &push));
    CHECK(git_hook_line(STR(OLD " " NEW " refs/heads/../x"), &push));
    CHECK(!build_branch_is_valid(push.branch)); /* the daemon says so */
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
        "\"pull_request\":{\"number\":9,\"title\":\"a\\u001b[2Jb\\nc\",\"head\":{\"sha\":\"%s\",\"ref\":\"t\",\"repo\":{\"full_"
        "name\":\"e/b\"}},\"base\":{\"ref\":\"main\"}}}",
        sha);
    cleanup_free char *stranger = text_format(
        "{\"project\":{\"path_with_namespace\":\"a/b\"},\"user\":{\"username\":\"ann\"},"
        "\"object_attributes\":{\"iid\":3,"
        "\"action\":\"open\",\"last_commit\":{\"id\":\"%s\"}}}",
        sha);

    CHECK(forge_event_parse(FORGE_GITLAB, STR("Merge Request Hook"), str_of(stranger), &e, &err));
    CHECK(e.what == FORGE_BUILD && e.is_fork); /* it does not say that it is of a/b */
    CHECK_TEXT(e.push.author, "ann");
    forge_event_done(&e);
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
    CHECK_TEXT(e.push.message, "a [2Jb"); /* a stranger's words, on people's terminals */
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
