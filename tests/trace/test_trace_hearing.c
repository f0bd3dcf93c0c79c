/* SPDX-License-Identifier: MIT */
/* naru was away: the rows say what was, and what became of it only the agents can tell. */
#include "core/wait.h"
#include "story.h"

#define MINUTES(n) ((n) * 60000LL)
#define HOURS(n) MINUTES(60LL * (n))

static const struct story_options unchecked = {.desired_count = 1,
                                               .minimum_healthy_percent = 100,
                                               .maximum_percent = 200,
                                               .has_breaker = true,
                                               .rolls_back = true};

static const struct story_host two[] = {{"a", "a", NULL, 4096, 4096}, {"b", "b", NULL, 4096, 4096}, {.name = NULL}};

/* t1 is what ran before, t2 has been RUNNING for ten seconds when naru dies. */
static struct story *
updating(void)
{
    struct story *st = story_new(&unchecked);

    story_running(st, 1);
    story_at(st, 40000);
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    story_update(st, 2);
    story_running(st, 2);
    strbuf_clear(&st->trace);
    return st;
}

TEST(time_that_nobody_saw_proves_nothing)
{
    cleanup_story struct story *st = updating();
    const struct service_deployment *sd;

    story_at(st, MINUTES(5));
    story_return(st);
    sd = service_current(story_service(st));
    CHECK_TRACE(st, "300000 restart | adopt t2 adopt t1\n");
    CHECK_EQ(sd->status, SD_IN_PROGRESS);
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).healthy, 1);
    story_stopped(st, 2, 1); /* long ago */
    CHECK_TRACE(st, "300000 stopped t2 | forget t2\n");
    CHECK_EQ(sd->breaker_failures, 1);
    story_running(st, 1);
    CHECK_TRACE(st, "300000 running t1 | start t3\n");
    CHECK(task_is_wanted(story_task(st, 1)));
}

TEST(what_ran_all_the_time_is_as_healthy_as_if_it_had_been_seen)
{
    cleanup_story struct story *st = updating();

    story_at(st, MINUTES(5));
    story_return(st);
    story_running(st, 1);
    story_running(st, 2);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    CHECK_TRACE(st, "300000 restart | adopt t2 adopt t1\n"
                    "300000 running t1 | -\n"
                    "300000 running t2 | stop t1\n");
}

TEST(a_bake_time_is_over_when_it_is_known_what_has_baked)
{
    struct story_options o = {.desired_count = 1, STORY_USUAL, .strategy = {.bake_min = 10}};
    cleanup_story struct story *st = story_new(&o);
    const struct service *s;

    story_run_and_heal(st, 1, 1);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    story_at(st, MINUTES(30));
    story_return(st);
    s = story_service(st);
    CHECK_EQ(service_current(s)->status, SD_IN_PROGRESS);
    story_stopped(st, 1, 1);
    CHECK_EQ(service_current(s)->status, SD_IN_PROGRESS);
    story_drained(st, 1);
    story_run_and_heal(st, 2, 2);
    CHECK_EQ(service_current(s)->status, SD_SUCCESSFUL);
}

/* Who had the traffic before stays until it is known that the others live. */
TEST(nothing_is_cleaned_up_for_tasks_that_may_be_dead)
{
    struct story_options o = {.desired_count = 1,
                              STORY_USUAL,
                              .strategy = {.strategy = STRATEGY_BLUE_GREEN, .bake_min = 10}};
    cleanup_story struct story *st = story_new(&o);

    story_run_and_heal(st, 1, 1);
    story_in_force(st);
    story_at(st, MINUTES(10));
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    story_update(st, 2);
    story_run_and_heal(st, 2, 2);
    story_in_force(st);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    story_at(st, MINUTES(60));
    story_return(st);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    story_running(st, 1);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    CHECK(task_is_wanted(story_task(st, 1)));
    story_running(st, 2);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    CHECK_EQ(story_stage(st), STAGE_CLEAN_UP);
}

