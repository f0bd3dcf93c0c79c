/* SPDX-License-Identifier: MIT */
/* A story is interrupted by the question what would happen, and goes on as if nobody had asked. */
#include "core/forecast.h"
#include "story.h"

static const struct story_options two = {.desired_count = 2, STORY_USUAL};

static struct story *
running(const struct story_options *options)
{
    struct story *st = story_new(options);

    if (options->gpus > 0)
        story_gpus(st, "h", "g1 g2");
    story_run_and_heal(st, 1, options->desired_count);
    story_at(st, 60000);
    story_clock(st);
    strbuf_clear(&st->trace);
    return st;
}

/* "START 2 web:2" ... without the texts of events. */
static void
write_lines(const struct forecast *f, struct strbuf *out)
{
    for (int i = 0; i < f->line_count; i++) {
        const struct forecast_line *l = &f->lines[i];
        if (l->what == FORECAST_EVENT)
            continue;
        strbuf_addf(out, "%lld %s", (long long)l->at_ms, forecast_what_name(l->what));
        if (l->text != NULL)
            strbuf_addf(out, " %s", l->text);
        else
            strbuf_addf(out, " %d %s", l->count, l->definition);
        strbuf_addf(out, " (%d/%d)\n", l->healthy, l->tasks);
    }
}

static void
ask(struct story *st, int definition, int desired_count, enum forecast_fault fault,
    struct forecast *out)
{
    const struct forecast_options options = {.service_arn = st->service,
                                             .start_ms = 300,
                                             .healthy_ms = 100,
                                             .drain_ms = 50,
                                             .stop_ms = 20,
                                             .fault = fault};
    struct event ev = {.type = EVENT_SERVICE_UPDATE};
    struct ev_service_update *u = &ev.service_update;
    struct err err = {0};

    u->service_arn = st->service;
    u->desired_count = desired_count;
    u->health_check_grace_s = -1;
    u->launch_type = -1;
    u->starts_deployment = definition > 0;
    u->task_definition_arn = definition > 0 ? st->definitions[definition - 1] : NULL;
    CHECK(forecast_run(st->core, &ev, st->now_ms, &options, out, &err));
}

TEST(a_rolling_update_is_foretold_and_nothing_is_touched)
{
    cleanup_story struct story *st = running(&two);
    cleanup_json struct json *before = core_row(st->core, ROW_SERVICE, st->service), *after = NULL;
    cleanup(strbuf_done) struct strbuf lines = {0};
    cleanup(forecast_done) struct forecast f;

    ask(st, 2, -1, FORECAST_NONE, &f);
    write_lines(&f, &lines);
    CHECK_TEXT(strbuf_cstr(&lines), "0 status IN_PROGRESS (2/4)\n"
                                    "0 start 2 web:2 (2/4)\n"
                                    "300 running 2 web:2 (2/4)\n"
                                    "400 healthy 2 web:2 (2/2)\n"
                                    "400 drain 2 web:1 (2/2)\n"
                                    "450 stop 2 web:1 (2/2)\n"
                                    "450 status SUCCESSFUL (2/2)\n"
                                    "470 stopped 2 web:1 (2/2)\n");
    CHECK(f.ends && f.starts_deployment);
    CHECK_EQ(f.status, SD_SUCCESSFUL);
    CHECK_EQ(f.live_ms, 450);
    CHECK_EQ(f.over_ms, 470);
    CHECK_EQ(f.healthy_min, 2);
    CHECK_EQ(f.total_max, 4);
    CHECK_EQ(f.least_healthy, 2);
    CHECK_EQ(f.most_tasks, 4);
    CHECK_EQ(f.most_memory_mib, 4 * 16);
    CHECK_TEXT(f.reason, "");
    after = core_row(st->core, ROW_SERVICE, st->service);
    CHECK(json_equal(before, after));
    story_update(st, 2); /* and it comes as foretold */
    CHECK_TRACE(st, "60000 update web:2 | start t3 start t4\n");
}

