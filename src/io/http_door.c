/* SPDX-License-Identifier: MIT */
#include "io/http_door.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/http_guests.h"

#define TLS_HANDSHAKE 0x16 /* the first byte of a ClientHello's record */
#define NO_DESCRIPTORS_PAUSE_MS 50

struct waiting {
    int fd;
    struct sockaddr_storage address;
    socklen_t length;
    int64_t until_ms;
};

struct http_door {
    int listener, stop[2]; /* a pipe: its end tells the thread to end */
    void (*take)(void *ctx, int fd, const struct sockaddr *address, socklen_t length, bool is_tls);
    void *ctx;
    pthread_t thread;
    struct waiting waiting[DOOR_WAITING_MAX]; /* in the order of their coming */
    size_t count;
};

static void
forget(struct http_door *door, size_t index)
{
    memmove(&door->waiting[index], &door->waiting[index + 1],
            (door->count - index - 1) * sizeof(door->waiting[0]));
    door->count--;
}

/* False: it still says nothing. */
static bool
look(struct http_door *door, const struct waiting *w)
{
    unsigned char first;
    const ssize_t n = recv(w->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0)
        close(w->fd);
    else
        door->take(door->ctx, w->fd, (const struct sockaddr *)&w->address, w->length,
                   first == TLS_HANDSHAKE);
    return true;
}

/* Whoever sends a crowd that says nothing drives out his own. */
static void
make_room(struct http_door *door, const struct waiting *next)
{
    size_t first = door->count, count = 0;

    for (size_t i = door->count; i-- > 0;) {
        if (http_guests_are_one((const struct sockaddr *)&door->waiting[i].address,
                                (const struct sockaddr *)&next->address)) {
            first = i;
            count++;
        }
    }
    if (count < DOOR_OF_ONE_MAX) {
        if (door->count < DOOR_WAITING_MAX)
            return;
        first = 0;
    }
    if (!look(door, &door->waiting[first])) /* it may have spoken since it was polled */
        close(door->waiting[first].fd);
    forget(door, first);
}

static void
accept_all(struct http_door *door)
{
    for (;;) {
        struct waiting w = {.length = sizeof(w.address),
                            .until_ms = clock_monotonic_ms() + DOOR_WAIT_MS};

        w.fd = accept4(door->listener, (struct sockaddr *)&w.address, &w.length,
                       SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (w.fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
            clock_sleep_ms(NO_DESCRIPTORS_PAUSE_MS); /* or it would be asked again at once */
        if (w.fd < 0)
            return;
        make_room(door, &w);
        door->waiting[door->count++] = w;
    }
}

static void
look_at_all(struct http_door *door, const struct pollfd *polled)
{
    const int64_t now_ms = clock_monotonic_ms();

    for (size_t i = door->count; i-- > 0;) {
        const struct waiting w = door->waiting[i];
        if (polled[i].revents != 0 && look(door, &w)) {
            forget(door, i);
        } else if (now_ms >= w.until_ms) {
            close(w.fd);
            forget(door, i);
        }
    }
}

static void *
run(void *arg)
{
    struct http_door *door = arg;

    for (;;) {
        struct pollfd polled[DOOR_WAITING_MAX + 2];
        const size_t count = door->count;

        for (size_t i = 0; i < count; i++)
            polled[i] = (struct pollfd){.fd = door->waiting[i].fd, .events = POLLIN};
        polled[count] = (struct pollfd){.fd = door->listener, .events = POLLIN};
        polled[count + 1] = (struct pollfd){.fd = door->stop[0], .events = POLLIN};
        if (poll(polled, count + 2, count > 0 ? 1000 : -1) < 0 && errno != EINTR)
            log_error("http.door", "errno=%d", errno);
        if (polled[count + 1].revents != 0)
            break;
        look_at_all(door, polled);
        if (polled[count].revents != 0)
            accept_all(door);
    }
    for (size_t i = 0; i < door->count; i++)
        close(door->waiting[i].fd);
    return NULL;
}

struct http_door *
http_door_open(int listener,
               void (*take)(void *ctx, int fd, const struct sockaddr *address, socklen_t length,
                            bool is_tls),
               void *ctx, struct err *err)
{
    struct http_door *door = mem_new(sizeof(*door));

    door->listener = listener;
    door->take = take;
    door->ctx = ctx;
    if (pipe2(door->stop, O_CLOEXEC) < 0) {
        err_errno(err, "cannot make a pipe");
        free(door);
        return NULL;
    }
    if (pthread_create(&door->thread, NULL, run, door) != 0) {
        err_set(err, ERR_INTERNAL, "cannot start a thread");
        close(door->stop[0]);
        close(door->stop[1]);
        free(door);
        return NULL;
    }
    return door;
}

void
http_door_close(struct http_door *door)
{
    if (door == NULL)
        return;
    close(door->stop[1]);
    pthread_join(door->thread, NULL);
    close(door->stop[0]);
    free(door);
}
