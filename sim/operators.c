/* SPDX-License-Identifier: MIT */
/* operators.c - people who create, update, scale, stop and delete at random. */
#include "world.h"
#include <assert.h>

static const struct {
    int minimum, maximum;
} bounds[] = {{100, 200}, {50, 200}, {100, 150}, {50, 150},
              {50, 100},  {75, 100}, {0, 100},   {0, 200}};

int
version_of(const struct sim_service *s, const char *definition_arn)
{
    for (int v = 0; v < VERSIONS_MAX; v++) {
        if (strcmp(s->definitions[v], definition_arn) == 0)
            return v;
    }
    for (int i = 0; i < s->deleted_count; i++) {
        if (strcmp(s->deleted[i].arn, definition_arn) == 0)
            return s->deleted[i].version;
    }
    return -1;
}

#define TIGHT_COUNT 3 /* the most desired of a service in a tight world */

static void
register_definition(struct world *w, int service, int version)
{
    static const char *const modes[SERVICE_KINDS] = {"bridge", "awsvpc", "bridge", "bridge",
                                                     "bridge"};
    struct sim_service *s = &w->services[service];
    struct event ev = {.type = EVENT_TASK_DEFINITION_REGISTER};
    char text[1024];
    cleanup_json struct json *doc = NULL;
    struct err err;

    snprintf(text, sizeof(text),
             "{\"networkMode\":\"%s\",\"compatibilities\":[\"EC2\",\"FARGATE\"],"
             "\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"%s:v%d\",\"cpu\":10,"
             "\"memory\":10,\"essential\":true,%s%s\"portMappings\":[{\"containerPort\":80,"
             "\"hostPort\":%d,\"protocol\":\"tcp\"}]}]}",
             modes[s->kind], s->name, version,
             s->kind == CHECKED_NO_LB ? "\"healthCheck\":{\"command\":[\"CMD\",\"true\"]}," : "",
             gpus_wanted_by(w, service) > 0
                 ? "\"resourceRequirements\":[{\"type\":\"GPU\",\"value\":\"1\"}]," : "",
             s->kind == AWSVPC_LB       ? 80
             : s->kind == FIXED_PORT_LB ? 8000 + service
                                        : 0);
    doc = json_parse(str_of(text), &err);
    assert(doc != NULL);
    ev.task_definition_register.region = "eu-west-1";
    ev.task_definition_register.family = s->name;
    ev.task_definition_register.doc = doc;
    if (!world_step(w, &ev) || w->core == NULL)
        return; /* naru died, perhaps before it was kept */
    text_copy(s->definitions[version], ARN_SIZE, str_of(w->core->task_definitions->arn));
}

static bool
has_load_balancer(const struct sim_service *s)
{
    return s->kind == BRIDGE_LB || s->kind == AWSVPC_LB || s->kind == FIXED_PORT_LB;
}

static void
add_group(struct world *w, struct sim_service *s, int which)
{
    struct target_group *tg = mem_new(sizeof(*tg));
    struct event ev = {.type = EVENT_TARGET_GROUP_PUT};

    text_copy(tg->arn, ARN_SIZE, str_of(s->groups[which]));
    tg->deregistration_delay_s = s->drain_s;
    ev.target_group_put.target_group = tg;
    world_step(w, &ev);
}

static void
add_listener(struct world *w, struct sim_service *s)
{
    struct listener *l = mem_new(sizeof(*l));
    struct event ev = {.type = EVENT_LISTENER_PUT, .listener_put = {.listener = l}};
    char text[1024];
    struct err err;

    snprintf(text, sizeof(text),
             "[{\"Type\":\"forward\",\"ForwardConfig\":{\"TargetGroups\":[{\"TargetGroupArn\":"
             "\"%s\",\"Weight\":1},{\"TargetGroupArn\":\"%s\",\"Weight\":0}]}}]",
             s->groups[0], s->groups[1]);
    text_copy(l->arn, ARN_SIZE, str_of(s->listener));
    l->actions = json_parse(str_of(text), &err);
    assert(l->actions != NULL);
    s->weights[0] = 1;
    world_step(w, &ev);
}

