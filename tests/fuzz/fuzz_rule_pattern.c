/* SPDX-License-Identifier: MIT */
/* A value of a rule as the API takes it, and lines that it may meet: "<kind><value>LF<text>LF<text>...".  The kind says by its
 * lowest bits where the value stands (host, path, header), and whether it is a regular expression. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <assert.h>
#include <ctype.h>
#include "balancer/rule_pattern.h"
#include "base/cleanup.h"
#include "model/pattern.h"

#define VALUE_MAX 128
#define TEXT_MAX 1500
#define WRITTEN_MAX 8000 /* of a rule's expressions, for the API */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum place { PLACE_HOST, PLACE_PATH, PLACE_HEADER, PLACES };
static const char *const fields[] = {"host-header", "path-pattern", "http-header"};
static const char *const configs[] = {"HostHeaderConfig", "PathPatternConfig", "HttpHeaderConfig"};

struct question {
    enum place place;
    bool is_regex;
    struct str value;
    struct json *conditions;
    int together; /* what many of them may look at; 0: any */
    int longest;  /* and this one; 0: any */
};

/* ---- HAProxy's part ---- */

static pcre2_code *
compile(const struct strbuf *text)
{
    size_t at;
    int number;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text->at, text->len, 0, &number, &at, NULL);

    assert(code != NULL);
    assert(pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0);
    return code;
}

static bool
matches(const pcre2_code *code, struct str key)
{
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    const int found = pcre2_jit_match(code, (PCRE2_SPTR)key.at, key.len, 0, 0, match, NULL);

    pcre2_match_data_free(match);
    assert(found >= 0 || found == PCRE2_ERROR_NOMATCH);
    return found >= 0;
}

/* ---- what is meant ---- */

static bool
glob_matches(struct str glob, struct str text, bool has_cases)
{
    if (glob.len == 0)
        return text.len == 0;
    if (glob.at[0] == '*') {
        for (size_t i = 0; i <= text.len; i++)
            if (glob_matches(str_slice(glob, 1, glob.len), str_slice(text, i, text.len), has_cases))
                return true;
        return false;
    }
    if (text.len == 0)
        return false;
    if (glob.at[0] != '?') {
        int want;
        if (glob.at[0] == '\\' && glob.len > 1 && strchr("*?\\", glob.at[1]) != NULL)
            glob = str_slice(glob, 1, glob.len);
        want = (unsigned char)glob.at[0];
        if (has_cases ? want != (unsigned char)text.at[0] : tolower(want) != tolower((unsigned char)text.at[0]))
            return false;
    }
    return glob_matches(str_slice(glob, 1, glob.len), str_slice(text, 1, text.len), has_cases);
}

/* 1, 0, or -1: that is not known. */
static int
should_match(const struct question *q, struct str text)
{
    cleanup(strbuf_done) struct strbuf whole = {0};
    struct pattern *p;
    struct err err;
    int should;

    if (!q->is_regex)
        return text.len > 40 ? -1 : glob_matches(q->value, text, q->place == PLACE_PATH);
    if (q->place != PLACE_PATH) /* our own matcher knows cases only */
        return -1;
    strbuf_add_cstr(&whole, ".*(?:");
    strbuf_add(&whole, q->value);
    strbuf_add_cstr(&whole, ").*");
    p = pattern_parse(strbuf_str(&whole), &err);
    should = p != NULL ? pattern_matches(p, text) : -1;
    pattern_free(p);
    return should;
}

/* ---- one question ---- */

/* As the API does. */
static bool
is_taken(struct question *q)
{
    const struct pattern_dialect plain = {.begin = "", .end = "", .ignores_case = q->place != PLACE_PATH};
    cleanup(strbuf_done) struct strbuf written = {0};
    struct pattern_price price;
    struct err err;
    int wildcards = 0;

    if (q->value.len == 0 || q->value.len > VALUE_MAX)
        return false;
    for (size_t i = 0; i < q->value.len; i++) {
        wildcards += q->value.at[i] == '*';
        if (q->value.at[i] < ' ' || q->value.at[i] > '~')
            return false;
    }
    if (!q->is_regex)
        return wildcards <= 6;
    if (!pattern_price(q->value, plain.ignores_case, &price, &err) || !pattern_limit(&price, q->value, &q->longest, &err) ||
        (q->place == PLACE_HEADER && price.growth == PATTERN_QUADRATIC))
        return false;
    if (q->longest == 0 && q->place != PLACE_HOST && price.steps > 1)
        q->longest = q->together;
    return pattern_translate_search(q->value, &plain, &written, NULL, &err) && written.len * 5 <= WRITTEN_MAX;
}

