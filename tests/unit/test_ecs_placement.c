/* SPDX-License-Identifier: MIT */
/* Placement, capacity providers, DAEMON services and zones through the API, over three machines. */
#include "instances_world.h"

/* ---- placement of RunTask and services ---- */

TEST(run_task_places_by_strategies_and_constraints)
{
    cleanup(world_done) struct world w;
    const struct json *a;

    prepare(&w);
    a = world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','count':4,'placementConstraints':["
                                  "{'type':'distinctInstance'}]}");
    CHECK_EQ(json_size(json_get(a, "tasks")), 3);
    CHECK_EQ(json_size(json_get(a, "failures")), 3); /* one for each instance */
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "ATTRIBUTE");
    CHECK_TEXT(text_at(first(a, "failures"), "detail"), "DistinctInstance placement constraint unsatisfied.");
    a = world_call(&w, "RunTask",
                   "{'cluster':'c','taskDefinition':'web','count':2,'placementStrategy':[{'type':'binpack',"
                   "'field':'cpu'}],'placementConstraints':[{'type':'memberOf','expression':"
                   "'attribute:ecs.availability-zone == zone-three'}]}");
    CHECK_EQ(json_size(json_get(a, "failures")), 0);
    CHECK_TEXT(text_at(first(a, "tasks"), "containerInstanceArn"), instance(&w, "three")->arn);
    CHECK_TEXT(text_at(first(a, "tasks"), "availabilityZone"), "zone-three");
    a = world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','overrides':{'cpu':'9000'}}");
    CHECK_EQ(json_size(json_get(a, "failures")), 3);
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "RESOURCE:CPU");
}

TEST(placement_that_makes_no_sense_is_refused)
{
    static const struct {
        const char *members, *message;
    } rows[] = {
        {"'placementStrategy':[{'type':'binpack'}]", "Invalid field '' of the placement strategy binpack"},
        {"'placementStrategy':[{'type':'binpack','field':'disk'}]", "Invalid field 'disk'"},
        {"'placementStrategy':[{'type':'spread'}]", "Invalid field '' of the placement strategy spread"},
        {"'placementStrategy':[{'type':'spread','field':'rack'}]", "Invalid field 'rack'"},
        {"'placementStrategy':[{'type':'spread','field':'attribute:'}]", "1 to 128 characters"},
        {"'placementStrategy':[{'type':'random','field':'cpu'}]", "takes no field"},
        {"'placementStrategy':[{'field':'cpu'}]", "random, spread or binpack"},
        {"'placementStrategy':[{'type':'sorted'}]", "placementStrategy"},
        {"'placementStrategy':[{'type':'random'},{'type':'random'},{'type':'random'},{'type':'random'},"
         "{'type':'random'},{'type':'random'}]", "placementStrategy"},
        {"'placementConstraints':[{'type':'distinctInstance','expression':'x'}]", "takes no expression"},
        {"'placementConstraints':[{'type':'memberOf'}]", "Invalid expression"},
        {"'placementConstraints':[{'type':'memberOf','expression':'attribute:a =='}]", "Invalid expression"},
        {"'placementConstraints':[{'expression':'x'}]", "distinctInstance or memberOf"},
    };
    cleanup(world_done) struct world w;

    prepare(&w);
    world_call(&w, "CreateService", "{'cluster':'c','serviceName':'old','taskDefinition':'web','desiredCount':0}");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char input[1024];
        snprintf(input, sizeof(input), "{'cluster':'c','taskDefinition':'web',%s}", rows[i].members);
        world_refuse(&w, "RunTask", input, "InvalidParameterException", rows[i].message);
        snprintf(input, sizeof(input),
                 "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,%s}", rows[i].members);
        world_refuse(&w, "CreateService", input, "InvalidParameterException", rows[i].message);
        snprintf(input, sizeof(input), "{'cluster':'c','service':'old',%s}", rows[i].members);
        world_refuse(&w, "UpdateService", input, "InvalidParameterException", rows[i].message);
    }
    CHECK_EQ(json_size(json_get(world_call(&w, "ListServices", "{'cluster':'c'}"), "serviceArns")), 1);
}