TEST(a_start_has_its_whole_time_again)
{
    cleanup_story struct story *st = story_new(&unchecked);

    story_pending(st, 1);
    story_at(st, HOURS(12)); /* switched off over night */
    story_return(st);
    story_at(st, HOURS(15) - 1);
    story_pending(st, 1);
    CHECK(task_is_wanted(story_task(st, 1)));
    CHECK_EQ(service_current(story_service(st))->breaker_failures, 0);
    story_at(st, HOURS(15));
    story_clock(st);
    CHECK(!task_is_wanted(story_task(st, 1)));
}

/* A minute. */
static void
give_grace(struct story *st)
{
    struct event ev = {.type = EVENT_SERVICE_UPDATE};

    ev.service_update.service_arn = st->service;
    ev.service_update.desired_count = ev.service_update.launch_type = -1;
    ev.service_update.health_check_grace_s = 60;
    story_tell(st, &ev, "grace");
}

/* What the rows say of its checks is from within the grace period. */
TEST(a_grace_period_that_nobody_saw_is_given_again)
{
    struct story_options o = {.desired_count = 1, STORY_USUAL};
    cleanup_story struct story *st = story_new(&o);

    give_grace(st);
    story_running(st, 1);
    story_unhealthy(st, 1);
    strbuf_clear(&st->trace);
    story_at(st, MINUTES(5));
    story_return(st);
    CHECK(!story_task(st, 1)->is_unhealthy_marked);
    story_running(st, 1);
    CHECK(!story_task(st, 1)->is_unhealthy_marked);
    story_at(st, MINUTES(6) - 1);
    story_clock(st);
    CHECK(!story_task(st, 1)->is_unhealthy_marked);
    CHECK_EQ(core_deadline_ms(st->core), st->start_ms + MINUTES(6));
    story_at(st, MINUTES(6));
    story_clock(st);
    CHECK(story_task(st, 1)->is_unhealthy_marked);
    CHECK_EQ(service_current(story_service(st))->breaker_failures, 1);
}

/* Its agent speaks of it long before it runs: while its image is being pulled, for instance. */
TEST(a_grace_period_does_not_begin_before_the_task_runs)
{
    struct story_options o = {.desired_count = 1, STORY_USUAL};
    cleanup_story struct story *st = story_new(&o);

    give_grace(st);
    story_pending(st, 1);
    story_return(st);
    story_pending(st, 1);
    story_at(st, MINUTES(5));
    story_running(st, 1);
    story_unhealthy(st, 1);
    CHECK(!story_task(st, 1)->is_unhealthy_marked);
    CHECK_EQ(service_current(story_service(st))->breaker_failures, 0);
    story_at(st, MINUTES(6));
    story_clock(st);
    CHECK(story_task(st, 1)->is_unhealthy_marked);
}

TEST(a_hook_whose_task_has_done_its_work_did_not_take_too_long)
{
    struct story_options o = unchecked;
    cleanup_story struct story *st = NULL;

    o.hooks = "[{\"hookTargetArn\":\"arn:aws:ecs:eu-west-1:000000000000:task-definition/web:2\"}]";
    o.strategy.hooks[0] = (struct hook_config){
        .kind = HOOK_KIND_TASK, .stages = 1 << STAGE_PRE_SCALE_UP, .timeout_min = 10};
    o.strategy.hook_count = 1;
    st = story_new(&o);
    story_running(st, 1);
    strbuf_clear(&st->trace);
    story_at(st, MINUTES(20));
    story_return(st);
    CHECK_TRACE(st, "1200000 restart | adopt t1\n");
    story_stopped(st, 1, 0);
    CHECK_TRACE(st, "1200000 stopped t1 | forget t1 start t2\n");
}

