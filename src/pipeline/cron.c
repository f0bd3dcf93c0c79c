/* SPDX-License-Identifier: MIT */
#include "pipeline/cron.h"

#include "base/hash.h"
#include "pipeline/groovy/date_zone.h"

struct field {
    const char *name;
    int low, high;
    int hash_high; /* of H: every month has a 28th, and Sunday has two numbers */
};
static const struct field fields[] = {
    {"minute", 0, 59, 59},       {"hour", 0, 23, 23},       {"day of the month", 1, 31, 28},
    {"month", 1, 12, 12}, {"day of the week", 0, 7, 6},
};

static uint32_t
hash(struct str job, size_t field)
{
    const char number = (char)(field + 1);
    const uint32_t h = hash_fnv_32(hash_fnv_32(HASH_FNV_32, job), (struct str){&number, 1});

    return h ^ (h >> 15);
}

static bool
fail(struct err *err, const struct field *f, struct str part)
{
    return err_set(err, ERR_VALIDATION, "'" STR_FMT "' is no %s (%d to %d)", STR_ARG(part), f->name,
                   f->low, f->high);
}

static bool
read_number(struct str s, const struct field *f, int *out)
{
    int64_t n;

    if (!str_to_i64(s, &n) || n < f->low || n > f->high)
        return false;
    *out = (int)n;
    return true;
}

static bool
read_range(struct str s, const struct field *f, int *low, int *high)
{
    ptrdiff_t dash = str_index(s, '-');

    if (dash < 0) {
        *high = f->high;
        return read_number(s, f, low) && ((*high = *low), true);
    }
    return read_number(str_slice(s, 0, (size_t)dash), f, low) &&
           read_number(str_slice(s, (size_t)dash + 1, s.len), f, high) && *low <= *high;
}

/* H, H(a-b); with a step it starts at a number below the step. */
static bool
read_hash(struct str s, const struct field *f, uint32_t h, int64_t step, int *low, int *high)
{
    int from = f->low, to = f->hash_high;

    if (s.len > 1 && (s.at[1] != '(' || s.at[s.len - 1] != ')' ||
                      !read_range(str_slice(s, 2, s.len - 1), f, &from, &to)))
        return false;
    if (step > 0) {
        *low = from + (int)(h % (uint32_t)(step < to - from + 1 ? step : to - from + 1));
        *high = to;
    } else {
        *low = *high = from + (int)(h % (uint32_t)(to - from + 1));
    }
    return true;
}

static bool
read_part(struct str part, size_t index, struct str job, uint64_t *bits, struct err *err)
{
    const struct field *f = &fields[index];
    ptrdiff_t slash = str_index(part, '/');
    struct str what = slash < 0 ? part : str_slice(part, 0, (size_t)slash);
    int64_t step = 0;
    int low = f->low, high = f->high;

    if (slash >= 0 &&
        (!str_to_i64(str_slice(part, (size_t)slash + 1, part.len), &step) || step < 1 || step > 99))
        return fail(err, f, part);
    if (what.len == 0)
        return fail(err, f, part);
    if (what.at[0] == 'H') {
        if (!read_hash(what, f, hash(job, index), step, &low, &high))
            return fail(err, f, part);
    } else if (!str_is(what, "*") && !read_range(what, f, &low, &high)) {
        return fail(err, f, part);
    }
    for (int i = low; i <= high; i += step > 0 ? (int)step : 1)
        *bits |= (uint64_t)1 << i;
    return true;
}

static bool
read_field(struct str text, size_t index, struct str job, uint64_t *bits, struct err *err)
{
    struct str part;

    *bits = 0;
    while (str_split(&text, ',', &part))
        if (!read_part(part, index, job, bits, err))
            return false;
    if (index == 4 && (*bits & (1u << 7)) != 0) /* Sunday */
        *bits |= 1;
    return true;
}

