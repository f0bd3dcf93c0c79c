/* SPDX-License-Identifier: MIT */
/* Builds of a room: they go on after restarts, ask people, start others, and are started by the clock. */
#include "pipeline_setup.h"
#include "lock_setup.h"
#include "pipeline/room.h"
#include "pipeline/secrets.h"

/* A room after a restart, whose builds have yet to get a thread. */
static void
room_wake(struct pipeline_room *room, const struct world *w)
{
    struct err err;

    *room = (struct pipeline_room){.config.data_dir = w->data,
                                   .mutex = PTHREAD_MUTEX_INITIALIZER,
                                   .changed = PTHREAD_COND_INITIALIZER};
    CHECK(pipeline_store_open(&room->store, w->data, &err));
    room->locks = lock_table_new(NULL);
}

static void
room_sleep(struct pipeline_room *room)
{
    lock_table_free(room->locks);
    pipeline_store_done(&room->store);
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

    web_first(&w, WAITING_STEP);
    sh(&w, WAIT_UNTIL_UP);
    follower = w;
    CHECK(pthread_create(&thread, NULL, follow_the_log, &follower) == 0);
    while (atomic_load(&let_in) == 0)
        clock_sleep_ms(5);
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

    web_init(&w, NULL);
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

    web_first(&w, WAITING_STEP "\n}\npost {\naborted { echo 'cleaned up' }");
    sh(&w, WAIT_UNTIL_UP);
    room_down(&w);
    sh(&w, IS_ALIVE);
    room_up(&w);
    CHECK(pipeline_abort(w.room, "web", 1, &err));
    expect_result(&w, "web", 1, "ABORTED");
    expect_log(&w, "web", 1, "cleaned up");
    sh(&w, IS_GONE);
}

/* The forge made the merge while the build ran: half a build of one commit and half of another is none. */
TEST(a_change_that_is_taken_up_stays_at_its_commit)
{
    cleanup(world_done) struct world w = {0};
    char topic[41];
    struct build_request r = {.pipeline = "web", .branch = "PR-7", .cause = "BranchEventCause",
                              .ref = "refs/pull/7/merge", .commit = topic, .head = topic};
    cleanup_json struct json *ended = NULL;
    cleanup_free char *path = NULL;
    struct err err;
    int64_t number;

    web_init(&w, NULL);
    commit(&w, WAITING_STEP "\nsh 'echo at $GIT_COMMIT'", "x");
    sh(&w, "git push -q ../data/git/web.git HEAD:refs/pull/7/head");
    path = git_remote_path(w.data, "web");
    CHECK(git_remote_ref(path, NULL, NULL, "refs/pull/7/head", topic, &err));
    CHECK(pipeline_submit(w.room, &r, &number, &err) && number == 1);
    sh(&w, "for i in $(seq 300); do [ -e ../data/workspaces/web/up ] && exit 0; sleep 0.05; done; exit 1");
    room_down(&w);
    sh(&w, "git commit -q --allow-empty -m merge; git push -q ../data/git/web.git HEAD:refs/pull/7/merge");
    room_up(&w);
    sh(&w, "touch ../data/workspaces/web/go");
    expect_result(&w, "web", 1, "SUCCESS");
    ended = pipeline_build(w.room, "web", 1, NULL);
    CHECK_TEXT(json_get_cstr(ended, "commit", ""), topic);
}

TEST(a_branch_with_an_at_sign_has_a_workspace_of_its_own)
{
    cleanup(world_done) struct world w = {0};
    struct build_request r = {.pipeline = "web", .branch = "main@2", .cause = "UserIdCause"};
    struct err err;
    int64_t number;

    web_init(&w, NULL);
    commit(&w, "sh 'pwd'", "x");
    sh(&w, "git push -q ../data/git/web.git HEAD:refs/heads/main@2");
    CHECK(pipeline_submit(w.room, &r, &number, &err));
    expect_result(&w, "web", number, "SUCCESS");
    expect_log(&w, "web", number, "/workspaces/web/main%402\n");
}

