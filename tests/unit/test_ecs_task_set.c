/* SPDX-License-Identifier: MIT */
/* Task sets through the API: what the door refuses, what it shows, and an external deployer's whole
 * way. tests/trace tells how the core keeps each set at its size. */
#include "api_world.h"

#define EXTERNAL "'deploymentController':{'type':'EXTERNAL'}"
#define SET "'cluster':'c','service':'s'"
#define NEW_SET SET ",'taskDefinition':'web'"
#define SET_ARN WORLD_ARN "task-set/c/s/"

static struct arena test_arena; /* each test is a process */

static int64_t
int_at(const struct json *o, const char *key)
{
    return json_get_i64(o, key, -1);
}

static void
prepare(struct world *w)
{
    world_prepare(w);
    world_call(w, "CreateService",
               "{'cluster':'c','serviceName':'s','desiredCount':3," EXTERNAL "}");
}

/* CreateTaskSet; gives the id. */
static const char *
create(struct world *w, const char *rest)
{
    const struct json *set =
        json_get(world_call(w, "CreateTaskSet", "{" NEW_SET "%s}", rest), "taskSet");

    return arena_format(&test_arena, "%s", text_at(set, "id"));
}

static const struct json *
shown(struct world *w, const char *id)
{
    return json_at(
        json_get(world_call(w, "DescribeTaskSets", "{" SET ",'taskSets':['%s']}", id), "taskSets"),
        0);
}

static const struct json *
service(struct world *w)
{
    return json_at(
        json_get(world_call(w, "DescribeServices", "{'cluster':'c','services':['s']}"), "services"),
        0);
}

static void PRINTF_LIKE(2, 3) query(struct world *w, const char *format, ...)
{
    char form[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(form, sizeof(form), format, args);
    va_end(args);
    if (world_send(w, "elasticloadbalancing", "application/x-www-form-urlencoded", NULL, form) !=
        200)
        check_fail(__FILE__, __LINE__, "%s: %s", form, w->body);
}

/* A target group behind a listener. */
static const char *
add_group(struct world *w, const char *name, int port)
{
    if (w->core->load_balancers == NULL)
        query(w, "Action=CreateLoadBalancer&Version=2015-12-01&Name=lb&Subnets.member.1=subnet-a"
                 "&Subnets.member.2=subnet-b");
    query(w,
          "Action=CreateTargetGroup&Version=2015-12-01&Name=%s&Protocol=HTTP&Port=80&VpcId=vpc-1"
          "&TargetType=instance",
          name);
    for (const struct target_group *tg = w->core->target_groups; tg != NULL; tg = tg->next) {
        if (strcmp(tg->name, name) != 0)
            continue;
        query(w,
              "Action=CreateListener&Version=2015-12-01&LoadBalancerArn=%s&Protocol=HTTP&Port=%d"
              "&DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn=%s",
              w->core->load_balancers->arn, port, tg->arn);
        return tg->arn;
    }
    check_fail(__FILE__, __LINE__, "no group");
}

/* ---- the service ---- */

TEST(an_external_service_begins_without_anything)
{
    cleanup(world_done) struct world w;
    const struct json *s;

    prepare(&w);
    world_settle(&w);
    s = service(&w);
    CHECK_TEXT(text_at(json_get(s, "deploymentController"), "type"), "EXTERNAL");
    CHECK_EQ(json_size(json_get(s, "deployments")), 0);
    CHECK_EQ(json_size(json_get(s, "taskSets")), 0);
    CHECK(json_get(s, "taskDefinition") == NULL && json_get(s, "launchType") == NULL);
    CHECK(json_get(s, "currentServiceDeployment") == NULL);
    CHECK_TEXT(text_at(s, "availabilityZoneRebalancing"), "DISABLED");
    CHECK_EQ(int_at(s, "desiredCount"), 3);
    CHECK_EQ(int_at(s, "runningCount"), 0);
    CHECK_EQ(json_size(
                 json_get(world_call(&w, "ListServiceDeployments", "{'cluster':'c','service':'s'}"),
                          "serviceDeployments")),
             0);
    /* Only its name has to be given. */
    s = json_get(world_call(&w, "CreateService", "{'cluster':'c','serviceName':'t'," EXTERNAL "}"),
                 "service");
    CHECK_EQ(int_at(s, "desiredCount"), 0);
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'t'," EXTERNAL "}"); /* the same again */
    world_refuse(&w, "CreateService",
                 "{'cluster':'c','serviceName':'t','desiredCount':1," EXTERNAL "}",
                 "InvalidParameterException", "Creation of service was not idempotent.");
}

