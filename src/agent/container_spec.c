/* SPDX-License-Identifier: MIT */
#include "agent/container_spec.h"
#include <stdio.h>

#define MIB (1024LL * 1024)
#define MEMORY_FLOOR_MIB 6 /* Docker refuses less */
#define CPU_SHARES_MIN 2   /* the kernel's minimum; ECS gives it to containers without cpu */
#define CPU_SHARES_MAX 262144
#define SECOND_NS 1000000000LL

/* One container being described. */
struct spec {
    const struct agent_task *task;
    const struct json *def;      /* its containerDefinition */
    const struct json *override; /* its containerOverride, or NULL */
    const struct spec_host *host;
    int index;
    struct json *config, *host_config; /* Docker's Config and HostConfig */
};

static const struct json *
definition_of(const struct agent_task *task, const char *name)
{
    const struct json *list = json_get(task->definition, "containerDefinitions");

    for (size_t i = 0; i < json_size(list); i++)
        if (strcmp(json_get_cstr(json_at(list, i), "name", ""), name) == 0)
            return json_at(list, i);
    return NULL;
}

static const struct json *
override_of(const struct agent_task *task, const char *name)
{
    const struct json *list = json_get(task->overrides, "containerOverrides");

    for (size_t i = 0; i < json_size(list); i++)
        if (strcmp(json_get_cstr(json_at(list, i), "name", ""), name) == 0)
            return json_at(list, i);
    return NULL;
}

/* The override's member if it has one, else the definition's. */
static struct json *
effective(const struct spec *s, const char *key)
{
    struct json *value = json_get(s->override, key);

    return json_type(value) > JSON_NULL ? value : json_get(s->def, key);
}

/* Task cpu and memory are texts: "256", "1024", "1 vCPU", ".5 vCPU", "2 GB". */
static int64_t
task_size(const struct agent_task *task, const char *key)
{
    const struct json *value = json_get(task->overrides, key);
    const char *text;
    char *end = NULL;

    if (json_type(value) <= JSON_NULL)
        value = json_get(task->definition, key);
    if (json_type(value) == JSON_INT)
        return json_i64(value, 0);
    text = json_cstr(value, "");
    const double number = strtod(text, &end);
    if (end == text || number <= 0 || number > 1e7)
        return 0;
    const struct str unit = str_trim(str_of(end));
    return (int64_t)(unit.len > 0 ? number * 1024 : number);
}

/* Copies a member under Docker's name, if it is there. */
static void
copy_to(struct json *to, const char *docker_key, struct json *value)
{
    if (json_type(value) > JSON_NULL)
        json_set(to, docker_key, json_ref(value));
}

static bool
refuse(struct err *err, const struct spec *s, const char *what)
{
    return err_set(err, ERR_UNSUPPORTED_FEATURE,
                   "ResourceInitializationError: %s of container '%s' are not supported yet", what,
                   json_get_cstr(s->def, "name", ""));
}

static bool
check_supported(const struct spec *s, struct err *err)
{
    const struct json *log = json_get(s->def, "logConfiguration");

    if (json_size(json_get(s->def, "secrets")) > 0 || json_size(json_get(log, "secretOptions")) > 0)
        return refuse(err, s, "secrets");
    if (json_size(effective(s, "environmentFiles")) > 0)
        return refuse(err, s, "environment files");
    if (json_size(effective(s, "resourceRequirements")) > 0)
        return refuse(err, s, "resource requirements (GPU)");
    if (json_size(json_get(s->def, "repositoryCredentials")) > 0)
        return refuse(err, s, "repository credentials");
    if (json_size(json_get(s->def, "firelensConfiguration")) > 0 ||
        strcmp(json_get_cstr(log, "logDriver", ""), "awsfirelens") == 0)
        return refuse(err, s, "FireLens logs");
    return true;
}

/* ---- process ---- */