static void
prepare_service(struct world *w, int service)
{
    struct sim_service *s = &w->services[service];

    s->kind = (enum service_kind)between(w, 0, SERVICE_KINDS - 1);
    snprintf(s->name, sizeof(s->name), "app%d", service);
    snprintf(s->arn, sizeof(s->arn), "arn:aws:ecs:eu-west-1:000000000000:service/c/%s", s->name);
    s->is_daemon = s->kind != AWSVPC_LB && !w->is_tight && chance(w, 1500);
    s->drain_s = (int)between(w, 0, 60);
    for (int g = 0; g < 2; g++)
        snprintf(s->groups[g], sizeof(s->groups[g]),
                 "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/tg%d/%016d", g,
                 service);
    if (has_load_balancer(s))
        add_group(w, s, 0);
    if (service_has_pair(s)) {
        add_group(w, s, 1);
        snprintf(s->listener, sizeof(s->listener),
                 "arn:aws:elasticloadbalancing:eu-west-1:000000000000:listener/app/lb/%d", service);
        add_listener(w, s);
    }
    for (int v = 0; v < VERSIONS_MAX; v++) {
        register_definition(w, service, v);
        s->behaviours[v] = v == 0 ? GOOD : (enum behaviour)between(w, GOOD, BEHAVIOURS - 1);
    }
}

/* ---- hosts ---- */

static void
add_host(struct world *w)
{
    struct sim_host *h = &w->hosts[w->host_count];
    struct event ev = {.type = EVENT_INSTANCE_REPORT};
    cleanup_json struct json *doc = host_doc(w, w->host_count);

    *h = (struct sim_host){.docker_is_up = true};
    snprintf(h->name, sizeof(h->name), "host%d", w->host_count++);
    ev.instance_report.host = h->name;
    ev.instance_report.is_connected = true;
    ev.instance_report.doc = doc;
    host_sizes(w, &ev.instance_report);
    world_trace(w, "%s comes", h->name);
    world_step(w, &ev);
}

static void
add_provider(struct world *w, const char *name)
{
    struct event ev = {.type = EVENT_CAPACITY_PROVIDER_PUT};

    ev.capacity_provider_put.region = "eu-west-1";
    ev.capacity_provider_put.name = ev.capacity_provider_put.host_group = name;
    world_step(w, &ev);
}

static void
set_color(struct world *w, int host, bool is_red)
{
    struct event ev = {.type = EVENT_INSTANCE_ATTRIBUTES};
    struct err err;
    cleanup_json struct json *custom =
        json_parse(is_red ? STR("[{\"name\":\"color\",\"value\":\"red\"}]") : STR("[]"), &err);

    ev.instance_attributes.arn = w->hosts[host].instance_arn;
    ev.instance_attributes.custom = custom;
    world_trace(w, "operator makes %s %s", w->hosts[host].name, is_red ? "red" : "plain");
    world_step(w, &ev);
}

static void
set_draining(struct world *w, int host, bool is_draining)
{
    struct event ev = {.type = EVENT_INSTANCE_STATUS};

    ev.instance_status.arn = w->hosts[host].instance_arn;
    ev.instance_status.status = is_draining ? INSTANCE_DRAINING : INSTANCE_ACTIVE;
    world_trace(w, "operator sets %s %s", w->hosts[host].name,
                instance_status_name(ev.instance_status.status));
    world_step(w, &ev);
}

/* A task on a host of the operator's choice, if that takes it. */
static void
start_task(struct world *w, const struct sim_service *s, int host)
{
    struct event ev = {.type = EVENT_TASK_RUN};

    if (s->kind == FIXED_PORT_LB || w->is_tight)
        return;
    ev.task_run.cluster_arn = w->cluster;
    ev.task_run.task_definition_arn = s->definitions[0];
    ev.task_run.count = 1;
    ev.task_run.launch_type = LAUNCH_EC2;
    ev.task_run.instance_arn = w->hosts[host].instance_arn;
    world_trace(w, "operator starts a task on %s", w->hosts[host].name);
    world_step(w, &ev);
}

