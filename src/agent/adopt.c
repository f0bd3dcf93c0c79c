/* SPDX-License-Identifier: MIT */
/* adopt.c - what Docker has of ours: found again after a restart, removed when nobody wants it.
 * Ownership is the label naru.installation, and the task is the label naru.task; a container without
 * them, or of another installation, is never touched. */
#include <stdio.h>
#include "agent/internal.h"
#include "base/log.h"

#define REMOVALS_AT_ONCE 2 /* starts go first: removing takes Docker longer than starting */

const struct json *
adopt_find(const struct agent *agent, const char *docker_name)
{
    for (size_t i = 0; i < json_size(agent->seen); i++) {
        const struct json *row = json_at(agent->seen, i), *names = json_get(row, "Names");

        for (size_t n = 0; n < json_size(names); n++) {
            const char *name = json_cstr(json_at(names, n), "");

            if (name[0] == '/' && strcmp(name + 1, docker_name) == 0)
                return row;
        }
    }
    return NULL;
}

void
adopt_resync(struct agent *agent)
{
    for (int b = 0; b < RUNNER_BUCKETS; b++)
        for (struct runner *r = agent->runners[b]; r != NULL; r = r->next)
            r->is_found = false;
}

static bool
is_known(const struct agent *agent, const char *task)
{
    for (int i = 0; i < agent->known_count; i++)
        if (strcmp(agent->known[i], task) == 0)
            return true;
    return false;
}

/* Once: what ran for tasks that the control plane does not know goes away. */
void
adopt_begin(struct agent *agent)
{
    if (agent->is_swept)
        return;
    agent->is_swept = true;
    for (size_t i = 0; i < json_size(agent->seen); i++) {
        const char *task = json_get_cstr(json_get(json_at(agent->seen, i), "Labels"), LABEL_TASK, "");

        if (task[0] == '\0' || is_known(agent, task) || agent_find(agent, task) != NULL)
            continue;
        log_info("task.unknown", "task=%s", task);
        adopt_remove(agent, task);
    }
}

/* ---- stopping what nobody started here ---- */

static void
copy_label(char *to, size_t size, const struct json *row, const char *label)
{
    (void)text_copy(to, size, str_of(json_get_cstr(json_get(row, "Labels"), label, "")));
}

static struct json *
definition_from_label(const struct json *row, const char *name)
{
    struct json *def = json_object();
    int64_t seconds = STOP_TIMEOUT_DEFAULT_S;

    (void)str_to_i64(str_of(json_get_cstr(json_get(row, "Labels"), LABEL_STOP_TIMEOUT, "")), &seconds);
    json_set(def, "name", json_text(name));
    json_set(def, "image", json_text("adopted")); /* never pulled: the task is only stopped */
    json_set(def, "stopTimeout", json_int(seconds));
    return def;
}

struct agent_task *
adopt_task(const struct agent *agent, const char *task_id)
{
    struct json *definition = json_object(), *containers = json_array();
    struct agent_task *t = mem_new(sizeof(*t));
    int64_t revision = 0;

    json_set(definition, "containerDefinitions", containers);
    t->definition = definition;
    t->only_adopt = true;
    (void)text_copy(t->id, sizeof(t->id), str_of(task_id));
    for (size_t i = json_size(agent->seen); i > 0; i--) { /* the oldest comes last: made first */
        const struct json *row = json_at(agent->seen, i - 1), *labels = json_get(row, "Labels");
        const char *name = json_get_cstr(labels, LABEL_CONTAINER, "");

        if (strcmp(json_get_cstr(labels, LABEL_TASK, ""), task_id) != 0)
            continue;
        copy_label(t->arn, sizeof(t->arn), row, LABEL_TASK_ARN);
        copy_label(t->family, sizeof(t->family), row, LABEL_FAMILY);
        if (strcmp(name, PAUSE_NAME) == 0)
            json_set(definition, "networkMode", json_text("awsvpc"));
        else
            json_append(containers, definition_from_label(row, name));
        if (str_to_i64(str_of(json_get_cstr(labels, LABEL_REVISION, "")), &revision))
            t->revision = (int)revision;
    }
    if (json_size(containers) > 0)
        return t;
    agent_task_free(t);
    return NULL;
}

void
adopt_stop(struct agent *agent, const char *task_id)
{
    struct pending_removal *p;

    if (agent->link == LINK_UP) {
        struct agent_task *t = adopt_task(agent, task_id);

        if (t != NULL) {
            struct runner *r = agent_add_runner(agent, t);

            r->is_stopping = true;
            runner_advance(r);
            return;
        }
        const struct event e = {.type = EVENT_TASK_STATE,
                                .task_state = {.task_id = task_id, .status = TASK_STOPPED}};
        agent->config.report(agent->config.ctx, &e); /* nothing of it is left */
        return;
    }
    for (p = agent->stops; p != NULL; p = p->next)
        if (strcmp(p->task, task_id) == 0)
            return; /* waits already */
    p = mem_new(sizeof(*p));
    (void)text_copy(p->task, sizeof(p->task), str_of(task_id));
    p->next = agent->stops;
    agent->stops = p;
}

void
adopt_retry_stops(struct agent *agent)
{
    struct pending_removal *all = TAKE(agent->stops);

    while (all != NULL) {
        struct pending_removal *p = all;
        struct runner *r = agent_find(agent, p->task);

        all = p->next;
        if (r == NULL) {
            adopt_stop(agent, p->task);
        } else { /* told of it meanwhile */
            r->is_stopping = r->is_dirty = true;
            atomic_store(&r->cancels_pulls, true);
        }
        free(p);
    }
}

