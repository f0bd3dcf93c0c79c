/* SPDX-License-Identifier: MIT */
#include "balancer/health_checker.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "balancer/http_head.h"
#include "base/clock.h"
#include "base/log.h"

/* After its verdict a probe reads the body for a while and drops it: closing on unread bytes sends
 * a reset, which fills the logs of applications. */
#define BODY_LIMIT 65536
/* Of the PROXY protocol, version 2: LOCAL, which says of no client. */
static const char proxy_header[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0";
#define FIRST_PAUSE_MS 10
#define LATE_MS 50 /* a timer that fires so late tells that our loop was held up */

struct probe {
    struct checker *checker;
    bool has_verdict; /* only the body is left to read */
    int fd;
    struct loop_fd *watch;
    struct loop_timer *timer; /* its timeout; then how long the body may take */
    int64_t due_ms;           /* of the timer */
    bool was_extended;
    struct str request;       /* what is left to send, in `request_text` */
    struct strbuf request_text;
    struct strbuf head;
    size_t body_read;
};

struct checker {
    struct loop *loop;
    char address[ADDRESS_SIZE];
    int port;
    struct health_check check;
    struct target_health health;
    struct loop_timer *timer; /* the next probe */
    struct probe *probe;      /* under way, without a verdict yet */
    struct probe *reading;    /* with its verdict, reading its body */
    struct http_prober *prober;
    struct http_probe *http;  /* one over TLS or HTTP/2, instead */
    int64_t probe_started_ms;
    int64_t judged_ms; /* when an answer was last taken in; 0: never */
    int64_t pause_ms;  /* before a target that does not listen yet is asked again */
    void (*changed)(void *arg);
    void *arg;
};

/* ---- one probe ---- */

static void
probe_free(struct probe *p)
{
    loop_timer_free(p->timer);
    if (p->watch != NULL)
        loop_fd_free(p->watch);
    if (p->fd >= 0)
        close(p->fd);
    strbuf_done(&p->request_text);
    strbuf_done(&p->head);
    free(p);
}

static void checker_take(struct checker *c, enum check_result result, int status);

static void
probe_drop(struct probe *p)
{
    struct checker *c = p->checker;

    if (c->probe == p)
        c->probe = NULL;
    if (c->reading == p)
        c->reading = NULL;
    probe_free(p);
}

/* Tells the checker, once. The probe lives on, to read its body, only if `reads_on`. */
static void
probe_finish(struct probe *p, enum check_result result, int status, bool reads_on)
{
    struct checker *c = p->checker;

    if (p->has_verdict) {
        probe_drop(p);
        return;
    }
    if (reads_on) {
        if (c->reading != NULL)
            probe_drop(c->reading);
        c->probe = NULL;
        c->reading = p;
        p->has_verdict = true;
    } else {
        probe_drop(p);
    }
    checker_take(c, result, status); /* last: it may free the checker, and us with it */
}

static void
probe_timed_out(void *arg)
{
    struct probe *p = arg;
    const int64_t now_ms = clock_monotonic_ms(), late_ms = now_ms - p->due_ms;

    /* The time that our own loop took away is given once more: the answer may have come long ago. */
    if (late_ms > LATE_MS && !p->was_extended) {
        p->was_extended = true;
        p->due_ms = now_ms + late_ms;
        loop_timer_set(p->timer, late_ms);
        return;
    }
    probe_finish(p, CHECK_TIMED_OUT, 0, false);
}

static void
probe_send(struct probe *p)
{
    while (p->request.len > 0) {
        const ssize_t sent = send(p->fd, p->request.at, p->request.len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EINPROGRESS || errno == ENOTCONN)) {
            loop_fd_watch(p->watch, true, true);
            return;
        }
        if (sent < 0) {
            /* It may have answered and closed before it read all; the answer still counts. */
            p->request.len = 0;
            break;
        }
        p->request = str_slice(p->request, (size_t)sent, p->request.len);
    }
    loop_fd_watch(p->watch, true, false);
}

static enum check_result
judge_status(const struct health_check *check, int status)
{
    return matcher_accepts(check->version, check->matcher, status) ? CHECK_OK : CHECK_BAD_CODE;
}

static void
probe_take_head(struct probe *p, struct str data)
{
    const size_t room = HTTP_HEAD_LIMIT - p->head.len;
    int status = 0;

    strbuf_add(&p->head, str_slice(data, 0, room));
    switch (http_head_parse(strbuf_str(&p->head), &status)) {
    case HTTP_HEAD_MORE:
        return;
    case HTTP_HEAD_BAD:
        probe_finish(p, CHECK_FAILED, 0, false);
        return;
    case HTTP_HEAD_DONE:
        probe_finish(p, judge_status(&p->checker->check, status), status, true);
        return;
    }
}

