/* SPDX-License-Identifier: MIT */
/* aws_output.h - an operation's answer as the AWS CLI prints it. */
#pragma once
#include "base/json.h"

/* A copy in which the numbers under timestamp names are ISO 8601 in local time, as the AWS CLI 2
 * does. */
struct json *aws_with_iso_times(const struct json *answer);
/* `format` is "json", "text" or "table". An empty object prints nothing. */
void aws_print(const struct json *value, const char *title, const char *format);