TEST(what_belongs_to_a_task_set_is_refused_in_its_service)
{
    static const struct {
        const char *member, *message;
    } refused[] = {
        {"'taskDefinition':'web'", "taskDefinition can not be specified"},
        {"'launchType':'EC2'", "launchType can not be specified"},
        {"'platformVersion':'LATEST'", "platformVersion can not be specified"},
        {"'networkConfiguration':{'awsvpcConfiguration':{'subnets':['a']}}",
         "networkConfiguration can not be"},
        {"'capacityProviderStrategy':[{'capacityProvider':'FARGATE'}]",
         "capacityProviderStrategy can not be"},
        {"'loadBalancers':[{'targetGroupArn':'x','containerName':'a','containerPort':1}]",
         "loadBalancers can not be specified"},
        {"'schedulingStrategy':'DAEMON'",
         "DAEMON scheduling strategy is not supported with the EXTERNAL"},
        {"'availabilityZoneRebalancing':'ENABLED'",
         "Availability Zone rebalancing is not supported"},
        {"'deploymentConfiguration':{'deploymentCircuitBreaker':{'enable':true,'rollback':true}}",
         "circuit breaker is not supported"},
        {"'deploymentConfiguration':{'strategy':'BLUE_GREEN'}",
         "A deployment strategy or bake time"},
        {"'deploymentConfiguration':{'bakeTimeInMinutes':3}", "A deployment strategy or bake time"},
        {"'deploymentConfiguration':{'lifecycleHooks':[{'targetType':'PAUSE','lifecycleStages':['"
         "PRE_SCALE_UP']}]}",
         "lifecycleHooks is not supported"},
        {"'deploymentConfiguration':{'earlySuccessCriteria':{'enable':true}}",
         "earlySuccessCriteria is not"},
    };
    cleanup(world_done) struct world w;

    prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        world_refuse(&w, "CreateService",
                     arena_format(&test_arena,
                                  "{'cluster':'c','serviceName':'t','desiredCount':1," EXTERNAL
                                  ",%s}",
                                  refused[i].member),
                     "InvalidParameterException", refused[i].message);
    world_refuse(&w, "CreateService",
                 "{'cluster':'c','serviceName':'t','deploymentController':{'type':'CODE_DEPLOY'}}",
                 "UnsupportedFeatureException", "CODE_DEPLOY is not built in naru yet");
    world_refuse(
        &w, "CreateService",
        "{'cluster':'c','serviceName':'t','serviceRegistries':[{'registryArn':'a'}]," EXTERNAL "}",
        "UnsupportedFeatureException", "serviceRegistries");
    /* Empty lists say nothing, and what is the service's own is fine. */
    world_call(
        &w, "CreateService",
        "{'cluster':'c','serviceName':'t','loadBalancers':[],'healthCheckGracePeriodSeconds':30,"
        "'deploymentConfiguration':{'minimumHealthyPercent':50,'maximumPercent':150},"
        "'placementStrategy':[{'type':'random'}],'propagateTags':'SERVICE'," EXTERNAL "}");
}

TEST(an_external_service_is_updated_in_what_is_its_own)
{
    static const struct {
        const char *member, *message;
    } refused[] = {
        {"'taskDefinition':'web'",
         "Unable to update the task definition on services with an EXTERNAL"},
        {"'networkConfiguration':{'awsvpcConfiguration':{'subnets':['a']}}",
         "update the network configuration on"},
        {"'platformVersion':'LATEST'", "Unable to update the platform version on"},
        {"'loadBalancers':[{'targetGroupArn':'x','containerName':'a','containerPort':1}]",
         "Unable to update the load balancers on"},
        {"'capacityProviderStrategy':[{'capacityProvider':'FARGATE'}]",
         "update the capacity provider strategy"},
        {"'forceNewDeployment':true", "forceNewDeployment is not supported"},
        {"'deploymentConfiguration':{'maximumPercent':150}",
         "deploymentConfiguration is not supported"},
        {"'rollbackDeployment':true", "rollbackDeployment is not supported"},
        {"'rollbackTo':'web:1'", "rollbackTo is not supported"},
        {"'plan':{}", "plan is not supported"},
        {"'availabilityZoneRebalancing':'ENABLED'",
         "Availability Zone rebalancing is not supported"},
        {"'placementConstraints':[{'type':'memberOf','expression':'('}]", ""},
    };
    cleanup(world_done) struct world w;
    const char *id;
    const struct json *s;

    prepare(&w);
    id = create(&w, ",'scale':{'value':50}");
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        world_refuse(
            &w, "UpdateService",
            arena_format(&test_arena, "{'cluster':'c','service':'s',%s}", refused[i].member),
            "InvalidParameterException", refused[i].message);
    world_refuse(&w, "UpdateService",
                 "{'cluster':'c','service':'s','deploymentController':{'type':'ECS'}}",
                 "UnsupportedFeatureException", "Changing the deploymentController");
    s = json_get(
        world_call(
            &w, "UpdateService",
            "{'cluster':'c','service':'s','desiredCount':5,'healthCheckGracePeriodSeconds':7,"
            "'placementStrategy':[{'type':'random'}],'propagateTags':'SERVICE',"
            "'forceNewDeployment':false," EXTERNAL "}"),
        "service");
    CHECK_EQ(int_at(s, "desiredCount"), 5);
    CHECK_EQ(int_at(s, "healthCheckGracePeriodSeconds"), 7);
    CHECK_TEXT(text_at(s, "propagateTags"), "SERVICE");
    CHECK_TEXT(text_at(json_get(s, "deploymentController"), "type"), "EXTERNAL");
    CHECK_TEXT(text_at(json_at(json_get(s, "placementStrategy"), 0), "type"), "random");
    CHECK_EQ(int_at(json_at(json_get(s, "taskSets"), 0), "computedDesiredCount"), 3);
    CHECK_EQ(int_at(shown(&w, id), "computedDesiredCount"), 3);
    world_refuse(&w, "StopServiceDeployment",
                 "{'serviceDeploymentArn':'" WORLD_ARN
                 "service-deployment/c/s/xxxxxxxxxxxxxxxxxxxxx'}",
                 "ServiceDeploymentNotFoundException", "");
}

