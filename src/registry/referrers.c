/* SPDX-License-Identifier: MIT */
/* referrers.c - which manifests of a repository have a given one as their subject: signatures,
 * bills of materials, attestations. R/_referrers/<hex of the subject>/<hex of the referrer> is a
 * hint that is written before the referrer's record and removed after it; what counts is the
 * referrer's own bytes. Clients that pushed where there was no referrers API kept an index under a
 * tag instead
 * ("sha256-<hex>"): whatever is named there and says so itself is a referrer, too. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/log.h"
#include "registry/internal.h"
#include "registry/manifest.h"
#include "registry/reference.h"

#define FALLBACK_HEX 64 /* digits of a digest in a tag of the fallback schema */
#define PAGE_BYTES (3 << 20)
#define PAGE_COUNT 1000

static char *
subject_path(const struct registry *reg, const char *region, const char *repository,
             struct str subject)
{
    return repository_leaf_path(reg, region, repository, "_referrers", digest_hex(subject));
}

bool
referrer_link(struct registry *reg, const char *region, const char *repository, struct str subject,
              struct str digest, struct err *err)
{
    cleanup_free char *directory = subject_path(reg, region, repository, subject);
    cleanup_free char *path = text_format("%s/" STR_FMT, directory, STR_ARG(digest_hex(digest)));

    if (!disk_make_dirs(reg->root_dir, directory, err))
        return false;
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_errno(err, "cannot note a referrer in '%s'", repository);
    return disk_sync_parent(path, err);
}

bool
referrer_unlink(struct registry *reg, const char *region, const char *repository,
                struct str subject, struct str digest, struct err *err)
{
    cleanup_free char *directory = subject_path(reg, region, repository, subject);
    cleanup_free char *path = text_format("%s/" STR_FMT, directory, STR_ARG(digest_hex(digest)));

    if (!disk_remove(path, err))
        return false;
    rmdir(directory); /* if that was the last one; an empty directory does no harm */
    return true;
}

/* ---- candidates ---- */

char *
referrers_tag(struct str subject)
{
    return text_format(STR_FMT "-" STR_FMT, STR_ARG(digest_algorithm(subject)),
                       STR_ARG(str_slice(digest_hex(subject), 0, FALLBACK_HEX)));
}

static void
candidate_add(struct json *candidates, struct json *known, const char *hex)
{
    char digest[REGISTRY_DIGEST_SIZE];

    if (!digest_from_hex(str_of(hex), digest) || json_get(known, hex) != NULL)
        return;
    json_append(candidates, json_text(hex));
    json_set(known, hex, json_bool(true));
}

/* What the index under the fallback tag names. */
static void
fallback_add(struct registry *reg, const char *region, const char *repository, struct str subject,
             struct json *candidates, struct json *known)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    cleanup(arena_done) struct arena arena = {0};
    char digest[REGISTRY_DIGEST_SIZE], type[REGISTRY_MEDIA_TYPE_SIZE];
    struct manifest m;
    struct err why = {0};
    bool is_archived;
    cleanup_free char *tag = referrers_tag(subject);

    if (!image_manifest_read(reg, region, repository, tag, /* archived_too= */ true, &bytes, digest, type,
                       &is_archived, &why)) {
        if (why.code == ERR_INTERNAL)
            log_error("registry.referrer_damaged", "repository=%s tag=%s error=%s", repository, tag, log_quote(why.message));
        return;
    }
    if (!media_type_is_index(str_of(type)))
        return;
    manifest_guess(strbuf_str(&bytes), &arena, &m);
    for (size_t i = 0; i < m.reference_count; i++) {
        cleanup_free char *name = str_dup(digest_hex(m.references[i].digest));
        candidate_add(candidates, known, name);
    }
}

bool
referrers_list(const struct registry *reg, const char *region, const char *repository,
               struct str subject, struct json **out, struct err *err)
{
    cleanup_free char *directory = subject_path(reg, region, repository, subject);
    return disk_list(directory, out, err);
}

static bool
candidates_read(struct registry *reg, const char *region, const char *repository,
                struct str subject, struct json **out, struct err *err)
{
    cleanup_json struct json *names = NULL, *known = json_object(), *all = json_array();

