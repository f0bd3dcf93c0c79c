/* SPDX-License-Identifier: MIT */
/* client.h - an HTTP client for tests that counts every request, and forgives nothing: a request
 * that gets no complete answer has failed, whatever the reason. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "base/str.h"

struct reply {
    int status;      /* 0: no complete answer */
    char body[256];  /* its beginning */
    char head[2048]; /* its beginning */
};

int client_connect(int port); /* -1: nobody listens */
/* One request on `*fd` (-1: connects first); leaves the connection in *fd if it may be reused. */
bool client_get(int *fd, int port, const char *method, const char *path, struct reply *out);
/* The same with any text as request; a connection of its own. */
struct reply client_send(int port, const char *request);
struct reply client_once(int port, const char *method, const char *path);

/* Clients in the background until they are stopped. */
struct load {
    int port;
    const char *path;
    int pause_ms;           /* between two requests */
    bool is_fresh;          /* a new connection for each */
    atomic_bool is_stopping;
    atomic_long requests, failures;
    atomic_int last_bad_status;
    pthread_t thread;
};
void load_start(struct load *l);
void load_stop(struct load *l);