static void
env_put(struct json *env, const struct json *pairs)
{
    for (size_t i = 0; i < json_size(pairs); i++) {
        const char *name = json_get_cstr(json_at(pairs, i), "name", "");

        if (name[0] != '\0')
            json_set(env, name, json_text(json_get_cstr(json_at(pairs, i), "value", "")));
    }
}

/* Later wins: definition, then override; the region only where nobody named one (ecs.md 3.4). */
static void
spec_environment(const struct spec *s)
{
    cleanup_json struct json *env = json_object();
    struct json *list = json_array();
    const char *how = s->task->launch_type == LAUNCH_FARGATE ? "AWS_ECS_FARGATE" : "AWS_ECS_EC2";

    json_set(env, "AWS_EXECUTION_ENV", json_text(how));
    env_put(env, json_get(s->def, "environment"));
    env_put(env, json_get(s->override, "environment"));
    if (json_get(env, "AWS_REGION") == NULL && json_get(env, "AWS_DEFAULT_REGION") == NULL &&
        s->task->region[0] != '\0') {
        json_set(env, "AWS_REGION", json_text(s->task->region));
        json_set(env, "AWS_DEFAULT_REGION", json_text(s->task->region));
    }
    for (void *it = json_first(env); it != NULL; it = json_next(env, it)) {
        cleanup_free char *line = text_format("%s=%s", json_key(it), json_cstr(json_value(it), ""));

        json_append(list, json_text(line));
    }
    json_set(s->config, "Env", list);
}

static void
spec_process(const struct spec *s)
{
    copy_to(s->config, "Entrypoint", json_get(s->def, "entryPoint"));
    copy_to(s->config, "Cmd", effective(s, "command"));
    copy_to(s->config, "WorkingDir", json_get(s->def, "workingDirectory"));
    copy_to(s->config, "User", json_get(s->def, "user"));
    copy_to(s->config, "OpenStdin", json_get(s->def, "interactive"));
    copy_to(s->config, "Tty", json_get(s->def, "pseudoTerminal"));
    copy_to(s->host_config, "Privileged", json_get(s->def, "privileged"));
    copy_to(s->host_config, "ReadonlyRootfs", json_get(s->def, "readonlyRootFilesystem"));
    copy_to(s->host_config, "SecurityOpt", json_get(s->def, "dockerSecurityOptions"));
    spec_environment(s);
}

static void
spec_labels(const struct spec *s)
{
    struct json *labels = json_object();
    const struct json *own = json_get(s->def, "dockerLabels");
    char revision[16], stop_timeout[24];

    for (void *it = json_first(own); it != NULL; it = json_next(own, it))
        json_set(labels, json_key(it), json_text(json_cstr(json_value(it), "")));
    /* Ours come last: by these a container is found again, nobody else may set them. */
    (void)snprintf(revision, sizeof(revision), "%d", s->task->revision);
    json_set(labels, LABEL_TASK_ARN, json_text(s->task->arn));
    json_set(labels, LABEL_CONTAINER, json_text(json_get_cstr(s->def, "name", "")));
    json_set(labels, LABEL_FAMILY, json_text(s->task->family));
    json_set(labels, LABEL_REVISION, json_text(revision));
    (void)snprintf(stop_timeout, sizeof(stop_timeout), "%lld",
                   (long long)json_get_i64(s->def, "stopTimeout", STOP_TIMEOUT_DEFAULT_S));
    json_set(labels, LABEL_STOP_TIMEOUT, json_text(stop_timeout));
    json_set(labels, "com.amazonaws.ecs.cluster", json_text(s->task->cluster_name));
    json_set(labels, LABEL_INSTALLATION, json_text(s->host->installation));
    json_set(labels, LABEL_TASK, json_text(s->task->id));
    if (s->task->service_name[0] != '\0')
        json_set(labels, "naru.service", json_text(s->task->service_name));
    json_set(s->config, "Labels", labels);
}

