/* SPDX-License-Identifier: MIT */
/* steps_archive.c - zip, unzip, tar and untar; the only user of libarchive.
 * What is unpacked stays below its folder: absolute names, names with "..", hard links, devices and
 * links that lead out are refused.
 * Limits: ARCHIVE_ENTRIES_MAX entries, ARCHIVE_BYTES_MAX bytes unpacked. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "io/file.h"
#include "pipeline/steps/selection.h"

#define ARCHIVE_ENTRIES_MAX 200000
#define ARCHIVE_BYTES_MAX ((int64_t)8 << 30)
#define ARCHIVE_READ_MAX ((size_t)16 << 20) /* of unzip's `read` */
#define BLOCK ((size_t)65536)

static bool
is_zip(const struct step_call *s)
{
    return str_is(s->name, "zip") || str_is(s->name, "unzip");
}

static bool
leads_out(const char *path)
{
    struct str rest = str_of(path), part;

    if (path[0] == '/')
        return true;
    while (str_split(&rest, '/', &part))
        if (str_is(part, ".."))
            return true;
    return false;
}

static void
free_reader(struct archive **a)
{
    (void)archive_read_free(*a);
}

static void
free_writer(struct archive **a)
{
    (void)archive_write_free(*a);
}

static void
free_entry(struct archive_entry **e)
{
    archive_entry_free(*e);
}

static bool
pack_content(struct step_call *s, struct archive *a, const char *path)
{
    cleanup_close int fd = -1;
    char buffer[BLOCK];
    struct err err;
    ssize_t n;

    if (!file_open_plain(path, O_RDONLY, 0, &fd, &err))
        return step_fail(s, "%s", err.message);
    while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
        if (archive_write_data(a, buffer, (size_t)n) < 0)
            return step_fail(s, "%s", archive_error_string(a));
        if (!run_poll(s->in, s->at))
            return false;
    }
    return n == 0 || step_fail(s, "cannot read '%s': %s", path, strerror(errno));
}

static bool
pack_one(struct step_call *s, struct archive *a, const struct selection *sel, struct str name)
{
    const char *path = arena_format(&s->run->arena, "%s/" STR_FMT, sel->root, STR_ARG(name));
    cleanup(free_entry) struct archive_entry *e = archive_entry_new();
    char target[4096];
    struct stat st;
    ssize_t n;

    if (lstat(path, &st) != 0)
        return step_fail(s, "cannot read '%s': %s", path, strerror(errno));
    archive_entry_copy_stat(e, &st);
    archive_entry_set_pathname(e, arena_cstr(&s->run->arena, name));
    if (S_ISLNK(st.st_mode)) {
        n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
            return step_fail(s, "cannot read '%s': %s", path, strerror(errno));
        target[n] = '\0';
        archive_entry_set_symlink(e, target);
    }
    if (archive_write_header(a, e) != ARCHIVE_OK)
        return step_fail(s, "%s", archive_error_string(a));
    return S_ISLNK(st.st_mode) || pack_content(s, a, path);
}

/* A temporary file beside the archive takes its place when it is whole; it is not packed itself. */
static bool
pack(struct step_call *s, struct selection *sel, const char *path)
{
    cleanup_close int fd = -1; /* after the archive */
    cleanup(free_writer) struct archive *a = archive_write_new();
    const char *temporary = arena_format(&s->run->arena, "%s.part", path);
    const char *slash = strrchr(path, '/');
    struct err err;
    bool ok = true;

    if (!file_make_dirs(arena_cstr(&s->run->arena, str_range(path, slash)), 0755, &err) ||
        !file_open_plain(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0666, &fd, &err))
        return step_fail(s, "%s", err.message);
    if (is_zip(s)) {
        (void)archive_write_set_format_zip(a);
    } else {
        (void)archive_write_set_format_pax_restricted(a);
        if (step_truth(s, "compress", true))
            (void)archive_write_add_filter_gzip(a);
    }
    if (archive_write_open_fd(a, fd) != ARCHIVE_OK)
        return step_fail(s, "cannot write '%s': %s", path, archive_error_string(a));
    for (size_t i = 0; i < sel->found.count && ok; i++)
        ok = pack_one(s, a, sel, sel->found.at[i].text);
    ok =
        ok && (archive_write_close(a) == ARCHIVE_OK || step_fail(s, "%s", archive_error_string(a)));
    ok = ok && (rename(temporary, path) == 0 ||
                step_fail(s, "cannot write '%s': %s", path, strerror(errno)));
    if (!ok)
        unlink(temporary);
    return ok;
}

