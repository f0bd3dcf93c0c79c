/* SPDX-License-Identifier: MIT */
#include "daemon/observe.h"

#include <stdio.h>
#include "daemon/observe_traffic.h"
#include "base/clock.h"
#include "base/json.h"
#include "registry/registry.h"

static void
reply(struct http_exchange *x, int status, const char *type, struct str body)
{
    const struct http_header headers[] = {{"Content-Type", type}, {NULL, NULL}};

    http_reply(x, status, headers, body);
}

static bool
refuses_method(struct http_exchange *x)
{
    if (str_is(x->method, "GET") || str_is(x->method, "HEAD"))
        return false;
    reply(x, 405, "text/plain", STR("only GET\n"));
    return true;
}

static void
look(void *arg, struct core *core, int64_t now_ms)
{
    *(bool *)arg = core != NULL;
    (void)now_ms;
}

static char *
health_text(struct observe *o, bool is_up)
{
    cleanup_json struct json *j = json_object();
    const bool has_traffic = balancer_is_ready(o->balancer);
    char problem[512];

    json_set(j, "status", json_text(is_up ? "ok" : "failing"));
    json_set(j, "balancer", json_text(has_traffic ? "ready" : "starting"));
    json_set(j, "version", json_text(NARU_VERSION));
    json_set(j, "region", json_text(o->region));
    if (!has_traffic && balancer_problem(o->balancer, problem, sizeof(problem)))
        json_set(j, "problem", json_text(problem));
    if (balancer_advice(o->balancer, problem, sizeof(problem)))
        json_set(j, "advice", json_text(problem));
    return json_format(j);
}

/* Healthy means that a request would be answered: the engine turns and its commits work. A port that
 * the balancer cannot have is named, but restarting us would not free it. */
static void
answer_health(struct http_exchange *x, void *ctx)
{
    struct observe *o = ctx;
    bool is_seen = false;
    const bool is_up = engine_run(o->engine, look, &is_seen) && is_seen;

    if (refuses_method(x))
        return;
    cleanup_free char *text = health_text(o, is_up);
    cleanup_free char *body = text_format("%s\n", text);
    reply(x, is_up ? 200 : 503, "application/json", str_of(body));
}

struct http_route
observe_health_route(struct observe *o)
{
    return (struct http_route){.prefix = "/healthz", .end = answer_health, .ctx = o};
}

struct metrics {
    struct strbuf text;
    int64_t uptime_ms;
    struct observed_list observed;
};

static void
add_services(struct strbuf *text, const struct core *core)
{
    observe_head(text, "naru_service_tasks", "gauge", "Tasks of a service by state.");
    for (const struct service *s = core->services; s != NULL; s = s->next) {
        const struct task_counts n = core_counts(core, s, NULL);
        const struct {
            const char *state;
            int count;
        } rows[] = {{"desired", s->desired_count}, {"running", n.running}, {"pending", n.pending},
                    {"healthy", n.healthy}, {"stopping", n.stopping}};

        if (s->status == SERVICE_INACTIVE)
            continue;
        for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
            strbuf_addf(text, "naru_service_tasks{cluster=\"%s\",service=\"%s\",state=\"%s\"} %d\n",
                        s->cluster_name, s->name, rows[i].state, rows[i].count);
    }
}

static void
add_deployments(struct strbuf *text, const struct core *core)
{
    observe_head(text, "naru_service_deployments", "counter", "Service deployments by their present status.");
    for (const struct service *s = core->services; s != NULL; s = s->next) {
        int count[SD_ENUM_SIZE] = {0};

        for (const struct service_deployment *d = s->history; d != NULL; d = d->next)
            count[d->status]++;
        for (int i = 0; i < SD_ENUM_SIZE; i++)
            if (count[i] > 0)
                strbuf_addf(text, "naru_service_deployments{cluster=\"%s\",service=\"%s\",status=\"%s\"} %d\n",
                            s->cluster_name, s->name, sd_status_name((enum sd_status)i), count[i]);
    }
}