static void
spec_health_check(const struct spec *s)
{
    const struct json *check = json_get(s->def, "healthCheck");
    struct json *out = json_object();

    json_set(s->config, "Healthcheck", out);
    if (json_size(json_get(check, "command")) == 0) {
        struct json *none = json_array();

        json_append(none, json_text("NONE"));
        json_set(out, "Test", none);
        return;
    }
    copy_to(out, "Test", json_get(check, "command"));
    json_set(out, "Interval", json_int(json_get_i64(check, "interval", 30) * SECOND_NS));
    json_set(out, "Timeout", json_int(json_get_i64(check, "timeout", 5) * SECOND_NS));
    json_set(out, "Retries", json_int(json_get_i64(check, "retries", 3)));
    if (json_get_i64(check, "startPeriod", 0) > 0)
        json_set(out, "StartPeriod", json_int(json_get_i64(check, "startPeriod", 0) * SECOND_NS));
}

/* ---- limits ---- */

static int64_t
clamp(int64_t n, int64_t low, int64_t high)
{
    return n < low ? low : n > high ? high : n;
}

static void
spec_limits(const struct spec *s)
{
    const int64_t task_cpu = task_size(s->task, "cpu"), task_memory = task_size(s->task, "memory"),
                  swap = json_get_i64(json_get(s->def, "linuxParameters"), "maxSwap", -1);
    int64_t memory = json_i64(effective(s, "memory"), 0),
            reservation = json_i64(effective(s, "memoryReservation"), 0);
    struct json *to = s->host_config;

    json_set(to, "CpuShares",
             json_int(clamp(json_i64(effective(s, "cpu"), 0), CPU_SHARES_MIN, CPU_SHARES_MAX)));
    if (task_cpu > 0 && s->host->has_cpu_quota && s->host->cpu_count > 0)
        json_set(to, "NanoCpus", json_int(clamp(task_cpu * SECOND_NS / 1024, SECOND_NS / 100,
                                                s->host->cpu_count * SECOND_NS)));
    if (memory == 0 || (task_memory > 0 && memory > task_memory))
        memory = task_memory;
    if (memory > 0) {
        memory = memory < MEMORY_FLOOR_MIB ? MEMORY_FLOOR_MIB : memory;
        json_set(to, "Memory", json_int(memory * MIB));
        reservation = reservation > memory ? memory : reservation;
    }
    if (reservation > 0)
        json_set(to, "MemoryReservation",
                 json_int((reservation < MEMORY_FLOOR_MIB ? MEMORY_FLOOR_MIB : reservation) * MIB));
    if (swap >= 0 && memory > 0) {
        json_set(to, "MemorySwap", json_int((memory + swap) * MIB));
        copy_to(to, "MemorySwappiness", json_get(json_get(s->def, "linuxParameters"), "swappiness"));
    }
}

static void
spec_ulimits(const struct spec *s)
{
    const struct json *list = json_get(s->def, "ulimits");
    struct json *out = json_array();
    bool has_nofile = false;

    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *u = json_at(list, i);
        struct json *row = json_object();
        const char *name = json_get_cstr(u, "name", "");

        has_nofile = has_nofile || strcmp(name, "nofile") == 0;
        json_set(row, "Name", json_text(name));
        json_set(row, "Soft", json_int(json_get_i64(u, "softLimit", 0)));
        json_set(row, "Hard", json_int(json_get_i64(u, "hardLimit", 0)));
        json_append(out, row);
    }
    if (!has_nofile && s->task->launch_type == LAUNCH_FARGATE) {
        struct json *row = json_object();

        json_set(row, "Name", json_text("nofile"));
        json_set(row, "Soft", json_int(65535));
        json_set(row, "Hard", json_int(65535));
        json_append(out, row);
    }
    json_set(s->host_config, "Ulimits", out);
}

/* ---- linuxParameters ---- */

