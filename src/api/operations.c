/* SPDX-License-Identifier: MIT */
#include "api/operations.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/access.h"
#include "api/ecs_shown.h"
#include "api/protocol.h"
#include "api/shapes.h"
#include "api/sigv4.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/arn.h"
#include "model/service.h"

#define BODY_LIMIT ((size_t)1 << 20)
/* A part of a layer has at most 20 MiB, as base64; a manifest 4 MiB, of which much may be escaped. */
#define LAYER_PART_BODY_LIMIT ((size_t)28 << 20)
#define MANIFEST_BODY_LIMIT ((size_t)9 << 20)
#define HEADERS_MAX SIGV4_HEADERS_MAX
#define CBOR_PROTOCOL "rpc-v2-cbor"

struct api {
    struct api_config config;
    struct ecs_shown *shown;
};

/* One request on its way through; lives on the connection's thread's stack. */
struct call {
    struct api *api;
    const struct api_request *http;
    struct arena arena;
    enum protocol protocol;
    const struct model *model; /* NULL until it is known */
    const struct model_operation *operation;
    const struct operation *row; /* of the handlers' table */
    struct sigv4_authorization auth;
    struct caller caller; /* who signed; no id until that is known */
    struct request rq;
    struct json *input, *output;
    bool succeeded;
    struct err err;
};

/* ---- life ---- */

struct api *
api_new(const struct api_config *config)
{
    struct api *api = mem_new(sizeof(*api));

    api->config = *config;
    api->shown = ecs_shown_new();
    /* A handler without a row in its model would never be found: a mistake of ours. */
    for (size_t m = 0; m < model_count; m++) {
        for (const struct operation *row = models[m].handlers; row->name != NULL; row++)
            assert(model_find_operation(&models[m], str_of(row->name)) != NULL);
    }
    return api;
}

void
api_free(struct api *api)
{
    if (api == NULL)
        return;
    ecs_shown_free(api->shown);
    free(api);
}

const struct api_config *
api_get_config(const struct api *api)
{
    return &api->config;
}

/* ---- for handlers ---- */

struct ecs_shown *
api_shown(const struct api *api)
{
    return api->shown;
}

void
request_step(struct request *rq, const struct event *event)
{
    assert(rq->core != NULL);
    rq->api->config.step(rq->api->config.ctx, event);
}

struct json *
aws_time(const struct request *rq, int64_t ms)
{
    char iso[32];

    if (rq->protocol == PROTOCOL_JSON_1_1)
        return json_time_ms(ms);
    if (rq->protocol == PROTOCOL_CBOR)
        return cbor_time_ms(ms);
    clock_format_iso(ms, iso);
    return json_text(iso);
}

bool
request_is_region_of(const struct request *rq, const char *arn)
{
    struct arn parts;

    return arn_parse(str_of(arn), &parts) && str_is(parts.region, rq->region);
}

/* ---- finding the operation ---- */

