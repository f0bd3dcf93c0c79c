/* SPDX-License-Identifier: MIT */
/* ecr_image.c - images of a repository: lists, manifests, put and delete. */
#include "api/ecr.h"

#include "base/log.h"
#include "registry/reference.h"
#include "registry/registry.h"

/* ---- one image, asked for by tag, digest or both ---- */

/* Why an imageId leads nowhere, as the batch operations tell it. */
struct image_failure {
    const char *code;
    const char *reason;
};

/* Resolves `id` of the repository. False with `failure` filled if it cannot be (or with err, for a
 * fault of ours; then failure->code stays NULL). */
static bool
image_find(struct request *rq, const char *repository, const struct json *id,
           char digest[static REGISTRY_DIGEST_SIZE], struct image_failure *failure, struct err *err)
{
    const char *tag = json_get_cstr(id, "imageTag", NULL),
               *wanted = json_get_cstr(id, "imageDigest", NULL);
    struct err why = {0};

    *failure = (struct image_failure){0};
    if (tag == NULL && wanted == NULL)
        *failure = (struct image_failure){
            "MissingDigestAndTag",
            "Invalid request parameters: both tag and digest cannot be null"};
    else if (wanted != NULL && !digest_is_valid(str_of(wanted)))
        *failure = (struct image_failure){"InvalidImageDigest",
                                          "Invalid request parameters: image digest should be "
                                          "'sha256:' and 64 hexadecimal digits"};
    else if (!registry_resolve(ecr_registry(rq), rq->region, repository, tag ? tag : wanted, digest,
                               &why)) {
        if (why.code == ERR_IMAGE_NOT_FOUND) {
            *failure = (struct image_failure){"ImageNotFound", "Requested image not found"};
        } else {
            *err = why;
            return false;
        }
    } else if (tag != NULL && wanted != NULL && strcmp(digest, wanted) != 0)
        *failure =
            (struct image_failure){"ImageTagDoesNotMatchDigest",
                                   "Requested image tag does not name the requested image digest"};
    return failure->code == NULL;
}

static void
failure_add(struct json *failures, const struct json *id, const char *code, const char *reason)
{
    struct json *failure = json_object();

    json_set(failure, "imageId", json_copy(id));
    json_set(failure, "failureCode", json_text(code));
    json_set(failure, "failureReason", json_text(reason));
    json_append(failures, failure);
}

static struct json *
image_id(const char *digest, const char *tag)
{
    struct json *id = json_object();

    json_set(id, "imageDigest", json_text(digest));
    if (tag != NULL)
        json_set(id, "imageTag", json_text(tag));
    return id;
}

static bool
image_not_found(struct request *rq, const char *repository, const struct json *id, struct err *err)
{
    return err_set(
        err, ERR_IMAGE_NOT_FOUND,
        "The image with imageId {imageDigest:'%.80s', imageTag:'%.140s'} does not exist within the "
        "repository with name '%s' in the registry with id '%s'",
        json_get_cstr(id, "imageDigest", "null"), json_get_cstr(id, "imageTag", "null"), repository,
        rq->account);
}

bool
ecr_image_resolve(struct request *rq, const char *repository, const struct json *id,
                  char digest[static REGISTRY_DIGEST_SIZE], struct err *err)
{
    struct image_failure failure;

    if (image_find(rq, repository, id, digest, &failure, err))
        return true;
    if (failure.code == NULL)
        return false;
    if (strcmp(failure.code, "ImageNotFound") == 0 ||
        strcmp(failure.code, "ImageTagDoesNotMatchDigest") == 0)
        return image_not_found(rq, repository, id, err);
    return err_set(err, ERR_INVALID_PARAMETER, "%s", failure.reason);
}

/* ---- lists ---- */

/* Oldest push first: later pushes come behind the page that was told. */
static char *
image_key(const struct json *image, const char *tag)
{
    return text_format("%016llx %s %s", (unsigned long long)json_get_i64(image, "pushedAt", 0),
                       json_get_cstr(image, "digest", ""), tag);
}

static const char *
image_status(const struct json *image)
{
    return json_get_cstr(image, "status", "ACTIVE");
}

static bool
filter_takes(const struct request *rq, const struct json *image)
{
    const struct json *filter = json_get(rq->input, "filter");
    const char *status = json_get_cstr(filter, "imageStatus", "ACTIVE");
    const char *wanted = json_get_cstr(filter, "tagStatus", "ANY");
    const bool is_tagged = json_size(json_get(image, "tags")) > 0;

    if (strcmp(status, "ANY") != 0 && strcmp(status, image_status(image)) != 0)
        return false;
    return strcmp(wanted, "ANY") == 0 || is_tagged == (strcmp(wanted, "TAGGED") == 0);
}

