/* SPDX-License-Identifier: MIT */
/* cloudwatch_metric.h - from the book of traffic to CloudWatch's metrics.
 * A metric is a name, a unit and dimensions in a namespace; what there is of it are points of a minute, each a
 * set of samples: how many, their sum, the least, the greatest.  Periods of several minutes are sets of sets.
 * Counts have a sample of 1 for each event, as Application Load Balancers report them; gauges, bytes and requests per
 * target have one sample a minute; response times have one for each request that was looked at.
 * Pure. */
#pragma once
#include "model/traffic_book.h"

enum cw_source { CW_COUNT, CW_BYTES, CW_GAUGE, CW_LATENCY, CW_PER_TARGET };
enum { CW_OF_BALANCER = 1, CW_OF_BOTH = 2, CW_OF_GROUP = 4 }; /* which dimensions it comes with */

struct cw_metric {
    const char *name, *unit;
    bool is_network; /* AWS/NetworkELB, else AWS/ApplicationELB */
    unsigned dimensions;
    enum cw_source source;
    int what; /* of a count or gauge */
};

extern const struct cw_metric cw_metrics[];
extern const size_t cw_metric_count;

const struct cw_metric *cw_metric_find(const char *namespace, const char *name);
const char *cw_namespace(const struct cw_metric *m);

struct cw_set {
    double samples, sum, min, max;
    struct latencies latencies; /* of CW_LATENCY */
};

/* Does it have anything at all since then (minutes since the epoch)? */
bool cw_has_points(const struct cw_metric *m, const struct traffic_series *s, int64_t since_minute);
/* Of [from, to), in minutes since the epoch; false: nothing was reported. */
bool cw_collect(const struct cw_metric *m, const struct traffic_series *s, int64_t from, int64_t to,
                struct cw_set *out);
/* "Sum", "p99.9". False: no statistic, or one that naru has not built. */
struct cw_statistic {
    enum { CW_SAMPLES, CW_SUM, CW_AVERAGE, CW_MINIMUM, CW_MAXIMUM, CW_PERCENTILE } kind;
    double share;
};
bool cw_statistic_parse(const char *name, struct cw_statistic *out);
/* False: the metric has no such statistic. */
bool cw_statistic_of(const struct cw_metric *m, const struct cw_set *set, const struct cw_statistic *statistic,
                     double *out);
