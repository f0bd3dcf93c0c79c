/* SPDX-License-Identifier: MIT */
#include "agent/container_logs.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include "agent/docker.h"
#include "agent/docker_stream.h"
#include "agent/log_room.h"
#include "agent/log_tail.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "io/loop.h"

#define RETRY_MS 1000
#define DISK_RETRY_MS 5000
#define ROOM_EVERY_MS 60000
#define TAIL_SIZE ((size_t)2 * 1024 * 1024) /* holds the longest line there can be */

struct follower {
    struct container_logs *logs;
    char task[ID_SIZE], container[NAME_SIZE], id[DOCKER_ID_SIZE];
    bool has_tty;
    int api_minor;
    char path[PATH_MAX];
    int fd;
    int64_t size;
    char last_time[LOG_TIME_SIZE];   /* of the newest line on disk */
    char resume_time[LOG_TIME_SIZE]; /* lines up to this one were there when the stream was opened */
    struct docker_stream *stream;
    struct loop_timer *retry;
    struct log_frames frames;
    struct strbuf out; /* lines of one piece of data, written at once */
    bool is_finishing; /* the container has stopped: the stream's next end is the end */
    bool has_failed;   /* the disk refused; told once, and everything since is to be read again */
    struct follower *next;
};

struct container_logs {
    struct loop *loop;
    char socket[108];
    char *data_dir;
    struct follower *followers;
    int64_t room_made_ms; /* 0: not yet */
};

bool
container_logs_path(const char *data_dir, const char *task_id, const char *container, char *out, size_t size)
{
    const int n = snprintf(out, size, "%s/log/tasks/%s/%s.log", data_dir, task_id, container);

    if (n > 0 && (size_t)n < size && strchr(task_id, '/') == NULL && strchr(container, '/') == NULL)
        return true;
    out[0] = '\0';
    return false;
}

/* ---- the file ---- */

/* Finds the time of the last whole line and cuts off half a line that a crash left behind. */
static void
read_tail(struct follower *f, int fd, bool may_cut)
{
    const off_t size = lseek(fd, 0, SEEK_END);
    const off_t from = size > (off_t)TAIL_SIZE ? size - (off_t)TAIL_SIZE : 0;
    cleanup_free char *buffer = mem_new((size_t)(size - from) + 1);
    const ssize_t n = size > 0 ? pread(fd, buffer, (size_t)(size - from), from) : 0;

    if (n <= 0)
        return;
    const struct str all = {buffer, (size_t)n};
    const ptrdiff_t end = str_rindex(all, '\n');
    if (may_cut && ftruncate(fd, from + end + 1) < 0)
        log_warn("logs.truncate_failed", "path=%s", log_quote(f->path));
    if (end < 0)
        return;
    const struct str whole = str_slice(all, 0, (size_t)end);
    struct str line = str_slice(whole, (size_t)(str_rindex(whole, '\n') + 1), whole.len);
    (void)log_take_time(&line, f->last_time);
}

