/* SPDX-License-Identifier: MIT */
/* registry.h - the image registry: OCI distribution on /v2/, and what ECR's operations need of it.
 *
 * On disk, and nowhere else (R is <data>/registry/<region>/<repository>):
 *   <data>/registry.key              the 32 bytes that sign tokens, mode 0600
 *   <data>/blobs/sha256/<ab>/<hex>   bytes of layers, configs and manifests, once each; sha512/,
 *                                    from the first one on, has those that were pushed by such a digest
 *   <data>/blobs/uploads/<id>        bytes not yet visible; uploads survive a restart, for a day
 *   R/_repository.json               {"createdAt","imageTagMutability",...}: it exists
 *   R/_tags/<tag>                    "sha256:<hex>"
 *   (<hex> of 64 digits is sha256's, of 128 sha512's, here and below)
 *   R/_manifests/<hex>               {"mediaType","size","imageSize","pushedAt"}: an image of it; "status" "ARCHIVED"
 *   R/_layers/<hex>                  empty: it may see the blob
 *   R/_pulls/<hex>                   empty: its time is when the image was last pulled
 *   R/_referrers/<hex>/<hex>         empty: the second manifest has the first as its subject
 *   R/_replicated/<hex>              where an image goes, and how far it is (replication.h)
 *   R/_scans/<hex>                   what the last scan of an image found (scan.h)
 *   R/_quota                         how many bytes it may have (quota.c); not there: no such limit
 *   R/_upstream/<tag>                empty: its time is when a tag was last compared (pull_through.h)
 *
 * Names of repositories have no component that starts with '_', so `a` and `a/b` live side by
 * side. Every file is written aside, flushed and renamed, and its directory flushed, before
 * success is told: what was acknowledged survives a power cut, what was not is not there.
 *
 * Names: localhost:<port>/<repository> means the default region. Another region's repository is
 * localhost:<port>/<account>.dkr.ecr.<region>.amazonaws.com/<repository>; a plain
 * <account>.dkr.ecr.<region>.amazonaws.com/<repository> in a task definition means the same. The account may be
 * any: images of another one's ECR could not be pulled without its credentials, and files that come from AWS
 * name the account that they come from.
 *
 * Threads: every function may be called from any thread and blocks for the disk only.
 * registry_resolve(), registry_token() and registry_parse_image() wait for no lock that is held while the disk works.
 * Errors: ECR's codes (REPOSITORY_NOT_FOUND, ...) for the functions below; the HTTP side turns them
 * into the registry's own. Ownership: results are the caller's; see each. */
#pragma once
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "io/http_server.h"

struct registry;

#define REGISTRY_DIGEST_SIZE 136 /* "sha512:" + 128 + NUL, or "sha256:" + 64 */
#define REGISTRY_NAME_SIZE 257
#define REGISTRY_REGION_SIZE 33
#define REGISTRY_TAG_SIZE 129
#define REGISTRY_IMAGE_SIZE 768 /* a pullable name */
#define REGISTRY_MEDIA_TYPE_SIZE 128
#define REGISTRY_MANIFEST_MAX (4 << 20)
#define REGISTRY_TOKEN_LIFE_MS (12LL * 3600 * 1000)

/* Opens the registry under `data_dir` (made if missing; one process at a time); uploads that were
 * interrupted can go on. The three names must outlive it. */
struct registry *registry_open(const char *data_dir, const char *account_id,
                               const char *default_region, struct err *err) MUST_CHECK;
void registry_close(struct registry *reg); /* after the HTTP server has stopped */
/* "localhost:4566": what stands before the repository in URIs and pullable names. */
void registry_set_host(struct registry *reg, const char *host);
struct http_route registry_route(struct registry *reg); /* "/v2/" */

/* How many bytes all blobs together, and those that come in, may have; 0: as many as the disk has.
 * Beyond it pushes fail with LIMIT_EXCEEDED. Reads the sizes of all blobs. Once, before requests. */
bool registry_set_quota(struct registry *reg, int64_t quota, struct err *err) MUST_CHECK;

