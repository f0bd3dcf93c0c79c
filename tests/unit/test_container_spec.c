/* SPDX-License-Identifier: MIT */
/* Task definition and overrides to Docker's create call, field by field (ecs.md 3.1 - 3.9, 3.13). */
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include "agent/container_spec.h"
#include "agent/docker.h"
#include "agent/host_gpus.h"
#include "agent/host_ports.h"
#include "agent/pause_image.h"
#include "check.h"
#include "io/file.h"

#define TASK_ID "0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct spec_host host = {.installation = "feedfacefeedface",
                                      .home = {.account = "000000000000",
                                               .region = "ap-northeast-2",
                                               .registry_port = 4566},
                                      .cpu_count = 4,
                                      .has_cpu_quota = true,
                                      .nofile_max = INT32_MAX,
                                      .network = "naru-feedface"};

/* JSON with ' for ". */
static struct json *
parse(const char *text)
{
    cleanup_free char *copy = text_dup(text);
    struct err err = {0};

    for (char *c = copy; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    struct json *j = json_parse(str_of(copy), &err);
    if (j == NULL)
        check_fail(__FILE__, __LINE__, "%s: %s", err.message, copy);
    return j;
}

static struct agent_task *
task_of(const char *definition, const char *overrides)
{
    struct agent_task *t = mem_new(sizeof(*t));

    (void)text_copy(t->id, sizeof(t->id), STR(TASK_ID));
    (void)text_copy(t->arn, sizeof(t->arn), STR("arn:aws:ecs:eu-west-1:000000000000:task/c/" TASK_ID));
    (void)text_copy(t->cluster_name, sizeof(t->cluster_name), STR("c"));
    (void)text_copy(t->region, sizeof(t->region), STR("eu-west-1"));
    (void)text_copy(t->family, sizeof(t->family), STR("web"));
    t->revision = 7;
    t->definition = parse(definition);
    t->overrides = overrides != NULL ? parse(overrides) : NULL;
    return t;
}

static void task_done(struct agent_task **t) { agent_task_free(*t); }
#define TASK(name, definition, overrides)                                                          \
    cleanup(task_done) struct agent_task *name = task_of(definition, overrides)

static struct json *
create(const struct agent_task *t, int index)
{
    struct err err = {0};
    struct json *spec = container_spec_create(t, index, "img:1", NULL, NULL, &host, &err);

    if (spec == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return spec;
}

/* The member at "HostConfig/Memory" as compact JSON. */
static const char *
at(const struct json *spec, const char *path)
{
    static char text[4096];
    struct str rest = str_of(path), part;
    const struct json *j = spec;

    while (str_split(&rest, '|', &part)) {
        cleanup_free char *key = str_dup(part);
        j = json_get(j, key);
    }
    if (j == NULL)
        return "(absent)";
    cleanup_free char *formatted = json_format(j);
    (void)text_copy(text, sizeof(text), str_of(formatted));
    return text;
}

/* One container with these members; expects `want` at `path`. */
static void
expect(const char *members, const char *path, const char *want)
{
    cleanup_free char *definition =
        text_format("{'containerDefinitions':[{'name':'app','image':'img:1'%s%s}]}", members[0] ? "," : "", members);
    TASK(t, definition, NULL);
    cleanup_json struct json *spec = create(t, 0);
    const char *got = at(spec, path);

    if (strcmp(got, want) != 0)
        check_fail(__FILE__, __LINE__, "%s: %s is %s, not %s", members, path, got, want);
}

static void
expect_refusal(const char *members, const char *what)
{
    cleanup_free char *definition =
        text_format("{'containerDefinitions':[{'name':'app','image':'img:1',%s}]}", members);
    TASK(t, definition, NULL);
    struct err err = {0};
    cleanup_json struct json *spec = container_spec_create(t, 0, "img:1", NULL, NULL, &host, &err);

    CHECK(spec == NULL);
    CHECK(strstr(err.message, "ResourceInitializationError: ") == err.message);
    CHECK(strstr(err.message, what) != NULL);
}

TEST(process_fields)
{
    expect("", "Image", "\"img:1\"");
    expect("", "Entrypoint", "(absent)");
    expect("'entryPoint':['/e','x']", "Entrypoint", "[\"/e\",\"x\"]");
    expect("'command':['a','b']", "Cmd", "[\"a\",\"b\"]");
    expect("'workingDirectory':'/w'", "WorkingDir", "\"/w\"");
    expect("'user':'1:2'", "User", "\"1:2\"");
    expect("'interactive':true", "OpenStdin", "true");
    expect("'pseudoTerminal':true", "Tty", "true");
    expect("'privileged':true", "HostConfig|Privileged", "true");
    expect("'readonlyRootFilesystem':true", "HostConfig|ReadonlyRootfs", "true");
    expect("'dockerSecurityOptions':['no-new-privileges']", "HostConfig|SecurityOpt", "[\"no-new-privileges\"]");
    expect("'hostname':'h'", "Hostname", "\"h\"");
    expect("'disableNetworking':true", "NetworkDisabled", "true");
    expect("", "HostConfig|RestartPolicy|Name", "\"no\"");
    expect("", "HostConfig|AutoRemove", "false");
}

TEST(environment_merges_and_names_the_region_once)
{
    expect("", "Env", "[\"AWS_EXECUTION_ENV=AWS_ECS_EC2\",\"AWS_REGION=eu-west-1\",\"AWS_DEFAULT_REGION=eu-west-1\"]");
    expect("'environment':[{'name':'A','value':'1=2'},{'name':'AWS_REGION','value':'x'}]", "Env",
           "[\"AWS_EXECUTION_ENV=AWS_ECS_EC2\",\"A=1=2\",\"AWS_REGION=x\"]");
    TASK(t, "{'containerDefinitions':[{'name':'app','image':'i','environment':[{'name':'A','value':'1'},{'name':'B','value':'2'}]}]}",
         "{'containerOverrides':[{'name':'other','environment':[{'name':'A','value':'no'}]},"
         "{'name':'app','command':['run'],'cpu':50,'memory':99,'environment':[{'name':'A','value':'9'},{'name':'C','value':''}]}]}");
    t->launch_type = LAUNCH_FARGATE;
    cleanup_json struct json *spec = create(t, 0);
    CHECK_TEXT(at(spec, "Env"), "[\"AWS_EXECUTION_ENV=AWS_ECS_FARGATE\",\"A=9\",\"B=2\",\"C=\",\"AWS_REGION=eu-west-1\",\"AWS_DEFAULT_REGION=eu-west-1\"]");
    CHECK_TEXT(at(spec, "Cmd"), "[\"run\"]");
    CHECK_TEXT(at(spec, "HostConfig|CpuShares"), "50");
    CHECK_TEXT(at(spec, "HostConfig|Memory"), "103809024");
}

TEST(limits)
{
    expect("", "HostConfig|CpuShares", "2");
    expect("'cpu':1", "HostConfig|CpuShares", "2");
    expect("'cpu':512", "HostConfig|CpuShares", "512");
    expect("'cpu':999999", "HostConfig|CpuShares", "262144");
    expect("", "HostConfig|Memory", "(absent)");
    expect("'memory':64", "HostConfig|Memory", "67108864");
    expect("'memory':4", "HostConfig|Memory", "6291456");
    expect("'memoryReservation':32", "HostConfig|MemoryReservation", "33554432");
    expect("'memoryReservation':32", "HostConfig|Memory", "(absent)");
    expect("'memory':64,'linuxParameters':{'maxSwap':36}", "HostConfig|MemorySwap", "104857600");
    expect("'memory':64,'linuxParameters':{'maxSwap':0,'swappiness':10}", "HostConfig|MemorySwappiness", "10");
    expect("'memory':64,'linuxParameters':{'swappiness':10}", "HostConfig|MemorySwappiness", "(absent)");
    expect("'ulimits':[{'name':'nofile','softLimit':1,'hardLimit':2}]", "HostConfig|Ulimits",
           "[{\"Name\":\"nofile\",\"Soft\":1,\"Hard\":2}]");
}

TEST(limits_of_the_task_bound_each_container)
{
    TASK(t, "{'cpu':'512','memory':'1 GB','containerDefinitions':[{'name':'app','image':'i'},{'name':'b','image':'i','memory':100}]}", NULL);
    t->launch_type = LAUNCH_FARGATE;
    cleanup_json struct json *a = create(t, 0), *b = create(t, 1);
    CHECK_TEXT(at(a, "HostConfig|NanoCpus"), "500000000");
    CHECK_TEXT(at(a, "HostConfig|Memory"), "1073741824");
    CHECK_TEXT(at(b, "HostConfig|Memory"), "104857600");
    CHECK_TEXT(at(a, "HostConfig|Ulimits"), "[{\"Name\":\"nofile\",\"Soft\":65535,\"Hard\":65535}]");
    struct spec_host narrow = host;
    struct err err = {0};
    narrow.nofile_max = 20000;
    cleanup_json struct json *n = container_spec_create(t, 0, "img:1", NULL, NULL, &narrow, &err);
    CHECK_TEXT(at(n, "HostConfig|Ulimits"), "[{\"Name\":\"nofile\",\"Soft\":20000,\"Hard\":20000}]");
    TASK(wide, "{'cpu':'16 vCPU','containerDefinitions':[{'name':'app','image':'i'}]}", NULL);
    cleanup_json struct json *c = create(wide, 0);
    CHECK_TEXT(at(c, "HostConfig|NanoCpus"), "4000000000"); /* no more than the host has */
    TASK(over, "{'cpu':'256','containerDefinitions':[{'name':'app','image':'i'}]}", "{'cpu':'1024'}");
    cleanup_json struct json *d = create(over, 0);
    CHECK_TEXT(at(d, "HostConfig|NanoCpus"), "1000000000");
}

TEST(linux_parameters)
{
    expect("'linuxParameters':{'capabilities':{'add':['SYS_PTRACE'],'drop':['ALL']}}", "HostConfig|CapAdd", "[\"SYS_PTRACE\"]");
    expect("'linuxParameters':{'capabilities':{'add':['SYS_PTRACE'],'drop':['ALL']}}", "HostConfig|CapDrop", "[\"ALL\"]");
    expect("'linuxParameters':{'initProcessEnabled':true}", "HostConfig|Init", "true");
    expect("'linuxParameters':{'sharedMemorySize':2}", "HostConfig|ShmSize", "2097152");
    expect("'linuxParameters':{'devices':[{'hostPath':'/dev/a'},{'hostPath':'/dev/b','containerPath':'/c','permissions':['read','mknod']}]}",
           "HostConfig|Devices",
           "[{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/a\",\"CgroupPermissions\":\"rwm\"},"
           "{\"PathOnHost\":\"/dev/b\",\"PathInContainer\":\"/c\",\"CgroupPermissions\":\"rm\"}]");
    expect("'linuxParameters':{'tmpfs':[{'containerPath':'/t','size':8,'mountOptions':['noexec','ro']}]}", "HostConfig|Tmpfs",
           "{\"/t\":\"size=8m,noexec,ro\"}");
    expect("'systemControls':[{'namespace':'net.core.somaxconn','value':'9'},{'namespace':'kernel.msgmax','value':'1'}]",
           "HostConfig|Sysctls|net.core.somaxconn", "\"9\"");
    expect("'systemControls':[{'namespace':'kernel.msgmax','value':'1'}]", "HostConfig|Sysctls|kernel.msgmax", "\"1\"");
}

TEST(secrets_stand_between_the_definition_and_the_override)
{
    TASK(t, "{'containerDefinitions':[{'name':'app','image':'i','environment':[{'name':'A','value':'plain'},"
            "{'name':'B','value':'plain'}],'secrets':[{'name':'B','valueFrom':'b'},{'name':'C','valueFrom':'c'}]}]}",
         "{'containerOverrides':[{'name':'app','environment':[{'name':'C','value':'override'}]}]}");
    cleanup_json struct json *secrets = json_parse(STR("{\"B\":\"secret\",\"C\":\"secret\"}"), NULL);
    struct err err = {0};
    cleanup_json struct json *spec = container_spec_create(t, 0, "i", NULL, secrets, &host, &err);
    const struct json *env = json_get(spec, "Env");

    CHECK(json_has_text(env, "A=plain"));
    CHECK(json_has_text(env, "B=secret"));
    CHECK(json_has_text(env, "C=override"));
}

TEST(health_check_of_the_definition_or_none)
{
    expect("", "Healthcheck", "{\"Test\":[\"NONE\"]}");
    expect("'healthCheck':{'command':['CMD-SHELL','x']}", "Healthcheck",
           "{\"Test\":[\"CMD-SHELL\",\"x\"],\"Interval\":30000000000,\"Timeout\":5000000000,\"Retries\":3}");
    expect("'healthCheck':{'command':['CMD','x'],'interval':5,'timeout':2,'retries':1,'startPeriod':10}", "Healthcheck",
           "{\"Test\":[\"CMD\",\"x\"],\"Interval\":5000000000,\"Timeout\":2000000000,\"Retries\":1,\"StartPeriod\":10000000000}");
}

TEST(labels_are_ours_whatever_the_user_says)
{
    TASK(t, "{'containerDefinitions':[{'name':'app','image':'i','dockerLabels':{'mine':'1','naru.task':'x','com.amazonaws.ecs.cluster':'y'}}]}", NULL);
    cleanup_json struct json *spec = create(t, 0);
    CHECK_TEXT(at(spec, "Labels|mine"), "\"1\"");
    CHECK_TEXT(at(spec, "Labels|naru.task"), "\"" TASK_ID "\"");
    CHECK_TEXT(at(spec, "Labels|naru.installation"), "\"feedfacefeedface\"");
    CHECK_TEXT(at(spec, "Labels|com.amazonaws.ecs.cluster"), "\"c\"");
    CHECK_TEXT(at(spec, "Labels|com.amazonaws.ecs.task-arn"), "\"arn:aws:ecs:eu-west-1:000000000000:task/c/" TASK_ID "\"");
    CHECK_TEXT(at(spec, "Labels|com.amazonaws.ecs.container-name"), "\"app\"");
    CHECK_TEXT(at(spec, "Labels|com.amazonaws.ecs.task-definition-family"), "\"web\"");
    CHECK_TEXT(at(spec, "Labels|com.amazonaws.ecs.task-definition-version"), "\"7\"");
}

TEST(ports_are_published_in_bridge_mode_only)
{
    expect("'portMappings':[{'containerPort':80},{'containerPort':53,'hostPort':5353,'protocol':'udp'}]", "HostConfig|PortBindings",
           "{\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"\"}],\"53/udp\":[{\"HostPort\":\"5353\"}]}");
    expect("'portMappings':[{'containerPort':80}]", "ExposedPorts", "{\"80/tcp\":{}}");
    expect("'portMappings':[{'containerPortRange':'80-81'}]", "HostConfig|PortBindings",
           "{\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"\"}],\"81/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"\"}]}");
    expect("'portMappings':[{'containerPort':80,'hostPort':1},{'containerPort':80,'hostPort':2}]", "HostConfig|PortBindings|80/tcp",
           "[{\"HostPort\":\"1\"},{\"HostPort\":\"2\"}]");
    TASK(t, "{'networkMode':'host','containerDefinitions':[{'name':'app','image':'i','portMappings':[{'containerPort':80}]}]}", NULL);
    cleanup_json struct json *spec = create(t, 0);
    CHECK_TEXT(at(spec, "HostConfig|NetworkMode"), "\"host\"");
    CHECK_TEXT(at(spec, "HostConfig|PortBindings"), "(absent)");
    TASK(named, "{'networkMode':'host','containerDefinitions':[{'name':'app','image':'i','extraHosts':"
                "[{'hostname':'h','ipAddress':'10.0.0.1'}],'dnsServers':['1.1.1.1']}]}", NULL);
    cleanup_json struct json *with_names = create(named, 0);
    CHECK_TEXT(at(with_names, "HostConfig|ExtraHosts"), "[\"h:10.0.0.1\"]");
    CHECK_TEXT(at(with_names, "HostConfig|Dns"), "[\"1.1.1.1\"]");
}

TEST(a_range_is_published_in_bridge_mode_on_the_ports_that_were_chosen)
{
#define RANGES(mode)                                                                               \
    "{'networkMode':'" mode "','containerDefinitions':[{'name':'app','image':'i','portMappings':["     \
    "{'containerPort':80},{'containerPortRange':'9-11'},{'containerPortRange':'20-21','protocol':'udp'}]}]}"
    const struct range_ports ports = {.first = {0, 40000, 50000}};
    struct err err = {0};
    TASK(t, RANGES("bridge"), NULL);
    cleanup_json struct json *spec = container_spec_create(t, 0, "i", &ports, NULL, &host, &err);
    CHECK_TEXT(at(spec, "HostConfig|PortBindings"),
               "{\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"\"}],"
               "\"9/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"40000\"}],"
               "\"10/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"40001\"}],"
               "\"11/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"40002\"}],"
               "\"20/udp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"50000\"}],"
               "\"21/udp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"50001\"}]}");
    CHECK_TEXT(at(spec, "ExposedPorts"),
               "{\"80/tcp\":{},\"9/tcp\":{},\"10/tcp\":{},\"11/tcp\":{},\"20/udp\":{},\"21/udp\":{}}");
    const struct json *list = json_get(json_at(json_get(t->definition, "containerDefinitions"), 0), "portMappings");
    CHECK_EQ(container_spec_range(t, json_at(list, 0)), 0);
    CHECK_EQ(container_spec_range(t, json_at(list, 1)), 3);
    TASK(own, RANGES("awsvpc"), NULL);
    cleanup_json struct json *own_spec = create(own, 0);
    CHECK_TEXT(at(own_spec, "HostConfig|PortBindings"), "(absent)");
    CHECK_TEXT(at(own_spec, "ExposedPorts"), "{\"80/tcp\":{}}");
    CHECK_EQ(container_spec_range(own, json_at(list, 1)), 0);
}

/* ---- which host ports ---- */

static int
taken_port(int type)
{
    const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = {.sin_family = AF_INET};
    socklen_t len = sizeof(any);

    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0);
    CHECK(type == SOCK_DGRAM || listen(fd, 1) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&any, &len) == 0);
    return ntohs(any.sin_port); /* until the process ends */
}

