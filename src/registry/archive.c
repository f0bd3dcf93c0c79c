/* SPDX-License-Identifier: MIT */
/* archive.c - the archive: images that are kept and listed, and that nobody can pull until they are
 * restored. The image's record says so: "status" is "ARCHIVED", "archivedAt" and "activatedAt" are the times of
 * the last change. Its bytes stay where they are, so nothing is copied either way and a change is one
 * durable write. An index is archived before its images and restored after them: whoever may be pulled
 * is whole, wherever a crash falls. What a crash has cut short goes on when it is asked for again; into the
 * archive also with the next collection. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/manifest.h"
#include "registry/mirror/replication.h"
#include "registry/reference.h"
#include "registry/scan/scan.h"

#define ARCHIVED "ARCHIVED"
#define DEPTH_MAX 8 /* of indexes in indexes, and of referrers of referrers */

bool
record_is_archived(const struct json *record)
{
    return strcmp(json_get_cstr(record, "status", ""), ARCHIVED) == 0;
}

void
record_activate(const struct json *old, struct json *record, int64_t now_ms)
{
    if (json_get(old, "archivedAt") != NULL)
        json_set(record, "archivedAt", json_int(json_get_i64(old, "archivedAt", 0)));
    json_set(record, "activatedAt", json_int(now_ms));
}

bool
image_is_archived(const struct registry *reg, const char *region, const char *repository,
                  struct str digest)
{
    cleanup_json struct json *record = NULL;

    return image_record_read(reg, region, repository, digest, &record, NULL) && record_is_archived(record);
}

bool
image_archived(const char *repository, const char *digest, struct err *err)
{
    return err_set(err, ERR_IMAGE_ARCHIVED,
                   "the image '%s' of the repository '%s' is archived: restore it (UpdateImageStorageClass "
                   "with targetStorageClass STANDARD), or push it again",
                   digest, repository);
}

bool
registry_image_check_active(struct registry *reg, const char *region, const char *repository,
                            const char *digest, struct err *err)
{
    return !image_is_archived(reg, region, repository, str_of(digest)) ||
           image_archived(repository, digest, err);
}

/* ---- one change, and what goes along: under the repository's lock ---- */

struct change {
    struct view *view; /* who archives has one */
    struct registry *reg;
    const char *region, *repository;
    bool archives; /* else it restores */
    bool finishes; /* what was begun at now_ms, and not what somebody has pushed or restored since */
    int64_t now_ms;
    struct json *changed; /* digests */
    struct json *seen;    /* digests, as members: who is named many times is looked at once */
};

static void
change_done(struct change *c)
{
    json_unref(c->changed);
    json_unref(c->seen);
}

static bool
record_change(struct change *c, const char *digest, struct err *err)
{
    cleanup_json struct json *record = NULL;
    cleanup_free char *path = image_record_path(c->reg, c->region, c->repository, str_of(digest));

    if (!image_record_read(c->reg, c->region, c->repository, str_of(digest), &record, err))
        return false;
    if (record_is_archived(record) == c->archives)
        return true; /* what goes along may have been cut short */
    if (c->archives) {
        json_set(record, "status", json_text(ARCHIVED));
        json_set(record, "archivedAt", json_int(c->now_ms));
    } else {
        json_delete(record, "status");
        json_set(record, "activatedAt", json_int(c->now_ms));
    }
    cleanup_free char *text = json_format(record);
    const bool is_stored = disk_store(c->reg, path, str_of(text), err);
    views_tell_image(c->reg, c->region, c->repository, digest);
    if (!is_stored)
        return false;
    json_append(c->changed, json_text(digest));
    return true;
}

static bool image_change(struct change *c, const char *digest, int depth, struct err *err);

static bool
is_younger(const struct change *c, const struct json *record)
{
    return json_get_i64(record, "pushedAt", 0) > c->now_ms || json_get_i64(record, "activatedAt", 0) > c->now_ms;
}

/* Does it go along? Into the archive what has no tag and is not needed otherwise; back everything. */
static bool
goes_along(const struct change *c, const char *digest, bool *out, struct err *err)
{
    cleanup_json struct json *record = NULL;

    *out = false;
    if (!image_record_find(c->reg, c->region, c->repository, digest, &record, err))
        return false;
    if (record == NULL || !c->archives || record_is_archived(record)) {
        *out = record != NULL;
        return true;
    }
    if (!view_refresh(c->view, err)) /* the index above it is archived by now */
        return false;
    cleanup_json struct json *tags = view_tags(c->view, digest);
    *out = json_size(tags) == 0 && !(c->finishes && is_younger(c, record)) &&
           view_check_unneeded(c->view, digest, ACTIVE_INDEXES, NULL);
    return true;
}

