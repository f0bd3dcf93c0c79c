/* SPDX-License-Identifier: MIT */
/* crowd_operators.c - people who make services, first one after the other, and then change whichever comes to mind. */
#include "crowd.h"
#include <stdio.h>
#include <string.h>

#define COURSE_MS (15 * 60 * 1000) /* within about so long all of it is done */
#define ALARMS 20                  /* each is watched by every so manieth service */

static const struct {
    int minimum, maximum;
} bounds[] = {{100, 200}, {50, 200}, {100, 150}, {50, 150}, {50, 100}, {75, 100}, {0, 100}, {0, 200}};

static int
draw_count(struct crowd *w)
{
    return (int)between(w, 0, chance(w, 300) ? 30 : 7);
}

static void
name_alarm(const struct crowd *w, const struct crowd_service *s, char out[static 32])
{
    snprintf(out, 32, "errors-%d", (int)(s - w->services) % ALARMS);
}

/* The tasks of its hooks are of a kind that goes wherever those of the service do.  Where traffic is
 * shifted there are many stages, some of them again with each step; a few of the others wait longer than
 * it takes to ask a second time. */
static void
draw_hooks_of(struct crowd *w, const struct crowd_service *s, struct deployment_config *config,
              struct json *doc)
{
    const struct hook_range range = {
        .definitions = (const char(*)[ARN_SIZE])w->definitions[s->kind],
        .definition_count = s->kind == CROWD_DAEMON ? 0 : CROWD_BEHAVIOURS * CROWD_SIZES,
        .longest_min = s->kind == CROWD_SHIFTS ? 2 : chance(w, 1500) ? 30 : 5};

    draw_hooks(&w->fate, &range, &config->strategy, doc);
}

static void
draw_config(struct crowd *w, const struct crowd_service *s, struct deployment_config *config,
            struct json **doc_out)
{
    char alarm[32];
    const size_t i = (size_t)between(w, 0, ARRAY_COUNT(bounds) - 1);
    struct strategy_config *c = &config->strategy;

    config->minimum_healthy_percent = s->kind == CROWD_DAEMON ? 90 : bounds[i].minimum;
    config->maximum_percent = s->kind == CROWD_DAEMON ? 100 : bounds[i].maximum;
    config->breaker.enable = chance(w, 7000);
    config->breaker.rollback = chance(w, 8500);
    config->breaker.reset_on_healthy_task = chance(w, 8000);
    config->breaker.value = 50;
    name_alarm(w, s, alarm);
    config->watches_alarms = chance(w, 2000);
    config->alarms_roll_back = chance(w, 8000);
    config->doc = *doc_out = alarms_of(alarm);
    if (s->sets != NULL) {
        config->breaker.enable = config->watches_alarms = false;
        return;
    }
    c->bake_min = chance(w, 5000) ? (int)between(w, 1, 3) : 0;
    if (s->kind == CROWD_SHIFTS) {
        c->strategy = (enum deployment_strategy)between(w, STRATEGY_BLUE_GREEN, STRATEGY_CANARY);
        c->step_permille = (int)between(w, 1, c->strategy == STRATEGY_LINEAR ? 5 : 100) *
                           (c->strategy == STRATEGY_LINEAR ? 100 : 10);
        c->step_bake_min = (int)between(w, 0, 2);
    }
    draw_hooks_of(w, s, config, *doc_out);
}

/* Most are good.  Of the bad ones the one that crashes later comes twice as often: it takes several of
 * its exits until a probation has failed. */
static const char *
draw_definition(struct crowd *w, const struct crowd_service *s, int good_in_10000)
{
    int b = chance(w, good_in_10000) ? CROWD_GOOD : (int)between(w, 0, CROWD_BEHAVIOURS);

    if (b == CROWD_BEHAVIOURS)
        b = CROWD_CRASHES_LATER;
    return w->definitions[s->kind][b][s->size];
}

#define BY_ZONE "{\"type\":\"spread\",\"field\":\"attribute:ecs.availability-zone\"}"

#define BALANCED 1 /* of the placements: a service with task sets has none of it */

#define TWO_ZONES "attribute:ecs.availability-zone in [zone-0, zone-2]"

