/* SPDX-License-Identifier: MIT */
/* What the real HAProxy says of requests: counts, latencies, access logs. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "balancer/world.h"
#include "base/log.h"
#include "io/file.h"

struct seen {
    enum traffic_kind kind;
    const char *id;
    int64_t total[TRAFFIC_COUNT_SIZE], now[GAUGE_SIZE];
    int64_t samples, latency_ms;
    int points;
};

static void
copy_series(void *arg, const struct balancer_traffic *traffic)
{
    struct seen *seen = arg;
    const struct traffic_series *s = traffic_book_find(traffic->book, seen->kind, seen->id);

    if (s == NULL)
        return;
    memcpy(seen->total, s->total, sizeof(seen->total));
    memcpy(seen->now, s->now, sizeof(seen->now));
    seen->samples = s->latency_samples;
    seen->latency_ms = s->latency_total_ms;
    seen->points = s->point_count;
}

static struct seen
see(struct world *w, enum traffic_kind kind, const char *id)
{
    struct seen seen = {.kind = kind, .id = id};

    CHECK(balancer_traffic(w->balancer, copy_series, &seen));
    return seen;
}

static int64_t
total(struct world *w, enum traffic_kind kind, const char *id, enum traffic_count what)
{
    return see(w, kind, id).total[what];
}

#define BALANCER TRAFFIC_OF_LOAD_BALANCER, LB_ARN
#define GROUP TRAFFIC_OF_GROUP, GROUP_ARN

static struct world *
seeing_world(struct app **app)
{
    struct world *w = world_new();

    world_see(w);
    *app = app_start(w);
    world_register(w, *app);
    world_wait_healthy(*app);
    return w;
}

static void
ask_times(struct world *w, int times, const char *method, const char *path, int status)
{
    for (int i = 0; i < times; i++)
        CHECK_EQ(client_once(w->port, method, path).status, status);
}

static void
take_dropped(void *arg, const struct balancer_traffic *traffic)
{
    *(int64_t *)arg = traffic->dropped_lines;
}

/* Whatever lines HAProxy could not put into the queue of a busy reader is no sample, and said so. */
static void
check_samples(struct world *w, int64_t samples, int64_t requests)
{
    int64_t dropped = 0;

    CHECK(balancer_traffic(w->balancer, take_dropped, &dropped));
    CHECK(samples <= requests && samples + dropped >= requests);
}

TEST(every_request_is_counted)
{
    struct app *app;
    cleanup(world_free) struct world *w = seeing_world(&app);
    char target[ARN_SIZE];

    snprintf(target, sizeof(target), "0123456789abcdef/127.0.0.1:%d", app->port);
    ask_times(w, 30, "GET", "/", 200);
    ask_times(w, 3, "TRACE", "/", 405);
    WAIT_FOR(total(w, BALANCER, TRAFFIC_requests) == 33, 5000);
    WAIT_FOR(total(w, TRAFFIC_OF_TARGET, target, TRAFFIC_target_2xx) == 30, 5000);
    WAIT_FOR(total(w, BALANCER, TRAFFIC_elb_4xx) == 3, 5000);
    const struct seen lb = see(w, BALANCER), group = see(w, GROUP);
    const struct seen one = see(w, TRAFFIC_OF_TARGET, target);
    const struct seen rule = see(w, TRAFFIC_OF_RULE, "aaaaaaaaaaaaaaaa.default");
    CHECK_EQ(lb.total[TRAFFIC_routed], 30);
    CHECK_EQ(lb.total[TRAFFIC_target_2xx], 30);
    CHECK_EQ(lb.total[TRAFFIC_elb_2xx], 0);
    CHECK_EQ(lb.total[TRAFFIC_elb_5xx], 0);
    CHECK_EQ(lb.total[TRAFFIC_connections], 33);
    CHECK(lb.total[TRAFFIC_sent_bytes] > 30 * 60);
    check_samples(w, lb.samples, 30);
    CHECK(lb.points >= 1);
    CHECK_EQ(group.total[TRAFFIC_requests], 30);
    CHECK_EQ(group.now[GAUGE_healthy], 1);
    CHECK_EQ(group.now[GAUGE_unhealthy], 0);
    CHECK_EQ(one.total[TRAFFIC_requests], 30);
    check_samples(w, one.samples, 30);
    CHECK_EQ(one.points, 0);
    CHECK_EQ(rule.total[TRAFFIC_requests], 33);
}

