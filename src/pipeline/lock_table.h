/* SPDX-License-Identifier: MIT */
/* lock_table.h - the resources that `lock` and `throttle` steps hold, of all builds.
 * A claim is given all that it wants at once, or waits: whoever came first is served first, one of a
 * higher priority before those of a lower one, and one that is `newest_first` before all that wait
 * with its priority.  What an earlier one waits for is kept for it, so nobody waits for ever; but not
 * from a build that holds something already, as that may be what the earlier one waits for.
 * What several needs of a claim must have is had once; needs that leave a choice choose after those.
 * Who holds what and who waits is on disk (if there is a path) before a step goes on, so that builds
 * which are taken up after a restart still have their locks, and their places.
 * An owner is "<pipeline>#<number> <step>"; asking again is harmless.  Thread safe.
 * Limits: LOCKS_MAX claims, beyond which nobody gets in line; LOCK_NEEDS_MAX needs of a claim, of
 * LOCK_NAMES_MAX names each. */
#pragma once
#include "base/err.h"
#include "base/str.h"

#define LOCKS_MAX 10000u
#define LOCK_NEEDS_MAX 50u
#define LOCK_NAMES_MAX 1000u

struct lock_table;

/* So many of these resources, whichever are free. */
struct lock_need {
    const char *const *names;
    size_t count, quantity;
};

struct lock_claim {
    const char *owner;
    const struct lock_need *needs; /* borrowed for the call */
    size_t need_count;
    int64_t priority;
    bool newest_first;
};

struct lock_table *lock_table_new(const char *path); /* NULL: memory only */
void lock_table_free(struct lock_table *t);
/* Takes all or queues for it: true once it is this owner's, with the names in `names_out` (may be
 * NULL), in the order of the needs, commas between. */
bool lock_table_take(struct lock_table *t, const struct lock_claim *claim,
                     struct strbuf *names_out);
/* Could it be had if nobody held anything?  Who takes what cannot be had waits for ever. */
bool lock_claim_is_possible(const struct lock_claim *claim);
/* Takes all if it can be had at once, by nobody else's leave, and does not queue. */
bool lock_table_try(struct lock_table *t, const struct lock_claim *claim);
void lock_table_give(struct lock_table *t, const char *owner);
/* All of a build that is over: owners that begin with `prefix` ("web#7 "). */
void lock_table_give_all(struct lock_table *t, const char *prefix);
/* All of those owners of whom `is_over` says so; it may not call the table. */
void lock_table_sweep(struct lock_table *t, bool (*is_over)(void *arg, const char *owner),
                      void *arg);
