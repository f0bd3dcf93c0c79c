/* SPDX-License-Identifier: MIT */
/* What docs/CONFORMANCE.md asks for and no other test says. Each test names its rows. */
#include "registry_world.h"

#include "registry/routes.h"

#define NOTHING ((struct str){0})
#define MANIFEST_TYPE "Content-Type: " OCI_MANIFEST
#define INDEX_TYPE "Content-Type: " OCI_INDEX

/* pull-2 pull-3 pull-4 push-22 */
TEST(a_reference_is_a_tag_of_128_characters_or_a_digest_and_nothing_else)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    char longest[130] = "";
    const char *const wrong[] = {
        ".dot",   "-dash",
        "a%20b",  "a%2Bb",
        "%C3%A4", "sha256:abc",
        "md5:00", "sha256:ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789"};
    const char *const names[] = {"My-app", "my..app", "-my", "my-", "my___app", "a/-b", "a%2F%2Fb"};

    memset(longest, 'x', 128);
    free(push_image(&w, "my-app", longest, "content"));
    cleanup_free char *good = text_format("/v2/my-app/manifests/%s", longest);
    CHECK_EQ(ask(&w, "GET", good, NOTHING, NULL, NULL, &a), 200);
    cleanup_free char *bad = text_format("/v2/my-app/manifests/%sx", longest);
    CHECK_EQ(ask(&w, "GET", bad, NOTHING, NULL, NULL, &a), 404);
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        cleanup_free char *path = text_format("/v2/my-app/manifests/%s", wrong[i]);
        CHECK_EQ(ask(&w, "PUT", path, STR("{\"schemaVersion\":2,\"manifests\":[]}"), INDEX_TYPE,
                     NULL, &a),
                 400);
        const int status = ask(&w, "GET", path, NOTHING, NULL, NULL, &a);
        CHECK(status == 404 || status == 400);
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        cleanup_free char *path = text_format("/v2/%s/manifests/v1", names[i]);
        CHECK_EQ(ask(&w, "GET", path, NOTHING, NULL, NULL, &a), 400);
        CHECK_TEXT(error_code(&a), "NAME_INVALID");
    }
}

/* pull-10 pull-11 pull-12 pull-15 pull-16 pull-17 */
TEST(a_blob_comes_with_the_digest_of_its_bytes)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *sha256 = push_blob(&w, "my-app", STR("the bytes"));
    cleanup_free char *sha512 = digest512_of(STR("the bytes"));
    cleanup_free char *post = text_format("/v2/my-app/blobs/uploads/?digest=%s", sha512);
    const char *const digests[] = {sha256, sha512};

    CHECK_EQ(ask(&w, "POST", post, STR("the bytes"), NULL, NULL, &a), 201);
    for (size_t i = 0; i < ARRAY_COUNT(digests); i++) {
        cleanup_free char *path = text_format("/v2/my-app/blobs/%s", digests[i]);
        CHECK_EQ(ask(&w, "GET", path, NOTHING, NULL, NULL, &a), 200);
        CHECK_TEXT(strbuf_cstr(&a.body), "the bytes");
        CHECK_TEXT(header(&a, "Docker-Content-Digest"), digests[i]);
        CHECK_EQ(ask(&w, "HEAD", path, NOTHING, NULL, NULL, &a), 200);
        CHECK_TEXT(header(&a, "Docker-Content-Digest"), digests[i]);
        CHECK_TEXT(header(&a, "Content-Length"), "9");
    }
}

/* pull-9 pull-13 pull-18 push-25 */
TEST(what_is_not_in_the_repository_is_404_for_get_and_head)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct err err = {0};
    cleanup_free char *digest = push_image(&w, "my-app", "v1", "content");
    const char *const repositories[] = {"other", "nowhere"}, *const methods[] = {"GET", "HEAD"};

    CHECK(registry_repository_create(w.reg, REGION, "other", NULL, &err));
    for (size_t r = 0; r < ARRAY_COUNT(repositories); r++) {
        cleanup_free char *tag = text_format("/v2/%s/manifests/v1", repositories[r]);
        cleanup_free char *manifest = text_format("/v2/%s/manifests/%s", repositories[r], digest);
        cleanup_free char *blob = text_format("/v2/%s/blobs/%s", repositories[r], digest);
        for (size_t m = 0; m < ARRAY_COUNT(methods); m++) {
            CHECK_EQ(ask(&w, methods[m], tag, NOTHING, NULL, NULL, &a), 404);
            CHECK_EQ(ask(&w, methods[m], manifest, NOTHING, NULL, NULL, &a), 404);
            CHECK_EQ(ask(&w, methods[m], blob, NOTHING, NULL, NULL, &a), 404);
        }
    }
}

