/* SPDX-License-Identifier: MIT */
/* index.h - the core's own bookkeeping: finding things fast, knowing what changed and what is due.
 * Private to core/, like all headers that include this one.  What they have in common: nothing fails
 * that takes no `err` (a bad argument is our bug, and asserts), pointers are borrowed for the call
 * unless the function says that it takes them over, and times are '_ms' of core->now_ms.
 * Nothing here is stored; core_resume() builds it again from the rows.
 * A step runs like this: the event's handler changes objects, calls core_touch_*() for each and
 * core_queue() for each service that may have something to do; then all queued services and
 * those whose deadline passed are advanced; then every touched row becomes one PERSIST. */
#pragma once
#include "core/core.h"

struct strmap_entry;
struct strmap {
    struct strmap_entry **buckets;
    size_t bucket_count, count;
};
void strmap_done(struct strmap *m);
void *strmap_get(const struct strmap *m, const char *key);
void strmap_put(struct strmap *m, const char *key, void *value); /* replaces; copies the key */
void strmap_remove(struct strmap *m, const char *key);

/* What containers of EC2 tasks take on a machine; shared by its instances in all clusters. */
struct host {
    char name[64];
    bool is_connected;
    bool is_heard; /* since naru's start: before, the rows say what was */
    int64_t down_since_ms; /* while it is heard and not connected */
    int cpu_total, memory_total_mib; /* 0: unknown, then nothing is refused for it */
    int cpu_used, memory_used_mib;
    int cpu_found, memory_found_mib; /* by core_check() */
    uint64_t gpus_taken, gpus_found; /* a bit each, in the order of `gpus` of `doc`; see gpus.h */
    uint64_t prefetch_step; /* when it was told last to fetch an image: told once a step */
    struct json *doc;
    uint8_t *ports[2];               /* a bit for each fixed host port taken: tcp, udp; NULL: none was yet */
    struct container_instance *instances; /* what it is in each cluster */
    struct host *next;
};

/* What one service did in one step, said in as few events as ECS uses (ecs.md 5.12). */
#define SAID_TASKS_MAX 10
struct moves {
    struct service *service;
    char started[SAID_TASKS_MAX][ID_SIZE], stopped[SAID_TASKS_MAX][ID_SIZE];
    int started_count, stopped_count, pending_stopped_count, unhealthy_replaced;
    /* Those went to, or went from, that zone to even the zones out; empty: for another reason. */
    char started_zone[ATTRIBUTE_NAME_MAX + 1], stopped_zone[ATTRIBUTE_NAME_MAX + 1];
    struct {
        char arn[ARN_SIZE];
        int registered, deregistered;
    } groups[LOAD_BALANCERS_MAX];
    int group_count;
    char draining_deployment[ID_SIZE];
    int draining_count;
};

struct core_index {
    uint64_t step;               /* counts core_step() */
    struct strmap tasks;         /* id */
    struct strmap services;      /* ARN */
    struct strmap clusters;      /* ARN */
    struct strmap instances;     /* ARN */
    struct strmap definitions;   /* ARN */
    struct strmap target_groups; /* ARN */
    struct strmap load_balancers, listeners, rules, certificates, trust_stores, networks; /* ARN */
    struct strmap target_owners; /* group ARN, id and port -> the task that is registered there */
    struct host *hosts;
    struct strmap hosts_by_name;
    struct container_instance *last_instance; /* of core->instances */
    struct host **notes;         /* which machines changed, for place_index.h: a ring */
    uint64_t note_count;
    struct task *standalone, *standalone_settled; /* live and kept tasks without a service */
    int standalone_settled_count;
    int64_t standalone_wake_ms;
    bool is_standalone_queued;
    struct service *queue;
    struct service *waiting;     /* for a place, the latest first */
    struct service *last_service; /* of core->services */
    int daemon_count, uneven_count; /* of them: is_daemon, is_uneven */
    struct target_group *draining_groups; /* with targets that drain and belong to no task */
    struct service **heap;       /* by wake_ms */
    int heap_count, heap_capacity;
    struct effects *out;         /* of the step under way */
    struct effects persists;     /* rows touched in this step */
    struct moves moves;
    int64_t resumed_at_ms;       /* 0: it did not begin with rows */
    int unheard_count;           /* tasks that is_unheard */
    int64_t sweep_at_ms;         /* when definitions are looked at that shall go; 0: none shall */
    uint64_t last_change; /* of any service */
    struct json *loaded_parts[PART_EVENTS + 1]; /* parts.h */
    bool is_linked, is_resumed, is_meta_touched, has_old_families;
};

struct effect *core_emit(struct core *core, enum effect_type type);
void core_touch(struct core *core, enum row_kind kind, const char *key);
void core_touch_task(struct core *core, struct task *t);          /* and version + 1 */
void core_touch_service(struct core *core, struct service *s);    /* and version + 1 */
void core_touch_group(struct core *core, const struct target_group *tg);
void core_touch_meta(struct core *core);                          /* dice were thrown */
void core_queue(struct core *core, struct service *service);      /* NULL: the standalone tasks */
struct service *core_unqueue(struct core *core);
void core_set_wake(struct core *core, struct service *s, int64_t wake_ms);
void core_forget_wake(struct core *core, struct service *s);
/* Notes whether the service lacks a place: if so, it is tried again whenever one comes free. */
void core_wait_for_place(struct core *core, struct service *s);
void core_stop_waiting(struct core *core, struct service *s);
void core_queue_waiting(struct core *core);
void core_add_host(struct core *core, struct host *h); /* takes it; its name is new */
struct host *core_host(const struct core *core, const char *name);
bool core_any_is_connected(const struct core *core); /* of the hosts; until one is heard, as the rows say */

/* 19 digits that only rise: of deployments and service revisions. */
void core_next_number(struct core *core, char out[static ID_SIZE]);

void core_add_task(struct core *core, struct task *t); /* to core->tasks and the map */
void core_drop_task(struct core *core, struct task *t); /* out of every list and map; freed */
void core_link_task(struct core *core, struct task *t); /* to its service's live or settled list */
void core_settle_task(struct core *core, struct task *t); /* from live to settled */
void target_key(char out[static ARN_SIZE + ADDRESS_SIZE + 16], const char *group, const char *id,
                int port);

/* core_check() for the rows that `out` names from `first` on: what a step can afford. */
void core_check_touched(const struct core *core, const struct effects *out, int first);

#define REPORTS_TAKE_MS 5000 /* those that are on their way when naru goes on after it stood still */

static inline int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t
later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* When a time is over that was to be over at `end_ms`, now that naru stood still for so long. */
static inline int64_t
extended_ms(const struct core *core, int64_t end_ms, int64_t late_ms)
{
    return later(end_ms + late_ms, core->now_ms + REPORTS_TAKE_MS);
}
