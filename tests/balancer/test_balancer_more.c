/* SPDX-License-Identifier: MIT */
/* More stories: weights, growth, what goes wrong around HAProxy. */
#include <limits.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "balancer/haproxy_process.h"
#include "balancer/world.h"
#include "base/log.h"
#include "base/random.h"
#include "io/file.h"
#include "io/process.h"

#define WEIGHTED(one, two)                                         \
    "[{\"Type\":\"forward\",\"ForwardConfig\":{\"TargetGroups\":[" \
    "{\"TargetGroupArn\":\"" GROUP_ARN "\",\"Weight\":" one "},"   \
    "{\"TargetGroupArn\":\"" OTHER_ARN "\",\"Weight\":" two "}]}}]"

/* Of so many requests, how many does the second get? */
static int
count_second(struct world *w, int requests, struct app *second)
{
    const int before = atomic_load(&second->requests);
    struct reply reply;
    int fd = -1;

    for (int i = 0; i < requests; i++) {
        CHECK(client_get(&fd, w->port, "GET", "/", &reply));
        CHECK_EQ(reply.status, 200);
    }
    if (fd >= 0)
        close(fd);
    return atomic_load(&second->requests) - before;
}

TEST(weights_are_exact_and_move_without_a_reload)
{
    WORLD;
    struct app *one = app_start(w), *two = app_start(w);

    two->group = 1;
    w->actions = WEIGHTED("90", "10");
    one->is_registered = two->is_registered = true;
    world_apply(w);
    world_wait_healthy(one);
    world_wait_healthy(two);
    const pid_t worker = haproxy_worker(w);
    CHECK_EQ(count_second(w, 1000, two), 100);
    static const char *const actions[] = {WEIGHTED("50", "50"), WEIGHTED("0", "7"),
                                          WEIGHTED("1", "0")};
    static const int want[] = {500, 1000, 0};
    for (size_t i = 0; i < ARRAY_COUNT(want); i++) {
        w->actions = actions[i];
        world_apply(w);
        WAIT_FOR(balancer_is_ready(w->balancer), 5000);
        const int got = count_second(w, 1000, two);
        printf("   %d of 1000, want %d\n", got, want[i]);
        CHECK(got >= want[i] - 1 && got <= want[i] + 1); /* the counter goes on from where it was */
    }
    CHECK_EQ(haproxy_worker(w), worker);
}

static void
shift(struct world *w, const char *actions)
{
    pthread_mutex_lock(&w->lock);
    w->actions = actions;
    w->generation++;
    pthread_mutex_unlock(&w->lock);
    world_apply(w);
    WAIT_FOR(atomic_load(&w->in_force) == w->generation, 5000);
}

/* What a blue/green deployment does, again and again: whoever lost the traffic goes the moment that
 * the balancer said so. */
TEST(traffic_that_moves_between_groups_loses_no_request)
{
    WORLD;
    struct load loads[3] = {{.path = "/"},
                            {.path = "/", .is_fresh = true, .pause_ms = 2},
                            {.path = "/", .pause_ms = 20}};
    struct app *sides[2][2];
    pid_t worker;

    w->actions = WEIGHTED("1", "0");
    for (int i = 0; i < 4; i++) {
        sides[i / 2][i % 2] = app_start(w);
        sides[i / 2][i % 2]->group = i / 2;
        world_register(w, sides[i / 2][i % 2]);
    }
    for (int i = 0; i < 4; i++)
        world_wait_healthy(sides[i / 2][i % 2]);
    worker = haproxy_worker(w);
    for (int i = 0; i < 3; i++) {
        loads[i].port = w->port;
        load_start(&loads[i]);
    }
    for (int round = 0; round < 20; round++) {
        const int to = 1 - round % 2, from = 1 - to;
        if (round % 4 == 0)
            shift(w, WEIGHTED("90", "10"));
        shift(w, to == 1 ? WEIGHTED("0", "100") : WEIGHTED("100", "0"));
        for (int i = 0; i < 2; i++)
            world_drain(w, sides[from][i]);
        for (int i = 0; i < 2; i++) {
            world_stop_app(w, sides[from][i]);
            sides[from][i] = app_start(w);
            sides[from][i]->group = from;
            world_register(w, sides[from][i]);
        }
        for (int i = 0; i < 2; i++)
            world_wait_healthy(sides[from][i]);
        CHECK_EQ(atomic_load(&sides[from][0]->requests), 0);
    }
    for (int i = 0; i < 3; i++) {
        WAIT_FOR(atomic_load(&loads[i].requests) > 20, 5000);
        load_stop(&loads[i]);
    }
    check_no_failures(&loads[0], "keep-alive");
    check_no_failures(&loads[1], "fresh");
    check_no_failures(&loads[2], "pausing");
    CHECK_EQ(haproxy_worker(w), worker); /* without a reload */
}

