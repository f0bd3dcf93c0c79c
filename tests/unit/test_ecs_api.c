/* SPDX-License-Identifier: MIT */
#include "api_world.h"

#define SERVICE(extra)                                                                             \
    "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':2" extra "}"

static struct arena test_arena; /* each test is a process */

/* ---- the door ---- */

TEST(unknown_and_unbuilt_operations_are_told_apart)
{
    cleanup(world_done) struct world w;

    world_init(&w);
    world_refuse(&w, "MakeCoffee", "{}", "UnknownOperationException", "MakeCoffee");
    world_refuse(&w, "CreateDaemon", "{}", "UnsupportedFeatureException", "CreateDaemon is not built");
    world_refuse(&w, "CreateGateway", "{}", "UnsupportedFeatureException", "CreateGateway");
    CHECK_EQ(world_send(&w, "ecs", "application/x-amz-json-1.1", NULL, "{}"), 400);
    CHECK(strstr(w.body, "UnknownOperationException") != NULL);
    CHECK_EQ(world_send(&w, "s3", "application/x-amz-json-1.1", ECS_TARGET "ListClusters", "{}"), 400);
    CHECK(strstr(w.body, "correct service: 'ecs'") != NULL);
    w.method = "DELETE"; /* and GET with a body that nobody would look at */
    world_refuse(&w, "ListClusters", "{}", "UnknownOperationException", "POST");
}

TEST(inputs_are_checked_by_their_shapes)
{
    cleanup(world_done) struct world w;
    cleanup(strbuf_done) struct strbuf deep = {0};

    world_init(&w);
    world_refuse(&w, "ListClusters", "{", "SerializationException", "");
    world_refuse(&w, "ListClusters", "[]", "SerializationException", "object");
    world_refuse(&w, "ListClusters", "{'maxResults':'many'}", "SerializationException",
                 "STRING_VALUE can not be converted to Integer at 'maxResults'");
    world_refuse(&w, "ListClusters", "{'maxResults':101}", "InvalidParameterException",
                 "1 validation error detected: Value '101' at 'maxResults' failed to satisfy constraint: "
                 "Member must have value less than or equal to 100");
    world_refuse(&w, "ListClusters", "{'maxResults':9999999999}", "SerializationException", "range");
    world_refuse(&w, "ListClusters", "{'maxResults':[1]}", "SerializationException", "Start of list");
    world_refuse(&w, "DeleteCluster", "{}", "InvalidParameterException",
                 "Value null at 'cluster' failed to satisfy constraint: Member must not be null");
    world_refuse(&w, "DeleteCluster", "{'cluster':null}", "InvalidParameterException", "Value null");
    world_refuse(&w, "CreateCluster", "{'clusterName':'a b'}", "InvalidParameterException",
                 "Member must satisfy regular expression pattern: [A-Za-z0-9_-]+");
    world_refuse(&w, "ListTasks", "{'launchType':'MOON'}", "InvalidParameterException",
                 "Member must satisfy enum value set: [EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES]");
    world_refuse(&w, "RegisterTaskDefinition",
                 "{'family':'f','containerDefinitions':[{'name':'a'},{'memory':true}]}",
                 "SerializationException", "containerDefinitions.2.member.memory");
    for (int i = 0; i < 100; i++)
        strbuf_add_cstr(&deep, "{\"a\":");
    CHECK_EQ(world_try(&w, "ListClusters", strbuf_cstr(&deep)), 400);
    CHECK_TEXT(text_at(w.answer, "__type"), "SerializationException");
    world_call(&w, "ListClusters", "{'unknown':{'deep':[1]},'maxResults':null}");
    CHECK_EQ(world_try(&w, "ListClusters", ""), 200);
}

TEST(sts_says_who_signed_in_xml)
{
    cleanup(world_done) struct world w;
    const char *form = "application/x-www-form-urlencoded; charset=utf-8";

    world_init(&w);
    CHECK_EQ(world_send(&w, "sts", form, NULL, "Action=GetCallerIdentity&Version=2011-06-15"), 200);
    CHECK_TEXT(w.body,
               "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
               "<GetCallerIdentityResult><UserId>000000000000</UserId><Account>000000000000</Account>"
               "<Arn>arn:aws:iam::000000000000:root</Arn></GetCallerIdentityResult><ResponseMetadata>"
               "<RequestId>00000000-0000-4000-8000-000000000000</RequestId></ResponseMetadata>"
               "</GetCallerIdentityResponse>");
    CHECK_EQ(world_send(&w, "sts", form, NULL, "Action=Dance&Version=2011-06-15"), 400);
    CHECK(strstr(w.body, "<Code>InvalidAction</Code>") != NULL);
    CHECK_EQ(world_send(&w, "sts", form, NULL, "Action=AssumeRoot&Version=2011-06-15"), 400);
    CHECK(strstr(w.body, "<Code>UnsupportedFeature</Code>") != NULL);
    CHECK_EQ(world_send(&w, "s3", form, NULL, "Action=ListBuckets"), 403);
    CHECK(strstr(w.body, "<Code>SignatureDoesNotMatch</Code>") != NULL);
    CHECK_EQ(world_send(&w, "sts", form, NULL, "Action=%zz"), 400);
    CHECK(strstr(w.body, "<Code>ValidationError</Code>") != NULL);
}

/* ---- clusters ---- */

