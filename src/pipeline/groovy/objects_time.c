/* SPDX-License-Identifier: MIT */
/* objects_time.c - dates that are read from text, by SimpleDateFormat's letters; and java.time.LocalDate,
 * which is a number of days since 1970. */
#include <ctype.h>
#include <time.h>
#include "pipeline/groovy/methods.h"

#define DAYS_MAX 9000000 /* either side of 1970: some 24,000 years */
#define WEEKS_MAX 1000000
#define FIELD_MAX 2000000000 /* what is counted on from it is an int, too */

/* What a text says, so far. The day and the hour can be said in several ways: of those that are, the one that
 * comes last holds, as with java.util.Calendar. `..._at` is which field of the text said it, from 1; 0: none. */
struct reading {
    struct str rest;
    struct tm tm;
    int64_t ms;
    int fields;
    int day_at, year_day_at, week_at, weekday_at;
    int year_day, week, weekday;
    int hour_at, hour_12_at, half_at;
    int hour_12;
    bool is_pm, has_offset;
    int64_t offset; /* seconds east of Greenwich */
    char refused;   /* a letter that is not known here */
};

/* A number of up to `most` digits. */
static bool
read_digits(struct reading *r, size_t most, int64_t *out)
{
    size_t n = 0;

    while (n < r->rest.len && n < most && isdigit((unsigned char)r->rest.at[n]))
        n++;
    if (n == 0 || !str_to_i64(str_slice(r->rest, 0, n), out))
        return false;
    r->rest = str_slice(r->rest, n, r->rest.len);
    return true;
}

/* One of the names, whole or its first three letters. */
static bool
read_word(struct reading *r, const char *const *names, size_t count, int *out)
{
    for (size_t i = 0; i < count; i++)
        for (size_t len = strlen(names[i]); len >= 3; len = len > 3 ? 3 : 0)
            if (str_equal_nocase(str_slice(r->rest, 0, len), str_slice(str_of(names[i]), 0, len))) {
                r->rest = str_slice(r->rest, len, r->rest.len);
                *out = (int)i;
                return true;
            }
    return false;
}

/* "+0900", "+09:00", "+09", "Z", "UTC", "GMT" */
static bool
read_offset(struct reading *r)
{
    static const char *const none[] = {"UTC", "GMT"};
    int64_t hours, minutes = 0;
    int sign, which;

    r->has_offset = true;
    if (read_word(r, none, ARRAY_COUNT(none), &which))
        return true;
    if (r->rest.len == 0)
        return false;
    sign = r->rest.at[0] == '-' ? -1 : r->rest.at[0] == '+' ? 1 : 0;
    if (sign == 0 && r->rest.at[0] != 'Z')
        return false;
    r->rest = str_slice(r->rest, 1, r->rest.len);
    if (sign == 0)
        return true;
    if (!read_digits(r, 2, &hours))
        return false;
    if (r->rest.len > 0 && r->rest.at[0] == ':')
        r->rest = str_slice(r->rest, 1, r->rest.len);
    (void)read_digits(r, 2, &minutes);
    r->offset = sign * (hours * 3600 + minutes * 60);
    return true;
}

/* A run of one letter. Digits that stand against others are as many as there are letters. */
static bool
read_field(struct reading *r, char letter, size_t count, bool is_followed)
{
    static const char *const halves[] = {"AM ", "PM "};
    const size_t most = is_followed ? count : letter == 'y' && count == 2 ? 2 : 9;
    const int place = ++r->fields;
    int64_t n = 0;

    switch (letter) {
    case 'M':
    case 'L':
        if (count >= 3)
            return read_word(r, date_months, 12, &r->tm.tm_mon);
        break;
    case 'E':
        r->weekday_at = place;
        return read_word(r, date_days, 7, &r->weekday);
    case 'a':
        r->half_at = place;
        r->is_pm = r->rest.len > 0 && (r->rest.at[0] | 0x20) == 'p';
        if (!str_equal_nocase(str_slice(r->rest, 0, 2), str_slice(str_of(halves[r->is_pm]), 0, 2)))
            return false;
        r->rest = str_slice(r->rest, 2, r->rest.len);
        return true;
    case 'z':
    case 'Z':
    case 'X':
    case 'x':
        return read_offset(r);
    default:
        break;
    }
    if (strchr("yuMLdDwHkhKmsS", letter) == NULL) {
        r->refused = letter;
        return false;
    }
    if (!read_digits(r, most, &n) || n > FIELD_MAX)
        return false;
    switch (letter) {
    case 'M':
    case 'L':
        r->tm.tm_mon = (int)n - 1;
        break;
    case 'd':
        r->day_at = place;
        r->tm.tm_mday = (int)n;
        break;
    case 'D':
        r->year_day_at = place;
        r->year_day = (int)n;
        break;
    case 'w':
        r->week_at = place;
        r->week = (int)n;
        return n <= WEEKS_MAX;
    case 'H':
    case 'k':
        r->hour_at = place;
        r->tm.tm_hour = letter == 'k' && n == 24 ? 0 : (int)n;
        break;
    case 'h':
    case 'K':
        r->hour_12_at = place;
        r->hour_12 = letter == 'h' && n == 12 ? 0 : (int)n;
        break;
    case 'm':
        r->tm.tm_min = (int)n;
        break;
    case 's':
        r->tm.tm_sec = (int)n;
        break;
    case 'S':
        r->ms = n;
        break;
    default: /* two digits are a year near the present one: up to 2046 */
        r->tm.tm_year = (int)(count == 2 && n < 100 ? n + (n < 47 ? 100 : 0) : n - 1900);
    }
    return true;
}

