/* SPDX-License-Identifier: MIT */
/* What fails, how it is counted, when it is tried again, and what is restored. */
#include "core/wait.h"
#include "story.h"

static const struct story_options one = {.desired_count = 1, STORY_USUAL};

/* Rolls the one task of the service over to `definition`; gives the number of the new task. */
static int
roll_over(struct story *st, int definition)
{
    const int old = st->task_count;

    story_update(st, definition);
    story_running(st, old + 1);
    story_healthy(st, old + 1);
    story_drained(st, old);
    story_stopped(st, old, 143);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
    strbuf_clear(&st->trace);
    return old + 1;
}

/* ---- what counts ---- */

TEST(a_task_fails_once_however_often_it_fails)
{
    cleanup_story struct story *st = story_new(&one);
    const struct service *s = story_service(st);

    story_running(st, 1);
    story_unhealthy(st, 1); /* nothing else runs, so it stays while its replacement starts */
    CHECK_EQ(service_current(s)->breaker_failures, 1);
    CHECK(task_is_wanted(story_task(st, 1)));
    story_stopped(st, 1, 1);
    CHECK_EQ(service_current(s)->breaker_failures, 1);
    CHECK_EQ(service_primary(s)->failed_tasks, 1);
}

TEST(what_happens_to_the_old_revision_is_not_the_new_ones_failure)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    const struct service *s;

    o.no_reset = true;
    st = story_new_running(&o, 1);
    s = story_service(st);
    story_update(st, 2);
    story_stopped(st, 1, 1);         /* replaced by its own kind: t3 */
    story_failed_to_start(st, 3);    /* and that one does not start any more */
    CHECK_EQ(service_current(s)->breaker_failures, 0);
    CHECK_EQ(service_primary(s)->failed_tasks, 0);
    CHECK_EQ(service_primary(s)->next->desired_count, 0); /* the new revision is the way on */
    story_failed_to_start(st, 2);
    CHECK_EQ(service_current(s)->breaker_failures, 1);
}

TEST(what_happens_to_a_superseded_revision_is_not_the_new_ones_failure)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    const struct service *s;

    o.no_reset = true;
    st = story_new_running(&o, 1);
    s = story_service(st);
    story_update(st, 2);
    story_running(st, 2);
    story_healthy(st, 2); /* t1 drains; not complete yet */
    story_update(st, 3);
    story_stopped(st, 2, 1);
    CHECK_EQ(service_current(s)->breaker_failures, 0);
}

TEST(an_exit_of_what_had_been_healthy_adds_up_only_if_nobody_resets)
{
    for (int resets = 0; resets < 2; resets++) {
        struct story_options o = one;
        cleanup_story struct story *st = NULL;
        o.desired_count = 2;
        o.no_reset = !resets;
        o.tags = "[{\"key\":\"naru:probationSeconds\",\"value\":\"0\"}]";
        st = story_new(&o);
        story_running(st, 1);
        story_healthy(st, 1);
        story_stopped(st, 1, 1);
        CHECK_EQ(service_current(story_service(st))->breaker_failures, resets ? 0 : 1);
    }
}

TEST(the_breaker_can_be_switched_off_and_on_under_way)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    struct deployment_config config = story_service(st)->config;
    struct event ev = {.type = EVENT_SERVICE_UPDATE};
    const struct service *s = story_service(st);

    ev.service_update = (struct ev_service_update){.service_arn = st->service, .desired_count = -1,
                                                   .health_check_grace_s = -1, .launch_type = -1,
                                                   .config = &config};
    story_update(st, 2);
    config.breaker.enable = false;
    story_tell(st, &ev, "breaker off");
    CHECK_EQ(service_current(s)->breaker_status, BREAKER_DISABLED);
    story_failed_to_start(st, 2);
    for (int i = 3; i <= 4; i++) {
        story_at(st, 100000 * i);
        story_clock(st);
        story_failed_to_start(st, i);
    }
    CHECK_EQ(service_primary(s)->rollout_state, ROLLOUT_IN_PROGRESS);
    config.breaker.enable = true; /* what failed meanwhile counts */
    story_tell(st, &ev, "breaker on");
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL);
    CHECK_EQ(service_current(s)->breaker_status, BREAKER_TRIGGERED);
}