TEST(a_group_grows_beyond_its_slots)
{
    WORLD;
    struct load load = {.path = "/", .pause_ms = 1};

    world_register(w, app_start(w));
    world_wait_healthy(&w->apps[0]);
    load.port = w->port;
    load_start(&load);
    for (int i = 1; i < 20; i++)
        world_register(w, app_start(w));
    for (int i = 1; i < 20; i++)
        world_wait_healthy(&w->apps[i]);
    WAIT_FOR(atomic_load(&w->apps[19].requests) > 0, 5000);
    for (int i = 0; i < 19; i++)
        world_drain(w, &w->apps[i]);
    for (int i = 0; i < 19; i++)
        world_stop_app(w, &w->apps[i]);
    load_stop(&load);
    check_no_failures(&load, "keep-alive");
    CHECK_TEXT(client_once(w->port, "GET", "/").body, "app20");
}

TEST(a_draining_target_may_come_back)
{
    WORLD;
    struct app *app = app_start(w);
    struct load slow = {.path = "/held", .is_fresh = true};

    world_begin_request(w, app, &slow);
    world_drain(w, app);
    WAIT_FOR(client_once(w->port, "GET", "/").status == 503, 5000);
    app->is_draining = false;
    app->registration++;
    app->state = TARGET_initial;
    atomic_store(&app->told_state, -1);
    world_apply(w);
    world_wait_healthy(app);
    CHECK_EQ(atomic_load(&app->told_registration), 1);
    CHECK_EQ(client_once(w->port, "GET", "/").status, 200);
    atomic_store(&app->is_released, true);
    load_stop(&slow);
    CHECK_EQ(atomic_load(&slow.failures), 0);
    CHECK_EQ(atomic_load(&app->drained), 0);
}

/* The view between the two may never have come here: views are whole, and the newest one counts. */
TEST(an_address_that_was_registered_anew_is_judged_anew)
{
    WORLD;
    struct app *app = app_start(w);

    world_register(w, app);
    world_wait_healthy(app);
    app->state = TARGET_healthy;
    world_apply(w);
    atomic_store(&app->health_status, 500); /* another program answers there now */
    app->registration++;
    app->state = TARGET_initial;
    atomic_store(&app->told_state, -1);
    world_apply(w);
    WAIT_FOR(atomic_load(&app->told_state) == TARGET_unhealthy, 5000);
    CHECK_EQ(atomic_load(&app->told_registration), 1);
    world_drain(w, app);
    WAIT_FOR(atomic_load(&app->drained) == 1, 5000);
    CHECK_EQ(atomic_load(&app->told_registration), 1);
}

TEST(a_new_listener_while_naru_was_down_costs_nothing)
{
    WORLD;
    struct app *app = app_start(w);
    struct load loads[2] = {{.path = "/"}, {.path = "/", .is_fresh = true, .pause_ms = 1}};

    world_register(w, app);
    world_wait_healthy(app);
    for (int i = 0; i < 2; i++) {
        loads[i].port = w->port;
        load_start(&loads[i]);
    }
    clock_sleep_ms(100);
    balancer_free(w->balancer);
    w->has_second_listener = true;
    w->second_port = pick_port();
    world_open(w);
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 8000);
    CHECK_EQ(client_once(w->second_port, "GET", "/").status, 200);
    w->has_second_listener = false;
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 8000);
    CHECK_EQ(client_once(w->second_port, "GET", "/").status, 0);
    for (int i = 0; i < 2; i++)
        load_stop(&loads[i]);
    check_no_failures(&loads[0], "keep-alive");
    check_no_failures(&loads[1], "fresh");
}

