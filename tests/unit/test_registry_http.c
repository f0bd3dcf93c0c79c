/* SPDX-License-Identifier: MIT */
/* The registry as docker, skopeo and curl see it: a real server on a free port. */
#include "registry_world.h"

#include "registry/mirror/pull_through.h"

/* api-7 */
TEST(nobody_gets_in_without_a_token)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup(strbuf_done) struct strbuf old = {0}, pair = {0}, basic = {0};

    registry_token(w.reg, clock_wall_ms() - REGISTRY_TOKEN_LIFE_MS - 1000, &old);
    CHECK(!registry_token_check(w.reg, strbuf_str(&old), clock_wall_ms()));
    CHECK(!registry_token_check(w.reg, STR("v1.9999999999.00"), clock_wall_ms()));
    CHECK(!registry_token_check(w.reg, STR(""), clock_wall_ms()));

    char good[sizeof w.token];
    memcpy(good, w.token, sizeof good);
    CHECK_EQ(ask(&w, "GET", "/v2/", (struct str){0}, NULL, NULL, &a), 200);
    CHECK_TEXT(header(&a, "Docker-Distribution-Api-Version"), "registry/2.0");
    strbuf_addf(&pair, "AWS:%s", strchr(strchr(good, ' ') + 1, ' ') + 1);
    strbuf_add_cstr(&basic, "Authorization: Basic ");
    base64_encode(&basic, strbuf_str(&pair));
    snprintf(w.token, sizeof w.token, "%s", strbuf_cstr(&basic));
    CHECK_EQ(ask(&w, "GET", "/v2/", (struct str){0}, NULL, NULL, &a), 200);

    const char *const wrong[] = {"X-Nothing: 1", "Authorization: Bearer v1.9999999999.00",
                                 "Authorization: Basic QVdTOng=", "Authorization: Basic ???",
                                 "Authorization: Bearer"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        snprintf(w.token, sizeof w.token, "%s", wrong[i]);
        CHECK_EQ(ask(&w, "GET", "/v2/", (struct str){0}, NULL, NULL, &a), 401);
        CHECK_TEXT(error_code(&a), "UNAUTHORIZED");
        CHECK(str_starts(str_of(header(&a, "Www-Authenticate")), STR("Bearer realm=")));
        CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR("x"), NULL, NULL, &a), 401);
    }
    CHECK_EQ(files_in(&w, "blobs"), 0);
}

TEST(a_token_is_good_until_it_expires_and_after_a_restart)
{
    WORLD(w);
    cleanup(strbuf_done) struct strbuf token = {0};
    const int64_t now_ms = 1700000000000;

    registry_token(w.reg, now_ms, &token);
    CHECK(registry_token_check(w.reg, strbuf_str(&token), now_ms + REGISTRY_TOKEN_LIFE_MS - 1000));
    CHECK(!registry_token_check(w.reg, strbuf_str(&token), now_ms + REGISTRY_TOKEN_LIFE_MS));
    world_close(&w);
    world_open(&w);
    CHECK(registry_token_check(w.reg, strbuf_str(&token), now_ms));
    token.at[5] ^= 1;
    CHECK(!registry_token_check(w.reg, strbuf_str(&token), now_ms));

    struct stat st;
    cleanup_free char *key = text_format("%s/registry.key", w.dir);
    CHECK(stat(key, &st) == 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(st.st_size, 32);
}

/* pull-1 pull-14 */
TEST(an_image_goes_in_and_comes_out)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *digest = push_image(&w, "my-app", "v1", "layer one");
    cleanup_free char *by_digest = text_format("/v2/my-app/manifests/%s", digest);
    cleanup_free char *layer = digest_of(STR("layer one"));
    cleanup_free char *blob = text_format("/v2/my-app/blobs/%s", layer);

    CHECK_EQ(ask(&w, "GET", "/v2/my-app/manifests/v1", (struct str){0}, NULL, NULL, &a), 200);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), digest);
    CHECK_TEXT(header(&a, "Content-Type"), OCI_MANIFEST);
    cleanup_free char *got = digest_of(strbuf_str(&a.body));
    CHECK_TEXT(got, digest);
    const size_t size = a.body.len;
    CHECK_EQ(ask(&w, "HEAD", by_digest, (struct str){0}, "Accept: " DOCKER_MANIFEST,
                 "Accept: " OCI_MANIFEST, &a),
             200);
    CHECK_EQ(atoi(header(&a, "Content-Length")), size);
    CHECK_EQ(a.body.len, 0);
    CHECK_EQ(ask(&w, "GET", by_digest, (struct str){0}, "Accept: " DOCKER_MANIFEST, NULL, &a), 404);
    CHECK_TEXT(error_code(&a), "MANIFEST_UNKNOWN");

    CHECK_EQ(ask(&w, "GET", blob, (struct str){0}, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "layer one");
    CHECK_EQ(ask(&w, "HEAD", blob, (struct str){0}, NULL, NULL, &a), 200);
    CHECK_TEXT(header(&a, "Content-Length"), "9");
    CHECK_EQ(ask(&w, "GET", blob, (struct str){0}, "Range: bytes=6-", NULL, &a), 206);
    CHECK_TEXT(strbuf_cstr(&a.body), "one");
    CHECK_TEXT(header(&a, "Content-Range"), "bytes 6-8/9");
    CHECK_EQ(ask(&w, "GET", blob, (struct str){0}, "Range: bytes=9-", NULL, &a), 416);
    CHECK_TEXT(header(&a, "Content-Range"), "bytes */9");
}

