/* SPDX-License-Identifier: MIT */
/* methods_more.c - the rarer methods of lists, maps, numbers, closures and of any value; methods.c
 * asks here last. */
#include <math.h>
#include <stdlib.h>
#include "pipeline/groovy/interp_scope.h"
#include "pipeline/groovy/methods.h"

/* The block for one item; an entry of a map becomes two arguments if it takes two. */
static bool
ask(const struct call *c, struct value item, struct value *result)
{
    if (value_is_object(item, "Entry"))
        return call_with_entry(c, c->block, item, result);
    return interp_call_closure(c->in, c->block, &item, 1, result);
}

/* -1, 0, 1 of two items: by a comparator, by a key, or by themselves. */
static bool
compare(const struct call *c, struct value a, struct value b, int *order)
{
    struct value pair[2] = {a, b}, result;

    if (closure_takes_two(c->block)) {
        if (!interp_call_closure(c->in, c->block, pair, 2, &result))
            return false;
        if (!value_is_number(result))
            return interp_throw(c->in, c->at, "ClassCastException",
                                "a comparator must give a number");
        (void)value_compare(result, value_int(0), order);
        return true;
    }
    if (c->block != NULL && (!ask(c, a, &pair[0]) || !ask(c, b, &pair[1])))
        return false;
    for (size_t i = 0; i < 2 && c->block == NULL && c->self.type == V_MAP; i++)
        pair[i] = *map_find_text(pair[i].object->fields, "value"); /* toSorted() */
    return operator_compare(c->in, c->at, pair[0], pair[1], order);
}

/* What lists, maps (their entries) and texts (their characters) have in common: items. */
static struct list *
items_of(const struct call *c)
{
    struct value v = value_list(c->in->arena);

    if (c->self.type == V_LIST)
        return c->self.list;
    if (c->self.type == V_MAP)
        return map_entries(c->in->arena, c->self.map).list;
    if (c->self.type == V_TEXT)
        for (size_t i = 0, n = text_count(c->self.text); i < n && i < VALUE_ITEMS_MAX; i++)
            list_add(c->in->arena, v.list, value_text(text_part(c->self.text, i, i + 1)));
    return v.list;
}

static bool
pick_extreme(const struct call *c, struct list *items)
{
    const int sign = str_is(c->name, "max") ? 1 : -1;

    *c->out = value_null();
    for (size_t i = 0; i < items->count; i++) {
        const struct value item = items->at[i]; /* who is asked may change the list */
        int order = 0;
        if (i > 0 && !compare(c, item, *c->out, &order))
            return false;
        if (i == 0 || order == sign)
            *c->out = item;
    }
    return true;
}

/* Merge sort, stable. */
static bool
sort_range(const struct call *c, struct value *at, struct value *spare, size_t count)
{
    const size_t half = count / 2;
    size_t i = 0, j = half, n = 0;

    if (count < 2)
        return true;
    if (!sort_range(c, at, spare, half) || !sort_range(c, at + half, spare, count - half))
        return false;
    while (i < half && j < count) {
        int order = 0;
        if (!compare(c, at[i], at[j], &order))
            return false;
        spare[n++] = order <= 0 ? at[i++] : at[j++];
    }
    while (i < half)
        spare[n++] = at[i++];
    memcpy(at, spare, n * sizeof(*at));
    return true;
}

static bool
sorted(const struct call *c, const struct list *from, struct list *to)
{
    struct value *spare = arena_alloc(c->in->arena, (from->count + 1) * sizeof(*spare));

    for (size_t i = 0; to != from && i < from->count; i++)
        list_add(c->in->arena, to, from->at[i]);
    return sort_range(c, to->at, spare, to->count);
}

