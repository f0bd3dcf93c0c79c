/* SPDX-License-Identifier: MIT */
#include "pipeline/run/run_thread.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>

static void *
run_work(void *arg)
{
    struct run_work *w = arg;
    const uint64_t one = 1;

    w->work(w);
    /* It can only fail if the counter is full, and it is at zero. */
    (void)!write(w->event, &one, sizeof(one));
    return NULL;
}

bool
run_on_thread(struct run *run, const struct node *at, struct run_work *w)
{
    cleanup_close int event = eventfd(0, EFD_CLOEXEC);
    struct pollfd fd = {.fd = event, .events = POLLIN};
    pthread_t thread;
    bool ok = true;
    int failure;

    if (event < 0)
        return interp_throw(&run->in, at, "AbortException", "cannot wait: %s", strerror(errno));
    w->event = event;
    atomic_store(&w->is_cancelled, false);
    failure = pthread_create(&thread, NULL, run_work, w);
    if (failure != 0)
        return interp_throw(&run->in, at, "AbortException", "cannot start a thread: %s",
                            strerror(failure));
    do {
        fd.revents = 0;
        ok = run_wait(run, at, &fd, 1, INT64_MAX);
    } while (ok && (fd.revents & POLLIN) == 0);
    if (!ok)
        atomic_store(&w->is_cancelled, true);
    pthread_join(thread, NULL);
    return ok;
}
