/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <sys/resource.h>
#include <time.h>
#include "pipeline/cron.h"

static bool
matches_at(const char *spec, int64_t seconds)
{
    struct cron_look look = {.seconds = seconds};
    struct cron c;
    struct err err;

    if (!cron_parse(str_of(spec), STR("web/main"), &look, &c, &err))
        check_fail(__FILE__, __LINE__, "%s: %s", spec, err.message);
    return cron_matches(&c, &look);
}

static bool
matches(const char *spec, int month, int day, int hour, int minute)
{
    struct tm t = {.tm_year = 126, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour,
                   .tm_min = minute, .tm_isdst = -1};
    return matches_at(spec, mktime(&t));
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

static const int64_t winter = 1768435200, summer = 1784073600; /* 00:00 UTC of 15 January and 15 July 2026 */

TEST(a_first_line_names_the_time_zone)
{
    static const char berlin[] = "# nightly\nTZ=Europe/Berlin\n0 2 * * *";

    CHECK(matches_at(berlin, winter + 3600) && !matches_at(berlin, winter));
    CHECK(matches_at(berlin, summer) && !matches_at(berlin, summer + 3600));
    CHECK(matches_at("TZ=America/New_York\n30 20 * * 3", winter + 90 * 60)); /* the day before */
}

TEST(the_file_of_a_zone_is_read_once_a_look)
{
    struct cron_look look = {.seconds = winter + 3600};
    struct rlimit files, none;
    struct cron c;
    struct err err;

    CHECK(cron_parse(STR("TZ=Asia/Seoul\n0 10 * * *"), STR("web/main"), &look, &c, &err) && cron_matches(&c, &look));
    CHECK(cron_parse(STR("TZ=Europe/Berlin\n0 2 * * *"), STR("web/main"), &look, &c, &err) && cron_matches(&c, &look));
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    none = (struct rlimit){0, files.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK(cron_parse(STR("TZ=Europe/Berlin\n0 2 * * *"), STR("web/main"), &look, &c, &err) && cron_matches(&c, &look));
    CHECK(!cron_parse(STR("TZ=Asia/Tokyo\n0 10 * * *"), STR("web/main"), &look, &c, &err));
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
}

TEST(there_may_be_more_zones_than_a_look_keeps)
{
    struct cron_look look = {.seconds = winter};
    struct cron c;
    struct err err;

    for (int i = 0; i < 2 * CRON_PLACES_MAX; i++) { /* east of Greenwich is minus there */
        const int hour = 1 + i % 12;
        cleanup_free char *spec = text_format("TZ=Etc%.*s/GMT-%d\n0 %d * * *", i / 12, "//////", hour, hour);
        CHECK(cron_parse(str_of(spec), STR("web/main"), &look, &c, &err) && cron_matches(&c, &look));
    }
    CHECK_EQ(look.count, (size_t)CRON_PLACES_MAX);
}

TEST(h_is_the_jobs_own_minute)
{
    struct cron_look look = {0};
    struct cron a, b;
    struct err err;

    CHECK_EQ(count_in_a_day("H * * * *"), 24u);
    CHECK_EQ(count_in_a_day("H/15 * * * *"), 96u);
    CHECK_EQ(count_in_a_day("H H * * *"), 1u);
    CHECK_EQ(count_in_a_day("H(0-29)/10 * * * *"), 72u);
    CHECK_EQ(count_in_a_day("@hourly"), 24u);
    CHECK_EQ(count_in_a_day("@midnight"), 1u);
    CHECK(cron_parse(STR("H * * * *"), STR("web/main"), &look, &a, &err));
    CHECK(cron_parse(STR("H * * * *"), STR("shop/main"), &look, &b, &err));
    CHECK(a.lines[0].minutes == (uint64_t)1 << 27); /* as in every version */
    CHECK(a.lines[0].minutes != b.lines[0].minutes);
}

TEST(what_is_no_time_is_refused)
{
    static const char *const bad[] = {"",         "* * * *",     "* * * * * *", "60 * * * *",
                                      "* 24 * * *", "* * 0 * *",   "* * * 13 *",  "5-1 * * * *",
                                      "*/0 * * * *", "a * * * *",   "H(1-99) * * * *", "@never",
                                      "TZ=Nowhere/Land\n0 1 * * *", "0 1 * * *\nTZ=Asia/Seoul", "TZ=../zoneinfo/UTC\n0 1 * * *", "1,, * * * *", "H( * * * *"};
    struct cron_look look = {0};
    struct cron c;
    struct err err;

    for (size_t i = 1; i < ARRAY_COUNT(bad); i++)
        if (cron_parse(str_of(bad[i]), STR("web"), &look, &c, &err))
            check_fail(__FILE__, __LINE__, "'%s' was taken", bad[i]);
    CHECK(cron_parse(STR(""), STR("web"), &look, &c, &err) && c.count == 0);
}