/* Those of its own have their codes, and those in flight are seen. */
TEST(errors_and_requests_in_flight_are_counted)
{
    struct app *app;
    cleanup(world_free) struct world *w = seeing_world(&app);
    struct load held = {.path = "/held", .port = w->port};

    load_start(&held);
    WAIT_FOR(see(w, GROUP).now[GAUGE_in_flight] == 1, 5000);
    CHECK(see(w, BALANCER).now[GAUGE_connections] >= 1);
    clock_sleep_ms(300);
    atomic_store(&held.is_stopping, true);
    atomic_store(&app->is_released, true);
    load_stop(&held);
    WAIT_FOR(see(w, GROUP).now[GAUGE_in_flight] == 0, 5000);
    CHECK(see(w, BALANCER).latency_ms >= 300);
    app_stop(app); /* dies without a word */
    ask_times(w, 1, "POST", "/", 502);
    WAIT_FOR(total(w, BALANCER, TRAFFIC_elb_502) == 1, 10000);
    CHECK_EQ(total(w, BALANCER, TRAFFIC_elb_5xx), 1);
    CHECK_EQ(total(w, BALANCER, TRAFFIC_elb_503), 0);
    CHECK(total(w, GROUP, TRAFFIC_connection_errors) >= 1);
}

/* Three reloads under load; adds what was asked to `*asked`. How many of a hundred requests were counted? */
static long
counted_of_a_hundred(struct world *w, struct load *l, long *asked)
{
    const int64_t before = total(w, BALANCER, TRAFFIC_requests), group_before = total(w, GROUP, TRAFFIC_target_2xx);
    int64_t counted = 0, least = 0;

    load_start(l);
    for (int i = 0; i < 3; i++) {
        const pid_t worker = haproxy_worker(w);
        clock_sleep_ms(1100);
        w->has_second_listener = !w->has_second_listener;
        w->second_port = pick_port();
        world_apply(w);
        WAIT_FOR(haproxy_worker(w) != worker, 5000);
    }
    load_stop(l);
    check_no_failures(l, "reloads");
    const long all = atomic_load(&l->requests);
    *asked += all;
    for (int i = 0; i < 3000 && least < all * 9 / 10; i++) {
        counted = total(w, BALANCER, TRAFFIC_requests) - before;
        least = total(w, GROUP, TRAFFIC_target_2xx) - group_before;
        least = least < counted ? least : counted;
        clock_sleep_ms(1);
    }
    printf("   %lld of %ld counted\n", (long long)counted, all);
    return least * 100 / all;
}

/* Counters begin anew with each worker; what is booked does not.  What a worker did in its last
 * milliseconds, after it was asked for the last time, is not known.  Where others keep the machine who asks is late,
 * so it may show this in one of some tries. */
TEST(a_reload_loses_nearly_no_count)
{
    struct app *app;
    cleanup(world_free) struct world *w = seeing_world(&app);
    long asked = 0, counted = 0;

    for (int i = 0; i < 5 && counted < 90; i++) {
        struct load l = {.path = "/", .port = w->port, .pause_ms = 2};
        counted = counted_of_a_hundred(w, &l, &asked);
        CHECK(total(w, BALANCER, TRAFFIC_requests) <= asked && total(w, GROUP, TRAFFIC_target_2xx) <= asked);
    }
    CHECK(counted >= 90);
    CHECK_EQ(total(w, BALANCER, TRAFFIC_elb_5xx), 0);
}

static void
take_old_workers(void *arg, const struct balancer_traffic *traffic)
{
    *(int *)arg = traffic->old_workers;
}

static int
old_workers(struct world *w)
{
    int count = 0;

    CHECK(balancer_traffic(w->balancer, take_old_workers, &count));
    return count;
}

/* Whoever still waits for an answer keeps the worker that took the request. */
TEST(workers_of_before_a_reload_are_counted_until_they_end)
{
    struct app *app;
    cleanup(world_free) struct world *w = seeing_world(&app);
    struct load held = {.path = "/held", .port = w->port};

    load_start(&held);
    WAIT_FOR(see(w, GROUP).now[GAUGE_in_flight] == 1, 5000);
    CHECK_EQ(old_workers(w), 0);
    w->has_second_listener = true;
    w->second_port = pick_port();
    world_apply(w);
    WAIT_FOR(old_workers(w) == 1, 5000);
    atomic_store(&held.is_stopping, true);
    atomic_store(&app->is_released, true);
    load_stop(&held);
    CHECK_EQ(atomic_load(&held.failures), 0);
    WAIT_FOR(old_workers(w) == 0, 10000);
}

