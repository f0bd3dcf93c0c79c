/* SPDX-License-Identifier: MIT */
#include "blue_green.h"

TEST(the_first_deployment_needs_nothing_beside_it)
{
    cleanup_story struct story *st = story_new(&blue_green);

    story_running(st, 1);
    story_running(st, 2);
    story_healthy(st, 1);
    CHECK_EQ(story_stage(st), STAGE_SCALE_UP);
    story_healthy(st, 2);
    CHECK_EQ(story_stage(st), STAGE_PRODUCTION_TRAFFIC_SHIFT);
    story_in_force(st);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    story_at(st, MINUTES(5));
    story_clock(st);
    CHECK_TRACE(st, "0 create | start t1 start t2\n"
                    "0 running t1 | register t1\n"
                    "0 running t2 | register t2\n"
                    "0 healthy t1 | -\n"
                    "0 healthy t2 | production 100/0\n"
                    "0 in force | -\n"
                    "300000 clock | adopt t2 register t2 adopt t1 register t1\n");
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
}

TEST(blue_green_moves_all_traffic_at_once_and_blue_goes_after_the_bake_time)
{
    cleanup_story struct story *st = blue_running(&blue_green);

    story_update(st, 2);
    story_running(st, 3);
    story_running(st, 4);
    story_healthy(st, 3);
    story_healthy(st, 4);
    story_clock(st);
    CHECK_TRACE(st, "0 update web:2 | start t3 start t4\n"
                    "0 running t3 | register t3\n"
                    "0 running t4 | register t4\n"
                    "0 healthy t3 | -\n"
                    "0 healthy t4 | production 0/100\n"
                    "0 clock | -\n");
    CHECK_TEXT(story_task(st, 3)->targets[0].target_group_arn, st->group2);
    story_at(st, 10000); /* no word of the balancer: asked again */
    story_clock(st);
    story_in_force(st);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    story_at(st, 10000 + MINUTES(5) - 1);
    story_clock(st);
    CHECK_TRACE(st, "10000 clock | production 0/100\n"
                    "10000 in force | -\n"
                    "309999 clock | adopt t4 register t4 adopt t3 register t3 adopt t2 register t2 "
                    "adopt t1 register t1\n");
    story_at(st, 10000 + MINUTES(5));
    story_clock(st);
    CHECK_EQ(story_stage(st), STAGE_CLEAN_UP);
    story_drained(st, 1);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    story_drained(st, 2);
    CHECK_TRACE(st, "310000 clock | deregister t2 deregister t1\n"
                    "310000 drained t1 | stop t1\n"
                    "310000 drained t2 | stop t2\n");
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    /* and back into the first group the next time */
    story_update(st, 3);
    story_running(st, 5);
    CHECK_TEXT(story_task(st, 5)->targets[0].target_group_arn, st->group);
}

TEST(the_breaker_moves_the_traffic_back_before_green_goes)
{
    cleanup_story struct story *st = green_baking(&blue_green);

    story_unhealthy(st, 3);
    story_unhealthy(st, 4);
    story_stopped(st, 3, 1);
    strbuf_clear(&st->trace);
    story_running(st, 5);
    story_unhealthy(st, 5);
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_IN_PROGRESS);
    story_in_force(st);
    CHECK_TRACE(st, "0 running t5 | register t5\n"
                    "0 unhealthy t5 | production 100/0\n"
                    "0 in force | deregister t5 deregister t4\n");
    for (int i = 3; i <= 5; i++)
        story_drained(st, i);
    check_rolled_back(st);
    CHECK(strstr(service_current(story_service(st))->status_reason, "circuit breaker") != NULL);
}

TEST(a_green_that_never_gets_healthy_never_gets_traffic)
{
    cleanup_story struct story *st = blue_running(&blue_green);

    story_update(st, 2);
    for (int i = 3; i <= 5; i++)
        story_failed_to_start(st, i);
    story_failed_to_start(st, 6);
    CHECK_TRACE(st, "0 update web:2 | start t3 start t4\n"
                    "0 failed t3 | forget t3 start t5\n"
                    "0 failed t4 | forget t4 start t6\n"
                    "0 failed t5 | forget t5 stop t6\n"
                    "0 failed t6 | forget t6\n");
    check_rolled_back(st);
}

