/* SPDX-License-Identifier: MIT */
/* Tasks that get healthy and exit soon after: what counts, and what is taken back. */
#include "story.h"

#define PROBATION "[{\"key\":\"naru:probationSeconds\",\"value\":\"300\"}]"

static const struct story_options one = {.desired_count = 1,
                                         .minimum_healthy_percent = 100,
                                         .maximum_percent = 200,
                                         .has_load_balancer = true,
                                         .has_breaker = true,
                                         .rolls_back = true,
                                         .tags = PROBATION};

/* Definition 1 was complete, then definition 2 was: t2 runs, since 0 ms. */
static struct story *
updated(const struct story_options *o)
{
    struct story *st = story_new(o);

    story_run_and_heal(st, 1, 1);
    story_update(st, 2);
    story_run_and_heal(st, 2, 2);
    story_drained(st, 1);
    story_stopped(st, 1, 143);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    strbuf_clear(&st->trace);
    return st;
}

/* It exits at `ms`; its replacement gets healthy at once. */
static void
crash_at(struct story *st, int64_t ms, int exit_code)
{
    story_at(st, ms);
    story_stopped(st, st->task_count, exit_code);
    story_run_and_heal(st, st->task_count, st->task_count);
}

static const struct deployment *
primary(const struct story *st)
{
    return service_primary(story_service(st));
}

static bool
is_back(const struct story *st)
{
    return strcmp(primary(st)->revision->task_definition_arn, st->definitions[0]) == 0;
}

TEST(a_crash_loop_after_the_end_is_taken_back_to_what_served_before)
{
    cleanup_story struct story *st = updated(&one);
    const struct service *s = story_service(st);
    const struct service_deployment *before = service_current(s);

    crash_at(st, 100000, 1);
    crash_at(st, 200000, 137);
    CHECK_EQ(primary(st)->probation_failures, 2);
    CHECK(!is_back(st));
    strbuf_clear(&st->trace);
    story_at(st, 300000);
    story_stopped(st, 4, 1);
    CHECK_TRACE(st, "300000 stopped t4 | deregister t4 deregister t3 forget t2 start t5\n");
    CHECK(is_back(st));
    CHECK_EQ(before->status, SD_SUCCESSFUL); /* whoever waited for it was told so */
    CHECK_TEXT(before->status_reason,
               "Service deployment succeeded; later its tasks exited within their probation, and it "
               "was rolled back.");
    CHECK(service_current(s) != before);
    CHECK_EQ(service_current(s)->status, SD_IN_PROGRESS);
    CHECK_TEXT(service_current(s)->target_revision_arn, primary(st)->revision->arn);
    CHECK_TEXT(service_current(s)->source_revision_arns[0], before->target_revision_arn);
    CHECK_TEXT(service_current(s)->rollback_revision_arn, primary(st)->revision->arn);
    CHECK_TEXT(service_current(s)->rollback_reason,
               "Service deployment rolled back because its tasks exited within their probation.");
    CHECK_EQ(primary(st)->next->rollout_state, ROLLOUT_FAILED);
    CHECK(story_has_event(st, "deployment failed: tasks exited within their probation."));
    CHECK(story_has_event(st, "rolling back to deployment "));
    story_run_and_heal(st, 5, 5);
    story_drained(st, 4);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL);
    CHECK(core_rollback_target(st->core, s) == NULL); /* never back to what failed */
}

TEST(what_was_restored_is_not_on_probation)
{
    cleanup_story struct story *st = updated(&one);

    for (int i = 1; i <= 2; i++)
        crash_at(st, 10000 * i, 1);
    story_stopped(st, 4, 1);
    story_run_and_heal(st, 5, 5);
    story_drained(st, 4);
    CHECK(is_back(st));
    for (int i = 3; i <= 9; i++)
        crash_at(st, 10000 * i, 1);
    CHECK_EQ(primary(st)->probation_failures, 0);
    CHECK_EQ(primary(st)->rollout_state, ROLLOUT_COMPLETED);
}

