/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "api/ecs_capacity.h"
#include "api/ecs_describe.h"
#include "api/ecs_hook_input.h"
#include "api/ecs_operations.h"
#include "api/ecs_plan.h"
#include "api/ecs_service_input.h"
#include "api/ecs_shown.h"
#include "api/ecs_strategy_input.h"
#include "api/ecs_task_set.h"
#include "core/zone_balance.h"
#include "model/arn.h"

#define TASKS_MAX 5000 /* of one service */
#define SERVICES_MAX 5000 /* of one cluster */
#define DESCRIBED_MAX 10  /* of one DescribeServices */

/* Members of a service that the core only keeps, with what they are when absent. */
static const struct {
    const char *name;
    const char *text; /* NULL: a flag, false */
} kept_members[] = {
    {"schedulingStrategy", "REPLICA"}, {"propagateTags", "NONE"},
    {"enableECSManagedTags", NULL},    {"enableExecuteCommand", NULL},
};
static const char *const kept_lists[] = {"placementConstraints", "placementStrategy"};

/* `old` (NULL: the defaults) with what the input gives. */
static struct json *
service_doc(const struct request *rq, const struct json *old)
{
    struct json *doc = json_object(), *controller = json_object();
    const struct json *controllers[] = {json_get(old, "deploymentController"),
                                        json_get(rq->input, "deploymentController")};
    const struct json *kept = controllers[old == NULL];

    for (void *it = json_first(old); it != NULL; it = json_next(old, it))
        json_set(doc, json_key(it), json_ref(json_value(it)));
    for (size_t i = 0; i < ARRAY_COUNT(kept_members); i++) {
        const char *name = kept_members[i].name;
        const struct json *given = json_get(rq->input, name);

        if (given != NULL)
            json_set(doc, name, json_ref(given));
        else if (json_get(doc, name) == NULL)
            json_set(doc, name, kept_members[i].text != NULL ? json_text(kept_members[i].text)
                                                             : json_bool(false));
    }
    for (size_t i = 0; i < ARRAY_COUNT(kept_lists); i++) {
        const struct json *given = json_get(rq->input, kept_lists[i]);
        if (given != NULL)
            json_set(doc, kept_lists[i], json_ref(given));
        else if (json_get(doc, kept_lists[i]) == NULL)
            json_set(doc, kept_lists[i], json_array());
    }
    json_set(controller, "type", json_text(json_get_cstr(kept, "type", "ECS")));
    json_set(doc, "deploymentController", controller);
    return doc;
}

static bool
check_desired_count(int64_t count, struct err *err)
{
    if (count <= TASKS_MAX)
        return true;
    return err_set(err, ERR_INVALID_PARAMETER, "desiredCount can be at most %d.", TASKS_MAX);
}

static bool
check_grace_period(const struct request *rq, int load_balancer_count, const struct task_definition *td,
                   struct err *err)
{
    if (json_get_i64(rq->input, "healthCheckGracePeriodSeconds", 0) > 0 && load_balancer_count == 0 &&
        (td == NULL || !task_definition_has_health_check(td)))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Health check grace period is only valid for services configured to use load "
                       "balancers.");
    return true;
}

/* ---- availability zone rebalancing ---- */

/* Writes the setting into `doc` (ecs.md 7.5): what is given, if it can be; else what was before, as long as
 * the rest still allows it; else, for a new service, ENABLED where it can be. */
static bool
set_rebalancing(const struct request *rq, struct json *doc, const struct placement_rules *rules,
                enum launch_type launch_type, int maximum_percent, struct err *err)
{
    const bool is_daemon =
        strcmp(json_get_cstr(doc, "schedulingStrategy", "REPLICA"), "DAEMON") == 0;
    const bool is_possible = zones_can_balance(rules, launch_type, is_daemon, maximum_percent);
    const char *given = json_get_cstr(rq->input, "availabilityZoneRebalancing", NULL);
    const char *before = json_get_cstr(doc, "availabilityZoneRebalancing", "ENABLED");
    const char *setting = given != NULL ? given : before;

