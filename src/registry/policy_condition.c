/* SPDX-License-Identifier: MIT */
/* policy_condition.c - conditions of policies. A condition holds if every operator holds for every
 * one of its keys; an operator holds if one of the values does (for the negated ones: if none is
 * equal). A key that the request has not makes an operator false, the negated ones and those with
 * IfExists true. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/address_block.h"
#include "base/clock.h"
#include "registry/policy.h"

enum compare { LESS, LESS_EQUAL, EQUAL, GREATER_EQUAL, GREATER };

/* What the request says and what the policy says; may both be anything. */
typedef bool value_matches(const char *is, const char *wanted, enum compare how);

static bool
string_equals(const char *is, const char *wanted, enum compare how)
{
    (void)how;
    return strcmp(is, wanted) == 0;
}

static bool
string_equals_nocase(const char *is, const char *wanted, enum compare how)
{
    (void)how;
    return strcasecmp(is, wanted) == 0;
}

static bool
string_like(const char *is, const char *wanted, enum compare how)
{
    (void)how;
    return str_like(str_of(wanted), str_of(is));
}

/* Each of the six parts by itself: no wildcard reaches over a colon, but in the last part. */
static bool
arn_like(const char *is, const char *wanted, enum compare how)
{
    struct str rest = str_of(is), pattern = str_of(wanted), a, b;

    (void)how;
    for (int i = 0; i < 5; i++)
        if (!str_split(&rest, ':', &a) || !str_split(&pattern, ':', &b) || !str_like(b, a))
            return false;
    return str_like(pattern, rest);
}

static bool
compare(double a, double b, enum compare how)
{
    switch (how) {
    case LESS:
        return a < b;
    case LESS_EQUAL:
        return a <= b;
    case EQUAL:
        return fabs(a - b) < 1e-9;
    case GREATER_EQUAL:
        return a >= b;
    case GREATER:
        return a > b;
    }
    return false;
}

static bool
number_read(const char *text, double *out)
{
    char *end;

    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out);
}

static bool
number_compares(const char *is, const char *wanted, enum compare how)
{
    double a, b;

    return number_read(is, &a) && number_read(wanted, &b) && compare(a, b, how);
}

/* "2026-01-02T03:04:05Z", "2026-01-02" or seconds since the epoch. */
static bool
date_read(const char *text, double *out)
{
    cleanup_free char *whole = text_format("%sT00:00:00Z", text);
    int64_t ms;

    if (clock_parse_iso(str_of(text), &ms) || clock_parse_iso(str_of(whole), &ms)) {
        *out = (double)ms / 1000;
        return true;
    }
    return number_read(text, out);
}

static bool
date_compares(const char *is, const char *wanted, enum compare how)
{
    double a, b;

    return date_read(is, &a) && date_read(wanted, &b) && compare(a, b, how);
}

static bool
address_is_in(const char *is, const char *wanted, enum compare how)
{
    struct address_block block;

    (void)how;
    return address_block_parse_any(wanted, &block) && address_block_has(&block, is);
}

enum value_kind { VALUE_TEXT, VALUE_NUMBER, VALUE_DATE, VALUE_BOOL, VALUE_ADDRESS, VALUE_ARN };

