/* SPDX-License-Identifier: MIT */
/* What builds of a room know of those before them: what was committed since, how they ended. */
#include "pipeline_setup.h"
#include "pipeline/room.h"
#include "pipeline/run/changes.h"
#include "pipeline/test_history.h"

#define SAY_CHANGES                                                                              \
    "script {\n"                                                                                 \
    "def said = currentBuild.changeSets.collectMany { it.items as List }.collect { c ->\n"       \
    "\"${c.author}/${c.msg}/${c.affectedFiles.collect { it.editType.name + ':' + it.path }}\" }\n" \
    "echo \"changes ${said}\"\n"                                                                 \
    "echo \"previous ${currentBuild.previousBuild?.number} "                                     \
    "${currentBuild.previousBuild?.description} ${currentBuild.previousBuild?.changeSets}\"\n"   \
    "currentBuild.description = \"nr ${env.BUILD_NUMBER}\"\n}\n"

static void
two_more_commits(const struct world *w)
{
    sh(w, "mkdir -p src; echo 1 > src/a.c; echo 1 > 'with blank'; git add .; git commit -q -m 'one\n\nwhy'");
    sh(w, "git mv src/a.c src/b.c; rm 'with blank'; git add -A; git commit -q -m two");
}

#define TWO_COMMITS                                                                         \
    "changes [Ann/one/[add:src/a.c, add:with blank], Ann/two/[delete:src/a.c, add:src/b.c, " \
    "delete:with blank]]\n"

TEST(a_build_knows_what_was_committed_since_the_one_before)
{
    cleanup(world_done) struct world w = {0};

    web_first(&w, SAY_CHANGES);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "changes []\nprevious null null null\n");
    two_more_commits(&w);
    push(&w, "web");
    CHECK_EQ(submit(&w, "web", "main"), 2);
    expect_result(&w, "web", 2, "SUCCESS");
    expect_log(&w, "web", 2, TWO_COMMITS "previous 1 nr 1 []\n");
    CHECK_EQ(submit(&w, "web", "main"), 3);
    expect_result(&w, "web", 3, "SUCCESS");
    expect_log(&w, "web", 3, "changes []\nprevious 2 nr 2 [changes]\n");
}

TEST(a_commit_with_a_long_message_does_not_hide_those_after_it)
{
    cleanup(world_done) struct world w = {0};

    web_first(&w, SAY_CHANGES);
    expect_result(&w, "web", 1, "SUCCESS");
    sh(&w, "(echo long; echo; yes 'a line of a message' | head -100000) > ../message; "
           "echo 1 > long; git add .; git commit -q -F ../message");
    sh(&w, "echo 1 > short; git add .; git commit -q -m short");
    push(&w, "web");
    CHECK_EQ(submit(&w, "web", "main"), 2);
    expect_result(&w, "web", 2, "SUCCESS");
    expect_log(&w, "web", 2, "changes [Ann/long/[add:long], Ann/short/[add:short]]\n");
}

