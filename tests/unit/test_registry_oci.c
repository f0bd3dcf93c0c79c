/* SPDX-License-Identifier: MIT */
/* What the OCI distribution specification 1.1 asks of a registry, sentence by sentence. */
#include "registry_world.h"

/* push-7 push-8 image-1 */
TEST(blobs_and_manifests_go_by_sha512_too)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct registry_gc gc = {0};
    struct err err = {0};
    const struct str bytes = STR("hashed by the other one");
    cleanup_free char *blob = digest512_of(bytes), *wrong = digest512_of(STR("something else"));
    cleanup_free char *push = text_format("/v2/my-app/blobs/uploads/?digest=%s", blob);
    cleanup_free char *bad = text_format("/v2/my-app/blobs/uploads/?digest=%s", wrong);
    cleanup_free char *there = text_format("/v2/my-app/blobs/%s", blob);
    cleanup_free char *folders = text_format("%s/blobs/sha512", w.dir);

    CHECK_EQ(ask(&w, "POST", bad, bytes, NULL, NULL, &a), 400);
    CHECK_TEXT(error_code(&a), "DIGEST_INVALID");
    CHECK(!file_exists(folders)); /* they come with what is to be in them */
    CHECK_EQ(ask(&w, "POST", push, bytes, NULL, NULL, &a), 201);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), blob);
    CHECK_TEXT(header(&a, "Location"), there);
    CHECK_EQ(ask(&w, "GET", there, (struct str){0}, NULL, NULL, &a), 200);
    CHECK(str_equal(strbuf_str(&a.body), bytes));
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), blob);

    cleanup_free char *manifest = manifest_text(blob, bytes.len, blob, bytes.len);
    cleanup_free char *digest = digest512_of(str_of(manifest));
    cleanup_free char *exact = text_format("/v2/my-app/manifests/%s", digest);
    CHECK_EQ(ask(&w, "PUT", exact, str_of(manifest), "Content-Type: " OCI_MANIFEST, NULL, &a), 201);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), digest);
    CHECK_TEXT(header(&a, "Location"), exact);
    CHECK_EQ(ask(&w, "HEAD", exact, (struct str){0}, NULL, NULL, &a), 200);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), digest);

    /* What it names is kept, what nobody names goes. */
    cleanup_free char *loose = digest512_of(STR("loose"));
    cleanup_free char *push_loose = text_format("/v2/my-app/blobs/uploads/?digest=%s", loose);
    CHECK_EQ(ask(&w, "POST", push_loose, STR("loose"), NULL, NULL, &a), 201);
    CHECK(registry_collect(w.reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &err));
    CHECK_EQ(gc.blobs_removed, 1);
    CHECK_EQ(ask(&w, "GET", there, (struct str){0}, NULL, NULL, &a), 200);
    CHECK_EQ(ask(&w, "DELETE", exact, (struct str){0}, NULL, NULL, &a), 202);
    CHECK_EQ(ask(&w, "GET", exact, (struct str){0}, NULL, NULL, &a), 404);
}

#define NOTHING ((struct str){0})
#define EMPTY_TYPE "application/vnd.oci.empty.v1+json"
#define SBOM "application/vnd.example.sbom.v1"

static char *
manifests_path(const char *reference)
{
    return text_format("/v2/my-app/manifests/%s", reference);
}

/* An artifact as oras pushes them: an empty config, a subject, an annotation. Gives its digest. */
static char *
push_artifact(struct world *w, const char *subject, const char *type, const char *note)
{
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *empty = push_blob(w, "my-app", STR("{}"));
    cleanup_free char *bytes = text_format(
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST "\",%s%s%s\"config\":{\"mediaType\":"
        "\"" EMPTY_TYPE "\",\"digest\":\"%s\",\"size\":2},\"layers\":[{\"mediaType\":\"" EMPTY_TYPE
        "\",\"digest\":\"%s\",\"size\":2}],\"subject\":{\"mediaType\":\"" OCI_MANIFEST
        "\",\"digest\":\"%s\",\"size\":7},\"annotations\":{\"note\":\"%s\"}}",
        type ? "\"artifactType\":\"" : "", type ? type : "", type ? "\"," : "", empty, empty,
        subject, note);
    char *digest = digest_of(str_of(bytes));
    cleanup_free char *path = manifests_path(digest);

    CHECK_EQ(ask(w, "PUT", path, str_of(bytes), "Content-Type: " OCI_MANIFEST, NULL, &a), 201);
    CHECK_TEXT(header(&a, "OCI-Subject"), subject);
    return digest;
}

