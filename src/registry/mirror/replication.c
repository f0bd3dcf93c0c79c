/* SPDX-License-Identifier: MIT */
/* replication.c - which images go where, and the queue of those on their way. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "io/file.h"
#include "registry/reference.h"
#include "registry/mirror/backfill.h"
#include "registry/mirror/replication_queue.h"

#define DOCUMENT_MAX (64 << 10)
#define REGISTRIES_MAX (1 << 20)

_Static_assert(REPLICATION_THREADS <= SLOTS_MAX, "each keeps a slot");

struct replicator {
    struct registry *reg;
    struct backfills *backfills;
    char *registries_path;
    pthread_t threads[REPLICATION_THREADS];
    int thread_count;
    pthread_mutex_t record_lock; /* held to change a record; taken before the other one */
    pthread_mutex_t lock;        /* guards what follows */
    pthread_cond_t changed;
    struct replication_queue queue;
    bool has_left_out; /* some for which the queue had no room, and which are IN_PROGRESS on disk only */
    bool is_stopping;
};

/* ---- destinations ---- */

/* NULL: any repository. */
static bool
rule_takes(const struct json *rule, const char *repository)
{
    const struct json *filters = json_get(rule, "repositoryFilters");

    if (repository == NULL)
        return true;
    for (size_t i = 0; i < json_size(filters); i++)
        if (str_starts(str_of(repository),
                       str_of(json_get_cstr(json_at(filters, i), "filter", ""))))
            return true;
    return json_size(filters) == 0;
}

/* "<registryId>/<region>" of each, as keys of an object. */
static bool
destinations_of(struct registry *reg, const char *region, const char *repository, struct json **out, struct err *err)
{
    cleanup_json struct json *document = NULL;

    if (!registry_document_get(reg, region, &document, err))
        return false;
    struct json *found = json_object();
    const struct json *rules = json_get(json_get(document, "replicationConfiguration"), "rules");
    for (size_t i = 0; i < json_size(rules); i++) {
        const struct json *list = json_get(json_at(rules, i), "destinations");
        for (size_t d = 0; d < json_size(list) && rule_takes(json_at(rules, i), repository); d++) {
            cleanup_free char *key =
                text_format("%s/%s", json_get_cstr(json_at(list, d), "registryId", ""),
                            json_get_cstr(json_at(list, d), "region", ""));
            json_set(found, key, json_bool(true));
        }
    }
    *out = found;
    return true;
}

bool
replication_leads_to(struct registry *reg, const char *region, const char *repository, const char *key, bool *out,
                     struct err *err)
{
    cleanup_json struct json *destinations = NULL;

    if (!destinations_of(reg, region, repository, &destinations, err))
        return false;
    *out = json_get(destinations, key) != NULL;
    return true;
}

static struct json *
registry_known(const struct replicator *r, const char *registry_id)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    struct err err = {0};

    if (!file_exists(r->registries_path))
        return NULL;
    if (!file_read(r->registries_path, REGISTRIES_MAX, &bytes, &err)) {
        log_error("registry.replication", "error=%s", log_quote(err.message));
        return NULL;
    }
    cleanup_json struct json *all = json_parse(strbuf_str(&bytes), &err);
    if (all == NULL)
        log_error("registry.replication", "path=%s error=%s", log_quote(r->registries_path),
                  log_quote(err.message));
    const struct json *one = json_get(all, registry_id);
    return one != NULL ? json_ref(one) : NULL;
}

bool
replication_knows(struct registry *reg, const char *registry_id)
{
    if (strcmp(registry_id, reg->account_id) == 0)
        return true;
    if (reg->replicator == NULL)
        return false;
    cleanup_json struct json *one = registry_known(reg->replicator, registry_id);
    return json_get_cstr(one, "url", NULL) != NULL;
}

/* ---- the record of an image ---- */

static char *
record_path(const struct registry *reg, const struct replica *image)
{
    return repository_leaf_path(reg, image->region, image->repository, "_replicated",
                                digest_hex(str_of(image->digest)));
}

