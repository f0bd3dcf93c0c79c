/* SPDX-License-Identifier: MIT */
/* routes_discovery.c - what is there: tags of a repository, repositories, referrers of a manifest.
 */
#include "base/uri.h"
#include "registry/routes.h"

#define PAGE_MAX 10000
#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"

static bool
only_get(struct call *c, const char *what, struct err *err)
{
    return str_is(c->x->method, "GET") || str_is(c->x->method, "HEAD") ||
           err_set(err, ERR_REGISTRY_UNSUPPORTED, "the list of %s knows GET only", what);
}

/* ---- pages of names ---- */

struct page {
    int64_t count;
    const char *last; /* begin behind this name; or NULL */
    struct json *names;
    const char *next; /* go on behind this name; NULL: that was all */
};

static bool
page_read(struct call *c, struct reply *r, struct page *out, struct err *err)
{
    const char *n = call_query(c, "n");

    *out = (struct page){.count = PAGE_MAX, .last = call_query(c, "last")};
    if (n != NULL && (!str_to_i64(str_of(n), &out->count) || out->count < 0))
        return err_set(err, ERR_INVALID_PARAMETER, "the query's 'n' is no number of names");
    if (out->count > PAGE_MAX) {
        out->count = PAGE_MAX;
        reply_header(r, "Warning", "299 - \"n is at most 10000; follow the Link header\"");
    }
    out->names = json_array(); /* the answer's, which frees it */
    return true;
}

/* `all` is in order. */
static void
page_fill(struct call *c, struct page *page, const struct json *all,
          bool (*takes)(struct call *c, const char *name))
{
    const char *previous = NULL;

    for (size_t i = 0; i < json_size(all); i++) {
        const char *name = json_cstr(json_at(all, i), "");
        if ((page->last != NULL && strcmp(name, page->last) <= 0) || !takes(c, name))
            continue;
        if ((int64_t)json_size(page->names) >= page->count) {
            page->next = previous;
            return;
        }
        json_append(page->names, json_text(name));
        previous = name;
    }
}

static void
page_send(struct call *c, struct reply *r, const struct page *page, const struct json *answer,
          const char *path)
{
    cleanup(strbuf_done) struct strbuf encoded = {0};
    cleanup_free char *text = json_format(answer);

    if (page->next != NULL) {
        uri_encode(&encoded, str_of(page->next), /* keep_slash= */ false);
        reply_header(r, "Link",
                     arena_format(&c->x->arena, "<%s?last=%s&n=%lld>; rel=\"next\"", path,
                                  strbuf_cstr(&encoded), (long long)page->count));
    }
    reply_header(r, "Content-Type", "application/json; charset=utf-8");
    reply_send(c, r, 200, str_of(text));
}

static bool
is_tag(struct call *c, const char *name)
{
    (void)c;
    return tag_is_valid(str_of(name));
}

bool
tags_end(struct call *c, struct err *err)
{
    cleanup_free char *path = repository_path(c->reg, c->region, c->repository, "_tags");
    cleanup_json struct json *all = NULL, *answer = json_object();
    struct reply r = {0};
    struct page page;

    if (!only_get(c, "tags", err) || !page_read(c, &r, &page, err))
        return false;
    json_set(answer, "name", json_str(c->route.name));
    json_set(answer, "tags", page.names);
    if (!disk_list(path, &all, err))
        return false;
    page_fill(c, &page, all, is_tag);
    page_send(c, &r, &page, answer,
              arena_format(&c->x->arena, "/v2/" STR_FMT "/tags/list", STR_ARG(c->route.name)));
    return true;
}

static bool
may_pull(struct call *c, const char *name)
{
    return (visitor_may(c->reg, &c->visitor, c->region, name) & VISIT_PULL) != 0;
}

bool
catalog_end(struct call *c, struct err *err)
{
    cleanup_json struct json *all = NULL, *answer = json_object();
    struct reply r = {0};
    struct page page;

    if (!only_get(c, "repositories", err) || !page_read(c, &r, &page, err))
        return false;
    json_set(answer, "repositories", page.names);
    if (!registry_repository_list(c->reg, c->region, &all, err))
        return false;
    page_fill(c, &page, all, may_pull);
    page_send(c, &r, &page, answer, "/v2/_catalog");
    return true;
}

/* ---- referrers ---- */

static void
referrers_link(struct call *c, struct reply *r, const char *artifact_type, const char *last)
{
    cleanup(strbuf_done) struct strbuf type = {0};

    if (artifact_type != NULL)
        uri_encode(&type, str_of(artifact_type), /* keep_slash= */ false);
    reply_header(r, "Link",
                 arena_format(&c->x->arena,
                              "</v2/" STR_FMT "/referrers/%s?last=%s%s%s>; rel=\"next\"",
                              STR_ARG(c->route.name), c->argument, last,
                              artifact_type ? "&artifactType=" : "", strbuf_cstr(&type)));
}

bool
referrers_end(struct call *c, struct err *err)
{
    cleanup(registry_referrers_done) struct registry_referrers page = {0};
    const char *artifact_type = call_query(c, "artifactType");
    struct reply r = {0};

    if (!only_get(c, "referrers", err) ||
        !registry_referrers(c->reg, c->region, c->repository, c->argument, artifact_type, /* archived_too= */ false,
                            call_query(c, "last"), &page, err))
        return false;
    cleanup_json struct json *index = json_object();
    json_set(index, "schemaVersion", json_int(2));
    json_set(index, "mediaType", json_text(INDEX_TYPE));
    json_set(index, "manifests", json_ref(page.descriptors));
    cleanup_free char *text = json_format(index);
    if (page.has_more)
        referrers_link(c, &r, artifact_type, page.last);
    if (artifact_type != NULL)
        reply_header(&r, "OCI-Filters-Applied", "artifactType");
    reply_header(&r, "Content-Type", INDEX_TYPE);
    reply_send(c, &r, 200, str_of(text));
    return true;
}