TEST(a_cluster_is_created_once_listed_and_deleted)
{
    cleanup(world_done) struct world w;
    const struct json *a;

    world_init(&w);
    a = json_get(world_call(&w, "CreateCluster",
                            "{'clusterName':'c','tags':[{'key':'team','value':'x'}]}"), "cluster");
    CHECK_TEXT(text_at(a, "clusterArn"), WORLD_ARN "cluster/c");
    CHECK_TEXT(text_at(a, "status"), "ACTIVE");
    CHECK_EQ(json_get_i64(a, "registeredContainerInstancesCount", -1), 1);
    world_call(&w, "CreateCluster", "{'clusterName':'c'}");
    CHECK_EQ(json_size(json_get(world_call(&w, "ListClusters", "{}"), "clusterArns")), 1);
    a = world_call(&w, "DescribeClusters",
                   "{'clusters':['c','gone'],'include':['TAGS','STATISTICS','SETTINGS']}");
    CHECK_TEXT(text_at(json_at(json_get(a, "failures"), 0), "reason"), "MISSING");
    CHECK_TEXT(text_at(json_at(json_get(a, "failures"), 0), "arn"), WORLD_ARN "cluster/gone");
    a = json_at(json_get(a, "clusters"), 0);
    CHECK_EQ(json_size(json_get(a, "statistics")), 8);
    CHECK_TEXT(text_at(json_at(json_get(a, "tags"), 0), "key"), "team");
    CHECK_TEXT(text_at(json_at(json_get(a, "settings"), 0), "name"), "containerInsights");
    a = world_call(&w, "DescribeClusters", "{}");
    CHECK_TEXT(text_at(json_at(json_get(a, "failures"), 0), "arn"), WORLD_ARN "cluster/default");
    a = json_get(world_call(&w, "DeleteCluster", "{'cluster':'c'}"), "cluster");
    CHECK_TEXT(text_at(a, "status"), "INACTIVE");
    CHECK_EQ(json_get_i64(a, "registeredContainerInstancesCount", -1), 0);
    CHECK_EQ(json_size(json_get(world_call(&w, "ListClusters", "{}"), "clusterArns")), 0);
    world_refuse(&w, "DeleteCluster", "{'cluster':'c'}", "ClusterNotFoundException",
                 "Cluster not found.");
}

TEST(a_page_ends_with_a_token_that_only_its_operation_takes)
{
    cleanup(world_done) struct world w;
    cleanup_free char *token = NULL;
    const struct json *a;
    char input[256];

    world_init(&w);
    for (int i = 0; i < 5; i++)
        world_call(&w, "CreateCluster", "{'clusterName':'c%d'}", i);
    a = world_call(&w, "ListClusters", "{'maxResults':2}");
    CHECK_EQ(json_size(json_get(a, "clusterArns")), 2);
    token = text_dup(text_at(a, "nextToken"));
    world_call(&w, "DeleteCluster", "{'cluster':'c1'}"); /* the key that the token names */
    a = world_call(&w, "ListClusters", "{'nextToken':'%s'}", token);
    CHECK_EQ(json_size(json_get(a, "clusterArns")), 3);
    CHECK_TEXT(json_cstr(json_at(json_get(a, "clusterArns"), 0), ""), WORLD_ARN "cluster/c2");
    CHECK(json_get(a, "nextToken") == NULL);
    snprintf(input, sizeof(input), "{'nextToken':'%s'}", token);
    world_refuse(&w, "ListTaskDefinitions", input, "InvalidParameterException", "Invalid token.");
    world_refuse(&w, "ListClusters", "{'nextToken':'nonsense'}", "InvalidParameterException",
                 "Invalid token.");
}

/* ---- services ---- */

TEST(a_service_is_created_with_its_deployment_and_becomes_stable)
{
    cleanup(world_done) struct world w;
    const struct json *s, *d;

    world_prepare(&w);
    s = json_get(world_call(&w, "CreateService", SERVICE()), "service");
    CHECK_TEXT(text_at(s, "serviceArn"), WORLD_ARN "service/c/s");
    CHECK_TEXT(text_at(s, "taskDefinition"), WORLD_ARN "task-definition/web:1");
    CHECK_TEXT(text_at(s, "launchType"), "EC2");
    CHECK_TEXT(text_at(s, "schedulingStrategy"), "REPLICA");
    CHECK_EQ(json_size(json_get(s, "deployments")), 1);
    d = json_at(json_get(s, "deployments"), 0);
    CHECK_TEXT(text_at(d, "status"), "PRIMARY");
    CHECK_TEXT(text_at(d, "rolloutState"), "IN_PROGRESS");
    CHECK_EQ(json_get_i64(d, "desiredCount", 0), 2);
    CHECK(strncmp(text_at(d, "id"), "ecs-svc/", 8) == 0);
    d = json_get(s, "deploymentConfiguration");
    CHECK_EQ(json_get_i64(d, "maximumPercent", 0), 200);
    CHECK_TEXT(text_at(json_get(json_get(d, "deploymentCircuitBreaker"), "thresholdConfiguration"),
                       "type"), "BOUNDED_PERCENT");
    world_wait(&w, 60000);
    s = json_at(json_get(world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}"),
                         "services"), 0);
    CHECK_EQ(json_get_i64(s, "runningCount", 0), 2);
    CHECK_TEXT(text_at(json_at(json_get(s, "deployments"), 0), "rolloutState"), "COMPLETED");
    CHECK(json_size(json_get(s, "events")) > 0);
    CHECK(json_get(s, "tags") == NULL);
}

TEST(creating_a_service_again_is_idempotent_or_refused)
{
    cleanup(world_done) struct world w;

    world_prepare(&w);
    world_call(&w, "CreateService", SERVICE());
    world_call(&w, "CreateService", SERVICE());
    CHECK_EQ(json_size(json_get(world_call(&w, "ListServices", "{'cluster':'c'}"), "serviceArns")), 1);
    world_refuse(&w, "CreateService", SERVICE(",'enableECSManagedTags':true"),
                 "InvalidParameterException", "Creation of service was not idempotent.");
    world_refuse(&w, "DeleteService", "{'cluster':'c','service':'s'}", "InvalidParameterException",
                 "The service cannot be stopped while it is scaled above 0.");
    world_refuse(&w, "DeleteCluster", "{'cluster':'c'}", "ClusterContainsServicesException",
                 "The Cluster cannot be deleted while Services are active.");
    world_settle(&w);
    world_call(&w, "DeleteService", "{'cluster':'c','service':'s','force':true}");
    world_refuse(&w, "UpdateService", "{'cluster':'c','service':'s','desiredCount':1}",
                 "ServiceNotActiveException", "Service was not ACTIVE.");
    world_wait(&w, 60000);
    CHECK_TEXT(text_at(json_at(json_get(world_call(&w, "DescribeServices",
                                                   "{'cluster':'c','services':['s']}"),
                                        "services"), 0), "status"), "INACTIVE");
    world_refuse(&w, "DeleteService", "{'cluster':'c','service':'s'}", "ServiceNotFoundException",
                 "Service not found.");
    world_call(&w, "CreateService", SERVICE());
}