/* ---- CreateTaskSet ---- */

TEST(a_task_set_shows_what_it_was_made_of)
{
    cleanup(world_done) struct world w;
    const struct json *set;
    const char *id, *group;

    prepare(&w);
    group = add_group(&w, "blue", 8080);
    set = json_get(
        world_call(
            &w, "CreateTaskSet",
            "{" NEW_SET ",'externalId':'release-7','launchType':'EC2',"
            "'loadBalancers':[{'targetGroupArn':'%s','containerName':'app','containerPort':80}],"
            "'scale':{'value':33.3,'unit':'PERCENT'},'clientToken':'token',"
            "'tags':[{'key':'a','value':'b'}]}",
            group),
        "taskSet");
    id = arena_format(&test_arena, "%s", text_at(set, "id"));
    CHECK_EQ(strlen(id), strlen("ecs-svc/") + 19);
    CHECK_TEXT(text_at(set, "taskSetArn"), arena_format(&test_arena, SET_ARN "%s", id));
    CHECK_TEXT(text_at(set, "serviceArn"), WORLD_ARN "service/c/s");
    CHECK_TEXT(text_at(set, "clusterArn"), WORLD_ARN "cluster/c");
    CHECK_TEXT(text_at(set, "externalId"), "release-7");
    CHECK_TEXT(text_at(set, "status"), "ACTIVE");
    CHECK_TEXT(text_at(set, "taskDefinition"), WORLD_ARN "task-definition/web:1");
    CHECK_EQ(int_at(set, "computedDesiredCount"), 1);
    CHECK_EQ(int_at(set, "runningCount"), 0);
    CHECK_TEXT(text_at(set, "launchType"), "EC2");
    CHECK_TEXT(text_at(json_at(json_get(set, "loadBalancers"), 0), "targetGroupArn"), group);
    CHECK_EQ(json_size(json_get(set, "serviceRegistries")), 0);
    CHECK(json_f64(json_get(json_get(set, "scale"), "value"), 0) == 33.3);
    CHECK_TEXT(text_at(json_get(set, "scale"), "unit"), "PERCENT");
    CHECK_TEXT(text_at(set, "stabilityStatus"), "STABILIZING");
    CHECK(json_get(set, "createdAt") != NULL && json_get(set, "updatedAt") != NULL);
    CHECK(json_get(set, "stabilityStatusAt") != NULL && json_get(set, "startedBy") == NULL);
    CHECK_TEXT(text_at(json_at(json_get(set, "tags"), 0), "value"), "b");
    world_settle(&w);
    set = shown(&w, id);
    CHECK_EQ(int_at(set, "runningCount"), 1);
    CHECK_EQ(int_at(set, "pendingCount"), 0);
    CHECK_TEXT(text_at(set, "stabilityStatus"), "STEADY_STATE");
    CHECK(json_get(set, "tags") == NULL);
    set = json_at(
        json_get(world_call(&w, "DescribeTaskSets", "{" SET ",'include':['TAGS']}"), "taskSets"),
        0);
    CHECK_TEXT(text_at(json_at(json_get(set, "tags"), 0), "key"), "a");
}

TEST(a_task_set_has_no_size_unless_it_is_given)
{
    cleanup(world_done) struct world w;
    const struct json *set;

    prepare(&w);
    set = shown(&w, create(&w, ""));
    CHECK_EQ(int_at(set, "computedDesiredCount"), 0);
    CHECK(json_f64(json_get(json_get(set, "scale"), "value"), 1) == 0);
    CHECK(json_get(set, "externalId") == NULL);
    set = shown(&w, create(&w, ",'scale':{'value':0.0000001}")); /* less than can be kept */
    CHECK_EQ(int_at(set, "computedDesiredCount"), 1);
    set = shown(&w, create(&w, ",'scale':{}"));
    CHECK_EQ(int_at(set, "computedDesiredCount"), 0);
}

