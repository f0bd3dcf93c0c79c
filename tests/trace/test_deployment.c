/* SPDX-License-Identifier: MIT */
/* The arithmetic, and the whole table of ecs.md 5.2 played through the loop. */
#include "check.h"
#include "story.h"

TEST(the_minimum_rounds_up_and_the_maximum_down)
{
    const struct deployment_limits limit = deployment_limits(
        /* desired_count= */ 3, /* minimum_healthy_percent= */ 50, /* maximum_percent= */ 150);

    CHECK_EQ(limit.healthy_min, 2);
    CHECK_EQ(limit.total_max, 4);
    CHECK_EQ(deployment_limits(0, 100, 200).healthy_min, 0);
    CHECK_EQ(deployment_limits(0, 100, 200).total_max, 0);
    CHECK_EQ(deployment_limits(1, 1, 199).healthy_min, 1);
    CHECK_EQ(deployment_limits(1, 1, 199).total_max, 1);
    CHECK_EQ(deployment_limits(5000, 100, 200).total_max, 10000);
}

TEST(the_breaker_opens_at_half_of_desired_between_3_and_200)
{
    static const struct {
        int desired_count, threshold;
    } rows[] = {{1, 3},   {2, 3},   {5, 3},    {6, 3},     {7, 4},    {10, 5},
                {20, 10}, {25, 13}, {100, 50}, {400, 200}, {800, 200}};
    struct breaker_config breaker = {.type = THRESHOLD_BOUNDED_PERCENT, .value = 50};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        CHECK_EQ(deployment_breaker_threshold(&breaker, rows[i].desired_count), rows[i].threshold);
    breaker.type = THRESHOLD_UNBOUNDED_PERCENT;
    CHECK_EQ(deployment_breaker_threshold(&breaker, 1), 1);
    CHECK_EQ(deployment_breaker_threshold(&breaker, 800), 400);
    breaker.type = THRESHOLD_COUNT;
    breaker.value = 7;
    CHECK_EQ(deployment_breaker_threshold(&breaker, 100), 7);
}

/* Half of nothing is nothing, and so many had failed before the first task was there. */
TEST(a_service_of_no_tasks_has_none_that_failed)
{
    struct story_options o = {.minimum_healthy_percent = 100, .maximum_percent = 200};
    cleanup_story struct story *st = story_new(&o);
    struct deployment_config config = story_service(st)->config;
    struct event ev = {.type = EVENT_SERVICE_UPDATE};

    config.breaker = (struct breaker_config){
        .enable = true, .rollback = true, .type = THRESHOLD_UNBOUNDED_PERCENT, .value = 50};
    ev.service_update.service_arn = st->service;
    ev.service_update.desired_count = ev.service_update.launch_type = -1;
    ev.service_update.health_check_grace_s = -1;
    ev.service_update.config = &config;
    story_tell(st, &ev, "breaker");
    story_update(st, 2);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
}

/* Tasks that nobody has spoken of yet: their next report is due. */
static int
starting(const struct story *st)
{
    int n = 0;

    for (const struct task *t = st->core->tasks; t != NULL; t = t->next)
        n += task_is_wanted(t) && t->last_status == TASK_PENDING;
    return n;
}

/* Gives the world's answer to everything asked so far, one kind a call: all drains, then all starts
 * and health checks.  Writes down "+n" and "-n" as the table does. */
struct play {
    struct story *st;
    struct strbuf moves;
    int wanted;
};

static void
note(struct play *p, char sign, int n)
{
    if (n > 0)
        strbuf_addf(&p->moves, "%s%c%d", p->moves.len > 0 ? " " : "", sign, n);
}

static int
drain_all(struct story *st)
{
    int done = 0;

    for (int i = 1; i <= st->task_count; i++) {
        const struct task *t = story_task(st, i);
        if (t->last_status != TASK_DEACTIVATING)
            continue;
        story_drained(st, i);
        story_stopped(st, i, 143);
        done++;
    }
    return done;
}

/* All that are starting get healthy together: "start n and wait until healthy". */
static void
start_all(struct story *st)
{
    bool was_pending[STORY_TASKS_MAX + 1] = {false};
    const int count = st->task_count;

    for (int i = 1; i <= count; i++) {
        const struct task *t = story_task(st, i);
        was_pending[i] = task_is_wanted(t) && t->last_status == TASK_PENDING;
    }
    for (int i = 1; i <= count; i++) {
        if (was_pending[i])
            story_running(st, i);
    }
    for (int i = 1; i <= count; i++) {
        if (was_pending[i])
            story_healthy(st, i);
    }
}

