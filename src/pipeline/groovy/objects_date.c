/* SPDX-License-Identifier: MIT */
/* objects_date.c - java.util.Date and the letters of SimpleDateFormat. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "pipeline/groovy/date_zone.h"
#include "pipeline/groovy/interp_scope.h"

const char *const date_months[12] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
const char *const date_days[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

/* UTC and fixed offsets ("GMT+9"). False: it is none. */
static bool
fixed_offset(struct str zone, int *out)
{
    int64_t hours = 0, minutes = 0;
    struct str rest = zone, part;
    int sign = 1;

    *out = 0;
    if (str_is(zone, "UTC") || str_is(zone, "GMT") || str_is(zone, "Z"))
        return true;
    if (str_starts(rest, STR("GMT")) || str_starts(rest, STR("UTC")))
        rest = str_slice(rest, 3, rest.len);
    if (rest.len > 1 && (rest.at[0] == '+' || rest.at[0] == '-')) {
        sign = rest.at[0] == '-' ? -1 : 1;
        rest = str_slice(rest, 1, rest.len);
        if (str_split(&rest, ':', &part) && str_to_i64(part, &hours) &&
            (rest.at == NULL || rest.len == 0 || str_to_i64(rest, &minutes)) && hours >= 0 &&
            hours < 24 && minutes >= 0 && minutes < 60) {
            *out = sign * (int)(hours * 3600 + minutes * 60);
            return true;
        }
    }
    return false;
}

/* zone_at() of a file that is read once. */
static bool
kept_zone_at(struct interp *in, struct str zone, int64_t seconds, struct zone_moment *out)
{
    cleanup(strbuf_done) struct strbuf file = {0};
    struct zone_file *z = in->zones;
    size_t i = 0;

    while (i < in->zone_count && !str_equal(z[i].name, zone))
        i++;
    if (i < in->zone_count)
        return zone_moment(z[i].bytes, seconds, out);
    if (!zone_read(zone, &file))
        return false;
    if (i < INTERP_ZONES_MAX) {
        z[i] = (struct zone_file){arena_dup(in->arena, zone), arena_dup(in->arena, strbuf_str(&file))};
        in->zone_count++;
    }
    return zone_moment(strbuf_str(&file), seconds, out);
}