static bool
step_pack(struct step_call *s)
{
    struct str file = step_text(s, is_zip(s) ? "zipFile" : "file", "");
    struct selection sel = {.s = s,
                            .includes = step_text(s, "glob", "**"),
                            .excludes = step_text(s, "exclude", ""),
                            .default_excludes = step_truth(s, "defaultExcludes", true),
                            .links = is_zip(s) ? LINKS_FOLLOW : LINKS_KEEP};
    const char *path;

    if (!step_needs_workspace(s))
        return false;
    if (sel.includes.len == 0)
        sel.includes = STR("**");
    if (file.len == 0)
        return step_fail(s, "'" STR_FMT "' needs the archive's name", STR_ARG(s->name));
    path = step_path(s, file);
    sel.root = step_path(s, step_text(s, "dir", "."));
    if (step_truth(s, "archive", false) && leads_out(arena_cstr(&s->run->arena, file)))
        return step_fail(s, "'" STR_FMT "' leads out of the artifacts", STR_ARG(file));
    if (!step_truth(s, "overwrite", false) && file_exists(path))
        return step_fail(s, "'%s' is there already; overwrite: true replaces it", path);
    if (!selection_find(&sel) || !pack(s, &sel, path))
        return false;
    run_logf(s->run, "Packed %zu file(s) into " STR_FMT, sel.found.count, STR_ARG(file));
    if (step_truth(s, "archive", false) && s->run->config->artifact_dir != NULL)
        return step_keep_file(s, path,
                              arena_format(&s->run->arena, "%s/" STR_FMT,
                                           s->run->config->artifact_dir, STR_ARG(file)));
    return true;
}

struct unpacking {
    struct step_call *s;
    struct archive *archive;
    const char *root;
    int64_t bytes;
    unsigned entries;
    struct map *texts; /* of `read`; NULL: files */
};

static bool
grow(struct unpacking *u, ssize_t n)
{
    u->bytes += n;
    if (n < 0)
        return step_fail(u->s, "%s", archive_error_string(u->archive));
    if (u->bytes > ARCHIVE_BYTES_MAX || (u->texts != NULL && u->bytes > (int64_t)ARCHIVE_READ_MAX))
        return step_fail(u->s, "the archive holds too many bytes");
    return run_poll(u->s->in, u->s->at);
}

static bool
unpack_text(struct unpacking *u, const char *name)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct arena *a = &u->s->run->arena;
    char buffer[BLOCK];
    ssize_t n;

    while ((n = archive_read_data(u->archive, buffer, sizeof(buffer))) != 0) {
        if (!grow(u, n))
            return false;
        strbuf_add(&text, (struct str){buffer, (size_t)n});
    }
    map_put_text(a, u->texts, arena_cstr(a, str_of(name)),
                 value_text(arena_dup(a, strbuf_str(&text))));
    return true;
}

static bool
unpack_file(struct unpacking *u, struct archive_entry *e, const char *path)
{
    cleanup_close int fd = -1;
    char buffer[BLOCK];
    struct err err;
    ssize_t n;

    unlink(path); /* never through a link that is there */
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
              (archive_entry_perm(e) & 0777) | 0600);
    if (fd < 0)
        return step_fail(u->s, "cannot write '%s': %s", path, strerror(errno));
    while ((n = archive_read_data(u->archive, buffer, sizeof(buffer))) != 0) {
        if (!grow(u, n))
            return false;
        if (!file_write_all(fd, (struct str){buffer, (size_t)n}, &err))
            return step_fail(u->s, "%s", err.message);
    }
    return true;
}

