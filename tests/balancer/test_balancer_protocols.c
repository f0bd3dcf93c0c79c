/* SPDX-License-Identifier: MIT */
/* Targets that speak TLS, HTTP/2 and gRPC, by the real HAProxy and our own checks. */
#include "balancer/world.h"
#include "h2_target.h"
#include "io/http_probe.h"

#define TARGET(t) cleanup(h2_target_stop) struct h2_target t = {0}

/* A request over HTTP/2 to the listener: its status, or -1. */
struct question {
    char origin[40];
    struct loop *loop;
    struct http_prober *prober;
    struct http_probe *probe;
    struct http_probe_spec spec;
    atomic_int answer;
};

static void
take_answer(void *arg, enum http_probe_result result, int status)
{
    struct question *q = arg;

    http_probe_free(q->probe);
    q->probe = NULL;
    atomic_store(&q->answer, result == HTTP_PROBE_ANSWERED ? status : -1);
}

static void
begin(void *arg)
{
    struct question *q = arg;

    q->prober = http_prober_new(q->loop);
    q->probe = http_probe_start(q->prober, &q->spec);
}

static void
question_begin(struct question *q, const struct world *w, bool is_grpc, int timeout_ms)
{
    *q = (struct question){.answer = -2};
    snprintf(q->origin, sizeof(q->origin), "http://127.0.0.1:%d", w->port);
    q->spec = (struct http_probe_spec){.origin = q->origin,
                                       .path = "/a.B/c",
                                       .is_http2 = true,
                                       .is_grpc = is_grpc,
                                       .timeout_ms = timeout_ms,
                                       .done = take_answer,
                                       .arg = q};
    q->loop = loop_new();
    loop_start(q->loop, "client");
    loop_call_and_wait(q->loop, begin, q);
}

static int
question_end(struct question *q)
{
    WAIT_FOR(atomic_load(&q->answer) != -2, 21000);
    loop_stop(q->loop);
    loop_join(q->loop);
    http_prober_free(q->prober);
    loop_free(q->loop);
    return atomic_load(&q->answer);
}

static int
ask_h2(const struct world *w, bool is_grpc)
{
    struct question q;

    question_begin(&q, w, is_grpc, 5000);
    return question_end(&q);
}

static void
speak(struct world *w, const char *protocol, const char *version)
{
    group_options_set_protocol(&w->options, protocol, version);
    snprintf(w->check.protocol, sizeof(w->check.protocol), "%s", protocol);
    snprintf(w->check.version, sizeof(w->check.version), "%s", version);
    if (strcmp(version, "GRPC") == 0)
        snprintf(w->check.matcher, sizeof(w->check.matcher), "12");
}

TEST(targets_are_spoken_to_by_tls)
{
    WORLD;
    TARGET(t);

    t.is_tls = true;
    t.body = "secure";
    h2_target_start(&t, H1_ANSWERS);
    speak(w, "HTTPS", "HTTP1");
    struct app *app = app_at(w, t.port);
    world_register(w, app);
    world_wait_healthy(app);
    for (int i = 0; i < 5; i++) {
        const struct reply reply = client_once(w->port, "GET", "/");
        CHECK_EQ(reply.status, 200);
        CHECK_TEXT(reply.body, "secure");
    }
}

/* What is handed on as it is may be TLS, and the check speaks it. */
TEST(a_tcp_group_is_checked_by_https)
{
    WORLD;
    TARGET(t);

    t.is_tls = true;
    h2_target_start(&t, H1_ANSWERS);
    w->tcp.is_on = true;
    snprintf(w->check.protocol, sizeof(w->check.protocol), "HTTPS");
    struct app *app = app_at(w, t.port);
    world_register(w, app);
    world_wait_healthy(app);
    CHECK(atomic_load(&t.connections) > 0);
}

TEST(what_is_checked_need_not_be_spoken)
{
    WORLD;
    struct app *app = app_start(w);
    TARGET(t);

    t.is_tls = true; /* requests over TLS, checks in clear on another port */
    h2_target_start(&t, H1_ANSWERS);
    speak(w, "HTTPS", "HTTP1");
    snprintf(w->check.protocol, sizeof(w->check.protocol), "HTTP");
    w->check.port = app->port;
    struct app *registered = app_at(w, t.port);
    world_register(w, registered);
    world_wait_healthy(registered);
    CHECK_EQ(client_once(w->port, "GET", "/").status, 200);
    CHECK(atomic_load(&t.connections) <= 1);
}

TEST(clients_begin_with_http2_unless_it_is_off)
{
    WORLD;
    struct app *app = app_start(w);

    world_register(w, app);
    world_wait_healthy(app);
    CHECK_EQ(ask_h2(w, false), 200);
    w->attributes = "{\"routing.http2.enabled\":\"false\"}";
    world_apply(w);
    WAIT_FOR(ask_h2(w, false) != 200, 10000);
    CHECK_EQ(client_once(w->port, "GET", "/").status, 200);
}

static void
check_http2(bool is_tls)
{
    WORLD;
    TARGET(t);

    t.is_tls = t.offers_h2 = is_tls;
    h2_target_start(&t, H2_ANSWERS);
    speak(w, is_tls ? "HTTPS" : "HTTP", "HTTP2");
    struct app *app = app_at(w, t.port);
    world_register(w, app);
    world_wait_healthy(app);
    const int before = atomic_load(&t.requests);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(ask_h2(w, false), 200);
    CHECK_EQ(atomic_load(&t.requests), before + 5);
    CHECK_EQ(client_once(w->port, "GET", "/").status, 464); /* it speaks HTTP/1.1 */
    CHECK_EQ(atomic_load(&t.requests), before + 5);
}

