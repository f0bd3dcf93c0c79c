/* SPDX-License-Identifier: MIT */
/* fate.h - what drives the worlds of both sizes (world.h, crowd.h): dice, and a heap of happenings,
 * each at its millisecond; and the reports that are on their way to the core.
 * A world has a member `fate`; a report is made in an epoch of its own naru's life.
 * Ownership: a report owns all texts that its event points to. */
#pragma once
#include "core/core.h"

enum container_state { NOT_CREATED, PULLING, UP, EXITED, REMOVED };

enum happening_kind { DELIVER, DOCKER, PROBE, TRAFFIC, REQUEST_END, DRAIN_END, OPERATOR, FAULT,
                      DOCKER_BACK, NARU_BACK, STORE_BACK, WEIGHTS };

/* An event on its way to the core. */
struct report {
    struct event event;
    char texts[2][ARN_SIZE];
    char reason[128], description[128];
    char digest[1][DIGEST_SIZE];
    struct task_container container;
    struct network_binding binding; /* of it */
    struct json *doc;
    uint32_t epoch;
    int target; /* of a small world: whose registration it is about; or -1 */
};

struct happening {
    int64_t at_ms;
    uint64_t order;
    enum happening_kind kind;
    int index;
    uint32_t generation;
    struct crowd_task *task; /* in a large world */
    struct report *report;
};

struct fate {
    struct rng rng;
    struct happening *heap;
    int count, capacity;
    uint64_t order;
};

/* Of a world `w` of either size. */
#define chance(w, in_10000) fate_chance(&(w)->fate, in_10000)
#define between(w, low, high) fate_between(&(w)->fate, low, high)
#define happen(w, at_ms, kind, index) fate_happen(&(w)->fate, at_ms, kind, index)

bool fate_chance(struct fate *f, int in_10000);
int64_t fate_between(struct fate *f, int64_t low, int64_t high);
/* The pointer holds until the next call: set the other members at once.  None orders the heap. */
struct happening *fate_happen(struct fate *f, int64_t at_ms, enum happening_kind kind, int index);
struct happening fate_take(struct fate *f); /* the next one; there has to be one */
/* naru stands still until then: what needs it waits; false: h does not. */
bool fate_put_off(struct fate *f, const struct happening *h, int64_t until_ms);
void fate_done(struct fate *f);

/* Is the core stepped so late that it has to be told first, as the engine does?  Then by this event. */
bool fate_stood_still(const struct core *core, int64_t look_ms, int64_t naru_now_ms, struct event *out);

struct report *report_new(uint32_t epoch, enum event_type type);
void report_free(struct report *r); /* or NULL */
/* Of a task with one container; exit_code is told once it has exited.  Port 0, address "": none. */
struct report *report_of_task(uint32_t epoch, const char *id, enum container_state state,
                              int exit_code, int port, const char *address);
struct report *report_of_health(uint32_t epoch, const struct ev_target_health *health);
struct report *report_of_drained(uint32_t epoch, const struct ef_target_change *asked);
struct report *report_of_listener(uint32_t epoch, const struct listener *l); /* is in force */
/* The tag moves on all the time: each version is a digest of its own.  0: the registry is away. */
struct report *report_of_image(uint32_t epoch, const struct ef_image_resolve *asked, int version);