TEST(what_is_not_there_is_named)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    const char none[] = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    const struct {
        const char *method, *path, *code;
        int status;
    } cases[] = {
        {"GET", "/v2/my-app/manifests/none", "MANIFEST_UNKNOWN", 404},
        {"GET", "/v2/my-app/blobs/sha256:abc", "DIGEST_INVALID", 400},
        {"GET", "/v2/my-app/manifests/sha256:abc", "DIGEST_INVALID", 400},
        {"GET", "/v2/my-app/manifests/-x", "MANIFEST_UNKNOWN", 404},
        {"PUT", "/v2/my-app/manifests/-x", "TAG_INVALID", 400},
        {"GET", "/v2/unknown/manifests/v1", "NAME_UNKNOWN", 404},
        {"POST", "/v2/unknown/blobs/uploads/", "NAME_UNKNOWN", 404},
        {"POST", "/v2/My-App/blobs/uploads/", "NAME_INVALID", 400},
        {"POST", "/v2/a..b/blobs/uploads/", "NAME_INVALID", 400},
        {"POST", "/v2/%2e%2e/%2e%2e/etc/blobs/uploads/", "NAME_INVALID", 400},
        {"GET", "/v2/_uploads/tags/list", "NAME_INVALID", 400},
        {"GET", "/v2/my-app/%zz/list", "NAME_INVALID", 400},
        {"GET", "/v2/my-app/nothing", "UNSUPPORTED", 404},
        {"POST", "/v2/_catalog", "UNSUPPORTED", 405},
        {"DELETE", "/v2/", "UNSUPPORTED", 405},
        {"PUT", "/v2/my-app/blobs/uploads/00000000-0000-0000-0000-000000000000", "DIGEST_INVALID",
         400},
        {"PATCH", "/v2/my-app/blobs/uploads/00000000-0000-0000-0000-000000000000",
         "BLOB_UPLOAD_UNKNOWN", 404},
        {"PATCH", "/v2/my-app/blobs/uploads/x", "BLOB_UPLOAD_UNKNOWN", 404},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int status = ask(&w, cases[i].method, cases[i].path, (struct str){0}, NULL, NULL, &a);
        if (status != cases[i].status)
            fprintf(stderr, "%s %s\n", cases[i].method, cases[i].path);
        CHECK_EQ(status, cases[i].status);
        CHECK_TEXT(error_code(&a), cases[i].code);
    }
    cleanup_free char *path = text_format("/v2/my-app/blobs/%s", none);
    CHECK_EQ(ask(&w, "GET", path, (struct str){0}, NULL, NULL, &a), 404);
    CHECK_TEXT(error_code(&a), "BLOB_UNKNOWN");
    CHECK_EQ(ask(&w, "GET", "/v2/unknown/manifests/v1", (struct str){0}, NULL, NULL, &a), 404);
    CHECK(strstr(strbuf_cstr(&a.body),
                 "The repository with name 'unknown' does not exist in the registry with "
                 "id '000000000000'") != NULL);
}