/* The first one is for the script to see, and it may catch it; the second one nothing catches. */
TEST(a_second_abort_ends_what_caught_the_first)
{
    cleanup(world_done) struct world w = {0};
    struct err err;

    web_first(&w, "script { int n = 0; while (true) { try { sh 'touch ../up; sleep 0.1' }\n"
                  "catch (e) { n++; sh \"echo caught ${n} of ${e.causes[0].user}; touch ../caught\" } } }\n"
                  "}\npost {\nalways { echo 'never said' }");
    sh(&w, WAIT_UNTIL_UP);
    CHECK(pipeline_abort(w.room, "web", 1, &err));
    sh(&w, "for i in $(seq 200); do [ -e ../data/workspaces/web/caught ] && exit 0; sleep 0.05; "
           "done; exit 1");
    CHECK(pipeline_abort(w.room, "web", 1, &err));
    expect_result(&w, "web", 1, "ABORTED");
    expect_log(&w, "web", 1, "caught 1 of somebody\n");
    sh(&w, "! grep -q 'caught 2' ../data/builds/web/1/log && "
           "! grep -q 'never said' ../data/builds/web/1/log");
}

TEST(a_pipeline_of_thousands_of_branches_is_there_after_a_restart)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *given = json_object();
    struct pipeline_room room;
    struct pipeline *p;
    struct err err;

    web_init(&w, NULL);
    room_down(&w);
    json_set(given, "triggers", json_array());
    room_wake(&room, &w);
    p = room.store.pipelines[0];
    p->properties = json_object();
    for (int i = 1; i <= 5000; i++) {
        cleanup_free char *branch = text_format("PR-%d", i);
        json_set(p->properties, branch, json_copy(given));
    }
    CHECK(pipeline_store_save(&room.store, p, &err));
    room_sleep(&room);
    room_wake(&room, &w);
    CHECK_EQ(room.store.count, 1);
    CHECK(pipeline_gone(&room, "web", "PR-7", 0));
    room_sleep(&room);
    room_wake(&room, &w);
    p = room.store.pipelines[0];
    CHECK(json_get(p->properties, "PR-7") == NULL && json_get(p->properties, "PR-8") != NULL);
    room_sleep(&room);
}

TEST(what_was_private_to_a_build_goes_with_it_in_all_its_workspaces)
{
    cleanup(world_done) struct world w = {0};

    web_first(&w, "script { node { sh 'ls -d $WORKSPACE_TMP; echo secret > $WORKSPACE_TMP/s' } }");
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "/workspaces/web/main@2@tmp\n");
    sh(&w, "test ! -e ../data/workspaces/web/main@2@tmp");
}

TEST(a_build_that_is_to_be_taken_up_is_not_dropped_with_its_branch)
{
    cleanup(world_done) struct world w = {0};
    struct pipeline_room room;

    web_first(&w, WAITING_STEP);
    sh(&w, WAIT_UNTIL_UP);
    room_down(&w);
    room_wake(&room, &w);
    room_recover(&room, room.store.pipelines[0]);
    CHECK(pipeline_gone(&room, "web", "main", 0));
    CHECK_EQ(room.store.pipelines[0]->builds[0]->state, BUILD_QUEUED);
    room_sleep(&room);
    expect_to_go_on(&w);
}

TEST(a_build_that_is_given_up_leaves_no_lock_and_no_journal)
{
    cleanup(world_done) struct world w = {0};
    struct pipeline_room room;

    web_first(&w, WAITING_STEP);
    sh(&w, WAIT_UNTIL_UP);
    room_down(&w);
    room_wake(&room, &w);
    room.store.pipelines[0]->builds[0]->resumed = BUILD_RESUMES_MAX;
    CHECK(take_lock(room.locks, "db", "web/main#1 -3"));
    room_recover(&room, room.store.pipelines[0]);
    CHECK_EQ(room.store.pipelines[0]->builds[0]->state, BUILD_ENDED);
    CHECK(try_lock(room.locks, "db", "web/main#2 -3"));
    sh(&w, IS_GONE);
    sh(&w, "test ! -e ../data/builds/web/1/run");
    room_sleep(&room);
}