/* Java takes what is beyond a field's bounds over into the next (the 32nd of January); years stay those
 * that dates are written with. */
static bool
read_pattern(struct reading *r, struct str pattern)
{
    for (size_t i = 0; i < pattern.len;) {
        const char c = pattern.at[i];
        size_t count = 1;
        bool is_followed;
        while (i + count < pattern.len && pattern.at[i + count] == c && c != '\'')
            count++;
        is_followed = i + count < pattern.len && isalpha((unsigned char)pattern.at[i + count]);
        if (isalpha((unsigned char)c)) {
            if (!read_field(r, c, count, is_followed))
                return false;
            i += count;
            continue;
        }
        if (c == '\'' && (i + 1 >= pattern.len || pattern.at[i + 1] != '\'')) {
            for (i++; i < pattern.len && pattern.at[i] != '\''; i++) {
                if (r->rest.len == 0 || r->rest.at[0] != pattern.at[i])
                    return false;
                r->rest = str_slice(r->rest, 1, r->rest.len);
            }
            i++;
            continue;
        }
        if (r->rest.len == 0 || r->rest.at[0] != c)
            return false;
        r->rest = str_slice(r->rest, 1, r->rest.len);
        i += c == '\'' ? 2 : 1;
    }
    return true;
}

static bool
unparseable(struct interp *in, const struct node *at, struct str text)
{
    return interp_throw(in, at, "ParseException", "Unparseable date: \"" STR_FMT "\"",
                        STR_ARG(str_slice(text, 0, 200)));
}

/* `r` has the rest of the text. */
static bool
read_text(struct str text, struct str pattern, struct reading *r)
{
    *r = (struct reading){.rest = text, .tm = {.tm_year = 70, .tm_mday = 1}};
    return read_pattern(r, pattern) && r->tm.tm_year <= 8099 && r->tm.tm_year >= -1900;
}

static int
later(int a, int b)
{
    return a > b ? a : b;
}

/* A week says the day together with a day of the week, or where nothing else does: then it is its Sunday. The
 * first week is that of the first of January. */
static void
settle_day(struct reading *r)
{
    const int week_at = r->week_at > 0 && r->weekday_at > 0 ? later(r->week_at, r->weekday_at) : 0;
    struct tm first = {.tm_year = r->tm.tm_year, .tm_mday = 1};

    if (week_at > later(r->day_at, r->year_day_at) ||
        (r->week_at > 0 && r->day_at == 0 && r->year_day_at == 0)) {
        (void)timegm(&first); /* for its day of the week */
        r->tm.tm_mon = 0;
        r->tm.tm_mday = 1 - first.tm_wday + (r->week - 1) * 7 + (week_at > 0 ? r->weekday : 0);
    } else if (r->year_day_at > r->day_at) {
        r->tm.tm_mon = 0;
        r->tm.tm_mday = r->year_day;
    }
}

static void
settle_hour(struct reading *r)
{
    const int half_at = r->hour_12_at > 0 || r->hour_at == 0 ? later(r->hour_12_at, r->half_at) : 0;

    if (half_at > r->hour_at)
        r->tm.tm_hour = r->hour_12 + (r->is_pm ? 12 : 0);
}

bool
date_parse(struct interp *in, const struct node *at, struct str text, struct str pattern,
           struct str zone, int64_t *ms_out)
{
    struct reading r;
    int64_t seconds;

