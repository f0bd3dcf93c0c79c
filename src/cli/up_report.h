/* SPDX-License-Identifier: MIT */
/* up_report.h - the end of `naru up`: URL, version served, where the time went, what to try next.
 */
#pragma once
#include "cli/cli.h"

struct up_summary {
    const struct json *build; /* that followed our push; NULL if nothing was pushed */
    int64_t pushed_at_ms;     /* wall clock, when `git push` began */
    int listener_port;
    bool has_changed;
    const char *work_tree;
};

/* Fails if the URL does not answer. */
bool up_report(struct client *client, const struct up_summary *summary, struct err *err) MUST_CHECK;
