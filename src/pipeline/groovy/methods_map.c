/* SPDX-License-Identifier: MIT */
/* methods_map.c - maps in the order of their keys, and what keySet(), values() and entrySet() give: lists
 * that show a map, and through which entries are taken out of it. */
#include "pipeline/groovy/methods.h"

#define ENTRIES_AN_EVALUATION 8 /* moved */
#define ENTRIES_FOR_ONE 8       /* in a sorted map for each that comes: then they come one by one */

bool
map_type_is_sorted(struct str type)
{
    return str_is(type, "TreeMap") || str_is(type, "SortedMap") || str_is(type, "NavigableMap");
}

/* Can a sorted map have it as a key? Its keys are all of one kind, so one of them tells. */
static bool
is_sortable(struct interp *in, const struct node *at, const struct map *m, struct value key)
{
    const struct value other = m->count > 0 ? m->at[0].key : key;
    int order;

    if (key.type == V_NULL)
        return interp_throw(in, at, "NullPointerException", "a TreeMap takes no null as a key");
    if (!value_compare(key, other, &order))
        return interp_throw(in, at, "ClassCastException", "%s cannot be compared with %s",
                            value_type_name(key), value_type_name(other));
    return true;
}

/* What it costs to find the place of a key. */
static bool
spend_search(struct interp *in, const struct node *at, const struct map *m, struct value key)
{
    size_t rounds = 1;

    for (size_t n = m->count; n > 1; n /= 2)
        rounds++;
    return interp_spend(in, at, 1 + rounds * interp_weight(key));
}

/* Of a key whose class has equals() and hashCode(): the one that is equal, if there is one. */
static bool
find_equal(struct interp *in, const struct node *at, const struct map *m, struct value key,
           struct value *out)
{
    uint32_t hash;

    if (!interp_hash(in, at, key, &hash))
        return false;
    value_instance(key)->number = hash;
    for (size_t i = 0; i < m->count; i++) { /* who is asked may change the map */
        const struct value other = m->at[i].key;
        const struct object *o = value_instance(other);
        bool is_equal = class_is_same(key, other);
        if (i % ENTRIES_AN_EVALUATION == 0 && !interp_spend(in, at, 1))
            return false;
        if (o == NULL || !o->is_hashed || o->number != hash)
            continue;
        if (!is_equal && !interp_equal(in, at, key, other, EQUAL_AS_KEYS, &is_equal))
            return false;
        if (is_equal) {
            *out = other;
            return true;
        }
    }
    return true;
}

bool
interp_map_key(struct interp *in, const struct node *at, const struct map *m, struct value key,
               struct value *out)
{
    const struct object *o = value_instance(key);
    const size_t cost = m->is_sorted ? 0 : map_key_cost(m, key) / VISITS_AN_EVALUATION;

    *out = key;
    if (cost > 0 && !interp_spend(in, at, cost))
        return false;
    return o == NULL || !o->is_hashed || m->is_sorted || find_equal(in, at, m, key, out);
}

bool
interp_map_put(struct interp *in, const struct node *at, struct map *m, struct value key,
               struct value v)
{
    if (m->is_sorted) {
        if (!is_sortable(in, at, m, key) || !spend_search(in, at, m, key) ||
            !interp_spend(in, at, (m->count - map_place(m, key)) / ENTRIES_AN_EVALUATION))
            return false;
    } else if (!interp_map_key(in, at, m, key, &key)) {
        return false;
    }
    map_put(in->arena, m, key, v);
    return true;
}

/* Their order; false: they have none. */
static bool
order_of(struct interp *in, const struct node *at, struct value a, struct value b, int *out)
{
    if (!interp_spend_for(in, at, a, b))
        return false;
    return value_compare(a, b, out) ||
           interp_throw(in, at, "ClassCastException", "%s cannot be compared with %s",
                        value_type_name(a), value_type_name(b));
}

/* Entries of two rows, each in order, into one; what is equal has the first key and the last value. */
static bool
merge(struct interp *in, const struct node *at, const struct map_entry *a, size_t a_count,
      const struct map_entry *b, size_t b_count, struct map_entry *to, size_t *count)
{
    size_t i = 0, k = 0, n = 0;

    if (!interp_spend(in, at, 1 + (a_count + b_count) / ENTRIES_AN_EVALUATION))
        return false;
    while (i < a_count && k < b_count) {
        int order = 0;
        if (!order_of(in, at, a[i].key, b[k].key, &order))
            return false;
        to[n] = order <= 0 ? a[i++] : b[k++];
        if (order == 0)
            to[n].value = b[k++].value;
        n++;
    }
    while (i < a_count)
        to[n++] = a[i++];
    while (k < b_count)
        to[n++] = b[k++];
    *count = n;
    return true;
}

