/* SPDX-License-Identifier: MIT */
#include "api/ecs_describe.h"
#include "api/ecs_operations.h"

#define UPDATE_MAX 10
#define GET_MAX 100
#define DEFAULT_MINUTES 120

static struct json *
describe_protection(const struct request *rq, const struct task *t)
{
    const bool is_protected = core_task_is_protected(rq->core, t);
    struct json *o = json_object();

    json_set(o, "taskArn", json_text(t->arn));
    json_set(o, "protectionEnabled", json_bool(is_protected));
    if (is_protected)
        ecs_set_time(rq, o, "expirationDate", t->protected_until_ms);
    return o;
}

static struct json *
failure_with_detail(const struct task *t, const char *reason, const char *detail)
{
    struct json *failure = ecs_failure(t->arn, reason);

    json_set(failure, "detail", json_text(detail));
    return failure;
}

/* ---- UpdateTaskProtection ---- */

static bool
read_duration(const struct request *rq, int64_t *ms_out, struct err *err)
{
    const bool turns_on = json_get_bool(rq->input, "protectionEnabled", false);

    if (!turns_on && json_get(rq->input, "expiresInMinutes") != NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "expiresInMinutes can only be given with protectionEnabled true.");
    *ms_out =
        !turns_on ? 0 : json_get_i64(rq->input, "expiresInMinutes", DEFAULT_MINUTES) * 60 * 1000;
    return true;
}

/* Moves one task into one of the two lists. */
static void
protect(struct request *rq, const struct task *t, int64_t duration_ms, struct json *done,
        struct json *failures)
{
    const char *detail, *reason = core_protection_obstacle(t, duration_ms > 0, &detail);
    char arn[ARN_SIZE];

    if (reason != NULL) {
        json_append(failures, failure_with_detail(t, reason, detail));
        return;
    }
    text_copy(arn, sizeof(arn), str_of(t->arn));
    request_step(rq,
                 &(struct event){.type = EVENT_TASK_PROTECT,
                                 .task_protect = {.task_arn = arn, .duration_ms = duration_ms}});
    t = core_task_by_arn(rq->core, arn); /* a step may forget a task that stopped long ago */
    if (t != NULL)
        json_append(done, describe_protection(rq, t));
}

bool
ecs_update_task_protection(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const struct json *names = json_get(rq->input, "tasks");
    struct json *done, *failures;
    int64_t duration_ms = 0;

    if (cluster == NULL ||
        !ecs_check_list(rq, "tasks", UPDATE_MAX, "Tasks cannot be empty.", err) ||
        !ecs_check_owners(rq, cluster, "tasks", err) ||
        !read_duration(rq, &duration_ms, err))
        return false;
    done = json_array();
    failures = json_array();
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        const struct task *t = core_task(rq->core, cluster, str_of(name));

        if (t == NULL)
            json_append(failures, ecs_failure_missing(rq, cluster, "task", name));
        else
            protect(rq, t, duration_ms, done, failures);
    }
    json_set(out, "protectedTasks", done);
    json_set(out, "failures", failures);
    return true;
}

/* ---- GetTaskProtection ---- */

static void
get_named(const struct request *rq, const struct cluster *cluster, struct json *found,
          struct json *failures)
{
    const struct json *names = json_get(rq->input, "tasks");

    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        const struct task *t = core_task(rq->core, cluster, str_of(name));
        const char *detail,
            *reason = t == NULL ? NULL : core_protection_obstacle(t, false, &detail);

        if (t == NULL)
            json_append(failures, ecs_failure_missing(rq, cluster, "task", name));
        else if (reason != NULL)
            json_append(failures, failure_with_detail(t, reason, detail));
        else
            json_append(found, describe_protection(rq, t));
    }
}

static void
get_all(const struct request *rq, const struct cluster *cluster, struct json *found)
{
    for (const struct task *t = rq->core->tasks; t != NULL; t = t->next) {
        if (strcmp(t->cluster_arn, cluster->arn) == 0 && core_task_is_protected(rq->core, t))
            json_append(found, describe_protection(rq, t));
    }
}

bool
ecs_get_task_protection(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const bool names_tasks = json_size(json_get(rq->input, "tasks")) > 0;
    struct json *found, *failures;

    if (cluster == NULL ||
        (names_tasks && !ecs_check_list(rq, "tasks", GET_MAX, "Tasks cannot be empty.", err)) ||
        !ecs_check_owners(rq, cluster, "tasks", err))
        return false;
    found = json_array();
    failures = json_array();
    if (names_tasks)
        get_named(rq, cluster, found, failures);
    else
        get_all(rq, cluster, found);
    json_set(out, "protectedTasks", found);
    json_set(out, "failures", failures);
    return true;
}