/* ---- when it is tried again ---- */

TEST(a_batch_of_failures_is_one_step_of_the_back_off)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    const struct service *s;

    o.has_breaker = false;
    o.desired_count = 2;
    st = story_new(&o);
    s = story_service(st);
    story_failed_to_start(st, 1); /* step 0: again at once */
    story_failed_to_start(st, 2); /* 10 s */
    CHECK_EQ(s->launches.start_failures, 2);
    story_failed_to_start(st, 3); /* launched before that: the same batch */
    CHECK_EQ(s->launches.start_failures, 2);
    CHECK_EQ(s->launches.after_ms - st->start_ms, 10000);
}

TEST(one_good_start_ends_the_back_off)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    const struct service *s;

    o.has_breaker = false;
    o.desired_count = 2;
    st = story_new(&o);
    s = story_service(st);
    story_failed_to_start(st, 1);
    story_failed_to_start(st, 2);
    CHECK_EQ(s->launches.after_ms - st->start_ms, 10000);
    strbuf_clear(&st->trace);
    story_running(st, 3);
    CHECK_TRACE(st, "0 running t3 | register t3 start t4\n");
    CHECK_EQ(s->launches.start_failures, 0);
}

TEST(an_update_of_the_count_alone_ends_the_back_off)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.has_breaker = false;
    st = story_new(&o);
    story_failed_to_start(st, 1);
    story_failed_to_start(st, 2);
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).desired_running, 0);
    strbuf_clear(&st->trace);
    story_desired(st, 2);
    CHECK_TRACE(st, "0 desired 2 | start t3 start t4\n");
}

static const struct story_host machine = {"h", NULL, NULL, 4096, 8192};

/* A service without a breaker whose registry does not answer; it waits for the next try by now. */
static struct story *
waiting_for_the_registry(void)
{
    struct story_options o = one;
    struct story *st;

    o.has_breaker = false;
    st = story_new(&o);
    story_cannot_pull(st, 1);
    story_at(st, 1000);
    story_cannot_pull(st, 2);
    CHECK_EQ(story_service(st)->launches.after_ms - st->start_ms, 11000);
    strbuf_clear(&st->trace);
    return st;
}

TEST(a_host_that_comes_back_ends_the_wait_for_the_environment)
{
    cleanup_story struct story *st = waiting_for_the_registry();

    story_at(st, 2000);
    story_machine(st, &machine, true); /* it was not away: nothing changed */
    story_machine(st, &machine, false);
    story_at(st, 3000);
    story_machine(st, &machine, true);
    CHECK_TRACE(st, "2000 h connects | -\n"
                    "2000 h is lost | -\n"
                    "3000 h connects | start t3\n");
    story_cannot_pull(st, 3); /* the steps begin anew: at once, then 10 s */
    story_cannot_pull(st, 4);
    CHECK_EQ(story_service(st)->launches.after_ms - st->start_ms, 13000);
}

TEST(a_restart_ends_the_wait_for_the_environment_once_the_agent_speaks)
{
    cleanup_story struct story *st = waiting_for_the_registry();

    story_at(st, 2000);
    story_restart(st);
    strbuf_clear(&st->trace);
    CHECK(story_service(st)->environment_failed);
    story_machine(st, &machine, true);
    CHECK_TRACE(st, "2000 h connects | start t3\n");
    story_running(st, 3);
    CHECK(!story_service(st)->environment_failed);
}

