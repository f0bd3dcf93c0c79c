/* SPDX-License-Identifier: MIT */
/* fake_store.c - committed rows.  Every sixteenth seed stores each PERSIST as the engine does, and
 * compares with the whole state when naru dies: a change that forgot its PERSIST is found there. */
#include "world.h"
#include <assert.h>

static struct stored_row *
row_find(struct world *w, enum row_kind kind, const char *key)
{
    for (int i = w->row_count - 1; i >= 0; i--) {
        if (w->rows[i].kind == kind && strcmp(w->rows[i].key, key) == 0)
            return &w->rows[i];
    }
    return NULL;
}

static void
row_add(struct world *w, enum row_kind kind, const char *key, struct json *doc)
{
    struct stored_row *row;

    if (w->row_count == w->row_capacity) {
        w->row_capacity = w->row_capacity == 0 ? 64 : w->row_capacity * 2;
        w->rows = mem_grow(w->rows, (size_t)w->row_capacity, sizeof(w->rows[0]));
    }
    row = &w->rows[w->row_count++];
    *row = (struct stored_row){.kind = kind, .doc = doc};
    text_copy(row->key, ARN_SIZE, str_of(key));
}

static void
row_put(struct world *w, enum row_kind kind, const char *key, struct json *doc)
{
    struct stored_row *row = row_find(w, kind, key);

    if (doc == NULL) { /* deleted */
        if (row != NULL) {
            json_unref(row->doc);
            *row = w->rows[--w->row_count];
        }
        return;
    }
    if (row == NULL) {
        row_add(w, kind, key, doc);
        return;
    }
    json_unref(row->doc);
    row->doc = doc;
}

void
store_clear(struct world *w)
{
    for (int i = 0; i < w->row_count; i++)
        json_unref(w->rows[i].doc);
    w->row_count = 0;
}

void
store_commit_rows(struct world *w)
{
    for (int i = 0; i < w->effects.count; i++) {
        const struct effect *e = &w->effects.at[i];
        if (e->type == EFFECT_PERSIST)
            row_put(w, e->persist.kind, e->persist.key,
                    core_row(w->core, e->persist.kind, e->persist.key));
    }
}

static void
show_difference(const struct json *stored, const struct json *now)
{
    for (void *it = json_first(now); it != NULL; it = json_next(now, it)) {
        const struct json *before = json_get(stored, json_key(it));
        char *a, *b;
        if (before != NULL && json_equal(before, json_value(it)))
            continue;
        a = before == NULL ? NULL : json_format(before);
        b = json_format(json_value(it));
        printf("%s: stored %.200s, now %.200s\n", json_key(it), a == NULL ? "nothing" : a, b);
        free(a);
        free(b);
    }
}

static void
keep(void *arg, enum row_kind kind, const char *key)
{
    struct world *w = arg;
    struct json *doc = core_row(w->core, kind, key);
    const struct stored_row *row;

    w->kept_count++;
    if (!w->stores_every_step) {
        row_add(w, kind, key, doc); /* store_take_all() has cleared them */
        return;
    }
    row = row_find(w, kind, key);
    if (row != NULL && w->traces && !json_equal(row->doc, doc))
        show_difference(row->doc, doc);
    if (row == NULL || !json_equal(row->doc, doc))
        world_fail(w, "promise 7: a change of %s %s was not persisted", row_kind_name(kind), key);
    json_unref(doc);
}

void
store_take_all(struct world *w)
{
    if (!w->stores_every_step)
        store_clear(w);
    w->kept_count = 0;
    core_each_row(w->core, keep, w);
    if (w->stores_every_step && w->kept_count != w->row_count)
        world_fail(w, "promise 7: %d rows are stored, %d should be", w->row_count, w->kept_count);
}
