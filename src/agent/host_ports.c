/* SPDX-License-Identifier: MIT */
#include "agent/host_ports.h"
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include "base/cleanup.h"
#include "base/random.h"

#define RANGE_FILE "/proc/sys/net/ipv4/ip_local_port_range"
#define FALLBACK_LOW 49153
#define FALLBACK_HIGH 65535

void
host_ports_init(struct host_ports *p)
{
    FILE *file = fopen(RANGE_FILE, "re");
    unsigned dice;

    if (file == NULL || fscanf(file, "%d %d", &p->low, &p->high) != 2 || p->low < 1 ||
        p->high > 65535 || p->low > p->high) {
        p->low = FALLBACK_LOW;
        p->high = FALLBACK_HIGH;
    }
    if (file != NULL)
        (void)fclose(file);
    /* Not from the beginning, where Docker and other installations look for theirs. */
    random_bytes(&dice, sizeof(dice));
    atomic_init(&p->next, p->low + (int)(dice % (unsigned)(p->high - p->low + 1)));
}

static bool
is_free(int port, bool is_udp)
{
    const struct sockaddr_in any = {.sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)port),
                                    .sin_addr = {.s_addr = htonl(INADDR_ANY)}};
    cleanup_close int fd = socket(AF_INET, (is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    const int on = 1;

    if (fd < 0)
        return true; /* Docker will say it */
    if (!is_udp) /* as Docker does: what is only waiting to be forgotten takes nothing */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return bind(fd, (const struct sockaddr *)&any, sizeof(any)) == 0;
}

/* The last port of the row that is taken, after which the search goes on; 0: all are free. */
static int
last_taken(int first, int count, bool is_udp)
{
    for (int port = first + count - 1; port >= first; port--)
        if (!is_free(port, is_udp))
            return port;
    return 0;
}

static int
search(const struct host_ports *p, int begin, int count, bool is_udp)
{
    const int span = p->high - p->low + 1;
    int at = begin, seen = 0, taken;

    /* Twice around: a row that begins before `begin` may end behind it. */
    while (count <= span && seen < 2 * span) {
        if (at + count - 1 > p->high) {
            seen += p->high - at + 1;
            at = p->low;
            continue;
        }
        taken = last_taken(at, count, is_udp);
        if (taken == 0)
            return at;
        seen += taken - at + 1;
        at = taken + 1;
    }
    return 0;
}

int
host_ports_take(struct host_ports *p, int count, bool is_udp)
{
    for (;;) {
        int begin = atomic_load(&p->next);
        const int first = search(p, begin, count, is_udp);

        if (first == 0)
            return 0;
        if (atomic_compare_exchange_strong(&p->next, &begin,
                                           first + count > p->high ? p->low : first + count))
            return first;
    }
}