/* Protection of what runs. `in_use` is asked before a manifest is removed; true refuses, and `users`
 * (may be NULL) gets who it is: "task arn:..., service web". It may wait for the engine (no resolve or
 * token call waits for whoever asks). NULL: nothing is in use. */
typedef bool registry_in_use(void *ctx, const char *region, const char *repository,
                             const char *digest, struct strbuf *users);
void registry_set_in_use(struct registry *reg, registry_in_use *in_use, void *ctx);

/* An image was pushed, by whichever door, and is durable; not what came from another registry or region. Called on the
 * thread of who pushed, who waits for it. NULL: nobody is told. Before the first request. */
struct registry_push {
    const char *region, *repository;
    const char *tag; /* or "" */
    const char *digest;
    const char *config_digest; /* or "": of an image manifest */
};
typedef void registry_pushed(void *ctx, const struct registry_push *push);
void registry_set_pushed(struct registry *reg, registry_pushed *pushed, void *ctx);

/* Credentials for other registries (pull_through.h), kept outside of this room. Gives those of a
 * "credentialArn": fills both texts (malloc'd), or fails with SECRET_NOT_FOUND. NULL: there are none. */
typedef bool registry_credential(void *ctx, const char *arn, char **username_out,
                                 char **password_out, struct err *err);
void registry_set_credentials(struct registry *reg, registry_credential *credential, void *ctx);

/* Who may come in: without it only naru itself, with registry_token(). All three are borrowed, may be
 * NULL, and are set before the first request. */
struct access_keys;
struct guard;
struct audit;
void registry_set_access(struct registry *reg, struct access_keys *keys, struct guard *guard,
                         struct audit *audit);

/* Appends a password for user AWS, valid for 12 hours, that may do everything: for naru itself. */
void registry_token(struct registry *reg, int64_t now_ms, struct strbuf *out);
/* The same with the rights of an access key, as long as that exists. */
void registry_token_of(struct registry *reg, const char *access_key_id, int64_t now_ms,
                       struct strbuf *out);
bool registry_token_check(struct registry *reg, struct str token, int64_t now_ms);

/* ---- images by name ---- */
struct registry_image {
    char region[REGISTRY_REGION_SIZE];
    char repository[REGISTRY_NAME_SIZE];
    char tag[REGISTRY_TAG_SIZE]; /* "latest" if neither tag nor digest is named; else maybe "" */
    char digest[REGISTRY_DIGEST_SIZE]; /* or "" */
};
/* Is `image` of our own registry? Then fills `out`. Names of other registries, and names that
 * cannot be images at all, give false. */
bool registry_parse_image(const struct registry *reg, struct str image, struct registry_image *out);
/* The digest that `reference` (a tag or a digest) names now. Fails with REPOSITORY_NOT_FOUND or
 * IMAGE_NOT_FOUND. */
bool registry_resolve(struct registry *reg, const char *region, const char *repository,
                      const char *reference, char digest_out[static REGISTRY_DIGEST_SIZE],
                      struct err *err) MUST_CHECK;

/* ---- repositories ---- */
struct registry_repository {
    char name[REGISTRY_NAME_SIZE];
    int64_t created_ms;
    struct json *document; /* the whole of _repository.json; freed by registry_repository_done() */
};
void registry_repository_done(struct registry_repository *r);
/* May `tag` not be moved? By imageTagMutability (IMMUTABLE, IMMUTABLE_WITH_EXCLUSION,
 * MUTABLE_WITH_EXCLUSION) and imageTagMutabilityExclusionFilters of the document. */
bool registry_tag_is_immutable(const struct json *document, const char *tag);
/* `document` may carry any members (they are kept as they are); createdAt, imageTagMutability
 * and its filters are read by the registry, createdAt is set here. */
bool registry_repository_create(struct registry *reg, const char *region, const char *name,
                                const struct json *document, struct err *err) MUST_CHECK;
bool registry_repository_get(struct registry *reg, const char *region, const char *name,
                             struct registry_repository *out, struct err *err) MUST_CHECK;
/* Changes members of the document under the repository's lock; change() false gives up with its
 * err. */