    if (!referrers_list(reg, region, repository, subject, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++)
        candidate_add(all, known, json_cstr(json_at(names, i), ""));
    fallback_add(reg, region, repository, subject, all, known);
    *out = texts_sorted(all);
    return true;
}

/* ---- descriptors ---- */

struct json *
referrer_descriptor(const struct json *document, const char *digest, const char *media_type,
                size_t size)
{
    const char *artifact = json_get_cstr(document, "artifactType", "");
    struct json *descriptor = json_object();
    struct json *annotations = json_get(document, "annotations");

    if (artifact[0] == '\0' && !media_type_is_index(str_of(media_type)))
        artifact = json_get_cstr(json_get(document, "config"), "mediaType", "");
    json_set(descriptor, "mediaType", json_text(media_type));
    json_set(descriptor, "digest", json_text(digest));
    json_set(descriptor, "size", json_int((int64_t)size));
    if (artifact[0] != '\0')
        json_set(descriptor, "artifactType", json_text(artifact));
    if (json_type(annotations) == JSON_OBJECT)
        json_set(descriptor, "annotations", json_ref(annotations));
    return descriptor;
}

/* The descriptor of a candidate; NULL if it is no referrer of `subject`, or not any more, or cannot be read. */
static struct json *
candidate_describe(struct registry *reg, const char *region, const char *repository,
                   struct str subject, const char *hex, bool archived_too)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    bool is_archived;
    char wanted[REGISTRY_DIGEST_SIZE], digest[REGISTRY_DIGEST_SIZE], type[REGISTRY_MEDIA_TYPE_SIZE];
    struct err why = {0};

    if (!digest_from_hex(str_of(hex), wanted))
        return NULL;
    if (!image_manifest_read(reg, region, repository, wanted, archived_too, &bytes, digest, type, &is_archived, &why)) {
        if (why.code != ERR_IMAGE_ARCHIVED && manifest_is_linked(reg, region, repository, str_of(wanted)))
            log_error("registry.referrer_damaged", "repository=%s digest=%s error=%s", repository, wanted,
                      log_quote(why.message));
        return NULL;
    }
    cleanup_json struct json *document = json_parse(strbuf_str(&bytes), NULL);
    if (!str_is(subject, json_get_cstr(json_get(document, "subject"), "digest", "")))
        return NULL;
    struct json *descriptor = referrer_descriptor(document, digest, type, bytes.len);
    if (is_archived)
        json_set(descriptor, REGISTRY_REFERRER_STATUS, json_text("ARCHIVED"));
    return descriptor;
}

/* ---- one page ---- */

static bool
page_takes(struct registry_referrers *page, struct json *descriptor, size_t *bytes)
{
    cleanup_free char *text = json_format(descriptor);

    *bytes += strlen(text) + 1;
    /* One always fits, or the next page would begin where this one did. */
    if (json_size(page->descriptors) > 0 &&
        (*bytes > PAGE_BYTES || json_size(page->descriptors) >= PAGE_COUNT))
        return false;
    text_copy_all(page->last, sizeof page->last, json_get_cstr(descriptor, "digest", ""));
    json_append(page->descriptors, descriptor);
    return true;
}

static bool
is_filtered_out(const struct json *descriptor, const char *artifact_type)
{
    return artifact_type != NULL &&
           strcmp(json_get_cstr(descriptor, "artifactType", ""), artifact_type) != 0;
}

bool
registry_referrers(struct registry *reg, const char *region, const char *repository,
                   const char *subject, const char *artifact_type, bool archived_too,
                   const char *after, struct registry_referrers *out, struct err *err)
{
    cleanup_json struct json *candidates = NULL;
    size_t bytes = 0;

    if (!digest_is_valid(str_of(subject)) || (after != NULL && !digest_is_valid(str_of(after))))
        return err_set(err, ERR_DIGEST_INVALID, "'%.140s' is no digest", subject);
    if (!repository_check(reg, region, repository, err) ||
        !candidates_read(reg, region, repository, str_of(subject), &candidates, err))
        return false;
    *out = (struct registry_referrers){.descriptors = json_array()};
    for (size_t i = 0; i < json_size(candidates) && !out->has_more; i++) {
        const char *hex = json_cstr(json_at(candidates, i), "");
        if (after != NULL && strcmp(hex, digest_hex(str_of(after)).at) <= 0)
            continue;
        struct json *descriptor = candidate_describe(reg, region, repository, str_of(subject), hex, archived_too);
        if (descriptor == NULL || is_filtered_out(descriptor, artifact_type) ||
            !page_takes(out, descriptor, &bytes)) {
            out->has_more = descriptor != NULL && !is_filtered_out(descriptor, artifact_type);
            json_unref(descriptor);
        }
    }
    return true;
}

void
registry_referrers_done(struct registry_referrers *r)
{
    json_unref(r->descriptors);
    r->descriptors = NULL;
}
