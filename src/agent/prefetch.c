/* SPDX-License-Identifier: MIT */
/* prefetch.c - images that tasks will probably want soon, fetched one after the other on a thread of
 * their own.  A hint: what cannot be had now is dropped, with one line in the log.  What Docker has
 * already, by that digest or (where it built the image itself, and may not have heard yet what its
 * push was called) by the digest of its configuration, is not asked for.  A task that wants the image
 * meanwhile pulls it as ever, and Docker joins the two. */
#include <sys/statvfs.h>

#include "agent/internal.h"
#include "base/clock.h"
#include "base/log.h"

#define FREE_MAX (10LL << 30)
#define FREE_PART 10 /* of a small disk: this part of it */
#define WAITING_MAX 16 /* the oldest goes: a later push tells better what is wanted next */

struct prefetch {
    char image[IMAGE_SIZE], digest[DIGEST_SIZE], config_digest[DIGEST_SIZE];
    bool was_here;
    int64_t took_ms;
    struct prefetch *next; /* the oldest first */
};

static void fetch_next(struct agent *agent);

/* What cannot be looked at is not full: Docker may be another machine's. */
static bool
has_disk_room(const char *root)
{
    struct statvfs st;

    if (root[0] == '\0' || statvfs(root, &st) < 0)
        return true;
    const int64_t part = (int64_t)st.f_blocks * (int64_t)st.f_frsize / FREE_PART;
    return (int64_t)st.f_bavail * (int64_t)st.f_frsize >= (part < FREE_MAX ? part : FREE_MAX);
}

/* A pull, as long as there is room: how much it brings nobody knows before. */
struct careful {
    const struct job *job;
    bool (*is_cancelled)(void *arg);
    void *arg;
    bool is_full;
};

static bool
is_given_up(void *arg)
{
    struct careful *c = arg;
    const struct agent_config *config = &c->job->agent->config;

    c->is_full |= !(config->has_disk_room != NULL ? config->has_disk_room : has_disk_room)(c->job->info.root);
    return c->is_full || (c->is_cancelled != NULL && c->is_cancelled(c->arg));
}

static bool
pull_carefully(struct job *job, struct docker *d, const struct image_ref *ref, const char *auth)
{
    struct careful c = {job, d->is_cancelled, d->arg, false};

    d->is_cancelled = is_given_up;
    d->arg = &c;
    const bool is_pulled = !is_given_up(&c) && docker_image_pull(d, ref, auth, &job->err);
    d->is_cancelled = c.is_cancelled;
    d->arg = c.arg;
    return is_pulled ||
           (c.is_full ? err_set(&job->err, ERR_LIMIT_EXCEEDED,
                                "the disk of '%s' has room for what tasks ask for only", job->info.root)
                      : false);
}

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
    job->is_ok = pull_carefully(job, d, &ref, strbuf_cstr(&auth));
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
