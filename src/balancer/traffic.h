/* SPDX-License-Identifier: MIT */
/* traffic.h - what the balancer knows, shared by the files of this room only.
 *   balancer.c    the door: views come in, lists are brought up to date, reports go out
 *   traffic.c     the turn: who should get traffic, and when HAProxy starts, reloads, is adopted
 *   load.c        ports and files of a start or reload
 *   sync.c        reads what HAProxy has, and changes what can be changed at run time
 *   certificates.c, certificates_sync.c  the same of certificates (certificates.h)
 *   drain.c       waits until nothing is in flight any more
 * Everything here belongs to the loop's thread, except where said.
 * A `member` is one target of one group; what of it is wanted comes from views and checks, what is
 * stands in its slot. */
#pragma once
#include <stdatomic.h>
#include "balancer/balancer.h"
#include "balancer/cookie_key.h"
#include "balancer/haproxy_config.h"
#include "balancer/haproxy_process.h"
#include "balancer/health_checker.h"
#include "balancer/seeing.h"
#include "balancer/slots.h"
#include "base/crypto.h"
#include "io/loop.h"

struct member {
    struct group *group;
    char id[ADDRESS_SIZE];
    char address[ADDRESS_SIZE];
    int port;
    int64_t registration;
    bool is_seen; /* in the view being applied */
    bool is_draining;
    bool is_numeric;              /* its address is one; else it is never served */
    bool is_drained;              /* said so; kept until the view forgets it, to say it again */
    enum target_state known_state; /* what the view said when it came */
    struct checker *checker;      /* while registered in a group that is in use */
    int slot;                     /* -1: none yet */

    /* What the core was last told. A new one it knows to be `initial`: no need to say, and commit, it. */
    bool is_new;
    bool has_told;
    enum target_state told;
    char told_reason[64], told_description[256];

    /* Draining. */
    int64_t deadline_ms; /* of the deregistration delay */
    int64_t cut_ms;      /* when its connections were cut; 0: not */
    int idle_polls, used;
    bool is_in_old;         /* in rotation while a reload is under way: the old worker knows it */
    int64_t gate_until_ms;  /* idle clients of an old worker may still reach it (alb.md B8); 0: none */
    struct member *next;
};

struct group {
    struct balancer *balancer;
    char arn[ARN_SIZE];
    char id[17];
    char algorithm[32];
    struct health_check check;
    struct group_options options;
    int drain_delay_s;
    struct tcp_options tcp;
    bool is_seen, in_use;
    int has_slots;     /* how many the running configuration has; 0: no backend */
    int written_slots; /* and the one being loaded */
    int seen_healthy, seen_unhealthy; /* as statistics last heard */
    struct slots slots;
    struct member *members;
    struct group *next; /* by id, so that the same view always gives the same text */
};

struct id_list { /* of certificates */
    char (*at)[CERTIFICATE_ID_SIZE];
    int count;
};

struct frontend_tls { /* of HTTPS */
    const struct ssl_policy *policy; /* NULL: HTTP */
    bool has_http2;
    struct view_trust trust; /* no id: clients are not verified */
    char trust_digest[SHA256_HEX + 1]; /* of its bundle and its revocations */
    struct id_list wanted;  /* the default one first, each once */
    struct id_list has;     /* the lines of HAProxy's list, in order */
    struct id_list written;
};

/* A map of a listener that is replaced as a whole: of its rules, of whom it lets in, of tokens of groups. */
enum frontend_map_kind { MAP_RULES, MAP_SOURCES, MAP_STICKY, FRONTEND_MAPS };
struct frontend_map {
    struct strbuf text; /* as it should be */
    /* SHA-256 of the map: wanted, in HAProxy, in the configuration being loaded. Empty: none, or not known. */
    char wanted[SHA256_HEX + 1], has[SHA256_HEX + 1], written[SHA256_HEX + 1];
};

struct frontend { /* a listener */
    char id[17];
    int port, idle_timeout_s;
    bool is_tcp;
    struct json *actions, *attributes, *balancer_attributes;
    struct view_rule *rules;
    int rule_count;
    struct frontend_tls tls;
    struct json *sources;  /* whom it lets in; NULL: everybody */
    char arn[ARN_SIZE];
    int64_t generation;    /* of its weights */
    bool must_tell;        /* as soon as they are in force */
    bool has_log;          /* of each request; else samples */
    bool is_seen;
    bool is_served;        /* the running configuration has it */
    bool is_written;       /* and the one being loaded */
    char blocked[256];     /* why it is left out: its port is taken; empty: it is not */
    char has_action[HAPROXY_ACTION_SIZE]; /* in HAProxy's map; empty: not known */
    char written_action[HAPROXY_ACTION_SIZE];
    struct frontend_map maps[FRONTEND_MAPS];
    struct frontend *next; /* by port, then id */
};

