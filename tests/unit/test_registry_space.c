/* SPDX-License-Identifier: MIT */
/* test_registry_space.c - the quota: what counts, what is refused, what makes room. */
#include "registry_world.h"

static int
push_sized(struct world *w, char letter, size_t size)
{
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup(strbuf_done) struct strbuf bytes = {0};

    for (size_t i = 0; i < size; i++)
        strbuf_add_char(&bytes, letter);
    cleanup_free char *digest = digest_of(strbuf_str(&bytes));
    cleanup_free char *path = text_format("/v2/my-app/blobs/uploads/?digest=%s", digest);
    const int status = ask(w, "POST", path, strbuf_str(&bytes), NULL, NULL, &a);
    if (status != 201)
        CHECK_TEXT(error_code(&a), "DENIED");
    return status;
}

static void
set_quota(struct world *w, int64_t quota)
{
    struct err err = {0};

    CHECK(registry_set_quota(w->reg, quota, &err));
}

TEST(beyond_the_quota_a_push_is_refused_and_leaves_nothing)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct registry_gc gc;
    struct err err = {0};

    set_quota(&w, 10000);
    CHECK_EQ(push_sized(&w, 'a', 6000), 201);
    CHECK_EQ(push_sized(&w, 'b', 6000), 403);
    CHECK_EQ(files_in(&w, "blobs/uploads"), 0);
    CHECK_EQ(files_in(&w, "blobs/sha256"), 1);
    CHECK_EQ(push_sized(&w, 'c', 4000), 201);
    CHECK_EQ(push_sized(&w, 'd', 1), 403);
    CHECK_EQ(w.reg->used, 10000);
    /* A manifest is a blob like any other. */
    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/v1", STR("{\"schemaVersion\":2}"),
                 "Content-Type: application/vnd.test+json", NULL, &a),
             403);
    CHECK_TEXT(error_code(&a), "DENIED");
    CHECK_EQ(w.reg->used, 10000);
    /* Nobody needs them: a collection makes room. */
    CHECK(registry_collect(w.reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &err));
    CHECK_EQ(gc.bytes_removed, 10000);
    CHECK_EQ(w.reg->used, 0);
    CHECK_EQ(push_sized(&w, 'b', 6000), 201);
}

TEST(what_is_there_already_takes_no_room)
{
    WORLD(w);

    set_quota(&w, 10000);
    CHECK_EQ(push_sized(&w, 'a', 5000), 201);
    CHECK_EQ(push_sized(&w, 'a', 5000), 201); /* while it comes in, it needs its room */
    CHECK_EQ(w.reg->used, 5000);
    CHECK_EQ(push_sized(&w, 'b', 5000), 201);
    CHECK_EQ(push_sized(&w, 'b', 5000), 403);
    CHECK_EQ(w.reg->used, 10000);
}

TEST(what_comes_in_counts_and_what_is_given_up_does_not)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};

    set_quota(&w, 100);
    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
    cleanup_free char *location = text_dup(header(&a, "Location"));
    CHECK_EQ(ask(&w, "PATCH", location, STR("0123456789"), NULL, NULL, &a), 202);
    CHECK_EQ(w.reg->used, 10);
    CHECK_EQ(push_sized(&w, 'a', 91), 403);
    CHECK_EQ(ask(&w, "DELETE", location, (struct str){0}, NULL, NULL, &a), 204);
    CHECK_EQ(w.reg->used, 0);
    CHECK_EQ(push_sized(&w, 'a', 100), 201);
}

/* Sends that and reads until the connection ends. */
static void
say(struct world *w, const char *text, size_t zeroes, struct strbuf *out)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)w->port)};
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cleanup_free char *body = mem_new(zeroes + 1);
    ssize_t n = 1;

    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
    for (size_t at = 0; at < zeroes && n > 0; at += (size_t)n)
        n = send(fd, body + at, zeroes - at, MSG_NOSIGNAL);
    strbuf_clear(out);
    do {
        strbuf_reserve(out, 4096);
        n = recv(fd, out->at + out->len, 4096, 0);
        CHECK(n >= 0);
        out->len += (size_t)n;
    } while (n > 0);
}

static bool
says_full(const struct strbuf *answer)
{
    return str_starts(strbuf_str(answer), STR("HTTP/1.1 403 ")) &&
           str_find(strbuf_str(answer), STR("\"DENIED\"")) > 0 &&
           str_find(strbuf_str(answer), STR("has no room for more")) > 0;
}

TEST(who_finds_no_room_hears_it_before_all_is_sent)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup(strbuf_done) struct strbuf got = {0};

    set_quota(&w, 2000000);
    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
    /* Announced: not even a byte. */
    cleanup_free char *announced = text_format(
        "PATCH %s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: 3000000\r\nExpect: 100-continue\r\n\r\n",
        header(&a, "Location"), w.token);
    say(&w, announced, 0, &got);
    CHECK(says_full(&got));
    /* Not announced, as docker does it: when the room is spent. */
    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
    cleanup_free char *chunked = text_format(
        "PATCH %s HTTP/1.1\r\nHost: x\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n",
        header(&a, "Location"), w.token);
    say(&w, chunked, 2500000, &got);
    CHECK(says_full(&got));
    CHECK_EQ(files_in(&w, "blobs/uploads"), 0);
    CHECK_EQ(w.reg->used, 0);
    CHECK_EQ(push_sized(&w, 'a', 5000), 201);
}

TEST(a_restart_counts_what_lies_there)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};

    cleanup_free char *image = push_image(&w, "my-app", "v1", "content");
    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
    cleanup_free char *location = text_dup(header(&a, "Location"));
    CHECK_EQ(ask(&w, "PATCH", location, STR("0123456789"), NULL, NULL, &a), 202);
    const int64_t used = w.reg->used;
    CHECK(used > 300);
    world_close(&w);
    world_open(&w);
    set_quota(&w, 100000);
    CHECK_EQ(w.reg->used, used);
}

/* Many uploads at once write more between two looks of one of them than the disk has left. */
TEST(the_disk_is_looked_at_for_all_that_comes_in)
{
    WORLD(w);
    cleanup(strbuf_done) struct strbuf piece = {0};
    struct upload *uploads[3];
    struct err err = {0};

    while (piece.len < 1536 * 1024)
        strbuf_add_cstr(&piece, "sixteen bytes...");
    for (size_t i = 0; i < ARRAY_COUNT(uploads); i++) {
        CHECK(upload_start(w.reg, REGION, "my-app", "", &uploads[i], &err));
        CHECK(upload_add(w.reg, uploads[i], strbuf_str(&piece), &err));
        CHECK_EQ(w.reg->unlooked, i == 2 ? 0 : (int64_t)(piece.len * (i + 1)));
    }
    w.reg->disk_is_full = true; /* somebody saw it: so each piece looks, until it is not */
    CHECK(upload_add(w.reg, uploads[0], STR("more"), &err));
    CHECK(!w.reg->disk_is_full);
    CHECK_EQ(w.reg->unlooked, 0);
    CHECK(upload_add(w.reg, uploads[1], STR("more"), &err));
    CHECK_EQ(w.reg->unlooked, 4);
    for (size_t i = 0; i < ARRAY_COUNT(uploads); i++)
        upload_discard(w.reg, uploads[i]);
}
