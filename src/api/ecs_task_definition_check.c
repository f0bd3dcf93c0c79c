/* SPDX-License-Identifier: MIT */
#include "api/ecs_task_definition.h"

#include <ctype.h>
#include <stdlib.h>

#include "model/placement_rules.h"
#include "model/task_definition.h"
#include "model/types.h"

#define CONTAINER_CPU_MAX 262144
#define CONTAINER_MEMORY_MIN 4
#define TASK_CPU_MIN 128
#define TASK_CPU_MAX 196608
#define IMAGE_CHARS_MAX 255
#define ROLE_SIZE_MAX 600
#define RANGE_PORTS_MAX 1000 /* of one container in bridge mode: Docker has a process for each */
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

/* ---- small readers ---- */

static const char *
text_of(const struct json *o, const char *key)
{
    return json_get_cstr(o, key, "");
}

static const struct json *
containers_of(const struct json *input)
{
    return json_get(input, "containerDefinitions");
}

static const struct json *
find_container(const struct json *input, const char *name)
{
    return json_find(containers_of(input), "name", name);
}

static bool
is_essential(const struct json *container)
{
    return json_get_bool(container, "essential", true);
}

static bool
is_name(const char *text)
{
    const size_t len = strlen(text);

    return len >= 1 && len < NAME_SIZE && strspn(text, NAME_CHARS) == len;
}

/* ".25", "1", "0.5" times 1024, then a unit without case; plain numbers stay. */
static bool
parse_size(const char *text, const char *unit, int64_t *out)
{
    char *end;
    double number;

    if (str_to_i64(str_of(text), out))
        return *out >= 0;
    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return false;
    if (strspn(text, "0123456789.") > 12)
        return false;
    number = strtod(text, &end);
    while (*end == ' ')
        end++;
    if (!str_equal_nocase(str_of(end), str_of(unit)))
        return false;
    *out = (int64_t)(number * 1024 + 0.5);
    return true;
}

bool
definition_parse_cpu(const char *text, int64_t *units_out)
{
    return parse_size(text, "vCPU", units_out);
}

bool
definition_parse_memory(const char *text, int64_t *mib_out)
{
    return parse_size(text, "GB", mib_out);
}

bool
definition_is_environment(const struct json *list)
{
    for (size_t i = 0; i < json_size(list); i++) {
        const char *key = text_of(json_at(list, i), "name");
        if (key[0] == '\0' || strchr(key, '=') != NULL)
            return false;
    }
    return true;
}

/* ---- one container ---- */

static bool
check_image(const struct json *c, struct err *err)
{
    const char *image = text_of(c, "image");
    const size_t before_digest = strcspn(image, "@");

    if (image[0] == '\0')
        return err_set(err, ERR_CLIENT, "Container.image should not be null or empty.");
    if (before_digest > IMAGE_CHARS_MAX || strlen(image) >= IMAGE_SIZE)
        return err_set(err, ERR_CLIENT, "Container.image should not be longer than %d characters.",
                       IMAGE_CHARS_MAX);
    if (image[strcspn(image, " \t\r\n")] != '\0')
        return err_set(err, ERR_CLIENT, "Container.image contains invalid characters.");
    return true;
}

static bool
check_sizes(const struct json *c, struct err *err)
{
    const char *name = text_of(c, "name");
    const int64_t cpu = json_get_i64(c, "cpu", 0), memory = json_get_i64(c, "memory", 0),
                  soft = json_get_i64(c, "memoryReservation", 0);

    if (cpu < 0 || cpu > CONTAINER_CPU_MAX)
        return err_set(err, ERR_CLIENT,
                       "Invalid setting for container '%s'. 'cpu' must be between 0 and %d.", name,
                       CONTAINER_CPU_MAX);
    if (json_get(c, "memory") != NULL && memory < CONTAINER_MEMORY_MIN)
        return err_set(err, ERR_CLIENT,
                       "Invalid setting for container '%s'. 'memory' must be at least %d.", name,
                       CONTAINER_MEMORY_MIN);
    if (json_get(c, "memoryReservation") != NULL && soft < CONTAINER_MEMORY_MIN)
        return err_set(err, ERR_CLIENT,
                       "Invalid setting for container '%s'. 'memoryReservation' must be at least %d.",
                       name, CONTAINER_MEMORY_MIN);
    if (memory > 0 && soft > memory)
        return err_set(err, ERR_CLIENT,
                       "Invalid setting for container '%s'. 'memory' must be greater than or equal to "
                       "'memoryReservation'.", name);
    return true;
}

