/* SPDX-License-Identifier: MIT */
#include "api/ecs_service_input.h"

#include "api/ecs_capacity.h"
#include "api/ecs_describe.h"
#include "api/ecs_operations.h"
#include "api/ecs_strategy_input.h"
#include "model/arn.h"

#if defined(__aarch64__)
#define CPU_ARCHITECTURE "ARM64"
#else
#define CPU_ARCHITECTURE "X86_64"
#endif

static const char *
text_of(const struct json *o, const char *key)
{
    return json_get_cstr(o, key, "");
}

/* ---- what is not built ---- */

static bool
fail_unbuilt(const char *what, struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED_FEATURE, "%s is not built in naru yet.", what);
}

static bool
check_config_built(const struct json *config, struct err *err)
{
    if (json_get_bool(json_get(config, "alarms"), "enable", false))
        return fail_unbuilt("deploymentConfiguration.alarms", err);
    return true;
}

static bool
check_load_balancers_built(const struct json *list, struct err *err)
{
    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *lb = json_at(list, i);
        if (text_of(lb, "loadBalancerName")[0] != '\0' &&
            json_size(json_get(lb, "advancedConfiguration")) > 0)
            return err_set(err, ERR_INVALID_PARAMETER,
                           "advancedConfiguration field is not allowed with ELBv1 loadBalancers");
        if (text_of(lb, "loadBalancerName")[0] != '\0')
            return fail_unbuilt("loadBalancers.loadBalancerName (classic load balancers)", err);
    }
    return true;
}

bool
service_check_built(const struct json *input, struct err *err)
{
    static const char *const lists[] = {
        "serviceRegistries", "volumeConfigurations", "vpcLatticeConfigurations",
        "gatewayConnectors",
    };
    const char *controller = json_get_cstr(json_get(input, "deploymentController"), "type", "ECS");
    const char *launch = json_get_cstr(input, "launchType", "EC2");

    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        if (json_size(json_get(input, lists[i])) > 0)
            return fail_unbuilt(lists[i], err);
    }
    if (json_size(json_get(json_get(input, "monitoring"), "metricConfigurations")) > 0)
        return fail_unbuilt("monitoring", err);
    if (json_get_bool(json_get(input, "serviceConnectConfiguration"), "enabled", false))
        return fail_unbuilt("serviceConnectConfiguration", err);
    if (json_get_bool(input, "enableExecuteCommand", false))
        return fail_unbuilt("enableExecuteCommand (ExecuteCommand)", err);
    if (strcmp(controller, "ECS") != 0 && strcmp(controller, "EXTERNAL") != 0)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "deploymentController %s is not built in naru yet: ECS and EXTERNAL are.", controller);
    if (strcmp(launch, "EC2") != 0 && strcmp(launch, "FARGATE") != 0)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "launchType %s is not built in naru yet: EC2 and FARGATE are.", launch);
    return check_load_balancers_built(json_get(input, "loadBalancers"), err) &&
           check_config_built(json_get(input, "deploymentConfiguration"), err);
}

/* ---- placement ---- */

bool
placement_read(const struct json *input, enum launch_type launch_type, struct placement_rules *out,
               struct err *err)
{
    const struct json *strategies = json_get(input, "placementStrategy");
    const struct json *constraints = json_get(input, "placementConstraints");

