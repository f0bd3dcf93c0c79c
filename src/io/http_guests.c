/* SPDX-License-Identifier: MIT */
#include "io/http_guests.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/address_block.h"
#include "base/clock.h"
#include "base/log.h"

#define TRUSTED_MAX 64

struct http_guest {
    struct http_guests *all;
    struct http_guest *next, **at;
    struct address_block address; /* of one; size 0: it has none */
    bool is_trusted, was_cut;
    int refusal; /* a status, or 0 */
    int fd;
    enum guest_phase phase;
    bool is_kept;
    uint64_t received;
    int64_t since_ms;  /* when the phase began */
    int64_t waited_ms; /* for its body, before that */
    size_t kept_bytes;
};

struct http_guests {
    unsigned per_address, others_max;
    int64_t body_bytes;
    struct address_block trusted[TRUSTED_MAX];
    size_t trusted_count;
    pthread_t watch;
    bool is_watching;
    pthread_cond_t ending;
    pthread_mutex_t lock; /* guards the rest, and all guests */
    struct http_guest *first;
    bool is_ending;
};

/* ---- addresses ---- */

static struct address_block
address_of(const struct sockaddr *from)
{
    struct address_block a = {0};

    if (from->sa_family == AF_INET) {
        memcpy(a.address, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
        a.size = 4;
    } else if (from->sa_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
        a.size = IN6_IS_ADDR_V4MAPPED(in6) ? 4 : 16;
        memcpy(a.address, in6->s6_addr + (16 - a.size), (size_t)a.size);
    }
    a.bits = a.size * 8;
    return a;
}

static bool
is_of_one(const struct address_block *a, const struct address_block *b)
{
    return a->size == b->size && memcmp(a->address, b->address, a->size == 16 ? 8 : 4) == 0;
}

bool
http_guests_are_one(const struct sockaddr *a, const struct sockaddr *b)
{
    const struct address_block one = address_of(a), other = address_of(b);

    return is_of_one(&one, &other);
}

/* ---- all of them ---- */

struct http_guests *
http_guests_new(const struct http_limits *limits, unsigned connections_max, struct err *err)
{
    struct http_guests *g = mem_new(sizeof(*g));
    pthread_condattr_t attributes;

    g->per_address = limits->per_address;
    g->body_bytes = limits->body_bytes;
    g->others_max = connections_max - GUESTS_RESERVED;
    pthread_mutex_init(&g->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&g->ending, &attributes);
    pthread_condattr_destroy(&attributes);
    if (address_blocks_read(limits->trusted, g->trusted, TRUSTED_MAX, &g->trusted_count, err))
        return g;
    http_guests_free(g);
    return NULL;
}

/* ---- who is slow ---- */

static bool
is_slow(const struct http_guest *guest, int64_t now_ms)
{
    const int64_t here_ms = now_ms - guest->since_ms;
    const int64_t rate = guest->is_kept ? GUEST_KEPT_RATE : GUEST_STREAM_RATE;

    switch (guest->phase) {
    case GUEST_IDLE:
        return here_ms >= (guest->refusal != 0 ? GUEST_HEAD_MS : GUEST_IDLE_MS);
    case GUEST_HEAD:
        return here_ms >= GUEST_HEAD_MS;
    case GUEST_BODY:
        return guest->waited_ms + here_ms >= GUEST_BODY_MS + (int64_t)guest->received * 1000 / rate;
    case GUEST_SERVED:
        break;
    }
    return false;
}

/* With the lock held. */
static unsigned
cut_slow(struct http_guests *g, int64_t now_ms)
{
    unsigned count = 0;

    for (struct http_guest *i = g->first; i != NULL; i = i->next) {
        if (i->was_cut || !is_slow(i, now_ms))
            continue;
        (void)shutdown(i->fd, SHUT_RDWR); /* its thread sees the end, and closes it */
        i->was_cut = true;
        count++;
    }
    if (count > 0)
        log_info("http.cut", "slow_connections=%u", count);
    return count;
}

static void *
watch(void *arg)
{
    struct http_guests *g = arg;

    pthread_mutex_lock(&g->lock);
    while (!g->is_ending) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 1;
        (void)pthread_cond_timedwait(&g->ending, &g->lock, &until);
        if (!g->is_ending)
            (void)cut_slow(g, clock_monotonic_ms());
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

bool
http_guests_watch(struct http_guests *g, struct err *err)
{
    g->is_watching = pthread_create(&g->watch, NULL, watch, g) == 0;
    return g->is_watching || err_set(err, ERR_INTERNAL, "cannot start a thread");
}

void
http_guests_free(struct http_guests *g)
{
    if (g == NULL)
        return;
    pthread_mutex_lock(&g->lock);
    g->is_ending = true;
    pthread_cond_signal(&g->ending);
    pthread_mutex_unlock(&g->lock);
    if (g->is_watching)
        pthread_join(g->watch, NULL);
    pthread_cond_destroy(&g->ending);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

struct crowd {
    unsigned of_address, of_others;           /* connections; trusted ones are of no crowd */
    int64_t bytes, address_bytes, others_bytes; /* of bodies that are kept; the first with trusted ones' */
};

/* With the lock held. Some thousand steps at most, for each connection and each doubling of a body. */
static struct crowd
crowd_around(const struct http_guests *g, const struct address_block *a,
             const struct http_guest *but)
{
    struct crowd c = {0};

    for (const struct http_guest *i = g->first; i != NULL; i = i->next) {
        if (i == but)
            continue;
        c.bytes += (int64_t)i->kept_bytes;
        if (i->is_trusted)
            continue;
        c.of_others++;
        c.others_bytes += (int64_t)i->kept_bytes;
        if (is_of_one(&i->address, a)) {
            c.of_address++;
            c.address_bytes += (int64_t)i->kept_bytes;
        }
    }
    return c;
}

/* With `beyond` connections more than the limits say. */
static int
refusal_of(const struct http_guests *g, const struct crowd *c, unsigned beyond)
{
    if (g->per_address > 0 && c->of_address >= g->per_address + beyond)
        return 429;
    return c->of_others >= g->others_max + beyond ? 503 : 0;
}

bool
http_guests_may_enter(struct http_guests *g, const struct sockaddr *from)
{
    const struct address_block a = address_of(from);
    bool may = true;

    if (address_blocks_hold(g->trusted, g->trusted_count, &a))
        return true;
    pthread_mutex_lock(&g->lock);
    const struct crowd c = crowd_around(g, &a, NULL);
    may = refusal_of(g, &c, GUESTS_REFUSED_MAX) == 0;
    pthread_mutex_unlock(&g->lock);
    return may;
}

struct http_guest *
http_guest_enter(struct http_guests *g, const struct sockaddr *from, int fd, int64_t now_ms)
{
    struct http_guest *guest = mem_new(sizeof(*guest));

    *guest = (struct http_guest){.all = g, .address = address_of(from), .fd = fd, .since_ms = now_ms};
    guest->is_trusted = address_blocks_hold(g->trusted, g->trusted_count, &guest->address);
    pthread_mutex_lock(&g->lock);
    const struct crowd c = crowd_around(g, &guest->address, NULL);
    if (!guest->is_trusted) {
        guest->refusal = refusal_of(g, &c, 0);
        guest->was_cut = refusal_of(g, &c, GUESTS_REFUSED_MAX) != 0;
    }
    if (guest->was_cut) /* its thread sees the end at once */
        (void)shutdown(fd, SHUT_RDWR);
    guest->next = g->first;
    guest->at = &g->first;
    if (guest->next != NULL)
        guest->next->at = &guest->next;
    g->first = guest;
    pthread_mutex_unlock(&g->lock);
    return guest;
}

void
http_guest_leave(struct http_guest *guest)
{
    if (guest == NULL)
        return;
    pthread_mutex_lock(&guest->all->lock);
    *guest->at = guest->next;
    if (guest->next != NULL)
        guest->next->at = guest->at;
    pthread_mutex_unlock(&guest->all->lock);
    free(guest);
}

int
http_guest_refusal(struct http_guest *guest)
{
    return guest == NULL ? 0 : guest->refusal; /* set once, before anybody asks */
}

/* ---- phases ---- */

void
http_guest_enters_phase(struct http_guest *guest, enum guest_phase phase, bool is_kept,
                        uint64_t received, int64_t now_ms)
{
    if (guest == NULL)
        return;
    pthread_mutex_lock(&guest->all->lock);
    if (guest->phase == GUEST_BODY)
        guest->waited_ms += now_ms - guest->since_ms;
    else if (phase == GUEST_HEAD || phase == GUEST_IDLE)
        guest->waited_ms = 0;
    guest->phase = phase;
    guest->is_kept = is_kept;
    guest->received = received;
    guest->since_ms = now_ms;
    pthread_mutex_unlock(&guest->all->lock);
}

unsigned
http_guests_cut_slow(struct http_guests *g, int64_t now_ms)
{
    pthread_mutex_lock(&g->lock);
    const unsigned count = cut_slow(g, now_ms);
    pthread_mutex_unlock(&g->lock);
    return count;
}

/* ---- bytes ---- */

bool
http_guest_keep(struct http_guest *guest, size_t bytes, int *status_out)
{
    int status = 0;

    if (guest == NULL)
        return true;
    struct http_guests *g = guest->all;
    pthread_mutex_lock(&g->lock);
    const struct crowd c = crowd_around(g, &guest->address, guest);
    const int64_t more = bytes > guest->kept_bytes ? (int64_t)bytes : 0; /* less always fits */
    if (more > 0 && !guest->is_trusted && c.address_bytes + more > g->body_bytes / 4)
        status = 429;
    else if (more > 0 && (c.bytes + more > g->body_bytes ||
                          (!guest->is_trusted && c.others_bytes + more > g->body_bytes / 4 * 3)))
        status = 503;
    guest->kept_bytes = status == 0 ? bytes : 0;
    pthread_mutex_unlock(&g->lock);
    *status_out = status;
    return status == 0;
}
