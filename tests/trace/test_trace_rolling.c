/* SPDX-License-Identifier: MIT */
#include "story.h"

static const struct story_options two = {.desired_count = 2, STORY_USUAL};

static struct story *
two_running(void)
{
    struct story *st = story_new(&two);

    story_at(st, 1000);
    story_run_and_heal(st, 1, 2);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
    return st;
}

TEST(a_new_service_starts_its_tasks_and_completes)
{
    cleanup_story struct story *st = story_new(&two);

    CHECK_TRACE(st, "0 create | start t1 start t2\n");
    story_at(st, 300);
    story_running(st, 1);
    story_running(st, 2);
    story_healthy(st, 1);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_IN_PROGRESS);
    story_healthy(st, 2);
    CHECK_TRACE(st, "300 running t1 | register t1\n"
                    "300 running t2 | register t2\n"
                    "300 healthy t1 | -\n"
                    "300 healthy t2 | -\n");
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    CHECK(story_has_event(st, "(service web) has started 2 tasks: (task "));
    CHECK(story_has_event(st, "(service web) has reached a steady state."));
    CHECK(story_has_event(st, " deployment completed."));
}

TEST(a_rolling_update_stops_an_old_task_only_for_a_healthy_new_one)
{
    cleanup_story struct story *st = two_running();

    story_at(st, 2000);
    story_update(st, 2);
    story_at(st, 2300);
    story_running(st, 3);
    story_running(st, 4);
    story_at(st, 2400);
    story_healthy(st, 4);
    CHECK_TRACE(st, "2000 update web:2 | start t3 start t4\n"
                    "2300 running t3 | register t3\n"
                    "2300 running t4 | register t4\n"
                    "2400 healthy t4 | deregister t2\n");
    story_healthy(st, 3);
    story_drained(st, 2); /* only now is it signalled */
    story_stopped(st, 2, 143);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_IN_PROGRESS);
    story_drained(st, 1);
    CHECK_TRACE(st, "2400 healthy t3 | deregister t1\n"
                    "2400 drained t2 | stop t2\n"
                    "2400 stopped t2 | forget t2\n"
                    "2400 drained t1 | stop t1\n");
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
    CHECK_TEXT(story_task(st, 1)->stopped_reason + 0, story_task(st, 2)->stopped_reason);
    CHECK_EQ(story_task(st, 1)->stop_code, STOP_ServiceSchedulerInitiated);
    CHECK(story_has_event(st, "has begun draining connections on 1 tasks."));
    CHECK(story_has_event(st, "(service web) has stopped 1 running tasks: (task "));
    CHECK(story_has_event(st, "(service web) deregistered 1 targets in (target-group arn:"));
}

TEST(failing_health_checks_trip_the_breaker_and_roll_back)
{
    cleanup_story struct story *st = two_running();
    const struct service *s;

    story_update(st, 2);
    for (int i = 3; i <= 4; i++)
        story_running(st, i);
    strbuf_clear(&st->trace);
    story_unhealthy(st, 3); /* failure 1: out of traffic and replaced at once */
    story_unhealthy(st, 4);
    CHECK_TRACE(st, "1000 unhealthy t3 | deregister t3 start t5\n"
                    "1000 unhealthy t4 | deregister t4 start t6\n");
    story_running(st, 5);
    strbuf_clear(&st->trace);
    story_unhealthy(st, 5);
    CHECK_TRACE(st, "1000 unhealthy t5 | deregister t5 stop t6\n");
    s = story_service(st);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_IN_PROGRESS);
    CHECK_EQ(service_current(s)->breaker_status, BREAKER_TRIGGERED);
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[0]);
    CHECK(strstr(service_primary(s)->rollout_reason,
                 "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/") != NULL);
    CHECK(story_has_event(st, "deployment failed: tasks failed to start."));
    CHECK(story_has_event(st, "rolling back to deployment ecs-svc/"));
    for (int i = 3; i <= 5; i++)
        story_drained(st, i);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL);
    CHECK_EQ(service_primary(s)->rollout_state, ROLLOUT_COMPLETED);
    CHECK(task_is_wanted(story_task(st, 1)) && task_is_wanted(story_task(st, 2)));
}