/* A pipeline of the same repository, as one that lies elsewhere. */
static void
make_far(struct world *w)
{
    cleanup_free char *url = text_format("file://%s/git/web.git", w->data);
    struct json *j = NULL;
    struct err err;

    if (!pipeline_create(w->room, "far", url, NULL, &j, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    json_unref(j);
}

/* Fetched with a history of one commit, it knows them all the same. */
TEST(the_changes_of_a_repository_elsewhere_are_fetched_when_they_are_asked_for)
{
    cleanup(world_done) struct world w = {0};

    web_init(&w, NULL);
    make_far(&w);
    commit(&w, SAY_CHANGES, "x");
    push(&w, "web");
    CHECK_EQ(submit(&w, "far", "main"), 1);
    expect_result(&w, "far", 1, "SUCCESS");
    two_more_commits(&w);
    push(&w, "web");
    CHECK_EQ(submit(&w, "far", "main"), 2);
    expect_result(&w, "far", 2, "SUCCESS");
    expect_log(&w, "far", 2, TWO_COMMITS);
}

/* The commit of the build before may be in no history any more, or in no repository. */
TEST(a_force_push_does_not_hide_what_changed)
{
    static const char *const names[] = {"far", "web"};
    cleanup(world_done) struct world w = {0};

    web_init(&w, NULL);
    make_far(&w);
    commit(&w, SAY_CHANGES, "x");
    sh(&w, "echo 1 > one; git add .; git commit -q -m one; echo 2 > two; git add .; git commit -q -m two");
    push(&w, "web");
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ(submit(&w, names[i], "main"), 1);
        expect_result(&w, names[i], 1, "SUCCESS");
    }
    sh(&w, "git reset -q --hard HEAD^; git push -q --force ../data/git/web.git HEAD:main");
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ(submit(&w, names[i], "main"), 2);
        expect_result(&w, names[i], 2, "SUCCESS");
        expect_log(&w, names[i], 2, "changes [Ann/one/[delete:two]]\n");
    }
    sh(&w, "echo 3 > three; git add .; git commit -q --amend -m three; "
           "git push -q --force ../data/git/web.git HEAD:main");
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ(submit(&w, names[i], "main"), 3);
        expect_result(&w, names[i], 3, "SUCCESS");
        expect_log(&w, names[i], 3, "changes [Ann/three/[add:one, add:three]]\n");
    }
    sh(&w, "git commit -q --amend -m four; git push -q --force ../data/git/web.git HEAD:main; "
           "git -C ../data/git/web.git reflog expire --expire=now --all; "
           "git -C ../data/git/web.git gc -q --prune=now");
    CHECK_EQ(submit(&w, "web", "main"), 4);
    expect_result(&w, "web", 4, "SUCCESS");
    expect_log(&w, "web", 4, "WARNING: what has changed is not known: commit ");
    expect_log(&w, "web", 4, " is no longer there (a force push?)\nchanges []\n");
}

TEST(a_changes_own_commits_are_judged_in_all_its_builds)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *change = json_parse(STR("{\"id\":\"7\",\"target\":\"main\"}"), NULL);
    char merge[41];
    struct build_request r = {.pipeline = "web", .branch = "PR-7", .cause = "BranchEventCause",
                              .ref = "refs/pull/7/merge", .commit = merge, .change = change};
    cleanup_free char *path = NULL;
    struct err err;
    int64_t number;

    web_init(&w, NULL);
    commit(&w, SAY_CHANGES "}\n}\nstage('Docs') {\nwhen { changeset 'docs/*' }\nsteps { echo 'docs' }\n}\n"
                           "stage('Why') {\nwhen { changelog 'because' }\nsteps { echo 'why'\n",
           "x");
    push(&w, "web");
    path = git_remote_path(w.data, "web");
    sh(&w, "git checkout -q -b topic; mkdir docs; echo 1 > docs/a; git add .; "
           "git commit -q -m 'the topic\n\nbecause'; git checkout -q main; echo 2 > else; git add .; "
           "git commit -q -m elsewhere; git checkout -q -b merged; git merge -q --no-ff -m merge topic");
    sh(&w, "git push -q ../data/git/web.git HEAD:refs/pull/7/merge");
    CHECK(git_remote_ref(path, NULL, NULL, "refs/pull/7/merge", merge, &err));
    for (int64_t i = 1; i <= 2; i++) {
        CHECK(pipeline_submit(w.room, &r, &number, &err) && number == i);
        expect_result(&w, "web", i, "SUCCESS");
        expect_log(&w, "web", i, "docs\n");
        expect_log(&w, "web", i, "why\n");
    }
    expect_log(&w, "web", 1, "changes [Ann/the topic/[add:docs/a]]\n");
    expect_log(&w, "web", 2, "changes []\n");
}

TEST(a_log_that_is_none_gives_no_commits)
{
    static const char broken[] = "0123456789012345678901234567890123456789\0Ann\0a@b\09223372036854775807\0t\n\nb\0"
                                 "\nM\0a\0R100\0A\0\0Q";
    cleanup_json struct json *none = changes_parse(STR("")), *one = NULL;

    CHECK_EQ(json_size(none), 0);
    one = changes_parse((struct str){broken, sizeof(broken) - 1});
    CHECK_EQ(json_size(one), 1);
    CHECK_EQ(json_size(json_get(json_at(one, 0), "files")), 1);
    CHECK_TEXT(json_get_cstr(json_at(one, 0), "msg", ""), "t");
    CHECK_EQ(json_get_i64(json_at(one, 0), "timestampMs", -1), 0);
    for (size_t i = 0; i < sizeof(broken); i++)
        json_unref(changes_parse((struct str){broken, i}));
}