/* The descriptors of an answer of the referrers API. */
static struct json *
referrers(struct world *w, const char *subject, const char *query, struct http_answer *a)
{
    struct err err = {0};
    cleanup_free char *path = text_format("/v2/my-app/referrers/%s%s", subject, query);

    CHECK_EQ(ask(w, "GET", path, NOTHING, NULL, NULL, a), 200);
    CHECK_TEXT(header(a, "Content-Type"), OCI_INDEX);
    cleanup_json struct json *index = json_parse(strbuf_str(&a->body), &err);
    CHECK_EQ(json_get_i64(index, "schemaVersion", 0), 2);
    CHECK_TEXT(json_get_cstr(index, "mediaType", ""), OCI_INDEX);
    CHECK(json_type(json_get(index, "manifests")) == JSON_ARRAY);
    return json_ref(json_get(index, "manifests"));
}

/* ---- pull ---- */

/* pull-5 pull-7 pull-8 pull-15 pull-16 pull-17 */
TEST(a_pull_gives_the_bytes_that_were_pushed_with_their_type_and_digest)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *digest = push_image(&w, "my-app", "v1", "content");
    cleanup_free char *by_digest = manifests_path(digest);
    const char *const paths[] = {by_digest, "/v2/my-app/manifests/v1"};

    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        CHECK_EQ(ask(&w, "GET", paths[i], NOTHING, "Accept: " OCI_MANIFEST, NULL, &a), 200);
        cleanup_free char *got = digest_of(strbuf_str(&a.body));
        CHECK_TEXT(got, digest);
        CHECK_TEXT(header(&a, "Docker-Content-Digest"), digest);
        CHECK_TEXT(header(&a, "Content-Type"), OCI_MANIFEST); /* without parameters */
        cleanup_free char *size = text_format("%zu", a.body.len);
        CHECK_EQ(ask(&w, "HEAD", paths[i], NOTHING, NULL, NULL, &a), 200);
        CHECK_TEXT(header(&a, "Content-Length"), size);
        CHECK_TEXT(header(&a, "Docker-Content-Digest"), digest);
        CHECK_EQ(a.body.len, 0);
    }
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/manifests/.INVALID_NAME", NOTHING, NULL, NULL, &a), 404);
    CHECK_EQ(ask(&w, "HEAD", "/v2/my-app/manifests/none", NOTHING, NULL, NULL, &a), 404);
    CHECK_EQ(ask(&w, "GET", "/v2/nowhere/manifests/v1", NOTHING, NULL, NULL, &a), 404);
    CHECK_TEXT(error_code(&a), "NAME_UNKNOWN");
}

/* pull-14 */
TEST(who_has_it_already_is_told_so)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *manifest = push_image(&w, "my-app", "v1", "content");
    cleanup_free char *blob = digest_of(STR("content"));
    cleanup_free char *blob_path = text_format("/v2/my-app/blobs/%s", blob);
    cleanup_free char *has_blob = text_format("If-None-Match: \"other\", \"%s\"", blob);
    cleanup_free char *has_manifest = text_format("If-None-Match: W/\"%s\"", manifest);
    cleanup_free char *same = text_format("If-Range: \"%s\"", blob);

    CHECK_EQ(ask(&w, "GET", blob_path, NOTHING, has_blob, NULL, &a), 304);
    CHECK_EQ(a.body.len, 0);
    CHECK_TEXT(header(&a, "Content-Length"), "7"); /* that of a 200, or none (RFC 9110, 8.6) */
    CHECK_EQ(ask(&w, "HEAD", blob_path, NOTHING, has_blob, NULL, &a), 304);
    CHECK_TEXT(header(&a, "Content-Length"), "7");
    CHECK_EQ(ask(&w, "GET", blob_path, NOTHING, "If-None-Match: \"other\"", NULL, &a), 200);
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/manifests/v1", NOTHING, NULL, NULL, &a), 200);
    cleanup_free char *length = text_dup(header(&a, "Content-Length"));
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/manifests/v1", NOTHING, has_manifest, NULL, &a), 304);
    CHECK_EQ(a.body.len, 0);
    CHECK_TEXT(header(&a, "Content-Length"), length);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), manifest);
    CHECK_EQ(ask(&w, "GET", blob_path, NOTHING, "Range: bytes=0-2", same, &a), 206);
    CHECK_TEXT(strbuf_cstr(&a.body), "con");
    CHECK_EQ(ask(&w, "GET", blob_path, NOTHING, "Range: bytes=0-2", "If-Range: \"x\"", &a), 200);
}