static bool
method_sort(const struct call *c, bool *ok)
{
    const bool copies =
        str_is(c->name, "toSorted") || c->self.type == V_MAP || list_is_set(c->self.list) ||
        (c->args->count > 0 && c->args->at[0].type == V_BOOL && !c->args->at[0].truth);
    struct value result = value_list(c->in->arena);

    if (!str_is(c->name, "sort") && !str_is(c->name, "toSorted"))
        return false;
    if (c->self.type == V_LIST && !copies) {
        *ok = sorted(c, c->self.list, c->self.list);
        *c->out = c->self;
        return true;
    }
    if (c->self.type == V_MAP && c->block == NULL && str_is(c->name, "sort")) { /* by its keys */
        *ok = map_copy(c->in, c->at, c->self.map, true, c->out);
        return true;
    }
    *ok = sorted(c, items_of(c), result.list);
    *c->out = result;
    if (c->self.type == V_MAP) {
        struct value map = value_map(c->in->arena);
        for (size_t i = 0; *ok && i < result.list->count; i++)
            map_put(c->in->arena, map.map, *map_find_text(result.list->at[i].object->fields, "key"),
                    *map_find_text(result.list->at[i].object->fields, "value"));
        *c->out = map;
    }
    return true;
}

enum walk {
    WALK_MANY,
    WALK_RESULT,
    WALK_RESULTS,
    WALK_COUNT_BY,
    WALK_SPLIT,
    WALK_TAKE,
    WALK_DROP,
    WALK_LAST_INDEX,
    WALK_REMOVE,
    WALK_RETAIN,
    WALK_REVERSE
};
static const struct {
    const char *name;
    enum walk what;
} walks[] = {
    {"collectMany", WALK_MANY},    {"findResult", WALK_RESULT},
    {"findResults", WALK_RESULTS}, {"countBy", WALK_COUNT_BY},
    {"split", WALK_SPLIT},         {"takeWhile", WALK_TAKE},
    {"dropWhile", WALK_DROP},      {"findLastIndexOf", WALK_LAST_INDEX},
    {"removeAll", WALK_REMOVE},    {"removeIf", WALK_REMOVE},
    {"retainAll", WALK_RETAIN},    {"reverseEach", WALK_REVERSE},
};

struct walking {
    enum walk what;
    struct value yes, no; /* lists */
    bool is_over;
};

static bool
walk_item(const struct call *c, struct walking *w, struct value item, size_t index)
{
    struct arena *a = c->in->arena;
    struct value result, *count;

    if (!ask(c, item, &result))
        return false;
    switch (w->what) {
    case WALK_MANY:
        if (result.type != V_LIST)
            break;
        if (w->yes.list->count + result.list->count > VALUE_ITEMS_MAX)
            return interp_throw(c->in, c->at, "OutOfMemoryError", "the list is too large");
        if (!interp_spend(c->in, c->at, interp_weight(result)))
            return false;
        for (size_t i = 0; i < result.list->count; i++)
            list_add(a, w->yes.list, result.list->at[i]);
        break;
    case WALK_RESULT:
        w->is_over = result.type != V_NULL;
        if (w->is_over)
            *c->out = result;
        break;
    case WALK_RESULTS:
        if (result.type != V_NULL)
            list_add(a, w->yes.list, result);
        break;
    case WALK_COUNT_BY:
        if (!interp_map_key(c->in, c->at, c->out->map, result, &result))
            return false;
        count = map_find(c->out->map, result);
        if (count == NULL)
            map_put(a, c->out->map, result, value_int(1));
        else
            count->number++;
        break;
    case WALK_TAKE:
        w->is_over = !value_truth(result);
        if (!w->is_over)
            list_add(a, w->yes.list, item);
        break;
    case WALK_DROP:
        if (w->no.list->count == 0 && value_truth(result))
            break;
        list_add(a, w->no.list, item);
        break;
    case WALK_LAST_INDEX:
        if (value_truth(result))
            *c->out = value_int((int64_t)index);
        break;
    case WALK_SPLIT:
    case WALK_REMOVE:
    case WALK_RETAIN:
        list_add(a, value_truth(result) ? w->yes.list : w->no.list, item);
        break;
    case WALK_REVERSE:
        break;
    }
    return true;
}