/* ---- removal ---- */

static bool
is_ours(const struct json *row, const char *installation)
{
    return strcmp(json_get_cstr(json_get(row, "Labels"), LABEL_INSTALLATION, ""), installation) == 0;
}

/* Removes containers and then volumes that carry `label` and belong to the installation. */
static bool
remove_labelled(struct docker *d, const char *label, const char *installation, int *removed, struct err *err)
{
    cleanup_json struct json *containers = docker_container_list(d, label, err);

    if (containers == NULL)
        return false;
    /* Docker lists the newest first, so a pause container goes after those that have joined it. */
    for (size_t i = 0; i < json_size(containers); i++) {
        const struct json *row = json_at(containers, i);

        if (!is_ours(row, installation))
            continue;
        if (!docker_container_remove(d, json_get_cstr(row, "Id", ""), err))
            return false;
        (*removed)++;
    }
    cleanup_json struct json *volumes = docker_volume_list(d, label, err);
    if (volumes == NULL)
        return false;
    for (size_t i = 0; i < json_size(volumes); i++) {
        const struct json *row = json_at(volumes, i);

        if (!is_ours(row, installation))
            continue;
        if (!docker_volume_remove(d, json_get_cstr(row, "Name", ""), err))
            return false;
        (*removed)++;
    }
    return true;
}

static void
work_remove(struct job *job, struct docker *d)
{
    const struct pending_removal *p = job->removal;
    cleanup_free char *label = text_format(LABEL_TASK "=%s", p->task);
    int removed = 0;

    if (p->id_count == 0) {
        job->is_ok = remove_labelled(d, label, job->host.installation, &removed, &job->err);
        return;
    }
    job->is_ok = true;
    for (int i = p->id_count - 1; i >= 0 && job->is_ok; i--)
        job->is_ok = docker_container_remove(d, p->ids[i], &job->err);
}

static void
removed(struct job *job)
{
    struct agent *agent = job->agent;
    struct pending_removal **at = &agent->removals, *p;

    while (*at != job->removal)
        at = &(*at)->next;
    p = *at;
    if (job->is_ok) {
        container_logs_forget(agent->logs, p->task);
        *at = p->next;
        free(p);
        adopt_retry_removals(agent);
        return;
    }
    log_warn("task.remove_failed", "task=%s error=%s", p->task, log_quote(job->err.message));
    p->is_busy = false; /* tried again at the next removal or connection */
    link_suspect(agent);
}

void
adopt_retry_removals(struct agent *agent)
{
    int busy = 0;

    if (agent->link != LINK_UP)
        return;
    for (const struct pending_removal *p = agent->removals; p != NULL; p = p->next)
        busy += p->is_busy;
    for (struct pending_removal *p = agent->removals; p != NULL && busy < REMOVALS_AT_ONCE; p = p->next) {
        if (p->is_busy)
            continue;
        struct job *job = job_new(agent, NULL, 0, work_remove, removed);

        job->removal = p;
        p->is_busy = true;
        busy++;
        job_post(job, agent->workers);
    }
}

/* Puts it at the end of the queue; NULL if it waits there already. */
static struct pending_removal *
queue_removal(struct agent *agent, const char *task_id)
{
    struct pending_removal **at = &agent->removals;

    for (; *at != NULL; at = &(*at)->next)
        if (strcmp((*at)->task, task_id) == 0)
            return NULL;
    *at = mem_new(sizeof(**at));
    (void)text_copy((*at)->task, sizeof((*at)->task), str_of(task_id));
    return *at;
}

void
adopt_remove(struct agent *agent, const char *task_id)
{
    (void)queue_removal(agent, task_id);
    adopt_retry_removals(agent);
}

/* Does it know of all that may exist?  Not of volumes, nor of what others made before it, nor of a
 * container whose creation was given up: that may still come, while a known one holds its name. */
static bool
knows_all(const struct runner *r)
{
    for (int i = 0; i < r->count; i++)
        if (r->containers[i].id[0] == '\0')
            return false;
    return !r->needs_preparing && !r->task->only_adopt;
}

void
adopt_remove_runner(struct agent *agent, const struct runner *r)
{
    struct pending_removal *p = queue_removal(agent, r->id);

    if (p != NULL && knows_all(r))
        for (int i = 0; i < r->count; i++)
            memcpy(p->ids[p->id_count++], r->containers[i].id, DOCKER_ID_SIZE);
    adopt_retry_removals(agent);
}

/* ---- purge ---- */

bool
agent_purge(const char *docker_socket, const char *installation, int *removed_out, struct err *err)
{
    cleanup(docker_done) struct docker docker = {0};
    cleanup_free char *label = text_format(LABEL_INSTALLATION "=%s", installation);
    struct docker_info info;
    int count = 0;

    if (installation[0] == '\0')
        return err_set(err, ERR_INVALID_PARAMETER, "purge needs the id of an installation");
    docker_init(&docker, docker_socket, 0);
    if (!docker_negotiate(&docker, &info, err) ||
        !remove_labelled(&docker, label, installation, &count, err))
        return false;
    cleanup_json struct json *networks = docker_network_list(&docker, label, err);
    if (networks == NULL)
        return false;
    for (size_t i = 0; i < json_size(networks); i++) {
        if (!is_ours(json_at(networks, i), installation))
            continue;
        if (!docker_network_remove(&docker, json_get_cstr(json_at(networks, i), "Id", ""), err))
            return false;
        count++;
    }
    *removed_out = count;
    return true;
}
