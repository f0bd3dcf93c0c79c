/* SPDX-License-Identifier: MIT */
/* internal.h - what the files of this room share: the registry itself and its directory layout.
 * Locks, in the order they are taken:
 *   tree_lock         creates and deletes repositories, one at a time
 *   repository lock   (by hash of region and name) changes tags and manifests of one repository
 *   uploads_lock      the table of uploads; held for pointers only
 *   views_lock        the list of views, and what they were told (view.c)
 *   (the locks of place.c and token.c are held for no other and no disk)
 *   blob lock         (by digest) makes one blob durable and visible, once
 *   folders_lock      makes the folders that blobs of sha512 are in
 *   collect_lock      read: says that a blob is needed now; write: gc removes one blob
 * Reading takes none: every file is whole from the moment it has a name. */
#pragma once
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/crypto.h"
#include "registry/registry.h"

#define REPOSITORY_LOCKS 32
#define BLOB_LOCKS 64
#define OPEN_FAILED_NEVER (INT64_MIN / 2)

struct flusher;
struct manifest;
struct pull_through;
struct quota_named;
struct replicator;
struct scanner;
struct manifest_reference;
struct upload;
struct view;

struct registry {
    const char *account_id, *default_region;
    char *root_principal; /* the ARN of the account's owner */
    char *key_path, *blobs_dir, *uploads_dir, *root_dir;
    char host[256];
    unsigned char key[32];
    struct tokens *tokens; /* token.c */
    int lock_fd;
    int64_t blob_limit; /* bytes of one blob; a test lowers it */
    int64_t upload_idle_ms; /* so long an upload is idle before it may go for another; a test lowers it */
    int replication_limit;  /* images that wait to be sent to others; a test lowers it */
    int scan_limit;         /* those that wait to be scanned; a test lowers it */
    int64_t quota;      /* of all blobs and uploads, or 0 */
    _Atomic int64_t used;
    pthread_mutex_t quota_lock; /* guards the next two; taken alone */
    struct quota_named *quotas; /* quota.c: what repositories with a quota have */
    uint64_t quota_changes;     /* never the same again, whichever repository changed */
    _Atomic int64_t unlooked; /* space.c: bytes written since somebody looked at the disk */
    atomic_bool disk_is_full; /* when somebody last did */
    struct flusher *flusher;
    struct access_keys *keys; /* the next three may be NULL; borrowed */
    struct guard *guard;
    struct audit *audit;
    atomic_uint places_changed; /* counts what descriptions, policies and quotas went through */
    struct places *places;      /* place.c; NULL: nothing is kept, somebody else may change the files */
    /* visitor.c: does any repository let in everybody? As of this count and one; when looking failed. */
    atomic_bool is_open;
    atomic_uint open_changed; /* counts those that begin or cease to */
    pthread_mutex_t open_lock; /* held to look */
    atomic_uint open_seen;
    _Atomic int64_t open_failed_ms; /* monotonic, when that search was over */
    registry_in_use *in_use;
    void *in_use_ctx;
    registry_pushed *pushed; /* or NULL */
    void *pushed_ctx;
    pthread_mutex_t tree_lock;
    pthread_mutex_t folders_lock;
    atomic_bool has_sha512; /* its folders are there, and durable */
    pthread_mutex_t repository_locks[REPOSITORY_LOCKS];
    pthread_mutex_t blob_locks[BLOB_LOCKS];
    pthread_mutex_t uploads_lock;
    pthread_mutex_t views_lock;
    struct view *views; /* that are open */
    pthread_rwlock_t collect_lock;
    struct upload *uploads;
    int upload_count;
    pthread_t collector;
    pthread_mutex_t collector_lock; /* guards the two below; taken alone */
    pthread_cond_t collector_stop;
    bool is_collecting, is_stopping;
    int64_t collect_interval_ms, collect_age_ms;
    atomic_bool archive_is_whole; /* archive.c: nothing in it is known to be cut short, since this process has looked */
    struct scanner *scanner; /* scan.h; NULL: not started */
    struct pull_through *pull; /* pull_through.h; NULL: not started */
    struct replicator *replicator; /* replication.h; NULL: not started */
    registry_credential *credential;
    void *credential_ctx;
};

/* ---- registry.c ---- */
/* A repository as it is named after "/v2/" or after the host: the region may stand in front. */
bool registry_name_split(const struct registry *reg, struct str name, struct str *region_out,
                         struct str *repository_out);

