/* SPDX-License-Identifier: MIT */
#include "balancer/world.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "balancer/haproxy_socket.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "io/file.h"
#include "io/http_server.h"

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
    if (str_is(x->path, "/slow")) {
        clock_sleep_ms(1500);
        atomic_store(&app->slow_ended_ms, clock_monotonic_ms());
    }
    while (str_is(x->path, "/held") && !atomic_load(&app->is_released))
        clock_sleep_ms(5);
    if (str_is(x->path, "/xff")) {
        char text[256];
        const struct str xff = http_header_get(x, "X-Forwarded-For");
        const struct str trace = http_header_get(x, "X-Amzn-Trace-Id");
        snprintf(text, sizeof(text), "%.*s %.*s", (int)xff.len, xff.at, (int)trace.len, trace.at);
        http_reply(x, 200, NULL, str_of(text));
        return;
    }
    if (str_is(x->path, "/proto")) {
        char text[256];
        const struct str proto = http_header_get(x, "X-Forwarded-Proto"), port = http_header_get(x, "X-Forwarded-Port");
        snprintf(text, sizeof(text), "%.*s %.*s", (int)proto.len, proto.at, (int)port.len, port.at);
        http_reply(x, 200, NULL, str_of(text));
        return;
    }
    if (str_is(x->path, "/mtls")) {
        static const char *const names[] = {"Serial-Number", "Issuer", "Subject", "Validity", "Leaf", "Other"};
        cleanup(strbuf_done) struct strbuf text = {0};
        for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
            cleanup_free char *name = text_format("X-Amzn-Mtls-Clientcert-%s", names[i]);
            const struct str value = http_header_get(x, name);
            strbuf_addf(&text, "%s=" STR_FMT "\n", names[i], STR_ARG(value));
        }
        const struct str plain = http_header_get(x, "X-Amzn-Mtls-Clientcert"), own = http_header_get(x, "X-My_Name"),
                         folded = http_header_get(x, "X_Amzn_Mtls_Clientcert_Subject");
        strbuf_addf(&text, "Plain=" STR_FMT "\nOwn=" STR_FMT "\nFolded=" STR_FMT "\n", STR_ARG(plain), STR_ARG(own),
                    STR_ARG(folded));
        http_reply(x, 200, NULL, strbuf_str(&text));
        return;
    }
    if (str_is(x->path, "/seen")) {
        const struct str host = http_header_get(x, "Host");
        cleanup_free char *text = text_format(STR_FMT " " STR_FMT, STR_ARG(x->query), STR_ARG(host));
        http_reply(x, 200, NULL, str_of(text));
        return;
    }
    const struct http_header login[] = {{"Set-Cookie", "SID=abc; Path=/"}, {NULL, NULL}};
    http_reply(x, 200, str_is(x->path, "/login") ? login : NULL, str_of(app->name));
}

void
world_begin_request(struct world *w, struct app *app, struct load *load)
{
    world_register(w, app);
    world_wait_healthy(app);
    load->port = w->port;
    load_start(load);
    WAIT_FOR(atomic_load(&app->requests) > 0, 5000);
    atomic_store(&load->is_stopping, true);
}

struct app *
app_start(struct world *w)
{
    CHECK(w->app_count < TARGETS_MAX);
    struct app *app = &w->apps[w->app_count];
    const struct http_route route = {.prefix = "/", .end = app_answer, .ctx = app};
    struct err err;

    snprintf(app->name, sizeof(app->name), "app%d", w->app_count + 1);
    atomic_store(&app->health_status, 200);
    atomic_store(&app->told_state, -1);
    app->server = http_server_start("127.0.0.1", 0, &route, 1, &err);
    if (app->server == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
    app->port = (int)http_server_port(app->server);
    pthread_mutex_lock(&w->lock); /* reports look for it */
    w->app_count++;
    pthread_mutex_unlock(&w->lock);
    return app;
}

struct app *
app_at(struct world *w, int port)
{
    CHECK(w->app_count < TARGETS_MAX);
    struct app *app = &w->apps[w->app_count];

    atomic_store(&app->told_state, -1);
    app->port = port;
    pthread_mutex_lock(&w->lock);
    w->app_count++;
    pthread_mutex_unlock(&w->lock);
    return app;
}

void
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
        atomic_store(&app->told_registration, (int)event->target_health.registration);
        app->state = event->target_health.state;
        atomic_store(&app->told_state, (int)event->target_health.state);
    } else if (event->type == EVENT_TARGET_DRAINED) {
        struct app *app = find_app(w, event->target_drained.port);
        app->drained_ms = clock_monotonic_ms();
        atomic_store(&app->told_registration, (int)event->target_drained.registration);
        atomic_fetch_add(&app->drained, 1);
    } else if (event->type == EVENT_LISTENER_IN_FORCE) {
        atomic_store(&w->in_force, (int)event->listener_in_force.generation);
    }
    pthread_mutex_unlock(&w->lock);
}

