/* SPDX-License-Identifier: MIT */
/* upload.c - bytes on their way in: hashed and written as they arrive, invisible until finished.
 * Uploads live in memory and in uploads/, where an attribute of the file says whose it is. After a
 * restart the files are found again; one is hashed anew when its client comes back. A disk that
 * knows no such attributes forgets uploads with the process, and clients start over. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/reference.h"

#define UPLOADS_MAX 512
#define UPLOADS_OF_ONE_MAX 256 /* of one visitor: the others have room whatever he does */
#define UPLOAD_AGE_MAX_MS (24LL * 3600 * 1000)
#define BUSY_WAIT_MS 1000
#define WRITE_BACK_BYTES (8LL << 20)
#define PIECE ((size_t)1 << 20)
#define PLACE "user.naru.upload" /* "<region>/<repository> <owner>" */
#define PLACE_SIZE (REGISTRY_REGION_SIZE + REGISTRY_NAME_SIZE + UPLOAD_OWNER_SIZE)

static void
upload_free(struct upload *u)
{
    if (u->fd >= 0)
        close(u->fd);
    sha256_free(u->hash);
    free(u->path);
    free(u);
}

static struct upload *
upload_new(struct registry *reg, struct str id, struct str region, struct str repository,
           struct str owner)
{
    struct upload *u = mem_new(sizeof *u);