/* ---- disk.c ---- */
/* A new name in uploads/, where a start removes what nobody knows; malloc'd. */
char *disk_aside_path(const struct registry *reg);
/* A new file there, not next to where it belongs: a leftover there would look like a tag.
 * Its descriptor, or -1; its path is the caller's to free, also then. */
int disk_open_aside(struct registry *reg, char **path_out, struct err *err) MUST_CHECK;
/* Writes `content` aside, flushes it and gives it the name `path`; the directory is flushed too.
 * ENOENT (in err->sys_errno) if the directory is not there. */
bool disk_store(struct registry *reg, const char *path, struct str content,
                struct err *err) MUST_CHECK;
bool disk_sync_parent(const char *path, struct err *err) MUST_CHECK;
/* A file that has no name yet, in steps: so that several become durable in one go. */
struct disk_file {
    char *temporary, *path;
    int fd;
};
#define DISK_FILE_NONE ((struct disk_file){.fd = -1})
/* Writes `content` aside, without flushing it. `out` is DISK_FILE_NONE before. */
bool disk_write_aside(struct registry *reg, const char *path, struct str content,
                      struct disk_file *out, struct err *err) MUST_CHECK;
bool disk_name(struct disk_file *f, struct err *err) MUST_CHECK; /* gives it its name */
void disk_file_done(struct disk_file *f); /* closes it; what has no name is removed */
/* Flush files, and the folders of paths, all at the same time; absent ones (fd -1, NULL) are passed over. */
bool disk_flush_files(struct registry *reg, const struct disk_file *const *files, size_t count,
                      struct err *err) MUST_CHECK;
bool disk_flush_parents(struct registry *reg, const char *const *paths, size_t count,
                        struct err *err) MUST_CHECK;
/* Makes `path` and its parents below `root`, and flushes every directory on the way. */
bool disk_make_dirs(const char *root, const char *path, struct err *err) MUST_CHECK;
/* Names in `path` but "." and "..", sorted, as an array of texts; what is no directory is empty. */
bool disk_list(const char *path, struct json **out, struct err *err) MUST_CHECK;
struct json *texts_sorted(const struct json *texts); /* a new array, in the order of bytes */
/* What cannot be looked at is there: it is not made anew, nobody is let in for it, and nothing goes that it may need. */
bool disk_is_absent(const char *path);
bool disk_remove(const char *path, struct err *err) MUST_CHECK; /* absent is success */
/* Reads a JSON object that we wrote, so that a damaged one is INTERNAL. `limit`: bytes. */
bool disk_read_json(const char *path, size_t limit, struct json **out, struct err *err) MUST_CHECK;
/* What was read from there. */
bool disk_parse_json(const char *path, struct str text, struct json **out, struct err *err) MUST_CHECK;
bool disk_is_damaged(const char *path, struct err *err); /* says so of what json_parse() has just refused; false */

/* ---- space.c ---- */
/* Counts `size` bytes; LIMIT_EXCEEDED if the quota has no room for them. */
bool space_take(struct registry *reg, int64_t size, struct err *err) MUST_CHECK;
/* Would they fit, by the quota and by the disk? Nothing is counted. */
bool space_has_room(struct registry *reg, int64_t size, struct err *err) MUST_CHECK;
void space_count(struct registry *reg, int64_t size); /* what is there, whatever the quota */
void space_give(struct registry *reg, int64_t size);
/* Fails with ENOSPC while there still is room for naru's own state. */
bool space_check_disk(struct registry *reg, struct err *err) MUST_CHECK;
/* The same, once a few megabytes have come in, of all uploads together. */
bool space_written(struct registry *reg, int64_t size, struct err *err) MUST_CHECK;

/* ---- quota.c: what one repository may keep ---- */
/* 0: it has no such limit. */
bool quota_limit(struct registry *reg, const char *region, const char *repository, int64_t *out,
                 struct err *err) MUST_CHECK;
/* An image came or went: said when that is done, as nobody who reckons waits for it. Under the repository's lock.
 * `reckoned`: what quota_reckoned() was before that began. */
void quota_manifest_came(struct registry *reg, const char *region, const char *repository, const char *digest,
                         const struct manifest *m, uint64_t reckoned);
void quota_manifest_went(struct registry *reg, const char *region, const char *repository, const char *digest,
                         const char *media_type, uint64_t reckoned);
