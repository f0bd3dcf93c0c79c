/* SPDX-License-Identifier: MIT */
/* What stands around a deployment: clusters and hosts, task definitions, load balancers, addresses, tags,
 * and rows that come back from the store. */
#include "story.h"
#include "core/index.h"

static const struct story_options none = {STORY_USUAL};

static struct json *
parsed(const char *text)
{
    struct err err;
    struct json *j = json_parse(str_of(text), &err);

    CHECK(j != NULL);
    return j;
}

static void
tell_load_balancer(struct story *st, const char *arn)
{
    struct load_balancer *lb = mem_new(sizeof(*lb));
    const struct event ev = {.type = EVENT_LOAD_BALANCER_PUT,
                             .load_balancer_put = {.load_balancer = lb}};

    text_copy(lb->arn, sizeof(lb->arn), str_of(arn));
    story_tell(st, &ev, "load-balancer");
}

static void
tell_listener(struct story *st, const char *arn, const char *load_balancer, int port)
{
    struct listener *l = mem_new(sizeof(*l));
    const struct event ev = {.type = EVENT_LISTENER_PUT, .listener_put = {.listener = l}};
    char text[ARN_SIZE + 64];

    snprintf(text, sizeof(text), "[{\"Type\":\"forward\",\"TargetGroupArn\":\"%s\"}]", st->group);
    text_copy(l->arn, sizeof(l->arn), str_of(arn));
    text_copy(l->load_balancer_arn, sizeof(l->load_balancer_arn), str_of(load_balancer));
    l->port = port;
    l->actions = parsed(text);
    story_tell(st, &ev, "listener");
}

static void
tell_host(struct story *st, const char *name, int cpu, int memory_mib, bool is_connected)
{
    struct event ev = {.type = EVENT_INSTANCE_REPORT};

    ev.instance_report = (struct ev_instance_report){.host = name,
                                                     .is_connected = is_connected,
                                                     .cpu_total = cpu,
                                                     .memory_total_mib = memory_mib};
    story_tell(st, &ev, "host");
}

static struct service *
tell_service(struct story *st, const char *name, int definition, enum launch_type launch_type,
             const char *container)
{
    struct service_load_balancer lb = {.container_port = 80};
    struct deployment_config config = {.minimum_healthy_percent = 100, .maximum_percent = 200};
    struct event ev = {.type = EVENT_SERVICE_CREATE};

    text_copy(lb.target_group_arn, ARN_SIZE, str_of(st->group));
    text_copy(lb.container_name, sizeof(lb.container_name), str_of(container));
    ev.service_create = (struct ev_service_create){
        .cluster_arn = st->cluster,
        .name = name,
        .created_by = "",
        .client_token = "",
        .desired_count = 1,
        .task_definition_arn = st->definitions[definition - 1],
        .launch_type = launch_type,
        .load_balancers = &lb,
        .load_balancer_count = container[0] != '\0',
        .config = &config,
    };
    story_tell(st, &ev, name);
    return core_service(st->core, st->core->clusters, str_of(name));
}

static void
tell_task(struct story *st, struct ev_task_state task, const char *words)
{
    const struct event ev = {.type = EVENT_TASK_STATE, .task_state = task};

    story_tell(st, &ev, words);
}

/* ---- load balancing ---- */

TEST(load_balancers_and_listeners_come_change_and_go)
{
    cleanup_story struct story *st = story_new(&none);
    struct event gone = {.type = EVENT_LOAD_BALANCER_DELETE}, ev = {.type = EVENT_LISTENER_DELETE};

    strbuf_clear(&st->trace);
    tell_load_balancer(st, "lb1");
    tell_load_balancer(st, "lb2");
    tell_load_balancer(st, "lb1"); /* changed */
    tell_listener(st, "l1", "lb1", 80);
    tell_listener(st, "l2", "lb2", 81);
    tell_listener(st, "l3", "lb1", 82);
    tell_listener(st, "l1", "lb1", 83); /* changed */
    CHECK_EQ(core_listener(st->core, "l1")->port, 83);
    CHECK(core_target_group_in_use(st->core, st->group));
    CHECK(!core_target_group_in_use(st->core, "another"));
    story_restart(st);
    CHECK_EQ(core_listener(st->core, "l1")->port, 83);
    gone.load_balancer_delete.arn = "lb1"; /* and its listeners */
    story_tell(st, &gone, "delete-load-balancer");
    CHECK(core_load_balancer(st->core, "lb1") == NULL && core_listener(st->core, "l1") == NULL);
    CHECK(core_listener(st->core, "l3") == NULL && core_listener(st->core, "l2") != NULL);
    strbuf_clear(&st->trace);
    story_tell(st, &gone, "delete-load-balancer"); /* again: succeeds, as in AWS */
    CHECK_TRACE(st, "0 delete-load-balancer | -\n");
    tell_listener(st, "l4", "lb2", 84);
    ev.listener_delete.arn = st->core->listeners->next->arn;
    story_tell(st, &ev, "delete-listener");
    ev.listener_delete.arn = st->core->listeners->arn;
    story_tell(st, &ev, "delete-listener");
    CHECK(!core_target_group_in_use(st->core, st->group));
}