/* ---- push ---- */

/* push-5 push-12 push-13 push-14 push-15 push-16 */
TEST(an_upload_says_where_it_stands_and_takes_only_what_comes_next)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *digest = digest_of(STR("first second third"));

    CHECK_EQ(ask(&w, "POST", "/v2/my-app/blobs/uploads/", NOTHING, NULL, NULL, &a), 202);
    cleanup_free char *at = text_dup(header(&a, "Location"));
    CHECK_EQ(ask(&w, "PATCH", at, STR("first "), "Content-Range: 0-5", NULL, &a), 202);
    CHECK_TEXT(header(&a, "Range"), "0-5");
    CHECK_TEXT(header(&a, "Location"), at);
    const char *const wrong[] = {"Content-Range: 0-5", "Content-Range: 5-10",
                                 "Content-Range: 7-12", "Content-Range: six-eleven"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK_EQ(ask(&w, "PATCH", at, STR("second"), wrong[i], NULL, &a), 416);
        CHECK_TEXT(header(&a, "Range"), "0-5");
        CHECK_TEXT(header(&a, "Location"), at);
        CHECK_TEXT(error_code(&a), "BLOB_UPLOAD_INVALID");
    }
    CHECK_EQ(ask(&w, "GET", at, NOTHING, NULL, NULL, &a), 204);
    CHECK_TEXT(header(&a, "Range"), "0-5");
    CHECK_TEXT(header(&a, "Location"), at);
    CHECK_EQ(ask(&w, "PATCH", at, STR("second "), NULL, NULL, &a), 202); /* streamed */
    CHECK_TEXT(header(&a, "Range"), "0-12");
    cleanup_free char *end = text_format("%s?digest=%s", at, digest);
    CHECK_EQ(ask(&w, "PUT", end, STR("third"), "Content-Range: 12-16", NULL, &a), 416);
    CHECK_EQ(ask(&w, "PUT", at, STR("third"), NULL, NULL, &a), 400); /* no digest */
    CHECK_TEXT(error_code(&a), "DIGEST_INVALID");
    CHECK_EQ(ask(&w, "PUT", end, STR("third"), "Content-Range: 13-17", NULL, &a), 201);
    cleanup_free char *blob = text_format("/v2/my-app/blobs/%s", digest);
    CHECK_TEXT(header(&a, "Location"), blob);
    CHECK_EQ(ask(&w, "GET", blob, NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "first second third");
    CHECK_EQ(ask(&w, "GET", at, NOTHING, NULL, NULL, &a), 404);
    CHECK_TEXT(error_code(&a), "BLOB_UPLOAD_UNKNOWN");
}

/* push-17 push-18 */
TEST(a_blob_is_mounted_from_where_it_is_or_uploaded)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct err err = {0};
    cleanup_free char *digest = push_blob(&w, "my-app", STR("shared"));
    cleanup_free char *absent = digest_of(STR("absent"));
    cleanup_free char *mounted = text_format("/v2/other/blobs/%s", digest);
    const struct {
        const char *digest, *from;
        int status;
    } cases[] = {
        {absent, "", 202},          {absent, "&from=my-app", 202}, {"sha256:1", "&from=my-app", 202},
        {digest, "&from=none", 202}, {digest, "&from=NO", 202},    {digest, "&from=my-app", 201},
        {digest, "", 201},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CHECK(registry_repository_create(w.reg, REGION, "other", NULL, &err));
        cleanup_free char *path = text_format("/v2/other/blobs/uploads/?mount=%s%s",
                                              cases[i].digest, cases[i].from);
        CHECK_EQ(ask(&w, "POST", path, NOTHING, NULL, NULL, &a), cases[i].status);
        if (cases[i].status == 201)
            CHECK_TEXT(header(&a, "Location"), mounted);
        CHECK_EQ(ask(&w, "GET", mounted, NOTHING, NULL, NULL, &a),
                 cases[i].status == 201 ? 200 : 404);
        CHECK(registry_repository_delete(w.reg, REGION, "other", true, &err));
    }
}

