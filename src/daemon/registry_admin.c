/* SPDX-License-Identifier: MIT */
#include "daemon/registry_admin.h"

#include "api/access.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uri.h"
#include "registry/registry.h"

#define BODY_MAX 4096

static void
reply(struct http_exchange *x, int status, const struct json *body)
{
    static const struct http_header headers[] = {{"Content-Type", "application/json"}, {NULL, NULL}};
    cleanup_free char *text = json_format(body);

    http_reply(x, status, headers, str_of(text));
}

static void
refuse(struct http_exchange *x, int status, const char *why)
{
    cleanup_json struct json *body = json_object();

    json_set(body, "message", json_text(why));
    reply(x, status, body);
}

static bool
collect(struct registry *registry, bool is_dry, bool with_lifecycle, struct json *out, struct err *err)
{
    const int64_t start_ms = clock_monotonic_ms(), now_ms = clock_wall_ms();
    struct registry_gc gc = {0};
    int64_t expired = 0;

    if (is_dry && with_lifecycle)
        return err_set(err, ERR_VALIDATION, "a dry run applies no lifecycle policies; preview them with "
                                            "StartLifecyclePolicyPreview");
    if (with_lifecycle && !registry_lifecycle_apply_all(registry, 0, now_ms, &expired, err))
        return false;
    if (!(is_dry ? registry_collect_plan(registry, 0, now_ms, &gc, err)
                 : registry_collect(registry, NULL, 0, 0, now_ms, &gc, err)))
        return false;
    json_set(out, "dryRun", json_bool(is_dry));
    json_set(out, "imagesExpired", json_int(expired));
    json_set(out, "blobsRemoved", json_int(gc.blobs_removed));
    json_set(out, "bytesRemoved", json_int(gc.bytes_removed));
    json_set(out, "linksRemoved", json_int(gc.links_removed));
    json_set(out, "blobsKept", json_int(gc.blobs_kept));
    json_set(out, "tookMs", json_int(clock_monotonic_ms() - start_ms));
    return true;
}

/* A policy that is applied deletes images, as its key could. */
static bool
may_delete(const struct registry_admin *admin, const struct http_exchange *x, const struct caller *caller,
           struct err *err)
{
    const bool is_allowed = access_allows(caller, "ecr", "BatchDeleteImage", NULL, err);

    if (!is_allowed)
        access_note(admin->api, caller, x->peer, "ecr", "BatchDeleteImage", NULL, err_wire(err->code), x->request_id);
    return is_allowed;
}

/* It works on all repositories, and tells of all. */
static bool
may_collect(const struct registry_admin *admin, const struct http_exchange *x, const struct caller *caller,
            struct err *err)
{
    if (caller->key.repositories[0] == '\0')
        return true;
    err_set(err, ERR_ACCESS_DENIED, "User: %s is held to the repositories '%.200s'; garbage is collected of all",
            caller->principal, caller->key.repositories);
    access_note_path(admin->api, caller, x->peer, "POST", "/naru/registry/gc", err_wire(err->code), x->request_id);
    return false;
}

static void
answer_collect(struct http_exchange *x, const struct registry_admin *admin, const struct caller *caller)
{
    struct err err = {0};
    cleanup_json struct json *body = x->body.len > 0 ? json_parse(x->body, &err) : json_object();
    cleanup_json struct json *out = json_object();

    if (body == NULL) {
        refuse(x, 400, err.message);
        return;
    }
    if (!may_collect(admin, x, caller, &err)) {
        refuse(x, 403, err.message);
        return;
    }
    const bool with_lifecycle = json_get_bool(body, "lifecycle", false);
    if (with_lifecycle && !may_delete(admin, x, caller, &err)) {
        refuse(x, 403, err.message);
        return;
    }
    if (collect(admin->registry, json_get_bool(body, "dryRun", false), with_lifecycle, out, &err)) {
        reply(x, 200, out);
        return;
    }
    if (err_http(err.code) >= 500)
        log_error("registry.collect_failed", "error=%s", log_quote(err.message));
    refuse(x, err_http(err.code), err.message); /* the operator sees what is wrong with his disk */
}

