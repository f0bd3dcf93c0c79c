/* SPDX-License-Identifier: MIT */
/* ecr.h - what the files of the ECR handlers share. All of them run on the connection's thread
 * (ACCESS_LOCAL): the registry keeps its own state on disk, and none of it is the core's.
 * An image in use is not deleted: BatchDeleteImage answers the failure code ImageInUse, which AWS
 * does not have; a tag may always go, the image then stays untagged. */
#pragma once
#include "api/operations.h"
#include "registry/registry.h"

struct registry *ecr_registry(const struct request *rq);
/* "registryId" (if any) is ours. */
bool ecr_registry_id_check(struct request *rq, struct err *err);
/* The name in the request, once "registryId" (if any) turns out to be ours. NULL with err set. */
const char *ecr_repository_name(struct request *rq, struct err *err);

/* A push by the API makes its repository, where a template says so. */
void ecr_create_on_push(struct request *rq, const char *repository);

/* A list that is answered in pages: items in the order of their keys, which only grow. */
struct ecr_page {
    const char *member; /* "imageIds" */
    int64_t size_default; /* where maxResults is not said; 0: 100 */
    struct json *items; /* of {"key", "value"}, any order */
};
void ecr_page_add(struct ecr_page *page, const char *key, struct json *value);
/* Of a list that is too long to be added whole: items up to `start_out` ("" on the first page) are told already, and one
 * more than the limit is enough. */
bool ecr_page_start(struct request *rq, struct strbuf *start_out, struct err *err);
int64_t ecr_page_limit(const struct request *rq, const struct ecr_page *page);
/* Writes the page that maxResults and nextToken ask for; frees the items. */
bool ecr_page_write(struct request *rq, struct ecr_page *page, struct json *out, struct err *err);

/* ---- ecr_settings.c: parts of a repository's document, also of templates ---- */
/* Writes imageTagMutability and its filters of `input` into the document, once they are right. */
bool ecr_mutability_set(struct json *document, const struct json *input, struct err *err);
void ecr_mutability_tell(struct json *out, const struct json *document);
bool ecr_encryption_check(const struct json *encryption, struct err *err); /* NULL is fine */
void ecr_encryption_tell(struct json *out);
/* A prefix of names, without a '/' at its end: "team/" is "team". */
struct str ecr_prefix_bare(const char *prefix);
/* `now` (may be NULL) and `added` together; a key that is there already gets the new value. */
bool ecr_tags_merge(const struct json *now, const struct json *added, struct json **out,
                    struct err *err);

/* ---- ecr.c: operations ---- */
bool ecr_create_repository(struct request *rq, struct json *out, struct err *err);
bool ecr_delete_repository(struct request *rq, struct json *out, struct err *err);
bool ecr_describe_repositories(struct request *rq, struct json *out, struct err *err);
bool ecr_get_authorization_token(struct request *rq, struct json *out, struct err *err);
bool ecr_list_tags_for_resource(struct request *rq, struct json *out, struct err *err);
bool ecr_put_image_tag_mutability(struct request *rq, struct json *out, struct err *err);
bool ecr_tag_resource(struct request *rq, struct json *out, struct err *err);
bool ecr_untag_resource(struct request *rq, struct json *out, struct err *err);

/* ---- ecr_policy.c ---- */
/* Who asks, for registry_policy_says(). */
struct registry_caller ecr_caller(const struct request *rq);
bool ecr_delete_registry_policy(struct request *rq, struct json *out, struct err *err);
bool ecr_delete_repository_policy(struct request *rq, struct json *out, struct err *err);
bool ecr_get_registry_policy(struct request *rq, struct json *out, struct err *err);
bool ecr_get_repository_policy(struct request *rq, struct json *out, struct err *err);
bool ecr_put_registry_policy(struct request *rq, struct json *out, struct err *err);
bool ecr_set_repository_policy(struct request *rq, struct json *out, struct err *err);

/* ---- ecr_lifecycle.c ---- */
bool ecr_lifecycle_check(const char *text, struct err *err);
bool ecr_delete_lifecycle_policy(struct request *rq, struct json *out, struct err *err);
bool ecr_get_lifecycle_policy(struct request *rq, struct json *out, struct err *err);
bool ecr_get_lifecycle_policy_preview(struct request *rq, struct json *out, struct err *err);
bool ecr_put_lifecycle_policy(struct request *rq, struct json *out, struct err *err);
bool ecr_start_lifecycle_policy_preview(struct request *rq, struct json *out, struct err *err);

