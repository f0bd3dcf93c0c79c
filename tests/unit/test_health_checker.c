/* SPDX-License-Identifier: MIT */
/* The health checker against sockets that behave badly. */
#include "balancer/health_checker.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "check.h"

/* A target that takes connections and answers each with the same bytes, in pieces. */
struct app {
    int fd, port;
    _Atomic(const char *) answer; /* NULL: never answers */
    bool closes_at_once;
    int piece; /* bytes sent at a time; 0: all */
    atomic_int probes;
    char request[1024]; /* the newest */
    atomic_bool is_stopping;
    pthread_t thread;
};

static void
serve(struct app *t, int fd)
{
    const char *answer = atomic_load(&t->answer);
    const size_t len = answer != NULL ? strlen(answer) : 0;
    const size_t piece = t->piece > 0 ? (size_t)t->piece : len;
    const ssize_t got = recv(fd, t->request, sizeof(t->request) - 1, 0);

    t->request[got > 0 ? got : 0] = '\0';
    atomic_fetch_add(&t->probes, 1);
    for (size_t at = 0; at < len && !t->closes_at_once; at += piece) {
        send(fd, answer + at, len - at < piece ? len - at : piece, MSG_NOSIGNAL);
        clock_sleep_ms(1);
    }
    if (answer == NULL && !t->closes_at_once)
        clock_sleep_ms(1500);
    close(fd);
}

static void *
app_main(void *arg)
{
    struct app *t = arg;

    while (!atomic_load(&t->is_stopping)) {
        const int fd = accept(t->fd, NULL, NULL);
        if (fd >= 0)
            serve(t, fd);
    }
    return NULL;
}

static void
app_start(struct app *t)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(a);

    t->fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(t->fd, (struct sockaddr *)&a, len) == 0 && listen(t->fd, 10) == 0);
    CHECK(getsockname(t->fd, (struct sockaddr *)&a, &len) == 0);
    t->port = ntohs(a.sin_port);
    CHECK(pthread_create(&t->thread, NULL, app_main, t) == 0);
}

static void
app_stop(struct app *t)
{
    atomic_store(&t->is_stopping, true);
    shutdown(t->fd, SHUT_RDWR);
    pthread_join(t->thread, NULL);
    close(t->fd);
}

/* A checker on a loop of its own; what it says is kept. */
struct watch {
    struct loop *loop;
    struct checker *checker;
    struct health_check check;
    int unhealthy_threshold; /* 0: 1 */
    int interval_s;          /* 0: 1 */
    bool sends_proxy;
    int port;
    enum target_state state;
    atomic_int said; /* newest state; -1: nothing yet */
    char reason[64], description[256];
    int64_t began_ms, said_ms;
};

static void
hear(void *arg)
{
    struct watch *w = arg;
    const struct target_health *h = checker_health(w->checker);

    memcpy(w->reason, h->reason, sizeof(w->reason));
    memcpy(w->description, h->description, sizeof(w->description));
    w->said_ms = clock_monotonic_ms();
    atomic_store(&w->said, (int)h->state);
}

static void
begin(void *arg)
{
    struct watch *w = arg;
    const struct checker_spec spec = {.loop = w->loop,
                                      .address = "127.0.0.1",
                                      .port = w->port,
                                      .check = &w->check,
                                      .state = w->state,
                                      .changed = hear,
                                      .arg = w};

    w->began_ms = clock_monotonic_ms();
    w->checker = checker_new(&spec);
}

static void
watch_start(struct watch *w, int port)
{
    w->port = port;
    w->check = (struct health_check){.enabled = true,
                                     .protocol = "HTTP",
                                     .path = "/ping?x=1",
                                     .interval_s = w->interval_s > 0 ? w->interval_s : 1,
                                     .timeout_s = 1,
                                     .healthy_threshold = 2,
                                     .unhealthy_threshold =
                                         w->unhealthy_threshold > 0 ? w->unhealthy_threshold : 1,
                                     .matcher = "200-299",
                                     .sends_proxy = w->sends_proxy};
    atomic_store(&w->said, -1);
    w->loop = loop_new();
    loop_start(w->loop, "checks");
    loop_call_and_wait(w->loop, begin, w);
}

static void
watch_stop(struct watch *w)
{
    loop_stop(w->loop);
    loop_join(w->loop);
    checker_free(w->checker);
    loop_free(w->loop);
}

