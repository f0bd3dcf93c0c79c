/* SPDX-License-Identifier: MIT */
#include "model/traffic_book.h"
#include <stdio.h>
#include "check.h"

#define MINUTE INT64_C(60000)
#define NOON (INT64_C(1530532800) * 1000)

static void
book_free(struct traffic_book **book)
{
    traffic_book_free(*book);
}

TEST(a_quantile_lies_within_its_bucket)
{
    struct latencies l = {0};

    CHECK(latencies_quantile_ms(&l, 0.5) == 0);
    for (int i = 1; i <= 100; i++)
        latencies_add(&l, i * 10);
    CHECK_EQ(l.samples, 100);
    CHECK_EQ(l.sum_ms, 50500);
    CHECK_EQ(l.min_ms, 10);
    CHECK_EQ(l.max_ms, 1000);
    CHECK(latencies_quantile_ms(&l, 0.5) > 440 && latencies_quantile_ms(&l, 0.5) < 560);
    CHECK(latencies_quantile_ms(&l, 0.99) > 860 && latencies_quantile_ms(&l, 0.99) <= 1000);
    CHECK(latencies_quantile_ms(&l, 0.0001) >= 10);
}

TEST(one_latency_is_every_quantile)
{
    struct latencies l = {0};

    latencies_add(&l, 43);
    CHECK(latencies_quantile_ms(&l, 0.5) == 43);
    CHECK(latencies_quantile_ms(&l, 0.99) == 43);
    latencies_add(&l, INT64_MAX);
    latencies_add(&l, -5);
    CHECK_EQ(l.min_ms, 0);
    CHECK_EQ(l.max_ms, INT32_MAX);
    CHECK_EQ(l.in[LATENCY_BUCKETS - 1], 1);
}

TEST(buckets_grow)
{
    for (int i = 1; i < LATENCY_BUCKETS; i++)
        CHECK(latency_bucket_ms(i) > latency_bucket_ms(i - 1));
}

TEST(a_minute_has_what_was_counted_in_it)
{
    cleanup(book_free) struct traffic_book *book = traffic_book_new();
    struct traffic_series *s = traffic_book_get(book, TRAFFIC_OF_GROUP, "g");

    traffic_add(book, s, TRAFFIC_requests, 3, NOON);
    traffic_add(book, s, TRAFFIC_requests, 0, NOON + MINUTE); /* nothing makes no point */
    traffic_add(book, s, TRAFFIC_requests, 4, NOON + 2 * MINUTE);
    traffic_add(book, s, TRAFFIC_requests, 5, NOON); /* the clock was put back */
    CHECK_EQ(s->total[TRAFFIC_requests], 12);
    CHECK_EQ(s->point_count, 2);
    CHECK_EQ(s->points[0].minute, NOON / MINUTE);
    CHECK_EQ(s->points[0].traffic->counts[TRAFFIC_requests], 3);
    CHECK_EQ(s->points[1].traffic->counts[TRAFFIC_requests], 9);
}

TEST(gauges_have_least_greatest_and_average)
{
    cleanup(book_free) struct traffic_book *book = traffic_book_new();
    struct traffic_series *s = traffic_book_get(book, TRAFFIC_OF_LOAD_BALANCER, "l");

    traffic_look(book, s, GAUGE_connections, 4, NOON);
    traffic_look(book, s, GAUGE_connections, 2, NOON + 1000);
    traffic_look(book, s, GAUGE_connections, 9, NOON + 2000);
    CHECK_EQ(s->now[GAUGE_connections], 9);
    CHECK_EQ(s->points[0].gauges[GAUGE_connections].min, 2);
    CHECK_EQ(s->points[0].gauges[GAUGE_connections].max, 9);
    CHECK_EQ(s->points[0].gauges[GAUGE_connections].sum, 15);
    CHECK(s->points[0].traffic == NULL);
}

