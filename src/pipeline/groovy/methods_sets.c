/* SPDX-License-Identifier: MIT */
/* methods_sets.c - which items of a list are equal: unique, toSet, minus, intersect, containsAll
 * ... Each takes as long as its lists together, not as their product. */
#include "pipeline/groovy/methods.h"

#define VALUES_AN_EVALUATION 16 /* moved */

/* The items of a set as the keys of a map. */
static bool
make_keys(struct interp *in, const struct node *at, struct list *l)
{
    const struct map *known = list_keys(l);
    struct map *keys;

    if (known != NULL && (known == l->of || known->count == l->count))
        return true;
    keys = value_map(in->arena).map;
    for (size_t i = 0; i < l->count; i++) { /* who is asked may change the set */
        if (!interp_spend(in, at, 1 + interp_weight(l->at[i])))
            return false;
        if (!interp_map_put(in, at, keys, l->at[i], value_null()))
            return false;
    }
    l->keys = keys;
    return true;
}

bool
set_contains(struct interp *in, const struct node *at, struct list *set, struct value v, bool *out)
{
    const struct map *keys;

    if (!make_keys(in, at, set) || !interp_spend(in, at, 1 + interp_weight(v)))
        return false;
    keys = list_keys(set); /* who is asked may take them from the set */
    if (!interp_map_key(in, at, keys, v, &v))
        return false;
    *out = map_find(keys, v) != NULL;
    return true;
}

/* Moves the last item of a sorted set to its place. */
static bool
sort_in(struct interp *in, const struct node *at, struct list *l)
{
    const struct value v = l->at[l->count - 1];
    size_t from = 0, to = l->count - 1;

    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        int order = 0;
        if (!interp_spend_for(in, at, v, l->at[middle]))
            return false;
        if (!value_compare(l->at[middle], v, &order))
            return interp_throw(in, at, "ClassCastException", "cannot compare %s with %s",
                                value_type_name(l->at[middle]), value_type_name(v));
        from = order < 0 ? middle + 1 : from;
        to = order < 0 ? to : middle;
    }
    if (!interp_spend(in, at, (l->count - from) / VALUES_AN_EVALUATION))
        return false;
    memmove(&l->at[from + 1], &l->at[from], (l->count - 1 - from) * sizeof(*l->at));
    l->at[from] = v;
    return true;
}

bool
list_put(struct interp *in, const struct node *at, struct list *l, struct value v, bool *added)
{
    bool has = false;

    *added = false;
    if (l->of != NULL)
        return interp_throw(in, at, "UnsupportedOperationException", "null");
    if (list_is_set(l) && !set_contains(in, at, l, v, &has))
        return false;
    if (has)
        return true;
    if (l->count >= VALUE_ITEMS_MAX)
        return interp_throw(in, at, "OutOfMemoryError", "the list is too large");
    list_add(in->arena, l, v);
    if (list_is_set(l) && l->keys != NULL)
        map_put(in->arena, l->keys, v, value_null());
    *added = true;
    if (l->kind != LIST_SORTED_SET || sort_in(in, at, l))
        return true;
    l->count--; /* it has no place among the others */
    l->keys = NULL;
    return false;
}

bool
list_put_all(struct interp *in, const struct node *at, struct list *l, const struct list *other,
             bool *changed)
{
    const struct value *items = other->at; /* it may be the same, or changed by who is asked */
    const size_t count = other->count;

    *changed = false;
    for (size_t i = 0; i < count; i++) {
        bool added;
        if (!list_put(in, at, l, items[i], &added))
            return false;
        *changed = *changed || added;
    }
    return true;
}

bool
list_to_kind(struct interp *in, const struct node *at, const struct list *from,
             enum list_kind kind, struct value *out)
{
    bool ignored;

    *out = value_list(in->arena);
    out->list->kind = kind;
    return list_put_all(in, at, out->list, from, &ignored);
}

enum list_kind
list_kind_of(struct str type)
{
    if (str_ends(type, STR("[]")))
        return LIST_ARRAY;
    if (str_is(type, "TreeSet") || str_is(type, "SortedSet") || str_is(type, "NavigableSet"))
        return LIST_SORTED_SET;
    return str_ends(type, STR("Set")) ? LIST_SET : LIST_PLAIN;
}

/* Items by Groovy's ==. */
struct item_set {
    struct interp *in;
    const struct node *at;
    struct map *small;
    struct list *large; /* too large to be hashed, or asked: compared one by one, and counted */
    bool by_hash;       /* what has equals() without hashCode() is equal to itself */
};

static struct item_set
set_new(struct interp *in, const struct node *at, bool by_hash)
{
    struct item_set s = {in, at, value_map(in->arena).map, value_list(in->arena).list, by_hash};

    s.small->by = EQUAL_BY_VALUE;
    return s;
}

static bool
spend_key(const struct item_set *s, struct value v)
{
    return interp_spend(s->in, s->at,
                        1 + interp_weight(v) + map_key_cost(s->small, v) / VISITS_AN_EVALUATION);
}