static bool
along_change(struct change *c, const char *digest, int depth, struct err *err)
{
    bool comes;

    if (json_get(c->seen, digest) != NULL)
        return true;
    json_set(c->seen, digest, json_bool(true));
    return goes_along(c, digest, &comes, err) && (!comes || image_change(c, digest, depth + 1, err));
}

static bool
members_change(struct change *c, const char *digest, int depth, struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    cleanup(arena_done) struct arena arena = {0};
    char found[REGISTRY_DIGEST_SIZE], type[REGISTRY_MEDIA_TYPE_SIZE];
    struct manifest m;
    bool is_archived;

    if (!image_manifest_read(c->reg, c->region, c->repository, digest, /* archived_too= */ true, &bytes, found,
                       type, &is_archived, err))
        return false;
    if (!media_type_is_index(str_of(type)))
        return true;
    manifest_guess(strbuf_str(&bytes), &arena, &m);
    bool done = true;
    for (size_t i = 0; i < m.reference_count; i++) {
        char member[REGISTRY_DIGEST_SIZE];
        if (m.references[i].is_manifest && text_copy(member, sizeof member, m.references[i].digest))
            done &= along_change(c, member, depth, done ? err : NULL);
    }
    return done;
}

static bool
referrers_change(struct change *c, const char *digest, int depth, struct err *err)
{
    cleanup_json struct json *names = NULL;
    bool done = true;

    if (!referrers_list(c->reg, c->region, c->repository, str_of(digest), &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        char referrer[REGISTRY_DIGEST_SIZE];
        if (digest_from_hex(str_of(json_cstr(json_at(names, i), "")), referrer))
            done &= along_change(c, referrer, depth, done ? err : NULL);
    }
    return done;
}

/* What goes along does so whatever becomes of the others; `err` is the first one's. An index comes back only when all of
 * its images have. */
static bool
image_change(struct change *c, const char *digest, int depth, struct err *err)
{
    if (depth > DEPTH_MAX)
        return true; /* the rest stays as it is: it can be archived or restored by itself */
    if (c->archives && !record_change(c, digest, err))
        return false;
    const bool done = members_change(c, digest, depth, err);
    if (!c->archives && (!done || !record_change(c, digest, err)))
        return false;
    return referrers_change(c, digest, depth, done ? err : NULL) && done;
}

/* ---- the doors ---- */

static bool
not_supported(struct err *err)
{
    if (err != NULL && (err->code == ERR_RESOURCE_IN_USE || err->code == ERR_CONFLICT)) {
        err->code = ERR_STORAGE_CLASS_UPDATE;
        return err_context(err, "The image cannot be archived");
    }
    return false;
}

/* One that is cut short is found by the next collection. */
static bool
image_archive(struct change *c, const char *digest, struct err *err)
{
    if (image_change(c, digest, 0, err))
        return true;
    atomic_store(&c->reg->archive_is_whole, false);
    return false;
}

static struct change
change_of(struct view *v, int64_t now_ms)
{
    return (struct change){.view = v, .reg = v->reg, .region = v->region, .repository = v->repository, .archives = true,
                           .now_ms = now_ms, .changed = json_array(), .seen = json_object()};
}

bool
registry_image_archive(struct registry *reg, const char *region, const char *repository,
                       const char *digest, int64_t now_ms, struct err *err)
{
    cleanup(view_close_) struct view *v = NULL;
    char found[REGISTRY_DIGEST_SIZE];
    struct err why = {0};

    if (!registry_resolve(reg, region, repository, digest, found, err) || !view_open(reg, region, repository, &v, err))
        return false;
    cleanup(change_done) struct change c = change_of(v, now_ms);
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = view_lock(v);
    if (!view_refresh(v, err) || !registry_resolve(reg, region, repository, digest, found, err))
        return false;
    if ((image_is_archived(reg, region, repository, str_of(found)) || view_check_unneeded(v, found, ACTIVE_INDEXES, &why)) &&
        image_archive(&c, found, &why))
        return true;
    if (err != NULL)
        *err = why;
    return not_supported(err);
}

static bool
restore(struct change *c, const char *digest, struct err *err)
{
    cleanup(unlock_) pthread_mutex_t *lock UNUSED =
        repository_lock(c->reg, c->region, c->repository);
    char found[REGISTRY_DIGEST_SIZE];

    return registry_resolve(c->reg, c->region, c->repository, digest, found, err) && image_change(c, found, 0, err);
}

bool
registry_image_restore(struct registry *reg, const char *region, const char *repository,
                       const char *digest, int64_t now_ms, struct err *err)
{
    cleanup(change_done) struct change c = {.reg = reg, .region = region, .repository = repository, .now_ms = now_ms,
                                            .changed = json_array(), .seen = json_object()};

    if (!restore(&c, digest, err))
        return false;
    for (size_t i = 0; i < json_size(c.changed); i++) {
        const char *restored = json_cstr(json_at(c.changed, i), "");
        scan_pushed(reg, region, repository, restored);
        replication_pushed(reg, region, repository, restored);
    }
    return true;
}

bool
image_transition(struct view *v, const struct json *image, bool *archived_out, struct err *err)
{
    const char *digest = json_get_cstr(image, "digest", "");
    cleanup(change_done) struct change c = change_of(v, clock_wall_ms());
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = view_lock(v);

    *archived_out = false;
    if (!view_refresh(v, err))
        return false;
    if (!image_is_as_listed(v, image) || !view_check_unneeded(v, digest, ALL_INDEXES, NULL))
        return true;
    *archived_out = image_archive(&c, digest, err);
    return *archived_out;
}

/* ---- what was cut short ---- */

/* `digest` is archived, or was when its record was read. */
static bool
image_finish_archive(struct view *v, const char *digest, struct err *err)
{
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = view_lock(v);
    cleanup_json struct json *record = NULL;

    if (!view_refresh(v, err) || !image_record_find(v->reg, v->region, v->repository, digest, &record, err))
        return false;
    if (!record_is_archived(record))
        return true;
    cleanup(change_done) struct change c = change_of(v, json_get_i64(record, "archivedAt", 0));
    c.finishes = true;
    return image_change(&c, digest, 0, err);
}

static void
finish_failed(struct registry *reg, const char *name, const char *digest, const struct err *err)
{
    log_error("registry.archive_failed", "repository=%s digest=%s error=%s", name, digest, log_quote(err->message));
    atomic_store(&reg->archive_is_whole, false);
}

/* Does it have to be finished? A record that cannot be read may say so. */
static bool
may_be_unfinished(struct registry *reg, const char *region, const char *name, const char *digest)
{
    cleanup_json struct json *record = NULL;
    struct err why = {0};

    if (image_record_find(reg, region, name, digest, &record, &why))
        return record_is_archived(record);
    finish_failed(reg, name, digest, &why);
    return false;
}

/* One image's trouble is not the others'; without the tags of all, none can be finished. */
static bool
repository_finish(struct registry *reg, const char *region, const char *name, struct err *err)
{
    cleanup_free char *path = repository_path(reg, region, name, "_manifests");
    cleanup(view_close_) struct view *v = NULL;
    cleanup_json struct json *names = NULL;

    if (!disk_list(path, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        char digest[REGISTRY_DIGEST_SIZE];
        struct err why = {0};
        if (!digest_from_hex(str_of(json_cstr(json_at(names, i), "")), digest) ||
            !may_be_unfinished(reg, region, name, digest))
            continue;
        if (v == NULL && !view_open(reg, region, name, &v, err))
            return false;
        if (!image_finish_archive(v, digest, &why))
            finish_failed(reg, name, digest, &why);
    }
    return true;
}

/* One repository's trouble is not the others'. */
static bool
finish_one(void *arg, const char *region, const char *name, struct err *err)
{
    struct registry *reg = arg;
    struct err why = {0};

    (void)err;
    if (repository_finish(reg, region, name, &why) || !repository_check(reg, region, name, NULL))
        return true; /* or it was deleted meanwhile */
    log_error("registry.archive_failed", "repository=%s error=%s", name, log_quote(why.message));
    atomic_store(&reg->archive_is_whole, false);
    return true;
}

bool
archive_finish(struct registry *reg, struct err *err)
{
    if (atomic_exchange(&reg->archive_is_whole, true) || repository_each(reg, finish_one, reg, err))
        return true;
    atomic_store(&reg->archive_is_whole, false);
    return false;
}
