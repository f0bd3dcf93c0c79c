/* SPDX-License-Identifier: MIT */
/* task_set.h - what makes a deployment a task set: one of several that run side by side in a
 * service with the deployment controller EXTERNAL.  Somebody outside says how large each is and
 * which is the primary. Revision, counts and the status PRIMARY or ACTIVE are those of the struct
 * deployment that owns it. Units: a scale is in millionths of a percent, so that what clients give
 * as a double comes back as it was. */
#pragma once
#include "model/types.h"

#define TASK_SETS_MAX 5 /* of one service, those that drain included */
#define SCALE_PERCENT 1000000
#define SCALE_WHOLE (100 * SCALE_PERCENT)

/* How launches are spaced after failures (ecs.md 5.9): those of a service, or of one task set. */
struct launches {
    int start_failures; /* in a row without RUNNING */
    int crash_streak;   /* not stored: exits after RUNNING, in a row, of tasks that were never healthy */
    int64_t after_ms;   /* nothing is launched before; 0: at once */
};

struct task_set {
    char arn[ARN_SIZE];
    char external_id[NAME_SIZE]; /* empty: none */
    char client_token[64];
    int scale;        /* of the service's desired count */
    bool is_draining; /* deleted: it goes with its last task */
    enum stability_status stability;
    int64_t stability_at_ms; /* of its last change */
    struct launches launches;
    struct json *tags;    /* array of {key,value} */
    struct json *request; /* what made it: a repeated call has the same */
};

void task_set_free(struct task_set *set); /* NULL is fine */
/* How many tasks of a service that wants `desired_count`: what is not whole rounds up. */
int task_set_count(const struct task_set *set, int desired_count);

struct json *task_set_encode(const struct task_set *set);
struct task_set *task_set_decode(const struct json *row, struct err *err);
