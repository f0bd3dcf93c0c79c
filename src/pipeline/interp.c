/* SPDX-License-Identifier: MIT */
#include "pipeline/interp_scope.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void
interp_init(struct interp *in, struct arena *arena, const struct interp_world *world)
{
    *in = (struct interp){.arena = arena, .world = world};
    in->globals = arena_alloc(arena, sizeof(*in->globals));
    in->scope = arena_alloc(arena, sizeof(*in->scope));
    in->scope->parent = in->globals;
}

void
interp_hoist(struct interp *in, const struct node *block)
{
    for (const struct node *n = block->first; n != NULL; n = n->next)
        if (n->type == N_METHOD && in->method_count < ARRAY_COUNT(in->methods))
            in->methods[in->method_count++] = n;
}

bool
interp_throw(struct interp *in, const struct node *at, const char *class_name, const char *format,
             ...)
{
    struct exception *e = arena_alloc(in->arena, sizeof(*e));
    char text[1200];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    e->class_name = arena_dup(in->arena, str_of(class_name));
    e->message = arena_dup(in->arena, str_of(text));
    if (at != NULL) {
        e->line = at->line;
        e->column = at->column;
    }
    return interp_rethrow(in, e);
}

bool
interp_rethrow(struct interp *in, struct exception *e)
{
    in->thrown = e;
    in->completion = COMPLETION_THROW;
    return false;
}

struct exception *
interp_catch(struct interp *in)
{
    struct exception *e = in->thrown;

    assert(in->completion == COMPLETION_THROW);
    in->thrown = NULL;
    in->completion = COMPLETION_NONE;
    return e;
}

struct scope *
scope_new(struct interp *in, struct scope *parent)
{
    struct scope *s = arena_alloc(in->arena, sizeof(*s));

    s->parent = parent;
    return s;
}

static struct variable *
scope_find(struct scope *s, struct str name)
{
    for (; s != NULL; s = s->parent)
        for (struct variable *v = s->variables; v != NULL; v = v->next)
            if (str_equal(v->name, name))
                return v;
    return NULL;
}

struct variable *
scope_declare(struct interp *in, struct scope *s, struct str name, struct value value)
{
    struct variable *v = arena_alloc(in->arena, sizeof(*v));

    v->name = name;
    v->value = value;
    v->next = s->variables;
    s->variables = v;
    return v;
}

static const struct node *
find_method(const struct interp *in, struct str name, size_t count)
{
    const struct node *best = NULL;

    for (size_t i = 0; i < in->method_count; i++) {
        size_t params = 0, required = 0;
        if (!str_equal(in->methods[i]->text, name))
            continue;
        for (const struct node *p = in->methods[i]->params; p != NULL; p = p->next) {
            params++;
            required += p->b == NULL;
        }
        if (count <= params && count >= required)
            return in->methods[i];
        best = in->methods[i];
    }
    return best;
}

bool
interp_enter(struct interp *in, const struct node *at)
{
    if (++in->depth > INTERP_DEPTH_MAX) {
        in->depth--;
        return interp_throw(in, at, "StackOverflowError", "the script calls itself too deeply");
    }
    if (in->arena->used > INTERP_MEMORY_MAX) {
        in->depth--;
        return interp_throw(in, at, "OutOfMemoryError",
                            "the script uses more than %u MiB of values", INTERP_MEMORY_MAX >> 20);
    }
    if ((++in->polls & 63) == 0 && in->world->poll != NULL && !in->world->poll(in, at)) {
        in->depth--;
        return false;
    }
    return true;
}

bool
interp_eval_text(struct interp *in, const struct node *n, struct str *out)
{
    struct value v;

    if (!interp_eval(in, n, &v))
        return false;
    *out = value_to_text(in->arena, v);
    return true;
}

static bool
eval_gstring(struct interp *in, const struct node *n, struct value *out)
{
    cleanup(strbuf_done) struct strbuf b = {0};

    for (const struct node *part = n->first; part != NULL; part = part->next) {
        struct value v;
        if (!interp_eval(in, part, &v))
            return false;
        value_format(v, &b);
        if (b.len > INTERP_TEXT_MAX)
            return interp_throw(in, n, "OutOfMemoryError", "the string is too long");
    }
    *out = value_text(arena_dup(in->arena, strbuf_str(&b)));
    out->is_gstring = true;
    return true;
}

