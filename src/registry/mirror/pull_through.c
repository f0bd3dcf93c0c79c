/* SPDX-License-Identifier: MIT */
/* pull_through.c - manifests from upstream: fetched for who asks, kept while the rest is brought in
 * behind the client, images when all is here. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/uri.h"
#include "io/file.h"
#include "registry/manifest.h"
#include "registry/mirror/bring.h"
#include "registry/mirror/pull_internal.h"
#include "registry/reference.h"

#define PENDING_LIFE_MS (30LL * 60 * 1000)

/* ---- manifests that are pending ---- */

static bool
pending_is_of(const struct pending *m, const char *region, const char *repository)
{
    return strcmp(m->repository, repository) == 0 && strcmp(m->region, region) == 0;
}

/* With the lock held. */
static struct pending *
pending_find(struct pull_through *p, const char *region, const char *repository,
             const char *reference)
{
    for (struct pending *m = p->pending; m != NULL; m = m->next)
        if (pending_is_of(m, region, repository) &&
            (strcmp(m->digest, reference) == 0 ||
             (m->tag[0] != '\0' && strcmp(m->tag, reference) == 0)))
            return m;
    return NULL;
}

/* With the lock held: those that match `drops`, and the oldest if there are too many. */
static void
pending_drop(struct pull_through *p, const char *region, const char *repository, const char *digest)
{
    const int64_t oldest_ms = clock_monotonic_ms() - PENDING_LIFE_MS;
    int count = 0;

    for (struct pending **at = &p->pending; *at != NULL;) {
        struct pending *m = *at;
        const bool is_it = digest != NULL && pending_is_of(m, region, repository) &&
                           strcmp(m->digest, digest) == 0;
        if (!is_it && m->since_ms >= oldest_ms && count < PULL_PENDING_MAX) {
            count++;
            at = &m->next;
            continue;
        }
        *at = m->next;
        strbuf_done(&m->bytes);
        free(m);
    }
    p->pending_count = count;
}

static void
pending_add(struct pull_through *p, const char *region, const char *repository, const char *tag,
            const char *digest, const char *type, struct str bytes)
{
    struct pending *m = mem_new(sizeof *m);

    text_copy_all(m->region, sizeof m->region, region);
    text_copy_all(m->repository, sizeof m->repository, repository);
    text_copy_all(m->tag, sizeof m->tag, tag);
    text_copy_all(m->digest, sizeof m->digest, digest);
    text_copy_all(m->type, sizeof m->type, type);
    strbuf_add(&m->bytes, bytes);
    m->since_ms = clock_monotonic_ms();
    pthread_mutex_lock(&p->lock);
    pending_drop(p, region, repository, digest); /* it is new again */
    m->next = p->pending;
    p->pending = m;
    p->pending_count++;
    pthread_mutex_unlock(&p->lock);
}

bool
pull_pending_get(struct registry *reg, const char *region, const char *repository,
                 const char *reference, struct strbuf *bytes_out,
                 char digest_out[static REGISTRY_DIGEST_SIZE],
                 char type_out[static REGISTRY_MEDIA_TYPE_SIZE])
{
    struct pull_through *p = reg->pull;

    if (p == NULL)
        return false;
    pthread_mutex_lock(&p->lock);
    const struct pending *m = pending_find(p, region, repository, reference);
    if (m != NULL) {
        strbuf_add(bytes_out, strbuf_str(&m->bytes));
        memcpy(digest_out, m->digest, sizeof m->digest);
        memcpy(type_out, m->type, sizeof m->type);
    }
    pthread_mutex_unlock(&p->lock);
    return m != NULL;
}

/* ---- when a tag was last compared ---- */

static char *
check_path(const struct registry *reg, const char *region, const char *repository, const char *tag)
{
    return repository_leaf_path(reg, region, repository, "_upstream", str_of(tag));
}

