/* SPDX-License-Identifier: MIT */
#include "api/cloudwatch.h"

#include <stdio.h>
#include "api/elbv2.h"

const struct operation cloudwatch_operations[] = {
    {"GetMetricData", ACCESS_LOCAL, cw_get_metric_data},
    {"GetMetricStatistics", ACCESS_LOCAL, cw_get_metric_statistics},
    {"ListMetrics", ACCESS_LOCAL, cw_list_metrics},
    {0},
};

/* ---- what is asked for ---- */

/* "app/x/1" or "targetgroup/x/1" as an ARN of the request's region. */
static bool
arn_of(const struct request *rq, const char *kind, const char *value, char out[static ARN_SIZE])
{
    const int len = snprintf(out, ARN_SIZE, "arn:aws:elasticloadbalancing:%s:%s:%s%s", rq->region, rq->account, kind,
                             value);
    return len > 0 && len < ARN_SIZE;
}

void
cw_ask(const struct request *rq, const struct json *o, struct cw_asked *out)
{
    const struct cw_metric *m =
        cw_metric_find(json_get_cstr(o, "Namespace", ""), json_get_cstr(o, "MetricName", ""));
    const struct json *dimensions = json_get(o, "Dimensions");
    const char *balancer = NULL, *group = NULL;
    unsigned has;

    *out = (struct cw_asked){0};
    for (size_t i = 0; i < json_size(dimensions); i++) {
        const char *name = json_get_cstr(json_at(dimensions, i), "Name", "");
        const char *value = json_get_cstr(json_at(dimensions, i), "Value", "");
        if (strcmp(name, "LoadBalancer") == 0 && balancer == NULL)
            balancer = value;
        else if (strcmp(name, "TargetGroup") == 0 && group == NULL)
            group = value;
        else
            return; /* no metric of ours has such dimensions */
    }
    has = balancer != NULL && group != NULL ? CW_OF_BOTH : balancer != NULL ? CW_OF_BALANCER : CW_OF_GROUP;
    if (m == NULL || (balancer == NULL && group == NULL) || (m->dimensions & has) == 0)
        return;
    if ((balancer != NULL && !arn_of(rq, "loadbalancer/", balancer, out->owner)) ||
        (group != NULL && !arn_of(rq, "", group, out->series)))
        return;
    out->is_of_group = group != NULL;
    if (!out->is_of_group)
        memcpy(out->series, out->owner, sizeof(out->series));
    out->metric = m;
}

const struct traffic_series *
cw_find(const struct cw_asked *asked, const struct traffic_book *book)
{
    const struct traffic_series *s;

    if (asked->metric == NULL)
        return NULL;
    s = traffic_book_find(book, asked->is_of_group ? TRAFFIC_OF_GROUP : TRAFFIC_OF_LOAD_BALANCER, asked->series);
    if (s == NULL || (asked->owner[0] != '\0' && strcmp(asked->owner, s->owner) != 0) ||
        elb_is_network(s->owner) != asked->metric->is_network)
        return NULL;
    return s;
}

static double
time_of(const struct request *rq, const char *name)
{
    const struct json *value = json_get(rq->input, name);

    return json_f64(value, (double)json_i64(value, 0));
}

#define TIME_MAX 253402300800.0 /* the year 10000 */

bool
cw_range(const struct request *rq, int64_t *from_out, int64_t *to_out, struct err *err)
{
    const double from = time_of(rq, "StartTime"), to = time_of(rq, "EndTime");

    if (!(from >= 0 && from < TIME_MAX && to >= 0 && to < TIME_MAX))
        return err_set(err, ERR_CW_INVALID_VALUE, "The parameters StartTime and EndTime must be times after 1970.");
    if (from >= to)
        return err_set(err, ERR_CW_INVALID_VALUE, "The parameter StartTime must be less than the parameter EndTime.");
    *from_out = (int64_t)from / 60;
    *to_out = ((int64_t)to + ((double)(int64_t)to < to ? 1 : 0) + 59) / 60;
    return true;
}

bool
cw_period(int64_t period_s, int64_t *minutes_out, struct err *err)
{
    const bool is_short = period_s == 1 || period_s == 5 || period_s == 10 || period_s == 20 || period_s == 30;

    if (!is_short && (period_s < 60 || period_s % 60 != 0 || period_s > 86400))
        return err_set(err, ERR_CW_INVALID_VALUE,
                       "The parameter Period must be 1, 5, 10, 20, 30, or a multiple of 60, and not more than 86400; "
                       "it is %lld.",
                       (long long)period_s);
    *minutes_out = is_short ? 0 : period_s / 60;
    return true;
}

bool
cw_read(struct request *rq, api_traffic_call *call, void *arg, struct err *err)
{
    const struct api_config *config = api_get_config(rq->api);

    if (config->traffic != NULL && config->traffic(config->ctx, call, arg))
        return true;
    return err_set(err, ERR_UNAVAILABLE, "This server does not see what goes through load balancers.");
}

/* ---- pages ---- */

bool
cw_page_begin(const struct request *rq, int64_t limit, enum err_code invalid, struct cw_page *out, struct err *err)
{
    const char *token = json_get_cstr(rq->input, "NextToken", NULL);

    *out = (struct cw_page){.limit = limit};
    return token == NULL || (str_to_i64(str_of(token), &out->skip) && out->skip >= 1) ||
           err_set(err, invalid, "The value for parameter NextToken is invalid.");
}

