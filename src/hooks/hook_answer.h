/* SPDX-License-Identifier: MIT */
/* hook_answer.h - what a URL that was called as a lifecycle hook answers (ecs.md 6.8):
 *   {"hookStatus": "SUCCEEDED" | "FAILED" | "IN_PROGRESS", "callBackDelay": s, "hookDetails": {}}
 * Pure: bytes in, a verdict or an error out. */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "model/types.h"

#define HOOK_ANSWER_MAX 65536       /* bytes */
#define HOOK_DELAY_DEFAULT_S 30
#define HOOK_DELAY_MAX_S 86400      /* the longest that a hook may take at all */

struct hook_answer {
    enum hook_outcome outcome; /* never UNREACHED */
    int delay_s;               /* IN_PROGRESS: until it is called again, at least 1; else 0 */
};

/* False: it is no answer, and the message says why in a clause ("hookStatus is missing"). */
bool hook_answer_parse(struct str body, struct hook_answer *out, struct err *err) MUST_CHECK;
