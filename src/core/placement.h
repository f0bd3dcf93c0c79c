/* SPDX-License-Identifier: MIT */
/* placement.h - which instance takes a task, what it takes of the machine, and who gives way (ecs.md 7).
 * EC2 tasks reserve cpu, memory, GPUs (gpus.h) and fixed host ports until they are STOPPED; FARGATE
 * tasks run on the machine of naru itself and are not counted.
 * An instance must be ACTIVE, its agent connected, satisfy all constraints, and have room; among
 * those the strategies choose, one after the other; what is left equal goes to the oldest instance.
 * Start at place_find(). */
#pragma once
#include "core/index.h"

struct place_request {
    const struct cluster *cluster;
    const struct task_definition *definition;
    enum launch_type launch_type;
    int cpu, memory_mib, gpu_count;      /* of the task, overrides included: place_size() */
    const struct placement_rules *rules; /* of the service or the call, beside the definition's own */
    const char *host_group;              /* of a capacity provider: only there; NULL: anywhere */
    const char *group;                   /* "service:NAME", "family:NAME": those are its peers */
    const struct service *service;       /* NULL: standalone */
};

/* Fills in the sizes of a request whose definition is there; `overrides` may be NULL. */
void place_size(struct place_request *rq, const struct json *overrides);

/* Why an instance does not take a task; the first that applies. */
enum place_lack {
    PLACE_FITS,
    LACK_CPU, LACK_MEMORY, LACK_GPU, LACK_PORTS, LACK_MEMBER_OF, LACK_DISTINCT, LACK_ACTIVE,
    LACK_AGENT,
    LACK_INSTANCES, LACK_PROVIDER_INSTANCES, /* of place_find(): there are none (of the provider) */
    LACK_CAPACITY, /* the strategy names no provider for it (capacity.h) */
};
/* "RESOURCE:CPU", "AGENT", ... of ecs.md 4.5, and for two of them more words (else NULL). */
const char *place_reason(enum place_lack lack);
const char *place_detail(enum place_lack lack);

/* Does the instance belong to the capacity provider of the request? */
bool place_is_of_provider(const struct place_request *rq, const struct container_instance *i);
bool place_is_member(const struct placement_rules *rules, const struct container_instance *i);
/* Likewise, but only by what is asked about its attributes. */
bool place_may_be_member(const struct placement_rules *rules, const struct container_instance *i);
enum place_lack place_lack(const struct place_request *rq, const struct container_instance *i);

/* The instance for a task; PLACE_FITS with NULL for FARGATE.  Else what the closest instance lacks
 * (*closest_out, if there is any).  Throws dice for the strategy random. */
enum place_lack place_find(struct core *core, const struct place_request *rq,
                           struct container_instance **instance_out,
                           struct container_instance **closest_out);
/* The instances by kind, the kind of the oldest first: its oldest one, and whether any takes the task. */
typedef void place_class_seen(void *arg, const struct container_instance *oldest, bool has_room);
void place_each_class(struct core *core, const struct place_request *rq, place_class_seen *seen, void *arg);
/* The words of the service event (ecs.md 5.12). */
void place_complaint(char out[static REASON_SIZE], const struct service *s,
                     const struct container_instance *closest, enum place_lack lack);
void place_take(struct core *core, struct task *t, struct container_instance *i);
void place_release(struct core *core, struct task *t); /* wakes services that wait for a place */
/* What instances there are, or what they are, changed: services that wait for it look again.  With
 * `zones_changed` also those whose tasks were even over the zones that there were. */
void place_changed(struct core *core, bool zones_changed);

/* On an instance that is being drained (ecs.md 5.11), or chosen to move to another zone (7.5): to be
 * replaced elsewhere. */
bool place_is_leaving(const struct task *t);

/* The order in which tasks of a service give way, as its strategies want it (ecs.md 7.6). place_rank()
 * first, for each choice; then `a` goes before `b` if it is greater, they are equal at 0. */
void place_rank(struct core *core, const struct service *s);
int place_gives_way(const struct service *s, const struct task *a, const struct task *b);
bool place_is_random(const struct service *s);

/* What is asked about an instance in the cluster query language. */
struct query_instance place_subject(const struct container_instance *i);
/* The next fixed host port behind `port` that is taken on its machine; 0: none. */
int place_next_port(const struct container_instance *i, int port, bool is_udp);
int place_running(const struct container_instance *i); /* its RUNNING tasks */
