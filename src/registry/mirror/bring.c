/* SPDX-License-Identifier: MIT */
#include "registry/mirror/bring.h"

#include "base/json.h"

#define INDEX_DEPTH_MAX 3

struct trip {
    const struct bringing *b;
    struct json *brought; /* manifests, as members: an index may name one thousands of times, and so may the one above it */
};

static bool manifest_bring(const struct trip *t, const char *digest, int depth, struct err *err);

static bool
reference_bring(const struct trip *t, const struct manifest_reference *r, int depth, struct err *err)
{
    char child[REGISTRY_DIGEST_SIZE];

    if (!t->b->is_manifest(t->b->ctx, r))
        return t->b->blob(t->b->ctx, r, err);
    return text_copy(child, sizeof child, r->digest) && manifest_bring(t, child, depth + 1, err);
}

static bool
manifest_bring(const struct trip *t, const char *digest, int depth, struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    cleanup(arena_done) struct arena arena = {0};
    const struct bringing *b = t->b;
    char type[REGISTRY_MEDIA_TYPE_SIZE];
    struct manifest m;

    if (json_get(t->brought, digest) != NULL ||
        (b->is_here != NULL && b->is_here(b->ctx, digest, depth == 0)))
        return true;
    if (depth > INDEX_DEPTH_MAX)
        return err_set(err, ERR_MANIFEST_INVALID, "indexes in indexes go on for ever");
    if (!b->read(b->ctx, digest, &bytes, type, err) ||
        !manifest_parse(strbuf_str(&bytes), str_of(type), &arena, &m, err))
        return false;
    for (size_t i = 0; i < m.reference_count; i++)
        if (!reference_bring(t, &m.references[i], depth, err))
            return false;
    if (!b->put(b->ctx, strbuf_str(&bytes), type, digest, depth == 0, err))
        return false;
    json_set(t->brought, digest, json_bool(true));
    return true;
}

bool
bring_image(const struct bringing *b, const char *digest, struct err *err)
{
    cleanup_json struct json *brought = json_object();
    const struct trip trip = {b, brought};

    return manifest_bring(&trip, digest, 0, err);
}
