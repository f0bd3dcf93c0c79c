/* SPDX-License-Identifier: MIT */
/* Task definitions through the API: what is refused, the normal form, the lists. */
#include "api_world.h"

TEST(a_definition_is_normalised_and_can_be_registered_again)
{
    static const char *const read_only[] = {"taskDefinitionArn", "revision", "status",
                                            "requiresAttributes", "compatibilities", "registeredAt",
                                            "registeredBy", "deregisteredAt"};
    cleanup(world_done) struct world w;
    cleanup_json struct json *first = NULL, *second = NULL;
    cleanup_free char *text = NULL;
    const struct json *c;

    world_init(&w);
    first = json_copy(json_get(
        world_call(&w, "RegisterTaskDefinition",
                   "{'family':'web','networkMode':'host','cpu':'.5 vCPU','memory':'1 GB',"
                   "'taskRoleArn':'worker','volumes':[{'name':'data'}],'containerDefinitions':["
                   "{'name':'app','image':'a:1','portMappings':[{'containerPort':80}],"
                   "'mountPoints':[{'sourceVolume':'data','containerPath':'/d'}],"
                   "'healthCheck':{'command':['CMD-SHELL','true']},'stopTimeout':5,"
                   "'logConfiguration':{'logDriver':'json-file'}}]}"), "taskDefinition"));
    CHECK_TEXT(text_at(first, "taskDefinitionArn"), WORLD_ARN "task-definition/web:1");
    CHECK_EQ(json_get_i64(first, "revision", 0), 1);
    CHECK_TEXT(text_at(first, "cpu"), "512");
    CHECK_TEXT(text_at(first, "memory"), "1024");
    CHECK_TEXT(text_at(first, "taskRoleArn"), "arn:aws:iam::000000000000:role/worker");
    CHECK_TEXT(text_at(first, "status"), "ACTIVE");
    c = json_at(json_get(first, "containerDefinitions"), 0);
    CHECK_EQ(json_get_i64(json_at(json_get(c, "portMappings"), 0), "hostPort", 0), 80);
    CHECK_TEXT(text_at(json_at(json_get(c, "portMappings"), 0), "protocol"), "tcp");
    CHECK_EQ(json_get_i64(json_get(c, "healthCheck"), "interval", 0), 30);
    CHECK(json_get_bool(c, "essential", false));
    CHECK_EQ(json_type(json_get(c, "environment")), JSON_ARRAY);
    CHECK_EQ(json_type(json_get(first, "placementConstraints")), JSON_ARRAY);
    CHECK_TEXT(json_cstr(json_at(json_get(first, "compatibilities"), 0), ""), "EC2");
    CHECK_EQ(json_size(json_get(first, "compatibilities")), 1);
    /* describe -> strip -> register -> the same */
    for (size_t i = 0; i < ARRAY_COUNT(read_only); i++)
        json_delete(first, read_only[i]);
    text = json_format(first);
    CHECK_EQ(world_try(&w, "RegisterTaskDefinition", text), 200);
    second = json_copy(json_get(w.answer, "taskDefinition"));
    CHECK_EQ(json_get_i64(second, "revision", 0), 2);
    for (size_t i = 0; i < ARRAY_COUNT(read_only); i++)
        json_delete(second, read_only[i]);
    CHECK(json_equal(first, second));
}

