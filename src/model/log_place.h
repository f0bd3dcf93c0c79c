/* SPDX-License-Identifier: MIT */
/* log_place.h - what a bucket is here: a folder.  Access logs go to one under a prefix, and bundles of certificates
 * are read from one, where the key is the path of a file in it. */
#pragma once
#include "base/err.h"

#define LOG_BUCKET_SIZE 64
#define LOG_PREFIX_SIZE 256

/* May these be parts of a path?  As S3's rules for names of buckets; a prefix without "AWSLogs", parts that begin
 * with a dot, or slashes at its ends. ERR_VALIDATION says why not. */
bool log_place_check(const char *bucket, const char *prefix, struct err *err) MUST_CHECK;

#define OBJECT_KEY_MAX 1024 /* bytes */

/* May these be parts of the path of a file that is read?  No part of the key is empty, "." or "..". */
bool object_place_check(const char *bucket, const char *key, struct err *err) MUST_CHECK;