static bool
was_checked(const struct registry *reg, const char *region, const char *repository, const char *tag)
{
    cleanup_free char *path = check_path(reg, region, repository, tag);
    struct stat st;

    return stat(path, &st) == 0 &&
           clock_wall_ms() - (int64_t)st.st_mtim.tv_sec * 1000 < PULL_CHECK_MS;
}

/* Nothing depends on it but one question more to the upstream: not flushed. */
static void
mark_checked(const struct registry *reg, const char *region, const char *repository,
             const char *tag)
{
    cleanup_free char *path = check_path(reg, region, repository, tag);
    cleanup_free char *directory = repository_path(reg, region, repository, "_upstream");

    mkdir(directory, 0750);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0 || futimens(fd, NULL) < 0)
        log_warn("registry.pull_unmarked", "path=%s errno=%d", log_quote(path), errno);
}

/* ---- imports ---- */

static void
import_enqueue(struct pull_through *p, const char *url, const char *region, const char *repository,
               const char *tag, const char *digest)
{
    struct import *job = mem_new(sizeof *job);

    text_copy_all(job->region, sizeof job->region, region);
    text_copy_all(job->repository, sizeof job->repository, repository);
    text_copy_all(job->tag, sizeof job->tag, tag);
    text_copy_all(job->digest, sizeof job->digest, digest);
    text_copy_all(job->url, sizeof job->url, url);
    pthread_mutex_lock(&p->lock);
    bool is_there = p->import_count >= PULL_QUEUE_MAX; /* the next pull asks again */
    for (const struct import *i = p->imports; i != NULL && !is_there; i = i->next)
        is_there = strcmp(i->digest, digest) == 0 && strcmp(i->repository, repository) == 0 &&
                   strcmp(i->region, region) == 0 && strcmp(i->tag, tag) == 0;
    if (!is_there) {
        *p->imports_end = job;
        p->imports_end = &job->next;
        p->import_count++;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    if (is_there)
        free(job);
}

struct importing {
    struct registry *reg;
    const struct import *job;
    struct pull_rule rule;
    struct remote *remote;
    char *upstream_name;
};

static bool
blob_bring(void *ctx, const struct manifest_reference *reference, struct err *err)
{
    const struct importing *in = ctx;
    struct registry *reg = in->reg;
    const char *region = in->job->region, *repository = in->job->repository;
    char digest[REGISTRY_DIGEST_SIZE];
    struct flight *f = NULL;
    int64_t size;

    if (layer_is_linked(reg, region, repository, reference->digest) &&
        blob_touch(reg, reference->digest, &size))
        return true;
    if (blob_touch(reg, reference->digest, &size)) /* another repository brought it */
        return layer_link(reg, region, repository, reference->digest, err);
    if (!text_copy(digest, sizeof digest, reference->digest) ||
        !flight_join(reg, &in->rule, region, repository, digest, &f, err))
        return false;
    if (f == NULL)
        return true;
    const bool arrived = flight_wait(reg, f, err);
    flight_leave(reg, f);
    return arrived || (reference->is_foreign && !pull_is_stopping(reg));
}

static bool
manifest_read(void *ctx, const char *digest, struct strbuf *bytes,
              char type[static REGISTRY_MEDIA_TYPE_SIZE], struct err *err)
{
    const struct importing *in = ctx;
    char found[REGISTRY_DIGEST_SIZE];

    return pull_pending_get(in->reg, in->job->region, in->job->repository, digest, bytes, found,
                            type) ||
           remote_manifest_get(in->remote, in->upstream_name, digest, bytes, found, type, err);
}

/* What an index names without a type that we know may be a blob upstream. */
static bool
is_manifest_upstream(void *ctx, const struct manifest_reference *r)
{
    const struct importing *in = ctx;
    char digest[REGISTRY_DIGEST_SIZE], found[REGISTRY_DIGEST_SIZE];

    return r->is_manifest &&
           (!r->is_either ||
            (text_copy(digest, sizeof digest, r->digest) &&
             remote_manifest_head(in->remote, in->upstream_name, digest, found, NULL)));
}

static const char *
tag_of(const struct import *job)
{
    return job->tag[0] != '\0' ? job->tag : NULL;
}

/* One that cannot be read is not: it is brought once more, which makes it whole. */
static bool
image_is_here(const struct registry *reg, const char *region, const char *repository, const char *digest, bool archived_too)
{
    cleanup_json struct json *record = NULL;

    return image_record_read(reg, region, repository, str_of(digest), &record, NULL) &&
           (archived_too || !record_is_archived(record));
}

/* One that is archived has to be put once more, which restores it. */
static bool
manifest_is_here(void *ctx, const char *digest, bool is_top)
{
    const struct importing *in = ctx;

    return !(is_top && tag_of(in->job) != NULL) &&
           image_is_here(in->reg, in->job->region, in->job->repository, digest, /* archived_too= */ false);
}

/* Links before the image that counts upon them. */
static bool
manifest_put(void *ctx, struct str bytes, const char *type, const char *digest, bool is_top,
             struct err *err)
{
    const struct importing *in = ctx;
    char stored[REGISTRY_DIGEST_SIZE];
    const struct registry_put put = {.manifest = bytes,
                                     .media_type = str_of(type),
                                     .tag = is_top ? tag_of(in->job) : NULL,
                                     .digest = digest};

    return layers_flush(in->reg, in->job->region, in->job->repository, err) &&
           registry_manifest_put(in->reg, in->job->region, in->job->repository, &put, stored, err);
}

/* Several ask for the same: who asked while one import was at work has made a second. */
static bool
is_imported(struct registry *reg, const struct import *job)
{
    char here[REGISTRY_DIGEST_SIZE];

    return tag_of(job) != NULL && registry_resolve(reg, job->region, job->repository, job->tag, here, NULL) &&
           strcmp(here, job->digest) == 0 && was_checked(reg, job->region, job->repository, job->tag) &&
           image_is_here(reg, job->region, job->repository, here, /* archived_too= */ false);
}

/* It is an image now. */
static void
pending_end(struct pull_through *p, const struct import *job)
{
    pthread_mutex_lock(&p->lock);
    pending_drop(p, job->region, job->repository, job->digest);
    pthread_mutex_unlock(&p->lock);
}

static void
import_run(struct pull_through *p, const struct import *job)
{
    struct importing in = {.reg = p->reg, .job = job};
    const struct bringing bringing = {&in, manifest_is_here, manifest_read, is_manifest_upstream,
                                      blob_bring, manifest_put};
    const int64_t start_ms = clock_monotonic_ms();
    struct err err = {0};

    if (is_imported(p->reg, job)) {
        pending_end(p, job);
        return;
    }
    if (!pull_rule_find(p->reg, job->region, job->repository, &in.rule))
        return; /* it was removed meanwhile */
    if (!pull_remote_open(p->reg, &in.rule, &in.remote, &err)) {
        log_warn("registry.import_failed", "repository=%s error=%s", job->repository,
                 log_quote(err.message));
        return;
    }
    remote_set_cancelled(in.remote, pull_is_stopping, p->reg);
    in.upstream_name = pull_upstream_repository(&in.rule, job->repository);
    if (bring_image(&bringing, job->digest, &err)) {
        if (tag_of(job) != NULL)
            mark_checked(p->reg, job->region, job->repository, job->tag);
        pending_end(p, job);
        log_info("registry.imported", "repository=%s digest=%s tag=%s took_ms=%lld",
                 job->repository, job->digest, job->tag,
                 (long long)(clock_monotonic_ms() - start_ms));
    } else {
        log_warn("registry.import_failed", "repository=%s digest=%s error=%s", job->repository,
                 job->digest, log_quote(err.message));
    }
    remote_free(in.remote);
    free(in.upstream_name);
}

/* With the lock held: the first whose upstream keeps no other thread. */
static struct import *
import_next(struct pull_through *p)
{
    for (struct import **at = &p->imports; *at != NULL; at = &(*at)->next) {
        struct import *job = *at;
        if (slots_have(&p->serving, job->url))
            continue;
        *at = job->next;
        if (*at == NULL)
            p->imports_end = at;
        p->import_count--;
        slots_take(&p->serving, job->url);
        return job;
    }
    return NULL;
}

/* NULL: it is time to end. `done` (may be NULL) was the last one, and is freed. */
static struct import *
import_dequeue(struct pull_through *p, struct import *done)
{
    struct import *job = NULL;

    pthread_mutex_lock(&p->lock);
    if (done != NULL)
        slots_give(&p->serving, done->url);
    free(done);
    /* What its upstream kept waiting this thread takes itself: nobody else need wake. */
    while (!atomic_load(&p->is_stopping) && (job = import_next(p)) == NULL)
        pthread_cond_wait(&p->work, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return job;
}

static void *
importer_run(void *arg)
{
    struct pull_through *p = arg;

    for (struct import *job = NULL; (job = import_dequeue(p, job)) != NULL;)
        import_run(p, job);
    return NULL;
}

void
registry_start_pulling(struct registry *reg)
{
    struct pull_through *p = mem_new(sizeof *p);

    assert(reg->pull == NULL);
    p->reg = reg;
    p->imports_end = &p->imports;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->landed, NULL);
    reg->pull = p;
    while (p->importer_count < PULL_IMPORTERS &&
           pthread_create(&p->importers[p->importer_count], NULL, importer_run, p) == 0)
        p->importer_count++;
    if (p->importer_count > 0)
        return;
    log_error("registry.import_failed", "error=\"cannot start a thread\"");
    reg->pull = NULL;
    free(p);
}

void
registry_stop_pulling(struct registry *reg)
{
    struct pull_through *p = reg->pull;

    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->is_stopping, true);
    flights_give_up(p);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

void
pull_through_stop(struct pull_through *p)
{
    if (p == NULL)
        return;
    registry_stop_pulling(p->reg);
    pthread_mutex_lock(&p->lock);
    while (p->flight_count > 0) /* each hears it within a second */
        pthread_cond_wait(&p->landed, &p->lock);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->importer_count; i++)
        pthread_join(p->importers[i], NULL);
    pull_failures_done(&p->failures);
    while (p->imports != NULL) {
        struct import *next = p->imports->next;
        free(p->imports);
        p->imports = next;
    }
    while (p->pending != NULL) {
        struct pending *next = p->pending->next;
        strbuf_done(&p->pending->bytes);
        free(p->pending);
        p->pending = next;
    }
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->landed);
    free(p);
}