static void
create_service(struct crowd *w, struct crowd_service *s)
{
    static const char *const placements[] = {
        "\"placementStrategy\":[{\"type\":\"binpack\",\"field\":\"cpu\"}]",
        "\"availabilityZoneRebalancing\":\"ENABLED\",\"placementStrategy\":[" BY_ZONE
        ",{\"type\":\"binpack\",\"field\":\"memory\"}]",
        "\"placementStrategy\":[" BY_ZONE ",{\"type\":\"spread\",\"field\":\"instanceId\"}]",
        "\"placementStrategy\":[{\"type\":\"random\"}]",
        "\"placementConstraints\":[{\"type\":\"distinctInstance\"}]",
        "\"placementConstraints\":[{\"type\":\"memberOf\",\"expression\":\"" TWO_ZONES "\"}]",
    };
    struct deployment_config config = {0};
    struct service_load_balancer lb = {.container_name = "app", .container_port = 80};
    struct event ev = {.type = EVENT_SERVICE_CREATE};
    struct ev_service_create *c = &ev.service_create;
    const bool is_placed = s->kind != CROWD_DAEMON && s->kind != CROWD_FARGATE_LB;
    const size_t drawn = (size_t)between(w, 0, ARRAY_COUNT(placements) - 1);
    cleanup_json struct json *doc = NULL, *config_doc = NULL;
    char text[512];

    draw_config(w, s, &config, &config_doc);
    snprintf(text, sizeof(text),
             "{\"deploymentController\":{\"type\":\"%s\"},\"schedulingStrategy\":\"%s\"%s%s}",
             s->sets != NULL ? "EXTERNAL" : "ECS", s->kind == CROWD_DAEMON ? "DAEMON" : "REPLICA",
             is_placed ? "," : "",
             !is_placed ? "" : placements[s->sets != NULL && drawn == BALANCED ? 0 : drawn]);
    doc = crowd_parse(text);
    text_copy(lb.target_group_arn, ARN_SIZE, str_of(s->groups[0]));
    text_copy(lb.alternate_group_arn, BALANCING_ARN_SIZE, str_of(s->groups[1]));
    text_copy(lb.production_listener_arn, BALANCING_ARN_SIZE, str_of(s->listener));
    c->cluster_arn = w->cluster;
    c->name = s->name;
    c->created_by = "operator";
    c->client_token = "";
    c->desired_count = s->kind == CROWD_DAEMON ? 0 : draw_count(w);
    c->health_check_grace_s = chance(w, 3000) ? (int)between(w, 1, 60) : 0;
    c->task_definition_arn = s->sets != NULL ? NULL : draw_definition(w, s, 9000);
    c->launch_type = s->kind == CROWD_FARGATE_LB ? LAUNCH_FARGATE : LAUNCH_EC2;
    c->load_balancers = &lb;
    c->load_balancer_count = s->sets == NULL && crowd_has_balancer(s);
    c->config = &config;
    c->doc = doc;
    crowd_tell(w, (int)(s - w->services), "operator creates it, desired %d, bounds %d/%d, breaker %d, %s",
               c->desired_count, config.minimum_healthy_percent, config.maximum_percent, config.breaker.enable,
               deployment_strategy_name(config.strategy.strategy));
    (void)crowd_step(w, &ev);
}

static void
update_service(struct crowd *w, struct crowd_service *s, const char *definition, int desired_count,
               const struct deployment_config *config)
{
    struct event ev = {.type = EVENT_SERVICE_UPDATE};
    struct ev_service_update *u = &ev.service_update;

    u->service_arn = s->arn;
    u->desired_count = s->kind == CROWD_DAEMON ? -1 : desired_count;
    u->health_check_grace_s = -1;
    u->launch_type = -1;
    u->config = config;
    u->task_definition_arn = definition;
    u->starts_deployment = definition != NULL;
    crowd_tell(w, (int)(s - w->services), "operator updates it: behaviour %d, desired %d, bounds %d/%d",
               definition == NULL ? -1 : (int)crowd_behaviour_of(w, definition), u->desired_count,
               config == NULL ? -1 : config->minimum_healthy_percent, config == NULL ? -1 : config->maximum_percent);
    (void)crowd_step(w, &ev);
}

static void
go_back(struct crowd *w, struct crowd_service *s)
{
    struct event ev = {.type = EVENT_SERVICE_ROLLBACK,
                       .service_rollback = {.service_arn = s->arn, .desired_count = -1}};

    if (core_rollback_target(w->core, core_service_by_arn(w->core, s->arn)) == NULL)
        return; /* the door refuses */
    crowd_tell(w, (int)(s - w->services), "operator rolls it back");
    (void)crowd_step(w, &ev);
}

