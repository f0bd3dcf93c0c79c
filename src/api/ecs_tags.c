/* SPDX-License-Identifier: MIT */
#include "api/ecs_describe.h"
#include "api/ecs_operations.h"
#include "model/arn.h"

#define TAGS_MAX 50

/* The tags of the resource that the ARN names; *found says whether there is one. */
static const struct json *
tags_of(const struct request *rq, struct str kind, const char *arn, bool *found)
{
    *found = true;
    if (str_is(kind, "cluster")) {
        const struct cluster *cluster = core_cluster(rq->core, rq->region, str_of(arn));
        if (cluster != NULL && cluster->status == CLUSTER_ACTIVE)
            return cluster->tags;
    } else if (str_is(kind, "service")) {
        const struct service *service = core_service_by_arn(rq->core, arn);
        if (service != NULL && service->status != SERVICE_INACTIVE)
            return service->tags;
    } else if (str_is(kind, "task-set")) {
        struct service *service = NULL;
        const struct deployment *set = core_task_set(rq->core, arn, &service);
        if (set != NULL && service->status != SERVICE_INACTIVE)
            return set->set->tags;
    } else if (str_is(kind, "task")) {
        const struct task *task = core_task_by_arn(rq->core, arn);
        if (task != NULL)
            return task->tags;
    } else if (str_is(kind, "capacity-provider")) {
        const struct capacity_provider *p = core_capacity_provider(rq->core, rq->region, arn);
        if (p != NULL)
            return p->tags;
    } else if (str_is(kind, "container-instance")) {
        const struct container_instance *instance = core_instance(rq->core, arn);
        if (instance != NULL)
            return instance->tags;
    } else {
        const struct task_definition *td = core_task_definition(rq->core, rq->region, str_of(arn));
        if (td != NULL && strcmp(td->arn, arn) == 0)
            return td->tags;
    }
    *found = false;
    return NULL;
}

static bool
find_tags(const struct request *rq, const struct json **tags, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "resourceArn", "");
    struct arn parts;
    struct str rest, kind;
    bool found;

    if (!arn_parse(str_of(arn), &parts) || !str_is(parts.service, "ecs"))
        return err_set(err, ERR_INVALID_PARAMETER, "The ARN provided is invalid.");
    rest = parts.resource;
    if (!str_split(&rest, '/', &kind) || rest.at == NULL || rest.len == 0)
        return err_set(err, ERR_INVALID_PARAMETER, "The ARN provided is invalid.");
    if ((str_is(kind, "service") || str_is(kind, "task") || str_is(kind, "task-set") ||
         str_is(kind, "container-instance")) &&
        str_index(rest, '/') < 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Long arn format must be used for tagging operations");
    if (!str_is(kind, "service") && !str_is(kind, "task") && !str_is(kind, "cluster") &&
        !str_is(kind, "task-definition") && !str_is(kind, "container-instance") &&
        !str_is(kind, "capacity-provider") && !str_is(kind, "task-set"))
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "Tags of a " STR_FMT " are not built in naru yet.",
                       STR_ARG(str_slice(kind, 0, 60)));
    *tags = tags_of(rq, kind, arn, &found);
    /* ListTagsForResource has no error of its own for it. */
    if (!found || !str_is(parts.region, rq->region))
        return err_set(err, strcmp(rq->operation, "ListTagsForResource") == 0 ? ERR_INVALID_PARAMETER
                                                                             : ERR_RESOURCE_NOT_FOUND,
                       "The specified resource could not be found: %s", arn);
    return true;
}

static void
set_tags(struct request *rq, const struct json *tags)
{
    request_step(rq, &(struct event){
        .type = EVENT_TAGS_SET,
        .tags_set = {.arn = json_get_cstr(rq->input, "resourceArn", ""), .tags = tags}});
}

bool
ecs_tag_resource(struct request *rq, struct json *out, struct err *err)
{
    const struct json *given = json_get(rq->input, "tags"), *old = NULL;
    cleanup_json struct json *merged = NULL;

    (void)out;
    if (!find_tags(rq, &old, err) || !ecs_check_tags(given, err))
        return false;
    if (core_service_by_arn(rq->core, json_get_cstr(rq->input, "resourceArn", "")) != NULL &&
        !service_options_check(given, err))
        return false;
    merged = ecs_merge_tags(old, given);
    if (json_size(merged) > TAGS_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED, "A resource can have at most %d tags.", TAGS_MAX);
    set_tags(rq, merged);
    return true;
}

bool
ecs_untag_resource(struct request *rq, struct json *out, struct err *err)
{
    const struct json *keys = json_get(rq->input, "tagKeys"), *old = NULL;
    cleanup_json struct json *kept = NULL;

    (void)out;
    if (!find_tags(rq, &old, err))
        return false;
    kept = json_array();
    for (size_t i = 0; i < json_size(old); i++)
        if (!json_has_text(keys, json_get_cstr(json_at(old, i), "key", "")))
            json_append(kept, json_ref(json_at(old, i)));
    set_tags(rq, kept);
    return true;
}

bool
ecs_list_tags_for_resource(struct request *rq, struct json *out, struct err *err)
{
    const struct json *tags = NULL;
    const struct task *task;

    if (!find_tags(rq, &tags, err))
        return false;
    task = core_task_by_arn(rq->core, json_get_cstr(rq->input, "resourceArn", ""));
    json_set(out, "tags", task != NULL ? ecs_task_tags(rq, task) : ecs_tags_or_empty(tags));
    return true;
}
