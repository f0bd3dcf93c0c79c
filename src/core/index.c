/* SPDX-License-Identifier: MIT */
#include "core/index.h"
#include <assert.h>
#include <stdio.h>
#include "core/parts.h"

/* ---- a map from text to pointer ---- */

struct strmap_entry {
    struct strmap_entry *next;
    uint64_t hash;
    void *value;
    char key[];
};

/* Eight bytes at a time: ARNs are long.  The keys are ours (ids, ARNs), nobody outside can choose them
 * to collide at will. */
static uint64_t
hash_of(const char *key)
{
    uint64_t h = 1469598103934665603ULL;

    for (size_t len = strlen(key); len > 0;) {
        const size_t piece = len < sizeof(h) ? len : sizeof(h);
        uint64_t word = 0;
        memcpy(&word, key, piece);
        h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
        h ^= h >> 32;
        key += piece;
        len -= piece;
    }
    return h;
}

void
strmap_done(struct strmap *m)
{
    for (size_t i = 0; i < m->bucket_count; i++) {
        while (m->buckets[i] != NULL) {
            struct strmap_entry *e = m->buckets[i];
            m->buckets[i] = e->next;
            free(e);
        }
    }
    free(m->buckets);
    *m = (struct strmap){0};
}

static struct strmap_entry **
strmap_slot(const struct strmap *m, const char *key, uint64_t hash)
{
    struct strmap_entry **at = &m->buckets[hash & (m->bucket_count - 1)];

    while (*at != NULL && ((*at)->hash != hash || strcmp((*at)->key, key) != 0))
        at = &(*at)->next;
    return at;
}

void *
strmap_get(const struct strmap *m, const char *key)
{
    const struct strmap_entry *e;

    if (m->count == 0)
        return NULL;
    e = *strmap_slot(m, key, hash_of(key));
    return e == NULL ? NULL : e->value;
}

static void
strmap_grow(struct strmap *m)
{
    const size_t count = m->bucket_count == 0 ? 16 : m->bucket_count * 2;
    struct strmap_entry **buckets = mem_new(count * sizeof(struct strmap_entry *));

    for (size_t i = 0; i < m->bucket_count; i++) {
        while (m->buckets[i] != NULL) {
            struct strmap_entry *e = m->buckets[i];
            m->buckets[i] = e->next;
            e->next = buckets[e->hash & (count - 1)];
            buckets[e->hash & (count - 1)] = e;
        }
    }
    free(m->buckets);
    m->buckets = buckets;
    m->bucket_count = count;
}

void
strmap_put(struct strmap *m, const char *key, void *value)
{
    const uint64_t hash = hash_of(key);
    const size_t size = strlen(key) + 1;
    struct strmap_entry **at, *e;

    if (m->count >= m->bucket_count)
        strmap_grow(m);
    at = strmap_slot(m, key, hash);
    if (*at != NULL) {
        (*at)->value = value;
        return;
    }
    e = mem_new(sizeof(*e) + size);
    memcpy(e->key, key, size);
    e->hash = hash;
    e->value = value;
    *at = e;
    m->count++;
}

void
strmap_remove(struct strmap *m, const char *key)
{
    struct strmap_entry **at, *e;

    if (m->count == 0)
        return;
    at = strmap_slot(m, key, hash_of(key));
    e = *at;
    if (e == NULL)
        return;
    *at = e->next;
    free(e);
    m->count--;
}

/* ---- what changed ---- */

struct effect *
core_emit(struct core *core, enum effect_type type)
{
    return effects_add(core->index->out, type);
}

void
core_touch(struct core *core, enum row_kind kind, const char *key)
{
    struct effects *persists = &core->index->persists;
    struct effect *e;

    /* Those of which a step may touch many have a flag of their own, or are seldom touched twice. */
    if (kind != ROW_TASK && kind != ROW_SERVICE && kind != ROW_META && !row_is_part(kind)) {
        for (int i = 0; i < persists->count; i++) {
            if (persists->at[i].persist.kind == kind &&
                strcmp(persists->at[i].persist.key, key) == 0)
                return;
        }
    }
    e = effects_add(persists, EFFECT_PERSIST);
    e->persist.kind = kind;
    text_copy(e->persist.key, sizeof(e->persist.key), str_of(key));
}