/* Empty where there is none, which is another thing than one that cannot be read. */
static bool
record_read(const struct registry *reg, const struct replica *image, struct json **out, struct err *err)
{
    cleanup_free char *path = record_path(reg, image);
    cleanup_json struct json *record = NULL;
    struct err why = {0};

    if (!disk_read_json(path, DOCUMENT_MAX, &record, &why)) {
        if (why.sys_errno != ENOENT) {
            *err = why;
            return false;
        }
        record = json_object();
    }
    if (json_type(record) != JSON_OBJECT)
        return err_set(err, ERR_INTERNAL, "'%s' is damaged: it holds no object", path);
    *out = TAKE(record);
    return true;
}

static bool
record_store(struct registry *reg, const struct replica *image, const struct json *record,
             struct err *err)
{
    cleanup_free char *directory =
        repository_path(reg, image->region, image->repository, "_replicated");
    cleanup_free char *path = record_path(reg, image);
    cleanup_free char *text = json_format(record);

    mkdir(directory, 0750); /* one level: a repository that is gone does not come back */
    return disk_store(reg, path, str_of(text), err);
}

/* `asked` tells one push from the next: what the first led to does not count for the second. */
static void
status_set(struct json *record, const char *key, const char *asked, const char *status,
           const char *failure)
{
    struct json *one = json_object();

    json_set(one, "asked", json_text(asked));
    json_set(one, "status", json_text(status));
    if (failure != NULL)
        json_set(one, "failureCode", json_text(failure));
    json_set(record, key, one);
}

static bool
is_in_progress(const struct json *destination)
{
    return strcmp(json_get_cstr(destination, "status", ""), "IN_PROGRESS") == 0;
}

static bool
is_asked_by(const struct json *destination, const char *asked)
{
    return strcmp(json_get_cstr(destination, "asked", ""), asked) == 0;
}

bool
replica_state_get(struct registry *reg, const struct replica *image, const char *key, struct replica_state *out,
                  struct err *err)
{
    cleanup_json struct json *record = NULL;

    *out = (struct replica_state){0};
    if (!record_read(reg, image, &record, err))
        return false;
    const struct json *destination = json_get(record, key);
    (void)text_copy(out->asked, sizeof out->asked, str_of(json_get_cstr(destination, "asked", "")));
    (void)text_copy(out->status, sizeof out->status, str_of(json_get_cstr(destination, "status", "")));
    (void)text_copy(out->failure, sizeof out->failure, str_of(json_get_cstr(destination, "failureCode", "")));
    return true;
}

/* ---- onto the queue ---- */

static bool
enqueue(struct replicator *r, const struct replica *image, const char *key)
{
    pthread_mutex_lock(&r->lock);
    const bool is_added = replication_queue_add(&r->queue, image, key);
    pthread_cond_signal(&r->changed); /* it is one that there is to do */
    pthread_mutex_unlock(&r->lock);
    return is_added;
}

static bool
waits(struct replicator *r, const struct replica *image, const char *key)
{
    pthread_mutex_lock(&r->lock);
    const bool is = replication_queue_has(&r->queue, image, key);
    pthread_mutex_unlock(&r->lock);
    return is;
}

/* It is IN_PROGRESS on disk, where it is found when there is room. */
static void
leave_out(struct replicator *r, const struct replica *image, const char *key)
{
    pthread_mutex_lock(&r->lock);
    const bool is_first = !r->has_left_out;
    r->has_left_out = true;
    pthread_mutex_unlock(&r->lock);
    if (is_first)
        log_warn("registry.replication_full", "repository=%s digest=%s to=%s", image->repository, image->digest, key);
}

/* Of a record: every destination that the image is still on its way to. `anew`: also if it waits already. */
static void
enqueue_all(struct replicator *r, const struct replica *image, const struct json *record, bool anew)
{
    for (void *it = json_first(record); it != NULL; it = json_next(record, it))
        if (is_in_progress(json_value(it)) && json_key(it)[0] != '\0' && strlen(json_key(it)) < REPLICATION_KEY_SIZE &&
            (anew || !waits(r, image, json_key(it))) && !enqueue(r, image, json_key(it)))
            leave_out(r, image, json_key(it));
}

