/* SPDX-License-Identifier: MIT */
/* Lifecycle hooks that are called, and those that are tasks (core/hooks.h). */
#include "blue_green.h"

#define URL "http://h/check"
#define MIGRATION 3 /* the revision of "web" that is the hook's task */

/* A rolling update of two tasks with one hook in both of its stages; its target is `hooks`'. */
static struct story_options
rolling(enum hook_kind kind, const char *hooks)
{
    return (struct story_options){
        .desired_count = 2,
        .minimum_healthy_percent = 100,
        .maximum_percent = 200,
        .has_load_balancer = true,
        .hooks = hooks,
        .strategy = {
            .hooks = {{.kind = kind,
                       .stages = 1 << STAGE_PRE_SCALE_UP | 1 << STAGE_POST_PRODUCTION_TRAFFIC_SHIFT,
                       .timeout_min = 10}},
            .hook_count = 1}};
}

static const char url_hook[] = "[{\"hookTargetArn\":\"" URL "\",\"hookDetails\":{\"team\":\"a\"}}]";
static const char task_hook[] =
    "[{\"hookTargetArn\":\"arn:aws:ecs:eu-west-1:000000000000:task-definition/web:3\"}]";

/* The first deployment is through: its hooks were h1 and h2. */
static struct story *
first_is_through(const struct story_options *o)
{
    struct story *st = story_new(o);

    story_answer(st, 1, OUTCOME_SUCCEEDED);
    story_run_and_heal(st, 1, 2);
    story_answer(st, 2, OUTCOME_SUCCEEDED);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    CHECK_EQ(story_service(st)->course.stage, STAGE_NONE);
    strbuf_clear(&st->trace);
    return st;
}

/* The same where its hooks are the tasks t1 and t4. */
static struct story *
first_is_migrated(const struct story_options *o)
{
    struct story *st = story_new(o);

    story_running(st, 1);
    story_stopped(st, 1, 0);
    story_run_and_heal(st, 2, 3);
    story_running(st, 4);
    story_stopped(st, 4, 0);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    strbuf_clear(&st->trace);
    return st;
}

static const char *
reason(const struct story *st)
{
    return service_current(story_service(st))->status_reason;
}

TEST(a_rolling_update_starts_nothing_before_its_hook_and_ends_after_its_last)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = first_is_through(&o);

    story_update(st, 2);
    CHECK_EQ(story_stage(st), STAGE_PRE_SCALE_UP);
    story_clock(st);
    story_answer(st, 3, OUTCOME_SUCCEEDED);
    CHECK_EQ(story_stage(st), STAGE_SCALE_UP);
    CHECK_TRACE(st, "0 update web:2 | call h3#1\n"
                    "0 clock | -\n"
                    "0 SUCCEEDED h3#1 | start t3 start t4\n");
    story_running(st, 3);
    story_running(st, 4);
    story_healthy(st, 3);
    story_healthy(st, 4);
    story_drained(st, 1);
    CHECK_EQ(story_stage(st), STAGE_SCALE_UP);
    story_drained(st, 2); /* the last old one takes no traffic any more */
    CHECK_EQ(story_stage(st), STAGE_POST_PRODUCTION_TRAFFIC_SHIFT);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    story_answer(st, 4, OUTCOME_SUCCEEDED);
    CHECK_TRACE(st, "0 running t3 | register t3\n"
                    "0 running t4 | register t4\n"
                    "0 healthy t3 | deregister t2\n"
                    "0 healthy t4 | deregister t1\n"
                    "0 drained t1 | stop t1\n"
                    "0 drained t2 | stop t2 call h4#1\n"
                    "0 SUCCEEDED h4#1 | -\n");
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
}

TEST(a_hook_that_fails_before_scale_up_leaves_the_old_tasks_alone)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = first_is_through(&o);

    story_update(st, 2);
    story_answer(st, 3, OUTCOME_FAILED);
    CHECK_TRACE(st, "0 update web:2 | call h3#1\n"
                    "0 FAILED h3#1 | -\n");
    check_rolled_back(st);
    CHECK_TEXT(reason(st),
               "Service deployment rolled back because PRE_SCALE_UP lifecycle hook(s) failed: " URL
               ": because.");
    CHECK(story_has_event(st, "lifecycle hook " URL " of stage PRE_SCALE_UP failed: because"));
    story_update(st, 2); /* and the next one begins anew */
    CHECK_TRACE(st, "0 update web:2 | call h4#1\n");
}

