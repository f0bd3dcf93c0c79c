/* SPDX-License-Identifier: MIT */
/* What each operation refuses, by ECS's own error, and how its answers are cut into pages. */
#include "api_expect.h"


/* ---- errors ---- */

TEST(a_cluster_that_is_not_there_is_an_error_of_every_operation_in_one)
{
    static const struct {
        const char *operation, *members;
    } cases[] = {
        {"CreateService", "'serviceName':'s','taskDefinition':'web','desiredCount':1"},
        {"UpdateService", "'service':'s'"},
        {"DeleteService", "'service':'s'"},
        {"DescribeServices", "'services':['s']"},
        {"ListServices", "'maxResults':1"},
        {"ListServiceDeployments", "'service':'s'"},
        {"RunTask", "'taskDefinition':'web'"},
        {"StartTask", "'taskDefinition':'web','containerInstances':['i']"},
        {"StopTask", "'task':'t'"},
        {"DescribeTasks", "'tasks':['t']"},
        {"ListTasks", "'maxResults':1"},
        {"UpdateTaskProtection", "'tasks':['t'],'protectionEnabled':true"},
        {"GetTaskProtection", "'tasks':['t']"},
        {"DeleteCluster", "'include':[]"},
        {"UpdateCluster", "'settings':[]"},
        {"UpdateClusterSettings", "'settings':[{'name':'containerInsights','value':'enabled'}]"},
        {"PutClusterCapacityProviders",
         "'capacityProviders':[],'defaultCapacityProviderStrategy':[]"},
        {"DescribeCapacityProviders", "'maxResults':1"},
        {"DescribeContainerInstances", "'containerInstances':['i']"},
        {"ListContainerInstances", "'maxResults':1"},
        {"UpdateContainerInstancesState", "'containerInstances':['i'],'status':'DRAINING'"},
        {"PutAttributes", "'attributes':[{'name':'a','targetId':'i'}]"},
        {"DeleteAttributes", "'attributes':[{'name':'a','targetId':'i'}]"},
        {"ListAttributes", "'targetType':'container-instance'"},
    };
    cleanup(world_done) struct world w;
    char input[512];

    world_prepare(&w);
    world_call(&w, "CreateCluster", "{'clusterName':'gone'}");
    world_call(&w, "DeleteCluster", "{'cluster':'gone'}");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        snprintf(input, sizeof(input), "{'cluster':'never',%s}", cases[i].members);
        world_refuse(&w, cases[i].operation, input, "ClusterNotFoundException",
                     "Cluster not found.");
        snprintf(input, sizeof(input), "{'cluster':'gone',%s}", cases[i].members);
        world_refuse(&w, cases[i].operation, input, "ClusterNotFoundException",
                     "Cluster not found.");
    }
}

