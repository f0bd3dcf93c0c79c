/* SPDX-License-Identifier: MIT */
/* Container instances: what machines are in a cluster, and their attributes. */
#include <stdio.h>

#include "api/ecs_capacity.h"
#include "api/ecs_describe.h"
#include "api/ecs_operations.h"
#include "core/placement.h"
#include "model/arn.h"

#define DESCRIBED_MAX 100
#define CHANGED_MAX 10    /* of one UpdateContainerInstancesState */
#define ATTRIBUTES_MAX 10 /* of users, on one instance */

struct container_instance *
ecs_find_instance(const struct request *rq, const struct cluster *cluster, const char *id_or_arn)
{
    for (struct container_instance *i = cluster->instances; i != NULL; i = i->next_in_cluster) {
        if (strcmp(i->arn, id_or_arn) == 0 || strcmp(i->id, id_or_arn) == 0)
            return i;
    }
    return NULL;
}

/* ---- how one is shown ---- */

static struct json *
resource(const char *name, const char *type, int64_t value)
{
    struct json *r = json_object();

    json_set(r, "name", json_text(name));
    json_set(r, "type", json_text(type));
    json_set(r, "doubleValue", json_real(0));
    json_set(r, "longValue", json_int(0));
    json_set(r, "integerValue", json_int(value));
    return r;
}

/* The fixed host ports that are taken: as ECS shows them, also under what remains. */
static struct json *
ports(const struct container_instance *i, const char *name, bool is_udp, bool with_taken)
{
    struct json *r = resource(name, "STRINGSET", 0), *taken = json_array();
    char text[8];

    for (int port = 0; with_taken && (port = place_next_port(i, port, is_udp)) != 0;) {
        snprintf(text, sizeof(text), "%d", port);
        json_append(taken, json_text(text));
    }
    json_set(r, "stringSetValue", taken);
    return r;
}

/* All that the agent told of, or those of them that no task holds. */
static struct json *
gpus(const struct container_instance *i, bool is_remaining)
{
    struct json *r = resource("GPU", "STRINGSET", 0), *list = json_array();
    const struct json *all = json_get(i->doc, "gpus");

    for (size_t k = 0; k < json_size(all) && k < GPUS_MAX; k++) {
        if (!is_remaining || (i->machine->gpus_taken >> k & 1) == 0)
            json_append(list, json_ref(json_at(all, k)));
    }
    json_set(r, "stringSetValue", list);
    return r;
}

static struct json *
resources(const struct container_instance *i, bool is_remaining)
{
    struct json *list = json_array();
    const int cpu = is_remaining ? i->machine->cpu_used : 0;
    const int memory = is_remaining ? i->machine->memory_used_mib : 0;

    json_append(list, resource("CPU", "INTEGER", i->cpu_total - cpu));
    json_append(list, resource("MEMORY", "INTEGER", i->memory_total_mib - memory));
    json_append(list, ports(i, "PORTS", /* is_udp= */ false, is_remaining));
    json_append(list, ports(i, "PORTS_UDP", /* is_udp= */ true, is_remaining));
    if (json_size(json_get(i->doc, "gpus")) > 0)
        json_append(list, gpus(i, is_remaining));
    return list;
}

static struct json *
attributes(const struct container_instance *i)
{
    const struct json *built_in = json_get(i->doc, "attributes");
    struct json *list = json_array();

    for (size_t k = 0; k < json_size(built_in); k++)
        json_append(list, json_ref(json_at(built_in, k)));
    for (size_t k = 0; k < json_size(i->custom); k++)
        json_append(list, json_ref(json_at(i->custom, k)));
    return list;
}

/* Its agent tells us of itself and of Docker in one. */
static struct json *
health(const struct container_instance *i)
{
    const char *status = i->is_connected ? "OK" : "IMPAIRED";
    struct json *o = json_object(), *details = json_array(), *runtime = json_object();

    json_set(runtime, "type", json_text("CONTAINER_RUNTIME"));
    json_set(runtime, "status", json_text(status));
    json_append(details, runtime);
    json_set(o, "overallStatus", json_text(status));
    json_set(o, "details", details);
    return o;
}

