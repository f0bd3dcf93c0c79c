/* SPDX-License-Identifier: MIT */
/* Garbage collection and lifecycle policies at work, beside pushes. */
#include "registry_world.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "io/file.h"
#include "registry/internal.h"

#define HOUR_MS (3600LL * 1000)
#define THREADS 3
#define ROUNDS 12

static int64_t
modified_ms(struct registry *reg, const char *digest)
{
    cleanup_free char *path = blob_path(reg, str_of(digest));
    struct stat st;

    return stat(path, &st) < 0 ? -1 : (int64_t)st.st_mtim.tv_sec * 1000;
}

static void
age_blob(struct registry *reg, const char *digest, int64_t age_ms)
{
    const int64_t then_ms = clock_wall_ms() - age_ms;
    const struct timespec then = {then_ms / 1000, then_ms % 1000 * 1000000}, times[2] = {then, then};
    cleanup_free char *path = blob_path(reg, str_of(digest));

    (void)!utimensat(AT_FDCWD, path, times, 0);
}

static void
age_everything(const struct world *w)
{
    cleanup_free char *command =
        text_format("find %s/blobs -type f -exec touch -d '2 hours ago' {} +", w->dir);
    cleanup_free char *said = check_shell(command);
    CHECK_TEXT(said, "");
}

TEST(a_dry_run_counts_and_removes_nothing)
{
    REGISTRY(w);
    char orphan[REGISTRY_DIGEST_SIZE], image[REGISTRY_DIGEST_SIZE];
    struct registry_gc plan = {0}, done = {0};
    struct err err = {0};

    CHECK(put_blob(w.reg, "my-app", STR("nobody's"), orphan) && put_image(w.reg, "my-app", "v1", "somebody's", image));
    CHECK(registry_collect_plan(w.reg, 0, clock_wall_ms(), &plan, &err));
    CHECK_EQ(plan.blobs_removed, 0); /* too young */
    age_everything(&w);
    CHECK(registry_collect_plan(w.reg, 0, clock_wall_ms(), &plan, &err));
    CHECK_EQ(plan.blobs_removed, 1);
    CHECK_EQ(plan.bytes_removed, (int64_t)strlen("nobody's"));
    CHECK_EQ(plan.blobs_kept, 3);
    CHECK(modified_ms(w.reg, orphan) > 0);
    CHECK(registry_collect(w.reg, NULL, 0, 0, clock_wall_ms(), &done, &err));
    CHECK_EQ(done.blobs_removed, plan.blobs_removed);
    CHECK_EQ(done.bytes_removed, plan.bytes_removed);
    CHECK_EQ(done.links_removed, 1);
    CHECK_EQ(modified_ms(w.reg, orphan), -1);
    CHECK(!layer_is_linked(w.reg, REGION, "my-app", str_of(orphan)));
}

/* The layers that were pushed first must still be there when the manifest comes, hours later. */
static void
put_manifest(struct world *w, const char *bytes, const char *type, char digest[static REGISTRY_DIGEST_SIZE])
{
    struct err err = {0};
    const struct registry_put put = {.manifest = str_of(bytes), .media_type = str_of(type)};

    CHECK(registry_manifest_put(w->reg, REGION, "my-app", &put, digest, &err));
    CHECK_TEXT(err.message, "");
}

/* Whoever may push one thing may call it what he likes: that stops no collection and costs no memory. */
TEST(what_an_index_calls_a_manifest_may_be_a_layer_of_any_size)
{
    REGISTRY(w);
    struct registry_gc gc = {0};
    struct err err = {0};
    const size_t size = REGISTRY_MANIFEST_MAX + 1;
    cleanup_free char *bytes = mem_new(size);
    char layer[REGISTRY_DIGEST_SIZE], digest[REGISTRY_DIGEST_SIZE];

    CHECK(put_blob(w.reg, "my-app", (struct str){bytes, size}, layer));
    cleanup_free char *text =
        text_format("{\"manifests\":[{\"mediaType\":\"a/b\",\"digest\":\"%s\",\"size\":%zu}]}", layer, size);
    put_manifest(&w, text, "application/vnd.example", digest);
    CHECK(registry_collect(w.reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &err));
    CHECK_TEXT(err.message, "");
    CHECK_EQ(gc.blobs_removed, 0);
}