static const struct operator
{
    const char *name;
    value_matches *matches;
    enum compare how;
    bool is_negated;
    enum value_kind kind;
}
operators[] = {
    {"StringEquals", string_equals, EQUAL, false, VALUE_TEXT},
    {"StringNotEquals", string_equals, EQUAL, true, VALUE_TEXT},
    {"StringEqualsIgnoreCase", string_equals_nocase, EQUAL, false, VALUE_TEXT},
    {"StringNotEqualsIgnoreCase", string_equals_nocase, EQUAL, true, VALUE_TEXT},
    {"StringLike", string_like, EQUAL, false, VALUE_TEXT},
    {"StringNotLike", string_like, EQUAL, true, VALUE_TEXT},
    {"NumericEquals", number_compares, EQUAL, false, VALUE_NUMBER},
    {"NumericNotEquals", number_compares, EQUAL, true, VALUE_NUMBER},
    {"NumericLessThan", number_compares, LESS, false, VALUE_NUMBER},
    {"NumericLessThanEquals", number_compares, LESS_EQUAL, false, VALUE_NUMBER},
    {"NumericGreaterThan", number_compares, GREATER, false, VALUE_NUMBER},
    {"NumericGreaterThanEquals", number_compares, GREATER_EQUAL, false, VALUE_NUMBER},
    {"DateEquals", date_compares, EQUAL, false, VALUE_DATE},
    {"DateNotEquals", date_compares, EQUAL, true, VALUE_DATE},
    {"DateLessThan", date_compares, LESS, false, VALUE_DATE},
    {"DateLessThanEquals", date_compares, LESS_EQUAL, false, VALUE_DATE},
    {"DateGreaterThan", date_compares, GREATER, false, VALUE_DATE},
    {"DateGreaterThanEquals", date_compares, GREATER_EQUAL, false, VALUE_DATE},
    {"Bool", string_equals_nocase, EQUAL, false, VALUE_BOOL},
    {"IpAddress", address_is_in, EQUAL, false, VALUE_ADDRESS},
    {"NotIpAddress", address_is_in, EQUAL, true, VALUE_ADDRESS},
    {"ArnEquals", arn_like, EQUAL, false, VALUE_ARN},
    {"ArnNotEquals", arn_like, EQUAL, true, VALUE_ARN},
    {"ArnLike", arn_like, EQUAL, false, VALUE_ARN},
    {"ArnNotLike", arn_like, EQUAL, true, VALUE_ARN},
    {"Null", NULL, EQUAL, false, VALUE_BOOL},
};

struct named {
    const struct operator* operator;
    bool if_exists, for_all, for_any;
};

static bool
operator_find(const char *name, struct named *out)
{
    const struct str all = STR("ForAllValues:"), any = STR("ForAnyValue:"),
                     if_exists = STR("IfExists");
    struct str rest = str_of(name);

    *out = (struct named){.for_all = str_starts(rest, all), .for_any = str_starts(rest, any)};
    if (out->for_all || out->for_any)
        rest = str_slice(rest, out->for_all ? all.len : any.len, rest.len);
    out->if_exists = str_ends(rest, if_exists);
    if (out->if_exists)
        rest = str_slice(rest, 0, rest.len - if_exists.len);
    for (size_t i = 0; i < ARRAY_COUNT(operators); i++)
        if (str_is(rest, operators[i].name))
            out->operator= & operators[i];
    return out->operator!= NULL &&(out->operator->matches != NULL || !out->if_exists);
}

bool
policy_operator_is_known(const char *name)
{
    struct named named;
    return operator_find(name, &named);
}

/* Values may be numbers and truths, too: as texts. */
static const char *
value_text(const struct json *value, char buffer[static 32])
{
    switch (json_type(value)) {
    case JSON_TEXT:
        return json_cstr(value, "");
    case JSON_BOOL:
        return json_truth(value, false) ? "true" : "false";
    case JSON_INT:
        snprintf(buffer, 32, "%lld", (long long)json_i64(value, 0));
        return buffer;
    case JSON_REAL:
        snprintf(buffer, 32, "%.17g", json_f64(value, 0));
        return buffer;
    default:
        return NULL;
    }
}

const char *
policy_value_fault(const char *operator, const struct json * value)
{
    struct named named;
    struct address_block block;
    char buffer[32];
    const char *text = value_text(value, buffer);
    double number;

    if (text == NULL || !operator_find(operator, & named))
        return "this takes texts, numbers and truths only: ";
    switch (named.operator->kind) {
    case VALUE_NUMBER:
        return number_read(text, &number) ? NULL : "this takes numbers: ";
    case VALUE_DATE:
        return date_read(text, &number) ? NULL : "this takes dates: ";
    case VALUE_BOOL:
        return strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0
                   ? NULL
                   : "this takes true and false: ";
    case VALUE_ADDRESS:
        return address_block_parse_any(text, &block) ? NULL : "this takes addresses: ";
    case VALUE_ARN:
    case VALUE_TEXT:
        return NULL;
    }
    return NULL;
}

/* ---- what the request has ---- */

static const char *
tag_of(const struct json *tags, const char *key)
{
    return json_get_cstr(json_find(tags, "Key", key), "Value", NULL);
}