static void
walk_end(const struct call *c, struct walking *w)
{
    struct list *kept = w->what == WALK_REMOVE ? w->no.list : w->yes.list;

    switch (w->what) {
    case WALK_MANY:
    case WALK_RESULTS:
    case WALK_TAKE:
        *c->out = w->yes;
        break;
    case WALK_DROP:
        *c->out = w->no;
        break;
    case WALK_SPLIT:
        *c->out = value_list(c->in->arena);
        list_add(c->in->arena, c->out->list, w->yes);
        list_add(c->in->arena, c->out->list, w->no);
        break;
    case WALK_REMOVE:
    case WALK_RETAIN:
        if (c->self.type != V_LIST)
            break;
        *c->out = value_bool(kept->count != c->self.list->count);
        list_assign(c->self.list, kept);
        break;
    default:
        break;
    }
}

static bool
method_walk(const struct call *c, bool *ok)
{
    struct walking w = {.yes = value_list(c->in->arena), .no = value_list(c->in->arena)};
    const struct list *items;
    size_t n = 0;

    if (c->block == NULL || c->args->count != 1)
        return false;
    while (n < ARRAY_COUNT(walks) && !str_is(c->name, walks[n].name))
        n++;
    if (n == ARRAY_COUNT(walks))
        return false;
    w.what = walks[n].what;
    if (c->self.type == V_MAP && (w.what == WALK_TAKE || w.what == WALK_DROP ||
                                  w.what == WALK_REMOVE || w.what == WALK_RETAIN))
        return false; /* of a map they give one, or are none */
    *c->out = w.what == WALK_COUNT_BY     ? value_map(c->in->arena)
              : w.what == WALK_LAST_INDEX ? value_int(-1)
              : w.what == WALK_REVERSE    ? c->self
                                          : value_null();
    items = items_of(c);
    for (size_t i = 0; i < items->count && *ok && !w.is_over; i++) {
        const size_t at = w.what == WALK_REVERSE ? items->count - 1 - i : i;
        *ok = walk_item(c, &w, items->at[at], at);
    }
    if (*ok)
        walk_end(c, &w);
    return true;
}

static struct value
part(const struct call *c, const struct list *l, size_t from, size_t to)
{
    struct value v = value_list(c->in->arena);

    for (size_t i = from; i < to && i < l->count; i++)
        list_add(c->in->arena, v.list, l->at[i]);
    return v;
}

/* One call makes more lists than there are in what it was given: the limits of evaluations hold for
 * each. */
static struct value
next_row(const struct call *c, bool *ok)
{
    *ok = *ok && interp_enter(c->in, c->at);
    c->in->depth -= *ok;
    return value_list(c->in->arena);
}

/* collate(2), transpose(), combinations() of a list of lists. */
static bool
method_shape(const struct call *c, bool *ok)
{
    const struct list *l = c->self.list;
    size_t least = SIZE_MAX;

    if (call_is(c, "step", 1) && call_has_integer(c, 0) && c->args->at[0].number > 0) {
        *c->out = value_list(c->in->arena);
        for (size_t i = 0; i < l->count; i += (size_t)c->args->at[0].number)
            list_add(c->in->arena, c->out->list, l->at[i]);
        return true;
    }
    if (!call_is(c, "transpose", 0) && !call_is(c, "combinations", 0))
        return false;
    for (size_t i = 0; i < l->count; i++)
        if (l->at[i].type != V_LIST) {
            *ok = interp_throw(c->in, c->at, "ClassCastException", "needs a list of lists");
            return true;
        } else if (l->at[i].list->count < least) {
            least = l->at[i].list->count;
        }
    *c->out = value_list(c->in->arena);
    if (call_is(c, "transpose", 0)) {
        for (size_t i = 0; l->count > 0 && i < least && *ok; i++) {
            struct value row = next_row(c, ok);
            for (size_t j = 0; j < l->count; j++)
                list_add(c->in->arena, row.list, l->at[j].list->at[i]);
            list_add(c->in->arena, c->out->list, row);
        }
        return true;
    }
    list_add(c->in->arena, c->out->list, value_list(c->in->arena));
    for (size_t j = 0; j < l->count && *ok; j++) { /* the first list varies fastest */
        struct value next = value_list(c->in->arena);
        for (size_t k = 0; k < l->at[j].list->count && *ok; k++)
            for (size_t i = 0;
                 i < c->out->list->count && next.list->count <= VALUE_ITEMS_MAX && *ok; i++) {
                const struct list *before = c->out->list->at[i].list;
                struct value row = next_row(c, ok);
                for (size_t m = 0; m < before->count; m++)
                    list_add(c->in->arena, row.list, before->at[m]);
                list_add(c->in->arena, row.list, l->at[j].list->at[k]);
                list_add(c->in->arena, next.list, row);
            }
        *c->out = next;
    }
    return true;
}

