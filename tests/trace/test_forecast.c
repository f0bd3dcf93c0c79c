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

/* ---- what stands in the way, and what does not ---- */

static const char *
lines_of(const struct forecast *f, struct strbuf *out)
{
    strbuf_clear(out);
    write_lines(f, out);
    return strbuf_cstr(out);
}

static int
count_lines(const struct forecast *f, enum forecast_what what)
{
    int n = 0;

    for (int i = 0; i < f->line_count; i++)
        n += f->lines[i].what == what;
    return n;
}

TEST(with_a_fixed_port_an_old_task_has_to_go_first)
{
    struct story_options o = {.desired_count = 1, STORY_USUAL, .fixed_port = 8080};
    cleanup_story struct story *stuck = running(&o), *st = NULL;
    cleanup(strbuf_done) struct strbuf lines = {0};
    cleanup(forecast_done) struct forecast f, cured;

    ask(stuck, 2, -1, FORECAST_NONE, &f);
    CHECK(!f.ends);
    CHECK(strstr(f.reason, "is already using a port required by your task") != NULL);
    o.minimum_healthy_percent = 0;
    o.maximum_percent = 100;
    st = running(&o);
    ask(st, 2, -1, FORECAST_NONE, &cured);
    CHECK(cured.ends);
    CHECK_TEXT(lines_of(&cured, &lines), "0 status IN_PROGRESS (0/0)\n"
                                         "0 drain 1 web:1 (0/0)\n"
                                         "50 stop 1 web:1 (0/0)\n"
                                         "70 stopped 1 web:1 (0/1)\n"
                                         "70 start 1 web:2 (0/1)\n"
                                         "370 running 1 web:2 (0/1)\n"
                                         "470 healthy 1 web:2 (1/1)\n"
                                         "470 status SUCCESSFUL (1/1)\n");
    CHECK_EQ(cured.least_healthy, 0);
}

/* Else one of the new would be at the place of an old one, and wait until that is drained. */
TEST(ports_that_are_taken_are_not_given_to_new_tasks)
{
    static const int firsts[] = {49152, 64000}; /* those behind it; there are too few of them */

    for (size_t i = 0; i < ARRAY_COUNT(firsts); i++) {
        struct story_options o = two;
        cleanup_story struct story *st = NULL;
        cleanup(forecast_done) struct forecast f;
        o.desired_count = 0;
        st = story_new(&o);
        st->next_port = firsts[i];
        story_desired(st, 2);
        story_run_and_heal(st, 1, 2);
        ask(st, 2, -1, FORECAST_NONE, &f);
        CHECK(f.ends);
        CHECK_EQ(f.live_ms, 450);
    }
}

TEST(every_target_group_of_a_task_has_to_find_it_healthy)
{
    struct story_options o = two;
    cleanup_story struct story *st = NULL;
    cleanup(forecast_done) struct forecast f, sick;

    o.has_second_group = true;
    st = running(&o);
    ask(st, 2, -1, FORECAST_NONE, &f);
    CHECK(f.ends && f.status == SD_SUCCESSFUL);
    CHECK_EQ(f.live_ms, 450);
    CHECK_EQ(count_lines(&f, FORECAST_DRAIN), 1);
    ask(st, 2, -1, FORECAST_NEVER_HEALTHY, &sick);
    CHECK_EQ(sick.status, SD_ROLLBACK_SUCCESSFUL);
    CHECK_EQ(sick.least_healthy, 2);
}

/* A network of its own gives each task an address; its own health check is its verdict. */
TEST(tasks_with_addresses_and_health_checks_are_foretold)
{
    struct story_options o = two;
    cleanup_story struct story *st = NULL, *balanced = running(&two);
    cleanup(forecast_done) struct forecast f, sick, led;

    o.has_load_balancer = false;
    st = running(&o);
    story_define(st, "{\"networkMode\":\"awsvpc\",\"compatibilities\":[\"EC2\"],"
                     "\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"my-app:latest\","
                     "\"cpu\":10,\"memory\":16,\"essential\":true,\"healthCheck\":{\"command\":"
                     "[\"CMD-SHELL\",\"true\"]},\"portMappings\":[{\"containerPort\":80}]}]}");
    story_define(balanced, "{\"networkMode\":\"awsvpc\",\"compatibilities\":[\"EC2\"],"
                           "\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"my-app:latest\","
                           "\"cpu\":10,\"memory\":16,\"essential\":true,\"portMappings\":"
                           "[{\"containerPort\":80}]}]}");
    ask(balanced, 5, -1, FORECAST_NONE, &led); /* two targets of one port, at two addresses */
    CHECK(led.ends && led.status == SD_SUCCESSFUL);
    CHECK_EQ(led.live_ms, 450);
    ask(st, 5, -1, FORECAST_NONE, &f);
    CHECK(f.ends && f.status == SD_SUCCESSFUL);
    CHECK_EQ(f.live_ms, 400); /* nothing to drain from */
    ask(st, 5, -1, FORECAST_NEVER_HEALTHY, &sick);
    CHECK_EQ(sick.status, SD_ROLLBACK_SUCCESSFUL);
    CHECK_EQ(sick.least_healthy, 2);
    CHECK(count_lines(&sick, FORECAST_UNHEALTHY) > 0);
}

