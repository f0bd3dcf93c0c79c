/* SPDX-License-Identifier: MIT */
/* http_probe.h - one request of which only the status counts, without waiting for it: libcurl on a loop.
 * Over TLS no certificate is verified: who is asked is known by address, as with ALB's health checks.
 * HTTP/2 is spoken from the first byte, or agreed upon by TLS; a target that speaks only HTTP/1.1 has
 * failed then.  A gRPC probe posts an empty message, and its status is grpc-status.
 * All on the loop's thread. */
#pragma once
#include "io/loop.h"

enum http_probe_result {
    HTTP_PROBE_ANSWERED,
    HTTP_PROBE_TIMED_OUT,
    HTTP_PROBE_FAILED,  /* refused, reset, malformed, another protocol */
    HTTP_PROBE_NOT_MADE /* no descriptor, no port, no memory: not the target's fault */
};

struct http_probe_spec {
    const char *origin; /* "https://10.0.0.1:8443" */
    const char *path;   /* sent as it is */
    bool is_http2, is_grpc;
    int64_t timeout_ms;
    /* Once, and never from inside of http_probe_start(); may free the probe. */
    void (*done)(void *arg, enum http_probe_result result, int status);
    void *arg;
};

struct http_prober; /* of one loop */
struct http_prober *http_prober_new(struct loop *loop);
void http_prober_free(struct http_prober *p); /* its probes were freed before */

struct http_probe;
struct http_probe *http_probe_start(struct http_prober *p, const struct http_probe_spec *spec);
void http_probe_free(struct http_probe *probe); /* gives it up if it is under way; NULL is fine */
