/* SPDX-License-Identifier: MIT */
/* gc.c - removes bytes that nobody can reach.  Marks first (all manifests of all repositories, the
 * roots, what lies in repositories that are being pushed to), then removes blob by blob what is
 * unmarked and old. A push that begins to need a blob touches it, so whatever is marked too late is
 * too young to go. Anything unreadable ends the collection before a byte is removed. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/manifest.h"
#include "registry/reference.h"

#define HOUR_MS (3600LL * 1000)
#define LIFECYCLE_EVERY_MS (24 * HOUR_MS)

/* A set of digests: open addressing on their own (random) bits. */
struct digest_set {
    unsigned char (*slots)[SHA256_LEN];
    unsigned char *used;
    size_t capacity, count; /* capacity is a power of two */
};

struct collection {
    struct registry *reg;
    struct digest_set marks, read; /* what is needed; the manifests whose needs are marked */
    struct strbuf waiting;         /* digests to read, a line each: indexes nest without a limit */
    int64_t age_ms, oldest_kept_ms; /* whatever was touched after this stays */
    bool is_dry;                    /* nothing is removed, only counted */
    struct registry_gc result;
};

static size_t
set_slot(const struct digest_set *set, const unsigned char *hash)
{
    uint64_t start;

    memcpy(&start, hash, sizeof start);
    size_t i = (size_t)start & (set->capacity - 1);
    while (set->used[i] && memcmp(set->slots[i], hash, SHA256_LEN) != 0)
        i = (i + 1) & (set->capacity - 1);
    return i;
}

static void
set_grow(struct digest_set *set)
{
    struct digest_set bigger = {.capacity = set->capacity ? set->capacity * 2 : 256,
                                .count = set->count};

    bigger.slots = mem_new(bigger.capacity * SHA256_LEN);
    bigger.used = mem_new(bigger.capacity);
    for (size_t i = 0; i < set->capacity; i++) {
        if (!set->used[i])
            continue;
        size_t slot = set_slot(&bigger, set->slots[i]);
        memcpy(bigger.slots[slot], set->slots[i], SHA256_LEN);
        bigger.used[slot] = 1;
    }
    free(set->slots);
    free(set->used);
    *set = bigger;
}

/* Of a sha512 its first half: as many bits, as random. */
static bool
set_key(struct str hex, unsigned char hash[static SHA256_LEN])
{
    return hex.len >= SHA256_HEX && hex_decode(str_slice(hex, 0, SHA256_HEX), hash);
}

/* False if it was there already. `hex` is valid. */
static bool
set_add(struct digest_set *set, struct str hex)
{
    unsigned char hash[SHA256_LEN];

    if (!set_key(hex, hash))
        return false;
    if (set->count * 2 >= set->capacity)
        set_grow(set);
    size_t slot = set_slot(set, hash);
    if (set->used[slot])
        return false;
    memcpy(set->slots[slot], hash, SHA256_LEN);
    set->used[slot] = 1;
    set->count++;
    return true;
}

static bool
set_has(const struct digest_set *set, struct str hex)
{
    unsigned char hash[SHA256_LEN];

    return set->capacity > 0 && set_key(hex, hash) && set->used[set_slot(set, hash)];
}

static void
set_done(struct digest_set *set)
{
    free(set->slots);
    free(set->used);
}

/* Whether `digest` can be a manifest: what an index of a kind that we do not know names may be a
 * layer of any size, or not be here at all. */
static bool
may_be_manifest(const struct collection *c, struct str digest)
{
    int64_t size;

    return blob_size(c->reg, digest, &size) && size <= REGISTRY_MANIFEST_MAX;
}

