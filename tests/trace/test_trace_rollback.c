/* SPDX-License-Identifier: MIT */
/* Who decides that a deployment is over, and what is restored. */
#include "story.h"

static const struct story_options one = {.desired_count = 1, STORY_USUAL};

TEST(a_deployment_can_be_stopped_without_a_breaker)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    const struct service *s;

    o.has_breaker = false;
    st = story_new_running(&o, 1);
    s = story_service(st);
    story_update(st, 2);
    strbuf_clear(&st->trace);
    story_stop_deployment(st, true);
    CHECK_TRACE(st, "0 stop ROLLBACK | stop t2\n");
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL); /* the old task still ran */
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[0]);
    CHECK_EQ(s->history->breaker_status, BREAKER_DISABLED);
    CHECK_EQ(core_counts(st->core, s, NULL).healthy, 1);
}

TEST(an_aborted_deployment_freezes_as_it_is)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    const struct service *s = story_service(st);

    story_update(st, 2);
    story_running(st, 2);
    strbuf_clear(&st->trace);
    story_stop_deployment(st, false);
    story_healthy(st, 2);
    CHECK_TRACE(st, "0 stop ABORT | -\n"
                    "0 healthy t2 | -\n");
    CHECK_EQ(service_current(s)->status, SD_STOPPED);
    CHECK_EQ(service_primary(s)->rollout_state, ROLLOUT_FAILED);
    story_stopped(st, 2, 1); /* not started again */
    story_stopped(st, 1, 1); /* the old revision keeps what it had */
    CHECK_TRACE(st, "0 stopped t2 | deregister t2\n"
                    "0 stopped t1 | deregister t1 start t3\n");
    CHECK_TEXT(story_task(st, 3)->task_definition_arn, st->definitions[0]);
    story_rollback(st); /* the way out */
    CHECK_EQ(service_current(s)->status, SD_IN_PROGRESS);
    story_run_and_heal(st, 3, 3);
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
}

TEST(without_rollback_a_failed_deployment_stays_and_the_old_one_runs_on)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    const struct service *s;

    o.rolls_back = false;
    st = story_new_running(&o, 1);
    s = story_service(st);
    story_update(st, 2);
    for (int i = 2; i <= 4; i++)
        story_failed_to_start(st, i);
    CHECK_EQ(service_primary(s)->rollout_state, ROLLOUT_FAILED);
    CHECK_TEXT(service_primary(s)->rollout_reason,
               "ECS deployment circuit breaker: tasks failed to start.");
    CHECK_EQ(service_current(s)->status, SD_STOPPED);
    CHECK_EQ(service_current(s)->breaker_status, BREAKER_TRIGGERED);
    CHECK_EQ(service_current(s)->breaker_failures, 3);
    CHECK(task_is_wanted(story_task(st, 1)));
    CHECK_EQ(core_counts(st->core, s, NULL).desired_running, 1);
}

TEST(what_was_restored_and_fails_too_is_not_rolled_back_again)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    const struct service *s = story_service(st);

    story_update(st, 2);
    story_stopped(st, 1, 1); /* the old one dies in the middle and is replaced by its own kind */
    CHECK_TEXT(story_task(st, 3)->task_definition_arn, st->definitions[0]);
    story_failed_to_start(st, 2);
    story_failed_to_start(st, 4);
    story_failed_to_start(st, 5);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_IN_PROGRESS);
    for (int i = 3; i <= 7; i++) {
        if (i == 4 || i == 5)
            continue;
        story_failed_to_start(st, i);
    }
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_FAILED);
    CHECK_EQ(service_primary(s)->rollout_state, ROLLOUT_FAILED);
    CHECK_EQ(core_counts(st->core, s, NULL).desired_running, 0);
    story_update(st, 3); /* an operator decides */
    CHECK_EQ(core_counts(st->core, s, NULL).desired_running, 1);
}

TEST(an_update_during_a_rollback_starts_a_new_deployment)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    const struct service *s = story_service(st);

    story_update(st, 2);
    story_running(st, 2);
    story_healthy(st, 2); /* t1 is drained now */
    story_drained(st, 1);
    story_run_and_heal(st, 2, 2);
    story_update(st, 3);
    for (int i = 3; i <= 5; i++) {
        story_running(st, i);
        story_stopped(st, i, 1);
    }
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL);
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[1]);
    story_update(st, 4);
    CHECK_EQ(service_current(s)->status, SD_IN_PROGRESS);
    CHECK_EQ(s->deployments->failed_tasks, 0);
}

TEST(failures_add_up_only_if_no_task_gets_healthy_or_nobody_resets)
{
    for (int resets = 0; resets < 2; resets++) {
        struct story_options o = one;
        cleanup_story struct story *st = NULL;
        const struct service *s;
        o.desired_count = 2;
        o.no_reset = !resets;
        st = story_new(&o);
        s = story_service(st);
        story_failed_to_start(st, 1);
        story_failed_to_start(st, 2);
        story_running(st, 3);
        story_healthy(st, 3);
        CHECK_EQ(service_current(s)->breaker_failures, resets ? 0 : 2);
        story_failed_to_start(st, 4);
        CHECK_EQ(service_primary(s)->rollout_state, resets ? ROLLOUT_IN_PROGRESS : ROLLOUT_FAILED);
    }
}

