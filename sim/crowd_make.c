/* SPDX-License-Identifier: MIT */
/* crowd_make.c - what there is before anybody acts: machines in three zones, task definitions, target groups and
 * listeners.  Definitions are shared: one for each kind of service, behaviour and size. */
#include "crowd.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

const struct crowd_needs crowd_sizes[CROWD_SIZES] = {{128, 512}, {192, 256}};

struct crowd_service *
crowd_service_of(const struct crowd *w, const char *arn)
{
    return strmap_get(&w->services_by_arn, arn);
}

void
crowd_report_host(struct crowd *w, int host)
{
    struct report *r = report_new(w->epoch, EVENT_INSTANCE_REPORT);
    struct ev_instance_report *ev = &r->event.instance_report;
    char text[160];

    snprintf(text, sizeof(text), "{\"attributes\":[{\"name\":\"ecs.os-type\",\"value\":\"linux\"},"
             "{\"name\":\"ecs.availability-zone\",\"value\":\"zone-%d\"}]}", host % 3);
    r->doc = crowd_parse(text);
    ev->host = w->hosts[host].name;
    ev->is_connected = w->hosts[host].back_ms == 0;
    ev->cpu_total = w->hosts[host].cpu;
    ev->memory_total_mib = w->hosts[host].memory_mib;
    ev->doc = r->doc;
    crowd_send(w, r);
}

static void
make_host(struct crowd *w, int index)
{
    struct crowd_host *h = &w->hosts[index];

    snprintf(h->name, sizeof(h->name), "host-%d", index);
    h->cpu = (int)between(w, 16, 24) * 128;
    h->memory_mib = h->cpu * 4;
    h->next_port = 32768;
    crowd_report_host(w, index);
}

static void
make_definition(struct crowd *w, enum crowd_kind kind, enum crowd_behaviour behaviour, int size)
{
    const bool is_fargate = kind == CROWD_FARGATE_LB;
    struct event ev = {.type = EVENT_TASK_DEFINITION_REGISTER};
    cleanup_json struct json *doc = NULL;
    char text[600], family[64];
    char *arn = w->definitions[kind][behaviour][size];

    snprintf(family, sizeof(family), "family-%d-%d-%d", (int)kind, (int)behaviour, size);
    snprintf(text, sizeof(text), "{\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"registry.example/%s:1\","
             "\"essential\":true,\"portMappings\":[{\"containerPort\":80,\"hostPort\":%d,\"protocol\":\"tcp\"}]}],"
             "\"compatibilities\":[\"%s\"],\"networkMode\":\"%s\",\"cpu\":\"%d\",\"memory\":\"%d\"}", family,
             is_fargate ? 80 : kind == CROWD_DAEMON ? CROWD_FIXED_PORT + size : 0, is_fargate ? "FARGATE" : "EC2",
             is_fargate ? "awsvpc" : "bridge", crowd_sizes[size].cpu, crowd_sizes[size].memory_mib);
    doc = crowd_parse(text);
    ev.task_definition_register.region = "eu-west-1";
    ev.task_definition_register.family = family;
    ev.task_definition_register.doc = doc;
    (void)crowd_step(w, &ev);
    text_copy(arn, ARN_SIZE, str_of(w->core->task_definitions->arn));
    strmap_put(&w->behaviours, arn, arn);
}

/* `definitions` is an array of [kind][behaviour][size]: where the ARN stands says what it does. */
enum crowd_behaviour
crowd_behaviour_of(const struct crowd *w, const char *definition_arn)
{
    const char *at = strmap_get(&w->behaviours, definition_arn);

    assert(at != NULL);
    return (enum crowd_behaviour)((size_t)(at - w->definitions[0][0][0]) / ARN_SIZE / CROWD_SIZES % CROWD_BEHAVIOURS);
}

