/* SPDX-License-Identifier: MIT */
/* How much of the server one client may take, and how long. */
#include "io/http_guests.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "check.h"
#include "io/http_client.h"
#include "io/http_door.h"
#include "io/listener.h"

static _Atomic time_t fast_s; /* so much the wall's clock is fast */

/* In place of the C library's. */
int
clock_gettime(clockid_t id, struct timespec *out)
{
    const int result = (int)syscall(SYS_clock_gettime, id, out);

    if (id == CLOCK_REALTIME)
        out->tv_sec += atomic_load(&fast_s);
    return result;
}

static void
answer_length(struct http_exchange *x, void *ctx)
{
    (void)ctx;
    http_reply(x, 200, NULL, str_of(arena_format(&x->arena, "%zu", x->body.len)));
}

static void
drop(struct http_exchange *x, struct str data, void *ctx)
{
    (void)x;
    (void)data;
    (void)ctx;
}

static const struct http_route routes[] = {
    {.prefix = "/", .end = answer_length},
    {.prefix = "/stream", .body = drop, .end = answer_length},
};

struct door {
    struct http_server *server;
    struct http_client *client;
    struct http_answer answer;
};

static struct door
door_open(unsigned per_address, int64_t body_bytes, const char *trusted)
{
    const struct http_limits limits = {per_address, body_bytes, trusted, ""};
    struct door d = {.client = http_client_new()};
    struct err err;

    d.server = http_server_start_limited("127.0.0.1", 0, NULL, &limits, routes, ARRAY_COUNT(routes), &err);
    if (d.server == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return d;
}

static void
door_close(struct door *d)
{
    http_client_free(d->client);
    http_server_stop(d->server);
    http_answer_done(&d->answer);
}

/* A connection with an answered request, or with `ends` one that the server closes behind it. */
static int
visit(const struct door *d, bool ends, char out[static 1024])
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)http_server_port(d->server))};
    const char *request = ends ? "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                               : "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0;

    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    CHECK(send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request));
    for (out[0] = '\0'; ends || strstr(out, "\r\n\r\n") == NULL;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        CHECK(poll(&p, 1, 10000 * CHECK_PATIENCE) == 1);
        const ssize_t n = recv(fd, out + len, 1023 - len, 0);
        CHECK(n >= 0);
        if (n == 0)
            break;
        out[len += (size_t)n] = '\0';
    }
    return fd;
}

static int
ask_once(const struct door *d, char out[static 1024])
{
    close(visit(d, /* ends= */ true, out));
    return atoi(out + strlen("HTTP/1.1 "));
}

