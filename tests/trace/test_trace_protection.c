/* SPDX-License-Identifier: MIT */
#include "blue_green.h"

#define MINUTE 60000

static const struct story_options two = {.desired_count = 2,
                                         .minimum_healthy_percent = 100,
                                         .maximum_percent = 200,
                                         .has_load_balancer = true};

static struct story *
running(int count)
{
    struct story *st = story_new_running(&two, count);

    strbuf_clear(&st->trace);
    return st;
}

static const char *
obstacle(struct story *st, int task, bool turns_on)
{
    const char *detail = "",
               *reason = core_protection_obstacle(story_task(st, task), turns_on, &detail);

    CHECK((reason == NULL) == (detail[0] == '\0'));
    return reason == NULL ? "none" : reason;
}

/* The words of ecs.md 5.12, with the deployment's id. */
static bool
has_complaint(struct story *st, const char *deployment_id)
{
    char text[512];

    snprintf(text, sizeof(text),
             "(service web) was unable to reach steady state because task set (%s) was unable to "
             "scale in. Reason: The number of protected tasks are more than the desired count of "
             "tasks.",
             deployment_id);
    return story_has_event(st, text);
}

static int
count_events(struct story *st, const char *part)
{
    const struct service *s = story_service(st);
    int n = 0;

    for (int i = 0; i < s->event_count; i++)
        n += strstr(s->events[i].message, part) != NULL;
    return n;
}

TEST(a_scale_in_takes_the_unprotected_and_waits_for_the_others)
{
    cleanup_story struct story *st = running(4);
    const char *id = service_primary(story_service(st))->id;

    for (int i = 2; i <= 4; i++)
        story_protect(st, i, 10);
    strbuf_clear(&st->trace);
    story_desired(st, 3);
    CHECK_TRACE(st, "0 desired 3 | deregister t1\n");
    CHECK(!has_complaint(st, id));
    story_desired(st, 1);
    CHECK_TRACE(st, "0 desired 1 | -\n");
    CHECK(has_complaint(st, id));
    CHECK(!story_service(st)->is_steady);
    CHECK_TEXT(obstacle(st, 2, true), "DEPLOYMENT_BLOCKED"); /* else it could wait for ever */
    CHECK_TEXT(obstacle(st, 2, false), "none");
    story_protect(st, 3, 0);
    CHECK_TRACE(st, "0 protect t3 | deregister t3\n");
    for (int i = 1; i <= 3; i += 2)
        story_drained(st, i);
    CHECK_EQ(core_deadline_ms(st->core) <= st->start_ms + 10 * MINUTE, true);
    strbuf_clear(&st->trace);
    story_at(st, 10 * MINUTE - 1);
    story_clock(st);
    CHECK(task_is_wanted(story_task(st, 2)) && task_is_wanted(story_task(st, 4)));
    story_at(st, 10 * MINUTE);
    story_clock(st); /* protection ends by itself */
    CHECK(task_is_wanted(story_task(st, 2)) + task_is_wanted(story_task(st, 4)) == 1);
    CHECK_EQ(count_events(st, "unable to scale in"), 1); /* the same is not said twice */
}

TEST(a_protected_task_that_is_not_healthy_yet_costs_no_healthy_one)
{
    cleanup_story struct story *st = running(2);

    story_service(st)->config.minimum_healthy_percent = 0;
    story_stopped(st, 2, 1); /* t3 takes its place */
    story_protect(st, 3, 10);
    strbuf_clear(&st->trace);
    story_desired(st, 1);
    CHECK_TRACE(st, "0 desired 1 | -\n");
    story_running(st, 3);
    story_healthy(st, 3);
    CHECK_TRACE(st, "0 running t3 | register t3\n"
                    "0 healthy t3 | deregister t1\n");
}

TEST(a_deployment_waits_for_protected_tasks_and_says_so)
{
    cleanup_story struct story *st = running(2);
    char old[ID_SIZE];

    text_copy(old, sizeof(old), str_of(service_primary(story_service(st))->id));
    story_protect(st, 1, 30);
    story_protect(st, 2, 60);
    story_update(st, 2);
    CHECK_TEXT(obstacle(st, 1, true), "none"); /* nothing waits for it yet */
    story_run_and_heal(st, 3, 4);
    CHECK(has_complaint(st, old));
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_IN_PROGRESS);
    CHECK_TEXT(obstacle(st, 1, true), "DEPLOYMENT_BLOCKED");
    CHECK_TEXT(obstacle(st, 3, true), "none"); /* of the new one: it holds nothing back */
    strbuf_clear(&st->trace);
    story_at(st, 30 * MINUTE);
    story_clock(st);
    CHECK(!task_is_wanted(story_task(st, 1)) && task_is_wanted(story_task(st, 2)));
    story_drained(st, 1);
    story_at(st, 60 * MINUTE);
    story_clock(st);
    story_drained(st, 2);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
    CHECK(story_service(st)->is_steady);
}

