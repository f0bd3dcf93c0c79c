/* SPDX-License-Identifier: MIT */
#include "registry/policy.h"

#include <stdio.h>
#include <strings.h>

#define ACCOUNT_DIGITS 12

/* ---- lists that may be one text ---- */

static size_t
texts_count(const struct json *value)
{
    return json_type(value) == JSON_ARRAY ? json_size(value) : value != NULL ? 1 : 0;
}

static const char *
texts_at(const struct json *value, size_t i)
{
    return json_cstr(json_type(value) == JSON_ARRAY ? json_at(value, i) : value, NULL);
}

/* ---- checking ---- */

struct check {
    enum policy_kind kind;
    size_t statement; /* from 1 */
    struct err *err;
};

static bool
fail(const struct check *c, const char *why, const char *what)
{
    const char *kind = c->kind == POLICY_OF_REPOSITORY ? "repository" : "registry";

    if (c->statement == 0)
        return err_set(
            c->err, ERR_INVALID_PARAMETER,
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid %s "
            "policy provided': %s%.100s",
            kind, why, what);
    return err_set(
        c->err, ERR_INVALID_PARAMETER,
        "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid %s policy "
        "provided': statement %zu: %s%.100s",
        kind, c->statement, why, what);
}

static bool
members_check(const struct check *c, const struct json *object, const char *const *known,
              size_t count)
{
    const char *stranger = json_stranger(object, known, count);

    return stranger == NULL || fail(c, "there is no element ", stranger);
}

/* A text, or a list of texts that is not empty. */
static bool
texts_check(const struct check *c, const struct json *value, const char *what)
{
    const size_t count = texts_count(value);

    if (count == 0 || count > POLICY_VALUES_MAX)
        return fail(c, "it needs a text or up to 500 of them in ", what);
    for (size_t i = 0; i < count; i++) {
        const char *text = texts_at(value, i);
        if (text == NULL || text[0] == '\0')
            return fail(c, "a text is needed in ", what);
        if (strstr(text, "${") != NULL)
            return fail(c, "policy variables are not built in naru: ", text);
    }
    return true;
}

/* Exactly one of an element and its opposite. */
static bool
either(const struct check *c, const struct json *statement, const char *name, const char *opposite,
       const struct json **out)
{
    const struct json *is = json_get(statement, name), *is_not = json_get(statement, opposite);

    if ((is == NULL) == (is_not == NULL))
        return fail(c, "it needs one of the two, not both: itself and its opposite, ", opposite);
    *out = is != NULL ? is : is_not;
    return true;
}

static bool
actions_check(const struct check *c, const struct json *statement)
{
    const struct json *actions = NULL;

    if (!either(c, statement, "Action", "NotAction", &actions) ||
        !texts_check(c, actions, "Action"))
        return false;
    for (size_t i = 0; i < texts_count(actions); i++) {
        const char *action = texts_at(actions, i);
        if (strcmp(action, "*") != 0 && (strncasecmp(action, "ecr:", 4) != 0 || action[4] == '\0'))
            return fail(c, "this is no action of ecr: ", action);
    }
    return true;
}

static bool
is_account(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return text.len == ACCOUNT_DIGITS;
}

static bool
principal_text_check(const struct check *c, const char *principal)
{
    if (strcmp(principal, "*") == 0 || is_account(str_of(principal)))
        return true;
    if (strncmp(principal, "arn:", 4) != 0)
        return fail(c, "this is no principal: ", principal);
    return strpbrk(principal, "*?") == NULL ||
           fail(c, "an ARN of a principal has no wildcards: ", principal);
}

static bool
principal_check(const struct check *c, const struct json *statement)
{
    static const char *const kinds[] = {"AWS", "Service", "Federated", "CanonicalUser"};
    const struct json *principal = NULL;

    if (!either(c, statement, "Principal", "NotPrincipal", &principal))
        return false;
    if (json_type(principal) == JSON_TEXT)
        return strcmp(json_cstr(principal, ""), "*") == 0 ||
               fail(c, "a principal that is a text can only be '*', not ",
                    json_cstr(principal, ""));
    if (json_type(principal) != JSON_OBJECT || json_size(principal) == 0)
        return fail(c, "this has to be '*' or an object: ", "Principal");
    if (!members_check(c, principal, kinds, ARRAY_COUNT(kinds)))
        return false;
    for (void *it = json_first(principal); it != NULL; it = json_next(principal, it)) {
        if (!texts_check(c, json_value(it), json_key(it)))
            return false;
        for (size_t i = 0; strcmp(json_key(it), "AWS") == 0 && i < texts_count(json_value(it)); i++)
            if (!principal_text_check(c, texts_at(json_value(it), i)))
                return false;
    }
    return true;
}