static bool
is_uuid(const char *text)
{
    bool is = strlen(text) == 36;

    for (size_t i = 0; is && i < 36; i++)
        is = i == 8 || i == 13 || i == 18 || i == 23 ? text[i] == '-'
                                                     : strchr("0123456789abcdef", text[i]) != NULL;
    return is;
}

/* push-3 push-4 push-5 push-9 push-10 push-16 */
TEST(each_upload_has_a_place_of_its_own)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    const char place[] = "/v2/my-app/blobs/uploads/";
    cleanup_free char *digest = digest_of(STR("all at once"));

    CHECK_EQ(ask(&w, "POST", place, NOTHING, NULL, NULL, &a), 202);
    cleanup_free char *first = text_dup(header(&a, "Location"));
    CHECK_TEXT(header(&a, "OCI-Chunk-Min-Length"), ""); /* chunks of any size are taken */
    CHECK_EQ(ask(&w, "POST", place, NOTHING, NULL, NULL, &a), 202);
    cleanup_free char *second = text_dup(header(&a, "Location"));
    CHECK(str_starts(str_of(first), STR("/v2/my-app/blobs/uploads/")) &&
          is_uuid(first + strlen(place)));
    CHECK(is_uuid(second + strlen(place)) && strcmp(first, second) != 0);
    CHECK_EQ(ask(&w, "GET", first, NOTHING, NULL, NULL, &a), 204);
    CHECK_TEXT(header(&a, "Range"), "0-0");
    CHECK_TEXT(header(&a, "Location"), first);
    CHECK_EQ(ask(&w, "PATCH", first, STR("a"), "Content-Range: 0-0", NULL, &a), 202); /* any size */
    CHECK_EQ(ask(&w, "POST", place, STR("a body without a digest"), NULL, NULL, &a), 400);
    cleanup_free char *end = text_format("%s?digest=%s", second, digest);
    CHECK_EQ(ask(&w, "PUT", end, STR("all at once"), NULL, NULL, &a), 201);
    CHECK_EQ(ask(&w, "GET", header(&a, "Location"), NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "all at once");
}

/* push-11 push-13 push-14: what a chunk says of itself is a range from 0 on, of both its ends */
TEST(a_chunk_names_its_first_and_its_last_byte)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    const char *const wrong[] = {
        "Content-Range: 0-",  "Content-Range: -3",    "Content-Range: 0 - 3", "Content-Range: 3-0",
        "Content-Range: 1-4", "Content-Range: 0x0-3", "Content-Range: 0-3x",  "Content-Range: *"};

    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", NOTHING, NULL, NULL, &a), 202);
    cleanup_free char *at = text_dup(header(&a, "Location"));
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK_EQ(ask(&w, "PATCH", at, STR("four"), wrong[i], NULL, &a), 416);
        CHECK_TEXT(header(&a, "Location"), at);
        CHECK_TEXT(header(&a, "Range"), "0-0");
    }
    CHECK_EQ(ask(&w, "PATCH", at, STR("four"), "Content-Range: 0-3", NULL, &a), 202);
    CHECK_TEXT(header(&a, "Range"), "0-3");
    /* Only the PUT with the digest of all makes it a blob. */
    cleanup_free char *digest = digest_of(STR("four"));
    cleanup_free char *blob = text_format("/v2/my-app/blobs/%s", digest);
    CHECK_EQ(ask(&w, "GET", blob, NOTHING, NULL, NULL, &a), 404);
    cleanup_free char *end = text_format("%s?digest=%s", at, digest);
    CHECK_EQ(ask(&w, "PUT", end, NOTHING, NULL, NULL, &a), 201);
    CHECK_EQ(ask(&w, "GET", blob, NOTHING, NULL, NULL, &a), 200);
}

/* push-23 push-24 */
TEST(where_a_manifest_is_said_to_be_it_can_be_pulled)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    const struct str bytes = STR("{ \"schemaVersion\" : 2,\n\t\"manifests\" : [ ]  }\n");
    cleanup_free char *digests[] = {digest_of(bytes), digest512_of(bytes)};

    for (size_t i = 0; i < 2; i++) {
        cleanup_free char *path = text_format("/v2/my-app/manifests/%s", digests[i]);
        CHECK_EQ(ask(&w, "PUT", path, bytes, INDEX_TYPE, NULL, &a), 201);
        CHECK_TEXT(header(&a, "Docker-Content-Digest"), digests[i]);
        CHECK_EQ(ask(&w, "GET", header(&a, "Location"), NOTHING, NULL, NULL, &a), 200);
        CHECK(str_equal(strbuf_str(&a.body), bytes));
    }
    free(digests[1]);
}

