/* SPDX-License-Identifier: MIT */
#include "balancer/haproxy_socket.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/clock.h"

#define TIMEOUT_MS 1500

/* A path may be longer than sockaddr_un allows; the kernel's own name of its folder is not. */
bool
haproxy_socket_address(const char *path, struct sockaddr_un *address, int *folder_fd_out, struct err *err)
{
    address->sun_family = AF_UNIX;
    if (text_copy(address->sun_path, sizeof(address->sun_path), str_of(path)))
        return true;
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return err_set(err, ERR_HAPROXY, "socket path '%s' is too long", path);
    cleanup_free char *folder = str_dup(str_range(path, slash));
    const int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open '%s'", folder);
    *folder_fd_out = fd;
    cleanup_free char *shorter = text_format("/proc/self/fd/%d%s", fd, slash);
    if (!text_copy(address->sun_path, sizeof(address->sun_path), str_of(shorter)))
        return err_set(err, ERR_HAPROXY, "socket path '%s' is too long", path);
    return true;
}

static bool
wait_for(int fd, short what, int64_t deadline_ms, struct err *err)
{
    for (;;) {
        const int64_t left_ms = deadline_ms - clock_monotonic_ms();
        struct pollfd p = {.fd = fd, .events = what};
        if (left_ms <= 0)
            return err_set(err, ERR_TIMEOUT, "HAProxy did not answer within %d ms", TIMEOUT_MS);
        const int got = poll(&p, 1, (int)left_ms);
        if (got > 0)
            return true;
        if (got < 0 && errno != EINTR)
            return err_errno(err, "cannot wait for HAProxy");
    }
}

static bool
send_all(int fd, struct str text, int64_t deadline_ms, struct err *err)
{
    while (text.len > 0) {
        const ssize_t sent = send(fd, text.at, text.len, MSG_NOSIGNAL);
        if (sent > 0) {
            text = str_slice(text, (size_t)sent, text.len);
        } else if (errno == EAGAIN) {
            if (!wait_for(fd, POLLOUT, deadline_ms, err))
                return false;
        } else if (errno != EINTR) {
            return err_errno(err, "cannot write to HAProxy");
        }
    }
    return true;
}

static bool
read_all(int fd, struct strbuf *out, int64_t deadline_ms, struct err *err)
{
    char buffer[16384];

    for (;;) {
        const ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
        if (got == 0)
            return true;
        if (got > 0) {
            if (out->len + (size_t)got > HAPROXY_ANSWER_LIMIT)
                return err_set(err, ERR_HAPROXY, "HAProxy's answer is larger than %zu bytes",
                               HAPROXY_ANSWER_LIMIT);
            strbuf_add(out, (struct str){buffer, (size_t)got});
        } else if (errno == EAGAIN) {
            if (!wait_for(fd, POLLIN, deadline_ms, err))
                return false;
        } else if (errno != EINTR) {
            return err_errno(err, "cannot read from HAProxy");
        }
    }
}

bool
haproxy_ask(const char *socket_path, const char *commands, struct strbuf *answer_out,
            struct err *err)
{
    const int64_t deadline_ms = clock_monotonic_ms() + TIMEOUT_MS;
    struct sockaddr_un address = {0};
    cleanup_close int folder_fd = -1;
    cleanup(strbuf_done) struct strbuf line = {0};

    if (!haproxy_socket_address(socket_path, &address, &folder_fd, err))
        return false;
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "cannot make a socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return err_errno(err, "cannot connect to '%s'", socket_path);
    strbuf_add_cstr(&line, commands);
    strbuf_add_char(&line, '\n');
    if (!send_all(fd, strbuf_str(&line), deadline_ms, err))
        return false;
    shutdown(fd, SHUT_WR);
    return read_all(fd, answer_out, deadline_ms, err);
}

bool
haproxy_next_answer(struct str *rest, struct str *answer_out)
{
    struct str left = *rest;
    size_t used = 0;

    while (left.len > 0) {
        const ptrdiff_t end = str_index(left, '\n');
        if (end < 0)
            return false;
        if (end == 0) {
            *answer_out = str_trim(str_slice(*rest, 0, used));
            *rest = str_slice(left, 1, left.len);
            return true;
        }
        used += (size_t)end + 1;
        left = str_slice(left, (size_t)end + 1, left.len);
    }
    return false;
}