static void
query(struct world *w, const char *form)
{
    if (world_send(w, "elasticloadbalancing", "application/x-www-form-urlencoded", NULL, form) != 200)
        check_fail(__FILE__, __LINE__, "%s: %s", form, w->body);
}

/* A target group behind a listener, through the API of load balancing; gives its ARN. */
static const char *
prepare_target_group(struct world *w)
{
    char form[2048];

    query(w, "Action=CreateLoadBalancer&Version=2015-12-01&Name=lb&Subnets.member.1=subnet-a"
             "&Subnets.member.2=subnet-b");
    query(w, "Action=CreateTargetGroup&Version=2015-12-01&Name=tg&Protocol=HTTP&Port=80&VpcId=vpc-1"
             "&TargetType=instance");
    CHECK(w->core->target_groups != NULL && w->core->load_balancers != NULL);
    world_refuse(w, "CreateService",
                 arena_format(&test_arena, SERVICE(",'loadBalancers':[{'targetGroupArn':'%s',"
                                                   "'containerName':'app','containerPort':80}]"),
                              w->core->target_groups->arn),
                 "InvalidParameterException", "does not have an associated load balancer.");
    snprintf(form, sizeof(form),
             "Action=CreateListener&Version=2015-12-01&LoadBalancerArn=%s&Protocol=HTTP&Port=8080"
             "&DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn=%s",
             w->core->load_balancers->arn, w->core->target_groups->arn);
    query(w, form);
    return w->core->target_groups->arn;
}

TEST(a_service_behind_a_load_balancer_drains_before_it_is_gone)
{
    cleanup(world_done) struct world w;
    const struct json *s;

    world_prepare(&w);
    world_call(&w, "CreateService",
               SERVICE(",'healthCheckGracePeriodSeconds':9,'loadBalancers':[{'targetGroupArn':'%s',"
                       "'containerName':'app','containerPort':80}]"), prepare_target_group(&w));
    world_wait(&w, 5000);
    s = json_at(json_get(world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}"),
                         "services"), 0);
    CHECK_EQ(json_get_i64(s, "runningCount", 0), 2);
    CHECK_EQ(json_get_i64(s, "healthCheckGracePeriodSeconds", 0), 9);
    CHECK_TEXT(text_at(json_at(json_get(s, "loadBalancers"), 0), "containerName"), "app");
    CHECK(strstr(text_at(s, "roleArn"), "AWSServiceRoleForECS") != NULL);
    CHECK_TEXT(text_at(json_at(json_get(s, "deployments"), 0), "rolloutState"), "COMPLETED");
    w.drains_hang = true;
    s = json_get(world_call(&w, "DeleteService", "{'cluster':'c','service':'s','force':true}"),
                 "service");
    CHECK_TEXT(text_at(s, "status"), "DRAINING");
    world_settle(&w);
    world_refuse(&w, "CreateService", SERVICE(), "InvalidParameterException",
                 "Unable to Start a service that is still Draining.");
    world_call(&w, "DeleteService", "{'cluster':'c','service':'s'}");
    w.drains_hang = false;
    world_wait(&w, 5000);
    s = json_at(json_get(world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}"),
                         "services"), 0);
    CHECK_TEXT(text_at(s, "status"), "INACTIVE");
}

TEST(a_bad_service_is_refused)
{
    static const struct {
        const char *input, *type, *message;
    } cases[] = {
        {"{'cluster':'x','serviceName':'s','taskDefinition':'web','desiredCount':1}",
         "ClusterNotFoundException", "Cluster not found."},
        {"{'cluster':'c','serviceName':'s','taskDefinition':'none','desiredCount':1}",
         "ClientException", "TaskDefinition not found."},
        {"{'cluster':'c','serviceName':'s','taskDefinition':'web'}", "InvalidParameterException",
         "desiredCount"},
        {SERVICE(",'launchType':'FARGATE'"), "InvalidParameterException",
         "Task definition does not support launch_type FARGATE."},
        {SERVICE(",'launchType':'EC2','capacityProviderStrategy':[{'capacityProvider':'FARGATE'}]"),
         "InvalidParameterException", "Specifying both a launch type and capacity provider strategy"},
        {SERVICE(",'capacityProviderStrategy':[{'capacityProvider':'FARGATE'}]"),
         "InvalidParameterException", "not associated with the cluster"},
        {SERVICE(",'networkConfiguration':{'awsvpcConfiguration':{'subnets':['subnet-1']}}"),
         "InvalidParameterException",
         "Network Configuration is not valid for the given networkMode of this task definition."},
        {SERVICE(",'loadBalancers':[{'targetGroupArn':'t','containerName':'x','containerPort':80}]"),
         "InvalidParameterException", "The container x does not exist in the task definition."},
        {SERVICE(",'loadBalancers':[{'targetGroupArn':'t','containerName':'app','containerPort':81}]"),
         "InvalidParameterException", "The container app did not have a container port 81 defined."},
        {SERVICE(",'loadBalancers':[{'targetGroupArn':'t','containerName':'app','containerPort':80}]"),
         "InvalidParameterException", "The target group t does not exist."},
        {SERVICE(",'deploymentConfiguration':{'minimumHealthyPercent':100,'maximumPercent':100}"),
         "InvalidParameterException",
         "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments."},
        {SERVICE(",'healthCheckGracePeriodSeconds':5"), "InvalidParameterException",
         "Health check grace period is only valid for services configured to use load balancers."},
        {SERVICE(",'schedulingStrategy':'DAEMON'"), "InvalidParameterException",
         "The daemon scheduling strategy does not support a desired count"},
        {SERVICE(",'deploymentController':{'type':'CODE_DEPLOY'}"), "UnsupportedFeatureException",
         "CODE_DEPLOY"},
        {SERVICE(",'deploymentConfiguration':{'alarms':{'alarmNames':['a'],'enable':true,"
                 "'rollback':true}}"),
         "UnsupportedFeatureException", "alarms"},
        {SERVICE(",'serviceRegistries':[{'registryArn':'r'}]"), "UnsupportedFeatureException",
         "serviceRegistries"},
        {SERVICE(",'enableExecuteCommand':true"), "UnsupportedFeatureException", "enableExecuteCommand"},
        {SERVICE(",'tags':[{'key':'aws:x','value':'1'}]"), "InvalidParameterException", "aws:"},
        {SERVICE(",'tags':[{'key':'a#b','value':'1'}]"), "InvalidParameterException", "regular expression pattern"},
        {SERVICE(",'tags':[{'key':'a','value':'*'}]"), "InvalidParameterException", "regular expression pattern"},
        {SERVICE(",'desiredCount':5001"), "SerializationException", ""}, /* twice in one object */
        {"{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':5001}",
         "InvalidParameterException", "5000"},
    };
    cleanup(world_done) struct world w;

    world_prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        world_refuse(&w, "CreateService", cases[i].input, cases[i].type, cases[i].message);
    CHECK_EQ(json_size(json_get(world_call(&w, "ListServices", "{'cluster':'c'}"), "serviceArns")), 0);
    /* what deploy tools send although it means nothing */
    world_call(&w, "CreateService",
               SERVICE(",'volumeConfigurations':[],'serviceRegistries':[],'propagateTags':'NONE'"));
}

