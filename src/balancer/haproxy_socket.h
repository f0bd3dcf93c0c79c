/* SPDX-License-Identifier: MIT */
/* haproxy_socket.h - talks to HAProxy's admin and master sockets and reads their answers.
 * HAProxy has no status codes: success is often an empty line, failure any text.  So every answer is
 * compared with what is expected, and anything else is an error that carries the text.
 * The calls block, for a second and a half at most; a healthy HAProxy answers in a millisecond, and
 * one that doesn't serves no traffic either.  A new connection each time, because an old one stays
 * with the old worker across a reload (alb.md B14).
 * The parsers are pure; they accept any bytes and fail with ERR_HAPROXY. */
#pragma once
#include <sys/types.h>
#include <sys/un.h>
#include "base/err.h"
#include "model/types.h"

#define HAPROXY_ANSWER_LIMIT ((size_t)16 << 20) /* 200 backends of 32 servers answer 1.4 MB */
#define HAPROXY_LINE_MAX 8000 /* of a batch of commands; HAProxy's own limit is 16 KB */

/* Sends one line, reads to the end.  `commands` may be several, joined by ';'. */
bool haproxy_ask(const char *socket_path, const char *commands, struct strbuf *answer_out,
                 struct err *err) MUST_CHECK;

/* The address of a socket in a folder whose path may be too long for one: then *folder_fd_out is the folder,
 * to be closed when the address was used. */
bool haproxy_socket_address(const char *path, struct sockaddr_un *address, int *folder_fd_out,
                            struct err *err) MUST_CHECK;

/* Cuts the answers of a batch: each ends with an empty line.  False at the end, or if the last one
 * is cut off. "a\n\n\n" gives "a", "". */
bool haproxy_next_answer(struct str *rest, struct str *answer_out);

/* Did this command succeed?  `answer` is one of haproxy_next_answer(). */
bool haproxy_did_set_address(struct str answer);
bool haproxy_did_set_quietly(struct str answer); /* state, map, shutdown: nothing but blanks */

/* One server of `show servers state` or `show servers conn`. */
struct haproxy_server {
    char backend[64];
    char name[16];
    char address[ADDRESS_SIZE];
    int port;
    bool is_ready; /* of 'state': takes new requests */
    int used;      /* of 'conn': connections with a request in flight, WebSockets included */
};

typedef void haproxy_server_call(void *arg, const struct haproxy_server *server);
bool haproxy_parse_state(struct str answer, haproxy_server_call *call, void *arg, struct err *err) MUST_CHECK;
bool haproxy_parse_connections(struct str answer, haproxy_server_call *call, void *arg,
                               struct err *err) MUST_CHECK;

struct haproxy_info { /* `show info` */
    pid_t pid;            /* of the worker that answered */
    int64_t uptime_s;
    char description[80];
    bool is_stopping;
};
bool haproxy_parse_info(struct str answer, struct haproxy_info *out, struct err *err) MUST_CHECK;

#define HAPROXY_OLD_WORKERS_MAX 64
struct haproxy_processes { /* `show proc` of the master socket */
    pid_t master;
    int failed_reloads;    /* since the last good one */
    pid_t worker;          /* 0: none */
    pid_t old_workers[HAPROXY_OLD_WORKERS_MAX];
    int old_worker_count;  /* more than the maximum: an error */
};
bool haproxy_parse_processes(struct str answer, struct haproxy_processes *out, struct err *err) MUST_CHECK;

/* Names of the frontends in `show stat -1 1 -1`, called in order. */
bool haproxy_parse_frontends(struct str answer, void (*call)(void *arg, struct str name), void *arg,
                             struct err *err) MUST_CHECK;
/* Client connections that are in no backend, in `show stat -1 3 -1`: their next request is yet to come. */
bool haproxy_parse_waiting(struct str answer, int64_t *count_out, struct err *err) MUST_CHECK;
/* `show map`: appends "key value" a line, without the pointers that HAProxy puts in front.  False: there
 * is no such map, or it is not understood. */
bool haproxy_parse_map(struct str answer, struct strbuf *out) MUST_CHECK;
/* `show ssl cert` and `show ssl crt-list`: the <id> of each line "certs/<id>.pem", in order; not those of
 * transactions, nor those of other names. */
void haproxy_parse_certificates(struct str answer, void (*call)(void *arg, struct str id), void *arg);
/* `show ssl cert NAME`: SHA-1 in upper-case hex. */
bool haproxy_parse_fingerprint(struct str answer, char out[static 41]) MUST_CHECK;
/* `prepare map`: "New version created: 7". */
bool haproxy_parse_version(struct str answer, int64_t *out) MUST_CHECK;
