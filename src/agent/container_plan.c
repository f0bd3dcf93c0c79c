/* SPDX-License-Identifier: MIT */
/* container_plan.c - what the runner has to know of a container: names, image, order, timeouts. */
#include "agent/container_spec.h"
#include <ctype.h>
#include <stdio.h>

static const struct json *
definition_at(const struct agent_task *task, int index)
{
    return json_at(json_get(task->definition, "containerDefinitions"), (size_t)index);
}

int
container_spec_count(const struct agent_task *task)
{
    const size_t n = json_size(json_get(task->definition, "containerDefinitions"));

    return n > CONTAINERS_MAX ? CONTAINERS_MAX : (int)n;
}

bool
container_spec_is_awsvpc(const struct agent_task *task)
{
    return strcmp(json_get_cstr(task->definition, "networkMode", "bridge"), "awsvpc") == 0;
}

bool
container_spec_needs_pause(const struct agent_task *task)
{
    if (container_spec_count(task) < 2)
        return false; /* alone in its namespaces anyway */
    return container_spec_is_awsvpc(task) ||
           strcmp(json_get_cstr(task->definition, "pidMode", ""), "task") == 0 ||
           strcmp(json_get_cstr(task->definition, "ipcMode", ""), "task") == 0;
}

bool
container_spec_has_secrets(const struct agent_task *task)
{
    const struct json *containers = json_get(task->definition, "containerDefinitions");

    for (size_t i = 0; i < json_size(containers); i++) {
        if (json_size(json_get(json_at(containers, i), "secrets")) > 0)
            return true;
    }
    return false;
}

/* ECS drops everything but letters, digits and '-' from the container's part. */
static void
strip_name(const char *name, char out[static NAME_SIZE])
{
    size_t n = 0;

    for (const char *c = name; *c != '\0' && n + 1 < NAME_SIZE; c++)
        if (isalnum((unsigned char)*c) || *c == '-')
            out[n++] = *c;
    out[n] = '\0';
}

void
container_spec_docker_name(const struct agent_task *task, const char *container, int index,
                           char out[static DOCKER_NAME_SIZE])
{
    char part[NAME_SIZE], other[NAME_SIZE];
    bool is_taken = false;

    strip_name(container, part);
    /* "a_b" and "ab" become the same; the name must stay a function of task and container. */
    for (int i = 0; i < index; i++) {
        strip_name(json_get_cstr(definition_at(task, i), "name", ""), other);
        is_taken = is_taken || strcmp(part, other) == 0;
    }
    (void)snprintf(out, DOCKER_NAME_SIZE, "ecs-%s-%d-%s-%.20s", task->family, task->revision, part,
                   task->id);
    if (is_taken) {
        const size_t n = strlen(out);
        (void)snprintf(out + n, DOCKER_NAME_SIZE - n, "-%d", index);
    }
}

static int
index_of(const struct agent_task *task, struct str name)
{
    for (int i = 0; i < container_spec_count(task); i++)
        if (str_is(name, json_get_cstr(definition_at(task, i), "name", "")))
            return i;
    return -1;
}

static bool
add_dependency(const struct agent_task *task, struct container_plan *plan, struct str name,
               enum dependency_condition condition, struct err *err)
{
    const int index = index_of(task, name);

    if (index < 0)
        return err_set(err, ERR_CLIENT, "container '%s' depends on '" STR_FMT "', which is not in the task",
                       plan->name, STR_ARG(name));
    if (plan->dependency_count < DEPENDENCIES_MAX)
        plan->dependencies[plan->dependency_count++] = (struct dependency){index, condition};
    return true;
}

static bool
condition_parse(const char *text, enum dependency_condition *out)
{
    static const char *const names[] = {"CREATE", "START", "COMPLETE", "SUCCESS", "HEALTHY"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum dependency_condition)i;
            return true;
        }
    return false;
}

static bool
plan_dependencies(const struct agent_task *task, const struct json *def, struct container_plan *plan,
                  struct err *err)
{
    const struct json *list = json_get(def, "dependsOn");

    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *d = json_at(list, i);
        enum dependency_condition condition;

