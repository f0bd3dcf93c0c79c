/* SPDX-License-Identifier: MIT */
/* What builds take of the disk, and how it is kept within its budget. */
#include "pipeline_setup.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "io/tree.h"
#include "pipeline/disk_book.h"
#include "pipeline/room.h"

#define UNTIL(condition) \
    "for i in $(seq 400); do { " condition "; } && exit 0; sleep 0.05; done; exit 1"

static void
write_config(const struct world *w, const char *text)
{
    cleanup_free char *path = text_format("%s/builds.json", w->data);

    CHECK(file_make_dirs(w->data, 0755, NULL));
    CHECK(file_write_atomic(path, str_of(text), 0644, NULL));
}

/* --- folders --- */

static bool
at_once(void *arg)
{
    (void)arg;
    return true;
}

TEST(a_folder_is_measured_without_following_links)
{
    cleanup(world_done) struct world w = {0};
    struct err err;
    int64_t bytes, again;

    world_init(&w);
    sh(&w, "mkdir -p a/b big && head -c 300000 /dev/zero > a/b/f && head -c 9000000 /dev/zero > big/f && "
           "ln -s ../big a/link && ln -s /usr a/usr");
    CHECK(tree_bytes(w.clone, "a", NULL, NULL, &bytes, &err));
    CHECK(bytes >= 300000 && bytes < 1000000);
    sh(&w, "ln a/b/f second"); /* a file with two names counts half */
    CHECK(tree_bytes(w.clone, "a", NULL, NULL, &again, &err));
    CHECK(again < bytes - 100000);
    CHECK(tree_bytes(w.clone, "none", NULL, NULL, &bytes, &err));
    CHECK_EQ(bytes, 0);
    CHECK(tree_bytes(w.clone, "a/none/below", NULL, NULL, &bytes, &err));
    CHECK(!tree_bytes(w.clone, "a/link/f", NULL, NULL, &bytes, &err));
    CHECK(!tree_bytes(w.clone, "a/../big", NULL, NULL, &bytes, &err));
    CHECK(!tree_bytes(w.clone, "a", at_once, NULL, &bytes, &err));
}

TEST(what_is_let_go_goes_in_one_step_and_what_was_left_of_it_later)
{
    cleanup(world_done) struct world w = {0};
    struct err err;

    world_init(&w);
    sh(&w, "mkdir -p p/a/b q/kept && touch p/a/b/f q/kept/f && ln -s ../q p/q && ln -s ../../q p/a/q");
    CHECK(tree_let_go(w.clone, "p/a", &err));
    sh(&w, "test ! -e p/a && test -e p && test -e .gone/*/b/f");
    CHECK(tree_let_go(w.clone, "p/a", &err)); /* is gone */
    CHECK(!tree_let_go(w.clone, "p/q/kept", &err));
    CHECK(!tree_let_go(w.clone, "../clone", &err));
    CHECK(!tree_remove_gone(w.clone, at_once, NULL, &err)); /* a kill in the middle leaves it */
    sh(&w, "test -e .gone/*/b/f");
    CHECK(tree_remove_gone(w.clone, NULL, NULL, &err));
    sh(&w, "test -z \"$(ls .gone)\" && test -e q/kept/f");
    sh(&w, "rm -r .gone && mkdir elsewhere && touch elsewhere/f && ln -s elsewhere .gone");
    CHECK(!tree_remove_gone(w.clone, NULL, NULL, &err));
    CHECK(!tree_let_go(w.clone, "q", &err));
    sh(&w, "test -e elsewhere/f && test -e q/kept/f");
}

TEST(what_lies_deeper_than_anybody_goes_is_removed_too)
{
    cleanup(world_done) struct world w = {0};
    struct err err;

    world_init(&w);
    sh(&w, "a=$(printf 'd/%.0s' $(seq 200)) && mkdir -p $a && touch $a/f && "
           "for i in 1 2 3; do mkdir -p x/$a && mv d x/$a/ && mv x/d y && rmdir x && mv y d || exit 1; done && "
           "mkdir p && mv d p/a");
    CHECK(tree_let_go(w.clone, "p/a", &err));
    CHECK(tree_remove_gone(w.clone, NULL, NULL, &err));
    sh(&w, "test -z \"$(ls .gone)\"");
}

