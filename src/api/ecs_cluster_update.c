/* SPDX-License-Identifier: MIT */
/* What can be set of a cluster: checked for CreateCluster too, changed by UpdateCluster and
 * UpdateClusterSettings. */
#include "api/ecs_describe.h"
#include "api/ecs_operations.h"

static bool
check_settings(const struct json *settings, struct err *err)
{
    if (json_size(settings) > 1) /* there is only this one */
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The cluster setting containerInsights is given more than once.");
    for (size_t i = 0; i < json_size(settings); i++) {
        const char *name = json_get_cstr(json_at(settings, i), "name", "");
        const char *value = json_get_cstr(json_at(settings, i), "value", "");

        if (strcmp(name, "containerInsights") != 0)
            return err_set(err, ERR_INVALID_PARAMETER, "Cluster setting name must not be empty.");
        if (strcmp(value, "enabled") != 0 && strcmp(value, "disabled") != 0 &&
            strcmp(value, "enhanced") != 0)
            return err_set(err, ERR_INVALID_PARAMETER,
                           "Invalid value '%.40s' of the cluster setting containerInsights: "
                           "enhanced, enabled or disabled.",
                           value);
    }
    return true;
}

static bool
check_configuration(const struct json *configuration, struct err *err)
{
    const struct json *exec = json_get(configuration, "executeCommandConfiguration");
    const struct json *log = json_get(exec, "logConfiguration");

    if (strcmp(json_get_cstr(exec, "logging", ""), "OVERRIDE") == 0 &&
        json_get(log, "cloudWatchLogGroupName") == NULL && json_get(log, "s3BucketName") == NULL)
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "executeCommandConfiguration: logging OVERRIDE needs a logConfiguration that "
            "names a cloudWatchLogGroupName or an s3BucketName.");
    return true;
}

bool
ecs_check_cluster(const struct json *input, struct err *err)
{
    const struct json *defaults = json_get(input, "serviceConnectDefaults");

    if (json_get_cstr(defaults, "namespace", "")[0] != '\0')
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "serviceConnectDefaults: Service Connect is not built in naru yet.");
    return check_settings(json_get(input, "settings"), err) &&
           check_configuration(json_get(input, "configuration"), err);
}

/* Members that are given replace the cluster's; an empty namespace removes what was never there. */
static bool
update(struct request *rq, const struct cluster *cluster, struct json *out, struct err *err)
{
    static const char *const members[] = {"settings", "configuration"};
    cleanup_json struct json *doc = json_copy(cluster->doc);
    bool is_changed = false;

    if (!ecs_check_cluster(rq->input, err))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        const struct json *given = json_get(rq->input, members[i]);

        if (given == NULL || (json_type(given) == JSON_ARRAY && json_size(given) == 0))
            continue;
        is_changed |= !json_equal(json_get(doc, members[i]), given);
        json_set(doc, members[i], json_ref(given));
    }
    if (is_changed)
        request_step(rq, &(struct event){.type = EVENT_CLUSTER_UPDATE,
                                         .cluster_update = {.arn = cluster->arn, .doc = doc}});
    json_set(out, "cluster", ecs_describe_cluster(rq, cluster));
    return true;
}

bool
ecs_update_cluster(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);

    return cluster != NULL && update(rq, cluster, out, err);
}

bool
ecs_update_cluster_settings(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);

    if (cluster == NULL)
        return false;
    if (json_size(json_get(rq->input, "settings")) == 0)
        return err_set(err, ERR_INVALID_PARAMETER, "Cluster settings cannot be empty.");
    return update(rq, cluster, out, err);
}