TEST(chunks_are_put_together_in_order)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *digest = digest_of(STR("0123456789abcdef"));

    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
    cleanup_free char *location = text_dup(header(&a, "Location"));
    CHECK(str_starts(str_of(location), STR("/v2/my-app/blobs/uploads/")));
    CHECK_EQ(ask(&w, "PATCH", location, STR("0123456789"), "Content-Range: 0-9", NULL, &a), 202);
    CHECK_TEXT(header(&a, "Range"), "0-9");
    CHECK_EQ(ask(&w, "PATCH", location, STR("x"), "Content-Range: 4-4", NULL, &a), 416);
    CHECK_TEXT(error_code(&a), "BLOB_UPLOAD_INVALID");
    CHECK_TEXT(header(&a, "Range"), "0-9");
    CHECK_EQ(ask(&w, "PATCH", location, STR("x"), "Content-Range: 10-19", NULL, &a), 400);
    CHECK_EQ(ask(&w, "PATCH", location, STR("x"), "Content-Range: 9-1", NULL, &a), 416);
    CHECK_EQ(ask(&w, "GET", location, STR("not a chunk"), NULL, NULL, &a), 204);
    CHECK_EQ(ask(&w, "GET", location, (struct str){0}, NULL, NULL, &a), 204);
    CHECK_TEXT(header(&a, "Range"), "0-9");
    cleanup_free char *finish = text_format("%s?digest=%s", location, digest);
    CHECK_EQ(ask(&w, "PUT", finish, STR("abcdef"), "Content-Range: 10-15", NULL, &a), 201);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), digest);
    CHECK_EQ(ask(&w, "GET", header(&a, "Location"), (struct str){0}, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "0123456789abcdef");
    CHECK_EQ(ask(&w, "GET", location, (struct str){0}, NULL, NULL, &a), 404);
    CHECK_EQ(files_in(&w, "blobs/uploads"), 0);
}

/* Docker sends the PUT on another connection as soon as it has the PATCH's answer: by then the
 * upload has to be free. */
TEST(an_upload_is_free_once_its_answer_is_out)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct http_client *clients[] = {w.client, http_client_new()};
    cleanup_free char *digest = digest_of(STR("0123456789"));

    for (int i = 0; i < 300; i++) {
        w.client = clients[0];
        CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
        cleanup_free char *location = text_dup(header(&a, "Location"));
        cleanup_free char *finish = text_format("%s?digest=%s", location, digest);
        w.client = clients[1];
        CHECK_EQ(ask(&w, "PATCH", location, STR("0123456789"), NULL, NULL, &a), 202);
        w.client = clients[0];
        CHECK_EQ(ask(&w, "PUT", finish, STR(""), NULL, NULL, &a), 201);
    }
    http_client_free(clients[1]);
}

/* push-7 */
TEST(an_upload_can_be_given_up_and_a_wrong_digest_leaves_nothing)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *digest = digest_of(STR("right"));

    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
    cleanup_free char *first = text_dup(header(&a, "Location"));
    CHECK_EQ(ask(&w, "DELETE", first, (struct str){0}, NULL, NULL, &a), 204);
    CHECK_EQ(ask(&w, "DELETE", first, (struct str){0}, NULL, NULL, &a), 404);

    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
    cleanup_free char *finish = text_format("%s?digest=%s", header(&a, "Location"), digest);
    CHECK_EQ(ask(&w, "PUT", finish, STR("wrong"), NULL, NULL, &a), 400);
    CHECK_TEXT(error_code(&a), "DIGEST_INVALID");
    cleanup_free char *post = text_format("/v2/my-app/blobs/uploads/?digest=%s", digest);
    CHECK_EQ(ask(&w, "POST", post, STR("wrong"), NULL, NULL, &a), 400);
    CHECK_EQ(files_in(&w, "blobs"), 0);
    CHECK_EQ(ask(&w, "POST", post, STR("right"), NULL, NULL, &a), 201);
    CHECK_EQ(files_in(&w, "blobs"), 1);
}

TEST(a_blob_over_the_limit_is_refused)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};

    w.reg->blob_limit = 10;
    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
    cleanup_free char *location = text_dup(header(&a, "Location"));
    CHECK_EQ(ask(&w, "PATCH", location, STR("0123456789"), NULL, NULL, &a), 202);
    CHECK_EQ(ask(&w, "PATCH", location, STR("x"), NULL, NULL, &a), 413);
    CHECK_TEXT(error_code(&a), "SIZE_INVALID");
    CHECK_EQ(files_in(&w, "blobs"), 0);
}