/* ecs.md 3.5 */
static bool
check_range(const struct json *m, const char *mode, const char *name, struct err *err)
{
    int first, last;

    if (strcmp(mode, "bridge") != 0 && strcmp(mode, "awsvpc") != 0)
        return err_set(err, ERR_CLIENT,
                       "When networkMode=%s, containerPortRange is not supported (container '%s'): "
                       "use bridge or awsvpc.", mode, name);
    if (json_get(m, "containerPort") != NULL || json_get(m, "hostPort") != NULL)
        return err_set(err, ERR_CLIENT,
                       "Invalid port mapping for container '%s'. '%s' can not be specified together "
                       "with 'containerPortRange'.", name,
                       json_get(m, "containerPort") != NULL ? "containerPort" : "hostPort");
    if (!port_range_parse(text_of(m, "containerPortRange"), &first, &last))
        return err_set(err, ERR_CLIENT,
                       "Invalid 'containerPortRange' setting for container '%s': '%.40s'. It must "
                       "be first-last, both between 1 and 65535, the first lower than the last.", name,
                       text_of(m, "containerPortRange"));
    return true;
}

/* The ports of a mapping, one or a range. */
static void
ports_of(const struct json *m, int *first_out, int *last_out)
{
    if (!port_range_parse(text_of(m, "containerPortRange"), first_out, last_out))
        *first_out = *last_out = (int)json_get_i64(m, "containerPort", 0);
}

/* A port of a range can be in no other mapping of its container, whatever the protocol. */
static bool
check_ranges(const struct json *ports, const char *mode, const char *name, struct err *err)
{
    int first, last, other_first, other_last, count = 0;

    for (size_t i = 0; i < json_size(ports); i++) {
        if (json_get(json_at(ports, i), "containerPortRange") == NULL)
            continue;
        ports_of(json_at(ports, i), &first, &last);
        count += last - first + 1;
        for (size_t k = 0; k < json_size(ports); k++) {
            ports_of(json_at(ports, k), &other_first, &other_last);
            if (k != i && first <= other_last && other_first <= last)
                return err_set(err, ERR_CLIENT,
                               "Invalid 'containerPortRange' setting for container '%s'. %d-%d "
                               "overlaps with another port mapping.", name, first, last);
        }
    }
    if (count > RANGE_PORTS_MAX && strcmp(mode, "bridge") == 0)
        return err_set(err, ERR_CLIENT,
                       "Invalid 'containerPortRange' setting for container '%s'. When "
                       "networkMode=bridge, its ranges can have at most %d ports in naru.", name, RANGE_PORTS_MAX);
    return true;
}

static bool
check_port(const struct json *m, const char *mode, const char *name, struct err *err)
{
    const int64_t container = json_get_i64(m, "containerPort", 0);
    const int64_t host = json_get_i64(m, "hostPort", 0);
    const bool is_own = strcmp(mode, "awsvpc") == 0 || strcmp(mode, "host") == 0;

    if (text_of(m, "name")[0] == '-')
        return err_set(err, ERR_CLIENT, "The name of a port mapping must not start with '-'.");
    if (json_get(m, "containerPortRange") != NULL)
        return check_range(m, mode, name, err);
    if (container < 1)
        return err_set(err, ERR_CLIENT,
                       "Invalid 'containerPort' setting for container '%s': between 1 and 65535.", name);
    if (strcmp(mode, "none") == 0)
        return err_set(err, ERR_CLIENT,
                       "When networkMode=none, port mappings are not allowed (container '%s').", name);
    if (is_own && json_get(m, "hostPort") != NULL && host != 0 && host != container)
        return err_set(err, ERR_CLIENT,
                       "When networkMode=%s, the host ports and container ports in port mappings must "
                       "match.", mode);
    return true;
}

static bool
check_ports(const struct json *c, const char *mode, struct err *err)
{
    const struct json *ports = json_get(c, "portMappings");

    if (json_size(ports) > PORTS_MAX)
        return err_set(err, ERR_CLIENT, "Container '%s' has more than %d port mappings.",
                       text_of(c, "name"), PORTS_MAX);
    for (size_t i = 0; i < json_size(ports); i++) {
        if (!check_port(json_at(ports, i), mode, text_of(c, "name"), err))
            return false;
    }
    return check_ranges(ports, mode, text_of(c, "name"), err);
}