TEST(a_bad_definition_is_refused_with_the_text_that_names_the_fault)
{
#define ONE(members) "{'family':'f','containerDefinitions':[{'name':'a','image':'i'" members "}]}"
#define FARGATE(cpu, memory, members)                                                              \
    "{'family':'f','requiresCompatibilities':['FARGATE'],'networkMode':'awsvpc','cpu':'" cpu           \
    "','memory':'" memory "','containerDefinitions':[{'name':'a','image':'i'" members "}]}"
    static const struct {
        const char *input, *message;
    } cases[] = {
        {"{'family':'f','containerDefinitions':[]}", "Container list cannot be empty."},
        {"{'family':'a b','containerDefinitions':[{'name':'a','image':'i','memory':9}]}",
         "Family contains invalid characters."},
        {"{'family':'f','containerDefinitions':[{'image':'i','memory':9}]}",
         "Container.name should not be null or empty."},
        {"{'family':'f','containerDefinitions':[{'name':'a','memory':9}]}",
         "Container.image should not be null or empty."},
        {"{'family':'f','containerDefinitions':[{'name':'a b','image':'i','memory':9}]}",
         "Container name contains invalid characters."},
        {ONE(), "Invalid setting for container 'a'. At least one of 'memory' or 'memoryReservation' "
                "must be specified."},
        {ONE(",'memory':9,'memoryReservation':10"), "'memory' must be greater"},
        {ONE(",'memory':9,'essential':false"), "At least one container must be marked essential."},
        {ONE(",'memory':9,'mountPoints':[{'sourceVolume':'v','containerPath':'/v'}]"),
         "Unknown volume 'v'."},
        {ONE(",'memory':9,'healthCheck':{'command':['true']}"), "must start with CMD"},
        {ONE(",'memory':9,'portMappings':[{}]"), "containerPort"},
        {ONE(",'memory':9,'dependsOn':[{'containerName':'b','condition':'START'}]"),
         "which does not exist"},
        {ONE(",'memory':9,'environment':[{'name':'B','value':'1'},{'name':'A','value':'1'}],"
             "'secrets':[{'name':'T','valueFrom':'t'},{'name':'A','valueFrom':'a'}]"),
         "The secret name must be unique and not shared with any new or existing environment variables set on the "
         "container, such as 'A'."},
        {ONE(",'memory':9,'secrets':[{'name':'A','valueFrom':'a'},{'name':'A','valueFrom':'b'}]"),
         "Duplicate secret names found: A. Each secret name must be unique."},
        {ONE(",'memory':9,'dependsOn':[{'containerName':'a','condition':'START'}]"), "form a cycle"},
        {ONE(",'memory':9,'logConfiguration':{'logDriver':'awslogs'}"), "awslogs-group"},
        {"{'family':'f','networkMode':'awsvpc','containerDefinitions':[{'name':'a','image':'i','memory':9,"
         "'portMappings':[{'containerPort':80,'hostPort':81}]}]}",
         "When networkMode=awsvpc, the host ports and container ports in port mappings must match."},
        {"{'family':'f','memory':'100','containerDefinitions':[{'name':'a','image':'i','memory':101}]}",
         "The 'memory' setting for container is greater than for the task."},
        {"{'family':'f','cpu':'some','containerDefinitions':[{'name':'a','image':'i','memory':101}]}",
         "Invalid 'cpu' setting"},
        {"{'family':'f','tags':[],'containerDefinitions':[{'name':'a','image':'i','memory':101}]}",
         "Tags can not be empty."},
        {FARGATE("256", "4096", ""),
         "No Fargate configuration exists for given values: 256 CPU, 4096 memory."},
        {FARGATE("256", "512", ",'privileged':true"), "privileged"},
        {FARGATE("256", "512", ",'image':'1.dkr.ecr.eu-west-1.amazonaws.com/x'"), "duplicate"},
        {"{'family':'f','requiresCompatibilities':['FARGATE'],'networkMode':'awsvpc',"
         "'containerDefinitions':[{'name':'a','image':'1.dkr.ecr.eu-west-1.amazonaws.com/x'}],"
         "'cpu':'256','memory':'512'}",
         "execution role ARN to support ECR images."},
        {"{'family':'f','requiresCompatibilities':['FARGATE'],'containerDefinitions':[{'name':'a',"
         "'image':'i'}],'cpu':'256','memory':'512'}",
         "Fargate only supports network mode ‘awsvpc’."},
        {"{'family':'f','requiresCompatibilities':['FARGATE'],'containerDefinitions':[{'name':'a',"
         "'image':'i'}],'networkMode':'awsvpc'}",
         "Fargate requires that 'cpu' be defined at the task level."},
        {"{'family':'f','requiresCompatibilities':['EXTERNAL'],'containerDefinitions':[{'name':'a',"
         "'image':'i','memory':9}]}", "EXTERNAL is not built"},
        {"{'family':'f','networkMode':'awsvpc','containerDefinitions':[{'name':'a','image':'i','memory':9,"
         "'extraHosts':[{'hostname':'h','ipAddress':'10.0.0.1'}]}]}",
         "Extra hosts are not supported when networkMode=awsvpc."},
    };
    cleanup(world_done) struct world w;

    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (strcmp(cases[i].message, "duplicate") == 0)
            world_refuse(&w, "RegisterTaskDefinition", cases[i].input, "SerializationException", "");
        else
            world_refuse(&w, "RegisterTaskDefinition", cases[i].input, "ClientException",
                         cases[i].message);
    }
    CHECK_EQ(json_size(json_get(world_call(&w, "ListTaskDefinitions", "{}"), "taskDefinitionArns")), 0);
    world_call(&w, "RegisterTaskDefinition", FARGATE("1024", "7168", ""));
}

