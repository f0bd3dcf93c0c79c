/* SPDX-License-Identifier: MIT */
/* replica.c - one image to one other place: another region of this machine, or another registry. */
#include <fcntl.h>

#include "registry/manifest.h"
#include "registry/mirror/pull_through.h"
#include "registry/mirror/replication_internal.h"

#define INDEX_DEPTH_MAX 3

/* Where it goes: `remote` is NULL for a region of this machine. */
struct place {
    struct registry *reg;
    const struct replica *image;
    const char *region;
    struct remote *remote;
};

static bool
blob_send(const struct place *to, const char *digest, struct err *err)
{
    cleanup_free char *path = blob_path(to->reg, str_of(digest));
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    int64_t size;
    bool is_there = false;

    if (fd < 0 || !blob_size(to->reg, str_of(digest), &size))
        return err_errno(err, "cannot read the blob '%s'", digest);
    if (!remote_blob_exists(to->remote, to->image->repository, digest, &is_there, err))
        return false;
    if (is_there)
        return true;
    return remote_blob_put(to->remote, to->image->repository, digest, fd, size, err);
}

static bool
blob_bring(const struct place *to, const struct manifest_reference *r, struct err *err)
{
    char digest[REGISTRY_DIGEST_SIZE];
    int64_t size;

    if (!blob_touch(to->reg, r->digest, &size))
        return r->is_foreign || err_set(err, ERR_BLOB_UNKNOWN, "a blob of the image is gone");
    if (to->remote == NULL)
        return layer_is_linked(to->reg, to->region, to->image->repository, r->digest) ||
               layer_link(to->reg, to->region, to->image->repository, r->digest, err);
    return text_copy(digest, sizeof digest, r->digest) && blob_send(to, digest, err);
}

static bool
manifest_put(const struct place *to, struct str bytes, const char *type, const char *digest,
             const char *tag, struct err *err)
{
    char stored[REGISTRY_DIGEST_SIZE];
    const struct registry_put put = {.manifest = bytes,
                                     .media_type = str_of(type),
                                     .tag = tag,
                                     .digest = digest,
                                     .is_replica = true};

    if (to->remote != NULL)
        return remote_manifest_put(to->remote, to->image->repository, tag ? tag : digest, bytes,
                                   type, err);
    return registry_manifest_put(to->reg, to->region, to->image->repository, &put, stored, err);
}

static bool
manifest_bring(const struct place *to, const char *digest, const struct json *tags, int depth,
               struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    cleanup(arena_done) struct arena arena = {0};
    char type[REGISTRY_MEDIA_TYPE_SIZE], found[REGISTRY_DIGEST_SIZE];
    struct manifest m;

    if (depth > INDEX_DEPTH_MAX)
        return err_set(err, ERR_MANIFEST_INVALID, "indexes in indexes go on for ever");
    if (!registry_manifest_get(to->reg, to->image->region, to->image->repository, digest, &bytes,
                               found, type, err) ||
        !manifest_parse(strbuf_str(&bytes), str_of(type), &arena, &m, err))
        return false;
    for (size_t i = 0; i < m.reference_count; i++) {
        const struct manifest_reference *r = &m.references[i];
        char child[REGISTRY_DIGEST_SIZE];
        const bool is_manifest =
            reference_is_manifest(to->reg, to->image->region, to->image->repository, r);
        if (is_manifest ? !text_copy(child, sizeof child, r->digest) ||
                              !manifest_bring(to, child, NULL, depth + 1, err)
                        : !blob_bring(to, r, err))
            return false;
    }
    /* Links before the image that counts upon them. */
    if (to->remote == NULL && !layers_flush(to->reg, to->region, to->image->repository, err))
        return false;
    for (size_t i = 0; i < json_size(tags); i++)
        if (!manifest_put(to, strbuf_str(&bytes), type, digest, json_cstr(json_at(tags, i), ""),
                          err))
            return false;
    return json_size(tags) > 0 || manifest_put(to, strbuf_str(&bytes), type, digest, NULL, err);
}

static bool
image_bring(const struct place *to, struct err *err)
{
    cleanup_json struct json *described = NULL;

    return registry_image_get(to->reg, to->image->region, to->image->repository, to->image->digest,
                              &described, err) &&
           manifest_bring(to, to->image->digest, json_get(described, "tags"), 0, err);
}

bool
replica_link(struct registry *reg, const struct replica *image, const char *to_region,
             struct err *err)
{
    const struct place to = {reg, image, to_region, NULL};

    return repository_ensure(reg, to_region, image->repository, "REPLICATION", err) &&
           image_bring(&to, err);
}

bool
replica_send(struct registry *reg, const struct replica *image, const struct json *registry,
             struct err *err)
{
    cleanup(remote_free_) struct remote *remote = NULL;
    struct pull_rule rule = {0};

    if (!text_copy(rule.credential_arn, sizeof rule.credential_arn,
                   str_of(json_get_cstr(registry, "credentialArn", ""))) ||
        !pull_url_read(json_get_cstr(registry, "url", ""), rule.url, sizeof rule.url, err) ||
        !pull_remote_open(reg, &rule, &remote, err))
        return false;
    remote_set_cancelled(remote, replicator_is_stopping, reg);
    const struct place to = {reg, image, NULL, remote};
    return image_bring(&to, err);
}
