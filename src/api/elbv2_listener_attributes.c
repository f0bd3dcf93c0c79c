/* SPDX-License-Identifier: MIT */
/* elbv2_listener_attributes.c - what a listener adds to requests and answers (alb.md A5). */
#include "api/elbv2.h"

#include <ctype.h>
#include <stdio.h>

#define HEADER_NAME_LENGTH 40

typedef bool check_attribute(const char *key, const char *value, struct err *err);

struct listener_attribute {
    const char *key, *fallback;
    const char *values;     /* the only ones, "a,b"; NULL: `check` says */
    check_attribute *check; /* not asked about the default */
    bool is_list;           /* several of the values, with commas */
    bool needs_tls;         /* tells of the client's TLS: listeners of HTTPS have it */
    bool is_tcp;            /* of listeners of TCP, which have no other ones */
};

static bool
check_header_value(const char *key, const char *value, struct err *err)
{
    for (const char *p = value; *p != '\0'; p++)
        if (*p < ' ' || *p > '~')
            return err_set(err, ERR_ELB_VALIDATION, "The value of '%s' must be printable ASCII",
                           key);
    return true;
}

static bool
check_frame_options(const char *key, const char *value, struct err *err)
{
    if (strcmp(value, "DENY") != 0 && strcmp(value, "SAMEORIGIN") != 0 &&
        (strncmp(value, "ALLOW-FROM ", 11) != 0 || value[11] == '\0'))
        return err_set(err, ERR_ELB_VALIDATION,
                       "The value of '%s' must be DENY, SAMEORIGIN or ALLOW-FROM and an origin",
                       key);
    return true;
}

static bool
check_age(const char *key, const char *value, struct err *err)
{
    int64_t n;

    return (str_to_i64(str_of(value), &n) && n >= 0 && n <= 86400) ||
           err_set(err, ERR_ELB_VALIDATION, "'%s' must be in the range from 0 to 86400, not '%s'",
                   key, value);
}

/* What says where a message goes, and where it ends, is no other header's name. */
static bool
is_framing(const char *name)
{
    static const char *const names[] = {"Host", "Content-Length", "Transfer-Encoding", "Connection",
                                        "Upgrade", "TE", "Trailer"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_equal_nocase(str_of(name), str_of(names[i])))
            return true;
    return false;
}