static bool
method_list(const struct call *c, bool *ok)
{
    struct list *l = c->self.list;
    const struct value *arg = c->args->at;
    size_t i;

    if ((call_is(c, "any", 0) || call_is(c, "every", 0))) {
        bool any = str_is(c->name, "any"), truth = !any;
        for (i = 0; i < l->count && truth != any; i++)
            if (value_truth(l->at[i]) == any)
                truth = any;
        *c->out = value_bool(truth);
    } else if (call_is(c, "count", 1)) {
        *c->out = value_int(0);
        for (i = 0; i < l->count && *ok; i++) {
            bool is_equal;
            *ok = interp_equal(c->in, c->at, l->at[i], arg[0], EQUAL_BY_VALUE, &is_equal);
            c->out->number += is_equal;
        }
    } else if ((call_is(c, "set", 2) || call_is(c, "putAt", 2)) && call_has_integer(c, 0) &&
               arg[0].number >= 0 && (size_t)arg[0].number < l->count && !list_is_set(l)) {
        *c->out = l->at[arg[0].number];
        l->at[arg[0].number] = arg[1];
    } else if ((call_is(c, "remove", 1) || call_is(c, "removeElement", 1)) &&
               l->kind != LIST_ARRAY) {
        bool is_equal = false;
        for (i = 0; i < l->count && *ok; i++) {
            *ok = interp_equal(c->in, c->at, arg[0], l->at[i], EQUAL_AS_KEYS, &is_equal);
            if (is_equal)
                break;
        }
        *c->out = value_bool(i < l->count);
        if (*ok && i < l->count) {
            memmove(&l->at[i], &l->at[i + 1], (l->count - i - 1) * sizeof(*l->at));
            l->count--;
            l->keys = NULL;
        }
    } else if (call_is(c, "lastIndexOf", 1)) {
        const struct value *items = l->at; /* who is asked may change the list */
        bool is_equal = false;
        for (i = l->count; i > 0 && *ok; i--) {
            *ok = interp_equal(c->in, c->at, arg[0], items[i - 1], EQUAL_AS_KEYS, &is_equal);
            if (is_equal)
                break;
        }
        *c->out = value_int((int64_t)i - 1);
    } else if (call_is(c, "init", 0)) {
        if (l->count == 0)
            *ok = interp_throw(c->in, c->at, "NoSuchElementException",
                               "Cannot access init() for an empty Iterable");
        else
            *c->out = part(c, l, 0, l->count - 1);
    } else if ((call_is(c, "takeRight", 1) || call_is(c, "dropRight", 1)) && call_has_integer(c, 0)) {
        size_t n = arg[0].number < 0 ? 0 : (size_t)arg[0].number;
        n = n > l->count ? 0 : l->count - n;
        *c->out = str_is(c->name, "takeRight") ? part(c, l, n, l->count) : part(c, l, 0, n);
    } else if (call_is(c, "grep", 1)) {
        *c->out = value_list(c->in->arena);
        for (i = 0; i < l->count && *ok; i++) {
            const struct value item = l->at[i]; /* who is asked may change the list */
            struct value result = value_bool(false);
            bool matches = false;
            if (c->block == NULL && arg[0].type != V_PATTERN) {
                *ok = interp_equal(c->in, c->at, item, arg[0], EQUAL_BY_VALUE, &matches);
                result = value_bool(matches);
            } else if (c->block != NULL)
                *ok = ask(c, item, &result);
            else if (arg[0].type == V_PATTERN) {
                *ok = regex_matches(c->in, c->at, interp_text(c->in, item),
                                    arg[0].text, &matches);
                result = value_bool(matches);
            }
            if (*ok && value_truth(result))
                list_add(c->in->arena, c->out->list, item);
        }
    } else if (call_is(c, "sum", 1) && c->block == NULL) {
        *c->out = arg[0];
        for (i = 0; i < l->count && *ok; i++)
            *ok = operator_binary(c->in, c->at, T_ADD, *c->out, l->at[i], c->out);
    } else if (call_is(c, "iterator", 0)) {
        *c->out = value_object(c->in->arena, "Iterator");
        c->out->object->list = part(c, l, 0, l->count).list;
        c->out->object->of = c->self;
    } else if (call_is(c, "toArray", 0) || call_is(c, "stream", 0) ||
               call_is(c, "asUnmodifiable", 0) || call_is(c, "clone", 0)) {
        *c->out = part(c, l, 0, l->count);
        c->out->list->kind = str_is(c->name, "toArray") ? LIST_ARRAY
                             : str_is(c->name, "clone") ? l->kind
                                                        : LIST_PLAIN;
    } else if (call_is(c, "indices", 0) || call_is(c, "getIndices", 0)) {
        *c->out = value_list(c->in->arena);
        for (i = 0; i < l->count; i++)
            list_add(c->in->arena, c->out->list, value_int((int64_t)i));
    } else if (call_is(c, "multiply", 1)) {
        *ok = operator_binary(c->in, c->at, T_MUL, c->self, arg[0], c->out);
    } else {
        return method_unique(c, ok) || method_sets(c, ok) || method_shape(c, ok) ||
               method_list_rare(c, ok);
    }
    return true;
}