#define FARGATE                                                                                    \
    "'launchType':'FARGATE','networkConfiguration':{'awsvpcConfiguration':{'subnets':['a']}}"

TEST(fargate_takes_neither_strategies_nor_constraints)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'far','networkMode':'awsvpc','cpu':'256','memory':'512','requiresCompatibilities':"
               "['FARGATE'],'containerDefinitions':[{'name':'app','image':'i'}]}");
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'far'," FARGATE
                                ",'placementStrategy':[{'type':'random'}]}",
                 "InvalidParameterException", "Placement strategies are not supported with FARGATE");
    world_refuse(&w, "CreateService", "{'cluster':'c','serviceName':'s','desiredCount':1,'taskDefinition':'far',"
                                      FARGATE ",'placementConstraints':[{'type':'distinctInstance'}]}",
                 "InvalidParameterException", "Placement constraints are not supported with FARGATE");
}

TEST(a_service_keeps_shows_and_changes_its_placement_without_a_deployment)
{
    cleanup(world_done) struct world w;
    const struct json *s;

    prepare(&w);
    s = json_get(world_call(&w, "CreateService",
                            "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':2,"
                            "'placementStrategy':[{'type':'spread','field':'instanceId'}],"
                            "'placementConstraints':[{'type':'memberOf','expression':"
                            "'attribute:ecs.availability-zone =~ zone-t.*'}]}"), "service");
    CHECK_TEXT(text_at(first(s, "placementStrategy"), "field"), "instanceId");
    CHECK_TEXT(text_at(first(s, "placementConstraints"), "type"), "memberOf");
    world_wait(&w, 60000);
    CHECK_EQ(json_get_i64(describe(&w, "two", ""), "runningTasksCount", 0), 1);
    CHECK_EQ(json_get_i64(describe(&w, "three", ""), "runningTasksCount", 0), 1);
    s = json_get(world_call(&w, "UpdateService",
                            "{'cluster':'c','service':'s','desiredCount':4,'placementConstraints':[],"
                            "'placementStrategy':[{'type':'binpack','field':'memory'}]}"), "service");
    CHECK_EQ(json_size(json_get(s, "placementConstraints")), 0);
    CHECK_EQ(json_size(json_get(s, "deployments")), 1);
    world_wait(&w, 60000);
    CHECK_EQ(json_get_i64(describe(&w, "here", ""), "runningTasksCount", -1), 0);
    CHECK_EQ(json_get_i64(describe(&w, "two", ""), "runningTasksCount", 0) +
                 json_get_i64(describe(&w, "three", ""), "runningTasksCount", 0), 4);
}

/* ---- capacity providers ---- */

#define ASG "arn:aws:autoscaling:eu-west-1:000000000000:autoScalingGroup:1:autoScalingGroupName/"

static void
put_group(struct world *w, const char *host, const char *group)
{
    world_call(w, "PutAttributes",
               "{'cluster':'c','attributes':[{'name':'naru.auto-scaling-group','value':'%s','targetId':'%s'}]}",
               group, instance(w, host)->id);
}

/* cluster c has "big" (host two) and "small" (host three) and Fargate's. */
static void
prepare_providers(struct world *w)
{
    prepare(w);
    world_call(w, "CreateCapacityProvider",
               "{'name':'big','autoScalingGroupProvider':{'autoScalingGroupArn':'" ASG "large'}}");
    world_call(w, "CreateCapacityProvider",
               "{'name':'small','autoScalingGroupProvider':{'autoScalingGroupArn':'little'}}");
    put_group(w, "two", "large");
    put_group(w, "three", "little");
    world_call(w, "PutClusterCapacityProviders",
               "{'cluster':'c','capacityProviders':['big','small','FARGATE','FARGATE_SPOT'],"
               "'defaultCapacityProviderStrategy':[{'capacityProvider':'big','weight':1}]}");
}

