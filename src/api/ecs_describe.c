/* SPDX-License-Identifier: MIT */
#include "api/ecs_describe.h"

#include <stdio.h>

#include "api/ecs_task_set.h"
#include "core/wait.h"
#include "model/arn.h"

static void
set_int(struct json *o, const char *key, int64_t n)
{
    json_set(o, key, json_int(n));
}

/* Members of `doc` that are there, under the same names. */
static void
copy_members(struct json *to, const struct json *doc, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct json *value = json_get(doc, names[i]);
        if (value != NULL)
            json_set(to, names[i], json_ref(value));
    }
}

struct json *
ecs_failure(const char *arn, const char *reason)
{
    struct json *failure = json_object();

    json_set(failure, "arn", json_text(arn));
    json_set(failure, "reason", json_text(reason));
    return failure;
}

struct json *
ecs_failure_missing(const struct request *rq, const struct cluster *cluster, const char *kind,
                    const char *name)
{
    char arn[ARN_SIZE];

    if (arn_is(str_of(name)) || strlen(name) >= NAME_SIZE)
        text_copy(arn, sizeof(arn), str_of(name));
    else
        arn_format(arn, "ecs", rq->region, rq->account, "%s/%s/%s", kind, cluster->name, name);
    return ecs_failure(arn, "MISSING");
}

/* ---- clusters ---- */

static void
add_statistic(struct json *list, const char *name, int value)
{
    struct json *pair = json_object();
    char text[16];

    snprintf(text, sizeof(text), "%d", value);
    json_set(pair, "name", json_text(name));
    json_set(pair, "value", json_text(text));
    json_append(list, pair);
}

struct cluster_counts {
    int running[LAUNCH_ENUM_SIZE], pending[LAUNCH_ENUM_SIZE], active[LAUNCH_ENUM_SIZE], draining[LAUNCH_ENUM_SIZE];
};

static bool
is_pending(const struct task *t)
{
    return task_is_wanted(t) && t->last_status < TASK_RUNNING;
}

static struct cluster_counts
count_cluster(const struct core *core, const struct cluster *cluster)
{
    struct cluster_counts n = {0};

    for (const struct task *t = core->tasks; t != NULL; t = t->next) {
        if (strcmp(t->cluster_arn, cluster->arn) != 0)
            continue;
        n.running[t->launch_type] += t->last_status == TASK_RUNNING;
        n.pending[t->launch_type] += is_pending(t);
    }
    for (const struct service *s = core->services; s != NULL; s = s->next) {
        const struct revision *r = ecs_current_revision(s);
        const enum launch_type type = r != NULL ? r->launch_type : LAUNCH_EC2;

        if (strcmp(s->cluster_arn, cluster->arn) != 0)
            continue;
        n.active[type] += s->status == SERVICE_ACTIVE;
        n.draining[type] += s->status == SERVICE_DRAINING;
    }
    return n;
}

static struct json *
cluster_statistics(const struct cluster_counts *n)
{
    struct json *list = json_array();

    add_statistic(list, "runningEC2TasksCount", n->running[LAUNCH_EC2]);
    add_statistic(list, "RunningFargateTasksCount", n->running[LAUNCH_FARGATE]);
    add_statistic(list, "pendingEC2TasksCount", n->pending[LAUNCH_EC2]);
    add_statistic(list, "pendingFargateTasksCount", n->pending[LAUNCH_FARGATE]);
    add_statistic(list, "activeEC2ServiceCount", n->active[LAUNCH_EC2]);
    add_statistic(list, "activeFargateServiceCount", n->active[LAUNCH_FARGATE]);
    add_statistic(list, "drainingEC2ServiceCount", n->draining[LAUNCH_EC2]);
    add_statistic(list, "drainingFargateServiceCount", n->draining[LAUNCH_FARGATE]);
    return list;
}