static void
spec_devices(const struct spec *s, const struct json *devices)
{
    struct json *out = json_array();

    for (size_t i = 0; i < json_size(devices); i++) {
        const struct json *d = json_at(devices, i), *permissions = json_get(d, "permissions");
        const char *path = json_get_cstr(d, "hostPath", "");
        struct json *row = json_object();
        char letters[4] = "";
        size_t n = 0;

        for (size_t p = 0; p < json_size(permissions) && n < 3; p++)
            letters[n++] = json_cstr(json_at(permissions, p), "r")[0]; /* read, write, mknod */
        json_set(row, "PathOnHost", json_text(path));
        json_set(row, "PathInContainer", json_text(json_get_cstr(d, "containerPath", path)));
        json_set(row, "CgroupPermissions", json_text(n > 0 ? letters : "rwm"));
        json_append(out, row);
    }
    json_set(s->host_config, "Devices", out);
}

static void
spec_tmpfs(const struct spec *s, const struct json *list)
{
    struct json *out = json_object();

    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *t = json_at(list, i), *options = json_get(t, "mountOptions");
        cleanup(strbuf_done) struct strbuf text = {0};

        strbuf_addf(&text, "size=%lldm", (long long)json_get_i64(t, "size", 0));
        for (size_t o = 0; o < json_size(options); o++)
            strbuf_addf(&text, ",%s", json_cstr(json_at(options, o), ""));
        json_set(out, json_get_cstr(t, "containerPath", ""), json_text(strbuf_cstr(&text)));
    }
    json_set(s->host_config, "Tmpfs", out);
}

static void
spec_linux(const struct spec *s)
{
    const struct json *linux_parameters = json_get(s->def, "linuxParameters"),
                      *capabilities = json_get(linux_parameters, "capabilities");
    const int64_t shm = json_get_i64(linux_parameters, "sharedMemorySize", 0);

    copy_to(s->host_config, "CapAdd", json_get(capabilities, "add"));
    copy_to(s->host_config, "CapDrop", json_get(capabilities, "drop"));
    copy_to(s->host_config, "Init", json_get(linux_parameters, "initProcessEnabled"));
    if (shm > 0)
        json_set(s->host_config, "ShmSize", json_int(shm * MIB));
    if (json_size(json_get(linux_parameters, "devices")) > 0)
        spec_devices(s, json_get(linux_parameters, "devices"));
    if (json_size(json_get(linux_parameters, "tmpfs")) > 0)
        spec_tmpfs(s, json_get(linux_parameters, "tmpfs"));
}

/* ---- network ---- */

/* What belongs to a network namespace, and so to the pause container where there is one. */
static void
spec_namespace(const struct json *def, struct json *config, struct json *host_config, bool has_hosts)
{
    const struct json *hosts = json_get(def, "extraHosts");

    copy_to(config, "Hostname", json_get(def, "hostname"));
    copy_to(host_config, "Dns", json_get(def, "dnsServers"));
    copy_to(host_config, "DnsSearch", json_get(def, "dnsSearchDomains"));
    if (!has_hosts || json_size(hosts) == 0)
        return;
    struct json *list = json_array();
    for (size_t i = 0; i < json_size(hosts); i++) {
        cleanup_free char *line = text_format("%s:%s", json_get_cstr(json_at(hosts, i), "hostname", ""),
                                              json_get_cstr(json_at(hosts, i), "ipAddress", ""));
        json_append(list, json_text(line));
    }
    json_set(host_config, "ExtraHosts", list);
}

/* `wants_net`: the net.* ones, which belong to the network namespace; else all others. */
static void
add_sysctls(const struct json *def, struct json *sysctls, bool wants_net)
{
    const struct json *controls = json_get(def, "systemControls");

    for (size_t i = 0; i < json_size(controls); i++) {
        const char *name = json_get_cstr(json_at(controls, i), "namespace", "");

        if (str_starts(str_of(name), STR("net.")) == wants_net)
            json_set(sysctls, name, json_text(json_get_cstr(json_at(controls, i), "value", "")));
    }
}

