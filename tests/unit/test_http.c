/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "io/http_client.h"
#include "io/http_server.h"

#define MIB ((size_t)1024 * 1024)

/* --- what the server under test does --- */

static atomic_int begun, ended, finished;

static void
count_begin(struct http_exchange *x, void *ctx)
{
    (void)x;
    (void)ctx;
    atomic_fetch_add(&begun, 1);
}

static void
count_done(struct http_exchange *x, void *ctx)
{
    (void)x;
    (void)ctx;
    atomic_fetch_add(&finished, 1);
}

/* Tells what it saw of the request. */
static void
echo_end(struct http_exchange *x, void *ctx)
{
    char *size = arena_format(&x->arena, "%lld", (long long)x->body_size);
    const struct http_header headers[] = {{"X-Path", arena_cstr(&x->arena, x->path)},
                                          {"X-Query", arena_cstr(&x->arena, x->query)},
                                          {"X-Method", arena_cstr(&x->arena, x->method)},
                                          {"X-Peer", arena_cstr(&x->arena, x->peer)},
                                          {"X-Size", size},
                                          {"X-Token", http_header_get(x, "tOkEn").at == NULL
                                                          ? "none"
                                                          : http_header_get(x, "tOkEn").at},
                                          {NULL, NULL}};

    (void)ctx;
    atomic_fetch_add(&ended, 1);
    CHECK_EQ(strlen(x->request_id), 36);
    http_reply(x, 200, headers, x->body);
}

static void
refuse_in_words(struct http_exchange *x, int status, const char *why, void *ctx)
{
    static const struct http_header headers[] = {{"Content-Type", "text/words"}, {NULL, NULL}};

    (void)ctx;
    http_reply(x, status, headers, str_of(arena_format(&x->arena, "no: %s", why)));
}

struct digest {
    struct sha256 *hash;
    size_t size, pieces;
};

static void
hash_begin(struct http_exchange *x, void *ctx)
{
    struct digest *d = arena_alloc(&x->arena, sizeof(*d));

    (void)ctx;
    d->hash = sha256_new();
    x->state = d;
}

static void
hash_body(struct http_exchange *x, struct str data, void *ctx)
{
    struct digest *d = x->state;

    (void)ctx;
    sha256_add(d->hash, data.at, data.len);
    d->size += data.len;
    d->pieces++;
}

static void
hash_end(struct http_exchange *x, void *ctx)
{
    struct digest *d = x->state;
    unsigned char bytes[SHA256_LEN];
    char hex[SHA256_HEX + 1];

    (void)ctx;
    atomic_fetch_add(&ended, 1);
    sha256_finish(d->hash, bytes);
    hex_encode(bytes, sizeof(bytes), hex);
    http_reply(x, 201, NULL, str_of(arena_format(&x->arena, "%zu %s", d->size, hex)));
}

static void
hash_done(struct http_exchange *x, void *ctx)
{
    struct digest *d = x->state;

    (void)ctx;
    sha256_free(d->hash);
    atomic_fetch_add(&finished, 1);
}

static void
refuse_begin(struct http_exchange *x, void *ctx)
{
    (void)ctx;
    CHECK(!http_has_replied(x));
    http_reply(x, 401, NULL, STR("no"));
    CHECK(http_has_replied(x));
}

static void
never_body(struct http_exchange *x, struct str data, void *ctx)
{
    (void)x;
    (void)data;
    (void)ctx;
    check_fail(__FILE__, __LINE__, "body() after a reply");
}

static void
never_end(struct http_exchange *x, void *ctx)
{
    (void)x;
    (void)ctx;
    check_fail(__FILE__, __LINE__, "end() after a reply");
}

static void
silent_end(struct http_exchange *x, void *ctx)
{
    (void)x;
    (void)ctx;
}

static int
patterned_file(size_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    cleanup(strbuf_done) struct strbuf text = {0};

    for (size_t at = 0; at < size; at += 10)
        strbuf_addf(&text, "%09zu\n", at);
    CHECK(fd >= 0 && write(fd, text.at, text.len) == (ssize_t)text.len);
    return fd;
}

