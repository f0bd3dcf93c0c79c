/* SPDX-License-Identifier: MIT */
#include "cli/shorthand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"

#define DEPTH_MAX 16

struct cursor {
    struct str text;
    size_t at;
    int depth;
    struct err *err;
};

static struct json *parse_pairs(struct cursor *c, char end);
static struct json *parse_value(struct cursor *c, char end);
static struct json *coerce_scalar(const struct json *value, const struct shape *shape,
                                  const char *path, bool is_lenient, struct err *err);
static struct json *coerce_structure(const struct json *value, const struct shape *shape,
                                     const char *path, bool is_lenient, struct err *err);

static char
peek(const struct cursor *c)
{
    return c->at < c->text.len ? c->text.at[c->at] : '\0';
}

static void
skip_blanks(struct cursor *c)
{
    while (peek(c) == ' ' || peek(c) == '\t' || peek(c) == '\n')
        c->at++;
}

static struct json *
fail_at(const struct cursor *c, const char *expected)
{
    err_set(c->err, ERR_USAGE,
            "Error parsing parameter: Expected: '%s', received: '%.1s' for input: " STR_FMT
            " at character %zu",
            expected, c->at < c->text.len ? c->text.at + c->at : "", STR_ARG(c->text), c->at + 1);
    return NULL;
}

struct json *
shorthand_parse(struct str text, struct err *err)
{
    struct cursor c = {.text = text, .err = err};
    struct json *result;

    skip_blanks(&c);
    result = parse_pairs(&c, '\0');
    if (result != NULL && c.at < text.len) {
        json_unref(result);
        return fail_at(&c, ",");
    }
    return result;
}

/* A key is made of letters, digits and a few signs, and is followed by '='. */
static size_t
key_length(const struct cursor *c)
{
    size_t end = c->at;

    while (end < c->text.len && (strchr("-_./#:+", c->text.at[end]) != NULL ||
                                 (c->text.at[end] >= '0' && c->text.at[end] <= '9') ||
                                 (c->text.at[end] >= 'a' && c->text.at[end] <= 'z') ||
                                 (c->text.at[end] >= 'A' && c->text.at[end] <= 'Z')))
        end++;
    return end > c->at && end < c->text.len && c->text.at[end] == '=' ? end - c->at : 0;
}

static struct json *
parse_quoted(struct cursor *c)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    const char quote = c->text.at[c->at++];

    while (c->at < c->text.len && c->text.at[c->at] != quote) {
        if (c->text.at[c->at] == '\\' && c->at + 1 < c->text.len &&
            (c->text.at[c->at + 1] == quote || c->text.at[c->at + 1] == '\\'))
            c->at++;
        strbuf_add_char(&out, c->text.at[c->at++]);
    }
    if (c->at == c->text.len)
        return fail_at(c, quote == '"' ? "\"" : "'");
    c->at++;
    return json_str(strbuf_str(&out));
}

/* A bare word ends at ',' or at the bracket that encloses it; a backslash takes the next sign as it
 * is. */
static struct json *
parse_word(struct cursor *c, char end)
{
    cleanup(strbuf_done) struct strbuf out = {0};

    while (c->at < c->text.len && c->text.at[c->at] != ',' &&
           (end == '\0' || c->text.at[c->at] != end)) {
        if (c->text.at[c->at] == '\\' && c->at + 1 < c->text.len &&
            strchr(",\\]}", c->text.at[c->at + 1]) != NULL)
            c->at++;
        strbuf_add_char(&out, c->text.at[c->at++]);
    }
    return json_str(end == '\0' ? strbuf_str(&out) : str_trim(strbuf_str(&out)));
}

static struct json *
parse_list(struct cursor *c)
{
    struct json *list = json_array();

    c->at++; /* [ */
    skip_blanks(c);
    while (peek(c) != ']') {
        struct json *item = parse_value(c, ']');

        if (item == NULL) {
            json_unref(list);
            return NULL;
        }
        json_append(list, item);
        skip_blanks(c);
        if (peek(c) == ',') {
            c->at++;
            skip_blanks(c);
        } else if (peek(c) != ']') {
            json_unref(list);
            return fail_at(c, "]");
        }
    }
    c->at++;
    return list;
}

