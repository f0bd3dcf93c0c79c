/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "api/ecs_describe.h"
#include "api/ecs_operations.h"
#include "api/ecs_service_input.h"
#include "api/ecs_task_definition.h"
#include "core/placement.h"
#include "model/arn.h"

#define OVERRIDES_SIZE_MAX 8192
#define RUN_MAX 10    /* of one RunTask */
#define TASKS_MAX 100 /* of one DescribeTasks */

/* ---- RunTask ---- */

static bool
check_override(const struct task_definition *td, const struct json *override, struct err *err)
{
    const char *name = json_get_cstr(override, "name", "");

    if (task_definition_container(td, name) == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Override for container named %.255s is not a container in the TaskDefinition.",
                       name);
    if (json_size(json_get(override, "environmentFiles")) > 0 ||
        json_size(json_get(override, "resourceRequirements")) > 0)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "Overrides of environmentFiles and resourceRequirements are not built in naru yet.");
    if (!definition_is_environment(json_get(override, "environment")))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Invalid override for container %s: Environment variable names must not be empty or "
                       "contain '='.", name);
    if (json_get_i64(override, "cpu", 0) < 0 || json_get_i64(override, "memory", 4) < 4 ||
        json_get_i64(override, "memoryReservation", 4) < 4)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Invalid override for container %s: cpu must be at least 0, memory at least 4.",
                       name);
    return true;
}

static bool
set_size(struct json *overrides, const char *member, bool (*parse)(const char *text, int64_t *out),
         struct err *err)
{
    const char *text = json_get_cstr(overrides, member, NULL);
    int64_t n;
    char number[24];

    if (text == NULL)
        return true;
    if (!parse(text, &n) || n < 1 || n > INT32_MAX)
        return err_set(err, ERR_INVALID_PARAMETER, "Invalid '%s' in the task override: '%.40s'.", member,
                       text);
    snprintf(number, sizeof(number), "%lld", (long long)n);
    json_set(overrides, member, json_text(number));
    return true;
}

/* The overrides as the core keeps them: sizes as plain numbers. */
static bool
read_overrides(const struct request *rq, const struct task_definition *td, struct json **out,
               struct err *err)
{
    const struct json *given = json_get(rq->input, "overrides");
    const struct json *list = json_get(given, "containerOverrides");
    cleanup_json struct json *overrides = given != NULL ? json_copy(given) : json_object();
    cleanup_free char *text = json_format(overrides);

    if (strlen(text) > OVERRIDES_SIZE_MAX)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The overrides are %zu characters long; at most %d are allowed.", strlen(text),
                       OVERRIDES_SIZE_MAX);
    for (size_t i = 0; i < json_size(list); i++) {
        if (!check_override(td, json_at(list, i), err))
            return false;
    }
    if (!set_size(overrides, "cpu", definition_parse_cpu, err) ||
        !set_size(overrides, "memory", definition_parse_memory, err))
        return false;
    *out = TAKE(overrides);
    return true;
}

/* What has to be the same when a client token comes again; the cluster may be named either way. */
static struct json *
request_of(const struct request *rq)
{
    struct json *request = json_copy(rq->input);

    json_delete(request, "cluster");
    return request;
}

static struct json *
task_doc(const struct request *rq, const struct workload *w)
{
    static const char *const kept[] = {"enableExecuteCommand", "enableECSManagedTags", "clientToken"};
    struct json *doc = json_object();

    for (void *it = json_first(w->doc); it != NULL; it = json_next(w->doc, it))
        json_set(doc, json_key(it), json_ref(json_value(it)));
    for (size_t i = 0; i < ARRAY_COUNT(kept); i++) {
        if (json_get(rq->input, kept[i]) != NULL)
            json_set(doc, kept[i], json_ref(json_get(rq->input, kept[i])));
    }
    if (json_get(rq->input, "clientToken") != NULL)
        json_set(doc, "request", request_of(rq));
    return doc;
}

/* The tasks that a client token started, in the order of the first answer; as long as they are kept. */
static int
find_by_token(const struct request *rq, const struct cluster *cluster, const char *token,
              const struct task *found[static RUN_MAX])
{
    int count = 0;

    for (const struct task *t = rq->core->tasks; t != NULL && count < RUN_MAX; t = t->next) {
        if (strcmp(json_get_cstr(t->doc, "clientToken", ""), token) != 0 ||
            strcmp(t->cluster_arn, cluster->arn) != 0)
            continue;
        memmove(&found[1], &found[0], (size_t)count * sizeof(found[0])); /* newest first there */
        found[0] = t;
        count++;
    }
    return count;
}

