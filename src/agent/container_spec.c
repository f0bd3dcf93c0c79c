/* SPDX-License-Identifier: MIT */
#include "agent/container_parts.h"
#include <stdio.h>

#define MIB (1024LL * 1024)
#define MEMORY_FLOOR_MIB 6 /* Docker refuses less */
#define CPU_SHARES_MIN 2   /* the kernel's minimum; ECS gives it to containers without cpu */
#define CPU_SHARES_MAX 262144
#define SECOND_NS 1000000000LL

const struct json *
spec_definition_of(const struct agent_task *task, const char *name)
{
    return json_find(json_get(task->definition, "containerDefinitions"), "name", name);
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
void
spec_copy(struct json *to, const char *docker_key, struct json *value)
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

    if (json_size(json_get(log, "secretOptions")) > 0)
        return refuse(err, s, "secrets of the log driver");
    if (json_size(effective(s, "environmentFiles")) > 0)
        return refuse(err, s, "environment files");
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

/* Identifiers that the container was given; NULL: none. */
static struct json *
gpus_of(const struct spec *s)
{
    return json_get(s->task->gpus, json_get_cstr(s->def, "name", ""));
}

static char *
joined(const struct json *texts)
{
    cleanup(strbuf_done) struct strbuf line = {0};

    for (size_t i = 0; i < json_size(texts); i++)
        strbuf_addf(&line, "%s%s", i > 0 ? "," : "", json_cstr(json_at(texts, i), ""));
    return text_dup(strbuf_cstr(&line));
}

/* Later wins: definition, secrets, then override; the region only where nobody named one (ecs.md 3.4). */
static void
spec_environment(const struct spec *s)
{
    cleanup_json struct json *env = json_object();
    struct json *list = json_array();
    const char *how = s->task->launch_type == LAUNCH_FARGATE ? "AWS_ECS_FARGATE" : "AWS_ECS_EC2";

    json_set(env, "AWS_EXECUTION_ENV", json_text(how));
    env_put(env, json_get(s->def, "environment"));
    for (void *it = json_first(s->secrets); it != NULL; it = json_next(s->secrets, it))
        json_set(env, json_key(it), json_ref(json_value(it)));
    env_put(env, json_get(s->override, "environment"));
    if (json_get(env, "AWS_REGION") == NULL && json_get(env, "AWS_DEFAULT_REGION") == NULL &&
        s->task->region[0] != '\0') {
        json_set(env, "AWS_REGION", json_text(s->task->region));
        json_set(env, "AWS_DEFAULT_REGION", json_text(s->task->region));
    }
    if (gpus_of(s) != NULL) {
        cleanup_free char *ids = joined(gpus_of(s));

        json_set(env, "NVIDIA_VISIBLE_DEVICES", json_text(ids));
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
    spec_copy(s->config, "Entrypoint", json_get(s->def, "entryPoint"));
    spec_copy(s->config, "Cmd", effective(s, "command"));
    spec_copy(s->config, "WorkingDir", json_get(s->def, "workingDirectory"));
    spec_copy(s->config, "User", json_get(s->def, "user"));
    spec_copy(s->config, "OpenStdin", json_get(s->def, "interactive"));
    spec_copy(s->config, "Tty", json_get(s->def, "pseudoTerminal"));
    spec_copy(s->host_config, "Privileged", json_get(s->def, "privileged"));
    spec_copy(s->host_config, "ReadonlyRootfs", json_get(s->def, "readonlyRootFilesystem"));
    spec_copy(s->host_config, "SecurityOpt", json_get(s->def, "dockerSecurityOptions"));
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
    spec_copy(out, "Test", json_get(check, "command"));
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
        spec_copy(to, "MemorySwappiness", json_get(json_get(s->def, "linuxParameters"), "swappiness"));
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
        const int nofile =
            s->host->nofile_max < FARGATE_NOFILE ? s->host->nofile_max : FARGATE_NOFILE;
        struct json *row = json_object();

        json_set(row, "Name", json_text("nofile"));
        json_set(row, "Soft", json_int(nofile));
        json_set(row, "Hard", json_int(nofile));
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

    spec_copy(s->host_config, "CapAdd", json_get(capabilities, "add"));
    spec_copy(s->host_config, "CapDrop", json_get(capabilities, "drop"));
    spec_copy(s->host_config, "Init", json_get(linux_parameters, "initProcessEnabled"));
    if (shm > 0)
        json_set(s->host_config, "ShmSize", json_int(shm * MIB));
    if (json_size(json_get(linux_parameters, "devices")) > 0)
        spec_devices(s, json_get(linux_parameters, "devices"));
    if (json_size(json_get(linux_parameters, "tmpfs")) > 0)
        spec_tmpfs(s, json_get(linux_parameters, "tmpfs"));
}

/* By the driver's name: another one that can "gpu", too, does not know these identifiers. */
static void
spec_gpus(const struct spec *s)
{
    struct json *requests, *request, *capabilities, *all;

    if (gpus_of(s) == NULL)
        return;
    requests = json_array();
    request = json_object();
    capabilities = json_array();
    all = json_array(); /* of these lists one has to be met whole */
    json_append(capabilities, json_text("gpu"));
    json_append(all, capabilities);
    json_set(request, "Driver", json_text("nvidia"));
    json_set(request, "DeviceIDs", json_ref(gpus_of(s)));
    json_set(request, "Capabilities", all);
    json_append(requests, request);
    json_set(s->host_config, "DeviceRequests", requests);
}

/* ---- mounts ---- */

static bool
spec_mounts(const struct spec *s, struct err *err)
{
    const struct json *mounts = json_get(s->def, "mountPoints"), *from = json_get(s->def, "volumesFrom");
    struct json *binds = json_array(), *sources = json_array();

    json_set(s->host_config, "Binds", binds);
    json_set(s->host_config, "VolumesFrom", sources);
    for (size_t i = 0; i < json_size(mounts); i++) {
        const struct json *m = json_at(mounts, i),
                          *volume = json_find(json_get(s->task->definition, "volumes"), "name",
                                              json_get_cstr(m, "sourceVolume", ""));

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
                spec_definition_of(s->task, name))
                container_spec_docker_name(s->task, name, k, docker_name);
        cleanup_free char *line = text_format("%s%s", docker_name, is_read_only ? ":ro" : "");
        json_append(sources, json_text(line));
    }
    return true;
}

/* ---- logs, and all of it ---- */

/* Docker's options for every driver: awslogs, which json-file plays, has them too.  Docker refuses a
 * buffer without the mode that uses it. */
static void
set_log_mode(const struct agent_task *task, const struct json *log, struct json *config)
{
    const struct json *options = json_get(log, "options");
    const char *mode = json_get_cstr(options, "mode", log == NULL ? "" : task->log_mode);
    const char *buffer = json_get_cstr(options, "max-buffer-size", NULL);

    if (mode[0] != '\0')
        json_set(config, "mode", json_text(mode));
    if (buffer != NULL && strcmp(mode, "non-blocking") == 0)
        json_set(config, "max-buffer-size", json_text(buffer));
}

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
    set_log_mode(s->task, log, config);
    json_set(out, "Config", config);
    json_set(s->host_config, "LogConfig", out);
}

/* Never restarted or removed by Docker: the agent decides, and an exit code must stay readable. */
void
spec_keep_in_our_hands(struct json *host_config)
{
    struct json *policy = json_object();

    json_set(policy, "Name", json_text("no"));
    json_set(host_config, "RestartPolicy", policy);
    json_set(host_config, "AutoRemove", json_bool(false));
}

struct json *
container_spec_create(const struct agent_task *task, int index, const char *image,
                      const struct range_ports *ports, const struct json *secrets,
                      const struct spec_host *host, struct err *err)
{
    cleanup_json struct json *config = json_object();
    const struct json *def = json_at(json_get(task->definition, "containerDefinitions"), (size_t)index);
    const struct spec s = {.task = task,
                           .def = def,
                           .override = task_container_override(task->overrides,
                                                               json_get_cstr(def, "name", "")),
                           .ports = ports,
                           .secrets = secrets,
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
    spec_gpus(&s);
    spec_network(&s);
    spec_namespaces(&s);
    spec_logging(&s);
    spec_keep_in_our_hands(s.host_config);
    if (!spec_mounts(&s, err))
        return NULL;
    return TAKE(config);
}
