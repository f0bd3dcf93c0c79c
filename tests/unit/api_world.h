/* SPDX-License-Identifier: MIT */
/* api_world.h - the API over a real core, with a tiny engine and a world where everything works.
 * world_call() signs and sends a request as a client does, and checks the status; world_settle() answers
 * the core's effects: images resolve, tasks run, targets turn healthy, drain, and stop. */
#pragma once
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/ecs_describe.h"
#include "api/ecs_shown.h"
#include "api/operations.h"
#include "base/clock.h"
#include "check.h"

#define WORLD_KEY "AKIAWORLD"
#define WORLD_SECRET "secret of the world"
#define WORLD_REGION "eu-west-1"
#define WORLD_ACCOUNT "000000000000"
#define WORLD_ARN "arn:aws:ecs:" WORLD_REGION ":" WORLD_ACCOUNT ":"
#define WEB_DEFINITION                                                                              \
    "{'family':'web','containerDefinitions':[{'name':'app','image':'localhost:4566/web:1',"         \
    "'memory':64,'portMappings':[{'containerPort':80}]}]}"
#define ECS_TARGET "AmazonEC2ContainerServiceV20141113."

struct world {
    struct core *core;
    struct api *api;
    struct effects effects;
    int64_t now_ms;
    bool tasks_crash;    /* every task that starts exits at once, before RUNNING */
    bool drains_hang;    /* targets go on draining until this is false again */
    struct ef_target_change draining[64];
    int draining_count;
    const char *region;  /* of the signatures; NULL: WORLD_REGION */
    const char *method;  /* NULL: POST */
    const char *invocation; /* amz-sdk-invocation-id; NULL: none */
    struct traffic_book *book; /* what went through load balancers; the caller's, or NULL */
    struct json *answer; /* of the last call */
    char *body;
};

UNUSED static const char *
text_at(const struct json *o, const char *key)
{
    return json_get_cstr(o, key, "(absent)");
}

/* After every step: what is kept of services as they were shown (ecs_shown.h) is what they are now. */
static void
world_check_shown(const struct world *w)
{
    cleanup_json struct json *input = json_object();
    const struct request rq = {.api = w->api, .core = w->core, .now_ms = w->now_ms, .account = WORLD_ACCOUNT,
                               .region = WORLD_REGION, .operation = "DescribeServices", .input = input};

    for (const struct service *s = w->core->services; s != NULL && w->api != NULL; s = s->next) {
        cleanup_json struct json *now = ecs_describe_service(&rq, s, true);
        cleanup_json struct json *shown = ecs_shown_service(&rq, s, true);
        cleanup_free char *now_text = json_format(now), *shown_text = json_format(shown);

        CHECK_TEXT(shown_text, now_text);
    }
}

static void
world_step(void *ctx, const struct event *event)
{
    struct world *w = ctx;

    core_step(w->core, event, ++w->now_ms, &w->effects);
    world_check_shown(w);
}

static bool
world_run(void *ctx, void (*call)(void *arg, struct core *core, int64_t now_ms), void *arg)
{
    struct world *w = ctx;

    call(arg, w->core, w->now_ms);
    return true;
}

static bool
world_traffic(void *ctx, api_traffic_call *call, void *arg)
{
    const struct world *w = ctx;

    if (w->book != NULL)
        call(arg, w->book, w->now_ms);
    return w->book != NULL;
}

static const char *world_data_dir; /* before world_init(): where buckets are; NULL: nowhere */

UNUSED static void
world_init(struct world *w)
{
    const struct core_options options = {
        .account = WORLD_ACCOUNT, .default_region = WORLD_REGION, .seed = 7, .steady_after_ms = 40000};

    *w = (struct world){.core = core_new(&options), .now_ms = 1767323045000};
    const struct api_config config = {
        .account = WORLD_ACCOUNT, .default_region = WORLD_REGION,
        .endpoint_url = "http://localhost:4566", .port = 4566,
        .access_key_id = WORLD_KEY, .secret_access_key = WORLD_SECRET,
        .run = world_run, .read = world_run, .step = world_step, .traffic = world_traffic, .ctx = w,
        .data_dir = world_data_dir};
    w->api = api_new(&config);
    world_step(w, &(struct event){.type = EVENT_INSTANCE_REPORT,
                                  .instance_report = {.host = "here", .is_connected = true,
                                                      .cpu_total = 4096, .memory_total_mib = 8192}});
}

UNUSED static void
world_done(struct world *w)
{
    json_unref(w->answer);
    free(w->body);
    api_free(w->api);
    effects_done(&w->effects);
    core_free(w->core);
}

/* What was sent and answered, for tests/unit/api_complete.py: a line a call, its parts apart by tabs. */
static void
world_record(const char *target, const char *input, const char *answer)
{
    const char *path = getenv("NARU_API_RECORD");
    FILE *file = path != NULL && target != NULL ? fopen(path, "a") : NULL;

    if (file == NULL)
        return;
    fprintf(file, "%s\t", target);
    for (const char *p = input; *p != '\0'; p++)
        fputc(*p == '\n' || *p == '\t' ? ' ' : *p, file);
    fprintf(file, "\t%s\n", answer);
    fclose(file);
}