TEST(a_build_that_is_aborted_while_it_waits_for_its_thread_is_taken_up_to_end)
{
    cleanup(world_done) struct world w = {0};
    struct pipeline_room room;
    struct err err;

    web_first(&w, WAITING_STEP);
    sh(&w, WAIT_UNTIL_UP);
    room_down(&w);
    room_wake(&room, &w);
    room_recover(&room, room.store.pipelines[0]);
    CHECK(pipeline_abort(&room, "web", 1, &err)); /* saves it as it is, queued */
    room_sleep(&room);
    room_wake(&room, &w);
    room_recover(&room, room.store.pipelines[0]);
    CHECK_EQ(room.to_take_up, 1);
    CHECK_EQ(room.store.pipelines[0]->builds[0]->resumed, 2);
    room_sleep(&room);
    room_up(&w);
    expect_result(&w, "web", 1, "ABORTED");
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

    web_first(
        &w,
        "script { def v = input(message: 'Where to?', id: 'where', submitter: 'anna, bert', "
        "submitterParameter: 'WHO', parameters: [choice(name: 'PLACE', choices: ['here', 'there']),"
        " booleanParam(name: 'FAST', defaultValue: true)])\n"
        "echo \"to ${v.PLACE} ${v.FAST} ${v.WHO}\" } }\n}\n"
        "stage('Deploy') {\n input { message 'Deploy?'\n parameters { string(name: 'TAG', "
        "defaultValue: 'v0') } }\n steps { sh 'echo \"tag $TAG\" | cat'");
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

    web_first(&w, "input 'Sure?'\n}\npost {\naborted { echo 'it was not sure' }");
    for (int i = 0; i < 200 * CHECK_PATIENCE && say(&w, "{\"proceed\": false, \"by\": \"anna\"}") != 202; i++)
        clock_sleep_ms(50);
    expect_result(&w, "web", 1, "ABORTED");
    expect_log(&w, "web", 1, "ERROR: Rejected by anna\n");
    expect_log(&w, "web", 1, "it was not sure");
}

