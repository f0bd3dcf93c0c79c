/* SPDX-License-Identifier: MIT */
#include "balancer/client.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/clock.h"

#define TIMEOUT_S 20

int
client_connect(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    const int on = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The answer's head and body; false if it ends too early. */
static bool
read_reply(int fd, struct reply *out, bool *closes_out)
{
    char buffer[8192] = "";
    size_t len = 0, head_len = 0, body_len = 0;

    for (;;) {
        const ssize_t got = recv(fd, buffer + len, sizeof(buffer) - 1 - len, 0);
        if (got <= 0)
            return false;
        len += (size_t)got;
        buffer[len] = '\0';
        const char *end = strstr(buffer, "\r\n\r\n");
        if (head_len == 0 && end != NULL) {
            head_len = (size_t)(end - buffer) + 4;
            const char *length = strcasestr(buffer, "\r\ncontent-length:");
            if (length == NULL || length > end)
                return false;
            body_len = (size_t)atol(length + 17);
        }
        if (head_len > 0 && len >= head_len + body_len)
            break;
        if (len == sizeof(buffer) - 1)
            return false;
    }
    out->status = atoi(buffer + 9);
    snprintf(out->body, sizeof(out->body), "%.*s", (int)body_len, buffer + head_len);
    buffer[head_len] = '\0';
    snprintf(out->head, sizeof(out->head), "%.2000s", buffer);
    *closes_out = strcasestr(buffer, "connection: close") != NULL;
    return true;
}

struct reply
client_send(int port, const char *request)
{
    struct reply reply = {0};
    bool closes;
    const int fd = client_connect(port);
    const ssize_t len = (ssize_t)strlen(request);

    if (fd >= 0 && send(fd, request, (size_t)len, MSG_NOSIGNAL) == len)
        (void)!read_reply(fd, &reply, &closes);
    if (fd >= 0)
        close(fd);
    return reply;
}

bool
client_get(int *fd, int port, const char *method, const char *path, struct reply *out)
{
    char request[512];
    bool closes = true;
    const int len = snprintf(request, sizeof(request),
                             "%s %s HTTP/1.1\r\nHost: test.local:%d\r\n\r\n", method, path, port);

    *out = (struct reply){0};
    if (*fd < 0)
        *fd = client_connect(port);
    const bool is_good = *fd >= 0 && send(*fd, request, (size_t)len, MSG_NOSIGNAL) == len &&
                         read_reply(*fd, out, &closes);
    if (*fd >= 0 && (!is_good || closes)) {
        close(*fd);
        *fd = -1;
    }
    return is_good;
}

struct reply
client_once(int port, const char *method, const char *path)
{
    struct reply reply;
    int fd = -1;

    client_get(&fd, port, method, path, &reply);
    if (fd >= 0)
        close(fd);
    return reply;
}

static void *
load_main(void *arg)
{
    struct load *l = arg;
    struct reply reply;
    int fd = -1;

    while (!atomic_load(&l->is_stopping)) {
        const bool is_good = client_get(&fd, l->port, "GET", l->path, &reply);
        atomic_fetch_add(&l->requests, 1);
        if (!is_good || reply.status != 200) {
            atomic_fetch_add(&l->failures, 1);
            atomic_store(&l->last_bad_status, reply.status);
        }
        if (l->is_fresh && fd >= 0) {
            close(fd);
            fd = -1;
        }
        if (l->pause_ms > 0)
            clock_sleep_ms(l->pause_ms);
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

void
load_start(struct load *l)
{
    if (pthread_create(&l->thread, NULL, load_main, l) != 0)
        abort();
}

void
load_stop(struct load *l)
{
    atomic_store(&l->is_stopping, true);
    pthread_join(l->thread, NULL);
}