TEST(killing_haproxy_again_and_again_ends_well)
{
    WORLD;
    struct app *serving = app_start(w);

    log_set_level(LOG_ERROR + 1);
    world_register(w, serving);
    world_wait_healthy(serving);
    for (int i = 0; i < 6; i++) {
        struct app *next = app_start(w);
        /* at any moment: while it serves, starts, or takes targets in */
        CHECK(kill(i % 2 == 0 ? haproxy_master(w) : haproxy_worker(w), SIGKILL) == 0);
        clock_sleep_ms(i * 9);
        world_register(w, next);
        world_wait_healthy(next);
        world_drain(w, serving);
        world_stop_app(w, serving);
        serving = next;
    }
    WAIT_FOR(balancer_is_ready(w->balancer), 8000);
    CHECK_TEXT(client_once(w->port, "GET", "/").body, serving->name);
}

TEST(a_haproxy_that_hangs_is_replaced)
{
    WORLD;
    struct app *app = app_start(w), *second = app_start(w);

    log_set_level(LOG_ERROR + 1);
    world_register(w, app);
    world_wait_healthy(app);
    const pid_t worker = haproxy_worker(w);
    CHECK(kill(worker, SIGSTOP) == 0);
    world_register(w, second);
    WAIT_FOR(atomic_load(&second->told_state) == TARGET_healthy, 30000);
    CHECK(haproxy_worker(w) != worker);
    CHECK_EQ(client_once(w->port, "GET", "/").status, 200);
}

/* Whoever cleans up folders may take a socket along; that is no reason to end what serves. */
TEST(a_lost_socket_costs_no_request)
{
    WORLD;
    struct app *old = app_start(w), *new = app_start(w);
    struct load load = {.path = "/", .pause_ms = 1};
    cleanup_free char *path = text_format("%s/haproxy/admin.sock", w->dir);

    world_register(w, old);
    world_wait_healthy(old);
    const pid_t master = haproxy_master(w);
    load.port = w->port;
    load_start(&load);
    CHECK(unlink(path) == 0);
    world_register(w, new);
    world_wait_healthy(new);
    WAIT_FOR(atomic_load(&new->requests) > 0, 5000);
    world_drain(w, old);
    world_stop_app(w, old);
    w->second_port = pick_port(); /* and a reload */
    w->has_second_listener = true;
    world_apply(w);
    WAIT_FOR(client_once(w->second_port, "GET", "/").status == 200, 5000);
    balancer_free(w->balancer);
    world_open(w);
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    clock_sleep_ms(500);
    load_stop(&load);
    check_no_failures(&load, "keep-alive");
    CHECK_EQ(haproxy_master(w), master);
}

TEST(a_long_path_is_no_obstacle)
{
    cleanup(world_free) struct world *w = world_new_at(
        "naru-balancer-in-a-folder-whose-name-is-much-longer-than-the-hundred-and-eight-bytes-"
        "that-the-kernel-allows-in-the-address-of-a-unix-domain-socket");
    struct app *app = app_start(w);

    world_register(w, app);
    world_wait_healthy(app);
    CHECK_EQ(client_once(w->port, "GET", "/").status, 200);
}

TEST(two_control_planes_are_one_too_many)
{
    WORLD;
    struct err err;
    const struct balancer_config config = {.data_dir = w->dir, .report = NULL};

    CHECK(balancer_new(&config, &err) == NULL);
    CHECK(strstr(err.message, "another naru") != NULL);
    const struct balancer_config lost = {.data_dir = w->dir, .haproxy = "/nowhere/haproxy"};
    CHECK(balancer_new(&lost, &err) == NULL);
    CHECK_TEXT(err.message, "'/nowhere/haproxy' is not a program");
}

/* A drain asked for, whose target ends once it is reported; several may be under way. */
static void
end_drained(struct world *w)
{
    for (int i = 0; i < w->app_count; i++) {
        struct app *app = &w->apps[i];
        if (app->is_draining && app->is_registered && atomic_load(&app->drained) > 0)
            world_stop_app(w, app);
    }
}

