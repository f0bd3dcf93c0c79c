/* SPDX-License-Identifier: MIT */
/* quota.c - how much one repository may keep: R/_quota has the number of bytes, without it there is no such limit.
 * A repository has what its manifests name, each blob once, whoever else has it, too; and what came
 * within a lease and is not named yet, or is still coming in. What its manifests name is reckoned once and kept in
 * memory, and only for repositories that have a quota or were asked about; an image that comes or goes is added or
 * taken away, so that a push to ten thousand images reads none of them. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/manifest.h"
#include "registry/reference.h"

#define QUOTA_TEXT_MAX 32

/* What the manifests of a repository name: digest to size. */
struct quota_named {
    char region[REGISTRY_REGION_SIZE];
    char repository[REGISTRY_NAME_SIZE];
    uint64_t changed, seen; /* what the registry's quota_changes were when a manifest came or went; as of when `blobs` was reckoned */
    uint64_t reckoned;      /* another number each time; 0: not yet */
    struct json *blobs;     /* digest: {"size", "count" of references}; NULL: not yet */
    int64_t bytes;
    struct quota_named *next;
};

static char *
quota_path(const struct registry *reg, const char *region, const char *repository)
{
    return repository_path(reg, region, repository, "_quota");
}

bool
quota_limit(struct registry *reg, const char *region, const char *repository, int64_t *out,
            struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const unsigned as_of = places_changed(reg);

    *out = 0;
    if (place_is(reg, region, repository, PLACE_WITHOUT_QUOTA))
        return true;
    cleanup_free char *path = quota_path(reg, region, repository);
    if (disk_is_absent(path)) {
        place_note(reg, region, repository, PLACE_WITHOUT_QUOTA, as_of);
        return true;
    }
    if (!file_read(path, QUOTA_TEXT_MAX, &text, err))
        return false;
    return (str_to_i64(str_trim(strbuf_str(&text)), out) && *out > 0) ||
           err_set(err, ERR_INTERNAL, "'%s' holds no number of bytes", path);
}

bool
registry_quota_set(struct registry *reg, const char *region, const char *repository, int64_t bytes,
                   struct err *err)
{
    cleanup_free char *path = quota_path(reg, region, repository);
    cleanup_free char *text = text_format("%lld\n", (long long)bytes);
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = repository_lock(reg, region, repository);

    if (bytes < 0)
        return err_set(err, ERR_INVALID_PARAMETER, "a quota is a number of bytes, or 0 for none");
    if (!repository_check(reg, region, repository, err))
        return false;
    const bool is_set = bytes > 0 ? disk_store(reg, path, str_of(text), err)
                                  : disk_remove(path, err) && disk_sync_parent(path, err);
    places_change(reg); /* it may be even if its flush failed */
    return is_set;
}

/* ---- what the manifests name ---- */

/* With the lock held. */
static struct quota_named *
named_find(const struct registry *reg, const char *region, const char *repository)
{
    for (struct quota_named *n = reg->quotas; n != NULL; n = n->next)
        if (strcmp(n->repository, repository) == 0 && strcmp(n->region, region) == 0)
            return n;
    return NULL;
}

/* With the lock held. */
static struct quota_named *
named_of(struct registry *reg, const char *region, const char *repository)
{
    struct quota_named *n = named_find(reg, region, repository);

    if (n != NULL)
        return n;
    n = mem_new(sizeof *n);
    text_copy_all(n->region, sizeof n->region, region);
    text_copy_all(n->repository, sizeof n->repository, repository);
    n->changed = ++reg->quota_changes;
    n->next = reg->quotas;
    reg->quotas = n;
    return n;
}

void
quota_manifests_changed(struct registry *reg, const char *region, const char *repository)
{
    pthread_mutex_lock(&reg->quota_lock);
    struct quota_named *n = named_find(reg, region, repository);
    if (n != NULL)
        n->changed = ++reg->quota_changes;
    pthread_mutex_unlock(&reg->quota_lock);
}

static void
named_free(struct quota_named **at)
{
    struct quota_named *n = *at;

    *at = n->next;
    json_unref(n->blobs);
    free(n);
}

