/* SPDX-License-Identifier: MIT */
/* loop.h - one event loop a thread (libuv behind it).
 * A room that waits for things runs a loop on a thread of its own.  The only way in from another
 * thread is loop_post(): it queues a call, in order, and wakes the loop.  All else must be called
 * on the loop's own thread, or before it has started.  Posts after loop_stop() are run before the
 * thread ends; what is posted when it has ended is dropped, and loop_post() says so. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

struct loop;
struct loop_timer;
struct loop_fd;
typedef void loop_call(void *arg);
typedef void loop_fd_call(void *arg, bool readable, bool writable);

struct loop *loop_new(void);
void loop_free(struct loop *loop);           /* after loop_join() */
void loop_start(struct loop *loop, const char *thread_name); /* spawns the thread */
void loop_run(struct loop *loop);            /* or: runs here until loop_stop() */
void loop_stop(struct loop *loop);           /* any thread */
void loop_join(struct loop *loop);
bool loop_is_mine(const struct loop *loop);  /* am I on its thread? */

bool loop_post(struct loop *loop, loop_call *call, void *arg); /* any thread */
/* As loop_post(), and waits until the call has returned; calls here if the loop has ended. Not from the loop's own thread. */
void loop_call_and_wait(struct loop *loop, loop_call *call, void *arg);

struct loop_timer *loop_timer_new(struct loop *loop, loop_call *call, void *arg);
void loop_timer_set(struct loop_timer *t, int64_t delay_ms); /* once; replaces what was set */
void loop_timer_clear(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

struct loop_fd *loop_fd_new(struct loop *loop, int fd, loop_fd_call *call, void *arg);
void loop_fd_watch(struct loop_fd *w, bool readable, bool writable);
void loop_fd_free(struct loop_fd *w); /* does not close the descriptor */

/* A fixed crew of threads for calls that block; jobs run in any order, at most `threads` at once. */
struct crew;
struct crew *crew_new(const char *name, unsigned threads);
void crew_post(struct crew *crew, loop_call *call, void *arg); /* any thread */
void crew_free(struct crew *crew); /* waits for what runs and for what is queued */
