/* SPDX-License-Identifier: MIT */
/* methods_collections.c - methods of lists and maps that are none of the usual ones: methods_more.c
 * asks here when it knows none. */
#include "pipeline/groovy/methods.h"

static bool
is_truth_arg(const struct call *c, size_t i)
{
    return i < c->args->count && c->args->at[i].type == V_BOOL;
}

/* findAll() and find(): by the truth of the items themselves. */
static bool
list_by_truth(const struct call *c)
{
    const struct list *l = c->self.list;

    if (!call_is(c, "findAll", 0) && !call_is(c, "find", 0))
        return false;
    *c->out = str_is(c->name, "find") ? value_null() : value_list(c->in->arena);
    if (c->out->type == V_LIST && list_is_set(l))
        c->out->list->kind = l->kind;
    for (size_t i = 0; i < l->count; i++) {
        if (!value_truth(l->at[i]))
            continue;
        if (str_is(c->name, "find")) {
            *c->out = l->at[i];
            return true;
        }
        list_add(c->in->arena, c->out->list, l->at[i]);
    }
    return true;
}

/* indexed(), withIndex(): with the number of each item, from 0 or from where it is said. */
static bool
list_numbered(const struct call *c)
{
    const int64_t first = call_has_integer(c, 0) ? c->args->at[0].number : 0;
    const bool pairs = str_is(c->name, "withIndex");

    if ((!pairs && !str_is(c->name, "indexed")) || c->args->count > 1)
        return false;
    *c->out = pairs ? value_list(c->in->arena) : value_map(c->in->arena);
    for (size_t i = 0; i < c->self.list->count; i++) {
        const struct value number = value_int((int64_t)((uint64_t)first + i));
        if (pairs) {
            struct value pair = value_list(c->in->arena);
            list_add(c->in->arena, pair.list, c->self.list->at[i]);
            list_add(c->in->arena, pair.list, number);
            list_add(c->in->arena, c->out->list, pair);
        } else {
            map_put(c->in->arena, c->out->map, number, c->self.list->at[i]);
        }
    }
    return true;
}

/* collate(size, step = size, keepRemainder = true) */
static bool
list_collate(const struct call *c, bool *ok)
{
    const struct list *l = c->self.list;
    const size_t count = c->args->count;
    const bool keeps = !is_truth_arg(c, count - 1) || c->args->at[count - 1].truth;
    size_t size, step;

    if (!str_is(c->name, "collate") || count == 0 || count > 3 || !call_has_integer(c, 0))
        return false;
    if (c->args->at[0].number <= 0 || (call_has_integer(c, 1) && c->args->at[1].number <= 0)) {
        *ok = interp_throw(c->in, c->at, "IllegalArgumentException",
                           "collate() needs sizes above 0");
        return true;
    }
    size = (size_t)c->args->at[0].number;
    step = call_has_integer(c, 1) ? (size_t)c->args->at[1].number : size;
    *c->out = value_list(c->in->arena);
    for (size_t i = 0; i < l->count && (keeps || size <= l->count - i) && *ok;
         i = step < l->count - i ? i + step : l->count) {
        struct value part = value_list(c->in->arena);
        *ok = interp_spend(c->in, c->at, 1 + (size < l->count ? size : l->count));
        for (size_t k = i; k < l->count && k - i < size && *ok; k++)
            list_add(c->in->arena, part.list, l->at[k]);
        list_add(c->in->arena, c->out->list, part);
    }
    return true;
}

static void
remove_at(struct list *l, size_t i)
{
    memmove(&l->at[i], &l->at[i + 1], (l->count - i - 1) * sizeof(*l->at));
    l->count--;
    l->keys = NULL;
}

static bool
out_of_bounds(const struct call *c, int64_t index)
{
    return interp_throw(c->in, c->at, "IndexOutOfBoundsException",
                        "Index: %lld, Size: %zu", (long long)index, c->self.list->count);
}

/* Moves the last `count` items before the one at `i`. */
static void
move_last(const struct call *c, struct list *l, size_t count, size_t i)
{
    const size_t before = l->count - count;
    struct value *moved;

    if (count == 0 || i == before)
        return;
    moved = arena_alloc(c->in->arena, count * sizeof(*moved));
    memcpy(moved, &l->at[before], count * sizeof(*moved));
    memmove(&l->at[i + count], &l->at[i], (before - i) * sizeof(*moved));
    memcpy(&l->at[i], moved, count * sizeof(*moved));
}

