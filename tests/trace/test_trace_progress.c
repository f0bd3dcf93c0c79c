/* SPDX-License-Identifier: MIT */
/* The progress deadline: what it counts, what it does not, and when it stands still. */
#include "story.h"

#define DEADLINE "[{\"key\":\"naru:progressDeadlineSeconds\",\"value\":\"60\"}]"

static const struct story_options one = {.desired_count = 1,
                                         .minimum_healthy_percent = 100,
                                         .maximum_percent = 200,
                                         .has_load_balancer = true,
                                         .has_breaker = true,
                                         .rolls_back = true,
                                         .tags = DEADLINE};
static const struct story_host machine = {"h", NULL, NULL, 4096, 8192};

/* Definition 1 serves; at 0 ms an update to definition 2 began: t2 (and, of `count`, the next ones). */
static struct story *
updating(const struct story_options *o)
{
    struct story *st = story_new(o);

    story_run_and_heal(st, 1, o->desired_count);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    story_update(st, 2);
    strbuf_clear(&st->trace);
    return st;
}

/* As the engine does: whenever the core asked for it. */
static void
clock_at(struct story *st, int64_t ms)
{
    for (int64_t due; (due = core_deadline_ms(st->core) - st->start_ms) < ms;) {
        story_at(st, due);
        story_clock(st);
    }
    story_at(st, ms);
    story_clock(st);
}

static enum sd_status
status(const struct story *st)
{
    return service_current(story_service(st))->status;
}

/* Rolled back; where the new task was not in traffic yet, that is over at once. */
static bool
went_back(const struct story *st)
{
    return status(st) == SD_ROLLBACK_IN_PROGRESS || status(st) == SD_ROLLBACK_SUCCESSFUL;
}

TEST(a_deployment_without_progress_is_rolled_back_at_its_deadline)
{
    cleanup_story struct story *st = updating(&one);
    const struct service *s = story_service(st);

    story_at(st, 1000);
    story_running(st, 2); /* that is none yet */
    clock_at(st, 59999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    CHECK_EQ(core_deadline_ms(st->core) - st->start_ms, 60000); /* it wakes by itself */
    strbuf_clear(&st->trace);
    clock_at(st, 60000);
    CHECK_TRACE(st, "60000 clock | deregister t2\n");
    CHECK_EQ(status(st), SD_ROLLBACK_IN_PROGRESS);
    CHECK_TEXT(service_current(s)->status_reason,
               "Service deployment rolled back because no more of its tasks became healthy for 60 seconds.");
    CHECK(story_has_event(st, "deployment failed: progress deadline exceeded."));
    story_drained(st, 2);
    story_stopped(st, 2, 143);
    CHECK_EQ(status(st), SD_ROLLBACK_SUCCESSFUL);
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[0]);
}

TEST(without_the_breaker_it_fails_and_what_runs_stays)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.has_breaker = false;
    st = updating(&o);
    clock_at(st, 60000);
    CHECK_EQ(status(st), SD_STOPPED);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_FAILED);
    CHECK(task_is_wanted(story_task(st, 1)));
    clock_at(st, 500000);
    CHECK_EQ(st->task_count, 2); /* nothing is launched any more */
}

TEST(a_breaker_that_does_not_roll_back_does_not_do_so_here)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.rolls_back = false;
    st = updating(&o);
    clock_at(st, 60000);
    CHECK_EQ(status(st), SD_STOPPED);
}

TEST(each_task_that_gets_healthy_is_progress_and_a_replacement_is_none)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.desired_count = 2;
    o.tags = "[{\"key\":\"naru:progressDeadlineSeconds\",\"value\":\"60\"},"
             "{\"key\":\"naru:probationSeconds\",\"value\":\"0\"}]";
    st = updating(&o); /* t3 and t4 come for t1 and t2 */
    story_at(st, 50000);
    story_running(st, 3);
    story_healthy(st, 3);
    clock_at(st, 109999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    story_stopped(st, 3, 1);
    story_running(st, 5); /* one healthy again, as before: it flaps */
    story_healthy(st, 5);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 110000);
    CHECK(went_back(st));
}

TEST(a_rollback_has_its_own_deadline)
{
    cleanup_story struct story *st = updating(&one);

    story_stopped(st, 1, 1); /* the old one is gone: t3 of its kind comes */
    clock_at(st, 60000);
    CHECK_EQ(status(st), SD_ROLLBACK_IN_PROGRESS);
    clock_at(st, 119999);
    CHECK_EQ(status(st), SD_ROLLBACK_IN_PROGRESS);
    clock_at(st, 120000);
    CHECK_EQ(status(st), SD_ROLLBACK_FAILED);
}