/* list-17: of an artifact that refers by sha512 the tag of older clients has 64 digits */
TEST(the_fallback_tag_of_a_sha512_has_64_digits)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct err err = {0};
    cleanup_free char *subject = digest512_of(STR("subject"));
    cleanup_free char *artifact =
        text_format("{\"schemaVersion\":2,\"artifactType\":\"a/"
                    "b\",\"manifests\":[],\"subject\":{\"mediaType\":\"" OCI_MANIFEST
                    "\",\"digest\":\"%s\",\"size\":7}}",
                    subject);
    cleanup_free char *list = text_format("/v2/my-app/referrers/%s", subject);
    cleanup_free char *remove = text_format("rm -r %s/registry/*/my-app/_referrers", w.dir);

    CHECK_EQ(
        ask(&w, "PUT", "/v2/my-app/manifests/artifact", str_of(artifact), INDEX_TYPE, NULL, &a),
        201);
    cleanup_free char *digest = text_dup(header(&a, "Docker-Content-Digest"));
    free(check_shell(remove)); /* as if it had been pushed before there was a list */
    cleanup_free char *index =
        text_format("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" OCI_INDEX
                    "\",\"digest\":\"%s\",\"size\":%zu}]}",
                    digest, strlen(artifact));
    cleanup_free char *tag = text_format("/v2/my-app/manifests/sha512-%.64s", subject + 7);
    CHECK_EQ(ask(&w, "PUT", tag, str_of(index), INDEX_TYPE, NULL, &a), 201);
    CHECK_EQ(ask(&w, "GET", list, NOTHING, NULL, NULL, &a), 200);
    cleanup_json struct json *found = json_parse(strbuf_str(&a.body), &err);
    CHECK_EQ(json_size(json_get(found, "manifests")), 1);
    CHECK_TEXT(json_get_cstr(json_at(json_get(found, "manifests"), 0), "artifactType", ""), "a/b");
}

/* image-3 image-4: properties, annotations and media types that nobody knows are kept, not judged
 */
TEST(what_a_manifest_says_beyond_what_is_known_is_kept)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *config = push_blob(&w, "my-app", STR("not JSON"));
    cleanup_free char *layer = push_blob(&w, "my-app", STR("no archive"));
    cleanup_free char *bytes = text_format(
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST
        "\",\"artifactType\":\"application/x.nobody+knows\","
        "\"config\":{\"mediaType\":\"x/"
        "config\",\"digest\":\"%s\",\"size\":8,\"future\":1},\"layers\":[{\"mediaType\":"
        "\"x/"
        "layer\",\"digest\":\"%s\",\"size\":10,\"data\":\"bm8gYXJjaGl2ZQ==\"}],\"future\":{\"a\":["
        "null]},"
        "\"annotations\":{\"nobody.knows\":\"\"}}",
        config, layer);
    cleanup_free char *no_layers =
        text_format("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/"
                    "config\",\"digest\":\"%s\",\"size\":8},\"layers\":[]}",
                    config);

    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/future", str_of(bytes), MANIFEST_TYPE, NULL, &a),
             201);
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/manifests/future", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), bytes);
    CHECK_EQ(
        ask(&w, "PUT", "/v2/my-app/manifests/bare", str_of(no_layers), MANIFEST_TYPE, NULL, &a),
        201);
}

/* image-5: what an index names without a type that we know is a manifest of the repository, or a
 * blob, as BuildKit's cache has it: its layers in an index. */