TEST(what_an_operation_can_not_take_is_refused_by_its_own_error)
{
    static const struct {
        const char *operation, *input, *type, *message;
    } cases[] = {
        {"DescribeServices", "{'cluster':'c','services':[]}", "InvalidParameterException",
         "Services cannot be empty."},
        {"DescribeServices",
         "{'cluster':'c','services':['1','2','3','4','5','6','7','8','9','10','11']}",
         "InvalidParameterException", "services can have at most 10 items."},
        {"DescribeTasks", "{'cluster':'c','tasks':[]}", "InvalidParameterException",
         "Tasks cannot be empty."},
        {"DescribeContainerInstances", "{'cluster':'c','containerInstances':[]}",
         "InvalidParameterException", "Container Instances cannot be empty."},
        {"DescribeServiceDeployments", "{'serviceDeploymentArns':[]}", "InvalidParameterException",
         "cannot be empty"},
        {"DescribeServiceDeployments", "{'serviceDeploymentArns':['']}",
         "InvalidParameterException", "Invalid identifier"},
        {"DescribeServiceRevisions", "{'serviceRevisionArns':[]}", "InvalidParameterException",
         "cannot be empty"},
        {"StopServiceDeployment", "{'serviceDeploymentArn':'a','stopType':'PAUSE'}",
         "InvalidParameterException", "Member must satisfy enum value set: [ABORT, ROLLBACK]"},
        {"StopServiceDeployment", "{'serviceDeploymentArn':'a'}",
         "ServiceDeploymentNotFoundException", "Service deployment not found."},
        {"ContinueServiceDeployment", "{'serviceDeploymentArn':'a','hookId':'h'}",
         "ServiceDeploymentNotFoundException", "Service deployment not found."},
        {"ListServiceDeployments", "{'cluster':'c','service':'s'}", "ServiceNotFoundException",
         "Service not found."},
        {"UpdateService", "{'cluster':'c','service':'s'}", "ServiceNotFoundException",
         "Service not found."},
        {"DeleteService", "{'cluster':'c','service':'s'}", "ServiceNotFoundException",
         "Service not found."},
        {"ListTasks", "{'cluster':'c','serviceName':'s'}", "ServiceNotFoundException",
         "Service not found."},
        {"ListTasks", "{'cluster':'c','daemonName':'d'}", "UnsupportedFeatureException",
         "daemonName"},
        {"StopTask", "{'cluster':'c','task':'t'}", "InvalidParameterException",
         "The referenced task was not found."},
        {"CreateService",
         "{'cluster':'c','serviceName':'s','taskDefinition':'none','desiredCount':1}",
         "ClientException", "TaskDefinition not found."},
        {"RunTask", "{'cluster':'c','taskDefinition':'none'}", "ClientException",
         "TaskDefinition not found."},
        {"RunTask", "{'cluster':'c','taskDefinition':'web','propagateTags':'SERVICE'}",
         "InvalidParameterException", "propagateTags SERVICE"},
        {"ListTaskDefinitionFamilies", "{'maxResults':0}", "ClientException", "maxResults"},
        {"DeregisterTaskDefinition", "{'taskDefinition':'web'}", "ClientException",
         "Revision is missing."},
        {"UpdateCapacityProvider", "{'name':'x','cluster':'c'}", "UnsupportedFeatureException",
         "cluster"},
        {"UpdateCapacityProvider", "{'name':'x','managedInstancesProvider':{}}",
         "UnsupportedFeatureException", "managedInstancesProvider"},
        {"UpdateCapacityProvider",
         "{'name':'x','autoScalingGroupProvider':{'managedTerminationProtection':'ENABLED'}}",
         "UnsupportedFeatureException", "managedTerminationProtection"},
        {"UpdateCapacityProvider",
         "{'name':'x','autoScalingGroupProvider':{'managedScaling':{'status':'ENABLED',"
         "'targetCapacity':100,'minimumScalingStepSize':1,'maximumScalingStepSize':100,"
         "'instanceWarmupPeriod':300}}}",
         "UnsupportedFeatureException", "managedScaling"},
        {"DeleteAttributes", "{'cluster':'c','attributes':[{'name':'a'}]}",
         "InvalidParameterException", "targetId"},
    };
    cleanup(world_done) struct world w;

    world_prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        world_refuse(&w, cases[i].operation, cases[i].input, cases[i].type, cases[i].message);
}

TEST(a_cluster_with_tasks_or_services_is_not_deleted)
{
    cleanup(world_done) struct world w;

    world_prepare(&w);
    world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web'}");
    world_refuse(&w, "DeleteCluster", "{'cluster':'c'}", "ClusterContainsTasksException",
                 "The Cluster cannot be deleted while Tasks are active.");
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':0}");
    world_refuse(&w, "DeleteCluster", "{'cluster':'c'}", "ClusterContainsServicesException",
                 "The Cluster cannot be deleted while Services are active.");
    world_call(&w, "DescribeClusters", "{'clusters':['c','d']}");
    world_expects(&w,
                  "{'clusters':[{'clusterName':'c','activeServicesCount':1,'pendingTasksCount':1}],"
                  "'failures':[{'arn':'" WORLD_ARN "cluster/d','reason':'MISSING'}]}");
}

