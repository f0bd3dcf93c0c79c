/* SPDX-License-Identifier: MIT */
/* interp_place.c - properties and indexes, read and assigned to. */
#include <float.h>
#include <math.h>
#include "pipeline/groovy/interp_scope.h"
#include "pipeline/groovy/number.h"

bool
interp_member_name(struct interp *in, const struct node *n, struct str *out)
{
    if (n->b == NULL) {
        *out = n->text;
        return true;
    }
    return interp_eval_text(in, n->b, out);
}

bool
interp_map_get(struct interp *in, const struct node *at, struct map *m, struct value key,
               struct value *out)
{
    const struct value *found;

    if (!interp_map_key(in, at, m, key, &key))
        return false;
    found = map_find(m, key);
    *out = found == NULL ? value_null() : *found;
    if (found != NULL || m->fallback == NULL)
        return true;
    if (m->count >= VALUE_ITEMS_MAX)
        return interp_throw(in, at, "OutOfMemoryError", "the map is too large");
    if (!interp_call_closure(in, m->fallback, &key, 1, out))
        return false;
    return interp_map_put(in, at, m, key, *out);
}

/* What a class answers: its name, statics of the file's classes, constants, the next part of a
 * package (`java.util` is read as a class that is not one yet). */
static bool
get_of_class(struct interp *in, const struct node *at, struct value object, struct str name,
             struct value *out)
{
    static const char *const results[] = {"SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED"};
    bool found = false;

    if (!class_get(in, at, object, name, out, &found))
        return false;
    if (found)
        return true;
    if (class_find(in, name) != NULL) { /* a class inside of it */
        *out = object;
        out->text = name;
        return true;
    }
    if (object.text.len > 0 && object.text.at[0] >= 'a' && object.text.at[0] <= 'z' &&
        str_index(object.text, '.') < 0) {
        *out = object;
        out->text = name;
        return true;
    }
    if (str_is(name, "name") || str_is(name, "simpleName") || str_is(name, "canonicalName")) {
        *out = value_text(class_find(in, object.text) != NULL
                              ? object.text
                              : class_shown(in->arena, object.text, str_is(name, "simpleName")));
        return true;
    }
    for (size_t i = 0; str_is(object.text, "Result") && i < ARRAY_COUNT(results); i++)
        if (str_is(name, results[i])) {
            *out = value_text(name);
            return true;
        }
    if (!number_static(in, at, object.text, name, NULL, out, &found))
        return false;
    if (found)
        return true;
    if (str_is(object.text, "Math") && (str_is(name, "PI") || str_is(name, "E"))) {
        *out = value_real(str_is(name, "PI") ? 3.14159265358979323846 : 2.71828182845904523536);
        return true;
    }
    if (str_is(object.text, "Double") &&
        (str_is(name, "NaN") || str_ends(name, STR("TIVE_INFINITY")))) {
        *out = value_real(str_is(name, "NaN")                 ? (double)NAN
                          : str_is(name, "NEGATIVE_INFINITY") ? -(double)INFINITY
                                                              : (double)INFINITY);
        return true;
    }
    if (str_is(name, "MAX_VALUE") || str_is(name, "MIN_VALUE")) {
        bool is_max = str_is(name, "MAX_VALUE");
        if (str_is(object.text, "Double") || str_is(object.text, "Float")) {
            const bool is_double = str_is(object.text, "Double");
            *out = value_real(is_double ? (is_max ? DBL_MAX : DBL_TRUE_MIN)
                                        : (is_max ? (double)FLT_MAX : (double)FLT_TRUE_MIN));
            out->is_float = !is_double;
            return true;
        }
        *out = str_is(object.text, "Long") ? value_long(is_max ? INT64_MAX : INT64_MIN)
                                           : value_int(is_max ? INT32_MAX : INT32_MIN);
        return true;
    }
    if (str_starts(name, STR("DELEGATE_")) || str_starts(name, STR("OWNER_"))) {
        *out = value_int(str_is(name, "OWNER_FIRST")      ? OWNER_FIRST
                         : str_is(name, "DELEGATE_FIRST") ? DELEGATE_FIRST
                         : str_is(name, "OWNER_ONLY")     ? OWNER_ONLY
                                                          : DELEGATE_ONLY);
        return true;
    }
    if (str_is(object.text, "Locale")) {
        *out = value_text(name);
        return true;
    }
    return interp_throw(in, at, "UnsupportedFeature", STR_FMT "." STR_FMT " is not available",
                        STR_ARG(object.text), STR_ARG(name));
}

