/* SPDX-License-Identifier: MIT */
#include "api/ecs_task_definition.h"

#include <assert.h>
#include <stdlib.h>

#include "api/ecs_describe.h"
#include "api/ecs_operations.h"
#include "model/arn.h"

#define REVISIONS_MAX 1000000
#define DEFINITIONS_MAX 100000 /* of all families: each is kept in memory */

/* ---- RegisterTaskDefinition ---- */

static bool
check_size(const struct json *input, struct err *err)
{
    cleanup_free char *text = json_format(input);

    if (strlen(text) > DEFINITION_SIZE_MAX)
        return err_set(err, ERR_CLIENT, "Actual length: '%zu'. Max allowed length is '%d' bytes.",
                       strlen(text), DEFINITION_SIZE_MAX);
    return true;
}

static bool
check_quota(const struct request *rq, const struct task_definition *newest, struct err *err)
{
    int count = 0;

    for (const struct task_definition *td = rq->core->task_definitions; td != NULL; td = td->next)
        count++;
    if (count >= DEFINITIONS_MAX || (newest != NULL && newest->revision >= REVISIONS_MAX))
        return err_set(err, ERR_LIMIT_EXCEEDED,
                       "There are %d task definitions, and at most %d can be kept (%d of a family).", count,
                       DEFINITIONS_MAX, REVISIONS_MAX);
    return true;
}

static const struct task_definition *
newest_of_family(const struct request *rq, const char *family)
{
    const struct task_definition *newest = NULL;

    for (const struct task_definition *td = rq->core->task_definitions; td != NULL; td = td->next) {
        if (strcmp(td->family, family) == 0 && strcmp(td->region, rq->region) == 0 &&
            (newest == NULL || td->revision > newest->revision))
            newest = td;
    }
    return newest;
}

bool
ecs_register_task_definition(struct request *rq, struct json *out, struct err *err)
{
    const char *family = json_get_cstr(rq->input, "family", "");
    const struct json *tags = json_get(rq->input, "tags");
    cleanup_json struct json *doc = NULL, *given_tags = NULL;
    const struct task_definition *td;

    if (!check_size(rq->input, err) || !definition_check(rq->input, err) || !ecs_check_tags(tags, err))
        return false;
    if (!check_quota(rq, newest_of_family(rq, family), err))
        return false;
    doc = definition_normalise(rq->input, rq->account, rq->principal);
    given_tags = ecs_tags_or_empty(tags);
    request_step(rq, &(struct event){.type = EVENT_TASK_DEFINITION_REGISTER,
                                     .task_definition_register = {.region = rq->region,
                                                                  .family = family,
                                                                  .doc = doc,
                                                                  .tags = given_tags}});
    td = newest_of_family(rq, family);
    assert(td != NULL);
    json_set(out, "taskDefinition", ecs_describe_definition(rq, td));
    if (json_size(tags) > 0)
        json_set(out, "tags", json_ref(tags));
    return true;
}

/* ---- DescribeTaskDefinition, DeregisterTaskDefinition ---- */

/* "family:revision" behind the last ':' of a name or of an ARN's last part. */
static bool
split_revision(const char *name, struct str *family, struct str *revision)
{
    const struct str last = arn_last(str_of(name));
    const ptrdiff_t colon = str_rindex(last, ':');

    *family = colon < 0 ? last : str_slice(last, 0, (size_t)colon);
    *revision = colon < 0 ? (struct str){0} : str_slice(last, (size_t)colon + 1, last.len);
    return colon >= 0;
}

static bool
check_revision(const char *name, bool must_have, struct err *err)
{
    struct str family, revision;
    int64_t n;

    if (!split_revision(name, &family, &revision)) {
        if (must_have)
            return err_set(err, ERR_CLIENT, "Revision is missing.");
        return true;
    }
    if (!str_to_i64(revision, &n) || n < 1 || n > INT32_MAX)
        return err_set(err, ERR_INVALID_PARAMETER, "Invalid revision number. Number: " STR_FMT,
                       STR_ARG(str_slice(revision, 0, 40)));
    return true;
}

bool
ecs_describe_task_definition(struct request *rq, struct json *out, struct err *err)
{
    const char *name = json_get_cstr(rq->input, "taskDefinition", "");
    const struct task_definition *td;

    if (!check_revision(name, false, err))
        return false;
    td = ecs_definition_named(rq, name);
    if (td == NULL)
        return err_set(err, ERR_CLIENT, "Unable to describe task definition.");
    json_set(out, "taskDefinition", ecs_describe_definition(rq, td));
    if (ecs_includes(rq, "TAGS"))
        json_set(out, "tags", ecs_tags_or_empty(td->tags));
    return true;
}

bool
ecs_deregister_task_definition(struct request *rq, struct json *out, struct err *err)
{
    const char *name = json_get_cstr(rq->input, "taskDefinition", "");
    const struct task_definition *td;

    if (!check_revision(name, true, err))
        return false;
    td = ecs_definition_named(rq, name);
    if (td == NULL)
        return err_set(err, ERR_CLIENT, "The specified task definition does not exist.");
    if (td->status == TASK_DEFINITION_ACTIVE)
        request_step(rq, &(struct event){.type = EVENT_TASK_DEFINITION_DEREGISTER,
                                         .task_definition_deregister = {.arn = td->arn}});
    json_set(out, "taskDefinition", ecs_describe_definition(rq, td));
    return true;
}

