/* SPDX-License-Identifier: MIT */
#include "registry/mirror/backfill.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "registry/mirror/backfill_files.h"
#include "registry/mirror/replication_queue.h"
#include "registry/reference.h"

#define WINDOW 64  /* images on their way at once: pushes have the rest of the queue */
/* Results are stored by so many, and at most so many times: each time writes all of them. A start finds those that
 * were not stored in the images' own records. */
#define STORE_EACH 64
#define STORES_MAX 64
#define FULL_WAIT_MS 5000
#define RESULT_TEXT_MAX 128           /* bytes that come to an image: "status" and "failureCode" */

struct backfill {
    char id[BACKFILL_ID_SIZE];
    char region[REGISTRY_REGION_SIZE];
    char key[REPLICATION_KEY_SIZE];
    char asked[17];
    struct json *summary;
    struct json *images;   /* NULL: it is being prepared */
    size_t next;           /* the first that did not set out */
    size_t window[WINDOW]; /* those that did */
    size_t on_way;
    size_t unstored;
    struct backfill *after;
};

struct backfills {
    struct registry *reg;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* guards what follows; taken before those of replication.c */
    pthread_cond_t changed;
    struct backfill *active; /* under way, or ended and not yet stored so */
    bool is_resumed; /* what is on disk as under way is active */
    bool is_stopping;
};

/* The images first: a summary that says IN_PROGRESS has some. */
static bool
backfill_store(struct registry *reg, struct backfill *b)
{
    struct err err = {0};

    b->unstored = 0;
    if ((b->images == NULL || backfill_images_store(reg, b->region, b->id, b->images, &err)) &&
        backfill_summary_store(reg, b->region, b->id, b->summary, &err))
        return true;
    log_error("registry.backfill", "id=%s error=%s", b->id, log_quote(err.message));
    return false;
}

/* ---- what it says of itself ---- */

static bool
is_status(const struct json *summary, const char *status)
{
    return strcmp(json_get_cstr(summary, "status", ""), status) == 0;
}

static bool
is_under_way(const struct json *summary)
{
    return is_status(summary, "PREPARING") || is_status(summary, "IN_PROGRESS") || is_status(summary, "STOPPING");
}

static int64_t
replications_of(const struct json *image)
{
    const size_t tags = json_size(json_get(image, "tags"));
    return tags > 0 ? (int64_t)tags : 1;
}

static void
progress_add(struct backfill *b, const struct json *image, const char *failure)
{
    struct json *progress = json_get(b->summary, "progress"), *codes = json_get(progress, "failureCodes");
    const char *member = failure != NULL ? "failedReplicationCount" : "completedReplicationCount";

    json_set(progress, member, json_int(json_get_i64(progress, member, 0) + replications_of(image)));
    if (failure != NULL && !json_has_text(codes, failure))
        json_append(codes, json_text(failure));
}

/* From what the images say, which are stored before the summary is. */
static void
progress_count(struct backfill *b)
{
    struct json *progress = json_object();
    int64_t total = 0;

    for (size_t i = 0; i < json_size(b->images); i++)
        total += replications_of(json_at(b->images, i));
    json_set(progress, "totalReplicationCount", json_int(total));
    json_set(progress, "completedReplicationCount", json_int(0));
    json_set(progress, "failedReplicationCount", json_int(0));
    json_set(progress, "failureCodes", json_array());
    json_set(b->summary, "progress", progress);
    for (size_t i = 0; i < json_size(b->images); i++)
        if (json_get(json_at(b->images, i), "status") != NULL)
            progress_add(b, json_at(b->images, i), json_get_cstr(json_at(b->images, i), "failureCode", NULL));
}

/* What came of one image; NULL: it is there. */
static void
image_note(struct registry *reg, struct backfill *b, size_t index, const char *failure)
{
    struct json *image = json_at(b->images, index);

    json_set(image, "status", json_text(failure != NULL ? "FAILED" : "COMPLETE"));
    if (failure != NULL)
        json_set(image, "failureCode", json_text(failure));
    progress_add(b, image, failure);
    if (++b->unstored >= STORE_EACH && b->unstored >= json_size(b->images) / STORES_MAX)
        (void)backfill_store(reg, b); /* the end, or the next start, makes up for it */
}

static struct json *
summary_told(const struct json *summary)
{
    struct json *told = json_copy(summary);

    json_delete(told, "asked");
    return told;
}

/* ---- one by one ---- */