/* Properties of plain values: what their getters would say. */
static bool
get_plain(struct interp *in, const struct node *at, struct value object, struct str name,
          struct value *out, bool *found)
{
    static const struct args none = {0};
    cleanup(strbuf_done) struct strbuf getter = {0};

    if (!class_get(in, at, object, name, out, found))
        return false;
    if (*found)
        return true;
    *found = true;
    if (str_is(name, "class")) {
        *out = value_class(object);
        return true;
    }
    if (object.type == V_CLOSURE && str_is(name, "delegate")) {
        *out =
            object.closure->delegate != NULL ? *object.closure->delegate : value_host(HOST_STEPS);
        return true;
    }
    if (object.type == V_CLOSURE && (str_is(name, "owner") || str_is(name, "thisObject"))) {
        *out = value_host(HOST_STEPS);
        return true;
    }
    /* message -> getMessage(), bytes -> getBytes() */
    strbuf_addf(&getter, "get%c" STR_FMT, name.len > 0 ? name.at[0] & ~0x20 : 'X',
                STR_ARG(str_slice(name, 1, name.len)));
    if (name.len == 0 || name.at[0] < 'a' || name.at[0] > 'z') {
        *found = false;
        return true;
    }
    return method_call(in, at, object, arena_dup(in->arena, strbuf_str(&getter)), &none, out,
                       found);
}

bool
delegate_get(struct interp *in, const struct node *at, const struct value *delegate,
             struct str name, struct value *out, bool *found)
{
    const struct value *member;

    if (delegate->type == V_MAP) {
        member = map_find(delegate->map, value_text(name));
        *found = member != NULL;
        if (*found)
            *out = *member;
        return true;
    }
    if (!class_get(in, at, *delegate, name, out, found))
        return false;
    return *found || delegate->type != V_EXCEPTION ||
           get_plain(in, at, *delegate, name, out, found);
}

bool
delegate_call(struct interp *in, const struct node *at, const struct value *delegate,
              struct str name, const struct args *args, struct value *out, bool *found)
{
    const struct value *member;

    if (class_is_instance(*delegate) ||
        (delegate->type == V_HOST && delegate->host == HOST_CLASS)) {
        if (!class_call(in, at, *delegate, name, args, out, found))
            return false;
        if (*found || delegate->type != V_EXCEPTION)
            return true;
    }
    if (delegate->type == V_MAP) {
        member = map_find(delegate->map, value_text(name));
        if (member != NULL && member->type == V_CLOSURE) {
            *found = true;
            return interp_call_with(in, member->closure, args, out);
        }
    }
    if (delegate->type == V_HOST && delegate->host == HOST_STEPS)
        return true;
    return method_call(in, at, *delegate, name, args, out, found);
}

static bool
get_property(struct interp *in, const struct node *at, struct value object, struct str name,
             struct value *out)
{
    bool is_known = false;

    *out = value_null();
    switch (object.type) {
    case V_NULL:
        return interp_throw(in, at, "NullPointerException",
                            "Cannot get property '" STR_FMT "' on null object", STR_ARG(name));
    case V_MAP:
        return interp_map_get(in, at, object.map, value_text(name), out);
    case V_LIST: { /* spreads, as Groovy does: list.name */
        struct value items = value_list(in->arena);
        if (str_is(name, "length")) { /* of an array; what steps give may be one in Jenkins */
            *out = value_int((int64_t)object.list->count);
            return true;
        }
        if (str_is(name, "class"))
            break;
        if (!interp_enter(in, at)) /* it may hold itself */
            return false;
        for (size_t i = 0; i < object.list->count; i++) {
            struct value one;
            if (!get_property(in, at, object.list->at[i], name, &one)) {
                in->depth--;
                return false;
            }
            list_add(in->arena, items.list, one);
        }
        in->depth--;
        *out = items;
        return true;
    }
    case V_HOST:
        if (object.host == HOST_CLASS)
            return get_of_class(in, at, object, name, out);
        if (object.host == HOST_STEPS) {
            struct node bare = {
                .type = N_NAME, .text = name, .line = at->line, .column = at->column};
            return interp_name(in, &bare, out);
        }
        if (in->world->get != NULL)
            return in->world->get(in, at, object, name, out);
        break;
    default:
        break;
    }
    if (object.type != V_HOST && !get_plain(in, at, object, name, out, &is_known))
        return false;
    if (is_known)
        return true;
    return interp_throw(in, at, "MissingPropertyException",
                        "No such property: " STR_FMT " for class: %s", STR_ARG(name),
                        value_type_name(object));
}