bool registry_repository_change(struct registry *reg, const char *region, const char *name,
                                bool (*change)(void *arg, struct json *document, struct err *err),
                                void *arg, struct err *err) MUST_CHECK;
/* REPOSITORY_NOT_EMPTY if it holds images and not `force`, or if an image is in use. Bytes go with
 * gc, and so do files that cannot be removed now, or with the next start: true says that it is gone. */
bool registry_repository_delete(struct registry *reg, const char *region, const char *name,
                                bool force, struct err *err) MUST_CHECK;
/* Names in order, as a JSON array of texts. */
bool registry_repository_list(struct registry *reg, const char *region, struct json **out,
                              struct err *err) MUST_CHECK;
/* "localhost:4566/<name>", with the region in front where it is not the default. */
void registry_repository_uri(const struct registry *reg, const char *region, const char *name,
                             char out[static REGISTRY_IMAGE_SIZE]);

/* ---- what belongs to a region's registry as a whole (policies, rules, settings): one document ---- */
/* An empty object if there is none yet. Members belong to whoever sets them. */
bool registry_document_get(struct registry *reg, const char *region, struct json **out,
                           struct err *err) MUST_CHECK;
/* As registry_repository_change(). */
bool registry_document_change(struct registry *reg, const char *region,
                              bool (*change)(void *arg, struct json *document, struct err *err),
                              void *arg, struct err *err) MUST_CHECK;

/* ---- policies (policy_store.c, policy.h) ---- */
/* Of a repository, or with `repository` NULL of the region's registry. `out` gets the text as it was
 * set; ECR_POLICY_NOT_FOUND or ECR_REGISTRY_POLICY_NOT_FOUND. */
bool registry_policy_get(struct registry *reg, const char *region, const char *repository,
                         struct strbuf *out, struct err *err) MUST_CHECK;
/* NULL `text` removes it (and fails as above if there is none). The text is checked before. */
bool registry_policy_set(struct registry *reg, const char *region, const char *repository,
                         const char *text, struct err *err) MUST_CHECK;
struct registry_caller {
    const char *principal; /* an ARN; NULL: nobody has signed */
    const char *holder;    /* who assumed that role: what denies him denies; or NULL */
    const char *service;   /* "ecs.amazonaws.com" or NULL */
    const char *source_ip; /* or NULL */
    bool is_secure;
};
enum registry_verdict { REGISTRY_SAYS_NOTHING, REGISTRY_ALLOWS, REGISTRY_DENIES };
/* What the policies of the registry and of the repository (NULL: none is named) say about `action`,
 * such as "ecr:PutImage" (of ListImageReferrers: or about BatchGetImage). The one function for all doors; who has
 * no policy against him still needs a right of his own where REGISTRY_SAYS_NOTHING. A policy that cannot be read
 * denies, and so do tags of the repository that cannot be. The account's root may always read, set and delete
 * policies, so that nobody locks himself out. */
enum registry_verdict registry_policy_says(struct registry *reg, const char *region,
                                           const char *repository, const char *action,
                                           const struct registry_caller *caller, int64_t now_ms);
/* ACCESS_DENIED in AWS's words. */
bool registry_refuse(struct registry *reg, const char *region, const char *repository,
                     const char *action, const struct registry_caller *caller, bool is_explicit,
                     struct err *err);

/* ---- repository creation templates (template.c): members of the registry's document ---- */
#define REGISTRY_TEMPLATES "repositoryCreationTemplates" /* an array of templates, in the API's words */
/* Makes the repository, if it is not there, by the template of the longest prefix that is applied for
 * `reason` ("CREATE_ON_PUSH", "PULL_THROUGH_CACHE", "REPLICATION"); the prefix "ROOT" is for all names.
 * REPOSITORY_NOT_FOUND if there is no such template. */
bool registry_create_by_template(struct registry *reg, const char *region, const char *name,
                                 const char *reason, struct err *err) MUST_CHECK;
/* The same for a push to what is not there, unless a policy denies `caller` that; what goes wrong is logged, and the
 * push hears that there is no repository. False: nothing was made. */
bool registry_create_on_push(struct registry *reg, const char *region, const char *name,
                             const struct registry_caller *caller, int64_t now_ms);

