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

/* ---- of one repository ---- */

static void
limit(struct world *w, const char *repository, int64_t bytes)
{
    struct err err = {0};
    CHECK(registry_quota_set(w->reg, REGION, repository, bytes, &err));
}

static int64_t
used(struct world *w, const char *repository)
{
    struct registry_quota quota;
    struct err err = {0};

    CHECK(registry_quota_get(w->reg, REGION, repository, &quota, &err));
    return quota.used;
}

static int
push_to(struct world *w, const char *repository, const char *bytes)
{
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *digest = digest_of(str_of(bytes));
    cleanup_free char *path = text_format("/v2/%s/blobs/uploads/?digest=%s", repository, digest);
    return ask(w, "POST", path, str_of(bytes), NULL, NULL, &a);
}

/* As if its pushes were long ago. */
static void
age_links(struct world *w)
{
    cleanup_free char *command = text_format("find %s/registry -path '*_layers/*' -exec touch -d '2 hours ago' {} +", w->dir);
    cleanup_free char *said = check_shell(command);
    CHECK_TEXT(said, "");
}

TEST(a_repository_has_a_quota_of_its_own)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *image = push_image(&w, "my-app", "v1", "0123456789"), *other = NULL;
    struct err err = {0};

    CHECK(registry_repository_create(w.reg, REGION, "other", NULL, &err));
    const int64_t one = used(&w, "my-app");
    CHECK(one > 300); /* manifest, config, layer */
    limit(&w, "my-app", one + 20);
    CHECK_EQ(push_to(&w, "my-app", "twenty-one bytes ...."), 403);
    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
    CHECK_EQ(push_to(&w, "other", "twenty-one bytes ...."), 201); /* which has none */
    CHECK_EQ(push_to(&w, "my-app", "twenty bytes in all."), 201);
    CHECK_EQ(used(&w, "my-app"), one + 20);
    CHECK_EQ(push_to(&w, "my-app", "0123456789"), 403); /* it needs its room while it comes in */
    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/v2", STR("{\"schemaVersion\":2}"),
                 "Content-Type: application/vnd.test+json", NULL, &a), 403);
    CHECK_TEXT(error_code(&a), "DENIED");
    CHECK(str_find(strbuf_str(&a.body), STR("'my-app' may keep")) > 0);
    /* What no manifest names counts for an hour; then there is room. */
    age_links(&w);
    CHECK_EQ(used(&w, "my-app"), one);
    CHECK_EQ(push_to(&w, "my-app", "again twenty bytes.."), 201);
    age_links(&w);
    CHECK(registry_image_delete(w.reg, REGION, "my-app", image, NULL, &err));
    CHECK_EQ(used(&w, "my-app"), 0);
    other = push_image(&w, "my-app", "v2", "9876543210");
    CHECK_EQ(used(&w, "my-app"), one);
    limit(&w, "my-app", 0);
    CHECK_EQ(push_to(&w, "my-app", "as many bytes as one likes to have here"), 201);
}

