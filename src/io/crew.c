/* SPDX-License-Identifier: MIT */
#include "io/loop.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define CREW_THREADS_MAX 256u
#define CREW_JOBS_MAX 1000000u
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CREW_STACK_SIZE ((size_t)8 * 1024 * 1024)
#else
#define CREW_STACK_SIZE ((size_t)1024 * 1024)
#endif

struct job {
    struct job *next;
    loop_call *call;
    void *arg;
};

/* Threads are started when a job finds no idle one, so a crew that has nothing to do costs
 * nothing; once started they stay. */
struct crew {
    char name[16];
    unsigned limit;
    pthread_mutex_t lock;
    pthread_cond_t work_cond;
    struct job *first, **last;
    unsigned queued, started, idle;
    bool closing;
    pthread_t threads[CREW_THREADS_MAX];
};

static void
must(int result)
{
    if (result != 0)
        abort();
}

struct crew *
crew_new(const char *name, unsigned threads)
{
    struct crew *crew = mem_new(sizeof(*crew));

    assert(threads > 0 && threads <= CREW_THREADS_MAX);
    (void)text_copy(crew->name, sizeof(crew->name),
                    str_slice(str_of(name), 0, sizeof(crew->name) - 1));
    crew->limit = threads;
    must(pthread_mutex_init(&crew->lock, NULL));
    must(pthread_cond_init(&crew->work_cond, NULL));
    crew->last = &crew->first;
    return crew;
}

/* Waits for a job; NULL when the crew closes and none is left. */
static struct job *
next_job(struct crew *crew)
{
    struct job *job;

    pthread_mutex_lock(&crew->lock);
    while (crew->first == NULL && !crew->closing) {
        crew->idle++;
        pthread_cond_wait(&crew->work_cond, &crew->lock);
        crew->idle--;
    }
    job = crew->first;
    if (job != NULL) {
        crew->first = job->next;
        if (crew->first == NULL)
            crew->last = &crew->first;
        crew->queued--;
    }
    pthread_mutex_unlock(&crew->lock);
    return job;
}

static void *
worker(void *arg)
{
    struct crew *crew = arg;
    struct job *job;

    (void)pthread_setname_np(pthread_self(), crew->name);
    while ((job = next_job(crew)) != NULL) {
        job->call(job->arg);
        free(job);
    }
    return NULL;
}

static void
start_worker(struct crew *crew)
{
    pthread_attr_t attr;

    must(pthread_attr_init(&attr));
    must(pthread_attr_setstacksize(&attr, CREW_STACK_SIZE));
    must(pthread_create(&crew->threads[crew->started], &attr, worker, crew));
    pthread_attr_destroy(&attr);
    crew->started++;
}

void
crew_post(struct crew *crew, loop_call *call, void *arg)
{
    struct job *job = mem_new(sizeof(*job));

    job->call = call;
    job->arg = arg;
    pthread_mutex_lock(&crew->lock);
    assert(crew->queued < CREW_JOBS_MAX);
    *crew->last = job;
    crew->last = &job->next;
    crew->queued++;
    /* Sleepers that were woken but did not run yet still count as idle, hence "queued". */
    if (crew->idle < crew->queued && crew->started < crew->limit)
        start_worker(crew);
    pthread_cond_signal(&crew->work_cond);
    pthread_mutex_unlock(&crew->lock);
}

void
crew_free(struct crew *crew)
{
    if (crew == NULL)
        return;
    pthread_mutex_lock(&crew->lock);
    crew->closing = true;
    pthread_cond_broadcast(&crew->work_cond);
    pthread_mutex_unlock(&crew->lock);
    for (unsigned i = 0; i < crew->started; i++)
        must(pthread_join(crew->threads[i], NULL));
    pthread_cond_destroy(&crew->work_cond);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}