TEST(a_capacity_provider_is_created_described_tagged_and_deleted)
{
    cleanup(world_done) struct world w;
    const struct json *a, *p;

    prepare(&w);
    a = world_call(&w, "CreateCapacityProvider",
                   "{'name':'big','autoScalingGroupProvider':{'autoScalingGroupArn':'" ASG "large',"
                   "'managedScaling':{'status':'DISABLED'},'managedTerminationProtection':'DISABLED',"
                   "'managedDraining':'DISABLED'},'tags':[{'key':'k','value':'v'}]}");
    p = json_get(a, "capacityProvider");
    CHECK_TEXT(text_at(p, "capacityProviderArn"), WORLD_ARN "capacity-provider/big");
    CHECK_TEXT(text_at(p, "name"), "big");
    CHECK_TEXT(text_at(p, "status"), "ACTIVE");
    CHECK_TEXT(text_at(p, "type"), "EC2_AUTOSCALING");
    CHECK_TEXT(text_at(json_get(p, "autoScalingGroupProvider"), "autoScalingGroupArn"), ASG "large");
    CHECK_TEXT(text_at(json_get(json_get(p, "autoScalingGroupProvider"), "managedScaling"), "status"), "DISABLED");
    CHECK_TEXT(text_at(first(p, "tags"), "value"), "v");
    a = world_call(&w, "DescribeCapacityProviders", "{}");
    CHECK_EQ(json_size(json_get(a, "capacityProviders")), 3);
    CHECK_TEXT(text_at(first(a, "capacityProviders"), "name"), "FARGATE");
    CHECK_TEXT(text_at(first(a, "capacityProviders"), "type"), "FARGATE");
    a = world_call(&w, "DescribeCapacityProviders",
                   "{'capacityProviders':['big','" WORLD_ARN "capacity-provider/FARGATE_SPOT','none'],"
                   "'include':['TAGS']}");
    CHECK_EQ(json_size(json_get(a, "capacityProviders")), 2);
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "MISSING");
    CHECK_TEXT(text_at(first(a, "failures"), "arn"), "none");
    a = world_call(&w, "DescribeCapacityProviders", "{'maxResults':2}");
    CHECK_EQ(json_size(json_get(a, "capacityProviders")), 2);
    CHECK(json_get(a, "nextToken") != NULL);
    a = world_call(&w, "DescribeCapacityProviders", "{'cluster':'c'}");
    CHECK_EQ(json_size(json_get(a, "capacityProviders")), 0);
    world_call(&w, "TagResource", "{'resourceArn':'" WORLD_ARN "capacity-provider/big',"
                                  "'tags':[{'key':'two','value':'2'}]}");
    a = world_call(&w, "ListTagsForResource", "{'resourceArn':'" WORLD_ARN "capacity-provider/big'}");
    CHECK_EQ(json_size(json_get(a, "tags")), 2);
    a = world_call(&w, "UpdateCapacityProvider",
                   "{'name':'big','autoScalingGroupProvider':{'managedDraining':'DISABLED'}}");
    CHECK_TEXT(text_at(json_get(a, "capacityProvider"), "name"), "big");
    a = world_call(&w, "DeleteCapacityProvider", "{'capacityProvider':'" WORLD_ARN "capacity-provider/big'}");
    CHECK_TEXT(text_at(json_get(a, "capacityProvider"), "status"), "INACTIVE");
    CHECK_TEXT(text_at(json_get(a, "capacityProvider"), "updateStatus"), "DELETE_COMPLETE");
    a = world_call(&w, "DescribeCapacityProviders", "{'capacityProviders':['big']}");
    CHECK_EQ(json_size(json_get(a, "capacityProviders")), 0);
}

