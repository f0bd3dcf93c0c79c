/* SPDX-License-Identifier: MIT */
#include "pipeline/artifacts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "io/file.h"

#define DEPTH_MAX 64

struct artifact {
    char *path;
    int64_t size;
};

struct listing {
    struct artifact *files;
    size_t count;
    bool is_cut;
};

static void
listing_done(struct listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->files[i].path);
    free(l->files);
}

static void
add_file(struct listing *l, const char *path, int64_t size)
{
    if (l->count == ARTIFACTS_MAX) {
        l->is_cut = true;
        return;
    }
    l->files = mem_grow(l->files, l->count + 1, sizeof(*l->files));
    l->files[l->count++] = (struct artifact){text_dup(path), size};
}

/* Takes the descriptor. */
static void
add_folder(struct listing *l, int fd, const char *prefix, int depth)
{
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    struct stat st;

    if (d == NULL && fd >= 0)
        close(fd);
    while (d != NULL && !l->is_cut && (e = readdir(d)) != NULL) {
        cleanup_free char *path = text_format("%s%s%s", prefix, prefix[0] == '\0' ? "" : "/", e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISREG(st.st_mode))
            add_file(l, path, st.st_size);
        else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
            add_folder(l,
                       openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                       path, depth + 1);
    }
    if (d != NULL)
        closedir(d);
}

static int
by_path(const void *a, const void *b)
{
    return strcmp(((const struct artifact *)a)->path, ((const struct artifact *)b)->path);
}

static char *
folder_of(const struct pipeline_room *room, const char *pipeline, int64_t number)
{
    cleanup_free char *directory = build_directory(room->config.data_dir, pipeline, number);

    return text_format("%s/artifacts", directory);
}

struct json *
room_artifacts(const struct pipeline_room *room, const char *pipeline, int64_t number,
               struct err *err)
{
    cleanup_free char *folder = folder_of(room, pipeline, number);
    cleanup(listing_done) struct listing l = {0};
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct json *j, *list;

    if (fd < 0 && errno != ENOENT) {
        err_errno(err, "cannot list '%s'", folder);
        return NULL;
    }
    add_folder(&l, fd, "", 0);
    if (l.count > 0)
        qsort(l.files, l.count, sizeof(*l.files), by_path);
    j = json_object();
    list = json_array();
    for (size_t i = 0; i < l.count; i++) {
        struct json *one = json_object();
        json_set(one, "path", json_text(l.files[i].path));
        json_set(one, "size", json_int(l.files[i].size));
        json_append(list, one);
    }
    json_set(j, "artifacts", list);
    if (l.is_cut)
        json_set(j, "truncated", json_bool(true));
    return j;
}

bool
room_artifact_open(const struct pipeline_room *room, const char *pipeline, int64_t number,
                   const char *path, int *fd_out, int64_t *size_out, struct err *err)
{
    cleanup_free char *folder = folder_of(room, pipeline, number);

    return file_open_below(folder, path, fd_out, size_out, err) ||
           err_set(err, ERR_NOT_FOUND, "build %lld of '%s' has no artifact '%.200s'",
                   (long long)number, pipeline, path);
}
