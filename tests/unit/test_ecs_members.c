/* SPDX-License-Identifier: MIT */
/* Every member of task definitions and services: what is kept is shown as it was given, what is not
 * built is refused by its name, whole as a client would send it. */
#include "api_expect.h"

#define ALL_OF_APP                                                                                 \
    "{'name':'app','image':'localhost:4566/web:1','cpu':64,'memory':128,'memoryReservation':64,"   \
    "'links':['side:alias'],'portMappings':[{'containerPort':80,'hostPort':0,'protocol':'tcp',"    \
    "'name':'web','appProtocol':'http'},{'containerPort':81,'hostPort':8181,'protocol':'udp',"     \
    "'name':'more','appProtocol':'grpc'},{'containerPort':82,'hostPort':0,'protocol':'tcp',"       \
    "'name':'third','appProtocol':'http2'}],'essential':true,'restartPolicy':{'enabled':true,"     \
    "'ignoredExitCodes':[3,4],'restartAttemptPeriod':60},'entryPoint':['/bin/sh'],"                \
    "'command':['-c','serve'],'environment':[{'name':'A','value':'b'}],"                           \
    "'mountPoints':[{'sourceVolume':'path','containerPath':'/path','readOnly':true},"              \
    "{'sourceVolume':'shared','containerPath':'/shared','readOnly':false}],"                       \
    "'volumesFrom':[{'sourceContainer':'side','readOnly':true}],"                                  \
    "'linuxParameters':{'capabilities':{'add':['SYS_PTRACE'],'drop':['CHOWN']},"                   \
    "'devices':[{'hostPath':'/dev/null','containerPath':'/dev/nothing','permissions':['read',"     \
    "'write','mknod']}],'initProcessEnabled':true,'sharedMemorySize':64,"                          \
    "'tmpfs':[{'containerPath':'/tmp','size':16,'mountOptions':['noexec']}],'maxSwap':32,"         \
    "'swappiness':10},'dependsOn':[{'containerName':'init','condition':'SUCCESS'},"                \
    "{'containerName':'done','condition':'COMPLETE'},{'containerName':'side',"                     \
    "'condition':'HEALTHY'},{'containerName':'last','condition':'START'}],'startTimeout':30,"      \
    "'stopTimeout':7,'versionConsistency':'enabled','hostname':'host','user':'1000:1000',"         \
    "'workingDirectory':'/work','disableNetworking':false,'privileged':true,"                      \
    "'readonlyRootFilesystem':true,'dnsServers':['10.0.0.2'],"                                     \
    "'dnsSearchDomains':['example.com'],'extraHosts':[{'hostname':'db',"                           \
    "'ipAddress':'10.0.0.3'}],'dockerSecurityOptions':['no-new-privileges'],'interactive':true,"   \
    "'pseudoTerminal':true,'dockerLabels':{'team':'web'},'ulimits':[{'name':'nofile',"             \
    "'softLimit':10,'hardLimit':20}],'logConfiguration':{'logDriver':'json-file',"                 \
    "'options':{'max-size':'1m'}},'healthCheck':{'command':['CMD','true'],'interval':10,"          \
    "'timeout':5,'retries':2,'startPeriod':15},'systemControls':[{"                                \
    "'namespace':'net.core.somaxconn','value':'1024'}]}"
#define OTHERS                                                                                   \
    "{'name':'init','image':'i','memory':16,'essential':false,'versionConsistency':'disabled'},"   \
    "{'name':'done','image':'i','memory':16,'essential':false},{'name':'side','image':'i',"        \
    "'memory':16,'healthCheck':{'command':['CMD-SHELL','true'],'interval':30,'timeout':5,"         \
    "'retries':3}},{'name':'last','image':'i','memory':16}"
#define VOLUMES                                                                                 \
    "[{'name':'path','host':{'sourcePath':'/srv'}},{'name':'shared',"                              \
    "'dockerVolumeConfiguration':{'scope':'shared','autoprovision':true,'driver':'local',"         \
    "'driverOpts':{'type':'tmpfs'},'labels':{'a':'b'}}},{'name':'task',"                           \
    "'dockerVolumeConfiguration':{'scope':'task','driver':'local'}}]"

/* ---- task definitions ---- */

TEST(a_definition_is_shown_with_every_member_it_was_registered_with)
{
    cleanup(world_done) struct world w;

    world_init(&w);
    world_call(
        &w, "RegisterTaskDefinition",
        "{'family':'all','taskRoleArn':'worker','executionRoleArn':'puller',"
        "'networkMode':'bridge','cpu':'512','memory':'1024','pidMode':'task','ipcMode':'task',"
        "'requiresCompatibilities':['EC2'],'runtimePlatform':{'cpuArchitecture':'X86_64',"
        "'operatingSystemFamily':'LINUX'},'enableFaultInjection':false,"
        "'placementConstraints':[{'type':'memberOf','expression':'attribute:a == b'}],"
        "'ephemeralStorage':{'sizeInGiB':30},'tags':[{'key':'k','value':'v'}],'volumes':" VOLUMES
        ",'containerDefinitions':[" ALL_OF_APP "," OTHERS "]}");
#define ALL_OF_IT                                                                                  \
    "{'tags':[{'key':'k','value':'v'}],'taskDefinition':{'taskDefinitionArn':'" WORLD_ARN          \
    "task-definition/all:1','family':'all','revision':1,'status':'ACTIVE',"                        \
    "'taskRoleArn':'arn:aws:iam::000000000000:role/worker',"                                       \
    "'executionRoleArn':'arn:aws:iam::000000000000:role/puller','networkMode':'bridge',"           \
    "'cpu':'512','memory':'1024','pidMode':'task','ipcMode':'task',"                               \
    "'requiresCompatibilities':['EC2'],'compatibilities':['EC2'],"                                 \
    "'runtimePlatform':{'cpuArchitecture':'X86_64','operatingSystemFamily':'LINUX'},"              \
    "'placementConstraints':[{'type':'memberOf','expression':'attribute:a == b'}],"                \
    "'requiresAttributes':'*','ephemeralStorage':{'sizeInGiB':30},'registeredAt':'*',"             \
    "'registeredBy':'arn:aws:iam::000000000000:root',"                                             \
    "'deregisteredAt':null,'volumes':" VOLUMES ",'containerDefinitions':[" ALL_OF_APP "," OTHERS   \
    "]}}"
    world_expects(&w, "%s", ALL_OF_IT);
    world_call(&w, "DescribeTaskDefinition", "{'taskDefinition':'all','include':['TAGS']}");
    world_expects(&w, "%s", ALL_OF_IT);
    world_call(&w, "DescribeTaskDefinition", "{'taskDefinition':'all:1'}");
    world_expects(&w, "{'tags':null,'taskDefinition':{'family':'all'}}");
    world_call(&w, "DeregisterTaskDefinition", "{'taskDefinition':'all:1'}");
    world_expects(
        &w,
        "{'taskDefinition':{'status':'INACTIVE','deregisteredAt':'*','deleteRequestedAt':null}}");
    world_call(&w, "DescribeTaskDefinition", "{'taskDefinition':'all:1'}");
    world_expects(&w, "{'taskDefinition':{'status':'INACTIVE'}}");
    world_refuse(&w, "DescribeTaskDefinition", "{'taskDefinition':'all'}", "ClientException",
                 "Unable to describe task definition.");
    world_call(&w, "DeleteTaskDefinitions", "{'taskDefinitions':['all:1']}");
    world_expects(&w, "{'failures':[],'taskDefinitions':[{'status':'DELETE_IN_PROGRESS','"
                      "deleteRequestedAt':'*'}]}");
}

