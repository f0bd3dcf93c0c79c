/* SPDX-License-Identifier: MIT */
/* placement_choice.c - among the instances that fit, where a task goes; among the tasks of a
 * service, who gives way.  Both are the same strategies, one read forwards and one backwards. */
#include <assert.h>
#include <stdlib.h>
#include "core/place_index.h"
#include "core/placement.h"

static const struct placement_rules *
rules_of(const struct placement_rules *rules)
{
    return rules != NULL && rules->strategy_count > 0 ? rules : placement_default();
}

/* ---- counting by the value of an attribute ---- */

/* The map keeps numbers as pointers: it needs no memory of its own for them. */
static intptr_t
count_get(const struct strmap *counts, struct str value)
{
    char key[ATTRIBUTE_NAME_MAX + 2];

    (void)text_copy(key, sizeof(key), str_slice(value, 0, ATTRIBUTE_NAME_MAX));
    return (intptr_t)strmap_get(counts, key);
}

static void
count_add(struct strmap *counts, struct str value, int n)
{
    char key[ATTRIBUTE_NAME_MAX + 2];

    (void)text_copy(key, sizeof(key), str_slice(value, 0, ATTRIBUTE_NAME_MAX));
    strmap_put(counts, key, (void *)((intptr_t)strmap_get(counts, key) + n)); // NOLINT
}

/* An instance without the attribute has the empty value. */
static struct str
value_of(const struct container_instance *i, const struct placement_strategy *s)
{
    struct str value = {0};

    (void)container_instance_attribute(i, str_of(s->attribute), &value);
    return value;
}

/* ---- where it goes: among instances that are looked at one by one ---- */

struct candidates {
    struct place_node **at; /* the oldest first */
    int count, capacity;
};

static void
candidates_add(struct candidates *c, struct place_node *n)
{
    if (c->count == c->capacity) {
        c->capacity = c->capacity == 0 ? 16 : c->capacity * 2;
        c->at = mem_grow(c->at, (size_t)c->capacity, sizeof(c->at[0]));
    }
    c->at[c->count++] = n;
}

static int
older_first(const void *a, const void *b)
{
    return (*(struct place_node *const *)a)->age - (*(struct place_node *const *)b)->age;
}

/* One decision. */
struct search {
    struct core *core;
    const struct place_request *rq;
    struct place_pool *pool;
    struct place_want room;
    bool is_alone; /* only instances without a peer */
};

static int
peers_on(const struct search *q, const struct place_node *n)
{
    return n->decision == q->pool->decision ? n->peers : 0;
}

static void
count_peer(const struct search *q, const struct task *t)
{
    struct place_node *n;

    if (t->instance == NULL || t->instance->cluster != q->rq->cluster || !task_is_wanted(t))
        return;
    n = t->instance->place;
    n->peers = peers_on(q, n) + 1;
    n->decision = q->pool->decision;
    n->class->peers++;
}

static void
count_peers(const struct search *q)
{
    const struct place_request *rq = q->rq;

    q->pool->decision++;
    for (struct place_class *class = q->pool->classes; class != NULL; class = class->next)
        class->peers = 0;
    if (rq->service != NULL) {
        for (const struct task *t = rq->service->live; t != NULL; t = t->next_live)
            count_peer(q, t);
        return;
    }
    for (const struct task *t = q->core->index->standalone; t != NULL; t = t->next_live) {
        if (strcmp(t->group, rq->group) == 0)
            count_peer(q, t);
    }
}

/* What a strategy that spreads over an attribute reads of each class. */
static void
set_costs(const struct search *q, const struct placement_strategy *s)
{
    cleanup(strmap_done) struct strmap counts = {0};

    for (struct place_class *class = q->pool->classes; class != NULL; class = class->next) {
        if (class->peers > 0)
            count_add(&counts, value_of(place_oldest(class)->instance, s), class->peers);
    }
    for (struct place_class *class = q->pool->classes; class != NULL; class = class->next)
        class->cost = count_get(&counts, value_of(place_oldest(class)->instance, s));
}