struct json *
ecs_describe_instance(const struct request *rq, const struct container_instance *i)
{
    struct json *o = json_object();
    const struct capacity_provider *p = capacity_of_instance(rq, i);
    int pending = 0;

    for (const struct task *t = i->tasks; t != NULL; t = t->next_here)
        pending += task_is_wanted(t) && t->last_status < TASK_RUNNING;
    json_set(o, "containerInstanceArn", json_text(i->arn));
    json_set(o, "ec2InstanceId", json_text(i->id));
    if (p != NULL)
        json_set(o, "capacityProviderName", json_text(p->name));
    json_set(o, "version", json_int(i->version));
    if (json_get(i->doc, "versionInfo") != NULL)
        json_set(o, "versionInfo", json_ref(json_get(i->doc, "versionInfo")));
    json_set(o, "remainingResources", resources(i, /* is_remaining= */ true));
    json_set(o, "registeredResources", resources(i, /* is_remaining= */ false));
    json_set(o, "status", json_text(instance_status_name(i->status)));
    json_set(o, "agentConnected", json_bool(i->is_connected));
    json_set(o, "runningTasksCount", json_int(place_running(i)));
    json_set(o, "pendingTasksCount", json_int(pending));
    ecs_set_time(rq, o, "registeredAt", i->registered_at_ms);
    json_set(o, "attachments", json_array());
    json_set(o, "attributes", attributes(i));
    json_set(o, "tags", ecs_includes(rq, "TAGS") ? ecs_tags_or_empty(i->tags) : json_array());
    if (ecs_includes(rq, "CONTAINER_INSTANCE_HEALTH"))
        json_set(o, "healthStatus", health(i));
    return o;
}

/* ---- ListContainerInstances, DescribeContainerInstances ---- */

static bool
is_of_status(const struct container_instance *i, const char *status)
{
    return status == NULL || strcmp(instance_status_name(i->status), status) == 0;
}

bool
ecs_list_container_instances(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const char *status = json_get_cstr(rq->input, "status", NULL);
    const char *filter = json_get_cstr(rq->input, "filter", "");
    cleanup(ecs_page_done) struct ecs_page page = {0};
    struct cluster_query *query = NULL;

    if (cluster == NULL)
        return false;
    if (filter[0] != '\0' && (query = cluster_query_parse(str_of(filter), err)) == NULL)
        return err_context(err, "Invalid filter");
    for (const struct container_instance *i = cluster->instances; i != NULL;
         i = i->next_in_cluster) {
        const struct query_instance subject = place_subject(i);
        if (is_of_status(i, status) && (query == NULL || cluster_query_matches(query, &subject)))
            ecs_page_add(&page, json_text(i->arn), "%s", i->arn);
    }
    cluster_query_free(query);
    return ecs_page_write(&page, rq, "containerInstanceArns", 100, false, out, err);
}

/* The named ones, after `change` (may be NULL) was asked for each that is there. */
static bool
answer_named(struct request *rq, size_t max, void (*change)(struct request *, const char *arn),
             struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const struct json *names = json_get(rq->input, "containerInstances");
    struct json *found, *failures;

    if (cluster == NULL ||
        !ecs_check_list(rq, "containerInstances", max, "Container Instances cannot be empty.", err) ||
        !ecs_check_owners(rq, cluster, "containerInstances", err))
        return false;
    found = json_array();
    failures = json_array();
    for (size_t k = 0; k < json_size(names); k++) {
        const char *name = json_cstr(json_at(names, k), "");
        const struct container_instance *i = ecs_find_instance(rq, cluster, name);
        if (i == NULL) {
            json_append(failures, ecs_failure_missing(rq, cluster, "container-instance", name));
            continue;
        }
        if (change != NULL)
            change(rq, i->arn);
        json_append(found, ecs_describe_instance(rq, i));
    }
    json_set(out, "containerInstances", found);
    json_set(out, "failures", failures);
    return true;
}