static void
add_targets(struct strbuf *text, const struct core *core)
{
    observe_head(text, "naru_targets", "gauge", "Targets of a target group by state.");
    for (const struct target_group *tg = core->target_groups; tg != NULL; tg = tg->next) {
        int count[TARGET_ENUM_SIZE] = {0};

        for (const struct target *t = tg->targets; t != NULL; t = t->next)
            count[t->state]++;
        for (int i = 0; i < TARGET_ENUM_SIZE; i++)
            strbuf_addf(text, "naru_targets{target_group=\"%s\",state=\"%s\"} %d\n", tg->name,
                        target_state_name((enum target_state)i), count[i]);
    }
}

static void
add_faults(struct strbuf *text, struct balancer *balancer)
{
    const struct balancer_faults faults = balancer_faults(balancer);

    observe_head(text, "naru_lb_haproxy_deaths_total", "counter", "Times that HAProxy ended though nobody wanted it to.");
    strbuf_addf(text, "naru_lb_haproxy_deaths_total %lld\n", (long long)faults.deaths);
    observe_head(text, "naru_lb_haproxy_refused_total", "counter",
                 "Configurations that HAProxy refused, or that could not be written.");
    strbuf_addf(text, "naru_lb_haproxy_refused_total %lld\n", (long long)faults.refused);
}

static void
collect(void *arg, struct core *core, int64_t now_ms)
{
    struct metrics *m = arg;

    strbuf_clear(&m->text);
    observe_head(&m->text, "naru_uptime_seconds", "gauge", "Seconds since this process started.");
    strbuf_addf(&m->text, "naru_uptime_seconds %.3f\n", (double)m->uptime_ms / 1000);
    add_services(&m->text, core);
    add_deployments(&m->text, core);
    add_targets(&m->text, core);
    observe_traffic_done(&m->observed);
    observe_traffic_collect(&m->observed, core);
    (void)now_ms;
}

static void
add_traffic(void *arg, const struct balancer_traffic *traffic)
{
    struct metrics *m = arg;

    observe_traffic_write(&m->text, &m->observed, traffic);
}

/* Of repositories that have a quota. */
static void
add_quotas(struct strbuf *text, struct registry *registry)
{
    static const struct {
        const char *name, *help, *member;
    } series[] = {{"naru_registry_quota_bytes", "What a repository may keep.", "quotaBytes"},
                  {"naru_registry_used_bytes", "What a repository with a quota keeps.", "usedBytes"}};
    cleanup_json struct json *quotas = NULL;

    if (!registry_quotas(registry, &quotas, NULL) || json_size(quotas) == 0)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(series); i++) {
        observe_head(text, series[i].name, "gauge", series[i].help);
        for (size_t q = 0; q < json_size(quotas); q++) {
            const struct json *row = json_at(quotas, q);
            strbuf_addf(text, "%s{region=\"%s\",repository=\"%s\"} %lld\n", series[i].name,
                        json_get_cstr(row, "region", ""), json_get_cstr(row, "repositoryName", ""),
                        (long long)json_get_i64(row, series[i].member, 0));
        }
    }
}

static void
answer_metrics(struct http_exchange *x, void *ctx)
{
    struct observe *o = ctx;
    struct metrics m = {.uptime_ms = clock_monotonic_ms() - o->started_at_ms};

    if (refuses_method(x))
        return;
    const bool is_read = engine_read(o->engine, collect, &m);
    if (is_read)
        add_faults(&m.text, o->balancer);
    if (is_read)
        (void)balancer_traffic(o->balancer, add_traffic, &m);
    if (is_read)
        add_quotas(&m.text, o->registry);
    if (is_read)
        reply(x, 200, "text/plain; version=0.0.4", strbuf_str(&m.text));
    else
        reply(x, 503, "text/plain", STR("the engine cannot commit; see the log\n"));
    strbuf_done(&m.text);
    observe_traffic_done(&m.observed);
}

struct http_route
observe_metrics_route(struct observe *o)
{
    return (struct http_route){.prefix = "/metrics", .end = answer_metrics, .ctx = o};
}