static void
file_end(struct http_exchange *x, void *ctx)
{
    (void)ctx;
    if (str_is(x->method, "HEAD"))
        http_reply_file(x, 200, NULL, -1, 0, 3000000);
    else if (str_is(x->query, "part"))
        http_reply_file(x, 206, NULL, patterned_file(100), 20, 25);
    else if (str_is(x->query, "empty"))
        http_reply_file(x, 200, NULL, patterned_file(10), 10, 0);
    else
        http_reply_file(x, 200, NULL, patterned_file(3000000), 0, 3000000);
}

struct ticker {
    int left;
    bool aborts;
};

static ptrdiff_t
tick(void *arg, char *buffer, size_t size)
{
    struct ticker *t = arg;

    CHECK(size >= 16);
    if (t->left-- == 0)
        return t->aborts ? -1 : 0;
    clock_sleep_ms(20);
    return snprintf(buffer, size, "tick %d\n", t->left);
}

static void
ticker_free(void *arg)
{
    atomic_fetch_add(&finished, 1);
    free(arg);
}

static void
stream_end(struct http_exchange *x, void *ctx)
{
    struct ticker *t = mem_new(sizeof(*t));

    (void)ctx;
    t->left = str_is(x->query, "long") ? 5000 : 5;
    t->aborts = str_is(x->query, "abort");
    http_reply_stream(x, 200, NULL, tick, ticker_free, t);
}

static atomic_int held;
static atomic_bool is_released;

static void
held_end(struct http_exchange *x, void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&held, 1);
    while (!atomic_load(&is_released))
        clock_sleep_ms(1);
    http_reply(x, 200, NULL, STR("done"));
}

static const struct http_route routes[] = {
    {.prefix = "/", .begin = count_begin, .end = echo_end, .done = count_done},
    {.prefix = "/small", .body_limit = 100, .end = echo_end},
    {.prefix = "/worded", .body_limit = 100, .end = echo_end, .refuse = refuse_in_words},
    {.prefix = "/hash/", .begin = hash_begin, .body = hash_body, .end = hash_end, .done = hash_done},
    {.prefix = "/refuse", .begin = refuse_begin, .body = never_body, .end = never_end,
     .done = count_done},
    {.prefix = "/silent", .end = silent_end},
    {.prefix = "/file", .end = file_end},
    {.prefix = "/stream", .end = stream_end},
    {.prefix = "/held", .end = held_end},
};

/* --- the world of a test --- */

struct world {
    struct http_server *server;
    struct http_client *client;
    struct http_answer answer;
    struct err err;
    char url[256];
};

static struct world
world_new(void)
{
    struct world w = {0};

    w.server = http_server_start("127.0.0.1", 0, routes, ARRAY_COUNT(routes), &w.err);
    if (w.server == NULL)
        check_fail(__FILE__, __LINE__, "%s", w.err.message);
    w.client = http_client_new();
    return w;
}

static void
world_done(struct world *w)
{
    http_client_free(w->client);
    http_server_stop(w->server);
    http_answer_done(&w->answer);
}

static const char *
url(struct world *w, const char *path)
{
    (void)snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u%s", http_server_port(w->server),
                   path);
    return w->url;
}

static void
call(struct world *w, struct http_call c)
{
    http_answer_done(&w->answer);
    if (!http_client_call(w->client, &c, &w->answer, &w->err))
        check_fail(__FILE__, __LINE__, "%s", w->err.message);
}

static const char *
header(struct world *w, const char *name)
{
    static char value[512];

    CHECK(text_copy(value, sizeof(value), http_answer_header(&w->answer, name)));
    return value;
}

static void
wait_for(atomic_int *counter, int want)
{
    for (int i = 0; i < 500 * CHECK_PATIENCE && atomic_load(counter) < want; i++)
        clock_sleep_ms(10);
    CHECK_EQ(atomic_load(counter), want);
}

/* A socket of our own, for what curl is too polite to send. */
static int
connect_raw(struct world *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)http_server_port(w->server))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    return fd;
}