TEST(protected_tasks_count_towards_the_upper_bound)
{
    cleanup_story struct story *st = running(4);

    for (int i = 1; i <= 4; i++)
        story_protect(st, i, 30);
    story_desired(st, 2);
    strbuf_clear(&st->trace);
    story_update(st, 2); /* four run, four may: no place for a new one */
    CHECK_TRACE(st, "0 update web:2 | -\n");
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).desired_running, 4);
    story_protect(st, 4, 0);
    CHECK_TRACE(st, "0 protect t4 | deregister t4 start t5\n");
    story_running(st, 5);
    story_healthy(st, 5);
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).desired_running, 4);
}

TEST(a_bound_that_leaves_no_room_is_not_blamed_on_protection)
{
    struct story_options o = two;
    cleanup_story struct story *st = NULL;
    char old[ID_SIZE];

    o.desired_count = 1;
    o.maximum_percent = 150;
    st = story_new(&o);
    story_run_and_heal(st, 1, 1);
    text_copy(old, sizeof(old), str_of(service_primary(story_service(st))->id));
    story_protect(st, 1, 30);
    story_update(st, 2);
    CHECK(!has_complaint(st, old));
    CHECK(story_has_event(st, "because of the service deployment configuration"));
    CHECK_TEXT(obstacle(st, 1, true), "none");
}

TEST(an_unhealthy_protected_task_is_replaced_and_goes_on)
{
    cleanup_story struct story *st = running(2);

    story_protect(st, 1, 5);
    story_unhealthy(st, 1);
    story_run_and_heal(st, 3, 3);
    CHECK(task_is_wanted(story_task(st, 1)));
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).healthy, 2);
    strbuf_clear(&st->trace);
    story_at(st, 5 * MINUTE);
    story_clock(st);
    CHECK(!task_is_wanted(story_task(st, 1)));
    CHECK(strncmp(story_task(st, 1)->stopped_reason, "Task failed ELB health checks", 29) == 0);
}

TEST(an_operators_stop_its_own_end_and_a_deletion_are_not_held_up)
{
    cleanup_story struct story *st = running(3);
    struct event ev = {.type = EVENT_SERVICE_DELETE};

    for (int i = 1; i <= 3; i++)
        story_protect(st, i, 30);
    strbuf_clear(&st->trace);
    story_stop_task(st, 1);
    story_stopped(st, 2, 0);
    CHECK_TRACE(st, "0 stop-task t1 | deregister t1 start t4\n"
                    "0 stopped t2 | deregister t2 start t5\n");
    CHECK_TEXT(obstacle(st, 1, true), "TASK_NOT_VALID"); /* too late */
    CHECK_TEXT(obstacle(st, 1, false), "none");
    CHECK(!core_task_is_protected(st->core, story_task(st, 1)));
    ev.service_delete.service_arn = st->service;
    story_tell(st, &ev, "delete");
    CHECK(!task_is_wanted(story_task(st, 3)));
}

TEST(a_standalone_task_cannot_be_protected)
{
    cleanup_story struct story *st = running(1);
    struct event ev = {.type = EVENT_TASK_RUN};

    ev.task_run.cluster_arn = st->cluster;
    ev.task_run.task_definition_arn = st->definitions[0];
    ev.task_run.count = 1;
    story_tell(st, &ev, "run-task");
    CHECK_TEXT(obstacle(st, 2, true), "TASK_NOT_VALID");
    CHECK_TEXT(obstacle(st, 2, false), "TASK_NOT_VALID");
}

TEST(protection_survives_a_restart)
{
    cleanup_story struct story *st = running(2);
    int left;

    story_protect(st, 1, 30);
    story_protect(st, 2, 30);
    story_desired(st, 1);
    story_at(st, 10 * MINUTE);
    story_restart(st);
    CHECK(task_is_wanted(story_task(st, 1)) && task_is_wanted(story_task(st, 2)));
    CHECK_TEXT(obstacle(st, 1, true), "DEPLOYMENT_BLOCKED");
    CHECK_EQ(count_events(st, "unable to scale in"), 1);
    story_at(st, 30 * MINUTE);
    story_clock(st);
    left = task_is_wanted(story_task(st, 1)) + task_is_wanted(story_task(st, 2));
    CHECK_EQ(left, 1);
}

/* A stage may last a day; but protection ends by itself, or somebody ends it, and until then waiting is
 * what was asked for.  Then the day begins anew: a task that may go now needs its time to drain. */
TEST(a_clean_up_waits_for_protected_tasks_longer_than_a_day)
{
    for (int by_hand = 0; by_hand < 2; by_hand++) {
        cleanup_story struct story *st = green_baking(&blue_green);

        story_protect(st, 1, 48 * 60);
        story_at(st, MINUTES(5));
        story_clock(st);
        CHECK_EQ(story_stage(st), STAGE_CLEAN_UP);
        story_drained(st, 2);
        story_stopped(st, 2, 0);
        story_at(st, MINUTES(26 * 60));
        story_clock(st);
        CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
        CHECK(task_is_wanted(story_task(st, 1)));
        if (by_hand == 0)
            story_at(st, MINUTES(48 * 60));
        else
            story_protect(st, 1, 0);
        story_clock(st);
        CHECK(!task_is_wanted(story_task(st, 1)));
        CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
        story_drained(st, 1);
        CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    }
}
