/* SPDX-License-Identifier: MIT */
#include "io/loop.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

/* A loop that is this far behind will not catch up; it is stuck, and memory would hide it. */
#define POSTS_MAX 1000000u

struct post {
    struct post *next;
    loop_call *call;
    void *arg;
};

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    pthread_t thread;
    bool has_thread;
    char name[16];
    _Atomic(pthread_t) owner; /* who runs it; 0 before and after */

    pthread_mutex_t lock; /* guards what follows */
    struct post *first, **last;
    unsigned count;
    bool stopping, ended;
};

struct loop_timer {
    uv_timer_t uv;
    loop_call *call;
    void *arg;
};

struct loop_fd {
    uv_poll_t uv;
    loop_fd_call *call;
    void *arg;
};

static void
must(int result)
{
    if (result != 0)
        abort(); /* libuv fails here for want of memory or descriptors only */
}

static void
check_thread(const struct loop *loop)
{
    assert(loop_is_mine(loop) || atomic_load(&((struct loop *)(uintptr_t)loop)->owner) == 0);
    (void)loop;
}

static struct post *
take_posts(struct loop *loop)
{
    struct post *first;

    pthread_mutex_lock(&loop->lock);
    first = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    loop->count = 0;
    pthread_mutex_unlock(&loop->lock);
    return first;
}

static void
run_posts(struct loop *loop)
{
    struct post *post = take_posts(loop);

    while (post != NULL) {
        struct post *next = post->next;

        post->call(post->arg);
        free(post);
        post = next;
    }
}

/* One wake-up serves all posts made before it.  What the calls post themselves wakes the loop
 * again, so that timers and descriptors get their turn in between. */
static void
on_wake(uv_async_t *wake)
{
    struct loop *loop = wake->data;
    bool stopping;

    run_posts(loop);
    pthread_mutex_lock(&loop->lock);
    stopping = loop->stopping;
    pthread_mutex_unlock(&loop->lock);
    if (stopping)
        uv_stop(&loop->uv);
}

struct loop *
loop_new(void)
{
    struct loop *loop = mem_new(sizeof(*loop));

    must(uv_loop_init(&loop->uv));
    must(uv_async_init(&loop->uv, &loop->wake, on_wake));
    loop->wake.data = loop;
    must(pthread_mutex_init(&loop->lock, NULL));
    loop->last = &loop->first;
    return loop;
}

