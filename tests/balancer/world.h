/* SPDX-License-Identifier: MIT */
/* world.h - a balancer with the real HAProxy, small HTTP targets, and a stand-in for the core.
 * All on loopback and in a folder of their own; what was started ends with the test, however it
 * ends.  Nothing here waits for a fixed time where it can wait for the thing itself. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "balancer/balancer.h"
#include "balancer/client.h"
#include "base/clock.h"
#include "check.h"

#define TARGETS_MAX 2000

struct app { /* one target */
    struct http_server *server;
    int port;
    int group; /* 0 or 1 */
    const char *address; /* NULL: 127.0.0.1 */
    char name[16];
    atomic_int health_status; /* of /health */
    atomic_int requests;
    atomic_bool is_released; /* lets go of the answers to /held */
    atomic_llong slow_ended_ms; /* when the newest /slow was answered */
    bool is_registered, is_draining;
    int registration;
    atomic_int told_registration; /* of the newest report */
    enum target_state state; /* as the core would know it */
    atomic_int told_state;   /* the newest report; -1: none */
    atomic_int drained;      /* reports of it */
    char told_reason[64], told_description[256];
    int64_t told_ms, drained_ms;
};

struct guard { /* ends the HAProxy of a folder with the test, and removes the folder */
    pid_t pid;
    int fd;
};
void guard_begin(struct guard *g, const char *dir);
void guard_end(struct guard *g, const char *dir);

struct world {
    char dir[300];
    struct guard guard;
    int port;
    struct balancer *balancer;
    struct app apps[TARGETS_MAX];
    int app_count;
    pthread_mutex_t lock;
    struct health_check check;
    struct group_options options; /* of both groups */
    int drain_delay_s;
    const char *actions; /* JSON */
    const char *attributes; /* JSON: of the load balancer; NULL: the defaults */
    const char *rules;   /* JSON: [{Id, Conditions, Actions}] of the first listener; NULL: none */
    const char *sources; /* JSON: blocks of addresses that it lets in; NULL: everybody */
    struct tcp_options tcp; /* of both groups; is_on: also of the listeners */
    int generation;      /* of the first listener's weights; raise it with `actions` */
    atomic_int in_force; /* the one that the balancer said */
    bool sees;              /* what goes through: set by world_see() */
    const char *log_bucket; /* of access logs; NULL: none */
    bool has_no_listener, has_second_listener;
    int second_port;
    const char *program; /* instead of haproxy; NULL: that one */
    void (*more)(void *arg, struct balancer_view *v); /* what a test adds to each view; NULL: nothing */
    void *more_arg;
};

#define GROUP_ARN "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/web/0123456789abcdef"
#define OTHER_ARN "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/new/fedcba9876543210"
#define LB_ARN "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/app/x/0011223344556677"
#define FORWARD "[{\"Type\":\"forward\",\"TargetGroupArn\":\"" GROUP_ARN "\"}]"

#define WAIT_FOR(condition, limit_ms)                                                              \
    do {                                                                                           \
        const int64_t limit_ms_ = (int64_t)(limit_ms)*CHECK_PATIENCE;                              \
        const int64_t until_ms_ = clock_monotonic_ms() + limit_ms_;                                \
        while (!(condition)) {                                                                     \
            if (clock_monotonic_ms() > until_ms_)                                                  \
                check_fail(__FILE__, __LINE__, "waited %d ms for %s", (int)limit_ms_, #condition); \
            clock_sleep_ms(1);                                                                     \
        }                                                                                          \
    } while (0)

struct world *world_new(void);
struct world *world_new_at(const char *folder); /* below /tmp */
void world_free(struct world **at);
#define WORLD cleanup(world_free) struct world *w = world_new()
void world_open(struct world *w); /* naru starts, again */
void world_see(struct world *w); /* before the first world_apply() */
void world_apply(struct world *w);
void world_register(struct world *w, struct app *app);
void world_drain(struct world *w, struct app *app);
/* What the core does after it heard that it is drained: forgets the target; then the task may end. */
void world_stop_app(struct world *w, struct app *app);
void world_wait_healthy(struct app *app);
/* Registers the target; once it is healthy, one request of `load` is on its way to it, and no further. */
void world_begin_request(struct world *w, struct app *app, struct load *load);
struct app *app_start(struct world *w);
struct app *app_at(struct world *w, int port); /* somebody else's target */
void app_stop(struct app *app);
int pick_port(void);
pid_t haproxy_worker(struct world *w);
pid_t haproxy_master(struct world *w);
void check_no_failures(struct load *l, const char *name);