TEST(a_hook_whose_task_still_runs_did)
{
    struct story_options o = unchecked;
    cleanup_story struct story *st = NULL;

    o.hooks = "[{\"hookTargetArn\":\"arn:aws:ecs:eu-west-1:000000000000:task-definition/web:2\"}]";
    o.strategy.hooks[0] = (struct hook_config){
        .kind = HOOK_KIND_TASK, .stages = 1 << STAGE_PRE_SCALE_UP, .timeout_min = 10};
    o.strategy.hook_count = 1;
    st = story_new(&o);
    story_running(st, 1);
    story_at(st, MINUTES(20));
    story_return(st);
    strbuf_clear(&st->trace);
    story_running(st, 1);
    CHECK_TRACE(st, "1200000 running t1 | stop t1\n");
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_FAILED);
}

TEST(whoever_says_nothing_at_all_is_not_waited_for_for_ever)
{
    cleanup_story struct story *st = updating();

    story_at(st, MINUTES(5));
    story_return(st);
    strbuf_clear(&st->trace);
    story_desired(st, 2);
    CHECK_TRACE(st, "300000 desired 2 | -\n");
    story_at(st, MINUTES(7) - 1);
    story_clock(st);
    CHECK_EQ(core_deadline_ms(st->core), st->start_ms + MINUTES(7));
    strbuf_clear(&st->trace);
    story_at(st, MINUTES(7));
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "start t3") != NULL);
    CHECK(strstr(strbuf_cstr(&st->trace), "stop t1") == NULL); /* t2 is as unknown as before */
}

/* Of a task that Docker cannot be asked about, for instance. */
TEST(an_agent_that_works_has_so_long_from_its_coming)
{
    cleanup_story struct story *st = updating();

    story_at(st, MINUTES(5));
    story_return(st);
    story_at(st, MINUTES(6));
    story_host(st, 4096, /* is_connected= */ true);
    story_running(st, 1);
    strbuf_clear(&st->trace);
    story_desired(st, 2);
    story_at(st, MINUTES(8) - 1);
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "start t3") == NULL);
    CHECK_EQ(core_deadline_ms(st->core), st->start_ms + MINUTES(8));
    story_at(st, MINUTES(8));
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "start t3") != NULL);
}

/* Docker may not answer for one container, however often it is asked. */
TEST(who_is_not_heard_of_any_more_is_judged_by_his_checks)
{
    struct story_options o = {.desired_count = 1, STORY_USUAL};
    cleanup_story struct story *st = story_new(&o);

    story_run_and_heal(st, 1, 1);
    story_return(st);
    story_unhealthy(st, 1);
    CHECK(!story_task(st, 1)->is_unhealthy_marked);
    strbuf_clear(&st->trace);
    story_at(st, MINUTES(2));
    story_clock(st);
    CHECK(story_task(st, 1)->is_unhealthy_marked);
    CHECK(strstr(strbuf_cstr(&st->trace), "start t2") != NULL);
}

TEST(whoever_said_nothing_is_asked_again_and_again)
{
    cleanup_story struct story *st = updating();

    story_return(st);
    strbuf_clear(&st->trace);
    story_at(st, 80000);
    story_running(st, 1);
    story_clock(st);
    strbuf_clear(&st->trace);
    story_at(st, 110000);
    story_clock(st);
    CHECK_TRACE(st, "110000 clock | adopt t2\n");
}

TEST(without_docker_nothing_is_decided)
{
    cleanup_story struct story *st = updating();

    story_at(st, MINUTES(5));
    story_return(st);
    story_host(st, 4096, /* is_connected= */ false);
    story_at(st, MINUTES(60));
    strbuf_clear(&st->trace);
    story_desired(st, 2);
    CHECK(strstr(strbuf_cstr(&st->trace), "start") == NULL);
    story_host(st, 4096, /* is_connected= */ true);
    story_running(st, 1);
    strbuf_clear(&st->trace);
    story_running(st, 2);
    CHECK_TRACE(st, "3600000 running t2 | start t3\n");
}