/* What of an image's record cannot be told, or not be written down, is not forgotten: a job without a destination sends
 * it to all of them. That costs little where they have it. */
static void
enqueue_again(struct replicator *r, const struct replica *image)
{
    const bool is_added = waits(r, image, "") || enqueue(r, image, "");
    assert(is_added); /* there always is room for these */
}

/* Asks for all of them anew. A record that cannot be read is replaced. False: they are not on disk. */
static bool
send_out(struct replicator *r, const struct replica *image, const struct json *destinations, struct err *err)
{
    cleanup_json struct json *record = NULL;
    char asked[17];

    random_hex(asked, 16);
    pthread_mutex_lock(&r->record_lock);
    if (!record_read(r->reg, image, &record, err)) {
        log_error("registry.replication_damaged", "repository=%s digest=%s error=%s", image->repository, image->digest,
                  log_quote(err->message));
        record = json_object();
    }
    for (void *it = json_first(destinations); it != NULL; it = json_next(destinations, it))
        status_set(record, json_key(it), asked, "IN_PROGRESS", NULL);
    const bool is_stored = record_store(r->reg, image, record, err);
    pthread_mutex_unlock(&r->record_lock);
    if (is_stored)
        enqueue_all(r, image, record, /* anew= */ true);
    return is_stored;
}

/* ---- what is told of it ---- */

/* What waits without being written down is on its way to all of them. */
static bool
unwritten_add(struct registry *reg, const struct replica *image, struct json *record, struct err *err)
{
    cleanup_json struct json *destinations = NULL;

    if (reg->replicator == NULL || !waits(reg->replicator, image, ""))
        return true;
    if (!destinations_of(reg, image->region, image->repository, &destinations, err))
        return false;
    for (void *it = json_first(destinations); it != NULL; it = json_next(destinations, it))
        status_set(record, json_key(it), "", "IN_PROGRESS", NULL);
    return true;
}

bool
registry_replication_get(struct registry *reg, const char *region, const char *repository,
                         const char *digest, struct json **out, struct err *err)
{
    cleanup_json struct json *record = NULL;
    struct replica image = {0};
    struct json *list;

    text_copy_all(image.region, sizeof image.region, region);
    text_copy_all(image.repository, sizeof image.repository, repository);
    text_copy_all(image.digest, sizeof image.digest, digest);
    if (!record_read(reg, &image, &record, err)) {
        if (reg->replicator != NULL)
            enqueue_again(reg->replicator, &image); /* soon somebody can tell */
        return false;
    }
    if (!unwritten_add(reg, &image, record, err))
        return false;
    list = json_array();
    for (void *it = json_first(record); it != NULL; it = json_next(record, it)) {
        const struct str key = str_of(json_key(it));
        const size_t slash = (size_t)(str_index(key, '/') + 1);
        struct json *one = json_copy(json_value(it));
        json_delete(one, "asked");
        json_delete(one, "before");
        json_set(one, "registryId", json_str(str_slice(key, 0, slash > 0 ? slash - 1 : 0)));
        json_set(one, "region", json_str(str_slice(key, slash, key.len)));
        json_append(list, one);
    }
    *out = list;
    return true;
}

/* ---- one attempt ---- */

static bool
destination_send(struct replicator *r, const struct replica *image, struct str key, struct err *err)
{
    const size_t slash = (size_t)(str_index(key, '/') + 1);
    cleanup_free char *id = str_dup(str_slice(key, 0, slash > 0 ? slash - 1 : 0));
    cleanup_free char *region = str_dup(str_slice(key, slash, key.len));

    if (strcmp(id, r->reg->account_id) == 0)
        return replica_link(r->reg, image, region, err);
    cleanup_json struct json *registry = registry_known(r, id);
    if (registry == NULL)
        return err_set(err, ERR_RESOURCE_NOT_FOUND, "'%s' does not say where registry '%s' is",
                       r->registries_path, id);
    return replica_send(r->reg, image, registry, err);
}