/* --- the book --- */

static bool
is_not_in_use(void *arg, const struct disk_place *place)
{
    return strcmp(place->name, arg) != 0;
}

TEST(gone_places_go_first_then_those_not_used_for_longest)
{
    static const char *const order[] = {"gone", "oldest", "older", "newest"};
    cleanup(world_done) struct world w = {0};
    struct disk_book b;
    struct err err;
    cleanup_free char *path = NULL;
    char in_use[] = "used";

    world_init(&w);
    path = text_format("%s/book", w.clone);
    disk_book_open(&b, path);
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        struct disk_place *p = disk_book_enter(&b, "web", order[(i + 2) % 4]);
        p->bytes = 10;
        p->is_stale = false;
    }
    disk_book_find(&b, "web", "newest")->used_ms = 400;
    disk_book_find(&b, "web", "gone")->used_ms = 300;
    disk_book_find(&b, "web", "gone")->is_gone = true;
    disk_book_find(&b, "web", "older")->used_ms = 200;
    disk_book_find(&b, "web", "oldest")->used_ms = 100;
    CHECK(disk_book_enter(&b, "web", in_use) != NULL);
    CHECK(disk_book_find(&b, "api", "older") == NULL);
    CHECK_EQ(disk_book_bytes(&b), 40);
    cleanup_free char *text = disk_book_text(&b);
    CHECK(file_write_atomic(path, str_of(text), 0644, &err));
    disk_book_done(&b);
    disk_book_open(&b, path);
    CHECK_EQ(b.count, 5);
    CHECK(disk_book_find(&b, "web", in_use)->is_stale);
    CHECK(!disk_book_find(&b, "web", "older")->is_stale);
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        struct disk_place *p = disk_book_victim(&b, is_not_in_use, in_use);
        CHECK_TEXT(p->name, order[i]);
        disk_book_drop(&b, p);
    }
    CHECK(disk_book_victim(&b, is_not_in_use, in_use) == NULL);
    disk_book_done(&b);
    sh(&w, "echo '{\"places\": [{\"pipeline\": \"web\", \"name\": \"../x\"}, 7, {\"name\": \"y\"}]}' > book");
    disk_book_open(&b, path);
    CHECK_EQ(b.count, 0);
    disk_book_done(&b);
    sh(&w, "echo '{\"pla' > book");
    disk_book_open(&b, path);
    CHECK_EQ(b.count, 0);
    disk_book_done(&b);
}

TEST(a_book_of_all_the_places_that_there_may_be_finds_them_at_once)
{
    struct disk_book b = {0};
    char name[20];

    for (unsigned i = 0; i <= DISK_PLACES_MAX; i++) { /* looked for one by one this takes minutes */
        snprintf(name, sizeof(name), "b%u", i);
        CHECK((disk_book_enter(&b, "web", name) != NULL) == (i < DISK_PLACES_MAX));
    }
    for (unsigned i = 0; i < DISK_PLACES_MAX; i += 2) {
        snprintf(name, sizeof(name), "b%u", i);
        disk_book_drop(&b, disk_book_find(&b, "web", name));
    }
    CHECK_EQ(b.count, DISK_PLACES_MAX / 2);
    for (unsigned i = 0; i < DISK_PLACES_MAX; i++) {
        const struct disk_place *p;
        snprintf(name, sizeof(name), "b%u", i);
        p = disk_book_find(&b, "web", name);
        CHECK((p != NULL) == (i % 2 == 1));
        CHECK(p == NULL || strcmp(p->name, name) == 0);
        CHECK(disk_book_find(&b, "api", name) == NULL);
    }
    disk_book_done(&b);
}

/* --- builds --- */

