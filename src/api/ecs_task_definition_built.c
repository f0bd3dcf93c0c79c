/* SPDX-License-Identifier: MIT */
/* What a task definition can ask for and no task of naru would get.  It is refused when it is
 * registered: the agent would refuse each task instead, and a deployment would fail at its start. */
#include "api/ecs_task_definition.h"

/* "logConfiguration.secretOptions"; the last part is what is tested. */
struct unbuilt {
    const char *path;
    const char *text; /* only this value is refused; NULL: anything but absent, empty and false */
};

static const struct unbuilt of_task[] = {
    {"proxyConfiguration", NULL},
    {"inferenceAccelerators", NULL},
    {"enableFaultInjection", NULL},
};

static const struct unbuilt of_container[] = {
    {"environmentFiles", NULL},
    {"repositoryCredentials", NULL},
    {"firelensConfiguration", NULL},
    {"credentialSpecs", NULL},
    {"logConfiguration.secretOptions", NULL},
    {"logConfiguration.logDriver", "awsfirelens"},
};

static const struct unbuilt of_volume[] = {
    {"efsVolumeConfiguration", NULL},
    {"s3filesVolumeConfiguration", NULL},
    {"fsxWindowsFileServerVolumeConfiguration", NULL},
    {"configuredAtLaunch", NULL},
};

static const struct json *
member_at(const struct json *o, const char *path)
{
    struct str rest = str_of(path), part;

    while (o != NULL && str_split(&rest, '.', &part)) {
        cleanup_free char *key = str_dup(part);
        o = json_get(o, key);
    }
    return o;
}

static bool
asks_for(const struct json *value, const char *text)
{
    if (text != NULL)
        return strcmp(json_cstr(value, ""), text) == 0;
    switch (json_type(value)) {
    case JSON_BOOL: return json_truth(value, false);
    case JSON_ARRAY: return json_size(value) > 0;
    case JSON_OBJECT: return true;
    default: return false;
    }
}

/* `owner` is "Container" or "Volume" of that name; NULL: the definition itself. */
static bool
check_rows(const struct unbuilt *rows, size_t count, const struct json *o, const char *owner,
           struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = rows[i].text != NULL ? rows[i].text : "";

        if (!asks_for(member_at(o, rows[i].path), rows[i].text))
            continue;
        if (owner == NULL)
            return err_set(err, ERR_CLIENT, "%s is not built in naru yet.", rows[i].path);
        return err_set(err, ERR_CLIENT, "%s '%s': %s%s%s is not built in naru yet.", owner,
                       json_get_cstr(o, "name", ""), rows[i].path, value[0] != '\0' ? " " : "", value);
    }
    return true;
}

bool
definition_check_built(const struct json *input, struct err *err)
{
    const struct json *containers = json_get(input, "containerDefinitions");
    const struct json *volumes = json_get(input, "volumes");

    if (!check_rows(of_task, ARRAY_COUNT(of_task), input, NULL, err))
        return false;
    for (size_t i = 0; i < json_size(containers); i++) {
        if (!check_rows(of_container, ARRAY_COUNT(of_container), json_at(containers, i), "Container", err))
            return false;
    }
    for (size_t i = 0; i < json_size(volumes); i++) {
        if (!check_rows(of_volume, ARRAY_COUNT(of_volume), json_at(volumes, i), "Volume", err))
            return false;
    }
    return true;
}
