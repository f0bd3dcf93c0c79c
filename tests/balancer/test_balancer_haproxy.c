/* SPDX-License-Identifier: MIT */
/* The balancer with the real HAProxy and small HTTP targets, all on loopback and in a folder of
 * their own.  Nothing here waits for a fixed time where it can wait for the thing itself. */
#include "balancer/balancer.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "balancer/client.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "balancer/haproxy_socket.h"
#include "check.h"
#include "io/file.h"
#include "io/http_server.h"

#define TARGETS_MAX 200

struct app { /* one target */
    struct http_server *server;
    int port;
    char name[16];
    atomic_int health_status; /* of /health */
    atomic_int requests;
    bool is_registered, is_draining;
    enum target_state state; /* as the core would know it */
    atomic_int told_state;   /* the newest report; -1: none */
    atomic_int drained;      /* reports of it */
    char told_reason[64], told_description[256];
    int64_t told_ms, drained_ms;
};

struct world {
    char dir[64];
    pid_t guardian;
    int guardian_fd;
    int port;
    struct balancer *balancer;
    struct app apps[TARGETS_MAX];
    int app_count;
    pthread_mutex_t lock;
    struct health_check check;
    int drain_delay_s;
    const char *actions; /* JSON */
    bool has_second_listener;
    int second_port;
};

#define GROUP_ARN "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/web/0123456789abcdef"
#define FORWARD "[{\"Type\":\"forward\",\"TargetGroupArn\":\"" GROUP_ARN "\"}]"

/* ---- targets ---- */

static void
app_answer(struct http_exchange *x, void *ctx)
{
    struct app *app = ctx;

    if (str_is(x->path, "/health")) {
        http_reply(x, atomic_load(&app->health_status), NULL, STR("health"));
        return;
    }
    atomic_fetch_add(&app->requests, 1);
    if (str_is(x->path, "/slow"))
        clock_sleep_ms(1500);
    if (str_is(x->path, "/xff")) {
        char text[256];
        const struct str xff = http_header_get(x, "X-Forwarded-For");
        const struct str trace = http_header_get(x, "X-Amzn-Trace-Id");
        snprintf(text, sizeof(text), "%.*s %.*s", (int)xff.len, xff.at, (int)trace.len, trace.at);
        http_reply(x, 200, NULL, str_of(text));
        return;
    }
    http_reply(x, 200, NULL, str_of(app->name));
}

