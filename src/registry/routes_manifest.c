/* SPDX-License-Identifier: MIT */
/* routes_manifest.c - manifests by tag and digest. */
#include "base/clock.h"
#include "base/uri.h"
#include "registry/mirror/pull_through.h"
#include "registry/routes.h"

bool
manifest_begin(struct call *c, struct err *err)
{
    const struct str method = c->x->method;

    if (str_is(method, "PUT")) {
        c->collects = true;
        if (c->x->body_size > REGISTRY_MANIFEST_MAX)
            return err_set(err, ERR_SIZE_INVALID, "the manifest is larger than %d bytes",
                           REGISTRY_MANIFEST_MAX);
        return true;
    }
    return str_is(method, "GET") || str_is(method, "HEAD") || str_is(method, "DELETE") ||
           err_set(err, ERR_REGISTRY_UNSUPPORTED, "a manifest knows GET, HEAD, PUT and DELETE");
}

static void
accept_add(void *arg, struct str name, struct str value)
{
    struct strbuf *all = arg;

    if (!str_equal_nocase(name, STR("Accept")) || all->len + value.len > 8192)
        return;
    strbuf_add_char(all, ',');
    strbuf_add(all, value);
}

static void
manifest_pulled(struct call *c, const char *digest)
{
    registry_image_pulled(c->reg, c->region, c->repository, digest, c->principal,
                              clock_wall_ms());
    call_note(c, "registry.pull", "manifest", digest);
}

static bool
manifest_get(struct call *c, struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0}, accept = {0};
    char digest[REGISTRY_DIGEST_SIZE], type[REGISTRY_MEDIA_TYPE_SIZE];
    struct reply r = {0};

    if (!pull_manifest(c->reg, c->region, c->repository, c->argument, str_is(c->x->method, "GET"),
                       err))
        return false;
    if (!pull_pending_get(c->reg, c->region, c->repository, c->argument, &bytes, digest, type) &&
        !registry_manifest_get(c->reg, c->region, c->repository, c->argument, &bytes, digest, type,
                               err))
        return false;
    http_header_each(c->x, accept_add, &accept); /* some clients send one header a type */
    if (!accept_matches(strbuf_str(&accept), str_of(type)))
        return err_set(err, ERR_MANIFEST_UNKNOWN,
                       "the manifest is a '%s', which the Accept header does not take", type);
    if (str_is(c->x->method, "GET"))
        manifest_pulled(c, digest);
    reply_header(&r, "Docker-Content-Digest", digest);
    reply_header(&r, "Etag", arena_format(&c->x->arena, "\"%s\"", digest));
    if (etags_match(http_header_get(c->x, "If-None-Match"), str_of(digest))) {
        reply_send(c, &r, 304, strbuf_str(&bytes));
        return true;
    }
    reply_header(&r, "Content-Type", type);
    reply_send(c, &r, 200, strbuf_str(&bytes));
    return true;
}

static bool
manifest_put(struct call *c, struct err *err)
{
    struct str type = http_header_get(c->x, "Content-Type");
    ptrdiff_t semicolon = str_index(type, ';');
    char digest[REGISTRY_DIGEST_SIZE], subject[REGISTRY_DIGEST_SIZE];
    struct reply r = {0};

    if (semicolon >= 0)
        type = str_slice(type, 0, (size_t)semicolon);
    const bool by_digest = digest_is_valid(str_of(c->argument));
    const struct registry_put put = {
        .manifest = strbuf_str(&c->body),
        .media_type = str_trim(type),
        .tag = by_digest ? NULL : c->argument,
        .digest = by_digest ? c->argument : NULL,
        .is_replica = http_header_get(c->x, REMOTE_REPLICA).len > 0,
        .if_match = http_header_get(c->x, "If-Match"),
        .if_none_match = http_header_get(c->x, "If-None-Match"),
        .subject_out = subject,
    };
    if (!registry_manifest_put(c->reg, c->region, c->repository, &put, digest, err))
        return false;
    call_note(c, "registry.push", "manifest", digest);
    reply_header(
        &r, "Location",
        arena_format(&c->x->arena, "/v2/" STR_FMT "/manifests/%s", STR_ARG(c->route.name), digest));
    reply_header(&r, "Docker-Content-Digest", digest);
    if (subject[0] != '\0') /* or the client keeps the list of referrers itself, under a tag */
        reply_header(&r, "OCI-Subject", subject);
    reply_send(c, &r, 201, (struct str){0});
    return true;
}

/* A tag goes without its image: others may have pinned that by digest. */
static bool
manifest_delete(struct call *c, struct err *err)
{
    char digest[REGISTRY_DIGEST_SIZE];
    struct reply r = {0};

    if (digest_is_valid(str_of(c->argument))
            ? !registry_image_delete(c->reg, c->region, c->repository, c->argument, NULL, err)
            : !registry_tag_delete(c->reg, c->region, c->repository, c->argument, digest, err))
        return false;
    call_note(c, "registry.delete", "manifest", NULL);
    reply_send(c, &r, 202, (struct str){0});
    return true;
}

bool
manifest_end(struct call *c, struct err *err)
{
    if (str_is(c->x->method, "PUT"))
        return manifest_put(c, err);
    if (str_is(c->x->method, "DELETE"))
        return manifest_delete(c, err);
    return manifest_get(c, err);
}
