/* SPDX-License-Identifier: MIT */
#include "daemon/observe_traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include "model/arn.h"

/* ---- what there is ---- */

static struct observed *
add_observed(struct observed_list *list, enum traffic_kind kind, char *key, char *labels)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        list->at = mem_grow(list->at, list->capacity, sizeof(*list->at));
    }
    list->at[list->count] = (struct observed){kind, key, labels};
    return &list->at[list->count++];
}

/* As CloudWatch's dimensions name them: "app/x/1", "targetgroup/x/1". */
static struct str
dimension_of(const char *arn)
{
    struct arn parts;
    struct str name;

    if (!arn_parse(str_of(arn), &parts))
        return str_of(arn);
    name = parts.resource;
    return str_starts(name, STR("loadbalancer/")) ? str_slice(name, strlen("loadbalancer/"), name.len) : name;
}

struct owner { /* which revision is behind a target */
    const char *group;
    const struct task_target *target;
    const struct task *task;
};

static int
compare_targets(const char *group, const char *id, int port, const struct owner *o)
{
    int order = strcmp(group, o->group);

    if (order == 0)
        order = strcmp(id, o->target->target_id);
    return order != 0 ? order : (port > o->target->port) - (port < o->target->port);
}

static int
compare_owners(const void *a, const void *b)
{
    const struct owner *o = a;

    return compare_targets(o->group, o->target->target_id, o->target->port, b);
}

static struct owner *
collect_owners(const struct core *core, size_t *count_out)
{
    struct owner *owners = NULL;
    size_t count = 0, capacity = 0;

    for (const struct task *t = core->tasks; t != NULL; t = t->next)
        for (int i = 0; t->last_status != TASK_STOPPED && i < t->target_count; i++) {
            if (count == capacity) {
                capacity = capacity == 0 ? 64 : capacity * 2;
                owners = mem_grow(owners, capacity, sizeof(*owners));
            }
            owners[count++] = (struct owner){t->targets[i].target_group_arn, &t->targets[i], t};
        }
    if (count > 0)
        qsort(owners, count, sizeof(*owners), compare_owners);
    *count_out = count;
    return owners;
}

/* "family:revision", or nothing: somebody registered it by hand. */
static struct str
revision_of(const struct owner *owners, size_t count, const struct target_group *tg, const struct target *t)
{
    size_t low = 0, high = count;

    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = compare_targets(tg->arn, t->id, t->port, &owners[middle]);

        if (order == 0)
            return arn_last(str_of(owners[middle].task->task_definition_arn));
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return (struct str){0};
}

static void
collect_targets(struct observed_list *list, const struct core *core)
{
    size_t count, targets = 0;
    cleanup_free struct owner *owners = collect_owners(core, &count);

    for (const struct target_group *tg = core->target_groups; tg != NULL; tg = tg->next) {
        const struct str group = dimension_of(tg->arn);
        for (const struct target *t = tg->targets; t != NULL; t = t->next) {
            const char *address = tg->target_type == TARGET_TYPE_instance ? "127.0.0.1" : t->id;
            const struct str revision = revision_of(owners, count, tg, t);

            if (targets++ >= OBSERVED_TARGETS_MAX) {
                list->left_out++;
                continue;
            }
            add_observed(list, TRAFFIC_OF_TARGET, text_format("%s/%s:%d", tg->id, address, t->port),
                         text_format("target_group=\"" STR_FMT "\",target=\"%s:%d\",revision=\"" STR_FMT "\"",
                                     STR_ARG(group), t->id, t->port, STR_ARG(revision)));
        }
    }
}

static void
collect_rules(struct observed_list *list, const struct core *core)
{
    for (const struct listener *l = core->listeners; l != NULL; l = l->next) {
        const struct str balancer = dimension_of(l->load_balancer_arn), id = arn_last(str_of(l->arn));

        add_observed(list, TRAFFIC_OF_RULE, text_format(STR_FMT ".default", STR_ARG(id)),
                     text_format("load_balancer=\"" STR_FMT "\",port=\"%d\",rule=\"default\"", STR_ARG(balancer),
                                 l->port));
    }
    for (const struct rule *r = core->rules; r != NULL; r = r->next) {
        const struct listener *l = core_listener(core, r->listener_arn);
        const struct str balancer = dimension_of(l != NULL ? l->load_balancer_arn : "");

        if (l != NULL)
            add_observed(list, TRAFFIC_OF_RULE, str_dup(arn_last(str_of(r->arn))),
                         text_format("load_balancer=\"" STR_FMT "\",port=\"%d\",rule=\"%d\"", STR_ARG(balancer),
                                     l->port, r->priority));
    }
}

