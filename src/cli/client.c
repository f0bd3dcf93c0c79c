/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "api/sigv4.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/uri.h"
#include "cli/ec2_form.h"
#include "cli/xml.h"
#include "io/file.h"
#include "io/http_client.h"

#define RESTART_PATIENCE_MS 60000
#define RESTART_LOOK_MS 100
#define HEADERS_MAX 5 /* that are signed */
#define REFUSAL_MAX ((size_t)64 << 10)
#define ANSWER_LIMIT ((size_t)64 << 20)
#define CALL_TIMEOUT_MS 60000

struct client {
    struct client_config config;
    struct http_client *http;
    char host[300]; /* "localhost:4566", as it is signed */
};

/* ---- where to, who as ---- */

const char *
client_data_dir(const char *data_dir)
{
    const char *from_env = getenv("NARU_DATA_DIR");

    if (data_dir != NULL && data_dir[0] != '\0')
        return data_dir;
    return from_env != NULL && from_env[0] != '\0' ? from_env : "/var/lib/naru";
}

void
client_forget_environment(void)
{
    static const char *const variables[] = {
        "AWS_ENDPOINT_URL",   "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AWS_DEFAULT_REGION", "AWS_REGION",        "AWS_ACCOUNT_ID",        "AWS_PROFILE"};

    for (size_t i = 0; i < ARRAY_COUNT(variables); i++)
        unsetenv(variables[i]);
}

static void
take_env(char *to, size_t size, const char *name)
{
    const char *value = getenv(name);

    if (value != NULL && value[0] != '\0' && to[0] == '\0')
        text_copy(to, size, str_of(value));
}

static void
take_member(char *to, size_t size, const struct json *doc, const char *name)
{
    const char *value = json_get_cstr(doc, name, "");

    if (to[0] == '\0')
        text_copy(to, size, str_of(value));
}

bool
client_has_credentials(const char *data_dir)
{
    cleanup_free char *path = text_format("%s/credentials.json", client_data_dir(data_dir));

    return access(path, R_OK) == 0;
}

bool
client_config_load(struct client_config *out, const char *data_dir, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *doc = NULL;
    cleanup_free char *path = text_format("%s/credentials.json", client_data_dir(data_dir));
    struct client_config c = {0};
    size_t length;

    take_env(c.endpoint_url, sizeof(c.endpoint_url), "AWS_ENDPOINT_URL");
    take_env(c.access_key_id, sizeof(c.access_key_id), "AWS_ACCESS_KEY_ID");
    take_env(c.secret_access_key, sizeof(c.secret_access_key), "AWS_SECRET_ACCESS_KEY");
    take_env(c.session_token, sizeof(c.session_token), "AWS_SESSION_TOKEN");
    take_env(c.region, sizeof(c.region), "AWS_DEFAULT_REGION");
    take_env(c.region, sizeof(c.region), "AWS_REGION");
    take_env(c.region, sizeof(c.region), "NARU_REGION");
    take_env(c.home_region, sizeof(c.home_region), "NARU_REGION");
    take_env(c.account, sizeof(c.account), "NARU_ACCOUNT_ID");
    take_env(c.account, sizeof(c.account), "AWS_ACCOUNT_ID");
    if (file_read(path, 65536, &text, NULL)) {
        doc = json_parse(strbuf_str(&text), err);
        if (doc == NULL)
            return err_context(err, "reading %s", path);
        /* Half a pair of keys from here and half from there would never fit. */
        if (c.access_key_id[0] == '\0' || c.secret_access_key[0] == '\0') {
            c.access_key_id[0] = c.secret_access_key[0] = c.session_token[0] = '\0';
            take_member(c.access_key_id, sizeof(c.access_key_id), doc, "access_key_id");
            take_member(c.secret_access_key, sizeof(c.secret_access_key), doc, "secret_access_key");
        }
        take_member(c.endpoint_url, sizeof(c.endpoint_url), doc, "endpoint_url");
        take_member(c.region, sizeof(c.region), doc, "region");
        take_member(c.home_region, sizeof(c.home_region), doc, "region");
        take_member(c.account, sizeof(c.account), doc, "account");
    }
    if (c.endpoint_url[0] == '\0') {
        const char *port = getenv("NARU_PORT");

        snprintf(c.endpoint_url, sizeof(c.endpoint_url), "http://localhost:%.5s",
                 port != NULL && port[0] != '\0' ? port : "4566");
    }
    if (c.region[0] == '\0')
        text_copy(c.region, sizeof(c.region), STR("ap-northeast-2"));
    if (c.account[0] == '\0')
        text_copy(c.account, sizeof(c.account), STR("000000000000"));
    length = strlen(c.endpoint_url);
    while (length > 0 && c.endpoint_url[length - 1] == '/')
        c.endpoint_url[--length] = '\0';
    c.has_keys = c.access_key_id[0] != '\0' && c.secret_access_key[0] != '\0';
    *out = c;
    return true;
}

