/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static int64_t
now_us(clockid_t id)
{
    struct timespec t;

    if (clock_gettime(id, &t) != 0)
        abort();
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
clock_wall_ms(void)
{
    return now_us(CLOCK_REALTIME) / 1000;
}

int64_t
clock_monotonic_ms(void)
{
    return now_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
clock_monotonic_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

int64_t
clock_boot_ms(void)
{
    return now_us(CLOCK_BOOTTIME) / 1000;
}

void
clock_sleep_ms(int64_t ms)
{
    struct timespec left;

    if (ms <= 0)
        return;
    left = (struct timespec){(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* The largest whole second that prints with a year of four digits. */
#define SECONDS_MAX INT64_C(253402300799)

static struct tm
utc(int64_t ms, int *ms_out)
{
    int64_t seconds = ms / 1000, rest = ms % 1000;
    struct tm tm;
    time_t t;

    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    if (seconds > SECONDS_MAX)
        seconds = SECONDS_MAX;
    if (seconds < 0)
        seconds = 0;
    t = (time_t)seconds;
    if (gmtime_r(&t, &tm) == NULL)
        abort();
    *ms_out = (int)rest;
    return tm;
}

void
clock_format_iso(int64_t ms, char out[static 32])
{
    int rest;
    struct tm tm = utc(ms, &rest);

    (void)strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out + 19, 13, ".%03dZ", rest);
}

void
clock_format_basic(int64_t ms, char out[static 24])
{
    int rest;
    struct tm tm = utc(ms, &rest);

    (void)strftime(out, 24, "%Y%m%dT%H%M%SZ", &tm);
}

/* Reads `digits` digits off the front of `s`. */
static bool
take_number(struct str *s, size_t digits, int *out)
{
    int n = 0;

    if (s->len < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (s->at[i] < '0' || s->at[i] > '9')
            return false;
        n = n * 10 + (s->at[i] - '0');
    }
    *out = n;
    *s = str_slice(*s, digits, s->len);
    return true;
}

static bool
take_char(struct str *s, char c)
{
    if (s->len == 0 || s->at[0] != c)
        return false;
    *s = str_slice(*s, 1, s->len);
    return true;
}

/* Days from 1970-01-01 to the first of a month, by years that begin in March. */
static int64_t
days_to_month(int year, int month)
{
    const int years = month <= 2 ? year - 1 : year, months = month <= 2 ? month + 9 : month - 3;

    return (int64_t)years * 365 + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 - 719468;
}

/* Not by timegm(), which takes the time zone's lock: every signed request is dated. */
static bool
date_to_ms(int year, int month, int day, int hour, int minute, int second, int64_t *ms_out)
{
    int64_t days, length;

    if (year < 1970 || month < 1 || month > 12)
        return false;
    days = days_to_month(year, month);
    length = (month == 12 ? days_to_month(year + 1, 1) : days_to_month(year, month + 1)) - days;
    if (day < 1 || day > length || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return false;
    *ms_out = (((days + day - 1) * 24 + hour) * 60 + minute) * 60000 + second * 1000;
    return true;
}

bool
clock_parse_basic(struct str s, int64_t *ms_out)
{
    int year, month, day, hour, minute, second;

    return take_number(&s, 4, &year) && take_number(&s, 2, &month) && take_number(&s, 2, &day) &&
           take_char(&s, 'T') && take_number(&s, 2, &hour) && take_number(&s, 2, &minute) &&
           take_number(&s, 2, &second) && take_char(&s, 'Z') && s.len == 0 &&
           date_to_ms(year, month, day, hour, minute, second, ms_out);
}

/* ".678", of which three digits count; absent is zero. */
static bool
take_fraction(struct str *s, int *ms_out)
{
    int digit, ms = 0, weight = 100, count = 0;

    if (!take_char(s, '.')) {
        *ms_out = 0;
        return true;
    }
    while (take_number(s, 1, &digit)) {
        ms += digit * weight;
        weight /= 10;
        count++;
    }
    *ms_out = ms;
    return count > 0;
}

static bool
take_zone(struct str *s, int64_t *offset_ms_out)
{
    int hours, minutes, sign;

    if (take_char(s, 'Z')) {
        *offset_ms_out = 0;
        return true;
    }
    if (take_char(s, '+'))
        sign = 1;
    else if (take_char(s, '-'))
        sign = -1;
    else
        return false;
    if (!take_number(s, 2, &hours) || !take_char(s, ':') || !take_number(s, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *offset_ms_out = (int64_t)sign * (hours * 60 + minutes) * 60000;
    return true;
}

bool
clock_parse_iso(struct str s, int64_t *ms_out)
{
    int year, month, day, hour, minute, second, fraction;
    int64_t offset, ms;

    if (!take_number(&s, 4, &year) || !take_char(&s, '-') || !take_number(&s, 2, &month) ||
        !take_char(&s, '-') || !take_number(&s, 2, &day) || !take_char(&s, 'T') ||
        !take_number(&s, 2, &hour) || !take_char(&s, ':') || !take_number(&s, 2, &minute) ||
        !take_char(&s, ':') || !take_number(&s, 2, &second) || !take_fraction(&s, &fraction) ||
        !take_zone(&s, &offset) || s.len != 0 ||
        !date_to_ms(year, month, day, hour, minute, second, &ms))
        return false;
    *ms_out = ms + fraction - offset;
    return true;
}
