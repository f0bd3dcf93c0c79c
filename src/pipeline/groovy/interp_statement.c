/* SPDX-License-Identifier: MIT */
#include "pipeline/groovy/interp_scope.h"

/* new XException('message', cause) */
static struct value
new_exception(struct interp *in, const struct node *n, const struct args *args)
{
    struct exception *e = arena_alloc(in->arena, sizeof(*e));

    e->class_name = n->text;
    e->line = n->line;
    e->column = n->column;
    exception_say(in, e, args);
    return (struct value){.type = V_EXCEPTION, .exception = e};
}

/* new int[2][3]: what is not given a value is 0, false or null. */
static bool
new_array(struct interp *in, const struct node *n, const struct value *sizes, size_t count,
          struct value *out)
{
    const struct str type = n->text;

    *out = value_null();
    if (count == 0) {
        *out = str_is(type, "int") || str_is(type, "byte") || str_is(type, "short") ? value_int(0)
               : str_is(type, "long")                                               ? value_long(0)
               : str_is(type, "double") || str_is(type, "float") ? value_real(0)
               : str_is(type, "boolean")                         ? value_bool(false)
                                                                 : value_null();
        return true;
    }
    if (value_is_integer(sizes[0]) && sizes[0].number > VALUE_ITEMS_MAX)
        return interp_throw(in, n, "OutOfMemoryError", "the array is too large");
    if (!value_is_integer(sizes[0]) || sizes[0].number < 0)
        return interp_throw(in, n, "NegativeArraySizeException", STR_FMT,
                            STR_ARG(interp_text(in, sizes[0])));
    if (!interp_spend(in, n, (size_t)sizes[0].number))
        return false;
    *out = value_list(in->arena);
    out->list->kind = LIST_ARRAY;
    for (int64_t i = 0; i < sizes[0].number; i++) {
        struct value one;
        if (!new_array(in, n, sizes + 1, count - 1, &one))
            return false;
        list_add(in->arena, out->list, one);
    }
    return true;
}

bool
interp_new(struct interp *in, const struct node *n, struct value *out)
{
    struct class_info *own = class_find(in, n->text);
    bool found = false;
    struct args args;

    if (!interp_args(in, n, &args))
        return false;
    if (n->op == T_LBRACKET)
        return new_array(in, n, args.at, args.count, out);
    if (own != NULL)
        return class_new(in, n, own, &args, out);
    if (str_ends(n->text, STR("Exception")) || str_ends(n->text, STR("Error")) ||
        str_is(n->text, "Throwable")) {
        *out = new_exception(in, n, &args);
        return true;
    }
    if (!object_new(in, n, n->text, &args, out, &found))
        return false;
    return found || interp_throw(in, n, "UnsupportedFeature",
                                 "class '" STR_FMT "' is not available", STR_ARG(n->text));
}

static bool
run_body(struct interp *in, const struct node *n, struct value *out)
{
    return n->type == N_BLOCK ? interp_block(in, n, out) : interp_statement(in, n, out);
}

/* After the body of loop `n`: false when the loop ends; `*ok` is then its result. */
static bool
loop_goes_on(struct interp *in, const struct node *n, bool body_ok, bool *ok)
{
    if (body_ok)
        return true;
    if ((in->completion == COMPLETION_CONTINUE || in->completion == COMPLETION_BREAK) &&
        in->label.len > 0 && !str_equal(in->label, n->type_text)) {
        *ok = false; /* one further out is meant */
        return false;
    }
    if (in->completion == COMPLETION_CONTINUE) {
        in->completion = COMPLETION_NONE;
        return true;
    }
    *ok = in->completion == COMPLETION_BREAK;
    if (*ok)
        in->completion = COMPLETION_NONE;
    return false;
}

static bool
run_for_in(struct interp *in, const struct node *n)
{
    struct value over, ignored;
    struct scope *before = in->scope;
    struct variable *variable;
    struct object *iterator = NULL; /* gives what it has not given yet */
    bool ok = true;
    size_t count;

    if (!interp_eval(in, n->a, &over))
        return false;
    in->scope = scope_new(in, before);
    /* One variable for all rounds: closures made in the loop all see its last value. */
    variable = scope_declare(in, in->scope, n->text, value_null());
    if (value_is_object(over, "Iterator"))
        iterator = over.object;
    if (value_is_object(over, "Matcher") || iterator != NULL)
        over = (struct value){.type = V_LIST, .list = over.object->list};
    count = over.type == V_LIST   ? over.list->count
            : over.type == V_MAP  ? over.map->count
            : over.type == V_TEXT ? text_count(over.text)
            : over.type == V_NULL ? 0
                                  : 1;
    for (size_t i = 0; i < count; i++) {
        if (iterator != NULL) {
            if ((size_t)iterator->number >= over.list->count)
                break;
            variable->value = over.list->at[iterator->number++];
        } else if (over.type == V_LIST && i < over.list->count) {
            variable->value = over.list->at[i];
        } else if (over.type == V_MAP && i < over.map->count) {
            variable->value = value_entry_of(in->arena, over.map, i);
        } else if (over.type == V_TEXT) {
            variable->value = value_text(text_part(over.text, i, i + 1));
        } else if (over.type != V_LIST && over.type != V_MAP) {
            variable->value = over;
        } else {
            break;
        }
        if (!loop_goes_on(in, n, run_body(in, n->d, &ignored), &ok))
            break;
    }
    in->scope = before;
    return ok;
}