/* ---- images of a repository ---- */
/* All images, newest push first, as a JSON array of {"digest", "mediaType", "size" (of the
 * manifest), "imageSize" (config and layers; of an index: its largest image's), "artifactType",
 * "pushedAt" (ms), "pulledAt" (ms, if it was), "tags": [..sorted..], "status" ("ARCHIVED", or not there), "archivedAt" and "activatedAt" (ms, of the last
 * time, if there was one)}. One whose record cannot be read is not among them; the log names it. */
bool registry_images(struct registry *reg, const char *region, const char *repository,
                     struct json **out, struct err *err) MUST_CHECK;
/* One of them, by tag or digest. */
bool registry_image_get(struct registry *reg, const char *region, const char *repository,
                        const char *reference, struct json **out, struct err *err) MUST_CHECK;
/* The registry's document: an object with a member for each principal whose pulls do not count. */
#define REGISTRY_PULL_EXCLUSIONS "pullTimeUpdateExclusions"
/* `principal` (an ARN, or NULL) pulls that image: written down, unless that was less than a minute ago or
 * his pulls do not count. Best effort. */
void registry_image_pulled(struct registry *reg, const char *region, const char *repository,
                           const char *digest, const char *principal, int64_t now_ms);
/* The manifest's own bytes; an error where the disk has others by now, IMAGE_ARCHIVED where the image is archived. `media_type_out` has REGISTRY_MEDIA_TYPE_SIZE bytes or is NULL. */
bool registry_manifest_get(struct registry *reg, const char *region, const char *repository,
                           const char *reference, struct strbuf *bytes_out,
                           char digest_out[static REGISTRY_DIGEST_SIZE], char *media_type_out,
                           struct err *err) MUST_CHECK;
struct registry_put {
    struct str manifest;
    struct str media_type; /* empty: what the manifest says of itself */
    const char *tag;       /* NULL: none */
    const char *digest;    /* NULL: not checked */
    bool is_replica;       /* of another region or registry: it goes no further (replication.h) */
    bool refuse_existing;  /* IMAGE_EXISTS if that tag already names that manifest (PutImage) */
    /* HTTP's conditions on what the tag (or digest) names now, empty: none; PRECONDITION_FAILED. */
    struct str if_match, if_none_match;
    char *subject_out; /* gets the manifest's subject or ""; REGISTRY_DIGEST_SIZE bytes, or NULL */
};
/* Fails with MANIFEST_INVALID, DIGEST_INVALID, TAG_INVALID, MANIFEST_BLOB_UNKNOWN (a layer or
 * config is not there), REFERENCED_IMAGES_NOT_FOUND (a manifest of an index is not there),
 * IMAGE_TAG_EXISTS (immutable), IMAGE_EXISTS, REPOSITORY_NOT_FOUND, SIZE_INVALID. */
bool registry_manifest_put(struct registry *reg, const char *region, const char *repository,
                           const struct registry_put *put,
                           char digest_out[static REGISTRY_DIGEST_SIZE],
                           struct err *err) MUST_CHECK;
/* By tag: removes the tag, and the image too if that was its last tag, nothing uses it and no index
 * names it. By digest: removes the image with all its tags; RESOURCE_IN_USE if it is in use,
 * CONFLICT if an index of the repository names it, or cannot be read and may. One that cannot be read goes
 * like any other. `removed_out` (may be NULL) gets one
 * {"imageDigest","imageTag"} a removed tag, or {"imageDigest"} for an untagged image. */
bool registry_image_delete(struct registry *reg, const char *region, const char *repository,
                           const char *reference, struct json *removed_out,
                           struct err *err) MUST_CHECK;
/* For several of a repository: all its tags and indexes are read once, while nobody has to wait, and what changes since
 * is heard of. One thread's own. */
struct view;
bool view_open(struct registry *reg, const char *region, const char *repository, struct view **out,
               struct err *err) MUST_CHECK;
bool view_image_delete(struct view *v, const char *reference, struct json *removed_out, struct err *err) MUST_CHECK;
void view_close(struct view *v); /* NULL is fine */
static inline void
view_close_(struct view **v)
{
    view_close(*v);
}

