/* SPDX-License-Identifier: MIT */
#include "daemon/images_in_use.h"

#include <stdio.h>

#include "daemon/engine.h"
#include "registry/registry.h"

#define NAMED_MAX 5     /* users that are named; the others are counted */
#define PENDING_MAX 256 /* names of images that tasks and services have yet to pull */

/* What a task, or those of a service, will pull by a name: no digest is known of it yet. */
struct pending {
    char image[IMAGE_SIZE + DIGEST_SIZE];
    const char *kind;
    char name[ARN_SIZE];
};

struct ask {
    const char *digest;
    struct strbuf *users; /* or NULL */
    int count;
    struct pending *pending;
    size_t pending_count;
    bool has_more_pending;
};

static void
user_add(struct ask *ask, const char *kind, const char *name, const char *why)
{
    if (ask->users != NULL && ask->count < NAMED_MAX)
        strbuf_addf(ask->users, "%s%s %s%s", ask->count > 0 ? ", " : "", kind, name, why);
    ask->count++;
}

static void
pending_add(struct ask *ask, const char *kind, const char *name, const char *image)
{
    if (ask->pending_count == PENDING_MAX) {
        ask->has_more_pending = true;
        return;
    }
    struct pending *p = &ask->pending[ask->pending_count++];
    text_copy_all(p->image, sizeof(p->image), image);
    p->kind = kind;
    text_copy_all(p->name, sizeof(p->name), name);
}

static void
ask_task(struct ask *ask, const struct task *task)
{
    bool is_found = false;

    for (int i = 0; i < task->container_count; i++) {
        const struct task_container *c = &task->containers[i];

        is_found |= strcmp(c->digest, ask->digest) == 0;
        if (c->digest[0] == '\0' && c->last_status != TASK_STOPPED)
            pending_add(ask, "task", task->arn, c->image);
    }
    if (is_found)
        user_add(ask, "task", task->arn, "");
}

static bool
revision_uses(const struct revision *r, const char *digest)
{
    for (int i = 0; r != NULL && i < r->image_count; i++)
        if (strcmp(r->images[i].digest, digest) == 0)
            return true;
    return false;
}

/* Its tags are being looked up, or will be once more. */
static void
ask_unresolved(struct ask *ask, const struct service *service, const struct revision *r)
{
    for (int i = 0; r != NULL && !r->is_resolved && i < r->image_count; i++)
        if (r->images[i].digest[0] == '\0')
            pending_add(ask, "service", service->name, r->images[i].image);
}

static void
ask_service(struct ask *ask, const struct core *core, const struct service *service)
{
    const struct deployment *target = core_rollback_target(core, service);

    if (service->status == SERVICE_INACTIVE)
        return;
    for (const struct deployment *d = service->deployments; d != NULL; d = d->next) {
        if (d->status == DEPLOYMENT_INACTIVE)
            continue;
        if (revision_uses(d->revision, ask->digest)) {
            user_add(ask, "service", service->name, "");
            return;
        }
        ask_unresolved(ask, service, d->revision);
    }
    if (target != NULL && revision_uses(target->revision, ask->digest))
        user_add(ask, "service", service->name, " (which may be rolled back to it)");
}

static void
ask_core(void *arg, struct core *core, int64_t now_ms)
{
    struct ask *ask = arg;

    (void)now_ms;
    for (const struct task *t = core->tasks; t != NULL; t = t->next)
        if (t->last_status != TASK_STOPPED)
            ask_task(ask, t);
    for (const struct service *s = core->services; s != NULL; s = s->next)
        ask_service(ask, core, s);
}

/* Outside the engine: which digest a name means is the registry's to say. */
static void
ask_pending(struct ask *ask, struct registry *registry, const char *region, const char *repository)
{
    for (size_t i = 0; i < ask->pending_count; i++) {
        struct registry_image image;
        char digest[REGISTRY_DIGEST_SIZE];
        const char *reference = image.digest;

        if (!registry_parse_image(registry, str_of(ask->pending[i].image), &image) ||
            strcmp(image.region, region) != 0 || strcmp(image.repository, repository) != 0)
            continue;
        if (image.digest[0] == '\0')
            reference = image.tag;
        if (registry_resolve(registry, region, repository, reference, digest, NULL) &&
            strcmp(digest, ask->digest) == 0)
            user_add(ask, ask->pending[i].kind, ask->pending[i].name, " (which has yet to pull it)");
    }
}

bool
images_in_use(struct engine *engine, struct registry *registry, const char *region, const char *repository,
              const char *digest, struct strbuf *users)
{
    struct ask ask = {.digest = digest, .users = users};

    cleanup_free struct pending *pending = mem_new(PENDING_MAX * sizeof(*pending));
    ask.pending = pending;
    if (!engine_read(engine, ask_core, &ask)) {
        if (users != NULL)
            strbuf_add_cstr(users, "whoever it may be: the server is stopping");
        return true;
    }
    ask_pending(&ask, registry, region, repository);
    if (ask.count == 0 && ask.has_more_pending)
        user_add(&ask, "tasks", "that have yet to pull their images", "");
    if (users != NULL && ask.count > NAMED_MAX)
        strbuf_addf(users, " and %d more", ask.count - NAMED_MAX);
    return ask.count > 0;
}