/* Replacements, reloads and restarts of naru in any order: gates of several old workers overlap. */
TEST(everything_at_once_loses_no_request)
{
    WORLD;
    const char *more = getenv("BALANCER_SECONDS"); /* for a soak: up to 50 */
    const int64_t until_ms = clock_monotonic_ms() + 1000 * (more != NULL ? atoi(more) : 12);
    struct load loads[6] = {{.path = "/"},
                            {.path = "/", .is_fresh = true, .pause_ms = 2},
                            {.path = "/", .pause_ms = 30},
                            {.path = "/", .pause_ms = 300},
                            {.path = "/", .pause_ms = 1700},
                            {.path = "/slow"}};
    struct app *serving[3];
    struct rng rng;
    long requests = 0;

    w->second_port = pick_port();
    for (int i = 0; i < 3; i++)
        world_register(w, serving[i] = app_start(w));
    for (int i = 0; i < 3; i++)
        world_wait_healthy(serving[i]);
    for (int i = 0; i < 6; i++) {
        loads[i].port = w->port;
        load_start(&loads[i]);
    }
    rng_seed(&rng, 7);
    while (clock_monotonic_ms() < until_ms && w->app_count < TARGETS_MAX) {
        const uint64_t what = rng_below(&rng, 10);
        if (what == 0) { /* naru dies and comes back */
            balancer_free(w->balancer);
            world_open(w);
            world_apply(w);
        } else if (what <= 2) { /* a reload */
            w->has_second_listener = !w->has_second_listener;
            world_apply(w);
        } else {
            struct app **old = &serving[rng_below(&rng, 3)], *next = app_start(w);
            world_register(w, next);
            world_wait_healthy(next);
            world_drain(w, *old);
            *old = next;
        }
        end_drained(w);
        clock_sleep_ms((int64_t)rng_below(&rng, 120));
    }
    for (int i = 0; i < 6; i++)
        atomic_store(&loads[i].is_stopping, true);
    for (int i = 0; i < 6; i++) {
        load_stop(&loads[i]);
        requests += atomic_load(&loads[i].requests);
        if (atomic_load(&loads[i].failures) != 0)
            printf("   load %d: last bad status %d\n", i, atomic_load(&loads[i].last_bad_status));
        CHECK_EQ(atomic_load(&loads[i].failures), 0);
    }
    printf("   %ld requests, %d targets\n", requests, w->app_count);
    for (int i = 0; i < w->app_count; i++) { /* every drain ends */
        struct app *app = &w->apps[i];
        if (app->is_draining && app->is_registered)
            WAIT_FOR(atomic_load(&app->drained) > 0, 8000);
    }
}

TEST(listeners_come_and_go)
{
    WORLD;
    struct app *app = app_start(w);

    world_register(w, app);
    world_wait_healthy(app);
    w->has_no_listener = true;
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 8000);
    WAIT_FOR(atomic_load(&app->told_state) == TARGET_unused, 5000);
    CHECK_TEXT(app->told_reason, "Target.NotInUse");
    CHECK_EQ(client_once(w->port, "GET", "/").status, 0);
    world_drain(w, app); /* it has no slot any more */
    world_stop_app(w, app);
    app = app_start(w);
    w->has_no_listener = false;
    world_register(w, app);
    world_wait_healthy(app);
    CHECK_TEXT(client_once(w->port, "GET", "/").body, "app2");
    /* Two for one port: the first has it, until it goes. */
    log_set_level(LOG_ERROR + 1);
    w->has_second_listener = true;
    w->second_port = w->port;
    world_apply(w);
    char why[200];
    WAIT_FOR(balancer_problem(w->balancer, why, sizeof(why)), 5000);
    CHECK(strstr(why, "is listener aaaaaaaaaaaaaaaa's") != NULL);
    CHECK_TEXT(client_once(w->port, "GET", "/").body, "app2");
    w->has_no_listener = true; /* the first */
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 8000);
    CHECK_TEXT(client_once(w->port, "GET", "/").body, "app2");
}