TEST(tags_are_refused_by_what_is_wrong_with_them)
{
    static const struct {
        const char *arn, *tag_type, *list_type, *message;
    } cases[] = {
        {"c", "InvalidParameterException", "InvalidParameterException",
         "The ARN provided is invalid."},
        {WORLD_ARN "service/s", "InvalidParameterException", "InvalidParameterException",
         "Long arn format must be used for tagging operations"},
        {WORLD_ARN "cluster/d", "ResourceNotFoundException", "InvalidParameterException",
         "could not be found"},
        {"arn:aws:ecs:us-east-1:000000000000:cluster/c", "ResourceNotFoundException",
         "InvalidParameterException", "could not be found"},
        {WORLD_ARN "daemon/c/d", "UnsupportedFeatureException", "UnsupportedFeatureException",
         "not built"},
    };
    cleanup(world_done) struct world w;
    char input[8192];
    size_t n;

    world_prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        snprintf(input, sizeof(input), "{'resourceArn':'%s','tags':[{'key':'k','value':'v'}]}",
                 cases[i].arn);
        world_refuse(&w, "TagResource", input, cases[i].tag_type, cases[i].message);
        snprintf(input, sizeof(input), "{'resourceArn':'%s','tagKeys':['k']}", cases[i].arn);
        world_refuse(&w, "UntagResource", input, cases[i].tag_type, cases[i].message);
        snprintf(input, sizeof(input), "{'resourceArn':'%s'}", cases[i].arn);
        world_refuse(&w, "ListTagsForResource", input, cases[i].list_type, cases[i].message);
    }
    n = (size_t)snprintf(input, sizeof(input), "{'resourceArn':'" WORLD_ARN "cluster/c','tags':[");
    for (int i = 0; i < 50; i++)
        n += (size_t)snprintf(input + n, sizeof(input) - n, "%s{'key':'k%d','value':''}",
                              i > 0 ? "," : "", i);
    world_call(&w, "TagResource", "%s]}", input);
    world_expects(&w, "{}");
    world_refuse(&w, "TagResource",
                 "{'resourceArn':'" WORLD_ARN "cluster/c','tags':[{'key':'more','value':'v'}]}",
                 "LimitExceededException", "at most 50 tags");
    world_call(&w, "TagResource",
               "{'resourceArn':'" WORLD_ARN "cluster/c','tags':[{'key':'k7','value':'new'}]}");
    world_refuse(&w, "TagResource",
                 "{'resourceArn':'" WORLD_ARN "cluster/c','tags':[{'key':'aws:x','value':'v'}]}",
                 "InvalidParameterException", "aws:");
    world_call(&w, "UntagResource",
               "{'resourceArn':'" WORLD_ARN "cluster/c','tagKeys':['k0','never']}");
    world_call(&w, "ListTagsForResource", "{'resourceArn':'" WORLD_ARN "cluster/c'}");
    CHECK_EQ(json_size(json_get(w.answer, "tags")), 49);
}

TEST(an_arn_of_another_cluster_is_not_looked_for_in_this_one)
{
    static const struct {
        const char *operation, *members;
    } cases[] = {
        {"DescribeTasks", "'tasks':['" WORLD_ARN "task/d/t']"},
        {"StopTask", "'task':'" WORLD_ARN "task/d/t'"},
        {"UpdateTaskProtection", "'tasks':['" WORLD_ARN "task/d/t'],'protectionEnabled':true"},
        {"GetTaskProtection", "'tasks':['" WORLD_ARN "task/d/t']"},
        {"DescribeServices", "'services':['s','" WORLD_ARN "service/d/s']"},
        {"UpdateService", "'service':'" WORLD_ARN "service/d/s'"},
        {"DeleteService", "'service':'" WORLD_ARN "service/d/s'"},
        {"ListTasks", "'serviceName':'" WORLD_ARN "service/d/s'"},
        {"ListServiceDeployments", "'service':'" WORLD_ARN "service/d/s'"},
        {"DescribeContainerInstances",
         "'containerInstances':['" WORLD_ARN "container-instance/d/i']"},
        {"UpdateContainerInstancesState",
         "'containerInstances':['" WORLD_ARN "container-instance/d/i'],'status':'ACTIVE'"},
        {"StartTask",
         "'taskDefinition':'web','containerInstances':['" WORLD_ARN "container-instance/d/i']"},
    };
    cleanup(world_done) struct world w;
    char input[512];

    world_prepare(&w);
    world_call(&w, "CreateCluster", "{'clusterName':'d'}");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        snprintf(input, sizeof(input), "{'cluster':'c',%s}", cases[i].members);
        world_refuse(&w, cases[i].operation, input, "InvalidParameterException",
                     "Identifier is for cluster d. Your cluster is c");
    }
    world_call(&w, "DescribeServices", "{'cluster':'c','services':['" WORLD_ARN "service/c/s']}");
    world_expects(&w, "{'failures':[{'arn':'" WORLD_ARN "service/c/s','reason':'MISSING'}]}");
}