/* Sends any request; gives the status, and leaves the body in w->body. */
UNUSED static int
world_send(struct world *w, const char *service, const char *content_type, const char *target,
           const char *body)
{
    char stamp[24];
    cleanup(strbuf_done) struct strbuf authorization = {0};
    struct sigv4_header headers[6];
    struct api_answer answer = {0};
    struct api_request http = {.request_id = "00000000-0000-4000-8000-000000000000"};
    size_t n = 0;

    clock_format_basic(clock_wall_ms(), stamp);
    headers[n++] = (struct sigv4_header){STR("Host"), STR("localhost:4566")};
    headers[n++] = (struct sigv4_header){STR("X-Amz-Date"), str_of(stamp)};
    headers[n++] = (struct sigv4_header){STR("Content-Type"), str_of(content_type)};
    if (target != NULL)
        headers[n++] = (struct sigv4_header){STR("X-Amz-Target"), str_of(target)};
    http.signed_part = (struct sigv4_request){.method = str_of(w->method != NULL ? w->method : "POST"), .path = STR("/"),
                                              .headers = headers, .header_count = n,
                                              .body = str_of(body)};
    sigv4_sign(&http.signed_part, WORLD_KEY, WORLD_SECRET, w->region != NULL ? w->region : WORLD_REGION, service, stamp,
               target != NULL ? "content-type;host;x-amz-date;x-amz-target"
                              : "content-type;host;x-amz-date", &authorization);
    headers[n++] = (struct sigv4_header){STR("Authorization"), strbuf_str(&authorization)};
    if (w->invocation != NULL)
        headers[n++] = (struct sigv4_header){STR("amz-sdk-invocation-id"), str_of(w->invocation)};
    http.signed_part.header_count = n;
    api_call(w->api, &http, &answer);
    free(w->body);
    w->body = strbuf_take(&answer.body);
    world_record(target, body, w->body);
    return answer.status;
}

UNUSED static int
world_try(struct world *w, const char *operation, const char *input)
{
    char target[128];
    struct err err = {0};
    int status;

    snprintf(target, sizeof(target), ECS_TARGET "%s", operation);
    status = world_send(w, "ecs", "application/x-amz-json-1.1", target, input);
    json_unref(w->answer);
    w->answer = json_parse(str_of(w->body), &err);
    CHECK(w->answer != NULL);
    core_check(w->core);
    return status;
}

