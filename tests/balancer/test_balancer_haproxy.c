/* SPDX-License-Identifier: MIT */
/* Stories of the balancer with the real HAProxy. */
#include <signal.h>
#include "balancer/world.h"
#include "base/log.h"

/* ---- the stories ---- */

TEST(a_target_is_served_soon_after_it_is_registered)
{
    WORLD;
    struct app *first = app_start(w), *second = app_start(w);

    world_register(w, first); /* starts HAProxy too */
    world_wait_healthy(first);
    CHECK(balancer_is_ready(w->balancer));
    CHECK_TEXT(client_once(w->port, "GET", "/").body, "app1");
    world_register(w, second);
    world_wait_healthy(second);
    CHECK_TEXT(second->told_reason, "");
    client_once(w->port, "GET", "/");
    client_once(w->port, "GET", "/");
    CHECK(atomic_load(&second->requests) == 1); /* taking turns, at once */
    int64_t best_ms = INT64_MAX; /* of some: the machine may be busy with other tests */
    for (int i = 0; i < 10 && best_ms >= 100; i++) {
        struct app *next = app_start(w);
        const int64_t began_ms = clock_monotonic_ms();
        world_register(w, next);
        world_wait_healthy(next);
        if (next->told_ms - began_ms < best_ms)
            best_ms = next->told_ms - began_ms;
    }
    printf("   healthy and in rotation after %d ms\n", (int)best_ms);
    CHECK(best_ms < 100 * CHECK_PATIENCE);
}

TEST(an_idle_target_drains_at_once)
{
    WORLD;
    struct app *first = app_start(w), *second = app_start(w);

    world_register(w, first);
    world_register(w, second);
    world_wait_healthy(first);
    world_wait_healthy(second);
    client_once(w->port, "GET", "/");
    world_drain(w, first);
    WAIT_FOR(atomic_load(&first->drained) > 0, 5000);
    /* Level-triggered: a core that did not hear is told again. */
    world_apply(w);
    WAIT_FOR(atomic_load(&first->drained) > 1, 5000);
    world_stop_app(w, first);
    for (int i = 0; i < 4; i++)
        CHECK_TEXT(client_once(w->port, "GET", "/").body, "app2");
    int64_t best_ms = INT64_MAX; /* of some: the machine may be busy with other tests */
    for (int i = 0; i < 20 && best_ms >= 50; i++) {
        struct app *next = app_start(w);
        world_register(w, next);
        world_wait_healthy(next);
        const int64_t began_ms = clock_monotonic_ms();
        world_drain(w, next);
        WAIT_FOR(atomic_load(&next->drained) > 0, 5000);
        if (next->drained_ms - began_ms < best_ms)
            best_ms = next->drained_ms - began_ms;
    }
    printf("   drained after %d ms\n", (int)best_ms);
    CHECK(best_ms < 50 * CHECK_PATIENCE);
}

TEST(a_drain_waits_for_the_request_in_flight)
{
    WORLD;
    struct app *app = app_start(w);
    struct load slow = {.path = "/slow", .is_fresh = true};

    world_begin_request(w, app, &slow);
    const int64_t began_ms = clock_monotonic_ms();
    world_drain(w, app);
    WAIT_FOR(atomic_load(&app->drained) > 0, 5000);
    const int64_t took_ms = app->drained_ms - began_ms;
    printf("   drained after %d ms\n", (int)took_ms);
    load_stop(&slow);
    CHECK(atomic_load(&app->slow_ended_ms) > 0 && app->drained_ms >= atomic_load(&app->slow_ended_ms));
    CHECK_EQ(atomic_load(&slow.failures), 0);
    CHECK_EQ(client_once(w->port, "GET", "/").status, 503); /* nobody is left */
}