static void
probe_read(struct probe *p)
{
    char buffer[4096];
    const ssize_t got = recv(p->fd, buffer, sizeof(buffer), 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return; /* level-triggered: we are called again */
    if (got <= 0) {
        probe_finish(p, CHECK_FAILED, 0, false); /* before the verdict: closed too early */
        return;
    }
    if (!p->has_verdict) {
        probe_take_head(p, (struct str){buffer, (size_t)got});
        return;
    }
    p->body_read += (size_t)got;
    if (p->body_read > BODY_LIMIT)
        probe_drop(p);
}

static void
probe_ready(void *arg, bool readable, bool writable)
{
    struct probe *p = arg;
    int error = 0;
    socklen_t len = sizeof(error);

    if (writable && p->request.len > 0) {
        if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0) {
            probe_finish(p, error == ETIMEDOUT ? CHECK_TIMED_OUT : CHECK_FAILED, 0, false);
            return;
        }
        if (strcmp(p->checker->check.protocol, "TCP") == 0) {
            if (p->checker->check.sends_proxy)
                (void)send(p->fd, proxy_header, sizeof(proxy_header), MSG_NOSIGNAL); /* the first bytes: there is room */
            probe_finish(p, CHECK_OK, 0, false); /* it took the connection: that is all that is asked */
            return;
        }
        probe_send(p);
    }
    if (readable)
        probe_read(p);
}

static bool
fill_address(const char *text, int port, struct sockaddr_storage *out, socklen_t *len_out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        *len_out = sizeof(*v4);
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *len_out = sizeof(*v6);
        return true;
    }
    return false;
}

/* What failed was not the target: we have no descriptor, no port, no memory left. */
static bool
is_our_fault(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
           error == EADDRNOTAVAIL;
}

