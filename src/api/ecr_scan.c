/* SPDX-License-Identifier: MIT */
/* ecr_scan.c - scans of images for known vulnerabilities, and when they are made. */
#include "api/ecr.h"

#include <stdio.h>

#include "model/arn.h"
#include "registry/registry.h"
#include "registry/scan/scan.h"

/* ---- one image ---- */

static struct json *
scan_status(const struct json *scan)
{
    struct json *status = json_object();

    json_set(status, "status", json_text(json_get_cstr(scan, "status", "FAILED")));
    if (json_get(scan, "description") != NULL)
        json_set(status, "description", json_ref(json_get(scan, "description")));
    return status;
}

/* What a finished scan says of itself: the summary, and the findings' own head. */
static struct json *
scan_summary(struct request *rq, const struct json *scan)
{
    struct json *summary = json_object();
    const int64_t source_ms = json_get_i64(scan, "sourceUpdatedAt", 0);
    const struct json *counts = json_get(scan, "counts");

    json_set(summary, "imageScanCompletedAt", aws_time(rq, json_get_i64(scan, "completedAt", 0)));
    if (source_ms > 0)
        json_set(summary, "vulnerabilitySourceUpdatedAt", aws_time(rq, source_ms));
    json_set(summary, "findingSeverityCounts", counts ? json_ref(counts) : json_object());
    return summary;
}

static bool
is_complete(const struct json *scan)
{
    return strcmp(json_get_cstr(scan, "status", ""), "COMPLETE") == 0;
}

void
ecr_image_scan_add(struct request *rq, const char *repository, const char *digest,
                   struct json *detail)
{
    cleanup_json struct json *scan = NULL;

    if (!registry_scan_get(ecr_registry(rq), rq->region, repository, digest, &scan, NULL))
        return; /* never scanned */
    json_set(detail, "imageScanStatus", scan_status(scan));
    if (is_complete(scan))
        json_set(detail, "imageScanFindingsSummary", scan_summary(rq, scan));
}

/* The image of "imageId", and the answer's words for it. */
static bool
image_find(struct request *rq, const char **repository_out,
           char digest[static REGISTRY_DIGEST_SIZE], struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);

    if (repository == NULL ||
        !ecr_image_resolve(rq, repository, json_get(rq->input, "imageId"), digest, err))
        return false;
    struct json *id = json_copy(json_get(rq->input, "imageId"));
    json_set(id, "imageDigest", json_text(digest));
    json_set(out, "registryId", json_text(rq->account));
    json_set(out, "repositoryName", json_text(repository));
    json_set(out, "imageId", id);
    *repository_out = repository;
    return true;
}

bool
ecr_start_image_scan(struct request *rq, struct json *out, struct err *err)
{
    char digest[REGISTRY_DIGEST_SIZE];
    const char *repository;
    cleanup_json struct json *scan = json_object();

    if (!image_find(rq, &repository, digest, out, err) ||
        !registry_scan_request(ecr_registry(rq), rq->region, repository, digest, err))
        return false;
    json_set(scan, "status", json_text("IN_PROGRESS"));
    json_set(out, "imageScanStatus", scan_status(scan));
    return true;
}

/* Findings in the order of the scan: the worst first. */
static bool
findings_write(struct request *rq, const struct json *scan, struct json *out, struct err *err)
{
    const struct json *list = json_get(scan, "findings");
    struct ecr_page page = {.member = "findings"};
    cleanup_json struct json *findings = scan_summary(rq, scan), *paged = json_object();

    for (size_t i = 0; i < json_size(list); i++) {
        char key[32];
        snprintf(key, sizeof key, "%08zu", i);
        ecr_page_add(&page, key, json_ref(json_at(list, i)));
    }
    if (!ecr_page_write(rq, &page, paged, err))
        return false;
    json_set(findings, "findings", json_ref(json_get(paged, "findings")));
    json_set(out, "imageScanFindings", TAKE(findings));
    if (json_get(paged, "nextToken") != NULL)
        json_set(out, "nextToken", json_ref(json_get(paged, "nextToken")));
    return true;
}

bool
ecr_describe_image_scan_findings(struct request *rq, struct json *out, struct err *err)
{
    char digest[REGISTRY_DIGEST_SIZE];
    const char *repository;
    cleanup_json struct json *scan = NULL;

    if (!image_find(rq, &repository, digest, out, err) ||
        !registry_scan_get(ecr_registry(rq), rq->region, repository, digest, &scan, err))
        return false;
    json_set(out, "imageScanStatus", scan_status(scan));
    return !is_complete(scan) || findings_write(rq, scan, out, err);
}

/* ---- when a repository's images are scanned ---- */

static bool
scan_on_push_set(void *arg, struct json *document, struct err *err)
{
    (void)err;
    json_set(document, "scanOnPush", json_bool(*(const bool *)arg));
    return true;
}