TEST(an_image_that_cannot_be_read_stops_no_push)
{
    REGISTRY(w);
    char one[REGISTRY_DIGEST_SIZE], two[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    CHECK(put_image(w.reg, "my-app", "v1", "one", one) && put_image(w.reg, "my-app", "v2", "two", two));
    age_links(&w);
    const int64_t both = used(&w, "my-app");
    limit(&w, "my-app", 10 * both);
    cleanup_free char *record = image_record_path(w.reg, REGION, "my-app", str_of(one)), *blob = blob_path(w.reg, str_of(two));
    CHECK(file_write_atomic(record, STR("{"), 0640, &err) && unlink(blob) == 0);
    quota_manifests_changed(w.reg, REGION, "my-app"); /* as after a start */
    CHECK_EQ(used(&w, "my-app"), both / 2); /* what the first one needs its manifest says */
    CHECK(put_image(w.reg, "my-app", "v1", "one", one) && put_image(w.reg, "my-app", "v2", "two", two));
    age_links(&w);
    CHECK_EQ(used(&w, "my-app"), both);
}

/* Who reckons has not the lock of those who delete: a record may go after it was listed. */
TEST(what_is_removed_while_it_is_reckoned_stops_no_push)
{
    REGISTRY(w);
    struct upload *u = NULL;
    struct err err = {0};

    cleanup_free char *listed_only =
        text_format("cd %s/registry/" REGION "/my-app && mkdir -p _manifests && ln -s gone _manifests/%064d", w.dir, 7);
    cleanup_free char *said = check_shell(listed_only);
    CHECK_TEXT(said, "");
    limit(&w, "my-app", 100);
    CHECK(upload_start(w.reg, REGION, "my-app", "", &u, &err));
    upload_discard(w.reg, u);
    CHECK_EQ(used(&w, "my-app"), 0);
}

struct late_put {
    struct registry *reg;
    char *manifest;
};

static void *
put_late(void *arg)
{
    const struct late_put *late = arg;
    const struct registry_put put = {.manifest = str_of(late->manifest), .tag = "late"};
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    CHECK(registry_manifest_put(late->reg, REGION, "my-app", &put, digest, &err));
    return NULL;
}

/* A pipe where its referrer is noted holds up the push after its bytes are there and before its record is. */
TEST(an_image_that_comes_while_its_repository_is_reckoned_counts)
{
    REGISTRY(w);
    cleanup_free char *plain = put_parts(w.reg, "my-app", "0123456789");
    struct late_put late = {w.reg, text_format("%.*s,\"subject\":{\"mediaType\":\"" OCI_MANIFEST
                                               "\",\"size\":1,\"digest\":\"sha256:%064d\"}}",
                                               (int)strlen(plain) - 1, plain, 7)};
    cleanup_free char *digest = digest_of(str_of(late.manifest)), *blob = blob_path(w.reg, str_of(digest));
    cleanup_free char *pipe = text_format("%s/registry/" REGION "/my-app/_referrers/%064d/%s", w.dir, 7, digest + 7);
    cleanup_free char *command = text_format("mkdir -p $(dirname %s) && mkfifo %s", pipe, pipe);
    cleanup_free char *said = check_shell(command);
    pthread_t thread;

    CHECK_TEXT(said, "");
    CHECK(pthread_create(&thread, NULL, put_late, &late) == 0);
    while (!file_exists(blob))
        usleep(1000);
    const int64_t parts = used(&w, "my-app"); /* the config and the layer, which have just come */
    cleanup_close int fd = open(pipe, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && pthread_join(thread, NULL) == 0);
    age_links(&w);
    CHECK_EQ(used(&w, "my-app"), parts + (int64_t)strlen(late.manifest));
    free(late.manifest);
}

/* Nothing travels, and it is counted nevertheless. */
TEST(what_is_mounted_counts_with_the_image_that_names_it)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *image = push_image(&w, "my-app", "v1", "0123456789"), *path = NULL, *digest = NULL;
    cleanup_json struct json *rows = NULL;
    struct err err = {0};

    CHECK(registry_repository_create(w.reg, REGION, "copy", NULL, &err));
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/manifests/v1", (struct str){0}, NULL, NULL, &a), 200);
    cleanup_free char *manifest = str_dup(strbuf_str(&a.body));
    const char *const parts[] = {"{\"made\":\"0123456789\"}", "0123456789"};
    limit(&w, "copy", (int64_t)strlen(parts[0])); /* more than that would keep others out for an hour */
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        cleanup_free char *part = digest_of(str_of(parts[i]));
        cleanup_free char *mount = text_format("/v2/copy/blobs/uploads/?mount=%s&from=my-app", part);
        CHECK_EQ(ask(&w, "POST", mount, STR(""), NULL, NULL, &a), i == 0 ? 201 : 403);
        limit(&w, "copy", 0);
        CHECK_EQ(ask(&w, "POST", mount, STR(""), NULL, NULL, &a), 201);
        limit(&w, "copy", (int64_t)strlen(parts[0]));
        CHECK_EQ(ask(&w, "POST", mount, STR(""), NULL, NULL, &a), 201); /* it is counted already */
    }
    age_links(&w);
    CHECK_EQ(used(&w, "copy"), 0);
    const int64_t one = used(&w, "my-app");
    limit(&w, "copy", one - 1);
    CHECK_EQ(ask(&w, "PUT", "/v2/copy/manifests/v1", str_of(manifest), "Content-Type: " OCI_MANIFEST, NULL, &a), 403);
    CHECK(!registry_resolve(w.reg, REGION, "copy", "v1", (char[REGISTRY_DIGEST_SIZE]){""}, &err));
    limit(&w, "copy", one);
    CHECK_EQ(ask(&w, "PUT", "/v2/copy/manifests/v1", str_of(manifest), "Content-Type: " OCI_MANIFEST, NULL, &a), 201);
    CHECK_EQ(ask(&w, "PUT", "/v2/copy/manifests/v2", str_of(manifest), "Content-Type: " OCI_MANIFEST, NULL, &a), 201);
    CHECK_EQ(used(&w, "copy"), one); /* another tag takes nothing */
    err = (struct err){0};
    CHECK(registry_quotas(w.reg, &rows, &err));
    CHECK_EQ(json_size(rows), 1);
    CHECK_TEXT(json_get_cstr(json_at(rows, 0), "repositoryName", ""), "copy");
    CHECK_EQ(json_get_i64(json_at(rows, 0), "quotaBytes", 0), one);
    CHECK_EQ(json_get_i64(json_at(rows, 0), "usedBytes", 0), one);
    CHECK(registry_repository_delete(w.reg, REGION, "copy", true, &err));
    CHECK(registry_repository_create(w.reg, REGION, "copy", NULL, &err));
    CHECK_EQ(used(&w, "copy"), 0);
}