TEST(a_host_that_comes_back_does_not_mend_an_application)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.has_breaker = false;
    st = story_new(&o);
    story_cannot_pull(st, 1);
    story_at(st, 1000);
    story_failed_to_start(st, 2); /* there is no such image */
    story_machine(st, &machine, false);
    strbuf_clear(&st->trace);
    story_machine(st, &machine, true);
    CHECK_TRACE(st, "1000 h connects | -\n");
    CHECK_EQ(story_service(st)->launches.after_ms - st->start_ms, 11000);
}

TEST(a_host_that_comes_back_ends_the_wait_for_the_runtime_and_forgets_no_loss)
{
    cleanup_story struct story *st = story_new(&one);

    for (int i = 1; i <= 4; i++) {
        story_lost(st, i);
        story_at(st, core_deadline_ms(st->core) - st->start_ms);
        story_clock(st);
    }
    story_lost(st, 5);
    CHECK_EQ(story_service(st)->infrastructure_after_ms - st->now_ms, 20000);
    story_machine(st, &machine, false);
    strbuf_clear(&st->trace);
    story_machine(st, &machine, true);
    CHECK_TRACE(st, "60000 h connects | start t6\n");
    story_lost(st, 6);
    CHECK_EQ(story_service(st)->infrastructure_after_ms - st->now_ms, 25000);
}

/* ---- what is said of it ---- */

TEST(who_asks_hears_why_nothing_runs_and_when_it_is_tried_again)
{
    cleanup_story struct story *st = waiting_for_the_registry();
    struct service_wait w = core_service_wait(st->core, story_service(st));

    CHECK_EQ(w.cause, WAIT_START_FAILURES);
    CHECK_EQ(w.missing, 1);
    CHECK_EQ(w.next_try_ms - st->start_ms, 11000);
    CHECK(w.ends_with_host);
    CHECK_TEXT(w.reason, "CannotPullContainerError: pull image manifest has been retried 5 time(s)");
    story_at(st, 11000);
    story_clock(st);
    CHECK_EQ(core_service_wait(st->core, story_service(st)).cause, WAIT_NOTHING); /* t3 is on its way */
    story_lost(st, 3);
    story_lost(st, 4);
    w = core_service_wait(st->core, story_service(st));
    CHECK_EQ(w.cause, WAIT_RUNTIME);
    CHECK_EQ(w.next_try_ms - st->start_ms, 16000);
    story_delete(st);
    CHECK_EQ(core_service_wait(st->core, story_service(st)).cause, WAIT_NOTHING);
}

TEST(every_cause_of_a_wait_has_its_name)
{
    struct story_options o = one;
    cleanup_story struct story *full = NULL, *unresolved = NULL, *failed = NULL, *crashing = NULL;

    full = story_new(&o);
    story_host(full, 1, true);
    story_desired(full, 5);
    CHECK_TEXT(wait_cause_name(core_service_wait(full->core, story_service(full)).cause), "PLACEMENT");
    o.keeps_unresolved = true;
    unresolved = story_new(&o);
    CHECK_TEXT(wait_cause_name(core_service_wait(unresolved->core, story_service(unresolved)).cause),
               "IMAGE");
    o.keeps_unresolved = false;
    failed = story_new(&o);
    for (int i = 1; i <= 3; i++)
        story_failed_to_start(failed, i);
    CHECK_TEXT(wait_cause_name(core_service_wait(failed->core, story_service(failed)).cause), "FAILED");
    CHECK_EQ(core_service_wait(failed->core, story_service(failed)).next_try_ms, 0);
    o.has_breaker = false;
    crashing = story_new(&o);
    for (int i = 1; i <= 4; i++) {
        story_running(crashing, i);
        story_stopped(crashing, i, 1);
    }
    CHECK_TEXT(wait_cause_name(core_service_wait(crashing->core, story_service(crashing)).cause),
               "CRASHES");
}