/* Waits until build `number` asks something. */
static void
wait_for_question(struct world *w, int64_t number)
{
    int64_t until_ms = clock_monotonic_ms() + 12000 * CHECK_PATIENCE;

    while (clock_monotonic_ms() < until_ms) {
        cleanup_json struct json *j = pipeline_build(w->room, "web", number, NULL);
        if (json_size(json_get(j, "inputs")) > 0)
            return;
        (void)pipeline_wait(w->room, 20);
    }
    expect_result(w, "web", number, "RUNNING");
}

#define TWO_MILESTONES                                                             \
    "milestone 1\nsh 'pwd > ../at-$BUILD_NUMBER'\nscript { if (env.BUILD_NUMBER != '2') { input 'go?' } }\n" \
    "milestone(ordinal: 2, label: 'deploy')\necho 'deploys'\n"

TEST(a_newer_build_that_passes_a_milestone_ends_older_ones_that_wait)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *answer = json_parse(STR("{\"proceed\":true,\"by\":\"ann\"}"), NULL);
    struct err err;

    web_first(&w, TWO_MILESTONES "}\npost {\nnotBuilt { echo 'not built' }\naborted { echo 'wrong' }");
    wait_for_question(&w, 1);
    CHECK_EQ(submit(&w, "web", "main"), 2);
    expect_result(&w, "web", 2, "SUCCESS");
    expect_result(&w, "web", 1, "NOT_BUILT");
    expect_log(&w, "web", 1, "not built\nFinished: NOT_BUILT\n");
    sh(&w, "! grep -q deploys ../data/builds/web/1/log");
    sh(&w, "grep -q superseded.by.build.2 ../data/builds/web/1/build.json");
    sh(&w, "test $(cat ../data/workspaces/web/at-1 ../data/workspaces/web/at-2 | sort -u | wc -l) = 2");
    CHECK_EQ(submit(&w, "web", "main"), 3);
    wait_for_question(&w, 3);
    room_down(&w); /* what was passed is known after a restart */
    room_up(&w);
    wait_for_question(&w, 3);
    while (!pipeline_answer(w.room, "web", 3, NULL, answer, &err))
        (void)pipeline_wait(w.room, 20);
    expect_result(&w, "web", 3, "SUCCESS");
    expect_log(&w, "web", 3, "Trying to pass milestone 2\n");
}

static void
answer(struct world *w, int64_t number)
{
    cleanup_json struct json *yes = json_parse(STR("{\"proceed\":true,\"by\":\"ann\"}"), NULL);
    struct err err;

    wait_for_question(w, number);
    while (!pipeline_answer(w->room, "web", number, NULL, yes, &err))
        (void)pipeline_wait(w->room, 20);
}

/* Two of them take all places, and wait for the lock of the third, which waits for an answer. */
#define HOLDS_OR_WAITS                                                                            \
    "script { if (env.BUILD_NUMBER == '3') { lock('db') { input 'go?' } } else { input 'x'\n"       \
    "parallel(a: { lock('db') { echo 'has it' } }, b: { echo 'b' }) } }"

TEST(a_build_that_holds_a_lock_is_taken_up_though_others_that_wait_take_all_places)
{
    cleanup(world_done) struct world w = {0};

    web_init(&w, NULL);
    commit(&w, HOLDS_OR_WAITS, "x");
    sh(&w, "git push -q ../data/git/web.git HEAD:refs/heads/a HEAD:refs/heads/b HEAD:refs/heads/c");
    CHECK_EQ(submit(&w, "web", "a"), 1);
    CHECK_EQ(submit(&w, "web", "b"), 2);
    wait_for_question(&w, 1);
    wait_for_question(&w, 2);
    CHECK_EQ(submit(&w, "web", "c"), 3);
    wait_for_question(&w, 3);
    answer(&w, 1);
    answer(&w, 2);
    sh(&w, "for i in 1 2; do until grep -q 'Trying to acquire' ../data/builds/web/$i/log; do "
           "sleep 0.02; done; done");
    room_down(&w);
    room_up(&w);
    answer(&w, 3);
    for (int64_t i = 1; i <= 3; i++)
        expect_result(&w, "web", i, "SUCCESS");
}