TEST(drains_are_no_lack_of_progress)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.tags = "[{\"key\":\"naru:progressDeadlineSeconds\",\"value\":\"10\"}]";
    st = updating(&o);
    story_running(st, 2);
    story_healthy(st, 2);
    clock_at(st, 25000); /* t1 still drains */
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    story_drained(st, 1);
    CHECK_EQ(status(st), SD_SUCCESSFUL);
}

/* ---- the clock stands ---- */

TEST(a_registry_that_does_not_answer_stops_the_clock)
{
    cleanup_story struct story *st = updating(&one);

    story_at(st, 20000);
    story_cannot_pull(st, 2); /* t3 comes; 20 s are spent */
    clock_at(st, 300000);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    story_running(st, 3); /* it goes on */
    clock_at(st, 339999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 340000);
    CHECK(went_back(st));
}

TEST(an_image_that_does_not_exist_does_not_stop_it)
{
    cleanup_story struct story *st = updating(&one);

    story_at(st, 20000);
    story_failed_to_start(st, 2);
    clock_at(st, 60000);
    CHECK(went_back(st));
}

TEST(what_the_runtime_loses_stops_it)
{
    cleanup_story struct story *st = updating(&one);

    story_at(st, 20000);
    story_lost(st, 2);
    clock_at(st, 300000);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
}

TEST(what_the_runtime_lost_is_no_excuse_once_nobody_tries_again)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.maximum_percent = 150; /* nothing can move */
    st = updating(&o);
    story_service(st)->environment_failed = true; /* as a task of the old revision left it */
    story_tag(st, DEADLINE);
    clock_at(st, 60000);
    CHECK(went_back(st));
}

TEST(an_agent_that_is_gone_stops_it)
{
    cleanup_story struct story *st = updating(&one);

    story_at(st, 20000);
    story_machine(st, &machine, false);
    clock_at(st, 300000);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    story_machine(st, &machine, true);
    story_heard(st);
    clock_at(st, 339999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 340000);
    CHECK(went_back(st));
}

static void
stood_still(struct story *st, int64_t late_ms)
{
    const struct event ev = {.type = EVENT_STOOD_STILL, .stood_still = {late_ms}};

    story_tell(st, &ev, "stood still");
}

/* naru stood still for three seconds, and Docker does not say for long what became of the tasks.  Those three do not
 * count. */
TEST(whoever_waits_for_the_word_of_an_agent_stops_it)
{
    cleanup_story struct story *st = updating(&one);

    story_at(st, 1000);
    story_running(st, 2);
    clock_at(st, 20000);
    stood_still(st, 3000);
    clock_at(st, 120000);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    story_heard(st);
    clock_at(st, 162999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 163000);
    CHECK(went_back(st));
}

TEST(only_an_agent_with_tasks_of_the_deployment_does)
{
    static const struct story_host hosts[] = {
        {"h1", NULL, NULL, 4096, 8192}, {"h2", NULL, NULL, 4096, 8192}, {NULL, NULL, NULL, 0, 0}};

    for (int has_task = 0; has_task < 2; has_task++) {
        struct story_options o = one;
        cleanup_story struct story *st = NULL;

        o.hosts = hosts;
        st = updating(&o);
        story_machine(st, (strcmp(story_place(st, 2), "h1") == 0) == has_task ? &hosts[0] : &hosts[1],
                      false);
        clock_at(st, 60000);
        CHECK(went_back(st) == !has_task);
    }
}

TEST(no_place_for_a_task_stops_it)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    st = story_new(&o);
    story_run_and_heal(st, 1, 1);
    story_host(st, 1, true);
    story_update(st, 2);
    CHECK_EQ(st->task_count, 1);
    clock_at(st, 300000);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    story_host(st, 4096, true);
    CHECK_EQ(st->task_count, 2);
    clock_at(st, 359999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 360000);
    CHECK(went_back(st));
}

TEST(a_registry_that_is_away_when_it_is_asked_for_digests_stops_it)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.has_breaker = false;
    st = story_new(&o);
    story_run_and_heal(st, 1, 1);
    st->resolves_by_itself = false;
    story_update(st, 2);
    story_at(st, 10000);
    story_resolved(st, NULL, "no answer");
    clock_at(st, 61000);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
}