static void
backfill_free(struct backfill *b)
{
    json_unref(b->summary);
    json_unref(b->images);
    free(b);
}

/* One that has ended is on disk only. Where the disk does not take that, the thread tries again: nobody would be told of
 * the end before the next start. False: it stays. */
static bool
backfill_leave(struct backfills *all, struct backfill *b)
{
    struct backfill **at = &all->active;

    if (!backfill_store(all->reg, b)) {
        pthread_cond_broadcast(&all->changed);
        return false;
    }
    while (*at != b)
        at = &(*at)->after;
    *at = b->after;
    backfill_free(b);
    return true;
}

static void
backfill_end(struct backfills *all, struct backfill *b, const char *status, const char *failure)
{
    json_set(b->summary, "status", json_text(status));
    json_set(b->summary, "endedAt", json_int(clock_wall_ms()));
    if (failure != NULL)
        json_set(b->summary, "failureCode", json_text(failure));
    log_info("registry.backfill", "id=%s to=%s status=%s", b->id, b->key, status);
    (void)backfill_leave(all, b);
}

static struct replica
image_at(const struct backfill *b, size_t index)
{
    const struct json *image = json_at(b->images, index);
    struct replica out = {0};

    text_copy_all(out.region, sizeof out.region, b->region);
    text_copy_all(out.repository, sizeof out.repository, json_get_cstr(image, "repositoryName", ""));
    text_copy_all(out.digest, sizeof out.digest, json_get_cstr(image, "imageDigest", ""));
    return out;
}

/* False: the queue is full. */
static bool
image_begin(struct backfills *all, struct backfill *b, size_t index)
{
    const struct replica image = image_at(b, index);
    struct replica_state state;
    struct err err = {0};

    if (json_get(json_at(b->images, index), "status") != NULL)
        return true;
    if (!manifest_is_linked(all->reg, image.region, image.repository, str_of(image.digest))) {
        image_note(all->reg, b, index, "ImageNotFound");
        return true;
    }
    (void)!replica_state_get(all->reg, &image, b->key, &state, &err); /* else it is asked again */
    const bool is_over = strcmp(state.asked, b->asked) == 0 && strcmp(state.status, "IN_PROGRESS") != 0;
    if (is_over) { /* before a restart */
        image_note(all->reg, b, index, state.failure[0] ? state.failure : NULL);
        return true;
    }
    if (replica_ask(all->reg, &image, b->key, b->asked, &err))
        b->window[b->on_way++] = index;
    else if (err.code == ERR_THROTTLING)
        return false;
    else
        image_note(all->reg, b, index, err_wire(err.code));
    return true;
}

static bool
has_room(const struct backfill *b)
{
    return is_status(b->summary, "IN_PROGRESS") && b->on_way < WINDOW && b->next < json_size(b->images);
}

/* Lets as many set out as may be on their way; ends `b` where there is none left. */
static void
backfill_go_on(struct backfills *all, struct backfill *b)
{
    while (has_room(b) && image_begin(all, b, b->next))
        b->next++;
    if (has_room(b))
        pthread_cond_broadcast(&all->changed); /* the queue is full: the thread tries again */
    if (b->on_way > 0)
        return;
    if (is_status(b->summary, "STOPPING"))
        backfill_end(all, b, "STOPPED", NULL);
    else if (is_status(b->summary, "IN_PROGRESS") && b->next == json_size(b->images))
        backfill_end(all, b, "COMPLETE", NULL);
}

static void
window_drop(struct backfill *b, size_t place)
{
    b->window[place] = b->window[--b->on_way];
}

static bool
window_find(const struct backfill *b, const struct replica *image, size_t *place_out)
{
    for (size_t i = 0; i < b->on_way; i++) {
        const struct json *one = json_at(b->images, b->window[i]);
        if (strcmp(json_get_cstr(one, "imageDigest", ""), image->digest) == 0 &&
            strcmp(json_get_cstr(one, "repositoryName", ""), image->repository) == 0) {
            *place_out = i;
            return true;
        }
    }
    return false;
}

/* What is sent just now stays in the window. */
static void
window_withdraw(struct backfills *all, struct backfill *b)
{
    for (size_t i = b->on_way; i-- > 0;) {
        const struct replica image = image_at(b, b->window[i]);
        if (replica_withdraw(all->reg, &image, b->key, b->asked))
            window_drop(b, i);
    }
}