TEST(a_hook_that_fails_after_all_is_done_brings_the_old_revision_back)
{
    const struct story_options o = rolling(HOOK_KIND_COMMAND, url_hook);
    cleanup_story struct story *st = first_is_through(&o);

    story_update(st, 2);
    story_answer(st, 3, OUTCOME_SUCCEEDED);
    story_run_and_heal(st, 3, 4);
    story_drained(st, 1);
    story_drained(st, 2);
    strbuf_clear(&st->trace);
    story_answer(st, 4, OUTCOME_FAILED);
    CHECK_TRACE(st, "0 FAILED h4#1 | start t5 start t6\n"); /* no hook guards the way back */
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_IN_PROGRESS);
    story_run_and_heal(st, 5, 6);
    story_drained(st, 3);
    story_drained(st, 4);
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_SUCCESSFUL);
    CHECK(strstr(reason(st), "POST_PRODUCTION_TRAFFIC_SHIFT lifecycle hook(s) failed") != NULL);
}

TEST(a_first_deployment_that_is_not_let_in_starts_nothing)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = story_new(&o);

    story_answer(st, 1, OUTCOME_FAILED);
    story_clock(st);
    CHECK_TRACE(st, "0 create | call h1#1\n"
                    "0 FAILED h1#1 | -\n"
                    "0 clock | -\n");
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_FAILED);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_FAILED);
}

TEST(no_task_desired_is_no_way_around_a_hook)
{
    struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = NULL;

    o.desired_count = 0;
    st = story_new(&o);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    story_answer(st, 1, OUTCOME_SUCCEEDED);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    story_answer(st, 2, OUTCOME_SUCCEEDED);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    CHECK_TRACE(st, "0 create | call h1#1\n"
                    "0 SUCCEEDED h1#1 | call h2#1\n"
                    "0 SUCCEEDED h2#1 | -\n");
}

TEST(old_tasks_that_die_meanwhile_are_replaced_by_their_own)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = first_is_through(&o);

    story_update(st, 2);
    story_stopped(st, 1, 1);
    CHECK_TRACE(st, "0 update web:2 | call h3#1\n"
                    "0 stopped t1 | deregister t1 start t3\n");
    CHECK_TEXT(story_task(st, 3)->task_definition_arn, st->definitions[0]);
}

TEST(old_tasks_that_fall_ill_meanwhile_are_replaced_and_stay_as_many)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = first_is_through(&o);

    story_update(st, 2);
    story_unhealthy(st, 1);
    story_running(st, 3);
    story_healthy(st, 3);
    story_drained(st, 1);
    CHECK_TRACE(st, "0 update web:2 | call h3#1\n"
                    "0 unhealthy t1 | start t3\n"
                    "0 running t3 | register t3\n"
                    "0 healthy t3 | deregister t1\n"
                    "0 drained t1 | stop t1\n");
    story_stopped(st, 2, 1); /* and again, as many times as it takes */
    CHECK_TRACE(st, "0 stopped t2 | deregister t2 start t4\n");
    CHECK_TEXT(story_task(st, 4)->task_definition_arn, st->definitions[0]);
}

TEST(a_daemon_waits_for_its_hook_as_well)
{
    struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = NULL;

    o.doc = "{\"schedulingStrategy\":\"DAEMON\"}";
    o.minimum_healthy_percent = 0;
    o.maximum_percent = 100;
    o.desired_count = 0;
    st = story_new(&o);
    story_clock(st);
    story_answer(st, 1, OUTCOME_SUCCEEDED);
    story_run_and_heal(st, 1, 1);
    CHECK_EQ(story_stage(st), STAGE_POST_PRODUCTION_TRAFFIC_SHIFT);
    story_answer(st, 2, OUTCOME_SUCCEEDED);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    strbuf_clear(&st->trace);
    story_update(st, 2);
    story_clock(st);
    story_answer(st, 3, OUTCOME_FAILED);
    CHECK_TRACE(st, "0 update web:2 | call h3#1\n"
                    "0 clock | -\n"
                    "0 FAILED h3#1 | -\n");
    CHECK(task_is_wanted(story_task(st, 1)));
}

