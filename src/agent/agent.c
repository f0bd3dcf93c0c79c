/* SPDX-License-Identifier: MIT */
#include "agent/agent.h"
#include <assert.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "agent/internal.h"
#include "base/hash.h"
#include "base/log.h"

/* ---- jobs ---- */

static bool
is_cancelled(void *arg)
{
    const struct job *job = arg;

    return atomic_load(&job->agent->is_closing) ||
           (job->is_cancelled != NULL && atomic_load(job->is_cancelled));
}

/* Where the machine may not raise limits (a container without CAP_SYS_RESOURCE), its own is the most. */
static int
nofile_max(void)
{
    struct rlimit limit;

    if (prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0) == 1 ||
        getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max > INT_MAX)
        return INT_MAX;
    return (int)limit.rlim_max;
}

struct job *
job_new(struct agent *agent, struct runner *runner, int container, job_work *work, job_done *done)
{
    struct job *job = mem_new(sizeof(*job));

    job->agent = agent;
    job->runner = runner;
    job->container = container;
    job->work = work;
    job->done = done;
    job->api_minor = agent->info.api_minor;
    job->info = agent->info;
    job->host = (struct spec_host){.installation = agent->config.installation,
                                   .home = agent_image_home(&agent->config),
                                   .cpu_count = agent->info.cpu_count,
                                   .has_cpu_quota = agent->info.has_cpu_quota,
                                   .network = agent->network,
                                   .nofile_max = nofile_max()};
    if (runner != NULL)
        runner->jobs++;
    return job;
}

static void
job_finish(void *arg)
{
    struct job *job = arg;
    struct runner *runner = job->runner;

    if (!atomic_load(&job->agent->is_closing))
        job->done(job);
    json_unref(job->json);
    free(job->prefetch);
    free(job->resolve);
    free(job);
    if (runner != NULL)
        runner_job_done(runner);
}

static void
job_perform(void *arg)
{
    struct job *job = arg;
    struct docker docker;

    if (!atomic_load(&job->agent->is_closing)) {
        docker_init(&docker, job->agent->config.docker_socket, job->api_minor);
        docker.is_cancelled = is_cancelled;
        docker.arg = job;
        job->work(job, &docker);
        docker_done(&docker);
    }
    loop_post(job->agent->loop, job_finish, job);
}

void
job_post(struct job *job, struct crew *crew)
{
    crew_post(crew, job_perform, job);
}

/* ---- runners by id ---- */

static unsigned
bucket_of(const char *id)
{
    return (unsigned)(hash_text(str_of(id), 0) % RUNNER_BUCKETS);
}

struct runner *
agent_find(struct agent *agent, const char *task_id)
{
    struct runner *r = agent->runners[bucket_of(task_id)];

    while (r != NULL && strcmp(r->id, task_id) != 0)
        r = r->next;
    return r;
}

struct runner *
agent_add_runner(struct agent *agent, struct agent_task *task)
{
    struct runner *r = runner_new(agent, task);

    r->next = agent->runners[bucket_of(r->id)];
    agent->runners[bucket_of(r->id)] = r;
    return r;
}

static void
unlink_runner(struct agent *agent, struct runner *r)
{
    struct runner **at = &agent->runners[bucket_of(r->id)];

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
}

void
agent_advance_all(struct agent *agent)
{
    for (int b = 0; b < RUNNER_BUCKETS; b++)
        for (struct runner *r = agent->runners[b], *next; r != NULL; r = next) {
            next = r->next;
            runner_advance(r);
        }
}

/* A job's end is the moment when a forgotten runner may go: nothing of it is under way any more. */
void
runner_job_done(struct runner *r)
{
    struct agent *agent = r->agent;

    r->jobs--;
    assert(r->jobs >= 0);
    if (atomic_load(&agent->is_closing))
        return; /* agent_free() does it */
    if (!r->is_forgotten) {
        runner_advance(r);
    } else if (r->jobs == 0) {
        unlink_runner(agent, r);
        adopt_remove_runner(agent, r);
        runner_free(r);
    }
}

