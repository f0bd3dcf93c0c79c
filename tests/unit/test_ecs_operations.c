/* SPDX-License-Identifier: MIT */
/* Operations beside the deployments themselves: task protection, settings, definitions that go. */
#include "api_world.h"

static size_t
count(const struct world *w, const char *key)
{
    return json_size(json_get(w->answer, key));
}

static int64_t
seconds_at(const struct json *o, const char *key)
{
    return (int64_t)json_f64(json_get(o, key), -1);
}

/* ---- task protection ---- */

static const char *
service_task(struct world *w, int at)
{
    const struct task *t = w->core->services->live;

    for (int i = 0; i < at; i++)
        t = t->next_live;
    return t->id;
}

static void
prepare_service(struct world *w)
{
    world_prepare(w);
    world_call(w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':2}");
    world_wait(w, 60000);
}

TEST(a_task_of_a_service_is_protected_until_its_date)
{
    cleanup(world_done) struct world w;
    int64_t from_ms;

    prepare_service(&w);
    from_ms = w.now_ms;
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true}", service_task(&w, 0));
    CHECK_EQ(count(&w, "failures"), 0);
    CHECK_TEXT(text_at(world_item(&w, "protectedTasks", 0), "taskArn"), w.core->services->live->arn);
    CHECK(json_get_bool(world_item(&w, "protectedTasks", 0), "protectionEnabled", false));
    /* two hours, if nothing is said; seconds since the epoch */
    CHECK_EQ(seconds_at(world_item(&w, "protectedTasks", 0), "expirationDate"),
             (from_ms + 7200001) / 1000);
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true,'expiresInMinutes':2880}",
               w.core->services->live->arn);
    CHECK_EQ(seconds_at(world_item(&w, "protectedTasks", 0), "expirationDate"),
             (w.now_ms + 2880LL * 60000) / 1000);
    world_call(&w, "GetTaskProtection", "{'cluster':'c'}");
    CHECK_EQ(count(&w, "protectedTasks"), 1);
    world_call(&w, "GetTaskProtection", "{'cluster':'c','tasks':['%s','%s']}", service_task(&w, 0),
               service_task(&w, 1));
    CHECK_EQ(count(&w, "protectedTasks"), 2);
    CHECK(!json_get_bool(world_item(&w, "protectedTasks", 1), "protectionEnabled", true));
    CHECK(json_get(world_item(&w, "protectedTasks", 1), "expirationDate") == NULL);
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true,'expiresInMinutes':1}",
               service_task(&w, 0));
    world_wait(&w, 60001);
    world_call(&w, "GetTaskProtection", "{'cluster':'c'}");
    CHECK_EQ(count(&w, "protectedTasks"), 0);
}

TEST(a_protected_task_outlives_a_scale_in)
{
    cleanup(world_done) struct world w;
    cleanup_free char *id = NULL;

    prepare_service(&w);
    id = text_dup(service_task(&w, 1));
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true,'expiresInMinutes':10}", id);
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','desiredCount':0}");
    world_wait(&w, 5 * 60000);
    CHECK_EQ(core_counts(w.core, w.core->services, NULL).running, 1);
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true}", id);
    CHECK_EQ(count(&w, "protectedTasks"), 0);
    CHECK_TEXT(text_at(world_item(&w, "failures", 0), "reason"), "DEPLOYMENT_BLOCKED");
    CHECK(json_get(world_item(&w, "failures", 0), "detail") != NULL);
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':false}", id);
    CHECK(!json_get_bool(world_item(&w, "protectedTasks", 0), "protectionEnabled", true));
    world_wait(&w, 60000);
    CHECK_EQ(core_counts(w.core, w.core->services, NULL).running, 0);
}

TEST(protection_names_what_it_cannot_protect)
{
    cleanup(world_done) struct world w;
    cleanup_free char *alone = NULL;

    prepare_service(&w);
    alone = text_dup(text_at(
        json_at(
            json_get(world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web'}"), "tasks"),
            0),
        "taskArn"));
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s','gone','%s'],'protectionEnabled':true}", alone,
               service_task(&w, 0));
    CHECK_EQ(count(&w, "protectedTasks"), 1);
    CHECK_TEXT(text_at(world_item(&w, "failures", 0), "arn"), alone);
    CHECK_TEXT(text_at(world_item(&w, "failures", 0), "reason"), "TASK_NOT_VALID");
    CHECK_TEXT(text_at(world_item(&w, "failures", 1), "arn"), WORLD_ARN "task/c/gone");
    CHECK_TEXT(text_at(world_item(&w, "failures", 1), "reason"), "MISSING");
    world_call(&w, "GetTaskProtection", "{'cluster':'c','tasks':['%s','gone']}", alone);
    CHECK_TEXT(text_at(world_item(&w, "failures", 0), "reason"), "TASK_NOT_VALID");
    CHECK_TEXT(text_at(world_item(&w, "failures", 1), "reason"), "MISSING");
    CHECK_EQ(count(&w, "protectedTasks"), 0);
    world_call(&w, "StopTask", "{'cluster':'c','task':'%s'}", service_task(&w, 0));
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true}",
               text_at(json_get(w.answer, "task"), "taskArn"));
    CHECK_TEXT(text_at(world_item(&w, "failures", 0), "reason"), "TASK_NOT_VALID");
}