static bool
check_health(const struct json *c, struct err *err)
{
    const struct json *check = json_get(c, "healthCheck"), *command = json_get(check, "command");
    const char *first = json_cstr(json_at(command, 0), "");

    if (check == NULL)
        return true;
    if (strcmp(first, "CMD") != 0 && strcmp(first, "CMD-SHELL") != 0)
        return err_set(err, ERR_CLIENT,
                       "Invalid setting for container '%s'. The health check command must start with CMD "
                       "or CMD-SHELL.", text_of(c, "name"));
    if (json_size(command) < 2)
        return err_set(err, ERR_CLIENT,
                       "Invalid setting for container '%s'. The health check command is empty.",
                       text_of(c, "name"));
    return true;
}

static bool
check_logs(const struct json *c, struct err *err)
{
    const struct json *config = json_get(c, "logConfiguration"), *options = json_get(config, "options");
    static const char *const must[] = {"awslogs-group", "awslogs-region"};

    if (strcmp(text_of(config, "logDriver"), "awslogs") != 0)
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(must); i++) {
        if (text_of(options, must[i])[0] == '\0')
            return err_set(err, ERR_CLIENT, "Log driver awslogs requires options: %s", must[i]);
    }
    return true;
}

static bool
check_lists(const struct json *c, struct err *err)
{
    const struct json *environment = json_get(c, "environment"), *ulimits = json_get(c, "ulimits");
    const int64_t stop = json_get_i64(c, "stopTimeout", 0), start = json_get_i64(c, "startTimeout", 2);

    if (!definition_is_environment(environment))
        return err_set(err, ERR_CLIENT,
                       "Invalid setting for container '%s'. Environment variable names must not be "
                       "empty or contain '='.", text_of(c, "name"));
    for (size_t i = 0; i < json_size(ulimits); i++) {
        if (json_get_i64(json_at(ulimits, i), "softLimit", 0) >
            json_get_i64(json_at(ulimits, i), "hardLimit", 0))
            return err_set(err, ERR_CLIENT,
                           "Invalid setting for container '%s'. The soft limit of '%s' is above the hard "
                           "limit.", text_of(c, "name"), text_of(json_at(ulimits, i), "name"));
    }
    if (stop < 0 || start < 2)
        return err_set(err, ERR_CLIENT,
                       "Invalid setting for container '%s'. stopTimeout must be at least 0 and "
                       "startTimeout at least 2 seconds.", text_of(c, "name"));
    return true;
}

static bool
check_requirement(const struct json *c, const struct json *r, struct err *err)
{
    const char *type = text_of(r, "type"), *value = text_of(r, "value");
    int64_t count;

    if (strcmp(type, "GPU") != 0)
        return err_set(err, ERR_CLIENT,
                       "Container '%s': a resource requirement of type %s is not built in naru yet.",
                       text_of(c, "name"), type);
    if (json_get(r, "sharingStrategy") != NULL || strcmp(value, "ALL") == 0)
        return err_set(err, ERR_CLIENT,
                       "Container '%s': %s of a GPU requirement is not built in naru yet.",
                       text_of(c, "name"), strcmp(value, "ALL") == 0 ? "ALL" : "sharingStrategy");
    if (strspn(value, "0123456789") != strlen(value) || !str_to_i64(str_of(value), &count) ||
        count < 1 || count > GPU_COUNT_MAX)
        return err_set(err, ERR_CLIENT,
                       "Invalid setting for container '%s'. The value of its GPU requirement must be "
                       "a positive integer of at most %d: '%.40s'.",
                       text_of(c, "name"), GPU_COUNT_MAX, value);
    return true;
}

bool
definition_check_requirements(const struct json *container, struct err *err)
{
    const struct json *list = json_get(container, "resourceRequirements");

    for (size_t i = 0; i < json_size(list); i++) {
        if (!check_requirement(container, json_at(list, i), err))
            return false;
    }
    return json_size(list) <= 1 ||
           err_set(err, ERR_CLIENT,
                   "Invalid setting for container '%s'. It has more than one GPU requirement.",
                   text_of(container, "name"));
}

