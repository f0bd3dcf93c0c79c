/* SPDX-License-Identifier: MIT */
#include "registry/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "io/file.h"
#include "registry/internal.h"
#include "registry/manifest.h"
#include "registry/reference.h"

#define PIECE ((size_t)1 << 20)
#define PROGRESS_EVERY (64LL << 20)
#define RECORD_MAX (64 << 10)
#define PUSH_AGAIN "push the image again"

struct verify {
    struct registry reg; /* its directories only */
    const struct registry_verify_options *options;
    struct registry_verify result;
    struct json *damaged; /* digest -> true */
    int64_t all_bytes, said_bytes;
    char *piece;
};

static void PRINTF_LIKE(4, 5)
    problem(struct verify *v, const char *kind, const char *remedy, const char *format, ...)
{
    char what[2048];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    v->result.problems++;
    if (v->options->problem != NULL)
        v->options->problem(v->options->arg, &(const struct registry_problem){kind, what, remedy});
}

static void
progress(struct verify *v, bool at_once)
{
    if (v->options->progress == NULL ||
        (!at_once && v->result.bytes - v->said_bytes < PROGRESS_EVERY))
        return;
    v->said_bytes = v->result.bytes;
    v->options->progress(v->options->arg, v->result.bytes, v->all_bytes);
}

/* ---- blobs ---- */

/* The digest of the file's bytes by the algorithm of `like`. False: it cannot be read (errno). */
static bool
file_digest(struct verify *v, const char *path, struct str like,
            char out[static REGISTRY_DIGEST_SIZE])
{
    const bool is_sha512 = str_is(digest_algorithm(like), "sha512");
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct sha256 *h256 = sha256_new();
    struct sha512 *h512 = sha512_new();
    unsigned char hash[SHA256_LEN];
    char hex[SHA512_HEX + 1];
    ssize_t n = -1;

    /* Of the disk, not of the memory that a push filled. */
    if (fd >= 0)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    while (fd >= 0 && ((n = read(fd, v->piece, PIECE)) > 0 || (n < 0 && errno == EINTR))) {
        if (n < 0)
            continue;
        if (is_sha512)
            sha512_add(h512, v->piece, (size_t)n);
        else
            sha256_add(h256, v->piece, (size_t)n);
        v->result.bytes += n;
        progress(v, /* at_once= */ false);
    }
    const int error = errno;
    sha512_finish_hex(h512, hex);
    if (!is_sha512) {
        sha256_finish(h256, hash);
        hex_encode(hash, sizeof hash, hex);
    }
    sha256_free(h256);
    errno = error;
    snprintf(out, REGISTRY_DIGEST_SIZE, "%s:%s", is_sha512 ? "sha512" : "sha256", hex);
    return fd >= 0 && n == 0;
}

/* Out of the way, so that pushes bring it again. */
static bool
blob_set_aside(struct verify *v, const char *path, struct str digest)
{
    cleanup_free char *folder = text_format("%s/damaged", v->reg.blobs_dir);
    cleanup_free char *to = text_format("%s/" STR_FMT, folder, STR_ARG(digest_hex(digest)));

    if (!file_make_dirs(folder, 0750, NULL) || rename(path, to) < 0)
        return false;
    v->result.repaired++;
    return disk_sync_parent(path, NULL) && disk_sync_parent(to, NULL);
}

static void
blob_is_broken(struct verify *v, const char *path, struct str digest, const char *how)
{
    const bool is_aside = v->options->repair && blob_set_aside(v, path, digest);
    cleanup_free char *remedy =
        is_aside ? text_format("it was moved to %s/damaged; " PUSH_AGAIN " that needs it",
                               v->reg.blobs_dir)
                 : text_format(
                       "run `naru registry verify --repair`, or remove the file; then " PUSH_AGAIN
                       " that needs it");

    cleanup_free char *key = str_dup(digest);
    json_set(v->damaged, key, json_bool(true));
    problem(v, "BlobDamaged", remedy, "the blob '%s' %s", path, how);
}

static void
blob_verify(struct verify *v, const char *path, struct str digest)
{
    char found[REGISTRY_DIGEST_SIZE];
    struct stat st;

    if (lstat(path, &st) < 0)
        return; /* collected meanwhile */
    v->result.blobs++;
    if (!S_ISREG(st.st_mode)) {
        problem(v, "BlobDamaged", "remove it", "'%s' is no file", path);
    } else if (!file_digest(v, path, digest, found)) {
        if (errno == ENOENT)
            return;
        cleanup_free char *how = text_format("cannot be read: %s", strerror(errno));
        blob_is_broken(v, path, digest, how);
    } else if (!str_is(digest, found)) {
        cleanup_free char *how = text_format("has the bytes of '%s'", found);
        blob_is_broken(v, path, digest, how);
    }
    progress(v, /* at_once= */ true);
}