/* pull-5 pull-6 push-19 push-21 image-2 image-7 */
TEST(a_manifest_of_any_type_is_kept_byte_by_byte)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *config = push_blob(&w, "my-app", STR("{}"));
    cleanup_free char *layer = push_blob(&w, "my-app", STR("layer"));
    cleanup_free char *docker = text_format(
        "{\"schemaVersion\":2,\"mediaType\":\"" DOCKER_MANIFEST "\",\"config\":{\"mediaType\":"
        "\"a/b\",\"digest\":\"%s\",\"size\":2},\"layers\":[{\"mediaType\":\"a/c\",\"digest\":"
        "\"%s\",\"size\":5}]}",
        config, layer);
    cleanup_free char *foreign = text_format(
        "{\"blobs\":[{\"mediaType\":\"a/c\",\"digest\":\"%s\",\"size\":5}]}\n", layer);
    const struct {
        const char *tag, *type, *bytes;
    } cases[] = {
        {"docker", DOCKER_MANIFEST, docker},
        {"artifact", "application/vnd.oci.artifact.manifest.v1+json", foreign},
        {"text", "text/plain", "no JSON at all"},
        {"none", OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":[]}"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        cleanup_free char *path = manifests_path(cases[i].tag);
        cleanup_free char *type = text_format("Content-Type: %s;charset=utf-8", cases[i].type);
        CHECK_EQ(ask(&w, "PUT", path, str_of(cases[i].bytes), type, NULL, &a), 201);
        cleanup_free char *location = text_dup(header(&a, "Location"));
        CHECK_EQ(ask(&w, "GET", location, NOTHING, NULL, NULL, &a), 200);
        CHECK_TEXT(strbuf_cstr(&a.body), cases[i].bytes);
        CHECK_TEXT(header(&a, "Content-Type"), cases[i].type);
    }
    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/v1", STR("{}"), "Content-Type: nonsense", NULL,
                 &a),
             400);
    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/v1", STR("{}"),
                 "Content-Type: application/vnd.docker.distribution.manifest.v1+json", NULL, &a),
             400);
    /* Garbage is what none of them names: the layer stays, also for the one of a strange type. */
    struct registry_gc gc = {0};
    struct err err = {0};
    CHECK_EQ(ask(&w, "DELETE", "/v2/my-app/manifests/docker", NOTHING, NULL, NULL, &a), 202);
    cleanup_free char *of_docker = digest_of(str_of(docker));
    cleanup_free char *path = manifests_path(of_docker);
    CHECK_EQ(ask(&w, "DELETE", path, NOTHING, NULL, NULL, &a), 202);
    CHECK(registry_collect(w.reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &err));
    CHECK_EQ(gc.blobs_removed, 2); /* Docker's manifest and its config */
}

/* push-26 push-27 */
TEST(four_megabytes_are_a_manifest_and_one_byte_more_is_not)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct strbuf bytes = {0};

    strbuf_add_cstr(&bytes, "{\"schemaVersion\":2,\"manifests\":[],\"annotations\":{\"a\":\"");
    while (bytes.len < REGISTRY_MANIFEST_MAX - 3)
        strbuf_add_char(&bytes, 'x');
    strbuf_add_cstr(&bytes, "\"}}");
    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/big", strbuf_str(&bytes),
                 "Content-Type: " OCI_INDEX, NULL, &a),
             201);
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/manifests/big", NOTHING, NULL, NULL, &a), 200);
    CHECK_EQ(a.body.len, REGISTRY_MANIFEST_MAX);
    strbuf_add_char(&bytes, '\n');
    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/big", strbuf_str(&bytes),
                 "Content-Type: " OCI_INDEX, NULL, &a),
             413);
    strbuf_done(&bytes);
}

TEST(a_tag_changes_only_if_it_is_what_the_client_thinks)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    const char *const type = "Content-Type: " OCI_INDEX, *const path = "/v2/my-app/manifests/v1";
    const struct str first = STR("{\"schemaVersion\":2,\"manifests\":[]}");
    const struct str second = STR("{\"schemaVersion\":2, \"manifests\":[]}");
    cleanup_free char *digest = digest_of(first);
    cleanup_free char *is_first = text_format("If-Match: \"%s\"", digest);

    CHECK_EQ(ask(&w, "PUT", path, first, type, is_first, &a), 412);
    CHECK_TEXT(error_code(&a), "DENIED");
    CHECK_EQ(ask(&w, "PUT", path, first, type, "If-None-Match: *", &a), 201);
    CHECK_EQ(ask(&w, "PUT", path, second, type, "If-None-Match: *", &a), 412);
    CHECK_EQ(ask(&w, "PUT", path, second, type, is_first, &a), 201);
    CHECK_EQ(ask(&w, "PUT", path, first, type, is_first, &a), 412);
}

