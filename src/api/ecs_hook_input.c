/* SPDX-License-Identifier: MIT */
#include "api/ecs_hook_input.h"

#include "api/ecs_describe.h"
#include "model/hook_target.h"

#define DETAILS_MAX 16384    /* bytes; a command finds them in its environment, too */
#define TIMEOUT_MAX_MIN 1440 /* a PAUSE may last longer, as long as the model allows */
#define SHIFTS (1 << STAGE_TEST_TRAFFIC_SHIFT | 1 << STAGE_PRODUCTION_TRAFFIC_SHIFT)
#define ROLLING_STAGES (1 << STAGE_PRE_SCALE_UP | 1 << STAGE_POST_PRODUCTION_TRAFFIC_SHIFT)

/* ---- where ---- */

static bool
read_stages(const struct json *list, int *out, struct err *err)
{
    *out = 0;
    for (size_t i = 0; i < json_size(list); i++) {
        enum lifecycle_stage stage;
        if (!lifecycle_stage_parse(str_of(json_cstr(json_at(list, i), "")), &stage))
            return err_set(err, ERR_INVALID_PARAMETER, "Unknown lifecycle stage.");
        *out |= 1 << stage;
    }
    if (*out == 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "lifecycleStages of a lifecycle hook can not be empty.");
    return true;
}

/* A hook that would never run is a mistake that nobody would notice. */
static bool
check_stages(const struct hook_config *hook, enum deployment_strategy strategy, struct err *err)
{
    if (hook->kind == HOOK_KIND_PAUSE && (hook->stages & SHIFTS) != 0)
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "A PAUSE hook can not be in TEST_TRAFFIC_SHIFT or PRODUCTION_TRAFFIC_SHIFT.");
    if (strategy == STRATEGY_ROLLING && (hook->stages & ~ROLLING_STAGES) != 0)
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "With the ROLLING deployment strategy a lifecycle hook can be in PRE_SCALE_UP and "
            "POST_PRODUCTION_TRAFFIC_SHIFT; it has no other stages.");
    return true;
}

/* ---- what ---- */

static bool
read_target(const struct json *o, struct hook_config *hook, struct err *err)
{
    const char *target = json_get_cstr(o, "hookTargetArn", "");

    if (hook->kind == HOOK_KIND_PAUSE)
        return (target[0] == '\0' && json_get(o, "roleArn") == NULL) ||
               err_set(err, ERR_INVALID_PARAMETER,
                       "hookTargetArn and roleArn do not apply to a lifecycle hook of targetType "
                       "PAUSE.");
    if (target[0] == '\0')
        return err_set(err, ERR_INVALID_PARAMETER,
                       "hookTargetArn is required for a lifecycle hook of targetType AWS_LAMBDA.");
    return hook_target_read(target, &hook->kind, err);
}

static bool
check_details(const struct json *o, struct err *err)
{
    const struct json *details = json_get(o, "hookDetails");
    cleanup_free char *text = details == NULL ? NULL : json_format(details);

    return text == NULL || strlen(text) <= DETAILS_MAX ||
           err_set(err, ERR_INVALID_PARAMETER,
                   "hookDetails of a lifecycle hook can have at most %d bytes.", DETAILS_MAX);
}

static bool
read_timeout(const struct json *o, struct hook_config *hook, struct err *err)
{
    const struct json *timeout = json_get(o, "timeoutConfiguration");

    hook->timeout_min = (int)json_get_i64(timeout, "timeoutInMinutes", 1440);
    hook->continues = strcmp(json_get_cstr(timeout, "action", "ROLLBACK"), "CONTINUE") == 0;
    return hook->kind == HOOK_KIND_PAUSE || hook->timeout_min <= TIMEOUT_MAX_MIN ||
           err_set(err, ERR_INVALID_PARAMETER,
                   "timeoutInMinutes of a lifecycle hook of targetType AWS_LAMBDA must be between "
                   "1 and %d.",
                   TIMEOUT_MAX_MIN);
}

static void
show(const struct json *o, const struct hook_config *hook, struct json *list)
{
    struct json *shown = json_copy(o), *timeout = json_object();

    json_set(shown, "targetType",
             json_text(hook->kind == HOOK_KIND_PAUSE ? "PAUSE" : "AWS_LAMBDA"));
    json_set(timeout, "timeoutInMinutes", json_int(hook->timeout_min));
    json_set(timeout, "action", json_text(hook->continues ? "CONTINUE" : "ROLLBACK"));
    json_set(shown, "timeoutConfiguration", timeout);
    json_append(list, shown);
}

static bool
read_hook(const struct json *o, enum deployment_strategy strategy, struct hook_config *out,
          struct json *list, struct err *err)
{
    const char *type = json_get_cstr(o, "targetType", "AWS_LAMBDA");
    struct hook_config hook = {.kind = HOOK_KIND_PAUSE};

    if (strcmp(type, "AWS_LAMBDA") == 0)
        hook.kind = HOOK_KIND_URL; /* until its target says more */
    else if (strcmp(type, "PAUSE") != 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Invalid targetType. Valid values are: AWS_LAMBDA, PAUSE");
    if (!read_target(o, &hook, err) ||
        !read_stages(json_get(o, "lifecycleStages"), &hook.stages, err) ||
        !check_stages(&hook, strategy, err) || !check_details(o, err) ||
        !read_timeout(o, &hook, err))
        return false;
    show(o, &hook, list);
    *out = hook;
    return true;
}

bool
hooks_read(const struct json *given, const struct deployment_config *old, struct strategy_config *c,
           struct json *doc, struct err *err)
{
    const struct json *list = json_get(given, "lifecycleHooks");
    cleanup_json struct json *shown = json_array();

    if (list == NULL && old != NULL)
        list = json_get(old->doc, "lifecycleHooks");
    if (json_size(list) > HOOKS_MAX)
        return err_set(err, ERR_INVALID_PARAMETER, "A service can have at most %d lifecycleHooks.",
                       HOOKS_MAX);
    c->hook_count = 0;
    for (size_t i = 0; i < json_size(list); i++) {
        if (!read_hook(json_at(list, i), c->strategy, &c->hooks[c->hook_count++], shown, err))
            return false;
    }
    if (c->hook_count > 0)
        json_set(doc, "lifecycleHooks", TAKE(shown));
    return true;
}

/* ---- task definitions ---- */

static bool
resolve(const struct request *rq, enum launch_type launch_type, struct json *hook, struct err *err)
{
    const char *target = json_get_cstr(hook, "hookTargetArn", "");
    const struct task_definition *td = ecs_definition_named(rq, target);

    if (td == NULL || td->status != TASK_DEFINITION_ACTIVE)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "hookTargetArn %.200s: there is no active task definition of that ARN.",
                       target);
    if (launch_type == LAUNCH_FARGATE ? !td->fits_fargate : !td->fits_ec2)
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "hookTargetArn %.200s: the task definition does not support launch_type %s, which the "
            "service has.",
            target, launch_type_name(launch_type));
    json_set(hook, "hookTargetArn", json_text(td->arn));
    return true;
}

bool
hooks_resolve(const struct request *rq, enum launch_type launch_type,
              struct deployment_config *config, struct err *err)
{
    struct json *list = json_get(config->doc, "lifecycleHooks");

    for (int i = 0; i < config->strategy.hook_count; i++) {
        if (config->strategy.hooks[i].kind == HOOK_KIND_TASK &&
            !resolve(rq, launch_type, json_at(list, (size_t)i), err))
            return false;
    }
    return true;
}