/* ---- ecr_template.c ---- */
bool ecr_create_repository_creation_template(struct request *rq, struct json *out, struct err *err);
bool ecr_delete_repository_creation_template(struct request *rq, struct json *out, struct err *err);
bool ecr_describe_repository_creation_templates(struct request *rq, struct json *out, struct err *err);
bool ecr_update_repository_creation_template(struct request *rq, struct json *out, struct err *err);

/* ---- ecr_account.c ---- */
bool ecr_deregister_pull_time_update_exclusion(struct request *rq, struct json *out, struct err *err);
bool ecr_describe_registry(struct request *rq, struct json *out, struct err *err);
bool ecr_get_account_setting(struct request *rq, struct json *out, struct err *err);
bool ecr_list_image_referrers(struct request *rq, struct json *out, struct err *err);
bool ecr_list_pull_time_update_exclusions(struct request *rq, struct json *out, struct err *err);
bool ecr_put_account_setting(struct request *rq, struct json *out, struct err *err);
bool ecr_register_pull_time_update_exclusion(struct request *rq, struct json *out, struct err *err);

/* ---- ecr_layer.c ---- */
bool ecr_batch_check_layer_availability(struct request *rq, struct json *out, struct err *err);
bool ecr_complete_layer_upload(struct request *rq, struct json *out, struct err *err);
bool ecr_get_download_url_for_layer(struct request *rq, struct json *out, struct err *err);
bool ecr_initiate_layer_upload(struct request *rq, struct json *out, struct err *err);
bool ecr_upload_layer_part(struct request *rq, struct json *out, struct err *err);

/* ---- ecr_image.c ---- */
/* The image that an imageId (tag, digest, both) names; IMAGE_NOT_FOUND, INVALID_PARAMETER. */
bool ecr_image_resolve(struct request *rq, const char *repository, const struct json *id,
                       char digest[static REGISTRY_DIGEST_SIZE], struct err *err);
bool ecr_list_images(struct request *rq, struct json *out, struct err *err);
bool ecr_describe_images(struct request *rq, struct json *out, struct err *err);
bool ecr_update_image_storage_class(struct request *rq, struct json *out, struct err *err);
bool ecr_batch_get_image(struct request *rq, struct json *out, struct err *err);
bool ecr_batch_delete_image(struct request *rq, struct json *out, struct err *err);
bool ecr_put_image(struct request *rq, struct json *out, struct err *err);

/* ---- ecr_cache.c ---- */
bool ecr_create_pull_through_cache_rule(struct request *rq, struct json *out, struct err *err);
bool ecr_delete_pull_through_cache_rule(struct request *rq, struct json *out, struct err *err);
bool ecr_describe_pull_through_cache_rules(struct request *rq, struct json *out, struct err *err);
bool ecr_update_pull_through_cache_rule(struct request *rq, struct json *out, struct err *err);
bool ecr_validate_pull_through_cache_rule(struct request *rq, struct json *out, struct err *err);

/* ---- ecr_replication.c ---- */
bool ecr_describe_image_replication_status(struct request *rq, struct json *out, struct err *err);
bool ecr_describe_replication_backfill_results(struct request *rq, struct json *out, struct err *err);
bool ecr_list_replication_backfills(struct request *rq, struct json *out, struct err *err);
bool ecr_put_replication_configuration(struct request *rq, struct json *out, struct err *err);
bool ecr_start_replication_backfill(struct request *rq, struct json *out, struct err *err);
bool ecr_stop_replication_backfill(struct request *rq, struct json *out, struct err *err);

/* ---- ecr_scan.c ---- */
/* What the last scan said, as members of DescribeImages' detail. */
void ecr_image_scan_add(struct request *rq, const char *repository, const char *digest,
                        struct json *detail);
bool ecr_batch_get_repository_scanning_configuration(struct request *rq, struct json *out,
                                                     struct err *err);
bool ecr_describe_image_scan_findings(struct request *rq, struct json *out, struct err *err);
bool ecr_get_registry_scanning_configuration(struct request *rq, struct json *out,
                                             struct err *err);
bool ecr_put_image_scanning_configuration(struct request *rq, struct json *out, struct err *err);
bool ecr_put_registry_scanning_configuration(struct request *rq, struct json *out,
                                             struct err *err);
bool ecr_start_image_scan(struct request *rq, struct json *out, struct err *err);
