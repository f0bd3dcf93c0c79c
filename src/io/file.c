/* SPDX-License-Identifier: MIT */
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/random.h"

#define READ_PIECE ((size_t)64 * 1024)
#define TREE_DEPTH_MAX 256 /* one descriptor a level */

static bool
read_all(int fd, const char *path, size_t limit, struct strbuf *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf content = {0};

    for (;;) {
        ssize_t n;

        strbuf_reserve(&content, READ_PIECE);
        n = read(fd, content.at + content.len, READ_PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "cannot read '%s'", path);
        if (n == 0)
            break;
        content.len += (size_t)n;
        if (content.len > limit)
            return err_set(err, ERR_LIMIT_EXCEEDED, "'%s' is larger than %zu bytes", path, limit);
    }
    content.at[content.len] = '\0';
    strbuf_add(out, strbuf_str(&content));
    return true;
}

bool
file_read(const char *path, size_t limit, struct strbuf *out, struct err *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, "cannot open '%s'", path);
    return read_all(fd, path, limit, out, err);
}

/* Such an open does not wait; for what is no pipe it means nothing. */
bool
file_open_plain(const char *path, int flags, unsigned mode, int *fd_out, struct err *err)
{
    cleanup_close int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC, (mode_t)mode);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return err_errno(err, "cannot open '%s'", path);
    if (S_ISFIFO(st.st_mode))
        return err_set(err, ERR_VALIDATION, "'%s' is a pipe", path);
    *fd_out = fd;
    fd = -1;
    return true;
}

bool
file_read_plain(const char *path, size_t limit, struct strbuf *out, struct err *err)
{
    cleanup_close int fd = -1;

    return file_open_plain(path, O_RDONLY, 0, &fd, err) && read_all(fd, path, limit, out, err);
}

/* One folder after the other, so that no link leads out of them; -1 and errno. */
static int
open_below(const char *root, const char *below)
{
    struct str rest = str_of(below), part;
    int at = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    while (at >= 0 && str_split(&rest, '/', &part)) {
        char name[NAME_MAX + 1] = "";
        cleanup_close int folder = at;
        const bool is_last = rest.at == NULL;

        if (part.len == 0 || str_is(part, ".") || str_is(part, "..") || !text_copy(name, sizeof(name), part)) {
            errno = ENOENT;
            return -1;
        }
        /* Opening a pipe must not wait for who writes into it. */
        at = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (is_last ? O_NONBLOCK : O_DIRECTORY));
    }
    return at;
}

bool
file_open_below(const char *root, const char *below, int *fd_out, int64_t *size_out, struct err *err)
{
    cleanup_close int fd = open_below(root, below);
    struct stat st;

    if (fd < 0)
        return err_set(err, ERR_RESOURCE_NOT_FOUND, "cannot open the file '%s/%s': %s", root, below,
                       errno == ELOOP || errno == ENOTDIR ? "a part of it is a symbolic link, or no folder"
                                                          : strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_RESOURCE_NOT_FOUND, "'%s/%s' is no plain file", root, below);
    *size_out = st.st_size;
    *fd_out = fd;
    fd = -1;
    return true;
}

bool
file_read_below(const char *root, const char *below, size_t limit, struct strbuf *out, struct err *err)
{
    cleanup_free char *path = text_format("%s/%s", root, below);
    cleanup_close int fd = -1;
    int64_t size;

    return file_open_below(root, below, &fd, &size, err) && read_all(fd, path, limit, out, err);
}

bool
file_write_all(int fd, struct str content, struct err *err)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.at, content.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "cannot write %zu bytes", content.len);
        content = str_slice(content, (size_t)n, content.len);
    }
    return true;
}

/* The folder of `path`, "." for a bare name. */
static bool
parent_of(const char *path, char out[PATH_MAX], struct err *err)
{
    struct str s = str_of(path);
    ptrdiff_t slash = str_rindex(s, '/');
    struct str parent = slash < 0 ? STR(".") : slash == 0 ? STR("/") : str_slice(s, 0, (size_t)slash);

    if (!text_copy(out, PATH_MAX, parent))
        return err_set(err, ERR_INTERNAL, "the path '%.64s...' is too long", path);
    return true;
}