TEST(each_value_of_a_definitions_enums_is_taken_and_shown)
{
    static const char *const drivers[] = {"json-file", "syslog",  "journald",
                                          "gelf",      "fluentd", "splunk"};
    static const char *const limits[] = {"core",    "cpu",      "data",   "fsize",      "locks",
                                         "memlock", "msgqueue", "nice",   "nofile",     "nproc",
                                         "rss",     "rtprio",   "rttime", "sigpending", "stack"};
    static const char *const systems[] = {
        "WINDOWS_SERVER_2019_FULL", "WINDOWS_SERVER_2019_CORE", "WINDOWS_SERVER_2016_FULL",
        "WINDOWS_SERVER_2004_CORE", "WINDOWS_SERVER_2022_CORE", "WINDOWS_SERVER_2022_FULL",
        "WINDOWS_SERVER_2025_CORE", "WINDOWS_SERVER_2025_FULL", "WINDOWS_SERVER_20H2_CORE"};
    static const char *const shared[][2] = {{"pidMode", "host"},     {"pidMode", "task"},
                                            {"ipcMode", "host"},     {"ipcMode", "task"},
                                            {"ipcMode", "none"},     {"networkMode", "none"},
                                            {"networkMode", "host"}, {"networkMode", "bridge"}};
    cleanup(world_done) struct world w;

    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(drivers); i++) {
        world_call(&w, "RegisterTaskDefinition",
                   "{'family':'f','containerDefinitions':[{'name':'a','image':'i','memory':9,"
                   "'logConfiguration':{'logDriver':'%s'}}]}",
                   drivers[i]);
        world_expects(
            &w,
            "{'taskDefinition':{'containerDefinitions':[{'logConfiguration':{'logDriver':'%s'}}]}}",
            drivers[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        world_call(
            &w, "RegisterTaskDefinition",
            "{'family':'f','containerDefinitions':[{'name':'a','image':'i','memory':9,"
            "'ulimits':[{'name':'%s','softLimit':1,'hardLimit':2}]}]}",
            limits[i]);
        world_expects(
            &w,
            "{'taskDefinition':{'containerDefinitions':[{'ulimits':[{'name':'%s','softLimit':1,"
            "'hardLimit':2}]}]}}",
            limits[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(systems); i++) {
        world_call(&w, "RegisterTaskDefinition",
                   "{'family':'win','runtimePlatform':{'cpuArchitecture':'ARM64',"
                   "'operatingSystemFamily':'%s'},'containerDefinitions':[{'name':'a',"
                   "'image':'i','memory':9}]}",
                   systems[i]);
        world_expects(&w,
                      "{'taskDefinition':{'runtimePlatform':{'cpuArchitecture':'ARM64',"
                      "'operatingSystemFamily':'%s'}}}",
                      systems[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(shared); i++) {
        world_call(
            &w, "RegisterTaskDefinition",
            "{'family':'f','%s':'%s','containerDefinitions':[{'name':'a','image':'i','memory':9}]}",
            shared[i][0], shared[i][1]);
        world_expects(&w, "{'taskDefinition':{'%s':'%s'}}", shared[i][0], shared[i][1]);
    }
}

TEST(what_a_definition_can_not_have_is_refused_with_all_it_was_given)
{
#define WITH(members) \
    "{'family':'f','containerDefinitions':[{'name':'a','image':'i','memory':9," members "}]}"
#define VOLUME(members)                             \
    "{'family':'f','volumes':[{'name':'v'," members \
    "}],'containerDefinitions':[{'name':'a','image':'i','memory':9}]}"
#define TASK(members) \
    "{'family':'f'," members ",'containerDefinitions':[{'name':'a','image':'i','memory':9}]}"
    static const struct {
        const char *input, *message;
    } cases[] = {
        {WITH("'resourceRequirements':[{'type':'NeuronDevice','value':'1','sharingStrategy':{}}]"),
         "a resource requirement of type NeuronDevice is not built"},
        {WITH("'resourceRequirements':[{'type':'InferenceAccelerator','value':'device'}]"),
         "a resource requirement of type InferenceAccelerator is not built"},
        {WITH("'firelensConfiguration':{'type':'fluentd','options':{'enable-ecs-log-metadata':'"
              "true'}}"),
         "firelensConfiguration is not built"},
        {WITH("'environmentFiles':[{'value':'arn:aws:s3:::b/k.env','type':'s3'}]"),
         "environmentFiles is not built"},
        {WITH("'repositoryCredentials':{'credentialsParameter':'x'}"),
         "repositoryCredentials is not built"},
        {VOLUME("'efsVolumeConfiguration':{'fileSystemId':'fs-1','rootDirectory':'/"
                "','transitEncryption':'ENABLED','transitEncryptionPort':2049,"
                "'authorizationConfig':{'accessPointId':'ap','iam':'ENABLED'}}"),
         "efsVolumeConfiguration is not built"},
        {VOLUME("'efsVolumeConfiguration':{'fileSystemId':'fs-1','transitEncryption':'DISABLED','"
                "authorizationConfig':{'iam':'DISABLED'}}"),
         "efsVolumeConfiguration is not built"},
        {VOLUME("'s3filesVolumeConfiguration':{'fileSystemArn':'arn:f','rootDirectory':'/"
                "','transitEncryptionPort':2049,'accessPointArn':'arn:a'}"),
         "s3filesVolumeConfiguration is not built"},
        {VOLUME("'fsxWindowsFileServerVolumeConfiguration':{'fileSystemId':'fs','rootDirectory':'d'"
                ",'authorizationConfig':{'credentialsParameter':'c','domain':'d'}}"),
         "fsxWindowsFileServerVolumeConfiguration is not built"},
        {TASK("'proxyConfiguration':{'type':'APPMESH','containerName':'a','properties':[{'name':'n'"
              ",'value':'v'}]}"),
         "proxyConfiguration is not built"},
        {TASK("'inferenceAccelerators':[{'deviceName':'d','deviceType':'t'}]"),
         "inferenceAccelerators is not built"},
        {TASK("'requiresCompatibilities':['MANAGED_INSTANCES']"),
         "compatibility MANAGED_INSTANCES is not built"},
        {TASK("'enableFaultInjection':true"), "enableFaultInjection is not built"},
    };
    cleanup(world_done) struct world w;

    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        world_refuse(&w, "RegisterTaskDefinition", cases[i].input, "ClientException",
                     cases[i].message);
    world_call(&w, "ListTaskDefinitions", "{'status':'ACTIVE','sort':'ASC'}");
    world_expects(&w, "{'taskDefinitionArns':[],'nextToken':null}");
#undef WITH
#undef VOLUME
#undef TASK
}

/* ---- services ---- */

#define DEFINITION                                                                   \
    "{'family':'web','containerDefinitions':[{'name':'app','image':'localhost:4566/web:1',"        \
    "'memory':64,'memoryReservation':32,'portMappings':[{'containerPort':80}]}]}"
#define FARGATE_DEFINITION                                                                         \
    "{'family':'fargate','networkMode':'awsvpc','requiresCompatibilities':['FARGATE'],"            \
    "'cpu':'256','memory':'512','ephemeralStorage':{'sizeInGiB':25},"                              \
    "'containerDefinitions':[{'name':'app','image':'localhost:4566/web:1'}]}"

static void
prepare(struct world *w)
{
    world_init(w);
    world_call(w, "CreateCluster", "{'clusterName':'c'}");
    world_call(w, "RegisterTaskDefinition", "%s", DEFINITION);
    world_call(w, "RegisterTaskDefinition", "%s", FARGATE_DEFINITION);
}

TEST(a_service_is_shown_with_every_member_and_default)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,"
               "'clientToken':'once','role':'r','deploymentController':{'type':'ECS'},"
               "'propagateTags':'TASK_DEFINITION','enableECSManagedTags':true,'monitoring':{},"
               "'gatewayConnectors':[],'vpcLatticeConfigurations':[],'volumeConfigurations':[],"
               "'serviceRegistries':[],'serviceConnectConfiguration':{'enabled':false}}");
    world_expects(
        &w,
        "{'service':{'serviceArn':'" WORLD_ARN
        "service/c/s','serviceName':'s','clusterArn':'" WORLD_ARN
        "cluster/c','loadBalancers':[],'serviceRegistries':[],'status':'ACTIVE','desiredCount':1,"
        "'runningCount':0,'pendingCount':0,'launchType':'EC2','capacityProviderStrategy':null,"
        "'platformVersion':null,'platformFamily':null,'taskDefinition':'" WORLD_ARN
        "task-definition/web:1','deploymentConfiguration':{'strategy':'ROLLING',"
        "'bakeTimeInMinutes':0,'maximumPercent':200,'minimumHealthyPercent':100,"
        "'alarms':{'alarmNames':[],'enable':false,'rollback':false},"
        "'deploymentCircuitBreaker':{'enable':false,'rollback':false,'resetOnHealthyTask':true,"
        "'thresholdConfiguration':{'type':'BOUNDED_PERCENT','value':50}}},"
        "'deployments':[{'id':'ecs-svc/*','status':'PRIMARY','taskDefinition':'" WORLD_ARN
        "task-definition/web:1','desiredCount':1,'pendingCount':0,'runningCount':0,"
        "'failedTasks':0,'createdAt':'*','updatedAt':'*','launchType':'EC2',"
        "'rolloutState':'IN_PROGRESS','rolloutStateReason':'ECS deployment ecs-svc/*'}],"
        "'roleArn':null,'events':[],'createdAt':'*','currentServiceDeployment':'" WORLD_ARN
        "service-deployment/c/s/*','currentServiceRevisions':"
        "[{'arn':'" WORLD_ARN "service-revision/c/s/*','requestedTaskCount':1,'runningTaskCount':0,"
        "'pendingTaskCount':0}],'placementConstraints':[],'placementStrategy':[],"
        "'healthCheckGracePeriodSeconds':null,'schedulingStrategy':'REPLICA',"
        "'deploymentController':{'type':'ECS'},'tags':[],"
        "'createdBy':'arn:aws:iam::000000000000:root','enableECSManagedTags':true,"
        "'propagateTags':'TASK_DEFINITION','enableExecuteCommand':false,"
        "'availabilityZoneRebalancing':'ENABLED','resourceManagementType':'CUSTOMER'}}");
    world_wait(&w, 60000);
    world_call(&w, "DescribeServices", "{'cluster':'c','services':['s'],'include':['TAGS']}");
    world_expects(
        &w, "{'failures':[],'services':[{'runningCount':1,'pendingCount':0,'tags':[],'deployments':"
            "[{'runningCount':1,'rolloutState':'COMPLETED',"
            "'rolloutStateReason':'ECS deployment ecs-svc/*'}],"
            "'currentServiceRevisions':[{'requestedTaskCount':1,'runningTaskCount':1,"
            "'pendingTaskCount':0}],'events':[{'id':'*','createdAt':'*',"
            "'message':'(service s) (deployment ecs-svc/*'},"
            "{'message':'(service s) has reached a steady state.'},"
            "{'message':'(service s) has started 1 tasks: (task *'}]}]}");
    world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}");
    world_expects(&w, "{'services':[{'tags':null}]}");
}

TEST(a_fargate_service_shows_its_network_and_platform_in_four_places)
{
#define NETWORK                                                                             \
    "{'awsvpcConfiguration':{'subnets':['subnet-1','subnet-2'],'securityGroups':['sg-1'],"         \
    "'assignPublicIp':'ENABLED'}}"
#define WORKLOAD \
    "'networkConfiguration':" NETWORK ",'platformVersion':'1.4.0','platformFamily':'Linux'"
    cleanup(world_done) struct world w;
    char revision[ARN_SIZE], task[ARN_SIZE];

    prepare(&w);
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'fargate','desiredCount':1,"
               "'launchType':'FARGATE',"
               "'platformVersion':'1.4.0','networkConfiguration':" NETWORK "}");
    world_expects(&w, "{'service':{'launchType':'FARGATE'," WORKLOAD
                      ",'deployments':[{'launchType':'FARGATE'," WORKLOAD
                      "}],'availabilityZoneRebalancing':'*'}}");
    snprintf(revision, sizeof(revision), "%s", w.core->services->revisions[0]->arn);
    world_wait(&w, 60000);
    world_call(&w, "DescribeServiceRevisions", "{'serviceRevisionArns':['%s']}", revision);
    world_expects(
        &w,
        "{'failures':[],'serviceRevisions':[{'serviceRevisionArn':'%s','serviceArn':'" WORLD_ARN
        "service/c/s','clusterArn':'" WORLD_ARN "cluster/c','taskDefinition':'" WORLD_ARN
        "task-definition/fargate:1','launchType':'FARGATE'," WORKLOAD ",'loadBalancers':[],"
        "'containerImages':[{'containerName':'app','imageDigest':'sha256:*',"
        "'image':'localhost:4566/web:1'}],'guardDutyEnabled':false,'createdAt':'*',"
        "'resolvedConfiguration':null}]}",
        revision);
    snprintf(task, sizeof(task), "%s", w.core->services->live->arn);
    world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s']}", task);
    world_expects(
        &w,
        "{'tasks':[{'launchType':'FARGATE','platformVersion':'1.4.0','platformFamily':'Linux',"
        "'ephemeralStorage':{'sizeInGiB':25},'fargateEphemeralStorage':{'sizeInGiB':25},"
        "'inferenceAccelerators':[],'containerInstanceArn':null,'connectivity':'CONNECTED',"
        "'connectivityAt':'*','createdAt':'*','startedAt':'*','stoppedAt':null,'stoppingAt':null,"
        "'executionStoppedAt':null,'attachments':'*'}]}");
    world_call(&w, "UpdateService",
               "{'cluster':'c','service':'s','networkConfiguration':{'awsvpcConfiguration':{"
               "'subnets':['subnet-3'],'assignPublicIp':'DISABLED'}}}");
    world_expects(&w, "{'service':{'deployments':[{'status':'PRIMARY','networkConfiguration':{'"
                      "awsvpcConfiguration':{'subnets':['subnet-3'],'securityGroups':[],"
                      "'assignPublicIp':'DISABLED'}}},"
                      "{'status':'ACTIVE','networkConfiguration':" NETWORK "}]}}");
    world_refuse(&w, "CreateService",
                 "{'cluster':'c','serviceName':'t','taskDefinition':'fargate','desiredCount':1,"
                 "'launchType':'FARGATE',"
                 "'platformVersion':'9.9','networkConfiguration':" NETWORK "}",
                 "PlatformUnknownException", "platform version");
    world_refuse(&w, "UpdateService", "{'cluster':'c','service':'s','platformVersion':'9.9'}",
                 "PlatformUnknownException", "platform version");
    world_refuse(
        &w, "RunTask",
        "{'cluster':'c','taskDefinition':'fargate','launchType':'FARGATE','platformVersion':'9.9',"
        "'networkConfiguration':" NETWORK "}",
        "PlatformUnknownException", "platform version");
    world_call(&w, "RunTask",
               "{'cluster':'c','taskDefinition':'fargate','launchType':'FARGATE','platformVersion':"
               "'1.3.0','networkConfiguration':" NETWORK "}");
    world_expects(&w, "{'failures':[],'tasks':[{'platformVersion':'1.3.0'}]}");
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','platformVersion':'LATEST'}");
    world_expects(&w, "{'service':{'platformVersion':'LATEST'}}");
}

TEST(what_a_service_can_not_have_is_refused_with_all_it_was_given)
{
#define CONNECT(rest)                                                                              \
    "'serviceConnectConfiguration':{'enabled':true,'namespace':'n',"                               \
    "'services':[{'portName':'web','discoveryName':'d','clientAliases':[{'port':80,"               \
    "'dnsName':'web','testTrafficRules':{'header':{'name':'h','value':{'exact':'e'}}}}],"          \
    "'ingressPortOverride':81,'timeout':{'idleTimeoutSeconds':1,'perRequestTimeoutSeconds':2},"    \
    "'tls':{'issuerCertificateAuthority':{'awsPcaAuthorityArn':'a'},'kmsKey':'k',"                 \
    "'roleArn':'r'}}],'logConfiguration':"                                                         \
    "{'logDriver':'journald'}," rest "}"
#define DISK(type)                                                                                \
    "'volumeConfigurations':[{'name':'v','managedEBSVolume':{'encrypted':true,'kmsKeyId':'k',"     \
    "'volumeType':'gp3','sizeInGiB':10,'snapshotId':'snap','volumeInitializationRate':100,"        \
    "'iops':3000,'throughput':125,'tagSpecifications':[{'resourceType':'volume',"                  \
    "'tags':[{'key':'k','value':'v'}],'propagateTags':'NONE'}],'roleArn':'r',"                     \
    "'filesystemType':'" type "'"
    static const struct {
        const char *members, *name;
    } unbuilt[] = {
        {CONNECT("'accessLogConfiguration':{'format':'TEXT','includeQueryParameters':'ENABLED'},"
                 "'containerConfigurations':[]"),
         "serviceConnectConfiguration"},
        {CONNECT("'accessLogConfiguration':{'format':'JSON','includeQueryParameters':'DISABLED'}"),
         "serviceConnectConfiguration"},
        {DISK("ext3") "}}]", "volumeConfigurations"},
        {DISK("ext4") "}}]", "volumeConfigurations"},
        {DISK("xfs") "}}]", "volumeConfigurations"},
        {DISK("ntfs") "}}]", "volumeConfigurations"},
        {"'vpcLatticeConfigurations':[{'roleArn':'r','targetGroupArn':'t','portName':'web','"
         "advancedConfiguration':{'alternateTargetGroupArn':'a','productionListenerRule':'p',"
         "'testListenerRule':'t'}}]",
         "vpcLatticeConfigurations"},
        {"'serviceRegistries':[{'registryArn':'r','port':80,'containerName':'app','containerPort':"
         "80}]",
         "serviceRegistries"},
        {"'gatewayConnectors':[{}]", "gatewayConnectors"},
        {"'monitoring':{'metricConfigurations':[{'metricNames':['CPUUtilization'],'"
         "resolutionSeconds':20}]}",
         "monitoring"},
        {"'enableExecuteCommand':true", "enableExecuteCommand"},
        {"'deploymentController':{'type':'CODE_DEPLOY'}", "deploymentController"},
        {"'deploymentConfiguration':{'alarms':{'alarmNames':['a'],'enable':true,'rollback':true}}",
         "alarms"},
        {"'loadBalancers':[{'loadBalancerName':'classic','containerName':'app','containerPort':80}"
         "]",
         "loadBalancerName"},
    };
    cleanup(world_done) struct world w;
    char input[8192];

    prepare(&w);
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1}");
    for (size_t i = 0; i < ARRAY_COUNT(unbuilt); i++) {
        snprintf(input, sizeof(input),
                 "{'cluster':'c','serviceName':'t','taskDefinition':'web','desiredCount':1,%s}",
                 unbuilt[i].members);
        world_refuse(&w, "CreateService", input, "UnsupportedFeatureException", unbuilt[i].name);
        snprintf(input, sizeof(input), "{'cluster':'c','service':'s',%s}", unbuilt[i].members);
        world_refuse(&w, "UpdateService", input, "UnsupportedFeatureException", unbuilt[i].name);
    }
    for (size_t i = 2; i < 6; i++) {
        snprintf(input, sizeof(input),
                 "{'cluster':'c','taskDefinition':'web',%.*s,"
                 "'terminationPolicy':{'deleteOnTermination':true}}}]}",
                 (int)strlen(unbuilt[i].members) - 3, unbuilt[i].members);
        world_refuse(&w, "RunTask", input, "UnsupportedFeatureException", "volumeConfigurations");
    }
    world_refuse(&w, "CreateService",
                 "{'cluster':'c','serviceName':'t','taskDefinition':'web','desiredCount':1,"
                 "'launchType':'EXTERNAL'}",
                 "UnsupportedFeatureException", "launchType EXTERNAL");
    world_refuse(&w, "CreateService",
                 "{'cluster':'c','serviceName':'t','taskDefinition':'web','desiredCount':1,"
                 "'launchType':'MANAGED_INSTANCES'}",
                 "UnsupportedFeatureException", "launchType MANAGED_INSTANCES");
}

