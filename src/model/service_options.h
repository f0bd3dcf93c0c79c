/* SPDX-License-Identifier: MIT */
/* service_options.h - what a service can be told beyond ECS, by tags of it, which every client can send:
 *     naru:progressDeadlineSeconds   0 (never) or 10 to 2592000; the default is 86400
 *     naru:probationSeconds          0 (none) or 1 to 86400; the default is 60
 * The door checks what it is given; what a service has is then read without a complaint. */
#pragma once
#include "base/err.h"
#include "base/json.h"

#define OPTION_PREFIX "naru:"
#define PROGRESS_DEADLINE_TAG "naru:progressDeadlineSeconds"
#define PROBATION_TAG "naru:probationSeconds"

struct service_options {
    int progress_deadline_s; /* 0: none */
    int probation_s;         /* 0: none */
};

/* `tags`: an array of {key,value}, or NULL.  ERR_INVALID_PARAMETER: one of them begins as an option
 * does, in whatever case, and is none that there is, or has a value that is none. */
bool service_options_check(const struct json *tags, struct err *err) MUST_CHECK;
/* What is not said, or cannot be understood, is the default. */
struct service_options service_options_read(const struct json *tags);