TEST(an_update_starts_a_deployment_only_for_a_real_change)
{
    cleanup(world_done) struct world w;
    const struct json *s;

    world_prepare(&w);
    world_call(&w, "CreateService", SERVICE());
    world_wait(&w, 60000);
#define UPDATE(members)                                                                            \
    (s = json_get(world_call(&w, "UpdateService", "{'cluster':'c','service':'s'" members "}"),       \
                  "service"),                                                                      \
     json_size(json_get(s, "deployments")))
    CHECK_EQ(UPDATE(",'taskDefinition':'web'"), 1);
    CHECK_EQ(UPDATE(",'taskDefinition':'web:1','loadBalancers':[]"), 1);
    CHECK_EQ(UPDATE(",'desiredCount':3"), 1);
    CHECK_EQ(json_get_i64(s, "desiredCount", 0), 3);
    CHECK_EQ(UPDATE(",'deploymentConfiguration':{'deploymentCircuitBreaker':{'enable':true,"
                    "'rollback':true}}"), 1);
    CHECK_EQ(UPDATE(",'deploymentConfiguration':{'maximumPercent':150}"), 1);
    s = json_get(s, "deploymentConfiguration");
    CHECK_EQ(json_get_i64(s, "maximumPercent", 0), 150);
    CHECK(json_get_bool(json_get(s, "deploymentCircuitBreaker"), "rollback", false));
    CHECK_EQ(UPDATE(",'propagateTags':'SERVICE'"), 1);
    CHECK_TEXT(text_at(s, "propagateTags"), "SERVICE");
    world_wait(&w, 60000);
    CHECK_EQ(UPDATE(",'forceNewDeployment':true"), 2);
    world_wait(&w, 200000);
    world_call(&w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
    CHECK_EQ(UPDATE(",'taskDefinition':'web'"), 2);
    CHECK_TEXT(text_at(s, "taskDefinition"), WORLD_ARN "task-definition/web:2");
    CHECK_TEXT(text_at(json_at(json_get(s, "deployments"), 0), "status"), "PRIMARY");
    CHECK_TEXT(text_at(json_at(json_get(s, "deployments"), 1), "status"), "ACTIVE");
    CHECK_EQ(json_size(json_get(s, "currentServiceRevisions")), 2);
    world_refuse(&w, "UpdateService", "{'cluster':'c','service':'none'}", "ServiceNotFoundException",
                 "Service not found.");
}

/* An SDK that did not hear the answer says the same again. */
TEST(one_invocation_of_an_update_is_done_once)
{
    cleanup(world_done) struct world w;
    const struct json *s;
    char first[ID_SIZE];

    world_prepare(&w);
    world_call(&w, "CreateService", SERVICE());
    world_wait(&w, 60000);
    w.invocation = "11111111-2222-4333-8444-555555555555";
    CHECK_EQ(UPDATE(",'forceNewDeployment':true"), 2);
    text_copy(first, sizeof(first), str_of(text_at(json_at(json_get(s, "deployments"), 0), "id")));
    CHECK_EQ(UPDATE(",'forceNewDeployment':true"), 2);
    CHECK_TEXT(text_at(json_at(json_get(s, "deployments"), 0), "id"), first);
    w.invocation = "11111111-2222-4333-8444-666666666666";
    (void)UPDATE(",'forceNewDeployment':true");
    CHECK(strcmp(text_at(json_at(json_get(s, "deployments"), 0), "id"), first) != 0);
    world_wait(&w, 200000);
    w.invocation = NULL; /* who says none is heard each time */
    CHECK_EQ(UPDATE(",'forceNewDeployment':true"), 2);
    text_copy(first, sizeof(first), str_of(text_at(json_at(json_get(s, "deployments"), 0), "id")));
    (void)UPDATE(",'forceNewDeployment':true");
    CHECK(strcmp(text_at(json_at(json_get(s, "deployments"), 0), "id"), first) != 0);
    w.invocation = "1111111111111111111111111111111111111111111111111111111111111111"; /* no SDK's */
    text_copy(first, sizeof(first), str_of(text_at(json_at(json_get(s, "deployments"), 0), "id")));
    (void)UPDATE(",'forceNewDeployment':true");
    (void)UPDATE(",'forceNewDeployment':true");
    CHECK(strcmp(text_at(json_at(json_get(s, "deployments"), 0), "id"), first) != 0);
}

TEST(service_deployments_tell_the_story_and_can_be_stopped)
{
    cleanup(world_done) struct world w;
    cleanup_free char *first = NULL, *second = NULL, *revision = NULL;
    const struct json *a;
    char input[2048];

    world_prepare(&w);
    a = json_get(world_call(&w, "CreateService", SERVICE()), "service");
    first = text_dup(text_at(a, "currentServiceDeployment"));
    snprintf(input, sizeof(input), "{'serviceDeploymentArn':'%s'}", first);
    world_refuse(&w, "StopServiceDeployment", input, "ConflictException", "no completed deployment");
    world_wait(&w, 60000);
    world_refuse(&w, "StopServiceDeployment", input, "ConflictException", "terminal state");
    world_call(&w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
    a = json_get(world_call(&w, "UpdateService",
                            "{'cluster':'c','service':'s','taskDefinition':'web'}"), "service");
    second = text_dup(text_at(a, "currentServiceDeployment"));
    CHECK(strcmp(first, second) != 0);
    a = json_get(world_call(&w, "ListServiceDeployments", "{'cluster':'c','service':'s'}"),
                 "serviceDeployments");
    CHECK_EQ(json_size(a), 2);
    CHECK_TEXT(text_at(json_at(a, 0), "serviceDeploymentArn"), second);
    CHECK_TEXT(text_at(json_at(a, 1), "status"), "SUCCESSFUL");
    a = world_call(&w, "ListServiceDeployments",
                   "{'cluster':'c','service':'s','status':['SUCCESSFUL']}");
    CHECK_EQ(json_size(json_get(a, "serviceDeployments")), 1);
    a = world_call(&w, "DescribeServiceDeployments", "{'serviceDeploymentArns':['%s','arn:x']}", second);
    CHECK_EQ(json_size(json_get(a, "failures")), 1);
    a = json_at(json_get(a, "serviceDeployments"), 0);
    CHECK_EQ(json_size(json_get(a, "sourceServiceRevisions")), 1);
    revision = text_dup(text_at(json_get(a, "targetServiceRevision"), "arn"));
    a = world_call(&w, "StopServiceDeployment", "{'serviceDeploymentArn':'%s'}", second);
    CHECK_TEXT(text_at(a, "serviceDeploymentArn"), second);
    world_wait(&w, 200000);
    a = json_at(json_get(world_call(&w, "DescribeServiceDeployments",
                                    "{'serviceDeploymentArns':['%s']}", second),
                         "serviceDeployments"), 0);
    CHECK_TEXT(text_at(a, "status"), "ROLLBACK_SUCCESSFUL");
    CHECK(json_get(a, "rollback") != NULL);
    a = json_at(json_get(world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}"),
                         "services"), 0);
    CHECK_TEXT(text_at(a, "taskDefinition"), WORLD_ARN "task-definition/web:1");
    a = json_at(json_get(world_call(&w, "DescribeServiceRevisions", "{'serviceRevisionArns':['%s']}",
                                    revision), "serviceRevisions"), 0);
    CHECK_TEXT(text_at(a, "taskDefinition"), WORLD_ARN "task-definition/web:2");
    CHECK_EQ(json_size(json_get(a, "containerImages")), 1);
}

TEST(tasks_run_are_described_and_stop)
{
    cleanup(world_done) struct world w;
    cleanup_free char *arn = NULL;
    const struct json *a, *t;

    world_prepare(&w);
    a = world_call(&w, "RunTask",
                   "{'cluster':'c','taskDefinition':'web','count':2,'startedBy':'me',"
                   "'overrides':{'containerOverrides':[{'name':'app','command':['sh']}]},"
                   "'tags':[{'key':'k','value':'v'}]}");
    CHECK_EQ(json_size(json_get(a, "tasks")), 2);
    CHECK_EQ(json_size(json_get(a, "failures")), 0);
    t = json_at(json_get(a, "tasks"), 0);
    arn = text_dup(text_at(t, "taskArn"));
    CHECK_TEXT(text_at(t, "group"), "family:web");
    CHECK_TEXT(text_at(t, "lastStatus"), "PENDING");
    CHECK_TEXT(text_at(t, "cpu"), "0");
    CHECK_TEXT(text_at(t, "memory"), "64");
    CHECK_TEXT(json_cstr(json_at(json_get(json_at(json_get(json_get(t, "overrides"),
                                                           "containerOverrides"), 0),
                                          "command"), 0), ""), "sh");
    world_settle(&w);
    a = world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s','0123'],'include':['TAGS']}", arn);
    t = json_at(json_get(a, "tasks"), 0);
    CHECK_TEXT(text_at(t, "lastStatus"), "RUNNING");
    CHECK_TEXT(text_at(json_at(json_get(t, "tags"), 0), "value"), "v");
    CHECK_TEXT(text_at(json_at(json_get(t, "containers"), 0), "name"), "app");
    CHECK_TEXT(text_at(json_at(json_get(a, "failures"), 0), "arn"), WORLD_ARN "task/c/0123");
    a = world_call(&w, "ListTasks", "{'cluster':'c','startedBy':'me'}");
    CHECK_EQ(json_size(json_get(a, "taskArns")), 2);
    t = json_get(world_call(&w, "StopTask", "{'cluster':'c','task':'%s','reason':'enough'}", arn), "task");
    CHECK_TEXT(text_at(t, "desiredStatus"), "STOPPED");
    CHECK_TEXT(text_at(t, "stopCode"), "UserInitiated");
    CHECK_TEXT(text_at(t, "stoppedReason"), "enough");
    world_settle(&w);
    a = world_call(&w, "ListTasks", "{'cluster':'c','desiredStatus':'STOPPED','family':'web'}");
    CHECK_EQ(json_size(json_get(a, "taskArns")), 1);
    t = json_at(json_get(world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s']}", arn),
                         "tasks"), 0);
    CHECK_TEXT(text_at(t, "lastStatus"), "STOPPED");
    CHECK_EQ(json_get_i64(json_at(json_get(t, "containers"), 0), "exitCode", -1), 0);
}

TEST(a_bad_task_is_refused_and_one_without_a_place_is_a_failure)
{
    cleanup(world_done) struct world w;
    const struct json *a;

    world_prepare(&w);
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','count':11}",
                 "InvalidParameterException", "less than or equal to 10");
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','group':'service:x'}",
                 "InvalidParameterException", "reserved");
    world_refuse(&w, "RunTask",
                 "{'cluster':'c','taskDefinition':'web','overrides':{'containerOverrides':["
                 "{'name':'x'}]}}", "InvalidParameterException",
                 "Override for container named x is not a container in the TaskDefinition.");
    world_refuse(&w, "StopTask", "{'cluster':'c','task':'x'}", "InvalidParameterException",
                 "The referenced task was not found.");
    world_refuse(&w, "DescribeTasks", "{'cluster':'c','tasks':[]}", "InvalidParameterException",
                 "Tasks cannot be empty.");
    world_refuse(&w, "ListTasks", "{'cluster':'c','serviceName':'x'}", "ServiceNotFoundException",
                 "Service not found.");
    world_refuse(&w, "ListTasks", "{'cluster':'c','startedBy':'x','family':'web'}",
                 "InvalidParameterException", "startedBy");
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'big','containerDefinitions':[{'name':'a','image':'i','memory':6000}]}");
    a = world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'big','count':2}");
    CHECK_EQ(json_size(json_get(a, "tasks")), 1);
    CHECK_TEXT(text_at(json_at(json_get(a, "failures"), 0), "reason"), "RESOURCE:MEMORY");
}