static void
close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void
loop_free(struct loop *loop)
{
    struct post *post;

    if (loop == NULL)
        return;
    assert(!loop->has_thread);
    post = take_posts(loop);
    while (post != NULL) {
        struct post *next = post->next;

        free(post);
        post = next;
    }
    uv_walk(&loop->uv, close_handle, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    must(uv_loop_close(&loop->uv));
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

/* Ends the loop only when, under the lock, nothing is left to do: whoever posted before that
 * moment is served, whoever comes later is told by `ended`. */
static bool
end_if_idle(struct loop *loop)
{
    bool idle;

    pthread_mutex_lock(&loop->lock);
    idle = loop->first == NULL;
    if (idle)
        loop->ended = true;
    pthread_mutex_unlock(&loop->lock);
    return idle;
}

void
loop_run(struct loop *loop)
{
    atomic_store(&loop->owner, pthread_self());
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    while (!end_if_idle(loop))
        run_posts(loop);
    atomic_store(&loop->owner, 0);
}

static void *
thread_main(void *arg)
{
    struct loop *loop = arg;

    (void)pthread_setname_np(pthread_self(), loop->name);
    loop_run(loop);
    return NULL;
}

void
loop_start(struct loop *loop, const char *thread_name)
{
    assert(!loop->has_thread);
    (void)text_copy(loop->name, sizeof(loop->name),
                    str_slice(str_of(thread_name), 0, sizeof(loop->name) - 1));
    loop->has_thread = true;
    must(pthread_create(&loop->thread, NULL, thread_main, loop));
}

void
loop_stop(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->stopping = true;
    if (!loop->ended)
        must(uv_async_send(&loop->wake));
    pthread_mutex_unlock(&loop->lock);
}

void
loop_join(struct loop *loop)
{
    if (!loop->has_thread)
        return;
    must(pthread_join(loop->thread, NULL));
    loop->has_thread = false;
}

bool
loop_is_mine(const struct loop *loop)
{
    return pthread_equal(atomic_load(&((struct loop *)(uintptr_t)loop)->owner), pthread_self());
}

/* False if the loop has ended; then `post` is still the caller's. */
static bool
enqueue(struct loop *loop, struct post *post)
{
    bool is_open;

    pthread_mutex_lock(&loop->lock);
    is_open = !loop->ended;
    if (is_open) {
        assert(loop->count < POSTS_MAX);
        *loop->last = post;
        loop->last = &post->next;
        loop->count++;
        /* Under the lock: the handle must not be closed between the test and the wake-up. */
        must(uv_async_send(&loop->wake));
    }
    pthread_mutex_unlock(&loop->lock);
    return is_open;
}

bool
loop_post(struct loop *loop, loop_call *call, void *arg)
{
    struct post *post = mem_new(sizeof(*post));

    post->call = call;
    post->arg = arg;
    if (enqueue(loop, post))
        return true;
    free(post);
    return false;
}

struct waiter {
    loop_call *call;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t done_cond;
    bool is_done;
};

static void
run_waiter(void *arg)
{
    struct waiter *w = arg;

    w->call(w->arg);
    pthread_mutex_lock(&w->lock);
    w->is_done = true;
    pthread_cond_signal(&w->done_cond);
    pthread_mutex_unlock(&w->lock);
}

void
loop_call_and_wait(struct loop *loop, loop_call *call, void *arg)
{
    struct waiter w = {.call = call, .arg = arg};
    struct post *post = mem_new(sizeof(*post));

    assert(!loop_is_mine(loop));
    must(pthread_mutex_init(&w.lock, NULL));
    must(pthread_cond_init(&w.done_cond, NULL));
    post->call = run_waiter;
    post->arg = &w;
    if (enqueue(loop, post)) {
        pthread_mutex_lock(&w.lock);
        while (!w.is_done)
            pthread_cond_wait(&w.done_cond, &w.lock);
        pthread_mutex_unlock(&w.lock);
    } else {
        free(post);
        call(arg);
    }
    pthread_cond_destroy(&w.done_cond);
    pthread_mutex_destroy(&w.lock);
}

static void
on_timer(uv_timer_t *uv)
{
    struct loop_timer *t = uv->data;

    t->call(t->arg);
}

struct loop_timer *
loop_timer_new(struct loop *loop, loop_call *call, void *arg)
{
    struct loop_timer *t = mem_new(sizeof(*t));

    check_thread(loop);
    must(uv_timer_init(&loop->uv, &t->uv));
    t->uv.data = t;
    t->call = call;
    t->arg = arg;
    return t;
}

void
loop_timer_set(struct loop_timer *t, int64_t delay_ms)
{
    /* libuv counts from the start of this turn of the loop, which may be long ago. */
    uv_update_time(t->uv.loop);
    must(uv_timer_start(&t->uv, on_timer, delay_ms < 0 ? 0 : (uint64_t)delay_ms, 0));
}

void
loop_timer_clear(struct loop_timer *t)
{
    must(uv_timer_stop(&t->uv));
}

static void
free_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void
loop_timer_free(struct loop_timer *t)
{
    if (t != NULL)
        uv_close((uv_handle_t *)&t->uv, free_closed);
}

static void
on_poll(uv_poll_t *uv, int status, int events)
{
    struct loop_fd *w = uv->data;

    /* An error on the descriptor shows itself to the one who reads or writes it. */
    if (status < 0)
        w->call(w->arg, true, true);
    else
        w->call(w->arg, (events & (UV_READABLE | UV_DISCONNECT)) != 0, (events & UV_WRITABLE) != 0);
}

struct loop_fd *
loop_fd_new(struct loop *loop, int fd, loop_fd_call *call, void *arg)
{
    struct loop_fd *w = mem_new(sizeof(*w));

    check_thread(loop);
    must(uv_poll_init(&loop->uv, &w->uv, fd));
    w->uv.data = w;
    w->call = call;
    w->arg = arg;
    return w;
}

void
loop_fd_watch(struct loop_fd *w, bool readable, bool writable)
{
    int events = (readable ? UV_READABLE | UV_DISCONNECT : 0) | (writable ? UV_WRITABLE : 0);

    must(events == 0 ? uv_poll_stop(&w->uv) : uv_poll_start(&w->uv, events, on_poll));
}

void
loop_fd_free(struct loop_fd *w)
{
    if (w == NULL)
        return;
    (void)uv_poll_stop(&w->uv);
    uv_close((uv_handle_t *)&w->uv, free_closed);
}
