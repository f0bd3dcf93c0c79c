/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "cli/jmespath_tree.h"

/* NULL is the failure of every function here, so "nothing" is always a JSON null. */
static struct json *
json_nothing(void)
{
    return json_text(NULL);
}

struct json *
jmespath_eval(const struct jmespath *path, const struct json *document, struct err *err)
{
    return jmespath_eval_node(path->root, document, err);
}

struct json *
jmespath_search(const char *expression, const struct json *document, struct err *err)
{
    cleanup(jmespath_free_) struct jmespath *path = jmespath_parse(str_of(expression), err);

    return path != NULL ? jmespath_eval(path, document, err) : NULL;
}

static bool
is_true(const struct json *j)
{
    switch (json_type(j)) {
    case JSON_NONE:
    case JSON_NULL:
        return false;
    case JSON_BOOL:
        return json_truth(j, false);
    case JSON_TEXT:
        return json_cstr(j, "")[0] != '\0';
    case JSON_ARRAY:
    case JSON_OBJECT:
        return json_size(j) > 0;
    default:
        return true;
    }
}

static bool
is_number(const struct json *j)
{
    return json_type(j) == JSON_INT || json_type(j) == JSON_REAL;
}

static struct json *
ref_or_null(const struct json *j)
{
    return j != NULL ? json_ref(j) : json_nothing();
}

/* Applies `each` to every item and leaves nulls out, as projections do. */
static struct json *
project(const struct json *list, const struct node *condition, const struct node *each,
        struct err *err)
{
    struct json *out;

    if (json_type(list) != JSON_ARRAY)
        return json_nothing();
    out = json_array();
    for (size_t i = 0; i < json_size(list); i++) {
        struct json *item;

        if (condition != NULL) {
            cleanup_json struct json *holds = jmespath_eval_node(condition, json_at(list, i), err);

            if (holds == NULL) {
                json_unref(out);
                return NULL;
            }
            if (!is_true(holds))
                continue;
        }
        item = jmespath_eval_node(each, json_at(list, i), err);
        if (item == NULL) {
            json_unref(out);
            return NULL;
        }
        if (json_type(item) == JSON_NULL)
            json_unref(item);
        else
            json_append(out, item);
    }
    return out;
}

static struct json *
object_values(const struct json *object)
{
    struct json *out;

    if (json_type(object) != JSON_OBJECT)
        return json_nothing();
    out = json_array();
    for (void *it = json_first(object); it != NULL; it = json_next(object, it))
        json_append(out, json_ref(json_value(it)));
    return out;
}

static struct json *
flatten(const struct json *list)
{
    struct json *out;

    if (json_type(list) != JSON_ARRAY)
        return json_nothing();
    out = json_array();
    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *item = json_at(list, i);

        if (json_type(item) != JSON_ARRAY) {
            json_append(out, json_ref(item));
            continue;
        }
        for (size_t k = 0; k < json_size(item); k++)
            json_append(out, json_ref(json_at(item, k)));
    }
    return out;
}

static int64_t
clamp(int64_t value, int64_t length, bool is_backward)
{
    if (value < 0)
        value += length;
    if (value < 0)
        return is_backward ? -1 : 0;
    if (value >= length)
        return is_backward ? length - 1 : length;
    return value;
}

static struct json *
slice(const struct node *n, const struct json *list)
{
    const int64_t length = (int64_t)json_size(list);
    const bool is_backward = n->step < 0;
    int64_t start, stop;
    struct json *out;

    if (json_type(list) != JSON_ARRAY)
        return json_nothing();
    start = n->has_start ? clamp(n->start, length, is_backward) : is_backward ? length - 1 : 0;
    stop = n->has_stop ? clamp(n->stop, length, is_backward) : is_backward ? -1 : length;
    out = json_array();
    for (int64_t i = start; is_backward ? i > stop : i < stop; i += n->step)
        json_append(out, json_ref(json_at(list, (size_t)i)));
    return out;
}

static struct json *
compare(const char *sign, const struct json *left, const struct json *right)
{
    double a, b;

    if (sign[0] == '=' || sign[0] == '!') {
        const bool is_same = is_number(left) && is_number(right)
                                 ? json_f64(left, 0) == json_f64(right, 0)
                                 : json_equal(left, right);
        return json_bool(is_same == (sign[0] == '='));
    }
    if (!is_number(left) || !is_number(right)) /* the order of other things is not defined */
        return json_nothing();
    a = json_f64(left, 0);
    b = json_f64(right, 0);
    if (sign[0] == '<')
        return json_bool(sign[1] == '=' ? a <= b : a < b);
    return json_bool(sign[1] == '=' ? a >= b : a > b);
}

