/* SPDX-License-Identifier: MIT */
/* registry_load.c - what clients ask of an image registry, with as little work of its own as can
 * be: files go out by sendfile(), answers are thrown away inside the kernel, requests are made
 * before the clock starts.  A thread a connection, each connection kept.  Any answer that is not
 * the wanted one ends the run.  Prints {"seconds": S, "count": N, "bytes": B} as a line.
 *
 * usage: registry-load push FILE DIGEST | pull PATH | head PATH | small SIZE | manifests FILE |
 * floor FILE
 *   --port N --repository NAME --header LINE --connections N --count N --tag TEXT
 *
 *   push       POST for an upload, then the whole FILE by PUT; `count` times (the bytes differ in
 *              nothing, so use 1)
 *   pull, head GET or HEAD of PATH, `count` times in all
 *   small      `count` blobs of SIZE bytes, each one of its own, by POST and PUT
 *   manifests  `count` manifests: FILE with its text "@NUMBER@" replaced, each under a tag
 *   floor      no server: receives FILE over loopback in a second thread, hashes, writes and
 * flushes it in the current folder; what a push costs at least */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/str.h"

#define CONNECTIONS_MAX 64
#define PIECE ((size_t)256 * 1024)
#define ANSWER_MAX 8192

static struct {
    const char *kind, *what, *digest, *repository, *header, *tag;
    int port, connections;
    int64_t count;
} run = {.repository = "bench", .header = "X-Bench: 1", .tag = "t", .connections = 1, .count = 1};

static _Atomic int64_t next_number, bytes_moved;
static struct strbuf *bodies; /* of small and manifests, `run.count` of them */
static char (*digests)[SHA256_HEX + 1];

static void
die(const char *what)
{
    fprintf(stderr, "registry-load: %s: %s: %s\n", run.kind, what, strerror(errno));
    exit(1);
}

/* ---- one connection ---- */

struct answer {
    int status;
    int64_t body_size;
    char location[2048]; /* from its first '/' on */
};

static int
connect_to(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        die("connect");
    return fd;
}

static void
send_text(int fd, struct str text, int flags)
{
    while (text.len > 0) {
        ssize_t n = send(fd, text.at, text.len, MSG_NOSIGNAL | flags);
        if (n < 0)
            die("send");
        text = str_slice(text, (size_t)n, text.len);
    }
}

static void
send_file(int fd, int file, int64_t size)
{
    for (off_t at = 0; at < size;)
        if (sendfile(fd, file, &at, PIECE * 4) <= 0)
            die("sendfile");
}

static const char *
header_find(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);
    return at == NULL ? NULL : at + strlen(name);
}

static void
location_copy(struct answer *a, const char *value)
{
    const char *scheme = value == NULL ? NULL : strstr(value, "://");
    const char *end = value == NULL ? NULL : strchr(value, '\r');

    if (scheme != NULL && scheme < end)
        value = strchr(scheme + 3, '/');
    if (value == NULL || end == NULL || end <= value || (size_t)(end - value) >= sizeof a->location)
        return;
    memcpy(a->location, value, (size_t)(end - value));
    a->location[end - value] = '\0';
}

/* Reads one answer whole; a body of any size is dropped by the kernel, not copied. */
static void
answer_read(int fd, bool has_body, struct answer *a)
{
    char text[ANSWER_MAX + 1];
    size_t len = 0;
    char *end = NULL;

    while (end == NULL) {
        ssize_t n = len < ANSWER_MAX ? recv(fd, text + len, ANSWER_MAX - len, 0) : 0;
        if (n <= 0)
            die("the answer ended early");
        len += (size_t)n;
        text[len] = '\0';
        end = memmem(text, len, "\r\n\r\n", 4);
    }
    end[2] = '\0';
    const char *length = header_find(text, "\r\nContent-Length:");
    *a = (struct answer){.status = atoi(text + 9), .body_size = length ? atoll(length) : 0};
    location_copy(a, header_find(text, "\r\nLocation: "));
    int64_t left = has_body ? a->body_size - (int64_t)(len - (size_t)(end + 4 - text)) : 0;
    while (left > 0) {
        ssize_t n = recv(fd, NULL, (size_t)(left < 8 << 20 ? left : 8 << 20), MSG_TRUNC);
        if (n <= 0)
            die("the body ended early");
        left -= n;
    }
}

static void
expect(const struct answer *a, int status)
{
    if (a->status == status)
        return;
    fprintf(stderr, "registry-load: %s: answered %d, not %d\n", run.kind, a->status, status);
    exit(1);
}