TEST(a_crash_loop_is_spaced_by_ten_seconds_after_the_third)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    const struct service *s;

    o.has_breaker = false;
    st = story_new(&o);
    s = story_service(st);
    for (int i = 1; i <= 3; i++) {
        story_running(st, i);
        story_stopped(st, i, 1);
        CHECK_EQ(s->launches.after_ms, 0);
    }
    story_running(st, 4);
    story_stopped(st, 4, 1);
    CHECK_EQ(s->launches.after_ms - st->start_ms, 10000);
    CHECK_EQ(core_counts(st->core, s, NULL).desired_running, 0);
    story_at(st, 10000);
    story_clock(st);
    CHECK_EQ(core_counts(st->core, s, NULL).desired_running, 1);
    story_running(st, 5);
    story_healthy(st, 5); /* it works: forgotten */
    CHECK_EQ(s->launches.crash_streak, 0);
}

TEST(what_the_runtime_loses_is_started_again_after_longer_and_longer)
{
    static const int waits_s[] = {0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 60};
    cleanup_story struct story *st = story_new(&one);

    for (size_t i = 0; i < ARRAY_COUNT(waits_s); i++) {
        const int64_t lost_ms = st->now_ms;
        story_lost(st, st->task_count);
        if (waits_s[i] == 0)
            continue;
        CHECK_EQ(core_counts(st->core, story_service(st), NULL).desired_running, 0);
        CHECK_EQ(core_deadline_ms(st->core) - lost_ms, waits_s[i] * 1000); /* it wakes by itself */
        story_at(st, core_deadline_ms(st->core) - st->start_ms);
        story_clock(st);
        CHECK_EQ(core_counts(st->core, story_service(st), NULL).desired_running, 1);
    }
    story_running(st, st->task_count); /* Docker is well again */
    CHECK_EQ(story_service(st)->infrastructure_streak, 0);
    CHECK_EQ(service_current(story_service(st))->breaker_failures, 0);
}

TEST(a_start_that_takes_three_hours_has_failed)
{
    cleanup_story struct story *st = story_new(&one);

    strbuf_clear(&st->trace);
    story_at(st, 3 * 3600 * 1000 - 1);
    story_clock(st);
    CHECK_TRACE(st, "10799999 clock | start t1\n"); /* asked for again, as every 30 s */
    story_at(st, 3 * 3600 * 1000);
    story_clock(st);
    CHECK_TRACE(st, "10800000 clock | stop t1 start t2\n");
    CHECK_EQ(story_task(st, 1)->stop_code, STOP_TaskFailedToStart);
    story_stopped(st, 1, 137);
    CHECK_EQ(service_current(story_service(st))->breaker_failures, 1);
}

TEST(a_complaint_is_heard_once_in_six_hours)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    const struct service *s;
    int said = 0;

    o.has_load_balancer = false;
    st = story_new_running(&o, 0);
    s = story_service(st);
    story_host(st, 5, true); /* no room for anything */
    for (int hour = 0; hour <= 6; hour++) {
        story_at(st, hour * 3600 * 1000);
        story_desired(st, hour % 2 == 0 ? 1 : 0);
        story_host(st, 5, true);
        CHECK(hour % 2 == 1 || story_has_event(st, "has insufficient CPU units available."));
    }
    /* An update forgets what was said; the host's reports in between do not say it again. */
    for (int i = 0; i < s->event_count; i++)
        said += strstr(s->events[i].message, "insufficient CPU") != NULL;
    CHECK_EQ(said, 4);
    story_at(st, 12 * 3600 * 1000);
    story_host(st, 5, true);
    said = 0;
    for (int i = 0; i < s->event_count; i++)
        said += strstr(s->events[i].message, "insufficient CPU") != NULL;
    CHECK_EQ(said, 5);
}

TEST(the_steady_state_is_said_once)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    const int before = story_service(st)->event_count;

    story_at(st, 400000);
    story_clock(st);
    story_host(st, 4000, true);
    CHECK_EQ(story_service(st)->event_count, before);
}