static void
tell_rule(struct story *st, const char *arn, const char *listener, int priority, const char *group)
{
    struct rule *r = mem_new(sizeof(*r));
    const struct event ev = {.type = EVENT_RULE_PUT, .rule_put = {.rule = r}};
    char text[ARN_SIZE + 64];

    snprintf(text, sizeof(text), "[{\"Type\":\"forward\",\"TargetGroupArn\":\"%s\"}]", group);
    text_copy(r->arn, sizeof(r->arn), str_of(arn));
    text_copy(r->listener_arn, sizeof(r->listener_arn), str_of(listener));
    r->priority = priority;
    r->conditions = parsed("[{\"Field\":\"path-pattern\",\"Values\":[\"/a\"]}]");
    r->actions = parsed(text);
    story_tell(st, &ev, "rule");
}

TEST(rules_come_change_places_and_go_with_their_listener)
{
    cleanup_story struct story *st = story_new(&none);
    struct event gone = {.type = EVENT_RULE_DELETE}, ev = {.type = EVENT_RULE_PRIORITIES};
    struct event tags = {.type = EVENT_TAGS_SET};
    const struct rule_priority swap[] = {{"r1", 20}, {"r2", 10}};
    cleanup_json struct json *some = parsed("[{\"Key\":\"a\",\"Value\":\"b\"}]");

    tell_load_balancer(st, "lb1");
    tell_listener(st, "l1", "lb1", 80);
    tell_listener(st, "l2", "lb1", 81);
    strbuf_clear(&st->trace);
    tell_rule(st, "r1", "l1", 10, "group1");
    tell_rule(st, "r2", "l1", 20, "group2");
    tell_rule(st, "r3", "l2", 10, "group3"); /* the same place, of another listener */
    CHECK(core_target_group_in_use(st->core, "group2"));
    tell_rule(st, "r2", "l1", 20, "group4"); /* changed */
    CHECK(!core_target_group_in_use(st->core, "group2"));
    CHECK(core_target_group_in_use(st->core, "group4"));
    ev.rule_priorities = (struct ev_rule_priorities){swap, 2};
    story_tell(st, &ev, "priorities"); /* no two have one meanwhile: core_check() is asked */
    tags.tags_set = (struct ev_tags_set){.arn = "r1", .tags = some};
    story_tell(st, &tags, "tags");
    story_restart(st);
    core_check(st->core);
    CHECK_EQ(core_rule(st->core, "r1")->priority, 20);
    CHECK_EQ(core_rule(st->core, "r2")->priority, 10);
    CHECK(json_equal(core_rule(st->core, "r1")->tags, some));
    gone.rule_delete.arn = "r1";
    story_tell(st, &gone, "delete-rule");
    CHECK(core_rule(st->core, "r1") == NULL && core_rule(st->core, "r2") != NULL);
    CHECK(!core_target_group_in_use(st->core, "group1"));
    ev = (struct event){.type = EVENT_LISTENER_DELETE, .listener_delete = {.arn = "l1"}};
    story_tell(st, &ev, "delete-listener"); /* and its rules */
    CHECK(core_rule(st->core, "r2") == NULL && core_rule(st->core, "r3") != NULL);
    story_restart(st); /* their rows too */
    CHECK(core_rule(st->core, "r2") == NULL && core_rule(st->core, "r3") != NULL);
    ev = (struct event){.type = EVENT_LOAD_BALANCER_DELETE, .load_balancer_delete = {.arn = "lb1"}};
    story_tell(st, &ev, "delete-load-balancer"); /* and theirs */
    CHECK(core_rule(st->core, "r3") == NULL && st->core->rules == NULL);
    CHECK(!core_target_group_in_use(st->core, "group3"));
}

TEST(a_changed_target_group_keeps_its_targets)
{
    cleanup_story struct story *st = story_new(&none);
    struct target_group *copy = mem_new(sizeof(*copy)), *other = mem_new(sizeof(*other));
    struct event ev = {.type = EVENT_TARGET_GROUP_PUT}, gone = {.type = EVENT_TARGET_GROUP_DELETE};

    story_targets(st, 5000, true);
    text_copy(copy->arn, sizeof(copy->arn), str_of(st->group));
    copy->deregistration_delay_s = 5;
    ev.target_group_put.target_group = copy;
    story_tell(st, &ev, "group");
    CHECK_EQ(core_target_group(st->core, st->group)->deregistration_delay_s, 5);
    CHECK_EQ(core_target_group(st->core, st->group)->target_count, 1);
    text_copy(other->arn, sizeof(other->arn), STR("other"));
    ev.target_group_put.target_group = other;
    story_tell(st, &ev, "group");
    story_targets(st, 5000, false);
    story_at(st, 1000);
    strbuf_clear(&st->trace);
    story_restart(st); /* a target made by hand is asked for again, and has its whole time again */
    CHECK_TRACE(st, "1000 restart | deregister t0\n");
    CHECK_EQ(core_deadline_ms(st->core) - st->start_ms, 1000 + 5000 + 70000);
    gone.target_group_delete.arn = st->group; /* with a target that nobody owns */
    story_tell(st, &gone, "delete-group");
    CHECK(core_target_group(st->core, "other") != NULL);
    gone.target_group_delete.arn = "other";
    story_tell(st, &gone, "delete-group");
    CHECK(core_target_group(st->core, st->group) == NULL);
}

