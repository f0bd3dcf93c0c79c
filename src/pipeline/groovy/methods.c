/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include "pipeline/groovy/methods.h"
#include "pipeline/groovy/number.h"

bool
call_with_entry(const struct call *c, const struct closure *block, struct value entry,
                struct value *result)
{
    struct value pair[2] = {entry};

    if (closure_takes_two(block)) {
        pair[0] = *map_find_text(entry.object->fields, "key");
        pair[1] = *map_find_text(entry.object->fields, "value");
    }
    return interp_call_closure(c->in, block, pair, closure_takes_two(block) ? 2 : 1, result);
}

/* How many things a closure is called for. */
static size_t
item_count(struct value v)
{
    return v.type == V_LIST ? v.list->count : v.type == V_MAP ? v.map->count : 0;
}

/* Calls the block with item `i`: (k, v) or an entry for maps. */
static bool
call_item(const struct call *c, size_t i, struct value *item, struct value *result)
{
    if (c->self.type == V_LIST) {
        *item = c->self.list->at[i];
        return interp_call_closure(c->in, c->block, item, 1, result);
    }
    *item = value_entry_of(c->in->arena, c->self.map, i);
    return call_with_entry(c, c->block, *item, result);
}

static void
keep(const struct call *c, size_t i, struct value item, struct value *to)
{
    if (to->type == V_LIST)
        list_add(c->in->arena, to->list, item);
    else if (i < c->self.map->count) /* the block may have changed it */
        map_put(c->in->arena, to->map, c->self.map->at[i].key, c->self.map->at[i].value);
}

enum each {
    EACH,
    COLLECT,
    FIND_ALL,
    FIND,
    ANY,
    EVERY,
    COUNT,
    FIND_INDEX,
    COLLECT_ENTRIES,
    GROUP_BY,
    SUM
};

static const struct {
    const char *name;
    enum each what;
} each_names[] = {
    {"each", EACH},
    {"collect", COLLECT},
    {"findAll", FIND_ALL},
    {"find", FIND},
    {"any", ANY},
    {"every", EVERY},
    {"count", COUNT},
    {"findIndexOf", FIND_INDEX},
    {"collectEntries", COLLECT_ENTRIES},
    {"groupBy", GROUP_BY},
    {"sum", SUM},
};

bool
map_put_entry(const struct call *c, struct value entry, struct map *to)
{
    if (value_is_object(entry, "Entry"))
        return interp_map_put(c->in, c->at, to, *map_find_text(entry.object->fields, "key"),
                              *map_find_text(entry.object->fields, "value"));
    if (entry.type == V_MAP)
        return interp_map_put_all(c->in, c->at, to, entry.map);
    if (entry.type == V_LIST && entry.list->count >= 2)
        return interp_map_put(c->in, c->at, to, entry.list->at[0], entry.list->at[1]);
    return interp_throw(c->in, c->at, "IllegalArgumentException",
                        "collectEntries() needs a map or a list of two from each call");
}

/* One item's part of the result; `*done` ends the walk. */
static bool
each_item(const struct call *c, enum each what, size_t i, bool *done)
{
    struct value item, result, *group;
    struct value *out = c->out;

    if (!call_item(c, i, &item, &result))
        return false;
    switch (what) {
    case EACH:
        break;
    case COLLECT:
        list_add(c->in->arena, out->list, result);
        break;
    case FIND_ALL:
        if (value_truth(result))
            keep(c, i, item, out);
        break;
    case FIND:
        *done = value_truth(result);
        if (*done)
            *out = item;
        break;
    case ANY:
    case EVERY:
        *done = value_truth(result) == (what == ANY);
        if (*done)
            *out = value_bool(what == ANY);
        break;
    case COUNT:
        out->number += value_truth(result);
        break;
    case FIND_INDEX:
        *done = value_truth(result);
        if (*done)
            *out = value_int((int64_t)i);
        break;
    case COLLECT_ENTRIES:
        return map_put_entry(c, result, out->map);
    case GROUP_BY:
        if (!interp_map_key(c->in, c->at, out->map, result, &result))
            return false;
        group = map_find(out->map, result);
        if (group == NULL) {
            map_put(c->in->arena, out->map, result,
                    c->self.type == V_MAP ? value_map(c->in->arena) : value_list(c->in->arena));
            group = map_find(out->map, result);
        }
        keep(c, i, item, group);
        break;
    case SUM:
        if (out->type == V_NULL)
            *out = result;
        else
            return operator_binary(c->in, c->at, T_ADD, *out, result, out);
        break;
    }
    return true;
}