TEST(builds_that_wait_for_people_do_not_hold_up_others)
{
    cleanup(world_done) struct world w = {0};

    web_init(&w, NULL);
    commit(&w, "script { if (env.BRANCH_NAME == 'ask1') { input 'Sure?' }\n"
               " if (env.BRANCH_NAME ==~ /ask[23]/) { parallel a: { input 'Sure?' }, b: { input 'Really?' } }\n"
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

    web_init(&w, NULL);
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

TEST(password_parameters_are_in_nobody_s_sight)
{
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf out = {0};
    static const char *const auth[] = {"Authorization: let me in", NULL};

    web_init(&w, NULL);
    commit(&w, "sh 'echo \"says $PW to $WHO\"; printf %s \"$PW\" > ../pw'\n}\n}\n}\nparameters {\n"
               "password(name: 'PW', defaultValue: '')\nstring(name: 'WHO')\n}\n"
               "post { always { script {",
           "x");
    push(&w, "web");
    CHECK_EQ(call(&w, "POST", "/naru/builds",
                  "{\"pipeline\": \"web\", \"branch\": \"main\", \"parameters\": {\"PW\": \"open sesame\", "
                  "\"WHO\": \"the rock\"}}",
                  auth, NULL),
             202);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "says **** to the rock\n");
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/1", NULL, auth, &out), 200);
    CHECK(strstr(strbuf_cstr(&out), "sesame") == NULL && strstr(strbuf_cstr(&out), "the rock") != NULL);
    sh(&w, "grep -q sesame ../data/workspaces/web/pw && ! grep -rq sesame ../data/builds ../data/secrets");
    room_down(&w);
    room_up(&w); /* and yet it is known */
    sh(&w, "rm ../data/workspaces/web/pw");
    CHECK_EQ(call(&w, "POST", "/naru/builds/web/1/replay", "{}", auth, NULL), 202);
    expect_result(&w, "web", 2, "SUCCESS");
    sh(&w, "grep -q sesame ../data/workspaces/web/pw");
}

/* The record of build 1 of "web", written as text. */
static struct build *
load_record(const struct world *w, const char *text)
{
    cleanup_free char *directory = build_directory(w->data, "web", 1);
    cleanup_free char *path = text_format("%s/build.json", directory);
    struct err err;
    struct build *b;

    CHECK(file_make_dirs(directory, 0755, &err));
    if (text != NULL)
        CHECK(file_write_atomic(path, str_of(text), 0640, &err));
    b = build_load(w->data, "web", 1, &err);
    if (b == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return b;
}

TEST(parameters_on_disk_are_sealed)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    struct build *b = load_record(&w, "{\"pipeline\":\"web\",\"number\":1,\"state\":\"QUEUED\","
                                      "\"parameters\":{\"PW\":\"sesame\"}}"); /* of an earlier version */
    cleanup_json struct json *shown = build_to_public_json(b, false);
    CHECK_TEXT(json_get_cstr(json_get(shown, "parameters"), "PW", ""), "****");
    build_free(b);
    sh(&w, "! grep -q sesame ../data/builds/web/1/build.json");
    b = load_record(&w, NULL);
    CHECK_TEXT(json_get_cstr(b->parameters, "PW", ""), "sesame");
    CHECK_EQ(b->state, BUILD_QUEUED);
    build_free(b);
    sh(&w, "cp -p ../data/secrets/key .. && head -c 32 /dev/zero > ../data/secrets/key");
    b = load_record(&w, NULL); /* nothing is built with other values than were given */
    CHECK(b->parameters == NULL && b->state == BUILD_ENDED && b->result == RESULT_FAILURE);
    CHECK(strstr(b->reason, "its parameters cannot be read") != NULL);
    build_free(b);
    sh(&w, "mv ../key ../data/secrets/key");
    b = load_record(&w, NULL); /* once its key is back it is known, and not built after all */
    CHECK_TEXT(json_get_cstr(b->parameters, "PW", ""), "sesame");
    CHECK(b->state == BUILD_ENDED && b->result == RESULT_FAILURE && b->ended_ms > 0);
    build_free(b);
}

TEST(builds_start_builds_and_wait_for_them)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    room_up(&w);
    create(&w, "lib", NULL);
    create(&w, "after", NULL);
    create(&w, "web", NULL);
    commit(&w, "echo \"lib for ${params.WHO} by ${currentBuild.upstreamBuilds.collect { "
               "it.fullProjectName + '#' + it.number }}\"\n}\n}\n}\nparameters { string(name: 'WHO')\n}\n"
               "post { always { script { if (params.WHO == 'bad') { error 'no' }",
           "lib");
    push(&w, "lib");
    commit(&w, "echo \"came after ${currentBuild.upstreamBuilds.collect { it.fullDisplayName + ' ' + "
               "it.result + it.previousBuild + it.nextBuild + it.changeSets + it.upstreamBuilds }}\"\n}\n}\n}\ntriggers { upstream(upstreamProjects: 'web', threshold: "
               "'FAILURE')\n}\npost { always { script {",
           "after");
    push(&w, "after");
    CHECK_EQ(submit(&w, "after", "main"), 1);
    expect_result(&w, "after", 1, "SUCCESS"); /* from now on it is registered */
    commit(&w, "script { def b = build(job: 'lib', parameters: [string(name: 'WHO', value: 'web')])\n"
               "echo \"lib was ${b.result} #${b.number}\"\n"
               "echo \"asked: ${b.getResult()} ${b.getNumber() + 1} ${b.getBuildVariables().WHO} ${b.getFullDisplayName()}\"\n"
               "def c = build(job: 'lib/main', propagate: false, parameters: [string(name: 'WHO', "
               "value: 'bad')])\necho \"then ${c.result} ${c.displayName} of ${c.buildVariables.WHO}, ${c.projectName}\"\n"
               "build job: '../lib/main', parameters: [string(name: 'WHO', value: 'bad')] }",
           "web");
    push(&w, "web");
    CHECK_EQ(submit(&w, "web", "main"), 1);
    expect_result(&w, "web", 1, "FAILURE");
    expect_log(&w, "web", 1, "lib was SUCCESS #1\n");
    expect_log(&w, "web", 1, "asked: SUCCESS 2 web lib » main #1\n");
    expect_log(&w, "web", 1, "then FAILURE #2 of bad, main\n");
    expect_log(&w, "web", 1, "ERROR: ../lib/main #3 completed with status FAILURE");
    expect_log(&w, "lib", 1, "lib for web by [web/main#1]\n");
    json_unref(wait_for(&w, "after", 2, "ENDED"));
    expect_result(&w, "after", 2, "SUCCESS");
    expect_log(&w, "after", 1, "came after []\n");
    expect_log(&w, "after", 2, "came after [web » main #1 FAILUREnullnull[][]]\n");
}