TEST(a_row_of_ports_has_none_that_is_taken)
{
    const int tcp = taken_port(SOCK_STREAM), udp = taken_port(SOCK_DGRAM);
    struct host_ports p = {.low = tcp - 1, .high = tcp};

    atomic_init(&p.next, p.low);
    CHECK_EQ(host_ports_take(&p, 2, false), 0);
    CHECK_EQ(host_ports_take(&p, 3, true), 0); /* there are not so many */
    for (int i = 0; i < 3; i++)
        CHECK(host_ports_take(&p, 1, false) != tcp);
    p = (struct host_ports){.low = udp, .high = udp};
    atomic_init(&p.next, udp);
    CHECK_EQ(host_ports_take(&p, 1, true), 0);
}

TEST(what_was_given_out_comes_again_only_after_all_others)
{
    struct host_ports p;

    host_ports_init(&p);
    CHECK(p.low >= 1 && p.low <= p.next && p.next <= p.high && p.high <= 65535);
    /* Where no client gets its ports: a machine full of ended connections may have no row of ten left. */
    p = (struct host_ports){.low = 18000, .high = 18999};
    atomic_init(&p.next, 18900);
    int before = host_ports_take(&p, 10, false);
    for (int i = 0; i < 20; i++) {
        const int first = host_ports_take(&p, 10, false);
        CHECK(first >= p.low && first + 9 <= p.high);
        CHECK(first >= before + 10 || first + 9 < before);
        before = first;
    }
    p.next = p.high; /* no row of two begins there */
    CHECK(host_ports_take(&p, 2, false) < p.high - 1);
    CHECK_EQ(host_ports_take(&p, p.high - p.low + 2, false), 0);
}