static bool
write_new(const char *path, struct str content, unsigned mode, struct err *err)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);

    if (fd < 0)
        return err_errno(err, "cannot create '%s'", path);
    if (!file_write_all(fd, content, err))
        return err_context(err, "writing '%s'", path);
    if (fchmod(fd, (mode_t)mode) != 0) /* the umask may have taken bits away */
        return err_errno(err, "cannot set the mode of '%s'", path);
    if (fsync(fd) != 0)
        return err_errno(err, "cannot flush '%s'", path);
    return true;
}

bool
file_write_atomic(const char *path, struct str content, unsigned mode, struct err *err)
{
    char parent[PATH_MAX], suffix[13];
    cleanup_free char *temporary = NULL;

    if (!parent_of(path, parent, err))
        return false;
    random_hex(suffix, sizeof(suffix) - 1);
    temporary = text_format("%s.%s.tmp", path, suffix);
    if (!write_new(temporary, content, mode, err)) {
        (void)unlink(temporary);
        return false;
    }
    if (rename(temporary, path) != 0) {
        err_errno(err, "cannot replace '%s'", path);
        (void)unlink(temporary);
        return false;
    }
    return file_sync_dir(parent, err);
}

bool
file_make_dirs(const char *path, unsigned mode, struct err *err)
{
    char part[PATH_MAX];
    struct stat st;

    if (path[0] == '\0' || !text_copy(part, sizeof(part), str_of(path)))
        return err_set(err, ERR_INTERNAL, "'%.64s' is no path for a folder", path);
    for (char *p = part + 1;; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(part, (mode_t)mode) != 0 && errno != EEXIST)
            return err_errno(err, "cannot make the folder '%s'", part);
        if (c == '\0')
            break;
        *p = c;
    }
    if (stat(part, &st) != 0)
        return err_errno(err, "cannot look at '%s'", part);
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return err_errno(err, "cannot make the folder '%s'", part);
    }
    return true;
}

static bool remove_at(int dir_fd, const char *name, int depth, struct err *err);

static bool
remove_children(int fd, int depth, struct err *err)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    bool ok = true;

    if (dir == NULL) {
        close(fd);
        return err_errno(err, "cannot list a folder");
    }
    while (ok && (errno = 0, entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ok = remove_at(dirfd(dir), entry->d_name, depth + 1, err);
    }
    if (ok && errno != 0)
        ok = err_errno(err, "cannot list a folder");
    (void)closedir(dir);
    return ok;
}

static bool
remove_at(int dir_fd, const char *name, int depth, struct err *err)
{
    int fd;

    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM)
        return err_errno(err, "cannot remove '%s'", name);
    if (depth > TREE_DEPTH_MAX)
        return err_set(err, ERR_INTERNAL, "'%s' lies deeper than %d folders", name, TREE_DEPTH_MAX);
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(dir_fd, name, 0700, 0) == 0)
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open '%s'", name);
    (void)fchmod(fd, 0700); /* builds leave read-only folders behind; the removal says if it mattered */
    if (!remove_children(fd, depth, err))
        return err_context(err, "in '%s'", name);
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return err_errno(err, "cannot remove the folder '%s'", name);
    return true;
}

bool
file_remove_tree(const char *path, struct err *err)
{
    return remove_at(AT_FDCWD, path, 0, err);
}

bool
file_empty_folder(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT || err_errno(err, "cannot open '%s'", path);
    return remove_children(fd, 0, err) || err_context(err, "in '%s'", path);
}

bool
file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool
file_sync_dir(const char *path, struct err *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, "cannot open the folder '%s'", path);
    if (fsync(fd) != 0)
        return err_errno(err, "cannot flush the folder '%s'", path);
    return true;
}

bool
file_lock(int fd)
{
    const int64_t until_ms = clock_monotonic_ms() + 1000;

    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK || clock_monotonic_ms() > until_ms)
            return false;
        clock_sleep_ms(10);
    }
    return true;
}
