/* SPDX-License-Identifier: MIT */
#include "registry/scan/scan_layers.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "registry/scan/scan_archive.h"

#define ENTRIES_MAX 4000000       /* of all layers */
#define UNPACKED_MAX (64LL << 30) /* bytes of all layers */
#define FILES_MAX 200000          /* that packages are read from */
#define HELD_MAX \
    400000 /* packages of all files; what else is kept of a file counts by WEIGHT bytes */
#define WEIGHT 512
#define WATCHED_MAX (128LL << 20) /* bytes of the paths that lead to them */
#define PATH_MAX_BYTES 4096
#define ELF_MIN 65536 /* smaller ones are no Go programs */
#define BLOCK_SIZE 32768

/* A file of some layer that says something about packages. */
struct scan_file {
    char *path;
    enum scan_kind kind;
    struct json *packages;
    char *os_release;
    size_t weight;
    struct scan_file *next;
};

struct scan_layers {
    struct scan_file *files;    /* of the layers so far */
    struct scan_file *fresh;    /* of the layer that is being read */
    struct json *watched;       /* every path, and every directory, that leads to one of `files` */
    struct json *gone, *opaque; /* of `watched`, what this layer takes away */
    struct json *notes;
    struct scan_budget budget;
    int64_t entries, unpacked, unpacked_before, watched_bytes;
    size_t held; /* the weights of `files` and `fresh` */
    int file_count;
};

static void
file_free(struct scan_file *f)
{
    free(f->path);
    free(f->os_release);
    json_unref(f->packages);
    free(f);
}

static void
files_free(struct scan_file *f)
{
    while (f != NULL) {
        struct scan_file *next = f->next;
        file_free(f);
        f = next;
    }
}

struct scan_layers *
scan_layers_new(void)
{
    struct scan_layers *l = mem_new(sizeof *l);

    l->watched = json_object();
    l->gone = json_object();
    l->opaque = json_object();
    l->notes = json_array();
    l->budget = scan_budget_new();
    return l;
}

void
scan_layers_free(struct scan_layers *l)
{
    if (l == NULL)
        return;
    files_free(l->files);
    files_free(l->fresh);
    json_unref(l->watched);
    json_unref(l->gone);
    json_unref(l->opaque);
    json_unref(l->notes);
    free(l);
}

void
scan_layers_set_cancelled(struct scan_layers *l, bool (*is_cancelled)(void *arg), void *arg)
{
    l->budget.is_cancelled = is_cancelled;
    l->budget.arg = arg;
}

/* ---- paths ---- */

/* "./usr/lib/" is "usr/lib"; the empty view for the root and for what leads out of it. */
static struct str
path_clean(struct str path)
{
    struct str rest, part;

    while (str_starts(path, STR("./")) || str_starts(path, STR("/")))
        path = str_slice(path, path.at[0] == '/' ? 1 : 2, path.len);
    while (path.len > 0 && path.at[path.len - 1] == '/')
        path.len--;
    if (str_is(path, ".") || path.len > PATH_MAX_BYTES)
        return (struct str){0};
    for (rest = path; str_split(&rest, '/', &part);)
        if (str_is(part, ".."))
            return (struct str){0};
    return path;
}

/* Calls for the path and each directory above it; true as soon as one call gives true. */
static bool
path_any(const char *path, bool (*call)(void *arg, const char *prefix, bool is_whole), void *arg)
{
    cleanup_free char *prefix = text_dup(path);

    if (call(arg, prefix, /* is_whole= */ true))
        return true;
    for (char *slash; (slash = strrchr(prefix, '/')) != NULL;) {
        *slash = '\0';
        if (call(arg, prefix, /* is_whole= */ false))
            return true;
    }
    return false;
}

static bool
watch(void *arg, const char *prefix, bool is_whole)
{
    struct scan_layers *l = arg;

    (void)is_whole;
    if (json_get(l->watched, prefix) != NULL)
        return true; /* and so are those above it */
    json_set(l->watched, prefix, json_bool(true));
    l->watched_bytes += (int64_t)strlen(prefix);
    return false;
}

