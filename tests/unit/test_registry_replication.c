/* SPDX-License-Identifier: MIT */
/* Replication between regions of one machine: the queue, and what outlives the process. */
#include "registry_world.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/mirror/bring.h"
#include "registry/mirror/replication.h"
#include "registry/mirror/replication_queue.h"

#define THERE "eu-north-1"

static bool
rules_set(void *arg, struct json *document, struct err *err)
{
    json_set(document, "replicationConfiguration", json_parse(str_of(arg), err));
    return true;
}

static void
replicated_up(struct world *w)
{
    struct err err = {0};
    char rules[] =
        "{\"rules\":[{\"destinations\":[{\"region\":\"" THERE "\",\"registryId\":\"" ACCOUNT
        "\"}],\"repositoryFilters\":[{\"filter\":\"my-\",\"filterType\":\"PREFIX_MATCH\"}]}]}";

    registry_up(w);
    CHECK(registry_document_change(w->reg, REGION, rules_set, rules, &err));
}
#define REPLICATED(w)                  \
    cleanup(world_end) struct world w; \
    world_make(&w, replicated_up)

static void
image_push(struct world *w)
{
    struct err err = {0};
    char config[REGISTRY_DIGEST_SIZE];

    CHECK(put_blob(w->reg, "my-app", STR("{}"), config));
    cleanup_free char *manifest = text_format("{\"schemaVersion\":2,\"config\":{\"mediaType\":"
                                              "\"application/x\",\"digest\":\"%s\",\"size\":2},"
                                              "\"layers\":[]}",
                                              config);
    const struct registry_put put = {
        .manifest = str_of(manifest), .media_type = STR(OCI_MANIFEST), .tag = "v1"};
    CHECK(registry_manifest_put(w->reg, REGION, "my-app", &put, w->digest, &err));
}

/* "COMPLETE" of the one destination; "" if there is none. */
static const char *
status(struct world *w)
{
    static char text[32];
    cleanup_json struct json *list = NULL;
    struct err err = {0};

    CHECK(registry_replication_get(w->reg, REGION, "my-app", w->digest, &list, &err));
    snprintf(text, sizeof text, "%s", json_get_cstr(json_at(list, 0), "status", ""));
    return text;
}

static void
wait_complete(struct world *w)
{
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    while (strcmp(status(w), "COMPLETE") != 0) {
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(5);
    }
    CHECK(registry_resolve(w->reg, THERE, "my-app", "v1", digest, &err));
    CHECK_TEXT(digest, w->digest);
}

static void
wait_record(struct world *w)
{
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    cleanup_json struct json *list = NULL;
    struct err err = {0};

    while (!registry_replication_get(w->reg, REGION, "my-app", w->digest, &list, &err)) {
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(2);
    }
}

static void
wait_unknown(struct world *w)
{
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    struct err err = {0};

    for (cleanup_json struct json *list = NULL; registry_replication_get(w->reg, REGION, "my-app", w->digest, &list, &err);) {
        CHECK(clock_monotonic_ms() < end_ms);
        json_unref(TAKE(list));
        clock_sleep_ms(2);
    }
    CHECK_EQ(err.code, ERR_INTERNAL);
}

TEST(a_push_goes_on_and_what_was_under_way_outlives_the_process)
{
    REPLICATED(w);
    struct err err = {0};

    image_push(&w);
    CHECK_TEXT(status(&w), ""); /* nobody replicates in this process yet */
    registry_start_replicating(w.reg, w.dir);
    image_push(&w);
    wait_complete(&w);
    /* As it is left by a process that ended in between: the other region has nothing yet. */
    registry_close(w.reg);
    registry_up(&w);
    CHECK(registry_repository_delete(w.reg, THERE, "my-app", true, &err));
    cleanup_free char *path =
        text_format("%s/registry/" REGION "/my-app/_replicated/%s", w.dir, w.digest + 7);
    CHECK(file_write_atomic(
        path, STR("{\"" ACCOUNT "/" THERE "\":{\"asked\":\"1\",\"status\":\"IN_PROGRESS\"}}"), 0640,
        &err));
    registry_start_replicating(w.reg, w.dir);
    wait_complete(&w);
}