static bool
unpack_entry(struct unpacking *u, struct archive_entry *e)
{
    const char *name = archive_entry_pathname(e), *link = archive_entry_symlink(e), *path;
    struct str glob = step_text(u->s, "glob", "");
    struct err err;

    if (name == NULL || leads_out(name) || archive_entry_hardlink(e) != NULL ||
        (link != NULL && leads_out(link)))
        return step_fail(u->s, "the archive's entry '%s' leads out of its folder",
                         name == NULL ? "" : name);
    if (glob.len > 0 && !selection_matches(glob, str_of(name), false))
        return true;
    if (archive_entry_filetype(e) == AE_IFREG && u->texts != NULL)
        return unpack_text(u, name);
    path = arena_format(&u->s->run->arena, "%s/%s", u->root, name);
    if (u->texts != NULL)
        return true;
    if (archive_entry_filetype(e) == AE_IFDIR)
        return file_make_dirs(path, 0755, &err) || step_fail(u->s, "%s", err.message);
    if (!file_make_dirs(arena_cstr(&u->s->run->arena, str_range(path, strrchr(path, '/'))), 0755,
                        &err))
        return step_fail(u->s, "%s", err.message);
    if (archive_entry_filetype(e) == AE_IFREG)
        return unpack_file(u, e, path);
    if (archive_entry_filetype(e) != AE_IFLNK)
        return step_fail(u->s, "the archive's entry '%s' is no file", name);
    unlink(path);
    return symlink(link, path) == 0 ||
           step_fail(u->s, "cannot write '%s': %s", path, strerror(errno));
}

static bool
unpack(struct unpacking *u, const char *path, bool only_tests)
{
    struct archive_entry *e;
    cleanup_close int fd = -1;
    char buffer[BLOCK];
    struct err err;
    int state;

    if (!file_open_plain(path, O_RDONLY, 0, &fd, &err))
        return step_fail(u->s, "%s", err.message);
    (void)archive_read_support_format_zip(u->archive);
    (void)archive_read_support_format_tar(u->archive);
    (void)archive_read_support_filter_all(u->archive);
    if (archive_read_open_fd(u->archive, fd, BLOCK) != ARCHIVE_OK)
        return step_fail(u->s, "cannot read '%s': %s", path, archive_error_string(u->archive));
    while ((state = archive_read_next_header(u->archive, &e)) == ARCHIVE_OK ||
           state == ARCHIVE_WARN) {
        if (++u->entries > ARCHIVE_ENTRIES_MAX)
            return step_fail(u->s, "the archive has more than %d entries", ARCHIVE_ENTRIES_MAX);
        if (only_tests) {
            ssize_t n;
            while ((n = archive_read_data(u->archive, buffer, sizeof(buffer))) != 0)
                if (!grow(u, n))
                    return false;
        } else if (!unpack_entry(u, e)) {
            return false;
        }
    }
    return state == ARCHIVE_EOF ||
           step_fail(u->s, "'%s': %s", path, archive_error_string(u->archive));
}

bool
step_unpack_secret(struct step_call *s, const char *path, const char *folder)
{
    cleanup(free_reader) struct archive *a = archive_read_new();
    struct unpacking u = {.s = s, .archive = a, .root = folder};
    struct map *own = s->values;
    bool ok;

    s->values = arena_alloc(&s->run->arena, sizeof(*s->values)); /* no `glob` of another step */
    ok = unpack(&u, path, false);
    s->values = own;
    return ok;
}

static bool
step_unpack(struct step_call *s)
{
    cleanup(free_reader) struct archive *a = archive_read_new();
    struct unpacking u = {.s = s, .archive = a};
    bool tests = step_truth(s, "test", false), reads = is_zip(s) && step_truth(s, "read", false);
    struct value texts = value_map(&s->run->arena);
    struct str file = step_text(s, is_zip(s) ? "zipFile" : "file", "");

    if (!step_needs_workspace(s))
        return false;
    u.root = step_path(s, step_text(s, "dir", "."));
    u.texts = reads ? texts.map : NULL;
    if (!unpack(&u, step_path(s, file), tests)) {
        if (!tests || s->in->thrown->interruption != INTERRUPTED_NOT)
            return false;
        run_log_error(s->run, interp_catch(s->in));
        *s->out = value_bool(false);
        return true;
    }
    if (!step_truth(s, "quiet", false))
        run_logf(s->run, "%s %u entries of " STR_FMT, tests ? "Tested" : "Unpacked", u.entries,
                 STR_ARG(file));
    *s->out = tests ? value_bool(true) : reads ? texts : value_null();
    return true;
}

step_function *
step_archive_find(struct str name)
{
    static const struct step_row table[] = {
        {"zip", step_pack}, {"tar", step_pack}, {"unzip", step_unpack}, {"untar", step_unpack}};

    return step_row_find(table, ARRAY_COUNT(table), name);
}
