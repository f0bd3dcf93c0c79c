/* SPDX-License-Identifier: MIT */
/* haproxy_text.h - the parts of HAProxy's configuration, shared by the haproxy_*.c of this room only.
 *   haproxy_config.c    the whole text and its fingerprint
 *   haproxy_frontend.c  a listener
 *   haproxy_tls.c       its certificates and ciphers, and whom it lets in
 *   haproxy_mutual.c    what is said of a client's certificate
 *   haproxy_chain.c     how its chain is written out
 *   haproxy_action.c    what listeners and rules do with a request
 *   haproxy_transform.c   what rules change of a request
 *   haproxy_request.c   what is refused of a request, and what targets are told of it
 *   haproxy_attributes.c  what attributes change of a listener
 *   haproxy_backend.c   a target group
 *   haproxy_log.c       what is said of requests
 *   haproxy_sticky.c    clients that stay with their target
 *   haproxy_tcp.c       what both have instead behind a network load balancer
 * Each appends to `out`. Pure. */
#pragma once
#include "balancer/haproxy_config.h"
#include "model/balancing.h"

/* So long a target has to accept a connection, all attempts together; one of TLS twice as long, for the handshake. */
#define CONNECT_MS 10000
#define RETRIES 3
#define ATTEMPT_MS (CONNECT_MS / (RETRIES + 1))

/* The last one decides; those before it authenticate, which the API refuses.  NULL without any. */
const struct json *action_last(const struct json *actions);
/* Of the last action, which decides: "forward", "fixed-response", "redirect"; empty without any. */
const char *action_type(const struct json *actions);
/* Does it forward to more than one group? */
bool action_has_groups(const struct json *actions);
struct share {
    const struct config_group *group;
    int64_t weight;
};
/* The groups of a forward action with their weights; not those of weight 0. */
int action_shares(const struct config_setup *setup, const struct json *action,
                  struct share shares[static GROUPS_PER_ACTION]);
/* An answer of HAProxy's own, of the listener or rule `id`; `condition` is " if ..." or empty. */
void action_add_fixed(const char *id, const struct json *actions, const char *condition,
                      struct strbuf *out);
/* As of a fixed response; `condition_and` is the same with a blank for one more, or " if ". */
void action_add_redirect(const struct json *actions, int port, const char *condition,
                         const char *condition_and, struct strbuf *out);
/* The backends of what rules answer themselves, by name: rules that change places change no structure. */
void action_add_answers(const struct config_setup *setup, struct strbuf *out);

/* What rules change of what they forward; behind the look-up of the rule. */
void transform_add(const struct config_listener *listener, struct strbuf *out);

/* Before all rules: which requests are spoken of, and what of them is kept until then. */
void log_add(const struct config_listener *listener, struct strbuf *out);
/* Behind our own headers: what else is kept. */
void log_add_late(const struct config_listener *listener, struct strbuf *out);
void tcp_add_listener(const struct config_listener *listener, struct strbuf *out);
void tcp_add_nobody(const struct config_setup *setup, struct strbuf *out); /* where nobody is led, if needed */
void tcp_add_group(const struct tcp_options *tcp, struct strbuf *out);

/* The value of an attribute of the listener or its load balancer. */
const char *attributes_get(const struct config_listener *listener, const char *key, const char *fallback);
/* Of the connection, before anything of a request. */
void attributes_add_connection(const struct config_listener *listener, struct strbuf *out);
/* Before rules are looked at. */
void attributes_add_checks(const struct config_listener *listener, struct strbuf *out);
/* X-Forwarded-For: what everybody has, or what these attributes say instead. */
bool attributes_has_usual_forwarded_for(const struct config_listener *listener);
void attributes_add_forwarded_for(const struct config_setup *setup, const struct config_listener *listener,
                                  struct strbuf *out);
void attributes_add_request(const struct config_listener *listener, struct strbuf *out);
void attributes_add_answer(const struct config_listener *listener, struct strbuf *out);
/* How many bytes of headers it adds. */
size_t attributes_answer_size(const struct config_listener *listener);

/* Text inside double quotes in the configuration; `%` is for log-format strings. */
void text_add_quoted(struct strbuf *out, struct str text, bool is_format);

void frontend_add(const struct config_setup *setup, const struct config_listener *listener,
                  struct strbuf *out);
/* Of the connection; before rules are looked at; our headers, behind that; and what must be the last of a request. */
void request_add_connection(const struct config_listener *listener, struct strbuf *out);
void request_add_guards(const struct config_listener *listener, struct strbuf *out);
void request_add_forwarding(const struct config_setup *setup, const struct config_listener *listener,
                            struct strbuf *out);
void request_add_end(const struct config_listener *listener, struct strbuf *out);
/* Of a listener of HTTPS: the rest of its bind line, and what else a reload brings. */
void tls_add_bind(const struct config_listener *listener, struct strbuf *out);
void tls_add_notes(const struct config_listener *listener, struct strbuf *out);
/* Of listeners that verify their clients: for the whole process; before rules are looked at; for targets. */
bool mutual_is_asked(const struct config_listener *listener);
void mutual_add_global(const struct config_setup *setup, struct strbuf *out);
void mutual_add_checks(const struct config_listener *listener, struct strbuf *out);
void mutual_add_request(const struct config_listener *listener, struct strbuf *out);
/* The lines of a group's backend; nothing if it is not sticky. */
void sticky_add_targets(const struct config_setup *setup, const struct config_group *group,
                        struct strbuf *out);
/* Does an action of the listener or its rules keep clients with their group? */
bool sticky_is_asked(const struct config_listener *listener);
/* The lines of a listener that has one: before the choice of a group, and for the answer. */
void sticky_add_choice(const struct config_listener *listener, struct strbuf *out);
void sticky_add_answer(const struct config_listener *listener, struct strbuf *out);
/* Without its servers, which are not structure, if `with_servers` is false. */
void backend_add(const struct config_setup *setup, const struct config_group *group, bool with_servers,
                 struct strbuf *out);