    u->fd = -1;
    if (!text_copy(u->id, sizeof u->id, id) || !text_copy(u->region, sizeof u->region, region) ||
        !text_copy(u->repository, sizeof u->repository, repository) ||
        !text_copy(u->owner, sizeof u->owner, owner)) {
        free(u);
        return NULL;
    }
    u->path = text_format("%s/%s", reg->uploads_dir, u->id);
    u->start_ms = u->last_ms = clock_monotonic_ms();
    return u;
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

/* Its bytes go; it is in no table any more. */
static void
upload_forget(struct registry *reg, struct upload *u)
{
    unlink(u->path); /* after success the name is gone already */
    space_give(reg, u->size);
    upload_free(u);
}

/* ---- the table: under uploads_lock ---- */

static int
count_of(const struct registry *reg, const char *owner)
{
    int count = 0;

    for (const struct upload *u = reg->uploads; u != NULL; u = u->next)
        count += strcmp(u->owner, owner) == 0;
    return count;
}

static const char *
owner_of_most(const struct registry *reg)
{
    const char *most = "";
    int best = 0;

    for (const struct upload *u = reg->uploads; u != NULL; u = u->next) {
        const int count = strcmp(u->owner, most) == 0 ? 0 : count_of(reg, u->owner);
        if (count > best) {
            best = count;
            most = u->owner;
        }
    }
    return most;
}

/* The one that gave no sign of life for longest, if that is long enough; or NULL. */
static struct upload *
oldest_idle(const struct registry *reg, const char *owner)
{
    int64_t last_ms = clock_monotonic_ms() - reg->upload_idle_ms;
    struct upload *oldest = NULL;

    for (struct upload *u = reg->uploads; u != NULL; u = u->next) {
        if (u->busy || strcmp(u->owner, owner) != 0 || u->last_ms > last_ms)
            continue;
        oldest = u;
        last_ms = u->last_ms;
    }
    return oldest;
}

/* Who has as many as one may have makes room himself, else whoever has most. False: nobody can. */
static bool
make_room(struct registry *reg, const char *owner, struct upload **victim_out)
{
    const bool has_too_many = count_of(reg, owner) >= UPLOADS_OF_ONE_MAX;

    *victim_out = NULL;
    if (!has_too_many && reg->upload_count < UPLOADS_MAX)
        return true;
    *victim_out = oldest_idle(reg, has_too_many ? owner : owner_of_most(reg));
    if (*victim_out != NULL)
        upload_unlink(reg, *victim_out);
    return *victim_out != NULL;
}

static bool
upload_enter(struct registry *reg, struct upload *u)
{
    struct upload *victim;

    pthread_mutex_lock(&reg->uploads_lock);
    const bool has_room = make_room(reg, u->owner, &victim);
    if (has_room) {
        u->next = reg->uploads;
        reg->uploads = u;
        reg->upload_count++;
    }
    pthread_mutex_unlock(&reg->uploads_lock);
    if (victim != NULL)
        upload_forget(reg, victim);
    return has_room;
}

static bool
upload_create(struct upload *u, struct err *err)
{
    char place[PLACE_SIZE];
    const int len = snprintf(place, sizeof place, "%s/%s %s", u->region, u->repository, u->owner);

    u->fd = open(u->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (u->fd < 0)
        return err_errno(err, "cannot create the upload '%s'", u->path);
    (void)fsetxattr(u->fd, PLACE, place, (size_t)len, 0); /* without it: lost at a restart */
    return true;
}

bool
upload_start(struct registry *reg, const char *region, const char *repository, const char *owner,
             struct upload **out, struct err *err)
{
    char id[37];

    upload_expire(reg, UPLOAD_AGE_MAX_MS);
    if (!space_check_disk(reg, err))
        return false;
    random_uuid(id);
    struct upload *u =
        upload_new(reg, str_of(id), str_of(region), str_of(repository), str_of(owner));
    u->hash = sha256_new();
    u->busy = true;
    bool done = upload_create(u, err);
    if (done && !upload_enter(reg, u)) {
        unlink(u->path);
        done = err_set(err, ERR_THROTTLING,
                       "too many uploads are under way (%d in all, %d of one visitor)", UPLOADS_MAX,
                       UPLOADS_OF_ONE_MAX);
    }
    if (!done) {
        upload_free(u);
        return false;
    }
    if (!quota_of_upload(reg, u, err) || !quota_upload_fits(reg, u, 1, err)) {
        upload_discard(reg, u);
        return false;
    }
    *out = u;
    return true;
}

void
upload_keep_private(struct upload *u)
{
    (void)fremovexattr(u->fd, PLACE);
}

/* ---- uploads of an earlier run ---- */

/* Whose is it? NULL: nobody's, or too old. */
static struct upload *
upload_find_again(struct registry *reg, const char *name)
{
    cleanup_free char *path = text_format("%s/%s", reg->uploads_dir, name);
    char place[PLACE_SIZE];
    const ssize_t len = lgetxattr(path, PLACE, place, sizeof place);
    struct str owner = {place, len > 0 ? (size_t)len : 0}, rest, region;
    struct stat st;
    int64_t age_ms;

    if (strlen(name) != 36 || !str_split(&owner, ' ', &rest) || !str_split(&rest, '/', &region) || !region_is_valid(region) ||
        !name_is_valid(rest) || lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return NULL;
    age_ms = clock_wall_ms() - (int64_t)st.st_mtim.tv_sec * 1000;
    if (age_ms > UPLOAD_AGE_MAX_MS)
        return NULL;
    struct upload *u = upload_new(reg, str_of(name), region, rest, owner);
    if (u == NULL)
        return NULL;
    u->size = u->flushed = st.st_size;
    u->last_ms -= age_ms > 0 ? age_ms : 0;
    u->start_ms -= UPLOAD_AGE_MAX_MS; /* who knows; not longer ago */
    return u;
}

bool
uploads_open(struct registry *reg, struct err *err)
{
    cleanup_json struct json *names = NULL;

    if (!disk_list(reg->uploads_dir, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        struct upload *u = upload_find_again(reg, name);
        if (u != NULL && upload_enter(reg, u)) {
            space_count(reg, u->size);
            continue;
        }
        if (u != NULL)
            upload_free(u);
        cleanup_free char *path = text_format("%s/%s", reg->uploads_dir, name);
        struct err why = {0};
        if (!file_remove_tree(path, &why)) /* it is in nobody's way */
            log_error("registry.upload_left", "error=%s", log_quote(why.message));
    }
    return true;
}

/* Reads the file once more, so that the rest can be hashed behind it. */
static bool
upload_resume(struct upload *u, struct err *err)
{
    cleanup_close int fd = open(u->path, O_RDONLY | O_CLOEXEC);
    cleanup_free char *piece = mem_new(PIECE);
    int64_t size = 0;
    ssize_t n = -1;

    u->hash = sha256_new();
    while (fd >= 0 && ((n = read(fd, piece, PIECE)) > 0 || (n < 0 && errno == EINTR)))
        if (n > 0) {
            sha256_add(u->hash, piece, (size_t)n);
            size += n;
        }
    if (n < 0 || size != u->size)
        return err_errno(err, "cannot read an upload again");
    u->fd = open(u->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    return u->fd >= 0 || err_errno(err, "cannot go on with an upload");
}

void
uploads_close(struct registry *reg)
{
    for (struct upload *u = reg->uploads, *next; u != NULL; u = next) {
        next = u->next;
        upload_free(u);
    }
    reg->uploads = NULL;
    reg->upload_count = 0;
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
    if ((u->hash == NULL && !upload_resume(u, err)) || !quota_of_upload(reg, u, err)) {
        upload_discard(reg, u);
        return false;
    }
    *out = u;
    return true;
}

static bool
size_check(const struct registry *reg, const struct upload *u, int64_t size, struct err *err)
{
    return size <= reg->blob_limit - u->size ||
           err_set(err, ERR_SIZE_INVALID, "the blob is larger than the limit of %lld bytes",
                   (long long)reg->blob_limit);
}

bool
upload_expects(struct registry *reg, const struct upload *u, int64_t size, struct err *err)
{
    return size <= 0 || (size_check(reg, u, size, err) && quota_upload_fits(reg, u, size, err) &&
                         space_has_room(reg, size, err));
}

bool
upload_add(struct registry *reg, struct upload *u, struct str data, struct err *err)
{
    if (!size_check(reg, u, (int64_t)data.len, err) ||
        !quota_upload_fits(reg, u, (int64_t)data.len, err) || !space_take(reg, (int64_t)data.len, err))
        return false;
    u->size += (int64_t)data.len; /* counted by now, whatever becomes of it */
    if (!file_write_all(u->fd, data, err))
        return err_context(err, "cannot store the upload");
    sha256_add(u->hash, data.at, data.len);
    /* Lets the disk work while the rest arrives, so that the flush at the end has little to do. */
    if (u->size - u->flushed >= WRITE_BACK_BYTES) {
        sync_file_range(u->fd, u->flushed, u->size - u->flushed, SYNC_FILE_RANGE_WRITE);
        u->flushed = u->size;
    }
    return space_written(reg, (int64_t)data.len, err);
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

/* The layers that came before this one wait for the manifest, which comes after it: a slow upload must not
 * let their leases run out. While it goes on, no collection takes a layer of its repository. */
static void
leases_renew_by(struct registry *reg, const struct upload *u)
{
    const int64_t took_ms = clock_monotonic_ms() - u->start_ms;

    if (took_ms >= lease_ms(reg) / 60)
        leases_renew(reg, u->region, u->repository, clock_wall_ms() - took_ms - lease_ms(reg));
}

bool
upload_finish(struct registry *reg, struct upload *u, struct str digest, struct err *err)
{
    cleanup_free char *blob = blob_path(reg, digest);
    cleanup_free char *link = layer_path(reg, u->region, u->repository, digest);
    /* Both names in one go: a link whose blob a power cut took is one to nothing, and unknown. */
    bool is_new = false;
    bool done = upload_check(u, digest, err) &&
                repository_check(reg, u->region, u->repository, err) &&
                blob_commit(reg, u->fd, u->path, u->size, digest, &is_new, err) &&
                quota_link(reg, u, digest, err) &&
                disk_flush_parents(reg, (const char *const[]){blob, link}, 2, err);
    leases_renew_by(reg, u);
    if (is_new && file_exists(blob))
        space_count(reg, u->size); /* as a blob; discarding takes the upload off */
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

void
upload_discard(struct registry *reg, struct upload *u)
{
    pthread_mutex_lock(&reg->uploads_lock);
    upload_unlink(reg, u);
    pthread_mutex_unlock(&reg->uploads_lock);
    upload_forget(reg, u);
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
        upload_forget(reg, stale);
        stale = next;
    }
}

int64_t
uploads_size(struct registry *reg, const char *region, const char *repository)
{
    int64_t size = 0;

    pthread_mutex_lock(&reg->uploads_lock);
    for (const struct upload *u = reg->uploads; u != NULL; u = u->next)
        if (strcmp(u->repository, repository) == 0 && strcmp(u->region, region) == 0)
            size += u->size;
    pthread_mutex_unlock(&reg->uploads_lock);
    return size;
}

bool
upload_is_going_on(struct registry *reg, const char *region, const char *repository, int64_t age_ms)
{
    const int64_t since_ms = clock_monotonic_ms() - age_ms;
    bool found = false;

    pthread_mutex_lock(&reg->uploads_lock);
    for (struct upload *u = reg->uploads; u != NULL; u = u->next)
        found |= (u->busy || u->last_ms > since_ms) && strcmp(u->region, region) == 0 &&
                 strcmp(u->repository, repository) == 0;
    pthread_mutex_unlock(&reg->uploads_lock);
    return found;
}
