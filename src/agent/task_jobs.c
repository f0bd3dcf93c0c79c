/* SPDX-License-Identifier: MIT */
/* task_jobs.c - the blocking work for one container, on a crew's thread.
 * A runner's task and plans do not change once made, so they are read here without locks. */
#include <stdio.h>
#include "agent/internal.h"
#include "agent/pause_image.h"

#define DAEMON_SAYS "Error response from daemon: "
#define RANGE_TRIES 10 /* starts with other host ports, while those of a range are taken */

static const struct container_plan *
plan_of(const struct job *job)
{
    return &job->runner->containers[job->container].plan;
}

/* The network whose address we report, NULL where Docker's own ones are used. */
static const char *
network_of(const struct job *job)
{
    return container_spec_is_awsvpc(job->runner->task) ? job->host.network : NULL;
}

static void
set_reason(struct job *job, const char *name)
{
    char text[sizeof(job->err.message)];

    memcpy(text, job->err.message, sizeof(text));
    (void)snprintf(job->reason, sizeof(job->reason), "%s: %s%.900s", name, DAEMON_SAYS, text);
}

static const struct json *
definition_of(const struct job *job, int container)
{
    return json_at(json_get(job->runner->task->definition, "containerDefinitions"), (size_t)container);
}

/* The port mappings of the container's definition. */
static const struct json *
mappings_of(const struct job *job)
{
    return job->container == PAUSE_INDEX ? NULL : json_get(definition_of(job, job->container), "portMappings");
}

static bool
inspect(struct job *job, struct docker *d, const char *id)
{
    job->has_state = docker_container_inspect(d, id, network_of(job), mappings_of(job), &job->state,
                                              &job->err);
    return job->has_state;
}

/* The name is taken: by an earlier try of ours, which is then simply adopted, or by somebody else. */
static bool
adopt_by_name(struct job *job, struct docker *d, const char *name)
{
    if (!inspect(job, d, name)) {
        /* A create that we gave up may still hold the name without showing a container yet. */
        if (job->id[0] == '\0' && job->err.code == ERR_RESOURCE_NOT_FOUND && job->work == job_run)
            (void)err_set(&job->err, ERR_UNAVAILABLE, "the name '%s' is taken, but by no container", name);
        return false;
    }
    if (strcmp(job->state.task, job->runner->id) != 0 ||
        strcmp(job->state.installation, job->host.installation) != 0) {
        job->has_state = false;
        (void)err_set(&job->err, ERR_CLIENT, "the name '%s' belongs to another container", name);
        return false;
    }
    return true;
}

/* Creates, or finds what was created before. Leaves the id in job->id. */
static bool
create(struct job *job, struct docker *d, const char *name, const struct json *spec)
{
    if (docker_container_create(d, name, spec, job->id, &job->err))
        return true;
    if (job->err.code != ERR_CONFLICT || !adopt_by_name(job, d, name))
        return false;
    (void)text_copy(job->id, sizeof(job->id), str_of(job->state.id));
    return true;
}

static bool
ensure_pause_image(struct job *job, struct docker *d)
{
    cleanup(strbuf_done) struct strbuf tar = {0};
    cleanup_json struct json *image = docker_image_inspect(d, PAUSE_IMAGE, &job->err);
    const struct str name = STR(PAUSE_IMAGE);
    const ptrdiff_t colon = str_rindex(name, ':');

    if (image != NULL)
        return true;
    if (job->err.code != ERR_RESOURCE_NOT_FOUND)
        return false;
    if (!pause_image_tar(job->info.arch, &tar, &job->err))
        return false;
    cleanup_free char *repository = str_dup(str_slice(name, 0, (size_t)colon));
    return docker_image_import(d, repository, name.at + colon + 1, strbuf_str(&tar), &job->err);
}

static bool
run_pause(struct job *job, struct docker *d)
{
    /* An imported image has no command of its own. */
    cleanup_json struct json *spec = container_spec_create_pause(job->runner->task, &job->host);
    struct json *command = json_array();

    json_append(command, json_text("/pause"));
    json_set(spec, "Entrypoint", command);
    if (!ensure_pause_image(job, d) || !create(job, d, plan_of(job)->docker_name, spec) ||
        !docker_container_start(d, job->id, &job->err))
        return false;
    return inspect(job, d, job->id);
}