static bool
sort_entries(struct interp *in, const struct node *at, struct map_entry *entries,
             struct map_entry *spare, size_t *count)
{
    size_t left = *count / 2, right = *count - left;
    struct map_entry *half = entries + left;

    if (*count < 2)
        return true;
    if (!sort_entries(in, at, entries, spare, &left) || !sort_entries(in, at, half, spare, &right) ||
        !merge(in, at, entries, left, half, right, spare, count))
        return false;
    memcpy(entries, spare, *count * sizeof(*entries));
    return true;
}

/* Into a sorted map, whose entries move once. */
static bool
put_sorted(struct interp *in, const struct node *at, struct map *m, const struct map *from)
{
    size_t count = from->count, all = m->count + count;
    struct map_entry *entries = arena_alloc(in->arena, count * sizeof(*entries));
    struct map_entry *to = arena_alloc(in->arena, all * sizeof(*to)); /* with room to sort in */
    const struct map_entry *before = m->at;

    memcpy(entries, from->at, count * sizeof(*entries));
    for (size_t i = 0; i < count; i++)
        if (!is_sortable(in, at, m, entries[i].key))
            return false;
    if (!sort_entries(in, at, entries, to, &count) ||
        !merge(in, at, before, m->count, entries, count, to, &count))
        return false;
    m->at = to;
    m->count = count;
    m->capacity = all;
    m->changes++;
    m->key_changes++;
    return true;
}

bool
interp_map_put_all(struct interp *in, const struct node *at, struct map *m, const struct map *from)
{
    const struct map_entry *entries = from->at; /* it may be the same, or changed by who is asked */
    const size_t count = from->count;

    if (m->is_sorted && count > 1 && count >= m->count / ENTRIES_FOR_ONE)
        return put_sorted(in, at, m, from);
    for (size_t i = 0; i < count; i++)
        if (!interp_map_put(in, at, m, entries[i].key, entries[i].value))
            return false;
    return true;
}

bool
map_copy(struct interp *in, const struct node *at, const struct map *from, bool is_sorted,
         struct value *out)
{
    struct value copy = value_map(in->arena);

    copy.map->is_sorted = is_sorted;
    *out = copy;
    return interp_map_put_all(in, at, copy.map, from);
}

static struct value
view_item(struct interp *in, struct map *m, size_t i, enum map_view view)
{
    return view == VIEW_KEYS     ? m->at[i].key
           : view == VIEW_VALUES ? m->at[i].value
                                 : value_entry_of(in->arena, m, i);
}

bool
map_view_refresh(struct interp *in, const struct node *at, struct list *l)
{
    struct map *m = l->of;
    struct value *items;

    if (l->changes == view_changes(l))
        return true;
    if (!interp_spend(in, at, 1 + m->count / ENTRIES_AN_EVALUATION))
        return false;
    /* Not in its place: somebody may be on his way through the old ones. */
    items = arena_alloc(in->arena, (m->count + 1) * sizeof(*items));
    for (size_t i = 0; i < m->count; i++)
        items[i] = view_item(in, m, i, l->view);
    l->at = items;
    l->count = l->capacity = m->count;
    l->keys = NULL;
    l->changes = view_changes(l);
    return true;
}

enum drop { DROP_FIRST, DROP_ALL, DROP_OTHERS };

struct dropping {
    enum drop what;
    struct list *items; /* as a set; NULL: the block says */
};

static bool
is_named(const struct call *c, const struct dropping *d, size_t i, bool *out)
{
    const struct value item = view_item(c->in, c->self.list->of, i, c->self.list->view);
    struct value truth;

    if (d->items != NULL)
        return set_contains(c->in, c->at, d->items, item, out);
    if (!(c->self.list->view == VIEW_ENTRIES ? call_with_entry(c, c->block, item, &truth)
                                             : interp_call_closure(c->in, c->block, &item, 1,
                                                                   &truth)))
        return false;
    *out = value_truth(truth);
    return true;
}