/* While a reload is under way the new worker already listens; that is no stranger on the port. */
TEST(a_new_listener_is_no_stranger_to_itself)
{
    WORLD;
    char problem[512];

    world_register(w, app_start(w));
    world_wait_healthy(&w->apps[0]);
    for (int i = 0; i < 6; i++) {
        w->second_port = pick_port();
        w->has_second_listener = true;
        do {
            world_apply(w);
            if (balancer_problem(w->balancer, problem, sizeof(problem)))
                check_fail(__FILE__, __LINE__, "%s", problem);
            clock_sleep_ms(2);
        } while (!balancer_is_ready(w->balancer));
        w->has_second_listener = false;
        world_apply(w);
        WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    }
}

TEST(what_is_no_address_never_reaches_haproxy)
{
    WORLD;
    struct app *app = app_start(w), *odd = app_start(w);

    log_set_level(LOG_ERROR + 1);
    odd->address = "127.0.0.1;disable server x/y";
    w->check.interval_s = 1;
    world_register(w, odd);
    world_register(w, app);
    world_wait_healthy(app);
    WAIT_FOR(atomic_load(&odd->told_state) == TARGET_unhealthy, 5000);
    CHECK(balancer_is_ready(w->balancer));
    for (int i = 0; i < 3; i++)
        CHECK_TEXT(client_once(w->port, "GET", "/").body, "app1");
    world_drain(w, odd);
    WAIT_FOR(atomic_load(&odd->drained) > 0, 5000);
}

/* ---- the process alone ---- */

struct outcome {
    char folder[64];
    struct loop *loop;
    struct haproxy_process *process;
    atomic_int ready, failed, died;
    char why[1000];
    const char *fingerprint;
};

static void
note_ready(void *ctx)
{
    atomic_fetch_add(&((struct outcome *)ctx)->ready, 1);
}

static void
note_failed(void *ctx, const char *why)
{
    struct outcome *o = ctx;

    snprintf(o->why, sizeof(o->why), "%s", why);
    atomic_fetch_add(&o->failed, 1);
}

static void
note_died(void *ctx)
{
    atomic_fetch_add(&((struct outcome *)ctx)->died, 1);
}

static void
write_config(struct outcome *o, const char *fingerprint, const char *more)
{
    struct err err;
    cleanup_free char *path = text_format("%s/haproxy.cfg", o->folder);
    cleanup_free char *text = text_format(
        "global\n    nbthread 2\n    description %s\n    stats socket unix@admin.sock mode 600 level admin "
        "expose-fd listeners\ndefaults\n    mode http\n    timeout client 1s\n"
        "    timeout connect 1s\n    timeout server 1s\nbackend x\n%s\n",
        fingerprint, more);

    o->fingerprint = fingerprint;
    CHECK(file_write_atomic(path, str_of(text), 0600, &err));
}

static void
do_start(void *arg)
{
    struct outcome *o = arg;

    haproxy_process_start(o->process, o->fingerprint);
}

static void
do_reload(void *arg)
{
    struct outcome *o = arg;

    haproxy_process_reload(o->process, o->fingerprint);
}

static void
do_new(void *arg)
{
    struct outcome *o = arg;
    const struct haproxy_process_spec spec = {.loop = o->loop,
                                              .folder = o->folder,
                                              .program = "/usr/sbin/haproxy",
                                              .ready = note_ready,
                                              .failed = note_failed,
                                              .died = note_died,
                                              .ctx = o};

    o->process = haproxy_process_new(&spec);
}

/* The API lets no such name of a cookie through; should anything ever get that far, it stops nobody. */
TEST(a_refused_configuration_leaves_traffic_to_the_old_one_and_says_so)
{
    WORLD;
    struct app *one = app_start(w), *two = app_start(w);
    struct load load = {.path = "/"};
    char why[512] = "";
    int seen = 0;

    load.port = w->port;
    world_apply(w);
    world_register(w, one);
    world_wait_healthy(one);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    load_start(&load);
    w->options.stickiness = STICKY_APPLICATION;
    w->options.sticky_s = 60;
    text_copy_all(w->options.cookie_name, sizeof(w->options.cookie_name), "a b");
    world_apply(w);
    WAIT_FOR(balancer_problem(w->balancer, why, sizeof(why)), 5000);
    CHECK(!balancer_is_ready(w->balancer));
    CHECK(strstr(why, "[ALERT]") != NULL);
    CHECK(balancer_faults(w->balancer).refused >= 1);
    CHECK_EQ(balancer_faults(w->balancer).deaths, 0);
    world_register(w, two); /* targets come and go meanwhile */
    world_wait_healthy(two);
    WAIT_FOR((seen += strcmp(client_once(w->port, "GET", "/").body, two->name) == 0) > 3, 5000);
    CHECK(balancer_problem(w->balancer, why, sizeof(why)));
    w->options = group_options_of(NULL); /* as it runs: there is nothing to load, and nothing wrong any more */
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    CHECK(!balancer_problem(w->balancer, why, sizeof(why)));
    load_stop(&load);
    CHECK(atomic_load(&load.requests) > 10);
    CHECK_EQ((int)atomic_load(&load.failures), 0);
}