TEST(a_stop_by_hand_leads_back_at_once)
{
    cleanup_story struct story *st = green_baking(&blue_green);

    story_stop_deployment(st, /* rolls_back= */ true);
    story_in_force(st);
    story_drained(st, 3);
    story_drained(st, 4);
    CHECK_TRACE(st, "0 stop ROLLBACK | production 100/0\n"
                    "0 in force | deregister t4 deregister t3\n"
                    "0 drained t3 | stop t3\n"
                    "0 drained t4 | stop t4\n");
    check_rolled_back(st);
}

TEST(an_abort_leaves_everything_where_it_is_and_keeps_it_up)
{
    cleanup_story struct story *st = green_baking(&blue_green);
    const struct service *s = story_service(st);

    story_stop_deployment(st, /* rolls_back= */ false);
    CHECK_EQ(service_current(s)->status, SD_STOPPED);
    CHECK(s->course.is_frozen);
    story_stopped(st, 1, 1);
    story_drained(st, 1);
    CHECK_TRACE(st, "0 stop ABORT | -\n"
                    "0 stopped t1 | deregister t1 start t5\n"
                    "0 drained t1 | forget t1\n");
    story_running(st, 5);
    story_healthy(st, 5);
    strbuf_clear(&st->trace);
    story_rollback(st); /* an operator tidies up */
    story_in_force(st);
    CHECK_TRACE(st, "0 rollback | production 100/0\n"
                    "0 in force | deregister t4 deregister t3\n");
    story_drained(st, 3);
    story_drained(st, 4);
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
}

TEST(a_newer_deployment_first_brings_the_traffic_to_one_place)
{
    cleanup_story struct story *st = green_baking(&blue_green);
    const struct service *s = story_service(st);

    story_update(st, 3);
    CHECK_EQ(story_stage(st), STAGE_RECONCILE_SERVICE);
    CHECK_EQ(s->history->next->status, SD_STOPPED);
    story_in_force(st);
    story_drained(st, 3);
    CHECK_EQ(story_stage(st), STAGE_RECONCILE_SERVICE);
    story_drained(st, 4);
    CHECK_TRACE(st, "0 update web:3 | production 100/0\n"
                    "0 in force | deregister t4 deregister t3\n"
                    "0 drained t3 | stop t3\n"
                    "0 drained t4 | stop t4 start t5 start t6\n");
    story_run_and_heal(st, 5, 6);
    story_in_force(st);
    story_at(st, MINUTES(5));
    story_clock(st);
    story_drained(st, 1);
    story_drained(st, 2);
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[2]);
}

TEST(superseded_while_blue_goes_it_builds_on_green)
{
    cleanup_story struct story *st = green_baking(&blue_green);
    const struct service *s = story_service(st);

    story_at(st, MINUTES(5));
    story_clock(st);
    CHECK_EQ(story_stage(st), STAGE_CLEAN_UP);
    CHECK(core_rollback_target(st->core, s) == NULL); /* too late to go back */
    story_stop_deployment(st, /* rolls_back= */ true);
    CHECK_EQ(service_current(s)->status, SD_IN_PROGRESS);
    strbuf_clear(&st->trace);
    story_update(st, 3);
    CHECK_EQ(s->history->next->status, SD_SUCCESSFUL); /* it was proved, and has the traffic */
    story_drained(st, 1);
    story_drained(st, 2);
    CHECK_TRACE(st, "300000 update web:3 | -\n"
                    "300000 drained t1 | stop t1\n"
                    "300000 drained t2 | stop t2 start t5 start t6\n");
    story_run_and_heal(st, 5, 6);
    CHECK_TEXT(story_task(st, 5)->targets[0].target_group_arn, st->group);
    CHECK_EQ(story_stage(st), STAGE_PRODUCTION_TRAFFIC_SHIFT);
    CHECK(task_is_wanted(story_task(st, 3)) && task_is_wanted(story_task(st, 4)));
}

