/* SPDX-License-Identifier: MIT */
/* The normal form of a task definition: every default that clients compare is written out. */
#include "api/ecs_task_definition.h"

#include <stdio.h>

#include "model/arn.h"

static void
copy_member(struct json *to, const struct json *from, const char *name)
{
    if (json_get(from, name) != NULL)
        json_set(to, name, json_ref(json_get(from, name)));
}

static void
copy_all(struct json *to, const struct json *from)
{
    for (void *it = json_first(from); it != NULL; it = json_next(from, it))
        json_set(to, json_key(it), json_ref(json_value(it)));
}

/* ---- containers ---- */

static struct json *
normal_port(const struct json *given, const char *mode)
{
    struct json *port = json_object();
    const int64_t container = json_get_i64(given, "containerPort", 0);
    const bool is_own = strcmp(mode, "awsvpc") == 0 || strcmp(mode, "host") == 0;
    const bool is_range = json_get(given, "containerPortRange") != NULL; /* has no host port yet */

    copy_all(port, given);
    if (!is_range &&
        (json_get(given, "hostPort") == NULL ||
         (is_own && json_get_i64(given, "hostPort", 0) == 0)))
        json_set(port, "hostPort", json_int(is_own ? container : 0));
    if (json_get(given, "protocol") == NULL)
        json_set(port, "protocol", json_text("tcp"));
    return port;
}

static struct json *
normal_health_check(const struct json *given)
{
    static const struct {
        const char *name;
        int value;
    } defaults[] = {{"interval", 30}, {"timeout", 5}, {"retries", 3}};
    struct json *check = json_object();

    copy_all(check, given);
    for (size_t i = 0; i < ARRAY_COUNT(defaults); i++) {
        if (json_get(given, defaults[i].name) == NULL)
            json_set(check, defaults[i].name, json_int(defaults[i].value));
    }
    return check;
}

static struct json *
normal_container(const struct json *given, const char *mode)
{
    static const char *const lists[] = {"portMappings", "environment", "mountPoints", "volumesFrom",
                                        "systemControls"};
    const struct json *ports = json_get(given, "portMappings");
    struct json *c = json_object(), *normal_ports = json_array();

    copy_all(c, given);
    if (json_get(given, "cpu") == NULL)
        json_set(c, "cpu", json_int(0));
    if (json_get(given, "essential") == NULL)
        json_set(c, "essential", json_bool(true));
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        if (json_get(given, lists[i]) == NULL)
            json_set(c, lists[i], json_array());
    }
    for (size_t i = 0; i < json_size(ports); i++)
        json_append(normal_ports, normal_port(json_at(ports, i), mode));
    json_set(c, "portMappings", normal_ports);
    if (json_get(given, "healthCheck") != NULL)
        json_set(c, "healthCheck", normal_health_check(json_get(given, "healthCheck")));
    return c;
}

/* ---- what an instance must be able to do ---- */

static void
require(struct json *list, const char *head, const char *tail)
{
    char name[200];
    struct json *o;

    snprintf(name, sizeof(name), "%s%s", head, tail);
    if (json_find(list, "name", name) != NULL)
        return;
    o = json_object();
    json_set(o, "name", json_text(name));
    json_append(list, o);
}

#define AGENT_CAPABILITY "com.amazonaws.ecs.capability."
#define CAPABILITY "ecs.capability."

static void
require_for_secrets(struct json *list, const struct json *secrets)
{
    for (size_t i = 0; i < json_size(secrets); i++) {
        const char *from = json_get_cstr(json_at(secrets, i), "valueFrom", "");
        const bool is_asm = strstr(from, ":secretsmanager:") != NULL;
        require(list, CAPABILITY, is_asm ? "secrets.asm.environment-variables" : "secrets.ssm.environment-variables");
    }
}

static void
require_for_container(struct json *list, const struct json *input, const struct json *c)
{
    const char *driver = json_get_cstr(json_get(c, "logConfiguration"), "logDriver", "");
    const bool has_role = json_get(input, "executionRoleArn") != NULL;
    const struct json *ports = json_get(c, "portMappings");

    if (driver[0] != '\0') {
        require(list, AGENT_CAPABILITY "logging-driver.", driver);
        require(list, AGENT_CAPABILITY, "docker-remote-api.1.18");
        if (has_role && strcmp(driver, "awslogs") == 0)
            require(list, CAPABILITY, "execution-role-awslogs");
    }
    if (strstr(json_get_cstr(c, "image", ""), ".dkr.ecr.") != NULL) {
        require(list, AGENT_CAPABILITY, "ecr-auth");
        if (has_role)
            require(list, CAPABILITY, "execution-role-ecr-pull");
    }
    if (json_get_bool(c, "privileged", false))
        require(list, AGENT_CAPABILITY, "privileged-container");
    if (json_get(c, "healthCheck") != NULL)
        require(list, CAPABILITY, "container-health-check");
    if (json_size(json_get(c, "dependsOn")) > 0 || json_get(c, "startTimeout") != NULL ||
        json_get(c, "stopTimeout") != NULL)
        require(list, CAPABILITY, "container-ordering");
    if (json_get_bool(json_get(c, "restartPolicy"), "enabled", false))
        require(list, CAPABILITY, "container-restart-policy");
    require_for_secrets(list, json_get(c, "secrets"));
    for (size_t i = 0; i < json_size(ports); i++) {
        if (json_get(json_at(ports, i), "containerPortRange") != NULL)
            require(list, CAPABILITY, "container-port-range");
    }
}