TEST(a_circuit_breaker_and_early_success_keep_what_an_update_leaves_out)
{
#define UPDATE(config)              \
    world_call(&w, "UpdateService", \
               "{'cluster':'c','service':'s','deploymentConfiguration':{" config "}}")
    static const char *const types[] = {"COUNT", "UNBOUNDED_PERCENT", "BOUNDED_PERCENT"};
    cleanup(world_done) struct world w;

    prepare(&w);
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1}");
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        world_call(&w, "UpdateService",
                   "{'cluster':'c','service':'s','deploymentConfiguration':{"
                   "'deploymentCircuitBreaker':{'enable':true,'rollback':true,"
                   "'resetOnHealthyTask':false,'thresholdConfiguration':{'type':'%s',"
                   "'value':7}}}}",
                   types[i]);
        UPDATE("'deploymentCircuitBreaker':{'enable':true,'rollback':false}");
        world_expects(
            &w,
            "{'service':{'deploymentConfiguration':{'deploymentCircuitBreaker':{'enable':true,"
            "'rollback':false,'resetOnHealthyTask':false,'thresholdConfiguration':{'type':'%s',"
            "'value':7}}}}}",
            types[i]);
    }
    UPDATE("'earlySuccessCriteria':{'enable':true,'healthyPercent':100,'"
           "sourceServiceRevisionCleanup':'DEFERRED'},'alarms':{'alarmNames':['a'],"
           "'enable':false,'rollback':false}");
    world_expects(
        &w,
        "{'service':{'deploymentConfiguration':{'earlySuccessCriteria':{'enable':true,"
        "'healthyPercent':100,'sourceServiceRevisionCleanup':'DEFERRED'},"
        "'alarms':{'alarmNames':['a'],'enable':false,'rollback':false},'maximumPercent':200,"
        "'minimumHealthyPercent':100}}}");
    UPDATE("'earlySuccessCriteria':{'enable':true,'healthyPercent':100,'"
           "sourceServiceRevisionCleanup':'BLOCKING'}");
    world_expects(&w, "{'service':{'deploymentConfiguration':{'earlySuccessCriteria':{'"
                      "sourceServiceRevisionCleanup':'BLOCKING'},'alarms':{'alarmNames':['a']}}}}");
    world_refuse(&w, "UpdateService",
                 "{'cluster':'c','service':'s','deploymentConfiguration':{'strategy':'LINEAR',"
                 "'canaryConfiguration':{'canaryPercent':5,'canaryBakeTimeInMinutes':1}}}",
                 "InvalidParameterException", "canaryConfiguration is only valid");
    world_refuse(&w, "UpdateService",
                 "{'cluster':'c','service':'s','deploymentConfiguration':{'linearConfiguration':{"
                 "'stepPercent':5,'stepBakeTimeInMinutes':1}}}",
                 "InvalidParameterException", "linearConfiguration is only valid");