static bool
resources_check(const struct check *c, const struct json *statement)
{
    const struct json *resources = NULL;

    if (c->kind == POLICY_OF_REPOSITORY)
        return (json_get(statement, "Resource") == NULL &&
                json_get(statement, "NotResource") == NULL) ||
               fail(c, "a repository's policy is about the repository and has no ", "Resource");
    if (!either(c, statement, "Resource", "NotResource", &resources) ||
        !texts_check(c, resources, "Resource"))
        return false;
    for (size_t i = 0; i < texts_count(resources); i++) {
        const char *resource = texts_at(resources, i);
        if (strcmp(resource, "*") != 0 && strncmp(resource, "arn:", 4) != 0)
            return fail(c, "this is no ARN: ", resource);
    }
    return true;
}

static bool
values_check(const struct check *c, const char *operator, const struct json * values)
{
    const size_t count = texts_count(values);
    const char *fault;

    if (count == 0 || count > POLICY_VALUES_MAX)
        return fail(c, "it needs one or up to 500 values in ", operator);
    for (size_t i = 0; i < count; i++) {
        const struct json *value = json_type(values) == JSON_ARRAY ? json_at(values, i) : values;
        const char *text = json_cstr(value, "");
        if (strstr(text, "${") != NULL)
            return fail(c, "policy variables are not built in naru: ", text);
        fault = policy_value_fault(operator, value);
        if (fault != NULL)
            return fail(c, fault, operator);
    }
    return true;
}

static bool
condition_check(const struct check *c, const struct json *condition)
{
    if (condition == NULL)
        return true;
    if (json_type(condition) != JSON_OBJECT)
        return fail(c, "this has to be an object: ", "Condition");
    for (void *it = json_first(condition); it != NULL; it = json_next(condition, it)) {
        const struct json *keys = json_value(it);
        if (!policy_operator_is_known(json_key(it)))
            return fail(c, "there is no condition operator ", json_key(it));
        if (json_type(keys) != JSON_OBJECT || json_size(keys) == 0)
            return fail(c, "this has to be an object of keys: ", json_key(it));
        for (void *k = json_first(keys); k != NULL; k = json_next(keys, k))
            if (!values_check(c, json_key(it), json_value(k)))
                return false;
    }
    return true;
}

static bool
statement_check(const struct check *c, const struct json *statement)
{
    static const char *const known[] = {"Sid",          "Effect",      "Principal",
                                        "NotPrincipal", "Action",      "NotAction",
                                        "Resource",     "NotResource", "Condition"};
    const char *effect = json_get_cstr(statement, "Effect", "");

    if (json_type(statement) != JSON_OBJECT)
        return fail(c, "it is no object", "");
    if (!members_check(c, statement, known, ARRAY_COUNT(known)))
        return false;
    if (strcmp(effect, "Allow") != 0 && strcmp(effect, "Deny") != 0)
        return fail(c, "Effect has to be Allow or Deny, not ", effect);
    if (json_get(statement, "Sid") != NULL && json_get_cstr(statement, "Sid", NULL) == NULL)
        return fail(c, "this has to be a text: ", "Sid");
    return principal_check(c, statement) && actions_check(c, statement) &&
           resources_check(c, statement) && condition_check(c, json_get(statement, "Condition"));
}

static bool
sid_is_new(const struct json *statements, size_t until)
{
    const char *sid = json_get_cstr(json_at(statements, until), "Sid", "");

    for (size_t i = 0; sid[0] != '\0' && i < until; i++)
        if (strcmp(json_get_cstr(json_at(statements, i), "Sid", ""), sid) == 0)
            return false;
    return true;
}

static bool
document_check(struct check *c, const struct json *document)
{
    static const char *const known[] = {"Version", "Id", "Statement"};
    const char *version = json_get_cstr(document, "Version", "2008-10-17");
    const struct json *statements = json_get(document, "Statement");
    const bool is_list = json_type(statements) == JSON_ARRAY;

    if (json_type(document) != JSON_OBJECT)
        return fail(c, "it is no object", "");
    if (!members_check(c, document, known, ARRAY_COUNT(known)))
        return false;
    if (strcmp(version, "2012-10-17") != 0 && strcmp(version, "2008-10-17") != 0)
        return fail(c, "Version has to be 2012-10-17 or 2008-10-17, not ", version);
    const size_t count = is_list ? json_size(statements) : statements != NULL;
    if (count == 0 || count > POLICY_STATEMENTS_MAX)
        return fail(c, "it needs 1 to 100 of ", "Statement");
    for (size_t i = 0; i < count; i++) {
        c->statement = i + 1;
        if (!statement_check(c, is_list ? json_at(statements, i) : statements))
            return false;
        if (is_list && !sid_is_new(statements, i))
            return fail(c, "another statement has that Sid, too: ",
                        json_get_cstr(json_at(statements, i), "Sid", ""));
    }
    return true;
}

bool
policy_parse(struct str text, enum policy_kind kind, struct json **out, struct err *err)
{
    struct check c = {.kind = kind, .err = err};
    struct err why = {0};

    if (text.len > POLICY_TEXT_MAX)
        return fail(&c, "it has more than 10240 bytes", "");
    cleanup_json struct json *document = json_parse(text, &why);
    if (document == NULL)
        return fail(&c, "it is no JSON: ", why.message);
    if (!document_check(&c, document))
        return false;
    *out = TAKE(document);
    return true;
}