/* ---- the door: every call is a post ---- */

struct order {
    struct agent *agent;
    struct agent_task *task;
    struct agent_resolve *resolve;
    struct prefetch *prefetch;
    char id[ID_SIZE];
    char (*ids)[ID_SIZE];
    int count;
};

static struct order *
order_new(struct agent *agent, const char *id)
{
    struct order *o = mem_new(sizeof(*o));

    o->agent = agent;
    (void)text_copy(o->id, sizeof(o->id), str_of(id));
    return o;
}

static void
do_start(void *arg)
{
    cleanup_free struct order *o = arg;
    struct runner *r = agent_find(o->agent, o->task->id);

    if (r != NULL) { /* told twice: say what is */
        if (o->task->only_adopt && !r->looks_first) /* else what it will say of the look that is under way serves both */
            runner_look(r);
        agent_task_free(o->task);
        r->is_dirty = true;
        runner_advance(r);
        return;
    }
    runner_advance(agent_add_runner(o->agent, o->task));
}

static void
do_stop(void *arg)
{
    cleanup_free struct order *o = arg;
    struct runner *r = agent_find(o->agent, o->id);

    if (r != NULL) {
        r->is_stopping = r->is_dirty = true;
        atomic_store(&r->cancels_pulls, true);
        runner_advance(r);
        return;
    }
    adopt_stop(o->agent, o->id);
}

static void
do_forget(void *arg)
{
    cleanup_free struct order *o = arg;
    struct runner *r = agent_find(o->agent, o->id);

    if (r == NULL) {
        adopt_remove(o->agent, o->id);
        return;
    }
    r->is_forgotten = true;
    atomic_store(&r->cancels_pulls, true);
    r->jobs++; /* as if a job ended: one place lets go */
    runner_job_done(r);
}

static void
do_begin(void *arg)
{
    cleanup_free struct order *o = arg;
    struct agent *agent = o->agent;

    free(agent->known);
    agent->known = o->ids;
    agent->known_count = o->count;
    agent->has_begun = true;
    if (agent->link == LINK_UP)
        adopt_begin(agent);
}

static void
do_resolve(void *arg)
{
    cleanup_free struct order *o = arg;

    resolve_start(o->agent, o->resolve);
}

static void
do_prefetch(void *arg)
{
    cleanup_free struct order *o = arg;

    prefetch_add(o->agent, o->prefetch);
}

void
agent_begin(struct agent *agent, const char *const *task_ids, int count)
{
    struct order *o = order_new(agent, "");

    o->ids = mem_grow(NULL, (size_t)count + 1, sizeof(*o->ids));
    o->count = count;
    for (int i = 0; i < count; i++)
        (void)text_copy(o->ids[i], sizeof(o->ids[i]), str_of(task_ids[i]));
    loop_post(agent->loop, do_begin, o);
}

void
agent_start_task(struct agent *agent, struct agent_task *task)
{
    struct order *o = order_new(agent, task->id);

    o->task = task;
    loop_post(agent->loop, do_start, o);
}

void
agent_stop_task(struct agent *agent, const char *task_id)
{
    loop_post(agent->loop, do_stop, order_new(agent, task_id));
}

void
agent_forget_task(struct agent *agent, const char *task_id)
{
    loop_post(agent->loop, do_forget, order_new(agent, task_id));
}

void
agent_resolve_images(struct agent *agent, struct agent_resolve *ask)
{
    struct order *o = order_new(agent, "");

    o->resolve = ask;
    loop_post(agent->loop, do_resolve, o);
}

void
agent_prefetch_image(struct agent *agent, const char *image, const char *digest,
                     const char *config_digest)
{
    struct order *o = order_new(agent, "");

    o->prefetch = prefetch_new(image, digest, config_digest);
    loop_post(agent->loop, do_prefetch, o);
}

struct image_home
agent_image_home(const struct agent_config *config)
{
    return (struct image_home){.account = config->account,
                               .region = config->region,
                               .registry_port = config->registry_port};
}

