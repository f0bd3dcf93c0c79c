/* SPDX-License-Identifier: MIT */
/* haproxy_config.h - from what is wanted to HAProxy's configuration text and map files.
 * The recipe is alb.md B3.  What changes often is not in the text but in maps (which group a
 * listener leads to, and with what weights) and in server slots (addresses, in rotation or not),
 * both changed at run time.  What is left, the *structure*, needs a reload to change; its
 * fingerprint stands in the text as `description`, so a running HAProxy tells which one it has.
 * Every path is relative to HAProxy's folder, which is its working directory: socket paths stay
 * short, and the folder may move.
 * Names: frontend listener_<id>_<port>, backend group_<id>, servers s1..sN, map maps/<id>.actions
 * with the one key <id>.default.  A listener that has rules has a second map, maps/<id>.rules, which is
 * replaced as a whole (rule_pattern.h says what it is asked for); what a rule answers itself is a
 * backend answer_<rule id>_<digest>.  One that has none has nothing of it, and pays nothing.  One that
 * lets in only some (security groups) has a map maps/<id>.sources of their addresses.
 * Pure. Ownership: everything is borrowed. */
#pragma once
#include "balancer/balancer.h"
#include "balancer/slots.h"
#include "model/types.h"

/* An old worker's idle clients may each send one more request (alb.md B8); so long after a reload
 * a target that it knew must not be stopped. */
#define HAPROXY_KEEP_ALIVE_MS 5000
/* And a client that had connected but not spoken yet has this long for its first one. */
#define HAPROXY_FIRST_REQUEST_MS 60000
#define HAPROXY_FINGERPRINT_SIZE 64
#define HAPROXY_ACTION_SIZE 512

struct config_group {
    const char *id, *arn;
    const char *algorithm;
    const struct group_options *options; /* NULL: nothing of it */
    const struct slots *slots;
    const struct tcp_options *tcp; /* of a network load balancer; NULL: it speaks HTTP */
};

struct config_trust { /* by which authorities clients are verified */
    const char *id, *digest; /* the file certs/<id>.ca, and what is in it */
    bool ignores_expiry, shows_names;
    bool has_revocations; /* in certs/<id>.crl */
    bool is_passed_on;    /* clients are not verified: certs/<id>.ca is the first certificate of the listener */
};

struct config_tls { /* of a listener of HTTPS */
    const struct ssl_policy *policy;
    bool has_http2;
    const char *default_id; /* the certificate that is first in its list */
    const char *large;      /* notes of those whose content needs a reload; "" */
    struct config_trust trust; /* no id: clients are not verified */
};

/* What HAProxy says of the requests of a listener (seeing.h): nothing; of some of them how long they took;
 * everything of each. */
enum config_log { CONFIG_LOG_NONE, CONFIG_LOG_SAMPLES, CONFIG_LOG_ALL };

struct config_listener {
    const char *id;
    int port;
    bool is_tcp;
    int idle_timeout_s;
    const struct json *actions; /* DefaultActions */
    /* {key: "value"}; what is absent, or NULL, has its default. */
    const struct json *attributes, *balancer_attributes;
    const struct view_rule *rules; /* in the order of their priorities */
    int rule_count;
    const struct config_tls *tls; /* NULL: HTTP */
    const struct json *sources; /* whom it lets in: blocks of addresses; NULL: everybody */
    enum config_log log;
};

struct config_setup {
    const char *bind_address;
    const char *cookie_key; /* cookie_key.h; NULL where nothing is sticky */
    int longest_drain_s;
    const struct config_listener *listeners;
    int listener_count;
    const struct config_group *groups;
    int group_count;
};

/* "naru-<32 hex>" of everything that needs a reload. */
void haproxy_config_fingerprint(const struct config_setup *setup, char out[static HAPROXY_FINGERPRINT_SIZE]);
/* The whole text, with the slots as they should be now. */
void haproxy_config_format(const struct config_setup *setup, struct strbuf *out);
/* The value of <id>.default: "fwd|group_x", "split|group_x|900|group_y|1000" (cumulative of 1000),
 * "fixed", "redirect" or "none" (answers 503). */
void haproxy_config_action(const struct config_setup *setup, const struct config_listener *listener,
                           char out[static HAPROXY_ACTION_SIZE]);
/* The map of a listener's rules: a line a rule, "<pattern> <rule id>|<action>", the action as above but
 * with "fwd|answer_..." where the rule answers itself.  Empty without rules: there is no map then. */
void haproxy_config_rules(const struct config_setup *setup, const struct config_listener *listener,
                          struct strbuf *out);
/* The map of those who may connect: a line a block, "10.0.0.0/8 1"; nothing else in it counts. */
void haproxy_config_sources(const struct config_listener *listener, struct strbuf *out);
/* The map of a listener's actions that keep clients with their group, maps/<id>.sticky: the group of a
 * token, "<rule>.<token> <group>", and what a client is told, "<rule>:<group> <token>|<seconds>".  False:
 * it has none such, and no map. */
bool haproxy_config_sticky(const struct config_setup *setup, const struct config_listener *listener,
                           struct strbuf *out);
/* What is in the file that takes the chain of a client apart; HAProxy reads it if a listener passes chains on. */
#define HAPROXY_CHAIN_FILE "chain.lua"
struct str haproxy_config_chain_script(void);
/* The file (relative) and text of a fixed response with a body, of the listener or rule `id`; false: the
 * actions have none. */
bool haproxy_config_body(const char *id, const struct json *actions, char path_out[static 64],
                         struct str *body_out);
