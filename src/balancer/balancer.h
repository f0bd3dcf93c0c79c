/* SPDX-License-Identifier: MIT */
/* balancer.h - hands on traffic: our own HAProxy under supervision, and the health checks.
 * Works from snapshots: balancer_apply() gets the whole wanted state and makes the least change that
 * makes the data plane true (alb.md part B: fixed slots, maps, gated reloads; never add/del server).
 * What happened comes back as events (TARGET_HEALTH, TARGET_DRAINED, LISTENER_IN_FORCE) through
 * `report`, from the balancer's thread.  HAProxy outlives naru: balancer_new() finds a running one by its pid file and
 * admin socket and adopts it; nothing in rotation changes by that. */
#pragma once
#include "core/event.h"
#include "model/log_place.h"
#include "model/traffic_book.h"
#include "model/group_options.h"

struct balancer;

struct balancer_config {
    const char *data_dir;      /* <data_dir>/haproxy/ holds configuration, maps, sockets, pid */
    const char *haproxy;       /* the program; NULL: found in PATH */
    const char *bind_address;  /* of listeners: "0.0.0.0" by default */
    const char *account;       /* in the names of access logs; NULL: nothing is seen, and nothing costs */
    void (*report)(void *ctx, const struct event *event);
    void *ctx;
};

struct view_target {
    char id[ADDRESS_SIZE];      /* as registered; names it in events */
    int port;
    int64_t registration;       /* comes back in events */
    char address[ADDRESS_SIZE]; /* numeric; where to connect */
    bool is_draining;
    enum target_state state;    /* as the core knows it: a restart starts from here, not from initial */
};

struct tcp_options { /* of a target group behind a network load balancer */
    bool is_on;             /* else it speaks HTTP, and the rest counts for nothing */
    bool sends_proxy;       /* proxy_protocol_v2.enabled */
    bool by_source;         /* stickiness of the type source_ip */
    bool outlives_drain;    /* connections of a drained target are not cut at the end of the delay */
};

struct view_group {
    char arn[ARN_SIZE];
    char id[17];
    char algorithm[32];
    struct health_check check;
    int deregistration_delay_s;
    struct group_options options;
    struct tcp_options tcp;
    bool in_use;                /* some listener or rule leads to it: checked and served */
    struct view_target *targets;
    int target_count;
};

struct view_rule {
    char id[17];              /* last part of the ARN */
    int priority;
    struct json *conditions, *actions;
    struct json *transforms; /* of what is forwarded; NULL: none */
};

#define CERTIFICATE_ID_SIZE 40

struct view_certificate {
    char id[CERTIFICATE_ID_SIZE]; /* last part of the ARN */
    struct json *body, *chain, *private_key; /* PEM texts; the chain may be NULL */
};

struct view_trust {
    char id[17];         /* of the trust store: last part of its ARN */
    struct json *bundle; /* PEM text of the authorities */
    struct json *revocations; /* array of {Lists: PEM text of what they took back}; NULL: none */
    bool ignores_expiry; /* of the client's own certificate */
    bool shows_names;    /* of the authorities, to clients */
    /* Nobody is verified, and targets are told what clients show; the id is a name for that, the bundle empty. */
    bool is_passed_on;
};

struct view_listener {
    char arn[ARN_SIZE];
    char id[17];                /* last part of the ARN */
    int port;
    bool is_tcp;                /* of a network load balancer */
    int idle_timeout_s;         /* of its load balancer */
    struct json *actions;       /* DefaultActions: forward (weighted), redirect, fixed-response */
    /* {key: "value"} of it and of its load balancer; what is absent, or NULL, has its default. */
    struct json *attributes, *balancer_attributes;
    struct view_rule *rules;    /* in the order of their priorities */
    int rule_count;
    /* Of HTTPS: the default certificate first, each once; policy NULL and none: HTTP. */
    const struct ssl_policy *policy;
    bool has_http2;
    char (*certificate_ids)[CERTIFICATE_ID_SIZE];
    int certificate_count;
    struct view_trust trust;    /* of HTTPS that verifies its clients; no id: it asks for no certificate */
    struct json *sources;       /* blocks of addresses that may connect; NULL: everybody may */
    int64_t generation;         /* of the weights; comes back in LISTENER_IN_FORCE */
    bool is_awaited;            /* the core waits for that: it is said (again) */
    char load_balancer_arn[ARN_SIZE];
    char log_bucket[LOG_BUCKET_SIZE], log_prefix[LOG_PREFIX_SIZE]; /* of its access logs; no bucket: none are kept */
};

struct balancer_view {
    struct view_listener *listeners;
    int listener_count;
    struct view_group *groups;
    int group_count;
    struct view_certificate *certificates; /* that listeners name */
    int certificate_count;
};
/* With all in it; all of it is malloc'd. */
void balancer_view_free(struct balancer_view *v);
void view_rules_free(struct view_rule *rules, int count);

struct balancer_traffic {
    const struct traffic_book *book;
    int64_t now_ms;
    int64_t lines, dropped_lines; /* read from HAProxy; dropped by it since its worker started */
    int64_t lost_log_bytes;       /* of access logs that could not be written */
    int old_workers;              /* of HAProxy's, that end with their last connection */
};
typedef void balancer_traffic_call(void *arg, const struct balancer_traffic *traffic);

struct balancer_faults { /* since this naru started */
    int64_t deaths;  /* of HAProxy, that nobody wanted; each is followed by another start */
    int64_t refused; /* configurations that it did not take, or that could not be written */
};

struct balancer *balancer_new(const struct balancer_config *config, struct err *err) MUST_CHECK;
/* Any thread; takes the view over, as balancer_view_free() would. */
void balancer_apply(struct balancer *b, struct balancer_view *view);
/* Runs call(arg) with the statistics (seeing.h), which it does not change; they are a second old at most. False:
 * nothing is seen. Any thread, and not from `report`. */
bool balancer_traffic(struct balancer *b, balancer_traffic_call *call, void *arg);
struct balancer_faults balancer_faults(struct balancer *b); /* any thread */
void balancer_free(struct balancer *b); /* leaves HAProxy and its traffic running */
/* Is the newest view in force (HAProxy runs with it)?  For status and doctor. */
bool balancer_is_ready(struct balancer *b);
/* Why it is not: a port that is taken, what HAProxy complained about. False: nothing known. Waits for
 * the balancer's thread; not to be called from `report`. */
bool balancer_problem(struct balancer *b, char *out, size_t size);
/* What is in force, but should be written anew: rules of a kind that is not made any more. False: nothing. Waits, too, but
 * only if there is something: each question after naru's health asks. */
bool balancer_advice(struct balancer *b, char *out, size_t size);
/* Ends the HAProxy of `data_dir` (naru down); blocking. Success if none runs. */
bool balancer_shutdown(const char *data_dir, bool *was_running, struct err *err) MUST_CHECK;