TEST(bad_protection_requests_are_refused)
{
    cleanup(world_done) struct world w;
    cleanup(strbuf_done) struct strbuf many = {0};

    prepare_service(&w);
    world_refuse(&w, "UpdateTaskProtection",
                 "{'cluster':'x','tasks':['t'],'protectionEnabled':true}",
                 "ClusterNotFoundException", "Cluster not found.");
    world_refuse(&w, "GetTaskProtection", "{'cluster':'x'}", "ClusterNotFoundException",
                 "Cluster not found.");
    world_refuse(&w, "UpdateTaskProtection", "{'tasks':['t'],'protectionEnabled':true}",
                 "InvalidParameterException", "'cluster'");
    world_refuse(&w, "GetTaskProtection", "{}", "InvalidParameterException", "'cluster'");
    world_refuse(&w, "UpdateTaskProtection", "{'cluster':'c','tasks':['t']}",
                 "InvalidParameterException", "'protectionEnabled'");
    world_refuse(&w, "UpdateTaskProtection", "{'cluster':'c','tasks':[],'protectionEnabled':true}",
                 "InvalidParameterException", "Tasks cannot be empty.");
    world_refuse(&w, "UpdateTaskProtection",
                 "{'cluster':'c','tasks':['t'],'protectionEnabled':true,'expiresInMinutes':0}",
                 "InvalidParameterException", "greater than or equal to 1");
    world_refuse(&w, "UpdateTaskProtection",
                 "{'cluster':'c','tasks':['t'],'protectionEnabled':true,'expiresInMinutes':2881}",
                 "InvalidParameterException", "less than or equal to 2880");
    world_refuse(&w, "UpdateTaskProtection",
                 "{'cluster':'c','tasks':['t'],'protectionEnabled':false,'expiresInMinutes':5}",
                 "InvalidParameterException", "only be given with protectionEnabled true");
    strbuf_add_cstr(&many, "{'cluster':'c','protectionEnabled':true,'tasks':['t'");
    for (int i = 0; i < 10; i++)
        strbuf_add_cstr(&many, ",'t'");
    strbuf_add_cstr(&many, "]}");
    world_refuse(&w, "UpdateTaskProtection", strbuf_cstr(&many), "InvalidParameterException",
                 "at most 10 items");
    strbuf_clear(&many);
    strbuf_add_cstr(&many, "{'cluster':'c','tasks':['t'");
    for (int i = 0; i < 100; i++)
        strbuf_add_cstr(&many, ",'t'");
    strbuf_add_cstr(&many, "]}");
    world_refuse(&w, "GetTaskProtection", strbuf_cstr(&many), "InvalidParameterException",
                 "at most 100 items");
}

/* ---- clusters ---- */

#define DESCRIBE(include) \
    world_call(&w, "DescribeClusters", "{'clusters':['c'],'include':[" include "]}")

TEST(a_cluster_shows_what_is_asked_for)
{
    cleanup(world_done) struct world w;
    const struct json *c;

    world_init(&w);
    world_call(&w, "CreateCluster",
               "{'clusterName':'c','tags':[{'key':'k','value':'v'}],"
               "'configuration':{'managedStorageConfiguration':{'kmsKeyId':'key'}},"
               "'capacityProviders':['FARGATE'],'serviceConnectDefaults':{'namespace':''}}");
    DESCRIBE("");
    c = world_item(&w, "clusters", 0);
    CHECK_EQ(json_size(json_get(c, "tags")), 0);
    CHECK_EQ(json_size(json_get(c, "settings")), 0);
    CHECK_EQ(json_size(json_get(c, "statistics")), 0);
    CHECK(json_get(c, "configuration") == NULL && json_get(c, "attachments") == NULL);
    CHECK_EQ(json_size(json_get(c, "capacityProviders")), 1);
    DESCRIBE("'ATTACHMENTS'");
    c = world_item(&w, "clusters", 0);
    CHECK_EQ(json_type(json_get(c, "attachments")), JSON_ARRAY);
    CHECK_EQ(json_size(json_get(c, "tags")), 0);
    DESCRIBE("'CONFIGURATIONS'");
    c = json_get(world_item(&w, "clusters", 0), "configuration");
    CHECK_TEXT(text_at(json_get(c, "managedStorageConfiguration"), "kmsKeyId"), "key");
    DESCRIBE("'SETTINGS'");
    c = json_at(json_get(world_item(&w, "clusters", 0), "settings"), 0);
    CHECK_TEXT(text_at(c, "name"), "containerInsights");
    CHECK_TEXT(text_at(c, "value"), "disabled");
    DESCRIBE("'TAGS'");
    CHECK_TEXT(text_at(json_at(json_get(world_item(&w, "clusters", 0), "tags"), 0), "value"), "v");
    world_refuse(&w, "DescribeClusters", "{'include':['EVERYTHING']}", "InvalidParameterException",
                 "ATTACHMENTS, CONFIGURATIONS, SETTINGS, STATISTICS, TAGS");
}

/* Of the eight of ecs.md 2.2, in that order. */
static const char *
statistic(const struct world *w, const char *name)
{
    const struct json *list = json_get(world_item(w, "clusters", 0), "statistics");

    for (size_t i = 0; i < json_size(list); i++) {
        if (strcmp(text_at(json_at(list, i), "name"), name) == 0)
            return text_at(json_at(list, i), "value");
    }
    return "(none)";
}

static void
query(struct world *w, const char *form)
{
    if (world_send(w, "elasticloadbalancing", "application/x-www-form-urlencoded", NULL, form) !=
        200)
        check_fail(__FILE__, __LINE__, "%s: %s", form, w->body);
}

/* A target group behind a listener; gives its ARN. */
static const char *
prepare_target_group(struct world *w)
{
    char form[2048];

    query(w, "Action=CreateLoadBalancer&Version=2015-12-01&Name=lb&Subnets.member.1=subnet-a"
             "&Subnets.member.2=subnet-b");
    query(w, "Action=CreateTargetGroup&Version=2015-12-01&Name=tg&Protocol=HTTP&Port=80"
             "&VpcId=vpc-1&TargetType=instance");
    snprintf(form, sizeof(form),
             "Action=CreateListener&Version=2015-12-01&LoadBalancerArn=%s&Protocol=HTTP&Port=8080"
             "&DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn=%s",
             w->core->load_balancers->arn, w->core->target_groups->arn);
    query(w, form);
    return w->core->target_groups->arn;
}