TEST(reports_about_what_is_gone_say_nothing)
{
    cleanup_story struct story *st = story_new(&none);
    struct event health = {.type = EVENT_TARGET_HEALTH}, drained = {.type = EVENT_TARGET_DRAINED};
    struct event image = {.type = EVENT_IMAGE_RESOLVED};

    health.target_health = (struct ev_target_health){
        .target_group_arn = "gone", .target_id = "x", .port = 1, .registration = 1,
        .state = TARGET_healthy};
    drained.target_drained = (struct ev_target_drained){
        .target_group_arn = "gone", .target_id = "x", .port = 1, .registration = 1};
    image.image_resolved = (struct ev_image_resolved){.service_arn = "gone", .revision_arn = "gone"};
    strbuf_clear(&st->trace);
    story_tell(st, &health, "health");
    story_tell(st, &drained, "drained");
    story_tell(st, &image, "image");
    tell_task(st, (struct ev_task_state){.task_id = "gone", .status = TASK_RUNNING}, "task");
    story_targets(st, 5000, true);
    drained.target_drained.target_group_arn = st->group; /* known, and not draining */
    drained.target_drained.target_id = st->core->instances->id;
    drained.target_drained.port = 5000;
    story_tell(st, &drained, "drained");
    CHECK_TRACE(st, "0 health | -\n0 drained | -\n0 image | -\n0 task | -\n"
                    "0 register-targets | register t0\n0 drained | -\n");
    health.target_health.target_group_arn = st->group; /* one that no task owns */
    health.target_health.target_id = st->core->instances->id;
    health.target_health.port = 5000;
    story_tell(st, &health, "health");
    story_tell(st, &health, "health");
    CHECK_EQ(core_target_group(st->core, st->group)->targets->state, TARGET_healthy);
    health.target_health.description = "another word for it";
    story_tell(st, &health, "health");
    CHECK_TEXT(core_target_group(st->core, st->group)->targets->description, "another word for it");
}

TEST(an_operators_target_that_comes_back_has_not_left)
{
    cleanup_story struct story *st = story_new(&none);
    const struct target_group *tg = core_target_group(st->core, st->group);
    int64_t first;

    story_targets(st, 5000, true);
    first = tg->targets->registration;
    story_targets(st, 5001, false); /* another port: nothing */
    CHECK_EQ(tg->targets->state, TARGET_initial);
    story_targets(st, 5000, false);
    story_targets(st, 5000, true);
    CHECK_EQ(tg->target_count, 1);
    CHECK_EQ(tg->targets->state, TARGET_initial);
    CHECK(tg->targets->registration > first); /* a late "drained" is about the earlier one */
    strbuf_clear(&st->trace);
    story_restart(st);
    CHECK_TRACE(st, "0 restart | register t0\n");
}

TEST(a_task_takes_over_the_target_that_an_operator_made_for_it)
{
    cleanup_story struct story *st = story_new(&none);
    struct event ev = {.type = EVENT_TARGET_HEALTH};
    const struct task_target *tt;

    story_targets(st, 5000, true);
    ev.target_health = (struct ev_target_health){.target_group_arn = st->group,
                                                 .target_id = st->core->instances->id,
                                                 .port = 5000,
                                                 .registration = 1,
                                                 .state = TARGET_unavailable};
    story_tell(st, &ev, "unavailable"); /* checks are off */
    story_desired(st, 1);
    st->next_port = 5000;
    story_running(st, 1);
    tt = &story_task(st, 1)->targets[0];
    CHECK(tt->is_registered && tt->state == TARGET_unavailable);
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).healthy, 1);
    ev.target_health.state = TARGET_draining; /* only we say that */
    story_tell(st, &ev, "draining");
    CHECK_EQ(tt->state, TARGET_unavailable);
    ev.target_health.state = TARGET_unhealthy; /* without a word */
    story_tell(st, &ev, "unhealthy");
    CHECK(story_has_event(st, "due to (reason Health checks failed)"));
}

/* ---- addresses ---- */

#define DEFINITION(mode, more)                                                                    \
    "{\"networkMode\":\"" mode "\",\"compatibilities\":[\"EC2\",\"FARGATE\"],\"cpu\":\"256\","    \
    "\"memory\":\"512\",\"containerDefinitions\":[" more "{\"name\":\"app\",\"image\":\"app:1\"," \
    "\"essential\":true}]}"

TEST(a_task_with_an_address_of_its_own_waits_for_it)
{
    cleanup_story struct story *st = story_new(&none);
    const struct service *s;
    char id[ID_SIZE];

    story_define(st, DEFINITION("awsvpc", ""));
    s = tell_service(st, "own", 5, LAUNCH_FARGATE, "app");
    text_copy(id, ID_SIZE, str_of(s->live->id));
    strbuf_clear(&st->trace);
    tell_task(st, (struct ev_task_state){.task_id = id, .status = TASK_PENDING,
                                         .pull_started_at_ms = 1}, "pulling");
    tell_task(st, (struct ev_task_state){.task_id = id, .status = TASK_PENDING,
                                         .pull_started_at_ms = 9, .pull_stopped_at_ms = 2}, "pulled");
    tell_task(st, (struct ev_task_state){.task_id = id, .status = TASK_RUNNING}, "up");
    CHECK_TRACE(st, "0 pulling | -\n0 pulled | -\n0 up | -\n");
    for (int i = 0; i < 2; i++) /* said twice is said once */
        tell_task(st, (struct ev_task_state){.task_id = id, .status = TASK_RUNNING,
                                             .address = "10.0.0.7", .mac_address = "0a:1"}, "address");
    CHECK_TRACE(st, "0 address | register t1\n0 address | -\n");
    CHECK_TEXT(s->live->targets[0].target_id, "10.0.0.7");
    CHECK_EQ(s->live->targets[0].port, 80);
    CHECK_TEXT(s->live->mac_address, "0a:1");
    CHECK(s->live->pull_started_at_ms == 1 && s->live->pull_stopped_at_ms == 2);
    CHECK(s->live->attachment_id[0] != '\0');
}