static bool
method_each(const struct call *c, bool *ok)
{
    bool done = false;
    size_t n;

    if (c->block == NULL || c->args->count != 1)
        return false;
    for (n = 0; n < ARRAY_COUNT(each_names); n++)
        if (str_is(c->name, each_names[n].name))
            break;
    if (n == ARRAY_COUNT(each_names))
        return false;
    switch (each_names[n].what) {
    case EACH:
        *c->out = c->self;
        break;
    case COLLECT:
        *c->out = value_list(c->in->arena);
        break;
    case FIND_ALL:
        *c->out = c->self.type == V_MAP ? value_map(c->in->arena) : value_list(c->in->arena);
        if (c->self.type == V_MAP)
            c->out->map->is_sorted = c->self.map->is_sorted;
        else if (list_is_set(c->self.list))
            c->out->list->kind = c->self.list->kind;
        break;
    case FIND:
    case SUM:
        *c->out = value_null();
        break;
    case ANY:
    case EVERY:
        *c->out = value_bool(each_names[n].what == EVERY);
        break;
    case COUNT:
        *c->out = value_int(0);
        break;
    case FIND_INDEX:
        *c->out = value_int(-1);
        break;
    case COLLECT_ENTRIES:
    case GROUP_BY:
        *c->out = value_map(c->in->arena);
        c->out->map->is_sorted = each_names[n].what == COLLECT_ENTRIES &&
                                 c->self.type == V_MAP && c->self.map->is_sorted;
        break;
    }
    for (size_t i = 0; i < item_count(c->self) && !done && *ok; i++)
        *ok = each_item(c, each_names[n].what, i, &done);
    return true;
}

static bool
method_each_with(const struct call *c, bool *ok)
{
    const bool takes_three =
        closure_takes_two(c->block) && c->block->node->params->next->next != NULL;
    struct value parts[3], ignored;

    if (c->block == NULL || !call_is(c, "eachWithIndex", 1))
        return false;
    *c->out = c->self;
    for (size_t i = 0; i < item_count(c->self) && *ok; i++) {
        size_t n = 0;
        if (c->self.type == V_LIST) {
            parts[n++] = c->self.list->at[i];
        } else if (takes_three) { /* key, value, i -> */
            parts[n++] = c->self.map->at[i].key;
            parts[n++] = c->self.map->at[i].value;
        } else {
            parts[n++] = value_entry_of(c->in->arena, c->self.map, i);
        }
        parts[n++] = value_int((int64_t)i);
        *ok = interp_call_closure(c->in, c->block, parts, n, &ignored);
    }
    return true;
}

static struct value
list_copy(struct interp *in, const struct list *l, size_t from, size_t to)
{
    struct value v = value_list(in->arena);

    for (size_t i = from; i < to && i < l->count; i++)
        list_add(in->arena, v.list, l->at[i]);
    return v;
}

static bool
list_joined(const struct call *c)
{
    cleanup(strbuf_done) struct strbuf b = {0};
    const struct list *l = c->self.list;
    struct str between = call_text(c, 0);

    for (size_t i = 0; i < l->count && b.len < INTERP_TEXT_MAX; i++) {
        if (i > 0)
            strbuf_add(&b, between);
        if (!interp_format(c->in, c->at, l->at[i], INTERP_TEXT_MAX, &b))
            return false;
    }
    call_give(c, &b);
    return true;
}