TEST(a_restored_revision_that_fails_too_is_the_end)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    const struct service *s;

    st = updated(&o);
    s = story_service(st);
    story_update(st, 3);
    story_run_and_heal(st, 3, 3);
    story_drained(st, 2);
    story_stopped(st, 2, 143);
    for (int i = 1; i <= 2; i++)
        crash_at(st, 10000 * i, 1);
    story_stopped(st, st->task_count, 1);
    CHECK_TEXT(primary(st)->revision->task_definition_arn, st->definitions[1]);
    for (int i = 0; i < 3; i++)
        story_failed_to_start(st, st->task_count);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_FAILED); /* and not back to definition 1 */
    CHECK_TEXT(primary(st)->revision->task_definition_arn, st->definitions[1]);
}

TEST(a_loop_has_to_begin_within_the_time_and_may_go_on_beyond)
{
    cleanup_story struct story *late = updated(&one), *long_one = updated(&one);

    story_at(late, 250000);
    story_stopped(late, 2, 0); /* t3 comes, and is fresh when the time is over */
    story_run_and_heal(late, 3, 3);
    for (int i = 0; i < 5; i++)
        crash_at(late, 300000 + 10000 * i, 1);
    CHECK_EQ(primary(late)->probation_failures, 0);
    CHECK(!is_back(late));

    crash_at(long_one, 299999, 1);
    crash_at(long_one, 599998, 1);
    story_at(long_one, 899997);
    story_stopped(long_one, 4, 1);
    CHECK(is_back(long_one));
}

TEST(a_task_that_stands_its_probation_ends_the_loop)
{
    cleanup_story struct story *st = updated(&one);

    crash_at(st, 10000, 1);
    crash_at(st, 20000, 1);
    crash_at(st, 320000, 1); /* it stood 300 s, and this is no failure */
    CHECK_EQ(primary(st)->probation_failures, 0);
    crash_at(st, 330000, 1); /* nor is a later one: the time is over */
    CHECK_EQ(primary(st)->probation_failures, 0);
}

TEST(one_that_stands_beside_it_since_before_does_not)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.desired_count = 2;
    st = story_new(&o);
    story_run_and_heal(st, 1, 2);
    story_update(st, 2);
    story_run_and_heal(st, 3, 4);
    for (int i = 1; i <= 2; i++) {
        story_drained(st, i);
        story_stopped(st, i, 143);
    }
    story_at(st, 200000);
    story_stopped(st, 4, 1);
    story_run_and_heal(st, 5, 5);
    story_at(st, 400000); /* t3 stood its own by now */
    story_stopped(st, 5, 1);
    story_run_and_heal(st, 6, 6);
    CHECK_EQ(primary(st)->probation_failures, 2);
    story_stopped(st, 6, 1);
    CHECK(is_back(st));
}

TEST(a_program_that_meant_to_end_did_not_fail)
{
    cleanup_story struct story *st = updated(&one);

    for (int i = 1; i <= 5; i++)
        crash_at(st, 1000 * i, i % 2 == 0 ? 0 : 143);
    CHECK_EQ(primary(st)->probation_failures, 0);
}

TEST(what_the_runtime_loses_or_a_user_stops_did_not_fail)
{
    cleanup_story struct story *st = updated(&one);

    for (int i = 1; i <= 3; i++) {
        story_lost(st, st->task_count);
        story_at(st, 100000 + 20000 * i);
        story_clock(st);
        story_run_and_heal(st, st->task_count, st->task_count);
    }
    story_stop_task(st, st->task_count);
    story_drained(st, 5);
    story_stopped(st, 5, 137);
    CHECK_EQ(primary(st)->probation_failures, 0);
}

