/* SPDX-License-Identifier: MIT */
/* pull_flight.c - a blob on its way from upstream: one thread brings it, hashed and written like
 * any upload, and everybody who asks for it meanwhile reads what is written already. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "registry/mirror/pull_internal.h"
#include "registry/routes.h"

#define CLIENT_LOOK_MS 250 /* so often somebody looks whether a client that waits is still there */

bool
pull_is_stopping(void *reg)
{
    return atomic_load(&((struct registry *)reg)->pull->is_stopping);
}

/* ---- its thread ---- */

static bool
flight_data(void *arg, struct str data)
{
    struct flight *f = arg;
    struct pull_through *p = f->reg->pull;

    if (!upload_add(f->reg, f->upload, data, &f->err))
        return false;
    pthread_mutex_lock(&p->lock);
    f->size = f->upload->size;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&p->lock);
    return true;
}

/* Nobody reads the file before `size` says that there is something in it. */
static bool
flight_open(struct flight *f, struct err *err)
{
    if (!upload_start(f->reg, f->region, f->repository, "", &f->upload, err))
        return false;
    upload_keep_private(f->upload);
    f->fd = open(f->upload->path, O_RDONLY | O_CLOEXEC);
    return f->fd >= 0 || err_errno(err, "cannot read an upload");
}

static bool
flight_bring(struct flight *f, struct err *err)
{
    cleanup(remote_free_) struct remote *remote = NULL;
    cleanup_free char *name = pull_upstream_repository(&f->rule, f->repository);

    if (!flight_open(f, err) || !pull_remote_open(f->reg, &f->rule, &remote, err))
        return false;
    remote_set_cancelled(remote, pull_is_stopping, f->reg);
    if (!remote_blob_get(remote, name, f->digest, flight_data, f, err)) {
        if (f->err.code != ERR_NONE)
            *err = f->err; /* the disk's reason, not the wire's */
        return false;
    }
    return upload_finish(f->reg, TAKE(f->upload), str_of(f->digest), err);
}

static void
flight_free(struct flight *f)
{
    if (f->fd >= 0)
        close(f->fd);
    pthread_cond_destroy(&f->changed);
    free(f->key);
    free(f);
}

/* With the lock held: out of the table, so that the next who asks starts anew or finds the blob. */
static void
flight_unlink(struct pull_through *p, struct flight *f)
{
    for (struct flight **at = &p->flights; *at != NULL; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            return;
        }
}

/* ---- whose turn it is: all with the lock held ---- */

static int
flights_of(const struct pull_through *p, const char *url, bool have_begun)
{
    int count = 0;

    for (const struct flight *f = p->flights; f != NULL; f = f->next)
        count += f->has_begun == have_begun && strcmp(f->rule.url, url) == 0;
    return count;
}

static bool
may_begin(const struct pull_through *p, const char *url)
{
    return p->flight_count < PULL_FLIGHTS_MAX &&
           flights_of(p, url, /* have_begun= */ true) < PULL_FLIGHTS_OF_ONE_MAX;
}

/* Who asked finds out, and is the last to leave. */
static void
flight_fail_waiting(struct pull_through *p, struct flight *f, const struct err *why)
{
    f->is_over = true;
    f->err = *why;
    f->users--;
    p->waiting_count--;
    flight_unlink(p, f);
    pthread_cond_broadcast(&f->changed);
}

/* What one has heard of an upstream that is not there, those behind it need not find out one after the other. */
static void
waiting_fail(struct pull_through *p, const char *url, const struct err *why)
{
    for (struct flight *f = p->flights, *next; f != NULL; f = next) {
        next = f->next;
        if (!f->has_begun && (url == NULL || strcmp(f->rule.url, url) == 0))
            flight_fail_waiting(p, f, why);
    }
}

void
flights_give_up(struct pull_through *p)
{
    struct err err;

    err_set(&err, ERR_UNAVAILABLE, "naru is stopping");
    waiting_fail(p, NULL, &err);
}

static void *flight_run(void *arg);

static void
flight_begin(struct pull_through *p, struct flight *f)
{
    pthread_attr_t attributes;
    pthread_t thread;
    struct err err;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    f->has_begun = pthread_create(&thread, &attributes, flight_run, f) == 0;
    pthread_attr_destroy(&attributes);
    if (f->has_begun) {
        p->waiting_count--;
        p->flight_count++;
        return;
    }
    err_set(&err, ERR_INTERNAL, "cannot start a thread");
    flight_fail_waiting(p, f, &err);
}

