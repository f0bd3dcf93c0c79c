/* SPDX-License-Identifier: MIT */
/* elbv2_condition.c - conditions of rules (alb.md A4): checked, and written out as AWS shows them. */
#include "api/elbv2.h"

#include <ctype.h>
#include "base/address_block.h"
#include "model/pattern.h"

#define VALUE_LENGTH 128
#define HEADER_NAME_LENGTH 40
#define REGEX_WRITTEN_MAX 8000 /* of a rule's expressions as HAProxy gets them, in one line of at most 16 KB */

typedef bool check_value(const char *value, struct err *err);

struct condition_kind {
    const char *field, *config;
    check_value *check;
    bool is_single;   /* one a rule */
    bool has_short;   /* may be given as Values, and is shown as such, too */
    bool has_globs;   /* '*' and '?' are wildcards */
    enum { NO_REGEX, REGEX_OF_CASE, REGEX_WITHOUT_CASE } regex; /* may have RegexValues instead */
};

/* ---- values ---- */

static bool
bad_character(const char *value, struct err *err)
{
    return err_set(err, ERR_ELB_VALIDATION, "Condition value '%s' contains a character that is not valid", value);
}

static bool
check_length(const char *value, size_t max, struct err *err)
{
    if (value[0] == '\0')
        return err_set(err, ERR_ELB_VALIDATION, "A condition value must be specified");
    if (strlen(value) > max)
        return err_set(err, ERR_ELB_VALIDATION, "Condition value '%.200s' is too long; the limit is '%d'", value,
                       (int)max);
    return true;
}

static bool
check_host(const char *value, struct err *err)
{
    if (!check_length(value, VALUE_LENGTH, err))
        return false;
    for (const char *p = value; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr("-._*?", *p) == NULL)
            return bad_character(value, err);
    return true;
}

/* Neither a path nor a query holds blanks. */
static bool
check_path(const char *value, struct err *err)
{
    if (!check_length(value, VALUE_LENGTH, err))
        return false;
    for (const char *p = value; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || (unsigned char)*p > '~')
            return bad_character(value, err);
    return true;
}

static bool
check_printable(const char *value, struct err *err)
{
    if (!check_length(value, VALUE_LENGTH, err))
        return false;
    for (const char *p = value; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
            return bad_character(value, err);
    return true;
}

static bool
check_method(const char *value, struct err *err)
{
    if (!check_length(value, 40, err))
        return false;
    for (const char *p = value; *p != '\0'; p++)
        if ((*p < 'A' || *p > 'Z') && *p != '-' && *p != '_')
            return bad_character(value, err);
    return true;
}

static bool
check_source(const char *value, struct err *err)
{
    struct address_block block;

    return address_block_parse(value, &block) ||
           err_set(err, ERR_ELB_VALIDATION, "Condition value '%.100s' must be a valid CIDR block", value);
}

static const struct condition_kind kinds[] = {
    {"host-header", "HostHeaderConfig", check_host, .is_single = true, .has_short = true, .has_globs = true,
     .regex = REGEX_WITHOUT_CASE},
    {"path-pattern", "PathPatternConfig", check_path, .is_single = true, .has_short = true, .has_globs = true,
     .regex = REGEX_OF_CASE},
    {"http-header", "HttpHeaderConfig", check_printable, .has_globs = true, .regex = REGEX_WITHOUT_CASE},
    {"http-request-method", "HttpRequestMethodConfig", check_method, .is_single = true},
    {"query-string", "QueryStringConfig", check_path, .has_globs = true},
    {"source-ip", "SourceIpConfig", check_source, .is_single = true},
};

/* Not those behind a backslash. */
static int
count_wildcards(const char *value)
{
    int count = 0;

    for (const char *p = value; *p != '\0'; p++) {
        count += *p == '*' || *p == '?';
        p += *p == '\\' && p[1] != '\0';
    }
    return count;
}

/* ---- one condition ---- */

struct counts { /* of a rule */
    size_t values;
    int wildcards;
    size_t written; /* see REGEX_WRITTEN_MAX */
    int conditions[ARRAY_COUNT(kinds)];
};

static const struct condition_kind *
find_kind(const char *field)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (strcmp(kinds[i].field, field) == 0)
            return &kinds[i];
    return NULL;
}

