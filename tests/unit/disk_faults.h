/* SPDX-License-Identifier: MIT */
/* disk_faults.h - the disk, as a test wants it: the Nth call that changes it fails, or the machine
 * loses its power there.  For programs that are linked with --wrap of each function below.
 *
 * faults_arm(FAULT_FAILS or FAULT_DIES, n) counts from now on, in this process and its children.
 * A child that dies ends with FAULTS_DIED.  Then its parent calls faults_power_cut(): bytes that
 * were not flushed are cut off, and of the names whose folder was not flushed those are undone that
 * `lost` says. What the calls have done lies in memory that parent and child share. */
#pragma once
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FAULTS_DIED 99
#define CHANGES_MAX 512
#define FILES_MAX 256

enum fault { FAULT_NONE, FAULT_FAILS, FAULT_DIES };
enum lost { LOST_NOTHING, LOST_ALL, LOST_FIRST, LOST_LAST, LOST_LAST_TWO, LOST_RECORDS };

struct change { /* of a name, not yet flushed */
    char path[256];
    char old[300]; /* a link to what the name led to before; "" if to nothing */
    bool is_folder;
};
struct unflushed {
    ino_t inode;
    char path[256];
};
struct faults {
    enum fault fault;
    bool counts;
    int error;
    long at, calls;
    char keep[128]; /* where links to replaced files are kept */
    long kept;
    int change_count, file_count;
    struct change changes[CHANGES_MAX];
    struct unflushed files[FILES_MAX];
};
static struct faults *faults;
static const char *faults_unreadable; /* a folder whose path ends so breaks off when it is read; or NULL */

static inline void
faults_init(const char *keep)
{
    faults = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (faults == MAP_FAILED)
        abort();
    snprintf(faults->keep, sizeof faults->keep, "%s", keep);
}

static inline void
faults_arm(enum fault fault, long at, int error)
{
    faults->fault = fault;
    faults->at = at;
    faults->error = error;
    faults->calls = 0;
    faults->change_count = faults->file_count = 0;
    faults->counts = true;
}

/* True: this call fails, errno is set. */
static inline bool
faults_hit(void)
{
    if (faults == NULL || !faults->counts || ++faults->calls != faults->at)
        return false;
    if (faults->fault == FAULT_DIES)
        _exit(FAULTS_DIED);
    errno = faults->error;
    return faults->fault == FAULT_FAILS;
}

static inline bool
faults_watch(void)
{
    return faults != NULL && faults->counts;
}

static inline void
faults_dirty(int fd, const char *path)
{
    struct stat st;

    if (!faults_watch() || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    for (int i = 0; i < faults->file_count; i++)
        if (faults->files[i].inode == st.st_ino)
            return;
    if (faults->file_count == FILES_MAX)
        abort();
    struct unflushed *f = &faults->files[faults->file_count++];
    f->inode = st.st_ino;
    if (path != NULL) {
        snprintf(f->path, sizeof f->path, "%s", path);
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, f->path, sizeof f->path - 1);
        f->path[n > 0 ? n : 0] = '\0';
    }
}

/* Before a name changes: what it led to stays reachable. */
static inline void
faults_change(const char *path, bool is_folder)
{
    if (!faults_watch())
        return;
    if (faults->change_count == CHANGES_MAX)
        abort();
    struct change *c = &faults->changes[faults->change_count++];
    snprintf(c->path, sizeof c->path, "%s", path);
    c->is_folder = is_folder;
    snprintf(c->old, sizeof c->old, "%s/%ld", faults->keep, faults->kept++);
    if (is_folder || link(path, c->old) < 0)
        c->old[0] = '\0';
}

static inline void
faults_changed(const char *path, bool done)
{
    if (faults_watch() && !done && faults->change_count > 0 &&
        strcmp(faults->changes[faults->change_count - 1].path, path) == 0)
        faults->change_count--;
}

static inline void
faults_flushed(int fd)
{
    char link[64], folder[256];
    struct stat st;

    if (!faults_watch() || fstat(fd, &st) < 0)
        return;
    for (int i = 0; i < faults->file_count; i++)
        if (faults->files[i].inode == st.st_ino)
            faults->files[i--] = faults->files[--faults->file_count];
    if (!S_ISDIR(st.st_mode))
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, folder, sizeof folder - 1);
    folder[n > 0 ? n : 0] = '\0';
    int kept = 0;
    for (int i = 0; i < faults->change_count; i++) {
        struct change *c = &faults->changes[i];
        const size_t len = strlen(folder);
        const bool is_here = strncmp(c->path, folder, len) == 0 && c->path[len] == '/' &&
                             strchr(c->path + len + 1, '/') == NULL;
        if (!is_here)
            faults->changes[kept++] = *c;
        else if (c->old[0] != '\0')
            unlink(c->old);
    }
    faults->change_count = kept;
}

static inline void
faults_undo(const struct change *c)
{
    if (c->is_folder) {
        rmdir(c->path);
        return;
    }
    unlink(c->path);
    if (c->old[0] != '\0' && link(c->old, c->path) < 0)
        perror(c->path);
}

