/* SPDX-License-Identifier: MIT */
#include "api/ecs_task_set.h"

#include <assert.h>
#include <math.h>

#include "api/ecs_capacity.h"
#include "api/ecs_describe.h"
#include "api/ecs_operations.h"
#include "api/ecs_service_input.h"
#include "model/arn.h"

/* ---- what the service itself can be asked for ---- */

bool
external_is_asked(const struct json *input)
{
    return strcmp(json_get_cstr(json_get(input, "deploymentController"), "type", "ECS"),
                  "EXTERNAL") == 0;
}

/* An empty list says nothing. */
static bool
is_given(const struct json *input, const char *name)
{
    const struct json *value = json_get(input, name);

    return value != NULL && (json_type(value) != JSON_ARRAY || json_size(value) > 0) &&
           (json_type(value) != JSON_BOOL || json_get_bool(input, name, false));
}

static const struct {
    const char *name, *words;
} of_task_sets[] = {
    {"taskDefinition", "the task definition"},
    {"launchType", "the launch type"},
    {"capacityProviderStrategy", "the capacity provider strategy"},
    {"platformVersion", "the platform version"},
    {"networkConfiguration", "the network configuration"},
    {"loadBalancers", "the load balancers"},
};

static bool
check_rebalancing(const struct json *input, struct err *err)
{
    return strcmp(json_get_cstr(input, "availabilityZoneRebalancing", "DISABLED"), "ENABLED") !=
               0 ||
           err_set(err, ERR_INVALID_PARAMETER,
                   "Availability Zone rebalancing is not supported with the EXTERNAL deployment "
                   "controller.");
}

/* Only the bounds mean anything: whoever deploys from outside decides the rest. */
static bool
check_config(const struct json *config, struct err *err)
{
    static const char *const members[] = {"lifecycleHooks", "linearConfiguration",
                                          "canaryConfiguration", "earlySuccessCriteria"};
    const struct json *breaker = json_get(config, "deploymentCircuitBreaker");

    if (json_get_bool(breaker, "enable", false))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The deployment circuit breaker is not supported with the EXTERNAL "
                       "deployment controller.");
    if (strcmp(json_get_cstr(config, "strategy", "ROLLING"), "ROLLING") != 0 ||
        json_get_i64(config, "bakeTimeInMinutes", 0) > 0)
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "A deployment strategy or bake time is not supported with the EXTERNAL deployment "
            "controller.");
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        if (is_given(config, members[i]))
            return err_set(err, ERR_INVALID_PARAMETER,
                           "%s is not supported with the EXTERNAL deployment controller.",
                           members[i]);
    }
    return true;
}

bool
external_check_create(const struct json *input, struct err *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(of_task_sets); i++) {
        if (is_given(input, of_task_sets[i].name))
            return err_set(
                err, ERR_INVALID_PARAMETER,
                "%s can not be specified for a service with the EXTERNAL deployment controller: it "
                "belongs to each task set.",
                of_task_sets[i].name);
    }
    if (strcmp(json_get_cstr(input, "schedulingStrategy", "REPLICA"), "DAEMON") == 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The DAEMON scheduling strategy is not supported with the EXTERNAL "
                       "deployment controller.");
    return check_rebalancing(input, err) &&
           check_config(json_get(input, "deploymentConfiguration"), err);
}

static bool
check_update(const struct json *input, struct err *err)
{
    static const char *const others[] = {"deploymentConfiguration", "forceNewDeployment",
                                         "rollbackDeployment", "rollbackTo", "plan"};

    for (size_t i = 0; i < ARRAY_COUNT(of_task_sets); i++) {
        if (is_given(input, of_task_sets[i].name))
            return err_set(
                err, ERR_INVALID_PARAMETER,
                "Unable to update %s on services with an EXTERNAL deployment controller. Use "
                "CreateTaskSet.",
                of_task_sets[i].words);
    }
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        if (is_given(input, others[i]))
            return err_set(
                err, ERR_INVALID_PARAMETER,
                "%s is not supported on services with an EXTERNAL deployment controller.",
                others[i]);
    }
    return check_rebalancing(input, err);
}

/* New rules and counts have to suit the sets that there are. */
static bool
check_sets(const struct request *rq, const struct service *s, struct err *err)
{
    const int64_t desired = json_get_i64(rq->input, "desiredCount", s->desired_count);
    cleanup(placement_rules_done) struct placement_rules rules = {0};

    if (!placement_read(rq->input, LAUNCH_EC2, &rules, err))
        return false;
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        placement_rules_done(&rules);
        rules = (struct placement_rules){0};
        if (d->set->is_draining)
            continue;
        if (!placement_read(rq->input, d->revision->launch_type, &rules, err) ||
            !capacity_check_count(json_get(d->revision->doc, "capacityProviderStrategy"),
                                  task_set_count(d->set, (int)desired), err))
            return false;
    }
    return true;
}