static struct json *
parse_value(struct cursor *c, char end)
{
    struct json *value = NULL;

    if (++c->depth > DEPTH_MAX) {
        err_set(c->err, ERR_USAGE, "Error parsing parameter: nested deeper than %d", DEPTH_MAX);
        return NULL;
    }
    skip_blanks(c);
    switch (peek(c)) {
    case '[':
        value = parse_list(c);
        break;
    case '{':
        c->at++;
        value = parse_pairs(c, '}');
        if (value != NULL && peek(c) != '}') {
            json_unref(value);
            value = fail_at(c, "}");
        } else if (value != NULL) {
            c->at++;
        }
        break;
    case '"':
    case '\'':
        value = parse_quoted(c);
        break;
    default:
        value = parse_word(c, end);
        break;
    }
    c->depth--;
    return value;
}

/* `k=a,b,c,k2=d`: values behind a comma belong to the key before it, until the next `key=`. One
 * value is itself, more are a list, and so is one with a comma behind it. */
static struct json *
parse_values_of_key(struct cursor *c, char end)
{
    struct json *list = NULL;

    for (;;) {
        struct json *value = parse_value(c, end);
        size_t comma;

        if (value == NULL) {
            json_unref(list);
            return NULL;
        }
        skip_blanks(c);
        comma = c->at;
        if (peek(c) == ',') {
            c->at++;
            skip_blanks(c);
        }
        if (comma == c->at || key_length(c) > 0) { /* the end, or the next key's turn */
            c->at = comma;
            if (list == NULL)
                return value;
            json_append(list, value);
            return list;
        }
        if (list == NULL)
            list = json_array();
        json_append(list, value);
        if (c->at == c->text.len || peek(c) == end)
            return list;
    }
}

static struct json *
parse_pairs(struct cursor *c, char end)
{
    struct json *object = json_object();

    skip_blanks(c);
    while (c->at < c->text.len && peek(c) != end) {
        const size_t length = key_length(c);
        cleanup_free char *key = NULL;
        struct json *value;

        if (length == 0) {
            json_unref(object);
            return fail_at(c, "=");
        }
        key = str_dup(str_slice(c->text, c->at, c->at + length));
        c->at += length + 1;
        value = parse_values_of_key(c, end);
        if (value == NULL) {
            json_unref(object);
            return NULL;
        }
        if (json_get(object, key) != NULL) {
            json_unref(value);
            json_unref(object);
            err_set(c->err, ERR_USAGE,
                    "Error parsing parameter: Second instance of key \"%s\" encountered for "
                    "input: " STR_FMT,
                    key, STR_ARG(c->text));
            return NULL;
        }
        json_set(object, key, value);
        skip_blanks(c);
        if (peek(c) == ',') {
            c->at++;
            skip_blanks(c);
        } else if (c->at < c->text.len && peek(c) != end) {
            json_unref(object);
            return fail_at(c, ",");
        }
    }
    return object;
}

/* ---- types ---- */

static struct json *
type_mismatch(const struct json *value, const struct shape *shape, const char *path,
              struct err *err)
{
    cleanup_free char *text = json_format(value);

    err_set(err, ERR_USAGE,
            "Parameter validation failed:\nInvalid type for parameter %s, value: %.200s, valid "
            "types: %s",
            path, text, shape_kind_name(shape->kind));
    return NULL;
}

struct json *
shape_coerce(const struct json *value, const struct shape *shape, const char *path, bool is_lenient,
             struct err *err)
{
    char inner[512];

    switch (shape->kind) {
    case SHAPE_STRUCTURE:
        return coerce_structure(value, shape, path, is_lenient, err);
    case SHAPE_MAP: {
        struct json *out;

        if (json_type(value) != JSON_OBJECT)
            return type_mismatch(value, shape, path, err);
        out = json_object();
        for (void *it = json_first(value); it != NULL; it = json_next(value, it)) {
            struct json *item;

            snprintf(inner, sizeof(inner), "%s.%s", path, json_key(it));
            item = shape_coerce(json_value(it), shape->element, inner, is_lenient, err);
            if (item == NULL) {
                json_unref(out);
                return NULL;
            }
            json_set(out, json_key(it), item);
        }
        return out;
    }
    case SHAPE_LIST: {
        cleanup_json struct json *wrapped = NULL;
        struct json *out;

        if (json_type(value) != JSON_ARRAY) {
            if (!is_lenient)
                return type_mismatch(value, shape, path, err);
            wrapped = json_array(); /* `values=a` where a list is wanted */
            json_append(wrapped, json_ref(value));
            value = wrapped;
        }
        out = json_array();
        for (size_t i = 0; i < json_size(value); i++) {
            struct json *item;

            snprintf(inner, sizeof(inner), "%s[%zu]", path, i);
            item = shape_coerce(json_at(value, i), shape->element, inner, is_lenient, err);
            if (item == NULL) {
                json_unref(out);
                return NULL;
            }
            json_append(out, item);
        }
        return out;
    }
    default:
        return coerce_scalar(value, shape, path, is_lenient, err);
    }
}