/* The first one stays red: what binds to red always has a place. */
static void
act_on_host(struct world *w)
{
    const int host = (int)between(w, 0, w->host_count - 1);
    const int64_t dice = between(w, 0, 99);

    if (w->hosts[host].instance_arn[0] == '\0')
        return; /* it came when naru died */
    if (dice < 40)
        set_draining(w, host, !w->hosts[host].told_draining);
    else if (dice < 60 && host > 0)
        set_color(w, host, !w->hosts[host].told_red);
    else if (dice < 75)
        start_task(w, &w->services[between(w, 0, w->service_count - 1)], host);
    else if (dice < 85 && w->host_count < HOSTS_MAX)
        add_host(w);
}

void
operators_begin(struct world *w)
{
    struct event cluster = {.type = EVENT_CLUSTER_CREATE};

    w->is_tight = chance(w, 2000);
    w->has_gpus = w->seed % 3 == 0;
    w->host_cpu = ROOMY;
    cluster.cluster_create.region = "eu-west-1";
    cluster.cluster_create.name = "c";
    world_step(w, &cluster);
    text_copy(w->cluster, ARN_SIZE, str_of(w->core->clusters->arn));
    for (int n = chance(w, 5000) ? 1 : (int)between(w, 2, HOSTS_MAX); n > 0; n--)
        add_host(w);
    if (w->is_tight)
        w->host_cpu = TASK_CPU * (2 * SERVICES_MAX * TIGHT_COUNT / w->host_count + 1);
    for (int i = 0; i < w->host_count; i++)
        report_host(w, i);
    set_color(w, 0, /* is_red= */ true);
    add_provider(w, "group0");
    add_provider(w, "group1");
    w->service_count = (int)between(w, 1, SERVICES_MAX);
    if (w->cut.services_max > 0 && w->service_count > w->cut.services_max)
        w->service_count = w->cut.services_max;
    for (int i = 0; i < w->service_count; i++)
        prepare_service(w, i);
}

/* One task a host at most: by its port, or because it wants so. */
static bool
is_alone(const struct sim_service *s)
{
    return s->kind == FIXED_PORT_LB || s->constraint == DISTINCT;
}

/* Both revisions at once at full strength would not fit. */
static bool
has_no_room_for_two(const struct world *w, const struct sim_service *s)
{
    return s->is_daemon || w->is_tight || is_alone(s);
}

static int
draw_count(struct world *w, const struct sim_service *s)
{
    const int most = s->is_daemon                                     ? 0
                     : s->kind == FIXED_PORT_LB && s->constraint == RED ? 1
                     : is_alone(s) && (!w->is_tight || w->host_count < TIGHT_COUNT) ? w->host_count
                     : w->is_tight                                    ? TIGHT_COUNT
                     : chance(w, 1000)                                ? 12
                                                                      : 5;

    return (int)between(w, 0, most);
}

#define OVER_ZONES_THEN_PACKED                                              \
    "{\"type\":\"spread\",\"field\":\"attribute:ecs.availability-zone\"}," \
    "{\"type\":\"binpack\",\"field\":\"memory\"}"