static void
request(int fd, struct answer *a, const char *method, const char *path, const char *type,
        int64_t size, struct str body, int file)
{
    char head[4096];
    int len = snprintf(head, sizeof head,
                       "%s %s HTTP/1.1\r\nHost: localhost:%d\r\n%s\r\nContent-Type: %s\r\n"
                       "Content-Length: %lld\r\n\r\n",
                       method, path, run.port, run.header, type, (long long)size);

    send_text(fd, (struct str){head, (size_t)len}, size > 0 ? MSG_MORE : 0);
    if (file >= 0)
        send_file(fd, file, size);
    else
        send_text(fd, body, 0);
    answer_read(fd, strcmp(method, "HEAD") != 0, a);
}

/* ---- the kinds of work ---- */

static void
upload(int fd, const char *hex, struct str body, int file, int64_t size)
{
    char path[2400];
    struct answer a;

    snprintf(path, sizeof path, "/v2/%s/blobs/uploads/", run.repository);
    request(fd, &a, "POST", path, "application/octet-stream", 0, STR(""), -1);
    expect(&a, 202);
    snprintf(path, sizeof path, "%s%sdigest=sha256:%s", a.location,
             strchr(a.location, '?') ? "&" : "?", hex);
    request(fd, &a, "PUT", path, "application/octet-stream", size, body, file);
    expect(&a, 201);
    atomic_fetch_add(&bytes_moved, size);
}

static void
push_one(int fd, int64_t number)
{
    struct stat st;
    int file = open(run.what, O_RDONLY | O_CLOEXEC);

    (void)number;
    if (file < 0 || fstat(file, &st) < 0)
        die(run.what);
    upload(fd, run.digest, STR(""), file, st.st_size);
    close(file);
}

static void
small_one(int fd, int64_t number)
{
    upload(fd, digests[number], strbuf_str(&bodies[number]), -1, (int64_t)bodies[number].len);
}

static void
manifest_one(int fd, int64_t number)
{
    char path[512];
    struct answer a;

    snprintf(path, sizeof path, "/v2/%s/manifests/%s-%lld", run.repository, run.tag,
             (long long)number);
    request(fd, &a, "PUT", path, "application/vnd.oci.image.manifest.v1+json",
            (int64_t)bodies[number].len, strbuf_str(&bodies[number]), -1);
    expect(&a, 201);
}

static void
get_one(int fd, int64_t number)
{
    struct answer a;

    (void)number;
    request(fd, &a, "GET", run.what, "text/plain", 0, STR(""), -1);
    expect(&a, 200);
    atomic_fetch_add(&bytes_moved, a.body_size);
}

static void
head_one(int fd, int64_t number)
{
    struct answer a;

    (void)number;
    request(fd, &a, "HEAD", run.what, "text/plain", 0, STR(""), -1);
    expect(&a, 200);
}

/* ---- what is made before the clock starts ---- */

static void
small_prepare(void)
{
    const size_t size = (size_t)atoll(run.what);

    for (int64_t i = 0; i < run.count; i++) {
        strbuf_addf(&bodies[i], "%s %lld %lld\n", run.tag, (long long)i,
                    (long long)clock_wall_ms());
        while (bodies[i].len < size)
            strbuf_add(&bodies[i], str_slice(strbuf_str(&bodies[i]), 0, size - bodies[i].len));
        sha256_hex(strbuf_str(&bodies[i]), digests[i]);
    }
}

static void
manifests_prepare(void)
{
    char text[64 * 1024];
    FILE *file = fopen(run.what, "rb");
    size_t len = file == NULL ? 0 : fread(text, 1, sizeof text, file);
    struct str all = {text, len};
    const char *mark = len == 0 ? NULL : memmem(text, len, "@NUMBER@", 8);

    if (mark == NULL)
        die(run.what);
    fclose(file);
    for (int64_t i = 0; i < run.count; i++) {
        strbuf_add(&bodies[i], str_slice(all, 0, (size_t)(mark - text)));
        strbuf_addf(&bodies[i], "%s-%lld", run.tag, (long long)i);
        strbuf_add(&bodies[i], str_slice(all, (size_t)(mark - text) + 8, len));
    }
}

/* ---- the floor: receive, hash, write, flush ---- */

static void *
floor_send(void *arg)
{
    struct stat st;
    int fd = *(int *)arg, file = open(run.what, O_RDONLY | O_CLOEXEC);

    if (file < 0 || fstat(file, &st) < 0)
        die(run.what);
    send_file(fd, file, st.st_size);
    close(file);
    shutdown(fd, SHUT_WR);
    return NULL;
}

static void
floor_pair(int ends[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&at, &len) < 0)
        die("listen");
    ends[0] = connect_to(ntohs(at.sin_port));
    ends[1] = accept(listener, NULL, NULL);
    close(listener);
}