static void
image_settled(struct backfills *all, struct backfill *b, size_t place)
{
    const struct replica image = image_at(b, b->window[place]);
    const bool is_there = manifest_is_linked(all->reg, image.region, image.repository, str_of(image.digest));
    struct replica_state state;
    struct err err = {0};

    if (!replica_state_get(all->reg, &image, b->key, &state, &err))
        text_copy_all(state.failure, sizeof state.failure, err_wire(err.code));
    if (is_there && strcmp(state.status, "IN_PROGRESS") == 0)
        return; /* pushed again, and on its way again */
    if (strcmp(state.status, "COMPLETE") == 0)
        image_note(all->reg, b, b->window[place], NULL);
    else
        image_note(all->reg, b, b->window[place], state.failure[0] ? state.failure : "ImageNotFound");
    window_drop(b, place);
}

void
backfills_settled(struct backfills *all, const struct replica *image, const char *key, bool is_done)
{
    size_t place;

    pthread_mutex_lock(&all->lock);
    struct backfill *b = all->active;
    while (b != NULL && !(strcmp(b->key, key) == 0 && strcmp(b->region, image->region) == 0 &&
                          window_find(b, image, &place)))
        b = b->after;
    if (b != NULL && is_done)
        image_settled(all, b, place);
    if (b != NULL && is_status(b->summary, "STOPPING"))
        window_withdraw(all, b); /* of what was being sent there is no other attempt, and a push goes on by itself */
    if (b != NULL)
        backfill_go_on(all, b); /* may end it */
    pthread_mutex_unlock(&all->lock);
}

/* ---- what there is to send ---- */

static void
image_add(struct json *images, const char *repository, const struct json *image)
{
    struct json *one = json_object();

    json_set(one, "repositoryName", json_text(repository));
    json_set(one, "imageDigest", json_text(json_get_cstr(image, "digest", "")));
    json_set(one, "tags", json_copy(json_get(image, "tags")));
    json_append(images, one);
}

static bool
repository_add(struct registry *reg, const char *region, const char *repository, struct json *images, struct err *err)
{
    cleanup(view_close_) struct view *view = NULL;
    cleanup_json struct json *listed = NULL;

    if (!view_open(reg, region, repository, &view, err) || !registry_images(reg, region, repository, &listed, err))
        return false;
    for (size_t i = 0; i < json_size(listed); i++) {
        const struct json *image = json_at(listed, i);
        const bool comes_along =
            json_size(json_get(image, "tags")) == 0 &&
            view_index_of(view, json_get_cstr(image, "digest", ""), ACTIVE_INDEXES) != NULL;
        if (!comes_along && strcmp(json_get_cstr(image, "status", ""), "ARCHIVED") != 0)
            image_add(images, repository, image);
    }
    return true;
}

static bool
images_fit(const struct json *images, struct err *err)
{
    cleanup_free char *text = json_format(images);

    return strlen(text) + json_size(images) * RESULT_TEXT_MAX <= BACKFILL_IMAGES_FILE_MAX ||
           err_set(err, ERR_LIMIT_EXCEEDED, "their names and tags take too much room");
}

static bool
images_list(struct registry *reg, const char *region, const char *key, struct json *images, struct err *err)
{
    cleanup_json struct json *names = NULL;

    if (!registry_repository_list(reg, region, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names) && !replicator_is_stopping(reg); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        bool leads = false;
        if (!replication_leads_to(reg, region, name, key, &leads, err))
            return false;
        if (leads && !repository_add(reg, region, name, images, err) &&
            repository_check(reg, region, name, NULL)) /* else: deleted meanwhile */
            return false;
        if (json_size(images) > BACKFILL_IMAGES_MAX)
            return err_set(err, ERR_LIMIT_EXCEEDED, "there are more than %d images", BACKFILL_IMAGES_MAX);
    }
    return images_fit(images, err);
}

/* Only this thread ends what has no images, so `b` stays while the lock is not held. */
static void
backfill_prepare(struct backfills *all, struct backfill *b)
{
    cleanup_json struct json *images = json_array();
    struct err err = {0};

    pthread_mutex_unlock(&all->lock);
    const bool is_listed = images_list(all->reg, b->region, b->key, images, &err);
    pthread_mutex_lock(&all->lock);
    if (replicator_is_stopping(all->reg))
        return; /* not all of them, perhaps */
    if (is_status(b->summary, "STOPPING")) {
        backfill_end(all, b, "STOPPED", NULL);
    } else if (!is_listed) {
        log_error("registry.backfill", "id=%s error=%s", b->id, log_quote(err.message));
        backfill_end(all, b, "FAILED", err.code == ERR_LIMIT_EXCEEDED ? "TooManyImages" : err_wire(err.code));
    } else {
        b->images = TAKE(images);
        progress_count(b);
        json_set(b->summary, "status", json_text("IN_PROGRESS"));
        (void)backfill_store(all->reg, b); /* else a restart prepares it anew */
        backfill_go_on(all, b);
    }
}

