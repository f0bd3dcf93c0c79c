/* SPDX-License-Identifier: MIT */
/* Container instances and placement through the API, over three machines. */
#include "api_world.h"

#define DEFINITION                                                                                 \
    "{'family':'web','containerDefinitions':[{'name':'app','image':'localhost:4566/web:1',"          \
    "'cpu':100,'memory':64}]}"

static void
add_host(struct world *w, const char *name, bool is_connected, int cpu)
{
    char text[512];
    struct err err;
    cleanup_json struct json *doc = NULL;

    snprintf(text, sizeof(text),
             "{\"versionInfo\":{\"agentVersion\":\"1.2.3\"},\"attributes\":[{\"name\":\"ecs.os-type\","
             "\"value\":\"linux\"},{\"name\":\"ecs.availability-zone\",\"value\":\"zone-%s\"},"
             "{\"name\":\"ecs.capability.task-eni\"}]}", name);
    doc = json_parse(str_of(text), &err);
    CHECK(doc != NULL);
    world_step(w, &(struct event){.type = EVENT_INSTANCE_REPORT,
                                  .instance_report = {.host = name, .is_connected = is_connected,
                                                      .cpu_total = cpu, .memory_total_mib = 8192,
                                                      .doc = doc}});
}

/* "here" of world_init(), and two more with attributes. */
static void
prepare(struct world *w)
{
    world_init(w);
    add_host(w, "two", true, 1000);
    add_host(w, "three", true, 1000);
    world_call(w, "CreateCluster", "{'clusterName':'c'}");
    world_call(w, "RegisterTaskDefinition", "%s", DEFINITION);
}

static const struct container_instance *
instance(const struct world *w, const char *host)
{
    for (const struct container_instance *i = w->core->instances; i != NULL; i = i->next) {
        if (strcmp(i->host, host) == 0)
            return i;
    }
    check_fail(__FILE__, __LINE__, "no instance %s", host);
}

static const char *
text_at(const struct json *o, const char *key)
{
    return json_get_cstr(o, key, "(absent)");
}

static const struct json *
first(const struct json *answer, const char *list)
{
    return json_at(json_get(answer, list), 0);
}

static const struct json *
describe(struct world *w, const char *host, const char *include)
{
    return first(world_call(w, "DescribeContainerInstances",
                            "{'cluster':'c','containerInstances':['%s'],'include':[%s]}",
                            instance(w, host)->id, include), "containerInstances");
}

static const struct json *
named(const struct json *list, const char *name)
{
    for (size_t i = 0; i < json_size(list); i++) {
        if (strcmp(json_get_cstr(json_at(list, i), "name", ""), name) == 0)
            return json_at(list, i);
    }
    return NULL;
}

/* ---- describing and listing ---- */