TEST(while_traffic_moves_only_the_one_that_has_it_can_be_returned_to)
{
    cleanup_story struct story *st = green_baking(&blue_green);
    const struct service *s = story_service(st);
    char first[ID_SIZE], second[ID_SIZE];

    text_copy(second, sizeof(second), str_of(service_primary(s)->id));
    text_copy(first, sizeof(first), str_of(service_primary(s)->next->id));
    story_at(st, MINUTES(5));
    story_clock(st);
    story_drained(st, 1);
    story_drained(st, 2);
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
    CHECK(core_can_return_to(st->core, s, service_find_deployment(s, first)));
    story_update(st, 3);
    CHECK(!core_can_return_to(st->core, s, service_find_deployment(s, first)));
    strbuf_clear(&st->trace);
    story_rollback_to(st, first);
    CHECK_TRACE(st, "300000 rollback | -\n");
    CHECK(core_can_return_to(st->core, s, service_find_deployment(s, second)));
    story_rollback_to(st, second);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL); /* it never lost the traffic */
    CHECK_TEXT(service_primary(s)->id, second);
}

/* ---- canary, linear ---- */

TEST(a_canary_gets_its_part_then_the_rest)
{
    struct story_options o = blue_green;
    cleanup_story struct story *st = NULL;

    o.strategy = (struct strategy_config){
        .strategy = STRATEGY_CANARY, .bake_min = 1, .step_permille = 55, .step_bake_min = 10};
    st = blue_running(&o);
    story_update(st, 2);
    story_run_and_heal(st, 3, 4);
    CHECK_EQ(story_service(st)->course.share, 55);
    CHECK_EQ(story_stage(st), STAGE_PRODUCTION_TRAFFIC_SHIFT);
    story_at(st, 1000);
    story_in_force(st);
    story_at(st, 1000 + MINUTES(10) - 1);
    story_clock(st);
    strbuf_clear(&st->trace);
    story_at(st, 1000 + MINUTES(10));
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "production 0/100") != NULL);
    story_in_force(st);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    strbuf_clear(&st->trace);
    story_at(st, 1000 + MINUTES(11));
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), " deregister t2 deregister t1") != NULL);
    story_drained(st, 1);
    story_drained(st, 2);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
}

TEST(a_canary_of_half_a_percent_is_one_in_two_hundred)
{
    struct story_options o = blue_green;
    cleanup_story struct story *st = NULL;

    o.strategy = (struct strategy_config){
        .strategy = STRATEGY_CANARY, .step_permille = 5, .step_bake_min = 10};
    st = blue_running(&o);
    story_update(st, 2);
    story_running(st, 3);
    story_running(st, 4);
    story_healthy(st, 3);
    strbuf_clear(&st->trace);
    story_healthy(st, 4);
    CHECK_TRACE(st, "0 healthy t4 | production 995/5\n");
}

TEST(linear_takes_equal_steps_and_bakes_between_them)
{
    struct story_options o = blue_green;
    cleanup_story struct story *st = NULL;
    int shares[8] = {0}, count = 0;

    o.strategy = (struct strategy_config){
        .strategy = STRATEGY_LINEAR, .step_permille = 300, .step_bake_min = 6};
    st = blue_running(&o);
    story_update(st, 2);
    story_run_and_heal(st, 3, 4);
    while (story_stage(st) == STAGE_PRODUCTION_TRAFFIC_SHIFT && count < 8) {
        shares[count++] = story_service(st)->course.share;
        story_in_force(st);
        story_at(st, MINUTES(6) * count);
        story_clock(st);
    }
    CHECK_EQ(count, 4); /* floor(100 / 30) = 3 waits, none after the last step */
    CHECK_EQ(shares[0], 300);
    CHECK_EQ(shares[1], 600);
    CHECK_EQ(shares[2], 900);
    CHECK_EQ(shares[3], 1000);
    CHECK_EQ(story_stage(st), STAGE_CLEAN_UP);
}

TEST(a_step_waits_until_green_is_whole_again)
{
    struct story_options o = blue_green;
    cleanup_story struct story *st = NULL;

    o.strategy = (struct strategy_config){
        .strategy = STRATEGY_CANARY, .step_permille = 100, .step_bake_min = 10};
    st = blue_running(&o);
    story_update(st, 2);
    story_run_and_heal(st, 3, 4);
    story_in_force(st);
    story_stopped(st, 3, 1);
    story_at(st, MINUTES(10));
    strbuf_clear(&st->trace);
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "production") == NULL);
    story_drained(st, 3);
    story_running(st, 5);
    strbuf_clear(&st->trace);
    story_healthy(st, 5);
    CHECK_TRACE(st, "600000 healthy t5 | production 0/100\n");
}

