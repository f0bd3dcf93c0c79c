/* SPDX-License-Identifier: MIT */
#include "io/process_start.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/str.h"
#include "io/process_nudge.h"

#define STACK_SIZE ((size_t)64 << 10)
#define FIRST_FREE_FD 16 /* above those that the child gets */
/* The child runs on a stack that sanitizers know nothing of. */
#define ON_ITS_OWN_STACK \
    __attribute__((no_sanitize("address"), no_sanitize("undefined"), no_sanitize("thread")))

extern char **environ;

/* The C library's other name for clone(): ThreadSanitizer takes whoever calls that one for a fork, after
 * which it allows no threads. */
extern int clone_plain(int (*run)(void *), void *stack, int flags, void *arg, ...) __asm__("__clone");

/* What the child could not do. */
enum obstacle { NONE, DESCRIPTORS, PID_FILE, NETWORK, USER, DIRECTORY, PROGRAM };

/* Shared with the child, which has our memory until it is the program. */
struct child {
    const struct process_start *start;
    const struct process_place *place; /* never NULL */
    const char *program;
    char *const *env;
    struct nudge nudge;
    volatile enum obstacle obstacle;
    volatile int why;
};

static bool
is_program(const char *path)
{
    struct stat st;

    /* AT_EACCESS: as whoever acts now, not as who we really are */
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

static bool
is_same_directory(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Empty parts of PATH mean the current folder; we do not run programs from there by accident. */
bool
process_find_in(const char *path_list, const char *program, const char *skip_directory, char *out,
                size_t size)
{
    struct str rest = str_of(path_list), part;

    while (str_split(&rest, ':', &part)) {
        char directory[PATH_MAX];
        int len;

        if (part.len == 0 || !text_copy(directory, sizeof(directory), part))
            continue;
        if (skip_directory != NULL && is_same_directory(directory, skip_directory))
            continue;
        len = snprintf(out, size, "%s/%s", directory, program);
        if (len > 0 && (size_t)len < size && is_program(out))
            return true;
    }
    out[0] = '\0';
    return false;
}

const char *
process_path_of(const char *const *env)
{
    static const char fallback[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    const char *path;

    for (size_t i = 0; env != NULL && env[i] != NULL; i++)
        if (strncmp(env[i], "PATH=", 5) == 0)
            return env[i] + 5;
    path = env == NULL ? getenv("PATH") : NULL;
    return path == NULL ? fallback : path;
}

static bool
resolve(const struct process_start *s, char out[PATH_MAX], struct err *err)
{
    const struct identity *as = s->place == NULL ? NULL : s->place->as;
    const char *program = s->argv[0];
    bool found;

    if (strchr(program, '/') != NULL) {
        if (!text_copy(out, PATH_MAX, str_of(program)))
            return err_set(err, ERR_INTERNAL, "the path of a program is too long");
        return true;
    }
    if (as != NULL)
        identity_enter(as);
    found = process_find_in(process_path_of(s->env), program, NULL, out, PATH_MAX);
    if (as != NULL)
        identity_leave();
    if (found)
        return true;
    errno = ENOENT;
    return err_errno(err, "cannot start '%s'", program);
}

/* ---- in the child: system calls only, past ThreadSanitizer, which
 * takes its descriptors for ours ---- */

ON_ITS_OWN_STACK static bool
fail(struct child *c, enum obstacle obstacle)
{
    c->why = errno;
    c->obstacle = obstacle;
    return false;
}

/* Default signals: a daemon that ignores SIGPIPE or blocks SIGTERM for its own reasons must not hand
 * that on.  They are blocked until then, since handlers would run in our memory. */
ON_ITS_OWN_STACK static void
reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    for (int i = 1; i < NSIG; i++)
        (void)sigaction(i, &action, NULL);
}

/* Out of the way first, as one may have the number that another is to get. */
ON_ITS_OWN_STACK static bool
set_descriptors(struct child *c)
{
    const struct process_start *s = c->start;
    int moved[PROCESS_FDS_MAX];

    for (size_t i = 0; i < s->fd_count; i++)
        if ((moved[i] = (int)syscall(SYS_fcntl, s->fds[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD)) < 0)
            return fail(c, DESCRIPTORS);
    for (size_t i = 0; i < s->fd_count; i++)
        if (syscall(SYS_dup3, moved[i], (int)i, 0) < 0)
            return fail(c, DESCRIPTORS);
    return true;
}

/* A cgroup that is gone, or not ours to write to, is no reason not to run. */
ON_ITS_OWN_STACK static void
join(const char *file)
{
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)syscall(SYS_write, fd, "0", 1);
    (void)syscall(SYS_close, fd);
}

ON_ITS_OWN_STACK static bool
note_pid(struct child *c)
{
    char text[24];
    size_t at = sizeof(text);
    long pid = syscall(SYS_getpid);
    int fd;
    bool ok;

    if (c->start->pid_file == NULL)
        return true;
    text[--at] = '\n';
    for (; pid > 0; pid /= 10)
        text[--at] = (char)('0' + pid % 10);
    fd = (int)syscall(SYS_openat, AT_FDCWD, c->start->pid_file,
                      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(c, PID_FILE);
    ok = syscall(SYS_write, fd, text + at, sizeof(text) - at) == (long)(sizeof(text) - at);
    (void)syscall(SYS_close, fd);
    return ok || fail(c, PID_FILE);
}

ON_ITS_OWN_STACK static bool
leave_network(struct child *c)
{
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd;

    if (!c->place->no_network)
        return true;
    if (unshare(CLONE_NEWNET) != 0)
        return fail(c, NETWORK);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &loopback) != 0)
        return fail(c, NETWORK);
    (void)syscall(SYS_close, fd);
    return true;
}

/* ssh and others want a name for who they are.  Where there may be no mounts, there is none. */
ON_ITS_OWN_STACK static void
show_passwd(const char *file)
{
    if (file != NULL && unshare(CLONE_NEWNS) == 0 &&
        mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0)
        (void)mount(file, "/etc/passwd", NULL, MS_BIND, NULL);
}

/* The C library's functions would tell the other threads of it. */
ON_ITS_OWN_STACK static bool
become(struct child *c, const struct identity *id)
{
    if (id == NULL)
        return true;
    return (syscall(SYS_setgroups, id->group_count, id->groups) == 0 &&
            syscall(SYS_setresgid, id->gid, id->gid, id->gid) == 0 &&
            syscall(SYS_setresuid, id->uid, id->uid, id->uid) == 0) ||
           fail(c, USER);
}

ON_ITS_OWN_STACK static bool
prepare(struct child *c)
{
    const struct process_start *s = c->start;

    c->nudge.pid = (pid_t)syscall(SYS_getpid);
    reset_signals();
    if (s->new_session)
        (void)setsid();
    else
        (void)setpgid(0, 0);
    if (!set_descriptors(c))
        return false;
    for (size_t i = 0; c->place->joins != NULL && c->place->joins[i] != NULL; i++)
        join(c->place->joins[i]);
    if (!note_pid(c) || !leave_network(c))
        return false;
    show_passwd(c->place->passwd);
    /* The folder is entered as who is to work in it. */
    if (!become(c, c->place->as))
        return false;
    return s->directory == NULL || chdir(s->directory) == 0 || fail(c, DIRECTORY);
}

ON_ITS_OWN_STACK static int
run_child(void *arg)
{
    struct child *c = arg;
    sigset_t none;

    if (prepare(c)) {
        (void)syscall(SYS_close_range, (unsigned)c->start->fd_count, ~0u, 0);
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)execve(c->program, (char *const *)(uintptr_t)c->start->argv, c->env);
        (void)fail(c, PROGRAM);
    }
    (void)syscall(SYS_exit_group, 127);
    return 127;
}