TEST(an_instance_is_described_with_all_it_has)
{
    cleanup(world_done) struct world w;
    const struct json *a, *r;

    prepare(&w);
    a = describe(&w, "two", "");
    CHECK_TEXT(text_at(a, "containerInstanceArn"), instance(&w, "two")->arn);
    CHECK_TEXT(text_at(a, "ec2InstanceId"), instance(&w, "two")->id);
    CHECK_TEXT(text_at(a, "status"), "ACTIVE");
    CHECK_TEXT(text_at(json_get(a, "versionInfo"), "agentVersion"), "1.2.3");
    CHECK(json_get_bool(a, "agentConnected", false));
    CHECK_EQ(json_get_i64(a, "version", 0), 1);
    CHECK_EQ(json_get_i64(a, "runningTasksCount", -1), 0);
    CHECK_EQ(json_get_i64(a, "pendingTasksCount", -1), 0);
    CHECK(json_f64(json_get(a, "registeredAt"), 0) > 1767323045.0);
    CHECK_EQ(json_size(json_get(a, "attachments")), 0);
    CHECK_EQ(json_size(json_get(a, "tags")), 0);
    CHECK(json_get(a, "healthStatus") == NULL);
    CHECK_TEXT(text_at(named(json_get(a, "attributes"), "ecs.availability-zone"), "value"), "zone-two");
    r = named(json_get(a, "registeredResources"), "CPU");
    CHECK_EQ(json_get_i64(r, "integerValue", 0), 1000);
    CHECK_TEXT(text_at(r, "type"), "INTEGER");
    CHECK_EQ(json_get_i64(named(json_get(a, "remainingResources"), "MEMORY"), "integerValue", 0), 8192);
    a = describe(&w, "two", "'CONTAINER_INSTANCE_HEALTH','TAGS'");
    CHECK_TEXT(text_at(json_get(a, "healthStatus"), "overallStatus"), "OK");
    CHECK_TEXT(text_at(first(json_get(a, "healthStatus"), "details"), "type"), "CONTAINER_RUNTIME");
    add_host(&w, "two", false, 1000);
    a = describe(&w, "two", "'CONTAINER_INSTANCE_HEALTH'");
    CHECK(!json_get_bool(a, "agentConnected", true));
    CHECK_TEXT(text_at(json_get(a, "healthStatus"), "overallStatus"), "IMPAIRED");
    CHECK_EQ(json_get_i64(a, "version", 0), 2);
}

