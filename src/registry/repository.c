/* SPDX-License-Identifier: MIT */
/* repository.c - repositories as directories. One exists if its _repository.json does. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/reference.h"

#define DOCUMENT_MAX (256 << 10)
#define NAME_COMPONENTS_MAX 128 /* 256 characters hold no more */

char *
region_path(const struct registry *reg, const char *region)
{
    const struct str parts[] = {str_of(reg->root_dir), STR("/"), str_of(region)};

    return str_join(parts, ARRAY_COUNT(parts));
}

char *
repository_path(const struct registry *reg, const char *region, const char *name, const char *leaf)
{
    const struct str parts[] = {str_of(reg->root_dir), STR("/"), str_of(region), STR("/"),
                                str_of(name), STR("/"), str_of(leaf)};

    return str_join(parts, leaf != NULL ? 7 : 5);
}

char *
repository_leaf_path(const struct registry *reg, const char *region, const char *name, const char *folder,
                     struct str leaf)
{
    const struct str parts[] = {str_of(reg->root_dir), STR("/"), str_of(region), STR("/"), str_of(name),
                                STR("/"), str_of(folder), STR("/"), leaf};

    return str_join(parts, ARRAY_COUNT(parts));
}

pthread_mutex_t *
repository_lock(struct registry *reg, const char *region, const char *name)
{
    pthread_mutex_t *lock = &reg->repository_locks[place_hash(region, name) % REPOSITORY_LOCKS];

    pthread_mutex_lock(lock);
    return lock;
}

bool
repository_check(struct registry *reg, const char *region, const char *name, struct err *err)
{
    if (name_is_valid(str_of(name)) && region_is_valid(str_of(region))) {
        const unsigned as_of = places_changed(reg);
        if (place_is(reg, region, name, PLACE_THERE))
            return true;
        cleanup_free char *path = repository_path(reg, region, name, "_repository.json");
        if (!disk_is_absent(path)) {
            place_note(reg, region, name, PLACE_THERE, as_of);
            return true;
        }
    }
    return err_set(err, ERR_REPOSITORY_NOT_FOUND,
                   "The repository with name '%s' does not exist in the registry with id '%s'",
                   name, reg->account_id);
}

void
registry_repository_done(struct registry_repository *r)
{
    json_unref(r->document);
    r->document = NULL;
}

bool
registry_tag_is_immutable(const struct json *document, const char *tag)
{
    const char *mutability = json_get_cstr(document, "imageTagMutability", "MUTABLE");
    const struct json *filters = json_get(document, "imageTagMutabilityExclusionFilters");
    const bool is_immutable = strncmp(mutability, "IMMUTABLE", 9) == 0;

    for (size_t i = 0; i < json_size(filters); i++)
        if (str_like(str_of(json_get_cstr(json_at(filters, i), "filter", "")), str_of(tag)))
            return !is_immutable;
    return is_immutable;
}

bool
registry_repository_get(struct registry *reg, const char *region, const char *name,
                        struct registry_repository *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct json *document;

    if (!repository_check(reg, region, name, err))
        return false;
    cleanup_free char *path = repository_path(reg, region, name, "_repository.json");
    const unsigned as_of = places_changed(reg);
    const bool is_kept = place_text(reg, region, name, &text);
    if ((!is_kept && !file_read(path, DOCUMENT_MAX, &text, err)) ||
        !disk_parse_json(path, strbuf_str(&text), &document, err))
        return false;
    if (!is_kept)
        place_note_text(reg, region, name, strbuf_str(&text), as_of);
    snprintf(out->name, sizeof out->name, "%s", name);
    out->created_ms = json_get_i64(document, "createdAt", 0);
    out->document = document;
    return true;
}

bool
repository_document_is_open(const struct json *document)
{
    const struct json *tag = json_find(json_get(document, "tags"), "Key", "naru:anonymousPull");
    return strcmp(json_get_cstr(tag, "Value", ""), "true") == 0;
}

/* `was_open`: to everybody, before. */
static bool
document_store(struct registry *reg, const char *region, const char *name,
               const struct json *document, bool was_open, struct err *err)
{
    cleanup_free char *path = repository_path(reg, region, name, "_repository.json");
    cleanup_free char *text = json_format(document);

    if (strlen(text) > DOCUMENT_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED, "the repository's description is too large");
    const bool is_stored = disk_store(reg, path, str_of(text), err);
    places_change(reg); /* it may be there even if its flush failed */
    if (repository_document_is_open(document) != was_open)
        atomic_fetch_add(&reg->open_changed, 1);
    return is_stored;
}

static const char *const leaves[] = {"_tags", "_manifests", "_layers", "_pulls", "_referrers", "_scans", "_upstream", "_replicated",
                                     "_policy.json", "_preview.json", "_quota"};