TEST(the_statistics_of_a_cluster_tell_launch_types_apart)
{
    cleanup(world_done) struct world w;

    prepare_service(&w);
    world_call(
        &w, "RegisterTaskDefinition",
        "{'family':'far','networkMode':'awsvpc','cpu':'256','memory':'512',"
        "'requiresCompatibilities':['FARGATE'],'containerDefinitions':[{'name':'a','image':'i'}]}");
    world_call(&w, "RunTask",
               "{'cluster':'c','taskDefinition':'far','launchType':'FARGATE','count':3,"
               "'networkConfiguration':{'awsvpcConfiguration':{'subnets':['s']}}}");
    world_settle(&w);
    world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web'}");
    world_call(
        &w, "CreateService",
        "{'cluster':'c','serviceName':'f','taskDefinition':'far','launchType':'FARGATE',"
        "'desiredCount':0,'networkConfiguration':{'awsvpcConfiguration':{'subnets':['s']}}}");
    DESCRIBE("'STATISTICS'");
    CHECK_TEXT(statistic(&w, "runningEC2TasksCount"), "2");
    CHECK_TEXT(statistic(&w, "RunningFargateTasksCount"), "3");
    CHECK_TEXT(statistic(&w, "pendingEC2TasksCount"), "1");
    CHECK_TEXT(statistic(&w, "pendingFargateTasksCount"), "0");
    CHECK_TEXT(statistic(&w, "activeEC2ServiceCount"), "1");
    CHECK_TEXT(statistic(&w, "activeFargateServiceCount"), "1");
    CHECK_TEXT(statistic(&w, "drainingEC2ServiceCount"), "0");
    CHECK_TEXT(statistic(&w, "drainingFargateServiceCount"), "0");
    CHECK_EQ(json_size(json_get(world_item(&w, "clusters", 0), "statistics")), 8);
    world_call(
        &w, "CreateService",
        "{'cluster':'c','serviceName':'l','taskDefinition':'web','desiredCount':1,"
        "'loadBalancers':[{'targetGroupArn':'%s','containerName':'app','containerPort':80}]}",
        prepare_target_group(&w));
    world_settle(&w);
    w.drains_hang = true;
    world_call(&w, "DeleteService", "{'cluster':'c','service':'l','force':true}");
    DESCRIBE("'STATISTICS'");
    CHECK_TEXT(statistic(&w, "activeEC2ServiceCount"), "1");
    CHECK_TEXT(statistic(&w, "drainingEC2ServiceCount"), "1");
}

TEST(a_cluster_is_updated_member_by_member)
{
    cleanup(world_done) struct world w;
    const struct json *c;

    world_init(&w);
    world_call(&w, "CreateCluster", "{'clusterName':'c','capacityProviders':['FARGATE']}");
    world_call(
        &w, "UpdateCluster",
        "{'cluster':'c','configuration':{'executeCommandConfiguration':{'logging':'OVERRIDE',"
        "'logConfiguration':{'s3BucketName':'b'}}}}");
    c = json_get(w.answer, "cluster");
    CHECK_TEXT(
        text_at(json_get(json_get(c, "configuration"), "executeCommandConfiguration"), "logging"),
        "OVERRIDE");
    CHECK_TEXT(text_at(json_at(json_get(c, "settings"), 0), "value"), "disabled"); /* kept */
    world_call(&w, "UpdateCluster",
               "{'cluster':'" WORLD_ARN "cluster/c','settings':[{'name':'containerInsights',"
               "'value':'enhanced'}],'serviceConnectDefaults':{'namespace':''}}");
    c = json_get(w.answer, "cluster");
    CHECK_TEXT(text_at(json_at(json_get(c, "settings"), 0), "value"), "enhanced");
    CHECK(json_get(c, "configuration") != NULL);
    CHECK_EQ(json_size(json_get(c, "capacityProviders")), 1);
    world_call(&w, "UpdateClusterSettings",
               "{'cluster':'c','settings':[{'name':'containerInsights','value':'enabled'}]}");
    c = json_get(w.answer, "cluster");
    CHECK_TEXT(text_at(json_at(json_get(c, "settings"), 0), "value"), "enabled");
    world_call(&w, "UpdateCluster", "{'cluster':'c'}");
    DESCRIBE("'SETTINGS','CONFIGURATIONS'");
    c = world_item(&w, "clusters", 0);
    CHECK_TEXT(text_at(json_at(json_get(c, "settings"), 0), "value"), "enabled");
    CHECK(json_get(c, "configuration") != NULL);
}

