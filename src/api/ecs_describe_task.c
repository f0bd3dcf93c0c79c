/* SPDX-License-Identifier: MIT */
#include "api/ecs_describe.h"

#include <stdio.h>

#include "model/arn.h"

#define FARGATE_DISK_GIB 20
#define FARGATE_LATEST "1.4.0" /* a service asks for LATEST, a task runs on a version */
#if defined(__aarch64__)
#define CPU_ARCHITECTURE "arm64"
#else
#define CPU_ARCHITECTURE "x86_64"
#endif

static void
set_number_text(struct json *o, const char *key, int64_t n)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)n);
    json_set(o, key, json_text(text));
}

static struct json *
pair(const char *name, const char *value)
{
    struct json *o = json_object();

    json_set(o, "name", json_text(name));
    json_set(o, "value", json_text(value));
    return o;
}

/* ---- containers ---- */

static struct json *
find_container_doc(const struct task_definition *td, const char *name)
{
    return td == NULL ? NULL : json_find(json_get(td->doc, "containerDefinitions"), "name", name);
}

/* "8000-8010" */
static void
set_range(struct json *o, const char *name, int first, int len)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%d-%d", first, first + len - 1);
    json_set(o, name, json_text(text));
}

static struct json *
network_bindings(const struct task_container *c)
{
    struct json *list = json_array();

    for (int i = 0; i < c->binding_count; i++) {
        const struct network_binding *b = &c->bindings[i];
        struct json *o = json_object();
        json_set(o, "bindIP", json_text("0.0.0.0"));
        if (b->range_len > 0) {
            set_range(o, "containerPortRange", b->container_port, b->range_len);
            set_range(o, "hostPortRange", b->host_port, b->range_len);
        } else {
            json_set(o, "containerPort", json_int(b->container_port));
            json_set(o, "hostPort", json_int(b->host_port));
        }
        json_set(o, "protocol", json_text(b->is_udp ? "udp" : "tcp"));
        json_append(list, o);
    }
    return list;
}

static struct json *
network_interfaces(const struct task *t)
{
    struct json *list = json_array();

    if (t->attachment_id[0] != '\0' && t->address[0] != '\0') {
        struct json *o = json_object();
        json_set(o, "attachmentId", json_text(t->attachment_id));
        json_set(o, "privateIpv4Address", json_text(t->address));
        json_append(list, o);
    }
    return list;
}

static void
set_sizes(struct json *o, const struct json *doc)
{
    set_number_text(o, "cpu", json_get_i64(doc, "cpu", 0));
    if (json_get(doc, "memory") != NULL)
        set_number_text(o, "memory", json_get_i64(doc, "memory", 0));
    if (json_get(doc, "memoryReservation") != NULL)
        set_number_text(o, "memoryReservation", json_get_i64(doc, "memoryReservation", 0));
}

static struct json *
describe_container(const struct request *rq, const struct task *t, const struct task_definition *td,
                   const struct task_container *c)
{
    struct json *o = json_object();
    char arn[ARN_SIZE];

    arn_format(arn, "ecs", t->region, rq->account, "container/%s/%s/%s", t->cluster_name, t->id, c->id);
    json_set(o, "containerArn", json_text(arn));
    json_set(o, "taskArn", json_text(t->arn));
    json_set(o, "name", json_text(c->name));
    json_set(o, "image", json_text(c->image));
    ecs_set_text(o, "imageDigest", c->digest);
    ecs_set_text(o, "runtimeId", c->runtime_id);
    json_set(o, "lastStatus", json_text(task_status_name(c->last_status)));
    if (c->has_exit_code)
        json_set(o, "exitCode", json_int(c->exit_code));
    ecs_set_text(o, "reason", c->reason);
    json_set(o, "networkBindings", network_bindings(c));
    json_set(o, "networkInterfaces", network_interfaces(t));
    json_set(o, "healthStatus", json_text(health_status_name(c->health)));
    set_sizes(o, find_container_doc(td, c->name));
    if (json_get(t->gpus, c->name) != NULL)
        json_set(o, "gpuIds", json_ref(json_get(t->gpus, c->name)));
    return o;
}

/* ---- the task ---- */

static void
add_detail(struct json *details, const char *name, const char *value)
{
    if (value[0] != '\0')
        json_append(details, pair(name, value));
}

