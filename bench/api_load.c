/* SPDX-License-Identifier: MIT */
#include "api_load.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "api/sigv4.h"
#include "base/clock.h"

#define ANSWER_MAX ((size_t)4 * 1024 * 1024)
#define PIECE ((size_t)64 * 1024)
#define STALLED_MS 10000
#define SIGNED_HEADERS "content-type;host;x-amz-date;x-amz-target"
#define CONTENT_TYPE "application/x-amz-json-1.1"

struct connection {
    int fd;
    struct strbuf request, answer;
    size_t sent;
    int64_t began_us;
    bool is_busy;
};

struct run {
    const struct api_load *load;
    struct connection connections[API_LOAD_CONNECTIONS_MAX];
    int epoll_fd;
    char host[32];
    int64_t begun, done, end_us; /* calls begun, calls answered, when no further one begins */
    struct strbuf body, authorization;
    uint32_t *took_us;
    size_t took_capacity;
    struct api_load_report report;
};

/* ---- the request ---- */

static void
write_request(struct run *r, struct connection *c, int64_t number)
{
    const struct api_load *load = r->load;
    char date[24];

    clock_format_basic(clock_wall_ms(), date);
    strbuf_clear(&r->body);
    strbuf_clear(&r->authorization);
    strbuf_clear(&c->request);
    load->body(load->arg, number, &r->body);
    const struct sigv4_header headers[] = {
        {STR("Host"), str_of(r->host)},
        {STR("Content-Type"), STR(CONTENT_TYPE)},
        {STR("X-Amz-Date"), str_of(date)},
        {STR("X-Amz-Target"), str_of(load->target)},
    };
    const struct sigv4_request rq = {.method = STR("POST"), .path = STR("/"), .query = STR(""),
                                     .headers = headers, .header_count = ARRAY_COUNT(headers),
                                     .body = strbuf_str(&r->body)};
    sigv4_sign(&rq, load->access_key_id, load->secret, load->region, load->service, date,
               SIGNED_HEADERS, &r->authorization);
    strbuf_addf(&c->request,
                "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: " CONTENT_TYPE "\r\nX-Amz-Date: %s\r\n"
                "X-Amz-Target: %s\r\nAuthorization: %s\r\nContent-Length: %zu\r\n\r\n",
                r->host, date, load->target, strbuf_cstr(&r->authorization), r->body.len);
    strbuf_add(&c->request, strbuf_str(&r->body));
}

/* What the kernel does not take at once goes out when epoll says so. */
static bool
send_more(struct connection *c, struct err *err)
{
    while (c->sent < c->request.len) {
        const ssize_t n =
            send(c->fd, c->request.at + c->sent, c->request.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0 && errno != EINTR)
            return err_errno(err, "cannot send a request");
        if (n > 0)
            c->sent += (size_t)n;
    }
    return true;
}

static bool
begin_call(struct run *r, struct connection *c, struct err *err)
{
    const struct api_load *load = r->load;

    if ((load->calls > 0 && r->begun == load->calls) ||
        (load->duration_ms > 0 && clock_monotonic_us() >= r->end_us))
        return true;
    write_request(r, c, r->begun++);
    c->sent = 0;
    c->is_busy = true;
    strbuf_clear(&c->answer);
    c->began_us = clock_monotonic_us();
    return send_more(c, err);
}

/* ---- the answer ---- */

/* 0: not complete yet; -1: no HTTP answer with a length; else its whole size. */
static int64_t
answer_size(const struct strbuf *b, int64_t *body_out)
{
    static const char name[] = "\r\nContent-Length:";
    const char *end = b->len == 0 ? NULL : strstr(b->at, "\r\n\r\n");
    const char *length = end == NULL ? NULL : strcasestr(b->at, name);
    int64_t body;

    if (end == NULL)
        return b->len > PIECE ? -1 : 0;
    if (length == NULL || length > end)
        return -1;
    body = strtoll(length + sizeof(name) - 1, NULL, 10);
    if (body < 0 || (size_t)body > ANSWER_MAX)
        return -1;
    *body_out = body;
    return (int64_t)b->len >= end + 4 - b->at + body ? end + 4 - b->at + body : 0;
}