TEST(a_repository_sees_only_what_was_pushed_or_mounted_there)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct err err = {0};

    CHECK(registry_repository_create(w.reg, REGION, "team/other", NULL, &err));
    cleanup_free char *digest = push_blob(&w, "my-app", STR("shared"));
    cleanup_free char *blob = text_format("/v2/team/other/blobs/%s", digest);
    CHECK_EQ(ask(&w, "HEAD", blob, (struct str){0}, NULL, NULL, &a), 404);
    cleanup_free char *elsewhere =
        text_format("/v2/team/other/blobs/uploads/?mount=%s&from=nowhere", digest);
    CHECK_EQ(ask(&w, "POST", elsewhere, STR(""), NULL, NULL, &a), 202);
    cleanup_free char *mount =
        text_format("/v2/team/other/blobs/uploads/?mount=%s&from=my-app", digest);
    CHECK_EQ(ask(&w, "POST", mount, STR(""), NULL, NULL, &a), 201);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), digest);
    CHECK_EQ(ask(&w, "GET", blob, (struct str){0}, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "shared");
    CHECK_EQ(files_in(&w, "blobs/sha256"), 1);
    CHECK_EQ(ask(&w, "DELETE", blob, (struct str){0}, NULL, NULL, &a), 202);
    CHECK_EQ(ask(&w, "HEAD", blob, (struct str){0}, NULL, NULL, &a), 404);
    CHECK_EQ(files_in(&w, "blobs/sha256"), 1);
}

/* push-2 push-20 image-6 */
TEST(a_manifest_is_checked_before_it_is_named)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *config = push_blob(&w, "my-app", STR("{}"));
    cleanup_free char *absent = digest_of(STR("absent"));
    cleanup_free char *no_layer = manifest_text(config, 2, absent, 6);
    cleanup_free char *wrong_size = manifest_text(config, 2, config, 3);
    cleanup_free char *good = manifest_text(config, 2, config, 2);
    cleanup_free char *index =
        text_format("{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[{"
                    "\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":6}]}",
                    absent);
    const char *const type = "Content-Type: " OCI_MANIFEST;
    const struct {
        const char *body, *type, *code;
        int status;
    } cases[] = {
        {no_layer, type, "MANIFEST_BLOB_UNKNOWN", 404},
        {wrong_size, type, "MANIFEST_INVALID", 400},
        {good, "Content-Type: " DOCKER_MANIFEST, "MANIFEST_INVALID", 400},
        {good, "Content-Type: text/plain", "MANIFEST_INVALID", 400},
        {index, "Content-Type: " OCI_INDEX, "MANIFEST_BLOB_UNKNOWN", 404},
        {"", type, "MANIFEST_INVALID", 400},
        {"{", type, "MANIFEST_INVALID", 400},
        {"[]", type, "MANIFEST_INVALID", 400},
        {"{\"schemaVersion\":1}", type, "MANIFEST_INVALID", 400},
        {"{\"schemaVersion\":2}", type, "MANIFEST_INVALID", 400},
        {"{\"schemaVersion\":2,\"layers\":[],\"manifests\":[]}", type, "MANIFEST_INVALID", 400},
        {"{\"schemaVersion\":2,\"config\":{},\"layers\":[]}", type, "MANIFEST_INVALID", 400},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/v1", str_of(cases[i].body), cases[i].type,
                     NULL, &a),
                 cases[i].status);
        CHECK_TEXT(error_code(&a), cases[i].code);
    }
    cleanup_free char *other = text_format("/v2/my-app/manifests/%s", absent);
    CHECK_EQ(ask(&w, "PUT", other, str_of(good), type, NULL, &a), 400);
    CHECK_TEXT(error_code(&a), "DIGEST_INVALID");
    CHECK_EQ(files_in(&w, "registry/" REGION "/my-app/_manifests"), 0);
    CHECK_EQ(files_in(&w, "registry/" REGION "/my-app/_tags"), 0);

    size_t huge_len = REGISTRY_MANIFEST_MAX + 1;
    cleanup_free char *huge = mem_new(huge_len);
    memset(huge, ' ', huge_len);
    CHECK_EQ(
        ask(&w, "PUT", "/v2/my-app/manifests/v1", (struct str){huge, huge_len}, type, NULL, &a),
        413);

    cleanup_free char *digest = digest_of(str_of(good));
    cleanup_free char *exact = text_format("/v2/my-app/manifests/%s", digest);
    CHECK_EQ(ask(&w, "PUT", exact, str_of(good), "Content-Type: " OCI_MANIFEST "; charset=utf-8",
                 NULL, &a),
             201);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), digest);
    CHECK_EQ(ask(&w, "GET", exact, (struct str){0}, NULL, NULL, &a), 200);
}