static void
play_update(struct play *p, int minimum, int maximum, int desired_count)
{
    const struct story_options o = {.desired_count = desired_count,
                                    .minimum_healthy_percent = minimum,
                                    .maximum_percent = maximum,
                                    .has_load_balancer = true};
    struct story *st = p->st = story_new(&o);

    start_all(st);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
    story_update(st, 2);
    for (int round = 0; round < 60; round++) {
        /* In one step it may stop old tasks and start new ones in the room that they leave. */
        const int stopped = drain_all(st), started = starting(st);
        if (stopped == 0 && started == 0)
            break;
        note(p, '-', stopped);
        note(p, '+', started);
        start_all(st);
    }
}

static void
check_cell(int minimum, int maximum, int desired_count, const char *want)
{
    struct play p = {0};
    const struct deployment *primary;

    play_update(&p, minimum, maximum, desired_count);
    primary = service_primary(story_service(p.st));
    if (strcmp(want, "stuck") == 0) {
        CHECK_TEXT(strbuf_cstr(&p.moves), "");
        CHECK_EQ(primary->rollout_state, ROLLOUT_IN_PROGRESS);
        CHECK(story_has_event(p.st, "was unable to stop or start tasks during a deployment because "
                                    "of the service deployment configuration."));
    } else {
        CHECK_TEXT(strbuf_cstr(&p.moves), want);
        CHECK_EQ(primary->rollout_state, ROLLOUT_COMPLETED);
        CHECK_EQ(core_counts(p.st->core, story_service(p.st), NULL).healthy, desired_count);
    }
    strbuf_done(&p.moves);
    story_free(p.st);
}

TEST(the_worked_examples_come_out_as_ecs_works_them)
{
    static const int desired[] = {1, 2, 3, 4, 5, 10};
    static const struct {
        int minimum, maximum;
        const char *cells[6];
    } rows[] = {
        {100, 200, {"+1 -1", "+2 -2", "+3 -3", "+4 -4", "+5 -5", "+10 -10"}},
        {50, 200, {"+1 -1", "+2 -2", "+3 -3", "+4 -4", "+5 -5", "+10 -10"}},
        {100,
         150,
         {"stuck", "+1 -1 +1 -1", "+1 -1 +1 -1 +1 -1", "+2 -2 +2 -2", "+2 -2 +2 -2 +1 -1",
          "+5 -5 +5 -5"}},
        {100,
         125,
         {"stuck", "stuck", "stuck", "+1 -1 +1 -1 +1 -1 +1 -1", "+1 -1 +1 -1 +1 -1 +1 -1 +1 -1",
          "+2 -2 +2 -2 +2 -2 +2 -2 +2 -2"}},
        {50,
         150,
         {"stuck", "+1 -1 +1 -1", "+1 -1 +1 -1 +1 -1", "+2 -2 +2 -2", "+2 -2 +2 -2 +1 -1",
          "+5 -5 +5 -5"}},
        {50,
         100,
         {"stuck", "-1 +1 -1 +1", "-1 +1 -1 +1 -1 +1", "-2 +2 -2 +2", "-2 +2 -2 +2 -1 +1",
          "-5 +5 -5 +5"}},
        {75,
         100,
         {"stuck", "stuck", "stuck", "-1 +1 -1 +1 -1 +1 -1 +1", "-1 +1 -1 +1 -1 +1 -1 +1 -1 +1",
          "-2 +2 -2 +2 -2 +2 -2 +2 -2 +2"}},
        {0, 100, {"-1 +1", "-2 +2", "-3 +3", "-4 +4", "-5 +5", "-10 +10"}},
        {0, 200, {"+1 -1", "+2 -2", "+3 -3", "+4 -4", "+5 -5", "+10 -10"}},
    };

    for (size_t r = 0; r < ARRAY_COUNT(rows); r++) {
        for (size_t c = 0; c < ARRAY_COUNT(desired); c++) {
            check_cell(rows[r].minimum, rows[r].maximum, desired[c], rows[r].cells[c]);
        }
    }
}
