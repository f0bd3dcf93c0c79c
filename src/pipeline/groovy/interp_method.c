/* SPDX-License-Identifier: MIT */
/* interp_method.c - which of several functions of a name a call means, and how arguments become
 * parameters. */
#include "pipeline/groovy/interp_scope.h"

#include <ctype.h>

#define SHOWN_MAX 60 /* characters of an argument */
#define UTF8_MAX 4   /* bytes of one */

static const struct {
    const char *name, *boxed;
} primitives[] = {
    {"int", "Integer"},   {"long", "Long"},   {"boolean", "Boolean"},
    {"double", "Double"}, {"float", "Float"}, {"char", "Character"},
};

static bool
is_primitive(struct str type)
{
    return type.len > 0 && islower((unsigned char)type.at[0]) && !str_ends(type, STR("[]"));
}

/* How well a value suits a declared type; -1: not at all. */
static int
fit(struct interp *in, struct str type, struct value v)
{
    if (type.len == 0 || str_is(type, "Object") || str_is(type, "def"))
        return 1;
    if (v.type == V_NULL)
        return is_primitive(type) ? -1 : 1;
    for (size_t i = 0; i < ARRAY_COUNT(primitives); i++)
        if (str_is(type, primitives[i].name))
            type = str_of(primitives[i].boxed);
    if (operator_instanceof(v, type) || class_is(in, v, type))
        return str_is(type, "Number") || str_is(type, "Collection") || str_is(type, "CharSequence")
                   ? 6
                   : 8;
    if (v.type == V_TEXT && str_is(type, "String"))
        return 7;
    if (value_is_number(v) && (str_is(type, "Long") || str_is(type, "Double") ||
                               str_is(type, "Float") || str_is(type, "BigDecimal")))
        return 4;
    if (str_ends(type, STR("[]")))
        return v.type == V_LIST ? 2 : -1;
    return object_is_class(type) || class_find(in, type) != NULL || is_primitive(type) ? -1 : 1;
}

/* The named arguments, which come first as a map, then the others. */
static struct value
argument(const struct args *args, size_t i)
{
    if (args->named == NULL)
        return args->at[i];
    return i == 0 ? (struct value){.type = V_MAP, .map = args->named} : args->at[i - 1];
}

bool
method_takes(const struct node *method, size_t count)
{
    size_t least = 0, most = 0;

    for (const struct node *p = method->params; p != NULL; p = p->next) {
        least += p->b == NULL && !p->is_spread;
        most = p->is_spread ? SIZE_MAX : most + 1;
    }
    return count >= least && count <= most;
}

/* How well the arguments suit the declared types, whose number is right; -1: not at all. */
static int
fit_all(struct interp *in, const struct node *method, const struct args *args)
{
    const size_t count = args->count + (args->named != NULL);
    size_t required = 0, optional, i = 0;
    int sum = 0;

    for (const struct node *p = method->params; p != NULL; p = p->next)
        required += p->b == NULL && !p->is_spread;
    optional = count - required;
    for (const struct node *p = method->params; p != NULL && i < count && !p->is_spread;
         p = p->next) {
        int one;
        if (p->b != NULL && optional == 0)
            continue;
        optional -= p->b != NULL;
        one = fit(in, p->type_text, argument(args, i++));
        if (one < 0)
            return -1;
        sum += one;
    }
    return sum;
}

void
method_consider(struct interp *in, const struct node *one, const struct args *args,
                struct method_choice *choice)
{
    int sum;

    choice->named = choice->named == NULL ? one : choice->named;
    if (!method_takes(one, args->count + (args->named != NULL)))
        return;
    choice->taking = choice->taking == NULL ? one : choice->taking;
    sum = fit_all(in, one, args);
    if (sum >= 0 && (choice->best == NULL || sum > choice->fit)) {
        choice->best = one;
        choice->fit = sum;
    }
}

const struct node *
method_chosen(const struct method_choice *choice)
{
    return choice->best != NULL     ? choice->best
           : choice->taking != NULL ? choice->taking
                                    : choice->named;
}