TEST(an_index_holds_its_images)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *image = push_image(&w, "my-app", "amd64", "for amd64");
    cleanup_free char *by_digest = text_format("/v2/my-app/manifests/%s", image);

    CHECK_EQ(ask(&w, "GET", by_digest, (struct str){0}, NULL, NULL, &a), 200);
    cleanup_free char *index =
        text_format("{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[{"
                    "\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu}]}",
                    image, a.body.len);
    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/all", str_of(index), "Content-Type: " OCI_INDEX,
                 NULL, &a),
             201);
    CHECK_EQ(ask(&w, "DELETE", by_digest, (struct str){0}, NULL, NULL, &a), 403);
    CHECK_TEXT(error_code(&a), "DENIED");
    CHECK_EQ(ask(&w, "DELETE", "/v2/my-app/manifests/all", (struct str){0}, NULL, NULL, &a), 202);
    CHECK_EQ(ask(&w, "DELETE", by_digest, (struct str){0}, NULL, NULL, &a), 403);
    cleanup_free char *all = digest_of(str_of(index));
    cleanup_free char *all_by_digest = text_format("/v2/my-app/manifests/%s", all);
    CHECK_EQ(ask(&w, "DELETE", all_by_digest, (struct str){0}, NULL, NULL, &a), 202);
    CHECK_EQ(ask(&w, "DELETE", by_digest, (struct str){0}, NULL, NULL, &a), 202);
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/manifests/amd64", (struct str){0}, NULL, NULL, &a), 404);
}

TEST(tags_come_in_order_and_in_pages)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    const char *const tags[] = {"v2", "v1", "latest", "v10", "V1"};

    for (size_t i = 0; i < ARRAY_COUNT(tags); i++) {
        char *digest = push_image(&w, "my-app", tags[i], "same");
        free(digest);
    }
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list", (struct str){0}, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body),
               "{\"name\":\"my-app\",\"tags\":[\"V1\",\"latest\",\"v1\",\"v10\",\"v2\"]}");
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list?n=2", (struct str){0}, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"name\":\"my-app\",\"tags\":[\"V1\",\"latest\"]}");
    CHECK_TEXT(header(&a, "Link"), "</v2/my-app/tags/list?last=latest&n=2>; rel=\"next\"");
    CHECK_EQ(
        ask(&w, "GET", "/v2/my-app/tags/list?last=latest&n=3", (struct str){0}, NULL, NULL, &a),
        200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"name\":\"my-app\",\"tags\":[\"v1\",\"v10\",\"v2\"]}");
    CHECK_TEXT(header(&a, "Link"), "");
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list?n=-1", (struct str){0}, NULL, NULL, &a), 400);
    CHECK_EQ(ask(&w, "DELETE", "/v2/my-app/manifests/v10", (struct str){0}, NULL, NULL, &a), 202);
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/manifests/v10", (struct str){0}, NULL, NULL, &a), 404);
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/manifests/v1", (struct str){0}, NULL, NULL, &a), 200);
}

TEST(another_region_is_named_in_front_or_by_host)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct err err = {0};
    char uri[REGISTRY_IMAGE_SIZE];

    CHECK(registry_repository_create(w.reg, "us-east-1", "far", NULL, &err));
    registry_repository_uri(w.reg, "us-east-1", "far", uri);
    CHECK_TEXT(uri, "localhost:4566/000000000000.dkr.ecr.us-east-1.amazonaws.com/far");
    cleanup_free char *digest = push_image(&w, strchr(uri, '/') + 1, "v1", "far away");
    CHECK_EQ(ask(&w, "GET", "/v2/far/manifests/v1", (struct str){0}, NULL, NULL, &a), 404);
    CHECK_TEXT(error_code(&a), "NAME_UNKNOWN");
    CHECK_EQ(ask(&w, "GET", "/v2/far/manifests/v1", (struct str){0},
                 "Host: 000000000000.dkr.ecr.us-east-1.amazonaws.com:4566", NULL, &a),
             200);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), digest);
}

/* ---- bodies that end too early ---- */

static int
raw_connect(const struct world *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)w->port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

