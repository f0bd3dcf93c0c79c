/* SPDX-License-Identifier: MIT */
/* balancing.h - load balancers, listeners, rules, target groups and targets (alb.md A2, A3, A6). */
#pragma once
#include "model/ssl_policy.h"
#include "model/types.h"

#define GROUPS_PER_ACTION 5 /* of a forward action */

struct load_balancer {
    char arn[ARN_SIZE];
    char name[64];
    char dns_name[256];
    char region[REGION_SIZE];
    bool is_internal;
    int64_t created_at_ms;
    struct json *doc;        /* Subnets, SecurityGroups, VpcId, IpAddressType ...: kept and echoed */
    struct json *attributes; /* {key: "value"}, every default written out */
    struct json *tags;       /* array of {Key,Value} */
    struct load_balancer *next;
};

struct listener {
    char arn[ARN_SIZE];
    char load_balancer_arn[ARN_SIZE];
    int port;
    char protocol[8]; /* "HTTP", "HTTPS" */
    char ssl_policy[SSL_POLICY_SIZE]; /* of HTTPS */
    struct json *certificates; /* of HTTPS: ARNs, the default one first; else NULL */
    /* Of HTTPS that asks clients for certificates: MutualAuthentication as DescribeListeners shows it, of the mode "verify"
     * or "passthrough". */
    struct json *mutual;
    struct json *actions; /* DefaultActions as DescribeListeners shows them */
    struct json *attributes; /* {key: "value"}, those that were ever set; the others have their defaults */
    int64_t generation;   /* rises when a deployment moves its weights */
    int64_t in_force;     /* not stored: the generation that the balancer last said it acts by */
    struct json *tags;
    struct listener *next;
};

#define TRANSFORM_GROUPS 7 /* capture groups of a transform's expression: HAProxy has nine, two of them ours */
#define RULE_PRIORITY_MIN 1
#define RULE_PRIORITY_MAX 50000

struct rule { /* of a listener, beside its default action */
    char arn[ARN_SIZE];
    char listener_arn[ARN_SIZE];
    int priority;            /* 1..50000, once a listener; the lowest that matches decides */
    struct json *conditions; /* as DescribeRules shows them */
    struct json *actions;
    struct json *transforms; /* as DescribeRules shows them; NULL: none */
    struct json *tags;
    struct rule *next;
};

struct health_check {
    bool enabled;
    char protocol[8];
    int port;            /* 0: traffic-port */
    char path[1025];
    int interval_s, timeout_s;
    int healthy_threshold, unhealthy_threshold;
    char matcher[256];   /* "200", "200-299,302"; codes of gRPC with that version */
    char version[8];     /* its group's protocol_version; not stored */
    bool sends_proxy;    /* its group does: so do checks; not stored */
};

struct target {
    char id[ADDRESS_SIZE]; /* address, or instance id */
    int port;
    char zone[REGION_SIZE + 2]; /* AvailabilityZone as it was registered: "all", a zone, or "" */
    int64_t registration;  /* which one of the group's; a report about an earlier one says nothing */
    enum target_state state;
    char reason[64];       /* "Target.Timeout", empty when healthy */
    char description[256];
    int64_t registered_at_ms;
    int64_t draining_since_ms; /* 0: not draining */
    struct target *next;
};

struct target_group {
    char arn[ARN_SIZE];
    char name[64];
    char id[17];           /* 16 hex: names HAProxy's backend */
    char region[REGION_SIZE];
    char protocol[8];
    char protocol_version[8];
    int port;
    enum target_type target_type;
    struct health_check check;
    int deregistration_delay_s;
    char algorithm[32];    /* round_robin, least_outstanding_requests */
    struct json *doc;        /* VpcId, IpAddressType: kept and echoed */
    struct json *attributes; /* {key: "value"}, every default written out */
    struct json *tags;
    struct target *targets;  /* identity is (id, port) */
    int target_count;
    int64_t registrations;   /* ever made; numbers the next one */
    struct target_group *next;

    /* The core's own; not stored. */
    bool is_draining; /* in its list of groups with targets that drain and belong to no task */
    struct target_group *next_draining;
};

void load_balancer_free(struct load_balancer *lb);
void listener_free(struct listener *l);
void rule_free(struct rule *r);
void target_group_free(struct target_group *tg);
struct target *target_group_find(const struct target_group *tg, const char *id, int port);
struct json *load_balancer_encode(const struct load_balancer *lb);
struct load_balancer *load_balancer_decode(const struct json *row, struct err *err);
struct json *listener_encode(const struct listener *l);
struct listener *listener_decode(const struct json *row, struct err *err);
struct json *rule_encode(const struct rule *r);
struct rule *rule_decode(const struct json *row, struct err *err);
struct json *target_group_encode(const struct target_group *tg); /* with its targets */
struct target_group *target_group_decode(const struct json *row, struct err *err);
/* Does the listener's default action forward to the group?  Weight out (0 if not given as 1). */
bool listener_forwards_to(const struct listener *l, const char *target_group_arn, int *weight_out);
/* The same of any actions. */
bool actions_forward_to(const struct json *actions, const char *target_group_arn, int *weight_out);
/* Does it serve the certificate? */
bool listener_has_certificate(const struct listener *l, const char *certificate_arn);
/* The trust store by which it verifies clients; "": it does not. */
const char *listener_trust_store(const struct listener *l);
bool rule_forwards_to(const struct rule *r, const char *target_group_arn);
