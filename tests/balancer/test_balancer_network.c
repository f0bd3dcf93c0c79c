/* SPDX-License-Identifier: MIT */
/* Who may connect at all, by the real HAProxy: security groups. */
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
