/* SPDX-License-Identifier: MIT */
/* Network load balancers and security groups, by the real HAProxy: connections that are handed on as they
 * are, and who may connect at all. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "balancer/haproxy_socket.h"
#include "balancer/world.h"
#include "base/json.h"

static void
set_sources(struct world *w, const char *sources)
{
    pthread_mutex_lock(&w->lock);
    w->sources = sources;
    pthread_mutex_unlock(&w->lock);
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
}

static int
status_of(struct world *w)
{
    return client_once(w->port, "GET", "/").status;
}

TEST(only_those_whom_a_group_lets_in_can_connect)
{
    WORLD;
    struct app *app = app_start(w);
    struct reply reply;
    int fd = -1;

    world_register(w, app);
    world_wait_healthy(app);
    CHECK_EQ(status_of(w), 200);
    const pid_t open = haproxy_worker(w);
    set_sources(w, "[\"10.0.0.0/8\",\"2001:db8::/32\",\"127.0.0.2/32\"]");
    CHECK(haproxy_worker(w) != open); /* the first of them is structure */
    CHECK_EQ(status_of(w), 0);

    /* From here on nothing is loaded. */
    const pid_t guarded = haproxy_worker(w);
    set_sources(w, "[\"10.0.0.0/8\",\"127.0.0.0/31\",\"192.0.2.0/24\"]");
    CHECK_EQ(status_of(w), 200);
    CHECK(client_get(&fd, w->port, "GET", "/", &reply) && reply.status == 200 && fd >= 0);
    set_sources(w, "[]");
    CHECK_EQ(status_of(w), 0);
    /* Who is in stays in, as with a security group. */
    CHECK(client_get(&fd, w->port, "GET", "/", &reply) && reply.status == 200);
    set_sources(w, "[\"0.0.0.0/0\"]");
    CHECK_EQ(status_of(w), 200);
    CHECK_EQ(haproxy_worker(w), guarded);
    set_sources(w, NULL);
    CHECK_EQ(status_of(w), 200);
    if (fd >= 0)
        close(fd);
}

TEST(many_sources_come_in_several_commands)
{
    WORLD;
    struct app *app = app_start(w);
    cleanup(strbuf_done) struct strbuf many = {0};

    world_register(w, app);
    world_wait_healthy(app);
    set_sources(w, "[]");
    strbuf_add_cstr(&many, "[");
    for (int i = 0; i < 3000; i++)
        strbuf_addf(&many, "\"10.%d.%d.0/24\",", i / 250, i % 250);
    strbuf_add_cstr(&many, "\"127.0.0.1/32\"]");
    set_sources(w, strbuf_cstr(&many));
    CHECK_EQ(status_of(w), 200);
    set_sources(w, "[\"10.0.0.0/8\"]");
    CHECK_EQ(status_of(w), 0);
}

TEST(the_map_of_sources_is_read_back_and_repaired)
{
    WORLD;
    struct app *app = app_start(w);
    cleanup(strbuf_done) struct strbuf answer = {0};
    cleanup_free char *socket_path = text_format("%s/haproxy/admin.sock", w->dir);
    struct err err;

    world_register(w, app);
    world_wait_healthy(app);
    set_sources(w, "[\"10.0.0.0/8\"]");
    CHECK_EQ(status_of(w), 0);
    const pid_t worker = haproxy_worker(w);
    balancer_free(w->balancer);
    CHECK(haproxy_ask(socket_path, "add map maps/aaaaaaaaaaaaaaaa.sources 127.0.0.0/8 1", &answer, &err));
    CHECK_EQ(status_of(w), 200);
    world_open(w);
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    CHECK_EQ(status_of(w), 0);
    CHECK(haproxy_ask(socket_path, "add map maps/aaaaaaaaaaaaaaaa.sources 127.0.0.0/8 1", &answer, &err));
    CHECK_EQ(status_of(w), 200);
    WAIT_FOR(status_of(w) == 0, 15000); /* by the audit */
    CHECK_EQ(haproxy_worker(w), worker);
}

