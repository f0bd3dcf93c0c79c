/* SPDX-License-Identifier: MIT */
#include "balancer/rule_pattern.h"
#include <ctype.h>
#include "base/address_block.h"
#include "base/str.h"

/* What a wildcard stands for: any character of the part that it is in. */
#define OF_LINE "[^\\n]"
#define OF_VALUE "[^\\r\\n]"
#define OF_PARAMETER "[^&\\n]"

static void
add_literal(struct strbuf *out, char c)
{
    if (isalnum((unsigned char)c) || c == '-' || c == '_' || c == '/')
        strbuf_add_char(out, c);
    else
        strbuf_addf(out, "\\x%02x", (unsigned char)c);
}

enum text_case { CASE_AS_IS, CASE_LOWER };

/* How far the text goes up to the next '*'; `*` and `?` behind a backslash are themselves. */
static size_t
chunk_len(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '*')
            return i;
        i += text.at[i] == '\\' && i + 1 < text.len;
    }
    return text.len;
}

static void
add_chunk(struct str text, const char *any, enum text_case text_case, struct strbuf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '?') {
            strbuf_add_cstr(out, any);
            continue;
        }
        if (c == '\\' && i + 1 < text.len && strchr("*?\\", text.at[i + 1]) != NULL)
            c = text.at[++i];
        add_literal(out, text_case == CASE_LOWER ? (char)tolower((unsigned char)c) : c);
    }
}

/* "a*b*c": a, then the first b, then c at the end; what follows must be what ends the part. */
static void
add_glob(struct str text, const char *any, enum text_case text_case, struct strbuf *out)
{
    size_t len = chunk_len(text);

    add_chunk(str_slice(text, 0, len), any, text_case, out);
    while (len < text.len) {
        text = str_slice(text, len + 1, text.len);
        len = chunk_len(text);
        if (len == text.len) {
            strbuf_addf(out, "%s*", any);
            add_chunk(text, any, text_case, out);
        } else if (len > 0) {
            strbuf_addf(out, "(?>%s*?", any);
            add_chunk(str_slice(text, 0, len), any, text_case, out);
            strbuf_add_char(out, ')');
        }
    }
}

/* ---- the conditions ---- */

static const struct json *
values_of(const struct json *condition, const char *config)
{
    const struct json *values = json_get(json_get(condition, config), "Values");

    return values != NULL ? values : json_get(condition, "Values");
}

static bool
is_field(const struct json *condition, const char *field)
{
    return strcmp(json_get_cstr(condition, "Field", ""), field) == 0;
}

static const struct json *
find(const struct json *conditions, const char *field)
{
    for (size_t i = 0; i < json_size(conditions); i++)
        if (is_field(json_at(conditions, i), field))
            return json_at(conditions, i);
    return NULL;
}

/* One part of the key, to its end; without a condition: any. */
static void
add_part(const struct json *values, enum text_case text_case, bool has_wildcards, struct strbuf *out)
{
    if (json_size(values) == 0) {
        strbuf_add_cstr(out, "(?>" OF_LINE "*\\n)");
        return;
    }
    strbuf_add_cstr(out, "(?>(?:");
    for (size_t i = 0; i < json_size(values); i++) {
        const struct str value = str_of(json_cstr(json_at(values, i), ""));
        strbuf_add_cstr(out, i > 0 ? "|" : "");
        if (has_wildcards)
            add_glob(value, OF_LINE, text_case, out);
        for (size_t k = 0; k < value.len && !has_wildcards; k++)
            add_literal(out, value.at[k]);
    }
    strbuf_add_cstr(out, ")\\n)");
}

static int
digit_at(const struct address_block *block, int index)
{
    return index % 2 == 0 ? block->address[index / 2] >> 4 : block->address[index / 2] & 15;
}