bool
ecr_list_images(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    cleanup_json struct json *images = NULL;
    struct ecr_page page = {.member = "imageIds"};

    if (repository == NULL ||
        !registry_images(ecr_registry(rq), rq->region, repository, &images, err))
        return false;
    for (size_t i = 0; i < json_size(images); i++) {
        const struct json *image = json_at(images, i), *tags = json_get(image, "tags");
        const char *digest = json_get_cstr(image, "digest", "");
        if (!filter_takes(rq, image))
            continue;
        for (size_t t = 0; t < json_size(tags); t++) {
            const char *tag = json_cstr(json_at(tags, t), "");
            cleanup_free char *key = image_key(image, tag);
            ecr_page_add(&page, key, image_id(digest, tag));
        }
        if (json_size(tags) == 0) {
            cleanup_free char *key = image_key(image, "");
            ecr_page_add(&page, key, image_id(digest, NULL));
        }
    }
    return ecr_page_write(rq, &page, out, err);
}

static struct json *
image_detail(struct request *rq, const char *repository, const struct json *image)
{
    struct json *j = json_object();
    const char *artifact = json_get_cstr(image, "artifactType", NULL);
    struct json *tags = json_get(image, "tags");

    json_set(j, "registryId", json_text(rq->account));
    json_set(j, "repositoryName", json_text(repository));
    json_set(j, "imageDigest", json_text(json_get_cstr(image, "digest", "")));
    if (json_size(tags) > 0)
        json_set(j, "imageTags", json_ref(tags));
    json_set(j, "imageSizeInBytes", json_int(json_get_i64(image, "imageSize", 0)));
    json_set(j, "imagePushedAt", aws_time(rq, json_get_i64(image, "pushedAt", 0)));
    json_set(j, "imageManifestMediaType", json_text(json_get_cstr(image, "mediaType", "")));
    if (artifact != NULL)
        json_set(j, "artifactMediaType", json_text(artifact));
    if (json_get(image, "subject") != NULL)
        json_set(j, "subjectManifestDigest", json_ref(json_get(image, "subject")));
    if (json_get(image, "pulledAt") != NULL)
        json_set(j, "lastRecordedPullTime", aws_time(rq, json_get_i64(image, "pulledAt", 0)));
    json_set(j, "imageStatus", json_text(image_status(image)));
    if (json_get(image, "archivedAt") != NULL)
        json_set(j, "lastArchivedAt", aws_time(rq, json_get_i64(image, "archivedAt", 0)));
    if (json_get(image, "activatedAt") != NULL)
        json_set(j, "lastActivatedAt", aws_time(rq, json_get_i64(image, "activatedAt", 0)));
    ecr_image_scan_add(rq, repository, json_get_cstr(image, "digest", ""), j);
    return j;
}

static bool
describe_some(struct request *rq, const char *repository, struct json *out, struct err *err)
{
    const struct json *ids = json_get(rq->input, "imageIds");
    cleanup_json struct json *seen = json_object(), *list = json_array();

    if (json_get(rq->input, "nextToken") || json_get(rq->input, "maxResults") ||
        json_get(rq->input, "filter"))
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "Invalid parameter: 'maxResults', 'nextToken' and 'filter' do not go with 'imageIds'");
    for (size_t i = 0; i < json_size(ids); i++) {
        char digest[REGISTRY_DIGEST_SIZE];
        cleanup_json struct json *image = NULL;
        if (!ecr_image_resolve(rq, repository, json_at(ids, i), digest, err))
            return false;
        if (json_get(seen, digest) != NULL)
            continue;
        json_set(seen, digest, json_bool(true));
        if (!registry_image_get(ecr_registry(rq), rq->region, repository, digest, &image, err))
            return false;
        json_append(list, image_detail(rq, repository, image));
    }
    json_set(out, "imageDetails", TAKE(list));
    return true;
}

bool
ecr_describe_images(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    cleanup(registry_repository_done) struct registry_repository r = {0};
    cleanup_json struct json *images = NULL;
    struct ecr_page page = {.member = "imageDetails"};

    if (repository == NULL ||
        !registry_repository_get(ecr_registry(rq), rq->region, repository, &r, err))
        return false;
    if (json_get(rq->input, "imageIds") != NULL)
        return describe_some(rq, repository, out, err);
    if (!registry_images(ecr_registry(rq), rq->region, repository, &images, err))
        return false;
    for (size_t i = 0; i < json_size(images); i++) {
        const struct json *image = json_at(images, i);
        cleanup_free char *key = image_key(image, "");
        if (filter_takes(rq, image))
            ecr_page_add(&page, key, image_detail(rq, repository, image));
    }
    return ecr_page_write(rq, &page, out, err);
}