/* It was started again in place; whoever was sent to the old address is let go first. */
TEST(a_task_that_got_another_address_is_registered_there)
{
    cleanup_story struct story *st = story_new(&none);
    const struct service *s;
    struct ev_task_state up = {.status = TASK_RUNNING, .address = "10.0.0.7"};
    struct event sick = {.type = EVENT_TARGET_HEALTH};
    char want[128];

    story_define(st, DEFINITION("awsvpc", ""));
    s = tell_service(st, "own", 5, LAUNCH_FARGATE, "app");
    up.task_id = s->live->id;
    tell_task(st, up, "up");
    CHECK_TEXT(s->live->targets[0].target_id, "10.0.0.7");
    strbuf_clear(&st->trace);
    up.address = "10.0.0.8";
    tell_task(st, up, "moved");
    CHECK_TRACE(st, "0 moved | deregister t1\n");
    story_drained(st, 1);
    CHECK_TRACE(st, "0 drained t1 | register t1\n");
    CHECK_TEXT(s->live->targets[0].target_id, "10.0.0.8");
    sick.target_health = (struct ev_target_health){.target_group_arn = st->group,
                                                   .target_id = "10.0.0.8",
                                                   .port = 80,
                                                   .registration = story_registration(st, 1),
                                                   .state = TARGET_unhealthy};
    snprintf(want, sizeof(want), "(service own) (task %s) (port 80) is unhealthy in", s->live->id);
    story_tell(st, &sick, "unhealthy"); /* it has no instance that could be named */
    CHECK(strstr(s->events[0].message, want) != NULL || strstr(s->events[1].message, want) != NULL);
}

TEST(a_task_on_the_hosts_network_listens_on_the_containers_port)
{
    cleanup_story struct story *st = story_new(&none);
    const struct service *s;

    story_define(st, DEFINITION("host", ""));
    s = tell_service(st, "host", 5, LAUNCH_EC2, "app");
    tell_task(st, (struct ev_task_state){.task_id = s->live->id, .status = TASK_RUNNING}, "up");
    CHECK_EQ(s->live->targets[0].port, 80);
    CHECK_TEXT(s->live->targets[0].target_id, st->core->instances->id);
}

TEST(only_a_bound_tcp_port_of_the_named_container_takes_traffic)
{
    cleanup_story struct story *st = story_new(&none);
    struct network_binding log = {.container_port = 80, .host_port = 1000},
                           app[3] = {{.container_port = 81, .host_port = 1001},
                                     {.container_port = 80, .host_port = 1002, .is_udp = true},
                                     {.container_port = 80, .host_port = 0}};
    struct task_container c[2] = {{.name = "log", .bindings = &log, .binding_count = 1},
                                  {.name = "app", .bindings = app, .binding_count = 3}};
    struct ev_task_state ev = {.status = TASK_RUNNING, .containers = c, .container_count = 2};
    const struct service *s;

    story_define(st, DEFINITION("bridge", "{\"name\":\"log\",\"image\":\"log:1\"},"));
    s = tell_service(st, "two", 5, LAUNCH_EC2, "app");
    ev.task_id = s->live->id;
    tell_task(st, ev, "up"); /* Docker has not bound it yet */
    CHECK(!s->live->targets[0].is_registered);
    app[2].host_port = 1003;
    tell_task(st, ev, "up");
    CHECK(s->live->targets[0].is_registered);
    CHECK_EQ(s->live->targets[0].port, 1003);
    strbuf_clear(&st->trace);
    log.host_port = 2000; /* the other container's port is nobody's business */
    tell_task(st, ev, "other moved");
    app[2].host_port = 1004;
    tell_task(st, ev, "moved");
    CHECK_TRACE(st, "0 other moved | -\n"
                    "0 moved | deregister t1\n");
}

/* ---- why a task stopped ---- */

TEST(a_task_that_never_ran_names_the_container_that_would_not_start)
{
    static const struct {
        const char *reason, *want;
    } rows[] = {{"OCI runtime create failed", "OCI runtime create failed"}, {"", "Task failed to start"}};
    cleanup_story struct story *st = story_new(&none);

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct task_container c = {.name = "app", .last_status = TASK_STOPPED};
        struct task *t;
        text_copy(c.reason, sizeof(c.reason), str_of(rows[i].reason));
        story_run_task(st, 1, 1);
        t = st->core->tasks;
        tell_task(st, (struct ev_task_state){.task_id = t->id, .status = TASK_STOPPED, .reason = "",
                                             .containers = &c, .container_count = 1}, "stopped");
        CHECK_EQ(t->stop_code, STOP_TaskFailedToStart);
        CHECK_TEXT(t->stopped_reason, rows[i].want);
    }
}