/* The less the better, for one strategy. */
static int64_t
cost(const struct search *q, const struct place_node *n, const struct placement_strategy *s)
{
    switch (s->kind) {
    case BINPACK_CPU:
        return n->cpu;
    case BINPACK_MEMORY:
        return n->memory_mib;
    case SPREAD_INSTANCE:
        return peers_on(q, n);
    case SPREAD_ATTRIBUTE:
        return n->class->cost;
    case RANDOM:
        return 0;
    }
    return 0;
}

/* Keeps the candidates that are best by one strategy. */
static void
narrow(const struct search *q, const struct placement_strategy *s, struct candidates *c)
{
    int64_t best = INT64_MAX;
    int kept = 0;

    if (s->kind == RANDOM) {
        c->at[0] = c->at[rng_below(&q->core->rng, (uint64_t)c->count)];
        c->count = 1;
        core_touch_meta(q->core);
        return;
    }
    if (s->kind == SPREAD_ATTRIBUTE)
        set_costs(q, s);
    for (int i = 0; i < c->count; i++) {
        const int64_t n = cost(q, c->at[i], s);
        if (n > best)
            continue;
        if (n < best)
            kept = 0;
        best = n;
        c->at[kept++] = c->at[i];
    }
    c->count = kept;
}

/* ---- where it goes: by the orders of the index ---- */

static struct place_node *
next_fit(const struct search *q, const struct place_class *class, enum place_order order,
         const struct place_node *after)
{
    struct place_node *n = place_next(class, order, after, &q->room);

    while (n != NULL &&
           ((q->is_alone && peers_on(q, n) > 0) || place_lack(q->rq, n->instance) != PLACE_FITS))
        n = place_next(class, order, n, &q->room);
    return n;
}

/* The first in that order of all classes. */
static struct place_node *
first_fit(const struct search *q, enum place_order order)
{
    struct place_node *best = NULL;

    for (const struct place_class *class = q->pool->classes; class != NULL; class = class->next) {
        struct place_node *n = class->is_open ? next_fit(q, class, order, NULL) : NULL;
        if (n != NULL && (best == NULL || place_comes_before(n, best, order)))
            best = n;
    }
    return best;
}

/* All of them, or those that are as full as the first. */
static void
gather(const struct search *q, enum place_order order, struct candidates *c)
{
    const struct place_node *first = first_fit(q, order);

    for (const struct place_class *class = q->pool->classes; class != NULL; class = class->next) {
        struct place_node *n = class->is_open ? next_fit(q, class, order, NULL) : NULL;
        while (n != NULL && (order != BY_CPU || n->cpu == first->cpu) &&
               (order != BY_MEMORY || n->memory_mib == first->memory_mib)) {
            candidates_add(c, n);
            n = next_fit(q, class, order, n);
        }
    }
    if (c->count > 1)
        qsort(c->at, (size_t)c->count, sizeof(struct place_node *), older_first);
}

/* Closes the classes that are not among the cheapest of those that have a place. */
static void
keep_cheapest(const struct search *q, const struct placement_strategy *s)
{
    int64_t best = INT64_MAX;

    set_costs(q, s);
    for (struct place_class *class = q->pool->classes; class != NULL; class = class->next) {
        class->is_open =
            class->is_open && class->cost <= best && next_fit(q, class, BY_AGE, NULL) != NULL;
        if (class->is_open)
            best = class->cost;
    }
    for (struct place_class *class = q->pool->classes; class != NULL; class = class->next)
        class->is_open = class->is_open && class->cost == best;
}

/* From then on those with peers are out. */
static bool
has_place_alone(struct search *q)
{
    q->is_alone = true;
    q->is_alone = first_fit(q, BY_AGE) != NULL;
    return q->is_alone;
}

/* Some instance fits.  The strategies narrow the choice down one after the other; what they leave
 * to be looked at one by one are few: those with peers, those that are equally full. */