/* ---- a client asks ---- */

static bool
manifest_fetch(struct registry *reg, struct remote *remote, const struct pull_rule *rule,
               const char *region, const char *repository, const char *reference, struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    cleanup(arena_done) struct arena arena = {0};
    cleanup_free char *name = pull_upstream_repository(rule, repository);
    char digest[REGISTRY_DIGEST_SIZE], type[REGISTRY_MEDIA_TYPE_SIZE];
    struct manifest m;

    if (!remote_manifest_get(remote, name, reference, &bytes, digest, type, err))
        return false;
    if (!manifest_parse(strbuf_str(&bytes), str_of(type), &arena, &m, err)) {
        err->code = ERR_UPSTREAM_IMAGE;
        return err_context(err, "the upstream's manifest");
    }
    if (!repository_ensure(reg, region, repository, "PULL_THROUGH_CACHE", err))
        return false;
    pending_add(reg->pull, region, repository, digest_is_valid(str_of(reference)) ? "" : reference,
                digest, m.media_type, strbuf_str(&bytes));
    return true;
}

/* What somebody asks for. */
struct question {
    struct registry *reg;
    const struct pull_rule *rule;
    const char *region, *repository, *reference;
    const char *here; /* the digest that it names here, or NULL */
};

/* Is what is here still what the upstream has? Gone there: what is here stays. */
static bool
tag_compare(const struct question *q, struct remote *remote, bool *is_same_out, struct err *err)
{
    cleanup_free char *name = pull_upstream_repository(q->rule, q->repository);
    char there[REGISTRY_DIGEST_SIZE];

    if (!remote_manifest_head(remote, name, q->reference, there, err)) {
        log_warn("registry.upstream_unreachable", "repository=%s tag=%s error=%s", q->repository,
                 q->reference, log_quote(err->message));
        if (err->code != ERR_IMAGE_NOT_FOUND)
            return false;
        *err = (struct err){0};
        text_copy_all(there, sizeof there, q->here); /* ask again tomorrow */
    }
    *is_same_out = strcmp(there, q->here) == 0;
    if (*is_same_out)
        mark_checked(q->reg, q->region, q->repository, q->reference);
    return true;
}