/* Writes down what came of one destination, unless the image was pushed again meanwhile. False: it is not on disk, where
 * the image is still on its way. */
static bool
outcome_store(struct replicator *r, const struct replica *image, const char *key, const char *asked,
              const char *status, const char *failure)
{
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = &r->record_lock;
    struct err err = {0};

    cleanup_json struct json *record = NULL;
    pthread_mutex_lock(lock);
    if (!record_read(r->reg, image, &record, &err)) {
        enqueue_again(r, image);
        return false;
    }
    if (!is_asked_by(json_get(record, key), asked) ||
        !manifest_is_linked(r->reg, image->region, image->repository, str_of(image->digest)))
        return true;
    status_set(record, key, asked, status, failure);
    if (record_store(r->reg, image, record, &err))
        return true;
    log_error("registry.replication_failed", "error=%s", log_quote(err.message));
    return false;
}

/* True: it has the image, or will not be asked again. One whose outcome is not on disk is asked again, which costs little
 * where it has the image: nobody else would ever say what came of it. */
static bool
destination_run(struct replicator *r, const struct replication_job *job, const char *asked)
{
    const bool is_last = job->attempts + 1 >= REPLICATION_ATTEMPTS_MAX;
    struct err err = {0};

    if (destination_send(r, &job->image, str_of(job->key), &err))
        return outcome_store(r, &job->image, job->key, asked, "COMPLETE", NULL);
    if (replicator_is_stopping(r->reg))
        return false; /* no failure of the destination: it is IN_PROGRESS for the next start */
    log_warn("registry.replication_failed", "repository=%s digest=%s to=%s attempt=%d error=%s",
             job->image.repository, job->image.digest, job->key, job->attempts + 1,
             log_quote(err.message));
    return is_last && outcome_store(r, &job->image, job->key, asked, "FAILED", err_wire(err.code));
}

/* To all that the rules name now; where they name none there is nothing to write down, unless it `replaces` a record. */
static bool
all_run(struct replicator *r, const struct replica *image, bool replaces)
{
    cleanup_json struct json *destinations = NULL;
    struct err err = {0};

    if (destinations_of(r->reg, image->region, image->repository, &destinations, &err) &&
        ((json_size(destinations) == 0 && !replaces) || send_out(r, image, destinations, &err)))
        return true;
    log_error("registry.replication_failed", "repository=%s digest=%s error=%s", image->repository, image->digest,
              log_quote(err.message));
    return false;
}

/* True: there is nothing left to do for it. */
static bool
job_run(struct replicator *r, const struct replication_job *job)
{
    const struct replica *image = &job->image;
    cleanup_json struct json *record = NULL;
    struct err err = {0};

    if (!manifest_is_linked(r->reg, image->region, image->repository, str_of(image->digest)))
        return true; /* deleted: nothing goes on */
    if (job->key[0] == '\0')
        return all_run(r, image, /* replaces= */ true);
    if (!record_read(r->reg, image, &record, &err)) {
        enqueue_again(r, image);
        return false;
    }
    const struct json *destination = json_get(record, job->key);
    return !is_in_progress(destination) ||
           destination_run(r, job, json_get_cstr(destination, "asked", ""));
}

/* ---- the threads ---- */

static void
wait_until(struct replicator *r, int64_t due_ms)
{
    const struct timespec end = {due_ms / 1000, due_ms % 1000 * 1000000};

    if (due_ms == INT64_MAX)
        pthread_cond_wait(&r->changed, &r->lock);
    else
        pthread_cond_timedwait(&r->changed, &r->lock, &end);
}

/* Half of it, so that each time there are many to read. */
static bool
has_room_again(const struct replicator *r)
{
    return r->has_left_out && r->queue.count <= r->queue.limit / 2;
}

