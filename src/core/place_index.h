/* SPDX-License-Identifier: MIT */
/* place_index.h - the instances of a cluster filed by what they have left: what place_find() costs
 * depends on the kinds of instances there are, not on their number.
 *
 * The pool of a cluster sorts its instances into classes: those of one class have the same
 * attributes, so what asks for attributes alone is asked once a class.  Each class keeps its
 * instances in three orders at once,
 *
 *   BY_AGE     the oldest first; also those that take nothing now, to be counted as there
 *   BY_CPU     the one with the least CPU left first, among equals the oldest
 *   BY_MEMORY  likewise
 *
 * each a search tree (a treap: its shape depends on the ages alone) whose nodes know the most and
 * the least that is left below them, so that the next one with enough room is found without
 * visiting the full ones.
 *
 * It is lazy: what changes on a machine is noted by place_index_note(), and filed when the next
 * decision asks place_pool_of() for a cluster the machine is in.  The index only leaves out what
 * cannot fit: place_lack() has the last word on each instance. */
#pragma once
#include "core/index.h"

enum place_order { BY_AGE, BY_CPU, BY_MEMORY, PLACE_ORDERS };

struct place_node {
    struct container_instance *instance;
    struct place_class *class;
    int age; /* its position in the cluster */
    uint32_t priority;
    int64_t version;         /* of the instance, when its class was told */
    int64_t cpu, memory_mib; /* left, when it was filed; INT64_MIN: takes nothing */
    int gpus;                /* likewise; 0 if it takes nothing */
    uint64_t decision;       /* `peers` is of that one */
    int peers;
    struct {
        struct place_node *left, *right;
        int64_t cpu_max, cpu_min, memory_max, memory_min; /* of those that take something */
        int gpus_max;
    } in[PLACE_ORDERS];
};

struct place_class {
    struct place_node *roots[PLACE_ORDERS];
    struct place_class *next;
    char *key;    /* its attributes as text */
    bool is_open; /* of one decision: may hold the place that is looked for */
    int peers;    /* likewise: on all its instances */
    int64_t cost; /* likewise */
};

struct place_pool {
    struct place_class *classes; /* none of them empty, in no order */
    struct strmap by_key;
    uint64_t seen; /* of the notes of core->index */
    int next_age;
    uint64_t decision;
};

/* What is searched for. */
struct place_want {
    enum { WANT_ROOM, WANT_SHORT_OF_CPU, WANT_SHORT_OF_MEMORY } what;
    int64_t cpu, memory_mib;
    int gpus; /* of WANT_ROOM */
};

void place_index_add(struct core *core,
                     struct container_instance *i); /* the youngest of its cluster */
void place_index_remove(struct container_instance *i);
void place_index_note(struct core *core, struct host *h); /* it, or an instance on it, changed */
void place_index_done(struct core *core);      /* the notes; the pools are the clusters' */
void place_pool_free(struct place_pool *pool); /* once its instances were removed; NULL is fine */

/* Up to date; NULL if the cluster never had an instance. */
struct place_pool *place_pool_of(struct core *core, const struct cluster *cluster);
/* The next one behind `after` (NULL: from the first) in that order; NULL: none. */
struct place_node *place_next(const struct place_class *class, enum place_order order,
                              const struct place_node *after, const struct place_want *want);
bool place_comes_before(const struct place_node *a, const struct place_node *b,
                        enum place_order order);
/* The oldest instance of a class: what holds for its attributes holds for all of them. */
const struct place_node *place_oldest(const struct place_class *class);
int64_t place_remaining(const struct container_instance *i, bool is_cpu);