bool
external_update(struct request *rq, const struct service *s, const struct json *doc,
                struct err *err)
{
    if (!check_update(rq->input, err) || !check_sets(rq, s, err))
        return false;
    request_step(rq, &(struct event){
                         .type = EVENT_SERVICE_UPDATE,
                         .service_update = {
                             .service_arn = s->arn,
                             .invocation = rq->invocation,
                             .desired_count = (int)json_get_i64(rq->input, "desiredCount", -1),
                             .health_check_grace_s =
                                 (int)json_get_i64(rq->input, "healthCheckGracePeriodSeconds", -1),
                             .doc = json_equal(doc, s->doc) ? NULL : doc,
                             .launch_type = -1,
                         }});
    return true;
}

/* ---- describing ---- */

static const char *
status_of(const struct deployment *d)
{
    return d->set->is_draining ? "DRAINING" : deployment_status_name(d->status);
}

static struct json *
describe(const struct request *rq, const struct service *s, const struct deployment *d,
         bool with_tags)
{
    const struct task_counts n = core_counts(rq->core, s, d);
    struct json *o = json_object(), *scale = json_object();

    json_set(o, "id", json_text(d->id));
    json_set(o, "taskSetArn", json_text(d->set->arn));
    json_set(o, "serviceArn", json_text(s->arn));
    json_set(o, "clusterArn", json_text(s->cluster_arn));
    ecs_set_text(o, "externalId", d->set->external_id);
    json_set(o, "status", json_text(status_of(d)));
    json_set(o, "taskDefinition", json_text(d->revision->task_definition_arn));
    json_set(o, "computedDesiredCount", json_int(d->desired_count));
    json_set(o, "pendingCount", json_int(n.pending));
    json_set(o, "runningCount", json_int(n.running));
    ecs_set_time(rq, o, "createdAt", d->created_at_ms);
    ecs_set_time(rq, o, "updatedAt", d->updated_at_ms);
    ecs_set_workload(o, d->revision);
    json_set(o, "loadBalancers", ecs_load_balancers(d->revision));
    json_set(o, "serviceRegistries", json_array());
    json_set(scale, "value", json_real((double)d->set->scale / SCALE_PERCENT));
    json_set(scale, "unit", json_text("PERCENT"));
    json_set(o, "scale", scale);
    json_set(o, "stabilityStatus", json_text(stability_status_name(d->set->stability)));
    ecs_set_time(rq, o, "stabilityStatusAt", d->set->stability_at_ms);
    if (with_tags)
        json_set(o, "tags", ecs_tags_or_empty(d->set->tags));
    return o;
}

struct json *
ecs_describe_task_sets_of(const struct request *rq, const struct service *s, bool with_tags)
{
    struct json *list = json_array();

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->status != DEPLOYMENT_INACTIVE)
            json_append(list, describe(rq, s, d, with_tags));
    }
    return list;
}

/* ---- finding ---- */

/* The service of the request, whose sets can be changed. */
static struct service *
find_service(const struct request *rq, const struct cluster *cluster, bool reads, struct err *err)
{
    struct service *s = ecs_find_service(rq, cluster, json_get_cstr(rq->input, "service", ""), err);

    if (s == NULL)
        return NULL;
    if (s->status != SERVICE_ACTIVE && !(reads && s->status == SERVICE_DRAINING)) {
        err_set(err, ERR_SERVICE_NOT_ACTIVE, "Service was not ACTIVE.");
        return NULL;
    }
    if (!s->is_external) {
        err_set(err, ERR_INVALID_PARAMETER,
                "Task sets exist only in services with the EXTERNAL deployment controller.");
        return NULL;
    }
    return s;
}

/* By id or ARN; NULL: not one of the service's. */
static struct deployment *
find_set(const struct service *s, const char *name)
{
    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (strcmp(d->id, name) == 0 || strcmp(d->set->arn, name) == 0)
            return d;
    }
    return NULL;
}

/* Both, as the three operations on one set name them; NULL: refused. */
static struct deployment *
find_named(const struct request *rq, const char *member, struct service **service_out,
           struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    struct service *s = cluster == NULL ? NULL : find_service(rq, cluster, /* reads= */ false, err);
    struct deployment *d = s == NULL ? NULL : find_set(s, json_get_cstr(rq->input, member, ""));

    if (s != NULL && d == NULL)
        err_set(err, ERR_TASK_SET_NOT_FOUND, "The specified task set does not exist.");
    *service_out = s;
    return d;
}