/* The same token again: the same tasks, or a conflict if it came with other parameters. */
static bool
answer_token(struct request *rq, const struct cluster *cluster, bool *is_answered, struct json *out,
             struct err *err)
{
    const char *token = json_get_cstr(rq->input, "clientToken", NULL);
    const struct task *found[RUN_MAX];
    const int count = token == NULL ? 0 : find_by_token(rq, cluster, token, found);
    cleanup_json struct json *request = count == 0 ? NULL : request_of(rq);
    struct json *tasks;

    if (count == 0)
        return true;
    if (!json_equal(json_get(found[0]->doc, "request"), request)) {
        struct json *ids = json_array();
        for (int i = 0; i < count; i++)
            json_append(ids, json_text(found[i]->id));
        json_set(out, "resourceIds", ids);
        return err_set(err, ERR_CONFLICT,
                       "The client token was used before with other parameters.");
    }
    tasks = json_array();
    for (int i = 0; i < count; i++)
        json_append(tasks, ecs_describe_task(rq, found[i], true));
    json_set(out, "tasks", tasks);
    json_set(out, "failures", json_array());
    *is_answered = true;
    return true;
}

static bool
check_run(const struct request *rq, struct err *err)
{
    const char *group = json_get_cstr(rq->input, "group", "");

    if (strlen(group) >= NAME_SIZE)
        return err_set(err, ERR_INVALID_PARAMETER, "The group of a task is longer than %d bytes.",
                       NAME_SIZE - 1);
    if (strncmp(group, "service:", 8) == 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The group of a task must not start with 'service:', which is reserved.");
    if (strcmp(json_get_cstr(rq->input, "propagateTags", ""), "SERVICE") == 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "propagateTags SERVICE is for services; use TASK_DEFINITION or NONE.");
    return service_check_built(rq->input, err) && ecs_check_tags(json_get(rq->input, "tags"), err);
}

/* Why the last ones of a RunTask found no place. */
static struct json *
placement_failures(const struct request *rq, const struct cluster *cluster, const struct workload *w,
                   int count)
{
    struct container_instance *instance, *closest;
    struct json *failures = json_array();
    const char *why;

    if (count > 0 && !place_find(rq->core, cluster->arn, w->definition, w->launch_type, &instance,
                                 &closest, &why))
        json_append(failures, ecs_failure(closest != NULL ? closest->arn : cluster->arn, why));
    return failures;
}

static void
run(struct request *rq, const struct cluster *cluster, const struct workload *w,
    const struct json *overrides, struct json *out)
{
    const bool inherits =
        strcmp(json_get_cstr(rq->input, "propagateTags", "NONE"), "TASK_DEFINITION") == 0;
    cleanup_json struct json *doc = task_doc(rq, w);
    cleanup_json struct json *tags =
        ecs_merge_tags(inherits ? w->definition->tags : NULL, json_get(rq->input, "tags"));
    const char *family = arena_format(rq->arena, "family:%s", w->definition->family);
    const int count = (int)json_get_i64(rq->input, "count", 1);
    struct json *tasks = json_array();

    request_step(rq, &(struct event){
        .type = EVENT_TASK_RUN,
        .task_run = {.cluster_arn = cluster->arn,
                     .task_definition_arn = w->definition->arn,
                     .group = json_get_cstr(rq->input, "group", family),
                     .started_by = json_get_cstr(rq->input, "startedBy", ""),
                     .count = count,
                     .launch_type = w->launch_type,
                     .overrides = overrides,
                     .doc = doc,
                     .tags = tags}});
    for (int i = 0; i < rq->core->created_count; i++) {
        const struct task *t = core_task_by_arn(rq->core, rq->core->created_arns[i]);
        if (t != NULL)
            json_append(tasks, ecs_describe_task(rq, t, true));
    }
    json_set(out, "tasks", tasks);
    json_set(out, "failures", placement_failures(rq, cluster, w, count - rq->core->created_count));
}

bool
ecs_run_task(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    cleanup(workload_done) struct workload w = {0};
    cleanup_json struct json *overrides = NULL;
    bool is_answered = false;

    if (cluster == NULL || !check_run(rq, err) || !answer_token(rq, cluster, &is_answered, out, err))
        return false;
    if (is_answered)
        return true;
    if (!workload_read(rq, cluster, NULL, &w, err) ||
        !read_overrides(rq, w.definition, &overrides, err))
        return false;
    if (w.launch_type == LAUNCH_EC2 && ecs_instance_of_cluster(rq->core, cluster) == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "No Container Instances were found in your cluster.");
    run(rq, cluster, &w, overrides, out);
    return true;
}

/* ---- StopTask ---- */

bool
ecs_stop_task(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const char *name = json_get_cstr(rq->input, "task", "");
    const struct task *task;

    if (cluster == NULL)
        return false;
    task = core_task(rq->core, cluster, str_of(name));
    if (task == NULL)
        return err_set(err, ERR_INVALID_PARAMETER, "The referenced task was not found.");
    if (task_is_wanted(task))
        request_step(rq, &(struct event){
            .type = EVENT_TASK_STOP_REQUEST,
            .task_stop_request = {
                .task_arn = task->arn,
                .reason = json_get_cstr(rq->input, "reason", "Task stopped by user")}});
    json_set(out, "task", ecs_describe_task(rq, task, false));
    return true;
}

/* ---- DescribeTasks ---- */

bool
ecs_describe_tasks(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const struct json *names = json_get(rq->input, "tasks");
    struct json *tasks, *failures;

    if (cluster == NULL || !ecs_check_list(rq, "tasks", TASKS_MAX, "Tasks cannot be empty.", err))
        return false;
    tasks = json_array();
    failures = json_array();
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        const struct task *task = core_task(rq->core, cluster, str_of(name));

        if (task != NULL) {
            struct json *o = ecs_describe_task(rq, task, ecs_includes(rq, "TAGS"));
            if (ecs_includes(rq, "POSTMORTEM"))
                json_set(o, "postmortem", ecs_postmortem(rq, task));
            json_append(tasks, o);
        } else {
            json_append(failures, ecs_failure_missing(rq, cluster, "task", name));
        }
    }
    json_set(out, "tasks", tasks);
    json_set(out, "failures", failures);
    return true;
}

