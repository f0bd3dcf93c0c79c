/* SPDX-License-Identifier: MIT */
#include "balancer/haproxy_process.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "io/process.h"

#define POLL_MS 4
#define ADOPT_MS 2000
#define CHANGE_MS 10000 /* a start or reload that takes longer has failed */
#define RESIGNAL_MS 400 /* a reload of 200 backends takes up to 250 ms */
#define SETTLE_MS 50    /* a signal in the first 20 ms after a reload is lost */
#define LEAVE_MS 1000   /* so long an old worker is asked whether it has heard that it has to leave its listeners; the last
                         * question may take as long as any (haproxy_ask()) */
#define STOP_MS 5000
#define LOG_LIMIT (1 << 20)

struct haproxy_process {
    struct haproxy_process_spec spec;
    char *folder, *program, *admin_socket, *master_socket, *pid_file, *log_file;
    enum haproxy_state state;
    pid_t master;
    int master_fd; /* pidfd: readable when it has ended */
    bool is_noted; /* in the pid file */
    struct loop_fd *master_watch;
    struct loop_timer *timer; /* of a start or reload under way */
    char fingerprint[64];
    pid_t old_worker;
    int failed_before; /* failed reloads before this one */
    int64_t began_ms, signalled_ms;
    int64_t answered_ms; /* when the new worker first did; 0: it did not */
    int64_t ready_ms;
    int64_t log_offset; /* where this start's or reload's lines begin */
};

/* ---- small parts ---- */

/* The worker by way of its master, who wants to be told so in front of each command. */
static bool
ask_by_master(const struct haproxy_process *p, const char *commands, struct strbuf *answer_out,
              struct err *err)
{
    cleanup(strbuf_done) struct strbuf line = {0};
    struct str rest = str_of(commands), command;

    while (str_split(&rest, ';', &command))
        strbuf_addf(&line, "%s@1 " STR_FMT, line.len > 0 ? ";" : "", STR_ARG(command));
    return haproxy_ask(p->master_socket, strbuf_cstr(&line), answer_out, err);
}

bool
haproxy_process_ask(const struct haproxy_process *p, const char *commands,
                    struct strbuf *answer_out, struct err *err)
{
    struct err cause = {0};

    if (haproxy_ask(p->admin_socket, commands, answer_out, &cause))
        return true;
    /* A socket file that somebody removed comes back only with the next start of HAProxy: a reload takes
     * over the descriptor, not the name. */
    if (cause.sys_errno == ENOENT && ask_by_master(p, commands, answer_out, NULL))
        return true;
    if (err != NULL)
        *err = cause;
    return false;
}

static bool
ask_info(const struct haproxy_process *p, struct haproxy_info *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf answer = {0};

    return haproxy_process_ask(p, "show info", &answer, err) &&
           haproxy_parse_info(strbuf_str(&answer), out, err);
}

static bool
ask_processes(const char *master_socket, struct haproxy_processes *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf answer = {0};

    return haproxy_ask(master_socket, "show proc", &answer, err) &&
           haproxy_parse_processes(strbuf_str(&answer), out, err);
}