static bool
list_change(const struct call *c, bool *ok)
{
    struct list *l = c->self.list;
    const struct value *arg = c->args->at;
    bool changed = false;

    if (l->kind == LIST_ARRAY)
        return false;
    if (call_is(c, "add", 1) || call_is(c, "push", 1) || call_is(c, "leftShift", 1)) {
        *ok = list_put(c->in, c->at, l, arg[0], &changed);
        *c->out = str_is(c->name, "leftShift") ? c->self : value_bool(changed);
    } else if (call_is(c, "addAll", 1) && arg[0].type == V_LIST) {
        *ok = list_put_all(c->in, c->at, l, arg[0].list, &changed);
        *c->out = value_bool(changed);
    } else if (call_is(c, "pop", 0) && l->kind == LIST_PLAIN) {
        if (l->count > 0)
            *c->out = l->at[--l->count];
        else
            *ok = interp_throw(c->in, c->at, "NoSuchElementException", "Cannot pop() an empty List");
    } else if (call_is(c, "remove", 1) && value_is_integer(arg[0]) && !list_is_set(l)) {
        size_t i = (size_t)arg[0].number;
        if (arg[0].number < 0 || i >= l->count) {
            *ok = interp_throw(c->in, c->at, "IndexOutOfBoundsException",
                               "Index %lld out of bounds for length %zu",
                               (long long)arg[0].number, l->count);
            return true;
        }
        *c->out = l->at[i];
        memmove(&l->at[i], &l->at[i + 1], (l->count - i - 1) * sizeof(*l->at));
        l->count--;
    } else if (call_is(c, "clear", 0)) {
        l->count = 0;
        l->keys = NULL;
        *c->out = value_null();
    } else {
        return false;
    }
    return true;
}

/* False, and what `to` has is of no use, if there is too much of it. */
static bool
flatten(struct interp *in, const struct list *from, struct list *to, unsigned depth, unsigned *left)
{
    for (size_t i = 0; i < from->count; i++) {
        if (to->count >= VALUE_ITEMS_MAX || *left == 0)
            return false;
        --*left;
        if (from->at[i].type != V_LIST || depth >= VALUE_DEPTH_MAX)
            list_add(in->arena, to, from->at[i]);
        else if (!flatten(in, from->at[i].list, to, depth + 1, left))
            return false;
    }
    return true;
}

