/* SPDX-License-Identifier: MIT */
/* h2_target.h - a target that speaks HTTP/2, gRPC or TLS, well or badly.
 * Just enough of HTTP/2 to be asked by others: it reads frames, understands no header, and answers each
 * stream that has ended in the way it is told. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum h2_manner {
    H2_ANSWERS,       /* status, body */
    H2_TRAILERS,      /* gRPC: 200, a message, grpc-status in the trailer */
    H2_TRAILERS_ONLY, /* gRPC: grpc-status in the head, nothing else */
    H2_NO_STATUS,     /* gRPC's content type, and no grpc-status at all */
    H2_SILENT,        /* takes the connection and says nothing */
    H2_CLOSES,        /* once it was asked */
    H2_RESETS,
    H2_GARBAGE,
    H1_ANSWERS        /* HTTP/1.1 with the status and body; closes */
};

struct h2_target {
    bool is_tls, offers_h2; /* set before it starts; with TLS HTTP/2 is agreed upon only if offered */
    const char *body;
    atomic_int manner, status, grpc_status;
    atomic_int connections, requests;
    atomic_bool is_held; /* whoever asks waits until it is not */

    int fd, port;
    void *tls;
    atomic_bool is_stopping;
    atomic_int threads;
    pthread_t thread;
};

void h2_target_start(struct h2_target *t, enum h2_manner manner);
void h2_target_stop(struct h2_target *t);