/* The text of all access logs that were ended. */
static char *
read_logs(struct world *w)
{
    cleanup_free char *command =
        text_format("cd %s/log/s3 && find . -name '*.gz' | sort | xargs -r zcat", w->dir);

    return check_shell(command);
}

static void
check_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        check_fail(__FILE__, __LINE__, "no '%s' in:\n%s", part, text);
}

static void
count_lines(void *arg, const struct balancer_traffic *traffic)
{
    *(int64_t *)arg = traffic->lines;
}

static int64_t
lines_read(struct world *w)
{
    int64_t lines = 0;

    CHECK(balancer_traffic(w->balancer, count_lines, &lines));
    return lines;
}

static const char rules[] =
    "[{\"Id\":\"99aabbccddeeff00\",\"Conditions\":[{\"Field\":\"path-pattern\",\"PathPatternConfig\":{\"Values\":"
    "[\"/go/*\"]}}],\"Actions\":[{\"Type\":\"redirect\",\"RedirectConfig\":{\"StatusCode\":\"HTTP_302\","
    "\"Host\":\"other.example\",\"Path\":\"/there\",\"Query\":\"\",\"Protocol\":\"HTTPS\",\"Port\":\"443\"}}]},"
    "{\"Id\":\"99aabbccddeeff01\",\"Conditions\":[{\"Field\":\"path-pattern\",\"PathPatternConfig\":{\"Values\":"
    "[\"/fix*\"]}}],\"Actions\":[{\"Type\":\"fixed-response\",\"FixedResponseConfig\":{\"StatusCode\":\"404\","
    "\"ContentType\":\"text/plain\",\"MessageBody\":\"no\"}}]}]";

static int64_t
of_all_rules(struct world *w)
{
    return total(w, TRAFFIC_OF_RULE, "99aabbccddeeff00", TRAFFIC_requests) +
           total(w, TRAFFIC_OF_RULE, "99aabbccddeeff01", TRAFFIC_requests) +
           total(w, TRAFFIC_OF_RULE, "aaaaaaaaaaaaaaaa.default", TRAFFIC_requests);
}

TEST(access_logs_have_an_entry_of_each_request)
{
    struct app *app;
    cleanup(world_free) struct world *w = seeing_world(&app);
    char part[300];

    w->rules = rules;
    w->log_bucket = "my-logs";
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    CHECK_EQ(client_send(w->port, "GET /a?b=\"c HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: te\"st\\\r\n"
                                  "X-Amzn-Trace-Id: Root=1-5-6\r\nConnection: close\r\n\r\n").status, 200);
    CHECK_EQ(client_send(w->port, "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: te\"st\\\t\x01\xc3\xa4\r\n"
                                  "X-Amzn-Trace-Id: Root=1-5-6\r\nConnection: close\r\n\r\n").status, 200);
    CHECK_EQ(client_send(w->port, "GET /go/x HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").status, 302);
    CHECK_EQ(client_send(w->port, "GET /fix HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").status, 404);
    CHECK_EQ(client_send(w->port, "nonsense\r\n\r\n").status, 400);
    WAIT_FOR(lines_read(w) >= 5, 5000);
    WAIT_FOR(of_all_rules(w) >= 4, 5000); /* which of them, the lines of that second say */
    balancer_free(w->balancer); /* naru stops: files end */
    cleanup_free char *text = read_logs(w);
    snprintf(part, sizeof(part), " app/x/0011223344556677 127.0.0.1:");
    check_has(text, part);
    snprintf(part, sizeof(part), " 127.0.0.1:%d 0.00", app->port);
    check_has(text, part);
    snprintf(part, sizeof(part), "\"GET http://shop.example:%d/a?b=c HTTP/1.1\" \"te\\x22st\\x5C\\x09\\x01\\xC3\\xA4\" - - "
             GROUP_ARN " \"Self=1-", w->port);
    check_has(text, part);
    check_has(text, "/a?b=\\x22c HTTP/1.1\" ");
    check_has(text, ";Root=1-5-6\" \"-\" \"-\" 0 20");
    snprintf(part, sizeof(part), "\"GET http://shop.example:%d/go/x HTTP/1.1\" \"-\" - - - \"Root=1-", w->port);
    check_has(text, part);
    check_has(text, " \"redirect\" \"https://other.example:443/there\" \"-\" \"-\" \"-\" \"-\" \"-\" TID_");
    check_has(text, "\"-\" \"-\" 10 20");
    check_has(text, " 404 - ");
    check_has(text, " \"fixed-response\" \"-\" ");
    snprintf(part, sizeof(part), "\"- http://-:%d- -\" \"-\" - - - \"-\" \"-\" \"-\" - 20", w->port);
    check_has(text, part);
    world_open(w);
}