TEST(locks_of_a_build_whose_record_is_lost_are_free_after_a_restart)
{
    cleanup(world_done) struct world w = {0};

    web_first(&w, "script { lock('db') { if (env.BUILD_NUMBER == '1') { input 'x' } } }");
    wait_for_question(&w, 1);
    room_down(&w);
    sh(&w, "grep -q 'web/main#1 ' ../data/builds/locks.json; echo '{' > ../data/builds/web/1/build.json");
    room_up(&w);
    /* The comparison of heads may have asked for one, too. */
    expect_result(&w, "web", submit(&w, "web", "main"), "SUCCESS");
}

TEST(milestones_have_rising_numbers_and_are_not_for_branches)
{
    cleanup(world_done) struct world w = {0};

    web_first(&w, "milestone()\nmilestone label: 'x'\necho 'two'\nmilestone 1\n");
    expect_result(&w, "web", 1, "FAILURE");
    expect_log(&w, "web", 1, "Trying to pass milestone 0\nTrying to pass milestone 1\ntwo\n"
                             "ERROR: Invalid ordinal 1, as the previous one was 1\n");
    CHECK_EQ(web_build(&w, "script { parallel(a: { milestone 1 }) }", "y"), 2);
    expect_result(&w, "web", 2, "FAILURE");
    expect_log(&w, "web", 2, "Using a milestone step inside parallel is not allowed");
}

#define IN_CATEGORY                                                                     \
    "properties([throttleJobProperty(categories: ['deploy'], throttleEnabled: true, "   \
    "throttleOption: 'category')])\nnode { sh 'while [ ! -e ../go ]; do sleep 0.02; done' }\n"

TEST(builds_of_a_category_wait_in_the_queue)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *third = NULL;
    const char *file = "printf '%s' \"$TEXT\" > Jenkinsfile; git add .; git commit -q -m x";

    web_init(&w, NULL);
    sh(&w, "echo '{\"deploy\": -1}' > ../data/throttle.json"); /* no limit, as if it was not there */
    create(&w, "shop", NULL);
    setenv("TEXT", IN_CATEGORY, 1);
    sh(&w, file);
    push(&w, "web");
    push(&w, "shop");
    sh(&w, "mkdir -p ../data/workspaces/web ../data/workspaces/shop; "
           "touch ../data/workspaces/web/go ../data/workspaces/shop/go");
    CHECK_EQ(submit(&w, "web", "main"), 1);
    CHECK_EQ(submit(&w, "shop", "main"), 1);
    expect_result(&w, "web", 1, "SUCCESS"); /* from now on their properties are known */
    expect_result(&w, "shop", 1, "SUCCESS");
    sh(&w, "rm ../data/workspaces/web/go");
    CHECK_EQ(submit(&w, "web", "main"), 2);
    json_unref(wait_for(&w, "web", 2, "RUNNING"));
    CHECK_EQ(submit(&w, "shop", "main"), 2);
    (void)pipeline_wait(w.room, 50);
    third = pipeline_build(w.room, "shop", 2, NULL);
    CHECK_TEXT(json_get_cstr(third, "state", ""), "QUEUED");
    sh(&w, "touch ../data/workspaces/web/go");
    expect_result(&w, "web", 2, "SUCCESS");
    expect_result(&w, "shop", 2, "SUCCESS");
}

/* Reports a test each: "a" as it stands in the file `a`, and "b" as in `b`. */
#define REPORT                                                                                    \
    "sh \"echo \\\"<testsuite><testcase classname='x.Y' name='a'>\\$(cat a)</testcase>"            \
    "<testcase name='b'>\\$(cat b)</testcase></testsuite>\\\" > r.xml\"\n"                         \
    "script { def t = junit 'r.xml'; echo \"counts ${t.totalCount} ${t.failCount} ${t.passCount}\" }\n"

static int64_t
report(struct world *w, const char *a, const char *b)
{
    setenv("A", a, 1);
    setenv("B", b, 1);
    sh(w, "printf '%s' \"$A\" > a; printf '%s' \"$B\" > b; git add .; git commit -q --allow-empty -m x");
    push(w, "web");
    return submit(w, "web", "main");
}

TEST(tests_of_one_name_are_told_apart_and_do_not_pile_up)
{
    cleanup(world_done) struct world w = {0};

    web_first(&w, "sh \"(echo '<testsuite>'; yes '<testcase name=\\\"x\\\"/>' | head -5000; "
                  "echo '</testsuite>') > r.xml\"\njunit 'r.xml'\njunit 'r.xml'\n");
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "Tests: 5000, failed: 0, skipped: 0\n");
    sh(&w, "grep -q '\"x #5000\"' ../data/builds/web/1/tests.json");
}