bool
ecr_put_image_scanning_configuration(struct request *rq, struct json *out, struct err *err)
{
    const char *name = ecr_repository_name(rq, err);
    bool is_on =
        json_get_bool(json_get(rq->input, "imageScanningConfiguration"), "scanOnPush", false);
    struct json *configuration;

    if (name == NULL || !registry_repository_change(ecr_registry(rq), rq->region, name,
                                                    scan_on_push_set, &is_on, err))
        return false;
    configuration = json_object();
    json_set(configuration, "scanOnPush", json_bool(is_on));
    json_set(out, "registryId", json_text(rq->account));
    json_set(out, "repositoryName", json_text(name));
    json_set(out, "imageScanningConfiguration", configuration);
    return true;
}

static struct json *
repository_configuration(struct request *rq, const struct registry_repository *r,
                         const struct json *document)
{
    struct json *j = json_object(), *filters = scan_filters_applied(document, r->name);
    const bool is_on = json_get_bool(r->document, "scanOnPush", false) || json_size(filters) > 0;
    char arn[ARN_SIZE];

    arn_format(arn, "ecr", rq->region, rq->account, "repository/%s", r->name);
    json_set(j, "repositoryArn", json_text(arn));
    json_set(j, "repositoryName", json_text(r->name));
    json_set(j, "scanOnPush", json_bool(is_on));
    json_set(j, "scanFrequency", json_text(is_on ? "SCAN_ON_PUSH" : "MANUAL"));
    json_set(j, "appliedScanFilters", filters);
    return j;
}

bool
ecr_batch_get_repository_scanning_configuration(struct request *rq, struct json *out,
                                                struct err *err)
{
    const struct json *names = json_get(rq->input, "repositoryNames");
    cleanup_json struct json *found = json_array(), *failures = json_array(), *document = NULL;

    if (!registry_document_get(ecr_registry(rq), rq->region, &document, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        cleanup(registry_repository_done) struct registry_repository r = {0};
        if (registry_repository_get(ecr_registry(rq), rq->region, name, &r, NULL)) {
            json_append(found, repository_configuration(rq, &r, document));
            continue;
        }
        struct json *failure = json_object();
        json_set(failure, "repositoryName", json_text(name));
        json_set(failure, "failureCode", json_text("REPOSITORY_NOT_FOUND"));
        json_set(failure, "failureReason", json_text("The repository does not exist"));
        json_append(failures, failure);
    }
    json_set(out, "scanningConfigurations", TAKE(found));
    json_set(out, "failures", TAKE(failures));
    return true;
}

/* ---- the registry's rules ---- */

static struct json *
registry_configuration(const struct json *document)
{
    const struct json *rules = json_get(json_get(document, "scanning"), "rules");
    struct json *j = json_object();

    json_set(j, "scanType", json_text("BASIC"));
    json_set(j, "rules", rules ? json_ref(rules) : json_array());
    return j;
}

bool
ecr_get_registry_scanning_configuration(struct request *rq, struct json *out, struct err *err)
{
    cleanup_json struct json *document = NULL;

    if (!registry_document_get(ecr_registry(rq), rq->region, &document, err))
        return false;
    json_set(out, "registryId", json_text(rq->account));
    json_set(out, "scanningConfiguration", registry_configuration(document));
    return true;
}

static bool
rules_set(void *arg, struct json *document, struct err *err)
{
    struct json *scanning = json_object();
    struct json *rules = arg;

    (void)err;
    json_set(scanning, "rules", json_ref(rules));
    json_set(document, "scanning", scanning);
    return true;
}

static bool
rules_check(const struct json *input, struct err *err)
{
    const struct json *rules = json_get(input, "rules");

    if (strcmp(json_get_cstr(input, "scanType", "BASIC"), "BASIC") != 0)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "scanType 'ENHANCED' is not built; BASIC scans with the database that was "
                       "imported");
    for (size_t i = 0; i < json_size(rules); i++) {
        const char *frequency = json_get_cstr(json_at(rules, i), "scanFrequency", "");
        if (strcmp(frequency, "SCAN_ON_PUSH") != 0 && strcmp(frequency, "MANUAL") != 0)
            return err_set(err, ERR_INVALID_PARAMETER,
                           "Invalid parameter at 'rules': with scanType BASIC the scanFrequency is "
                           "SCAN_ON_PUSH or MANUAL, not '%s'",
                           frequency);
        for (size_t k = 0; k < i; k++)
            if (strcmp(json_get_cstr(json_at(rules, k), "scanFrequency", ""), frequency) == 0)
                return err_set(err, ERR_INVALID_PARAMETER,
                               "Invalid parameter at 'rules': there are two rules of '%s'",
                               frequency);
    }
    return true;
}

bool
ecr_put_registry_scanning_configuration(struct request *rq, struct json *out, struct err *err)
{
    const struct json *rules = json_get(rq->input, "rules");
    cleanup_json struct json *kept = rules ? json_copy(rules) : json_array(), *document = NULL;

    if (!rules_check(rq->input, err) ||
        !registry_document_change(ecr_registry(rq), rq->region, rules_set, kept, err) ||
        !registry_document_get(ecr_registry(rq), rq->region, &document, err))
        return false;
    json_set(out, "registryScanningConfiguration", registry_configuration(document));
    return true;
}