/* At a place: add(i, x), addAll(i, list), removeAt(i). */
static bool
list_at_place(const struct call *c, bool *ok)
{
    struct list *l = c->self.list;
    const bool removes = call_is(c, "removeAt", 1), adds = call_is(c, "add", 2);
    const size_t before = l->count;
    bool changed;
    int64_t i;

    if ((!removes && !adds &&
         !(call_is(c, "addAll", 2) && c->args->at[1].type == V_LIST)) ||
        !call_has_integer(c, 0) || l->kind != LIST_PLAIN)
        return false;
    i = c->args->at[0].number;
    if (i < 0 || (size_t)i >= l->count + !removes) {
        *ok = out_of_bounds(c, i);
        return true;
    }
    if (removes) {
        *c->out = l->at[i];
        remove_at(l, (size_t)i);
        return true;
    }
    *ok = adds ? list_put(c->in, c->at, l, c->args->at[1], &changed)
               : list_put_all(c->in, c->at, l, c->args->at[1].list, &changed);
    if (*ok)
        move_last(c, l, l->count - before, (size_t)i);
    *c->out = adds ? value_null() : value_bool(true);
    return true;
}

/* The ends, as java.util.LinkedList names them; null or an error if there are none. */
static bool
list_ends(const struct call *c, bool *ok)
{
    static const struct {
        const char *name;
        bool last, removes, throws;
    } rows[] = {
        {"poll", false, true, false},       {"pollFirst", false, true, false},
        {"pollLast", true, true, false},    {"peek", false, false, false},
        {"peekFirst", false, false, false}, {"peekLast", true, false, false},
        {"removeFirst", false, true, true}, {"removeLast", true, true, true},
        {"getFirst", false, false, true},   {"getLast", true, false, true},
    };
    struct list *l = c->self.list;
    bool ignored;

    if (l->kind == LIST_ARRAY)
        return false;
    if (call_is(c, "addLast", 1) || call_is(c, "offer", 1)) {
        *ok = list_put(c->in, c->at, l, c->args->at[0], &ignored);
        return true;
    }
    if (call_is(c, "addFirst", 1)) {
        const struct args at_0 = {.at = {value_int(0), c->args->at[0]}, .count = 2};
        const struct call add =
            call_make(c->in, c->at, c->self, STR("add"), &at_0, c->out);
        return list_at_place(&add, ok);
    }
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!call_is(c, rows[i].name, 0))
            continue;
        *c->out = value_null();
        if (l->count > 0) {
            *c->out = l->at[rows[i].last ? l->count - 1 : 0];
            if (rows[i].removes)
                remove_at(l, rows[i].last ? l->count - 1 : 0);
        } else if (rows[i].throws) {
            *ok = interp_throw(c->in, c->at, "NoSuchElementException", "the list is empty");
        }
        return true;
    }
    return false;
}

