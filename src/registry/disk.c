/* SPDX-License-Identifier: MIT */
#include "registry/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/random.h"
#include "io/file.h"

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

int
disk_open_aside(struct registry *reg, char **path_out, struct err *err)
{
    char id[33];
    int fd;

    random_hex(id, 32);
    *path_out = text_format("%s/%s", reg->uploads_dir, id);
    fd = open(*path_out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        err_errno(err, "cannot create a file in '%s'", reg->uploads_dir);
    return fd;
}

static bool
store_aside(int fd, struct str content, struct err *err)
{
    if (!file_write_all(fd, content, err))
        return false;
    return fdatasync(fd) == 0 || err_errno(err, "cannot flush a file of the registry");
}

bool
disk_store(struct registry *reg, const char *path, struct str content, struct err *err)
{
    cleanup_free char *temporary = NULL;
    cleanup_close int fd = disk_open_aside(reg, &temporary, err);

    if (fd < 0)
        return false;
    bool is_named = store_aside(fd, content, err);
    if (is_named && rename(temporary, path) < 0)
        is_named = err_errno(err, "cannot name the file '%s'", path);
    if (!is_named) {
        unlink(temporary);
        return false;
    }
    return disk_sync_parent(path, err);
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
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            json_append(list, json_text(e->d_name));
    if (dir != NULL)
        closedir(dir);
    *out = texts_sorted(list);
    return true;
}

bool
disk_remove(const char *path, struct err *err)
{
    return unlink(path) == 0 || errno == ENOENT || err_errno(err, "cannot remove '%s'", path);
}