void
quota_forget(struct registry *reg, const char *region, const char *repository)
{
    pthread_mutex_lock(&reg->quota_lock);
    for (struct quota_named **at = &reg->quotas; *at != NULL;)
        if (strcmp((*at)->repository, repository) == 0 && strcmp((*at)->region, region) == 0)
            named_free(at);
        else
            at = &(*at)->next;
    pthread_mutex_unlock(&reg->quota_lock);
}

void
quotas_free(struct registry *reg)
{
    while (reg->quotas != NULL)
        named_free(&reg->quotas);
}

struct naming {
    struct registry *reg;
    struct json *blobs;
    int64_t bytes;
    int by; /* 1: what is named is added; -1: it is taken away */
};

static void
naming_add(struct naming *n, struct str digest, int64_t size)
{
    char key[REGISTRY_DIGEST_SIZE];

    if (!text_copy(key, sizeof key, digest))
        return;
    struct json *blob = json_get(n->blobs, key);
    if (blob == NULL) {
        if (n->by < 0)
            return;
        blob = json_object();
        json_set(blob, "size", json_int(size));
        json_set(n->blobs, key, blob);
        n->bytes += size;
    }
    const int64_t count = json_get_i64(blob, "count", 0) + n->by;
    json_set(blob, "count", json_int(count));
    if (count <= 0) {
        n->bytes -= json_get_i64(blob, "size", 0);
        json_delete(n->blobs, key);
    }
}

/* What may be a manifest is counted once, whichever it is. */
static bool
is_blob(const struct manifest_reference *r)
{
    return (!r->is_manifest || r->is_either) && !r->is_foreign;
}

static bool
naming_manifest(void *arg, const char *digest, const struct manifest *m)
{
    struct naming *n = arg;
    int64_t size = 0;

    if (blob_size(n->reg, str_of(digest), &size))
        naming_add(n, str_of(digest), size);
    for (size_t i = 0; m != NULL && i < m->reference_count; i++)
        if (is_blob(&m->references[i]))
            naming_add(n, m->references[i].digest, m->references[i].size);
    return true;
}

uint64_t
quota_reckoned(struct registry *reg, const char *region, const char *repository)
{
    pthread_mutex_lock(&reg->quota_lock);
    const struct quota_named *n = named_find(reg, region, repository);
    const uint64_t reckoned = n != NULL ? n->reckoned : 0;
    pthread_mutex_unlock(&reg->quota_lock);
    return reckoned;
}

/* An image has come (`by` 1) or gone (-1). What is not known just now is reckoned anew anyway, and so is what was
 * reckoned meanwhile, with that image or without it. */
static void
named_change(struct registry *reg, const char *region, const char *repository, const char *digest,
             const struct manifest *m, uint64_t reckoned, int by)
{
    pthread_mutex_lock(&reg->quota_lock);
    struct quota_named *n = named_find(reg, region, repository);
    if (n != NULL) {
        const bool is_known = n->blobs != NULL && n->seen == n->changed && n->reckoned == reckoned;
        n->changed = ++reg->quota_changes;
        if (is_known) {
            struct naming naming = {reg, n->blobs, n->bytes, by};
            (void)naming_manifest(&naming, digest, m);
            n->bytes = naming.bytes;
            n->seen = n->changed;
        }
    }
    pthread_mutex_unlock(&reg->quota_lock);
}

void
quota_manifest_came(struct registry *reg, const char *region, const char *repository, const char *digest,
                    const struct manifest *m, uint64_t reckoned)
{
    named_change(reg, region, repository, digest, m, reckoned, 1);
}

static bool
is_reckoned(struct registry *reg, const char *region, const char *repository)
{
    pthread_mutex_lock(&reg->quota_lock);
    const bool is = named_find(reg, region, repository) != NULL;
    pthread_mutex_unlock(&reg->quota_lock);
    return is;
}

void
quota_manifest_went(struct registry *reg, const char *region, const char *repository, const char *digest,
                    const char *media_type, uint64_t reckoned)
{
    cleanup(arena_done) struct arena arena = {0};
    cleanup(strbuf_done) struct strbuf bytes = {0};
    struct manifest m;

    if (!is_reckoned(reg, region, repository))
        return;
    if (blob_read(reg, str_of(digest), &bytes, NULL) &&
        manifest_parse(strbuf_str(&bytes), str_of(media_type), &arena, &m, NULL))
        named_change(reg, region, repository, digest, &m, reckoned, -1);
    else
        quota_manifests_changed(reg, region, repository);
}

