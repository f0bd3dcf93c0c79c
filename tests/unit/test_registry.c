/* SPDX-License-Identifier: MIT */
/* The registry's own functions: names, repositories, images, garbage. */
#include "registry_world.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/manifest.h"
#include "registry/reference.h"

#define HOUR_MS (3600LL * 1000)

static bool
member_set(void *arg, struct json *document, struct err *err)
{
    (void)err;
    json_set(document, "policy", json_text(arg));
    return arg != NULL;
}

TEST(a_region_s_registry_keeps_a_document_of_its_own)
{
    REGISTRY(w);
    struct err err = {0};
    cleanup_json struct json *none = NULL, *there = NULL, *names = NULL, *elsewhere = NULL;

    CHECK(registry_document_get(w.reg, REGION, &none, &err));
    CHECK_EQ(json_size(none), 0);
    CHECK(registry_document_change(w.reg, REGION, member_set, "p", &err));
    CHECK(!registry_document_change(w.reg, REGION, member_set, NULL, &err)); /* changed its mind */
    CHECK(registry_document_get(w.reg, REGION, &there, &err));
    CHECK_TEXT(json_get_cstr(there, "policy", ""), "p");
    CHECK(registry_document_change(w.reg, "eu-west-1", member_set, "q", &err)); /* made with it */
    CHECK(registry_document_get(w.reg, "eu-west-1", &elsewhere, &err));
    CHECK_TEXT(json_get_cstr(elsewhere, "policy", ""), "q");
    CHECK(registry_repository_list(w.reg, REGION, &names, &err));
    CHECK_EQ(json_size(names), 1); /* it is no repository */
    CHECK(!registry_document_get(w.reg, "../x", &none, &err));
}

/* pull-3 pull-4 */
TEST(names_follow_ecr_s_grammar)
{
    const char *const good[] = {"ab", "a1", "my-app", "team/my-app", "a.b_c-d/e1", "1/2/3"};
    const char *const bad[] = {"",    "a",    "A",    "a-",     "-ab",     "a//b",
                               "/ab", "ab/",  "a..b", "a__b",   "a/_tags", ".ab",
                               "a b", "ab\n", "../x", "a/../b", "ab:c",    "a@b"};

    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        CHECK(name_is_valid(str_of(good[i])));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        CHECK(!name_is_valid(str_of(bad[i])));
    char longest[REGISTRY_NAME_SIZE + 1];
    memset(longest, 'a', sizeof longest);
    longest[100] = '/';
    CHECK(name_is_valid((struct str){longest, 256}));
    CHECK(!name_is_valid((struct str){longest, 257}));
    CHECK(tag_is_valid(STR("v1.0-rc_1")) && tag_is_valid(STR("_")) && tag_is_valid(STR("V1")));
    CHECK(!tag_is_valid(STR("")) && !tag_is_valid(STR(".v1")) && !tag_is_valid(STR("-")) &&
          !tag_is_valid(STR("a/b")));
    memset(longest, 'a', sizeof longest);
    CHECK(tag_is_valid((struct str){longest, 128}) && !tag_is_valid((struct str){longest, 129}));
}

#define D "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

TEST(images_of_ours_are_recognised)
{
    REGISTRY(w);
    const struct {
        const char *image, *region, *repository, *tag, *digest;
    } ours[] = {
        {"localhost:4566/my-app", REGION, "my-app", "latest", ""},
        {"localhost:4566/my-app:v1", REGION, "my-app", "v1", ""},
        {"127.0.0.1:4566/team/my-app:v1", REGION, "team/my-app", "v1", ""},
        {"localhost:4566/my-app@" D, REGION, "my-app", "", D},
        {"localhost:4566/my-app:v1@" D, REGION, "my-app", "v1", D},
        {ACCOUNT ".dkr.ecr.us-east-1.amazonaws.com/my-app:v1", "us-east-1", "my-app", "v1", ""},
        {ACCOUNT ".dkr.ecr.us-east-1.amazonaws.com/my-app", "us-east-1", "my-app", "latest", ""},
        {"localhost:4566/" ACCOUNT ".dkr.ecr.us-east-1.amazonaws.com/my-app:v1", "us-east-1",
         "my-app", "v1", ""},
        /* As the files name it that come from AWS. */
        {"210987654321.dkr.ecr.us-east-1.amazonaws.com/my-app:v1", "us-east-1", "my-app", "v1", ""},
        {"210987654321.dkr.ecr." REGION ".amazonaws.com/my-app", REGION, "my-app", "latest", ""},
        {"210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn/my-app", "cn-north-1", "my-app", "latest", ""},
    };
    const char *const others[] = {"my-app",
                                  "nginx:1.25",
                                  "docker.io/library/nginx",
                                  "localhost:5000/my-app",
                                  "localhost/my-app",
                                  "21098765432.dkr.ecr.us-east-1.amazonaws.com/my-app",
                                  "localhost:4566/",
                                  "localhost:4566/My-App",
                                  "localhost:4566/my-app:",
                                  "localhost:4566/my-app@sha256:12",
                                  "localhost:4566/my-app@",
                                  "",
                                  "/",
                                  ":",
                                  "@",
                                  "localhost:4566/my-app:v1:v2",
                                  "localhost:45660/my-app",
                                  "evil.com/localhost:4566/ab",
                                  ACCOUNT ".dkr.ecr..amazonaws.com/my-app"};

    for (size_t i = 0; i < ARRAY_COUNT(ours); i++) {
        struct registry_image image;
        CHECK(registry_parse_image(w.reg, str_of(ours[i].image), &image));
        CHECK_TEXT(image.region, ours[i].region);
        CHECK_TEXT(image.repository, ours[i].repository);
        CHECK_TEXT(image.tag, ours[i].tag);
        CHECK_TEXT(image.digest, ours[i].digest);
        /* The URI that clients are given is read back as the same repository. */
        char text[REGISTRY_IMAGE_SIZE];
        struct registry_image again;
        registry_repository_uri(w.reg, image.region, image.repository, text);
        CHECK(registry_parse_image(w.reg, str_of(text), &again));
        CHECK_TEXT(again.repository, image.repository);
        CHECK_TEXT(again.region, image.region);
    }
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        struct registry_image image;
        CHECK(!registry_parse_image(w.reg, str_of(others[i]), &image));
    }
}

