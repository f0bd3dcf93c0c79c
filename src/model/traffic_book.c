/* SPDX-License-Identifier: MIT */
#include "model/traffic_book.h"

#include <assert.h>
#include <stdlib.h>

#define MINUTE_MS 60000

/* ---- latencies ---- */

/* Five to ten a decade: a quantile is off by an eighth at most, one millisecond at the low end. */
static const int32_t bucket_ms[LATENCY_BUCKETS - 1] = {
    0,    1,    2,    3,    4,    5,    6,    8,    10,   12,    15,    20,    25,    30,    40,
    50,   60,   80,   100,  125,  150,  200,  250,  300,  400,   500,   600,   800,   1000,  1250,
    1500, 2000, 2500, 3000, 4000, 5000, 7500, 10000, 15000, 20000, 30000, 60000, 120000,
};

int64_t
latency_bucket_ms(int bucket)
{
    return bucket < LATENCY_BUCKETS - 1 ? bucket_ms[bucket] : INT64_MAX;
}

void
latencies_add(struct latencies *l, int64_t ms)
{
    const uint32_t value = (uint32_t)(ms < 0 ? 0 : ms > INT32_MAX ? INT32_MAX : ms);
    int bucket = 0;

    while (latency_bucket_ms(bucket) < (int64_t)value)
        bucket++;
    l->in[bucket]++;
    if (l->samples == 0 || value < l->min_ms)
        l->min_ms = value;
    if (value > l->max_ms)
        l->max_ms = value;
    l->samples++;
    l->sum_ms += value;
}

void
latencies_merge(struct latencies *l, const struct latencies *other)
{
    if (other->samples == 0)
        return;
    if (l->samples == 0 || other->min_ms < l->min_ms)
        l->min_ms = other->min_ms;
    if (other->max_ms > l->max_ms)
        l->max_ms = other->max_ms;
    for (int i = 0; i < LATENCY_BUCKETS; i++)
        l->in[i] += other->in[i];
    l->samples += other->samples;
    l->sum_ms += other->sum_ms;
}

double
latencies_quantile_ms(const struct latencies *l, double share)
{
    const double rank = share * l->samples;
    double below = 0;

    for (int i = 0; i < LATENCY_BUCKETS; i++) {
        const double in = l->in[i];
        double low, high;

        if (in <= 0 || below + in < rank) {
            below += in;
            continue;
        }
        low = i == 0 ? 0 : (double)latency_bucket_ms(i - 1);
        high = i == LATENCY_BUCKETS - 1 ? l->max_ms : (double)latency_bucket_ms(i);
        low = low < l->min_ms ? l->min_ms : low;
        high = high > l->max_ms ? l->max_ms : high;
        return low >= high ? high : low + (high - low) * (rank - below) / in;
    }
    return l->max_ms;
}

/* ---- the book ---- */

struct traffic_book {
    struct traffic_series **series; /* by kind and id */
    size_t count, capacity;
    int64_t weight; /* of all points */
};

/* A point of gauges alone is a seventh of one with traffic. */
#define WEIGHT_FULL 7

static int64_t
point_weight(const struct traffic_point *p)
{
    return p->traffic != NULL ? WEIGHT_FULL : 1;
}

struct traffic_book *
traffic_book_new(void)
{
    return mem_new(sizeof(struct traffic_book));
}

static void
series_free(struct traffic_book *book, struct traffic_series *s)
{
    for (int i = 0; i < s->point_count; i++) {
        book->weight -= point_weight(&s->points[i]);
        free(s->points[i].traffic);
    }
    free(s->points);
    free(s);
}

void
traffic_book_free(struct traffic_book *book)
{
    if (book == NULL)
        return;
    for (size_t i = 0; i < book->count; i++)
        series_free(book, book->series[i]);
    assert(book->weight == 0);
    free(book->series);
    free(book);
}