/* ---- deciding ---- */

/* The account of "arn:aws:iam::123456789012:user/a". */
static struct str
account_of(const char *arn)
{
    struct str rest = str_of(arn), part = {0};

    for (int i = 0; i < 5; i++)
        if (!str_split(&rest, ':', &part))
            return (struct str){0};
    return part;
}

/* "arn:aws:sts::123456789012:assumed-role/deploy/web-7" of "arn:aws:iam::123456789012:role/team/deploy". */
static bool
is_session_of(struct str role, struct str session)
{
    const ptrdiff_t name = str_rindex(role, '/'), end = str_rindex(session, '/');
    cleanup_free char *begin = NULL;

    if (name < 0 || end < 0 || str_find(role, STR(":role/")) < 0)
        return false;
    cleanup_free char *arn = str_dup(role);
    begin = text_format("arn:aws:sts::" STR_FMT ":assumed-role/" STR_FMT, STR_ARG(account_of(arn)),
                        STR_ARG(str_slice(role, (size_t)name + 1, role.len)));
    return str_is(str_slice(session, 0, (size_t)end), begin);
}

static bool
aws_principal_matches(const char *wanted, const char *principal)
{
    if (strcmp(wanted, "*") == 0)
        return true;
    if (principal == NULL)
        return false;
    if (is_account(str_of(wanted)))
        return str_equal(account_of(principal), str_of(wanted));
    if (str_ends(str_of(wanted), STR(":root"))) /* whoever is of that account */
        return str_equal(account_of(principal), account_of(wanted));
    return strcmp(wanted, principal) == 0 || is_session_of(str_of(wanted), str_of(principal));
}

static bool
principal_matches(const struct json *principal, const struct policy_request *rq)
{
    const struct json *aws = json_get(principal, "AWS"), *service = json_get(principal, "Service");

    if (json_type(principal) == JSON_TEXT)
        return true; /* it is "*" */
    for (size_t i = 0; i < texts_count(aws); i++)
        if (aws_principal_matches(texts_at(aws, i), rq->principal))
            return true;
    for (size_t i = 0; rq->service != NULL && i < texts_count(service); i++)
        if (strcmp(texts_at(service, i), rq->service) == 0)
            return true;
    return false;
}

/* Actions are compared without case. */
static void
lower(const char *text, char *out, size_t size)
{
    size_t i = 0;

    for (; text[i] != '\0' && i + 1 < size; i++)
        out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
    out[i] = '\0';
}

static bool
action_matches(const struct json *actions, const char *action)
{
    char wanted[256], is[256];

    lower(action, is, sizeof is);
    for (size_t i = 0; i < texts_count(actions); i++) {
        lower(texts_at(actions, i), wanted, sizeof wanted);
        if (str_like(str_of(wanted), str_of(is)))
            return true;
    }
    return false;
}

static bool
resource_matches(const struct json *resources, const char *resource)
{
    for (size_t i = 0; i < texts_count(resources); i++)
        if (str_like(str_of(texts_at(resources, i)), str_of(resource)))
            return true;
    return false;
}

/* Does the statement speak about the request at all? */
static bool
statement_matches(const struct json *statement, const struct policy_request *rq, bool denies)
{
    const struct json *principal = json_get(statement, "Principal"),
                      *not_principal = json_get(statement, "NotPrincipal"),
                      *action = json_get(statement, "Action"),
                      *not_action = json_get(statement, "NotAction"),
                      *resource = json_get(statement, "Resource"),
                      *not_resource = json_get(statement, "NotResource");

    return (principal == NULL || principal_matches(principal, rq)) &&
           (not_principal == NULL || !principal_matches(not_principal, rq)) &&
           (action == NULL || action_matches(action, rq->action)) &&
           (not_action == NULL || !action_matches(not_action, rq->action)) &&
           (resource == NULL || resource_matches(resource, rq->resource)) &&
           (not_resource == NULL || !resource_matches(not_resource, rq->resource)) &&
           policy_condition_holds(json_get(statement, "Condition"), rq, denies);
}

enum policy_verdict
policy_verdict(const struct json *policy, const struct policy_request *rq)
{
    const struct json *statements = json_get(policy, "Statement");
    const bool is_list = json_type(statements) == JSON_ARRAY;
    enum policy_verdict verdict = POLICY_NONE;

    for (size_t i = 0; i < (is_list ? json_size(statements) : 1); i++) {
        const struct json *statement = is_list ? json_at(statements, i) : statements;
        const bool denies = strcmp(json_get_cstr(statement, "Effect", "Deny"), "Deny") == 0;
        if (statement_matches(statement, rq, denies))
            verdict = policy_verdict_add(verdict, denies ? POLICY_DENY : POLICY_ALLOW);
    }
    return verdict;
}

enum policy_verdict
policy_verdict_add(enum policy_verdict a, enum policy_verdict b)
{
    return a > b ? a : b;
}
