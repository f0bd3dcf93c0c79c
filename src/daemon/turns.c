/* SPDX-License-Identifier: MIT */
#include "daemon/turns.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "base/str.h"

struct turns {
    pthread_mutex_t lock;            /* guards what follows; held for moments only */
    pthread_cond_t ended, readers_gone;
    bool is_wanted, is_engines;      /* the engine waits for its turn; it has it */
    uint64_t number;                 /* of the engine's turns that ended */
    int waiting;                     /* readers that are let in at its end */
    int inside;                      /* readers that were let in and did not leave yet */
    pthread_mutex_t reading;         /* of the one of them who runs */
};

struct turns *
turns_new(void)
{
    struct turns *t = mem_new(sizeof(*t));
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&t->lock, NULL);
    pthread_mutex_init(&t->reading, NULL);
    pthread_cond_init(&t->ended, &attributes);
    pthread_cond_init(&t->readers_gone, NULL);
    pthread_condattr_destroy(&attributes);
    return t;
}

void
turns_free(struct turns *t)
{
    if (t == NULL)
        return;
    assert(!t->is_engines && t->waiting == 0 && t->inside == 0);
    pthread_cond_destroy(&t->readers_gone);
    pthread_cond_destroy(&t->ended);
    pthread_mutex_destroy(&t->reading);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void
turns_begin(struct turns *t)
{
    pthread_mutex_lock(&t->lock);
    assert(!t->is_engines);
    t->is_wanted = true;
    while (t->inside > 0)
        pthread_cond_wait(&t->readers_gone, &t->lock);
    t->is_wanted = false;
    t->is_engines = true;
    pthread_mutex_unlock(&t->lock);
}

void
turns_end(struct turns *t)
{
    pthread_mutex_lock(&t->lock);
    assert(t->is_engines && t->inside == 0);
    t->is_engines = false;
    t->number++;
    t->inside = t->waiting; /* in already, before they even wake up */
    t->waiting = 0;
    pthread_cond_broadcast(&t->ended);
    pthread_mutex_unlock(&t->lock);
}

static struct timespec
moment_after(int64_t delay_ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += delay_ms / 1000;
    at.tv_nsec += delay_ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

/* Until the engine's turn, the present or the coming one, has ended. The lock is held. */
static bool
wait_for_end(struct turns *t, int64_t patience_ms)
{
    const struct timespec until = moment_after(patience_ms);
    const uint64_t number = t->number;
    int result = 0;

    t->waiting++;
    while (t->number == number && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&t->ended, &t->lock, &until);
    if (t->number != number)
        return true;
    t->waiting--;
    return false;
}

bool
turns_read_begin(struct turns *t, int64_t patience_ms)
{
    bool is_in = true;

    pthread_mutex_lock(&t->lock);
    if (t->is_engines || t->is_wanted)
        is_in = wait_for_end(t, patience_ms);
    else
        t->inside++;
    pthread_mutex_unlock(&t->lock);
    if (is_in)
        pthread_mutex_lock(&t->reading);
    return is_in;
}

void
turns_read_end(struct turns *t)
{
    pthread_mutex_unlock(&t->reading);
    pthread_mutex_lock(&t->lock);
    assert(t->inside > 0);
    if (--t->inside == 0)
        pthread_cond_signal(&t->readers_gone);
    pthread_mutex_unlock(&t->lock);
}