uint64_t quota_reckoned(struct registry *reg, const char *region, const char *repository);
/* One may have come or gone: all is reckoned again. */
void quota_manifests_changed(struct registry *reg, const char *region, const char *repository);
void quota_forget(struct registry *reg, const char *region, const char *repository); /* it was deleted */
void quotas_free(struct registry *reg);
struct upload;
/* Somebody begins or goes on with an upload: notes its repository's quota in it. */
bool quota_of_upload(struct registry *reg, struct upload *u, struct err *err) MUST_CHECK;
bool quota_upload_fits(struct registry *reg, const struct upload *u, int64_t more, struct err *err) MUST_CHECK;
/* layer_link() of a whole upload, if the repository has room for it. */
bool quota_link(struct registry *reg, const struct upload *u, struct str digest, struct err *err) MUST_CHECK;
/* layer_mount() of a blob of that size, likewise. */
bool quota_mount(struct registry *reg, const char *region, const char *repository, struct str digest, int64_t size,
                 struct err *err) MUST_CHECK;
/* Has it room for an image, and for what that names and nobody has counted yet? Under its lock. */
bool quota_image_fits(struct registry *reg, const char *region, const char *repository, const char *digest,
                      const struct manifest *m, int64_t size, struct err *err) MUST_CHECK;

/* ---- blob_store.c ---- */
char *blob_path(const struct registry *reg, struct str digest);
bool blob_size(const struct registry *reg, struct str digest,
               int64_t *size_out); /* false: not there */
/* As blob_size(), and says that somebody counts on the blob: gc leaves it alone for its age. One that was touched within
 * BLOB_TOUCH_MS is left as it is, so gc, and who renews a lease, add as much to the age. */
#define BLOB_TOUCH_MS 1000
static inline int64_t
blob_time_ms(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}
bool blob_touch(struct registry *reg, struct str digest, int64_t *size_out);
/* Gives the whole and hashed file `fd` at `temporary` its name; the temporary name is gone on
 * success. `*is_new_out`: nobody had brought it before. */
bool blob_commit(struct registry *reg, int fd, const char *temporary, int64_t size,
                 struct str digest, bool *is_new_out, struct err *err) MUST_CHECK;
/* Gives a small blob, written aside and flushed, its name; its folder is the caller's to flush. */
bool blob_name(struct registry *reg, struct str digest, struct disk_file *f, bool *is_new_out,
               struct err *err) MUST_CHECK;
/* All 256 of an algorithm at once, so that no push has to make (and flush) one. */
bool blob_folders_make(struct registry *reg, const char *algorithm, struct err *err) MUST_CHECK;
bool blob_read(struct registry *reg, struct str digest, struct strbuf *out,
               struct err *err) MUST_CHECK;
/* The same of a manifest on whose names something depends: it fails where the disk has other bytes by now. */
bool blob_read_whole(struct registry *reg, struct str digest, struct strbuf *out, struct err *err) MUST_CHECK;

/* ---- token.c ---- */
struct tokens *tokens_new(void);
void tokens_free(struct tokens *t); /* NULL is fine */

/* ---- place.c ---- */
uint32_t place_hash(const char *region, const char *name);
/* Facts are kept until any repository is made, changed or deleted, or any policy, quota or registry's settings are set,
 * which only this process does. `as_of`: what places_changed() was before the disk was asked. */
enum place_fact {
    PLACE_THERE = 1,
    PLACE_WITHOUT_POLICY = 2, /* neither has its region */
    PLACE_WITHOUT_QUOTA = 4,
};
struct places *places_new(void);
void places_free(struct places *p); /* NULL is fine */
bool place_is(struct registry *reg, const char *region, const char *name, enum place_fact fact); /* false: ask the disk */
void place_note(struct registry *reg, const char *region, const char *name, enum place_fact fact, unsigned as_of);
/* Adds its _repository.json, or the region's _registry.json for the name "". False: ask the disk. */
bool place_text(struct registry *reg, const char *region, const char *name, struct strbuf *out);
/* A text that could be parsed: what is damaged may be mended under a running naru. */
void place_note_text(struct registry *reg, const char *region, const char *name, struct str text, unsigned as_of);
static inline unsigned
places_changed(const struct registry *reg)
{
    return atomic_load(&reg->places_changed);
}
static inline void
places_change(struct registry *reg) /* behind the change */
{
    atomic_fetch_add(&reg->places_changed, 1);
}