static bool
list_read(const struct call *c, bool *ok)
{
    const struct list *l = c->self.list;
    const struct value *arg = c->args->at;
    size_t n = l->count, k;
    bool truth = false;

    if (call_is(c, "size", 0)) {
        *c->out = value_int((int64_t)n);
    } else if (call_is(c, "isEmpty", 0)) {
        *c->out = value_bool(n == 0);
    } else if (str_is(c->name, "join") && c->args->count <= 1) {
        *ok = list_joined(c);
    } else if (call_is(c, "first", 0) || call_is(c, "head", 0) || call_is(c, "last", 0)) {
        if (n == 0)
            *ok = interp_throw(c->in, c->at, "NoSuchElementException",
                               "Cannot access %s() element from an empty List",
                               str_is(c->name, "last") ? "last" : "first");
        else
            *c->out = l->at[str_is(c->name, "last") ? n - 1 : 0];
    } else if (call_is(c, "get", 1) && value_is_integer(arg[0])) {
        if (arg[0].number < 0 || (size_t)arg[0].number >= n)
            *ok = interp_throw(c->in, c->at, "IndexOutOfBoundsException",
                               "Index %lld out of bounds for length %zu",
                               (long long)arg[0].number, n);
        else
            *c->out = l->at[arg[0].number];
    } else if (call_is(c, "contains", 1)) {
        *ok = operator_in(c->in, c->at, arg[0], c->self, &truth);
        *c->out = value_bool(truth);
    } else if (call_is(c, "indexOf", 1)) {
        for (k = 0; k < l->count && *ok; k++) { /* who is asked may change the list */
            *ok = interp_equal(c->in, c->at, arg[0], l->at[k], EQUAL_AS_KEYS, &truth);
            if (truth)
                break;
        }
        *c->out = value_int(truth ? (int64_t)k : -1);
    } else if ((call_is(c, "take", 1) || call_is(c, "drop", 1)) && value_is_integer(arg[0])) {
        k = arg[0].number < 0 ? 0 : (uint64_t)arg[0].number > n ? n : (size_t)arg[0].number;
        *c->out = str_is(c->name, "take") ? list_copy(c->in, l, 0, k) : list_copy(c->in, l, k, n);
    } else if (call_is(c, "tail", 0)) {
        if (n == 0)
            *ok = interp_throw(c->in, c->at, "NoSuchElementException",
                               "Cannot access tail() for an empty iterable");
        else
            *c->out = list_copy(c->in, l, 1, n);
    } else if (call_is(c, "toList", 0) || call_is(c, "asImmutable", 0)) {
        *c->out = list_copy(c->in, l, 0, n);
    } else if (call_is(c, "reverse", 0)) {
        *c->out = value_list(c->in->arena);
        for (k = n; k > 0; k--)
            list_add(c->in->arena, c->out->list, l->at[k - 1]);
    } else if (call_is(c, "flatten", 0)) {
        const unsigned had = interp_visits(c->in);
        unsigned left = had;
        *c->out = value_list(c->in->arena);
        *ok = flatten(c->in, l, c->out->list, 0, &left);
        if (!interp_visited(c->in, c->at, had, left, "the list is too large"))
            *ok = false;
        else if (!*ok)
            *ok = interp_throw(c->in, c->at, "OutOfMemoryError", "the list is too large");
    } else if (call_is(c, "sum", 0)) {
        for (k = 0; k < l->count && *ok; k++) {
            if (k == 0)
                *c->out = l->at[0];
            else
                *ok = operator_binary(c->in, c->at, T_ADD, *c->out, l->at[k], c->out);
        }
    } else if (call_is(c, "subList", 2) && value_is_integer(arg[0]) && value_is_integer(arg[1])) {
        if (arg[0].number < 0 || arg[1].number < arg[0].number || (size_t)arg[1].number > n)
            *ok = interp_throw(c->in, c->at, "IndexOutOfBoundsException", "subList out of bounds");
        else
            *c->out = list_copy(c->in, l, (size_t)arg[0].number, (size_t)arg[1].number);
    } else if (call_is(c, "plus", 1) || call_is(c, "minus", 1)) {
        *ok = operator_binary(c->in, c->at, str_is(c->name, "plus") ? T_ADD : T_SUB, c->self,
                              arg[0], c->out);
    } else {
        return false;
    }
    return true;
}

static bool
method_map(const struct call *c, bool *ok)
{
    struct map *m = c->self.map;
    const struct value *arg = c->args->at;
    struct value *found;

    if (call_is(c, "get", 2)) { /* stores the default, as Groovy does */
        found = map_find(m, arg[0]);
        *c->out = found != NULL ? *found : arg[1];
        *ok = found != NULL || interp_map_put(c->in, c->at, m, arg[0], arg[1]);
    } else if (call_is(c, "getOrDefault", 2)) {
        found = map_find(m, arg[0]);
        *c->out = found != NULL ? *found : arg[1];
    } else if (call_is(c, "put", 2)) {
        found = map_find(m, arg[0]);
        *c->out = found != NULL ? *found : value_null();
        *ok = interp_map_put(c->in, c->at, m, arg[0], arg[1]);
    } else if (call_is(c, "putAll", 1) && arg[0].type == V_MAP) {
        *ok = interp_map_put_all(c->in, c->at, m, arg[0].map);
        *c->out = value_null();
    } else if (call_is(c, "containsKey", 1)) {
        *c->out = value_bool(map_find(m, arg[0]) != NULL);
    } else if (call_is(c, "remove", 1)) {
        found = map_find(m, arg[0]);
        *c->out = found != NULL ? *found : value_null();
        map_remove(m, arg[0]);
    } else if (call_is(c, "size", 0)) {
        *c->out = value_int((int64_t)m->count);
    } else if (call_is(c, "isEmpty", 0)) {
        *c->out = value_bool(m->count == 0);
    } else if (call_is(c, "keySet", 0) || call_is(c, "values", 0) || call_is(c, "entrySet", 0)) {
        *c->out = value_list(c->in->arena);
        c->out->list->kind = str_is(c->name, "values") ? LIST_PLAIN : LIST_SET;
        c->out->list->view = str_is(c->name, "values")   ? VIEW_VALUES
                             : str_is(c->name, "keySet") ? VIEW_KEYS
                                                         : VIEW_ENTRIES;
        c->out->list->of = m;
        c->out->list->changes = view_changes(c->out->list) - 1;
        *ok = map_view_refresh(c->in, c->at, c->out->list);
    } else {
        return false;
    }
    return true;
}