TEST(whoever_is_in_progress_is_called_again_after_his_delay)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = story_new(&o);

    story_answer_of(st, 1, 1, OUTCOME_IN_PROGRESS, 30);
    story_at(st, 29999);
    story_clock(st);
    story_at(st, 30000);
    story_clock(st);
    story_answer_of(st, 1, 1, OUTCOME_FAILED, 0); /* late, and doubled */
    story_answer_of(st, 1, 3, OUTCOME_FAILED, 0); /* not asked yet */
    story_answer_of(st, 1, 2, OUTCOME_IN_PROGRESS, 1);
    story_answer_of(st, 1, 3, OUTCOME_FAILED, 0); /* still not asked */
    story_at(st, 31000);
    story_clock(st);
    story_answer_of(st, 1, 3, OUTCOME_SUCCEEDED, 0);
    CHECK_TRACE(st, "0 create | call h1#1\n"
                    "0 IN_PROGRESS h1#1 | -\n"
                    "29999 clock | -\n"
                    "30000 clock | call h1#2\n"
                    "30000 FAILED h1#1 | -\n"
                    "30000 FAILED h1#3 | -\n"
                    "30000 IN_PROGRESS h1#2 | -\n"
                    "30000 FAILED h1#3 | -\n"
                    "31000 clock | call h1#3\n"
                    "31000 SUCCEEDED h1#3 | start t1 start t2\n");
}

TEST(nobody_there_is_tried_again_until_the_time_is_over)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = story_new(&o);
    static const int waits_s[] = {1, 2, 4, 8, 16, 32, 60, 60};
    int64_t at_ms = 0;

    for (int i = 0; i < (int)ARRAY_COUNT(waits_s); i++) {
        story_answer_of(st, 1, i + 1, OUTCOME_UNREACHED, 0);
        at_ms += waits_s[i] * 1000;
        story_at(st, at_ms - 1);
        strbuf_clear(&st->trace);
        story_clock(st);
        CHECK(strstr(strbuf_cstr(&st->trace), "call") == NULL);
        story_at(st, at_ms);
        story_clock(st);
        CHECK(strstr(strbuf_cstr(&st->trace), "call h1#") != NULL);
    }
    CHECK(story_has_event(st, "is tried again: because"));
    story_at(st, MINUTES(10) - 1);
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    strbuf_clear(&st->trace);
    story_at(st, MINUTES(10));
    story_clock(st);
    CHECK_TRACE(st, "600000 clock | cancel h1\n");
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_FAILED);
    CHECK(strstr(reason(st), URL ": its 10 minutes are over; last: because") != NULL);
}

TEST(a_hook_that_nobody_answers_ends_as_it_is_configured)
{
    struct story_options o = rolling(HOOK_KIND_URL, url_hook);

    for (int continues = 0; continues < 2; continues++) {
        cleanup_story struct story *st = NULL;
        o.strategy.hooks[0].continues = continues;
        st = story_new(&o);
        story_at(st, MINUTES(10));
        story_clock(st);
        CHECK_TRACE(st, continues ? "0 create | call h1#1\n"
                                    "600000 clock | cancel h1 start t1 start t2\n"
                                  : "0 create | call h1#1\n"
                                    "600000 clock | cancel h1\n");
        CHECK(story_has_event(st, "of stage PRE_SCALE_UP timed out: its 10 minutes are over"));
    }
}

TEST(a_failed_one_is_not_let_through_by_continue)
{
    struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = NULL;

    o.strategy.hooks[0].continues = true; /* which is about the timeout */
    st = story_new(&o);
    story_answer(st, 1, OUTCOME_FAILED);
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_FAILED);
}

TEST(all_hooks_of_a_stage_run_at_once_and_all_have_to_succeed)
{
    struct story_options o =
        rolling(HOOK_KIND_URL, "[{\"hookTargetArn\":\"http://a/\"},{\"hookTargetArn\":"
                               "\"naru:command/b\"},{}]");
    cleanup_story struct story *st = NULL;

    o.strategy.hooks[1] = o.strategy.hooks[2] = o.strategy.hooks[0];
    o.strategy.hooks[1].kind = HOOK_KIND_COMMAND;
    o.strategy.hooks[2].kind = HOOK_KIND_PAUSE;
    o.strategy.hook_count = 3;
    st = story_new(&o);
    story_answer(st, 2, OUTCOME_SUCCEEDED);
    story_continue(st, /* rolls_back= */ false);
    story_answer(st, 1, OUTCOME_SUCCEEDED);
    story_run_and_heal(st, 1, 2);
    story_continue(st, /* rolls_back= */ false);
    story_answer(st, 4, OUTCOME_FAILED); /* of the later stage; one is still running */
    CHECK_TRACE(st, "0 continue | -\n"
                    "0 FAILED h4#1 | cancel h3\n");
    CHECK(strstr(reason(st), "naru:command/b: because") != NULL);
}