void
core_touch_task(struct core *core, struct task *t)
{
    t->version++;
    if (t->service != NULL)
        t->service->change = ++core->index->last_change;
    if (t->is_dirty)
        return;
    t->is_dirty = true;
    core_touch(core, ROW_TASK, t->arn);
}

void
core_touch_service(struct core *core, struct service *s)
{
    s->version++;
    s->change = ++core->index->last_change;
    if (s->is_dirty)
        return;
    s->is_dirty = true;
    core_touch(core, ROW_SERVICE, s->arn);
}

void
core_touch_group(struct core *core, const struct target_group *tg)
{
    core_touch(core, ROW_TARGET_GROUP, tg->arn);
}

void
core_touch_meta(struct core *core)
{
    if (!core->index->is_meta_touched)
        core_touch(core, ROW_META, "core");
    core->index->is_meta_touched = true;
}

void
core_next_number(struct core *core, char out[static ID_SIZE])
{
    /* As in ECS the number looks random; that it rises is what makes "newer" comparable. */
    core->last_id += 1 + rng_below(&core->rng, 1000000007ULL);
    assert(core->last_id < 10000000000000000000ULL);
    snprintf(out, ID_SIZE, "%019llu", (unsigned long long)core->last_id);
    core_touch_meta(core);
}

/* ---- what is due ---- */

void
core_queue(struct core *core, struct service *s)
{
    if (s == NULL) {
        core->index->is_standalone_queued = true;
        return;
    }
    if (s->is_queued)
        return;
    s->is_queued = true;
    s->next_queued = core->index->queue;
    core->index->queue = s;
}

struct service *
core_unqueue(struct core *core)
{
    struct service *s = core->index->queue;

    if (s == NULL)
        return NULL;
    core->index->queue = s->next_queued;
    s->next_queued = NULL;
    s->is_queued = false;
    return s;
}

void
core_wait_for_place(struct core *core, struct service *s)
{
    struct service *first = core->index->waiting;

    if (!s->lacks_place)
        core_stop_waiting(core, s);
    if (s->is_waiting || !s->lacks_place)
        return;
    s->is_waiting = true;
    s->prev_waiting = NULL;
    s->next_waiting = first;
    if (first != NULL)
        first->prev_waiting = s;
    core->index->waiting = s;
}

void
core_stop_waiting(struct core *core, struct service *s)
{
    if (!s->is_waiting)
        return;
    s->is_waiting = false;
    if (s->prev_waiting != NULL)
        s->prev_waiting->next_waiting = s->next_waiting;
    else
        core->index->waiting = s->next_waiting;
    if (s->next_waiting != NULL)
        s->next_waiting->prev_waiting = s->prev_waiting;
}

/* The queue gives back what was put in last: who waits longest is served first. */
void
core_queue_waiting(struct core *core)
{
    for (struct service *s = core->index->waiting; s != NULL; s = s->next_waiting)
        core_queue(core, s);
}

static void
heap_set(struct core_index *x, int at, struct service *s)
{
    x->heap[at] = s;
    s->heap_index = at;
}