bool
method_list_rare(const struct call *c, bool *ok)
{
    struct list *l = c->self.list;
    struct value pair;

    if (list_by_truth(c) || list_numbered(c) || (c->args->count > 0 && list_collate(c, ok)) ||
        list_at_place(c, ok) || list_ends(c, ok))
        return true;
    if (call_is(c, "collectEntries", 0)) {
        *c->out = value_map(c->in->arena);
        for (size_t i = 0; i < l->count && *ok; i++)
            *ok = map_put_entry(c, l->at[i], c->out->map);
    } else if (call_is(c, "collectEntries", 2) && c->args->at[0].type == V_MAP && c->block != NULL) {
        *c->out = c->args->at[0];
        for (size_t i = 0; i < l->count && *ok; i++)
            *ok = interp_call_closure(c->in, c->block, &l->at[i], 1, &pair) &&
                  map_put_entry(c, pair, c->out->map);
    } else if (call_is(c, "collect", 2) && c->args->at[0].type == V_LIST && c->block != NULL) {
        bool ignored;
        *c->out = c->args->at[0];
        for (size_t i = 0; i < l->count && *ok; i++)
            *ok = interp_call_closure(c->in, c->block, &l->at[i], 1, &pair) &&
                  list_put(c->in, c->at, c->out->list, pair, &ignored);
    } else if (call_is(c, "findIndexValues", 1) && c->block != NULL) {
        *c->out = value_list(c->in->arena);
        for (size_t i = 0; i < l->count && *ok; i++) {
            *ok = interp_call_closure(c->in, c->block, &l->at[i], 1, &pair);
            if (*ok && value_truth(pair))
                list_add(c->in->arena, c->out->list, value_long((int64_t)i));
        }
    } else if (call_is(c, "reverse", 1) && is_truth_arg(c, 0)) {
        struct value turned = value_list(c->in->arena);
        for (size_t i = l->count; i > 0; i--)
            list_add(c->in->arena, turned.list, l->at[i - 1]);
        *c->out = turned;
        if (c->args->at[0].truth) {
            list_assign(l, turned.list);
            *c->out = c->self;
        }
    } else if (call_is(c, "swap", 2) && call_has_integer(c, 0) && call_has_integer(c, 1)) {
        const int64_t i = c->args->at[0].number, k = c->args->at[1].number;
        if (i < 0 || k < 0 || (size_t)i >= l->count || (size_t)k >= l->count) {
            *ok = out_of_bounds(c, i < 0 || (size_t)i >= l->count ? i : k);
            return true;
        }
        pair = l->at[i];
        l->at[i] = l->at[k];
        l->at[k] = pair;
        *c->out = c->self;
    } else if (call_is(c, "asList", 0) || call_is(c, "toListString", 0)) {
        *ok = str_is(c->name, "asList") ? list_to_kind(c->in, c->at, l, LIST_PLAIN, c->out)
                                        : call_give_shown(c);
    } else {
        return false;
    }
    return true;
}

/* compute(key) { k, v -> }, computeIfAbsent(key) { k -> }, computeIfPresent, merge(key, v) { old, v -> }:
 * what the block gives is put, or if it is null the key goes. */
static bool
map_compute(const struct call *c, bool *ok)
{
    struct map *m = c->self.map;
    const bool merges = call_is(c, "merge", 3);
    const struct value *before;
    struct value pair[2], result;

    if (c->block == NULL || (!merges && !call_is(c, "compute", 2) &&
                             !call_is(c, "computeIfAbsent", 2) && !call_is(c, "computeIfPresent", 2)))
        return false;
    before = map_find(m, c->args->at[0]);
    result = before == NULL ? value_null() : *before;
    *c->out = result;
    if (str_is(c->name, "computeIfAbsent") ? result.type != V_NULL
                                           : str_is(c->name, "computeIfPresent") && result.type == V_NULL)
        return true;
    pair[0] = merges ? result : c->args->at[0];
    pair[1] = merges ? c->args->at[1] : result;
    if (merges && result.type == V_NULL)
        result = c->args->at[1];
    else
        *ok = interp_call_closure(c->in, c->block, pair,
                                  str_is(c->name, "computeIfAbsent") ? 1 : 2, &result);
    if (!*ok)
        return true;
    *c->out = result;
    if (result.type == V_NULL)
        map_remove(m, c->args->at[0]);
    else
        *ok = interp_map_put(c->in, c->at, m, c->args->at[0], result);
    return true;
}

/* A part of a map: take(n), drop(n), takeWhile { }, dropWhile { }. */
static bool
map_part(const struct call *c, bool *ok)
{
    struct map *m = c->self.map;
    const bool takes = str_starts(c->name, STR("take"));
    size_t n = 0;

    if (call_has_integer(c, 0) && (call_is(c, "take", 1) || call_is(c, "drop", 1))) {
        n = c->args->at[0].number < 0                      ? 0
            : (uint64_t)c->args->at[0].number > m->count ? m->count
                                                           : (size_t)c->args->at[0].number;
    } else if (c->block != NULL && (call_is(c, "takeWhile", 1) || call_is(c, "dropWhile", 1))) {
        for (struct value truth; n < m->count; n++) {
            *ok = call_with_entry(c, c->block, value_entry_of(c->in->arena, m, n), &truth);
            if (!*ok || !value_truth(truth))
                break;
        }
    } else {
        return false;
    }
    *c->out = value_map(c->in->arena);
    for (size_t i = takes ? 0 : n; i < m->count && (!takes || i < n); i++) /* the block may have changed it */
        map_put(c->in->arena, c->out->map, m->at[i].key, m->at[i].value);
    return true;
}