TEST(a_range_of_ports_is_refused_where_no_task_could_have_it)
{
#define PORTS(mode, list)                                                                          \
    "{'family':'f','networkMode':'" mode "','containerDefinitions':[{'name':'a','image':'i',"        \
    "'memory':9,'portMappings':[" list "]}]}"
#define RANGE(text) "{'containerPortRange':'" text "'}"
    static const struct {
        const char *input, *message;
    } cases[] = {
        {PORTS("host", RANGE("80-81")), "When networkMode=host, containerPortRange is not supported (container 'a')"},
        {PORTS("none", RANGE("80-81")), "When networkMode=none, containerPortRange is not supported"},
        {PORTS("bridge", "{'containerPortRange':'80-81','hostPort':0}"),
         "'hostPort' can not be specified together with 'containerPortRange'."},
        {PORTS("awsvpc", "{'containerPortRange':'80-81','containerPort':80}"),
         "Invalid port mapping for container 'a'. 'containerPort' can not be specified together"},
        {PORTS("bridge", "{'containerPortRange':'80-81','name':'-x'}"), "must not start with '-'"},
        {PORTS("bridge", RANGE("")), "Invalid 'containerPortRange' setting for container 'a': ''."},
        {PORTS("bridge", RANGE("80")), "It must be first-last, both between 1 and 65535"},
        {PORTS("awsvpc", RANGE("81-80")), "'81-80'. It must be first-last"},
        {PORTS("bridge", RANGE("80-80")), "the first lower than the last."},
        {PORTS("bridge", RANGE("0-5")), "'0-5'"},
        {PORTS("bridge", RANGE("65535-65536")), "'65535-65536'"},
        {PORTS("bridge", RANGE("80-90") "," RANGE("90-100")), "80-90 overlaps with another port mapping."},
        {PORTS("awsvpc", RANGE("80-90") ",{'containerPort':85,'protocol':'udp'}"), "80-90 overlaps"},
        {PORTS("awsvpc", "{'containerPort':80}," RANGE("70-80")), "70-80 overlaps"},
        {PORTS("bridge", RANGE("1000-1999") "," RANGE("1-2")), "its ranges can have at most 1000 ports in naru."},
    };
    cleanup(world_done) struct world w;
    cleanup(strbuf_done) struct strbuf list = {0};

    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        world_refuse(&w, "RegisterTaskDefinition", cases[i].input, "ClientException", cases[i].message);
    for (int i = 0; i <= PORTS_MAX; i++) {
        const char *input = "{'family':'f','containerDefinitions':[{'name':'a','image':'i','memory':9,"
                            "'portMappings':[%s]}]}";
        if (i == PORTS_MAX) /* a hundred are taken, the one more is not */
            world_call(&w, "RegisterTaskDefinition", input, strbuf_cstr(&list));
        strbuf_addf(&list, "%s{'containerPortRange':'%d-%d'}", i > 0 ? "," : "", 10 * i + 1, 10 * i + 10);
        if (i < PORTS_MAX)
            continue;
        cleanup_free char *text = text_format(input, strbuf_cstr(&list));
        world_refuse(&w, "RegisterTaskDefinition", text, "ClientException",
                     "Container 'a' has more than 100 port mappings.");
    }
    /* What only touches does not overlap, and an address of its own has room for everything. */
    world_call(&w, "RegisterTaskDefinition", PORTS("bridge", RANGE("80-90") "," RANGE("91-100") ",{'containerPort':79}"));
    world_call(&w, "RegisterTaskDefinition", PORTS("bridge", RANGE("1000-1999")));
    world_call(&w, "RegisterTaskDefinition", PORTS("awsvpc", RANGE("1-65535")));
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'f','requiresCompatibilities':['FARGATE'],'networkMode':'awsvpc','cpu':'256','memory':'512',"
               "'containerDefinitions':[{'name':'a','image':'i','portMappings':[" RANGE("8000-8010") "]}]}");
#undef PORTS
#undef RANGE
}

