/* SPDX-License-Identifier: MIT */
/* cloudwatch_data.c - GetMetricData: many metrics at once, in pages. */
#include <ctype.h>
#include "api/cloudwatch.h"

struct asked_query {
    const struct json *o;
    struct cw_asked asked;
    struct cw_statistic statistic;
    int64_t minutes;
    bool is_left_out; /* ReturnData is false */
};

struct data_call {
    struct request *rq;
    struct asked_query *queries;
    int count;
    int64_t from, to;
    bool is_ascending;
    struct cw_page page; /* of datapoints */
    struct json *results;
};

/* ---- what is asked for ---- */

static bool
check_id(const char *id, int index, struct err *err)
{
    bool is_good = islower((unsigned char)id[0]);

    for (const char *p = id; *p != '\0'; p++)
        is_good = is_good && (isalnum((unsigned char)*p) || *p == '_');
    return is_good || err_set(err, ERR_ELB_VALIDATION,
                              "The value '%.60s' for parameter MetricDataQueries.member.%d.Id is not matching the expected "
                              "pattern ^[a-z][a-zA-Z0-9_]*$.",
                              id, index + 1);
}

static bool
refuse_members(const struct request *rq, const struct json *o, struct err *err)
{
    const char *label = json_get_cstr(o, "Label", "");
    const char *account = json_get_cstr(o, "AccountId", rq->account);

    if (json_get(o, "Expression") != NULL)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "Expression is not built in naru: there is neither metric math nor Metrics Insights.");
    if (json_get(o, "Period") != NULL)
        return err_set(err, ERR_ELB_VALIDATION, "Period of a query belongs to an Expression.");
    if (strstr(label, "${") != NULL)
        return err_set(err, ERR_UNSUPPORTED_FEATURE, "Dynamic labels (${...}) are not built in naru.");
    if (strcmp(account, rq->account) != 0)
        return err_set(err, ERR_CW_INVALID_VALUE, "The account %.40s is not this one's.", account);
    if (json_get(o, "MetricStat") == NULL)
        return err_set(err, ERR_ELB_VALIDATION, "A query must have either MetricStat or Expression.");
    return true;
}

static bool
read_query(struct request *rq, const struct json *o, int index, struct asked_query *q, struct err *err)
{
    const struct json *stat = json_get(o, "MetricStat");
    const char *name = json_get_cstr(stat, "Stat", ""), *unit = json_get_cstr(stat, "Unit", NULL);

    q->o = o;
    if (!check_id(json_get_cstr(o, "Id", ""), index, err) || !refuse_members(rq, o, err) ||
        !cw_period(json_get_i64(stat, "Period", 0), &q->minutes, err))
        return false;
    if (!cw_statistic_parse(name, &q->statistic))
        return err_set(err, ERR_ELB_VALIDATION,
                       "The value '%.40s' for parameter MetricDataQueries.member.%d.MetricStat.Stat is not built in naru; "
                       "these are: SampleCount, Sum, Average, Minimum, Maximum, p0 to p100.",
                       name, index + 1);
    q->is_left_out = !json_truth(json_get(o, "ReturnData"), true);
    cw_ask(rq, json_get(stat, "Metric"), &q->asked);
    if (q->asked.metric != NULL && unit != NULL && strcmp(unit, q->asked.metric->unit) != 0)
        q->asked.metric = NULL;
    return true;
}

static bool
read_queries(struct request *rq, struct data_call *c, struct err *err)
{
    const struct json *list = json_get(rq->input, "MetricDataQueries");

    if (json_size(list) < 1 || json_size(list) > CW_QUERIES_MAX)
        return err_set(err, ERR_ELB_VALIDATION, "MetricDataQueries must have 1 to %d members.", CW_QUERIES_MAX);
    c->queries = arena_alloc(rq->arena, json_size(list) * sizeof(*c->queries));
    memset(c->queries, 0, json_size(list) * sizeof(*c->queries));
    for (; c->count < (int)json_size(list); c->count++) {
        struct asked_query *q = &c->queries[c->count];
        if (!read_query(rq, json_at(list, (size_t)c->count), c->count, q, err))
            return false;
        for (int k = 0; k < c->count; k++)
            if (strcmp(json_get_cstr(q->o, "Id", ""), json_get_cstr(c->queries[k].o, "Id", "")) == 0)
                return err_set(err, ERR_ELB_VALIDATION, "The Id '%.60s' is not unique in MetricDataQueries.",
                               json_get_cstr(q->o, "Id", ""));
    }
    return true;
}

