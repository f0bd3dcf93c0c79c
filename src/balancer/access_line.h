/* SPDX-License-Identifier: MIT */
/* access_line.h - from HAProxy's log lines to the access log of an Application Load Balancer.
 * HAProxy writes two forms, a datagram a line, "<134>" (its level) in front; its fields hold no blanks:
 *   S  a sample: where the request went, how long that took, with what status (latencies, shares)
 *   F  the same and everything else that an access log entry has; what a client chose is in base64,
 *      so that nothing it sends can end a field or a line
 * access_line_format() gives the log-format texts, access_line_parse() reads what comes of them, and
 * access_line_write() makes the entry that AWS documents, field by field.
 * Times are milliseconds; -1: did not get that far.
 * Pure. Parsed fields are views into the line; it accepts any bytes. */
#pragma once
#include "base/str.h"

#define ACCESS_LINE_MAX 32768 /* HAProxy cuts what is longer */
/* What is kept of what a client sends; HAProxy's converters take no more than its buffer holds. */
#define ACCESS_URL_MAX 8192
#define ACCESS_AGENT_MAX 8192
#define ACCESS_HOST_MAX 512
#define ACCESS_TRACE_MAX 1024
#define ACCESS_LOCATION_MAX 4096

struct access_line {
    bool is_full;
    struct str listener; /* id */
    int64_t request_ms, queue_ms, connect_ms, response_ms, total_ms; /* TR Tw Tc Tr Ta */
    struct str backend;  /* "group_<id>", or the frontend's own name */
    struct str address;  /* of the target; empty: none was chosen */
    int port;
    int status;          /* as the client saw it; 0: it saw none */
    struct str ending;   /* HAProxy's termination state, "----" if all went well */
    bool is_refused;     /* or ended before it was whole: no rule was asked */
    struct str rule;     /* id of the rule that it met; empty: the default one, if any was asked */

    /* Only of a full one. */
    int64_t accepted_ms; /* since the epoch */
    int64_t handshake_ms, idle_ms; /* from then until the request's first byte */
    struct str client;
    int client_port;
    int64_t received_bytes, sent_bytes;
    struct str cipher, protocol; /* of TLS; empty: none */
    struct str method, version;  /* "GET", "1.1" */
    struct str url, host, agent, trace, location, server_name; /* still in base64 */
    struct str connection;       /* a UUID */
};

/* HAProxy's `log-format` of a listener; a full one needs the variables that the configuration sets beside it.
 * Without rules no variable is asked for which it was. */
void access_line_format(bool is_full, const char *listener_id, bool has_rules, struct strbuf *out);

/* False: not one of ours, or cut off. */
bool access_line_parse(struct str datagram, struct access_line *out) MUST_CHECK;
/* Did a target answer? */
bool access_line_has_answer(const struct access_line *l);
/* As the client saw it; 460 if it went away while it waited; 0: none. */
int access_line_status(const struct access_line *l);

struct access_names { /* what HAProxy does not know */
    const char *load_balancer; /* "app/<name>/<id>" */
    int port;                  /* of the listener */
    const char *group_arn;     /* NULL: none */
    const char *certificate_arn; /* NULL: none, or not known */
    int priority;              /* of the matched rule; 0: the default rule */
    const char *action;        /* its type, "forward" */
};

/* One entry and its line feed. */
void access_line_write(const struct access_line *l, const struct access_names *names, struct strbuf *out);
