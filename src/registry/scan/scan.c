/* SPDX-License-Identifier: MIT */
#include "registry/scan/scan.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/manifest.h"
#include "registry/scan/osv.h"
#include "registry/reference.h"
#include "registry/scan/scan_layers.h"

#define DOCUMENT_MAX (64 << 20)

struct scan_job {
    char region[REGISTRY_REGION_SIZE];
    char repository[REGISTRY_NAME_SIZE];
    char digest[REGISTRY_DIGEST_SIZE];
    struct scan_job *next;
};

struct scanner {
    struct registry *reg;
    char *database_path;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows; taken alone */
    pthread_cond_t changed;
    struct scan_job *first, **last; /* those that wait */
    int count;
    bool has_left_out; /* some for which there was no room, and which are PENDING on disk only */
    bool keeps_nothing; /* the last result could not be stored: those would be read, and scanned, again and again */
    struct scan_job *running;
    atomic_bool is_stopping;
};

/* ---- results on disk ---- */

static char *
scan_path(const struct registry *reg, const char *region, const char *repository,
          const char *digest)
{
    return repository_leaf_path(reg, region, repository, "_scans", digest_hex(str_of(digest)));
}

static bool
document_store(struct registry *reg, const struct scan_job *job, const struct json *document,
               struct err *err)
{
    cleanup_free char *path = scan_path(reg, job->region, job->repository, job->digest);
    cleanup_free char *directory = repository_path(reg, job->region, job->repository, "_scans");
    cleanup_free char *text = json_format(document);

    /* One level only: a repository that was deleted meanwhile does not come back. */
    mkdir(directory, 0750);
    return disk_store(reg, path, str_of(text), err);
}

/* NULL: there is none. */
static bool
document_find(struct registry *reg, const char *region, const char *repository, const char *digest,
              struct json **out, struct err *err)
{
    cleanup_free char *path = scan_path(reg, region, repository, digest);
    struct err why = {0};

    *out = NULL;
    if (disk_read_json(path, DOCUMENT_MAX, out, &why) || why.sys_errno == ENOENT)
        return true;
    *err = why;
    return false;
}

static void
damaged_log(const char *repository, const char *digest, const struct err *err)
{
    log_error("registry.scan_damaged", "repository=%s digest=%s error=%s", repository, digest, log_quote(err->message));
}

void
image_leaves_prune(struct registry *reg, const char *region, const char *repository,
                   const char *leaf)
{
    cleanup_free char *directory = repository_path(reg, region, repository, leaf);
    cleanup_json struct json *names = NULL;

    if (!disk_list(directory, &names, NULL))
        return;
    for (size_t i = 0; i < json_size(names); i++) {
        const char *hex = json_cstr(json_at(names, i), "");
        cleanup_free char *path = repository_leaf_path(reg, region, repository, "_manifests", str_of(hex));
        cleanup_free char *old = text_format("%s/%s", directory, hex);
        if (!file_exists(path) && !disk_remove(old, NULL))
            log_warn("registry.leaf_left", "path=%s", log_quote(old));
    }
}

/* ---- one scan ---- */

static bool
is_stopping(void *arg)
{
    const struct scanner *s = arg;
    return atomic_load(&s->is_stopping);
}

/* Only images have layers that are a file system. */
static bool
type_check(const struct manifest *m, struct err *err)
{
    if (!m->is_index &&
        (strcmp(m->artifact_type, "application/vnd.oci.image.config.v1+json") == 0 ||
         strcmp(m->artifact_type, "application/vnd.docker.container.image.v1+json") == 0))
        return true;
    return err_set(err, ERR_UNSUPPORTED_IMAGE_TYPE,
                   "The image is of a type that cannot be scanned: %s",
                   m->is_index ? m->media_type : m->artifact_type);
}

static bool
image_open(struct registry *reg, const struct scan_job *job, struct arena *arena,
           struct manifest *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    char digest[REGISTRY_DIGEST_SIZE], type[REGISTRY_MEDIA_TYPE_SIZE];

    return registry_manifest_get(reg, job->region, job->repository, job->digest, &bytes, digest,
                                 type, err) &&
           manifest_parse(strbuf_str(&bytes), str_of(type), arena, out, err) &&
           type_check(out, err);
}