static void
stop_deployment(struct crowd *w, struct crowd_service *s)
{
    const struct service_deployment *sd = service_current(core_service_by_arn(w->core, s->arn));
    struct event ev = {.type = EVENT_SERVICE_DEPLOYMENT_STOP};
    char arn[ARN_SIZE];

    if (sd->finished_at_ms != 0)
        return;
    text_copy(arn, sizeof(arn), str_of(sd->arn));
    ev.service_deployment_stop.arn = arn;
    ev.service_deployment_stop.rolls_back = chance(w, 7000);
    crowd_tell(w, (int)(s - w->services), "operator stops its deployment");
    (void)crowd_step(w, &ev);
}

static void
change_config(struct crowd *w, struct crowd_service *s)
{
    struct deployment_config config = {0};
    cleanup_json struct json *doc = NULL;

    draw_config(w, s, &config, &doc);
    update_service(w, s, NULL, -1, &config);
}

static void
stop_task(struct crowd *w)
{
    const struct crowd_task *t = w->task_count == 0 ? NULL : w->tasks[between(w, 0, w->task_count - 1)];
    const struct task *now = t == NULL ? NULL : core_task_by_id(w->core, t->id);
    struct event ev = {.type = EVENT_TASK_STOP_REQUEST};
    char arn[ARN_SIZE];

    if (now == NULL)
        return;
    text_copy(arn, sizeof(arn), str_of(now->arn));
    ev.task_stop_request.task_arn = arn;
    ev.task_stop_request.reason = "because";
    crowd_tell(w, t->service, "operator stops task %.8s", t->id);
    (void)crowd_step(w, &ev);
}

static void
run_task(struct crowd *w)
{
    const enum crowd_kind kind = chance(w, 5000) ? CROWD_PLAIN : CROWD_FARGATE_LB;
    struct event ev = {.type = EVENT_TASK_RUN};

    ev.task_run.cluster_arn = w->cluster;
    ev.task_run.task_definition_arn = w->definitions[kind][CROWD_GOOD][between(w, 0, CROWD_SIZES - 1)];
    ev.task_run.count = (int)between(w, 1, 10);
    ev.task_run.launch_type = kind == CROWD_PLAIN ? LAUNCH_EC2 : LAUNCH_FARGATE;
    (void)crowd_step(w, &ev);
}

static void
set_draining(struct crowd *w, int host, bool is_draining)
{
    struct event ev = {.type = EVENT_INSTANCE_STATUS};

    if (w->hosts[host].instance_arn[0] == '\0')
        return;
    ev.instance_status.arn = w->hosts[host].instance_arn;
    ev.instance_status.status = is_draining ? INSTANCE_DRAINING : INSTANCE_ACTIVE;
    crowd_tell(w, -1, "operator sets %s %s", w->hosts[host].name, instance_status_name(ev.instance_status.status));
    (void)crowd_step(w, &ev);
}

static void
do_act(struct crowd *w, int service, struct act *a)
{
    crowd_tell(w, service, "%s", a->said);
    w->sum.protections += a->event.type == EVENT_TASK_PROTECT;
    w->sum.alarms += a->event.type == EVENT_ALARM_STATE;
    w->sum.sets += a->event.type == EVENT_TASK_SET_CREATE;
    (void)crowd_step(w, &a->event);
    act_done(a);
}

static bool
protect_task(struct crowd *w, struct crowd_service *s, struct act *out)
{
    const bool turns_on = chance(w, 8000);

    for (const struct crowd_task *t = crowd_first_of_service(w, s); t != NULL;
         t = t->next_of_service) {
        const struct task *now = core_task_by_id(w->core, t->id);
        if (now != NULL && task_is_wanted(now) && chance(w, 5000))
            return act_protect(&w->fate, now, turns_on, out);
    }
    return false;
}

static bool
deployer_acts(struct crowd *w, const struct crowd_service *s, struct act *out)
{
    const struct deployer deployer = {
        .service_arn = s->arn,
        .name = s->name,
        .groups = (const char(*)[BALANCING_ARN_SIZE])s->groups,
        .group_count = (s->groups[0][0] != '\0') + (s->groups[1][0] != '\0'),
        .definitions = (const char(*)[ARN_SIZE])w->definitions[s->kind],
        .definition_count = CROWD_BEHAVIOURS * CROWD_SIZES,
        .launch_type = s->kind == CROWD_FARGATE_LB ? LAUNCH_FARGATE : LAUNCH_EC2,
        .book = s->sets};

    return act_on_sets(&w->fate, w->core, &deployer, out);
}

