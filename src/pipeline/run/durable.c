/* SPDX-License-Identifier: MIT */
#include "pipeline/run/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "io/file.h"
#include "io/process.h"
#include "pipeline/run/leftovers.h"

#define TERM_GRACE_MS 5000
#define FIRST_LOOK_MS 4
#define LAST_LOOK_MS 100
#define GIVE_UP_MS 5000 /* after SIGKILL */
#define QUIET_LOOKS 2   /* a child may start behind the back of the look that misses its parent */
#define PIECE 65536
#define REASON_WAIT_MS 5000

/* $0 is the folder, for is_ours(). The signals that end the command do not end its shell, which is to
 * note how that went; `:` instead of an empty trap, since children inherit what is ignored. */
static const char shell[] = "trap : TERM INT HUP; \"$@\" 3>&-; echo $? >&3";

struct durable {
    struct run *run;
    const struct durable_spec *spec;
    const char *folder;
    pid_t pid;
    int pidfd;
    int log_fd, output_fd;
    off_t log_at, output_at;
    int64_t kill_ms; /* SIGTERM went out, SIGKILL is due then; 0: not yet */
    int64_t look_ms;
    bool interrupted, was_told; /* by this naru; by an earlier one */
};

static const char *
path_in(const struct durable *d, const char *name)
{
    return arena_format(&d->run->arena, "%s/%s", d->folder, name);
}

static int
open_in(const struct durable *d, const char *name, int flags, struct err *err)
{
    const char *path = path_in(d, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd < 0)
        err_errno(err, "cannot open '%s'", path);
    return fd;
}

/* For scripts that write to /dev/stderr, which is the file once more, opened by them. */
static bool
give(const struct durable *d, int fd, struct err *err)
{
    const struct build_user *u = d->run->user;

    return u == NULL || fchown(fd, u->id.uid, u->id.gid) == 0 ||
           err_errno(err, "cannot give '%s' to the build's user", d->folder);
}

static bool
start(struct durable *d, struct err *err)
{
    const struct durable_spec *spec = d->spec;
    const char *argv[64] = {"/bin/sh", "-c", shell, d->folder};
    size_t n = 4;

    while (spec->argv[n - 4] != NULL && n < ARRAY_COUNT(argv) - 1) {
        argv[n] = spec->argv[n - 4];
        n++;
    }
    if (spec->argv[n - 4] != NULL)
        return err_set(err, ERR_INTERNAL, "the command has too many arguments");
    cleanup_close int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cleanup_close int log = open_in(d, "log", O_WRONLY | O_CREAT | O_APPEND, err);
    cleanup_close int output =
        spec->captures ? open_in(d, "output", O_WRONLY | O_CREAT | O_APPEND, err) : -1;
    cleanup_close int result = open_in(d, "result", O_WRONLY | O_CREAT | O_APPEND, err);
    if (in < 0)
        return err_errno(err, "cannot open /dev/null");
    if (log < 0 || result < 0 || (spec->captures && output < 0) || !give(d, log, err) ||
        (spec->captures && !give(d, output, err)))
        return false;
    const struct process_session session = {.argv = argv,
                                            .env = spec->env,
                                            .directory = spec->directory,
                                            .fds = {in, spec->captures ? output : log, log, result},
                                            .pid_file = path_in(d, "pid"),
                                            .place = &d->run->place};
    return process_start_session(&session, &d->pid, err);
}

/* Is that process the shell of this folder, or another one that got its number? */
static bool
is_ours(const struct durable *d, pid_t pid)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    if (!file_read(path, 1 << 20, &text, NULL))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == '\0')
            text.at[i] = '\n';
    return str_find(strbuf_str(&text), str_of(d->folder)) >= 0;
}

static bool
read_pid(struct durable *d, int64_t *pid)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    return file_read(path_in(d, "pid"), 64, &text, NULL) && str_to_i64(str_trim(strbuf_str(&text)), pid);
}

