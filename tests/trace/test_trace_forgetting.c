/* SPDX-License-Identifier: MIT */
/* What a naru that runs for months must not keep for ever, nor write again and again. */
#include <stdio.h>
#include "story.h"

#define GONE_KEPT 100 /* INACTIVE services, and clusters */

static const struct story_options plain = {
    .desired_count = 1, .minimum_healthy_percent = 100, .maximum_percent = 200};

static int
count_rows(const struct story *st, enum row_kind kind, const char *part)
{
    int count = 0;

    for (int i = 0; i < st->row_count; i++)
        count += st->rows[i].kind == kind && strstr(st->rows[i].key, part) != NULL;
    return count;
}

/* A service of its own for a branch, and its end. */
static void
come_and_go(struct story *st, int number)
{
    static const struct deployment_config config = {.minimum_healthy_percent = 100, .maximum_percent = 200};
    struct event ev = {.type = EVENT_SERVICE_CREATE};
    char name[32], arn[ARN_SIZE];

    snprintf(name, sizeof(name), "branch-%d", number);
    ev.service_create = (struct ev_service_create){.cluster_arn = st->cluster,
                                                   .name = name,
                                                   .created_by = "",
                                                   .client_token = "",
                                                   .desired_count = 1,
                                                   .task_definition_arn = st->definitions[0],
                                                   .config = &config};
    story_tell(st, &ev, "create");
    story_running(st, st->task_count);
    snprintf(arn, sizeof(arn), "%s", st->service);
    snprintf(strrchr(arn, '/') + 1, 32, "%s", name);
    story_at(st, st->now_ms - st->start_ms + 1);
    story_tell(st, &(struct event){.type = EVENT_SERVICE_DELETE, .service_delete = {.service_arn = arn}},
               "delete");
    story_stopped(st, st->task_count, 0);
    CHECK_EQ(core_service_by_arn(st->core, arn)->status, SERVICE_INACTIVE);
}

/* One that never has a task comes, or goes. */
static void
tell_empty(struct story *st, int number, bool comes)
{
    static const struct deployment_config config = {.minimum_healthy_percent = 100, .maximum_percent = 200};
    struct event ev = {.type = comes ? EVENT_SERVICE_CREATE : EVENT_SERVICE_DELETE};
    char name[32], arn[ARN_SIZE];

    snprintf(name, sizeof(name), "branch-%d", number);
    snprintf(arn, sizeof(arn), "%s", st->service);
    snprintf(strrchr(arn, '/') + 1, 32, "%s", name);
    if (comes)
        ev.service_create = (struct ev_service_create){.cluster_arn = st->cluster,
                                                       .name = name,
                                                       .created_by = "",
                                                       .client_token = "",
                                                       .task_definition_arn = st->definitions[0],
                                                       .config = &config};
    else
        ev.service_delete.service_arn = arn;
    story_at(st, st->now_ms - st->start_ms + 1);
    story_tell(st, &ev, comes ? "create" : "delete");
}

/* Ten at a time: of thousands that went one after the other, or that a naru of before kept, the rows would be
 * too many for a step. */
TEST(services_that_went_are_forgotten_the_longest_gone_first)
{
    enum { ALL = GONE_KEPT + 12 };
    cleanup_story struct story *st = story_new(&plain);

    come_and_go(st, 1);
    for (int i = 2; i <= ALL; i++)
        tell_empty(st, i, /* comes= */ true);
    for (int i = 2; i <= ALL; i++)
        tell_empty(st, i, /* comes= */ false);
    CHECK_EQ(count_rows(st, ROW_SERVICE, "/branch-"), ALL);
    CHECK(story_task(st, 2) != NULL); /* of branch-1 */
    tell_empty(st, ALL + 1, /* comes= */ true);
    CHECK_EQ(count_rows(st, ROW_SERVICE, "/branch-"), ALL - 10 + 1);
    CHECK_EQ(count_rows(st, ROW_SERVICE, "/branch-1"), 9 + 14); /* 11 to 19, 100 to 113 */
    CHECK(story_task(st, 1) != NULL);
    CHECK(story_task(st, 2) == NULL);
    tell_empty(st, ALL + 2, /* comes= */ true); /* they make room before it comes */
    CHECK_EQ(count_rows(st, ROW_SERVICE, "/branch-"), GONE_KEPT + 2);
    tell_empty(st, ALL + 3, /* comes= */ true);
    CHECK_EQ(count_rows(st, ROW_SERVICE, "/branch-"), GONE_KEPT + 3);
}

