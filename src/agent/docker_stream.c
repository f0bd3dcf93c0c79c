/* SPDX-License-Identifier: MIT */
#include "agent/docker_stream.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#define READ_SIZE ((size_t)64 * 1024)
#define READS_PER_TURN 8 /* a container that shouts must not keep the others waiting */

struct docker_stream {
    struct loop *loop;
    struct docker_stream_calls calls;
    void *arg;
    int fd;
    struct loop_fd *watch;
    struct loop_timer *later; /* tells a failure that happened in _new() */
    struct strbuf head;       /* until it is complete */
    bool is_open;
    int status;
    char error[256];
};

ptrdiff_t
docker_stream_parse_head(struct str bytes, int *status_out)
{
    const ptrdiff_t end = str_find(bytes, STR("\r\n\r\n"));
    int64_t status = 0;

    if (end < 0)
        return bytes.len > STREAM_HEAD_MAX ? -1 : 0;
    if (bytes.len < 12 || !str_starts(bytes, STR("HTTP/1.")) || bytes.at[8] != ' ' ||
        !str_to_i64(str_slice(bytes, 9, 12), &status) || status < 100)
        return -1;
    *status_out = (int)status;
    return end + 4;
}

static void
stream_end(struct docker_stream *s, const char *error)
{
    loop_fd_free(TAKE(s->watch));
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->calls.ended(s->arg, s->status, error); /* may free `s` */
}

static void
tell_failure(void *arg)
{
    struct docker_stream *s = arg;

    stream_end(s, s->error);
}

/* False once the stream is over (and perhaps freed). */
static bool
take_bytes(struct docker_stream *s, struct str bytes)
{
    if (s->is_open) {
        s->calls.data(s->arg, bytes);
        return true;
    }
    strbuf_add(&s->head, bytes);
    const ptrdiff_t size = docker_stream_parse_head(strbuf_str(&s->head), &s->status);
    if (size == 0)
        return true;
    if (size < 0) {
        stream_end(s, "the answer is no HTTP");
        return false;
    }
    if (s->status != 200) {
        (void)snprintf(s->error, sizeof(s->error), "status %d", s->status);
        stream_end(s, s->error);
        return false;
    }
    s->is_open = true;
    s->calls.opened(s->arg);
    if (s->head.len > (size_t)size)
        s->calls.data(s->arg, str_slice(strbuf_str(&s->head), (size_t)size, s->head.len));
    strbuf_done(&s->head);
    return true;
}

static void
on_readable(void *arg, bool readable, bool writable)
{
    struct docker_stream *s = arg;
    char buffer[READ_SIZE];

    for (int i = 0; i < READS_PER_TURN; i++) {
        const ssize_t n = read(s->fd, buffer, sizeof(buffer));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            (void)snprintf(s->error, sizeof(s->error), "%s", strerror(errno));
            stream_end(s, s->error);
            return;
        }
        if (n == 0) {
            stream_end(s, s->is_open ? NULL : "closed before its answer");
            return;
        }
        if (!take_bytes(s, (struct str){buffer, (size_t)n}))
            return;
    }
}

static bool
stream_connect(struct docker_stream *s, const char *socket_path, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    cleanup_free char *request =
        text_format("GET %s HTTP/1.0\r\nHost: docker\r\nUser-Agent: naru\r\n\r\n", path);

    if (!text_copy(address.sun_path, sizeof(address.sun_path), str_of(socket_path))) {
        errno = ENAMETOOLONG;
        return false;
    }
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return false;
    /* A unix socket connects at once or not at all; EAGAIN is a full backlog: Docker hangs. */
    if (connect(s->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return false;
    const struct str text = str_of(request);
    const ssize_t n = send(s->fd, text.at, text.len, MSG_NOSIGNAL);
    if (n >= 0 && (size_t)n != text.len)
        errno = EMSGSIZE; /* a request is far smaller than the socket's buffer */
    return n >= 0 && (size_t)n == text.len;
}

struct docker_stream *
docker_stream_new(struct loop *loop, const char *socket, const char *path,
                  const struct docker_stream_calls *calls, void *arg)
{
    struct docker_stream *s = mem_new(sizeof(*s));

    s->loop = loop;
    s->calls = *calls;
    s->arg = arg;
    s->fd = -1;
    if (!stream_connect(s, socket, path)) {
        (void)snprintf(s->error, sizeof(s->error), "%s", strerror(errno));
        s->later = loop_timer_new(loop, tell_failure, s);
        loop_timer_set(s->later, 0);
        return s;
    }
    s->watch = loop_fd_new(loop, s->fd, on_readable, s);
    loop_fd_watch(s->watch, true, false);
    return s;
}

void
docker_stream_free(struct docker_stream *s)
{
    if (s == NULL)
        return;
    loop_fd_free(s->watch);
    loop_timer_free(s->later);
    if (s->fd >= 0)
        close(s->fd);
    strbuf_done(&s->head);
    free(s);
}