static struct json *
make_conditions(const struct question *q)
{
    cleanup_free char *value = str_dup(q->value);
    struct json *list = json_array(), *condition = json_object(), *config = json_object(), *values = json_array();

    for (int i = 0; i < 5; i++) /* as many as a rule may have */
        json_append(values, json_text(value));
    if (q->place == PLACE_HEADER)
        json_set(config, "HttpHeaderName", json_text("X-A"));
    json_set(config, q->is_regex ? "RegexValues" : "Values", values);
    json_set(condition, "Field", json_text(fields[q->place]));
    json_set(condition, configs[q->place], config);
    json_append(list, condition);
    return list;
}

static void
add_key(enum place place, struct str text, struct strbuf *out)
{
    strbuf_add_cstr(out, "GET\n");
    for (size_t i = 0; place == PLACE_HOST && i < text.len; i++)
        strbuf_add_char(out, (char)tolower((unsigned char)text.at[i]));
    strbuf_add_cstr(out, place == PLACE_HOST ? "" : "a.example");
    strbuf_add_char(out, '\n');
    strbuf_add(out, place == PLACE_PATH ? text : STR("/"));
    strbuf_add_cstr(out, "\n&\n7F000001\nhost: a\r\nx-a: ");
    strbuf_add(out, place == PLACE_HEADER ? text : STR("b"));
    strbuf_add_cstr(out, "\r\nx-b: c\r\n\r\n");
}

/* Literals that each text has to have. */
static bool
has_known(const struct question *q)
{
    const struct pattern_dialect plain = {.begin = "", .end = ""};
    cleanup(strbuf_done) struct strbuf known = {0};
    struct err err;

    return !pattern_translate_known(q->value, &plain, &known, &err) || known.len > 0;
}

static void
ask(const struct question *q, const pcre2_code *rule, const pcre2_code *longer, struct str text)
{
    cleanup(strbuf_done) struct strbuf key = {0};
    const bool is_longer = q->longest > 0 && text.len > (size_t)q->longest;
    int should;
    bool is;

    add_key(q->place, text, &key);
    is = matches(rule, strbuf_str(&key));
    assert(!is || !is_longer);
    if (is_longer && (should_match(q, text) == 1 || !has_known(q)))
        assert(matches(longer, strbuf_str(&key)));
    if (!is_longer)
        assert(longer == NULL || !matches(longer, strbuf_str(&key)));
    should = is_longer ? -1 : should_match(q, text);
    assert(should < 0 || is == (should == 1));
}

static void
ask_all(const struct question *q, struct str rest)
{
    cleanup(strbuf_done) struct strbuf text = {0}, longer_text = {0};
    struct str line;
    pcre2_code *rule, *longer = NULL;

    rule_pattern(q->conditions, q->together, &text);
    for (size_t i = 0; i < text.len; i++) /* what maps and commands know */
        assert(text.at[i] > ' ' && text.at[i] <= '~' && strchr(";#\"'", text.at[i]) == NULL);
    assert(text.len < 15000); /* HAProxy reads 16 KB */
    rule = compile(&text);
    if (rule_pattern_longer(q->conditions, 0, q->together, &longer_text) > 0)
        longer = compile(&longer_text);
    assert((longer != NULL) == (q->longest > 0));
    for (int i = 0; i < 8 && str_split(&rest, '\n', &line); i++)
        if (line.len <= TEXT_MAX && memchr(line.at, '\r', line.len) == NULL && memchr(line.at, '\0', line.len) == NULL)
            ask(q, rule, longer, line);
    pcre2_code_free(rule);
    pcre2_code_free(longer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = {(const char *)data, size};
    struct question q = {.place = PLACE_PATH};

    if (size < 2)
        return 0;
    q.place = data[0] % 4 == 3 ? PLACE_PATH : data[0] % 4;
    q.is_regex = data[0] & 4;
    q.together = data[0] & 8 ? 12 : 0;
    all = str_slice(all, 1, all.len);
    if (!str_split(&all, '\n', &q.value) || !is_taken(&q))
        return 0;
    q.conditions = make_conditions(&q);
    ask_all(&q, all);
    json_unref(q.conditions);
    return 0;
}