static void
open_file(struct follower *f)
{
    cleanup_free char *folder = text_format("%s/log/tasks/%s", f->logs->data_dir, f->task);
    char older[PATH_MAX + 16];
    struct stat st;
    struct err err = {0};

    if (!file_make_dirs(folder, 0750, &err))
        return;
    f->fd = open(f->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (f->fd < 0)
        return;
    if (f->last_time[0] == '\0')
        read_tail(f, f->fd, true);
    if (f->last_time[0] == '\0') { /* rotated just before we died */
        (void)snprintf(older, sizeof(older), "%s.1", f->path);
        cleanup_close int fd = open(older, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            read_tail(f, fd, false);
    }
    f->size = fstat(f->fd, &st) == 0 ? st.st_size : 0;
}

static void
rotate(struct follower *f)
{
    char from[PATH_MAX + 16], to[PATH_MAX + 16];

    close(f->fd);
    f->fd = -1;
    for (int i = LOG_FILES - 1; i > 0; i--) {
        (void)snprintf(to, sizeof(to), "%s.%d", f->path, i);
        if (i > 1)
            (void)snprintf(from, sizeof(from), "%s.%d", f->path, i - 1);
        else
            (void)snprintf(from, sizeof(from), "%s", f->path);
        (void)rename(from, to); /* not there yet is fine */
    }
    open_file(f);
}

/* Docker has it all: what the disk refuses now is read again later, from the last line that is there. */
static void
disk_failed(struct follower *f, const char *written_time, const char *error)
{
    if (!f->has_failed)
        log_error("logs.write_failed", "task=%s container=%s error=%s", f->task, f->container, log_quote(error));
    f->has_failed = true;
    if (f->fd >= 0 && ftruncate(f->fd, f->size) < 0) /* half a line may be there */
        log_warn("logs.truncate_failed", "path=%s", log_quote(f->path));
    memcpy(f->last_time, written_time, sizeof(f->last_time));
    f->frames.is_broken = true; /* what the stream still brings is of no use */
    loop_timer_set(f->retry, DISK_RETRY_MS);
}

/* `written_time` is that of the newest line on disk. */
static void
flush_lines(struct follower *f, const char *written_time)
{
    struct err err = {0};

    if (f->out.len == 0)
        return;
    if (file_write_all(f->fd, strbuf_str(&f->out), &err)) {
        f->size += (int64_t)f->out.len;
        f->has_failed = false;
    } else {
        disk_failed(f, written_time, err.message);
    }
    strbuf_clear(&f->out);
    if (f->size >= LOG_FILE_MAX)
        rotate(f);
    if (f->fd < 0)
        disk_failed(f, f->last_time, "cannot open the next file");
}

static void
take_message(void *arg, bool is_error, struct str message)
{
    struct follower *f = arg;
    char time[LOG_TIME_SIZE];

    if (!log_take_time(&message, time))
        (void)text_copy(time, sizeof(time), str_of(f->last_time)); /* no new time: as the line before */
    else if (f->resume_time[0] != '\0' && strcmp(time, f->resume_time) <= 0)
        return; /* on disk already */
    while (message.len > 0 && (message.at[message.len - 1] == '\n' || message.at[message.len - 1] == '\r'))
        message.len--;
    memcpy(f->last_time, time, sizeof(time));
    strbuf_addf(&f->out, "%s %s ", time, is_error ? "stderr" : "stdout");
    const size_t from = f->out.len;
    strbuf_add(&f->out, message);
    for (size_t i = from; i < f->out.len; i++)
        if (f->out.at[i] == '\n' || f->out.at[i] == '\0')
            f->out.at[i] = ' '; /* one message, one line */
    strbuf_add_char(&f->out, '\n');
}

/* ---- the stream ---- */

static void
stream_opened(void *arg)
{
    (void)arg;
}

static void
stream_data(void *arg, struct str bytes)
{
    struct follower *f = arg;
    char written_time[LOG_TIME_SIZE];

    memcpy(written_time, f->last_time, sizeof(written_time));
    log_frames_feed(&f->frames, bytes, take_message, f);
    flush_lines(f, written_time);
}

static void
follower_free(struct follower *f)
{
    docker_stream_free(f->stream);
    loop_timer_free(f->retry);
    log_frames_done(&f->frames);
    strbuf_done(&f->out);
    if (f->fd >= 0)
        close(f->fd);
    free(f);
}

/* Nothing more comes: what a post-mortem needs is put aside. */
static void
follower_drop(struct follower *f)
{
    struct follower **at = &f->logs->followers;

    log_tail_keep(f->logs->data_dir, f->task, f->container, f->path);
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    follower_free(f);
}

static void
close_stream(struct follower *f)
{
    docker_stream_free(TAKE(f->stream));
    log_frames_done(&f->frames);
    f->frames = (struct log_frames){.has_tty = f->has_tty};
}

static void
stream_ended(void *arg, int status, const char *error)
{
    struct follower *f = arg;
    const bool is_whole = error == NULL && !f->frames.is_broken;

    close_stream(f);
    if (status == 404 || (is_whole && f->is_finishing)) {
        follower_drop(f);
        return;
    }
    if (status == 409 && f->is_finishing) { /* it is being removed */
        follower_drop(f);
        return;
    }
    if (status >= 400) { /* 501: a log driver that cannot be read back */
        log_warn("logs.not_readable", "task=%s container=%s status=%d", f->task, f->container, status);
        follower_drop(f);
        return;
    }
    loop_timer_set(f->retry, f->has_failed ? DISK_RETRY_MS : RETRY_MS);
}

static void
open_stream(void *arg)
{
    static const struct docker_stream_calls calls = {stream_opened, stream_data, stream_ended};
    struct follower *f = arg;
    cleanup(strbuf_done) struct strbuf path = {0};
    char since[LOG_TIME_SIZE];

    if (f->stream != NULL && f->has_failed && f->frames.is_broken)
        close_stream(f);
    if (f->stream != NULL)
        return;
    if (f->fd < 0)
        open_file(f);
    if (f->fd < 0) {
        disk_failed(f, f->last_time, "cannot open the file");
        return;
    }
    f->frames.is_broken = false;
    memcpy(f->resume_time, f->last_time, sizeof(f->resume_time));
    log_since(f->last_time, since);
    docker_path_logs(f->api_minor, f->id, since, &path);
    f->stream = docker_stream_new(f->logs->loop, f->logs->socket, strbuf_cstr(&path), &calls, f);
}

/* ---- the door ---- */

struct order {
    struct container_logs *logs;
    char task[ID_SIZE], container[NAME_SIZE], id[DOCKER_ID_SIZE];
    bool has_tty;
    int api_minor;
};

static struct follower *
find(struct container_logs *logs, const char *id)
{
    struct follower *f = logs->followers;

    while (f != NULL && strcmp(f->id, id) != 0)
        f = f->next;
    return f;
}

static void
do_follow(void *arg)
{
    cleanup_free struct order *o = arg;
    struct follower *f = find(o->logs, o->id);

    if (f != NULL) {
        f->is_finishing = false; /* restarted in place */
        f->api_minor = o->api_minor;
        return;
    }
    f = mem_new(sizeof(*f));
    f->logs = o->logs;
    f->fd = -1;
    f->has_tty = f->frames.has_tty = o->has_tty;
    f->api_minor = o->api_minor;
    memcpy(f->task, o->task, sizeof(f->task));
    memcpy(f->container, o->container, sizeof(f->container));
    memcpy(f->id, o->id, sizeof(f->id));
    f->retry = loop_timer_new(o->logs->loop, open_stream, f);
    f->next = o->logs->followers;
    o->logs->followers = f;
    if (container_logs_path(o->logs->data_dir, f->task, f->container, f->path, sizeof(f->path))) {
        open_stream(f);
    } else {
        log_error("logs.path_too_long", "task=%s container=%s", f->task, f->container);
        follower_drop(f);
    }
}

static void
do_finish(void *arg)
{
    cleanup_free struct order *o = arg;
    struct follower *f = find(o->logs, o->id);

    if (f == NULL)
        return;
    f->is_finishing = true;
    open_stream(f); /* if it has ended, what came since is still there to be taken */
}

static bool
is_followed(void *arg, const char *task)
{
    const struct container_logs *logs = arg;

    for (const struct follower *f = logs->followers; f != NULL; f = f->next)
        if (strcmp(f->task, task) == 0)
            return true;
    return false;
}

/* Not at each task's end: looking at thousands of folders takes its time. */
static void
make_room(struct container_logs *logs)
{
    const struct log_room room = {
        .bytes_max = LOGS_TOTAL_MAX, .folders_max = LOGS_TASKS_MAX, .is_in_use = is_followed, .arg = logs};
    const struct log_room tails = {.bytes_max = LOG_TAILS_TOTAL_MAX,
                                   .folders_max = LOG_TAILS_TASKS_MAX,
                                   .is_in_use = is_followed,
                                   .arg = logs};
    cleanup_free char *folder = text_format("%s/log/tasks", logs->data_dir);
    cleanup_free char *tails_folder = text_format("%s/log/tails", logs->data_dir);
    const int64_t now_ms = clock_monotonic_ms();

    if (logs->room_made_ms != 0 && now_ms - logs->room_made_ms < ROOM_EVERY_MS)
        return;
    logs->room_made_ms = now_ms;
    log_room_make(folder, &room);
    log_room_make(tails_folder, &tails);
}

static void
do_forget(void *arg)
{
    cleanup_free struct order *o = arg;
    struct follower *next;

    for (struct follower *f = o->logs->followers; f != NULL; f = next) {
        next = f->next;
        if (strcmp(f->task, o->task) == 0)
            follower_drop(f);
    }
    make_room(o->logs);
}

static void
post(struct container_logs *logs, loop_call *call, const struct order *order)
{
    struct order *copy = mem_new(sizeof(*copy));

    *copy = *order;
    copy->logs = logs;
    loop_post(logs->loop, call, copy);
}

void
container_logs_follow(struct container_logs *logs, int api_minor, const char *task_id,
                      const char *container, const char *docker_id, bool has_tty)
{
    struct order o = {.has_tty = has_tty, .api_minor = api_minor};

    if (text_copy(o.task, sizeof(o.task), str_of(task_id)) &&
        text_copy(o.container, sizeof(o.container), str_of(container)) &&
        text_copy(o.id, sizeof(o.id), str_of(docker_id)))
        post(logs, do_follow, &o);
}

void
container_logs_finish(struct container_logs *logs, const char *docker_id)
{
    struct order o = {0};

    if (text_copy(o.id, sizeof(o.id), str_of(docker_id)))
        post(logs, do_finish, &o);
}

void
container_logs_forget(struct container_logs *logs, const char *task_id)
{
    struct order o = {0};

    if (text_copy(o.task, sizeof(o.task), str_of(task_id)))
        post(logs, do_forget, &o);
}

struct container_logs *
container_logs_new(const char *docker_socket, const char *data_dir)
{
    struct container_logs *logs = mem_new(sizeof(*logs));

    (void)text_copy(logs->socket, sizeof(logs->socket), str_of(docker_socket));
    logs->data_dir = text_dup(data_dir);
    logs->loop = loop_new();
    loop_start(logs->loop, "naru-logs");
    return logs;
}

static void
drop_all(void *arg)
{
    struct container_logs *logs = arg;

    while (logs->followers != NULL)
        follower_drop(logs->followers);
}

void
container_logs_free(struct container_logs *logs)
{
    if (logs == NULL)
        return;
    loop_post(logs->loop, drop_all, logs);
    loop_stop(logs->loop);
    loop_join(logs->loop);
    loop_free(logs->loop);
    free(logs->data_dir);
    free(logs);
}