/* placementStrategy and placementConstraints as the API stores them; what was drawn beside them. */
static struct json *
draw_placement(struct world *w, struct sim_service *s)
{
    static const char *const strategies[SIM_STRATEGIES] = {
        "", "{\"type\":\"binpack\",\"field\":\"cpu\"}", "{\"type\":\"binpack\",\"field\":\"memory\"}",
        "{\"type\":\"spread\",\"field\":\"instanceId\"}",
        OVER_ZONES_THEN_PACKED,
        "{\"type\":\"spread\",\"field\":\"attribute:color\"}", "{\"type\":\"random\"}"};
    static const char *const constraints[SIM_CONSTRAINTS] = {
        "", "{\"type\":\"distinctInstance\"}",
        "{\"type\":\"memberOf\",\"expression\":\"attribute:color == red\"}"};
    const int strategy = s->is_daemon ? NO_STRATEGY : (int)between(w, 0, SIM_STRATEGIES - 1);
    const bool balances = !s->is_daemon && s->kind != AWSVPC_LB && chance(w, 5000) &&
                          (strategy == NO_STRATEGY || strategy == OVER_ZONES);
    char text[512];
    struct json *doc;
    struct err err;

    s->constraint = s->kind == AWSVPC_LB || chance(w, 7000)
                        ? NO_CONSTRAINT
                        : (enum sim_constraint)between(w, 0, SIM_CONSTRAINTS - 1);
    if (w->is_tight && s->constraint == RED)
        s->constraint = NO_CONSTRAINT; /* its room is that of all hosts, not of the red one */
    s->is_external = !has_no_room_for_two(w, s) && chance(w, 2000);
    snprintf(text, sizeof(text),
             "{\"deploymentController\":{\"type\":\"%s\"},\"availabilityZoneRebalancing\":\"%s\",\"schedulingStrategy\":\"%s\",\"placementStrategy\":[%s],\"placementConstraints\":[%s],"
             "\"drawn\":%d}",
             s->is_external ? "EXTERNAL" : "ECS", balances && !s->is_external ? "ENABLED" : "DISABLED", s->is_daemon ? "DAEMON" : "REPLICA", strategies[strategy], constraints[s->constraint], strategy);
    doc = json_parse(str_of(text), &err);
    assert(doc != NULL);
    return doc;
}

/* By capacity providers; the places of each group of hosts suffice for all that could be drawn. */
static struct json *
draw_providers(struct world *w, struct sim_service *s)
{
    char text[256];
    struct json *doc;
    struct err err;

    s->has_providers = !s->is_external && !s->is_daemon && !w->is_tight && !is_alone(s) && s->constraint == NO_CONSTRAINT && chance(w, 3000);
    if (!s->has_providers)
        return NULL;
    snprintf(text, sizeof(text),
             "{\"capacityProviderStrategy\":[{\"capacityProvider\":\"%s\",\"base\":%d,\"weight\":%d},"
             "{\"capacityProvider\":\"%s\",\"weight\":%d}]}",
             s->kind == AWSVPC_LB ? "FARGATE" : "group0", (int)between(w, 0, 2), (int)between(w, 1, 3),
             s->kind == AWSVPC_LB ? "FARGATE_SPOT" : "group1",
             w->host_count > 1 || s->kind == AWSVPC_LB ? (int)between(w, 0, 3) : 0);
    doc = json_parse(str_of(text), &err);
    assert(doc != NULL);
    return doc;
}

/* Times are short, so that even what nobody answers has ended when the world is judged. */
static void
draw_strategy(struct world *w, const struct sim_service *s, struct strategy_config *c, struct json *doc)
{
    /* Tasks that are hooks need a place beside the service's, which a tight world does not have. */
    const bool have_place = !w->is_tight && s->kind != FIXED_PORT_LB;
    const struct hook_range range = {.definitions = (const char(*)[ARN_SIZE])s->definitions,
                                     .definition_count = have_place ? VERSIONS_MAX : 0,
                                     .longest_min = 5};

    c->bake_min = chance(w, 5000) ? (int)between(w, 1, 5) : 0;
    if (has_no_room_for_two(w, s) || chance(w, 5000)) {
        c->bake_min = chance(w, 3000) ? c->bake_min : 0;
        c->succeeds_early = !has_no_room_for_two(w, s) && chance(w, 2000);
        c->cleans_up_later = chance(w, 5000);
        c->early_percent = 100; /* never below the minimum, see draw_config() */
        draw_hooks(&w->fate, &range, c, doc);
        return;
    }
    c->strategy = service_has_pair(s)
                      ? (enum deployment_strategy)between(w, STRATEGY_BLUE_GREEN, STRATEGY_CANARY)
                      : STRATEGY_BLUE_GREEN;
    c->step_permille = (int)between(w, 1, c->strategy == STRATEGY_LINEAR ? 5 : 100) *
                       (c->strategy == STRATEGY_LINEAR ? 100 : 10);
    c->step_bake_min = (int)between(w, 0, 3);
    draw_hooks(&w->fate, &range, c, doc);
}