static bool
layers_read(struct scanner *s, const struct manifest *m, struct scan_layers *layers,
            struct err *err)
{
    for (size_t i = 1; i < m->reference_count; i++) {
        cleanup_free char *path = blob_path(s->reg, m->references[i].digest);
        if (m->references[i].is_foreign && !file_exists(path))
            return err_set(err, ERR_INVALID_PARAMETER, "a layer of it is not in the registry");
        if (!scan_layers_add(layers, path, err))
            return false;
    }
    return true;
}

static bool
scan(struct scanner *s, const struct scan_job *job, struct json *document, struct err *err)
{
    cleanup(arena_done) struct arena arena = {0};
    cleanup(osv_close_) struct osv *osv = NULL;
    cleanup(scan_layers_free_) struct scan_layers *layers = scan_layers_new();
    cleanup(scan_found_done) struct scan_found found = {0};
    struct manifest m;

    if (!image_open(s->reg, job, &arena, &m, err))
        return false;
    if (!osv_open(s->database_path, /* creates= */ false, &osv, err))
        return err->code == ERR_RESOURCE_NOT_FOUND
                   ? err_set(err, ERR_RESOURCE_NOT_FOUND,
                             "no vulnerability database: import OSV records with 'naru registry "
                             "osv import'")
                   : false;
    if (osv_modified_ms(osv) == 0)
        return err_set(err, ERR_RESOURCE_NOT_FOUND,
                       "no vulnerability database: it is empty; import OSV records with 'naru "
                       "registry osv import'");
    scan_layers_set_cancelled(layers, is_stopping, s);
    if (!layers_read(s, &m, layers, err))
        return false;
    scan_layers_found(layers, &found);
    return scan_judge(osv, &found, is_stopping, s, document, err);
}

/* False: what it found could not be kept, and it is PENDING on disk as it was. */
static bool
job_run(struct scanner *s, const struct scan_job *job)
{
    cleanup_json struct json *document = json_object();
    const int64_t start_ms = clock_monotonic_ms();
    struct err err = {0}, store_err = {0};

    if (!scan(s, job, document, &err)) {
        json_set(document, "status", json_text("FAILED"));
        json_set(document, "description", json_text(err.message));
    }
    if (is_stopping(s))
        return false;
    json_set(document, "completedAt", json_int(clock_wall_ms()));
    const bool is_kept = !manifest_is_linked(s->reg, job->region, job->repository, str_of(job->digest)) ||
                         document_store(s->reg, job, document, &store_err);
    if (!is_kept)
        log_error("registry.scan_not_kept", "repository=%s digest=%s error=%s", job->repository,
                  job->digest, log_quote(store_err.message));
    log_info("registry.scanned", "repository=%s digest=%s status=%s findings=%zu took_ms=%lld",
             job->repository, job->digest, json_get_cstr(document, "status", ""),
             json_size(json_get(document, "findings")),
             (long long)(clock_monotonic_ms() - start_ms));
    return is_kept;
}

/* ---- the queue ---- */

static bool
job_is(const struct scan_job *job, const char *region, const char *repository, const char *digest)
{
    return job != NULL && strcmp(job->digest, digest) == 0 &&
           strcmp(job->repository, repository) == 0 && strcmp(job->region, region) == 0;
}

/* With the lock held. */
static bool
waits(const struct scanner *s, const char *region, const char *repository, const char *digest)
{
    for (const struct scan_job *job = s->first; job != NULL; job = job->next)
        if (job_is(job, region, repository, digest))
            return true;
    return false;
}

