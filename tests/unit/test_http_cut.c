/* SPDX-License-Identifier: MIT */
/* Who is refused in the middle of a large body hears it at once, not when all has been sent. */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

#include "io/file.h"
#include "io/http_server.h"

#define ENOUGH (300 * 1024)
#define SAID "{\"errors\":[{\"code\":\"DENIED\"}]}"

static _Atomic int64_t received;
static atomic_int ended, finished;

static void
limited_begin(struct http_exchange *x, void *ctx)
{
    (void)ctx;
    if (str_is(x->path, "/early"))
        http_reply(x, 416, NULL, STR("not from here on"));
}

/* Takes a little, and then no more. */
static void
limited_body(struct http_exchange *x, struct str data, void *ctx)
{
    static const struct http_header headers[] = {{"Content-Type", "application/json"}, {"X-Why", "full"}, {NULL, NULL}};

    (void)ctx;
    CHECK(!http_has_replied(x));
    if (atomic_fetch_add(&received, (int64_t)data.len) + (int64_t)data.len <= ENOUGH)
        return;
    if (str_is(x->path, "/buffer")) {
        struct strbuf body = {0};
        strbuf_add_cstr(&body, SAID);
        http_reply_buffer(x, 403, headers, &body);
    } else {
        http_reply(x, 403, headers, STR(SAID));
    }
}

static void
limited_end(struct http_exchange *x, void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&ended, 1);
    http_reply(x, 201, NULL, STR("whole"));
}

static void
limited_done(struct http_exchange *x, void *ctx)
{
    (void)x, (void)ctx;
    atomic_fetch_add(&finished, 1);
}

struct world {
    char dir[32];
    struct http_server *server;
};

static void
world_new(struct world *w, bool is_tls)
{
    static const struct http_route route = {
        .prefix = "/", .begin = limited_begin, .body = limited_body, .end = limited_end, .done = limited_done};
    cleanup(strbuf_done) struct strbuf certificate = {0}, key = {0};
    struct err err = {0};

    *w = (struct world){.dir = "/tmp/naru-cut-XXXXXX"};
    CHECK(mkdtemp(w->dir) != NULL);
    if (is_tls) {
        cleanup_free char *command = text_format(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost "
            "-addext subjectAltName=IP:127.0.0.1 -keyout %s/key -out %s/crt 2>/dev/null", w->dir, w->dir);
        cleanup_free char *said = check_shell(command), *crt = text_format("%s/crt", w->dir),
                          *pem = text_format("%s/key", w->dir);
        CHECK(file_read(crt, 65536, &certificate, &err) && file_read(pem, 65536, &key, &err));
    }
    const struct http_tls tls = {strbuf_cstr(&certificate), strbuf_cstr(&key)};
    w->server = http_server_start_tls("127.0.0.1", 0, is_tls ? &tls : NULL, &route, 1, &err);
    CHECK_TEXT(err.message, "");
    atomic_store(&received, 0);
    atomic_store(&ended, 0);
    atomic_store(&finished, 0);
}

static void
world_end(struct world *w)
{
    struct err err = {0};

    http_server_stop(w->server);
    CHECK(file_remove_tree(w->dir, &err));
}
#define WORLD(w, is_tls)               \
    cleanup(world_end) struct world w; \
    world_new(&w, is_tls)

/* What curl says, and the status behind it. */
static char *
curl(const struct world *w, const char *scheme, const char *how)
{
    cleanup_free char *command = text_format(
        "head -c 80000000 /dev/zero > %s/large; curl -sk -m 20 -w ' %%{http_code} %%header{x-why}' %s %s://127.0.0.1:%u/x 2>&1",
        w->dir, how, scheme, http_server_port(w->server));
    cleanup_free char *placed = text_format("cd %s; %s", w->dir, command);
    return check_shell(placed);
}

static void
expect_refusal(const struct world *w, const char *scheme, const char *how)
{
    cleanup_free char *said = curl(w, scheme, how);

    CHECK(str_starts(str_of(said), STR(SAID " 403")));
    CHECK(atomic_load(&received) < ENOUGH + 100000); /* the rest was not taken, at least not by the route */
    CHECK_EQ(atomic_load(&ended), 0);
    atomic_store(&received, 0);
}

TEST(curl_hears_why_in_the_middle_of_a_large_body)
{
    WORLD(w, false);

    expect_refusal(&w, "http", "-T large");
    expect_refusal(&w, "http", "-T large -H 'Transfer-Encoding: chunked'");
    expect_refusal(&w, "http", "-T large -H 'Expect:'");
}

