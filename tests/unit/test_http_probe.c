/* SPDX-License-Identifier: MIT */
/* Probes over HTTP/2, gRPC and TLS against targets that behave well and badly. */
#include "io/http_probe.h"
#include <signal.h>
#include <sys/resource.h>
#include "base/clock.h"
#include "check.h"
#include "h2_target.h"

/* A probe on a loop of its own, and what it said. */
struct question {
    struct loop *loop;
    struct http_prober *prober;
    struct http_probe *probe;
    struct http_probe_spec spec;
    char origin[64];
    bool lacks_descriptors;
    atomic_bool is_answered;
    enum http_probe_result result;
    int status;
    int64_t began_ms, took_ms;
};

static void
take_answer(void *arg, enum http_probe_result result, int status)
{
    struct question *q = arg;

    CHECK(!atomic_load(&q->is_answered));
    q->result = result;
    q->status = status;
    q->took_ms = clock_monotonic_ms() - q->began_ms;
    http_probe_free(q->probe);
    q->probe = NULL;
    atomic_store(&q->is_answered, true);
}

static void
limit_descriptors(rlim_t count)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = count;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void
begin(void *arg)
{
    struct question *q = arg;

    q->prober = http_prober_new(q->loop);
    q->began_ms = clock_monotonic_ms();
    if (q->lacks_descriptors)
        limit_descriptors(3);
    q->probe = http_probe_start(q->prober, &q->spec);
}

static void
ask(struct question *q, const char *scheme, int port, bool is_http2, bool is_grpc)
{
    snprintf(q->origin, sizeof(q->origin), "%s://127.0.0.1:%d", scheme, port);
    q->spec = (struct http_probe_spec){.origin = q->origin,
                                       .path = "/a/../b?c=%20#d",
                                       .is_http2 = is_http2,
                                       .is_grpc = is_grpc,
                                       .timeout_ms = 400,
                                       .done = take_answer,
                                       .arg = q};
    q->loop = loop_new();
    loop_start(q->loop, "probes");
    loop_call_and_wait(q->loop, begin, q);
}

static void
finish(struct question *q)
{
    loop_stop(q->loop);
    loop_join(q->loop);
    http_probe_free(q->probe);
    http_prober_free(q->prober);
    loop_free(q->loop);
}

static void
check_answer_at(int line, const char *scheme, int port, bool is_http2, bool is_grpc,
                enum http_probe_result result, int status)
{
    struct question q = {0};
    const int64_t until_ms = clock_monotonic_ms() + 5000 * CHECK_PATIENCE;

    ask(&q, scheme, port, is_http2, is_grpc);
    while (!atomic_load(&q.is_answered) && clock_monotonic_ms() < until_ms)
        clock_sleep_ms(1);
    CHECK(atomic_load(&q.is_answered));
    clock_sleep_ms(20); /* nothing comes twice */
    finish(&q);
    if (q.result != result || q.status != status)
        check_fail(__FILE__, line, "%d %d after %d ms, want %d %d", (int)q.result, q.status, (int)q.took_ms,
                   (int)result, status);
}
#define check_answer(scheme, t, is_http2, is_grpc, result, status) \
    check_answer_at(__LINE__, scheme, (t)->port, is_http2, is_grpc, result, status)

#define TARGET(t) cleanup(h2_target_stop) struct h2_target t = {0}

TEST(http2_is_spoken_from_the_first_byte_or_agreed_upon)
{
    TARGET(plain);
    TARGET(secure);

    h2_target_start(&plain, H2_ANSWERS);
    secure.is_tls = secure.offers_h2 = true;
    h2_target_start(&secure, H2_ANSWERS);
    check_answer("http", &plain, true, false, HTTP_PROBE_ANSWERED, 200);
    check_answer("https", &secure, true, false, HTTP_PROBE_ANSWERED, 200);
    atomic_store(&plain.status, 404);
    check_answer("http", &plain, true, false, HTTP_PROBE_ANSWERED, 404);
    CHECK_EQ(atomic_load(&plain.requests), 2);
    CHECK_EQ(atomic_load(&plain.connections), 2); /* a new one each time */
}

