/* SPDX-License-Identifier: MIT */
#include "registry/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/random.h"
#include "io/file.h"
#include "io/flush.h"
#include "model/image_ref.h"
#include "registry/internal.h"
#include "registry/mirror/pull_through.h"
#include "registry/reference.h"
#include "registry/mirror/replication.h"
#include "registry/scan/scan.h"

#define BLOB_LIMIT_DEFAULT (32LL << 30)
#define UPLOAD_IDLE_MS 60000

static bool
key_load(struct registry *reg, struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};

    if (disk_is_absent(reg->key_path)) {
        unsigned char key[sizeof reg->key];
        random_bytes(key, sizeof key);
        if (!file_write_atomic(reg->key_path, (struct str){(const char *)key, sizeof key}, 0600,
                               err))
            return false;
    }
    if (!file_read(reg->key_path, sizeof reg->key + 1, &bytes, err))
        return false;
    if (bytes.len != sizeof reg->key)
        return err_set(err, ERR_INTERNAL,
                       "'%s' does not hold a key of %zu bytes; remove it for a new one",
                       reg->key_path, sizeof reg->key);
    memcpy(reg->key, bytes.at, sizeof reg->key);
    return true;
}

/* Two processes would empty each other's uploads. */
static bool
lock_take(struct registry *reg, struct err *err)
{
    reg->lock_fd = open(reg->root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (reg->lock_fd < 0)
        return err_errno(err, "cannot open '%s'", reg->root_dir);
    if (file_lock(reg->lock_fd))
        return true;
    if (errno == EWOULDBLOCK)
        return err_set(err, ERR_INTERNAL, "another process has the registry in '%s' open",
                       reg->root_dir);
    return err_errno(err, "cannot lock '%s'", reg->root_dir);
}

static bool
open_in(struct registry *reg, const char *data_dir, struct err *err)
{
    return file_make_dirs(reg->blobs_dir, 0750, err) && file_make_dirs(reg->root_dir, 0750, err) &&
           lock_take(reg, err) && blob_folders_make(reg, "sha256", err) &&
           file_make_dirs(reg->uploads_dir, 0750, err) && uploads_open(reg, err) &&
           key_load(reg, err) && file_sync_dir(data_dir, err);
}

struct registry *
registry_open(const char *data_dir, const char *account_id, const char *default_region,
              struct err *err)
{
    struct registry *reg = mem_new(sizeof *reg);

    reg->account_id = account_id;
    reg->default_region = default_region;
    reg->root_principal = text_format("arn:aws:iam::%s:root", account_id);
    reg->key_path = text_format("%s/registry.key", data_dir);
    reg->blobs_dir = text_format("%s/blobs", data_dir);
    reg->uploads_dir = text_format("%s/blobs/uploads", data_dir);
    reg->root_dir = text_format("%s/registry", data_dir);
    reg->lock_fd = -1;
    atomic_init(&reg->open_failed_ms, OPEN_FAILED_NEVER);
    reg->blob_limit = BLOB_LIMIT_DEFAULT;
    reg->upload_idle_ms = UPLOAD_IDLE_MS;
    reg->replication_limit = REPLICATION_QUEUE_MAX;
    reg->scan_limit = SCAN_QUEUE_MAX;
    registry_set_host(reg, "localhost:4566");
    reg->flusher = flusher_new();
    reg->places = places_new();
    reg->tokens = tokens_new();
    collector_init(reg);
    pthread_mutex_init(&reg->tree_lock, NULL);
    pthread_mutex_init(&reg->folders_lock, NULL);
    pthread_mutex_init(&reg->uploads_lock, NULL);
    pthread_mutex_init(&reg->views_lock, NULL);
    pthread_mutex_init(&reg->open_lock, NULL);
    pthread_mutex_init(&reg->quota_lock, NULL);
    pthread_rwlock_init(&reg->collect_lock, NULL);
    for (int i = 0; i < REPOSITORY_LOCKS; i++)
        pthread_mutex_init(&reg->repository_locks[i], NULL);
    for (int i = 0; i < BLOB_LOCKS; i++)
        pthread_mutex_init(&reg->blob_locks[i], NULL);
    if (region_is_valid(str_of(default_region))
            ? open_in(reg, data_dir, err)
            : err_set(err, ERR_INVALID_PARAMETER, "'%s' is no region", default_region))
        return reg;
    registry_close(reg);
    err_context(err, "cannot open the registry");
    return NULL;
}

void
registry_close(struct registry *reg)
{
    if (reg == NULL)
        return;
    pull_through_stop(reg->pull);
    replicator_stop(reg->replicator);
    scanner_stop(reg->scanner);
    collector_done(reg);
    uploads_close(reg);
    if (reg->lock_fd >= 0)
        close(reg->lock_fd);
    pthread_mutex_destroy(&reg->tree_lock);
    pthread_mutex_destroy(&reg->folders_lock);
    pthread_mutex_destroy(&reg->uploads_lock);
    pthread_mutex_destroy(&reg->views_lock);
    pthread_mutex_destroy(&reg->open_lock);
    flusher_free(reg->flusher);
    places_free(reg->places);
    tokens_free(reg->tokens);
    quotas_free(reg);
    pthread_mutex_destroy(&reg->quota_lock);
    pthread_rwlock_destroy(&reg->collect_lock);
    for (int i = 0; i < REPOSITORY_LOCKS; i++)
        pthread_mutex_destroy(&reg->repository_locks[i]);
    for (int i = 0; i < BLOB_LOCKS; i++)
        pthread_mutex_destroy(&reg->blob_locks[i]);
    explicit_bzero(reg->key, sizeof reg->key);
    free(reg->root_principal);
    free(reg->key_path);
    free(reg->blobs_dir);
    free(reg->uploads_dir);
    free(reg->root_dir);
    free(reg);
}

void
registry_set_host(struct registry *reg, const char *host)
{
    text_copy_all(reg->host, sizeof reg->host, host);
}

void
registry_set_in_use(struct registry *reg, registry_in_use *in_use, void *ctx)
{
    reg->in_use = in_use;
    reg->in_use_ctx = ctx;
}

void
registry_set_pushed(struct registry *reg, registry_pushed *pushed, void *ctx)
{
    reg->pushed = pushed;
    reg->pushed_ctx = ctx;
}

void
registry_set_access(struct registry *reg, struct access_keys *keys, struct guard *guard,
                    struct audit *audit)
{
    reg->keys = keys;
    reg->guard = guard;
    reg->audit = audit;
}

/* ---- images by name ---- */

/* Is `host` an address that our own server answers on? Only the port of registry_set_host() counts.
 */
static bool
host_is_ours(const struct registry *reg, struct str host)
{
    struct str own = str_of(reg->host);

    if (str_equal(host, own))
        return true;
    ptrdiff_t own_colon = str_rindex(own, ':'), colon = str_rindex(host, ':');
    if (own_colon < 0 || colon < 0)
        return false;
    struct str name = str_slice(host, 0, (size_t)colon);
    return (str_is(name, "localhost") || str_is(name, "127.0.0.1") || str_is(name, "[::1]")) &&
           str_equal(str_slice(host, (size_t)colon + 1, host.len),
                     str_slice(own, (size_t)own_colon + 1, own.len));
}

/* Takes "<account>.dkr.ecr.<region>.amazonaws.com" off the front of `*rest`, if it is there. */
static bool
region_cut(struct str *rest, struct str *region_out)
{
    const ptrdiff_t slash = str_index(*rest, '/');

    if (slash < 0 || !ecr_host_parse(str_slice(*rest, 0, (size_t)slash), region_out))
        return false;
    *rest = str_slice(*rest, (size_t)slash + 1, rest->len);
    return true;
}

bool
registry_name_split(const struct registry *reg, struct str name, struct str *region_out,
                    struct str *repository_out)
{
    *region_out = str_of(reg->default_region);
    region_cut(&name, region_out);
    *repository_out = name;
    return name_is_valid(name);
}

bool
registry_parse_image(const struct registry *reg, struct str image, struct registry_image *out)
{
    struct str region = str_of(reg->default_region), rest = image, tag = {0}, digest = {0};

    if (image.len >= REGISTRY_IMAGE_SIZE)
        return false;
    if (!region_cut(&rest, &region)) {
        ptrdiff_t slash = str_index(rest, '/');
        if (slash < 0 || !host_is_ours(reg, str_slice(rest, 0, (size_t)slash)))
            return false;
        rest = str_slice(rest, (size_t)slash + 1, rest.len);
        region_cut(&rest, &region);
    }
    ptrdiff_t at = str_index(rest, '@');
    if (at >= 0) {
        digest = str_slice(rest, (size_t)at + 1, rest.len);
        rest = str_slice(rest, 0, (size_t)at);
        if (!digest_is_valid(digest))
            return false;
    }
    ptrdiff_t colon = str_index(rest, ':');
    if (colon >= 0) {
        tag = str_slice(rest, (size_t)colon + 1, rest.len);
        rest = str_slice(rest, 0, (size_t)colon);
        if (!tag_is_valid(tag))
            return false;
    } else if (at < 0) {
        tag = STR("latest");
    }
    if (!name_is_valid(rest))
        return false;
    return text_copy(out->region, sizeof out->region, region) &&
           text_copy(out->repository, sizeof out->repository, rest) &&
           text_copy(out->tag, sizeof out->tag, tag) &&
           text_copy(out->digest, sizeof out->digest, digest);
}

void
registry_repository_uri(const struct registry *reg, const char *region, const char *name,
                        char out[static REGISTRY_IMAGE_SIZE])
{
    const bool is_home = strcmp(region, reg->default_region) == 0;
    cleanup_free char *host = is_home ? NULL : image_ref_ecr_host_of(str_of(reg->account_id), str_of(region));

    snprintf(out, REGISTRY_IMAGE_SIZE, "%s/%s%s%s", reg->host, is_home ? "" : host, is_home ? "" : "/", name);
}