/* Takes out of the map what the block or the list names, or all else. */
static bool
view_drop(const struct call *c, const struct dropping *d)
{
    struct map *m = c->self.list->of;
    const size_t count = m->count;
    bool *drops = arena_alloc(c->in->arena, count + 1), changed = false;

    for (size_t i = 0; i < count && i < m->count && !(changed && d->what == DROP_FIRST); i++) {
        bool named = false;
        if (!interp_spend(c->in, c->at, 1) || !is_named(c, d, i, &named))
            return false;
        drops[i] = named == (d->what != DROP_OTHERS);
        changed = changed || drops[i];
    }
    if (m->count != count)
        return interp_throw(c->in, c->at, "ConcurrentModificationException", "null");
    if (changed)
        map_drop(c->in->arena, m, drops);
    *c->out = value_bool(changed);
    return map_view_refresh(c->in, c->at, c->self.list);
}

/* What only a list has, and what changes it: Java's views are none. */
static bool
is_of_lists(const struct call *c)
{
    static const char *const names[] = {"pop",         "poll",       "pollFirst", "pollLast",
                                        "removeFirst", "removeLast", "removeAt",  "swap",
                                        "set",         "putAt",      "shuffle"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_is(c->name, names[i]))
            return true;
    return call_is(c, "reverse", 1);
}

/* unique() would take all out of the map and put back what it cannot; unique(false), sort() and reverse() make a
 * list. */
static bool
view_changed_or_copied(const struct call *c, bool *ok)
{
    const struct value *first = c->args->at;
    struct value copy;
    bool found = true;

    if (is_of_lists(c)) {
        *ok = interp_no_method(c->in, c->at, value_type_name(c->self), c->name, c->args);
    } else if (str_is(c->name, "unique") &&
               (c->args->count == 0 || first->type != V_BOOL || first->truth)) {
        *ok = interp_throw(c->in, c->at, "UnsupportedOperationException", "null");
    } else if (str_is(c->name, "unique") || str_is(c->name, "sort") || call_is(c, "reverse", 0)) {
        *ok = list_to_kind(c->in, c->at, c->self.list, c->self.list->kind, &copy) &&
              method_call(c->in, c->at, copy, c->name, c->args, c->out, &found);
    } else {
        return false;
    }
    return found || !*ok;
}

bool
method_view(const struct call *c, bool *ok)
{
    struct list *l = c->self.list;
    const bool is_all = call_is(c, "removeAll", 1), is_rest = call_is(c, "retainAll", 1);
    struct dropping d = {.what = is_rest ? DROP_OTHERS : DROP_ALL};
    struct value items;

    *ok = map_view_refresh(c->in, c->at, l);
    if (!*ok)
        return true;
    if (call_is(c, "clear", 0)) {
        map_clear(l->of);
        *c->out = value_null();
        *ok = map_view_refresh(c->in, c->at, l);
        return true;
    }
    if (view_changed_or_copied(c, ok))
        return true;
    if (call_is(c, "remove", 1)) {
        d.what = DROP_FIRST;
        items = value_list(c->in->arena);
        list_add(c->in->arena, items.list, c->args->at[0]);
    } else if ((is_all || is_rest || call_is(c, "removeIf", 1)) && c->block != NULL) {
        *ok = view_drop(c, &d);
        return true;
    } else if ((is_all || is_rest) && c->args->at[0].type == V_LIST) {
        items = c->args->at[0];
    } else {
        return false;
    }
    *ok = list_to_kind(c->in, c->at, items.list, LIST_SET, &items);
    d.items = items.list;
    *ok = *ok && view_drop(c, &d);
    return true;
}

/* The entries from one place to another, as a sorted map of their own. */
static bool
give_part(const struct call *c, size_t from, size_t to)
{
    const struct map *m = c->self.map;

    *c->out = value_map(c->in->arena);
    c->out->map->is_sorted = true;
    for (size_t i = from; i < to; i++)
        if (!interp_map_put(c->in, c->at, c->out->map, m->at[i].key, m->at[i].value))
            return false;
    return true;
}

/* Where the key stands or would; behind it with `after`. */
static bool
place_of(const struct call *c, size_t arg, bool after, size_t *out)
{
    const struct map *m = c->self.map;
    const struct value key = c->args->at[arg];

    if (!is_sortable(c->in, c->at, m, key) || !spend_search(c->in, c->at, m, key))
        return false;
    *out = map_place(m, key);
    *out += after && *out < m->count && map_find(m, key) != NULL;
    return true;
}

