/* SPDX-License-Identifier: MIT */
/* What builds of a room know of those before them: what was committed since, how they ended. */
#include "pipeline_setup.h"
#include "pipeline/run/changes.h"

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

/* Fetched with a history of one commit, it knows them all the same. */
TEST(the_changes_of_a_repository_elsewhere_are_fetched_when_they_are_asked_for)
{
    cleanup(world_done) struct world w = {0};
    cleanup_free char *url = NULL;
    struct json *j = NULL;
    struct err err;

    web_init(&w, NULL);
    url = text_format("file://%s/git/web.git", w.data);
    if (!pipeline_create(w.room, "far", url, NULL, &j, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    json_unref(j);
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
    CHECK(git_remote_ref(path, NULL, "refs/pull/7/merge", merge, &err));
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
    static const char broken[] = "0123456789012345678901234567890123456789\0Ann\0a@b\0x\0t\n\nb\0"
                                 "\nM\0a\0R100\0A\0\0Q";
    cleanup_json struct json *none = changes_parse(STR("")), *one = NULL;

    CHECK_EQ(json_size(none), 0);
    one = changes_parse((struct str){broken, sizeof(broken) - 1});
    CHECK_EQ(json_size(one), 1);
    CHECK_EQ(json_size(json_get(json_at(one, 0), "files")), 1);
    CHECK_TEXT(json_get_cstr(json_at(one, 0), "msg", ""), "t");
    for (size_t i = 0; i < sizeof(broken); i++)
        json_unref(changes_parse((struct str){broken, i}));
}