TEST(what_is_made_for_another_machine_is_refused)
{
    cleanup(world_done) struct world w;

    world_prepare(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'win','runtimePlatform':{'operatingSystemFamily':'WINDOWS_SERVER_2022_CORE'},"
               "'containerDefinitions':[{'name':'a','image':'i','memory':9}]}");
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'win'}", "UnsupportedFeatureException",
                 "WINDOWS_SERVER_2022_CORE can not run here");
}

TEST(a_client_token_runs_its_tasks_once)
{
    cleanup(world_done) struct world w;
    cleanup_free char *arn = NULL;

    world_prepare(&w);
    arn = text_dup(text_at(json_at(json_get(world_call(&w, "RunTask",
        "{'cluster':'c','taskDefinition':'web','clientToken':'t1'}"), "tasks"), 0), "taskArn"));
    CHECK_TEXT(text_at(json_at(json_get(world_call(&w, "RunTask",
        "{'cluster':'c','taskDefinition':'web','clientToken':'t1'}"), "tasks"), 0), "taskArn"), arn);
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','clientToken':'t1','count':2}",
                 "ConflictException", "client token");
    CHECK_EQ(json_size(json_get(w.answer, "resourceIds")), 1);
}

/* ---- tags ---- */

TEST(tags_are_merged_removed_and_inherited)
{
    cleanup(world_done) struct world w;
    cleanup_free char *task = NULL;
    const struct json *a;

    world_prepare(&w);
    world_call(&w, "CreateService",
               SERVICE(",'propagateTags':'SERVICE','enableECSManagedTags':true,'tags':[{'key':'a','value':'1'}]"));
    world_settle(&w);
    world_call(&w, "TagResource",
               "{'resourceArn':'" WORLD_ARN "service/c/s','tags':[{'key':'a','value':'2'},"
               "{'key':'b','value':'3'}]}");
    world_call(&w, "UntagResource", "{'resourceArn':'" WORLD_ARN "service/c/s','tagKeys':['b','z']}");
    a = json_get(world_call(&w, "ListTagsForResource",
                            "{'resourceArn':'" WORLD_ARN "service/c/s'}"), "tags");
    CHECK_EQ(json_size(a), 1);
    CHECK_TEXT(text_at(json_at(a, 0), "value"), "2");
    task = text_dup(json_cstr(json_at(json_get(world_call(&w, "ListTasks",
        "{'cluster':'c','serviceName':'s'}"), "taskArns"), 0), ""));
    a = json_at(json_get(world_call(&w, "DescribeTasks",
        "{'cluster':'c','tasks':['%s'],'include':['TAGS']}", task), "tasks"), 0);
    CHECK_TEXT(text_at(json_at(json_get(a, "tags"), 0), "value"), "2");
    CHECK_TEXT(text_at(json_at(json_get(a, "tags"), 2), "key"), "aws:ecs:serviceName");
    world_refuse(&w, "ListTagsForResource", "{'resourceArn':'web'}", "InvalidParameterException",
                 "The ARN provided is invalid.");
    world_refuse(&w, "ListTagsForResource", "{'resourceArn':'" WORLD_ARN "service/s'}",
                 "InvalidParameterException", "Long arn format must be used for tagging operations");
    world_refuse(&w, "ListTagsForResource", "{'resourceArn':'" WORLD_ARN "cluster/none'}",
                 "InvalidParameterException", "");
}