static char *
record_of(struct world *w)
{
    return text_format("%s/registry/" REGION "/my-app/_replicated/%s", w->dir, w->digest + 7);
}

/* What it said is unknown, so the image goes everywhere once more. */
TEST(a_damaged_record_is_none_that_is_settled)
{
    REPLICATED(w);
    static const char *const damaged[] = {"{\"", "[]"};
    struct err err = {0};

    registry_start_replicating(w.reg, w.dir);
    image_push(&w);
    wait_complete(&w);
    cleanup_free char *path = record_of(&w);
    for (size_t i = 0; i < ARRAY_COUNT(damaged); i++) {
        cleanup_json struct json *list = NULL;
        registry_close(w.reg);
        registry_up(&w);
        CHECK(registry_repository_delete(w.reg, THERE, "my-app", true, &err));
        CHECK(file_write_atomic(path, str_of(damaged[i]), 0640, &err));
        CHECK(!registry_replication_get(w.reg, REGION, "my-app", w.digest, &list, &err));
        CHECK(strstr(err.message, "is damaged") != NULL);
        registry_start_replicating(w.reg, w.dir);
        wait_record(&w);
        wait_complete(&w);
    }
}

/* Whoever finds that it cannot be read has it replaced; no start is needed. */
TEST(a_record_that_is_found_damaged_is_made_anew)
{
    REPLICATED(w);
    cleanup_json struct json *list = NULL;
    struct err err = {0};

    registry_start_replicating(w.reg, w.dir);
    image_push(&w);
    wait_complete(&w);
    CHECK(registry_repository_delete(w.reg, THERE, "my-app", true, &err));
    cleanup_free char *path = record_of(&w);
    CHECK(file_write_atomic(path, STR("{\""), 0640, &err));
    CHECK(!registry_replication_get(w.reg, REGION, "my-app", w.digest, &list, &err));
    CHECK_EQ(err.code, ERR_INTERNAL);
    wait_record(&w);
    wait_complete(&w);
}

/* As a kill leaves it; later each image takes its own along. */
TEST(a_start_removes_the_records_of_images_that_are_gone)
{
    REPLICATED(w);
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    struct err err = {0};

    image_push(&w);
    cleanup_free char *gone = digest_of(STR("gone"));
    cleanup_free char *folder = repository_path(w.reg, REGION, "my-app", "_replicated");
    cleanup_free char *left = text_format("%s/%s", folder, gone + 7), *path = record_of(&w);
    CHECK(mkdir(folder, 0750) == 0 && file_write_atomic(left, STR("{}"), 0640, &err) &&
          file_write_atomic(path, STR("{}"), 0640, &err));
    registry_start_replicating(w.reg, w.dir);
    while (file_exists(left)) {
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(2);
    }
    CHECK(file_exists(path));
}

/* A folder of its name stands for a disk that takes no record, and then gives none. */
TEST(a_push_that_cannot_be_written_down_goes_on_when_it_can)
{
    REPLICATED(w);

    image_push(&w);
    cleanup_free char *folder = repository_path(w.reg, REGION, "my-app", "_replicated"), *path = record_of(&w);
    CHECK(mkdir(folder, 0750) == 0 && mkdir(path, 0750) == 0);
    registry_start_replicating(w.reg, w.dir);
    image_push(&w);
    CHECK_EQ(rmdir(path), 0);
    wait_complete(&w);
}

TEST(a_push_whose_rules_cannot_be_read_goes_on_when_they_can)
{
    REPLICATED(w);
    cleanup_free char *path = text_format("%s/registry/" REGION "/_registry.json", w.dir);
    cleanup(strbuf_done) struct strbuf rules = {0};
    struct err err = {0};

    registry_start_replicating(w.reg, w.dir);
    CHECK(file_read(path, 65536, &rules, &err) && file_write_atomic(path, STR("{"), 0640, &err));
    places_change(w.reg); /* nothing of it is kept */
    image_push(&w);
    wait_unknown(&w); /* it does not go nowhere */
    CHECK(file_write_atomic(path, strbuf_str(&rules), 0640, &err));
    wait_record(&w);
    wait_complete(&w);
}