TEST(protected_tasks_that_hold_it_back_stop_it)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.minimum_healthy_percent = 0;
    o.maximum_percent = 100;
    st = story_new(&o);
    story_run_and_heal(st, 1, 1);
    story_protect(st, 1, 60);
    story_update(st, 2);
    clock_at(st, 600000);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
}

TEST(bounds_within_which_nothing_can_move_do_not)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.maximum_percent = 150;
    st = updating(&o);
    clock_at(st, 60000);
    CHECK(went_back(st));
}

TEST(whoever_starts_nothing_lacks_no_place)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    st = story_new(&o);
    story_run_and_heal(st, 1, 1);
    story_host(st, 1, true);
    story_update(st, 2); /* no place */
    clock_at(st, 100000);
    story_service(st)->config.maximum_percent = 100; /* and now no leave */
    story_desired(st, 1);
    clock_at(st, 159999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 160000);
    CHECK(went_back(st));
}

/* There is room for two tasks: its replacement waits for the verdict on the other one. */
TEST(a_failing_task_is_not_excused_by_a_lack_of_room)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.desired_count = 2;
    o.has_breaker = false;
    st = story_new(&o);
    story_host(st, 20, true);
    clock_at(st, 10000);
    story_running(st, 1);
    story_running(st, 2);
    story_healthy(st, 1); /* progress, the last */
    clock_at(st, 20000);
    story_unhealthy(st, 1);
    CHECK_EQ(st->task_count, 2);
    clock_at(st, 69999);
    CHECK(!service_primary(story_service(st))->is_failed);
    clock_at(st, 70000);
    CHECK(service_primary(story_service(st))->is_failed);
}

TEST(a_hook_that_holds_it_has_a_time_of_its_own)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    st = story_new(&o);
    story_run_and_heal(st, 1, 1);
    story_strategy(st, &(struct strategy_config){.hooks = {{.kind = HOOK_KIND_PAUSE,
                                                            .stages = 1 << STAGE_PRE_SCALE_UP,
                                                            .timeout_min = 10}},
                                                 .hook_count = 1});
    story_update(st, 2);
    clock_at(st, 300000);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    CHECK_EQ(st->task_count, 1);
    story_continue(st, false);
    CHECK_EQ(st->task_count, 2);
    clock_at(st, 359999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 360000);
    CHECK(went_back(st));
}

TEST(flapping_while_it_bakes_adds_up)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.strategy = (struct strategy_config){.bake_min = 5};
    o.has_breaker = false;
    st = story_new(&o);
    for (int i = 1; i <= 3; i++) {
        clock_at(st, i * 40000);
        story_running(st, i);
        story_healthy(st, i);
        clock_at(st, i * 40000 + 20000);
        story_unhealthy(st, i);
    }
    clock_at(st, 159999);
    CHECK(!service_primary(story_service(st))->is_failed);
    clock_at(st, 160000);
    CHECK(service_primary(story_service(st))->is_failed); /* thrice 20 s without a healthy one */
}

TEST(the_time_that_naru_was_away_is_not_the_deployments)
{
    cleanup_story struct story *st = updating(&one);

    story_at(st, 20000);
    story_machine(st, &machine, false);
    story_machine(st, &machine, true); /* 20 s are spent, and written */
    story_at(st, 500000);
    story_restart(st);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 539999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 540000);
    CHECK(went_back(st));
}

TEST(naru_that_stood_still_hears_first_what_happened_meanwhile)
{
    cleanup_story struct story *st = updating(&one);

    story_at(st, 600000); /* 570 s late */
    story_clock(st);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    story_running(st, 2);
    story_healthy(st, 2);
    story_drained(st, 1);
    CHECK_EQ(status(st), SD_SUCCESSFUL);
}

TEST(naru_that_stood_still_counts_what_it_saw)
{
    cleanup_story struct story *st = updating(&one);

    story_at(st, 600000); /* it had asked to be woken at 30000 */
    story_clock(st);
    clock_at(st, 629999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 630000);
    CHECK(went_back(st));
}

/* Of five seconds it is there for two: the 60 s are over when it was there for so long, and for the moment that reports
 * take. */