/* "localhost:4566" */
static struct str
host_and_port(const char *endpoint_url)
{
    const char *host = strstr(endpoint_url, "://");
    const struct str text = str_of(host != NULL ? host + 3 : endpoint_url);
    const ptrdiff_t slash = str_index(text, '/');

    return slash < 0 ? text : str_slice(text, 0, (size_t)slash);
}

unsigned
client_endpoint_port(const char *endpoint_url)
{
    const struct str text = host_and_port(endpoint_url);
    size_t digits = 0;
    int64_t port;

    while (digits < text.len && text.at[text.len - digits - 1] >= '0' && text.at[text.len - digits - 1] <= '9')
        digits++;
    if (digits == text.len || text.at[text.len - digits - 1] != ':' ||
        !str_to_i64(str_slice(text, text.len - digits, text.len), &port) || port > 65535)
        return 0;
    return (unsigned)port;
}

/* ---- one request ---- */

/* What clients put into Host: the port is left out where it is the scheme's own. */
static void
host_of(const char *endpoint_url, char *out, size_t size)
{
    const bool is_tls = strncmp(endpoint_url, "https://", 8) == 0;
    struct str text = host_and_port(endpoint_url);

    if (str_ends(text, is_tls ? STR(":443") : STR(":80")))
        text = str_slice(text, 0, text.len - (is_tls ? 4 : 3));
    text_copy(out, size, text);
}

struct client *
client_new(const struct client_config *config)
{
    struct client *c = mem_new(sizeof(*c));

    c->config = *config;
    c->http = http_client_new();
    host_of(config->endpoint_url, c->host, sizeof(c->host));
    return c;
}

void
client_free(struct client *client)
{
    if (client == NULL)
        return;
    http_client_free(client->http);
    free(client);
}

const struct client_config *
client_get_config(const struct client *client)
{
    return &client->config;
}

struct http_parts {
    const char *method, *path;         /* path with query */
    const char *service;               /* NULL: unsigned */
    const char *content_type, *target; /* may be NULL */
    struct str body;
    int64_t timeout_ms;
    const char *invocation; /* a header's line; may be NULL */
    bool may_repeat;        /* also if its answer was cut off */
    bool (*on_data)(void *arg, struct str data); /* as http_call's; may be NULL */
    void *arg;
};

/* What is signed, in the order of SignedHeaders: by name. */
struct head {
    struct sigv4_header headers[HEADERS_MAX];
    int count;
    struct strbuf names; /* "host;x-amz-date" */
};

static void
head_done(struct head *h)
{
    strbuf_done(&h->names);
}

static void
add_signed(struct head *h, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    assert(h->count < HEADERS_MAX);
    strbuf_addf(&h->names, "%s%s", h->count > 0 ? ";" : "", name);
    h->headers[h->count++] = (struct sigv4_header){str_of(name), str_of(value)};
}

static bool
sign(const struct client_config *config, const struct http_parts *parts, const struct head *h,
     const char *date, struct strbuf *out, struct err *err)
{
    const struct str whole = str_of(parts->path);
    const ptrdiff_t mark = str_index(whole, '?');
    const size_t path_len = mark < 0 ? whole.len : (size_t)mark;
    const struct sigv4_request rq = {
        .method = str_of(parts->method),
        .path = str_slice(whole, 0, path_len),
        .query = mark < 0 ? STR("") : str_slice(whole, path_len + 1, whole.len),
        .headers = h->headers,
        .header_count = (size_t)h->count,
        .body = parts->body,
    };

    if (!config->has_keys)
        return err_set(
            err, ERR_MISSING_AUTHENTICATION_TOKEN,
            "Unable to locate credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
            "(eval \"$(naru env)\"), or run as the owner of naru's data directory");
    strbuf_add_cstr(out, "Authorization: ");
    sigv4_sign(&rq, config->access_key_id, config->secret_access_key, config->region,
               parts->service, date, strbuf_cstr(&h->names), out);
    return true;
}