    if (given != NULL && strcmp(given, "ENABLED") == 0 && !is_possible)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Availability Zone rebalancing needs the REPLICA scheduling strategy, launch type EC2, no "
                       "placement strategy or spread over attribute:ecs.availability-zone as the first, and a "
                       "maximumPercent above 100.");
    json_set(doc, "availabilityZoneRebalancing", json_text(is_possible ? setting : "DISABLED"));
    return true;
}

/* ---- CreateService ---- */

static bool
answer_existing(struct request *rq, const struct service *service, const struct json *request,
                struct json *out, struct err *err)
{
    if (service->status == SERVICE_DRAINING)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Unable to Start a service that is still Draining.");
    if (!json_equal(json_get(service->doc, "request"), request))
        return err_set(err, ERR_INVALID_PARAMETER, "Creation of service was not idempotent.");
    json_set(out, "service", ecs_describe_service(rq, service, true));
    return true;
}

static bool
check_quota(const struct core *core, const struct cluster *cluster, struct err *err)
{
    int count = 0;

    for (const struct service *s = core->services; s != NULL; s = s->next)
        count += s->status != SERVICE_INACTIVE && strcmp(s->cluster_arn, cluster->arn) == 0;
    return count < SERVICES_MAX ||
           err_set(err, ERR_INVALID_PARAMETER, "The cluster has %d services, the most allowed.", count);
}

static bool
create(struct request *rq, const struct cluster *cluster, const struct workload *w,
       const struct placement_rules *rules, const struct deployment_config *config, struct json *out, struct err *err)
{
    const char *name = json_get_cstr(rq->input, "serviceName", "");
    const struct json *tags = json_get(rq->input, "tags");
    const struct service *service = core_service(rq->core, cluster, str_of(name));
    cleanup_json struct json *request = workload_request(rq->input, w), *doc = NULL,
                             *all_tags = NULL;

    if (service != NULL && service->status != SERVICE_INACTIVE)
        return answer_existing(rq, service, request, out, err);
    if (!check_quota(rq->core, cluster, err))
        return false;
    doc = service_doc(rq, NULL);
    if (external_is_asked(rq->input))
        json_set(doc, "availabilityZoneRebalancing", json_text("DISABLED"));
    else if (!set_rebalancing(rq, doc, rules, w->launch_type, config->maximum_percent, err))
        return false;
    json_set(doc, "request", json_ref(request));
    all_tags = ecs_tags_or_empty(tags);
    request_step(rq, &(struct event){
        .type = EVENT_SERVICE_CREATE,
        .service_create = {
            .cluster_arn = cluster->arn,
            .name = name,
            .created_by = rq->principal,
            .client_token = json_get_cstr(rq->input, "clientToken", ""),
            .desired_count = (int)json_get_i64(rq->input, "desiredCount", 0),
            .health_check_grace_s =
                (int)json_get_i64(rq->input, "healthCheckGracePeriodSeconds", 0),
            .task_definition_arn = w->definition == NULL ? NULL : w->definition->arn,
            .launch_type = w->launch_type,
            .load_balancers = w->load_balancers,
            .load_balancer_count = w->load_balancer_count,
            .config = config,
            .doc = doc,
            .revision_doc = w->doc,
            .tags = all_tags,
        }});
    service = core_service(rq->core, cluster, str_of(name));
    assert(service != NULL && service->status == SERVICE_ACTIVE);
    json_set(out, "service", ecs_describe_service(rq, service, true));
    return true;
}

/* A repeated call finds itself, and what it made. */
static bool
check_strategy(const struct request *rq, const struct cluster *cluster, const struct workload *w,
               const struct deployment_config *config, struct err *err)
{
    const char *name = json_get_cstr(rq->input, "serviceName", "");
    const struct service *s = core_service(rq->core, cluster, str_of(name));

    if (s != NULL && s->status != SERVICE_INACTIVE)
        return true;
    return strategy_check(rq, &config->strategy, w->load_balancers, w->load_balancer_count, NULL, err);
}

