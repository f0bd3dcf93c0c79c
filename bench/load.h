/* SPDX-License-Identifier: MIT */
/* load.h - load as users make it, with every failure counted: for bench/loadgen and the demo.
 * Three kinds of workers, a thread each: *keep-alive* ones send request after request on one
 * connection, *fresh* ones connect for each, *slow* ones ask for an answer that takes its time. All
 * together keep to `rate` requests a second. A failure is everything that a user would notice: no
 * connection, an answer cut short, none in time, a status other than 2xx.  One thing is none,
 * because every HTTP client hides it (RFC 9112 9.3.1): an idle kept connection that the server
 * closed before the first byte of an answer is opened again and the request sent once more;
 * `resent` counts them. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/err.h"

#define LOAD_WORKERS_MAX 1000
#define LOAD_VERSIONS_MAX 16
#define LOAD_SAMPLES_MAX 20

struct load_config {
    char host[128];
    int port;
    char path[512];
    char slow_path[512];         /* of slow workers */
    int keep_alive, fresh, slow; /* workers of each kind */
    int rate; /* requests a second of keep-alive and fresh workers together; 0: as fast as it goes
               */
    int timeout_ms;
};

enum load_failure {
    LOAD_CONNECT,
    LOAD_CLOSED,
    LOAD_TIMEOUT,
    LOAD_STATUS,
    LOAD_MALFORMED,
    LOAD_FAILURES
};

struct load_version {
    char name[32]; /* X-Version, or the first line of the body */
    int64_t count;
    int64_t first_ms, last_ms; /* since the load began: when its answers came */
};

struct load_report {
    int64_t elapsed_ms;
    int64_t requests, failed, resent;
    int64_t failures[LOAD_FAILURES];
    double p50_ms, p99_ms, max_ms; /* of good answers of keep-alive and fresh workers */
    struct load_version versions[LOAD_VERSIONS_MAX];
    int version_count;
    struct { /* the first failures, for people */
        int64_t at_ms;
        char text[160];
    } samples[LOAD_SAMPLES_MAX];
    int sample_count;
};

struct load;

/* "http://127.0.0.1:8080/path" */
bool load_url_parse(const char *url, struct load_config *out, struct err *err) MUST_CHECK;
struct load *load_start(const struct load_config *config);
void load_look(struct load *load, struct load_report *out); /* any time */
/* Lets each worker finish its request. */
void load_stop(struct load *load, struct load_report *out);
const char *load_failure_name(enum load_failure kind);
/* "requests=N failed=N ... versions=1:5000,2:3000" without a newline. */
void load_print(const struct load_report *report, FILE *out);