static void
add_port(struct json *exposed, struct json *bindings, int64_t port, int64_t host_port, const char *protocol)
{
    char key[32], host[24] = "";
    struct json *list;

    (void)snprintf(key, sizeof(key), "%lld/%s", (long long)port, protocol);
    if (host_port > 0)
        (void)snprintf(host, sizeof(host), "%lld", (long long)host_port);
    list = json_get(bindings, key);
    if (list == NULL) {
        json_set(exposed, key, json_object());
        json_set(bindings, key, json_array());
        list = json_get(bindings, key);
    }
    struct json *binding = json_object();
    if (host_port <= 0) /* who follows a dynamic port asks us for it: one family, half the proxies */
        json_set(binding, "HostIp", json_text("0.0.0.0"));
    json_set(binding, "HostPort", json_text(host)); /* empty: Docker picks a free one */
    json_append(list, binding);
}

/* Only bridge mode publishes: in host mode the process binds by itself, an awsvpc task has its own
 * address. A range gets dynamic ports one by one, not the contiguous ones of ECS. */
static void
spec_ports(const struct spec *s, bool is_bridge)
{
    const struct json *list = json_get(s->def, "portMappings");
    struct json *exposed = json_object(), *bindings = json_object();

    for (size_t i = 0; i < json_size(list) && i < PORTS_MAX; i++) {
        const struct json *m = json_at(list, i);
        const char *protocol = strcmp(json_get_cstr(m, "protocol", ""), "udp") == 0 ? "udp" : "tcp";
        struct str range = str_of(json_get_cstr(m, "containerPortRange", "")), part = {0};
        int64_t first = 0, last = 0;

        if (range.len == 0)
            add_port(exposed, bindings, json_get_i64(m, "containerPort", 0),
                     json_get_i64(m, "hostPort", 0), protocol);
        else if (str_split(&range, '-', &part) && str_to_i64(part, &first) && str_to_i64(range, &last))
            for (int64_t p = first; p <= last && p < first + PORTS_MAX; p++)
                add_port(exposed, bindings, p, 0, protocol);
    }
    json_set(s->config, "ExposedPorts", exposed);
    if (is_bridge)
        json_set(s->host_config, "PortBindings", bindings);
    else
        json_unref(bindings);
}

static void
spec_links(const struct spec *s)
{
    const struct json *links = json_get(s->def, "links");
    struct json *out = json_array();

    for (size_t i = 0; i < json_size(links); i++) {
        struct str rest = str_of(json_cstr(json_at(links, i), "")), name = {0};
        char docker_name[DOCKER_NAME_SIZE];

        if (!str_split(&rest, ':', &name))
            continue;
        cleanup_free char *container = str_dup(name);
        container_spec_docker_name(s->task, container, 0, docker_name);
        for (int k = 0; k < container_spec_count(s->task); k++)
            if (json_at(json_get(s->task->definition, "containerDefinitions"), (size_t)k) ==
                definition_of(s->task, container))
                container_spec_docker_name(s->task, container, k, docker_name);
        cleanup_free char *line =
            text_format("%s:" STR_FMT, docker_name, STR_ARG(rest.len > 0 ? rest : str_of(container)));
        json_append(out, json_text(line));
    }
    json_set(s->host_config, "Links", out);
}

/* The member that attaches to the awsvpc network by name. */
static void
attach_network(struct json *config, struct json *host_config, const char *network)
{
    struct json *endpoints = json_object(), *networking = json_object();

    json_set(host_config, "NetworkMode", json_text(network));
    json_set(endpoints, network, json_object());
    json_set(networking, "EndpointsConfig", endpoints);
    json_set(config, "NetworkingConfig", networking);
}