bool
ecs_create_service(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    cleanup(workload_done) struct workload w = {0};
    cleanup(config_done) struct deployment_config config = {0};
    cleanup(placement_rules_done) struct placement_rules rules = {0};

    if (cluster == NULL || !service_check_built(rq->input, err) ||
        !ecs_check_tags(json_get(rq->input, "tags"), err) ||
        !service_options_check(json_get(rq->input, "tags"), err))
        return false;
    const bool is_daemon =
        strcmp(json_get_cstr(rq->input, "schedulingStrategy", "REPLICA"), "DAEMON") == 0;
    const bool is_external = external_is_asked(rq->input);
    if (!is_daemon && !is_external && json_get(rq->input, "desiredCount") == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "desiredCount must be given for the scheduling strategy REPLICA.");
    if (!check_desired_count(json_get_i64(rq->input, "desiredCount", 0), err) ||
        (is_external ? !external_check_create(rq->input, err)
                     : !workload_read(rq, cluster, NULL, &w, err)) ||
        (is_daemon && !daemon_check(rq->input, &w, err)) ||
        !placement_read(rq->input, w.launch_type, &rules, err) ||
        !capacity_check_count(json_get(w.doc, "capacityProviderStrategy"),
                              json_get_i64(rq->input, "desiredCount", 0), err) ||
        (!is_external && !check_grace_period(rq, w.load_balancer_count, w.definition, err)) ||
        !config_read(json_get(rq->input, "deploymentConfiguration"),
                     is_daemon ? &daemon_defaults : NULL, &config, err) ||
        !hooks_resolve(rq, w.launch_type, &config, err) ||
        !check_strategy(rq, cluster, &w, &config, err))
        return false;
    return create(rq, cluster, &w, &rules, &config, out, err);
}

/* ---- UpdateService ---- */

static bool
has_workload_members(const struct json *input)
{
    static const char *const members[] = {"taskDefinition", "networkConfiguration", "platformVersion",
                                          "loadBalancers", "capacityProviderStrategy"};

    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        if (json_get(input, members[i]) != NULL)
            return true;
    }
    return json_get_bool(input, "forceNewDeployment", false);
}

static bool
is_rolled_back(const struct service *s)
{
    const struct deployment *primary = service_primary(s);
    const struct service_deployment *newest = service_current(s);

    return (primary != NULL && primary->is_rollback) ||
           (newest != NULL &&
            (newest->status == SD_ROLLBACK_REQUESTED || newest->status == SD_ROLLBACK_IN_PROGRESS ||
             newest->status == SD_ROLLBACK_SUCCESSFUL));
}

static bool
is_meant(const struct deployment *d, const char *name)
{
    const struct revision *r = d->revision;
    const char *family = strrchr(r->task_definition_arn, '/');

    return strcmp(d->id, name) == 0 || strcmp(r->id, name) == 0 || strcmp(r->arn, name) == 0 ||
           strcmp(r->task_definition_arn, name) == 0 ||
           (family != NULL && strcmp(family + 1, name) == 0);
}

/* What could be named instead, the newest first, each once. */
static bool
refuse_target(struct request *rq, const struct service *s, const char *name, struct err *err)
{
    cleanup(strbuf_done) struct strbuf kept = {0};
    char last[ARN_SIZE] = "";

    for (const struct deployment *d = s->deployments; d != NULL && kept.len < REASON_SIZE / 2;
         d = d->next) {
        const char *arn = d->revision->task_definition_arn;
        if (!core_can_return_to(rq->core, s, d) || strcmp(last, arn) == 0)
            continue;
        strbuf_addf(&kept, "%s%s", kept.len == 0 ? "" : ", ", strrchr(arn, '/') + 1);
        text_copy(last, sizeof(last), str_of(arn));
    }
    return err_set(err, ERR_INVALID_PARAMETER,
                   "No completed deployment of '%s' that this service can return to now. It can to: %s.",
                   name, kept.len == 0 ? "none" : strbuf_cstr(&kept));
}

/* The deployment that `rollbackTo` names, the newest of several; *stays_out: it is the present one. */
static bool
find_target(struct request *rq, const struct service *s, const char **id_out, bool *stays_out,
            struct err *err)
{
    const char *name = json_get_cstr(rq->input, "rollbackTo", NULL);
    const struct deployment *p = service_primary(s);
    const struct service_deployment *newest = service_current(s);