static struct str
without_alias(struct str line)
{
    static const struct {
        const char *name, *line;
    } aliases[] = {
        {"@yearly", "H H H H *"}, {"@annually", "H H H H *"}, {"@monthly", "H H H * *"},
        {"@weekly", "H H * * H"}, {"@daily", "H H * * *"},    {"@midnight", "H H(0-2) * * *"},
        {"@hourly", "H * * * *"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(aliases); i++)
        if (str_is(line, aliases[i].name))
            return str_of(aliases[i].line);
    return line;
}

static bool
read_line(struct str line, struct str job, struct cron_line *out, struct err *err)
{
    uint64_t bits[5];
    size_t count = 0;
    struct str rest = without_alias(line);

    while (rest.len > 0) {
        size_t n = 0;
        while (n < rest.len && rest.at[n] != ' ' && rest.at[n] != '\t')
            n++;
        if (count == 5)
            return err_set(err, ERR_VALIDATION, "'" STR_FMT "' has more than five fields",
                           STR_ARG(line));
        if (!read_field(str_slice(rest, 0, n), count, job, &bits[count], err))
            return false;
        count++;
        rest = str_trim(str_slice(rest, n, rest.len));
    }
    if (count != 5)
        return err_set(err, ERR_VALIDATION, "'" STR_FMT "' has not five fields", STR_ARG(line));
    *out = (struct cron_line){bits[0], (uint32_t)bits[1], (uint32_t)bits[2], (uint32_t)bits[3],
                              (uint32_t)bits[4]};
    return true;
}

static bool
local_time(const char *zone, int64_t seconds, struct tm *out)
{
    const time_t now = (time_t)seconds;
    struct zone_moment m;
    time_t there;

    if (zone[0] == '\0')
        return localtime_r(&now, out) != NULL;
    if (!zone_at(str_of(zone), seconds, &m))
        return false;
    there = now + m.offset;
    return gmtime_r(&there, out) != NULL;
}

static const struct cron_place *
look_at(struct cron_look *look, const char *zone)
{
    struct cron_place *place = look->places;

    for (; place < look->places + look->count; place++)
        if (strcmp(place->zone, zone) == 0)
            return place;
    if (look->count < CRON_PLACES_MAX)
        look->count++;
    else
        place--;
    (void)text_copy(place->zone, sizeof(place->zone), str_of(zone));
    place->is_known = local_time(zone, look->seconds, &place->time);
    return place;
}

static bool
read_zone(struct str zone, struct cron_look *look, struct cron *out, struct err *err)
{
    if (zone.len > 0 && text_copy(out->zone, sizeof(out->zone), zone) && look_at(look, out->zone)->is_known)
        return true;
    return err_set(err, ERR_VALIDATION, "'TZ=" STR_FMT "' is no time zone that this machine knows",
                   STR_ARG(str_slice(zone, 0, 100)));
}

bool
cron_parse(struct str spec, struct str job, struct cron_look *look, struct cron *out, struct err *err)
{
    struct str line;

    *out = (struct cron){0};
    while (str_split(&spec, '\n', &line)) {
        line = str_trim(line);
        if (line.len == 0 || line.at[0] == '#')
            continue;
        if (str_starts(line, STR("TZ=")) && out->count == 0 && out->zone[0] == '\0') {
            if (!read_zone(str_trim(str_slice(line, 3, line.len)), look, out, err))
                return false;
            continue;
        }
        if (out->count == CRON_LINES_MAX)
            return err_set(err, ERR_VALIDATION, "more than %d lines", CRON_LINES_MAX);
        if (!read_line(line, job, &out->lines[out->count++], err))
            return false;
    }
    return true;
}

bool
cron_matches(const struct cron *c, struct cron_look *look)
{
    const struct cron_place *place = look_at(look, c->zone);
    const struct tm t = place->time;

    if (!place->is_known)
        return false;
    for (size_t i = 0; i < c->count; i++) {
        const struct cron_line *l = &c->lines[i];
        if ((l->minutes >> t.tm_min & 1) && (l->hours >> t.tm_hour & 1) &&
            (l->days >> t.tm_mday & 1) && (l->months >> (t.tm_mon + 1) & 1) &&
            (l->weekdays >> t.tm_wday & 1))
            return true;
    }
    return false;
}