static bool
check_not_draining(const struct deployment *d, struct err *err)
{
    return !d->set->is_draining ||
           err_set(err, ERR_INVALID_PARAMETER, "The task set %s is DRAINING.", d->id);
}

/* ---- CreateTaskSet ---- */

/* `fallback` if there is no value. */
static bool
read_scale(const struct json *scale, int fallback, int *out, struct err *err)
{
    const struct json *value = json_get(scale, "value");
    const double n = json_type(value) == JSON_INT ? (double)json_i64(value, 0) : json_f64(value, 0);

    if (value == NULL && fallback < 0)
        return err_set(err, ERR_INVALID_PARAMETER, "The value of the scale must be given.");
    *out = value == NULL ? fallback : (int)lround(n * SCALE_PERCENT);
    /* A part too small to be kept is a part all the same. */
    if (*out == 0 && n > 0)
        *out = 1;
    return true;
}

static bool
check_load_balancers(const struct json *list, struct err *err)
{
    for (size_t i = 0; i < json_size(list); i++) {
        if (json_size(json_get(json_at(list, i), "advancedConfiguration")) > 0)
            return err_set(
                err, ERR_INVALID_PARAMETER,
                "advancedConfiguration is not supported in the load balancers of a task set.");
    }
    return true;
}

/* The service's rules of placement are for instances only. */
static bool
check_placement(const struct service *s, const struct workload *w, struct err *err)
{
    cleanup(placement_rules_done) struct placement_rules rules = {0};

    return placement_read(s->doc, w->launch_type, &rules, err);
}

static const struct deployment *
find_token(const struct service *s, const char *token)
{
    for (const struct deployment *d = s->deployments; d != NULL && token[0] != '\0'; d = d->next) {
        if (strcmp(d->set->client_token, token) == 0)
            return d;
    }
    return NULL;
}

static bool
check_quota(const struct service *s, struct err *err)
{
    int count = 0;

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
        count++;
    return count < TASK_SETS_MAX ||
           err_set(err, ERR_LIMIT_EXCEEDED, "The service has %d task sets, the most allowed.",
                   count);
}

static const struct deployment *
newest(const struct service *s)
{
    const struct deployment *best = NULL;

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
        best = best == NULL || strcmp(d->id, best->id) > 0 ? d : best; /* ids only rise */
    return best;
}

static void
step_create(struct request *rq, const struct service *s, const struct workload *w, int scale,
            const struct json *request)
{
    cleanup_json struct json *tags = ecs_tags_or_empty(json_get(rq->input, "tags"));

    request_step(rq,
                 &(struct event){.type = EVENT_TASK_SET_CREATE,
                                 .task_set_create = {
                                     .service_arn = s->arn,
                                     .external_id = json_get_cstr(rq->input, "externalId", ""),
                                     .client_token = json_get_cstr(rq->input, "clientToken", ""),
                                     .scale = scale,
                                     .task_definition_arn = w->definition->arn,
                                     .launch_type = w->launch_type,
                                     .load_balancers = w->load_balancers,
                                     .load_balancer_count = w->load_balancer_count,
                                     .revision_doc = w->doc,
                                     .tags = tags,
                                     .request = request,
                                 }});
}

bool
ecs_create_task_set(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const struct service *s =
        cluster == NULL ? NULL : find_service(rq, cluster, /* reads= */ false, err);
    cleanup(workload_done) struct workload w = {0};
    cleanup_json struct json *request = NULL;
    const struct deployment *made;
    int scale = 0;

    if (s == NULL || !service_check_built(rq->input, err) ||
        !ecs_check_tags(json_get(rq->input, "tags"), err) ||
        !check_load_balancers(json_get(rq->input, "loadBalancers"), err) ||
        !read_scale(json_get(rq->input, "scale"), 0, &scale, err) ||
        !workload_read(rq, cluster, NULL, &w, err) || !check_placement(s, &w, err) ||
        !capacity_check_count(json_get(w.doc, "capacityProviderStrategy"),
                              task_set_count(&(struct task_set){.scale = scale}, s->desired_count),
                              err))
        return false;
    request = workload_request(rq->input, &w);
    made = find_token(s, json_get_cstr(rq->input, "clientToken", ""));
    if (made != NULL && !json_equal(made->set->request, request))
        return err_set(err, ERR_INVALID_PARAMETER, "Creation of task set was not idempotent.");
    if (made == NULL) {
        if (!check_quota(s, err))
            return false;
        step_create(rq, s, &w, scale, request);
        made = newest(s);
        assert(made != NULL);
    }
    json_set(out, "taskSet", describe(rq, s, made, /* with_tags= */ true));
    return true;
}