TEST(capacity_providers_that_can_not_be_are_refused)
{
    static const struct {
        const char *input, *type, *message;
    } rows[] = {
        {"{'name':'x'}", "InvalidParameterException", "autoScalingGroupProvider must be given"},
        {"{'name':'awsome','autoScalingGroupProvider':{'autoScalingGroupArn':'g'}}",
         "InvalidParameterException", "cannot begin with"},
        {"{'name':'FARGATE','autoScalingGroupProvider':{'autoScalingGroupArn':'g'}}",
         "InvalidParameterException", "cannot begin with"},
        {"{'name':'x y','autoScalingGroupProvider':{'autoScalingGroupArn':'g'}}", "InvalidParameterException",
         "name"},
        {"{'autoScalingGroupProvider':{'autoScalingGroupArn':'g'}}", "InvalidParameterException", "name"},
        {"{'name':'x','autoScalingGroupProvider':{}}", "InvalidParameterException", "autoScalingGroupArn"},
        {"{'name':'x','autoScalingGroupProvider':{'autoScalingGroupArn':'arn:aws:s3:::b'}}",
         "InvalidParameterException", "autoScalingGroupName/NAME"},
        {"{'name':'x','autoScalingGroupProvider':{'autoScalingGroupArn':'" ASG "'}}",
         "InvalidParameterException", "1 to 128"},
        {"{'name':'x','autoScalingGroupProvider':{'autoScalingGroupArn':'g g'}}", "InvalidParameterException",
         "letters, digits"},
        {"{'name':'x','autoScalingGroupProvider':{'autoScalingGroupArn':'g','managedScaling':"
         "{'status':'ENABLED'}}}", "UnsupportedFeatureException", "managedScaling"},
        {"{'name':'x','autoScalingGroupProvider':{'autoScalingGroupArn':'g','managedScaling':"
         "{'targetCapacity':101}}}", "InvalidParameterException", "targetCapacity"},
        {"{'name':'x','autoScalingGroupProvider':{'autoScalingGroupArn':'g',"
         "'managedTerminationProtection':'ENABLED'}}", "UnsupportedFeatureException",
         "managedTerminationProtection"},
        {"{'name':'x','autoScalingGroupProvider':{'autoScalingGroupArn':'g','managedDraining':'ENABLED'}}",
         "UnsupportedFeatureException", "managedDraining"},
        {"{'name':'x','managedInstancesProvider':{}}", "UnsupportedFeatureException", "managedInstancesProvider"},
        {"{'name':'x','cluster':'c','autoScalingGroupProvider':{'autoScalingGroupArn':'g'}}",
         "UnsupportedFeatureException", "cluster"},
        {"{'name':'big','autoScalingGroupProvider':{'autoScalingGroupArn':'g'}}", "InvalidParameterException",
         "already exists"},
        {"{'name':'x','autoScalingGroupProvider':{'autoScalingGroupArn':'large'}}", "ClientException",
         "already used by the capacity provider 'big'"},
        {"{'name':'x','autoScalingGroupProvider':{'autoScalingGroupArn':'g'},'tags':[{'key':'aws:x'}]}",
         "InvalidParameterException", "aws:"},
    };
    cleanup(world_done) struct world w;

    prepare_providers(&w);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        world_refuse(&w, "CreateCapacityProvider", rows[i].input, rows[i].type, rows[i].message);
    world_refuse(&w, "UpdateCapacityProvider", "{'name':'none'}", "InvalidParameterException", "was not found");
    world_refuse(&w, "UpdateCapacityProvider", "{'name':'FARGATE'}", "ClientException", "reserved");
    world_refuse(&w, "UpdateCapacityProvider",
                 "{'name':'big','autoScalingGroupProvider':{'managedScaling':{'status':'ENABLED'}}}",
                 "UnsupportedFeatureException", "managedScaling");
    world_refuse(&w, "DeleteCapacityProvider", "{'capacityProvider':'none'}", "InvalidParameterException",
                 "was not found");
    world_refuse(&w, "DeleteCapacityProvider", "{'capacityProvider':'FARGATE_SPOT'}", "ClientException", "reserved");
    world_refuse(&w, "DeleteCapacityProvider", "{'capacityProvider':'big'}", "ClientException", "in use");
    world_refuse(&w, "DeleteCapacityProvider", "{'capacityProvider':'big','cluster':'c'}",
                 "UnsupportedFeatureException", "cluster");
    world_refuse(&w, "DescribeCapacityProviders", "{'cluster':'none'}", "ClusterNotFoundException", "");
    world_refuse(&w, "DescribeCapacityProviders", "{'maxResults':11}", "InvalidParameterException", "maxResults");
    for (int i = 0; i < 98; i++)
        world_call(&w, "CreateCapacityProvider",
                   "{'name':'p%d','autoScalingGroupProvider':{'autoScalingGroupArn':'g%d'}}", i, i);
    world_refuse(&w, "CreateCapacityProvider",
                 "{'name':'x','autoScalingGroupProvider':{'autoScalingGroupArn':'g'}}", "LimitExceededException",
                 "100 capacity providers");
}