TEST(network_modes)
{
    expect("", "HostConfig|NetworkMode", "\"bridge\"");
    expect("'dnsServers':['1.1.1.1'],'dnsSearchDomains':['x']", "HostConfig|Dns", "[\"1.1.1.1\"]");
    expect("'dnsServers':['1.1.1.1'],'dnsSearchDomains':['x']", "HostConfig|DnsSearch", "[\"x\"]");
    expect("'extraHosts':[{'hostname':'h','ipAddress':'10.0.0.1'}]", "HostConfig|ExtraHosts", "[\"h:10.0.0.1\"]");
    TASK(none, "{'networkMode':'none','containerDefinitions':[{'name':'app','image':'i'}]}", NULL);
    cleanup_json struct json *n = create(none, 0);
    CHECK_TEXT(at(n, "HostConfig|NetworkMode"), "\"none\"");
    TASK(one, "{'networkMode':'awsvpc','containerDefinitions':[{'name':'app','image':'i','portMappings':[{'containerPort':80}]}]}", NULL);
    CHECK(!container_spec_needs_pause(one));
    cleanup_json struct json *a = create(one, 0);
    CHECK_TEXT(at(a, "HostConfig|NetworkMode"), "\"naru-feedface\"");
    CHECK_TEXT(at(a, "NetworkingConfig|EndpointsConfig"), "{\"naru-feedface\":{}}");
    CHECK_TEXT(at(a, "HostConfig|PortBindings"), "(absent)");
}

