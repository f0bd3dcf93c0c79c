/* SPDX-License-Identifier: MIT */
#include "pipeline/run/leftovers.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include "base/clock.h"
#include "base/str.h"

#define TERM_GRACE_MS 2000 /* then SIGKILL */
#define GIVE_UP_MS 10000
#define UNSURE_MS 2000 /* so long one that shows no environment may yet turn out to be ours */
#define LOOK_AGAIN_MS 10
#define QUIET_LOOKS 2 /* a child may start behind the back of the look that misses its parent */
#define TOLD_MAX 1024 /* those beyond get no SIGTERM, only the SIGKILL */
#define ENVIRON_MAX ((size_t)2 << 20)
#define KERNEL_THREAD 0x00200000 /* PF_KTHREAD and PF_EXITING of the kernel's sched.h */
#define EXITING 0x00000004

enum kinship { STRANGER, OURS, UNSURE };

struct hunt {
    char entry[200];
    char *environment; /* ENVIRON_MAX bytes */
    bool kills;
    pid_t told[TOLD_MAX];
    unsigned told_count, seen, unsure; /* the last two: of one look */
};

static int64_t
field_of(struct str fields, int index)
{
    struct str field = {0};
    int64_t value = 0;

    for (int i = 3; i <= index; i++)
        if (!str_split(&fields, ' ', &field))
            return 0;
    return str_to_i64(field, &value) ? value : 0;
}

/* Asked when a process shows no environment.  In the middle of exec() that says nothing: the memory
 * of the old program is gone and that of the new one has none yet, for as long as loading takes. */
static bool
may_have_environment(const char *pid)
{
    char path[300], text[2048];

    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (n <= 0)
        return false;
    struct str fields = {text, (size_t)n};
    /* The name in parentheses may hold blanks and parentheses itself. */
    fields = str_slice(fields, (size_t)(str_rindex(fields, ')') + 2), fields.len);
    const int64_t flags = field_of(fields, 9), start = field_of(fields, 50),
                  end = field_of(fields, 51);
    if (str_starts(fields, STR("Z")) || str_starts(fields, STR("X")) ||
        (flags & (KERNEL_THREAD | EXITING)) != 0)
        return false;
    return end == 0 || end != start;
}

static enum kinship
kinship_of(struct hunt *h, const char *pid)
{
    const size_t len = strlen(h->entry) + 1; /* with its NUL: a whole entry */
    char path[300];

    snprintf(path, sizeof(path), "/proc/%s/environ", pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return STRANGER;
    /* One read: between two of them an exec() would leave us with half an environment. */
    const ssize_t n = read(fd, h->environment, ENVIRON_MAX);
    if (n > 0)
        return memmem(h->environment, (size_t)n, h->entry, len) != NULL ? OURS : STRANGER;
    return n == 0 && may_have_environment(pid) ? UNSURE : STRANGER;
}

static bool
was_told(const struct hunt *h, pid_t pid)
{
    for (unsigned i = 0; i < h->told_count; i++)
        if (h->told[i] == pid)
            return true;
    return false;
}

static void
end(struct hunt *h, pid_t pid, int pidfd)
{
    h->seen++;
    if (!was_told(h, pid) && h->told_count < TOLD_MAX) {
        h->told[h->told_count++] = pid;
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
    }
    if (h->kills)
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

static void
look_at(struct hunt *h, const char *name)
{
    const pid_t pid = isdigit((unsigned char)name[0]) ? atoi(name) : 0;

    if (pid <= 1 || pid == getpid())
        return;
    /* A pidfd first: the pid cannot become another process's meanwhile. */
    cleanup_close int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return;
    switch (kinship_of(h, name)) {
    case OURS: end(h, pid, pidfd); break;
    case UNSURE: h->unsure++; break;
    case STRANGER: break;
    }
}

static void
look_at_all(struct hunt *h)
{
    DIR *d = opendir("/proc");
    struct dirent *e;

    h->seen = h->unsure = 0;
    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL)
        look_at(h, e->d_name);
    closedir(d);
}

unsigned
leftovers_end(const char *cookie)
{
    cleanup_free struct hunt *h = mem_new(sizeof(*h));
    cleanup_free char *environment = mem_new(ENVIRON_MAX);
    const int64_t start_ms = clock_monotonic_ms();
    int64_t passed_ms = 0;

    h->environment = environment;
    snprintf(h->entry, sizeof(h->entry), "JENKINS_NODE_COOKIE=%s", cookie);
    for (int quiet = 0; passed_ms <= GIVE_UP_MS;) {
        h->kills = passed_ms >= TERM_GRACE_MS;
        look_at_all(h);
        quiet = h->seen == 0 && (h->unsure == 0 || passed_ms >= UNSURE_MS) ? quiet + 1 : 0;
        if (quiet == QUIET_LOOKS)
            break;
        clock_sleep_ms(LOOK_AGAIN_MS);
        passed_ms = clock_monotonic_ms() - start_ms;
    }
    return h->told_count;
}