static struct container_instance *
choose(struct search *q)
{
    const struct placement_rules *rules = rules_of(q->rq->rules);
    struct container_instance *chosen;
    struct candidates c = {0};
    int at = 0;

    count_peers(q);
    for (; at < rules->strategy_count && c.count == 0; at++) {
        const struct placement_strategy *s = &rules->strategies[at];
        const enum place_order order = s->kind == BINPACK_CPU      ? BY_CPU
                                       : s->kind == BINPACK_MEMORY ? BY_MEMORY
                                                                   : BY_AGE;
        if (s->kind == SPREAD_ATTRIBUTE) {
            keep_cheapest(q, s);
            continue;
        }
        if (order != BY_AGE && at == rules->strategy_count - 1)
            return first_fit(q, order)->instance;
        if (s->kind == SPREAD_INSTANCE && has_place_alone(q))
            continue;
        gather(q, order, &c);
        if (c.count > 1)
            narrow(q, s, &c);
    }
    if (c.count == 0)
        return first_fit(q, BY_AGE)->instance;
    for (; at < rules->strategy_count && c.count > 1; at++)
        narrow(q, &rules->strategies[at], &c);
    chosen = c.at[0]->instance;
    free(c.at);
    return chosen;
}

/* ---- where nothing fits ---- */

/* The oldest instance that lacks just that. */
static struct container_instance *
first_short(const struct search *q, enum place_lack lack)
{
    const struct place_want want = {lack == LACK_CPU ? WANT_SHORT_OF_CPU : WANT_SHORT_OF_MEMORY,
                                    q->rq->cpu, q->rq->memory_mib, 0};
    const struct place_node *oldest = NULL;

    for (const struct place_class *class = q->pool->classes; class != NULL; class = class->next) {
        const struct place_node *n = class->is_open ? place_next(class, BY_AGE, NULL, &want) : NULL;
        while (n != NULL && place_lack(q->rq, n->instance) != lack)
            n = place_next(class, BY_AGE, n, &want);
        if (n != NULL && (oldest == NULL || n->age < oldest->age))
            oldest = n;
    }
    return oldest == NULL ? NULL : oldest->instance;
}

/* They are declared from close to far: who is short of CPU is the closest there can be. */
static enum place_lack
find_closest(const struct search *q, struct container_instance **closest_out)
{
    enum place_lack best = q->rq->host_group != NULL ? LACK_PROVIDER_INSTANCES : LACK_INSTANCES;

    for (int lack = LACK_CPU; lack <= LACK_MEMORY && q->pool != NULL; lack++) {
        *closest_out = first_short(q, (enum place_lack)lack);
        if (*closest_out != NULL)
            return (enum place_lack)lack;
    }
    for (struct container_instance *i = q->rq->cluster->instances; i != NULL;
         i = i->next_in_cluster) {
        const enum place_lack lack = place_is_of_provider(q->rq, i) ? place_lack(q->rq, i) : best;
        if (lack < best) {
            best = lack;
            *closest_out = i;
        }
    }
    return best;
}

/* ---- the door ---- */

/* A FARGATE task runs on naru's own machine: without any agent it could only fail. */
static enum place_lack
find_fargate(const struct place_request *rq)
{
    for (const struct container_instance *i = rq->cluster->instances; i != NULL;
         i = i->next_in_cluster) {
        if (i->is_connected)
            return PLACE_FITS;
    }
    return rq->cluster->instances == NULL ? PLACE_FITS : LACK_AGENT;
}

/* What asks for attributes alone has one answer for a class. */
static void
begin(struct search *q, struct core *core, const struct place_request *rq)
{
    *q = (struct search){
        .core = core, .rq = rq, .room = {WANT_ROOM, rq->cpu, rq->memory_mib, rq->gpu_count}};
    q->pool = place_pool_of(core, rq->cluster);
    for (struct place_class *class = q->pool == NULL ? NULL : q->pool->classes; class != NULL;
         class = class->next) {
        const struct container_instance *i = place_oldest(class)->instance;
        class->is_open = place_is_of_provider(rq, i) &&
                         place_may_be_member(&rq->definition->rules, i) &&
                         place_may_be_member(rq->rules, i);
    }
}