static struct json *
select_items(const struct node *n, const struct json *value, struct err *err)
{
    struct json *out;

    if (value == NULL || json_type(value) == JSON_NULL)
        return json_nothing();
    out = n->kind == NODE_HASH ? json_object() : json_array();
    for (const struct node *item = n->items; item != NULL; item = item->next) {
        struct json *got = jmespath_eval_node(item, value, err);

        if (got == NULL) {
            json_unref(out);
            return NULL;
        }
        if (n->kind == NODE_HASH)
            json_set(out, item->key, got);
        else
            json_append(out, got);
    }
    return out;
}

#define ARGUMENTS_MAX 8

static struct json *
call(const struct node *n, const struct json *value, struct err *err)
{
    const struct jmespath_function *function = jmespath_function_find(n->text);
    struct json *arguments[ARGUMENTS_MAX] = {0}, *result = NULL;
    const struct node *nodes[ARGUMENTS_MAX] = {0};
    bool is_good = true;
    int count = 0;

    for (const struct node *item = n->items; item != NULL && is_good && count < ARGUMENTS_MAX;
         item = item->next) {
        nodes[count] = item;
        if (item->kind == NODE_REFERENCE && !str_ends(str_of(n->text), STR("_by"))) {
            is_good = err_set(err, ERR_USAGE, "Bad value for --query: %s() takes no '&'", n->text);
        } else if (item->kind != NODE_REFERENCE) {
            arguments[count] = jmespath_eval_node(item, value, err);
            is_good = arguments[count] != NULL;
        }
        count++;
    }
    if (is_good)
        result = function->call(arguments, nodes, count, err);
    if (is_good && result == NULL)
        err_context(err, "Bad value for --query: %s()", n->text);
    for (int i = 0; i < count; i++)
        json_unref(arguments[i]);
    return result;
}

static struct json *
eval_binary(const struct node *n, const struct json *left, const struct json *value,
            struct err *err)
{
    cleanup_json struct json *right = NULL;

    switch (n->kind) {
    case NODE_SUB:
        return jmespath_eval_node(n->right, left, err);
    case NODE_PROJECTION:
        return project(left, NULL, n->right, err);
    case NODE_FILTER:
        return project(left, n->condition, n->right, err);
    case NODE_VALUES: {
        cleanup_json struct json *values = object_values(left);

        return project(values, NULL, n->right, err);
    }
    case NODE_AND:
        return is_true(left) ? jmespath_eval_node(n->right, value, err) : json_ref(left);
    case NODE_OR:
        return is_true(left) ? json_ref(left) : jmespath_eval_node(n->right, value, err);
    default:
        right = jmespath_eval_node(n->right, value, err);
        return right != NULL ? compare(n->text, left, right) : NULL;
    }
}

struct json *
jmespath_eval_node(const struct node *n, const struct json *value, struct err *err)
{
    cleanup_json struct json *left = NULL;

    switch (n->kind) {
    case NODE_CURRENT:
        return ref_or_null(value);
    case NODE_FIELD:
        return ref_or_null(json_type(value) == JSON_OBJECT ? json_get(value, n->text) : NULL);
    case NODE_LITERAL:
        return json_ref(n->literal);
    case NODE_LIST:
    case NODE_HASH:
        return select_items(n, value, err);
    case NODE_CALL:
        return call(n, value, err);
    case NODE_REFERENCE:
        err_set(err, ERR_USAGE, "Bad value for --query: '&' is for arguments of functions");
        return NULL;
    default:
        break;
    }
    left = jmespath_eval_node(n->left, value, err);
    if (left == NULL)
        return NULL;
    switch (n->kind) {
    case NODE_INDEX: {
        const int64_t index = n->start < 0 ? n->start + (int64_t)json_size(left) : n->start;

        if (json_type(left) != JSON_ARRAY || index < 0 || (size_t)index >= json_size(left))
            return json_nothing();
        return json_ref(json_at(left, (size_t)index));
    }
    case NODE_SLICE:
        return slice(n, left);
    case NODE_FLATTEN:
        return flatten(left);
    case NODE_NOT:
        return json_bool(!is_true(left));
    default:
        return eval_binary(n, left, value, err);
    }
}