/* ---- each strategy, each end ---- */

static const struct strategy_config strategies[] = {
    {.strategy = STRATEGY_BLUE_GREEN, .bake_min = 3},
    {.strategy = STRATEGY_LINEAR, .bake_min = 3, .step_permille = 500, .step_bake_min = 2},
    {.strategy = STRATEGY_CANARY, .bake_min = 3, .step_permille = 200, .step_bake_min = 2},
};

/* Green has its first part of the traffic, and bakes. */
static struct story *
under_way(const struct strategy_config *strategy)
{
    struct story_options o = blue_green;
    struct story *st;

    o.strategy = *strategy;
    st = blue_running(&o);
    story_update(st, 2);
    story_run_and_heal(st, 3, 4);
    story_in_force(st);
    CHECK_EQ(story_service(st)->course.share,
             strategy->step_permille == 0 ? 1000 : strategy->step_permille);
    strbuf_clear(&st->trace);
    return st;
}

/* Time passes, and the balancer does what it is told. */
static void
let_it_run(struct story *st, int first_of_the_old, int last_of_the_old)
{
    for (int minute = 1; minute <= 8; minute++) {
        story_at(st, st->now_ms - st->start_ms + MINUTES(1));
        story_clock(st);
        story_in_force(st);
    }
    for (int i = first_of_the_old; i <= last_of_the_old; i++)
        story_drained(st, i);
}

TEST(each_strategy_completes_also_over_restarts)
{
    for (size_t i = 0; i < ARRAY_COUNT(strategies); i++) {
        for (int restarts = 0; restarts < 2; restarts++) {
            cleanup_story struct story *st = under_way(&strategies[i]);
            if (restarts)
                story_restart(st);
            let_it_run(st, 1, 2);
            CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
            CHECK_TEXT(service_primary(story_service(st))->revision->task_definition_arn,
                       st->definitions[1]);
        }
    }
}

TEST(each_strategy_is_rolled_back_by_the_breaker_and_by_hand)
{
    for (size_t i = 0; i < ARRAY_COUNT(strategies); i++) {
        for (int by_hand = 0; by_hand < 2; by_hand++) {
            cleanup_story struct story *st = under_way(&strategies[i]);
            int last = 4;
            if (by_hand) {
                story_stop_deployment(st, /* rolls_back= */ true);
            } else {
                story_unhealthy(st, 3);
                story_unhealthy(st, 4);
                story_stopped(st, 3, 1);
                story_running(st, 5);
                story_unhealthy(st, 5);
                last = 5;
            }
            CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_IN_PROGRESS);
            CHECK(strstr(strbuf_cstr(&st->trace), "production 100/0") != NULL);
            let_it_run(st, 3, last);
            check_rolled_back(st);
        }
    }
}

TEST(each_strategy_is_superseded_and_aborted)
{
    for (size_t i = 0; i < ARRAY_COUNT(strategies); i++) {
        cleanup_story struct story *st = under_way(&strategies[i]);
        cleanup_story struct story *aborted = under_way(&strategies[i]);
        story_update(st, 3);
        story_in_force(st);
        story_drained(st, 3);
        story_drained(st, 4);
        CHECK_EQ(story_service(st)->history->next->status, SD_STOPPED);
        story_run_and_heal(st, 5, 6);
        story_in_force(st);
        let_it_run(st, 1, 2);
        CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
        story_stop_deployment(aborted, /* rolls_back= */ false);
        let_it_run(aborted, 0, -1);
        CHECK_EQ(service_current(story_service(aborted))->status, SD_STOPPED);
        CHECK_EQ(core_counts(aborted->core, story_service(aborted), NULL).desired_running, 4);
    }
}

/* ---- test traffic, hooks ---- */

static const struct story_options with_hook = {
    .desired_count = 2,
    .minimum_healthy_percent = 100,
    .maximum_percent = 200,
    .has_load_balancer = true,
    .has_test_listener = true,
    .strategy = {.strategy = STRATEGY_BLUE_GREEN,
                 .hooks = {{.stages = 1 << STAGE_POST_TEST_TRAFFIC_SHIFT, .timeout_min = 60}},
                 .hook_count = 1}};