/* It can not be known what a hook will say; that it lets the deployment go on is what is asked about. */
TEST(hooks_are_foretold_to_succeed)
{
    static const char *const hooks[] = {"[{\"hookTargetArn\":\"http://h/\"}]",
                                        "[{\"hookTargetArn\":\"arn:aws:ecs:eu-west-1:000000000000:"
                                        "task-definition/web:3\"}]"};

    for (int i = 0; i < 2; i++) {
        struct story_options o = two;
        cleanup_story struct story *st = NULL;
        cleanup(strbuf_done) struct strbuf lines = {0};
        cleanup(forecast_done) struct forecast f;
        o.hooks = hooks[i];
        o.strategy = (struct strategy_config){
            .hooks = {{.kind = i == 0 ? HOOK_KIND_URL : HOOK_KIND_TASK,
                       .stages = 1 << STAGE_PRE_SCALE_UP, .timeout_min = 10}},
            .hook_count = 1};
        st = story_new(&o);
        if (i == 0)
            story_answer(st, 1, OUTCOME_SUCCEEDED);
        else
            story_stopped(st, 1, 0);
        story_run_and_heal(st, 1 + i, 2 + i);
        story_at(st, 60000);
        ask(st, 2, -1, FORECAST_NONE, &f);
        write_lines(&f, &lines);
        CHECK_TEXT(f.reason, "");
        CHECK_EQ(f.status, SD_SUCCESSFUL);
        CHECK_EQ(f.live_ms, i == 0 ? 1450 : 1750); /* the hook, or the start of its task on top */
        CHECK(strstr(strbuf_cstr(&lines), i == 0 ? "1000 start 2 web:2 (2/4)\n"
                                                 : "1300 start 2 web:2 (2/4)\n") != NULL);
    }
}

TEST(a_crash_is_foretold_with_its_rollback)
{
    const enum forecast_fault faults[] = {FORECAST_CRASHES_AT_START, FORECAST_CANNOT_PULL,
                                          FORECAST_NEVER_HEALTHY, FORECAST_IMAGE_MISSING};
    cleanup_story struct story *st = running(&two);

    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        cleanup(forecast_done) struct forecast f;
        ask(st, 2, -1, faults[i], &f);
        CHECK(f.ends);
        CHECK_EQ(f.status, SD_ROLLBACK_SUCCESSFUL);
        CHECK_EQ(f.least_healthy, 2);
        CHECK(f.reason[0] != '\0');
        CHECK((f.most_tasks == 2) == (faults[i] == FORECAST_IMAGE_MISSING));
    }
}

TEST(what_fails_its_probation_is_foretold_to_be_taken_back)
{
    cleanup_story struct story *st = running(&two);
    cleanup(forecast_done) struct forecast f;

    ask(st, 2, -1, FORECAST_CRASHES_LATER, &f);
    CHECK(f.ends);
    CHECK_EQ(f.status, SD_ROLLBACK_SUCCESSFUL);
    CHECK(f.reason[0] != '\0');
}

/* Two tasks that start after hours of nothing are given up one after the other (3 h each); without any
 * probation one that is healthy for two seconds passes for good, and then nobody takes it back. */
TEST(what_does_not_end_is_said_not_to_end)
{
    struct story_options o = two;
    cleanup_story struct story *st = NULL;
    cleanup(forecast_done) struct forecast hangs, flaps;

    o.tags = "[{\"key\":\"naru:probationSeconds\",\"value\":\"0\"}]";
    st = running(&o);

    ask(st, 2, -1, FORECAST_HANGS_AT_START, &hangs);
    CHECK(!hangs.ends && hangs.status == SD_IN_PROGRESS);
    CHECK_EQ(hangs.least_healthy, 2);
    ask(st, 2, -1, FORECAST_CRASHES_LATER, &flaps);
    CHECK(!flaps.ends && flaps.is_cut);
    CHECK_EQ(flaps.least_healthy, 0);
    CHECK(strstr(flaps.reason, "Not over after ") == flaps.reason);
}