    *out = (struct placement_rules){0};
    if (launch_type == LAUNCH_FARGATE && json_size(constraints) > 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Placement constraints are not supported with FARGATE launch type.");
    if (launch_type == LAUNCH_FARGATE && json_size(strategies) > 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Placement strategies are not supported with FARGATE launch type.");
    return placement_rules_read(strategies, constraints, out, err);
}

/* ---- scheduling strategy DAEMON ---- */

bool
daemon_check(const struct json *input, const struct workload *w, struct err *err)
{
    const struct json *config = json_get(input, "deploymentConfiguration");

    if (json_get(input, "desiredCount") != NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The daemon scheduling strategy does not support a desired count for services. Remove the "
                       "desired count value and try again.");
    if (json_size(json_get(input, "placementStrategy")) > 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Placement strategies are not supported with the DAEMON scheduling strategy.");
    if (json_size(json_get(input, "capacityProviderStrategy")) > 0)
        return fail_unbuilt("capacityProviderStrategy with the DAEMON scheduling strategy", err);
    if (w != NULL && w->launch_type != LAUNCH_EC2)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The DAEMON scheduling strategy is not supported with FARGATE launch type.");
    if (json_get_i64(config, "maximumPercent", 100) != 100)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "maximumPercent must be 100 with the DAEMON scheduling strategy.");
    if (strcmp(json_get_cstr(config, "strategy", "ROLLING"), "ROLLING") != 0 ||
        json_get(config, "earlySuccessCriteria") != NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The DAEMON scheduling strategy supports the deployment strategy ROLLING only, without early "
                       "success criteria.");
    if (strcmp(json_get_cstr(input, "availabilityZoneRebalancing", "DISABLED"), "DISABLED") != 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Availability Zone rebalancing is not supported with the DAEMON scheduling strategy.");
    return true;
}

const struct deployment_config daemon_defaults = {
    .minimum_healthy_percent = 0,
    .maximum_percent = 100,
    .breaker = {.reset_on_healthy_task = true, .type = THRESHOLD_BOUNDED_PERCENT, .value = 50},
};

/* ---- deploymentConfiguration ---- */

static bool
read_threshold(const struct json *given, struct breaker_config *breaker, struct err *err)
{
    if (given == NULL)
        return true;
    if (!threshold_type_parse(str_of(text_of(given, "type")), &breaker->type))
        return err_set(err, ERR_INVALID_PARAMETER, "Unknown type of thresholdConfiguration.");
    breaker->value = (int)json_get_i64(given, "value", 0);
    if (breaker->value < 1 || (breaker->type != THRESHOLD_COUNT && breaker->value > 100))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "thresholdConfiguration.value must be at least 1, and at most 100 for percent "
                       "types.");
    return true;
}

static struct json *
alarms_off(void)
{
    struct json *alarms = json_object();

    json_set(alarms, "alarmNames", json_array());
    json_set(alarms, "rollback", json_bool(false));
    json_set(alarms, "enable", json_bool(false));
    return alarms;
}

/* As DescribeServices shows it: every default written out. */
static void
show_config(const struct deployment_config *c, const struct json *alarms, struct json *doc)
{
    struct json *breaker = json_object(), *threshold = json_object();

    json_set(threshold, "type", json_text(threshold_type_name(c->breaker.type)));
    json_set(threshold, "value", json_int(c->breaker.value));
    json_set(breaker, "enable", json_bool(c->breaker.enable));
    json_set(breaker, "rollback", json_bool(c->breaker.rollback));
    json_set(breaker, "resetOnHealthyTask", json_bool(c->breaker.reset_on_healthy_task));
    json_set(breaker, "thresholdConfiguration", threshold);
    json_set(doc, "deploymentCircuitBreaker", breaker);
    json_set(doc, "maximumPercent", json_int(c->maximum_percent));
    json_set(doc, "minimumHealthyPercent", json_int(c->minimum_healthy_percent));
    json_set(doc, "alarms", alarms != NULL ? json_ref(alarms) : alarms_off());
}

bool
config_read(const struct json *given, const struct deployment_config *old,
            struct deployment_config *out, struct err *err)
{
    struct deployment_config c = {
        .minimum_healthy_percent = 100,
        .maximum_percent = 200,
        .breaker = {.reset_on_healthy_task = true, .type = THRESHOLD_BOUNDED_PERCENT, .value = 50},
    };
    const struct json *breaker = json_get(given, "deploymentCircuitBreaker");
    const struct json *alarms = json_get(given, "alarms");
    cleanup_json struct json *doc = json_object();

    if (old != NULL)
        c = *old;
    c.doc = NULL;
    c.minimum_healthy_percent =
        (int)json_get_i64(given, "minimumHealthyPercent", c.minimum_healthy_percent);
    c.maximum_percent = (int)json_get_i64(given, "maximumPercent", c.maximum_percent);
    c.breaker.enable = json_get_bool(breaker, "enable", c.breaker.enable);
    c.breaker.rollback = json_get_bool(breaker, "rollback", c.breaker.rollback);
    c.breaker.reset_on_healthy_task =
        json_get_bool(breaker, "resetOnHealthyTask", c.breaker.reset_on_healthy_task);
    if (!read_threshold(json_get(breaker, "thresholdConfiguration"), &c.breaker, err))
        return false;
    if (c.minimum_healthy_percent == 100 && c.maximum_percent == 100)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block "
                       "deployments.");
    if (alarms == NULL && old != NULL)
        alarms = json_get(old->doc, "alarms");
    show_config(&c, alarms, doc);
    if (!strategy_read(given, old, c.minimum_healthy_percent, &c.strategy, doc, err))
        return false;
    c.doc = TAKE(doc);
    *out = c;
    return true;
}

void
config_done(struct deployment_config *config)
{
    json_unref(config->doc);
    config->doc = NULL;
}

/* ---- launch type ---- */

static bool
is_daemon(const struct json *input)
{
    return strcmp(json_get_cstr(input, "schedulingStrategy", "REPLICA"), "DAEMON") == 0;
}

/* Given, else the old one's, also if its strategy is taken away, else the cluster's default, else EC2. */
static bool
read_launch_type(const struct request *rq, const struct cluster *cluster, const struct revision *old,
                 struct workload *w, struct err *err)
{
    const char *given = json_get_cstr(rq->input, "launchType", NULL), *first;
    const struct json *strategy = json_get(rq->input, "capacityProviderStrategy");

