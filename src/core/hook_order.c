/* SPDX-License-Identifier: MIT */
/* hook_order.c - what a lifecycle hook is told (ecs.md 6.8).
 * The target is always the revision that the service deployment brings, also on the way back: then
 * it is the weights that are those of before. */
#include "core/hooks.h"
#include "core/traffic_shift.h"

static struct json *
percent(int share)
{
    return share % 10 == 0 ? json_int(share / 10) : json_real(share / 10.0);
}

/* {} where no traffic is moved. */
static struct json *
weights(const struct service *s, const char *target, int share)
{
    const struct deployment *base = service_find_deployment(s, s->course.base_id);
    struct json *o = json_object();

    if (!s->course.is_on)
        return o;
    json_set(o, target, percent(share));
    if (base != NULL && strcmp(base->revision->arn, target) != 0)
        json_set(o, base->revision->arn, percent(SHARE_ALL - share));
    return o;
}

static struct json *
payload(const struct service *s, const struct hook_run *run)
{
    const struct service_deployment *sd = service_current(s);
    const struct json *details = json_get(hooks_document(s, run), "hookDetails");
    struct json *o = json_object(), *execution = json_object();

    json_set(o, "executionId", json_text(run->id));
    json_set(o, "lifecycleStage", json_text(lifecycle_stage_name(hooks_stage(&s->course))));
    json_set(o, "resourceArn", json_text(sd->arn));
    json_set(execution, "serviceArn", json_text(s->arn));
    json_set(execution, "targetServiceRevisionArn", json_text(sd->target_revision_arn));
    json_set(execution, "testTrafficWeights",
             weights(s, sd->target_revision_arn, s->course.test_share));
    json_set(execution, "productionTrafficWeights",
             weights(s, sd->target_revision_arn, s->course.share));
    json_set(o, "executionDetails", execution);
    json_set(o, "hookDetails", details == NULL ? NULL : json_copy(details));
    return o;
}

bool
core_hook_order(const struct core *core, const struct ef_hook_call *call, struct hook_order *out)
{
    struct service_deployment *sd = NULL;
    const struct service *s = core_service_of_deployment(core, call->service_deployment_arn, &sd);

    if (s == NULL || sd != service_current(s))
        return false;
    for (int i = 0; i < s->course.hook_count; i++) {
        const struct hook_run *run = &s->course.hooks[i];
        if (strcmp(run->id, call->hook_id) != 0 || run->status != HOOK_IN_PROGRESS ||
            run->attempt != call->attempt)
            continue;
        *out = (struct hook_order){.target = hooks_target(s, run),
                                   .payload = payload(s, run),
                                   .time_left_ms = run->expires_at_ms - core->now_ms};
        return true;
    }
    return false;
}