bool
cw_page_takes(struct cw_page *page)
{
    if (page->seen - page->skip >= page->limit) /* no sum: a token may be any number */
        page->is_full = true;
    return !page->is_full && page->seen++ >= page->skip;
}

void
cw_page_end(const struct cw_page *page, struct json *out)
{
    char token[24];

    if (!page->is_full)
        return;
    snprintf(token, sizeof(token), "%lld", (long long)page->seen);
    json_set(out, "NextToken", json_text(token));
}

/* ---- GetMetricStatistics ---- */

struct statistics_call {
    struct request *rq;
    struct cw_asked asked;
    int64_t from, to, minutes;
    const struct json *statistics, *extended;
    struct json *points;
};

/* {"p99": 0.5}, which Query writes as <entry><key>p99</key><value>0.5</value></entry>. */
static void
set_extended(const struct statistics_call *c, struct json *point, const char *name, double value)
{
    struct json *map = json_get(point, "ExtendedStatistics"), *entry;

    if (map == NULL) {
        map = json_object();
        json_set(point, "ExtendedStatistics", map);
        if (c->rq->protocol == PROTOCOL_QUERY)
            json_set(map, "entry", json_array());
    }
    if (c->rq->protocol != PROTOCOL_QUERY) {
        json_set(map, name, json_real(value));
        return;
    }
    entry = json_object();
    json_set(entry, "key", json_text(name));
    json_set(entry, "value", json_real(value));
    json_append(json_get(map, "entry"), entry);
}

static void
add_point(const struct statistics_call *c, const struct cw_set *set, int64_t minute)
{
    struct json *point = json_object();
    struct cw_statistic statistic;
    double value;

    json_set(point, "Timestamp", aws_time(c->rq, minute * 60000));
    for (size_t i = 0; i < json_size(c->statistics); i++) {
        const char *name = json_cstr(json_at(c->statistics, i), "");
        if (cw_statistic_parse(name, &statistic) && cw_statistic_of(c->asked.metric, set, &statistic, &value))
            json_set(point, name, json_real(value));
    }
    for (size_t i = 0; i < json_size(c->extended); i++) {
        const char *name = json_cstr(json_at(c->extended, i), "");
        if (cw_statistic_parse(name, &statistic) && cw_statistic_of(c->asked.metric, set, &statistic, &value))
            set_extended(c, point, name, value);
    }
    json_set(point, "Unit", json_text(c->asked.metric->unit));
    json_append(c->points, point);
}

static void
collect_statistics(void *arg, const struct traffic_book *book, int64_t now_ms)
{
    struct statistics_call *c = arg;
    const struct traffic_series *s = cw_find(&c->asked, book);

    for (int64_t at = c->from; s != NULL && c->minutes > 0 && at < c->to; at += c->minutes) {
        const int64_t end = at + c->minutes < c->to ? at + c->minutes : c->to;
        struct cw_set set;
        if (cw_collect(c->asked.metric, s, at, end, &set))
            add_point(c, &set, at);
    }
    (void)now_ms;
}

static bool
check_statistics(const struct statistics_call *c, struct err *err)
{
    struct cw_statistic statistic;

    if (json_size(c->statistics) == 0 && json_size(c->extended) == 0)
        return err_set(err, ERR_CW_INVALID_COMBINATION,
                       "At least one of the parameters Statistics and ExtendedStatistics must be specified.");
    if (json_size(c->statistics) > 0 && json_size(c->extended) > 0)
        return err_set(err, ERR_CW_INVALID_COMBINATION,
                       "The parameters Statistics and ExtendedStatistics cannot be used together.");
    for (size_t i = 0; i < json_size(c->extended); i++) {
        const char *name = json_cstr(json_at(c->extended, i), "");
        if (!cw_statistic_parse(name, &statistic) || statistic.kind != CW_PERCENTILE)
            return err_set(err, ERR_CW_INVALID_VALUE,
                           "The value '%.40s' for parameter ExtendedStatistics is not built in naru; percentiles are: "
                           "p0 to p100.",
                           name);
    }
    return true;
}

bool
cw_get_metric_statistics(struct request *rq, struct json *out, struct err *err)
{
    struct statistics_call c = {.rq = rq,
                                .statistics = json_get(rq->input, "Statistics"),
                                .extended = json_get(rq->input, "ExtendedStatistics")};
    const int64_t period_s = json_get_i64(rq->input, "Period", 0);
    const char *unit = json_get_cstr(rq->input, "Unit", NULL);
    int64_t asked;

    if (!check_statistics(&c, err) || !cw_range(rq, &c.from, &c.to, err) || !cw_period(period_s, &c.minutes, err))
        return false;
    asked = (c.to - c.from) * 60 / period_s;
    if (asked > CW_DATAPOINTS_MAX)
        return err_set(err, ERR_CW_INVALID_COMBINATION,
                       "You have requested up to %lld datapoints, which exceeds the limit of %d. You may reduce the "
                       "datapoints requested by increasing Period, or decreasing the time range.",
                       (long long)asked, CW_DATAPOINTS_MAX);
    cw_ask(rq, rq->input, &c.asked);
    if (c.asked.metric != NULL && unit != NULL && strcmp(unit, c.asked.metric->unit) != 0)
        c.asked.metric = NULL; /* nothing was reported in it */
    c.points = json_array();
    json_set(out, "Label", json_text(json_get_cstr(rq->input, "MetricName", "")));
    json_set(out, "Datapoints", c.points);
    return cw_read(rq, collect_statistics, &c, err);
}
