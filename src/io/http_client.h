/* SPDX-License-Identifier: MIT */
/* http_client.h - HTTP requests with libcurl, over TCP or a unix socket.
 * Blocking calls for worker threads.  A `struct http_client` keeps connections and belongs to one
 * thread at a time.  A status of 400 or more is an answer, not an error. */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct http_client;

/* A body of any size that costs no memory: `size` bytes of `fd` from its beginning, whatever its
 * position. A disk that fails is an error of the call (where a mapped file would be a SIGBUS). */
struct http_file {
    int fd;
    int64_t size;
};

struct http_call {
    const char *method;      /* "GET" */
    const char *url;         /* "http://localhost/v1.41/containers/json" */
    const char *unix_socket; /* NULL for TCP */
    struct str body;         /* sent when .at is not NULL */
    const struct http_file *file; /* sent in its place, if not NULL */
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    int64_t connect_timeout_ms; /* 0: 5000 */
    int64_t timeout_ms;         /* whole call; 0: none */
    int64_t idle_timeout_ms;    /* no byte for so long: fail; 0: none */
    size_t limit;               /* of the collected answer; 0: 16 MiB */
    /* If set, body bytes go here instead of http_answer.body; false ends the call (no error). */
    bool (*on_data)(void *arg, struct str data);
    void *arg;
    /* If set, is asked about four times a second; true gives the call up with ERR_TIMEOUT. */
    bool (*is_cancelled)(void *arg);
};

struct http_answer {
    int status;
    struct strbuf body;
    struct strbuf headers; /* raw lines */
};

void http_client_init(void); /* of libcurl, once; whoever uses it calls this first */
struct http_client *http_client_new(void);
void http_client_free(struct http_client *c);
bool http_client_call(struct http_client *c, const struct http_call *call, struct http_answer *out,
                      struct err *err) MUST_CHECK;
void http_answer_done(struct http_answer *a);
/* Value of a header in answer->headers, trimmed; empty view when absent. Names without case. */
struct str http_answer_header(const struct http_answer *a, const char *name);