/* In the parent, after the child has died. */
static inline void
faults_power_cut(enum lost lost)
{
    faults->counts = false;
    for (int i = 0; i < faults->file_count; i++) {
        struct stat st;
        const char *path = faults->files[i].path;
        if (stat(path, &st) == 0 && st.st_ino == faults->files[i].inode &&
            truncate(path, st.st_size / 2) < 0)
            perror(path);
    }
    for (int i = faults->change_count - 1; i >= 0; i--)
        if (lost == LOST_ALL || (lost == LOST_FIRST && i == 0) ||
            (lost == LOST_LAST && i == faults->change_count - 1) ||
            (lost == LOST_LAST_TWO && i >= faults->change_count - 2) ||
            (lost == LOST_RECORDS && strstr(faults->changes[i].path, "/_manifests/") != NULL))
            faults_undo(&faults->changes[i]);
    for (int i = 0; i < faults->change_count; i++)
        if (faults->changes[i].old[0] != '\0')
            unlink(faults->changes[i].old);
    faults->change_count = 0;
}

/* ---- the calls ---- */

#define REAL(result, name, ...)        \
    result __real_##name(__VA_ARGS__); \
    result __wrap_##name(__VA_ARGS__);

REAL(int, open64, const char *path, int flags, ...)
REAL(ssize_t, write, int fd, const void *data, size_t size)
REAL(int, rename, const char *from, const char *to)
REAL(int, unlink, const char *path)
REAL(int, mkdir, const char *path, mode_t mode)
REAL(int, unlinkat, int folder, const char *name, int flags)
REAL(int, fsync, int fd)
REAL(int, fdatasync, int fd)
REAL(int, futimens, int fd, const struct timespec times[2])
REAL(int, utimensat, int at, const char *path, const struct timespec times[2], int flags)
REAL(int, sync_file_range, int fd, off64_t at, off64_t size, unsigned flags)
REAL(struct dirent *, readdir64, DIR *dir)
REAL(long, syscall, long number, ...)

int
__wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode = 0;

    va_start(arguments, flags);
    if (flags & O_CREAT)
        mode = va_arg(arguments, mode_t);
    va_end(arguments);
    if (!(flags & O_CREAT) || !faults_watch())
        return __real_open64(path, flags, mode);
    if (faults_hit())
        return -1;
    const bool is_new = access(path, F_OK) != 0;
    if (is_new)
        faults_change(path, false);
    int fd = __real_open64(path, flags, mode);
    if (is_new)
        faults_changed(path, fd >= 0);
    return fd;
}

ssize_t
__wrap_write(int fd, const void *data, size_t size)
{
    struct stat st;

    if (!faults_watch() || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return __real_write(fd, data, size);
    if (faults_hit())
        return -1;
    faults_dirty(fd, NULL);
    return __real_write(fd, data, size);
}

int
__wrap_rename(const char *from, const char *to)
{
    if (faults_hit())
        return -1;
    faults_change(to, false);
    const int result = __real_rename(from, to);
    faults_changed(to, result == 0);
    for (int i = 0; result == 0 && faults_watch() && i < faults->file_count; i++)
        if (strcmp(faults->files[i].path, from) == 0)
            snprintf(faults->files[i].path, sizeof faults->files[i].path, "%s", to);
    return result;
}

int
__wrap_unlink(const char *path)
{
    if (faults_hit())
        return -1;
    faults_change(path, false);
    const int result = __real_unlink(path);
    faults_changed(path, result == 0);
    return result;
}

int
__wrap_mkdir(const char *path, mode_t mode)
{
    if (faults_hit())
        return -1;
    faults_change(path, true);
    const int result = __real_mkdir(path, mode);
    faults_changed(path, result == 0);
    return result;
}

/* Of trees that nobody knows any more: a power cut brings back nothing of them. */
int
__wrap_unlinkat(int folder, const char *name, int flags)
{
    struct stat st;
    const bool changes = fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) == (flags == AT_REMOVEDIR);

    return changes && faults_hit() ? -1 : __real_unlinkat(folder, name, flags);
}

int
__wrap_fsync(int fd)
{
    if (faults_hit())
        return -1;
    faults_flushed(fd);
    return 0; /* what a flush would add is what the books above say */
}

int
__wrap_fdatasync(int fd)
{
    return __wrap_fsync(fd);
}

int
__wrap_futimens(int fd, const struct timespec times[2])
{
    return faults_hit() ? -1 : __real_futimens(fd, times);
}

int
__wrap_utimensat(int at, const char *path, const struct timespec times[2], int flags)
{
    return faults_hit() ? -1 : __real_utimensat(at, path, times, flags);
}

int
__wrap_sync_file_range(int fd, off64_t at, off64_t size, unsigned flags)
{
    return faults_hit() ? -1 : __real_sync_file_range(fd, at, size, flags);
}

struct dirent *
__wrap_readdir64(DIR *dir)
{
    char link[64], path[512];

    if (faults_unreadable == NULL)
        return __real_readdir64(dir);
    snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd(dir));
    const ssize_t n = readlink(link, path, sizeof path);
    const ssize_t end = (ssize_t)strlen(faults_unreadable);
    if (n < end || strncmp(path + n - end, faults_unreadable, (size_t)end) != 0)
        return __real_readdir64(dir);
    errno = EIO;
    return NULL;
}

/* No flushes by the kernel's own threads: those would pass by the books above. */
long
__wrap_syscall(long number, ...)
{
    va_list arguments;
    long a[6];

    if (number == SYS_io_setup) {
        errno = ENOSYS;
        return -1;
    }
    va_start(arguments, number);
    for (size_t i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
