/* SPDX-License-Identifier: MIT */
/* cron.h - Jenkins's cron lines: "minute hour day-of-month month day-of-week", with lists, ranges,
 * steps, the aliases @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually, several lines, and
 * H: a number that is the job's own (H, H/15, H(0-29), H(0-29)/10), so that not all jobs run at once.
 * All five fields have to match.  Pure: the time is given, as the machine's time zone has it. */
#pragma once
#include <time.h>
#include "base/err.h"
#include "base/str.h"

#define CRON_LINES_MAX 20

struct cron_line {
    uint64_t minutes;
    uint32_t hours, days, months, weekdays;
};
struct cron {
    struct cron_line lines[CRON_LINES_MAX];
    size_t count;
};

/* Comments (#) and empty lines are skipped; a line TZ=... is refused. */
bool cron_parse(struct str spec, struct str job, struct cron *out, struct err *err) MUST_CHECK;
bool cron_matches(const struct cron *c, const struct tm *t); /* in this minute */