static int64_t
file_size(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

/* What HAProxy said about the change that failed, in one line. */
static char *
read_complaint(const struct haproxy_process *p)
{
    cleanup(strbuf_done) struct strbuf log = {0};
    cleanup(strbuf_done) struct strbuf out = {0};
    struct err err = {0};
    struct str rest, line;

    if (!file_read(p->log_file, LOG_LIMIT * 2, &log, &err))
        return text_dup(err.message);
    rest = str_slice(strbuf_str(&log), (size_t)p->log_offset, log.len);
    while (str_split(&rest, '\n', &line) && out.len < 600)
        if (str_find(line, STR("[ALERT]")) >= 0) {
            strbuf_add_cstr(&out, out.len > 0 ? " " : "");
            strbuf_add(&out, str_trim(str_slice(line, 0, 300)));
        }
    return out.len > 0 ? strbuf_take(&out) : text_dup("it did not say why");
}

static void
unwatch(struct haproxy_process *p)
{
    loop_fd_free(p->master_watch);
    p->master_watch = NULL;
    if (p->master_fd >= 0)
        close(p->master_fd);
    p->master_fd = -1;
}

static void
end_change(struct haproxy_process *p, enum haproxy_state state, const char *complaint)
{
    loop_timer_clear(p->timer);
    p->state = state;
    if (complaint != NULL)
        p->spec.failed(p->spec.ctx, complaint);
    else
        p->spec.ready(p->spec.ctx);
}

static void
master_ended(void *arg, bool readable, bool writable)
{
    struct haproxy_process *p = arg;
    const enum haproxy_state was = p->state;

    if (process_is_alive(p->master)) /* also reaps it */
        return;
    unwatch(p);
    p->master = 0;
    p->state = HAPROXY_ABSENT;
    loop_timer_clear(p->timer);
    if (was == HAPROXY_STARTING) {
        cleanup_free char *complaint = read_complaint(p);
        p->spec.failed(p->spec.ctx, complaint);
    } else {
        p->spec.died(p->spec.ctx);
    }
}

/* False if it is gone already. */
static bool
watch(struct haproxy_process *p, pid_t master)
{
    p->master = master;
    p->master_fd = (int)syscall(SYS_pidfd_open, master, 0);
    if (p->master_fd < 0)
        return false;
    p->master_watch = loop_fd_new(p->spec.loop, p->master_fd, master_ended, p);
    loop_fd_watch(p->master_watch, true, false);
    return true;
}

/* ---- a start or reload under way ---- */

static void
send_reload(struct haproxy_process *p)
{
    p->signalled_ms = clock_monotonic_ms();
    kill(p->master, SIGUSR2); /* if it is gone, the pidfd tells */
}

static bool
has_reload_failed(const struct haproxy_process *p)
{
    struct haproxy_processes now;

    return ask_processes(p->master_socket, &now, NULL) && now.failed_reloads > p->failed_before;
}

/* Both workers listen on the same sockets until the old one has heard of the new one, which a busy machine puts off:
 * until then it may take a connection. */
static bool
has_left(const struct haproxy_process *p)
{
    cleanup(strbuf_done) struct strbuf answer = {0};
    cleanup_free char *command = text_format("@!%d show info", (int)p->old_worker);
    struct haproxy_info info;
    struct err err;

    if (p->old_worker == 0 || !process_is_alive(p->old_worker))
        return true;
    return haproxy_ask(p->master_socket, command, &answer, &err) &&
           haproxy_parse_info(strbuf_str(&answer), &info, &err) && info.pid == p->old_worker && info.is_stopping;
}

/* The new worker answers, and nobody else any more. */
static bool
is_changed(struct haproxy_process *p, int64_t now_ms)
{
    struct haproxy_info info;

    if (p->answered_ms == 0 && ask_info(p, &info, NULL) && info.pid != p->old_worker && !info.is_stopping &&
        strcmp(info.description, p->fingerprint) == 0)
        p->answered_ms = now_ms;
    return p->answered_ms != 0 && (now_ms - p->answered_ms > LEAVE_MS || has_left(p));
}

static void
change_poll(void *arg)
{
    struct haproxy_process *p = arg;
    const int64_t now_ms = clock_monotonic_ms();

    if (p->signalled_ms == 0 && p->state == HAPROXY_RELOADING)
        send_reload(p);
    if (is_changed(p, now_ms)) {
        p->ready_ms = now_ms;
        end_change(p, HAPROXY_RUNNING, NULL);
        return;
    }
    if (p->answered_ms != 0) {
        loop_timer_set(p->timer, POLL_MS);
        return;
    }
    const bool is_late = now_ms - p->began_ms > CHANGE_MS;
    const bool is_reload = p->state == HAPROXY_RELOADING;
    const bool is_silent = is_reload && now_ms - p->signalled_ms > RESIGNAL_MS;
    if (is_late || (is_silent && has_reload_failed(p))) {
        cleanup_free char *complaint = read_complaint(p);
        if (!is_reload)
            process_kill_group(p->master, SIGKILL); /* master_ended() reports it */
        else
            end_change(p, HAPROXY_RUNNING, complaint);
        return;
    }
    if (is_silent)
        send_reload(p);
    loop_timer_set(p->timer, POLL_MS);
}

static void
begin_change(struct haproxy_process *p, enum haproxy_state state, const char *fingerprint,
             int64_t first_poll_ms)
{
    text_copy_all(p->fingerprint, sizeof(p->fingerprint), fingerprint);
    p->state = state;
    p->began_ms = clock_monotonic_ms();
    p->signalled_ms = p->answered_ms = 0;
    loop_timer_set(p->timer, first_poll_ms);
}

static void
write_pid_file(struct haproxy_process *p)
{
    uint64_t start_time = 0;
    struct err err;

    if (!process_start_time(p->master, &start_time))
        return; /* gone already */
    cleanup_free char *text =
        text_format("%d %llu\n", (int)p->master, (unsigned long long)start_time);
    p->is_noted = file_write_atomic(p->pid_file, str_of(text), 0600, &err);
    if (!p->is_noted)
        log_warn("haproxy.pid_file", "error=%s", log_quote(err.message));
}

static bool
spawn(struct haproxy_process *p, struct err *err)
{
    const char *const argv[] = {
        p->program, "-W", "-db", "-f", "haproxy.cfg", "-S", "unix@master.sock,level,admin,mode,600",
        NULL};
    pid_t pid;

    /* Stale ones would be taken for answers, or refuse the bind. */
    unlink(p->admin_socket);
    unlink(p->master_socket);
    unlink(p->pid_file);
    haproxy_process_trim_log(p);
    p->log_offset = file_size(p->log_file);
    /* A full disk may have no room for its number, and is no reason to serve nobody. */
    if (!process_spawn_detached(argv, p->folder, p->log_file, p->pid_file, &pid, err) &&
        !process_spawn_detached(argv, p->folder, p->log_file, /* pid_file= */ NULL, &pid, err))
        return false;
    if (!watch(p, pid))
        return err_errno(err, "cannot watch HAProxy");
    write_pid_file(p);
    return true;
}

/* Reports a failure from the loop, since callbacks never come from inside a call. */
static void
fail_later(void *arg)
{
    struct haproxy_process *p = arg;

    p->state = HAPROXY_ABSENT;
    p->spec.failed(p->spec.ctx, "it could not be started");
}

void
haproxy_process_start(struct haproxy_process *p, const char *fingerprint)
{
    struct err err;

    assert(p->state == HAPROXY_ABSENT);
    p->old_worker = 0;
    begin_change(p, HAPROXY_STARTING, fingerprint, POLL_MS);
    if (!spawn(p, &err)) {
        log_error("haproxy.start", "error=%s", log_quote(err.message));
        loop_timer_clear(p->timer);
        loop_post(p->spec.loop, fail_later, p);
    }
}

void
haproxy_process_reload(struct haproxy_process *p, const char *fingerprint)
{
    const int64_t settled_ms = p->ready_ms + SETTLE_MS - clock_monotonic_ms();
    struct haproxy_processes now;
    struct haproxy_info info;

    assert(p->state == HAPROXY_RUNNING);
    if (!p->is_noted) /* the disk was full then, and its sockets are silent for a moment now */
        write_pid_file(p);
    p->log_offset = file_size(p->log_file);
    p->old_worker = ask_info(p, &info, NULL) ? info.pid : 0;
    p->failed_before = ask_processes(p->master_socket, &now, NULL) ? now.failed_reloads : 0;
    begin_change(p, HAPROXY_RELOADING, fingerprint, settled_ms > 0 ? settled_ms : 0);
}

/* ---- finding a running one ---- */

/* Of one whose start nobody saw to its end there is the number only, which may be somebody else's by now. */
static bool
is_in_folder(pid_t pid, const char *folder)
{
    cleanup_free char *link = text_format("/proc/%d/cwd", (int)pid);
    struct stat its, ours;

    return stat(link, &its) == 0 && stat(folder, &ours) == 0 && its.st_dev == ours.st_dev && its.st_ino == ours.st_ino;
}

/* The master's pid as the pid file has it, if that very process still lives. Whether it lives is asked last: a child of
 * ours, which may have that number by now, is somebody else's to reap. */
static pid_t
read_pid_file(const char *folder)
{
    cleanup_free char *path = text_format("%s/haproxy.pid", folder);
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str rest, word;
    int64_t pid, want;
    uint64_t start_time;

    if (!file_read(path, 100, &text, NULL))
        return 0;
    rest = str_trim(strbuf_str(&text));
    if (!str_split(&rest, ' ', &word) || !str_to_i64(word, &pid) || pid <= 0 || pid > INT32_MAX)
        return 0;
    const bool is_it = rest.at == NULL ? is_in_folder((pid_t)pid, folder)
                                       : str_to_i64(rest, &want) && process_start_time((pid_t)pid, &start_time) &&
                                             start_time == (uint64_t)want;
    return is_it && process_is_alive((pid_t)pid) ? (pid_t)pid : 0;
}

bool
haproxy_process_adopt(struct haproxy_process *p, struct haproxy_info *info_out)
{
    const pid_t known = read_pid_file(p->folder);
    const int64_t deadline_ms = clock_monotonic_ms() + ADOPT_MS;
    struct haproxy_processes processes;

    assert(p->state == HAPROXY_ABSENT);
    for (;;) {
        /* In the middle of a reload the master's socket refuses for a moment. */
        if (ask_processes(p->master_socket, &processes, NULL) && processes.worker != 0 &&
            ask_info(p, info_out, NULL) && !info_out->is_stopping)
            break;
        if (known == 0)
            return false;
        if (clock_monotonic_ms() > deadline_ms) {
            log_warn("haproxy.is_silent", "pid=%d does=kill", (int)known);
            process_kill_group(known, SIGKILL);
            while (process_is_alive(known) && clock_monotonic_ms() < deadline_ms + ADOPT_MS)
                clock_sleep_ms(10);
            return false;
        }
        clock_sleep_ms(10);
    }
    if (!watch(p, processes.master))
        return false;
    write_pid_file(p);
    p->state = HAPROXY_RUNNING;
    p->ready_ms = clock_monotonic_ms() - info_out->uptime_s * 1000; /* at the latest */
    return true;
}

/* ---- life cycle ---- */

struct haproxy_process *
haproxy_process_new(const struct haproxy_process_spec *spec)
{
    struct haproxy_process *p = mem_new(sizeof(*p));

    p->spec = *spec;
    p->folder = text_dup(spec->folder);
    p->program = text_dup(spec->program);
    p->admin_socket = text_format("%s/admin.sock", spec->folder);
    p->master_socket = text_format("%s/master.sock", spec->folder);
    p->pid_file = text_format("%s/haproxy.pid", spec->folder);
    p->log_file = text_format("%s/haproxy.log", spec->folder);
    p->master_fd = -1;
    p->timer = loop_timer_new(spec->loop, change_poll, p);
    return p;
}

void
haproxy_process_free(struct haproxy_process *p)
{
    if (p == NULL)
        return;
    unwatch(p);
    loop_timer_free(p->timer);
    free(p->folder);
    free(p->program);
    free(p->admin_socket);
    free(p->master_socket);
    free(p->pid_file);
    free(p->log_file);
    free(p);
}

void
haproxy_process_fingerprint(const struct haproxy_process *p, char out[static 64])
{
    memcpy(out, p->fingerprint, sizeof(p->fingerprint));
}

void
haproxy_process_trim_log(struct haproxy_process *p)
{
    /* HAProxy appends, so it goes on at the new end. Errors show in the next attempt. */
    if (file_size(p->log_file) > LOG_LIMIT && truncate(p->log_file, 0) < 0)
        log_warn("haproxy.log", "errno=%d", errno);
}

void
haproxy_process_kill(struct haproxy_process *p)
{
    if (p->master != 0)
        process_kill_group(p->master, SIGKILL);
}

enum haproxy_state
haproxy_process_state(const struct haproxy_process *p)
{
    return p->state;
}

int64_t
haproxy_process_ready_ms(const struct haproxy_process *p)
{
    return p->ready_ms;
}

bool
haproxy_process_ask_master(const struct haproxy_process *p, const char *commands,
                           struct strbuf *answer_out, struct err *err)
{
    return haproxy_ask(p->master_socket, commands, answer_out, err);
}

static bool
wait_for_end(pid_t pid, int64_t limit_ms)
{
    const int64_t deadline_ms = clock_monotonic_ms() + limit_ms;

    while (process_is_alive(pid)) {
        if (clock_monotonic_ms() > deadline_ms)
            return false;
        clock_sleep_ms(10);
    }
    return true;
}

bool
haproxy_process_stop(const char *folder, bool *was_running, struct err *err)
{
    cleanup_free char *master_socket = text_format("%s/master.sock", folder);
    struct haproxy_processes processes = {0};
    const pid_t master = ask_processes(master_socket, &processes, NULL) ? processes.master : read_pid_file(folder);

    *was_running = master != 0;
    if (master == 0)
        return true;
    kill(master, SIGTERM);
    if (wait_for_end(master, STOP_MS))
        return true;
    process_kill_group(master, SIGKILL);
    if (!wait_for_end(master, STOP_MS))
        return err_set(err, ERR_HAPROXY, "HAProxy (process %d) does not end", (int)master);
    return true;
}