static struct story *
waiting_for_a_hook(const struct story_options *o)
{
    struct story *st = story_new(o);

    story_run_and_heal(st, 1, 2);
    story_in_force(st);
    story_continue(st, false);
    story_in_force(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    strbuf_clear(&st->trace);
    story_update(st, 2);
    story_running(st, 3);
    story_running(st, 4);
    story_healthy(st, 3);
    strbuf_clear(&st->trace);
    story_healthy(st, 4);
    CHECK_TRACE(st, "0 healthy t4 | test 0/100\n");
    story_in_force(st);
    CHECK_TRACE(st, "0 in force | -\n");
    CHECK_EQ(story_stage(st), STAGE_POST_TEST_TRAFFIC_SHIFT);
    CHECK_EQ(story_service(st)->course.hook_count, 1);
    return st;
}

TEST(a_pause_waits_until_somebody_lets_it_go_on)
{
    cleanup_story struct story *st = waiting_for_a_hook(&with_hook);

    story_at(st, MINUTES(59));
    story_continue(st, /* rolls_back= */ false);
    CHECK(strstr(strbuf_cstr(&st->trace), " production 0/100") != NULL);
    CHECK_EQ(story_stage(st), STAGE_PRODUCTION_TRAFFIC_SHIFT);
}

TEST(a_pause_that_is_answered_with_rollback_rolls_back)
{
    cleanup_story struct story *st = waiting_for_a_hook(&with_hook);

    story_continue(st, /* rolls_back= */ true);
    CHECK_TRACE(st, "0 continue ROLLBACK | test 100/0\n");
    story_in_force(st);
    story_drained(st, 3);
    story_drained(st, 4);
    check_rolled_back(st);
    CHECK_TEXT(service_current(story_service(st))->status_reason,
               "Service deployment rolled back because POST_TEST_TRAFFIC_SHIFT lifecycle hook(s) "
               "failed.");
}

TEST(a_pause_that_nobody_answers_ends_as_it_is_configured)
{
    struct story_options o = with_hook;

    for (int continues = 0; continues < 2; continues++) {
        cleanup_story struct story *st = NULL;
        o.strategy.hooks[0].continues = continues;
        st = waiting_for_a_hook(&o);
        story_at(st, MINUTES(60) - 1);
        story_clock(st);
        CHECK_EQ(story_stage(st), STAGE_POST_TEST_TRAFFIC_SHIFT);
        story_at(st, MINUTES(60));
        story_clock(st);
        CHECK_EQ(story_stage(st), STAGE_PRODUCTION_TRAFFIC_SHIFT);
        CHECK_EQ(service_current(story_service(st))->status,
                 continues ? SD_IN_PROGRESS : SD_ROLLBACK_IN_PROGRESS);
    }
}

/* Each pause may be as long as its hook allows; all of them together not. */
TEST(pauses_that_add_up_to_thirty_days_end_the_deployment)
{
    const int64_t days_14 = MINUTES(20160), days_30 = MINUTES(43200);
    const struct strategy_config pauses = {
        .strategy = STRATEGY_BLUE_GREEN,
        .hooks = {{.stages = 1 << STAGE_PRE_SCALE_UP | 1 << STAGE_POST_SCALE_UP |
                             1 << STAGE_POST_TEST_TRAFFIC_SHIFT,
                   .timeout_min = 20160,
                   .continues = true}},
        .hook_count = 1};
    cleanup_story struct story *st = blue_running(&blue_green);

    story_strategy(st, &pauses);
    story_update(st, 2);
    CHECK_EQ(story_stage(st), STAGE_PRE_SCALE_UP);
    story_at(st, days_14);
    story_clock(st);
    story_run_and_heal(st, 3, 4);
    CHECK_EQ(story_stage(st), STAGE_POST_SCALE_UP);
    story_at(st, 2 * days_14);
    story_clock(st);
    CHECK_EQ(story_stage(st), STAGE_POST_TEST_TRAFFIC_SHIFT);
    story_at(st, days_30 - 1);
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    story_at(st, days_30);
    story_clock(st);
    CHECK(strstr(service_current(story_service(st))->status_reason,
                 "it lasted longer than 30 days") != NULL);
    story_drained(st, 3);
    story_drained(st, 4);
    check_rolled_back(st);
}

TEST(a_hook_runs_before_each_step)
{
    struct story_options o = with_hook;
    cleanup_story struct story *st = NULL;

    o.has_test_listener = false;
    o.strategy = (struct strategy_config){
        .strategy = STRATEGY_CANARY,
        .step_permille = 100,
        .hooks = {{.stages = 1 << STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT, .timeout_min = 60}},
        .hook_count = 1};
    st = story_new(&o);
    story_run_and_heal(st, 1, 2);
    story_continue(st, false);
    story_in_force(st);
    story_update(st, 2);
    story_run_and_heal(st, 3, 4);
    CHECK_EQ(story_stage(st), STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT);
    story_continue(st, false);
    CHECK_TRACE(st, "0 continue | production 90/10\n");
    story_in_force(st);
    CHECK_EQ(story_stage(st), STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT);
    story_continue(st, false);
    CHECK_TRACE(st, "0 in force | -\n"
                    "0 continue | production 0/100\n");
}

/* ---- what may go wrong ---- */

TEST(a_listener_that_is_gone_fails_the_deployment)
{
    cleanup_story struct story *st = blue_running(&blue_green);
    struct event ev = {.type = EVENT_LISTENER_DELETE};

    story_update(st, 2);
    ev.listener_delete.arn = st->production;
    story_tell(st, &ev, "delete listener");
    story_run_and_heal(st, 3, 4);
    story_drained(st, 3);
    story_drained(st, 4);
    check_rolled_back(st);
}

TEST(a_stage_that_does_not_end_is_rolled_back_after_a_day)
{
    struct story_options o = blue_green;
    cleanup_story struct story *st = NULL;

    o.has_breaker = false;
    st = blue_running(&o);
    story_update(st, 2);
    story_running(st, 3);
    story_running(st, 4);
    story_at(st, MINUTES(24 * 60) - 1);
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    story_at(st, MINUTES(24 * 60));
    story_clock(st);
    story_in_force(st);
    story_drained(st, 3);
    story_drained(st, 4);
    check_rolled_back(st);
    CHECK(strstr(service_current(story_service(st))->status_reason, "SCALE_UP lasted longer") !=
          NULL);
}

TEST(a_balancer_that_never_answers_is_no_reason_to_wait_for_ever)
{
    cleanup_story struct story *st = under_way(&strategies[1]);

    story_restart(st); /* and from now on no word of it */
    story_at(st, MINUTES(2));
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    story_at(st, MINUTES(2 + 24 * 60));
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_IN_PROGRESS);
    story_at(st, MINUTES(2 + 2 * 24 * 60));
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_FAILED);
}

