/* SPDX-License-Identifier: MIT */
/* What was pushed before there was a rule goes to its destination, too. */
#include "registry_world.h"

#include "registry/mirror/backfill.h"
#include "registry/mirror/replication_internal.h"

#define THERE "eu-north-1"
#define NOWHERE "999999999999" /* no registry that is known */
#define SILENT "222222222222"  /* one that never says a word */

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
        CHECK(registry_backfill_get(w->reg, REGION, id, 0, SIZE_MAX, &summary, images_out, &err));
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

/* Of two images. */
static void
check_part(struct world *w, const char *id, const struct json *images)
{
    static const struct {
        size_t first, count, size;
    } rows[] = {{0, 1, 1}, {1, 1, 1}, {1, 9, 1}, {0, 2, 2}, {2, 9, 0}, {9, 1, 0}, {0, 0, 0}};
    struct err err = {0};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        cleanup_json struct json *summary = NULL, *part = NULL;
        CHECK(registry_backfill_get(w->reg, REGION, id, rows[i].first, rows[i].count, &summary, &part, &err));
        CHECK_EQ(json_size(part), rows[i].size);
        for (size_t k = 0; k < rows[i].size; k++)
            CHECK(json_equal(json_at(part, k), json_at(images, rows[i].first + k)));
    }
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
    check_part(&w, id, images);
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

#define LEFT "01234567-89ab-cdef-0123-456789abcdef"

/* As a process leaves it that ended after the first of its images. */
static void
leave(struct world *w, char second[static REGISTRY_DIGEST_SIZE])
{
    struct err err = {0};

    push(w, "my-app", "one", 1, w->digest);
    push(w, "my-app", "two", 1, second);
    rule(w, ACCOUNT, "my-");
    cleanup_free char *folder = text_format("%s/registry/" REGION "/_backfills", w->dir);
    cleanup_free char *summary = text_format("%s/" LEFT ".json", folder);
    cleanup_free char *list = text_format("%s/" LEFT ".images", folder);
    cleanup_free char *images =
        text_format("[{\"repositoryName\":\"my-app\",\"imageDigest\":\"%s\",\"tags\":[],\"status\":\"COMPLETE\"},"
                    "{\"repositoryName\":\"my-app\",\"imageDigest\":\"%s\",\"tags\":[\"v0\"]}]", w->digest, second);
    CHECK(file_make_dirs(folder, 0750, &err) && file_write_atomic(list, str_of(images), 0640, &err));
    CHECK(file_write_atomic(summary,
                            STR("{\"replicationBackfillId\":\"" LEFT "\",\"destination\":"
                                "{\"region\":\"" THERE "\",\"registryId\":\"" ACCOUNT "\"},\"status\":\"IN_PROGRESS\","
                                "\"startedAt\":1,\"asked\":\"0123456789abcdef\"}"), 0640, &err));
}