/* ---- DeleteTaskDefinitions ---- */

#define DELETE_MAX 10

/* The ones that do not name a revision fail the whole call, as in DeregisterTaskDefinition. */
static bool
check_references(const struct json *names, struct err *err)
{
    if (json_size(names) == 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "size of TaskDefinition references list must be greater than 0");
    if (json_size(names) > DELETE_MAX)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Size of TaskDefinition references list cannot exceed %d", DELETE_MAX);
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        if (strlen(name) >= ARN_SIZE - 128)
            return err_set(err, ERR_INVALID_PARAMETER, "Invalid identifier: %.100s", name);
        if (!check_revision(name, true, err))
            return false;
    }
    return true;
}

static struct json *
delete_failure(const struct request *rq, const char *name, const struct task_definition *td)
{
    char arn[ARN_SIZE];

    if (td != NULL)
        return ecs_failure(td->arn, "The specified task definition is still in ACTIVE status. "
                                    "Please deregister the target and try again.");
    if (arn_is(str_of(name)))
        text_copy(arn, sizeof(arn), str_of(name));
    else
        arn_format(arn, "ecs", rq->region, rq->account, "task-definition/%s", name);
    return ecs_failure(arn, "The specified task definition does not exist.");
}

bool
ecs_delete_task_definitions(struct request *rq, struct json *out, struct err *err)
{
    const struct json *names = json_get(rq->input, "taskDefinitions");
    struct json *deleted, *failures;

    if (!check_references(names, err))
        return false;
    deleted = json_array();
    failures = json_array();
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        const struct task_definition *td = ecs_definition_named(rq, name);
        char arn[ARN_SIZE];

        if (td == NULL || td->status == TASK_DEFINITION_ACTIVE) {
            json_append(failures, delete_failure(rq, name, td));
            continue;
        }
        text_copy(arn, sizeof(arn), str_of(td->arn));
        request_step(rq, &(struct event){.type = EVENT_TASK_DEFINITION_DELETE,
                                         .task_definition_delete = {.arn = arn}});
        td = ecs_definition_named(rq, arn);
        if (td != NULL) /* else it was on its way already, and went in this very step */
            json_append(deleted, ecs_describe_definition(rq, td));
    }
    json_set(out, "taskDefinitions", deleted);
    json_set(out, "failures", failures);
    return true;
}

/* ---- lists ---- */

/* '!' sorts before every character of a family name, so that "web" comes before "web-2". */
bool
ecs_list_task_definitions(struct request *rq, struct json *out, struct err *err)
{
    const char *family = json_get_cstr(rq->input, "familyPrefix", NULL);
    const char *status = json_get_cstr(rq->input, "status", "ACTIVE");
    const bool descending = strcmp(json_get_cstr(rq->input, "sort", "ASC"), "DESC") == 0;
    cleanup(ecs_page_done) struct ecs_page page = {0};

    for (const struct task_definition *td = rq->core->task_definitions; td != NULL; td = td->next) {
        if (strcmp(td->region, rq->region) == 0 && (family == NULL || strcmp(td->family, family) == 0) &&
            strcmp(task_definition_status_name(td->status), status) == 0)
            ecs_page_add(&page, json_text(td->arn), "%s!%010d", td->family, td->revision);
    }
    return ecs_page_write(&page, rq, "taskDefinitionArns", 100, descending, out, err);
}

static int
compare_families(const void *a, const void *b)
{
    const struct task_definition *x = *(const struct task_definition *const *)a;
    const struct task_definition *y = *(const struct task_definition *const *)b;

    return strcmp(x->family, y->family);
}

bool
ecs_list_task_definition_families(struct request *rq, struct json *out, struct err *err)
{
    const struct str prefix = str_of(json_get_cstr(rq->input, "familyPrefix", ""));
    const char *status = json_get_cstr(rq->input, "status", "ALL");
    cleanup(ecs_page_done) struct ecs_page page = {0};
    cleanup_free const struct task_definition **all = NULL;
    size_t count = 0;

    for (const struct task_definition *td = rq->core->task_definitions; td != NULL; td = td->next) {
        if (strcmp(td->region, rq->region) != 0 || !str_starts(str_of(td->family), prefix))
            continue;
        all = mem_grow(all, count + 1, sizeof(*all));
        all[count++] = td;
    }
    if (count > 0)
        qsort(all, count, sizeof(*all), compare_families);
    for (size_t i = 0, next; i < count; i = next) {
        bool is_active = false;

        for (next = i; next < count && strcmp(all[next]->family, all[i]->family) == 0; next++)
            is_active = is_active || all[next]->status == TASK_DEFINITION_ACTIVE;
        if (strcmp(status, "ALL") == 0 || is_active == (strcmp(status, "ACTIVE") == 0))
            ecs_page_add(&page, json_text(all[i]->family), "%s", all[i]->family);
    }
    return ecs_page_write(&page, rq, "families", 100, false, out, err);
}