TEST(the_texts_that_deploy_tools_look_for)
{
#define NEW(rest) "{'cluster':'c','serviceName':'t','taskDefinition':" rest "}"
    static const struct {
        const char *operation, *input, *type, *message;
    } cases[] = {
        {"CreateService", NEW("'vpc','desiredCount':1"), "InvalidParameterException",
         "Network Configuration must be provided when networkMode 'awsvpc' is specified."},
        {"CreateService",
         NEW("'web','desiredCount':1,'networkConfiguration':{'awsvpcConfiguration':{'subnets':['s']"
             "}}"),
         "InvalidParameterException",
         "Network Configuration is not valid for the given networkMode of this task definition."},
        {"CreateService", NEW("'web','desiredCount':1,'schedulingStrategy':'DAEMON'"),
         "InvalidParameterException",
         "The daemon scheduling strategy does not support a desired count for services. Remove the "
         "desired count value and try again."},
        {"CreateService",
         NEW("'web','desiredCount':1,'launchType':'EC2',"
             "'capacityProviderStrategy':[{'capacityProvider':'FARGATE','weight':1}]"),
         "InvalidParameterException",
         "Specifying both a launch type and capacity provider strategy is not supported. Remove "
         "one "
         "and try again."},
        {"CreateService",
         NEW("'web','desiredCount':1,'capacityProviderStrategy':[{'capacityProvider':'FARGATE'}]"),
         "InvalidParameterException",
         "The specified capacity provider strategy cannot contain a capacity provider that is not "
         "associated with the cluster."},
        {"CreateService",
         NEW("'web','desiredCount':1,'deploymentConfiguration':{'maximumPercent':100,"
             "'minimumHealthyPercent':100}"),
         "InvalidParameterException",
         "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block "
         "deployments."},
        {"CreateService", NEW("'web','desiredCount':1,'launchType':'FARGATE'"),
         "InvalidParameterException", "Task definition does not support launch_type FARGATE."},
        {"CreateService",
         NEW("'web','desiredCount':1,'loadBalancers':[{'loadBalancerName':'classic',"
             "'containerName':'app','containerPort':80,"
             "'advancedConfiguration':{'alternateTargetGroupArn':'a'}}]"),
         "InvalidParameterException",
         "advancedConfiguration field is not allowed with ELBv1 loadBalancers"},
        {"CreateService", NEW("'gone:1','desiredCount':1"), "ClientException",
         "TaskDefinition is inactive"},
        {"RunTask",
         "{'cluster':'c','taskDefinition':'web','overrides':{'containerOverrides':[{'name':'b'}]}}",
         "InvalidParameterException",
         "Override for container named b is not a container in the TaskDefinition."},
        {"DeleteService", "{'cluster':'c','service':'s'}", "InvalidParameterException",
         "The service cannot be stopped while it is scaled above 0."},
        {"DeleteTaskDefinitions", "{'taskDefinitions':[]}", "InvalidParameterException",
         "size of TaskDefinition references list must be greater than 0"},
        {"DeleteTaskDefinitions",
         "{'taskDefinitions':['1','2','3','4','5','6','7','8','9','10','11']}",
         "InvalidParameterException", "Size of TaskDefinition references list cannot exceed 10"},
        {"RegisterTaskDefinition",
         "{'family':'f','requiresCompatibilities':['FARGATE'],'networkMode':'awsvpc','cpu':'256',"
         "'memory':'512','pidMode':'host','containerDefinitions':[{'name':'a','image':'i'}]}",
         "ClientException",
         "Tasks using the Fargate launch type do not support pidMode 'host'. The supported value "
         "for "
         "pidMode is 'task'."},
        {"RegisterTaskDefinition",
         "{'family':'f','requiresCompatibilities':['FARGATE'],'networkMode':'awsvpc','cpu':'256',"
         "'memory':'512','containerDefinitions':[{'name':'a','image':'i','logConfiguration':{"
         "'logDriver':'awslogs','options':{'awslogs-group':'g','awslogs-region':'r'}}}]}",
         "ClientException",
         "Fargate requires task definition to have execution role ARN to support log driver "
         "awslogs."},
    };
    cleanup(world_done) struct world w;
    char task[NAME_SIZE];

    world_prepare(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'vpc','networkMode':'awsvpc','containerDefinitions':[{'name':'app',"
               "'image':'i','memory':16}]}");
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'gone','containerDefinitions':[{'name':'app','image':'i','memory':16}]}");
    world_call(&w, "DeregisterTaskDefinition", "{'taskDefinition':'gone:1'}");
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1}");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        world_refuse(&w, cases[i].operation, cases[i].input, cases[i].type, cases[i].message);
    world_wait(&w, 60000);
    snprintf(task, sizeof(task), "%s", w.core->services->live->id);
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true}", task);
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','desiredCount':0}");
    world_refuse(&w, "DeleteService", "{'cluster':'c','service':'s'}", "InvalidParameterException",
                 "The service cannot be stopped while the primary deployment is scaled above 0.");
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','forceNewDeployment':true}");
    world_refuse(&w, "DeleteService", "{'cluster':'c','service':'s'}", "InvalidParameterException",
                 "The service cannot be stopped while deployments are active.");
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':false}", task);
    world_wait(&w, 60000);
    world_call(&w, "DeleteService", "{'cluster':'c','service':'s'}");
    world_expects(&w, "{'service':{'status':'INACTIVE'}}");
    world_refuse(&w, "UpdateService", "{'cluster':'c','service':'s'}", "ServiceNotActiveException",
                 "Service was not ACTIVE.");
}

