/* SPDX-License-Identifier: MIT */
/* observe_traffic.h - load balancing as Prometheus metrics, naru_lb_*.
 * The core knows what there is and to which revision a target belongs, the balancer what went through; each is asked
 * by itself, so that neither waits for the other.
 * At most OBSERVED_TARGETS_MAX targets have series; how many are left out is a series of its own. */
#pragma once
#include "balancer/balancer.h"
#include "core/core.h"

#define OBSERVED_TARGETS_MAX 5000

struct observed { /* one load balancer, group, target or rule */
    enum traffic_kind kind;
    char *key;    /* of its series */
    char *labels; /* `load_balancer="app/x/1"`, with nothing around it */
};

struct observed_list {
    struct observed *at;
    size_t count, capacity;
    int left_out;
};

/* What stands before each metric. */
void observe_head(struct strbuf *out, const char *name, const char *type, const char *help);

void observe_traffic_collect(struct observed_list *list, const struct core *core);
void observe_traffic_done(struct observed_list *list);
void observe_traffic_write(struct strbuf *out, const struct observed_list *list,
                           const struct balancer_traffic *traffic);