/* Values or RegexValues: given beside Field, or in the member of the field's own. */
static bool
check_list(const struct condition_kind *kind, const struct json *condition, const char *list, struct err *err)
{
    if (json_size(json_get(condition, list)) == 0)
        return true;
    if (!kind->has_short)
        return err_set(err, ERR_ELB_VALIDATION, "A condition with the field '%s' must use %s, not %s", kind->field,
                       kind->config, list);
    return json_get(condition, kind->config) == NULL ||
           err_set(err, ERR_ELB_VALIDATION, "You cannot specify both %s and %s", list, kind->config);
}

static const struct json *
list_of(const struct condition_kind *kind, const struct json *condition, const char *list)
{
    const struct json *config = json_get(condition, kind->config);

    return json_get(config != NULL ? config : condition, list);
}

static bool
check_members(const struct condition_kind *kind, const struct json *condition, struct err *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (&kinds[i] != kind && json_get(condition, kinds[i].config) != NULL)
            return err_set(err, ERR_ELB_VALIDATION, "%s does not belong to a condition with the field '%s'",
                           kinds[i].config, kind->field);
    if (kind->regex == NO_REGEX && json_size(json_get(condition, "RegexValues")) > 0)
        return err_set(err, ERR_ELB_VALIDATION, "RegexValues can only be specified for a condition with the field "
                                                "'host-header', 'path-pattern' or 'http-header'");
    if (!check_list(kind, condition, "Values", err) || !check_list(kind, condition, "RegexValues", err))
        return false;
    return json_size(list_of(kind, condition, "Values")) == 0 ||
           json_size(list_of(kind, condition, "RegexValues")) == 0 ||
           err_set(err, ERR_ELB_VALIDATION, "You cannot specify both Values and RegexValues in a condition");
}

static bool
check_header_name(const char *name, struct err *err)
{
    if (name[0] == '\0')
        return err_set(err, ERR_ELB_VALIDATION, "HttpHeaderName must be specified");
    if (strlen(name) > HEADER_NAME_LENGTH)
        return err_set(err, ERR_ELB_VALIDATION, "HttpHeaderName '%.100s' is too long; the limit is '%d'", name,
                       HEADER_NAME_LENGTH);
    for (const char *p = name; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr("!#$%&'*+-.^_`|~", *p) == NULL)
            return err_set(err, ERR_ELB_VALIDATION, "HttpHeaderName '%s' contains a character that is not valid", name);
    if (str_equal_nocase(str_of(name), STR("host")))
        return err_set(err, ERR_ELB_VALIDATION, "The Host header must be given by a condition with the field 'host-header'");
    return true;
}

static bool
accept_text(const struct condition_kind *kind, const char *value, struct counts *counts, struct err *err)
{
    counts->wildcards += kind->has_globs ? count_wildcards(value) : 0;
    return kind->check(value, err);
}

/* A request may have a header many times, each as long as it may be to be looked at. */
static bool
accept_price(const char *value, bool ignores_case, bool is_header, struct err *err)
{
    struct pattern_price price;
    int longest;

    if (!pattern_price(str_of(value), ignores_case, &price, err) ||
        !pattern_limit(&price, str_of(value), &longest, err))
        return false;
    return !is_header || price.growth != PATTERN_QUADRATIC ||
           err_set(err, ERR_INVALID_PARAMETER,
                   "The regular expression '%s' could take too long for an http-header: its time grows with the square of "
                   "the header, as two parts of it that repeat, or one and the search for where it begins, can take the "
                   "same characters.", value);
}

/* Where a value of a header begins its name is looked back at. */
static size_t
anchors_size(const char *value, const char *header_name)
{
    size_t size = 0;

    for (const char *p = value; *p != '\0'; p++)
        size += *p == '^' ? 16 + 4 * strlen(header_name) : *p == '$' ? 16 : 0;
    return size;
}

/* What HAProxy could not compile, or could be kept busy by, does not get there (model/pattern.h). */
static bool
accept_regex(const struct condition_kind *kind, const char *value, const char *header_name, struct counts *counts,
             struct err *err)
{
    const struct pattern_dialect plain = {.begin = "", .end = "", .ignores_case = kind->regex == REGEX_WITHOUT_CASE};
    cleanup(strbuf_done) struct strbuf translated = {0};
    struct err why;

    if (!check_printable(value, err))
        return false;
    if (!accept_price(value, plain.ignores_case, header_name[0] != '\0', &why) ||
        !pattern_translate_search(str_of(value), &plain, &translated, NULL, &why))
        return err_set(err, ERR_ELB_VALIDATION, "Condition value is not valid: %s", why.message);
    counts->written += translated.len + anchors_size(value, header_name);
    return counts->written <= REGEX_WRITTEN_MAX ||
           err_set(err, ERR_ELB_VALIDATION, "The regular expressions of a rule are too large together");
}