static bool
leaves_remove(const struct registry *reg, const char *region, const char *name, struct err *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(leaves); i++) {
        cleanup_free char *path = repository_path(reg, region, name, leaves[i]);
        if (!file_remove_tree(path, err))
            return false;
    }
    return true;
}

/* To where the next start removes what nobody knows, too: removing ten thousand files takes seconds, which nobody has
 * to wait for. False: not all of them, as a full disk has no room for the folder. */
static bool
leaves_move(const struct registry *reg, const char *region, const char *name, const char *to)
{
    if (mkdir(to, 0750) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(leaves); i++) {
        cleanup_free char *path = repository_path(reg, region, name, leaves[i]);
        cleanup_free char *moved = text_format("%s/%s", to, leaves[i]);
        if (rename(path, moved) < 0 && errno != ENOENT)
            return false;
    }
    return true;
}

static bool
leaves_make(const struct registry *reg, const char *region, const char *name, struct err *err)
{
    static const char *const first[] = {"_tags", "_manifests", "_layers"};

    for (size_t i = 0; i < ARRAY_COUNT(first); i++) {
        cleanup_free char *path = repository_path(reg, region, name, first[i]);
        if (!disk_make_dirs(reg->root_dir, path, err))
            return false;
    }
    return true;
}

bool
repository_create(struct registry *reg, const char *region, const char *name, const struct json *document,
                  const char *policy, struct err *err)
{
    struct str host_region, first = str_of(name);
    ptrdiff_t slash = str_index(first, '/');

    if (!name_is_valid(str_of(name)) || !region_is_valid(str_of(region)))
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy "
            "regular "
            "expression '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''");
    /* Such a first component is how another region's repository is named. */
    if (ecr_host_parse(slash < 0 ? first : str_slice(first, 0, (size_t)slash), &host_region))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Invalid parameter at 'repositoryName': a name may not begin with a "
                       "registry's host name");
    pthread_mutex_lock(&reg->tree_lock);
    cleanup(unlock_) pthread_mutex_t *tree UNUSED = &reg->tree_lock;
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = repository_lock(reg, region, name);
    if (repository_check(reg, region, name, NULL))
        return err_set(err, ERR_REPOSITORY_EXISTS,
                       "The repository with name '%s' already exists in the registry with id '%s'",
                       name, reg->account_id);
    /* What a deletion that was cut short left behind is not ours to inherit. */
    if (!leaves_remove(reg, region, name, err) || !leaves_make(reg, region, name, err) ||
        (policy != NULL && !policy_put(reg, region, name, policy, err)))
        return false;
    cleanup_json struct json *copy = document ? json_copy(document) : json_object();
    json_set(copy, "createdAt", json_int(clock_wall_ms()));
    return document_store(reg, region, name, copy, /* was_open= */ false, err);
}

bool
registry_repository_create(struct registry *reg, const char *region, const char *name,
                           const struct json *document, struct err *err)
{
    return repository_create(reg, region, name, document, /* policy= */ NULL, err);
}

bool
registry_repository_change(struct registry *reg, const char *region, const char *name,
                           bool (*change)(void *arg, struct json *document, struct err *err),
                           void *arg, struct err *err)
{
    cleanup(registry_repository_done) struct registry_repository r = {0};
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = repository_lock(reg, region, name);

    if (!registry_repository_get(reg, region, name, &r, err))
        return false;
    const bool was_open = repository_document_is_open(r.document);
    return change(arg, r.document, err) && document_store(reg, region, name, r.document, was_open, err);
}

/* Empty parents of "a/b/c" go too, up to the region; a parent that is a repository itself is not
 * empty. */
static void
parents_remove(const struct registry *reg, const char *region, const char *name)
{
    cleanup_free char *path = repository_path(reg, region, name, NULL);
    size_t stop = strlen(reg->root_dir) + 1 + strlen(region);

    while (strlen(path) > stop && rmdir(path) == 0)
        *strrchr(path, '/') = '\0';
}

/* Who uses images is asked of the engine, image by image: `asked` has those of which nobody need be asked again. */
static bool
nothing_is_used(struct registry *reg, const char *region, const char *name, bool force,
                struct json *asked, struct err *err)
{
    cleanup_free char *path = repository_path(reg, region, name, "_manifests");
    cleanup_json struct json *manifests = NULL;

