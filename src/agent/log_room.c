/* SPDX-License-Identifier: MIT */
#include "agent/log_room.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/log.h"
#include "io/file.h"

#define FOLDERS_MAX 100000

struct folder {
    char name[256];
    int64_t size;
    time_t changed; /* newest file in it */
};

static void
measure(int parent, struct folder *f)
{
    const int fd = openat(parent, f->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    struct stat st;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
            continue;
        f->size += st.st_size;
        if (st.st_mtime > f->changed)
            f->changed = st.st_mtime;
    }
    closedir(dir);
}

static int
older_first(const void *a, const void *b)
{
    const struct folder *left = a, *right = b;

    return (left->changed > right->changed) - (left->changed < right->changed);
}

void
log_room_make(const char *path, const struct log_room *room)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    cleanup_free struct folder *all = NULL;
    size_t count = 0, capacity = 0;
    int64_t total = 0;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL && count < FOLDERS_MAX) {
        if (entry->d_name[0] == '.')
            continue;
        if (count == capacity) {
            capacity = capacity * 2 + 64;
            all = mem_grow(all, capacity, sizeof(*all));
        }
        all[count] = (struct folder){0};
        if (!text_copy(all[count].name, sizeof(all[count].name), str_of(entry->d_name)))
            continue;
        measure(dirfd(dir), &all[count]);
        total += all[count++].size;
    }
    closedir(dir);
    qsort(all, count, sizeof(*all), older_first);
    size_t left = count;
    for (size_t i = 0; i < count && (total > room->bytes_max || left > (size_t)room->folders_max); i++) {
        cleanup_free char *name = text_format("%s/%s", path, all[i].name);
        struct err err = {0};

        if (room->is_in_use(room->arg, all[i].name))
            continue; /* quiet for long, but its next line would go into a file without a name */
        if (!file_remove_tree(name, &err))
            log_warn("logs.remove_failed", "error=%s", log_quote(err.message));
        total -= all[i].size;
        left--;
    }
}