/* ---- storage classes ---- */

bool
ecr_update_image_storage_class(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    const struct json *wanted = json_get(rq->input, "imageId");
    const bool archives = strcmp(json_get_cstr(rq->input, "targetStorageClass", ""), "ARCHIVE") == 0;
    char digest[REGISTRY_DIGEST_SIZE];

    if (repository == NULL || !ecr_image_resolve(rq, repository, wanted, digest, err) ||
        !(archives ? registry_image_archive(ecr_registry(rq), rq->region, repository, digest, rq->now_ms, err)
                   : registry_image_restore(ecr_registry(rq), rq->region, repository, digest, rq->now_ms, err)))
        return false;
    json_set(out, "registryId", json_text(rq->account));
    json_set(out, "repositoryName", json_text(repository));
    json_set(out, "imageId", image_id(digest, json_get_cstr(wanted, "imageTag", NULL)));
    json_set(out, "imageStatus", json_text(archives ? "ARCHIVED" : "ACTIVE"));
    return true;
}

/* ---- batches ---- */

static bool
repository_check(struct request *rq, const char *repository, struct err *err)
{
    cleanup(registry_repository_done) struct registry_repository r = {0};
    return registry_repository_get(ecr_registry(rq), rq->region, repository, &r, err);
}

static bool
type_is_accepted(const struct request *rq, const char *type)
{
    const struct json *accepted = json_get(rq->input, "acceptedMediaTypes");

    return json_size(accepted) == 0 || json_has_text(accepted, type);
}

static struct json *
image_json(struct request *rq, const char *repository, const char *digest, const char *tag,
           struct str manifest, const char *type)
{
    struct json *j = json_object();

    json_set(j, "registryId", json_text(rq->account));
    json_set(j, "repositoryName", json_text(repository));
    json_set(j, "imageId", image_id(digest, tag));
    json_set(j, "imageManifest", json_str(manifest));
    json_set(j, "imageManifestMediaType", json_text(type));
    return j;
}

/* Why one imageId of BatchGetImage has no image. False if that concerns the others, too. */
static bool
get_failed(const struct request *rq, const struct json *id, const struct image_failure *failure, const struct err *why,
           struct json *failures, struct err *err)
{
    if (failure->code != NULL) {
        failure_add(failures, id, failure->code, failure->reason);
        return true;
    }
    switch (why->code) {
    case ERR_IMAGE_NOT_FOUND: /* deleted meanwhile */
        failure_add(failures, id, "ImageNotFound", "Requested image not found");
        return true;
    case ERR_IMAGE_ARCHIVED:
        failure_add(failures, id, "ImageInaccessible", why->message);
        return true;
    case ERR_INTERNAL:
        log_error("api.failed", "operation=%s request=%s error=%s", rq->operation, rq->request_id, log_quote(why->message));
        failure_add(failures, id, "ImageInaccessible", "The image cannot be read; the server's log names the request id.");
        return true;
    default:
        *err = *why;
        return false;
    }
}

/* One imageId of BatchGetImage. False only for what concerns the others, too. */
static bool
image_get(struct request *rq, const char *repository, const struct json *id, struct json *images,
          struct json *failures, struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    char digest[REGISTRY_DIGEST_SIZE], type[REGISTRY_MEDIA_TYPE_SIZE];
    struct image_failure failure;
    struct err why = {0};

    if (!image_find(rq, repository, id, digest, &failure, &why) ||
        !registry_manifest_get(ecr_registry(rq), rq->region, repository, digest, &bytes, digest, type, &why))
        return get_failed(rq, id, &failure, &why, failures, err);
    if (!type_is_accepted(rq, type)) {
        failure_add(failures, id, "ImageNotFound",
                    "The requested image has none of the accepted media types");
        return true;
    }
    registry_image_pulled(ecr_registry(rq), rq->region, repository, digest, rq->principal, rq->now_ms);
    json_append(images, image_json(rq, repository, digest, json_get_cstr(id, "imageTag", NULL),
                                   strbuf_str(&bytes), type));
    return true;
}

