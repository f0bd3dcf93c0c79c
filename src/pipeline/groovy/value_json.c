/* SPDX-License-Identifier: MIT */
#include "pipeline/groovy/value_json.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#define DIGITS_MAX 18

static struct value
integer(int64_t n)
{
    return n >= INT32_MIN && n <= INT32_MAX ? value_int(n) : value_long(n);
}

/* The exponent behind 'e', or false. */
static bool
take_exponent(struct str *text, int64_t *out)
{
    ptrdiff_t e = str_index(*text, 'e');
    struct str digits;

    *out = 0;
    if (e < 0)
        e = str_index(*text, 'E');
    if (e < 0)
        return true;
    digits = str_slice(*text, (size_t)e + 1, text->len);
    if (digits.len > 0 && digits.at[0] == '+')
        digits = str_slice(digits, 1, digits.len);
    *text = str_slice(*text, 0, (size_t)e);
    return str_to_i64(digits, out) && *out >= -DIGITS_MAX && *out <= DIGITS_MAX;
}

bool
value_of_number(struct str text, struct value *out)
{
    int64_t exponent, scale = 0, n = 0;
    bool negative = text.len > 0 && text.at[0] == '-', point = false, any = false;

    if (str_to_i64(text, &n)) {
        *out = integer(n);
        return true;
    }
    if (!take_exponent(&text, &exponent))
        return false;
    n = 0;
    for (size_t i = negative; i < text.len; i++) {
        const char c = text.at[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (!isdigit((unsigned char)c) || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, c - '0', &n))
            return false;
        any = true;
        scale += point;
    }
    scale -= exponent;
    for (; scale < 0; scale++)
        if (__builtin_mul_overflow(n, 10, &n))
            return false;
    if (!any || scale > DIGITS_MAX)
        return false;
    *out = (struct value){
        .type = V_DECIMAL, .scale = (unsigned char)scale, .number = negative ? -n : n};
    return true;
}

static struct value
real(struct arena *a, double d)
{
    char text[64];
    struct value v;

    snprintf(text, sizeof(text), "%.15g", d);
    if (!value_of_number(str_of(text), &v))
        v = value_cstr(a, text);
    else if (v.type != V_DECIMAL)
        v = (struct value){.type = V_DECIMAL, .scale = 0, .number = v.number};
    return v;
}

static bool of_json(struct arena *a, const struct json *j, unsigned *left, struct value *out);

static bool
list_of_json(struct arena *a, const struct json *j, unsigned *left, struct value *out)
{
    struct value one;

    *out = value_list(a);
    list_reserve(a, out->list, json_size(j));
    for (size_t i = 0; i < json_size(j); i++) {
        if (!of_json(a, json_at(j, i), left, &one))
            return false;
        list_add(a, out->list, one);
    }
    return true;
}

static bool
map_of_json(struct arena *a, const struct json *j, unsigned *left, struct value *out)
{
    struct value one;

    *out = value_map(a);
    map_reserve(a, out->map, json_size(j));
    for (void *it = json_first(j); it != NULL; it = json_next(j, it)) {
        if (!of_json(a, json_value(it), left, &one))
            return false;
        map_put(a, out->map, value_cstr(a, json_key(it)), one);
    }
    return true;
}

static bool
of_json(struct arena *a, const struct json *j, unsigned *left, struct value *out)
{
    if (*left == 0)
        return false;
    --*left;
    switch (json_type(j)) {
    case JSON_BOOL:
        *out = value_bool(json_truth(j, false));
        return true;
    case JSON_INT:
        *out = integer(json_i64(j, 0));
        return true;
    case JSON_REAL:
        *out = real(a, json_f64(j, 0));
        return true;
    case JSON_TEXT:
        *out = value_cstr(a, json_cstr(j, ""));
        return true;
    case JSON_ARRAY:
        return list_of_json(a, j, left, out);
    case JSON_OBJECT:
        return map_of_json(a, j, left, out);
    default:
        *out = value_null();
        return true;
    }
}

bool
value_of_json(struct arena *a, const struct json *j, struct value *out)
{
    unsigned left = VALUE_READ_MAX;

    return of_json(a, j, &left, out);
}

static bool
to_json(struct arena *a, struct value v, struct json **out, unsigned depth, unsigned *left)
{
    struct json *one;

    if (depth >= VALUE_DEPTH_MAX || *left == 0)
        return false;
    --*left;
    switch (v.type) {
    case V_NULL:
        *out = json_text(NULL);
        return true;
    case V_BOOL:
        *out = json_bool(v.truth);
        return true;
    case V_INT:
    case V_LONG:
        *out = json_int(v.number);
        return true;
    case V_DECIMAL:
    case V_DOUBLE:
        *out = isfinite(value_as_real(v)) ? json_real(value_as_real(v)) : json_text(NULL);
        return true;
    case V_LIST:
        *out = json_array();
        for (size_t i = 0; i < v.list->count; i++) {
            if (!to_json(a, v.list->at[i], &one, depth + 1, left)) {
                json_unref(*out);
                return false;
            }
            json_append(*out, one);
        }
        return true;
    case V_MAP:
        *out = json_object();
        for (size_t i = 0; i < v.map->count; i++) {
            if (!to_json(a, v.map->at[i].value, &one, depth + 1, left)) {
                json_unref(*out);
                return false;
            }
            json_set(*out, arena_cstr(a, value_to_text(a, v.map->at[i].key)), one);
        }
        return true;
    default:
        *out = json_str(value_to_text(a, v));
        return true;
    }
}

bool
value_to_json(struct arena *a, struct value v, struct json **out)
{
    unsigned left = VALUE_WRITTEN_MAX;

    return to_json(a, v, out, 0, &left);
}