TEST(a_crash_at_start_rolls_back_within_seconds)
{
    cleanup_story struct story *st = two_running();
    const struct service *s = story_service(st);

    story_at(st, 2000);
    story_update(st, 2);
    for (int i = 3; i <= 5; i++) {
        story_at(st, 2000 + 300 * i);
        story_running(st, i);
        story_stopped(st, i, 1); /* ran, never healthy: counts */
    }
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL); /* the old ones still ran */
    CHECK_EQ(st->now_ms - st->start_ms, 3500);
    CHECK(task_is_wanted(story_task(st, 1)) && task_is_wanted(story_task(st, 2)));
}

TEST(lost_by_the_runtime_is_nobodys_failure)
{
    cleanup_story struct story *st = two_running();
    const struct service *s = story_service(st);

    story_update(st, 2);
    for (int i = 3; i <= 12; i++) {
        story_lost(st, i);
        story_at(st, 1000 + 120000 * i);
        story_clock(st);
    }
    CHECK_EQ(service_current(s)->status, SD_IN_PROGRESS);
    CHECK_EQ(service_current(s)->breaker_failures, 0);
}

TEST(a_second_update_replaces_the_unfinished_first)
{
    cleanup_story struct story *st = two_running();
    const struct service *s = story_service(st);

    story_update(st, 2);
    story_running(st, 3);
    strbuf_clear(&st->trace);
    story_update(st, 3);
    /* Neither helps any more: they make room for the newest revision. */
    CHECK_TRACE(st, "1000 update web:3 | stop t4 deregister t3 start t5 start t6\n");
    CHECK_EQ(s->history->next->status, SD_STOPPED);
    story_running(st, 5);
    story_healthy(st, 5);
    story_stopped(st, 4, 0);
    CHECK_EQ(service_current(s)->status, SD_IN_PROGRESS);
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[2]);
}

TEST(a_changed_desired_count_counts_at_once)
{
    cleanup_story struct story *st = two_running();
    const struct service *s = story_service(st);

    story_update(st, 2);
    strbuf_clear(&st->trace);
    story_desired(st, 3); /* both revisions grow (Nov 2025) */
    CHECK_TRACE(st, "1000 desired 3 | start t5 start t6\n");
    CHECK_EQ(core_counts(st->core, s, NULL).desired_running, 6);
    story_desired(st, 1);
    CHECK_EQ(service_primary(s)->desired_count, 1);
    CHECK_EQ(core_counts(st->core, s, service_primary(s)).desired_running, 1);
}

TEST(a_dead_task_is_replaced_and_deregistered_after_the_fact)
{
    cleanup_story struct story *st = two_running();

    story_stopped(st, 1, 1);
    CHECK_TRACE(st, "1000 stopped t1 | deregister t1 start t3\n");
    CHECK_EQ(story_task(st, 1)->stop_code, STOP_EssentialContainerExited);
    CHECK_TEXT(story_task(st, 1)->stopped_reason, "Essential container in task exited");
    story_drained(st, 1);
    CHECK_TRACE(st, "1000 drained t1 | forget t1\n");
}

TEST(an_unhealthy_task_goes_once_its_replacement_is_healthy)
{
    cleanup_story struct story *st = two_running();

    story_unhealthy(st, 1);
    story_running(st, 3);
    CHECK_TRACE(st, "1000 unhealthy t1 | start t3\n"
                    "1000 running t3 | register t3\n");
    story_healthy(st, 3);
    CHECK_TRACE(st, "1000 healthy t3 | deregister t1\n");
    CHECK(strncmp(story_task(st, 1)->stopped_reason,
                  "Task failed ELB health checks in (target-group", 46) == 0);
    CHECK(story_has_event(st, "Amazon ECS replaced 1 tasks due to an unhealthy status."));
    CHECK(story_has_event(st, "due to (reason Health checks failed with these codes: [500])"));
}

