/* SPDX-License-Identifier: MIT */
/* seeing_names.h - whose a line or a counter is: load balancers, listeners, rules and groups of a view,
 * as statistics need them, and what is counted of each but not booked yet.
 * Made of each new view; what was counted goes over to those that are still there (names_inherit).
 * Pure. All is sorted by id, and found by that. */
#pragma once
#include "balancer/access_line.h"
#include "balancer/balancer.h"
#include "model/traffic_book.h"

#define RULE_KEY_SIZE 32 /* "<16 hex>.default" */
enum { STATUS_CLASSES = 6 }; /* by the first digit; [0] unused */
enum { ELB_CODES = 4 };      /* 500, 502, 503, 504 */

struct seen_balancer {
    char arn[ARN_SIZE];
    char name[ARN_SIZE]; /* "app/<name>/<id>" */
    char region[REGION_SIZE];
    char bucket[LOG_BUCKET_SIZE], prefix[LOG_PREFIX_SIZE]; /* of access logs; empty: none are kept */
    /* Since this process counts: answers that clients saw, those of targets, those booked as the load balancer's. */
    int64_t seen[STATUS_CLASSES], of_targets[STATUS_CLASSES], booked[STATUS_CLASSES];
    int64_t errors_left;           /* 5xx of its own, not yet shared out among codes */
    int64_t code_samples[ELB_CODES], other_code_samples; /* of its own 5xx, since errors were last shared out */
    int64_t connections, in_flight; /* being summed, of a round */
};

struct seen_rule {
    char key[RULE_KEY_SIZE]; /* the rule's id, "<listener's id>.default" */
    int priority;            /* 0: the default */
    char action[24];         /* the last one's type */
    int64_t samples;         /* since requests were last shared out */
};

struct seen_listener {
    char id[17];
    int port;
    int balancer;            /* index */
    struct seen_rule *rules; /* in order; the default is the last one */
    int rule_count;
    int64_t other_samples;   /* that came to no rule */
    int64_t requests_left;   /* not yet shared out among rules */
};

struct seen_group {
    char id[17];
    char arn[ARN_SIZE];
    int balancer;            /* index; -1: none leads to it */
    int healthy, unhealthy;
    int64_t in_flight;       /* being summed, of a round */
};

struct seen_names {
    struct seen_balancer *balancers;
    struct seen_listener *listeners;
    struct seen_group *groups;
    int balancer_count, listener_count, group_count;
};

struct seen_names *names_new(const struct balancer_view *view);
void names_free(struct seen_names *n); /* NULL is fine */
void names_inherit(struct seen_names *n, const struct seen_names *old);
struct seen_listener *names_listener(const struct seen_names *n, struct str id); /* or NULL */
struct seen_group *names_group(const struct seen_names *n, struct str id);
struct seen_rule *names_rule(const struct seen_listener *l, struct str key);
/* The one that a request met; NULL: none, or it is gone. */
struct seen_rule *names_rule_of(const struct seen_listener *l, const struct access_line *line);
/* "<listener id>" of "listener_<id>_<port>", "<group id>" of "group_<id>"; empty: it is none. */
struct str names_listener_id(struct str frontend);
struct str names_group_id(struct str backend);