TEST(a_machine_without_docker_is_not_waited_for_while_others_work)
{
    struct story_options o = unchecked;
    cleanup_story struct story *st = NULL;

    o.hosts = two;
    o.doc = "{\"placementStrategy\":[{\"type\":\"spread\",\"field\":\"instanceId\"}]}";
    st = story_new(&o);
    CHECK_TEXT(story_place(st, 1), "a");
    story_running(st, 1);
    story_return(st);
    strbuf_clear(&st->trace);
    story_desired(st, 2);
    story_machine(st, &two[0], /* is_connected= */ false);
    CHECK_TRACE(st, "0 desired 2 | -\n"
                    "0 a is lost | -\n");
    story_machine(st, &two[1], /* is_connected= */ true);
    CHECK_TRACE(st, "0 b connects | start t2@b\n");
}

TEST(of_whom_nobody_wants_any_more_no_word_is_waited_for)
{
    cleanup_story struct story *st = updating();

    story_return(st);
    CHECK(story_task(st, 1)->is_unheard && story_task(st, 2)->is_unheard);
    story_delete(st);
    CHECK(!story_task(st, 1)->is_unheard && !story_task(st, 2)->is_unheard);
}

TEST(task_sets_wait_for_the_word_of_their_agents_too)
{
    struct story_options o = {.desired_count = 1,
                              .minimum_healthy_percent = 100,
                              .maximum_percent = 200,
                              .doc = "{\"deploymentController\":{\"type\":\"EXTERNAL\"}}"};
    cleanup_story struct story *st = story_new(&o);
    struct event ev = {.type = EVENT_TASK_SET_CREATE};

    ev.task_set_create = (struct ev_task_set_create){.service_arn = st->service,
                                                     .external_id = "",
                                                     .client_token = "",
                                                     .scale = SCALE_WHOLE,
                                                     .task_definition_arn = st->definitions[0],
                                                     .launch_type = LAUNCH_EC2};
    story_tell(st, &ev, "set");
    story_running(st, 1);
    story_return(st);
    strbuf_clear(&st->trace);
    story_desired(st, 2);
    CHECK_TRACE(st, "0 desired 2 | -\n");
    story_running(st, 1);
    CHECK_TRACE(st, "0 running t1 | start t2\n");
}

/* ---- naru stood still, or Docker was away ---- */

/* The engine's timer comes so late. */
static void
stood_still(struct story *st, int64_t late_ms)
{
    const struct event ev = {.type = EVENT_STOOD_STILL, .stood_still = {late_ms}};

    story_tell(st, &ev, "stood still");
}

TEST(naru_stood_still_if_it_is_seconds_late)
{
    cleanup_story struct story *st = updating();
    const int64_t due_ms = core_deadline_ms(st->core);

    CHECK_EQ(core_stood_still_ms(st->core, INT64_MAX, due_ms - 1), 0);
    CHECK_EQ(core_stood_still_ms(st->core, INT64_MAX, due_ms + 2000), 0);
    CHECK_EQ(core_stood_still_ms(st->core, INT64_MAX, due_ms + 2001), 2001);
    CHECK_EQ(core_stood_still_ms(st->core, due_ms - 9000, due_ms - 7000), 0);
    CHECK_EQ(core_stood_still_ms(st->core, due_ms - 9000, due_ms), 9000);
}

/* t2 has been RUNNING for ten seconds when naru is stopped; t2 crashes after twenty. */
TEST(what_time_proves_naru_has_to_have_seen)
{
    cleanup_story struct story *st = updating();
    const struct service_deployment *sd = service_current(story_service(st));

    story_at(st, 120000);
    stood_still(st, 40000);
    CHECK_TRACE(st, "120000 stood still | adopt t2 adopt t1\n");
    CHECK_EQ(sd->status, SD_IN_PROGRESS);
    story_running(st, 1);
    CHECK_EQ(sd->status, SD_IN_PROGRESS);
    strbuf_clear(&st->trace);
    story_stopped(st, 2, 1);
    CHECK_TRACE(st, "120000 stopped t2 | forget t2 start t3\n");
    CHECK_EQ(sd->breaker_failures, 1);
    CHECK(task_is_wanted(story_task(st, 1)));
}

