/* SPDX-License-Identifier: MIT */
/* haproxy_stat.h - HAProxy's counters: the rows of `show stat`, and what of `show info` counts.
 * Counters begin at zero in each worker and belong to the slot, not to who sits in it (alb.md B12).
 * Pure; any bytes may come, and fail with ERR_HAPROXY. */
#pragma once
#include "base/err.h"

enum haproxy_stat_kind { STAT_FRONTEND, STAT_BACKEND, STAT_SERVER };

/* A row's columns, named as HAProxy names them; what a row does not have is 0. */
#define HAPROXY_STATS(X)                                                                                      \
    X(scur) X(stot) X(bin) X(bout) X(dreq) X(econ) X(eresp) X(wretr) X(wredis) X(hrsp_1xx) X(hrsp_2xx)        \
    X(hrsp_3xx) X(hrsp_4xx) X(hrsp_5xx) X(req_tot) X(conn_tot) X(dcon) X(used_conn_cur)

enum haproxy_stat_column {
#define X(name) STAT_##name,
    HAPROXY_STATS(X)
#undef X
    STAT_SIZE
};

struct haproxy_stat {
    enum haproxy_stat_kind kind;
    struct str proxy, server; /* views into the answer */
    struct str address;       /* of a server; without brackets */
    int port;
    int64_t value[STAT_SIZE];
};

typedef void haproxy_stat_call(void *arg, const struct haproxy_stat *row);
bool haproxy_parse_stat(struct str answer, haproxy_stat_call *call, void *arg, struct err *err) MUST_CHECK;

/* "DroppedLogs" of `show info`; 0 if it is not there. */
int64_t haproxy_dropped_logs(struct str info);