/* ---- pages ---- */

struct paged {
    const char *operation, *members, *list;
    int page; /* of a call without maxResults */
    int most; /* maxResults can be that */
    int total;
    const char *invalid; /* the error of a maxResults out of range */
};

/* Reads all of it in pages of `size` (0: what the operation gives), and checks that nothing comes
 * twice. */
static void
read_pages(struct world *w, const struct paged *p, int size)
{
    cleanup_json struct json *seen = json_object();
    char input[1024], token[600] = "";
    int total = 0, pages = 0;

    do {
        char limit[32] = "", next[640] = "";
        int count;

        if (size > 0)
            snprintf(limit, sizeof(limit), "'maxResults':%d,", size);
        if (token[0] != '\0')
            snprintf(next, sizeof(next), "'nextToken':'%s',", token);
        snprintf(input, sizeof(input), "{%s%s%s}", limit, next, p->members);
        world_call(w, p->operation, "%s", input);
        count = (int)json_size(json_get(w->answer, p->list));
        for (int i = 0; i < count; i++) {
            char *text = json_format(json_at(json_get(w->answer, p->list), (size_t)i));
            if (json_get(seen, text) != NULL)
                check_fail(__FILE__, __LINE__, "%s gives %s twice", p->operation, text);
            json_set(seen, text, json_bool(true));
            free(text);
        }
        if (count > (size > 0 ? size : p->page))
            check_fail(__FILE__, __LINE__, "%s gives a page of %d", p->operation, count);
        total += count;
        snprintf(token, sizeof(token), "%s", json_get_cstr(w->answer, "nextToken", ""));
        world_record("=", token[0] != '\0' ? "{\"nextToken\":\"*\"}" : "{}", "");
        if (pages++ > 1000 || (count == 0 && token[0] != '\0'))
            check_fail(__FILE__, __LINE__, "%s never ends", p->operation);
    } while (token[0] != '\0');
    if (total != p->total)
        check_fail(__FILE__, __LINE__, "%s by %d: %d of %d", p->operation, size, total, p->total);
    CHECK_EQ(pages, (p->total + (size > 0 ? size : p->page) - 1) / (size > 0 ? size : p->page));
}