static const char *
account_text(const char *arn, char buffer[static 32])
{
    struct str rest = str_of(arn), part = {0};

    for (int i = 0; i < 5; i++)
        if (!str_split(&rest, ':', &part))
            return NULL;
    return text_copy(buffer, 32, part) ? buffer : NULL;
}

/* "user/a" and "role/b" have a name; root has none. */
static const char *
user_name(const char *arn)
{
    const char *user = strstr(arn, ":user/");

    if (user == NULL)
        return NULL;
    return strrchr(user, '/') + 1;
}

static bool
is_of_tag(const char *key)
{
    return strncasecmp(key, "aws:ResourceTag/", 16) == 0 || strncasecmp(key, "ecr:ResourceTag/", 16) == 0;
}

static const char *
key_value(const struct policy_request *rq, const char *key, char buffer[static 32])
{
    const char *slash = strchr(key, '/');

    if (slash != NULL)
        return is_of_tag(key) ? tag_of(rq->resource_tags, slash + 1) : NULL;
    if (strcasecmp(key, "aws:SourceIp") == 0)
        return rq->source_ip;
    if (strcasecmp(key, "aws:SecureTransport") == 0)
        return rq->is_secure ? "true" : "false";
    if (strcasecmp(key, "aws:RequestedRegion") == 0)
        return rq->region;
    if (strcasecmp(key, "aws:EpochTime") == 0 || strcasecmp(key, "aws:CurrentTime") == 0) {
        snprintf(buffer, 32, "%lld", (long long)(rq->now_ms / 1000));
        return buffer;
    }
    if (strcasecmp(key, "aws:PrincipalIsAWSService") == 0)
        return rq->service != NULL ? "true" : "false";
    if (strcasecmp(key, "aws:PrincipalServiceName") == 0)
        return rq->service;
    if (rq->principal == NULL)
        return NULL;
    if (strcasecmp(key, "aws:PrincipalArn") == 0)
        return rq->principal;
    if (strcasecmp(key, "aws:PrincipalAccount") == 0)
        return account_text(rq->principal, buffer);
    if (strcasecmp(key, "aws:username") == 0)
        return user_name(rq->principal);
    return NULL;
}

/* ---- deciding ---- */

static bool
any_matches(const struct operator* o, const char *is, const struct json *values)
{
    const bool is_list = json_type(values) == JSON_ARRAY;
    char buffer[32];

    for (size_t i = 0; i < (is_list ? json_size(values) : 1); i++) {
        const char *wanted = value_text(is_list ? json_at(values, i) : values, buffer);
        if (wanted != NULL && o->matches(is, wanted, o->how))
            return true;
    }
    return false;
}

static bool
null_holds(const char *is, const struct json *values)
{
    const bool is_list = json_type(values) == JSON_ARRAY;
    char buffer[32];

    for (size_t i = 0; i < (is_list ? json_size(values) : 1); i++) {
        const char *wanted = value_text(is_list ? json_at(values, i) : values, buffer);
        if (wanted != NULL && (strcasecmp(wanted, "true") == 0) == (is == NULL))
            return true;
    }
    return false;
}

static bool
key_holds(const struct named *named, const struct policy_request *rq, const char *key,
          const struct json *values, bool denies)
{
    char buffer[32];

    if (rq->are_tags_unread && is_of_tag(key))
        return denies;
    const char *is = key_value(rq, key, buffer);

    if (named->operator->matches == NULL)
        return null_holds(is, values);
    if (is == NULL)
        return named->if_exists || named->for_all ||
               (named->operator->is_negated && !named->for_any);
    return any_matches(named->operator, is, values) != named->operator->is_negated;
}

bool
policy_condition_holds(const struct json *condition, const struct policy_request *rq, bool denies)
{
    for (void *it = json_first(condition); it != NULL; it = json_next(condition, it)) {
        const struct json *keys = json_value(it);
        struct named named;
        if (!operator_find(json_key(it), &named))
            return false;
        for (void *k = json_first(keys); k != NULL; k = json_next(keys, k))
            if (!key_holds(&named, rq, json_key(k), json_value(k), denies))
                return false;
    }
    return true;
}