/* An ECS call that works; gives the answer, lent until the next call. Inputs may use ' for ". */
UNUSED static const struct json *
world_call(struct world *w, const char *operation, const char *format, ...) PRINTF_LIKE(3, 4);
UNUSED static const struct json *
world_call(struct world *w, const char *operation, const char *format, ...)
{
    char input[16384];
    va_list args;

    va_start(args, format);
    vsnprintf(input, sizeof(input), format, args);
    va_end(args);
    for (char *p = input; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    if (world_try(w, operation, input) != 200)
        check_fail(__FILE__, __LINE__, "%s %s: %s", operation, input, w->body);
    return w->answer;
}

/* An ECS call that fails so. */
UNUSED static void
world_refuse_at(struct world *w, int line, const char *operation, const char *input_with_quotes,
                const char *type, const char *message)
{
    cleanup_free char *input = text_dup(input_with_quotes);

    for (char *p = input; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    if (world_try(w, operation, input) == 200)
        check_fail(__FILE__, line, "%s %s works: %s", operation, input, w->body);
    check_equal_text(__FILE__, line, operation, json_get_cstr(w->answer, "__type", ""), type);
    if (strstr(json_get_cstr(w->answer, "message", ""), message) == NULL)
        check_fail(__FILE__, line, "'%s' lacks '%s'", w->body, message);
}
#define world_refuse(w, operation, input, type, message)                                           \
    world_refuse_at(w, __LINE__, operation, input, type, message)

/* ---- the world behind the core ---- */

static int world_next_port; /* dynamic host ports rise */

UNUSED static void
world_report_task(struct world *w, const char *arn, enum task_status status, int exit_code)
{
    const struct task *t = core_task_by_arn(w->core, arn);
    struct task_container containers[CONTAINERS_MAX];
    struct network_binding bindings[CONTAINERS_MAX][BINDINGS_MAX];

    if (t == NULL)
        return;
    memset(containers, 0, sizeof(containers));
    for (int i = 0; i < t->container_count; i++) {
        struct task_container *c = &containers[i];
        *c = t->containers[i];
        c->bindings = bindings[i];
        c->binding_count = 0;
        c->last_status = status;
        snprintf(c->runtime_id, sizeof(c->runtime_id), "runtime-of-%.30s", t->id);
        c->has_exit_code = status == TASK_STOPPED;
        c->exit_code = exit_code;
        for (int k = 0; status == TASK_RUNNING && k < t->definition->containers[i].port_count; k++)
            c->bindings[c->binding_count++] = (struct network_binding){
                .container_port = t->definition->containers[i].ports[k].container_port,
                .host_port = 32768 + world_next_port++};
    }
    world_step(w, &(struct event){.type = EVENT_TASK_STATE,
                                  .task_state = {.task_id = t->id, .status = status,
                                                 .containers = containers,
                                                 .container_count = t->container_count}});
}

static void
world_resolve(struct world *w, const struct ef_image_resolve *ask)
{
    const struct service *s = core_service_by_arn(w->core, ask->service_arn);
    const struct revision *r = s != NULL ? service_find_revision(s, ask->revision_arn) : NULL;
    char digests[CONTAINERS_MAX][DIGEST_SIZE];

    if (r == NULL)
        return;
    for (int i = 0; i < r->image_count; i++)
        snprintf(digests[i], DIGEST_SIZE, "sha256:%064d", i + 1);
    world_step(w, &(struct event){.type = EVENT_IMAGE_RESOLVED,
                                  .image_resolved = {.service_arn = ask->service_arn,
                                                     .revision_arn = ask->revision_arn,
                                                     .digests = (const char(*)[DIGEST_SIZE])digests,
                                                     .digest_count = r->image_count}});
}

static void
world_report_health(struct world *w, const struct ef_target_change *target)
{
    world_step(w, &(struct event){.type = EVENT_TARGET_HEALTH,
                                  .target_health = {.target_group_arn = target->target_group_arn,
                                                    .target_id = target->target_id,
                                                    .port = target->port,
                                                    .registration = target->registration,
                                                    .state = TARGET_healthy,
                                                    .reason = "", .description = ""}});
}

static void
world_report_in_force(struct world *w, const char *arn)
{
    const struct listener *l = core_listener(w->core, arn);

    if (l != NULL)
        world_step(w, &(struct event){.type = EVENT_LISTENER_IN_FORCE,
                                      .listener_in_force = {.listener_arn = arn,
                                                            .generation = l->generation}});
}

static void
world_report_drained(struct world *w)
{
    while (w->draining_count > 0 && !w->drains_hang) {
        const struct ef_target_change target = w->draining[--w->draining_count];
        world_step(w, &(struct event){.type = EVENT_TARGET_DRAINED,
                                      .target_drained = {.target_group_arn = target.target_group_arn,
                                                         .target_id = target.target_id,
                                                         .port = target.port,
                                                         .registration = target.registration}});
    }
}

/* Then an order to start it only asks how it is. */
static bool
world_is_running(const struct world *w, const char *arn)
{
    const struct task *t = core_task_by_arn(w->core, arn);

    return t != NULL && t->last_status == TASK_RUNNING;
}

UNUSED static void
world_settle(struct world *w)
{
    world_report_drained(w);
    for (int i = 0; i < w->effects.count; i++) {
        const struct effect e = w->effects.at[i]; /* steps append: the list may move */

        CHECK(i < 5000);
        if (e.type == EFFECT_IMAGE_RESOLVE)
            world_resolve(w, &e.image_resolve);
        else if (e.type == EFFECT_TASK_START && w->tasks_crash && !world_is_running(w, e.task_start.task_arn))
            world_report_task(w, e.task_start.task_arn, TASK_STOPPED, 1);
        else if (e.type == EFFECT_TASK_START)
            world_report_task(w, e.task_start.task_arn, TASK_RUNNING, 0);
        else if (e.type == EFFECT_TASK_STOP)
            world_report_task(w, e.task_stop.task_arn, TASK_STOPPED, 0);
        else if (e.type == EFFECT_TARGET_REGISTER)
            world_report_health(w, &e.target_register);
        else if (e.type == EFFECT_BALANCER_CONFIG)
            world_report_in_force(w, e.balancer_config.arn);
        else if (e.type == EFFECT_TARGET_DEREGISTER && w->draining_count < 64)
            w->draining[w->draining_count++] = e.target_deregister;
        world_report_drained(w);
    }
    effects_clear(&w->effects);
}

/* Lets time pass, settling at each deadline. */
UNUSED static void
world_wait(struct world *w, int64_t ms)
{
    const int64_t end = w->now_ms + ms;

    world_settle(w);
    while (w->now_ms < end) {
        int64_t next = core_deadline_ms(w->core);
        w->now_ms = next < end ? (next > w->now_ms ? next : w->now_ms) : end;
        world_step(w, &(struct event){.type = EVENT_CLOCK});
        world_settle(w);
    }
}

/* The cluster c and one definition: web. */
UNUSED static void
world_prepare(struct world *w)
{
    world_init(w);
    world_call(w, "CreateCluster", "{'clusterName':'c'}");
    world_call(w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
}

/* Item `at` of the list `key` of the last answer. */
UNUSED static const struct json *
world_item(const struct world *w, const char *key, size_t at)
{
    return json_at(json_get(w->answer, key), at);
}