    if (!disk_list(path, &manifests, err))
        return false;
    if (!force && json_size(manifests) > 0)
        return err_set(err, ERR_REPOSITORY_NOT_EMPTY,
                       "The repository with name '%s' in registry with id '%s' cannot be deleted "
                       "because it still "
                       "contains images",
                       name, reg->account_id);
    for (size_t i = 0; reg->in_use != NULL && i < json_size(manifests); i++) {
        char digest[REGISTRY_DIGEST_SIZE];
        cleanup(strbuf_done) struct strbuf users = {0};
        const char *hex = json_cstr(json_at(manifests, i), "");
        if (json_get(asked, hex) != NULL)
            continue;
        json_set(asked, hex, json_bool(true));
        if (digest_from_hex(str_of(hex), digest) &&
            image_is_in_use(reg, region, name, digest, &users))
            return err_set(err, ERR_REPOSITORY_NOT_EMPTY,
                           "The repository with name '%s' in registry with id '%s' cannot be "
                           "deleted because its image '%s' is in use by %s",
                           name, reg->account_id, digest, strbuf_cstr(&users));
    }
    return true;
}

/* Of a repository that is gone, with its locks held. What cannot be removed is left to the next collection. */
static void
remains_move(const struct registry *reg, const char *region, const char *name, const char *aside)
{
    struct err err = {0};

    if (leaves_move(reg, region, name, aside) || leaves_remove(reg, region, name, &err))
        parents_remove(reg, region, name);
    else
        log_error("registry.repository_left", "repository=%s error=%s", name, log_quote(err.message));
}

/* Nobody waits any more. What cannot be removed is left to the next start. */
static void
remains_remove(const char *aside)
{
    struct err err = {0};

    if (!file_remove_tree(aside, &err))
        log_error("registry.repository_left", "error=%s", log_quote(err.message));
}

/* With _repository.json the repository is gone; the rest may be cut short at any point. */
static bool
repository_remove(struct registry *reg, const char *region, const char *name, bool force, struct json *asked,
                  const char *aside, struct err *err)
{
    cleanup(registry_repository_done) struct registry_repository r = {0};

    pthread_mutex_lock(&reg->tree_lock);
    cleanup(unlock_) pthread_mutex_t *tree UNUSED = &reg->tree_lock;
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = repository_lock(reg, region, name);
    if (!repository_check(reg, region, name, err) ||
        !nothing_is_used(reg, region, name, force, asked, err))
        return false;
    cleanup_free char *path = repository_path(reg, region, name, "_repository.json");
    const bool may_be_open =
        !registry_repository_get(reg, region, name, &r, NULL) || repository_document_is_open(r.document);
    const bool is_removed = disk_remove(path, err);
    places_change(reg);
    if (may_be_open)
        atomic_fetch_add(&reg->open_changed, 1);
    const bool is_gone = is_removed && disk_sync_parent(path, err);
    if (is_gone)
        remains_move(reg, region, name, aside);
    quota_forget(reg, region, name); /* behind them: an upload may have reckoned with them until now */
    return is_gone;
}

bool
registry_repository_delete(struct registry *reg, const char *region, const char *name, bool force,
                           struct err *err)
{
    cleanup_json struct json *asked = json_object();
    cleanup_free char *aside = disk_aside_path(reg);

    /* Most of the asking is done before anybody has to wait, with the locks only what came meanwhile is left; and the files
     * are removed when nobody waits any more. */
    if (!repository_check(reg, region, name, err) || !nothing_is_used(reg, region, name, force, asked, err) ||
        !repository_remove(reg, region, name, force, asked, aside, err))
        return false;
    remains_remove(aside);
    return true;
}

/* ---- layers ---- */

char *
layer_path(const struct registry *reg, const char *region, const char *name, struct str digest)
{
    return repository_leaf_path(reg, region, name, "_layers", digest_hex(digest));
}

bool
layer_is_linked(const struct registry *reg, const char *region, const char *name, struct str digest)
{
    cleanup_free char *path = layer_path(reg, region, name, digest);
    return file_exists(path);
}

bool
layer_link(struct registry *reg, const char *region, const char *name, struct str digest,
           struct err *err)
{
    cleanup_free char *path = layer_path(reg, region, name, digest);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

    if (fd < 0 && errno == ENOENT && !repository_check(reg, region, name, err))
        return false; /* deleted meanwhile */
    if (fd < 0 || futimens(fd, NULL) < 0)
        return err_errno(err, "cannot link a layer into '%s'", name);
    return true;
}

/* The blob's name, too: whoever brings it may be between its name and his flush. */
bool
layer_mount(struct registry *reg, const char *region, const char *name, struct str digest,
            struct err *err)
{
    cleanup_free char *blob = blob_path(reg, digest);
    cleanup_free char *link = layer_path(reg, region, name, digest);

    return layer_link(reg, region, name, digest, err) &&
           disk_flush_parents(reg, (const char *const[]){blob, link}, 2, err);
}