TEST(several_containers_of_an_awsvpc_task_join_the_pause_container)
{
    TASK(t, "{'networkMode':'awsvpc','pidMode':'task','ipcMode':'task','containerDefinitions':[{'name':'a','image':'i','hostname':'h',"
            "'dnsServers':['9.9.9.9'],'systemControls':[{'namespace':'net.core.somaxconn','value':'9'},{'namespace':'kernel.msgmax','value':'1'}]},"
            "{'name':'b','image':'i','portMappings':[{'containerPort':80}]}]}", NULL);
    CHECK(container_spec_needs_pause(t));
    cleanup_json struct json *a = create(t, 0), *b = create(t, 1), *pause = container_spec_create_pause(t, &host);
#define PAUSE "\"container:ecs-web-7-internalecspause-0123456789abcdef0123\""
    CHECK_TEXT(at(a, "HostConfig|NetworkMode"), PAUSE);
    CHECK_TEXT(at(a, "HostConfig|PidMode"), PAUSE);
    CHECK_TEXT(at(b, "HostConfig|IpcMode"), PAUSE);
    CHECK_TEXT(at(a, "Hostname"), "(absent)");
    CHECK_TEXT(at(b, "ExposedPorts"), "(absent)"); /* Docker refuses it in a joined namespace */
    CHECK_TEXT(at(a, "HostConfig|Sysctls"), "{\"kernel.msgmax\":\"1\"}");
    CHECK_TEXT(at(pause, "HostConfig|NetworkMode"), "\"naru-feedface\"");
    CHECK_TEXT(at(pause, "HostConfig|IpcMode"), "\"shareable\"");
    CHECK_TEXT(at(pause, "HostConfig|Sysctls"), "{\"net.core.somaxconn\":\"9\"}");
    CHECK_TEXT(at(pause, "HostConfig|Dns"), "[\"9.9.9.9\"]");
    CHECK_TEXT(at(pause, "Hostname"), "\"h\"");
    CHECK_TEXT(at(pause, "Labels|naru.task"), "\"" TASK_ID "\"");
    TASK(pids, "{'pidMode':'host','ipcMode':'none','containerDefinitions':[{'name':'a','image':'i'}]}", NULL);
    cleanup_json struct json *p = create(pids, 0);
    CHECK_TEXT(at(p, "HostConfig|PidMode"), "\"host\"");
    CHECK_TEXT(at(p, "HostConfig|IpcMode"), "\"none\"");
}