TEST(a_running_task_that_the_runtime_lost_says_so)
{
    cleanup_story struct story *st = story_new(&none);
    struct task *t;

    story_run_task(st, 1, 1);
    t = st->core->tasks;
    story_running(st, 1);
    tell_task(st, (struct ev_task_state){.task_id = t->id, .status = TASK_STOPPED,
                                         .is_infrastructure = true}, "lost");
    CHECK_EQ(t->stop_code, STOP_TerminationNotice);
    CHECK_TEXT(t->stopped_reason, "The container runtime lost the task.");
}

/* The log of a health check comes with each report; only a new one is written down. */
TEST(what_a_health_check_said_is_kept_once)
{
    cleanup_story struct story *st = story_new(&none);
    struct ev_task_state ev = {.status = TASK_RUNNING, .health_log = "cannot connect"};
    const struct task *t;
    int version;

    story_run_task(st, 1, 1);
    t = st->core->tasks;
    ev.task_id = t->id;
    tell_task(st, ev, "sick");
    CHECK_TEXT(json_get_cstr(t->evidence, "healthLog", ""), "cannot connect");
    version = t->version;
    tell_task(st, ev, "sick");
    CHECK_EQ(t->version, version);
    ev.health_log = "cannot connect\nno answer";
    tell_task(st, ev, "sick");
    CHECK_TEXT(json_get_cstr(t->evidence, "healthLog", ""), "cannot connect\nno answer");
    CHECK_EQ(t->version, version + 1);
}

TEST(an_override_of_the_size_counts_if_it_is_one)
{
    cleanup_story struct story *st = story_new(&none);
    struct event ev = {.type = EVENT_TASK_RUN};
    static const struct {
        const char *overrides;
        int cpu;
    } rows[] = {{"{\"cpu\":\"128\"}", 128}, {"{\"cpu\":\"0\"}", 256}, {"{\"cpu\":\"x\"}", 256},
                {"{\"cpu\":\"3000000000\"}", 256},
                {"{\"containerOverrides\":[{\"name\":\"app\",\"cpu\":64}]}", 256}}; /* within the task's */

    story_define(st, DEFINITION("bridge", ""));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        cleanup_json struct json *overrides = parsed(rows[i].overrides);
        ev.task_run = (struct ev_task_run){.cluster_arn = st->cluster,
                                           .task_definition_arn = st->definitions[4],
                                           .count = 1,
                                           .group = "mine",
                                           .overrides = overrides};
        story_tell(st, &ev, "run");
        CHECK_EQ(st->core->tasks->cpu, rows[i].cpu);
        CHECK_TEXT(st->core->tasks->group, "mine");
    }
}

TEST(overrides_of_containers_add_up_where_the_task_has_no_size)
{
    cleanup_story struct story *st = story_new(&none);
    cleanup_json struct json *overrides = parsed(
        "{\"containerOverrides\":[{\"name\":\"app\",\"cpu\":64,\"memory\":128}]}");
    struct event ev = {.type = EVENT_TASK_RUN};

    ev.task_run = (struct ev_task_run){.cluster_arn = st->cluster,
                                       .task_definition_arn = st->definitions[0],
                                       .count = 1,
                                       .group = "mine",
                                       .overrides = overrides};
    story_tell(st, &ev, "run");
    CHECK_EQ(st->core->tasks->cpu, 64);
    CHECK_EQ(st->core->tasks->memory_mib, 128);
    CHECK_EQ(st->core->index->hosts->cpu_used, 64);
    CHECK_EQ(st->core->index->hosts->memory_used_mib, 128);
}

/* ---- clusters and hosts ---- */

TEST(a_cluster_changes_ends_and_its_name_is_used_again)
{
    cleanup_story struct story *st = story_new(&none);
    cleanup_json struct json *doc = parsed("{\"settings\":[]}");
    struct event create = {.type = EVENT_CLUSTER_CREATE}, gone = {.type = EVENT_CLUSTER_DELETE};
    struct event change = {.type = EVENT_CLUSTER_UPDATE};
    struct cluster *c;

    create.cluster_create = (struct ev_cluster_create){.region = "us-east-1", .name = "c"};
    story_tell(st, &create, "cluster"); /* the same name in another region */
    c = core_cluster(st->core, "us-east-1", STR("c"));
    CHECK(c != NULL && c != core_cluster(st->core, "eu-west-1", STR("c")));
    CHECK(core_cluster(st->core, "eu-west-3", STR("c")) == NULL);
    change.cluster_update = (struct ev_cluster_update){.arn = c->arn, .doc = doc};
    story_tell(st, &change, "update-cluster");
    CHECK(json_equal(c->doc, doc));
    CHECK(core_service(st->core, c, STR("web")) == NULL); /* it is in the other one */
    CHECK(core_service(st->core, c, str_of(st->service)) == NULL);
    CHECK(core_service(st->core, NULL, STR("web")) == NULL);
    CHECK(core_service(st->core, st->core->clusters, str_of(st->service)) == story_service(st));
    CHECK(core_task(st->core, NULL, STR("x")) == NULL && core_task(st->core, c, STR("x")) == NULL);
    gone.cluster_delete.arn = c->arn;
    story_tell(st, &gone, "delete-cluster");
    CHECK_EQ(c->status, CLUSTER_INACTIVE);
    tell_host(st, "h", 4096, 4096, true); /* it does not register there again */
    story_tell(st, &create, "cluster");
    CHECK_EQ(core_cluster(st->core, "us-east-1", STR("c"))->status, CLUSTER_ACTIVE);
    story_restart(st);
    CHECK(core_cluster(st->core, "us-east-1", STR("c")) != NULL);
}