/* ---- repository.c ---- */
char *region_path(const struct registry *reg, const char *region);
/* `leaf` such as "_tags/latest", or NULL for the repository's own directory. */
char *repository_path(const struct registry *reg, const char *region, const char *name,
                      const char *leaf);
/* That of `leaf` in one of its folders, such as "_tags". */
char *repository_leaf_path(const struct registry *reg, const char *region, const char *name, const char *folder,
                           struct str leaf);
pthread_mutex_t *repository_lock(struct registry *reg, const char *region, const char *name);
/* As registry_repository_create(); it is never there without `policy` (NULL: none). */
bool repository_create(struct registry *reg, const char *region, const char *name, const struct json *document,
                       const char *policy, struct err *err) MUST_CHECK;
bool repository_check(struct registry *reg, const char *region, const char *name,
                      struct err *err) MUST_CHECK;
bool repository_document_is_open(const struct json *document); /* to everybody, for pulls */
char *layer_path(const struct registry *reg, const char *region, const char *name,
                 struct str digest);
/* The link's folder is the caller's to flush. */
bool layer_link(struct registry *reg, const char *region, const char *name, struct str digest,
                struct err *err) MUST_CHECK;
/* Links a layer that is there, and makes both names durable. */
bool layer_mount(struct registry *reg, const char *region, const char *name, struct str digest,
                 struct err *err) MUST_CHECK;
/* Flushes the folder of all links of the repository. */
bool layers_flush(const struct registry *reg, const char *region, const char *name,
                  struct err *err) MUST_CHECK;
bool layer_is_linked(const struct registry *reg, const char *region, const char *name,
                     struct str digest);
/* Calls `call` for every repository of every region; stops at false. */
bool repository_each(struct registry *reg,
                     bool (*call)(void *arg, const char *region, const char *name, struct err *err),
                     void *arg, struct err *err) MUST_CHECK;
/* Removes what creations and deletions that were cut short have left. */
bool repositories_sweep(struct registry *reg, struct err *err) MUST_CHECK;
static inline void
unlock_(pthread_mutex_t **lock)
{
    if (*lock != NULL)
        pthread_mutex_unlock(*lock);
}

/* ---- archive.c: the record of an image tells whether it is archived ---- */
bool record_is_archived(const struct json *record); /* NULL: no */
/* Gives `record` what `old`, that of an archived image, has of its archive, and that it was activated now. */
void record_activate(const struct json *old, struct json *record, int64_t now_ms);
/* Is there such an image, and is it archived? */
bool image_is_archived(const struct registry *reg, const char *region, const char *repository,
                       struct str digest);
bool image_archived(const char *repository, const char *digest, struct err *err); /* IMAGE_ARCHIVED */
/* Brings into the archive what should have gone along with what is there, if a start or a failure may have cut that
 * short; not what was pushed or restored since. What cannot be read is logged and tried again by the next one; false:
 * the repositories cannot be told. */
bool archive_finish(struct registry *reg, struct err *err) MUST_CHECK;
/* As image_expire(), but it goes into the archive. */
bool image_transition(struct view *v, const struct json *image, bool *archived_out, struct err *err) MUST_CHECK;

/* ---- image.c ---- */
char *image_record_path(const struct registry *reg, const char *region, const char *name, struct str digest);
bool image_record_read(const struct registry *reg, const char *region, const char *name, struct str digest,
                 struct json **out, struct err *err) MUST_CHECK;
/* The same where it may just have been removed: then `out` is NULL. */
bool image_record_find(const struct registry *reg, const char *region, const char *name, const char *digest,
                       struct json **out, struct err *err) MUST_CHECK;
/* Logs it: by an operation that passes over it. */
void image_is_damaged(const char *repository, const char *digest, const struct err *why);
/* The digest that a tag names, or "" if there is no such tag. Fails where that cannot be told: who takes
 * a tag that cannot be read for none moves one that may not move, or deletes its image. */
bool tag_read(const struct registry *reg, const char *region, const char *name, const char *tag,
              char digest_out[static REGISTRY_DIGEST_SIZE], struct err *err) MUST_CHECK;
/* As registry_manifest_get(), which never takes an archived one. */
bool image_manifest_read(struct registry *reg, const char *region, const char *repository,
                   const char *reference, bool archived_too, struct strbuf *bytes_out,
                   char digest_out[static REGISTRY_DIGEST_SIZE], char *media_type_out,
                   bool *is_archived_out, struct err *err) MUST_CHECK;