TEST(its_tasks_say_which_set_they_are_of)
{
    cleanup(world_done) struct world w;
    const struct json *task;
    const char *id, *arn;

    prepare(&w);
    id = create(&w, ",'scale':{'value':1}");
    world_settle(&w);
    arn = arena_format(
        &test_arena, "%s",
        json_cstr(json_at(json_get(world_call(&w, "ListTasks", "{'cluster':'c','serviceName':'s'}"),
                                   "taskArns"),
                          0),
                  ""));
    task = json_at(
        json_get(world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s']}", arn), "tasks"),
        0);
    CHECK_TEXT(text_at(task, "startedBy"), id);
    CHECK_TEXT(text_at(task, "group"), "service:s");
    CHECK_EQ(json_size(json_get(world_call(&w, "ListTasks", "{'cluster':'c','startedBy':'%s'}", id),
                                "taskArns")),
             1);
}

TEST(a_set_on_fargate_has_a_platform_and_a_network)
{
    cleanup(world_done) struct world w;
    const struct json *set;
    const char *id;

    prepare(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'far','networkMode':'awsvpc','cpu':'256','memory':'512',"
               "'requiresCompatibilities':['FARGATE'],'containerDefinitions':[{'name':'app','image'"
               ":'i'}]}");
#define FARGATE_SET(rest) "{" SET ",'taskDefinition':'far','launchType':'FARGATE'" rest "}"
#define NETWORK ",'networkConfiguration':{'awsvpcConfiguration':{'subnets':['subnet-1']}}"
    world_refuse(&w, "CreateTaskSet", FARGATE_SET(""), "InvalidParameterException",
                 "Network Configuration must be provided");
    world_refuse(&w, "CreateTaskSet", FARGATE_SET(NETWORK ",'platformVersion':'9'"),
                 "PlatformUnknownException", "");
    set = json_get(world_call(&w, "CreateTaskSet", FARGATE_SET(NETWORK)), "taskSet");
    id = arena_format(&test_arena, "%s", text_at(set, "id"));
    CHECK_TEXT(text_at(set, "launchType"), "FARGATE");
    CHECK_TEXT(text_at(set, "platformVersion"), "LATEST");
    CHECK_TEXT(text_at(set, "platformFamily"), "Linux");
    set =
        json_get(world_call(&w, "CreateTaskSet", FARGATE_SET(NETWORK ",'platformVersion':'1.4.0'")),
                 "taskSet");
    CHECK_TEXT(text_at(set, "platformVersion"), "1.4.0");
    world_call(&w, "DeleteTaskSet", "{" SET ",'taskSet':'%s'}", text_at(set, "id"));
    set = shown(&w, id);
    CHECK(json_get(json_get(set, "networkConfiguration"), "awsvpcConfiguration") != NULL);
    world_refuse(&w, "UpdateService",
                 "{'cluster':'c','service':'s','placementStrategy':[{'type':'random'}]}",
                 "InvalidParameterException", "not supported with FARGATE");
    world_call(&w, "DeleteTaskSet", "{" SET ",'taskSet':'%s'}", id);
    world_call(&w, "UpdateService",
               "{'cluster':'c','service':'s','placementStrategy':[{'type':'random'}]}");
    world_refuse(&w, "CreateTaskSet", FARGATE_SET(NETWORK), "InvalidParameterException",
                 "not supported with FARGATE");
}

TEST(a_set_by_capacity_providers)
{
    cleanup(world_done) struct world w;
    const struct json *set;
    const char *id;

    prepare(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'far','networkMode':'awsvpc','cpu':'256','memory':'512',"
               "'requiresCompatibilities':['FARGATE'],'containerDefinitions':[{'name':'app','image'"
               ":'i'}]}");
    world_call(
        &w, "PutClusterCapacityProviders",
        "{'cluster':'c','capacityProviders':['FARGATE'],'defaultCapacityProviderStrategy':[]}");
#define BY(rest) "{" SET ",'taskDefinition':'far'" NETWORK ",'capacityProviderStrategy':[" rest "]}"
    world_refuse(&w, "CreateTaskSet", BY("{'capacityProvider':'FARGATE_SPOT','weight':1}"),
                 "InvalidParameterException", "not associated with the cluster");
    world_refuse(&w, "CreateTaskSet",
                 "{" SET ",'taskDefinition':'far','launchType':'FARGATE'" NETWORK
                 ",'capacityProviderStrategy':[{'capacityProvider':'FARGATE','weight':1}]}",
                 "InvalidParameterException", "both a launch type and capacity provider strategy");
    set = json_get(
        world_call(&w, "CreateTaskSet", BY("{'capacityProvider':'FARGATE','base':1,'weight':0}")),
        "taskSet");
    id = arena_format(&test_arena, "%s", text_at(set, "id"));
    CHECK(json_get(set, "launchType") == NULL);
    CHECK_EQ(int_at(json_at(json_get(set, "capacityProviderStrategy"), 0), "base"), 1);
    /* It runs nothing, and may be asked to again. */
    world_refuse(&w, "PutClusterCapacityProviders",
                 "{'cluster':'c','capacityProviders':[],'defaultCapacityProviderStrategy':[]}",
                 "ResourceInUseException", "");
    world_refuse(&w, "UpdateTaskSet",
                 arena_format(&test_arena, "{" SET ",'taskSet':'%s','scale':{'value':100}}", id),
                 "InvalidParameterException", "with a weight greater than 0");
    world_call(&w, "UpdateTaskSet", "{" SET ",'taskSet':'%s','scale':{'value':30}}", id);
    world_refuse(&w, "UpdateService", "{'cluster':'c','service':'s','desiredCount':40}",
                 "InvalidParameterException", "with a weight greater than 0");
}

TEST(what_can_not_become_a_task_set_is_refused)
{
    static const struct {
        const char *input, *type, *message;
    } refused[] = {
        {"{'service':'s','taskDefinition':'web'}", "InvalidParameterException", "cluster"},
        {"{'cluster':'c','taskDefinition':'web'}", "InvalidParameterException", "service"},
        {"{'cluster':'c','service':'s'}", "InvalidParameterException", "taskDefinition"},
        {"{'cluster':'x','service':'s','taskDefinition':'web'}", "ClusterNotFoundException",
         "Cluster not found."},
        {"{'cluster':'c','service':'x','taskDefinition':'web'}", "ServiceNotFoundException",
         "Service not found."},
        {"{'cluster':'c','service':'ecs','taskDefinition':'web'}", "InvalidParameterException",
         "Task sets exist only in services with the EXTERNAL deployment controller."},
        {"{'cluster':'c','service':'s','taskDefinition':'none'}", "ClientException",
         "TaskDefinition not found."},
        {"{" NEW_SET ",'serviceRegistries':[{'registryArn':'a'}]}", "UnsupportedFeatureException",
         "serviceRegistries"},
        {"{" NEW_SET ",'launchType':'EXTERNAL'}", "UnsupportedFeatureException",
         "launchType EXTERNAL"},
        {"{" NEW_SET ",'launchType':'FARGATE'}", "InvalidParameterException",
         "does not support launch_type FARGATE"},
        {"{" NEW_SET ",'platformVersion':'LATEST'}", "InvalidParameterException",
         "platform version must be null"},
        {"{" NEW_SET ",'networkConfiguration':{'awsvpcConfiguration':{'subnets':['a']}}}",
         "InvalidParameterException", "not valid for the given networkMode"},
        {"{" NEW_SET
         ",'loadBalancers':[{'loadBalancerName':'old','containerName':'app','containerPort':80}]}",
         "UnsupportedFeatureException", "classic load balancers"},
        {"{" NEW_SET
         ",'loadBalancers':[{'targetGroupArn':'t','containerName':'app','containerPort':80,"
         "'advancedConfiguration':{'alternateTargetGroupArn':'u'}}]}",
         "InvalidParameterException",
         "advancedConfiguration is not supported in the load balancers of a task set"},
        {"{" NEW_SET
         ",'loadBalancers':[{'targetGroupArn':'t','containerName':'app','containerPort':80}]}",
         "InvalidParameterException", "target group t does not exist"},
        {"{" NEW_SET
         ",'loadBalancers':[{'targetGroupArn':'t','containerName':'no','containerPort':80}]}",
         "InvalidParameterException", "The container no does not exist in the task definition."},
        {"{" NEW_SET ",'scale':{'value':100.5}}", "InvalidParameterException", "scale.value"},
        {"{" NEW_SET ",'scale':{'value':-1}}", "InvalidParameterException", "scale.value"},
        {"{" NEW_SET ",'scale':{'value':1,'unit':'TASKS'}}", "InvalidParameterException",
         "PERCENT"},
        {"{" NEW_SET ",'tags':[{'key':'aws:x','value':'y'}]}", "InvalidParameterException",
         "reserved"},
        {"{" NEW_SET ",'clientToken':'0123456789012345678901234567890123456'}",
         "InvalidParameterException", "clientToken"},
    };
    cleanup(world_done) struct world w;
    char long_id[300];

    prepare(&w);
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'ecs','desiredCount':0,'taskDefinition':'web'}");
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        world_refuse(&w, "CreateTaskSet", refused[i].input, refused[i].type, refused[i].message);
    memset(long_id, 'x', 256);
    long_id[256] = '\0';
    world_refuse(&w, "CreateTaskSet",
                 arena_format(&test_arena, "{" NEW_SET ",'externalId':'%s'}", long_id),
                 "InvalidParameterException", "externalId");
    world_call(&w, "DeregisterTaskDefinition", "{'taskDefinition':'web:1'}");
    world_refuse(&w, "CreateTaskSet", "{" SET ",'taskDefinition':'web:1'}", "ClientException",
                 "TaskDefinition is inactive");
    CHECK_EQ(json_size(json_get(service(&w), "taskSets")), 0);
}