struct json *
ecs_describe_cluster(const struct request *rq, const struct cluster *cluster)
{
    static const char *const always[] = {"capacityProviders", "defaultCapacityProviderStrategy"};
    static const char *const settings[] = {"settings"}, *const configuration[] = {"configuration"};
    /* CreateCluster and the updates show what was set. */
    const bool shows_all = strcmp(rq->operation, "CreateCluster") == 0 ||
                           strncmp(rq->operation, "UpdateCluster", 13) == 0;
    const struct cluster_counts n = count_cluster(rq->core, cluster);
    struct json *o = json_object();
    int instances = 0;

    for (const struct container_instance *i = cluster->instances; i != NULL; i = i->next_in_cluster)
        instances++;
    json_set(o, "clusterArn", json_text(cluster->arn));
    json_set(o, "clusterName", json_text(cluster->name));
    json_set(o, "status", json_text(cluster_status_name(cluster->status)));
    set_int(o, "registeredContainerInstancesCount", instances);
    set_int(o, "runningTasksCount", n.running[LAUNCH_EC2] + n.running[LAUNCH_FARGATE]);
    set_int(o, "pendingTasksCount", n.pending[LAUNCH_EC2] + n.pending[LAUNCH_FARGATE]);
    set_int(o, "activeServicesCount", n.active[LAUNCH_EC2] + n.active[LAUNCH_FARGATE]);
    json_set(o, "statistics", ecs_includes(rq, "STATISTICS") ? cluster_statistics(&n) : json_array());
    json_set(o, "tags",
             shows_all || ecs_includes(rq, "TAGS") ? ecs_tags_or_empty(cluster->tags) : json_array());
    if (shows_all || ecs_includes(rq, "SETTINGS"))
        copy_members(o, cluster->doc, settings, ARRAY_COUNT(settings));
    else
        json_set(o, "settings", json_array());
    if (shows_all || ecs_includes(rq, "CONFIGURATIONS"))
        copy_members(o, cluster->doc, configuration, ARRAY_COUNT(configuration));
    if (ecs_includes(rq, "ATTACHMENTS")) /* of capacity providers that scale; there is none */
        json_set(o, "attachments", json_array());
    copy_members(o, cluster->doc, always, ARRAY_COUNT(always));
    return o;
}

/* ---- task definitions ---- */

struct json *
ecs_describe_definition(const struct request *rq, const struct task_definition *td)
{
    struct json *o = json_object();

    for (void *it = json_first(td->doc); it != NULL; it = json_next(td->doc, it))
        json_set(o, json_key(it), json_ref(json_value(it)));
    json_set(o, "status", json_text(task_definition_status_name(td->status)));
    ecs_set_time(rq, o, "registeredAt", td->registered_at_ms);
    ecs_set_time(rq, o, "deregisteredAt", td->deregistered_at_ms);
    ecs_set_time(rq, o, "deleteRequestedAt", td->delete_requested_at_ms);
    return o;
}

/* ---- services ---- */

static struct json *
advanced_configuration(const struct revision *revision, int at)
{
    const struct service_load_balancer *lb = &revision->load_balancers[at];
    const struct json *roles = json_get(revision->doc, "loadBalancerRoles");
    struct json *o = json_object();

    json_set(o, "alternateTargetGroupArn", json_text(lb->alternate_group_arn));
    json_set(o, "productionListenerRule", json_text(lb->production_listener_arn));
    ecs_set_text(o, "testListenerRule", lb->test_listener_arn);
    ecs_set_text(o, "roleArn", json_cstr(json_at(roles, (size_t)at), ""));
    return o;
}

struct json *
ecs_load_balancers(const struct revision *revision)
{
    struct json *list = json_array();

    for (int i = 0; revision != NULL && i < revision->load_balancer_count; i++) {
        const struct service_load_balancer *lb = &revision->load_balancers[i];
        struct json *o = json_object();
        json_set(o, "targetGroupArn", json_text(lb->target_group_arn));
        json_set(o, "containerName", json_text(lb->container_name));
        set_int(o, "containerPort", lb->container_port);
        if (lb->alternate_group_arn[0] != '\0')
            json_set(o, "advancedConfiguration", advanced_configuration(revision, i));
        json_append(list, o);
    }
    return list;
}

const struct revision *
ecs_current_revision(const struct service *service)
{
    const struct deployment *primary = service_primary(service);

    if (primary != NULL)
        return primary->revision;
    if (service->is_external)
        return NULL;
    if (service->deployments != NULL)
        return service->deployments->revision;
    return service->revision_count > 0 ? service->revisions[service->revision_count - 1] : NULL;
}