/* Its services are still described, in it. */
TEST(a_cluster_is_kept_for_its_services)
{
    cleanup_story struct story *st = story_new(&plain);
    struct event ev = {.type = EVENT_CLUSTER_CREATE, .cluster_create = {.region = "eu-west-1"}};
    struct event gone = {.type = EVENT_CLUSTER_DELETE, .cluster_delete = {.arn = st->cluster}};

    story_running(st, 1);
    story_delete(st);
    story_stopped(st, 1, 0);
    story_tell(st, &gone, "delete");
    for (int i = 1; i <= GONE_KEPT + 1; i++) {
        char name[32], arn[ARN_SIZE];
        snprintf(name, sizeof(name), "test-%d", i);
        snprintf(arn, sizeof(arn), "arn:aws:ecs:eu-west-1:000000000000:cluster/%s", name);
        ev.cluster_create.name = name;
        story_tell(st, &ev, "cluster");
        gone.cluster_delete.arn = arn;
        story_tell(st, &gone, "delete");
    }
    CHECK(core_cluster(st->core, "eu-west-1", STR("c")) != NULL);
    CHECK(core_cluster(st->core, "eu-west-1", STR("test-1")) == NULL);
    CHECK(story_service(st)->cluster == core_cluster(st->core, "eu-west-1", STR("c")));
    story_restart(st);
    CHECK_EQ(story_service(st)->status, SERVICE_INACTIVE);
}

TEST(clusters_that_went_are_forgotten_too)
{
    cleanup_story struct story *st = story_new(&plain);
    struct event ev = {.type = EVENT_CLUSTER_CREATE};

    for (int i = 1; i <= GONE_KEPT + 5; i++) {
        struct event gone = {.type = EVENT_CLUSTER_DELETE};
        char name[32], arn[ARN_SIZE];
        snprintf(name, sizeof(name), "test-%d", i);
        snprintf(arn, sizeof(arn), "arn:aws:ecs:eu-west-1:000000000000:cluster/%s", name);
        ev.cluster_create.region = "eu-west-1";
        ev.cluster_create.name = name;
        story_tell(st, &ev, "cluster");
        gone.cluster_delete.arn = arn;
        story_tell(st, &gone, "delete");
    }
    CHECK_EQ(count_rows(st, ROW_CLUSTER, "/test-"), GONE_KEPT + 1);
    CHECK(core_cluster(st->core, "eu-west-1", STR("test-4")) == NULL);
    CHECK(core_cluster(st->core, "eu-west-1", STR("test-5")) != NULL);
    CHECK(core_cluster(st->core, "eu-west-1", STR("c")) != NULL);
    story_restart(st);
    CHECK(core_cluster(st->core, "eu-west-1", STR("test-5")) != NULL);
}

static void
tell_cluster(struct story *st, const char *name, bool comes)
{
    struct event ev = {.type = comes ? EVENT_CLUSTER_CREATE : EVENT_CLUSTER_DELETE};
    char arn[ARN_SIZE];

    snprintf(arn, sizeof(arn), "arn:aws:ecs:eu-west-1:000000000000:cluster/%s", name);
    if (comes)
        ev.cluster_create = (struct ev_cluster_create){.region = "eu-west-1", .name = name};
    else
        ev.cluster_delete.arn = arn;
    story_at(st, st->now_ms - st->start_ms + 1);
    story_tell(st, &ev, comes ? "cluster" : "delete");
}

/* Neither the one that was made first, nor the one whose name comes first. */
TEST(of_clusters_that_went_the_longest_gone_are_forgotten)
{
    cleanup_story struct story *st = story_new(&plain);

    tell_cluster(st, "oldest", /* comes= */ true);
    for (int i = 0; i < GONE_KEPT; i++) {
        char name[32];
        snprintf(name, sizeof(name), "%c-%d", 'z' - i % 26, i);
        tell_cluster(st, name, /* comes= */ true);
        tell_cluster(st, name, /* comes= */ false);
    }
    tell_cluster(st, "oldest", /* comes= */ false);
    story_restart(st);
    tell_cluster(st, "one", /* comes= */ true);
    CHECK(core_cluster(st->core, "eu-west-1", STR("z-0")) == NULL);
    CHECK(core_cluster(st->core, "eu-west-1", STR("y-1")) != NULL);
    CHECK(core_cluster(st->core, "eu-west-1", STR("oldest")) != NULL);
}

/* ---- families of task definitions ---- */

static const char definition[] = "{\"networkMode\":\"bridge\",\"containerDefinitions\":[{\"name\":\"app\","
                                 "\"image\":\"a\",\"cpu\":1,\"memory\":1,\"essential\":true}]}";

static int
register_one(struct story *st, const char *family)
{
    cleanup_json struct json *doc = story_json(definition);
    struct event ev = {.type = EVENT_TASK_DEFINITION_REGISTER};

    ev.task_definition_register.region = "eu-west-1";
    ev.task_definition_register.family = family;
    ev.task_definition_register.doc = doc;
    story_tell(st, &ev, "register");
    return st->core->task_definitions->revision;
}

