/* SPDX-License-Identifier: MIT */
/* observe.h - /healthz and /metrics: what a load balancer and a Prometheus ask of naru itself. */
#pragma once
#include "daemon/engine.h"
#include "io/http_server.h"

struct observe {
    struct engine *engine;
    struct balancer *balancer;
    int64_t started_at_ms; /* monotonic */
    const char *region; /* the default one */
    struct registry *registry;
};

struct http_route observe_health_route(struct observe *o);  /* "/healthz" */
struct http_route observe_metrics_route(struct observe *o); /* "/metrics" */