TEST(the_same_token_makes_one_set)
{
    cleanup(world_done) struct world w;
    const char *first, *other;

    prepare(&w);
    first = create(&w, ",'clientToken':'t','externalId':'a'");
    CHECK_TEXT(create(&w, ",'externalId':'a','clientToken':'t'"), first);
    world_refuse(&w, "CreateTaskSet", "{" NEW_SET ",'clientToken':'t','externalId':'b'}",
                 "InvalidParameterException", "Creation of task set was not idempotent.");
    other = create(&w, ",'externalId':'a'"); /* without one each call makes another */
    CHECK(strcmp(first, other) != 0);
    CHECK_EQ(json_size(json_get(service(&w), "taskSets")), 2);
}

TEST(a_service_has_five_sets_at_most)
{
    cleanup(world_done) struct world w;
    const char *id = NULL;

    prepare(&w);
    for (int i = 0; i < 5; i++)
        id = create(&w, i == 4 ? ",'clientToken':'last'" : "");
    world_refuse(&w, "CreateTaskSet", "{" NEW_SET "}", "LimitExceededException",
                 "has 5 task sets, the most");
    CHECK_TEXT(create(&w, ",'clientToken':'last'"), id);
    world_call(&w, "DeleteTaskSet", "{" SET ",'taskSet':'%s'}", id);
    create(&w, "");
}

