/* SPDX-License-Identifier: MIT */
/* journal_kill.c - loaded into `naru server` (LD_PRELOAD): ends it by SIGKILL around a record of a build's journal.
 *   NARU_KILL_AT=due:N       before the Nth record is written
 *   NARU_KILL_AT=written:N   when it is written
 *   NARU_KILL_AT=flushed:N   when the Nth flush is over
 *   NARU_KILL_RECORDS=FILE   what was written, a copy; without NARU_KILL_AT nothing is ended
 * What the server starts does not load it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fdatasync)(int);
static char point[16];
static long at;
static int records = -1;
static atomic_long written, flushed;

__attribute__((constructor)) static void
begin(void)
{
    const char *where = getenv("NARU_KILL_AT"), *copy = getenv("NARU_KILL_RECORDS");

    *(void **)&real_write = dlsym(RTLD_NEXT, "write");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    if (where != NULL)
        sscanf(where, "%15[a-z]:%ld", point, &at);
    if (copy != NULL)
        records = open(copy, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    unsetenv("LD_PRELOAD");
}

static int
is_journal(int fd)
{
    char link[32], path[4096];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, sizeof(path) - 1);
    return n > 8 && strncmp(path + n - 8, "/journal", 8) == 0;
}

static void
reach(const char *here, long count)
{
    if (count == at && strcmp(here, point) == 0)
        raise(SIGKILL);
}

ssize_t
write(int fd, const void *bytes, size_t size)
{
    if (!is_journal(fd))
        return real_write(fd, bytes, size);
    const long count = ++written;
    reach("due", count);
    const ssize_t n = real_write(fd, bytes, size);
    if (records >= 0 && n > 0 && real_write(records, bytes, (size_t)n) != n)
        abort();
    reach("written", count);
    return n;
}

int
fdatasync(int fd)
{
    const int result = real_fdatasync(fd);

    if (is_journal(fd))
        reach("flushed", ++flushed);
    return result;
}