/* ---- the thread ---- */

static void
key_of(const struct json *destination, char out[static REPLICATION_KEY_SIZE])
{
    snprintf(out, REPLICATION_KEY_SIZE, "%s/%s", json_get_cstr(destination, "registryId", ""),
             json_get_cstr(destination, "region", ""));
}

static struct backfill *
backfill_new(const char *region, const char *id, struct json *summary)
{
    struct backfill *b = mem_new(sizeof *b);

    text_copy_all(b->id, sizeof b->id, id);
    text_copy_all(b->region, sizeof b->region, region);
    text_copy_all(b->asked, sizeof b->asked, json_get_cstr(summary, "asked", ""));
    key_of(json_get(summary, "destination"), b->key);
    b->summary = summary;
    return b;
}

static void
resume_one(void *arg, const char *region, const char *id, struct json *summary)
{
    struct backfills *all = arg;
    struct err err = {0};

    if (!is_under_way(summary)) {
        json_unref(summary);
        return;
    }
    struct backfill *b = backfill_new(region, id, summary);
    b->after = all->active;
    all->active = b;
    if (is_status(summary, "PREPARING"))
        return;
    if (backfill_images_read(all->reg, region, id, &b->images, &err)) {
        progress_count(b);
        backfill_go_on(all, b);
    } else if (!is_status(summary, "STOPPING")) { /* of one that was not prepared there are none */
        log_error("registry.backfill", "id=%s error=%s", id, log_quote(err.message));
    }
}

static void
resume(struct backfills *all)
{
    cleanup_json struct json *regions = NULL;
    struct err err = {0};

    if (!disk_list(all->reg->root_dir, &regions, &err))
        log_error("registry.backfill", "error=%s", log_quote(err.message));
    for (size_t i = 0; i < json_size(regions); i++) {
        const char *region = json_cstr(json_at(regions, i), "");
        if (!region_is_valid(str_of(region)))
            continue;
        backfill_files_sweep(all->reg, region);
        if (!backfill_summaries_each(all->reg, region, resume_one, all, &err))
            log_error("registry.backfill", "region=%s error=%s", region, log_quote(err.message));
    }
}

static struct backfill *
unprepared(struct backfills *all)
{
    struct backfill *b = all->active;

    while (b != NULL && (b->images != NULL || !is_under_way(b->summary)))
        b = b->after;
    return b;
}

/* True: some would set out if the queue had room, or be over if the disk had. */
static bool
retry_full(struct backfills *all)
{
    bool is_full = false;

    for (struct backfill *b = all->active, *after; b != NULL; b = after) {
        after = b->after;
        if (!is_under_way(b->summary)) {
            is_full |= !backfill_leave(all, b);
        } else if (b->images != NULL && has_room(b)) {
            is_full = true;
            backfill_go_on(all, b);
        }
    }
    return is_full;
}