static void
wait_until_said(struct watch *w, enum target_state state, int64_t limit_ms)
{
    const int64_t until_ms = clock_monotonic_ms() + limit_ms * CHECK_PATIENCE;

    while (atomic_load(&w->said) != (int)state) {
        if (clock_monotonic_ms() > until_ms)
            check_fail(__FILE__, __LINE__, "it says %d, want %d", atomic_load(&w->said),
                       (int)state);
        clock_sleep_ms(1);
    }
}

static void
check_verdict(struct app *t, enum target_state state, const char *reason, const char *description)
{
    struct watch w = {0};

    app_start(t);
    watch_start(&w, t->port);
    wait_until_said(&w, state, 4000);
    watch_stop(&w);
    app_stop(t);
    CHECK_TEXT(w.reason, reason);
    CHECK_TEXT(w.description, description);
}

TEST(the_first_answer_counts_at_once)
{
    struct app t = {.answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"};
    struct watch w = {.interval_s = 60};

    app_start(&t);
    watch_start(&w, t.port);
    wait_until_said(&w, TARGET_healthy, 1000); /* not an interval later */
    watch_stop(&w);
    app_stop(&t);
    CHECK_TEXT(w.reason, "");
    CHECK(strncmp(t.request, "GET /ping?x=1 HTTP/1.1\r\nHost: 127.0.0.1:", 40) == 0);
    CHECK(strstr(t.request, "\r\nUser-Agent: ELB-HealthChecker/2.0\r\n") != NULL);
    CHECK(strstr(t.request, "\r\nConnection: close\r\n") != NULL);
}

/* As a target that expects the PROXY protocol of everybody. */
TEST(a_check_says_that_it_is_of_nobody_where_clients_are_told)
{
    static const char header[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0"; /* 16 bytes */
    struct app t = {.answer = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"};
    struct watch w = {.sends_proxy = true};

    app_start(&t);
    watch_start(&w, t.port);
    wait_until_said(&w, TARGET_healthy, 1000);
    watch_stop(&w);
    app_stop(&t);
    CHECK(memcmp(t.request, header, sizeof(header)) == 0);
    CHECK(strncmp(t.request + sizeof(header), "GET /ping?x=1 HTTP/1.1\r\n", 24) == 0);
}

TEST(an_answer_may_come_byte_by_byte)
{
    struct app t = {.answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nbody",
                    .piece = 1};

    check_verdict(&t, TARGET_healthy, "", "");
}

TEST(a_code_outside_the_matcher_is_named)
{
    struct app t = {.answer = "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"};

    check_verdict(&t, TARGET_unhealthy, "Target.ResponseCodeMismatch",
                  "Health checks failed with these codes: [302]");
}

TEST(silence_is_a_timeout)
{
    struct app t = {.answer = NULL};

    check_verdict(&t, TARGET_unhealthy, "Target.Timeout", "Request timed out");
}

static void
hold_up(void *arg)
{
    (void)arg;
    clock_sleep_ms(1500);
}

/* An answer that lies there in time is no timeout, only because our own loop was busy meanwhile. */
TEST(a_loop_that_was_held_up_blames_nobody)
{
    struct app t = {.answer = "HTTP/1.1 200 OK\r\n\r\n", .piece = 1};
    struct watch w = {0};

    app_start(&t);
    watch_start(&w, t.port);
    while (atomic_load(&t.probes) == 0)
        continue;
    CHECK(loop_post(w.loop, hold_up, NULL));
    while (atomic_load(&w.said) < 0)
        clock_sleep_ms(1);
    CHECK_EQ(atomic_load(&w.said), TARGET_healthy);
    watch_stop(&w);
    app_stop(&t);
}

static void
limit_descriptors(rlim_t count)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = count;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* That we have no descriptor left says nothing about the target. */
TEST(what_we_lack_ourselves_blames_nobody)
{
    struct app t = {.answer = "HTTP/1.1 200 OK\r\n\r\n"};
    struct watch w = {.state = TARGET_healthy};

    app_start(&t);
    watch_start(&w, t.port);
    while (atomic_load(&t.probes) < 1)
        clock_sleep_ms(1);
    limit_descriptors(3);
    clock_sleep_ms(2500); /* two checks */
    limit_descriptors(1000);
    const int before = atomic_load(&t.probes);
    while (atomic_load(&t.probes) == before)
        clock_sleep_ms(1);
    CHECK_EQ(atomic_load(&w.said), -1); /* healthy as before */
    watch_stop(&w);
    app_stop(&t);
}

TEST(a_stranger_fails)
{
    struct app t = {.answer = "SSH-2.0-OpenSSH_9.2\r\n"};

    check_verdict(&t, TARGET_unhealthy, "Target.FailedHealthChecks", "Health checks failed");
}

TEST(a_closed_connection_fails)
{
    struct app t = {.answer = "", .closes_at_once = true};

    check_verdict(&t, TARGET_unhealthy, "Target.FailedHealthChecks", "Health checks failed");
}

/* From its first listen(), `delay_ms` after registration, to healthy. */
static int64_t
measure_slow_start(int delay_ms)
{
    struct app t = {.answer = "HTTP/1.1 200 OK\r\n\r\n"};
    struct watch w = {.unhealthy_threshold = 2};
    struct app holder = {.answer = ""};
    const int on = 1;

    /* Its port, refused for now: nothing listens after this one is gone. */
    app_start(&holder);
    app_stop(&holder);
    watch_start(&w, holder.port);
    clock_sleep_ms(delay_ms);
    CHECK(atomic_load(&w.said) != TARGET_healthy);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)holder.port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    t.fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(t.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    CHECK(bind(t.fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(t.fd, 10) == 0);
    CHECK(pthread_create(&t.thread, NULL, app_main, &t) == 0);
    const int64_t listening_ms = clock_monotonic_ms();
    wait_until_said(&w, TARGET_healthy, 5000);
    watch_stop(&w);
    app_stop(&t);
    return w.said_ms - listening_ms;
}

TEST(a_starter_is_found_soon_after_it_listens)
{
    int64_t fast_ms = INT64_MAX, slow_ms = INT64_MAX;

    for (int i = 0; i < 5; i++) { /* the best of some: the machine may be busy */
        const int64_t after_60_ms = measure_slow_start(60), after_600_ms = measure_slow_start(600);
        fast_ms = after_60_ms < fast_ms ? after_60_ms : fast_ms;
        slow_ms = after_600_ms < slow_ms ? after_600_ms : slow_ms;
    }
    printf("   found %d and %d ms after they listen\n", (int)fast_ms, (int)slow_ms);
    CHECK(fast_ms < 60 * CHECK_PATIENCE);
    CHECK(slow_ms < 300 * CHECK_PATIENCE);
}

TEST(refusals_make_a_target_unhealthy_no_sooner_than_its_interval_says)
{
    struct watch w = {0};
    struct app holder = {.answer = ""};

    app_start(&holder);
    app_stop(&holder);
    watch_start(&w, holder.port); /* interval 1 s, threshold 1: four refusals 250 ms apart */
    wait_until_said(&w, TARGET_unhealthy, 8000);
    watch_stop(&w);
    CHECK(w.said_ms - w.began_ms >= 740);
    CHECK_TEXT(w.reason, "Target.FailedHealthChecks");
}

TEST(an_unhealthy_target_needs_its_threshold_to_come_back)
{
    struct app t = {.answer = "HTTP/1.1 500 No\r\n\r\n"};
    struct watch w = {.state = TARGET_healthy}; /* known from before: counts from zero */

    app_start(&t);
    watch_start(&w, t.port);
    wait_until_said(&w, TARGET_unhealthy, 2000);
    const int probes = atomic_load(&t.probes); /* before the change: these were all refused */
    atomic_store(&t.answer, "HTTP/1.1 200 OK\r\n\r\n");
    wait_until_said(&w, TARGET_healthy, 4000);
    watch_stop(&w);
    app_stop(&t);
    CHECK(atomic_load(&t.probes) >= probes + 2);
}

static void
ask_each_second(void *arg)
{
    struct watch *w = arg;

    w->check.interval_s = 1;
    checker_set_check(w->checker, &w->check);
}

/* Whoever shortens five minutes does not wait for five minutes. */
TEST(a_shorter_interval_brings_the_next_probe_forward)
{
    struct app t = {.answer = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"};
    struct watch w = {.interval_s = 300};
    const int64_t until_ms = clock_monotonic_ms() + 4000 * CHECK_PATIENCE;

    app_start(&t);
    watch_start(&w, t.port);
    wait_until_said(&w, TARGET_healthy, 1000);
    loop_call_and_wait(w.loop, ask_each_second, &w);
    while (atomic_load(&t.probes) < 2) {
        CHECK(clock_monotonic_ms() < until_ms);
        clock_sleep_ms(10);
    }
    watch_stop(&w);
    app_stop(&t);
}