static void
build_branch(struct world *w, const char *branch, const char *result, int64_t number)
{
    cleanup_free char *script = text_format("git push -q -f '%s/git/web.git' HEAD:%s", w->data, branch);

    sh(w, script);
    CHECK_EQ(submit(w, "web", branch), number);
    expect_result(w, "web", number, result);
}

TEST(the_workspaces_not_used_for_longest_make_room_for_others)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *list = NULL;

    world_init(&w);
    write_config(&w, "{\"disk\": \"3M\"}");
    room_up(&w);
    create(&w, "web", NULL);
    commit(&w, "sh 'head -c 1300000 /dev/zero > big; mkdir -p ../${BRANCH_NAME}@2; touch ../${BRANCH_NAME}@2/x'", "x");
    build_branch(&w, "one", "SUCCESS", 1);
    build_branch(&w, "two", "SUCCESS", 2);
    sh(&w, UNTIL("grep -q '\"name\":\"two\",\"bytes\":1[0-9]' ../data/workspaces/.disk.json"));
    sh(&w, "test -e ../data/workspaces/web/one/big");
    build_branch(&w, "three", "SUCCESS", 3);
    sh(&w, UNTIL("test ! -e ../data/workspaces/web/one"));
    sh(&w, UNTIL("test ! -e ../data/workspaces/web/one@2"));
    sh(&w, "test -e ../data/workspaces/web/two/big && test -e ../data/workspaces/web/three/big");
    sh(&w, UNTIL("test -z \"$(ls ../data/workspaces/.gone)\""));
    list = pipeline_list(w.room);
    CHECK_EQ(json_get_i64(json_get(list, "disk"), "budgetBytes", 0), 3 << 20);
}

TEST(a_workspace_in_use_stays_whatever_the_budget_says)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    write_config(&w, "{\"disk\": \"200K\"}");
    room_up(&w);
    create(&w, "web", NULL);
    CHECK_EQ(web_build(&w, "sh 'head -c 900000 /dev/zero > big'\ninput 'go?'\nsh 'test -e big'", "x"), 1);
    sh(&w, UNTIL("test -e ../data/workspaces/web/main/big"));
    commit(&w, "sh 'head -c 900000 /dev/zero > big'", "y");
    build_branch(&w, "other", "SUCCESS", 2);
    sh(&w, UNTIL("test ! -e ../data/workspaces/web/other"));
    sh(&w, "test -e ../data/workspaces/web/main/big");
    room_down(&w);
    room_up(&w); /* nor while it waits to be taken up */
    {
        cleanup_json struct json *answer = json_object();
        struct err err;
        json_set(answer, "proceed", json_bool(true));
        for (int i = 0; i < 400 * CHECK_PATIENCE && !pipeline_answer(w.room, "web", 1, NULL, answer, &err); i++)
            (void)pipeline_wait(w.room, 50);
    }
    expect_result(&w, "web", 1, "SUCCESS");
    sh(&w, UNTIL("test ! -e ../data/workspaces/web/main"));
}

TEST(old_builds_go_when_workspaces_are_not_enough_but_for_those_that_are_kept)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    write_config(&w, "{\"disk\": \"900K\"}");
    room_up(&w);
    create(&w, "web", NULL);
    commit(&w, "sh 'head -c 700000 /dev/zero > big'\narchiveArtifacts 'big'", "x");
    build_branch(&w, "main", "SUCCESS", 1);
    build_branch(&w, "main", "SUCCESS", 2);
    sh(&w, UNTIL("test ! -e ../data/builds/web/1"));
    sh(&w, "test -e ../data/builds/web/2/artifacts/big");
    sh(&w, UNTIL("test -z \"$(ls ../data/builds/.gone)\""));
    commit(&w, "sh 'head -c 700000 /dev/zero > big'\narchiveArtifacts 'big'\n}\n}\n}\n"
               "options { buildDiscarder(logRotator(numToKeepStr: '9'))\n}\n"
               "post { always { script {", "y");
    build_branch(&w, "main", "SUCCESS", 3);
    build_branch(&w, "main", "SUCCESS", 4);
    sh(&w, UNTIL("grep -q diskBytes ../data/builds/web/4/build.json"));
    sh(&w, UNTIL("test ! -e ../data/workspaces/web/main"));
    sh(&w, "test -e ../data/builds/web/3/artifacts/big && test -e ../data/builds/web/2");
}

