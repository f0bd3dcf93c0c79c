/* SPDX-License-Identifier: MIT */
/* moves.h - what a round of a service's advance sees, and the moves that it is made of.
 * deployment.c decides a rolling update with them, strategy.c the other strategies.
 * A round looks, makes some moves (each keeps the counts of the scene true), and the next round looks
 * again; it ends when nothing moves any more. */
#pragma once
#include "core/index.h"

struct scene {
    struct deployment *primary;
    int desired; /* D */
    int healthy_min, total_max;
    int total;            /* desired RUNNING, of all deployments */
    int healthy, running; /* of these */
    int wanted_new;       /* tasks that the PRIMARY still lacks; those to be replaced do not count */
    int new_in_flight; /* its tasks that are not healthy yet and will stay: wait for their verdict */
    int leaving;       /* tasks of any deployment on instances that are being drained */
    int sources_in_flight; /* the same of sources that were complete once */
    int sources_total;
    int places_leaving; /* stopping tasks that still hold a place on a host */
    bool can_launch;    /* the PRIMARY may start tasks now */
    bool has_no_place;  /* it may, and no instance takes one */
};

struct scene moves_look(const struct core *core, struct service *s);
/* As if the task set was all of the service; whether it may launch is for the caller to say. */
struct scene moves_look_at(struct service *s, struct deployment *set);
/* Has its deployment failed, or must launches wait? */
bool moves_may_launch(const struct core *core, const struct service *s, const struct deployment *d);
/* Starts up to `count` tasks of `d`, `replaced` of them said to be for unhealthy ones; fewer if no
 * instance takes more.  There has to be room for `count`. */
int moves_launch(struct core *core, struct service *s, struct deployment *d, int count, int replaced,
                 struct scene *sc);

/* Starts one of its tasks on that instance; false, and a complaint is said, if that takes none. */
bool moves_launch_on(struct core *core, struct service *s, struct deployment *d,
                     struct container_instance *i);

typedef bool victim_filter(const struct service *s, const struct task *t);
/* 0 marked, 1 not running yet, 2 not healthy, 3 healthy: who goes first. */
int moves_rank(const struct task *t);
/* Whoever of those that pass the filter goes first, or NULL.  If only protected tasks could be chosen,
 * their deployment is held back by them. */
struct task *moves_pick_victim(struct core *core, const struct service *s, const struct scene *sc,
                               victim_filter *filter);
/* It goes, and its deployment still wants as many. */
void moves_take_out(struct core *core, struct scene *sc, struct task *t);
/* ... and one less, if it is an old one: a task set has the size that it was given. */
void moves_scale_in(struct core *core, struct scene *sc, struct task *t);
/* Nothing can be started, for want of leave or of a place, and nobody's verdict is waited for: then one
 * has to go first. */
bool moves_is_blocked(const struct scene *sc);
/* Unhealthy tasks of the PRIMARY (`is_marked` knows them) go once enough healthy ones are there without
 * them.  If there is no room for a replacement, one after the other makes it; where the bounds leave
 * no room at all (lower == upper == D) that is the only cure, and no healthy task is lost by it. */
int moves_stop_marked(struct core *core, struct service *s, struct scene *sc,
                      victim_filter *is_marked);
/* As many as `max`, but no healthy one below the lower bound. */
int moves_stop_while(struct core *core, struct service *s, struct scene *sc, victim_filter *filter,
                     int max);
void moves_lose_steadiness(struct core *core, struct service *s);

static inline int
smaller(int a, int b)
{
    return a < b ? a : b;
}
