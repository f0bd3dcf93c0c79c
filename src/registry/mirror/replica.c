/* SPDX-License-Identifier: MIT */
/* replica.c - one image to one other place: another region of this machine, or another registry. */
#include <fcntl.h>

#include "registry/manifest.h"
#include "registry/mirror/bring.h"
#include "registry/mirror/pull_through.h"
#include "registry/mirror/replication_internal.h"

/* Where it goes: `remote` is NULL for a region of this machine. */
struct place {
    struct registry *reg;
    const struct replica *image;
    const char *region;
    struct remote *remote;
    const struct json *tags; /* that the image has now */
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

/* Each blob and each image is a step; one call for the network gives up by itself. */
static bool
goes_on(const struct place *to, struct err *err)
{
    return !replicator_is_stopping(to->reg) || err_set(err, ERR_UNAVAILABLE, "naru is stopping");
}

static bool
blob_bring(void *ctx, const struct manifest_reference *r, struct err *err)
{
    const struct place *to = ctx;
    char digest[REGISTRY_DIGEST_SIZE];
    int64_t size;

    if (!goes_on(to, err))
        return false;
    if (!blob_touch(to->reg, r->digest, &size))
        return r->is_foreign || err_set(err, ERR_BLOB_UNKNOWN, "a blob of the image is gone");
    if (to->remote == NULL)
        return layer_is_linked(to->reg, to->region, to->image->repository, r->digest) ||
               layer_link(to->reg, to->region, to->image->repository, r->digest, err);
    return text_copy(digest, sizeof digest, r->digest) && blob_send(to, digest, err);
}

/* A registry without a list of referrers has one under a tag, which clients keep. */
static bool
manifest_send(const struct place *to, struct str bytes, const char *type, const char *digest,
              const char *tag, struct err *err)
{
    const char *repository = to->image->repository;
    bool knows_subject = true;

    return remote_manifest_put(to->remote, repository, tag ? tag : digest, bytes, type,
                               &knows_subject, err) &&
           (knows_subject || replica_referrer_note(to->remote, repository, bytes, type, digest, err));
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
        return manifest_send(to, bytes, type, digest, tag, err);
    return registry_manifest_put(to->reg, to->region, to->image->repository, &put, stored, err);
}

static bool
image_read(void *ctx, const char *digest, struct strbuf *bytes,
           char type[static REGISTRY_MEDIA_TYPE_SIZE], struct err *err)
{
    const struct place *to = ctx;
    char found[REGISTRY_DIGEST_SIZE];

    return registry_manifest_get(to->reg, to->image->region, to->image->repository, digest, bytes,
                                 found, type, err);
}

static bool
is_manifest(void *ctx, const struct manifest_reference *r)
{
    const struct place *to = ctx;
    return reference_is_manifest(to->reg, to->image->region, to->image->repository, r);
}

/* Links before the image that counts upon them. */
static bool
image_put(void *ctx, struct str bytes, const char *type, const char *digest, bool is_top, struct err *err)
{
    const struct place *to = ctx;
    const struct json *tags = is_top ? to->tags : NULL;

    if (!goes_on(to, err))
        return false;
    if (to->remote == NULL && !layers_flush(to->reg, to->region, to->image->repository, err))
        return false;
    for (size_t i = 0; i < json_size(tags); i++)
        if (!manifest_put(to, bytes, type, digest, json_cstr(json_at(tags, i), ""), err))
            return false;
    return json_size(tags) > 0 || manifest_put(to, bytes, type, digest, NULL, err);
}

static bool
image_bring(struct place *to, struct err *err)
{
    const struct bringing bringing = {to, NULL, image_read, is_manifest, blob_bring, image_put};
    cleanup_json struct json *described = NULL;

    if (!registry_image_get(to->reg, to->image->region, to->image->repository, to->image->digest,
                            &described, err))
        return false;
    to->tags = json_get(described, "tags");
    return bring_image(&bringing, to->image->digest, err);
}

bool
replica_link(struct registry *reg, const struct replica *image, const char *to_region,
             struct err *err)
{
    struct place to = {reg, image, to_region, NULL, NULL};

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
    struct place to = {reg, image, NULL, remote, NULL};
    return image_bring(&to, err);
}