TEST(a_rollback_waits_until_blue_can_serve)
{
    cleanup_story struct story *st = green_baking(&blue_green);

    story_stopped(st, 1, 1);
    story_stopped(st, 2, 1);
    strbuf_clear(&st->trace);
    story_stop_deployment(st, /* rolls_back= */ true);
    CHECK_TRACE(st, "0 stop ROLLBACK | -\n"); /* green still answers everybody */
    story_running(st, 5);
    story_running(st, 6);
    story_healthy(st, 5);
    strbuf_clear(&st->trace);
    story_healthy(st, 6);
    CHECK_TRACE(st, "0 healthy t6 | production 100/0\n");
}

TEST(a_lost_blue_task_is_replaced_while_green_bakes)
{
    cleanup_story struct story *st = green_baking(&blue_green);

    story_stopped(st, 1, 1);
    CHECK_TRACE(st, "0 stopped t1 | deregister t1 start t5\n");
    story_running(st, 5);
    CHECK_TEXT(story_task(st, 5)->targets[0].target_group_arn, st->group);
}

TEST(a_task_that_dies_during_clean_up_does_not_hold_up_the_end)
{
    cleanup_story struct story *st = green_baking(&blue_green);

    story_at(st, MINUTES(5));
    story_clock(st);
    story_stopped(st, 3, 1);
    story_drained(st, 1);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    story_drained(st, 2);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).desired_running, 2);
}