enum place_lack
place_find(struct core *core, const struct place_request *rq,
           struct container_instance **instance_out, struct container_instance **closest_out)
{
    struct search q;

    *instance_out = *closest_out = NULL;
    if (rq->launch_type == LAUNCH_FARGATE)
        return find_fargate(rq);
    begin(&q, core, rq);
    if (q.pool == NULL || first_fit(&q, BY_AGE) == NULL)
        return find_closest(&q, closest_out);
    *instance_out = choose(&q);
    return PLACE_FITS;
}

static int
class_of_older_first(const void *a, const void *b)
{
    return place_oldest(*(struct place_class *const *)a)->age -
           place_oldest(*(struct place_class *const *)b)->age;
}

void
place_each_class(struct core *core, const struct place_request *rq, place_class_seen *seen,
                 void *arg)
{
    cleanup_free struct place_class **classes = NULL;
    struct search q;
    size_t count = 0;

    begin(&q, core, rq);
    for (struct place_class *class = q.pool == NULL ? NULL : q.pool->classes; class != NULL;
         class = class->next) {
        classes = mem_grow(classes, count + 1, sizeof(struct place_class *));
        classes[count++] = class;
    }
    if (count > 1)
        qsort(classes, count, sizeof(struct place_class *), class_of_older_first);
    for (size_t i = 0; i < count; i++)
        seen(arg, place_oldest(classes[i])->instance,
             classes[i]->is_open && next_fit(&q, classes[i], BY_AGE, NULL) != NULL);
}

/* ---- who gives way ---- */

bool
place_is_random(const struct service *s)
{
    return s->rules.strategy_count > 0 && s->rules.strategies[0].kind == RANDOM;
}

/* The greater, the sooner it goes. */
static int64_t
key_of(const struct search *q, const struct task *t, const struct placement_strategy *s)
{
    switch (s->kind) {
    case BINPACK_CPU: /* the instance that is the emptiest once it went */
        return place_remaining(t->instance, /* is_cpu= */ true) + t->cpu;
    case BINPACK_MEMORY:
        return place_remaining(t->instance, /* is_cpu= */ false) + t->memory_mib;
    case SPREAD_INSTANCE:
        return peers_on(q, t->instance->place);
    case SPREAD_ATTRIBUTE:
        return t->instance->place->class->cost;
    case RANDOM:
        return 0;
    }
    return 0;
}

void
place_rank(struct core *core, const struct service *s)
{
    const struct placement_rules *rules = rules_of(&s->rules);
    const struct place_request rq = {.cluster = s->cluster, .service = s};
    const struct search q = {.core = core, .rq = &rq, .pool = place_pool_of(core, s->cluster)};

    if (s->cluster->instances == NULL || s->cluster->instances->next_in_cluster == NULL) {
        for (struct task *t = s->live; t != NULL; t = t->next_live)
            memset(t->give_key, 0, sizeof(t->give_key));
        return; /* one instance: nothing to choose by */
    }
    count_peers(&q);
    for (int i = 0; i < rules->strategy_count; i++) {
        if (rules->strategies[i].kind == SPREAD_ATTRIBUTE)
            set_costs(&q, &rules->strategies[i]);
        for (struct task *t = s->live; t != NULL; t = t->next_live)
            t->give_key[i] = t->instance == NULL ? 0 : key_of(&q, t, &rules->strategies[i]);
    }
}

int
place_gives_way(const struct service *s, const struct task *a, const struct task *b)
{
    const int count = rules_of(&s->rules)->strategy_count;

    for (int i = 0; i < count; i++) {
        if (a->give_key[i] != b->give_key[i])
            return a->give_key[i] > b->give_key[i] ? 1 : -1;
    }
    return 0;
}