static bool
upstream_ask(const struct question *q, bool *is_same_out, struct err *err)
{
    cleanup(remote_free_) struct remote *remote = NULL;

    *is_same_out = false;
    if (!pull_remote_open(q->reg, q->rule, &remote, err))
        return false;
    remote_set_cancelled(remote, pull_is_stopping, q->reg);
    if (q->here != NULL && !tag_compare(q, remote, is_same_out, err))
        return false;
    return *is_same_out ||
           manifest_fetch(q->reg, remote, q->rule, q->region, q->repository, q->reference, err);
}

/* With the lock held. */
static void
ask_end(struct pull_through *p, const struct question *q, const char *key, enum err_code code, int64_t began_ms)
{
    pull_ask_end(&p->failures, q->rule->url, key, code, began_ms, clock_monotonic_ms());
}

/* Of what is here. Not pending: that is what there is, or has to do. */
static void
question_compare(const struct question *q, const char *key, bool *is_pending_out)
{
    struct pull_through *p = q->reg->pull;
    const int64_t began_ms = clock_monotonic_ms();
    struct err why = {0};
    bool is_same = false;

    pthread_mutex_lock(&p->lock);
    const bool asks = pull_ask_begin(&p->failures, q->rule->url, key, began_ms);
    pthread_mutex_unlock(&p->lock);
    *is_pending_out = false;
    if (!asks)
        return;
    const bool is_answered = upstream_ask(q, &is_same, &why);
    pthread_mutex_lock(&p->lock);
    ask_end(p, q, key, is_answered ? ERR_NONE : why.code, began_ms);
    pthread_mutex_unlock(&p->lock);
    *is_pending_out = is_answered && !is_same;
}