bool
layers_flush(const struct registry *reg, const char *region, const char *name, struct err *err)
{
    cleanup_free char *folder = repository_path(reg, region, name, "_layers");
    return file_sync_dir(folder, err);
}

/* ---- walking ---- */

struct walk {
    struct registry *reg;
    const char *region;
    bool (*call)(void *arg, const char *region, const char *name, struct err *err); /* or NULL */
    void *arg;
    bool (*gone)(struct registry *reg, const char *region, const char *name, struct err *err); /* of other folders; or NULL */
};

static bool
walk_one(struct walk *w, const char *name, struct err *err)
{
    cleanup_free char *path = repository_path(w->reg, w->region, name, "_repository.json");

    if (repository_check(w->reg, w->region, name, NULL))
        return w->call == NULL || w->call(w->arg, w->region, name, err);
    const bool is_folder = !file_exists(path) && errno == ENOENT;
    return !is_folder || w->gone == NULL || w->gone(w->reg, w->region, name, err);
}

static bool
walk_below(struct walk *w, const char *prefix, int depth, struct err *err)
{
    cleanup_json struct json *names = NULL;
    cleanup_free char *path = prefix[0] ? repository_path(w->reg, w->region, prefix, NULL)
                                        : region_path(w->reg, w->region);

    if (depth > NAME_COMPONENTS_MAX || !disk_list(path, &names, err))
        return depth > NAME_COMPONENTS_MAX;
    for (size_t i = 0; i < json_size(names); i++) {
        const char *part = json_cstr(json_at(names, i), "");
        if (part[0] == '_' || strlen(prefix) + strlen(part) + 2 > REGISTRY_NAME_SIZE)
            continue;
        cleanup_free char *name = text_format("%s%s%s", prefix, prefix[0] ? "/" : "", part);
        if (!walk_one(w, name, err) || !walk_below(w, name, depth + 1, err))
            return false;
    }
    return true;
}

static bool
walk_regions(struct walk *w, struct err *err)
{
    cleanup_json struct json *regions = NULL;

    if (!disk_list(w->reg->root_dir, &regions, err))
        return false;
    for (size_t i = 0; i < json_size(regions); i++) {
        w->region = json_cstr(json_at(regions, i), "");
        if (region_is_valid(str_of(w->region)) && !walk_below(w, "", 0, err))
            return false;
    }
    return true;
}

bool
repository_each(struct registry *reg,
                bool (*call)(void *arg, const char *region, const char *name, struct err *err),
                void *arg, struct err *err)
{
    struct walk w = {.reg = reg, .call = call, .arg = arg};
    return walk_regions(&w, err);
}

/* Folders of a repository, or nothing at all; what has other names in it only stands between a region and those. */
static bool
has_remains(const struct json *names)
{
    bool has = json_size(names) == 0;

    for (size_t i = 0; i < json_size(names); i++)
        has |= json_cstr(json_at(names, i), "")[0] == '_';
    return has;
}

static bool
remains_sweep(struct registry *reg, const char *region, const char *name, struct err *err)
{
    cleanup_free char *path = repository_path(reg, region, name, NULL);
    cleanup_json struct json *names = NULL;

    if (!name_is_valid(str_of(name)))
        return true; /* somebody else's */
    if (!disk_list(path, &names, err))
        return false;
    if (!has_remains(names))
        return true;
    cleanup_free char *aside = disk_aside_path(reg);
    pthread_mutex_lock(&reg->tree_lock);
    pthread_mutex_t *lock = repository_lock(reg, region, name);
    if (!repository_check(reg, region, name, NULL)) /* else it was made meanwhile */
        remains_move(reg, region, name, aside);
    pthread_mutex_unlock(lock);
    pthread_mutex_unlock(&reg->tree_lock);
    remains_remove(aside);
    return true;
}

bool
repositories_sweep(struct registry *reg, struct err *err)
{
    struct walk w = {.reg = reg, .gone = remains_sweep};
    return walk_regions(&w, err);
}

static bool
list_one(void *arg, const char *region, const char *name, struct err *err)
{
    (void)region, (void)err;
    json_append(arg, json_text(name));
    return true;
}

bool
registry_repository_list(struct registry *reg, const char *region, struct json **out,
                         struct err *err)
{
    cleanup_json struct json *names = json_array();
    struct walk w = {.reg = reg, .region = region, .call = list_one, .arg = names};

    if (!region_is_valid(str_of(region)))
        return err_set(err, ERR_INVALID_PARAMETER, "'%s' is no region", region);
    if (!walk_below(&w, "", 0, err))
        return false;
    *out = texts_sorted(names); /* the walk gives "a/b" before "a-b" */
    return true;
}