TEST(a_bad_update_of_a_cluster_is_refused)
{
    static const struct {
        const char *operation, *input, *type, *message;
    } cases[] = {
        {"UpdateCluster", "{}", "InvalidParameterException", "'cluster'"},
        {"UpdateCluster", "{'cluster':'x'}", "ClusterNotFoundException", "Cluster not found."},
        {"UpdateCluster",
         "{'cluster':'c','settings':[{'name':'containerInsights','value':'a lot'}]}",
         "InvalidParameterException", "enhanced, enabled or disabled"},
        {"UpdateCluster", "{'cluster':'c','settings':[{'name':'other','value':'enabled'}]}",
         "InvalidParameterException", "containerInsights"},
        {"UpdateCluster", "{'cluster':'c','settings':[{'value':'enabled'}]}",
         "InvalidParameterException", "Cluster setting name must not be empty."},
        {"UpdateCluster",
         "{'cluster':'c','configuration':{'executeCommandConfiguration':{'logging':'OVERRIDE'}}}",
         "InvalidParameterException", "logging OVERRIDE needs a logConfiguration"},
        {"UpdateCluster",
         "{'cluster':'c','configuration':{'executeCommandConfiguration':{'logging':'LOUD'}}}",
         "InvalidParameterException", "NONE, DEFAULT, OVERRIDE"},
        {"UpdateCluster", "{'cluster':'c','serviceConnectDefaults':{'namespace':'n'}}",
         "UnsupportedFeatureException", "serviceConnectDefaults"},
        {"CreateCluster", "{'clusterName':'d','serviceConnectDefaults':{'namespace':'n'}}",
         "UnsupportedFeatureException", "serviceConnectDefaults"},
        {"UpdateCluster", "{'cluster':'c','serviceConnectDefaults':{}}",
         "InvalidParameterException", "serviceConnectDefaults.namespace"},
        {"UpdateClusterSettings", "{'cluster':'c'}", "InvalidParameterException", "'settings'"},
        {"UpdateClusterSettings", "{'cluster':'c','settings':[]}", "InvalidParameterException",
         "Cluster settings cannot be empty."},
        {"UpdateClusterSettings",
         "{'cluster':'c','settings':[{'name':'containerInsights','value':'enabled'},"
         "{'name':'containerInsights','value':'disabled'}]}",
         "InvalidParameterException", "more than once"},
        {"UpdateClusterSettings",
         "{'cluster':'x','settings':[{'name':'containerInsights','value':'enabled'}]}",
         "ClusterNotFoundException", "Cluster not found."},
    };
    cleanup(world_done) struct world w;

    world_prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        world_refuse(&w, cases[i].operation, cases[i].input, cases[i].type, cases[i].message);
    world_call(&w, "DeleteCluster", "{'cluster':'c'}");
    world_refuse(&w, "UpdateCluster", "{'cluster':'c'}", "ClusterNotFoundException",
                 "Cluster not found.");
}

/* ---- task definitions that go ---- */

