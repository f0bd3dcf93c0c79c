/* SPDX-License-Identifier: MIT */
/* A TCP service for tests: says its version and a line feed to whoever connects, then echoes each line with the
 * version in front until the client leaves.  At SIGTERM it takes no more connections and ends with the last one. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *version;
static atomic_int clients;
static atomic_bool is_ending;
static int listener;

static void *
serve(void *arg)
{
    const int fd = (int)(long)arg;
    char line[1024];
    FILE *in = fdopen(fd, "r");

    dprintf(fd, "%s\n", version);
    while (in != NULL && fgets(line, sizeof(line), in) != NULL)
        dprintf(fd, "%s %s", version, line);
    if (in != NULL)
        fclose(in);
    if (atomic_fetch_sub(&clients, 1) == 1 && atomic_load(&is_ending))
        _exit(0);
    return NULL;
}

static void
end(int sig)
{
    (void)sig;
    atomic_store(&is_ending, 1);
    shutdown(listener, SHUT_RDWR);
    if (atomic_load(&clients) == 0)
        _exit(0);
}

int
main(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(8080)};
    const int on = 1;

    version = getenv("ECHO_VERSION");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, end);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (version == NULL || bind(listener, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(listener, 512) != 0)
        return 1;
    for (;;) {
        pthread_t thread;
        const int fd = accept(listener, NULL, NULL);

        if (fd < 0) {
            while (atomic_load(&is_ending))
                pause();
            continue;
        }
        atomic_fetch_add(&clients, 1);
        if (pthread_create(&thread, NULL, serve, (void *)(long)fd) != 0)
            return 1;
        pthread_detach(thread);
    }
}
