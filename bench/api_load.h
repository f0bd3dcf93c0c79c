/* SPDX-License-Identifier: MIT */
/* api_load.h - signed calls of the AWS API, as fast as a server answers them.
 * One thread drives all connections: on each, one call at a time, every one signed by itself (SigV4),
 * the connection kept.  A call fails if its answer is not 200 or cannot be read; then the run ends
 * with an error that shows the first such answer, since figures of failures mean nothing.
 * Ownership: texts are borrowed for the call.  Units: see the names. */
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

#define API_LOAD_CONNECTIONS_MAX 512

struct api_load {
    int port; /* of 127.0.0.1 */
    const char *access_key_id, *secret, *region, *service;
    const char *target; /* "AmazonEC2ContainerServiceV20141113.DescribeServices" */
    int connections;
    int64_t duration_ms; /* 0: until `calls` were made */
    int64_t calls;       /* 0: until `duration_ms` is over */
    /* Appends the body of the call with this number (from 0). */
    void (*body)(void *arg, int64_t number, struct strbuf *out);
    void *arg;
};

struct api_load_report {
    int64_t calls;
    double seconds;
    double a_second;
    double p50_ms, p99_ms, max_ms;
    int64_t answer_size; /* bytes of the last answer's body */
};

bool api_load_run(const struct api_load *load, struct api_load_report *out, struct err *err) MUST_CHECK;