static bool
read_page(struct request *rq, struct data_call *c, struct err *err)
{
    const int64_t limit = json_get_i64(rq->input, "MaxDatapoints", CW_DATA_POINTS_MAX);
    const char *order = json_get_cstr(rq->input, "ScanBy", "TimestampDescending");

    c->is_ascending = strcmp(order, "TimestampAscending") == 0;
    if (limit < 1 || limit > CW_DATA_POINTS_MAX)
        return err_set(err, ERR_CW_INVALID_VALUE, "The parameter MaxDatapoints must be between 1 and %d.",
                       CW_DATA_POINTS_MAX);
    if (!cw_page_begin(rq, limit, ERR_CW_INVALID_TOKEN, &c->page, err))
        return false;
    if (json_get(rq->input, "LabelOptions") != NULL)
        return err_set(err, ERR_UNSUPPORTED_FEATURE, "LabelOptions is for dynamic labels, which are not built in naru.");
    return true;
}

/* ---- the answer ---- */

struct result {
    struct json *times, *values;
};

static void
take_point(struct data_call *c, const struct asked_query *q, const struct traffic_series *s, int64_t at,
           struct result *r)
{
    struct cw_set set;
    double value;

    if (!cw_collect(q->asked.metric, s, at, at + q->minutes, &set) ||
        !cw_statistic_of(q->asked.metric, &set, &q->statistic, &value) || !cw_page_takes(&c->page))
        return;
    json_append(r->times, aws_time(c->rq, at * 60000));
    json_append(r->values, json_real(value));
}

/* Periods begin at multiples of themselves.  Only where there are points: a range may be long. */
static void
take_points(struct data_call *c, const struct asked_query *q, const struct traffic_series *s, struct result *r)
{
    const int64_t step = q->minutes, oldest = s->points[0].minute, newest = s->points[s->point_count - 1].minute;
    const int64_t begin = c->from > oldest ? c->from : oldest, end = c->to < newest + 1 ? c->to : newest + 1;
    const int64_t first = begin - begin % step;

    if (begin >= end)
        return;
    if (c->is_ascending)
        for (int64_t at = first; at < end && !c->page.is_full; at += step)
            take_point(c, q, s, at, r);
    else
        for (int64_t at = first + (end - 1 - first) / step * step; at >= first && !c->page.is_full; at -= step)
            take_point(c, q, s, at, r);
}

static void
answer_query(struct data_call *c, const struct asked_query *q, const struct traffic_book *book)
{
    const struct traffic_series *s = cw_find(&q->asked, book);
    const struct json *metric = json_get(json_get(q->o, "MetricStat"), "Metric");
    struct result r = {json_array(), json_array()};
    struct json *o = json_object();

    if (s != NULL && s->point_count > 0 && q->minutes > 0 && !c->page.is_full)
        take_points(c, q, s, &r);
    json_set(o, "Id", json_text(json_get_cstr(q->o, "Id", "")));
    json_set(o, "Label", json_text(json_get_cstr(q->o, "Label", json_get_cstr(metric, "MetricName", ""))));
    json_set(o, "Timestamps", r.times);
    json_set(o, "Values", r.values);
    json_set(o, "StatusCode", json_text(c->page.is_full ? "PartialData" : "Complete"));
    json_append(c->results, o);
}

static void
collect_data(void *arg, const struct traffic_book *book, int64_t now_ms)
{
    struct data_call *c = arg;

    for (int i = 0; i < c->count; i++)
        if (!c->queries[i].is_left_out)
            answer_query(c, &c->queries[i], book);
    (void)now_ms;
}

bool
cw_get_metric_data(struct request *rq, struct json *out, struct err *err)
{
    struct data_call c = {.rq = rq};

    if (!read_queries(rq, &c, err) || !cw_range(rq, &c.from, &c.to, err) || !read_page(rq, &c, err))
        return false;
    c.results = json_array();
    json_set(out, "MetricDataResults", c.results);
    json_set(out, "Messages", json_array());
    if (!cw_read(rq, collect_data, &c, err))
        return false;
    cw_page_end(&c.page, out);
    return true;
}
