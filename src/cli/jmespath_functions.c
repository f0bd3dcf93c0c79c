/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include "cli/jmespath_tree.h"

static struct json *
wrong_type(struct err *err, const char *wanted)
{
    err_set(err, ERR_USAGE, "the argument must be %s", wanted);
    return NULL;
}

static struct json *
call_length(struct json **a, const struct node **nodes, int count, struct err *err)
{
    if (json_type(a[0]) == JSON_TEXT)
        return json_int((int64_t)text_characters(json_cstr(a[0], "")));
    if (json_type(a[0]) != JSON_ARRAY && json_type(a[0]) != JSON_OBJECT)
        return wrong_type(err, "a string, an array or an object");
    return json_int((int64_t)json_size(a[0]));
}

static struct json *
call_keys(struct json **a, const struct node **nodes, int count, struct err *err)
{
    struct json *out;

    if (json_type(a[0]) != JSON_OBJECT)
        return wrong_type(err, "an object");
    out = json_array();
    for (void *it = json_first(a[0]); it != NULL; it = json_next(a[0], it))
        json_append(out, json_text(json_key(it)));
    return out;
}

static struct json *
call_values(struct json **a, const struct node **nodes, int count, struct err *err)
{
    struct json *out;

    if (json_type(a[0]) != JSON_OBJECT)
        return wrong_type(err, "an object");
    out = json_array();
    for (void *it = json_first(a[0]); it != NULL; it = json_next(a[0], it))
        json_append(out, json_ref(json_value(it)));
    return out;
}

static struct json *
call_join(struct json **a, const struct node **nodes, int count, struct err *err)
{
    cleanup(strbuf_done) struct strbuf out = {0};

    if (json_type(a[0]) != JSON_TEXT || json_type(a[1]) != JSON_ARRAY)
        return wrong_type(err, "a string and an array of strings");
    for (size_t i = 0; i < json_size(a[1]); i++) {
        const char *text = json_cstr(json_at(a[1], i), NULL);

        if (text == NULL)
            return wrong_type(err, "a string and an array of strings");
        strbuf_addf(&out, "%s%s", i > 0 ? json_cstr(a[0], "") : "", text);
    }
    return json_str(strbuf_str(&out));
}

static struct json *
call_contains(struct json **a, const struct node **nodes, int count, struct err *err)
{
    if (json_type(a[0]) == JSON_TEXT)
        return json_bool(json_type(a[1]) == JSON_TEXT &&
                         strstr(json_cstr(a[0], ""), json_cstr(a[1], "")) != NULL);
    if (json_type(a[0]) != JSON_ARRAY)
        return wrong_type(err, "a string or an array");
    for (size_t i = 0; i < json_size(a[0]); i++)
        if (json_equal(json_at(a[0], i), a[1]))
            return json_bool(true);
    return json_bool(false);
}

static struct json *
call_starts_with(struct json **a, const struct node **nodes, int count, struct err *err)
{
    if (json_type(a[0]) != JSON_TEXT || json_type(a[1]) != JSON_TEXT)
        return wrong_type(err, "two strings");
    return json_bool(str_starts(str_of(json_cstr(a[0], "")), str_of(json_cstr(a[1], ""))));
}

static struct json *
call_ends_with(struct json **a, const struct node **nodes, int count, struct err *err)
{
    if (json_type(a[0]) != JSON_TEXT || json_type(a[1]) != JSON_TEXT)
        return wrong_type(err, "two strings");
    return json_bool(str_ends(str_of(json_cstr(a[0], "")), str_of(json_cstr(a[1], ""))));
}

static struct json *
call_to_string(struct json **a, const struct node **nodes, int count, struct err *err)
{
    cleanup_free char *text = NULL;

    if (json_type(a[0]) == JSON_TEXT)
        return json_ref(a[0]);
    text = json_format(a[0]);
    return json_text(text);
}

static struct json *
call_to_number(struct json **a, const struct node **nodes, int count, struct err *err)
{
    const char *text = json_cstr(a[0], NULL);
    int64_t whole;
    char *end = NULL;
    double real;

    if (json_type(a[0]) == JSON_INT || json_type(a[0]) == JSON_REAL)
        return json_ref(a[0]);
    if (text != NULL && str_to_i64(str_of(text), &whole))
        return json_int(whole);
    errno = 0;
    real = text != NULL ? strtod(text, &end) : 0;
    return text != NULL && end != text && *end == '\0' && errno == 0 ? json_real(real)
                                                                     : json_text(NULL);
}

static struct json *
call_not_null(struct json **a, const struct node **nodes, int count, struct err *err)
{
    for (int i = 0; i < count; i++)
        if (json_type(a[i]) != JSON_NULL)
            return json_ref(a[i]);
    return json_text(NULL);
}

static struct json *
call_type(struct json **a, const struct node **nodes, int count, struct err *err)
{
    static const char *const names[] = {
        [JSON_NONE] = "null",   [JSON_NULL] = "null",     [JSON_BOOL] = "boolean",
        [JSON_INT] = "number",  [JSON_REAL] = "number",   [JSON_TEXT] = "string",
        [JSON_ARRAY] = "array", [JSON_OBJECT] = "object",
    };
    return json_text(names[json_type(a[0])]);
}

static struct json *
call_reverse(struct json **a, const struct node **nodes, int count, struct err *err)
{
    struct json *out;

    if (json_type(a[0]) != JSON_ARRAY)
        return wrong_type(err, "an array");
    out = json_array();
    for (size_t i = json_size(a[0]); i > 0; i--)
        json_append(out, json_ref(json_at(a[0], i - 1)));
    return out;
}