/* Where two tasks cannot be on one host, min must leave none; nor where others may hold the room. */
static void
draw_config(struct world *w, const struct sim_service *s, struct deployment_config *config,
            struct json *alarm_doc)
{
    const size_t i = (size_t)between(w, 0, ARRAY_COUNT(bounds) - 1);

    config->minimum_healthy_percent = is_alone(s) || w->is_tight ? 0 : bounds[i].minimum;
    config->maximum_percent = bounds[i].maximum;
    if (s->is_daemon) {
        config->minimum_healthy_percent = chance(w, 5000) ? 50 : 0;
        config->maximum_percent = 100;
    }
    config->breaker.enable = chance(w, 6500);
    config->breaker.rollback = chance(w, 8500);
    config->breaker.reset_on_healthy_task = chance(w, 8000);
    config->breaker.value = 50;
    config->watches_alarms = chance(w, 2000);
    config->alarms_roll_back = chance(w, 8000);
    config->doc = alarm_doc;
    if (s->is_external) {
        config->breaker.enable = config->watches_alarms = false;
        return;
    }
    draw_strategy(w, s, &config->strategy, alarm_doc);
    if (config->strategy.succeeds_early)
        config->strategy.early_percent = (int)between(w, config->minimum_healthy_percent, 100);
}

static void
create_service(struct world *w, struct sim_service *s)
{
    struct event ev = {.type = EVENT_SERVICE_CREATE};
    struct ev_service_create *c = &ev.service_create;
    struct service_load_balancer lb = {.container_name = "app", .container_port = 80};
    struct deployment_config config = {0};
    cleanup_json struct json *doc = draw_placement(w, s), *providers = draw_providers(w, s);
    cleanup_json struct json *alarms = alarms_of("errors");

    draw_config(w, s, &config, alarms);
    text_copy(lb.target_group_arn, ARN_SIZE, str_of(s->groups[0]));
    if (service_has_pair(s)) {
        text_copy(lb.alternate_group_arn, BALANCING_ARN_SIZE, str_of(s->groups[1]));
        text_copy(lb.production_listener_arn, BALANCING_ARN_SIZE, str_of(s->listener));
    }
    c->cluster_arn = w->cluster;
    c->name = s->name;
    c->created_by = "operator";
    c->client_token = "";
    c->desired_count = draw_count(w, s);
    c->health_check_grace_s = chance(w, 3000) ? (int)between(w, 1, 60) : 0;
    c->task_definition_arn = s->definitions[chance(w, 7000) ? 0 : between(w, 0, VERSIONS_MAX - 1)];
    if (s->is_external)
        c->task_definition_arn = NULL;
    c->launch_type = s->kind == AWSVPC_LB ? LAUNCH_FARGATE : LAUNCH_EC2;
    c->load_balancers = &lb;
    c->load_balancer_count = !s->is_external && has_load_balancer(s);
    c->config = &config;
    c->doc = doc;
    c->revision_doc = providers;
    world_trace(w, "operator creates %s desired %d bounds %d/%d breaker %d %s", s->name,
                c->desired_count, config.minimum_healthy_percent, config.maximum_percent,
                config.breaker.enable, deployment_strategy_name(config.strategy.strategy));
    world_step(w, &ev);
}

