/* SPDX-License-Identifier: MIT */
#include "registry/mirror/bring.h"

#define INDEX_DEPTH_MAX 3

static bool manifest_bring(const struct bringing *b, const char *digest, int depth, struct err *err);

static bool
reference_bring(const struct bringing *b, const struct manifest_reference *r, int depth, struct err *err)
{
    char child[REGISTRY_DIGEST_SIZE];

    if (!b->is_manifest(b->ctx, r))
        return b->blob(b->ctx, r, err);
    return text_copy(child, sizeof child, r->digest) && manifest_bring(b, child, depth + 1, err);
}

static bool
manifest_bring(const struct bringing *b, const char *digest, int depth, struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    cleanup(arena_done) struct arena arena = {0};
    char type[REGISTRY_MEDIA_TYPE_SIZE];
    struct manifest m;

    if (b->is_here != NULL && b->is_here(b->ctx, digest, depth == 0))
        return true;
    if (depth > INDEX_DEPTH_MAX)
        return err_set(err, ERR_MANIFEST_INVALID, "indexes in indexes go on for ever");
    if (!b->read(b->ctx, digest, &bytes, type, err) ||
        !manifest_parse(strbuf_str(&bytes), str_of(type), &arena, &m, err))
        return false;
    for (size_t i = 0; i < m.reference_count; i++)
        if (!reference_bring(b, &m.references[i], depth, err))
            return false;
    return b->put(b->ctx, strbuf_str(&bytes), type, digest, depth == 0, err);
}

bool
bring_image(const struct bringing *b, const char *digest, struct err *err)
{
    return manifest_bring(b, digest, 0, err);
}
