/* SPDX-License-Identifier: MIT */
/* layer.c - layers by ECR's API: uploads part by part, and paths that hand out one layer for a
 * while.
 * "/naru/layers/<region>/<digest>?repository=R&expires=<seconds>&signature=<hmac>": the signature
 * covers all of it, so nobody gets another layer or another hour; that it still belongs to the
 * repository is asked when it is fetched. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/uri.h"
#include "io/access_keys.h"
#include "registry/internal.h"
#include "registry/reference.h"

#define PREFIX "/naru/layers/"

/* ---- uploads ---- */

bool
registry_upload_start(struct registry *reg, const char *region, const char *repository,
                      const char *owner, char id_out[static REGISTRY_UPLOAD_ID_SIZE],
                      struct err *err)
{
    struct upload *u = NULL;

    if (!repository_check(reg, region, repository, err) ||
        !upload_start(reg, region, repository, owner, &u, err))
        return false;
    snprintf(id_out, REGISTRY_UPLOAD_ID_SIZE, "%s", u->id);
    upload_release(reg, u);
    return true;
}

static bool
take(struct registry *reg, const char *region, const char *repository, const char *id,
     struct upload **out, struct err *err)
{
    if (!repository_check(reg, region, repository, err))
        return false;
    if (upload_take(reg, region, repository, str_of(id), out, err))
        return true;
    if (err != NULL && err->code == ERR_BLOB_UPLOAD_UNKNOWN)
        return err_set(
            err, ERR_UPLOAD_NOT_FOUND,
            "The upload with id '%s' in the repository with name '%s' in registry with id "
            "'%s' does not exist",
            id, repository, reg->account_id);
    if (err != NULL && err->code == ERR_BLOB_UPLOAD_INVALID)
        err->code = ERR_INVALID_LAYER_PART;
    return false;
}

static bool
part_check(const struct upload *u, int64_t first, struct str bytes, struct err *err)
{
    if (first != u->size)
        return err_set(
            err, ERR_INVALID_LAYER_PART,
            "The first byte of the layer part is %lld, which does not follow the last byte "
            "received, %lld",
            (long long)first, (long long)u->size - 1);
    if (bytes.len > REGISTRY_PART_MAX)
        return err_set(err, ERR_INVALID_LAYER_PART,
                       "A layer part has at most %d bytes, this one %zu", REGISTRY_PART_MAX,
                       bytes.len);
    return bytes.len > 0 || err_set(err, ERR_INVALID_LAYER_PART, "The layer part is empty");
}

bool
registry_upload_part(struct registry *reg, const char *region, const char *repository,
                     const char *id, int64_t first, struct str bytes, int64_t *last_out,
                     struct err *err)
{
    struct upload *u = NULL;

    *last_out = -1;
    if (!take(reg, region, repository, id, &u, err))
        return false;
    bool done = part_check(u, first, bytes, err);
    if (done && !upload_add(reg, u, bytes, err)) {
        upload_discard(reg, u); /* the file and the hash may have parted */
        if (err != NULL && err->code == ERR_SIZE_INVALID)
            err->code = ERR_LIMIT_EXCEEDED;
        return false;
    }
    if (done) {
        u->part_is_missing_bytes |= u->part_was_small;
        u->part_was_small = bytes.len < REGISTRY_PART_MIN;
    }
    *last_out = u->size - 1;
    upload_release(reg, u);
    return done;
}

static bool
completion_check(struct registry *reg, const struct upload *u, const char *digest, struct err *err)
{
    if (u->part_is_missing_bytes)
        return err_set(err, ERR_LAYER_PART_TOO_SMALL,
                       "A layer part other than the last one has fewer than %d bytes",
                       REGISTRY_PART_MIN);
    if (registry_layer_find(reg, u->region, u->repository, digest, NULL))
        return err_set(
            err, ERR_LAYER_EXISTS,
            "The layer with digest '%s' already exists in the repository with name '%s' in "
            "registry with id '%s'",
            digest, u->repository, reg->account_id);
    return true;
}

bool
registry_upload_complete(struct registry *reg, const char *region, const char *repository,
                         const char *id, const char *digest, struct err *err)
{
    struct upload *u = NULL;

    if (!digest_is_valid(str_of(digest)))
        return err_set(err, ERR_INVALID_LAYER, "'%.140s' is no digest of a layer", digest);
    if (!take(reg, region, repository, id, &u, err))
        return false;
    if (u->size == 0) {
        upload_release(reg, u);
        return err_set(err, ERR_EMPTY_UPLOAD,
                       "The upload with id '%s' does not contain any layer parts", id);
    }
    if (!completion_check(reg, u, digest, err)) {
        upload_discard(reg, u);
        return false;
    }
    if (upload_finish(reg, u, str_of(digest), err))
        return true;
    if (err != NULL && err->code == ERR_DIGEST_INVALID)
        err->code = ERR_INVALID_LAYER;
    return false;
}

bool
registry_layer_find(struct registry *reg, const char *region, const char *repository,
                    const char *digest, int64_t *size_out)
{
    return digest_is_valid(str_of(digest)) &&
           layer_is_linked(reg, region, repository, str_of(digest)) &&
           blob_touch(reg, str_of(digest), size_out);
}

/* ---- downloads ---- */

static void
sign(const struct registry *reg, const char *region, const char *repository, const char *digest,
     const char *key_id, int64_t expires_s, char out[static SHA256_HEX + 1])
{
    unsigned char mac[SHA256_LEN];
    cleanup_free char *text = text_format("layer\n%s\n%s\n%s\n%s\n%lld", region, repository, digest,
                                          key_id, (long long)expires_s);

    hmac_sha256((struct str){(const char *)reg->key, sizeof reg->key}, str_of(text), mac);
    hex_encode(mac, sizeof mac, out);
}