TEST(a_stopped_task_drains_first_and_the_first_cause_wins)
{
    cleanup_story struct story *st = two_running();

    story_stop_task(st, 1);
    story_stop_task(st, 1);
    CHECK_TRACE(st, "1000 stop-task t1 | deregister t1 start t3\n"
                    "1000 stop-task t1 | -\n");
    CHECK_TEXT(story_task(st, 1)->stopped_reason, "because");
    CHECK_EQ(story_task(st, 1)->last_status, TASK_DEACTIVATING);
    story_at(st, 20000); /* no word from the balancer: asked again */
    story_clock(st);
    CHECK_TRACE(st, "20000 clock | deregister t1\n");
    story_at(st, 131000); /* its delay of 60 s and 70 s more are over */
    story_clock(st);
    CHECK_TRACE(st, "131000 clock | start t3 adopt t2 register t2 stop t1\n");
}

/* Commits failed for minutes, so that the balancer hears of it only now. */
TEST(a_drain_that_was_ordered_late_has_its_whole_time)
{
    const struct event late = {.type = EVENT_ORDERS_LATE};
    cleanup_story struct story *st = two_running();

    story_stop_task(st, 1);
    strbuf_clear(&st->trace);
    story_at(st, 500000);
    story_tell(st, &late, "late");
    CHECK_TRACE(st, "500000 late | start t3 adopt t2 register t2 deregister t1\n"); /* no stop */
    CHECK_EQ(story_task(st, 1)->last_status, TASK_DEACTIVATING);
    story_at(st, 500000 + 129000);
    story_clock(st);
    CHECK_EQ(story_task(st, 1)->last_status, TASK_DEACTIVATING);
    story_at(st, 500000 + 130000);
    story_clock(st);
    CHECK_EQ(story_task(st, 1)->last_status, TASK_STOPPING);
}

TEST(a_restart_in_the_middle_changes_nothing)
{
    cleanup_story struct story *st = two_running();
    const struct service *s;
    char primary[ID_SIZE];

    story_update(st, 2);
    story_running(st, 3);
    story_healthy(st, 3);
    text_copy(primary, sizeof(primary), str_of(service_primary(story_service(st))->id));
    strbuf_clear(&st->trace);
    story_at(st, 5000);
    story_restart(st);
    CHECK_TRACE(st, "5000 restart | deregister t2 register t3 adopt t3 start t4 register t1 adopt "
                    "t1\n");
    s = story_service(st);
    CHECK_TEXT(service_primary(s)->id, primary);
    story_running(st, 4);
    story_healthy(st, 4);
    story_drained(st, 2);
    story_drained(st, 1);
    CHECK_TRACE(st, "5000 running t4 | register t4\n"
                    "5000 healthy t4 | deregister t1\n"
                    "5000 drained t2 | stop t2\n"
                    "5000 drained t1 | stop t1\n");
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
}

TEST(after_a_restart_what_goes_is_ordered_before_what_comes)
{
    const struct story_options o = {
        .desired_count = 1, .maximum_percent = 100, .has_load_balancer = true};
    cleanup_story struct story *st = story_new(&o);

    story_run_and_heal(st, 1, 1);
    story_update(st, 2);
    CHECK_TRACE(st, "0 update web:2 | deregister t1 start t2\n");
    story_at(st, 100); /* nothing of that was done: naru died after the commit */
    story_restart(st);
    CHECK_TRACE(st, "100 restart | deregister t1 start t2\n");
}

TEST(a_report_about_an_earlier_registration_says_nothing)
{
    cleanup_story struct story *st = two_running();
    const int64_t before = story_registration(st, 1);
    int port;

    story_stopped(st, 1, 1);
    port = story_task(st, 1)->targets[0].port;
    story_drained(st, 1);
    CHECK(story_task(st, 1)->targets[0].is_registered == false);
    st->next_port = port; /* Docker gives it to the next one */
    story_running(st, 3);
    story_stop_task(st, 3);
    CHECK_EQ(story_task(st, 3)->targets[0].port, port);
    CHECK(story_registration(st, 3) > before);
    strbuf_clear(&st->trace);
    story_drained_of(st, 3, before); /* said twice, and late */
    CHECK_TRACE(st, "1000 drained t3 | -\n");
    story_drained(st, 3);
    CHECK_TRACE(st, "1000 drained t3 | stop t3\n");
}

