/* SPDX-License-Identifier: MIT */
/* image_list.c - what is told of images: their records with their tags and the time of their last pull, which is noted
 * here, too. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "registry/internal.h"
#include "registry/reference.h"

#define PULL_NOTED_EVERY_MS (60LL * 1000)

/* ---- pulls ---- */

static char *
pull_path(const struct registry *reg, const char *region, const char *name, const char *digest)
{
    return repository_leaf_path(reg, region, name, "_pulls", digest_hex(str_of(digest)));
}

/* When it was pulled last, or 0. */
static int64_t
pulled_ms(const struct registry *reg, const char *region, const char *name, const char *digest)
{
    cleanup_free char *path = pull_path(reg, region, name, digest);
    struct stat st;

    if (stat(path, &st) < 0)
        return 0;
    return (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

static bool
pull_is_excluded(struct registry *reg, const char *region, const char *principal)
{
    cleanup_json struct json *document = NULL;

    return principal != NULL && registry_document_get(reg, region, &document, NULL) &&
           json_get(json_get(document, REGISTRY_PULL_EXCLUSIONS), principal) != NULL;
}

void
registry_image_pulled(struct registry *reg, const char *region, const char *repository,
                      const char *digest, const char *principal, int64_t now_ms)
{
    const struct timespec now = {now_ms / 1000, now_ms % 1000 * 1000000};
    const struct timespec times[2] = {now, now};

    if (now_ms - pulled_ms(reg, region, repository, digest) < PULL_NOTED_EVERY_MS ||
        pull_is_excluded(reg, region, principal))
        return;
    cleanup_free char *path = pull_path(reg, region, repository, digest);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0 && errno == ENOENT) { /* the first pull of this repository */
        cleanup_free char *folder = repository_path(reg, region, repository, "_pulls");
        if (mkdir(folder, 0750) == 0 || errno == EEXIST)
            fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    }
    if (fd < 0)
        return;
    (void)!futimens(fd, times);
    close(fd);
}

/* ---- lists ---- */

/* All tags as an object of tag to digest, in order. */
static bool
tags_read(struct registry *reg, const char *region, const char *repository, struct json **out,
          struct err *err)
{
    cleanup_free char *path = repository_path(reg, region, repository, "_tags");
    cleanup_json struct json *names = NULL;

    if (!disk_list(path, &names, err))
        return false;
    cleanup_json struct json *tags = json_object();
    for (size_t i = 0; i < json_size(names); i++) {
        const char *tag = json_cstr(json_at(names, i), "");
        char digest[REGISTRY_DIGEST_SIZE];
        if (!tag_read(reg, region, repository, tag, digest, err))
            return false;
        if (digest[0] != '\0')
            json_set(tags, tag, json_text(digest));
    }
    *out = TAKE(tags);
    return true;
}

void
image_finish(const struct registry *reg, const char *region, const char *repository,
             const char *digest, struct json *image, struct json *tags)
{
    const int64_t pulled = pulled_ms(reg, region, repository, digest);

    json_set(image, "digest", json_text(digest));
    if (pulled > 0)
        json_set(image, "pulledAt", json_int(pulled));
    json_set(image, "tags", tags);
}

static bool
image_describe(struct registry *reg, const char *region, const char *repository, const char *digest,
               const struct json *tags, struct json **out, struct err *err)
{
    struct json *own = json_array();

    if (!image_record_read(reg, region, repository, str_of(digest), out, err)) {
        json_unref(own);
        return false;
    }
    for (void *it = json_first(tags); it != NULL; it = json_next(tags, it))
        if (strcmp(json_cstr(json_value(it), ""), digest) == 0)
            json_append(own, json_text(json_key(it)));
    image_finish(reg, region, repository, digest, *out, own);
    return true;
}

struct listed {
    int64_t pushed_ms;
    const char *digest;
    struct json *image;
};

static int
newest_first(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    if (x->pushed_ms != y->pushed_ms)
        return x->pushed_ms < y->pushed_ms ? 1 : -1;
    return strcmp(x->digest, y->digest);
}

/* Tags of one image each, found by digest without asking every image about every tag. */
static struct json *
tags_by_digest(const struct json *tags)
{
    struct json *by_digest = json_object();

    for (void *it = json_first(tags); it != NULL; it = json_next(tags, it)) {
        const char *digest = json_cstr(json_value(it), "");
        if (json_get(by_digest, digest) == NULL)
            json_set(by_digest, digest, json_array());
        json_append(json_get(by_digest, digest), json_text(json_key(it)));
    }
    return by_digest;
}

/* One that cannot be read is not listed, but said. NULL: or it was removed while we read. */
static struct json *
record_of_list(const struct registry *reg, const char *region, const char *repository, const char *digest)
{
    struct json *record;
    struct err why = {0};

    if (!image_record_find(reg, region, repository, digest, &record, &why))
        image_is_damaged(repository, digest, &why);
    return record;
}

bool
registry_images(struct registry *reg, const char *region, const char *repository, struct json **out,
                struct err *err)
{
    cleanup_free char *path = repository_path(reg, region, repository, "_manifests");
    cleanup_json struct json *tags = NULL, *names = NULL;

    if (!repository_check(reg, region, repository, err) ||
        !tags_read(reg, region, repository, &tags, err) || !disk_list(path, &names, err))
        return false;
    cleanup_json struct json *by_digest = tags_by_digest(tags);
    size_t count = 0;
    cleanup_free struct listed *listed = mem_new((json_size(names) + 1) * sizeof *listed);
    for (size_t i = 0; i < json_size(names); i++) {
        char digest[REGISTRY_DIGEST_SIZE];
        struct json *image;
        if (!digest_from_hex(str_of(json_cstr(json_at(names, i), "")), digest) ||
            (image = record_of_list(reg, region, repository, digest)) == NULL)
            continue;
        struct json *own = json_get(by_digest, digest);
        image_finish(reg, region, repository, digest, image, own ? json_ref(own) : json_array());
        listed[count++] = (struct listed){json_get_i64(image, "pushedAt", 0),
                                          json_get_cstr(image, "digest", ""), image};
    }
    qsort(listed, count, sizeof *listed, newest_first);
    struct json *images = json_array();
    for (size_t i = 0; i < count; i++)
        json_append(images, listed[i].image);
    *out = images;
    return true;
}

bool
registry_image_get(struct registry *reg, const char *region, const char *repository,
                   const char *reference, struct json **out, struct err *err)
{
    char digest[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *tags = NULL;

    return registry_resolve(reg, region, repository, reference, digest, err) &&
           tags_read(reg, region, repository, &tags, err) &&
           image_describe(reg, region, repository, digest, tags, out, err);
}
