/* SPDX-License-Identifier: MIT */
/* ecr_account.c - the registry as a whole: what it is, its settings, who does not count as a
 * puller, and the referrers of an image. */
#include "api/ecr.h"

#include <stdio.h>

#include "model/arn.h"
#include "registry/reference.h"
#include "registry/registry.h"

#define EXCLUSIONS_MAX 100
#define REFERRERS_PAGE 20
#define SETTINGS "accountSettings"
#define EXCLUSIONS REGISTRY_PULL_EXCLUSIONS

bool
ecr_describe_registry(struct request *rq, struct json *out, struct err *err)
{
    cleanup_json struct json *document = NULL;

    if (!registry_document_get(ecr_registry(rq), rq->region, &document, err))
        return false;
    struct json *replication = json_get(document, "replicationConfiguration");
    json_set(out, "registryId", json_text(rq->account));
    if (replication != NULL) {
        json_set(out, "replicationConfiguration", json_ref(replication));
        return true;
    }
    replication = json_object();
    json_set(replication, "rules", json_array());
    json_set(out, "replicationConfiguration", replication);
    return true;
}

/* ---- settings ---- */

/* The settings there are; each acts in one way only here, and another value is refused. */
static const struct setting {
    const char *name;
    const char *values[3];
    const char *fixed; /* the only value that is built, and the default */
} settings[] = {
    {"BASIC_SCAN_TYPE_VERSION", {"AWS_NATIVE", "CLAIR"}, "AWS_NATIVE"},
    {"REGISTRY_POLICY_SCOPE", {"V1", "V2"}, "V2"},
    {"BLOB_MOUNTING", {"ENABLED", "DISABLED"}, "ENABLED"},
};

static const struct setting *
setting_find(const char *name, struct err *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    err_set(
        err, ERR_INVALID_PARAMETER,
        "Invalid parameter at 'name' failed to satisfy constraint: 'there is no account setting "
        "%.64s'",
        name);
    return NULL;
}

static bool
setting_answer(const struct setting *s, struct json *out)
{
    json_set(out, "name", json_text(s->name));
    json_set(out, "value", json_text(s->fixed));
    return true;
}

bool
ecr_get_account_setting(struct request *rq, struct json *out, struct err *err)
{
    const struct setting *s = setting_find(json_get_cstr(rq->input, "name", ""), err);

    return s != NULL && setting_answer(s, out);
}

bool
ecr_put_account_setting(struct request *rq, struct json *out, struct err *err)
{
    const struct setting *s = setting_find(json_get_cstr(rq->input, "name", ""), err);
    const char *value = json_get_cstr(rq->input, "value", "");

    if (s == NULL)
        return false;
    if (strcmp(value, s->fixed) == 0)
        return setting_answer(s, out);
    for (size_t i = 0; s->values[i] != NULL; i++)
        if (strcmp(value, s->values[i]) == 0)
            return err_set(
                err, ERR_UNSUPPORTED_FEATURE,
                "The value '%s' of the account setting %s is not built in naru; it is '%s'", value,
                s->name, s->fixed);
    return err_set(
        err, ERR_INVALID_PARAMETER,
        "Invalid parameter at 'value' failed to satisfy constraint: '%.64s is no value of %s'",
        value, s->name);
}

/* ---- who does not count as a puller ---- */

struct exclusion {
    struct request *rq;
    const char *arn;
    int64_t created_ms;
};

static bool
principal_check(const char *arn, struct err *err)
{
    struct arn parts;

    return (arn_parse(str_of(arn), &parts) && str_is(parts.service, "iam")) ||
           err_set(err, ERR_INVALID_PARAMETER,
                   "Invalid parameter at 'principalArn' failed to satisfy constraint: '%.200s is "
                   "no ARN "
                   "of an IAM principal'",
                   arn);
}

static struct json *
exclusions_of(struct json *document)
{
    if (json_get(document, EXCLUSIONS) == NULL)
        json_set(document, EXCLUSIONS, json_object());
    return json_get(document, EXCLUSIONS);
}

static bool
exclusion_add(void *arg, struct json *document, struct err *err)
{
    struct exclusion *e = arg;
    struct json *all = exclusions_of(document);

    if (json_get(all, e->arn) != NULL)
        return err_set(
            err, ERR_EXCLUSION_EXISTS,
            "A pull time update exclusion for '%s' already exists in the registry with id "
            "'%s'",
            e->arn, e->rq->account);
    if (json_size(all) >= EXCLUSIONS_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED,
                       "A registry has at most %d pull time update exclusions", EXCLUSIONS_MAX);
    json_set(all, e->arn, json_int(e->created_ms));
    return true;
}

