/* SPDX-License-Identifier: MIT */
/* seeing.h - what goes through HAProxy: statistics, access logs.
 *   access_line    HAProxy's log lines, and the entries that become of them
 *   access_files   where entries are kept
 *   haproxy_stat   HAProxy's counters
 *   seeing_names   whose a line or a counter is
 *   seeing_count   counters and lines to the book (model/traffic_book.h)
 *   seeing_reader  takes HAProxy's lines off its socket, on a thread of its own
 *   seeing         asks, each second, and does the rest, on a second one
 * HAProxy never waits for us: while nobody reads, or the line's queue is full, it drops lines and counts
 * them.  Its counters go on, and are exact as long as their worker lives. */
#pragma once
#include "balancer/balancer.h"

struct seeing;

struct seeing_config {
    const char *folder;   /* HAProxy's; its sockets, and our log.sock */
    const char *data_dir; /* access logs are in log/s3/<bucket>/ there */
    const char *account;
    const char *address;  /* in the names of files */
};

struct seeing *seeing_new(const struct seeing_config *config, struct err *err) MUST_CHECK;
void seeing_apply(struct seeing *s, const struct balancer_view *view); /* any thread */
/* How many targets of a group are healthy, and unhealthy; any thread. */
void seeing_health(struct seeing *s, const char *group_id, int healthy, int unhealthy);
/* HAProxy is about to reload, or just did: its old workers may end at any moment and take their counts with
 * them, so they are asked more often for a while. Any thread. */
void seeing_hurry(struct seeing *s);
void seeing_read(struct seeing *s, balancer_traffic_call *call, void *arg); /* any but its own */
void seeing_free(struct seeing *s);
