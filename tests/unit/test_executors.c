/* SPDX-License-Identifier: MIT */
/* Executors and labels: what builds.json says of them, who gets one, and what builds see of it. */
#include "pipeline_setup.h"
#include "pipeline/executors.h"
#include "pipeline/room.h"

static bool
read_plan(struct executor_plan *p, const char *text, struct err *err)
{
    cleanup_json struct json *j = text == NULL ? NULL : json_parse(str_of(text), err);

    return executor_plan_read(p, j, err);
}

/* The verdicts for "linux", "deploy", "windows" and any. */
static const char *
has(const char *text)
{
    static char verdicts[5];
    static const char *const labels[] = {"linux", "deploy", "windows", ""};
    struct executor_plan p;
    struct err err;

    if (!read_plan(&p, text, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    for (size_t i = 0; i < ARRAY_COUNT(labels); i++)
        verdicts[i] = executor_plan_has(&p, str_of(labels[i])) ? 'y' : 'n';
    executor_plan_done(&p);
    return verdicts;
}

TEST(a_machine_has_the_labels_that_are_said_or_all)
{
    CHECK_TEXT(has(NULL), "yyyy");
    CHECK_TEXT(has("{}"), "yyyy");
    CHECK_TEXT(has("{\"executors\": 4}"), "yyyy");
    CHECK_TEXT(has("{\"executors\": [{\"count\": 2}, {\"name\": \"b\"}]}"), "yyyy");
    CHECK_TEXT(has("{\"labels\": [\"linux\"]}"), "ynny");
    CHECK_TEXT(has("{\"labels\": []}"), "nnny");
    CHECK_TEXT(has("{\"labels\": [\"linux\"], \"executors\": [{\"labels\": [\"deploy\"]}]}"), "yyny");
    CHECK_TEXT(has("{\"executors\": [{\"labels\": [\"linux\"]}, {\"name\": \"deploy\"}]}"), "yyny");
    CHECK_TEXT(has("{\"executors\": [{\"labels\": [\"linux\"], \"exclusive\": true}]}"), "ynny");
}

TEST(a_mistake_in_executors_is_named)
{
    static const char *const rows[][2] = {
        {"{\"labels\": \"linux\"}", "'labels' is a list"},
        {"{\"labels\": [\"a b\"]}", "a label is a text"},
        {"{\"labels\": [7]}", "a label is a text"},
        {"{\"executors\": 0}", "from 1 to"},
        {"{\"executors\": 257}", "from 1 to"},
        {"{\"executors\": \"4\"}", "a number, or a list"},
        {"{\"executors\": []}", "from 1 to 32 groups"},
        {"{\"executors\": [{\"count\": 200}, {\"count\": 57}]}", "from 1 to 256 in all"},
        {"{\"executors\": [{\"cuont\": 2}]}", "a group of executors is"},
        {"{\"executors\": [{\"exclusive\": 1}]}", "a group of executors is"},
        {"{\"executors\": [4]}", "a group of executors is"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct executor_plan p;
        struct err err;
        CHECK(!read_plan(&p, rows[i][0], &err));
        if (strstr(err.message, rows[i][1]) == NULL)
            check_fail(__FILE__, __LINE__, "%s: %s", rows[i][0], err.message);
        CHECK(p.has_all_labels && p.total == 0);
        executor_plan_done(&p);
    }
}

static void
table_free(struct executor_table **t)
{
    executor_table_free(*t);
}

static struct executor_table *
table_with(const char *text)
{
    struct executor_table *t = executor_table_new();
    struct executor_plan p;
    struct err err;

    CHECK(read_plan(&p, text, &err));
    executor_table_use(t, &p);
    return t;
}

/* The number that build 1 of the pipeline gets for the agent `key`, or -1. */
static int
take(struct executor_table *t, const char *pipeline, const char *key, const char *label)
{
    const struct executor_ask ask = {.pipeline = pipeline, .build = 1, .key = key,
                                     .label = str_of(label), .held = -1, .known = -1};
    struct executor_grant g;

    return executor_table_take(t, &ask, &g) ? g.number : -1;
}

#define GROUPS "{\"executors\": [{\"labels\": [\"linux\", \"docker\"], \"count\": 2}, " \
               "{\"name\": \"deployer\", \"labels\": [\"deploy\"], \"exclusive\": true}]}"

TEST(a_deploy_never_waits_behind_long_builds)
{
    cleanup(table_free) struct executor_table *t = table_with(GROUPS);

    CHECK_EQ(take(t, "web", "a", ""), 0);
    CHECK_EQ(take(t, "web", "b", "linux && docker"), 1);
    CHECK_EQ(take(t, "api", "a", ""), -1); /* not the exclusive one */
    CHECK_EQ(take(t, "api", "b", "linux"), -1);
    CHECK_EQ(take(t, "api", "c", "deploy"), 2);
    CHECK_EQ(take(t, "api", "c", "deploy"), 2); /* asked again */
    CHECK_EQ(take(t, "app", "a", "deployer"), -1);
    executor_table_give(t, "api", 1, NULL); /* all of the build, its wishes, too */
    CHECK_EQ(take(t, "app", "a", "deployer"), 2);
    executor_table_give(t, "web", 1, "b");
    CHECK_EQ(take(t, "api", "b", "linux"), 1);
}

TEST(a_free_executor_goes_to_who_holds_the_fewest_then_to_who_asked_first)
{
    cleanup(table_free) struct executor_table *t = table_with("{\"executors\": 3}");

    for (int i = 0; i < 3; i++)
        CHECK_EQ(take(t, "web", i == 0 ? "a" : i == 1 ? "b" : "c", "x"), i);
    CHECK_EQ(take(t, "web", "d", ""), -1);
    CHECK_EQ(take(t, "api", "a", ""), -1);
    CHECK_EQ(take(t, "app", "a", ""), -1);
    executor_table_give(t, "web", 1, "b");
    CHECK_EQ(take(t, "web", "d", ""), -1); /* holds two */
    CHECK_EQ(take(t, "app", "a", ""), -1); /* came later than api */
    CHECK_EQ(take(t, "api", "a", ""), 1);
    executor_table_give(t, "web", 1, "c");
    CHECK_EQ(take(t, "web", "d", ""), -1);
    executor_table_give(t, "app", 1, "a"); /* wants no more */
    CHECK_EQ(take(t, "web", "d", ""), 2);
}

TEST(an_agent_within_another_one_does_not_wait_for_it)
{
    cleanup(table_free) struct executor_table *t = table_with(GROUPS);
    struct executor_ask ask = {.pipeline = "web", .build = 1, .key = "in", .held = 0, .known = -1};
    struct executor_grant g;

    CHECK_EQ(take(t, "web", "a", ""), 0);
    CHECK(executor_table_take(t, &ask, &g) && g.number == 1); /* one that is free */
    executor_table_give(t, "web", 1, "in");
    CHECK_EQ(take(t, "api", "a", ""), 1);
    CHECK(executor_table_take(t, &ask, &g) && g.number == 0); /* its own */
    executor_table_give(t, "web", 1, "in");
    CHECK_EQ(take(t, "app", "a", ""), -1); /* which is not free by that */
    ask.key = "deploy";
    ask.label = STR("deploy");
    CHECK_EQ(take(t, "app", "b", "deploy"), 2);
    CHECK(!executor_table_take(t, &ask, &g));
    CHECK_TEXT(g.why, "Waiting for next available executor on ‘deploy’");
    ask.seen = g.changes;
    CHECK(!executor_table_take(t, &ask, &g) && g.why[0] == '\0');
    ask.key = "none";
    ask.label = STR("windows && !linux");
    ask.seen = 0;
    CHECK(!executor_table_take(t, &ask, &g));
    CHECK_TEXT(g.why, "There are no nodes with the label ‘windows && !linux’");
}

TEST(what_a_build_had_before_a_restart_it_has_again)
{
    cleanup(table_free) struct executor_table *t = table_with("{\"executors\": 1}");
    const struct executor_ask ask = {
        .pipeline = "web", .build = 1, .key = "a", .held = -1, .known = 0};
    struct executor_grant g;

    CHECK_EQ(take(t, "api", "a", ""), 0);
    CHECK(executor_table_take(t, &ask, &g) && g.number == 0);
    executor_table_give(t, "api", 1, NULL);
    CHECK_EQ(take(t, "app", "a", ""), -1);
}

static bool
is_not_over(void *arg, const char *pipeline, int64_t build)
{
    (void)arg;
    (void)pipeline;
    (void)build;
    return false;
}

/* A power cut takes the word that it was given back. */
TEST(a_build_does_not_wait_for_what_it_held_before_a_restart_and_asks_for_no_more)
{
    cleanup(table_free) struct executor_table *t = table_with("{\"executors\": 1}");
    cleanup_json struct json *held = NULL;
    struct err err;

    held = json_parse(STR("[{\"pipeline\": \"web\", \"build\": 1, \"key\": \"a\", \"number\": 0}]"), &err);
    executor_table_hold(t, held, is_not_over, NULL);
    CHECK_EQ(take(t, "api", "a", ""), -1);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(take(t, "web", "b", ""), -1); /* another branch of it may ask */
    CHECK_EQ(take(t, "web", "b", ""), 0);
    for (int i = 0; i < 30; i++)
        CHECK_EQ(take(t, "web", "c", ""), -1); /* what it has asked for it holds */
    executor_table_give(t, "web", 1, "b");
    CHECK_EQ(take(t, "api", "a", ""), 0);
}

/* --- builds --- */

static void
write_config(const struct world *w, const char *text)
{
    cleanup_free char *path = text_format("%s/builds.json", w->data);

    CHECK(file_make_dirs(w->data, 0755, NULL));
    CHECK(file_write_atomic(path, str_of(text), 0644, NULL));
}

static void
world_with(struct world *w, const char *config)
{
    world_init(w);
    write_config(w, config);
    room_up(w);
    create(w, "web", NULL);
}

static int64_t
build_file(struct world *w, const char *branch, const char *text)
{
    cleanup_free char *path = text_format("%s/Jenkinsfile", w->clone);
    cleanup_free char *script =
        text_format("git add . && git commit -q --allow-empty -m x && git push -q -f '%s/git/web.git' HEAD:%s",
                    w->data, branch);

    CHECK(file_write_atomic(path, str_of(text), 0644, NULL));
    sh(w, script);
    return submit(w, "web", branch);
}

#define HOLD "sh 'touch ../up; while [ ! -e ../go ]; do sleep 0.02; done'"
#define WAIT_UNTIL_UP \
    "for i in $(seq 600); do [ -e ../data/workspaces/web/up ] && exit 0; sleep 0.05; done; exit 1"

TEST(builds_see_their_executor_and_wait_for_a_label_in_jenkins_words)
{
    cleanup(world_done) struct world w = {0};
    struct err err;

    world_with(&w, GROUPS);
    CHECK_EQ(build_file(&w, "main",
                        "pipeline { agent { label 'docker' }\n stages { stage('a') { steps {\n"
                        "  echo \"at ${NODE_NAME} [${NODE_LABELS}] ${EXECUTOR_NUMBER}\"\n"
                        "  script { node('deploy') { sh 'echo in $NODE_NAME $NODE_LABELS $EXECUTOR_NUMBER' } } } } } }"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    expect_log(&w, "web", 1, "at built-in [built-in linux docker] 0\n");
    expect_log(&w, "web", 1, "in deployer deployer deploy 2\n");
    CHECK_EQ(build_file(&w, "main", "node('windows && !linux') { echo 'never' }"), 2);
    wait_until_waiting(&w, 2, "There are no nodes with the label ‘windows && !linux’");
    sh(&w, "for i in $(seq 400); do grep -A1 '^Still waiting to schedule task$' ../data/builds/web/2/log | "
           "grep -q '^There are no nodes with the label ‘windows && !linux’$' && exit 0; sleep 0.05; done; exit 1");
    CHECK(pipeline_abort(w.room, "web", 2, &err));
    expect_result(&w, "web", 2, "ABORTED");
    CHECK_EQ(build_file(&w, "main", "pipeline { agent none\n stages { stage('a') { agent { label \"${'win'}dows\" }\n"
                                    " steps { echo 'never' } } } }"), 3);
    wait_until_waiting(&w, 3, "There are no nodes with the label ‘windows’");
    CHECK(pipeline_abort(w.room, "web", 3, &err));
    expect_result(&w, "web", 3, "ABORTED");
}

TEST(a_build_that_waits_for_its_first_executor_gives_way_to_a_newer_commit)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *j = NULL;

    world_with(&w, "{\"executors\": [{\"labels\": [\"linux\"]}, {\"labels\": [\"deploy\"]}]}");
    CHECK_EQ(build_file(&w, "long", "node('linux') { " HOLD "}"), 1);
    sh(&w, WAIT_UNTIL_UP);
    CHECK_EQ(build_file(&w, "main", "node('linux') { echo 'old' }"), 2);
    wait_until_waiting(&w, 2, "Waiting for next available executor on ‘linux’");
    CHECK_EQ(build_file(&w, "other", "node('deploy') { echo 'deployed' }"), 3); /* is not held up */
    expect_result(&w, "web", 3, "SUCCESS");
    CHECK_EQ(build_file(&w, "main", "node('linux') { echo 'new' }"), 4);
    expect_result(&w, "web", 2, "NOT_BUILT");
    j = pipeline_build(w.room, "web", 2, NULL);
    CHECK_TEXT(json_get_cstr(j, "reason", ""), "superseded by build 4");
    wait_until_waiting(&w, 4, "executor on ‘linux’");
    room_down(&w); /* what it says of its waiting it says once */
    room_up(&w);
    wait_until_waiting(&w, 4, "executor on ‘linux’");
    sh(&w, "touch ../data/workspaces/web/go");
    expect_result(&w, "web", 1, "SUCCESS");
    expect_result(&w, "web", 4, "SUCCESS");
    sh(&w, "test $(grep -c 'Still waiting' ../data/builds/web/4/log) = 1 && "
           "test $(grep -c '^new$' ../data/builds/web/4/log) = 1 && ! grep -q old ../data/builds/web/2/log");
}

TEST(agents_of_one_build_take_turns)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *list = NULL;

    world_with(&w, "{\"executors\": 2}");
    CHECK_EQ(build_file(&w, "main",
                        "def at = [:]\nfor (int i = 0; i < 6; i++) { def n = i\n"
                        "  at[\"b$n\"] = { node('x') { sh 'mkdir ../held-$EXECUTOR_NUMBER && sleep 0.1 && rmdir ../held-$EXECUTOR_NUMBER' } } }\n"
                        "parallel at"), 1);
    expect_result(&w, "web", 1, "SUCCESS");
    list = pipeline_list(w.room);
    CHECK_EQ(json_get_i64(json_at(json_get(list, "executors"), 0), "count", 0), 2);
    CHECK_EQ(json_get_i64(json_at(json_get(list, "executors"), 0), "busy", 9), 0);
}

TEST(a_build_that_waits_for_a_later_executor_keeps_its_turn)
{
    static const char held[] = "milestone 1\nnode('deploy') { echo 'first' }\nnode('linux') { echo 'second' }";
    cleanup(world_done) struct world w = {0};

    world_with(&w, "{\"executors\": [{\"labels\": [\"linux\"]}, {\"labels\": [\"deploy\"], \"count\": 2}]}");
    CHECK_EQ(build_file(&w, "long", "node('linux') { " HOLD "}"), 1);
    sh(&w, WAIT_UNTIL_UP);
    CHECK_EQ(build_file(&w, "main", held), 2);
    wait_until_waiting(&w, 2, "executor on ‘linux’");
    CHECK_EQ(submit(&w, "web", "main"), 3); /* of the same branch */
    CHECK_EQ(build_file(&w, "other", "node('deploy') { echo 'deployed' }"), 4);
    expect_result(&w, "web", 4, "SUCCESS");
    json_unref(wait_for(&w, "web", 3, "QUEUED"));
    sh(&w, "touch ../data/workspaces/web/go");
    expect_result(&w, "web", 2, "SUCCESS");
    expect_result(&w, "web", 3, "SUCCESS");
}

/* Two agents with no step between them. */
#define IN_A_ROW                                                                                   \
    "pipeline { agent none\n options { skipDefaultCheckout() }\n stages {\n"                         \
    " stage('a') { agent { label 'linux' }\n when { expression { false } }\n steps { echo 'a' } }\n"  \
    " stage('b') { agent { label 'deploy' }\n steps { echo \"at ${NODE_NAME}\" } } } }"

TEST(an_agent_is_not_taken_for_the_one_before_it_after_a_restart)
{
    cleanup(world_done) struct world w = {0};

    world_with(&w, "{\"executors\": [{\"labels\": [\"linux\"]}, {\"name\": \"deployer\", \"labels\": [\"deploy\"]}]}");
    CHECK_EQ(build_file(&w, "long", "node('deploy') { " HOLD "}"), 1);
    sh(&w, WAIT_UNTIL_UP);
    CHECK_EQ(build_file(&w, "main", IN_A_ROW), 2);
    wait_until_waiting(&w, 2, "executor on ‘deploy’");
    room_down(&w);
    room_up(&w);
    wait_until_waiting(&w, 2, "executor on ‘deploy’");
    sh(&w, "touch ../data/workspaces/web/go");
    expect_result(&w, "web", 1, "SUCCESS");
    expect_result(&w, "web", 2, "SUCCESS");
    expect_log(&w, "web", 2, "at deployer\n");
}

TEST(a_builds_json_that_cannot_be_read_changes_no_executors)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *list = NULL;

    world_with(&w, "{\"executors\": 3}");
    json_unref(pipeline_list(w.room));
    write_config(&w, "{\"execu");
    room_lock(w.room);
    w.room->executors_ms = 0; /* due at once */
    room_unlock(w.room);
    list = pipeline_list(w.room);
    CHECK_EQ(json_get_i64(json_at(json_get(list, "executors"), 0), "count", 0), 3);
}

/* Of a script, so that git has nothing to do. */
static int64_t
build_script(struct world *w, const char *branch, const char *script)
{
    const struct build_request r = {.pipeline = "web",
                                    .branch = branch,
                                    .commit = "1111111111111111111111111111111111111111",
                                    .message = "x",
                                    .cause = "UserIdCause",
                                    .script = script};
    int64_t number = 0;
    struct err err;

    if (!pipeline_submit(w->room, &r, &number, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return number;
}

TEST(builds_that_wait_for_a_label_nobody_has_hold_up_no_others)
{
    enum { WAITING = 70 };
    cleanup(world_done) struct world w = {0};
    unsigned count = WAITING;
    struct err err;

    world_with(&w, "{\"executors\": [{\"labels\": [\"linux\"], \"count\": 2}]}");
    for (int i = 1; i <= WAITING; i++) {
        cleanup_free char *branch = text_format("b%d", i);
        CHECK_EQ(build_script(&w, branch, "node('windows') { echo 'never' }"), i);
    }
    wait_until_waiting(&w, WAITING, "There are no nodes with the label ‘windows’");
    CHECK_EQ(build_script(&w, "main", "node('linux') { echo 'built' }"), WAITING + 1);
    expect_result(&w, "web", WAITING + 1, "SUCCESS");
    for (int i = 1; i <= WAITING; i++)
        CHECK(pipeline_abort(w.room, "web", i, &err));
    for (int i = 1; i <= WAITING; i++)
        expect_result(&w, "web", i, "ABORTED");
    for (int i = 0; count > WORKERS_IDLE && i < 600 * CHECK_PATIENCE; i++) { /* nor do their threads stay */
        (void)pipeline_wait(w.room, 20);
        room_lock(w.room);
        count = w.room->worker_count;
        room_unlock(w.room);
    }
    CHECK(count <= WORKERS_IDLE);
}

TEST(the_queue_says_when_so_many_builds_wait_that_no_more_can_begin)
{
    cleanup(world_done) struct world w = {0};
    cleanup_json struct json *j = NULL;
    struct err err;

    world_with(&w, "{\"labels\": [\"linux\"]}");
    room_lock(w.room);
    w.room->builds_max = 2;
    room_unlock(w.room);
    CHECK_EQ(build_script(&w, "b1", "node('windows') { }"), 1);
    CHECK_EQ(build_script(&w, "b2", "node('windows') { }"), 2);
    CHECK_EQ(build_script(&w, "main", "node('linux') { }"), 3);
    wait_until_waiting(&w, 3, "2 builds are under way, most of which wait themselves");
    j = pipeline_build(w.room, "web", 3, NULL);
    CHECK_TEXT(json_get_cstr(j, "state", ""), "QUEUED");
    CHECK(pipeline_abort(w.room, "web", 1, &err));
    expect_result(&w, "web", 3, "SUCCESS");
}

/* A thread that could not be made when it was needed. */
TEST(a_queue_into_which_nobody_looks_gets_a_thread_by_itself)
{
    cleanup(world_done) struct world w = {0};
    struct err err;

    world_with(&w, "{\"labels\": [\"linux\"]}");
    room_lock(w.room);
    w.room->worker_count++; /* as if there was one */
    room_unlock(w.room);
    CHECK_EQ(build_script(&w, "b1", "node('windows') { }"), 1);
    wait_until_waiting(&w, 1, "There are no nodes with the label ‘windows’");
    room_lock(w.room);
    while (w.room->parked == 0)
        pthread_cond_wait(&w.room->changed, &w.room->mutex);
    CHECK_EQ(--w.room->worker_count, w.room->running);
    w.room->lacks_worker = true;
    room_unlock(w.room);
    CHECK_EQ(build_script(&w, "main", "node('linux') { }"), 2);
    expect_result(&w, "web", 2, "SUCCESS");
    CHECK(pipeline_abort(w.room, "web", 1, &err));
    expect_result(&w, "web", 1, "ABORTED");
}

TEST(a_build_that_waits_for_an_executor_takes_no_more_memory_the_longer_it_waits)
{
    cleanup(world_done) struct world w = {0};
    struct executor_wish wish = {.key = "a", .label = STR("windows"), .held = -1, .known = -1};
    struct build b = {.pipeline = (char[]){"web"}, .number = 7};
    struct executor_given given = {.node = "built-in", .labels = "built-in"};
    struct arena arena = {0};
    size_t used;

    world_with(&w, "{\"labels\": [\"linux\"]}");
    CHECK(!room_executor(w.room, &b, &wish, &arena, &given));
    CHECK_TEXT(given.why, "There are no nodes with the label ‘windows’");
    used = arena.used;
    for (int i = 0; i < 100; i++) {
        wish.seen = 0; /* something has changed */
        CHECK(!room_executor(w.room, &b, &wish, &arena, &given));
    }
    CHECK_EQ(arena.used, used);
    CHECK_TEXT(given.why, b.waiting);
    room_executor_over(w.room, &b, "a");
    CHECK(b.waiting == NULL);
    arena_done(&arena);
}