/* The network interface of awsvpc, as far as this machine has one. */
static struct json *
attachments(const struct task *t)
{
    struct json *list = json_array(), *o, *details;
    const struct json *vpc =
        json_get(json_get(t->doc, "networkConfiguration"), "awsvpcConfiguration");
    const char *status = "PRECREATED";

    if (t->attachment_id[0] == '\0')
        return list;
    if (t->last_status == TASK_STOPPED)
        status = "DELETED";
    else if (t->address[0] != '\0')
        status = "ATTACHED";
    o = json_object();
    details = json_array();
    json_set(o, "id", json_text(t->attachment_id));
    json_set(o, "type", json_text("ElasticNetworkInterface"));
    json_set(o, "status", json_text(status));
    add_detail(details, "subnetId", json_cstr(json_at(json_get(vpc, "subnets"), 0), ""));
    add_detail(details, "macAddress", t->mac_address);
    add_detail(details, "privateIPv4Address", t->address);
    json_set(o, "details", details);
    json_append(list, o);
    return list;
}

/* Every container is named, also those without an override (ecs.md 3.13). */
static struct json *
overrides(const struct task *t)
{
    struct json *o = json_object(), *list = json_array();

    for (void *it = json_first(t->overrides); it != NULL; it = json_next(t->overrides, it))
        json_set(o, json_key(it), json_ref(json_value(it)));
    for (int i = 0; i < t->container_count; i++) {
        struct json *entry = json_ref(task_container_override(t->overrides, t->containers[i].name));
        if (entry == NULL) {
            entry = json_object();
            json_set(entry, "name", json_text(t->containers[i].name));
        }
        json_append(list, entry);
    }
    json_set(o, "containerOverrides", list);
    json_set(o, "inferenceAcceleratorOverrides", json_array());
    return o;
}

static void
set_times(const struct request *rq, struct json *o, const struct task *t)
{
    ecs_set_time(rq, o, "createdAt", t->created_at_ms);
    ecs_set_time(rq, o, "connectivityAt", t->created_at_ms);
    ecs_set_time(rq, o, "pullStartedAt", t->pull_started_at_ms);
    ecs_set_time(rq, o, "pullStoppedAt", t->pull_stopped_at_ms);
    ecs_set_time(rq, o, "startedAt", t->started_at_ms);
    ecs_set_time(rq, o, "executionStoppedAt", t->execution_stopped_at_ms);
    ecs_set_time(rq, o, "stoppingAt", t->stopping_at_ms);
    ecs_set_time(rq, o, "stoppedAt", t->stopped_at_ms);
}

static void
add_tag(struct json *tags, const char *key, const char *value)
{
    struct json *tag = json_object();

    json_set(tag, "key", json_text(key));
    json_set(tag, "value", json_text(value));
    json_append(tags, tag);
}

/* propagateTags of a service is applied when it is asked for: tasks carry no copy. */
struct json *
ecs_task_tags(const struct request *rq, const struct task *t)
{
    const struct task_definition *td =
        core_task_definition(rq->core, t->region, str_of(t->task_definition_arn));
    const struct service *s =
        t->service_arn[0] != '\0' ? core_service_by_arn(rq->core, t->service_arn) : NULL;
    const char *from = s != NULL ? json_get_cstr(s->doc, "propagateTags", "NONE") : "NONE";
    const struct json *inherited = NULL;
    struct json *merged;

    if (strcmp(from, "SERVICE") == 0)
        inherited = s->tags;
    else if (strcmp(from, "TASK_DEFINITION") == 0 && td != NULL)
        inherited = td->tags;
    merged = ecs_merge_tags(inherited, t->tags);
    if (json_get_bool(s != NULL ? s->doc : t->doc, "enableECSManagedTags", false)) {
        add_tag(merged, "aws:ecs:clusterName", t->cluster_name);
        if (s != NULL)
            add_tag(merged, "aws:ecs:serviceName", s->name);
    }
    return merged;
}

static void
set_fargate(struct json *o, const struct task *t, const struct task_definition *td)
{
    const struct json *disk = td != NULL ? json_get(td->doc, "ephemeralStorage") : NULL;
    const char *platform = json_get_cstr(t->doc, "platformVersion", "LATEST");
    struct json *storage = json_object();

    json_set(storage, "sizeInGiB", json_int(json_get_i64(disk, "sizeInGiB", FARGATE_DISK_GIB)));
    json_set(o, "ephemeralStorage", storage);
    json_set(o, "fargateEphemeralStorage", json_ref(storage));
    json_set(o, "platformVersion", json_text(strcmp(platform, "LATEST") == 0 ? FARGATE_LATEST : platform));
    json_set(o, "platformFamily", json_text("Linux"));
}

