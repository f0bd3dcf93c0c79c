/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "api/ecs_capacity.h"
#include "api/ecs_describe.h"
#include "api/ecs_operations.h"
#include "api/ecs_service_input.h"
#include "api/ecs_task_definition.h"
#include "core/placement.h"
#include "model/arn.h"

#define OVERRIDES_SIZE_MAX 8192
#define RUN_MAX 10     /* of one RunTask */
#define TASKS_MAX 100  /* of one DescribeTasks */
#define STARTED_MAX 10 /* instances of one StartTask */

/* ---- RunTask ---- */

static bool
check_override(const struct workload *w, const struct json *override, struct err *err)
{
    const char *name = json_get_cstr(override, "name", "");
    struct err why = {0};

    if (task_definition_container(w->definition, name) == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Override for container named %.255s is not a container in the TaskDefinition.",
                       name);
    if (json_size(json_get(override, "environmentFiles")) > 0)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "Overrides of environmentFiles are not built in naru yet.");
    if (!definition_check_requirements(override, &why))
        return err_set(err, ERR_INVALID_PARAMETER, "%s", why.message);
    if (w->launch_type != LAUNCH_EC2 && json_size(json_get(override, "resourceRequirements")) > 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Invalid override for container %s: Fargate does not support "
                       "'resourceRequirements'.", name);
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
read_overrides(const struct request *rq, const struct workload *w, struct json **out,
               struct err *err)
{
    const struct json *given = json_get(rq->input, "overrides");
    const struct json *list = json_get(given, "containerOverrides");
    cleanup_json struct json *overrides = given != NULL ? json_copy(given) : json_object();
    cleanup_free char *text = json_format(overrides);