/* The short names that Java knows beside those of the tz database. */
static struct str
long_name(struct str zone)
{
    static const char *const rows[][2] = {
        {"PST", "America/Los_Angeles"}, {"CST", "America/Chicago"}, {"IST", "Asia/Kolkata"},
        {"JST", "Asia/Tokyo"},          {"CTT", "Asia/Shanghai"},   {"AET", "Australia/Sydney"},
        {"ECT", "Europe/Paris"},        {"BST", "Asia/Dhaka"},      {"KST", "Asia/Seoul"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_is(zone, rows[i][0]))
            return str_of(rows[i][1]);
    return zone;
}

struct moment {
    struct tm tm;
    int64_t ms;
    int offset; /* seconds east of Greenwich */
    char zone[16];
};

bool
date_year_is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Weeks begin on Sundays; the first one of a year is that of its first day, so the last days of December may
 * belong to it. */
static int
week_of(const struct tm *t, int *year)
{
    const int y = t->tm_year + 1900;
    const bool is_next = t->tm_yday - t->tm_wday + 6 >= 365 + date_year_is_leap(y);

    *year = y + is_next;
    return is_next ? 1 : (t->tm_yday + 7 - t->tm_wday + 6) / 7;
}

static void
add_field(struct strbuf *out, const struct moment *m, char letter, size_t count)
{
    const struct tm *t = &m->tm;
    const int width = count > 19 ? 19 : (int)count;
    int week_year;
    const int week = week_of(t, &week_year), year = letter == 'Y' ? week_year : t->tm_year + 1900;

    switch (letter) {
    case 'y':
    case 'u':
    case 'Y':
        if (count == 2)
            strbuf_addf(out, "%02d", year % 100);
        else
            strbuf_addf(out, "%0*d", width < 4 ? 4 : width, year);
        break;
    case 'M':
    case 'L':
        if (count >= 3)
            strbuf_add(out, str_slice(str_of(date_months[t->tm_mon]), 0, count == 3 ? 3 : 20));
        else
            strbuf_addf(out, "%0*d", width, t->tm_mon + 1);
        break;
    case 'd':
        strbuf_addf(out, "%0*d", width, t->tm_mday);
        break;
    case 'D':
        strbuf_addf(out, "%0*d", width, t->tm_yday + 1);
        break;
    case 'H':
        strbuf_addf(out, "%0*d", width, t->tm_hour);
        break;
    case 'k':
        strbuf_addf(out, "%0*d", width, t->tm_hour == 0 ? 24 : t->tm_hour);
        break;
    case 'h':
        strbuf_addf(out, "%0*d", width, t->tm_hour % 12 == 0 ? 12 : t->tm_hour % 12);
        break;
    case 'K':
        strbuf_addf(out, "%0*d", width, t->tm_hour % 12);
        break;
    case 'm':
        strbuf_addf(out, "%0*d", width, t->tm_min);
        break;
    case 's':
        strbuf_addf(out, "%0*d", width, t->tm_sec);
        break;
    case 'S':
        strbuf_addf(out, "%0*d", width, (int)(m->ms % 1000));
        break;
    case 'E':
        strbuf_add(out, str_slice(str_of(date_days[t->tm_wday]), 0, count <= 3 ? 3 : 20));
        break;
    case 'a':
        strbuf_add_cstr(out, t->tm_hour < 12 ? "AM" : "PM");
        break;
    case 'w':
        strbuf_addf(out, "%0*d", width, week);
        break;
    case 'Z':
    case 'X':
    case 'x': {
        const int minutes = abs(m->offset) / 60;
        if (letter == 'X' && m->offset == 0)
            strbuf_add_char(out, 'Z');
        else if (letter != 'Z' && count == 1)
            strbuf_addf(out, "%c%02d", m->offset < 0 ? '-' : '+', minutes / 60);
        else
            strbuf_addf(out, "%c%02d%s%02d", m->offset < 0 ? '-' : '+', minutes / 60,
                        letter != 'Z' && count == 3 ? ":" : "", minutes % 60);
        break;
    }
    case 'z':
        strbuf_add_cstr(out, m->zone);
        break;
    default:
        for (size_t i = 0; i < count; i++)
            strbuf_add_char(out, letter);
    }
}

static void
moment_of(struct interp *in, int64_t ms, struct str zone, struct moment *m)
{
    int64_t seconds = ms / 1000 - (ms % 1000 < 0);
    struct zone_moment there = {.name = "GMT"}; /* as Java has zones that nobody knows */
    time_t t = (time_t)seconds;

    *m = (struct moment){.ms = ms - seconds * 1000};
    if (zone.len == 0) { /* the machine's own */
        (void)localtime_r(&t, &m->tm);
        m->offset = (int)m->tm.tm_gmtoff;
        text_copy(m->zone, sizeof(m->zone), str_slice(str_of(m->tm.tm_zone), 0, 15));
        return;
    }
    if (fixed_offset(zone, &m->offset))
        text_copy(there.name, sizeof(there.name), str_slice(zone, 0, 15));
    else if (kept_zone_at(in, long_name(zone), seconds, &there))
        m->offset = there.offset;
    t += m->offset;
    (void)gmtime_r(&t, &m->tm);
    text_copy(m->zone, sizeof(m->zone), str_of(there.name));
}

struct str
date_format(struct interp *in, int64_t ms, struct str pattern, struct str zone)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    struct moment m;

    if (ms > INT64_C(100000000) * DATE_DAY_MS || ms < INT64_C(-25000) * 365 * DATE_DAY_MS)
        ms = 0; /* beyond what Java calls a date */
    moment_of(in, ms, zone, &m);
    for (size_t i = 0; i < pattern.len;) {
        const char c = pattern.at[i];
        size_t count = 1;
        if (c == '\'') { /* quoted; '' is a quote */
            if (i + 1 < pattern.len && pattern.at[i + 1] == '\'') {
                strbuf_add_char(&out, '\'');
                i += 2;
                continue;
            }
            for (i++; i < pattern.len && pattern.at[i] != '\''; i++)
                strbuf_add_char(&out, pattern.at[i]);
            i++;
            continue;
        }
        while (i + count < pattern.len && pattern.at[i + count] == c && count < 20)
            count++;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
            add_field(&out, &m, c, count);
        else
            for (size_t k = 0; k < count; k++)
                strbuf_add_char(&out, c);
        i += count;
    }
    return arena_dup(in->arena, strbuf_str(&out));
}