    *id_out = NULL;
    *stays_out = name == NULL && is_rolled_back(s);
    if (*stays_out)
        return true;
    if (name == NULL)
        return core_rollback_target(rq->core, s) != NULL ||
               err_set(err, ERR_INVALID_PARAMETER, "No completed deployment to roll back to.");
    *stays_out = p != NULL && is_meant(p, name) &&
                 (p->is_rollback || p->rollout_state == ROLLOUT_COMPLETED);
    if (*stays_out)
        return true;
    if (newest != NULL && newest->status == SD_ROLLBACK_IN_PROGRESS)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The service is being rolled back already. Wait for its end.");
    for (const struct deployment *d = s->deployments; d != NULL && *id_out == NULL; d = d->next) {
        if (is_meant(d, name) && core_can_return_to(rq->core, s, d))
            *id_out = d->id;
    }
    return *id_out != NULL || refuse_target(rq, s, name, err);
}

/* Ours, for `aws ecs update-service --rollback-deployment` and `naru rollback --to`: what is rolled back
 * already stays so. */
static bool
roll_back(struct request *rq, const struct service *s, struct json *out, struct err *err)
{
    const int desired = (int)json_get_i64(rq->input, "desiredCount", -1);
    const char *target;
    bool stays;

    if (has_workload_members(rq->input))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "A rollback can not be combined with members that start a deployment.");
    if (!find_target(rq, s, &target, &stays, err))
        return false;
    if (stays) {
        const struct event event = {.type = EVENT_SERVICE_UPDATE,
                                    .service_update = {.service_arn = s->arn,
                                                       .invocation = rq->invocation,
                                                       .desired_count = desired,
                                                       .health_check_grace_s = -1,
                                                       .launch_type = -1}};
        if ((desired >= 0 && desired != s->desired_count) || json_get(rq->input, "plan") != NULL) {
            if (!ecs_step_or_plan(rq, s, &event, out, err))
                return false;
        }
    } else {
        const struct event event = {
            .type = EVENT_SERVICE_ROLLBACK,
            .service_rollback = {.service_arn = s->arn,
                                 .invocation = rq->invocation,
                                 .deployment_id = target,
                                 .desired_count = desired,
                                 .reason = "Service deployment rolled back because of a user-initiated "
                                           "rollback."}};
        if (!ecs_step_or_plan(rq, s, &event, out, err))
            return false;
    }
    json_set(out, "service", ecs_describe_service(rq, s, false));
    return true;
}

static bool
update(struct request *rq, const struct cluster *cluster, const struct service *s, struct json *out,
       struct err *err)
{
    const struct revision *old = ecs_current_revision(s);
    const struct json *config_given = json_get(rq->input, "deploymentConfiguration");
    cleanup(workload_done) struct workload w = {0};
    cleanup(config_done) struct deployment_config config = {0};
    cleanup(placement_rules_done) struct placement_rules rules = {0};
    cleanup_json struct json *doc = NULL;
    bool starts = false;
    int load_balancer_count = old->load_balancer_count;
    const struct task_definition *td =
        core_task_definition(rq->core, rq->region, str_of(old->task_definition_arn));

