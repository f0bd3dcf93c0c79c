/* SPDX-License-Identifier: MIT */
#include "io/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "io/file.h"
#include "io/process_start.h"
#include "io/sink.h"

#define OUTPUT_LIMIT_DEFAULT ((size_t)1024 * 1024)
#define READ_PIECE 16384
#define PIPE_SIZE_MAX ((size_t)1024 * 1024) /* of an unprivileged process */
#define CANCEL_POLL_MS 100
#define REAP_POLL_MS 20 /* where the kernel has no pidfd */
#define TERM_GRACE_MS 5000

/* One running child, from start to reaping. */
struct run {
    const struct process_spec *spec;
    struct process_result *result;
    pid_t pid;
    int pidfd; /* -1 where there is none */
    int out_fd, err_fd;
    int64_t deadline_ms; /* 0: none */
    int64_t kill_ms;     /* SIGTERM went out, SIGKILL is due then; 0: not yet */
};

/* The input as a file without a name: the child reads at its pace and nobody has to feed it. */
static int
open_input(struct str input, struct err *err)
{
    int fd;

    if (input.len == 0) {
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            err_errno(err, "cannot open /dev/null");
        return fd;
    }
    fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0) {
        err_errno(err, "cannot hold the input of a process");
        return -1;
    }
    /* Who finds it by /proc/self/fd is to be us. */
    if (fchmod(fd, 0600) != 0 || !file_write_all(fd, input, err) || lseek(fd, 0, SEEK_SET) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool
start_child(struct run *run, const int fds[3], struct err *err)
{
    const struct process_spec *spec = run->spec;
    const struct process_start start = {.argv = spec->argv,
                                        .env = spec->env,
                                        .directory = spec->directory,
                                        .fds = {fds[0], fds[1], fds[2]},
                                        .fd_count = 3,
                                        .place = spec->place};

    return process_start(&start, &run->pid, err);
}

static bool
start(struct run *run, struct err *err)
{
    cleanup_close int in = open_input(run->spec->input, err);
    int out_pipe[2] = {-1, -1}, err_pipe[2] = {-1, -1};
    bool ok = false;

    if (in < 0)
        return false;
    if (pipe2(out_pipe, O_CLOEXEC) != 0 ||
        (!run->spec->merge_stderr && pipe2(err_pipe, O_CLOEXEC) != 0)) {
        err_errno(err, "cannot make a pipe");
    } else {
        int fds[3] = {in, out_pipe[1], run->spec->merge_stderr ? out_pipe[1] : err_pipe[1]};

        ok = start_child(run, fds, err);
    }
    cleanup_close_(&out_pipe[1]);
    cleanup_close_(&err_pipe[1]);
    if (!ok) {
        cleanup_close_(&out_pipe[0]);
        cleanup_close_(&err_pipe[0]);
        return false;
    }
    run->out_fd = out_pipe[0];
    run->err_fd = err_pipe[0];
    (void)fcntl(run->out_fd, F_SETFL, O_NONBLOCK);
    if (run->err_fd >= 0)
        (void)fcntl(run->err_fd, F_SETFL, O_NONBLOCK);
    run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
    return true;
}

static void
deliver(struct run *run, struct str data, bool is_error)
{
    const struct process_spec *spec = run->spec;
    struct strbuf *to = is_error ? &run->result->error : &run->result->output;
    size_t limit = spec->output_limit == 0 ? OUTPUT_LIMIT_DEFAULT : spec->output_limit;

    if (spec->on_output != NULL)
        spec->on_output(spec->arg, data, is_error);
    else if (to->len < limit)
        strbuf_add(to, str_slice(data, 0, limit - to->len));
}

/* One read; closes the descriptor at its end.  True if there may be more. */
static bool
pump(struct run *run, int *fd, bool is_error)
{
    char piece[READ_PIECE];
    ssize_t n;

    if (*fd < 0)
        return false;
    n = read(*fd, piece, sizeof(piece));
    if (n > 0) {
        deliver(run, (struct str){piece, (size_t)n}, is_error);
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    close(*fd);
    *fd = -1;
    return false;
}

static bool
leader_has_ended(const struct run *run)
{
    siginfo_t info = {0};

    /* It stays a zombie, so that its group id cannot be anybody else's when we kill the rest. */
    return waitid(P_PID, (id_t)run->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == run->pid;
}

/* Decides whether it is time to end the child, and how hard. */
static void
enforce(struct run *run)
{
    const struct process_spec *spec = run->spec;
    int64_t now_ms = clock_monotonic_ms();

    if (run->kill_ms != 0) {
        if (now_ms >= run->kill_ms)
            process_kill_group(run->pid, SIGKILL);
        return;
    }
    if (run->deadline_ms != 0 && now_ms >= run->deadline_ms)
        run->result->timed_out = true;
    else if (spec->is_cancelled != NULL && spec->is_cancelled(spec->arg))
        run->result->cancelled = true;
    else
        return;
    run->kill_ms = now_ms + TERM_GRACE_MS;
    process_kill_group(run->pid, SIGTERM);
}

static int
wait_ms(const struct run *run)
{
    int64_t wait = INT_MAX, now_ms = clock_monotonic_ms();
    int64_t until_ms = run->kill_ms != 0 ? run->kill_ms : run->deadline_ms;

    if (until_ms != 0)
        wait = until_ms > now_ms ? until_ms - now_ms : 0;
    if (run->kill_ms != 0 && wait == 0)
        wait = CANCEL_POLL_MS; /* SIGKILL is out; the kernel takes its time */
    if (run->kill_ms == 0 && run->spec->is_cancelled != NULL && wait > CANCEL_POLL_MS)
        wait = CANCEL_POLL_MS;
    if (run->pidfd < 0 && wait > REAP_POLL_MS)
        wait = REAP_POLL_MS;
    return wait == INT_MAX ? -1 : (int)(wait < INT_MAX ? wait : INT_MAX - 1);
}

static void
run_until_end(struct run *run)
{
    while (!leader_has_ended(run)) {
        struct pollfd fds[3] = {{.fd = run->out_fd, .events = POLLIN},
                                {.fd = run->err_fd, .events = POLLIN},
                                {.fd = run->pidfd, .events = POLLIN}};

        if (run->spec->wait != NULL)
            run->spec->wait(run->spec->arg, fds, 3, wait_ms(run));
        else
            (void)poll(fds, 3, wait_ms(run));
        if (fds[0].revents != 0)
            (void)pump(run, &run->out_fd, false);
        if (fds[1].revents != 0)
            (void)pump(run, &run->err_fd, true);
        enforce(run);
    }
}

/* What was written stands in the pipe.  A grandchild that left the group may hold it open, or even
 * write on, for ever, so nobody waits for its end: a pipe's fill is all there is to get. */
static void
drain(struct run *run, int *fd, bool is_error)
{
    for (size_t left = PIPE_SIZE_MAX; left >= READ_PIECE && pump(run, fd, is_error);)
        left -= READ_PIECE;
}

/* Writers are left and may go on: their next line must not kill them. */
static void
leave_open(int *fd)
{
    if (*fd >= 0)
        sink_pipe(*fd);
    *fd = -1;
}

static int
reap(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            abort(); /* somebody else waited for our child */
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool
process_run(const struct process_spec *spec, struct process_result *out, struct err *err)
{
    struct run run = {.spec = spec, .result = out, .pidfd = -1, .out_fd = -1, .err_fd = -1};

    assert(spec->argv != NULL && spec->argv[0] != NULL);
    *out = (struct process_result){0};
    if (spec->timeout_ms > 0)
        run.deadline_ms = clock_monotonic_ms() + spec->timeout_ms;
    if (!start(&run, err))
        return false;
    run_until_end(&run);
    if (!spec->keep_group || out->timed_out || out->cancelled)
        process_kill_group(run.pid, SIGKILL);
    drain(&run, &run.out_fd, false);
    drain(&run, &run.err_fd, true);
    out->exit_code = reap(run.pid);
    if (spec->keep_group) {
        leave_open(&run.out_fd);
        leave_open(&run.err_fd);
    }
    cleanup_close_(&run.out_fd);
    cleanup_close_(&run.err_fd);
    cleanup_close_(&run.pidfd);
    return true;
}

void
process_result_done(struct process_result *r)
{
    strbuf_done(&r->output);
    strbuf_done(&r->error);
}

bool
process_spawn_detached(const char *const *argv, const char *directory, const char *log_path, const char *pid_file,
                       pid_t *pid_out, struct err *err)
{
    cleanup_close int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cleanup_close int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

    if (in < 0)
        return err_errno(err, "cannot open /dev/null");
    if (log < 0)
        return err_errno(err, "cannot open '%s'", log_path);
    const struct process_start start = {.argv = argv,
                                        .directory = directory,
                                        .fds = {in, log, log},
                                        .fd_count = 3,
                                        .new_session = true,
                                        .pid_file = pid_file};
    return process_start(&start, pid_out, err);
}

bool
process_start_session(const struct process_session *s, pid_t *pid_out, struct err *err)
{
    const struct process_start start = {.argv = s->argv,
                                        .env = s->env,
                                        .directory = s->directory,
                                        .fds = {s->fds[0], s->fds[1], s->fds[2], s->fds[3]},
                                        .fd_count = 4,
                                        .new_session = true,
                                        .pid_file = s->pid_file,
                                        .place = s->place};

    return process_start(&start, pid_out, err);
}

int
process_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool
process_reap(pid_t pid, int *exit_code_out)
{
    int status;
    pid_t n;

    do {
        n = waitpid(pid, &status, WNOHANG);
    } while (n < 0 && errno == EINTR);
    if (n != pid)
        return false;
    *exit_code_out = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

struct process_stat {
    char state;
    int64_t threads;
    uint64_t start_time;
};

/* Out of /proc/pid/stat.  The name in parentheses may itself hold
 * blanks and parentheses, so counting starts behind the last one. */
static bool
read_stat(pid_t pid, struct process_stat *out)
{
    char path[64], text[1024];
    struct str rest, field = {NULL, 0};
    ptrdiff_t close_at;
    ssize_t n;
    int64_t value;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof(text));
    if (n <= 0)
        return false;
    rest = (struct str){text, (size_t)n};
    close_at = str_rindex(rest, ')');
    if (close_at < 0)
        return false;
    rest = str_slice(rest, (size_t)close_at + 2, rest.len);
    for (int i = 3; i <= 22; i++) {
        if (!str_split(&rest, ' ', &field) || field.len == 0)
            return false;
        if (i == 3)
            out->state = field.at[0];
        if (i == 20 && !str_to_i64(field, &out->threads))
            return false;
    }
    if (!str_to_i64(field, &value))
        return false;
    out->start_time = (uint64_t)value;
    return true;
}

/* One that ends is a zombie as soon as its first thread has ended; as long as others have not, its files are open. */
bool
process_is_alive(pid_t pid)
{
    struct process_stat stat;

    if (pid <= 0)
        return false;
    (void)waitpid(pid, NULL, WNOHANG);
    return read_stat(pid, &stat) && stat.state != 'X' && (stat.state != 'Z' || stat.threads > 1);
}

bool
process_start_time(pid_t pid, uint64_t *out)
{
    struct process_stat stat;

    if (pid <= 0 || !read_stat(pid, &stat))
        return false;
    *out = stat.start_time;
    return true;
}

void
process_kill_group(pid_t pgid, int signal)
{
    assert(pgid > 1); /* -1 would be everybody */
    (void)kill(-pgid, signal);
}

bool
process_find(const char *program, const char *skip_directory, char *out, size_t size)
{
    return process_find_in(process_path_of(NULL), program, skip_directory, out, size);
}