/* ---- quotas ---- */

/* What one repository may keep is the owner's to say: no role but admin has that action. */
static bool
may_quota(const struct registry_admin *admin, const struct http_exchange *x, const struct caller *caller,
          const char *operation, const struct json *input, struct err *err)
{
    const bool is_allowed = access_allows(caller, "ecr", operation, input, err);

    access_note(admin->api, caller, x->peer, "ecr", operation, input, is_allowed ? "ok" : err_wire(err->code),
                x->request_id);
    return is_allowed;
}

static bool
quota_show(const struct registry_admin *admin, const char *region, const char *repository, struct json *out,
           struct err *err)
{
    struct registry_quota quota = {0};

    if (!registry_quota_get(admin->registry, region, repository, &quota, err))
        return false;
    json_set(out, "region", json_text(region));
    json_set(out, "repositoryName", json_text(repository));
    json_set(out, "quotaBytes", json_int(quota.limit));
    json_set(out, "usedBytes", json_int(quota.used));
    return true;
}

static bool
quota_set(const struct registry_admin *admin, const struct http_exchange *x, const struct caller *caller,
          struct json *out, struct err *err)
{
    cleanup_json struct json *body = json_parse(x->body, err);
    const char *repository = json_get_cstr(body, "repositoryName", "");
    const char *region = json_get_cstr(body, "region", api_get_config(admin->api)->default_region);

    return body != NULL && may_quota(admin, x, caller, "PutRepositoryQuota", body, err) &&
           registry_quota_set(admin->registry, region, repository, json_get_i64(body, "quotaBytes", -1), err) &&
           quota_show(admin, region, repository, out, err);
}

/* One that is named, or all that have a quota. */
static bool
quota_get(const struct registry_admin *admin, const struct http_exchange *x, const struct caller *caller,
          struct json *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf repository = {0}, region = {0};
    cleanup_json struct json *input = json_object();
    struct json *rows = NULL;

    (void)!uri_query_get(x->query, "repositoryName", &repository);
    (void)!uri_query_get(x->query, "region", &region);
    if (repository.len > 0)
        json_set(input, "repositoryName", json_text(strbuf_cstr(&repository)));
    if (!may_quota(admin, x, caller, "DescribeRepositories", input, err))
        return false;
    if (repository.len > 0)
        return quota_show(admin, region.len > 0 ? strbuf_cstr(&region) : api_get_config(admin->api)->default_region,
                          strbuf_cstr(&repository), out, err);
    if (!registry_quotas(admin->registry, &rows, err))
        return false;
    json_set(out, "quotas", rows);
    return true;
}

static void
answer_quota(struct http_exchange *x, const struct registry_admin *admin, const struct caller *caller)
{
    cleanup_json struct json *out = json_object();
    struct err err = {0};

    if (!str_is(x->method, "GET") && !str_is(x->method, "POST"))
        refuse(x, 405, "Quotas are shown by GET and set by POST.");
    else if (str_is(x->method, "GET") ? quota_get(admin, x, caller, out, &err)
                                      : quota_set(admin, x, caller, out, &err))
        reply(x, 200, out);
    else
        refuse(x, err.code == ERR_ACCESS_DENIED ? 403 : err_http(err.code), err.message);
}

static void
answer(struct http_exchange *x, void *ctx)
{
    const struct registry_admin *admin = ctx;

    struct caller caller;

    if (!api_authorise(admin->api, x, &caller))
        return;
    if (str_is(x->path, "/naru/registry/quota"))
        answer_quota(x, admin, &caller);
    else if (!str_is(x->path, "/naru/registry/gc"))
        refuse(x, 404, "There is no such path below /naru/registry/.");
    else if (!str_is(x->method, "POST"))
        refuse(x, 405, "Garbage is collected by POST.");
    else
        answer_collect(x, admin, &caller);
}

struct http_route
registry_admin_route(struct registry_admin *admin)
{
    return (struct http_route){.prefix = "/naru/registry/", .body_limit = BODY_MAX, .end = answer, .ctx = admin};
}
