/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <time.h>
#include "pipeline/cron.h"

static bool
matches(const char *spec, int month, int day, int hour, int minute)
{
    struct tm t = {.tm_year = 126, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour,
                   .tm_min = minute, .tm_isdst = -1};
    struct cron c;
    struct err err;

    if (!cron_parse(str_of(spec), STR("web/main"), &c, &err))
        check_fail(__FILE__, __LINE__, "%s: %s", spec, err.message);
    return cron_matches(&c, mktime(&t));
}

static unsigned
count_in_a_day(const char *spec)
{
    unsigned n = 0;

    for (int i = 0; i < 1440; i++)
        n += matches(spec, 11, 27, i / 60, i % 60);
    return n;
}

TEST(fields_have_lists_ranges_and_steps)
{
    CHECK(matches("30 2 * * *", 11, 27, 2, 30) && !matches("30 2 * * *", 11, 27, 2, 31));
    CHECK(matches("*/20 * * * *", 11, 27, 5, 40) && !matches("*/20 * * * *", 11, 27, 5, 41));
    CHECK(matches("0 8-18/5 * * *", 11, 27, 13, 0) && !matches("0 8-18/5 * * *", 11, 27, 14, 0));
    CHECK(matches("0,15 * * 10,11 *", 11, 27, 1, 15) && !matches("0,15 * * 10 *", 11, 27, 1, 15));
    CHECK(matches("0 0 * * 5", 11, 27, 0, 0) && !matches("0 0 * * 1-4", 11, 27, 0, 0)); /* a Friday */
    CHECK(matches("0 0 * * 7", 11, 29, 0, 0) && matches("0 0 * * 0", 11, 29, 0, 0));
    CHECK(matches("# nightly\n\n0 1 * * *\n0 3 * * *", 11, 27, 3, 0));
}

TEST(a_first_line_names_the_time_zone)
{
    static const int64_t winter = 1768435200, summer = 1784073600; /* 00:00 UTC of 15 January and 15 July 2026 */
    struct cron c;
    struct err err;

    CHECK(cron_parse(STR("# nightly\nTZ=Europe/Berlin\n0 2 * * *"), STR("web/main"), &c, &err));
    CHECK(cron_matches(&c, winter + 3600) && !cron_matches(&c, winter));
    CHECK(cron_matches(&c, summer) && !cron_matches(&c, summer + 3600));
    CHECK(cron_parse(STR("TZ=America/New_York\n30 20 * * 3"), STR("web/main"), &c, &err)); /* the day before */
    CHECK(cron_matches(&c, winter + 90 * 60));
}

TEST(h_is_the_jobs_own_minute)
{
    struct cron a, b;
    struct err err;

    CHECK_EQ(count_in_a_day("H * * * *"), 24u);
    CHECK_EQ(count_in_a_day("H/15 * * * *"), 96u);
    CHECK_EQ(count_in_a_day("H H * * *"), 1u);
    CHECK_EQ(count_in_a_day("H(0-29)/10 * * * *"), 72u);
    CHECK_EQ(count_in_a_day("@hourly"), 24u);
    CHECK_EQ(count_in_a_day("@midnight"), 1u);
    CHECK(cron_parse(STR("H * * * *"), STR("web/main"), &a, &err));
    CHECK(cron_parse(STR("H * * * *"), STR("shop/main"), &b, &err));
    CHECK(a.lines[0].minutes != b.lines[0].minutes);
}

TEST(what_is_no_time_is_refused)
{
    static const char *const bad[] = {"",         "* * * *",     "* * * * * *", "60 * * * *",
                                      "* 24 * * *", "* * 0 * *",   "* * * 13 *",  "5-1 * * * *",
                                      "*/0 * * * *", "a * * * *",   "H(1-99) * * * *", "@never",
                                      "TZ=Nowhere/Land\n0 1 * * *", "0 1 * * *\nTZ=Asia/Seoul", "TZ=../zoneinfo/UTC\n0 1 * * *", "1,, * * * *", "H( * * * *"};
    struct cron c;
    struct err err;

    for (size_t i = 1; i < ARRAY_COUNT(bad); i++)
        if (cron_parse(str_of(bad[i]), STR("web"), &c, &err))
            check_fail(__FILE__, __LINE__, "'%s' was taken", bad[i]);
    CHECK(cron_parse(STR(""), STR("web"), &c, &err) && c.count == 0);
}