TEST(the_log_says_how_many_results_are_kept)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *j = NULL;

    web_first(&w, "sh \"(echo '<testsuite>'; yes '<testcase name=\\\"x\\\"/>' | head -100001; "
                  "echo '</testsuite>') > r.xml\"\njunit 'r.xml'\n"
                  "sh \"echo '<testsuite><testcase name=\\\"y\\\"/></testsuite>' > s.xml\"\njunit 's.xml'\n");
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "Tests: 100001, failed: 0, skipped: 0\n"
                             "WARNING: the results of 100000 of these tests are kept\n");
    /* There is room for those of one step only. */
    expect_log(&w, "web", 1, "Tests: 1, failed: 0, skipped: 0\n"
                             "WARNING: the results of 0 of these tests are kept\n");
    j = pipeline_build(w.room, "web", 1, NULL);
    CHECK_EQ(json_get_i64(json_get(j, "tests"), "notKept", 0), 2);
}

TEST(what_a_step_had_no_room_for_counts_once_if_naru_was_killed_in_it)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *cases = json_parse(STR("{\"z\": \"P\"}"), NULL);
    struct build *b;

    web_first(&w, "echo 'x'");
    expect_result(&w, "web", 1, "SUCCESS");
    room_lock(w.room);
    b = pipeline_find_build(&w.room->store, "web", 1);
    room_unlock(w.room);
    json_unref(room_tests(w.room, b, "-3", cases, 3));
    for (int i = 0; i < 2; i++) /* its end was not recorded: it is done again */
        json_unref(room_tests(w.room, b, "-4", cases, 6));
    CHECK_EQ(json_get_i64(b->tests, "notKept", 0), 2 + 5);
    CHECK_EQ(json_get_i64(b->tests, "total", 0), 2);
}

TEST(tests_have_a_history)
{
    static const char *const auth[] = {"Authorization: let me in", NULL};
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf answer = {0}, again = {0};
    cleanup_json struct json *j = NULL;
    const struct json *failed;

    web_init(&w, NULL);
    commit(&w, REPORT, "x");
    CHECK_EQ(report(&w, "", "<failure/>"), 1);
    expect_result(&w, "web", 1, "UNSTABLE");
    expect_log(&w, "web", 1, "Tests: 2, failed: 1, skipped: 0\ncounts 2 1 1\n"); /* nothing new: the first */
    CHECK_EQ(report(&w, "<failure/>", ""), 2);
    expect_result(&w, "web", 2, "UNSTABLE");
    expect_log(&w, "web", 2, "Newly failing: x.Y.a\nFixed: b\n");
    CHECK_EQ(report(&w, "<failure/>", "<flakyFailure/>"), 3);
    expect_result(&w, "web", 3, "UNSTABLE");
    expect_log(&w, "web", 3, "skipped: 0\nFlaky: b\n");
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/3/tests", NULL, auth, &answer), 200);
    j = json_parse(strbuf_str(&answer), NULL);
    CHECK_EQ(json_get_i64(json_get(j, "counts"), "flaky", 0), 1);
    failed = json_at(json_get(j, "failed"), 0);
    CHECK_TEXT(json_get_cstr(failed, "name", ""), "x.Y.a");
    CHECK_EQ(json_get_i64(failed, "failingSince", 0), 2);
    CHECK_EQ(json_size(json_get(failed, "results")), 3);
    CHECK_TEXT(json_get_cstr(json_at(json_get(failed, "results"), 2), "status", ""), "PASSED");
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/9/tests", NULL, auth, NULL), 404);
    /* Of a build that is over it is kept: earlier builds may go. */
    sh(&w, "rm ../data/builds/web/[123]/tests.json");
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/3/tests", NULL, auth, &again), 200);
    CHECK_TEXT(strbuf_cstr(&again), strbuf_cstr(&answer));
    sh(&w, "echo '{' > ../data/builds/web/3/tests-report.json");
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/3/tests", NULL, auth, NULL), 404);
}

