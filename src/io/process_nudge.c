/* SPDX-License-Identifier: MIT */
#include "io/process_nudge.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/clock.h"

#define NUDGE_MS 50

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begun = PTHREAD_COND_INITIALIZER;
static struct nudge *under_way;
static bool is_watched;

static void
nudge_all(void)
{
    for (const struct nudge *n = under_way; n != NULL; n = n->next)
        if (n->pid > 0)
            (void)kill(n->pid, SIGCONT);
}

static void *
watch(void *unused)
{
    pthread_mutex_lock(&mutex);
    for (;;) {
        while (under_way == NULL)
            pthread_cond_wait(&begun, &mutex);
        pthread_mutex_unlock(&mutex);
        clock_sleep_ms(NUDGE_MS);
        pthread_mutex_lock(&mutex);
        nudge_all();
    }
    return unused;
}

/* It stays as long as we do. */
static void
start_watching(void)
{
    pthread_t thread;
    sigset_t all, before;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    is_watched = pthread_create(&thread, NULL, watch, NULL) == 0 && pthread_detach(thread) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void
nudge_begin(struct nudge *n)
{
    pthread_mutex_lock(&mutex);
    if (!is_watched)
        start_watching();
    n->next = under_way;
    under_way = n;
    pthread_cond_signal(&begun);
    pthread_mutex_unlock(&mutex);
}

void
nudge_end(struct nudge *n)
{
    pthread_mutex_lock(&mutex);
    for (struct nudge **at = &under_way; *at != NULL; at = &(*at)->next)
        if (*at == n) {
            *at = n->next;
            break;
        }
    pthread_mutex_unlock(&mutex);
}