/* Sends the beginning of a body; whoever closes what it gives leaves half-way. */
static int
raw_half_body(const struct world *w, const char *method, const char *path, int announced,
              const char *sent)
{
    int fd = raw_connect(w);
    cleanup_free char *text =
        text_format("%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\nContent-Length: %d\r\n\r\n%s",
                    method, path, w->token, announced, sent);

    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static bool
shell_says(const char *command, const char *want)
{
    cleanup_free char *said = check_shell(command);
    return str_is(str_trim(str_of(said)), want);
}

static void
wait_for_shell(const char *command, const char *said)
{
    for (int i = 0; i < 100 * CHECK_PATIENCE && !shell_says(command, said); i++)
        clock_sleep_ms(10);
    CHECK(shell_says(command, said));
}

/* push-6 */
TEST(a_truncated_upload_is_not_a_blob_but_can_go_on)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *digest = digest_of(STR("0123456789"));

    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
    cleanup_free char *location = text_dup(header(&a, "Location"));
    cleanup_free char *finish = text_format("%s?digest=%s", location, digest);
    cleanup_free char *halves = text_format("find %s/blobs/uploads -type f -size 5c | wc -l", w.dir);
    close(raw_half_body(&w, "PUT", finish, 10, "01234"));
    wait_for_shell(halves, "1");
    cleanup_free char *blob = text_format("/v2/my-app/blobs/%s", digest);
    CHECK_EQ(ask(&w, "HEAD", blob, (struct str){0}, NULL, NULL, &a), 404);
    CHECK_EQ(ask(&w, "GET", location, (struct str){0}, NULL, NULL, &a), 204);
    CHECK_TEXT(header(&a, "Range"), "0-4");
    CHECK_EQ(ask(&w, "PUT", finish, STR("56789"), "Content-Range: 5-9", NULL, &a), 201);
    CHECK_EQ(ask(&w, "GET", blob, (struct str){0}, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "0123456789");

    cleanup_free char *other = digest_of(STR("other"));
    cleanup_free char *post = text_format("/v2/my-app/blobs/uploads/?digest=%s", other);
    cleanup_free char *files = text_format("find %s/blobs -type f | wc -l", w.dir);
    int fd = raw_half_body(&w, "POST", post, 5, "oth");
    wait_for_shell(files, "2");
    close(fd);
    wait_for_shell(files, "1");
    cleanup_free char *put = text_format("/v2/my-app/manifests/v1");
    fd = raw_half_body(&w, "PUT", put, 500, "{\"schemaVersion\":2");
    clock_sleep_ms(100); /* if it is slow, nothing is shown */
    close(fd);
    clock_sleep_ms(100);
    CHECK_EQ(files_in(&w, "registry/" REGION "/my-app/_manifests"), 0);
}

TEST(a_full_disk_leaves_nothing_and_heals)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    static char bytes[300000];
    struct rlimit old, small;

    memset(bytes, 'x', sizeof bytes);
    const struct str content = {bytes, sizeof bytes};
    cleanup_free char *digest = digest_of(content);
    cleanup_free char *path = text_format("/v2/my-app/blobs/uploads/?digest=%s", digest);
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && getrlimit(RLIMIT_FSIZE, &old) == 0);
    small = (struct rlimit){100000, old.rlim_max}; /* writes fail behind so many bytes of a file */
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK_EQ(ask(&w, "POST", path, content, NULL, NULL, &a), 500);
    CHECK_TEXT(error_code(&a), "UNKNOWN");
    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
    cleanup_free char *location = text_dup(header(&a, "Location"));
    CHECK_EQ(ask(&w, "PATCH", location, content, NULL, NULL, &a), 500);
    CHECK_EQ(ask(&w, "GET", location, (struct str){0}, NULL, NULL, &a), 404);
    CHECK_EQ(files_in(&w, "blobs"), 0);
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    CHECK_EQ(ask(&w, "POST", path, content, NULL, NULL, &a), 201);
    CHECK_EQ(files_in(&w, "blobs"), 1);
}

/* ---- crashes ---- */

/* A registry in a process of its own; gives its port. */
static pid_t
child_registry(struct world *w)
{
    int pipe_fds[2];
    CHECK(pipe(pipe_fds) == 0);
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        world_open(w);
        if (write(pipe_fds[1], &w->port, sizeof w->port) != sizeof w->port)
            _exit(1);
        for (;;)
            pause();
    }
    CHECK_EQ(read(pipe_fds[0], &w->port, sizeof w->port), sizeof w->port);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return pid;
}

static void
child_kill(pid_t pid)
{
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, NULL, 0) == pid);
}

/* "half" was acknowledged. The client asks how far it came, brings the rest, and the digest of the whole is
 * right; another client changes its mind. */