TEST(a_pause_of_a_rolling_update_waits_for_somebody)
{
    const struct story_options o = rolling(HOOK_KIND_PAUSE, "[{}]");
    cleanup_story struct story *st = story_new(&o);

    story_clock(st);
    story_continue(st, /* rolls_back= */ false);
    CHECK_TRACE(st, "0 create | -\n"
                    "0 clock | -\n"
                    "0 continue | start t1 start t2\n");
    story_run_and_heal(st, 1, 2);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    story_continue(st, /* rolls_back= */ true);
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_FAILED);
}

TEST(a_superseded_deployment_calls_its_hooks_off)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = first_is_through(&o);

    story_update(st, 2);
    story_update(st, 4);
    story_answer_of(st, 3, 1, OUTCOME_FAILED, 0); /* of the one that is gone */
    story_answer(st, 4, OUTCOME_SUCCEEDED);
    CHECK_TRACE(st, "0 update web:2 | call h3#1\n"
                    "0 update web:4 | cancel h3 call h4#1\n"
                    "0 FAILED h3#1 | -\n"
                    "0 SUCCEEDED h4#1 | start t3 start t4\n");
}

TEST(a_deployment_that_is_stopped_and_a_service_that_is_deleted_call_their_hooks_off)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = first_is_through(&o);

    story_update(st, 2);
    story_stop_deployment(st, /* rolls_back= */ true);
    CHECK_TRACE(st, "0 update web:2 | call h3#1\n"
                    "0 stop ROLLBACK | cancel h3\n");
    check_rolled_back(st);
    story_update(st, 2);
    strbuf_clear(&st->trace);
    story_delete(st);
    CHECK_TRACE(st, "0 delete | cancel h4 deregister t2 deregister t1\n");
}

TEST(a_restart_asks_for_the_same_attempt_again)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = first_is_through(&o);

    story_update(st, 2);
    story_restart(st);
    CHECK_EQ(story_stage(st), STAGE_PRE_SCALE_UP);
    story_answer_of(st, 3, 1, OUTCOME_IN_PROGRESS, 5);
    story_restart(st); /* it is not due yet */
    story_at(st, 5000);
    story_clock(st);
    CHECK_TRACE(st, "0 update web:2 | call h3#1\n"
                    "0 restart | register t2 adopt t2 register t1 adopt t1 call h3#1\n"
                    "0 IN_PROGRESS h3#1 | -\n"
                    "0 restart | register t2 adopt t2 register t1 adopt t1\n"
                    "5000 clock | call h3#2\n");
    story_answer_of(st, 3, 2, OUTCOME_SUCCEEDED, 0);
    CHECK_TRACE(st, "5000 SUCCEEDED h3#2 | start t3 start t4\n");
}

TEST(a_word_that_was_lost_is_asked_for_again)
{
    struct story_options o = rolling(HOOK_KIND_COMMAND, url_hook);
    cleanup_story struct story *st = NULL;

    o.strategy.hooks[0].timeout_min = 60;
    st = story_new(&o);
    story_at(st, MINUTES(20) - 1);
    story_clock(st);
    story_at(st, MINUTES(20));
    story_clock(st);
    CHECK_TRACE(st, "0 create | call h1#1\n"
                    "1199999 clock | -\n"
                    "1200000 clock | call h1#1\n");
}

/* ---- what they are told ---- */

static struct json *
told(const struct story *st, int hook, int64_t *time_left_ms)
{
    struct ef_hook_call call = {.attempt = 1};
    struct hook_order order;

    text_copy(call.service_deployment_arn, ARN_SIZE,
              str_of(service_current(story_service(st))->arn));
    text_copy(call.hook_id, sizeof(call.hook_id), str_of(st->hooks[hook - 1]));
    if (!core_hook_order(st->core, &call, &order))
        return NULL;
    CHECK_TEXT(order.target, URL);
    *time_left_ms = order.time_left_ms;
    return order.payload;
}

TEST(a_hook_is_told_what_it_is_about)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = story_new(&o);
    const struct service *s = story_service(st);
    int64_t left_ms = 0;
    cleanup_json struct json *p = NULL;

    story_at(st, 1000);
    story_clock(st);
    p = told(st, 1, &left_ms);
    CHECK(p != NULL);
    CHECK_EQ(left_ms, MINUTES(10) - 1000);
    CHECK_TEXT(json_get_cstr(p, "executionId", ""), st->hooks[0]);
    CHECK_TEXT(json_get_cstr(p, "lifecycleStage", ""), "PRE_SCALE_UP");
    CHECK_TEXT(json_get_cstr(p, "resourceArn", ""), service_current(s)->arn);
    CHECK_TEXT(json_get_cstr(json_get(p, "executionDetails"), "serviceArn", ""), s->arn);
    CHECK_TEXT(json_get_cstr(json_get(p, "executionDetails"), "targetServiceRevisionArn", ""),
               service_primary(s)->revision->arn);
    CHECK_EQ(json_size(json_get(json_get(p, "executionDetails"), "productionTrafficWeights")), 0);
    CHECK_TEXT(json_get_cstr(json_get(p, "hookDetails"), "team", ""), "a");
    story_answer(st, 1, OUTCOME_SUCCEEDED);
    CHECK(told(st, 1, &left_ms) == NULL); /* answered: nobody waits for it */
}

