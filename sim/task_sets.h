/* SPDX-License-Identifier: MIT */
/* task_sets.h - services with the deployment controller EXTERNAL, in worlds of both sizes: the book
 * of their task sets, a careless external deployer, and what has to be true whatever it does.
 * Bounds are those of each set: its size by the book is its part of the desired count; naru's own
 * replacements keep within minimum and maximum of that.
 * Who judges counts the tasks; each judge answers false with a complaint (shown.h). */
#pragma once
#include "acts.h"
#include "shown.h"

#define SIM_SETS_MAX 32 /* ever made, of one service */

struct sim_set {
    char arn[ARN_SIZE], definition[ARN_SIZE];
    int scale;
    bool is_deleted;
};

struct set_book {
    struct sim_set sets[SIM_SETS_MAX];
    int count;
};

/* Of the service that the sets are of, by the book. */
struct set_service {
    const struct set_book *book;
    const char *name;
    int desired_count, minimum, maximum;
    bool is_deleted, has_balancer;
};

const struct sim_set *set_of_id(const struct set_book *book,
                                const char *id); /* "ecs-svc/N"; or NULL */
const char *set_id(const struct sim_set *set);
int set_size(const struct set_service *s, const struct sim_set *set);
/* `ev` is a TASK_SET_* of a service of this book; `now` is that service, after the step. */
void told_task_set(struct set_book *book, const struct service *now, const struct event *ev);
/* Whether it has this set, which an event names. */
bool has_task_set(const struct set_book *book, const char *arn);

/* A task of the set was started: `total` of the set are wanted, with it. */
bool set_start_is_well(const struct set_service *s, const char *set_id, const char *task_id,
                       int total, struct complaint *out);
/* A healthy one is stopped, and by nobody's order to stop that task; `healthy` of the set are left.
 */
bool set_stop_is_well(const struct set_service *s, const char *set_id, const char *task_id,
                      int healthy, struct complaint *out);
/* What is shown of the service; after it each set's STEADY_STATE. */
bool sets_are_shown_well(const struct core *core, const struct set_service *s,
                         const struct service *now, struct complaint *out);
/* Whoever says STEADY_STATE says that traffic can be led there: by what naru was told, all are
 * well. */
bool stability_is_well(const struct deployment *d, int wanted, int well, struct complaint *out);

/* What really runs of a set. */
struct set_census {
    int up, starting, leaving, in_rotation; /* leaving: up, on an instance that is being drained */
};
/* is_bad: its definition is one that never gets well. */
bool set_is_steady(const struct core *core, const struct set_service *s, const struct sim_set *set,
                   const struct set_census *n, bool is_bad, char *why, size_t why_size);

/* The service as the deployer knows it. */
struct deployer {
    const char *service_arn, *name;
    const char (*groups)[BALANCING_ARN_SIZE];
    int group_count;                     /* 0 to 2 */
    const char (*definitions)[ARN_SIZE]; /* the first one is good */
    int definition_count;
    enum launch_type launch_type;
    const struct set_book *book;
};
/* One act, or false: there is nothing to do it to, or the door refuses. */
bool act_on_sets(struct fate *f, const struct core *core, const struct deployer *deployer,
                 struct act *out);