    if (has_workload_members(rq->input)) {
        if (!workload_read(rq, cluster, old, &w, err))
            return false;
        starts = json_get_bool(rq->input, "forceNewDeployment", false) || !workload_equal(&w, old);
        if (starts && !core_has_room_for_deployment(s))
            return err_set(err, ERR_INVALID_PARAMETER,
                           "The tasks of too many deployments of the service are still being stopped. Try again "
                           "when some of them have ended.");
        load_balancer_count = w.load_balancer_count;
        td = w.definition;
    }
    if (!check_grace_period(rq, load_balancer_count, td, err) ||
        !capacity_check_count(json_get(starts ? w.doc : old->doc, "capacityProviderStrategy"),
                              json_get_i64(rq->input, "desiredCount", s->desired_count), err) ||
        !placement_read(rq->input, starts ? w.launch_type : old->launch_type, &rules, err) ||
        (config_given != NULL && !config_read(config_given, &s->config, &config, err)) ||
        (json_get(config_given, "lifecycleHooks") != NULL &&
         !hooks_resolve(rq, starts ? w.launch_type : old->launch_type, &config, err)) ||
        !strategy_check(rq, config_given != NULL ? &config.strategy : &s->config.strategy,
                        w.doc != NULL ? w.load_balancers : old->load_balancers, load_balancer_count, s,
                        err))
        return false;
    doc = service_doc(rq, s->doc);
    placement_rules_done(&rules);
    (void)placement_rules_read(json_get(doc, "placementStrategy"), /* constraints= */ NULL, &rules,
                               /* err= */ NULL);
    if (!set_rebalancing(rq, doc, &rules, starts ? w.launch_type : old->launch_type,
                         config_given != NULL ? config.maximum_percent : s->config.maximum_percent, err))
        return false;
    const struct event event = {
        .type = EVENT_SERVICE_UPDATE,
        .service_update = {
            .service_arn = s->arn,
            .invocation = rq->invocation,
            .desired_count = (int)json_get_i64(rq->input, "desiredCount", -1),
            .health_check_grace_s =
                (int)json_get_i64(rq->input, "healthCheckGracePeriodSeconds", -1),
            .config = config_given != NULL ? &config : NULL,
            .doc = json_equal(doc, s->doc) ? NULL : doc,
            .starts_deployment = starts,
            .task_definition_arn = starts ? w.definition->arn : NULL,
            .launch_type = starts ? (int)w.launch_type : -1,
            .has_load_balancers = starts,
            .load_balancers = starts ? w.load_balancers : NULL,
            .load_balancer_count = starts ? w.load_balancer_count : 0,
            .revision_doc = starts ? w.doc : NULL,
        }};
    return ecs_step_or_plan(rq, s, &event, out, err);
}

/* One given is the service's own. */
static bool
check_controller(const struct json *input, const struct service *s, struct err *err)
{
    return json_get(input, "deploymentController") == NULL || external_is_asked(input) == s->is_external ||
           err_set(err, ERR_UNSUPPORTED_FEATURE,
                   "Changing the deploymentController of a service is not built in naru yet.");
}

static bool
update_external(struct request *rq, const struct service *s, struct err *err)
{
    cleanup_json struct json *doc = service_doc(rq, s->doc);

    return external_update(rq, s, doc, err);
}

bool
ecs_update_service(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const struct service *s = NULL;

    if (cluster == NULL)
        return false;
    s = ecs_find_service(rq, cluster, json_get_cstr(rq->input, "service", ""), err);
    if (s == NULL)
        return false;
    if (s->status != SERVICE_ACTIVE)
        return err_set(err, ERR_SERVICE_NOT_ACTIVE, "Service was not ACTIVE.");
    if (rq->invocation[0] != '\0' && strcmp(rq->invocation, s->invocation) == 0) {
        json_set(out, "service", ecs_describe_service(rq, s, false)); /* its answer was lost */
        return true;
    }
    if (!service_check_built(rq->input, err) ||
        !check_desired_count(json_get_i64(rq->input, "desiredCount", 0), err))
        return false;
    if (s->is_daemon && !daemon_check(rq->input, NULL, err))
        return false;
    if (!check_controller(rq->input, s, err))
        return false;
    if (!s->is_external && (json_get_bool(rq->input, "rollbackDeployment", false) ||
                            json_get(rq->input, "rollbackTo") != NULL))
        return roll_back(rq, s, out, err);
    if (s->is_external ? !update_external(rq, s, err) : !update(rq, cluster, s, out, err))
        return false;
    json_set(out, "service", ecs_describe_service(rq, s, false));
    return true;
}

/* ---- DescribeServices, ListServices ---- */

/* What is waited for changes with time alone, so nothing shown before may stand for it. */
static struct json *
describe_one(const struct request *rq, const struct service *s)
{
    const bool with_tags = ecs_includes(rq, "TAGS");
    struct json *o, *wait;

    if (!ecs_includes(rq, "WAIT"))
        return ecs_shown_service(rq, s, with_tags);
    o = ecs_describe_service(rq, s, with_tags);
    wait = ecs_service_wait(rq, s);
    if (wait != NULL)
        json_set(o, "wait", wait);
    return o;
}