/* ---- content discovery ---- */

/* list-1 list-2 list-3 list-4 list-5 */
TEST(tags_are_listed_in_order_in_pages_and_not_at_all)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    const char *const tags[] = {"b", "a", "c"};

    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"name\":\"my-app\",\"tags\":[]}");
    for (size_t i = 0; i < ARRAY_COUNT(tags); i++)
        free(push_image(&w, "my-app", tags[i], tags[i]));
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"name\":\"my-app\",\"tags\":[\"a\",\"b\",\"c\"]}");
    CHECK_TEXT(header(&a, "Link"), "");
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list?n=2", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"name\":\"my-app\",\"tags\":[\"a\",\"b\"]}");
    CHECK_TEXT(header(&a, "Link"), "</v2/my-app/tags/list?last=b&n=2>; rel=\"next\"");
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list?last=b&n=2", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"name\":\"my-app\",\"tags\":[\"c\"]}");
    CHECK_TEXT(header(&a, "Link"), "");
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list?n=0", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"name\":\"my-app\",\"tags\":[]}");
    CHECK_TEXT(header(&a, "Link"), "");
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list?last=a", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"name\":\"my-app\",\"tags\":[\"b\",\"c\"]}");
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list?n=20000", NOTHING, NULL, NULL, &a), 200);
    CHECK(str_starts(str_of(header(&a, "Warning")), STR("299 - \"")));
    CHECK_EQ(ask(&w, "GET", "/v2/nowhere/tags/list", NOTHING, NULL, NULL, &a), 404);
    free(push_image(&w, "my-app", "B", "B")); /* in the order of bytes, which is one of the two that may be */
    free(push_image(&w, "my-app", "b-1", "b-1"));
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list?n=3", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"name\":\"my-app\",\"tags\":[\"B\",\"a\",\"b\"]}");
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list?n=3&last=b", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"name\":\"my-app\",\"tags\":[\"b-1\",\"c\"]}");
}

TEST(repositories_are_listed_in_pages)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct err err = {0};

    CHECK(registry_repository_create(w.reg, REGION, "a/b", NULL, &err));
    CHECK(registry_repository_create(w.reg, "eu-west-1", "elsewhere", NULL, &err));
    CHECK_EQ(ask(&w, "GET", "/v2/_catalog", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"repositories\":[\"a/b\",\"my-app\"]}");
    CHECK_EQ(ask(&w, "GET", "/v2/_catalog?n=1", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"repositories\":[\"a/b\"]}");
    CHECK_TEXT(header(&a, "Link"), "</v2/_catalog?last=a%2Fb&n=1>; rel=\"next\"");
    CHECK_EQ(ask(&w, "GET", "/v2/_catalog?last=a%2Fb&n=1", NOTHING, NULL, NULL, &a), 200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"repositories\":[\"my-app\"]}");
    CHECK_TEXT(header(&a, "Link"), "");
    CHECK_EQ(ask(&w, "GET", "/v2/_catalog",  NOTHING,
                 "Host: " ACCOUNT ".dkr.ecr.eu-west-1.amazonaws.com", NULL, &a),
             200);
    CHECK_TEXT(strbuf_cstr(&a.body), "{\"repositories\":[\"elsewhere\"]}");
}

/* push-1 list-6 list-7 list-8 list-9 list-10 list-11 list-13 list-15 list-16 list-18 */
TEST(referrers_come_with_type_and_annotations_before_and_after_their_subject)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *subject = digest_of(STR("later"));
    cleanup_json struct json *none = referrers(&w, subject, "", &a);

    CHECK_EQ(json_size(none), 0);
    CHECK_TEXT(header(&a, "OCI-Filters-Applied"), "");
    cleanup_free char *sbom = push_artifact(&w, subject, SBOM, "one");
    cleanup_free char *plain = push_artifact(&w, subject, NULL, "two");
    cleanup_json struct json *both = referrers(&w, subject, "", &a);
    CHECK_EQ(json_size(both), 2);
    const struct json *typed = json_find(both, "digest", sbom);
    CHECK_TEXT(json_get_cstr(typed, "artifactType", ""), SBOM);
    CHECK_TEXT(json_get_cstr(typed, "mediaType", ""), OCI_MANIFEST);
    CHECK_TEXT(json_get_cstr(json_get(typed, "annotations"), "note", ""), "one");
    CHECK(json_get_i64(typed, "size", 0) > 300);
    const struct json *untyped = json_find(both, "digest", plain);
    CHECK_TEXT(json_get_cstr(untyped, "artifactType", ""), EMPTY_TYPE); /* its config's */
    cleanup_json struct json *filtered =
        referrers(&w, subject, "?artifactType=application%2Fvnd.example.sbom.v1", &a);
    CHECK_TEXT(header(&a, "OCI-Filters-Applied"), "artifactType");
    CHECK_EQ(json_size(filtered), 1);
    CHECK_TEXT(json_get_cstr(json_at(filtered, 0), "digest", ""), sbom);

    cleanup_free char *gone = manifests_path(sbom);
    CHECK_EQ(ask(&w, "DELETE", gone, NOTHING, NULL, NULL, &a), 202);
    cleanup_json struct json *left = referrers(&w, subject, "", &a);
    CHECK_EQ(json_size(left), 1);
    CHECK_EQ(files_in(&w, "registry/" REGION "/my-app/_referrers"), 1); /* nothing of it stays */
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/referrers/sha256:1", NOTHING, NULL, NULL, &a), 400);
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/referrers/latest", NOTHING, NULL, NULL, &a), 400);
    cleanup_free char *nowhere = text_format("/v2/nowhere/referrers/%s", subject);
    CHECK_EQ(ask(&w, "GET", nowhere, NOTHING, NULL, NULL, &a), 404);
}