/* ---- in the parent ---- */

static bool
explain(const struct child *c, struct err *err)
{
    const struct process_start *s = c->start;

    errno = c->why;
    switch (c->obstacle) {
    case PID_FILE: return err_errno(err, "cannot make '%s'", s->pid_file);
    case NETWORK: return err_errno(err, "cannot start '%s' without a network", s->argv[0]);
    case USER:
        return err_errno(err, "cannot start '%s' as the user %u", s->argv[0], (unsigned)c->place->as->uid);
    case DIRECTORY: return err_errno(err, "cannot start '%s' in '%s'", s->argv[0], s->directory);
    case NONE:
    case DESCRIPTORS:
    case PROGRAM: break;
    }
    return err_errno(err, "cannot start '%s'", s->argv[0]);
}

/* The calling thread waits until the child is the program, or has failed. */
static pid_t
launch(struct child *c)
{
    cleanup_free char *stack = mem_new(STACK_SIZE);
    const bool is_another = c->place->as != NULL;
    sigset_t all, before;
    pid_t pid;

    if (is_another)
        nudge_begin(&c->nudge);
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = clone_plain(run_child, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, c);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (is_another)
        nudge_end(&c->nudge);
    return pid;
}

bool
process_start(const struct process_start *s, pid_t *pid_out, struct err *err)
{
    static const struct process_place ours = {0};
    char program[PATH_MAX];
    struct child c = {.start = s,
                      .place = s->place != NULL ? s->place : &ours,
                      .program = program,
                      .env = s->env == NULL ? environ : (char *const *)(uintptr_t)s->env};
    pid_t pid;

    assert(s->fd_count <= PROCESS_FDS_MAX);
    if (!resolve(s, program, err))
        return false;
    pid = launch(&c);
    if (pid < 0)
        return err_errno(err, "cannot start '%s'", s->argv[0]);
    if (c.obstacle != NONE) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        return explain(&c, err);
    }
    *pid_out = pid;
    return true;
}
