/* SPDX-License-Identifier: MIT */
/* What was pushed before there was a rule goes to its destination, too. */
#include "registry_world.h"

#include "registry/mirror/backfill.h"
#include "registry/mirror/replication.h"

#define THERE "eu-north-1"
#define NOWHERE "999999999999" /* no registry that is known */

static bool
rules_set(void *arg, struct json *document, struct err *err)
{
    json_set(document, "replicationConfiguration", json_parse(str_of(arg), err));
    return true;
}

static void
rule(struct world *w, const char *registry, const char *prefix)
{
    cleanup_free char *rules = text_format("{\"rules\":[{\"destinations\":[{\"region\":\"" THERE "\",\"registryId\":\"%s\"}],"
                                           "\"repositoryFilters\":[{\"filter\":\"%s\"}]}]}", registry, prefix);
    struct err err = {0};

    CHECK(registry_document_change(w->reg, REGION, rules_set, rules, &err));
}

/* An image with so many tags, v0, v1, ... */
static void
push(struct world *w, const char *repository, const char *layer, int tags, char digest[static REGISTRY_DIGEST_SIZE])
{
    cleanup_free char *manifest = put_parts(w->reg, repository, layer);
    struct err err = {0};

    for (int i = 0; i < tags || i == 0; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "v%d", i);
        const struct registry_put put = {.manifest = str_of(manifest), .tag = tags > 0 ? tag : NULL};
        CHECK(registry_manifest_put(w->reg, REGION, repository, &put, digest, &err));
    }
}

/* my-app: one image with two tags, one without; other: one with a tag. */
static void
pushed(struct world *w)
{
    struct err err = {0};
    char digest[REGISTRY_DIGEST_SIZE];

    CHECK(registry_repository_create(w->reg, REGION, "other", NULL, &err));
    push(w, "my-app", "one", 2, w->digest);
    push(w, "my-app", "two", 0, digest);
    push(w, "other", "three", 1, digest);
}

static void
start(struct world *w, const char *registry, char id[static 37])
{
    cleanup_json struct json *summary = NULL;
    struct err err = {0};

    CHECK(registry_backfill_start(w->reg, REGION, registry, THERE, &summary, &err));
    CHECK_TEXT(json_get_cstr(summary, "status", ""), "PREPARING");
    CHECK_TEXT(json_get_cstr(json_get(summary, "destination"), "registryId", ""), registry);
    CHECK(json_get(summary, "asked") == NULL);
    text_copy_all(id, 37, json_get_cstr(summary, "replicationBackfillId", ""));
}

static struct json *
wait_for(struct world *w, const char *id, const char *status, struct json **images_out)
{
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    struct json *summary;
    struct err err = {0};

    for (;;) {
        CHECK(registry_backfill_get(w->reg, REGION, id, &summary, images_out, &err));
        if (strcmp(json_get_cstr(summary, "status", ""), status) == 0)
            return summary;
        json_unref(summary);
        if (images_out != NULL)
            json_unref(*images_out);
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(5);
    }
}

static void
check_progress(const struct json *summary, int total, int completed, int failed)
{
    const struct json *progress = json_get(summary, "progress");

    CHECK_EQ(json_get_i64(progress, "totalReplicationCount", -1), total);
    CHECK_EQ(json_get_i64(progress, "completedReplicationCount", -1), completed);
    CHECK_EQ(json_get_i64(progress, "failedReplicationCount", -1), failed);
}

/* "COMPLETE" of the one destination; "" if there is none. */
static void
check_record(struct world *w, const char *status)
{
    cleanup_json struct json *list = NULL;
    struct err err = {0};

    CHECK(registry_replication_get(w->reg, REGION, "my-app", w->digest, &list, &err));
    CHECK_TEXT(json_get_cstr(json_at(list, 0), "status", ""), status);
    CHECK(json_get(json_at(list, 0), "before") == NULL);
}