/* ---- what is not here: all with the lock held, but the asking itself ---- */

static struct asking *
asking_find(struct pull_through *p, const char *key)
{
    struct asking *a = p->askings;

    while (a != NULL && strcmp(a->key, key) != 0)
        a = a->next;
    return a;
}

static struct asking *
asking_enter(struct pull_through *p, const char *key)
{
    struct asking *a = mem_new(sizeof *a);

    a->key = text_dup(key);
    pthread_cond_init(&a->changed, NULL);
    a->next = p->askings;
    p->askings = a;
    return a;
}

/* Who asks next asks anew. */
static void
asking_end(struct pull_through *p, struct asking *a, const struct err *err)
{
    struct asking **at = &p->askings;

    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    a->is_over = true;
    a->err = *err;
    pthread_cond_broadcast(&a->changed);
}

static void
asking_leave(struct asking *a)
{
    if (--a->users > 0)
        return;
    pthread_cond_destroy(&a->changed);
    free(a->key);
    free(a);
}

static void
ask_for_all(const struct question *q, struct asking *a)
{
    struct pull_through *p = q->reg->pull;
    const int64_t began_ms = clock_monotonic_ms();
    struct err why = {0};
    bool is_same;

    pthread_mutex_unlock(&p->lock);
    if (upstream_ask(q, &is_same, &why))
        why = (struct err){0};
    pthread_mutex_lock(&p->lock);
    ask_end(p, q, a->key, why.code, began_ms);
    asking_end(p, a, &why);
}