TEST(what_no_task_would_get_is_refused_when_it_is_registered)
{
#define VOLUME(member)                                                                             \
    "{'family':'f','volumes':[{'name':'v'," member "}],'containerDefinitions':[{'name':'a','image':'i'," \
    "'memory':9}]}"
#define TASK(member)                                                                               \
    "{'family':'f'," member ",'containerDefinitions':[{'name':'a','image':'i','memory':9}]}"
    static const struct {
        const char *input, *message;
    } cases[] = {
        {ONE(",'memory':9,'environmentFiles':[{'value':'arn:aws:s3:::b/k.env','type':'s3'}]"),
         "environmentFiles is not built"},
        {ONE(",'memory':9,'resourceRequirements':[{'type':'NeuronDevice','value':'ALL'}]"),
         "Container 'a': a resource requirement of type NeuronDevice is not built in naru yet."},
        {ONE(",'memory':9,'resourceRequirements':[{'type':'InferenceAccelerator','value':'d'}]"),
         "InferenceAccelerator is not built"},
        {ONE(",'memory':9,'resourceRequirements':[{'type':'GPU','value':'ALL'}]"),
         "Container 'a': ALL of a GPU requirement is not built in naru yet."},
        {ONE(",'memory':9,'resourceRequirements':[{'type':'GPU','value':'1','sharingStrategy':{}}]"),
         "sharingStrategy of a GPU requirement is not built"},
        {ONE(",'memory':9,'repositoryCredentials':{'credentialsParameter':'x'}"),
         "repositoryCredentials is not built"},
        {ONE(",'memory':9,'firelensConfiguration':{'type':'fluentbit'}"),
         "Container 'a': firelensConfiguration is not built in naru yet."},
        {ONE(",'memory':9,'credentialSpecs':['credentialspec:x']"), "credentialSpecs is not built"},
        {ONE(",'memory':9,'logConfiguration':{'logDriver':'awsfirelens'}"),
         "logConfiguration.logDriver awsfirelens is not built"},
        {ONE(",'memory':9,'logConfiguration':{'logDriver':'splunk','secretOptions':[{'name':'t',"
             "'valueFrom':'x'}]}"), "logConfiguration.secretOptions is not built"},
        {VOLUME("'efsVolumeConfiguration':{'fileSystemId':'fs-1'}"),
         "Volume 'v': efsVolumeConfiguration is not built in naru yet."},
        {VOLUME("'configuredAtLaunch':true"), "configuredAtLaunch is not built"},
        {TASK("'enableFaultInjection':true"), "enableFaultInjection is not built in naru yet."},
        {TASK("'proxyConfiguration':{'containerName':'a'}"), "proxyConfiguration is not built"},
        {TASK("'placementConstraints':[{'type':'memberOf','expression':'x'}]"),
         "Invalid expression: a subject"},
        {TASK("'placementConstraints':[{'type':'memberOf'}]"), "Invalid expression: a subject"},
        {TASK("'inferenceAccelerators':[{'deviceName':'d','deviceType':'t'}]"),
         "inferenceAccelerators is not built"},
    };
    cleanup(world_done) struct world w;

    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        world_refuse(&w, "RegisterTaskDefinition", cases[i].input, "ClientException", cases[i].message);
    CHECK_EQ(json_size(json_get(world_call(&w, "ListTaskDefinitions", "{}"), "taskDefinitionArns")), 0);
    /* what describe-task-definition writes out for their absence */
    world_call(&w, "RegisterTaskDefinition",
               ONE(",'memory':9,'secrets':[],'environmentFiles':[],'resourceRequirements':[]"));
    world_call(&w, "RegisterTaskDefinition", TASK("'enableFaultInjection':false,'placementConstraints':[]"));
    world_call(&w, "RegisterTaskDefinition",
               TASK("'placementConstraints':[{'type':'memberOf','expression':'attribute:a == b'}]"));
    world_call(&w, "RegisterTaskDefinition", VOLUME("'configuredAtLaunch':false"));
#undef VOLUME
#undef TASK
}