static void
send_text(int fd, const char *text)
{
    CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* Reads until `until` has come, or the end when it is NULL; gives up after 10 s. */
static void
read_until(int fd, const char *until, struct strbuf *out)
{
    while (until == NULL || str_find(strbuf_str(out), str_of(until)) < 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        CHECK(poll(&p, 1, 10000) == 1);
        strbuf_reserve(out, 65536);
        n = recv(fd, out->at + out->len, 65536, 0);
        CHECK(n >= 0);
        if (n == 0) {
            CHECK(until == NULL);
            return;
        }
        out->len += (size_t)n;
        out->at[out->len] = '\0';
    }
}

static void
exchange_raw(struct world *w, const char *request, struct strbuf *out)
{
    cleanup_close int fd = connect_raw(w);

    send_text(fd, request);
    read_until(fd, NULL, out);
}

static char *
large_text(size_t size)
{
    char *text = mem_new(size + 1);

    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + i * 7 % 26);
    return text;
}

/* --- tests --- */

TEST(a_request_arrives_as_it_was_sent)
{
    cleanup(world_done) struct world w = world_new();
    const char *const headers[] = {"ToKen: a  b ", NULL};

    call(&w, (struct http_call){.method = "POST",
                                .url = url(&w, "/a%2Fb/../%7e?x=%20+y&z="),
                                .body = STR("payload"),
                                .headers = headers});
    CHECK_EQ(w.answer.status, 200);
    CHECK_TEXT(strbuf_cstr(&w.answer.body), "payload");
    CHECK_TEXT(header(&w, "x-path"), "/a%2Fb/../%7e");
    CHECK_TEXT(header(&w, "x-query"), "x=%20+y&z=");
    CHECK_TEXT(header(&w, "x-method"), "POST");
    CHECK_TEXT(header(&w, "x-peer"), "127.0.0.1");
    CHECK_TEXT(header(&w, "x-size"), "7");
    CHECK_TEXT(header(&w, "x-token"), "a  b");
    CHECK_TEXT(header(&w, "content-length"), "7");
    CHECK(strstr(header(&w, "date"), " GMT") != NULL);
    CHECK(http_answer_header(&w.answer, "x-none").at == NULL);
}

TEST(methods_without_a_body_work)
{
    static const char *const methods[] = {"GET", "DELETE", "POST", "PUT", "PATCH", "OPTIONS"};
    cleanup(world_done) struct world w = world_new();

    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        call(&w, (struct http_call){.method = methods[i], .url = url(&w, "/x")});
        CHECK_EQ(w.answer.status, 200);
        CHECK_TEXT(header(&w, "x-method"), methods[i]);
        CHECK_TEXT(header(&w, "x-size"), "0");
    }
    call(&w, (struct http_call){.method = "HEAD", .url = url(&w, "/x")});
    CHECK_EQ(w.answer.status, 200);
    CHECK_TEXT(header(&w, "x-method"), "HEAD");
    wait_for(&finished, 7);
    CHECK_EQ(begun, 7);
    CHECK_EQ(ended, 7);
}

