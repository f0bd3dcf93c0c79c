/* SPDX-License-Identifier: MIT */
/* log_place.h - where access logs go: a bucket and a prefix, which are folders here. */
#pragma once
#include "base/err.h"

#define LOG_BUCKET_SIZE 64
#define LOG_PREFIX_SIZE 256

/* May these be parts of a path?  As S3's rules for names of buckets; a prefix without "AWSLogs", parts that begin
 * with a dot, or slashes at its ends. ERR_VALIDATION says why not. */
bool log_place_check(const char *bucket, const char *prefix, struct err *err) MUST_CHECK;
