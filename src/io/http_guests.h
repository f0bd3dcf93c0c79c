/* SPDX-License-Identifier: MIT */
/* http_guests.h - who is connected, and how much of the server each may take: connections and bodies
 * that are kept in memory before anything is known of who sends them, and time to send them in.
 * For http_server.c.  A connection enters, its request passes through phases, it leaves.
 *   of one address   `per_address` connections; more are answered that they are too many, and a few
 *                    beyond (GUESTS_REFUSED_MAX) not even that. A quarter of the bytes of bodies.
 *   of all others    GUESTS_RESERVED of all connections are kept free of them, and a quarter
 *                    of the bytes, so that a flood does not keep out this machine's builds.
 *   trusted ones     no limit but the whole of both.
 * An IPv6 address is its /64: whoever has one has all of that.
 * Slow is who takes GUEST_HEAD_MS for a head or GUEST_IDLE_MS before one, or who sends a body at less
 * than GUEST_KEPT_RATE bytes a second (GUEST_STREAM_RATE where it is not kept) after GUEST_BODY_MS:
 * his connection is cut. Time in which the server itself is at work does not count.
 * Units: *_ms is monotonic.  Threads: any. */
#pragma once
#include <sys/socket.h>

#include "base/err.h"
#include "io/http_server.h"

#define GUESTS_RESERVED 128
#define GUESTS_REFUSED_MAX 16
#define GUEST_HEAD_MS ((int64_t)30 * 1000)
#define GUEST_IDLE_MS ((int64_t)300 * 1000)
#define GUEST_BODY_MS ((int64_t)60 * 1000)
#define GUEST_KEPT_RATE 16384
#define GUEST_STREAM_RATE 1024

struct http_guests;
struct http_guest;

/* NULL: `trusted` is no list of addresses and blocks (ERR_USAGE). */
struct http_guests *http_guests_new(const struct http_limits *limits, unsigned connections_max,
                                    struct err *err) MUST_CHECK;
/* Has a thread cut off who is slow, each second, until it is freed. */
bool http_guests_watch(struct http_guests *g, struct err *err) MUST_CHECK;
void http_guests_free(struct http_guests *g); /* NULL is fine; all have left */

/* Do both count as of one address? */
bool http_guests_are_one(const struct sockaddr *a, const struct sockaddr *b);
/* Before it is accepted: is there room for it, be it only to be refused? */
bool http_guests_may_enter(struct http_guests *g, const struct sockaddr *address);
/* `fd` is borrowed until http_guest_leave(); never NULL. Where many may enter before the first of
 * them does, as with HTTPS, whose connections wait in a queue, those too many are cut off here. */
struct http_guest *http_guest_enter(struct http_guests *g, const struct sockaddr *address, int fd,
                                    int64_t now_ms);
void http_guest_leave(struct http_guest *guest); /* NULL is fine */
/* 0, or the status with which its requests are to be refused: 429 its address has too many, 503 all. */
int http_guest_refusal(struct http_guest *guest);

enum guest_phase {
    GUEST_IDLE,  /* waits for a request */
    GUEST_HEAD,  /* its first line is there */
    GUEST_BODY,  /* waits for a piece of its body */
    GUEST_SERVED /* the server is at work, or answers */
};
/* `is_kept` and `received` are of GUEST_BODY: is it kept in memory, and how many bytes came so far? */
void http_guest_enters_phase(struct http_guest *guest, enum guest_phase phase, bool is_kept,
                             uint64_t received, int64_t now_ms);
/* Its body takes `bytes` of memory from now on. False: that is too much, and it takes none; the status as
 * above. */
bool http_guest_keep(struct http_guest *guest, size_t bytes, int *status_out);
/* Cuts off those that are too slow; gives how many. */
unsigned http_guests_cut_slow(struct http_guests *g, int64_t now_ms);