TEST(within_a_deployment_a_healthy_replacement_does_not_make_it_good)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    const struct service *s;

    o.desired_count = 2;
    st = story_new(&o);
    s = story_service(st);
    story_run_and_heal(st, 1, 2);
    story_update(st, 2); /* t3, t4; t4 does not get healthy, so it goes on */
    story_run_and_heal(st, 3, 3);
    story_stopped(st, 3, 1);
    story_run_and_heal(st, 5, 5);
    CHECK_EQ(service_current(s)->breaker_failures, 1);
    CHECK_EQ(primary(st)->failed_tasks, 1);
    story_stopped(st, 5, 1);
    story_run_and_heal(st, 6, 6);
    story_stopped(st, 6, 1);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_IN_PROGRESS);
    CHECK_EQ(service_current(s)->breaker_status, BREAKER_TRIGGERED);
    CHECK(is_back(st));
}

TEST(a_loop_that_began_before_the_end_is_one)
{
    cleanup_story struct story *st = story_new(&one);

    story_run_and_heal(st, 1, 1);
    story_update(st, 2);
    for (int i = 2; i <= 3; i++) { /* t1 drains meanwhile */
        story_run_and_heal(st, i, i);
        story_stopped(st, i, 1);
    }
    story_run_and_heal(st, 4, 4);
    story_drained(st, 1);
    CHECK_EQ(primary(st)->rollout_state, ROLLOUT_COMPLETED);
    story_stopped(st, 4, 1);
    CHECK(is_back(st));
}

TEST(without_rollback_it_is_only_said)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL, *first = story_new(&one), *off = NULL;

    o.rolls_back = false;
    st = updated(&o);
    for (int i = 1; i <= 3; i++)
        crash_at(st, 1000 * i, 1);
    CHECK(!is_back(st));
    CHECK(story_has_event(st, "it is not rolled back: its circuit breaker does not roll back."));
    story_run_and_heal(first, 1, 1);
    for (int i = 1; i <= 3; i++)
        crash_at(first, 1000 * i, 1);
    CHECK_EQ(primary(first)->rollout_state, ROLLOUT_COMPLETED);
    CHECK(story_has_event(first, "it is not rolled back: there is no completed deployment before it."));
    o = one;
    o.has_breaker = false;
    off = updated(&o);
    for (int i = 1; i <= 5; i++)
        crash_at(off, 1000 * i, 1);
    CHECK(!is_back(off));
    CHECK(!story_has_event(off, "probation"));
}

TEST(a_probation_lasts_a_minute_if_nothing_is_said)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL, *none = NULL;

    o.tags = NULL;
    st = updated(&o);
    crash_at(st, 59999, 1);
    CHECK_EQ(primary(st)->probation_failures, 1);
    crash_at(st, 119999, 1); /* a minute later: no failure, and it stood */
    CHECK_EQ(primary(st)->probation_failures, 0);
    o.tags = "[{\"key\":\"naru:probationSeconds\",\"value\":\"0\"}]";
    none = updated(&o);
    for (int i = 1; i <= 5; i++)
        crash_at(none, i, 1);
    CHECK_EQ(primary(none)->probation_failures, 0);
}

TEST(probation_survives_a_restart)
{
    cleanup_story struct story *st = updated(&one);

    crash_at(st, 10000, 1);
    crash_at(st, 20000, 1);
    story_restart(st);
    CHECK_EQ(primary(st)->probation_failures, 2);
    story_stopped(st, 4, 1);
    CHECK(is_back(st));
}

TEST(where_traffic_was_moved_it_moves_back_by_the_same_stages)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    const struct service *s;

    o.strategy.strategy = STRATEGY_BLUE_GREEN;
    st = story_new(&o);
    s = story_service(st);
    story_run_and_heal(st, 1, 1);
    story_in_force(st);
    story_update(st, 2);
    story_run_and_heal(st, 2, 2);
    story_in_force(st);
    story_drained(st, 1);
    story_stopped(st, 1, 143);
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
    crash_at(st, 1000, 1);
    crash_at(st, 2000, 1);
    strbuf_clear(&st->trace);
    story_at(st, 3000);
    story_stopped(st, 4, 1);
    CHECK(is_back(st));
    CHECK_TRACE(st, "3000 stopped t4 | deregister t4 start t5 start t6\n"); /* it serves until then */
    story_run_and_heal(st, 5, 6);
    story_in_force(st);
    CHECK_EQ(story_stage(st), STAGE_CLEAN_UP);
    for (int i = 5; i <= 6; i++) {
        if (story_task(st, i)->deployment != primary(st))
            story_drained(st, i);
    }
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL);
}