static void
update_service(struct world *w, struct sim_service *s, int version, int desired_count,
               const struct deployment_config *config)
{
    struct event ev = {.type = EVENT_SERVICE_UPDATE};
    struct ev_service_update *u = &ev.service_update;

    u->service_arn = s->arn;
    u->desired_count = s->is_daemon ? -1 : desired_count;
    u->health_check_grace_s = -1;
    u->launch_type = -1;
    u->config = config;
    u->starts_deployment = version >= 0;
    u->task_definition_arn = version >= 0 ? s->definitions[version] : NULL;
    world_trace(w, "operator updates %s version %d (behaviour %d) desired %d", s->name, version,
                version >= 0 ? (int)s->behaviours[version] : -1, desired_count);
    world_step(w, &ev);
}

/* Any deployment that a rollback may restore: there is one. */
static const char *
draw_past(struct world *w, const struct service *s)
{
    const struct deployment *chosen = NULL;
    int count = 0;

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (core_can_return_to(w->core, s, d) && between(w, 1, ++count) == 1)
            chosen = d;
    }
    return chosen->id;
}

static void
go_back(struct world *w, struct sim_service *s)
{
    const struct service *now = core_service_by_arn(w->core, s->arn);
    struct event ev = {.type = EVENT_SERVICE_ROLLBACK};

    if (core_rollback_target(w->core, now) == NULL)
        return; /* the door refuses */
    ev.service_rollback.service_arn = s->arn;
    ev.service_rollback.desired_count = chance(w, 2000) && !s->is_daemon ? draw_count(w, s) : -1;
    if (chance(w, 4000))
        ev.service_rollback.deployment_id = draw_past(w, now);
    world_trace(w, "operator rolls %s back to %s", s->name,
                ev.service_rollback.deployment_id != NULL ? ev.service_rollback.deployment_id
                                                          : "the last one");
    world_step(w, &ev);
}

static void
stop_deployment(struct world *w, struct sim_service *s)
{
    const struct service_deployment *sd = service_current(core_service_by_arn(w->core, s->arn));
    struct event ev = {.type = EVENT_SERVICE_DEPLOYMENT_STOP};
    char arn[ARN_SIZE];

    if (sd->finished_at_ms != 0)
        return;
    text_copy(arn, ARN_SIZE, str_of(sd->arn));
    ev.service_deployment_stop.arn = arn;
    ev.service_deployment_stop.rolls_back = chance(w, 7000);
    world_trace(w, "operator stops the deployment of %s", s->name);
    world_step(w, &ev);
}

static void
do_act(struct world *w, struct act *a)
{
    world_trace(w, "%s", a->said);
    world_step(w, &a->event);
    act_done(a);
}

static void
stop_task(struct world *w)
{
    struct event ev = {.type = EVENT_TASK_STOP_REQUEST};
    const int i = w->container_count == 0 ? -1 : (int)between(w, 0, w->container_count - 1);
    char arn[ARN_SIZE];

    if (i < 0 || core_task_by_arn(w->core, w->containers[i].arn) == NULL)
        return;
    text_copy(arn, ARN_SIZE, str_of(w->containers[i].arn));
    ev.task_stop_request.task_arn = arn;
    world_trace(w, "operator stops task %.8s", w->containers[i].id);
    world_step(w, &ev);
}

static void
protect_task(struct world *w)
{
    const bool turns_on = chance(w, 8000);
    const struct task *t = NULL;
    struct act a;
    int i = -1;

    for (int tries = 0; tries < 8 && (t == NULL || !task_is_wanted(t)); tries++) {
        if (w->container_count == 0)
            return;
        i = (int)between(w, 0, w->container_count - 1);
        t = core_task_by_arn(w->core, w->containers[i].arn);
    }
    if (t != NULL && act_protect(&w->fate, t, turns_on, &a))
        do_act(w, &a);
}