TEST(logging)
{
#define PLAIN "{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"10m\",\"max-file\":\"3\"}}"
    expect("", "HostConfig|LogConfig", PLAIN);
    expect("'logConfiguration':{'logDriver':'awslogs','options':{'awslogs-group':'g','awslogs-region':'r'}}", "HostConfig|LogConfig", PLAIN);
    expect("'logConfiguration':{'logDriver':'json-file','options':{'max-size':'1m'}}", "HostConfig|LogConfig",
           "{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\",\"max-file\":\"3\"}}");
    expect("'logConfiguration':{'logDriver':'syslog','options':{'tag':'t'}}", "HostConfig|LogConfig",
           "{\"Type\":\"syslog\",\"Config\":{\"tag\":\"t\"}}");
#define AWSLOGS "'logConfiguration':{'logDriver':'awslogs','options':{'awslogs-group':'g'"
    expect(AWSLOGS ",'mode':'non-blocking','max-buffer-size':'2m'}}", "HostConfig|LogConfig|Config|max-buffer-size",
           "\"2m\"");
    expect(AWSLOGS ",'mode':'non-blocking','max-buffer-size':'2m'}}", "HostConfig|LogConfig|Config|mode",
           "\"non-blocking\"");
    expect(AWSLOGS ",'max-buffer-size':'2m'}}", "HostConfig|LogConfig", PLAIN);
}

TEST(the_accounts_log_mode_is_for_those_that_name_none)
{
    TASK(t, "{'containerDefinitions':[{'name':'a','image':'i','logConfiguration':{'logDriver':'awslogs'}},"
            "{'name':'b','image':'i','logConfiguration':{'logDriver':'awslogs','options':{'mode':'blocking'}}},"
            "{'name':'c','image':'i'}]}", NULL);
    snprintf(t->log_mode, sizeof(t->log_mode), "non-blocking");
    cleanup_json struct json *a = create(t, 0), *b = create(t, 1), *c = create(t, 2);

    CHECK_TEXT(at(a, "HostConfig|LogConfig|Config|mode"), "\"non-blocking\"");
    CHECK_TEXT(at(b, "HostConfig|LogConfig|Config|mode"), "\"blocking\"");
    CHECK_TEXT(at(c, "HostConfig|LogConfig|Config|mode"), "(absent)"); /* no logConfiguration at all */
}

