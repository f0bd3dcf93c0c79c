/* SPDX-License-Identifier: MIT */
/* The archive: what is in it cannot be pulled, is not lost, and comes back. */
#include "registry_world.h"

#include "registry/lifecycle.h"

#define HOUR_MS (3600LL * 1000)
#define DAY_MS (24 * HOUR_MS)
#define LONG_AGO_MS (clock_wall_ms() - 400 * DAY_MS)

static bool
archive(struct world *w, const char *digest, struct err *err)
{
    *err = (struct err){0};
    return registry_image_archive(w->reg, REGION, "my-app", digest, clock_wall_ms(), err);
}

static bool
restore(struct world *w, const char *digest, struct err *err)
{
    *err = (struct err){0};
    return registry_image_restore(w->reg, REGION, "my-app", digest, clock_wall_ms(), err);
}

/* "archived" or "active", with "+" if it was ever archived and "*" if it was ever restored. */
static const char *
state_of(struct world *w, const char *digest)
{
    static char text[4][16];
    static int next;
    cleanup_json struct json *image = NULL;
    struct err err = {0};
    char *out = text[next++ % 4];

    CHECK(registry_image_get(w->reg, REGION, "my-app", digest, &image, &err));
    snprintf(out, sizeof text[0], "%s%s%s",
             strcmp(json_get_cstr(image, "status", ""), "ARCHIVED") == 0 ? "archived" : "active",
             json_get_i64(image, "archivedAt", 0) > 0 ? "+" : "",
             json_get_i64(image, "activatedAt", 0) > 0 ? "*" : "");
    return out;
}

static int
pull(struct world *w, const char *method, const char *reference, struct http_answer *a)
{
    cleanup_free char *path = text_format("/v2/my-app/manifests/%s", reference);
    return ask(w, method, path, (struct str){0}, NULL, NULL, a);
}

TEST(an_archived_image_is_listed_and_not_pulled)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *digest = push_image(&w, "my-app", "v1", "one");
    struct err err = {0};

    CHECK_TEXT(state_of(&w, digest), "active");
    CHECK(archive(&w, digest, &err) && archive(&w, digest, &err)); /* twice is once */
    CHECK_TEXT(state_of(&w, digest), "archived+");
    CHECK_EQ(pull(&w, "GET", "v1", &a), 404);
    CHECK_TEXT(error_code(&a), "MANIFEST_UNKNOWN");
    CHECK(str_find(strbuf_str(&a.body), STR("is archived: restore it")) >= 0);
    CHECK_EQ(pull(&w, "HEAD", digest, &a), 404);
    CHECK_EQ(ask(&w, "GET", "/v2/my-app/tags/list", (struct str){0}, NULL, NULL, &a), 200);
    CHECK(str_find(strbuf_str(&a.body), STR("v1")) >= 0);
    CHECK(!registry_image_check_active(w.reg, REGION, "my-app", digest, &err));
    CHECK_EQ(err.code, ERR_IMAGE_ARCHIVED);
    /* Another process finds it so, too. */
    world_close(&w);
    world_open(&w);
    CHECK_EQ(pull(&w, "GET", "v1", &a), 404);
    CHECK(restore(&w, digest, &err) && restore(&w, digest, &err));
    CHECK_TEXT(state_of(&w, digest), "active+*");
    CHECK_EQ(pull(&w, "GET", "v1", &a), 200);
}

TEST(a_push_restores)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *digest = push_image(&w, "my-app", "v1", "one"), *again = NULL, *manifest = NULL;
    char got[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    CHECK(archive(&w, digest, &err));
    again = push_image(&w, "my-app", "v2", "one");
    CHECK_TEXT(again, digest);
    CHECK_TEXT(state_of(&w, digest), "active+*");
    CHECK_EQ(pull(&w, "GET", "v1", &a), 200);
    /* Also of the very tag, also by PutImage, which refuses what is there already. */
    CHECK(archive(&w, digest, &err));
    manifest = put_parts(w.reg, "my-app", "one");
    const struct registry_put put = {.manifest = str_of(manifest), .tag = "v1", .refuse_existing = true};
    CHECK(registry_manifest_put(w.reg, REGION, "my-app", &put, got, &err));
    CHECK_TEXT(state_of(&w, digest), "active+*");
    CHECK(!registry_manifest_put(w.reg, REGION, "my-app", &put, got, &err));
    CHECK_EQ(err.code, ERR_IMAGE_EXISTS);
}

static bool
uses(void *ctx, const char *region, const char *repository, const char *digest, struct strbuf *users)
{
    (void)region, (void)repository;
    if (strcmp(digest, ctx) != 0)
        return false;
    if (users != NULL)
        strbuf_add_cstr(users, "task 1");
    return true;
}