static bool
method_map(const struct call *c, bool *ok)
{
    struct map *m = c->self.map;
    const struct value *arg = c->args->at;

    if (call_is(c, "containsValue", 1)) {
        *c->out = value_bool(false);
        for (size_t i = 0; i < m->count && *ok && !c->out->truth; i++)
            *ok =
                interp_equal(c->in, c->at, m->at[i].value, arg[0], EQUAL_BY_VALUE, &c->out->truth);
    } else if (call_is(c, "subMap", 1) && arg[0].type == V_LIST) {
        *c->out = value_map(c->in->arena);
        for (size_t i = 0; i < arg[0].list->count && *ok; i++) {
            struct value key;
            *ok = interp_map_key(c->in, c->at, m, arg[0].list->at[i], &key);
            const struct value *v = *ok ? map_find(m, key) : NULL;
            if (v != NULL)
                map_put(c->in->arena, c->out->map, key, *v);
        }
    } else if (call_is(c, "putIfAbsent", 2)) {
        const struct value *v = map_find(m, arg[0]);
        *c->out = v == NULL ? value_null() : *v;
        *ok = v != NULL || interp_map_put(c->in, c->at, m, arg[0], arg[1]);
    } else if (call_is(c, "withDefault", 1) && c->block != NULL) {
        m->fallback = c->block;
        *c->out = c->self;
    } else if (call_is(c, "get", 1) || call_is(c, "getAt", 1)) {
        *ok = interp_map_get(c->in, c->at, m, arg[0], c->out);
    } else if (call_is(c, "putAt", 2)) {
        *ok = interp_map_put(c->in, c->at, m, arg[0], arg[1]);
    } else if (call_is(c, "clear", 0)) {
        map_clear(m);
    } else if (call_is(c, "plus", 1) || call_is(c, "leftShift", 1)) {
        if (str_is(c->name, "plus") || arg[0].type != V_MAP) {
            *ok = operator_binary(c->in, c->at, T_ADD, c->self, arg[0], c->out);
        } else {
            *ok = interp_map_put_all(c->in, c->at, m, arg[0].map);
            *c->out = c->self;
        }
    } else if (call_is(c, "minus", 1) && arg[0].type == V_MAP) {
        *c->out = value_map(c->in->arena);
        for (size_t i = 0; i < m->count; i++) {
            const struct map_entry e = m->at[i]; /* who is asked may change the map */
            const struct value *v = map_find(arg[0].map, e.key);
            bool is_equal = false;
            if (v != NULL && !interp_equal(c->in, c->at, *v, e.value, EQUAL_BY_VALUE, &is_equal)) {
                *ok = false;
                break;
            }
            if (!is_equal)
                map_put(c->in->arena, c->out->map, e.key, e.value);
        }
    } else if (call_is(c, "collectEntries", 0) || call_is(c, "asImmutable", 0) || call_is(c, "clone", 0)) {
        *ok = map_copy(c->in, c->at, m, m->is_sorted && !str_is(c->name, "collectEntries"), c->out);
    } else if (call_is(c, "first", 0) && m->count > 0) {
        *c->out = value_entry_of(c->in->arena, m, 0);
    } else if (call_is(c, "iterator", 0)) {
        *c->out = value_object(c->in->arena, "Iterator");
        c->out->object->list = items_of(c);
    } else {
        return method_map_rare(c, ok);
    }
    return true;
}