static struct json *
required_attributes(const struct json *input, const char *mode)
{
    const struct json *containers = json_get(input, "containerDefinitions");
    const struct json *volumes = json_get(input, "volumes");
    struct json *list = json_array();

    if (json_get(input, "taskRoleArn") != NULL)
        require(list, AGENT_CAPABILITY,
                strcmp(mode, "host") == 0 ? "task-iam-role-network-host" : "task-iam-role");
    if (strcmp(mode, "awsvpc") == 0)
        require(list, CAPABILITY, "task-eni");
    if (json_get(input, "pidMode") != NULL || json_get(input, "ipcMode") != NULL)
        require(list, CAPABILITY, "pid-ipc-namespace-sharing");
    if (json_get(input, "cpu") != NULL || json_get(input, "memory") != NULL)
        require(list, CAPABILITY, "task-cpu-mem-limit");
    for (size_t i = 0; i < json_size(volumes); i++) {
        const struct json *docker = json_get(json_at(volumes, i), "dockerVolumeConfiguration");
        if (docker != NULL)
            require(list, CAPABILITY "docker-plugin.", json_get_cstr(docker, "driver", "local"));
    }
    for (size_t i = 0; i < json_size(containers); i++)
        require_for_container(list, input, json_at(containers, i));
    return list;
}

/* ---- the whole ---- */

/* A role may be named shortly; the answer has its ARN. */
static void
set_role(struct json *doc, const struct json *input, const char *member, const char *account)
{
    const char *role = json_get_cstr(input, member, "");
    char arn[ARN_SIZE];

    if (role[0] == '\0')
        return;
    if (arn_is(str_of(role)))
        snprintf(arn, sizeof(arn), "%s", role);
    else
        snprintf(arn, sizeof(arn), "arn:aws:iam::%s:role/%s", account, role);
    json_set(doc, member, json_text(arn));
}

static void
set_size(struct json *doc, const struct json *input, const char *member,
         bool (*parse)(const char *text, int64_t *out))
{
    char text[24];
    int64_t n;

    if (!parse(json_get_cstr(input, member, ""), &n))
        return;
    snprintf(text, sizeof(text), "%lld", (long long)n);
    json_set(doc, member, json_text(text));
}

struct json *
definition_normalise(const struct json *input, const char *account, const char *principal)
{
    static const char *const kept[] = {
        "family",  "networkMode",        "requiresCompatibilities", "pidMode",
        "ipcMode", "proxyConfiguration", "inferenceAccelerators",   "ephemeralStorage",
        "runtimePlatform", "enableFaultInjection",
    };
    static const char *const lists[] = {"volumes", "placementConstraints"};
    const char *mode = json_get_cstr(input, "networkMode", "bridge");
    const struct json *given = json_get(input, "containerDefinitions");
    struct json *doc = json_object(), *containers = json_array(), *fits = json_array();

    for (size_t i = 0; i < json_size(given); i++)
        json_append(containers, normal_container(json_at(given, i), mode));
    json_set(doc, "containerDefinitions", containers);
    for (size_t i = 0; i < ARRAY_COUNT(kept); i++)
        copy_member(doc, input, kept[i]);
    set_role(doc, input, "taskRoleArn", account);
    set_role(doc, input, "executionRoleArn", account);
    set_size(doc, input, "cpu", definition_parse_cpu);
    set_size(doc, input, "memory", definition_parse_memory);
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        json_set(doc, lists[i], json_array());
        copy_member(doc, input, lists[i]);
    }
    json_set(doc, "requiresAttributes", required_attributes(input, mode));
    if (definition_fits_ec2(input, NULL))
        json_append(fits, json_text("EC2"));
    if (definition_fits_fargate(input, NULL))
        json_append(fits, json_text("FARGATE"));
    json_set(doc, "compatibilities", fits);
    json_set(doc, "registeredBy", json_text(principal));
    return doc;
}