TEST(a_definition_is_deleted_once_nobody_uses_it)
{
    cleanup(world_done) struct world w;
    const struct json *td;

    prepare_service(&w);
    world_call(&w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
    world_call(&w, "DeleteTaskDefinitions",
               "{'taskDefinitions':['web:1','web:7','" WORLD_ARN "task-definition/none:1']}");
    CHECK_EQ(count(&w, "taskDefinitions"), 0);
    CHECK_TEXT(text_at(world_item(&w, "failures", 0), "arn"), WORLD_ARN "task-definition/web:1");
    CHECK_TEXT(text_at(world_item(&w, "failures", 0), "reason"),
               "The specified task definition is still in ACTIVE status. Please deregister the "
               "target and try again.");
    CHECK_TEXT(text_at(world_item(&w, "failures", 1), "arn"), WORLD_ARN "task-definition/web:7");
    CHECK_TEXT(text_at(world_item(&w, "failures", 1), "reason"),
               "The specified task definition does not exist.");
    CHECK_TEXT(text_at(world_item(&w, "failures", 2), "arn"), WORLD_ARN "task-definition/none:1");
    world_call(&w, "DeregisterTaskDefinition", "{'taskDefinition':'web:1'}");
    world_call(&w, "DeregisterTaskDefinition", "{'taskDefinition':'web:2'}");
    world_call(&w, "DeleteTaskDefinitions", "{'taskDefinitions':['web:1','web:2']}");
    CHECK_EQ(count(&w, "failures"), 0);
    td = world_item(&w, "taskDefinitions", 0);
    CHECK_TEXT(text_at(td, "status"), "DELETE_IN_PROGRESS");
    CHECK(seconds_at(td, "deleteRequestedAt") > 0);
    world_call(&w, "DeleteTaskDefinitions", "{'taskDefinitions':['web:1']}"); /* again: the same */
    CHECK_EQ(count(&w, "taskDefinitions"), 1);
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web:1'}", "ClientException",
                 "TaskDefinition is inactive");
    world_call(&w, "ListTaskDefinitions", "{'status':'DELETE_IN_PROGRESS','sort':'DESC'}");
    CHECK_EQ(count(&w, "taskDefinitionArns"), 2);
    world_call(&w, "ListTaskDefinitions", "{'status':'INACTIVE'}");
    CHECK_EQ(count(&w, "taskDefinitionArns"), 0);
    world_call(&w, "ListTaskDefinitionFamilies", "{'status':'ACTIVE'}");
    CHECK_EQ(count(&w, "families"), 0);
    world_call(&w, "ListTaskDefinitionFamilies", "{'status':'INACTIVE'}");
    CHECK_EQ(count(&w, "families"), 1);
    world_wait(&w, 15000);
    world_call(&w, "ListTaskDefinitions", "{'status':'DELETE_IN_PROGRESS'}"); /* of the service */
    CHECK_TEXT(json_cstr(world_item(&w, "taskDefinitionArns", 0), ""), WORLD_ARN "task-definition/web:1");
    CHECK_EQ(count(&w, "taskDefinitionArns"), 1);
    world_refuse(&w, "DescribeTaskDefinition", "{'taskDefinition':'web:2'}", "ClientException",
                 "Unable to describe task definition.");
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','desiredCount':3}");
    world_settle(&w); /* an existing service may still scale with it */
    CHECK_EQ(core_counts(w.core, w.core->services, NULL).running, 3);
    world_call(&w, "DeleteService", "{'cluster':'c','service':'s','force':true}");
    world_wait(&w, 60000);
    world_refuse(&w, "DescribeTaskDefinition", "{'taskDefinition':'web:1'}", "ClientException",
                 "Unable to describe task definition.");
    world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s']}", w.core->tasks->id);
    CHECK_TEXT(text_at(world_item(&w, "tasks", 0), "taskDefinitionArn"),
               WORLD_ARN "task-definition/web:1");
    world_call(&w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
    CHECK_EQ(json_get_i64(json_get(w.answer, "taskDefinition"), "revision", 0),
             3); /* never again 1 */
}

TEST(bad_deletions_of_definitions_are_refused)
{
    cleanup(world_done) struct world w;

    world_prepare(&w);
    world_refuse(&w, "DeleteTaskDefinitions", "{}", "InvalidParameterException",
                 "'taskDefinitions'");
    world_refuse(&w, "DeleteTaskDefinitions", "{'taskDefinitions':[]}", "InvalidParameterException",
                 "size of TaskDefinition references list must be greater than 0");
    world_refuse(&w, "DeleteTaskDefinitions",
                 "{'taskDefinitions':['a:1','a:2','a:3','a:4','a:5','a:6','a:7','a:8','a:9','a:10',"
                 "'a:11']}",
                 "InvalidParameterException",
                 "Size of TaskDefinition references list cannot exceed 10");
    world_refuse(&w, "DeleteTaskDefinitions", "{'taskDefinitions':['web']}", "ClientException",
                 "Revision is missing.");
    world_refuse(&w, "DeleteTaskDefinitions", "{'taskDefinitions':['web:x']}",
                 "InvalidParameterException", "Invalid revision number. Number: x");
    world_refuse(&w, "ListTaskDefinitions", "{'status':'GONE'}", "ClientException",
                 "ACTIVE, INACTIVE, DELETE_IN_PROGRESS");
}

/* ---- account settings ---- */

#define ROOT "arn:aws:iam::" WORLD_ACCOUNT ":root"
#define USER "arn:aws:iam::" WORLD_ACCOUNT ":user/ann"

/* The value that is in force for the principal; of all pages. */
static const char *
effective(struct world *w, const char *principal, const char *name)
{
    world_call(w, "ListAccountSettings",
               "{'name':'%s','effectiveSettings':true,'principalArn':'%s'}", name, principal);
    CHECK_EQ(count(w, "settings"), 1);
    CHECK_TEXT(text_at(world_item(w, "settings", 0), "principalArn"), principal);
    return text_at(world_item(w, "settings", 0), "value");
}

TEST(account_settings_are_put_shown_and_deleted)
{
    cleanup(world_done) struct world w;
    const struct json *s;

    world_init(&w);
    CHECK_TEXT(effective(&w, ROOT, "awsvpcTrunking"), "disabled");
    world_call(&w, "ListAccountSettings", "{}");
    CHECK_EQ(count(&w, "settings"), 0); /* nobody set anything */
    world_call(&w, "PutAccountSetting", "{'name':'awsvpcTrunking','value':'enabled'}");
    s = json_get(w.answer, "setting");
    CHECK_TEXT(text_at(s, "name"), "awsvpcTrunking");
    CHECK_TEXT(text_at(s, "value"), "enabled");
    CHECK_TEXT(text_at(s, "principalArn"), ROOT);
    CHECK_TEXT(text_at(s, "type"), "user");
    CHECK_TEXT(effective(&w, USER, "awsvpcTrunking"), "enabled"); /* the root's is the default */
    world_call(&w, "PutAccountSetting",
               "{'name':'awsvpcTrunking','value':'disabled','principalArn':'" USER "'}");
    CHECK_TEXT(effective(&w, USER, "awsvpcTrunking"), "disabled");
    CHECK_TEXT(effective(&w, ROOT, "awsvpcTrunking"), "enabled");
    world_call(&w, "PutAccountSettingDefault", "{'name':'fargateFIPSMode','value':'enabled'}");
    CHECK_TEXT(text_at(json_get(w.answer, "setting"), "principalArn"), ROOT);
    world_call(&w, "ListAccountSettings", "{}");
    CHECK_EQ(count(&w, "settings"), 2);
    CHECK_TEXT(text_at(world_item(&w, "settings", 0), "name"), "awsvpcTrunking");
    CHECK_TEXT(text_at(world_item(&w, "settings", 1), "name"), "fargateFIPSMode");
    world_call(&w, "ListAccountSettings", "{'principalArn':'" USER "'}");
    CHECK_EQ(count(&w, "settings"), 1);
    world_call(&w, "ListAccountSettings", "{'name':'fargateFIPSMode','value':'disabled'}");
    CHECK_EQ(count(&w, "settings"), 0);
    world_call(&w, "ListAccountSettings", "{'name':'fargateFIPSMode','value':'enabled'}");
    CHECK_EQ(count(&w, "settings"), 1);
    world_call(&w, "DeleteAccountSetting", "{'name':'awsvpcTrunking','principalArn':'" USER "'}");
    CHECK_TEXT(text_at(json_get(w.answer, "setting"), "value"), "enabled"); /* what holds now */
    world_call(&w, "DeleteAccountSetting", "{'name':'awsvpcTrunking'}");
    CHECK_TEXT(text_at(json_get(w.answer, "setting"), "value"), "disabled");
    world_call(&w, "DeleteAccountSetting", "{'name':'awsvpcTrunking'}"); /* nothing to delete */
    CHECK_TEXT(effective(&w, USER, "awsvpcTrunking"), "disabled");
}

TEST(every_account_setting_has_a_value_and_takes_its_own_ones)
{
    static const struct {
        const char *name, *fallback, *value;
    } all[] = {
        {"serviceLongArnFormat", "enabled", "enabled"},
        {"taskLongArnFormat", "enabled", "enabled"},
        {"containerInstanceLongArnFormat", "enabled", "enabled"},
        {"awsvpcTrunking", "disabled", "enabled"},
        {"containerInsights", "disabled", "enhanced"},
        {"fargateFIPSMode", "disabled", "enabled"},
        {"tagResourceAuthorization", "off", "on"},
        {"fargateTaskRetirementWaitPeriod", "7", "14"},
        {"guardDutyActivate", "off", NULL},
        {"defaultLogDriverMode", "blocking", "non-blocking"},
        {"fargateEventWindows", "disabled", "enabled"},
    };
    cleanup(world_done) struct world w;
    cleanup_free char *token = NULL;
    char input[256];

    world_init(&w);
    world_call(&w, "ListAccountSettings", "{'effectiveSettings':true}");
    CHECK_EQ(count(&w, "settings"), 10);
    token = text_dup(text_at(w.answer, "nextToken"));
    world_call(&w, "ListAccountSettings", "{'effectiveSettings':true,'nextToken':'%s'}", token);
    CHECK_EQ(count(&w, "settings"), 1);
    CHECK(json_get(w.answer, "nextToken") == NULL);
    world_call(&w, "ListAccountSettings", "{'effectiveSettings':true,'maxResults':1}");
    CHECK_EQ(count(&w, "settings"), 1);
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        CHECK_TEXT(effective(&w, ROOT, all[i].name), all[i].fallback);
        CHECK_TEXT(text_at(world_item(&w, "settings", 0), "type"),
                   all[i].value == NULL ? "aws_managed" : "user");
        snprintf(input, sizeof(input), "{'name':'%s','value':'perhaps'}", all[i].name);
        world_refuse(&w, "PutAccountSetting", input, "InvalidParameterException",
                     all[i].value == NULL ? "managed by AWS" : "Valid values: ");
        if (all[i].value == NULL)
            continue;
        world_call(&w, "PutAccountSetting", "{'name':'%s','value':'%s'}", all[i].name,
                   all[i].value);
        CHECK_TEXT(effective(&w, ROOT, all[i].name), all[i].value);
    }
    world_refuse(&w, "PutAccountSetting", "{'name':'taskLongArnFormat','value':'disabled'}",
                 "InvalidParameterException", "Valid values: enabled.");
}