TEST(what_tasks_take_is_missing_from_what_remains)
{
    cleanup(world_done) struct world w;
    const struct json *a, *taken;

    prepare(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'fixed','containerDefinitions':[{'name':'app','image':'i','memory':100,"
               "'portMappings':[{'containerPort':80,'hostPort':8080},{'containerPort':53,'hostPort':53,"
               "'protocol':'udp'}]}]}");
    world_call(&w, "StartTask", "{'cluster':'c','taskDefinition':'fixed','containerInstances':['%s']}",
               instance(&w, "two")->id);
    a = describe(&w, "two", "");
    CHECK_EQ(json_get_i64(a, "pendingTasksCount", 0), 1);
    CHECK_EQ(json_get_i64(named(json_get(a, "remainingResources"), "MEMORY"), "integerValue", 0), 8092);
    taken = json_get(named(json_get(a, "remainingResources"), "PORTS"), "stringSetValue");
    CHECK_EQ(json_size(taken), 1);
    CHECK_TEXT(json_cstr(json_at(taken, 0), ""), "8080");
    taken = json_get(named(json_get(a, "remainingResources"), "PORTS_UDP"), "stringSetValue");
    CHECK_TEXT(json_cstr(json_at(taken, 0), ""), "53");
    CHECK_EQ(json_size(json_get(named(json_get(a, "registeredResources"), "PORTS"), "stringSetValue")), 0);
    world_settle(&w);
    CHECK_EQ(json_get_i64(describe(&w, "two", ""), "runningTasksCount", 0), 1);
    CHECK_EQ(json_get_i64(describe(&w, "three", ""), "runningTasksCount", -1), 0);
}

TEST(instances_are_found_by_id_or_arn_and_missing_ones_are_failures)
{
    cleanup(world_done) struct world w;
    const struct json *a;

    prepare(&w);
    a = world_call(&w, "DescribeContainerInstances",
                   "{'cluster':'c','containerInstances':['%s','nobody','%s']}", instance(&w, "two")->arn,
                   instance(&w, "three")->id);
    CHECK_EQ(json_size(json_get(a, "containerInstances")), 2);
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "MISSING");
    CHECK_TEXT(text_at(first(a, "failures"), "arn"), WORLD_ARN "container-instance/c/nobody");
    world_refuse(&w, "DescribeContainerInstances", "{'cluster':'c','containerInstances':[]}",
                 "InvalidParameterException", "Container Instances cannot be empty.");
    world_refuse(&w, "DescribeContainerInstances", "{'cluster':'none','containerInstances':['x']}",
                 "ClusterNotFoundException", "Cluster not found.");
    world_refuse(&w, "DescribeContainerInstances", "{'cluster':'c'}", "InvalidParameterException",
                 "containerInstances");
    world_refuse(&w, "DescribeContainerInstances",
                 "{'cluster':'c','containerInstances':['x'],'include':['ALL']}", "InvalidParameterException",
                 "include");
}

static size_t
listed(struct world *w, const char *members)
{
    return json_size(json_get(world_call(w, "ListContainerInstances", "{'cluster':'c'%s}", members),
                              "containerInstanceArns"));
}

TEST(instances_are_listed_by_status_and_filter)
{
    cleanup(world_done) struct world w;
    const struct json *a;
    cleanup_free char *token = NULL;

    prepare(&w);
    CHECK_EQ(listed(&w, ""), 3);
    CHECK_EQ(listed(&w, ",'filter':'attribute:ecs.availability-zone == zone-two'"), 1);
    CHECK_EQ(listed(&w, ",'filter':'attribute:ecs.os-type exists and agentVersion >= 1.2'"), 2);
    CHECK_EQ(listed(&w, ",'filter':'runningTasksCount > 0'"), 0);
    CHECK_EQ(listed(&w, ",'filter':'agentConnected == true'"), 3);
    CHECK_EQ(listed(&w, ",'filter':'registeredAt > 2020-01-01'"), 3);
    CHECK_EQ(listed(&w, ",'filter':''"), 3);
    world_call(&w, "UpdateContainerInstancesState",
               "{'cluster':'c','containerInstances':['%s'],'status':'DRAINING'}", instance(&w, "two")->id);
    CHECK_EQ(listed(&w, ""), 3);
    CHECK_EQ(listed(&w, ",'status':'ACTIVE'"), 2);
    CHECK_EQ(listed(&w, ",'status':'DRAINING'"), 1);
    CHECK_EQ(listed(&w, ",'status':'DRAINING','filter':'attribute:ecs.availability-zone == zone-three'"), 0);
    CHECK_EQ(listed(&w, ",'status':'REGISTERING'"), 0);
    a = world_call(&w, "ListContainerInstances", "{'cluster':'c','maxResults':2}");
    CHECK_EQ(json_size(json_get(a, "containerInstanceArns")), 2);
    token = text_dup(text_at(a, "nextToken"));
    a = world_call(&w, "ListContainerInstances", "{'cluster':'c','nextToken':'%s'}", token);
    CHECK_EQ(json_size(json_get(a, "containerInstanceArns")), 1);
    world_refuse(&w, "ListContainerInstances", "{'cluster':'c','filter':'agentConnected'}",
                 "InvalidParameterException", "Invalid filter: an operator");
    world_refuse(&w, "ListContainerInstances", "{'cluster':'none'}", "ClusterNotFoundException", "");
    world_refuse(&w, "ListContainerInstances", "{'cluster':'c','status':'SLEEPING'}",
                 "InvalidParameterException", "status");
}

/* ---- draining ---- */

TEST(the_state_of_instances_is_set_and_services_move)
{
    cleanup(world_done) struct world w;
    const struct json *a;
    char input[512];

    prepare(&w);
    world_call(&w, "CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':3}");
    world_wait(&w, 60000);
    CHECK_EQ(json_get_i64(describe(&w, "two", ""), "runningTasksCount", 0), 1);
    a = world_call(&w, "UpdateContainerInstancesState",
                   "{'cluster':'c','containerInstances':['%s','nobody'],'status':'DRAINING'}",
                   instance(&w, "two")->arn);
    CHECK_TEXT(text_at(first(a, "containerInstances"), "status"), "DRAINING");
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "MISSING");
    world_wait(&w, 120000);
    CHECK_EQ(json_get_i64(describe(&w, "two", ""), "runningTasksCount", -1), 0);
    snprintf(input, sizeof(input), "{'cluster':'c','taskDefinition':'web','containerInstances':['%s']}",
             instance(&w, "two")->id);
    a = world_call(&w, "StartTask", "%s", input);
    CHECK_EQ(json_size(json_get(a, "tasks")), 0);
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "INACTIVE");
    a = world_call(&w, "UpdateContainerInstancesState",
                   "{'cluster':'c','containerInstances':['%s'],'status':'ACTIVE'}", instance(&w, "two")->id);
    CHECK_TEXT(text_at(first(a, "containerInstances"), "status"), "ACTIVE");
    CHECK_EQ(json_size(json_get(world_call(&w, "StartTask", "%s", input), "tasks")), 1);
    world_refuse(&w, "UpdateContainerInstancesState",
                 "{'cluster':'c','containerInstances':['x'],'status':'DEREGISTERING'}",
                 "InvalidParameterException", "ACTIVE or DRAINING");
    world_refuse(&w, "UpdateContainerInstancesState", "{'cluster':'c','containerInstances':[],'status':'ACTIVE'}",
                 "InvalidParameterException", "Container Instances cannot be empty.");
    world_refuse(&w, "UpdateContainerInstancesState",
                 "{'cluster':'c','containerInstances':['1','2','3','4','5','6','7','8','9','10','11'],"
                 "'status':'ACTIVE'}", "InvalidParameterException", "at most 10");
    world_refuse(&w, "UpdateContainerInstancesState", "{'cluster':'n','containerInstances':['x'],'status':'ACTIVE'}",
                 "ClusterNotFoundException", "");
    world_refuse(&w, "UpdateContainerInstancesState", "{'cluster':'c','containerInstances':['x']}",
                 "InvalidParameterException", "status");
}