TEST(an_operator_can_go_back)
{
    cleanup_story struct story *st = two_running();
    const struct service *s = story_service(st);

    story_update(st, 2);
    story_run_and_heal(st, 3, 4);
    story_drained(st, 1);
    story_drained(st, 2);
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
    strbuf_clear(&st->trace);
    story_rollback(st);
    CHECK_TRACE(st, "1000 rollback | start t5 start t6\n");
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[0]);
    CHECK_EQ(service_current(s)->status, SD_IN_PROGRESS);
    story_run_and_heal(st, 5, 6);
    story_drained(st, 3);
    story_drained(st, 4);
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
    CHECK(core_rollback_target(st->core, s) == NULL); /* not forward again */
}

/* Rolls over to another definition, to its end. */
static void
replace_by(struct story *st, int definition, int old, int new)
{
    story_update(st, definition);
    story_run_and_heal(st, new, new + 1);
    for (int i = old; i < old + 2; i++) {
        story_drained(st, i);
        story_stopped(st, i, 0);
    }
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
}

/* Users' pain 5 of ecs.md 11: to any that was completed, and forward again. */
TEST(an_operator_can_go_back_to_any_completed_deployment)
{
    cleanup_story struct story *st = two_running();
    const struct service *s = story_service(st);
    char first[ID_SIZE], third[ID_SIZE], failed[ID_SIZE];

    text_copy(first, sizeof(first), str_of(service_primary(s)->id));
    replace_by(st, 2, 1, 3);
    story_update(st, 1); /* this one is not completed */
    text_copy(failed, sizeof(failed), str_of(service_primary(s)->id));
    CHECK(!core_can_return_to(st->core, s, service_primary(s)));
    story_update(st, 3);
    CHECK(!core_can_return_to(st->core, s, service_find_deployment(s, failed)));
    strbuf_clear(&st->trace);
    story_rollback_to(st, failed);
    CHECK_TRACE(st, "1000 rollback | -\n");
    text_copy(third, sizeof(third), str_of(service_primary(s)->id));
    story_rollback_to(st, first); /* past the last completed one, while another is under way */
    CHECK_TEXT(service_primary(s)->id, first);
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[0]);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_IN_PROGRESS);
    CHECK(!core_can_return_to(st->core, s, service_find_deployment(s, third)));
    for (int i = 5; i <= 8; i++) /* of those that were under way */
        story_stopped(st, i, 0);
    story_run_and_heal(st, 9, 10);
    for (int i = 3; i <= 4; i++) {
        story_drained(st, i);
        story_stopped(st, i, 0);
    }
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL);
    CHECK(story_has_event(st, "rolling back to deployment"));
}

/* However often something failed in between, and though nothing of it runs any more. */
TEST(the_deployment_to_return_to_is_kept)
{
    struct story_options o = two;
    cleanup_story struct story *st = NULL;
    const struct service *s;
    char first[ID_SIZE];
    int count = 0, old;

    o.strategy.bake_min = 1;
    st = story_new(&o);
    s = story_service(st);
    story_run_and_heal(st, 1, 2);
    story_at(st, 60000);
    story_clock(st);
    text_copy(first, sizeof(first), str_of(service_primary(s)->id));
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
    for (int i = 0; i < 30; i++) { /* each is superseded */
        old = st->task_count;
        story_update(st, 3);
        for (int t = old + 1; t <= st->task_count; t++)
            story_stopped(st, t, 0);
    }
    old = st->task_count;
    story_update(st, 2);
    story_run_and_heal(st, old + 1, st->task_count);
    for (int t = 1; t <= 2; t++) {
        story_drained(st, t);
        story_stopped(st, t, 0);
    }
    CHECK_EQ(service_current(s)->status, SD_IN_PROGRESS); /* it bakes */
    story_at(st, 120000);
    story_clock(st);
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
        count++;
    CHECK(count < 30);
    CHECK(core_rollback_target(st->core, s) != NULL);
    CHECK_TEXT(core_rollback_target(st->core, s)->id, first);
}