/* What there is no room for is PENDING on disk, where it is found when there is. */
static void
enqueue(struct scanner *s, const struct scan_job *wanted)
{
    pthread_mutex_lock(&s->lock);
    if (!waits(s, wanted->region, wanted->repository, wanted->digest)) {
        if (s->count < s->reg->scan_limit) {
            struct scan_job *job = mem_new(sizeof *job);
            *job = *wanted;
            job->next = NULL;
            *s->last = job;
            s->last = &job->next;
            s->count++;
        } else {
            s->has_left_out = true;
        }
        pthread_cond_signal(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
}

/* False: it is time to end. `*job_out` is the next one, now `running`; NULL: the documents are to be read again. */
static bool
dequeue(struct scanner *s, struct scan_job **job_out)
{
    pthread_mutex_lock(&s->lock);
    while (s->first == NULL && (!s->has_left_out || s->keeps_nothing) && !atomic_load(&s->is_stopping))
        pthread_cond_wait(&s->changed, &s->lock);
    const bool goes_on = !atomic_load(&s->is_stopping);
    struct scan_job *job = goes_on ? s->first : NULL;
    if (job != NULL) {
        s->first = job->next;
        if (s->first == NULL)
            s->last = &s->first;
        s->count--;
        s->running = job;
    } else {
        s->has_left_out = false; /* whoever reads them says so again */
    }
    pthread_mutex_unlock(&s->lock);
    *job_out = job;
    return goes_on;
}

/* One whose document cannot be read may have been under way. */
static bool
is_to_be_resumed(struct scanner *s, const struct scan_job *job)
{
    cleanup_json struct json *document = NULL;
    struct err why = {0};

    if (!manifest_is_linked(s->reg, job->region, job->repository, str_of(job->digest)))
        return false; /* deleted: nothing of it would be kept */
    if (document_find(s->reg, job->region, job->repository, job->digest, &document, &why))
        return strcmp(json_get_cstr(document, "status", ""), "PENDING") == 0;
    damaged_log(job->repository, job->digest, &why);
    return true;
}

static bool
resume_repository(void *arg, const char *region, const char *name, struct err *err)
{
    struct scanner *s = arg;
    cleanup_free char *directory = repository_path(s->reg, region, name, "_scans");
    cleanup_json struct json *names = NULL;

    if (!disk_list(directory, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        const char *hex = json_cstr(json_at(names, i), "");
        struct scan_job job = {0};
        snprintf(job.region, sizeof job.region, "%s", region);
        snprintf(job.repository, sizeof job.repository, "%s", name);
        if (digest_from_hex(str_of(hex), job.digest) && is_to_be_resumed(s, &job))
            enqueue(s, &job);
    }
    return true;
}

static void
resume(struct scanner *s)
{
    struct err err = {0};

    if (!repository_each(s->reg, resume_repository, s, &err))
        log_error("registry.scan_failed", "error=%s", log_quote(err.message));
}

static bool
prune_repository(void *arg, const char *region, const char *name, struct err *err)
{
    (void)err;
    image_leaves_prune(((struct scanner *)arg)->reg, region, name, "_scans");
    return true;
}

static void *
scanner_run(void *arg)
{
    struct scanner *s = arg;

    (void)!repository_each(s->reg, prune_repository, s, NULL); /* or the next start does */
    resume(s);
    for (struct scan_job *job; dequeue(s, &job);) {
        if (job == NULL) {
            resume(s);
            continue;
        }
        const bool is_kept = job_run(s, job);
        pthread_mutex_lock(&s->lock);
        s->keeps_nothing = !is_kept;
        s->running = NULL;
        pthread_mutex_unlock(&s->lock);
        free(job);
    }
    return NULL;
}

void
registry_start_scanning(struct registry *reg, const char *data_dir)
{
    struct scanner *s = mem_new(sizeof *s);

    assert(reg->scanner == NULL);
    s->reg = reg;
    s->database_path = text_format("%s/osv.db", data_dir);
    s->last = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    if (pthread_create(&s->thread, NULL, scanner_run, s) == 0) {
        reg->scanner = s;
        return;
    }
    log_error("registry.scan_failed", "error=\"cannot start a thread\"");
    free(s->database_path);
    free(s);
}

void
scanner_stop(struct scanner *s)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->is_stopping, true);
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    while (s->first != NULL) {
        struct scan_job *next = s->first->next;
        free(s->first);
        s->first = next;
    }
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s->database_path);
    free(s);
}

/* ---- the doors ---- */

bool
registry_scan_request(struct registry *reg, const char *region, const char *repository,
                      const char *digest, struct err *err)
{
    cleanup(arena_done) struct arena arena = {0};
    cleanup_json struct json *document = json_object();
    struct scan_job job = {0};
    struct manifest m;

    text_copy_all(job.region, sizeof job.region, region);
    text_copy_all(job.repository, sizeof job.repository, repository);
    text_copy_all(job.digest, sizeof job.digest, digest);
    if (reg->scanner == NULL)
        return err_set(err, ERR_UNAVAILABLE, "images are not scanned by this process");
    if (!image_open(reg, &job, &arena, &m, err))
        return false;
    json_set(document, "status", json_text("PENDING"));
    if (!document_store(reg, &job, document, err))
        return false;
    enqueue(reg->scanner, &job);
    return true;
}

