/* SPDX-License-Identifier: MIT */
/* date_zone.c - what time it is elsewhere: the files of the tz database. The C library knows one zone, which
 * is the process's own. */
#include "pipeline/groovy/date_zone.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/arena.h"
#include "io/file.h"

#define ZONE_FOLDER "/usr/share/zoneinfo"
#define ZONE_FILE_MAX (256u << 10)
#define DAY 86400

/* TZif, version 2 or later (RFC 8536): a header, a block for times of 32 bits, then both again for 64
 * bits, then a line with the rule for what comes after the last transition. */
struct tzif {
    const unsigned char *at; /* behind the second header */
    size_t times, types, names;
    const char *end; /* of the file */
};

static uint32_t
number_32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t
number_64(const unsigned char *p)
{
    return (int64_t)((uint64_t)number_32(p) << 32 | number_32(p + 4));
}

/* A header, and how long the block behind it is; false if the file has no such thing. */
static bool
read_header(struct str file, size_t from, size_t time_size, struct tzif *out, size_t *size_out)
{
    const unsigned char *p = (const unsigned char *)file.at + from;
    size_t n[6], size;

    if (file.len < from + 44 || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
        return false;
    for (size_t i = 0; i < 6; i++) { /* utc flags, std flags, leaps, times, types, letters */
        n[i] = number_32(p + 20 + 4 * i);
        if (n[i] > ZONE_FILE_MAX)
            return false;
    }
    size = n[3] * (time_size + 1) + n[4] * 6 + n[5] + n[2] * (time_size + 4) + n[1] + n[0];
    if (file.len < from + 44 + size || (time_size == 8 && n[4] == 0))
        return false;
    *out = (struct tzif){p + 44, n[3], n[4], n[5], file.at + file.len};
    *size_out = size;
    return true;
}

static void
set_type(const struct tzif *z, size_t type, struct zone_moment *out)
{
    const unsigned char *p = z->at + z->times * 9 + type * 6;
    const char *names = (const char *)z->at + z->times * 9 + z->types * 6;

    out->offset = (int32_t)number_32(p);
    if (p[5] < z->names)
        text_copy(out->name, sizeof(out->name),
                  (struct str){names + p[5], strnlen(names + p[5], z->names - p[5])});
}

/* The rule "CET-1CEST,M3.5.0,M10.5.0/3". */
struct rule {
    const char *at;
    char names[2][16];
    int32_t offsets[2];
    struct {
        int month, week, day; /* the day-of-week'th of the week'th week, the 5th is the last */
        int32_t time;
    } changes[2];
};

static void
rule_name(struct rule *r, char *out, size_t size)
{
    const char *from = r->at;
    const bool quoted = *from == '<';

    while (*r->at != '\0' && (quoted ? *r->at != '>' : isalpha((unsigned char)*r->at)))
        r->at++;
    text_copy(out, size, str_range(from + quoted, r->at));
    r->at += quoted && *r->at == '>';
}

/* "[+-]h[h[h]][:mm[:ss]]" in seconds */
static int32_t
rule_time(struct rule *r)
{
    const int sign = *r->at == '-' ? -1 : 1;
    int32_t n = 0;

    r->at += *r->at == '-' || *r->at == '+';
    for (int32_t unit = 3600; unit > 0; unit /= 60) {
        char *end;
        n += (int32_t)(strtoul(r->at, &end, 10) % 1000) * unit;
        r->at = end;
        if (*r->at != ':')
            break;
        r->at++;
    }
    return sign * n;
}

/* False: there is one time all year, the first. */
static bool
rule_read(const char *text, struct rule *r)
{
    *r = (struct rule){.at = text};
    rule_name(r, r->names[0], sizeof(r->names[0]));
    r->offsets[0] = -rule_time(r);
    if (*r->at == '\0')
        return false;
    rule_name(r, r->names[1], sizeof(r->names[1]));
    r->offsets[1] = *r->at == ',' ? r->offsets[0] + 3600 : -rule_time(r);
    for (size_t i = 0; i < 2; i++) {
        char *end;
        if (r->at[0] != ',' || r->at[1] != 'M')
            return false; /* days of the year: no zone has them now */
        r->changes[i].month = (int)(strtoul(r->at + 2, &end, 10) % 13);
        r->changes[i].week = *end == '.' ? (int)(strtoul(end + 1, &end, 10) % 6) : 1;
        r->changes[i].day = *end == '.' ? (int)(strtoul(end + 1, &end, 10) % 7) : 0;
        r->at = end;
        r->changes[i].time = 7200;
        if (*r->at == '/') {
            r->at++;
            r->changes[i].time = rule_time(r);
        }
    }
    return true;
}

/* When, in seconds since 1970 by the clock of the place, the time changes in a year. */
static int64_t
change_in(const struct rule *r, size_t i, int year)
{
    struct tm first = {.tm_year = year - 1900, .tm_mon = r->changes[i].month - 1, .tm_mday = 1};
    struct tm next = {.tm_year = year - 1900, .tm_mon = r->changes[i].month, .tm_mday = 1};
    const int64_t start = (int64_t)timegm(&first);
    const int days = (int)(((int64_t)timegm(&next) - start) / DAY);
    int day = (r->changes[i].day - first.tm_wday + 7) % 7 + (r->changes[i].week - 1) * 7;

    if (day >= days)
        day -= 7;
    return start + (int64_t)day * DAY + r->changes[i].time;
}

static void
by_rule(const char *text, int64_t seconds, struct zone_moment *out)
{
    const time_t t = (time_t)seconds;
    struct tm tm;
    struct rule r;
    bool summer = false;

    if (rule_read(text, &r) && gmtime_r(&t, &tm) != NULL) {
        const int64_t begin = change_in(&r, 0, tm.tm_year + 1900) - r.offsets[0],
                      end = change_in(&r, 1, tm.tm_year + 1900) - r.offsets[1];
        summer = begin < end ? seconds >= begin && seconds < end
                             : seconds >= begin || seconds < end; /* south of the equator */
    }
    out->offset = r.offsets[summer];
    text_copy(out->name, sizeof(out->name), str_of(r.names[summer]));
}

static bool
is_zone_name(struct str zone)
{
    for (size_t i = 0; i < zone.len; i++)
        if (!isalnum((unsigned char)zone.at[i]) && strchr("_+-/", zone.at[i]) == NULL)
            return false;
    return zone.len > 0 && zone.len < 64 && zone.at[0] != '/';
}

bool
zone_read(struct str zone, struct strbuf *out)
{
    char path[128];
    struct err err;

    if (!is_zone_name(zone))
        return false;
    snprintf(path, sizeof(path), ZONE_FOLDER "/" STR_FMT, STR_ARG(zone));
    return file_read(path, ZONE_FILE_MAX, out, &err);
}

bool
zone_moment(struct str file, int64_t seconds, struct zone_moment *out)
{
    cleanup(strbuf_done) struct strbuf rule = {0};
    struct tzif z;
    size_t skip = 0, size = 0, last = 0;

    if (!read_header(file, 0, 4, &z, &skip) || !read_header(file, 44 + skip, 8, &z, &size))
        return false;
    for (size_t i = 0; i < z.times; i++)
        if (number_64(z.at + 8 * i) <= seconds)
            last = i + 1;
    if (last == z.times && (const char *)z.at + size + 2 < z.end) { /* "\nRULE\n" */
        strbuf_add(&rule, str_trim(str_range((const char *)z.at + size, z.end)));
        if (rule.len > 0) {
            by_rule(strbuf_cstr(&rule), seconds, out);
            return true;
        }
    }
    if (last > 0 && z.at[8 * z.times + last - 1] >= z.types)
        return false;
    set_type(&z, last == 0 ? 0 : z.at[8 * z.times + last - 1], out);
    return true;
}

bool
zone_at(struct str zone, int64_t seconds, struct zone_moment *out)
{
    cleanup(strbuf_done) struct strbuf file = {0};

    return zone_read(zone, &file) && zone_moment(strbuf_str(&file), seconds, out);
}
