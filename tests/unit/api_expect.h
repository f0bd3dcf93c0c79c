/* SPDX-License-Identifier: MIT */
/* api_expect.h - says what an answer has to contain.
 * world_expects() compares the last answer with a pattern in which ' stands for ": objects need the
 * members that the pattern has (null: must be absent), lists the same length and order, texts that
 * end with '*' only the beginning, "*" nothing but to be there.  What a pattern names counts as
 * tested for tests/unit/api_complete.py. */
#pragma once
#include "api_world.h"

static bool expect_matches(const struct json *pattern, const struct json *value,
                           struct strbuf *where);

static bool
expect_text(const char *pattern, const char *text)
{
    const size_t length = strlen(pattern);

    return length > 0 && pattern[length - 1] == '*' ? strncmp(pattern, text, length - 1) == 0
                                                    : strcmp(pattern, text) == 0;
}

static bool
expect_members(const struct json *pattern, const struct json *value, struct strbuf *where)
{
    for (void *it = json_first(pattern); it != NULL; it = json_next(pattern, it)) {
        const size_t length = where->len;

        strbuf_addf(where, ".%s", json_key(it));
        if (!expect_matches(json_value(it), json_get(value, json_key(it)), where))
            return false;
        where->len = length;
        where->at[length] = '\0';
    }
    return json_type(value) == JSON_OBJECT;
}

static bool
expect_items(const struct json *pattern, const struct json *value, struct strbuf *where)
{
    for (size_t i = 0; i < json_size(pattern) && i < json_size(value); i++) {
        const size_t length = where->len;

        strbuf_addf(where, ".%zu", i);
        if (!expect_matches(json_at(pattern, i), json_at(value, i), where))
            return false;
        where->len = length;
        where->at[length] = '\0';
    }
    return json_type(value) == JSON_ARRAY && json_size(pattern) == json_size(value);
}

/* `where` names the place of the first difference. */
static bool
expect_matches(const struct json *pattern, const struct json *value, struct strbuf *where)
{
    const char *text = json_cstr(pattern, "");

    switch (json_type(pattern)) {
    case JSON_NULL:
        return value == NULL;
    case JSON_OBJECT:
        return expect_members(pattern, value, where);
    case JSON_ARRAY:
        return expect_items(pattern, value, where);
    case JSON_TEXT:
        return strcmp(text, "*") == 0
                   ? value != NULL
                   : json_type(value) == JSON_TEXT && expect_text(text, json_cstr(value, ""));
    case JSON_INT:
    case JSON_REAL:
        return (json_type(value) == JSON_INT || json_type(value) == JSON_REAL) &&
               json_f64(pattern, 0) <= json_f64(value, -1) &&
               json_f64(pattern, 0) >= json_f64(value, -1);
    default:
        return json_equal(pattern, value);
    }
}

UNUSED static void world_expects_at(struct world *w, int line, const char *format, ...)
    PRINTF_LIKE(3, 4);
UNUSED static void
world_expects_at(struct world *w, int line, const char *format, ...)
{
    char text[16384];
    struct err err = {0};
    cleanup_json struct json *pattern = NULL;
    cleanup(strbuf_done) struct strbuf where = {0};
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (char *p = text; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    pattern = json_parse(str_of(text), &err);
    if (pattern == NULL)
        check_fail(__FILE__, line, "bad pattern: %s", err.message);
    if (!expect_matches(pattern, w->answer, &where))
        check_fail(__FILE__, line, "%s differs in %s", strbuf_cstr(&where), w->body);
    world_record("=", text, "");
}
#define world_expects(w, ...) world_expects_at(w, __LINE__, __VA_ARGS__)