/* ---- connections as they are ---- */

static struct world *
tcp_world(void)
{
    struct world *w = world_new();

    w->tcp = (struct tcp_options){.is_on = true};
    snprintf(w->check.protocol, sizeof(w->check.protocol), "TCP");
    return w;
}
#define TCP_WORLD cleanup(world_free) struct world *w = tcp_world()

/* Who answers a connection that stays open; the same one each time. */
static const char *
ask(struct world *w, int *fd, struct reply *reply)
{
    if (!client_get(fd, w->port, "GET", "/", reply) || reply->status != 200)
        return "nobody";
    return reply->body;
}

TEST(connections_are_spread_and_stay_where_they_are)
{
    TCP_WORLD;
    struct app *one = app_start(w), *two = app_start(w);
    struct reply reply;
    int fds[4] = {-1, -1, -1, -1}, answered_by_one = 0;

    atomic_store(&one->health_status, 500); /* nobody asks for it */
    one->is_registered = two->is_registered = true;
    world_apply(w);
    world_wait_healthy(one);
    world_wait_healthy(two);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    for (int i = 0; i < 4; i++)
        answered_by_one += strcmp(ask(w, &fds[i], &reply), one->name) == 0;
    CHECK_EQ(answered_by_one, 2);
    const pid_t worker = haproxy_worker(w);
    one->is_draining = true;
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000); /* before, each second answer is of this one, too */
    WAIT_FOR(atomic_load(&one->requests) > 0 && strcmp(client_once(w->port, "GET", "/").body, two->name) == 0, 5000);
    for (int i = 0; i < 20; i++)
        CHECK_TEXT(client_once(w->port, "GET", "/").body, two->name);
    answered_by_one = 0;
    for (int i = 0; i < 4; i++) /* who is connected stays so while it drains */
        answered_by_one += strcmp(ask(w, &fds[i], &reply), one->name) == 0;
    CHECK_EQ(answered_by_one, 2);
    CHECK_EQ(atomic_load(&one->drained), 0);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    world_stop_app(w, one); /* at once, and not at the end of the delay */
    CHECK_EQ(haproxy_worker(w), worker);
}

static void
drain_with_a_client(struct world *w, bool outlives)
{
    struct app *one = app_start(w), *two = app_start(w);
    struct reply reply;
    int fd = -1;

    w->tcp.outlives_drain = outlives;
    w->drain_delay_s = 1;
    world_register(w, one);
    world_wait_healthy(one);
    CHECK_TEXT(ask(w, &fd, &reply), one->name);
    world_register(w, two);
    world_wait_healthy(two);
    const int64_t began_ms = clock_monotonic_ms();
    world_drain(w, one);
    WAIT_FOR(atomic_load(&one->drained) > 0, 20000);
    CHECK(clock_monotonic_ms() - began_ms >= 1000);
    if (outlives) {
        CHECK_TEXT(ask(w, &fd, &reply), one->name);
        CHECK(fd >= 0);
    } else {
        char byte;
        CHECK_EQ(recv(fd, &byte, 1, 0), 0);
    }
    one->is_registered = false;
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    if (outlives) /* nobody else sits in its place meanwhile */
        CHECK_TEXT(ask(w, &fd, &reply), one->name);
    close(fd);
}

TEST(at_the_end_of_the_delay_connections_are_cut)
{
    TCP_WORLD;

    drain_with_a_client(w, false);
}

TEST(or_live_on_if_so_wanted)
{
    TCP_WORLD;

    drain_with_a_client(w, true);
}