TEST(what_ran_while_naru_stood_still_is_healthy_once_its_agent_says_so)
{
    cleanup_story struct story *st = updating();

    story_at(st, 120000);
    stood_still(st, 40000);
    story_running(st, 1);
    strbuf_clear(&st->trace);
    story_running(st, 2);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    CHECK_TRACE(st, "120000 running t2 | stop t1\n");
}

/* Nor did naru look after its checks meanwhile. */
TEST(a_grace_period_is_longer_by_the_time_that_naru_stood_still)
{
    struct story_options o = {.desired_count = 1, STORY_USUAL};
    cleanup_story struct story *st = story_new(&o);

    give_grace(st);
    story_running(st, 1);
    story_unhealthy(st, 1);
    story_at(st, 90000);
    stood_still(st, 50000);
    story_running(st, 1);
    story_at(st, 110000 - 1);
    story_clock(st);
    CHECK(!story_task(st, 1)->is_unhealthy_marked);
    story_at(st, 110000);
    story_clock(st);
    CHECK(story_task(st, 1)->is_unhealthy_marked);
}

/* As it does when all comes up with the machine. */
TEST(a_grace_period_is_given_again_also_if_naru_stands_still_behind_its_restart)
{
    cleanup_story struct story *st = story_new(&(struct story_options){.desired_count = 1, STORY_USUAL});

    give_grace(st);
    story_running(st, 1);
    story_unhealthy(st, 1);
    story_at(st, MINUTES(5));
    story_return(st);
    story_at(st, MINUTES(5) + 4000);
    stood_still(st, 3000);
    story_running(st, 1);
    CHECK(!story_task(st, 1)->is_unhealthy_marked);
    story_at(st, MINUTES(6) + 4000 - 1);
    story_clock(st);
    CHECK(!story_task(st, 1)->is_unhealthy_marked);
    story_at(st, MINUTES(6) + 4000);
    story_clock(st);
    CHECK(story_task(st, 1)->is_unhealthy_marked);
}

/* A bake time that ended meanwhile is over only for what is known to live. */
TEST(a_bake_time_that_ended_while_naru_stood_still_waits_for_the_agents)
{
    struct story_options o = {.desired_count = 1, STORY_USUAL, .strategy = {.bake_min = 10}};
    cleanup_story struct story *st = story_new(&o);

    story_run_and_heal(st, 1, 1);
    CHECK_EQ(story_stage(st), STAGE_BAKE_TIME);
    story_at(st, MINUTES(30));
    stood_still(st, MINUTES(20));
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    story_stopped(st, 1, 1);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
}

TEST(time_without_docker_proves_nothing)
{
    cleanup_story struct story *st = updating();
    const struct service_deployment *sd = service_current(story_service(st));

    story_at(st, 50000);
    story_host(st, 4096, /* is_connected= */ false);
    story_at(st, MINUTES(5));
    story_clock(st);
    CHECK_EQ(sd->status, SD_IN_PROGRESS);
    story_host(st, 4096, /* is_connected= */ true);
    story_running(st, 1);
    CHECK_EQ(sd->status, SD_IN_PROGRESS);
    strbuf_clear(&st->trace);
    story_lost(st, 2);
    CHECK_TRACE(st, "300000 lost t2 | forget t2 start t3\n");
    CHECK(task_is_wanted(story_task(st, 1)));
    CHECK_EQ(sd->breaker_failures, 0);
}

TEST(what_outlived_docker_is_healthy_once_its_agent_says_so)
{
    cleanup_story struct story *st = updating();

    story_at(st, 50000);
    story_host(st, 4096, /* is_connected= */ false);
    story_at(st, MINUTES(5));
    story_host(st, 4096, /* is_connected= */ true);
    story_running(st, 1);
    strbuf_clear(&st->trace);
    story_running(st, 2);
    CHECK_TRACE(st, "300000 running t2 | stop t1\n");
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
}