TEST(the_instance_of_a_cluster_is_this_machine)
{
    cleanup(world_done) struct world w;
    cleanup_free char *arn = NULL;
    const struct json *a;

    world_prepare(&w);
    arn = text_dup(json_cstr(json_at(json_get(world_call(&w, "ListContainerInstances",
        "{'cluster':'c'}"), "containerInstanceArns"), 0), ""));
    world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web'}");
    a = json_at(json_get(world_call(&w, "DescribeContainerInstances",
        "{'cluster':'c','containerInstances':['%s']}", arn), "containerInstances"), 0);
    CHECK(json_get_bool(a, "agentConnected", false));
    CHECK_EQ(json_get_i64(json_at(json_get(a, "remainingResources"), 1), "integerValue", 0), 8192 - 64);
    CHECK_EQ(json_get_i64(a, "pendingTasksCount", 0), 1);
}

/* ---- where operations meet ---- */

TEST(what_belongs_to_another_region_is_not_seen)
{
    cleanup(world_done) struct world w;
    cleanup_free char *sd = NULL, *revision = NULL, *task = NULL;
    const struct json *s;

    world_prepare(&w);
    s = json_get(world_call(&w, "CreateService", SERVICE()), "service");
    sd = text_dup(text_at(s, "currentServiceDeployment"));
    revision = text_dup(text_at(json_at(json_get(s, "currentServiceRevisions"), 0), "arn"));
    world_settle(&w);
    task = text_dup(json_cstr(json_at(json_get(world_call(&w, "ListTasks", "{'cluster':'c'}"), "taskArns"), 0), ""));
    w.region = "us-west-2";
    world_refuse(&w, "StopServiceDeployment", arena_format(&test_arena, "{'serviceDeploymentArn':'%s'}", sd),
                 "ServiceDeploymentNotFoundException", "Service deployment not found.");
    world_refuse(&w, "ListServiceDeployments", "{'service':'" WORLD_ARN "service/c/s'}",
                 "ServiceNotFoundException", "Service not found.");
    CHECK_EQ(json_size(json_get(world_call(&w, "DescribeServiceDeployments",
                                           "{'serviceDeploymentArns':['%s']}", sd), "failures")), 1);
    CHECK_EQ(json_size(json_get(world_call(&w, "DescribeServiceRevisions",
                                           "{'serviceRevisionArns':['%s']}", revision), "failures")), 1);
    world_refuse(&w, "TagResource",
                 "{'resourceArn':'" WORLD_ARN "service/c/s','tags':[{'key':'a','value':'b'}]}",
                 "ResourceNotFoundException", "");
    world_refuse(&w, "ListTagsForResource", arena_format(&test_arena, "{'resourceArn':'%s'}", task),
                 "InvalidParameterException", "");
    world_refuse(&w, "ListTagsForResource", "{'resourceArn':'" WORLD_ARN "cluster/c'}",
                 "InvalidParameterException", "");
    world_refuse(&w, "ListTagsForResource", "{'resourceArn':'" WORLD_ARN "task-definition/web:1'}",
                 "InvalidParameterException", "");
}

