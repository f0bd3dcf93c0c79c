/* SPDX-License-Identifier: MIT */
/* web.c - the web service that the end-to-end tests deploy; static, no dependencies.
 * GET /            "<WEB_VERSION> <hostname>"
 * GET /health      status WEB_HEALTH (default 200)
 * GET /slow?ms=N   as /, after N milliseconds
 * WEB_EXIT=N       exits with N at once;  WEB_EXIT_AFTER_MS=N  some time after it listens
 * GET /port        the port that was asked
 * WEB_START_MS=N   listens only after N milliseconds
 * WEB_PORTS=N      listens on so many ports, from PORT (8080) on
 * SIGTERM ends it at once, in the middle of whatever it does: a target that is told to stop while it
 * still serves shows as a failed request, and that is what the tests look for. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char hostname[64];

static int
number(const char *name, int fallback)
{
    const char *text = getenv(name);

    return text != NULL ? atoi(text) : fallback;
}

static int
port_of(int fd)
{
    struct sockaddr_in own = {.sin_port = 0};
    socklen_t len = sizeof(own);

    (void)!getsockname(fd, (struct sockaddr *)&own, &len);
    return ntohs(own.sin_port);
}

static void
answer(int fd, const char *path)
{
    const char *version = getenv("WEB_VERSION");
    const int status = strncmp(path, "/health", 7) == 0 ? number("WEB_HEALTH", 200) : 200;
    char body[256], head[512];

    if (strncmp(path, "/slow?ms=", 9) == 0)
        usleep((useconds_t)atoi(path + 9) * 1000);
    if (strcmp(path, "/port") == 0)
        snprintf(body, sizeof(body), "%d\n", port_of(fd));
    else
        snprintf(body, sizeof(body), "%s %s\n", version != NULL ? version : "none", hostname);
    snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Type: text/plain\r\nX-Version: %s\r\nContent-Length: %zu\r\n\r\n%s",
             status, version != NULL ? version : "none", strlen(body), body);
    if (write(fd, head, strlen(head)) < 0)
        return;
}

static void *
serve(void *arg)
{
    const int fd = (int)(intptr_t)arg;
    char buffer[16384];
    size_t have = 0;

    for (;;) {
        ssize_t got = read(fd, buffer + have, sizeof(buffer) - 1 - have);
        char path[1024], *end;

        if (got <= 0)
            break;
        have += (size_t)got;
        buffer[have] = '\0';
        end = strstr(buffer, "\r\n\r\n");
        if (end == NULL && have < sizeof(buffer) - 1)
            continue;
        if (end == NULL || sscanf(buffer, "%*s %1023s", path) != 1)
            break;
        answer(fd, path);
        have = 0;
        if (strstr(buffer, "Connection: close") != NULL || strstr(buffer, "connection: close") != NULL)
            break;
    }
    close(fd);
    return NULL;
}

static void *
exit_later(void *arg)
{
    usleep((useconds_t)number("WEB_EXIT_AFTER_MS", 0) * 1000);
    _exit((int)(intptr_t)arg);
}

int
main(void)
{
    int more = number("WEB_PORTS", 1) - 1;

    while (more > 0 && fork() != 0) /* a process for each port; all end with the first */
        more--;
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)(number("PORT", 8080) + more))};
    const int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    pthread_attr_t small;
    pthread_t thread;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, _exit); /* as process 1 the default would be to ignore it */
    gethostname(hostname, sizeof(hostname) - 1);
    if (getenv("WEB_EXIT") != NULL)
        return number("WEB_EXIT", 1);
    usleep((useconds_t)number("WEB_START_MS", 0) * 1000);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 512) < 0) {
        perror("listen");
        return 1;
    }
    printf("listening\n");
    fflush(stdout);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    if (getenv("WEB_EXIT_AFTER_MS") != NULL)
        pthread_create(&thread, &small, exit_later, (void *)(intptr_t)7);
    for (;;) {
        const int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (pthread_create(&thread, &small, serve, (void *)(intptr_t)fd) != 0)
            close(fd);
    }
}