static bool
run_for(struct interp *in, const struct node *n)
{
    struct value v;
    struct scope *before = in->scope;
    bool ok = true;

    in->scope = scope_new(in, before);
    if (n->a != NULL)
        ok = interp_statement(in, n->a, &v);
    while (ok) {
        if (n->b != NULL) {
            ok = interp_eval(in, n->b, &v);
            if (!ok || !value_truth(v))
                break;
        }
        if (!interp_enter(in, n)) {
            ok = false;
            break;
        }
        in->depth--;
        if (!loop_goes_on(in, n, run_body(in, n->d, &v), &ok))
            break;
        if (n->c != NULL)
            ok = interp_eval(in, n->c, &v);
    }
    in->scope = before;
    return ok;
}

static bool
run_while(struct interp *in, const struct node *n)
{
    struct value v;
    bool ok = true;

    for (;;) {
        if (!interp_eval(in, n->a, &v))
            return false;
        if (!value_truth(v))
            return true;
        if (!loop_goes_on(in, n, run_body(in, n->b, &v), &ok))
            return ok;
    }
}

static bool
case_matches(struct interp *in, const struct node *at, struct value v, struct value test, bool *out)
{
    struct value result;

    *out = false;
    if (test.type == V_LIST)
        return operator_in(in, at, v, test, out);
    if (test.type == V_PATTERN)
        return regex_matches(in, at, interp_text(in, v), test.text, out);
    if (test.type == V_HOST && test.host == HOST_CLASS) {
        *out = operator_instanceof(v, test.text) || class_is(in, v, test.text);
        return true;
    }
    if (test.type == V_CLOSURE) {
        if (!interp_call_closure(in, test.closure, &v, 1, &result))
            return false;
        *out = value_truth(result);
        return true;
    }
    return interp_equal(in, at, v, test, EQUAL_BY_VALUE, out);
}

static bool
run_switch(struct interp *in, const struct node *n, struct value *out)
{
    const struct node *start = NULL;
    struct value v, test;
    bool matches = false;

    if (!interp_eval(in, n->a, &v))
        return false;
    for (const struct node *c = n->first; c != NULL && start == NULL; c = c->next) {
        if (c->a == NULL)
            continue;
        if (!interp_eval(in, c->a, &test) || !case_matches(in, c, v, test, &matches))
            return false;
        if (matches)
            start = c;
    }
    for (const struct node *c = n->first; c != NULL && start == NULL; c = c->next)
        if (c->a == NULL)
            start = c;
    for (const struct node *c = start; c != NULL; c = c->next) {
        if (interp_block(in, c, out))
            continue;
        if (in->completion != COMPLETION_BREAK || in->label.len > 0)
            return false;
        in->completion = COMPLETION_NONE;
        return true;
    }
    return true;
}

