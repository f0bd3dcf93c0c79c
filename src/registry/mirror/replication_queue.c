/* SPDX-License-Identifier: MIT */
#include "registry/mirror/replication_queue.h"

#define WAIT_MAX_MS 300000

static struct replication_job **
find(struct replication_queue *q, const struct replica *image, const char *key)
{
    struct replication_job **at = &q->jobs;

    while (*at != NULL && !(strcmp((*at)->image.digest, image->digest) == 0 &&
                            strcmp((*at)->key, key) == 0 &&
                            strcmp((*at)->image.repository, image->repository) == 0 &&
                            strcmp((*at)->image.region, image->region) == 0))
        at = &(*at)->next;
    return at;
}

bool
replication_queue_has(struct replication_queue *q, const struct replica *image, const char *key)
{
    return *find(q, image, key) != NULL;
}

static void
server_of(const struct replication_queue *q, const char *key, char out[static REPLICATION_KEY_SIZE])
{
    const struct str id = str_slice(str_of(key), 0, strcspn(key, "/"));
    const bool is_own = q->own_registry != NULL && str_is(id, q->own_registry);

    (void)text_copy(out, REPLICATION_KEY_SIZE, is_own ? str_of(key) : id);
}

bool
replication_queue_add(struct replication_queue *q, const struct replica *image, const char *key)
{
    struct replication_job **at = find(q, image, key);

    if (*at != NULL) {
        (*at)->due_ms = 0;
        (*at)->attempts = 0;
        return true;
    }
    if (q->count >= q->limit && key[0] != '\0')
        return false;
    struct replication_job *job = mem_new(sizeof *job);
    job->image = *image;
    text_copy_all(job->key, sizeof job->key, key);
    server_of(q, job->key, job->server);
    *at = job;
    q->count++;
    return true;
}

bool
replication_queue_remove(struct replication_queue *q, const struct replica *image, const char *key)
{
    struct replication_job **at = find(q, image, key), *job = *at;

    if (job == NULL)
        return false;
    *at = job->next;
    q->count--;
    free(job);
    return true;
}

struct replication_job *
replication_queue_next(struct replication_queue *q, int64_t now_ms, int64_t *next_ms_out)
{
    *next_ms_out = INT64_MAX;
    for (struct replication_job **at = &q->jobs; *at != NULL; at = &(*at)->next) {
        struct replication_job *job = *at;
        if (job->due_ms > now_ms) {
            *next_ms_out = job->due_ms < *next_ms_out ? job->due_ms : *next_ms_out;
        } else if (!slots_have(&q->serving, job->server)) {
            *at = job->next;
            q->count--;
            slots_take(&q->serving, job->server);
            return job;
        }
    }
    return NULL;
}

void
replication_queue_end(struct replication_queue *q, struct replication_job *job, bool is_done,
                      int64_t now_ms)
{
    const int64_t wait_ms = job->attempts < 9 ? 1000LL << job->attempts : WAIT_MAX_MS;

    slots_give(&q->serving, job->server);
    if (is_done || *find(q, &job->image, job->key) != NULL) {
        free(job);
        return;
    }
    job->attempts++;
    job->due_ms = now_ms + (wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS);
    job->next = q->jobs;
    q->jobs = job;
    q->count++;
}

void
replication_queue_done(struct replication_queue *q)
{
    while (q->jobs != NULL) {
        struct replication_job *next = q->jobs->next;
        free(q->jobs);
        q->jobs = next;
    }
    q->count = 0;
}