void
agent_registry_auth(const struct agent_config *config, struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf password = {0};
    cleanup_free char *server = text_format("localhost:%u", config->registry_port);

    config->registry_password(config->ctx, &password);
    docker_auth("AWS", strbuf_cstr(&password), server, out);
}

/* ---- life ---- */

static void
do_link_start(void *arg)
{
    link_start(arg);
}

struct agent *
agent_new(const struct agent_config *config, struct err *err)
{
    struct agent *agent;

    if (config->docker_socket == NULL || strlen(config->docker_socket) >= 108)
        return err_set(err, ERR_INVALID_PARAMETER, "the path of Docker's socket is missing or too long"), NULL;
    if (config->installation == NULL || strlen(config->installation) < 8 || strlen(config->installation) > 31)
        return err_set(err, ERR_INVALID_PARAMETER, "the installation's id has to have 8 to 31 characters"), NULL;
    agent = mem_new(sizeof(*agent));
    agent->config = *config;
    if (config->unreachable_ms == 0)
        agent->config.unreachable_ms = 60000;
    agent->config.docker_socket = text_dup(config->docker_socket);
    agent->config.data_dir = text_dup(config->data_dir);
    agent->config.installation = text_dup(config->installation);
    agent->config.host = text_dup(config->host);
    agent->config.account = text_dup(config->account);
    agent->config.region = text_dup(config->region);
    agent->config.endpoint_url = text_dup(config->endpoint_url);
    agent->config.gpu_directory = text_dup(config->gpu_directory);
    (void)snprintf(agent->network, sizeof(agent->network), "naru-%.8s", config->installation);
    host_ports_init(&agent->host_ports);
    agent->loop = loop_new();
    agent->workers = crew_new("naru-docker", WORKERS);
    agent->quick = crew_new("naru-quick", QUICK_WORKERS);
    agent->pullers = crew_new("naru-pull", PULLERS);
    agent->prefetcher = crew_new("naru-prefetch", 1);
    agent->watcher = crew_new("naru-watch", 1);
    agent->logs = container_logs_new(config->docker_socket, config->data_dir);
    loop_start(agent->loop, "naru-agent");
    loop_post(agent->loop, do_link_start, agent);
    return agent;
}

static void
do_close(void *arg)
{
    struct agent *agent = arg;

    atomic_store(&agent->is_closing, true);
    link_done(agent);
}

static void
free_pending(struct pending_removal *list)
{
    while (list != NULL) {
        struct pending_removal *p = list;

        list = p->next;
        free(p);
    }
}

static void
do_free_runners(void *arg)
{
    struct agent *agent = arg;

    for (int b = 0; b < RUNNER_BUCKETS; b++)
        while (agent->runners[b] != NULL) {
            struct runner *r = agent->runners[b];

            agent->runners[b] = r->next;
            runner_free(r);
        }
    resolve_drop(agent);
    prefetch_drop(agent);
    free_pending(agent->removals);
    free_pending(agent->stops);
}

void
agent_free(struct agent *agent)
{
    if (agent == NULL)
        return;
    loop_call_and_wait(agent->loop, do_close, agent);
    crew_free(agent->watcher);
    crew_free(agent->workers);
    crew_free(agent->quick);
    crew_free(agent->pullers);
    crew_free(agent->prefetcher);
    container_logs_free(agent->logs);
    loop_call_and_wait(agent->loop, do_free_runners, agent); /* after the last job came home */
    loop_stop(agent->loop);
    loop_join(agent->loop);
    loop_free(agent->loop);
    json_unref(agent->seen);
    free(agent->known);
    free((char *)(uintptr_t)agent->config.docker_socket);
    free((char *)(uintptr_t)agent->config.data_dir);
    free((char *)(uintptr_t)agent->config.installation);
    free((char *)(uintptr_t)agent->config.host);
    free((char *)(uintptr_t)agent->config.account);
    free((char *)(uintptr_t)agent->config.region);
    free((char *)(uintptr_t)agent->config.endpoint_url);
    free((char *)(uintptr_t)agent->config.gpu_directory);
    free(agent);
}
