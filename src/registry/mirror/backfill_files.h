/* SPDX-License-Identifier: MIT */
/* backfill_files.h - backfills on disk, for backfill.c: <region>/_backfills/<id>.json and <id>.images (backfill.h says
 * what is in them). */
#pragma once
#include "registry/internal.h"

#define BACKFILL_ID_SIZE 37 /* a UUID */
#define BACKFILL_IMAGES_FILE_MAX JSON_TEXT_MAX /* of more we could read nothing again */

bool backfill_folder_make(struct registry *reg, const char *region, struct err *err) MUST_CHECK;
bool backfill_summary_store(struct registry *reg, const char *region, const char *id, const struct json *summary,
                            struct err *err) MUST_CHECK;
bool backfill_images_store(struct registry *reg, const char *region, const char *id, const struct json *images,
                           struct err *err) MUST_CHECK;
/* BACKFILL_NOT_FOUND. */
bool backfill_summary_read(const struct registry *reg, const char *region, const char *id, struct json **out,
                           struct err *err) MUST_CHECK;
struct json *backfill_images_part(const struct json *images, size_t first, size_t count);
bool backfill_images_read(const struct registry *reg, const char *region, const char *id, struct json **out,
                          struct err *err) MUST_CHECK;
/* Those from `first` on, `count` at most. */
bool backfill_images_read_part(const struct registry *reg, const char *region, const char *id, size_t first, size_t count,
                               struct json **out, struct err *err) MUST_CHECK;
/* Calls `call` for each summary of a region, which it takes over. What cannot be read is left out, and logged: one that
 * is damaged is nothing to the others. */
bool backfill_summaries_each(const struct registry *reg, const char *region,
                             void (*call)(void *arg, const char *region, const char *id, struct json *summary), void *arg,
                             struct err *err) MUST_CHECK;
/* The summary first: what has one has its images. */
bool backfill_files_remove(const struct registry *reg, const char *region, const char *id, struct err *err) MUST_CHECK;
/* Images whose summary is gone, of a removal that was cut off. */
void backfill_files_sweep(const struct registry *reg, const char *region);
