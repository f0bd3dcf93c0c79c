/* SPDX-License-Identifier: MIT */
/* image.c - manifests and tags of a repository. A manifest's bytes are a blob; its record in
 * _manifests/ makes it an image of the repository; a tag names a digest. Written in that order and
 * removed in the other, so that a name never leads nowhere. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/manifest.h"
#include "registry/reference.h"
#include "registry/mirror/replication.h"
#include "registry/scan/scan.h"

#define RECORD_MAX 4096
#define PUT_TRIES 5

/* The paths of one image's files. */
char *
image_record_path(const struct registry *reg, const char *region, const char *name, struct str digest)
{
    return repository_leaf_path(reg, region, name, "_manifests", digest_hex(digest));
}

static char *
tag_path(const struct registry *reg, const char *region, const char *name, const char *tag)
{
    return repository_leaf_path(reg, region, name, "_tags", str_of(tag));
}

bool
manifest_is_linked(const struct registry *reg, const char *region, const char *name,
                   struct str digest)
{
    cleanup_free char *path = image_record_path(reg, region, name, digest);
    return !disk_is_absent(path);
}

bool
tag_read(const struct registry *reg, const char *region, const char *name, const char *tag,
         char digest_out[static REGISTRY_DIGEST_SIZE], struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    cleanup_free char *path = tag_path(reg, region, name, tag);
    struct err why = {0};

    digest_out[0] = '\0';
    if (!tag_is_valid(str_of(tag)))
        return true;
    if (!file_read(path, RECORD_MAX, &bytes, &why)) {
        if (why.sys_errno == 0 || why.sys_errno == ENOENT)
            return true;
        if (err != NULL)
            *err = why;
        return false;
    }
    const struct str digest = str_trim(strbuf_str(&bytes));
    if (digest_is_valid(digest) && !text_copy(digest_out, REGISTRY_DIGEST_SIZE, digest))
        digest_out[0] = '\0';
    return true;
}

static bool
image_not_found(const struct registry *reg, const char *name, const char *reference,
                struct err *err)
{
    const bool is_digest = digest_is_valid(str_of(reference));

    return err_set(err, ERR_IMAGE_NOT_FOUND,
                   "The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within "
                   "the repository "
                   "with name '%s' in the registry with id '%s'",
                   is_digest ? reference : "null", is_digest ? "null" : reference, name,
                   reg->account_id);
}

bool
registry_resolve(struct registry *reg, const char *region, const char *repository,
                 const char *reference, char digest_out[static REGISTRY_DIGEST_SIZE],
                 struct err *err)
{
    char digest[REGISTRY_DIGEST_SIZE];

    if (!repository_check(reg, region, repository, err))
        return false;
    if (digest_is_valid(str_of(reference)))
        snprintf(digest, sizeof digest, "%s", reference);
    else if (!tag_read(reg, region, repository, reference, digest, err))
        return false;
    if (digest[0] == '\0' || !manifest_is_linked(reg, region, repository, str_of(digest)))
        return image_not_found(reg, repository, reference, err);
    memcpy(digest_out, digest, sizeof digest);
    return true;
}

bool
image_record_read(const struct registry *reg, const char *region, const char *name, struct str digest,
            struct json **out, struct err *err)
{
    cleanup_free char *path = image_record_path(reg, region, name, digest);
    return disk_read_json(path, RECORD_MAX, out, err);
}

bool
image_record_find(const struct registry *reg, const char *region, const char *name, const char *digest,
                  struct json **out, struct err *err)
{
    struct err why = {0};

    *out = NULL;
    if (image_record_read(reg, region, name, str_of(digest), out, &why) ||
        !manifest_is_linked(reg, region, name, str_of(digest)))
        return true;
    if (err != NULL)
        *err = why;
    return false;
}

void
image_is_damaged(const char *repository, const char *digest, const struct err *why)
{
    log_error("registry.image_damaged", "repository=%s digest=%s error=%s", repository, digest, log_quote(why->message));
}