static bool
make_volumes(struct job *job, struct docker *d)
{
    cleanup_json struct json *list = container_spec_volumes(job->runner->task, &job->host, &job->err);

    if (list == NULL)
        return false;
    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *volume = json_at(list, i);
        const char *name = json_get_cstr(volume, "Name", "");

        if (json_get_bool(volume, "mustExist", false) ? docker_volume_inspect(d, name, &job->err)
                                                      : docker_volume_create(d, volume, &job->err))
            continue;
        set_reason(job, "CannotCreateVolumeError");
        return false;
    }
    return true;
}

/* The values of a container's secrets, {"NAME": "value"}, for the caller; NULL with job->err set. They are nowhere but in
 * what Docker is told: who creates a container asks again. */
static struct json *
secrets_of(struct job *job, int container)
{
    const struct agent_config *config = &job->agent->config;
    const struct json *list = json_get(definition_of(job, container), "secrets");
    cleanup_json struct json *values = json_object();

    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *one = json_at(list, i);
        struct err why = {0};
        cleanup_free char *value =
            config->secret != NULL ? config->secret(config->ctx, json_get_cstr(one, "valueFrom", ""), &why) : NULL;
        if (value == NULL) {
            job->lacks_secret = true;
            (void)err_set(&job->err, ERR_CLIENT,
                          "ResourceInitializationError: unable to pull secrets or registry auth: secret '%.100s' of "
                          "container '%.100s': %.500s", json_get_cstr(one, "name", ""),
                          job->runner->containers[container].plan.name, why.message);
            return NULL;
        }
        json_set(values, json_get_cstr(one, "name", ""), json_text(value));
    }
    return TAKE(values);
}

/* None of a task's containers starts if one has a secret that is not there, as in ECS. */
static bool
check_secrets(struct job *job)
{
    for (int i = 0; i < job->runner->count; i++) {
        cleanup_json struct json *values = secrets_of(job, i);
        if (values == NULL)
            return false;
    }
    return true;
}

/* Everything the containers need before the first of them: secrets, volumes, network, pause container. */
void
job_prepare(struct job *job, struct docker *d)
{
    const bool is_awsvpc = container_spec_is_awsvpc(job->runner->task);

    if (!check_secrets(job) || !make_volumes(job, d)) {
        /* A text that names itself is complete: "ResourceInitializationError: secrets ..." */
        if (job->reason[0] == '\0')
            (void)snprintf(job->reason, sizeof(job->reason), "%.1000s", job->err.message);
        return;
    }
    job->has_network = is_awsvpc && docker_network_ensure(d, job->host.network, job->host.installation, &job->err);
    job->is_ok = job->has_network == is_awsvpc && (!job->runner->has_pause || run_pause(job, d));
    job->lacks_network = is_awsvpc && !job->is_ok;
    if (!job->is_ok)
        set_reason(job, "ResourceInitializationError");
}

void
job_image(struct job *job, struct docker *d)
{
    const struct image_ref *image = &plan_of(job)->image;
    cleanup(strbuf_done) struct strbuf auth = {0};

    if (image->is_ours)
        agent_registry_auth(&job->agent->config, &auth);
    job->is_ok = docker_image_pull(d, image, image->is_ours ? strbuf_cstr(&auth) : NULL, &job->err);
}

/* Which manifest a tag stood for, where the image came from a registry; best effort. */
static void
find_digest(struct job *job, struct docker *d)
{
    const struct image_ref *image = &plan_of(job)->image;

    if (image->digest[0] != '\0') {
        memcpy(job->digest, image->digest, sizeof(job->digest));
        return;
    }
    cleanup_json struct json *answer =
        docker_image_inspect(d, job->state.image_id[0] != '\0' ? job->state.image_id : image->full, NULL);
    image_ref_repo_digest(image, json_get(answer, "RepoDigests"), job->digest);
}

/* ---- host ports of ranges ---- */

/* Sets what is wrong if there are not so many free ports in a row. */
static bool
choose_ports(struct job *job, struct range_ports *out)
{
    const struct json *list = mappings_of(job);
    struct host_ports *all = &job->agent->host_ports;

    *out = (struct range_ports){0};
    for (size_t i = 0; i < json_size(list) && i < PORTS_MAX; i++) {
        const int count = container_spec_range(job->runner->task, json_at(list, i));
        const char *protocol = json_get_cstr(json_at(list, i), "protocol", "tcp");

        if (count == 0)
            continue;
        out->first[i] = host_ports_take(all, count, strcmp(protocol, "udp") == 0);
        if (out->first[i] == 0)
            return err_set(&job->err, ERR_CLIENT,
                           "CannotStartContainerError: %d contiguous host ports are not free between "
                           "%d and %d", count, all->low, all->high);
    }
    return true;
}