static void *
run(void *arg)
{
    struct backfills *all = arg;

    pthread_mutex_lock(&all->lock);
    resume(all);
    all->is_resumed = true;
    pthread_cond_broadcast(&all->changed);
    while (!all->is_stopping) {
        struct backfill *b = unprepared(all);
        if (b != NULL) {
            backfill_prepare(all, b);
        } else if (retry_full(all)) {
            const int64_t end_ms = clock_monotonic_ms() + FULL_WAIT_MS;
            const struct timespec end = {end_ms / 1000, end_ms % 1000 * 1000000};
            pthread_cond_timedwait(&all->changed, &all->lock, &end);
        } else {
            pthread_cond_wait(&all->changed, &all->lock);
        }
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

struct backfills *
backfills_open(struct registry *reg)
{
    struct backfills *all = mem_new(sizeof *all);
    pthread_condattr_t attributes;

    all->reg = reg;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    all->has_thread = pthread_create(&all->thread, NULL, run, all) == 0;
    if (!all->has_thread) {
        log_error("registry.backfill", "error=\"cannot start a thread\"");
        all->is_resumed = true;
    }
    return all;
}

void
backfills_stop(struct backfills *all)
{
    pthread_mutex_lock(&all->lock);
    all->is_stopping = true;
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->lock);
    if (all->has_thread)
        pthread_join(all->thread, NULL);
}

void
backfills_free(struct backfills *all)
{
    while (all->active != NULL) {
        struct backfill *after = all->active->after;
        backfill_free(all->active);
        all->active = after;
    }
    pthread_mutex_destroy(&all->lock);
    pthread_cond_destroy(&all->changed);
    free(all);
}

/* ---- the doors ---- */

/* NULL for NULL, where nobody replicates: what is on disk stays as it is. */
static pthread_mutex_t *
lock_resumed(struct backfills *all)
{
    if (all == NULL)
        return NULL;
    pthread_mutex_lock(&all->lock);
    while (!all->is_resumed)
        pthread_cond_wait(&all->changed, &all->lock);
    return &all->lock;
}

static bool
is_running(const struct backfills *all, struct err *err)
{
    return (all != NULL && all->has_thread) || err_set(err, ERR_INTERNAL, "replication is not running");
}

static struct backfill *
find_active(const struct backfills *all, const char *region, const char *id)
{
    struct backfill *b = all != NULL ? all->active : NULL;

    while (b != NULL && !(strcmp(b->id, id) == 0 && strcmp(b->region, region) == 0))
        b = b->after;
    return b;
}

static bool
may_start(const struct backfills *all, const char *region, const char *to_region, struct err *err)
{
    int count = 0;

    for (const struct backfill *b = all->active; b != NULL; b = b->after) {
        if (strcmp(b->region, region) != 0 || !is_under_way(b->summary))
            continue;
        if (strcmp(strchr(b->key, '/') + 1, to_region) == 0)
            return err_set(err, ERR_BACKFILL_IN_PROGRESS,
                           "The replication backfill with id '%s' to the region '%s' is in progress", b->id, to_region);
        count++;
    }
    return count < BACKFILLS_ACTIVE_MAX ||
           err_set(err, ERR_LIMIT_EXCEEDED, "%d replication backfills are in progress", count);
}

static void
collect(void *arg, const char *region, const char *id, struct json *summary)
{
    (void)region, (void)id;
    json_append(arg, summary);
}

static const char *
oldest_ended(const struct json *summaries)
{
    const struct json *oldest = NULL;

    for (size_t i = 0; i < json_size(summaries); i++) {
        const struct json *one = json_at(summaries, i);
        if (!is_under_way(one) &&
            (oldest == NULL || json_get_i64(one, "startedAt", 0) < json_get_i64(oldest, "startedAt", 0)))
            oldest = one;
    }
    return json_get_cstr(oldest, "replicationBackfillId", NULL);
}

/* Makes room for one. */
static bool
prune(struct registry *reg, const char *region, struct err *err)
{
    cleanup_json struct json *summaries = json_array();

    if (!backfill_summaries_each(reg, region, collect, summaries, err))
        return false;
    const char *id = json_size(summaries) >= BACKFILLS_KEPT_MAX ? oldest_ended(summaries) : NULL;
    return id == NULL || backfill_files_remove(reg, region, id, err);
}

static struct json *
summary_new(const char *id, const char *to_registry, const char *to_region)
{
    struct json *summary = json_object(), *destination = json_object();
    char asked[17];

    random_hex(asked, 16);
    json_set(destination, "region", json_text(to_region));
    json_set(destination, "registryId", json_text(to_registry));
    json_set(summary, "replicationBackfillId", json_text(id));
    json_set(summary, "destination", destination);
    json_set(summary, "status", json_text("PREPARING"));
    json_set(summary, "startedAt", json_int(clock_wall_ms()));
    json_set(summary, "asked", json_text(asked));
    return summary;
}

bool
registry_backfill_start(struct registry *reg, const char *region, const char *to_registry, const char *to_region,
                        struct json **out, struct err *err)
{
    struct backfills *all = replicator_backfills(reg);
    cleanup_free char *key = text_format("%s/%s", to_registry, to_region);
    char id[BACKFILL_ID_SIZE];
    bool leads = false;

    if (!replication_leads_to(reg, region, NULL, key, &leads, err))
        return false;
    if (strlen(key) >= REPLICATION_KEY_SIZE || !leads)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Invalid parameter at 'destination' failed to satisfy constraint: 'the registry's replication "
                       "configuration has that destination'");
    if (!is_running(all, err))
        return false;
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = lock_resumed(all);
    if (!may_start(all, region, to_region, err) || !backfill_folder_make(reg, region, err) ||
        !prune(reg, region, err))
        return false;
    random_uuid(id);
    struct backfill *b = backfill_new(region, id, summary_new(id, to_registry, to_region));
    if (!backfill_summary_store(reg, region, id, b->summary, err)) {
        backfill_free(b);
        return false;
    }
    b->after = all->active;
    all->active = b;
    pthread_cond_broadcast(&all->changed);
    *out = summary_told(b->summary);
    return true;
}