TEST(the_accounts_insights_are_those_of_new_clusters)
{
    cleanup(world_done) struct world w;

    world_init(&w);
    world_call(&w, "PutAccountSettingDefault", "{'name':'containerInsights','value':'enhanced'}");
    world_call(&w, "CreateCluster", "{'clusterName':'c'}");
    CHECK_TEXT(text_at(json_at(json_get(json_get(w.answer, "cluster"), "settings"), 0), "value"),
               "enhanced");
    world_call(&w, "CreateCluster",
               "{'clusterName':'d','settings':[{'name':'containerInsights','value':'disabled'}]}");
    CHECK_TEXT(text_at(json_at(json_get(json_get(w.answer, "cluster"), "settings"), 0), "value"),
               "disabled");
}

TEST(bad_account_settings_are_refused)
{
    cleanup(world_done) struct world w;

    world_init(&w);
    world_refuse(&w, "PutAccountSetting", "{'value':'enabled'}", "InvalidParameterException",
                 "'name'");
    world_refuse(&w, "PutAccountSetting", "{'name':'awsvpcTrunking'}", "InvalidParameterException",
                 "'value'");
    world_refuse(&w, "PutAccountSetting", "{'name':'colour','value':'red'}",
                 "InvalidParameterException", "Member must satisfy enum value set");
    world_refuse(&w, "PutAccountSetting",
                 "{'name':'awsvpcTrunking','value':'enabled','principalArn':'ann'}",
                 "InvalidParameterException", "The ARN provided is invalid.");
    world_refuse(&w, "PutAccountSetting",
                 "{'name':'awsvpcTrunking','value':'enabled','principalArn':"
                 "'arn:aws:iam::111111111111:root'}",
                 "InvalidParameterException", "of account " WORLD_ACCOUNT);
    world_refuse(&w, "PutAccountSetting",
                 "{'name':'awsvpcTrunking','value':'enabled','principalArn':'" WORLD_ARN
                 "cluster/c'}",
                 "InvalidParameterException", "The ARN provided is invalid.");
    world_refuse(&w, "PutAccountSettingDefault", "{'name':'awsvpcTrunking','value':'maybe'}",
                 "InvalidParameterException", "Valid values: enabled, disabled.");
    world_refuse(&w, "DeleteAccountSetting", "{}", "InvalidParameterException", "'name'");
    world_refuse(&w, "DeleteAccountSetting", "{'name':'awsvpcTrunking','principalArn':'ann'}",
                 "InvalidParameterException", "The ARN provided is invalid.");
    world_refuse(&w, "ListAccountSettings", "{'value':'enabled'}", "InvalidParameterException",
                 "together with the name");
    world_refuse(&w, "ListAccountSettings", "{'maxResults':11}", "InvalidParameterException",
                 "less than or equal to 10");
    world_refuse(&w, "ListAccountSettings", "{'principalArn':'ann'}", "InvalidParameterException",
                 "The ARN provided is invalid.");
    world_refuse(&w, "ListAccountSettings", "{'nextToken':'nonsense'}", "InvalidParameterException",
                 "Invalid token.");
    for (int i = 0; i < ACCOUNT_PRINCIPALS_MAX; i++)
        world_call(&w, "PutAccountSetting",
                   "{'name':'awsvpcTrunking','value':'enabled','principalArn':'" USER "%d'}", i);
    world_refuse(&w, "PutAccountSetting", "{'name':'awsvpcTrunking','value':'enabled'}",
                 "ClientException", "1000 principals have settings");
    world_call(&w, "PutAccountSetting",
               "{'name':'awsvpcTrunking','value':'disabled','principalArn':'" USER "7'}");
}

