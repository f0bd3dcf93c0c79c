/* SPDX-License-Identifier: MIT */
/* cloudwatch.h - what the handlers of CloudWatch share (wire service `monitoring`).
 * There are the metrics of load balancing and no others: nothing else is measured, and PutMetricData is not built.
 * All run on the connection's thread; the book is read on its own (api_config.traffic). */
#pragma once
#include "api/cloudwatch_metric.h"
#include "api/operations.h"

#define CW_DATAPOINTS_MAX 1440      /* GetMetricStatistics */
#define CW_DATA_POINTS_MAX 100800   /* GetMetricData, all queries together */
#define CW_QUERIES_MAX 500
#define CW_LIST_PAGE 500

/* A metric with its dimensions, as asked for. */
struct cw_asked {
    const struct cw_metric *metric;      /* NULL: there is none of that name */
    bool is_of_group;
    char series[ARN_SIZE], owner[ARN_SIZE]; /* ARNs; owner: of the load balancer named beside a group, or empty */
};

/* `o` has Namespace, MetricName and Dimensions. What does not exist is no error: it has no points. */
void cw_ask(const struct request *rq, const struct json *o, struct cw_asked *out);
/* NULL: nothing of it is there. */
const struct traffic_series *cw_find(const struct cw_asked *asked, const struct traffic_book *book);

/* Start and end in whole minutes since the epoch, the end not included; err: they are no range. */
bool cw_range(const struct request *rq, int64_t *from_out, int64_t *to_out, struct err *err);
/* 1, 5, 10, 20, 30 or a multiple of 60. *minutes_out: 0 for those below a minute, for which there are no points. */
bool cw_period(int64_t period_s, int64_t *minutes_out, struct err *err);
/* Runs call(arg) with the book; false and err: this server has none. */
bool cw_read(struct request *rq, api_traffic_call *call, void *arg, struct err *err);

/* A page of an answer.  Its token is how many came before it: the same call gives the same ones, in the same order. */
struct cw_page {
    int64_t limit, skip; /* of this page; those before it */
    int64_t seen;        /* of this page and before */
    bool is_full;        /* and there are more */
};
/* NextToken; err, with the code `invalid`: it is none that was given out. */
bool cw_page_begin(const struct request *rq, int64_t limit, enum err_code invalid, struct cw_page *out, struct err *err);
/* There is one more: is it of this page? */
bool cw_page_takes(struct cw_page *page);
/* Sets NextToken where there are more. */
void cw_page_end(const struct cw_page *page, struct json *out);

operation_handler cw_get_metric_data, cw_get_metric_statistics, cw_list_metrics;