/* What comes behind the step is not done, and the build ends with the result of the other one. */
TEST(a_build_takes_over_the_result_of_the_one_that_it_started)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    room_up(&w);
    create(&w, "lib", NULL);
    create(&w, "web", NULL);
    commit(&w, "unstable 'careful'", "lib");
    push(&w, "lib");
    sh(&w, "git push -q ../data/git/lib.git HEAD:refs/heads/feature/x");
    commit(&w, "script { def f = build(job: 'lib/feature/x', propagate: false)\necho \"it is ${f.fullDisplayName} of ${f.projectName}\" }\n"
               "catchError(buildResult: 'FAILURE') { build 'lib' }\n"
               "script { try { retry(2) { build 'lib' } } catch (e) { echo \"caught ${e.class.simpleName}\" } }\n"
               "catchError(catchInterruptions: false) { build 'lib' }\n"
               "build 'lib'\necho 'never'\n}\npost { unstable { echo 'post of unstable' }\n failure { echo 'post of failure' }",
           "web");
    push(&w, "web");
    CHECK_EQ(submit(&w, "web", "main"), 1);
    expect_result(&w, "web", 1, "UNSTABLE");
    expect_log(&w, "web", 1, "it is lib » feature%2Fx #1 of feature%2Fx\n");
    expect_log(&w, "web", 1, "caught FlowInterruptedException\n");
    expect_log(&w, "web", 1, "lib #6 completed with status UNSTABLE (propagate: false to ignore)\n");
    expect_log(&w, "web", 1, "post of unstable\n");
    sh(&w, "! grep -q 'never\\|post of failure' ../data/builds/web/1/log");
}

#define LEAP_DAY_MS INT64_C(1835438400000) /* a noon that the room's own clock does not come to meanwhile */

TEST(the_clock_starts_builds_and_old_ones_are_discarded)
{
    cleanup(world_done) struct world w = {0};

    web_first(&w, "echo \"cause ${currentBuild.getBuildCauses()[0]._class}\"\n}\n}\n}\n"
                  "triggers { cron('TZ=UTC\\n* * 29 2 *')\n}\n"
                  "options { buildDiscarder(logRotator(numToKeepStr: '2'))\n}\n"
                  "post { always { script {");
    expect_result(&w, "web", 1, "SUCCESS");
    room_down(&w); /* what the file said of its job is on disk */
    room_up(&w);
    for (int number = 2; number <= 4; number++) {
        room_minute(w.room, LEAP_DAY_MS);
        expect_result(&w, "web", number, "SUCCESS");
        expect_log(&w, "web", number, "TimerTrigger");
    }
    sh(&w, "for i in $(seq 100); do [ -e ../data/builds/web/2 ] || break; sleep 0.05; done; "
           "test ! -e ../data/builds/web/1 && test ! -e ../data/builds/web/2 && "
           "test -e ../data/builds/web/3");
}

TEST(a_newer_build_may_abort_the_one_that_runs)
{
    cleanup(world_done) struct world w = {0};

    web_first(
        &w, "sh 'if [ $BUILD_NUMBER = 1 ]; then touch ../up; sleep 1000; fi'\n}\n}\n}\n"
            "options { disableConcurrentBuilds(abortPrevious: true)\n}\npost { always { script {");
    sh(&w, WAIT_UNTIL_UP);
    CHECK_EQ(submit(&w, "web", "main"), 2);
    expect_result(&w, "web", 1, "ABORTED");
    expect_result(&w, "web", 2, "SUCCESS");
}