static void
note_time(struct run *r, int64_t us)
{
    if ((size_t)r->done == r->took_capacity) {
        r->took_capacity = r->took_capacity == 0 ? 65536 : r->took_capacity * 2;
        r->took_us = mem_grow(r->took_us, r->took_capacity, sizeof(*r->took_us));
    }
    r->took_us[r->done++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static bool
take_answer(struct run *r, struct connection *c, struct err *err)
{
    const int64_t size = answer_size(&c->answer, &r->report.answer_size);

    if (size == 0)
        return true;
    if (size < 0 || (size_t)size != c->answer.len || !str_starts(strbuf_str(&c->answer), STR("HTTP/1.1 200 ")))
        return err_set(err, ERR_INTERNAL, "%s was answered: %.180s", r->load->target,
                       strbuf_cstr(&c->answer));
    note_time(r, clock_monotonic_us() - c->began_us);
    c->is_busy = false;
    return begin_call(r, c, err);
}

/* Reads until the answer is complete or nothing is there: epoll tells each arrival once. */
static bool
receive(struct run *r, struct connection *c, struct err *err)
{
    const int64_t number = r->done;

    while (r->done == number) {
        ssize_t n;

        strbuf_reserve(&c->answer, PIECE);
        n = recv(c->fd, c->answer.at + c->answer.len, PIECE, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "cannot read an answer");
        if (n == 0)
            return err_set(err, ERR_INTERNAL, "the server closed a connection");
        c->answer.len += (size_t)n;
        c->answer.at[c->answer.len] = '\0';
        if (!take_answer(r, c, err))
            return false;
    }
    return true;
}

/* ---- the run ---- */

static bool
open_connection(struct run *r, int index, struct err *err)
{
    struct connection *c = &r->connections[index];
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)r->load->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    const int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
        return err_errno(err, "cannot connect to port %d", r->load->port);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
        return err_errno(err, "cannot watch a connection");
    return true;
}

static bool
is_over(const struct run *r)
{
    for (int i = 0; i < r->load->connections; i++) {
        if (r->connections[i].is_busy)
            return false;
    }
    return true;
}

static bool
turn(struct run *r, struct err *err)
{
    struct epoll_event events[64];
    const int count = epoll_wait(r->epoll_fd, events, ARRAY_COUNT(events), STALLED_MS);

    if (count == 0)
        return err_set(err, ERR_INTERNAL, "no answer for %d s", STALLED_MS / 1000);
    for (int i = 0; i < count; i++) {
        struct connection *c = events[i].data.ptr;

        if (c->is_busy && c->sent < c->request.len && !send_more(c, err))
            return false;
        if ((events[i].events & ~(unsigned)EPOLLOUT) != 0 && c->is_busy && !receive(r, c, err))
            return false;
    }
    return true;
}

static bool
drive(struct run *r, struct err *err)
{
    for (int i = 0; i < r->load->connections; i++) {
        if (!open_connection(r, i, err))
            return false;
    }
    r->end_us = clock_monotonic_us() + r->load->duration_ms * 1000;
    for (int i = 0; i < r->load->connections; i++) {
        if (!begin_call(r, &r->connections[i], err))
            return false;
    }
    while (!is_over(r)) {
        if (!turn(r, err))
            return false;
    }
    return true;
}

static int
compare_times(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void
summarise(struct run *r, int64_t took_us)
{
    struct api_load_report *report = &r->report;

    report->calls = r->done;
    report->seconds = (double)took_us / 1e6;
    report->a_second = (double)r->done / report->seconds;
    if (r->done == 0)
        return;
    qsort(r->took_us, (size_t)r->done, sizeof(*r->took_us), compare_times);
    report->p50_ms = r->took_us[r->done / 2] / 1e3;
    report->p99_ms = r->took_us[r->done * 99 / 100] / 1e3;
    report->max_ms = r->took_us[r->done - 1] / 1e3;
}

bool
api_load_run(const struct api_load *load, struct api_load_report *out, struct err *err)
{
    struct run *r = mem_new(sizeof(*r));
    const int64_t begin_us = clock_monotonic_us();
    bool ok;

    assert(load->connections >= 1 && load->connections <= API_LOAD_CONNECTIONS_MAX);
    assert((load->calls > 0) != (load->duration_ms > 0));
    r->load = load;
    for (int i = 0; i < load->connections; i++)
        r->connections[i].fd = -1;
    snprintf(r->host, sizeof(r->host), "127.0.0.1:%d", load->port);
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    ok = r->epoll_fd >= 0 ? drive(r, err) : err_errno(err, "cannot make an epoll");
    summarise(r, clock_monotonic_us() - begin_us);
    if (ok)
        *out = r->report;
    for (int i = 0; i < load->connections; i++) {
        strbuf_done(&r->connections[i].request);
        strbuf_done(&r->connections[i].answer);
        if (r->connections[i].fd >= 0)
            close(r->connections[i].fd);
    }
    if (r->epoll_fd >= 0)
        close(r->epoll_fd);
    strbuf_done(&r->body);
    strbuf_done(&r->authorization);
    free(r->took_us);
    free(r);
    return ok;
}
