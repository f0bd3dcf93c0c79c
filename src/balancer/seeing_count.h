/* SPDX-License-Identifier: MIT */
/* seeing_count.h - from HAProxy's counters and lines to the book.
 * Counters are a worker's own and begin at zero in it; they belong to a server line, whoever sits there.  So each
 * has a base, what it last was, and what is booked is the difference, for whom the line names now.
 * Exact: requests, status classes, connections, bytes, errors, retries.  A load balancer's own answers are
 * those that clients saw and no target gave.  From lines, which may be samples: latencies; what share of a
 * listener's requests met which rule; what share of its own 5xx had which code.
 * Pure. Times are milliseconds since the epoch. */
#pragma once
#include "balancer/access_line.h"
#include "balancer/haproxy_stat.h"
#include "balancer/seeing_names.h"

struct stat_base {
    char proxy[64], server[16];
    int64_t value[STAT_SIZE];
};

struct stat_worker {
    int64_t pid;
    struct stat_base *bases; /* in the order of its rows, which never changes */
    int count, capacity;
    struct stat_worker *next;
};

struct counting {
    struct traffic_book *book;
    struct seen_names *names;
};

void stat_worker_free(struct stat_worker *w);
/* A round asks all workers: count_begin(), count_stat() of each, and, if none failed, count_end(), which shares
 * out, looks at the gauges, and drops the series of targets and rules that are gone. */
void count_begin(struct counting *c);
/* Books what `worker` did since it was last asked. is_first: nothing of it was asked before, and what it did until
 * now was not in our time: it is not booked. */
bool count_stat(struct counting *c, struct stat_worker *worker, struct str answer, bool is_first,
                int64_t now_ms, struct err *err) MUST_CHECK;
void count_end(struct counting *c, int64_t now_ms);
void count_line(struct counting *c, const struct access_line *line, int64_t now_ms);
