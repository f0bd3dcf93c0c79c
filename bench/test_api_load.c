/* SPDX-License-Identifier: MIT */
/* Figures of calls that were not verified, or not answered, would say nothing. */
#include <stdatomic.h>
#include "api/sigv4.h"
#include "api_load.h"
#include "base/clock.h"
#include "check.h"
#include "io/http_server.h"

#define KEY_ID "AKIALOAD"
#define SECRET "a secret"

struct server {
    struct http_server *http;
    atomic_int verified, refused;
    size_t answer_size;
};

struct headers {
    struct sigv4_header at[32];
    size_t count;
};

static void
keep_header(void *arg, struct str name, struct str value)
{
    struct headers *h = arg;

    CHECK(h->count < ARRAY_COUNT(h->at));
    h->at[h->count++] = (struct sigv4_header){name, value};
}

static void
answer(struct http_exchange *x, void *ctx)
{
    struct server *s = ctx;
    struct headers headers = {.count = 0};
    cleanup(strbuf_done) struct strbuf body = {0};
    struct sigv4_authorization auth;
    struct err err = {0};

    http_header_each(x, keep_header, &headers);
    const struct sigv4_request rq = {.method = x->method, .path = x->path, .query = x->query, .headers = headers.at,
                                     .header_count = headers.count, .body = x->body};
    if (!sigv4_verify(&rq, KEY_ID, SECRET, /* token= */ "", clock_wall_ms(), &auth, &err)) {
        atomic_fetch_add(&s->refused, 1);
        http_reply(x, 403, NULL, str_of(err.message));
        return;
    }
    atomic_fetch_add(&s->verified, 1);
    while (body.len < s->answer_size)
        strbuf_add_char(&body, 'x');
    http_reply(x, 200, NULL, strbuf_str(&body));
}

static void
number_body(void *arg, int64_t number, struct strbuf *out)
{
    (void)arg;
    strbuf_addf(out, "{\"n\":%lld}", (long long)number);
}

static struct api_load
load_of(struct server *s)
{
    const struct http_route route = {.prefix = "/", .end = answer, .ctx = s};
    struct err err = {0};

    s->http = http_server_start("127.0.0.1", 0, &route, 1, &err);
    CHECK(s->http != NULL);
    return (struct api_load){.port = (int)http_server_port(s->http), .access_key_id = KEY_ID, .secret = SECRET,
                             .region = "eu-west-1", .service = "ecs", .target = "A.B", .connections = 8,
                             .calls = 500, .body = number_body};
}

TEST(each_call_is_signed_and_each_answer_read)
{
    struct server s = {.answer_size = 300000}; /* far more than one read */
    struct api_load load = load_of(&s);
    struct api_load_report report;
    struct err err = {0};

    CHECK(api_load_run(&load, &report, &err));
    CHECK_EQ(report.calls, 500);
    CHECK_EQ(atomic_load(&s.verified), 500);
    CHECK_EQ(report.answer_size, 300000);
    CHECK(report.p50_ms <= report.p99_ms && report.p99_ms <= report.max_ms && report.a_second > 0);
    http_server_stop(s.http);
}

TEST(a_time_ends_it_as_well)
{
    struct server s = {.answer_size = 10};
    struct api_load load = load_of(&s);
    struct api_load_report report;
    struct err err = {0};

    load.calls = 0;
    load.duration_ms = 200;
    CHECK(api_load_run(&load, &report, &err));
    CHECK(report.calls > 0 && report.calls == atomic_load(&s.verified));
    CHECK(report.seconds >= 0.2);
    http_server_stop(s.http);
}

TEST(an_answer_that_is_no_success_ends_it_with_an_error)
{
    struct server s = {.answer_size = 10};
    struct api_load load = load_of(&s);
    struct api_load_report report;
    struct err err = {0};

    load.secret = "another secret";
    CHECK(!api_load_run(&load, &report, &err));
    CHECK(strstr(err.message, "403") != NULL);
    CHECK(atomic_load(&s.refused) > 0);
    http_server_stop(s.http);
}

TEST(nobody_to_talk_to_is_an_error)
{
    struct server s = {.answer_size = 10};
    struct api_load load = load_of(&s);
    struct api_load_report report;
    struct err err = {0};

    http_server_stop(s.http);
    CHECK(!api_load_run(&load, &report, &err));
    CHECK(err.message[0] != '\0');
}