static struct json *
call_sum(struct json **a, const struct node **nodes, int count, struct err *err)
{
    bool is_whole = true;
    int64_t whole = 0;
    double real = 0;

    if (json_type(a[0]) != JSON_ARRAY)
        return wrong_type(err, "an array of numbers");
    for (size_t i = 0; i < json_size(a[0]); i++) {
        const struct json *item = json_at(a[0], i);

        if (json_type(item) != JSON_INT && json_type(item) != JSON_REAL)
            return wrong_type(err, "an array of numbers");
        is_whole = is_whole && json_type(item) == JSON_INT;
        real += json_f64(item, 0);
        if (is_whole && __builtin_add_overflow(whole, json_i64(item, 0), &whole))
            is_whole = false;
    }
    return is_whole ? json_int(whole) : json_real(real);
}

/* ---- order: numbers or texts, never mixed ---- */

struct keyed {
    struct json *item, *key;
    size_t index; /* keeps qsort stable */
};

static int
keyed_compare(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int order;

    if (json_type(x->key) == JSON_TEXT) {
        order = strcmp(json_cstr(x->key, ""), json_cstr(y->key, ""));
    } else {
        const double p = json_f64(x->key, 0), q = json_f64(y->key, 0);

        order = p < q ? -1 : p > q;
    }
    return order != 0 ? order : x->index < y->index ? -1 : x->index > y->index;
}

static void
keyed_free(struct keyed *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_unref(list[i].key);
    free(list);
}

/* The items of `list`, sorted by themselves or by `reference`; NULL with err. */
static struct keyed *
keyed_sort(const struct json *list, const struct node *reference, struct err *err)
{
    const size_t count = json_size(list);
    struct keyed *sorted = mem_new((count + 1) * sizeof(*sorted));

    for (size_t i = 0; i < count; i++) {
        enum json_type type;
        bool is_text;

        sorted[i].item = json_at(list, i);
        sorted[i].index = i;
        sorted[i].key = reference != NULL
                            ? jmespath_eval_node(reference->left, json_at(list, i), err)
                            : json_ref(json_at(list, i));
        if (sorted[i].key == NULL) {
            keyed_free(sorted, i);
            return NULL;
        }
        type = json_type(sorted[i].key);
        is_text = type == JSON_TEXT;
        if ((!is_text && type != JSON_INT && type != JSON_REAL) ||
            (i > 0 && is_text != (json_type(sorted[0].key) == JSON_TEXT))) {
            wrong_type(err, "an array of strings or of numbers");
            keyed_free(sorted, i + 1);
            return NULL;
        }
    }
    qsort(sorted, count, sizeof(*sorted), keyed_compare);
    return sorted;
}

enum pick { PICK_ALL, PICK_FIRST, PICK_LAST };

static struct json *
sort_and_pick(struct json **a, const struct node **nodes, int count, enum pick pick,
              struct err *err)
{
    const struct node *reference = count > 1 ? nodes[1] : NULL;
    struct keyed *sorted;
    struct json *out;
    size_t size;

    if (json_type(a[0]) != JSON_ARRAY)
        return wrong_type(err, "an array");
    if (nodes[0]->kind == NODE_REFERENCE)
        return wrong_type(err, "an array and an expression (&name)");
    if (reference != NULL && reference->kind != NODE_REFERENCE)
        return wrong_type(err, "an array and an expression (&name)");
    size = json_size(a[0]);
    sorted = keyed_sort(a[0], reference, err);
    if (sorted == NULL)
        return NULL;
    if (pick == PICK_ALL) {
        out = json_array();
        for (size_t i = 0; i < size; i++)
            json_append(out, json_ref(sorted[i].item));
    } else if (size == 0) {
        out = json_text(NULL);
    } else {
        out = json_ref(sorted[pick == PICK_FIRST ? 0 : size - 1].item);
    }
    keyed_free(sorted, size);
    return out;
}

static struct json *
call_sort(struct json **a, const struct node **nodes, int count, struct err *err)
{
    return sort_and_pick(a, nodes, count, PICK_ALL, err);
}

static struct json *
call_min(struct json **a, const struct node **nodes, int count, struct err *err)
{
    return sort_and_pick(a, nodes, count, PICK_FIRST, err);
}

static struct json *
call_max(struct json **a, const struct node **nodes, int count, struct err *err)
{
    return sort_and_pick(a, nodes, count, PICK_LAST, err);
}

const struct jmespath_function *
jmespath_function_find(const char *name)
{
    static const struct jmespath_function functions[] = {
        {"length", 1, 1, call_length},
        {"keys", 1, 1, call_keys},
        {"values", 1, 1, call_values},
        {"join", 2, 2, call_join},
        {"contains", 2, 2, call_contains},
        {"starts_with", 2, 2, call_starts_with},
        {"ends_with", 2, 2, call_ends_with},
        {"to_string", 1, 1, call_to_string},
        {"to_number", 1, 1, call_to_number},
        {"not_null", 1, 8, call_not_null},
        {"type", 1, 1, call_type},
        {"reverse", 1, 1, call_reverse},
        {"sum", 1, 1, call_sum},
        {"sort", 1, 1, call_sort},
        {"min", 1, 1, call_min},
        {"max", 1, 1, call_max},
        {"sort_by", 2, 2, call_sort},
        {"min_by", 2, 2, call_min},
        {"max_by", 2, 2, call_max},
    };

    for (size_t i = 0; i < ARRAY_COUNT(functions); i++)
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    return NULL;
}