/* {Key, Value} of a query-string, else a text. */
static bool
accept_value(const struct condition_kind *kind, const struct json *value, struct counts *counts, struct err *err)
{
    const char *key;

    if (json_type(value) != JSON_OBJECT)
        return accept_text(kind, json_cstr(value, ""), counts, err);
    key = json_get_cstr(value, "Key", NULL);
    return (key == NULL || accept_text(kind, key, counts, err)) &&
           accept_text(kind, json_get_cstr(value, "Value", ""), counts, err);
}

/* As DescribeRules shows it. */
static struct json *
written_out(const struct condition_kind *kind, const char *header_name, const char *list, const struct json *values)
{
    struct json *out = json_object(), *config = json_object();

    json_set(out, "Field", json_text(kind->field));
    if (kind->has_short)
        json_set(out, list, json_copy(values));
    if (header_name != NULL)
        json_set(config, "HttpHeaderName", json_text(header_name));
    json_set(config, list, json_copy(values));
    json_set(out, kind->config, config);
    return out;
}

static struct json *
accept_condition(const struct json *condition, struct counts *counts, struct err *err)
{
    const char *field = json_get_cstr(condition, "Field", "");
    const struct condition_kind *kind = find_kind(field);
    const struct json *config = kind != NULL ? json_get(condition, kind->config) : NULL;
    const struct json *values;
    const bool is_header = strcmp(field, "http-header") == 0;
    const char *header_name = is_header ? json_get_cstr(config, "HttpHeaderName", "") : "";
    bool is_regex;

    if (kind == NULL) {
        err_set(err, ERR_ELB_VALIDATION,
                "Condition field '%.100s' must be one of '[path-pattern, host-header, http-header, "
                "http-request-method, query-string, source-ip]'", field);
        return NULL;
    }
    if (!check_members(kind, condition, err) ||
        (is_header && !check_header_name(header_name, err)))
        return NULL;
    if (++counts->conditions[kind - kinds] > 1 && kind->is_single) {
        err_set(err, ERR_ELB_VALIDATION, "A rule can only have one '%s' condition", field);
        return NULL;
    }
    is_regex = json_size(list_of(kind, condition, "RegexValues")) > 0;
    values = list_of(kind, condition, is_regex ? "RegexValues" : "Values");
    if (json_size(values) == 0) {
        err_set(err, ERR_ELB_VALIDATION, "A condition value must be specified");
        return NULL;
    }
    counts->values += json_size(values);
    for (size_t i = 0; i < json_size(values); i++)
        if (is_regex ? !accept_regex(kind, json_cstr(json_at(values, i), ""), header_name, counts, err)
                     : !accept_value(kind, json_at(values, i), counts, err))
            return NULL;
    return written_out(kind, is_header ? header_name : NULL,
                       is_regex ? "RegexValues" : "Values", values);
}

struct json *
elb_accept_conditions(const struct json *conditions, struct err *err)
{
    cleanup_json struct json *all = json_array();
    struct counts counts = {0};

    for (size_t i = 0; i < json_size(conditions); i++) {
        struct json *condition = accept_condition(json_at(conditions, i), &counts, err);

        if (condition == NULL)
            return NULL;
        json_append(all, condition);
    }
    if (json_size(all) == 0) {
        err_set(err, ERR_ELB_VALIDATION, "A rule must have at least one condition");
        return NULL;
    }
    if (counts.values > VALUES_PER_RULE) {
        err_set(err, ERR_ELB_VALIDATION, "A rule can only have '%d' condition values", VALUES_PER_RULE);
        return NULL;
    }
    if (counts.wildcards > WILDCARDS_PER_RULE) {
        err_set(err, ERR_ELB_VALIDATION, "A rule can only have '%d' condition wildcards", WILDCARDS_PER_RULE);
        return NULL;
    }
    return TAKE(all);
}

int
elb_count_slow(const struct json *conditions)
{
    int count = 0;

    for (size_t i = 0; i < json_size(conditions); i++) {
        const struct json *condition = json_at(conditions, i);
        const struct condition_kind *kind = find_kind(json_get_cstr(condition, "Field", ""));
        const struct json *values = kind != NULL ? list_of(kind, condition, "RegexValues") : NULL;
        for (size_t k = 0; k < json_size(values); k++) {
            struct pattern_price price;
            struct err err;
            count += pattern_price(str_of(json_cstr(json_at(values, k), "")), kind->regex == REGEX_WITHOUT_CASE, &price, &err) &&
                     price.growth == PATTERN_QUADRATIC;
        }
    }
    return count;
}
