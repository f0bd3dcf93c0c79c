/* SPDX-License-Identifier: MIT */
/* my-app - a small web server to deploy: static, without dependencies, in an image of one file.
 *   GET /          version, host, task
 *   GET /health    200 while it can serve, 503 once it was told to stop
 *   GET /slow?ms=N answers after N milliseconds (at most 60000)
 * On SIGTERM it stops accepting, finishes what it has begun, and ends. One process a core is plenty
 * for an example; requests are served by threads so that slow ones hold up nobody. VERSION and
 * CONDITION come from the build (build.sh): CONDITION 1 answers its health check with 503,
 * CONDITION 2 crashes at the start. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "1"
#endif
#ifndef CONDITION
#define CONDITION 0
#endif
#define CONDITION_UNHEALTHY 1
#define CONDITION_CRASHING 2
#define PORT 8080
#define REQUEST_MAX 8192
#define SLOW_MAX_MS 60000
#define IDLE_MAX_MS 75000

static atomic_int open_connections;
static atomic_bool is_stopping;
static int wake_pipe[2];
static char host[128], task[128] = "none";

static void
on_term(int number)
{
    (void)number;
    atomic_store(&is_stopping, true);
    if (write(wake_pipe[1], "x", 1) < 0)
        _exit(1);
}

static void
sleep_ms(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static bool
send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        const ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

static bool
answer(int fd, int status, const char *body, bool keeps)
{
    char text[1024];
    const int len = snprintf(
        text, sizeof(text),
        "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nX-Version: %s\r\n"
        "X-Task: %s\r\nConnection: %s\r\n\r\n%s",
        status,
        status == 200   ? "OK"
        : status == 404 ? "Not Found"
                        : "Service Unavailable",
        strlen(body), VERSION, host, keeps ? "keep-alive" : "close", body);

    return len > 0 && (size_t)len < sizeof(text) && send_all(fd, text, (size_t)len);
}

static bool
serve(int fd, const char *request)
{
    /* After SIGTERM a connection ends with its present answer. */
    const bool keeps =
        !atomic_load(&is_stopping) && strcasestr(request, "\nConnection: close") == NULL;
    char body[512];

    if (strncmp(request, "GET /health ", 12) == 0) {
        if (CONDITION == CONDITION_UNHEALTHY || atomic_load(&is_stopping))
            return answer(fd, 503, "not well\n", keeps) && keeps;
        return answer(fd, 200, "ok\n", keeps) && keeps;
    }
    if (strncmp(request, "GET /slow?ms=", 13) == 0) {
        const long ms = strtol(request + 13, NULL, 10);

        sleep_ms(ms < 0 ? 0 : ms > SLOW_MAX_MS ? SLOW_MAX_MS : ms);
    } else if (strncmp(request, "GET / ", 6) != 0 && strncmp(request, "GET /?", 6) != 0) {
        return answer(fd, 404, "no such page\n", keeps) && keeps;
    }
    snprintf(body, sizeof(body), "version %s\nhost %s\ntask %s\n", VERSION, host, task);
    return answer(fd, 200, body, keeps) && keeps;
}

/* Waits for the next request; while idle, a stop ends the wait. */
static ssize_t
receive(int fd, char *buffer, size_t size, bool is_idle)
{
    for (long waited = 0; waited < IDLE_MAX_MS; waited += 100) {
        struct pollfd p = {fd, POLLIN, 0};
        const int ready = poll(&p, 1, 100);

        if (ready > 0)
            return recv(fd, buffer, size, 0);
        if (ready == 0 && is_idle && atomic_load(&is_stopping))
            return 0;
    }
    return 0;
}

static void *
connection(void *arg)
{
    const int fd = (int)(long)arg;
    char request[REQUEST_MAX + 1];
    size_t len = 0;

    for (;;) {
        char *end;
        ssize_t got;

        request[len] = '\0';
        end = strstr(request, "\r\n\r\n");
        if (end != NULL) {
            const size_t used = (size_t)(end + 4 - request);

            end[2] = '\0';
            if (!serve(fd, request))
                break;
            memmove(request, request + used, len - used);
            len -= used;
            continue;
        }
        if (len == REQUEST_MAX)
            break;
        got = receive(fd, request + len, REQUEST_MAX - len, len == 0);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    shutdown(fd, SHUT_WR);
    close(fd);
    atomic_fetch_sub(&open_connections, 1);
    return NULL;
}

static void
find_task(void)
{
    /* The metadata endpoint's address ends with the task's id; without it the host name must do. */
    const char *uri = getenv("ECS_CONTAINER_METADATA_URI_V4");
    const char *slash = uri != NULL ? strrchr(uri, '/') : NULL;

    gethostname(host, sizeof(host) - 1);
    snprintf(task, sizeof(task), "%s", slash != NULL ? slash + 1 : host);
}

int
main(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct pollfd waits[2];
    pthread_attr_t small;

    if (CONDITION == CONDITION_CRASHING) {
        fprintf(stderr, "my-app %s: this version cannot start\n", VERSION);
        abort();
    }
    find_task();
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (pipe(wake_pipe) < 0 ||
        bind(listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 1024) < 0) {
        perror("my-app");
        return 1;
    }
    signal(SIGTERM, on_term);
    signal(SIGINT, on_term);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 * 1024);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    printf("my-app %s listens on port %d\n", VERSION, PORT);
    fflush(stdout);
    waits[0] = (struct pollfd){listener, POLLIN, 0};
    waits[1] = (struct pollfd){wake_pipe[0], POLLIN, 0};
    while (!atomic_load(&is_stopping)) {
        pthread_t thread;
        int fd;

        if (poll(waits, 2, -1) < 0 || waits[0].revents == 0)
            continue;
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        atomic_fetch_add(&open_connections, 1);
        if (pthread_create(&thread, &small, connection, (void *)(long)fd) != 0) {
            close(fd);
            atomic_fetch_sub(&open_connections, 1);
        }
    }
    close(listener);
    while (atomic_load(&open_connections) > 0)
        sleep_ms(10);
    printf("my-app %s has stopped\n", VERSION);
    return 0;
}
