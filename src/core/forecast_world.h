/* SPDX-License-Identifier: MIT */
/* forecast_world.h - the small world of a forecast, shared by its files only.
 *   forecast.c        the course, and what is written down of it
 *   forecast_copy.c   another core with the same rows
 *   forecast_world.c  the orders of that core, and what becomes of them */
#pragma once
#include "core/forecast.h"

/* Something that will be reported to the core. */
enum happening_kind { RESOLVED, RUNS, EXITS, STOPS, HEALTHY, UNHEALTHY, DRAINED, IN_FORCE,
                      HOOK_SUCCEEDS };

struct happening {
    int64_t at_ms;
    uint64_t order;
    enum happening_kind kind;
    char arn[ARN_SIZE];             /* of the task; of the revision, if RESOLVED; of the listener, if IN_FORCE;
                                       of the service deployment, if HOOK_SUCCEEDS */
    struct ef_target_change target; /* of those about targets; of a hook, the id and, as port, the attempt */
};

struct forecast_world {
    const struct forecast_options *options;
    struct forecast *out;
    struct core *core;
    struct effects effects;
    struct happening *due; /* soonest last */
    int due_count, due_capacity;
    uint64_t order;
    int64_t start_ms, now_ms;
    uint64_t newest_before; /* deployments with greater ids are new */
    int next_port;
    uint32_t next_address;
    struct forecast_line *fresh; /* of the present moment, not counted yet */
    int fresh_count;
    char last_event[37];
    const struct service_deployment *shown; /* in this state */
    enum sd_status shown_status;
};

/* forecast_copy.c */
bool forecast_copy(const struct core *from, const struct event *event, const char *service_arn,
                   struct core **out, struct err *err) MUST_CHECK;

/* forecast_world.c */
void
forecast_begin_ports(struct forecast_world *w); /* those that are taken are not given out again */
void forecast_expect_all(struct forecast_world *w); /* takes the effects */
void forecast_happens(struct forecast_world *w, const struct happening *h);

/* forecast.c */
void forecast_step(struct forecast_world *w, const struct event *event);
void forecast_note_task(struct forecast_world *w, enum forecast_what what, const struct task *t);