static void
make_group(struct crowd *w, struct crowd_service *s, int which)
{
    struct target_group *tg = mem_new(sizeof(*tg));
    struct event ev = {.type = EVENT_TARGET_GROUP_PUT, .target_group_put = {.target_group = tg}};

    snprintf(s->groups[which], sizeof(s->groups[which]),
             "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/g%d-%d/0", (int)(s - w->services), which);
    text_copy(tg->arn, sizeof(tg->arn), str_of(s->groups[which]));
    snprintf(tg->name, sizeof(tg->name), "g%d-%d", (int)(s - w->services), which);
    tg->target_type = s->kind == CROWD_FARGATE_LB ? TARGET_TYPE_ip : TARGET_TYPE_instance;
    tg->deregistration_delay_s = s->drain_s;
    strmap_put(&w->groups, s->groups[which], s);
    (void)crowd_step(w, &ev);
}

static void
make_listener(struct crowd *w, struct crowd_service *s)
{
    struct listener *l = mem_new(sizeof(*l));
    struct event ev = {.type = EVENT_LISTENER_PUT, .listener_put = {.listener = l}};
    char text[1024];

    snprintf(s->listener, sizeof(s->listener), "arn:aws:elasticloadbalancing:eu-west-1:000000000000:listener/app/lb/%d",
             (int)(s - w->services));
    snprintf(text, sizeof(text),
             "[{\"Type\":\"forward\",\"ForwardConfig\":{\"TargetGroups\":[{\"TargetGroupArn\":"
             "\"%s\",\"Weight\":1},{\"TargetGroupArn\":\"%s\",\"Weight\":0}]}}]",
             s->groups[0], s->groups[1]);
    text_copy(l->arn, ARN_SIZE, str_of(s->listener));
    l->actions = crowd_parse(text);
    s->weights[0] = 1;
    strmap_put(&w->services_by_listener, s->listener, s);
    (void)crowd_step(w, &ev);
}

/* The first two are daemons, each with a port of its own: more would leave no room on the machines. */
static void
prepare_service(struct crowd *w, int index)
{
    struct crowd_service *s = &w->services[index];
    const int64_t dice = between(w, 0, 99);

    s->kind = index < CROWD_SIZES ? CROWD_DAEMON
              : dice < 30         ? CROWD_PLAIN
              : dice < 55         ? CROWD_BRIDGE_LB
              : dice < 80         ? CROWD_FARGATE_LB
                                  : CROWD_SHIFTS;
    s->size = index % CROWD_SIZES;
    s->sets = s->kind != CROWD_DAEMON && chance(w, 1500) ? mem_new(sizeof(*s->sets)) : NULL;
    s->drain_s = (int)between(w, 0, 60);
    snprintf(s->name, sizeof(s->name), "service-%d", index);
    snprintf(s->arn, sizeof(s->arn), "arn:aws:ecs:eu-west-1:000000000000:service/crowd/%s", s->name);
    strmap_put(&w->services_by_arn, s->arn, s);
    if (s->kind == CROWD_BRIDGE_LB || s->kind == CROWD_FARGATE_LB || s->kind == CROWD_SHIFTS)
        make_group(w, s, 0);
    if (s->kind == CROWD_SHIFTS) {
        make_group(w, s, 1);
        make_listener(w, s);
    }
}

void
crowd_make(struct crowd *w)
{
    struct event cluster = {.type = EVENT_CLUSTER_CREATE};

    cluster.cluster_create.region = "eu-west-1";
    cluster.cluster_create.name = "crowd";
    (void)crowd_step(w, &cluster);
    text_copy(w->cluster, ARN_SIZE, str_of(w->core->clusters->arn));
    for (int i = 0; i < w->host_count; i++)
        make_host(w, i);
    for (int k = 0; k < CROWD_KINDS; k++)
        for (int b = 0; b < CROWD_BEHAVIOURS; b++)
            for (int z = 0; z < CROWD_SIZES; z++)
                make_definition(w, (enum crowd_kind)k, (enum crowd_behaviour)b, z);
    for (int i = 0; i < w->service_count; i++)
        prepare_service(w, i);
}