/* Files of the test's own processes hold nothing any more. */
static void
fill_disk(bool is_full)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = is_full ? 0 : limit.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* The limit is naru's alone: HAProxy's memory is files, too, but on no disk. */
static char *
unlimited_haproxy(const struct world *w)
{
    char *path = text_format("%s/unlimited", w->dir);
    struct err err;

    CHECK(file_write_atomic(path, STR("#!/bin/sh\nPATH=$PATH:/usr/sbin\nulimit -S -f unlimited\nexec haproxy \"$@\"\n"),
                            0700, &err));
    return path;
}

static int
noted_master(const struct world *w)
{
    cleanup_free char *path = text_format("%s/haproxy/haproxy.pid", w->dir);
    cleanup(strbuf_done) struct strbuf text = {0};
    struct err err;

    CHECK(file_read(path, 100, &text, &err));
    return atoi(strbuf_cstr(&text));
}

TEST(a_full_disk_stops_only_what_needs_files)
{
    WORLD;
    cleanup_free char *program = unlimited_haproxy(w);
    struct app *one = app_start(w), *two = app_start(w);
    struct load load = {.path = "/"};
    char why[512] = "";
    int seen = 0;

    balancer_free(w->balancer);
    w->program = program;
    world_open(w);
    load.port = w->port;
    world_register(w, one);
    world_wait_healthy(one);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    load_start(&load);
    fill_disk(true);
    w->options.stickiness = STICKY_BALANCER; /* needs another configuration */
    w->options.sticky_s = 60;
    world_apply(w);
    WAIT_FOR(balancer_problem(w->balancer, why, sizeof(why)), 5000);
    CHECK(strstr(why, "File too large") != NULL);
    world_register(w, two); /* needs none */
    world_wait_healthy(two);
    WAIT_FOR((seen += strcmp(client_once(w->port, "GET", "/").body, two->name) == 0) > 3, 5000);
    /* All files are made anew each time: more and more seldom. */
    WAIT_FOR(balancer_faults(w->balancer).refused >= 2, 5000);
    const int64_t refused_ms = clock_monotonic_ms();
    WAIT_FOR(balancer_faults(w->balancer).refused >= 3, 10000);
    CHECK(clock_monotonic_ms() - refused_ms > 1500);
    load_stop(&load);
    CHECK(atomic_load(&load.requests) > 10);
    CHECK_EQ((int)atomic_load(&load.failures), 0);
    /* With what it had it is there again, and learns who came since. */
    CHECK(kill(haproxy_master(w), SIGKILL) == 0);
    WAIT_FOR(client_once(w->port, "GET", "/").status == 200, 5000);
    seen = 0;
    WAIT_FOR((seen += strcmp(client_once(w->port, "GET", "/").body, two->name) == 0) > 3, 5000);
    CHECK(balancer_problem(w->balancer, why, sizeof(why)) && !balancer_is_ready(w->balancer));
    fill_disk(false);
    WAIT_FOR(balancer_is_ready(w->balancer), 10000);
    CHECK_EQ(noted_master(w), haproxy_master(w)); /* else naru down, which may ask in the middle of a reload, leaves it */
    CHECK(!balancer_problem(w->balancer, why, sizeof(why)));
    WAIT_FOR(strstr(client_once(w->port, "GET", "/").head, "AWSALB=") != NULL, 5000); /* an old worker may take one more */
}

