/* SPDX-License-Identifier: MIT */
/* docker_world.h - an agent against a real Docker Engine, for the tests of suite `docker`.
 * NARU_TEST_DOCKER_SOCKET names the engine (`tools/dockerd.sh start DIR` prints one); without it
 * world_new() gives NULL and the test says that it was skipped.  Every world is an installation of its
 * own, named after the test's process, and purges it at the end; what a failed test left behind, the
 * next world purges. */
#pragma once
#include <pthread.h>
#include "agent/agent.h"
#include "agent/docker.h"

#define TEST_IMAGE "naru-test-busybox:latest"
#define TASKS_MAX 32

/* The last report about a task, copied. */
struct told {
    char id[ID_SIZE];
    bool has_any;
    int reports;
    enum task_status status;
    enum health_status health;
    struct task_container containers[CONTAINERS_MAX];
    struct network_binding bindings[CONTAINERS_MAX][BINDINGS_MAX]; /* theirs, which have none in a copy */
    int container_count;
    char address[ADDRESS_SIZE], mac_address[32], reason[REASON_SIZE];
    bool is_infrastructure, is_environment;
    int64_t exited_ago_ms;
    int64_t running_at_ms, stopped_at_ms; /* monotonic, of the first such report */
};

struct world {
    struct agent *agent;
    struct agent_config config;
    char socket[108], data_dir[128], installation[17];
    char other[17]; /* somebody else's installation, purged with ours */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct told tasks[TASKS_MAX];
    int task_count;
    bool is_connected, has_instance;
    int cpu_total, memory_mib;
    char digest[DIGEST_SIZE], resolve_error[REASON_SIZE];
    int resolved;
    struct docker docker; /* for looking from outside */
};

struct world *world_new(void);
struct world *world_open(const char *socket); /* any socket; the agent is not started, nothing looked at */
void world_free(struct world *w);
void world_close(struct world *w); /* of world_open(): without a purge */
void world_start_agent(struct world *w);
void world_stop_agent(struct world *w);
/* Starts a task from its JSON ("'" stands for '"'); `id` has 32 hex digits. */
void world_start(struct world *w, const char *id, const char *definition, const char *overrides, bool only_adopt);
/* One that was ordered before. `refusal`, or NULL: why no container of it may be made any more. */
void world_start_again(struct world *w, const char *id, const char *definition, const char *refusal);
struct told *world_task(struct world *w, const char *id);
/* Waits until the task has this status and gives a copy; fails the test after `seconds`. */
struct told world_wait(struct world *w, const char *id, enum task_status status, int seconds);
struct told world_wait_health(struct world *w, const char *id, enum health_status health, int seconds);
struct told world_wait_report(struct world *w, const char *id, int count, int seconds); /* that many were made */
void world_wait_connected(struct world *w, bool is_connected, int seconds);
/* "GET / HTTP/1.0" to the address, the whole answer; empty if it cannot be reached. */
void world_get(const char *address, int port, struct strbuf *out);
int world_count(struct world *w, const char *label); /* containers of this installation carrying it */