#define DEPLOYS (-1)
#define TAGS 121

/* What people do beyond deployments, and deployers of services with task sets. */
static void
do_more(struct crowd *w, struct crowd_service *s, int64_t dice)
{
    char alarm[32];
    struct act a;
    bool is_drawn;

    name_alarm(w, s, alarm);
    is_drawn = dice == DEPLOYS ? deployer_acts(w, s, &a)
               : dice < 112    ? protect_task(w, s, &a)
               : dice < 118    ? act_answer_hook(&w->fate, core_service_by_arn(w->core, s->arn), &a)
               : dice < TAGS   ? act_ring(alarm, chance(w, 5000), &a)
                               : act_tag(&w->fate, s->arn, s->name, &a);
    if (is_drawn)
        do_act(w, (int)(s - w->services), &a);
}

static void
change(struct crowd *w, struct crowd_service *s)
{
    const int64_t dice = between(w, 0, s->listener[0] != '\0' ? 159 : 129);
    const int host = (int)between(w, 0, w->host_count - 1);

    if (s->sets != NULL && (dice < 45 || (dice >= 62 && dice < 75))) {
        /* Instead of what it cannot do. */
        for (int i = 0; i < 3 && w->core != NULL && !w->store_is_away; i++)
            do_more(w, s, DEPLOYS);
    } else if (dice < 45)
        update_service(w, s, draw_definition(w, s, 5000), chance(w, 1000) ? draw_count(w) : -1, NULL);
    else if (dice < 62)
        update_service(w, s, NULL, draw_count(w), NULL);
    else if (dice < 68)
        go_back(w, s);
    else if (dice < 75)
        stop_deployment(w, s);
    else if (dice < 81)
        change_config(w, s);
    else if (dice < 86)
        stop_task(w);
    else if (dice < 92)
        run_task(w);
    else if (dice < 100)
        set_draining(w, host, !w->hosts[host].book.told_draining);
    else if (dice < 130)
        do_more(w, s, dice);
    else
        for (int i = 0; i < 5 && w->core != NULL && !w->store_is_away; i++) /* few services have a listener */
            crowd_rules_act(w, s);
}

/* A third of them have deadlines and probations from the beginning. */
static void
begin_service(struct crowd *w, struct crowd_service *s)
{
    const bool is_tagged = chance(w, 3300);

    create_service(w, s);
    if (is_tagged && w->core != NULL && !w->store_is_away &&
        core_service_by_arn(w->core, s->arn) != NULL)
        do_more(w, s, TAGS);
}

void
crowd_operator_acts(struct crowd *w)
{
    const int made = w->service_count * 5 / 2 - w->acts_left;
    struct crowd_service *s;

    if (w->acts_left <= 0)
        return;
    if (w->core != NULL && !w->store_is_away) { /* else whoever calls is refused */
        s = &w->services[made < w->service_count ? made : (int)between(w, 0, w->service_count - 1)];
        w->acts_left--;
        if (core_service_by_arn(w->core, s->arn) == NULL)
            begin_service(w, s);
        else
            change(w, s);
    }
    happen(w, w->now_ms + (made < w->service_count ? between(w, 1, 2 * COURSE_MS / 10 / w->service_count)
                                                   : between(w, 1, 2 * COURSE_MS * 2 / 3 / w->service_count)),
           OPERATOR, 0);
}

/* Half of the machines that do not take tasks do so again, and four of five services end with
 * a good version. */
void
crowd_operators_finish(struct crowd *w)
{
    for (int i = 0; i < w->host_count; i++) {
        if (w->hosts[i].book.told_draining && chance(w, 5000))
            set_draining(w, i, /* is_draining= */ false);
    }
    for (int i = 0; i < w->service_count; i++) {
        struct crowd_service *s = &w->services[i];
        if (!s->book.is_created)
            create_service(w, s);
        else if (chance(w, 8000) && s->sets == NULL)
            update_service(w, s, w->definitions[s->kind][CROWD_GOOD][s->size], -1, NULL);
    }
}