/* pull-14 */
TEST(ranges_are_read_as_the_rfc_says)
{
    const struct {
        const char *header;
        enum range_kind kind;
        long long first, count;
    } cases[] = {
        {"bytes=0-0", RANGE_PART, 0, 1},
        {"bytes=2-5", RANGE_PART, 2, 4},
        {"bytes=5-", RANGE_PART, 5, 5},
        {"bytes=-3", RANGE_PART, 7, 3},
        {"bytes=-30", RANGE_PART, 0, 10},
        {"bytes=0-99", RANGE_PART, 0, 10},
        {"bytes=10-", RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=5-2", RANGE_WHOLE, 0, 0},
        {"bytes=", RANGE_WHOLE, 0, 0},
        {"bytes=a-b", RANGE_WHOLE, 0, 0},
        {"bytes=0-1,3-4", RANGE_WHOLE, 0, 0},
        {"lines=0-1", RANGE_WHOLE, 0, 0},
        {"", RANGE_WHOLE, 0, 0},
        {"bytes=99999999999999999999-", RANGE_WHOLE, 0, 0},
        {"bytes=--1", RANGE_WHOLE, 0, 0},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int64_t first = 0, count = 0;
        CHECK_EQ(range_parse(str_of(cases[i].header), 10, &first, &count), cases[i].kind);
        CHECK_EQ(first, cases[i].first);
        CHECK_EQ(count, cases[i].count);
    }
    int64_t first, last;
    CHECK(content_range_parse(STR("0-9"), &first, &last) && first == 0 && last == 9);
    CHECK(content_range_parse(STR("bytes 10-19/20"), &first, &last) && first == 10 && last == 19);
    CHECK(!content_range_parse(STR("9-0"), &first, &last) &&
          !content_range_parse(STR("-9"), &first, &last));
    CHECK(!content_range_parse(STR("1"), &first, &last) &&
          !content_range_parse(STR("0-x"), &first, &last));
}

TEST(repositories_come_and_go)
{
    REGISTRY(w);
    struct err err = {0};
    cleanup_json struct json *names = NULL;

    CHECK(!registry_repository_create(w.reg, REGION, "my-app", NULL, &err));
    CHECK_EQ(err.code, ERR_REPOSITORY_EXISTS);
    CHECK_TEXT(
        err.message,
        "The repository with name 'my-app' already exists in the registry with id '000000000000'");
    CHECK(registry_repository_create(w.reg, REGION, "my-app/sub", NULL, &err));
    CHECK(registry_repository_create(w.reg, REGION, "my-app-2", NULL, &err));
    CHECK(registry_repository_create(w.reg, "us-east-1", "far", NULL, &err));
    CHECK(!registry_repository_create(w.reg, REGION, "No", NULL, &err));
    CHECK_EQ(err.code, ERR_INVALID_PARAMETER);
    CHECK(!registry_repository_create(w.reg, REGION, ACCOUNT ".dkr.ecr.us-east-1.amazonaws.com/x",
                                      NULL, &err));
    CHECK(registry_repository_list(w.reg, REGION, &names, &err));
    cleanup_free char *text = json_format(names);
    CHECK_TEXT(text, "[\"my-app\",\"my-app-2\",\"my-app/sub\"]");

    CHECK(registry_repository_delete(w.reg, REGION, "my-app", false, &err));
    CHECK(!registry_repository_delete(w.reg, REGION, "my-app", false, &err));
    CHECK_EQ(err.code, ERR_REPOSITORY_NOT_FOUND);
    struct registry_repository r;
    CHECK(registry_repository_get(w.reg, REGION, "my-app/sub", &r, &err));
    CHECK(r.created_ms > 0 && !registry_tag_is_immutable(r.document, "v1"));
    registry_repository_done(&r);
    CHECK(registry_repository_delete(w.reg, REGION, "my-app/sub", false, &err));
    cleanup_free char *path = text_format("%s/registry/" REGION "/my-app", w.dir);
    CHECK(!file_exists(path));
    CHECK(registry_repository_create(w.reg, REGION, "my-app/sub", NULL, &err));
}

TEST(what_is_known_of_a_repository_is_asked_again_after_a_change)
{
    REGISTRY(w);
    struct err err = {0};
    cleanup_free char *document =
        text_format("%s/registry/" REGION "/my-app/_repository.json", w.dir);

    CHECK(repository_check(w.reg, REGION, "my-app", &err));
    CHECK(!repository_check(w.reg, "eu-north-1", "my-app", &err));
    CHECK(unlink(document) == 0); /* behind its back */
    CHECK(repository_check(w.reg, REGION, "my-app", &err));
    CHECK(registry_repository_create(w.reg, REGION, "other", NULL, &err));
    CHECK(!repository_check(w.reg, REGION, "my-app", &err));
}

TEST(a_manifest_that_came_meanwhile_is_asked_for_its_layers)
{
    REGISTRY(w);
    cleanup_json struct json *known = json_object();
    cleanup_free char *layer = digest_of(STR("two"));
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};
    bool is_named = true;

    CHECK(put_image(w.reg, "my-app", "v1", "one", digest));
    CHECK(layer_is_named(w.reg, REGION, "my-app", str_of(layer), known, &is_named, &err));
    CHECK(!is_named && json_get(known, digest) != NULL);
    CHECK(put_image(w.reg, "my-app", "v2", "two", digest));
    CHECK(layer_is_named(w.reg, REGION, "my-app", str_of(layer), known, &is_named, &err));
    CHECK(is_named && json_get(known, digest) == NULL);
}