/* ---- the others ---- */

TEST(a_deployer_goes_from_blue_to_green)
{
    cleanup(world_done) struct world w;
    const struct json *s, *set;
    const char *blue, *green, *blue_group, *green_group;

    prepare(&w);
    blue_group = add_group(&w, "blue", 8080);
    green_group = add_group(&w, "green", 8081);
#define IN_GROUP(group)                                                            \
    arena_format(&test_arena,                                                      \
                 ",'scale':{'value':100},'loadBalancers':[{'targetGroupArn':'%s'," \
                 "'containerName':'app','containerPort':80}]",                     \
                 group)
    blue = create(&w, IN_GROUP(blue_group));
    world_settle(&w);
    CHECK(json_get(service(&w), "taskDefinition") == NULL); /* nobody is the primary yet */
    set = json_get(
        world_call(&w, "UpdateServicePrimaryTaskSet", "{" SET ",'primaryTaskSet':'%s'}", blue),
        "taskSet");
    CHECK_TEXT(text_at(set, "status"), "PRIMARY");
    s = service(&w);
    CHECK_TEXT(text_at(s, "taskDefinition"), WORLD_ARN "task-definition/web:1");
    CHECK_TEXT(text_at(s, "launchType"), "EC2");
    CHECK_TEXT(text_at(json_at(json_get(s, "loadBalancers"), 0), "targetGroupArn"), blue_group);
    CHECK_EQ(int_at(s, "runningCount"), 3);
    world_call(&w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
    green = create(&w, IN_GROUP(green_group));
    world_settle(&w);
    CHECK_TEXT(text_at(shown(&w, green), "stabilityStatus"), "STEADY_STATE");
    CHECK_EQ(int_at(service(&w), "runningCount"), 6);
    CHECK_EQ(core_target_group(w.core, green_group)->target_count, 3);
    world_call(&w, "UpdateServicePrimaryTaskSet", "{" SET ",'primaryTaskSet':'" SET_ARN "%s'}",
               green);
    CHECK_TEXT(text_at(shown(&w, blue), "status"), "ACTIVE");
    s = service(&w);
    CHECK_TEXT(text_at(s, "taskDefinition"), WORLD_ARN "task-definition/web:2");
    CHECK_TEXT(text_at(json_at(json_get(s, "taskSets"), 0), "id"),
               green); /* the primary comes first */
    world_refuse(&w, "DeleteTaskSet", arena_format(&test_arena, "{" SET ",'taskSet':'%s'}", blue),
                 "InvalidParameterException", "cannot be deleted while it is scaled above 0");
    set = json_get(
        world_call(&w, "UpdateTaskSet", "{" SET ",'taskSet':'%s','scale':{'value':0}}", blue),
        "taskSet");
    CHECK_EQ(int_at(set, "computedDesiredCount"), 0);
    world_settle(&w);
    CHECK_EQ(core_target_group(w.core, blue_group)->target_count, 0);
    set = json_get(world_call(&w, "DeleteTaskSet", "{" SET ",'taskSet':'%s'}", blue), "taskSet");
    CHECK_TEXT(text_at(set, "status"), "DRAINING");
    CHECK_TEXT(text_at(set, "id"), blue);
    CHECK_EQ(json_size(json_get(service(&w), "taskSets")), 1);
    CHECK_EQ(int_at(service(&w), "runningCount"), 3);
}

TEST(sets_are_described_by_id_and_by_arn)
{
    cleanup(world_done) struct world w;
    const struct json *answer;
    const char *one, *two;

    prepare(&w);
    one = create(&w, "");
    two = create(&w, "");
    answer = world_call(&w, "DescribeTaskSets",
                        "{" SET ",'taskSets':['%s','" SET_ARN "%s','ecs-svc/1',"
                        "'" SET_ARN "ecs-svc/2']}",
                        one, two);
    CHECK_EQ(json_size(json_get(answer, "taskSets")), 2);
    CHECK_TEXT(text_at(json_at(json_get(answer, "taskSets"), 0), "id"), one);
    CHECK_TEXT(text_at(json_at(json_get(answer, "taskSets"), 1), "id"), two);
    CHECK_EQ(json_size(json_get(answer, "failures")), 2);
    CHECK_TEXT(text_at(json_at(json_get(answer, "failures"), 0), "arn"), SET_ARN "ecs-svc/1");
    CHECK_TEXT(text_at(json_at(json_get(answer, "failures"), 1), "arn"), SET_ARN "ecs-svc/2");
    CHECK_TEXT(text_at(json_at(json_get(answer, "failures"), 0), "reason"), "MISSING");
    answer = world_call(&w, "DescribeTaskSets", "{" SET "}");
    CHECK_EQ(json_size(json_get(answer, "taskSets")), 2);
    CHECK_EQ(json_size(json_get(answer, "failures")), 0);
    answer = world_call(&w, "DescribeTaskSets", "{" SET ",'taskSets':['ecs-svc/%0100d']}", 7);
    CHECK_EQ(strlen(text_at(json_at(json_get(answer, "failures"), 0), "arn")),
             strlen("ecs-svc/") + 100);
    world_refuse(&w, "DescribeTaskSets", "{'cluster':'x','service':'s'}",
                 "ClusterNotFoundException", "");
    world_refuse(&w, "DescribeTaskSets", "{'cluster':'c','service':'x'}",
                 "ServiceNotFoundException", "");
    world_refuse(&w, "DescribeTaskSets", "{" SET ",'taskSets':['']}", "InvalidParameterException",
                 "Invalid identifier");
    world_refuse(&w, "DescribeTaskSets", "{" SET ",'include':['ALL']}", "InvalidParameterException",
                 "TAGS");
}

TEST(an_operation_on_no_set_says_so)
{
    static const struct {
        const char *operation, *rest;
    } operations[] = {
        {"UpdateTaskSet", ",'taskSet':'ecs-svc/1','scale':{'value':1}"},
        {"DeleteTaskSet", ",'taskSet':'ecs-svc/1'"},
        {"UpdateServicePrimaryTaskSet", ",'primaryTaskSet':'ecs-svc/1'"},
    };
    cleanup(world_done) struct world w;

    prepare(&w);
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'ecs','desiredCount':0,'taskDefinition':'web'}");
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        const char *operation = operations[i].operation, *rest = operations[i].rest;
#define WITH(cluster, service) \
    arena_format(&test_arena, "{'cluster':'%s','service':'%s'%s}", cluster, service, rest)
        world_refuse(&w, operation, WITH("c", "s"), "TaskSetNotFoundException",
                     "The specified task set does not exist.");
        world_refuse(&w, operation, WITH("x", "s"), "ClusterNotFoundException",
                     "Cluster not found.");
        world_refuse(&w, operation, WITH("c", "x"), "ServiceNotFoundException",
                     "Service not found.");
        world_refuse(&w, operation, WITH("c", "ecs"), "InvalidParameterException",
                     "Task sets exist only in");
        world_refuse(&w, operation, "{" SET "}", "InvalidParameterException", "");
    }
}

