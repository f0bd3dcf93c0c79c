/* SPDX-License-Identifier: MIT */
/* The vulnerability database: versions, severities, ranges, records in and matches out. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "io/file.h"
#include "registry/scan/osv.h"
#include "registry/scan/osv_version.h"

/* ---- versions: each row is older than those behind it; '=' in front: the same as the one before
 * ---- */

static const char *const dpkg[] = {"1.0~~",
                                   "1.0~~a",
                                   "1.0~",
                                   "1.0~rc1-1",
                                   "1.0",
                                   "=1.0-0",
                                   "=0:1.0",
                                   "1.0-1~bpo1",
                                   "1.0-1",
                                   "1.0-1+b1",
                                   "1.0-1.1",
                                   "1.0-2",
                                   "1.0a",
                                   "1.0+dfsg",
                                   "1.0.1",
                                   "1.2",
                                   "=1.02",
                                   "1.10",
                                   "7.88.1-10+deb12u4",
                                   "7.88.1-10+deb12u12",
                                   "99999999999999999999",
                                   "1:0.1",
                                   "2:0",
                                   NULL};
static const char *const rpm[] = {
    "1.0~rc1-1",    "1.0~rc2-1", "1.0-1", "1.0^20200101-1", "1.0a-1",
    "1.0.1-1",      "=1_0.1-1",  "1.2-1", "1.10-1",         "1.10-1.el9",
    "1.10-1.el9_2", "1.10-2",    "5.0-1", "1:0.5-1",        NULL};
static const char *const apk[] = {
    "1.2_alpha1", "1.2_alpha2", "1.2_beta1", "1.2_pre1",        "1.2_rc1",  "1.2_rc2-r3", "1.2",
    "=1.2-r0",    "1.2-r1",     "1.2-r10",   "1.2_git20200101", "1.2_p1",   "1.2a",       "1.2b",
    "1.2.0",      "1.2.1",      "1.10",      "3.0.8-r0",        "3.0.8-r3", "3.0.12-r0",  NULL};
static const char *const semver[] = {"1.0.0-alpha",
                                     "1.0.0-alpha.1",
                                     "1.0.0-alpha.beta",
                                     "1.0.0-beta",
                                     "1.0.0-beta.2",
                                     "1.0.0-beta.11",
                                     "1.0.0-rc.1",
                                     "1.0.0",
                                     "=v1.0.0",
                                     "=1.0.0+build.5",
                                     "=1.0",
                                     "1.0.1",
                                     "1.2.0",
                                     "1.10.0",
                                     "2.0.0-0.20200101000000-abcdef123456",
                                     "2.0.0",
                                     NULL};
static const char *const pep440[] = {"1.0.dev1",       "1.0a1.dev1",  "1.0a1",       "=1.0.alpha1",
                                     "=1.0-a.1",       "1.0a2",       "1.0b1",       "1.0rc1",
                                     "=1.0c1",         "=1.0.pre1",   "1.0",         "=1.0.0",
                                     "=v1.0",          "1.0+local.1", "1.0+local.2", "1.0+5",
                                     "1.0.post1.dev1", "1.0.post1",   "=1.0-1",      "=1.0.r1",
                                     "1.0.1",          "1.2",         "1.10",        "2023.7.22",
                                     "1!0.1",          NULL};
static const char *const maven[] = {"1-alpha-1",
                                    "=1-a1",
                                    "1-alpha-2",
                                    "1-beta-1",
                                    "1-milestone-1",
                                    "=1-m1",
                                    "1-rc-1",
                                    "=1-cr-1",
                                    "1-SNAPSHOT",
                                    "1",
                                    "=1.0",
                                    "=1.0.0-ga",
                                    "=1-final",
                                    "=1.0.0.Final",
                                    "=1-release",
                                    "1-sp",
                                    "1-sp-1",
                                    "1-whatever",
                                    "1-1",
                                    "1-2",
                                    "1.0.1",
                                    "1.2",
                                    "1.10",
                                    "2.0-alpha",
                                    "2.0",
                                    "2.14.1",
                                    "2.15.0-rc1",
                                    "2.15.0",
                                    NULL};