/* ---- what is under way ---- */

TEST(a_deployment_under_way_is_followed_to_its_end)
{
    cleanup_story struct story *st = running(&two);
    cleanup(forecast_done) struct forecast f;

    story_update(st, 2);
    story_running(st, 3);
    ask(st, 0, 3, FORECAST_NONE, &f);
    CHECK(f.ends && f.starts_deployment);
    CHECK_EQ(f.status, SD_SUCCESSFUL);
    CHECK_EQ(f.least_healthy, 2);
}

/* t3 and what was registered by hand have a place, and no word in the forecast of the service. */
TEST(tasks_and_targets_of_others_are_not_told_of)
{
    cleanup_story struct story *st = running(&two);
    cleanup(strbuf_done) struct strbuf lines = {0};
    cleanup(forecast_done) struct forecast f;

    story_run_task(st, 3, 1);
    story_targets(st, 9000, /* registers= */ true);
    ask(st, 0, 3, FORECAST_NONE, &f);
    CHECK_TEXT(lines_of(&f, &lines), "0 start 1 web:1 (2/3)\n"
                                     "300 running 1 web:1 (2/3)\n"
                                     "400 healthy 1 web:1 (3/3)\n");
    CHECK_EQ(f.most_memory_mib, 3 * 16);
}

/* The core asks again for what takes long; it happens once, and is told once. */
TEST(orders_that_take_long_are_told_once)
{
    cleanup_story struct story *st = running(&two);
    const struct forecast_options options = {.service_arn = st->service,
                                             .start_ms = 70000,
                                             .healthy_ms = 45000,
                                             .drain_ms = 25000,
                                             .stop_ms = 90000};
    struct event ev = {.type = EVENT_SERVICE_UPDATE,
                       .service_update = {.service_arn = st->service,
                                          .desired_count = -1,
                                          .health_check_grace_s = -1,
                                          .launch_type = -1,
                                          .starts_deployment = true,
                                          .task_definition_arn = st->definitions[1]}};
    cleanup(strbuf_done) struct strbuf lines = {0};
    cleanup(forecast_done) struct forecast f;
    struct err err;

    CHECK(forecast_run(st->core, &ev, st->now_ms, &options, &f, &err));
    CHECK_TEXT(lines_of(&f, &lines), "0 status IN_PROGRESS (2/4)\n"
                                     "0 start 2 web:2 (2/4)\n"
                                     "70000 running 2 web:2 (2/4)\n"
                                     "115000 healthy 2 web:2 (2/2)\n"
                                     "115000 drain 2 web:1 (2/2)\n"
                                     "140000 stop 2 web:1 (2/2)\n"
                                     "140000 status SUCCESSFUL (2/2)\n"
                                     "230000 stopped 2 web:1 (2/2)\n");
}

/* A task of the last release pulls since before: its order is no news. */
TEST(a_task_that_starts_already_is_not_started_once_more)
{
    cleanup_story struct story *st = running(&two);
    cleanup(strbuf_done) struct strbuf lines = {0};
    cleanup(forecast_done) struct forecast f;

    story_desired(st, 3);
    story_at(st, 61000);
    ask(st, 0, 4, FORECAST_NONE, &f);
    CHECK_TEXT(lines_of(&f, &lines), "0 start 1 web:1 (2/4)\n"
                                     "300 running 2 web:1 (2/4)\n"
                                     "400 healthy 2 web:1 (4/4)\n");
}

/* ---- what the copy brings along ---- */

TEST(the_task_of_a_hook_that_the_update_brings_is_known)
{
    cleanup_story struct story *st = running(&two);
    struct deployment_config config = story_service(st)->config;
    const struct forecast_options options = {.service_arn = st->service, .start_ms = 300};
    struct event ev = {.type = EVENT_SERVICE_UPDATE,
                       .service_update = {.service_arn = st->service,
                                          .desired_count = -1,
                                          .health_check_grace_s = -1,
                                          .launch_type = -1,
                                          .config = &config,
                                          .starts_deployment = true,
                                          .task_definition_arn = st->definitions[1]}};
    cleanup_json struct json *doc = NULL;
    cleanup(forecast_done) struct forecast f;
    struct err err;
    char text[ARN_SIZE + 64];

    snprintf(text, sizeof(text), "{\"lifecycleHooks\":[{\"hookTargetArn\":\"%s\"}]}",
             st->definitions[3]);
    doc = story_json(text);
    config.doc = doc;
    config.strategy = (struct strategy_config){.hooks = {{.kind = HOOK_KIND_TASK,
                                                          .stages = 1 << STAGE_PRE_SCALE_UP,
                                                          .timeout_min = 10}},
                                               .hook_count = 1};
    CHECK(forecast_run(st->core, &ev, st->now_ms, &options, &f, &err));
    CHECK_EQ(f.status, SD_SUCCESSFUL);
    CHECK_TEXT(f.reason, "");
    CHECK_EQ(f.live_ms, 300 + 1000 + 300); /* the hook's task, then the others start */
}