static bool
is_under_way(struct scanner *s, const char *region, const char *repository, const char *digest)
{
    bool is_so = false;

    if (s == NULL)
        return false;
    pthread_mutex_lock(&s->lock);
    is_so = job_is(s->running, region, repository, digest) || waits(s, region, repository, digest);
    pthread_mutex_unlock(&s->lock);
    return is_so;
}

/* What is told of a scan whose document cannot be read. */
static struct json *
damaged_document(void)
{
    struct json *document = json_object();

    json_set(document, "status", json_text("FAILED"));
    json_set(document, "description", json_text("what the scan found cannot be read; scan the image again"));
    return document;
}

bool
registry_scan_get(struct registry *reg, const char *region, const char *repository,
                  const char *digest, struct json **out, struct err *err)
{
    /* Asked first: what ends in between is then read from disk as it ended. */
    const bool goes_on = is_under_way(reg->scanner, region, repository, digest);
    const bool is_image = manifest_is_linked(reg, region, repository, str_of(digest));
    cleanup_json struct json *document = NULL;
    struct err why = {0};

    if (is_image && !goes_on && !document_find(reg, region, repository, digest, &document, &why)) {
        damaged_log(repository, digest, &why);
        document = damaged_document();
    }
    if (!is_image || (document == NULL && !goes_on))
        return err_set(err, ERR_SCAN_NOT_FOUND,
                       "Image scan does not exist for the image with '{imageDigest:'%s'}' in the "
                       "repository with name '%s' in the registry with id '%s'",
                       digest, repository, reg->account_id);
    if (goes_on || strcmp(json_get_cstr(document, "status", ""), "PENDING") == 0) {
        json_unref(document);
        document = json_object();
        json_set(document, "status", json_text("IN_PROGRESS"));
    }
    *out = TAKE(document);
    return true;
}

/* ---- on push ---- */

bool
scan_filter_takes(const char *filter, const char *name)
{
    return strchr(filter, '*') != NULL ? str_like(str_of(filter), str_of(name))
                                       : strstr(name, filter) != NULL;
}

struct json *
scan_filters_applied(const struct json *document, const char *repository)
{
    const struct json *rules = json_get(json_get(document, "scanning"), "rules");
    struct json *applied = json_array();

    for (size_t i = 0; i < json_size(rules); i++) {
        const struct json *filters = json_get(json_at(rules, i), "repositoryFilters");
        const char *frequency = json_get_cstr(json_at(rules, i), "scanFrequency", "");
        for (size_t f = 0; f < json_size(filters) && strcmp(frequency, "SCAN_ON_PUSH") == 0; f++)
            if (scan_filter_takes(json_get_cstr(json_at(filters, f), "filter", ""), repository))
                json_append(applied, json_copy(json_at(filters, f)));
    }
    return applied;
}

static bool
is_wanted(struct registry *reg, const char *region, const char *repository, bool *out, struct err *err)
{
    cleanup(registry_repository_done) struct registry_repository r = {0};
    cleanup_json struct json *document = NULL;

    if (!registry_repository_get(reg, region, repository, &r, err))
        return false;
    *out = json_get_bool(r.document, "scanOnPush", false);
    if (*out)
        return true;
    if (!registry_document_get(reg, region, &document, err))
        return false;
    cleanup_json struct json *applied = scan_filters_applied(document, repository);
    *out = json_size(applied) > 0;
    return true;
}

void
scan_pushed(struct registry *reg, const char *region, const char *repository, const char *digest)
{
    struct err err = {0};
    bool wanted;

    if (reg->scanner == NULL)
        return;
    if (is_wanted(reg, region, repository, &wanted, &err) &&
        (!wanted || registry_scan_request(reg, region, repository, digest, &err)))
        return;
    if (err.code == ERR_UNSUPPORTED_IMAGE_TYPE)
        return;
    log_warn("registry.scan_refused", "repository=%s digest=%s error=%s", repository, digest,
             log_quote(err.message));
}