/* The last one of its tasks to stop had run for long enough; nobody is to care any more. */
TEST(a_deployment_that_is_over_stays_as_it_was)
{
    cleanup_story struct story *st = updated(&one);
    const struct deployment *second = primary(st);

    crash_at(st, 10000, 1);
    story_update(st, 1);
    story_run_and_heal(st, 4, 4);
    story_drained(st, 3);
    CHECK_EQ(second->status, DEPLOYMENT_INACTIVE);
    story_at(st, 400000);
    story_stopped(st, 3, 143);
    CHECK_EQ(second->probation_failures, 1);
}

/* "log" may fail as it likes; and 143 is how "app" ends where it was told to. */
TEST(only_the_own_exit_of_an_essential_container_is_a_failure)
{
    static const struct {
        int app, log, failures;
    } rows[] = {{143, 1, 0}, {0, 1, 0}, {1, 0, 1}};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        cleanup_story struct story *st = updated(&one);
        struct task_container c[2] = {{.name = "app"}, {.name = "log"}};
        struct event ev = {.type = EVENT_TASK_STATE};
        story_define(st, "{\"networkMode\":\"bridge\",\"compatibilities\":[\"EC2\"],"
                         "\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"a:1\",\"cpu\":1,"
                         "\"memory\":1,\"essential\":true},{\"name\":\"log\",\"image\":\"l:1\","
                         "\"cpu\":1,\"memory\":1,\"essential\":false}]}");
        story_update(st, 5);
        story_run_and_heal(st, 3, 3);
        story_drained(st, 2);
        story_stopped(st, 2, 143);
        CHECK_EQ(primary(st)->rollout_state, ROLLOUT_COMPLETED);
        c[0].last_status = c[1].last_status = TASK_STOPPED;
        c[0].has_exit_code = c[1].has_exit_code = true;
        c[0].exit_code = rows[i].app;
        c[1].exit_code = rows[i].log;
        ev.task_state = (struct ev_task_state){.task_id = st->ids[2],
                                               .status = TASK_STOPPED,
                                               .containers = c,
                                               .container_count = 2};
        story_tell(st, &ev, "stopped t3");
        CHECK_EQ(primary(st)->probation_failures, rows[i].failures);
    }
}

/* naru was away from 100 s to 400 s, and Docker knows when t2 exited. */
TEST(an_exit_is_judged_by_when_it_happened)
{
    cleanup_story struct story *st = updated(&one);
    struct event ev = {.type = EVENT_TASK_STATE};
    struct task_container c;

    story_at(st, 400000);
    story_return(st);
    c = story_task(st, 2)->containers[0];
    c.last_status = TASK_STOPPED;
    c.has_exit_code = true;
    c.exit_code = 1;
    ev.task_state = (struct ev_task_state){.task_id = st->ids[1], .status = TASK_STOPPED, .containers = &c,
                                           .container_count = 1, .exited_ago_ms = 150000};
    story_tell(st, &ev, "stopped t2");
    CHECK_EQ(primary(st)->probation_failures, 1);
    CHECK_EQ(story_task(st, 2)->execution_stopped_at_ms, st->start_ms + 250000);
    CHECK_EQ(story_task(st, 2)->stopped_at_ms, st->start_ms + 400000);
}

/* The clock of its machine was set meanwhile. */
TEST(no_exit_is_older_than_the_task)
{
    cleanup_story struct story *st = updated(&one);
    struct event ev = {.type = EVENT_TASK_STATE};

    story_at(st, 400000);
    ev.task_state = (struct ev_task_state){.task_id = st->ids[1], .status = TASK_STOPPED, .exited_ago_ms = 1 << 30};
    story_tell(st, &ev, "stopped t2");
    CHECK_EQ(story_task(st, 2)->execution_stopped_at_ms, story_task(st, 2)->started_at_ms);
}