/* A name has one value, and the process shall not have to guess whose. */
static bool
check_secrets(const struct json *c, struct err *err)
{
    const struct json *list = json_get(c, "secrets"), *environment = json_get(c, "environment");

    for (size_t i = 0; i < json_size(list); i++) {
        const char *name = text_of(json_at(list, i), "name");

        if (json_find(list, "name", name) != json_at(list, i))
            return err_set(err, ERR_CLIENT,
                           "Duplicate secret names found: %s. Each secret name must be unique.", name);
        if (json_find(environment, "name", name) != NULL)
            return err_set(err, ERR_CLIENT,
                           "The secret name must be unique and not shared with any new or existing environment "
                           "variables set on the container, such as '%s'.", name);
    }
    return true;
}

static bool
check_container(const struct json *c, const char *mode, struct err *err)
{
    const char *name = text_of(c, "name");

    if (name[0] == '\0')
        return err_set(err, ERR_CLIENT, "Container.name should not be null or empty.");
    if (!is_name(name))
        return err_set(err, ERR_CLIENT, "Container name contains invalid characters.");
    if (json_size(json_get(c, "links")) > 0 && strcmp(mode, "bridge") != 0)
        return err_set(err, ERR_CLIENT, "Links are only supported when networkMode=bridge.");
    if (json_size(json_get(c, "extraHosts")) > 0 && strcmp(mode, "awsvpc") == 0)
        return err_set(err, ERR_CLIENT, "Extra hosts are not supported when networkMode=awsvpc.");
    return check_image(c, err) && check_sizes(c, err) && check_ports(c, mode, err) &&
           check_health(c, err) && check_logs(c, err) && check_lists(c, err) && check_secrets(c, err) &&
           definition_check_requirements(c, err);
}

/* ---- between containers ---- */

static bool
check_dependency(const struct json *input, const struct json *c, const struct json *dependency,
                 struct err *err)
{
    const char *on = text_of(dependency, "containerName"), *condition = text_of(dependency, "condition");
    const struct json *other = find_container(input, on);

    if (other == NULL)
        return err_set(err, ERR_CLIENT,
                       "Container '%s' depends on container '%s', which does not exist in the task "
                       "definition.", text_of(c, "name"), on);
    if ((strcmp(condition, "COMPLETE") == 0 || strcmp(condition, "SUCCESS") == 0) &&
        is_essential(other))
        return err_set(err, ERR_CLIENT,
                       "A container with condition %s can not be essential: '%s'.", condition, on);
    if (strcmp(condition, "HEALTHY") == 0 && json_get(other, "healthCheck") == NULL)
        return err_set(err, ERR_CLIENT,
                       "Container '%s' must have a health check for the dependency condition HEALTHY.",
                       on);
    return true;
}

/* Takes away containers whose dependencies are gone, again and again; what stays is a cycle. */
static bool
check_cycles(const struct json *input, struct err *err)
{
    const struct json *list = containers_of(input);
    bool gone[CONTAINERS_MAX] = {false};

    for (size_t round = 0; round < json_size(list); round++) {
        for (size_t i = 0; i < json_size(list); i++) {
            const struct json *depends = json_get(json_at(list, i), "dependsOn");
            bool is_free = true;

            for (size_t d = 0; d < json_size(depends); d++) {
                for (size_t k = 0; k < json_size(list); k++) {
                    if (strcmp(text_of(json_at(list, k), "name"),
                               text_of(json_at(depends, d), "containerName")) == 0)
                        is_free = is_free && gone[k];
                }
            }
            gone[i] = gone[i] || is_free;
        }
    }
    for (size_t i = 0; i < json_size(list); i++) {
        if (!gone[i])
            return err_set(err, ERR_CLIENT, "Container dependencies form a cycle at container '%s'.",
                           text_of(json_at(list, i), "name"));
    }
    return true;
}