/* ---- ListTasks ---- */

struct task_filter {
    const char *cluster_arn, *family, *service_arn, *started_by, *instance, *launch_type;
    const char *desired_status;
};

static bool
is_family(const struct task *t, const char *family)
{
    const struct str last = arn_last(str_of(t->task_definition_arn));
    const ptrdiff_t colon = str_rindex(last, ':');

    return str_is(colon < 0 ? last : str_slice(last, 0, (size_t)colon), family);
}

static bool
matches(const struct task *t, const struct task_filter *f)
{
    const char *started_by = t->deployment_id[0] != '\0' ? t->deployment_id : t->started_by;

    return strcmp(t->cluster_arn, f->cluster_arn) == 0 &&
           strcmp(task_status_name(t->desired_status), f->desired_status) == 0 &&
           (f->service_arn == NULL || strcmp(t->service_arn, f->service_arn) == 0) &&
           (f->started_by == NULL || strcmp(started_by, f->started_by) == 0) &&
           (f->launch_type == NULL || strcmp(launch_type_name(t->launch_type), f->launch_type) == 0) &&
           (f->family == NULL || is_family(t, f->family)) &&
           (f->instance == NULL || strcmp(t->instance_arn, f->instance) == 0 ||
            str_is(arn_last(str_of(t->instance_arn)), f->instance));
}

static bool
read_filter(const struct request *rq, const struct cluster *cluster, struct task_filter *f,
            struct err *err)
{
    const char *service_name = json_get_cstr(rq->input, "serviceName", NULL);
    const struct service *service = NULL;

    *f = (struct task_filter){
        .cluster_arn = cluster->arn,
        .family = json_get_cstr(rq->input, "family", NULL),
        .started_by = json_get_cstr(rq->input, "startedBy", NULL),
        .instance = json_get_cstr(rq->input, "containerInstance", NULL),
        .launch_type = json_get_cstr(rq->input, "launchType", NULL),
        .desired_status = json_get_cstr(rq->input, "desiredStatus", "RUNNING"),
    };
    if (json_get(rq->input, "daemonName") != NULL)
        return err_set(err, ERR_UNSUPPORTED_FEATURE, "daemonName: daemons are not built in naru yet.");
    if (f->started_by != NULL && (service_name != NULL || f->family != NULL || f->instance != NULL))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Cannot specify startedBy with another filter: it must be the only one.");
    if (service_name != NULL) {
        service = ecs_find_service(rq, cluster, service_name, err);
        if (service == NULL)
            return false;
        f->service_arn = service->arn;
    }
    return true;
}

bool
ecs_list_tasks(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    cleanup(ecs_page_done) struct ecs_page page = {0};
    struct task_filter filter;

    if (cluster == NULL || !read_filter(rq, cluster, &filter, err))
        return false;
    for (const struct task *t = rq->core->tasks; t != NULL; t = t->next) {
        if (matches(t, &filter))
            ecs_page_add(&page, json_text(t->arn), "%s", t->arn);
    }
    return ecs_page_write(&page, rq, "taskArns", 100, false, out, err);
}
