/* SPDX-License-Identifier: MIT */
/* effect.h - everything the core asks of the world.
 * Effects carry ids, not pointers: whoever performs one looks the object up in the core (on the
 * engine's thread) and sends the hands a copy.  Doing an effect twice is harmless.
 * PERSIST comes from every step that changed a row; the engine commits all of them in one
 * transaction before it performs anything else or answers anybody. */
#pragma once
#include "model/types.h"

/* Kinds of rows in the store; the key is the ARN (task: its ARN too; meta: "core"; account: the
 * region; family: region/family). */
#define ROWS(X)                                                                                    \
    X(META, meta) X(CLUSTER, cluster) X(INSTANCE, instance) X(TASK_DEFINITION, task_definition)    \
    X(SERVICE, service) X(TASK, task) X(LOAD_BALANCER, load_balancer) X(LISTENER, listener)        \
    X(RULE, rule) X(TARGET_GROUP, target_group) X(ACCOUNT, account) X(CAPACITY_PROVIDER, capacity_provider)      \
    X(CERTIFICATE, certificate) X(TRUST_STORE, trust_store)                                        \
    X(NETWORK, network) X(FAMILY, family)                                                          \
    /* parts of services, see core/parts.h */                                                      \
    X(SERVICE_REVISION, service_revision) X(DEPLOYMENT, deployment)                                \
    X(SERVICE_DEPLOYMENT, service_deployment) X(SERVICE_EVENTS, service_events)
enum row_kind {
#define X(NAME, name) ROW_##NAME,
    ROWS(X)
#undef X
    ROW_KIND_COUNT
};
const char *row_kind_name(enum row_kind kind);

struct ef_persist {          /* write the row as it is now, or delete it if it is gone */
    enum row_kind kind;
    char key[ARN_SIZE];
};
struct ef_image_resolve {    /* tag -> digest for every image of the revision: EVENT_IMAGE_RESOLVED */
    char service_arn[ARN_SIZE], revision_arn[ARN_SIZE];
};
struct ef_image_prefetch {   /* that machine will probably want the image soon: a hint, see prefetch.h */
    char host[64];
    char image[IMAGE_SIZE];  /* as a definition writes it */
    char digest[DIGEST_SIZE], config_digest[DIGEST_SIZE]; /* the latter may be empty: see ev_image_pushed */
};
struct ef_task_start {       /* make it run, or report what it is: EVENT_TASK_STATE */
    char task_arn[ARN_SIZE];
    bool only_adopt;         /* it ran before: if its containers are gone it has STOPPED, never create */
    bool is_repeated;        /* it was ordered before: what there is of it by now goes on */
};
struct ef_task_stop {        /* SIGTERM now (it is out of traffic), SIGKILL after each stopTimeout */
    char task_arn[ARN_SIZE];
};
struct ef_task_forget {      /* remove its containers and volumes; it is STOPPED */
    char task_id[ID_SIZE];
};
struct ef_target_change {    /* TARGET_REGISTER: check its health, let traffic in once healthy.
                                TARGET_DEREGISTER: no new requests; EVENT_TARGET_DRAINED once idle
                                or after the group's deregistration delay. */
    char target_group_arn[ARN_SIZE];
    char target_id[ADDRESS_SIZE];
    int port;
    int64_t registration; /* comes back in every report about it */
};
struct ef_hook_call {        /* core_hook_order() says what: EVENT_HOOK_ANSWERED */
    char service_deployment_arn[ARN_SIZE];
    char hook_id[ID_SIZE];
    int attempt;
};
struct ef_hook_cancel {      /* nobody waits for its answer any more */
    char hook_id[ID_SIZE];
};
struct ef_balancer_config {  /* load balancers, listeners, rules, certificates, trust stores, target or security groups
                                changed */
    char arn[ARN_SIZE];
};

#define EFFECTS(X)                                                                                 \
    X(PERSIST, persist, persist) X(IMAGE_RESOLVE, image_resolve, image_resolve)                    \
    X(IMAGE_PREFETCH, image_prefetch, image_prefetch)                                              \
    X(TASK_START, task_start, task_start) X(TASK_STOP, task_stop, task_stop)                       \
    X(TASK_FORGET, task_forget, task_forget)                                                       \
    X(TARGET_REGISTER, target_register, target_change)                                             \
    X(TARGET_DEREGISTER, target_deregister, target_change)                                         \
    X(BALANCER_CONFIG, balancer_config, balancer_config)                                           \
    X(HOOK_CALL, hook_call, hook_call) X(HOOK_CANCEL, hook_cancel, hook_cancel)

enum effect_type {
#define X(NAME, member, type) EFFECT_##NAME,
    EFFECTS(X)
#undef X
};

struct effect {
    enum effect_type type;
    union {
#define X(NAME, member, type) struct ef_##type member;
        EFFECTS(X)
#undef X
    };
};

/* A growing list, owned by the caller of core_step(); zeroed is empty. */
struct effects {
    struct effect *at;
    int count, capacity;
};

void effects_done(struct effects *e);
void effects_clear(struct effects *e);
/* Keeps of those that say the same only the first: while nothing is performed, the core asks for it again and
 * again. */
void effects_compact(struct effects *e);
struct effect *effects_add(struct effects *e, enum effect_type type); /* zeroed, to be filled in */
const char *effect_name(enum effect_type type);