static const char *const gem[] = {"1.0.a",  "1.0.a.2", "1.0.b1", "1.0.pre1", "1.0.rc1", "1.0", "=1",
                                  "=1.0.0", "1.0.1",   "1.2",    "1.10",     "1.10.1",  NULL};
static const char *const composer[] = {"1.0-dev",   "1.0-alpha1", "=1.0-a1", "1.0-alpha2",
                                       "1.0-beta1", "1.0-RC1",    "1.0",     "=v1.0.0",
                                       "=1.0.0.0",  "1.0-p1",     NULL};
static const char *const composer_plain[] = {"1.0", "1.0.1", "1.2", "1.10", "2.0", NULL};

static const char *const nuget[] = {"1.0.0-alpha", "=1.0.0-Alpha", "1.0.0-beta.2", "1.0.0-beta.10",
                                    "1.0.0",       "=1.0",         "=1.0.0.0+x",   "1.0.0.1",
                                    "1.0.1",       "1.10",         NULL};

static const char *const numbers[] = {"", "x", "1", "1.0", "=1-0", "=1.00", "1.0.x", "1.0.1", "1.2", "1.10", "1.10-1", NULL};

static const struct {
    version_compare *compare;
    const char *const *rows;
} orders[] = {
    {numbers_version_compare, numbers},
    {dpkg_version_compare, dpkg},
    {rpm_version_compare, rpm},
    {apk_version_compare, apk},
    {semver_version_compare, semver},
    {pep440_version_compare, pep440},
    {maven_version_compare, maven},
    {gem_version_compare, gem},
    {composer_version_compare, composer},
    {composer_version_compare, composer_plain},
    {nuget_version_compare, nuget},
};

static int
sign_of(int n)
{
    return (n > 0) - (n < 0);
}

TEST(versions_are_in_their_ecosystems_order)
{
    for (size_t o = 0; o < ARRAY_COUNT(orders); o++) {
        const char *const *rows = orders[o].rows;
        int rank[64] = {0};
        for (int i = 0; rows[i] != NULL; i++)
            rank[i] = i == 0 ? 0 : rank[i - 1] + (rows[i][0] != '=');
        for (int i = 0; rows[i] != NULL; i++)
            for (int k = 0; rows[k] != NULL; k++) {
                const struct str a = str_of(rows[i] + (rows[i][0] == '=')),
                                 b = str_of(rows[k] + (rows[k][0] == '='));
                const int got = sign_of(orders[o].compare(a, b)), want = sign_of(rank[i] - rank[k]);
                if (got != want)
                    fprintf(stderr, "%.*s against %.*s: %d, not %d\n", STR_ARG(a), STR_ARG(b), got,
                            want);
                CHECK_EQ(got, want);
            }
    }
}

TEST(an_ecosystem_is_known_with_and_without_its_release)
{
    CHECK(version_compare_of(STR("Debian:12")) == dpkg_version_compare);
    CHECK(version_compare_of(STR("Ubuntu:22.04:LTS")) == dpkg_version_compare);
    CHECK(version_compare_of(STR("Rocky Linux:9")) == rpm_version_compare);
    CHECK(version_compare_of(STR("PyPI")) == pep440_version_compare);
    CHECK(version_compare_of(STR("Hackage")) == numbers_version_compare);
    CHECK(version_compare_of(STR("Hex")) == semver_version_compare);
    CHECK(version_compare_of(STR("CocoaPods")) == NULL);
    CHECK(version_compare_of(STR("")) == NULL);
}

/* ---- severities ---- */