TEST(a_changed_desired_count_reaches_both)
{
    cleanup_story struct story *st = green_baking(&blue_green);

    story_desired(st, 3);
    CHECK_TRACE(st, "0 desired 3 | start t5 start t6\n");
    story_desired(st, 1);
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).desired_running, 2);
}

TEST(a_smaller_desired_count_leaves_the_base_its_tasks)
{
    cleanup_story struct story *st = green_baking(&blue_green);

    story_update(st, 3); /* RECONCILE_SERVICE: blue, and a green that was not finished */
    strbuf_clear(&st->trace);
    story_desired(st, 1);
    CHECK_TRACE(st, "0 desired 1 | deregister t2\n");
    CHECK(task_is_wanted(story_task(st, 1)));
}

TEST(a_protected_task_that_serves_nobody_costs_none_that_does)
{
    struct story_options o = blue_green;
    cleanup_story struct story *st = NULL;

    o.minimum_healthy_percent = 0;
    st = green_baking(&o);
    story_stopped(st, 3, 1); /* t5 takes its place */
    story_protect(st, 5, 60);
    strbuf_clear(&st->trace);
    story_desired(st, 1); /* t4 is what users have, and the only one that could go */
    CHECK_TRACE(st, "0 desired 1 | deregister t2\n");
    story_running(st, 5);
    story_healthy(st, 5);
    CHECK_TRACE(st, "0 running t5 | register t5\n"
                    "0 healthy t5 | deregister t4\n");
}

TEST(on_the_way_back_green_shrinks_with_the_desired_count)
{
    cleanup_story struct story *st = green_baking(&blue_green);

    story_desired(st, 3);
    story_run_and_heal(st, 5, 6);
    story_stopped(st, 1, 1); /* t1 and t2 were blue; t7 and t8 take their places */
    story_stopped(st, 2, 1);
    story_stop_deployment(st, /* rolls_back= */ true); /* blue can not serve yet */
    strbuf_clear(&st->trace);
    story_desired(st, 2);
    CHECK_TRACE(st, "0 desired 2 | stop t8 deregister t6\n"); /* t7 has room, and could be replaced */
}

TEST(a_service_without_a_load_balancer_only_waits)
{
    struct story_options o = blue_green;
    cleanup_story struct story *st = NULL;

    o.has_load_balancer = false;
    o.desired_count = 1;
    st = story_new(&o);
    story_running(st, 1);
    story_at(st, 40000);
    story_clock(st);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    story_at(st, 40000 + MINUTES(5));
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    story_update(st, 2);
    story_running(st, 2);
    story_at(st, 80000 + MINUTES(5));
    story_clock(st);
    story_at(st, 80000 + MINUTES(10));
    strbuf_clear(&st->trace);
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "stop t1") != NULL);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
}

TEST(back_to_rolling_stays_in_the_group_that_has_the_traffic)
{
    const struct strategy_config rolling = {.strategy = STRATEGY_ROLLING};
    cleanup_story struct story *st = green_baking(&blue_green);

    story_strategy(st, &rolling); /* of the next deployment: this one goes on */
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    story_update(st, 3);
    CHECK_EQ(story_stage(st), STAGE_RECONCILE_SERVICE);
    story_in_force(st);
    story_drained(st, 3);
    strbuf_clear(&st->trace);
    story_drained(st, 4);
    CHECK_TRACE(st, "0 drained t4 | stop t4 start t5 start t6\n");
    story_run_and_heal(st, 5, 6);
    CHECK_TEXT(story_task(st, 5)->targets[0].target_group_arn, st->group);
    story_drained(st, 1);
    story_drained(st, 2);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    CHECK(!story_service(st)->course.is_on);
}