static struct json *
gpu_overrides(void)
{
    char text[160];
    struct err err;

    snprintf(text, sizeof(text),
             "{\"containerOverrides\":[{\"name\":\"app\",\"resourceRequirements\":["
             "{\"type\":\"GPU\",\"value\":\"%d\"}]}]}",
             GPU_OVERRIDE);
    return json_parse(str_of(text), &err);
}

static void
run_task(struct world *w, const struct sim_service *s)
{
    struct event ev = {.type = EVENT_TASK_RUN};
    cleanup_json struct json *overrides = gpu_overrides();

    if (s->kind == FIXED_PORT_LB || w->is_tight)
        return;
    ev.task_run.cluster_arn = w->cluster;
    ev.task_run.task_definition_arn = s->definitions[between(w, 0, VERSIONS_MAX - 1)];
    ev.task_run.count = (int)between(w, 1, 3);
    ev.task_run.launch_type = LAUNCH_EC2;
    if (w->has_gpus && chance(w, 2000))
        ev.task_run.overrides = overrides;
    world_trace(w, "operator runs %d tasks", ev.task_run.count);
    world_step(w, &ev);
}

static void
change_config(struct world *w, struct sim_service *s)
{
    struct deployment_config config = {0};
    cleanup_json struct json *doc = alarms_of("errors");

    draw_config(w, s, &config, doc);
    update_service(w, s, /* version= */ -1, /* desired_count= */ -1, &config);
}

static void
delete_service(struct world *w, struct sim_service *s)
{
    struct event ev = {.type = EVENT_SERVICE_DELETE};

    ev.service_delete.service_arn = s->arn;
    world_trace(w, "operator deletes %s", s->name);
    world_step(w, &ev);
}

/* Takes a task's target out by hand, or lets one in again that drains: also one that is being stopped. */
static void
change_target(struct world *w)
{
    const int i = w->target_count == 0 ? -1 : (int)between(w, 0, w->target_count - 1);
    struct event ev = {.type = EVENT_TARGETS_CHANGE};
    struct target asked = {0};

    if (i < 0 || !w->targets[i].is_registered)
        return;
    text_copy(asked.id, sizeof(asked.id), str_of(w->targets[i].id));
    asked.port = w->targets[i].port;
    ev.targets_change.target_group_arn = w->services[w->targets[i].group / 2].groups[w->targets[i].group % 2];
    ev.targets_change.registers = w->targets[i].is_draining;
    ev.targets_change.targets = &asked;
    ev.targets_change.target_count = 1;
    world_trace(w, "operator %s %s:%d", ev.targets_change.registers ? "registers" : "deregisters",
                asked.id, asked.port);
    world_step(w, &ev);
}

/* The same version is registered again first, so that there always is one to update to. */
static void
delete_definition(struct world *w, int service)
{
    struct sim_service *s = &w->services[service];
    const int version = (int)between(w, 0, VERSIONS_MAX - 1);
    struct event deregister = {.type = EVENT_TASK_DEFINITION_DEREGISTER};
    struct event delete = {.type = EVENT_TASK_DEFINITION_DELETE};
    char arn[ARN_SIZE];

    if (s->deleted_count == DELETIONS_MAX)
        return;
    text_copy(arn, sizeof(arn), str_of(s->definitions[version]));
    register_definition(w, service, version);
    if (w->core == NULL || strcmp(arn, s->definitions[version]) == 0)
        return;
    text_copy(s->deleted[s->deleted_count].arn, ARN_SIZE, str_of(arn));
    s->deleted[s->deleted_count++].version = version;
    world_trace(w, "operator deletes version %d of %s", version, s->name);
    deregister.task_definition_deregister.arn = delete.task_definition_delete.arn = arn;
    if (world_step(w, &deregister) && w->core != NULL)
        world_step(w, &delete);
}