/* Whoever looks for a signature must not take a bad disk for none. */
TEST(a_referrer_that_cannot_be_read_is_said)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *subject = digest_of(STR("later"));
    cleanup_free char *good = push_artifact(&w, subject, SBOM, "one"), *bad = push_artifact(&w, subject, SBOM, "two");
    cleanup_free char *blob = blob_path(w.reg, str_of(bad));

    CHECK_EQ(unlink(blob), 0);
    const struct log_catch log = log_catch_begin();
    cleanup_json struct json *found = referrers(&w, subject, "", &a);
    cleanup_free char *said = log_catch_end(&log);
    CHECK_EQ(json_size(found), 1);
    CHECK_TEXT(json_get_cstr(json_at(found, 0), "digest", ""), good);
    CHECK(strstr(said, bad) != NULL);
    CHECK(strstr(said, good) == NULL);
}

/* push-28 list-12 list-18 */
TEST(an_index_refers_to_its_subject_without_a_type_of_its_own)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *subject = digest512_of(STR("anything"));
    cleanup_free char *index = text_format(
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[],\"subject\":{"
        "\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":8}}",
        subject);

    CHECK_EQ(ask(&w, "PUT", "/v2/my-app/manifests/v1", str_of(index), "Content-Type: " OCI_INDEX,
                 NULL, &a),
             201);
    CHECK_TEXT(header(&a, "OCI-Subject"), subject);
    cleanup_json struct json *found = referrers(&w, subject, "", &a);
    CHECK_EQ(json_size(found), 1);
    CHECK(json_get(json_at(found, 0), "artifactType") == NULL);
    CHECK_TEXT(json_get_cstr(json_at(found, 0), "mediaType", ""), OCI_INDEX);
}