TEST(the_workspaces_of_a_branch_go_with_it)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    room_up(&w);
    create(&w, "web", NULL);
    commit(&w, "sh 'if [ $BUILD_NUMBER = 3 ]; then touch ../up; while [ ! -e ../go ]; do sleep 0.02; done; fi'", "x");
    build_branch(&w, "feature/a", "SUCCESS", 1);
    build_branch(&w, "feature/ab", "SUCCESS", 2);
    sh(&w, "test -e ../data/workspaces/web/feature%2Fa");
    CHECK(pipeline_gone(w.room, "web", "feature/a", 0));
    sh(&w, UNTIL("test ! -e ../data/workspaces/web/feature%2Fa"));
    sh(&w, "test -e ../data/workspaces/web/feature%2Fab");
    CHECK_EQ(submit(&w, "web", "feature/ab"), 3); /* one in use goes when its build is over */
    sh(&w, UNTIL("test -e ../data/workspaces/web/up"));
    CHECK(pipeline_gone(w.room, "web", "feature/ab", 0));
    sh(&w, "grep -q '\"gone\":true' ../data/workspaces/.disk.json && test -e ../data/workspaces/web/feature%2Fab");
    room_down(&w);
    room_up(&w);
    sh(&w, "touch ../data/workspaces/web/go");
    expect_result(&w, "web", 3, "SUCCESS");
    sh(&w, UNTIL("test ! -e ../data/workspaces/web/feature%2Fab"));
    sh(&w, "test -e ../data/builds/web/3");
}

TEST(no_build_begins_while_there_is_too_little_free_space)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *j = NULL;
    struct err err;

    world_init(&w);
    write_config(&w, "{\"diskFree\": \"100%\"}");
    sh(&w, "mkdir -p ../data/workspaces/web/old && touch ../data/workspaces/web/old/x");
    room_up(&w);
    create(&w, "web", NULL);
    CHECK_EQ(web_build(&w, "echo 'begun'", "x"), 1);
    wait_until_waiting(&w, 1, "diskFree");
    j = pipeline_build(w.room, "web", 1, NULL);
    CHECK_TEXT(json_get_cstr(j, "state", ""), "QUEUED");
    /* What others fill is said, and costs no workspace: it would be missing, and no build could begin. */
    wait_until_waiting(&w, 1, "docker image prune");
    sh(&w, "test -e ../data/workspaces/web/old/x");
    CHECK_EQ(web_build(&w, "echo 'second'", "y"), 2);
    CHECK(pipeline_abort(w.room, "web", 2, &err));
    CHECK_EQ(web_build(&w, "echo 'third'", "z"), 3);
    write_config(&w, "{\"diskFree\": \"1K\"}");
    expect_result(&w, "web", 3, "SUCCESS");
    json_unref(j);
    j = pipeline_build(w.room, "web", 3, NULL);
    CHECK(json_get(j, "waitingFor") == NULL);
}

/* As long as the test lasts, and where there may be one: what others write meanwhile is not seen on it. */
static void
own_disk_init(struct world *w)
{
    world_init(w);
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("naru-test", w->data, "tmpfs", 0, "size=256m,mode=755") == 0)
        open_workspaces(w);
}

static void
own_disk_done(struct world *w)
{
    room_down(w);
    pipeline_purge(w->data);
    (void)umount2(w->data, MNT_DETACH);
    world_done(w);
}