static struct json *
coerce_structure(const struct json *value, const struct shape *shape, const char *path,
                 bool is_lenient, struct err *err)
{
    struct json *out;
    char inner[512];

    if (json_type(value) != JSON_OBJECT)
        return type_mismatch(value, shape, path, err);
    out = json_object();
    for (void *it = json_first(value); it != NULL; it = json_next(value, it)) {
        const struct shape_member *member = shape_member_find(shape, json_key(it));
        struct json *item;

        if (member == NULL) {
            cleanup(strbuf_done) struct strbuf names = {0};

            for (int i = 0; i < shape->member_count && names.len < 600; i++)
                strbuf_addf(&names, "%s%s", i > 0 ? ", " : "", shape->members[i].name);
            err_set(
                err, ERR_USAGE,
                "Parameter validation failed:\nUnknown parameter in %s: \"%s\", must be one of: %s",
                path, json_key(it), strbuf_cstr(&names));
            json_unref(out);
            return NULL;
        }
        if (json_type(json_value(it)) == JSON_NULL)
            continue; /* clients drop null members before sending */
        snprintf(inner, sizeof(inner), "%s.%s", path, member->name);
        item = shape_coerce(json_value(it), member->shape, inner, is_lenient, err);
        if (item == NULL) {
            json_unref(out);
            return NULL;
        }
        json_set(out, member->name, item);
    }
    return out;
}

static bool
parse_real(const char *text, double *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0';
}

/* ISO 8601; without a zone or a time of day it is UTC's, and midnight. */
static bool
parse_time(const char *text, double *seconds_out)
{
    const char *const endings[] = {"", "Z", "T00:00:00Z"};
    int64_t ms;

    for (size_t i = 0; i < ARRAY_COUNT(endings); i++) {
        cleanup_free char *whole = text_format("%s%s", text, endings[i]);
        if (!clock_parse_iso(str_of(whole), &ms))
            continue;
        *seconds_out = (double)ms / 1000;
        return true;
    }
    return false;
}

static struct json *
coerce_scalar(const struct json *value, const struct shape *shape, const char *path,
              bool is_lenient, struct err *err)
{
    const enum json_type type = json_type(value);
    const char *text = json_cstr(value, NULL);
    int64_t whole;
    double real;

    switch (shape->kind) {
    case SHAPE_DOCUMENT:
        return json_ref(value);
    case SHAPE_INTEGER:
        if (type == JSON_INT)
            return json_ref(value);
        if (is_lenient && text != NULL && str_to_i64(str_of(text), &whole))
            return json_int(whole);
        break;
    case SHAPE_REAL:
        if (type == JSON_INT || type == JSON_REAL)
            return json_ref(value);
        if (is_lenient && text != NULL && parse_real(text, &real))
            return json_real(real);
        break;
    case SHAPE_BOOLEAN:
        if (type == JSON_BOOL)
            return json_ref(value);
        if (is_lenient && text != NULL && str_equal_nocase(str_of(text), STR("true")))
            return json_bool(true);
        if (is_lenient && text != NULL && str_equal_nocase(str_of(text), STR("false")))
            return json_bool(false);
        break;
    case SHAPE_TIMESTAMP: { /* the wire wants seconds since the epoch; people write ISO 8601 */
        if (type == JSON_INT || type == JSON_REAL)
            return json_ref(value);
        if (text != NULL && parse_real(text, &real))
            return json_real(real);
        if (text != NULL && parse_time(text, &real))
            return json_real(real);
        break;
    }
    default:
        if (text != NULL)
            return json_ref(value);
        break;
    }
    return type_mismatch(value, shape, path, err);
}