static bool
manifest_mark(struct collection *c, struct str digest, struct err *err)
{
    cleanup(arena_done) struct arena arena = {0};
    cleanup(strbuf_done) struct strbuf bytes = {0};
    struct manifest m;

    set_add(&c->marks, digest_hex(digest));
    if (set_has(&c->read, digest_hex(digest)))
        return true;
    if (!blob_read_whole(c->reg, digest, &bytes, err)) /* what it named cannot be known, and must not go */
        return err_context(err, "marking '" STR_FMT "'", STR_ARG(digest));
    manifest_guess(strbuf_str(&bytes), &arena, &m);
    for (size_t i = 0; i < m.reference_count; i++) {
        const struct manifest_reference *r = &m.references[i];
        set_add(&c->marks, digest_hex(r->digest));
        if (r->is_manifest && !set_has(&c->read, digest_hex(r->digest)) &&
            may_be_manifest(c, r->digest))
            strbuf_addf(&c->waiting, STR_FMT "\n", STR_ARG(r->digest));
    }
    /* Now: one that could not be read fails for the next that names it, too. */
    set_add(&c->read, digest_hex(digest));
    return true;
}

/* Marks a manifest and all that it leads to. */
static bool
manifest_mark_all(struct collection *c, struct str digest, struct err *err)
{
    strbuf_clear(&c->waiting);
    if (!manifest_mark(c, digest, err))
        return false;
    while (c->waiting.len > 0) {
        const struct str lines = str_slice(strbuf_str(&c->waiting), 0, c->waiting.len - 1);
        size_t start = lines.len;
        char next[REGISTRY_DIGEST_SIZE];

        while (start > 0 && lines.at[start - 1] != '\n')
            start--;
        (void)text_copy(next, sizeof next, str_slice(lines, start, lines.len));
        strbuf_cut(&c->waiting, start);
        if (!manifest_mark(c, str_of(next), err))
            return false;
    }
    return true;
}

static bool
repository_mark(void *arg, const char *region, const char *name, struct err *err)
{
    struct collection *c = arg;
    cleanup_free char *manifests_path = repository_path(c->reg, region, name, "_manifests");
    cleanup_free char *layers_path = repository_path(c->reg, region, name, "_layers");
    cleanup_json struct json *manifests = NULL, *layers = NULL;

    /* Uploads before manifests: a push that ends in between has its layers marked. */
    if (upload_is_going_on(c->reg, region, name, c->age_ms) && !disk_list(layers_path, &layers, err))
        return false;
    for (size_t i = 0; i < json_size(layers); i++)
        set_add(&c->marks, str_of(json_cstr(json_at(layers, i), "")));
    if (!disk_list(manifests_path, &manifests, err))
        return false;
    for (size_t i = 0; i < json_size(manifests); i++) {
        char digest[REGISTRY_DIGEST_SIZE];
        if (!digest_from_hex(str_of(json_cstr(json_at(manifests, i), "")), digest))
            continue;
        struct err why = {0};
        if (!manifest_mark_all(c, str_of(digest), &why) &&
            manifest_is_linked(c->reg, region, name, str_of(digest))) {
            if (err != NULL)
                *err = why;
            return false; /* not just deleted under our eyes, but damaged: remove nothing */
        }
    }
    return true;
}

static bool
blob_sweep(struct collection *c, const char *path, struct err *err)
{
    struct stat st;
    bool done = true;

    pthread_rwlock_wrlock(&c->reg->collect_lock);
    if (stat(path, &st) < 0) {
        done = errno == ENOENT || err_errno(err, "cannot look at '%s'", path);
    } else if (blob_time_ms(&st) > c->oldest_kept_ms) {
        c->result.blobs_kept++;
    } else if (!c->is_dry && unlink(path) < 0) {
        done = err_errno(err, "cannot remove '%s'", path);
    } else {
        c->result.blobs_removed++;
        c->result.bytes_removed += st.st_size;
        space_give(c->reg, c->is_dry ? 0 : st.st_size);
    }
    pthread_rwlock_unlock(&c->reg->collect_lock);
    return done;
}

