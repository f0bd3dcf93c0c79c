/* SPDX-License-Identifier: MIT */
/* scan.h - looks for known vulnerabilities in images, one after the other on a thread of its own.
 *
 * On disk: R/_scans/<hex>, what came out of the last scan:
 *   {"status", "description", "completedAt", "sourceUpdatedAt", "packages", "counts": {"HIGH": 1},
 *    "findings": [{"name", "description", "uri", "severity", "attributes": [{"key", "value"}]}]}
 * "status" is ECR's: PENDING (asked for; taken up again after a restart), COMPLETE, FAILED. Only
 * COMPLETE says that nothing is known where no finding is: without a database (osv.h), or without
 * anything in it about the image's packages, a scan is FAILED and says so. So is one whose document cannot be read,
 * until it is made again, which a start does.
 *
 * Threads: any. Errors are ECR's. */
#pragma once
#include "registry/registry.h"

#define SCAN_QUEUE_MAX 1000     /* images that wait in memory; the others do so on disk */
#define SCAN_FINDINGS_MAX 10000 /* of one image; the worst ones */

struct scanner;

/* Starts the thread; the database is <data_dir>/osv.db, opened anew for each scan. Takes up again
 * what was asked for and not done. Once. */
void registry_start_scanning(struct registry *reg, const char *data_dir);
void scanner_stop(struct scanner *s); /* registry_close() does; NULL is fine */

/* IMAGE_NOT_FOUND, UNSUPPORTED_IMAGE_TYPE (an index, an artifact). */
bool registry_scan_request(struct registry *reg, const char *region, const char *repository,
                           const char *digest, struct err *err) MUST_CHECK;
/* The document above, with the status IN_PROGRESS while it waits or runs. SCAN_NOT_FOUND. */
bool registry_scan_get(struct registry *reg, const char *region, const char *repository,
                       const char *digest, struct json **out, struct err *err) MUST_CHECK;
/* A manifest was pushed: scans it if its repository, or a rule of the registry, wants that. */
void scan_pushed(struct registry *reg, const char *region, const char *repository,
                 const char *digest);

/* Does `filter` take `name`? '*' stands for anything; without one the filter may stand anywhere. */
bool scan_filter_takes(const char *filter, const char *name);
/* The filters of the registry's rules (its document's "scanning") that scan this repository on
 * push, as an array of
 * {"filter", "filterType"}. */
struct json *scan_filters_applied(const struct json *document, const char *repository);

/* ---- scan_match.c: packages against the database ---- */
struct osv;
struct scan_found;
/* Fills `document` ("status" and all that goes with it). `is_cancelled` (may be NULL) is asked
 * before each package; true gives up with ERR_TIMEOUT. */
bool scan_judge(struct osv *osv, const struct scan_found *found, bool (*is_cancelled)(void *arg),
                void *arg, struct json *document, struct err *err) MUST_CHECK;