/* As one whose folder could not be read at the start: it came to be readable since. */
TEST(one_that_the_start_did_not_find_is_stopped)
{
    REGISTRY(w);
    char second[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *all = NULL, *stopped = NULL, *again = NULL;
    struct err err = {0};

    registry_start_replicating(w.reg, w.dir);
    CHECK(registry_backfill_list(w.reg, REGION, &all, &err)); /* which waits for the start */
    leave(&w, second);
    CHECK(registry_backfill_stop(w.reg, REGION, LEFT, &stopped, &err));
    CHECK_TEXT(json_get_cstr(stopped, "replicationBackfillId", ""), LEFT);
    json_unref(wait_for(&w, LEFT, "STOPPED", NULL));
    CHECK(!registry_backfill_stop(w.reg, REGION, LEFT, &again, &err));
    CHECK_EQ(err.code, ERR_BACKFILL_STATUS);
    CHECK(strstr(err.message, "is STOPPED") != NULL);
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

TEST(a_start_goes_on_with_what_was_under_way)
{
    REGISTRY(w);
    char second[REGISTRY_DIGEST_SIZE], found[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    leave(&w, second);
    registry_start_replicating(w.reg, w.dir);
    cleanup_json struct json *ended = wait_for(&w, LEFT, "COMPLETE", NULL);
    check_progress(ended, 2, 2, 0);
    CHECK(registry_resolve(w.reg, THERE, "my-app", "v0", found, &err));
    CHECK_TEXT(found, second);
    CHECK(!registry_resolve(w.reg, THERE, "my-app", w.digest, found, &err)); /* that had been done */
}

/* The versions before wrote all images into one line. */
TEST(results_of_a_version_before_are_told)
{
    REGISTRY(w);
    char second[REGISTRY_DIGEST_SIZE];
    cleanup_free char *summary = text_format("%s/registry/" REGION "/_backfills/" LEFT ".json", w.dir);
    cleanup_json struct json *images = NULL;
    struct err err = {0};

    leave(&w, second);
    CHECK(file_write_atomic(summary, STR("{\"replicationBackfillId\":\"" LEFT "\",\"status\":\"STOPPED\",\"progress\":{}}"),
                            0640, &err));
    json_unref(wait_for(&w, LEFT, "STOPPED", &images));
    CHECK_EQ(json_size(images), 2);
    CHECK_TEXT(json_get_cstr(json_at(images, 1), "imageDigest", ""), second);
    check_part(&w, LEFT, images);
}

TEST(where_nobody_replicates_backfills_are_told_and_not_stopped)
{
    REGISTRY(w);
    char second[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *all = NULL, *images = NULL, *out = NULL;
    struct err err = {0};

    leave(&w, second);
    CHECK(registry_backfill_list(w.reg, REGION, &all, &err));
    CHECK_EQ(json_size(all), 1);
    json_unref(wait_for(&w, LEFT, "IN_PROGRESS", &images));
    CHECK_EQ(json_size(images), 0);
    CHECK(!registry_backfill_stop(w.reg, REGION, LEFT, &out, &err));
    CHECK_EQ(err.code, ERR_INTERNAL);
    CHECK(!registry_backfill_start(w.reg, REGION, ACCOUNT, THERE, &out, &err));
    CHECK_EQ(err.code, ERR_INTERNAL);
    CHECK(!registry_backfill_stop(w.reg, REGION, "none", &out, &err));
    CHECK_EQ(err.code, ERR_BACKFILL_NOT_FOUND);
}

#define OTHER "11111111-89ab-cdef-0123-456789abcdef"

/* Beside one that is damaged, in its own region too. */
TEST(a_damaged_one_is_no_fault_of_who_asks)
{
    REGISTRY(w);
    char second[REGISTRY_DIGEST_SIZE], id[37];
    cleanup_json struct json *all = NULL, *one = NULL, *images = NULL;
    cleanup_free char *path = text_format("%s/registry/" REGION "/_backfills/" OTHER ".json", w.dir);
    cleanup_free char *results = text_format("%s/registry/" REGION "/_backfills/" LEFT ".images", w.dir);
    struct err err = {0};

    leave(&w, second);
    CHECK(file_write_atomic(path, STR("{"), 0640, &err));
    CHECK(registry_backfill_list(w.reg, REGION, &all, &err));
    CHECK_EQ(json_size(all), 1);
    CHECK(!registry_backfill_get(w.reg, REGION, OTHER, 0, SIZE_MAX, &one, NULL, &err));
    CHECK_EQ(err.code, ERR_INTERNAL);
    registry_start_replicating(w.reg, w.dir);
    json_unref(wait_for(&w, LEFT, "COMPLETE", NULL));
    start(&w, ACCOUNT, id);
    CHECK(file_write_atomic(results, STR("[\n{"), 0640, &err));
    CHECK(!registry_backfill_get(w.reg, REGION, LEFT, 0, 9, &one, &images, &err));
    CHECK_EQ(err.code, ERR_INTERNAL);
    CHECK(strstr(err.message, "is damaged") != NULL);
}

TEST(of_what_is_kept_the_images_go_with_the_summary)
{
    REGISTRY(w);
    char second[REGISTRY_DIGEST_SIZE];
    cleanup_free char *alone = text_format("%s/registry/" REGION "/_backfills/" OTHER ".images", w.dir);
    struct err err = {0};

    leave(&w, second);
    CHECK(file_write_atomic(alone, STR("[]"), 0640, &err)); /* as a kill leaves it */
    registry_start_replicating(w.reg, w.dir);
    json_unref(wait_for(&w, LEFT, "COMPLETE", NULL));
    CHECK(!file_exists(alone));
}

static void *
read_images(void *arg)
{
    struct world *w = arg;
    cleanup_json struct json *summary = NULL, *images = NULL;
    struct err err = {0};

    CHECK(registry_backfill_get(w->reg, REGION, LEFT, 0, SIZE_MAX, &summary, &images, &err));
    CHECK_EQ(json_size(images), 0);
    return NULL;
}

/* Results may be 64 MiB: a pipe stands for a file that takes its time. */
TEST(who_reads_results_keeps_nobody_waiting)
{
    REGISTRY(w);
    char second[REGISTRY_DIGEST_SIZE], id[37];
    cleanup_free char *path = text_format("%s/registry/" REGION "/_backfills/" LEFT ".images", w.dir);
    cleanup_close int writer = -1;
    pthread_t reader;
    struct err err = {0};

    leave(&w, second);
    registry_start_replicating(w.reg, w.dir);
    json_unref(wait_for(&w, LEFT, "COMPLETE", NULL));
    CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0);
    CHECK_EQ(pthread_create(&reader, NULL, read_images, &w), 0);
    CHECK((writer = open(path, O_WRONLY | O_CLOEXEC)) >= 0); /* it is open at its other end, too */
    start(&w, ACCOUNT, id);
    CHECK(file_write_all(writer, STR("[]"), &err));
    cleanup_close_(&writer);
    CHECK_EQ(pthread_join(reader, NULL), 0);
}

TEST(one_that_is_damaged_stops_no_other_region)
{
    REGISTRY(w);
    char second[REGISTRY_DIGEST_SIZE];
    cleanup_free char *folder = text_format("%s/registry/aa-first-1/_backfills", w.dir);
    cleanup_free char *path = text_format("%s/" LEFT ".json", folder);
    struct err err = {0};

    leave(&w, second);
    CHECK(file_make_dirs(folder, 0750, &err) && file_write_atomic(path, STR("{"), 0640, &err));
    registry_start_replicating(w.reg, w.dir);
    json_unref(wait_for(&w, LEFT, "COMPLETE", NULL));
}

static void
put_index(struct world *w, const char *tag, const char *const *digests, const size_t *sizes, int count,
          char digest[static REGISTRY_DIGEST_SIZE])
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct err err = {0};

    for (int i = 0; i < count; i++)
        strbuf_addf(&text, "%s{\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu}", i > 0 ? "," : "",
                    digests[i], sizes[i]);
    cleanup_free char *manifest = text_format("{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[%s]}",
                                              strbuf_cstr(&text));
    const struct registry_put put = {.manifest = str_of(manifest), .tag = tag};
    CHECK(registry_manifest_put(w->reg, REGION, "my-app", &put, digest, &err));
}

TEST(an_index_brings_its_images_along_unless_it_is_archived)
{
    REGISTRY(w);
    char id[37], one[REGISTRY_DIGEST_SIZE], two[REGISTRY_DIGEST_SIZE], alone[REGISTRY_DIGEST_SIZE],
        index[REGISTRY_DIGEST_SIZE], found[REGISTRY_DIGEST_SIZE];
    cleanup_free char *first = put_parts(w.reg, "my-app", "one"), *second = put_parts(w.reg, "my-app", "two");
    struct err err = {0};

    push(&w, "my-app", "one", 0, one);
    push(&w, "my-app", "two", 1, two);
    push(&w, "my-app", "three", 0, alone);
    put_index(&w, "all", (const char *const[]){one, two}, (const size_t[]){strlen(first), strlen(second)}, 2, index);
    rule(&w, ACCOUNT, "my-");
    registry_start_replicating(w.reg, w.dir);
    start(&w, ACCOUNT, id);
    cleanup_json struct json *images = NULL;
    cleanup_json struct json *summary = wait_for(&w, id, "COMPLETE", &images);
    check_progress(summary, 3, 3, 0); /* the index, `alone`, and `two`, which has a tag of its own */
    CHECK(json_find(images, "imageDigest", one) == NULL);
    CHECK(registry_resolve(w.reg, THERE, "my-app", one, found, &err));
    CHECK(registry_resolve(w.reg, THERE, "my-app", "all", found, &err));
    CHECK_TEXT(found, index);

    /* What was taken back from the archive by itself has nobody to come along with. */
    CHECK(registry_image_archive(w.reg, REGION, "my-app", index, clock_wall_ms(), &err));
    CHECK(registry_image_restore(w.reg, REGION, "my-app", one, clock_wall_ms(), &err));
    CHECK(registry_repository_delete(w.reg, THERE, "my-app", true, &err));
    start(&w, ACCOUNT, id);
    cleanup_json struct json *later = NULL;
    json_unref(wait_for(&w, id, "COMPLETE", &later));
    CHECK(json_find(later, "imageDigest", one) != NULL);
    CHECK(json_find(later, "imageDigest", index) == NULL);
    CHECK_EQ(json_size(later), 3);
}

TEST(an_image_that_cannot_be_read_keeps_no_other_at_home)
{
    REGISTRY(w);
    char id[37], one[REGISTRY_DIGEST_SIZE], index[REGISTRY_DIGEST_SIZE], found[REGISTRY_DIGEST_SIZE];
    cleanup_free char *manifest = put_parts(w.reg, "my-app", "one");
    struct err err = {0};

    push(&w, "my-app", "one", 0, one);
    put_index(&w, "all", (const char *const[]){one}, (const size_t[]){strlen(manifest)}, 1, index);
    cleanup_free char *record = image_record_path(w.reg, REGION, "my-app", str_of(index)), *blob = blob_path(w.reg, str_of(index));
    CHECK(file_write_atomic(record, STR("{"), 0640, &err) && unlink(blob) == 0);
    rule(&w, ACCOUNT, "my-");
    registry_start_replicating(w.reg, w.dir);
    start(&w, ACCOUNT, id);
    cleanup_json struct json *summary = wait_for(&w, id, "COMPLETE", NULL);
    check_progress(summary, 1, 1, 0); /* not with an index that may name it */
    CHECK(registry_resolve(w.reg, THERE, "my-app", one, found, &err));
}

/* Of a push that found the queue full: it is IN_PROGRESS, and nobody sends it. */
TEST(what_a_push_could_not_send_out_is_sent)
{
    REGISTRY(w);
    char id[37];
    struct err err = {0};

    push(&w, "my-app", "one", 1, w.digest);
    rule(&w, ACCOUNT, "my-");
    registry_start_replicating(w.reg, w.dir);
    start(&w, ACCOUNT, id);
    json_unref(wait_for(&w, id, "COMPLETE", NULL));
    cleanup_free char *record = text_format("%s/registry/" REGION "/my-app/_replicated/%s", w.dir, w.digest + 7);
    CHECK(file_write_atomic(record, STR("{\"" ACCOUNT "/" THERE "\":{\"asked\":\"1\",\"status\":\"IN_PROGRESS\"}}"), 0640, &err));
    start(&w, ACCOUNT, id);
    json_unref(wait_for(&w, id, "COMPLETE", NULL));
    check_record(&w, "COMPLETE");
}

/* One image of my-app is being sent, as long as anybody waits; gives the backfill, and who asks. */
static int
begin_silent(struct world *w, int silent, unsigned port, char id[static 37])
{
    cleanup_free char *path = text_format("%s/registries.json", w->dir);
    cleanup_free char *registries = text_format("{\"" SILENT "\":{\"url\":\"http://127.0.0.1:%u\"}}", port);
    struct err err = {0};

    push(w, "my-app", "one", 2, w->digest);
    CHECK(file_write_atomic(path, str_of(registries), 0600, &err));
    rule(w, SILENT, "my-");
    registry_start_replicating(w->reg, w->dir);
    start(w, SILENT, id);
    const int client = accept(silent, NULL, NULL); /* and open: it is waited for */
    CHECK(client >= 0);
    return client;
}

static void
settle(struct world *w)
{
    struct replica image = {.region = REGION, .repository = "my-app"};

    text_copy_all(image.digest, sizeof image.digest, w->digest);
    backfills_settled(replicator_backfills(w->reg), &image, SILENT "/" THERE, /* is_done= */ true);
}

TEST(an_image_that_is_deleted_on_its_way_is_not_waited_for)
{
    REGISTRY(w);
    char id[37];
    unsigned port;
    cleanup_close int silent = silent_listen(&port);
    cleanup_json struct json *summary = NULL;
    struct err err = {0};

    begin_silent(&w, silent, port, id);
    CHECK(registry_image_delete(w.reg, REGION, "my-app", w.digest, NULL, &err));
    settle(&w);
    CHECK(registry_backfill_get(w.reg, REGION, id, 0, 0, &summary, NULL, &err));
    CHECK_TEXT(json_get_cstr(summary, "status", ""), "COMPLETE");
    check_progress(summary, 2, 0, 2);
    CHECK(json_has_text(json_get(json_get(summary, "progress"), "failureCodes"), "ImageNotFound"));
}

/* What is being sent is waited for, also by the process of after a kill: the stop is on disk before it is answered. */
static void
stop_silent(struct world *w, const char *id)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    cleanup_free char *path = text_format("%s/registry/" REGION "/_backfills/%s.json", w->dir, id);
    cleanup_json struct json *stopped = NULL;
    struct err err = {0};

    CHECK(registry_backfill_stop(w->reg, REGION, id, &stopped, &err));
    CHECK_TEXT(json_get_cstr(stopped, "status", ""), "STOPPING");
    CHECK(file_read(path, 65536, &bytes, &err));
    cleanup_json struct json *stored = json_parse(strbuf_str(&bytes), &err);
    CHECK_TEXT(json_get_cstr(stored, "status", ""), "STOPPING");
}

TEST(a_stop_does_not_wait_for_what_is_pushed_meanwhile)
{
    REGISTRY(w);
    char id[37];
    unsigned port;
    cleanup_close int silent = silent_listen(&port);

    begin_silent(&w, silent, port, id);
    stop_silent(&w, id);
    push(&w, "my-app", "one", 1, w.digest);
    settle(&w);
    cleanup_json struct json *images = NULL;
    json_unref(wait_for(&w, id, "STOPPED", &images));
    CHECK_EQ(json_size(images), 1);
    check_record(&w, "IN_PROGRESS"); /* the push goes on */
}

/* It has all blobs, and takes the manifest. */
static void
take_it(int client)
{
    char head[8192];
    size_t len = 0;
    struct err err = {0};

    for (const char *end = NULL; end == NULL;) {
        const ssize_t n = read(client, head + len, sizeof head - 1 - len);
        CHECK(n > 0);
        head[len += (size_t)n] = '\0';
        end = strstr(head, "\r\n\r\n");
        if (end != NULL && strncmp(head, "PUT", 3) == 0 && len < (size_t)(end + 4 - head) + 2)
            end = NULL; /* its body comes */
    }
    const bool is_put = strncmp(head, "PUT", 3) == 0;
    CHECK(file_write_all(client, is_put ? STR("HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                                        : STR("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), &err));
    shutdown(client, SHUT_WR);
    while (read(client, head, sizeof head) > 0)
        ;
    close(client);
}

static void
set_full(bool is_full)
{
    static struct rlimit before;

    if (is_full)
        CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && getrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){is_full ? 0 : before.rlim_cur, before.rlim_max}) == 0);
}

