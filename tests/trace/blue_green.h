/* SPDX-License-Identifier: MIT */
/* blue_green.h - how stories of BLUE_GREEN, LINEAR and CANARY begin: blue are t1 and t2 in tg, green comes
 * into tg2. */
#pragma once
#include "story.h"

#define MINUTES(n) ((n) * 60000LL)

UNUSED static const struct story_options blue_green = {
    .desired_count = 2,
    .minimum_healthy_percent = 100,
    .maximum_percent = 200,
    .has_load_balancer = true,
    .has_breaker = true,
    .rolls_back = true,
    .strategy = {.strategy = STRATEGY_BLUE_GREEN, .bake_min = 5}};

UNUSED static struct story *
blue_running(const struct story_options *o)
{
    struct story *st = story_new(o);

    story_run_and_heal(st, 1, 2);
    story_in_force(st);
    story_at(st, MINUTES(o->strategy.bake_min));
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    strbuf_clear(&st->trace);
    st->start_ms = st->now_ms; /* the story begins here */
    return st;
}

/* Green runs, all traffic is led to it and it bakes. */
UNUSED static struct story *
green_baking(const struct story_options *o)
{
    struct story *st = blue_running(o);

    story_update(st, 2);
    story_run_and_heal(st, 3, 4);
    story_in_force(st);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    strbuf_clear(&st->trace);
    return st;
}

UNUSED static void
check_rolled_back(struct story *st)
{
    const struct service *s = story_service(st);

    CHECK_EQ(service_current(s)->status, SD_ROLLBACK_SUCCESSFUL);
    CHECK_TEXT(service_primary(s)->revision->task_definition_arn, st->definitions[0]);
    CHECK_EQ(service_primary(s)->rollout_state, ROLLOUT_COMPLETED);
    CHECK(task_is_wanted(story_task(st, 1)) && task_is_wanted(story_task(st, 2)));
    CHECK(!s->course.is_on);
}