/* While somebody has the repository at the destination, its first image waits for that, the second one fills the queue,
 * and there is no room for the third. */
TEST(what_a_full_queue_has_no_room_for_is_sent_when_it_has)
{
    REPLICATED(w);
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    char digests[3][REGISTRY_DIGEST_SIZE], digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    CHECK(place_hash(REGION, "my-app") % REPOSITORY_LOCKS != place_hash(THERE, "my-app") % REPOSITORY_LOCKS);
    w.reg->replication_limit = 1;
    registry_start_replicating(w.reg, w.dir);
    image_push(&w);
    wait_complete(&w);
    pthread_mutex_t *lock = repository_lock(w.reg, THERE, "my-app");
    CHECK(put_image(w.reg, "my-app", "a", "a", digests[0]) && put_image(w.reg, "my-app", "b", "b", digests[1]) &&
          put_image(w.reg, "my-app", "c", "c", digests[2]));
    pthread_mutex_unlock(lock);
    for (size_t i = 0; i < ARRAY_COUNT(digests); i++) {
        text_copy_all(w.digest, sizeof w.digest, digests[i]);
        while (strcmp(status(&w), "COMPLETE") != 0) {
            CHECK(clock_monotonic_ms() < end_ms);
            clock_sleep_ms(5);
        }
        CHECK(registry_resolve(w.reg, THERE, "my-app", digests[i], digest, &err));
    }
}

TEST(a_destination_that_is_known_nowhere_is_asked_again)
{
    REPLICATED(w);
    char rules[] =
        "{\"rules\":[{\"destinations\":[{\"region\":\"x1\",\"registryId\":\"999999999999\"}]}]}";
    struct err err = {0};

    registry_start_replicating(w.reg, w.dir);
    CHECK(replication_knows(w.reg, ACCOUNT) && !replication_knows(w.reg, "999999999999"));
    CHECK(registry_document_change(w.reg, REGION, rules_set, rules, &err));
    image_push(&w);
    CHECK_TEXT(status(&w), "IN_PROGRESS");
}

static bool
own_credential(void *ctx, const char *arn, char **username_out, char **password_out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf token = {0};

    (void)arn, (void)err;
    registry_token(ctx, clock_wall_ms(), &token);
    *username_out = text_dup("AWS");
    *password_out = text_dup(strbuf_cstr(&token));
    return true;
}

/* Its own destination, as two are that have each other: what it sends comes back to it. */
TEST(what_another_naru_sent_goes_no_further)
{
    REPLICATED(w);
    char rules[] =
        "{\"rules\":[{\"destinations\":[{\"region\":\"x1\",\"registryId\":\"999999999999\"}]}]}";
    const struct http_route route = registry_route(w.reg);
    const int64_t end_ms = clock_monotonic_ms() + 20000;
    struct err err = {0};
    struct http_server *server = http_server_start("127.0.0.1", 0, &route, 1, &err);

    CHECK(server != NULL);
    cleanup_free char *host = text_format("127.0.0.1:%u", http_server_port(server));
    cleanup_free char *path = text_format("%s/registries.json", w.dir);
    cleanup_free char *registries = text_format(
        "{\"999999999999\":{\"url\":\"http://%s\",\"credentialArn\":\"own\"}}", host);
    CHECK(file_write_atomic(path, str_of(registries), 0640, &err));
    registry_set_host(w.reg, host);
    registry_set_credentials(w.reg, own_credential, w.reg);
    registry_start_replicating(w.reg, w.dir);
    CHECK(registry_document_change(w.reg, REGION, rules_set, rules, &err));
    image_push(&w);
    while (strcmp(status(&w), "COMPLETE") != 0) {
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(5);
    }
    http_server_stop(server);
}

/* ---- another naru ---- */