struct balancer {
    struct balancer_config config;
    char *folder, *bind_address;
    char cookie_key[COOKIE_KEY_SIZE];
    int lock_fd;
    struct loop *loop;
    struct http_prober *prober;
    struct haproxy_process *haproxy;
    struct seeing *seeing;          /* NULL: nobody looks */
    struct group *groups;
    struct frontend *frontends;
    struct certificate_entry *certificates; /* certificates.h */
    struct loop_timer *turn_timer;  /* another turn is due: retry, ports */
    struct loop_timer *drain_timer;
    int64_t drain_pause_ms;
    bool has_looked;                /* for a running HAProxy */
    bool must_learn;                /* what HAProxy has is not what we think */
    int learn_failures;             /* in a row */
    int64_t beat_at_ms;             /* when to ask again whether it is alive */
    int64_t audit_at_ms;            /* when to compare again, although nothing is known to differ */
    int64_t unsure_until_ms;        /* a reload begun before an adoption may still be under way */
    bool is_dirty;                  /* `wanted` is to be computed again */
    char wanted[HAPROXY_FINGERPRINT_SIZE], running[HAPROXY_FINGERPRINT_SIZE];
    int64_t retry_at_ms, retry_ms;  /* when, and after how long, a failed load is tried again */
    int64_t died_ms;
    int early_deaths;               /* in a row, each soon after its start */
    atomic_int outdated_count;      /* rules that should be written anew */
    char advice[512];               /* the first of them; empty: none */
    char failure[512];              /* why the last start or reload failed; empty: it did not */
    char loading[HAPROXY_FINGERPRINT_SIZE], refused[HAPROXY_FINGERPRINT_SIZE]; /* last; and what failed then */
    atomic_llong deaths, refusals; /* balancer_faults() */
    bool is_as_written;        /* it was started with the configuration of before: the next one could not be written */
    bool is_adopting;          /* the first turn after HAProxy was found running */
    int *has_ports;     /* that HAProxy listens on; 0 ends them; may be NULL */
    int *written_ports; /* that the configuration being loaded will listen on, and perhaps does already */
    long long views_applied;
    atomic_llong views_posted; /* any thread */
    atomic_llong ready_view;   /* the view in force, or -1; any thread reads */
};

/* balancer.c */
void member_tell(struct balancer *b, struct member *m); /* its health, if the core does not know it */
void member_tell_drained(struct balancer *b, struct member *m);
void frontend_tell(struct balancer *b, struct frontend *f);
enum target_state member_state(const struct member *m);
void member_checked(void *arg);

/* traffic.c */
void traffic_turn(struct balancer *b); /* after any change */
void traffic_turn_due(void *arg);      /* the same, for the timer */
void traffic_ready(void *ctx);
void traffic_failed(void *ctx, const char *why);
void traffic_died(void *ctx);
void traffic_problem(const struct balancer *b, char *out, size_t size); /* empty: none */

/* load.c */
struct setup { /* the configuration wanted, with the arrays that it borrows */
    struct config_setup config;
    struct config_group *groups;
    struct config_listener *listeners;
    struct config_tls *tls; /* one a listener */
};
struct config_listener setup_listener(const struct frontend *f);
struct setup setup_make(const struct balancer *b);
void setup_done(struct setup *s);
#define LOAD_DYING_MS 300 /* so long the ports of a worker that died may still be taken */
bool load_check_ports(struct balancer *b); /* true if a listener is left out */
/* All of it is there afterwards, or what was there before. */
bool load_write(const struct balancer *b, const struct config_setup *c, struct err *err) MUST_CHECK;
/* The fingerprint of what is there. */
bool load_find_written(const struct balancer *b, char out[static HAPROXY_FINGERPRINT_SIZE]);
/* Notes what HAProxy will have once it has loaded what was just written. */
void load_remember(struct balancer *b, const struct config_setup *c);

/* sync.c */
void sync_forget(struct group *g); /* HAProxy has nothing of it */
void sync_learn(struct balancer *b); /* asks; failing leaves must_learn set */
bool sync_is_in_force(const struct balancer *b, const struct frontend *f); /* its action, in HAProxy */
void sync_apply(struct balancer *b); /* the difference; failing sets must_learn */

/* drain.c */
void drain_poll(void *arg);
void drain_soon(struct balancer *b); /* something began to drain */