void
ecs_set_workload(struct json *o, const struct revision *revision)
{
    static const char *const kept[] = {"capacityProviderStrategy", "platformVersion", "platformFamily",
                                       "networkConfiguration"};

    if (json_get(revision->doc, "capacityProviderStrategy") == NULL)
        json_set(o, "launchType", json_text(launch_type_name(revision->launch_type)));
    copy_members(o, revision->doc, kept, ARRAY_COUNT(kept));
}

static struct json *
describe_deployment(const struct request *rq, const struct service *service,
                    const struct deployment *d)
{
    const struct task_counts n = core_counts(rq->core, service, d);
    struct json *o = json_object();

    json_set(o, "id", json_text(d->id));
    json_set(o, "status", json_text(deployment_status_name(d->status)));
    json_set(o, "taskDefinition", json_text(d->revision->task_definition_arn));
    set_int(o, "desiredCount", d->desired_count);
    set_int(o, "pendingCount", n.pending);
    set_int(o, "runningCount", n.running);
    set_int(o, "failedTasks", d->failed_tasks);
    ecs_set_time(rq, o, "createdAt", d->created_at_ms);
    ecs_set_time(rq, o, "updatedAt", d->updated_at_ms);
    ecs_set_workload(o, d->revision);
    json_set(o, "rolloutState", json_text(rollout_state_name(d->rollout_state)));
    ecs_set_text(o, "rolloutStateReason", d->rollout_reason);
    return o;
}

static void
set_deployments(const struct request *rq, struct json *o, const struct service *service)
{
    struct json *deployments = json_array(), *revisions = json_array();

    if (service->is_external) { /* its sets are shown instead */
        json_set(o, "deployments", deployments);
        json_set(o, "taskSets", ecs_describe_task_sets_of(rq, service, /* with_tags= */ false));
        json_unref(revisions);
        return;
    }
    for (const struct deployment *d = service->deployments; d != NULL; d = d->next) {
        const struct task_counts n = core_counts(rq->core, service, d);
        struct json *summary;

        if (d->status == DEPLOYMENT_INACTIVE)
            continue;
        json_append(deployments, describe_deployment(rq, service, d));
        summary = json_object();
        json_set(summary, "arn", json_text(d->revision->arn));
        set_int(summary, "requestedTaskCount", d->desired_count);
        set_int(summary, "runningTaskCount", n.running);
        set_int(summary, "pendingTaskCount", n.pending);
        json_append(revisions, summary);
    }
    json_set(o, "deployments", deployments);
    json_set(o, "currentServiceRevisions", revisions);
    if (service->history != NULL)
        json_set(o, "currentServiceDeployment", json_text(service->history->arn));
}

static struct json *
describe_event(const struct request *rq, struct service_event *e)
{
    cleanup_json struct json *o = NULL;
    cleanup_free char *text = NULL;

    if (e->shown != NULL)
        return e->shown;
    o = json_object();

    json_set(o, "id", json_text(e->id));
    ecs_set_time(rq, o, "createdAt", e->created_at_ms);
    json_set(o, "message", json_text(e->message));
    text = json_format(o);
    e->shown = json_formatted(str_of(text));
    return e->shown;
}

/* Five in one text, which takes the place of those of the single ones. */
static struct json *
describe_event_row(const struct request *rq, struct service_event *e)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (e->shown_row != NULL)
        return e->shown_row;
    for (int i = 0; i < EVENTS_A_ROW; i++) {
        if (i > 0)
            strbuf_add_char(&text, ',');
        json_write(&text, describe_event(rq, &e[i]));
        json_unref(e[i].shown);
        e[i].shown = NULL;
    }
    e->shown_row = json_formatted(strbuf_str(&text));
    return e->shown_row;
}

/* An event never changes and a hundred are shown each time: each is written once, and then put into
 * the row of five that it belongs to, so that an answer is made of twenty pieces and a few. */