/* Was the command of this folder begun by an earlier naru (and has ended, perhaps)?  If not, it
 * never will be: the file that its shell would have to make is there. */
static bool
was_begun(struct durable *d)
{
    const char *path = path_in(d, "pid");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int64_t pid = 0;

    if (fd >= 0) {
        close(fd);
        return false;
    }
    /* Made, and written a moment later; it stays empty if a naru made it. */
    for (int i = 0; i < 100 && !read_pid(d, &pid); i++)
        flow_wait(d->run, NULL, 0, clock_monotonic_ms() + 10);
    if (pid <= 1)
        return false;
    d->pid = (pid_t)pid;
    d->pidfd = process_open(d->pid);
    if (d->pidfd >= 0 && !is_ours(d, d->pid)) {
        close(d->pidfd);
        d->pidfd = -1;
    }
    if (d->pidfd < 0)
        d->pid = 0; /* it has ended, and its number may be anybody's: nothing is sent there */
    return true;
}

/* What a power cut left of the folder says nothing of what ran: pid and result may be lost. */
static bool
begin_lost(struct durable *d, struct err *err)
{
    cleanup_close int lost = -1;

    if (!file_make_dirs(d->folder, 0700, err) ||
        (lost = open_in(d, "lost", O_WRONLY | O_CREAT, err)) < 0)
        return false;
    d->log_fd = open_in(d, "log", O_RDONLY | O_CREAT, err);
    d->output_fd = d->spec->captures ? open_in(d, "output", O_RDONLY | O_CREAT, err) : -1;
    return d->log_fd >= 0 && (!d->spec->captures || d->output_fd >= 0);
}

static bool
begin(struct durable *d, struct err *err)
{
    for (unsigned attempt = 1;; attempt++) {
        d->folder = attempt == 1
                        ? d->spec->folder
                        : arena_format(&d->run->arena, "%s.%u", d->spec->folder, attempt);
        if (d->spec->is_lost || file_exists(path_in(d, "lost")))
            return begin_lost(d, err);
        if (!file_exists(d->folder)) {
            if (!file_make_dirs(d->folder, 0700, err) || !start(d, err))
                return false;
            d->pidfd = process_open(d->pid);
            break;
        }
        if (was_begun(d))
            break;
    }
    /* Whoever told it to end cannot say any more that its end was that. */
    d->was_told = file_exists(path_in(d, "told"));
    d->kill_ms = d->was_told ? clock_monotonic_ms() + TERM_GRACE_MS : 0;
    d->log_fd = open_in(d, "log", O_RDONLY, err);
    d->output_fd = d->spec->captures ? open_in(d, "output", O_RDONLY, err) : -1;
    return d->log_fd >= 0 && (!d->spec->captures || d->output_fd >= 0);
}

static void
forward(const struct durable *d, int fd, off_t *at, bool is_error)
{
    char piece[PIECE / 4];
    ssize_t n;

    while (fd >= 0 && (n = pread(fd, piece, sizeof(piece), *at)) > 0) {
        *at += n;
        d->spec->on_output(d->spec->arg, (struct str){piece, (size_t)n}, is_error);
    }
}

static void
forward_all(struct durable *d)
{
    off_t before = d->log_at + d->output_at;

    forward(d, d->log_fd, &d->log_at, d->spec->captures);
    forward(d, d->output_fd, &d->output_at, false);
    d->look_ms = before != d->log_at + d->output_at ? FIRST_LOOK_MS
                 : d->look_ms * 2 < LAST_LOOK_MS    ? d->look_ms * 2
                                                    : LAST_LOOK_MS;
}

static void
enforce(struct durable *d)
{
    int64_t now_ms = clock_monotonic_ms();
    struct err err;

    if (d->kill_ms != 0) {
        if (now_ms >= d->kill_ms)
            process_kill_group(d->pid, SIGKILL);
        return;
    }
    /* In this order: a stop that comes between the two questions is due, and is no reason to kill. */
    if (!run_is_due(d->run) || run_is_suspended(d->run))
        return;
    d->interrupted = true;
    d->kill_ms = now_ms + TERM_GRACE_MS;
    cleanup_close int told = open_in(d, "told", O_WRONLY | O_CREAT, &err);
    (void)told;
    process_kill_group(d->pid, SIGTERM);
    (void)leftovers_signal(d->spec->mark, SIGTERM);
}