/* ---- attributes and tags ---- */

static void
refuse_put(struct world *w, const char *attribute, const char *type, const char *message)
{
    char input[512];

    snprintf(input, sizeof(input), "{'cluster':'c','attributes':[%s]}", attribute);
    world_refuse(w, "PutAttributes", input, type, message);
}

TEST(attributes_are_put_listed_and_deleted)
{
    cleanup(world_done) struct world w;
    const struct json *a;
    cleanup_free char *token = NULL;

    prepare(&w);
    a = world_call(&w, "PutAttributes",
                   "{'cluster':'c','attributes':[{'name':'stack','value':'prod','targetId':'%s'},"
                   "{'name':'bare','targetType':'container-instance','targetId':'%s'}]}",
                   instance(&w, "two")->arn, instance(&w, "three")->id);
    CHECK_EQ(json_size(json_get(a, "attributes")), 2);
    CHECK_TEXT(text_at(first(a, "attributes"), "targetId"), instance(&w, "two")->arn);
    CHECK_TEXT(text_at(named(json_get(describe(&w, "two", ""), "attributes"), "stack"), "value"), "prod");
    CHECK_EQ(listed(&w, ",'filter':'attribute:stack == prod'"), 1);
    world_call(&w, "PutAttributes",
               "{'cluster':'c','attributes':[{'name':'stack','value':'test','targetId':'%s'}]}",
               instance(&w, "two")->id);
    CHECK_TEXT(text_at(named(json_get(describe(&w, "two", ""), "attributes"), "stack"), "value"), "test");
    a = world_call(&w, "ListAttributes", "{'cluster':'c','targetType':'container-instance'}");
    CHECK_EQ(json_size(json_get(a, "attributes")), 8); /* three built in on two of them, two put */
    a = world_call(&w, "ListAttributes",
                   "{'cluster':'c','targetType':'container-instance','attributeName':'stack'}");
    CHECK_EQ(json_size(json_get(a, "attributes")), 1);
    CHECK_TEXT(text_at(first(a, "attributes"), "value"), "test");
    CHECK_TEXT(text_at(first(a, "attributes"), "targetId"), instance(&w, "two")->arn);
    a = world_call(&w, "ListAttributes", "{'cluster':'c','targetType':'container-instance',"
                                         "'attributeName':'stack','attributeValue':'prod'}");
    CHECK_EQ(json_size(json_get(a, "attributes")), 0);
    a = world_call(&w, "ListAttributes", "{'cluster':'c','targetType':'container-instance','maxResults':5}");
    token = text_dup(text_at(a, "nextToken"));
    a = world_call(&w, "ListAttributes",
                   "{'cluster':'c','targetType':'container-instance','nextToken':'%s'}", token);
    CHECK_EQ(json_size(json_get(a, "attributes")), 3);
    a = world_call(&w, "DeleteAttributes",
                   "{'cluster':'c','attributes':[{'name':'stack','value':'other','targetId':'%s'},"
                   "{'name':'bare','targetId':'%s'}]}", instance(&w, "two")->id, instance(&w, "three")->id);
    CHECK_EQ(json_size(json_get(a, "attributes")), 1); /* the value is another */
    CHECK_TEXT(text_at(first(a, "attributes"), "name"), "bare");
    a = world_call(&w, "DeleteAttributes", "{'cluster':'c','attributes':[{'name':'stack','targetId':'%s'}]}",
                   instance(&w, "two")->id);
    CHECK_EQ(json_size(json_get(a, "attributes")), 1);
    CHECK_EQ(json_size(instance(&w, "two")->custom), 0);
}