bool
interp_property(struct interp *in, const struct node *n, struct value *out)
{
    struct value object;
    struct str name;

    if (!interp_eval(in, n->a, &object) || !interp_member_name(in, n, &name))
        return false;
    if (object.type == V_NULL && (n->is_safe || n->is_spread)) {
        *out = value_null();
        return true;
    }
    if (n->is_spread && object.type == V_MAP)
        object = map_entries(in->arena, object.map);
    if (n->is_spread && object.type == V_LIST) {
        struct value items = value_list(in->arena);
        for (size_t i = 0; i < object.list->count; i++) {
            struct value one = value_null();
            if (object.list->at[i].type != V_NULL &&
                !get_property(in, n, object.list->at[i], name, &one))
                return false;
            list_add(in->arena, items.list, one);
        }
        *out = items;
        return true;
    }
    return get_property(in, n, object, name, out);
}

/* The place of index `i` in `count` things; negative ones count from the end. */
static bool
index_of(int64_t i, size_t count, size_t *out)
{
    if (i < 0)
        i += (int64_t)count;
    *out = (size_t)i;
    return i >= 0 && (size_t)i < count;
}

static bool
slice(struct interp *in, const struct node *n, struct value object, const struct list *range,
      struct value *out)
{
    struct value items = value_list(in->arena);
    cleanup(strbuf_done) struct strbuf text = {0};
    size_t count = object.type == V_TEXT ? text_count(object.text) : object.list->count;

    for (size_t i = 0; i < range->count; i++) {
        size_t at;
        if (!value_is_integer(range->at[i]) || !index_of(range->at[i].number, count, &at))
            return interp_throw(in, n, "IndexOutOfBoundsException", "the range is out of bounds");
        if (object.type == V_TEXT)
            strbuf_add(&text, text_part(object.text, at, at + 1));
        else
            list_add(in->arena, items.list, object.list->at[at]);
    }
    *out = object.type == V_TEXT ? value_text(arena_dup(in->arena, strbuf_str(&text))) : items;
    return true;
}

bool
interp_index_value(struct interp *in, const struct node *n, struct value object, struct value index,
                   struct value *out)
{
    size_t at;

    *out = value_null();
    index.is_gstring = false; /* m["${k}"] is the property of that name */
    if (object.type == V_MAP)
        return interp_map_get(in, n, object.map, index, out);
    if ((object.type == V_TEXT || object.type == V_LIST) && index.type == V_LIST)
        return slice(in, n, object, index.list, out);
    if (value_is_object(object, "Matcher")) {
        if (!value_is_integer(index) || !index_of(index.number, object.object->list->count, &at))
            return interp_throw(in, n, "IndexOutOfBoundsException",
                                "index is out of range %lld..%lld (index = %lld)",
                                -(long long)object.object->list->count,
                                (long long)object.object->list->count - 1,
                                value_is_integer(index) ? (long long)index.number : 0);
        *out = object.object->list->at[at];
        object.object->number = (int64_t)at;
        return true;
    }
    if (object.type == V_OBJECT || object.type == V_EXCEPTION)
        return get_property(in, n, object, interp_text(in, index), out);
    if (object.type == V_LIST && value_is_integer(index)) {
        if (index_of(index.number, object.list->count, &at)) {
            *out = object.list->at[at];
            return true;
        }
        if (index.number >= 0 && object.list->kind == LIST_ARRAY)
            return interp_throw(in, n, "ArrayIndexOutOfBoundsException",
                                "Index %lld out of bounds for length %zu",
                                (long long)index.number, object.list->count);
        if (index.number >= 0)
            return true; /* beyond the end reads null */
        return interp_throw(in, n, "ArrayIndexOutOfBoundsException",
                            "Negative array index [%lld] too large for array size %zu",
                            (long long)index.number, object.list->count);
    }
    if (object.type == V_TEXT && value_is_integer(index)) {
        if (!index_of(index.number, text_count(object.text), &at))
            return interp_throw(in, n, "StringIndexOutOfBoundsException",
                                "begin %lld, end %lld, length %zu", (long long)index.number,
                                (long long)index.number + 1, text_count(object.text));
        *out = value_text(text_part(object.text, at, at + 1));
        return true;
    }
    if (object.type == V_HOST && in->world->get != NULL)
        return in->world->get(in, n, object, interp_text(in, index), out);
    if (object.type == V_NULL)
        return interp_throw(in, n, "NullPointerException",
                            "Cannot invoke method getAt() on null object");
    return interp_throw(in, n, "MissingMethodException", "a %s cannot be indexed by a %s",
                        value_type_name(object), value_type_name(index));
}

