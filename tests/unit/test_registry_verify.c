/* SPDX-License-Identifier: MIT */
/* test_registry_verify.c - each way to break a registry's files is found and named. */
#include "registry_world.h"

#include "registry/verify.h"

struct found {
    char kinds[512]; /* "BlobDamaged ImageBroken " in the order found */
    int64_t last_bytes, all_bytes;
};

static void
note_problem(void *arg, const struct registry_problem *p)
{
    struct found *f = arg;
    const size_t len = strlen(f->kinds);

    CHECK(p->what[0] != '\0' && p->remedy[0] != '\0');
    snprintf(f->kinds + len, sizeof f->kinds - len, "%s ", p->kind);
}

static void
note_progress(void *arg, int64_t bytes, int64_t all_bytes)
{
    struct found *f = arg;

    CHECK(bytes >= f->last_bytes);
    f->last_bytes = bytes;
    f->all_bytes = all_bytes;
}

static struct registry_verify
verify(const struct world *w, bool repair, struct found *f)
{
    const struct registry_verify_options options = {
        .repair = repair, .problem = note_problem, .progress = note_progress, .arg = f};
    struct registry_verify result;
    struct err err = {0};

    *f = (struct found){0};
    CHECK(registry_verify(w->dir, &options, &result, &err));
    return result;
}

static char *
blob_file(const struct world *w, const char *digest)
{
    return blob_path(w->reg, str_of(digest));
}

static void
overwrite(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

TEST(what_is_whole_is_counted)
{
    WORLD(w);
    cleanup_free char *one = push_image(&w, "my-app", "v1", "content one");
    cleanup_free char *two = push_image(&w, "my-app", "v2", "content two");
    struct found f;

    const struct registry_verify r = verify(&w, false, &f);
    CHECK_TEXT(f.kinds, "");
    CHECK_EQ(r.problems, 0);
    CHECK_EQ(r.blobs, 6);
    CHECK_EQ(r.images, 2);
    CHECK_EQ(r.tags, 2);
    CHECK_EQ(r.links, 4);
    CHECK_EQ(r.repositories, 1);
    CHECK_EQ(f.last_bytes, r.bytes);
    CHECK_EQ(f.all_bytes, r.bytes);
}

TEST(one_other_byte_is_found_and_repaired_by_a_push)
{
    WORLD(w);
    cleanup_free char *image = push_image(&w, "my-app", "v1", "content");
    cleanup_free char *layer = digest_of(STR("content"));
    cleanup_free char *path = blob_file(&w, layer);
    cleanup_free char *aside = text_format("%s/blobs/damaged/%s", w.dir, layer + 7);
    struct found f;

    overwrite(path, "cOntent");
    CHECK_EQ(verify(&w, false, &f).problems, 2);
    CHECK_TEXT(f.kinds, "BlobDamaged ImageBroken ");
    CHECK(file_exists(path));
    const struct registry_verify r = verify(&w, true, &f);
    CHECK_EQ(r.repaired, 1);
    CHECK(!file_exists(path) && file_exists(aside));
    CHECK_EQ(verify(&w, false, &f).problems, 1);
    CHECK_TEXT(f.kinds, "BlobMissing ");
    cleanup_free char *again = push_image(&w, "my-app", "v1", "content");
    CHECK_TEXT(again, image);
    CHECK_EQ(verify(&w, false, &f).problems, 0);
}

TEST(a_manifest_with_another_byte_is_not_served)
{
    WORLD(w);
    cleanup_free char *image = push_image(&w, "my-app", "v1", "content");
    cleanup_free char *path = blob_file(&w, image);
    cleanup(strbuf_done) struct strbuf whole = {0};
    const char *const names[] = {"v1", image};
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    CHECK(registry_manifest_get(w.reg, REGION, "my-app", "v1", &whole, digest, NULL, &err));
    strbuf_add(&whole, STR(" ")); /* still a manifest in its form */
    overwrite(path, strbuf_cstr(&whole));
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        cleanup(strbuf_done) struct strbuf bytes = {0};
        CHECK(!registry_manifest_get(w.reg, REGION, "my-app", names[i], &bytes, digest, NULL, &err));
        CHECK_EQ(err.code, ERR_INTERNAL);
    }
}

TEST(each_broken_name_is_found)
{
    WORLD(w);
    cleanup_free char *image = push_image(&w, "my-app", "v1", "content");
    cleanup_free char *layer = digest_of(STR("content"));
    cleanup_free char *tag = text_format("%s/registry/" REGION "/my-app/_tags/v1", w.dir);
    cleanup_free char *record =
        text_format("%s/registry/" REGION "/my-app/_manifests/%s", w.dir, image + 7);
    cleanup_free char *link = layer_path(w.reg, REGION, "my-app", str_of(layer));
    cleanup_free char *stray = text_format("%s/blobs/sha256/00/stray", w.dir);
    cleanup_free char *manifest = blob_file(&w, image);
    cleanup(strbuf_done) struct strbuf old_record = {0};
    struct err err = {0};
    struct found f;

    overwrite(stray, "x");
    verify(&w, false, &f);
    CHECK_TEXT(f.kinds, "StrayFile ");
    CHECK(unlink(stray) == 0);
    overwrite(tag, "sha256:short\n");
    verify(&w, false, &f);
    CHECK_TEXT(f.kinds, "TagDamaged ");
    cleanup_free char *elsewhere = text_format("%s\n", layer);
    overwrite(tag, elsewhere);
    verify(&w, false, &f);
    CHECK_TEXT(f.kinds, "TagBroken ");
    CHECK(unlink(tag) == 0 && unlink(link) == 0);
    verify(&w, false, &f);
    CHECK_TEXT(f.kinds, "LinkMissing ");
    CHECK(file_read(record, 4096, &old_record, &err));
    overwrite(record, "{");
    verify(&w, false, &f);
    CHECK_TEXT(f.kinds, "RecordDamaged ");
    overwrite(record, strbuf_cstr(&old_record));
    CHECK(unlink(manifest) == 0);
    verify(&w, false, &f);
    CHECK_TEXT(f.kinds, "ManifestMissing ");
}

TEST(a_folder_without_a_registry_is_an_error)
{
    const struct registry_verify_options options = {0};
    struct registry_verify result;
    struct err err = {0};

    CHECK(!registry_verify("/nonexistent", &options, &result, &err));
    CHECK(strstr(err.message, "/nonexistent") != NULL);
}