TEST(the_window_is_of_two_minutes_at_most)
{
    cleanup(book_free) struct traffic_book *book = traffic_book_new();
    struct traffic_series *s = traffic_book_get(book, TRAFFIC_OF_TARGET, "t");

    traffic_answered(book, s, 10, NOON);
    traffic_answered(book, s, 20, NOON + MINUTE);
    CHECK_EQ(traffic_recent(s, NOON + MINUTE).samples, 2);
    CHECK_EQ(traffic_recent(s, NOON + 2 * MINUTE).samples, 1);
    CHECK_EQ(traffic_recent(s, NOON + 3 * MINUTE).samples, 0);
    traffic_answered(book, s, 30, NOON + 9 * MINUTE);
    CHECK_EQ(traffic_recent(s, NOON + 9 * MINUTE).samples, 1);
    CHECK_EQ(s->latency_samples, 3);
    CHECK_EQ(s->point_count, 0); /* a target has no minutes */
}

TEST(series_are_found_and_dropped)
{
    cleanup(book_free) struct traffic_book *book = traffic_book_new();
    char id[16];

    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "%d", i * 37 % 100);
        CHECK(traffic_book_get(book, TRAFFIC_OF_RULE, id) != NULL);
    }
    CHECK_EQ(traffic_book_count(book), 100);
    CHECK(traffic_book_get(book, TRAFFIC_OF_RULE, "7") == traffic_book_find(book, TRAFFIC_OF_RULE, "7"));
    CHECK(traffic_book_find(book, TRAFFIC_OF_GROUP, "7") == NULL);
    for (size_t i = 1; i < 100; i++)
        CHECK(strcmp(traffic_book_at(book, i - 1)->id, traffic_book_at(book, i)->id) < 0);
    traffic_book_drop(book, traffic_book_find(book, TRAFFIC_OF_RULE, "7"));
    CHECK(traffic_book_find(book, TRAFFIC_OF_RULE, "7") == NULL);
    CHECK(traffic_book_find(book, TRAFFIC_OF_RULE, "8") != NULL);
    CHECK_EQ(traffic_book_count(book), 99);
}

TEST(points_older_than_three_days_go)
{
    cleanup(book_free) struct traffic_book *book = traffic_book_new();
    struct traffic_series *s = traffic_book_get(book, TRAFFIC_OF_GROUP, "g");

    for (int i = 0; i < BOOK_MINUTES_MAX + 10; i++)
        traffic_add(book, s, TRAFFIC_requests, 1, NOON + i * MINUTE);
    traffic_book_trim(book, NOON + (BOOK_MINUTES_MAX + 9) * MINUTE);
    CHECK_EQ(s->point_count, BOOK_MINUTES_MAX);
    CHECK_EQ(s->points[0].minute, NOON / MINUTE + 10);
}

/* However many there are: the oldest minute of all goes first. */
TEST(points_are_bounded)
{
    cleanup(book_free) struct traffic_book *book = traffic_book_new();
    char id[16];
    int left = 0;

    for (int k = 0; k < 40; k++) {
        struct traffic_series *s;
        snprintf(id, sizeof(id), "%d", k);
        s = traffic_book_get(book, TRAFFIC_OF_GROUP, id);
        for (int i = 0; i < 3000; i++)
            traffic_add(book, s, TRAFFIC_requests, 1, NOON + i * MINUTE);
    }
    traffic_book_trim(book, NOON + 3000 * MINUTE);
    for (size_t k = 0; k < traffic_book_count(book); k++) {
        CHECK_EQ(traffic_book_at(book, k)->point_count, 2500);
        left += traffic_book_at(book, k)->point_count;
    }
    CHECK_EQ(left, BOOK_POINTS_MAX);
}

TEST(there_are_so_many_series_and_no_more)
{
    cleanup(book_free) struct traffic_book *book = traffic_book_new();
    char id[16];

    for (int i = 0; i < BOOK_SERIES_MAX; i++) {
        snprintf(id, sizeof(id), "%d", i);
        CHECK(traffic_book_get(book, TRAFFIC_OF_TARGET, id) != NULL);
    }
    CHECK(traffic_book_get(book, TRAFFIC_OF_TARGET, "more") == NULL);
    CHECK(traffic_book_get(book, TRAFFIC_OF_TARGET, "7") != NULL);
}
