/* SPDX-License-Identifier: MIT */
#include "io/guard.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/random.h"

#define ROWS 1024
#define WAYS 6
#define FORGET_MS (15LL * 60 * 1000)
#define EVERY STR("\n") /* all keys of an address; none is called so */

struct attempt {
    uint64_t who; /* 0: free */
    int64_t last_ms;
    int64_t wait_until_ms;
    unsigned failures;
};

struct guard {
    pthread_mutex_t lock;
    uint64_t seed; /* so that nobody can choose whom to drive out */
    struct attempt at[ROWS][WAYS];
};

struct guard *
guard_new(void)
{
    struct guard *g = mem_new(sizeof(*g));

    pthread_mutex_init(&g->lock, NULL);
    random_bytes(&g->seed, sizeof(g->seed));
    return g;
}

void
guard_free(struct guard *g)
{
    if (g == NULL)
        return;
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static uint64_t
mix(uint64_t hash, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        hash = (hash ^ (unsigned char)s.at[i]) * 0x100000001b3ull;
        hash ^= hash >> 29;
    }
    return (hash ^ s.len) * 0x9e3779b97f4a7c15ull;
}

static uint64_t
name_of(const struct guard *g, struct str peer, struct str key)
{
    return mix(mix(g->seed, peer), key) | 1;
}

/* The row's entry of `who`; else NULL, or with `makes` the one that was idle for longest. */
static struct attempt *
attempt_of(struct guard *g, uint64_t who, bool makes)
{
    struct attempt *row = g->at[(who >> 20) % ROWS], *oldest = row;

    for (int i = 0; i < WAYS; i++) {
        if (row[i].who == who)
            return &row[i];
        if (row[i].last_ms < oldest->last_ms)
            oldest = &row[i];
    }
    if (!makes)
        return NULL;
    *oldest = (struct attempt){.who = who};
    return oldest;
}

static int64_t
wait_of(struct guard *g, uint64_t who, int64_t now_ms)
{
    const struct attempt *a = attempt_of(g, who, /* makes= */ false);

    return a != NULL && a->wait_until_ms > now_ms ? a->wait_until_ms - now_ms : 0;
}

int64_t
guard_wait_ms(struct guard *g, struct str peer, struct str key, int64_t now_ms)
{
    pthread_mutex_lock(&g->lock);
    const int64_t pair = wait_of(g, name_of(g, peer, key), now_ms);
    const int64_t alone = wait_of(g, name_of(g, peer, EVERY), now_ms);
    pthread_mutex_unlock(&g->lock);
    return pair > alone ? pair : alone;
}

/* Is it the first failure that is remembered? */
static bool
count(struct guard *g, uint64_t who, unsigned allowed, int64_t now_ms)
{
    struct attempt *a = attempt_of(g, who, /* makes= */ true);
    const bool is_first = a->last_ms == 0 || now_ms - a->last_ms > FORGET_MS;
    int64_t wait_ms = 1000;

    if (is_first)
        a->failures = 0;
    a->last_ms = now_ms;
    if (++a->failures < allowed)
        return is_first;
    for (unsigned i = allowed; i < a->failures && wait_ms < GUARD_WAIT_MAX_MS; i++)
        wait_ms *= 2;
    a->wait_until_ms = now_ms + (wait_ms < GUARD_WAIT_MAX_MS ? wait_ms : GUARD_WAIT_MAX_MS);
    return is_first;
}

void
guard_failed(struct guard *g, struct str peer, struct str key, int64_t now_ms)
{
    pthread_mutex_lock(&g->lock);
    /* A client that comes with one wrong key for ever must not keep out its neighbours. */
    const bool is_first =
        count(g, name_of(g, peer, key), key.len > 0 ? GUARD_FREE : 10 * GUARD_FREE, now_ms);
    if (key.len > 0 && is_first)
        (void)count(g, name_of(g, peer, EVERY), 10 * GUARD_FREE, now_ms);
    pthread_mutex_unlock(&g->lock);
}

void
guard_passed(struct guard *g, struct str peer, struct str key)
{
    pthread_mutex_lock(&g->lock);
    struct attempt *a = attempt_of(g, name_of(g, peer, key), /* makes= */ false);
    if (a != NULL) { /* that it failed is kept: for the address it counts once */
        a->failures = 0;
        a->wait_until_ms = 0;
    }
    pthread_mutex_unlock(&g->lock);
}
