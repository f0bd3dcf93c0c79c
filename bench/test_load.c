/* SPDX-License-Identifier: MIT */
/* The load generator is what says that no request failed: it has to see the failures. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "check.h"
#include "load.h"

enum manner { GOOD, UNAVAILABLE, CUT_SHORT, SILENT, CLOSE_BEHIND_EACH };

struct server {
    int listener, port;
    enum manner manner;
    atomic_bool is_over;
    pthread_t thread;
};

static const char *
answer_of(enum manner manner)
{
    switch (manner) {
    case UNAVAILABLE:
        return "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno";
    case CUT_SHORT:
        return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort";
    case SILENT:
        return "";
    default:
        return "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Version: v7\r\n\r\nbody";
    }
}

static void
serve_connection(struct server *s, int fd)
{
    const char *answer = answer_of(s->manner);
    char request[2048];

    while (!atomic_load(&s->is_over) && recv(fd, request, sizeof(request), 0) > 0) {
        if (send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
            break;
        if (s->manner == SILENT)
            clock_sleep_ms(400);
        if (s->manner == CUT_SHORT || s->manner == CLOSE_BEHIND_EACH)
            break; /* without having said so in a header */
    }
    close(fd);
}

static void *
run_server(void *arg)
{
    struct server *s = arg;
    int fd;

    while ((fd = accept(s->listener, NULL, NULL)) >= 0)
        serve_connection(s, fd);
    return NULL;
}

static void
server_start(struct server *s, enum manner manner)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    s->manner = manner;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(s->listener, (const struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(s->listener, 16) == 0);
    CHECK(getsockname(s->listener, (struct sockaddr *)&address, &size) == 0);
    s->port = ntohs(address.sin_port);
    CHECK(pthread_create(&s->thread, NULL, run_server, s) == 0);
}

static void
server_stop(struct server *s)
{
    atomic_store(&s->is_over, true);
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

/* A third of a second of one worker against a server of that manner. */
static struct load_report
load_of(enum manner manner, bool is_fresh)
{
    struct load_config config = {.host = "127.0.0.1",
                                 .path = "/",
                                 .slow_path = "/",
                                 .keep_alive = is_fresh ? 0 : 1,
                                 .fresh = is_fresh ? 1 : 0,
                                 .rate = 100,
                                 .timeout_ms = 200};
    struct server server = {0};
    struct load_report report;
    struct load *load;

    server_start(&server, manner);
    config.port = server.port;
    load = load_start(&config);
    clock_sleep_ms(330);
    load_stop(load, &report);
    server_stop(&server);
    return report;
}

TEST(good_answers_are_counted_by_version)
{
    const struct load_report kept = load_of(GOOD, false), fresh = load_of(GOOD, true);

    CHECK(kept.requests >= 5 && kept.failed == 0 && kept.resent == 0);
    CHECK(fresh.requests >= 5 && fresh.failed == 0);
    CHECK_EQ(kept.version_count, 1);
    CHECK_TEXT(kept.versions[0].name, "v7");
    CHECK_EQ(kept.versions[0].count, kept.requests);
    CHECK(kept.p50_ms > 0 && kept.p50_ms <= kept.p99_ms);
}

TEST(the_rate_is_kept)
{
    CHECK(load_of(GOOD, false).requests <= 45); /* 100 a second, a third of a second */
}

TEST(a_status_other_than_2xx_is_a_failure)
{
    const struct load_report r = load_of(UNAVAILABLE, false);

    CHECK(r.requests >= 5);
    CHECK_EQ(r.failed, r.requests);
    CHECK_EQ(r.failures[LOAD_STATUS], r.requests);
    CHECK(r.sample_count > 0);
}

TEST(an_answer_cut_short_is_a_failure)
{
    const struct load_report r = load_of(CUT_SHORT, false);

    CHECK(r.failed >= 1);
    CHECK_EQ(r.failed, r.failures[LOAD_CLOSED]);
    CHECK_EQ(r.failed, r.requests);
}

TEST(no_answer_in_time_is_a_failure)
{
    const struct load_report r = load_of(SILENT, true);

    CHECK(r.failures[LOAD_TIMEOUT] >= 1);
    CHECK_EQ(r.failed, r.requests);
}

TEST(nobody_there_is_a_failure)
{
    struct load_config config = {
        .host = "127.0.0.1", .port = 1, .path = "/", .keep_alive = 1, .timeout_ms = 200};
    struct load *load = load_start(&config);
    struct load_report r;

    clock_sleep_ms(50);
    load_stop(load, &r);
    CHECK(r.failures[LOAD_CONNECT] >= 1);
    CHECK_EQ(r.failed, r.requests);
}

/* Every client sends again what a kept connection lost before the first byte; a fresh one may not
 * need it. */
TEST(a_kept_connection_closed_while_idle_is_opened_again)
{
    const struct load_report r = load_of(CLOSE_BEHIND_EACH, false);

    CHECK(r.requests >= 5);
    CHECK_EQ(r.failed, 0);
    CHECK(r.resent >= r.requests - 2);
}

TEST(urls_are_checked)
{
    struct load_config config = {0};

    CHECK(load_url_parse("http://127.0.0.1:8080", &config, NULL));
    CHECK_TEXT(config.path, "/");
    CHECK(load_url_parse("http://h:1/a?b=c", &config, NULL));
    CHECK_TEXT(config.path, "/a?b=c");
    CHECK(!load_url_parse("https://h:1/", &config, NULL));
    CHECK(!load_url_parse("http://h/", &config, NULL));
    CHECK(!load_url_parse("http://h:70000/", &config, NULL));
    CHECK(!load_url_parse("http://h:80x/", &config, NULL));
}