TEST(the_deregistration_delay_cuts_what_does_not_end)
{
    WORLD;
    struct app *app = app_start(w);
    struct load slow = {.path = "/held", .is_fresh = true};

    w->drain_delay_s = 0;
    world_begin_request(w, app, &slow);
    world_drain(w, app);
    WAIT_FOR(atomic_load(&app->drained) > 0, 5000);
    load_stop(&slow); /* although its answer is held: it was cut off */
    atomic_store(&app->is_released, true);
    CHECK_EQ(atomic_load(&slow.failures), 1);
}

TEST(fifty_replacements_and_a_reload_lose_no_request)
{
    WORLD;
    const char *more = getenv("BALANCER_ROUNDS"); /* for a soak */
    const int rounds = more != NULL ? atoi(more) : 50;
    struct app *serving[3];
    struct load loads[3] = {{.path = "/"},
                            {.path = "/", .is_fresh = true, .pause_ms = 2},
                            {.path = "/", .pause_ms = 20}};

    for (int i = 0; i < 3; i++)
        world_register(w, serving[i] = app_start(w));
    for (int i = 0; i < 3; i++)
        world_wait_healthy(serving[i]);
    for (int i = 0; i < 3; i++) {
        loads[i].port = w->port;
        load_start(&loads[i]);
    }
    for (int i = 0; i < rounds; i++) {
        struct app *next = app_start(w);
        world_register(w, next);
        world_wait_healthy(next);
        world_drain(w, serving[i % 3]);
        world_stop_app(w, serving[i % 3]);
        serving[i % 3] = next;
        if (i == 20) { /* a new listener: a reload; what follows meets the gate */
            w->second_port = pick_port();
            w->has_second_listener = true;
            world_apply(w);
            WAIT_FOR(balancer_is_ready(w->balancer), 8000);
            CHECK_EQ(client_once(w->second_port, "GET", "/").status, 200);
        }
    }
    for (int i = 0; i < 3; i++)
        load_stop(&loads[i]);
    check_no_failures(&loads[0], "keep-alive");
    check_no_failures(&loads[1], "fresh");
    check_no_failures(&loads[2], "pausing");
}

/* alb.md B8: a client that was idle across a reload reaches the old worker once more, and that one
 * still knows only the old targets. */
TEST(after_a_reload_old_targets_wait_for_idle_clients)
{
    WORLD;
    struct app *old = app_start(w), *next = app_start(w);
    struct reply reply;
    int fd = -1;

    world_register(w, old);
    world_wait_healthy(old);
    CHECK(client_get(&fd, w->port, "GET", "/", &reply) && fd >= 0);
    w->second_port = pick_port();
    w->has_second_listener = true;
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 8000);
    world_register(w, next);
    world_wait_healthy(next);
    world_drain(w, old);
    clock_sleep_ms(1500);
    CHECK_EQ(atomic_load(&old->drained), 0);
    CHECK(client_get(&fd, w->port, "GET", "/", &reply));
    CHECK_EQ(reply.status, 200);
    CHECK_TEXT(reply.body, "app1");
    CHECK_EQ(fd, -1); /* it was told to close: the old worker is free to go */
    WAIT_FOR(atomic_load(&old->drained) > 0, 5000);
}

/* Browsers connect ahead of their first request; until it comes, the old worker has not chosen a target. */
TEST(after_a_reload_old_targets_wait_for_clients_that_have_not_spoken_yet)
{
    WORLD;
    struct app *old = app_start(w), *next = app_start(w);
    struct reply reply;

    world_register(w, old);
    world_wait_healthy(old);
    int fd = client_connect(w->port);
    CHECK(fd >= 0);
    w->second_port = pick_port();
    w->has_second_listener = true;
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 8000);
    world_register(w, next);
    world_wait_healthy(next);
    world_drain(w, old);
    clock_sleep_ms(7000);
    if (atomic_load(&old->drained) > 0)
        world_stop_app(w, old);
    CHECK(client_get(&fd, w->port, "GET", "/", &reply));
    CHECK_EQ(reply.status, 200);
    WAIT_FOR(atomic_load(&old->drained) > 0, 5000);
}