    if (json_get(rq->input, "containerInstances") != NULL)
        return true; /* StartTask: on those, so EC2 */
    if (given != NULL && json_size(strategy) > 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Specifying both a launch type and capacity provider strategy is not supported. "
                       "Remove one and try again.");
    if (given != NULL)
        return launch_type_parse(str_of(given), &w->launch_type) ||
               err_set(err, ERR_UNSUPPORTED_FEATURE, "launchType %s is not built in naru yet.", given);
    if (json_size(strategy) == 0 && old != NULL) {
        w->launch_type = old->launch_type;
        if (strategy == NULL && json_get(old->doc, "capacityProviderStrategy") != NULL)
            json_set(w->doc, "capacityProviderStrategy",
                     json_ref(json_get(old->doc, "capacityProviderStrategy")));
        return true;
    }
    if (json_size(strategy) == 0 && is_daemon(rq->input))
        return true; /* on instances, whatever the cluster's default */
    if (json_size(strategy) == 0)
        strategy = json_get(cluster->doc, "defaultCapacityProviderStrategy");
    if (!capacity_check_strategy(strategy, json_get(cluster->doc, "capacityProviders"), err))
        return false;
    first = json_get_cstr(json_at(strategy, 0), "capacityProvider", "");
    w->launch_type = capacity_provider_is_fargate(first) ? LAUNCH_FARGATE : LAUNCH_EC2;
    if (json_size(strategy) > 0)
        json_set(w->doc, "capacityProviderStrategy", json_ref(strategy));
    return true;
}

static bool
read_platform(const struct request *rq, const struct revision *old, struct workload *w,
              struct err *err)
{
    static const char *const known[] = {"LATEST", "1.4.0", "1.3.0", "1.2.0", "1.1.0", "1.0.0"};
    const char *kept = old != NULL ? json_get_cstr(old->doc, "platformVersion", "LATEST") : "LATEST";
    const char *version = json_get_cstr(rq->input, "platformVersion", kept);
    bool is_known = false;