/* Calls for each blob file, `digest` empty for what has no business there. */
static bool
blobs_each(struct verify *v, const char *algorithm,
           void (*call)(struct verify *v, const char *path, struct str digest), struct err *err)
{
    for (unsigned i = 0; i < 256; i++) {
        cleanup_free char *folder = text_format("%s/%s/%02x", v->reg.blobs_dir, algorithm, i);
        cleanup_json struct json *names = NULL;
        if (!disk_list(folder, &names, err))
            return false;
        for (size_t n = 0; n < json_size(names); n++) {
            const char *name = json_cstr(json_at(names, n), "");
            cleanup_free char *path = text_format("%s/%s", folder, name);
            char digest[REGISTRY_DIGEST_SIZE] = "";
            char start[3];
            snprintf(start, sizeof start, "%02x", i);
            if (!digest_from_hex(str_of(name), digest) || strncmp(name, start, 2) != 0 ||
                strncmp(digest, algorithm, 6) != 0)
                digest[0] = '\0';
            call(v, path, str_of(digest));
        }
    }
    return true;
}

static void
blob_count(struct verify *v, const char *path, struct str digest)
{
    struct stat st;

    if (digest.len > 0 && lstat(path, &st) == 0)
        v->all_bytes += st.st_size;
}

static void
blob_look(struct verify *v, const char *path, struct str digest)
{
    if (digest.len > 0)
        blob_verify(v, path, digest);
    else
        problem(v, "StrayFile", "remove it: nothing reads it", "'%s' is named like no blob", path);
}

/* ---- repositories ---- */

struct place {
    struct verify *v;
    const char *region, *name;
};

/* A JSON object from a small file; NULL if it is none. */
static struct json *
document_read(const char *path)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};

    if (!file_read(path, RECORD_MAX * 8, &bytes, NULL))
        return NULL;
    struct json *document = json_parse(strbuf_str(&bytes), NULL);
    if (json_type(document) == JSON_OBJECT)
        return document;
    json_unref(document);
    return NULL;
}

static char *
place_path(const struct place *p, const char *folder, const char *leaf)
{
    cleanup_free char *below = text_format("%s%s%s", folder, leaf[0] ? "/" : "", leaf);
    return repository_path(&p->v->reg, p->region, p->name, below);
}

static bool
is_damaged(const struct verify *v, struct str digest)
{
    cleanup_free char *key = str_dup(digest);
    return json_get(v->damaged, key) != NULL;
}

static void
reference_verify(struct place *p, const char *image, const struct manifest_reference *r)
{
    struct verify *v = p->v;
    int64_t size = -1;

    if (r->is_foreign || !manifest_is_linked(&v->reg, p->region, p->name, str_of(image)))
        return;
    if (is_damaged(v, r->digest)) {
        problem(v, "ImageBroken", PUSH_AGAIN,
                "the image '%s@%s' (%s) needs the damaged blob '" STR_FMT "'", p->name, image,
                p->region, STR_ARG(r->digest));
    } else if (!blob_size(&v->reg, r->digest, &size)) {
        problem(v, "BlobMissing", PUSH_AGAIN,
                "the image '%s@%s' (%s) needs the blob '" STR_FMT "', which is not there", p->name,
                image, p->region, STR_ARG(r->digest));
    } else if (size != r->size) {
        problem(v, "ImageBroken", PUSH_AGAIN,
                "the image '%s@%s' (%s) gives the blob '" STR_FMT "' %lld bytes, but it has %lld",
                p->name, image, p->region, STR_ARG(r->digest), (long long)r->size, (long long)size);
    } else if (reference_is_manifest(&v->reg, p->region, p->name, r)
                   ? !manifest_is_linked(&v->reg, p->region, p->name, r->digest)
                   : !layer_is_linked(&v->reg, p->region, p->name, r->digest)) {
        problem(v, "LinkMissing", PUSH_AGAIN,
                "the image '%s@%s' (%s) needs '" STR_FMT "', which its repository does not hold",
                p->name, image, p->region, STR_ARG(r->digest));
    }
}