/* l[1..-1]: ends below zero count from the end of what is indexed. */
static bool
eval_range_index(struct interp *in, const struct node *range, struct value object,
                 struct value *out)
{
    struct value ends[2];
    const int64_t count = object.type == V_TEXT   ? (int64_t)text_count(object.text)
                          : object.type == V_LIST ? (int64_t)object.list->count
                                                  : 0;

    if (!interp_eval(in, range->a, &ends[0]) || !interp_eval(in, range->b, &ends[1]))
        return false;
    for (size_t i = 0; i < 2; i++)
        if (value_is_integer(ends[i]) && ends[i].number < 0 && ends[i].number >= -count)
            ends[i].number += count;
    return operator_binary(in, range, range->op, ends[0], ends[1], out);
}

bool
interp_index(struct interp *in, const struct node *n, struct value *out)
{
    struct value object, index;

    if (!interp_eval(in, n->a, &object))
        return false;
    if (n->first == NULL)
        return interp_throw(in, n, "MissingMethodException", "an index is missing in '[]'");
    if (n->first->next != NULL) {
        index = value_list(in->arena);
        for (const struct node *i = n->first; i != NULL; i = i->next) {
            struct value one;
            if (!interp_eval(in, i, &one))
                return false;
            list_add(in->arena, index.list, one);
        }
    } else if (n->first->type == N_BINARY &&
               (n->first->op == T_RANGE || n->first->op == T_RANGE_OPEN)) {
        if (!eval_range_index(in, n->first, object, &index))
            return false;
    } else if (!interp_eval(in, n->first, &index)) {
        return false;
    }
    return interp_index_value(in, n, object, index, out);
}

static bool
assign_index(struct interp *in, const struct node *at, struct value object, struct value index,
             struct value v)
{
    size_t i;

    index.is_gstring = false;
    if (object.type == V_MAP) {
        if (object.map->count >= VALUE_ITEMS_MAX)
            return interp_throw(in, at, "OutOfMemoryError", "the map is too large");
        return interp_map_put(in, at, object.map, index, v);
    }
    if (object.type == V_LIST && value_is_integer(index) && !list_is_set(object.list) &&
        object.list->of == NULL) {
        if (object.list->kind == LIST_ARRAY && index.number >= (int64_t)object.list->count)
            return interp_throw(in, at, "ArrayIndexOutOfBoundsException",
                                "Index %lld out of bounds for length %zu",
                                (long long)index.number, object.list->count);
        if (index.number >= VALUE_ITEMS_MAX)
            return interp_throw(in, at, "OutOfMemoryError", "the list is too large");
        while (index.number >= (int64_t)object.list->count)
            list_add(in->arena, object.list, value_null());
        if (!index_of(index.number, object.list->count, &i))
            return interp_throw(in, at, "ArrayIndexOutOfBoundsException",
                                "Negative array index [%lld] too large", (long long)index.number);
        object.list->at[i] = v;
        return true;
    }
    if (object.type == V_HOST && in->world->set != NULL)
        return in->world->set(in, at, object, interp_text(in, index), v);
    if (object.type == V_NULL)
        return interp_throw(in, at, "NullPointerException",
                            "Cannot invoke method putAt() on null object");
    return interp_throw(in, at, "MissingMethodException",
                        "a %s takes no [%s] =", value_type_name(object), value_type_name(index));
}

/* A field of an object, or a key of a map, that is a delegate. */
static bool
assign_delegate(struct interp *in, const struct node *to, const struct value *delegate,
                struct value v, bool *done)
{
    if (delegate->type == V_MAP) {
        *done = true;
        return assign_index(in, to, *delegate, value_text(to->text), v);
    }
    return class_set(in, to, *delegate, to->text, v, done);
}

static bool
assign_name(struct interp *in, const struct node *to, struct value v)
{
    const struct value *delegate;
    bool done = false;

    for (struct scope *s = in->scope; s != NULL; s = s->parent) {
        for (struct variable *one = s->variables; one != NULL; one = one->next) {
            if (!str_equal(one->name, to->text))
                continue;
            if (one->type.len > 0 && !operator_cast(in, to, v, one->type, true, &v))
                return false;
            one->value = v;
            return true;
        }
        if (s->delegate != NULL && s->delegate_first &&
            !assign_delegate(in, to, s->delegate, v, &done))
            return false;
        if (done)
            return true;
    }
    delegate = scope_delegate(in->scope, false);
    if (delegate != NULL && !assign_delegate(in, to, delegate, v, &done))
        return false;
    if (!done)
        scope_declare(in, in->globals, to->text, v);
    return true;
}

/* closure.delegate = x */
static bool
assign_closure(struct interp *in, const struct node *to, struct closure *c, struct str name,
               struct value v)
{
    struct value *copy;