TEST(what_is_in_use_is_not_archived)
{
    REGISTRY(w);
    struct err err = {0};

    CHECK(put_image(w.reg, "my-app", "v1", "one", w.digest));
    registry_set_in_use(w.reg, uses, w.digest);
    CHECK(!archive(&w, w.digest, &err));
    CHECK_EQ(err.code, ERR_STORAGE_CLASS_UPDATE);
    CHECK(strstr(err.message, "in use by task 1") != NULL);
    CHECK_TEXT(state_of(&w, w.digest), "active");
    registry_set_in_use(w.reg, NULL, NULL);
    CHECK(archive(&w, w.digest, &err));
    CHECK(!archive(&w, "v9", &err));
    CHECK_EQ(err.code, ERR_IMAGE_NOT_FOUND);
}

static void
put_manifest(struct world *w, const char *manifest, const char *tag, char digest[static REGISTRY_DIGEST_SIZE])
{
    const struct registry_put put = {.manifest = str_of(manifest), .tag = tag};
    struct err err = {0};

    CHECK(registry_manifest_put(w->reg, REGION, "my-app", &put, digest, &err));
    CHECK_TEXT(err.message, "");
}

/* A small image of its own name, whose digest and size an index wants; `subject` may be NULL. */
static size_t
put_small(struct world *w, const char *content, const char *subject, char digest[static REGISTRY_DIGEST_SIZE])
{
    cleanup_free char *manifest = put_parts(w->reg, "my-app", content), *whole = NULL;

    CHECK(manifest != NULL);
    if (subject != NULL) {
        manifest[strlen(manifest) - 1] = '\0';
        whole = text_format("%s,\"subject\":{\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":1}}",
                            manifest, subject);
    }
    put_manifest(w, whole != NULL ? whole : manifest, NULL, digest);
    return strlen(whole != NULL ? whole : manifest);
}

/* An index of that one image; the caller's. */
static char *
index_text(const char *digest, size_t size)
{
    return text_format("{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST
                       "\",\"digest\":\"%s\",\"size\":%zu}]}",
                       digest, size);
}

TEST(an_index_takes_its_images_and_its_signature_along)
{
    REGISTRY(w);
    char one[REGISTRY_DIGEST_SIZE], two[REGISTRY_DIGEST_SIZE], index[REGISTRY_DIGEST_SIZE],
        other[REGISTRY_DIGEST_SIZE], signature[REGISTRY_DIGEST_SIZE];
    cleanup(registry_referrers_done) struct registry_referrers active = {0}, all = {0};
    struct err err = {0};
    const size_t one_size = put_small(&w, "one", NULL, one), two_size = put_small(&w, "two", NULL, two);
    cleanup_free char *both = text_format(
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST
        "\",\"digest\":\"%s\",\"size\":%zu},{\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu}]}",
        one, one_size, two, two_size);
    cleanup_free char *half = index_text(two, two_size);

    put_manifest(&w, both, "all", index);
    put_manifest(&w, half, "half", other);
    put_small(&w, "signed", index, signature);
    CHECK(!archive(&w, one, &err)); /* or a pull of the index would break */
    CHECK_EQ(err.code, ERR_STORAGE_CLASS_UPDATE);
    CHECK(strstr(err.message, index) != NULL);
    CHECK(archive(&w, index, &err));
    CHECK_TEXT(state_of(&w, index), "archived+");
    CHECK_TEXT(state_of(&w, one), "archived+");
    CHECK_TEXT(state_of(&w, two), "active"); /* another index needs it */
    CHECK_TEXT(state_of(&w, signature), "archived+");
    CHECK(registry_referrers(w.reg, REGION, "my-app", index, NULL, false, NULL, &active, &err));
    CHECK_EQ(json_size(active.descriptors), 0);
    CHECK(registry_referrers(w.reg, REGION, "my-app", index, NULL, true, NULL, &all, &err));
    CHECK_TEXT(json_get_cstr(json_at(all.descriptors, 0), REGISTRY_REFERRER_STATUS, ""), "ARCHIVED");
    /* Nobody pushes an index of what cannot be pulled. */
    const struct registry_put put = {.manifest = str_of(both), .tag = "all"};
    CHECK(!registry_manifest_put(w.reg, REGION, "my-app", &put, other, &err));
    CHECK_EQ(err.code, ERR_REFERENCED_IMAGES_NOT_FOUND);
    CHECK(restore(&w, index, &err));
    CHECK_TEXT(state_of(&w, index), "active+*");
    CHECK_TEXT(state_of(&w, one), "active+*");
    CHECK_TEXT(state_of(&w, signature), "active+*");
}

