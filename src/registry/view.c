/* SPDX-License-Identifier: MIT */
/* view.c - which tags an image has, and which indexes name it, asked of many images or before one is removed.
 * Finding out takes a file for each tag and for each image of the repository: seconds, where it has ten thousand, which
 * is too long for its lock. So it is read beside pushes; what changes meanwhile is told by name, and only that is read
 * again under the lock. An image that cannot be read is passed over and said. What it names is told by the bytes of its
 * manifest; where these are lost, too, it may name any other. */
#include "registry/internal.h"
#include "registry/manifest.h"
#include "registry/reference.h"

/* ---- members of members ---- */

static void
pair_add(struct json *all, const char *key, const char *member)
{
    if (json_get(all, key) == NULL)
        json_set(all, key, json_object());
    json_set(json_get(all, key), member, json_bool(true));
}

static void
pair_remove(struct json *all, const char *key, const char *member)
{
    struct json *one = json_get(all, key);

    if (one == NULL)
        return;
    json_delete(one, member);
    if (json_size(one) == 0)
        json_delete(all, key);
}

/* ---- reading ---- */

static bool
tag_read_again(struct view *v, const char *tag, struct err *err)
{
    char digest[REGISTRY_DIGEST_SIZE], old[REGISTRY_DIGEST_SIZE];

    if (!tag_read(v->reg, v->region, v->repository, tag, digest, err))
        return false;
    text_copy_all(old, sizeof old, json_get_cstr(v->tags, tag, ""));
    pair_remove(v->of_digest, old, tag);
    json_delete(v->tags, tag);
    if (digest[0] == '\0')
        return true;
    json_set(v->tags, tag, json_text(digest));
    pair_add(v->of_digest, digest, tag);
    return true;
}

static void
index_forget(struct view *v, const char *digest)
{
    const struct json *names = json_get(json_get(v->indexes, digest), "names");

    for (void *it = json_first(names); it != NULL; it = json_next(names, it))
        pair_remove(v->named, json_key(it), digest);
    json_delete(v->indexes, digest);
    json_delete(v->unread, digest);
}

static void
index_note(struct view *v, const char *digest, bool is_archived, const struct manifest *m)
{
    struct json *index = json_object(), *names = json_object();

    for (size_t i = 0; i < m->reference_count; i++) {
        char name[REGISTRY_DIGEST_SIZE];
        if (!text_copy(name, sizeof name, m->references[i].digest))
            continue;
        json_set(names, name, json_bool(true));
        pair_add(v->named, name, digest);
    }
    json_set(index, "isArchived", json_bool(is_archived));
    json_set(index, "names", names);
    json_set(v->indexes, digest, index);
}

static void
image_read_again(struct view *v, const char *digest)
{
    cleanup(arena_done) struct arena arena = {0};
    cleanup(strbuf_done) struct strbuf bytes = {0};
    cleanup_json struct json *record = NULL;
    struct manifest m;
    struct err why = {0};

    index_forget(v, digest);
    const bool has_record = image_record_find(v->reg, v->region, v->repository, digest, &record, &why);
    if (has_record && !media_type_is_index(str_of(json_get_cstr(record, "mediaType", ""))))
        return;
    const bool is_read = blob_read_whole(v->reg, str_of(digest), &bytes, &why);
    if (!manifest_is_linked(v->reg, v->region, v->repository, str_of(digest)))
        return; /* removed while we read */
    if (!has_record || !is_read)
        image_is_damaged(v->repository, digest, &why);
    if (!is_read) {
        json_set(v->unread, digest, json_bool(record_is_archived(record)));
        return;
    }
    manifest_guess(strbuf_str(&bytes), &arena, &m);
    index_note(v, digest, record_is_archived(record), &m);
}