/* False: it is time to end. `*job_out` is NULL when the records are to be read again. */
static bool
dequeue(struct replicator *r, struct replication_job **job_out)
{
    int64_t next_ms;

    *job_out = NULL;
    pthread_mutex_lock(&r->lock);
    while (!r->is_stopping && !has_room_again(r) &&
           (*job_out = replication_queue_next(&r->queue, clock_monotonic_ms(), &next_ms)) == NULL)
        wait_until(r, next_ms);
    if (*job_out == NULL)
        r->has_left_out = false; /* whoever reads them says so again */
    const bool goes_on = !r->is_stopping;
    pthread_mutex_unlock(&r->lock);
    return goes_on;
}

static void
job_end(struct replicator *r, struct replication_job *job, bool is_done)
{
    const struct replication_job ended = *job;

    pthread_mutex_lock(&r->lock);
    replication_queue_end(&r->queue, job, is_done, clock_monotonic_ms());
    pthread_cond_signal(&r->changed); /* this thread may take another one: somebody has to know when it is due again */
    pthread_mutex_unlock(&r->lock);
    backfills_settled(r->backfills, &ended.image, ended.key, is_done);
}

static bool
resume_repository(void *arg, const char *region, const char *name, struct err *err)
{
    struct replicator *r = arg;
    cleanup_free char *directory = repository_path(r->reg, region, name, "_replicated");
    cleanup_json struct json *names = NULL;
    struct err why = {0};

    (void)err;
    if (!disk_list(directory, &names, &why)) /* the others go on */
        log_error("registry.replication_failed", "repository=%s error=%s", name, log_quote(why.message));
    for (size_t i = 0; i < json_size(names) && !replicator_is_stopping(r->reg); i++) {
        const char *hex = json_cstr(json_at(names, i), "");
        struct replica image = {0};
        text_copy_all(image.region, sizeof image.region, region);
        text_copy_all(image.repository, sizeof image.repository, name);
        if (!digest_from_hex(str_of(hex), image.digest) ||
            !manifest_is_linked(r->reg, region, name, str_of(image.digest)))
            continue; /* or deleted: nothing goes on */
        cleanup_json struct json *record = NULL;
        if (record_read(r->reg, &image, &record, &why))
            enqueue_all(r, &image, record, /* anew= */ false);
        else
            enqueue_again(r, &image);
    }
    return true;
}

static void
resume(struct replicator *r)
{
    struct err err = {0};

    if (!repository_each(r->reg, resume_repository, r, &err))
        log_error("registry.replication_failed", "error=%s", log_quote(err.message));
}

static void *
replicator_run(void *arg)
{
    struct replicator *r = arg;

    for (struct replication_job *job; dequeue(r, &job);) {
        if (job != NULL)
            job_end(r, job, job_run(r, job));
        else
            resume(r);
    }
    return NULL;
}

static bool
prune_repository(void *arg, const char *region, const char *name, struct err *err)
{
    (void)err;
    image_leaves_prune(((struct replicator *)arg)->reg, region, name, "_replicated");
    return true;
}

/* The first thread reads what was under way, too. */
static void *
replicator_resume(void *arg)
{
    struct replicator *r = arg;

    (void)!repository_each(r->reg, prune_repository, r, NULL); /* or the next start does */
    resume(r);
    return replicator_run(r);
}

void
replication_pushed(struct registry *reg, const char *region, const char *repository,
                   const char *digest)
{
    struct replica image = {0};

    if (reg->replicator == NULL)
        return;
    text_copy_all(image.region, sizeof image.region, region);
    text_copy_all(image.repository, sizeof image.repository, repository);
    text_copy_all(image.digest, sizeof image.digest, digest);
    if (!all_run(reg->replicator, &image, /* replaces= */ false))
        enqueue_again(reg->replicator, &image);
}

/* ---- for backfills ---- */

struct backfills *
replicator_backfills(const struct registry *reg)
{
    return reg->replicator != NULL ? reg->replicator->backfills : NULL;
}

/* As it was before a backfill asked. */
static bool
record_restore(struct registry *reg, const struct replica *image, struct json *record, const char *key, struct err *err)
{
    struct json *before = json_copy(json_get(json_get(record, key), "before"));

    json_delete(record, key);
    json_set(record, key, before);
    return record_store(reg, image, record, err);
}