    if (!read_text(text, pattern, &r)) {
        if (r.refused == 0)
            return unparseable(in, at, text);
        return interp_throw(in, at, "UnsupportedFeature",
                            "the letter '%c' is not supported where a date is read%s", r.refused,
                            r.refused == 'Y' ? "; the year is 'y', 'Y' is that of a week" : "");
    }
    settle_day(&r);
    settle_hour(&r);
    seconds = (int64_t)timegm(&r.tm);
    if (r.has_offset)
        seconds -= r.offset;
    else /* what the clock there shows; where it is put forward or back once more */
        seconds -= date_offset(in, seconds - date_offset(in, seconds, zone), zone);
    *ms_out = seconds * 1000 + r.ms;
    return true;
}

static struct value
local_date(struct interp *in, int64_t day)
{
    struct value v = value_object(in->arena, "LocalDate");

    v.object->number = day;
    v.object->text = date_format(in, day * DATE_DAY_MS, STR("yyyy-MM-dd"), STR("UTC"));
    return v;
}

static void
day_parts(int64_t day, struct tm *out)
{
    const time_t t = (time_t)(day * 24 * 60 * 60);

    (void)gmtime_r(&t, out);
}

static int64_t
days_of(struct tm tm)
{
    const int64_t seconds = (int64_t)timegm(&tm);

    return seconds / (24 * 60 * 60) - (seconds % (24 * 60 * 60) < 0);
}

static int
month_length(int year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return lengths[month] + (month == 1 && date_year_is_leap(year));
}

/* The day that a text names, all of it, in the zone that it may name, too. LocalDate's own form (`is_iso`) has no
 * day that its month has not; by a pattern the 31st is the last of a shorter one. */
static bool
read_day(struct str text, struct str pattern, bool is_iso, int64_t *out)
{
    struct reading r;
    struct tm day;
    int length;

    if ((is_iso && (text.len != 10 || text.at[4] != '-' || text.at[7] != '-')) || !read_text(text, pattern, &r) ||
        r.rest.len > 0 || r.year_day_at > 0 || r.week_at > 0 || r.tm.tm_mon < 0 || r.tm.tm_mon > 11)
        return false;
    length = month_length(r.tm.tm_year + 1900, r.tm.tm_mon);
    if (r.tm.tm_mday < 1 || r.tm.tm_mday > (is_iso ? length : 31))
        return false;
    day = (struct tm){.tm_year = r.tm.tm_year, .tm_mon = r.tm.tm_mon,
                      .tm_mday = r.tm.tm_mday < length ? r.tm.tm_mday : length};
    *out = days_of(day);
    return true;
}

/* So many months further; the 31st becomes the last of a shorter one. */
static int64_t
plus_months(int64_t day, int64_t months)
{
    struct tm tm;
    int64_t all;

    day_parts(day, &tm);
    all = ((int64_t)tm.tm_year + 1900) * 12 + tm.tm_mon + months;
    tm.tm_mon = (int)((all % 12 + 12) % 12);
    tm.tm_year = (int)((all - tm.tm_mon) / 12 - 1900);
    if (tm.tm_mday > month_length(tm.tm_year + 1900, tm.tm_mon))
        tm.tm_mday = month_length(tm.tm_year + 1900, tm.tm_mon);
    return days_of(tm);
}

static bool
give_day(const struct call *c, int64_t day)
{
    if (day > DAYS_MAX || day < -DAYS_MAX)
        return interp_throw(c->in, c->at, "DateTimeException", "the date is out of range");
    *c->out = local_date(c->in, day);
    return true;
}

/* plusDays(1), minusMonths(2), plus(1) ... */
static bool
moved(const struct call *c, bool *ok)
{
    static const struct {
        const char *unit;
        int days, months;
    } rows[] = {{"Days", 1, 0}, {"Weeks", 7, 0}, {"Months", 0, 1}, {"Years", 0, 12}};
    const bool adds = str_starts(c->name, STR("plus"));
    const struct str unit = str_slice(c->name, adds ? 4 : 5, c->name.len);
    int64_t n;

    if ((!adds && !str_starts(c->name, STR("minus"))) || c->args->count != 1 ||
        !call_has_integer(c, 0))
        return false;
    n = c->args->at[0].number;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!str_is(unit, rows[i].unit))
            continue;
        if (n > DAYS_MAX || n < -DAYS_MAX)
            *ok = interp_throw(c->in, c->at, "DateTimeException", "the date is out of range");
        else if (rows[i].days > 0)
            *ok = give_day(c, c->self.object->number + (adds ? n : -n) * rows[i].days);
        else
            *ok = give_day(c, plus_months(c->self.object->number, (adds ? n : -n) * rows[i].months));
        return true;
    }
    return false;
}

