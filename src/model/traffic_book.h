/* SPDX-License-Identifier: MIT */
/* traffic_book.h - what traffic there was: counts, latencies, gauges, by whom it was for.
 * The balancer's statistics write it; metrics and CloudWatch's answers are read from it.
 * A series is one load balancer, target group, target or rule.  Each has totals since naru started, and the
 * latencies of the last two minutes at most; load balancers and groups have a point for each minute, too.
 * Points hold what counts only where there was any; the oldest of all minutes go first when they are too many
 * (BOOK_POINTS_MAX) or three days old.
 * Latencies are whole milliseconds, in fixed buckets; a quantile is a guess within its bucket.
 * Times are the caller's, milliseconds since the epoch, and may jump back: what comes then belongs to the
 * newest minute.  Pure. Ownership: the book owns all; series stay where they are until they are dropped. */
#pragma once
#include "model/types.h"

#define BOOK_MINUTES_MAX (3 * 24 * 60)
#define BOOK_POINTS_MAX 100000 /* with traffic, about 45 MB; those of gauges alone count for less */
#define BOOK_SERIES_MAX 20000

enum traffic_kind { TRAFFIC_OF_LOAD_BALANCER, TRAFFIC_OF_GROUP, TRAFFIC_OF_TARGET, TRAFFIC_OF_RULE };

/* Each counts since the series began, or within a minute. */
#define TRAFFIC_COUNTS(X)                                                                                    \
    X(requests) X(routed) X(target_1xx) X(target_2xx) X(target_3xx) X(target_4xx) X(target_5xx) X(elb_2xx) X(elb_3xx)  \
    X(elb_4xx) X(elb_5xx) X(elb_500) X(elb_502) X(elb_503) X(elb_504) X(connections) \
    X(connection_errors) X(response_errors) X(retries) X(received_bytes) X(sent_bytes) X(rule_evaluations)

enum traffic_count {
#define X(name) TRAFFIC_##name,
    TRAFFIC_COUNTS(X)
#undef X
    TRAFFIC_COUNT_SIZE
};

enum traffic_gauge { GAUGE_in_flight, GAUGE_connections, GAUGE_healthy, GAUGE_unhealthy, GAUGE_SIZE };

struct gauge_points { /* as it was each time somebody looked */
    int64_t sum;
    int32_t samples, min, max;
};

#define LATENCY_BUCKETS 44
struct latencies {
    uint32_t in[LATENCY_BUCKETS];
    uint32_t samples, min_ms, max_ms;
    int64_t sum_ms;
};

/* The greatest latency that falls into the bucket; the last has none: INT64_MAX. */
int64_t latency_bucket_ms(int bucket);
void latencies_add(struct latencies *l, int64_t ms);
void latencies_merge(struct latencies *l, const struct latencies *other);
/* 0 < share < 1; 0 where there are none. */
double latencies_quantile_ms(const struct latencies *l, double share);

struct traffic_minute { /* what there is only if something went on */
    int64_t counts[TRAFFIC_COUNT_SIZE];
    struct latencies latencies;
};

struct traffic_point {
    int64_t minute; /* since the epoch */
    struct gauge_points gauges[GAUGE_SIZE];
    struct traffic_minute *traffic; /* NULL: none */
};

struct traffic_series {
    enum traffic_kind kind;
    char id[ARN_SIZE];
    char owner[ARN_SIZE]; /* of a group: its load balancer's ARN, of that its own; else empty */
    bool is_seen; /* the writer's mark */
    int64_t total[TRAFFIC_COUNT_SIZE];
    int64_t now[GAUGE_SIZE];
    int64_t latency_total_ms, latency_samples; /* since the beginning */
    struct latencies window[2];                /* this minute's and the one's before */
    int64_t window_minute;
    struct traffic_point *points; /* by minute; only of load balancers and groups */
    int point_count, point_capacity;
};

struct traffic_book;
struct traffic_book *traffic_book_new(void);
void traffic_book_free(struct traffic_book *book);
/* Made if there is none; NULL: there are too many. */
struct traffic_series *traffic_book_get(struct traffic_book *book, enum traffic_kind kind, const char *id);
struct traffic_series *traffic_book_find(const struct traffic_book *book, enum traffic_kind kind, const char *id);
/* All, by kind and id. */
size_t traffic_book_count(const struct traffic_book *book);
struct traffic_series *traffic_book_at(const struct traffic_book *book, size_t index);
void traffic_book_drop(struct traffic_book *book, struct traffic_series *s);
/* Forgets points that are too old or too many. */
void traffic_book_trim(struct traffic_book *book, int64_t now_ms);

void traffic_add(struct traffic_book *book, struct traffic_series *s, enum traffic_count what, int64_t count,
                 int64_t now_ms);
void traffic_look(struct traffic_book *book, struct traffic_series *s, enum traffic_gauge what, int64_t value,
                  int64_t now_ms);
void traffic_answered(struct traffic_book *book, struct traffic_series *s, int64_t ms, int64_t now_ms);
/* Of the last one to two minutes. */
struct latencies traffic_recent(const struct traffic_series *s, int64_t now_ms);