bool
ecr_batch_get_image(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    const struct json *ids = json_get(rq->input, "imageIds");
    cleanup_json struct json *images = json_array(), *failures = json_array();

    if (repository == NULL || !repository_check(rq, repository, err))
        return false;
    for (size_t i = 0; i < json_size(ids); i++)
        if (!image_get(rq, repository, json_at(ids, i), images, failures, err))
            return false;
    json_set(out, "images", TAKE(images));
    json_set(out, "failures", TAKE(failures));
    return true;
}

/* One imageId of BatchDeleteImage; `view` is opened for the first that is there. False only for a fault of ours. */
static bool
image_delete(struct request *rq, const char *repository, const struct json *id, struct view **view,
             struct json *removed, struct json *failures, struct err *err)
{
    char digest[REGISTRY_DIGEST_SIZE];
    struct image_failure failure;
    struct err why = {0};

    if (!image_find(rq, repository, id, digest, &failure, err)) {
        if (failure.code != NULL)
            failure_add(failures, id, failure.code, failure.reason);
        return failure.code != NULL;
    }
    /* With a tag only the tag goes (and the image with its last one); without, the image and all
     * its tags. */
    const char *reference = json_get_cstr(id, "imageTag", digest);
    if ((*view != NULL || view_open(ecr_registry(rq), rq->region, repository, view, &why)) &&
        view_image_delete(*view, reference, removed, &why))
        return true;
    switch (why.code) {
    case ERR_RESOURCE_IN_USE:
        failure_add(failures, id, "ImageInUse", why.message);
        return true;
    case ERR_CONFLICT:
        failure_add(failures, id, "ImageReferencedByManifestList", why.message);
        return true;
    case ERR_IMAGE_NOT_FOUND:
        failure_add(failures, id, "ImageNotFound", "Requested image not found");
        return true;
    default:
        *err = why;
        return false;
    }
}

bool
ecr_batch_delete_image(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    const struct json *ids = json_get(rq->input, "imageIds");
    cleanup_json struct json *removed = json_array(), *failures = json_array();
    cleanup(view_close_) struct view *view = NULL;

    if (repository == NULL || !repository_check(rq, repository, err))
        return false;
    for (size_t i = 0; i < json_size(ids); i++)
        if (!image_delete(rq, repository, json_at(ids, i), &view, removed, failures, err))
            return false;
    json_set(out, "imageIds", TAKE(removed));
    json_set(out, "failures", TAKE(failures));
    return true;
}

/* ---- put ---- */

/* The registry's words for what is wrong with a manifest, as ECR's errors. */
static bool
put_failed(const struct json *input, struct err *err)
{
    switch (err->code) {
    case ERR_MANIFEST_BLOB_UNKNOWN:
        err->code = ERR_LAYERS_NOT_FOUND;
        return false;
    case ERR_MANIFEST_INVALID:
    case ERR_SIZE_INVALID:
        err->code = ERR_INVALID_PARAMETER;
        return err_context(err,
                           "Invalid parameter at 'imageManifest' failed to satisfy constraint");
    case ERR_TAG_INVALID:
        err->code = ERR_INVALID_PARAMETER;
        return err_context(err, "Invalid parameter at 'imageTag' failed to satisfy constraint");
    case ERR_DIGEST_INVALID:
        if (digest_is_valid(str_of(json_get_cstr(input, "imageDigest", "")))) {
            err->code = ERR_IMAGE_DIGEST_MISMATCH;
            return false;
        }
        err->code = ERR_INVALID_PARAMETER;
        return err_context(err, "Invalid parameter at 'imageDigest' failed to satisfy constraint");
    default:
        return false;
    }
}

bool
ecr_put_image(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    const char *tag = json_get_cstr(rq->input, "imageTag", NULL);
    const char *manifest = json_get_cstr(rq->input, "imageManifest", "");
    char digest[REGISTRY_DIGEST_SIZE], type[REGISTRY_MEDIA_TYPE_SIZE];
    cleanup(strbuf_done) struct strbuf bytes = {0};
    const struct registry_put put = {
        .manifest = str_of(manifest),
        .media_type = str_of(json_get_cstr(rq->input, "imageManifestMediaType", NULL)),
        .tag = tag,
        .digest = json_get_cstr(rq->input, "imageDigest", NULL),
        .refuse_existing = true,
    };

    if (repository == NULL)
        return false;
    ecr_create_on_push(rq, repository);
    if (!registry_manifest_put(ecr_registry(rq), rq->region, repository, &put, digest, err))
        return put_failed(rq->input, err);
    if (!registry_manifest_get(ecr_registry(rq), rq->region, repository, digest, &bytes, digest,
                               type, err))
        return false;
    json_set(out, "image", image_json(rq, repository, digest, tag, strbuf_str(&bytes), type));
    return true;
}
