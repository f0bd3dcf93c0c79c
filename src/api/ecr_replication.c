/* SPDX-License-Identifier: MIT */
/* ecr_replication.c - which images go on to other regions and registries, and how far they are. */
#include "api/ecr.h"

#include <stdlib.h>

#include "registry/mirror/backfill.h"
#include "registry/mirror/replication.h"

#define DESTINATIONS_MAX 25
#define BACKFILLS_PAGE 25

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

/* ---- backfills ---- */

/* Adds the members of a summary, with the protocol's times. */
static void
backfill_tell(struct request *rq, const struct json *summary, struct json *out)
{
    for (void *it = json_first(summary); it != NULL; it = json_next(summary, it)) {
        const bool is_time = str_ends(str_of(json_key(it)), STR("At"));
        json_set(out, json_key(it), is_time ? aws_time(rq, json_i64(json_value(it), 0)) : json_copy(json_value(it)));
    }
}

/* What Start and Stop answer has no progress. */
static void
backfill_answer(struct request *rq, struct json *summary, struct json *out)
{
    json_delete(summary, "progress");
    json_delete(summary, "endedAt");
    json_set(out, "registryId", json_text(rq->account));
    backfill_tell(rq, summary, out);
}

bool
ecr_start_replication_backfill(struct request *rq, struct json *out, struct err *err)
{
    const struct json *destination = json_get(rq->input, "destination");
    cleanup_json struct json *summary = NULL;

    if (!ecr_registry_id_check(rq, err) ||
        !registry_backfill_start(ecr_registry(rq), rq->region, json_get_cstr(destination, "registryId", ""),
                                 json_get_cstr(destination, "region", ""), &summary, err))
        return false;
    backfill_answer(rq, summary, out);
    return true;
}

bool
ecr_stop_replication_backfill(struct request *rq, struct json *out, struct err *err)
{
    cleanup_json struct json *summary = NULL;

    if (!ecr_registry_id_check(rq, err) ||
        !registry_backfill_stop(ecr_registry(rq), rq->region, json_get_cstr(rq->input, "replicationBackfillId", ""),
                                &summary, err))
        return false;
    backfill_answer(rq, summary, out);
    return true;
}

bool
ecr_list_replication_backfills(struct request *rq, struct json *out, struct err *err)
{
    struct ecr_page page = {.member = "backfills", .size_default = BACKFILLS_PAGE};
    cleanup_json struct json *list = NULL;

    if (!ecr_registry_id_check(rq, err) || !registry_backfill_list(ecr_registry(rq), rq->region, &list, err))
        return false;
    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *summary = json_at(list, i);
        cleanup_free char *key = text_format("%016llx %s", (unsigned long long)json_get_i64(summary, "startedAt", 0),
                                             json_get_cstr(summary, "replicationBackfillId", ""));
        struct json *told = json_object();
        backfill_tell(rq, summary, told);
        ecr_page_add(&page, key, told);
    }
    json_set(out, "registryId", json_text(rq->account));
    return ecr_page_write(rq, &page, out, err);
}

/* One replication: an image by one of its tags, or by itself. NULL: the filter leaves it out. */
static struct json *
result_of(const struct json *image, const char *tag, const char *wanted)
{
    const char *status = json_get_cstr(image, "status", NULL);

    if (status == NULL || (wanted != NULL && strcmp(status, wanted) != 0))
        return NULL; /* without one: a stop came first */
    struct json *result = json_object(), *id = json_object();
    json_set(id, "imageDigest", json_copy(json_get(image, "imageDigest")));
    if (tag != NULL)
        json_set(id, "imageTag", json_text(tag));
    json_set(result, "repositoryName", json_copy(json_get(image, "repositoryName")));
    json_set(result, "imageId", id);
    json_set(result, "status", json_text(status));
    json_set(result, "failureCode", json_copy(json_get(image, "failureCode")));
    return result;
}

/* Those of one image that are behind `start`. */
static void
results_add(struct ecr_page *page, const struct json *image, size_t index, const char *start, const char *wanted)
{
    const struct json *tags = json_get(image, "tags");

    for (size_t t = 0; t == 0 || t < json_size(tags); t++) {
        cleanup_free char *key = text_format("%08zu %08zu", index, t);
        struct json *result = strcmp(key, start) > 0 ? result_of(image, json_cstr(json_at(tags, t), NULL), wanted) : NULL;
        if (result != NULL)
            ecr_page_add(page, key, result);
    }
}

/* As many images at first as fill a page if none is left out, and twice as many each time: their file is read anew. */
bool
ecr_describe_replication_backfill_results(struct request *rq, struct json *out, struct err *err)
{
    const char *id = json_get_cstr(rq->input, "replicationBackfillId", "");
    const char *wanted = json_get_cstr(rq->input, "resultStatusFilter", NULL);
    struct ecr_page page = {.member = "results"};
    const size_t limit = (size_t)ecr_page_limit(rq, &page);
    cleanup(strbuf_done) struct strbuf start = {0};
    cleanup_json struct json *summary = NULL;

    if (!ecr_registry_id_check(rq, err) || !ecr_page_start(rq, &start, err))
        return false;
    size_t first = strtoul(strbuf_cstr(&start), NULL, 10), asked = limit + 1;
    for (bool is_more = true; is_more && json_size(page.items) <= limit; asked *= 2) {
        cleanup_json struct json *images = NULL;
        json_unref(TAKE(summary));
        if (!registry_backfill_get(ecr_registry(rq), rq->region, id, first, asked, &summary, &images, err)) {
            json_unref(page.items);
            return false;
        }
        const size_t count = json_size(images);
        is_more = count == asked;
        for (size_t i = 0; i < count; i++)
            results_add(&page, json_at(images, i), first + i, strbuf_cstr(&start), wanted);
        first += count;
    }
    json_set(out, "registryId", json_text(rq->account));
    backfill_tell(rq, summary, out);
    return ecr_page_write(rq, &page, out, err);
}
