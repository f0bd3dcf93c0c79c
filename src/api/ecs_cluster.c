/* SPDX-License-Identifier: MIT */
/* Clusters; ecs_instance.c has the container instances in them. */
#include "api/ecs_capacity.h"
#include "api/ecs_describe.h"
#include "api/ecs_operations.h"

#include "model/arn.h"

#define CLUSTERS_MAX 10000

/* ---- CreateCluster ---- */

static bool
check_quota(const struct core *core, struct err *err)
{
    int count = 0;

    for (const struct cluster *c = core->clusters; c != NULL; c = c->next)
        count++;
    return count < CLUSTERS_MAX ||
           err_set(err, ERR_CLIENT, "There are %d clusters, the most that are kept.", count);
}

static struct json *
cluster_doc(const struct request *rq)
{
    static const char *const lists[] = {"capacityProviders", "defaultCapacityProviderStrategy"};
    struct json *doc = json_object(), *settings;

    settings = json_get(rq->input, "settings");
    if (json_size(settings) > 0) {
        json_set(doc, "settings", json_ref(settings));
    } else {
        struct json *insights = json_object();
        settings = json_array();
        json_set(insights, "name", json_text("containerInsights"));
        json_set(insights, "value",
                 json_text(ecs_account_setting(rq, rq->principal, "containerInsights")));
        json_append(settings, insights);
        json_set(doc, "settings", settings);
    }
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        const struct json *given = json_get(rq->input, lists[i]);
        json_set(doc, lists[i], given != NULL ? json_ref(given) : json_array());
    }
    if (json_get(rq->input, "configuration") != NULL)
        json_set(doc, "configuration", json_ref(json_get(rq->input, "configuration")));
    return doc;
}

bool
ecs_create_cluster(struct request *rq, struct json *out, struct err *err)
{
    const char *name = json_get_cstr(rq->input, "clusterName", "default");
    const struct cluster *cluster = ecs_cluster_named(rq, name);
    cleanup_json struct json *doc = NULL, *tags = NULL;

    if (!ecs_check_cluster(rq->input, err) ||
        !capacity_check_names(rq, json_get(rq->input, "capacityProviders"), err) ||
        !capacity_check_strategy(json_get(rq->input, "defaultCapacityProviderStrategy"),
                                 json_get(rq->input, "capacityProviders"), err) ||
        !ecs_check_tags(json_get(rq->input, "tags"), err))
        return false;
    if (cluster == NULL || cluster->status != CLUSTER_ACTIVE) {
        if (cluster == NULL && !check_quota(rq->core, err))
            return false;
        doc = cluster_doc(rq);
        tags = ecs_tags_or_empty(json_get(rq->input, "tags"));
        request_step(rq, &(struct event){.type = EVENT_CLUSTER_CREATE,
                                         .cluster_create = {.region = rq->region,
                                                            .name = name,
                                                            .doc = doc,
                                                            .tags = tags}});
        cluster = ecs_cluster_named(rq, name);
    }
    json_set(out, "cluster", ecs_describe_cluster(rq, cluster));
    return true;
}

/* ---- DescribeClusters, ListClusters ---- */

/* The ARN that a missing cluster would have; an ARN given stands for itself. */
static void
cluster_arn_of(const struct request *rq, const char *name, char out[static ARN_SIZE])
{
    if (arn_is(str_of(name)) || strlen(name) >= NAME_SIZE)
        text_copy(out, ARN_SIZE, str_slice(str_of(name), 0, ARN_SIZE - 1));
    else
        arn_format(out, "ecs", rq->region, rq->account, "cluster/%s", name);
}

bool
ecs_describe_clusters(struct request *rq, struct json *out, struct err *err)
{
    cleanup_json struct json *fallback = json_array();
    const struct json *names = json_get(rq->input, "clusters");
    struct json *clusters, *failures;

    json_append(fallback, json_text("default"));
    if (json_size(names) == 0)
        names = fallback;
    if (json_size(names) > 100)
        return err_set(err, ERR_INVALID_PARAMETER, "clusters can have at most 100 items.");
    clusters = json_array();
    failures = json_array();
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        const struct cluster *cluster = ecs_cluster_named(rq, name);
        char arn[ARN_SIZE];

        if (cluster != NULL) {
            json_append(clusters, ecs_describe_cluster(rq, cluster));
        } else {
            cluster_arn_of(rq, name, arn);
            json_append(failures, ecs_failure(arn, "MISSING"));
        }
    }
    json_set(out, "clusters", clusters);
    json_set(out, "failures", failures);
    return true;
}

bool
ecs_list_clusters(struct request *rq, struct json *out, struct err *err)
{
    cleanup(ecs_page_done) struct ecs_page page = {0};

    for (const struct cluster *c = rq->core->clusters; c != NULL; c = c->next) {
        if (c->status == CLUSTER_ACTIVE && strcmp(c->region, rq->region) == 0)
            ecs_page_add(&page, json_text(c->arn), "%s", c->arn);
    }
    return ecs_page_write(&page, rq, "clusterArns", 100, false, out, err);
}

/* ---- DeleteCluster ---- */

/* Instances are no obstacle: they are machines of every cluster, and leave with this one. */
bool
ecs_delete_cluster(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);

    if (cluster == NULL)
        return false;
    for (const struct service *s = rq->core->services; s != NULL; s = s->next) {
        if (strcmp(s->cluster_arn, cluster->arn) == 0 && s->status != SERVICE_INACTIVE)
            return err_set(err, ERR_CLUSTER_CONTAINS_SERVICES,
                           "The Cluster cannot be deleted while Services are active.");
    }
    for (const struct task *t = rq->core->tasks; t != NULL; t = t->next) {
        if (strcmp(t->cluster_arn, cluster->arn) == 0 && t->last_status != TASK_STOPPED)
            return err_set(err, ERR_CLUSTER_CONTAINS_TASKS,
                           "The Cluster cannot be deleted while Tasks are active.");
    }
    request_step(rq, &(struct event){.type = EVENT_CLUSTER_DELETE,
                                     .cluster_delete = {.arn = cluster->arn}});
    json_set(out, "cluster", ecs_describe_cluster(rq, cluster)); /* INACTIVE, still describable */
    return true;
}
