/* SPDX-License-Identifier: MIT */
/* shown.h - what has to be true of what the core shows; in worlds of both sizes (world.h, crowd.h).
 * Each judge is given what the world's own book says of a service or task, looks at no other, and
 * answers false with a complaint.  checks.c has the table of what is judged where.
 * Ownership: all pointers are borrowed for the call; a list of completed ones owns what is in it.
 */
#pragma once
#include "core/core.h"
#include "core/index.h"

#define STEADY_AFTER_MS 40000 /* who is RUNNING for so long is healthy without a check: the core's default */

struct complaint {
    char text[400];
};
/* Answers false. */
bool complain(struct complaint *out, const char *format, ...) PRINTF_LIKE(2, 3);

/* Deployments that were COMPLETED once, oldest first. */
struct completed {
    char (*ids)[ID_SIZE];
    int count, capacity;
    struct strmap by_id;
};
void completed_cut(struct completed *c, int count); /* to the oldest so many */
void completed_done(struct completed *c);

/* What is reckoned of a service by its naru: tags. */
struct watch {
    int deadline_s;              /* of progress, by its tags; 0: none within the time of a world */
    int most_probation_s;        /* the longest of its life, by its tags */
    char watched_id[ID_SIZE];    /* the service deployment whose progress is in the book, */
    char taken_back_id[ID_SIZE]; /* the last service deployment that took a complete one back */
    char late_id[ID_SIZE];       /* the last one that failed by its deadline */
    int most_healthy;            /* tasks of its deployment, so far */
    int64_t progress_ms;         /* when that rose, or none were missing; by the world's clock */
    int64_t stood_ms;            /* how long naru had stood still by then, in all */
};
void watch_begin(struct watch *watch); /* the service was just made */
void watch_told(struct watch *watch, const struct json *tags);

/* Within a probation, and badly.  `told_running_ms`: 0: not yet. */
bool is_early_exit(const struct watch *watch, const struct ev_task_state *ev,
                   int64_t told_running_ms, int64_t naru_now_ms);
/* How much later than asked for naru is woken, if that is worth mentioning: it stood still.  No more of it than
 * went by since the last step: the rest is a clock that was set.
 * The engine looks at its clock every second.  Only the look that comes late is played; the others would see nothing. */
struct still {
    int64_t stood_ms; /* in all */
    int64_t stepped_ms;
    int64_t look_ms; /* that it cannot take in time, by its own clock; INT64_MAX: none */
};
/* naru stands still until then, by the world's clock, if that is to come. */
void still_begin(struct still *still, int64_t naru_now_ms, int64_t now_ms, int64_t until_ms);
/* To be told before each look at the progress. */
void still_note(struct still *still, const struct core *core, int64_t naru_now_ms, int64_t now_ms);
/* Likewise before each step, which is a look at the clock as well. */
void still_looks(struct still *still, const struct core *core, int64_t naru_now_ms, int64_t now_ms);
/* When the world, by its own clock, has to step the core for its deadline or that look; INT64_MAX: not at all. */
int64_t deadline_due_ms(const struct core *core, const struct still *still, int64_t skew_ms, int64_t stalled_until_ms);
/* Nobody is called too slow before its time, in which naru does not stand still; that it is called
 * so at all, is seen when all has come to rest.
 * `healthy`: of its PRIMARY, by the book; is_stalled: naru looks at nothing. */
bool progress_is_judged_well(struct watch *watch, const struct service *now, int healthy,
                             int64_t now_ms, int64_t stood_ms, bool is_stalled,
                             struct complaint *out);
/* Has a probation taken a deployment back since the last call?  *failed_out: which; NULL: none is.
 */
bool is_taken_back(struct watch *watch, const struct service *now,
                   const struct deployment **failed_out);
/* ... is taken back for exits that were told, as many as the breaker asks for at least; and that is
 * never called a success.  `exits` only counts with is_news, when is_taken_back() just said so. */
bool probation_is_judged_well(const struct service *now, bool is_news, int exits,
                              struct complaint *out);

bool task_is_shown_well(const struct task *t, int version_before, bool told_stopped,
                        struct complaint *out);
/* Its deployments; EXTERNAL ones are task_sets.h's. */
bool service_is_shown_well(const struct core *core, const struct service *s,
                           struct completed *completed, struct complaint *out);
/* Promise 3: a host just came back, and nobody waits on for what is over. */
bool waits_have_ended(const struct core *core, int64_t naru_now_ms, struct complaint *out);
/* Not beyond the breaker: `t` was just started for its service. */
bool launch_is_allowed(const struct task *t, struct complaint *out);
/* Promise 5: `p` is COMPLETED, and all requests are led to it by a pair of groups. */
bool is_led_well(const struct deployment *p, const char groups[2][BALANCING_ARN_SIZE],
                 const int weights[2], struct complaint *out);