static void
act_on(struct world *w, struct sim_service *s)
{
    const struct service *now = core_service_by_arn(w->core, s->arn);
    const int64_t dice = between(w, 0, 129);
    bool is_drawn = false;
    struct act a;

    if (now == NULL || now->status == SERVICE_INACTIVE)
        create_service(w, s);
    else if (now->status != SERVICE_ACTIVE)
        return;
    else if (s->is_external && (dice < 40 || (dice >= 60 && dice < 72) || (dice >= 114 && dice < 120)))
        is_drawn = deployer_acts(w, s, &a); /* instead of what it cannot do */
    else if (dice < 40)
        update_service(w, s, (int)between(w, 0, VERSIONS_MAX - 1), -1, NULL);
    else if (dice < 60)
        update_service(w, s, -1, draw_count(w, s), NULL);
    else if (dice < 66)
        go_back(w, s);
    else if (dice < 72)
        stop_deployment(w, s);
    else if (dice < 84)
        stop_task(w);
    else if (dice < 90)
        run_task(w, s);
    else if (dice < 96)
        change_config(w, s);
    else if (dice < 98)
        delete_service(w, s);
    else if (dice < 100)
        change_target(w);
    else if (dice >= 122)
        is_drawn = act_tag(&w->fate, s->arn, s->name, &a);
    else if (dice >= 120)
        is_drawn = act_ring("errors", chance(w, 5000), &a);
    else if (dice >= 114)
        is_drawn = act_answer_hook(&w->fate, now, &a);
    else if (dice >= 110)
        delete_definition(w, (int)(s - w->services));
    else
        protect_task(w);
    if (is_drawn)
        do_act(w, &a);
}

static void
act(struct world *w)
{
    if (w->host_count > 1 && chance(w, 2000))
        act_on_host(w);
    else
        act_on(w, &w->services[between(w, 0, w->service_count - 1)]);
    if (w->core != NULL)
        check_after_step(w);
}

/* Each act draws from dice of its own, so that leaving one out changes no other one. */
void
operator_acts(struct world *w)
{
    const int number = w->acts++;
    const bool is_hasty = chance(w, 1000);
    struct rng after;

    if (w->now_ms >= w->operators_end_ms)
        return;
    after = w->fate.rng;
    /* While commits fail the engine refuses whoever calls. */
    if (w->core != NULL && !w->store_is_away &&
        (!w->cut.has_acts || (number < ACTS_MAX && w->cut.acts[number]))) {
        rng_seed(&w->fate.rng, w->seed * 1000003 + (uint64_t)number);
        world_trace(w, "act %d", number);
        act(w);
        if (is_hasty && w->core != NULL && !w->store_is_away)
            act(w); /* and another thing, in the same moment */
        if (w->core != NULL && !w->store_is_away && chance(w, 3000)) {
            rules_act(w);
            if (w->core != NULL)
                check_after_step(w);
        }
        if (number % 3 == 0 && w->core != NULL && !w->store_is_away)
            operator_pushes(w, number / 3);
    }
    w->fate.rng = after;
    happen(w, w->now_ms + (chance(w, 3000) ? between(w, 50, 2000) : between(w, 2000, 60000)),
           OPERATOR, 0);
}

/* Half of the worlds end with a good version everywhere, the others with whatever they have. */
void
operators_finish(struct world *w)
{
    bool all = w->is_tight;

    for (int i = 0; i < w->service_count; i++)
        all |= is_alone(&w->services[i]) || w->services[i].is_daemon || w->services[i].has_providers;
    for (int i = 0; i < w->host_count; i++) {
        if (w->core == NULL || !w->hosts[i].told_draining || !(all || i == 0 || chance(w, 5000)))
            continue;
        set_draining(w, i, false);
        if (w->core != NULL)
            check_after_step(w);
    }
    for (int i = 0; i < w->service_count; i++) {
        struct sim_service *s = &w->services[i];
        const struct service *now = core_service_by_arn(w->core, s->arn);
        if (now != NULL && now->status == SERVICE_ACTIVE && chance(w, 5000))
            update_service(w, s, s->is_external ? -1 : 0, -1, NULL);
        check_after_step(w);
    }
}