TEST(a_request_in_an_old_worker_keeps_its_target)
{
    WORLD;
    struct app *app = app_start(w);
    struct load slow = {.path = "/held", .is_fresh = true};

    world_begin_request(w, app, &slow);
    w->second_port = pick_port();
    w->has_second_listener = true;
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 8000);
    world_drain(w, app);
    clock_sleep_ms(400);
    CHECK_EQ(atomic_load(&app->drained), 0);
    atomic_store(&app->is_released, true);
    world_stop_app(w, app);
    load_stop(&slow);
    CHECK_EQ(atomic_load(&slow.requests), 1);
    CHECK_EQ(atomic_load(&slow.failures), 0);
}

TEST(a_restarted_balancer_adopts_what_runs)
{
    WORLD;
    struct app *first = app_start(w), *second = app_start(w);
    struct load loads[2] = {{.path = "/"}, {.path = "/", .is_fresh = true, .pause_ms = 2}};

    world_register(w, first);
    world_register(w, second);
    world_wait_healthy(first);
    world_wait_healthy(second);
    const pid_t before = haproxy_master(w);
    for (int i = 0; i < 2; i++) {
        loads[i].port = w->port;
        load_start(&loads[i]);
    }
    for (int i = 0; i < 5; i++) {
        balancer_free(w->balancer);
        clock_sleep_ms(50);
        world_open(w);
        atomic_store(&first->told_state, -1);
        if (i == 3) /* told healthy, but killed before the core had committed it */
            first->state = TARGET_initial;
        world_apply(w);
        WAIT_FOR(balancer_is_ready(w->balancer), 8000);
        world_wait_healthy(first);
        CHECK_EQ(haproxy_master(w), before);
    }
    /* It still steers: another takes over from both. */
    struct app *third = app_start(w);
    world_register(w, third);
    world_wait_healthy(third);
    world_drain(w, first);
    world_drain(w, second);
    world_stop_app(w, first);
    world_stop_app(w, second);
    for (int i = 0; i < 2; i++)
        load_stop(&loads[i]);
    check_no_failures(&loads[0], "keep-alive");
    check_no_failures(&loads[1], "fresh");
    CHECK_TEXT(client_once(w->port, "GET", "/").body, "app3");
}

TEST(a_target_that_went_while_naru_was_down_is_let_go)
{
    WORLD;
    struct app *first = app_start(w), *second = app_start(w);

    world_register(w, first);
    world_register(w, second);
    world_wait_healthy(first);
    world_wait_healthy(second);
    balancer_free(w->balancer);
    first->is_registered = false; /* the core forgot it */
    second->is_draining = true;   /* and this one was draining */
    struct app *third = app_start(w);
    third->is_registered = true;
    world_open(w);
    world_apply(w);
    world_wait_healthy(third);
    WAIT_FOR(atomic_load(&second->drained) > 0, 8000);
    for (int i = 0; i < 4; i++)
        CHECK_TEXT(client_once(w->port, "GET", "/").body, "app3");
}

TEST(a_killed_haproxy_is_back_within_a_second)
{
    WORLD;
    struct app *app = app_start(w);

    world_register(w, app);
    world_wait_healthy(app);
    int64_t best_ms = INT64_MAX; /* of some: the machine may be busy with other tests */
    for (int i = 0; i < 4 && best_ms >= 1000; i++) {
        if (i > 0)
            clock_sleep_ms(1100); /* young ones are held, the second time */
        const pid_t before = haproxy_master(w);
        const int64_t began_ms = clock_monotonic_ms();
        CHECK(kill(before, SIGKILL) == 0);
        WAIT_FOR(kill(before, 0) != 0, 5000); /* reaped, so noticed */
        WAIT_FOR(client_once(w->port, "GET", "/").status == 200, 5000);
        const int64_t took_ms = clock_monotonic_ms() - began_ms;
        WAIT_FOR(balancer_is_ready(w->balancer), 5000);
        CHECK(haproxy_master(w) != before);
        if (took_ms < best_ms)
            best_ms = took_ms;
    }
    printf("   back after %d ms\n", (int)best_ms);
    CHECK(balancer_faults(w->balancer).deaths >= 1);
    CHECK_EQ(balancer_faults(w->balancer).refused, 0);
    CHECK(best_ms < 1000 * CHECK_PATIENCE);
}

