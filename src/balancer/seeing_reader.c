/* SPDX-License-Identifier: MIT */
#include "balancer/seeing_reader.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "balancer/access_line.h"
#include "balancer/haproxy_socket.h"
#include "base/log.h"

struct reader {
    int fd;
    char *path;
    void (*wake)(void *ctx);
    void *ctx;
    pthread_t thread;
    atomic_bool is_ending;
    pthread_mutex_t lock;
    struct strbuf lines;
    int64_t lost;
};

/* True if there was nothing before. */
static bool
keep(struct reader *r, struct str line)
{
    bool was_empty;

    pthread_mutex_lock(&r->lock);
    was_empty = r->lines.len == 0;
    if (r->lines.len + line.len + 1 > READER_BUFFER_MAX) {
        r->lost++;
    } else {
        strbuf_add(&r->lines, line);
        strbuf_add_char(&r->lines, '\0');
    }
    pthread_mutex_unlock(&r->lock);
    return was_empty;
}

static void *
read_lines(void *arg)
{
    struct reader *r = arg;
    char *buffer = mem_new(ACCESS_LINE_MAX + 64);

    while (!atomic_load(&r->is_ending)) {
        const ssize_t got = recv(r->fd, buffer, ACCESS_LINE_MAX + 64, 0);

        if (got < 0 && errno != EINTR) {
            log_error("traffic.lines", "error=%s", log_quote(strerror(errno)));
            break;
        }
        if (got > 0 && keep(r, (struct str){buffer, (size_t)got}))
            r->wake(r->ctx);
    }
    free(buffer);
    return NULL;
}

struct reader *
reader_new(const char *path, void (*wake)(void *ctx), void *ctx, struct err *err)
{
    struct sockaddr_un address = {0};
    cleanup_close int folder_fd = -1;
    cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int size = 8 << 20;
    struct reader *r;

    if (fd < 0) {
        err_errno(err, "cannot make a socket");
        return NULL;
    }
    if (!haproxy_socket_address(path, &address, &folder_fd, err))
        return NULL;
    if (unlink(path) < 0 && errno != ENOENT) {
        err_errno(err, "cannot remove '%s'", path);
        return NULL;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        err_errno(err, "cannot bind '%s'", path);
        return NULL;
    }
    r = mem_new(sizeof(*r));
    r->fd = fd;
    fd = -1;
    r->path = text_dup(path);
    r->wake = wake;
    r->ctx = ctx;
    pthread_mutex_init(&r->lock, NULL);
    if (pthread_create(&r->thread, NULL, read_lines, r) != 0)
        abort(); /* as mem_new() without memory */
    return r;
}

void
reader_take(struct reader *r, struct strbuf *out, int64_t *lost_out)
{
    pthread_mutex_lock(&r->lock);
    const struct strbuf lines = r->lines;
    r->lines = *out;
    *out = lines;
    *lost_out = r->lost;
    pthread_mutex_unlock(&r->lock);
}

void
reader_free(struct reader *r)
{
    if (r == NULL)
        return;
    atomic_store(&r->is_ending, true);
    (void)shutdown(r->fd, SHUT_RDWR); /* wakes it */
    pthread_join(r->thread, NULL);
    (void)close(r->fd);
    (void)unlink(r->path);
    pthread_mutex_destroy(&r->lock);
    strbuf_done(&r->lines);
    free(r->path);
    free(r);
}