static bool
perform_once(struct client *c, const struct http_parts *parts, struct http_answer *out,
             struct err *err)
{
    cleanup_free char *url = text_format("%s%s", c->config.endpoint_url, parts->path);
    cleanup(strbuf_done) struct strbuf authorization = {0};
    cleanup(head_done) struct head h = {0};
    char *lines[HEADERS_MAX] = {NULL};
    const char *sent[HEADERS_MAX + 3] = {NULL};
    struct http_call call = {.method = parts->method,
                             .url = url,
                             .body = parts->body,
                             .headers = sent,
                             .connect_timeout_ms = 3000,
                             .timeout_ms = parts->timeout_ms,
                             .limit = ANSWER_LIMIT,
                             .on_data = parts->on_data,
                             .arg = parts->arg};
    char date[24];
    int count = 0;
    bool ok;

    clock_format_basic(clock_wall_ms(), date);
    add_signed(&h, "content-type", parts->content_type);
    add_signed(&h, "host", c->host);
    add_signed(&h, "x-amz-date", date);
    add_signed(&h, "x-amz-security-token", c->config.session_token);
    add_signed(&h, "x-amz-target", parts->target);
    if (parts->service != NULL && !sign(&c->config, parts, &h, date, &authorization, err))
        return false;
    for (int i = 0; i < h.count; i++)
        sent[count++] = lines[i] = text_format(STR_FMT ": " STR_FMT, STR_ARG(h.headers[i].name),
                                               STR_ARG(h.headers[i].value));
    if (parts->service != NULL)
        sent[count++] = strbuf_cstr(&authorization);
    if (parts->invocation != NULL)
        sent[count++] = parts->invocation;
    ok = http_client_call(c->http, &call, out, err);
    for (int i = 0; i < h.count; i++)
        free(lines[i]);
    return ok;
}

/* Scripts of a build outlive a naru that is restarted: what it cannot have heard is said again, and what it has, if
 * that does no harm. */
static bool
is_worth_another_try(const struct http_parts *parts, const struct err *err, int64_t began_ms)
{
    return (err->code == ERR_UNAVAILABLE || (err->code == ERR_INTERNAL && parts->may_repeat)) &&
           getenv("JENKINS_NODE_COOKIE") != NULL && clock_monotonic_ms() - began_ms < RESTART_PATIENCE_MS;
}

static bool
perform(struct client *c, const struct http_parts *parts, struct http_answer *out, struct err *err)
{
    const int64_t began_ms = clock_monotonic_ms();
    struct err why = {0};

    while (!perform_once(c, parts, out, &why)) {
        if (is_worth_another_try(parts, &why, began_ms)) {
            http_answer_done(out);
            clock_sleep_ms(RESTART_LOOK_MS);
            continue;
        }
        if (why.code == ERR_MISSING_AUTHENTICATION_TOKEN) {
            if (err != NULL)
                *err = why;
            return false;
        }
        if (why.code != ERR_TIMEOUT)
            why.code = ERR_UNAVAILABLE;
        err_context(&why, "Could not connect to the endpoint URL: \"%s/\"",
                    c->config.endpoint_url);
        if (err != NULL)
            *err = why;
        return false;
    }
    return true;
}

/* ---- answers ---- */

void
client_answer_done(struct client_answer *a)
{
    json_unref(a->body);
    strbuf_done(&a->text);
    *a = (struct client_answer){0};
}

/* "com.amazonaws.ecs#ClusterNotFoundException" is ClusterNotFoundException. */
static void
set_code(struct client_answer *a, const char *type)
{
    const char *hash = strchr(type, '#');

    text_copy(a->code, sizeof(a->code), str_of(hash != NULL ? hash + 1 : type));
}

static void
read_refusal(struct client_answer *a, const struct json *body)
{
    const struct json *error = json_get(body, "Error"), *errors = json_get(body, "Errors");
    const char *message = json_get_cstr(body, "message", json_get_cstr(body, "Message", NULL));

    if (errors != NULL) /* EC2 */
        error = json_get(errors, "Error");
    if (error != NULL) { /* Query */
        set_code(a, json_get_cstr(error, "Code", "Unknown"));
        message = json_get_cstr(error, "Message", "");
    } else {
        set_code(a, json_get_cstr(body, "__type", json_get_cstr(body, "code", "")));
    }
    if (a->code[0] == '\0')
        snprintf(a->code, sizeof(a->code), "HTTP%d", a->status);
    if (message == NULL)
        message = strbuf_cstr(&a->text);
    text_copy(a->message, sizeof(a->message),
              str_slice(str_of(message), 0, sizeof(a->message) - 1));
}

