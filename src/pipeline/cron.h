/* SPDX-License-Identifier: MIT */
/* cron.h - Jenkins's cron lines: "minute hour day-of-month month day-of-week", with lists, ranges,
 * steps, the aliases @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually, several lines, and
 * H: a number that is the job's own (H, H/15, H(0-29), H(0-29)/10), so that not all jobs run at once.
 * All five fields have to match, in the machine's time zone or in that of a first line "TZ=Europe/Berlin". */
#pragma once
#include <time.h>
#include "base/err.h"
#include "base/str.h"

#define CRON_LINES_MAX 20
#define CRON_ZONE_SIZE 64
#define CRON_PLACES_MAX 32 /* further ones are read each time */

struct cron_line {
    uint64_t minutes;
    uint32_t hours, days, months, weekdays;
};
struct cron {
    struct cron_line lines[CRON_LINES_MAX];
    size_t count;
    char zone[CRON_ZONE_SIZE]; /* "": the machine's */
};

/* One look at all triggers: a time since 1970, and what clocks show then in the zones that were asked for, whose
 * files are read once.  Begins with nothing but `seconds`. */
struct cron_look {
    int64_t seconds;
    struct cron_place {
        char zone[CRON_ZONE_SIZE];
        bool is_known;
        struct tm time;
    } places[CRON_PLACES_MAX];
    size_t count;
};

/* Comments (#) and empty lines are skipped. */
bool cron_parse(struct str spec, struct str job, struct cron_look *look, struct cron *out, struct err *err) MUST_CHECK;
bool cron_matches(const struct cron *c, struct cron_look *look);