#undef UPDATE
}

TEST(an_update_of_what_is_no_deployment_starts_none)
{
    cleanup(world_done) struct world w;

    world_init(&w);
    world_call(&w, "CreateCluster", "{'clusterName':'c'}");
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'web','containerDefinitions':[{'name':'app',"
               "'image':'localhost:4566/web:1','memory':64,'healthCheck':{'command':['CMD-SHELL',"
               "'true']}}]}");
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1}");
    world_wait(&w, 60000);
    world_call(&w, "UpdateService",
               "{'cluster':'c','service':'s','desiredCount':2,'healthCheckGracePeriodSeconds':30,"
               "'enableECSManagedTags':true,'propagateTags':'SERVICE',"
               "'enableExecuteCommand':false,'deploymentController':{'type':'ECS'},"
               "'availabilityZoneRebalancing':'DISABLED','platformVersion':'',"
               "'gatewayConnectors':[],'monitoring':{},'serviceConnectConfiguration':{"
               "'enabled':false},'serviceRegistries':[],'volumeConfigurations':[],"
               "'vpcLatticeConfigurations':[],'placementStrategy':[{'type':'random'}]}");
    world_expects(&w,
                  "{'service':{'desiredCount':2,'healthCheckGracePeriodSeconds':30,"
                  "'enableECSManagedTags':true,'propagateTags':'SERVICE',"
                  "'enableExecuteCommand':false,'availabilityZoneRebalancing':'DISABLED',"
                  "'placementStrategy':[{'type':'random'}],'deployments':[{'status':'PRIMARY'}]}}");
}

