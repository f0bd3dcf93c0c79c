/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdio.h>
#include "pipeline/groovy/methods.h"
#include "pipeline/groovy/value_json.h"

static int64_t
int_arg(const struct call *c, size_t i, int64_t fallback)
{
    return i < c->args->count && value_is_integer(c->args->at[i]) ? c->args->at[i].number
                                                                  : fallback;
}

static bool
method_case(const struct call *c)
{
    cleanup(strbuf_done) struct strbuf b = {0};
    bool up = call_is(c, "toUpperCase", 0);

    if (!up && !call_is(c, "toLowerCase", 0) && !call_is(c, "capitalize", 0) && !call_is(c, "reverse", 0))
        return false;
    if (str_is(c->name, "reverse"))
        for (size_t i = c->text.len, end = i; i > 0; i--) { /* by characters */
            if (((unsigned char)c->text.at[i - 1] & 0xC0) == 0x80)
                continue;
            strbuf_add(&b, str_slice(c->text, i - 1, end));
            end = i - 1;
        }
    else if (str_is(c->name, "capitalize")) {
        const struct str first = text_part(c->text, 0, 1);
        text_add_cased(&b, first, true);
        strbuf_add(&b, str_slice(c->text, first.len, c->text.len));
    } else {
        text_add_cased(&b, c->text, up);
    }
    call_give(c, &b);
    return true;
}

static bool
method_test(const struct call *c)
{
    bool truth;

    if (call_is(c, "contains", 1)) {
        const struct str a = call_text(c, 0);
        truth = a.len == 0 || str_find(c->text, a) >= 0;
    } else if (call_is(c, "startsWith", 1))
        truth = str_starts(c->text, call_text(c, 0));
    else if (call_is(c, "endsWith", 1))
        truth = str_ends(c->text, call_text(c, 0));
    else if (call_is(c, "isEmpty", 0))
        truth = c->text.len == 0;
    else if (call_is(c, "isBlank", 0) || call_is(c, "isAllWhitespace", 0))
        truth = str_trim(c->text).len == 0;
    else if (call_is(c, "equals", 1))
        truth = c->args->at[0].type == V_TEXT && str_equal(c->text, c->args->at[0].text);
    else if (call_is(c, "equalsIgnoreCase", 1))
        truth = str_equal_nocase(c->text, call_text(c, 0));
    else if (call_is(c, "toBoolean", 0))
        truth = str_equal_nocase(str_trim(c->text), STR("true")) ||
                str_equal_nocase(str_trim(c->text), STR("y")) || str_is(str_trim(c->text), "1");
    else if (call_is(c, "isInteger", 0) || call_is(c, "isLong", 0) || call_is(c, "isNumber", 0)) {
        struct value n;
        truth = value_of_number(c->in->arena, str_trim(c->text), &n) &&
                (str_is(c->name, "isNumber") ||
                 (value_is_integer(n) &&
                  (!str_is(c->name, "isInteger") || n.number == (int32_t)n.number)));
    } else
        return false;
    *c->out = value_bool(truth);
    return true;
}

static int64_t
characters_before(struct str s, ptrdiff_t bytes)
{
    return bytes < 0 ? -1 : (int64_t)text_count(str_slice(s, 0, (size_t)bytes));
}

static bool
method_number(const struct call *c, bool *ok)
{
    int64_t n;

    if (call_is(c, "size", 0) || call_is(c, "length", 0)) {
        *c->out = value_int((int64_t)text_count(c->text)); /* characters, not bytes */
    } else if (call_is(c, "indexOf", 1)) {
        *c->out = value_int(characters_before(c->text, str_find(c->text, call_text(c, 0))));
    } else if (call_is(c, "count", 1)) {
        struct str rest = c->text, needle = call_text(c, 0);
        ptrdiff_t at;
        for (n = 0; *ok && needle.len > 0 && (at = str_find(rest, needle)) >= 0; n++) {
            rest = str_slice(rest, (size_t)at + 1, rest.len); /* they may overlap */
            *ok = interp_spend(c->in, c->at, needle.len / VALUE_BYTES_A_VISIT);
        }
        *c->out = value_int(n);
    } else if (call_is(c, "compareTo", 1)) {
        *c->out = value_int(text_distance(c->text, call_text(c, 0)));
    } else if (call_is(c, "toInteger", 0) || call_is(c, "toLong", 0)) {
        if (!str_to_i64(str_trim(c->text), &n) ||
            (str_is(c->name, "toInteger") && n != (int32_t)n)) {
            *ok = interp_throw(c->in, c->at, "NumberFormatException",
                               "For input string: \"" STR_FMT "\"",
                               STR_ARG(str_slice(c->text, 0, 100)));
            return true;
        }
        *c->out = str_is(c->name, "toLong") ? value_long(n) : value_int(n);
    } else {
        return false;
    }
    return true;
}