static bool
tags_read_all(struct view *v, struct err *err)
{
    cleanup_free char *path = repository_path(v->reg, v->region, v->repository, "_tags");
    cleanup_json struct json *names = NULL;

    if (!disk_list(path, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++)
        if (!tag_read_again(v, json_cstr(json_at(names, i), ""), err))
            return false;
    return true;
}

static bool
images_read_all(struct view *v, struct err *err)
{
    cleanup_free char *path = repository_path(v->reg, v->region, v->repository, "_manifests");
    cleanup_json struct json *names = NULL;

    if (!disk_list(path, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        char digest[REGISTRY_DIGEST_SIZE];
        if (digest_from_hex(str_of(json_cstr(json_at(names, i), "")), digest))
            image_read_again(v, digest);
    }
    return true;
}

/* ---- what is told ---- */

static bool
is_of(const struct view *v, const char *region, const char *repository)
{
    return strcmp(v->repository, repository) == 0 && strcmp(v->region, region) == 0;
}

void
views_tell_tag(struct registry *reg, const char *region, const char *repository, const char *tag)
{
    pthread_mutex_lock(&reg->views_lock);
    for (struct view *v = reg->views; v != NULL; v = v->next)
        if (is_of(v, region, repository))
            json_set(v->told_tags, tag, json_bool(true));
    pthread_mutex_unlock(&reg->views_lock);
}

void
views_tell_image(struct registry *reg, const char *region, const char *repository, const char *digest)
{
    pthread_mutex_lock(&reg->views_lock);
    for (struct view *v = reg->views; v != NULL; v = v->next)
        if (is_of(v, region, repository))
            json_set(v->told_images, digest, json_bool(true));
    pthread_mutex_unlock(&reg->views_lock);
}

/* ---- from open to close ---- */

/* In the list first: what changes from now on is told. */
static void
view_enter(struct registry *reg, struct view *v)
{
    pthread_mutex_lock(&reg->views_lock);
    v->next = reg->views;
    reg->views = v;
    pthread_mutex_unlock(&reg->views_lock);
}

bool
view_open(struct registry *reg, const char *region, const char *repository, struct view **out,
          struct err *err)
{
    if (!repository_check(reg, region, repository, err))
        return false;
    struct view *v = mem_new(sizeof *v);
    v->reg = reg;
    text_copy_all(v->region, sizeof v->region, region);
    text_copy_all(v->repository, sizeof v->repository, repository);
    v->tags = json_object();
    v->of_digest = json_object();
    v->indexes = json_object();
    v->named = json_object();
    v->unread = json_object();
    v->told_tags = json_object();
    v->told_images = json_object();
    view_enter(reg, v);
    if (tags_read_all(v, err) && images_read_all(v, err)) {
        *out = v;
        return true;
    }
    view_close(v);
    return false;
}

void
view_close(struct view *v)
{
    if (v == NULL)
        return;
    pthread_mutex_lock(&v->reg->views_lock);
    for (struct view **at = &v->reg->views; *at != NULL; at = &(*at)->next)
        if (*at == v) {
            *at = v->next;
            break;
        }
    pthread_mutex_unlock(&v->reg->views_lock);
    json_unref(v->tags);
    json_unref(v->of_digest);
    json_unref(v->indexes);
    json_unref(v->named);
    json_unref(v->unread);
    json_unref(v->told_tags);
    json_unref(v->told_images);
    free(v);
}

static bool
told_read(struct view *v, const struct json *tags, const struct json *images, struct err *err)
{
    for (void *it = json_first(tags); it != NULL; it = json_next(tags, it))
        if (!tag_read_again(v, json_key(it), err))
            return false;
    for (void *it = json_first(images); it != NULL; it = json_next(images, it))
        image_read_again(v, json_key(it));
    return true;
}

static void
told_add(struct json *told, const struct json *more)
{
    for (void *it = json_first(more); it != NULL; it = json_next(more, it))
        json_set(told, json_key(it), json_bool(true));
}

bool
view_refresh(struct view *v, struct err *err)
{
    pthread_mutex_lock(&v->reg->views_lock);
    cleanup_json struct json *tags = v->told_tags, *images = v->told_images;
    v->told_tags = json_object();
    v->told_images = json_object();
    pthread_mutex_unlock(&v->reg->views_lock);
    if (told_read(v, tags, images, err))
        return true;
    /* Who asks next, of another image perhaps, must not be answered as of before. */
    pthread_mutex_lock(&v->reg->views_lock);
    told_add(v->told_tags, tags);
    told_add(v->told_images, images);
    pthread_mutex_unlock(&v->reg->views_lock);
    return false;
}

pthread_mutex_t *
view_lock(const struct view *v)
{
    return repository_lock(v->reg, v->region, v->repository);
}

/* ---- questions ---- */

struct json *
view_tags(const struct view *v, const char *digest)
{
    const struct json *tags = json_get(v->of_digest, digest);
    cleanup_json struct json *list = json_array();

    for (void *it = json_first(tags); it != NULL; it = json_next(tags, it))
        json_append(list, json_text(json_key(it)));
    return texts_sorted(list);
}

const char *
view_index_of(const struct view *v, const char *digest, enum indexes which)
{
    const struct json *indexes = json_get(v->named, digest);

    for (void *it = json_first(indexes); it != NULL; it = json_next(indexes, it))
        if (which == ALL_INDEXES ||
            !json_truth(json_get(json_get(v->indexes, json_key(it)), "isArchived"), false))
            return json_key(it);
    return NULL;
}

const char *
view_unread(const struct view *v, const char *digest, enum indexes which)
{
    for (void *it = json_first(v->unread); it != NULL; it = json_next(v->unread, it))
        if (strcmp(json_key(it), digest) != 0 && (which == ALL_INDEXES || !json_truth(json_value(it), false)))
            return json_key(it);
    return NULL;
}

bool
view_check_unneeded(const struct view *v, const char *digest, enum indexes which, struct err *err)
{
    cleanup(strbuf_done) struct strbuf users = {0};
    const char *index;

    if (image_is_in_use(v->reg, v->region, v->repository, digest, &users))
        return err_set(err, ERR_RESOURCE_IN_USE, "the image '%s' is in use by %s", digest,
                       strbuf_cstr(&users));
    if ((index = view_index_of(v, digest, which)) != NULL)
        return err_set(err, ERR_CONFLICT, "Requested image referenced by manifest list: [%s]", index);
    index = view_unread(v, digest, which);
    return index == NULL ||
           err_set(err, ERR_CONFLICT,
                   "Requested image may be referenced by manifest list: [%s], which cannot be read: push that again, or "
                   "delete it", index);
}