TEST(a_base_score_is_the_specifications)
{
    static const struct {
        const char *vector;
        double score;
    } rows[] = {
        {"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8},
        {"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0},
        {"CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H", 5.9},
        {"CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1},
        {"CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8},
        {"CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", 1.6},
        {"CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4},
        {"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0},
        {"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O", 9.8},
    };
    double score;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CHECK(cvss3_base_score(str_of(rows[i].vector), &score));
        CHECK(fabs(score - rows[i].score) < 0.001);
    }
    CHECK(cvss2_base_score(STR("AV:N/AC:L/Au:N/C:N/I:N/A:C"), &score) && fabs(score - 7.8) < 0.001);
    CHECK(cvss2_base_score(STR("AV:N/AC:L/Au:N/C:C/I:C/A:C"), &score) &&
          fabs(score - 10.0) < 0.001);
    CHECK(!cvss3_base_score(STR("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H"), &score));
    CHECK(!cvss3_base_score(STR("CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), &score));
    CHECK(!cvss3_base_score(STR("CVSS:3.1/AV:Q/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), &score));
    CHECK(!cvss3_base_score(STR("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"),
                            &score));
}

TEST(a_score_of_version_4_is_the_specifications)
{
    static const struct {
        const char *vector;
        double score;
    } rows[] = {
        {"AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 10.0},
        {"AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3},
        {"AV:N/AC:L/AT:N/PR:N/UI:N/VC:L/VI:H/VA:L/SC:N/SI:H/SA:L", 9.2},
        {"AV:N/AC:L/AT:N/PR:N/UI:N/VC:L/VI:L/VA:L/SC:H/SI:N/SA:L", 7.8},
        {"AV:N/AC:L/AT:N/PR:N/UI:N/VC:L/VI:L/VA:N/SC:N/SI:L/SA:N", 6.9},
        {"AV:N/AC:L/AT:N/PR:N/UI:P/VC:H/VI:N/VA:L/SC:N/SI:H/SA:N", 8.3},
        {"AV:N/AC:L/AT:N/PR:N/UI:A/VC:H/VI:H/VA:N/SC:N/SI:L/SA:L", 8.5},
        {"AV:N/AC:L/AT:N/PR:L/UI:P/VC:H/VI:L/VA:L/SC:L/SI:L/SA:L", 7.0},
        {"AV:N/AC:L/AT:N/PR:H/UI:P/VC:L/VI:L/VA:N/SC:L/SI:N/SA:N", 4.8},
        {"AV:N/AC:L/AT:N/PR:H/UI:A/VC:N/VI:N/VA:N/SC:H/SI:H/SA:H", 6.2},
        {"AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:L/VA:L/SC:H/SI:L/SA:L", 9.1},
        {"AV:N/AC:L/AT:P/PR:N/UI:P/VC:L/VI:N/VA:H/SC:N/SI:L/SA:L", 6.0},
        {"AV:N/AC:L/AT:P/PR:N/UI:A/VC:H/VI:H/VA:H/SC:H/SI:H/SA:N", 8.8},
        {"AV:N/AC:L/AT:P/PR:N/UI:A/VC:N/VI:N/VA:N/SC:L/SI:N/SA:N", 2.1},
        {"AV:N/AC:L/AT:P/PR:L/UI:P/VC:N/VI:N/VA:N/SC:H/SI:L/SA:L", 5.1},
        {"AV:N/AC:L/AT:P/PR:H/UI:A/VC:N/VI:N/VA:H/SC:L/SI:N/SA:L", 5.6},
        {"AV:N/AC:H/AT:N/PR:N/UI:N/VC:H/VI:H/VA:N/SC:L/SI:H/SA:L", 9.4},
        {"AV:N/AC:H/AT:N/PR:L/UI:P/VC:L/VI:N/VA:L/SC:N/SI:N/SA:N", 2.1},
        {"AV:N/AC:H/AT:N/PR:H/UI:A/VC:N/VI:N/VA:N/SC:N/SI:H/SA:N", 4.0},
        {"AV:N/AC:H/AT:P/PR:N/UI:N/VC:N/VI:L/VA:N/SC:L/SI:H/SA:L", 7.0},
        {"AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0.0},
    };
    static const char *const bad[] = {
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H",
        "CVSS:4.0/AV:N/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H",
        "CVSS:4.0/AV:X/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:S/SA:H",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H/MSC:S",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "",
    };
    double score, other;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        cleanup_free char *vector = text_format("CVSS:4.0/%s", rows[i].vector);
        CHECK(cvss4_score(str_of(vector), &score));
        if (fabs(score - rows[i].score) > 0.001)
            check_fail(__FILE__, __LINE__, "%s is %.1f, not %.1f", vector, score, rows[i].score);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        CHECK(!cvss4_score(str_of(bad[i]), &score));
    /* What is not defined is as if it were not there; a modified metric stands in for its own. */
    CHECK(
        cvss4_score(STR("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:X/CR:X/"
                        "MAV:X/MSI:X/AU:Y/U:Amber"),
                    &score) &&
        fabs(score - 9.3) < 0.001);
    CHECK(cvss4_score(
              STR("CVSS:4.0/AV:P/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/MAV:N/MSI:S"),
              &score) &&
          cvss4_score(STR("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:H/SA:N/MSI:S"),
                      &other));
    CHECK(fabs(score - other) < 0.001 && score > 9.3);
    CHECK(cvss4_score(STR("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U"),
                      &other) &&
          fabs(other - 8.1) < 0.001);
}

static struct osv_rating
rating_of(const char *text)
{
    struct err err = {0};
    cleanup_json struct json *record = json_parse(str_of(text), &err);
    struct osv_rating rating;

    CHECK_TEXT(err.message, "");
    osv_rate(record, &rating);
    return rating;
}

TEST(a_record_is_rated_by_the_best_that_it_says)
{
    CHECK_EQ(
        rating_of(
            "{\"severity\":[{\"type\":\"CVSS_V2\",\"score\":\"AV:N/AC:L/Au:N/C:C/I:C/A:C\"},"
            "{\"type\":\"CVSS_V3\",\"score\":\"CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H\"}]}")
            .severity,
        SEVERITY_MEDIUM);
    CHECK_TEXT(
        rating_of("{\"severity\":[{\"type\":\"CVSS_V4\",\"score\":\"CVSS:4.0/AV:N/AC:L/AT:N/"
                  "PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N\"},{\"type\":\"CVSS_V3\",\"score\":"
                  "\"CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H\"}]}")
            .vector,
        "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H");
    CHECK_EQ(rating_of("{\"severity\":[{\"type\":\"CVSS_V4\",\"score\":\"CVSS:4.0/AV:N/AC:L/AT:N/"
                       "PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N\"}],\"database_specific\":"
                       "{\"severity\":\"LOW\"}}")
                 .severity,
             SEVERITY_CRITICAL);
    CHECK_EQ(rating_of("{\"severity\":[{\"type\":\"CVSS_V4\",\"score\":\"CVSS:4.0/AV:N\"}],"
                       "\"database_specific\":{\"severity\":\"MODERATE\"}}")
                 .severity,
             SEVERITY_MEDIUM);
    CHECK_EQ(rating_of("{\"severity\":[{\"type\":\"Ubuntu\",\"score\":\"negligible\"}]}").severity,
             SEVERITY_INFORMATIONAL);
    CHECK_EQ(rating_of("{\"affected\":[{\"ecosystem_specific\":{\"urgency\":\"high\"}}]}").severity,
             SEVERITY_HIGH);
    CHECK_EQ(rating_of("{}").severity, SEVERITY_UNDEFINED);
}

/* ---- ranges ---- */

static bool
is_affected(const char *affected, const char *ecosystem, const char *version,
            const char *fixed_wanted)
{
    struct err err = {0};
    cleanup_json struct json *document = json_parse(str_of(affected), &err);
    struct str fixed;

    CHECK_TEXT(err.message, "");
    const bool is = osv_is_affected(document, str_of(ecosystem), str_of(version), &fixed);
    CHECK(!is || str_is(fixed, fixed_wanted));
    return is;
}

TEST(events_switch_a_range_on_and_off)
{
    /* Out of order, as some records have them. */
    const char *two = "{\"ranges\":[{\"type\":\"SEMVER\",\"events\":[{\"introduced\":\"2.0.0\"},"
                      "{\"fixed\":\"1.4.2\"},{\"introduced\":\"0\"},{\"fixed\":\"2.1.0\"}]}]}";
    CHECK(is_affected(two, "npm", "0.0.0-alpha", "1.4.2"));
    CHECK(is_affected(two, "npm", "1.4.1", "1.4.2"));
    CHECK(!is_affected(two, "npm", "1.4.2", ""));
    CHECK(!is_affected(two, "npm", "1.9.0", ""));
    CHECK(is_affected(two, "npm", "2.0.0", "2.1.0"));
    CHECK(!is_affected(two, "npm", "2.1.0", ""));
    const char *last = "{\"ranges\":[{\"type\":\"ECOSYSTEM\",\"events\":[{\"introduced\":\"1.0\"},"
                       "{\"last_affected\":\"1.5\"}]}]}";
    CHECK(!is_affected(last, "PyPI", "0.9", ""));
    CHECK(is_affected(last, "PyPI", "1.5.0", ""));
    CHECK(!is_affected(last, "PyPI", "1.5.1", ""));
    const char *open = "{\"ranges\":[{\"type\":\"GIT\",\"events\":[{\"introduced\":\"0\"}]},"
                       "{\"type\":\"ECOSYSTEM\",\"events\":[{\"introduced\":\"1:2.0-1\"}]}]}";
    CHECK(!is_affected(open, "Debian:12", "9.0-1", ""));
    CHECK(is_affected(open, "Debian:12", "1:2.0-1", ""));
    const char *listed = "{\"versions\":[\"1.0\",\"1.1\"]}";
    CHECK(is_affected(listed, "PyPI", "1.1.0", "") && !is_affected(listed, "PyPI", "1.2", ""));
    CHECK(!is_affected("{}", "PyPI", "1", "") && !is_affected(open, "Elsewhere", "1", ""));
}

TEST(names_are_compared_as_the_ecosystem_does)
{
    cleanup(strbuf_done) struct strbuf name = {0};

    osv_package_name(STR("PyPI"), STR("Zope.Interface__x"), &name);
    CHECK_TEXT(strbuf_cstr(&name), "zope-interface-x");
    strbuf_clear(&name);
    osv_package_name(STR("NuGet"), STR("Newtonsoft.Json"), &name);
    CHECK_TEXT(strbuf_cstr(&name), "newtonsoft.json");
    strbuf_clear(&name);
    osv_package_name(STR("npm"), STR("@Scope/A_b"), &name);
    CHECK_TEXT(strbuf_cstr(&name), "@Scope/A_b");
    const char *const urls[] = {"https://GitHub.com/Apple/swift-nio.git", "github.com/apple/swift-nio",
                                "https://github.com/apple/swift-nio/"};
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        strbuf_clear(&name);
        osv_package_name(STR("SwiftURL"), str_of(urls[i]), &name);
        CHECK_TEXT(strbuf_cstr(&name), "github.com/apple/swift-nio");
    }
}

/* ---- the database ---- */

struct world {
    char dir[64];
    char path[128];
    struct osv *osv;
};

static void
world_end(struct world *w)
{
    struct err err = {0};

    osv_close(w->osv);
    CHECK(file_remove_tree(w->dir, &err));
}

static void
world_new(struct world *w)
{
    struct err err = {0};

    snprintf(w->dir, sizeof w->dir, "/tmp/naru-osv-XXXXXX");
    CHECK(mkdtemp(w->dir) != NULL);
    snprintf(w->path, sizeof w->path, "%s/osv.db", w->dir);
    CHECK(osv_open(w->path, true, &w->osv, &err));
}
#define WORLD(w)                             \
    cleanup(world_end) struct world w = {0}; \
    world_new(&w)

static void
record_write(struct world *w, const char *name, const char *text)
{
    cleanup_free char *path = text_format("%s/records/%s", w->dir, name);
    cleanup_free char *records = text_format("%s/records", w->dir);
    struct err err = {0};

    CHECK(file_make_dirs(records, 0700, &err));
    CHECK(file_write_atomic(path, str_of(text), 0600, &err));
}

static struct osv_import
records_import(struct world *w, bool replaces)
{
    cleanup_free char *records = text_format("%s/records", w->dir);
    struct osv_import count = {0};
    struct err err = {0};

    CHECK(osv_import(w->osv, records, replaces, &count, &err));
    CHECK_TEXT(err.message, "");
    return count;
}

static void
tell(void *arg, const struct osv_match *m)
{
    strbuf_addf(arg, "%s %s %s;", m->id, severity_name(m->rating.severity), m->fixed);
}

/* "CVE-1 HIGH 1.2;" for each match. */
static const char *
matches(struct world *w, const char *ecosystem, const char *package, const char *version)
{
    static struct strbuf found;
    struct err err = {0};

    strbuf_clear(&found);
    CHECK(osv_lookup(w->osv, ecosystem, package, version, tell, &found, &err));
    return strbuf_cstr(&found);
}

#define CURL                                                                                      \
    "{\"id\":\"DEBIAN-CVE-2024-1\",\"modified\":\"2024-05-01T00:00:00Z\",\"upstream\":[\"CVE-"    \
    "2024-1\"],"                                                                                  \
    "\"summary\":\"curl "                                                                         \
    "overflows\",\"affected\":[{\"package\":{\"ecosystem\":\"Debian:12\",\"name\":\"curl\"},"     \
    "\"ranges\":[{\"type\":\"ECOSYSTEM\",\"events\":[{\"introduced\":\"0\"},{\"fixed\":\"7.88.1-" \
    "10+deb12u5\"}]}]}]}"

TEST(what_is_imported_is_found_by_package_and_version)
{
    WORLD(w);
    record_write(&w, "a.json", CURL);
    record_write(
        &w, "b.json",
        "{\"id\":\"GHSA-x\",\"modified\":\"2024-06-01T00:00:00Z\",\"aliases\":[\"CVE-2024-2\"],"
        "\"database_specific\":{\"severity\":\"HIGH\"},\"affected\":[{\"package\":{\"ecosystem\":"
        "\"PyPI\","
        "\"name\":\"Foo_Bar\"},\"versions\":[\"1.0\"]},{\"package\":{\"ecosystem\":\"CocoaPods\","
        "\"name\":\"x\"},"
        "\"versions\":[\"1.0\"]}]}");
    record_write(&w, "c.json",
                 "{\"id\":\"W-1\",\"modified\":\"2024-06-01T00:00:00Z\",\"withdrawn\":\"2024-06-"
                 "02T00:00:00Z\"}");
    record_write(&w, "d.json", "[1, 2]");
    record_write(&w, "e.txt", "no record");
    CHECK_EQ(osv_modified_ms(w.osv), 0);
    const struct osv_import count = records_import(&w, false);
    CHECK_EQ(count.records, 2);
    CHECK_EQ(count.affected, 2);
    CHECK_EQ(count.withdrawn, 1);
    CHECK_EQ(count.skipped, 1);
    CHECK_EQ(osv_modified_ms(w.osv), 1717200000000LL);
    CHECK_TEXT(matches(&w, "Debian:12", "curl", "7.88.1-10+deb12u4"),
               "CVE-2024-1 UNDEFINED 7.88.1-10+deb12u5;");
    CHECK_TEXT(matches(&w, "Debian:12", "curl", "7.88.1-10+deb12u12"), "");
    CHECK_TEXT(matches(&w, "Debian:11", "curl", "7.0"), "");
    CHECK_TEXT(matches(&w, "Debian:1", "curl", "7.0"), "");
    CHECK_TEXT(matches(&w, "PyPI", "foo-bar", "1.0.0"), "CVE-2024-2 HIGH ;");
    CHECK(osv_has_ecosystem(w.osv, "PyPI") && !osv_has_ecosystem(w.osv, "CocoaPods"));
    /* A record of the CVE itself rates the distribution's. */
    record_write(
        &w, "f.json",
        "{\"id\":\"CVE-2024-1\",\"modified\":\"2024-06-01T00:00:00Z\",\"severity\":["
        "{\"type\":\"CVSS_V3\",\"score\":\"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"}]}");
    records_import(&w, false);
    CHECK_TEXT(matches(&w, "Debian:12", "curl", "7.0"), "CVE-2024-1 CRITICAL 7.88.1-10+deb12u5;");
}

TEST(a_record_that_comes_again_replaces_itself_and_a_withdrawn_one_goes)
{
    WORLD(w);
    record_write(&w, "a.json", CURL);
    records_import(&w, false);
    record_write(
        &w, "a.json",
        "{\"id\":\"DEBIAN-CVE-2024-1\",\"modified\":\"2024-07-01T00:00:00Z\",\"affected\":[{"
        "\"package\":{\"ecosystem\":\"Debian:12\",\"name\":\"curl\"},\"versions\":[\"1\"]}]}");
    records_import(&w, false);
    CHECK_TEXT(matches(&w, "Debian:12", "curl", "7.0"), "");
    CHECK_TEXT(matches(&w, "Debian:12", "curl", "1"), "DEBIAN-CVE-2024-1 UNDEFINED ;");
    record_write(
        &w, "a.json",
        "{\"id\":\"DEBIAN-CVE-2024-1\",\"modified\":\"2024-08-01T00:00:00Z\",\"withdrawn\":\"x\"}");
    record_write(&w, "b.json", "{\"id\":\"OTHER\",\"modified\":\"2024-08-01T00:00:00Z\"}");
    records_import(&w, false);
    CHECK_TEXT(matches(&w, "Debian:12", "curl", "1"), "");
}

TEST(an_import_that_fails_changes_nothing)
{
    WORLD(w);
    struct osv_import count = {0};
    struct err err = {0};
    cleanup_free char *records = text_format("%s/records", w.dir);

    record_write(&w, "a.json", CURL);
    records_import(&w, false);
    record_write(&w, "z.zip", "no ZIP file");
    CHECK(!osv_import(w.osv, records, true, &count, &err));
    CHECK(strstr(err.message, "z.zip") != NULL);
    CHECK_TEXT(matches(&w, "Debian:12", "curl", "7.0"), "CVE-2024-1 UNDEFINED 7.88.1-10+deb12u5;");
    CHECK(!osv_import(w.osv, "/nowhere", false, &count, &err));
    CHECK(!osv_open("/nowhere/osv.db", false, &(struct osv *){NULL}, &err));
    CHECK_EQ(err.code, ERR_RESOURCE_NOT_FOUND);
}

TEST(an_ecosystem_with_a_variant_is_found_by_its_release)
{
    WORLD(w);
    record_write(&w, "a.json",
                 "{\"id\":\"USN-1\",\"modified\":\"2024-07-01T00:00:00Z\",\"affected\":[{"
                 "\"package\":{\"ecosystem\":\"Ubuntu:22.04:LTS\",\"name\":\"bash\"},\"ranges\":[{"
                 "\"type\":\"ECOSYSTEM\",\"events\":[{\"introduced\":\"0\"}]}]}]}");
    records_import(&w, true);
    CHECK_TEXT(matches(&w, "Ubuntu:22.04", "bash", "5.1-6"), "USN-1 UNDEFINED ;");
    CHECK_TEXT(matches(&w, "Ubuntu:22", "bash", "5.1-6"), "");
    CHECK_TEXT(matches(&w, "Ubuntu:22.0", "bash", "5.1-6"), "");
}

TEST(a_star_in_an_ecosystem_stands_for_all_products_of_a_release)
{
    static const char *const products[] = {"Server 15 SP5", "Module for Basesystem 15 SP5",
                                           "Server 15 SP5-LTSS", "Server 15 SP4"};
    WORLD(w);
    for (size_t i = 0; i < ARRAY_COUNT(products); i++) {
        cleanup_free char *name = text_format("%zu.json", i);
        cleanup_free char *record = text_format(
            "{\"id\":\"S-%zu\",\"modified\":\"2024-07-01T00:00:00Z\",\"affected\":[{\"package\":{"
            "\"ecosystem\":\"SUSE:Linux Enterprise %s\",\"name\":\"bash\"},\"ranges\":[{"
            "\"type\":\"ECOSYSTEM\",\"events\":[{\"introduced\":\"0\"}]}]}]}",
            i, products[i]);
        record_write(&w, name, record);
    }
    records_import(&w, true);
    CHECK_TEXT(matches(&w, "SUSE:Linux Enterprise * 15 SP5*", "bash", "4.4-1"),
               "S-1 UNDEFINED ;S-0 UNDEFINED ;S-2 UNDEFINED ;");
    CHECK(osv_has_ecosystem(w.osv, "SUSE:Linux Enterprise * 15 SP4*"));
    CHECK(!osv_has_ecosystem(w.osv, "SUSE:Linux Enterprise * 12*"));
    CHECK_TEXT(matches(&w, "SUSE:Linux Enterprise ", "bash", "4.4-1"), "");
}