#define ELSEWHERE "111111111111"

static bool
credential(void *ctx, const char *arn, char **username_out, char **password_out, struct err *err)
{
    const struct world *there = ctx;

    (void)arn, (void)err;
    *username_out = text_dup("AWS");
    *password_out = text_dup(there->token + strlen("Authorization: Bearer "));
    return true;
}

/* `there` is another one, `w` sends to it and to `also` (a port, 0: nowhere else). */
static void
send_to(struct world *w, struct world *there, unsigned also)
{
    struct err err = {0};
    cleanup_free char *path = text_format("%s/registries.json", w->dir);
    cleanup_free char *registries = text_format(
        "{\"" ELSEWHERE "\":{\"url\":\"http://127.0.0.1:%u\",\"credentialArn\":"
        "\"arn:aws:secretsmanager:" REGION ":" ACCOUNT ":secret:ecr-pullthroughcache/x\"},"
        "\"222222222222\":{\"url\":\"http://127.0.0.1:%u\"}}",
        there->port, also);
    cleanup_free char *rules = text_format(
        "{\"rules\":[{\"destinations\":[%s{\"region\":\"" THERE
        "\",\"registryId\":\"" ELSEWHERE "\"}]}]}",
        also == 0 ? "" : "{\"region\":\"" THERE "\",\"registryId\":\"222222222222\"},");

    CHECK(file_write_atomic(path, str_of(registries), 0600, &err));
    CHECK(registry_document_change(w->reg, REGION, rules_set, rules, &err));
    registry_set_credentials(w->reg, credential, there);
    registry_start_replicating(w->reg, w->dir);
}

static const char *
status_of(struct world *w, const char *registry_id)
{
    static char text[32];
    cleanup_json struct json *list = NULL;
    struct err err = {0};

    CHECK(registry_replication_get(w->reg, REGION, "my-app", w->digest, &list, &err));
    snprintf(text, sizeof text, "%s",
             json_get_cstr(json_find(list, "registryId", registry_id), "status", ""));
    return text;
}

static void
wait_elsewhere(struct world *w)
{
    const int64_t end_ms = clock_monotonic_ms() + 60000;

    while (strcmp(status_of(w, ELSEWHERE), "COMPLETE") != 0) {
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(5);
    }
}

TEST(another_naru_makes_its_repository_while_a_third_registry_hangs)
{
    REGISTRY(w);
    WORLD(there);
    char digest[REGISTRY_DIGEST_SIZE];
    unsigned silent_port;
    cleanup_close int silent UNUSED = silent_listen(&silent_port);
    struct err err = {0};

    CHECK(registry_repository_delete(there.reg, REGION, "my-app", true, &err));
    send_to(&w, &there, silent_port);
    image_push(&w);
    wait_elsewhere(&w);
    CHECK(registry_resolve(there.reg, REGION, "my-app", "v1", digest, &err));
    CHECK_TEXT(digest, w.digest);
    CHECK_TEXT(status_of(&w, "222222222222"), "IN_PROGRESS");
}

/* ---- the queue ---- */

static struct replica
image_named(const char *digest)
{
    struct replica image = {.region = REGION, .repository = "my-app"};
    text_copy_all(image.digest, sizeof image.digest, digest);
    return image;
}

TEST(a_push_while_an_attempt_fails_begins_anew)
{
    cleanup(replication_queue_done) struct replication_queue q = {.limit = REPLICATION_QUEUE_MAX};
    const struct replica image = image_named("sha256:a");
    int64_t next_ms;

    CHECK(replication_queue_add(&q, &image, "1/far"));
    for (int i = 0; i < REPLICATION_ATTEMPTS_MAX - 1; i++) {
        struct replication_job *tired = replication_queue_next(&q, INT64_MAX - 1, &next_ms);
        CHECK_EQ(tired->attempts, i);
        replication_queue_end(&q, tired, false, 1000);
    }
    struct replication_job *last = replication_queue_next(&q, INT64_MAX - 1, &next_ms);
    CHECK(replication_queue_add(&q, &image, "1/far")); /* pushed while the last attempt runs */
    CHECK(replication_queue_next(&q, 2000, &next_ms) == NULL); /* and while it does, its destination has no other */
    replication_queue_end(&q, last, false, 2000);
    CHECK_EQ(q.count, 1);
    struct replication_job *fresh = replication_queue_next(&q, 2000, &next_ms);
    CHECK(fresh != NULL);
    CHECK_EQ(fresh->attempts, 0);
    replication_queue_end(&q, fresh, true, 2000);
    CHECK_EQ(q.count, 0);
}