/* The hands ask once more before they call: it may have been superseded while it was in their queue. */
TEST(an_order_that_nobody_waits_for_is_none)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = story_new(&o);
    struct ef_hook_call call = {.attempt = 1};
    struct hook_order order;

    text_copy(call.service_deployment_arn, ARN_SIZE,
              str_of(service_current(story_service(st))->arn));
    text_copy(call.hook_id, sizeof(call.hook_id), str_of(st->hooks[0]));
    story_answer_of(st, 1, 1, OUTCOME_IN_PROGRESS, /* delay_s= */ 30);
    CHECK(!core_hook_order(st->core, &call, &order)); /* answered: the next attempt is another one */
    call.attempt = 2;
    CHECK(core_hook_order(st->core, &call, &order));
    json_unref(order.payload);
    story_update(st, 2);
    CHECK(!core_hook_order(st->core, &call, &order));
    text_copy(call.service_deployment_arn, ARN_SIZE, STR("gone"));
    CHECK(!core_hook_order(st->core, &call, &order));
}

static const struct story_options shifting = {
    .desired_count = 2,
    .minimum_healthy_percent = 100,
    .maximum_percent = 200,
    .has_load_balancer = true,
    .has_test_listener = true,
    .hooks = url_hook,
    .strategy = {
        .strategy = STRATEGY_BLUE_GREEN,
        .bake_min = 5,
        .hooks = {{.kind = HOOK_KIND_URL,
                   .stages = 1 << STAGE_TEST_TRAFFIC_SHIFT | 1 << STAGE_PRODUCTION_TRAFFIC_SHIFT,
                   .timeout_min = 60}},
        .hook_count = 1}};

static double
weight(const struct story *st, int hook, const char *kind, const struct deployment *d)
{
    int64_t left_ms;
    cleanup_json struct json *p = told(st, hook, &left_ms);

    CHECK(p != NULL);
    return json_f64(json_get(json_get(json_get(p, "executionDetails"), kind), d->revision->arn),
                    -1);
}

/* Blue runs; its own first deployment had the hooks h1 and h2. */
static struct story *
blue_with_hooks(void)
{
    struct story *st = story_new(&shifting);

    story_run_and_heal(st, 1, 2);
    story_in_force(st);
    story_answer(st, 1, OUTCOME_SUCCEEDED);
    story_in_force(st);
    story_answer(st, 2, OUTCOME_SUCCEEDED);
    story_at(st, MINUTES(5));
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    st->start_ms = st->now_ms;
    strbuf_clear(&st->trace);
    return st;
}

TEST(a_shift_calls_its_hook_once_the_weights_are_in_force)
{
    cleanup_story struct story *st = blue_with_hooks();
    const struct deployment *green;

    story_update(st, 2);
    green = service_primary(story_service(st));
    story_run_and_heal(st, 3, 4);
    story_in_force(st);
    CHECK_EQ(weight(st, 3, "testTrafficWeights", green), 100);
    CHECK_EQ(weight(st, 3, "productionTrafficWeights", green), 0);
    CHECK_EQ(weight(st, 3, "productionTrafficWeights", green->next), 100);
    story_answer(st, 3, OUTCOME_SUCCEEDED);
    story_in_force(st);
    CHECK_EQ(weight(st, 4, "productionTrafficWeights", green), 100);
    CHECK_EQ(weight(st, 4, "productionTrafficWeights", green->next), 0);
    story_answer(st, 4, OUTCOME_SUCCEEDED);
    CHECK_TRACE(st, "0 in force | call h3#1\n"
                    "0 SUCCEEDED h3#1 | production 0/100\n"
                    "0 in force | call h4#1\n"
                    "0 SUCCEEDED h4#1 | -\n");
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
}