TEST(volumes_and_mounts)
{
    TASK(t, "{'volumes':[{'name':'h','host':{'sourcePath':'/srv'}},{'name':'e','host':{}},"
            "{'name':'s','dockerVolumeConfiguration':{'scope':'shared','autoprovision':true,'driver':'local','labels':{'l':'1'}}},"
            "{'name':'x','dockerVolumeConfiguration':{'scope':'shared'}},{'name':'d','dockerVolumeConfiguration':{'driverOpts':{'type':'tmpfs'}}}],"
            "'containerDefinitions':[{'name':'app','image':'i','mountPoints':[{'sourceVolume':'h','containerPath':'/a','readOnly':true},"
            "{'sourceVolume':'e','containerPath':'/b'},{'sourceVolume':'s','containerPath':'/c'}],'volumesFrom':[{'sourceContainer':'o_k','readOnly':true}]},"
            "{'name':'o_k','image':'i'}]}", NULL);
    struct err err = {0};
    cleanup_json struct json *spec = create(t, 0), *volumes = container_spec_volumes(t, &host, &err);
    CHECK_TEXT(at(spec, "HostConfig|Binds"), "[\"/srv:/a:ro\",\"ecs-web-7-e-0123456789abcdef0123:/b\",\"s:/c\"]");
    CHECK_TEXT(at(spec, "HostConfig|VolumesFrom"), "[\"ecs-web-7-ok-0123456789abcdef0123:ro\"]");
    CHECK_EQ(json_size(volumes), 4);
    CHECK_TEXT(json_get_cstr(json_at(volumes, 0), "Name", ""), "ecs-web-7-e-0123456789abcdef0123");
    CHECK_TEXT(at(json_at(volumes, 0), "Labels|naru.task"), "\"" TASK_ID "\"");
    CHECK_TEXT(at(json_at(volumes, 1), "Labels"), "{\"l\":\"1\"}"); /* outlives us: no label of ours */
    CHECK_TEXT(at(json_at(volumes, 1), "mustExist"), "(absent)");
    CHECK_TEXT(at(json_at(volumes, 2), "mustExist"), "true");
    CHECK_TEXT(at(json_at(volumes, 3), "DriverOpts"), "{\"type\":\"tmpfs\"}");
    TASK(bad, "{'containerDefinitions':[{'name':'app','image':'i','mountPoints':[{'sourceVolume':'q','containerPath':'/a'}]}]}", NULL);
    CHECK(container_spec_create(bad, 0, "i", NULL, NULL, &host, &err) == NULL);
    CHECK_TEXT(err.message, "Unknown volume 'q'.");
    TASK(efs, "{'volumes':[{'name':'v','efsVolumeConfiguration':{'fileSystemId':'fs-1'}}],'containerDefinitions':[]}", NULL);
    CHECK(container_spec_volumes(efs, &host, &err) == NULL);
    CHECK(strstr(err.message, "efsVolumeConfiguration") != NULL);
}

TEST(a_container_gets_the_gpus_that_it_was_given_and_no_others)
{
    TASK(t, "{'containerDefinitions':[{'name':'app','image':'i','environment':[{'name':'NVIDIA_VISIBLE_DEVICES',"
            "'value':'all'}],'resourceRequirements':[{'type':'GPU','value':'2'}]},{'name':'side','image':'i'}]}",
         "{'containerOverrides':[{'name':'app','environment':[{'name':'NVIDIA_VISIBLE_DEVICES','value':'x'}]}]}");
    t->gpus = parse("{'app':['GPU-a','GPU-b']}");
    cleanup_json struct json *app = create(t, 0), *side = create(t, 1);

    CHECK_TEXT(at(app, "HostConfig|DeviceRequests"),
               "[{\"Driver\":\"nvidia\",\"DeviceIDs\":[\"GPU-a\",\"GPU-b\"],\"Capabilities\":[[\"gpu\"]]}]");
    CHECK(strstr(at(app, "Env"), "\"NVIDIA_VISIBLE_DEVICES=GPU-a,GPU-b\"") != NULL);
    CHECK(strstr(at(app, "Env"), "=all") == NULL && strstr(at(app, "Env"), "=x") == NULL);
    CHECK_TEXT(at(side, "HostConfig|DeviceRequests"), "(absent)");
    CHECK(strstr(at(side, "Env"), "NVIDIA") == NULL);
}

/* ---- the machine's GPUs ---- */

static void
add_gpu(const char *directory, const char *address, const char *information)
{
    char path[256];
    struct err err = {0};

    snprintf(path, sizeof(path), "%s/%s", directory, address);
    CHECK(file_make_dirs(path, 0755, &err));
    snprintf(path, sizeof(path), "%s/%s/information", directory, address);
    CHECK(file_write_atomic(path, str_of(information), 0644, &err));
}