static struct json *
describe_events(const struct request *rq, const struct service *service)
{
    const int count = service->event_count < EVENTS_MAX ? service->event_count : EVENTS_MAX;
    struct json *list = json_array();
    int step;

    for (int i = 0; i < count; i += step) {
        struct service_event *e = &service->events[i];
        const bool ends_row = (service->events_ever - i) % EVENTS_A_ROW == 0;
        step = ends_row && i + EVENTS_A_ROW <= count ? EVENTS_A_ROW : 1;
        json_append(list, json_ref(step == 1 ? describe_event(rq, e) : describe_event_row(rq, e)));
    }
    return list;
}

struct json *
ecs_describe_service(const struct request *rq, const struct service *service, bool with_tags)
{
    static const char *const kept[] = {
        "placementConstraints", "placementStrategy",    "schedulingStrategy",
        "deploymentController", "enableECSManagedTags", "propagateTags",
        "enableExecuteCommand", "availabilityZoneRebalancing",
    };
    const struct revision *revision = ecs_current_revision(service);
    const struct task_counts n = core_counts(rq->core, service, NULL);
    struct json *o = json_object();
    char role[128];

    json_set(o, "serviceArn", json_text(service->arn));
    json_set(o, "serviceName", json_text(service->name));
    json_set(o, "clusterArn", json_text(service->cluster_arn));
    json_set(o, "loadBalancers", ecs_load_balancers(revision));
    json_set(o, "serviceRegistries", json_array());
    json_set(o, "status", json_text(service_status_name(service->status)));
    set_int(o, "desiredCount", service->desired_count);
    set_int(o, "runningCount", n.running);
    set_int(o, "pendingCount", n.pending);
    if (revision != NULL) {
        ecs_set_workload(o, revision);
        json_set(o, "taskDefinition", json_text(revision->task_definition_arn));
    }
    json_set(o, "deploymentConfiguration", json_ref(service->config.doc));
    set_deployments(rq, o, service);
    if (revision != NULL && revision->load_balancer_count > 0) {
        snprintf(role, sizeof(role),
                 "arn:aws:iam::%s:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
                 rq->account);
        json_set(o, "roleArn", json_text(role));
    }
    json_set(o, "events", describe_events(rq, service));
    ecs_set_time(rq, o, "createdAt", service->created_at_ms);
    if ((revision != NULL && revision->load_balancer_count > 0) || service->health_check_grace_s > 0)
        set_int(o, "healthCheckGracePeriodSeconds", service->health_check_grace_s);
    copy_members(o, service->doc, kept, ARRAY_COUNT(kept));
    json_set(o, "resourceManagementType", json_text("CUSTOMER"));
    ecs_set_text(o, "createdBy", service->created_by);
    if (with_tags)
        json_set(o, "tags", ecs_tags_or_empty(service->tags));
    return o;
}

struct json *
ecs_service_wait(const struct request *rq, const struct service *service)
{
    const struct service_wait w = core_service_wait(rq->core, service);
    struct json *o;

    if (w.cause == WAIT_NOTHING)
        return NULL;
    o = json_object();
    json_set(o, "cause", json_text(wait_cause_name(w.cause)));
    set_int(o, "missingCount", w.missing);
    ecs_set_text(o, "reason", w.reason);
    ecs_set_time(rq, o, "nextTryAt", w.next_try_ms);
    json_set(o, "endsWithContainerInstance", json_bool(w.ends_with_host));
    return o;
}

/* ---- service deployments and revisions ---- */

static struct json *
revision_summary(const struct request *rq, const struct service *service,
                 const struct service_deployment *sd, const char *revision_arn)
{
    struct json *o = json_object();
    int requested = 0, running = 0, pending = 0;

    for (const struct deployment *d = service->deployments; d != NULL; d = d->next) {
        struct task_counts n;

        if (strcmp(d->revision->arn, revision_arn) != 0 || d->status == DEPLOYMENT_INACTIVE)
            continue;
        n = core_counts(rq->core, service, d);
        requested += d->desired_count;
        running += n.running;
        pending += n.pending;
    }
    json_set(o, "arn", json_text(revision_arn));
    set_int(o, "requestedTaskCount", requested);
    set_int(o, "runningTaskCount", running);
    set_int(o, "pendingTaskCount", pending);
    ecs_describe_weights(service, sd, revision_arn, o);
    return o;
}