    if (json_size(json_get(given, "inferenceAcceleratorOverrides")) > 0)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "Overrides of inferenceAcceleratorOverrides are not built in naru yet.");
    if (strlen(text) > OVERRIDES_SIZE_MAX)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The overrides are %zu characters long; at most %d are allowed.", strlen(text),
                       OVERRIDES_SIZE_MAX);
    for (size_t i = 0; i < json_size(list); i++) {
        if (!check_override(w, json_at(list, i), err))
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

/* What all tasks of a call have in common. */
struct launch {
    const struct cluster *cluster;
    struct workload w;
    struct placement_rules rules;
    struct json *overrides, *doc, *tags;
    const char *group;
};

static void
launch_done(struct launch *l)
{
    workload_done(&l->w);
    placement_rules_done(&l->rules);
    json_unref(l->overrides);
    json_unref(l->doc);
    json_unref(l->tags);
}

static bool
launch_read(struct request *rq, const struct cluster *cluster, struct launch *l, struct err *err)
{
    const bool inherits =
        strcmp(json_get_cstr(rq->input, "propagateTags", "NONE"), "TASK_DEFINITION") == 0;

    if (!workload_read(rq, cluster, NULL, &l->w, err) ||
        !read_overrides(rq, &l->w, &l->overrides, err) ||
        !placement_read(rq->input, l->w.launch_type, &l->rules, err))
        return false;
    l->cluster = cluster;
    l->doc = task_doc(rq, &l->w);
    l->tags = ecs_merge_tags(inherits ? l->w.definition->tags : NULL, json_get(rq->input, "tags"));
    l->group = json_get_cstr(rq->input, "group",
                             arena_format(rq->arena, "family:%s", l->w.definition->family));
    return true;
}

static const struct json *
launch_providers(const struct launch *l)
{
    return json_get(l->w.doc, "capacityProviderStrategy");
}

/* How many of `count` were started; `instance_arn` NULL: wherever the scheduler puts them. */
static int
launch(struct request *rq, const struct launch *l, int count, const char *instance_arn,
       struct json *tasks)
{
    request_step(rq, &(struct event){
        .type = EVENT_TASK_RUN,
        .task_run = {.cluster_arn = l->cluster->arn,
                     .task_definition_arn = l->w.definition->arn,
                     .group = l->group,
                     .started_by = json_get_cstr(rq->input, "startedBy", ""),
                     .count = count,
                     .launch_type = l->w.launch_type,
                     .instance_arn = instance_arn,
                     .rules = &l->rules,
                     .providers = launch_providers(l),
                     .overrides = l->overrides,
                     .doc = l->doc,
                     .tags = l->tags}});
    for (int i = 0; i < rq->core->created_count; i++) {
        const struct task *t = core_task_by_arn(rq->core, rq->core->created_arns[i]);
        if (t != NULL)
            json_append(tasks, ecs_describe_task(rq, t, true));
    }
    return rq->core->created_count;
}

/* Of which a call without any could start nothing ever. */
static bool
check_instances(const struct request *rq, const struct launch *l, struct err *err)
{
    const struct json *strategy = launch_providers(l);

    if (l->w.launch_type != LAUNCH_EC2)
        return true;
    if (l->cluster->instances == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "No Container Instances were found in your cluster.");
    for (const struct container_instance *i = l->cluster->instances;
         json_size(strategy) > 0 && i != NULL; i = i->next_in_cluster) {
        const struct capacity_provider *p = capacity_of_instance(rq, i);
        for (size_t k = 0; p != NULL && k < json_size(strategy); k++) {
            if (strcmp(json_get_cstr(json_at(strategy, k), "capacityProvider", ""), p->name) == 0)
                return true;
        }
    }
    return json_size(strategy) == 0 ||
           err_set(err, ERR_INVALID_PARAMETER,
                   "No Container Instances were found in your capacity provider.");
}

/* Why `i` took no (further) task. */
static void
add_failure(const struct request *rq, const struct launch *l, const struct container_instance *i,
            struct json *failures)
{
    struct place_request wanted = {.cluster = l->cluster,
                                   .definition = l->w.definition,
                                   .launch_type = l->w.launch_type,
                                   .rules = &l->rules,
                                   .group = l->group};
    enum place_lack lack;
    struct json *failure;

    place_size(&wanted, l->overrides);
    lack = place_lack(&wanted, i);
    if (lack == PLACE_FITS)
        return;
    failure = ecs_failure(i->arn, place_reason(lack));
    if (place_detail(lack) != NULL)
        json_set(failure, "detail", json_text(place_detail(lack)));
    json_append(failures, failure);
}

/* An entry for each instance that was considered (ecs.md 4.5); if it was none's fault, the cluster's. */
static void
add_failures(const struct request *rq, const struct launch *l, struct json *failures)
{
    for (const struct container_instance *i = l->cluster->instances;
         l->w.launch_type == LAUNCH_EC2 && i != NULL; i = i->next_in_cluster)
        add_failure(rq, l, i, failures);
    if (json_size(failures) == 0)
        json_append(failures, ecs_failure(l->cluster->arn, rq->core->run_failure));
}

bool
ecs_run_task(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    cleanup(launch_done) struct launch l = {0};
    const int count = (int)json_get_i64(rq->input, "count", 1);
    struct json *tasks, *failures;
    bool is_answered = false;

    if (cluster == NULL || !check_run(rq, err) || !answer_token(rq, cluster, &is_answered, out, err))
        return false;
    if (is_answered)
        return true;
    if (!launch_read(rq, cluster, &l, err))
        return false;
    if (!check_instances(rq, &l, err) || !capacity_check_count(launch_providers(&l), count, err))
        return false;
    tasks = json_array();
    failures = json_array();
    if (launch(rq, &l, count, /* instance_arn= */ NULL, tasks) < count)
        add_failures(rq, &l, failures);
    json_set(out, "tasks", tasks);
    json_set(out, "failures", failures);
    return true;
}

/* ---- StartTask ---- */

/* On the instances that are named, without the scheduler; constraints of the definition hold. */
bool
ecs_start_task(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const struct json *names = json_get(rq->input, "containerInstances");
    cleanup(launch_done) struct launch l = {0};
    struct json *tasks, *failures;

    if (cluster == NULL || !check_run(rq, err) ||
        !ecs_check_list(rq, "containerInstances", STARTED_MAX, "Container Instances cannot be empty.",
                        err) ||
        !ecs_check_owners(rq, cluster, "containerInstances", err) ||
        !launch_read(rq, cluster, &l, err))
        return false;
    tasks = json_array();
    failures = json_array();
    for (size_t k = 0; k < json_size(names); k++) {
        const char *name = json_cstr(json_at(names, k), "");
        const struct container_instance *i = ecs_find_instance(rq, cluster, name);
        if (i == NULL)
            json_append(failures, ecs_failure_missing(rq, cluster, "container-instance", name));
        else if (launch(rq, &l, 1, i->arn, tasks) == 0)
            add_failure(rq, &l, i, failures);
    }
    json_set(out, "tasks", tasks);
    json_set(out, "failures", failures);
    return true;
}

/* ---- StopTask ---- */

bool
ecs_stop_task(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const char *name = json_get_cstr(rq->input, "task", "");
    const struct task *task;

    if (cluster == NULL || !ecs_check_owner(cluster, name, err))
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

    if (cluster == NULL || !ecs_check_list(rq, "tasks", TASKS_MAX, "Tasks cannot be empty.", err) ||
        !ecs_check_owners(rq, cluster, "tasks", err))
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