/* What a class of exceptions extends; nothing above Object. */
static struct str
parent_exception(struct str name)
{
    static const struct {
        const char *name, *parent;
    } rows[] = {
        {"Object", ""},
        {"Throwable", "Object"},
        {"Exception", "Throwable"},
        {"Error", "Throwable"},
        {"AssertionError", "Error"},
        {"PowerAssertionError", "AssertionError"},
        {"NoSuchMethodError", "Error"},
        {"StackOverflowError", "VirtualMachineError"},
        {"OutOfMemoryError", "VirtualMachineError"},
        {"VirtualMachineError", "Error"},
        {"RuntimeException", "Exception"},
        {"IOException", "Exception"},
        {"AbortException", "IOException"},
        {"FileNotFoundException", "IOException"},
        {"FlowInterruptedException", "InterruptedException"},
        {"InterruptedException", "Exception"},
        {"TimeoutException", "Exception"},
        {"CloneNotSupportedException", "Exception"},
        {"ParseException", "Exception"},
        {"URISyntaxException", "Exception"},
        {"NumberFormatException", "IllegalArgumentException"},
        {"DateTimeParseException", "DateTimeException"},
        {"PatternSyntaxException", "IllegalArgumentException"},
        {"ArrayIndexOutOfBoundsException", "IndexOutOfBoundsException"},
        {"StringIndexOutOfBoundsException", "IndexOutOfBoundsException"},
        {"GroovyCastException", "ClassCastException"},
        {"MissingPropertyException", "GroovyRuntimeException"},
        {"MissingMethodException", "GroovyRuntimeException"},
        {"ReadOnlyPropertyException", "MissingPropertyException"},
        {"RejectedAccessException", "SecurityException"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_is(name, rows[i].name))
            return str_of(rows[i].parent);
    return str_ends(name, STR("Error")) ? STR("Error") : STR("RuntimeException");
}

bool
exception_is(struct interp *in, const struct exception *e, struct str type)
{
    struct str name = e->class_name;

    /* Up through what it extends, in the file first. */
    for (unsigned i = 0; i < 16 && name.len > 0; i++) {
        const struct class_info *own = class_find(in, name);
        if (str_equal(type, name))
            return true;
        name = own != NULL ? own->node->type_text : parent_exception(name);
    }
    return str_is(type, "InterruptedException") && e->interruption != INTERRUPTED_NOT;
}

static bool
catches(struct interp *in, const struct node *c, const struct exception *e)
{
    if (e->is_final || c->params == NULL)
        return !e->is_final;
    for (const struct node *type = c->params; type != NULL; type = type->next)
        if (exception_is(in, e, type->text))
            return true;
    return false;
}

static bool
run_try(struct interp *in, const struct node *n, struct value *out)
{
    bool ok = run_body(in, n->a, out);
    enum completion completion;
    struct exception *thrown;
    struct value result, ignored;

    if (!ok && in->completion == COMPLETION_THROW)
        for (const struct node *c = n->first; c != NULL; c = c->next) {
            struct scope *before = in->scope;
            struct exception *e;
            if (!catches(in, c, in->thrown))
                continue;
            e = interp_catch(in);
            in->scope = scope_new(in, before);
            scope_declare(in, in->scope, c->text,
                          (struct value){.type = V_EXCEPTION, .exception = e});
            ok = run_body(in, c->b, out);
            in->scope = before;
            break;
        }
    if (n->b == NULL || (in->completion == COMPLETION_THROW && in->thrown->is_final))
        return ok;
    completion = in->completion;
    thrown = in->thrown;
    result = in->result;
    in->completion = COMPLETION_NONE;
    if (!run_body(in, n->b, &ignored))
        return false; /* what `finally` throws or returns wins */
    in->completion = completion;
    in->thrown = thrown;
    in->result = result;
    return ok;
}

static bool
run_throw(struct interp *in, const struct node *n)
{
    struct value v;

    if (!interp_eval(in, n->a, &v))
        return false;
    if (v.type != V_EXCEPTION)
        return interp_throw(in, n, "ClassCastException", "only an exception can be thrown, not %s",
                            value_type_name(v));
    return interp_rethrow(in, v.exception);
}

static bool
run_declare(struct interp *in, const struct node *n, struct value *out)
{
    struct variable *variable;

    *out = value_null();
    if (n->b != NULL && !interp_eval(in, n->b, out))
        return false;
    if (n->b == NULL && (str_is(n->type_text, "int") || str_is(n->type_text, "long")))
        *out = value_int(0);
    if (n->b == NULL && str_is(n->type_text, "boolean"))
        *out = value_bool(false);
    if (n->type_text.len > 0 && !operator_cast(in, n, *out, n->type_text, true, out))
        return false;
    variable = scope_declare(in, n->is_field ? in->globals : in->scope, n->text, *out);
    variable->type = n->type_text;
    return true;
}

static bool
run_declare_many(struct interp *in, const struct node *n, struct value *out)
{
    size_t i = 0;

    if (n->b == NULL) { /* int a = 1, b = 2 */
        for (const struct node *one = n->first; one != NULL; one = one->next)
            if (!run_declare(in, one, out))
                return false;
        return true;
    }
    if (!interp_eval(in, n->b, out))
        return false;
    if (out->type != V_LIST)
        return interp_throw(in, n, "MissingMethodException", "def (a, b) = needs a list");
    for (const struct node *one = n->first; one != NULL; one = one->next, i++) {
        struct value v = i < out->list->count ? out->list->at[i] : value_null();
        if (i >= out->list->count && out->list->kind == LIST_ARRAY)
            return interp_throw(in, n, "ArrayIndexOutOfBoundsException",
                                "Index %zu out of bounds for length %zu", i, out->list->count);
        if (one->is_field) { /* (a, b) = list: they are there already */
            if (!interp_assign_to(in, one->a, v))
                return false;
            continue;
        }
        if (one->type_text.len > 0 && !operator_cast(in, one, v, one->type_text, true, &v))
            return false;
        scope_declare(in, in->scope, one->text, v)->type = one->type_text;
    }
    return true;
}

/* "msg. Expression: (a == b). Values: a = 1, b = 2", or only the expression and its names. */
static bool
assertion_failed(struct interp *in, const struct node *n, const struct value *message)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const struct node *sides[] = {n->a->a, n->a->type == N_BINARY ? n->a->b : NULL, n->a};
    bool has_values = false;

    if (message != NULL) {
        if (!interp_format(in, n, *message, INTERP_MESSAGE_MAX, &text))
            return false;
        strbuf_add_cstr(&text, ". Expression: ");
    } else {
        strbuf_add_cstr(&text, "assert ");
    }
    strbuf_add(&text, n->text);
    for (size_t i = 0; i < ARRAY_COUNT(sides); i++) {
        struct value v;
        if (sides[i] == NULL || sides[i]->type != N_NAME)
            continue;
        if (!interp_name(in, sides[i], &v))
            return false;
        strbuf_add_cstr(&text, has_values ? ", " : ". Values: ");
        strbuf_addf(&text, STR_FMT " = ", STR_ARG(sides[i]->text));
        if (!interp_format(in, n, v, INTERP_MESSAGE_MAX, &text))
            return false;
        has_values = true;
    }
    return interp_throw(in, n, "AssertionError", "%s", strbuf_cstr(&text));
}