static void
go_on_after_restart(struct world *w, const char *location, int round)
{
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *digest = digest_of(STR("half and half"));
    cleanup_free char *end = text_format("%s?digest=%s", location, digest);
    cleanup_free char *blob = text_format("/v2/my-app/blobs/%s", digest);
    cleanup_free char *path = text_format("%s/blobs/sha256/%.2s/%s", w->dir, digest + 7, digest + 7);

    CHECK_EQ(ask(w, "GET", location, (struct str){0}, NULL, NULL, &a), 204);
    CHECK_TEXT(header(&a, "Range"), "0-3");
    CHECK_EQ(ask(w, "PATCH", location, STR("x"), "Content-Range: 3-3", NULL, &a), 416);
    if (round % 2 == 1) {
        CHECK_EQ(ask(w, "DELETE", location, (struct str){0}, NULL, NULL, &a), 204);
        return;
    }
    CHECK_EQ(ask(w, "PUT", end, STR(" and half"), NULL, NULL, &a), 201);
    CHECK_EQ(ask(w, "GET", blob, (struct str){0}, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "half and half");
    CHECK(unlink(path) == 0); /* so that the next round counts as this one did */
}

TEST(killed_in_the_middle_nothing_is_visible_and_what_was_told_is_kept)
{
    struct world w;
    cleanup(http_answer_done) struct http_answer a = {0};
    struct err err = {0};

    world_make(&w, world_open);
    char token[sizeof w.token];
    memcpy(token, w.token, sizeof token);
    world_close(&w);
    for (int round = 0; round < 5; round++) {
        pid_t pid = child_registry(&w);
        memcpy(w.token, token, sizeof token);
        w.client = http_client_new();
        cleanup_free char *content = text_format("layer of round %d", round);
        cleanup_free char *tag = text_format("v%d", round);
        cleanup_free char *kept = push_image(&w, "my-app", tag, content);
        CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", STR(""), NULL, NULL, &a), 202);
        cleanup_free char *location = text_dup(header(&a, "Location"));
        CHECK_EQ(ask(&w, "PATCH", location, STR("half"), NULL, NULL, &a), 202);
        int fd = raw_connect(&w);
        cleanup_free char *half =
            text_format("PATCH %s HTTP/1.1\r\nHost: localhost\r\n%s\r\nContent-Length: 100000"
                        "\r\n\r\nlost",
                        location, w.token);
        CHECK_EQ(write(fd, half, strlen(half)), strlen(half));
        cleanup_free char *command =
            text_format("find %s/blobs/uploads -type f -size 4c | wc -l", w.dir);
        for (int i = 0; i < 1000 && !shell_says(command, "1"); i++)
            clock_sleep_ms(10);
        child_kill(pid);
        close(fd);
        http_client_free(w.client);
        CHECK_EQ(files_in(&w, "blobs/uploads"), 1);

        world_open(&w);
        CHECK_EQ(files_in(&w, "blobs/sha256"), 3 * (round + 1));
        go_on_after_restart(&w, location, round);
        CHECK_EQ(files_in(&w, "blobs/uploads"), 0);
        cleanup_free char *path = text_format("/v2/my-app/manifests/%s", tag);
        CHECK_EQ(ask(&w, "GET", path, (struct str){0}, NULL, NULL, &a), 200);
        CHECK_TEXT(header(&a, "Docker-Content-Digest"), kept);
        world_close(&w);
    }
    CHECK(file_remove_tree(w.dir, &err));
}

/* Killed at any moment of a push: every name that is there leads to whole bytes. */
TEST(killed_at_any_moment_every_name_leads_to_whole_bytes)
{
    struct world w;
    struct err err = {0};

    size_t image_count = 0;
    world_make(&w, world_open);
    world_close(&w);
    for (int round = 0; round < 15; round++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            world_open(&w);
            for (int i = 0;; i++) {
                cleanup_free char *content = text_format("%d of %d", i, round);
                cleanup_free char *tag = text_format("t%d", i % 7);
                free(push_image(&w, "my-app", tag, content));
            }
        }
        clock_sleep_ms(60 + round * 7);
        child_kill(pid);
        world_open(&w);
        cleanup_json struct json *images = NULL;
        CHECK(registry_images(w.reg, REGION, "my-app", &images, &err));
        for (size_t i = 0; i < json_size(images); i++) {
            cleanup(strbuf_done) struct strbuf bytes = {0};
            char digest[REGISTRY_DIGEST_SIZE];
            const char *name = json_get_cstr(json_at(images, i), "digest", "");
            CHECK(registry_manifest_get(w.reg, REGION, "my-app", name, &bytes, digest, NULL, &err));
            cleanup_free char *got = digest_of(strbuf_str(&bytes));
            CHECK_TEXT(got, name);
        }
        for (int i = 0; i < 7; i++) {
            char tag[8], digest[REGISTRY_DIGEST_SIZE];
            snprintf(tag, sizeof tag, "t%d", i);
            cleanup_free char *path =
                text_format("%s/registry/" REGION "/my-app/_tags/%s", w.dir, tag);
            CHECK_EQ(registry_resolve(w.reg, REGION, "my-app", tag, digest, &err),
                     file_exists(path));
        }
        image_count += json_size(images);
        struct registry_gc gc;
        CHECK(registry_collect(w.reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc,
                               &err)); /* reads them all */
        world_close(&w);
    }
    CHECK(image_count > 0);
    CHECK(file_remove_tree(w.dir, &err));
}

