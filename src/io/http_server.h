/* SPDX-License-Identifier: MIT */
/* http_server.h - an HTTP/1.1 server (libmicrohttpd), one thread a connection.
 * A route owns a path prefix; the longest matching prefix wins.  For each request the server
 * calls, on that connection's thread: route->begin() once the head is there, body() for each
 * piece of the body, end() when the body is complete, done() always last (also when the client
 * left half-way, then without end()).  Handlers may block (that is what the thread is for).
 * Exactly one http_reply*() per exchange: in end(), or earlier, in body() by http_reply() or http_reply_buffer(); after an early one neither body()
 * nor end() is called.  Of a body with an end within 1 MiB the rest is read and dropped; else the answer goes out
 * at once and the connection closes, as it does for who asked with Expect.  No reply at all is answered 500.
 * The server itself answers 404 without a route, 400 if the body's length can be read in two ways,
 * 413, 431 for a head over 64 KiB, 503 while it stops, 429 or 503 with Retry-After to whom takes too much
 * (http_guests.h; who is too slow is cut off); of a route's functions only refuse() is called for those that come before begin().
 * A route without body() gets the whole body in x->body at end(), up to `body_limit`; a larger one
 * is answered 413 by the server. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct http_server;

struct http_exchange {
    struct arena arena;  /* freed after done() */
    struct str method;
    struct str path;     /* as sent, still percent-encoded, without the query */
    struct str query;    /* as sent, without '?' */
    struct str peer;     /* "127.0.0.1": who asks; behind a proxy that is believed, his client */
    bool is_secure;      /* over TLS, up to such a proxy at least */
    struct str body;     /* routes without body() */
    int64_t body_size;   /* Content-Length, or -1 */
    char request_id[37];
    void *state;         /* the route's own */
    void *impl;
};

struct http_route {
    const char *prefix;
    size_t body_limit; /* for collected bodies; 0: 1 MiB */
    /* Where it depends on the head of a request; NULL: always `body_limit`. */
    size_t (*body_limit_of)(const struct http_exchange *x, void *ctx);
    void (*begin)(struct http_exchange *x, void *ctx);                   /* may be NULL */
    void (*body)(struct http_exchange *x, struct str data, void *ctx);   /* NULL: collect */
    void (*end)(struct http_exchange *x, void *ctx);
    void (*done)(struct http_exchange *x, void *ctx);                    /* may be NULL */
    /* Replies 400, 413, 429 or 503 (http_refusal_code()) in the form that the route's clients read; NULL: as plain text. */
    void (*refuse)(struct http_exchange *x, int status, const char *why, void *ctx);
    void *ctx;
};

/* What the server refuses by itself, as a code of ours. */
static inline enum err_code
http_refusal_code(int status)
{
    return status == 413   ? ERR_TOO_LARGE
           : status == 429 ? ERR_THROTTLING
           : status == 503 ? ERR_UNAVAILABLE
                           : ERR_BAD_REQUEST;
}

struct http_header {
    const char *name;
    const char *value;
};

/* Header by name without case; empty view when absent (at == NULL). */
struct str http_header_get(const struct http_exchange *x, const char *name);
/* All headers in the order received, repeated ones too. */
void http_header_each(const struct http_exchange *x,
                      void (*call)(void *arg, struct str name, struct str value), void *arg);
bool http_has_replied(const struct http_exchange *x);
/* Has the client closed the connection, as far as one can see that? For handlers that wait long before they reply. */
bool http_client_has_left(const struct http_exchange *x);

/* `headers` ends with {NULL, NULL} and may be NULL; one with an empty value is left out. The
 * body is copied. Content-Length is set. Answers
 * to HEAD, and 304, drop the body and keep its length. */
void http_reply(struct http_exchange *x, int status, const struct http_header *headers, struct str body);
/* The same; takes the body instead of copying it, and leaves an empty one. */
void http_reply_buffer(struct http_exchange *x, int status, const struct http_header *headers,
                       struct strbuf *body);
/* Sends `size` bytes of `fd` from `offset`; takes the descriptor. For HEAD and 304, pass fd -1: Content-Length is
 * `size`, no body. */
void http_reply_file(struct http_exchange *x, int status, const struct http_header *headers, int fd,
                     int64_t offset, int64_t size);
/* Streams until next() gives 0 bytes (end) or <0 (abort); next() may block; called on the
 * connection's thread, done_arg() when over. Chunked. */
void http_reply_stream(struct http_exchange *x, int status, const struct http_header *headers,
                       ptrdiff_t (*next)(void *arg, char *buffer, size_t size), void (*done_arg)(void *arg),
                       void *arg);

/* `listen` is "127.0.0.1" or "0.0.0.0" or "::". The routes are copied. Port 0 picks a free one. */
struct http_server *http_server_start(const char *listen, unsigned port, const struct http_route *routes,
                                      size_t route_count, struct err *err) MUST_CHECK;
/* The same port for HTTPS, too (1.2 and 1.3, by GnuTLS): the first byte of a connection tells. HTTP stays
 * for clients of this machine; others get 400 and a sentence. The texts are copied. */
struct http_tls {
    const char *certificate, *private_key; /* PEM; the chain stands behind the certificate */
};
struct http_server *http_server_start_tls(const char *listen, unsigned port, const struct http_tls *tls,
                                          const struct http_route *routes, size_t route_count,
                                          struct err *err) MUST_CHECK;
/* What clients may take that nothing is known of (http_guests.h), and who may say who they are (http_proxies.h). */
struct http_limits {
    unsigned per_address; /* connections of one address; 0: as many as there are */
    int64_t body_bytes;   /* of all bodies that are kept in memory */
    const char *trusted;  /* addresses and blocks without these limits, joined by commas */
    const char *proxies;  /* those whose X-Forwarded-For and -Proto hold; "": nobody's */
};
#define HTTP_CONNECTIONS_MAX 1024u /* of all addresses together */
#define HTTP_PER_ADDRESS 128
#define HTTP_BODY_BYTES ((int64_t)256 << 20)
#define HTTP_TRUSTED "127.0.0.0/8,::1" /* this machine: its builds, its Docker, a proxy before it */
/* As the others, which have the limits above. `tls` may be NULL. */
struct http_server *http_server_start_limited(const char *listen, unsigned port,
                                              const struct http_tls *tls,
                                              const struct http_limits *limits,
                                              const struct http_route *routes, size_t route_count,
                                              struct err *err) MUST_CHECK;
unsigned http_server_port(const struct http_server *s);
/* Refuses new requests, waits for running exchanges (10 s at most, then their connections are cut;
 * a next() or handler that blocks for ever would still hold it up). */
void http_server_stop(struct http_server *s);
