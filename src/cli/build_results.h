/* SPDX-License-Identifier: MIT */
/* build_results.h - what became of builds: their list, one with its stages, tests and artifacts, and the
 * artifacts themselves. */
#pragma once
#include "cli/cli.h"

bool build_results_list(struct client *client, const char *pipeline, bool wants_json,
                        struct err *err) MUST_CHECK;
/* `number` NULL: the newest. */
bool build_results_show(struct client *client, const char *pipeline, const char *number,
                        bool wants_json, struct err *err) MUST_CHECK;
/* `to` NULL: standard output. A file is there whole, or not at all. */
bool build_results_fetch(struct client *client, const char *pipeline, const char *number,
                         const char *artifact, const char *to, struct err *err) MUST_CHECK;
