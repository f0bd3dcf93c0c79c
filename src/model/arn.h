/* SPDX-License-Identifier: MIT */
/* arn.h - making and taking apart the names of ecs.md 1.5 and alb.md A2. */
#pragma once
#include "model/types.h"

struct arn {
    struct str service, region, account, resource; /* views into the text given */
};

/* "arn:aws:ecs:eu-west-1:000000000000:cluster/a"; false if it is no ARN. Any partition. */
bool arn_parse(struct str text, struct arn *out);
bool arn_is(struct str text); /* starts with "arn:" */
void arn_format(char out[static ARN_SIZE], const char *service, const char *region, const char *account,
                const char *format, ...) PRINTF_LIKE(5, 6);
/* The last '/'-separated part of an ARN's resource, or the text itself if it is no ARN. */
struct str arn_last(struct str text);