static bool
method_part(const struct call *c, bool *ok)
{
    int64_t len = (int64_t)text_count(c->text);
    int64_t from = int_arg(c, 0, 0), to = int_arg(c, 1, len);

    if (call_is(c, "substring", 1) || call_is(c, "substring", 2)) {
        if (from < 0 || to > len || from > to) {
            *ok = interp_throw(c->in, c->at, "StringIndexOutOfBoundsException",
                               "begin %lld, end %lld, length %lld", (long long)from, (long long)to,
                               (long long)len);
            return true;
        }
    } else if (call_is(c, "take", 1)) {
        to = from < 0 ? 0 : from < len ? from : len;
        from = 0;
    } else if (call_is(c, "drop", 1)) {
        from = from < 0 ? 0 : from < len ? from : len;
        to = len;
    } else if (call_is(c, "trim", 0) || call_is(c, "strip", 0)) {
        *c->out = value_text(str_trim(c->text));
        return true;
    } else if (call_is(c, "toString", 0)) {
        *c->out = value_text(c->text);
        return true;
    } else {
        return false;
    }
    *c->out = value_text(text_part(c->text, (size_t)from, (size_t)to));
    return true;
}

static bool
method_build(const struct call *c, bool *ok)
{
    cleanup(strbuf_done) struct strbuf b = {0};

    if (call_is(c, "concat", 1) || call_is(c, "plus", 1)) {
        strbuf_add(&b, c->text);
        strbuf_add(&b, call_text(c, 0));
    } else if (call_is(c, "replace", 2)) {
        const struct str a = call_text(c, 0);
        struct str rest = c->text, with = call_text(c, 1);
        ptrdiff_t at;
        while (a.len == 0 && rest.len > 0 && b.len <= INTERP_TEXT_MAX) { /* before each character */
            const struct str one = text_part(rest, 0, 1);
            strbuf_add(&b, with);
            strbuf_add(&b, one);
            rest = str_slice(rest, one.len == 0 ? 1 : one.len, rest.len);
        }
        if (a.len == 0)
            strbuf_add(&b, with);
        while (a.len > 0 && b.len <= INTERP_TEXT_MAX && (at = str_find(rest, a)) >= 0) {
            strbuf_add(&b, str_slice(rest, 0, (size_t)at));
            strbuf_add(&b, with);
            rest = str_slice(rest, (size_t)at + a.len, rest.len);
        }
        strbuf_add(&b, rest);
    } else if (call_is(c, "normalize", 0)) { /* the ends of lines */
        for (size_t i = 0; i < c->text.len; i++)
            if (c->text.at[i] != '\r')
                strbuf_add_char(&b, c->text.at[i]);
            else if (i + 1 == c->text.len || c->text.at[i + 1] != '\n')
                strbuf_add_char(&b, '\n');
    } else if (str_is(c->name, "padLeft") || str_is(c->name, "padRight")) {
        struct str pad = c->args->count > 1 ? call_text(c, 1) : STR(" ");
        int64_t width = int_arg(c, 0, 0);
        const size_t count = text_count(c->text);
        size_t fill = width > (int64_t)count && width < 10000 ? (size_t)width - count : 0;
        if (str_is(c->name, "padRight"))
            strbuf_add(&b, c->text);
        for (size_t i = 0; i < fill && pad.len > 0; i++)
            strbuf_add_char(&b, pad.at[i % pad.len]);
        if (str_is(c->name, "padLeft"))
            strbuf_add(&b, c->text);
    } else if (call_is(c, "stripIndent", 0) || call_is(c, "stripMargin", 0)) {
        struct str rest = c->text, line;
        size_t least = SIZE_MAX;
        bool margin = str_is(c->name, "stripMargin"), first = true;
        while (str_split(&rest, '\n', &line)) {
            size_t n = 0;
            while (n < line.len && (line.at[n] == ' ' || line.at[n] == '\t'))
                n++;
            if (n < line.len && n < least)
                least = n;
        }
        for (rest = c->text; str_split(&rest, '\n', &line); first = false) {
            size_t n = 0;
            while (margin && n < line.len && (line.at[n] == ' ' || line.at[n] == '\t'))
                n++;
            if (margin)
                n = n < line.len && line.at[n] == '|' ? n + 1 : 0;
            else
                n = least == SIZE_MAX ? 0 : least;
            if (!first)
                strbuf_add_char(&b, '\n');
            strbuf_add(&b, str_slice(line, n, line.len));
        }
    } else {
        return false;
    }
    if (b.len > INTERP_TEXT_MAX)
        *ok = interp_throw(c->in, c->at, "OutOfMemoryError", "the string is too long");
    else
        call_give(c, &b);
    return true;
}

