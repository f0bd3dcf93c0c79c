/* SPDX-License-Identifier: MIT */
/* gzip.h - makes a gzip file of a plain one; the only user of zlib. */
#pragma once
#include "base/err.h"

/* Writes `to` anew, flushed, beside it first: under its name it is whole or not there. `from` stays.
 * *size_out: of what was written. */
bool gzip_file(const char *from, const char *to, int64_t *size_out, struct err *err) MUST_CHECK;