static bool
check_mounts(const struct json *input, const struct json *c, struct err *err)
{
    const struct json *mounts = json_get(c, "mountPoints"), *from = json_get(c, "volumesFrom");

    for (size_t i = 0; i < json_size(mounts); i++) {
        const char *volume = text_of(json_at(mounts, i), "sourceVolume");
        if (json_find(json_get(input, "volumes"), "name", volume) == NULL)
            return err_set(err, ERR_CLIENT, "Unknown volume '%s'.", volume);
        if (text_of(json_at(mounts, i), "containerPath")[0] != '/')
            return err_set(err, ERR_CLIENT,
                           "Invalid 'containerPath' of volume '%s': it must be an absolute path.", volume);
    }
    for (size_t i = 0; i < json_size(from); i++) {
        const char *source = text_of(json_at(from, i), "sourceContainer");
        if (find_container(input, source) == NULL || strcmp(source, text_of(c, "name")) == 0)
            return err_set(err, ERR_CLIENT, "Unknown source container '%s' in volumesFrom.", source);
    }
    return true;
}

static bool
check_relations(const struct json *input, struct err *err)
{
    const struct json *list = containers_of(input);
    int essential_count = 0;

    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *c = json_at(list, i), *depends = json_get(c, "dependsOn");

        essential_count += is_essential(c);
        if (find_container(input, text_of(c, "name")) != c)
            return err_set(err, ERR_CLIENT, "Container name '%s' is not unique.", text_of(c, "name"));
        for (size_t d = 0; d < json_size(depends); d++) {
            if (!check_dependency(input, c, json_at(depends, d), err))
                return false;
        }
        if (!check_mounts(input, c, err))
            return false;
    }
    if (essential_count == 0)
        return err_set(err, ERR_CLIENT, "At least one container must be marked essential.");
    return check_cycles(input, err);
}

/* ---- the task ---- */

static bool
check_volumes(const struct json *input, struct err *err)
{
    const struct json *volumes = json_get(input, "volumes");

    for (size_t i = 0; i < json_size(volumes); i++) {
        const struct json *v = json_at(volumes, i), *docker = json_get(v, "dockerVolumeConfiguration");
        const char *name = text_of(v, "name"), *path = text_of(json_get(v, "host"), "sourcePath");

        if (!is_name(name))
            return err_set(err, ERR_CLIENT, "Volume name '%.255s' is empty or contains invalid "
                                            "characters.", name);
        if (json_find(volumes, "name", name) != v)
            return err_set(err, ERR_CLIENT, "Volume name '%s' is not unique.", name);
        if (path[0] != '\0' && path[0] != '/')
            return err_set(err, ERR_CLIENT, "Invalid 'sourcePath' of volume '%s': it must be an absolute "
                                            "path.", name);
        if (json_get_bool(docker, "autoprovision", false) &&
            strcmp(text_of(docker, "scope"), "shared") != 0)
            return err_set(err, ERR_CLIENT, "Volume '%s': autoprovision is for scope shared only.", name);
    }
    return true;
}

static bool
check_task_sizes(const struct json *input, struct err *err)
{
    const char *cpu = text_of(input, "cpu"), *memory = text_of(input, "memory");
    const struct json *list = containers_of(input);
    int64_t units = 0, mib = 0;

    if (cpu[0] != '\0' && !definition_parse_cpu(cpu, &units))
        return err_set(err, ERR_CLIENT, "Invalid 'cpu' setting for task: '%.40s'.", cpu);
    if (memory[0] != '\0' && !definition_parse_memory(memory, &mib))
        return err_set(err, ERR_CLIENT, "Invalid 'memory' setting for task: '%.40s'.", memory);
    if (cpu[0] != '\0' && (units < TASK_CPU_MIN || units > TASK_CPU_MAX))
        return err_set(err, ERR_CLIENT, "Invalid 'cpu' setting for task: between %d and %d units.",
                       TASK_CPU_MIN, TASK_CPU_MAX);
    if (memory[0] != '\0' && (mib < CONTAINER_MEMORY_MIN || mib > INT32_MAX))
        return err_set(err, ERR_CLIENT, "Invalid 'memory' setting for task: '%.40s'.", memory);
    for (size_t i = 0; i < json_size(list) && mib > 0; i++) {
        if (json_get_i64(json_at(list, i), "memory", 0) > mib)
            return err_set(err, ERR_CLIENT,
                           "The 'memory' setting for container is greater than for the task.");
    }
    return true;
}

