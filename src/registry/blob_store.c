/* SPDX-License-Identifier: MIT */
/* blob_store.c - bytes under their digest, once each. A blob that has a name is whole and durable.
 */
#include "registry/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "io/file.h"
#include "registry/reference.h"

char *
blob_path(const struct registry *reg, struct str digest)
{
    const struct str hex = digest_hex(digest);
    const struct str parts[] = {str_of(reg->blobs_dir), STR("/"), digest_algorithm(digest), STR("/"),
                                str_slice(hex, 0, 2), STR("/"), hex};

    return str_join(parts, ARRAY_COUNT(parts));
}

bool
blob_folders_make(struct registry *reg, const char *algorithm, struct err *err)
{
    cleanup_free char *root = text_format("%s/%s", reg->blobs_dir, algorithm);

    if (!file_make_dirs(root, 0750, err))
        return false;
    for (unsigned i = 0; i < 256; i++) {
        cleanup_free char *path = text_format("%s/%02x", root, i);
        if (mkdir(path, 0750) < 0 && errno != EEXIST)
            return err_errno(err, "cannot make '%s'", path);
    }
    return file_sync_dir(root, err) && file_sync_dir(reg->blobs_dir, err);
}

/* Those of sha512 come with its first blob: few ever push one, and each collection walks what is there. */
static bool
has_folders(struct registry *reg, struct str digest, struct err *err)
{
    bool ok = true;

    if (!str_is(digest_algorithm(digest), "sha512") || atomic_load(&reg->has_sha512))
        return true;
    pthread_mutex_lock(&reg->folders_lock); /* whoever finds them has to find them durable */
    if (!atomic_load(&reg->has_sha512)) {
        ok = blob_folders_make(reg, "sha512", err);
        atomic_store(&reg->has_sha512, ok);
    }
    pthread_mutex_unlock(&reg->folders_lock);
    return ok;
}

static bool
blob_stat(const char *path, struct stat *st)
{
    return stat(path, st) == 0 && S_ISREG(st->st_mode);
}

bool
blob_size(const struct registry *reg, struct str digest, int64_t *size_out)
{
    cleanup_free char *path = blob_path(reg, digest);
    struct stat st;

    if (!blob_stat(path, &st))
        return false;
    if (size_out != NULL)
        *size_out = st.st_size;
    return true;
}

/* A time to come is none: somebody has set the clock back since. */
static bool
was_touched(const struct stat *st)
{
    const int64_t age_ms = clock_wall_ms() - blob_time_ms(st);

    return age_ms >= 0 && age_ms < BLOB_TOUCH_MS;
}

bool
blob_touch(struct registry *reg, struct str digest, int64_t *size_out)
{
    cleanup_free char *path = blob_path(reg, digest);
    struct stat st;

    /* Under the lock, so that gc either sees the new time or has removed the blob already. */
    pthread_rwlock_rdlock(&reg->collect_lock);
    const bool is_there =
        blob_stat(path, &st) && (was_touched(&st) || utimensat(AT_FDCWD, path, NULL, 0) == 0);
    pthread_rwlock_unlock(&reg->collect_lock);
    if (is_there && size_out != NULL)
        *size_out = st.st_size;
    return is_there;
}

/* The lock keeps gc from removing an older file of that name after we have replaced it. */
static bool
name_blob(struct registry *reg, const char *temporary, const char *path, struct err *err)
{
    pthread_rwlock_rdlock(&reg->collect_lock);
    bool is_named =
        rename(temporary, path) == 0 || err_errno(err, "cannot name the blob '%s'", path);
    pthread_rwlock_unlock(&reg->collect_lock);
    return is_named;
}

bool
blob_name(struct registry *reg, struct str digest, struct disk_file *f, bool *is_new_out, struct err *err)
{
    *is_new_out = !file_exists(f->path);
    if (!has_folders(reg, digest, err) || !name_blob(reg, f->temporary, f->path, err))
        return false;
    free(TAKE(f->temporary));
    return true;
}

/* Durable before visible; and with a fresh time, however long the upload took. */
static bool
flush_and_name(struct registry *reg, int fd, const char *temporary, const char *path,
               struct err *err)
{
    if (futimens(fd, NULL) < 0 || fdatasync(fd) < 0)
        return err_errno(err, "cannot flush a blob");
    return name_blob(reg, temporary, path, err);
}

/* Who pushes the same at the same time waits, and finds it there. */
static pthread_mutex_t *
blob_lock(struct registry *reg, struct str digest)
{
    unsigned char first = 0;

    (void)hex_decode(str_slice(digest_hex(digest), 0, 2), &first);
    pthread_mutex_lock(&reg->blob_locks[first % BLOB_LOCKS]);
    return &reg->blob_locks[first % BLOB_LOCKS];
}

bool
blob_commit(struct registry *reg, int fd, const char *temporary, int64_t size, struct str digest,
            bool *is_new_out, struct err *err)
{
    cleanup_free char *path = blob_path(reg, digest);
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = blob_lock(reg, digest);
    int64_t existing = -1;

    /* Whoever brought it may not have flushed its name yet, so the caller does. */
    *is_new_out = !blob_touch(reg, digest, &existing);
    if (!*is_new_out && existing == size) {
        unlink(temporary);
        return true;
    }
    return has_folders(reg, digest, err) && flush_and_name(reg, fd, temporary, path, err);
}

bool
blob_read(struct registry *reg, struct str digest, struct strbuf *out, struct err *err)
{
    cleanup_free char *path = blob_path(reg, digest);
    return file_read(path, REGISTRY_MANIFEST_MAX, out, err);
}

bool
blob_read_whole(struct registry *reg, struct str digest, struct strbuf *out, struct err *err)
{
    return blob_read(reg, digest, out, err) &&
           (digest_is_of(digest, strbuf_str(out)) ||
            err_set(err, ERR_INTERNAL, "the bytes of the manifest '" STR_FMT "' are not those of its digest",
                    STR_ARG(digest)));
}