TEST(naru_that_stands_still_again_and_again_puts_nothing_off_for_ever)
{
    cleanup_story struct story *st = updating(&one);
    int times = 0;

    story_at(st, 1000);
    story_running(st, 2);
    for (int64_t at_ms = 2000; times < 100 && status(st) == SD_IN_PROGRESS; times++, at_ms += 5000) {
        clock_at(st, at_ms);
        story_at(st, at_ms + 3000);
        stood_still(st, 3000);
        story_heard(st);
    }
    CHECK(went_back(st));
    CHECK(times >= 30 && times <= 34);
}

TEST(orders_that_went_out_late_get_their_time)
{
    static const struct event late = {.type = EVENT_ORDERS_LATE};
    cleanup_story struct story *st = updating(&one);

    story_at(st, 59000);
    story_tell(st, &late, "late");
    clock_at(st, 118999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 119000);
    CHECK(went_back(st));
}

/* ---- whose deadline ---- */

TEST(a_rolling_update_ends_within_a_day_if_nothing_is_said)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.has_breaker = false;
    o.tags = NULL;
    st = updating(&o);
    story_running(st, 2); /* and hangs */
    clock_at(st, 86399999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 86400000);
    CHECK_EQ(status(st), SD_STOPPED);
}

TEST(a_deadline_of_0_is_none_as_in_ecs)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.has_breaker = false;
    o.tags = "[{\"key\":\"naru:progressDeadlineSeconds\",\"value\":\"0\"}]";
    st = updating(&o);
    story_running(st, 2);
    clock_at(st, 90000000); /* if nothing is said, a day is what a deployment gets */
    CHECK_EQ(status(st), SD_IN_PROGRESS);
}

TEST(a_tag_counts_at_once_and_its_removal_too)
{
    cleanup_story struct story *st = updating(&one);

    clock_at(st, 59000);
    story_tag(st, "[]");
    clock_at(st, 70000);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    story_tag(st, DEADLINE);
    CHECK(went_back(st));
}

TEST(who_has_no_time_left_has_a_moment_all_the_same)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.tags = "[]"; /* a day */
    o.strategy = (struct strategy_config){.bake_min = 600};
    st = story_new(&o);
    clock_at(st, 100000);
    story_run_and_heal(st, 1, 1);
    clock_at(st, 200000);
    story_unhealthy(st, 1);
    clock_at(st, 300000);
    story_run_and_heal(st, 2, 2);
    story_tag(st, DEADLINE);
    clock_at(st, 400000);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    story_unhealthy(st, 2);
    CHECK_EQ(status(st), SD_IN_PROGRESS); /* its replacement has just been started */
    clock_at(st, 401000);
    CHECK(service_primary(story_service(st))->is_failed);
}

TEST(a_new_deployment_has_the_whole_time)
{
    cleanup_story struct story *st = updating(&one);

    clock_at(st, 50000);
    story_update(st, 3);
    clock_at(st, 109999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 110000);
    CHECK(went_back(st));
}

/* ---- where traffic is moved ---- */

static const struct story_options green = {
    .desired_count = 1,
    .minimum_healthy_percent = 100,
    .maximum_percent = 200,
    .has_load_balancer = true,
    .has_breaker = true,
    .rolls_back = true,
    .tags = DEADLINE,
    .strategy = {.strategy = STRATEGY_BLUE_GREEN, .bake_min = 10}};

TEST(a_green_fleet_that_does_not_come_up_is_rolled_back_at_its_deadline)
{
    struct story_options o = green;
    cleanup_story struct story *st = NULL;

    st = story_new(&o);
    story_run_and_heal(st, 1, 1);
    story_in_force(st);
    clock_at(st, 600000);
    CHECK_EQ(status(st), SD_SUCCESSFUL);
    story_update(st, 2);
    story_running(st, 2);
    clock_at(st, 659999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 660000);
    CHECK(went_back(st));
}

TEST(bake_times_are_no_lack_of_progress)
{
    struct story_options o = green;
    cleanup_story struct story *st = NULL;

    st = story_new(&o);
    story_run_and_heal(st, 1, 1);
    story_in_force(st);
    clock_at(st, 600000);
    story_update(st, 2);
    story_run_and_heal(st, 2, 2);
    story_in_force(st);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    clock_at(st, 600000 + 500000);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    story_stopped(st, 2, 1); /* but that the fleet is not whole again for so long is */
    clock_at(st, 600000 + 559999);
    CHECK_EQ(status(st), SD_IN_PROGRESS);
    clock_at(st, 600000 + 560000);
    CHECK(went_back(st));
}