static bool
question_ask(const struct question *q, const char *key, struct err *err)
{
    struct pull_through *p = q->reg->pull;
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = &p->lock;
    const struct str host = url_host(str_of(q->rule->url));

    pthread_mutex_lock(lock);
    struct asking *a = asking_find(p, key);
    const bool is_first = a == NULL;
    if (is_first && pull_is_absent(&p->failures, key, clock_monotonic_ms()))
        return err_set(err, ERR_IMAGE_NOT_FOUND, "the registry '" STR_FMT "' has no such manifest, and is asked again in %d s at the latest",
                       STR_ARG(host), PULL_ABSENT_MS / 1000);
    if (is_first)
        a = asking_enter(p, key);
    a->users++;
    if (is_first)
        ask_for_all(q, a);
    while (!a->is_over)
        pthread_cond_wait(&a->changed, lock);
    const struct err why = a->err;
    asking_leave(a);
    if (why.code != ERR_NONE)
        *err = why;
    return why.code == ERR_NONE;
}

static bool
question_answer(const struct question *q, bool *is_pending_out, struct err *err)
{
    cleanup_free char *key = text_format("%s\n%s\n%s\n%s", q->rule->url, q->region, q->repository, q->reference);

    if (q->here == NULL) {
        *is_pending_out = question_ask(q, key, err);
        return *is_pending_out;
    }
    question_compare(q, key, is_pending_out);
    return true;
}

/* Under which tag a pending manifest is asked for by its digest, too. */
static void
import_wanted(struct registry *reg, const struct pull_rule *rule, const char *region,
              const char *repository, const char *reference)
{
    struct pull_through *p = reg->pull;
    char tag[REGISTRY_TAG_SIZE] = "", digest[REGISTRY_DIGEST_SIZE] = "";

    pthread_mutex_lock(&p->lock);
    const struct pending *m = pending_find(p, region, repository, reference);
    if (m != NULL) {
        memcpy(tag, m->tag, sizeof tag);
        memcpy(digest, m->digest, sizeof digest);
    }
    pthread_mutex_unlock(&p->lock);
    if (digest[0] != '\0')
        import_enqueue(p, rule->url, region, repository, tag, digest);
}

static bool
is_pending(struct pull_through *p, const char *region, const char *repository,
           const char *reference)
{
    pthread_mutex_lock(&p->lock);
    const bool is = pending_find(p, region, repository, reference) != NULL;
    pthread_mutex_unlock(&p->lock);
    return is;
}

bool
pull_manifest(struct registry *reg, const char *region, const char *repository,
              const char *reference, bool imports, struct err *err)
{
    const bool by_digest = digest_is_valid(str_of(reference));
    char digest[REGISTRY_DIGEST_SIZE];
    struct pull_rule rule;

    if (reg->pull == NULL || !pull_rule_find(reg, region, repository, &rule))
        return true;
    const bool is_here = registry_resolve(reg, region, repository, reference, digest, NULL) &&
                         image_is_here(reg, region, repository, digest, /* archived_too= */ true);
    if (is_here && (by_digest || was_checked(reg, region, repository, reference)))
        return true;
    bool waits = is_pending(reg->pull, region, repository, reference);
    const struct question q = {reg, &rule, region, repository, reference, is_here ? digest : NULL};
    if (!waits && !question_answer(&q, &waits, err))
        return false;
    if (waits && imports)
        import_wanted(reg, &rule, region, repository, reference);
    return true;
}
