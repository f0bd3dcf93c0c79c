/* SPDX-License-Identifier: MIT */
#include "io/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#define SINKS_MAX 128
#define STACK_SIZE ((size_t)256 * 1024)

static atomic_int sink_count;

static void *
swallow(void *arg)
{
    const int fd = (int)(intptr_t)arg;
    char piece[4096];
    ssize_t n;

    do
        n = read(fd, piece, sizeof(piece));
    while (n > 0 || (n < 0 && errno == EINTR));
    close(fd);
    atomic_fetch_sub(&sink_count, 1);
    return NULL;
}

static bool
start(int fd)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    int failure;

    /* Signals are for the threads that were there before. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    failure = pthread_create(&thread, &attr, swallow, (void *)(intptr_t)fd);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure == 0;
}

void
sink_pipe(int fd)
{
    const int flags = fcntl(fd, F_GETFL);

    if (atomic_fetch_add(&sink_count, 1) < SINKS_MAX && flags >= 0 &&
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 && start(fd))
        return;
    atomic_fetch_sub(&sink_count, 1);
    close(fd);
}