TEST(attributes_that_are_wrong_change_nothing)
{
    cleanup(world_done) struct world w;
    cleanup(strbuf_done) struct strbuf many = {0};

    prepare(&w);
    refuse_put(&w, "{'name':'a','value':'b'}", "InvalidParameterException", "targetId must be given");
    refuse_put(&w, "{'name':'a','targetId':'nobody'}", "TargetNotFoundException", "Could not find nobody");
    refuse_put(&w, "{'name':'a b','targetId':'x'}", "InvalidParameterException", "attributes.1.member.name");
    refuse_put(&w, "{'name':'','targetId':'x'}", "InvalidParameterException", "attributes.1.member.name");
    refuse_put(&w, "{'name':'a','value':'x;y','targetId':'x'}", "InvalidParameterException",
               "attributes.1.member.value");
    refuse_put(&w, "{'name':'a','targetType':'cluster','targetId':'x'}", "InvalidParameterException",
               "attributes.1.member.targetType");
    refuse_put(&w, "", "InvalidParameterException", "attributes");
    strbuf_addf(&many, "{'name':'ecs.os-type','value':'plan9','targetId':'%s'}", instance(&w, "two")->id);
    refuse_put(&w, strbuf_cstr(&many), "InvalidParameterException", "reserved");
    strbuf_clear(&many);
    strbuf_addf(&many, "{'name':'a','value':' b','targetId':'%s'}", instance(&w, "two")->id);
    refuse_put(&w, strbuf_cstr(&many), "InvalidParameterException", "blank");
    for (int i = 0; i < 10; i++)
        world_call(&w, "PutAttributes", "{'cluster':'c','attributes':[{'name':'a%d','targetId':'%s'}]}", i,
                   instance(&w, "two")->id);
    world_call(&w, "PutAttributes", "{'cluster':'c','attributes':[{'name':'a3','value':'v','targetId':'%s'}]}",
               instance(&w, "two")->id);
    strbuf_clear(&many);
    strbuf_addf(&many, "{'name':'b','targetId':'%s'}", instance(&w, "two")->id);
    refuse_put(&w, strbuf_cstr(&many), "AttributeLimitExceededException", "at most 10");
    CHECK_EQ(json_size(instance(&w, "two")->custom), 10);
    world_refuse(&w, "DeleteAttributes", "{'cluster':'c','attributes':[{'name':'a','targetId':'nobody'}]}",
                 "TargetNotFoundException", "Could not find nobody");
    world_refuse(&w, "DeleteAttributes", "{'cluster':'none','attributes':[{'name':'a','targetId':'x'}]}",
                 "ClusterNotFoundException", "");
    world_refuse(&w, "PutAttributes", "{'cluster':'none','attributes':[{'name':'a','targetId':'x'}]}",
                 "ClusterNotFoundException", "");
    world_refuse(&w, "ListAttributes", "{'cluster':'c'}", "InvalidParameterException", "targetType");
    world_refuse(&w, "ListAttributes", "{'cluster':'none','targetType':'container-instance'}",
                 "ClusterNotFoundException", "");
    world_refuse(&w, "ListAttributes",
                 "{'cluster':'c','targetType':'container-instance','attributeValue':'x'}",
                 "InvalidParameterException", "attributeName must be given");
}