/* getYear(), withDayOfMonth(1), lengthOfMonth() ... */
static bool
parts(const struct call *c, bool *ok)
{
    struct tm tm;
    int length;

    day_parts(c->self.object->number, &tm);
    length = month_length(tm.tm_year + 1900, tm.tm_mon);
    if (call_is(c, "getYear", 0)) {
        *c->out = value_int(tm.tm_year + 1900);
    } else if (call_is(c, "getMonthValue", 0)) {
        *c->out = value_int(tm.tm_mon + 1);
    } else if (call_is(c, "getDayOfMonth", 0)) {
        *c->out = value_int(tm.tm_mday);
    } else if (call_is(c, "getDayOfYear", 0)) {
        *c->out = value_int(tm.tm_yday + 1);
    } else if (call_is(c, "getMonth", 0) || call_is(c, "getDayOfWeek", 0)) {
        cleanup(strbuf_done) struct strbuf b = {0};
        text_add_cased(&b, str_of(str_is(c->name, "getMonth") ? date_months[tm.tm_mon]
                                                             : date_days[tm.tm_wday]), true);
        call_give(c, &b);
    } else if (call_is(c, "lengthOfMonth", 0)) {
        *c->out = value_int(length);
    } else if (call_is(c, "isLeapYear", 0)) {
        *c->out = value_bool(month_length(tm.tm_year + 1900, 1) == 29);
    } else if (call_is(c, "withDayOfMonth", 1) && call_has_integer(c, 0)) {
        if (c->args->at[0].number < 1 || c->args->at[0].number > length)
            return (*ok = interp_throw(c->in, c->at, "DateTimeException", "Invalid date")), true;
        tm.tm_mday = (int)c->args->at[0].number;
        *ok = give_day(c, days_of(tm));
    } else {
        return false;
    }
    return true;
}

bool
local_date_method(const struct call *c, bool *ok)
{
    const int64_t day = c->self.object->number;
    const struct value arg = c->args->count > 0 ? c->args->at[0] : value_null();

    if (moved(c, ok) || parts(c, ok))
        return true;
    if (call_is(c, "toEpochDay", 0)) {
        *c->out = value_long(day);
    } else if (call_is(c, "format", 1)) {
        *c->out = value_text(date_format(c->in, day * DATE_DAY_MS, date_pattern(c->in, arg), STR("UTC")));
    } else if ((call_is(c, "isBefore", 1) || call_is(c, "isAfter", 1) || call_is(c, "isEqual", 1)) &&
               value_is_object(arg, "LocalDate")) {
        *c->out = value_bool(str_is(c->name, "isBefore")  ? day < arg.object->number
                             : str_is(c->name, "isAfter") ? day > arg.object->number
                                                          : day == arg.object->number);
    } else {
        return false;
    }
    return true;
}

/* LocalDate.now(zone), of(2024, 2, 29), parse('2024-02-29', formatter), ofEpochDay(1) */
bool
local_date_static(const struct call *c, bool *ok)
{
    const struct value *arg = c->args->at;
    int64_t ms = 0;

    if (str_is(c->name, "now") && c->args->count <= 1) {
        const struct str zone = c->args->count == 0 ? STR("") : date_zone(c->in, arg[0]);
        ms = interp_now_ms(c->in);
        ms += date_offset(c->in, ms / 1000, zone) * 1000;
    } else if (call_is(c, "of", 3) && call_has_integer(c, 0) && call_has_integer(c, 1) &&
               call_has_integer(c, 2)) {
        const struct tm tm = {.tm_year = (int)(arg[0].number - 1900),
                              .tm_mon = (int)(arg[1].number - 1),
                              .tm_mday = (int)arg[2].number};
        if (arg[0].number < -999999 || arg[0].number > 999999 || arg[1].number < 1 ||
            arg[1].number > 12 || arg[2].number < 1 ||
            arg[2].number > month_length((int)arg[0].number, (int)arg[1].number - 1))
            return (*ok = interp_throw(c->in, c->at, "DateTimeException", "Invalid date")), true;
        ms = days_of(tm) * DATE_DAY_MS;
    } else if (call_is(c, "ofEpochDay", 1) && call_has_integer(c, 0)) {
        return (*ok = give_day(c, arg[0].number)), true;
    } else if (str_is(c->name, "parse") && (c->args->count == 1 || c->args->count == 2)) {
        const struct str text = call_text(c, 0),
                         pattern = c->args->count == 1 ? STR("yyyy-MM-dd") : date_pattern(c->in, arg[1]);
        int64_t day = 0;
        *ok = read_day(text, pattern, c->args->count == 1, &day) ? give_day(c, day)
              : interp_throw(c->in, c->at, "DateTimeParseException", "Text '" STR_FMT "' could not be parsed",
                             STR_ARG(str_slice(text, 0, 200)));
        return true;
    } else {
        return false;
    }
    *ok = *ok && give_day(c, ms / DATE_DAY_MS - (ms % DATE_DAY_MS < 0));
    return true;
}