static int
post(struct door *d, const char *path, size_t size)
{
    cleanup_free char *url = text_format("http://127.0.0.1:%u%s", http_server_port(d->server), path);
    cleanup_free char *body = mem_new(size);
    const struct http_call call = {.method = "POST", .url = url, .body = {body, size}};
    struct err err;

    http_answer_done(&d->answer);
    if (!http_client_call(d->client, &call, &d->answer, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return d->answer.status;
}

TEST(an_address_has_so_many_connections)
{
    cleanup(door_close) struct door d = door_open(2, 1 << 20, "192.0.2.0/24");
    char out[1024];
    int one = visit(&d, /* ends= */ false, out), two = visit(&d, /* ends= */ false, out);

    CHECK_EQ(ask_once(&d, out), 429);
    CHECK(strstr(out, "Retry-After: 2\r\n") != NULL);
    CHECK(strstr(out, "too many connections from this address") != NULL);
    close(one);
    for (int i = 0; i < 500 * CHECK_PATIENCE && ask_once(&d, out) != 200; i++)
        clock_sleep_ms(10);
    CHECK_EQ(atoi(out + strlen("HTTP/1.1 ")), 200);
    close(two);
}

TEST(who_is_trusted_has_all_connections)
{
    cleanup(door_close) struct door d = door_open(1, 1 << 20, "10.0.0.0/8, 127.0.0.1");
    char out[1024];
    int one = visit(&d, /* ends= */ false, out), two = visit(&d, /* ends= */ false, out);

    CHECK_EQ(ask_once(&d, out), 200);
    close(one);
    close(two);
}

TEST(bodies_that_are_kept_have_a_budget)
{
    cleanup(door_close) struct door d = door_open(0, 1 << 20, "");

    CHECK_EQ(post(&d, "/x", 250000), 200);
    CHECK_EQ(post(&d, "/x", 300000), 429); /* a quarter is for one address */
    CHECK(str_is(http_answer_header(&d.answer, "Retry-After"), "2"));
    CHECK_EQ(post(&d, "/x", 250000), 200);
    CHECK_EQ(post(&d, "/stream", 900000), 200); /* this one is not kept */
}

TEST(a_trusted_body_has_the_whole_budget)
{
    cleanup(door_close) struct door d = door_open(0, 1 << 18, "127.0.0.1");

    CHECK_EQ(post(&d, "/x", 250000), 200);
    CHECK_EQ(post(&d, "/x", 300000), 503);
    CHECK_EQ(post(&d, "/x", 250000), 200);
}

/* Guests of these addresses, without connections. */
static struct http_guest *
guest_of(struct http_guests *g, const char *address, int fd)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in in = {.sin_family = AF_INET};

    if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
        return http_guest_enter(g, (const struct sockaddr *)&in, fd, 0);
    CHECK(inet_pton(AF_INET6, address, &in6.sin6_addr) == 1);
    return http_guest_enter(g, (const struct sockaddr *)&in6, fd, 0);
}

TEST(addresses_are_told_apart_and_this_machine_always_gets_in)
{
    const struct http_limits limits = {3, 4000, HTTP_TRUSTED, ""};
    struct http_guest *at[40];
    struct err err = {0};
    struct http_guests *g = http_guests_new(&limits, GUESTS_RESERVED + 10, &err);
    int n = 0, status;

    CHECK(g != NULL);
    for (int i = 0; i < 3; i++) {
        char text[40];
        CHECK_EQ(http_guest_refusal(at[n++] = guest_of(g, "192.0.2.1", -1)), 0);
        snprintf(text, sizeof(text), "2001:db8::%d", i + 1); /* one /64 */
        CHECK_EQ(http_guest_refusal(at[n++] = guest_of(g, text, -1)), 0);
    }
    CHECK_EQ(http_guest_refusal(at[n++] = guest_of(g, "::ffff:192.0.2.1", -1)), 429);
    CHECK_EQ(http_guest_refusal(at[n++] = guest_of(g, "2001:db8::ffff", -1)), 429);
    CHECK_EQ(http_guest_refusal(at[n++] = guest_of(g, "2001:db8:0:1::1", -1)), 0);
    CHECK_EQ(http_guest_refusal(at[n++] = guest_of(g, "192.0.2.2", -1)), 0);
    CHECK_EQ(http_guest_refusal(at[n++] = guest_of(g, "192.0.2.3", -1)), 503); /* ten are here */
    for (int i = 0; i < 5; i++)
        CHECK_EQ(http_guest_refusal(at[n++] = guest_of(g, "127.0.0.1", -1)), 0);
    CHECK_EQ(http_guest_refusal(at[n++] = guest_of(g, "::1", -1)), 0);
    CHECK(http_guest_keep(at[0], 600, &status) && http_guest_keep(at[2], 400, &status));
    CHECK(!http_guest_keep(at[4], 1, &status) && status == 429);
    CHECK(http_guest_keep(at[1], 1000, &status) && http_guest_keep(at[8], 1000, &status));
    CHECK(!http_guest_keep(at[9], 1, &status) && status == 503); /* three quarters are for others */
    CHECK(http_guest_keep(at[11], 1000, &status));
    CHECK(!http_guest_keep(at[12], 1, &status) && status == 503);
    CHECK(http_guest_keep(at[0], 100, &status) && http_guest_keep(at[9], 500, &status)); /* gave back */
    while (n > 0)
        http_guest_leave(at[--n]);
    http_guests_free(g);
}

TEST(a_rush_is_cut_off_that_was_let_in_before_it_was_counted)
{
    enum { ROOM = 3 + GUESTS_REFUSED_MAX };
    const struct http_limits limits = {3, 4000, HTTP_TRUSTED, ""};
    struct err err = {0};
    struct http_guests *g = http_guests_new(&limits, 1000, &err);
    struct http_guest *at[ROOM + 1];
    int pair[2];
    char byte;

    CHECK(g != NULL && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    for (int i = 0; i < ROOM - 1; i++)
        at[i] = guest_of(g, "192.0.2.1", -1);
    at[ROOM - 1] = guest_of(g, "192.0.2.1", pair[0]);
    CHECK_EQ(http_guest_refusal(at[ROOM - 1]), 429);
    CHECK_EQ(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
    at[ROOM] = guest_of(g, "192.0.2.1", pair[0]);
    CHECK_EQ(recv(pair[1], &byte, 1, MSG_DONTWAIT), 0);
    for (int i = 0; i <= ROOM; i++)
        http_guest_leave(at[i]);
    http_guests_free(g);
    close(pair[0]);
    close(pair[1]);
}

TEST(a_list_of_trusted_addresses_is_read)
{
    struct err err = {0};
    const struct http_limits good = {1, 1, " 10.0.0.0/8 , ::1,192.0.2.7", ""}, bad = {1, 1, "10.0.0.0/33", ""},
                             name = {1, 1, "localhost", ""}, none = {1, 1, "", ""};
    struct http_guests *g = http_guests_new(&good, 1000, &err);

    CHECK(g != NULL);
    http_guests_free(g);
    CHECK(http_guests_new(&bad, 1000, &err) == NULL && strstr(err.message, "'10.0.0.0/33'") != NULL);
    CHECK(http_guests_new(&name, 1000, &err) == NULL);
    g = http_guests_new(&none, 1000, &err);
    CHECK(g != NULL);
    http_guests_free(g);
}

TEST(who_is_slow_is_cut_off)
{
    const struct http_limits limits = {0, 1 << 20, "", ""};
    struct err err = {0};
    struct http_guests *g = http_guests_new(&limits, 1000, &err);
    int pair[2];
    char byte;

    CHECK(g != NULL && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    struct http_guest *a = guest_of(g, "192.0.2.1", pair[0]);
    CHECK_EQ(http_guests_cut_slow(g, GUEST_IDLE_MS - 1), 0);
    http_guest_enters_phase(a, GUEST_HEAD, false, 0, GUEST_IDLE_MS);
    int64_t now_ms = GUEST_IDLE_MS + GUEST_HEAD_MS;
    CHECK_EQ(http_guests_cut_slow(g, now_ms - 1), 0);
    http_guest_enters_phase(a, GUEST_SERVED, true, 0, now_ms); /* as long as it likes */
    now_ms += 3600 * 1000;
    CHECK_EQ(http_guests_cut_slow(g, now_ms), 0);
    http_guest_enters_phase(a, GUEST_BODY, true, 0, now_ms);
    CHECK_EQ(http_guests_cut_slow(g, now_ms + GUEST_BODY_MS - 1), 0);
    /* 100 s for what may take 60 + 60; 100 of our own between do not count. */
    http_guest_enters_phase(a, GUEST_SERVED, true, 60 * GUEST_KEPT_RATE, now_ms + 100000);
    http_guest_enters_phase(a, GUEST_BODY, true, 60 * GUEST_KEPT_RATE, now_ms + 200000);
    CHECK_EQ(http_guests_cut_slow(g, now_ms + 219999), 0);
    CHECK_EQ(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
    CHECK_EQ(http_guests_cut_slow(g, now_ms + 220000), 1);
    CHECK_EQ(recv(pair[1], &byte, 1, MSG_DONTWAIT), 0); /* the end */
    CHECK_EQ(http_guests_cut_slow(g, now_ms + 999999), 0);
    http_guest_leave(a);
    http_guests_free(g);
    close(pair[0]);
    close(pair[1]);
}

TEST(a_clock_that_is_set_back_saves_nobody)
{
    const struct http_limits limits = {0, 1 << 20, "", ""};
    struct err err = {0};
    struct http_guests *g = http_guests_new(&limits, 1000, &err);
    int pair[2];

    CHECK(g != NULL && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    struct pollfd p = {.fd = pair[1], .events = POLLIN};
    struct http_guest *a = guest_of(g, "192.0.2.1", pair[0]);
    http_guest_enters_phase(a, GUEST_HEAD, false, 0, clock_monotonic_ms() - GUEST_HEAD_MS);
    atomic_store(&fast_s, 3600); /* the thread waits by it: until it is right again an hour passes */
    CHECK(http_guests_watch(g, &err));
    CHECK_EQ(poll(&p, 1, 10000 * CHECK_PATIENCE), 1);
    atomic_store(&fast_s, 0);
    http_guest_leave(a);
    http_guests_free(g);
    close(pair[0]);
    close(pair[1]);
}

/* ---- before the first byte ---- */

static atomic_int taken;

static void
take(void *ctx, int fd, const struct sockaddr *address, socklen_t length, bool is_tls)
{
    (void)ctx;
    (void)address;
    (void)length;
    (void)is_tls;
    atomic_fetch_add(&taken, 1);
    close(fd);
}

static int
come_from(const char *address, unsigned port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && inet_pton(AF_INET, address, &from.sin_addr) == 1);
    CHECK(bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    return fd;
}

static void
wait_for_end(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    CHECK_EQ(poll(&p, 1, 10000 * CHECK_PATIENCE), 1);
}

/* More than may wait come from one address, and say nothing. */
TEST(a_silent_crowd_drives_out_its_own)
{
    enum { CROWD = DOOR_WAITING_MAX + 10 };
    int crowd[CROWD];
    struct err err = {0};
    const int listener = listener_open("127.0.0.1", 0, &err);

    CHECK(listener >= 0);
    const unsigned port = listener_port(listener);
    const int spoke = come_from("127.0.0.3", port), waits = come_from("127.0.0.2", port);
    CHECK(send(spoke, "G", 1, MSG_NOSIGNAL) == 1);
    for (int i = 0; i < CROWD; i++)
        crowd[i] = come_from("127.0.0.3", port);
    atomic_store(&taken, 0);
    struct http_door *door = http_door_open(listener, take, NULL, &err);
    CHECK(door != NULL);
    wait_for_end(spoke);
    CHECK_EQ(atomic_load(&taken), 1);
    wait_for_end(crowd[CROWD - DOOR_OF_ONE_MAX - 1]);
    CHECK(send(waits, "G", 1, MSG_NOSIGNAL) == 1);
    wait_for_end(waits);
    CHECK_EQ(atomic_load(&taken), 2);
    http_door_close(door);
    close(listener);
    close(spoke);
    close(waits);
    for (int i = 0; i < CROWD; i++)
        close(crowd[i]);
}