TEST(what_was_pushed_before_the_rule_goes_there)
{
    REGISTRY(w);
    char id[37], found[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    pushed(&w);
    rule(&w, ACCOUNT, "my-");
    registry_start_replicating(w.reg, w.dir);
    start(&w, ACCOUNT, id);
    cleanup_json struct json *images = NULL;
    cleanup_json struct json *summary = wait_for(&w, id, "COMPLETE", &images);
    check_progress(summary, 3, 3, 0);
    CHECK(json_get_i64(summary, "endedAt", 0) >= json_get_i64(summary, "startedAt", 0));
    CHECK_EQ(json_size(images), 2);
    CHECK_EQ(json_size(json_get(json_find(images, "imageDigest", w.digest), "tags")), 2);
    CHECK(registry_resolve(w.reg, THERE, "my-app", "v1", found, &err));
    CHECK_TEXT(found, w.digest);
    CHECK(!registry_resolve(w.reg, THERE, "other", "v0", found, &err));
    check_record(&w, "COMPLETE");

    /* The destination lost it: a second one brings it again. */
    CHECK(registry_repository_delete(w.reg, THERE, "my-app", true, &err));
    start(&w, ACCOUNT, id);
    json_unref(wait_for(&w, id, "COMPLETE", NULL));
    CHECK(registry_resolve(w.reg, THERE, "my-app", "v1", found, &err));
    cleanup_json struct json *all = NULL;
    CHECK(registry_backfill_list(w.reg, REGION, &all, &err));
    CHECK_EQ(json_size(all), 2);
}

TEST(one_that_waits_is_stopped_and_leaves_the_records_as_they_were)
{
    REGISTRY(w);
    char id[37], second[37];
    struct err err = {0};
    cleanup_json struct json *stopped = NULL;

    pushed(&w);
    rule(&w, NOWHERE, "");
    registry_start_replicating(w.reg, w.dir);
    start(&w, NOWHERE, id);
    json_unref(wait_for(&w, id, "IN_PROGRESS", NULL));
    check_record(&w, "IN_PROGRESS");
    CHECK(!registry_backfill_start(w.reg, REGION, NOWHERE, THERE, &stopped, &err));
    CHECK_EQ(err.code, ERR_BACKFILL_IN_PROGRESS);
    CHECK(registry_backfill_stop(w.reg, REGION, id, &stopped, &err));
    cleanup_json struct json *images = NULL;
    cleanup_json struct json *summary = wait_for(&w, id, "STOPPED", &images);
    check_progress(summary, 4, 0, 0);
    CHECK_EQ(json_size(images), 3);
    check_record(&w, "");
    CHECK(!registry_backfill_stop(w.reg, REGION, id, &stopped, &err));
    CHECK_EQ(err.code, ERR_BACKFILL_STATUS);
    CHECK(!registry_backfill_stop(w.reg, REGION, "../_registry", &stopped, &err));
    CHECK_EQ(err.code, ERR_BACKFILL_NOT_FOUND);
    start(&w, NOWHERE, second); /* the region is free again */
}

TEST(what_no_rule_names_is_no_destination)
{
    REGISTRY(w);
    struct json *summary = NULL;
    struct err err = {0};

    rule(&w, ACCOUNT, "my-");
    registry_start_replicating(w.reg, w.dir);
    CHECK(!registry_backfill_start(w.reg, REGION, ACCOUNT, "eu-south-1", &summary, &err));
    CHECK_EQ(err.code, ERR_INVALID_PARAMETER);
}

/* As a process leaves it that ended after the first of its images. */
TEST(a_start_goes_on_with_what_was_under_way)
{
    REGISTRY(w);
    const char *id = "01234567-89ab-cdef-0123-456789abcdef";
    char second[REGISTRY_DIGEST_SIZE], found[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    push(&w, "my-app", "one", 1, w.digest);
    push(&w, "my-app", "two", 1, second);
    rule(&w, ACCOUNT, "my-");
    cleanup_free char *folder = text_format("%s/registry/" REGION "/_backfills", w.dir);
    cleanup_free char *summary = text_format("%s/%s.json", folder, id);
    cleanup_free char *list = text_format("%s/%s.images", folder, id);
    cleanup_free char *images =
        text_format("[{\"repositoryName\":\"my-app\",\"imageDigest\":\"%s\",\"tags\":[],\"status\":\"COMPLETE\"},"
                    "{\"repositoryName\":\"my-app\",\"imageDigest\":\"%s\",\"tags\":[\"v0\"]}]", w.digest, second);
    CHECK(file_make_dirs(folder, 0750, &err) && file_write_atomic(list, str_of(images), 0640, &err));
    CHECK(file_write_atomic(summary,
                            STR("{\"replicationBackfillId\":\"01234567-89ab-cdef-0123-456789abcdef\",\"destination\":"
                                "{\"region\":\"" THERE "\",\"registryId\":\"" ACCOUNT "\"},\"status\":\"IN_PROGRESS\","
                                "\"startedAt\":1,\"asked\":\"0123456789abcdef\"}"), 0640, &err));
    registry_start_replicating(w.reg, w.dir);
    cleanup_json struct json *ended = wait_for(&w, id, "COMPLETE", NULL);
    check_progress(ended, 2, 2, 0);
    CHECK(registry_resolve(w.reg, THERE, "my-app", "v0", found, &err));
    CHECK_TEXT(found, second);
    CHECK(!registry_resolve(w.reg, THERE, "my-app", w.digest, found, &err)); /* that had been done */
}