TEST(a_cluster_gets_providers_and_a_default_strategy)
{
    static const struct {
        const char *lists, *type, *message;
    } rows[] = {
        {"'capacityProviders':['none'],'defaultCapacityProviderStrategy':[]", "InvalidParameterException",
         "was not found"},
        {"'capacityProviders':['big'],'defaultCapacityProviderStrategy':[{'capacityProvider':'small'}]",
         "InvalidParameterException", "not associated"},
        {"'capacityProviders':['big','FARGATE'],'defaultCapacityProviderStrategy':[{'capacityProvider':'big'},"
         "{'capacityProvider':'FARGATE'}]", "InvalidParameterException", "mix"},
        {"'capacityProviders':['big'],'defaultCapacityProviderStrategy':[{'capacityProvider':'big'},"
         "{'capacityProvider':'big'}]", "InvalidParameterException", "twice"},
        {"'capacityProviders':['big','small'],'defaultCapacityProviderStrategy':[{'capacityProvider':'big',"
         "'base':1},{'capacityProvider':'small','base':1}]", "InvalidParameterException", "base"},
        {"'capacityProviders':['big'],'defaultCapacityProviderStrategy':[{'capacityProvider':'big',"
         "'weight':1001}]", "InvalidParameterException", "weight"},
        {"'capacityProviders':['big']", "InvalidParameterException", "defaultCapacityProviderStrategy"},
    };
    cleanup(world_done) struct world w;
    const struct json *a;

    prepare_providers(&w);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char input[512];
        snprintf(input, sizeof(input), "{'cluster':'c',%s}", rows[i].lists);
        world_refuse(&w, "PutClusterCapacityProviders", input, rows[i].type, rows[i].message);
    }
    world_refuse(&w, "PutClusterCapacityProviders",
                 "{'cluster':'none','capacityProviders':[],'defaultCapacityProviderStrategy':[]}",
                 "ClusterNotFoundException", "");
    CHECK_TEXT(text_at(describe(&w, "two", ""), "capacityProviderName"), "big");
    CHECK(json_get(describe(&w, "here", ""), "capacityProviderName") == NULL);
    world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web'}"); /* by the default strategy */
    world_refuse(&w, "PutClusterCapacityProviders",
                 "{'cluster':'c','capacityProviders':['small'],'defaultCapacityProviderStrategy':[]}",
                 "ResourceInUseException", "in use");
    a = world_call(&w, "PutClusterCapacityProviders",
                   "{'cluster':'c','capacityProviders':['big'],'defaultCapacityProviderStrategy':[]}");
    CHECK_EQ(json_size(json_get(json_get(a, "cluster"), "capacityProviders")), 1);
    CHECK_EQ(json_size(json_get(json_get(a, "cluster"), "defaultCapacityProviderStrategy")), 0);
    world_call(&w, "DeleteCapacityProvider", "{'capacityProvider':'small'}");
    world_refuse(&w, "CreateCluster", "{'clusterName':'d','capacityProviders':['small']}",
                 "InvalidParameterException", "was not found");
    world_refuse(&w, "CreateCluster", "{'clusterName':'d','capacityProviders':['big'],"
                                      "'defaultCapacityProviderStrategy':[{'capacityProvider':'FARGATE'}]}",
                 "InvalidParameterException", "not associated");
    world_call(&w, "CreateCluster", "{'clusterName':'d','capacityProviders':['big'],"
                                    "'defaultCapacityProviderStrategy':[{'capacityProvider':'big','weight':2}]}");
}

#define MIX                                                                                        \
    "'capacityProviderStrategy':[{'capacityProvider':'big','base':1,'weight':1},"                    \
    "{'capacityProvider':'small','weight':3}]"