/* t2 cannot be inspected, however often Docker comes and goes: five seconds there, five seconds away. */
TEST(a_docker_that_comes_and_goes_holds_nobody_up_for_ever)
{
    cleanup_story struct story *st = updating();
    int64_t at_ms = MINUTES(5);

    story_at(st, at_ms);
    story_return(st);
    story_host(st, 4096, /* is_connected= */ true);
    story_running(st, 1);
    story_desired(st, 2);
    for (int i = 0; i < 23; i++) {
        story_at(st, at_ms += 5000);
        story_host(st, 4096, /* is_connected= */ false);
        story_at(st, at_ms += 5000);
        story_host(st, 4096, /* is_connected= */ true);
        story_running(st, 1);
    }
    CHECK(strstr(strbuf_cstr(&st->trace), "start t3") == NULL);
    story_at(st, at_ms += 5000);
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "start t3") != NULL);
}

/* An agent that had to look at all that it has in one moment would have nothing else to do in that. */
TEST(what_runs_is_looked_after_every_five_minutes_and_not_all_at_once)
{
    struct story_options o = unchecked;
    cleanup_story struct story *st = NULL;
    int looks[21] = {0};

    o.desired_count = 20;
    st = story_new(&o);
    for (int t = 1; t <= 20; t++)
        story_running(st, t);
    story_at(st, MINUTES(6));
    story_clock(st);
    for (int64_t at_ms = MINUTES(6) + 10000; at_ms <= MINUTES(11); at_ms += 10000) {
        story_at(st, at_ms);
        story_clock(st);
        CHECK(st->effects.count <= 5);
        for (int i = 0; i < st->effects.count; i++)
            for (int t = 1; t <= 20 && st->effects.at[i].type == EFFECT_TASK_START; t++)
                looks[t] += strcmp(st->effects.at[i].task_start.task_arn, story_task(st, t)->arn) == 0;
    }
    for (int t = 1; t <= 20; t++)
        CHECK_EQ(looks[t], 1);
}

/* ---- what is said of it ---- */

static int
count_events(const struct story *st, const char *part)
{
    const struct service *s = story_service(st);
    int count = 0;

    for (int i = 0; i < s->event_count; i++)
        count += strstr(s->events[i].message, part) != NULL;
    return count;
}

TEST(whoever_waits_for_an_agent_for_long_says_so_once)
{
    cleanup_story struct story *st = updating();
    char want[240];

    story_at(st, MINUTES(5));
    story_return(st);
    story_running(st, 1);
    story_desired(st, 2);
    CHECK_TEXT(wait_cause_name(core_service_wait(st->core, story_service(st)).cause), "AGENT");
    CHECK_EQ(core_deadline_ms(st->core), st->start_ms + MINUTES(5) + 10000);
    CHECK_EQ(count_events(st, "is waiting for the container agent"), 0);
    story_at(st, MINUTES(5) + 10000);
    story_clock(st);
    snprintf(want, sizeof(want),
             "(service web) is waiting for the container agent to report the state of (task %s). No tasks are "
             "started or stopped until then.", st->ids[1]);
    CHECK_EQ(count_events(st, want), 1);
    story_at(st, MINUTES(6));
    story_clock(st);
    CHECK_EQ(count_events(st, "is waiting for the container agent"), 1);
    story_running(st, 2);
    CHECK_EQ(core_service_wait(st->core, story_service(st)).cause, WAIT_NOTHING);
}

TEST(whoever_is_heard_soon_says_nothing)
{
    cleanup_story struct story *st = updating();

    story_at(st, MINUTES(5));
    story_return(st);
    story_running(st, 1);
    story_running(st, 2);
    story_at(st, MINUTES(6));
    story_clock(st);
    CHECK_EQ(count_events(st, "is waiting for the container agent"), 0);
}

/* ---- times of others ---- */

static struct story *
waiting_for_a_call(void)
{
    struct story_options o = unchecked;

    o.hooks = "[{\"hookTargetArn\":\"naru:command/migrate\"}]";
    o.strategy.hooks[0] = (struct hook_config){
        .kind = HOOK_KIND_COMMAND, .stages = 1 << STAGE_PRE_SCALE_UP, .timeout_min = 10};
    o.strategy.hook_count = 1;
    return story_new(&o);
}