    if (w->launch_type != LAUNCH_FARGATE) {
        if (text_of(rq->input, "platformVersion")[0] != '\0')
            return err_set(err, ERR_INVALID_PARAMETER,
                           "The platform version must be null when specifying an EC2 launch type.");
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        is_known = is_known || strcmp(known[i], version) == 0;
    if (!is_known)
        return err_set(err, ERR_PLATFORM_UNKNOWN, "The specified platform version does not exist.");
    json_set(w->doc, "platformVersion", json_text(version));
    json_set(w->doc, "platformFamily", json_text("Linux"));
    return true;
}

/* ---- network ---- */

static struct json *
normal_network(const struct json *vpc)
{
    struct json *network = json_object(), *normal = json_object();
    const struct json *groups = json_get(vpc, "securityGroups");

    json_set(normal, "subnets", json_ref(json_get(vpc, "subnets")));
    json_set(normal, "securityGroups", groups != NULL ? json_ref(groups) : json_array());
    json_set(normal, "assignPublicIp", json_text(json_get_cstr(vpc, "assignPublicIp", "DISABLED")));
    json_set(network, "awsvpcConfiguration", normal);
    return network;
}

static bool
read_network(const struct request *rq, const struct revision *old, struct workload *w, struct err *err)
{
    const struct json *given = json_get(rq->input, "networkConfiguration");
    const struct json *vpc = json_get(given, "awsvpcConfiguration");
    const bool is_awsvpc = w->definition->network_mode == NETWORK_awsvpc;

    if (!is_awsvpc) {
        if (vpc != NULL)
            return err_set(err, ERR_INVALID_PARAMETER,
                           "Network Configuration is not valid for the given networkMode of this task "
                           "definition.");
        return true; /* what an older revision had does not apply any more */
    }
    if (vpc == NULL && old != NULL)
        vpc = json_get(json_get(old->doc, "networkConfiguration"), "awsvpcConfiguration");
    if (vpc == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Network Configuration must be provided when networkMode 'awsvpc' is specified.");
    if (json_size(json_get(vpc, "subnets")) == 0)
        return err_set(err, ERR_INVALID_PARAMETER, "subnets can not be empty.");
    json_set(w->doc, "networkConfiguration", normal_network(vpc));
    return true;
}

/* ---- load balancers ---- */

static bool
has_port(const struct container_definition *c, int port)
{
    for (int i = 0; i < c->port_count; i++) {
        if (c->ports[i].container_port == port)
            return true;
    }
    return false;
}

/* A load balancer sends to one port of a task: a range does not say to which. */
static bool
is_in_range(const struct task_definition *td, const char *container, int port)
{
    const struct json *c = json_find(json_get(td->doc, "containerDefinitions"), "name", container);
    const struct json *ports = json_get(c, "portMappings");
    int first, last;

    for (size_t i = 0; i < json_size(ports); i++) {
        if (port_range_parse(text_of(json_at(ports, i), "containerPortRange"), &first, &last) &&
            port >= first && port <= last)
            return true;
    }
    return false;
}

static bool
check_group(const struct request *rq, const struct task_definition *td, const char *arn, struct err *err)
{
    const struct target_group *group =
        request_is_region_of(rq, arn) ? core_target_group(rq->core, arn) : NULL;
    const enum target_type wanted =
        td->network_mode == NETWORK_awsvpc ? TARGET_TYPE_ip : TARGET_TYPE_instance;

    if (group == NULL)
        return err_set(err, ERR_INVALID_PARAMETER, "The target group %s does not exist.", arn);
    if (group->target_type != wanted)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The provided target group %s has target type %s, which is incompatible with the "
                       "%s network mode specified in the task definition.",
                       arn, target_type_name(group->target_type), network_mode_name(td->network_mode));
    if (!core_target_group_in_use(rq->core, arn))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The target group with targetGroupArn %s does not have an associated load "
                       "balancer.", arn);
    return true;
}

static bool
check_load_balancer(const struct request *rq, const struct task_definition *td,
                    const struct service_load_balancer *lb, struct err *err)
{
    const struct container_definition *c = task_definition_container(td, lb->container_name);

    if (c == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The container %s does not exist in the task definition.", lb->container_name);
    if (!has_port(c, lb->container_port) && is_in_range(td, lb->container_name, lb->container_port))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The container %s has port %d in a containerPortRange only: a load balancer "
                       "needs a port mapping with that containerPort.", lb->container_name,
                       lb->container_port);
    if (!has_port(c, lb->container_port))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The container %s did not have a container port %d defined.", lb->container_name,
                       lb->container_port);
    return check_group(rq, td, lb->target_group_arn, err) &&
           (lb->alternate_group_arn[0] == '\0' || check_group(rq, td, lb->alternate_group_arn, err));
}

