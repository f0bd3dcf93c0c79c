/* SPDX-License-Identifier: MIT */
/* Deployments that users are led back to: they are kept, and so are those of their tasks that serve. */
#include "blue_green.h"

/* What users were led back to has no tasks any more and was never complete; a course still names it. */
TEST(what_users_are_led_back_to_is_not_forgotten)
{
    struct story_options o = blue_green;
    cleanup_story struct story *st = NULL;
    const char *second;

    o.has_breaker = false;
    st = blue_running(&o);
    story_update(st, 2);
    story_run_and_heal(st, 3, 3);
    second = service_primary(story_service(st))->id;
    story_unhealthy(st, 1);
    story_unhealthy(st, 2);
    story_update(st, 3);
    CHECK_TEXT(story_service(st)->course.base_id, second);
    for (int i = 1; i <= 3; i++) {
        story_stopped(st, i, 1);
        story_drained(st, i);
    }
    for (int i = 0; i < 25; i++) {
        for (int j = 1; j <= st->task_count; j++) {
            if (story_task(st, j)->last_status < TASK_STOPPING)
                story_failed_to_start(st, j);
        }
        story_update(st, 2 + i % 2);
    }
    CHECK(service_find_deployment(story_service(st), second) != NULL);
}

/* A deployment that is returned to may be led into the other group than its oldest tasks are in. */
TEST(tasks_in_the_group_that_was_left_go_first)
{
    cleanup_story struct story *st = blue_running(&blue_green);

    service_primary(story_service(st))->alternates ^= 1;
    story_desired(st, 3);
    story_run_and_heal(st, 3, 3);
    CHECK_TEXT(story_task(st, 3)->targets[0].target_group_arn, st->group2);
    story_desired(st, 1);
    CHECK(task_is_wanted(story_task(st, 3)));
}