TEST(new_connections_survive_changes_and_reloads)
{
    TCP_WORLD;
    struct load fresh = {.path = "/", .is_fresh = true}, held = {.path = "/", .pause_ms = 1};
    struct app *stable = app_start(w);

    w->second_port = pick_port();
    world_register(w, stable);
    world_wait_healthy(stable);
    fresh.port = held.port = w->port;
    load_start(&held); /* one connection, through everything: it is the stable one's */
    WAIT_FOR(atomic_load(&held.requests) > 10, 5000);
    load_start(&fresh);
    for (int i = 0; i < 6; i++) {
        struct app *app = app_start(w);
        world_register(w, app);
        world_wait_healthy(app);
        w->has_second_listener = i % 2 == 0; /* a reload */
        world_apply(w);
        WAIT_FOR(balancer_is_ready(w->balancer), 5000);
        WAIT_FOR(atomic_load(&app->requests) > 5, 5000);
        world_drain(w, app);
        world_stop_app(w, app);
    }
    load_stop(&fresh);
    load_stop(&held);
    check_no_failures(&fresh, "fresh connections");
    check_no_failures(&held, "one connection");
}

TEST(a_source_stays_with_its_target)
{
    TCP_WORLD;
    struct app *one = app_start(w), *two = app_start(w);
    char first[256];

    w->tcp.by_source = true;
    one->is_registered = two->is_registered = true;
    world_apply(w);
    world_wait_healthy(one);
    world_wait_healthy(two);
    snprintf(first, sizeof(first), "%s", client_once(w->port, "GET", "/").body);
    CHECK(strcmp(first, one->name) == 0 || strcmp(first, two->name) == 0);
    for (int i = 0; i < 20; i++)
        CHECK_TEXT(client_once(w->port, "GET", "/").body, first);
    struct app *gone = strcmp(first, one->name) == 0 ? one : two;
    world_drain(w, gone);
    world_stop_app(w, gone);
    CHECK_TEXT(client_once(w->port, "GET", "/").body, gone == one ? two->name : one->name);
}

/* A target of our own that only listens. */
static int
listen_as(struct world *w, struct app **app_out)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(a);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct app *app = &w->apps[w->app_count++];

    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 16) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    app->port = ntohs(a.sin_port);
    app->state = TARGET_initial;
    atomic_store(&app->told_state, -1);
    app->registration = 1;
    *app_out = app;
    return fd;
}

TEST(targets_are_told_who_connects_by_the_proxy_protocol)
{
    static const unsigned char signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                                0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
    TCP_WORLD;
    struct app *app;
    unsigned char got[64];
    ssize_t count = 0;
    struct sockaddr_in own;
    socklen_t len = sizeof(own);

    w->tcp.sends_proxy = true;
    cleanup_close int listener = listen_as(w, &app);
    world_register(w, app);
    world_wait_healthy(app);
    cleanup_close int client = client_connect(w->port);
    CHECK(client >= 0 && send(client, "hello", 5, 0) == 5);
    CHECK(getsockname(client, (struct sockaddr *)&own, &len) == 0);
    while (count != 28 + 5) {
        cleanup_close int fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0);
        count = recv(fd, got, 28 + 5, MSG_WAITALL);
        CHECK(count >= 16 && memcmp(got, signature, sizeof(signature)) == 0);
        if (count == 16) /* a health check: LOCAL, of nobody */
            CHECK(memcmp(got + 12, "\x20\0\0\0", 4) == 0);
    }
    CHECK_EQ(count, 28 + 5);
    CHECK_EQ(got[12], 0x21); /* version 2, PROXY */
    CHECK_EQ(got[13], 0x11); /* TCP over IPv4 */
    CHECK(memcmp(got + 16, &own.sin_addr, 4) == 0 && memcmp(got + 24, &own.sin_port, 2) == 0);
    CHECK(memcmp(got + 28, "hello", 5) == 0);
}

TEST(groups_guard_tcp_listeners_too)
{
    TCP_WORLD;
    struct app *app = app_start(w);

    world_register(w, app);
    world_wait_healthy(app);
    set_sources(w, "[\"10.0.0.0/8\"]");
    CHECK_EQ(status_of(w), 0);
    set_sources(w, "[\"127.0.0.0/8\"]");
    CHECK_EQ(status_of(w), 200);
}