void
registry_layer_path(struct registry *reg, const char *region, const char *repository,
                    const char *digest, const char *key_id, int64_t now_ms, struct strbuf *out)
{
    const int64_t expires_s = (now_ms + REGISTRY_DOWNLOAD_LIFE_MS) / 1000;
    cleanup(strbuf_done) struct strbuf name = {0};
    char signature[SHA256_HEX + 1];

    sign(reg, region, repository, digest, key_id, expires_s, signature);
    uri_encode(&name, str_of(repository), /* keep_slash= */ true);
    strbuf_addf(out, PREFIX "%s/%s?repository=%s&key=", region, digest, strbuf_cstr(&name));
    uri_encode(out, str_of(key_id), /* keep_slash= */ false);
    strbuf_addf(out, "&expires=%lld&signature=%s", (long long)expires_s, signature);
}

struct download {
    char region[REGISTRY_REGION_SIZE], digest[REGISTRY_DIGEST_SIZE], repository[REGISTRY_NAME_SIZE];
    char key_id[64]; /* who asked for the URL: it is worth nothing without him */
    int64_t expires_s;
};

/* What the path and query say, once their signature is ours. */
static bool
download_read(const struct registry *reg, const struct http_exchange *x, struct download *d)
{
    cleanup(strbuf_done) struct strbuf repository = {0}, key = {0}, expires = {0}, signature = {0};
    char expected[SHA256_HEX + 1];
    struct str rest = str_slice(x->path, sizeof PREFIX - 1, x->path.len), region;

    if (!str_split(&rest, '/', &region) || !digest_is_valid(rest) || !region_is_valid(region) ||
        !uri_query_get(x->query, "repository", &repository) ||
        !uri_query_get(x->query, "key", &key) || !uri_query_get(x->query, "expires", &expires) ||
        !uri_query_get(x->query, "signature", &signature) ||
        !str_to_i64(strbuf_str(&expires), &d->expires_s) ||
        !text_copy(d->region, sizeof d->region, region) ||
        !text_copy(d->key_id, sizeof d->key_id, strbuf_str(&key)) ||
        !text_copy(d->digest, sizeof d->digest, rest) || !name_is_valid(strbuf_str(&repository)) ||
        !text_copy(d->repository, sizeof d->repository, strbuf_str(&repository)))
        return false;
    sign(reg, d->region, d->repository, d->digest, d->key_id, d->expires_s, expected);
    return crypto_equal(strbuf_str(&signature), (struct str){expected, SHA256_HEX});
}

static void
download_refuse(struct http_exchange *x, int status, const char *why)
{
    static const struct http_header headers[] = {{"Content-Type", "text/plain; charset=utf-8"},
                                                 {NULL, NULL}};
    http_reply(x, status, headers, str_of(why));
}

static void
download_send(struct registry *reg, struct http_exchange *x, const struct download *d, int64_t size)
{
    cleanup_free char *path = blob_path(reg, str_of(d->digest));
    int64_t first = 0, count = size;
    enum range_kind kind = range_parse(http_header_get(x, "Range"), size, &first, &count);
    const char *span = "";

    if (kind == RANGE_UNSATISFIABLE) {
        const struct http_header headers[] = {
            {"Content-Range", arena_format(&x->arena, "bytes */%lld", (long long)size)},
            {NULL, NULL}};
        http_reply(x, 416, headers, (struct str){0});
        return;
    }
    if (kind == RANGE_PART)
        span = arena_format(&x->arena, "bytes %lld-%lld/%lld", (long long)first,
                            (long long)(first + count - 1), (long long)size);
    const struct http_header headers[] = {{"Content-Type", "application/octet-stream"},
                                          {"Accept-Ranges", "bytes"},
                                          {"Content-Range", span},
                                          {NULL, NULL}};
    const int fd = str_is(x->method, "HEAD") ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && !str_is(x->method, "HEAD"))
        download_refuse(x, 404, "the layer is gone\n");
    else
        http_reply_file(x, kind == RANGE_PART ? 206 : 200, headers, fd, first,
                        kind == RANGE_PART ? count : size);
}

static bool
key_is_there(const struct registry *reg, const struct download *d)
{
    struct access_key key;

    return reg->keys == NULL || access_keys_find(reg->keys, str_of(d->key_id), &key);
}

static void
download_end(struct http_exchange *x, void *ctx)
{
    struct registry *reg = ctx;
    struct download d;
    int64_t size;

    if (!str_is(x->method, "GET") && !str_is(x->method, "HEAD"))
        download_refuse(x, 405, "a layer knows GET and HEAD\n");
    else if (!download_read(reg, x, &d))
        download_refuse(x, 403, "the URL is not one that GetDownloadUrlForLayer gave out\n");
    else if (clock_wall_ms() / 1000 >= d.expires_s)
        download_refuse(x, 403, "the URL has expired; ask GetDownloadUrlForLayer for a new one\n");
    else if (!key_is_there(reg, &d))
        download_refuse(x, 403, "the access key with which the URL was asked for is no more\n");
    else if (!registry_layer_find(reg, d.region, d.repository, d.digest, &size))
        download_refuse(x, 404, "the layer is not in the repository any more\n");
    else
        download_send(reg, x, &d, size);
}

struct http_route
registry_download_route(struct registry *reg)
{
    return (struct http_route){.prefix = PREFIX, .end = download_end, .ctx = reg};
}