struct json *
ecs_describe_service_deployment(const struct request *rq, const struct service *service,
                                const struct service_deployment *sd)
{
    struct json *o = json_object(), *sources = json_array(), *breaker = json_object();

    json_set(o, "serviceDeploymentArn", json_text(sd->arn));
    json_set(o, "serviceArn", json_text(service->arn));
    json_set(o, "clusterArn", json_text(service->cluster_arn));
    ecs_set_time(rq, o, "createdAt", sd->created_at_ms);
    ecs_set_time(rq, o, "startedAt", sd->started_at_ms);
    ecs_set_time(rq, o, "finishedAt", sd->finished_at_ms);
    ecs_set_time(rq, o, "stoppedAt", sd->stopped_at_ms);
    ecs_set_time(rq, o, "updatedAt", sd->updated_at_ms);
    for (int i = 0; i < sd->source_count; i++)
        json_append(sources, revision_summary(rq, service, sd, sd->source_revision_arns[i]));
    json_set(o, "sourceServiceRevisions", sources);
    json_set(o, "targetServiceRevision", revision_summary(rq, service, sd, sd->target_revision_arn));
    json_set(o, "status", json_text(sd_status_name(sd->status)));
    ecs_set_text(o, "statusReason", sd->status_reason);
    if (sd->config != NULL)
        json_set(o, "deploymentConfiguration", json_ref(sd->config));
    if (sd->rollback_started_at_ms != 0) {
        struct json *rollback = json_object();
        ecs_set_text(rollback, "reason", sd->rollback_reason);
        ecs_set_time(rq, rollback, "startedAt", sd->rollback_started_at_ms);
        ecs_set_text(rollback, "serviceRevisionArn", sd->rollback_revision_arn);
        json_set(o, "rollback", rollback);
    }
    ecs_describe_course(rq, service, sd, o);
    json_set(breaker, "status", json_text(breaker_status_name(sd->breaker_status)));
    set_int(breaker, "failureCount", sd->breaker_failures);
    set_int(breaker, "threshold", sd->breaker_threshold);
    json_set(o, "deploymentCircuitBreaker", breaker);
    return o;
}

/* Which of each pair its tasks are in; NULL: it has none, or they were never to start. */
static struct json *
resolved_configuration(const struct service *service, const struct revision *revision)
{
    const struct deployment *d = service->deployments;
    struct json *o, *list;

    while (d != NULL && d->revision != revision)
        d = d->next;
    if (d == NULL || revision->load_balancer_count == 0 ||
        revision->load_balancers[0].alternate_group_arn[0] == '\0')
        return NULL;
    o = json_object();
    list = json_array();
    for (int i = 0; i < revision->load_balancer_count; i++) {
        struct json *lb = json_object();
        json_set(lb, "targetGroupArn", json_text(deployment_target_group(d, i)));
        json_set(lb, "productionListenerRule",
                 json_text(revision->load_balancers[i].production_listener_arn));
        json_append(list, lb);
    }
    json_set(o, "loadBalancers", list);
    return o;
}

struct json *
ecs_describe_revision(const struct request *rq, const struct service *service,
                      const struct revision *revision)
{
    struct json *o = json_object(), *images = json_array();

    json_set(o, "serviceRevisionArn", json_text(revision->arn));
    json_set(o, "serviceArn", json_text(service->arn));
    json_set(o, "clusterArn", json_text(service->cluster_arn));
    json_set(o, "taskDefinition", json_text(revision->task_definition_arn));
    ecs_set_workload(o, revision);
    json_set(o, "loadBalancers", ecs_load_balancers(revision));
    for (int i = 0; i < revision->image_count; i++) {
        struct json *image = json_object();
        json_set(image, "containerName", json_text(revision->images[i].container));
        ecs_set_text(image, "imageDigest", revision->images[i].digest);
        json_set(image, "image", json_text(revision->images[i].image));
        json_append(images, image);
    }
    json_set(o, "containerImages", images);
    json_set(o, "resolvedConfiguration", resolved_configuration(service, revision));
    json_set(o, "guardDutyEnabled", json_bool(false));
    ecs_set_time(rq, o, "createdAt", revision->created_at_ms);
    return o;
}
