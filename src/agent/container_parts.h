/* SPDX-License-Identifier: MIT */
/* container_parts.h - what container_spec.c and container_network.c share: the create call of one
 * container, put together part by part. */
#pragma once
#include "agent/container_spec.h"

/* One container being described. */
struct spec {
    const struct agent_task *task;
    const struct json *def;      /* its containerDefinition */
    const struct json *override; /* its containerOverride, or NULL */
    const struct range_ports *ports; /* may be NULL */
    const struct json *secrets;      /* {"NAME": "value"}; may be NULL */
    const struct spec_host *host;
    int index;
    struct json *config, *host_config; /* Docker's Config and HostConfig */
};

/* container_network.c */
void spec_network(const struct spec *s);
void spec_namespaces(const struct spec *s);

/* container_spec.c */
/* The containerDefinition of that name; NULL if there is none. */
const struct json *spec_definition_of(const struct agent_task *task, const char *name);
/* Copies a member under Docker's name, if it is there. */
void spec_copy(struct json *to, const char *docker_key, struct json *value);
/* Never restarted or removed by Docker: the agent decides, and an exit code must stay readable. */
void spec_keep_in_our_hands(struct json *host_config);