TEST(a_set_that_drains_can_only_be_looked_at)
{
    cleanup(world_done) struct world w;
    const char *group, *id;
    const struct json *set;

    prepare(&w);
    group = add_group(&w, "blue", 8080);
    id = create(&w, IN_GROUP(group));
    world_settle(&w);
    world_call(&w, "UpdateServicePrimaryTaskSet", "{" SET ",'primaryTaskSet':'%s'}", id);
    w.drains_hang = true;
    set = json_get(world_call(&w, "DeleteTaskSet", "{" SET ",'taskSet':'%s','force':true}", id),
                   "taskSet");
    CHECK_TEXT(text_at(set, "status"), "DRAINING");
    CHECK_EQ(int_at(set, "computedDesiredCount"), 0);
    CHECK_TEXT(text_at(shown(&w, id), "status"), "DRAINING");
    CHECK(json_get(service(&w), "taskDefinition") == NULL);
#define OF_IT(rest) arena_format(&test_arena, "{" SET ",%s}", arena_format(&test_arena, rest, id))
    world_refuse(&w, "UpdateTaskSet", OF_IT("'taskSet':'%s','scale':{'value':1}"),
                 "InvalidParameterException", "is DRAINING");
    world_refuse(&w, "UpdateServicePrimaryTaskSet", OF_IT("'primaryTaskSet':'%s'"),
                 "InvalidParameterException", "is DRAINING");
    world_call(&w, "DeleteTaskSet", "{" SET ",'taskSet':'%s'}", id); /* again: it drains on */
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','desiredCount':2}");
    CHECK_EQ(int_at(shown(&w, id), "computedDesiredCount"), 0);
    world_settle(&w);
    CHECK_TEXT(text_at(shown(&w, id), "status"), "DRAINING");
    w.drains_hang = false;
    world_settle(&w);
    CHECK(shown(&w, id) == NULL);
}