TEST(a_deleted_service_drains_and_ends)
{
    cleanup_story struct story *st = two_running();
    struct event ev = {.type = EVENT_SERVICE_DELETE};

    ev.service_delete.service_arn = st->service;
    story_tell(st, &ev, "delete");
    CHECK_EQ(story_service(st)->status, SERVICE_DRAINING);
    story_drained(st, 1);
    story_drained(st, 2);
    CHECK_TRACE(st, "1000 delete | deregister t2 deregister t1\n"
                    "1000 drained t1 | stop t1\n"
                    "1000 drained t2 | stop t2\n");
    CHECK_EQ(story_service(st)->status, SERVICE_INACTIVE);
    CHECK(service_primary(story_service(st)) == NULL);
}

TEST(a_first_deployment_that_fails_has_nowhere_to_go)
{
    cleanup_story struct story *st = story_new(&two);
    const struct service *s = story_service(st);

    for (int i = 1; i <= 3; i++)
        story_failed_to_start(st, i);
    CHECK_EQ(service_primary(s)->rollout_state, ROLLOUT_FAILED);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_FAILED);
    strbuf_clear(&st->trace);
    story_failed_to_start(st, 4);
    CHECK_TRACE(st, "0 failed t4 | forget t4\n");
}

TEST(an_image_is_resolved_once_before_the_first_task)
{
    const struct story_options o = {.desired_count = 1,
                                    .minimum_healthy_percent = 100,
                                    .maximum_percent = 200,
                                    .keeps_unresolved = true};
    cleanup_story struct story *st = story_new(&o);
    char digest[DIGEST_SIZE];

    snprintf(digest, sizeof(digest), "sha256:%064d", 7);
    story_resolved(st, digest, NULL);
    story_resolved(st, "sha256:other", NULL); /* late: the first answer holds */
    CHECK_TRACE(st, "0 create | resolve\n"
                    "0 resolved | start t1\n"
                    "0 resolved | -\n");
    CHECK(strstr(story_task(st, 1)->containers[0].image, digest) != NULL);
}

TEST(an_image_that_cannot_be_resolved_fails_with_the_breaker_and_goes_on_without)
{
    struct story_options o = two;

    o.keeps_unresolved = true;
    for (int with_breaker = 0; with_breaker < 2; with_breaker++) {
        cleanup_story struct story *st = NULL;
        o.has_breaker = with_breaker;
        st = story_new(&o);
        for (int i = 0; i < 3; i++) {
            story_at(st, i * 5000);
            story_clock(st);
            story_resolved(st, NULL, "no such image");
        }
        CHECK_EQ(service_primary(story_service(st))->rollout_state,
                 with_breaker ? ROLLOUT_FAILED : ROLLOUT_IN_PROGRESS);
        CHECK_EQ(core_counts(st->core, story_service(st), NULL).desired_running,
                 with_breaker ? 0 : 2);
    }
}

/* Restarted in place (restartPolicy), a container with a dynamic host port gets another one. */
TEST(a_target_follows_its_container_to_another_port)
{
    cleanup_story struct story *st = story_new(&two);

    story_run_and_heal(st, 1, 2);
    strbuf_clear(&st->trace);
    story_moved(st, 1);
    story_moved(st, 1); /* told again meanwhile, and moved again: the drain goes first */
    story_drained(st, 1);
    CHECK_EQ(story_task(st, 1)->targets[0].port, 32771);
    story_healthy(st, 1);
    story_running(st, 1); /* where it is registered: nothing to do */
    CHECK_TRACE(st, "0 moved t1 | deregister t1\n"
                    "0 moved t1 | -\n"
                    "0 drained t1 | register t1\n"
                    "0 healthy t1 | -\n"
                    "0 running t1 | -\n");
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).healthy, 2);
}