TEST(an_empty_strategy_goes_back_to_the_launch_type)
{
    cleanup(world_done) struct world w;
    const struct json *s;

    world_prepare(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'far','networkMode':'awsvpc','cpu':'256','memory':'512','requiresCompatibilities':['FARGATE'],"
               "'containerDefinitions':[{'name':'app','image':'i'}]}");
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'far','desiredCount':1,'launchType':'FARGATE',"
               "'networkConfiguration':{'awsvpcConfiguration':{'subnets':['a']}}}");
    s = json_get(world_call(&w, "UpdateService", "{'cluster':'c','service':'s','capacityProviderStrategy':[]}"), "service");
    CHECK_TEXT(text_at(s, "launchType"), "FARGATE");
    CHECK_EQ(json_size(json_get(s, "deployments")), 1);
}

TEST(a_default_strategy_names_providers_of_its_cluster)
{
    cleanup(world_done) struct world w;

    world_init(&w);
    world_refuse(&w, "CreateCluster",
                 "{'clusterName':'c','defaultCapacityProviderStrategy':[{'capacityProvider':'FARGATE','weight':1}]}",
                 "InvalidParameterException", "not associated with the cluster");
    world_call(&w, "CreateCluster",
               "{'clusterName':'c','capacityProviders':['FARGATE'],'defaultCapacityProviderStrategy':"
               "[{'capacityProvider':'FARGATE','weight':1}]}");
}

TEST(an_arn_without_a_revision_is_the_newest_active_one)
{
    cleanup(world_done) struct world w;
    const struct json *a;

    world_prepare(&w);
    world_call(&w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
    a = json_get(world_call(&w, "DescribeTaskDefinition", "{'taskDefinition':'" WORLD_ARN "task-definition/web'}"),
                 "taskDefinition");
    CHECK_EQ(json_get_i64(a, "revision", 0), 2);
    world_call(&w, "DeregisterTaskDefinition", "{'taskDefinition':'web:2'}");
    a = json_at(json_get(world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'" WORLD_ARN "task-definition/web'}"),
                         "tasks"), 0);
    CHECK_TEXT(text_at(a, "taskDefinitionArn"), WORLD_ARN "task-definition/web:1");
    world_refuse(&w, "DeregisterTaskDefinition", "{'taskDefinition':'" WORLD_ARN "task-definition/web'}",
                 "ClientException", "Revision is missing.");
    world_refuse(&w, "DescribeTaskDefinition", "{'taskDefinition':'arn:aws:ecs:us-west-2:000000000000:task-definition/web'}",
                 "ClientException", "Unable to describe task definition.");
}

TEST(a_service_scaled_to_zero_can_be_deleted_at_once)
{
    cleanup(world_done) struct world w;

    world_prepare(&w);
    world_call(&w, "CreateService", SERVICE());
    world_wait(&w, 60000);
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','desiredCount':0}");
    world_call(&w, "DeleteService", "{'cluster':'c','service':'s'}");
    world_wait(&w, 60000);
    CHECK_TEXT(text_at(json_at(json_get(world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}"),
                                        "services"), 0), "status"), "INACTIVE");
}

TEST(the_tags_of_a_service_task_are_the_same_by_both_ways)
{
    cleanup(world_done) struct world w;
    cleanup_free char *task = NULL;
    const struct json *a;

    world_prepare(&w);
    world_call(&w, "CreateService", SERVICE(",'propagateTags':'SERVICE','tags':[{'key':'a','value':'1'}]"));
    world_settle(&w);
    task = text_dup(json_cstr(json_at(json_get(world_call(&w, "ListTasks", "{'cluster':'c'}"), "taskArns"), 0), ""));
    a = json_get(world_call(&w, "ListTagsForResource", "{'resourceArn':'%s'}", task), "tags");
    CHECK_EQ(json_size(a), 1);
    world_call(&w, "TagResource", "{'resourceArn':'%s','tags':[{'key':'b','value':'2'}]}", task);
    a = json_get(world_call(&w, "ListTagsForResource", "{'resourceArn':'%s'}", task), "tags");
    CHECK_EQ(json_size(a), 2);
}

TEST(a_fargate_task_shows_the_platform_it_runs_on)
{
    cleanup(world_done) struct world w;
    const struct json *t;

    world_prepare(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'far','networkMode':'awsvpc','cpu':'256','memory':'512',"
               "'containerDefinitions':[{'name':'app','image':'i'}]}");
    t = json_at(json_get(world_call(&w, "RunTask",
        "{'cluster':'c','taskDefinition':'far','launchType':'FARGATE','networkConfiguration':"
        "{'awsvpcConfiguration':{'subnets':['a']}}}"), "tasks"), 0);
    CHECK_TEXT(text_at(t, "platformVersion"), "1.4.0");
    CHECK(json_get(t, "containerInstanceArn") == NULL);
}

TEST(overrides_are_checked_like_definitions)
{
    cleanup(world_done) struct world w;

    world_prepare(&w);
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','overrides':{'containerOverrides':["
                 "{'name':'app','environment':[{'name':'A=B','value':'x'}]}]}}", "InvalidParameterException", "Environment");
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','overrides':{'containerOverrides':["
                 "{'name':'app','environment':[{'value':'x'}]}]}}", "InvalidParameterException", "Environment");
}

