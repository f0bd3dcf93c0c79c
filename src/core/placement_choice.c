/* SPDX-License-Identifier: MIT */
/* placement_choice.c - among the instances that fit, where a task goes; among the tasks of a service, who
 * gives way.  Both are the same strategies, one read forwards and one backwards. */
#include <assert.h>
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

static int64_t
remaining(const struct container_instance *i, bool is_cpu)
{
    const struct host *h = i->machine;
    const int total = is_cpu ? h->cpu_total : h->memory_total_mib;

    return total == 0 ? INT32_MAX : total - (is_cpu ? h->cpu_used : h->memory_used_mib);
}

/* ---- where it goes ---- */

struct candidates {
    struct container_instance **at;
    int count;
};

static void
count_peers(const struct core *core, const struct place_request *rq)
{
    for (struct container_instance *i = rq->cluster->instances; i != NULL; i = i->next_in_cluster)
        i->peer_count = 0;
    if (rq->service != NULL) {
        for (const struct task *t = rq->service->live; t != NULL; t = t->next_live) {
            if (t->instance != NULL && task_is_wanted(t))
                t->instance->peer_count++;
        }
        return;
    }
    for (const struct task *t = core->index->standalone; t != NULL; t = t->next_live) {
        if (t->instance != NULL && task_is_wanted(t) && strcmp(t->group, rq->group) == 0)
            t->instance->peer_count++;
    }
}

/* The less the better, for one strategy. */
static int64_t
cost(const struct container_instance *i, const struct placement_strategy *s,
     const struct strmap *counts)
{
    switch (s->kind) {
    case BINPACK_CPU:
        return remaining(i, /* is_cpu= */ true);
    case BINPACK_MEMORY:
        return remaining(i, /* is_cpu= */ false);
    case SPREAD_INSTANCE:
        return i->peer_count;
    case SPREAD_ATTRIBUTE:
        return count_get(counts, value_of(i, s));
    case RANDOM:
        return 0;
    }
    return 0;
}

/* Keeps the candidates that are best by one strategy. */
static void
narrow(struct core *core, const struct place_request *rq, const struct placement_strategy *s,
       struct candidates *c)
{
    cleanup(strmap_done) struct strmap counts = {0};
    int64_t best = INT64_MAX;
    int kept = 0;

    if (s->kind == RANDOM) {
        c->at[0] = c->at[rng_below(&core->rng, (uint64_t)c->count)];
        c->count = 1;
        core_touch_meta(core);
        return;
    }
    for (const struct container_instance *i = rq->cluster->instances;
         s->kind == SPREAD_ATTRIBUTE && i != NULL; i = i->next_in_cluster)
        count_add(&counts, value_of(i, s), i->peer_count);
    for (int i = 0; i < c->count; i++) {
        const int64_t n = cost(c->at[i], s, &counts);
        if (n > best)
            continue;
        if (n < best)
            kept = 0;
        best = n;
        c->at[kept++] = c->at[i];
    }
    c->count = kept;
}

static struct container_instance *
choose(struct core *core, const struct place_request *rq, struct candidates *c)
{
    const struct placement_rules *rules = rules_of(rq->rules);

    if (c->count > 1)
        count_peers(core, rq);
    for (int i = 0; i < rules->strategy_count && c->count > 1; i++)
        narrow(core, rq, &rules->strategies[i], c);
    return c->at[0];
}

/* A FARGATE task runs on naru's own machine: without any agent it could only fail. */
static enum place_lack
find_fargate(const struct place_request *rq)
{
    bool any_connected = false, any = false;

    for (const struct container_instance *i = rq->cluster->instances; i != NULL;
         i = i->next_in_cluster) {
        any = true;
        any_connected |= i->is_connected;
    }
    return any_connected || !any ? PLACE_FITS : LACK_AGENT;
}

enum place_lack
place_find(struct core *core, const struct place_request *rq,
           struct container_instance **instance_out, struct container_instance **closest_out)
{
    cleanup_free struct container_instance **fitting = NULL;
    struct candidates c = {0};
    enum place_lack best = rq->host_group != NULL ? LACK_PROVIDER_INSTANCES : LACK_INSTANCES;
    int count = 0;

    *instance_out = *closest_out = NULL;
    if (rq->launch_type == LAUNCH_FARGATE)
        return find_fargate(rq);
    for (const struct container_instance *i = rq->cluster->instances; i != NULL;
         i = i->next_in_cluster)
        count++;
    c.at = fitting = mem_new((size_t)(count + 1) * sizeof(struct container_instance *));
    for (struct container_instance *i = rq->cluster->instances; i != NULL; i = i->next_in_cluster) {
        enum place_lack lack;
        if (!place_is_of_provider(rq, i))
            continue;
        lack = place_lack(rq, i);
        if (lack == PLACE_FITS) {
            c.at[c.count++] = i;
        } else if (lack < best) { /* they are declared from close to far */
            best = lack;
            *closest_out = i;
        }
    }
    if (c.count == 0)
        return best;
    *closest_out = NULL;
    *instance_out = choose(core, rq, &c);
    return PLACE_FITS;
}

/* ---- who gives way ---- */

bool
place_is_random(const struct service *s)
{
    return s->rules.strategy_count > 0 && s->rules.strategies[0].kind == RANDOM;
}

static void
count_tasks_here(const struct service *s)
{
    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if (t->instance != NULL)
            t->instance->peer_count = 0;
    }
    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if (t->instance != NULL && task_is_wanted(t))
            t->instance->peer_count++;
    }
}

/* The greater, the sooner it goes. */
static int64_t
key_of(const struct task *t, const struct placement_strategy *s, const struct strmap *counts)
{
    switch (s->kind) {
    case BINPACK_CPU: /* the instance that is the emptiest once it went */
        return remaining(t->instance, /* is_cpu= */ true) + t->cpu;
    case BINPACK_MEMORY:
        return remaining(t->instance, /* is_cpu= */ false) + t->memory_mib;
    case SPREAD_INSTANCE:
        return t->instance->peer_count;
    case SPREAD_ATTRIBUTE:
        return count_get(counts, value_of(t->instance, s));
    case RANDOM:
        return 0;
    }
    return 0;
}

static void
rank_by(const struct service *s, int at, const struct placement_strategy *strategy)
{
    cleanup(strmap_done) struct strmap counts = {0};

    if (strategy->kind == SPREAD_ATTRIBUTE) {
        for (const struct task *t = s->live; t != NULL; t = t->next_live) {
            if (t->instance != NULL && task_is_wanted(t))
                count_add(&counts, value_of(t->instance, strategy), 1);
        }
    }
    for (struct task *t = s->live; t != NULL; t = t->next_live)
        t->give_key[at] = t->instance == NULL ? 0 : key_of(t, strategy, &counts);
}

void
place_rank(const struct service *s)
{
    const struct placement_rules *rules = rules_of(&s->rules);

    if (s->cluster->instances == NULL || s->cluster->instances->next_in_cluster == NULL) {
        for (struct task *t = s->live; t != NULL; t = t->next_live)
            memset(t->give_key, 0, sizeof(t->give_key));
        return; /* one instance: nothing to choose by */
    }
    count_tasks_here(s);
    for (int i = 0; i < rules->strategy_count; i++)
        rank_by(s, i, &rules->strategies[i]);
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