static struct app *
app_start(struct world *w)
{
    CHECK(w->app_count < TARGETS_MAX);
    struct app *app = &w->apps[w->app_count++];
    const struct http_route route = {.prefix = "/", .end = app_answer, .ctx = app};
    struct err err;

    snprintf(app->name, sizeof(app->name), "app%d", w->app_count);
    atomic_store(&app->health_status, 200);
    atomic_store(&app->told_state, -1);
    app->server = http_server_start("127.0.0.1", 0, &route, 1, &err);
    if (app->server == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
    app->port = (int)http_server_port(app->server);
    return app;
}

static void
app_stop(struct app *app)
{
    http_server_stop(app->server);
    app->server = NULL;
}

/* ---- the core's part ---- */

static struct app *
find_app(struct world *w, int port)
{
    for (int i = w->app_count - 1; i >= 0; i--) /* the newest: a port may come again */
        if (w->apps[i].port == port)
            return &w->apps[i];
    return NULL;
}

static void
take_report(void *ctx, const struct event *event)
{
    struct world *w = ctx;

    pthread_mutex_lock(&w->lock);
    if (event->type == EVENT_TARGET_HEALTH) {
        struct app *app = find_app(w, event->target_health.port);
        text_copy(app->told_reason, sizeof(app->told_reason), str_of(event->target_health.reason));
        text_copy(app->told_description, sizeof(app->told_description),
                  str_of(event->target_health.description));
        app->told_ms = clock_monotonic_ms();
        app->state = event->target_health.state;
        atomic_store(&app->told_state, (int)event->target_health.state);
    } else if (event->type == EVENT_TARGET_DRAINED) {
        struct app *app = find_app(w, event->target_drained.port);
        app->drained_ms = clock_monotonic_ms();
        atomic_fetch_add(&app->drained, 1);
    }
    pthread_mutex_unlock(&w->lock);
}

static void
add_listener(struct balancer_view *v, const char *id, int port, const char *actions)
{
    struct view_listener *l = &v->listeners[v->listener_count++];
    struct err err;

    snprintf(l->id, sizeof(l->id), "%s", id);
    snprintf(l->arn, sizeof(l->arn), "arn:aws:elasticloadbalancing:::listener/app/x/y/%s", id);
    l->port = port;
    l->idle_timeout_s = 60;
    l->actions = json_parse(str_of(actions), &err);
    CHECK(l->actions != NULL);
}

static struct balancer_view
make_view(struct world *w)
{
    struct balancer_view v = {0};

    v.listeners = mem_new(2 * sizeof(*v.listeners));
    v.groups = mem_new(sizeof(*v.groups));
    add_listener(&v, "aaaaaaaaaaaaaaaa", w->port, w->actions);
    if (w->has_second_listener)
        add_listener(&v, "bbbbbbbbbbbbbbbb", w->second_port, w->actions);
    struct view_group *g = &v.groups[v.group_count++];
    snprintf(g->arn, sizeof(g->arn), "%s", GROUP_ARN);
    snprintf(g->id, sizeof(g->id), "0123456789abcdef");
    snprintf(g->algorithm, sizeof(g->algorithm), "round_robin");
    g->check = w->check;
    g->deregistration_delay_s = w->drain_delay_s;
    g->in_use = strstr(w->actions, "forward") != NULL;
    g->targets = mem_new(TARGETS_MAX * sizeof(*g->targets));
    for (int i = 0; i < w->app_count; i++) {
        const struct app *app = &w->apps[i];
        if (!app->is_registered)
            continue;
        struct view_target *t = &g->targets[g->target_count++];
        snprintf(t->id, sizeof(t->id), "127.0.0.1");
        snprintf(t->address, sizeof(t->address), "127.0.0.1");
        t->port = app->port;
        t->is_draining = app->is_draining;
        t->state = app->state;
    }
    return v;
}

static void
world_apply(struct world *w)
{
    pthread_mutex_lock(&w->lock);
    struct balancer_view view = make_view(w);
    pthread_mutex_unlock(&w->lock);
    balancer_apply(w->balancer, &view);
}

#define WAIT_FOR(condition, limit_ms)                                                              \
    do {                                                                                           \
        const int64_t until_ms_ = clock_monotonic_ms() + (limit_ms);                               \
        while (!(condition)) {                                                                     \
            if (clock_monotonic_ms() > until_ms_)                                                  \
                check_fail(__FILE__, __LINE__, "waited %d ms for %s", (int)(limit_ms), #condition); \
            clock_sleep_ms(1);                                                                     \
        }                                                                                          \
    } while (0)

static void
world_register(struct world *w, struct app *app)
{
    app->is_registered = true;
    world_apply(w);
}

static void
world_wait_healthy(struct app *app)
{
    WAIT_FOR(atomic_load(&app->told_state) == TARGET_healthy, 5000);
}

static void
world_drain(struct world *w, struct app *app)
{
    app->is_draining = true;
    world_apply(w);
}

/* What the core does after it heard of it: forgets the target; then the task may end. */
static void
world_stop_app(struct world *w, struct app *app)
{
    WAIT_FOR(atomic_load(&app->drained) > 0, 20000);
    app_stop(app);
    app->is_registered = false;
    world_apply(w);
}

/* ---- the world ---- */

static int
pick_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(a);
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    return ntohs(a.sin_port);
}

static void
world_open(struct world *w)
{
    struct err err;
    const struct balancer_config config = {.data_dir = w->dir, .bind_address = "127.0.0.1",
                                           .report = take_report, .ctx = w};

    w->balancer = balancer_new(&config, &err);
    if (w->balancer == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
}

/* HAProxy is made to outlive its starter. A failed check ends the test at once, so a process of its
 * own waits for that and then cleans up. */
static void
start_guardian(struct world *w)
{
    struct err err;
    int ends[2];
    char byte;

    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    fflush(stdout);
    w->guardian = fork();
    CHECK(w->guardian >= 0);
    w->guardian_fd = ends[1];
    if (w->guardian > 0) {
        close(ends[0]);
        return;
    }
    setsid(); /* the test's own group is killed when it ends */
    close(ends[1]);
    if (read(ends[0], &byte, 1) < 0 || !balancer_shutdown(w->dir, &err) ||
        !file_remove_tree(w->dir, &err))
        _exit(1);
    _exit(0);
}

static struct world *
world_new(void)
{
    struct world *w = mem_new(sizeof(*w));
    char suffix[9];

    signal(SIGPIPE, SIG_IGN);
    log_set_level(getenv("BALANCER_LOG") != NULL ? LOG_DEBUG : LOG_ERROR);
    random_hex(suffix, 8);
    snprintf(w->dir, sizeof(w->dir), "/tmp/naru-balancer-%s", suffix);
    start_guardian(w);
    pthread_mutex_init(&w->lock, NULL);
    w->port = pick_port();
    w->drain_delay_s = 30;
    w->actions = FORWARD;
    w->check = (struct health_check){.enabled = true, .protocol = "HTTP", .path = "/health",
                                     .interval_s = 5, .timeout_s = 2, .healthy_threshold = 2,
                                     .unhealthy_threshold = 2, .matcher = "200"};
    world_open(w);
    return w;
}

static void
world_free(struct world **at)
{
    struct world *w = *at;
    int status = -1;

    balancer_free(w->balancer);
    for (int i = 0; i < w->app_count; i++)
        if (w->apps[i].server != NULL)
            app_stop(&w->apps[i]);
    close(w->guardian_fd);
    CHECK(waitpid(w->guardian, &status, 0) == w->guardian && status == 0);
    CHECK(!file_exists(w->dir));
    free(w);
}
#define WORLD cleanup(world_free) struct world *w = world_new()

static pid_t
haproxy_master(struct world *w)
{
    cleanup_free char *path = text_format("%s/haproxy/master.sock", w->dir);
    struct haproxy_processes processes;
    struct err err;

    for (int i = 0; i < 200; i++) {
        cleanup(strbuf_done) struct strbuf answer = {0};
        if (haproxy_ask(path, "show proc", &answer, &err) &&
            haproxy_parse_processes(strbuf_str(&answer), &processes, &err))
            return processes.master;
        clock_sleep_ms(5);
    }
    check_fail(__FILE__, __LINE__, "%s", err.message);
}

static void
check_no_failures(struct load *l, const char *name)
{
    const long requests = atomic_load(&l->requests), failures = atomic_load(&l->failures);

    printf("   %s: requests=%ld failed=%ld last_bad_status=%d\n", name, requests, failures,
           atomic_load(&l->last_bad_status));
    CHECK(requests > 20);
    CHECK_EQ(failures, 0);
}

/* ---- the stories ---- */

TEST(a_target_is_served_soon_after_it_is_registered)
{
    WORLD;
    struct app *first = app_start(w), *second = app_start(w);

    world_register(w, first); /* starts HAProxy too */
    world_wait_healthy(first);
    CHECK(balancer_is_ready(w->balancer));
    CHECK_TEXT(client_once(w->port, "GET", "/").body, "app1");
    const int64_t began_ms = clock_monotonic_ms();
    world_register(w, second);
    world_wait_healthy(second);
    const int64_t took_ms = clock_monotonic_ms() - began_ms;
    printf("   healthy and in rotation after %d ms\n", (int)took_ms);
    CHECK(took_ms < 100);
    CHECK_TEXT(second->told_reason, "");
    client_once(w->port, "GET", "/");
    client_once(w->port, "GET", "/");
    CHECK(atomic_load(&second->requests) == 1); /* taking turns, at once */
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
    const int64_t began_ms = clock_monotonic_ms();
    world_drain(w, first);
    WAIT_FOR(atomic_load(&first->drained) > 0, 5000);
    printf("   drained after %d ms\n", (int)(first->drained_ms - began_ms));
    CHECK(first->drained_ms - began_ms < 50);
    /* Level-triggered: a core that did not hear is told again. */
    world_apply(w);
    WAIT_FOR(atomic_load(&first->drained) > 1, 1000);
    world_stop_app(w, first);
    for (int i = 0; i < 4; i++)
        CHECK_TEXT(client_once(w->port, "GET", "/").body, "app2");
}

TEST(a_drain_waits_for_the_request_in_flight)
{
    WORLD;
    struct app *app = app_start(w);
    struct load slow = {.path = "/slow", .is_fresh = true};

    world_register(w, app);
    world_wait_healthy(app);
    slow.port = w->port;
    load_start(&slow);
    WAIT_FOR(atomic_load(&app->requests) > 0, 2000);
    const int64_t began_ms = clock_monotonic_ms();
    atomic_store(&slow.is_stopping, true);
    world_drain(w, app);
    WAIT_FOR(atomic_load(&app->drained) > 0, 5000);
    const int64_t took_ms = app->drained_ms - began_ms;
    printf("   drained after %d ms\n", (int)took_ms);
    load_stop(&slow);
    CHECK(took_ms > 1000 && took_ms < 2000);
    CHECK_EQ(atomic_load(&slow.failures), 0);
    CHECK_EQ(client_once(w->port, "GET", "/").status, 503); /* nobody is left */
}

TEST(the_deregistration_delay_cuts_what_does_not_end)
{
    WORLD;
    struct app *app = app_start(w);
    struct load slow = {.path = "/slow", .is_fresh = true};

    w->drain_delay_s = 0;
    world_register(w, app);
    world_wait_healthy(app);
    slow.port = w->port;
    load_start(&slow);
    WAIT_FOR(atomic_load(&app->requests) > 0, 2000);
    const int64_t began_ms = clock_monotonic_ms();
    atomic_store(&slow.is_stopping, true);
    world_drain(w, app);
    WAIT_FOR(atomic_load(&app->drained) > 0, 5000);
    load_stop(&slow);
    CHECK(app->drained_ms - began_ms < 700);
    CHECK_EQ(atomic_load(&slow.failures), 1);
}

TEST(fifty_replacements_and_a_reload_lose_no_request)
{
    WORLD;
    struct app *serving[3];
    struct load loads[3] = {{.path = "/"}, {.path = "/", .is_fresh = true, .pause_ms = 2},
                            {.path = "/", .pause_ms = 20}};

    for (int i = 0; i < 3; i++)
        world_register(w, serving[i] = app_start(w));
    for (int i = 0; i < 3; i++)
        world_wait_healthy(serving[i]);
    for (int i = 0; i < 3; i++) {
        loads[i].port = w->port;
        load_start(&loads[i]);
    }
    for (int i = 0; i < 50; i++) {
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
            WAIT_FOR(balancer_is_ready(w->balancer), 3000);
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
    WAIT_FOR(balancer_is_ready(w->balancer), 3000);
    world_register(w, next);
    world_wait_healthy(next);
    world_drain(w, old);
    clock_sleep_ms(1500);
    CHECK_EQ(atomic_load(&old->drained), 0);
    CHECK(client_get(&fd, w->port, "GET", "/", &reply));
    CHECK_EQ(reply.status, 200);
    CHECK_TEXT(reply.body, "app1");
    CHECK_EQ(fd, -1); /* it was told to close: the old worker is free to go */
    WAIT_FOR(atomic_load(&old->drained) > 0, 1000);
}

TEST(a_request_in_an_old_worker_keeps_its_target)
{
    WORLD;
    struct app *app = app_start(w);
    struct load slow = {.path = "/slow", .is_fresh = true};

    world_register(w, app);
    world_wait_healthy(app);
    slow.port = w->port;
    load_start(&slow);
    WAIT_FOR(atomic_load(&app->requests) > 0, 2000);
    atomic_store(&slow.is_stopping, true);
    w->second_port = pick_port();
    w->has_second_listener = true;
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 3000);
    world_drain(w, app);
    clock_sleep_ms(400);
    CHECK_EQ(atomic_load(&app->drained), 0);
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
        WAIT_FOR(balancer_is_ready(w->balancer), 3000);
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
    clock_sleep_ms(1100); /* younger ones are held for crash loops */
    const pid_t before = haproxy_master(w);
    const int64_t began_ms = clock_monotonic_ms();
    CHECK(kill(before, SIGKILL) == 0);
    WAIT_FOR(client_once(w->port, "GET", "/").status != 200, 1000);
    WAIT_FOR(client_once(w->port, "GET", "/").status == 200, 1000);
    printf("   back after %d ms\n", (int)(clock_monotonic_ms() - began_ms));
    WAIT_FOR(balancer_is_ready(w->balancer), 1000);
    CHECK(haproxy_master(w) != before);
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
    clock_sleep_ms(600);
    CHECK(!balancer_is_ready(w->balancer));
    for (int i = 0; i < 10; i++)
        CHECK_TEXT(client_once(stranger->port, "GET", "/").body, "app2");
    w->port = own_port;
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 3000);
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
    WAIT_FOR(balancer_is_ready(w->balancer), 3000);
    WAIT_FOR(atomic_load(&app->told_state) == TARGET_unused, 1000);
    reply = client_once(w->port, "GET", "/");
    CHECK_EQ(reply.status, 418);
    CHECK_TEXT(reply.body, "50% \"tea\"\n$HOME");
    w->actions = "[{\"Type\":\"redirect\",\"RedirectConfig\":{\"StatusCode\":\"HTTP_302\","
                 "\"Protocol\":\"HTTPS\",\"Port\":\"443\",\"Path\":\"/new/#{path}\"}}]";
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 3000);
    reply = client_once(w->port, "GET", "/a/b?c=d");
    CHECK_EQ(reply.status, 302);
    CHECK(strstr(reply.head, "https://test.local:443/new/a/b?c=d\r\n") != NULL);
    reply = client_once(w->port, "GET", "/a");
    CHECK(strstr(reply.head, "https://test.local:443/new/a\r\n") != NULL);
}