TEST(curl_hears_why_over_tls)
{
    WORLD(w, true);

    expect_refusal(&w, "https", "-T large");
    expect_refusal(&w, "https", "-T large -H 'Transfer-Encoding: chunked'");
}

static int
connect_raw(const struct world *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)http_server_port(w->server))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    return fd;
}

static void
send_zeroes(int fd, size_t size)
{
    cleanup_free char *zeroes = mem_new(size);

    for (size_t at = 0; at < size;) {
        const ssize_t n = send(fd, zeroes + at, size - at, MSG_NOSIGNAL);
        CHECK(n > 0);
        at += (size_t)n;
    }
}

/* Up to the end of the stream; a reset is none. */
static void
read_all(int fd, struct strbuf *out)
{
    ssize_t n;

    do {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        CHECK(poll(&p, 1, 10000) == 1);
        strbuf_reserve(out, 4096);
        n = recv(fd, out->at + out->len, 4096, 0);
        CHECK(n >= 0);
        out->len += (size_t)n;
    } while (n > 0);
}

/* A gigabyte is announced, and a client that waits has its answer after a piece of it. */
static void
expect_whole_answer(const struct world *w, const char *path)
{
    cleanup_close int fd = connect_raw(w);
    cleanup(strbuf_done) struct strbuf got = {0};
    cleanup_free char *head = text_format("PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", path);

    atomic_store(&received, 0);
    CHECK(send(fd, head, strlen(head), MSG_NOSIGNAL) == (ssize_t)strlen(head));
    send_zeroes(fd, ENOUGH + 65536);
    read_all(fd, &got);
    CHECK(str_starts(strbuf_str(&got), STR("HTTP/1.1 403 Forbidden\r\n")));
    CHECK(str_find(strbuf_str(&got), STR("X-Why: full\r\n")) > 0);
    CHECK(str_find(strbuf_str(&got), STR("Connection: close\r\n")) > 0);
    CHECK(str_ends(strbuf_str(&got), STR("\r\n\r\n" SAID)));
    send_zeroes(fd, 100000); /* it still reads, for a moment: no reset */
}

TEST(the_answer_does_not_wait_for_the_rest)
{
    WORLD(w, false);

    expect_whole_answer(&w, "/x");
    expect_whole_answer(&w, "/buffer"); /* as the AWS door answers */
}

/* Whoever has heard the answer may come again at once, on another connection. */
TEST(what_a_request_holds_is_free_when_its_early_answer_is_out)
{
    WORLD(w, false);
    cleanup_close int fd = connect_raw(&w);
    cleanup(strbuf_done) struct strbuf got = {0};
    static const char head[] = "PUT /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n";

    CHECK(send(fd, head, sizeof head - 1, MSG_NOSIGNAL) == sizeof head - 1);
    read_all(fd, &got); /* and it goes on waiting for us to close */
    CHECK(str_starts(strbuf_str(&got), STR("HTTP/1.1 416 ")));
    CHECK_EQ(atomic_load(&finished), 1);
}

/* Until `end` has come. */
static void
read_until(int fd, const char *end, struct strbuf *out)
{
    while (str_find(strbuf_str(out), str_of(end)) < 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        CHECK(poll(&p, 1, 10000) == 1);
        strbuf_reserve(out, 4096);
        const ssize_t n = recv(fd, out->at + out->len, 4096, 0);
        CHECK(n > 0);
        out->len += (size_t)n;
    }
}

/* A body that soon ends is read to its end, and the connection stays. */
TEST(a_connection_with_little_left_stays)
{
    WORLD(w, false);
    cleanup_close int fd = connect_raw(&w);
    cleanup(strbuf_done) struct strbuf got = {0};
    static const char head[] = "PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n",
                      next[] = "GET /y HTTP/1.1\r\nHost: x\r\n\r\n";

    CHECK(send(fd, head, sizeof head - 1, MSG_NOSIGNAL) == sizeof head - 1);
    send_zeroes(fd, 500000);
    read_until(fd, SAID, &got);
    CHECK(str_starts(strbuf_str(&got), STR("HTTP/1.1 403 Forbidden\r\n")));
    CHECK(send(fd, next, sizeof next - 1, MSG_NOSIGNAL) == sizeof next - 1);
    read_until(fd, "\r\n\r\nwhole", &got);
}
