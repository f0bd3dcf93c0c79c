/* SPDX-License-Identifier: MIT */
#include "registry/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/random.h"
#include "io/file.h"
#include "io/flush.h"

static struct str
parent_of(const char *path)
{
    struct str s = str_of(path);
    ptrdiff_t slash = str_rindex(s, '/');
    return slash > 0 ? str_slice(s, 0, (size_t)slash) : slash == 0 ? STR("/") : STR(".");
}

bool
disk_sync_parent(const char *path, struct err *err)
{
    cleanup_free char *parent = str_dup(parent_of(path));
    return file_sync_dir(parent, err);
}

char *
disk_aside_path(const struct registry *reg)
{
    char id[33];

    random_hex(id, 32);
    return text_format("%s/%s", reg->uploads_dir, id);
}

int
disk_open_aside(struct registry *reg, char **path_out, struct err *err)
{
    int fd;

    *path_out = disk_aside_path(reg);
    fd = open(*path_out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        err_errno(err, "cannot create a file in '%s'", reg->uploads_dir);
    return fd;
}

bool
disk_write_aside(struct registry *reg, const char *path, struct str content, struct disk_file *out,
                 struct err *err)
{
    out->fd = disk_open_aside(reg, &out->temporary, err);
    out->path = str_dup(str_of(path));
    return out->fd >= 0 && file_write_all(out->fd, content, err);
}

bool
disk_name(struct disk_file *f, struct err *err)
{
    if (rename(f->temporary, f->path) < 0)
        return err_errno(err, "cannot name the file '%s'", f->path);
    free(TAKE(f->temporary));
    return true;
}

void
disk_file_done(struct disk_file *f)
{
    if (f->temporary != NULL)
        unlink(f->temporary);
    cleanup_close_(&f->fd);
    free(f->temporary);
    free(f->path);
    *f = DISK_FILE_NONE;
}

/* An error that this call has told is not told again by a flush. */
static bool
bytes_begin(const struct disk_file *const *files, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (files[i]->fd >= 0 && sync_file_range(files[i]->fd, 0, 0, SYNC_FILE_RANGE_WRITE) < 0 &&
            errno != ENOSYS && errno != EPERM) /* a sandbox that has not heard of it */
            return err_errno(err, "cannot write the file '%s'", files[i]->path);
    return true;
}

bool
disk_flush_files(struct registry *reg, const struct disk_file *const *files, size_t count, struct err *err)
{
    int fds[FLUSH_FILES_MAX];
    const char *paths[FLUSH_FILES_MAX];
    size_t used = 0, failed;

    /* The bytes of all first: then the places of all are decided, and one write of the journal has them. */
    if (count > 1 && !bytes_begin(files, count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (files[i]->fd < 0)
            continue;
        fds[used] = files[i]->fd;
        paths[used++] = files[i]->path;
    }
    errno = flusher_flush(reg->flusher, fds, used, FLUSH_BYTES, &failed);
    return errno == 0 || err_errno(err, "cannot flush the file '%s'", paths[failed]);
}

bool
disk_flush_parents(struct registry *reg, const char *const *paths, size_t count, struct err *err)
{
    int fds[FLUSH_FILES_MAX];
    const char *of[FLUSH_FILES_MAX];
    size_t used = 0, failed;
    bool done = true;

    for (size_t i = 0; i < count && done; i++) {
        if (paths[i] == NULL)
            continue;
        cleanup_free char *parent = str_dup(parent_of(paths[i]));
        of[used] = paths[i];
        fds[used] = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        done = fds[used] >= 0 || err_errno(err, "cannot open the folder of '%s'", paths[i]);
        used += done;
    }
    if (done) {
        errno = flusher_flush(reg->flusher, fds, used, FLUSH_NAMES, &failed);
        done = errno == 0 || err_errno(err, "cannot flush the folder of '%s'", of[failed]);
    }
    while (used > 0)
        close(fds[--used]);
    return done;
}

bool
disk_store(struct registry *reg, const char *path, struct str content, struct err *err)
{
    cleanup(disk_file_done) struct disk_file f = DISK_FILE_NONE;

    return disk_write_aside(reg, path, content, &f, err) &&
           disk_flush_files(reg, &(const struct disk_file *){&f}, 1, err) && disk_name(&f, err) &&
           disk_sync_parent(path, err);
}

bool
disk_make_dirs(const char *root, const char *path, struct err *err)
{
    size_t root_len = strlen(root);

    if (file_exists(path))
        return true;
    if (!file_make_dirs(path, 0750, err))
        return false;
    /* A new name is durable when the directory that holds it is flushed. */
    struct str at = str_of(path);
    while (at.len > root_len) {
        ptrdiff_t slash = str_rindex(at, '/');
        if (slash <= 0)
            break;
        at = str_slice(at, 0, (size_t)slash);
        cleanup_free char *parent = str_dup(at);
        if (!file_sync_dir(parent, err))
            return false;
    }
    return true;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct json *
texts_sorted(const struct json *texts)
{
    const size_t count = json_size(texts);
    const char **names = mem_new((count + 1) * sizeof *names);
    struct json *sorted = json_array();

    for (size_t i = 0; i < count; i++)
        names[i] = json_cstr(json_at(texts, i), "");
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++)
        json_append(sorted, json_text(names[i]));
    free(names);
    return sorted;
}

bool
disk_list(const char *path, struct json **out, struct err *err)
{
    DIR *dir = opendir(path);

    if (dir == NULL && errno != ENOENT && errno != ENOTDIR)
        return err_errno(err, "cannot read the directory '%s'", path);
    cleanup_json struct json *list = json_array();
    for (struct dirent *e; dir != NULL && (errno = 0, e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            json_append(list, json_text(e->d_name));
    /* Half a list would make garbage of what the other half names. */
    const int error = dir != NULL ? errno : 0;
    if (dir != NULL)
        closedir(dir);
    errno = error;
    if (error != 0)
        return err_errno(err, "cannot read the directory '%s' to its end", path);
    *out = texts_sorted(list);
    return true;
}

bool
disk_is_absent(const char *path)
{
    return access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

bool
disk_remove(const char *path, struct err *err)
{
    return unlink(path) == 0 || errno == ENOENT || err_errno(err, "cannot remove '%s'", path);
}

bool
disk_read_json(const char *path, size_t limit, struct json **out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};

    return file_read(path, limit, &bytes, err) && disk_parse_json(path, strbuf_str(&bytes), out, err);
}

bool
disk_parse_json(const char *path, struct str text, struct json **out, struct err *err)
{
    *out = json_parse(text, err);
    if (json_type(*out) == JSON_OBJECT)
        return true;
    if (*out != NULL)
        err_set(err, ERR_INTERNAL, "it is no JSON object");
    json_unref(*out);
    *out = NULL;
    return disk_is_damaged(path, err);
}

bool
disk_is_damaged(const char *path, struct err *err)
{
    if (err != NULL)
        err->code = ERR_INTERNAL; /* our file, our fault */
    return err_context(err, "'%s' is damaged", path);
}
