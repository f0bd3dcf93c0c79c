/* SPDX-License-Identifier: MIT */
/* web.c - the web service that the end-to-end tests deploy; static, no dependencies.
 * GET /            "<WEB_VERSION> <hostname>"
 * GET /health      status WEB_HEALTH (default 200)
 * GET /slow?ms=N   as /, after N milliseconds
 * WEB_EXIT=N       exits with N at once;  WEB_EXIT_AFTER_MS=N  some time after it listens
 * GET /port        the port that was asked
 * GET /stream?ms=N a chunk every 20 milliseconds, for so long
 * Upgrade: websocket  switches, and gives back whatever comes
 * WEB_START_MS=N   listens only after N milliseconds
 * WEB_PORTS=N      listens on so many ports, from PORT (8080) on
 * SIGTERM ends it at once, in the middle of whatever it does: a target that is told to stop while it
 * still serves shows as a failed request, and that is what the tests look for. */
#define _GNU_SOURCE /* strcasestr */
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

static int
say(int fd, const char *text)
{
    return write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

static void
stream(int fd, int ms)
{
    if (say(fd, "HTTP/1.1 200 X\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n") < 0)
        return;
    for (int done = 0; done < ms; done += 20) {
        if (say(fd, "10\r\na chunk of text.\r\n") < 0)
            return;
        usleep(20000);
    }
    say(fd, "0\r\n\r\n");
}

/* What travels after it are frames; whoever only gives them back need not know them. */
static void
echo(int fd)
{
    char buffer[4096];
    ssize_t got;

    if (say(fd, "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n") < 0)
        return;
    while ((got = read(fd, buffer, sizeof(buffer))) > 0)
        if (write(fd, buffer, (size_t)got) != got)
            return;
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
    (void)say(fd, head);
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
        if (strcasestr(buffer, "\nupgrade: websocket") != NULL) {
            echo(fd);
            break;
        }
        if (strncmp(path, "/stream?ms=", 11) == 0)
            stream(fd, atoi(path + 11));
        else
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
