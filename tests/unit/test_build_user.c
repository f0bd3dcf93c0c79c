/* SPDX-License-Identifier: MIT */
/* Builds as users of their own; where the tests are not root there are none, and nothing to see. */
#include <fcntl.h>
#include <sys/stat.h>
#include "io/identity.h"
#include "pipeline/builds_config.h"
#include "pipeline/run/run.h"
#include "name_space.h"
#include "pipeline_setup.h"

static bool
has_users(void)
{
    if (!identity_is_possible())
        check_skip("not root");
    return identity_is_possible();
}

static void
put(const struct world *w, const char *name, const char *text, unsigned mode)
{
    cleanup_free char *path = text_format("%s/%s", w->data, name);

    CHECK(file_write_atomic(path, str_of(text), mode, NULL));
}

static void
expect_no_log(struct world *w, int64_t number, const char *unwanted)
{
    cleanup_free char *path = pipeline_log_path(w->room, "web", number);
    cleanup(strbuf_done) struct strbuf log = {0};

    CHECK(file_read(path, 1 << 20, &log, NULL));
    if (strstr(strbuf_cstr(&log), unwanted) != NULL)
        check_fail(__FILE__, __LINE__, "'%s' in:\n%s", unwanted, strbuf_cstr(&log));
}

TEST(a_build_is_a_user_of_its_own_who_sees_its_own_only)
{
    cleanup(world_done) struct world w = {0};

    if (!has_users())
        return;
    web_init(&w, NULL);
    put(&w, "credentials.json", "topsecret\n", 0600);
    sh(&w, "mkdir -p ../data/secrets ../data/workspaces/web/other; chmod 700 ../data/secrets\n"
           "chmod 750 ../data/workspaces/web/other\n"
           "echo topsecret | tee ../data/secrets/key >../data/workspaces/web/other/file");
    CHECK_EQ(web_build(&w,
                       "sh '''test $(id -u) -ge 66000 && test $(id -u) = $(id -g) && echo me $(id -un)\n"
                       "test $(stat -c %u .) = $(id -u) && test $(stat -c %u $HOME) = $(id -u)\n"
                       "test -w $WORKSPACE_TMP && touch $HOME/x && echo out >>/dev/stderr\n"
                       "for f in ../../../credentials.json ../../../secrets/key ../other/file; do if cat $f; then exit 1; fi; done\n"
                       "if ls ../other || touch ../../x; then exit 1; fi\n"
                       "git fetch -q --unshallow origin && git log -1 --format=%s\n'''\n"
                       "writeFile file: 'made', text: 'x'\n"
                       "sh 'test $(stat -c %u made) = $(id -u)'",
                       "x"),
             1);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "me naru-66");
    expect_no_log(&w, 1, "topsecret");
}

