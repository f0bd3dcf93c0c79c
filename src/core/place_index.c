/* SPDX-License-Identifier: MIT */
#include "core/place_index.h"
#include <assert.h>
#include "core/gpus.h"

#define NOTES_MAX 4096 /* a pool that missed more looks at all of its instances */

int64_t
place_remaining(const struct container_instance *i, bool is_cpu)
{
    const struct host *h = i->machine;
    const int total = is_cpu ? h->cpu_total : h->memory_total_mib;

    return total == 0 ? INT32_MAX : (int64_t)total - (is_cpu ? h->cpu_used : h->memory_used_mib);
}

/* ---- one tree ---- */

static int64_t
key_of(const struct place_node *n, enum place_order order)
{
    return order == BY_AGE ? 0 : order == BY_CPU ? n->cpu : n->memory_mib;
}

bool
place_comes_before(const struct place_node *a, const struct place_node *b, enum place_order order)
{
    const int64_t x = key_of(a, order), y = key_of(b, order);

    return x != y ? x < y : a->age < b->age;
}

static int64_t
greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void
sum_up(struct place_node *n, enum place_order order)
{
    const struct place_node *below[] = {n->in[order].left, n->in[order].right};
    const bool takes = n->cpu != INT64_MIN;

    n->in[order].cpu_max = n->cpu;
    n->in[order].memory_max = n->memory_mib;
    n->in[order].cpu_min = takes ? n->cpu : INT64_MAX;
    n->in[order].memory_min = takes ? n->memory_mib : INT64_MAX;
    n->in[order].gpus_max = n->gpus;
    for (size_t k = 0; k < ARRAY_COUNT(below); k++) {
        if (below[k] == NULL)
            continue;
        n->in[order].cpu_max = greater(n->in[order].cpu_max, below[k]->in[order].cpu_max);
        n->in[order].memory_max = greater(n->in[order].memory_max, below[k]->in[order].memory_max);
        n->in[order].cpu_min = earlier(n->in[order].cpu_min, below[k]->in[order].cpu_min);
        n->in[order].memory_min = earlier(n->in[order].memory_min, below[k]->in[order].memory_min);
        if (below[k]->in[order].gpus_max > n->in[order].gpus_max)
            n->in[order].gpus_max = below[k]->in[order].gpus_max;
    }
}

/* Those before `at`, and those behind it. */
static void
split(struct place_node *root, const struct place_node *at, enum place_order order,
      struct place_node **before_out, struct place_node **behind_out)
{
    if (root == NULL) {
        *before_out = *behind_out = NULL;
        return;
    }
    if (place_comes_before(root, at, order)) {
        split(root->in[order].right, at, order, &root->in[order].right, behind_out);
        *before_out = root;
    } else {
        split(root->in[order].left, at, order, before_out, &root->in[order].left);
        *behind_out = root;
    }
    sum_up(root, order);
}

static struct place_node *
join(struct place_node *before, struct place_node *behind, enum place_order order)
{
    struct place_node *root;

    if (before == NULL || behind == NULL)
        return before != NULL ? before : behind;
    if (before->priority > behind->priority) {
        root = before;
        root->in[order].right = join(root->in[order].right, behind, order);
    } else {
        root = behind;
        root->in[order].left = join(before, root->in[order].left, order);
    }
    sum_up(root, order);
    return root;
}

static void
tree_add(struct place_node **root, struct place_node *n, enum place_order order)
{
    if (*root == NULL || n->priority > (*root)->priority) {
        split(*root, n, order, &n->in[order].left, &n->in[order].right);
        *root = n;
    } else {
        tree_add(place_comes_before(n, *root, order) ? &(*root)->in[order].left
                                                     : &(*root)->in[order].right,
                 n, order);
    }
    sum_up(*root, order);
}

static void
tree_remove(struct place_node **root, const struct place_node *n, enum place_order order)
{
    assert(*root != NULL);
    if (*root == n) {
        *root = join(n->in[order].left, n->in[order].right, order);
        return;
    }
    tree_remove(place_comes_before(n, *root, order) ? &(*root)->in[order].left
                                                    : &(*root)->in[order].right,
                n, order);
    sum_up(*root, order);
}

static bool
is_wanted(const struct place_node *n, const struct place_want *want)
{
    switch (want->what) {
    case WANT_ROOM:
        return n->cpu >= want->cpu && n->memory_mib >= want->memory_mib && n->gpus >= want->gpus;
    case WANT_SHORT_OF_CPU:
        return n->cpu != INT64_MIN && n->cpu < want->cpu;
    case WANT_SHORT_OF_MEMORY:
        return n->cpu != INT64_MIN && n->memory_mib < want->memory_mib;
    }
    return false;
}

/* False: surely none of those below. */
static bool
may_hold(const struct place_node *n, enum place_order order, const struct place_want *want)
{
    switch (want->what) {
    case WANT_ROOM:
        return n->in[order].cpu_max >= want->cpu && n->in[order].memory_max >= want->memory_mib &&
               n->in[order].gpus_max >= want->gpus;
    case WANT_SHORT_OF_CPU:
        return n->in[order].cpu_min < want->cpu;
    case WANT_SHORT_OF_MEMORY:
        return n->in[order].memory_min < want->memory_mib;
    }
    return false;
}

static struct place_node *
tree_next(struct place_node *root, enum place_order order, const struct place_node *after,
          const struct place_want *want)
{
    struct place_node *found;

    if (root == NULL || !may_hold(root, order, want))
        return NULL;
    if (after == NULL || place_comes_before(after, root, order)) {
        found = tree_next(root->in[order].left, order, after, want);
        if (found != NULL)
            return found;
        if (is_wanted(root, want))
            return root;
        after = NULL;
    }
    return tree_next(root->in[order].right, order, after, want);
}