/* As far as this process has it; false: it is on disk only. */
static bool
active_get(struct backfills *all, const char *region, const char *id, size_t first, size_t count, struct json **out,
           struct json **images_out)
{
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = lock_resumed(all);
    const struct backfill *b = find_active(all, region, id);

    if (b == NULL)
        return false;
    *out = summary_told(b->summary);
    if (images_out != NULL)
        *images_out = backfill_images_part(is_under_way(b->summary) ? NULL : b->images, first, count);
    return true;
}

/* What has ended does not change any more, so its images, which may be many, are read without the lock. */
bool
registry_backfill_get(struct registry *reg, const char *region, const char *id, size_t first, size_t count,
                      struct json **out, struct json **images_out, struct err *err)
{
    cleanup_json struct json *summary = NULL, *images = NULL;

    if (active_get(replicator_backfills(reg), region, id, first, count, out, images_out))
        return true;
    if (!backfill_summary_read(reg, region, id, &summary, err))
        return false;
    if (images_out != NULL && !is_under_way(summary) && json_get(summary, "progress") != NULL &&
        !backfill_images_read_part(reg, region, id, first, count, &images, err))
        return false;
    *out = summary_told(summary);
    if (images_out != NULL)
        *images_out = images != NULL ? TAKE(images) : json_array();
    return true;
}

bool
registry_backfill_list(struct registry *reg, const char *region, struct json **out, struct err *err)
{
    struct backfills *all = replicator_backfills(reg);
    cleanup_json struct json *list = json_array();
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = lock_resumed(all);

    if (!backfill_summaries_each(reg, region, collect, list, err))
        return false;
    *out = json_array();
    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *one = json_at(list, i);
        const struct backfill *b = find_active(all, region, json_get_cstr(one, "replicationBackfillId", ""));
        json_append(*out, summary_told(b != NULL ? b->summary : one));
    }
    return true;
}

/* Also for the next start, as what is being sent may take as long. */
static bool
stopping_store(struct registry *reg, struct backfill *b, struct err *err)
{
    cleanup_json struct json *stopping = json_copy(b->summary);

    json_set(stopping, "status", json_text("STOPPING"));
    if (!backfill_summary_store(reg, b->region, b->id, stopping, err))
        return false;
    json_set(b->summary, "status", json_text("STOPPING"));
    return true;
}

/* As far as it is under way. What could not be read at the start goes on first: then what it has sent out is known. */
static bool
find_or_resume(struct backfills *all, struct registry *reg, const char *region, const char *id, struct backfill **out,
               struct err *err)
{
    cleanup_json struct json *summary = NULL;

    *out = find_active(all, region, id);
    if (*out == NULL) {
        if (!backfill_summary_read(reg, region, id, &summary, err) || (is_under_way(summary) && !is_running(all, err)))
            return false;
        if (is_under_way(summary)) {
            resume_one(all, region, id, TAKE(summary));
            pthread_cond_broadcast(&all->changed); /* it may have to be prepared */
            *out = find_active(all, region, id);
        }
        if (*out == NULL && summary == NULL && !backfill_summary_read(reg, region, id, &summary, err))
            return false; /* it has ended just now */
    }
    if (*out != NULL && is_under_way((*out)->summary))
        return true;
    return err_set(err, ERR_BACKFILL_STATUS, "The replication backfill with id '%s' is %s", id,
                   json_get_cstr(*out != NULL ? (*out)->summary : summary, "status", ""));
}

bool
registry_backfill_stop(struct registry *reg, const char *region, const char *id, struct json **out, struct err *err)
{
    struct backfills *all = replicator_backfills(reg);
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = lock_resumed(all);
    struct backfill *b;

    if (!find_or_resume(all, reg, region, id, &b, err))
        return false;
    cleanup_json struct json *kept = json_ref(b->summary);
    if (!stopping_store(reg, b, err))
        return false;
    window_withdraw(all, b);
    if (b->images != NULL)
        backfill_go_on(all, b); /* may end it */
    *out = summary_told(kept);
    return true;
}
