/* SPDX-License-Identifier: MIT */
/* access_files.h - where entries of access logs are kept: files named as Amazon's objects in S3 are.
 * <root>/<bucket>[/<prefix>]/AWSLogs/<account>/elasticloadbalancing/<region>/yyyy/mm/dd/
 *   <account>_elasticloadbalancing_<region>_app.<name>.<id>_<end>_<address>_<random>.log.gz
 * A file holds what happened in five minutes, or 64 MiB of it; <end> is when they are over.  Until
 * then it is plain, with a dot before its name, so that what is there under its name is whole.  What a killed naru
 * left is found at the next start and ended.
 * All files together have a budget: beyond it the oldest go first.
 * Errors: entries that cannot be written are counted and logged once a minute, nothing else; the disk
 * being full is no reason to stop.
 * Threads: calls come from one; files are compressed on another. */
#pragma once
#include "base/err.h"

struct access_files;

struct access_files_config {
    const char *root;    /* made if it is not there */
    const char *account, *address;
    int64_t budget_bytes; /* of compressed files */
};

struct access_place {
    const char *region, *load_balancer; /* "app/<name>/<id>" */
    const char *bucket, *prefix;        /* checked by log_place_check() */
};

struct access_files *access_files_new(const struct access_files_config *config);
/* Ends and compresses all that is open. */
void access_files_free(struct access_files *f);
void access_files_write(struct access_files *f, const struct access_place *place, struct str entries,
                        int64_t now_ms);
/* Ends what is due; to be called every few seconds. */
void access_files_turn(struct access_files *f, int64_t now_ms);
int64_t access_files_lost(const struct access_files *f); /* bytes that could not be written */