/* ---- archive (archive.c): kept, listed, and pulled by nobody until it is restored ---- */
/* An image of an index that is not archived, or one in use, cannot be: STORAGE_CLASS_UPDATE says why. With it goes what
 * only it needs: its referrers, and of an index its images, as far as they have no tag. Of what is archived already they
 * go, too, as that may have been cut short; where nobody asks, with the next registry_collect(). */
bool registry_image_archive(struct registry *reg, const char *region, const char *repository,
                            const char *digest, int64_t now_ms, struct err *err) MUST_CHECK;
/* The other way; what went with it comes back, too. Then it is as if it had been pushed: scanned and replicated. It
 * need not be archived. Pushing the image does the same. */
bool registry_image_restore(struct registry *reg, const char *region, const char *repository,
                            const char *digest, int64_t now_ms, struct err *err) MUST_CHECK;
/* IMAGE_ARCHIVED, or nothing. */
bool registry_image_check_active(struct registry *reg, const char *region, const char *repository,
                                 const char *digest, struct err *err) MUST_CHECK;

/* ---- layers, part by part (layer.c): what ECR's API does where others speak HTTP on /v2/ ---- */
#define REGISTRY_UPLOAD_ID_SIZE 37
#define REGISTRY_PART_MAX (20 << 20)   /* bytes of one part */
#define REGISTRY_PART_MIN (5 << 20)    /* of all but the last */
#define REGISTRY_DOWNLOAD_LIFE_MS (3600LL * 1000)

/* `owner`: the access key of who begins it. THROTTLING where he has too many. */
bool registry_upload_start(struct registry *reg, const char *region, const char *repository,
                           const char *owner, char id_out[static REGISTRY_UPLOAD_ID_SIZE], struct err *err) MUST_CHECK;
/* `bytes` stand at `first`. INVALID_LAYER_PART if that is not where the upload ends or there are too
 * many of them, UPLOAD_NOT_FOUND. `last_out` gets the last byte that is there (-1: none), also with
 * INVALID_LAYER_PART. */
bool registry_upload_part(struct registry *reg, const char *region, const char *repository,
                          const char *id, int64_t first, struct str bytes, int64_t *last_out,
                          struct err *err) MUST_CHECK;
/* EMPTY_UPLOAD, LAYER_PART_TOO_SMALL, INVALID_LAYER (another digest), LAYER_EXISTS, UPLOAD_NOT_FOUND.
 * But for the last one and EMPTY_UPLOAD the upload is gone afterwards. */
bool registry_upload_complete(struct registry *reg, const char *region, const char *repository,
                              const char *id, const char *digest, struct err *err) MUST_CHECK;
/* Is the layer in the repository? Says to gc that it is counted upon. */
bool registry_layer_find(struct registry *reg, const char *region, const char *repository,
                         const char *digest, int64_t *size_out);
/* Appends a path with a query that gives the layer to whoever asks for it, until it expires or the access
 * key is no more. */
void registry_layer_path(struct registry *reg, const char *region, const char *repository,
                         const char *digest, const char *key_id, int64_t now_ms,
                         struct strbuf *out);
struct http_route registry_download_route(struct registry *reg); /* "/naru/layers/" */
/* By OCI's rules: takes away the tag and leaves the image. IMAGE_NOT_FOUND without such a tag. */
bool registry_tag_delete(struct registry *reg, const char *region, const char *repository,
                         const char *tag, char digest_out[static REGISTRY_DIGEST_SIZE],
                         struct err *err) MUST_CHECK;

/* ---- referrers: manifests of the repository whose subject is `subject` (need not be there) ---- */
struct registry_referrers {
    struct json *descriptors; /* OCI descriptors with artifactType and annotations, by digest */
    bool has_more;            /* go on with `after` = last */
    char last[REGISTRY_DIGEST_SIZE];
};
/* A page of at most 1,000 or about 3 MiB. `artifact_type` and `after` may be NULL. With `archived_too` also what is
 * archived, whose descriptors then have the member REGISTRY_REFERRER_STATUS. One that cannot be read
 * is not among them; the log names it. */