/* Is the blob among what the manifests name, as far as is known? */
static bool
is_named(struct registry *reg, const char *region, const char *repository, const char *digest)
{
    pthread_mutex_lock(&reg->quota_lock);
    const struct quota_named *n = named_find(reg, region, repository);
    const bool is = n != NULL && json_get(n->blobs, digest) != NULL;
    pthread_mutex_unlock(&reg->quota_lock);
    return is;
}

static bool
named_get(struct registry *reg, const char *region, const char *repository, int64_t *bytes_out,
          struct err *err)
{
    cleanup_json struct json *blobs = json_object();
    struct naming naming = {reg, blobs, 0, 1};

    pthread_mutex_lock(&reg->quota_lock);
    struct quota_named *n = named_of(reg, region, repository);
    const uint64_t changed = n->changed;
    const bool is_known = n->blobs != NULL && n->seen == changed;
    if (is_known)
        *bytes_out = n->bytes;
    pthread_mutex_unlock(&reg->quota_lock);
    if (is_known)
        return true;
    if (!manifests_each(reg, region, repository, naming_manifest, &naming, /* known= */ NULL, err))
        return false;
    pthread_mutex_lock(&reg->quota_lock);
    n = named_find(reg, region, repository);
    if (n != NULL) { /* else it was deleted meanwhile */
        json_unref(n->blobs);
        n->blobs = TAKE(blobs);
        n->bytes = naming.bytes;
        n->reckoned = ++reg->quota_changes;
        n->seen = changed; /* what changed meanwhile makes it old at once */
    }
    pthread_mutex_unlock(&reg->quota_lock);
    *bytes_out = naming.bytes;
    return true;
}

/* ---- what a repository has ---- */

struct usage {
    int64_t bytes;
    struct json *fresh; /* blobs that are counted and that no manifest names, as members */
};

static void
usage_done(struct usage *u)
{
    json_unref(u->fresh);
}