static bool
method_exception(const struct call *c, bool *ok)
{
    const struct exception *e = c->self.exception;
    bool found = false;

    if (e->interruption != INTERRUPTED_NOT && c->in->world->method != NULL)
        *ok = c->in->world->method(c->in, c->at, c->self, c->name, c->args, c->out, &found);
    if (found || !*ok)
        return true;
    if (call_is(c, "getMessage", 0) || call_is(c, "getLocalizedMessage", 0))
        *c->out = e->has_no_message ? value_null() : value_text(e->message);
    else if (call_is(c, "getCause", 0))
        *c->out = e->because == NULL ? value_null()
                                     : (struct value){.type = V_EXCEPTION, .exception = e->because};
    else if (call_is(c, "printStackTrace", 0) || call_is(c, "addSuppressed", 1))
        *c->out = value_null();
    else if (call_is(c, "getStackTrace", 0) || call_is(c, "getSuppressed", 0) || call_is(c, "getCauses", 0))
        *c->out = value_list(c->in->arena);
    else if (call_is(c, "getLineNumber", 0))
        *c->out = value_int(e->line);
    else
        return false;
    return true;
}

static bool
call_known(struct interp *in, const struct node *call, struct value object, struct str name,
           const struct args *args, struct value *out, bool *found)
{
    const struct call c = call_make(in, call, object, name, args, out);
    bool ok = true, truth;

    if (object.type == V_NULL && (call_is(&c, "each", 1) || call_is(&c, "collect", 1))) {
        *out = call_is(&c, "collect", 1) ? value_list(in->arena) : value_null();
        *found = true;
        return true;
    }
    if (object.type == V_NULL && !call_is(&c, "toString", 0)) {
        *found = false;
        return true;
    }
    switch (object.type) {
    case V_TEXT:
        if (!method_text(in, call, object, name, args, out, found))
            return false;
        if (*found)
            return true;
        break;
    case V_LIST:
        *found = (object.list->of != NULL && method_view(&c, &ok)) || method_each(&c, &ok) ||
                 method_each_with(&c, &ok) || list_read(&c, &ok) || list_change(&c, &ok);
        break;
    case V_MAP:
        *found = method_each(&c, &ok) || method_each_with(&c, &ok) || method_map(&c, &ok);
        break;
    case V_INT:
    case V_LONG:
    case V_BIG:
    case V_DECIMAL:
    case V_DOUBLE:
        if (!method_of_number(in, call, object, name, args, out, found))
            return false;
        break;
    case V_EXCEPTION:
        *found = method_exception(&c, &ok);
        break;
    case V_OBJECT:
        if (!method_object(in, call, object, name, args, out, found))
            return false;
        break;
    default:
        *found = false;
        break;
    }
    if (!ok || *found)
        return ok;
    if (!method_more(in, call, object, name, args, out, found))
        return false;
    if (*found)
        return true;
    *found = true;
    if (call_is(&c, "toString", 0))
        return call_give_shown(&c);
    if (call_is(&c, "equals", 1))
        return interp_equal(in, call, object, args->at[0], EQUAL_BY_VALUE, &truth) &&
               ((*out = value_bool(truth)), true);
    else if (call_is(&c, "getClass", 0))
        *out = value_class(object);
    else
        *found = false;
    return true;
}

/* Those that take no longer for a large list, map or text; all others count as a walk over it. */
static bool
is_instant(const struct call *c)
{
    static const char *const names[] = {
        "size",  "isEmpty", "get",         "getAt",        "first",       "last", "head", "add",
        "push",  "pop",     "leftShift",   "set",          "putAt",       "put",  "each", "any",
        "every", "find",    "containsKey", "getOrDefault", "putIfAbsent", "with", "tap",
    };

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_is(c->name, names[i]))
            return c->self.type != V_TEXT && (!str_is(c->name, "add") || c->args->count == 1);
    return false;
}