/* ---- whatever comes, in whatever order ---- */

static const struct {
    const char *operation, *input; /* %d is a small number, %s an ARN that the core made */
} monkey_moves[] = {
    {"CreateCluster", "{'clusterName':'c%d'}"},
    {"DeleteCluster", "{'cluster':'c%d'}"},
    {"RegisterTaskDefinition", "{'family':'web','containerDefinitions':[{'name':'app','image':'i:%d',"
                               "'memory':64,'portMappings':[{'containerPort':80}]}]}"},
    {"RegisterTaskDefinition",
     "{'family':'web','networkMode':'awsvpc','cpu':'256','memory':'512','containerDefinitions':["
     "{'name':'app','image':'i:%d','portMappings':[{'containerPort':80}]}]}"},
    {"DeregisterTaskDefinition", "{'taskDefinition':'web:%d'}"},
    {"DeleteTaskDefinitions", "{'taskDefinitions':['web:%d']}"},
    {"CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':%d}"},
    {"CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':%d,"
                      "'launchType':'FARGATE','networkConfiguration':{'awsvpcConfiguration':{'subnets':['a']}},"
                      "'deploymentConfiguration':{'deploymentCircuitBreaker':{'enable':true,"
                      "'rollback':true}}}"},
    {"UpdateService", "{'cluster':'c','service':'s','desiredCount':%d}"},
    {"UpdateService", "{'cluster':'c','service':'s','taskDefinition':'web:%d'}"},
    {"UpdateService", "{'cluster':'c','service':'s','taskDefinition':'web','desiredCount':%d,"
                      "'networkConfiguration':{'awsvpcConfiguration':{'subnets':['a']}}}"},
    {"UpdateService", "{'cluster':'c','service':'s','desiredCount':%d,'forceNewDeployment':true}"},
    {"UpdateService", "{'cluster':'c','service':'s','desiredCount':%d,'rollbackDeployment':true}"},
    {"UpdateService", "{'cluster':'c','service':'s','deploymentConfiguration':{'maximumPercent':1%d0,"
                      "'minimumHealthyPercent':50}}"},
    {"DeleteService", "{'cluster':'c','service':'s','force':true}"},
    {"DeleteService", "{'cluster':'c','service':'s'}"},
    {"RunTask", "{'cluster':'c','taskDefinition':'web:%d','count':2}"},
    {"StopTask", "{'cluster':'c','task':'%s'}"},
    {"UpdateTaskProtection", "{'cluster':'c','tasks':['%s'],'protectionEnabled':true,'expiresInMinutes':3}"},
    {"UpdateTaskProtection", "{'cluster':'c','tasks':['%s'],'protectionEnabled':false}"},
    {"GetTaskProtection", "{'cluster':'c'}"},
    {"CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'web','schedulingStrategy':'DAEMON'}"},
    {"UpdateContainerInstancesState", "{'cluster':'c','containerInstances':['%s'],'status':'DRAINING'}"},
    {"UpdateContainerInstancesState", "{'cluster':'c','containerInstances':['%s'],'status':'ACTIVE'}"},
    {"StartTask", "{'cluster':'c','taskDefinition':'web','containerInstances':['%s']}"},
    {"UpdateService", "{'cluster':'c','service':'s','placementStrategy':[{'type':'random'}],"
                      "'desiredCount':%d}"},
    {"StopServiceDeployment", "{'serviceDeploymentArn':'%s'}"},
    {"StopServiceDeployment", "{'serviceDeploymentArn':'%s','stopType':'ABORT'}"},
    {"DescribeServices", "{'cluster':'c','services':['s'],'include':['TAGS']}"},
    {"DescribeServiceDeployments", "{'serviceDeploymentArns':['%s']}"},
    {"ListServiceDeployments", "{'cluster':'c','service':'s'}"},
    {"ListTasks", "{'cluster':'c'}"},
    {"TagResource", "{'resourceArn':'" WORLD_ARN "service/c/s','tags':[{'key':'k','value':'%d'}]}"},
};

/* A task for what is about tasks, the newest service deployment for the others. */
static const char *
monkey_arn(const struct world *w, const char *operation)
{
    const struct service *s = w->core->services;

    if (strcmp(operation, "StopTask") == 0 || strcmp(operation, "UpdateTaskProtection") == 0)
        return w->core->tasks != NULL ? w->core->tasks->arn : "none";
    return s != NULL && s->history != NULL ? s->history->arn : "none";
}

/* True if the request was taken. */
static bool
monkey_move(struct world *w, struct rng *dice)
{
    const size_t pick = rng_below(dice, ARRAY_COUNT(monkey_moves));
    const char *operation = monkey_moves[pick].operation;
    cleanup(strbuf_done) struct strbuf input = {0};
    int status;

    for (const char *p = monkey_moves[pick].input; *p != '\0'; p++) {
        if (strncmp(p, "%d", 2) == 0)
            strbuf_addf(&input, "%d", (int)rng_below(dice, 5)), p++;
        else if (strncmp(p, "%s", 2) == 0)
            strbuf_add_cstr(&input, monkey_arn(w, operation)), p++;
        else
            strbuf_add_char(&input, *p == '\'' ? '"' : *p);
    }
    status = world_try(w, operation, strbuf_cstr(&input));
    if (status != 200 && status != 400)
        check_fail(__FILE__, __LINE__, "%s %s: %d %s", operation, strbuf_cstr(&input), status, w->body);
    return status == 200;
}

TEST(no_order_of_requests_breaks_a_promise)
{
    int taken = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        cleanup(world_done) struct world w;
        struct rng dice;

        rng_seed(&dice, seed);
        world_prepare(&w);
        for (int step = 0; step < 150; step++) {
            taken += monkey_move(&w, &dice);
            if (rng_below(&dice, 10) == 0)
                w.tasks_crash = !w.tasks_crash;
            if (rng_below(&dice, 3) == 0)
                world_settle(&w);
            if (rng_below(&dice, 6) == 0)
                world_wait(&w, (int64_t)rng_below(&dice, 90000));
        }
    }
    CHECK(taken > 1000); /* of 3000: else they only knocked at the door */
}