bool
haproxy_did_set_address(struct str answer)
{
    /* "IP changed from '..' to '..', port changed ..." or "no need to change the addr, ..." */
    return (str_starts(answer, STR("IP changed from ")) ||
            str_starts(answer, STR("no need to change the addr")) ||
            str_starts(answer, STR("port changed from "))) &&
           str_index(answer, '\n') < 0;
}

bool
haproxy_did_set_quietly(struct str answer)
{
    return str_trim(answer).len == 0;
}

/* ---- tables of words ---- */

#define FIELDS_MAX 32

/* Words of a line separated by blanks; the surplus is left out. */
static int
split_words(struct str line, struct str words[static FIELDS_MAX])
{
    struct str word;
    int count = 0;

    while (count < FIELDS_MAX && str_split(&line, ' ', &word))
        if (word.len > 0)
            words[count++] = word;
    return count;
}

static bool
parse_number(struct str text, int64_t max, int64_t *out)
{
    return str_to_i64(text, out) && *out >= 0 && *out <= max;
}

static int
find_column(const struct str *words, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (str_is(words[i], name))
            return i;
    return -1;
}

/* "# be_id be_name ..." -> which word of a row has each name; columns move between versions. */
static bool
read_columns(struct str header, const char *const *names, int count, int *at, struct err *err)
{
    struct str words[FIELDS_MAX];
    const int word_count = split_words(header, words);

    if (word_count < 1 || !str_is(words[0], "#"))
        return err_set(err, ERR_HAPROXY, "HAProxy answered '" STR_FMT "'",
                       STR_ARG(str_slice(header, 0, 200)));
    for (int i = 0; i < count; i++) {
        at[i] = find_column(words + 1, word_count - 1, names[i]);
        if (at[i] < 0)
            return err_set(err, ERR_HAPROXY, "HAProxy's table has no column '%s'", names[i]);
    }
    return true;
}

static bool
bad_row(struct str line, struct err *err)
{
    return err_set(err, ERR_HAPROXY, "HAProxy's row '" STR_FMT "' is not understood",
                   STR_ARG(str_slice(line, 0, 200)));
}

typedef bool parse_row(struct str line, const int *at, struct haproxy_server *s);

/* What follows the header: a server a line. */
static bool
read_rows(struct str rest, parse_row *parse, const int *at, haproxy_server_call *call, void *arg,
          struct err *err)
{
    struct str line;

    while (str_split(&rest, '\n', &line)) {
        struct haproxy_server s = {0};
        if (line.len == 0)
            continue;
        if (!parse(line, at, &s))
            return bad_row(line, err);
        call(arg, &s);
    }
    return true;
}

static bool
parse_state_row(struct str line, const int *at, struct haproxy_server *s)
{
    struct str words[FIELDS_MAX];
    int64_t port, op_state, admin_state;
    const int count = split_words(line, words);

    for (int i = 0; i < 6; i++)
        if (at[i] >= count)
            return false;
    if (!text_copy(s->backend, sizeof(s->backend), words[at[0]]) ||
        !text_copy(s->name, sizeof(s->name), words[at[1]]) ||
        !text_copy(s->address, sizeof(s->address), words[at[2]]) ||
        !parse_number(words[at[3]], 3, &op_state) ||
        !parse_number(words[at[4]], 255, &admin_state) || !parse_number(words[at[5]], 65535, &port))
        return false;
    s->port = (int)port;
    /* 2 is running; 4 only says that it once was disabled by the configuration, and stays. */
    s->is_ready = op_state == 2 && (admin_state & ~INT64_C(4)) == 0;
    return true;
}