/* The oldest first, as far as there is room for them and their upstream. */
static void
flights_begin(struct pull_through *p)
{
    for (struct flight *f = p->flights, *next; f != NULL && p->flight_count < PULL_FLIGHTS_MAX; f = next) {
        next = f->next;
        if (!f->has_begun && may_begin(p, f->rule.url))
            flight_begin(p, f);
    }
}

static bool
is_the_upstreams(enum err_code code)
{
    return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_THROTTLING;
}

static void *
flight_run(void *arg)
{
    struct flight *f = arg;
    struct registry *reg = f->reg;
    struct pull_through *p = reg->pull;
    struct err err = {0};

    const bool arrived = flight_bring(f, &err);
    if (f->upload != NULL)
        upload_discard(reg, TAKE(f->upload));
    if (!arrived)
        log_warn("registry.pull_failed", "repository=%s digest=%s error=%s", f->repository,
                 f->digest, log_quote(err.message));
    pthread_mutex_lock(&p->lock);
    f->is_over = true;
    f->err = arrived ? (struct err){0} : err;
    flight_unlink(p, f);
    const bool is_last = --f->users == 0;
    p->flight_count--;
    if (!arrived && is_the_upstreams(err.code))
        waiting_fail(p, f->rule.url, &err);
    flights_begin(p);
    pthread_cond_broadcast(&f->changed);
    if (p->flight_count == 0)
        pthread_cond_signal(&p->landed);
    pthread_mutex_unlock(&p->lock);
    if (is_last)
        flight_free(f);
    return NULL;
}

/* ---- who waits for it ---- */

static struct flight *
flight_find(struct pull_through *p, const char *key)
{
    for (struct flight *f = p->flights; f != NULL; f = f->next)
        if (strcmp(f->key, key) == 0)
            return f;
    return NULL;
}

static struct flight *
flight_new(struct registry *reg, const struct pull_rule *rule, const char *region,
           const char *repository, const char *digest)
{
    struct flight *f = mem_new(sizeof *f);
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&f->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    f->reg = reg;
    f->rule = *rule;
    text_copy_all(f->region, sizeof f->region, region);
    text_copy_all(f->repository, sizeof f->repository, repository);
    text_copy_all(f->digest, sizeof f->digest, digest);
    f->key = text_format("%s\n%s\n%s", region, repository, digest);
    f->users = 2; /* its thread, and who asked */
    f->fd = -1;
    return f;
}

/* With the lock held: behind all others, and off at once if there is room. */
static bool
flight_enter(struct pull_through *p, struct flight *f, struct err *err)
{
    struct flight **end = &p->flights;

    if (atomic_load(&p->is_stopping))
        return err_set(err, ERR_UNAVAILABLE, "naru is stopping");
    const int waiting = flights_of(p, f->rule.url, /* have_begun= */ false);
    if (!may_begin(p, f->rule.url) && (p->waiting_count >= PULL_WAITING_MAX || waiting >= PULL_WAITING_OF_ONE_MAX))
        return err_set(err, ERR_THROTTLING, "%d blobs wait for their turn to come from upstream already, %d of this one",
                       p->waiting_count, waiting);
    while (*end != NULL)
        end = &(*end)->next;
    *end = f;
    p->waiting_count++;
    flights_begin(p);
    return true;
}

bool
flight_join(struct registry *reg, const struct pull_rule *rule, const char *region,
            const char *repository, const char *digest, struct flight **out, struct err *err)
{
    struct pull_through *p = reg->pull;
    cleanup_free char *key = text_format("%s\n%s\n%s", region, repository, digest);
    struct flight *fresh = flight_new(reg, rule, region, repository, digest);

    pthread_mutex_lock(&p->lock);
    struct flight *f = flight_find(p, key);
    bool ok = true;
    if (f != NULL)
        f->users++;
    else if (!layer_is_linked(reg, region, repository, str_of(digest)) && /* arrived just now? */
             (ok = flight_enter(p, fresh, err)))
        f = TAKE(fresh);
    pthread_mutex_unlock(&p->lock);
    if (fresh != NULL) /* somebody brings it already, or nobody can */
        flight_free(fresh);
    *out = f;
    return ok;
}

void
flight_leave(struct registry *reg, struct flight *f)
{
    struct pull_through *p = reg->pull;

    pthread_mutex_lock(&p->lock);
    /* Nobody wants it any more, and nobody has asked for it upstream yet. */
    const bool is_dropped = f->users == 2 && !f->has_begun && !f->is_over;
    if (is_dropped) {
        p->waiting_count--;
        flight_unlink(p, f);
        f->users--;
    }
    const bool is_last = --f->users == 0;
    pthread_mutex_unlock(&p->lock);
    if (is_last)
        flight_free(f);
}