/* inject with and without a start; max, min; each of a text. */
static bool
method_items(const struct call *c, bool *ok)
{
    struct list *items;
    struct value pair[3];

    if (str_is(c->name, "inject") && c->block != NULL && c->args->count <= 2) {
        size_t i = c->args->count == 1;
        items = items_of(c);
        if (i > items->count) {
            *ok = interp_throw(c->in, c->at, "NoSuchElementException",
                               "Cannot call inject() on an empty collection without passing an "
                               "initial value.");
            return true;
        }
        pair[0] = i == 0 ? c->args->at[0] : items->at[0];
        for (; i < items->count && *ok; i++) {
            size_t count = 2;
            pair[1] = items->at[i];
            if (c->self.type == V_MAP && c->block->node != NULL && closure_takes_two(c->block) &&
                c->block->node->params->next->next != NULL) {
                if (i >= c->self.map->count) /* the block may have changed it */
                    break;
                pair[1] = c->self.map->at[i].key;
                pair[2] = c->self.map->at[i].value;
                count = 3;
            }
            *ok = interp_call_closure(c->in, c->block, pair, count, &pair[0]);
        }
        *c->out = pair[0];
        return true;
    }
    if ((str_is(c->name, "max") || str_is(c->name, "min")) &&
        (c->args->count == 0 || (c->args->count == 1 && c->block != NULL))) {
        *ok = pick_extreme(c, items_of(c));
        return true;
    }
    return method_sort(c, ok) || method_walk(c, ok);
}

/* A closure gets a delegate and whatever it is called with. */
static struct value
with_delegate(const struct call *c, struct value delegate, enum closure_strategy strategy)
{
    struct closure *copy = arena_alloc(c->in->arena, sizeof(*copy));
    struct value *kept = arena_alloc(c->in->arena, sizeof(*kept));

    *copy = *c->block;
    *kept = delegate;
    copy->delegate = kept;
    copy->strategy = strategy;
    return (struct value){.type = V_CLOSURE, .closure = copy};
}

