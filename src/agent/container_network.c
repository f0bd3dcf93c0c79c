/* SPDX-License-Identifier: MIT */
/* container_network.c - networks, ports and shared namespaces of a container, and the pause container
 * that holds them for a task. */
#include <stdio.h>
#include "agent/container_parts.h"
#include "model/task_definition.h"

/* What belongs to a network namespace, and so to the pause container where there is one. */
static void
spec_namespace(const struct json *def, struct json *config, struct json *host_config, bool has_hosts)
{
    const struct json *hosts = json_get(def, "extraHosts");

    spec_copy(config, "Hostname", json_get(def, "hostname"));
    spec_copy(host_config, "Dns", json_get(def, "dnsServers"));
    spec_copy(host_config, "DnsSearch", json_get(def, "dnsSearchDomains"));
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

/* `has_address`: who follows a port that the definition does not name asks us for it, and one
 * address family is half the proxies. */
static void
add_port(struct json *exposed, struct json *bindings, int64_t port, int64_t host_port,
         bool has_address, const char *protocol)
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
    if (has_address)
        json_set(binding, "HostIp", json_text("0.0.0.0"));
    json_set(binding, "HostPort", json_text(host)); /* empty: Docker picks a free one */
    json_append(list, binding);
}

int
container_spec_range(const struct agent_task *task, const struct json *mapping)
{
    int first, last;

    if (strcmp(json_get_cstr(task->definition, "networkMode", "bridge"), "bridge") != 0 ||
        !port_range_parse(json_get_cstr(mapping, "containerPortRange", ""), &first, &last))
        return 0;
    return last - first + 1;
}

/* Only bridge mode publishes: in host mode the process binds by itself, an awsvpc task has its own
 * address, and all of a range there without our doing. */
static void
spec_ports(const struct spec *s, bool is_bridge)
{
    const struct json *list = json_get(s->def, "portMappings");
    struct json *exposed = json_object(), *bindings = json_object();

    for (size_t i = 0; i < json_size(list) && i < PORTS_MAX; i++) {
        const struct json *m = json_at(list, i);
        const char *protocol = strcmp(json_get_cstr(m, "protocol", ""), "udp") == 0 ? "udp" : "tcp";
        const int chosen = s->ports != NULL ? s->ports->first[i] : 0;
        const int64_t host_port = json_get_i64(m, "hostPort", 0);
        int first = 0, last = -1;

        if (json_get(m, "containerPortRange") == NULL)
            add_port(exposed, bindings, json_get_i64(m, "containerPort", 0), host_port,
                     host_port <= 0, protocol);
        else if (is_bridge &&
                 port_range_parse(json_get_cstr(m, "containerPortRange", ""), &first, &last))
            for (int p = first; p <= last; p++)
                add_port(exposed, bindings, p, chosen > 0 ? chosen + p - first : 0, true, protocol);
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
                spec_definition_of(s->task, container))
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

void
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
        spec_copy(s->config, "NetworkDisabled", json_get(s->def, "disableNetworking"));
    }
    json_set(s->host_config, "Sysctls", sysctls);
}

/* pidMode and ipcMode: of the host, or those of the pause container. */
void
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
    spec_keep_in_our_hands(host_config);
    return config;
}
