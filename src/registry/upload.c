/* SPDX-License-Identifier: MIT */
/* upload.c - bytes on their way in: hashed and written as they arrive, invisible until finished.
 * Uploads live in memory and in uploads/; neither outlives the process, and clients start over. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/random.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/reference.h"

#define UPLOADS_MAX 512
#define UPLOAD_AGE_MAX_MS (24LL * 3600 * 1000)
#define BUSY_WAIT_MS 1000
#define WRITE_BACK_BYTES (8LL << 20)

static void
upload_free(struct upload *u)
{
    if (u == NULL)
        return;
    if (u->fd >= 0)
        close(u->fd);
    sha256_free(u->hash);
    free(u->path);
    free(u);
}

bool
upload_start(struct registry *reg, const char *region, const char *repository, struct upload **out,
             struct err *err)
{
    upload_expire(reg, UPLOAD_AGE_MAX_MS);
    struct upload *u = mem_new(sizeof *u);
    random_uuid(u->id);
    snprintf(u->region, sizeof u->region, "%s", region);
    snprintf(u->repository, sizeof u->repository, "%s", repository);
    u->path = text_format("%s/%s", reg->uploads_dir, u->id);
    u->hash = sha256_new();
    u->last_ms = clock_monotonic_ms();
    u->busy = true;
    u->fd = open(u->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (u->fd < 0) {
        err_errno(err, "cannot create an upload in '%s'", reg->uploads_dir);
        upload_free(u);
        return false;
    }
    pthread_mutex_lock(&reg->uploads_lock);
    bool has_room = reg->upload_count < UPLOADS_MAX;
    if (has_room) {
        u->next = reg->uploads;
        reg->uploads = u;
        reg->upload_count++;
    }
    pthread_mutex_unlock(&reg->uploads_lock);
    if (!has_room) {
        unlink(u->path);
        upload_free(u);
        return err_set(err, ERR_THROTTLING, "more than %d uploads are under way", UPLOADS_MAX);
    }
    *out = u;
    return true;
}

enum take { TAKE_NONE, TAKE_BUSY, TAKE_DONE };

static enum take
take_once(struct registry *reg, const char *region, const char *repository, struct str id,
          struct upload **out)
{
    enum take result = TAKE_NONE;

    pthread_mutex_lock(&reg->uploads_lock);
    for (struct upload *u = reg->uploads; u != NULL; u = u->next) {
        if (!str_is(id, u->id) || strcmp(u->region, region) != 0 ||
            strcmp(u->repository, repository) != 0)
            continue;
        result = u->busy ? TAKE_BUSY : TAKE_DONE;
        u->busy = true;
        *out = u;
    }
    pthread_mutex_unlock(&reg->uploads_lock);
    return result;
}

bool
upload_take(struct registry *reg, const char *region, const char *repository, struct str id,
            struct upload **out, struct err *err)
{
    struct upload *u = NULL;
    enum take result = take_once(reg, region, repository, id, &u);

    /* A client whose connection broke comes back before we have noticed. */
    for (int i = 0; result == TAKE_BUSY && i < BUSY_WAIT_MS / 10; i++) {
        clock_sleep_ms(10);
        result = take_once(reg, region, repository, id, &u);
    }
    if (result == TAKE_BUSY)
        return err_set(err, ERR_BLOB_UPLOAD_INVALID, "another request is writing to this upload");
    if (result == TAKE_NONE)
        return err_set(err, ERR_BLOB_UPLOAD_UNKNOWN, "there is no such upload in this repository");
    *out = u;
    return true;
}

bool
upload_add(struct registry *reg, struct upload *u, struct str data, struct err *err)
{
    if ((int64_t)data.len > reg->blob_limit - u->size)
        return err_set(err, ERR_SIZE_INVALID, "the blob is larger than the limit of %lld bytes",
                       (long long)reg->blob_limit);
    if (!file_write_all(u->fd, data, err))
        return err_context(err, "cannot store the upload");
    sha256_add(u->hash, data.at, data.len);
    u->size += (int64_t)data.len;
    /* Lets the disk work while the rest arrives, so that the flush at the end has little to do. */
    if (u->size - u->flushed >= WRITE_BACK_BYTES) {
        sync_file_range(u->fd, u->flushed, u->size - u->flushed, SYNC_FILE_RANGE_WRITE);
        u->flushed = u->size;
    }
    return true;
}

