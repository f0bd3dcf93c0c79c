/* SPDX-License-Identifier: MIT */
#include "h2_target.h"
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "cert_maker.h"
#include "check.h"

#define END_STREAM 0x1
#define END_HEADERS 0x4
enum { FRAME_DATA = 0, FRAME_HEADERS = 1, FRAME_SETTINGS = 4 };

/* ---- bytes, with or without TLS ---- */

struct line {
    struct h2_target *target;
    int fd;
    SSL *tls;
};

static bool
put(struct line *l, const void *data, size_t len)
{
    if (l->tls != NULL)
        return SSL_write(l->tls, data, (int)len) == (int)len;
    return send(l->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool
wait_readable(const struct line *l)
{
    while (!atomic_load(&l->target->is_stopping)) {
        struct pollfd p = {.fd = l->fd, .events = POLLIN};
        if ((l->tls != NULL && SSL_pending(l->tls) > 0) || poll(&p, 1, 20) > 0)
            return true;
    }
    return false;
}

static bool
take(struct line *l, unsigned char *to, size_t len)
{
    while (len > 0) {
        if (!wait_readable(l))
            return false;
        const ssize_t got = l->tls != NULL ? SSL_read(l->tls, to, (int)len) : recv(l->fd, to, len, 0);
        if (got <= 0)
            return false;
        to += got;
        len -= (size_t)got;
    }
    return true;
}

/* ---- HTTP/2 ---- */

static bool
put_frame(struct line *l, int type, int flags, unsigned stream, const void *payload, size_t len)
{
    unsigned char frame[512] = {(unsigned char)(len >> 16), (unsigned char)(len >> 8),
                                (unsigned char)len,         (unsigned char)type,
                                (unsigned char)flags,       (unsigned char)(stream >> 24),
                                (unsigned char)(stream >> 16), (unsigned char)(stream >> 8),
                                (unsigned char)stream};

    CHECK(len <= sizeof(frame) - 9);
    if (len > 0)
        memcpy(frame + 9, payload, len);
    return put(l, frame, len + 9);
}

/* A header that no table keeps; `name` NULL is ":status". */
static size_t
add_header(unsigned char *out, const char *name, const char *value)
{
    size_t at = 0;

    out[at++] = name == NULL ? 0x08 : 0x00;
    if (name != NULL) {
        out[at++] = (unsigned char)strlen(name);
        memcpy(out + at, name, strlen(name));
        at += strlen(name);
    }
    out[at++] = (unsigned char)strlen(value);
    memcpy(out + at, value, strlen(value));
    return at + strlen(value);
}

static bool
put_grpc(struct line *l, unsigned stream, enum h2_manner manner)
{
    unsigned char block[256];
    char status[16];
    size_t len = add_header(block, NULL, "200");

    snprintf(status, sizeof(status), "%d", atomic_load(&l->target->grpc_status));
    len += add_header(block + len, "content-type", "application/grpc");
    if (manner == H2_TRAILERS_ONLY)
        len += add_header(block + len, "grpc-status", status);
    if (manner != H2_TRAILERS)
        return put_frame(l, FRAME_HEADERS, END_HEADERS | END_STREAM, stream, block, len);
    if (!put_frame(l, FRAME_HEADERS, END_HEADERS, stream, block, len) ||
        !put_frame(l, FRAME_DATA, 0, stream, "\0\0\0\0\0", 5))
        return false;
    len = add_header(block, "grpc-status", status);
    return put_frame(l, FRAME_HEADERS, END_HEADERS | END_STREAM, stream, block, len);
}

static bool
put_answer(struct line *l, unsigned stream)
{
    const struct h2_target *t = l->target;
    unsigned char block[256];
    char status[16];

    snprintf(status, sizeof(status), "%d", atomic_load(&t->status));
    const size_t len = add_header(block, NULL, status);
    return put_frame(l, FRAME_HEADERS, END_HEADERS, stream, block, len) &&
           put_frame(l, FRAME_DATA, END_STREAM, stream, t->body, strlen(t->body));
}

/* False: the connection ends. */
static bool
answer(struct line *l, unsigned stream)
{
    const struct linger now = {.l_onoff = 1};
    const enum h2_manner manner = (enum h2_manner)atomic_load(&l->target->manner);

    atomic_fetch_add(&l->target->requests, 1);
    while (atomic_load(&l->target->is_held) && !atomic_load(&l->target->is_stopping))
        clock_sleep_ms(5);
    switch (manner) {
    case H2_ANSWERS:
        return put_answer(l, stream);
    case H2_TRAILERS:
    case H2_TRAILERS_ONLY:
    case H2_NO_STATUS:
        return put_grpc(l, stream, manner);
    case H2_RESETS:
        setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        return false;
    case H2_GARBAGE:
        return put(l, "no frame at all, whoever reads it", 33) && false;
    case H2_SILENT:
        return true; /* since this request only */
    case H2_CLOSES:
    case H1_ANSWERS:
        return false;
    }
    return false;
}

static void
speak_h2(struct line *l)
{
    unsigned char head[9], preface[24], payload[16384];

    while (atomic_load(&l->target->manner) == H2_SILENT && !atomic_load(&l->target->is_stopping))
        clock_sleep_ms(5);
    if (!take(l, preface, sizeof(preface)) || !put_frame(l, FRAME_SETTINGS, 0, 0, NULL, 0))
        return;
    while (take(l, head, sizeof(head))) {
        const size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        const unsigned stream = (unsigned)head[5] << 24 | (unsigned)head[6] << 16 | (unsigned)head[7] << 8 | head[8];
        const bool is_request = head[3] == FRAME_HEADERS || head[3] == FRAME_DATA;
        if (len > sizeof(payload) || !take(l, payload, len))
            return;
        if (head[3] == FRAME_SETTINGS && (head[4] & 1) == 0 && !put_frame(l, FRAME_SETTINGS, 1, 0, NULL, 0))
            return;
        if (is_request && (head[4] & END_STREAM) != 0 && !answer(l, stream))
            return;
    }
}

static void
speak_h1(struct line *l)
{
    const struct h2_target *t = l->target;
    char head[4096] = "", text[512];
    size_t len = 0;

    while (len < sizeof(head) - 1 && strstr(head, "\r\n\r\n") == NULL) {
        if (!take(l, (unsigned char *)head + len, 1))
            return;
        head[++len] = '\0';
        if (head[0] < 'A' || (len == 24 && strncmp(head, "PRI * HTTP/2", 12) == 0))
            break;
    }
    atomic_fetch_add(&l->target->requests, 1);
    snprintf(text, sizeof(text), "HTTP/1.1 %d OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
             atomic_load(&t->status), strlen(t->body), t->body);
    (void)put(l, text, strlen(text));
}

/* ---- connections ---- */

static int
choose_h2(SSL *tls, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
          unsigned in_len, void *arg)
{
    const struct h2_target *t = arg;
    static const unsigned char h2[] = "\x02h2";

    (void)tls;
    return t->offers_h2 && SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, h2, 3, in,
                                                 in_len) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

/* Self-signed, in a name that nobody asks for: nobody verifies it, which is the point. */
static void
make_tls(struct h2_target *t)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    cleanup_cert struct made m = cert_make(&(struct cert_wish){.common_name = "target.test"});

    CHECK(ctx != NULL && SSL_CTX_use_certificate(ctx, m.x) == 1 && SSL_CTX_use_PrivateKey(ctx, m.key) == 1);
    SSL_CTX_set_alpn_select_cb(ctx, choose_h2, t);
    t->tls = ctx;
}

static void *
connection_main(void *arg)
{
    struct line *l = arg;
    struct h2_target *t = l->target;
    bool is_good = true;

    if (t->is_tls) {
        l->tls = SSL_new(t->tls);
        SSL_set_fd(l->tls, l->fd);
        is_good = SSL_accept(l->tls) == 1;
    }
    if (is_good && atomic_load(&t->manner) == H1_ANSWERS)
        speak_h1(l);
    else if (is_good)
        speak_h2(l);
    if (l->tls != NULL)
        (void)SSL_shutdown(l->tls);
    SSL_free(l->tls);
    close(l->fd);
    free(l);
    atomic_fetch_sub(&t->threads, 1);
    return NULL;
}

static void *
target_main(void *arg)
{
    struct h2_target *t = arg;

    while (!atomic_load(&t->is_stopping)) {
        pthread_t thread;
        const int fd = accept(t->fd, NULL, NULL);
        if (fd < 0)
            continue;
        struct line *l = mem_new(sizeof(*l));
        l->target = t;
        l->fd = fd;
        atomic_fetch_add(&t->connections, 1);
        atomic_fetch_add(&t->threads, 1);
        CHECK(pthread_create(&thread, NULL, connection_main, l) == 0 && pthread_detach(thread) == 0);
    }
    return NULL;
}

void
h2_target_start(struct h2_target *t, enum h2_manner manner)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(a);

    atomic_store(&t->manner, manner);
    if (atomic_load(&t->status) == 0)
        atomic_store(&t->status, 200);
    if (t->body == NULL)
        t->body = "h2";
    if (t->is_tls)
        make_tls(t);
    t->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(t->fd, (struct sockaddr *)&a, len) == 0 && listen(t->fd, 100) == 0);
    CHECK(getsockname(t->fd, (struct sockaddr *)&a, &len) == 0);
    t->port = ntohs(a.sin_port);
    CHECK(pthread_create(&t->thread, NULL, target_main, t) == 0);
}

void
h2_target_stop(struct h2_target *t)
{
    atomic_store(&t->is_stopping, true);
    shutdown(t->fd, SHUT_RDWR);
    pthread_join(t->thread, NULL);
    close(t->fd);
    while (atomic_load(&t->threads) > 0)
        clock_sleep_ms(1);
    SSL_CTX_free(t->tls);
}