static void
heap_settle(struct core_index *x, int at)
{
    struct service *s = x->heap[at];

    while (at > 0 && x->heap[(at - 1) / 2]->wake_ms > s->wake_ms) {
        heap_set(x, at, x->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        int child = 2 * at + 1;
        if (child >= x->heap_count)
            break;
        if (child + 1 < x->heap_count && x->heap[child + 1]->wake_ms < x->heap[child]->wake_ms)
            child++;
        if (x->heap[child]->wake_ms >= s->wake_ms)
            break;
        heap_set(x, at, x->heap[child]);
        at = child;
    }
    heap_set(x, at, s);
}

void
core_forget_wake(struct core *core, struct service *s)
{
    struct core_index *x = core->index;
    const int at = s->heap_index;
    struct service *last;

    if (at < 0)
        return;
    s->heap_index = -1;
    last = x->heap[--x->heap_count];
    if (last == s)
        return;
    heap_set(x, at, last);
    heap_settle(x, at);
}

void
core_set_wake(struct core *core, struct service *s, int64_t wake_ms)
{
    struct core_index *x = core->index;

    if (s->heap_index >= 0 && s->wake_ms == wake_ms)
        return;
    core_forget_wake(core, s);
    s->wake_ms = wake_ms;
    if (wake_ms == INT64_MAX)
        return;
    if (x->heap_count == x->heap_capacity) {
        x->heap_capacity = x->heap_capacity == 0 ? 16 : x->heap_capacity * 2;
        x->heap = mem_grow(x->heap, (size_t)x->heap_capacity, sizeof(x->heap[0]));
    }
    x->heap[x->heap_count] = s;
    heap_settle(x, x->heap_count++);
}

/* ---- tasks and their lists ---- */

void
core_add_task(struct core *core, struct task *t)
{
    t->prev = NULL;
    t->next = core->tasks;
    if (core->tasks != NULL)
        core->tasks->prev = t;
    core->tasks = t;
    strmap_put(&core->index->tasks, t->id, t);
}

static struct task **
list_of(struct core *core, const struct task *t)
{
    if (t->service == NULL)
        return t->is_settled ? &core->index->standalone_settled : &core->index->standalone;
    return t->is_settled ? &t->service->settled : &t->service->live;
}

static int *
settled_count(struct core *core, const struct task *t)
{
    return t->service == NULL ? &core->index->standalone_settled_count : &t->service->settled_count;
}

void
core_link_task(struct core *core, struct task *t)
{
    struct task **list = list_of(core, t);

    t->prev_live = NULL;
    t->next_live = *list;
    if (*list != NULL)
        (*list)->prev_live = t;
    *list = t;
    if (t->is_settled)
        ++*settled_count(core, t);
}

static void
unlink_task(struct core *core, struct task *t)
{
    if (t->prev_live != NULL)
        t->prev_live->next_live = t->next_live;
    else
        *list_of(core, t) = t->next_live;
    if (t->next_live != NULL)
        t->next_live->prev_live = t->prev_live;
    if (t->is_settled)
        --*settled_count(core, t);
}

void
core_settle_task(struct core *core, struct task *t)
{
    assert(!t->is_settled && t->last_status == TASK_STOPPED);
    unlink_task(core, t);
    t->is_settled = true;
    t->deployment = NULL;
    core_link_task(core, t);
}

void
core_drop_task(struct core *core, struct task *t)
{
    unlink_task(core, t);
    if (t->prev != NULL)
        t->prev->next = t->next;
    else
        core->tasks = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    strmap_remove(&core->index->tasks, t->id);
    if (!t->is_dirty)
        core_touch(core, ROW_TASK, t->arn);
    task_free(t);
}

void
target_key(char out[static ARN_SIZE + ADDRESS_SIZE + 16], const char *group, const char *id,
           int port)
{
    snprintf(out, ARN_SIZE + ADDRESS_SIZE + 16, "%s %s %d", group, id, port);
}

void
core_add_host(struct core *core, struct host *h)
{
    h->next = core->index->hosts;
    core->index->hosts = h;
    strmap_put(&core->index->hosts_by_name, h->name, h);
}

struct host *
core_host(const struct core *core, const char *name)
{
    return strmap_get(&core->index->hosts_by_name, name);
}

bool
core_any_is_connected(const struct core *core)
{
    for (const struct host *h = core->index->hosts; h != NULL; h = h->next) {
        if (h->is_connected)
            return true;
    }
    return false;
}