/* The digits that count, then the range of the one that counts in part, then any. */
static void
add_block(const char *text, struct strbuf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    struct address_block block;

    if (!address_block_parse(text, &block)) {
        strbuf_add_cstr(out, "(?!)"); /* the API lets none through: nobody is in it */
        return;
    }
    /* One of the family 4 that came to a socket of both. */
    strbuf_add_cstr(out, block.size == 4 ? "(?:00000000000000000000FFFF)?" : "");
    for (int i = 0; i < block.bits / 4; i++)
        strbuf_add_char(out, digits[digit_at(&block, i)]);
    if (block.bits % 4 != 0) {
        const int range = 1 << (4 - block.bits % 4);
        const int first = digit_at(&block, block.bits / 4) & ~(range - 1);
        strbuf_addf(out, "[%.*s]", range, digits + first);
    }
    strbuf_addf(out, OF_LINE "{%d}", block.size * 2 - (block.bits + 3) / 4);
}

static void
add_sources(const struct json *values, struct strbuf *out)
{
    strbuf_add_cstr(out, "(?>(?:");
    for (size_t i = 0; i < json_size(values); i++) {
        strbuf_add_cstr(out, i > 0 ? "|" : "");
        add_block(json_cstr(json_at(values, i), ""), out);
    }
    strbuf_add_cstr(out, ")\\n)");
}

/* Somewhere among the headers; names come in lower case. */
static void
add_header(const struct json *condition, struct strbuf *out)
{
    const struct json *config = json_get(condition, "HttpHeaderConfig");
    const struct json *values = json_get(config, "Values");
    const struct str name = str_of(json_get_cstr(config, "HttpHeaderName", ""));

    strbuf_add_cstr(out, "(?=(?>(?:" OF_LINE "*\\n){4}" OF_LINE "*)[\\s\\S]*?\\n");
    for (size_t i = 0; i < name.len; i++)
        add_literal(out, (char)tolower((unsigned char)name.at[i]));
    strbuf_add_cstr(out, "\\x3a\\x20(?i:(?:");
    for (size_t i = 0; i < json_size(values); i++) {
        strbuf_add_cstr(out, i > 0 ? "|" : "");
        add_glob(str_of(json_cstr(json_at(values, i), "")), OF_VALUE, CASE_AS_IS, out);
    }
    strbuf_add_cstr(out, "))\\r?\\n)");
}

/* Some parameter of the query. */
static void
add_query(const struct json *condition, struct strbuf *out)
{
    const struct json *values = json_get(json_get(condition, "QueryStringConfig"), "Values");

    strbuf_add_cstr(out, "(?=(?>(?:" OF_LINE "*\\n){3})" OF_LINE "*?&(?i:(?:");
    for (size_t i = 0; i < json_size(values); i++) {
        const char *key = json_get_cstr(json_at(values, i), "Key", NULL);
        strbuf_add_cstr(out, i > 0 ? "|" : "");
        if (key != NULL) {
            add_glob(str_of(key), "[^&=\\n]", CASE_AS_IS, out);
            strbuf_add_cstr(out, "\\x3d");
        } else {
            strbuf_add_cstr(out, "(?>(?:[^&=\\n]*\\x3d)?)");
        }
        add_glob(str_of(json_get_cstr(json_at(values, i), "Value", "")), OF_PARAMETER, CASE_AS_IS, out);
    }
    strbuf_add_cstr(out, "))[&\\n])");
}

bool
rule_pattern_asks_headers(const struct json *conditions)
{
    return find(conditions, "http-header") != NULL;
}

void
rule_pattern(const struct json *conditions, struct strbuf *out)
{
    const struct json *source = find(conditions, "source-ip");

    strbuf_add_char(out, '^');
    for (size_t i = 0; i < json_size(conditions); i++) {
        if (is_field(json_at(conditions, i), "http-header"))
            add_header(json_at(conditions, i), out);
        else if (is_field(json_at(conditions, i), "query-string"))
            add_query(json_at(conditions, i), out);
    }
    add_part(values_of(find(conditions, "http-request-method"), "HttpRequestMethodConfig"), CASE_AS_IS,
             false, out);
    add_part(values_of(find(conditions, "host-header"), "HostHeaderConfig"), CASE_LOWER, true, out);
    add_part(values_of(find(conditions, "path-pattern"), "PathPatternConfig"), CASE_AS_IS, true, out);
    if (source == NULL)
        return;
    add_part(NULL, CASE_AS_IS, false, out);
    add_sources(values_of(source, "SourceIpConfig"), out);
}
