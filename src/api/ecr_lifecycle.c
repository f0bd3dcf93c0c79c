/* SPDX-License-Identifier: MIT */
/* ecr_lifecycle.c - lifecycle policies of repositories and their previews. A preview is reckoned
 * when it is asked for and is then kept until the next one, so GetLifecyclePolicyPreview tells of
 * that moment. */
#include "api/ecr.h"

#include "registry/lifecycle.h"
#include "registry/registry.h"

static void
answer(struct request *rq, const char *name, const char *text, struct json *out)
{
    json_set(out, "registryId", json_text(rq->account));
    json_set(out, "repositoryName", json_text(name));
    json_set(out, "lifecyclePolicyText", json_text(text));
}

static bool
policy_not_found(struct request *rq, const char *name, struct err *err)
{
    return err_set(
        err, ERR_LIFECYCLE_POLICY_NOT_FOUND,
        "Lifecycle policy does not exist for the repository with name '%s' in the registry "
        "with id '%s'",
        name, rq->account);
}

/* ---- the policy ---- */

bool
ecr_lifecycle_check(const char *text, struct err *err)
{
    cleanup(lifecycle_done) struct lifecycle_policy policy = {0};
    return lifecycle_parse(str_of(text), &policy, err);
}

static bool
policy_set(void *arg, struct json *document, struct err *err)
{
    (void)err;
    json_set(document, REGISTRY_LIFECYCLE_TEXT, json_text(arg));
    json_delete(document, REGISTRY_LIFECYCLE_TIME); /* applied at the next turn */
    return true;
}

bool
ecr_put_lifecycle_policy(struct request *rq, struct json *out, struct err *err)
{
    const char *name = ecr_repository_name(rq, err);
    const char *text = json_get_cstr(rq->input, "lifecyclePolicyText", "");
    char *copy = arena_cstr(rq->arena, str_of(text));

    if (name == NULL || !ecr_lifecycle_check(text, err) ||
        !registry_repository_change(ecr_registry(rq), rq->region, name, policy_set, copy, err))
        return false;
    answer(rq, name, text, out);
    return true;
}

bool
ecr_get_lifecycle_policy(struct request *rq, struct json *out, struct err *err)
{
    const char *name = ecr_repository_name(rq, err);
    cleanup(registry_repository_done) struct registry_repository r = {0};

    if (name == NULL || !registry_repository_get(ecr_registry(rq), rq->region, name, &r, err))
        return false;
    const char *text = json_get_cstr(r.document, REGISTRY_LIFECYCLE_TEXT, NULL);
    if (text == NULL)
        return policy_not_found(rq, name, err);
    answer(rq, name, text, out);
    if (json_get(r.document, REGISTRY_LIFECYCLE_TIME) != NULL)
        json_set(out, "lastEvaluatedAt",
                 aws_time(rq, json_get_i64(r.document, REGISTRY_LIFECYCLE_TIME, 0)));
    return true;
}

static bool
policy_remove(void *arg, struct json *document, struct err *err)
{
    (void)arg, (void)err;
    json_delete(document, REGISTRY_LIFECYCLE_TEXT);
    json_delete(document, REGISTRY_LIFECYCLE_TIME);
    return true;
}

bool
ecr_delete_lifecycle_policy(struct request *rq, struct json *out, struct err *err)
{
    return ecr_get_lifecycle_policy(rq, out, err) &&
           registry_repository_change(ecr_registry(rq), rq->region,
                                      json_get_cstr(rq->input, "repositoryName", ""), policy_remove,
                                      NULL, err);
}

/* ---- previews ---- */

/* The text that was given, or the repository's own. */
static bool
preview_text(struct request *rq, const struct registry_repository *r, const char **out,
             struct err *err)
{
    *out = json_get_cstr(rq->input, "lifecyclePolicyText",
                         json_get_cstr(r->document, REGISTRY_LIFECYCLE_TEXT, NULL));
    return *out != NULL || policy_not_found(rq, r->name, err);
}

bool
ecr_start_lifecycle_policy_preview(struct request *rq, struct json *out, struct err *err)
{
    const char *name = ecr_repository_name(rq, err), *text = NULL;
    cleanup(registry_repository_done) struct registry_repository r = {0};
    cleanup_json struct json *preview = json_object();
    struct json *images = NULL;

    if (name == NULL || !registry_repository_get(ecr_registry(rq), rq->region, name, &r, err) ||
        !preview_text(rq, &r, &text, err) ||
        !registry_lifecycle_preview(ecr_registry(rq), rq->region, name, text, rq->now_ms, &images,
                                    err))
        return false;
    json_set(preview, "text", json_text(text));
    json_set(preview, "images", images);
    if (!registry_preview_set(ecr_registry(rq), rq->region, name, preview, err))
        return false;
    answer(rq, name, text, out);
    json_set(out, "status", json_text("IN_PROGRESS"));
    return true;
}

