/* SPDX-License-Identifier: MIT */
/* container_volumes.c - the volumes of a task definition as Docker is told of them (ecs.md 3.7). */
#include "agent/container_spec.h"

static bool
volume_is_shared(const struct json *volume)
{
    return strcmp(json_get_cstr(json_get(volume, "dockerVolumeConfiguration"), "scope", "task"), "shared") == 0;
}

/* The host's path, the shared volume's own name, or one made for this task. */
char *
container_spec_volume_source(const struct agent_task *task, const struct json *volume)
{
    const char *name = json_get_cstr(volume, "name", ""),
               *path = json_get_cstr(json_get(volume, "host"), "sourcePath", "");

    if (path[0] != '\0')
        return text_dup(path);
    if (volume_is_shared(volume))
        return text_dup(name);
    return text_format("ecs-%s-%d-%s-%.20s", task->family, task->revision, name, task->id);
}

struct json *
container_spec_volumes(const struct agent_task *task, const struct spec_host *host, struct err *err)
{
    static const char *const unsupported[] = {"efsVolumeConfiguration", "s3filesVolumeConfiguration",
                                              "fsxWindowsFileServerVolumeConfiguration"};
    const struct json *list = json_get(task->definition, "volumes");
    cleanup_json struct json *out = json_array();

    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *v = json_at(list, i), *docker = json_get(v, "dockerVolumeConfiguration");
        const char *name = json_get_cstr(v, "name", "");

        for (size_t u = 0; u < ARRAY_COUNT(unsupported); u++)
            if (json_size(json_get(v, unsupported[u])) > 0)
                return err_set(err, ERR_UNSUPPORTED_FEATURE,
                               "ResourceInitializationError: the %s of volume '%s' is not supported yet",
                               unsupported[u], name), NULL;
        if (json_get_bool(v, "configuredAtLaunch", false))
            return err_set(err, ERR_UNSUPPORTED_FEATURE,
                           "ResourceInitializationError: volume '%s' is configured at launch, which is "
                           "not supported yet", name), NULL;
        if (json_get_cstr(json_get(v, "host"), "sourcePath", "")[0] != '\0')
            continue;
        cleanup_free char *source = container_spec_volume_source(task, v);
        struct json *body = json_object(), *labels = json_object();
        const struct json *own = json_get(docker, "labels");

        json_append(out, body);
        json_set(body, "Name", json_text(source));
        if (volume_is_shared(v) && !json_get_bool(docker, "autoprovision", false))
            json_set(body, "mustExist", json_bool(true));
        json_set(body, "Driver", json_text(json_get_cstr(docker, "driver", "local")));
        if (json_size(json_get(docker, "driverOpts")) > 0)
        json_set(body, "DriverOpts", json_ref(json_get(docker, "driverOpts")));
        json_set(body, "Labels", labels);
        for (void *it = json_first(own); it != NULL; it = json_next(own, it))
            json_set(labels, json_key(it), json_text(json_cstr(json_value(it), "")));
        /* A shared volume outlives task and installation: it carries no label of ours. */
        if (!volume_is_shared(v)) {
            json_set(labels, LABEL_INSTALLATION, json_text(host->installation));
            json_set(labels, LABEL_TASK, json_text(task->id));
        }
    }
    return TAKE(out);
}