TEST(a_second_host_takes_what_the_first_has_no_room_for)
{
    cleanup_story struct story *st = story_new(&none);
    char name[80];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    tell_host(st, name, 10, 10, true); /* no host has such a name: nobody registers */
    CHECK(st->core->instances->next == NULL);
    tell_host(st, "h", 10, 4096, true);
    tell_host(st, "h2", 4096, 16, true);
    story_run_task(st, 1, 2);
    CHECK_EQ(st->core->created_count, 2);
    CHECK(strcmp(story_task(st, 1)->instance_arn, story_task(st, 2)->instance_arn) != 0);
    story_run_task(st, 1, 1);
    CHECK_EQ(st->core->created_count, 0);
    CHECK_TEXT(st->core->run_failure, "RESOURCE:CPU");
    tell_host(st, "h", 10, 4096, false); /* the reason of one that is connected says more */
    story_run_task(st, 1, 1);
    CHECK_TEXT(st->core->run_failure, "RESOURCE:MEMORY");
    story_define(st, DEFINITION("awsvpc", ""));
    CHECK(tell_service(st, "own", 5, LAUNCH_FARGATE, "")->live != NULL); /* one agent is enough */
    story_restart(st);
    CHECK(!core_host(st->core, "h")->is_connected && core_host(st->core, "h2")->is_connected);
}

/* Where tasks may go is known by what changed; of more changes than are noted the last one counts all
 * the same. */
TEST(a_machine_that_changed_five_thousand_times_is_seen_as_it_is)
{
    cleanup_story struct story *st = story_new(&none);

    story_run_task(st, 1, 1); /* the instances are looked at */
    for (int i = 0; i < 5000; i++)
        tell_host(st, "h", i % 2 == 0 ? 1000 : 2000, 4096, true);
    tell_host(st, "h", 30, 4096, true);
    strbuf_clear(&st->trace);
    story_desired(st, 4);
    CHECK_TRACE(st, "0 desired 4 | start t2 start t3\n"); /* ten for each, and t1 has ten */
}

TEST(without_an_instance_or_an_agent_a_service_says_so)
{
    cleanup_story struct story *st = story_new(&none);
    struct event create = {.type = EVENT_CLUSTER_CREATE}, gone = {.type = EVENT_CLUSTER_DELETE};
    const struct service *s;

    story_define(st, DEFINITION("awsvpc", ""));
    tell_host(st, "h", 4096, 4096, false);
    s = tell_service(st, "own", 5, LAUNCH_FARGATE, "");
    CHECK(s->live == NULL);
    CHECK(strstr(s->events[0].message, "Reason: The agent of this machine is not connected.") != NULL);
    create.cluster_create = (struct ev_cluster_create){.region = "eu-west-1", .name = "empty"};
    story_tell(st, &create, "cluster");
    gone.cluster_delete.arn = st->core->clusters->next->arn; /* which takes its instances away */
    story_tell(st, &gone, "delete-cluster");
    text_copy(st->cluster, ARN_SIZE, str_of(st->core->clusters->next->arn));
    story_run_task(st, 1, 1);
    CHECK_TEXT(st->core->run_failure, "EMPTY");
    tell_service(st, "fargate", 5, LAUNCH_FARGATE, ""); /* which needs no instance */
    CHECK(core_service(st->core, st->core->clusters->next, STR("fargate"))->live != NULL);
    s = tell_service(st, "nowhere", 1, LAUNCH_EC2, "");
    CHECK(s == NULL);
    s = core_service(st->core, st->core->clusters->next, STR("nowhere"));
    CHECK(strstr(s->events[0].message, "Reason: No Container Instances were found") != NULL);
}

TEST(a_fixed_port_of_tcp_leaves_the_same_of_udp_free)
{
    static const char tcp[] = "{\"networkMode\":\"bridge\",\"containerDefinitions\":[{\"name\":\"app\","
                              "\"image\":\"a\",\"portMappings\":[{\"containerPort\":53,\"hostPort\":53,"
                              "\"protocol\":\"tcp\"}]}]}";
    static const char udp[] = "{\"networkMode\":\"bridge\",\"containerDefinitions\":[{\"name\":\"app\","
                              "\"image\":\"a\",\"portMappings\":[{\"containerPort\":53,\"hostPort\":53,"
                              "\"protocol\":\"udp\"}]}]}";
    cleanup_story struct story *st = story_new(&none);

    story_define(st, tcp);
    story_define(st, udp);
    story_run_task(st, 5, 1);
    story_run_task(st, 6, 1);
    CHECK_EQ(st->core->created_count, 1);
    for (int i = 5; i <= 6; i++) {
        story_run_task(st, i, 1);
        CHECK_TEXT(st->core->run_failure, "RESOURCE:PORTS");
    }
    tell_host(st, "h", 0, 0, true); /* of unknown size: only ports can lack */
    story_run_task(st, 1, 1);
    CHECK_EQ(st->core->created_count, 1);
}

/* ---- definitions, digests, tags ---- */

