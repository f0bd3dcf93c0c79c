/* SPDX-License-Identifier: MIT */
/* pull_failure.h - an upstream that hangs costs whoever asks it ten seconds and more. While what is
 * here can be served instead, a question that took long to fail is not asked again for six times as
 * long, a minute at most; what failed at once cost nothing, and is asked each time, so that an upstream
 * that is back is seen at once. Of one that does not answer, or has too many requests (half a minute at
 * least), all tags are spared; of other failures the one tag. While somebody asks about a tag nobody
 * else does.
 * What an upstream does not have is not asked for again for ten seconds, also where there is nothing to serve instead: a
 * docker that pulls asks twice for a tag, and tasks that fail for want of it again and again.
 * Pure; the caller has a lock. Times are monotonic. */
#pragma once
#include "base/err.h"

#define PULL_FAILURES_MAX 512
#define PULL_ABSENT_MAX 256 /* tags that nobody has come by the hundred */
#define PULL_FAILURE_FREE_MS 500 /* what failed faster is asked again each time */
#define PULL_FAILURE_FACTOR 6
#define PULL_FAILURE_MAX_MS 60000
#define PULL_THROTTLED_MS 30000
#define PULL_ABSENT_MS 10000

struct row;
struct pull_failures {
    struct row *rows;
    int count;
};
void pull_failures_done(struct pull_failures *f);
/* False: do without. True: somebody asks from now on, and tells pull_ask_end() what came of it.
 * `tag` is any text that names it. */
bool pull_ask_begin(struct pull_failures *f, const char *url, const char *tag, int64_t now_ms);
/* Did the upstream say so just now? */
bool pull_is_absent(const struct pull_failures *f, const char *tag, int64_t now_ms);
/* ERR_NONE: it answered. Also of what was asked without pull_ask_begin(). */
void pull_ask_end(struct pull_failures *f, const char *url, const char *tag, enum err_code code,
                  int64_t began_ms, int64_t now_ms);