static bool
truth_arg(const struct call *c, size_t i, bool otherwise)
{
    return i < c->args->count && c->args->at[i].type == V_BOOL ? c->args->at[i].truth : otherwise;
}

/* headMap(to, with it), tailMap(from, with it), subMap(from, with it, to, with it) */
static bool
sorted_parts(const struct call *c, bool *ok)
{
    const size_t args = c->args->count, end = args == 4 ? 2 : 1;
    size_t from = 0, to = c->self.map->count;

    if (str_is(c->name, "headMap") && (args == 1 || args == 2))
        *ok = place_of(c, 0, truth_arg(c, 1, false), &to);
    else if (str_is(c->name, "tailMap") && (args == 1 || args == 2))
        *ok = place_of(c, 0, !truth_arg(c, 1, true), &from);
    else if (str_is(c->name, "subMap") && (args == 2 || args == 4))
        *ok = place_of(c, 0, args == 4 && !truth_arg(c, 1, true), &from) &&
              place_of(c, end, args == 4 && truth_arg(c, 3, false), &to) &&
              (from <= to || interp_throw(c->in, c->at, "IllegalArgumentException",
                                          "fromKey > toKey"));
    else
        return false;
    *ok = *ok && give_part(c, from, to);
    return true;
}

/* firstKey(), floorEntry(key), pollLastEntry() ...: one entry, its key, or null. */
static bool
sorted_one(const struct call *c, bool *ok)
{
    static const struct {
        const char *name;
        int step;            /* to the one that is meant, from where the key stands */
        bool after, is_last; /* ... or from behind it; without a key the first or the last */
        bool takes_key;
    } rows[] = {{"first", 0, false, false, false},  {"last", -1, false, true, false},
                {"lower", -1, false, false, true},  {"floor", -1, true, false, true},
                {"ceiling", 0, false, false, true}, {"higher", 0, true, false, true}};
    struct map *m = c->self.map;
    const bool polls = str_starts(c->name, STR("pollFirst")) || str_starts(c->name, STR("pollLast"));
    const struct str name = polls ? str_slice(c->name, 4, c->name.len) : c->name;
    const bool is_key = str_ends(name, STR("Key"));
    struct str word = str_slice(name, 0, name.len - (is_key ? 3 : str_ends(name, STR("Entry")) ? 5 : 0));
    size_t row = 0, i;

    while (row < ARRAY_COUNT(rows) && !str_equal_nocase(word, str_of(rows[row].name)))
        row++;
    if (row == ARRAY_COUNT(rows) || word.len == name.len || c->args->count != rows[row].takes_key)
        return false;
    i = rows[row].is_last ? m->count : 0;
    *c->out = value_null();
    if (rows[row].takes_key && !place_of(c, 0, rows[row].after, &i))
        return (*ok = false), true;
    if (is_key && m->count == 0 && !rows[row].takes_key)
        return (*ok = interp_throw(c->in, c->at, "NoSuchElementException", "null")), true;
    if ((rows[row].step < 0 && i == 0) || (rows[row].step == 0 && i == m->count))
        return true;
    i = rows[row].step < 0 ? i - 1 : i;
    *c->out = view_item(c->in, m, i, is_key ? VIEW_KEYS : VIEW_ENTRIES);
    if (polls)
        map_remove(m, m->at[i].key);
    return true;
}

bool
method_sorted_map(const struct call *c, bool *ok)
{
    const struct map *m = c->self.map;

    if (sorted_parts(c, ok) || sorted_one(c, ok))
        return true;
    if (!call_is(c, "descendingMap", 0) && !call_is(c, "descendingKeySet", 0))
        return false;
    *c->out = str_is(c->name, "descendingMap") ? value_map(c->in->arena) : value_list(c->in->arena);
    for (size_t i = m->count; i > 0; i--)
        if (c->out->type == V_MAP)
            map_put(c->in->arena, c->out->map, m->at[i - 1].key, m->at[i - 1].value);
        else
            list_add(c->in->arena, c->out->list, m->at[i - 1].key);
    if (c->out->type == V_LIST)
        c->out->list->kind = LIST_SET;
    return true;
}
