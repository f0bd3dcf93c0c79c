/* SPDX-License-Identifier: MIT */
/* Service deployments and service revisions: the resources with ARNs of their own. */
#include "api/ecs_describe.h"
#include "api/ecs_operations.h"
#include "model/arn.h"

#define DESCRIBED_MAX 20

/* ---- ListServiceDeployments ---- */

static bool
has_status(const struct json *wanted, enum sd_status status)
{
    for (size_t i = 0; i < json_size(wanted); i++) {
        if (strcmp(json_cstr(json_at(wanted, i), ""), sd_status_name(status)) == 0)
            return true;
    }
    return json_size(wanted) == 0;
}

static bool
is_created_within(const struct json *range, int64_t created_at_ms)
{
    const double at = (double)created_at_ms / 1000;

    return at >= json_f64(json_get(range, "after"), 0) &&
           at <= json_f64(json_get(range, "before"), 1e15);
}

static struct json *
brief(const struct request *rq, const struct service *s, const struct service_deployment *sd)
{
    struct json *o = json_object();

    json_set(o, "serviceDeploymentArn", json_text(sd->arn));
    json_set(o, "serviceArn", json_text(s->arn));
    json_set(o, "clusterArn", json_text(s->cluster_arn));
    ecs_set_time(rq, o, "startedAt", sd->started_at_ms);
    json_set(o, "createdAt", aws_time(rq, sd->created_at_ms));
    ecs_set_time(rq, o, "finishedAt", sd->finished_at_ms);
    json_set(o, "targetServiceRevisionArn", json_text(sd->target_revision_arn));
    json_set(o, "status", json_text(sd_status_name(sd->status)));
    ecs_set_text(o, "statusReason", sd->status_reason);
    return o;
}

/* The ARN of a service names its cluster too; then "cluster" may be left out. */
static const struct service *
find_service(const struct request *rq, struct err *err)
{
    const char *name = json_get_cstr(rq->input, "service", "");
    const struct cluster *cluster;

    if (arn_is(str_of(name)) && json_get(rq->input, "cluster") == NULL) {
        const struct service *s =
            request_is_region_of(rq, name) ? core_service_by_arn(rq->core, name) : NULL;
        if (s == NULL)
            err_set(err, ERR_SERVICE_NOT_FOUND, "Service not found.");
        return s;
    }
    cluster = ecs_find_cluster(rq, err);
    return cluster != NULL ? ecs_find_service(rq, cluster, name, err) : NULL;
}

bool
ecs_list_service_deployments(struct request *rq, struct json *out, struct err *err)
{
    const struct service *s = find_service(rq, err);
    cleanup(ecs_page_done) struct ecs_page page = {0};

    if (s == NULL)
        return false;
    for (const struct service_deployment *sd = s->history; sd != NULL; sd = sd->next) {
        if (has_status(json_get(rq->input, "status"), sd->status) &&
            is_created_within(json_get(rq->input, "createdAt"), sd->created_at_ms))
            ecs_page_add(&page, brief(rq, s, sd), "%020lld %s", (long long)sd->created_at_ms, sd->arn);
    }
    return ecs_page_write(&page, rq, "serviceDeployments", 20, /* descending= */ true, out, err);
}

/* ---- Describe... ---- */

static const struct service *
find_deployment(const struct request *rq, const char *arn, struct service_deployment **out)
{
    return request_is_region_of(rq, arn) ? core_service_of_deployment(rq->core, arn, out) : NULL;
}

bool
ecs_describe_service_deployments(struct request *rq, struct json *out, struct err *err)
{
    const struct json *arns = json_get(rq->input, "serviceDeploymentArns");
    struct json *found, *failures;

    if (!ecs_check_list(rq, "serviceDeploymentArns", DESCRIBED_MAX,
                        "Service deployment ARNs cannot be empty.", err))
        return false;
    found = json_array();
    failures = json_array();
    for (size_t i = 0; i < json_size(arns); i++) {
        const char *arn = json_cstr(json_at(arns, i), "");
        struct service_deployment *sd = NULL;
        const struct service *s = find_deployment(rq, arn, &sd);

        if (s != NULL)
            json_append(found, ecs_describe_service_deployment(rq, s, sd));
        else
            json_append(failures, ecs_failure(arn, "MISSING"));
    }
    json_set(out, "serviceDeployments", found);
    json_set(out, "failures", failures);
    return true;
}

static const struct service *
find_revision(const struct request *rq, const char *arn, const struct revision **out)
{
    if (!request_is_region_of(rq, arn))
        return NULL;
    for (const struct service *s = rq->core->services; s != NULL; s = s->next) {
        *out = service_find_revision(s, arn);
        if (*out != NULL)
            return s;
    }
    return NULL;
}

