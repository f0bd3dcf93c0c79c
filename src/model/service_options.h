/* SPDX-License-Identifier: MIT */
/* service_options.h - what a service can be told beyond ECS, by tags of it, which every client can send:
 *     naru:progressDeadlineSeconds   0 (never) or 10 to 2592000; the default is 86400
 *     naru:probationSeconds          0 (none) or 1 to 86400; the default is 60
 * Errors: ERR_INVALID_PARAMETER, naming the tag; the options then keep their defaults. */
#pragma once
#include "base/err.h"
#include "base/json.h"

#define PROGRESS_DEADLINE_TAG "naru:progressDeadlineSeconds"
#define PROBATION_TAG "naru:probationSeconds"

struct service_options {
    int progress_deadline_s; /* 0: none */
    int probation_s;         /* 0: none */
};

/* `tags`: an array of {key,value}, or NULL. */
bool service_options_read(const struct json *tags, struct service_options *out, struct err *err);
