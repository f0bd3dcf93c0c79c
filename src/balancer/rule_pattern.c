/* SPDX-License-Identifier: MIT */
#include "balancer/rule_pattern.h"
#include <ctype.h>
#include "base/address_block.h"
#include "base/str.h"
#include "model/pattern.h"

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

/* ---- regular expressions ---- */

/* What becomes of texts that are too long for an expression: they do not match, they do, or nothing else does. */
enum longer { LONGER_NOT, LONGER_TOO, LONGER_ONLY };

struct looks {
    enum longer longer;
    int together; /* rule_pattern_longest() */
};

/* How long a text it may look at; 0: as it likes.  What is looked for at one place only costs the others nothing. */
static bool
find_longest(const char *text, bool ignores_case, int together, int *longest_out)
{
    struct pattern_price price;
    struct err err;

    if (!pattern_price(str_of(text), ignores_case, &price, &err) ||
        !pattern_limit(&price, str_of(text), longest_out, &err))
        return false;
    if (*longest_out == 0 && price.steps > 1)
        *longest_out = together;
    return true;
}

/* What is too long, and may be what the expression is about. */
static void
add_longer(const char *text, const struct pattern_dialect *words, int longest, struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf known = {0};
    struct err err;

    if (longest == 0 || !pattern_translate_known(str_of(text), words, &known, &err)) /* it is sound where all of the text is */
        strbuf_add_cstr(out, "(?!)");
    else
        strbuf_addf(out, "%s" OF_VALUE "{%d,}", strbuf_cstr(&known), longest + 1);
}

/* Anywhere in the part, whose end `words->end` looks at. */
static void
add_regex(const char *text, const struct pattern_dialect *words, struct looks looks, struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf translated = {0};
    struct err err;
    int longest;

    if (!find_longest(text, words->ignores_case, looks.together, &longest) ||
        !pattern_translate_search(str_of(text), words, &translated, NULL, &err)) {
        strbuf_add_cstr(out, "(?!)"); /* the API lets none through */
        return;
    }
    if (looks.longer != LONGER_NOT)
        add_longer(text, words, longest, out);
    if (looks.longer == LONGER_ONLY)
        return;
    strbuf_add_cstr(out, looks.longer == LONGER_TOO ? "|" : "");
    if (longest > 0)
        strbuf_addf(out, "(?=" OF_VALUE "{0,%d}%s)", longest, words->end);
    strbuf_addf(out, "%s" OF_VALUE "*", strbuf_cstr(&translated));
}

static void
add_regexes(const struct json *values, const struct pattern_dialect *words, struct looks looks, struct strbuf *out)
{
    for (size_t i = 0; i < json_size(values); i++) {
        strbuf_add_cstr(out, i > 0 ? "|" : "");
        add_regex(json_cstr(json_at(values, i), ""), words, looks, out);
    }
}

/* ---- the conditions ---- */

static const struct json *
list_of(const struct json *condition, const char *config, const char *list)
{
    const struct json *values = json_get(json_get(condition, config), list);

    return values != NULL ? values : json_get(condition, list);
}