TEST(a_build_is_replayed_from_a_stage_and_with_another_file)
{
    cleanup(world_done) struct world w = {0};
    static const char *const auth[] = {"Authorization: let me in", NULL};

    web_init(&w, NULL);
    commit(&w,
           "echo 'first stage'\n}\n}\nstage('Two') {\nsteps {\necho \"second ${params.A}\"\n}\n}\n"
           "stage('Three') {\nwhen { isRestartedRun() }\nsteps {\necho 'only again'\n}\n}\n}\n"
           "parameters { string(name: 'A', defaultValue: 'x')\n}\npost { always { script {",
           "x");
    push(&w, "web");
    CHECK_EQ(call(&w, "POST", "/naru/builds",
                  "{\"pipeline\": \"web\", \"branch\": \"main\", \"parameters\": {\"A\": \"y\"}}",
                  auth, NULL),
             202);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "first stage\nsecond y\n");
    sh(&w, "! grep -q 'only again' ../data/builds/web/1/log");
    CHECK_EQ(call(&w, "POST", "/naru/builds/web/1/replay", "{\"stage\": \"Two\"}", auth, NULL), 202);
    expect_result(&w, "web", 2, "SUCCESS");
    expect_log(&w, "web", 2, "Stage \"One\" skipped due to this build restarting at stage \"Two\"\n"
                             "second y\nonly again\n");
    CHECK_EQ(call(&w, "POST", "/naru/builds/web/1/replay",
                  "{\"jenkinsfile\": \"echo 'edited'\"}", auth, NULL),
             202);
    expect_result(&w, "web", 3, "SUCCESS");
    expect_log(&w, "web", 3, "edited\nFinished: SUCCESS\n");
    CHECK_EQ(call(&w, "POST", "/naru/builds/web/1/replay", "{\"stage\": \"None\"}", auth, NULL), 202);
    expect_result(&w, "web", 4, "FAILURE");
    expect_log(&w, "web", 4, "there is no stage 'None' to restart from");
    CHECK_EQ(call(&w, "POST", "/naru/builds/web/9/replay", "{}", auth, NULL), 404);
}

TEST(what_is_purged_leaves_no_script_behind)
{
    cleanup(world_done) struct world w = {0};

    web_first(&w, WAITING_STEP);
    sh(&w, WAIT_UNTIL_UP);
    room_down(&w);
    sh(&w, IS_ALIVE);
    pipeline_purge(w.data);
    sh(&w, IS_GONE);
}

struct other_host {
    atomic_int calls, logins;
};

static void
look_for_login(struct http_exchange *x, void *ctx)
{
    struct other_host *f = ctx;

    atomic_fetch_add(&f->calls, 1);
    atomic_fetch_add(&f->logins, http_header_get(x, "Authorization").len > 0);
    http_reply(x, 404, NULL, STR("not here"));
}

TEST(githubs_token_goes_to_no_other_host)
{
    cleanup(world_done) struct world w = {0};
    struct other_host f = {0};
    const struct http_route route = {.prefix = "/", .end = look_for_login, .ctx = &f};
    struct err err = {0};
    struct http_server *server = http_server_start("127.0.0.1", 0, &route, 1, &err);
    cleanup_json struct json *secret = json_object(), *other = NULL, *tied = NULL;
    int64_t number;

    world_init(&w);
    room_up(&w);
    cleanup_free char *directory = text_format("%s/secrets", w.data);
    cleanup_free char *url = text_format("http://127.0.0.1:%u/x.git", http_server_port(server));
    json_set(secret, "kind", json_text("text"));
    json_set(secret, "text", json_text("ghp_0123456789"));
    CHECK(secrets_set(directory, "github", secret, NULL, &err));
    CHECK(pipeline_create(w.room, "other", url, NULL, &other, &err));
    CHECK(pipeline_create(w.room, "tied", url, "acme/x", &tied, &err));
    struct build_request r = {.pipeline = "other", .branch = "main", .cause = "UserIdCause"};
    CHECK(!pipeline_submit(w.room, &r, &number, &err));
    CHECK(f.calls > 0);
    CHECK_EQ(f.logins, 0);
    r.pipeline = "tied";
    CHECK(!pipeline_submit(w.room, &r, &number, &err));
    CHECK(f.logins > 0);
    http_server_stop(server);
}