/* collectEntries(map) { }, collect(list) { }: into what is given. */
static bool
map_collect_into(const struct call *c, bool *ok)
{
    const bool is_map = call_is(c, "collectEntries", 2);
    struct map *m = c->self.map;

    if (c->block == NULL || (!is_map && !call_is(c, "collect", 2)) ||
        c->args->at[0].type != (is_map ? V_MAP : V_LIST))
        return false;
    *c->out = c->args->at[0];
    for (size_t i = 0; i < m->count && *ok; i++) {
        struct value result;
        bool ignored;
        *ok = call_with_entry(c, c->block, value_entry_of(c->in->arena, m, i), &result) &&
              (is_map ? map_put_entry(c, result, c->out->map)
                      : list_put(c->in, c->at, c->out->list, result, &ignored));
    }
    return true;
}

bool
method_map_rare(const struct call *c, bool *ok)
{
    struct map *m = c->self.map;
    struct value result;

    if (map_compute(c, ok) || map_part(c, ok) || map_collect_into(c, ok) || (m->is_sorted && method_sorted_map(c, ok)))
        return true;
    if (call_is(c, "forEach", 1) && c->block != NULL) {
        for (size_t i = 0; i < m->count && *ok; i++)
            *ok = call_with_entry(c, c->block, value_entry_of(c->in->arena, m, i), &result);
    } else if (call_is(c, "replaceAll", 1) && c->block != NULL) {
        for (size_t i = 0; i < m->count && *ok; i++) {
            *ok = call_with_entry(c, c->block, value_entry_of(c->in->arena, m, i), &result);
            if (*ok && i < m->count)
                map_put(c->in->arena, m, m->at[i].key, result);
        }
    } else if (call_is(c, "replace", 2)) {
        struct value *place = map_find(m, c->args->at[0]);
        *c->out = place == NULL ? value_null() : *place;
        if (place != NULL)
            map_put(c->in->arena, m, c->args->at[0], c->args->at[1]);
    } else if (call_is(c, "grep", 1) && c->block != NULL) {
        *c->out = value_list(c->in->arena);
        for (size_t i = 0; i < m->count && *ok; i++) {
            struct value entry = value_entry_of(c->in->arena, m, i);
            *ok = call_with_entry(c, c->block, entry, &result);
            if (*ok && value_truth(result))
                list_add(c->in->arena, c->out->list, entry);
        }
    } else if (call_is(c, "toMapString", 0)) {
        *ok = call_give_shown(c);
    } else {
        return false;
    }
    return true;
}

/* Out of the list or the map, and out of what the iterator gave: `number` counts that. */
static bool
iterator_remove(const struct call *c, struct object *o)
{
    struct list *l = o->of.type == V_LIST ? o->of.list : NULL;
    const size_t i = (size_t)o->number - 1;
    const struct args last = {.at = {o->number > 0 ? o->list->at[i] : value_null()}, .count = 1};
    const struct call drop = call_make(c->in, c->at, o->of, STR("remove"), &last, c->out);
    bool ok = true;

    if (o->number == 0 || l == NULL || (l->of == NULL && i >= l->count))
        return interp_throw(c->in, c->at, "IllegalStateException", "null");
    if (l->kind == LIST_ARRAY)
        return interp_throw(c->in, c->at, "UnsupportedOperationException", "remove");
    if (l->of != NULL)
        (void)method_view(&drop, &ok);
    else
        remove_at(l, i);
    remove_at(o->list, i);
    o->number--;
    *c->out = value_null();
    return ok;
}

/* What an iterator() has still to give. */
bool
method_iterator(const struct call *c, bool *ok)
{
    struct object *o = c->self.object;

    if (call_is(c, "hasNext", 0)) {
        *c->out = value_bool((size_t)o->number < o->list->count);
    } else if (call_is(c, "next", 0)) {
        if ((size_t)o->number >= o->list->count)
            *ok = interp_throw(c->in, c->at, "NoSuchElementException", "null");
        else
            *c->out = o->list->at[o->number++];
    } else if (call_is(c, "remove", 0)) {
        *ok = iterator_remove(c, o);
    } else {
        return false;
    }
    return true;
}