static void
fill(struct world *w)
{
    world_prepare(w);
    for (int i = 0; i < 109; i++) {
        world_call(w, "CreateCluster", "{'clusterName':'c%d'}", i);
        world_call(w, "RegisterTaskDefinition",
                   "{'family':'f%d','containerDefinitions':[{'name':'a','image':'i','memory':9}]}",
                   i);
    }
    for (int i = 0; i < 12; i++)
        world_call(w, "CreateService",
                   "{'cluster':'c','serviceName':'s%d','taskDefinition':'web','desiredCount':0}",
                   i);
    for (int i = 0; i < 11; i++)
        world_call(w, "RunTask", "{'cluster':'c','taskDefinition':'web','count':10}");
    for (int i = 0; i < 24; i++) {
        world_call(w, "UpdateService", "{'cluster':'c','service':'s0','forceNewDeployment':true}");
        world_wait(w, 1000);
    }
    for (int i = 0; i < 10; i++)
        world_call(w, "CreateCapacityProvider",
                   "{'name':'p%d','autoScalingGroupProvider':{'autoScalingGroupArn':'g%d'}}", i, i);
    for (int i = 0; i < 9; i++)
        world_call(w, "PutAttributes",
                   "{'cluster':'c','attributes':[{'name':'a%d','targetType':'container-instance',"
                   "'targetId':'%s'}]}",
                   i, w->core->clusters->instances->arn);
}

TEST(every_list_comes_in_pages_that_lose_and_repeat_nothing)
{
    cleanup(world_done) struct world w;
    char attributes[64] = "'cluster':'c','targetType':'container-instance'", input[1024];

    fill(&w);
    world_call(&w, "ListAttributes", "{%s}", attributes);
    const struct paged lists[] = {
        {"ListClusters", "'x':1", "clusterArns", 100, 100, 110, "InvalidParameterException"},
        {"ListTaskDefinitions", "'x':1", "taskDefinitionArns", 100, 100, 110, "ClientException"},
        {"ListTaskDefinitions", "'sort':'DESC'", "taskDefinitionArns", 100, 100, 110,
         "ClientException"},
        {"ListTaskDefinitionFamilies", "'status':'ALL'", "families", 100, 100, 110,
         "ClientException"},
        {"ListServices", "'cluster':'c'", "serviceArns", 10, 100, 12, "InvalidParameterException"},
        {"ListServices", "'cluster':'c','launchType':'EC2','resourceManagementType':'CUSTOMER'",
         "serviceArns", 10, 100, 12, "InvalidParameterException"},
        {"ListServices", "'cluster':'c','resourceManagementType':'ECS'", "serviceArns", 10, 100, 0,
         "InvalidParameterException"},
        {"ListServices", "'cluster':'c','launchType':'FARGATE'", "serviceArns", 10, 100, 0,
         "InvalidParameterException"},
        {"ListTasks", "'cluster':'c'", "taskArns", 100, 100, 110, "InvalidParameterException"},
        {"ListServiceDeployments", "'cluster':'c','service':'s0'", "serviceDeployments", 20, 100,
         25, "InvalidParameterException"},
        {"ListAccountSettings", "'effectiveSettings':true", "settings", 10, 10, 11,
         "InvalidParameterException"},
        {"DescribeCapacityProviders", "'include':['TAGS']", "capacityProviders", 10, 10, 12,
         "InvalidParameterException"},
        {"ListContainerInstances", "'cluster':'c'", "containerInstanceArns", 100, 100, 1,
         "InvalidParameterException"},
        {"ListAttributes", attributes, "attributes", 100, 100,
         (int)json_size(json_get(w.answer, "attributes")), "InvalidParameterException"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        const struct paged *p = &lists[i];

        if (p->total > 0) {
            read_pages(&w, p, 0);
            read_pages(&w, p, 1);
            read_pages(&w, p, 7);
            read_pages(&w, p, p->most);
        } else {
            world_call(&w, p->operation, "{%s}", p->members);
            CHECK_EQ(json_size(json_get(w.answer, p->list)), 0);
        }
        snprintf(input, sizeof(input), "{'maxResults':0,%s}", p->members);
        world_refuse(&w, p->operation, input, p->invalid, "maxResults");
        snprintf(input, sizeof(input), "{'maxResults':%d,%s}", p->most + 1, p->members);
        world_refuse(&w, p->operation, input, p->invalid, "maxResults");
        snprintf(input, sizeof(input), "{'nextToken':'nonsense',%s}", p->members);
        world_refuse(&w, p->operation, input, "InvalidParameterException", "Invalid token.");
    }
    world_refuse(&w, "ListServicesByNamespace", "{'namespace':'n','maxResults':1,'nextToken':'x'}",
                 "NamespaceNotFoundException", "namespace 'n' was not found");
}