/* Everything of one image; false where it has gone while we looked. */
static void
image_verify(struct place *p, const char *hex)
{
    cleanup_free char *path = place_path(p, "_manifests", hex);
    cleanup(arena_done) struct arena arena = {0};
    cleanup(strbuf_done) struct strbuf bytes = {0};
    char digest[REGISTRY_DIGEST_SIZE];
    struct manifest m = {0};
    struct verify *v = p->v;

    if (!digest_from_hex(str_of(hex), digest)) {
        problem(v, "StrayFile", "remove it: nothing reads it", "'%s' is named like no manifest",
                path);
        return;
    }
    v->result.images++;
    cleanup_json struct json *record = document_read(path);
    if (record == NULL) {
        if (file_exists(path))
            problem(v, "RecordDamaged", PUSH_AGAIN ", or delete it",
                    "'%s' is no record of an image", path);
        return;
    }
    if (!blob_read(&v->reg, str_of(digest), &bytes, NULL)) {
        if (file_exists(path))
            problem(v, "ManifestMissing", PUSH_AGAIN ", or delete it",
                    "the manifest of the image '%s@%s' (%s) is not there", p->name, digest,
                    p->region);
        return;
    }
    if (is_damaged(v, str_of(digest))) {
        problem(v, "ImageBroken", PUSH_AGAIN, "the manifest of the image '%s@%s' (%s) is damaged",
                p->name, digest, p->region);
        return;
    }
    struct str type = str_of(json_get_cstr(record, "mediaType", ""));
    if (!manifest_parse(strbuf_str(&bytes), type, &arena, &m, NULL))
        manifest_guess(strbuf_str(&bytes), &arena, &m);
    for (size_t i = 0; i < m.reference_count; i++)
        reference_verify(p, digest, &m.references[i]);
}

static void
tag_verify(struct place *p, const char *tag)
{
    cleanup_free char *path = place_path(p, "_tags", tag);
    char digest[REGISTRY_DIGEST_SIZE] = "";

    p->v->result.tags++;
    /* Twice: between reading a tag and asking for its image, both may have been replaced. */
    for (int i = 0; i < 2; i++) {
        cleanup(strbuf_done) struct strbuf bytes = {0};
        if (!file_read(path, RECORD_MAX, &bytes, NULL) && !file_exists(path))
            return;
        struct str text = str_trim(strbuf_str(&bytes));
        if (tag_is_valid(str_of(tag)) && digest_is_valid(text) &&
            manifest_is_linked(&p->v->reg, p->region, p->name, text))
            return;
        text_copy(digest, sizeof digest, digest_is_valid(text) ? text : STR(""));
    }
    if (digest[0] == '\0')
        problem(p->v, "TagDamaged", "remove the file; then push the tag again",
                "'%s' names no digest", path);
    else
        problem(p->v, "TagBroken", "push the tag again, or delete it",
                "the tag '%s:%s' (%s) leads to '%s', which is not there", p->name, tag, p->region,
                digest);
}

static bool
repository_verify(void *arg, const char *region, const char *name, struct err *err)
{
    static const char *const leaves[] = {"_manifests", "_tags", "_layers"};
    struct place p = {arg, region, name};

    p.v->result.repositories++;
    cleanup_free char *document = repository_path(&p.v->reg, region, name, "_repository.json");
    cleanup_json struct json *read = document_read(document);
    if (read == NULL && file_exists(document))
        problem(p.v, "RecordDamaged",
                "restore it from a backup, or delete and create the repository",
                "'%s' is no description of a repository", document);
    for (size_t i = 0; i < ARRAY_COUNT(leaves); i++) {
        cleanup_free char *folder = repository_path(&p.v->reg, region, name, leaves[i]);
        cleanup_json struct json *names = NULL;
        if (!disk_list(folder, &names, err))
            return false;
        for (size_t n = 0; n < json_size(names); n++) {
            const char *leaf = json_cstr(json_at(names, n), "");
            if (i == 0)
                image_verify(&p, leaf);
            else if (i == 1)
                tag_verify(&p, leaf);
            else
                p.v->result.links++;
        }
    }
    return true;
}

static bool
verify_run(struct verify *v, struct err *err)
{
    return blobs_each(v, "sha256", blob_count, err) && blobs_each(v, "sha512", blob_count, err) &&
           blobs_each(v, "sha256", blob_look, err) && blobs_each(v, "sha512", blob_look, err) &&
           repository_each(&v->reg, repository_verify, v, err);
}

bool
registry_verify(const char *data_dir, const struct registry_verify_options *options,
                struct registry_verify *out, struct err *err)
{
    struct verify v = {.options = options, .damaged = json_object(), .piece = mem_new(PIECE)};

    v.reg.account_id = "";
    v.reg.blobs_dir = text_format("%s/blobs", data_dir);
    v.reg.root_dir = text_format("%s/registry", data_dir);
    bool done = file_exists(v.reg.root_dir)
                    ? verify_run(&v, err)
                    : err_set(err, ERR_NOT_FOUND, "there is no registry in '%s'", data_dir);
    free(v.reg.blobs_dir);
    free(v.reg.root_dir);
    free(v.piece);
    json_unref(v.damaged);
    if (done)
        *out = v.result;
    return done;
}