TEST(no_link_in_a_workspace_leads_naru_out_of_it)
{
    static const char steps[] =
        "sh 'ln -s ../../../credentials.json link; ln -s ../../../outside folder'\n"
        "script { for (c in [{ readFile 'link' }, { sha256 'link' }, { readJSON file: 'link' },\n"
        "           { writeFile file: 'link', text: 'evil' }, { touch 'folder/new' },\n"
        "           { writeFile file: 'folder/new', text: 'evil' }, { load 'link' },\n"
        "           { archiveArtifacts 'link' },\n"
        "           { unzip zipFile: 'link' }, { junit 'link' }, { dir('folder/deep') { } },\n"
        "           { zip zipFile: '../../../../../../../../../tmp/naru-evil', glob: 'x', archive: true },\n"
        "           { dir('folder') { deleteDir() } }, { dir('folder') { stash 's' } }]) {\n"
        "  try { c(); echo 'WENT THROUGH' } catch (e) { echo \"refused ${e.message}\" }\n"
        "} }\n"
        "stash name: 'links', includes: 'link'\n"
        "sh 'rm link; ln -s ../../../outside link'\n"
        "script { dir('link') { try { unstash 'links'; echo 'WENT THROUGH' } catch (e) { echo 'no' } } }\n";
    cleanup(world_done) struct world w = {0};
    cleanup_free char *kept = NULL;
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!has_users())
        return;
    web_init(&w, NULL);
    put(&w, "credentials.json", "{\"top\": \"topsecret\"}\n", 0600);
    sh(&w, "mkdir ../data/outside; touch ../data/outside/file; chmod 600 ../data/outside/file");
    CHECK_EQ(web_build(&w, steps, "x"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_no_log(&w, 1, "topsecret");
    expect_no_log(&w, 1, "WENT THROUGH");
    kept = text_format("%s/credentials.json", w.data);
    CHECK(file_read(kept, 1000, &text, NULL));
    CHECK(strstr(strbuf_cstr(&text), "topsecret") != NULL);
    sh(&w, "test \"$(ls ../data/outside)\" = file; test ! -e ../data/builds/web/1/artifacts/link");
}

TEST(what_a_server_answers_is_written_as_the_builds_user)
{
    cleanup(world_done) struct world w = {0};
    cleanup_free char *steps = NULL, *kept = NULL;
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!has_users())
        return;
    web_init(&w, NULL);
    put(&w, "credentials.json", "topsecret\n", 0600);
    steps = text_format("sh 'ln -s ../../../credentials.json link'\n"
                        "script { try { httpRequest url: 'http://127.0.0.1:%u/no', outputFile: 'link',"
                        " validResponseCodes: '100:599'; echo 'WENT THROUGH' } catch (e) { echo e.message } }\n"
                        "httpRequest url: 'http://127.0.0.1:%u/no', outputFile: 'a/b', validResponseCodes: '100:599'\n"
                        "sh 'test $(stat -c %%u a/b) = $(id -u)'",
                        http_server_port(w.server), http_server_port(w.server));
    CHECK_EQ(web_build(&w, steps, "x"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_no_log(&w, 1, "WENT THROUGH");
    kept = text_format("%s/credentials.json", w.data);
    CHECK(file_read(kept, 1000, &text, NULL));
    CHECK_TEXT(strbuf_cstr(&text), "topsecret\n");
}

TEST(no_step_waits_for_the_other_end_of_a_pipe)
{
    static const char steps[] =
        "sh 'mkfifo p'\n"
        "script { for (c in [{ readFile 'p' }, { sha1 'p' }, { readJSON file: 'p' }, { readMavenPom file: 'p' },\n"
        "           { writeFile file: 'p', text: 'x' }, { writeJSON file: 'p', json: [1] }, { touch 'p' },\n"
        "           { load 'p' }, { unzip zipFile: 'p' }]) {\n"
        "  try { c(); echo 'WENT THROUGH' } catch (e) { echo \"refused ${e.message}\" }\n"
        "} }\n"
        "writeFile file: '/dev/null', text: 'x'";
    cleanup(world_done) struct world w = {0};

    web_init(&w, NULL);
    CHECK_EQ(web_build(&w, steps, "x"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_no_log(&w, 1, "WENT THROUGH");
    expect_log(&w, "web", 1, "/p' is a pipe");
}

TEST(only_repositories_are_opened_to_a_build)
{
    cleanup(world_done) struct world w = {0};
    cleanup_free char *steps = NULL;

    if (!has_users())
        return;
    web_init(&w, NULL);
    sh(&w, "chmod 711 ../data ../data/git"); /* as the daemon does */
    steps = text_format("script { for (u in ['..', '.', '', 'web.git/objects', 'web.git/..']) {\n"
                        "  try { git url: \"%s/git/${u}\"; echo 'WENT THROUGH' } catch (e) { echo \"refused ${u}\" }\n"
                        "} }",
                        w.data);
    CHECK_EQ(web_build(&w, steps, "x"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_no_log(&w, 1, "WENT THROUGH");
    sh(&w, "cd ../data; for f in . git git/web.git/objects; do test $(stat -c %g $f) = 0; done\n"
           "for f in . git; do test $(stat -c %a $f) = 711; done");
}

TEST(what_is_roots_in_a_workspace_is_taken_back_when_it_is_in_the_way)
{
    cleanup(world_done) struct world w = {0};

    if (!has_users())
        return;
    web_init(&w, NULL);
    CHECK_EQ(web_build(&w, "sh 'true'", "one"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    /* As a container may leave it; also where the next checkout writes. */
    sh(&w, "mkdir ../data/outside; touch ../data/outside/twin; cd ../data/workspaces/web/main\n"
           "mkdir -m 700 left; touch left/file; ln -s ../../../outside link; ln ../../../outside/twin twin\n"
           "rm Jenkinsfile; mkdir -m 700 Jenkinsfile; touch Jenkinsfile/x");
    CHECK_EQ(web_build(&w, "sh 'test -f Jenkinsfile; test $(stat -c %u left/file) = $(id -u)'", "two"), 2);
    expect_result(&w, "web", 2, "SUCCESS");
    sh(&w, "cd ../data; for f in . twin; do test $(stat -c %u outside/$f) = 0; done\n"
           "mkdir -m 700 workspaces/web/main/again; touch workspaces/web/main/again/file");
    CHECK_EQ(web_build(&w, "deleteDir()\nsh 'test -z \"$(ls -A)\"'", "three"), 3);
    expect_result(&w, "web", 3, "SUCCESS");
}

/* As from a naru that knew no users, by one that does. */
TEST(what_a_script_makes_that_began_as_root_is_the_users)
{
    cleanup(world_done) struct world w = {0};

    if (!has_users())
        return;
    web_init(&w, NULL);
    put(&w, "builds.json", "{\"user\": \"root\"}", 0600);
    CHECK_EQ(web_build(&w,
                       "sh 'touch ../begun; while [ ! -e ../go ]; do sleep 0.05; done; mkdir -m 700 deep; touch deep/file'\n"
                       "sh 'test $(id -u) -ge 66000; rm -r deep'",
                       "x"),
             1);
    sh(&w, "while [ ! -e ../data/workspaces/web/begun ]; do sleep 0.05; done");
    room_down(&w);
    put(&w, "builds.json", "{}", 0600);
    room_up(&w);
    sh(&w, "cd ../data/workspaces/web; while [ ! -e main@home/.gitconfig ]; do sleep 0.05; done; touch go");
    expect_result(&w, "web", 1, "SUCCESS");
}

TEST(whoever_left_something_behind_keeps_his_number)
{
    cleanup(world_done) struct world w = {0};

    if (!has_users())
        return;
    web_init(&w, NULL);
    CHECK_EQ(web_build(&w,
                       "sh '''echo $(id -u) >../first\n"
                       "BUILD_ID=dontKillMe JENKINS_NODE_COOKIE=dontKillMe setsid sleep 600 >/dev/null 2>&1 </dev/null &\n"
                       "echo $! >../stays\n"
                       "while ! grep -q dontKillMe /proc/$!/environ; do sleep 0.01; done'''", /* else it is as the others */
                       "x"),
             1);
    expect_result(&w, "web", 1, "SUCCESS");
    sh(&w, "cd ../data/workspaces/web; rm -r main main@*");
    CHECK_EQ(web_build(&w, "sh 'echo $(id -u) >../second'", "y"), 2);
    expect_result(&w, "web", 2, "SUCCESS");
    sh(&w, "cd ../data/workspaces/web; kill $(cat stays); test $(cat first) != $(cat second)");
}

TEST(what_a_build_puts_into_its_git_runs_as_that_build)
{
    cleanup(world_done) struct world w = {0};
    static const char plant[] =
        "sh '''if [ ! -e .git/hooks/post-checkout ]; then mkdir -p .git/hooks\n"
        "cat >.git/hooks/post-checkout <<EOF\n#!/bin/sh\nid -u >>$WORKSPACE/who\nEOF\n"
        "chmod +x .git/hooks/post-checkout; cp .git/hooks/post-checkout .git/evil\n"
        "git config core.fsmonitor $PWD/.git/evil; git config filter.x.smudge $PWD/.git/evil\n"
        "git config core.sshCommand $PWD/.git/evil; git config core.pager $PWD/.git/evil; fi'''\n"
        "checkout scm\n"
        "sh 'test -s who; if grep -x 0 who; then exit 1; fi; echo found $(sort -u who | wc -l)'";

    if (!has_users())
        return;
    web_init(&w, NULL);
    CHECK_EQ(web_build(&w, plant, "one"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    sh(&w, "touch more");
    CHECK_EQ(web_build(&w, plant, "two"), 2);
    expect_result(&w, "web", 2, "SUCCESS");
    expect_log(&w, "web", 2, "found 1\n");
}

TEST(naru_runs_no_program_that_a_build_puts_in_its_way)
{
    cleanup(world_done) struct world w = {0};

    if (!has_users())
        return;
    web_init(&w, NULL);
    CHECK_EQ(web_build(&w,
                       "sh '''mkdir evil; for p in git sh docker cat; do\n"
                       "printf '#!/bin/sh\\\\nid -u >>%s/who\\\\nexec /usr/bin/%s \"$@\"\\\\n' $PWD $p >evil/$p\n"
                       "done; chmod +x evil/*; touch who'''\n"
                       "script { env.PATH = \"${pwd()}/evil:${env.PATH}\"\n"
                       "withEnv([\"GIT_EXEC_PATH=${pwd()}/evil\"]) { try { checkout scm } catch (e) { } } }\n"
                       "echo \"changes ${currentBuild.changeSets.size()}\"\n"
                       "sh 'if grep -x 0 who; then exit 1; fi'",
                       "one"),
             1);
    expect_result(&w, "web", 1, "SUCCESS");
    sh(&w, "if grep -x 0 ../data/workspaces/web/main/who; then exit 1; fi");
}

TEST(a_workspace_of_before_becomes_the_users_and_nothing_else_does)
{
    cleanup(world_done) struct world w = {0};

    if (!has_users())
        return;
    web_init(&w, NULL);
    sh(&w, "mkdir -p ../data/workspaces/web/main/deep ../data/workspaces/web/old ../data/outside\n"
           "cd ../data/workspaces/web/main; touch deep/file ../../../outside/file ../../../outside/twin\n"
           "ln -s ../../../outside link; ln -s ../../../outside/file file; ln ../../../outside/twin twin\n"
           "cd deep; for i in $(seq 250); do mkdir d; cd d; done; touch last");
    CHECK_EQ(web_build(&w, "sh '''test $(stat -c %u deep/file) = $(id -u)\ntest -z \"$(find deep ! -user $(id -u))\"\n"
                           "test $(find deep | wc -l) = 253\nrm -r deep twin'''", "x"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    sh(&w, "for f in . file twin; do test $(stat -c %u ../data/outside/$f) = 0; done");
    room_down(&w);
    room_up(&w); /* closes what nobody built since */
    sh(&w, "test $(stat -c %a ../data/workspaces/web/old) = 750");
}

/* Each 100 levels the way there is gone anew, by names that somebody else chose. */
TEST(a_workspace_deeper_than_any_program_goes_is_refused_in_time)
{
    cleanup(world_done) struct world w = {0};
    cleanup_free char *main_folder = NULL;
    char name[251] = {0};
    int at;

    if (!has_users())
        return;
    web_init(&w, NULL);
    memset(name, 'd', sizeof(name) - 1);
    main_folder = text_format("%s/workspaces/web/main", w.data);
    CHECK(file_make_dirs(main_folder, 0755, NULL));
    at = open(main_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 310; i++) {
        const int above = at;
        CHECK(mkdirat(above, name, 0755) == 0);
        at = openat(above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(at >= 0);
        close(above);
    }
    close(at);
    CHECK_EQ(web_build(&w, "sh 'exit 0'", "x"), 1);
    expect_result(&w, "web", 1, "FAILURE");
    expect_log(&w, "web", 1, "its folders lie too deep in one another");
    sh(&w, "rm -r ../data/workspaces/web/main"); /* what removes the rest does not go so deep either */
}

TEST(two_branches_are_two_users_and_a_rebuild_is_the_same)
{
    cleanup(world_done) struct world w = {0};

    if (!has_users())
        return;
    web_init(&w, NULL);
    CHECK_EQ(web_build(&w, "sh 'echo $(id -u) >id; echo private >f'", "x"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    sh(&w, "git checkout -q -b side; git push -q -f ../data/git/web.git side");
    commit(&w, "sh 'if cat ../main/f || ls ../main; then exit 1; fi; echo $(id -u) >id'\n"
               "script { parallel a: { node { sh 'test $(stat -c %u .) = $(id -u); pwd; touch x' } },\n"
               "         b: { node { sh 'test $(stat -c %u .) = $(id -u); pwd; touch x' } } }", "y");
    sh(&w, "git push -q -f ../data/git/web.git side");
    CHECK_EQ(submit(&w, "web", "side"), 2);
    expect_result(&w, "web", 2, "SUCCESS");
    sh(&w, "test $(stat -c %u ../data/workspaces/web/main) != $(stat -c %u ../data/workspaces/web/side)");
    sh(&w, "git checkout -q main");
    CHECK_EQ(web_build(&w, "sh 'test $(cat id) = $(id -u)'", "z"), 3);
    expect_result(&w, "web", 3, "SUCCESS");
}

#define FIRST_READERS 4

struct first_reader {
    struct run run;
    struct build_user user;
    const char *repository;
    pthread_barrier_t *start;
    bool may;
};

static void *
read_first(void *of)
{
    struct first_reader *r = of;
    struct err err;

    (void)pthread_barrier_wait(r->start);
    r->may = build_user_may_read(&r->run, r->repository, &err);
    return NULL;
}

/* The repository's group is chosen then; one that another build had been let in by before stays. */
TEST(builds_that_are_the_first_of_a_repository_at_once_all_may_read_it)
{
    cleanup(world_done) struct world w = {0};
    cleanup_free char *repository = NULL;
    struct first_reader readers[FIRST_READERS] = {0};
    pthread_t threads[FIRST_READERS];
    pthread_barrier_t start;
    struct runner_config config = {0};
    struct build_rights rights;
    struct stat st;

    if (!has_users())
        return;
    world_init(&w);
    build_rights_default(&rights, false);
    config.rights = &rights;
    config.home = w.data;
    repository = git_remote_path(w.data, "first");
    CHECK(file_make_dirs(repository, 0755, NULL));
    CHECK(pthread_barrier_init(&start, NULL, FIRST_READERS) == 0);
    for (size_t i = 0; i < FIRST_READERS; i++) {
        readers[i].run.config = &config;
        readers[i].run.user = &readers[i].user;
        readers[i].repository = repository;
        readers[i].start = &start;
        CHECK(pthread_create(&threads[i], NULL, read_first, &readers[i]) == 0);
    }
    for (size_t i = 0; i < FIRST_READERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    pthread_barrier_destroy(&start);
    CHECK(stat(repository, &st) == 0);
    for (size_t i = 0; i < FIRST_READERS; i++) {
        CHECK(readers[i].may);
        CHECK_EQ(readers[i].user.id.group_count, 1);
        CHECK_EQ(readers[i].user.id.groups[0], st.st_gid);
    }
}

TEST(the_operator_says_who_builds_are)
{
    cleanup(world_done) struct world w = {0};

    if (!has_users())
        return;
    web_init(&w, NULL);
    CHECK_EQ(web_build(&w, "sh 'test $(id -u) -ge 66000'", "x"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    put(&w, "builds.json", "{\"user\": \"root\"}", 0600);
    CHECK_EQ(web_build(&w, "sh 'test $(id -u) = 0; git status'", "y"), 2);
    expect_result(&w, "web", 2, "SUCCESS");
    put(&w, "builds.json", "{\"user\": \"root\", \"pipelines\": {\"web\": {\"users\": \"70000-70010\"}}}", 0600);
    CHECK_EQ(web_build(&w, "sh 'test $(id -u) -ge 70000'", "z"), 3);
    expect_result(&w, "web", 3, "SUCCESS");
    put(&w, "builds.json", "{\"pipelines\": {\"web\": {\"user\": \"nobody\"}}}", 0600);
    CHECK_EQ(web_build(&w, "sh 'test $(id -un) = nobody; git status'", "zz"), 4);
    expect_result(&w, "web", 4, "SUCCESS");
    put(&w, "builds.json", "{\"users\": \"70000-70000\"}", 0600);
    CHECK_EQ(web_build(&w, "echo 'x'", "zzz"), 5);
    expect_result(&w, "web", 5, "FAILURE"); /* the repository has its group of it */
    expect_log(&w, "web", 5, "all users of builds (70000-70000) have a workspace");
}

TEST(docker_is_a_grant)
{
    cleanup(world_done) struct world w = {0};

    web_init(&w, NULL);
    put(&w, "builds.json", "{\"docker\": false}", 0600);
    CHECK_EQ(web_build(&w,
                       "sh 'echo shim $NARU_NO_DOCKER'\n"
                       "script { try { docker.image('x').inside { } } catch (e) { echo \"one ${e.message}\" }\n"
                       "try { docker.build('x') } catch (e) { echo \"two ${e.message}\" } }",
                       "x"),
             1);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "shim this build may not use Docker");
    expect_log(&w, "web", 1, "one this build may not use Docker: builds.json has \"docker\": false");
    expect_log(&w, "web", 1, "two this build may not use Docker");
}

TEST(a_build_without_a_network_has_its_loopback_only)
{
    cleanup(world_done) struct world w = {0};

    if (!has_users())
        return;
    web_init(&w, NULL);
    put(&w, "builds.json", "{\"network\": \"none\"}", 0600);
    CHECK_EQ(web_build(&w,
                       "sh 'test $(grep -c : /proc/net/dev) = 1; grep lo: /proc/net/dev'\n"
                       "script { try { withDockerContainer(image: 'x', args: '--network host') { } }"
                       " catch (e) { echo e.message } }",
                       "x"),
             1);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "the arguments name a network, and this build has none");
}

/* --- where there are no others to be --- */

static int
look_at_users(void)
{
    return !identity_is_possible()         ? 1
           : !identity_exists(0, 65535)    ? 2
           : identity_exists(66000, 66000) ? 3
           : identity_exists(65000, 66000) ? 4
                                           : 0;
}

static bool
enters(const char *trusted_ref, const char *user, struct err *err)
{
    struct build_rights rights;
    struct runner_config config = {.workspace = "/nonexistent/workspaces/web/main",
                                   .home = "/nonexistent",
                                   .trusted_ref = trusted_ref,
                                   .rights = &rights};
    struct run *run = mem_new(sizeof(*run));
    bool ok;

    build_rights_default(&rights, trusted_ref != NULL);
    snprintf(rights.user, sizeof(rights.user), "%s", user);
    run->config = &config;
    ok = build_user_enter(run, err) && run->user == NULL;
    arena_done(&run->arena);
    free(run);
    return ok;
}

static int
look_at_builds(void)
{
    struct err err = {0};

    return !enters(NULL, "", &err)                              ? 1
           : !enters("refs/heads/main", "root", &err)           ? 2
           : enters("refs/heads/main", "", &err)                ? 3
           : strstr(err.message, "what is not trusted") == NULL ? 4
                                                                : 0;
}

TEST(where_there_are_no_users_strangers_are_not_root_for_want_of_them)
{
    if (!has_users())
        return;
    CHECK_EQ(within(65536, look_at_users), 0);
    CHECK_EQ(within(65536, look_at_builds), 0);
}

/* The pipeline "far", of the repository of "web" as one that lies elsewhere. */
static void
far_init(struct world *w)
{
    cleanup_free char *url = NULL;
    struct json *j = NULL;
    struct err err;

    web_init(w, NULL);
    url = text_format("file://%s/git/web.git", w->data);
    CHECK(pipeline_create(w->room, "far", url, NULL, &j, &err));
    json_unref(j);
}

/* The Jenkinsfile of a replay may be another one, and then nothing is fetched before the branches want it. */
TEST(what_branches_of_a_build_fetch_at_once_they_all_have)
{
    static const char script[] = "def at = [:]\n"
                                 "for (int i = 0; i < 4; i++) { at[\"b$i\"] = { node { checkout scm\n sh 'test -f Jenkinsfile' } } }\n"
                                 "parallel at\n";
    const struct build_request r = {.pipeline = "far", .branch = "main", .cause = "UserIdCause", .script = script};
    cleanup(world_done) struct world w = {0};
    int64_t number;
    struct err err;

    if (!has_users())
        return;
    far_init(&w);
    commit(&w, "echo 'x'", "x");
    push(&w, "web");
    CHECK(pipeline_submit(w.room, &r, &number, &err) && number == 1);
    expect_result(&w, "far", 1, "SUCCESS");
    sh(&w, "test $(grep -c Fetching ../data/builds/far/1/log) = 1");
}

TEST(a_git_that_was_killed_stands_in_no_later_builds_way)
{
    cleanup(world_done) struct world w = {0};
    cleanup_free char *log = NULL;

    if (!has_users())
        return;
    far_init(&w);
    sh(&w, "mkdir -p ../data/workspaces/far/main@git/refs; cd ../data/workspaces/far/main@git; "
           "echo 'ref: refs/heads/master' >HEAD; touch config.lock"); /* as far as `git init` came */
    commit(&w, "script { echo \"changes ${currentBuild.changeSets.size()}\" }", "x");
    push(&w, "web");
    CHECK_EQ(submit(&w, "far", "main"), 1);
    expect_result(&w, "far", 1, "SUCCESS");
    commit(&w, "script { echo \"now changes ${currentBuild.changeSets.size()}\" }", "y");
    sh(&w, "touch ../data/workspaces/far/main@git/shallow.lock");
    push(&w, "web");
    CHECK_EQ(submit(&w, "far", "main"), 2);
    expect_result(&w, "far", 2, "SUCCESS");
    expect_log(&w, "far", 2, "now changes 1\n");
    log = text_format("! grep 'shallow.lock' '%s/builds/far/2/log'", w.data);
    sh(&w, log);
}

/* --- builds.json --- */

static bool
reads(const char *text, bool is_untrusted, struct builds_config *c, struct err *err)
{
    char directory[] = "/tmp/naru-rights-XXXXXX";
    cleanup_free char *path = NULL;
    bool ok;

    CHECK(mkdtemp(directory) != NULL);
    path = text_format("%s/builds.json", directory);
    CHECK(file_write_atomic(path, str_of(text), 0600, err));
    ok = builds_config_read(directory, "web", is_untrusted, c, err);
    CHECK(file_remove_tree(directory, NULL));
    return ok;
}

TEST(docker_for_ones_own_is_none_for_strangers)
{
    static const char text[] = "{\"docker\": true, \"network\": \"none\", \"untrusted\": {\"memory\": \"1G\"},"
                               " \"pipelines\": {\"web\": {\"docker\": true},"
                               " \"x\": {\"untrusted\": {\"docker\": true}}}}";
    struct builds_config c;
    struct err err;

    CHECK(reads(text, false, &c, &err) && c.rights.docker && !c.rights.network);
    CHECK(reads(text, true, &c, &err) && !c.rights.docker && !c.rights.network);
    CHECK_EQ(c.limits.memory_bytes, 1 << 30);
    CHECK(reads("{\"pipelines\": {\"web\": {\"untrusted\": {\"docker\": true}}}}", true, &c, &err));
    CHECK(c.rights.docker && c.rights.first == BUILD_USERS_FIRST && c.rights.network);
    CHECK(reads("{\"users\": \"5000-5009\", \"pipelines\": {\"web\": {\"user\": \"root\"}}}", false, &c, &err));
    CHECK_TEXT(c.rights.user, "root");
    /* Nor is it for them to be root. */
    CHECK(reads("{\"user\": \"root\", \"pipelines\": {\"web\": {\"user\": \"root\"}}}", true, &c, &err));
    CHECK_TEXT(c.rights.user, "");
    CHECK(reads("{\"untrusted\": {\"user\": \"nobody\"}}", true, &c, &err));
    CHECK_TEXT(c.rights.user, "nobody");
}

TEST(rights_that_are_not_understood_are_refused_by_name)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"{\"users\": \"0-10\"}", "'users' is a range"},
        {"{\"users\": \"9000-8000\"}", "'users' is a range"},
        {"{\"users\": \"60000-70000\"}", "'users' is a range"},
        {"{\"users\": \"2000\", \"user\": \"root\"}", "either 'user' or 'users'"},
        {"{\"user\": \"no-such-user\"}", "'user' is the name of a user of this machine"},
        {"{\"docker\": \"yes\"}", "'docker' is true or false"},
        {"{\"network\": \"bridge\"}", "'network' is \"host\" or \"none\""},
        {"{\"pipelines\": {\"x\": {\"untrusted\": {\"untrusted\": {}}}}}", "'untrusted' is not known"},
        {"{\"untrusted\": {\"network\": 1}}", "'network'"},
    };
    struct builds_config c;
    struct err err;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CHECK(!reads(rows[i].text, false, &c, &err));
        CHECK(strstr(err.message, rows[i].error) != NULL);
        CHECK(c.rights.docker && c.rights.user[0] == '\0'); /* the defaults */
    }
}