TEST(the_primary_is_not_deleted_by_accident)
{
    cleanup(world_done) struct world w;
    const char *id;

    prepare(&w);
    id = create(&w, "");
    world_call(&w, "UpdateServicePrimaryTaskSet", "{" SET ",'primaryTaskSet':'%s'}", id);
    world_refuse(&w, "DeleteTaskSet", OF_IT("'taskSet':'%s'"), "InvalidParameterException",
                 "The primary task set cannot be deleted without force.");
    world_call(&w, "DeleteTaskSet", "{" SET ",'taskSet':'%s','force':true}", id);
    CHECK_EQ(json_size(json_get(service(&w), "taskSets")), 0);
}

TEST(a_scale_has_a_value)
{
    cleanup(world_done) struct world w;
    const char *id;

    prepare(&w);
    id = create(&w, "");
    world_refuse(&w, "UpdateTaskSet", OF_IT("'taskSet':'%s','scale':{}"),
                 "InvalidParameterException", "The value of the scale must be given.");
    world_refuse(&w, "UpdateTaskSet", OF_IT("'taskSet':'%s','scale':{'value':101}"),
                 "InvalidParameterException", "scale.value");
    world_refuse(&w, "UpdateTaskSet", OF_IT("'taskSet':'%s'"), "InvalidParameterException",
                 "scale");
}

TEST(a_service_is_deleted_with_its_sets)
{
    cleanup(world_done) struct world w;
    const char *group, *id;

    prepare(&w);
    group = add_group(&w, "blue", 8080);
    id = create(&w, IN_GROUP(group));
    world_settle(&w);
    world_refuse(&w, "DeleteService", "{'cluster':'c','service':'s'}", "InvalidParameterException",
                 "The service cannot be stopped while it is scaled above 0.");
    w.drains_hang = true;
    world_call(&w, "DeleteService", "{'cluster':'c','service':'s','force':true}");
    CHECK_TEXT(text_at(shown(&w, id), "status"), "DRAINING");
    world_refuse(&w, "CreateTaskSet", "{" NEW_SET "}", "ServiceNotActiveException",
                 "Service was not ACTIVE.");
    world_refuse(&w, "UpdateTaskSet", OF_IT("'taskSet':'%s','scale':{'value':1}"),
                 "ServiceNotActiveException", "");
    world_refuse(&w, "DeleteTaskSet", OF_IT("'taskSet':'%s'"), "ServiceNotActiveException", "");
    world_refuse(&w, "UpdateServicePrimaryTaskSet", OF_IT("'primaryTaskSet':'%s'"),
                 "ServiceNotActiveException", "");
    world_settle(&w);
    w.drains_hang = false;
    world_settle(&w);
    CHECK_TEXT(text_at(service(&w), "status"), "INACTIVE");
    CHECK_EQ(json_size(json_get(service(&w), "taskSets")), 0);
    world_refuse(&w, "DescribeTaskSets", "{" SET "}", "ServiceNotActiveException",
                 "Service was not ACTIVE.");
    /* And its name is free, for either controller. */
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','desiredCount':1,'taskDefinition':'web'}");
    world_settle(&w);
    CHECK_EQ(json_size(json_get(service(&w), "deployments")), 1);
    CHECK(json_get(service(&w), "taskSets") == NULL);
}

TEST(scaled_to_nothing_a_service_is_deleted_without_force)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    create(&w, ",'scale':{'value':100}");
    create(&w, ",'scale':{'value':10}");
    world_settle(&w);
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','desiredCount':0}");
    world_settle(&w);
    world_call(&w, "DeleteService", "{'cluster':'c','service':'s'}");
    CHECK_TEXT(text_at(service(&w), "status"), "INACTIVE");
}

TEST(tags_of_a_set)
{
    cleanup(world_done) struct world w;
    const struct json *tags;
    const char *id;

    prepare(&w);
    id = create(&w, ",'tags':[{'key':'a','value':'1'}]");
    world_call(&w, "TagResource",
               "{'resourceArn':'" SET_ARN "%s','tags':[{'key':'b','value':'2'}]}", id);
    world_call(&w, "UntagResource", "{'resourceArn':'" SET_ARN "%s','tagKeys':['a']}", id);
    tags = json_get(world_call(&w, "ListTagsForResource", "{'resourceArn':'" SET_ARN "%s'}", id),
                    "tags");
    CHECK_EQ(json_size(tags), 1);
    CHECK_TEXT(text_at(json_at(tags, 0), "key"), "b");
    world_refuse(&w, "TagResource", "{'resourceArn':'" SET_ARN "ecs-svc/1','tags':[]}",
                 "ResourceNotFoundException", "");
    world_refuse(&w, "ListTagsForResource", "{'resourceArn':'" SET_ARN "ecs-svc/1'}",
                 "InvalidParameterException", "");
    world_refuse(&w, "ListTagsForResource", "{'resourceArn':'" WORLD_ARN "task-set/x'}",
                 "InvalidParameterException", "Long arn format");
}