/* image-7 */
TEST(indexes_nest_as_deep_as_they_like)
{
    REGISTRY(w);
    struct registry_gc gc = {0};
    struct err err = {0};
    char chain[40][REGISTRY_DIGEST_SIZE];
    cleanup_free char *text = text_dup("{\"schemaVersion\":2,\"manifests\":[]}");

    for (size_t i = 0; i < ARRAY_COUNT(chain); i++) {
        put_manifest(&w, text, OCI_INDEX, chain[i]);
        const size_t size = strlen(text);
        free(text);
        text = text_format("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" OCI_INDEX
                           "\",\"digest\":\"%s\",\"size\":%zu}]}",
                           chain[i], size);
    }
    for (size_t i = ARRAY_COUNT(chain); i-- > 0;)
        CHECK(registry_image_delete(w.reg, REGION, "my-app", chain[i], NULL, &err));
    const char *const roots[] = {chain[ARRAY_COUNT(chain) - 1]};
    CHECK(registry_collect(w.reg, roots, 1, 1, clock_wall_ms() + 10000, &gc, &err));
    CHECK_TEXT(err.message, "");
    CHECK_EQ(gc.blobs_removed, 0);
    CHECK(registry_collect(w.reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &err));
    CHECK_EQ(gc.blobs_removed, ARRAY_COUNT(chain));
}

TEST(a_slow_upload_renews_the_leases_of_its_repository)
{
    REGISTRY(w);
    char first[REGISTRY_DIGEST_SIZE], long_gone[REGISTRY_DIGEST_SIZE], last[REGISTRY_DIGEST_SIZE] = "sha256:";
    struct registry_gc gc = {0};
    struct upload *u = NULL;
    struct err err = {0};

    CHECK(put_blob(w.reg, "my-app", STR("first"), first) && put_blob(w.reg, "my-app", STR("long gone"), long_gone));
    CHECK(upload_start(w.reg, REGION, "my-app", "", &u, &err));
    CHECK(upload_add(w.reg, u, STR("last"), &err));
    sha256_hex(STR("last"), last + 7);
    u->start_ms -= 3 * HOUR_MS;
    age_blob(w.reg, first, 3 * HOUR_MS + HOUR_MS / 2); /* half an hour before this upload began */
    age_blob(w.reg, long_gone, 5 * HOUR_MS);
    CHECK(registry_collect(w.reg, NULL, 0, 0, clock_wall_ms(), &gc, &err));
    CHECK_EQ(gc.blobs_removed, 0); /* an upload is going on */
    CHECK(upload_finish(w.reg, u, str_of(last), &err));
    CHECK(registry_collect(w.reg, NULL, 0, 0, clock_wall_ms(), &gc, &err));
    CHECK_EQ(gc.blobs_removed, 1);
    CHECK(modified_ms(w.reg, first) > clock_wall_ms() - HOUR_MS / 2);
    CHECK_EQ(modified_ms(w.reg, long_gone), -1);
}

/* ---- pushes beside collections ---- */

struct crowd {
    struct world *w;
    int number;
    atomic_bool *is_over;
    int lost;
};

static void *
collect_on(void *arg)
{
    struct crowd *c = arg;
    struct err err = {0};

    while (!atomic_load(c->is_over))
        c->lost += !registry_collect(c->w->reg, NULL, 0, 0, clock_wall_ms(), NULL, &err);
    return NULL;
}

/* Deletes the image, lets its blobs look old, and pushes it again: each time the push has to win against the
 * collection that wants those very blobs. */
static void *
push_on(void *arg)
{
    struct crowd *c = arg;
    struct registry *reg = c->w->reg;
    cleanup_free char *tag = text_format("v%d", c->number), *content = text_format("content %d", c->number);
    cleanup_free char *config_text = text_format("{\"made\":\"%s\"}", content);
    char image[REGISTRY_DIGEST_SIZE], config[REGISTRY_DIGEST_SIZE] = "sha256:", layer[REGISTRY_DIGEST_SIZE] = "sha256:";

    sha256_hex(str_of(config_text), config + 7);
    sha256_hex(str_of(content), layer + 7);
    for (int i = 0; i < ROUNDS; i++) {
        cleanup(strbuf_done) struct strbuf bytes = {0};
        struct err err = {0};
        if (!put_image(reg, "my-app", tag, content, image) ||
            !registry_manifest_get(reg, REGION, "my-app", tag, &bytes, image, NULL, &err) ||
            !registry_layer_find(reg, REGION, "my-app", config, NULL) ||
            !registry_layer_find(reg, REGION, "my-app", layer, NULL))
            c->lost++;
        if (!registry_image_delete(reg, REGION, "my-app", image, NULL, &err))
            c->lost++;
        age_blob(reg, config, 2 * HOUR_MS);
        age_blob(reg, layer, 2 * HOUR_MS);
        age_blob(reg, image, 2 * HOUR_MS);
    }
    return NULL;
}