TEST(bounds_that_leave_no_room_are_named)
{
    struct story_options o = two;
    cleanup_story struct story *st = NULL;
    cleanup(forecast_done) struct forecast f;

    o.maximum_percent = 100;
    st = running(&o);
    ask(st, 2, -1, FORECAST_NONE, &f);
    CHECK(!f.ends);
    CHECK(strstr(f.reason, "was unable to stop or start tasks during a deployment because of the "
                           "service deployment configuration.") != NULL);
}

TEST(a_host_that_is_full_is_named)
{
    cleanup_story struct story *st = running(&two);
    struct event host = {.type = EVENT_INSTANCE_REPORT};
    cleanup(forecast_done) struct forecast f;

    host.instance_report.host = "h";
    host.instance_report.is_connected = true;
    host.instance_report.cpu_total = 4096;
    host.instance_report.memory_total_mib = 2 * 16;
    story_tell(st, &host, "host");
    ask(st, 2, -1, FORECAST_NONE, &f);
    CHECK(!f.ends);
    CHECK(strstr(f.reason, "has insufficient memory available") != NULL);
    CHECK_EQ(f.most_memory_mib, 2 * 16);
}

TEST(a_lack_of_gpus_is_named_and_ends_when_an_old_task_may_go_first)
{
    struct story_options o = two;
    cleanup_story struct story *st = NULL;
    cleanup(forecast_done) struct forecast f, cured;

    o.gpus = 1;
    st = running(&o);
    ask(st, 2, -1, FORECAST_NONE, &f);
    CHECK(!f.ends);
    CHECK(strstr(f.reason, "has insufficient GPU resource available") != NULL);
    story_free(TAKE(st));
    o.minimum_healthy_percent = 50;
    st = running(&o);
    ask(st, 2, -1, FORECAST_NONE, &cured);
    CHECK(cured.ends && cured.status == SD_SUCCESSFUL);
}

TEST(a_changed_count_is_foretold_without_a_deployment)
{
    cleanup_story struct story *st = running(&two);
    cleanup(strbuf_done) struct strbuf lines = {0};
    cleanup(forecast_done) struct forecast f;

    ask(st, 0, 3, FORECAST_NONE, &f);
    write_lines(&f, &lines);
    CHECK_TEXT(strbuf_cstr(&lines), "0 start 1 web:1 (2/3)\n"
                                    "300 running 1 web:1 (2/3)\n"
                                    "400 healthy 1 web:1 (3/3)\n");
    CHECK(f.ends && !f.starts_deployment);
    CHECK_EQ(f.live_ms, 400);
}

TEST(names_of_faults_are_read_back)
{
    enum forecast_fault fault;

    for (int i = 0; i < FORECAST_FAULT_COUNT; i++) {
        CHECK(forecast_fault_parse(forecast_fault_name((enum forecast_fault)i), &fault));
        CHECK_EQ(fault, i);
    }
    CHECK(!forecast_fault_parse("crashes", &fault));
}

TEST(a_blue_green_deployment_is_foretold_to_its_end)
{
    struct story_options o = two;
    cleanup_story struct story *st = NULL;
    cleanup(strbuf_done) struct strbuf lines = {0};
    cleanup(forecast_done) struct forecast f;

    o.strategy = (struct strategy_config){.strategy = STRATEGY_BLUE_GREEN, .bake_min = 5};
    st = story_new(&o);
    story_run_and_heal(st, 1, 2);
    story_in_force(st);
    story_at(st, 300000);
    story_clock(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    ask(st, 2, -1, FORECAST_NONE, &f);
    CHECK(f.ends);
    write_lines(&f, &lines);
    CHECK_TEXT(strbuf_cstr(&lines), "0 status IN_PROGRESS (2/4)\n"
                                    "0 start 2 web:2 (2/4)\n"
                                    "300 running 2 web:2 (2/4)\n"
                                    "400 healthy 2 web:2 (4/4)\n"
                                    "300410 drain 2 web:1 (2/2)\n"
                                    "300460 stop 2 web:1 (2/2)\n"
                                    "300460 status SUCCESSFUL (2/2)\n"
                                    "300480 stopped 2 web:1 (2/2)\n");
}