TEST(a_share_of_a_percent_is_told_as_it_is)
{
    struct story_options o = shifting;
    cleanup_story struct story *st = NULL;
    const struct deployment *green;

    o.strategy.strategy = STRATEGY_CANARY;
    o.strategy.step_permille = 125;
    o.strategy.step_bake_min = 10;
    o.strategy.hooks[0].stages = 1 << STAGE_PRODUCTION_TRAFFIC_SHIFT;
    st = story_new(&o);
    story_run_and_heal(st, 1, 2);
    story_in_force(st);
    story_in_force(st);
    story_answer(st, 1, OUTCOME_SUCCEEDED);
    story_at(st, MINUTES(5));
    story_clock(st);
    story_update(st, 2);
    green = service_primary(story_service(st));
    story_run_and_heal(st, 3, 4);
    story_in_force(st);
    story_in_force(st);
    story_at(st, MINUTES(15));
    story_clock(st);
    CHECK_EQ(weight(st, 2, "productionTrafficWeights", green) * 10, 125);
    CHECK_EQ(weight(st, 2, "productionTrafficWeights", green->next) * 10, 875);
}

TEST(on_the_way_back_the_hooks_of_the_shifts_run_again_with_the_weights_of_before)
{
    cleanup_story struct story *st = blue_with_hooks();
    const struct deployment *green;

    story_update(st, 2);
    green = service_primary(story_service(st));
    story_run_and_heal(st, 3, 4);
    story_in_force(st);
    story_answer(st, 3, OUTCOME_SUCCEEDED);
    story_in_force(st);
    strbuf_clear(&st->trace);
    story_answer(st, 4, OUTCOME_FAILED);
    story_in_force(st);
    CHECK_EQ(weight(st, 5, "productionTrafficWeights", green), 0);
    CHECK_EQ(weight(st, 5, "productionTrafficWeights", service_primary(story_service(st))), 100);
    story_answer(st, 5, OUTCOME_FAILED); /* there is no other way than back */
    CHECK_EQ(weight(st, 6, "testTrafficWeights", green), 0);
    story_answer(st, 6, OUTCOME_SUCCEEDED);
    CHECK_TRACE(st, "0 FAILED h4#1 | production 100/0 test 100/0\n"
                    "0 in force | call h5#1\n"
                    "0 FAILED h5#1 | call h6#1\n"
                    "0 SUCCEEDED h6#1 | deregister t4 deregister t3\n");
    story_drained(st, 3);
    story_drained(st, 4);
    check_rolled_back(st);
}

TEST(what_was_not_shifted_needs_no_hook_on_the_way_back)
{
    cleanup_story struct story *st = blue_with_hooks();

    story_update(st, 2);
    story_run_and_heal(st, 3, 4);
    story_in_force(st);
    strbuf_clear(&st->trace);
    story_answer(st, 3, OUTCOME_FAILED); /* of the test traffic */
    story_restart(st);
    story_in_force(st);
    story_at(st, MINUTES(60)); /* and nobody answers there */
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "in force | call h4#1\n") != NULL);
    CHECK(strstr(strbuf_cstr(&st->trace), "cancel h4 ") != NULL);
    CHECK(strstr(strbuf_cstr(&st->trace), "call h5") == NULL);
    CHECK(!task_is_wanted(story_task(st, 3)));
}

TEST(a_green_that_was_never_shifted_to_leaves_without_a_word)
{
    cleanup_story struct story *st = blue_with_hooks();

    story_update(st, 2);
    story_running(st, 3);
    strbuf_clear(&st->trace);
    story_stop_deployment(st, /* rolls_back= */ true);
    story_in_force(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "call") == NULL);
    story_stopped(st, 4, 143);
    story_drained(st, 3);
    check_rolled_back(st);
}

/* ---- tasks ---- */

TEST(a_task_guards_a_rolling_update)
{
    const struct story_options o = rolling(HOOK_KIND_TASK, task_hook);
    cleanup_story struct story *st = first_is_migrated(&o);
    const struct task *t;

    story_update(st, 2);
    t = story_task(st, 5);
    CHECK_TEXT(t->task_definition_arn, st->definitions[MIGRATION - 1]);
    CHECK_TEXT(t->started_by, service_current(story_service(st))->id);
    CHECK_TEXT(t->group, "family:web");
    CHECK_TEXT(t->service_name, "web"); /* told to Docker; it is none of the service's tasks */
    CHECK_EQ(t->launch_type, LAUNCH_EC2);
    CHECK(t->service == NULL && t->target_count == 0);
    story_running(st, 5);
    story_clock(st);
    story_stopped(st, 5, 0);
    CHECK_TRACE(st, "0 update web:2 | start t5\n"
                    "0 running t5 | -\n"
                    "0 clock | -\n"
                    "0 stopped t5 | forget t5 start t6 start t7\n");
    CHECK(story_has_event(st, "has started a task as lifecycle hook of stage PRE_SCALE_UP"));
}