/* ---- going back ---- */

TEST(only_what_was_complete_is_restored)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    const struct service *s = story_service(st);

    story_update(st, 2); /* never gets anywhere */
    story_update(st, 3);
    story_rollback(st);
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[0]);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL); /* t1 still ran */
}

TEST(what_is_restored_and_fails_is_not_rolled_back_to_an_older_one)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    const struct service *s = story_service(st);
    int second = roll_over(st, 2), third;

    story_update(st, 3);
    third = st->task_count;
    story_stopped(st, second, 1); /* t2 dies; what it had is started beside the new one */
    for (int i = 0; i < 3 && service_current(s)->status == SD_IN_PROGRESS; i++) {
        story_failed_to_start(st, third);
        third = st->task_count;
    }
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_IN_PROGRESS);
    story_rollback(st); /* to an even older one?  What is under way goes on */
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[1]);
    for (int i = 0; i < 8 && service_current(s)->status == SD_ROLLBACK_IN_PROGRESS; i++) {
        for (int t = 1; t <= st->task_count; t++) {
            if (task_is_wanted(story_task(st, t)))
                story_failed_to_start(st, t);
        }
    }
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_FAILED);
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[1]);
    CHECK_EQ(core_counts(st->core, s, NULL).desired_running, 0);
}

TEST(a_restored_deployment_starts_with_a_clean_sheet)
{
    cleanup_story struct story *st = NULL;
    struct story_options o = one;
    const struct service *s;

    o.desired_count = 2;
    st = story_new(&o);
    s = story_service(st);
    story_running(st, 1);
    story_healthy(st, 1);
    story_failed_to_start(st, 2);
    story_desired(st, 1); /* done without the one that failed */
    CHECK_EQ(service_primary(s)->rollout_state, ROLLOUT_COMPLETED);
    CHECK_EQ(service_primary(s)->failed_tasks, 1);
    story_update(st, 2);
    story_rollback(st);
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[0]);
    CHECK_EQ(service_primary(s)->failed_tasks, 0);
}

TEST(an_old_revision_that_lacks_a_task_gets_it_before_the_new_one_starts)
{
    cleanup_story struct story *st = story_new_running(&one, 2);

    story_host(st, 4096, false);
    story_lost(st, 1); /* and there is no place for another one */
    story_update(st, 2);
    strbuf_clear(&st->trace);
    story_at(st, 60000);
    story_host(st, 4096, true);
    story_heard(st);
    CHECK_TEXT(story_task(st, 3)->task_definition_arn, st->definitions[0]);
    CHECK_TEXT(story_task(st, 4)->task_definition_arn, st->definitions[1]);
}

/* The list of deployments is cut, but never what a rollback would return to, nor what is in use. */
TEST(after_seventy_bad_updates_the_good_revision_is_still_there)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    const struct service *s = story_service(st);
    int deployments = 0, finished = 0;

    for (int i = 0; i < 70; i++) {
        story_update(st, 2 + i % 3);
        if (i > 0)
            story_stopped(st, st->task_count - 1, 143);
    }
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
        deployments++;
    for (const struct service_deployment *sd = s->history; sd != NULL; sd = sd->next)
        finished++;
    CHECK(deployments <= 23 && finished == 40 && s->revision_count <= 62);
    story_rollback(st);
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[0]);
    CHECK_TEXT(service_primary(s)->revision->images[0].digest, story_task(st, 1)->containers[0].digest);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL);
}

TEST(what_a_rollback_returns_to_is_kept_even_without_a_task)
{
    cleanup_story struct story *st = story_new_running(&one, 1);

    story_update(st, 2);
    story_stopped(st, 1, 1);
    story_drained(st, 1);
    story_failed_to_start(st, 3); /* the old revision does not start any more: given up */
    for (int i = 0; i < 30; i++) {
        story_update(st, 2);
        story_stopped(st, i == 0 ? 2 : st->task_count - 1, 143);
    }
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).desired_running, 1);
    story_rollback(st);
    CHECK_TEXT(service_primary(story_service(st))->revision->task_definition_arn,
               st->definitions[0]);
}

