/* SPDX-License-Identifier: MIT */
/* Who waits to begin, or to go on: a queue that is full, and places that others have taken meanwhile. */
#include "pipeline_setup.h"
#include "pipeline/room.h"

static void
set_limits(const struct world *w, unsigned builds, unsigned queued)
{
    room_lock(w->room);
    w->room->builds_max = builds;
    w->room->queue_max = queued;
    pthread_cond_broadcast(&w->room->changed);
    room_unlock(w->room);
}

static void
expect_state(const struct world *w, int64_t number, const char *state)
{
    cleanup_json struct json *j = pipeline_build(w->room, "web", number, NULL);

    CHECK_TEXT(json_get_cstr(j, "state", ""), state);
}

#define COMMIT_A "1111111111111111111111111111111111111111"
#define COMMIT_B "2222222222222222222222222222222222222222"

static int
deliver_push(const struct world *w, const char *id, const char *branch, const char *commit,
             struct strbuf *out)
{
    cleanup_free char *body = text_format("{\"ref\":\"refs/heads/%s\",\"after\":\"%s\",\"deleted\":false,"
                                          "\"repository\":{\"full_name\":\"acme/web\"},\"head_commit\":"
                                          "{\"message\":\"m\",\"author\":{\"name\":\"Bo\"}}}",
                                          branch, commit);

    return deliver(w, "push", id, body, SECRET, out);
}

TEST(a_delivery_that_finds_the_queue_full_may_be_sent_again)
{
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf out = {0};

    web_init(&w, "acme/web");
    set_limits(&w, 0, 1);
    CHECK_EQ(deliver_push(&w, "d1", "a", COMMIT_A, &out), 202);
    CHECK_EQ(deliver_push(&w, "d2", "b", COMMIT_A, &out), 503); /* ours, and it passes */
    CHECK(strstr(strbuf_cstr(&out), "the queue is full (1 builds)") != NULL);
    set_limits(&w, 0, 2);
    CHECK_EQ(deliver_push(&w, "d2", "b", COMMIT_A, &out), 202);
    CHECK(strstr(strbuf_cstr(&out), "\"build\":2") != NULL);
}

TEST(a_newer_commit_takes_its_place_in_a_full_queue)
{
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf out = {0};

    web_init(&w, "acme/web");
    set_limits(&w, 0, 1);
    CHECK_EQ(deliver_push(&w, "d1", "a", COMMIT_A, &out), 202);
    CHECK_EQ(deliver_push(&w, "d2", "a", COMMIT_B, &out), 202);
    expect_result(&w, "web", 1, "NOT_BUILT");
    expect_state(&w, 2, "QUEUED");
}

/* When heads are compared, a push for which there is no place in the queue is looked at again the next time. */
TEST(a_branch_whose_news_find_no_place_is_not_taken_for_gone)
{
    cleanup(world_done) struct world w = {.reconcile_ms = 20};
    cleanup_json struct json *given = json_parse(STR("{\"A\": \"1\"}"), NULL);
    const struct build_request by_hand = {
        .pipeline = "web", .branch = "main", .cause = "UserIdCause", .parameters = given};
    int64_t number;
    struct err err;

    web_init(&w, NULL);
    set_limits(&w, 0, 10);
    commit(&w, "echo 'x'", "one");
    push(&w, "web");
    json_unref(wait_for(&w, "web", 1, "QUEUED"));
    CHECK(pipeline_submit(w.room, &by_hand, &number, &err));
    CHECK_EQ(number, 2); /* another build of the branch, not instead of the first */
    sh(&w, "git push -q ../data/git/web.git HEAD:refs/heads/side");
    json_unref(wait_for(&w, "web", 3, "QUEUED"));
    CHECK(pipeline_abort(w.room, "web", 1, &err)); /* now no newer commit has whose place to take */
    set_limits(&w, 0, 0);
    commit(&w, "echo 'y'", "two");
    push(&w, "web");
    sh(&w, "git push -q ../data/git/web.git :side");
    expect_result(&w, "web", 3, "NOT_BUILT"); /* that look has found the commit, too */
    expect_state(&w, 2, "QUEUED");
    set_limits(&w, 0, 10);
    json_unref(wait_for(&w, "web", 4, "QUEUED"));
}

/* From now on `git ls-remote` waits before it looks while `stop` is there, and says what it saw when `go` is there: once
 * for each `hold`. */