/* While the index is looked at, a tag comes that is a folder, and cannot be read. */
static bool
tag_comes(void *ctx, const char *region, const char *repository, const char *digest, struct strbuf *users)
{
    struct world *w = ctx;
    cleanup_free char *tag = text_format("%s/registry/" REGION "/my-app/_tags/bad", w->dir);

    (void)users;
    if (strcmp(digest, w->digest) == 0 && mkdir(tag, 0700) == 0)
        views_tell_tag(w->reg, region, repository, "bad");
    return false;
}

/* An index of one image, and it: archived so far only. */
static void
archive_half(struct world *w, char one[static REGISTRY_DIGEST_SIZE])
{
    struct err err = {0};
    const size_t size = put_small(w, "one", NULL, one);
    cleanup_free char *index = index_text(one, size);
    cleanup_free char *tag = repository_path(w->reg, REGION, "my-app", "_tags/bad");

    put_manifest(w, index, "all", w->digest);
    registry_set_in_use(w->reg, tag_comes, w);
    CHECK(!archive(w, w->digest, &err)); /* it told nobody that its images stay */
    CHECK_EQ(err.code, ERR_INTERNAL);
    registry_set_in_use(w->reg, NULL, NULL);
    CHECK_EQ(rmdir(tag), 0);
    CHECK_TEXT(state_of(w, w->digest), "archived+");
    CHECK_TEXT(state_of(w, one), "active");
}