TEST(artifacts_are_listed_and_fetched_and_nothing_else)
{
    static const char *const auth[] = {"Authorization: let me in", NULL};
    static const char *const refused[] = {"none", "../log", "link", "folder/log", "dir", "%2e%2e/log", "dir/../../log", "pipe", "dir%2"};
    cleanup(world_done) struct world w = {0};
    cleanup(strbuf_done) struct strbuf answer = {0};

    web_first(&w, "sh 'mkdir -p \"dir/a b\" && printf one > \"dir/a b/x&y.txt\" && : > empty'\narchiveArtifacts 'dir/**, empty'");
    expect_result(&w, "web", 1, "SUCCESS");
    sh(&w, "cd ../data/builds/web/1/artifacts && ln -s ../log link && ln -s .. folder && mkfifo pipe");
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/1/artifacts", NULL, auth, &answer), 200);
    CHECK_TEXT(strbuf_cstr(&answer), "{\"artifacts\":[{\"path\":\"dir/a b/x&y.txt\",\"size\":3},{\"path\":\"empty\",\"size\":0}]}");
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/1/artifacts/dir/a%20b/x%26y.txt", NULL, auth, &answer), 200);
    CHECK_TEXT(strbuf_cstr(&answer), "one");
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/1/artifacts/empty", NULL, auth, &answer), 200);
    CHECK_TEXT(strbuf_cstr(&answer), "");
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        cleanup_free char *path = text_format("/naru/builds/web/1/artifacts/%s", refused[i]);
        const int status = call(&w, "GET", path, NULL, auth, &answer);
        if (status < 400 || status >= 500)
            check_fail(__FILE__, __LINE__, "%s: %d %s", refused[i], status, strbuf_cstr(&answer));
    }
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/1/artifacts/empty", NULL, NULL, NULL), 401);
    CHECK_EQ(call(&w, "POST", "/naru/builds/web/1/artifacts", "{}", auth, NULL), 405);
    CHECK_EQ(call(&w, "GET", "/naru/builds/web/2/artifacts", NULL, auth, NULL), 404);
}

TEST(what_passes_and_fails_on_one_commit_is_flaky)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *build = NULL;

    web_init(&w, NULL);
    commit(&w, "sh 'echo \"$([ $BUILD_NUMBER = 1 ] && echo \"<failure/>\")\" > a; : > b'\n" REPORT, "x");
    push(&w, "web");
    CHECK_EQ(submit(&w, "web", "main"), 1);
    expect_result(&w, "web", 1, "UNSTABLE");
    CHECK_EQ(submit(&w, "web", "main"), 2);
    expect_result(&w, "web", 2, "SUCCESS");
    expect_log(&w, "web", 2, "Fixed: x.Y.a\nFlaky: x.Y.a\n");
    room_down(&w);
    room_up(&w);
    build = pipeline_build(w.room, "web", 2, NULL);
    CHECK_EQ(json_get_i64(json_get(build, "tests"), "fixed", 0), 1);
    CHECK_EQ(json_get_i64(json_get(build, "tests"), "total", 0), 2);
}

/* Elsewhere, so that it has to be fetched, into the one repository that the build has. */
TEST(branches_that_ask_for_changes_at_once_all_hear_of_them)
{
    cleanup(world_done) struct world w = {0};
    cleanup_free char *url = NULL;
    struct json *j = NULL;
    struct err err;

    web_init(&w, NULL);
    url = text_format("file://%s/git/web.git", w.data);
    CHECK(pipeline_create(w.room, "far", url, NULL, &j, &err));
    json_unref(j);
    commit(&w, "script {\n"
               "  def at = [:]\n"
               "  for (int i = 0; i < 8; i++) { def n = i\n"
               "    at[\"b$n\"] = { def c = 0\nfor (s in currentBuild.changeSets) { c += s.items.size() }\necho \"n ${c}\" } }\n"
               "  parallel at\n}", "x");
    push(&w, "web");
    CHECK_EQ(submit(&w, "far", "main"), 1);
    expect_result(&w, "far", 1, "SUCCESS");
    two_more_commits(&w);
    push(&w, "web");
    CHECK_EQ(submit(&w, "far", "main"), 2);
    expect_result(&w, "far", 2, "SUCCESS");
    sh(&w, "test $(grep -c 'n 2$' ../data/builds/far/2/log) = 8 || { cat ../data/builds/far/2/log; exit 1; }");
}