/* What is remembered, which reckoning anew must not change. */
static int64_t
used_twice(struct world *w)
{
    const int64_t remembered = used(w, "my-app");

    quota_manifests_changed(w->reg, REGION, "my-app");
    CHECK_EQ(used(w, "my-app"), remembered);
    return remembered;
}

TEST(images_that_come_and_go_are_counted_without_reading_the_others)
{
    REGISTRY(w);
    char one[REGISTRY_DIGEST_SIZE], two[REGISTRY_DIGEST_SIZE], broken[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    limit(&w, "my-app", 100000);
    CHECK(put_image(w.reg, "my-app", "v1", "0123456789", one));
    const int64_t first = used_twice(&w);
    cleanup_free char *record = image_record_path(w.reg, REGION, "my-app", str_of(one));
    cleanup_free char *hidden = text_format("%s-hidden", record);
    CHECK(rename(record, hidden) == 0); /* nobody looks: it counts as it did */
    CHECK(put_image(w.reg, "my-app", "v2", "0123456789abc", two));
    const int64_t both = used(&w, "my-app");
    CHECK(both > first + first / 2);
    CHECK(rename(hidden, record) == 0);
    CHECK_EQ(used_twice(&w), both);
    const struct registry_put again = {.manifest = STR("{}"), .media_type = STR("application/vnd.test+json"), .tag = "v3"};
    CHECK(registry_manifest_put(w.reg, REGION, "my-app", &again, broken, &err));
    CHECK(registry_manifest_put(w.reg, REGION, "my-app", &again, broken, &err)); /* twice is once */
    CHECK_EQ(used_twice(&w), both + 2);
    CHECK(registry_image_delete(w.reg, REGION, "my-app", broken, NULL, &err));
    CHECK(registry_image_delete(w.reg, REGION, "my-app", two, NULL, &err));
    age_links(&w);
    CHECK_EQ(used_twice(&w), first);
    CHECK(registry_image_delete(w.reg, REGION, "my-app", one, NULL, &err));
    CHECK_EQ(used_twice(&w), 0);
}

struct late_delete {
    struct registry *reg;
    const char *digest;
};

static void *
delete_late(void *arg)
{
    const struct late_delete *late = arg;
    struct err err = {0};

    CHECK(registry_image_delete(late->reg, REGION, "my-app", late->digest, NULL, &err));
    return NULL;
}

/* A pipe in place of its bytes holds up the one that goes, after its record has gone and before it is taken away. */
TEST(an_image_that_goes_while_its_repository_is_reckoned_goes_once)
{
    REGISTRY(w);
    char stays[REGISTRY_DIGEST_SIZE], goes[REGISTRY_DIGEST_SIZE];
    pthread_t thread;
    struct err err = {0};

    CHECK(put_image(w.reg, "my-app", "v1", "0123456789", stays));
    cleanup_free char *plain = put_parts(w.reg, "my-app", "0123456789");
    cleanup_free char *manifest = text_format("%.*s,\"annotations\":{}}", (int)strlen(plain) - 1, plain);
    const struct registry_put put = {.manifest = str_of(manifest), .tag = "v2"};
    CHECK(registry_manifest_put(w.reg, REGION, "my-app", &put, goes, &err));
    age_links(&w);
    CHECK(used(&w, "my-app") > 0);
    cleanup_free char *blob = blob_path(w.reg, str_of(goes));
    cleanup_free char *record = image_record_path(w.reg, REGION, "my-app", str_of(goes));
    CHECK(unlink(blob) == 0 && mkfifo(blob, 0600) == 0);
    struct late_delete late = {w.reg, goes};
    CHECK(pthread_create(&thread, NULL, delete_late, &late) == 0);
    while (file_exists(record))
        usleep(1000);
    quota_manifests_changed(w.reg, REGION, "my-app");
    const int64_t left = used(&w, "my-app");
    const int fd = open(blob, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && write(fd, manifest, strlen(manifest)) == (ssize_t)strlen(manifest) && close(fd) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQ(used_twice(&w), left);
}

TEST(a_quota_goes_with_its_repository)
{
    REGISTRY(w);
    char digest[REGISTRY_DIGEST_SIZE];
    struct registry_quota quota;
    struct err err = {0};

    CHECK(put_image(w.reg, "my-app", "v1", "0123456789", digest));
    limit(&w, "my-app", 1);
    CHECK(used(&w, "my-app") > 1);
    CHECK(registry_repository_delete(w.reg, REGION, "my-app", true, &err));
    CHECK(w.reg->quotas == NULL); /* or names that come and go would add up */
    CHECK(registry_repository_create(w.reg, REGION, "my-app", NULL, &err));
    CHECK(registry_quota_get(w.reg, REGION, "my-app", &quota, &err));
    CHECK_EQ(quota.limit, 0);
    CHECK_EQ(quota.used, 0);
    CHECK(put_image(w.reg, "my-app", "v1", "0123456789", digest));
    CHECK(used(&w, "my-app") > 1);
}

struct reckoner {
    struct registry *reg;
    atomic_bool is_over;
};

static void *
reckon(void *arg)
{
    struct reckoner *r = arg;
    struct upload u = {.region = REGION, .repository = "my-app"};
    struct err err = {0};

    while (!atomic_load(&r->is_over))
        (void)!quota_of_upload(r->reg, &u, &err);
    return NULL;
}

/* Uploads do not wait for who deletes their repository: the next one of its name is empty all the same. */
TEST(what_a_deleted_repository_had_is_not_reckoned_to_the_next_one)
{
    REGISTRY(w);
    struct reckoner r = {.reg = w.reg};
    char digest[REGISTRY_DIGEST_SIZE];
    pthread_t thread;
    struct err err = {0};

    CHECK(pthread_create(&thread, NULL, reckon, &r) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(put_image(w.reg, "my-app", "v1", "0123456789", digest));
        limit(&w, "my-app", 100000);
        CHECK(used(&w, "my-app") > 0);
        CHECK(registry_repository_delete(w.reg, REGION, "my-app", true, &err));
        CHECK(registry_repository_create(w.reg, REGION, "my-app", NULL, &err));
        CHECK_EQ(used(&w, "my-app"), 0);
    }
    atomic_store(&r.is_over, true);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* Each alone would fit. */
TEST(uploads_at_once_share_the_room_of_their_repository)
{
    REGISTRY(w);
    struct upload *one = NULL, *two = NULL;
    struct err err = {0};

    limit(&w, "my-app", 100);
    CHECK(upload_start(w.reg, REGION, "my-app", "", &one, &err) && upload_start(w.reg, REGION, "my-app", "", &two, &err));
    CHECK(upload_add(w.reg, one, STR("0123456789012345678901234567890123456789012345678901234567890123456789"), &err));
    CHECK(upload_add(w.reg, two, STR("012345678901234567890123456789"), &err));
    CHECK(!upload_add(w.reg, two, STR("x"), &err));
    CHECK_EQ(err.code, ERR_LIMIT_EXCEEDED);
    CHECK(!upload_expects(w.reg, one, 1, &err));
    upload_discard(w.reg, two);
    CHECK(upload_add(w.reg, one, STR("x"), &err));
    upload_discard(w.reg, one);
}