/* What the loops of a method in C cost, before they run. */
static bool
spend_for(const struct call *c)
{
    size_t weight = is_instant(c) ? 0 : interp_weight(c->self);

    for (size_t i = 0; i < c->args->count; i++)
        weight += interp_weight(c->args->at[i]);
    return weight == 0 || interp_spend(c->in, c->at, weight);
}

/* Is the first argument a key of the map, and one of which that one may be another that is equal, or that takes
 * long to be found? */
static bool
takes_key(const struct call *c)
{
    static const char *const names[] = {
        "get",   "getAt",           "put",              "putAt",        "containsKey",
        "merge", "compute",         "computeIfPresent", "getOrDefault", "putIfAbsent",
        "remove", "computeIfAbsent", "replace",
    };

    if (c->self.type != V_MAP || c->args->count == 0 ||
        (c->args->at[0].type != V_LIST && c->args->at[0].type != V_MAP &&
         value_instance(c->args->at[0]) == NULL))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_is(c->name, names[i]))
            return true;
    return false;
}

/* The call as it is with the key that the map has. Apart, as the arguments take much of the stack. */
static bool __attribute__((noinline))
call_with_key(const struct call *c, bool *found)
{
    struct args args = *c->args;

    return interp_map_key(c->in, c->at, c->self.map, args.at[0], &args.at[0]) &&
           call_known(c->in, c->at, c->self, c->name, &args, c->out, found);
}

static bool
is_too_large(struct value v)
{
    return (v.type == V_LIST && v.list->count > VALUE_ITEMS_MAX) ||
           (v.type == V_MAP && v.map->count > VALUE_ITEMS_MAX);
}

bool
method_call(struct interp *in, const struct node *call, struct value object, struct str name,
            const struct args *args, struct value *out, bool *found)
{
    const struct call c = call_make(in, call, object, name, args, out);

    *found = true;
    if (!spend_for(&c) ||
        !(takes_key(&c) ? call_with_key(&c, found)
                        : call_known(in, call, object, name, args, out, found)))
        return false;
    if (*found && (is_too_large(*out) || is_too_large(object)))
        return interp_throw(in, call, "OutOfMemoryError", "the %s is too large",
                            is_too_large(*out)     ? (out->type == V_MAP ? "map" : "list")
                            : object.type == V_MAP ? "map"
                                                   : "list");
    return true;
}

bool
method_static(struct interp *in, const struct node *call, struct str class_name, struct str name,
              const struct args *args, struct value *out, bool *found)
{
    struct value a = args->count > 0 ? args->at[0] : value_null();
    const bool is_whole = str_is(class_name, "Integer") || str_is(class_name, "Long");
    struct str text;

    *found = true;
    if (str_is(class_name, "String") && str_is(name, "valueOf") && args->count == 1) {
        if (!interp_to_text(in, call, a, &text))
            return false;
        *out = value_text(text);
        return true;
    }
    if (str_is(class_name, "String") && str_is(name, "format") && args->count > 0)
        return method_format(in, call, args->at, args->count, out);
    if (str_is(class_name, "String") && str_is(name, "join") && args->count == 2) {
        struct args between = {.at = {a}, .count = 1};
        return method_call(in, call, args->at[1], STR("join"), &between, out, found);
    }
    if (is_whole && args->count == 1 &&
        (str_is(name, "parseInt") || str_is(name, "valueOf") || str_is(name, "parseLong"))) {
        if (value_is_number(a))
            return operator_cast(in, call, a, class_name, false, out);
        static const struct args none = {0};
        return method_call(in, call, value_text(interp_text(in, a)),
                           str_is(class_name, "Long") ? STR("toLong") : STR("toInteger"), &none,
                           out, found);
    }
    if (str_is(class_name, "Boolean") && args->count == 1 &&
        (str_is(name, "parseBoolean") || str_is(name, "valueOf"))) {
        *out = value_bool(str_equal_nocase(interp_text(in, a), STR("true")));
        return true;
    }
    *found = false;
    return object_static(in, call, class_name, name, args, out, found);
}
