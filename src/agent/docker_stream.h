/* SPDX-License-Identifier: MIT */
/* docker_stream.h - an answer of Docker that goes on for as long as something lives: events, logs.
 * One descriptor on a loop instead of a thread each: the request is sent as HTTP/1.0, so the answer is
 * a head and then plain bytes until the end, and needs no client library.
 * All calls, in both directions, on the loop's own thread.  Docker hanging is not noticed here: a
 * stream with nothing to say looks the same (see the pings in docker_events.c). */
#pragma once
#include "base/str.h"
#include "io/loop.h"

#define STREAM_HEAD_MAX ((size_t)16 * 1024)

struct docker_stream;
struct docker_stream_calls {
    void (*opened)(void *arg);                 /* status 200 came */
    void (*data)(void *arg, struct str bytes); /* may not free the stream */
    /* The end; `error` is NULL if Docker closed an opened stream.  Always the last call, and never
     * from within docker_stream_new(); the owner then frees the stream. */
    void (*ended)(void *arg, int status, const char *error);
};

struct docker_stream *docker_stream_new(struct loop *loop, const char *socket, const char *path,
                                        const struct docker_stream_calls *calls, void *arg);
void docker_stream_free(struct docker_stream *s); /* NULL is fine; also from within ended() */

/* The head of an HTTP answer.  0: needs more bytes, -1: no HTTP, else the size of the head. */
ptrdiff_t docker_stream_parse_head(struct str bytes, int *status_out);
