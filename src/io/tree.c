/* SPDX-License-Identifier: MIT */
#include "io/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/random.h"
#include "io/file.h"

#define DEPTH_MAX 256  /* one descriptor a level */
#define LIFT_DEPTH 128 /* less than file_remove_tree() goes */
#define BLOCK 512      /* of st_blocks */
#define GONE ".gone"

struct count {
    tree_stop *is_stopped;
    void *arg;
    dev_t device;
    int64_t bytes;
};

static bool
is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void
close_dir(DIR **d)
{
    if (*d != NULL)
        (void)closedir(*d);
}

static DIR *
open_dir(int at, const char *name)
{
    const int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (d == NULL && fd >= 0)
        close(fd);
    return d;
}

/* The folder in which the last part of `below` lies, and that part; -1 and errno. */
static int
open_parent(const char *root, const char *below, char last[NAME_MAX + 1])
{
    struct str rest = str_of(below), part;
    int at = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    while (at >= 0 && str_split(&rest, '/', &part)) {
        cleanup_close int folder = at;
        if (part.len == 0 || str_is(part, ".") || str_is(part, "..") ||
            !text_copy(last, NAME_MAX + 1, part)) {
            errno = EINVAL;
            return -1;
        }
        if (rest.at == NULL)
            return fcntl(folder, F_DUPFD_CLOEXEC, 0);
        at = openat(folder, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    return at;
}

/* ---- how much ---- */

/* Whoever works in there may take things away meanwhile: they count nothing. */
static bool
count_at(struct count *c, int at, const char *name, int depth, struct err *err)
{
    cleanup(close_dir) DIR *d = NULL;
    struct dirent *e;
    struct stat st;

    if (c->is_stopped != NULL && c->is_stopped(c->arg))
        return err_set(err, ERR_UNAVAILABLE, "stopped");
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT || err_errno(err, "cannot look at '%s'", name);
    if (st.st_dev != c->device)
        return true;
    c->bytes += (int64_t)st.st_blocks * BLOCK /
                (S_ISDIR(st.st_mode) || st.st_nlink < 1 ? 1 : (int64_t)st.st_nlink);
    if (!S_ISDIR(st.st_mode) || depth > DEPTH_MAX)
        return true;
    d = open_dir(at, name);
    if (d == NULL)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ||
               err_errno(err, "cannot list '%s'", name);
    while ((e = readdir(d)) != NULL)
        if (!is_dots(e->d_name) && !count_at(c, dirfd(d), e->d_name, depth + 1, err))
            return false;
    return true;
}

bool
tree_bytes(const char *root, const char *below, tree_stop *is_stopped, void *arg, int64_t *out,
           struct err *err)
{
    struct count c = {.is_stopped = is_stopped, .arg = arg};
    char last[NAME_MAX + 1];
    cleanup_close int at = open_parent(root, below, last);
    struct stat st;

    *out = 0;
    if (at < 0 || fstatat(at, last, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT || err_errno(err, "cannot look at '%s/%s'", root, below);
    c.device = st.st_dev;
    if (!count_at(&c, at, last, 0, err))
        return err_context(err, "%s/%s", root, below);
    *out = c.bytes;
    return true;
}

/* ---- away with it ---- */

bool
tree_let_go(const char *root, const char *below, struct err *err)
{
    cleanup_free char *gone = text_format("%s/" GONE, root);
    char last[NAME_MAX + 1], id[33];
    cleanup_close int at = open_parent(root, below, last);
    struct stat st;

    if (at < 0 || fstatat(at, last, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT || err_errno(err, "cannot look at '%s/%s'", root, below);
    if (!file_make_dirs(gone, 0700, err))
        return false;
    cleanup_close int to = open(gone, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    random_hex(id, 32);
    if (to < 0 || renameat(at, last, to, id) != 0)
        return errno == ENOENT || err_errno(err, "cannot move '%s/%s' away", root, below);
    return true;
}

struct removal {
    const char *gone; /* the folder's path */
    int at;           /* the folder */
    tree_stop *is_stopped;
    void *arg;
    bool lifted; /* more was moved there meanwhile */
};

static bool
is_to_stop(const struct removal *r)
{
    return r->is_stopped != NULL && r->is_stopped(r->arg);
}

/* A large one in pieces, so that who wants to stop need not wait for all of it. */
static bool
remove_in_pieces(const struct removal *r, const char *name, struct err *err)
{
    cleanup_free char *path = text_format("%s/%s", r->gone, name);
    cleanup(close_dir) DIR *d = open_dir(r->at, name);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL) {
        cleanup_free char *child = text_format("%s/%s", path, e->d_name);
        if (is_to_stop(r))
            return err_set(err, ERR_UNAVAILABLE, "stopped");
        if (!is_dots(e->d_name) && !file_remove_tree(child, err))
            return false;
    }
    return file_remove_tree(path, err);
}

/* What lies deeper than file_remove_tree() goes becomes one more that was let go. */
static bool
lift(const struct removal *r, int at, const char *name, int depth)
{
    cleanup(close_dir) DIR *d = is_to_stop(r) ? NULL : open_dir(at, name);
    struct dirent *e;
    bool lifted = false;
    char id[33];

    if (d != NULL && depth == LIFT_DEPTH) {
        random_hex(id, 32);
        return renameat(at, name, r->at, id) == 0;
    }
    while (d != NULL && (e = readdir(d)) != NULL)
        if (!is_dots(e->d_name))
            lifted |= lift(r, dirfd(d), e->d_name, depth + 1);
    return lifted;
}

static bool
remove_one(struct removal *r, const char *name, struct err *err)
{
    if (remove_in_pieces(r, name, err))
        return true;
    if (is_to_stop(r) || !lift(r, r->at, name, 0))
        return false;
    r->lifted = true;
    return remove_in_pieces(r, name, err);
}

/* All that is there now. */
static bool
remove_all(struct removal *r, DIR *d, struct err *err)
{
    bool ok = true;
    struct dirent *e;

    rewinddir(d);
    while ((e = readdir(d)) != NULL) {
        struct err why;
        if (is_to_stop(r))
            return err_set(err, ERR_UNAVAILABLE, "stopped");
        if (is_dots(e->d_name) || remove_one(r, e->d_name, &why))
            continue;
        ok = false;
        *err = why;
    }
    return ok;
}

bool
tree_remove_gone(const char *root, tree_stop *is_stopped, void *arg, struct err *err)
{
    cleanup_free char *gone = text_format("%s/" GONE, root);
    cleanup(close_dir) DIR *d = open_dir(AT_FDCWD, gone);
    struct removal r = {.gone = gone, .is_stopped = is_stopped, .arg = arg};
    bool ok;

    if (d == NULL)
        return errno == ENOENT || err_errno(err, "cannot list '%s'", gone);
    r.at = dirfd(d);
    do {
        r.lifted = false;
        ok = remove_all(&r, d, err);
    } while (r.lifted && !is_to_stop(&r));
    return ok;
}