const struct node *
method_find(struct interp *in, struct str name, const struct args *args)
{
    struct method_choice choice = {0};

    for (size_t i = 0; i < in->method_count; i++)
        if (str_equal(in->methods[i]->text, name))
            method_consider(in, in->methods[i], args, &choice);
    return method_chosen(&choice);
}

/* What `T... rest` gets: an array is itself, all else becomes one. */
static struct value
rest_of(struct interp *in, const struct value *args, size_t count)
{
    struct value rest = value_list(in->arena);

    if (count == 1 && args[0].type == V_LIST && args[0].list->kind == LIST_ARRAY)
        return args[0];
    rest.list->kind = LIST_ARRAY;
    for (size_t i = 0; i < count; i++)
        list_add(in->arena, rest.list, args[i]);
    return rest;
}

bool
method_bind(struct interp *in, const struct node *node, const struct value *args, size_t count)
{
    size_t params = 0, required = 0, i = 0, optional;
    bool is_open = false;

    if (!node->has_params) { /* the implicit one */
        scope_declare(in, in->scope, STR("it"), count > 0 ? args[0] : value_null());
        return true;
    }
    for (const struct node *p = node->params; p != NULL; p = p->next) {
        params++;
        required += p->b == NULL && !p->is_spread;
        is_open = is_open || p->is_spread;
    }
    if (params > 1 && count == 1 && args[0].type == V_LIST && node->type == N_CLOSURE) {
        const struct list *spread = args[0].list;
        count = spread->count;
        args = spread->at;
    }
    if (count > params && !is_open)
        return interp_throw(in, node, "MissingMethodException",
                            "too many arguments for '" STR_FMT "': %zu instead of %zu",
                            STR_ARG(node->text.len > 0 ? node->text : STR("a closure")), count,
                            params);
    /* What is given beyond the required ones goes to the first of those with defaults. */
    optional = count > required ? count - required : 0;
    for (const struct node *p = node->params; p != NULL; p = p->next) {
        const bool is_given = i < count && (p->b == NULL || optional > 0);
        struct value v = value_null();
        if (p->is_spread) {
            scope_declare(in, in->scope, p->text,
                          rest_of(in, i == 0 ? args : args + i, count - i));
            return true;
        }
        optional -= is_given && p->b != NULL;
        if (is_given)
            v = args[i++];
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

bool
method_result(struct interp *in, const struct node *node, struct value *out)
{
    if (node->type != N_METHOD || node->type_text.len == 0)
        return true;
    if (str_is(node->type_text, "void"))
        *out = value_null();
    return out->type == V_NULL || operator_cast(in, node, *out, node->type_text, true, out);
}

/* The beginning of what a value reads as. Of a list or a map no more is made: it may hold numbers that
 * take long. */
static bool
add_shown(struct interp *in, const struct node *at, struct value v, struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf start = {0};
    struct str text, shown;

    if (!interp_format(in, at, v, SHOWN_MAX * UTF8_MAX, &start))
        return false;
    text = strbuf_str(&start);
    shown = text_part(text, 0, SHOWN_MAX);
    strbuf_add(out, shown);
    if (shown.len < text.len)
        strbuf_add_cstr(out, "...");
    return true;
}

bool
interp_no_method(struct interp *in, const struct node *at, const char *class_name, struct str name,
                 const struct args *args)
{
    cleanup(strbuf_done) struct strbuf types = {0}, values = {0};
    const size_t count = args->count + (args->named != NULL);

    for (size_t i = 0; i < count; i++) {
        strbuf_addf(&types, "%s%s", i == 0 ? "" : ", ", value_type_name(argument(args, i)));
        strbuf_add_cstr(&values, i == 0 ? "" : ", ");
        if (!add_shown(in, at, argument(args, i), &values))
            return false;
    }
    return interp_throw(in, at, "MissingMethodException",
                        "No signature of method: %s." STR_FMT
                        "() is applicable for argument types: (%s) values: [%s]",
                        class_name, STR_ARG(name), strbuf_cstr(&types), strbuf_cstr(&values));
}
