/* SPDX-License-Identifier: MIT */
#include "api/cloudwatch_metric.h"

#include <stdlib.h>
#include <string.h>

#define BALANCER CW_OF_BALANCER
#define BOTH CW_OF_BOTH
#define GROUP CW_OF_GROUP

const struct cw_metric cw_metrics[] = {
    {"ActiveConnectionCount", "Count", false, BALANCER, CW_GAUGE, GAUGE_connections},
    {"HTTPCode_ELB_3XX_Count", "Count", false, BALANCER, CW_COUNT, TRAFFIC_elb_3xx},
    {"HTTPCode_ELB_4XX_Count", "Count", false, BALANCER, CW_COUNT, TRAFFIC_elb_4xx},
    {"HTTPCode_ELB_500_Count", "Count", false, BALANCER, CW_COUNT, TRAFFIC_elb_500},
    {"HTTPCode_ELB_502_Count", "Count", false, BALANCER, CW_COUNT, TRAFFIC_elb_502},
    {"HTTPCode_ELB_503_Count", "Count", false, BALANCER, CW_COUNT, TRAFFIC_elb_503},
    {"HTTPCode_ELB_504_Count", "Count", false, BALANCER, CW_COUNT, TRAFFIC_elb_504},
    {"HTTPCode_ELB_5XX_Count", "Count", false, BALANCER, CW_COUNT, TRAFFIC_elb_5xx},
    {"HTTPCode_Target_2XX_Count", "Count", false, BALANCER | BOTH, CW_COUNT, TRAFFIC_target_2xx},
    {"HTTPCode_Target_3XX_Count", "Count", false, BALANCER | BOTH, CW_COUNT, TRAFFIC_target_3xx},
    {"HTTPCode_Target_4XX_Count", "Count", false, BALANCER | BOTH, CW_COUNT, TRAFFIC_target_4xx},
    {"HTTPCode_Target_5XX_Count", "Count", false, BALANCER | BOTH, CW_COUNT, TRAFFIC_target_5xx},
    {"HealthyHostCount", "Count", false, BOTH, CW_GAUGE, GAUGE_healthy},
    {"NewConnectionCount", "Count", false, BALANCER, CW_COUNT, TRAFFIC_connections},
    {"ProcessedBytes", "Bytes", false, BALANCER, CW_BYTES, 0},
    {"RequestCount", "Count", false, BALANCER | BOTH, CW_COUNT, TRAFFIC_routed},
    {"RequestCountPerTarget", "Count", false, BOTH | GROUP, CW_PER_TARGET, 0},
    {"RuleEvaluations", "Count", false, BALANCER, CW_COUNT, TRAFFIC_rule_evaluations},
    {"TargetConnectionErrorCount", "Count", false, BALANCER | BOTH, CW_COUNT, TRAFFIC_connection_errors},
    {"TargetResponseTime", "Seconds", false, BALANCER | BOTH, CW_LATENCY, 0},
    {"UnHealthyHostCount", "Count", false, BOTH, CW_GAUGE, GAUGE_unhealthy},
    {"ActiveFlowCount", "Count", true, BALANCER, CW_GAUGE, GAUGE_connections},
    {"HealthyHostCount", "Count", true, BOTH, CW_GAUGE, GAUGE_healthy},
    {"NewFlowCount", "Count", true, BALANCER, CW_COUNT, TRAFFIC_connections},
    {"ProcessedBytes", "Bytes", true, BALANCER, CW_BYTES, 0},
    {"UnHealthyHostCount", "Count", true, BOTH, CW_GAUGE, GAUGE_unhealthy},
};
const size_t cw_metric_count = ARRAY_COUNT(cw_metrics);

const char *
cw_namespace(const struct cw_metric *m)
{
    return m->is_network ? "AWS/NetworkELB" : "AWS/ApplicationELB";
}

const struct cw_metric *
cw_metric_find(const char *namespace, const char *name)
{
    for (size_t i = 0; i < cw_metric_count; i++)
        if (strcmp(cw_metrics[i].name, name) == 0 && strcmp(cw_namespace(&cw_metrics[i]), namespace) == 0)
            return &cw_metrics[i];
    return NULL;
}

/* ---- one minute ---- */

static void
add_samples(struct cw_set *set, double samples, double sum, double min, double max)
{
    if (set->samples == 0 || min < set->min)
        set->min = min;
    if (set->samples == 0 || max > set->max)
        set->max = max;
    set->samples += samples;
    set->sum += sum;
}