static bool
is_taken_away(void *arg, const char *prefix, bool is_whole)
{
    const struct scan_layers *l = arg;
    return json_get(l->gone, prefix) != NULL || (!is_whole && json_get(l->opaque, prefix) != NULL);
}

/* ---- one entry ---- */

static void
mark_gone(struct scan_layers *l, struct json *set, struct str path)
{
    cleanup_free char *key = str_dup(path);

    if (json_is_utf8(path) && json_get(l->watched, key) != NULL)
        json_set(set, key, json_bool(true));
}

/* ".wh.<name>" takes <name> of the layers below away, ".wh..wh..opq" all of its directory. */
static bool
whiteout_take(struct scan_layers *l, struct str path)
{
    const size_t slash = (size_t)(str_rindex(path, '/') + 1);
    const struct str name = str_slice(path, slash, path.len), mark = STR(".wh.");

    if (!str_starts(name, mark))
        return false;
    if (str_is(name, ".wh..wh..opq")) {
        mark_gone(l, l->opaque, str_slice(path, 0, slash > 0 ? slash - 1 : 0));
    } else if (!str_starts(name, STR(".wh..wh."))) {
        cleanup(strbuf_done) struct strbuf target = {0};
        strbuf_add(&target, str_slice(path, 0, slash));
        strbuf_add(&target, str_slice(name, mark.len, name.len));
        mark_gone(l, l->gone, strbuf_str(&target));
    }
    return true;
}

/* Few bytes of a layer are many of these. */
static bool
file_keep(struct scan_layers *l, struct str path, enum scan_kind kind, struct json *packages,
          struct str os_release, struct err *err)
{
    struct scan_file *f = mem_new(sizeof *f);

    f->path = str_dup(path);
    f->kind = kind;
    f->packages = packages;
    f->os_release = os_release.at != NULL ? str_dup(os_release) : NULL;
    f->weight = json_size(packages) + 1 + (path.len + os_release.len) / WEIGHT;
    f->next = l->fresh;
    l->fresh = f;
    l->file_count++;
    l->held += f->weight;
    return l->held <= HELD_MAX ||
           err_set(err, ERR_LIMIT_EXCEEDED, "its files list more than %d packages", HELD_MAX);
}

static bool
file_take(struct scan_layers *l, struct archive *tar, struct str path, enum scan_kind kind,
          struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    cleanup_json struct json *packages = json_array();

    if (!scan_entry_read(tar, scan_kind_limit(kind), &bytes, err))
        return false;
    if (kind == SCAN_JAR)
        scan_jar(strbuf_str(&bytes), path, 0, &l->budget, packages, l->notes);
    else if (kind != SCAN_OS_RELEASE && !scan_parse(kind, path, strbuf_str(&bytes), packages))
        scan_note(l->notes, "a part of an rpm database, which is damaged", path);
    return file_keep(l, path, kind, TAKE(packages),
                     kind == SCAN_OS_RELEASE ? strbuf_str(&bytes) : (struct str){0}, err);
}

/* Reads an executable through, for what Go's linker leaves in it. */
static bool
program_take(struct scan_layers *l, struct archive *tar, struct str path, struct err *err)
{
    cleanup(strbuf_done) struct strbuf info = {0};
    cleanup_json struct json *packages = json_array();

    if (!scan_program_read(tar, &info, err))
        return false;
    scan_parse(SCAN_GO_BINARY, path, strbuf_str(&info), packages);
    return json_size(packages) == 0 ||
           file_keep(l, path, SCAN_GO_BINARY, TAKE(packages), (struct str){0}, err);
}