/* Its answer was lost with naru, or nobody was there to ask it again. */
TEST(a_hook_that_could_not_answer_has_its_whole_time_again)
{
    cleanup_story struct story *st = waiting_for_a_call();
    const struct service_deployment *sd;

    strbuf_clear(&st->trace);
    story_at(st, MINUTES(20));
    story_return(st);
    CHECK_TRACE(st, "1200000 restart | call h1#1\n");
    sd = service_current(story_service(st));
    CHECK_EQ(sd->status, SD_IN_PROGRESS);
    story_at(st, MINUTES(30) - 1);
    story_clock(st);
    CHECK_EQ(sd->status, SD_IN_PROGRESS);
    story_at(st, MINUTES(30));
    story_clock(st);
    CHECK_EQ(sd->status, SD_ROLLBACK_FAILED);
}

TEST(the_time_of_a_hook_is_longer_by_that_in_which_naru_stood_still)
{
    cleanup_story struct story *st = waiting_for_a_call();
    const struct service_deployment *sd = service_current(story_service(st));

    story_at(st, MINUTES(12));
    stood_still(st, MINUTES(2));
    CHECK_EQ(sd->status, SD_IN_PROGRESS);
    strbuf_clear(&st->trace);
    story_answer(st, 1, OUTCOME_SUCCEEDED);
    CHECK_TRACE(st, "720000 SUCCEEDED h1#1 | start t1\n");
}

/* Its virtual machine was paused over night. */
TEST(a_start_is_given_the_time_in_which_naru_stood_still)
{
    cleanup_story struct story *st = story_new(&unchecked);

    story_pending(st, 1);
    story_at(st, HOURS(12));
    stood_still(st, HOURS(10));
    story_pending(st, 1);
    CHECK(task_is_wanted(story_task(st, 1)));
    story_at(st, HOURS(13) - 1);
    story_clock(st);
    CHECK(task_is_wanted(story_task(st, 1)));
    story_at(st, HOURS(13));
    story_clock(st);
    CHECK(!task_is_wanted(story_task(st, 1)));
}

/* What was told meanwhile is on its way. */
TEST(a_start_whose_time_ended_while_naru_stood_still_gets_a_moment)
{
    cleanup_story struct story *st = story_new(&unchecked);

    story_pending(st, 1);
    story_at(st, HOURS(3) + 3000);
    stood_still(st, 3000);
    CHECK(task_is_wanted(story_task(st, 1)));
    story_running(st, 1);
    CHECK_EQ(story_task(st, 1)->last_status, TASK_RUNNING);
}

/* Blue is t1 and serves, green is t2 and is being started. */
static struct story *
scaling_up(void)
{
    const struct story_options o = {.desired_count = 1, STORY_USUAL, .strategy = {.strategy = STRATEGY_BLUE_GREEN}};
    struct story *st = story_new(&o);

    story_run_and_heal(st, 1, 1);
    story_in_force(st);
    story_update(st, 2);
    CHECK_EQ(story_stage(st), STAGE_SCALE_UP);
    return st;
}

TEST(the_work_of_a_stage_is_given_the_time_in_which_naru_stood_still)
{
    cleanup_story struct story *st = scaling_up();

    story_running(st, 2);
    story_at(st, HOURS(60));
    stood_still(st, HOURS(50));
    story_running(st, 1);
    story_running(st, 2);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    CHECK_EQ(story_stage(st), STAGE_SCALE_UP);
    story_at(st, HOURS(74) - 1);
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    story_at(st, HOURS(74));
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_IN_PROGRESS);
}

/* Over the weekend, for instance. */
TEST(a_stage_has_its_whole_time_again)
{
    cleanup_story struct story *st = scaling_up();

    story_at(st, HOURS(60));
    story_restart(st);
    CHECK_EQ(story_stage(st), STAGE_SCALE_UP);
    story_run_and_heal(st, 2, 2);
    story_in_force(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    CHECK(story_stage(st) > STAGE_SCALE_UP);
}