static bool
check_compatibilities(const struct json *input, struct err *err)
{
    const struct json *required = json_get(input, "requiresCompatibilities");
    bool wants_fargate = false, wants_ec2 = json_size(required) == 0;

    for (size_t i = 0; i < json_size(required); i++) {
        const char *name = json_cstr(json_at(required, i), "");
        wants_ec2 = wants_ec2 || strcmp(name, "EC2") == 0;
        wants_fargate = wants_fargate || strcmp(name, "FARGATE") == 0;
        if (strcmp(name, "EC2") != 0 && strcmp(name, "FARGATE") != 0)
            return err_set(err, ERR_CLIENT, "The compatibility %s is not built in naru: EC2 or FARGATE.",
                           name);
    }
    return (!wants_fargate || definition_fits_fargate(input, err)) &&
           (!wants_ec2 || definition_fits_ec2(input, err));
}

static bool
check_constraints(const struct json *input, struct err *err)
{
    struct placement_rules rules;
    struct err why = {0};

    if (!placement_rules_read(/* strategies= */ NULL, json_get(input, "placementConstraints"), &rules,
                              &why))
        return err_set(err, ERR_CLIENT, "%s", why.message);
    placement_rules_done(&rules);
    return true;
}

bool
definition_check(const struct json *input, struct err *err)
{
    const struct json *list = containers_of(input);
    const char *family = text_of(input, "family"), *mode = json_get_cstr(input, "networkMode", "bridge");

    if (family[0] == '\0')
        return err_set(err, ERR_CLIENT, "Family should not be null or empty.");
    if (!is_name(family))
        return err_set(err, ERR_CLIENT, "Family contains invalid characters.");
    if (json_size(list) == 0)
        return err_set(err, ERR_CLIENT, "Container list cannot be empty.");
    if (json_size(list) > CONTAINERS_MAX)
        return err_set(err, ERR_CLIENT, "A task definition can have at most %d containers.",
                       CONTAINERS_MAX);
    if (strlen(text_of(input, "taskRoleArn")) > ROLE_SIZE_MAX ||
        strlen(text_of(input, "executionRoleArn")) > ROLE_SIZE_MAX)
        return err_set(err, ERR_CLIENT, "A role's name or ARN can have at most %d characters.",
                       ROLE_SIZE_MAX);
    if (json_get(input, "tags") != NULL && json_size(json_get(input, "tags")) == 0)
        return err_set(err, ERR_CLIENT, "Tags can not be empty.");
    for (size_t i = 0; i < json_size(list); i++) {
        if (!check_container(json_at(list, i), mode, err))
            return false;
    }
    return check_constraints(input, err) && check_volumes(input, err) && check_task_sizes(input, err) && check_relations(input, err) &&
           definition_check_built(input, err) && check_compatibilities(input, err);
}

/* ---- launch types ---- */

bool
definition_fits_ec2(const struct json *input, struct err *err)
{
    const struct json *list = containers_of(input);

    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *c = json_at(list, i);
        if (text_of(input, "memory")[0] == '\0' && json_get(c, "memory") == NULL &&
            json_get(c, "memoryReservation") == NULL)
            return err_set(err, ERR_CLIENT,
                           "Invalid setting for container '%s'. At least one of 'memory' or "
                           "'memoryReservation' must be specified.", text_of(c, "name"));
    }
    return true;
}

/* The table of ecs.md 3.1. */
static bool
is_fargate_size(int64_t cpu, int64_t memory)
{
    static const struct {
        int cpu, memory_min, memory_max, step;
    } sizes[] = {
        {256, 512, 1024, 512},       {256, 2048, 2048, 1024},     {512, 1024, 4096, 1024},
        {1024, 2048, 8192, 1024},    {2048, 4096, 16384, 1024},   {4096, 8192, 30720, 1024},
        {8192, 16384, 61440, 4096},  {16384, 32768, 122880, 8192},
    };

    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        if (sizes[i].cpu == cpu && memory >= sizes[i].memory_min && memory <= sizes[i].memory_max &&
            (memory - sizes[i].memory_min) % sizes[i].step == 0)
            return true;
    }
    return false;
}

