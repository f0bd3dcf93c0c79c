/* SPDX-License-Identifier: MIT */
/* waiting.h - why tasks of services are missing, in words: what DescribeServices says with include
 * WAIT. */
#pragma once
#include "cli/cli.h"

/* "2 tasks are missing: ..., tried again in 40 s (12:01:30)".  `wait` is the member "wait" of a
 * service. The caller frees. */
char *waiting_words(const struct json *wait);
/* A line for each service of each cluster whose tasks are missing; says nothing if it cannot ask. */
void waiting_print(struct client *client, FILE *to);
