/* SPDX-License-Identifier: MIT */
/* agent.h - hands on containers, through Docker Engine (nothing outside this folder knows Docker).
 * All calls return at once and may come from any thread; what happened comes back as events
 * (TASK_STATE, INSTANCE_REPORT, IMAGE_RESOLVED) through `report`, from the agent's threads.
 * Everything is idempotent and found again by label: a container belongs to the task named in its
 * label com.amazonaws.ecs.task-arn and to the installation in label naru.installation, so two
 * installations share one Docker and neither touches the other's containers, nor anybody else's. */
#pragma once
#include "core/event.h"

struct agent;

struct agent_config {
    const char *docker_socket;  /* "/var/run/docker.sock" */
    const char *data_dir;       /* logs go to <data_dir>/log/tasks/<task id>/<container>.log */
    const char *installation;   /* 16 hex, made once for a data directory */
    const char *host;           /* the machine's name in what is reported of it */
    const char *account, *region;
    const char *endpoint_url;   /* AWS_ENDPOINT_URL is not given to tasks; used for nothing but logs */
    const char *gpu_directory;  /* host_gpus.h; NULL: it has none */
    int64_t unreachable_ms;     /* a start that waits longer for Docker has failed; 0: a minute */
    unsigned registry_port;     /* images of our own registry are localhost:<port>/... */
    /* A fresh password for user AWS of our own registry, appended to `out`. */
    void (*registry_password)(void *ctx, struct strbuf *out);
    /* The value that a secret's valueFrom stands for, malloc'd; NULL with err set. Called on a thread of the agent's.
     * NULL: there are no secrets here. */
    char *(*secret)(void *ctx, const char *value_from, struct err *err);
    void (*report)(void *ctx, const struct event *event); /* copies what it keeps */
    /* Is there room below Docker's own folder for what nobody has asked for yet? NULL: a tenth of the disk stays free,
     * or 10 GiB if that is less. Called on a thread of the agent's. */
    bool (*has_disk_room)(const char *docker_root);
    void *ctx;
};

/* All the agent needs to know of a task: a copy that lives on its own. */
struct agent_task {
    char id[ID_SIZE], arn[ARN_SIZE], cluster_name[NAME_SIZE], cluster_arn[ARN_SIZE], region[REGION_SIZE];
    char service_name[NAME_SIZE];
    char family[NAME_SIZE];
    int revision;
    enum launch_type launch_type;
    struct json *definition; /* task_definition.doc, a reference */
    struct json *overrides;  /* may be NULL */
    struct json *gpus;       /* {container: [identifier, ...]}; may be NULL */
    char log_mode[16];       /* of a logConfiguration that has none: "non-blocking", or empty */
    struct {
        char name[NAME_SIZE];
        char image[IMAGE_SIZE]; /* as in the definition */
        char digest[DIGEST_SIZE]; /* empty: not pinned, take the tag */
    } images[CONTAINERS_MAX];
    int image_count;
    bool only_adopt, is_repeated; /* see effect.h */
    char refusal[REASON_SIZE]; /* with only_adopt: why what is not there is not made; empty: it was there, and is gone */
};
static inline void
agent_task_free(struct agent_task *t)
{
    if (t == NULL)
        return;
    json_unref(t->definition);
    json_unref(t->overrides);
    json_unref(t->gpus);
    free(t);
}

struct agent *agent_new(const struct agent_config *config, struct err *err) MUST_CHECK; /* starts its threads; Docker need not answer yet */
void agent_free(struct agent *agent); /* stops the threads, leaves the containers alone */

/* The tasks that exist as far as the control plane knows (all not STOPPED, and STOPPED ones not yet
 * forgotten), once after start and before any other call: containers of ours that belong to none are removed. */
void agent_begin(struct agent *agent, const char *const *task_ids, int count);
void agent_start_task(struct agent *agent, struct agent_task *task); /* takes it over */
/* Also of a task that was never started here: it is then stopped as its containers' labels tell. */
void agent_stop_task(struct agent *agent, const char *task_id);
void agent_forget_task(struct agent *agent, const char *task_id);
/* Resolves images that are not in our own registry (local images included); takes `ask` over. */
struct agent_resolve {
    char service_arn[ARN_SIZE], revision_arn[ARN_SIZE];
    struct {
        char image[IMAGE_SIZE];
        char digest[DIGEST_SIZE]; /* filled in already: keep */
        bool skip;                /* versionConsistency disabled: leave empty */
    } images[CONTAINERS_MAX];
    int image_count;
};
void agent_resolve_images(struct agent *agent, struct agent_resolve *ask);

/* An image of our own registry that a task will probably want soon, `image` as a definition writes it:
 * pulled by its digest, unless Docker has it, by that or as `config_digest` (which may be empty).  One
 * at a time, later ones under a name replace earlier ones; what fails, or comes while Docker does not
 * answer, is dropped. */
void agent_prefetch_image(struct agent *agent, const char *image, const char *digest,
                          const char *config_digest);

/* Removes every container, network and volume of the installation; blocking (naru down --purge). */
bool agent_purge(const char *docker_socket, const char *installation, int *removed_out, struct err *err) MUST_CHECK;