static void
begin_process(struct outcome *o, struct guard *guard, char dir[static 48])
{
    char suffix[9];
    struct err err;

    random_hex(suffix, 8);
    snprintf(dir, 48, "/tmp/naru-haproxy-%s", suffix);
    snprintf(o->folder, sizeof(o->folder), "%s/haproxy", dir);
    guard_begin(guard, dir);
    CHECK(file_make_dirs(o->folder, 0700, &err));
    o->loop = loop_new();
    loop_start(o->loop, "haproxy");
    loop_call_and_wait(o->loop, do_new, o);
}

static void
end_process(struct outcome *o, struct guard *guard, const char *dir)
{
    loop_stop(o->loop);
    loop_join(o->loop);
    haproxy_process_free(o->process);
    loop_free(o->loop);
    guard_end(guard, dir);
}

TEST(a_bad_configuration_is_complained_about_and_the_old_one_stays)
{
    static struct outcome o;
    struct guard guard;
    char dir[48];
    struct err err;
    bool was_running;

    begin_process(&o, &guard, dir);
    write_config(&o, "first", "    nonsense here");
    loop_call_and_wait(o.loop, do_start, &o);
    WAIT_FOR(atomic_load(&o.failed) == 1, 5000);
    CHECK(strstr(o.why, "unknown keyword 'nonsense'") != NULL);
    write_config(&o, "second", "");
    loop_call_and_wait(o.loop, do_start, &o);
    WAIT_FOR(atomic_load(&o.ready) == 1, 5000);
    write_config(&o, "third", "    rubbish here");
    loop_call_and_wait(o.loop, do_reload, &o);
    WAIT_FOR(atomic_load(&o.failed) == 2, 5000);
    CHECK(strstr(o.why, "unknown keyword 'rubbish'") != NULL);
    for (int i = 0; i < 5; i++) { /* at once after each other: signals get lost, reloads don't */
        static const char *const names[] = {"a", "b", "c", "d", "e"};
        write_config(&o, names[i], "");
        loop_call_and_wait(o.loop, do_reload, &o);
        WAIT_FOR(atomic_load(&o.ready) == 2 + i, 5000);
    }
    CHECK_EQ(atomic_load(&o.failed), 2);
    CHECK(haproxy_process_stop(o.folder, &was_running, &err) && was_running);
    WAIT_FOR(atomic_load(&o.died) == 1, 5000);
    CHECK(haproxy_process_stop(o.folder, &was_running, &err) && !was_running);
    end_process(&o, &guard, dir);
}

#define OLD_WORKER_STAYS_MS 200 /* well below the second for which naru waits for it */

TEST(a_reload_is_done_when_the_old_worker_takes_nobody_any_more)
{
    static struct outcome o;
    struct guard guard;
    char dir[48], first[200], second[200], until[80];
    const int port = pick_port();
    int64_t seen_ms;
    struct err err;

    snprintf(first, sizeof(first), "frontend f\n    bind 127.0.0.1:%d\n    http-request return status 201", port);
    snprintf(second, sizeof(second), "frontend f\n    bind 127.0.0.1:%d\n    http-request return status 202", port);
    begin_process(&o, &guard, dir);
    snprintf(until, sizeof(until), "%s/until", dir);
    CHECK(setenv("LATE_SIGNAL_UNTIL", until, 1) == 0 && setenv("LD_PRELOAD", LATE_SIGNAL, 1) == 0); /* of HAProxy */
    write_config(&o, "first", first);
    loop_call_and_wait(o.loop, do_start, &o);
    WAIT_FOR(atomic_load(&o.ready) == 1, 5000);
    CHECK_EQ(client_once(port, "GET", "/").status, 201);
    write_config(&o, "second", second);
    const int64_t began_ms = clock_monotonic_ms();
    loop_call_and_wait(o.loop, do_reload, &o);
    WAIT_FOR(client_once(port, "GET", "/").status == 202, 5000);
    bool is_waited_for = true;
    for (seen_ms = clock_monotonic_ms(); clock_monotonic_ms() < seen_ms + OLD_WORKER_STAYS_MS;) {
        CHECK(client_once(port, "GET", "/").status > 0); /* both may answer */
        is_waited_for = is_waited_for && atomic_load(&o.ready) == 1;
    }
    /* The second may be over on a busy machine, on which nothing is shown. */
    CHECK(is_waited_for || clock_monotonic_ms() - began_ms > 1000);
    CHECK(file_write_atomic(until, STR(""), 0600, &err));
    WAIT_FOR(atomic_load(&o.ready) == 2, 5000);
    for (int i = 0; i < 20 && is_waited_for; i++)
        CHECK_EQ(client_once(port, "GET", "/").status, 202);
    end_process(&o, &guard, dir);
}