TEST(who_archives_again_finishes_what_was_cut_short)
{
    REGISTRY(w);
    char one[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    archive_half(&w, one);
    CHECK(archive(&w, w.digest, &err));
    CHECK_TEXT(state_of(&w, one), "archived+");
}

static void
collect(struct world *w)
{
    struct registry_gc gc = {0};
    struct err err = {0};

    CHECK(registry_collect(w->reg, NULL, 0, HOUR_MS, clock_wall_ms(), &gc, &err));
}

TEST(a_collection_finishes_what_was_cut_short)
{
    REGISTRY(w);
    char one[REGISTRY_DIGEST_SIZE];

    collect(&w); /* nothing is known to be cut short */
    archive_half(&w, one);
    collect(&w);
    CHECK_TEXT(state_of(&w, one), "archived+");
}

TEST(what_was_restored_by_itself_is_not_cut_short)
{
    REGISTRY(w);
    char one[REGISTRY_DIGEST_SIZE], signature[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    archive_half(&w, one);
    put_small(&w, "signed", one, signature);
    registry_close(w.reg);
    registry_up(&w);
    collect(&w); /* as after a kill */
    CHECK_TEXT(state_of(&w, one), "archived+");
    CHECK_TEXT(state_of(&w, signature), "active"); /* it was pushed after that */
    CHECK(registry_image_restore(w.reg, REGION, "my-app", one, clock_wall_ms() + 1000, &err));
    registry_close(w.reg);
    registry_up(&w);
    collect(&w);
    CHECK_TEXT(state_of(&w, one), "active+*");
    CHECK_TEXT(state_of(&w, w.digest), "archived+");
}

TEST(who_restores_again_finishes_what_was_cut_short)
{
    REGISTRY(w);
    char signature[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    put_small(&w, "one", NULL, w.digest);
    put_small(&w, "signed", w.digest, signature);
    CHECK(archive(&w, w.digest, &err));
    cleanup_free char *blob = blob_path(w.reg, str_of(signature)), *aside = text_format("%s/aside", w.dir);
    CHECK_EQ(rename(blob, aside), 0);
    CHECK(!restore(&w, w.digest, &err));
    CHECK_TEXT(state_of(&w, w.digest), "active+*");
    CHECK_EQ(rename(aside, blob), 0);
    CHECK(restore(&w, w.digest, &err));
    CHECK_TEXT(state_of(&w, signature), "active+*");
}

/* An index of two images, and a signature of it. */
struct family {
    char first[REGISTRY_DIGEST_SIZE], second[REGISTRY_DIGEST_SIZE], index[REGISTRY_DIGEST_SIZE],
        signature[REGISTRY_DIGEST_SIZE];
};

static void
put_family(struct world *w, const char *name, struct family *out)
{
    cleanup_free char *one = text_format("%s one", name), *two = text_format("%s two", name);
    const size_t first_size = put_small(w, one, NULL, out->first), second_size = put_small(w, two, NULL, out->second);
    cleanup_free char *index = text_format(
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST
        "\",\"digest\":\"%s\",\"size\":%zu},{\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu}]}",
        out->first, first_size, out->second, second_size);

    put_manifest(w, index, name, out->index);
    put_small(w, name, out->index, out->signature);
}

static void
manifest_lose(struct world *w, const char *digest)
{
    cleanup_free char *blob = blob_path(w->reg, str_of(digest));
    CHECK_EQ(unlink(blob), 0);
}

TEST(an_image_that_cannot_be_read_keeps_no_other_from_going_along)
{
    REGISTRY(w);
    struct family f;
    struct err err = {0};

    put_family(&w, "all", &f);
    manifest_lose(&w, f.first);
    CHECK(!archive(&w, f.index, &err)); /* whoever asked is told */
    CHECK(strstr(err.message, "cannot") != NULL);
    CHECK_TEXT(state_of(&w, f.index), "archived+");
    CHECK_TEXT(state_of(&w, f.second), "archived+");
    CHECK_TEXT(state_of(&w, f.signature), "archived+");
    /* Back it comes whole, or not at all. */
    CHECK(!restore(&w, f.index, &err));
    CHECK_TEXT(state_of(&w, f.index), "archived+");
    CHECK_TEXT(state_of(&w, f.second), "active+*");
}

static void
set_archived(struct world *w, const char *digest)
{
    cleanup_json struct json *record = NULL;
    cleanup_free char *path = image_record_path(w->reg, REGION, "my-app", str_of(digest));
    struct err err = {0};

    CHECK(image_record_read(w->reg, REGION, "my-app", str_of(digest), &record, &err));
    json_set(record, "status", json_text("ARCHIVED"));
    json_set(record, "archivedAt", json_int(clock_wall_ms()));
    cleanup_free char *text = json_format(record);
    CHECK(disk_store(w->reg, path, str_of(text), &err));
}

TEST(one_that_cannot_be_finished_keeps_no_other_and_is_said)
{
    REGISTRY(w);
    struct family a, b;
    struct err err = {0};

    put_family(&w, "a", &a);
    put_family(&w, "b", &b);
    set_archived(&w, a.index);
    set_archived(&w, b.index);
    struct family *const broken = strcmp(a.index, b.index) < 0 ? &a : &b, *const whole = broken == &a ? &b : &a;
    manifest_lose(&w, broken->first); /* of the one that is looked at first */
    const struct log_catch log = log_catch_begin();
    CHECK(archive_finish(w.reg, &err));
    cleanup_free char *said = log_catch_end(&log);
    CHECK_TEXT(state_of(&w, whole->first), "archived+");
    CHECK_TEXT(state_of(&w, broken->second), "archived+");
    CHECK(strstr(said, broken->index) != NULL);
    CHECK(!atomic_load(&w.reg->archive_is_whole)); /* the next collection tries again */
}

TEST(a_record_that_cannot_be_read_may_be_one_of_the_archive)
{
    REGISTRY(w);
    struct err err = {0};

    CHECK(put_image(w.reg, "my-app", "v1", "one", w.digest));
    cleanup_free char *path = image_record_path(w.reg, REGION, "my-app", str_of(w.digest));
    CHECK(file_write_atomic(path, STR("{"), 0640, &err));
    const struct log_catch log = log_catch_begin();
    CHECK(archive_finish(w.reg, &err));
    cleanup_free char *said = log_catch_end(&log);
    CHECK(strstr(said, path) != NULL);
    CHECK(!atomic_load(&w.reg->archive_is_whole));
}

/* ---- collections and policies ---- */

static void
make_old(struct world *w, const char *digest, const char *member)
{
    cleanup_json struct json *record = NULL;
    struct err err = {0};
    cleanup_free char *path = image_record_path(w->reg, REGION, "my-app", str_of(digest));

    CHECK(image_record_read(w->reg, REGION, "my-app", str_of(digest), &record, &err));
    json_set(record, member, json_int(LONG_AGO_MS));
    cleanup_free char *text = json_format(record);
    CHECK(disk_store(w->reg, path, str_of(text), &err));
}

static bool
text_set(void *arg, struct json *document, struct err *err)
{
    (void)err;
    json_set(document, REGISTRY_LIFECYCLE_TEXT, json_text(arg));
    json_delete(document, REGISTRY_LIFECYCLE_TIME);
    return true;
}

#define POLICY                                                                                        \
    "{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":\"any\",\"countType\":"              \
    "\"sinceImagePushed\",\"countUnit\":\"days\",\"countNumber\":30},\"action\":{\"type\":\"transition\"" \
    ",\"targetStorageClass\":\"archive\"}},{\"rulePriority\":2,\"selection\":{\"tagStatus\":\"any\","   \
    "\"storageClass\":\"archive\",\"countType\":\"sinceImageTransitioned\",\"countUnit\":\"days\","     \
    "\"countNumber\":90},\"action\":{\"type\":\"expire\"}}]}"

TEST(a_policy_archives_and_after_ninety_days_expires)
{
    REGISTRY(w);
    char young[REGISTRY_DIGEST_SIZE], old[REGISTRY_DIGEST_SIZE], got[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *preview = NULL;
    struct registry_gc gc = {0};
    struct err err = {0};
    int64_t expired = -1;

    CHECK(put_image(w.reg, "my-app", "young", "young", young));
    CHECK(put_image(w.reg, "my-app", "old", "old", old));
    make_old(&w, old, "pushedAt");
    CHECK(registry_repository_change(w.reg, REGION, "my-app", text_set, POLICY, &err));
    CHECK(registry_lifecycle_preview(w.reg, REGION, "my-app", POLICY, clock_wall_ms(), &preview, &err));
    CHECK_EQ(json_size(preview), 1);
    CHECK_TEXT(json_get_cstr(json_at(preview, 0), "action", ""), "TRANSITION");
    CHECK(registry_lifecycle_apply(w.reg, REGION, "my-app", clock_wall_ms(), &expired, &err));
    CHECK_EQ(expired, 0);
    CHECK_TEXT(state_of(&w, young), "active");
    CHECK_TEXT(state_of(&w, old), "archived+");
    cleanup_free char *aged = text_format("find %s/blobs -type f -exec touch -d '2 hours ago' {} +", w.dir);
    cleanup_free char *said = check_shell(aged);
    CHECK(registry_collect(w.reg, NULL, 0, 0, clock_wall_ms(), &gc, &err));
    CHECK_EQ(gc.blobs_removed, 0); /* the archive is no bin */
    CHECK_EQ(gc.blobs_kept, 6);
    make_old(&w, old, "archivedAt");
    CHECK(registry_lifecycle_apply(w.reg, REGION, "my-app", clock_wall_ms(), &expired, &err));
    CHECK_EQ(expired, 1);
    CHECK(!registry_resolve(w.reg, REGION, "my-app", "old", got, &err));
}

TEST(a_policy_goes_on_behind_an_image_that_it_cannot_archive)
{
    REGISTRY(w);
    struct family a, b;
    struct err err = {0};
    int64_t expired = -1;

    put_family(&w, "a", &a);
    put_family(&w, "b", &b);
    manifest_lose(&w, a.first);
    manifest_lose(&w, b.first);
    make_old(&w, a.index, "pushedAt");
    make_old(&w, b.index, "pushedAt");
    CHECK(registry_repository_change(w.reg, REGION, "my-app", text_set, POLICY, &err));
    const struct log_catch log = log_catch_begin();
    CHECK(!registry_lifecycle_apply(w.reg, REGION, "my-app", clock_wall_ms(), &expired, &err));
    cleanup_free char *said = log_catch_end(&log);
    CHECK_TEXT(state_of(&w, a.index), "archived+");
    CHECK_TEXT(state_of(&w, b.index), "archived+");
    const bool is_a = strstr(err.message, a.index) != NULL; /* whichever was first */
    CHECK(is_a || strstr(err.message, b.index) != NULL);
    CHECK(strstr(said, is_a ? b.index : a.index) != NULL);
}

/* ---- what one image costs beside many ---- */

#define MANY 60

/* An image with a tag of its own and as old as LONG_AGO_MS, as it lies on disk. */
static char *
image_fake(struct world *w, int number)
{
    cleanup_free char *name = text_format("image %d", number), *layer = digest_of(str_of(name));
    cleanup_free char *manifest = manifest_text(layer, strlen(name), layer, strlen(name));
    char *digest = digest_of(str_of(manifest));
    cleanup_free char *blob = blob_path(w->reg, str_of(digest));
    cleanup_free char *record = text_format("{\"mediaType\":\"" OCI_MANIFEST "\",\"size\":1,\"imageSize\":1,\"pushedAt\":%lld}",
                                            (long long)LONG_AGO_MS + number);
    cleanup_free char *record_path = image_record_path(w->reg, REGION, "my-app", str_of(digest));
    cleanup_free char *tag = text_format("_tags/t%d", number);
    cleanup_free char *tag_path = repository_path(w->reg, REGION, "my-app", tag);
    struct err err = {0};

    CHECK(file_write_atomic(blob, str_of(manifest), 0640, &err) &&
          file_write_atomic(record_path, str_of(record), 0640, &err) &&
          file_write_atomic(tag_path, str_of(digest), 0640, &err));
    return digest;
}

/* System calls of this process that read. */
static int64_t
reads(void)
{
    cleanup_free char *said = check_shell("sed -n 's/^syscr: //p' /proc/$PPID/io");
    int64_t count = -1;

    CHECK(str_to_i64(str_trim(str_of(said)), &count));
    return count;
}

#define EXPIRE_ALL                                                                                     \
    "{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":\"any\",\"countType\":"              \
    "\"sinceImagePushed\",\"countUnit\":\"days\",\"countNumber\":30},\"action\":{\"type\":\"expire\"}}]}"
#define ARCHIVE_ALL                                                                                    \
    "{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":\"any\",\"countType\":"              \
    "\"sinceImagePushed\",\"countUnit\":\"days\",\"countNumber\":30},\"action\":{\"type\":\"transition\"" \
    ",\"targetStorageClass\":\"archive\"}}]}"

static void
apply_cheaply(struct world *w, const char *policy, int64_t expired_wanted)
{
    struct err err = {0};
    int64_t expired = -1;
    const int64_t before = reads();

    CHECK(registry_repository_change(w->reg, REGION, "my-app", text_set, (void *)policy, &err));
    CHECK(registry_lifecycle_apply(w->reg, REGION, "my-app", clock_wall_ms(), &expired, &err));
    CHECK_EQ(expired, expired_wanted);
    CHECK(reads() - before < MANY * MANY); /* twice that number of files, were each image to look at all */
}

TEST(a_policy_looks_at_a_repository_once_and_not_for_each_of_its_images)
{
    REGISTRY(w);
    char *digests[MANY];

    for (int i = 0; i < MANY; i++)
        digests[i] = image_fake(&w, i);
    apply_cheaply(&w, ARCHIVE_ALL, 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_TEXT(state_of(&w, digests[i]), "archived+");
        free(digests[i]);
    }
}

TEST(a_policy_that_expires_does_so_too)
{
    REGISTRY(w);

    for (int i = 0; i < MANY; i++)
        free(image_fake(&w, i));
    apply_cheaply(&w, EXPIRE_ALL, MANY);
    CHECK_EQ(files_in(&w, "registry/" REGION "/my-app/_manifests"), 0);
    CHECK_EQ(files_in(&w, "registry/" REGION "/my-app/_tags"), 0);
}

/* ---- a view, and what happens beside it ---- */

static size_t
tags_seen(const struct view *v, const char *digest)
{
    cleanup_json struct json *tags = view_tags(v, digest);
    return json_size(tags);
}

TEST(a_view_is_read_beside_pushes_and_hears_of_them)
{
    REGISTRY(w);
    cleanup(view_close_) struct view *v = NULL;
    char one[REGISTRY_DIGEST_SIZE], two[REGISTRY_DIGEST_SIZE], index[REGISTRY_DIGEST_SIZE];
    struct err err = {0};
    const size_t one_size = put_small(&w, "one", NULL, one);
    cleanup_free char *of_one = index_text(one, one_size);

    CHECK(put_image(w.reg, "my-app", "v1", "two", two));
    pthread_mutex_t *lock = repository_lock(w.reg, REGION, "my-app"); /* as if somebody pushed just now */
    CHECK(view_open(w.reg, REGION, "my-app", &v, &err));
    pthread_mutex_unlock(lock);
    CHECK_EQ(tags_seen(v, two), 1);
    CHECK(view_index_of(v, one, ALL_INDEXES) == NULL);
    put_manifest(&w, of_one, "v1", index); /* takes the tag of the other one */
    CHECK(view_refresh(v, &err));
    CHECK_EQ(tags_seen(v, two), 0);
    CHECK_EQ(tags_seen(v, index), 1);
    CHECK_TEXT(view_index_of(v, one, ACTIVE_INDEXES), index);
    CHECK(archive(&w, index, &err));
    CHECK(view_refresh(v, &err));
    CHECK(view_index_of(v, one, ACTIVE_INDEXES) == NULL);
    CHECK_TEXT(view_index_of(v, one, ALL_INDEXES), index);
    CHECK(registry_image_delete(w.reg, REGION, "my-app", index, NULL, &err));
    CHECK(view_refresh(v, &err));
    CHECK(view_index_of(v, one, ALL_INDEXES) == NULL);
    CHECK_EQ(tags_seen(v, index), 0);
}

/* A lifecycle policy goes on with the next image, of which it must know that somebody has tagged it. */
TEST(what_a_view_heard_of_and_could_not_read_it_reads_the_next_time)
{
    REGISTRY(w);
    cleanup(view_close_) struct view *v = NULL;
    char one[REGISTRY_DIGEST_SIZE], two[REGISTRY_DIGEST_SIZE], index[REGISTRY_DIGEST_SIZE];
    struct err err = {0};
    const size_t one_size = put_small(&w, "one", NULL, one);
    cleanup_free char *of_one = index_text(one, one_size);
    cleanup_free char *tag = text_format("%s/registry/" REGION "/my-app/_tags/kept", w.dir);
    cleanup_free char *aside = text_format("%s/kept", w.dir);

    CHECK(view_open(w.reg, REGION, "my-app", &v, &err));
    put_manifest(&w, of_one, "list", index);
    CHECK(put_image(w.reg, "my-app", "kept", "two", two));
    CHECK(rename(tag, aside) == 0 && mkdir(tag, 0700) == 0);
    CHECK(!view_refresh(v, &err));
    CHECK(rmdir(tag) == 0 && rename(aside, tag) == 0);
    CHECK(view_refresh(v, &err));
    CHECK_EQ(tags_seen(v, two), 1);
    CHECK_EQ(tags_seen(v, index), 1);
    CHECK_TEXT(view_index_of(v, one, ACTIVE_INDEXES), index);
}

/* ---- what cannot be read ---- */

static void
record_damage(struct world *w, const char *digest)
{
    cleanup_free char *path = image_record_path(w->reg, REGION, "my-app", str_of(digest));
    struct err err = {0};

    CHECK(file_write_atomic(path, STR("{"), 0640, &err));
}

/* By digest; gives the error's code. */
static enum err_code
delete(struct world *w, const char *digest, struct err *err)
{
    *err = (struct err){0};
    CHECK(registry_image_delete(w->reg, REGION, "my-app", digest, NULL, err) == (err->code == ERR_NONE));
    return err->code;
}

TEST(an_image_that_cannot_be_read_keeps_no_other_from_being_deleted)
{
    REGISTRY(w);
    struct family f;
    char other[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    put_family(&w, "all", &f);
    CHECK(put_image(w.reg, "my-app", "other", "other", other));
    record_damage(&w, f.index);
    record_damage(&w, f.signature);
    const struct log_catch log = log_catch_begin();
    CHECK_EQ(delete(&w, other, &err), ERR_NONE);
    cleanup_free char *said = log_catch_end(&log);
    CHECK(strstr(said, f.index) != NULL && strstr(said, f.signature) != NULL);
    /* Whatever its record says, the index names them. */
    CHECK_EQ(delete(&w, f.first, &err), ERR_CONFLICT);
    CHECK(strstr(err.message, f.index) != NULL);
    /* Nobody has to make whole what he does not want, and all that is known of it goes along. */
    CHECK_EQ(files_in(&w, "registry/" REGION "/my-app/_referrers"), 1);
    CHECK_EQ(delete(&w, f.signature, &err), ERR_NONE);
    CHECK_EQ(files_in(&w, "registry/" REGION "/my-app/_referrers"), 0);
    CHECK_EQ(delete(&w, f.index, &err), ERR_NONE);
    CHECK_EQ(delete(&w, f.first, &err), ERR_NONE);
}

TEST(what_may_be_named_by_an_index_that_is_lost_is_kept)
{
    REGISTRY(w);
    struct family f;
    struct err err = {0};
    char other[REGISTRY_DIGEST_SIZE], got[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *removed = json_array();
    cleanup(strbuf_done) struct strbuf index = {0};

    put_family(&w, "all", &f);
    CHECK(put_image(w.reg, "my-app", "other", "other", other));
    CHECK(blob_read(w.reg, str_of(f.index), &index, &err));
    cleanup_free char *blob = blob_path(w.reg, str_of(f.index));
    CHECK(file_write_atomic(blob, STR("{\"manifests\":[]}"), 0640, &err)); /* that nobody has pushed */
    CHECK_EQ(delete(&w, f.first, &err), ERR_CONFLICT);
    CHECK(strstr(err.message, "cannot be read") != NULL && strstr(err.message, f.index) != NULL);
    CHECK(!archive(&w, f.first, &err));
    CHECK_EQ(err.code, ERR_STORAGE_CLASS_UPDATE);
    /* The last tag goes without its image. */
    CHECK(registry_image_delete(w.reg, REGION, "my-app", "other", removed, &err));
    CHECK(!registry_resolve(w.reg, REGION, "my-app", "other", got, &err));
    CHECK(registry_resolve(w.reg, REGION, "my-app", other, got, &err));
    /* A push makes it whole. */
    CHECK_EQ(unlink(blob), 0);
    put_manifest(&w, strbuf_cstr(&index), "all", got);
    CHECK_EQ(delete(&w, other, &err), ERR_NONE);
    CHECK_EQ(delete(&w, f.first, &err), ERR_CONFLICT);
    /* Or it goes itself. */
    manifest_lose(&w, f.index);
    CHECK_EQ(delete(&w, f.second, &err), ERR_CONFLICT);
    CHECK_EQ(delete(&w, f.index, &err), ERR_NONE);
    CHECK_EQ(delete(&w, f.second, &err), ERR_NONE);
}

static int64_t
expire_all(struct world *w)
{
    struct err err = {0};
    int64_t expired = -1;

    CHECK(registry_repository_change(w->reg, REGION, "my-app", text_set, EXPIRE_ALL, &err));
    CHECK(registry_lifecycle_apply(w->reg, REGION, "my-app", clock_wall_ms(), &expired, &err));
    return expired;
}

TEST(a_policy_goes_on_beside_an_image_that_cannot_be_read)
{
    REGISTRY(w);
    struct family f;
    char other[REGISTRY_DIGEST_SIZE], got[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    put_family(&w, "all", &f);
    CHECK(put_image(w.reg, "my-app", "other", "other", other));
    make_old(&w, f.first, "pushedAt");
    make_old(&w, other, "pushedAt");
    record_damage(&w, f.index);
    CHECK_EQ(expire_all(&w), 1);
    CHECK(!registry_resolve(w.reg, REGION, "my-app", other, got, &err));
    CHECK(registry_resolve(w.reg, REGION, "my-app", f.first, got, &err)); /* the index names it */
    CHECK(registry_resolve(w.reg, REGION, "my-app", f.index, got, &err));
    CHECK(put_image(w.reg, "my-app", "other", "other", other));
    make_old(&w, other, "pushedAt");
    manifest_lose(&w, f.index);
    CHECK_EQ(expire_all(&w), 0); /* that one, too, for all that anybody knows */
}

TEST(an_archived_index_is_finished_beside_an_image_that_cannot_be_read)
{
    REGISTRY(w);
    struct family f;
    struct err err = {0};

    put_family(&w, "all", &f);
    CHECK(put_image(w.reg, "my-app", "other", "other", w.digest));
    set_archived(&w, f.index);
    record_damage(&w, w.digest);
    CHECK(archive_finish(w.reg, &err));
    CHECK_TEXT(state_of(&w, f.first), "archived+");
    CHECK_TEXT(state_of(&w, f.signature), "archived+");
}

TEST(an_index_of_what_cannot_be_read_is_not_pushed)
{
    REGISTRY(w);
    char one[REGISTRY_DIGEST_SIZE], index[REGISTRY_DIGEST_SIZE];
    struct err err = {0};
    const size_t size = put_small(&w, "one", NULL, one);
    cleanup_free char *text = index_text(one, size);
    const struct registry_put put = {.manifest = str_of(text), .tag = "all"};

    record_damage(&w, one);
    CHECK(!registry_manifest_put(w.reg, REGION, "my-app", &put, index, &err));
    CHECK_EQ(err.code, ERR_INTERNAL);
    CHECK(!registry_resolve(w.reg, REGION, "my-app", "all", index, &err));
    put_small(&w, "one", NULL, one);
    put_manifest(&w, text, "all", index);
}

TEST(what_is_passed_over_for_a_file_that_cannot_be_read_is_said)
{
    REGISTRY(w);
    cleanup(registry_referrers_done) struct registry_referrers found = {0};
    struct family f;
    struct err err = {0};
    int64_t expired;

    put_family(&w, "all", &f);
    cleanup_free char *list = referrers_tag(str_of(f.first));
    put_manifest(&w, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[]}", list, w.digest);
    record_damage(&w, w.digest); /* where clients of other registries keep referrers */
    cleanup_free char *description = repository_path(w.reg, REGION, "my-app", "_repository.json");
    const struct log_catch log = log_catch_begin();
    CHECK(registry_referrers(w.reg, REGION, "my-app", f.first, NULL, false, NULL, &found, &err));
    registry_close(w.reg);
    CHECK(file_write_atomic(description, STR("{"), 0640, &err)); /* does it have a policy? */
    registry_up(&w);
    CHECK(registry_lifecycle_apply_all(w.reg, 0, clock_wall_ms(), &expired, &err));
    cleanup_free char *said = log_catch_end(&log);
    CHECK(strstr(said, list) != NULL && strstr(said, description) != NULL);
}