TEST(a_deleted_service_ends_its_deployment)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    const struct service *s = story_service(st);

    story_update(st, 2);
    story_delete(st);
    CHECK_EQ(service_current(s)->status, SD_STOPPED);
    CHECK_TEXT(service_current(s)->status_reason,
               "Service deployment stopped because the service was deleted.");
    CHECK(service_current(s)->finished_at_ms != 0);
    strbuf_clear(&st->trace);
    story_delete(st); /* once is enough */
    CHECK_TRACE(st, "0 delete | -\n");
}

TEST(an_old_revisions_task_that_the_runtime_lost_is_started_again)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    const struct service *s = story_service(st);

    story_update(st, 2);
    story_stopped(st, 1, 1);
    story_lost(st, 3); /* its replacement: Docker's fault, not the image's */
    CHECK_EQ(service_primary(s)->next->desired_count, 1);
    CHECK_TEXT(story_task(st, 4)->task_definition_arn, st->definitions[0]);
}

TEST(a_forced_deployment_takes_everything_from_the_present_one)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    struct event ev = {.type = EVENT_SERVICE_UPDATE}, stop = {.type = EVENT_TASK_STOP_REQUEST};

    ev.service_update = (struct ev_service_update){.service_arn = st->service, .desired_count = -1,
                                                   .health_check_grace_s = -1, .launch_type = -1,
                                                   .starts_deployment = true};
    story_tell(st, &ev, "force");
    CHECK_TEXT(story_task(st, 2)->task_definition_arn, st->definitions[0]);
    CHECK_EQ(story_task(st, 2)->target_count, 1);
    CHECK(strcmp(story_task(st, 2)->deployment_id, story_task(st, 1)->deployment_id) > 0);
    stop.task_stop_request.task_arn = story_task(st, 2)->arn;
    stop.task_stop_request.reason = "";
    story_tell(st, &stop, "stop-task");
    CHECK_TEXT(story_task(st, 2)->stopped_reason, "Task stopped by user");
}

TEST(a_deployment_that_cannot_return_says_so_when_it_is_stopped)
{
    cleanup_story struct story *st = story_new(&one);
    const struct service_deployment *sd = service_current(story_service(st));
    struct event ev = {.type = EVENT_SERVICE_DEPLOYMENT_STOP};

    ev.service_deployment_stop.arn = sd->arn;
    ev.service_deployment_stop.rolls_back = true;
    story_tell(st, &ev, "stop-deployment");
    CHECK_EQ(sd->status, SD_ROLLBACK_FAILED);
    CHECK(strstr(sd->status_reason, "there is no completed deployment to roll back to") != NULL);
    strbuf_clear(&st->trace);
    story_tell(st, &ev, "stop-deployment"); /* it is over */
    CHECK_TRACE(st, "0 stop-deployment | -\n");
}

TEST(a_rollback_under_way_goes_on_whatever_is_asked)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    const struct service *s = story_service(st);
    struct event ev = {.type = EVENT_SERVICE_DEPLOYMENT_STOP};
    const struct deployment *restored;

    story_update(st, 2);
    story_running(st, 2);
    story_healthy(st, 2);
    story_rollback(st);
    restored = service_primary(s);
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_IN_PROGRESS);
    story_rollback(st);
    ev.service_deployment_stop.arn = service_current(s)->arn;
    ev.service_deployment_stop.rolls_back = false;
    story_tell(st, &ev, "abort-deployment");
    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_IN_PROGRESS);
    CHECK(service_primary(s) == restored);
}