TEST(tasks_are_shared_among_the_providers_of_a_strategy)
{
    cleanup(world_done) struct world w;
    const struct json *a, *s;

    prepare_providers(&w);
    a = world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','count':5," MIX "}");
    CHECK_EQ(json_size(json_get(a, "tasks")), 5);
    CHECK_TEXT(text_at(first(a, "tasks"), "capacityProviderName"), "big");
    CHECK_TEXT(text_at(first(a, "tasks"), "launchType"), "EC2");
    CHECK_EQ(json_get_i64(describe(&w, "two", ""), "pendingTasksCount", 0), 2);
    CHECK_EQ(json_get_i64(describe(&w, "three", ""), "pendingTasksCount", 0), 3);
    s = json_get(world_call(&w, "CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'web',"
                                                 "'desiredCount':5," MIX "}"), "service");
    CHECK_EQ(json_size(json_get(s, "capacityProviderStrategy")), 2);
    CHECK(json_get(s, "launchType") == NULL);
    world_wait(&w, 60000);
    CHECK_EQ(json_get_i64(describe(&w, "two", ""), "runningTasksCount", 0), 4);
    CHECK_EQ(json_get_i64(describe(&w, "three", ""), "runningTasksCount", 0), 6);
    s = json_get(world_call(&w, "UpdateService",
                            "{'cluster':'c','service':'s','capacityProviderStrategy':"
                            "[{'capacityProvider':'small','weight':1}]}"), "service");
    CHECK_TEXT(text_at(first(s, "capacityProviderStrategy"), "capacityProvider"), "small");
    world_wait(&w, 120000);
    CHECK_EQ(json_get_i64(describe(&w, "two", ""), "runningTasksCount", 0), 2);
    CHECK_EQ(json_get_i64(describe(&w, "three", ""), "runningTasksCount", 0), 8);
}

TEST(strategies_that_can_not_place_are_refused)
{
    cleanup(world_done) struct world w;
    const struct json *a;

    prepare_providers(&w);
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','count':2,'capacityProviderStrategy':"
                                "[{'capacityProvider':'big','base':1}]}",
                 "InvalidParameterException", "weight greater than 0");
    world_refuse(&w, "CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,"
                                      "'capacityProviderStrategy':[{'capacityProvider':'big'}]}",
                 "InvalidParameterException", "weight greater than 0");
    world_call(&w, "CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,"
                                    "'capacityProviderStrategy':[{'capacityProvider':'big','base':1}]}");
    world_refuse(&w, "UpdateService", "{'cluster':'c','service':'s','desiredCount':2}",
                 "InvalidParameterException", "weight greater than 0");
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','launchType':'EC2'," MIX "}",
                 "InvalidParameterException", "both a launch type and capacity provider strategy");
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','capacityProviderStrategy':"
                                "[{'capacityProvider':'FARGATE','weight':1}]}",
                 "InvalidParameterException", "does not support launch_type FARGATE");
    put_group(&w, "three", "elsewhere");
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','capacityProviderStrategy':"
                                "[{'capacityProvider':'small','weight':1}]}",
                 "InvalidParameterException", "No Container Instances were found in your capacity provider.");
    a = world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','count':2," MIX "}");
    CHECK_EQ(json_size(json_get(a, "tasks")), 1);
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "EMPTY CAPACITY PROVIDER");
}

TEST(fargate_providers_share_tasks_too)
{
    cleanup(world_done) struct world w;
    const struct json *a;
    int spot = 0;

    prepare_providers(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'far','networkMode':'awsvpc','cpu':'256','memory':'512','requiresCompatibilities':"
               "['FARGATE'],'containerDefinitions':[{'name':'app','image':'i'}]}");
    a = world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'far','count':4,'networkConfiguration':"
                                  "{'awsvpcConfiguration':{'subnets':['a']}},'capacityProviderStrategy':"
                                  "[{'capacityProvider':'FARGATE','base':1,'weight':0},"
                                  "{'capacityProvider':'FARGATE_SPOT','weight':1}]}");
    CHECK_EQ(json_size(json_get(a, "tasks")), 4);
    for (size_t i = 0; i < 4; i++)
        spot += strcmp(text_at(json_at(json_get(a, "tasks"), i), "capacityProviderName"), "FARGATE_SPOT") == 0;
    CHECK_EQ(spot, 3);
    CHECK_TEXT(text_at(first(a, "tasks"), "launchType"), "FARGATE");
}