TEST(targets_are_spoken_to_by_http2)
{
    check_http2(false);
}

TEST(targets_are_spoken_to_by_http2_over_tls)
{
    check_http2(true);
}

/* One that still gets to a target that holds it has no answer in time. */
static int
ask_briefly(const struct world *w)
{
    struct question q;

    question_begin(&q, w, false, 300);
    return question_end(&q);
}

/* Its connections stay open, and carry several at once: neither is what is waited for. */
TEST(a_drain_waits_for_what_is_in_flight_over_http2)
{
    WORLD;
    TARGET(t);
    struct question in_flight[3];

    h2_target_start(&t, H2_ANSWERS);
    speak(w, "HTTP", "HTTP2");
    w->check.interval_s = 300; /* what comes later are requests */
    w->drain_delay_s = 300;    /* and nothing is cut */
    struct app *app = app_at(w, t.port);
    world_register(w, app);
    world_wait_healthy(app);
    CHECK_EQ(ask_h2(w, false), 200);
    atomic_store(&t.is_held, true);
    const int before = atomic_load(&t.requests);
    for (size_t i = 0; i < ARRAY_COUNT(in_flight); i++)
        question_begin(&in_flight[i], w, false, 20000);
    WAIT_FOR(atomic_load(&t.requests) >= before + (int)ARRAY_COUNT(in_flight), 5000);
    world_drain(w, app);
    WAIT_FOR(ask_briefly(w) == 503, 10000); /* nobody is led there any more */
    CHECK_EQ(atomic_load(&app->drained), 0);
    atomic_store(&t.is_held, false);
    for (size_t i = 0; i < ARRAY_COUNT(in_flight); i++)
        CHECK_EQ(question_end(&in_flight[i]), 200);
    WAIT_FOR(atomic_load(&app->drained) > 0, 5000); /* although the delay is far from over */
}

TEST(grpc_passes_and_is_what_is_checked)
{
    WORLD;
    TARGET(t);

    atomic_store(&t.grpc_status, 12);
    h2_target_start(&t, H2_TRAILERS);
    w->check.interval_s = w->check.timeout_s = 1;
    speak(w, "HTTP", "GRPC");
    struct app *app = app_at(w, t.port);
    world_register(w, app);
    world_wait_healthy(app);
    CHECK_EQ(ask_h2(w, true), 12); /* the trailer passes */
    CHECK_EQ(ask_h2(w, false), 464); /* no POST */
    CHECK_EQ(client_once(w->port, "POST", "/").status, 464);
    atomic_store(&t.grpc_status, 2);
    WAIT_FOR(atomic_load(&app->told_state) == TARGET_unhealthy, 5000);
    CHECK_TEXT(app->told_reason, "Target.ResponseCodeMismatch");
    CHECK_TEXT(app->told_description, "Health checks failed with these codes: [2]");
    atomic_store(&t.grpc_status, 12);
    world_wait_healthy(app);
}

TEST(what_is_wrong_with_a_target_is_told_over_tls_and_http2_too)
{
    static const struct {
        enum h2_manner manner;
        const char *version, *reason;
    } rows[] = {
        {H2_SILENT, "HTTP2", "Target.Timeout"},
        {H2_CLOSES, "HTTP2", "Target.FailedHealthChecks"},
        {H2_RESETS, "GRPC", "Target.FailedHealthChecks"},
        {H2_GARBAGE, "HTTP1", "Target.FailedHealthChecks"},
        {H1_ANSWERS, "HTTP2", "Target.FailedHealthChecks"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        WORLD;
        TARGET(t);
        h2_target_start(&t, H2_TRAILERS);
        t.offers_h2 = true;
        speak(w, "HTTP", rows[i].version);
        w->check.interval_s = w->check.timeout_s = 1;
        snprintf(w->check.matcher, sizeof(w->check.matcher), strcmp(rows[i].version, "GRPC") == 0 ? "0" : "200");
        struct app *app = app_at(w, t.port);
        atomic_store(&t.manner, rows[i].manner);
        world_register(w, app);
        WAIT_FOR(atomic_load(&app->told_state) == TARGET_unhealthy, 20000);
        CHECK_TEXT(app->told_reason, rows[i].reason);
    }
}

TEST(a_target_over_tls_is_served_as_soon)
{
    int64_t best_ms = INT64_MAX;

    for (int i = 0; i < 3; i++) {
        WORLD;
        TARGET(t);
        t.is_tls = true;
        h2_target_start(&t, H1_ANSWERS);
        speak(w, "HTTPS", "HTTP1");
        w->check.interval_s = 30;
        w->check.timeout_s = 5;
        world_apply(w);
        WAIT_FOR(balancer_is_ready(w->balancer), 5000);
        struct app *app = app_at(w, t.port);
        const int64_t began_ms = clock_monotonic_ms();
        world_register(w, app);
        while (client_once(w->port, "GET", "/").status != 200)
            clock_sleep_ms(1);
        const int64_t took_ms = clock_monotonic_ms() - began_ms;
        best_ms = took_ms < best_ms ? took_ms : best_ms;
    }
    printf("   %d ms\n", (int)best_ms);
    CHECK(best_ms < 300 * CHECK_PATIENCE);
}
