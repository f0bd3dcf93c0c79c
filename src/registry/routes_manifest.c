/* SPDX-License-Identifier: MIT */
/* routes_manifest.c - manifests by tag and digest, and the list of tags. */
#include "base/clock.h"
#include "base/uri.h"
#include "registry/routes.h"

#define TAGS_PAGE_MAX 10000

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

static bool
manifest_get(struct call *c, struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0}, accept = {0};
    char digest[REGISTRY_DIGEST_SIZE], type[REGISTRY_MEDIA_TYPE_SIZE];
    struct reply r = {0};

    if (!registry_manifest_get(c->reg, c->region, c->repository, c->argument, &bytes, digest, type,
                               err))
        return false;
    http_header_each(c->x, accept_add, &accept); /* some clients send one header a type */
    if (!accept_matches(strbuf_str(&accept), str_of(type)))
        return err_set(err, ERR_MANIFEST_UNKNOWN,
                       "the manifest is a '%s', which the Accept header does not take", type);
    if (str_is(c->x->method, "GET"))
        registry_image_pulled(c->reg, c->region, c->repository, digest, clock_wall_ms());
    reply_header(&r, "Content-Type", type);
    reply_header(&r, "Docker-Content-Digest", digest);
    reply_header(&r, "Etag", arena_format(&c->x->arena, "\"%s\"", digest));
    reply_send(c, &r, 200, strbuf_str(&bytes));
    return true;
}

static bool
manifest_put(struct call *c, struct err *err)
{
    struct str type = http_header_get(c->x, "Content-Type");
    ptrdiff_t semicolon = str_index(type, ';');
    char digest[REGISTRY_DIGEST_SIZE];
    struct reply r = {0};

    if (semicolon >= 0)
        type = str_slice(type, 0, (size_t)semicolon);
    const bool by_digest = digest_is_valid(str_of(c->argument));
    const struct registry_put put = {
        .manifest = strbuf_str(&c->body),
        .media_type = str_trim(type),
        .tag = by_digest ? NULL : c->argument,
        .digest = by_digest ? c->argument : NULL,
    };
    if (!registry_manifest_put(c->reg, c->region, c->repository, &put, digest, err))
        return false;
    reply_header(
        &r, "Location",
        arena_format(&c->x->arena, "/v2/" STR_FMT "/manifests/%s", STR_ARG(c->route.name), digest));
    reply_header(&r, "Docker-Content-Digest", digest);
    reply_send(c, &r, 201, (struct str){0});
    return true;
}

bool
manifest_end(struct call *c, struct err *err)
{
    struct reply r = {0};

    if (str_is(c->x->method, "PUT"))
        return manifest_put(c, err);
    if (!str_is(c->x->method, "DELETE"))
        return manifest_get(c, err);
    if (!registry_image_delete(c->reg, c->region, c->repository, c->argument, NULL, err))
        return false;
    reply_send(c, &r, 202, (struct str){0});
    return true;
}

/* ---- tags ---- */

static bool
page_read(struct call *c, int64_t *count_out, struct err *err)
{
    const char *n = call_query(c, "n");

    *count_out = TAGS_PAGE_MAX;
    if (n == NULL)
        return true;
    if (!str_to_i64(str_of(n), count_out) || *count_out < 0)
        return err_set(err, ERR_INVALID_PARAMETER, "the query's 'n' is no number of tags");
    if (*count_out > TAGS_PAGE_MAX)
        *count_out = TAGS_PAGE_MAX;
    return true;
}

static const char *
next_link(struct call *c, int64_t count, const char *last)
{
    cleanup(strbuf_done) struct strbuf encoded = {0};

    uri_encode(&encoded, str_of(last), /* keep_slash= */ false);
    return arena_format(&c->x->arena, "</v2/" STR_FMT "/tags/list?last=%s&n=%lld>; rel=\"next\"",
                        STR_ARG(c->route.name), strbuf_cstr(&encoded), (long long)count);
}

bool
tags_end(struct call *c, struct err *err)
{
    cleanup_free char *path = repository_path(c->reg, c->region, c->repository, "_tags");
    cleanup_json struct json *names = NULL, *answer = json_object();
    const char *last = call_query(c, "last"), *previous = NULL;
    struct json *tags = json_array();
    struct reply r = {0};
    int64_t count;

    json_set(answer, "name", json_str(c->route.name));
    json_set(answer, "tags", tags);
    if (!str_is(c->x->method, "GET") && !str_is(c->x->method, "HEAD"))
        return err_set(err, ERR_REGISTRY_UNSUPPORTED, "the list of tags knows GET only");
    if (!page_read(c, &count, err) || !disk_list(path, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        const char *tag = json_cstr(json_at(names, i), "");
        if (!tag_is_valid(str_of(tag)) || (last != NULL && strcmp(tag, last) <= 0))
            continue;
        if ((int64_t)json_size(tags) >= count) {
            if (previous != NULL)
                reply_header(&r, "Link", next_link(c, count, previous));
            break;
        }
        json_append(tags, json_text(tag));
        previous = tag;
    }
    cleanup_free char *text = json_format(answer);
    reply_header(&r, "Content-Type", "application/json; charset=utf-8");
    reply_send(c, &r, 200, str_of(text));
    return true;
}