TEST(a_task_that_exits_badly_fails_the_deployment_before_anything_starts)
{
    const struct story_options o = rolling(HOOK_KIND_TASK, task_hook);
    cleanup_story struct story *st = first_is_migrated(&o);

    story_update(st, 2);
    story_running(st, 5);
    strbuf_clear(&st->trace);
    story_stopped(st, 5, 3);
    CHECK_TRACE(st, "0 stopped t5 | forget t5\n");
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_SUCCESSFUL);
    CHECK(strstr(reason(st), "PRE_SCALE_UP lifecycle hook(s) failed: arn:aws:ecs:") != NULL);
    CHECK(strstr(reason(st), "container app exited with code 3") != NULL);
    CHECK(task_is_wanted(story_task(st, 2)) && task_is_wanted(story_task(st, 3)));
}

TEST(a_task_that_does_not_start_or_is_stopped_or_lost_has_failed)
{
    const struct story_options o = rolling(HOOK_KIND_TASK, task_hook);
    static const char *const reasons[] = {"CannotPullContainerError", "because",
                                          "DockerTimeoutError"};

    for (int i = 0; i < 3; i++) {
        cleanup_story struct story *st = story_new(&o);
        if (i == 0) {
            story_failed_to_start(st, 1);
        } else if (i == 1) {
            story_running(st, 1);
            story_stop_task(st, 1);
            story_stopped(st, 1, 0); /* it may say that all is well: it was not let finish */
        } else {
            story_lost(st, 1);
        }
        CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_FAILED);
        if (strstr(reason(st), reasons[i]) == NULL)
            check_fail(__FILE__, __LINE__, "%s", reason(st));
        CHECK_EQ(st->task_count, 1);
    }
}

TEST(a_restart_finds_the_task_and_starts_no_second_one)
{
    const struct story_options o = rolling(HOOK_KIND_TASK, task_hook);
    cleanup_story struct story *st = story_new(&o);

    story_restart(st); /* committed, and not started yet */
    story_running(st, 1);
    story_restart(st);
    story_stopped(st, 1, 0);
    CHECK_TRACE(st, "0 create | start t1\n"
                    "0 restart | start t1\n"
                    "0 running t1 | -\n"
                    "0 restart | adopt t1\n"
                    "0 stopped t1 | forget t1 start t2 start t3\n");
}

TEST(a_task_whose_time_is_over_is_stopped)
{
    const struct story_options o = rolling(HOOK_KIND_TASK, task_hook);
    cleanup_story struct story *st = story_new(&o);

    story_running(st, 1);
    strbuf_clear(&st->trace);
    story_at(st, MINUTES(10));
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "stop t1") != NULL);
    CHECK(strstr(reason(st), "its 10 minutes are over") != NULL);
}

TEST(the_task_of_a_superseded_deployment_goes_before_the_next_one_starts)
{
    const struct story_options o = rolling(HOOK_KIND_TASK, task_hook);
    cleanup_story struct story *st = first_is_migrated(&o);

    story_update(st, 2);
    story_running(st, 5);
    story_update(st, 4);
    story_clock(st);
    story_stopped(st, 5, 143);
    story_at(st, 10000);
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "0 update web:4 | stop t5\n"
                                          "0 clock | -\n"
                                          "0 stopped t5 | forget t5\n"
                                          "10000 clock | start t6") != NULL);
    CHECK_TEXT(story_task(st, 6)->started_by, service_current(story_service(st))->id);
}

TEST(a_task_of_another_family_may_stand_beside_those_of_a_distinct_service)
{
    struct story_options o = rolling(HOOK_KIND_TASK, task_hook);
    cleanup_story struct story *st = NULL;

    o.desired_count = 1;
    o.minimum_healthy_percent = 0;
    o.doc = "{\"placementConstraints\":[{\"type\":\"distinctInstance\"}]}";
    st = story_new(&o);
    story_running(st, 1);
    story_stopped(st, 1, 0);
    story_run_and_heal(st, 2, 2);
    CHECK_EQ(story_stage(st), STAGE_POST_PRODUCTION_TRAFFIC_SHIFT);
    CHECK_EQ(st->task_count, 3); /* on the only host */
}

TEST(a_task_waits_for_a_place)
{
    const struct story_options o = rolling(HOOK_KIND_TASK, task_hook);
    cleanup_story struct story *st = first_is_migrated(&o);

    story_host(st, /* cpu= */ 4096, /* is_connected= */ false);
    strbuf_clear(&st->trace);
    story_update(st, 2);
    CHECK(story_has_event(st, "was unable to place a task"));
    story_host(st, /* cpu= */ 4096, /* is_connected= */ true);
    story_heard(st);
    story_at(st, 10000);
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "0 update web:2 | -\n") != NULL);
    CHECK(strstr(strbuf_cstr(&st->trace), "10000 clock | start t5") != NULL);
}