/* ---- tasks ---- */

TEST(a_task_is_shown_from_its_start_to_its_end)
{
    cleanup(world_done) struct world w;
    char arn[ARN_SIZE];

    prepare(&w);
    world_call(&w, "RunTask",
               "{'cluster':'c','taskDefinition':'web','count':1,'group':'g','startedBy':'me',"
               "'referenceId':'ref','enableECSManagedTags':true,'enableExecuteCommand':false,"
               "'propagateTags':'NONE','launchType':'EC2','volumeConfigurations':[],"
               "'overrides':{'cpu':'256','memory':'200','taskRoleArn':'r','executionRoleArn':'e',"
               "'ephemeralStorage':{'sizeInGiB':22},'containerOverrides':[{'name':'app',"
               "'command':['x'],'environment':[{'name':'A','value':'b'}],'cpu':10,'memory':80,"
               "'memoryReservation':40,'environmentFiles':[],'resourceRequirements':[]}]}}");
    world_expects(
        &w,
        "{'failures':[],'tasks':[{'group':'g','startedBy':'me','lastStatus':'PENDING',"
        "'desiredStatus':'RUNNING','cpu':'256','memory':'200','launchType':'EC2',"
        "'containerInstanceArn':'*','enableExecuteCommand':false,'healthStatus':'UNKNOWN',"
        "'version':'*','overrides':{'cpu':'256','memory':'200','taskRoleArn':'r',"
        "'executionRoleArn':'e','ephemeralStorage':{'sizeInGiB':22},"
        "'inferenceAcceleratorOverrides':[],'containerOverrides':[{'name':'app','command':['x'],"
        "'environment':[{'name':'A','value':'b'}],'cpu':10,'memory':80,'memoryReservation':40}]},"
        "'tags':[{'key':'aws:ecs:clusterName','value':'c'}],'stopCode':null,"
        "'stoppedReason':null}]"
        "}");
    snprintf(arn, sizeof(arn), "%s", w.core->tasks->arn);
    world_settle(&w);
    world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s'],'include':['TAGS']}", arn);
    world_expects(&w,
                  "{'tasks':[{'lastStatus':'RUNNING','startedAt':'*',"
                  "'containers':[{'containerArn':'" WORLD_ARN
                  "container/c/*','taskArn':'%s','name':'app','image':'localhost:4566/web:1',"
                  "'imageDigest':null,'runtimeId':'runtime-of-*','lastStatus':'RUNNING',"
                  "'exitCode':null,'reason':null,'networkBindings':[{'bindIP':'0.0.0.0',"
                  "'containerPort':80,'hostPort':'*','protocol':'tcp'}],'networkInterfaces':[],"
                  "'healthStatus':'UNKNOWN','cpu':'0','memory':'64','memoryReservation':'32'}]}]}",
                  arn);
    world_call(&w, "StopTask", "{'cluster':'c','task':'%s','reason':'enough'}", arn);
    world_expects(
        &w,
        "{'task':{'desiredStatus':'STOPPED','stopCode':'UserInitiated','stoppedReason':'enough',"
        "'stoppingAt':'*'}}");
    world_settle(&w);
    world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s']}", arn);
    world_expects(
        &w,
        "{'tasks':[{'lastStatus':'STOPPED','executionStoppedAt':'*','stoppedAt':'*',"
        "'containers':[{'lastStatus':'STOPPED','exitCode':0}]}]}");
    world_call(&w, "ListTasks", "{'cluster':'c','desiredStatus':'RUNNING'}");
    world_expects(&w, "{'taskArns':[]}");
    world_call(&w, "ListTasks", "{'cluster':'c','desiredStatus':'PENDING'}");
    world_expects(&w, "{'taskArns':[]}");
    world_call(&w, "ListTasks", "{'cluster':'c','desiredStatus':'STOPPED'}");
    world_expects(&w, "{'taskArns':['%s']}", arn);
}