TEST(workspaces_go_for_free_space_if_there_is_enough_without_them)
{
    cleanup(own_disk_done) struct world w = {0};
    cleanup_free char *config = NULL;
    struct statvfs fs;

    own_disk_init(&w);
    sh(&w, "mkdir -p ../data/workspaces/web/old && fallocate -l 128M ../data/workspaces/web/old/x");
    CHECK(statvfs(w.data, &fs) == 0);
    config = text_format("{\"diskFree\": \"%lldM\"}",
                         ((long long)fs.f_bavail * (long long)fs.f_frsize >> 20) + 64);
    write_config(&w, config);
    room_up(&w);
    create(&w, "web", NULL);
    CHECK_EQ(web_build(&w, "echo 'begun'", "x"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    sh(&w, "test ! -e ../data/workspaces/web/old");
}

/* Its builds may go on there: so it stays, and nothing else goes for the room that it would make. */
TEST(the_workspace_of_a_pipeline_that_cannot_be_loaded_makes_no_room)
{
    cleanup(world_done) struct world w = {0};
    cleanup_free char *config = NULL;
    struct statvfs fs;

    world_init(&w);
    sh(&w, "mkdir -p ../data/builds/broken ../data/workspaces/broken/main ../data/workspaces/web/old; "
           "touch ../data/workspaces/web/old/x ../data/workspaces/broken/main/x; "
           "echo '{\"places\": [{\"pipeline\": \"broken\", \"name\": \"main\", \"bytes\": 4000000000}]}' "
           "> ../data/workspaces/.disk.json");
    CHECK(statvfs(w.data, &fs) == 0);
    config = text_format("{\"diskFree\": \"%lldM\"}", ((long long)fs.f_bavail * (long long)fs.f_frsize >> 20) + 1024);
    write_config(&w, config);
    room_up(&w);
    create(&w, "web", NULL);
    CHECK_EQ(web_build(&w, "echo 'never'", "x"), 1);
    wait_until_waiting(&w, 1, "docker image prune");
    sh(&w, "test -e ../data/workspaces/web/old/x && test -e ../data/workspaces/broken/main/x");
}

static int64_t
budget_with(struct world *w, const char *config)
{
    cleanup_json struct json *list = NULL;

    write_config(w, config);
    room_lock(w->room);
    w->room->disk.looked_ms = 1; /* long ago */
    CHECK(room_disk_allows(w->room));
    room_unlock(w->room);
    list = pipeline_list(w->room);
    return json_get_i64(json_get(list, "disk"), "budgetBytes", -1);
}

TEST(nothing_goes_for_a_builds_json_that_cannot_be_read)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    write_config(&w, "{\"disk\": \"3M\", \"cpus\": \"many\"}");
    room_up(&w);
    CHECK_EQ(budget_with(&w, "{\"disk\": \"3M\", \"cpus\": \"many\"}"), 0); /* whatever it is to be */
    CHECK_EQ(budget_with(&w, "{\"disk\": \"3M\", \"diskFree\": \"1K\"}"), 3 << 20);
    CHECK_EQ(budget_with(&w, "{\"disk\": \"9"), 3 << 20);
}

TEST(what_a_kill_left_half_removed_is_removed_at_the_start)
{
    cleanup(world_done) struct world w = {0};

    world_init(&w);
    sh(&w, "mkdir -p ../data/workspaces/.gone/x/y ../data/builds/.gone/z && touch ../data/builds/.gone/z/log");
    room_up(&w);
    sh(&w, UNTIL("test -z \"$(ls ../data/workspaces/.gone ../data/builds/.gone | grep -v :)\""));
}

TEST(a_build_that_is_given_up_while_it_ends_is_not_looked_at_again)
{
    cleanup(world_done) struct world w = {0};

    /* The older one ends last, and its Jenkinsfile keeps one build. */
    web_first(&w, "milestone 1\ninput 'go?'\n}\n}\n}\n"
                  "options { buildDiscarder(logRotator(numToKeepStr: '1'))\n}\n"
                  "post { always { script {");
    json_unref(wait_for(&w, "web", 1, "RUNNING"));
    CHECK_EQ(web_build(&w, "milestone 1\nmilestone 2\n}\n}\n}\n"
                           "options { buildDiscarder(logRotator(numToKeepStr: '1'))\n}\n"
                           "post { always { script {", "y"), 2);
    expect_result(&w, "web", 2, "SUCCESS");
    sh(&w, UNTIL("test ! -e ../data/builds/web/1"));
}