static bool
read_answer(struct http_answer *http, bool is_xml, struct client_answer *out, struct err *err)
{
    const struct str text = strbuf_str(&http->body);
    cleanup_json struct json *body = NULL;
    struct client_answer a = {.status = http->status};
    struct err cause = {0}; /* a refusal may be plain text */

    if (is_xml)
        body = xml_to_json(text, &cause);
    else if (text.len > 0)
        body = json_parse(text, &cause);
    if (body == NULL && text.len > 0 && a.status < 400) {
        if (err != NULL)
            *err = cause;
        return err_context(err, "the answer of the server cannot be read");
    }
    a.text.capacity = http->body.capacity;
    a.text.len = http->body.len;
    a.text.at = TAKE(http->body.at);
    http->body = (struct strbuf){0};
    if (a.status >= 400)
        read_refusal(&a, body);
    else
        a.body = TAKE(body);
    *out = a;
    return true;
}

/* "CreateServiceResponse": {"CreateServiceResult": {...}, "ResponseMetadata": ...} -> {...} */
static void
unwrap_query_result(struct client_answer *a, const char *operation)
{
    cleanup_free char *result = text_format("%sResult", operation);
    struct json *inner = json_get(a->body, result);

    inner = inner != NULL && json_type(inner) == JSON_OBJECT ? json_ref(inner) : json_object();
    json_unref(a->body);
    a->body = inner;
}

/* Questions, and what naru does once however often one invocation of it comes. */
static bool
may_repeat(const struct aws_service *service, const char *operation)
{
    static const char *const questions[] = {"Describe", "List", "Get", "BatchGet", "BatchCheck"};

    for (size_t i = 0; i < ARRAY_COUNT(questions); i++)
        if (str_starts(str_of(operation), str_of(questions[i])))
            return true;
    return strcmp(service->signing_name, "ecs") == 0 && strcmp(operation, "UpdateService") == 0;
}

bool
client_send(struct client *client, const struct aws_service *service, const char *operation,
            const struct json *input, struct client_answer *out, struct err *err)
{
    char id[37], invocation[64];
    const bool is_query = service->target_prefix == NULL;
    cleanup(http_answer_done) struct http_answer http = {0};
    cleanup(strbuf_done) struct strbuf body = {0};
    cleanup_free char *target = NULL;
    struct http_parts parts = {.method = "POST",
                               .path = "/",
                               .service = service->signing_name,
                               .timeout_ms = CALL_TIMEOUT_MS};

    if (service->is_ec2) {
        ec2_encode(&body, operation_named(service, operation), service->version, input);
        parts.content_type = "application/x-www-form-urlencoded; charset=utf-8";
    } else if (is_query) {
        query_encode(&body, operation, service->version, input);
        parts.content_type = "application/x-www-form-urlencoded; charset=utf-8";
    } else {
        cleanup_free char *text = input != NULL ? json_format(input) : text_dup("{}");

        strbuf_add_cstr(&body, text);
        target = text_format("%s.%s", service->target_prefix, operation);
        parts.content_type = "application/x-amz-json-1.1";
        parts.target = target;
    }
    parts.body = strbuf_str(&body);
    random_uuid(id);
    snprintf(invocation, sizeof(invocation), "amz-sdk-invocation-id: %s", id);
    parts.invocation = invocation;
    parts.may_repeat = may_repeat(service, operation);
    if (!perform(client, &parts, &http, err) || !read_answer(&http, is_query, out, err))
        return false;
    if (service->is_ec2 && out->code[0] == '\0') {
        struct json *named = ec2_named(out->body);

        json_unref(out->body);
        out->body = named;
    } else if (is_query && out->code[0] == '\0') {
        unwrap_query_result(out, operation);
    }
    if (out->code[0] == '\0' && out->body == NULL)
        out->body = json_object();
    return true;
}

bool
client_refused(const struct client_answer *a, struct err *err)
{
    static const struct {
        enum err_code code;
        const char *wire;
    } codes[] = {
#define CODE(name, wire, http) {ERR_##name, wire},
#include "base/codes.def"
#undef CODE
    };

    for (size_t i = 1; i < ARRAY_COUNT(codes); i++)
        if (strcmp(codes[i].wire, a->code) == 0)
            return err_set(err, codes[i].code, "%.900s", a->message);
    return err_set(err, a->status >= 500 ? ERR_INTERNAL : ERR_BAD_REQUEST, "%s: %.800s", a->code,
                   a->message);
}

struct json *
client_call(struct client *client, const char *service, const char *operation,
            const struct json *input, struct err *err)
{
    cleanup(client_answer_done) struct client_answer answer = {0};

    if (!client_send(client, service_find(service), operation, input, &answer, err))
        return NULL;
    if (answer.code[0] != '\0') {
        client_refused(&answer, err);
        return NULL;
    }
    return TAKE(answer.body);
}