/* The algorithm is known at the end only, and is nearly always the other one: the file is read once
 * more. */
static bool
upload_check_sha512(struct upload *u, struct str digest, struct err *err)
{
    enum { CHUNK = 1 << 20 };
    cleanup_close int fd = open(u->path, O_RDONLY | O_CLOEXEC);
    cleanup_free char *chunk = mem_new(CHUNK);
    char hex[SHA512_HEX + 1];
    ssize_t got = -1;

    if (fd < 0)
        return err_errno(err, "cannot read an upload again");
    struct sha512 *hash = sha512_new();
    while ((got = read(fd, chunk, CHUNK)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0)
            sha512_add(hash, chunk, (size_t)got);
    sha512_finish_hex(hash, hex);
    if (got < 0)
        return err_errno(err, "cannot read an upload again");
    return str_is(digest_hex(digest), hex) ||
           err_set(err, ERR_DIGEST_INVALID,
                   "the content's digest is 'sha512:%.24s...', not '" STR_FMT "'", hex,
                   STR_ARG(digest));
}

static bool
upload_check(struct upload *u, struct str digest, struct err *err)
{
    unsigned char hash[SHA256_LEN];
    char hex[SHA256_HEX + 1];

    sha256_finish(u->hash, hash);
    hex_encode(hash, sizeof hash, hex);
    if (str_starts(digest, STR("sha512:")))
        return upload_check_sha512(u, digest, err);
    return str_is(digest_hex(digest), hex) ||
           err_set(err, ERR_DIGEST_INVALID,
                   "the content's digest is 'sha256:%s', not '" STR_FMT "'", hex, STR_ARG(digest));
}

bool
upload_finish(struct registry *reg, struct upload *u, struct str digest, struct err *err)
{
    cleanup_free char *blob = blob_path(reg, digest);
    cleanup_free char *link = layer_path(reg, u->region, u->repository, digest);
    /* Both names in one go: a link whose blob a power cut took is one to nothing, and unknown. */
    bool done = upload_check(u, digest, err) &&
                repository_check(reg, u->region, u->repository, err) &&
                blob_commit(reg, u->fd, u->path, u->size, digest, err) &&
                layer_link(reg, u->region, u->repository, digest, err) &&
                disk_flush_parents((const char *const[]){blob, link}, 2, err);
    upload_discard(reg, u);
    return done;
}

void
upload_release(struct registry *reg, struct upload *u)
{
    pthread_mutex_lock(&reg->uploads_lock);
    u->busy = false;
    u->last_ms = clock_monotonic_ms();
    pthread_mutex_unlock(&reg->uploads_lock);
}

static void
upload_unlink(struct registry *reg, struct upload *u)
{
    for (struct upload **at = &reg->uploads; *at != NULL; at = &(*at)->next) {
        if (*at != u)
            continue;
        *at = u->next;
        reg->upload_count--;
        return;
    }
}

void
upload_discard(struct registry *reg, struct upload *u)
{
    pthread_mutex_lock(&reg->uploads_lock);
    upload_unlink(reg, u);
    pthread_mutex_unlock(&reg->uploads_lock);
    unlink(u->path); /* after success the name is gone already */
    upload_free(u);
}

void
upload_expire(struct registry *reg, int64_t age_ms)
{
    const int64_t now_ms = clock_monotonic_ms();
    struct upload *stale = NULL;

    pthread_mutex_lock(&reg->uploads_lock);
    for (struct upload *u = reg->uploads, *next; u != NULL; u = next) {
        next = u->next;
        if (u->busy || now_ms - u->last_ms < age_ms)
            continue;
        upload_unlink(reg, u);
        u->next = stale;
        stale = u;
    }
    pthread_mutex_unlock(&reg->uploads_lock);
    while (stale != NULL) {
        struct upload *next = stale->next;
        unlink(stale->path);
        upload_free(stale);
        stale = next;
    }
}

bool
upload_is_going_on(struct registry *reg, const char *region, const char *repository)
{
    bool found = false;

    pthread_mutex_lock(&reg->uploads_lock);
    for (struct upload *u = reg->uploads; u != NULL; u = u->next)
        found |= strcmp(u->region, region) == 0 && strcmp(u->repository, repository) == 0;
    pthread_mutex_unlock(&reg->uploads_lock);
    return found;
}
