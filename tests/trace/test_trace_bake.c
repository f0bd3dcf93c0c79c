/* SPDX-License-Identifier: MIT */
/* Rolling updates that bake, that are watched by alarms, and that succeed early. */
#include "story.h"

#define MINUTES(n) ((n) * 60000LL)

static const struct story_options early = {
    .desired_count = 4,
    .minimum_healthy_percent = 50,
    .maximum_percent = 150,
    .has_load_balancer = true,
    .has_breaker = true,
    .rolls_back = true,
    .strategy = {.succeeds_early = true, .early_percent = 50}};

TEST(a_rolling_update_bakes_before_it_is_complete)
{
    struct story_options o = {.desired_count = 1,
                              .minimum_healthy_percent = 100,
                              .maximum_percent = 200,
                              .has_load_balancer = true,
                              .has_breaker = true,
                              .rolls_back = true,
                              .strategy = {.bake_min = 10}};
    cleanup_story struct story *st = story_new(&o);
    const struct service *s = story_service(st);

    story_run_and_heal(st, 1, 1);
    CHECK_EQ(service_current(s)->status, SD_IN_PROGRESS);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    story_at(st, MINUTES(10));
    story_clock(st);
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
    story_update(st, 2);
    story_run_and_heal(st, 2, 2);
    story_drained(st, 1);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    for (int i = 2; i <= 4; i++) { /* it falls ill while it bakes */
        story_unhealthy(st, i);
        if (i < 4)
            story_running(st, i + 1);
    }
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_IN_PROGRESS);
    story_run_and_heal(st, 5, 5);
    for (int i = 2; i <= 4; i++)
        story_drained(st, i);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL);
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[0]);
}

TEST(early_success_may_leave_the_old_tasks_for_later)
{
    struct story_options o = early;
    cleanup_story struct story *st = NULL;
    const struct service *s;

    o.strategy.cleans_up_later = true;
    st = story_new(&o);
    s = story_service(st);
    story_run_and_heal(st, 1, 4);
    story_update(st, 2);
    story_run_and_heal(st, 5, 6);
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
    CHECK(service_current(s)->is_early);
    CHECK_EQ(core_counts(st->core, s, service_primary(s)->next).desired_running, 2);
    story_run_and_heal(st, 7, 8); /* the rest comes, and the old ones go, all the same */
    for (int i = 1; i <= 4; i++)
        story_drained(st, i);
    CHECK_EQ(core_counts(st->core, s, NULL).desired_running, 4);
    CHECK_EQ(service_primary(s)->next->status, DEPLOYMENT_INACTIVE);
}

TEST(early_success_may_wait_for_the_old_tasks_to_go)
{
    cleanup_story struct story *st = story_new(&early);
    const struct service *s = story_service(st);

    story_run_and_heal(st, 1, 4);
    story_update(st, 2);
    story_run_and_heal(st, 5, 6);
    CHECK_EQ(service_current(s)->status, SD_IN_PROGRESS);
    CHECK_EQ(core_counts(st->core, s, service_primary(s)->next).desired_running, 0);
    for (int i = 1; i <= 4; i++)
        story_drained(st, i);
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
    CHECK_EQ(core_counts(st->core, s, NULL).healthy, 2);
    CHECK_EQ(core_counts(st->core, s, NULL).desired_running, 4);
}

TEST(an_alarm_starts_the_old_tasks_of_a_rolling_update_again)
{
    struct story_options o = {.desired_count = 1,
                              .minimum_healthy_percent = 100,
                              .maximum_percent = 200,
                              .has_load_balancer = true,
                              .watches_alarms = true,
                              .strategy = {.bake_min = 10}};
    cleanup_story struct story *st = story_new(&o);

    story_run_and_heal(st, 1, 1);
    story_at(st, MINUTES(10));
    story_clock(st);
    story_update(st, 2);
    story_run_and_heal(st, 2, 2);
    story_drained(st, 1);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    strbuf_clear(&st->trace);
    story_alarm(st, "bad", true);
    CHECK_TRACE(st, "600000 alarm | start t3\n");
    story_run_and_heal(st, 3, 3);
    story_drained(st, 2);
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_SUCCESSFUL);
}