bool
image_manifest_read(struct registry *reg, const char *region, const char *repository, const char *reference,
              bool archived_too, struct strbuf *bytes_out, char digest_out[static REGISTRY_DIGEST_SIZE],
              char *media_type_out, bool *is_archived_out, struct err *err)
{
    char digest[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *record = NULL;

    if (!registry_resolve(reg, region, repository, reference, digest, err) ||
        !image_record_read(reg, region, repository, str_of(digest), &record, err))
        return false;
    *is_archived_out = record_is_archived(record);
    if (*is_archived_out && !archived_too)
        return image_archived(repository, digest, err);
    if (!blob_read_whole(reg, str_of(digest), bytes_out, err))
        return false;
    if (media_type_out != NULL)
        snprintf(media_type_out, REGISTRY_MEDIA_TYPE_SIZE, "%s",
                 json_get_cstr(record, "mediaType", ""));
    memcpy(digest_out, digest, sizeof digest);
    return true;
}

bool
registry_manifest_get(struct registry *reg, const char *region, const char *repository,
                      const char *reference, struct strbuf *bytes_out,
                      char digest_out[static REGISTRY_DIGEST_SIZE], char *media_type_out,
                      struct err *err)
{
    bool is_archived;

    return image_manifest_read(reg, region, repository, reference, /* archived_too= */ false, bytes_out,
                         digest_out, media_type_out, &is_archived, err);
}

bool
reference_is_manifest(const struct registry *reg, const char *region, const char *name,
                      const struct manifest_reference *r)
{
    return r->is_manifest && (!r->is_either || manifest_is_linked(reg, region, name, r->digest));
}

/* ---- put ---- */

static bool
reference_check(struct registry *reg, const char *region, const char *repository,
                const struct manifest_reference *r, struct err *err)
{
    int64_t size = -1;

    if (reference_is_manifest(reg, region, repository, r)) {
        cleanup_json struct json *record = NULL;
        const bool is_linked = manifest_is_linked(reg, region, repository, r->digest);
        /* What cannot be read may be archived, and is not pulled. */
        if (is_linked && !r->is_foreign && !image_record_read(reg, region, repository, r->digest, &record, err))
            return false;
        if (!is_linked || record_is_archived(record) || !blob_touch(reg, r->digest, &size))
            return r->is_foreign || err_set(err, ERR_REFERENCED_IMAGES_NOT_FOUND,
                           "the image '" STR_FMT "' that the index names is not in the repository, or archived",
                           STR_ARG(r->digest));
    } else if (!layer_is_linked(reg, region, repository, r->digest) ||
               !blob_touch(reg, r->digest, &size)) {
        return r->is_foreign ||
               err_set(err, ERR_MANIFEST_BLOB_UNKNOWN,
                       "the blob '" STR_FMT "' that the manifest names is not in the repository",
                       STR_ARG(r->digest));
    }
    return size == r->size || r->is_foreign ||
           err_set(err, ERR_MANIFEST_INVALID,
                   "the manifest gives '" STR_FMT "' %lld bytes, but it has %lld",
                   STR_ARG(r->digest), (long long)r->size, (long long)size);
}

/* `old` (or NULL): the record of an archived image that the push restores. */
static char *
record_text(const struct manifest *m, int64_t image_size, struct str bytes, const struct json *old)
{
    cleanup_json struct json *record = json_object();

    json_set(record, "mediaType", json_text(m->media_type));
    if (m->artifact_type[0] != '\0')
        json_set(record, "artifactType", json_text(m->artifact_type));
    if (m->subject[0] != '\0')
        json_set(record, "subject", json_text(m->subject));
    json_set(record, "size", json_int((int64_t)bytes.len));
    json_set(record, "imageSize", json_int(image_size));
    json_set(record, "pushedAt", json_int(clock_wall_ms()));
    if (record_is_archived(old))
        record_activate(old, record, clock_wall_ms());
    return json_format(record);
}

/* The image that a tag names, or "". A power cut may have kept a new tag, and lost the record that was named just
 * before it: such a tag names none. */
static bool
tag_image_read(const struct registry *reg, const char *region, const char *name, const char *tag,
               char digest_out[static REGISTRY_DIGEST_SIZE], struct err *err)
{
    if (!tag_read(reg, region, name, tag, digest_out, err))
        return false;
    if (digest_out[0] != '\0' && !manifest_is_linked(reg, region, name, str_of(digest_out)))
        digest_out[0] = '\0';
    return true;
}

enum tag_state {
    TAG_FREE,   /* it names no image, or none is wanted */
    TAG_IS_SET, /* it names this very image */
    TAG_MOVES,  /* it names another one */
};

/* A put in two steps, each flushed before the next one shows: the files, aside; then the names, of the manifest, its
 * record and its tag in this order. A tag that moves is a third one: what it named must not be lost for what may yet
 * be lost. The lock is held while names appear, not while the disk works. */
struct putting {
    struct registry *reg;
    const char *region, *repository, *digest;
    const struct registry_put *put;
    const struct manifest *m;
    struct disk_file blob, record, tag;
    enum tag_state tag_state;
    int64_t charged; /* bytes of the quota that nobody else counts */
    bool restores;   /* an archived image */
};

/* May the tag name the digest from now on? */
static bool
tag_check(const struct putting *p, const struct registry_repository *r, enum tag_state *out, struct err *err)
{
    struct registry *const reg = p->reg;
    const struct registry_put *const put = p->put;
    const char *const region = p->region, *const digest = p->digest;
    char current[REGISTRY_DIGEST_SIZE] = "";

    if (put->tag != NULL && !tag_image_read(reg, region, r->name, put->tag, current, err))
        return false;
    bool has_tag = current[0] != '\0';
    bool is_set = put->tag != NULL ? has_tag && strcmp(current, digest) == 0
                                   : manifest_is_linked(reg, region, r->name, str_of(digest));

    if (is_set && put->refuse_existing && !p->restores)
        return err_set(err, ERR_IMAGE_EXISTS,
                       "Image with digest '%s' and tag '%s' already exists in the repository with "
                       "name '%s' in "
                       "registry with id '%s'",
                       digest, put->tag ? put->tag : "null", r->name, reg->account_id);
    if (has_tag && !is_set && registry_tag_is_immutable(r->document, put->tag))
        return err_set(err, ERR_IMAGE_TAG_EXISTS,
                       "The image tag '%s' already exists in the '%s' repository and cannot be "
                       "overwritten because "
                       "the repository is immutable.",
                       put->tag, r->name);
    *out = is_set ? TAG_IS_SET : has_tag ? TAG_MOVES : TAG_FREE;
    return true;
}

static bool
conditions_check(struct registry *reg, const char *region, const char *repository,
                 const struct registry_put *put, const char *digest, struct err *err)
{
    char current[REGISTRY_DIGEST_SIZE] = "";

    if (put->if_match.len == 0 && put->if_none_match.len == 0)
        return true;
    if (put->tag != NULL && !tag_image_read(reg, region, repository, put->tag, current, err))
        return false;
    if (put->tag == NULL && manifest_is_linked(reg, region, repository, str_of(digest)))
        text_copy_all(current, sizeof current, digest);
    bool is_there = current[0] != '\0';
    if ((put->if_match.len > 0 && !(is_there && etags_match(put->if_match, str_of(current)))) ||
        (is_there && etags_match(put->if_none_match, str_of(current))))
        return err_set(err, ERR_PRECONDITION_FAILED, "'%s' is '%s' now, which the request excludes",
                       put->tag ? put->tag : digest, is_there ? current : "not there");
    return true;
}

static void
putting_done(struct putting *p)
{
    disk_file_done(&p->blob);
    disk_file_done(&p->record);
    disk_file_done(&p->tag);
    space_give(p->reg, p->charged);
}

/* As ECR tells it: of an index, its largest image's. One that is not there is found when the names are made. */
static int64_t
putting_image_size(const struct putting *p)
{
    int64_t size = p->m->image_size;

    for (size_t i = 0; p->m->is_index && i < p->m->reference_count; i++) {
        cleanup_json struct json *image = NULL;
        if (image_record_read(p->reg, p->region, p->repository, p->m->references[i].digest, &image, NULL) &&
            json_get_i64(image, "imageSize", 0) > size)
            size = json_get_i64(image, "imageSize", 0);
    }
    return size;
}

static bool
putting_write(struct putting *p, struct err *err)
{
    const struct disk_file *const files[] = {&p->blob, &p->record, &p->tag};
    struct str digest = str_of(p->digest);
    cleanup_free char *blob = blob_path(p->reg, digest);
    cleanup_free char *record = image_record_path(p->reg, p->region, p->repository, digest);
    cleanup_json struct json *old = NULL;
    (void)!image_record_read(p->reg, p->region, p->repository, digest, &old, NULL); /* there is none yet, most often */
    cleanup_free char *text = record_text(p->m, putting_image_size(p), p->put->manifest, old);

    if (!space_take(p->reg, (int64_t)p->put->manifest.len, err))
        return false;
    p->charged = (int64_t)p->put->manifest.len;
    if (!space_check_disk(p->reg, err) || !disk_write_aside(p->reg, blob, p->put->manifest, &p->blob, err) ||
        !disk_write_aside(p->reg, record, str_of(text), &p->record, err))
        return false;
    if (p->put->tag != NULL) {
        cleanup_free char *tag = tag_path(p->reg, p->region, p->repository, p->put->tag);
        cleanup_free char *line = text_format("%s\n", p->digest);
        if (!disk_write_aside(p->reg, tag, str_of(line), &p->tag, err))
            return false;
    }
    return disk_flush_files(p->reg, files, ARRAY_COUNT(files), err);
}

/* The manifest becomes an image of the repository, if it was none, with its tag, if that named no other. */
static bool
putting_name(struct putting *p, struct err *err)
{
    cleanup(registry_repository_done) struct registry_repository r = {0};
    cleanup(unlock_) pthread_mutex_t *lock UNUSED =
        repository_lock(p->reg, p->region, p->repository);
    bool is_new = false;

    if (!registry_repository_get(p->reg, p->region, p->repository, &r, err))
        return false;
    for (size_t i = 0; i < p->m->reference_count; i++)
        if (!reference_check(p->reg, p->region, p->repository, &p->m->references[i], err))
            return false;
    cleanup_json struct json *record = NULL; /* none, or a damaged one */
    (void)!image_record_read(p->reg, p->region, p->repository, str_of(p->digest), &record, NULL);
    p->restores = record_is_archived(record);
    if (!conditions_check(p->reg, p->region, p->repository, p->put, p->digest, err) ||
        !tag_check(p, &r, &p->tag_state, err) ||
        !quota_image_fits(p->reg, p->region, p->repository, p->digest, p->m, (int64_t)p->put->manifest.len, err) ||
        !blob_name(p->reg, str_of(p->digest), &p->blob, &is_new, err))
        return false;
    p->charged = is_new ? 0 : p->charged;
    const bool was_image = record != NULL || file_exists(p->record.path);
    const bool was_damaged = was_image && (record == NULL || is_new);
    const uint64_t reckoned = quota_reckoned(p->reg, p->region, p->repository);
    const bool is_named = (p->m->subject[0] == '\0' ||
                           referrer_link(p->reg, p->region, p->repository, str_of(p->m->subject),
                                         str_of(p->digest), err)) &&
                          ((!p->restores && record != NULL) || disk_name(&p->record, err)) &&
                          (p->put->tag == NULL || p->tag_state != TAG_FREE || disk_name(&p->tag, err));
    views_tell_image(p->reg, p->region, p->repository, p->digest);
    if (p->put->tag != NULL)
        views_tell_tag(p->reg, p->region, p->repository, p->put->tag);
    if (!is_named || was_damaged) /* who knows */
        quota_manifests_changed(p->reg, p->region, p->repository);
    else if (!was_image)
        quota_manifest_came(p->reg, p->region, p->repository, p->digest, p->m, reckoned);
    return is_named;
}

static bool
putting_move_tag(struct putting *p, struct err *err)
{
    cleanup(registry_repository_done) struct registry_repository r = {0};
    cleanup(unlock_) pthread_mutex_t *lock UNUSED =
        repository_lock(p->reg, p->region, p->repository);
    enum tag_state state;

    if (!registry_repository_get(p->reg, p->region, p->repository, &r, err))
        return false;
    if (!manifest_is_linked(p->reg, p->region, p->repository, str_of(p->digest)))
        return err_set(err, ERR_CONFLICT, "the image '%s' was deleted while it was pushed",
                       p->digest);
    if (!conditions_check(p->reg, p->region, p->repository, p->put, p->digest, err) ||
        !tag_check(p, &r, &state, err))
        return false;
    const bool is_named = state == TAG_IS_SET || disk_name(&p->tag, err);
    views_tell_tag(p->reg, p->region, p->repository, p->put->tag);
    return is_named;
}

static bool
putting_steps(struct putting *p, struct err *err)
{
    if (!putting_write(p, err) || !putting_name(p, err))
        return false;
    const bool tag_waits = p->put->tag != NULL && p->tag_state == TAG_MOVES;
    /* Also of a tag that names it already: whoever set it may not have flushed it yet. */
    const char *const named[] = {p->blob.path, p->record.path, tag_waits ? NULL : p->tag.path};
    return disk_flush_parents(p->reg, named, ARRAY_COUNT(named), err) &&
           (!tag_waits || (putting_move_tag(p, err) && disk_sync_parent(p->tag.path, err)));
}

/* An image that is deleted between the steps is put once more. */
static bool
putting_run(const struct putting *blank, struct err *err)
{
    struct err why = {0};

    for (int i = 0; i < PUT_TRIES; i++) {
        cleanup(putting_done) struct putting p = *blank;
        why = (struct err){0};
        if (putting_steps(&p, &why))
            return true;
        if (why.code != ERR_CONFLICT)
            break;
    }
    if (err != NULL)
        *err = why;
    return false;
}

static void
push_tell(const struct putting *p)
{
    char config_digest[REGISTRY_DIGEST_SIZE] = "";

    if (p->reg->pushed == NULL)
        return;
    if (p->m->is_known && !p->m->is_index && p->m->reference_count > 0)
        (void)text_copy(config_digest, sizeof config_digest, p->m->references[0].digest);
    p->reg->pushed(p->reg->pushed_ctx, &(struct registry_push){.region = p->region,
                                                               .repository = p->repository,
                                                               .tag = p->put->tag != NULL ? p->put->tag : "",
                                                               .digest = p->digest,
                                                               .config_digest = config_digest});
}

bool
registry_manifest_put(struct registry *reg, const char *region, const char *repository,
                      const struct registry_put *put, char digest_out[static REGISTRY_DIGEST_SIZE],
                      struct err *err)
{
    cleanup(arena_done) struct arena arena = {0};
    struct manifest m;
    char digest[REGISTRY_DIGEST_SIZE];

    if (!repository_check(reg, region, repository, err))
        return false;
    if (put->tag != NULL && !tag_is_valid(str_of(put->tag)))
        return err_set(err, ERR_TAG_INVALID, "'%.140s' is no tag", put->tag);
    if (put->digest != NULL && !digest_is_valid(str_of(put->digest)))
        return err_set(err, ERR_DIGEST_INVALID, "'%.140s' is no digest", put->digest);
    if (!manifest_parse(put->manifest, put->media_type, &arena, &m, err))
        return false;
    digest_make(put->manifest, str_of(put->digest), digest);
    if (put->digest != NULL && strcmp(put->digest, digest) != 0)
        return err_set(err, ERR_DIGEST_INVALID, "the manifest's digest is '%s', not '%s'", digest,
                       put->digest);
    const struct putting p = {
        reg, region, repository, digest, put, &m, DISK_FILE_NONE, DISK_FILE_NONE, DISK_FILE_NONE, TAG_FREE, 0, false};
    if (!putting_run(&p, err))
        return false;
    scan_pushed(reg, region, repository, digest);
    if (!put->is_replica) {
        replication_pushed(reg, region, repository, digest);
        push_tell(&p);
    }
    memcpy(digest_out, digest, sizeof digest);
    if (put->subject_out != NULL)
        memcpy(put->subject_out, m.subject, sizeof m.subject);
    return true;
}

/* ---- who names whom ---- */

bool
manifests_each(struct registry *reg, const char *region, const char *repository,
               bool (*call)(void *arg, const char *digest, const struct manifest *m), void *arg,
               struct json *known, struct err *err)
{
    cleanup_free char *path = repository_path(reg, region, repository, "_manifests");
    cleanup_json struct json *names = NULL;

    if (!disk_list(path, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        cleanup(arena_done) struct arena arena = {0};
        cleanup(strbuf_done) struct strbuf bytes = {0};
        cleanup_json struct json *record = NULL;
        struct manifest m;
        struct err why = {0};
        char digest[REGISTRY_DIGEST_SIZE];
        if (!digest_from_hex(str_of(json_cstr(json_at(names, i), "")), digest) || json_get(known, digest) != NULL)
            continue;
        const bool has_record = image_record_find(reg, region, repository, digest, &record, &why);
        const bool is_read = blob_read_whole(reg, str_of(digest), &bytes, &why);
        if ((has_record && record == NULL) ||
            (!is_read && !manifest_is_linked(reg, region, repository, str_of(digest))))
            continue; /* removed while we read: not all who ask have the lock */
        if (!has_record || !is_read)
            image_is_damaged(repository, digest, &why);
        if (is_read && !manifest_parse(strbuf_str(&bytes), str_of(json_get_cstr(record, "mediaType", "")), &arena, &m, NULL))
            manifest_guess(strbuf_str(&bytes), &arena, &m);
        if (!call(arg, digest, is_read ? &m : NULL))
            return true;
        if (known != NULL && is_read)
            json_set(known, digest, json_bool(true));
    }
    return true;
}

struct search {
    struct str digest;
    char found_in[REGISTRY_DIGEST_SIZE], unread[REGISTRY_DIGEST_SIZE];
};

static bool
search_one(void *arg, const char *digest, const struct manifest *m)
{
    struct search *s = arg;

    if (m == NULL)
        text_copy_all(s->unread, sizeof s->unread, digest);
    for (size_t i = 0; m != NULL && i < m->reference_count; i++)
        if (str_equal(m->references[i].digest, s->digest)) {
            snprintf(s->found_in, sizeof s->found_in, "%s", digest);
            return false;
        }
    return true;
}

bool
layer_is_named(struct registry *reg, const char *region, const char *name, struct str digest,
               struct json *known, bool *out, struct err *err)
{
    struct search s = {.digest = digest};

    if (!manifests_each(reg, region, name, search_one, &s, known, err))
        return false;
    *out = s.found_in[0] != '\0';
    return *out || s.unread[0] == '\0' ||
           err_set(err, ERR_INTERNAL, "the image '%s' of '%s' cannot be read, and may need '" STR_FMT "'", s.unread, name,
                   STR_ARG(digest));
}

/* ---- delete ---- */

static void
removed_add(struct json *removed, const char *digest, const char *tag)
{
    if (removed == NULL)
        return;
    struct json *id = json_object();
    json_set(id, "imageDigest", json_text(digest));
    if (tag != NULL)
        json_set(id, "imageTag", json_text(tag));
    json_append(removed, id);
}

bool
image_is_in_use(struct registry *reg, const char *region, const char *repository, const char *digest,
                struct strbuf *users)
{
    return reg->in_use != NULL && reg->in_use(reg->in_use_ctx, region, repository, digest, users);
}

static bool
tag_remove(struct registry *reg, const char *region, const char *repository, const char *tag,
           struct err *err)
{
    cleanup_free char *path = tag_path(reg, region, repository, tag);
    const bool is_removed = disk_remove(path, err);

    views_tell_tag(reg, region, repository, tag);
    return is_removed && disk_sync_parent(path, err);
}

/* What is known of an image that is gone. A scan or a record that stays is removed by a start, a pull by a collection. */
static void
image_leaves_remove(const struct registry *reg, const char *region, const char *repository, const char *digest)
{
    static const char *const leaves[] = {"_pulls", "_replicated", "_scans"};

    for (size_t i = 0; i < ARRAY_COUNT(leaves); i++) {
        cleanup_free char *path = repository_leaf_path(reg, region, repository, leaves[i], digest_hex(str_of(digest)));
        unlink(path);
    }
}

static bool
image_remove(struct registry *reg, const char *region, const char *repository,
             const struct json *image, struct json *removed, struct err *err)
{
    const char *digest = json_get_cstr(image, "digest", "");
    const struct json *tags = json_get(image, "tags");
    cleanup_free char *path = image_record_path(reg, region, repository, str_of(digest));

    for (size_t i = 0; i < json_size(tags); i++)
        if (!tag_remove(reg, region, repository, json_cstr(json_at(tags, i), ""), err))
            return false;
    const char *subject = json_get_cstr(image, "subject", NULL);
    const uint64_t reckoned = quota_reckoned(reg, region, repository);
    const bool is_removed = disk_remove(path, err);
    views_tell_image(reg, region, repository, digest);
    if (is_removed && json_get(image, "mediaType") != NULL)
        quota_manifest_went(reg, region, repository, digest, json_get_cstr(image, "mediaType", ""), reckoned);
    else
        quota_manifests_changed(reg, region, repository);
    if (!is_removed || !disk_sync_parent(path, err) ||
        (subject != NULL &&
         !referrer_unlink(reg, region, repository, str_of(subject), str_of(digest), err)))
        return false;
    image_leaves_remove(reg, region, repository, digest);
    for (size_t i = 0; i < json_size(tags); i++)
        removed_add(removed, digest, json_cstr(json_at(tags, i), ""));
    if (json_size(tags) == 0)
        removed_add(removed, digest, NULL);
    return true;
}

bool
registry_tag_delete(struct registry *reg, const char *region, const char *repository,
                    const char *tag, char digest_out[static REGISTRY_DIGEST_SIZE], struct err *err)
{
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = repository_lock(reg, region, repository);

    if (!repository_check(reg, region, repository, err))
        return false;
    if (!tag_read(reg, region, repository, tag, digest_out, err))
        return false;
    if (digest_out[0] == '\0')
        return image_not_found(reg, repository, tag, err);
    return tag_remove(reg, region, repository, tag, err);
}

/* What the bytes of its manifest still say of an image whose record is damaged. */
static struct json *
record_of_bytes(struct registry *reg, const char *digest)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    struct json *record = json_object();

    if (!blob_read_whole(reg, str_of(digest), &bytes, NULL))
        return record;
    cleanup_json struct json *document = json_parse(strbuf_str(&bytes), NULL);
    const char *subject = json_get_cstr(json_get(document, "subject"), "digest", "");
    if (digest_is_valid(str_of(subject)))
        json_set(record, "subject", json_text(subject));
    return record;
}

/* As the lists have it, under the lock. Who deletes a damaged one need not make it whole first. */
static struct json *
view_image(const struct view *v, const char *digest)
{
    struct json *image;

    if (!image_record_read(v->reg, v->region, v->repository, str_of(digest), &image, NULL))
        image = record_of_bytes(v->reg, digest);
    image_finish(v->reg, v->region, v->repository, digest, image, view_tags(v, digest));
    return image;
}

bool
view_image_delete(struct view *v, const char *reference, struct json *removed_out, struct err *err)
{
    struct registry *const reg = v->reg;
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = view_lock(v);
    char digest[REGISTRY_DIGEST_SIZE];

    if (!view_refresh(v, err) || !registry_resolve(reg, v->region, v->repository, reference, digest, err))
        return false;
    cleanup_json struct json *image = view_image(v, digest);
    if (digest_is_valid(str_of(reference)))
        return view_check_unneeded(v, digest, ALL_INDEXES, err) &&
               image_remove(reg, v->region, v->repository, image, removed_out, err);
    /* The last tag takes the image with it, unless somebody still needs the image. */
    if (json_size(json_get(image, "tags")) == 1 && view_check_unneeded(v, digest, ALL_INDEXES, NULL))
        return image_remove(reg, v->region, v->repository, image, removed_out, err);
    if (!tag_remove(reg, v->region, v->repository, reference, err))
        return false;
    removed_add(removed_out, digest, reference);
    return true;
}

bool
registry_image_delete(struct registry *reg, const char *region, const char *repository,
                      const char *reference, struct json *removed_out, struct err *err)
{
    cleanup(view_close_) struct view *v = NULL;
    char digest[REGISTRY_DIGEST_SIZE];

    return registry_resolve(reg, region, repository, reference, digest, err) &&
           view_open(reg, region, repository, &v, err) && view_image_delete(v, reference, removed_out, err);
}

/* Images come before the index that names them, and before their tag: who pushes an index counts upon them. */
static bool
is_being_pushed(const struct registry *reg, const struct json *image)
{
    return json_size(json_get(image, "tags")) == 0 &&
           clock_wall_ms() - json_get_i64(image, "pushedAt", 0) < lease_ms(reg);
}

bool
image_is_as_listed(const struct view *v, const struct json *image)
{
    const char *digest = json_get_cstr(image, "digest", "");
    cleanup_json struct json *now = NULL, *tags = view_tags(v, digest);

    return image_record_read(v->reg, v->region, v->repository, str_of(digest), &now, NULL) &&
           json_equal(tags, json_get(image, "tags")) &&
           json_get_i64(now, "pushedAt", 0) == json_get_i64(image, "pushedAt", 0) &&
           json_get_i64(now, "activatedAt", 0) == json_get_i64(image, "activatedAt", 0) &&
           !is_being_pushed(v->reg, image);
}

bool
image_expire(struct view *v, const struct json *image, bool *removed_out, struct err *err)
{
    const char *digest = json_get_cstr(image, "digest", "");
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = view_lock(v);

    *removed_out = false;
    if (!view_refresh(v, err))
        return false;
    if (!image_is_as_listed(v, image) || !view_check_unneeded(v, digest, ALL_INDEXES, NULL))
        return true; /* somebody was faster, or has just named it */
    *removed_out = image_remove(v->reg, v->region, v->repository, image, NULL, err);
    return *removed_out;
}
