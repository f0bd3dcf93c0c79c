/* SPDX-License-Identifier: MIT */
/* space.c - how much the registry may keep: a quota of the operator's, and the room on the disk
 * that naru's own state needs. What is on its way in counts as if it were there, so that no push
 * ends in an error that its beginning could have told. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "registry/internal.h"

#define DISK_RESERVE_MAX (64LL << 20)
#define LOOK_BYTES (4LL << 20)
#define DISK_RESERVE_PART 20 /* of a small disk: this part of it */

static bool
blobs_count(struct registry *reg, const char *algorithm, int64_t *size_out, struct err *err)
{
    for (unsigned i = 0; i < 256; i++) {
        cleanup_free char *folder = text_format("%s/%s/%02x", reg->blobs_dir, algorithm, i);
        cleanup_json struct json *names = NULL;
        if (!disk_list(folder, &names, err))
            return false;
        for (size_t n = 0; n < json_size(names); n++) {
            cleanup_free char *path =
                text_format("%s/%s", folder, json_cstr(json_at(names, n), ""));
            struct stat st;
            if (stat(path, &st) == 0)
                *size_out += st.st_size;
        }
    }
    return true;
}

bool
registry_set_quota(struct registry *reg, int64_t quota, struct err *err)
{
    int64_t size = 0;

    if (quota > 0 &&
        (!blobs_count(reg, "sha256", &size, err) || !blobs_count(reg, "sha512", &size, err)))
        return false;
    space_count(reg, size); /* uploads of an earlier run are counted already */
    reg->quota = quota;
    return true;
}

/* For `more` bytes, and for naru's own state behind them. */
static bool
disk_has_room(struct registry *reg, int64_t more, struct err *err)
{
    struct statvfs st;

    if (statvfs(reg->uploads_dir, &st) < 0)
        return true; /* the write will tell */
    const int64_t size = (int64_t)st.f_blocks * (int64_t)st.f_frsize;
    const int64_t left = (int64_t)st.f_bavail * (int64_t)st.f_frsize;
    const int64_t part = size / DISK_RESERVE_PART;
    const int64_t reserve = part < DISK_RESERVE_MAX ? part : DISK_RESERVE_MAX;
    atomic_store(&reg->disk_is_full, left < reserve);
    if (left - more >= reserve)
        return true;
    errno = ENOSPC;
    return err_errno(err, "the disk of '%s' is as good as full", reg->uploads_dir);
}

static bool
quota_is_spent(const struct registry *reg, struct err *err)
{
    return err_set(err, ERR_LIMIT_EXCEEDED,
                   "the registry may keep %lld bytes and has no room for more; delete images, and "
                   "what only they need goes with the next collection",
                   (long long)reg->quota);
}

bool
space_take(struct registry *reg, int64_t size, struct err *err)
{
    if (atomic_fetch_add(&reg->used, size) + size <= reg->quota || reg->quota <= 0)
        return true;
    atomic_fetch_sub(&reg->used, size);
    return quota_is_spent(reg, err);
}

bool
space_has_room(struct registry *reg, int64_t size, struct err *err)
{
    if (reg->quota > 0 && atomic_load(&reg->used) + size > reg->quota)
        return quota_is_spent(reg, err);
    return disk_has_room(reg, size, err);
}

void
space_count(struct registry *reg, int64_t size)
{
    atomic_fetch_add(&reg->used, size);
}

void
space_give(struct registry *reg, int64_t size)
{
    atomic_fetch_sub(&reg->used, size);
}

/* How much all that come in wrote since somebody last looked, not each of them: a hundred uploads
 * would fill the disk between two looks of one. */
bool
space_written(struct registry *reg, int64_t size, struct err *err)
{
    const int64_t written = atomic_fetch_add(&reg->unlooked, size) + size;

    if (written < LOOK_BYTES && !atomic_load(&reg->disk_is_full))
        return true;
    atomic_store(&reg->unlooked, 0);
    return space_check_disk(reg, err);
}

bool
space_check_disk(struct registry *reg, struct err *err)
{
    return disk_has_room(reg, 0, err);
}