/* list-17 */
TEST(referrers_that_older_clients_noted_under_a_tag_are_listed)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *subject = digest_of(STR("subject"));
    cleanup_free char *artifact = push_artifact(&w, subject, SBOM, "old");
    cleanup_free char *stranger = push_image(&w, "my-app", "v1", "no referrer");
    cleanup_free char *remove = text_format("rm -r %s/registry/*/my-app/_referrers", w.dir);

    /* As it was pushed before there was a referrers API: nobody noted it but the client. */
    free(check_shell(remove));
    cleanup_json struct json *none = referrers(&w, subject, "", &a);
    CHECK_EQ(json_size(none), 0);
    cleanup_free char *of_artifact = manifests_path(artifact);
    CHECK_EQ(ask(&w, "GET", of_artifact, NOTHING, NULL, NULL, &a), 200);
    const size_t artifact_size = a.body.len;
    cleanup_free char *of_stranger = manifests_path(stranger);
    CHECK_EQ(ask(&w, "GET", of_stranger, NOTHING, NULL, NULL, &a), 200);
    cleanup_free char *index = text_format(
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[{\"mediaType\":\""
        OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu},{\"mediaType\":\"" OCI_MANIFEST
        "\",\"digest\":\"%s\",\"size\":%zu}]}",
        artifact, artifact_size, stranger, a.body.len);
    cleanup_free char *tag = text_format("/v2/my-app/manifests/sha256-%s", subject + 7);
    CHECK_EQ(ask(&w, "PUT", tag, str_of(index), "Content-Type: " OCI_INDEX, NULL, &a), 201);
    cleanup_json struct json *found = referrers(&w, subject, "", &a);
    CHECK_EQ(json_size(found), 1);
    CHECK_TEXT(json_get_cstr(json_at(found, 0), "digest", ""), artifact);
}

/* list-14 */
TEST(more_referrers_than_fit_come_in_pages)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *subject = digest_of(STR("subject"));
    cleanup_free char *note = mem_new((1 << 20) + 1);

    memset(note, 'x', 1 << 20);
    for (int i = 0; i < 4; i++) {
        note[0] = (char)('a' + i);
        free(push_artifact(&w, subject, SBOM, note));
    }
    cleanup_json struct json *first = referrers(&w, subject, "?artifactType=" SBOM, &a);
    CHECK_EQ(json_size(first), 2);
    struct str link = str_of(header(&a, "Link"));
    CHECK(str_ends(link, STR(">; rel=\"next\"")));
    struct str next = str_slice(link, 1, link.len - 13);
    cleanup_free char *query = str_dup(str_slice(next, (size_t)str_index(next, '?'), next.len));
    cleanup_json struct json *second = referrers(&w, subject, query, &a);
    CHECK_EQ(json_size(second), 2);
    CHECK_TEXT(header(&a, "Link"), "");
    for (size_t i = 0; i < 2; i++)
        CHECK(json_find(first, "digest", json_get_cstr(json_at(second, i), "digest", "")) == NULL);
}

/* ---- content management ---- */

/* delete-1 delete-2 delete-3 delete-5 delete-6 */
TEST(a_tag_goes_without_its_image_and_an_image_with_its_tags)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *digest = push_image(&w, "my-app", "v1", "content");
    cleanup_free char *by_digest = manifests_path(digest);
    cleanup_free char *blob = digest_of(STR("content"));
    cleanup_free char *blob_path = text_format("/v2/my-app/blobs/%s", blob);

    free(push_image(&w, "my-app", "v2", "content"));
    CHECK_EQ(ask(&w, "DELETE", "/v2/my-app/manifests/v1", NOTHING, NULL, NULL, &a), 202);
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/manifests/v1", NOTHING, NULL, NULL, &a), 404);
    CHECK_EQ(ask(&w, "DELETE", "/v2/my-app/manifests/v1", NOTHING, NULL, NULL, &a), 404);
    CHECK_EQ(ask(&w, "GET", by_digest, NOTHING, NULL, NULL, &a), 200);
    CHECK_EQ(ask(&w, "DELETE", blob_path, NOTHING, NULL, NULL, &a), 405); /* an image needs it */
    CHECK_EQ(ask(&w, "DELETE", by_digest, NOTHING, NULL, NULL, &a), 202);
    CHECK_EQ(ask(&w, "GET", by_digest, NOTHING, NULL, NULL, &a), 404);
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/manifests/v2", NOTHING, NULL, NULL, &a), 404);
    CHECK_EQ(ask(&w, "DELETE", by_digest, NOTHING, NULL, NULL, &a), 404);
    CHECK_EQ(ask(&w, "DELETE", blob_path, NOTHING, NULL, NULL, &a), 202);
    CHECK_EQ(ask(&w, "GET", blob_path, NOTHING, NULL, NULL, &a), 404);
    CHECK_EQ(ask(&w, "DELETE", blob_path, NOTHING, NULL, NULL, &a), 404);
    CHECK_TEXT(error_code(&a), "BLOB_UNKNOWN");
    CHECK_EQ(ask(&w, "DELETE", "/v2/nowhere/manifests/v1", NOTHING, NULL, NULL, &a), 404);
}