TEST(a_range_of_ports_is_shown_from_the_definition_to_the_running_task)
{
    cleanup(world_done) struct world w;
    const struct json *c;

    prepare(&w);
#define RANGES                                                                                     \
    "[{'containerPort':80,'hostPort':0,'protocol':'tcp'},{'containerPortRange':'8000-8010',"       \
    "'name':'many','appProtocol':'grpc','protocol':'tcp'},{'containerPortRange':'53-54',"          \
    "'protocol':'udp'}]"
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'web','containerDefinitions':[{'name':'app','image':'i','memory':64,"
               "'portMappings':[{'containerPort':80},{'containerPortRange':'8000-8010','name':'many',"
               "'appProtocol':'grpc'},{'containerPortRange':'53-54','protocol':'udp'}]}]}");
    world_expects(&w,
                  "{'taskDefinition':{'requiresAttributes':[{'name':"
                  "'ecs.capability.container-port-range'}],'containerDefinitions':[{"
                  "'portMappings':" RANGES "}]}}");
    c = json_at(json_get(json_get(w.answer, "taskDefinition"), "containerDefinitions"), 0);
    for (size_t i = 0; i < 3; i++) {
        const struct json *m = json_at(json_get(c, "portMappings"), i);
        CHECK_EQ(json_get(m, "hostPort") == NULL, i > 0);
        CHECK_EQ(json_get(m, "containerPort") == NULL, i > 0);
    }
    world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web'}");
    world_settle(&w);
    struct task_container running = w.core->tasks->containers[0];
    struct network_binding bindings[] = {{80, 32768, false, 0}, {8000, 40000, false, 11}, {53, 50000, true, 2}};
    running.binding_count = 3;
    running.bindings = bindings;
    world_step(&w, &(struct event){.type = EVENT_TASK_STATE,
                                   .task_state = {.task_id = w.core->tasks->id,
                                                  .status = TASK_RUNNING,
                                                  .containers = &running,
                                                  .container_count = 1}});
    world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s']}", w.core->tasks->arn);
    world_expects(&w,
                  "{'tasks':[{'containers':[{'networkBindings':[{'bindIP':'0.0.0.0','containerPort':80,"
                  "'hostPort':32768,'protocol':'tcp','containerPortRange':null,'hostPortRange':null},"
                  "{'bindIP':'0.0.0.0','containerPortRange':'8000-8010','hostPortRange':'40000-40010',"
                  "'protocol':'tcp','containerPort':null,'hostPort':null},"
                  "{'bindIP':'0.0.0.0','containerPortRange':'53-54','hostPortRange':'50000-50001',"
                  "'protocol':'udp'}]}]}]}");
    world_refuse(&w, "CreateService",
                 "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,"
                 "'loadBalancers':[{'targetGroupArn':'t','containerName':'app','containerPort':8010}]}",
                 "InvalidParameterException",
                 "The container app has port 8010 in a containerPortRange only");
    world_refuse(&w, "CreateService",
                 "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,"
                 "'loadBalancers':[{'targetGroupArn':'t','containerName':'app','containerPort':8011}]}",
                 "InvalidParameterException", "The container app did not have a container port 8011 defined.");
    world_refuse(&w, "CreateService",
                 "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,"
                 "'loadBalancers':[{'targetGroupArn':'t','containerName':'app','containerPort':80}]}",
                 "InvalidParameterException", "The target group t does not exist.");
#undef RANGES
}

TEST(overrides_that_are_not_built_are_refused_whole)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    world_refuse(
        &w, "RunTask",
        "{'cluster':'c','taskDefinition':'web','overrides':{'containerOverrides':[{'name':'app',"
        "'environmentFiles':[{'value':'arn:aws:s3:::b/k','type':'s3'}]}]}}",
        "UnsupportedFeatureException", "environmentFiles");
    world_refuse(
        &w, "RunTask",
        "{'cluster':'c','taskDefinition':'web','overrides':{'containerOverrides':[{'name':'app',"
        "'resourceRequirements':[{'type':'NeuronDevice','value':'1'}]}]}}",
        "InvalidParameterException", "NeuronDevice");
    world_refuse(
        &w, "RunTask",
        "{'cluster':'c','taskDefinition':'web','overrides':{'inferenceAcceleratorOverrides':[{"
        "'deviceName':'d','deviceType':'t'}]}}",
        "UnsupportedFeatureException", "inferenceAcceleratorOverrides");
    world_refuse(&w, "RunTask",
                 "{'cluster':'c','taskDefinition':'web','enableExecuteCommand':true}",
                 "UnsupportedFeatureException", "enableExecuteCommand");
    world_refuse(
        &w, "StartTask",
        "{'cluster':'c','taskDefinition':'fargate','containerInstances':['x'],'referenceId':'r',"
        "'networkConfiguration':{'awsvpcConfiguration':{'subnets':[]}}}",
        "InvalidParameterException", "subnets can not be empty.");
}