TEST(pushes_beside_collections_lose_nothing)
{
    REGISTRY(w);
    atomic_bool is_over = false;
    struct crowd crowd[THREADS + 1];
    pthread_t threads[THREADS + 1];
    struct registry_gc gc = {0};
    struct err err = {0};

    for (int i = 0; i <= THREADS; i++) {
        crowd[i] = (struct crowd){.w = &w, .number = i, .is_over = &is_over};
        CHECK(pthread_create(&threads[i], NULL, i == THREADS ? collect_on : push_on, &crowd[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&is_over, true);
    pthread_join(threads[THREADS], NULL);
    for (int i = 0; i <= THREADS; i++)
        CHECK_EQ(crowd[i].lost, 0);
    age_everything(&w);
    CHECK(registry_collect(w.reg, NULL, 0, 0, clock_wall_ms(), &gc, &err));
    CHECK_EQ(gc.blobs_kept, 0); /* and no orphan is left */
}

/* A journal need not turn for each of a hundred questions; the collector allows for what that leaves out. */
TEST(a_blob_is_touched_once_a_second_at_most)
{
    REGISTRY(w);
    char digest[REGISTRY_DIGEST_SIZE];
    struct registry_gc gc;
    struct err err = {0};
    int64_t size = 0;

    CHECK(put_image(w.reg, "my-app", "v1", "one", digest));
    age_blob(w.reg, digest, HOUR_MS);
    CHECK(blob_touch(w.reg, str_of(digest), &size));
    CHECK(size > 0 && modified_ms(w.reg, digest) > clock_wall_ms() - HOUR_MS / 2);
    age_blob(w.reg, digest, -HOUR_MS); /* the clock was set back */
    CHECK(blob_touch(w.reg, str_of(digest), NULL));
    CHECK(modified_ms(w.reg, digest) < clock_wall_ms() + HOUR_MS / 2);
    cleanup_free char *layer = digest_of(STR("one"));
    const int64_t asked_ms = clock_wall_ms();
    age_blob(w.reg, layer, HOUR_MS + BLOB_TOUCH_MS / 2); /* the last question may have been asked later */
    leases_renew(w.reg, REGION, "my-app", asked_ms - HOUR_MS);
    CHECK(modified_ms(w.reg, layer) > clock_wall_ms() - HOUR_MS / 2);
    CHECK(registry_image_delete(w.reg, REGION, "my-app", "v1", NULL, &err));
    const int64_t now_ms = clock_wall_ms();
    age_blob(w.reg, digest, 0);
    CHECK(registry_collect(w.reg, NULL, 0, HOUR_MS, now_ms + HOUR_MS + BLOB_TOUCH_MS / 2, &gc, &err));
    CHECK(blob_size(w.reg, str_of(digest), NULL)); /* others may be older, on a slow machine */
    CHECK(registry_collect(w.reg, NULL, 0, HOUR_MS, clock_wall_ms() + HOUR_MS + BLOB_TOUCH_MS, &gc, &err));
    CHECK(!blob_size(w.reg, str_of(digest), NULL));
}

/* ---- lifecycle policies ---- */

static bool
text_set(void *arg, struct json *document, struct err *err)
{
    (void)err;
    json_set(document, REGISTRY_LIFECYCLE_TEXT, json_text(arg));
    return true;
}

TEST(an_image_whose_index_is_to_come_does_not_expire)
{
    REGISTRY(w);
    char digest[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *images = NULL;
    cleanup(view_close_) struct view *v = NULL;
    struct err err = {0};
    bool is_removed;

    CHECK(put_image(w.reg, "my-app", NULL, "child", digest));
    CHECK(registry_images(w.reg, REGION, "my-app", &images, &err));
    CHECK(view_open(w.reg, REGION, "my-app", &v, &err));
    CHECK(image_expire(v, json_at(images, 0), &is_removed, &err));
    CHECK(!is_removed);
    w.reg->collect_age_ms = 1; /* the lease of a push */
    clock_sleep_ms(3);
    CHECK(image_expire(v, json_at(images, 0), &is_removed, &err));
    CHECK(is_removed);
}

#define KEEP_ONE                                                                                     \
    "{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":\"any\",\"countType\":\"imageCount" \
    "MoreThan\",\"countNumber\":1},\"action\":{\"type\":\"expire\"}}]}"

static bool
uses(void *ctx, const char *region, const char *repository, const char *digest, struct strbuf *users)
{
    (void)region, (void)repository, (void)users;
    return strcmp(digest, ctx) == 0;
}

TEST(policies_take_what_is_due_and_not_what_is_in_use)
{
    REGISTRY(w);
    char digests[4][REGISTRY_DIGEST_SIZE], got[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *before = NULL, *after = NULL;
    cleanup(view_close_) struct view *v = NULL;
    cleanup(registry_repository_done) struct registry_repository r = {0};
    const int64_t now_ms = clock_wall_ms();
    struct err err = {0};
    int64_t expired = -1;
    bool is_removed;

    for (int i = 0; i < 4; i++) {
        cleanup_free char *tag = text_format("v%d", i);
        CHECK(put_image(w.reg, "my-app", tag, tag, digests[i]));
        clock_sleep_ms(2); /* or they would be equally old */
    }
    CHECK(registry_lifecycle_apply(w.reg, REGION, "my-app", now_ms, &expired, &err));
    CHECK_EQ(expired, 0); /* no policy */
    CHECK(registry_repository_change(w.reg, REGION, "my-app", text_set, KEEP_ONE, &err));
    registry_set_in_use(w.reg, uses, digests[1]);
    /* One that somebody has tagged since the list was made stays. */
    CHECK(registry_images(w.reg, REGION, "my-app", &before, &err) && view_open(w.reg, REGION, "my-app", &v, &err));
    CHECK(put_image(w.reg, "my-app", "fresh", "v0", got));
    CHECK_TEXT(got, digests[0]);
    CHECK(image_expire(v, json_at(before, 3), &is_removed, &err));
    CHECK(!is_removed);
    CHECK(image_expire(v, json_at(before, 2), &is_removed, &err));
    CHECK(!is_removed); /* in use */
    CHECK(registry_lifecycle_apply_all(w.reg, 24 * HOUR_MS, now_ms, &expired, &err));
    CHECK_EQ(expired, 2);
    CHECK(registry_images(w.reg, REGION, "my-app", &after, &err));
    CHECK_EQ(json_size(after), 2);
    CHECK(registry_resolve(w.reg, REGION, "my-app", "v3", got, &err));
    CHECK(registry_resolve(w.reg, REGION, "my-app", "v1", got, &err));
    CHECK(registry_repository_get(w.reg, REGION, "my-app", &r, &err));
    CHECK_EQ(json_get_i64(r.document, REGISTRY_LIFECYCLE_TIME, 0), now_ms);
    /* Once a day. */
    registry_set_in_use(w.reg, NULL, NULL);
    CHECK(registry_lifecycle_apply_all(w.reg, 24 * HOUR_MS, now_ms + 23 * HOUR_MS, &expired, &err));
    CHECK_EQ(expired, 0);
    CHECK(registry_lifecycle_apply_all(w.reg, 24 * HOUR_MS, now_ms + 25 * HOUR_MS, &expired, &err));
    CHECK_EQ(expired, 1);
}

/* ---- deleting a repository ---- */

struct slow_engine {
    struct registry *reg;
    int asked, while_locked;
};

static bool
nobody_uses(void *ctx, const char *region, const char *repository, const char *digest, struct strbuf *users)
{
    struct slow_engine *e = ctx;

    (void)region, (void)repository, (void)digest, (void)users;
    e->asked++;
    if (pthread_mutex_trylock(&e->reg->tree_lock) != 0)
        e->while_locked++;
    else
        pthread_mutex_unlock(&e->reg->tree_lock);
    return false;
}

/* One question to the engine for each image: meanwhile other repositories are made and deleted. */
TEST(who_uses_a_repository_is_asked_before_others_have_to_wait)
{
    REGISTRY(w);
    struct slow_engine e = {.reg = w.reg};
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    CHECK(put_image(w.reg, "my-app", "v1", "one", digest) && put_image(w.reg, "my-app", "v2", "two", digest));
    registry_set_in_use(w.reg, nobody_uses, &e);
    CHECK(registry_repository_delete(w.reg, REGION, "my-app", true, &err));
    CHECK_EQ(e.asked, 2);
    CHECK_EQ(e.while_locked, 0);
}

/* ---- what a creation or a deletion that was cut short has left ---- */

static void
leave_repository(struct world *w, const char *name)
{
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    CHECK(registry_repository_create(w->reg, REGION, name, NULL, &err));
    CHECK(put_image(w->reg, name, "v1", name, digest));
    cleanup_free char *document = repository_path(w->reg, REGION, name, "_repository.json");
    CHECK_EQ(unlink(document), 0);
    places_change(w->reg);
}

TEST(a_collection_removes_what_repositories_left_that_are_gone)
{
    static const char *const gone[] = {"gone", "team/gone", "team/gone/deeper", "my-app/gone"};
    REGISTRY(w);
    char digest[REGISTRY_DIGEST_SIZE];
    struct registry_gc gc;
    struct err err = {0};

    CHECK(put_image(w.reg, "my-app", "v1", "stays", digest));
    CHECK(registry_repository_create(w.reg, REGION, "team/gone/stays", NULL, &err));
    for (size_t i = 0; i < ARRAY_COUNT(gone); i++)
        leave_repository(&w, gone[i]);
    cleanup_free char *foreign = repository_path(w.reg, REGION, "lost+found", NULL);
    CHECK_EQ(mkdir(foreign, 0700), 0);
    CHECK(registry_collect_plan(w.reg, 1, clock_wall_ms() + 10000, &gc, &err));
    cleanup_free char *left = repository_path(w.reg, REGION, "gone", "_tags/v1");
    CHECK(file_exists(left)); /* nothing is removed by a plan */
    CHECK(registry_collect(w.reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &err));
    for (size_t i = 0; i < ARRAY_COUNT(gone); i++) {
        cleanup_free char *tags = repository_path(w.reg, REGION, gone[i], "_tags");
        CHECK(!file_exists(tags));
    }
    cleanup_free char *alone = repository_path(w.reg, REGION, "my-app/gone", NULL);
    CHECK(!file_exists(alone));
    CHECK(file_exists(foreign)); /* it is none of ours */
    CHECK(registry_resolve(w.reg, REGION, "my-app", "v1", digest, &err));
    CHECK(repository_check(w.reg, REGION, "team/gone/stays", &err));
    CHECK_EQ(files_in(&w, "blobs/uploads"), 0);
}

/* A pull that was noted just behind a deletion, or a deletion that was cut short; most often an image takes its own along. */
TEST(a_collection_forgets_the_pulls_of_images_that_are_gone)
{
    REGISTRY(w);
    char digest[REGISTRY_DIGEST_SIZE], gone[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *images = NULL;
    struct registry_gc gc;
    struct err err = {0};
    const int64_t now_ms = clock_wall_ms();

    CHECK(put_image(w.reg, "my-app", "v1", "stays", digest) && put_image(w.reg, "my-app", "v2", "goes", gone));
    registry_image_pulled(w.reg, REGION, "my-app", digest, NULL, now_ms);
    CHECK(registry_image_delete(w.reg, REGION, "my-app", "v2", NULL, &err));
    registry_image_pulled(w.reg, REGION, "my-app", gone, NULL, now_ms);
    CHECK_EQ(files_in(&w, "registry/" REGION "/my-app/_pulls"), 2);
    CHECK(registry_collect_plan(w.reg, 0, now_ms, &gc, &err));
    CHECK_EQ(files_in(&w, "registry/" REGION "/my-app/_pulls"), 2);
    CHECK(registry_collect(w.reg, NULL, 0, 0, now_ms, &gc, &err));
    CHECK_EQ(files_in(&w, "registry/" REGION "/my-app/_pulls"), 1);
    CHECK(registry_images(w.reg, REGION, "my-app", &images, &err));
    CHECK_EQ(json_get_i64(json_at(images, 0), "pulledAt", 0), now_ms);
}