TEST(what_failed_is_due_later_and_a_destination_has_one_at_a_time)
{
    cleanup(replication_queue_done) struct replication_queue q = {.limit = REPLICATION_QUEUE_MAX};
    const struct replica a = image_named("sha256:a"), b = image_named("sha256:b");
    int64_t next_ms;

    CHECK(replication_queue_add(&q, &a, "1/far") && replication_queue_add(&q, &b, "1/far") &&
          replication_queue_add(&q, &b, "2/near") && replication_queue_add(&q, &b, "2/near"));
    CHECK_EQ(q.count, 3);
    struct replication_job *first = replication_queue_next(&q, 10, &next_ms), *near = replication_queue_next(&q, 10, &next_ms);
    CHECK_TEXT(first->image.digest, "sha256:a");
    CHECK_TEXT(near->key, "2/near");
    CHECK(replication_queue_next(&q, 10, &next_ms) == NULL);
    CHECK_EQ(next_ms, INT64_MAX); /* it waits for a place, not for a time */
    replication_queue_end(&q, first, false, 10);
    struct replication_job *second = replication_queue_next(&q, 10, &next_ms);
    CHECK_TEXT(second->image.digest, "sha256:b");
    replication_queue_end(&q, second, true, 10);
    CHECK(replication_queue_next(&q, 1009, &next_ms) == NULL);
    CHECK_EQ(next_ms, 1010);
    first = replication_queue_next(&q, 1010, &next_ms);
    CHECK_EQ(first->attempts, 1);
    replication_queue_end(&q, first, true, 1010);
    replication_queue_end(&q, near, true, 1010);
}

/* One that hangs would keep a thread for each of its names. */
TEST(a_registry_is_one_whichever_of_its_regions_and_our_own_regions_are_many)
{
    cleanup(replication_queue_done) struct replication_queue q = {.own_registry = ACCOUNT, .limit = REPLICATION_QUEUE_MAX};
    const struct replica a = image_named("sha256:a");
    int64_t next_ms;

    CHECK(replication_queue_add(&q, &a, "1/east") && replication_queue_add(&q, &a, "1/west") &&
          replication_queue_add(&q, &a, ACCOUNT "/east") && replication_queue_add(&q, &a, ACCOUNT "/west"));
    struct replication_job *far = replication_queue_next(&q, 10, &next_ms), *east = replication_queue_next(&q, 10, &next_ms),
                           *west = replication_queue_next(&q, 10, &next_ms);
    CHECK_TEXT(far->key, "1/east");
    CHECK_TEXT(east->key, ACCOUNT "/east");
    CHECK(west != NULL);
    CHECK_TEXT(west->key, ACCOUNT "/west");
    CHECK(replication_queue_next(&q, 10, &next_ms) == NULL);
    replication_queue_end(&q, far, true, 10);
    far = replication_queue_next(&q, 10, &next_ms);
    CHECK_TEXT(far->key, "1/west");
    replication_queue_end(&q, far, true, 10);
    replication_queue_end(&q, east, true, 10);
    replication_queue_end(&q, west, true, 10);
}

/* The others are on disk; nobody else knows of these. */
TEST(what_could_not_be_written_down_has_room_in_a_full_queue)
{
    struct replication_queue q = {.limit = 1};
    const struct replica a = image_named("sha256:a"), b = image_named("sha256:b");

    CHECK(replication_queue_add(&q, &a, "1/far"));
    CHECK(!replication_queue_add(&q, &b, "1/far"));
    CHECK(replication_queue_add(&q, &b, ""));
    CHECK(replication_queue_has(&q, &b, "") && !replication_queue_has(&q, &b, "1/far"));
    CHECK(!replication_queue_add(&q, &a, "1/near"));
    replication_queue_done(&q);
}