TEST(account_settings_are_kept_by_region)
{
    cleanup(world_done) struct world w;
    const struct core_options options = {.account = WORLD_ACCOUNT, .default_region = WORLD_REGION};
    struct core *again = core_new(&options);
    cleanup_json struct json *row = NULL;
    struct err err;

    world_init(&w);
    CHECK(core_row(w.core, ROW_ACCOUNT, WORLD_REGION) == NULL);
    world_call(&w, "PutAccountSetting", "{'name':'defaultLogDriverMode','value':'non-blocking'}");
    row = core_row(w.core, ROW_ACCOUNT, WORLD_REGION);
    CHECK(core_load(again, ROW_ACCOUNT, row, &err));
    CHECK_TEXT(core_account_default(again, WORLD_REGION, "defaultLogDriverMode"), "non-blocking");
    CHECK(core_account_default(again, "us-east-1", "defaultLogDriverMode") == NULL);
    json_set(row, "settings", json_text("damaged"));
    CHECK(!core_load(again, ROW_ACCOUNT, row, &err));
    core_free(again);
}

/* ---- client tokens of RunTask ---- */

TEST(a_token_answers_with_the_same_tasks_in_the_same_order)
{
    cleanup(world_done) struct world w;
    char first[3][ARN_SIZE];

    world_prepare(&w);
    world_call(&w, "RunTask",
               "{'cluster':'c','taskDefinition':'web','count':3,'clientToken':'!~'}");
    for (size_t i = 0; i < 3; i++)
        text_copy(first[i], ARN_SIZE, str_of(text_at(world_item(&w, "tasks", i), "taskArn")));
    world_settle(&w);
    /* whichever way the cluster is named; and later than the tasks */
    world_call(&w, "RunTask",
               "{'cluster':'" WORLD_ARN "cluster/c','taskDefinition':'web','count':3,"
               "'clientToken':'!~'}");
    CHECK_EQ(count(&w, "tasks"), 3);
    CHECK_EQ(count(&w, "failures"), 0);
    for (size_t i = 0; i < 3; i++)
        CHECK_TEXT(text_at(world_item(&w, "tasks", i), "taskArn"), first[i]);
    CHECK_TEXT(text_at(world_item(&w, "tasks", 0), "lastStatus"), "RUNNING");
    world_call(&w, "StopTask", "{'cluster':'c','task':'%s'}", first[1]);
    world_settle(&w);
    world_call(&w, "RunTask",
               "{'cluster':'c','taskDefinition':'web','count':3,'clientToken':'!~'}");
    CHECK_TEXT(text_at(world_item(&w, "tasks", 1), "lastStatus"), "STOPPED"); /* not run again */
    world_call(&w, "ListTasks", "{'cluster':'c'}");
    CHECK_EQ(count(&w, "taskArns"), 2);
}

TEST(a_token_with_other_parameters_is_a_conflict)
{
    static const char *const others[] = {
        "{'cluster':'c','taskDefinition':'web','count':2,'clientToken':'t','startedBy':'me'}",
        "{'cluster':'c','taskDefinition':'web','count':1,'clientToken':'t'}",
        "{'cluster':'c','taskDefinition':'web:1','count':2,'clientToken':'t'}",
        ("{'cluster':'c','taskDefinition':'web','count':2,'clientToken':'t',"
         "'overrides':{'containerOverrides':[{'name':'app','command':['x']}]}}"),
    };
    cleanup(world_done) struct world w;
    char ids[2][ARN_SIZE];

    world_prepare(&w);
    world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','count':2,'clientToken':'t'}");
    for (size_t i = 0; i < 2; i++)
        text_copy(ids[i], ARN_SIZE,
                  str_of(strrchr(text_at(world_item(&w, "tasks", i), "taskArn"), '/') + 1));
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        world_refuse(&w, "RunTask", others[i], "ConflictException",
                     "The client token was used before with other parameters.");
        CHECK_EQ(count(&w, "resourceIds"), 2);
        CHECK_TEXT(json_cstr(world_item(&w, "resourceIds", 0), ""), ids[0]);
        CHECK_TEXT(json_cstr(world_item(&w, "resourceIds", 1), ""), ids[1]);
    }
    CHECK_EQ(w.core->created_count, 2);
    world_call(&w, "CreateCluster", "{'clusterName':'d'}"); /* a token is a cluster's own */
    world_call(&w, "RunTask", "{'cluster':'d','taskDefinition':'web','clientToken':'t'}");
    CHECK_EQ(count(&w, "tasks"), 1);
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web','clientToken':'a b'}",
                 "InvalidParameterException", "'clientToken'");
    world_refuse(&w, "RunTask",
                 "{'cluster':'c','taskDefinition':'web','clientToken':"
                 "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}",
                 "InvalidParameterException", "length less than or equal to 64");
}

/* ---- what is not built ---- */

TEST(no_service_names_a_namespace)
{
    cleanup(world_done) struct world w;

    prepare_service(&w);
    world_refuse(&w, "ListServicesByNamespace", "{'namespace':'shop'}",
                 "NamespaceNotFoundException", "The namespace 'shop' was not found");
    world_refuse(&w, "ListServicesByNamespace", "{}", "InvalidParameterException", "'namespace'");
    world_refuse(&w, "ListServicesByNamespace", "{'namespace':'shop','maxResults':101}",
                 "InvalidParameterException", "less than or equal to 100");
    /* the only two ways to name one */
    world_refuse(&w, "CreateService",
                 "{'cluster':'c','serviceName':'n','taskDefinition':'web','desiredCount':1,"
                 "'serviceConnectConfiguration':{'enabled':true,'namespace':'shop'}}",
                 "UnsupportedFeatureException", "serviceConnectConfiguration");
    world_refuse(&w, "CreateService",
                 "{'cluster':'c','serviceName':'n','taskDefinition':'web','desiredCount':1,"
                 "'serviceRegistries':[{'registryArn':'a'}]}",
                 "UnsupportedFeatureException", "serviceRegistries");
}