/* Does Docker's text name this port?  "Bind for 0.0.0.0:40000 failed: port is already allocated" */
static bool
names_port(const char *text, int64_t port)
{
    char wanted[24];
    const size_t len = (size_t)snprintf(wanted, sizeof(wanted), ":%lld", (long long)port);

    for (const char *at = text; (at = strstr(at, wanted)) != NULL; at++)
        if (at[len] < '0' || at[len] > '9')
            return true;
    return false;
}

/* Would other ports help?  Not if the one that is taken is one that the definition asks for. */
static bool
is_range_taken(const struct job *job)
{
    const struct json *list = mappings_of(job);
    bool has_range = false;

    if (strstr(job->err.message, "already allocated") == NULL &&
        strstr(job->err.message, "already in use") == NULL)
        return false;
    for (size_t i = 0; i < json_size(list); i++) {
        const int64_t fixed = json_get_i64(json_at(list, i), "hostPort", 0);

        if (fixed > 0 && names_port(job->err.message, fixed))
            return false;
        has_range = has_range || container_spec_range(job->runner->task, json_at(list, i)) > 0;
    }
    return has_range;
}

/* ---- one container ---- */

static bool
create_container(struct job *job, struct docker *d)
{
    const struct container_plan *plan = plan_of(job);
    struct range_ports ports;
    cleanup_json struct json *spec = NULL, *secrets = secrets_of(job, job->container);

    if (secrets != NULL && choose_ports(job, &ports))
        spec = container_spec_create(job->runner->task, job->container, plan->image.full, &ports, secrets,
                                     &job->host, &job->err);
    if (spec == NULL) {
        (void)snprintf(job->reason, sizeof(job->reason), "%.1000s", job->err.message);
        return false;
    }
    if (create(job, d, plan->docker_name, spec))
        return true;
    if (job->err.code == ERR_RESOURCE_NOT_FOUND && strstr(job->err.message, "No such image") != NULL)
        job->needs_image = true;
    set_reason(job, "CannotCreateContainerError");
    return false;
}

/* Starts what was created.  The ports of a container are its own from its creation, so others need
 * another container; the one that never ran leaves its name to it. */
static bool
start_container(struct job *job, struct docker *d)
{
    for (int tries = 1; !docker_container_start(d, job->id, &job->err); tries++) {
        if (tries == RANGE_TRIES || !is_range_taken(job) ||
            !docker_container_remove(d, job->id, &job->err)) {
            set_reason(job, "CannotStartContainerError");
            return false;
        }
        job->id[0] = '\0';
        if (!create_container(job, d))
            return false;
        job->has_state = false;
    }
    return true;
}

void
job_run(struct job *job, struct docker *d)
{
    if (!create_container(job, d))
        return;
    if (job->has_state && (job->state.is_running || job->state.has_ended)) {
        find_digest(job, d);
        job->is_ok = true; /* an earlier try got further */
        return;
    }
    job->has_state = false;
    if (!start_container(job, d))
        return;
    if (!inspect(job, d, job->id)) {
        set_reason(job, "CannotInspectContainerError");
        return;
    }
    find_digest(job, d);
    job->is_ok = true;
}

/* The restart policy: the same container once more. */
void
job_restart(struct job *job, struct docker *d)
{
    if (!docker_container_start(d, job->id, &job->err))
        set_reason(job, "CannotStartContainerError");
    else if (!inspect(job, d, job->id))
        set_reason(job, "CannotInspectContainerError");
    else
        job->is_ok = true;
}

void
job_inspect(struct job *job, struct docker *d)
{
    job->is_ok = job->id[0] != '\0' ? inspect(job, d, job->id)
                                    : adopt_by_name(job, d, plan_of(job)->docker_name);
    if (job->is_ok && job->container != PAUSE_INDEX && job->digest[0] == '\0')
        find_digest(job, d);
}

void
job_signal(struct job *job, struct docker *d)
{
    job->is_ok = docker_container_kill(d, job->id, job->signal, &job->err);
    if (job->is_ok || job->err.code == ERR_UNAVAILABLE)
        return;
    /* Not running (any more), or gone: what it is decides. */
    (void)inspect(job, d, job->id);
}