static bool
check_header_name(const char *key, const char *value, struct err *err)
{
    const size_t len = strlen(value);

    if (is_framing(value))
        return err_set(err, ERR_ELB_VALIDATION, "The value of '%s' can not be '%s'", key, value);
    for (const char *p = value; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
            return err_set(
                err, ERR_ELB_VALIDATION,
                "The value of '%s' can only have letters, digits, hyphens and underscores", key);
    return (len >= 1 && len <= HEADER_NAME_LENGTH) ||
           err_set(err, ERR_ELB_VALIDATION, "The value of '%s' must have 1 to %d characters", key,
                   HEADER_NAME_LENGTH);
}

/* Of the mode passthrough, whose header keeps its name. */
static bool
check_not_built(const char *key, const char *value, struct err *err)
{
    return err_set(err, ERR_INVALID_CONFIGURATION,
                   "The attribute '%s' can not be changed: naru has not built other names for that header", key);
}

#define METHODS "GET,HEAD,POST,DELETE,CONNECT,OPTIONS,TRACE,PUT,PATCH,*"
static bool
check_idle_timeout(const char *key, const char *value, struct err *err)
{
    int64_t seconds;

    return (str_to_i64(str_of(value), &seconds) && seconds >= 60 && seconds <= 6000) ||
           err_set(err, ERR_ELB_VALIDATION, "'%s' must be in the range from 60 to 6000, not '%s'",
                   key, value);
}

#define RENAME(member, name, how)                                                     \
    {                                                                                 \
        "routing.http.request.x_amzn_" member ".header_name", name, .check = how,     \
                                                                    .needs_tls = true \
    }
#define ADD(member, ...)                                                 \
    {                                                                    \
        "routing.http.response." member ".header_value", "", __VA_ARGS__ \
    }

static const struct listener_attribute rows[] = {
    RENAME("mtls_clientcert_serial_number", "X-Amzn-Mtls-Clientcert-Serial-Number",
           check_header_name),
    RENAME("mtls_clientcert_issuer", "X-Amzn-Mtls-Clientcert-Issuer", check_header_name),
    RENAME("mtls_clientcert_subject", "X-Amzn-Mtls-Clientcert-Subject", check_header_name),
    RENAME("mtls_clientcert_validity", "X-Amzn-Mtls-Clientcert-Validity", check_header_name),
    RENAME("mtls_clientcert_leaf", "X-Amzn-Mtls-Clientcert-Leaf", check_header_name),
    RENAME("mtls_clientcert", "X-Amzn-Mtls-Clientcert", check_not_built),
    RENAME("tls_version", "X-Amzn-Tls-Version", check_header_name),
    RENAME("tls_cipher_suite", "X-Amzn-Tls-Cipher-Suite", check_header_name),
    {"routing.http.response.server.enabled", "true", .values = "true,false"},
    ADD("strict_transport_security", .check = check_header_value),
    ADD("access_control_allow_origin", .check = check_header_value),
    ADD("access_control_allow_methods", .values = METHODS, .is_list = true),
    ADD("access_control_allow_headers", .check = check_header_value),
    ADD("access_control_allow_credentials", .values = "true"),
    ADD("access_control_expose_headers", .check = check_header_value),
    ADD("access_control_max_age", .check = check_age),
    ADD("content_security_policy", .check = check_header_value),
    ADD("x_content_type_options", .values = "nosniff"),
    ADD("x_frame_options", .check = check_frame_options),
    {"tcp.idle_timeout.seconds", "350", .check = check_idle_timeout, .is_tcp = true},
};

static bool
has_attribute(const struct listener *l, const struct listener_attribute *row)
{
    return (strcmp(l->protocol, "TCP") == 0) == row->is_tcp &&
           (!row->needs_tls || strcmp(l->protocol, "HTTPS") == 0);
}

static bool
is_among(const char *values, struct str value)
{
    struct str list = str_of(values), word;

    while (str_split(&list, ',', &word))
        if (str_equal(word, value))
            return true;
    return false;
}

static bool
check_value(const struct listener_attribute *row, const char *value, struct err *err)
{
    struct str rest = str_of(value), word = rest;

    if (strcmp(value, row->fallback) == 0)
        return true;
    if (!check_header_value(row->key, value, err))
        return false;
    if (row->values == NULL)
        return row->check(row->key, value, err);
    do {
        if (row->is_list)
            str_split(&rest, ',', &word);
        if (!is_among(row->values, row->is_list ? str_trim(word) : word))
            return err_set(err, ERR_ELB_VALIDATION, "The value of '%s' must be %s: %s", row->key,
                           row->is_list ? "some of" : "one of", row->values);
    } while (row->is_list && rest.len > 0);
    return true;
}

static struct json *
listed(const struct listener *l)
{
    cleanup_json struct json *all = json_object();

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (has_attribute(l, &rows[i]))
            json_set(all, rows[i].key,
                     json_text(json_get_cstr(l->attributes, rows[i].key, rows[i].fallback)));
    return attributes_list(all);
}

/* A changed copy of what was ever set, or NULL and err. */
static struct json *
changed(const struct listener *l, const struct json *list, struct err *err)
{
    cleanup_json struct json *all =
        l->attributes != NULL ? json_copy(l->attributes) : json_object();

    for (size_t i = 0; i < json_size(list); i++) {
        const char *key = json_get_cstr(json_at(list, i), "Key", "");
        const char *value = json_get_cstr(json_at(list, i), "Value", "");
        const struct listener_attribute *row = NULL;

        for (size_t k = 0; k < ARRAY_COUNT(rows) && row == NULL; k++)
            row = strcmp(rows[k].key, key) == 0 ? &rows[k] : NULL;
        if (row == NULL)
            err_set(err, ERR_ELB_VALIDATION, "Listener attribute key '%s' is not recognized", key);
        else if (!has_attribute(l, row))
            err_set(err, ERR_INVALID_CONFIGURATION,
                    "Listener attribute key '%s' is not supported on listeners with protocol '%s'",
                    key, l->protocol);
        else if (check_value(row, value, err)) {
            json_set(all, key, json_text(value));
            continue;
        }
        return NULL;
    }
    return TAKE(all);
}

bool
elb_describe_listener_attributes(struct request *rq, struct json *out, struct err *err)
{
    const struct listener *l =
        elb_find_listener(rq, json_get_cstr(rq->input, "ListenerArn", ""), err);

    if (l == NULL)
        return false;
    json_set(out, "Attributes", listed(l));
    return true;
}

bool
elb_modify_listener_attributes(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "ListenerArn", "");
    const struct listener *l = elb_find_listener(rq, arn, err);
    struct event event = {.type = EVENT_LISTENER_PUT};
    cleanup_json struct json *attributes = NULL, *row = NULL;
    struct listener *copy;

    if (l == NULL)
        return false;
    attributes = changed(l, json_get(rq->input, "Attributes"), err);
    if (attributes == NULL)
        return false;
    row = listener_encode(l);
    copy = listener_decode(row, err);
    if (copy == NULL)
        return false;
    json_unref(copy->attributes);
    copy->attributes = TAKE(attributes);
    event.listener_put.listener = copy;
    request_step(rq, &event);
    json_set(out, "Attributes", listed(core_listener(rq->core, arn)));
    return true;
}
