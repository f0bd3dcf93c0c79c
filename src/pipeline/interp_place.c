/* SPDX-License-Identifier: MIT */
/* interp_place.c - properties and indexes, read and assigned to. */
#include "pipeline/interp_scope.h"

bool
interp_member_name(struct interp *in, const struct node *n, struct str *out)
{
    if (n->b == NULL) {
        *out = n->text;
        return true;
    }
    return interp_eval_text(in, n->b, out);
}

static bool
get_property(struct interp *in, const struct node *at, struct value object, struct str name,
             struct value *out)
{
    const struct value *found;

    *out = value_null();
    switch (object.type) {
    case V_NULL:
        return interp_throw(in, at, "NullPointerException",
                            "Cannot get property '" STR_FMT "' on null object", STR_ARG(name));
    case V_MAP:
        found = map_find(object.map, value_text(name));
        if (found != NULL)
            *out = *found;
        return true;
    case V_LIST: { /* spreads, as Groovy does: list.name */
        struct value items = value_list(in->arena);
        if (str_is(name, "length")) {
            *out = value_int((int64_t)object.list->count);
            return true;
        }
        for (size_t i = 0; i < object.list->count; i++) {
            struct value one;
            if (!get_property(in, at, object.list->at[i], name, &one))
                return false;
            list_add(in->arena, items.list, one);
        }
        *out = items;
        return true;
    }
    case V_EXCEPTION:
        if (str_is(name, "message")) {
            *out = value_text(object.exception->message);
            return true;
        }
        if (str_is(name, "class")) {
            *out = value_host(HOST_CLASS);
            out->text = object.exception->class_name;
            return true;
        }
        break;
    case V_HOST:
        if (object.host == HOST_CLASS && (str_is(name, "name") || str_is(name, "simpleName"))) {
            *out = value_text(object.text);
            return true;
        }
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
    size_t count = object.type == V_TEXT ? object.text.len : object.list->count;

    for (size_t i = 0; i < range->count; i++) {
        size_t at;
        if (!value_is_integer(range->at[i]) || !index_of(range->at[i].number, count, &at))
            return interp_throw(in, n, "IndexOutOfBoundsException", "the range is out of bounds");
        if (object.type == V_TEXT)
            strbuf_add_char(&text, object.text.at[at]);
        else
            list_add(in->arena, items.list, object.list->at[at]);
    }
    *out = object.type == V_TEXT ? value_text(arena_dup(in->arena, strbuf_str(&text))) : items;
    return true;
}

static bool
eval_index_of(struct interp *in, const struct node *n, struct value object, struct value index,
              struct value *out)
{
    size_t at;

    *out = value_null();
    if (object.type == V_MAP) {
        const struct value *found = map_find(object.map, index);
        if (found != NULL)
            *out = *found;
        return true;
    }
    if ((object.type == V_TEXT || object.type == V_LIST) && index.type == V_LIST)
        return slice(in, n, object, index.list, out);
    if (object.type == V_LIST && value_is_integer(index)) {
        if (index_of(index.number, object.list->count, &at)) {
            *out = object.list->at[at];
            return true;
        }
        if (index.number >= 0)
            return true; /* beyond the end reads null */
        return interp_throw(in, n, "ArrayIndexOutOfBoundsException",
                            "Negative array index [%lld] too large for array size %zu",
                            (long long)index.number, object.list->count);
    }
    if (object.type == V_TEXT && value_is_integer(index)) {
        if (!index_of(index.number, object.text.len, &at))
            return interp_throw(in, n, "StringIndexOutOfBoundsException",
                                "String index out of range: %lld", (long long)index.number);
        *out = value_text(str_slice(object.text, at, at + 1));
        return true;
    }
    if (object.type == V_HOST && in->world->get != NULL)
        return in->world->get(in, n, object, value_to_text(in->arena, index), out);
    if (object.type == V_NULL)
        return interp_throw(in, n, "NullPointerException",
                            "Cannot invoke method getAt() on null object");
    return interp_throw(in, n, "MissingMethodException", "a %s cannot be indexed by a %s",
                        value_type_name(object), value_type_name(index));
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
    } else if (!interp_eval(in, n->first, &index)) {
        return false;
    }
    return eval_index_of(in, n, object, index, out);
}

static bool
assign_index(struct interp *in, const struct node *at, struct value object, struct value index,
             struct value v)
{
    size_t i;

    if (object.type == V_MAP) {
        if (object.map->count >= VALUE_ITEMS_MAX)
            return interp_throw(in, at, "OutOfMemoryError", "the map is too large");
        map_put(in->arena, object.map, index, v);
        return true;
    }
    if (object.type == V_LIST && value_is_integer(index)) {
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
        return in->world->set(in, at, object, value_to_text(in->arena, index), v);
    return interp_throw(in, at, "MissingMethodException",
                        "a %s takes no [%s] =", value_type_name(object), value_type_name(index));
}

/* Stores into what the left side of an assignment names. */
static bool
assign(struct interp *in, const struct node *to, struct value v)
{
    struct value object, index;
    struct variable *variable;
    struct str name;

    if (to->type == N_NAME) {
        variable = scope_find(in->scope, to->text);
        if (variable != NULL && variable->type.len > 0 &&
            !operator_cast(in, to, v, variable->type, true, &v))
            return false;
        if (variable != NULL)
            variable->value = v;
        else
            scope_declare(in, in->globals, to->text, v);
        return true;
    }
    if (to->type == N_UNSUPPORTED)
        return interp_eval(in, to, &object);
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
        return assign(in, &bare, v);
    }
    if (object.type == V_HOST && in->world->set != NULL)
        return in->world->set(in, to, object, name, v);
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
        return interp_eval(in, n->b, out) && assign(in, n->a, *out);
    return interp_eval(in, n->a, &before) && interp_eval(in, n->b, out) &&
           operator_binary(in, n, operator_of(n->op), before, *out, out) && assign(in, n->a, *out);
}

bool
interp_step(struct interp *in, const struct node *n, struct value *out)
{
    struct value before, after;

    if (!interp_eval(in, n->a, &before) ||
        !operator_binary(in, n, n->op == T_INCREMENT ? T_ADD : T_SUB, before, value_int(1),
                         &after) ||
        !assign(in, n->a, after))
        return false;
    *out = n->type == N_POSTFIX ? before : after;
    return true;
}