TEST(a_revision_is_never_given_out_twice)
{
    cleanup_story struct story *st = story_new(&plain);
    struct event ev = {.type = EVENT_TASK_DEFINITION_DEREGISTER};
    char arn[ARN_SIZE];

    CHECK_EQ(register_one(st, "branch-1"), 1);
    text_copy(arn, ARN_SIZE, str_of(st->core->task_definitions->arn));
    ev.task_definition_deregister.arn = arn;
    story_tell(st, &ev, "deregister");
    story_tell(st, &(struct event){.type = EVENT_TASK_DEFINITION_DELETE, .task_definition_delete = {.arn = arn}},
               "delete");
    story_at(st, 60000);
    story_clock(st);
    CHECK_EQ(count_rows(st, ROW_TASK_DEFINITION, "branch-1"), 0);
    CHECK_EQ(count_rows(st, ROW_FAMILY, "eu-west-1/branch-1"), 1);
    story_restart(st);
    CHECK_EQ(register_one(st, "branch-1"), 2);
}

/* Each commit with an event of a service or a new task in it writes the row of the core. */
TEST(a_step_writes_no_family_but_its_own)
{
    cleanup_story struct story *st = story_new(&plain);
    int families = 0;

    (void)register_one(st, "branch-1");
    for (int i = 0; i < st->effects.count; i++)
        families += st->effects.at[i].type == EFFECT_PERSIST &&
                    (st->effects.at[i].persist.kind == ROW_FAMILY || st->effects.at[i].persist.kind == ROW_META);
    CHECK_EQ(families, 1);
    for (int i = 0; i < st->row_count; i++)
        CHECK(st->rows[i].kind != ROW_META || strstr(st->rows[i].text, "branch-1") == NULL);
}

TEST(families_in_the_row_of_a_naru_before_are_read_and_given_rows)
{
    cleanup_story struct story *st = story_new(&plain);

    CHECK_EQ(register_one(st, "branch-1"), 1);
    for (int i = st->row_count - 1; i >= 0; i--) {
        cleanup_json struct json *row = story_json(st->rows[i].text);
        if (st->rows[i].kind == ROW_FAMILY) {
            free(st->rows[i].text);
            st->rows[i] = st->rows[--st->row_count];
        } else if (st->rows[i].kind == ROW_META) {
            json_set(row, "families", story_json("{\"eu-west-1/branch-1\":41,\"eu-west-1/web\":4}"));
            free(st->rows[i].text);
            st->rows[i].text = json_format(row);
        }
    }
    story_restart(st); /* which checks that all rows are as they should be */
    CHECK_EQ(count_rows(st, ROW_FAMILY, ""), 2);
    for (int i = 0; i < st->row_count; i++)
        CHECK(st->rows[i].kind != ROW_META || strstr(st->rows[i].text, "families") == NULL);
    CHECK_EQ(register_one(st, "branch-1"), 42);
}

/* ---- deployments whose tasks do not go ---- */

#define BUSY_MAX 400

TEST(a_service_has_no_room_for_another_deployment_while_the_tasks_of_hundreds_go)
{
    static struct deployment deployments[BUSY_MAX];
    static struct task tasks[BUSY_MAX];
    struct service s = {.revision_count = BUSY_MAX, .deployments = deployments, .live = tasks};

    for (int i = 0; i < BUSY_MAX; i++) {
        deployments[i].next = i + 1 < BUSY_MAX ? &deployments[i + 1] : NULL;
        tasks[i].deployment = &deployments[i];
        tasks[i].next_live = i + 1 < BUSY_MAX ? &tasks[i + 1] : NULL;
    }
    CHECK(!core_has_room_for_deployment(&s));
    tasks[7].deployment = &deployments[8]; /* those of the eighth have gone */
    CHECK(core_has_room_for_deployment(&s));
    tasks[7].deployment = &deployments[7];
    s.revision_count--; /* there cannot be so many */
    CHECK(core_has_room_for_deployment(&s));
}

/* ---- while commits fail ---- */

TEST(orders_that_are_said_again_and_again_are_kept_once)
{
    cleanup_story struct story *st = story_new(&plain);
    struct effects all = {0};
    int first = 0, starts = 0, adoptions = 0;

    story_running(st, 1);
    for (int i = 1; i <= 3; i++) { /* it is asked for again every few minutes */
        story_at(st, i * 3600000LL);
        core_step(st->core, &(struct event){.type = EVENT_CLOCK}, st->now_ms, &all);
        if (i == 1)
            first = all.count;
    }
    CHECK_EQ(effects_add(&all, EFFECT_TASK_START)->task_start.only_adopt, false); /* of another task */
    CHECK(all.count > first + 1);
    effects_compact(&all);
    for (int i = 0; i < all.count; i++) {
        starts += all.at[i].type == EFFECT_TASK_START && !all.at[i].task_start.only_adopt;
        adoptions += all.at[i].type == EFFECT_TASK_START && all.at[i].task_start.only_adopt;
    }
    CHECK_EQ(adoptions, 1);
    CHECK_EQ(starts, 1);
    CHECK(!all.at[all.count - 1].task_start.only_adopt); /* in their order */
    effects_done(&all);
}