/* ---- clusters, instances, networks ---- */

TEST(a_cluster_shows_its_whole_configuration)
{
#define CONFIGURATION(logging)                                                                    \
    "{'executeCommandConfiguration':{'kmsKeyId':'k','logging':'" logging "','logConfiguration':{" \
    "'cloudWatchLogGroupName':'g','cloudWatchEncryptionEnabled':true,'s3BucketName':'b',"          \
    "'s3EncryptionEnabled':true,'s3KeyPrefix':'p'}},"                                              \
    "'managedStorageConfiguration':{'kmsKeyId':'k','fargateEphemeralStorageKmsKeyId':'f'}}"
    cleanup(world_done) struct world w;

    world_init(&w);
    world_call(&w, "CreateCluster",
               "{'clusterName':'c','configuration':" CONFIGURATION("DEFAULT") "}");
    world_expects(&w, "{'cluster':{'clusterArn':'" WORLD_ARN
                      "cluster/c','clusterName':'c','status':'ACTIVE','configuration':" CONFIGURATION(
                          "DEFAULT") ",'registeredContainerInstancesCount':1,"
                                     "'runningTasksCount':0,'pendingTasksCount':0,"
                                     "'activeServicesCount':0,'statistics':[],'tags':[],"
                                     "'settings':[{'name':'containerInsights',"
                                     "'value':'disabled'}],'capacityProviders':[],"
                                     "'defaultCapacityProviderStrategy':[]}}");
    world_call(&w, "UpdateCluster", "{'cluster':'c','configuration':" CONFIGURATION("NONE") "}");
    world_call(&w, "DescribeClusters", "{'clusters':['c'],'include':['CONFIGURATIONS']}");
    world_expects(&w, "{'failures':[],'clusters':[{'configuration':" CONFIGURATION("NONE") "}]}");
}