TEST(a_deleted_repository_leaves_no_files)
{
    REGISTRY(w);
    cleanup_json struct json *names = NULL;
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    CHECK(put_image(w.reg, "my-app", "v1", "one", digest));
    CHECK(registry_repository_delete(w.reg, REGION, "my-app", /* force= */ true, &err));
    cleanup_free char *path = repository_path(w.reg, REGION, "my-app", NULL);
    CHECK(!file_exists(path));
    CHECK(disk_list(w.reg->uploads_dir, &names, &err));
    CHECK_EQ(json_size(names), 0);
}

/* As on a disk that has no room for a folder: what is to be deleted is what makes some. */
TEST(a_repository_is_deleted_where_nothing_can_be_made)
{
    REGISTRY(w);
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    CHECK(put_image(w.reg, "my-app", "v1", "one", digest));
    CHECK(rmdir(w.reg->uploads_dir) == 0);
    CHECK(registry_repository_delete(w.reg, REGION, "my-app", /* force= */ true, &err));
    cleanup_free char *path = repository_path(w.reg, REGION, "my-app", NULL);
    CHECK(!file_exists(path));
}

/* What is known of it beside its record; nobody has to look for it among that of ten thousand others. */
TEST(a_deleted_image_takes_what_is_known_of_it_along)
{
    static const char *const leaves[] = {"_pulls", "_replicated", "_scans"};
    REGISTRY(w);
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    CHECK(put_image(w.reg, "my-app", "v1", "one", digest));
    for (size_t i = 0; i < ARRAY_COUNT(leaves); i++) {
        cleanup_free char *folder = repository_path(w.reg, REGION, "my-app", leaves[i]);
        cleanup_free char *leaf = text_format("%s/%s", folder, digest + 7), *other = text_format("%s/of-another", folder);
        CHECK(mkdir(folder, 0750) == 0 && file_write_atomic(leaf, STR("{}"), 0640, &err) &&
              file_write_atomic(other, STR("{}"), 0640, &err));
    }
    CHECK(registry_image_delete(w.reg, REGION, "my-app", "v1", NULL, &err));
    for (size_t i = 0; i < ARRAY_COUNT(leaves); i++) {
        cleanup_free char *folder = repository_path(w.reg, REGION, "my-app", leaves[i]);
        CHECK_EQ(files_below(folder), 1);
    }
}