/* Links that are young and not named: what a push has brought so far. */
static bool
fresh_add(struct registry *reg, const char *region, const char *repository, struct usage *u, struct err *err)
{
    cleanup_free char *folder = repository_path(reg, region, repository, "_layers");
    const int64_t since_ms = clock_wall_ms() - lease_ms(reg);
    cleanup_json struct json *names = NULL;

    if (!disk_list(folder, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        const char *hex = json_cstr(json_at(names, i), "");
        cleanup_free char *path = text_format("%s/%s", folder, hex);
        char digest[REGISTRY_DIGEST_SIZE];
        struct stat st;
        int64_t size;
        if (!digest_from_hex(str_of(hex), digest) || is_named(reg, region, repository, digest) ||
            stat(path, &st) < 0 || (int64_t)st.st_mtim.tv_sec * 1000 < since_ms ||
            !blob_size(reg, str_of(digest), &size))
            continue;
        json_set(u->fresh, digest, json_bool(true));
        u->bytes += size;
    }
    return true;
}

static bool
usage_get(struct registry *reg, const char *region, const char *repository, struct usage *u,
          struct err *err)
{
    *u = (struct usage){.fresh = json_object()};
    return named_get(reg, region, repository, &u->bytes, err) && fresh_add(reg, region, repository, u, err);
}

static bool
is_spent(const char *repository, int64_t limit, struct err *err)
{
    return err_set(err, ERR_LIMIT_EXCEEDED,
                   "the repository '%s' may keep %lld bytes and has no room for more; delete images of it, "
                   "or have its quota raised",
                   repository, (long long)limit);
}

/* ---- pushes ---- */

bool
quota_of_upload(struct registry *reg, struct upload *u, struct err *err)
{
    cleanup(usage_done) struct usage usage = {0};

    if (!quota_limit(reg, u->region, u->repository, &u->quota, err))
        return false;
    if (u->quota == 0)
        return true;
    if (!usage_get(reg, u->region, u->repository, &usage, err))
        return false;
    u->quota_used = usage.bytes;
    return true;
}

bool
quota_upload_fits(struct registry *reg, const struct upload *u, int64_t more, struct err *err)
{
    return u->quota == 0 ||
           u->quota_used + uploads_size(reg, u->region, u->repository) + more <= u->quota ||
           is_spent(u->repository, u->quota, err);
}

/* Under the repository's lock: what is here by then is counted. */
static bool
has_room(struct registry *reg, const char *region, const char *repository, struct str digest, int64_t size, int64_t limit,
         struct err *err)
{
    cleanup(usage_done) struct usage usage = {0};
    cleanup_free char *key = str_dup(digest);

    if (!usage_get(reg, region, repository, &usage, err))
        return false;
    return json_get(usage.fresh, key) != NULL || is_named(reg, region, repository, key) || usage.bytes + size <= limit ||
           is_spent(repository, limit, err);
}

bool
quota_link(struct registry *reg, const struct upload *u, struct str digest, struct err *err)
{
    if (u->quota == 0)
        return layer_link(reg, u->region, u->repository, digest, err);
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = repository_lock(reg, u->region, u->repository);
    return has_room(reg, u->region, u->repository, digest, u->size, u->quota, err) &&
           layer_link(reg, u->region, u->repository, digest, err);
}

bool
quota_mount(struct registry *reg, const char *region, const char *repository, struct str digest, int64_t size, struct err *err)
{
    int64_t limit;

    if (!quota_limit(reg, region, repository, &limit, err))
        return false;
    if (limit == 0)
        return layer_mount(reg, region, repository, digest, err);
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = repository_lock(reg, region, repository);
    return has_room(reg, region, repository, digest, size, limit, err) && layer_mount(reg, region, repository, digest, err);
}

bool
quota_image_fits(struct registry *reg, const char *region, const char *repository, const char *digest,
                 const struct manifest *m, int64_t size, struct err *err)
{
    cleanup(usage_done) struct usage usage = {0};
    int64_t limit, more = size;

    if (!quota_limit(reg, region, repository, &limit, err))
        return false;
    if (limit == 0)
        return true;
    if (!usage_get(reg, region, repository, &usage, err))
        return false;
    for (size_t i = 0; i < m->reference_count; i++) {
        cleanup_free char *key = str_dup(m->references[i].digest);
        if (is_blob(&m->references[i]) && json_get(usage.fresh, key) == NULL && !is_named(reg, region, repository, key))
            more += m->references[i].size;
    }
    return is_named(reg, region, repository, digest) || usage.bytes + more <= limit ||
           is_spent(repository, limit, err);
}

/* ---- who asks ---- */

bool
registry_quota_get(struct registry *reg, const char *region, const char *repository,
                   struct registry_quota *out, struct err *err)
{
    cleanup(usage_done) struct usage usage = {0};

    if (!repository_check(reg, region, repository, err) ||
        !quota_limit(reg, region, repository, &out->limit, err) ||
        !usage_get(reg, region, repository, &usage, err))
        return false;
    out->used = usage.bytes;
    return true;
}

struct listing {
    struct registry *reg;
    struct json *rows;
};

static bool
list_one(void *arg, const char *region, const char *name, struct err *err)
{
    struct listing *list = arg;
    cleanup_free char *path = quota_path(list->reg, region, name);
    struct registry_quota quota = {0};
    struct json *row;

    (void)err;
    if (!file_exists(path) || !registry_quota_get(list->reg, region, name, &quota, NULL))
        return true; /* one that cannot be read does not hide the others */
    row = json_object();
    json_set(row, "region", json_text(region));
    json_set(row, "repositoryName", json_text(name));
    json_set(row, "quotaBytes", json_int(quota.limit));
    json_set(row, "usedBytes", json_int(quota.used));
    json_append(list->rows, row);
    return true;
}

bool
registry_quotas(struct registry *reg, struct json **out, struct err *err)
{
    cleanup_json struct json *rows = json_array();
    struct listing list = {reg, rows};

    if (!repository_each(reg, list_one, &list, err))
        return false;
    *out = TAKE(rows);
    return true;
}
