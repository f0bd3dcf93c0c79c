/* SPDX-License-Identifier: MIT */
/* task_definition.h - one revision of a family.
 * `doc` is the whole definition as DescribeTaskDefinition answers it under "taskDefinition", already
 * normalised (ecs.md 2.2 RegisterTaskDefinition) but without the members that change: status,
 * deregisteredAt.  The other fields are read from it once, for those who decide.
 * Units: cpu in ECS units (1024 a core), memory in MiB. */
#pragma once
#include "model/placement_rules.h"
#include "model/types.h"

struct port_mapping {
    int container_port;
    int host_port;   /* 0: dynamic in bridge mode */
    bool is_udp;
};

struct container_definition {
    char name[NAME_SIZE];
    char image[IMAGE_SIZE];
    bool essential;
    bool has_health_check;
    bool pins_digest;   /* versionConsistency is not "disabled" */
    int stop_timeout_s; /* default 30 */
    int gpu_count;      /* resourceRequirements */
    struct port_mapping *ports;
    int port_count;
};

struct task_definition {
    char arn[ARN_SIZE];
    char family[NAME_SIZE];
    char region[REGION_SIZE];
    int revision;
    enum task_definition_status status;
    int64_t registered_at_ms;
    int64_t deregistered_at_ms; /* 0: never */
    int64_t delete_requested_at_ms; /* 0: never */
    enum network_mode network_mode;
    int cpu;        /* of the task: its own setting, else the sum of its containers' */
    int memory_mib; /* likewise; memoryReservation counts before memory (ecs.md 3.2) */
    int gpu_count;  /* the sum of its containers' */
    bool fits_ec2, fits_fargate; /* compatibilities */
    struct container_definition containers[CONTAINERS_MAX];
    int container_count;
    struct placement_rules rules; /* its placementConstraints */
    struct json *doc;
    struct json *tags; /* array of {key,value} */
    struct task_definition *next;
};

/* Builds from a normalised doc that the API checked; asserts on shapes that it should have refused.
 * Takes references of `doc` and `tags` (may be NULL). */
struct task_definition *task_definition_new(const char *region, const struct json *doc,
                                            const struct json *tags);
void task_definition_free(struct task_definition *td);
const struct container_definition *task_definition_container(const struct task_definition *td,
                                                             const char *name);
/* What one of its tasks takes with these overrides of RunTask (may be NULL): what is set for the task,
 * else the sum of its containers (ecs.md 7.7). */
void task_definition_size(const struct task_definition *td, const struct json *overrides,
                          int *cpu_out, int *memory_mib_out);
/* The GPUs that a container definition asks for, or the override of one; 0: it names none. */
int task_definition_gpus(const struct json *container);
/* "8000-8010", a containerPortRange: two ports, the first below the last. */
bool port_range_parse(const char *text, int *first_out, int *last_out) MUST_CHECK;
/* Any essential container with a health check? (ecs.md 5.3) */
bool task_definition_has_health_check(const struct task_definition *td);
struct json *task_definition_encode(const struct task_definition *td);       /* a store row */
struct task_definition *task_definition_decode(const struct json *row, struct err *err);