static void
slow_down_git(const struct world *w)
{
    static const char script[] = "#!/bin/sh\nd=${0%/*}\nPATH=${PATH#*:}\ncase $* in\n"
                                 "*ls-remote*) while [ -e $d/stop ]; do touch $d/stopped; sleep 0.01; done\n"
                                 "  if rm $d/hold 2>/dev/null; then git \"$@\" >$d/saw; touch $d/looked\n"
                                 "  while [ ! -e $d/go ] && [ -e $d/saw ]; do sleep 0.01; done; cat $d/saw; exit; fi;;\n"
                                 "esac\nexec git \"$@\"\n";
    cleanup_free char *folder = text_format("%s/slow", w->root), *git = text_format("%s/git", folder);
    cleanup_free char *path = text_format("%s:%s", folder, getenv("PATH"));

    CHECK(file_make_dirs(folder, 0755, NULL) && file_write_atomic(git, str_of(script), 0755, NULL));
    setenv("PATH", path, 1);
}

static void
head_of(const struct world *w, char commit[static 41])
{
    cleanup_free char *path = git_remote_path(w->data, "web");

    CHECK(git_remote_resolve(path, NULL, NULL, "main", commit, NULL));
}

static int64_t
tell_of_push(struct world *w, const char *branch, const char *commit)
{
    const struct build_request r = {.pipeline = "web", .branch = branch, .commit = commit,
                                    .cause = "BranchEventCause", .unless_known = true};
    int64_t number = 0;
    struct err err;

    if (!pipeline_submit(w->room, &r, &number, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return number;
}

static void
expect_build(const struct world *w, int64_t number, const char *branch, const char *commit, const char *state)
{
    cleanup_json struct json *j = pipeline_build(w->room, "web", number, NULL);

    CHECK_TEXT(json_get_cstr(j, "branch", ""), branch);
    CHECK_TEXT(json_get_cstr(j, "commit", ""), commit);
    CHECK_TEXT(json_get_cstr(j, "state", ""), state);
}

/* With a commit that is not pushed yet, and of which nothing is built: it waits. */
static void
web_with_slow_git(struct world *w)
{
    world_init(w);
    slow_down_git(w);
    room_up(w);
    create(w, "web", NULL);
    set_limits(w, 0, 10);
    commit(w, "echo 'x'", "one");
}

#define WAIT_UNTIL_LOOKED "while [ ! -e ../slow/looked ]; do sleep 0.01; done"

TEST(heads_that_were_compared_while_somebody_pushed_bring_no_older_commit_back)
{
    cleanup(world_done) struct world w = {.reconcile_ms = 20};
    char commit_now[41];

    web_with_slow_git(&w);
    push(&w, "web");
    json_unref(wait_for(&w, "web", 1, "QUEUED"));
    sh(&w, "touch ../slow/hold; " WAIT_UNTIL_LOOKED);
    commit(&w, "echo 'y'", "two");
    push(&w, "web");
    head_of(&w, commit_now);
    CHECK_EQ(tell_of_push(&w, "main", commit_now), 2);
    sh(&w, "git push -q ../data/git/web.git HEAD:refs/heads/side; touch ../slow/go");
    json_unref(wait_for(&w, "web", 3, "QUEUED")); /* by the look after that */
    expect_build(&w, 3, "side", commit_now, "QUEUED");
    expect_build(&w, 2, "main", commit_now, "QUEUED");
}

/* As when somebody deletes a branch and pushes it anew. */
TEST(a_branch_that_is_pushed_anew_while_heads_are_compared_is_not_gone)
{
    cleanup(world_done) struct world w = {.reconcile_ms = 20};
    char commit_now[41];

    web_with_slow_git(&w);
    sh(&w, "git push -q ../data/git/web.git HEAD:refs/heads/side");
    json_unref(wait_for(&w, "web", 1, "QUEUED"));
    sh(&w, "touch ../slow/stop; while [ ! -e ../slow/stopped ]; do sleep 0.01; done");
    sh(&w, "git push -q ../data/git/web.git :side; touch ../slow/hold; rm ../slow/stop; " WAIT_UNTIL_LOOKED);
    commit(&w, "echo 'y'", "two");
    push(&w, "web");
    head_of(&w, commit_now);
    sh(&w, "git push -q ../data/git/web.git HEAD:refs/heads/side");
    CHECK_EQ(tell_of_push(&w, "side", commit_now), 2);
    sh(&w, "touch ../slow/go");
    json_unref(wait_for(&w, "web", 3, "QUEUED")); /* of main, by the look after that */
    expect_build(&w, 3, "main", commit_now, "QUEUED");
    expect_build(&w, 2, "side", commit_now, "QUEUED");
}

struct asking {
    struct world *w;
    int64_t number;
};

static void *
ask_for_the_head(void *arg)
{
    struct asking *a = arg;

    a->number = submit(a->w, "web", "main");
    return NULL;
}

TEST(a_build_of_where_a_branch_stands_is_of_what_was_pushed_while_git_was_asked)
{
    cleanup(world_done) struct world w = {0};
    struct asking asking = {.w = &w};
    char commit_now[41];
    pthread_t thread;

    web_with_slow_git(&w);
    push(&w, "web");
    CHECK_EQ(submit(&w, "web", "main"), 1);
    sh(&w, "touch ../slow/hold");
    CHECK(pthread_create(&thread, NULL, ask_for_the_head, &asking) == 0);
    sh(&w, WAIT_UNTIL_LOOKED);
    commit(&w, "echo 'y'", "two");
    push(&w, "web");
    head_of(&w, commit_now);
    CHECK_EQ(tell_of_push(&w, "main", commit_now), 2);
    sh(&w, "touch ../slow/go");
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQ(asking.number, 3);
    expect_build(&w, 3, "main", commit_now, "QUEUED");
}

static int64_t
build_script(struct world *w, const char *branch, const char *script)
{
    const struct build_request r = {.pipeline = "web",
                                    .branch = branch,
                                    .commit = COMMIT_A,
                                    .message = "x",
                                    .cause = "UserIdCause",
                                    .script = script};
    int64_t number = 0;
    struct err err;

    if (!pipeline_submit(w->room, &r, &number, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return number;
}

#define HOLD(n)                                                                                                  \
    "node { sh 'touch ../up" n "; while [ ! -e ../go" n " ] && [ -e ../up" n " ]; do sleep 0.02; done' }"
#define UNTIL_UP(n) "for i in $(seq 600); do [ -e ../data/workspaces/web/up" n " ] && exit 0; sleep 0.02; done; exit 1"

static void
answer(struct world *w)
{
    cleanup_json struct json *yes = json_parse(STR("{\"proceed\": true, \"by\": \"ann\"}"), NULL);
    struct err err;

    for (int i = 0; i < 600 * CHECK_PATIENCE; i++) {
        if (pipeline_answer(w->room, "web", 1, NULL, yes, &err))
            return;
        (void)pipeline_wait(w->room, 50);
    }
    check_fail(__FILE__, __LINE__, "%s", err.message);
}

/* Two builds run at a time, also when one comes back and others have begun meanwhile. */
TEST(a_build_that_comes_back_waits_for_a_place_and_has_it_before_those_that_are_queued)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *j = NULL;

    web_init(&w, NULL);
    CHECK_EQ(build_script(&w, "a", "input 'on?'\n" HOLD("1")), 1);
    json_unref(wait_for(&w, "web", 1, "RUNNING"));
    CHECK_EQ(build_script(&w, "b", HOLD("2")), 2);
    CHECK_EQ(build_script(&w, "c", HOLD("3")), 3);
    CHECK_EQ(build_script(&w, "d", "echo 'begun'"), 4);
    sh(&w, UNTIL_UP("2"));
    sh(&w, UNTIL_UP("3"));
    answer(&w);
    wait_until_waiting(&w, 1, "Waiting for a place among the builds that run");
    sh(&w, "test ! -e ../data/workspaces/web/up1; touch ../data/workspaces/web/go2");
    sh(&w, UNTIL_UP("1"));
    expect_state(&w, 4, "QUEUED");
    j = pipeline_build(w.room, "web", 1, NULL);
    CHECK(json_get(j, "waitingFor") == NULL);
    sh(&w, "touch ../data/workspaces/web/go1 ../data/workspaces/web/go3");
    for (int64_t i = 1; i <= 4; i++)
        expect_result(&w, "web", i, "SUCCESS");
}

TEST(a_build_that_slept_waits_for_a_place_too_and_may_be_aborted_meanwhile)
{
    cleanup(world_done) struct world w = {0};
    struct err err;

    web_init(&w, NULL);
    CHECK_EQ(build_script(&w, "a", "while (true) { sleep(time: 50, unit: 'MILLISECONDS') }"), 1);
    json_unref(wait_for(&w, "web", 1, "RUNNING"));
    CHECK_EQ(build_script(&w, "b", HOLD("2")), 2);
    CHECK_EQ(build_script(&w, "c", HOLD("3")), 3);
    wait_until_waiting(&w, 1, "Waiting for a place");
    CHECK(pipeline_abort(w.room, "web", 1, &err));
    expect_result(&w, "web", 1, "ABORTED");
    sh(&w, "touch ../data/workspaces/web/go2 ../data/workspaces/web/go3");
    expect_result(&w, "web", 2, "SUCCESS");
    expect_result(&w, "web", 3, "SUCCESS");
    room_lock(w.room);
    CHECK_EQ(w.room->returning + w.room->parked, 0);
    room_unlock(w.room);
}