TEST(reasons_are_told_and_a_group_without_healthy_targets_fails_open)
{
    WORLD;
    struct app *app = app_start(w);

    w->check.interval_s = 1;
    w->check.timeout_s = 1;
    world_register(w, app);
    world_wait_healthy(app);
    atomic_store(&app->health_status, 503);
    WAIT_FOR(atomic_load(&app->told_state) == TARGET_unhealthy, 5000);
    CHECK_TEXT(app->told_reason, "Target.ResponseCodeMismatch");
    CHECK_TEXT(app->told_description, "Health checks failed with these codes: [503]");
    CHECK_EQ(client_once(w->port, "GET", "/").status, 200); /* open: better it than nobody */
    struct app *second = app_start(w);
    world_register(w, second);
    world_wait_healthy(second);
    for (int i = 0; i < 4; i++)
        CHECK_TEXT(client_once(w->port, "GET", "/").body, "app2");
    atomic_store(&app->health_status, 200);
    world_wait_healthy(app);
    CHECK(atomic_load(&app->told_state) == TARGET_healthy);
}

TEST(a_foreign_listener_on_the_port_is_respected)
{
    WORLD;
    struct app *app = app_start(w), *stranger = app_start(w);
    const int own_port = w->port;

    log_set_level(LOG_ERROR + 1);
    w->port = stranger->port;
    world_register(w, app);
    char why[200];
    WAIT_FOR(balancer_problem(w->balancer, why, sizeof(why)), 5000);
    CHECK(!balancer_is_ready(w->balancer));
    CHECK(strstr(why, "another program listens on it") != NULL);
    for (int i = 0; i < 10; i++)
        CHECK_TEXT(client_once(stranger->port, "GET", "/").body, "app2");
    w->port = own_port;
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 8000);
    world_wait_healthy(app);
    CHECK_TEXT(client_once(own_port, "GET", "/").body, "app1");
}

TEST(default_actions_answer_and_headers_are_added)
{
    WORLD;
    struct app *app = app_start(w);
    struct reply reply;

    world_register(w, app);
    world_wait_healthy(app);
    reply = client_once(w->port, "GET", "/xff");
    CHECK(strncmp(reply.body, "127.0.0.1 Root=1-", 17) == 0);
    CHECK_EQ(client_once(w->port, "TRACE", "/").status, 405);
    app_stop(app); /* refused: 502 as Amazon has it, not 503 */
    CHECK_EQ(client_once(w->port, "GET", "/").status, 502);
    w->actions = "[{\"Type\":\"fixed-response\",\"FixedResponseConfig\":{\"StatusCode\":\"418\","
                 "\"ContentType\":\"text/plain\",\"MessageBody\":\"50% \\\"tea\\\"\\n$HOME\"}}]";
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 8000);
    WAIT_FOR(atomic_load(&app->told_state) == TARGET_unused, 5000);
    reply = client_once(w->port, "GET", "/");
    CHECK_EQ(reply.status, 418);
    CHECK_TEXT(reply.body, "50% \"tea\"\n$HOME");
    w->actions = "[{\"Type\":\"redirect\",\"RedirectConfig\":{\"StatusCode\":\"HTTP_302\","
                 "\"Protocol\":\"HTTPS\",\"Port\":\"443\",\"Path\":\"/new/#{path}\"}}]";
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 8000);
    reply = client_once(w->port, "GET", "/a/b?c=d");
    CHECK_EQ(reply.status, 302);
    CHECK(strstr(reply.head, "https://test.local:443/new/a/b?c=d\r\n") != NULL);
    reply = client_once(w->port, "GET", "/a");
    CHECK(strstr(reply.head, "https://test.local:443/new/a\r\n") != NULL);
}
