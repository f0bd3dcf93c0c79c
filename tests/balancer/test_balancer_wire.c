/* SPDX-License-Identifier: MIT */
/* What becomes of connections by attributes, and while HAProxy hangs. */
#include "balancer/world.h"
#include <signal.h>
#include "base/log.h"

/* The API allows a minute at least; HAProxy does not care. */
TEST(a_connection_ends_with_the_first_answer_after_its_time)
{
    WORLD;
    struct app *app = app_start(w);
    struct reply reply;
    int fd = -1;

    w->attributes = "{\"client_keep_alive.seconds\":\"2\"}";
    world_register(w, app);
    world_wait_healthy(app);
    CHECK(client_get(&fd, w->port, "GET", "/", &reply));
    CHECK(fd >= 0); /* kept */
    const int64_t began_ms = clock_monotonic_ms();
    while (fd >= 0) {
        clock_sleep_ms(100);
        CHECK(client_get(&fd, w->port, "GET", "/", &reply)); /* never without an answer */
        CHECK_EQ(reply.status, 200);
        CHECK(clock_monotonic_ms() - began_ms < 4000 * CHECK_PATIENCE);
    }
    CHECK(clock_monotonic_ms() - began_ms >= 900); /* whole seconds */
    CHECK(strcasestr(reply.head, "connection: close") != NULL);
}

/* Nobody asks for a change meanwhile: the audit finds it. */
TEST(a_haproxy_that_hangs_is_replaced_though_nothing_changes)
{
    WORLD;
    struct app *app = app_start(w);

    log_set_level(LOG_ERROR + 1);
    world_register(w, app);
    world_wait_healthy(app);
    const pid_t worker = haproxy_worker(w);
    const int64_t began_ms = clock_monotonic_ms();
    CHECK(kill(worker, SIGSTOP) == 0);
    WAIT_FOR(kill(worker, 0) != 0, 60000);
    WAIT_FOR(client_once(w->port, "GET", "/").status == 200, 20000);
    printf("   served again after %d ms\n", (int)(clock_monotonic_ms() - began_ms));
    CHECK(clock_monotonic_ms() - began_ms < 30000 * CHECK_PATIENCE);
}