static bool
read_one_load_balancer(const struct json *o, struct service_load_balancer *lb, struct err *err)
{
    *lb = (struct service_load_balancer){
        .container_port = (int)json_get_i64(o, "containerPort", 0)};
    if (text_of(o, "targetGroupArn")[0] == '\0')
        return err_set(err, ERR_INVALID_PARAMETER, "targetGroupArn must not be null or empty.");
    if (text_of(o, "containerName")[0] == '\0' || lb->container_port < 1)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "containerName and containerPort must be given for each load balancer.");
    if (!text_copy(lb->target_group_arn, sizeof(lb->target_group_arn),
                   str_of(text_of(o, "targetGroupArn"))) ||
        !text_copy(lb->container_name, sizeof(lb->container_name), str_of(text_of(o, "containerName"))))
        return err_set(err, ERR_INVALID_PARAMETER, "A load balancer's targetGroupArn or containerName is "
                                                   "too long.");
    return strategy_read_pair(o, lb, err);
}

/* The roles that AWS needs to touch load balancers; shown again, in the order of the entries. */
static void
keep_roles(const struct json *given, const struct revision *old, struct workload *w)
{
    struct json *roles;

    if (given == NULL && old != NULL && json_get(old->doc, "loadBalancerRoles") != NULL)
        json_set(w->doc, "loadBalancerRoles", json_ref(json_get(old->doc, "loadBalancerRoles")));
    if (json_size(given) == 0)
        return;
    roles = json_array();
    for (size_t i = 0; i < json_size(given); i++)
        json_append(roles, json_text(text_of(json_get(json_at(given, i), "advancedConfiguration"), "roleArn")));
    json_set(w->doc, "loadBalancerRoles", roles);
}

static bool
read_load_balancers(const struct request *rq, const struct revision *old, struct workload *w,
                    struct err *err)
{
    const struct json *given = json_get(rq->input, "loadBalancers");

    for (int i = 0; given == NULL && old != NULL && i < old->load_balancer_count; i++)
        w->load_balancers[w->load_balancer_count++] = old->load_balancers[i];
    for (size_t i = 0; i < json_size(given); i++) {
        if (!read_one_load_balancer(json_at(given, i), &w->load_balancers[w->load_balancer_count], err))
            return false;
        w->load_balancer_count++;
    }
    for (int i = 0; i < w->load_balancer_count; i++) {
        if (!check_load_balancer(rq, w->definition, &w->load_balancers[i], err))
            return false;
        for (int k = 0; k < i; k++) {
            if (strcmp(w->load_balancers[k].target_group_arn, w->load_balancers[i].target_group_arn) == 0 &&
                w->load_balancers[k].container_port == w->load_balancers[i].container_port)
                return err_set(err, ERR_INVALID_PARAMETER,
                               "loadBalancers names a target group and container port twice.");
        }
    }
    keep_roles(given, old, w);
    return strategy_check_pairs(rq, w, err);
}

/* ---- all of it ---- */

static bool
read_definition(const struct request *rq, const struct revision *old, struct workload *w,
                struct err *err)
{
    const char *name = json_get_cstr(rq->input, "taskDefinition", NULL);