/* ---- DAEMON ---- */

#define DAEMON(extra) \
    "{'cluster':'c','serviceName':'d','taskDefinition':'web','schedulingStrategy':'DAEMON'" extra "}"

TEST(a_daemon_service_runs_on_every_instance)
{
    cleanup(world_done) struct world w;
    const struct json *s;

    prepare(&w);
    s = json_get(world_call(&w, "CreateService", "%s", DAEMON("")), "service");
    CHECK_TEXT(text_at(s, "schedulingStrategy"), "DAEMON");
    CHECK_TEXT(text_at(s, "launchType"), "EC2");
    CHECK_EQ(json_get_i64(json_get(s, "deploymentConfiguration"), "minimumHealthyPercent", -1), 0);
    CHECK_EQ(json_get_i64(json_get(s, "deploymentConfiguration"), "maximumPercent", -1), 100);
    world_wait(&w, 60000);
    s = first(world_call(&w, "DescribeServices", "{'cluster':'c','services':['d']}"), "services");
    CHECK_EQ(json_get_i64(s, "desiredCount", 0), 3);
    CHECK_EQ(json_get_i64(s, "runningCount", 0), 3);
    CHECK_TEXT(text_at(first(s, "deployments"), "rolloutState"), "COMPLETED");
    world_call(&w, "CreateService", "%s", DAEMON("")); /* the same again */
    world_call(&w, "CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':0}");
    s = world_call(&w, "ListServices", "{'cluster':'c','schedulingStrategy':'DAEMON'}");
    CHECK_EQ(json_size(json_get(s, "serviceArns")), 1);
    CHECK_EQ(json_size(json_get(world_call(&w, "ListServices", "{'cluster':'c'}"), "serviceArns")), 2);
    s = world_call(&w, "ListServices", "{'cluster':'c','schedulingStrategy':'REPLICA'}");
    CHECK_EQ(json_size(json_get(s, "serviceArns")), 1);
    world_call(&w, "UpdateService", "{'cluster':'c','service':'d','forceNewDeployment':true,"
                                    "'deploymentConfiguration':{'minimumHealthyPercent':50}}");
    world_wait(&w, 400000);
    s = first(world_call(&w, "DescribeServices", "{'cluster':'c','services':['d']}"), "services");
    CHECK_EQ(json_size(json_get(s, "deployments")), 1);
    CHECK_EQ(json_get_i64(s, "runningCount", 0), 3);
    add_host(&w, "four", true, 1000);
    world_wait(&w, 60000);
    CHECK_EQ(json_get_i64(describe(&w, "four", ""), "runningTasksCount", 0), 1);
    world_call(&w, "DeleteService", "{'cluster':'c','service':'d'}"); /* without force */
    world_wait(&w, 60000);
    CHECK_EQ(json_get_i64(describe(&w, "four", ""), "runningTasksCount", -1), 0);
}