/* ---- lists of referrers that clients keep ---- */

struct noting {
    struct remote *remote;
    struct str manifest;
    const char *digest;
    atomic_bool is_over;
};

static void *
note(void *arg)
{
    struct noting *n = arg;
    struct err err = {0};

    CHECK(!replica_referrer_note(n->remote, "my-app", n->manifest, OCI_MANIFEST, n->digest, &err));
    atomic_store(&n->is_over, true);
    return NULL;
}

static struct remote *
remote_to(unsigned port, const struct world *there)
{
    cleanup_free char *url = text_format("http://127.0.0.1:%u", port);
    return remote_new(url, "AWS", there->token + strlen("Authorization: Bearer "));
}

TEST(a_registry_that_hangs_keeps_no_other_one_from_its_lists_of_referrers)
{
    WORLD(there);
    char subject[REGISTRY_DIGEST_SIZE], signature[REGISTRY_DIGEST_SIZE], list[REGISTRY_DIGEST_SIZE];
    unsigned silent_port;
    cleanup_close int silent = silent_listen(&silent_port);
    pthread_t thread;
    char head[16];
    struct err err = {0};

    CHECK(put_image(there.reg, "my-app", "v1", "one", subject));
    cleanup_free char *parts = put_parts(there.reg, "my-app", "signed");
    parts[strlen(parts) - 1] = '\0';
    cleanup_free char *manifest = text_format(
        "%s,\"subject\":{\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":1}}", parts, subject);
    const struct registry_put put = {.manifest = str_of(manifest)};
    CHECK(registry_manifest_put(there.reg, REGION, "my-app", &put, signature, &err));
    struct noting hanging = {remote_to(silent_port, &there), str_of(manifest), signature, false};
    CHECK_EQ(pthread_create(&thread, NULL, note, &hanging), 0);
    const int asked = accept(silent, NULL, NULL);
    CHECK(asked >= 0 && read(asked, head, sizeof head) > 0); /* it waits for an answer that does not come */
    cleanup(remote_free_) struct remote *good = remote_to(there.port, &there);
    CHECK(replica_referrer_note(good, "my-app", str_of(manifest), OCI_MANIFEST, signature, &err));
    CHECK(!atomic_load(&hanging.is_over));
    close(asked);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    remote_free(hanging.remote);
    cleanup_free char *tag = referrers_tag(str_of(subject));
    CHECK(registry_resolve(there.reg, REGION, "my-app", tag, list, &err));
}

/* ---- a stop ---- */

static void *
replicator_end(void *arg)
{
    struct registry *reg = arg;

    replicator_stop(reg->replicator);
    return NULL;
}

static void
index_push(struct world *w)
{
    char one[REGISTRY_DIGEST_SIZE];
    cleanup_free char *image = put_parts(w->reg, "my-app", "one");
    const struct registry_put put_one = {.manifest = str_of(image), .is_replica = true};
    struct err err = {0};

    CHECK(registry_manifest_put(w->reg, REGION, "my-app", &put_one, one, &err));
    cleanup_free char *index =
        text_format("{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST
                    "\",\"digest\":\"%s\",\"size\":%zu}]}", one, strlen(image));
    const struct registry_put put = {.manifest = str_of(index), .tag = "v1"};
    CHECK(registry_manifest_put(w->reg, REGION, "my-app", &put, w->digest, &err));
}

static void
wait_linked(struct world *w, const char *region, struct str blob)
{
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    cleanup_free char *digest = digest_of(blob);

    while (!layer_is_linked(w->reg, region, "my-app", str_of(digest))) {
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(2);
    }
}

/* Its files lie aside then, and it has been asked for the last time whether it goes on. */
static void
wait_put(struct world *w)
{
    const int64_t end_ms = clock_monotonic_ms() + 60000;

    while (files_in(w, "blobs/uploads") == 0) {
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(1);
    }
}