TEST(a_definition_is_deregistered_once_and_found_by_family_and_revision)
{
    cleanup_story struct story *st = story_new(&none);
    struct event ev = {.type = EVENT_TASK_DEFINITION_DEREGISTER};
    struct task_definition *newest = core_task_definition(st->core, "eu-west-1", STR("web"));
    int64_t when;

    CHECK_TEXT(newest->arn, st->definitions[3]);
    story_at(st, 1000);
    ev.task_definition_deregister.arn = newest->arn;
    story_tell(st, &ev, "deregister");
    when = newest->deregistered_at_ms;
    story_at(st, 2000);
    story_tell(st, &ev, "deregister");
    CHECK_EQ(newest->deregistered_at_ms, when);
    CHECK_TEXT(core_task_definition(st->core, "eu-west-1", STR("web"))->arn, st->definitions[2]);
    CHECK(core_task_definition(st->core, "eu-west-1", STR("web:4")) == newest);
    CHECK(core_task_definition(st->core, "eu-west-1", STR("web:0")) == NULL);
    CHECK(core_task_definition(st->core, "eu-west-1", STR("web:x")) == NULL);
    CHECK(core_task_definition(st->core, "us-east-1", STR("web")) == NULL);
    CHECK(core_task_definition(st->core, "eu-west-1", str_of(newest->arn)) == newest);
}

TEST(only_what_asks_for_a_digest_gets_one)
{
    struct story_options o = none;
    cleanup_story struct story *st = NULL;
    const struct service *s;
    char digests[3][DIGEST_SIZE] = {"sha256:0", "sha256:1", "sha256:2"};
    struct event ev = {.type = EVENT_IMAGE_RESOLVED};
    char arns[2][ARN_SIZE];

    o.keeps_unresolved = true;
    st = story_new(&o);
    story_define(st, "{\"networkMode\":\"bridge\",\"containerDefinitions\":["
                     "{\"name\":\"a\",\"image\":\"a@sha256:9\"},"
                     "{\"name\":\"b\",\"image\":\"b:1\",\"versionConsistency\":\"disabled\"},"
                     "{\"name\":\"c\",\"image\":\"c:1\"}]}");
    s = tell_service(st, "three", 5, LAUNCH_EC2, "");
    CHECK(s->live == NULL); /* the third one's has to be known first */
    text_copy(arns[0], ARN_SIZE, str_of(s->arn));
    text_copy(arns[1], ARN_SIZE, str_of(s->revisions[0]->arn));
    ev.image_resolved = (struct ev_image_resolved){.service_arn = arns[0],
                                                   .revision_arn = arns[1],
                                                   .digests = (const char(*)[DIGEST_SIZE])digests,
                                                   .digest_count = 3};
    story_tell(st, &ev, "resolved");
    CHECK_TEXT(s->live->containers[0].image, "a@sha256:9");
    CHECK_TEXT(s->live->containers[1].image, "b:1");
    CHECK_TEXT(s->live->containers[2].image, "c:1@sha256:2");
}

TEST(an_image_of_a_superseded_revision_fails_nobody)
{
    struct story_options o = none;
    cleanup_story struct story *st = NULL;
    struct event ev = {.type = EVENT_IMAGE_RESOLVED};
    char revision[ARN_SIZE];

    o.keeps_unresolved = true;
    o.desired_count = 1;
    st = story_new(&o);
    text_copy(revision, ARN_SIZE, str_of(service_primary(story_service(st))->revision->arn));
    story_update(st, 2);
    ev.image_resolved = (struct ev_image_resolved){
        .service_arn = st->service, .revision_arn = revision, .error = "no such image"};
    for (int i = 0; i < 3; i++)
        story_tell(st, &ev, "unresolved");
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    CHECK_EQ(service_current(story_service(st))->breaker_failures, 0);
}

/* Who stopped it was told so, and that is the verdict. */
TEST(an_image_of_a_stopped_deployment_fails_it_no_more)
{
    struct story_options o = none;
    cleanup_story struct story *st = NULL;

    o.keeps_unresolved = true;
    o.desired_count = 1;
    st = story_new(&o);
    story_resolved(st, NULL, "no such image");
    story_stop_deployment(st, /* rolls_back= */ false);
    for (int i = 0; i < 3; i++)
        story_resolved(st, NULL, "no such image");
    CHECK_EQ(service_current(story_service(st))->status, SD_STOPPED);
    CHECK_TEXT(service_current(story_service(st))->status_reason,
               "Service deployment stopped by a user.");
    CHECK_EQ(service_primary(story_service(st))->failed_tasks, 0);
    CHECK(story_service(st)->live == NULL);
}

