/* SPDX-License-Identifier: MIT */
/* What attributes make of connections, by the real HAProxy. */
#include "balancer/world.h"

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