struct place_node *
place_next(const struct place_class *class, enum place_order order, const struct place_node *after,
           const struct place_want *want)
{
    return tree_next(class->roots[order], order, after, want);
}

const struct place_node *
place_oldest(const struct place_class *class)
{
    const struct place_node *n = class->roots[BY_AGE];

    while (n->in[BY_AGE].left != NULL)
        n = n->in[BY_AGE].left;
    return n;
}

/* ---- classes ---- */

static char *
class_key(const struct container_instance *i)
{
    const struct json *told = json_get(i->doc, "attributes");
    cleanup_free char *custom = i->custom == NULL ? NULL : json_format(i->custom);
    cleanup_free char *own = told == NULL ? NULL : json_format(told);
    struct strbuf key = {0};

    strbuf_addf(&key, "%s %s", custom == NULL ? "" : custom, own == NULL ? "" : own);
    return strbuf_take(&key);
}

static struct place_class *
class_of(struct place_pool *pool, const struct container_instance *i)
{
    char *key = class_key(i);
    struct place_class *class = strmap_get(&pool->by_key, key);

    if (class != NULL) {
        free(key);
        return class;
    }
    class = mem_new(sizeof(*class));
    class->key = key;
    class->next = pool->classes;
    pool->classes = class;
    strmap_put(&pool->by_key, key, class);
    return class;
}

static void
class_free(struct place_pool *pool, struct place_class *class)
{
    struct place_class **at = &pool->classes;

    while (*at != class)
        at = &(*at)->next;
    *at = class->next;
    strmap_remove(&pool->by_key, class->key);
    free(class->key);
    free(class);
}

static void
take_out(struct place_pool *pool, struct place_node *n)
{
    struct place_class *class = n->class;

    if (class == NULL)
        return;
    for (int order = 0; order < PLACE_ORDERS; order++)
        tree_remove(&class->roots[order], n, (enum place_order)order);
    n->class = NULL;
    if (class->roots[BY_AGE] == NULL)
        class_free(pool, class);
}

/* Where it belongs as it is now. */
static void
file(struct place_pool *pool, struct place_node *n)
{
    const struct container_instance *i = n->instance;
    const bool takes = i->machine->is_connected && i->status == INSTANCE_ACTIVE;
    const int64_t cpu = takes ? place_remaining(i, /* is_cpu= */ true) : INT64_MIN;
    const int64_t memory_mib = takes ? place_remaining(i, /* is_cpu= */ false) : INT64_MIN;
    const int gpus = takes ? gpus_free(i->machine) : 0;
    struct place_class *class = n->class;

    if (class == NULL || n->version != i->version)
        class = class_of(pool, i);
    n->version = i->version;
    if (class == n->class && cpu == n->cpu && memory_mib == n->memory_mib && gpus == n->gpus)
        return;
    if (class == n->class) { /* and stays, so that it is not freed for a moment */
        for (int order = 0; order < PLACE_ORDERS; order++)
            tree_remove(&class->roots[order], n, (enum place_order)order);
    } else {
        take_out(pool, n);
    }
    n->class = class;
    n->cpu = cpu;
    n->memory_mib = memory_mib;
    n->gpus = gpus;
    for (int order = 0; order < PLACE_ORDERS; order++)
        tree_add(&class->roots[order], n, (enum place_order)order);
}

/* ---- the pool of a cluster ---- */

void
place_index_note(struct core *core, struct host *h)
{
    struct core_index *x = core->index;

    if (x->notes == NULL)
        x->notes = mem_new(NOTES_MAX * sizeof(struct host *));
    x->notes[x->note_count++ % NOTES_MAX] = h;
}

void
place_index_done(struct core *core)
{
    free(core->index->notes);
}

void
place_index_add(struct core *core, struct container_instance *i)
{
    struct cluster *c = i->cluster;
    struct place_node *n = mem_new(sizeof(*n));

    if (c->pool == NULL) {
        c->pool = mem_new(sizeof(*c->pool));
        c->pool->seen = core->index->note_count;
    }
    n->instance = i;
    n->age = c->pool->next_age++;
    n->priority = (uint32_t)((uint64_t)(n->age + 1) * 0x9e3779b97f4a7c15ULL >> 32);
    i->place = n;
    i->next_on_machine = i->machine->instances;
    i->machine->instances = i;
    place_index_note(core, i->machine);
}

void
place_index_remove(struct container_instance *i)
{
    struct container_instance **at = &i->machine->instances;

    take_out(i->cluster->pool, i->place);
    free(i->place);
    i->place = NULL;
    while (*at != i)
        at = &(*at)->next_on_machine;
    *at = i->next_on_machine;
}

void
place_pool_free(struct place_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->classes != NULL)
        class_free(pool, pool->classes);
    strmap_done(&pool->by_key);
    free(pool);
}

struct place_pool *
place_pool_of(struct core *core, const struct cluster *cluster)
{
    const struct core_index *x = core->index;
    struct place_pool *pool = cluster->pool;

    if (pool == NULL)
        return NULL;
    if (x->note_count - pool->seen > NOTES_MAX) {
        for (const struct container_instance *i = cluster->instances; i != NULL;
             i = i->next_in_cluster)
            file(pool, i->place);
        pool->seen = x->note_count;
    }
    for (; pool->seen < x->note_count; pool->seen++) {
        for (const struct container_instance *i = x->notes[pool->seen % NOTES_MAX]->instances;
             i != NULL; i = i->next_on_machine) {
            if (i->cluster == cluster)
                file(pool, i->place);
        }
    }
    return pool;
}