static void
add_gauge(struct cw_set *set, const struct gauge_points *g)
{
    if (g->samples > 0)
        add_samples(set, 1, (double)g->sum / g->samples, g->min, g->max);
}

static void
add_latencies(struct cw_set *set, const struct latencies *l)
{
    if (l->samples == 0)
        return;
    add_samples(set, l->samples, (double)l->sum_ms / 1000, (double)l->min_ms / 1000, (double)l->max_ms / 1000);
    latencies_merge(&set->latencies, l);
}

/* Requests by healthy targets, of which there were so many on average. */
static void
add_per_target(struct cw_set *set, const struct traffic_point *p)
{
    const struct gauge_points *healthy = &p->gauges[GAUGE_healthy];
    const double targets = healthy->samples > 0 ? (double)healthy->sum / healthy->samples : 0;
    const double value = (double)p->traffic->counts[TRAFFIC_requests] / (targets > 1 ? targets : 1);

    if (value > 0)
        add_samples(set, 1, value, value, value);
}

static void
add_minute(const struct cw_metric *m, const struct traffic_point *p, struct cw_set *set)
{
    const int64_t *counts = p->traffic != NULL ? p->traffic->counts : NULL;
    double bytes;

    if (m->source == CW_GAUGE) {
        add_gauge(set, &p->gauges[m->what]);
        return;
    }
    if (counts == NULL)
        return;
    switch (m->source) {
    case CW_COUNT:
        if (counts[m->what] > 0)
            add_samples(set, (double)counts[m->what], (double)counts[m->what], 1, 1);
        break;
    case CW_BYTES:
        bytes = (double)counts[TRAFFIC_received_bytes] + (double)counts[TRAFFIC_sent_bytes];
        if (bytes > 0)
            add_samples(set, 1, bytes, bytes, bytes);
        break;
    case CW_LATENCY:
        add_latencies(set, &p->traffic->latencies);
        break;
    case CW_PER_TARGET:
        add_per_target(set, p);
        break;
    case CW_GAUGE:
        break;
    }
}

/* ---- periods ---- */

/* The first point that is not before `minute`. */
static int
first_point(const struct traffic_series *s, int64_t minute)
{
    int low = 0, high = s->point_count;

    while (low < high) {
        const int middle = (low + high) / 2;
        if (s->points[middle].minute < minute)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool
cw_collect(const struct cw_metric *m, const struct traffic_series *s, int64_t from, int64_t to, struct cw_set *out)
{
    *out = (struct cw_set){0};
    for (int i = first_point(s, from); i < s->point_count && s->points[i].minute < to; i++)
        add_minute(m, &s->points[i], out);
    return out->samples > 0;
}

bool
cw_has_points(const struct cw_metric *m, const struct traffic_series *s, int64_t since_minute)
{
    for (int i = s->point_count; i > 0 && s->points[i - 1].minute >= since_minute; i--) {
        struct cw_set set = {0};
        add_minute(m, &s->points[i - 1], &set);
        if (set.samples > 0)
            return true;
    }
    return false;
}

/* ---- statistics ---- */

bool
cw_statistic_parse(const char *name, struct cw_statistic *out)
{
    static const char *const names[] = {"SampleCount", "Sum", "Average", "Minimum", "Maximum"};
    char *end;

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (struct cw_statistic){.kind = (unsigned)i};
            return true;
        }
    /* "p", then a decimal number of at most ten places */
    if (name[0] != 'p' || strlen(name) > 15 || strspn(name + 1, "0123456789.") != strlen(name + 1) ||
        name[1] == '.' || name[1] == '\0')
        return false;
    *out = (struct cw_statistic){.kind = CW_PERCENTILE, .share = strtod(name + 1, &end) / 100};
    return *end == '\0' && out->share >= 0 && out->share <= 1;
}

bool
cw_statistic_of(const struct cw_metric *m, const struct cw_set *set, const struct cw_statistic *statistic, double *out)
{
    switch (statistic->kind) {
    case CW_SAMPLES:
        *out = set->samples;
        return true;
    case CW_SUM:
        *out = set->sum;
        return true;
    case CW_AVERAGE:
        *out = set->sum / set->samples;
        return true;
    case CW_MINIMUM:
        *out = set->min;
        return true;
    case CW_MAXIMUM:
        *out = set->max;
        return true;
    case CW_PERCENTILE:
        if (m->source != CW_LATENCY)
            return false;
        *out = statistic->share <= 0   ? set->min
               : statistic->share >= 1 ? set->max
                                       : latencies_quantile_ms(&set->latencies, statistic->share) / 1000;
        return true;
    }
    return false;
}