bool
replica_ask(struct registry *reg, const struct replica *image, const char *key, const char *asked, struct err *err)
{
    struct replicator *r = reg->replicator;
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = &r->record_lock;

    cleanup_json struct json *record = NULL;
    pthread_mutex_lock(lock);
    if (!record_read(reg, image, &record, err)) {
        enqueue_again(r, image); /* its other destinations, too */
        record = json_object();
    }
    const struct json *now = json_get(record, key);
    if (!is_in_progress(now)) { /* else a push asked, which will do, or we did, before a restart */
        struct json *before = json_copy(now);
        status_set(record, key, asked, "IN_PROGRESS", NULL);
        json_set(json_get(record, key), "before", before);
        if (!record_store(reg, image, record, err))
            return false;
    }
    if (enqueue(r, image, key))
        return true;
    now = json_get(record, key);
    return (!is_asked_by(now, asked) || record_restore(reg, image, record, key, err)) &&
           err_set(err, ERR_THROTTLING, "too many images are on their way");
}

static bool
unqueue(struct replicator *r, const struct replica *image, const char *key)
{
    pthread_mutex_lock(&r->lock);
    const bool is_removed = replication_queue_remove(&r->queue, image, key);
    pthread_mutex_unlock(&r->lock);
    return is_removed;
}

bool
replica_withdraw(struct registry *reg, const struct replica *image, const char *key, const char *asked)
{
    struct replicator *r = reg->replicator;
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = &r->record_lock;
    struct err err = {0};

    cleanup_json struct json *record = NULL;
    pthread_mutex_lock(lock);
    if (!record_read(reg, image, &record, &err)) {
        enqueue_again(r, image);
        return true; /* that goes on, as a push does */
    }
    const struct json *now = json_get(record, key);
    if (is_in_progress(now) && !is_asked_by(now, asked))
        return true; /* a push goes on */
    if (!unqueue(r, image, key))
        return false;
    if (!record_restore(reg, image, record, key, &err))
        log_error("registry.replication_failed", "error=%s", log_quote(err.message));
    return true;
}

/* ---- from start to end ---- */

void
registry_start_replicating(struct registry *reg, const char *data_dir)
{
    struct replicator *r = mem_new(sizeof *r);
    pthread_condattr_t attributes;

    assert(reg->replicator == NULL);
    r->reg = reg;
    r->queue.own_registry = reg->account_id;
    r->queue.limit = reg->replication_limit;
    r->registries_path = text_format("%s/registries.json", data_dir);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->record_lock, NULL);
    pthread_cond_init(&r->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    reg->replicator = r;
    r->backfills = backfills_open(reg);
    while (r->thread_count < REPLICATION_THREADS &&
           pthread_create(&r->threads[r->thread_count], NULL,
                          r->thread_count == 0 ? replicator_resume : replicator_run, r) == 0)
        r->thread_count++;
    if (r->thread_count > 0)
        return;
    log_error("registry.replication_failed", "error=\"cannot start a thread\"");
    replicator_stop(r);
    reg->replicator = NULL;
}

bool
replicator_is_stopping(void *reg)
{
    struct replicator *r = ((struct registry *)reg)->replicator;

    if (r == NULL)
        return false; /* not started: nobody can stop it */
    pthread_mutex_lock(&r->lock);
    const bool is = r->is_stopping;
    pthread_mutex_unlock(&r->lock);
    return is;
}

void
replicator_stop(struct replicator *r)
{
    if (r == NULL)
        return;
    pthread_mutex_lock(&r->lock);
    r->is_stopping = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    backfills_stop(r->backfills);
    for (int i = 0; i < r->thread_count; i++)
        pthread_join(r->threads[i], NULL);
    backfills_free(r->backfills);
    replication_queue_done(&r->queue);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->record_lock);
    pthread_cond_destroy(&r->changed);
    free(r->registries_path);
    free(r);
}