int64_t
date_offset(struct interp *in, int64_t seconds, struct str zone)
{
    struct moment m;

    moment_of(in, seconds * 1000, zone, &m);
    return m.offset;
}

struct value
date_value(struct interp *in, int64_t ms)
{
    struct value v = value_object(in->arena, "Date");

    v.object->number = ms;
    v.object->text = date_format(in, ms, STR("EEE MMM dd HH:mm:ss zzz yyyy"), STR(""));
    return v;
}

struct str
date_zone(struct interp *in, struct value v)
{
    return value_is_object(v, "TimeZone") ? v.object->text : interp_text(in, v);
}

struct str
date_pattern(struct interp *in, struct value v)
{
    return value_is_object(v, "DateFormat") ? v.object->text : interp_text(in, v);
}

bool
date_method(struct interp *in, const struct node *call, struct value object, struct str name,
            const struct args *args, struct value *out, bool *found)
{
    const int64_t ms = object.object->number;
    const struct value *arg = args->at;
    static const struct {
        const char *method, *letters;
    } fields[] = {{"getYear", "yyyy"}, {"getMonthValue", "M"}, {"getDayOfMonth", "d"},
                  {"getHour", "H"},    {"getHours", "H"},      {"getMinute", "m"},
                  {"getMinutes", "m"}, {"getSecond", "s"},     {"getDayOfYear", "D"},
                  {"getSeconds", "s"}};

    *found = true;
    if (str_is(name, "format") && args->count >= 1 && args->count <= 2) {
        const struct str pattern = date_pattern(in, arg[0]);
        *out = value_text(
            date_format(in, ms, pattern,
                        args->count == 2 ? date_zone(in, arg[1]) : object.object->pattern));
    } else if ((str_is(name, "getTime") || str_is(name, "toEpochMilli")) && args->count == 0) {
        *out = value_long(ms);
    } else if (str_is(name, "getEpochSecond") && args->count == 0) {
        *out = value_long(ms / 1000);
    } else if ((str_is(name, "plus") || str_is(name, "minus") || str_is(name, "plusDays") ||
                str_is(name, "minusDays")) &&
               args->count == 1 && value_is_integer(arg[0])) {
        const int64_t n = arg[0].number > 1000000 || arg[0].number < -1000000 ? 0 : arg[0].number;
        *out = date_value(in, ms + (str_starts(name, STR("plus")) ? n : -n) * DATE_DAY_MS);
    } else if (str_is(name, "minus") && args->count == 1 && value_is_object(arg[0], "Date")) {
        *out = value_int((ms - arg[0].object->number) / DATE_DAY_MS); /* whole days */
    } else if ((str_is(name, "before") || str_is(name, "after") || str_is(name, "compareTo") ||
                str_is(name, "isBefore") || str_is(name, "isAfter")) &&
               args->count == 1 && value_is_object(arg[0], "Date")) {
        const int64_t other = arg[0].object->number;
        *out = str_is(name, "compareTo")      ? value_int((ms > other) - (ms < other))
               : str_ends(name, STR("efore")) ? value_bool(ms < other)
                                              : value_bool(ms > other);
    } else if (str_is(name, "clearTime") || str_is(name, "toInstant") ||
               str_is(name, "toLocalDate")) {
        *out = object;
    } else {
        for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
            if (str_is(name, fields[i].method) && args->count == 0) {
                struct str text =
                    date_format(in, ms, str_of(fields[i].letters), object.object->pattern);
                int64_t n = 0;
                (void)str_to_i64(text, &n);
                *out = value_int(n);
                return true;
            }
        *found = false;
    }
    (void)call;
    return true;
}