bool
ecs_describe_service_revisions(struct request *rq, struct json *out, struct err *err)
{
    const struct json *arns = json_get(rq->input, "serviceRevisionArns");
    struct json *found, *failures;

    if (!ecs_check_list(rq, "serviceRevisionArns", DESCRIBED_MAX,
                        "Service revision ARNs cannot be empty.", err))
        return false;
    found = json_array();
    failures = json_array();
    for (size_t i = 0; i < json_size(arns); i++) {
        const char *arn = json_cstr(json_at(arns, i), "");
        const struct revision *revision = NULL;
        const struct service *s = find_revision(rq, arn, &revision);

        if (s != NULL)
            json_append(found, ecs_describe_revision(rq, s, revision));
        else
            json_append(failures, ecs_failure(arn, "MISSING"));
    }
    json_set(out, "serviceRevisions", found);
    json_set(out, "failures", failures);
    return true;
}

/* ---- StopServiceDeployment (ecs.md 6.6) ---- */

bool
ecs_stop_service_deployment(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "serviceDeploymentArn", "");
    const bool rolls_back =
        strcmp(json_get_cstr(rq->input, "stopType", "ROLLBACK"), "ROLLBACK") == 0;
    struct service_deployment *sd = NULL;
    const struct service *s = find_deployment(rq, arn, &sd);

    if (s == NULL)
        return err_set(err, ERR_SERVICE_DEPLOYMENT_NOT_FOUND, "Service deployment not found.");
    switch (sd->status) {
    case SD_PENDING:
    case SD_IN_PROGRESS:
        if (sd->stage == STAGE_CLEAN_UP)
            return err_set(err, ERR_CONFLICT,
                           "The service deployment is in stage CLEAN_UP: it has all the traffic, and only a "
                           "new deployment leads back.");
        if (rolls_back && core_rollback_target(rq->core, s) == NULL)
            return err_set(err, ERR_CONFLICT,
                           "There is no completed deployment to roll back to; stopType ABORT stops "
                           "without a rollback.");
        request_step(rq, &(struct event){.type = EVENT_SERVICE_DEPLOYMENT_STOP,
                                         .service_deployment_stop = {.arn = sd->arn,
                                                                     .rolls_back = rolls_back}});
        break;
    case SD_STOP_REQUESTED:
    case SD_ROLLBACK_REQUESTED:
    case SD_ROLLBACK_IN_PROGRESS:
        break; /* under way already */
    default:
        return err_set(err, ERR_CONFLICT,
                       "The service deployment is in a terminal state (%s) and can not be stopped.",
                       sd_status_name(sd->status));
    }
    json_set(out, "serviceDeploymentArn", json_text(arn));
    return true;
}

/* ---- ContinueServiceDeployment ---- */

static const struct hook_run *
find_hook(const struct service *s, const struct service_deployment *sd, const char *hook_id)
{
    if (sd != service_current(s))
        return NULL;
    for (int i = 0; i < s->course.hook_count; i++) {
        if (strcmp(s->course.hooks[i].id, hook_id) == 0)
            return &s->course.hooks[i];
    }
    return NULL;
}

bool
ecs_continue_service_deployment(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "serviceDeploymentArn", "");
    const char *hook_id = json_get_cstr(rq->input, "hookId", "");
    const bool rolls_back =
        strcmp(json_get_cstr(rq->input, "action", "CONTINUE"), "ROLLBACK") == 0;
    struct service_deployment *sd = NULL;
    const struct service *s = find_deployment(rq, arn, &sd);
    const struct hook_run *run;

    if (s == NULL || sd == NULL)
        return err_set(err, ERR_SERVICE_DEPLOYMENT_NOT_FOUND, "Service deployment not found.");
    run = find_hook(s, sd, hook_id);
    if (run == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The service deployment has no lifecycle hook with hookId %.100s in its present "
                       "stage.", hook_id);
    if (run->status != HOOK_AWAITING_ACTION || s->course.is_frozen || s->course.is_returning)
        return err_set(err, ERR_INVALID_PARAMETER, "The lifecycle hook %s is not awaiting an action.",
                       hook_id);
    request_step(rq, &(struct event){.type = EVENT_SERVICE_DEPLOYMENT_CONTINUE,
                                     .service_deployment_continue = {.arn = sd->arn,
                                                                     .hook_id = hook_id,
                                                                     .rolls_back = rolls_back}});
    json_set(out, "serviceDeploymentArn", json_text(arn));
    return true;
}
