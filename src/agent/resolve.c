/* SPDX-License-Identifier: MIT */
/* resolve.c - the tags of a service revision to digests, once a deployment (ecs.md 5.7). */
#include <stdio.h>
#include "agent/internal.h"
#include "base/clock.h"

#define RETRY_MS 1000

static void
tell(struct agent *agent, const struct agent_resolve *ask, const char *error)
{
    char digests[CONTAINERS_MAX][DIGEST_SIZE] = {{0}};

    for (int i = 0; i < ask->image_count; i++)
        if (!ask->images[i].skip)
            memcpy(digests[i], ask->images[i].digest, DIGEST_SIZE);
    const struct event e = {.type = EVENT_IMAGE_RESOLVED,
                            .image_resolved = {.service_arn = ask->service_arn,
                                               .revision_arn = ask->revision_arn,
                                               .digests = (const char(*)[DIGEST_SIZE])digests,
                                               .digest_count = ask->image_count,
                                               .error = error}};
    agent->config.report(agent->config.ctx, &e);
}

/* What is here is what will run; only what is not here is asked for in its registry. */
static bool
resolve_one(struct job *job, struct docker *d, const char *image, char digest[static DIGEST_SIZE])
{
    struct image_ref ref;
    struct err err = {0};
    cleanup(strbuf_done) struct strbuf auth = {0};

    if (!image_ref_parse(image, "", &job->host.home, &ref, &job->err))
        return false;
    if (ref.digest[0] != '\0') {
        memcpy(digest, ref.digest, sizeof(ref.digest));
        return true;
    }
    if (!ref.is_ours) {
        cleanup_json struct json *answer = docker_image_inspect(d, ref.full, &err);

        if (answer != NULL) {
            image_ref_repo_digest(&ref, json_get(answer, "RepoDigests"), digest);
            return true;
        }
        if (err.code != ERR_RESOURCE_NOT_FOUND) {
            job->err = err;
            return false;
        }
    } else {
        agent_registry_auth(&job->agent->config, &auth);
    }
    if (docker_image_digest(d, &ref, ref.is_ours ? strbuf_cstr(&auth) : NULL, digest, &err))
        return true;
    if (err.code == ERR_UNAVAILABLE)
        job->err = err;
    else
        (void)err_set(&job->err, err.code, "CannotPullContainerError: image '%.300s' is neither here nor in its registry: %.600s",
                      image, err.message);
    return false;
}

static void
work_resolve(struct job *job, struct docker *d)
{
    struct agent_resolve *ask = job->resolve;

    for (int i = 0; i < ask->image_count; i++)
        if (!ask->images[i].skip && ask->images[i].digest[0] == '\0' &&
            !resolve_one(job, d, ask->images[i].image, ask->images[i].digest))
            return;
    job->is_ok = true;
}

static void
queue(struct agent *agent, struct agent_resolve *ask, int64_t deadline_ms, int64_t retry_at_ms)
{
    struct pending_resolve *p = mem_new(sizeof(*p));

    p->ask = ask;
    p->deadline_ms = deadline_ms;
    p->retry_at_ms = retry_at_ms;
    p->next = agent->resolves;
    agent->resolves = p;
}

static void
resolved(struct job *job)
{
    const int64_t now = clock_monotonic_ms();

    if (!job->is_ok && job->err.code == ERR_UNAVAILABLE && now < job->deadline_ms) {
        queue(job->agent, TAKE(job->resolve), job->deadline_ms, now + RETRY_MS);
        link_suspect(job->agent);
        return;
    }
    tell(job->agent, job->resolve, job->is_ok ? NULL : job->err.message);
}

/* Takes all that waits off the queue; what still has to wait queues itself again. */
void
resolve_retry(struct agent *agent)
{
    struct pending_resolve *all = TAKE(agent->resolves);
    const int64_t now = clock_monotonic_ms();

    while (all != NULL) {
        struct pending_resolve *p = all;

        all = p->next;
        if (agent->link == LINK_UP && now >= p->retry_at_ms) {
            struct job *job = job_new(agent, NULL, 0, work_resolve, resolved);

            job->resolve = p->ask;
            job->deadline_ms = p->deadline_ms;
            job_post(job, agent->pullers);
        } else if (now >= p->deadline_ms) {
            tell(agent, p->ask, "Docker Engine does not answer");
            free(p->ask);
        } else {
            queue(agent, p->ask, p->deadline_ms, p->retry_at_ms);
        }
        free(p);
    }
}

void
resolve_start(struct agent *agent, struct agent_resolve *ask)
{
    queue(agent, ask, clock_monotonic_ms() + agent->config.unreachable_ms, 0);
    resolve_retry(agent);
}

void
resolve_drop(struct agent *agent)
{
    while (agent->resolves != NULL) {
        struct pending_resolve *p = agent->resolves;

        agent->resolves = p->next;
        free(p->ask);
        free(p);
    }
}
