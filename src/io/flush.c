/* SPDX-License-Identifier: MIT */
#include "io/flush.h"

#include <assert.h>
#include <errno.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"

/* A context costs milliseconds to end, so they are kept; who finds none left flushes one file after the other. */
#define CONTEXTS_MAX 64

struct flusher {
    pthread_mutex_t lock;
    aio_context_t idle[CONTEXTS_MAX];
    size_t idle_count, made;
    bool is_refused; /* this kernel makes none */
};

struct flusher *
flusher_new(void)
{
    struct flusher *f = mem_new(sizeof *f);

    pthread_mutex_init(&f->lock, NULL);
    return f;
}

void
flusher_free(struct flusher *f)
{
    if (f == NULL)
        return;
    assert(f->idle_count == f->made);
    for (size_t i = 0; i < f->idle_count; i++)
        syscall(SYS_io_destroy, f->idle[i]);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

/* ---- contexts ---- */

static void
context_unmake(struct flusher *f, bool is_refused)
{
    pthread_mutex_lock(&f->lock);
    f->made--;
    f->is_refused |= is_refused;
    pthread_mutex_unlock(&f->lock);
}

static bool
context_take(struct flusher *f, aio_context_t *out)
{
    *out = 0;
    pthread_mutex_lock(&f->lock);
    const bool is_there = f->idle_count > 0;
    const bool may_make = !is_there && f->made < CONTEXTS_MAX && !f->is_refused;
    if (is_there)
        *out = f->idle[--f->idle_count];
    f->made += may_make;
    pthread_mutex_unlock(&f->lock);
    if (!may_make || syscall(SYS_io_setup, FLUSH_FILES_MAX, out) == 0)
        return is_there || may_make;
    context_unmake(f, errno != EAGAIN && errno != ENOMEM); /* else the machine has no more just now */
    return false;
}

static void
context_give(struct flusher *f, aio_context_t context)
{
    pthread_mutex_lock(&f->lock);
    f->idle[f->idle_count++] = context;
    pthread_mutex_unlock(&f->lock);
}

/* ---- flushes ---- */

static int
flush_one(int fd, enum flush_what what)
{
    return (what == FLUSH_BYTES ? fdatasync(fd) : fsync(fd)) < 0 ? errno : 0;
}

/* How many of the first files are on their way. */
static size_t
submit(aio_context_t context, const int *fds, size_t count, enum flush_what what)
{
    struct iocb blocks[FLUSH_FILES_MAX] = {0}, *list[FLUSH_FILES_MAX];

    for (size_t i = 0; i < count; i++) {
        blocks[i].aio_fildes = (uint32_t)fds[i];
        blocks[i].aio_lio_opcode = what == FLUSH_BYTES ? IOCB_CMD_FDSYNC : IOCB_CMD_FSYNC;
        blocks[i].aio_data = i;
        list[i] = &blocks[i];
    }
    const long sent = syscall(SYS_io_submit, context, count, list);
    return sent > 0 ? (size_t)sent : 0;
}

/* Waits for `count` of them. */
static int
reap(aio_context_t context, size_t count, size_t *failed_out)
{
    int error = 0;

    while (count > 0) {
        struct io_event events[FLUSH_FILES_MAX];
        const long got = syscall(SYS_io_getevents, context, 1, count, events, NULL);
        assert(got > 0 || errno == EINTR); /* nothing else is left to go wrong */
        for (long i = 0; i < got; i++) {
            if (events[i].res == 0)
                continue;
            error = (int)-events[i].res;
            *failed_out = (size_t)events[i].data;
        }
        count -= got > 0 ? (size_t)got : 0;
    }
    return error;
}

int
flusher_flush(struct flusher *f, const int *fds, size_t count, enum flush_what what, size_t *failed_out)
{
    aio_context_t context = 0;
    size_t sent = 0;
    int error = 0;

    assert(count <= FLUSH_FILES_MAX);
    /* The last one is this thread's own, which has to wait anyway. */
    const bool has_context = count > 1 && context_take(f, &context);
    if (has_context)
        sent = submit(context, fds, count - 1, what);
    for (size_t i = sent; i < count && error == 0; i++) {
        error = flush_one(fds[i], what);
        *failed_out = i;
    }
    if (sent > 0) {
        const int other = reap(context, sent, failed_out);
        error = other != 0 ? other : error;
    }
    if (has_context)
        context_give(f, context);
    return error;
}