TEST(what_is_not_built_is_named)
{
    static const char *const operations[] = {
        "ExecuteCommand",
        "CreateDaemon",
        "UpdateDaemon",
        "DeleteDaemon",
        "DescribeDaemon",
        "ListDaemons",
        "DescribeDaemonDeployments",
        "ListDaemonDeployments",
        "DescribeDaemonRevisions",
        "RegisterDaemonTaskDefinition",
        "DescribeDaemonTaskDefinition",
        "DeleteDaemonTaskDefinition",
        "ListDaemonTaskDefinitions",
        "CreateExpressGatewayService",
        "UpdateExpressGatewayService",
        "DeleteExpressGatewayService",
        "DescribeExpressGatewayService",
        "CreateGateway",
        "UpdateGateway",
        "DeleteGateway",
        "DescribeGateway",
        "ListGateways",
        "AssociateGatewayWithCluster",
        "DisassociateGatewayFromCluster",
        "ListGatewayClusterAssociations",
        "DescribeGatewayResources",
        "DescribeGatewayRoute",
        "ListGatewayRoutes",
    };
    cleanup(world_done) struct world w;
    char text[128];

    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        snprintf(text, sizeof(text), "The operation %s is not built in naru yet.", operations[i]);
        world_refuse(&w, operations[i], "{}", "UnsupportedFeatureException", text);
        world_refuse(&w, operations[i], "{'anything':[1,{'at':'all'}]}",
                     "UnsupportedFeatureException", text);
    }
}

/* ---- post-mortems ---- */

static void
report_stopped(struct world *w, const struct task *t, int exit_code, const char *health_log)
{
    struct task_container c = t->containers[0];

    c.last_status = TASK_STOPPED;
    c.has_exit_code = true;
    c.exit_code = exit_code;
    snprintf(c.reason, sizeof(c.reason), "OutOfMemoryError: Container killed due to memory usage");
    world_step(w, &(struct event){.type = EVENT_TASK_STATE,
                                  .task_state = {.task_id = t->id,
                                                 .status = TASK_STOPPED,
                                                 .containers = &c,
                                                 .container_count = 1,
                                                 .health_log = health_log}});
}

TEST(a_stopped_task_keeps_why_it_ended)
{
    cleanup(world_done) struct world w;
    const struct json *task, *post, *target;
    struct ef_target_change change = {0};
    char id[ID_SIZE];

    world_prepare(&w);
    world_call(
        &w, "CreateService",
        "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,"
        "'loadBalancers':[{'targetGroupArn':'%s','containerName':'app','containerPort':80}]}",
        prepare_target_group(&w));
    world_wait(&w, 5000);
    world_call(&w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','taskDefinition':'web:2'}");
    world_wait(&w, 5000);
    text_copy(id, sizeof(id), str_of(w.core->services->live->id));
    const struct task *t = core_task_by_id(w.core, id);
    text_copy(change.target_group_arn, ARN_SIZE, str_of(w.core->target_groups->arn));
    text_copy(change.target_id, ADDRESS_SIZE, str_of(t->targets[0].target_id));
    change.port = t->targets[0].port;
    change.registration = w.core->target_groups->targets->registration;
    world_step(&w, &(struct event){.type = EVENT_TARGET_HEALTH,
                                   .target_health = {.target_group_arn = change.target_group_arn,
                                                     .target_id = change.target_id,
                                                     .port = change.port,
                                                     .registration = change.registration,
                                                     .state = TARGET_unhealthy,
                                                     .reason = "Target.Timeout",
                                                     .description = "Request timed out"}});
    report_stopped(&w, t, 137, "app: 2026-01-02T03:04:05Z exit 1: refused\n");
    world_settle(&w);
    world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s']}", id);
    CHECK(json_get(world_item(&w, "tasks", 0), "postmortem") == NULL); /* only who asks gets it */
    world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s'],'include':['POSTMORTEM']}", id);
    task = world_item(&w, "tasks", 0);
    CHECK_TEXT(text_at(json_at(json_get(task, "containers"), 0), "reason"),
               "OutOfMemoryError: Container killed due to memory usage");
    post = json_get(task, "postmortem");
    CHECK_TEXT(text_at(post, "healthLog"), "app: 2026-01-02T03:04:05Z exit 1: refused\n");
    CHECK_TEXT(text_at(post, "previousTaskDefinitionArn"), WORLD_ARN "task-definition/web:1");
    CHECK(json_get(post, "previousServiceRevisionArn") != NULL);
    target = json_at(json_get(post, "targets"), 0);
    CHECK_TEXT(text_at(target, "state"), "unhealthy");
    CHECK_TEXT(text_at(target, "reason"), "Target.Timeout");
    CHECK_TEXT(text_at(target, "description"), "Request timed out");
    CHECK(json_get_bool(target, "wasHealthy", false));
    CHECK_EQ(json_get_i64(target, "port", 0), change.port);
    {
        cleanup_json struct json *row =
            core_row(w.core, ROW_TASK, core_task_by_id(w.core, id)->arn);
        CHECK(json_get(json_get(row, "evidence"), "targets") != NULL); /* and survives a restart */
    }
}

TEST(a_task_without_a_service_has_no_revision_before)
{
    cleanup(world_done) struct world w;
    const struct json *post;
    cleanup(strbuf_done) struct strbuf log = {0};

    world_prepare(&w);
    world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web'}");
    while (log.len < 10000)
        strbuf_add_cstr(&log, "app: a long story\n");
    report_stopped(&w, w.core->tasks, 1, strbuf_cstr(&log));
    world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s'],'include':['POSTMORTEM']}",
               w.core->tasks->id);
    post = json_get(world_item(&w, "tasks", 0), "postmortem");
    CHECK_EQ(json_size(json_get(post, "targets")), 0);
    CHECK(json_get(post, "previousTaskDefinitionArn") == NULL);
    CHECK_EQ(strlen(text_at(post, "healthLog")), 4096); /* the rest is left out */
}