        if (!condition_parse(json_get_cstr(d, "condition", "START"), &condition))
            return err_set(err, ERR_CLIENT, "container '%s' has an unknown dependency condition", plan->name);
        if (!add_dependency(task, plan, str_of(json_get_cstr(d, "containerName", "")), condition, err))
            return false;
    }
    list = json_get(def, "links");
    for (size_t i = 0; i < json_size(list); i++) {
        struct str rest = str_of(json_cstr(json_at(list, i), "")), name = {0};

        if (!str_split(&rest, ':', &name) || !add_dependency(task, plan, name, DEPENDS_START, err))
            return false;
    }
    list = json_get(def, "volumesFrom");
    for (size_t i = 0; i < json_size(list); i++)
        if (!add_dependency(task, plan, str_of(json_get_cstr(json_at(list, i), "sourceContainer", "")),
                            DEPENDS_CREATE, err))
            return false;
    return true;
}

static void
plan_restarts(const struct json *def, struct container_plan *plan)
{
    const struct json *policy = json_get(def, "restartPolicy"),
                      *ignored = json_get(policy, "ignoredExitCodes");

    plan->restarts = json_get_bool(policy, "enabled", false);
    plan->restart_period_s = (int)json_get_i64(policy, "restartAttemptPeriod", 300);
    for (size_t i = 0; i < json_size(ignored) && i < ARRAY_COUNT(plan->restart_ignored); i++)
        plan->restart_ignored[plan->restart_ignored_count++] = (int)json_i64(json_at(ignored, i), -1);
}

bool
container_spec_plan(const struct agent_task *task, int index, const struct spec_host *host,
                    struct container_plan *out, struct err *err)
{
    const struct json *def = definition_at(task, index);
    struct container_plan plan = {0};
    const char *image = json_get_cstr(def, "image", ""), *digest = "";

    if (!text_copy(plan.name, sizeof(plan.name), str_of(json_get_cstr(def, "name", ""))))
        return err_set(err, ERR_CLIENT, "a container's name is too long");
    for (int i = 0; i < task->image_count; i++)
        if (strcmp(task->images[i].name, plan.name) == 0)
            digest = task->images[i].digest;
    if (!image_ref_parse(image, digest, &host->home, &plan.image, err))
        return false;
    container_spec_docker_name(task, plan.name, index, plan.docker_name);
    plan.is_essential = json_get_bool(def, "essential", true);
    plan.has_health_check = json_size(json_get(json_get(def, "healthCheck"), "command")) > 0;
    plan.is_host_network = strcmp(json_get_cstr(task->definition, "networkMode", ""), "host") == 0;
    plan.is_awsvpc = container_spec_is_awsvpc(task);
    plan.pulls_always = plan.image.is_ours && plan.image.digest[0] == '\0';
    plan.stop_timeout_s = (int)json_get_i64(def, "stopTimeout", STOP_TIMEOUT_DEFAULT_S);
    plan.start_timeout_s = (int)json_get_i64(def, "startTimeout", START_TIMEOUT_DEFAULT_S);
    plan_restarts(def, &plan);
    if (!plan_dependencies(task, def, &plan, err))
        return false;
    *out = plan;
    return true;
}

/* Takes away containers whose dependencies are all taken away; what is left runs in a circle. */
bool
container_spec_check_order(const struct container_plan *plans, int count, struct err *err)
{
    bool is_done[CONTAINERS_MAX] = {false};
    int left = count;

    for (int round = 0; round < count && left > 0; round++) {
        for (int i = 0; i < count; i++) {
            bool is_free = !is_done[i];

            for (int d = 0; is_free && d < plans[i].dependency_count; d++)
                is_free = is_done[plans[i].dependencies[d].container];
            if (is_free) {
                is_done[i] = true;
                left--;
            }
        }
    }
    for (int i = 0; i < count; i++)
        if (!is_done[i])
            return err_set(err, ERR_CLIENT, "the dependencies of container '%s' run in a circle",
                           plans[i].name);
    return true;
}