static bool
blobs_sweep_of(struct collection *c, const char *algorithm, size_t hex_len, struct err *err)
{
    for (unsigned i = 0; i < 256; i++) {
        cleanup_free char *directory = text_format("%s/%s/%02x", c->reg->blobs_dir, algorithm, i);
        cleanup_json struct json *names = NULL;
        if (!disk_list(directory, &names, err))
            return false;
        for (size_t n = 0; n < json_size(names); n++) {
            const char *name = json_cstr(json_at(names, n), "");
            cleanup_free char *path = text_format("%s/%s", directory, name);
            if (strlen(name) != hex_len || set_has(&c->marks, str_of(name)))
                c->result.blobs_kept++;
            else if (!blob_sweep(c, path, err))
                return false;
        }
    }
    return true;
}

static bool
blobs_sweep(struct collection *c, struct err *err)
{
    return blobs_sweep_of(c, "sha256", SHA256_HEX, err) &&
           blobs_sweep_of(c, "sha512", SHA512_HEX, err);
}

/* A link is made after its blob, so one without a blob has lost it. Under the lock, since a push may be
 * about to bring the blob back: it is named under the lock, and linked thereafter. */
static bool
link_sweep(struct collection *c, const char *path, struct str digest, struct err *err)
{
    bool done = true;

    if (blob_size(c->reg, digest, NULL))
        return true;
    pthread_rwlock_wrlock(&c->reg->collect_lock);
    if (!blob_size(c->reg, digest, NULL)) {
        done = c->is_dry || disk_remove(path, err);
        c->result.links_removed += done;
    }
    pthread_rwlock_unlock(&c->reg->collect_lock);
    return done;
}