TEST(an_image_that_cannot_be_read_is_said_and_the_others_are_listed)
{
    REGISTRY(w);
    char digest[REGISTRY_DIGEST_SIZE], broken[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *images = NULL;
    struct err err = {0};

    CHECK(put_image(w.reg, "my-app", "v1", "one", digest) && put_image(w.reg, "my-app", "v2", "two", broken));
    cleanup_free char *path = image_record_path(w.reg, REGION, "my-app", str_of(broken));
    CHECK(file_write_atomic(path, STR("{"), 0640, &err));
    const struct log_catch log = log_catch_begin();
    CHECK(registry_images(w.reg, REGION, "my-app", &images, &err));
    cleanup_free char *said = log_catch_end(&log);
    CHECK_EQ(json_size(images), 1);
    CHECK_TEXT(json_get_cstr(json_at(images, 0), "digest", ""), digest);
    CHECK(strstr(said, path) != NULL);
}

TEST(a_record_that_is_json_and_no_object_is_damaged)
{
    REGISTRY(w);
    cleanup_json struct json *images = NULL, *read = NULL;
    struct err err = {0};

    CHECK(put_image(w.reg, "my-app", "v1", "one", w.digest));
    cleanup_free char *record = image_record_path(w.reg, REGION, "my-app", str_of(w.digest));
    CHECK(file_write_atomic(record, STR("[]"), 0640, &err));
    CHECK(registry_images(w.reg, REGION, "my-app", &images, &err)); /* it ended the process */
    CHECK_EQ(json_size(images), 0);
    CHECK(!image_record_read(w.reg, REGION, "my-app", str_of(w.digest), &read, &err));
    CHECK(strstr(err.message, record) != NULL);
}

TEST(an_image_whose_record_is_damaged_is_whole_when_it_is_pushed_again)
{
    REGISTRY(w);
    struct err err = {0};
    cleanup(strbuf_done) struct strbuf bytes = {0};
    char digest[REGISTRY_DIGEST_SIZE], again[REGISTRY_DIGEST_SIZE], type[REGISTRY_MEDIA_TYPE_SIZE];
    cleanup_json struct json *image = NULL;

    CHECK(put_image(w.reg, "my-app", "v1", "one", digest));
    cleanup_free char *record = image_record_path(w.reg, REGION, "my-app", str_of(digest));
    CHECK(file_write_atomic(record, STR("{"), 0640, &err));
    CHECK(!registry_manifest_get(w.reg, REGION, "my-app", "v1", &bytes, again, type, &err));
    CHECK(put_image(w.reg, "my-app", "v1", "one", again));
    CHECK_TEXT(again, digest);
    CHECK(registry_manifest_get(w.reg, REGION, "my-app", "v1", &bytes, again, type, &err));
    CHECK(registry_image_get(w.reg, REGION, "my-app", "v1", &image, &err));
}

TEST(a_new_repository_inherits_nothing)
{
    REGISTRY(w);
    struct err err = {0};
    char digest[REGISTRY_DIGEST_SIZE];

    CHECK(put_image(w.reg, "my-app", "v1", "one", digest));
    /* As after a deletion that was cut short behind its first step. */
    cleanup_free char *document =
        text_format("%s/registry/" REGION "/my-app/_repository.json", w.dir);
    registry_close(w.reg);
    CHECK(unlink(document) == 0);
    registry_up(&w);
    CHECK(!registry_resolve(w.reg, REGION, "my-app", "v1", digest, &err));
    CHECK_EQ(err.code, ERR_REPOSITORY_NOT_FOUND);
    CHECK(registry_repository_create(w.reg, REGION, "my-app", NULL, &err));
    CHECK(!registry_resolve(w.reg, REGION, "my-app", "v1", digest, &err));
    CHECK_EQ(err.code, ERR_IMAGE_NOT_FOUND);
}

TEST(images_are_listed_described_and_resolved)
{
    REGISTRY(w);
    struct err err = {0};
    char one[REGISTRY_DIGEST_SIZE], two[REGISTRY_DIGEST_SIZE], got[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *images = NULL, *image = NULL;

    CHECK(put_image(w.reg, "my-app", "v1", "one", one));
    clock_sleep_ms(3);
    CHECK(put_image(w.reg, "my-app", "v2", "two!", two));
    CHECK(put_image(w.reg, "my-app", "latest", "two!", got));
    CHECK_TEXT(got, two);
    CHECK(registry_images(w.reg, REGION, "my-app", &images, &err));
    CHECK_EQ(json_size(images), 2);
    CHECK_TEXT(json_get_cstr(json_at(images, 0), "digest", ""), two);
    cleanup_free char *tags = json_format(json_get(json_at(images, 0), "tags"));
    CHECK_TEXT(tags, "[\"latest\",\"v2\"]");
    CHECK(registry_image_get(w.reg, REGION, "my-app", "v1", &image, &err));
    CHECK_TEXT(json_get_cstr(image, "digest", ""), one);
    CHECK_EQ(json_get_i64(image, "imageSize", 0), strlen("{\"made\":\"one\"}") + 3);
    CHECK_TEXT(json_get_cstr(image, "mediaType", ""), OCI_MANIFEST);
    CHECK(registry_resolve(w.reg, REGION, "my-app", "latest", got, &err));
    CHECK_TEXT(got, two);
    CHECK(registry_resolve(w.reg, REGION, "my-app", one, got, &err));
    CHECK(!registry_resolve(w.reg, REGION, "my-app", "v3", got, &err));
    CHECK_TEXT(
        err.message,
        "The image with imageId {imageDigest:'null', imageTag:'v3'} does not exist within the "
        "repository with name 'my-app' in the registry with id '000000000000'");
    CHECK(!registry_resolve(w.reg, REGION, "my-app", D, got, &err));
    CHECK_EQ(err.code, ERR_IMAGE_NOT_FOUND);
    CHECK(!registry_resolve(w.reg, REGION, "my-app", "../_repository.json", got, &err));

    /* A tag moves to what was pushed last; the old image stays, untagged. */
    CHECK(put_image(w.reg, "my-app", "v1", "three", got));
    json_unref(TAKE(image));
    CHECK(registry_image_get(w.reg, REGION, "my-app", one, &image, &err));
    CHECK_EQ(json_size(json_get(image, "tags")), 0);
}

TEST(an_immutable_tag_stays)
{
    REGISTRY(w);
    struct err err = {0};
    char digest[REGISTRY_DIGEST_SIZE], again[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *document = json_object();

    json_set(document, "imageTagMutability", json_text("IMMUTABLE"));
    CHECK(registry_repository_create(w.reg, REGION, "fixed", document, &err));
    CHECK(put_image(w.reg, "fixed", "v1", "one", digest));
    CHECK(put_image(w.reg, "fixed", "v1", "one", again)); /* the same again is no change */
    cleanup_free char *manifest = put_parts(w.reg, "fixed", "two");
    const struct registry_put put = {.manifest = str_of(manifest), .tag = "v1"};
    CHECK(!registry_manifest_put(w.reg, REGION, "fixed", &put, again, &err));
    CHECK_EQ(err.code, ERR_IMAGE_TAG_EXISTS);
    CHECK_TEXT(
        err.message,
        "The image tag 'v1' already exists in the 'fixed' repository and cannot be overwritten "
        "because the repository is immutable.");
    CHECK(registry_resolve(w.reg, REGION, "fixed", "v1", again, &err));
    CHECK_TEXT(again, digest);
    cleanup_free char *same = put_parts(w.reg, "fixed", "one");
    const struct registry_put twice = {
        .manifest = str_of(same), .tag = "v1", .refuse_existing = true};
    CHECK(!registry_manifest_put(w.reg, REGION, "fixed", &twice, again, &err));
    CHECK_EQ(err.code, ERR_IMAGE_EXISTS);
}

/* A file system that does not keep the order of names may have lost the record at a power cut. */
TEST(a_tag_that_leads_nowhere_is_free)
{
    REGISTRY(w);
    struct err err = {0};
    char digest[REGISTRY_DIGEST_SIZE], got[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *document = json_object();

    json_set(document, "imageTagMutability", json_text("IMMUTABLE"));
    CHECK(registry_repository_create(w.reg, REGION, "fixed", document, &err));
    cleanup_free char *tag = repository_path(w.reg, REGION, "fixed", "_tags/v1");
    CHECK(file_write_atomic(tag, STR(D "\n"), 0640, &err));
    CHECK(!registry_resolve(w.reg, REGION, "fixed", "v1", got, &err));
    cleanup_free char *manifest = put_parts(w.reg, "fixed", "one");
    const struct registry_put put = {.manifest = str_of(manifest), .tag = "v1", .if_none_match = STR("*")};
    CHECK(registry_manifest_put(w.reg, REGION, "fixed", &put, digest, &err));
    CHECK(registry_resolve(w.reg, REGION, "fixed", "v1", got, &err));
    CHECK_TEXT(got, digest);
}

static bool
uses(void *ctx, const char *region, const char *repository, const char *digest, struct strbuf *users)
{
    if (strcmp(region, REGION) != 0 || strcmp(repository, "my-app") != 0 || strcmp(digest, ctx) != 0)
        return false;
    if (users != NULL)
        strbuf_add_cstr(users, "task 1, service web");
    return true;
}

TEST(what_is_in_use_is_not_deleted)
{
    REGISTRY(w);
    struct err err = {0};
    char one[REGISTRY_DIGEST_SIZE], two[REGISTRY_DIGEST_SIZE], got[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *removed = json_array();

    CHECK(put_image(w.reg, "my-app", "v1", "one", one));
    CHECK(put_image(w.reg, "my-app", "v2", "two", two));
    registry_set_in_use(w.reg, uses, one);
    CHECK(!registry_image_delete(w.reg, REGION, "my-app", one, removed, &err));
    CHECK_EQ(err.code, ERR_RESOURCE_IN_USE);
    CHECK(strstr(err.message, "in use by task 1, service web") != NULL);
    CHECK(!registry_repository_delete(w.reg, REGION, "my-app", true, &err));
    CHECK_EQ(err.code, ERR_REPOSITORY_NOT_EMPTY);
    CHECK(strstr(err.message, "in use by task 1, service web") != NULL);
    /* Its tag may go: nothing that runs depends on it. */
    CHECK(registry_image_delete(w.reg, REGION, "my-app", "v1", removed, &err));
    CHECK(registry_resolve(w.reg, REGION, "my-app", one, got, &err));
    CHECK(!registry_resolve(w.reg, REGION, "my-app", "v1", got, &err));
    CHECK(registry_image_delete(w.reg, REGION, "my-app", "v2", removed, &err));
    CHECK(!registry_resolve(w.reg, REGION, "my-app", two, got, &err));
    CHECK_EQ(json_size(removed), 2);
    registry_set_in_use(w.reg, NULL, NULL);
    CHECK(!registry_repository_delete(w.reg, REGION, "my-app", false, &err));
    CHECK_EQ(err.code, ERR_REPOSITORY_NOT_EMPTY);
    CHECK(registry_repository_delete(w.reg, REGION, "my-app", true, &err));
}

static bool
collects(struct world *w, const char *const *roots, size_t count, int64_t later_ms,
         struct registry_gc *gc)
{
    struct err err = {0};
    bool done =
        registry_collect(w->reg, roots, count, HOUR_MS, clock_wall_ms() + later_ms, gc, &err);

    CHECK_TEXT(err.message, "");
    return done;
}

TEST(garbage_is_what_nobody_names_for_an_hour)
{
    REGISTRY(w);
    struct err err = {0};
    struct registry_gc gc;
    char one[REGISTRY_DIGEST_SIZE], two[REGISTRY_DIGEST_SIZE], loose[REGISTRY_DIGEST_SIZE];

    CHECK(registry_repository_create(w.reg, REGION, "other", NULL, &err));
    CHECK(put_image(w.reg, "my-app", "v1", "one", one));
    CHECK(put_image(w.reg, "my-app", "v2", "two", two));
    CHECK(put_image(w.reg, "other", "v1", "one", one));
    CHECK(put_blob(w.reg, "my-app", STR("loose"), loose));
    CHECK_EQ(files_in(&w, "blobs/sha256"), 7);
    CHECK(registry_image_delete(w.reg, REGION, "my-app", one, NULL, &err));
    CHECK(registry_image_delete(w.reg, REGION, "my-app", two, NULL, &err));

    CHECK(collects(&w, NULL, 0, HOUR_MS / 2, &gc)); /* too young */
    CHECK_EQ(gc.blobs_removed, 0);
    CHECK_EQ(gc.blobs_kept, 7);

    const char *const roots[] = {two,
                                 D}; /* a rollback window still holds 'two'; D is not here at all */
    CHECK(collects(&w, roots, 2, 2 * HOUR_MS, &gc));
    CHECK_EQ(gc.blobs_removed, 1); /* 'loose' only: 'one' is the other repository's as well */
    CHECK_EQ(gc.bytes_removed, 5);
    CHECK_EQ(gc.links_removed, 1);

    CHECK(collects(&w, NULL, 0, 2 * HOUR_MS, &gc));
    CHECK_EQ(gc.blobs_removed, 3);
    CHECK_EQ(files_in(&w, "blobs/sha256"), 3);
    char digest[REGISTRY_DIGEST_SIZE];
    cleanup(strbuf_done) struct strbuf bytes = {0};
    CHECK(registry_manifest_get(w.reg, REGION, "other", "v1", &bytes, digest, NULL, &err));

    const char *const wrong[] = {"v1"};
    CHECK(!registry_collect(w.reg, wrong, 1, HOUR_MS, clock_wall_ms(), &gc, &err));
}

/* A descriptor of what is in the registry. */
static char *
descriptor_of(struct registry *reg, const char *type, const char *digest)
{
    int64_t size;

    CHECK(blob_size(reg, str_of(digest), &size));
    return text_format("{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld}", type, digest, (long long)size);
}

/* Gives the size that the index is told to have. */
static int64_t
put_index(struct registry *reg, const char *one, const char *other, char digest[static REGISTRY_DIGEST_SIZE])
{
    cleanup_free char *text = text_format("{\"schemaVersion\":2,\"manifests\":[%s,%s]}", one, other);
    const struct registry_put put = {.manifest = str_of(text)};
    cleanup_json struct json *image = NULL;
    struct err err = {0};

    CHECK(registry_manifest_put(reg, REGION, "my-app", &put, digest, &err));
    CHECK(registry_image_get(reg, REGION, "my-app", digest, &image, &err));
    return json_get_i64(image, "imageSize", -1);
}

/* As in ECR, also of an index of indexes. */
TEST(an_index_is_as_large_as_the_largest_of_its_images)
{
    REGISTRY(w);
    char small[REGISTRY_DIGEST_SIZE], large[REGISTRY_DIGEST_SIZE], index[REGISTRY_DIGEST_SIZE];
    const int64_t size = (int64_t)(strlen("{\"made\":\"the larger\"}") + strlen("the larger"));

    CHECK(put_image(w.reg, "my-app", "small", "small", small) && put_image(w.reg, "my-app", "large", "the larger", large));
    cleanup_free char *one = descriptor_of(w.reg, OCI_MANIFEST, small), *other = descriptor_of(w.reg, OCI_MANIFEST, large);
    CHECK_EQ(put_index(w.reg, one, other, index), size);
    CHECK_EQ(put_index(w.reg, other, one, index), size);
    cleanup_free char *inner = descriptor_of(w.reg, OCI_INDEX, index);
    CHECK_EQ(put_index(w.reg, inner, one, index), size);
}

TEST(an_index_keeps_its_images_from_the_garbage)
{
    REGISTRY(w);
    struct err err = {0};
    struct registry_gc gc;
    char image[REGISTRY_DIGEST_SIZE], index[REGISTRY_DIGEST_SIZE];

    CHECK(put_image(w.reg, "my-app", "amd64", "for amd64", image));
    int64_t size;
    CHECK(blob_size(w.reg, str_of(image), &size));
    cleanup_free char *text = text_format("{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX
                                          "\",\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST
                                          "\",\"digest\":\"%s\",\"size\":%lld}]}",
                                          image, (long long)size);
    const struct registry_put put = {.manifest = str_of(text), .tag = "all"};
    CHECK(registry_manifest_put(w.reg, REGION, "my-app", &put, index, &err));
    CHECK_EQ(files_in(&w, "blobs/sha256"), 4);
    /* Removed from the repository, but a task still runs what the index names. */
    CHECK(registry_image_delete(w.reg, REGION, "my-app", index, NULL, &err));
    CHECK(registry_image_delete(w.reg, REGION, "my-app", image, NULL, &err));
    const char *const roots[] = {index};
    CHECK(collects(&w, roots, 1, 2 * HOUR_MS, &gc));
    CHECK_EQ(gc.blobs_removed, 0);
    CHECK(collects(&w, NULL, 0, 2 * HOUR_MS, &gc));
    CHECK_EQ(gc.blobs_removed, 4);
}

TEST(a_push_under_way_keeps_its_layers)
{
    REGISTRY(w);
    struct err err = {0};
    struct registry_gc gc;
    struct upload *u;
    char first[REGISTRY_DIGEST_SIZE];

    CHECK(put_blob(w.reg, "my-app", STR("first layer"), first));
    CHECK(upload_start(w.reg, REGION, "my-app", "", &u, &err));
    CHECK(upload_add(w.reg, u, STR("second la"), &err));
    upload_release(w.reg, u);
    CHECK(collects(&w, NULL, 0, 2 * HOUR_MS, &gc));
    CHECK_EQ(gc.blobs_removed, 0);
    struct upload *again;
    CHECK(upload_take(w.reg, REGION, "my-app", str_of(u->id), &again, &err));
    CHECK(!upload_take(w.reg, REGION, "my-app", str_of(u->id), &again,
                       &err)); /* one writer at a time */
    CHECK_EQ(err.code, ERR_BLOB_UPLOAD_INVALID);
    upload_discard(w.reg, u);
    CHECK(collects(&w, NULL, 0, 2 * HOUR_MS, &gc));
    CHECK_EQ(gc.blobs_removed, 1);
}

TEST(garbage_goes_by_itself)
{
    REGISTRY(w);
    char loose[REGISTRY_DIGEST_SIZE], one[REGISTRY_DIGEST_SIZE];
    const struct timespec long_ago[2] = {{1000000000, 0}, {1000000000, 0}};

    CHECK(put_blob(w.reg, "my-app", STR("loose"), loose));
    CHECK(put_image(w.reg, "my-app", "v1", "one", one));
    cleanup_free char *path = blob_path(w.reg, str_of(loose));
    cleanup_free char *kept = blob_path(w.reg, str_of(one));
    CHECK(utimensat(AT_FDCWD, path, long_ago, 0) == 0);
    CHECK(utimensat(AT_FDCWD, kept, long_ago, 0) == 0);
    registry_start_collecting(w.reg, 20, HOUR_MS);
    for (int i = 0; i < 300 * CHECK_PATIENCE && file_exists(path); i++)
        clock_sleep_ms(10);
    CHECK(!file_exists(path));
    CHECK_EQ(files_in(&w, "blobs/sha256"), 3);
}

TEST(garbage_is_left_alone_where_a_manifest_cannot_be_read)
{
    REGISTRY(w);
    struct err err = {0};
    struct registry_gc gc;
    char one[REGISTRY_DIGEST_SIZE], loose[REGISTRY_DIGEST_SIZE];

    CHECK(put_image(w.reg, "my-app", "v1", "one", one));
    CHECK(put_blob(w.reg, "my-app", STR("loose"), loose));
    cleanup_free char *path = blob_path(w.reg, str_of(one));
    CHECK(file_write_atomic(path, STR("{\"schema"), 0640, &err));
    CHECK(!registry_collect(w.reg, NULL, 0, HOUR_MS, clock_wall_ms() + 2 * HOUR_MS, &gc, &err));
    CHECK_EQ(files_in(&w, "blobs/sha256"), 4);
}

static int
begin_many(struct registry *reg, const char *owner, int count)
{
    struct err err = {0};
    struct upload *u;
    int begun = 0;

    while (begun < count && upload_start(reg, REGION, "my-app", owner, &u, &err)) {
        upload_release(reg, u);
        begun++;
    }
    if (begun < count)
        CHECK_EQ(err.code, ERR_THROTTLING);
    return begun;
}

static int
uploads_of(const struct registry *reg, const char *owner)
{
    int count = 0;

    for (const struct upload *u = reg->uploads; u != NULL; u = u->next)
        count += strcmp(u->owner, owner) == 0;
    return count;
}

TEST(one_visitor_has_only_so_many_uploads_and_leaves_room_for_others)
{
    REGISTRY(w);
    struct err err = {0};
    struct upload *u;

    CHECK_EQ(begin_many(w.reg, "AKIAONE", 300), 256);
    CHECK_EQ(begin_many(w.reg, "AKIATWO", 200), 200);
    CHECK_EQ(begin_many(w.reg, "AKIATHREE", 100), 56);
    CHECK_EQ(files_in(&w, "blobs/uploads"), 512);
    upload_expire(w.reg, HOUR_MS);
    CHECK_EQ(begin_many(w.reg, "", 1), 0);
    upload_expire(w.reg, 0);
    CHECK_EQ(files_in(&w, "blobs/uploads"), 0);
    CHECK(upload_start(w.reg, REGION, "my-app", "", &u, &err));
    upload_discard(w.reg, u);
}

TEST(an_idle_upload_goes_for_the_next_one_of_its_visitor)
{
    REGISTRY(w);
    struct err err = {0};
    struct upload *u, *busy;
    char first[37];

    w.reg->upload_idle_ms = 0;
    CHECK(upload_start(w.reg, REGION, "my-app", "AKIAONE", &busy, &err)); /* who is at it stays */
    CHECK(upload_start(w.reg, REGION, "my-app", "AKIAONE", &u, &err));
    CHECK(upload_add(w.reg, u, STR("half a layer"), &err));
    snprintf(first, sizeof first, "%s", u->id);
    upload_release(w.reg, u);
    u->last_ms -= 1;
    CHECK_EQ(begin_many(w.reg, "AKIATWO", 1), 1);
    CHECK_EQ(begin_many(w.reg, "AKIAONE", 254), 254);
    CHECK_EQ(w.reg->used, 12);
    CHECK_EQ(begin_many(w.reg, "AKIAONE", 1), 1); /* the 257th */
    CHECK_EQ(w.reg->used, 0);
    CHECK_EQ(uploads_of(w.reg, "AKIAONE"), 256);
    CHECK_EQ(uploads_of(w.reg, "AKIATWO"), 1);
    CHECK(!upload_take(w.reg, REGION, "my-app", str_of(first), &u, &err));
    CHECK_EQ(err.code, ERR_BLOB_UPLOAD_UNKNOWN);
    /* Where all places are taken, whoever has most makes room. */
    CHECK_EQ(begin_many(w.reg, "AKIATWO", 199), 199);
    CHECK_EQ(begin_many(w.reg, "AKIATHREE", 100), 100);
    CHECK_EQ(uploads_of(w.reg, "AKIAONE"), 212);
    CHECK_EQ(uploads_of(w.reg, "AKIATWO"), 200);
    CHECK_EQ(uploads_of(w.reg, "AKIATHREE"), 100);
    upload_discard(w.reg, busy);
}

TEST(the_owner_of_an_upload_outlives_a_restart)
{
    REGISTRY(w);

    CHECK_EQ(begin_many(w.reg, "AKIAONE", 2), 2);
    CHECK_EQ(begin_many(w.reg, "", 1), 1);
    world_close(&w);
    world_open(&w);
    CHECK_EQ(uploads_of(w.reg, "AKIAONE"), 2);
    CHECK_EQ(uploads_of(w.reg, ""), 1);
}

TEST(one_process_at_a_time)
{
    REGISTRY(w);
    struct err err = {0};

    CHECK(registry_open(w.dir, ACCOUNT, REGION, &err) == NULL);
    CHECK(strstr(err.message, "another process") != NULL);
}

static void *
end_soon(void *arg)
{
    int *fd = arg;

    clock_sleep_ms(50);
    close(*fd);
    return NULL;
}

/* A naru that was killed leaves its lock for a moment to a child that is not its program yet. */
TEST(a_registry_that_is_let_go_in_a_moment_is_waited_for)
{
    REGISTRY(w);
    cleanup_free char *root = text_format("%s/registry", w.dir);
    pthread_t thread;
    struct err err = {0};

    registry_close(TAKE(w.reg));
    int held = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(held >= 0 && flock(held, LOCK_EX | LOCK_NB) == 0);
    CHECK(pthread_create(&thread, NULL, end_soon, &held) == 0);
    w.reg = registry_open(w.dir, ACCOUNT, REGION, &err);
    CHECK_TEXT(err.message, "");
    CHECK(pthread_join(thread, NULL) == 0);
}

struct pusher {
    struct world *w;
    int index;
};

static void *
pusher_run(void *arg)
{
    struct pusher *p = arg;

    for (int i = 0; i < 40; i++) {
        char digest[REGISTRY_DIGEST_SIZE], tag[16];
        cleanup_free char *content =
            text_format("content %d", i); /* the same bytes from all threads */
        snprintf(tag, sizeof tag, "t%d-%d", p->index, i % 5);
        CHECK(put_image(p->w->reg, "my-app", tag, content, digest));
        if (i % 10 == 9) {
            struct err err = {0};
            struct registry_gc gc;
            CHECK(registry_collect(p->w->reg, NULL, 0, HOUR_MS, clock_wall_ms(), &gc, &err));
        }
    }
    return NULL;
}

TEST(many_push_the_same_at_once)
{
    REGISTRY(w);
    struct err err = {0};
    pthread_t threads[4];
    struct pusher pushers[4];
    cleanup_json struct json *images = NULL;

    for (int i = 0; i < 4; i++) {
        pushers[i] = (struct pusher){&w, i};
        CHECK(pthread_create(&threads[i], NULL, pusher_run, &pushers[i]) == 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(registry_images(w.reg, REGION, "my-app", &images, &err));
    CHECK_EQ(json_size(images), 40);
    CHECK_EQ(files_in(&w, "blobs/sha256"), 120);
}
