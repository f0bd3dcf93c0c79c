/* SPDX-License-Identifier: MIT */
/* prefetch.c - images that tasks will probably want soon, fetched one after the other on a thread of
 * their own.  A hint: what cannot be had now is dropped, with one line in the log.  What Docker has
 * already, by that digest or (where it built the image itself, and may not have heard yet what its
 * push was called) by the digest of its configuration, is not asked for.  A task that wants the image
 * meanwhile pulls it as ever, and Docker joins the two. */
#include "agent/internal.h"
#include "base/clock.h"
#include "base/log.h"

#define WAITING_MAX 16 /* the oldest goes: a later push tells better what is wanted next */

struct prefetch {
    char image[IMAGE_SIZE], digest[DIGEST_SIZE], config_digest[DIGEST_SIZE];
    bool was_here;
    int64_t took_ms;
    struct prefetch *next; /* the oldest first */
};

static void fetch_next(struct agent *agent);

/* False: not here, or Docker does not say. */
static bool
is_here(struct docker *d, const char *name, struct err *err)
{
    cleanup_json struct json *answer = name[0] == '\0' ? NULL : docker_image_inspect(d, name, err);

    return answer != NULL;
}

static void
work_prefetch(struct job *job, struct docker *d)
{
    struct prefetch *p = job->prefetch;
    const int64_t since_ms = clock_monotonic_ms();
    cleanup(strbuf_done) struct strbuf auth = {0};
    struct image_ref ref;

    if (!image_ref_parse(p->image, p->digest, &job->host.home, &ref, &job->err))
        return;
    p->was_here = is_here(d, ref.full, &job->err) || is_here(d, p->config_digest, &job->err);
    job->is_ok = p->was_here;
    if (job->is_ok || job->err.code == ERR_UNAVAILABLE)
        return;
    agent_registry_auth(&job->agent->config, &auth);
    job->is_ok = docker_image_pull(d, &ref, strbuf_cstr(&auth), &job->err);
    p->took_ms = clock_monotonic_ms() - since_ms;
}

static void
prefetched(struct job *job)
{
    const struct prefetch *p = job->prefetch;

    if (!job->is_ok)
        log_warn("image.prefetch_failed", "image=%s digest=%s error=%s", log_quote(p->image),
                 p->digest, log_quote(job->err.message));
    else if (!p->was_here)
        log_info("image.prefetched", "image=%s digest=%s took_ms=%lld", log_quote(p->image),
                 p->digest, (long long)p->took_ms);
    job->agent->is_prefetching = false;
    fetch_next(job->agent);
}

static void
fetch_next(struct agent *agent)
{
    struct prefetch *p = agent->prefetches;
    struct job *job;

    if (p == NULL || agent->is_prefetching)
        return;
    if (agent->link != LINK_UP) {
        prefetch_drop(agent);
        return;
    }
    agent->prefetches = p->next;
    agent->is_prefetching = true;
    job = job_new(agent, NULL, 0, work_prefetch, prefetched);
    job->prefetch = p;
    job_post(job, agent->prefetcher);
}

/* What waits under that name is not wanted any more; nor is the oldest, if there are too many. */
static void
make_room(struct agent *agent, const char *image)
{
    int count = 0;

    for (struct prefetch **at = &agent->prefetches; *at != NULL;) {
        struct prefetch *p = *at;
        if (strcmp(p->image, image) == 0) {
            *at = p->next;
            free(p);
            continue;
        }
        count++;
        at = &p->next;
    }
    if (count < WAITING_MAX)
        return;
    struct prefetch *oldest = agent->prefetches;
    agent->prefetches = oldest->next;
    free(oldest);
}

void
prefetch_add(struct agent *agent, struct prefetch *p)
{
    struct prefetch **end = &agent->prefetches;

    make_room(agent, p->image);
    while (*end != NULL)
        end = &(*end)->next;
    *end = p;
    fetch_next(agent);
}

void
prefetch_drop(struct agent *agent)
{
    while (agent->prefetches != NULL) {
        struct prefetch *p = agent->prefetches;

        agent->prefetches = p->next;
        free(p);
    }
}

struct prefetch *
prefetch_new(const char *image, const char *digest, const char *config_digest)
{
    struct prefetch *p = mem_new(sizeof(*p));

    (void)text_copy(p->image, sizeof(p->image), str_of(image));
    (void)text_copy(p->digest, sizeof(p->digest), str_of(digest));
    (void)text_copy(p->config_digest, sizeof(p->config_digest), str_of(config_digest));
    return p;
}