/* What names nothing any more: links without a blob, pulls without an image. */
static bool
links_sweep(void *arg, const char *region, const char *name, struct err *err)
{
    struct collection *c = arg;
    cleanup_free char *directory = repository_path(c->reg, region, name, "_layers");
    cleanup_json struct json *names = NULL;

    if (!c->is_dry)
        image_leaves_prune(c->reg, region, name, "_pulls");
    if (!disk_list(directory, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        const char *hex = json_cstr(json_at(names, i), "");
        char digest[REGISTRY_DIGEST_SIZE];
        if (!digest_from_hex(str_of(hex), digest))
            continue;
        cleanup_free char *path = text_format("%s/%s", directory, hex);
        if (!link_sweep(c, path, str_of(digest), err))
            return false;
    }
    return true;
}

static bool
collect(struct collection *c, const char *const *roots, size_t root_count, struct err *err)
{
    for (size_t i = 0; i < root_count; i++) {
        struct str digest = str_of(roots[i]);
        if (!digest_is_valid(digest))
            return err_set(err, ERR_INVALID_PARAMETER, "the root '%.100s' is no digest", roots[i]);
        /* A root of another registry's image has no bytes here. */
        if (blob_size(c->reg, digest, NULL) && !manifest_mark_all(c, digest, err))
            return false;
    }
    return repository_each(c->reg, repository_mark, c, err) && blobs_sweep(c, err) &&
           repository_each(c->reg, links_sweep, c, err) && (c->is_dry || repositories_sweep(c->reg, err));
}

int64_t
lease_ms(const struct registry *reg)
{
    return reg->collect_age_ms > 0 ? reg->collect_age_ms : HOUR_MS;
}

static bool
collect_or_count(struct registry *reg, const char *const *roots, size_t root_count, int64_t age_ms,
                 int64_t now_ms, bool is_dry, struct registry_gc *out, struct err *err)
{
    struct collection c = {
        .reg = reg, .age_ms = age_ms > 0 ? age_ms : lease_ms(reg), .is_dry = is_dry};

    c.oldest_kept_ms = now_ms - c.age_ms - BLOB_TOUCH_MS;
    bool done = collect(&c, roots, root_count, err);
    set_done(&c.marks);
    set_done(&c.read);
    strbuf_done(&c.waiting);
    if (done && out != NULL)
        *out = c.result;
    return done;
}

bool
registry_collect(struct registry *reg, const char *const *roots, size_t root_count, int64_t age_ms,
                 int64_t now_ms, struct registry_gc *out, struct err *err)
{
    upload_expire(reg, 24 * HOUR_MS);
    if (!archive_finish(reg, err))
        return false;
    return collect_or_count(reg, roots, root_count, age_ms, now_ms, /* is_dry= */ false, out, err);
}

bool
registry_collect_plan(struct registry *reg, int64_t age_ms, int64_t now_ms, struct registry_gc *out,
                      struct err *err)
{
    return collect_or_count(reg, NULL, 0, age_ms, now_ms, /* is_dry= */ true, out, err);
}

/* ---- leases ---- */

void
leases_renew(struct registry *reg, const char *region, const char *name, int64_t since_ms)
{
    cleanup_free char *directory = repository_path(reg, region, name, "_layers");
    cleanup_json struct json *names = NULL;

    if (!disk_list(directory, &names, NULL))
        return;
    for (size_t i = 0; i < json_size(names); i++) {
        char digest[REGISTRY_DIGEST_SIZE];
        struct stat st;
        if (!digest_from_hex(str_of(json_cstr(json_at(names, i), "")), digest))
            continue;
        cleanup_free char *path = blob_path(reg, str_of(digest));
        if (stat(path, &st) == 0 && blob_time_ms(&st) >= since_ms - BLOB_TOUCH_MS)
            blob_touch(reg, str_of(digest), NULL);
    }
}

/* ---- every so often ---- */

void
collector_init(struct registry *reg)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&reg->collector_lock, NULL);
    pthread_cond_init(&reg->collector_stop, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* False: it is time to end. */
static bool
collector_wait(struct registry *reg)
{
    const int64_t end_ms = clock_monotonic_ms() + reg->collect_interval_ms;
    const struct timespec end = {end_ms / 1000, end_ms % 1000 * 1000000};
    int result = 0;

    pthread_mutex_lock(&reg->collector_lock);
    while (!reg->is_stopping && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&reg->collector_stop, &reg->collector_lock, &end);
    bool goes_on = !reg->is_stopping;
    pthread_mutex_unlock(&reg->collector_lock);
    return goes_on;
}

static void *
collector_run(void *arg)
{
    struct registry *reg = arg;

    while (collector_wait(reg)) {
        struct registry_gc gc = {0};
        struct err err = {0};
        const int64_t start_ms = clock_monotonic_ms();
        int64_t expired;
        /* First, so that what they expire is garbage at once. */
        if (!registry_lifecycle_apply_all(reg, LIFECYCLE_EVERY_MS, clock_wall_ms(), &expired, &err))
            log_error("registry.lifecycle_failed", "error=%s", log_quote(err.message));
        if (!registry_collect(reg, NULL, 0, reg->collect_age_ms, clock_wall_ms(), &gc, &err))
            log_error("registry.collect_failed", "error=%s", log_quote(err.message));
        else if (gc.blobs_removed > 0)
            log_info("registry.collected", "blobs=%lld bytes=%lld kept=%lld took_ms=%lld",
                     (long long)gc.blobs_removed, (long long)gc.bytes_removed,
                     (long long)gc.blobs_kept, (long long)(clock_monotonic_ms() - start_ms));
    }
    return NULL;
}

void
registry_start_collecting(struct registry *reg, int64_t interval_ms, int64_t age_ms)
{
    assert(!reg->is_collecting && interval_ms > 0);
    reg->collect_interval_ms = interval_ms;
    reg->collect_age_ms = age_ms;
    reg->is_collecting = pthread_create(&reg->collector, NULL, collector_run, reg) == 0;
    if (!reg->is_collecting)
        log_error("registry.collect_failed", "error=\"cannot start a thread\"");
}

void
collector_done(struct registry *reg)
{
    pthread_mutex_lock(&reg->collector_lock);
    reg->is_stopping = true;
    pthread_cond_signal(&reg->collector_stop);
    pthread_mutex_unlock(&reg->collector_lock);
    if (reg->is_collecting)
        pthread_join(reg->collector, NULL);
    pthread_mutex_destroy(&reg->collector_lock);
    pthread_cond_destroy(&reg->collector_stop);
}