static const struct json *
values_of(const struct json *condition, const char *config)
{
    return list_of(condition, config, "Values");
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

/* The same of a condition that may have expressions instead. */
static void
add_field(const struct json *condition, const char *config, enum text_case text_case, struct looks looks,
          struct strbuf *out)
{
    const struct pattern_dialect words = {
        .begin = "(?<=\\n)", .end = "(?=\\n)", .ignores_case = text_case == CASE_LOWER};
    const struct json *regexes = list_of(condition, config, "RegexValues");

    if (json_size(regexes) == 0) {
        add_part(values_of(condition, config), text_case, true, out);
        return;
    }
    strbuf_add_cstr(out, "(?>(?:");
    add_regexes(regexes, &words, looks, out);
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

static void
add_header_regexes(const struct json *regexes, const char *name, struct looks looks, struct strbuf *out)
{
    cleanup_free char *begin = text_format("(?<=\\n%s)", name);

    const struct pattern_dialect words = {.begin = begin, .end = "(?=\\r?\\n)", .ignores_case = true};

    add_regexes(regexes, &words, looks, out);
}

/* Somewhere among the headers; names come in lower case. */
static void
add_header(const struct json *condition, struct looks looks, struct strbuf *out)
{
    const struct json *config = json_get(condition, "HttpHeaderConfig");
    const struct json *values = json_get(config, "Values"), *regexes = json_get(config, "RegexValues");
    const struct str text = str_of(json_get_cstr(config, "HttpHeaderName", ""));
    cleanup(strbuf_done) struct strbuf name = {0};

    for (size_t i = 0; i < text.len; i++)
        add_literal(&name, (char)tolower((unsigned char)text.at[i]));
    strbuf_add_cstr(&name, "\\x3a\\x20");
    strbuf_addf(out, "(?=(?>(?:" OF_LINE "*\\n){4}" OF_LINE "*)[\\s\\S]*?\\n%s(?i:(?:", strbuf_cstr(&name));
    if (json_size(regexes) > 0)
        add_header_regexes(regexes, strbuf_cstr(&name), looks, out);
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

/* What may have expressions.  A host is never long, so nothing is added up for it. */
struct regex_kind {
    const char *field, *config;
    int status; /* the answer to too long a text */
    bool ignores_case, is_short;
};

/* NULL: none. */
static const struct regex_kind *
find_regexes(const struct json *condition, const struct json **regexes_out)
{
    static const struct regex_kind kinds[] = {
        {"host-header", "HostHeaderConfig", 400, .ignores_case = true, .is_short = true},
        {"path-pattern", "PathPatternConfig", 414, .ignores_case = false, .is_short = false},
        {"http-header", "HttpHeaderConfig", 431, .ignores_case = true, .is_short = false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (is_field(condition, kinds[i].field)) {
            *regexes_out = list_of(condition, kinds[i].config, "RegexValues");
            return *regexes_out != NULL ? &kinds[i] : NULL;
        }
    *regexes_out = NULL;
    return NULL;
}

static bool
has_regex(const struct json *conditions)
{
    const struct json *regexes;

    for (size_t i = 0; i < json_size(conditions); i++)
        if (find_regexes(json_at(conditions, i), &regexes) != NULL && json_size(regexes) > 0)
            return true;
    return false;
}

/* `only`: the condition that is met by nothing but too long a text; NULL: such texts meet none.  A host is never long. */
static void
add_rule(const struct json *conditions, const struct json *only, int longest, struct strbuf *out)
{
    const struct json *source = find(conditions, "source-ip"), *host = find(conditions, "host-header"),
                      *path = find(conditions, "path-pattern");
    const enum longer others = only != NULL ? LONGER_TOO : LONGER_NOT;

    strbuf_add_cstr(out, has_regex(conditions) ? RULE_PATTERN_TRIES "^" : "^");
    for (size_t i = 0; i < json_size(conditions); i++) {
        const struct json *condition = json_at(conditions, i);
        if (is_field(condition, "http-header"))
            add_header(condition, (struct looks){condition == only ? LONGER_ONLY : others, longest}, out);
        else if (is_field(condition, "query-string"))
            add_query(condition, out);
    }
    add_part(values_of(find(conditions, "http-request-method"), "HttpRequestMethodConfig"), CASE_AS_IS,
             false, out);
    add_field(host, "HostHeaderConfig", CASE_LOWER,
              (struct looks){host != NULL && host == only ? LONGER_ONLY : others, 0}, out);
    add_field(path, "PathPatternConfig", CASE_AS_IS,
              (struct looks){path != NULL && path == only ? LONGER_ONLY : others, longest}, out);
    if (source == NULL)
        return;
    add_part(NULL, CASE_AS_IS, false, out);
    add_sources(values_of(source, "SourceIpConfig"), out);
}

void
rule_pattern(const struct json *conditions, int longest, struct strbuf *out)
{
    add_rule(conditions, NULL, longest, out);
}

/* ---- what all take together ---- */

#define STEPS_MAX 10000000 /* of a request: 10 ms, where each is made; usual ones leave most of them out */
#define TEXT_MAX 15360    /* HAProxy takes no longer ones */
#define TEXT_MIN 256

int
rule_pattern_steps(const struct json *conditions)
{
    int steps = 0;

    for (size_t i = 0; i < json_size(conditions); i++) {
        const struct json *regexes;
        const struct regex_kind *kind = find_regexes(json_at(conditions, i), &regexes);
        if (kind == NULL || kind->is_short)
            continue;
        for (size_t k = 0; k < json_size(regexes); k++) {
            const struct str text = str_of(json_cstr(json_at(regexes, k), ""));
            struct pattern_price price;
            struct err err;
            int longest;
            if (pattern_price(text, kind->ignores_case, &price, &err) && pattern_limit(&price, text, &longest, &err) &&
                longest == 0)
                steps += price.steps > 1 ? price.steps : 0;
        }
    }
    return steps;
}

int
rule_pattern_longest(int64_t steps)
{
    if (steps * TEXT_MAX <= STEPS_MAX)
        return 0;
    return (int)(STEPS_MAX / steps > TEXT_MIN ? STEPS_MAX / steps : TEXT_MIN);
}

/* ---- texts that are too long ---- */

static bool
has_longest(const struct json *regexes, bool ignores_case, int together)
{
    bool has = false;
    int longest;

    for (size_t i = 0; i < json_size(regexes) && !has; i++)
        has = find_longest(json_cstr(json_at(regexes, i), ""), ignores_case, together, &longest) && longest > 0;
    return has;
}

int
rule_pattern_longer(const struct json *conditions, size_t index, int longest, struct strbuf *out)
{
    const struct json *condition = json_at(conditions, index);
    const struct json *regexes;
    const struct regex_kind *kind = find_regexes(condition, &regexes);

    if (kind == NULL || !has_longest(regexes, kind->ignores_case, kind->is_short ? 0 : longest))
        return 0;
    if (out != NULL)
        add_rule(conditions, condition, longest, out);
    return kind->status;
}

const char *
rule_pattern_outdated(const struct json *conditions)
{
    for (size_t i = 0; i < json_size(conditions); i++) {
        const struct json *regexes = list_of(json_at(conditions, i), "HttpHeaderConfig", "RegexValues");
        for (size_t k = 0; k < json_size(regexes) && is_field(json_at(conditions, i), "http-header"); k++) {
            const char *text = json_cstr(json_at(regexes, k), "");
            struct pattern_price price;
            struct err err;
            if (pattern_price(str_of(text), /* ignores_case= */ true, &price, &err) && price.growth == PATTERN_QUADRATIC)
                return text;
        }
    }
    return NULL;
}