/* Where it is, or would be. */
static size_t
place_of(const struct traffic_book *book, enum traffic_kind kind, const char *id, bool *is_there)
{
    size_t low = 0, high = book->count;

    *is_there = false;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const struct traffic_series *s = book->series[middle];
        const int order = s->kind != kind ? (s->kind < kind ? -1 : 1) : strcmp(s->id, id);

        if (order == 0) {
            *is_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct traffic_series *
traffic_book_find(const struct traffic_book *book, enum traffic_kind kind, const char *id)
{
    bool is_there;
    const size_t at = place_of(book, kind, id, &is_there);

    return is_there ? book->series[at] : NULL;
}

struct traffic_series *
traffic_book_get(struct traffic_book *book, enum traffic_kind kind, const char *id)
{
    bool is_there;
    const size_t at = place_of(book, kind, id, &is_there);
    struct traffic_series *s;

    if (is_there)
        return book->series[at];
    s = mem_new(sizeof(*s));
    s->kind = kind;
    if (book->count >= BOOK_SERIES_MAX || !text_copy(s->id, sizeof(s->id), str_of(id))) {
        free(s);
        return NULL;
    }
    if (book->count == book->capacity) {
        book->capacity = book->capacity == 0 ? 16 : book->capacity * 2;
        book->series = mem_grow(book->series, book->capacity, sizeof(struct traffic_series *));
    }
    memmove(&book->series[at + 1], &book->series[at], (book->count - at) * sizeof(struct traffic_series *));
    book->series[at] = s;
    book->count++;
    return s;
}

size_t
traffic_book_count(const struct traffic_book *book)
{
    return book->count;
}

struct traffic_series *
traffic_book_at(const struct traffic_book *book, size_t index)
{
    assert(index < book->count);
    return book->series[index];
}

void
traffic_book_drop(struct traffic_book *book, struct traffic_series *s)
{
    bool is_there;
    const size_t at = place_of(book, s->kind, s->id, &is_there);

    assert(is_there);
    book->count--;
    memmove(&book->series[at], &book->series[at + 1], (book->count - at) * sizeof(struct traffic_series *));
    series_free(book, s);
}

/* ---- forgetting ---- */

static void
forget_until(struct traffic_book *book, struct traffic_series *s, int64_t minute)
{
    int gone = 0;

    while (gone < s->point_count && s->points[gone].minute <= minute) {
        book->weight -= point_weight(&s->points[gone]);
        free(s->points[gone].traffic);
        gone++;
    }
    s->point_count -= gone;
    if (gone > 0)
        memmove(s->points, s->points + gone, (size_t)s->point_count * sizeof(*s->points));
}

static int64_t
oldest_minute(const struct traffic_book *book)
{
    int64_t oldest = INT64_MAX;

    for (size_t i = 0; i < book->count; i++)
        if (book->series[i]->point_count > 0 && book->series[i]->points[0].minute < oldest)
            oldest = book->series[i]->points[0].minute;
    return oldest;
}

void
traffic_book_trim(struct traffic_book *book, int64_t now_ms)
{
    int64_t until = now_ms / MINUTE_MS - BOOK_MINUTES_MAX;

    for (;;) {
        for (size_t i = 0; i < book->count; i++)
            forget_until(book, book->series[i], until);
        if (book->weight <= (int64_t)BOOK_POINTS_MAX * WEIGHT_FULL)
            return;
        until = oldest_minute(book);
    }
}

/* ---- writing ---- */

static struct traffic_point *
newest_point(struct traffic_book *book, struct traffic_series *s, int64_t now_ms)
{
    const int64_t minute = now_ms / MINUTE_MS;
    struct traffic_point *p = s->point_count > 0 ? &s->points[s->point_count - 1] : NULL;

    if (p != NULL && p->minute >= minute)
        return p;
    if (s->point_count == s->point_capacity) {
        s->point_capacity = s->point_capacity == 0 ? 16 : s->point_capacity * 2;
        s->points = mem_grow(s->points, (size_t)s->point_capacity, sizeof(*s->points));
    }
    p = &s->points[s->point_count++];
    *p = (struct traffic_point){.minute = minute};
    book->weight += 1;
    return p;
}

static struct traffic_minute *
newest_traffic(struct traffic_book *book, struct traffic_series *s, int64_t now_ms)
{
    struct traffic_point *p = newest_point(book, s, now_ms);

    if (p->traffic == NULL) {
        book->weight -= point_weight(p);
        p->traffic = mem_new(sizeof(*p->traffic));
        book->weight += point_weight(p);
    }
    return p->traffic;
}

static bool
has_points(const struct traffic_series *s)
{
    return s->kind == TRAFFIC_OF_LOAD_BALANCER || s->kind == TRAFFIC_OF_GROUP;
}

void
traffic_add(struct traffic_book *book, struct traffic_series *s, enum traffic_count what, int64_t count,
            int64_t now_ms)
{
    assert(count >= 0);
    if (count == 0)
        return;
    s->total[what] += count;
    if (has_points(s))
        newest_traffic(book, s, now_ms)->counts[what] += count;
}

void
traffic_look(struct traffic_book *book, struct traffic_series *s, enum traffic_gauge what, int64_t value,
             int64_t now_ms)
{
    struct gauge_points *g;

    s->now[what] = value;
    if (!has_points(s))
        return;
    g = &newest_point(book, s, now_ms)->gauges[what];
    if (g->samples == 0 || value < g->min)
        g->min = (int32_t)value;
    if (g->samples == 0 || value > g->max)
        g->max = (int32_t)value;
    g->samples++;
    g->sum += value;
}

/* The window turns on; after a quiet minute both are old. */
static void
turn_window(struct traffic_series *s, int64_t minute)
{
    if (minute <= s->window_minute)
        return;
    s->window[1] = minute == s->window_minute + 1 ? s->window[0] : (struct latencies){0};
    s->window[0] = (struct latencies){0};
    s->window_minute = minute;
}

void
traffic_answered(struct traffic_book *book, struct traffic_series *s, int64_t ms, int64_t now_ms)
{
    turn_window(s, now_ms / MINUTE_MS);
    latencies_add(&s->window[0], ms);
    s->latency_samples++;
    s->latency_total_ms += ms;
    if (has_points(s))
        latencies_add(&newest_traffic(book, s, now_ms)->latencies, ms);
}

struct latencies
traffic_recent(const struct traffic_series *s, int64_t now_ms)
{
    const int64_t minute = now_ms / MINUTE_MS;
    struct latencies l = {0};

    if (minute <= s->window_minute + 1)
        latencies_merge(&l, &s->window[0]);
    if (minute <= s->window_minute)
        latencies_merge(&l, &s->window[1]);
    return l;
}