/* `import a.b.C as D`: D means C. */
static bool
run_import(struct interp *in, const struct node *n)
{
    struct value v = value_host(HOST_CLASS);

    v.text = n->text;
    if (n->type_text.len > 0)
        scope_declare(in, in->globals, n->type_text, v);
    return true;
}

/* @Library(['a', 'b@v']) is the step `library`, once for each. */
static bool
run_library(struct interp *in, const struct node *n, struct value *out)
{
    for (const struct node *arg = n->first; arg != NULL; arg = arg->next)
        for (const struct node *one = arg->type == N_LIST ? arg->first : arg; one != NULL;
             one = arg->type == N_LIST ? one->next : NULL) {
            const struct node call = {
                .type = N_CALL, .text = STR("library"), .line = n->line, .column = n->column};
            struct args args = {.count = 1};
            bool found = false;
            if (!interp_eval(in, one, &args.at[0]))
                return false;
            if (in->world->call != NULL && !in->world->call(in, &call, &args, out, &found))
                return false;
        }
    return true;
}

bool
interp_statement(struct interp *in, const struct node *n, struct value *out)
{
    struct value v;

    if (n->type != N_BREAK) /* `case 1: 'one'; break` gives 'one' */
        *out = value_null();
    switch (n->type) {
    case N_BLOCK:
        return interp_block(in, n, out);
    case N_DECLARE:
        return run_declare(in, n, out);
    case N_DECLARE_MANY:
        return run_declare_many(in, n, out);
    case N_IF:
        if (!interp_eval(in, n->a, &v))
            return false;
        if (value_truth(v))
            return run_body(in, n->b, out);
        return n->c == NULL || run_body(in, n->c, out);
    case N_FOR_IN:
        return run_for_in(in, n);
    case N_FOR:
        return run_for(in, n);
    case N_WHILE:
        return run_while(in, n);
    case N_SWITCH:
        return run_switch(in, n, out);
    case N_TRY:
        return run_try(in, n, out);
    case N_THROW:
        return run_throw(in, n);
    case N_RETURN:
        in->result = value_null();
        if (n->a != NULL && !interp_eval(in, n->a, &in->result))
            return false;
        in->completion = COMPLETION_RETURN;
        return false;
    case N_BREAK:
    case N_CONTINUE:
        in->completion = n->type == N_BREAK ? COMPLETION_BREAK : COMPLETION_CONTINUE;
        in->label = n->text;
        return false;
    case N_ASSERT:
        if (!interp_eval(in, n->a, &v))
            return false;
        if (value_truth(v))
            return true;
        if (n->b != NULL && !interp_eval(in, n->b, &v))
            return false;
        return assertion_failed(in, n, n->b != NULL ? &v : NULL);
    case N_IMPORT:
        return run_import(in, n);
    case N_LIBRARY:
        return run_library(in, n, out);
    case N_METHOD:
    case N_CLASS:
    case N_PASS:
        return true;
    default:
        return interp_eval(in, n, out);
    }
}