static void
spec_network(const struct spec *s)
{
    const char *mode = json_get_cstr(s->task->definition, "networkMode", "bridge");
    const bool is_awsvpc = strcmp(mode, "awsvpc") == 0, is_host = strcmp(mode, "host") == 0,
               is_bridge = strcmp(mode, "bridge") == 0;
    char pause[DOCKER_NAME_SIZE];
    struct json *sysctls = json_object();

    add_sysctls(s->def, sysctls, false);
    if (is_awsvpc && container_spec_needs_pause(s->task)) {
        container_spec_docker_name(s->task, PAUSE_NAME, 0, pause);
        cleanup_free char *joined = text_format("container:%s", pause);
        json_set(s->host_config, "NetworkMode", json_text(joined));
    } else {
        if (is_awsvpc)
            attach_network(s->config, s->host_config, s->host->network);
        else
            json_set(s->host_config, "NetworkMode", json_text(mode));
        spec_namespace(s->def, s->config, s->host_config, !is_awsvpc);
        if (!is_host) {
            add_sysctls(s->def, sysctls, true);
            spec_ports(s, is_bridge);
        }
        if (is_bridge)
            spec_links(s);
        copy_to(s->config, "NetworkDisabled", json_get(s->def, "disableNetworking"));
    }
    json_set(s->host_config, "Sysctls", sysctls);
}

/* pidMode and ipcMode: of the host, or those of the pause container. */
static void
spec_namespaces(const struct spec *s)
{
    static const struct {
        const char *member, *docker;
    } modes[] = {{"pidMode", "PidMode"}, {"ipcMode", "IpcMode"}};
    char pause[DOCKER_NAME_SIZE];

    container_spec_docker_name(s->task, PAUSE_NAME, 0, pause);
    for (size_t i = 0; i < ARRAY_COUNT(modes); i++) {
        const char *mode = json_get_cstr(s->task->definition, modes[i].member, "");
        cleanup_free char *joined = text_format("container:%s", pause);

        if (strcmp(mode, "host") == 0 || strcmp(mode, "none") == 0)
            json_set(s->host_config, modes[i].docker, json_text(mode));
        else if (strcmp(mode, "task") == 0 && container_spec_needs_pause(s->task))
            json_set(s->host_config, modes[i].docker, json_text(joined));
    }
}

/* ---- mounts ---- */

static const struct json *
volume_find(const struct agent_task *task, const char *name)
{
    const struct json *list = json_get(task->definition, "volumes");

    for (size_t i = 0; i < json_size(list); i++)
        if (strcmp(json_get_cstr(json_at(list, i), "name", ""), name) == 0)
            return json_at(list, i);
    return NULL;
}

static bool
spec_mounts(const struct spec *s, struct err *err)
{
    const struct json *mounts = json_get(s->def, "mountPoints"), *from = json_get(s->def, "volumesFrom");
    struct json *binds = json_array(), *sources = json_array();

    json_set(s->host_config, "Binds", binds);
    json_set(s->host_config, "VolumesFrom", sources);
    for (size_t i = 0; i < json_size(mounts); i++) {
        const struct json *m = json_at(mounts, i),
                          *volume = volume_find(s->task, json_get_cstr(m, "sourceVolume", ""));

        if (volume == NULL)
            return err_set(err, ERR_CLIENT, "Unknown volume '%s'.", json_get_cstr(m, "sourceVolume", ""));
        cleanup_free char *source = container_spec_volume_source(s->task, volume);
        cleanup_free char *line = text_format("%s:%s%s", source, json_get_cstr(m, "containerPath", ""),
                                              json_get_bool(m, "readOnly", false) ? ":ro" : "");
        json_append(binds, json_text(line));
    }
    for (size_t i = 0; i < json_size(from); i++) {
        const char *name = json_get_cstr(json_at(from, i), "sourceContainer", "");
        const bool is_read_only = json_get_bool(json_at(from, i), "readOnly", false);
        char docker_name[DOCKER_NAME_SIZE] = "";

        for (int k = 0; k < container_spec_count(s->task); k++)
            if (json_at(json_get(s->task->definition, "containerDefinitions"), (size_t)k) ==
                definition_of(s->task, name))
                container_spec_docker_name(s->task, name, k, docker_name);
        cleanup_free char *line = text_format("%s%s", docker_name, is_read_only ? ":ro" : "");
        json_append(sources, json_text(line));
    }
    return true;
}

/* ---- logs, and all of it ---- */