static void
add_listener(struct balancer_view *v, const char *id, int port, const char *actions, int generation,
             bool is_awaited)
{
    struct view_listener *l = &v->listeners[v->listener_count++];
    struct err err;

    snprintf(l->id, sizeof(l->id), "%s", id);
    snprintf(l->arn, sizeof(l->arn), "arn:aws:elasticloadbalancing:::listener/app/x/y/%s", id);
    l->port = port;
    l->idle_timeout_s = 60;
    l->actions = json_parse(str_of(actions), &err);
    CHECK(l->actions != NULL);
    text_copy_all(l->load_balancer_arn, sizeof(l->load_balancer_arn), LB_ARN);
    l->generation = generation;
    l->is_awaited = is_awaited;
}

static void
add_rules(struct view_listener *l, const char *rules)
{
    struct err err;
    cleanup_json struct json *list = json_parse(str_of(rules), &err);

    if (list == NULL)
        check_fail(__FILE__, __LINE__, "%s: %s", rules, err.message);
    l->rules = mem_new((json_size(list) + 1) * sizeof(*l->rules));
    for (size_t i = 0; i < json_size(list); i++) {
        struct view_rule *r = &l->rules[l->rule_count++];
        r->priority = 10 * l->rule_count;
        CHECK(text_copy(r->id, sizeof(r->id), str_of(json_get_cstr(json_at(list, i), "Id", ""))));
        r->conditions = json_ref(json_get(json_at(list, i), "Conditions"));
        if (json_get(json_at(list, i), "Transforms") != NULL)
            r->transforms = json_ref(json_get(json_at(list, i), "Transforms"));
        r->actions = json_ref(json_get(json_at(list, i), "Actions"));
    }
}

static bool
is_led_to(const struct world *w, const char *arn)
{
    return strstr(w->actions, arn) != NULL || (w->rules != NULL && strstr(w->rules, arn) != NULL);
}

static void
add_group(struct world *w, struct balancer_view *v, int index, const char *arn, const char *id)
{
    struct view_group *g = &v->groups[v->group_count++];

    snprintf(g->arn, sizeof(g->arn), "%s", arn);
    snprintf(g->id, sizeof(g->id), "%s", id);
    snprintf(g->algorithm, sizeof(g->algorithm), "round_robin");
    g->check = w->check;
    g->options = w->options;
    g->deregistration_delay_s = w->drain_delay_s;
    g->tcp = w->tcp;
    g->in_use = v->listener_count > 0 && is_led_to(w, arn);
    g->targets = mem_new(TARGETS_MAX * sizeof(*g->targets));
    for (int i = 0; i < w->app_count; i++) {
        const struct app *app = &w->apps[i];
        if (!app->is_registered || app->group != index)
            continue;
        struct view_target *t = &g->targets[g->target_count++];
        snprintf(t->id, sizeof(t->id), "127.0.0.1");
        snprintf(t->address, sizeof(t->address), "%s",
                 app->address != NULL ? app->address : "127.0.0.1");
        t->port = app->port;
        t->registration = app->registration;
        t->is_draining = app->is_draining;
        t->state = app->state;
    }
}

static struct balancer_view *
make_view(struct world *w)
{
    struct balancer_view *v = mem_new(sizeof(*v));

    v->listeners = mem_new(2 * sizeof(*v->listeners));
    v->groups = mem_new(2 * sizeof(*v->groups));
    if (!w->has_no_listener)
        add_listener(v, "aaaaaaaaaaaaaaaa", w->port, w->actions, w->generation,
                     atomic_load(&w->in_force) < w->generation);
    if (!w->has_no_listener && w->attributes != NULL) {
        struct err err;
        v->listeners[0].balancer_attributes = json_parse(str_of(w->attributes), &err);
        CHECK(v->listeners[0].balancer_attributes != NULL);
    }
    if (!w->has_no_listener && w->rules != NULL)
        add_rules(&v->listeners[0], w->rules);
    if (!w->has_no_listener && w->sources != NULL) {
        struct err err;
        v->listeners[0].sources = json_parse(str_of(w->sources), &err);
        CHECK(v->listeners[0].sources != NULL);
    }
    if (!w->has_no_listener && w->log_bucket != NULL)
        text_copy_all(v->listeners[0].log_bucket, LOG_BUCKET_SIZE, w->log_bucket);
    if (w->has_second_listener)
        add_listener(v, "bbbbbbbbbbbbbbbb", w->second_port, w->actions, 0, false);
    for (int i = 0; i < v->listener_count; i++)
        v->listeners[i].is_tcp = w->tcp.is_on;
    add_group(w, v, 0, GROUP_ARN, "0123456789abcdef");
    add_group(w, v, 1, OTHER_ARN, "fedcba9876543210");
    if (w->more != NULL)
        w->more(w->more_arg, v);
    return v;
}

void
world_apply(struct world *w)
{
    pthread_mutex_lock(&w->lock);
    struct balancer_view *view = make_view(w);
    pthread_mutex_unlock(&w->lock);
    balancer_apply(w->balancer, view);
}

void
world_register(struct world *w, struct app *app)
{
    app->is_registered = true;
    world_apply(w);
}