#define REGISTRY_REFERRER_STATUS "artifactStatus"
bool registry_referrers(struct registry *reg, const char *region, const char *repository,
                        const char *subject, const char *artifact_type, bool archived_too,
                        const char *after, struct registry_referrers *out, struct err *err) MUST_CHECK;
void registry_referrers_done(struct registry_referrers *r);

/* ---- lifecycle policies (lifecycle_run.c, lifecycle.h) ---- */
/* The document's member, and when the policy was applied last, in ms. */
#define REGISTRY_LIFECYCLE_TEXT "lifecyclePolicyText"
#define REGISTRY_LIFECYCLE_TIME "lifecycleEvaluatedAt"
/* What `policy_text` would do now: images as registry_images() gives them, with "rule", the priority of
 * the rule, and "action", "EXPIRE" or "TRANSITION". Those that an index names or that are in use are not among them. */
bool registry_lifecycle_preview(struct registry *reg, const char *region, const char *repository,
                                const char *policy_text, int64_t now_ms, struct json **out,
                                struct err *err) MUST_CHECK;
/* Applies the repository's own policy (none: nothing happens) and notes the time. An image that is tagged
 * or used meanwhile stays. One that cannot be expired or archived keeps no other, and the time is not noted. */
bool registry_lifecycle_apply(struct registry *reg, const char *region, const char *repository,
                              int64_t now_ms, int64_t *expired_out, struct err *err) MUST_CHECK;
/* The same for every repository whose policy was not applied for `age_ms`. */
bool registry_lifecycle_apply_all(struct registry *reg, int64_t age_ms, int64_t now_ms,
                                  int64_t *expired_out, struct err *err) MUST_CHECK;
/* The last preview as it was stored, an object; LIFECYCLE_PREVIEW_NOT_FOUND. */
bool registry_preview_get(struct registry *reg, const char *region, const char *repository,
                          struct json **out, struct err *err) MUST_CHECK;
bool registry_preview_set(struct registry *reg, const char *region, const char *repository,
                          const struct json *preview, struct err *err) MUST_CHECK;

/* ---- quotas of repositories (quota.c) ---- */
struct registry_quota {
    int64_t limit; /* bytes; 0: none */
    int64_t used;  /* what its manifests name, each blob once, and what pushes have brought within the last hour */
};
bool registry_quota_get(struct registry *reg, const char *region, const char *repository,
                        struct registry_quota *out, struct err *err) MUST_CHECK;
/* 0 takes it away. One that is below what is there refuses pushes and removes nothing. */
bool registry_quota_set(struct registry *reg, const char *region, const char *repository, int64_t bytes,
                        struct err *err) MUST_CHECK;
/* Of all repositories that have one: {"region", "repositoryName", "quotaBytes", "usedBytes"}. */
bool registry_quotas(struct registry *reg, struct json **out, struct err *err) MUST_CHECK;

/* ---- garbage ---- */
struct registry_gc {
    int64_t blobs_removed, bytes_removed, links_removed, blobs_kept;
};
/* Removes blobs that no manifest of any repository names, nor any manifest among `roots` (digests),
 * and that nobody has touched for `age_ms` (an hour, if 0 or less is given one hour). Also forgets
 * uploads without a byte for 24 h, and removes what is left of repositories that are gone. Safe beside pushes. */
bool registry_collect(struct registry *reg, const char *const *roots, size_t root_count,
                      int64_t age_ms, int64_t now_ms, struct registry_gc *out,
                      struct err *err) MUST_CHECK;
/* What registry_collect() would remove now. Removes nothing. */
bool registry_collect_plan(struct registry *reg, int64_t age_ms, int64_t now_ms,
                           struct registry_gc *out, struct err *err) MUST_CHECK;
/* Does so every `interval_ms`, with `age_ms`, on a thread of its own until registry_close(), with no roots but what
 * the repositories hold: what is in use cannot leave its repository. Logs what it removed. Once. */
void registry_start_collecting(struct registry *reg, int64_t interval_ms, int64_t age_ms);