static bool
entry_take(struct scan_layers *l, struct archive *tar, struct archive_entry *entry, struct str path,
           struct err *err)
{
    const int64_t size = archive_entry_size(entry);
    const enum scan_kind kind = scan_kind_of(path);

    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != NULL ||
        !json_is_utf8(path))
        return true;
    if (kind == SCAN_NONE && size >= ELF_MIN && (archive_entry_perm(entry) & 0111) != 0 &&
        l->file_count < FILES_MAX)
        return program_take(l, tar, path, err);
    if (kind == SCAN_NONE)
        return true;
    if (l->file_count >= FILES_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED, "more than %d files list packages", FILES_MAX);
    if (size > (int64_t)scan_kind_limit(kind) && kind != SCAN_GEMSPEC)
        scan_note(l->notes, "too large to be read", path);
    else
        return file_take(l, tar, path, kind, err);
    return true;
}

static bool
cancelled(struct err *err)
{
    return err_set(err, ERR_TIMEOUT, "the scan was given up");
}

/* What the entry's bytes would unpack to is known before they are: a bomb is refused unread. */
static bool
limits_check(struct scan_layers *l, struct archive *tar, struct archive_entry *entry,
             struct err *err)
{
    const int64_t size = archive_entry_size(entry);

    l->unpacked = l->unpacked_before + archive_filter_bytes(tar, 0);
    if (scan_is_cancelled(&l->budget))
        return cancelled(err);
    if (++l->entries > ENTRIES_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED, "the layers have more than %d entries",
                       ENTRIES_MAX);
    if (size < 0 || l->unpacked > UNPACKED_MAX || size > UNPACKED_MAX - l->unpacked)
        return err_set(err, ERR_LIMIT_EXCEEDED, "the layers unpack to more than %lld bytes",
                       UNPACKED_MAX);
    return true;
}

static bool
entries_read(struct scan_layers *l, struct archive *tar, struct err *err)
{
    struct archive_entry *entry;
    int result;

    while ((result = archive_read_next_header(tar, &entry)) == ARCHIVE_OK ||
           result == ARCHIVE_WARN) {
        const struct str path = path_clean(str_of(archive_entry_pathname(entry)));
        if (!limits_check(l, tar, entry, err))
            return false;
        if (path.len == 0 || whiteout_take(l, path))
            continue;
        if (archive_entry_filetype(entry) != AE_IFDIR)
            mark_gone(l, l->gone, path); /* what takes its place takes it away */
        if (!entry_take(l, tar, entry, path, err))
            return false;
    }
    return result == ARCHIVE_EOF ||
           err_set(err, ERR_INVALID_PARAMETER, "a layer is no tar: %s", archive_error_string(tar));
}

/* ---- one layer ---- */

/* The layer is over the ones below from here on. */
static bool
layer_settle(struct scan_layers *l, struct err *err)
{
    for (struct scan_file **at = &l->files; *at != NULL;) {
        struct scan_file *f = *at;
        if (path_any(f->path, is_taken_away, l)) {
            *at = f->next;
            l->held -= f->weight;
            file_free(f);
        } else {
            at = &f->next;
        }
    }
    while (l->fresh != NULL) {
        struct scan_file *f = l->fresh;
        if (l->watched_bytes > WATCHED_MAX)
            return err_set(err, ERR_LIMIT_EXCEEDED, "the paths of its files are too long");
        l->fresh = f->next;
        path_any(f->path, watch, l);
        f->next = l->files;
        l->files = f;
    }
    json_unref(l->gone);
    json_unref(l->opaque);
    l->gone = json_object();
    l->opaque = json_object();
    return true;
}

/* A layer as the reader of archives gets it: a block at a time, as long as anybody wants it. An
 * entry that is passed over may be a few such blocks and unpack to gigabytes. */
struct source {
    const struct scan_layers *layers;
    int fd;
    char block[BLOCK_SIZE];
};

static la_ssize_t
source_read(struct archive *tar, void *arg, const void **block_out)
{
    struct source *s = arg;
    ssize_t n;

    *block_out = s->block;
    if (scan_is_cancelled(&s->layers->budget)) {
        archive_set_error(tar, EINTR, "the scan was given up");
        return -1;
    }
    do
        n = read(s->fd, s->block, sizeof s->block);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        archive_set_error(tar, errno, "cannot read the file");
    return n;
}