static bool
is_class_name(struct str name)
{
    static const char *const known[] = {
        "String", "Integer", "Long",   "Boolean", "Math", "System",    "UUID",
        "Date",   "Double",  "Object", "List",    "Map",  "Exception",
    };

    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (str_is(name, known[i]))
            return true;
    return false;
}

static bool
eval_name(struct interp *in, const struct node *n, struct value *out)
{
    const struct variable *v = scope_find(in->scope, n->text);
    bool found = false;

    if (v != NULL) {
        *out = v->value;
        return true;
    }
    if (in->world->name != NULL && !in->world->name(in, n->text, out, &found))
        return false;
    if (found)
        return true;
    if (str_is(n->text, "this")) {
        *out = value_host(HOST_STEPS);
        return true;
    }
    if (is_class_name(n->text)) {
        *out = value_host(HOST_CLASS);
        out->text = n->text;
        return true;
    }
    return interp_throw(in, n, "MissingPropertyException", "No such property: " STR_FMT,
                        STR_ARG(n->text));
}

static bool
member_name(struct interp *in, const struct node *n, struct str *out)
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
            return eval_name(in, &bare, out);
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

static bool
eval_property(struct interp *in, const struct node *n, struct value *out)
{
    struct value object;
    struct str name;

    if (!interp_eval(in, n->a, &object) || !member_name(in, n, &name))
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

static bool
eval_index(struct interp *in, const struct node *n, struct value *out)
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

bool
interp_args(struct interp *in, const struct node *call, struct args *out)
{
    out->count = 0;
    out->named = NULL;
    for (const struct node *n = call->first; n != NULL; n = n->next) {
        struct value v, key;
        if (n->type == N_NAMED) {
            if (out->named == NULL)
                out->named = arena_alloc(in->arena, sizeof(*out->named));
            key = value_text(n->text);
            if ((n->a != NULL && !interp_eval(in, n->a, &key)) || !interp_eval(in, n->b, &v))
                return false;
            map_put(in->arena, out->named, key, v);
            continue;
        }
        if (!interp_eval(in, n, &v))
            return false;
        if (out->count == INTERP_ARGS_MAX)
            return interp_throw(in, call, "IllegalArgumentException",
                                "a call takes at most %d arguments", INTERP_ARGS_MAX);
        out->at[out->count++] = v;
    }
    return true;
}

static bool
bind_parameters(struct interp *in, const struct node *node, const struct value *args, size_t count)
{
    size_t params = 0, i = 0;

    if (!node->has_params) { /* the implicit one */
        scope_declare(in, in->scope, STR("it"), count > 0 ? args[0] : value_null());
        return true;
    }
    for (const struct node *p = node->params; p != NULL; p = p->next)
        params++;
    if (params > 1 && count == 1 && args[0].type == V_LIST && node->type == N_CLOSURE) {
        const struct list *spread = args[0].list;
        count = spread->count;
        args = spread->at;
    }
    if (count > params && (params > 0 || node->type == N_METHOD))
        return interp_throw(in, node, "MissingMethodException",
                            "too many arguments for '" STR_FMT "': %zu instead of %zu",
                            STR_ARG(node->text.len > 0 ? node->text : STR("a closure")), count,
                            params);
    for (const struct node *p = node->params; p != NULL; p = p->next, i++) {
        struct value v = value_null();
        if (i < count)
            v = args[i];
        else if (p->b != NULL && !interp_eval(in, p->b, &v))
            return false;
        else if (p->b == NULL && node->type == N_METHOD)
            return interp_throw(in, node, "MissingMethodException",
                                "'" STR_FMT "' needs the argument '" STR_FMT "'",
                                STR_ARG(node->text), STR_ARG(p->text));
        if (p->type_text.len > 0 && v.type != V_NULL &&
            !operator_cast(in, p, v, p->type_text, true, &v))
            return false;
        scope_declare(in, in->scope, p->text, v);
    }
    return true;
}

static bool
run_statements(struct interp *in, const struct node *first, struct value *out)
{
    *out = value_null();
    for (const struct node *n = first; n != NULL; n = n->next) {
        if (!interp_enter(in, n))
            return false;
        bool ok = interp_statement(in, n, out);
        in->depth--;
        if (!ok)
            return false;
    }
    return true;
}

bool
interp_call_closure(struct interp *in, const struct closure *c, const struct value *args,
                    size_t count, struct value *out)
{
    struct scope *before = in->scope;
    bool ok;

    in->scope = scope_new(in, c->scope);
    ok = bind_parameters(in, c->node, args, count) && run_statements(in, c->node->first, out);
    if (!ok && in->completion == COMPLETION_RETURN) {
        in->completion = COMPLETION_NONE;
        *out = in->result;
        ok = true;
    }
    in->scope = before;
    return ok;
}

/* Functions get named arguments as a leading map. */
static bool
call_with(struct interp *in, const struct closure *c, const struct args *args, struct value *out)
{
    struct value *all;

    if (args->named == NULL)
        return interp_call_closure(in, c, args->at, args->count, out);
    all = arena_alloc(in->arena, (args->count + 1) * sizeof(*all));
    all[0] = (struct value){.type = V_MAP, .map = args->named};
    memcpy(&all[1], args->at, args->count * sizeof(*all));
    return interp_call_closure(in, c, all, args->count + 1, out);
}

static bool
call_plain(struct interp *in, const struct node *n, struct str name, struct value *out)
{
    const struct variable *v = scope_find(in->scope, name);
    const struct node *method;
    struct args args;
    bool found = false;

    if (!interp_args(in, n, &args))
        return false;
    if (v != NULL && v->value.type == V_CLOSURE)
        return call_with(in, v->value.closure, &args, out);
    method = find_method(in, name, args.count + (args.named != NULL));
    if (method != NULL) {
        struct closure c = {.node = method, .scope = in->globals};
        return call_with(in, &c, &args, out);
    }
    *out = value_null();
    if (in->world->call != NULL) {
        struct node named = *n;
        named.text = name;
        if (!in->world->call(in, &named, &args, out, &found))
            return false;
    }
    if (found)
        return true;
    return interp_throw(in, n, "NoSuchMethodError", "No such DSL method '" STR_FMT "' found",
                        STR_ARG(name));
}

static bool
call_on(struct interp *in, const struct node *n, struct value object, struct str name,
        const struct args *args, struct value *out)
{
    bool found = false;

    *out = value_null();
    if (object.type == V_CLOSURE && str_is(name, "call"))
        return call_with(in, object.closure, args, out);
    if (object.type == V_MAP) { /* a closure kept in a map */
        const struct value *member = map_find(object.map, value_text(name));
        if (member != NULL && member->type == V_CLOSURE)
            return call_with(in, member->closure, args, out);
    }
    if (object.type == V_HOST && object.host == HOST_CLASS) {
        if (!method_static(in, n, object.text, name, args, out, &found))
            return false;
    } else if (object.type == V_HOST && in->world->method != NULL) {
        if (!in->world->method(in, n, object, name, args, out, &found))
            return false;
    }
    if (!found && !method_call(in, n, object, name, args, out, &found))
        return false;
    if (found)
        return true;
    if (object.type == V_NULL)
        return interp_throw(in, n, "NullPointerException",
                            "Cannot invoke method " STR_FMT "() on null object", STR_ARG(name));
    return interp_throw(in, n, "MissingMethodException",
                        "No such method: " STR_FMT "() for class: %s", STR_ARG(name),
                        value_type_name(object));
}

static bool
eval_call(struct interp *in, const struct node *n, struct value *out)
{
    struct value object;
    struct args args;
    struct str name;

    if (!member_name(in, n, &name))
        return false;
    if (n->a == NULL)
        return call_plain(in, n, name, out);
    if (!interp_eval(in, n->a, &object))
        return false;
    if (object.type == V_HOST && object.host == HOST_STEPS)
        return call_plain(in, n, name, out);
    if (object.type == V_NULL && (n->is_safe || n->is_spread)) {
        *out = value_null();
        return true;
    }
    if (!interp_args(in, n, &args))
        return false;
    if (n->is_spread && object.type == V_LIST) {
        struct value items = value_list(in->arena);
        for (size_t i = 0; i < object.list->count; i++) {
            struct value one;
            if (!call_on(in, n, object.list->at[i], name, &args, &one))
                return false;
            list_add(in->arena, items.list, one);
        }
        *out = items;
        return true;
    }
    return call_on(in, n, object, name, &args, out);
}

static bool
eval_list(struct interp *in, const struct node *n, struct value *out)
{
    struct value v = n->type == N_MAP ? value_map(in->arena) : value_list(in->arena);

    for (const struct node *item = n->first; item != NULL; item = item->next) {
        struct value one, key;
        if (item->type != N_NAMED) {
            if (!interp_eval(in, item, &one))
                return false;
            list_add(in->arena, v.list, one);
            continue;
        }
        key = value_text(item->text);
        if ((item->a != NULL && !interp_eval(in, item->a, &key)) || !interp_eval(in, item->b, &one))
            return false;
        map_put(in->arena, v.map, key, one);
    }
    *out = v;
    return true;
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
    if (!member_name(in, to, &name))
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

static bool
eval_assign(struct interp *in, const struct node *n, struct value *out)
{
    struct value before;

    if (n->op == T_ASSIGN)
        return interp_eval(in, n->b, out) && assign(in, n->a, *out);
    return interp_eval(in, n->a, &before) && interp_eval(in, n->b, out) &&
           operator_binary(in, n, operator_of(n->op), before, *out, out) && assign(in, n->a, *out);
}

static bool
eval_step(struct interp *in, const struct node *n, struct value *out)
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

static bool
eval_binary(struct interp *in, const struct node *n, struct value *out)
{
    struct value a, b;

    if (!interp_eval(in, n->a, &a))
        return false;
    if (n->op == T_AND_AND || n->op == T_OR_OR) {
        if (value_truth(a) == (n->op == T_OR_OR)) {
            *out = value_bool(n->op == T_OR_OR);
            return true;
        }
        if (!interp_eval(in, n->b, &b))
            return false;
        *out = value_bool(value_truth(b));
        return true;
    }
    return interp_eval(in, n->b, &b) && operator_binary(in, n, n->op, a, b, out);
}

static bool
eval_inner(struct interp *in, const struct node *n, struct value *out)
{
    struct value v, w;
    bool truth;

    switch (n->type) {
    case N_NULL:
        *out = value_null();
        return true;
    case N_BOOL:
        *out = value_bool(n->number != 0);
        return true;
    case N_INT:
        *out = n->is_long ? value_long(n->number) : value_int(n->number);
        return true;
    case N_DECIMAL:
        *out = (struct value){.type = V_DECIMAL, .number = n->number, .scale = n->scale};
        return true;
    case N_TEXT:
        *out = value_text(n->text);
        return true;
    case N_GSTRING:
        return eval_gstring(in, n, out);
    case N_NAME:
        return eval_name(in, n, out);
    case N_PROPERTY:
        return eval_property(in, n, out);
    case N_INDEX:
        return eval_index(in, n, out);
    case N_CALL:
        return eval_call(in, n, out);
    case N_LIST:
    case N_MAP:
        return eval_list(in, n, out);
    case N_UNARY:
        return interp_eval(in, n->a, &v) && operator_unary(in, n, n->op, v, out);
    case N_BINARY:
        return eval_binary(in, n, out);
    case N_IN:
        if (!interp_eval(in, n->a, &v) || !interp_eval(in, n->b, &w) ||
            !operator_in(in, v, w, &truth))
            return false;
        *out = value_bool(truth);
        return true;
    case N_INSTANCEOF:
        if (!interp_eval(in, n->a, &v))
            return false;
        *out = value_bool(operator_instanceof(v, n->text));
        return true;
    case N_CAST:
        return interp_eval(in, n->a, &v) && operator_cast(in, n, v, n->text, false, out);
    case N_TERNARY:
        if (!interp_eval(in, n->a, out))
            return false;
        if (n->b == NULL)
            return value_truth(*out) || interp_eval(in, n->c, out);
        return interp_eval(in, value_truth(*out) ? n->b : n->c, out);
    case N_ASSIGN:
        return eval_assign(in, n, out);
    case N_PREFIX:
    case N_POSTFIX:
        return eval_step(in, n, out);
    case N_CLOSURE: {
        struct closure *c = arena_alloc(in->arena, sizeof(*c));
        c->node = n;
        c->scope = in->scope;
        *out = (struct value){.type = V_CLOSURE, .closure = c};
        return true;
    }
    case N_NEW:
        return interp_new(in, n, out);
    case N_UNSUPPORTED:
        return interp_throw(in, n, "UnsupportedFeature", STR_FMT " is not supported",
                            STR_ARG(n->text));
    default:
        return interp_throw(in, n, "UnsupportedFeature", "this is not an expression");
    }
}

bool
interp_eval(struct interp *in, const struct node *n, struct value *out)
{
    bool ok;

    if (!interp_enter(in, n))
        return false;
    ok = eval_inner(in, n, out);
    in->depth--;
    return ok;
}

bool
interp_block(struct interp *in, const struct node *n, struct value *out)
{
    struct scope *before = in->scope;
    bool ok;

    in->scope = scope_new(in, before);
    ok = run_statements(in, n->first, out);
    in->scope = before;
    return ok;
}
