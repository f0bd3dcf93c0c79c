/* SPDX-License-Identifier: MIT */
/* floors.h - what the parts alone do on this machine: the least that the server's figures can be
 * compared with.  Each runs the bare library, none of our code around it.
 * Units: a second, microseconds.  Errors: the library's own words. */
#pragma once
#include "api_load.h"

/* libmicrohttpd (epoll, a thread a core) answering `answer_size` constant bytes to the calls of
 * `load`, whose port is filled in. */
bool floor_http(const struct api_load *load, size_t answer_size, struct api_load_report *out,
                struct err *err) MUST_CHECK;
/* One SigV4 key from its secret and one signature by it: five HMACs. */
double floor_hmac_chain_us(void);
/* Commits of one row of `row_size` bytes each in a database in `dir`, WAL, flushed at each. */
bool floor_commits(const char *dir, size_t row_size, int64_t duration_ms, double *a_second_out,
                   struct err *err) MUST_CHECK;