static bool
method_closure(const struct call *c, bool *ok)
{
    struct closure *self = c->self.closure, *copy = arena_alloc(c->in->arena, sizeof(*copy));
    size_t params = 0;

    *copy = *self;
    *c->out = (struct value){.type = V_CLOSURE, .closure = copy};
    if (str_is(c->name, "curry") || str_is(c->name, "rcurry")) {
        struct value all = value_list(c->in->arena);
        for (size_t i = 0; self->curried != NULL && i < self->curried->count; i++)
            list_add(c->in->arena, all.list, self->curried->at[i]);
        for (size_t i = 0; i < c->args->count; i++)
            list_add(c->in->arena, all.list, c->args->at[i]);
        copy->curried = all.list;
        copy->is_curried_right = str_is(c->name, "rcurry");
    } else if (call_is(c, "rightShift", 1) && c->block != NULL) {
        copy->then = c->block;
    } else if (call_is(c, "leftShift", 1) && c->block != NULL) {
        *copy = *c->block;
        copy->then = self;
    } else if (call_is(c, "memoize", 0) || call_is(c, "clone", 0) || call_is(c, "dehydrate", 0)) {
        ;
    } else if (call_is(c, "setDelegate", 1) || call_is(c, "setResolveStrategy", 1)) {
        if (str_is(c->name, "setDelegate")) {
            struct value *kept = arena_alloc(c->in->arena, sizeof(*kept));
            *kept = c->args->at[0];
            self->delegate = kept;
        } else if (call_has_integer(c, 0) && (uint64_t)c->args->at[0].number <= DELEGATE_ONLY) {
            self->strategy = (enum closure_strategy)c->args->at[0].number;
        }
        *c->out = value_null();
    } else if (call_is(c, "rehydrate", 3)) {
        struct call with = *c;
        with.block = self;
        *c->out = with_delegate(&with, c->args->at[0], self->strategy);
    } else if (call_is(c, "getMaximumNumberOfParameters", 0)) {
        if (self->node != NULL)
            for (const struct node *p = self->node->params; p != NULL; p = p->next)
                params++;
        *c->out = value_int(self->node != NULL && !self->node->has_params ? 1 : (int64_t)params);
    } else {
        return false;
    }
    (void)ok;
    return true;
}

/* A walk for hashCode(). */
struct hashing {
    struct interp *in;
    const struct node *at;
    unsigned left;
};

static bool hash_of(struct hashing *h, struct value v, unsigned depth, uint32_t *out);

/* As Java's, of the classes that hold others. */
static bool
hash_of_items(struct hashing *h, struct value v, unsigned depth, uint32_t *out)
{
    const bool is_set = v.type == V_LIST && list_is_set(v.list);
    uint32_t one = 0, other = 0;

    *out = v.type == V_LIST && !is_set;
    for (size_t i = 0; v.type == V_LIST && i < v.list->count && h->left > 0; i++) {
        if (!hash_of(h, v.list->at[i], depth + 1, &one))
            return false;
        *out = (is_set ? *out : *out * 31) + one;
    }
    for (size_t i = 0; v.type == V_MAP && i < v.map->count && h->left > 0; i++) {
        const struct map_entry e = v.map->at[i];
        if (!hash_of(h, e.key, depth + 1, &one) || !hash_of(h, e.value, depth + 1, &other))
            return false;
        *out += one ^ other;
    }
    return true;
}

/* By hashCode() of its class, by its fields if that is what makes it equal, or which one it is. */
static bool
hash_of_instance(struct hashing *h, struct value v, unsigned depth, uint32_t *out)
{
    const struct object *o = value_instance(v);
    static const struct args none = {0};
    struct value said = value_null();
    bool found = false;

    if (!class_call(h->in, h->at, v, STR("hashCode"), &none, &said, &found))
        return false;
    if (!found && object_is_its_fields(o))
        return hash_of_items(h, (struct value){.type = V_MAP, .map = o->fields}, depth, out);
    *out = found && value_is_number(said)
               ? (uint32_t)value_as_integer(said)
               : (uint32_t)((uint64_t)o->number * 0x9E3779B97F4A7C15u >> 33);
    return true;
}