static bool
exclusion_remove(void *arg, struct json *document, struct err *err)
{
    struct exclusion *e = arg;
    struct json *all = exclusions_of(document);

    if (json_get(all, e->arn) == NULL)
        return err_set(
            err, ERR_EXCLUSION_NOT_FOUND,
            "There is no pull time update exclusion for '%s' in the registry with id '%s'", e->arn,
            e->rq->account);
    json_delete(all, e->arn);
    return true;
}

bool
ecr_register_pull_time_update_exclusion(struct request *rq, struct json *out, struct err *err)
{
    struct exclusion e = {rq, json_get_cstr(rq->input, "principalArn", ""), rq->now_ms};

    if (!principal_check(e.arn, err) ||
        !registry_document_change(ecr_registry(rq), rq->region, exclusion_add, &e, err))
        return false;
    json_set(out, "principalArn", json_text(e.arn));
    json_set(out, "createdAt", aws_time(rq, e.created_ms));
    return true;
}

bool
ecr_deregister_pull_time_update_exclusion(struct request *rq, struct json *out, struct err *err)
{
    struct exclusion e = {rq, json_get_cstr(rq->input, "principalArn", ""), 0};

    if (!principal_check(e.arn, err) ||
        !registry_document_change(ecr_registry(rq), rq->region, exclusion_remove, &e, err))
        return false;
    json_set(out, "principalArn", json_text(e.arn));
    return true;
}

bool
ecr_list_pull_time_update_exclusions(struct request *rq, struct json *out, struct err *err)
{
    cleanup_json struct json *document = NULL;
    struct ecr_page page = {.member = "pullTimeUpdateExclusions"};

    if (!registry_document_get(ecr_registry(rq), rq->region, &document, err))
        return false;
    const struct json *all = json_get(document, EXCLUSIONS);
    for (void *it = json_first(all); it != NULL; it = json_next(all, it))
        ecr_page_add(&page, json_key(it), json_text(json_key(it)));
    return ecr_page_write(rq, &page, out, err);
}

/* ---- referrers ---- */

static struct json *
referrer_json(const struct json *descriptor)
{
    struct json *j = json_object();
    static const char *const members[] = {"digest", "mediaType", "size", "artifactType",
                                          "annotations"};

    for (size_t i = 0; i < ARRAY_COUNT(members); i++)
        if (json_get(descriptor, members[i]) != NULL)
            json_set(j, members[i], json_ref(json_get(descriptor, members[i])));
    json_set(j, "artifactStatus", json_text(json_get_cstr(descriptor, REGISTRY_REFERRER_STATUS, "ACTIVE")));
    return j;
}

static bool
referrer_is_wanted(const struct json *filter, const struct json *descriptor)
{
    const struct json *types = json_get(filter, "artifactTypes");
    const char *wanted = json_get_cstr(filter, "artifactStatus", "ACTIVE");
    const char *status = json_get_cstr(descriptor, REGISTRY_REFERRER_STATUS, "ACTIVE");

    return (strcmp(wanted, "ANY") == 0 || strcmp(wanted, status) == 0) &&
           (types == NULL || json_has_text(types, json_get_cstr(descriptor, "artifactType", "")));
}

bool
ecr_list_image_referrers(struct request *rq, struct json *out, struct err *err)
{
    const char *repository = ecr_repository_name(rq, err);
    const char *subject = json_get_cstr(json_get(rq->input, "subjectId"), "imageDigest", "");
    struct ecr_page page = {.member = "referrers", .size_default = REFERRERS_PAGE};
    char after[REGISTRY_DIGEST_SIZE] = "";
    bool has_more = true;

    if (repository == NULL)
        return false;
    if (!digest_is_valid(str_of(subject)))
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "Invalid parameter at 'subjectId' failed to satisfy constraint: 'image digest "
            "should be 'sha256:' and 64 hexadecimal digits'");
    while (has_more) {
        cleanup(registry_referrers_done) struct registry_referrers r = {0};
        if (!registry_referrers(ecr_registry(rq), rq->region, repository, subject, NULL,
                                /* archived_too= */ true, after[0] != '\0' ? after : NULL, &r, err)) {
            json_unref(page.items);
            return false;
        }
        for (size_t i = 0; i < json_size(r.descriptors); i++) {
            const struct json *d = json_at(r.descriptors, i);
            if (referrer_is_wanted(json_get(rq->input, "filter"), d))
                ecr_page_add(&page, json_get_cstr(d, "digest", ""), referrer_json(d));
        }
        has_more = r.has_more && strcmp(after, r.last) != 0;
        snprintf(after, sizeof after, "%s", r.last);
    }
    return ecr_page_write(rq, &page, out, err);
}
