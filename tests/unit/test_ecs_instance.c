/* SPDX-License-Identifier: MIT */
/* Container instances through the API, over three machines. */
#include "instances_world.h"

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

/* ---- GPUs ---- */

static void
add_gpu_host(struct world *w, const char *name)
{
    struct err err;
    cleanup_json struct json *doc = json_parse(STR("{\"gpus\":[\"GPU-1\",\"GPU-2\",\"GPU-3\"]}"), &err);

    CHECK(doc != NULL);
    world_step(w, &(struct event){.type = EVENT_INSTANCE_REPORT,
                                  .instance_report = {.host = name, .is_connected = true, .cpu_total = 1000,
                                                      .memory_total_mib = 8192, .doc = doc}});
}

static const struct json *
gpus_of(const struct json *described, const char *list)
{
    const struct json *r = named(json_get(described, list), "GPU");

    CHECK_TEXT(text_at(r, "type"), "STRINGSET");
    return json_get(r, "stringSetValue");
}

TEST(gpus_are_given_shown_and_missing_from_what_remains)
{
    cleanup(world_done) struct world w;
    const struct json *a, *t;
    char arn[ARN_SIZE];

    prepare(&w);
    add_gpu_host(&w, "gpu");
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'ml','containerDefinitions':[{'name':'app','image':'i','memory':64,"
               "'resourceRequirements':[{'type':'GPU','value':'1'}]},{'name':'side','image':'i','memory':64}]}");
    CHECK_EQ(json_size(gpus_of(describe(&w, "gpu", ""), "registeredResources")), 3);
    CHECK_EQ(json_size(gpus_of(describe(&w, "gpu", ""), "remainingResources")), 3);
    CHECK(named(json_get(describe(&w, "two", ""), "registeredResources"), "GPU") == NULL);
    a = world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'ml','count':4}");
    CHECK_EQ(json_size(json_get(a, "tasks")), 3);
    CHECK_EQ(json_size(json_get(a, "failures")), 4); /* one an instance */
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "RESOURCE:GPU");
    t = json_at(json_get(a, "tasks"), 1);
    CHECK_TEXT(text_at(t, "containerInstanceArn"), instance(&w, "gpu")->arn);
    CHECK_EQ(json_size(json_get(first(t, "containers"), "gpuIds")), 1);
    CHECK_TEXT(json_cstr(json_at(json_get(first(t, "containers"), "gpuIds"), 0), ""), "GPU-2");
    CHECK(json_get(json_at(json_get(t, "containers"), 1), "gpuIds") == NULL);
    text_copy(arn, sizeof(arn), str_of(text_at(t, "taskArn")));
    CHECK_EQ(json_size(gpus_of(describe(&w, "gpu", ""), "registeredResources")), 3);
    CHECK_EQ(json_size(gpus_of(describe(&w, "gpu", ""), "remainingResources")), 0);
    world_settle(&w);
    world_call(&w, "StopTask", "{'cluster':'c','task':'%s'}", arn);
    world_settle(&w);
    a = gpus_of(describe(&w, "gpu", ""), "remainingResources");
    CHECK_EQ(json_size(a), 1);
    CHECK_TEXT(json_cstr(json_at(a, 0), ""), "GPU-2");
}

#define OVERRIDE(member) \
    "'overrides':{'containerOverrides':[{'name':'app','resourceRequirements':[" member "]}]}"

TEST(an_override_asks_for_another_number_of_gpus)
{
    cleanup(world_done) struct world w;
    const struct json *a;

    prepare(&w);
    add_gpu_host(&w, "gpu");
    a = world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web'," OVERRIDE("{'type':'GPU','value':'2'}") "}");
    CHECK_EQ(json_size(json_get(first(first(a, "tasks"), "containers"), "gpuIds")), 2);
    a = first(json_get(first(a, "tasks"), "overrides"), "containerOverrides");
    CHECK_TEXT(text_at(first(a, "resourceRequirements"), "value"), "2");
    a = world_call(&w, "StartTask", "{'cluster':'c','taskDefinition':'web','containerInstances':['%s'],"
                   OVERRIDE("{'type':'GPU','value':'2'}") "}", instance(&w, "gpu")->id);
    CHECK_TEXT(text_at(first(a, "failures"), "reason"), "RESOURCE:GPU");
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web'," OVERRIDE("{'type':'GPU','value':'0'}") "}",
                 "InvalidParameterException", "must be a positive integer");
    world_refuse(&w, "RunTask",
                 "{'cluster':'c','taskDefinition':'web'," OVERRIDE("{'type':'NeuronDevice','value':'1'}") "}",
                 "InvalidParameterException", "NeuronDevice is not built");
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'both','networkMode':'awsvpc','cpu':'256','memory':'512','containerDefinitions':["
               "{'name':'app','image':'i'}]}");
    world_refuse(&w, "RunTask",
                 "{'cluster':'c','taskDefinition':'both','launchType':'FARGATE','networkConfiguration':"
                 "{'awsvpcConfiguration':{'subnets':['a']}}," OVERRIDE("{'type':'GPU','value':'1'}") "}",
                 "InvalidParameterException", "Fargate does not support 'resourceRequirements'.");
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