    if (str_is(name, "delegate")) {
        copy = arena_alloc(in->arena, sizeof(*copy));
        *copy = v;
        c->delegate = copy;
        return true;
    }
    if (str_is(name, "resolveStrategy") && v.type == V_INT && v.number >= OWNER_FIRST &&
        v.number <= DELEGATE_ONLY) {
        c->strategy = (enum closure_strategy)v.number;
        return true;
    }
    return interp_throw(in, to, "ReadOnlyPropertyException",
                        "Cannot set property '" STR_FMT "' of a closure", STR_ARG(name));
}

/* Stores into what the left side of an assignment names. */
bool
interp_assign_to(struct interp *in, const struct node *to, struct value v)
{
    struct value object, index;
    struct str name;
    bool is_known = false;

    if (to->type == N_NAME)
        return assign_name(in, to, v);
    if (to->type == N_UNSUPPORTED)
        return interp_eval(in, to, &object);
    if (to->type != N_INDEX && to->type != N_PROPERTY)
        return true; /* ++5: there is nothing to keep it in */
    if (!interp_eval(in, to->a, &object))
        return false;
    if (to->type == N_INDEX) {
        if (to->first == NULL)
            return interp_throw(in, to, "MissingMethodException", "an index is missing in '[]'");
        return interp_eval(in, to->first, &index) && assign_index(in, to, object, index, v);
    }
    if (!interp_member_name(in, to, &name))
        return false;
    if (object.type == V_MAP)
        return assign_index(in, to, object, value_text(name), v);
    if (object.type == V_HOST && object.host == HOST_STEPS) {
        struct node bare = {.type = N_NAME, .text = name, .line = to->line, .column = to->column};
        return interp_assign_to(in, &bare, v);
    }
    if (object.type == V_HOST && object.host != HOST_CLASS && in->world->set != NULL)
        return in->world->set(in, to, object, name, v);
    if (object.type == V_CLOSURE)
        return assign_closure(in, to, object.closure, name, v);
    if (value_is_object(object, "Entry") && str_is(name, "value"))
        return entry_set(in, to, object.object, v);
    if ((object.type == V_OBJECT || object.type == V_EXCEPTION || object.type == V_HOST) &&
        !class_set(in, to, object, name, v, &is_known))
        return false;
    if (is_known)
        return true;
    if (object.type == V_NULL)
        return interp_throw(in, to, "NullPointerException",
                            "Cannot set property '" STR_FMT "' on null object", STR_ARG(name));
    return interp_throw(in, to, "MissingPropertyException",
                        "No such property: " STR_FMT " for class: %s", STR_ARG(name),
                        value_type_name(object));
}

static enum token_type
operator_of(enum token_type op)
{
    switch (op) {
    case T_ADD_ASSIGN:
        return T_ADD;
    case T_SUB_ASSIGN:
        return T_SUB;
    case T_MUL_ASSIGN:
        return T_MUL;
    case T_DIV_ASSIGN:
        return T_DIV;
    case T_MOD_ASSIGN:
        return T_MOD;
    case T_POW_ASSIGN:
        return T_POW;
    case T_SHL_ASSIGN:
        return T_SHL;
    case T_SHR_ASSIGN:
        return T_SHR;
    case T_USHR_ASSIGN:
        return T_USHR;
    case T_OR_ASSIGN:
        return T_OR;
    case T_AND_ASSIGN:
        return T_AND;
    default:
        return T_XOR;
    }
}

bool
interp_assign(struct interp *in, const struct node *n, struct value *out)
{
    struct value before;

    if (n->op == T_ASSIGN)
        return interp_eval(in, n->b, out) && interp_assign_to(in, n->a, *out);
    return interp_eval(in, n->a, &before) && interp_eval(in, n->b, out) &&
           operator_binary(in, n, operator_of(n->op), before, *out, out) &&
           interp_assign_to(in, n->a, *out);
}

bool
interp_step(struct interp *in, const struct node *n, struct value *out)
{
    static const struct args none = {0};
    struct value before, after;

    if (!interp_eval(in, n->a, &before))
        return false;
    if (before.type == V_TEXT || (before.type == V_OBJECT && before.object->class_node != NULL)
            ? !interp_call_method(in, n, before,
                                  n->op == T_INCREMENT ? STR("next") : STR("previous"), &none,
                                  &after)
            : !operator_binary(in, n, n->op == T_INCREMENT ? T_ADD : T_SUB, before, value_int(1),
                               &after))
        return false;
    if (!interp_assign_to(in, n->a, after))
        return false;
    *out = n->type == N_POSTFIX ? before : after;
    return true;
}
