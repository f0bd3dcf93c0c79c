/* SPDX-License-Identifier: MIT */
#include "pipeline/run/leftovers.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include "base/clock.h"
#include "base/log.h"
#include "pipeline/run/build_group.h"

#define TERM_GRACE_MS 2000 /* then SIGKILL */
#define GIVE_UP_MS 10000
#define UNSURE_MS 2000 /* so long one that shows no environment may yet turn out to be ours */
#define LOOK_AGAIN_MS 10
#define REMOVE_TRIES 100
#define QUIET_LOOKS 2 /* a child may start behind the back of the look that misses its parent */
#define TOLD_MAX 1024 /* those beyond get no SIGTERM, only the SIGKILL */
#define ENVIRON_MAX ((size_t)2 << 20)
#define KERNEL_THREAD 0x00200000 /* PF_KTHREAD and PF_EXITING of the kernel's sched.h */
#define EXITING 0x00000004

enum kinship { STRANGER, OURS, UNSURE, STAYS, GONE };

struct hunt {
    const char *entry;
    const struct cgroup *group; /* NULL: none */
    pid_t members[CGROUP_PROCESSES_MAX];
    char *environment; /* ENVIRON_MAX bytes */
    bool kills, spares; /* `spares`: those that are meant to stay */
    int signal; /* of leftovers_signal() */
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
 * of the old program is gone and that of the new one has none yet, for as long as loading takes.  One that has
 * ended may stay in its group for a moment; where other threads of it go on it has not. */
static enum kinship
without_environment(const char *pid)
{
    char path[300], text[2048];

    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (n <= 0)
        return GONE;
    struct str fields = {text, (size_t)n};
    /* The name in parentheses may hold blanks and parentheses itself. */
    fields = str_slice(fields, (size_t)(str_rindex(fields, ')') + 2), fields.len);
    const int64_t flags = field_of(fields, 9), threads = field_of(fields, 20), start = field_of(fields, 50),
                  end = field_of(fields, 51);
    if (str_starts(fields, STR("Z")) || str_starts(fields, STR("X")) || (flags & EXITING) != 0)
        return threads > 1 ? STRANGER : GONE;
    if ((flags & KERNEL_THREAD) != 0)
        return STRANGER;
    return end == 0 || end != start ? UNSURE : STRANGER;
}

static bool
has_entry(const struct hunt *h, size_t size, const char *entry)
{
    const size_t len = strlen(entry) + 1; /* with its NUL: a whole entry */
    const char *at = h->environment, *const end = at + size;

    while ((at = memmem(at, (size_t)(end - at), entry, len)) != NULL) {
        if (at == h->environment || at[-1] == '\0')
            return true;
        at++;
    }
    return false;
}

static enum kinship
kinship_of(struct hunt *h, const char *pid)
{
    char path[300];

    snprintf(path, sizeof(path), "/proc/%s/environ", pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ESRCH ? GONE : STRANGER;
    /* One read: between two of them an exec() would leave us with half an environment. */
    const ssize_t n = read(fd, h->environment, ENVIRON_MAX);
    if (n > 0 && h->spares && (has_entry(h, (size_t)n, "JENKINS_NODE_COOKIE=dontKillMe") ||
                               has_entry(h, (size_t)n, "BUILD_ID=dontKillMe")))
        return STAYS;
    if (n > 0)
        return has_entry(h, (size_t)n, h->entry) ? OURS : STRANGER;
    return n == 0 ? without_environment(pid) : STRANGER;
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

/* A pidfd before anything else: the pid cannot become another process's meanwhile.  -1: of no
 * interest. */
static int
open_process(const char *name, pid_t *pid_out)
{
    const pid_t pid = isdigit((unsigned char)name[0]) ? atoi(name) : 0;

    *pid_out = pid;
    return pid <= 1 || pid == getpid() ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
}

static void
look_at(struct hunt *h, const char *name)
{
    pid_t pid;
    cleanup_close int pidfd = open_process(name, &pid);

    if (pidfd < 0)
        return;
    switch (kinship_of(h, name)) {
    case OURS: end(h, pid, pidfd); break;
    case UNSURE: h->unsure++; break;
    case STAYS:
    case GONE:
    case STRANGER: break;
    }
}

/* Whoever is in the build's own group is its process, whatever it made of its environment. */
static void
look_at_member(struct hunt *h, pid_t pid)
{
    char name[16];

    if (pid == getpid()) { /* a script of the build has started naru anew */
        cgroup_let_go(h->group, pid);
        return;
    }
    cleanup_close int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0 || !cgroup_has(h->group, pid))
        return;
    (void)snprintf(name, sizeof(name), "%d", (int)pid);
    switch (kinship_of(h, name)) {
    case STAYS: cgroup_let_go(h->group, pid); break;
    case OURS: /* the look at all finds it */
    case GONE: break;
    case STRANGER: end(h, pid, pidfd); break;
    case UNSURE: /* not before it shows what it is, unless it has had its time */
        if (h->kills)
            end(h, pid, pidfd);
        else
            h->unsure++;
        break;
    }
}

static void
look_at_members(struct hunt *h)
{
    const size_t count =
        h->group == NULL ? 0 : cgroup_processes(h->group, h->members, CGROUP_PROCESSES_MAX);

    for (size_t i = 0; i < count; i++)
        look_at_member(h, h->members[i]);
    /* Those that start more of themselves than one can look at. */
    if (h->group != NULL && h->kills)
        cgroup_kill(h->group);
}

static void
each_process(struct hunt *h, void (*look)(struct hunt *h, const char *name))
{
    DIR *d = opendir("/proc");
    struct dirent *e;

    h->seen = h->unsure = 0;
    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL)
        look(h, e->d_name);
    closedir(d);
}

static void
look_at_all(struct hunt *h)
{
    each_process(h, look_at);
    look_at_members(h);
}

/* A group that has just emptied may be busy for a moment. */
static void
remove_group(const struct cgroup *group, const char *cookie)
{
    for (int i = 0; i < REMOVE_TRIES; i++) {
        if (cgroup_remove(group))
            return;
        clock_sleep_ms(LOOK_AGAIN_MS);
    }
    log_warn("build.group", "cookie=%s error=%s", cookie,
             log_quote("the cgroup cannot be removed"));
}

unsigned
leftovers_end(const char *cookie, bool spares)
{
    cleanup_free struct hunt *h = mem_new(sizeof(*h));
    cleanup_free char *environment = mem_new(ENVIRON_MAX);
    cleanup_free char *entry = text_format("JENKINS_NODE_COOKIE=%s", cookie);
    const int64_t start_ms = clock_monotonic_ms();
    cleanup_free char *name = text_format(BUILD_GROUP_PREFIX "%s", cookie);
    struct cgroup *group = cgroup_find(NULL, name);
    int64_t passed_ms = 0;

    h->environment = environment;
    h->group = group;
    h->entry = entry;
    h->spares = spares;
    for (int quiet = 0; passed_ms <= GIVE_UP_MS;) {
        h->kills = passed_ms >= TERM_GRACE_MS;
        look_at_all(h);
        quiet = h->seen == 0 && (h->unsure == 0 || passed_ms >= UNSURE_MS) ? quiet + 1 : 0;
        if (quiet == QUIET_LOOKS)
            break;
        clock_sleep_ms(LOOK_AGAIN_MS);
        passed_ms = clock_monotonic_ms() - start_ms;
    }
    if (group != NULL)
        remove_group(group, cookie);
    cgroup_free(group);
    return h->told_count;
}

static void
signal_one(struct hunt *h, const char *name)
{
    pid_t pid;
    cleanup_close int pidfd = open_process(name, &pid);

    if (pidfd < 0 || kinship_of(h, name) != OURS)
        return;
    h->seen++;
    if (h->signal != 0)
        (void)syscall(SYS_pidfd_send_signal, pidfd, h->signal, NULL, 0);
}

unsigned
leftovers_signal(const char *entry, int signal)
{
    cleanup_free struct hunt *h = mem_new(sizeof(*h));
    cleanup_free char *environment = mem_new(ENVIRON_MAX);

    h->environment = environment;
    h->entry = entry;
    h->spares = true;
    h->signal = signal;
    each_process(h, signal_one);
    return h->seen;
}