TEST(an_instance_shows_its_health_and_its_resources_in_ecs_form)
{
#define NUMBER(name, n)                                                                            \
    "{'name':'" name "','type':'INTEGER','doubleValue':0.0,'longValue':0,'integerValue':" #n "}"
#define SET(name)                                                                                  \
    "{'name':'" name "','type':'STRINGSET','doubleValue':0.0,'longValue':0,'integerValue':0,"      \
    "'stringSetValue':[]}"
#define RESOURCES                                                                                  \
    "[" NUMBER("CPU", 4096) "," NUMBER("MEMORY", 8192) "," SET("PORTS") "," SET("PORTS_UDP") "]"
    cleanup(world_done) struct world w;
    struct err err = {0};
    cleanup_json struct json *doc =
        json_parse(STR("{\"versionInfo\":{\"agentVersion\":\"1.2.3\",\"agentHash\":\"abc\","
                       "\"dockerVersion\":\"24\"}}"),
                   &err);

    world_init(&w);
    world_step(&w, &(struct event){.type = EVENT_INSTANCE_REPORT,
                                   .instance_report = {.host = "here",
                                                       .is_connected = true,
                                                       .cpu_total = 4096,
                                                       .memory_total_mib = 8192,
                                                       .doc = doc}});
    world_call(&w, "CreateCluster", "{'clusterName':'c'}");
    world_call(&w, "DescribeContainerInstances",
               "{'cluster':'c','containerInstances':['%s'],'include':['TAGS',"
               "'CONTAINER_INSTANCE_HEALTH']}",
               w.core->instances->arn);
    world_expects(
        &w, "{'failures':[],'containerInstances':[{'containerInstanceArn':'*','ec2InstanceId':'*',"
            "'version':'*','versionInfo':{'agentVersion':'1.2.3','agentHash':'abc',"
            "'dockerVersion':'24'},'status':'ACTIVE','agentConnected':true,'runningTasksCount':0,"
            "'pendingTasksCount':0,'registeredAt':'*','attachments':[],'tags':[],"
            "'registeredResources':" RESOURCES ",'remainingResources':" RESOURCES ","
            "'healthStatus':{'overallStatus':'OK',"
            "'details':[{'type':'CONTAINER_RUNTIME','status':'OK'}]}}]}");
}

TEST(a_task_with_an_address_shows_its_interface_in_two_places)
{
    cleanup(world_done) struct world w;
    const struct task *t;

    prepare(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'vpc','networkMode':'awsvpc','containerDefinitions':[{'name':'app',"
               "'image':'i','memory':16}]}");
    world_call(
        &w, "StartTask",
        "{'cluster':'c','taskDefinition':'vpc','containerInstances':['%s'],'referenceId':'r',"
        "'networkConfiguration':{'awsvpcConfiguration':{'subnets':['subnet-1']}}}",
        w.core->clusters->instances->arn);
    t = w.core->tasks;
    world_step(&w, &(struct event){.type = EVENT_TASK_STATE,
                                   .task_state = {.task_id = t->id,
                                                  .status = TASK_RUNNING,
                                                  .address = "172.17.0.9",
                                                  .mac_address = "02:00:00:00:00:01",
                                                  .pull_started_at_ms = w.now_ms,
                                                  .pull_stopped_at_ms = w.now_ms + 1,
                                                  .containers = t->containers,
                                                  .container_count = 1}});
    world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s']}", t->arn);
    world_expects(
        &w,
        "{'tasks':[{'pullStartedAt':'*','pullStoppedAt':'*','attachments':[{'id':'%s',"
        "'type':'ElasticNetworkInterface','status':'ATTACHED','details':[{'name':'subnetId',"
        "'value':'subnet-1'},{'name':'macAddress','value':'02:00:00:00:00:01'},"
        "{'name':'privateIPv4Address','value':'172.17.0.9'}]}],"
        "'containers':[{'networkInterfaces':[{'attachmentId':'%s',"
        "'privateIpv4Address':'172.17.0.9'}]}]}]}",
        t->attachment_id, t->attachment_id);
}

TEST(the_images_of_a_service_are_shown_by_digest)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    world_call(&w, "PutClusterCapacityProviders",
               "{'cluster':'c','capacityProviders':['FARGATE','FARGATE_SPOT'],"
               "'defaultCapacityProviderStrategy':[]}");
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'fargate','desiredCount':1,"
               "'capacityProviderStrategy':[{'capacityProvider':'FARGATE','weight':1,'base':0}],"
               "'networkConfiguration':" NETWORK "}");
    world_wait(&w, 60000);
    world_call(&w, "DescribeTasks", "{'cluster':'c','tasks':['%s']}", w.core->services->live->arn);
    world_expects(
        &w,
        "{'tasks':[{'capacityProviderName':'FARGATE','containers':[{'imageDigest':'sha256:*'}]}]}");
    world_call(&w, "DescribeServiceRevisions", "{'serviceRevisionArns':['%s']}",
               w.core->services->revisions[0]->arn);
    world_expects(&w, "{'serviceRevisions':[{'launchType':null,'capacityProviderStrategy':[{'"
                      "capacityProvider':'FARGATE','weight':1,'base':0}]}]}");
}