TEST(what_a_daemon_service_can_not_have_is_refused)
{
    static const struct {
        const char *members, *type, *message;
    } rows[] = {
        {",'desiredCount':2", "InvalidParameterException", "does not support a desired count"},
        {",'placementStrategy':[{'type':'random'}]", "InvalidParameterException", "Placement strategies"},
        {",'deploymentConfiguration':{'maximumPercent':200}", "InvalidParameterException", "must be 100"},
        {",'deploymentConfiguration':{'minimumHealthyPercent':100}", "InvalidParameterException",
         "cannot be 100"},
        {",'availabilityZoneRebalancing':'ENABLED'", "InvalidParameterException", "Availability Zone rebalancing"},
        {",'capacityProviderStrategy':[{'capacityProvider':'big','weight':1}]", "UnsupportedFeatureException",
         "capacityProviderStrategy with the DAEMON"},
        {",'deploymentConfiguration':{'strategy':'BLUE_GREEN'}", "InvalidParameterException",
         "supports the deployment strategy ROLLING only"},
    };
    cleanup(world_done) struct world w;
    char input[512];

    prepare_providers(&w);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        snprintf(input, sizeof(input), DAEMON("%s"), rows[i].members);
        world_refuse(&w, "CreateService", input, rows[i].type, rows[i].message);
    }
    world_call(&w, "CreateService", "%s", DAEMON(""));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        snprintf(input, sizeof(input), "{'cluster':'c','service':'d'%s}", rows[i].members);
        world_refuse(&w, "UpdateService", input, rows[i].type, rows[i].message);
    }
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'far','networkMode':'awsvpc','cpu':'256','memory':'512','requiresCompatibilities':"
               "['FARGATE'],'containerDefinitions':[{'name':'app','image':'i'}]}");
    world_refuse(&w, "CreateService", "{'cluster':'c','serviceName':'f','taskDefinition':'far',"
                                      "'schedulingStrategy':'DAEMON'," FARGATE "}",
                 "InvalidParameterException", "not supported with FARGATE");
}

/* ---- zones ---- */

static const char *
rebalancing(struct world *w, const char *operation, const char *members)
{
    const struct json *s = json_get(world_call(w, operation, "{'cluster':'c',%s}", members), "service");

    return text_at(s, "availabilityZoneRebalancing");
}

TEST(zone_rebalancing_is_enabled_where_it_can_be)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    CHECK_TEXT(rebalancing(&w, "CreateService", "'serviceName':'a','taskDefinition':'web','desiredCount':0"),
               "ENABLED");
    CHECK_TEXT(rebalancing(&w, "CreateService", "'serviceName':'b','taskDefinition':'web','desiredCount':0,"
                                                "'availabilityZoneRebalancing':'DISABLED'"), "DISABLED");
    CHECK_TEXT(rebalancing(&w, "CreateService", "'serviceName':'d','taskDefinition':'web','desiredCount':0,"
                                                "'placementStrategy':[{'type':'random'}]"), "DISABLED");
    CHECK_TEXT(rebalancing(&w, "CreateService", "'serviceName':'e','taskDefinition':'web','desiredCount':0,"
                                                "'placementStrategy':[{'type':'spread','field':"
                                                "'attribute:ecs.availability-zone'}]"), "ENABLED");
    CHECK_TEXT(rebalancing(&w, "CreateService", "'serviceName':'f','taskDefinition':'web','desiredCount':0,"
                                                "'deploymentConfiguration':{'maximumPercent':100,"
                                                "'minimumHealthyPercent':50}"), "DISABLED");
    /* absent: kept, as long as it can be */
    CHECK_TEXT(rebalancing(&w, "UpdateService", "'service':'b','desiredCount':1"), "DISABLED");
    CHECK_TEXT(rebalancing(&w, "UpdateService", "'service':'b','availabilityZoneRebalancing':'ENABLED'"), "ENABLED");
    CHECK_TEXT(rebalancing(&w, "UpdateService", "'service':'a','placementStrategy':[{'type':'binpack',"
                                                "'field':'cpu'}]"), "DISABLED");
    world_refuse(&w, "UpdateService", "{'cluster':'c','service':'a','availabilityZoneRebalancing':'ENABLED'}",
                 "InvalidParameterException", "Availability Zone rebalancing needs");
    world_refuse(&w, "UpdateService", "{'cluster':'c','service':'e','availabilityZoneRebalancing':'ENABLED',"
                                      "'deploymentConfiguration':{'maximumPercent':100,'minimumHealthyPercent':0}}",
                 "InvalidParameterException", "Availability Zone rebalancing needs");
    world_refuse(&w, "CreateService", "{'cluster':'c','serviceName':'g','taskDefinition':'web','desiredCount':0,"
                                      "'availabilityZoneRebalancing':'MAYBE'}", "InvalidParameterException",
                 "availabilityZoneRebalancing");
}