static void
wait_stored(struct world *w, const char *id, const char *status)
{
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    cleanup_free char *path = text_format("%s/registry/" REGION "/_backfills/%s.json", w->dir, id);
    cleanup_free char *wanted = text_format("\"status\":\"%s\"", status);

    for (bool is_stored = false; !is_stored;) {
        cleanup(strbuf_done) struct strbuf bytes = {0};
        struct err err = {0};
        CHECK(file_read(path, 65536, &bytes, &err));
        is_stored = str_find(strbuf_str(&bytes), str_of(wanted)) >= 0;
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(2);
    }
}

TEST(a_record_that_is_damaged_on_the_way_has_its_image_sent_again)
{
    REGISTRY(w);
    char id[37];
    unsigned port;
    cleanup_close int silent = silent_listen(&port);
    const int client = begin_silent(&w, silent, port, id);
    cleanup_free char *record = text_format("%s/registry/" REGION "/my-app/_replicated/%s", w.dir, w.digest + 7);
    struct err err = {0};

    CHECK(file_write_atomic(record, STR("{"), 0640, &err));
    take_it(client);
    for (int i = 0; i < 7; i++) /* two blobs, and a manifest by two tags; twice */
        take_it(accept(silent, NULL, NULL));
    cleanup_json struct json *summary = wait_for(&w, id, "COMPLETE", NULL);
    check_progress(summary, 2, 2, 0);
    check_record(&w, "COMPLETE");
}

/* Neither what came of an image nor what came of all can be written down when it is due. */
TEST(on_a_full_disk_a_backfill_ends_and_is_stored_later)
{
    REGISTRY(w);
    char id[37], second[37];
    unsigned port;
    cleanup_close int silent = silent_listen(&port);
    const int client = begin_silent(&w, silent, port, id);
    cleanup_json struct json *images = NULL, *out = NULL;
    struct err err = {0};

    stop_silent(&w, id);
    set_full(true);
    take_it(client); /* two blobs, and a manifest by two tags */
    for (int i = 0; i < 3; i++)
        take_it(accept(silent, NULL, NULL));
    json_unref(wait_for(&w, id, "STOPPED", &images)); /* its last attempt may be made again by somebody else */
    CHECK_EQ(json_size(images), 1);
    CHECK(!registry_backfill_stop(w.reg, REGION, id, &out, &err));
    CHECK_EQ(err.code, ERR_BACKFILL_STATUS);
    set_full(false);
    start(&w, SILENT, second); /* the region is free again; and it wakes who tries again */
    wait_stored(&w, id, "STOPPED");
}