TEST(an_index_may_name_what_nobody_knows)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct registry_gc gc = {0};
    struct err err = {0};
    cleanup_free char *layer = push_blob(&w, "my-app", STR("cached layer"));
    cleanup_free char *text = text_dup("a manifest of its own kind");
    cleanup_free char *manifest = digest_of(str_of(text));
    const char form[] =
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[{\"mediaType\":"
        "\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"%s\",\"size\":%d},"
        "{\"mediaType\":\"x/manifest\",\"digest\":\"%s\",\"size\":26}]}";
    cleanup_free char *index = text_format(form, layer, 12, manifest);
    cleanup_free char *wrong_size = text_format(form, layer, 13, manifest);
    cleanup_free char *absent = digest_of(STR("absent"));
    cleanup_free char *names_absent = text_format(form, absent, 12, manifest);
    cleanup_free char *blob = text_format("/v2/my-app/blobs/%s", layer);

    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/own", str_of(text), "Content-Type: x/manifest",
                 NULL, &a),
             201);
    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/v1", str_of(names_absent), INDEX_TYPE, NULL, &a),
             404);
    CHECK_TEXT(error_code(&a), "MANIFEST_BLOB_UNKNOWN");
    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/v1", str_of(wrong_size), INDEX_TYPE, NULL, &a),
             400);
    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/v1", str_of(index), INDEX_TYPE, NULL, &a), 201);
    CHECK_EQ(ask(&w, "DELETE", blob, NOTHING, NULL, NULL, &a), 405); /* the index needs it */
    CHECK(registry_collect(w.reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &err));
    CHECK_TEXT(err.message, "");
    CHECK_EQ(gc.blobs_removed, 0);
    CHECK_EQ(ask(&w, "GET", blob, NOTHING, NULL, NULL, &a), 200);
}

/* ---- errors and warnings ---- */

/* api-3: each code that an answer of 4xx may have; the last two are older than 1.1. */
static const char *const codes[] = {
    "BLOB_UNKNOWN",          "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID",    "MANIFEST_UNKNOWN",    "NAME_INVALID",
    "NAME_UNKNOWN",          "SIZE_INVALID",        "UNAUTHORIZED",        "DENIED",
    "UNSUPPORTED",           "TOOMANYREQUESTS",     "TAG_INVALID"};

#define CODE(name, wire, status) ERR_##name,
static const enum err_code all_codes[] = {
#include "base/codes.def"
};
#undef CODE

/* api-2 api-3 */
TEST(every_error_of_ours_is_one_of_the_specification_s)
{
    for (size_t c = 1; c < ARRAY_COUNT(all_codes); c++) { /* the first is none */
        int status;
        const char *wire = registry_error_code(all_codes[c], &status);
        bool is_known = status >= 500;
        for (size_t i = 0; i < ARRAY_COUNT(codes); i++)
            is_known = is_known || strcmp(codes[i], wire) == 0;
        if (!is_known)
            fprintf(stderr, "%s is %d %s\n", err_wire(all_codes[c]), status, wire);
        CHECK(is_known);
        CHECK(strspn(wire, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == strlen(wire));
    }
}

/* api-1 api-4 */
TEST(an_error_is_json_that_says_what_is_wrong)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct err err = {0};
    const char *const paths[] = {"/v2/my-app/manifests/none", "/v2/nowhere/tags/list",
                                 "/v2/my-app/referrers/x", "/v2/my-app/blobs/uploads/none"};

    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        CHECK(ask(&w, "GET", paths[i], NOTHING, NULL, NULL, &a) >= 400);
        CHECK(str_starts(str_of(header(&a, "Content-Type")), STR("application/json")));
        cleanup_json struct json *said = json_parse(strbuf_str(&a.body), &err);
        const struct json *first = json_at(json_get(said, "errors"), 0);
        CHECK_EQ(json_size(said), 1);
        CHECK(json_type(json_get(first, "code")) == JSON_TEXT);
        CHECK(strlen(json_get_cstr(first, "message", "")) > 10);
    }
}

/* api-5 api-6 */
TEST(a_warning_is_of_nobody_and_has_no_date)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};

    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list?n=10001", NOTHING, NULL, NULL, &a), 200);
    const struct str warning = str_of(header(&a, "Warning"));
    CHECK(str_starts(warning, STR("299 - \"")) && str_ends(warning, STR("\"")));
    CHECK(warning.len < 4096);
    CHECK_EQ(str_index(str_slice(warning, 7, warning.len - 1), '"'),
             -1); /* nothing behind the text */
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list?n=10000", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(header(&a, "Warning"), "");
}

/* delete-4 delete-6 */
TEST(a_delete_in_no_repository_finds_nothing)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *digest = push_image(&w, "my-app", "v1", "content");
    cleanup_free char *manifest = text_format("/v2/nowhere/manifests/%s", digest);
    cleanup_free char *blob = text_format("/v2/nowhere/blobs/%s", digest);

    CHECK_EQ(ask(&w, "DELETE", manifest, NOTHING, NULL, NULL, &a), 404);
    CHECK_TEXT(error_code(&a), "NAME_UNKNOWN");
    CHECK_EQ(ask(&w, "DELETE", blob, NOTHING, NULL, NULL, &a), 404);
}