void
world_wait_healthy(struct app *app)
{
    WAIT_FOR(atomic_load(&app->told_state) == TARGET_healthy, 5000);
}

void
world_drain(struct world *w, struct app *app)
{
    app->is_draining = true;
    world_apply(w);
}

/* What the core does after it heard of it: forgets the target; then the task may end. */
void
world_stop_app(struct world *w, struct app *app)
{
    WAIT_FOR(atomic_load(&app->drained) > 0, 20000);
    app_stop(app);
    app->is_registered = false;
    world_apply(w);
}

/* ---- the world ---- */

#define PORTS_FIRST 10240 /* to 32767: below the ports that clients get, which could be on it when it is listened on */

int
pick_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint16_t any;

    do {
        random_bytes(&any, sizeof(any));
        a.sin_port = htons((uint16_t)(PORTS_FIRST + any % (32768 - PORTS_FIRST)));
    } while (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0);
    return ntohs(a.sin_port);
}

void
world_open(struct world *w)
{
    struct err err;
    const struct balancer_config config = {
        .data_dir = w->dir, .haproxy = w->program, .account = w->sees ? "000000000000" : NULL,
        .bind_address = "127.0.0.1", .report = take_report, .ctx = w};

    w->balancer = balancer_new(&config, &err);
    if (w->balancer == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
}

void
world_see(struct world *w)
{
    w->sees = true;
    balancer_free(w->balancer);
    world_open(w);
}

/* HAProxy is made to outlive its starter. A failed check ends the test at once, so a process of its
 * own waits for that and then cleans up. */
void
guard_begin(struct guard *g, const char *dir)
{
    struct err err;
    int ends[2];
    bool was_running;
    char byte;

    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    fflush(stdout);
    g->pid = fork();
    CHECK(g->pid >= 0);
    g->fd = ends[1];
    if (g->pid > 0) {
        close(ends[0]);
        return;
    }
    setsid(); /* the test's own group is killed when it ends */
    close(ends[1]);
    if (read(ends[0], &byte, 1) < 0 || !balancer_shutdown(dir, &was_running, &err) ||
        !file_remove_tree(dir, &err))
        _exit(1);
    _exit(0);
}

void
guard_end(struct guard *g, const char *dir)
{
    int status = -1;

    close(g->fd);
    CHECK(waitpid(g->pid, &status, 0) == g->pid && status == 0);
    CHECK(!file_exists(dir));
}

struct world *
world_new(void)
{
    return world_new_at("naru-balancer");
}

struct world *
world_new_at(const char *folder)
{
    struct world *w = mem_new(sizeof(*w));
    char suffix[9];

    signal(SIGPIPE, SIG_IGN);
    log_set_level(getenv("BALANCER_LOG") != NULL ? LOG_DEBUG : LOG_ERROR);
    random_hex(suffix, 8);
    snprintf(w->dir, sizeof(w->dir), "/tmp/%s-%s", folder, suffix);
    guard_begin(&w->guard, w->dir);
    pthread_mutex_init(&w->lock, NULL);
    w->port = pick_port();
    w->drain_delay_s = 30;
    w->options = group_options_of(NULL);
    w->actions = FORWARD;
    w->check = (struct health_check){.enabled = true,
                                     .protocol = "HTTP",
                                     .path = "/health",
                                     .interval_s = 5,
                                     .timeout_s = 2,
                                     .healthy_threshold = 2,
                                     .unhealthy_threshold = 2,
                                     .matcher = "200"};
    world_open(w);
    return w;
}

void
world_free(struct world **at)
{
    struct world *w = *at;

    balancer_free(w->balancer);
    for (int i = 0; i < w->app_count; i++)
        if (w->apps[i].server != NULL)
            app_stop(&w->apps[i]);
    guard_end(&w->guard, w->dir);
    free(w);
}
static struct haproxy_processes
ask_processes(struct world *w)
{
    cleanup_free char *path = text_format("%s/haproxy/master.sock", w->dir);
    struct haproxy_processes processes;
    struct err err;

    for (int i = 0; i < 1000; i++) { /* a crash loop is held for a second */
        cleanup(strbuf_done) struct strbuf answer = {0};
        if (haproxy_ask(path, "show proc", &answer, &err) &&
            haproxy_parse_processes(strbuf_str(&answer), &processes, &err) && processes.worker != 0)
            return processes;
        clock_sleep_ms(5);
    }
    check_fail(__FILE__, __LINE__, "%s", err.message);
}

pid_t
haproxy_master(struct world *w)
{
    return ask_processes(w).master;
}

pid_t
haproxy_worker(struct world *w)
{
    return ask_processes(w).worker;
}

void
check_no_failures(struct load *l, const char *name)
{
    const long requests = atomic_load(&l->requests), failures = atomic_load(&l->failures);

    printf("   %s: requests=%ld failed=%ld last_bad_status=%d\n", name, requests, failures,
           atomic_load(&l->last_bad_status));
    CHECK(requests > 20);
    CHECK_EQ(failures, 0);
}