static double
thread_cpu_s(void)
{
    struct rusage used;

    getrusage(RUSAGE_THREAD, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void
floor_run(void)
{
    int ends[2], out = open("floor.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char *piece = mem_new(PIECE);
    unsigned char hash[SHA256_LEN];
    struct sha256 *h = sha256_new();
    pthread_t sender;
    int64_t size = 0, flushed = 0, begin_us = clock_monotonic_us();
    const double used_s = thread_cpu_s();

    if (out < 0)
        die("floor.tmp");
    floor_pair(ends);
    pthread_create(&sender, NULL, floor_send, &ends[0]);
    for (ssize_t n; (n = recv(ends[1], piece, PIECE, 0)) != 0; size += n) {
        if (n < 0 || write(out, piece, (size_t)n) != n)
            die("receive and write");
        sha256_add(h, piece, (size_t)n);
        if (size + n - flushed >= 8 << 20) {
            sync_file_range(out, flushed, size + n - flushed, SYNC_FILE_RANGE_WRITE);
            flushed = size + n;
        }
    }
    sha256_finish(h, hash);
    if (fdatasync(out) < 0)
        die("flush");
    printf("{\"seconds\": %.6f, \"cpu\": %.6f, \"count\": 1, \"bytes\": %lld}\n",
           (double)(clock_monotonic_us() - begin_us) / 1e6, thread_cpu_s() - used_s,
           (long long)size);
    pthread_join(sender, NULL);
    unlink("floor.tmp");
    sha256_free(h);
    free(piece);
}

/* ---- all connections ---- */

static const struct kind {
    const char *name;
    void (*prepare)(void);
    void (*one)(int fd, int64_t number);
} kinds[] = {
    {"push", NULL, push_one},
    {"pull", NULL, get_one},
    {"head", NULL, head_one},
    {"small", small_prepare, small_one},
    {"manifests", manifests_prepare, manifest_one},
};

struct worker {
    pthread_t thread;
    int fd;
    const struct kind *kind;
};

static void *
work(void *arg)
{
    struct worker *w = arg;

    for (int64_t n; (n = atomic_fetch_add(&next_number, 1)) < run.count;)
        w->kind->one(w->fd, n);
    return NULL;
}

static void
kind_run(const struct kind *kind)
{
    struct worker workers[CONNECTIONS_MAX];

    bodies = mem_new((size_t)run.count * sizeof *bodies);
    digests = mem_new((size_t)run.count * sizeof *digests);
    if (kind->prepare != NULL)
        kind->prepare();
    for (int i = 0; i < run.connections; i++)
        workers[i] = (struct worker){.fd = connect_to(run.port), .kind = kind};
    const int64_t begin_us = clock_monotonic_us();
    for (int i = 0; i < run.connections; i++)
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            die("a thread");
    for (int i = 0; i < run.connections; i++)
        pthread_join(workers[i].thread, NULL);
    printf("{\"seconds\": %.6f, \"count\": %lld, \"bytes\": %lld}\n",
           (double)(clock_monotonic_us() - begin_us) / 1e6, (long long)run.count,
           (long long)bytes_moved);
}

static void
option_read(const char *name, const char *value)
{
    if (strcmp(name, "--port") == 0)
        run.port = atoi(value);
    else if (strcmp(name, "--repository") == 0)
        run.repository = value;
    else if (strcmp(name, "--header") == 0)
        run.header = value;
    else if (strcmp(name, "--tag") == 0)
        run.tag = value;
    else if (strcmp(name, "--connections") == 0)
        run.connections = atoi(value);
    else if (strcmp(name, "--count") == 0)
        run.count = atoll(value);
    else
        die(name);
}

int
main(int argc, char **argv)
{
    int i = 1;

    run.kind = argc > 2 ? argv[i++] : "";
    run.what = argc > 2 ? argv[i++] : "";
    if (strcmp(run.kind, "push") == 0 && i < argc)
        run.digest = argv[i++];
    for (; i + 1 < argc; i += 2)
        option_read(argv[i], argv[i + 1]);
    if (run.connections < 1 || run.connections > CONNECTIONS_MAX || run.count < 1)
        return 2;
    if (strcmp(run.kind, "floor") == 0) {
        floor_run();
        return 0;
    }
    for (size_t k = 0; k < ARRAY_COUNT(kinds); k++) {
        if (strcmp(run.kind, kinds[k].name) != 0)
            continue;
        kind_run(&kinds[k]);
        return 0;
    }
    fprintf(stderr,
            "usage: registry-load push|pull|head|small|manifests|floor WHAT [--OPTION VALUE]...\n");
    return 2;
}