TEST(the_driver_lists_the_gpus_of_the_machine)
{
    char directory[] = "/tmp/naru-test-gpus.XXXXXX";
    struct err err = {0};

    CHECK(mkdtemp(directory) != NULL);
    add_gpu(directory, "0000:41:00.0", "Model: \t\t NVIDIA L4\nIRQ:   \t\t 24\nGPU UUID: \t GPU-bbbb-2\nBus Type: \t PCIe\n");
    add_gpu(directory, "0000:01:00.0", "Model: \t\t NVIDIA L4\nGPU UUID: \t GPU-aaaa-1\n");
    add_gpu(directory, "0000:81:00.0", "GPU UUID: \t GPU-?\?\?\?\n"); /* not woken up yet */
    add_gpu(directory, "0000:91:00.0", "Model: \t\t NVIDIA L4\n");
    add_gpu(directory, "0000:a1:00.0", "GPU UUID: GPU-aaaa-1\n"); /* once is enough */
    cleanup_json struct json *gpus = host_gpus(directory);
    cleanup_json struct json *none = host_gpus("/no/such/directory");
    cleanup_free char *text = json_format(gpus);
    CHECK_TEXT(text, "[\"GPU-aaaa-1\",\"GPU-bbbb-2\"]");
    CHECK_EQ(json_size(none), 0);
    CHECK(file_remove_tree(directory, &err));
}

TEST(what_is_not_built_is_refused_by_name)
{
    expect_refusal("'logConfiguration':{'logDriver':'splunk','secretOptions':[{'name':'A','valueFrom':'x'}]}", "secrets");
    expect_refusal("'environmentFiles':[{'value':'x','type':'s3'}]", "environment files");
    expect_refusal("'repositoryCredentials':{'credentialsParameter':'x'}", "repository credentials");
    expect_refusal("'logConfiguration':{'logDriver':'awsfirelens'}", "FireLens");
}