static const struct operation *
find_row(const struct model *model, const char *name)
{
    for (const struct operation *row = model->handlers; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

/* "AmazonEC2ContainerServiceV20141113.UpdateService" */
static bool
find_by_target(struct call *c, struct str target)
{
    const ptrdiff_t dot = str_rindex(target, '.');
    const struct str prefix = dot < 0 ? target : str_slice(target, 0, (size_t)dot);

    for (size_t m = 0; m < model_count && dot >= 0; m++) {
        if (models[m].target_prefix == NULL || !str_is(prefix, models[m].target_prefix))
            continue;
        c->model = &models[m];
        c->operation = model_find_operation(c->model, str_slice(target, (size_t)dot + 1, target.len));
    }
    if (c->operation == NULL)
        return err_set(&c->err, ERR_UNKNOWN_OPERATION, "The operation '" STR_FMT "' is not known here.",
                       STR_ARG(str_slice(target, 0, 200)));
    return sigv4_check_service(&c->auth, c->model->signing_name, &c->err);
}

/* "/service/GraniteServiceVersion20100801/operation/ListMetrics". */
static bool
split_path(struct str path, struct str *service_out, struct str *operation_out)
{
    const struct str begin = STR("/service/"), middle = STR("/operation/");
    const ptrdiff_t at = str_find(path, middle);

    if (!str_starts(path, begin) || at < (ptrdiff_t)begin.len)
        return false;
    *service_out = str_slice(path, begin.len, (size_t)at);
    *operation_out = str_slice(path, (size_t)at + middle.len, path.len);
    return true;
}

static const struct model *
find_model_by_path(struct str path)
{
    struct str service, operation;

    for (size_t m = 0; split_path(path, &service, &operation) && m < model_count; m++) {
        if (models[m].target_prefix != NULL && str_is(service, models[m].target_prefix))
            return &models[m];
    }
    return NULL;
}

static bool
find_by_path(struct call *c)
{
    struct str service = {0}, operation = {0};

    if (!split_path(c->http->signed_part.path, &service, &operation))
        return err_set(&c->err, ERR_UNKNOWN_OPERATION,
                       "The path of a request in CBOR is '/service/SERVICE/operation/OPERATION'.");
    if (c->model == NULL)
        return err_set(&c->err, ERR_UNKNOWN_OPERATION,
                       "The service '" STR_FMT "' is not known here.",
                       STR_ARG(str_slice(service, 0, 100)));
    if (c->model->cbor_namespace == NULL)
        return err_set(&c->err, ERR_UNSUPPORTED_FEATURE,
                       "The protocol '" CBOR_PROTOCOL "' is not built in naru for the service %s.",
                       c->model->service);
    c->operation = model_find_operation(c->model, operation);
    if (c->operation == NULL)
        return err_set(&c->err, ERR_UNKNOWN_OPERATION,
                       "The operation '" STR_FMT "' is not known here.",
                       STR_ARG(str_slice(operation, 0, 100)));
    return sigv4_check_service(&c->auth, c->model->signing_name, &c->err);
}

/* Query requests do not name their service but in the signature's scope. */
static bool
find_by_action(struct call *c, const struct query_form *form)
{
    const char *action = query_get(form, "Action"), *version = query_get(form, "Version");

    for (size_t m = 0; m < model_count; m++) {
        if (models[m].is_query && str_is(c->auth.service, models[m].signing_name))
            c->model = &models[m];
    }
    if (c->model == NULL)
        return err_set(&c->err, ERR_INVALID_SIGNATURE,
                       "Credential should be scoped to a service that is played here, not '" STR_FMT
                       "'.",
                       STR_ARG(str_slice(c->auth.service, 0, 60)));
    if (action == NULL)
        return err_set(&c->err, ERR_ELB_INVALID_ACTION, "The request does not name an Action.");
    if (version == NULL || strcmp(version, c->model->version) == 0)
        c->operation = model_find_operation(c->model, str_of(action));
    if (c->operation == NULL)
        return err_set(&c->err, ERR_ELB_INVALID_ACTION,
                       "Could not find operation %.100s for version %.20s", action,
                       version != NULL ? version : c->model->version);
    return true;
}

/* ---- decoding ---- */

static bool
find_built(struct call *c)
{
    c->row = find_row(c->model, c->operation->name);
    return (c->row != NULL && c->row->handler != NULL) ||
           err_set(&c->err, ERR_UNSUPPORTED_FEATURE, "The operation %s is not built in naru yet.",
                   c->operation->name);
}

static bool
accept_input(struct call *c, struct json *raw)
{
    cleanup_json struct json *given = raw;

    if (!find_built(c))
        return false;
    if (c->operation->input == NULL) {
        c->input = json_object();
        return true;
    }
    return shape_accept(c->operation->input, given, c->operation->invalid, &c->input, &c->err);
}

static bool
decode_json(struct call *c)
{
    struct json *raw;

    if (!find_by_target(c, sigv4_header(&c->http->signed_part, "x-amz-target")) ||
        !json_protocol_read(c->http->signed_part.body, &raw, &c->err))
        return false;
    return accept_input(c, raw);
}

/* What is not built says so before its body is read: PutMetricData's comes compressed. */
static bool
decode_cbor(struct call *c)
{
    const struct sigv4_request *http = &c->http->signed_part;
    struct json *raw;

    if (!find_by_path(c) || !find_built(c))
        return false;
    if (http->body.len > 0 &&
        !str_is(str_trim(sigv4_header(http, "content-type")), "application/cbor"))
        return err_set(&c->err, ERR_SERIALIZATION,
                       "The Content-Type of a request in CBOR must be application/cbor.");
    return cbor_protocol_read(http->body, &raw, &c->err) && accept_input(c, raw);
}

static void
query_free_(struct query_form **form)
{
    query_free(*form);
}

static bool
decode_query(struct call *c)
{
    const struct sigv4_request *http = &c->http->signed_part;
    cleanup(query_free_) struct query_form *form =
        query_parse(str_is(http->method, "GET") ? http->query : http->body, &c->err);
    struct json *raw = NULL;

    if (form == NULL || !find_by_action(c, form))
        return false;
    if (c->operation->input != NULL &&
        !(c->model->is_ec2 ? ec2_decode : query_decode)(form, c->operation->input, c->operation->invalid, &raw,
                                                        &c->err))
        return false;
    return accept_input(c, raw);
}

/* ---- calling ---- */

static void
call_handler(void *arg, struct core *core, int64_t now_ms)
{
    struct call *c = arg;

    c->rq.core = core;
    c->rq.now_ms = now_ms;
    c->succeeded = c->row->handler(&c->rq, c->output, &c->err);
    assert(c->succeeded || c->err.code != ERR_NONE);
}

/* amz-sdk-invocation-id; longer ones than those of SDKs are none. */
static const char *
invocation_of(struct call *c)
{
    const struct str id = sigv4_header(&c->http->signed_part, "amz-sdk-invocation-id");

    return id.len < INVOCATION_SIZE ? arena_cstr(&c->arena, id) : "";
}

static void
fill_request(struct call *c)
{
    const struct api_config *config = &c->api->config;

    c->rq = (struct request){
        .arena = &c->arena,
        .api = c->api,
        .protocol = c->protocol,
        .account = config->account,
        .region = arena_cstr(&c->arena, c->auth.region),
        .principal = c->caller.principal,
        .key = &c->caller.key,
        .peer = c->http->peer.len > 0 ? arena_cstr(&c->arena, c->http->peer) : NULL,
        .is_secure = c->http->is_secure,
        .now_ms = clock_wall_ms(), /* for policies, which are asked before the engine */
        .operation = c->operation->name,
        .invocation = invocation_of(c),
        .input = c->input,
    };
    memcpy(c->rq.request_id, c->http->request_id, sizeof(c->rq.request_id));
}

static bool
check_door(struct call *c)
{
    const struct sigv4_request *http = &c->http->signed_part;

    if (c->protocol == PROTOCOL_CBOR)
        return str_is(http->method, "POST") ||
               err_set(&c->err, ERR_UNKNOWN_OPERATION, "The AWS APIs take POST in CBOR.");
    if (sigv4_header(http, "smithy-protocol").at != NULL)
        return err_set(&c->err, ERR_UNSUPPORTED_FEATURE,
                       "The protocol '" STR_FMT
                       "' is not built in naru; Query, JSON and " CBOR_PROTOCOL " are.",
                       STR_ARG(str_slice(sigv4_header(http, "smithy-protocol"), 0, 60)));
    if (!str_is(http->path, "/"))
        return err_set(&c->err, ERR_UNKNOWN_OPERATION, "The AWS APIs are at the path '/' only.");
    return str_is(http->method, "POST") ||
           (c->protocol == PROTOCOL_QUERY && str_is(http->method, "GET")) ||
           err_set(&c->err, ERR_UNKNOWN_OPERATION,
                   "The AWS APIs take POST, in the Query form also GET.");
}

static bool
decode(struct call *c)
{
    switch (c->protocol) {
    case PROTOCOL_CBOR:
        return decode_cbor(c);
    case PROTOCOL_QUERY:
        return decode_query(c);
    case PROTOCOL_JSON_1_1:
        return decode_json(c);
    }
    assert(!"unknown protocol");
    return false;
}

/* As IAM's actions call the service. */
static const char *
action_service(const struct call *c)
{
    return strcmp(c->model->signing_name, "monitoring") == 0 ? "cloudwatch" : c->model->signing_name;
}

/* What only looks is not written down, but that credentials were given away is. */
static bool
only_looks(const struct call *c)
{
    return role_allows(ROLE_READ_ONLY, action_service(c), c->operation->name) &&
           (c->model->handlers != sts_operations || strcmp(c->operation->name, "GetCallerIdentity") == 0);
}

/* What was refused to a key is written down, whatever it was. */
static void
note_call(const struct call *c)
{
    const bool is_denied = c->err.code == ERR_ACCESS_DENIED;

    if (c->operation == NULL || c->caller.key.id[0] == '\0' ||
        (!is_denied && only_looks(c)))
        return;
    access_note(c->api, &c->caller, c->http->peer, action_service(c), c->operation->name, c->input,
                c->err.code == ERR_NONE ? "ok" : err_wire(c->err.code), c->http->request_id);
}

/* By the role of the key or, in ECR, by a policy that grants it; and no policy may deny it. */
static bool
is_allowed(struct call *c)
{
    const bool is_ecr = c->model->handlers == ecr_operations;

    if (is_ecr && !ecr_is_allowed(&c->rq, &c->err))
        return false;
    return (is_ecr && ecr_is_granted(&c->rq)) ||
           access_allows(&c->caller, action_service(c), c->operation->name, c->input, &c->err);
}

static bool
run_call(struct call *c)
{
    const struct api_config *config = &c->api->config;
    const struct sigv4_request *http = &c->http->signed_part;

    if (!access_signed(c->api, http, c->http->peer, &c->auth, &c->caller, &c->err))
        return false;
    if (!check_door(c) || !decode(c))
        return false;
    fill_request(c);
    c->output = json_object();
    if (!is_allowed(c))
        return false;
    if (c->row->access == ACCESS_LOCAL) {
        call_handler(c, NULL, clock_wall_ms());
        return c->succeeded;
    }
    if (!(c->row->access == ACCESS_WRITE ? config->run : config->read)(config->ctx, call_handler, c))
        return err_set(&c->err, ERR_UNAVAILABLE,
                       "The server is stopping or could not store the change; try again.");
    return c->succeeded;
}

/* ---- answering ---- */

/* The same faults have other names in the Query services. */
static enum err_code
query_code(enum err_code code)
{
    switch (code) {
    case ERR_MISSING_AUTHENTICATION_TOKEN:
        return ERR_ELB_MISSING_TOKEN;
    case ERR_INCOMPLETE_SIGNATURE:
        return ERR_ELB_INCOMPLETE_SIGNATURE;
    case ERR_INVALID_SIGNATURE:
        return ERR_ELB_SIGNATURE;
    case ERR_UNRECOGNIZED_CLIENT:
        return ERR_ELB_INVALID_CLIENT_TOKEN;
    case ERR_UNKNOWN_OPERATION:
        return ERR_ELB_INVALID_ACTION;
    case ERR_ACCESS_DENIED:
        return ERR_QUERY_ACCESS_DENIED;
    case ERR_THROTTLING:
        return ERR_QUERY_THROTTLING;
    case ERR_SERIALIZATION:
    case ERR_VALIDATION:
        return ERR_ELB_VALIDATION;
    case ERR_INTERNAL:
        return ERR_ELB_INTERNAL;
    default:
        return code;
    }
}

/* And other ones again in EC2. */
static enum err_code
ec2_code(enum err_code code)
{
    switch (code) {
    case ERR_SERIALIZATION:
        return ERR_EC2_MALFORMED_QUERY;
    case ERR_UNSUPPORTED_FEATURE:
        return ERR_EC2_UNSUPPORTED;
    case ERR_ACCESS_DENIED:
        return ERR_EC2_UNAUTHORIZED;
    case ERR_THROTTLING:
        return ERR_EC2_THROTTLING;
    case ERR_INTERNAL:
        return ERR_EC2_INTERNAL;
    default:
        return query_code(code);
    }
}

static bool
speaks_ec2(const struct call *c)
{
    return c->protocol == PROTOCOL_QUERY && c->model != NULL && c->model->is_ec2;
}

static enum err_code
code_of(const struct call *c)
{
    if (c->protocol != PROTOCOL_QUERY)
        return c->err.code;
    return speaks_ec2(c) ? ec2_code(c->err.code) : query_code(c->err.code);
}

static const char *
content_type_of(const struct call *c)
{
    return c->protocol == PROTOCOL_QUERY  ? "text/xml"
           : c->protocol == PROTOCOL_CBOR ? "application/cbor"
                                          : "application/x-amz-json-1.1";
}

/* Clients that have spoken Query before go on finding errors by the codes of then. */
static void
write_cbor_error(const struct call *c, const char *message, struct api_answer *answer)
{
    const enum err_code then = query_code(c->err.code);
    const struct str code = query_error_code(err_wire(then));

    cbor_protocol_write_error(&answer->body, c->model != NULL ? c->model->cbor_namespace : NULL,
                              err_wire(c->err.code), message, c->output);
    if (c->model != NULL && c->model->is_query)
        snprintf(answer->query_error, sizeof(answer->query_error), STR_FMT ";%s", STR_ARG(code),
                 err_http(then) >= 500 ? "Receiver" : "Sender");
}

static void
write_error(const struct call *c, struct api_answer *answer)
{
    const enum err_code code = code_of(c);
    const bool is_ours = err_http(code) >= 500;
    const char *message = c->err.message;

    if (is_ours) {
        log_error("api.failed", "operation=%s request=%s error=%s",
                  c->operation != NULL ? c->operation->name : "-", c->http->request_id,
                  log_quote(c->err.message));
        if (code != ERR_UNAVAILABLE) /* the details are for the log */
            message = "The server could not do this; its log names the request id.";
    }
    answer->status = err_http(code);
    answer->content_type = content_type_of(c);
    answer->smithy_protocol = c->protocol == PROTOCOL_CBOR ? CBOR_PROTOCOL : "";
    if (speaks_ec2(c)) {
        ec2_write_error(&answer->body, err_wire(code), message, c->http->request_id);
    } else if (c->protocol == PROTOCOL_QUERY) {
        query_write_error(&answer->body, c->model != NULL ? c->model->xml_namespace : "", err_wire(code),
                          message, is_ours, c->http->request_id);
    } else if (c->protocol == PROTOCOL_CBOR) {
        write_cbor_error(c, message, answer);
    } else {
        json_protocol_write_error(&answer->body, err_wire(code), message, c->output);
        snprintf(answer->error_type, sizeof(answer->error_type), "%s", err_wire(code));
    }
}

static bool
has_prefix(struct str s, const char *prefix)
{
    return str_equal_nocase(str_slice(s, 0, strlen(prefix)), str_of(prefix));
}

static enum protocol
choose_protocol(const struct sigv4_request *http)
{
    const struct str type = str_trim(sigv4_header(http, "content-type"));

    if (str_is(sigv4_header(http, "smithy-protocol"), CBOR_PROTOCOL))
        return PROTOCOL_CBOR;
    if (sigv4_header(http, "x-amz-target").at != NULL)
        return PROTOCOL_JSON_1_1;
    if (has_prefix(type, "application/x-www-form-urlencoded") ||
        (str_is(http->method, "GET") && str_find(http->query, STR("Action=")) >= 0))
        return PROTOCOL_QUERY;
    return PROTOCOL_JSON_1_1;
}

static struct call
begin_call(struct api *api, const struct api_request *http)
{
    struct call c = {.api = api, .http = http, .protocol = choose_protocol(&http->signed_part)};

    if (c.protocol == PROTOCOL_CBOR) /* a wrong signature is an error of a service, too */
        c.model = find_model_by_path(http->signed_part.path);
    return c;
}

static void
write_answer(const struct call *c, struct api_answer *answer)
{
    const char *id = c->http->request_id;

    answer->status = 200;
    answer->content_type = content_type_of(c);
    answer->smithy_protocol = c->protocol == PROTOCOL_CBOR ? CBOR_PROTOCOL : "";
    if (speaks_ec2(c))
        ec2_write(&answer->body, c->operation->name, c->model->xml_namespace, c->output, id);
    else if (c->protocol == PROTOCOL_QUERY)
        query_write(&answer->body, c->operation->name, c->model->xml_namespace, c->output, id);
    else if (c->protocol == PROTOCOL_CBOR)
        cbor_protocol_write(&answer->body, c->output);
    else
        json_protocol_write(&answer->body, c->output);
}

void
api_call(struct api *api, const struct api_request *http, struct api_answer *answer)
{
    struct call c = begin_call(api, http);
    const int64_t started_us = clock_monotonic_us();

    if (run_call(&c))
        write_answer(&c, answer);
    else
        write_error(&c, answer);
    note_call(&c);
    log_debug("api.call", "operation=%s status=%d took_us=%lld request=%s",
              c.operation != NULL ? c.operation->name : "-", answer->status,
              (long long)(clock_monotonic_us() - started_us), http->request_id);
    json_unref(c.input);
    json_unref(c.output);
    arena_done(&c.arena);
}

/* ---- the HTTP door ---- */

struct header_list {
    struct sigv4_header at[HEADERS_MAX];
    size_t count;
    bool overflow;
};

static void
collect_header(void *arg, struct str name, struct str value)
{
    struct header_list *list = arg;

    if (list->count == HEADERS_MAX) {
        list->overflow = true;
        return;
    }
    list->at[list->count++] = (struct sigv4_header){name, value};
}

static struct sigv4_request
view_exchange(const struct http_exchange *x, struct header_list *list)
{
    list->count = 0; /* and not all of it, for each request */
    list->overflow = false;
    http_header_each(x, collect_header, list);
    return (struct sigv4_request){
        .method = x->method,
        .path = x->path,
        .query = x->query,
        .headers = list->at,
        .header_count = list->count,
        .body = x->body,
    };
}

static struct api_request
view_request(const struct http_exchange *x, struct header_list *list)
{
    return (struct api_request){.signed_part = view_exchange(x, list), .request_id = x->request_id,
                                .peer = x->peer, .is_secure = x->is_secure};
}

static void
reply(struct http_exchange *x, struct api_answer *answer)
{
    const struct http_header headers[] = {
        {"Content-Type", answer->content_type},
        {"x-amzn-RequestId", x->request_id},
        {"x-amzn-ErrorType", answer->error_type},
        {"x-amzn-query-error", answer->query_error},
        {"smithy-protocol", answer->smithy_protocol},
        {NULL, NULL},
    };

    http_reply_buffer(x, answer->status, headers, &answer->body);
}

/* What no operation was asked for, in the form of the one that would have been. */
static void
refuse_exchange(struct http_exchange *x, int status, const char *why, void *ctx)
{
    struct header_list list;
    const struct api_request http = view_request(x, &list);
    struct call c = begin_call(ctx, &http);
    struct api_answer answer = {0};

    err_set(&c.err, http_refusal_code(status), "%s", why);
    write_error(&c, &answer);
    reply(x, &answer);
}

static void
answer_exchange(struct http_exchange *x, void *ctx)
{
    struct header_list list;
    const struct api_request http = view_request(x, &list);
    struct api_answer answer = {0};

    if (list.overflow) {
        refuse_exchange(x, 400, "The request has too many headers.", ctx);
        return;
    }
    api_call(ctx, &http, &answer);
    reply(x, &answer);
}

static size_t
limit_body(const struct http_exchange *x, void *ctx)
{
    const struct str target = http_header_get(x, "X-Amz-Target");

    if (!str_ends(target, STR(".UploadLayerPart")) && !str_ends(target, STR(".PutImage")))
        return BODY_LIMIT;
    if (!access_is_named(ctx, http_header_get(x, "Authorization")))
        return BODY_LIMIT;
    return str_ends(target, STR(".PutImage")) ? MANIFEST_BODY_LIMIT : LAYER_PART_BODY_LIMIT;
}

struct http_route
api_route(struct api *api)
{
    return (struct http_route){
        .prefix = "/", .body_limit_of = limit_body, .end = answer_exchange, .refuse = refuse_exchange, .ctx = api};
}

/* As note_call(); what comes of what is allowed is known to the room alone. */
static void
note_exchange(const struct api *api, const struct http_exchange *x, const struct caller *caller,
              const struct err *err)
{
    cleanup_free char *method = str_dup(x->method), *path = str_dup(x->path);

    if (caller->key.id[0] == '\0' || (err->code == ERR_NONE && role_allows(ROLE_READ_ONLY, "naru", method)))
        return;
    access_note_path(api, caller, x->peer, method, path, err->code == ERR_NONE ? "allowed" : err_wire(err->code),
                     x->request_id);
}

bool
api_authorise(struct api *api, struct http_exchange *x, struct caller *caller_out)
{
    struct header_list list;
    const struct sigv4_request http = view_exchange(x, &list);
    struct sigv4_authorization auth;
    struct caller caller = {0}; /* no id until that is known */
    struct err err = {0};
    cleanup_json struct json *body = NULL;
    cleanup_free char *text = NULL;
    static const struct http_header headers[] = {{"Content-Type", "application/json"}, {NULL, NULL}};

    const bool is_allowed = !list.overflow && access_signed(api, &http, x->peer, &auth, &caller, &err) &&
                            sigv4_check_service(&auth, "naru", &err) &&
                            access_allows(&caller, "naru", arena_cstr(&x->arena, x->method), NULL, &err);
    note_exchange(api, x, &caller, &err);
    if (is_allowed) {
        if (caller_out != NULL)
            *caller_out = caller;
        return true;
    }
    if (list.overflow)
        err_set(&err, ERR_BAD_REQUEST, "The request has too many headers.");
    body = json_object();
    json_set(body, "message", json_text(err.message));
    text = json_format(body);
    http_reply(x, err.code == ERR_MISSING_AUTHENTICATION_TOKEN ? 401 : 403, headers, str_of(text));
    return false;
}