static bool
check_fargate_container(const struct json *input, const struct json *c, struct err *err)
{
    static const char *const refused[] = {"links", "dockerSecurityOptions", "extraHosts",
                                           "resourceRequirements"};
    const struct json *linux_parameters = json_get(c, "linuxParameters");
    static const char *const refused_linux[] = {"devices", "sharedMemorySize", "swappiness", "maxSwap"};
    const char *driver = text_of(json_get(c, "logConfiguration"), "logDriver");
    const bool has_role = text_of(input, "executionRoleArn")[0] != '\0';

    if (json_get_bool(c, "privileged", false))
        return err_set(err, ERR_CLIENT, "Fargate does not support privileged containers.");
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        if (json_size(json_get(c, refused[i])) > 0)
            return err_set(err, ERR_CLIENT, "Fargate does not support '%s'.", refused[i]);
    }
    if (json_get(c, "hostname") != NULL)
        return err_set(err, ERR_CLIENT, "Fargate does not support 'hostname'.");
    for (size_t i = 0; i < ARRAY_COUNT(refused_linux); i++) {
        const struct json *value = json_get(linux_parameters, refused_linux[i]);
        if (value != NULL && (json_type(value) != JSON_ARRAY || json_size(value) > 0))
            return err_set(err, ERR_CLIENT, "Fargate does not support '%s'.", refused_linux[i]);
    }
    if (driver[0] != '\0' && strcmp(driver, "awslogs") != 0 && strcmp(driver, "splunk") != 0 &&
        strcmp(driver, "awsfirelens") != 0)
        return err_set(err, ERR_CLIENT, "Fargate does not support log driver %s.", driver);
    if (!has_role && strstr(text_of(c, "image"), ".dkr.ecr.") != NULL)
        return err_set(err, ERR_CLIENT,
                       "Fargate requires task definition to have execution role ARN to support ECR "
                       "images.");
    if (!has_role && strcmp(driver, "awslogs") == 0)
        return err_set(err, ERR_CLIENT,
                       "Fargate requires task definition to have execution role ARN to support log "
                       "driver awslogs.");
    if (json_get_i64(c, "startTimeout", 2) > 120) /* stopTimeout: ours has no cap (ecs.md 11, pain 8) */
        return err_set(err, ERR_CLIENT, "Fargate supports a startTimeout of at most 120 seconds.");
    return true;
}

static bool
check_fargate_task(const struct json *input, struct err *err)
{
    const struct json *volumes = json_get(input, "volumes");

    if (strcmp(text_of(input, "networkMode"), "awsvpc") != 0)
        return err_set(err, ERR_CLIENT, "Fargate only supports network mode ‘awsvpc’.");
    if (strcmp(text_of(input, "pidMode"), "host") == 0)
        return err_set(err, ERR_CLIENT,
                       "Tasks using the Fargate launch type do not support pidMode 'host'. The supported "
                       "value for pidMode is 'task'.");
    if (text_of(input, "ipcMode")[0] != '\0')
        return err_set(err, ERR_CLIENT,
                       "Tasks using the Fargate launch type do not support ipcMode.");
    if (json_size(json_get(input, "placementConstraints")) > 0)
        return err_set(err, ERR_CLIENT, "Fargate does not support 'placementConstraints'.");
    for (size_t i = 0; i < json_size(volumes); i++) {
        const struct json *v = json_at(volumes, i);
        if (text_of(json_get(v, "host"), "sourcePath")[0] != '\0' ||
            json_get(v, "dockerVolumeConfiguration") != NULL)
            return err_set(err, ERR_CLIENT,
                           "Fargate does not support host paths and Docker volumes: volume '%s'.",
                           text_of(v, "name"));
    }
    return true;
}

bool
definition_fits_fargate(const struct json *input, struct err *err)
{
    const struct json *list = containers_of(input);
    int64_t cpu, memory;

    if (!definition_parse_cpu(text_of(input, "cpu"), &cpu))
        return err_set(err, ERR_CLIENT, "Fargate requires that 'cpu' be defined at the task level.");
    if (!definition_parse_memory(text_of(input, "memory"), &memory))
        return err_set(err, ERR_CLIENT, "Fargate requires that 'memory' be defined at the task level.");
    if (!is_fargate_size(cpu, memory))
        return err_set(err, ERR_CLIENT,
                       "No Fargate configuration exists for given values: %lld CPU, %lld memory. See the "
                       "Amazon ECS documentation for the valid values.",
                       (long long)cpu, (long long)memory);
    if (!check_fargate_task(input, err))
        return false;
    for (size_t i = 0; i < json_size(list); i++) {
        if (!check_fargate_container(input, json_at(list, i), err))
            return false;
    }
    return true;
}
