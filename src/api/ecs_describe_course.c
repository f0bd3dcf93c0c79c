/* SPDX-License-Identifier: MIT */
/* Where a deployment stands that moves traffic: its stage, its hooks, its weights (ecs.md 6.7, 6.8). */
#include "api/ecs_describe.h"

/* The wire has no name for the stage before a shift: it is shown as part of the shift. */
static const char *
shown_stage(enum lifecycle_stage stage)
{
    return lifecycle_stage_name(stage == STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT
                                    ? STAGE_PRODUCTION_TRAFFIC_SHIFT
                                    : stage);
}

static struct json *
describe_hook(const struct request *rq, const struct service_deployment *sd,
              const struct course *course, const struct hook_run *run)
{
    const struct json *hook = json_at(json_get(sd->config, "lifecycleHooks"), (size_t)run->hook);
    const bool is_pause = course->plan.hooks[run->hook].kind == HOOK_KIND_PAUSE;
    struct json *o = json_object();

    json_set(o, "hookId", json_text(run->id));
    json_set(o, "targetType", json_text(is_pause ? "PAUSE" : "AWS_LAMBDA"));
    if (!is_pause)
        json_set(o, "targetArn", json_text(json_get_cstr(hook, "hookTargetArn", "")));
    json_set(o, "status", json_text(hook_status_name(run->status)));
    ecs_set_time(rq, o, "expiresAt", run->expires_at_ms);
    json_set(o, "timeoutAction",
             json_text(course->plan.hooks[run->hook].continues ? "CONTINUE" : "ROLLBACK"));
    return o;
}

/* Only the newest service deployment can have a course; a rolling update with hooks is in a stage of one. */
static const struct course *
course_of(const struct service *service, const struct service_deployment *sd)
{
    const struct course *course = &service->course;

    return sd == service_current(service) && (course->is_on || course->stage != STAGE_NONE) ? course : NULL;
}

void
ecs_describe_course(const struct request *rq, const struct service *service,
                    const struct service_deployment *sd, struct json *out)
{
    const struct course *course = course_of(service, sd);
    struct json *hooks;

    if (sd->stage != STAGE_NONE)
        json_set(out, "lifecycleStage", json_text(shown_stage(sd->stage)));
    if (course == NULL)
        return;
    hooks = json_array();
    for (int i = 0; i < course->hook_count; i++)
        json_append(hooks, describe_hook(rq, sd, course, &course->hooks[i]));
    json_set(out, "lifecycleHookDetails", hooks);
}

void
ecs_describe_weights(const struct service *service, const struct service_deployment *sd,
                     const char *revision_arn, struct json *out)
{
    const struct course *course = course_of(service, sd);
    const struct deployment *base =
        course == NULL ? NULL : service_find_deployment(service, course->base_id);
    const bool is_target = strcmp(sd->target_revision_arn, revision_arn) == 0;
    const bool is_base = base != NULL && strcmp(base->revision->arn, revision_arn) == 0;

    if (!is_target && !is_base)
        return;
    if (course == NULL || !course->is_on)
        return;
    json_set(out, "requestedProductionTrafficWeight",
             json_real((is_target ? course->share : 1000 - course->share) / 10.0));
    json_set(out, "requestedTestTrafficWeight",
             json_real((is_target ? course->test_share : 1000 - course->test_share) / 10.0));
}