/* Calls `call` for every manifest of the repository, parsed, or NULL if its bytes cannot be read; stops at false.
 * `known` (may be NULL) has the digests of those that are passed over, and gets those that were not: their bytes are
 * the same for ever. */
bool manifests_each(struct registry *reg, const char *region, const char *repository,
                    bool (*call)(void *arg, const char *digest, const struct manifest *m), void *arg,
                    struct json *known, struct err *err) MUST_CHECK;
/* Has it still the tags and times that it had in the list it is from, and is it not just being pushed? Under the lock. */
bool image_is_as_listed(const struct view *v, const struct json *image);
/* Does anybody use it? Then `users` (may be NULL) gets who. */
bool image_is_in_use(struct registry *reg, const char *region, const char *repository,
                     const char *digest, struct strbuf *users);
/* Removes `image`, if it still has the very tags and time that it had in the list it is from, and if
 * nobody needs it, which nobody may yet say of one without a tag that is younger than a lease; `*removed_out`
 * says so. False only for a fault of ours. */
bool image_expire(struct view *v, const struct json *image, bool *removed_out, struct err *err) MUST_CHECK;
/* Whether `r` of an image of this repository is a manifest; else it is a blob. */
bool reference_is_manifest(const struct registry *reg, const char *region, const char *name,
                           const struct manifest_reference *r);
bool manifest_is_linked(const struct registry *reg, const char *region, const char *name,
                        struct str digest);
/* Does a manifest of this repository name the blob? `known` as for manifests_each(): none of those does. */
bool layer_is_named(struct registry *reg, const char *region, const char *name, struct str digest,
                    struct json *known, bool *out, struct err *err) MUST_CHECK;

/* ---- image_list.c ---- */
/* Puts what the record of an image does not hold into `image`; takes `tags`. */
void image_finish(const struct registry *reg, const char *region, const char *repository, const char *digest,
                  struct json *image, struct json *tags);

/* ---- view.c: which tags images have, and which indexes name them ---- */
enum indexes { ALL_INDEXES, ACTIVE_INDEXES };
struct view {
    struct registry *reg;
    char region[REGISTRY_REGION_SIZE];
    char repository[REGISTRY_NAME_SIZE];
    struct json *tags;      /* tag: digest */
    struct json *of_digest; /* digest: {tag: true} */
    struct json *indexes;   /* digest: {"isArchived", "names": {digest: true}} */
    struct json *named;     /* digest: {index: true} */
    struct json *unread;    /* digest: is it archived? Of indexes, and what may be one, whose names nobody can tell */
    /* What was told and not read yet, as members; guarded by the registry's views_lock. */
    struct json *told_tags, *told_images;
    struct view *next;
};
/* The repository's lock; then its answers have to be as of now, which a refresh sees to. */
pthread_mutex_t *view_lock(const struct view *v);
bool view_refresh(struct view *v, struct err *err) MUST_CHECK;
struct json *view_tags(const struct view *v, const char *digest); /* in order; the caller's */
/* An index that names the image, or NULL. */
const char *view_index_of(const struct view *v, const char *digest, enum indexes which);
/* Another one, or NULL, that may name it, too, as it cannot be read. */
const char *view_unread(const struct view *v, const char *digest, enum indexes which);
/* RESOURCE_IN_USE, naming who uses it, or CONFLICT if one of those indexes names it, or may do so. */
bool view_check_unneeded(const struct view *v, const char *digest, enum indexes which, struct err *err) MUST_CHECK;
/* A tag, or the record of an image, was changed, made or removed: behind the change, under the repository's lock. */
void views_tell_tag(struct registry *reg, const char *region, const char *repository, const char *tag);
void views_tell_image(struct registry *reg, const char *region, const char *repository, const char *digest);

/* ---- referrers.c: under the repository's lock ---- */
bool referrer_link(struct registry *reg, const char *region, const char *repository,
                   struct str subject, struct str digest, struct err *err) MUST_CHECK;
bool referrer_unlink(struct registry *reg, const char *region, const char *repository,
                     struct str subject, struct str digest, struct err *err) MUST_CHECK;

/* "sha256-<hex>": where clients keep the list of referrers, if a registry does not; malloc'd. */
char *referrers_tag(struct str subject);
/* How a list of referrers has the manifest `document`. */
struct json *referrer_descriptor(const struct json *document, const char *digest,
                                 const char *media_type, size_t size);