static bool
method_list(const struct call *c, bool *ok)
{
    struct str rest = c->text, one;

    *c->out = value_null();
    if (str_is(c->name, "split") && (c->args->count == 1 || c->args->count == 2) && c->block == NULL) {
        *ok = regex_split(c->in, c->at, c->text, call_text(c, 0), int_arg(c, 1, 0), c->out);
        if (*ok)
            c->out->list->kind = LIST_ARRAY;
    } else if ((str_is(c->name, "tokenize") && c->args->count <= 1) || call_is(c, "split", 0)) {
        struct str set = c->args->count > 0 ? call_text(c, 0) : STR(" \t\n\r\f");
        size_t start = 0;
        *c->out = value_list(c->in->arena);
        c->out->list->kind = str_is(c->name, "split") ? LIST_ARRAY : LIST_PLAIN;
        for (size_t i = 0; i <= rest.len && c->out->list->count <= VALUE_ITEMS_MAX; i++) {
            if (i < rest.len && str_index(set, rest.at[i]) < 0)
                continue;
            if (i > start)
                list_add(c->in->arena, c->out->list, value_text(str_slice(rest, start, i)));
            start = i + 1;
        }
    } else if (call_is(c, "readLines", 0)) {
        *c->out = value_list(c->in->arena);
        while (c->out->list->count <= VALUE_ITEMS_MAX && str_split(&rest, '\n', &one))
            if (rest.at != NULL || one.len > 0)
                list_add(
                    c->in->arena, c->out->list,
                    value_text(str_ends(one, STR("\r")) ? str_slice(one, 0, one.len - 1) : one));
    } else if (call_is(c, "toList", 0)) {
        *c->out = value_list(c->in->arena);
        while (rest.len > 0 && c->out->list->count <= VALUE_ITEMS_MAX) {
            one = text_part(rest, 0, 1);
            one = one.len == 0 ? str_slice(rest, 0, 1) : one;
            list_add(c->in->arena, c->out->list, value_text(one));
            rest = str_slice(rest, one.len, rest.len);
        }
    } else {
        return false;
    }
    return true;
}

static bool
method_regex(const struct call *c, bool *ok)
{
    bool truth;

    if (call_is(c, "replaceAll", 2) || call_is(c, "replaceFirst", 2)) {
        struct str replaced;
        struct value with = c->args->at[1];
        if (with.type != V_CLOSURE)
            with = value_text(call_text(c, 1));
        *ok = regex_replace(c->in, c->at, c->text, call_text(c, 0), with,
                            str_is(c->name, "replaceAll"), &replaced);
        if (*ok)
            *c->out = value_text(replaced);
    } else if (call_is(c, "matches", 1)) {
        *ok = regex_matches(c->in, c->at, c->text, call_text(c, 0), &truth);
        if (*ok)
            *c->out = value_bool(truth);
    } else if ((call_is(c, "findAll", 1) || call_is(c, "find", 1)) && c->args->at[0].type != V_CLOSURE) {
        *ok = regex_find_all(c->in, c->at, c->text, call_text(c, 0), false, c->out);
        if (*ok && str_is(c->name, "find"))
            *c->out = c->out->list->count > 0 ? c->out->list->at[0] : value_null();
    } else {
        return false;
    }
    return true;
}

bool
method_text(struct interp *in, const struct node *call, struct value object, struct str name,
            const struct args *args, struct value *out, bool *found)
{
    const struct call c = call_make(in, call, object, name, args, out);
    bool ok = true;

    *found = method_case(&c) || method_test(&c) || method_number(&c, &ok) || method_part(&c, &ok) ||
             method_build(&c, &ok) || method_list(&c, &ok) || method_regex(&c, &ok);
    if (*found || !ok)
        return ok;
    return method_text_more(in, call, object, name, args, out, found);
}