/* Between regions of this machine there is no network to be cut: each step has to ask. */
TEST(a_stop_ends_what_is_on_its_way_to_another_region)
{
    REPLICATED(w);
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    pthread_t stopping;
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    CHECK(registry_repository_create(w.reg, THERE, "my-app", NULL, &err));
    registry_start_replicating(w.reg, w.dir);
    pthread_mutex_t *lock = repository_lock(w.reg, THERE, "my-app");
    index_push(&w);
    wait_linked(&w, THERE, STR("one"));
    wait_put(&w); /* the image of the index, which needs the lock */
    CHECK_EQ(pthread_create(&stopping, NULL, replicator_end, w.reg), 0);
    while (!replicator_is_stopping(w.reg)) {
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(1);
    }
    pthread_mutex_unlock(lock);
    CHECK_EQ(pthread_join(stopping, NULL), 0);
    w.reg->replicator = NULL;
    CHECK(!registry_resolve(w.reg, THERE, "my-app", "v1", digest, &err));
    CHECK_TEXT(status(&w), "IN_PROGRESS"); /* for the next start */
}

/* An index of three times an index of three times an image. */
struct travel {
    struct str manifests[3];
    char digests[3][REGISTRY_DIGEST_SIZE];
    int read, put;
};

static bool
travel_read(void *ctx, const char *digest, struct strbuf *bytes, char type[static REGISTRY_MEDIA_TYPE_SIZE],
            struct err *err)
{
    struct travel *t = ctx;

    t->read++;
    for (size_t i = 0; i < ARRAY_COUNT(t->manifests); i++)
        if (strcmp(t->digests[i], digest) == 0) {
            strbuf_add(bytes, t->manifests[i]);
            text_copy_all(type, REGISTRY_MEDIA_TYPE_SIZE, i == 0 ? OCI_MANIFEST : OCI_INDEX);
            return true;
        }
    return err_set(err, ERR_IMAGE_NOT_FOUND, "no '%s'", digest);
}

static bool
travel_is_manifest(void *ctx, const struct manifest_reference *r)
{
    (void)ctx;
    return r->is_manifest;
}

static bool
travel_blob(void *ctx, const struct manifest_reference *r, struct err *err)
{
    (void)ctx, (void)r, (void)err;
    return true;
}

static bool
travel_put(void *ctx, struct str bytes, const char *type, const char *digest, bool is_top, struct err *err)
{
    struct travel *t = ctx;

    (void)type, (void)err;
    CHECK(str_equal(bytes, t->manifests[t->put]) && strcmp(digest, t->digests[t->put]) == 0); /* what is named first */
    CHECK_EQ(is_top, t->put == 2);
    t->put++;
    return true;
}

TEST(what_is_named_many_times_travels_once)
{
    struct travel t = {0};
    const struct bringing b = {&t, NULL, travel_read, travel_is_manifest, travel_blob, travel_put};
    cleanup_free char *layer = digest_of(STR("layer")), *image = manifest_text(layer, 5, layer, 5);
    char *texts[3] = {image, NULL, NULL};
    struct err err = {0};

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (i > 0) {
            cleanup_free char *one = text_format("{\"mediaType\":\"%s\",\"size\":%zu,\"digest\":\"%s\"}",
                                                 i == 1 ? OCI_MANIFEST : OCI_INDEX, strlen(texts[i - 1]), t.digests[i - 1]);
            texts[i] = text_format("{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[%s,%s,%s]}",
                                   one, one, one);
        }
        cleanup_free char *digest = digest_of(str_of(texts[i]));
        text_copy_all(t.digests[i], sizeof t.digests[i], digest);
        t.manifests[i] = str_of(texts[i]);
    }
    CHECK(bring_image(&b, t.digests[2], &err));
    CHECK_EQ(t.read, 3);
    CHECK_EQ(t.put, 3);
    free(texts[1]);
    free(texts[2]);
}