/* One that drains is not settled yet, one that never ran is at once. */
TEST(the_reason_of_a_wait_is_that_of_the_newest_failure)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    struct service_wait w;

    o.has_breaker = false;
    o.desired_count = 2;
    st = story_new(&o);
    story_run_and_heal(st, 1, 2);
    story_at(st, 1000);
    story_stopped(st, 1, 1);
    story_failed_to_start(st, 3);
    story_at(st, 2000);
    story_failed_to_start(st, 4);
    w = core_service_wait(st->core, story_service(st));
    CHECK_EQ(w.cause, WAIT_START_FAILURES);
    CHECK_EQ(w.missing, 1);
    CHECK_TEXT(w.reason, "CannotPullContainerError: manifest unknown");
    story_at(st, 3000);
    story_stopped(st, 2, 1);
    w = core_service_wait(st->core, story_service(st));
    CHECK_EQ(w.missing, 2);
    CHECK_TEXT(w.reason, "Essential container in task exited");
}

/* Nor is one of another deployment, or one that somebody stopped. */
TEST(what_was_stopped_is_no_reason_of_a_wait)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    struct service_wait w;

    o.has_breaker = false;
    o.desired_count = 2;
    st = story_new(&o);
    story_run_and_heal(st, 1, 2);
    story_update(st, 2);
    story_run_and_heal(st, 3, 4);
    for (int i = 1; i <= 2; i++) {
        story_drained(st, i);
        story_stopped(st, i, 143);
    }
    story_at(st, 1000);
    story_lost(st, 3);
    story_running(st, 5);
    story_lost(st, 5);
    story_lost(st, 6);
    story_at(st, 2000);
    story_stop_task(st, 4);
    story_drained(st, 4);
    story_stopped(st, 4, 143);
    w = core_service_wait(st->core, story_service(st));
    CHECK_EQ(w.cause, WAIT_RUNTIME);
    CHECK_EQ(w.missing, 2);
    CHECK_TEXT(w.reason, "DockerTimeoutError: no answer");
}

TEST(whoever_a_hook_holds_waits_for_no_task)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    struct service_wait w;

    o.hooks = "[{\"hookTargetArn\":\"http://h/\"}]";
    o.strategy = (struct strategy_config){
        .hooks = {{.kind = HOOK_KIND_URL, .stages = 1 << STAGE_PRE_SCALE_UP, .timeout_min = 10}},
        .hook_count = 1};
    st = story_new(&o);
    w = core_service_wait(st->core, story_service(st));
    CHECK_EQ(w.missing, 1);
    CHECK_EQ(w.cause, WAIT_NOTHING);
    CHECK_EQ(w.next_try_ms, 0);
}

/* ---- what is forgotten ---- */

/* One of its tasks is protected.  Those after it are replaced before they have any. */
TEST(a_deployment_whose_task_still_runs_is_not_forgotten)
{
    static const char digest[] =
        "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    struct story_options o = {.desired_count = 2, STORY_USUAL, .keeps_unresolved = true};
    cleanup_story struct story *st = story_new(&o);
    const struct service *s = story_service(st);
    char second[ID_SIZE], third[ID_SIZE];

    story_resolved(st, digest, NULL);
    story_run_and_heal(st, 1, 2);
    story_update(st, 2);
    story_resolved(st, digest, NULL);
    text_copy(second, ID_SIZE, str_of(service_primary(s)->id));
    story_running(st, 3);
    story_healthy(st, 3);
    story_protect(st, 3, 60);
    story_update(st, 3);
    text_copy(third, ID_SIZE, str_of(service_primary(s)->id));
    for (int i = 0; i < 30; i++)
        story_update(st, 3 + i % 2);
    CHECK(service_find_deployment(s, third) == NULL);
    CHECK(service_find_deployment(s, second) != NULL);
    CHECK(task_is_wanted(story_task(st, 3)));
    CHECK(story_task(st, 3)->deployment == service_find_deployment(s, second));
}
