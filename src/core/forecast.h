/* SPDX-License-Identifier: MIT */
/* forecast.h - what a change will do to a service, told by the very core that will do it.
 * A copy of the core takes the event.  Each order that it then gives is carried out in a small
 * world of its own, after a given time and perhaps badly, until nothing moves any more.  The real
 * core stays as it is.  Start at forecast_run(); `naru plan` and `naru simulate` show the result.
 * The copy holds every live task, for the room that it takes; tasks of other services stand still.
 * Times are relative to the event.  Errors: ERR_LIMIT_EXCEEDED if there is too much to copy.
 * Ownership: options are borrowed; forecast_done() frees what the result holds. */
#pragma once
#include "core/core.h"

#define FORECAST_TASKS_MAX 2000
#define FORECAST_LINES_MAX 400
#define FORECAST_HORIZON_MS (6LL * 3600 * 1000)

/* What befalls the tasks of the new revision. */
#define FORECAST_FAULTS(X)                                                    \
    X(NONE, "none")                                                           \
    X(CRASHES_AT_START, "crashes-at-start") X(CRASHES_LATER, "crashes-later") \
        X(NEVER_HEALTHY, "never-healthy") X(CANNOT_PULL, "cannot-pull")       \
            X(IMAGE_MISSING, "image-missing") X(HANGS_AT_START, "hangs-at-start")
enum forecast_fault {
#define X(NAME, text) FORECAST_##NAME,
    FORECAST_FAULTS(X)
#undef X
        FORECAST_FAULT_COUNT
};
const char *forecast_fault_name(enum forecast_fault fault);
bool forecast_fault_parse(const char *text, enum forecast_fault *out);

struct forecast_options {
    const char *service_arn;
    int64_t resolve_ms; /* an image tag */
    int64_t start_ms;   /* from the order until RUNNING, the pull included */
    int64_t healthy_ms; /* from then until healthy, where something checks it */
    int64_t drain_ms;   /* from out of rotation until nothing is in flight */
    int64_t stop_ms;    /* from SIGTERM until STOPPED */
    enum forecast_fault fault;
};

enum forecast_what {
    FORECAST_START,
    FORECAST_RUNNING,
    FORECAST_HEALTHY,
    FORECAST_UNHEALTHY,
    FORECAST_EXITED,
    FORECAST_DRAIN,
    FORECAST_STOP,
    FORECAST_STOPPED,
    FORECAST_EVENT, /* of the service: `text` */
    FORECAST_STATUS /* of the service deployment: `text` */
};
const char *forecast_what_name(enum forecast_what what);

struct forecast_line {
    int64_t at_ms;
    enum forecast_what what;
    int count;                       /* of tasks that it happened to at that moment */
    char definition[NAME_SIZE + 16]; /* "family:revision" of those */
    char *text;                      /* or NULL */
    int tasks, healthy;              /* of the service, after it: desired RUNNING; healthy ones */
};

struct forecast {
    struct forecast_line *lines;
    int line_count;
    bool is_cut;              /* there was more than FORECAST_LINES_MAX */
    bool starts_deployment;   /* or the one under way goes on */
    bool ends;                /* within the horizon */
    enum sd_status status;    /* of the service deployment, if there is one */
    char reason[REASON_SIZE]; /* of a bad end, or why nothing moves any more; empty: none */
    int64_t live_ms;          /* deployment over, old tasks out of traffic; or the service steady */
    int64_t over_ms;          /* and the last old task STOPPED */
    int healthy_min, total_max; /* the bounds in force */
    int least_healthy, most_tasks;
    int most_cpu, most_memory_mib; /* what its tasks held at once, stopping ones too */
};

bool forecast_run(const struct core *core, const struct event *event, int64_t now_ms,
                  const struct forecast_options *options, struct forecast *out,
                  struct err *err) MUST_CHECK;
void forecast_done(struct forecast *f);