static bool
source_open(struct archive *tar, struct source *source, const char *path, struct err *err)
{
    source->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (source->fd < 0)
        return err_errno(err, "cannot read a layer");
    return archive_read_open(tar, source, NULL, source_read, NULL) == ARCHIVE_OK ||
           err_set(err, ERR_INVALID_PARAMETER, "cannot read a layer: %s",
                   archive_error_string(tar));
}

bool
scan_layers_add(struct scan_layers *l, const char *path, struct err *err)
{
    struct archive *tar = archive_read_new();
    struct source source = {.layers = l, .fd = -1};
    bool ok = tar != NULL && archive_read_support_filter_gzip(tar) == ARCHIVE_OK &&
              archive_read_support_filter_zstd(tar) == ARCHIVE_OK &&
              archive_read_support_format_tar(tar) == ARCHIVE_OK &&
              archive_read_support_format_empty(tar) == ARCHIVE_OK;

    if (!ok)
        err_set(err, ERR_INTERNAL, "cannot set up a reader of layers");
    else
        ok = source_open(tar, &source, path, err) && entries_read(l, tar, err);
    if (scan_is_cancelled(&l->budget))
        ok = cancelled(err); /* whatever the reader said of it */
    l->unpacked_before = l->unpacked;
    archive_read_free(tar);
    if (source.fd >= 0)
        close(source.fd);
    return ok && layer_settle(l, err);
}

/* ---- what is left ---- */

static const struct scan_file *
os_file(const struct scan_layers *l)
{
    const struct scan_file *found = NULL;

    for (const struct scan_file *f = l->files; f != NULL; f = f->next)
        if (f->kind == SCAN_OS_RELEASE && (found == NULL || strcmp(f->path, "etc/os-release") == 0))
            found = f;
    return found;
}

static bool
seen_before(struct json *seen, const struct json *package)
{
    cleanup_free char *key =
        text_format("%s\n%s\n%s", json_get_cstr(package, "ecosystem", ""),
                    json_get_cstr(package, "name", ""), json_get_cstr(package, "version", ""));

    if (json_get(seen, key) != NULL)
        return true;
    json_set(seen, key, json_bool(true));
    return false;
}

static void
packages_take(const struct scan_file *f, const char *os_ecosystem, struct json *seen,
              struct scan_found *out)
{
    for (size_t i = 0; i < json_size(f->packages); i++) {
        struct json *package = json_at(f->packages, i);
        const bool is_of_os = json_get_cstr(package, "ecosystem", "")[0] == '\0';
        if (is_of_os && os_ecosystem[0] == '\0') {
            out->has_unknown_os = true;
            continue;
        }
        if (is_of_os)
            json_set(package, "ecosystem", json_text(os_ecosystem));
        if (json_size(out->packages) < SCAN_PACKAGES_MAX && !seen_before(seen, package))
            json_append(out->packages, json_ref(package));
    }
}

void
scan_layers_found(struct scan_layers *l, struct scan_found *out)
{
    const struct scan_file *os = os_file(l);
    cleanup(strbuf_done) struct strbuf ecosystem = {0}, name = {0};
    cleanup_json struct json *seen = json_object();

    *out = (struct scan_found){.packages = json_array(), .notes = json_ref(l->notes)};
    if (os != NULL)
        (void)scan_os_ecosystem(str_of(os->os_release), &ecosystem, &name);
    (void)text_copy(out->os, sizeof out->os, strbuf_str(&name));
    for (const struct scan_file *f = l->files; f != NULL; f = f->next)
        packages_take(f, strbuf_cstr(&ecosystem), seen, out);
}

void
scan_found_done(struct scan_found *f)
{
    json_unref(f->packages);
    json_unref(f->notes);
    *f = (struct scan_found){0};
}
