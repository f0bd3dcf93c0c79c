/* SPDX-License-Identifier: MIT */
/* ecr_layer.c - layers of a repository, by those who push and pull with the API alone. */
#include "api/ecr.h"

#include "base/crypto.h"
#include "io/access_keys.h"
#include "registry/reference.h"
#include "registry/registry.h"

#define PART_SIZE (10 << 20) /* what clients are told to send; up to REGISTRY_PART_MAX is taken */

static void
answer_upload(struct request *rq, struct json *out, const char *repository, const char *id)
{
    json_set(out, "registryId", json_text(rq->account));
    json_set(out, "repositoryName", json_text(repository));
    json_set(out, "uploadId", json_text(id));
}

bool
ecr_initiate_layer_upload(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    char id[REGISTRY_UPLOAD_ID_SIZE];

    if (repository != NULL)
        ecr_create_on_push(rq, repository);
    if (repository == NULL ||
        !registry_upload_start(ecr_registry(rq), rq->region, repository, access_key_root_id(rq->key), id, err))
        return false;
    json_set(out, "uploadId", json_text(id));
    json_set(out, "partSize", json_int(PART_SIZE));
    return true;
}

bool
ecr_upload_layer_part(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    const char *id = json_get_cstr(rq->input, "uploadId", "");
    const int64_t first = json_get_i64(rq->input, "partFirstByte", 0);
    const int64_t last = json_get_i64(rq->input, "partLastByte", 0);
    cleanup(strbuf_done) struct strbuf bytes = {0};
    int64_t received = -1;

    if (repository == NULL)
        return false;
    if (!base64_decode(&bytes, str_of(json_get_cstr(rq->input, "layerPartBlob", ""))) ||
        last - first != (int64_t)bytes.len - 1)
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "Invalid parameter at 'partLastByte' failed to satisfy constraint: 'bytes %lld "
            "to %lld are not the %zu of layerPartBlob'",
            (long long)first, (long long)last, bytes.len);
    bool done = registry_upload_part(ecr_registry(rq), rq->region, repository, id, first,
                                     strbuf_str(&bytes), &received, err);
    if (!done && err->code != ERR_INVALID_LAYER_PART)
        return false;
    answer_upload(rq, out, repository, id); /* the exception has these, too */
    json_set(out, done ? "lastByteReceived" : "lastValidByteReceived", json_int(received));
    return done;
}

bool
ecr_complete_layer_upload(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    const char *id = json_get_cstr(rq->input, "uploadId", "");
    const struct json *digests = json_get(rq->input, "layerDigests");
    const char *digest = json_cstr(json_at(digests, 0), "");

    if (repository == NULL)
        return false;
    if (json_size(digests) != 1)
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "Invalid parameter at 'layerDigests' failed to satisfy constraint: 'an upload "
            "is one layer and has one digest here'");
    if (!registry_upload_complete(ecr_registry(rq), rq->region, repository, id, digest, err))
        return false;
    answer_upload(rq, out, repository, id);
    json_set(out, "layerDigest", json_text(digest));
    return true;
}

static void
layer_failure_add(struct json *failures, const char *digest)
{
    struct json *failure = json_object();
    const bool is_missing = digest[0] == '\0';

    json_set(failure, "layerDigest", json_text(digest));
    json_set(failure, "failureCode",
             json_text(is_missing ? "MissingLayerDigest" : "InvalidLayerDigest"));
    json_set(failure, "failureReason",
             json_text(is_missing
                           ? "Invalid request parameters: layer digest cannot be empty"
                           : "Invalid request parameters: layer digest should be 'sha256:' and "
                             "64 hexadecimal digits"));
    json_append(failures, failure);
}

bool
ecr_batch_check_layer_availability(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    const struct json *digests = json_get(rq->input, "layerDigests");
    cleanup(registry_repository_done) struct registry_repository r = {0};
    cleanup_json struct json *layers = json_array(), *failures = json_array();

    if (repository == NULL ||
        !registry_repository_get(ecr_registry(rq), rq->region, repository, &r, err))
        return false;
    for (size_t i = 0; i < json_size(digests); i++) {
        const char *digest = json_cstr(json_at(digests, i), "");
        int64_t size = 0;
        if (!digest_is_valid(str_of(digest))) {
            layer_failure_add(failures, digest);
            continue;
        }
        struct json *layer = json_object();
        const bool is_there =
            registry_layer_find(ecr_registry(rq), rq->region, repository, digest, &size);
        json_set(layer, "layerDigest", json_text(digest));
        json_set(layer, "layerAvailability", json_text(is_there ? "AVAILABLE" : "UNAVAILABLE"));
        if (is_there)
            json_set(layer, "layerSize", json_int(size));
        json_append(layers, layer);
    }
    json_set(out, "layers", TAKE(layers));
    json_set(out, "failures", TAKE(failures));
    return true;
}

bool
ecr_get_download_url_for_layer(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    const char *digest = json_get_cstr(rq->input, "layerDigest", "");
    cleanup(registry_repository_done) struct registry_repository r = {0};
    cleanup(strbuf_done) struct strbuf url = {0};

    if (repository == NULL ||
        !registry_repository_get(ecr_registry(rq), rq->region, repository, &r, err))
        return false;
    if (!digest_is_valid(str_of(digest)))
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "Invalid parameter at 'layerDigest' failed to satisfy constraint: 'must satisfy "
            "regular expression '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+''");
    if (!registry_layer_find(ecr_registry(rq), rq->region, repository, digest, NULL))
        return err_set(
            err, ERR_LAYERS_NOT_FOUND,
            "The layer with digest '%s' does not exist in the repository with name '%s' in "
            "the registry with id '%s'",
            digest, repository, rq->account);
    strbuf_add_cstr(&url, api_get_config(rq->api)->endpoint_url);
    registry_layer_path(ecr_registry(rq), rq->region, repository, digest, rq->key->id,
                        rq->now_ms, &url);
    json_set(out, "downloadUrl", json_text(strbuf_cstr(&url)));
    json_set(out, "layerDigest", json_text(digest));
    return true;
}