TEST(the_longest_prefix_wins_and_silence_is_an_error)
{
    cleanup(world_done) struct world w = world_new();

    call(&w, (struct http_call){.method = "POST", .url = url(&w, "/hash/x"), .body = STR("abc")});
    CHECK_EQ(w.answer.status, 201);
    CHECK_TEXT(strbuf_cstr(&w.answer.body),
               "3 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    call(&w, (struct http_call){.method = "GET", .url = url(&w, "/hash")});
    CHECK_EQ(w.answer.status, 200);
    call(&w, (struct http_call){.method = "GET", .url = url(&w, "/silent")});
    CHECK_EQ(w.answer.status, 500);
}

TEST(large_bodies_stream_through)
{
    cleanup(world_done) struct world w = world_new();
    size_t size = 20 * MIB + 3;
    cleanup_free char *text = large_text(size), *want = NULL;
    const char *const chunked[] = {"Transfer-Encoding: chunked", NULL};
    const char *const expect[] = {"Expect: 100-continue", NULL};
    char hex[SHA256_HEX + 1];

    sha256_hex((struct str){text, size}, hex);
    want = text_format("%zu %s", size, hex);
    call(&w, (struct http_call){.method = "PUT", .url = url(&w, "/hash/x"), .body = {text, size}});
    CHECK_TEXT(strbuf_cstr(&w.answer.body), want);
    call(&w, (struct http_call){.method = "POST", .url = url(&w, "/hash/x"), .body = {text, size},
                                .headers = chunked});
    CHECK_TEXT(strbuf_cstr(&w.answer.body), want);
    call(&w, (struct http_call){.method = "PATCH", .url = url(&w, "/hash/x"), .body = {text, size},
                                .headers = expect});
    CHECK_TEXT(strbuf_cstr(&w.answer.body), want);
}

TEST(a_collected_body_has_a_limit)
{
    cleanup(world_done) struct world w = world_new();
    cleanup_free char *text = large_text(3 * MIB);
    const char *const chunked[] = {"Transfer-Encoding: chunked", NULL};

    call(&w, (struct http_call){.method = "POST", .url = url(&w, "/small"), .body = {text, 100}});
    CHECK_EQ(w.answer.status, 200);
    call(&w, (struct http_call){.method = "POST", .url = url(&w, "/small"), .body = {text, 101}});
    CHECK_EQ(w.answer.status, 413);
    call(&w, (struct http_call){.method = "POST", .url = url(&w, "/small"), .body = {text, 100000},
                                .headers = chunked});
    CHECK_EQ(w.answer.status, 413);
    call(&w, (struct http_call){.method = "POST", .url = url(&w, "/"), .body = {text, MIB}});
    CHECK_EQ(w.answer.status, 200);
    CHECK_EQ(w.answer.body.len, MIB);
    call(&w, (struct http_call){.method = "POST", .url = url(&w, "/"), .body = {text, 3 * MIB}});
    CHECK_EQ(w.answer.status, 413);
}

TEST(a_route_refuses_in_its_own_words)
{
    cleanup(world_done) struct world w = world_new();
    cleanup_free char *text = large_text(3 * MIB);
    const char *const chunked[] = {"Transfer-Encoding: chunked", NULL};

    call(&w, (struct http_call){.method = "POST", .url = url(&w, "/worded"), .body = {text, 101}});
    CHECK_EQ(w.answer.status, 413);
    CHECK_TEXT(strbuf_cstr(&w.answer.body), "no: The body is too large.");
    CHECK_TEXT(header(&w, "content-type"), "text/words");
    call(&w, (struct http_call){.method = "POST", .url = url(&w, "/worded"), .body = {text, 3 * MIB}});
    CHECK_TEXT(strbuf_cstr(&w.answer.body), "no: The body is too large.");
    call(&w, (struct http_call){.method = "POST", .url = url(&w, "/worded"), .body = {text, 3 * MIB},
                                .headers = chunked});
    CHECK_TEXT(strbuf_cstr(&w.answer.body), "no: The body is too large.");
}

TEST(an_early_reply_keeps_the_connection_when_the_body_is_small)
{
    cleanup(world_done) struct world w = world_new();
    cleanup_close int fd = connect_raw(&w);
    cleanup(strbuf_done) struct strbuf got = {0};

    send_text(fd, "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
    clock_sleep_ms(50);
    send_text(fd, "cde");
    read_until(fd, "\r\n\r\nno", &got);
    CHECK(str_starts(strbuf_str(&got), STR("HTTP/1.1 401 ")));
    strbuf_clear(&got);
    send_text(fd, "GET /again HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    read_until(fd, NULL, &got);
    CHECK(str_starts(strbuf_str(&got), STR("HTTP/1.1 200 ")));
    CHECK(str_find(strbuf_str(&got), STR("X-Path: /again\r\n")) > 0);
}

TEST(an_early_reply_reaches_a_client_that_sends_much)
{
    cleanup(world_done) struct world w = world_new();
    size_t size = 30 * MIB;
    cleanup_free char *text = large_text(size);
    const char *const expect[] = {"Expect: 100-continue", NULL};
    const char *const chunked[] = {"Transfer-Encoding: chunked", NULL};

    for (int i = 0; i < 3; i++) {
        call(&w, (struct http_call){.method = "PUT", .url = url(&w, "/refuse"),
                                    .body = {text, size}});
        CHECK_EQ(w.answer.status, 401);
        CHECK_TEXT(strbuf_cstr(&w.answer.body), "no");
    }
    call(&w, (struct http_call){.method = "PUT", .url = url(&w, "/refuse"), .body = {text, size},
                                .headers = expect});
    CHECK_EQ(w.answer.status, 401);
    call(&w, (struct http_call){.method = "PUT", .url = url(&w, "/refuse"), .body = {text, size},
                                .headers = chunked});
    CHECK_EQ(w.answer.status, 401);
    wait_for(&finished, 5);
}

TEST(expect_gets_its_continue)
{
    cleanup(world_done) struct world w = world_new();
    cleanup_close int fd = connect_raw(&w);
    cleanup(strbuf_done) struct strbuf got = {0};

    send_text(fd, "POST /hash/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                  "Content-Length: 3\r\nConnection: close\r\n\r\n");
    read_until(fd, "HTTP/1.1 100 Continue\r\n\r\n", &got);
    strbuf_clear(&got);
    send_text(fd, "abc");
    read_until(fd, NULL, &got);
    CHECK(str_starts(strbuf_str(&got), STR("HTTP/1.1 201 ")));
}

TEST(files_are_sent_whole_in_part_and_as_head)
{
    cleanup(world_done) struct world w = world_new();

    call(&w, (struct http_call){.method = "GET", .url = url(&w, "/file")});
    CHECK_EQ(w.answer.body.len, 3000000);
    CHECK(str_ends(strbuf_str(&w.answer.body), STR("002999990\n")));
    call(&w, (struct http_call){.method = "GET", .url = url(&w, "/file?part")});
    CHECK_EQ(w.answer.status, 206);
    CHECK_TEXT(strbuf_cstr(&w.answer.body), "000000020\n000000030\n00000");
    call(&w, (struct http_call){.method = "GET", .url = url(&w, "/file?empty")});
    CHECK_EQ(w.answer.body.len, 0);
    CHECK_TEXT(header(&w, "content-length"), "0");
    call(&w, (struct http_call){.method = "HEAD", .url = url(&w, "/file")});
    CHECK_EQ(w.answer.status, 200);
    CHECK_EQ(w.answer.body.len, 0);
    CHECK_TEXT(header(&w, "content-length"), "3000000");
    call(&w, (struct http_call){.method = "GET", .url = url(&w, "/x")}); /* the connection is sane */
    CHECK_EQ(w.answer.status, 200);
}

TEST(a_head_of_a_page_keeps_its_length_and_drops_the_body)
{
    cleanup(world_done) struct world w = world_new();
    cleanup(strbuf_done) struct strbuf got = {0};

    atomic_store(&is_released, true);
    exchange_raw(&w, "HEAD /held HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &got);
    CHECK(str_find(strbuf_str(&got), STR("Content-Length: 4\r\n")) > 0);
    CHECK(str_ends(strbuf_str(&got), STR("\r\n\r\n")));
}

struct listener {
    size_t pieces, limit;
};

static bool
on_piece(void *arg, struct str data)
{
    struct listener *l = arg;

    (void)data;
    return ++l->pieces < l->limit;
}

TEST(a_stream_arrives_piece_by_piece)
{
    cleanup(world_done) struct world w = world_new();
    struct listener l = {.limit = 100};

    call(&w, (struct http_call){.method = "GET", .url = url(&w, "/stream")});
    CHECK_TEXT(strbuf_cstr(&w.answer.body), "tick 4\ntick 3\ntick 2\ntick 1\ntick 0\n");
    call(&w, (struct http_call){.method = "GET", .url = url(&w, "/stream"), .on_data = on_piece,
                                .arg = &l});
    CHECK(l.pieces >= 3); /* not saved up to the end */
    CHECK_EQ(w.answer.body.len, 0);
    wait_for(&finished, 2);
}

TEST(a_broken_stream_is_seen_as_broken)
{
    cleanup(world_done) struct world w = world_new();
    struct http_call c = {.method = "GET", .url = url(&w, "/stream?abort")};

    CHECK(!http_client_call(w.client, &c, &w.answer, &w.err));
    CHECK(strstr(w.err.message, "/stream?abort: ") != NULL);
    wait_for(&finished, 1);
}

TEST(a_listener_may_leave_early)
{
    cleanup(world_done) struct world w = world_new();
    struct listener l = {.limit = 2};
    int64_t start_ms = clock_monotonic_ms();

    call(&w, (struct http_call){.method = "GET", .url = url(&w, "/stream?long"),
                                .on_data = on_piece, .arg = &l});
    CHECK_EQ(w.answer.status, 200);
    CHECK(clock_monotonic_ms() - start_ms < 2000 * CHECK_PATIENCE);
    wait_for(&finished, 1); /* the server notices and stops producing */
}

static bool
always(void *arg)
{
    (void)arg;
    return true;
}

TEST(a_call_can_be_given_up_in_three_ways)
{
    cleanup(world_done) struct world w = world_new();
    struct http_call c = {.method = "GET", .url = url(&w, "/held"), .timeout_ms = 100};

    CHECK(!http_client_call(w.client, &c, &w.answer, &w.err));
    CHECK_EQ(w.err.code, ERR_TIMEOUT);
    c.timeout_ms = 0;
    c.idle_timeout_ms = 100;
    CHECK(!http_client_call(w.client, &c, &w.answer, &w.err));
    CHECK_EQ(w.err.code, ERR_TIMEOUT);
    CHECK(strstr(w.err.message, "no byte for 100 ms") != NULL);
    c.idle_timeout_ms = 0;
    c.is_cancelled = always;
    CHECK(!http_client_call(w.client, &c, &w.answer, &w.err));
    CHECK_EQ(w.err.code, ERR_TIMEOUT);
    c.is_cancelled = NULL;
    atomic_store(&is_released, true);
    CHECK(http_client_call(w.client, &c, &w.answer, &w.err));
    CHECK_TEXT(strbuf_cstr(&w.answer.body), "done");
}

TEST(what_cannot_be_reached_or_is_too_large_is_an_error)
{
    cleanup(world_done) struct world w = world_new();
    struct http_call c = {.method = "GET", .url = url(&w, "/file"), .limit = 1000};

    CHECK(!http_client_call(w.client, &c, &w.answer, &w.err));
    CHECK_EQ(w.err.code, ERR_LIMIT_EXCEEDED);
    c.url = "http://127.0.0.1:1/";
    CHECK(!http_client_call(w.client, &c, &w.answer, &w.err));
    CHECK_EQ(w.err.code, ERR_UNAVAILABLE);
    c.url = "http://localhost/";
    c.unix_socket = "/no/such/socket";
    CHECK(!http_client_call(w.client, &c, &w.answer, &w.err));
    CHECK_EQ(w.err.code, ERR_UNAVAILABLE);
    c.unix_socket = NULL;
    c.url = "ftp://localhost/";
    CHECK(!http_client_call(w.client, &c, &w.answer, &w.err));
}

TEST(a_huge_head_is_refused)
{
    cleanup(world_done) struct world w = world_new();
    cleanup_free char *long_text = large_text(100000), *request = NULL, *target = NULL;
    cleanup(strbuf_done) struct strbuf got = {0}, other = {0};

    request = text_format("GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", long_text);
    exchange_raw(&w, request, &got);
    CHECK(str_starts(strbuf_str(&got), STR("HTTP/1.1 431 ")));
    target = text_format("GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", long_text);
    exchange_raw(&w, target, &other);
    CHECK(str_starts(strbuf_str(&other), STR("HTTP/1.1 4")));
    CHECK_EQ(begun, 0);
}

TEST(what_is_not_http_is_refused_and_forgotten)
{
    static const char *const broken[] = {
        "GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", /* no Host */
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        /* two readings of where the body ends: behind a proxy, the way to smuggle a request in */
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 30\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };
    cleanup(world_done) struct world w = world_new();

    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        cleanup(strbuf_done) struct strbuf got = {0};

        exchange_raw(&w, broken[i], &got);
        if (got.len > 0 && !str_starts(strbuf_str(&got), STR("HTTP/1.1 4")))
            check_fail(__FILE__, __LINE__, "%zu: %s", i, strbuf_cstr(&got));
    }
    CHECK_EQ(ended, 0);
    wait_for(&finished, atomic_load(&begun));
}

TEST(two_requests_in_one_packet_get_two_answers)
{
    cleanup(world_done) struct world w = world_new();
    cleanup(strbuf_done) struct strbuf got = {0};

    exchange_raw(&w,
                 "POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                 "GET /two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &got);
    CHECK(str_find(strbuf_str(&got), STR("X-Path: /one\r\n")) > 0);
    CHECK(str_find(strbuf_str(&got), STR("abcHTTP/1.1 200 ")) > 0);
    CHECK(str_find(strbuf_str(&got), STR("X-Path: /two\r\n")) > 0);
}

TEST(a_client_that_leaves_half_way_is_noticed)
{
    cleanup(world_done) struct world w = world_new();
    int fd = connect_raw(&w);

    send_text(fd, "POST /hash/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
    clock_sleep_ms(50);
    close(fd);
    wait_for(&finished, 1); /* done() without end() */
    CHECK_EQ(ended, 0);
}

TEST(an_absolute_target_is_understood)
{
    cleanup(world_done) struct world w = world_new();
    cleanup(strbuf_done) struct strbuf got = {0};

    exchange_raw(&w, "GET http://host:80/p%41?q=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                 &got);
    CHECK(str_find(strbuf_str(&got), STR("X-Path: /p%41\r\nX-Query: q=1\r\n")) > 0);
}

static void
collect_header(void *arg, struct str name, struct str value)
{
    strbuf_addf(arg, STR_FMT "=" STR_FMT ";", STR_ARG(name), STR_ARG(value));
}

static void
list_end(struct http_exchange *x, void *ctx)
{
    cleanup(strbuf_done) struct strbuf list = {0};

    (void)ctx;
    http_header_each(x, collect_header, &list);
    http_reply(x, 200, NULL, strbuf_str(&list));
}

TEST(all_headers_are_seen_in_order)
{
    const struct http_route list = {.prefix = "/", .end = list_end};
    struct world w = {0};
    cleanup(strbuf_done) struct strbuf got = {0};

    w.server = http_server_start("::1", 0, &list, 1, &w.err);
    if (w.server == NULL) /* a machine without IPv6 */
        w.server = http_server_start("127.0.0.1", 0, &list, 1, &w.err);
    CHECK(w.server != NULL);
    http_server_stop(w.server);
    w.server = http_server_start("0.0.0.0", 0, &list, 1, &w.err);
    CHECK(w.server != NULL);
    exchange_raw(&w, "GET / HTTP/1.1\r\nHost: x\r\nB: 1\r\nA:  2 \r\nb: 3\r\nConnection: close\r\n\r\n",
                 &got);
    CHECK(str_ends(strbuf_str(&got), STR("\r\n\r\nHost=x;B=1;A=2;b=3;Connection=close;")));
    http_server_stop(w.server);
}

TEST(a_taken_port_is_named)
{
    cleanup(world_done) struct world w = world_new();

    CHECK(http_server_start("127.0.0.1", http_server_port(w.server), routes, 1, &w.err) == NULL);
    CHECK(strstr(w.err.message, "Address already in use") != NULL);
    CHECK(http_server_start("localhost.invalid", 0, routes, 1, &w.err) == NULL);
}

static void *
call_held(void *arg)
{
    struct world *w = arg;

    call(w, (struct http_call){.method = "GET", .url = w->url});
    return NULL;
}

static atomic_bool has_stopped;

static void *
stop_server(void *arg)
{
    http_server_stop(arg);
    atomic_store(&has_stopped, true);
    return NULL;
}

TEST(stopping_waits_for_running_requests)
{
    struct world w = world_new();
    cleanup_close int kept = connect_raw(&w);
    cleanup(strbuf_done) struct strbuf got = {0};
    pthread_t thread, stopper;

    (void)url(&w, "/held");
    CHECK(pthread_create(&thread, NULL, call_held, &w) == 0);
    wait_for(&held, 1);
    send_text(kept, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    read_until(kept, "\r\n\r\n", &got);
    CHECK(pthread_create(&stopper, NULL, stop_server, w.server) == 0);
    do { /* what comes meanwhile on an old connection hears so, in the route's words */
        strbuf_clear(&got);
        send_text(kept, "GET /worded HTTP/1.1\r\nHost: x\r\n\r\n");
        read_until(kept, "\r\n\r\n", &got);
    } while (str_starts(strbuf_str(&got), STR("HTTP/1.1 200 ")));
    read_until(kept, NULL, &got);
    CHECK(str_starts(strbuf_str(&got), STR("HTTP/1.1 503 ")));
    CHECK(str_find(strbuf_str(&got), STR("Connection: close\r\n")) > 0);
    CHECK(str_ends(strbuf_str(&got), STR("no: The server is shutting down.")));
    CHECK(!atomic_load(&has_stopped));
    atomic_store(&is_released, true);
    pthread_join(stopper, NULL);
    pthread_join(thread, NULL);
    CHECK_TEXT(strbuf_cstr(&w.answer.body), "done");
    http_client_free(w.client);
    http_answer_done(&w.answer);
}

#define CLIENTS 16
#define CALLS 50

static void *
call_often(void *arg)
{
    struct world w = *(struct world *)arg;

    w.client = http_client_new();
    for (int i = 0; i < CALLS; i++) {
        cleanup_free char *text = text_format("%d", i);

        call(&w, (struct http_call){.method = "POST", .url = url(&w, "/"), .body = str_of(text)});
        CHECK_TEXT(strbuf_cstr(&w.answer.body), text);
    }
    http_answer_done(&w.answer);
    http_client_free(w.client);
    return NULL;
}

TEST(many_clients_are_served_at_once)
{
    cleanup(world_done) struct world w = world_new();
    pthread_t threads[CLIENTS];

    for (size_t i = 0; i < CLIENTS; i++)
        CHECK(pthread_create(&threads[i], NULL, call_often, &w) == 0);
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    wait_for(&finished, CLIENTS * CALLS);
}

/* A one-shot server on a unix socket, as Docker has one. */
static void *
serve_unix(void *arg)
{
    int listener = *(int *)arg, fd = accept(listener, NULL, NULL);
    cleanup(strbuf_done) struct strbuf got = {0};

    CHECK(fd >= 0);
    read_until(fd, "\r\n\r\n", &got);
    CHECK(str_starts(strbuf_str(&got), STR("GET /v1.41/info HTTP/1.1\r\nHost: docker\r\n")));
    send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    close(fd);
    return NULL;
}

TEST(a_unix_socket_is_spoken_to)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct world w = {.client = http_client_new()};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_t thread;

    (void)snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/naru-test-http.%d", (int)getpid());
    CHECK(bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(listener, 1) == 0);
    CHECK(pthread_create(&thread, NULL, serve_unix, &listener) == 0);
    call(&w, (struct http_call){.method = "GET", .url = "http://docker/v1.41/info",
                                .unix_socket = at.sun_path});
    CHECK_TEXT(strbuf_cstr(&w.answer.body), "hi");
    pthread_join(thread, NULL);
    http_client_free(w.client);
    http_answer_done(&w.answer);
    close(listener);
    (void)unlink(at.sun_path);
}