    if (name == NULL && old != NULL) /* a running service goes on with an INACTIVE revision */
        w->definition = ecs_definition_named(rq, old->task_definition_arn);
    else if (name == NULL)
        return err_set(err, ERR_INVALID_PARAMETER, "TaskDefinition can not be blank.");
    else if ((w->definition = ecs_find_usable_definition(rq, name, err)) == NULL)
        return false;
    if (w->definition == NULL)
        return err_set(err, ERR_CLIENT, "TaskDefinition not found.");
    return true;
}

/* What is built for another machine would only fail at its start, or run slowly in emulation. */
static bool
check_platform(const struct task_definition *td, struct err *err)
{
    const struct json *platform = json_get(td->doc, "runtimePlatform");
    const char *system = json_get_cstr(platform, "operatingSystemFamily", "LINUX");
    const char *architecture = json_get_cstr(platform, "cpuArchitecture", CPU_ARCHITECTURE);

    if (strcmp(system, "LINUX") != 0)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "runtimePlatform.operatingSystemFamily %s can not run here: LINUX can.", system);
    if (strcmp(architecture, CPU_ARCHITECTURE) != 0)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "runtimePlatform.cpuArchitecture %s can not run here: this machine is "
                       CPU_ARCHITECTURE ".", architecture);
    return true;
}

static bool
check_launch_type(const struct workload *w, struct err *err)
{
    const bool fits = w->launch_type == LAUNCH_FARGATE ? w->definition->fits_fargate
                                                       : w->definition->fits_ec2;

    return fits || err_set(err, ERR_INVALID_PARAMETER, "Task definition does not support launch_type %s.",
                           launch_type_name(w->launch_type));
}

bool
workload_read(const struct request *rq, const struct cluster *cluster, const struct revision *old,
              struct workload *out, struct err *err)
{
    struct workload w = {.doc = json_object()};

    if (read_definition(rq, old, &w, err) && check_platform(w.definition, err) &&
        read_launch_type(rq, cluster, old, &w, err) && check_launch_type(&w, err) &&
        read_platform(rq, old, &w, err) && read_network(rq, old, &w, err) && read_load_balancers(rq, old, &w, err)) {
        *out = w;
        return true;
    }
    workload_done(&w);
    return false;
}

bool
workload_equal(const struct workload *w, const struct revision *old)
{
    static const char *const members[] = {"networkConfiguration", "platformVersion",
                                          "capacityProviderStrategy"};

    if (strcmp(w->definition->arn, old->task_definition_arn) != 0 ||
        w->launch_type != old->launch_type || w->load_balancer_count != old->load_balancer_count)
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        const struct json *a = json_get(w->doc, members[i]), *b = json_get(old->doc, members[i]);
        if (a != b && (a == NULL || b == NULL || !json_equal(a, b)))
            return false;
    }
    for (int i = 0; i < w->load_balancer_count; i++) {
        const struct service_load_balancer *a = &w->load_balancers[i], *b = &old->load_balancers[i];
        if (strcmp(a->target_group_arn, b->target_group_arn) != 0 ||
            strcmp(a->container_name, b->container_name) != 0 || a->container_port != b->container_port ||
            strcmp(a->alternate_group_arn, b->alternate_group_arn) != 0 ||
            strcmp(a->production_listener_arn, b->production_listener_arn) != 0 ||
            strcmp(a->test_listener_arn, b->test_listener_arn) != 0)
            return false;
    }
    return true;
}

struct json *
workload_request(const struct json *input, const struct workload *w)
{
    struct json *o = json_object();

    for (void *it = json_first(input); it != NULL; it = json_next(input, it)) {
        const char *key = json_key(it);
        if (strcmp(key, "clientToken") != 0 && strcmp(key, "cluster") != 0 &&
            strcmp(key, "service") != 0)
            json_set(o, key, json_ref(json_value(it)));
    }
    if (w->definition != NULL)
        json_set(o, "taskDefinition", json_text(w->definition->arn));
    return o;
}

void
workload_done(struct workload *w)
{
    json_unref(w->doc);
    w->doc = NULL;
}