static bool
is_compared(const struct item_set *s, struct value v)
{
    const struct object *o = value_instance(v);

    return value_is_large(v) &&
           (!s->by_hash || o == NULL || !o->is_asked || o->is_ordered || o->is_hashed);
}

static bool
set_has(const struct item_set *s, struct value v, bool *out)
{
    *out = false;
    if (!spend_key(s, v))
        return false;
    if (!is_compared(s, v)) {
        *out = map_find(s->small, v) != NULL;
        return true;
    }
    for (size_t i = 0; i < s->large->count && !*out; i++)
        if (!interp_equal(s->in, s->at, v, s->large->at[i], EQUAL_BY_VALUE, out))
            return false;
    return true;
}

static void
set_add(const struct item_set *s, struct value v)
{
    if (is_compared(s, v))
        list_add(s->in->arena, s->large, v);
    else
        map_put(s->in->arena, s->small, v, value_null());
}

static bool
set_fill(const struct item_set *s, const struct list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        if (!spend_key(s, l->at[i]))
            return false;
        set_add(s, l->at[i]);
    }
    return true;
}

/* The items of `l` that `other` has, and those that it has not. */
static bool
split(struct interp *in, const struct node *at, const struct list *l, const struct list *other,
      bool by_hash, struct list *both, struct list *rest)
{
    const struct item_set set = set_new(in, at, by_hash);
    bool has;

    if (!set_fill(&set, other))
        return false;
    for (size_t i = 0; i < l->count; i++) {
        const struct value item = l->at[i]; /* who is asked may change the list */
        if (!set_has(&set, item, &has))
            return false;
        list_add(in->arena, has ? both : rest, item);
    }
    return true;
}

bool
list_minus(struct interp *in, const struct node *at, const struct list *l, struct value cut,
           struct value *out)
{
    struct value one = value_list(in->arena), both = value_list(in->arena);

    *out = value_list(in->arena);
    out->list->kind = l->kind;
    if (cut.type == V_LIST)
        return split(in, at, l, cut.list, false, both.list, out->list);
    list_add(in->arena, one.list, cut);
    return split(in, at, l, one.list, false, both.list, out->list);
}

/* By what a closure of one parameter gives for them, or by a comparator: then pair by pair. */
static bool
add_unique(const struct call *c, const struct item_set *keys, struct list *rest, struct value item)
{
    struct value key = item;
    bool has = false;

    if (closure_takes_two(c->block)) {
        for (size_t i = 0; i < rest->count && !has; i++) {
            struct value pair[2] = {rest->at[i], item}, order;
            if (!interp_call_closure(c->in, c->block, pair, 2, &order))
                return false;
            has = value_is_number(order) && !value_truth(order);
        }
    } else {
        if (c->block != NULL && !interp_call_closure(c->in, c->block, &item, 1, &key))
            return false;
        if (!set_has(keys, key, &has))
            return false;
        if (!has)
            set_add(keys, key);
    }
    if (!has)
        list_add(c->in->arena, rest, item);
    return true;
}

bool
method_unique(const struct call *c, bool *ok)
{
    const bool copies =
        c->args->count > 0 && c->args->at[0].type == V_BOOL && !c->args->at[0].truth;
    const struct item_set keys = set_new(c->in, c->at, false);
    struct value rest = value_list(c->in->arena);

    if (call_is(c, "toSet", 0)) {
        *ok = list_to_kind(c->in, c->at, c->self.list, LIST_SET, c->out);
        return true;
    }
    if (!str_is(c->name, "unique") && !str_is(c->name, "toUnique"))
        return false;
    for (size_t i = 0; i < c->self.list->count && *ok; i++)
        *ok = add_unique(c, &keys, rest.list, c->self.list->at[i]);
    *c->out = rest;
    if (*ok && !copies && str_is(c->name, "unique")) {
        list_assign(c->self.list, rest.list);
        *c->out = c->self;
    }
    return true;
}

bool
method_sets(const struct call *c, bool *ok)
{
    struct list *l = c->self.list, *other;
    struct value both = value_list(c->in->arena), rest = value_list(c->in->arena);

    if (c->args->count != 1 || c->args->at[0].type != V_LIST)
        return false;
    other = c->args->at[0].list;
    if (call_is(c, "intersect", 1) || call_is(c, "disjoint", 1)) {
        both.list->kind = l->kind;
        *ok = split(c->in, c->at, l, other, true, both.list, rest.list);
        *c->out = str_is(c->name, "intersect") ? both : value_bool(both.list->count == 0);
    } else if (call_is(c, "containsAll", 1)) {
        *ok = split(c->in, c->at, other, l, false, both.list, rest.list);
        *c->out = value_bool(rest.list->count == 0);
    } else if (call_is(c, "removeAll", 1) || call_is(c, "retainAll", 1)) {
        const struct list *kept = str_is(c->name, "removeAll") ? rest.list : both.list;
        *ok = split(c->in, c->at, l, other, false, both.list, rest.list);
        *c->out = value_bool(kept->count != l->count);
        if (*ok)
            list_assign(l, kept);
    } else {
        return false;
    }
    return true;
}
