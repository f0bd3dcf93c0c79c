/* SPDX-License-Identifier: MIT */
#include "pipeline/groovy/value_json.h"

#include <ctype.h>
#include <math.h>

/* What is known while a document is read. jansson keeps numbers as 64 bits or doubles: it gets zeros,
 * and the numbers come from the text in turn. */
struct reading {
    struct arena *arena;
    struct str numbers; /* the text from the next number on */
    unsigned left;      /* how many more values are read */
};

static size_t
count_digits(struct str s, size_t from)
{
    size_t i = from;

    while (i < s.len && isdigit((unsigned char)s.at[i]))
        i++;
    return i - from;
}

/* How long the number at the front is as JSON has it; 0: there is none. */
static size_t
number_length(struct str s)
{
    size_t i = s.len > 0 && s.at[0] == '-', n = count_digits(s, i);

    if (n == 0 || (n > 1 && s.at[i] == '0'))
        return 0;
    i += n;
    if (i < s.len && s.at[i] == '.') {
        n = count_digits(s, i + 1);
        if (n == 0)
            return 0;
        i += 1 + n;
    }
    if (i < s.len && (s.at[i] | 32) == 'e') {
        i += 1 + (i + 1 < s.len && (s.at[i + 1] == '+' || s.at[i + 1] == '-'));
        n = count_digits(s, i);
        if (n == 0)
            return 0;
        i += n;
    }
    return i;
}

/* Behind the string that begins at the front. */
static size_t
string_length(struct str s)
{
    size_t i = 1;

    for (; i < s.len && s.at[i] != '"'; i++)
        i += s.at[i] == '\\';
    return i + 1 < s.len ? i + 1 : s.len;
}

/* The next number outside of strings; false: there are no more, or something that is none. */
static bool
next_number(struct str *rest, struct str *out)
{
    size_t i = 0, n;

    while (i < rest->len) {
        const struct str here = str_slice(*rest, i, rest->len);
        if (here.at[0] == '"') {
            i += string_length(here);
        } else if (here.at[0] != '-' && !isdigit((unsigned char)here.at[0])) {
            i++;
        } else {
            n = number_length(here);
            *out = str_slice(here, 0, n);
            *rest = str_slice(here, n, here.len);
            return n > 0;
        }
    }
    return false;
}

/* Numbers become zeros and blanks, so that everything else stays where it is. */
static void
hide_numbers(struct str text, struct strbuf *out)
{
    struct str rest = text, number;

    strbuf_add(out, text);
    while (next_number(&rest, &number)) {
        char *to = out->at + (number.at - text.at);
        memset(to, ' ', number.len);
        to[0] = '0';
    }
}

static bool of_json(struct reading *r, const struct json *j, struct value *out);

static bool
list_of_json(struct reading *r, const struct json *j, struct value *out)
{
    struct value one;

    *out = value_list(r->arena);
    list_reserve(r->arena, out->list, json_size(j));
    for (size_t i = 0; i < json_size(j); i++) {
        if (!of_json(r, json_at(j, i), &one))
            return false;
        list_add(r->arena, out->list, one);
    }
    return true;
}

static bool
map_of_json(struct reading *r, const struct json *j, struct value *out)
{
    struct value one;

    *out = value_map(r->arena);
    map_reserve(r->arena, out->map, json_size(j));
    for (void *it = json_first(j); it != NULL; it = json_next(j, it)) {
        if (!of_json(r, json_value(it), &one))
            return false;
        map_put(r->arena, out->map, value_cstr(r->arena, json_key(it)), one);
    }
    return true;
}

static bool
of_json(struct reading *r, const struct json *j, struct value *out)
{
    struct str number;

    if (r->left == 0 || json_size(j) > VALUE_ITEMS_MAX)
        return false;
    r->left--;
    switch (json_type(j)) {
    case JSON_BOOL:
        *out = value_bool(json_truth(j, false));
        return true;
    case JSON_INT:
        return next_number(&r->numbers, &number) && value_of_number(r->arena, number, out);
    case JSON_TEXT:
        *out = value_cstr(r->arena, json_cstr(j, ""));
        return true;
    case JSON_ARRAY:
        return list_of_json(r, j, out);
    case JSON_OBJECT:
        return map_of_json(r, j, out);
    default:
        *out = value_null();
        return true;
    }
}

bool
value_parse_json(struct arena *a, struct str text, struct value *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf hidden = {0};
    cleanup_json struct json *j = NULL;
    struct reading r = {a, text, VALUE_READ_MAX};

    hide_numbers(text, &hidden);
    j = json_parse(strbuf_str(&hidden), err);
    if (j == NULL)
        return false;
    return of_json(&r, j, out) ||
           err_set(err, ERR_VALIDATION,
                   "more than %u values, more than %u of them in a list or map, or a number of more "
                   "than %u digits",
                   VALUE_READ_MAX, VALUE_ITEMS_MAX, BIGNUM_DIGITS_MAX);
}

#define TEXT_COST_A_VISIT 64 /* what is made here is no longer than a text may be */

static bool
text_to_json(struct arena *a, struct value v, struct json **out, unsigned *left)
{
    struct str text;

    if (!value_take(value_text_cost(v) / TEXT_COST_A_VISIT, left))
        return false;
    text = value_to_text(a, v);
    if (!value_take(text.len / VALUE_BYTES_A_VISIT, left))
        return false;
    *out = value_is_number(v) ? json_formatted(text) : json_str(text);
    return true;
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
    case V_BIG:
    case V_DECIMAL:
        return text_to_json(a, v, out, left);
    case V_DOUBLE:
        *out = isfinite(v.real) ? json_real(v.real) : json_text(NULL);
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
            const struct value name = v.map->at[i].key;
            struct str key = {0};
            if (value_take(value_text_cost(name) / TEXT_COST_A_VISIT, left))
                key = value_to_text(a, name);
            if (*left == 0 || !value_take(key.len / VALUE_BYTES_A_VISIT, left)) {
                json_unref(one);
                json_unref(*out);
                return false;
            }
            json_set(*out, arena_cstr(a, key), one);
        }
        return true;
    default:
        return text_to_json(a, v, out, left);
    }
}

bool
value_to_json(struct arena *a, struct value v, struct json **out)
{
    unsigned left = VALUE_WRITTEN_MAX;

    return to_json(a, v, out, 0, &left);
}