bool
haproxy_parse_state(struct str answer, haproxy_server_call *call, void *arg, struct err *err)
{
    static const char *const names[] = {"be_name",      "srv_name",        "srv_addr",
                                        "srv_op_state", "srv_admin_state", "srv_port"};
    struct str rest = answer, line;
    int at[6];

    if (!str_split(&rest, '\n', &line) || !str_is(line, "1"))
        return err_set(err, ERR_HAPROXY, "HAProxy's server state is not of version 1");
    if (!str_split(&rest, '\n', &line) || !read_columns(line, names, 6, at, err))
        return err_context(err, "server state");
    return read_rows(rest, parse_state_row, at, call, arg, err);
}

/* "backend/server 4/1 address port - ..." */
static bool
parse_connections_row(struct str line, const int *at, struct haproxy_server *s)
{
    struct str words[FIELDS_MAX];
    int64_t port, used;
    const int count = split_words(line, words);

    for (int i = 0; i < 4; i++)
        if (at[i] >= count)
            return false;
    const struct str name = words[at[0]];
    const ptrdiff_t slash = str_index(name, '/');
    if (slash < 0 ||
        !text_copy(s->backend, sizeof(s->backend), str_slice(name, 0, (size_t)slash)) ||
        !text_copy(s->name, sizeof(s->name), str_slice(name, (size_t)slash + 1, name.len)) ||
        !text_copy(s->address, sizeof(s->address), words[at[1]]) ||
        !parse_number(words[at[2]], 65535, &port) || !parse_number(words[at[3]], INT32_MAX, &used))
        return false;
    s->port = (int)port;
    s->used = (int)used;
    return true;
}

bool
haproxy_parse_connections(struct str answer, haproxy_server_call *call, void *arg, struct err *err)
{
    static const char *const names[] = {"bkname/svname", "addr", "port", "used_cur"};
    struct str rest = answer, line;
    int at[4];

    if (!str_split(&rest, '\n', &line) || !read_columns(line, names, 4, at, err))
        return err_context(err, "connections");
    return read_rows(rest, parse_connections_row, at, call, arg, err);
}

bool
haproxy_parse_info(struct str answer, struct haproxy_info *out, struct err *err)
{
    struct haproxy_info info = {0};
    struct str rest = answer, line;
    int64_t number;

    while (str_split(&rest, '\n', &line)) {
        const ptrdiff_t colon = str_index(line, ':');
        if (colon < 0)
            continue;
        const struct str name = str_slice(line, 0, (size_t)colon);
        const struct str value = str_trim(str_slice(line, (size_t)colon + 1, line.len));
        if (str_is(name, "Pid") && parse_number(value, INT32_MAX, &number))
            info.pid = (pid_t)number;
        else if (str_is(name, "Uptime_sec") && parse_number(value, INT64_MAX, &number))
            info.uptime_s = number;
        else if (str_is(name, "Stopping"))
            info.is_stopping = !str_is(value, "0");
        else if (str_is(name, "description") &&
                 !text_copy(info.description, sizeof(info.description), value))
            return err_set(err, ERR_HAPROXY, "HAProxy has a description that is not ours");
    }
    if (info.pid == 0)
        return err_set(err, ERR_HAPROXY, "HAProxy does not tell its process id");
    *out = info;
    return true;
}

bool
haproxy_parse_processes(struct str answer, struct haproxy_processes *out, struct err *err)
{
    struct haproxy_processes p = {0};
    struct str rest = answer, line, words[FIELDS_MAX];
    bool is_old = false;

    while (str_split(&rest, '\n', &line)) {
        const int count = split_words(line, words);
        int64_t pid, failed;
        if (str_starts(line, STR("# old workers")))
            is_old = true;
        else if (str_starts(line, STR("# ")))
            is_old = false;
        if (count < 2 || line.at[0] == '#')
            continue;
        if (!parse_number(words[0], INT32_MAX, &pid) || pid == 0)
            return bad_row(line, err);
        if (str_is(words[1], "master")) {
            /* "15535 master 0 [failed: 0] ..." */
            struct str text = count > 4 ? words[4] : (struct str){0};
            text.len -= str_ends(text, STR("]"));
            p.master = (pid_t)pid;
            if (count < 5 || !str_is(words[3], "[failed:") ||
                !parse_number(text, INT32_MAX, &failed))
                return bad_row(line, err);
            p.failed_reloads = (int)failed;
        } else if (str_is(words[1], "worker") && !is_old) {
            p.worker = (pid_t)pid;
        } else if (str_is(words[1], "worker")) {
            if (p.old_worker_count == HAPROXY_OLD_WORKERS_MAX)
                return err_set(err, ERR_HAPROXY, "HAProxy has more than %d old workers",
                               HAPROXY_OLD_WORKERS_MAX);
            p.old_workers[p.old_worker_count++] = (pid_t)pid;
        }
    }
    if (p.master == 0)
        return err_set(err, ERR_HAPROXY, "HAProxy's master does not list itself");
    *out = p;
    return true;
}