TEST(a_task_and_a_deployment_are_found_by_name_or_arn)
{
    cleanup_story struct story *st = story_new(&none);
    const struct cluster *c = st->core->clusters;
    const struct service_deployment *sd = service_current(story_service(st));
    const struct task *t;
    struct event cluster = {.type = EVENT_CLUSTER_CREATE};
    char arn[ARN_SIZE];

    story_run_task(st, 1, 1);
    t = st->core->tasks;
    CHECK(core_task(st->core, c, str_of(t->id)) == t && core_task(st->core, c, str_of(t->arn)) == t);
    snprintf(arn, sizeof(arn), "arn:aws:ecs:us-east-1:000000000000:task/c/%.40s", t->id);
    CHECK(core_task(st->core, c, str_of(arn)) == NULL && core_task_by_arn(st->core, arn) == NULL);
    CHECK(core_service(st->core, c, STR("arn:aws:ecs:eu-west-1:000000000000:service/c/none")) == NULL);
    CHECK(core_service(st->core, c, STR("none")) == NULL);
    CHECK(core_service_of_deployment(st->core, sd->arn, NULL) == story_service(st));
    CHECK(core_service_of_deployment(st->core, "none", NULL) == NULL);
    CHECK(core_service_of_deployment(st->core, "arn:aws:ecs:eu-west-1:000000000000:task", NULL) == NULL);
    CHECK(core_task_set(st->core, "none", NULL) == NULL);
    snprintf(arn, sizeof(arn), "arn:aws:ecs:eu-west-1:000000000000:task-set/c/web/ecs-svc/1");
    CHECK(core_task_set(st->core, arn, NULL) == NULL); /* its deployments are no sets */
    CHECK(core_service(st->core, c, STR("")) == NULL);
    cluster.cluster_create = (struct ev_cluster_create){.region = "eu-west-1", .name = "d"};
    story_tell(st, &cluster, "cluster");
    CHECK(core_task(st->core, core_cluster(st->core, "eu-west-1", STR("d")), str_of(t->id)) == NULL);
    memset(arn, 'x', sizeof(arn) - 1);
    arn[sizeof(arn) - 1] = '\0';
    CHECK(core_task(st->core, c, (struct str){arn, sizeof(arn)}) == NULL); /* longer than any id */
}

TEST(every_resource_keeps_its_tags)
{
    cleanup_story struct story *st = story_new(&none);
    cleanup_json struct json *tags = parsed("[{\"key\":\"team\",\"value\":\"river\"}]");
    const char *arns[8] = {st->cluster, st->service, st->definitions[0], st->group, "lb1", "l1"};
    struct event ev = {.type = EVENT_TAGS_SET};
    char task[ARN_SIZE];

    tell_load_balancer(st, "lb1");
    tell_listener(st, "l1", "lb1", 80);
    story_run_task(st, 1, 1);
    text_copy(task, ARN_SIZE, str_of(st->core->tasks->arn));
    arns[6] = task;
    for (int i = 0; i < 7; i++) {
        ev.tags_set = (struct ev_tags_set){.arn = arns[i], .tags = tags};
        story_tell(st, &ev, "tag"); /* which checks that the row was persisted */
    }
    story_restart(st);
    CHECK(json_equal(st->core->clusters->tags, tags));
    CHECK(json_equal(story_service(st)->tags, tags));
    CHECK(json_equal(core_task_by_arn(st->core, task)->tags, tags));
    CHECK(json_equal(core_target_group(st->core, st->group)->tags, tags));
    CHECK(json_equal(core_load_balancer(st->core, "lb1")->tags, tags));
    CHECK(json_equal(core_listener(st->core, "l1")->tags, tags));
}

/* ---- rows and names ---- */

TEST(a_damaged_row_is_refused_and_says_what_it_is)
{
    static const char *const meta[] = {"{}", "{\"rng\":[\"1\",\"2\",\"3\",\"4\"]}",
                                       "{\"rng\":[\"1\",\"2\",\"3\",\"-\"],\"last_id\":\"7\"}"};
    const struct core_options options = {.account = "000000000000", .default_region = "r", .seed = 1};
    struct core *core = core_new(&options);
    cleanup_json struct json *empty = parsed("[]"), *old = NULL;
    struct err err;

    for (size_t i = 0; i < ARRAY_COUNT(meta); i++) {
        cleanup_json struct json *row = parsed(meta[i]);
        CHECK(!core_load(core, ROW_META, row, &err));
        CHECK(strstr(err.message, "damaged") != NULL);
    }
    old = parsed("{\"rng\":[\"1\",\"2\",\"3\",\"4\"],\"last_id\":\"7\"}"); /* before there were families */
    CHECK(core_load(core, ROW_META, old, &err));
    CHECK_EQ(json_size(core->families), 0);
    for (int kind = ROW_META; kind < ROW_SERVICE_REVISION; kind++) /* parts are judged when they are linked */
        CHECK(!core_load(core, (enum row_kind)kind, empty, &err));
    CHECK(!core_load(core, ROW_KIND_COUNT, empty, &err));
    CHECK(strstr(err.message, "unknown kind") != NULL);
    CHECK(core_row(core, ROW_KIND_COUNT, "x") == NULL);
    for (int kind = ROW_CLUSTER; kind < ROW_KIND_COUNT; kind++)
        CHECK(core_row(core, (enum row_kind)kind, "x") == NULL);
    core_free(core);
    core_free(NULL);
}

TEST(every_event_and_effect_has_a_name_for_the_log)
{
    for (int i = EVENT_CLOCK; i <= EVENT_TARGET_DRAINED; i++)
        CHECK(strcmp(event_name((enum event_type)i), "unknown") != 0);
    for (int i = EFFECT_PERSIST; i <= EFFECT_BALANCER_CONFIG; i++)
        CHECK(strcmp(effect_name((enum effect_type)i), "unknown") != 0);
    CHECK_TEXT(event_name((enum event_type)9999), "unknown");
    CHECK_TEXT(effect_name((enum effect_type)9999), "unknown");
}
