/* SPDX-License-Identifier: MIT */
/* backfill.h - what was pushed before there was a rule, or before its destination lost it, goes there, too: ECR's
 * replication backfills.
 *
 * A backfill takes the images of a region that the rules lead to one destination, by repository and there the newest push
 * first, and puts them into the queue of replication (replication.h) a few at a time. Each tag of an image counts as a
 * replication of its own, an image without a tag as one; archived images, and those that an index brings along, are none.
 *
 * On disk: <region>/_backfills/<id>.json, a ReplicationBackfillSummary of ECR with times in ms and "asked", the
 * mark that its images carry in their records; and <id>.images, an array of {"repositoryName", "imageDigest", "tags",
 * "status", "failureCode"}, each in a line of its own, from when it is prepared. What was under way goes on at the next start. A region keeps the last
 * BACKFILLS_KEPT_MAX. Where replication could not be started, what is there can be read; start and stop are INTERNAL.
 * JSON that is handed out is the caller's. */
#pragma once
#include "registry/registry.h"

#define BACKFILLS_ACTIVE_MAX 10 /* of a region (reference: ECR's model, StartReplicationBackfill) */
#define BACKFILLS_KEPT_MAX 100
#define BACKFILL_IMAGES_MAX 100000 /* more, or more than 64 MiB of names and tags: FAILED, TooManyImages */

struct backfills;
struct replica;

struct backfills *backfills_open(struct registry *reg);
void backfills_stop(struct backfills *all); /* what is under way stays so for the next start */
void backfills_free(struct backfills *all); /* behind backfills_stop(), when nobody calls any more */
/* An attempt to bring an image there has ended; `is_done`: it was the last one. */
void backfills_settled(struct backfills *all, const struct replica *image, const char *key, bool is_done);

/* INVALID_PARAMETER: no rule has that destination. BACKFILL_IN_PROGRESS: one for that region is under way.
 * LIMIT_EXCEEDED: BACKFILLS_ACTIVE_MAX are. `out` is the summary. */
bool registry_backfill_start(struct registry *reg, const char *region, const char *to_registry, const char *to_region,
                             struct json **out, struct err *err) MUST_CHECK;
/* BACKFILL_NOT_FOUND. `images_out` (may be NULL) gets those of its images from `first` on, `count` at most, once it has
 * ended, else an empty array. */
bool registry_backfill_get(struct registry *reg, const char *region, const char *id, size_t first, size_t count,
                           struct json **out, struct json **images_out, struct err *err) MUST_CHECK;
/* All that are kept, in no order. */
bool registry_backfill_list(struct registry *reg, const char *region, struct json **out, struct err *err) MUST_CHECK;
/* What waits is taken back; what is being sent is waited for (STOPPING). BACKFILL_STATUS: it has ended. */
bool registry_backfill_stop(struct registry *reg, const char *region, const char *id, struct json **out,
                            struct err *err) MUST_CHECK;