TEST(without_any_check_a_task_is_healthy_after_40_seconds)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.has_load_balancer = false;
    st = story_new(&o);
    story_at(st, 1000);
    story_running(st, 1);
    CHECK_EQ(core_deadline_ms(st->core), st->start_ms + 31000); /* asked for its state before */
    story_at(st, 40999);
    story_clock(st);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_IN_PROGRESS);
    CHECK_EQ(core_deadline_ms(st->core), st->start_ms + 41000);
    story_at(st, 41000);
    story_clock(st);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
}

TEST(bad_health_counts_only_after_the_grace_period)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    struct event ev = {.type = EVENT_SERVICE_UPDATE};
    const struct service *s = story_service(st);

    ev.service_update.service_arn = st->service;
    ev.service_update.desired_count = -1;
    ev.service_update.launch_type = -1;
    ev.service_update.health_check_grace_s = 30;
    story_tell(st, &ev, "grace 30");
    story_update(st, 2);
    story_running(st, 2);
    story_unhealthy(st, 2);
    CHECK_EQ(service_current(s)->breaker_failures, 0);
    story_at(st, 29999);
    story_clock(st);
    CHECK_EQ(service_current(s)->breaker_failures, 0);
    story_at(st, 30000);
    strbuf_clear(&st->trace);
    story_clock(st);
    CHECK_EQ(service_current(s)->breaker_failures, 1);
    CHECK(strstr(strbuf_cstr(&st->trace), "deregister t2 start t3") != NULL);
}

TEST(a_task_without_a_place_waits_and_says_why)
{
    cleanup_story struct story *st = story_new_running(&one, 1);

    story_host(st, 15, true); /* room for one task of 10 units */
    strbuf_clear(&st->trace);
    story_desired(st, 2);
    CHECK_TRACE(st, "0 desired 2 | -\n");
    CHECK(story_has_event(st, "(service web) was unable to place a task because no container "
                              "instance met all of its requirements. The closest matching "
                              "(container-instance "));
    CHECK(story_has_event(st, "has insufficient CPU units available."));
    story_host(st, 20, true);
    CHECK_TRACE(st, "0 host | start t2\n");
    story_host(st, 30, false);
    story_desired(st, 3);
    CHECK(story_has_event(st, "doesn't have the agent connected."));
    strbuf_clear(&st->trace);
    story_at(st, 1000);
    story_host(st, 30, true); /* and the tasks are asked for: what died meanwhile went unsaid */
    story_heard(st);
    CHECK_TRACE(st, "1000 host | start t2 adopt t1 register t1\n"
                    "1000 heard | start t3\n");
}

TEST(without_a_breaker_failing_launches_slow_down)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    static const int due_s[] = {0, 10, 40, 100, 220};
    const struct service *s;

    o.has_breaker = false;
    st = story_new(&o);
    s = story_service(st);
    for (int i = 0; i < 4; i++) {
        story_failed_to_start(st, st->task_count);
        if (i > 0)
            CHECK_EQ(s->launches.after_ms - st->start_ms, due_s[i] * 1000);
        story_at(st, due_s[i] * 1000);
        story_clock(st);
    }
    CHECK(story_has_event(st, "(service web) is unable to consistently start tasks successfully."));
    CHECK_EQ(service_primary(s)->rollout_state, ROLLOUT_IN_PROGRESS);
    story_update(st, 2); /* any update resets it */
    CHECK_EQ(s->launches.start_failures, 0);
}

TEST(a_standalone_task_runs_and_is_stopped)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    struct event ev = {.type = EVENT_TASK_RUN};

    ev.task_run.cluster_arn = st->cluster;
    ev.task_run.task_definition_arn = st->definitions[0];
    ev.task_run.count = 2;
    ev.task_run.started_by = "me";
    story_tell(st, &ev, "run");
    CHECK_EQ(st->core->created_count, 2);
    CHECK_TRACE(st, "0 run | start t2 start t3\n");
    CHECK_TEXT(story_task(st, 2)->group, "family:web");
    story_running(st, 2);
    story_stop_task(st, 2);
    story_stopped(st, 3, 0);
    CHECK_TRACE(st, "0 running t2 | -\n"
                    "0 stop-task t2 | stop t2\n"
                    "0 stopped t3 | forget t3\n");
    CHECK_EQ(story_task(st, 3)->stop_code, STOP_EssentialContainerExited); /* too short to be seen */
    story_at(st, 60000); /* no word from the agent: 30 s of stopTimeout and 30 more are over */
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "stop t2") != NULL);
    story_stopped(st, 2, 143);
    CHECK_EQ(story_task(st, 2)->last_status, TASK_STOPPED);
    CHECK_TEXT(story_task(st, 2)->stopped_reason, "because");
    story_restart(st);
    CHECK_EQ(story_task(st, 2)->last_status, TASK_STOPPED);
}

TEST(late_and_repeated_reports_change_nothing)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    int version;

    story_stop_task(st, 1);
    story_drained(st, 1);
    story_stopped(st, 1, 143);
    version = story_task(st, 1)->version;
    strbuf_clear(&st->trace);
    story_running(st, 1);
    story_stopped(st, 1, 0);
    story_healthy(st, 1);
    story_drained(st, 1);
    CHECK_TRACE(st, "0 running t1 | -\n"
                    "0 stopped t1 | -\n"
                    "0 healthy t1 | -\n"
                    "0 drained t1 | -\n");
    CHECK_EQ(story_task(st, 1)->version, version);
    CHECK_EQ(story_task(st, 1)->last_status, TASK_STOPPED);
    CHECK_EQ(story_task(st, 1)->containers[0].exit_code, 143);
}