/* ---- an upstream that says nothing ---- */

static bool
rule_set(void *arg, struct json *document, struct err *err)
{
    cleanup_free char *rules =
        text_format("[{\"ecrRepositoryPrefix\":\"hub\",\"upstreamRegistryUrl\":\"%s\"}]", (char *)arg);

    json_set(document, "pullThroughCacheRules", json_parse(str_of(rules), err));
    return true;
}

static void *
ask_for_a_blob(void *arg)
{
    static const char path[] =
        "/v2/hub/app/blobs/sha256:0000000000000000000000000000000000000000000000000000000000000000";
    cleanup(http_answer_done) struct http_answer a = {0};

    CHECK(ask(arg, "GET", path, (struct str){0}, NULL, NULL, &a) != 200);
    return NULL;
}

TEST(a_stop_gives_up_what_an_upstream_does_not_bring)
{
    WORLD(w);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    cleanup_close int silent = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t thread;
    struct err err = {0};

    CHECK(bind(silent, (struct sockaddr *)&at, len) == 0 && listen(silent, 8) == 0);
    CHECK(getsockname(silent, (struct sockaddr *)&at, &len) == 0);
    cleanup_free char *url = text_format("http://127.0.0.1:%u", ntohs(at.sin_port));
    CHECK(registry_document_change(w.reg, REGION, rule_set, url, &err));
    CHECK(registry_repository_create(w.reg, REGION, "hub/app", NULL, &err));
    registry_start_pulling(w.reg);
    CHECK(pthread_create(&thread, NULL, ask_for_a_blob, &w) == 0);
    clock_sleep_ms(300);
    const int64_t start_ms = clock_monotonic_ms();
    registry_stop_pulling(w.reg);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(clock_monotonic_ms() - start_ms < 5000);
}

/* ---- the client's side: a body out of a file ---- */

static void
send_file(struct world *w, const struct http_file *file, struct http_answer *answer,
          struct err *err)
{
    cleanup_free char *url =
        text_format("http://127.0.0.1:%u/v2/my-app/blobs/uploads/?digest=%s", w->port, w->digest);
    const char *const headers[] = {w->token, "Content-Type: application/octet-stream", NULL};
    const struct http_call call = {
        .method = "POST", .url = url, .file = file, .headers = headers, .timeout_ms = 20000};

    http_answer_done(answer);
    *err = (struct err){0};
    if (http_client_call(w->client, &call, answer, err))
        CHECK_TEXT(err->message, "");
}

TEST(a_file_is_sent_from_its_beginning_and_one_that_cannot_be_read_is_an_error)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer answer = {0};
    enum { SIZE = 3 << 20 };
    cleanup_free char *text = mem_new(SIZE);
    char path[] = "/tmp/naru-body-XXXXXX";
    cleanup_close int fd = mkstemp(path);
    struct http_file file = {fd, SIZE};
    struct err err = {0};

    unlink(path);
    memcpy(w.digest, "sha256:", 7);
    sha256_hex((struct str){text, SIZE}, w.digest + 7);
    CHECK(fd >= 0 && file_write_all(fd, (struct str){text, SIZE}, &err)); /* it stands at its end */
    for (int i = 0; i < 2; i++) {
        send_file(&w, &file, &answer, &err);
        CHECK_EQ(answer.status, 201);
        CHECK_TEXT(err.message, "");
    }
    CHECK_EQ(ftruncate(fd, 1000), 0); /* a layer that the disk lost */
    send_file(&w, &file, &answer, &err);
    CHECK(strstr(err.message, "ends after 1000 of 3145728 bytes") != NULL);
    file = (struct http_file){-1, 5};
    send_file(&w, &file, &answer, &err);
    CHECK(strstr(err.message, "cannot read the body's file") != NULL);
    file = (struct http_file){fd, 0};
    send_file(&w, &file, &answer, &err);
    CHECK_EQ(answer.status, 400); /* nothing is something else */
}