bool
client_http(struct client *client, const char *method, const char *path, const struct json *body,
            struct client_answer *out, struct err *err)
{
    cleanup(http_answer_done) struct http_answer http = {0};
    cleanup_free char *text = body != NULL ? json_format(body) : NULL;
    const struct http_parts parts = {.method = method,
                                     .path = path,
                                     .service = "naru",
                                     .content_type = body != NULL ? "application/json" : NULL,
                                     .body = str_of(text),
                                     .timeout_ms = CALL_TIMEOUT_MS};

    return perform(client, &parts, &http, err) && read_answer(&http, false, out, err);
}

bool
client_http_text(struct client *client, const char *path, struct strbuf *out, struct err *err)
{
    cleanup(http_answer_done) struct http_answer http = {0};
    cleanup(client_answer_done) struct client_answer answer = {0};
    const struct http_parts parts = {
        .method = "GET", .path = path, .service = "naru", .timeout_ms = CALL_TIMEOUT_MS};

    if (!perform(client, &parts, &http, err))
        return false;
    if (http.status >= 400)
        return read_answer(&http, false, &answer, err) && client_refused(&answer, err);
    strbuf_clear(out);
    strbuf_add(out, strbuf_str(&http.body));
    return true;
}

struct download {
    int fd;
    const struct http_answer *http;
    struct strbuf begin; /* what is said of a refusal */
    struct err err;
};

static bool
take_data(void *arg, struct str data)
{
    struct download *d = arg;
    struct str head = strbuf_str(&d->http->headers), version;

    if (str_split(&head, ' ', &version) && str_starts(head, STR("2")))
        return file_write_all(d->fd, data, &d->err);
    if (d->begin.len < REFUSAL_MAX)
        strbuf_add(&d->begin, str_slice(data, 0, REFUSAL_MAX - d->begin.len));
    return true;
}

/* Asked only once: what came before a connection broke has been written. */
bool
client_http_file(struct client *client, const char *path, int fd, struct err *err)
{
    cleanup(http_answer_done) struct http_answer http = {0};
    cleanup(client_answer_done) struct client_answer answer = {0};
    struct download d = {.fd = fd, .http = &http};
    const struct http_parts parts = {
        .method = "GET", .path = path, .service = "naru", .on_data = take_data, .arg = &d};
    bool ok = perform_once(client, &parts, &http, err);

    if (ok && d.err.code != ERR_NONE) {
        *err = d.err;
        ok = false;
    } else if (ok && http.status >= 400) {
        strbuf_add(&http.body, strbuf_str(&d.begin));
        ok = read_answer(&http, false, &answer, err) && client_refused(&answer, err);
    }
    strbuf_done(&d.begin);
    return ok;
}

bool
client_probe(struct client *client, const char *path, int64_t timeout_ms, struct client_answer *out,
             struct err *err)
{
    cleanup(http_answer_done) struct http_answer http = {0};
    const struct http_parts parts = {.method = "GET", .path = path, .timeout_ms = timeout_ms};

    return perform(client, &parts, &http, err) && read_answer(&http, false, out, err);
}

/* ---- the Query protocol (alb.md A1) ---- */

static void
encode_value(struct strbuf *out, const char *name, const struct json *value)
{
    cleanup_free char *text = NULL;

    switch (json_type(value)) {
    case JSON_OBJECT:
        for (void *it = json_first(value); it != NULL; it = json_next(value, it)) {
            cleanup_free char *inner = text_format("%s.%s", name, json_key(it));

            encode_value(out, inner, json_value(it));
        }
        return;
    case JSON_ARRAY:
        for (size_t i = 0; i < json_size(value); i++) {
            cleanup_free char *inner = text_format("%s.member.%zu", name, i + 1);

            encode_value(out, inner, json_at(value, i));
        }
        if (json_size(value) == 0)
            strbuf_addf(out, "&%s=", name);
        return;
    case JSON_TEXT:
        text = text_dup(json_cstr(value, ""));
        break;
    case JSON_NULL:
    case JSON_NONE:
        return;
    default:
        text = json_format(value); /* numbers, true, false */
        break;
    }
    strbuf_addf(out, "&%s=", name);
    uri_encode(out, str_of(text), false);
}

void
query_encode(struct strbuf *out, const char *operation, const char *version,
             const struct json *input)
{
    strbuf_addf(out, "Action=%s&Version=%s", operation, version);
    for (void *it = json_first(input); it != NULL; it = json_next(input, it))
        encode_value(out, json_key(it), json_value(it));
}