bool
haproxy_parse_frontends(struct str answer, void (*call)(void *arg, struct str name), void *arg,
                        struct err *err)
{
    struct str rest = answer, line, name, kind;

    if (!str_split(&rest, '\n', &line) || !str_starts(line, STR("# pxname,svname,")))
        return err_set(err, ERR_HAPROXY, "HAProxy's statistics have no header");
    while (str_split(&rest, '\n', &line))
        if (str_split(&line, ',', &name) && str_split(&line, ',', &kind) &&
            str_is(kind, "FRONTEND"))
            call(arg, name);
    return true;
}

bool
haproxy_parse_waiting(struct str answer, int64_t *count_out, struct err *err)
{
    struct str rest = answer, line, field;
    int64_t count = 0, sessions;
    int column = -1;

    if (!str_split(&rest, '\n', &line) || !str_starts(line, STR("# pxname,svname,")))
        return err_set(err, ERR_HAPROXY, "HAProxy's statistics have no header");
    for (int i = 0; column < 0 && str_split(&line, ',', &field); i++)
        if (str_is(field, "scur"))
            column = i;
    if (column < 2)
        return err_set(err, ERR_HAPROXY, "HAProxy's statistics have no column 'scur'");
    while (str_split(&rest, '\n', &line)) {
        const struct str row = line;
        int sign = 0;
        bool is_there = false;
        for (int i = 0; i <= column && str_split(&line, ',', &field); i++) {
            if (i == 1)
                sign = str_is(field, "FRONTEND") ? 1 : str_is(field, "BACKEND") ? -1 : 0;
            is_there = i == column;
        }
        if (sign == 0)
            continue;
        if (!is_there || !parse_number(field, INT32_MAX, &sessions))
            return bad_row(row, err);
        count += sign * sessions;
    }
    *count_out = count > 0 ? count : 0;
    return true;
}

bool
haproxy_parse_map(struct str answer, struct strbuf *out)
{
    struct str rest = answer, line;

    while (str_split(&rest, '\n', &line)) {
        const ptrdiff_t blank = str_index(line, ' ');
        if (line.len == 0)
            continue;
        if (!str_starts(line, STR("0x")) || blank < 0)
            return false;
        strbuf_add(out, str_slice(line, (size_t)blank + 1, line.len));
        strbuf_add_char(out, '\n');
    }
    return true;
}

void
haproxy_parse_certificates(struct str answer, void (*call)(void *arg, struct str id), void *arg)
{
    struct str rest = answer, line;

    while (str_split(&rest, '\n', &line)) {
        const struct str name = str_trim(line);
        if (str_starts(name, STR("certs/")) && str_ends(name, STR(".pem")) && name.len > 10)
            call(arg, str_slice(name, 6, name.len - 4));
    }
}

bool
haproxy_parse_fingerprint(struct str answer, char out[static 41])
{
    const struct str label = STR("SHA1 FingerPrint: ");
    struct str rest = answer, line;

    while (str_split(&rest, '\n', &line)) {
        const struct str value = str_slice(line, label.len, line.len);
        if (str_starts(line, label) && value.len == 40) {
            text_copy(out, 41, value);
            return strspn(out, "0123456789ABCDEF") == 40;
        }
    }
    return false;
}

bool
haproxy_parse_version(struct str answer, int64_t *out)
{
    const struct str text = str_trim(answer), start = STR("New version created: ");
    int64_t version;

    if (!str_starts(text, start) ||
        !parse_number(str_slice(text, start.len, text.len), UINT32_MAX, &version))
        return false;
    *out = version;
    return true;
}