static bool
is_transition(const struct json *image)
{
    return strcmp(json_get_cstr(image, "action", ""), "TRANSITION") == 0;
}

/* How many go, and how many change their class, if any do. */
static struct json *
preview_summary(const struct json *images)
{
    struct json *summary = json_object(), *counts, *one;
    size_t transitioning = 0;

    for (size_t i = 0; i < json_size(images); i++)
        transitioning += is_transition(json_at(images, i));
    json_set(summary, "expiringImageTotalCount", json_int((int64_t)(json_size(images) - transitioning)));
    if (transitioning == 0)
        return summary;
    one = json_object();
    json_set(one, "targetStorageClass", json_text("ARCHIVE"));
    json_set(one, "imageTotalCount", json_int((int64_t)transitioning));
    counts = json_array();
    json_append(counts, one);
    json_set(summary, "transitioningImageTotalCounts", counts);
    return summary;
}

static struct json *
preview_result(struct request *rq, const struct json *image)
{
    struct json *j = json_object(), *action = json_object(), *tags = json_get(image, "tags");
    const bool is_archived = strcmp(json_get_cstr(image, "status", ""), "ARCHIVED") == 0;

    json_set(action, "type", json_text(json_get_cstr(image, "action", "EXPIRE")));
    if (is_transition(image))
        json_set(action, "targetStorageClass", json_text("ARCHIVE"));
    json_set(j, "imageTags", tags != NULL ? json_ref(tags) : json_array());
    json_set(j, "imageDigest", json_text(json_get_cstr(image, "digest", "")));
    json_set(j, "imagePushedAt", aws_time(rq, json_get_i64(image, "pushedAt", 0)));
    json_set(j, "action", action);
    json_set(j, "appliedRulePriority", json_int(json_get_i64(image, "rule", 0)));
    json_set(j, "storageClass", json_text(is_archived ? "ARCHIVE" : "STANDARD"));
    return j;
}

/* Is it among the imageIds that were asked for (none: all are), and of the tag status? */
static bool
is_asked_for(const struct request *rq, const struct json *image)
{
    const struct json *ids = json_get(rq->input, "imageIds"), *tags = json_get(image, "tags");
    const char *status = json_get_cstr(json_get(rq->input, "filter"), "tagStatus", "ANY");

    if (strcmp(status, "ANY") != 0 && (json_size(tags) > 0) != (strcmp(status, "TAGGED") == 0))
        return false;
    for (size_t i = 0; i < json_size(ids); i++) {
        const char *tag = json_get_cstr(json_at(ids, i), "imageTag", NULL);
        const char *digest = json_get_cstr(json_at(ids, i), "imageDigest", NULL);
        if ((tag != NULL || digest != NULL) && (tag == NULL || json_has_text(tags, tag)) &&
            (digest == NULL || strcmp(digest, json_get_cstr(image, "digest", "")) == 0))
            return true;
    }
    return ids == NULL;
}

bool
ecr_get_lifecycle_policy_preview(struct request *rq, struct json *out, struct err *err)
{
    const char *name = ecr_repository_name(rq, err);
    struct ecr_page page = {.member = "previewResults"};
    cleanup_json struct json *preview = NULL;

    if (json_get(rq->input, "imageIds") != NULL &&
        (json_get(rq->input, "nextToken") != NULL || json_get(rq->input, "maxResults") != NULL))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Invalid parameter: 'maxResults' and 'nextToken' do not go with 'imageIds'");
    if (name == NULL || !registry_preview_get(ecr_registry(rq), rq->region, name, &preview, err))
        return false;
    const struct json *images = json_get(preview, "images");
    for (size_t i = 0; i < json_size(images); i++) {
        cleanup_free char *key = text_format("%08zu", i);
        if (is_asked_for(rq, json_at(images, i)))
            ecr_page_add(&page, key, preview_result(rq, json_at(images, i)));
    }
    if (!ecr_page_write(rq, &page, out, err))
        return false;
    answer(rq, name, json_get_cstr(preview, "text", ""), out);
    json_set(out, "status", json_text("COMPLETE"));
    json_set(out, "summary", preview_summary(images));
    return true;
}