struct json *
ecs_describe_task(const struct request *rq, const struct task *t, bool with_tags)
{
    const struct task_definition *td =
        core_task_definition(rq->core, t->region, str_of(t->task_definition_arn));
    const struct container_instance *instance = core_instance(rq->core, t->instance_arn);
    struct json *o = json_object(), *containers = json_array(), *attributes = json_array();
    char zone[REGION_SIZE + 1];
    struct str of_instance;

    snprintf(zone, sizeof(zone), "%sa", t->region);
    json_set(o, "attachments", attachments(t));
    json_append(attributes, pair("ecs.cpu-architecture", CPU_ARCHITECTURE));
    json_set(o, "attributes", attributes);
    json_set(o, "availabilityZone",
             instance != NULL && container_instance_attribute(instance, STR(ZONE_ATTRIBUTE), &of_instance)
                 ? json_str(of_instance)
                 : json_text(zone));
    json_set(o, "clusterArn", json_text(t->cluster_arn));
    json_set(o, "connectivity",
             json_text(instance != NULL && !instance->is_connected ? "DISCONNECTED" : "CONNECTED"));
    ecs_set_text(o, "capacityProviderName", t->capacity_provider);
    if (t->launch_type == LAUNCH_EC2)
        ecs_set_text(o, "containerInstanceArn", t->instance_arn);
    for (int i = 0; i < t->container_count; i++)
        json_append(containers, describe_container(rq, t, td, &t->containers[i]));
    json_set(o, "containers", containers);
    set_number_text(o, "cpu", t->cpu);
    set_number_text(o, "memory", t->memory_mib);
    set_times(rq, o, t);
    json_set(o, "desiredStatus", json_text(task_status_name(t->desired_status)));
    json_set(o, "enableExecuteCommand", json_bool(json_get_bool(t->doc, "enableExecuteCommand", false)));
    json_set(o, "group", json_text(t->group));
    json_set(o, "healthStatus", json_text(health_status_name(t->health)));
    json_set(o, "inferenceAccelerators", json_array());
    json_set(o, "lastStatus", json_text(task_status_name(t->last_status)));
    json_set(o, "launchType", json_text(launch_type_name(t->launch_type)));
    json_set(o, "overrides", overrides(t));
    if (t->launch_type == LAUNCH_FARGATE)
        set_fargate(o, t, td);
    ecs_set_text(o, "startedBy", t->deployment_id[0] != '\0' ? t->deployment_id : t->started_by);
    if (t->has_stop_code)
        json_set(o, "stopCode", json_text(stop_code_name(t->stop_code)));
    ecs_set_text(o, "stoppedReason", t->stopped_reason);
    json_set(o, "tags", with_tags ? ecs_task_tags(rq, t) : json_array());
    json_set(o, "taskArn", json_text(t->arn));
    json_set(o, "taskDefinitionArn", json_text(t->task_definition_arn));
    json_set(o, "version", json_int(t->version));
    return o;
}

/* ---- ours: why it ended ---- */

/* The deployment before the task's own that was complete once: what ran when all was well. */
static const struct deployment *
deployment_before(const struct request *rq, const struct task *t)
{
    const struct service *s = core_service_by_arn(rq->core, t->service_arn);
    const struct deployment *best = NULL;

    for (const struct deployment *d = s == NULL ? NULL : s->deployments; d != NULL; d = d->next) {
        if (d->completed_at_ms == 0 || strcmp(d->id, t->deployment_id) >= 0)
            continue;
        if (best == NULL || strcmp(d->id, best->id) > 0)
            best = d; /* ids only rise */
    }
    return best;
}

struct json *
ecs_postmortem(const struct request *rq, const struct task *task)
{
    const struct deployment *before = deployment_before(rq, task);
    const struct json *targets = json_get(task->evidence, "targets");
    struct json *o = json_object();

    ecs_set_text(o, "healthLog", json_get_cstr(task->evidence, "healthLog", ""));
    json_set(o, "targets", targets != NULL ? json_ref(targets) : json_array());
    ecs_set_text(o, "serviceRevisionArn", task->revision_arn);
    if (before != NULL) {
        json_set(o, "previousServiceRevisionArn", json_text(before->revision->arn));
        json_set(o, "previousTaskDefinitionArn", json_text(before->revision->task_definition_arn));
    }
    return o;
}
