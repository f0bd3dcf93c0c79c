/* SPDX-License-Identifier: MIT */
/* container_spec.h - from a task definition to what Docker is told (ecs.md 3.1 - 3.9, 3.13).
 * Pure: task, overrides and a few facts of the host in, a JSON document out.
 *
 * Where we choose for ourselves:
 * - awsvpc: a task is an address on one user-defined bridge network.  A single container is attached
 *   to it directly; several share the namespace of a pause container (`~internal~ecs~pause`), as in
 *   ECS, because an owner that exits would take the network of its siblings along.  pidMode and
 *   ipcMode `task` use the same pause container.
 * - Limits of the task have no parent cgroup: task cpu becomes NanoCpus of every container (capped by
 *   the host's cores), task memory the Memory of containers that set none.
 * - awslogs options are accepted, but the lines are captured on this machine (container_logs.h): the
 *   driver is json-file with rotation, which keeps `docker logs` working.  So it is without a
 *   logConfiguration.  Other drivers are passed on as they are.
 * - A HEALTHCHECK of the image is switched off unless the definition has one.
 * - The metadata and credentials endpoints are not served, so their variables are not set.
 * - The host ports of a containerPortRange are a row that the agent chooses (host_ports.h).
 * - GPUs are those that the task was given, by identifier: a device request of Docker's driver
 *   "nvidia", and NVIDIA_VISIBLE_DEVICES, which nothing in the definition overrides.
 * Not built, and refused by name: secretOptions, environmentFiles, repositoryCredentials, awsfirelens,
 * EFS, FSx, S3 and launch-time volumes.  Errors read "ResourceInitializationError: ...".
 * Ownership: documents returned are the caller's. */
#pragma once
#include "agent/agent.h"
#include "model/image_ref.h"

#define DOCKER_NAME_SIZE 640
#define PAUSE_NAME "~internal~ecs~pause"
#define PAUSE_IMAGE "naru-pause:1"
#define STOP_TIMEOUT_DEFAULT_S 30
#define START_TIMEOUT_DEFAULT_S 180
#define FARGATE_NOFILE 65535 /* of a container that sets none, as on Fargate (ecs.md 3.1) */

#define LABEL_TASK_ARN "com.amazonaws.ecs.task-arn"
#define LABEL_CONTAINER "com.amazonaws.ecs.container-name"
#define LABEL_INSTALLATION "naru.installation"
#define LABEL_TASK "naru.task"
#define LABEL_FAMILY "com.amazonaws.ecs.task-definition-family"
#define LABEL_REVISION "com.amazonaws.ecs.task-definition-version"
#define LABEL_STOP_TIMEOUT "naru.stop-timeout" /* seconds: a task can be stopped well by its labels alone */

struct spec_host {
    const char *installation;
    struct image_home home;
    int cpu_count;       /* cores Docker would give at most */
    bool has_cpu_quota;  /* the kernel can limit cpu time */
    const char *network; /* of awsvpc tasks */
    int nofile_max;      /* how many open files it lets a container have */
};

/* The first host port of each containerPortRange of one container, by its port mapping; 0: Docker
 * picks. */
struct range_ports {
    int first[PORTS_MAX];
};

enum dependency_condition { DEPENDS_CREATE, DEPENDS_START, DEPENDS_COMPLETE, DEPENDS_SUCCESS, DEPENDS_HEALTHY };
struct dependency {
    int container; /* index in the definition */
    enum dependency_condition condition;
};
#define DEPENDENCIES_MAX (3 * CONTAINERS_MAX)

/* What the runner has to know of a container, read once. */
struct container_plan {
    char name[NAME_SIZE];
    char docker_name[DOCKER_NAME_SIZE];
    struct image_ref image;
    bool is_essential, has_health_check, is_host_network, is_awsvpc;
    bool pulls_always; /* a tag of our own registry: it may have moved */
    int stop_timeout_s, start_timeout_s;
    struct dependency dependencies[DEPENDENCIES_MAX];
    int dependency_count;
    bool restarts;
    int restart_period_s;
    int restart_ignored[50];
    int restart_ignored_count;
};

int container_spec_count(const struct agent_task *task);
bool container_spec_plan(const struct agent_task *task, int index, const struct spec_host *host,
                         struct container_plan *out, struct err *err) MUST_CHECK;
/* Do dependsOn, links and volumesFrom together run in a circle?  Names one of them. */
bool container_spec_check_order(const struct container_plan *plans, int count, struct err *err) MUST_CHECK;
bool container_spec_needs_pause(const struct agent_task *task);
bool container_spec_has_secrets(const struct agent_task *task);
bool container_spec_is_awsvpc(const struct agent_task *task);
void container_spec_docker_name(const struct agent_task *task, const char *container, int index,
                                char out[static DOCKER_NAME_SIZE]);
/* The body of POST /containers/create. `image` is what Docker shall run; `ports` NULL chooses
 * none; `secrets` are the values of the definition's, {"NAME": "value"}, or NULL. */
struct json *container_spec_create(const struct agent_task *task, int index, const char *image,
                                   const struct range_ports *ports, const struct json *secrets,
                                   const struct spec_host *host, struct err *err) MUST_CHECK;
/* How many ports the containerPortRange of a port mapping has in bridge mode; 0: it has none. */
int container_spec_range(const struct agent_task *task, const struct json *mapping);
struct json *container_spec_create_pause(const struct agent_task *task, const struct spec_host *host);
/* The host's path, the shared volume's own name, or one made for this task; malloc'd. */
char *container_spec_volume_source(const struct agent_task *task, const struct json *volume);
/* Volumes to be made before the containers: an array of bodies of POST /volumes/create, those that must
 * already exist as {"Name":..., "mustExist":true}. */
struct json *container_spec_volumes(const struct agent_task *task, const struct spec_host *host,
                                    struct err *err) MUST_CHECK;
