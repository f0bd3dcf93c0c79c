/* SPDX-License-Identifier: MIT */
/* group_options.h - what a target group's attributes ask of the data plane (alb.md A5).
 * Read from the attributes, which are checked when they are set: what is missing or strange here has its
 * default. */
#pragma once
#include "model/balancing.h"

#define COOKIE_NAME_MAX 128

enum stickiness { STICKY_NONE, STICKY_BALANCER, STICKY_APPLICATION };

struct group_options {
    enum stickiness stickiness;
    int sticky_s;
    char cookie_name[COOKIE_NAME_MAX + 1]; /* the application's */
    bool is_tls;                           /* HTTPS towards targets */
    bool is_http2, is_grpc;                /* of its version; gRPC is both */
    int slow_start_s;                      /* 0: off */
    int healthy_min_count;                 /* with fewer healthy ones all get traffic */
    int healthy_min_percent;               /* 0: off */
};

struct group_options group_options_of(const struct json *attributes);
void group_options_set_protocol(struct group_options *o, const char *protocol, const char *version);
/* Letters, digits, '-', '_' and '.': more could not stand in every configuration. */
bool cookie_name_is_valid(const char *name);