bool
flight_wait(struct registry *reg, struct flight *f, struct err *err)
{
    struct pull_through *p = reg->pull;

    pthread_mutex_lock(&p->lock);
    while (!f->is_over)
        pthread_cond_wait(&f->changed, &p->lock);
    const struct err why = f->err;
    pthread_mutex_unlock(&p->lock);
    if (why.code != ERR_NONE)
        *err = why;
    return why.code == ERR_NONE;
}

/* ---- the client's side ---- */

struct reader {
    struct registry *reg;
    struct flight *flight;
    int64_t offset;
};

/* Bytes that are written and not yet sent; 0: all of it was; -1: it broke off. */
static int64_t
reader_wait(struct reader *r)
{
    struct pull_through *p = r->reg->pull;
    struct flight *f = r->flight;

    pthread_mutex_lock(&p->lock);
    while (f->size <= r->offset && !f->is_over)
        pthread_cond_wait(&f->changed, &p->lock);
    const int64_t ready = f->size - r->offset;
    /* The end waits for the digest: what is not what it says never looks whole. */
    const bool failed = f->is_over && f->err.code != ERR_NONE;
    pthread_mutex_unlock(&p->lock);
    return failed ? -1 : ready;
}

static ptrdiff_t
reader_next(void *arg, char *buffer, size_t size)
{
    struct reader *r = arg;
    const int64_t ready = reader_wait(r);

    if (ready <= 0)
        return (ptrdiff_t)ready;
    const size_t wanted = (int64_t)size < ready ? size : (size_t)ready;
    const ssize_t got = pread(r->flight->fd, buffer, wanted, r->offset);
    if (got <= 0)
        return -1;
    r->offset += got;
    return got;
}

static void
reader_done(void *arg)
{
    struct reader *r = arg;

    flight_leave(r->reg, r->flight);
    free(r);
}

static void
blob_stream(struct call *c, struct flight *f)
{
    struct reader *r = mem_new(sizeof *r);
    struct reply reply = {0};

    r->reg = c->reg;
    r->flight = f;
    reply_header(&reply, "Content-Type", "application/octet-stream");
    reply_header(&reply, "Docker-Content-Digest", c->argument);
    reply_header(&reply, "Docker-Distribution-Api-Version", "registry/2.0");
    http_reply_stream(c->x, 200, reply.headers, reader_next, reader_done, r);
}

/* Looks up now and then, so that a client that has left keeps neither this thread nor a place in the queue. */
static void
first_byte_wait(struct pull_through *p, struct flight *f, const struct http_exchange *x)
{
    while (f->size == 0 && !f->is_over && !http_client_has_left(x)) {
        const int64_t end_ms = clock_monotonic_ms() + CLIENT_LOOK_MS;
        const struct timespec end = {end_ms / 1000, end_ms % 1000 * 1000000};
        int result = 0;
        while (f->size == 0 && !f->is_over && result != ETIMEDOUT)
            result = pthread_cond_timedwait(&f->changed, &p->lock, &end);
    }
}

/* What fails before its first byte gets an answer that says so. */
static bool
flight_begins(struct pull_through *p, struct flight *f, const struct http_exchange *x, struct err *err)
{
    pthread_mutex_lock(&p->lock);
    first_byte_wait(p, f, x);
    if (f->size == 0 && !f->is_over)
        err_set(err, ERR_UNAVAILABLE, "the client has left");
    if (f->size == 0 && f->err.code != ERR_NONE)
        *err = f->err;
    const bool begins = f->size > 0 || (f->is_over && f->err.code == ERR_NONE);
    pthread_mutex_unlock(&p->lock);
    return begins;
}

bool
pull_blob(struct call *c, struct err *err)
{
    struct pull_rule rule;
    struct flight *f;

    if (c->reg->pull == NULL || !pull_rule_find(c->reg, c->region, c->repository, &rule))
        return false;
    if (!flight_join(c->reg, &rule, c->region, c->repository, c->argument, &f, err))
        return false;
    if (f == NULL)
        return false; /* it is here by now */
    if (!flight_begins(c->reg->pull, f, c->x, err)) {
        flight_leave(c->reg, f);
        if (err->code == ERR_IMAGE_NOT_FOUND)
            err->code = ERR_BLOB_UNKNOWN;
        return false;
    }
    blob_stream(c, f);
    return true;
}