bool
ecs_describe_services(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const struct json *names = json_get(rq->input, "services");
    struct json *services, *failures;

    if (cluster == NULL ||
        !ecs_check_list(rq, "services", DESCRIBED_MAX, "Services cannot be empty.", err) ||
        !ecs_check_owners(rq, cluster, "services", err))
        return false;
    services = json_array();
    failures = json_array();
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        const struct service *s = ecs_find_service(rq, cluster, name, NULL);
        char arn[ARN_SIZE];

        if (s != NULL) {
            json_append(services, describe_one(rq, s));
            continue;
        }
        if (arn_is(str_of(name)) || strlen(name) >= NAME_SIZE)
            text_copy(arn, sizeof(arn), str_of(name));
        else
            arn_format(arn, "ecs", rq->region, rq->account, "service/%s/%s", cluster->name, name);
        json_append(failures, ecs_failure(arn, "MISSING"));
    }
    json_set(out, "services", services);
    json_set(out, "failures", failures);
    return true;
}

bool
ecs_list_services(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const char *launch = json_get_cstr(rq->input, "launchType", NULL);
    const char *strategy = json_get_cstr(rq->input, "schedulingStrategy", NULL);
    const bool is_ours =
        strcmp(json_get_cstr(rq->input, "resourceManagementType", "CUSTOMER"), "CUSTOMER") == 0;
    cleanup(ecs_page_done) struct ecs_page page = {0};

    if (cluster == NULL)
        return false;
    for (const struct service *s = rq->core->services; s != NULL; s = s->next) {
        const struct revision *r = ecs_current_revision(s);

        if (strcmp(s->cluster_arn, cluster->arn) != 0 || s->status != SERVICE_ACTIVE || !is_ours ||
            (strategy != NULL && s->is_daemon != (strcmp(strategy, "DAEMON") == 0)))
            continue;
        if (launch == NULL || (r != NULL && strcmp(launch_type_name(r->launch_type), launch) == 0))
            ecs_page_add(&page, json_text(s->arn), "%s", s->arn);
    }
    return ecs_page_write(&page, rq, "serviceArns", 10, false, out, err);
}

/* A service names a namespace by serviceConnectConfiguration or serviceRegistries only; both are
 * refused, so there is no namespace.  An empty list would say that there is one. */
bool
ecs_list_services_by_namespace(struct request *rq, struct json *out, struct err *err)
{
    (void)out;
    return err_set(err, ERR_NAMESPACE_NOT_FOUND,
                   "The namespace '%.255s' was not found: Service Connect and Cloud Map are not "
                   "built in naru yet.",
                   json_get_cstr(rq->input, "namespace", ""));
}

/* ---- DeleteService ---- */

static bool
check_deletable(const struct request *rq, const struct service *s, struct err *err)
{
    const struct task_counts n = core_counts(rq->core, s, NULL);
    int deployments = 0;

    if (json_get_bool(rq->input, "force", false) || s->is_daemon)
        return true;
    if (s->desired_count > 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The service cannot be stopped while it is scaled above 0.");
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
        deployments += d->status != DEPLOYMENT_INACTIVE && d->set == NULL;
    if (deployments > 1)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The service cannot be stopped while deployments are active.");
    if (n.running + n.pending > 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The service cannot be stopped while the primary deployment is scaled above 0.");
    return true;
}

bool
ecs_delete_service(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const struct service *s;

    if (cluster == NULL)
        return false;
    s = ecs_find_service(rq, cluster, json_get_cstr(rq->input, "service", ""), err);
    if (s == NULL)
        return false;
    if (s->status == SERVICE_INACTIVE)
        return err_set(err, ERR_SERVICE_NOT_FOUND, "Service not found.");
    if (s->status == SERVICE_ACTIVE) {
        if (!check_deletable(rq, s, err))
            return false;
        request_step(rq, &(struct event){.type = EVENT_SERVICE_DELETE,
                                         .service_delete = {.service_arn = s->arn}});
    }
    json_set(out, "service", ecs_describe_service(rq, s, false));
    return true;
}
