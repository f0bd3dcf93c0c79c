/* SPDX-License-Identifier: MIT */
#include "pipeline/groovy/interp_scope.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/random.h"

void
interp_init(struct interp *in, struct arena *arena, const struct interp_world *world)
{
    *in = (struct interp){
        .arena = arena, .world = world, .evaluations_max = INTERP_EVALUATIONS_MAX};
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
        else if (n->type == N_CLASS)
            class_register(in, n);
}

bool
interp_throw(struct interp *in, const struct node *at, const char *class_name, const char *format,
             ...)
{
    struct exception *e = arena_alloc(in->arena, sizeof(*e));
    char text[INTERP_MESSAGE_MAX];
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

struct value
interp_settled(struct interp *in, struct value v)
{
    if (in->world->settle != NULL)
        in->world->settle(in, &v);
    return v;
}

int64_t
interp_now_ms(struct interp *in)
{
    return interp_settled(in, value_long(clock_wall_ms())).number;
}

uint32_t
interp_random_bits(struct interp *in)
{
    uint32_t bits;

    random_bytes(&bits, sizeof(bits));
    return (uint32_t)interp_settled(in, value_long(bits)).number;
}

struct exception *
interp_catch(struct interp *in)
{
    struct exception *e;

    assert(in->completion != COMPLETION_NONE);
    if (in->completion != COMPLETION_THROW) /* when { expression { break } } */
        (void)interp_throw(in, NULL, "IllegalStateException",
                           "'%s' stands where nothing can be left",
                           in->completion == COMPLETION_BREAK      ? "break"
                           : in->completion == COMPLETION_CONTINUE ? "continue"
                                                                   : "return");
    e = in->thrown;
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

struct variable *
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

bool
interp_eval_text(struct interp *in, const struct node *n, struct str *out)
{
    struct value v;

    return interp_eval(in, n, &v) && interp_to_text(in, n, v, out);
}

static bool
eval_part(struct interp *in, const struct node *part, struct str *out)
{
    struct value v;

    if (!interp_eval(in, part, &v))
        return false;
    if (part->type == N_CLOSURE && v.closure->node->params != NULL) { /* "${w -> w << 'x'}" */
        struct value writer = value_object(in->arena, "StringBuilder"), ignored;
        if (!interp_call_closure(in, v.closure, &writer, 1, &ignored))
            return false;
        v = writer;
    } else if (part->type == N_CLOSURE && !interp_call_closure(in, v.closure, NULL, 0, &v)) {
        return false;
    }
    return interp_to_text(in, part, v, out);
}

static bool
eval_gstring(struct interp *in, const struct node *n, struct value *out)
{
    cleanup(strbuf_done) struct strbuf b = {0};
    struct lazy_text *lazy = NULL;

    for (const struct node *part = n->first; part != NULL; part = part->next) {
        const size_t held = b.len;
        struct str text;
        bool ok;
        in->held += held;
        ok = eval_part(in, part, &text);
        in->held -= held;
        if (!ok)
            return false;
        strbuf_add(&b, text);
        if (b.len > INTERP_TEXT_MAX)
            return interp_throw(in, n, "OutOfMemoryError", "the string is too long");
        if (part->type == N_CLOSURE && lazy == NULL) {
            lazy = arena_alloc(in->arena, sizeof(*lazy));
            *lazy = (struct lazy_text){n, in->scope};
        }
    }
    *out = value_text(arena_dup(in->arena, strbuf_str(&b)));
    out->is_gstring = true;
    out->data = lazy;
    return true;
}

/* A variable's value; a text with ${-> ...} as it reads now. */
static bool
read_value(struct interp *in, struct value v, struct value *out)
{
    const struct lazy_text *lazy = v.data;
    struct scope *before = in->scope;
    bool ok;

    *out = v;
    if (v.type != V_TEXT || lazy == NULL)
        return true;
    if (!interp_enter(in, lazy->node))
        return false;
    in->scope = lazy->scope;
    ok = eval_gstring(in, lazy->node, out);
    in->scope = before;
    in->depth--;
    return ok;
}

static bool
is_package_root(struct str name)
{
    static const char *const known[] = {"groovy",  "hudson", "java", "javax",
                                        "jenkins", "org",    "com"};

    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (str_is(name, known[i]))
            return true;
    return false;
}

const struct value *
scope_delegate(const struct scope *s, bool first)
{
    for (; s != NULL; s = s->parent)
        if (s->delegate != NULL && s->delegate_first == first)
            return s->delegate;
    return NULL;
}

/* Outwards through variables and delegates that come first. */
static bool
find_name(struct interp *in, const struct node *n, struct value *out, bool *found)
{
    for (const struct scope *s = in->scope; s != NULL && !*found; s = s->parent) {
        for (const struct variable *v = s->variables; v != NULL; v = v->next)
            if (str_equal(v->name, n->text)) {
                *found = true;
                return read_value(in, v->value, out);
            }
        if (s->delegate != NULL && s->delegate_first &&
            !delegate_get(in, n, s->delegate, n->text, out, found))
            return false;
    }
    return true;
}

static struct value
class_value(struct str name)
{
    struct value v = value_host(HOST_CLASS);

    v.text = name;
    return v;
}

bool
interp_name(struct interp *in, const struct node *n, struct value *out)
{
    const struct value *delegate;
    bool found = false;

    if (!find_name(in, n, out, &found))
        return false;
    if (!found && in->world->name != NULL && !in->world->name(in, n->text, out, &found))
        return false;
    delegate = found ? NULL : scope_delegate(in->scope, false);
    if (delegate != NULL && !delegate_get(in, n, delegate, n->text, out, &found))
        return false;
    if (found)
        return true;
    if (str_is(n->text, "this") || str_is(n->text, "owner")) {
        *out = value_host(HOST_STEPS);
        return true;
    }
    /* The root of a package stands for itself until a class follows: java.util.UUID. */
    if (class_find(in, n->text) != NULL || object_is_class(n->text) || is_package_root(n->text)) {
        *out = class_value(n->text);
        return true;
    }
    return interp_throw(in, n, "MissingPropertyException",
                        "No such property: " STR_FMT " for class: groovy.lang.Binding",
                        STR_ARG(n->text));
}

static bool
too_many_arguments(struct interp *in, const struct node *call)
{
    return interp_throw(in, call, "IllegalArgumentException", "a call takes at most %d arguments",
                        INTERP_ARGS_MAX);
}

/* f(*list) and f(*: map) */
static bool
spread_args(struct interp *in, const struct node *call, const struct node *n, struct args *out)
{
    struct value v;

    if (!interp_eval(in, n->a, &v))
        return false;
    if (v.type == V_MAP && n->is_spread) {
        if (out->named == NULL)
            out->named = arena_alloc(in->arena, sizeof(*out->named));
        for (size_t i = 0; i < v.map->count; i++)
            map_put(in->arena, out->named, v.map->at[i].key, v.map->at[i].value);
        return true;
    }
    if (v.type != V_LIST)
        return interp_throw(in, n, "IllegalArgumentException", "'*' needs a list, not %s",
                            value_type_name(v));
    for (size_t i = 0; i < v.list->count; i++) {
        if (out->count == INTERP_ARGS_MAX)
            return too_many_arguments(in, call);
        out->at[out->count++] = v.list->at[i];
    }
    return true;
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
        if (n->type == N_SPREAD) {
            if (!spread_args(in, call, n, out))
                return false;
            continue;
        }
        if (!interp_eval(in, n, &v))
            return false;
        if (out->count == INTERP_ARGS_MAX)
            return too_many_arguments(in, call);
        out->at[out->count++] = v;
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

static struct scope *
closure_scope(struct interp *in, const struct closure *c)
{
    struct scope *s = scope_new(in, c->scope);

    if (c->delegate != NULL && c->strategy != OWNER_ONLY) {
        s->delegate = c->delegate;
        s->delegate_first = c->strategy != OWNER_FIRST;
    }
    return s;
}

/* With what curry() gave, and handed on to the second of `f >> g`. */
static bool
call_composed(struct interp *in, const struct closure *c, const struct value *args, size_t count,
              struct value *out)
{
    struct closure plain = *c;
    const size_t more = c->curried == NULL ? 0 : c->curried->count;
    struct value *all = arena_alloc(in->arena, (count + more + 1) * sizeof(*all));
    struct args given = {0};

    if (count > 0)
        memcpy(all + (c->is_curried_right ? 0 : more), args, count * sizeof(*all));
    if (more > 0)
        memcpy(all + (c->is_curried_right ? count : 0), c->curried->at, more * sizeof(*all));
    count += more;
    plain.curried = NULL;
    plain.then = NULL;
    if (c->node == NULL) {
        if (count > INTERP_ARGS_MAX)
            return too_many_arguments(in, NULL);
        memcpy(given.at, all, count * sizeof(*all));
        given.count = count;
        if (!interp_call_method(in, NULL, c->object, c->name, &given, out))
            return false;
    } else if (!interp_call_closure(in, &plain, all, count, out)) {
        return false;
    }
    return c->then == NULL || interp_call_closure(in, c->then, out, 1, out);
}

bool
interp_call_closure(struct interp *in, const struct closure *c, const struct value *args,
                    size_t count, struct value *out)
{
    struct scope *before = in->scope;
    bool ok;

    if (!interp_enter(in, c->node))
        return false;
    if (c->node == NULL || c->curried != NULL || c->then != NULL) {
        ok = call_composed(in, c, args, count, out);
        in->depth--;
        return ok;
    }
    in->scope = closure_scope(in, c);
    ok = method_bind(in, c->node, args, count) && run_statements(in, c->node->first, out);
    if (!ok && in->completion == COMPLETION_RETURN) {
        in->completion = COMPLETION_NONE;
        *out = in->result;
        ok = true;
    }
    in->scope = before;
    ok = ok && method_result(in, c->node, out);
    in->depth--;
    return ok;
}

/* Functions get named arguments as a leading map. */
bool
interp_call_with(struct interp *in, const struct closure *c, const struct args *args,
                 struct value *out)
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
    const struct node *method;
    const struct value *delegate;
    struct args args;
    bool found = false;

    if (!interp_args(in, n, &args))
        return false;
    *out = value_null();
    if (str_is(name, "super") || str_is(name, "this"))
        return class_super(in, n, name, &args);
    for (const struct scope *s = in->scope; s != NULL && !found; s = s->parent) {
        for (const struct variable *v = s->variables; v != NULL; v = v->next)
            if (v->value.type == V_CLOSURE && str_equal(v->name, name))
                return interp_call_with(in, v->value.closure, &args, out);
            else if (v->value.type == V_OBJECT && v->value.object->class_node != NULL &&
                     str_equal(v->name, name)) /* of a library: name() is name.call() */
                return interp_call_method(in, n, v->value, STR("call"), &args, out);
        if (s->delegate != NULL && s->delegate_first &&
            !delegate_call(in, n, s->delegate, name, &args, out, &found))
            return false;
    }
    if (found)
        return true;
    method = method_find(in, name, &args);
    if (method != NULL) {
        struct closure c = {.node = method, .scope = in->globals};
        return interp_call_with(in, &c, &args, out);
    }
    *out = value_null();
    if (in->world->call != NULL) {
        struct node named = *n;
        named.text = name;
        if (!in->world->call(in, &named, &args, out, &found))
            return false;
        in->evaluations = found ? 0 : in->evaluations;
    }
    delegate = found ? NULL : scope_delegate(in->scope, false);
    if (delegate != NULL && !delegate_call(in, n, delegate, name, &args, out, &found))
        return false;
    if (!found && str_is(name, "printf") && args.count > 0) {
        struct node echo = *n;
        struct value text;
        echo.text = STR("echo");
        if (!method_format(in, n, args.at, args.count, &text))
            return false;
        args = (struct args){.at = {text}, .count = 1};
        if (in->world->call != NULL && !in->world->call(in, &echo, &args, out, &found))
            return false;
    }
    if (!found && str_is(name, "sprintf") && args.count > 0)
        return method_format(in, n, args.at, args.count, out);
    if (found)
        return true;
    return interp_throw(in, n, "NoSuchMethodError", "No such DSL method '" STR_FMT "' found",
                        STR_ARG(name));
}

/* `object` has no such method: says so as Groovy does. */
static bool
no_method(struct interp *in, const struct node *n, struct value object, struct str name,
          const struct args *args)
{
    if (object.type == V_NULL)
        return interp_throw(in, n, "NullPointerException",
                            "Cannot invoke method " STR_FMT "() on null object", STR_ARG(name));
    if (object.type == V_HOST && object.host == HOST_CLASS &&
        (str_is(object.text, "System") || str_is(object.text, "Runtime")))
        return interp_throw(in, n, "RejectedAccessException",
                            "Scripts not permitted to use staticMethod java.lang." STR_FMT
                            " " STR_FMT,
                            STR_ARG(object.text), STR_ARG(name));
    if (object.type == V_HOST && object.host == HOST_CLASS)
        return interp_throw(in, n, "UnsupportedFeature", STR_FMT "." STR_FMT "() is not supported",
                            STR_ARG(object.text), STR_ARG(name));
    return interp_no_method(in, n, value_type_name(object), name, args);
}

bool
interp_call_method(struct interp *in, const struct node *n, struct value object, struct str name,
                   const struct args *args, struct value *out)
{
    static const struct node nowhere = {.type = N_CALL};
    bool found = false;

    *out = value_null();
    if (n == NULL)
        n = &nowhere;
    if (object.type == V_CLOSURE && (str_is(name, "call") || str_is(name, "doCall")))
        return interp_call_with(in, object.closure, args, out);
    if (object.type == V_MAP) { /* a closure kept in a map */
        const struct value *member = map_find(object.map, value_text(name));
        if (member != NULL && member->type == V_CLOSURE)
            return interp_call_with(in, member->closure, args, out);
    }
    if (object.type == V_HOST && object.host == HOST_STEPS) {
        struct node call = {.type = N_CALL, .text = name, .line = n->line, .column = n->column};
        const struct node *method = method_find(in, name, args);
        struct closure c = {.node = method, .scope = in->globals};
        if (method != NULL)
            return interp_call_with(in, &c, args, out);
        if (in->world->call != NULL && !in->world->call(in, &call, args, out, &found))
            return false;
    } else if (object.type == V_OBJECT || object.type == V_EXCEPTION ||
               (object.type == V_HOST && object.host == HOST_CLASS)) {
        if (!class_call(in, n, object, name, args, out, &found))
            return false;
        if (!found && object.type == V_HOST &&
            !method_static(in, n, object.text, name, args, out, &found))
            return false;
    } else if (object.type == V_HOST && in->world->method != NULL) {
        if (!in->world->method(in, n, object, name, args, out, &found))
            return false;
    }
    if (!found && !method_call(in, n, object, name, args, out, &found))
        return false;
    return found || no_method(in, n, object, name, args);
}

static bool
eval_call(struct interp *in, const struct node *n, struct value *out)
{
    struct value object;
    struct args args;
    struct str name;

    if (!interp_member_name(in, n, &name))
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
    if (n->is_spread && object.type == V_MAP)
        object = map_entries(in->arena, object.map);
    if (n->is_spread && object.type == V_LIST) {
        struct value items = value_list(in->arena);
        for (size_t i = 0; i < object.list->count; i++) {
            struct value one = value_null();
            if (object.list->at[i].type != V_NULL &&
                !interp_call_method(in, n, object.list->at[i], name, &args, &one))
                return false;
            list_add(in->arena, items.list, one);
        }
        *out = items;
        return true;
    }
    return interp_call_method(in, n, object, name, &args, out);
}

/* [*a, *b] and [*: m] */
static bool
spread_into(struct interp *in, const struct node *item, struct value to)
{
    struct value from;

    if (!interp_eval(in, item->a, &from))
        return false;
    if (from.type == V_NULL)
        return true;
    if (from.type != to.type)
        return interp_throw(in, item, "IllegalArgumentException", "'*' cannot spread %s here",
                            value_type_name(from));
    for (size_t i = 0; from.type == V_LIST && i < from.list->count; i++)
        list_add(in->arena, to.list, from.list->at[i]);
    return from.type != V_MAP || interp_map_put_all(in, item, to.map, from.map);
}

static bool
eval_list(struct interp *in, const struct node *n, struct value *out)
{
    struct value v = n->type == N_MAP ? value_map(in->arena) : value_list(in->arena);

    for (const struct node *item = n->first; item != NULL; item = item->next) {
        struct value one, key;
        if (item->type == N_SPREAD) {
            if (!spread_into(in, item, v))
                return false;
            continue;
        }
        if (item->type != N_NAMED) {
            if (!interp_eval(in, item, &one))
                return false;
            list_add(in->arena, v.list, one);
            continue;
        }
        key = value_text(item->text);
        if ((item->a != NULL && !interp_eval(in, item->a, &key)) || !interp_eval(in, item->b, &one))
            return false;
        if (!interp_map_put(in, item, v.map, key, one))
            return false;
    }
    *out = v;
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

/* object.&name */
static bool
eval_pointer(struct interp *in, const struct node *n, struct value *out)
{
    struct closure *c = arena_alloc(in->arena, sizeof(*c));

    if (!interp_eval(in, n->a, &c->object))
        return false;
    c->name = n->text;
    *out = (struct value){.type = V_CLOSURE, .closure = c};
    return true;
}

/* 1.5d, 1_000f */
static struct value
literal_real(const struct node *n)
{
    cleanup(strbuf_done) struct strbuf digits = {0};
    struct value v;

    for (size_t i = 0; i + 1 < n->text.len; i++)
        if (n->text.at[i] != '_')
            strbuf_add_char(&digits, n->text.at[i]);
    v = value_real(n->is_float ? (double)strtof(strbuf_cstr(&digits), NULL)
                               : strtod(strbuf_cstr(&digits), NULL));
    v.is_float = n->is_float;
    return v;
}

static struct value
literal_exact(const struct node *n)
{
    struct value v = {.type = V_BIG, .number = n->number};

    if (n->type == N_DECIMAL) {
        v.type = V_DECIMAL;
        v.scale = n->scale;
    } else if (n->wide == NULL && !n->is_big) {
        return n->is_long || n->number > INT32_MAX ? value_long(n->number) : value_int(n->number);
    }
    if (n->wide != NULL) {
        v.is_wide = true;
        v.magnitude = n->wide->magnitude;
    }
    return v;
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
    case N_DECIMAL:
        *out = n->is_float || n->is_double ? literal_real(n) : literal_exact(n);
        return true;
    case N_TEXT:
        *out = value_text(n->text);
        return true;
    case N_GSTRING:
        return eval_gstring(in, n, out);
    case N_NAME:
        return interp_name(in, n, out);
    case N_PROPERTY:
        return interp_property(in, n, out);
    case N_INDEX:
        return interp_index(in, n, out);
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
            !operator_in(in, n, v, w, &truth))
            return false;
        *out = value_bool(truth);
        return true;
    case N_INSTANCEOF:
        if (!interp_eval(in, n->a, &v))
            return false;
        *out = value_bool(operator_instanceof(v, n->text) || class_is(in, v, n->text));
        return true;
    case N_METHOD_POINTER:
        return eval_pointer(in, n, out);
    case N_CAST:
        return interp_eval(in, n->a, &v) && operator_cast(in, n, v, n->text, false, out);
    case N_TERNARY:
        if (!interp_eval(in, n->a, out))
            return false;
        if (n->b == NULL)
            return value_truth(*out) || interp_eval(in, n->c, out);
        return interp_eval(in, value_truth(*out) ? n->b : n->c, out);
    case N_ASSIGN:
        return interp_assign(in, n, out);
    case N_PREFIX:
    case N_POSTFIX:
        return interp_step(in, n, out);
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
    if (ok && out->type == V_LIST && out->list->of != NULL && !map_view_refresh(in, n, out->list))
        return false;
    /* interp_text() cannot fail itself */
    return ok && (in->evaluations < in->evaluations_max || interp_spend(in, n, 1));
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
