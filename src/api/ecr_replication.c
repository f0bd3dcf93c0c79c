/* SPDX-License-Identifier: MIT */
/* ecr_replication.c - which images go on to other regions and registries, and how far they are. */
#include "api/ecr.h"

#include "registry/mirror/replication.h"

#define DESTINATIONS_MAX 25

static bool
destination_check(struct request *rq, const struct json *destination, struct err *err)
{
    const char *id = json_get_cstr(destination, "registryId", ""),
               *region = json_get_cstr(destination, "region", "");

    if (strcmp(id, rq->account) == 0 && strcmp(region, rq->region) == 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Invalid parameter at 'replicationConfiguration' failed to satisfy "
                       "constraint: 'Replication destination cannot be the same as the source "
                       "registry'");
    return replication_knows(ecr_registry(rq), id) ||
           err_set(
               err, ERR_INVALID_PARAMETER,
               "Invalid parameter at 'replicationConfiguration': registry '%s' is not known: say "
               "where it is in registries.json of the data directory",
               id);
}

static bool
configuration_check(struct request *rq, const struct json *configuration, struct err *err)
{
    const struct json *rules = json_get(configuration, "rules");
    cleanup_json struct json *seen = json_object();

    for (size_t i = 0; i < json_size(rules); i++) {
        const struct json *list = json_get(json_at(rules, i), "destinations");
        for (size_t d = 0; d < json_size(list); d++) {
            cleanup_free char *text = json_format(json_at(list, d));
            if (!destination_check(rq, json_at(list, d), err))
                return false;
            json_set(seen, text, json_bool(true));
        }
    }
    return json_size(seen) <= DESTINATIONS_MAX ||
           err_set(err, ERR_INVALID_PARAMETER,
                   "Invalid parameter at 'replicationConfiguration': there are more than %d "
                   "destinations",
                   DESTINATIONS_MAX);
}

static bool
configuration_set(void *arg, struct json *document, struct err *err)
{
    struct json *configuration = arg;

    (void)err;
    json_set(document, "replicationConfiguration", json_ref(configuration));
    return true;
}

bool
ecr_put_replication_configuration(struct request *rq, struct json *out, struct err *err)
{
    cleanup_json struct json *configuration =
        json_copy(json_get(rq->input, "replicationConfiguration"));

    if (!configuration_check(rq, configuration, err) ||
        !registry_document_change(ecr_registry(rq), rq->region, configuration_set, configuration,
                                  err))
        return false;
    json_set(out, "replicationConfiguration", json_ref(configuration));
    return true;
}

bool
ecr_describe_image_replication_status(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    char digest[REGISTRY_DIGEST_SIZE];
    struct json *statuses;

    if (repository == NULL ||
        !ecr_image_resolve(rq, repository, json_get(rq->input, "imageId"), digest, err) ||
        !registry_replication_get(ecr_registry(rq), rq->region, repository, digest, &statuses, err))
        return false;
    struct json *id = json_copy(json_get(rq->input, "imageId"));
    json_set(id, "imageDigest", json_text(digest));
    json_set(out, "repositoryName", json_text(repository));
    json_set(out, "imageId", id);
    json_set(out, "replicationStatuses", statuses);
    return true;
}