static struct container_plan
plan(const struct agent_task *t, int index)
{
    struct container_plan p;
    struct err err = {0};

    if (!container_spec_plan(t, index, &host, &p, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return p;
}

TEST(names_stay_apart_when_ecs_drops_characters)
{
    TASK(t, "{'containerDefinitions':[{'name':'a_b','image':'i'},{'name':'ab','image':'i'}]}", NULL);
    CHECK_TEXT(plan(t, 0).docker_name, "ecs-web-7-ab-0123456789abcdef0123");
    CHECK_TEXT(plan(t, 1).docker_name, "ecs-web-7-ab-0123456789abcdef0123-1");
}

TEST(a_plan_knows_order_and_timeouts)
{
    TASK(t, "{'containerDefinitions':[{'name':'a','image':'i','essential':false,'stopTimeout':7,'startTimeout':9,'links':['b:db'],"
            "'volumesFrom':[{'sourceContainer':'c'}],'dependsOn':[{'containerName':'b','condition':'HEALTHY'}],"
            "'restartPolicy':{'enabled':true,'ignoredExitCodes':[0,3],'restartAttemptPeriod':60}},{'name':'b','image':'i'},{'name':'c','image':'i'}]}", NULL);
    struct container_plan plans[] = {plan(t, 0), plan(t, 1), plan(t, 2)};
    struct err err = {0};
    const struct container_plan *a = &plans[0];
    CHECK(!a->is_essential && plans[1].is_essential);
    CHECK_EQ(a->stop_timeout_s, 7);
    CHECK_EQ(plans[1].stop_timeout_s, 30);
    CHECK_EQ(a->start_timeout_s, 9);
    CHECK_EQ(a->dependency_count, 3);
    CHECK(a->dependencies[0].container == 1 && a->dependencies[0].condition == DEPENDS_HEALTHY);
    CHECK(a->dependencies[1].container == 1 && a->dependencies[1].condition == DEPENDS_START);
    CHECK(a->dependencies[2].container == 2 && a->dependencies[2].condition == DEPENDS_CREATE);
    CHECK(a->restarts && a->restart_period_s == 60 && a->restart_ignored_count == 2 && a->restart_ignored[1] == 3);
    CHECK(container_spec_check_order(plans, 3, &err));
    cleanup_json struct json *spec = create(t, 0);
    CHECK_TEXT(at(spec, "HostConfig|Links"), "[\"ecs-web-7-b-0123456789abcdef0123:db\"]");
    plans[1].dependencies[plans[1].dependency_count++] = (struct dependency){0, DEPENDS_START};
    CHECK(!container_spec_check_order(plans, 3, &err));
    CHECK(strstr(err.message, "circle") != NULL);
    TASK(bad, "{'containerDefinitions':[{'name':'a','image':'i','dependsOn':[{'containerName':'z','condition':'START'}]}]}", NULL);
    struct container_plan p;
    CHECK(!container_spec_plan(bad, 0, &host, &p, &err));
}

static void
expect_image(const char *image, const char *digest, const char *full, bool is_ours)
{
    struct image_ref ref;
    struct err err = {0};

    if (!image_ref_parse(image, digest, &host.home, &ref, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    CHECK_TEXT(ref.full, full);
    CHECK_EQ(ref.is_ours, is_ours);
}

#define ECR(region) "000000000000.dkr.ecr." region ".amazonaws.com"

TEST(image_names)
{
    const struct image_home home = {.account = "000000000000", .region = "r", .registry_port = 1};
    struct image_ref ref;
    struct err err = {0};
    char digest[DIGEST_SIZE];

    expect_image("busybox", "", "busybox:latest", false);
    expect_image("busybox:1", DIGEST, "busybox@" DIGEST, false);
    expect_image("a.example:5000/x/y:t", "", "a.example:5000/x/y:t", false);
    expect_image("a.example:5000/x/y", "", "a.example:5000/x/y:latest", false);
    expect_image("x@" DIGEST, "", "x@" DIGEST, false);
    expect_image("x:t@" DIGEST, "", "x@" DIGEST, false);
    expect_image("localhost:4566/team/app:1", "", "localhost:4566/team/app:1", true);
    expect_image("127.0.0.1:4566/app", "", "localhost:4566/app:latest", true);
    expect_image("localhost:5000/app", "", "localhost:5000/app:latest", false);
    expect_image(ECR("ap-northeast-2") "/app:2", DIGEST, "localhost:4566/app@" DIGEST, true);
    expect_image("localhost:4566/" ECR("ap-northeast-2") "/app:2", "", "localhost:4566/app:2", true);
    /* Another region's repository is another one. */
    expect_image(ECR("eu-west-1") "/team/app:2", "", "localhost:4566/" ECR("eu-west-1") "/team/app:2", true);
    expect_image(ECR("eu-west-1") "/app", DIGEST, "localhost:4566/" ECR("eu-west-1") "/app@" DIGEST, true);
    expect_image("localhost:4566/" ECR("eu-west-1") "/app:2", "", "localhost:4566/" ECR("eu-west-1") "/app:2", true);
    expect_image("127.0.0.1:4566/" ECR("eu-west-1") "/app:2", "", "localhost:4566/" ECR("eu-west-1") "/app:2", true);
    expect_image(ECR("cn-north-1") ".cn/app:2", "", "localhost:4566/" ECR("cn-north-1") "/app:2", true);
    /* The account that the file comes from. */
    expect_image("111111111111.dkr.ecr.ap-northeast-2.amazonaws.com/app:2", "", "localhost:4566/app:2", true);
    expect_image("111111111111.dkr.ecr.eu-west-1.amazonaws.com/app:2", "", "localhost:4566/" ECR("eu-west-1") "/app:2", true);
    expect_image("1111111111111.dkr.ecr.eu-west-1.amazonaws.com/app:2", "", "1111111111111.dkr.ecr.eu-west-1.amazonaws.com/app:2", false);
    expect_image("111111111111.ecr.eu-west-1.amazonaws.com/app:2", "", "111111111111.ecr.eu-west-1.amazonaws.com/app:2", false);
    CHECK(!image_ref_parse("", "", &home, &ref, &err));
    CHECK(!image_ref_parse(ECR("r") "/", "", &home, &ref, &err));
    CHECK(!image_ref_parse(ECR("other") "/", "", &home, &ref, &err));
    CHECK(!image_ref_parse("localhost:1/" ECR("r") "/", "", &home, &ref, &err));
    CHECK(!image_ref_parse("localhost:1/", "", &home, &ref, &err));
    CHECK(!image_ref_parse("x@md5:1", "", &home, &ref, &err));
    cleanup_json struct json *list = parse("['other@sha256:1','busybox@" DIGEST "',5]");
    CHECK(image_ref_parse("docker.io/library/busybox:1", "", &home, &ref, &err));
    image_ref_repo_digest(&ref, list, digest);
    CHECK_TEXT(digest, DIGEST);
    CHECK(image_ref_parse("nginx", "", &home, &ref, &err));
    image_ref_repo_digest(&ref, list, digest);
    CHECK_TEXT(digest, "");
}

TEST(the_digest_found_at_deployment_pins_the_container)
{
    TASK(t, "{'containerDefinitions':[{'name':'a','image':'localhost:4566/app:1'},{'name':'b','image':'localhost:4566/app:1'}]}", NULL);
    t->image_count = 1;
    (void)text_copy(t->images[0].name, NAME_SIZE, STR("a"));
    (void)text_copy(t->images[0].digest, DIGEST_SIZE, STR(DIGEST));
    CHECK_TEXT(plan(t, 0).image.full, "localhost:4566/app@" DIGEST);
    CHECK(!plan(t, 0).pulls_always);
    CHECK_TEXT(plan(t, 1).image.full, "localhost:4566/app:1");
    CHECK(plan(t, 1).pulls_always);
}

TEST(the_pause_image_is_a_small_static_program)
{
    cleanup(strbuf_done) struct strbuf amd = {0}, arm = {0};
    struct err err = {0};

    CHECK(pause_image_tar("amd64", &amd, &err));
    CHECK_EQ(amd.len, 2048);
    CHECK(memcmp(amd.at, "pause\0", 6) == 0);
    CHECK(memcmp(amd.at + 512, "\x7f" "ELF", 4) == 0);
    CHECK(pause_image_tar("arm64", &arm, &err));
    CHECK(memcmp(amd.at, arm.at, 2048) != 0);
    CHECK(!pause_image_tar("riscv64", &arm, &err));
}
