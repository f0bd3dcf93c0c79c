/* SPDX-License-Identifier: MIT */
/* replication_queue.h - images on their way to their destinations: whose turn it is, and when one that failed is
 * tried again. Pure: it is told the time; whoever uses it holds his own lock.
 * A registry has one image at a time, by whichever of its regions: one that hangs keeps one thread, and nobody else of
 * us changes the lists that it has us keep (replica_referrers.c). The regions of this machine are one each. A push of
 * what is on its way already begins anew: its attempts are counted from the first one. */
#pragma once
#include "registry/mirror/replication_internal.h"
#include "registry/mirror/slots.h"

#define REPLICATION_KEY_SIZE 96 /* "<registryId>/<region>" */

/* One image to one destination, most often. */
struct replication_job {
    struct replica image;
    char key[REPLICATION_KEY_SIZE]; /* "": to all that the rules name when it is run */
    char server[REPLICATION_KEY_SIZE]; /* who is busy with it: the registry, or a region of this machine */
    int64_t due_ms; /* monotonic */
    int attempts;
    struct replication_job *next;
};

struct replication_queue {
    const char *own_registry; /* the id of this one; borrowed */
    struct replication_job *jobs; /* that wait */
    int count, limit;
    struct slots serving;
};

/* Behind all others; one that waits already sets out at once. False: `limit` wait, and it has a destination: then it
 * is on disk, and read again when there is room. One without is known to nobody else, and there is at most one of an image. */
bool replication_queue_add(struct replication_queue *q, const struct replica *image, const char *key) MUST_CHECK;
bool replication_queue_has(struct replication_queue *q, const struct replica *image, const char *key); /* does it wait? */
/* Takes off the queue what waits. False: it does not, or is being sent. */
bool replication_queue_remove(struct replication_queue *q, const struct replica *image, const char *key);
/* The first that is due and whose registry is free, taken off the queue; else NULL, and when the next one will
 * be due (INT64_MAX: not by itself). */
struct replication_job *replication_queue_next(struct replication_queue *q, int64_t now_ms,
                                               int64_t *next_ms_out);
/* Ends what next() gave: frees it, or puts it back for later, unless it was pushed again meanwhile. */
void replication_queue_end(struct replication_queue *q, struct replication_job *job, bool is_done,
                           int64_t now_ms);
void replication_queue_done(struct replication_queue *q); /* frees all that wait */