void
observe_traffic_collect(struct observed_list *list, const struct core *core)
{
    for (const struct load_balancer *lb = core->load_balancers; lb != NULL; lb = lb->next) {
        const struct str name = dimension_of(lb->arn);
        add_observed(list, TRAFFIC_OF_LOAD_BALANCER, text_dup(lb->arn),
                     text_format("load_balancer=\"" STR_FMT "\"", STR_ARG(name)));
    }
    for (const struct target_group *tg = core->target_groups; tg != NULL; tg = tg->next) {
        const struct str name = dimension_of(tg->arn);
        add_observed(list, TRAFFIC_OF_GROUP, text_dup(tg->arn),
                     text_format("target_group=\"" STR_FMT "\"", STR_ARG(name)));
    }
    collect_targets(list, core);
    collect_rules(list, core);
}

void
observe_traffic_done(struct observed_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->at[i].key);
        free(list->at[i].labels);
    }
    free(list->at);
    *list = (struct observed_list){0};
}

/* ---- the text ---- */

struct writer {
    struct strbuf *out;
    const struct observed_list *list;
    const struct balancer_traffic *traffic;
    const struct traffic_series **series; /* beside the list; NULL: nothing went there */
};

void
observe_head(struct strbuf *out, const char *name, const char *type, const char *help)
{
    strbuf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

#define LB (1u << TRAFFIC_OF_LOAD_BALANCER)
#define GROUP (1u << TRAFFIC_OF_GROUP)
#define TARGET (1u << TRAFFIC_OF_TARGET)
#define RULE (1u << TRAFFIC_OF_RULE)

static const struct {
    enum traffic_kind kind;
    const char *prefix;
} kinds[] = {
    {TRAFFIC_OF_LOAD_BALANCER, "naru_lb"},
    {TRAFFIC_OF_GROUP, "naru_lb_group"},
    {TRAFFIC_OF_TARGET, "naru_lb_target"},
    {TRAFFIC_OF_RULE, "naru_lb_rule"},
};

struct label_value {
    const char *label; /* further ones, or "" */
    int what;          /* of a count or gauge */
};

struct family {
    const char *name, *type, *help;
    unsigned kinds;
    bool is_gauge;
    struct label_value values[10]; /* ends with a NULL label */
};

static const struct family families[] = {
    {"requests_total", "counter", "Requests, as HAProxy counted them (of a rule: estimated from samples where its listener has rules).",
     LB | GROUP | TARGET | RULE, false, {{"", TRAFFIC_requests}}},
    {"responses_total", "counter", "Answers by status class and by who gave them.", LB, false,
     {{",by=\"target\",class=\"1xx\"", TRAFFIC_target_1xx},
      {",by=\"target\",class=\"2xx\"", TRAFFIC_target_2xx},
      {",by=\"target\",class=\"3xx\"", TRAFFIC_target_3xx},
      {",by=\"target\",class=\"4xx\"", TRAFFIC_target_4xx},
      {",by=\"target\",class=\"5xx\"", TRAFFIC_target_5xx},
      {",by=\"load_balancer\",class=\"2xx\"", TRAFFIC_elb_2xx},
      {",by=\"load_balancer\",class=\"3xx\"", TRAFFIC_elb_3xx},
      {",by=\"load_balancer\",class=\"4xx\"", TRAFFIC_elb_4xx},
      {",by=\"load_balancer\",class=\"5xx\"", TRAFFIC_elb_5xx}}},
    {"responses_total", "counter", "Answers by status class.", GROUP | TARGET, false,
     {{",class=\"1xx\"", TRAFFIC_target_1xx}, {",class=\"2xx\"", TRAFFIC_target_2xx},
      {",class=\"3xx\"", TRAFFIC_target_3xx}, {",class=\"4xx\"", TRAFFIC_target_4xx},
      {",class=\"5xx\"", TRAFFIC_target_5xx}}},
    {"connections_total", "counter", "Connections that clients opened.", LB, false, {{"", TRAFFIC_connections}}},
    {"connections", "gauge", "Connections of clients that are open.", LB, true, {{"", GAUGE_connections}}},
    {"in_flight_requests", "gauge", "Requests that targets have not answered to the end.", LB | GROUP | TARGET, true,
     {{"", GAUGE_in_flight}}},
    {"healthy_targets", "gauge", "Targets that are healthy.", GROUP, true, {{"", GAUGE_healthy}}},
    {"unhealthy_targets", "gauge", "Targets that are unhealthy.", GROUP, true, {{"", GAUGE_unhealthy}}},
    {"connection_errors_total", "counter", "Connections to targets that failed.", LB | GROUP | TARGET, false,
     {{"", TRAFFIC_connection_errors}}},
    {"response_errors_total", "counter", "Answers of targets that were broken, or ended early.", LB | GROUP | TARGET,
     false, {{"", TRAFFIC_response_errors}}},
    {"retries_total", "counter", "Requests that were sent again, to this or another target.", LB | GROUP | TARGET, false,
     {{"", TRAFFIC_retries}}},
    {"received_bytes_total", "counter", "Bytes of requests.", LB | GROUP | TARGET, false,
     {{"", TRAFFIC_received_bytes}}},
    {"sent_bytes_total", "counter", "Bytes of answers.", LB | GROUP | TARGET, false, {{"", TRAFFIC_sent_bytes}}},
};

static void
write_family(const struct writer *w, const struct family *f, enum traffic_kind kind, const char *prefix)
{
    char name[96];

    snprintf(name, sizeof(name), "%s_%s", prefix, f->name);
    observe_head(w->out, name, f->type, f->help);
    for (size_t i = 0; i < w->list->count; i++) {
        const struct observed *o = &w->list->at[i];
        const struct traffic_series *s = w->series[i];

        for (const struct label_value *v = f->values; o->kind == kind && v->label != NULL; v++) {
            const int64_t *from = s == NULL ? NULL : f->is_gauge ? s->now : s->total;
            strbuf_addf(w->out, "%s{%s%s} %lld\n", name, o->labels, v->label,
                        from != NULL ? (long long)from[v->what] : 0LL);
        }
    }
}

/* Of the last one to two minutes; sum and count since the series began. */
static void
write_latencies(const struct writer *w, enum traffic_kind kind, const char *prefix)
{
    static const double shares[] = {0.5, 0.9, 0.95, 0.99};
    char name[96];

    snprintf(name, sizeof(name), "%s_response_seconds", prefix);
    observe_head(w->out, name, "summary",
                 "Time until a target's answer began, of sampled requests; quantiles of the last one to two minutes.");
    for (size_t i = 0; i < w->list->count; i++) {
        const struct observed *o = &w->list->at[i];
        const struct traffic_series *s = w->series[i];
        struct latencies recent;

        if (o->kind != kind || s == NULL || s->latency_samples == 0)
            continue;
        recent = traffic_recent(s, w->traffic->now_ms);
        for (size_t k = 0; recent.samples > 0 && k < ARRAY_COUNT(shares); k++)
            strbuf_addf(w->out, "%s{%s,quantile=\"%g\"} %.4f\n", name, o->labels, shares[k],
                        latencies_quantile_ms(&recent, shares[k]) / 1000);
        strbuf_addf(w->out, "%s_sum{%s} %.3f\n%s_count{%s} %lld\n", name, o->labels,
                    (double)s->latency_total_ms / 1000, name, o->labels, (long long)s->latency_samples);
    }
}

static void
write_one(struct strbuf *out, const char *name, const char *type, const char *help, int64_t value)
{
    observe_head(out, name, type, help);
    strbuf_addf(out, "%s %lld\n", name, (long long)value);
}

void
observe_traffic_write(struct strbuf *out, const struct observed_list *list, const struct balancer_traffic *traffic)
{
    const struct traffic_series **series = mem_new((list->count + 1) * sizeof(*series));
    const struct writer w = {out, list, traffic, series};

    for (size_t i = 0; i < list->count; i++)
        series[i] = traffic_book_find(traffic->book, list->at[i].kind, list->at[i].key);
    for (size_t k = 0; k < ARRAY_COUNT(kinds); k++) {
        for (size_t i = 0; i < ARRAY_COUNT(families); i++)
            if ((families[i].kinds & (1u << kinds[k].kind)) != 0)
                write_family(&w, &families[i], kinds[k].kind, kinds[k].prefix);
        write_latencies(&w, kinds[k].kind, kinds[k].prefix);
    }
    write_one(out, "naru_lb_old_workers", "gauge", "Workers of HAProxy from before a reload, with connections that they still have.",
              traffic->old_workers);
    write_one(out, "naru_lb_log_lines_total", "counter", "Log lines that HAProxy said and naru read.", traffic->lines);
    write_one(out, "naru_lb_log_lines_dropped_total", "counter",
              "Log lines that nobody read, since HAProxy's worker started.", traffic->dropped_lines);
    write_one(out, "naru_lb_access_log_lost_bytes_total", "counter", "Bytes of access logs that could not be written.",
              traffic->lost_log_bytes);
    write_one(out, "naru_lb_targets_left_out", "gauge", "Targets without series, because there are too many.",
              list->left_out);
    free(series);
}