/* ---- found again ---- */

static pid_t
sleeper_in(const struct outcome *o, const char *directory)
{
    static const char *const argv[] = {"sleep", "60", NULL};
    cleanup_free char *pid_file = text_format("%s/haproxy.pid", o->folder);
    cleanup_free char *log = text_format("%s/haproxy.log", o->folder);
    struct err err;
    pid_t pid;

    unlink(pid_file);
    CHECK(process_spawn_detached(argv, directory, log, pid_file, &pid, &err));
    return pid;
}

static void
write_pid(const struct outcome *o, pid_t pid, uint64_t start_time)
{
    cleanup_free char *pid_file = text_format("%s/haproxy.pid", o->folder);
    cleanup_free char *text = text_format("%d %llu\n", (int)pid, (unsigned long long)start_time);
    struct err err;

    CHECK(file_write_atomic(pid_file, str_of(text), 0600, &err));
}

/* The name of the first file made or renamed in there that begins so. */
static void
wait_for_file(int watch, const char *start, char out[static NAME_MAX + 1])
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

    for (out[0] = '\0'; out[0] == '\0';) {
        const ssize_t size = read(watch, events, sizeof(events));
        CHECK(size > 0);
        for (ssize_t at = 0; at < size && out[0] == '\0';) {
            const struct inotify_event *e = (const void *)(events + at);
            if (e->len > 0 && strncmp(e->name, start, strlen(start)) == 0)
                snprintf(out, NAME_MAX + 1, "%s", e->name);
            at += (ssize_t)(sizeof(*e) + e->len);
        }
    }
}

static pid_t
zombie_make(void)
{
    siginfo_t info;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(7);
    CHECK(pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
    return pid;
}

/* Its number comes by the process itself, before naru, which may be killed just then, writes down whose it is. */
TEST(a_haproxy_whose_start_nobody_saw_to_the_end_is_found)
{
    static struct outcome o;
    struct guard guard;
    char dir[48], first[NAME_MAX + 1];
    bool was_running;
    struct err err;

    begin_process(&o, &guard, dir);
    cleanup_close int watch = inotify_init1(IN_CLOEXEC);
    write_config(&o, "first", "");
    CHECK(watch >= 0 && inotify_add_watch(watch, o.folder, IN_CREATE | IN_MOVED_TO) >= 0);
    loop_call_and_wait(o.loop, do_start, &o);
    wait_for_file(watch, "haproxy.pid", first);
    CHECK_TEXT(first, "haproxy.pid"); /* as the process makes it, and not beside it, as naru does */
    WAIT_FOR(atomic_load(&o.ready) == 1, 5000);
    CHECK(haproxy_process_stop(o.folder, &was_running, &err) && was_running);
    WAIT_FOR(atomic_load(&o.died) == 1, 5000);
    const pid_t ours = sleeper_in(&o, o.folder);
    CHECK(haproxy_process_stop(o.folder, &was_running, &err) && was_running);
    CHECK(!process_is_alive(ours));
    const pid_t other = sleeper_in(&o, "/"); /* the number is somebody else's by now */
    CHECK(haproxy_process_stop(o.folder, &was_running, &err) && !was_running);
    CHECK(process_is_alive(other));
    process_kill_group(other, SIGKILL);
    CHECK(waitpid(other, NULL, 0) == other);
    end_process(&o, &guard, dir);
}

TEST(whose_number_a_haproxy_once_had_is_left_to_who_started_him)
{
    static struct outcome o;
    struct guard guard;
    char dir[48];
    bool was_running;
    int status;
    struct err err;

    begin_process(&o, &guard, dir);
    const pid_t child = zombie_make();
    write_pid(&o, child, 1);
    CHECK(haproxy_process_stop(o.folder, &was_running, &err) && !was_running);
    CHECK(waitpid(child, &status, WNOHANG) == child && WEXITSTATUS(status) == 7);
    end_process(&o, &guard, dir);
}