TEST(nothing_is_begun_for_a_stage_that_has_failed_already)
{
    struct story_options o =
        rolling(HOOK_KIND_TASK, "[{\"hookTargetArn\":\"arn:aws:ecs:eu-west-1:000000000000:"
                                "task-definition/web:3\"},{\"hookTargetArn\":\"" URL "\"},"
                                "{\"hookTargetArn\":\"arn:aws:ecs:eu-west-1:000000000000:"
                                "task-definition/web:99\"}]");
    cleanup_story struct story *st = NULL;

    o.strategy.hooks[1] = o.strategy.hooks[2] = o.strategy.hooks[0];
    o.strategy.hooks[1].kind = HOOK_KIND_URL;
    o.strategy.hook_count = 3;
    st = story_new(&o);
    CHECK_TRACE(st, "0 create | cancel h1\n"); /* which is none that was called, and does no harm */
}

TEST(the_task_of_a_deleted_service_goes_before_that_of_its_namesake)
{
    const struct story_options o = rolling(HOOK_KIND_TASK, task_hook);
    cleanup_story struct story *st = story_new(&o);
    struct deployment_config config = {.maximum_percent = 200, .strategy = o.strategy};
    struct event ev = {.type = EVENT_SERVICE_CREATE};

    story_running(st, 1);
    story_delete(st);
    config.doc = json_object();
    json_set(config.doc, "lifecycleHooks", story_json(task_hook));
    ev.service_create = (struct ev_service_create){.cluster_arn = st->cluster,
                                                   .name = "web",
                                                   .created_by = "",
                                                   .client_token = "",
                                                   .desired_count = 1,
                                                   .task_definition_arn = st->definitions[0],
                                                   .launch_type = LAUNCH_EC2,
                                                   .config = &config};
    story_tell(st, &ev, "create");
    story_stopped(st, 1, 143);
    story_at(st, 10000);
    story_clock(st);
    CHECK_TRACE(st, "0 create | start t1\n"
                    "0 running t1 | -\n"
                    "0 delete | stop t1\n"
                    "0 create | -\n"
                    "0 stopped t1 | forget t1\n"
                    "10000 clock | start t2\n");
    json_unref(config.doc);
}

TEST(a_definition_that_is_gone_fails_the_hook)
{
    const struct story_options o =
        rolling(HOOK_KIND_TASK, "[{\"hookTargetArn\":\"arn:aws:ecs:eu-west-1:000000000000:"
                                "task-definition/web:99\"}]");
    cleanup_story struct story *st = story_new(&o);

    CHECK_TRACE(st, "0 create | -\n");
    CHECK(strstr(reason(st), "the task definition does not exist any more") != NULL);
}

TEST(a_definition_that_does_not_fit_the_launch_type_fails_the_hook)
{
    const struct story_options o =
        rolling(HOOK_KIND_TASK, "[{\"hookTargetArn\":\"arn:aws:ecs:eu-west-1:000000000000:"
                                "task-definition/web:5\"}]");
    cleanup_story struct story *st = story_new(&o);

    story_define(st, "{\"networkMode\":\"awsvpc\",\"compatibilities\":[\"FARGATE\"],\"cpu\":\"256\","
                     "\"memory\":\"512\",\"containerDefinitions\":[{\"name\":\"app\",\"image\":"
                     "\"app:1\",\"essential\":true}]}");
    story_update(st, 2); /* the first deployment came before there was a web:5 */
    CHECK(strstr(reason(st), "does not support the launch type of the service") != NULL);
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_FAILED);
}

TEST(a_failure_without_a_word_says_that)
{
    const struct story_options o = rolling(HOOK_KIND_URL, url_hook);
    cleanup_story struct story *st = story_new(&o);
    struct event ev = {.type = EVENT_HOOK_ANSWERED};
    char arn[ARN_SIZE];

    text_copy(arn, sizeof(arn), str_of(service_current(story_service(st))->arn));
    ev.hook_answered = (struct ev_hook_answered){.service_deployment_arn = arn,
                                                 .hook_id = st->hooks[0],
                                                 .attempt = 1,
                                                 .outcome = OUTCOME_FAILED};
    story_tell(st, &ev, "failed");
    CHECK(strstr(reason(st), "no reason was given") != NULL);
}
