/* SPDX-License-Identifier: MIT */
/* cron.h - Jenkins's cron lines: "minute hour day-of-month month day-of-week", with lists, ranges,
 * steps, the aliases @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually, several lines, and
 * H: a number that is the job's own (H, H/15, H(0-29), H(0-29)/10), so that not all jobs run at once.
 * All five fields have to match, in the machine's time zone or in that of a first line "TZ=Europe/Berlin". */
#pragma once
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
    char zone[64]; /* "": the machine's */
};

/* Comments (#) and empty lines are skipped. */
bool cron_parse(struct str spec, struct str job, struct cron *out, struct err *err) MUST_CHECK;
bool cron_matches(const struct cron *c, int64_t seconds); /* the minute of that time since 1970 */