/* The shell of an interrupted script has ended, which is not all of it. */
static void
end_rest(const struct durable *d)
{
    for (int quiet = 0; quiet < QUIET_LOOKS && !run_is_suspended(d->run);) {
        const int64_t now_ms = clock_monotonic_ms();
        const int signal = now_ms < d->kill_ms ? 0 : SIGKILL;

        quiet = leftovers_signal(d->spec->mark, signal) == 0 ? quiet + 1 : 0;
        if (now_ms > d->kill_ms + GIVE_UP_MS)
            break;
        flow_wait(d->run, NULL, 0, now_ms + (quiet > 0 ? FIRST_LOOK_MS : LAST_LOOK_MS));
    }
}

/* What interrupted it under an earlier naru is due again at once, or as soon as the branch that
 * failed has repeated that. */
static bool
knows_why(const struct durable *d)
{
    int64_t give_up_ms = clock_monotonic_ms() + REASON_WAIT_MS;

    while (!run_is_due(d->run)) {
        if (clock_monotonic_ms() >= give_up_ms)
            return false;
        flow_wait(d->run, NULL, 0, clock_monotonic_ms() + LAST_LOOK_MS / 10);
    }
    return true;
}

static bool
has_ended(const struct durable *d)
{
    struct pollfd fd = {.fd = d->pidfd, .events = POLLIN};

    return d->pidfd < 0 || poll(&fd, 1, 0) != 0;
}

/* One that began under a naru without users of builds, or before the operator gave the build one, goes on as
 * who it was; what it made would be closed to the steps that follow. */
static void
hand_over(const struct durable *d)
{
    const struct build_user *u = d->run->user;
    struct stat st;

    if (u != NULL && fstat(d->log_fd, &st) == 0 && st.st_uid != u->id.uid)
        (void)build_user_take_back(d->run);
}

static int
read_result(const struct durable *d)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    int64_t code = DURABLE_LOST;
    int status;

    if (d->pid > 0 && process_reap(d->pid, &status) && status != 0)
        code = status; /* the shell was killed */
    if (file_read(path_in(d, "result"), 64, &text, NULL) && text.len > 1 &&
        text.at[text.len - 1] == '\n')
        (void)str_to_i64(str_trim(strbuf_str(&text)), &code);
    return (int)code;
}

bool
durable_run(struct run *run, const struct durable_spec *spec, struct durable_result *out,
            struct err *err)
{
    struct durable d = {.run = run,
                        .spec = spec,
                        .pidfd = -1,
                        .log_fd = -1,
                        .output_fd = -1,
                        .look_ms = FIRST_LOOK_MS};
    bool ok = begin(&d, err);

    *out = (struct durable_result){0};
    while (ok && !has_ended(&d)) {
        struct pollfd fd = {.fd = d.pidfd, .events = POLLIN};
        if (run_is_suspended(run)) {
            out->left = true;
            break;
        }
        flow_wait(run, &fd, 1, clock_monotonic_ms() + d.look_ms);
        forward_all(&d);
        enforce(&d);
    }
    if (ok && !out->left) {
        forward_all(&d);
        if (d.interrupted || d.was_told) {
            if (d.pid > 0)
                process_kill_group(d.pid, SIGKILL);
            end_rest(&d);
        }
        hand_over(&d);
        out->exit_code = read_result(&d);
        out->interrupted = d.interrupted || (d.was_told && knows_why(&d));
    }
    cleanup_close_(&d.pidfd);
    cleanup_close_(&d.log_fd);
    cleanup_close_(&d.output_fd);
    return ok;
}