static bool
hash_of(struct hashing *h, struct value v, unsigned depth, uint32_t *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct formatting f = {.most = INTERP_TEXT_MAX};

    *out = 0;
    if (v.type == V_NULL || depth > VALUE_DEPTH_MAX || !value_take(1 + value_cost(v), &h->left))
        return true;
    if (value_is_number(v))
        *out = value_hash_number(v);
    else if (v.type == V_BOOL)
        *out = v.truth ? 1231 : 1237;
    else if (v.type == V_LIST || v.type == V_MAP)
        return hash_of_items(h, v, depth, out);
    else if (class_is_instance(v))
        return hash_of_instance(h, v, depth, out);
    else {
        f.left = h->left;
        (void)!value_format_within(v, &f, &text); /* nobody is asked, so nothing fails */
        h->left = f.left;
        *out = text_hash(strbuf_str(&text));
    }
    return true;
}

bool
interp_hash(struct interp *in, const struct node *at, struct value v, uint32_t *out)
{
    const unsigned had = interp_visits(in);
    struct hashing h = {in, at, had};

    return hash_of(&h, v, 0, out) &&
           interp_visited(in, at, had, h.left, "the value is too large for hashCode()");
}

/* What every value has. */
static bool
method_any(const struct call *c, bool *ok)
{
    struct value ignored;
    uint32_t hash;

    if ((call_is(c, "with", 1) || call_is(c, "tap", 1)) && c->block != NULL) {
        struct value block = with_delegate(c, c->self, DELEGATE_FIRST);
        *ok = interp_call_closure(c->in, block.closure, &c->self, 1, &ignored);
        *c->out = str_is(c->name, "tap") ? c->self : ignored;
    } else if (call_is(c, "hashCode", 0)) {
        *ok = interp_hash(c->in, c->at, c->self, &hash);
        *c->out = value_int((int32_t)(*ok ? hash : 0));
    } else if (call_is(c, "inspect", 0) || call_is(c, "dump", 0)) {
        *ok = call_give_shown(c);
    } else if (call_is(c, "is", 1)) {
        *ok = operator_binary(c->in, c->at, T_IDENTICAL, c->self, c->args->at[0], c->out);
    } else if (call_is(c, "asBoolean", 0)) {
        *c->out = value_bool(value_truth(c->self));
    } else if (call_is(c, "asType", 1) && c->args->at[0].type == V_HOST) {
        *ok = operator_cast(c->in, c->at, c->self, c->args->at[0].text, false, c->out);
    } else if (call_is(c, "getAt", 1) && (c->self.type == V_LIST || c->self.type == V_TEXT)) {
        *ok = interp_index_value(c->in, c->at, c->self, c->args->at[0], c->out);
    } else {
        return false;
    }
    return true;
}

static struct str
joined(const struct call *c, const struct list *l)
{
    cleanup(strbuf_done) struct strbuf b = {0};

    for (size_t i = 0; i < l->count; i++)
        strbuf_add(&b, interp_text(c->in, l->at[i]));
    return arena_dup(c->in->arena, strbuf_str(&b));
}

bool
method_more(struct interp *in, const struct node *call, struct value object, struct str name,
            const struct args *args, struct value *out, bool *found)
{
    const struct call c = call_make(in, call, object, name, args, out);
    bool ok = true;

    *found = false;
    if (object.type == V_LIST)
        *found = method_items(&c, &ok) || method_list(&c, &ok);
    else if (object.type == V_MAP)
        *found = method_items(&c, &ok) || method_map(&c, &ok);
    else if (object.type == V_TEXT && c.block != NULL && !call_is(&c, "with", 1) &&
             !call_is(&c, "tap", 1)) { /* a text is its characters */
        object.list = items_of(&c);
        object.type = V_LIST;
        if (!method_call(in, call, object, name, args, out, found))
            return false;
        if (*found && str_starts(name, STR("each")))
            *out = c.self;
        else if (*found && str_ends(name, STR("While")))
            *out = value_text(joined(&c, out->list));
        return true;
    } else if (object.type == V_CLOSURE)
        *found = method_closure(&c, &ok);
    *found = *found || method_any(&c, &ok);
    return ok;
}