TEST(gpus_are_a_positive_number_and_no_fargate_task_has_any)
{
#define REQUIRED(list) ",'memory':9,'resourceRequirements':[" list "]"
    static const char *const values[] = {"0", "-1", "+1", "1.5", "", "one", " 1", "1025", "99999999999999999999"};
    cleanup(world_done) struct world w;
    const struct json *td;

    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        cleanup_free char *input = text_format(ONE(REQUIRED("{'type':'GPU','value':'%s'}")), values[i]);
        world_refuse(&w, "RegisterTaskDefinition", input, "ClientException",
                     "Invalid setting for container 'a'. The value of its GPU requirement must be a positive integer");
    }
    world_refuse(&w, "RegisterTaskDefinition", ONE(REQUIRED("{'type':'GPU'}")), "ClientException",
                 "must be a positive integer");
    world_refuse(&w, "RegisterTaskDefinition", ONE(REQUIRED("{'type':'GPU','value':'1'},{'type':'GPU','value':'1'}")),
                 "ClientException", "Invalid setting for container 'a'. It has more than one GPU requirement.");
    world_refuse(&w, "RegisterTaskDefinition",
                 "{'family':'f','requiresCompatibilities':['FARGATE'],'networkMode':'awsvpc','cpu':'256',"
                 "'memory':'512','containerDefinitions':[{'name':'a','image':'i',"
                 "'resourceRequirements':[{'type':'GPU','value':'1'}]}]}",
                 "ClientException", "Fargate does not support 'resourceRequirements'.");
    td = json_get(world_call(&w, "RegisterTaskDefinition",
                             "{'family':'f','networkMode':'awsvpc','cpu':'256','memory':'512',"
                             "'containerDefinitions':[{'name':'a','image':'i',"
                             "'resourceRequirements':[{'type':'GPU','value':'2'}]}]}"), "taskDefinition");
    CHECK_EQ(json_size(json_get(td, "compatibilities")), 1);
    CHECK_TEXT(json_cstr(json_at(json_get(td, "compatibilities"), 0), ""), "EC2");
    td = json_at(json_get(json_at(json_get(td, "containerDefinitions"), 0), "resourceRequirements"), 0);
    CHECK_TEXT(json_get_cstr(td, "type", ""), "GPU");
    CHECK_TEXT(json_get_cstr(td, "value", ""), "2");
#undef REQUIRED
}

/* Users' pain 8 of ecs.md 11; the cap of ECS is 120 s there. */
TEST(a_long_stop_timeout_is_taken_with_fargate_too)
{
    cleanup(world_done) struct world w;
    const struct json *c;

    world_init(&w);
    world_call(&w, "RegisterTaskDefinition", FARGATE("256", "512", ",'stopTimeout':3600,'startTimeout':120"));
    c = json_at(json_get(json_get(w.answer, "taskDefinition"), "containerDefinitions"), 0);
    CHECK_EQ(json_get_i64(c, "stopTimeout", 0), 3600);
    world_refuse(&w, "RegisterTaskDefinition", FARGATE("256", "512", ",'startTimeout':121"),
                 "ClientException", "startTimeout of at most 120 seconds");
}

TEST(definitions_are_listed_in_order_and_deregistered)
{
    cleanup(world_done) struct world w;
    const struct json *a;

    world_prepare(&w);
    for (int i = 0; i < 10; i++)
        world_call(&w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'web-2','containerDefinitions':[{'name':'a','image':'i','memory':9}]}");
    a = json_get(world_call(&w, "ListTaskDefinitions", "{}"), "taskDefinitionArns");
    CHECK_EQ(json_size(a), 12);
    CHECK_TEXT(json_cstr(json_at(a, 1), ""), WORLD_ARN "task-definition/web:2");
    CHECK_TEXT(json_cstr(json_at(a, 10), ""), WORLD_ARN "task-definition/web:11");
    CHECK_TEXT(json_cstr(json_at(a, 11), ""), WORLD_ARN "task-definition/web-2:1");
    a = json_get(world_call(&w, "ListTaskDefinitions",
                            "{'familyPrefix':'web','sort':'DESC','maxResults':1}"),
                 "taskDefinitionArns");
    CHECK_TEXT(json_cstr(json_at(a, 0), ""), WORLD_ARN "task-definition/web:11");
    CHECK_EQ(json_size(json_get(world_call(&w, "ListTaskDefinitionFamilies", "{'familyPrefix':'we'}"),
                                "families")), 2);
    world_refuse(&w, "DeregisterTaskDefinition", "{'taskDefinition':'web'}", "ClientException",
                 "Revision is missing.");
    world_refuse(&w, "DescribeTaskDefinition", "{'taskDefinition':'web:zero'}",
                 "InvalidParameterException", "Invalid revision number. Number: zero");
    world_refuse(&w, "DescribeTaskDefinition", "{'taskDefinition':'nope'}", "ClientException",
                 "Unable to describe task definition.");
    a = json_get(world_call(&w, "DeregisterTaskDefinition", "{'taskDefinition':'web:11'}"),
                 "taskDefinition");
    CHECK_TEXT(text_at(a, "status"), "INACTIVE");
    CHECK(json_get(a, "deregisteredAt") != NULL);
    a = json_get(world_call(&w, "DescribeTaskDefinition", "{'taskDefinition':'web'}"), "taskDefinition");
    CHECK_EQ(json_get_i64(a, "revision", 0), 10);
    world_refuse(&w, "RunTask", "{'cluster':'c','taskDefinition':'web:11'}", "ClientException",
                 "TaskDefinition is inactive");
}