TEST(instances_have_tags)
{
    cleanup(world_done) struct world w;
    const struct json *a;

    prepare(&w);
    world_call(&w, "TagResource", "{'resourceArn':'%s','tags':[{'key':'k','value':'v'}]}",
               instance(&w, "two")->arn);
    CHECK_TEXT(text_at(first(describe(&w, "two", "'TAGS'"), "tags"), "value"), "v");
    CHECK_EQ(json_size(json_get(describe(&w, "two", ""), "tags")), 0);
    a = world_call(&w, "ListTagsForResource", "{'resourceArn':'%s'}", instance(&w, "two")->arn);
    CHECK_EQ(json_size(json_get(a, "tags")), 1);
    world_call(&w, "UntagResource", "{'resourceArn':'%s','tagKeys':['k']}", instance(&w, "two")->arn);
    CHECK_EQ(json_size(json_get(describe(&w, "two", "'TAGS'"), "tags")), 0);
    world_refuse(&w, "TagResource",
                 "{'resourceArn':'" WORLD_ARN "container-instance/c/none','tags':[{'key':'k'}]}",
                 "ResourceNotFoundException", "");
    world_refuse(&w, "ListTagsForResource", "{'resourceArn':'" WORLD_ARN "container-instance/short'}",
                 "InvalidParameterException", "Long arn format");
}

/* ---- StartTask ---- */

TEST(start_task_starts_on_each_instance_that_is_named)
{
    cleanup(world_done) struct world w;
    const struct json *a, *t;

    prepare(&w);
    a = world_call(&w, "StartTask",
                   "{'cluster':'c','taskDefinition':'web','containerInstances':['%s','nobody','%s'],"
                   "'group':'g','startedBy':'me','tags':[{'key':'k','value':'v'}],'enableECSManagedTags':true,"
                   "'overrides':{'cpu':'200','containerOverrides':[{'name':'app','command':['x']}]}}",
                   instance(&w, "two")->arn, instance(&w, "three")->id);
    CHECK_EQ(json_size(json_get(a, "tasks")), 2);
    t = first(a, "tasks");
    CHECK_TEXT(text_at(t, "containerInstanceArn"), instance(&w, "two")->arn);
    CHECK_TEXT(text_at(t, "launchType"), "EC2");
    CHECK_TEXT(text_at(t, "group"), "g");
    CHECK_TEXT(text_at(t, "startedBy"), "me");
    CHECK_TEXT(text_at(first(t, "tags"), "value"), "v");
    CHECK_TEXT(text_at(t, "cpu"), "200");
    CHECK_TEXT(text_at(json_at(json_get(a, "tasks"), 1), "containerInstanceArn"), instance(&w, "three")->arn);
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "MISSING");
    CHECK_EQ(json_get_i64(named(json_get(describe(&w, "two", ""), "remainingResources"), "CPU"),
                          "integerValue", 0), 800);
    a = world_call(&w, "ListTasks", "{'cluster':'c','containerInstance':'%s'}", instance(&w, "two")->id);
    CHECK_EQ(json_size(json_get(a, "taskArns")), 1);
}

