/* SPDX-License-Identifier: MIT */
/* Lifecycle hooks that are tasks: which of their containers are judged, and what is said of them. */
#include "story.h"

static const struct story_options rolling = {
    .desired_count = 1,
    .minimum_healthy_percent = 100,
    .maximum_percent = 200,
    .hooks = "[{\"hookTargetArn\":\"arn:aws:ecs:eu-west-1:000000000000:task-definition/web:5\"}]",
    .strategy = {.hooks = {{.kind = HOOK_KIND_TASK,
                            .stages = 1 << STAGE_PRE_SCALE_UP,
                            .timeout_min = 10}},
                 .hook_count = 1}};

/* The first deployment failed, for want of web:5.  The second one's hook is t1: "app", and beside it
 * "log", which is not essential. */
static struct story *
migrating(void)
{
    struct story *st = story_new(&rolling);

    story_define(st, "{\"networkMode\":\"bridge\",\"compatibilities\":[\"EC2\"],"
                     "\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"a:1\",\"cpu\":1,"
                     "\"memory\":1,\"essential\":true},{\"name\":\"log\",\"image\":\"l:1\","
                     "\"cpu\":1,\"memory\":1,\"essential\":false}]}");
    story_update(st, 2);
    story_running(st, 1);
    strbuf_clear(&st->trace);
    return st;
}

static void
exits(struct story *st, int app, const char *reason, int log)
{
    struct task_container c[2] = {
        {.name = "app", .last_status = TASK_STOPPED, .has_exit_code = true, .exit_code = app},
        {.name = "log", .last_status = TASK_STOPPED, .has_exit_code = true, .exit_code = log}};
    struct event ev = {.type = EVENT_TASK_STATE};

    text_copy(c[0].reason, sizeof(c[0].reason), str_of(reason));
    ev.task_state = (struct ev_task_state){.task_id = st->ids[0],
                                           .status = TASK_STOPPED,
                                           .containers = c,
                                           .container_count = 2};
    story_tell(st, &ev, "exits");
}

TEST(the_task_has_succeeded_if_its_essential_containers_have)
{
    cleanup_story struct story *st = migrating();

    exits(st, 0, "", 1);
    CHECK_TRACE(st, "0 exits | forget t1 start t2\n");
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
}

TEST(what_the_container_died_of_is_told)
{
    cleanup_story struct story *st = migrating();

    exits(st, 137, "OutOfMemoryError: container killed due to memory usage", 0);
    CHECK(strstr(service_current(story_service(st))->status_reason,
                 "container app exited with code 137: OutOfMemoryError: container killed") != NULL);
    CHECK_TRACE(st, "0 exits | forget t1\n");
}

/* Its exit code speaks for it, and nobody else. */
TEST(an_answer_for_a_task_is_none)
{
    cleanup_story struct story *st = migrating();
    const struct service *s = story_service(st);
    struct event ev = {.type = EVENT_HOOK_ANSWERED};
    char arn[ARN_SIZE], id[HOOK_ID_SIZE];

    text_copy(arn, ARN_SIZE, str_of(service_current(s)->arn));
    text_copy(id, sizeof(id), str_of(s->course.hooks[0].id));
    ev.hook_answered = (struct ev_hook_answered){
        .service_deployment_arn = arn, .hook_id = id, .attempt = 1, .outcome = OUTCOME_SUCCEEDED};
    story_tell(st, &ev, "answer");
    ev.hook_answered.outcome = OUTCOME_FAILED;
    story_tell(st, &ev, "answer");
    CHECK_TRACE(st, "0 answer | -\n"
                    "0 answer | -\n");
    CHECK_EQ(s->course.hooks[0].status, HOOK_IN_PROGRESS);
}

/* With an early success the deployment may be proved while the rest of its tasks still comes. */
TEST(nothing_is_started_in_the_step_that_asks_the_last_hook)
{
    struct story_options o = {.desired_count = 2,
                              .minimum_healthy_percent = 50,
                              .maximum_percent = 100,
                              .strategy = {.succeeds_early = true, .early_percent = 50}};
    cleanup_story struct story *st = story_new(&o);

    story_running(st, 1);
    story_running(st, 2);
    story_at(st, 40000);
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    o.strategy.hooks[0] = (struct hook_config){
        .kind = HOOK_KIND_PAUSE,
        .stages = 1 << STAGE_POST_PRODUCTION_TRAFFIC_SHIFT,
        .timeout_min = 10};
    o.strategy.hook_count = 1;
    story_strategy(st, &o.strategy);
    strbuf_clear(&st->trace);
    story_update(st, 2);
    story_stopped(st, 2, 143);
    story_running(st, 3);
    story_at(st, 80000);
    story_clock(st);
    CHECK_EQ(story_stage(st), STAGE_SCALE_UP);
    CHECK_TRACE(st, "40000 update web:2 | stop t2 start t3\n"
                    "40000 stopped t2 | forget t2\n"
                    "40000 running t3 | -\n"
                    "80000 clock | adopt t3 stop t1 start t4\n");
    story_running(st, 4);
    CHECK_EQ(story_stage(st), STAGE_POST_PRODUCTION_TRAFFIC_SHIFT);
}
