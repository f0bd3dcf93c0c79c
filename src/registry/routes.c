/* SPDX-License-Identifier: MIT */
/* routes.c - from a request on /v2/ to its handler and back: who may enter, which place is meant,
 * and how errors look there. */
#include "registry/mirror/pull_through.h"
#include "registry/routes.h"

#include <assert.h>
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/uri.h"
#include "io/audit.h"

/* Codes of AWS as the registry protocol has them; what is in capitals in codes.def is of the protocol already. */
static const struct {
    enum err_code code;
    const char *wire;
    int status;
} registry_codes[] = {
    {ERR_REPOSITORY_NOT_FOUND, "NAME_UNKNOWN", 404},
    {ERR_IMAGE_NOT_FOUND, "MANIFEST_UNKNOWN", 404},
    {ERR_IMAGE_ARCHIVED, "MANIFEST_UNKNOWN", 404},
    {ERR_REFERENCED_IMAGES_NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", 404},
    {ERR_IMAGE_TAG_EXISTS, "TAG_INVALID", 400},
    {ERR_RESOURCE_IN_USE, "DENIED", 403},
    {ERR_ACCESS_DENIED, "DENIED", 403},
    {ERR_CONFLICT, "DENIED", 403},
    {ERR_LIMIT_EXCEEDED, "DENIED", 403},
    {ERR_INVALID_PARAMETER, "UNSUPPORTED", 400},
    {ERR_THROTTLING, "TOOMANYREQUESTS", 429},
    {ERR_UNAVAILABLE, "UNAVAILABLE", 503},
    {ERR_UPSTREAM_IMAGE, "UNKNOWN", 502},
    {ERR_NOT_FOUND, "UNSUPPORTED", 404},
};

void
reply_header(struct reply *r, const char *name, const char *value)
{
    assert(r->count < REPLY_HEADERS_MAX);
    r->headers[r->count++] = (struct http_header){name, value};
}

void
reply_send(struct call *c, struct reply *r, int status, struct str body)
{
    /* Before the answer: with it the client goes on at once, often on another connection. */
    blob_done(c);
    reply_header(r, "Docker-Distribution-Api-Version", "registry/2.0");
    http_reply(c->x, status, r->headers, body);
}

/* The protocol has fourteen codes, and clients know no others. */
static const char *
code_of_status(int status)
{
    switch (status) {
    case 401:
        return "UNAUTHORIZED";
    case 403:
        return "DENIED";
    case 429:
        return "TOOMANYREQUESTS";
    default:
        return status >= 500 ? "UNKNOWN" : "UNSUPPORTED";
    }
}

const char *
registry_error_code(enum err_code code, int *status_out)
{
    const char *wire = err_wire(code);

    *status_out = err_http(code);
    for (size_t i = 0; i < ARRAY_COUNT(registry_codes); i++) {
        if (registry_codes[i].code == code) {
            *status_out = registry_codes[i].status;
            return registry_codes[i].wire;
        }
    }
    return strpbrk(wire, "abcdefghijklmnopqrstuvwxyz") == NULL ? wire : code_of_status(*status_out);
}

static void
error_send(struct http_exchange *x, const struct err *err, struct reply *r)
{
    const char *message = err->message;
    int status;
    const char *wire = registry_error_code(err->code, &status);

    if (err->code == ERR_INTERNAL) {
        log_error("registry.failed", "request_id=%s method=" STR_FMT " path=%s error=%s",
                  x->request_id, STR_ARG(x->method), log_quote(arena_cstr(&x->arena, x->path)),
                  log_quote(err->message));
        const bool is_full = err->sys_errno == ENOSPC || err->sys_errno == EDQUOT;
        wire = "UNKNOWN";
        status = is_full ? 507 : status;
        message = is_full ? "the registry's disk is full"
                          : "the registry could not do this; see the server's log for the request id";
    }
    cleanup_json struct json *answer = json_object();
    struct json *one = json_object();
    json_set(one, "code", json_text(wire));
    json_set(one, "message", json_text(message));
    json_set(one, "detail", err->code == ERR_INTERNAL ? json_text(x->request_id) : json_text(NULL));
    json_set(answer, "errors", json_array());
    json_append(json_get(answer, "errors"), one);
    cleanup_free char *text = json_format(answer);
    reply_header(r, "Content-Type", "application/json; charset=utf-8");
    reply_header(r, "Docker-Distribution-Api-Version", "registry/2.0");
    http_reply(x, status, r->headers, str_of(text));
}

void
reply_error(struct call *c, const struct err *err)
{
    struct reply r = {0};

    blob_done(c);
    error_send(c->x, err, &r);
}

const char *
call_query(struct call *c, const char *name)
{
    cleanup(strbuf_done) struct strbuf value = {0};

    if (!uri_query_get(c->x->query, name, &value) || value.len == 0)
        return NULL;
    return arena_cstr(&c->x->arena, strbuf_str(&value));
}

/* ---- which place is meant ---- */

/* The region of the host that was asked, or the default. */
struct str
region_asked(const struct call *c)
{
    struct str host = http_header_get(c->x, "Host"), region;
    ptrdiff_t colon = str_index(host, ':');

    return ecr_host_parse(colon < 0 ? host : str_slice(host, 0, (size_t)colon), &region)
               ? region
               : str_of(c->reg->default_region);
}

/* The repository and its region. Another region is named by the host that was asked or in front of
 * the repository. */
static bool
place_find(struct call *c, struct err *err)
{
    struct str region, repository;

    if (!registry_name_split(c->reg, c->route.name, &region, &repository))
        return err_set(err, ERR_NAME_INVALID, "'" STR_FMT "' is no name of a repository",
                       STR_ARG(str_slice(c->route.name, 0, REGISTRY_NAME_SIZE)));
    if (repository.at == c->route.name.at)
        region = region_asked(c);
    if (!text_copy(c->region, sizeof c->region, region) ||
        !text_copy(c->repository, sizeof c->repository, repository))
        return err_set(err, ERR_NAME_INVALID, "the name of the repository is too long");
    return true;
}

static bool
argument_check(struct call *c, struct err *err)
{
    const struct str a = c->route.argument;

    switch (c->route.kind) {
    case ROUTE_BLOB:
    case ROUTE_REFERRERS:
        if (!digest_is_valid(a))
            return err_set(err, ERR_DIGEST_INVALID, "'" STR_FMT "' is no digest",
                           STR_ARG(str_slice(a, 0, 140)));
        break;
    case ROUTE_MANIFEST:
        if (!digest_is_valid(a) && str_index(a, ':') >= 0)
            return err_set(err, ERR_DIGEST_INVALID, "'" STR_FMT "' is no digest",
                           STR_ARG(str_slice(a, 0, 140)));
        if (!digest_is_valid(a) && !tag_is_valid(a))
            return err_set(err,
                           str_is(c->x->method, "PUT") ? ERR_TAG_INVALID : ERR_MANIFEST_UNKNOWN,
                           "'" STR_FMT "' is no tag", STR_ARG(str_slice(a, 0, 140)));
        break;
    case ROUTE_UPLOAD:
        if (a.len != 36)
            return err_set(err, ERR_BLOB_UPLOAD_UNKNOWN,
                           "there is no such upload in this repository");
        break;
    default:
        break;
    }
    return text_copy(c->argument, sizeof c->argument, a) ||
           err_set(err, ERR_NAME_INVALID, "the last part of the path is too long");
}

/* A pull of a manifest may be what makes the repository: pull_manifest() decides. */
static bool
may_come_from_upstream(const struct call *c)
{
    struct pull_rule rule;

    return c->reg->pull != NULL && c->route.kind == ROUTE_MANIFEST &&
           (str_is(c->x->method, "GET") || str_is(c->x->method, "HEAD")) &&
           pull_rule_find(c->reg, c->region, c->repository, &rule);
}

static bool
route_find(struct call *c, struct err *err)
{
    cleanup(strbuf_done) struct strbuf decoded = {0};

    if (c->x->path.len > 4096 || !uri_decode(&decoded, c->x->path, /* plus_is_space= */ false))
        return err_set(err, ERR_NAME_INVALID, "the path is too long or not properly encoded");
    struct str path = arena_dup(&c->x->arena, strbuf_str(&decoded));
    if (!route_path_parse(path, &c->route))
        return err_set(err, ERR_NOT_FOUND, "the registry has no such place");
    if (c->route.kind == ROUTE_BASE || c->route.kind == ROUTE_TOKEN)
        return true;
    if (c->route.kind == ROUTE_CATALOG)
        return text_copy(c->region, sizeof c->region, region_asked(c));
    return place_find(c, err);
}

/* ---- who may enter, and what for ---- */

static void
refuse_entry(struct call *c, unsigned visits, bool is_insufficient, const struct err *err)
{
    struct reply r = {0};

    if (err->code == ERR_REGISTRY_UNAUTHORIZED)
        challenge_add(c, &r, visits, is_insufficient);
    else if (err->code == ERR_THROTTLING)
        reply_header(&r, "Retry-After", "30");
    error_send(c->x, err, &r);
}

/* What a request does to the repository that it names. */
static unsigned
visits_of(const struct call *c)
{
    const bool looks = str_is(c->x->method, "GET") || str_is(c->x->method, "HEAD");

    if (c->route.kind == ROUTE_UPLOADS || c->route.kind == ROUTE_UPLOAD)
        return VISIT_PUSH;
    if (str_is(c->x->method, "DELETE"))
        return VISIT_DELETE;
    return looks ? VISIT_PULL : VISIT_PUSH;
}

static bool
refuse_nobody(struct call *c, unsigned visits, bool is_insufficient)
{
    struct err err;

    err_set(&err, ERR_REGISTRY_UNAUTHORIZED,
            "Your authorization token is missing, wrong or has expired. Run 'aws ecr "
            "get-login-password' and log in with user AWS again.");
    refuse_entry(c, visits, is_insufficient, &err);
    return false;
}

static bool
refuse_key(struct call *c, const char *action)
{
    char who[KEY_LOG_NAME_SIZE];
    struct err err;

    visitor_log_name(&c->visitor, who);
    audit_line(c->reg->audit, "registry.denied",
               "who=%s peer=" STR_FMT " action=%s repository=%s request_id=%s",
               who, STR_ARG(c->x->peer), action, log_quote(c->repository),
               c->x->request_id);
    err_set(&err, ERR_REGISTRY_DENIED,
            "User: %s is not authorized to perform: %s on the repository '%s'",
            visitor_name(&c->visitor), action, c->repository);
    refuse_entry(c, 0, /* is_insufficient= */ false, &err);
    return false;
}

const char *
call_principal(const struct call *c)
{
    if (c->visitor.kind == VISITOR_NOBODY)
        return NULL;
    if (c->visitor.kind == VISITOR_NARU || c->visitor.key.name[0] == '\0')
        return c->reg->root_principal;
    char *principal = arena_alloc(&c->x->arena, KEY_PRINCIPAL_SIZE);
    access_key_principal(&c->visitor.key, c->reg->account_id, principal);
    return principal;
}

/* False: the visitor was sent away. A policy that allows counts as a right of whoever has a key; for
 * nobody a repository is open by its tag alone, or "Principal": "*" would be the whole world. */
static bool
place_enter(struct call *c)
{
    const unsigned visits = visits_of(c);
    const unsigned scope = visitor_scope(&c->visitor, c->route.name);
    unsigned may = visitor_may(c->reg, &c->visitor, c->region, c->repository);
    enum registry_verdict verdict;
    struct err err;

    if (!call_check_policy(c, &verdict, &err)) {
        if (c->visitor.kind == VISITOR_NOBODY)
            return refuse_nobody(c, visits, /* is_insufficient= */ false);
        refuse_entry(c, 0, /* is_insufficient= */ false, &err);
        return false;
    }
    if (verdict == REGISTRY_ALLOWS && c->visitor.kind == VISITOR_KEY)
        may |= visits;
    if ((may & scope & visits) == visits)
        return true;
    if (c->visitor.kind == VISITOR_NOBODY)
        return refuse_nobody(c, visits, c->visitor.has_scopes);
    if ((may & visits) == visits) /* the token is for something else: another one may do */
        return refuse_nobody(c, visits, /* is_insufficient= */ true);
    return refuse_key(c, call_action(c));
}

static bool
call_enter(struct call *c)
{
    switch (c->route.kind) {
    case ROUTE_TOKEN:
        return true;
    case ROUTE_BASE: /* whoever comes with any token has found the way in */
        return c->visitor.kind != VISITOR_NOBODY || c->visitor.has_scopes ||
               refuse_nobody(c, 0, /* is_insufficient= */ false);
    case ROUTE_CATALOG:
        if (c->visitor.kind == VISITOR_NOBODY)
            return refuse_nobody(c, 0, /* is_insufficient= */ false);
        if (visitor_scope(&c->visitor, STR(SCOPE_CATALOG)) == 0)
            return refuse_nobody(c, 0, /* is_insufficient= */ true);
        return visitor_may_list(&c->visitor) || refuse_key(c, "ecr:DescribeRepositories");
    default:
        return place_enter(c);
    }
}

void
call_note(const struct call *c, const char *at, const char *what, const char *digest)
{
    char who[KEY_LOG_NAME_SIZE];

    visitor_log_name(&c->visitor, who);
    audit_line(c->reg->audit, at,
               "who=%s key=%s peer=" STR_FMT " what=%s region=%s repository=%s reference=%s digest=%s "
               "request_id=%s",
               who,
               c->visitor.kind == VISITOR_KEY ? c->visitor.key.id : "-", STR_ARG(c->x->peer), what,
               c->region, c->repository, c->argument[0] != '\0' ? c->argument : "-",
               digest != NULL ? digest : "-", c->x->request_id);
}

/* ---- the exchange ---- */

static bool
base_end(struct call *c, struct err *err)
{
    struct reply r = {0};

    if (!str_is(c->x->method, "GET") && !str_is(c->x->method, "HEAD"))
        return err_set(err, ERR_REGISTRY_UNSUPPORTED, "only GET is known here");
    reply_header(&r, "Content-Type", "application/json; charset=utf-8");
    reply_send(c, &r, 200, STR("{}"));
    return true;
}

/* Another naru replicates to here: whoever may make repositories gets one as ECR's replication makes it, by a
 * template for REPLICATION or with the defaults. */
static bool
replica_place_make(struct call *c, const struct registry_caller *caller)
{
    const enum registry_verdict verdict = registry_policy_says(
        c->reg, c->region, c->repository, "ecr:CreateRepository", caller, clock_wall_ms());
    const bool may = verdict == REGISTRY_ALLOWS || c->visitor.kind == VISITOR_NARU ||
                     (c->visitor.kind == VISITOR_KEY &&
                      role_allows(c->visitor.role, "ecr", "CreateRepository"));
    struct err err = {0};

    if (verdict == REGISTRY_DENIES || !may ||
        repository_check(c->reg, c->region, c->repository, NULL))
        return false;
    if (repository_ensure(c->reg, c->region, c->repository, "REPLICATION", &err))
        return true;
    log_error("registry.create_failed", "repository=%s region=%s error=%s",
              log_quote(c->repository), c->region, log_quote(err.message));
    return false;
}

/* A push may make its repository, where a template says so and no policy denies it. */
static void
place_make(struct call *c)
{
    const struct registry_caller caller = call_caller(c);
    const bool pushes = (c->route.kind == ROUTE_UPLOADS && str_is(c->x->method, "POST")) ||
                        (c->route.kind == ROUTE_MANIFEST && str_is(c->x->method, "PUT"));

    if (!pushes)
        return;
    if (http_header_get(c->x, REMOTE_REPLICA).len > 0
            ? replica_place_make(c, &caller)
            : registry_create_on_push(c->reg, c->region, c->repository, &caller, clock_wall_ms()))
        call_note(c, "registry.created", "repository", NULL);
}

/* Who is sent away learns nothing of what is there, nor of how it is called. */
static bool
call_begin(struct call *c, struct err *err)
{
    enum registry_verdict verdict;

    if (!visitor_read(c->reg, c->x, &c->visitor, err)) {
        refuse_entry(c, 0, /* is_insufficient= */ false, err);
        return true;
    }
    c->principal = call_principal(c);
    if (!route_find(c, err)) {
        if (c->visitor.kind != VISITOR_NOBODY)
            return false;
        refuse_nobody(c, 0, /* is_insufficient= */ false);
        return true;
    }
    if (!call_enter(c))
        return true; /* has replied */
    if (c->route.kind == ROUTE_CATALOG && !call_check_policy(c, &verdict, err))
        return false;
    if (c->repository[0] != '\0') {
        if (!argument_check(c, err))
            return false;
        place_make(c);
        if (!repository_check(c->reg, c->region, c->repository, err) &&
            !may_come_from_upstream(c))
            return false;
    }
    switch (c->route.kind) {
    case ROUTE_UPLOADS:
    case ROUTE_UPLOAD:
        return blob_begin(c, err);
    case ROUTE_MANIFEST:
        return manifest_begin(c, err);
    case ROUTE_TOKEN:
        c->collects = str_is(c->x->method, "POST");
        return true;
    default:
        return true;
    }
}

static void
registry_begin(struct http_exchange *x, void *ctx)
{
    struct call *c = mem_new(sizeof *c);
    struct err err = {0};

    c->reg = ctx;
    c->x = x;
    c->chunk_size = -1;
    x->state = c;
    if (!call_begin(c, &err))
        reply_error(c, &err);
}

static void
registry_body(struct http_exchange *x, struct str data, void *ctx)
{
    struct call *c = x->state;

    (void)ctx;
    if (c == NULL || c->has_failed || http_has_replied(x))
        return;
    c->received += (int64_t)data.len;
    if (c->receives)
        blob_body(c, data);
    else if (!c->collects)
        return; /* nobody asked for a body; it changes nothing */
    else if (c->body.len + data.len > REGISTRY_MANIFEST_MAX)
        c->has_failed = !err_set(&c->err, ERR_SIZE_INVALID, "the manifest is larger than %d bytes",
                                 REGISTRY_MANIFEST_MAX);
    else
        strbuf_add(&c->body, data);
    if (c->has_failed)
        reply_error(c, &c->err); /* at once: gigabytes may follow */
}

static bool
call_end(struct call *c, struct err *err)
{
    switch (c->route.kind) {
    case ROUTE_BASE:
        return base_end(c, err);
    case ROUTE_TAGS:
        return tags_end(c, err);
    case ROUTE_TOKEN:
        return token_end(c, err);
    case ROUTE_CATALOG:
        return catalog_end(c, err);
    case ROUTE_REFERRERS:
        return referrers_end(c, err);
    case ROUTE_MANIFEST:
        return manifest_end(c, err);
    case ROUTE_BLOB:
    case ROUTE_UPLOADS:
    case ROUTE_UPLOAD:
        return blob_end(c, err);
    default:
        return err_set(err, ERR_NOT_FOUND, "the registry has no such place");
    }
}

static void
registry_end(struct http_exchange *x, void *ctx)
{
    struct call *c = x->state;
    struct err err = {0};

    (void)ctx;
    if (http_has_replied(x))
        return;
    if (!call_end(c, &err))
        reply_error(c, &err);
}

static void
registry_done(struct http_exchange *x, void *ctx)
{
    struct call *c = x->state;

    (void)ctx;
    if (c == NULL)
        return;
    blob_done(c);
    strbuf_done(&c->body);
    visitor_done(&c->visitor);
    free(c);
    x->state = NULL;
}

/* What the server refuses before it is a call. */
static void
refuse_early(struct http_exchange *x, int status, const char *why, void *ctx)
{
    struct reply r = {0};
    struct err err;

    (void)ctx;
    err_set(&err, http_refusal_code(status), "%s", why);
    error_send(x, &err, &r);
}

struct http_route
registry_route(struct registry *reg)
{
    return (struct http_route){
        .prefix = "/v2/",
        .begin = registry_begin,
        .body = registry_body,
        .end = registry_end,
        .done = registry_done,
        .refuse = refuse_early,
        .ctx = reg,
    };
}