/* ---- targets without connections ---- */

/* Has no patience with targets; the configuration is as it is. */
static char *
impatient_haproxy(const struct world *w)
{
    char *path = text_format("%s/impatient", w->dir);
    struct err err;

    CHECK(file_write_atomic(path, STR("#!/bin/sh\nPATH=$PATH:/usr/sbin\n"
                                      "sed -i 's/timeout connect [0-9]*ms/timeout connect 20ms/' haproxy.cfg\n"
                                      "exec haproxy \"$@\"\n"), 0700, &err));
    return path;
}

/* A port whose queue is full: nobody hears from it. */
struct mute {
    int port, fd, clients[4];
};

static void
mute_begin(struct mute *m)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(a);

    m->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(m->fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(m->fd, 0) == 0);
    CHECK(getsockname(m->fd, (struct sockaddr *)&a, &len) == 0);
    m->port = ntohs(a.sin_port);
    for (size_t i = 0; i < ARRAY_COUNT(m->clients); i++) {
        m->clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(m->clients[i], (struct sockaddr *)&a, sizeof(a));
    }
}

/* Now it refuses. */
static void
mute_end(struct mute *m)
{
    for (size_t i = 0; i < ARRAY_COUNT(m->clients); i++)
        close(m->clients[i]);
    close(m->fd);
}

static void
check_unreachable(bool is_tls)
{
    struct mute mute;
    WORLD;
    cleanup_free char *program = impatient_haproxy(w);

    mute_begin(&mute);
    w->program = program;
    w->options.is_tls = is_tls;
    w->check.enabled = false; /* it is served unseen */
    w->log_bucket = "my-logs";
    world_see(w);
    world_register(w, app_at(w, mute.port));
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    const struct reply reply = client_once(w->port, "GET", "/");
    CHECK_EQ(reply.status, 504);
    CHECK_TEXT(reply.body, "<html><body><h1>No target could be reached</h1></body></html>");
    ask_times(w, 1, "POST", "/", 504);
    mute_end(&mute);
    ask_times(w, 1, "GET", "/", 502);
    WAIT_FOR(total(w, BALANCER, TRAFFIC_elb_5xx) == 3, 5000);
    WAIT_FOR(total(w, BALANCER, TRAFFIC_elb_504) == 2, 5000);
    WAIT_FOR(total(w, BALANCER, TRAFFIC_elb_502) == 1, 5000);
    CHECK_EQ(total(w, BALANCER, TRAFFIC_elb_503), 0);
    balancer_free(w->balancer);
    cleanup_free char *text = read_logs(w);
    check_has(text, " -1 -1 -1 504 - ");
    check_has(text, " -1 -1 -1 502 - ");
    world_open(w);
}

TEST(a_target_that_takes_no_connection_is_504_and_one_that_refuses_is_502)
{
    check_unreachable(/* is_tls= */ false);
}

TEST(so_is_one_that_is_spoken_to_by_tls)
{
    check_unreachable(/* is_tls= */ true);
}

/* Who keeps none has lines of samples only, and no file. */
TEST(without_access_logs_there_are_no_files)
{
    struct app *app;
    cleanup(world_free) struct world *w = seeing_world(&app);
    cleanup_free char *root = text_format("%s/log/s3", w->dir);

    ask_times(w, 5, "GET", "/", 200);
    WAIT_FOR(lines_read(w) == 5, 5000);
    CHECK(!file_exists(root));
}

/* HAProxy goes on without a reader, and is heard again by the next one. */
TEST(traffic_does_not_wait_for_a_reader)
{
    struct app *app;
    cleanup(world_free) struct world *w = seeing_world(&app);
    struct load l = {.path = "/", .port = w->port, .pause_ms = 1};

    load_start(&l);
    for (int i = 0; i < 3; i++) {
        balancer_free(w->balancer);
        clock_sleep_ms(200);
        world_open(w);
        world_apply(w);
        WAIT_FOR(lines_read(w) > 0, 5000);
    }
    load_stop(&l);
    check_no_failures(&l, "readers");
}