TEST(tls_is_not_verified)
{
    TARGET(t);

    t.is_tls = true;
    h2_target_start(&t, H1_ANSWERS);
    check_answer("https", &t, false, false, HTTP_PROBE_ANSWERED, 200);
    atomic_store(&t.status, 503);
    check_answer("https", &t, false, false, HTTP_PROBE_ANSWERED, 503);
}

TEST(grpc_status_comes_in_the_trailer_or_in_the_head)
{
    TARGET(t);
    TARGET(secure);

    atomic_store(&t.grpc_status, 12);
    h2_target_start(&t, H2_TRAILERS);
    check_answer("http", &t, true, true, HTTP_PROBE_ANSWERED, 12);
    atomic_store(&t.manner, H2_TRAILERS_ONLY);
    check_answer("http", &t, true, true, HTTP_PROBE_ANSWERED, 12);
    atomic_store(&t.grpc_status, 0);
    check_answer("http", &t, true, true, HTTP_PROBE_ANSWERED, 0);
    atomic_store(&t.manner, H2_NO_STATUS); /* no gRPC at all */
    check_answer("http", &t, true, true, HTTP_PROBE_FAILED, 0);
    atomic_store(&t.manner, H2_ANSWERS);
    check_answer("http", &t, true, true, HTTP_PROBE_FAILED, 0);
    secure.is_tls = secure.offers_h2 = true;
    atomic_store(&secure.grpc_status, 2);
    h2_target_start(&secure, H2_TRAILERS);
    check_answer("https", &secure, true, true, HTTP_PROBE_ANSWERED, 2);
}

TEST(another_protocol_than_asked_for_is_a_failure)
{
    TARGET(h1);
    TARGET(secure);

    h2_target_start(&h1, H1_ANSWERS);
    check_answer("http", &h1, true, false, HTTP_PROBE_FAILED, 0);
    check_answer("https", &h1, false, false, HTTP_PROBE_FAILED, 0);
    secure.is_tls = true; /* and knows no HTTP/2 */
    h2_target_start(&secure, H1_ANSWERS);
    check_answer("https", &secure, true, false, HTTP_PROBE_FAILED, 0);
}

TEST(what_goes_wrong_is_told_apart)
{
    TARGET(t);
    struct h2_target gone = {0};

    h2_target_start(&t, H2_SILENT);
    check_answer("http", &t, true, false, HTTP_PROBE_TIMED_OUT, 0);
    check_answer("https", &t, true, false, HTTP_PROBE_TIMED_OUT, 0); /* in the handshake */
    atomic_store(&t.manner, H2_CLOSES);
    check_answer("http", &t, true, false, HTTP_PROBE_FAILED, 0);
    atomic_store(&t.manner, H2_RESETS);
    check_answer("http", &t, true, true, HTTP_PROBE_FAILED, 0);
    atomic_store(&t.manner, H2_GARBAGE);
    check_answer("http", &t, true, false, HTTP_PROBE_FAILED, 0);
    h2_target_start(&gone, H2_ANSWERS);
    h2_target_stop(&gone);
    check_answer("http", &gone, true, false, HTTP_PROBE_FAILED, 0); /* refused */
}

/* Without a descriptor left for it. */
TEST(what_we_lack_ourselves_is_not_the_targets_fault)
{
    TARGET(t);
    struct question q = {.lacks_descriptors = true};

    h2_target_start(&t, H2_ANSWERS);
    ask(&q, "http", t.port, true, false);
    while (!atomic_load(&q.is_answered))
        clock_sleep_ms(1);
    limit_descriptors(1000);
    finish(&q);
    CHECK_EQ(q.result, HTTP_PROBE_NOT_MADE);
    CHECK_EQ(atomic_load(&t.connections), 0);
}

TEST(a_probe_can_be_given_up)
{
    TARGET(t);
    struct question q = {0};

    h2_target_start(&t, H2_SILENT);
    ask(&q, "http", t.port, true, false);
    while (atomic_load(&t.connections) == 0)
        clock_sleep_ms(1);
    finish(&q);
    CHECK(!atomic_load(&q.is_answered));
}