/* A socket on its way to the target, or -1 and errno. */
static int
probe_connect(const char *address, int port)
{
    struct sockaddr_storage to;
    socklen_t len;
    const int on = 1;

    errno = EINVAL;
    if (!fill_address(address, port, &to, &len))
        return -1;
    const int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS) {
        const int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* ---- over TLS or HTTP/2 ---- */

static void
http_probe_done(void *arg, enum http_probe_result result, int status)
{
    static const enum check_result results[] = {[HTTP_PROBE_TIMED_OUT] = CHECK_TIMED_OUT,
                                                [HTTP_PROBE_FAILED] = CHECK_FAILED,
                                                [HTTP_PROBE_NOT_MADE] = CHECK_NOT_MADE};
    struct checker *c = arg;

    http_probe_free(c->http);
    c->http = NULL;
    if (result == HTTP_PROBE_NOT_MADE)
        log_warn("check.not_made", "target=%s port=%d", c->address, c->port);
    checker_take(c, result == HTTP_PROBE_ANSWERED ? judge_status(&c->check, status) : results[result],
                 status); /* last: it may free us */
}

static bool
is_plain(const struct health_check *check)
{
    return strcmp(check->protocol, "HTTPS") != 0 && strcmp(check->version, "HTTP2") != 0 &&
           strcmp(check->version, "GRPC") != 0;
}

static void
http_probe_begin(struct checker *c)
{
    const bool is_ipv6 = strchr(c->address, ':') != NULL;
    const bool is_grpc = strcmp(c->check.version, "GRPC") == 0;
    cleanup_free char *origin = text_format(
        "%s://%s%s%s:%d", strcmp(c->check.protocol, "HTTPS") == 0 ? "https" : "http",
        is_ipv6 ? "[" : "", c->address, is_ipv6 ? "]" : "", c->check.port > 0 ? c->check.port : c->port);
    const struct http_probe_spec spec = {
        .origin = origin,
        .path = c->check.path,
        .is_http2 = is_grpc || strcmp(c->check.version, "HTTP2") == 0,
        .is_grpc = is_grpc,
        .timeout_ms = (int64_t)c->check.timeout_s * 1000,
        .done = http_probe_done,
        .arg = c,
    };

    c->http = http_probe_start(c->prober, &spec);
}

static void
probe_start(struct checker *c)
{
    const int port = c->check.port > 0 ? c->check.port : c->port;
    const bool is_ipv6 = strchr(c->address, ':') != NULL;
    const int fd = probe_connect(c->address, port);

    if (fd < 0 && is_our_fault(errno)) {
        log_warn("check.not_made", "target=%s port=%d error=%s", c->address, port, log_quote(strerror(errno)));
        checker_take(c, CHECK_NOT_MADE, 0);
        return;
    }
    if (fd < 0) {
        checker_take(c, CHECK_FAILED, 0);
        return;
    }
    struct probe *p = mem_new(sizeof(*p));
    p->checker = c;
    p->fd = fd;
    if (c->check.sends_proxy)
        strbuf_add(&p->request_text, (struct str){proxy_header, sizeof(proxy_header)});
    strbuf_addf(&p->request_text,
                "GET %s HTTP/1.1\r\nHost: %s%s%s:%d\r\nUser-Agent: ELB-HealthChecker/2.0\r\n"
                "Accept: */*\r\nConnection: close\r\n\r\n",
                c->check.path, is_ipv6 ? "[" : "", c->address, is_ipv6 ? "]" : "", port);
    p->request = strbuf_str(&p->request_text);
    p->watch = loop_fd_new(c->loop, fd, probe_ready, p);
    p->timer = loop_timer_new(c->loop, probe_timed_out, p);
    p->due_ms = c->probe_started_ms + (int64_t)c->check.timeout_s * 1000;
    loop_timer_set(p->timer, (int64_t)c->check.timeout_s * 1000);
    loop_fd_watch(p->watch, false, true);
    c->probe = p;
}

/* ---- the checker ---- */

/* It does not even listen yet, and has never answered. */
static bool
is_unborn(const struct checker *c, enum check_result result)
{
    return result == CHECK_FAILED &&
           target_health_next_ms(&c->health, &c->check) < (int64_t)c->check.interval_s * 1000;
}

static void
checker_schedule(struct checker *c, enum check_result result, int64_t now_ms)
{
    /* What we lack ourselves is not there sooner for being asked for more often. */
    const int64_t next_ms = result == CHECK_NOT_MADE ? (int64_t)c->check.interval_s * 1000
                                                     : target_health_next_ms(&c->health, &c->check);
    int64_t due_ms = c->probe_started_ms + next_ms;

    if (is_unborn(c, result)) {
        due_ms = c->judged_ms + next_ms; /* the next one that counts */
        if (now_ms + c->pause_ms < due_ms) {
            due_ms = now_ms + c->pause_ms;
            c->pause_ms += c->pause_ms / 2;
        }
    }
    loop_timer_set(c->timer, due_ms > now_ms ? due_ms - now_ms : 0);
}

static void
checker_take(struct checker *c, enum check_result result, int status)
{
    const int64_t now_ms = clock_monotonic_ms();
    const int64_t next_ms = target_health_next_ms(&c->health, &c->check);
    const bool counts =
        !is_unborn(c, result) || c->judged_ms == 0 || now_ms - c->judged_ms >= next_ms;
    bool has_changed = false;

    if (counts) {
        has_changed = target_health_checked(&c->health, &c->check, result, status);
        c->judged_ms = now_ms;
    }
    checker_schedule(c, result, now_ms);
    if (has_changed)
        c->changed(c->arg); /* last: it may free us */
}

static void
checker_due(void *arg)
{
    struct checker *c = arg;

    c->probe_started_ms = clock_monotonic_ms();
    if (is_plain(&c->check))
        probe_start(c);
    else
        http_probe_begin(c);
}

struct checker *
checker_new(const struct checker_spec *spec)
{
    struct checker *c = mem_new(sizeof(*c));

    c->loop = spec->loop;
    c->prober = spec->prober;
    text_copy(c->address, sizeof(c->address), str_of(spec->address));
    c->port = spec->port;
    c->check = *spec->check;
    c->changed = spec->changed;
    c->arg = spec->arg;
    target_health_init(&c->health);
    if (spec->state == TARGET_healthy || spec->state == TARGET_unhealthy)
        c->health.state = spec->state;
    if (spec->state == TARGET_healthy)
        c->health.reason[0] = c->health.description[0] = '\0';
    if (spec->state == TARGET_unhealthy) {
        /* Why is not remembered; the next check says it anew. */
        text_copy(c->health.reason, sizeof(c->health.reason), STR("Target.FailedHealthChecks"));
        text_copy(c->health.description, sizeof(c->health.description),
                  STR("Health checks failed"));
    }
    c->pause_ms = FIRST_PAUSE_MS;
    c->timer = loop_timer_new(c->loop, checker_due, c);
    loop_timer_set(c->timer, 0); /* not from here: the caller does not hold us yet */
    return c;
}

void
checker_free(struct checker *c)
{
    if (c == NULL)
        return;
    if (c->probe != NULL)
        probe_free(c->probe);
    if (c->reading != NULL)
        probe_free(c->reading);
    http_probe_free(c->http);
    loop_timer_free(c->timer);
    free(c);
}

void
checker_set_check(struct checker *c, const struct health_check *check)
{
    const bool is_sooner = check->interval_s < c->check.interval_s;
    const bool is_waiting = c->probe == NULL && c->http == NULL && c->judged_ms != 0;

    c->check = *check;
    if (is_sooner && is_waiting && !is_unborn(c, CHECK_FAILED))
        checker_schedule(c, CHECK_OK, clock_monotonic_ms());
}

const struct target_health *
checker_health(const struct checker *c)
{
    return &c->health;
}