/* ---- UpdateTaskSet, UpdateServicePrimaryTaskSet, DeleteTaskSet ---- */

bool
ecs_update_task_set(struct request *rq, struct json *out, struct err *err)
{
    struct service *s;
    const struct deployment *d = find_named(rq, "taskSet", &s, err);
    int scale = 0;

    if (d == NULL || !check_not_draining(d, err) ||
        !read_scale(json_get(rq->input, "scale"), -1, &scale, err) ||
        !capacity_check_count(json_get(d->revision->doc, "capacityProviderStrategy"),
                              task_set_count(&(struct task_set){.scale = scale}, s->desired_count),
                              err))
        return false;
    request_step(rq, &(struct event){.type = EVENT_TASK_SET_SCALE,
                                     .task_set_scale = {.arn = d->set->arn, .scale = scale}});
    json_set(out, "taskSet", describe(rq, s, d, /* with_tags= */ false));
    return true;
}

bool
ecs_update_service_primary_task_set(struct request *rq, struct json *out, struct err *err)
{
    struct service *s;
    const struct deployment *d = find_named(rq, "primaryTaskSet", &s, err);

    if (d == NULL || !check_not_draining(d, err))
        return false;
    request_step(rq, &(struct event){.type = EVENT_TASK_SET_PROMOTE,
                                     .task_set_promote = {.arn = d->set->arn}});
    json_set(out, "taskSet", describe(rq, s, d, /* with_tags= */ false));
    return true;
}

static bool
check_deletable(const struct request *rq, const struct service *s, const struct deployment *d,
                struct err *err)
{
    const struct task_counts n = core_counts(rq->core, s, d);

    if (json_get_bool(rq->input, "force", false))
        return true;
    if (d->desired_count > 0 || n.running + n.pending > 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The task set cannot be deleted while it is scaled above 0.");
    if (d->status == DEPLOYMENT_PRIMARY)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The primary task set cannot be deleted without force.");
    return true;
}

/* What is answered is the set as it drains; it may be gone by then. */
bool
ecs_delete_task_set(struct request *rq, struct json *out, struct err *err)
{
    struct service *s;
    const struct deployment *d = find_named(rq, "taskSet", &s, err);
    struct json *before;
    char arn[ARN_SIZE];

    if (d == NULL || (!d->set->is_draining && !check_deletable(rq, s, d, err)))
        return false;
    text_copy(arn, sizeof(arn), str_of(d->set->arn));
    before = describe(rq, s, d, /* with_tags= */ false);
    if (!d->set->is_draining)
        request_step(
            rq, &(struct event){.type = EVENT_TASK_SET_DELETE, .task_set_delete = {.arn = arn}});
    d = core_task_set(rq->core, arn, NULL);
    if (d != NULL) {
        json_unref(before);
        before = describe(rq, s, d, /* with_tags= */ false);
    }
    json_set(before, "status", json_text("DRAINING"));
    json_set(out, "taskSet", before);
    return true;
}

/* ---- DescribeTaskSets ---- */

static bool
describe_named(const struct request *rq, const struct service *s, bool with_tags, struct json *out,
               struct err *err)
{
    const struct json *names = json_get(rq->input, "taskSets");
    struct json *sets, *failures;

    if (!ecs_check_list(rq, "taskSets", 100, "Task sets cannot be empty.", err))
        return false;
    sets = json_array();
    failures = json_array();
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        const struct deployment *d = find_set(s, name);
        char arn[ARN_SIZE];

        if (d != NULL) {
            json_append(sets, describe(rq, s, d, with_tags));
            continue;
        }
        if (arn_is(str_of(name)) || strlen(name) >= ID_SIZE)
            text_copy(arn, sizeof(arn), str_of(name));
        else
            arn_format(arn, "ecs", rq->region, rq->account, "task-set/%s/%s/%s", s->cluster_name,
                       s->name, name);
        json_append(failures, ecs_failure(arn, "MISSING"));
    }
    json_set(out, "taskSets", sets);
    json_set(out, "failures", failures);
    return true;
}

bool
ecs_describe_task_sets(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const struct service *s =
        cluster == NULL ? NULL : find_service(rq, cluster, /* reads= */ true, err);
    const bool with_tags = ecs_includes(rq, "TAGS");

    if (s == NULL)
        return false;
    if (json_size(json_get(rq->input, "taskSets")) > 0)
        return describe_named(rq, s, with_tags, out, err);
    json_set(out, "taskSets", ecs_describe_task_sets_of(rq, s, with_tags));
    json_set(out, "failures", json_array());
    return true;
}