TEST(what_was_left_in_the_other_group_is_never_started_again)
{
    const struct strategy_config rolling = {.strategy = STRATEGY_ROLLING};
    cleanup_story struct story *st = green_baking(&blue_green);
    const struct service *s = story_service(st);

    story_at(st, MINUTES(5));
    story_clock(st); /* CLEAN_UP: blue was complete once, and goes */
    story_strategy(st, &rolling);
    story_update(st, 3);
    story_drained(st, 1);
    story_drained(st, 2);
    CHECK_EQ(service_find_deployment(s, story_task(st, 1)->deployment_id)->desired_count, 0);
    strbuf_clear(&st->trace);
    story_desired(st, 3);
    CHECK_TRACE(st, "300000 desired 3 | start t7 start t8\n");
    for (int i = 7; i <= 8; i++)
        CHECK(strcmp(story_task(st, i)->deployment_id, story_task(st, 1)->deployment_id) != 0);
}

TEST(an_ailing_base_leaves_the_new_ones_their_room)
{
    struct story_options o = blue_green;
    cleanup_story struct story *st = NULL;

    o.has_breaker = false;
    o.desired_count = 2;
    st = blue_running(&o);
    story_unhealthy(st, 1);
    story_unhealthy(st, 2);
    story_running(st, 3);
    story_running(st, 4);
    story_unhealthy(st, 3);
    story_unhealthy(st, 4);
    strbuf_clear(&st->trace);
    story_update(st, 2);
    CHECK_EQ(core_counts(st->core, story_service(st), service_primary(story_service(st)))
                 .desired_running,
             2);
}

TEST(from_rolling_to_blue_green_and_back_with_all_in_the_second_group)
{
    const struct strategy_config rolling = {.strategy = STRATEGY_ROLLING};
    cleanup_story struct story *st = green_baking(&blue_green);

    story_at(st, MINUTES(5));
    story_clock(st);
    story_drained(st, 1);
    story_drained(st, 2);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    story_strategy(st, &rolling);
    strbuf_clear(&st->trace);
    story_update(st, 3);
    story_running(st, 5);
    story_healthy(st, 5);
    CHECK_TRACE(st, "300000 update web:3 | start t5 start t6\n"
                    "300000 running t5 | register t5\n"
                    "300000 healthy t5 | deregister t4\n");
    CHECK_TEXT(story_task(st, 5)->targets[0].target_group_arn, st->group2);
}

TEST(a_restart_in_any_stage_goes_on)
{
    struct story_options o = with_hook;
    cleanup_story struct story *st = NULL;

    o.strategy.bake_min = 5;
    o.strategy.hooks[0].stages = 1 << STAGE_POST_SCALE_UP;
    st = story_new(&o);
    story_run_and_heal(st, 1, 2);
    story_continue(st, false);
    story_in_force(st);
    story_in_force(st);
    story_at(st, MINUTES(5));
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    story_update(st, 2);
    story_running(st, 3);
    story_restart(st); /* SCALE_UP */
    story_running(st, 4);
    story_healthy(st, 3);
    story_healthy(st, 4);
    CHECK_EQ(story_stage(st), STAGE_POST_SCALE_UP);
    story_restart(st); /* a hook waits */
    CHECK_EQ(story_service(st)->course.hook_count, 1);
    story_continue(st, false);
    CHECK_EQ(story_stage(st), STAGE_TEST_TRAFFIC_SHIFT);
    story_restart(st); /* the weights may not have left */
    CHECK_EQ(story_stage(st), STAGE_TEST_TRAFFIC_SHIFT);
    story_in_force(st);
    CHECK_EQ(story_stage(st), STAGE_PRODUCTION_TRAFFIC_SHIFT);
    story_restart(st);
    story_in_force(st);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    story_at(st, MINUTES(7));
    story_restart(st);
    story_at(st, MINUTES(10)); /* its end has not moved */
    story_clock(st);
    CHECK_EQ(story_stage(st), STAGE_CLEAN_UP);
    strbuf_clear(&st->trace);
    story_restart(st);
    CHECK_TRACE(st, "600000 restart | deregister t2 deregister t1 register t4 adopt t4 register t3 "
                    "adopt t3\n");
    story_drained(st, 1);
    story_drained(st, 2);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
}

TEST(a_restart_while_it_returns_goes_on_returning)
{
    cleanup_story struct story *st = green_baking(&blue_green);

    story_stop_deployment(st, /* rolls_back= */ true);
    story_restart(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_IN_PROGRESS);
    story_in_force(st);
    story_restart(st);
    story_drained(st, 3);
    story_drained(st, 4);
    check_rolled_back(st);
}

/* ---- alarms ---- */