static void
spec_logging(const struct spec *s)
{
    const struct json *log = json_get(s->def, "logConfiguration");
    const char *driver = json_get_cstr(log, "logDriver", "");
    struct json *out = json_object(), *config = json_object();
    const bool is_plain = driver[0] == '\0' || strcmp(driver, "awslogs") == 0;

    json_set(out, "Type", json_text(is_plain ? "json-file" : driver));
    if (is_plain || strcmp(driver, "json-file") == 0) {
        json_set(config, "max-size", json_text("10m"));
        json_set(config, "max-file", json_text("3"));
    }
    if (!is_plain) {
        const struct json *options = json_get(log, "options");

        for (void *it = json_first(options); it != NULL; it = json_next(options, it))
            json_set(config, json_key(it), json_text(json_cstr(json_value(it), "")));
    }
    json_set(out, "Config", config);
    json_set(s->host_config, "LogConfig", out);
}

/* Never restarted or removed by Docker: the agent decides, and an exit code must stay readable. */
static void
keep_in_our_hands(struct json *host_config)
{
    struct json *policy = json_object();

    json_set(policy, "Name", json_text("no"));
    json_set(host_config, "RestartPolicy", policy);
    json_set(host_config, "AutoRemove", json_bool(false));
}

struct json *
container_spec_create(const struct agent_task *task, int index, const char *image,
                      const struct spec_host *host, struct err *err)
{
    cleanup_json struct json *config = json_object();
    const struct json *def = json_at(json_get(task->definition, "containerDefinitions"), (size_t)index);
    const struct spec s = {.task = task,
                           .def = def,
                           .override = override_of(task, json_get_cstr(def, "name", "")),
                           .host = host,
                           .index = index,
                           .config = config,
                           .host_config = json_object()};

    json_set(config, "HostConfig", s.host_config);
    if (!check_supported(&s, err))
        return NULL;
    json_set(config, "Image", json_text(image));
    spec_process(&s);
    spec_labels(&s);
    spec_health_check(&s);
    spec_limits(&s);
    spec_ulimits(&s);
    spec_linux(&s);
    spec_network(&s);
    spec_namespaces(&s);
    spec_logging(&s);
    keep_in_our_hands(s.host_config);
    if (!spec_mounts(&s, err))
        return NULL;
    return TAKE(config);
}

struct json *
container_spec_create_pause(const struct agent_task *task, const struct spec_host *host)
{
    struct json *config = json_object(), *host_config = json_object(), *labels = json_object(),
                *sysctls = json_object(), *log = json_object();

    json_set(config, "Image", json_text(PAUSE_IMAGE));
    json_set(config, "HostConfig", host_config);
    json_set(config, "Labels", labels);
    json_set(labels, LABEL_TASK_ARN, json_text(task->arn));
    json_set(labels, LABEL_CONTAINER, json_text(PAUSE_NAME));
    json_set(labels, LABEL_FAMILY, json_text(task->family));
    json_set(labels, "com.amazonaws.ecs.cluster", json_text(task->cluster_name));
    json_set(labels, LABEL_INSTALLATION, json_text(host->installation));
    json_set(labels, LABEL_TASK, json_text(task->id));
    if (container_spec_is_awsvpc(task))
        attach_network(config, host_config, host->network);
    else
        json_set(host_config, "NetworkMode", json_text("none"));
    if (strcmp(json_get_cstr(task->definition, "ipcMode", ""), "task") == 0)
        json_set(host_config, "IpcMode", json_text("shareable"));
    for (int i = 0; i < container_spec_count(task); i++) {
        const struct json *def = json_at(json_get(task->definition, "containerDefinitions"), (size_t)i);

        spec_namespace(def, config, host_config, false);
        if (container_spec_is_awsvpc(task))
            add_sysctls(def, sysctls, true);
    }
    json_set(host_config, "Sysctls", sysctls);
    json_set(log, "Type", json_text("none"));
    json_set(host_config, "LogConfig", log);
    keep_in_our_hands(host_config);
    return config;
}