bool
ecs_describe_container_instances(struct request *rq, struct json *out, struct err *err)
{
    return answer_named(rq, DESCRIBED_MAX, /* change= */ NULL, out, err);
}

/* ---- UpdateContainerInstancesState ---- */

static void
set_status(struct request *rq, const char *arn)
{
    const bool drains = strcmp(json_get_cstr(rq->input, "status", ""), "DRAINING") == 0;

    request_step(rq, &(struct event){
        .type = EVENT_INSTANCE_STATUS,
        .instance_status = {.arn = arn, .status = drains ? INSTANCE_DRAINING : INSTANCE_ACTIVE}});
}

bool
ecs_update_container_instances_state(struct request *rq, struct json *out, struct err *err)
{
    const char *status = json_get_cstr(rq->input, "status", "");

    if (strcmp(status, "ACTIVE") != 0 && strcmp(status, "DRAINING") != 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The status of a container instance can be set to ACTIVE or DRAINING.");
    return answer_named(rq, CHANGED_MAX, set_status, out, err);
}

/* ---- attributes ---- */

static bool
is_reserved(const char *name)
{
    return strncasecmp(name, "ecs.", 4) == 0 || strncasecmp(name, "com.amazonaws.", 14) == 0;
}

static struct container_instance *
find_target(const struct request *rq, const struct cluster *cluster, const struct json *attribute,
            struct err *err)
{
    const char *target = json_get_cstr(attribute, "targetId", "");
    struct container_instance *i = ecs_find_instance(rq, cluster, target);

    if (target[0] == '\0')
        err_set(err, ERR_INVALID_PARAMETER, "targetId must be given for each attribute.");
    else if (i == NULL)
        err_set(err, ERR_TARGET_NOT_FOUND, "Could not find %.600s", target);
    return i;
}

static struct json *
name_and_value(const struct json *attribute)
{
    const char *value = json_get_cstr(attribute, "value", NULL);
    struct json *o = json_object();

    json_set(o, "name", json_text(json_get_cstr(attribute, "name", "")));
    if (value != NULL)
        json_set(o, "value", json_text(value));
    return o;
}

static struct json *
with_target(const struct json *attribute, const struct container_instance *i)
{
    struct json *o = name_and_value(attribute);

    json_set(o, "targetId", json_text(i->arn));
    return o;
}

/* Is `attribute` the stored one?  Without a value of its own it means any. */
static bool
names_it(const struct json *attribute, const struct json *stored)
{
    const char *value = json_get_cstr(attribute, "value", NULL);

    return strcmp(json_get_cstr(attribute, "name", ""), json_get_cstr(stored, "name", "")) == 0 &&
           (value == NULL || strcmp(value, json_get_cstr(stored, "value", "")) == 0);
}

/* The instance's list without `attribute`'s name (any value), and with it if `adds`. */
static struct json *
changed_list(const struct container_instance *i, const struct json *attribute, bool adds)
{
    struct json *list = json_array();

    for (size_t k = 0; k < json_size(i->custom); k++) {
        const struct json *stored = json_at(i->custom, k);
        if (strcmp(json_get_cstr(attribute, "name", ""), json_get_cstr(stored, "name", "")) != 0)
            json_append(list, json_ref(stored));
    }
    if (adds)
        json_append(list, name_and_value(attribute));
    return list;
}

static void
set_attributes(struct request *rq, const struct container_instance *i, const struct json *custom)
{
    request_step(rq, &(struct event){
        .type = EVENT_INSTANCE_ATTRIBUTES,
        .instance_attributes = {.arn = i->arn, .custom = custom}});
}

/* How many the instance would have after all of the call. */
static size_t
count_after(const struct request *rq, const struct cluster *cluster,
            const struct container_instance *i)
{
    const struct json *given = json_get(rq->input, "attributes");
    cleanup_json struct json *names = json_object();

    for (size_t k = 0; k < json_size(i->custom); k++)
        json_set(names, json_get_cstr(json_at(i->custom, k), "name", ""), json_bool(true));
    for (size_t k = 0; k < json_size(given); k++) {
        const struct json *a = json_at(given, k);
        if (ecs_find_instance(rq, cluster, json_get_cstr(a, "targetId", "")) == i)
            json_set(names, json_get_cstr(a, "name", ""), json_bool(true));
    }
    return json_size(names);
}

static bool
check_put(const struct request *rq, const struct cluster *cluster, struct err *err)
{
    const struct json *given = json_get(rq->input, "attributes");

    for (size_t k = 0; k < json_size(given); k++) {
        const struct json *a = json_at(given, k);
        const struct container_instance *i = find_target(rq, cluster, a, err);
        const char *value = json_get_cstr(a, "value", "x");
        if (i == NULL)
            return false;
        if (is_reserved(json_get_cstr(a, "name", "")))
            return err_set(err, ERR_INVALID_PARAMETER,
                           "Attribute names that begin with 'ecs.' or 'com.amazonaws.' are reserved: %s",
                           json_get_cstr(a, "name", ""));
        if (value[0] == ' ' || value[strlen(value) - 1] == ' ')
            return err_set(err, ERR_INVALID_PARAMETER,
                           "The value of an attribute can not begin or end with a blank.");
        if (count_after(rq, cluster, i) > ATTRIBUTES_MAX)
            return err_set(err, ERR_ATTRIBUTE_LIMIT_EXCEEDED,
                           "A container instance can have at most %d custom attributes.",
                           ATTRIBUTES_MAX);
    }
    return true;
}

bool
ecs_put_attributes(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const struct json *given = json_get(rq->input, "attributes");
    struct json *list;

    if (cluster == NULL || !check_put(rq, cluster, err))
        return false;
    list = json_array();
    for (size_t k = 0; k < json_size(given); k++) {
        const struct json *a = json_at(given, k);
        const struct container_instance *i =
            ecs_find_instance(rq, cluster, json_get_cstr(a, "targetId", ""));
        cleanup_json struct json *custom = changed_list(i, a, /* adds= */ true);
        set_attributes(rq, i, custom);
        json_append(list, with_target(a, i));
    }
    json_set(out, "attributes", list);
    return true;
}

bool
ecs_delete_attributes(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const struct json *given = json_get(rq->input, "attributes");
    struct json *list;

    if (cluster == NULL)
        return false;
    for (size_t k = 0; k < json_size(given); k++) {
        if (find_target(rq, cluster, json_at(given, k), err) == NULL)
            return false;
    }
    list = json_array();
    for (size_t k = 0; k < json_size(given); k++) {
        const struct json *a = json_at(given, k);
        const struct container_instance *i =
            ecs_find_instance(rq, cluster, json_get_cstr(a, "targetId", ""));
        cleanup_json struct json *custom = changed_list(i, a, /* adds= */ false);
        for (size_t n = 0; n < json_size(i->custom); n++) {
            if (!names_it(a, json_at(i->custom, n)))
                continue;
            json_append(list, with_target(json_at(i->custom, n), i));
            set_attributes(rq, i, custom);
            break;
        }
    }
    json_set(out, "attributes", list);
    return true;
}

bool
ecs_list_attributes(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const char *name = json_get_cstr(rq->input, "attributeName", NULL);
    const char *value = json_get_cstr(rq->input, "attributeValue", NULL);
    cleanup(ecs_page_done) struct ecs_page page = {0};

    if (cluster == NULL)
        return false;
    if (value != NULL && name == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "attributeName must be given where attributeValue is.");
    for (const struct container_instance *i = cluster->instances; i != NULL;
         i = i->next_in_cluster) {
        cleanup_json struct json *list = attributes(i);
        for (size_t k = 0; k < json_size(list); k++) {
            const struct json *a = json_at(list, k);
            if ((name == NULL || strcmp(name, json_get_cstr(a, "name", "")) == 0) &&
                (value == NULL || strcmp(value, json_get_cstr(a, "value", "")) == 0))
                ecs_page_add(&page, with_target(a, i), "%s %s", i->arn,
                             json_get_cstr(a, "name", ""));
        }
    }
    return ecs_page_write(&page, rq, "attributes", 100, false, out, err);
}