TEST(start_task_says_why_an_instance_does_not_take_it)
{
    cleanup(world_done) struct world w;
    const struct json *a;
    char input[512];

    prepare(&w);
    snprintf(input, sizeof(input),
             "{'cluster':'c','taskDefinition':'web','containerInstances':['%s'],'overrides':{'cpu':'600'}}",
             instance(&w, "two")->id);
    CHECK_EQ(json_size(json_get(world_call(&w, "StartTask", "%s", input), "tasks")), 1);
    a = world_call(&w, "StartTask", "%s", input);
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "RESOURCE:CPU");
    CHECK_TEXT(text_at(first(a, "failures"), "arn"), instance(&w, "two")->arn);
    add_host(&w, "three", false, 1000);
    a = world_call(&w, "StartTask", "{'cluster':'c','taskDefinition':'web','containerInstances':['%s']}",
                   instance(&w, "three")->id);
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "AGENT");
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'picky','placementConstraints':[{'type':'memberOf','expression':'attribute:gpu exists'}],"
               "'containerDefinitions':[{'name':'a','image':'i','memory':64}]}");
    a = world_call(&w, "StartTask", "{'cluster':'c','taskDefinition':'picky','containerInstances':['%s']}",
                   instance(&w, "two")->id);
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "ATTRIBUTE");
    CHECK_TEXT(text_at(first(a, "failures"), "detail"), "MemberOf placement constraint unsatisfied.");
}

TEST(start_task_refuses_what_is_wrong)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    world_refuse(&w, "StartTask", "{'cluster':'none','taskDefinition':'web','containerInstances':['x']}",
                 "ClusterNotFoundException", "");
    world_refuse(&w, "StartTask", "{'cluster':'c','taskDefinition':'web'}", "InvalidParameterException",
                 "containerInstances");
    world_refuse(&w, "StartTask", "{'cluster':'c','taskDefinition':'web','containerInstances':[]}",
                 "InvalidParameterException", "Container Instances cannot be empty.");
    world_refuse(&w, "StartTask",
                 "{'cluster':'c','taskDefinition':'web','containerInstances':['1','2','3','4','5','6','7','8',"
                 "'9','10','11']}", "InvalidParameterException", "at most 10");
    world_refuse(&w, "StartTask", "{'cluster':'c','containerInstances':['x']}", "InvalidParameterException",
                 "taskDefinition");
    world_refuse(&w, "StartTask", "{'cluster':'c','taskDefinition':'none','containerInstances':['x']}",
                 "ClientException", "TaskDefinition not found.");
    world_refuse(&w, "StartTask",
                 "{'cluster':'c','taskDefinition':'web','containerInstances':['x'],"
                 "'startedBy':'0123456789012345678901234567890123456'}", "InvalidParameterException", "startedBy");
    world_refuse(&w, "StartTask",
                 "{'cluster':'c','taskDefinition':'web','containerInstances':['x'],'group':'service:s'}",
                 "InvalidParameterException", "service:");
    world_refuse(&w, "StartTask",
                 "{'cluster':'c','taskDefinition':'web','containerInstances':['x'],'enableExecuteCommand':true}",
                 "UnsupportedFeatureException", "enableExecuteCommand");
    world_refuse(&w, "StartTask",
                 "{'cluster':'c','taskDefinition':'web','containerInstances':['x'],"
                 "'overrides':{'containerOverrides':[{'name':'other'}]}}", "InvalidParameterException", "other");
    world_refuse(&w, "StartTask",
                 "{'cluster':'c','taskDefinition':'web','containerInstances':['x'],'networkConfiguration':"
                 "{'awsvpcConfiguration':{'subnets':['a']}}}", "InvalidParameterException",
                 "Network Configuration is not valid");
    world_refuse(&w, "StartTask",
                 "{'cluster':'c','taskDefinition':'web','containerInstances':['x'],'volumeConfigurations':"
                 "[{'name':'v'}]}", "UnsupportedFeatureException", "volumeConfigurations");
    world_refuse(&w, "StartTask",
                 "{'cluster':'c','taskDefinition':'web','containerInstances':['x'],'propagateTags':'SERVICE'}",
                 "InvalidParameterException", "propagateTags");
}

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