/* The names (hex digits) of what has `subject` as its subject. */
bool referrers_list(const struct registry *reg, const char *region, const char *repository,
                    struct str subject, struct json **out, struct err *err) MUST_CHECK;

/* ---- policy_store.c ---- */
/* Of a repository that is just being made; the caller holds its lock. */
bool policy_put(struct registry *reg, const char *region, const char *repository, const char *text,
                struct err *err) MUST_CHECK;

/* ---- template.c ---- */
/* As registry_create_by_template(), with the defaults where there is no template. */
bool repository_ensure(struct registry *reg, const char *region, const char *name,
                       const char *reason, struct err *err) MUST_CHECK;

/* ---- scan.c ---- */
/* Removes what `leaf` ("_scans") still has of images that are gone, as they take along what they have: at a start, or of
 * pulls by a collection. */
void image_leaves_prune(struct registry *reg, const char *region, const char *repository,
                        const char *leaf);

/* ---- gc.c ---- */
int64_t lease_ms(const struct registry *reg); /* how long a collection leaves a blob alone: an hour, or as configured */
/* A blob that was touched within that time is leased to whoever may be pushing: no collection takes it.
 * Renews the leases of all layers of the repository that were touched at `since_ms` or later. */
void leases_renew(struct registry *reg, const char *region, const char *name, int64_t since_ms);
void collector_init(struct registry *reg);
void collector_done(struct registry *reg); /* ends the thread, if there is one */

/* ---- upload.c ---- */
#define UPLOAD_OWNER_SIZE 64 /* as that of an access key's id */
struct upload {
    char id[37];
    char owner[UPLOAD_OWNER_SIZE]; /* the access key that began it, or "": naru, or nobody knows */
    char region[REGISTRY_REGION_SIZE];
    char repository[REGISTRY_NAME_SIZE];
    char *path;
    int fd;
    _Atomic int64_t size; /* others of its repository ask, where that has a quota */
    int64_t flushed; /* write-back was begun up to here */
    int64_t quota, quota_used; /* of its repository when it was taken; 0: none */
    int64_t last_ms; /* monotonic, of the last sign of life */
    struct sha256 *hash; /* NULL: of an earlier run; the file is read again when it is taken */
    int64_t start_ms;    /* monotonic */
    bool busy;           /* a request holds it */
    bool part_was_small; /* layer.c: the last part was too small to be followed by another */
    bool part_is_missing_bytes; /* layer.c: and another one followed */
    struct upload *next;
};
/* Both give the upload to the caller, who ends with release, discard or finish. Where there are too
 * many of the owner, or in all, the one goes that was idle for longest (of the owner, or of whoever
 * has most); THROTTLING if there is none. */
bool upload_start(struct registry *reg, const char *region, const char *repository,
                  const char *owner, struct upload **out, struct err *err) MUST_CHECK;
bool upload_take(struct registry *reg, const char *region, const char *repository, struct str id,
                 struct upload **out, struct err *err) MUST_CHECK;
/* Is there room for `size` bytes that were announced? So that nobody sends them in vain. */
bool upload_expects(struct registry *reg, const struct upload *u, int64_t size, struct err *err) MUST_CHECK;
bool upload_add(struct registry *reg, struct upload *u, struct str data,
                struct err *err) MUST_CHECK;
/* Checks the digest, makes the blob durable and links it into the repository. The upload is gone
 * afterwards, whatever comes out. */
bool upload_finish(struct registry *reg, struct upload *u, struct str digest,
                   struct err *err) MUST_CHECK;
/* Nobody outside knows it: the next run removes its file instead of waiting for a client. */
void upload_keep_private(struct upload *u);
void upload_release(struct registry *reg, struct upload *u);
void upload_discard(struct registry *reg, struct upload *u);
void upload_expire(struct registry *reg, int64_t age_ms);
/* Finds the uploads of an earlier run again, and removes whatever else lies there. */
bool uploads_open(struct registry *reg, struct err *err) MUST_CHECK;
void uploads_close(struct registry *reg); /* their files stay for the next run */
/* Bytes of all that come into a repository. */
int64_t uploads_size(struct registry *reg, const char *region, const char *repository);
/* Is there one that gave a sign of life within `age_ms`? */
bool upload_is_going_on(struct registry *reg, const char *region, const char *repository,
                        int64_t age_ms);