TEST(providers_and_load_balancers_are_there_in_the_copy)
{
    static const struct story_host hosts[] = {{"a1", "a", NULL, 1000, 1000},
                                              {"b1", "b", NULL, 1000, 1000},
                                              {NULL, NULL, NULL, 0, 0}};
    struct story_options o = two;
    cleanup_story struct story *st = NULL;
    struct load_balancer *lb = mem_new(sizeof(*lb));
    struct event ev = {.type = EVENT_LOAD_BALANCER_PUT, .load_balancer_put = {lb}};
    cleanup(forecast_done) struct forecast f;

    o.hosts = hosts;
    o.providers = "[{\"capacityProvider\":\"pb\",\"weight\":1}]";
    st = running(&o);
    text_copy(lb->arn, ARN_SIZE,
              STR("arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/app/lb/0"));
    story_tell(st, &ev, "load balancer");
    ask(st, 0, 3, FORECAST_NONE, &f);
    CHECK(f.ends);
    CHECK_EQ(f.most_tasks, 3);
    CHECK_TEXT(f.reason, "");
}

TEST(more_tasks_than_can_be_copied_are_refused)
{
    cleanup_story struct story *st = running(&two);
    const struct forecast_options options = {.service_arn = st->service};
    const struct event clock = {.type = EVENT_CLOCK};
    struct event host = {.type = EVENT_INSTANCE_REPORT}, run = {.type = EVENT_TASK_RUN};
    struct forecast f;
    struct err err;

    host.instance_report.host = "h";
    host.instance_report.is_connected = true;
    host.instance_report.cpu_total = host.instance_report.memory_total_mib = 1000000;
    story_tell(st, &host, "host");
    run.task_run.cluster_arn = st->cluster;
    run.task_run.task_definition_arn = st->definitions[0];
    run.task_run.launch_type = LAUNCH_EC2;
    run.task_run.count = 1;
    for (int i = 2; i < FORECAST_TASKS_MAX; i++)
        core_step(st->core, &run, st->now_ms, &st->effects); /* too many to be named in a story */
    CHECK(forecast_run(st->core, &clock, st->now_ms, &options, &f, &err));
    forecast_done(&f);
    core_step(st->core, &run, st->now_ms, &st->effects);
    CHECK(!forecast_run(st->core, &clock, st->now_ms, &options, &f, &err));
    CHECK_EQ(err.code, ERR_LIMIT_EXCEEDED);
    CHECK_TEXT(err.message, "There are more than 2000 tasks, the most that a forecast can copy.");
    core_check(st->core);
}

/* ---- services without deployments of their own ---- */

static struct story *
external(int desired_count, bool has_set)
{
    struct story_options o = {.desired_count = desired_count, .minimum_healthy_percent = 100,
                              .maximum_percent = 200,
                              .doc = "{\"deploymentController\":{\"type\":\"EXTERNAL\"}}"};
    struct story *st = story_new(&o);
    struct event ev = {.type = EVENT_TASK_SET_CREATE};
    struct ev_task_set_create *c = &ev.task_set_create;

    if (!has_set)
        return st;
    c->service_arn = st->service;
    c->external_id = c->client_token = "release";
    c->scale = SCALE_WHOLE;
    c->task_definition_arn = st->definitions[0];
    c->launch_type = LAUNCH_EC2;
    story_tell(st, &ev, "create");
    story_run_and_heal(st, 1, desired_count);
    story_at(st, 60000);
    story_clock(st);
    return st;
}

/* Nobody was made PRIMARY yet: its tasks are waited for all the same. */
TEST(task_sets_are_foretold_until_they_are_as_large_as_they_should_be)
{
    cleanup_story struct story *st = external(2, /* has_set= */ true);
    cleanup(strbuf_done) struct strbuf lines = {0};
    cleanup(forecast_done) struct forecast f, full;

    ask(st, 0, 4, FORECAST_NONE, &f);
    CHECK(f.ends && !f.starts_deployment);
    CHECK_TEXT(lines_of(&f, &lines), "0 start 2 web:1 (2/4)\n"
                                     "300 running 2 web:1 (2/4)\n");
    CHECK_EQ(f.live_ms, 300); /* it has no checks */
    story_host(st, /* cpu= */ 30, /* is_connected= */ true);
    ask(st, 0, 4, FORECAST_NONE, &full);
    CHECK(!full.ends);
    CHECK(strstr(full.reason, "has insufficient CPU units available") != NULL);
}

TEST(a_service_without_task_sets_has_nothing_to_wait_for)
{
    cleanup_story struct story *st = external(1, /* has_set= */ false);
    cleanup(forecast_done) struct forecast f;

    ask(st, 0, 3, FORECAST_NONE, &f);
    CHECK(f.ends);
    CHECK_EQ(f.most_tasks, 0);
    CHECK_EQ(f.over_ms, 0);
    CHECK_TEXT(f.reason, "");
}
