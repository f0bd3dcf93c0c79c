/* SPDX-License-Identifier: MIT */
/* revision.c - service revisions, and the one time their tags become digests (ecs.md 5.7). */
#include <assert.h>
#include "core/rollout.h"
#include "core/said.h"
#include "model/arn.h"

#define RESOLVE_AGAIN_MS 60000 /* no answer: asked again */
#define RESOLVE_TRIES 3

/* Still to be asked for?  Not what is pinned in the definition already, nor what must not be
 * pinned. */
static bool
wants_digest(const struct revision *r, int at, const struct task_definition *td)
{
    return td->containers[at].pins_digest && r->images[at].digest[0] == '\0';
}

struct revision *
revision_new(struct core *core, struct service *s, const struct task_definition *td)
{
    struct revision *r = mem_new(sizeof(*r));

    service_add_revision(s, r);
    core_next_number(core, r->id);
    arn_format(r->arn, "ecs", s->region, core->options.account, "service-revision/%s/%s/%s",
               s->cluster_name, s->name, r->id);
    text_copy(r->task_definition_arn, ARN_SIZE, str_of(td->arn));
    r->created_at_ms = core->now_ms;
    r->images = mem_new((size_t)td->container_count * sizeof(r->images[0]));
    r->image_count = td->container_count;
    r->is_resolved = true;
    for (int i = 0; i < td->container_count; i++) {
        const char *image = td->containers[i].image;
        const char *at = strchr(image, '@');
        text_copy(r->images[i].container, NAME_SIZE, str_of(td->containers[i].name));
        text_copy(r->images[i].image, IMAGE_SIZE, str_of(image));
        if (at != NULL)
            text_copy(r->images[i].digest, DIGEST_SIZE, str_of(at + 1));
        if (wants_digest(r, i, td))
            r->is_resolved = false;
    }
    return r;
}

void
revision_set_load_balancers(struct revision *r, const struct service_load_balancer *list,
                            int count)
{
    assert(r->load_balancers == NULL && count >= 0 && count <= LOAD_BALANCERS_MAX);
    if (count == 0)
        return;
    r->load_balancers = mem_new((size_t)count * sizeof(*list));
    memcpy(r->load_balancers, list, (size_t)count * sizeof(*list));
    r->load_balancer_count = count;
}

bool
revision_resolve(struct core *core, struct service *s, struct revision *r)
{
    struct effect *e;

    if (r->is_resolved)
        return true;
    if (core->now_ms < r->resolve_at_ms)
        return false;
    e = core_emit(core, EFFECT_IMAGE_RESOLVE);
    text_copy(e->image_resolve.service_arn, ARN_SIZE, str_of(s->arn));
    text_copy(e->image_resolve.revision_arn, ARN_SIZE, str_of(r->arn));
    r->resolve_at_ms = core->now_ms + RESOLVE_AGAIN_MS;
    core_touch_service(core, s);
    return false;
}

/* With the breaker on, an image that cannot be resolved fails the deployment, since its tasks could
 * not start either; otherwise it goes on by tag, as ECS does. */
static void
resolve_failed(struct core *core, struct service *s, struct revision *r, const char *error)
{
    static const int wait_ms[RESOLVE_TRIES] = {1000, 3000, 0};
    struct deployment *d = s->is_external ? service_deployment_of(s, r) : service_primary(s);
    struct service_deployment *sd = service_current(s);

    r->resolve_failures++;
    if (r->resolve_failures == 1)
        said_event(core, s, "(service %s) could not resolve the images of (deployment %s): %s",
                   s->name, d == NULL ? "-" : d->id, error);
    if (r->resolve_failures < RESOLVE_TRIES) {
        r->resolve_at_ms = core->now_ms + wait_ms[r->resolve_failures - 1];
        return;
    }
    if (s->config.breaker.enable && d != NULL && d->revision == r && sd != NULL &&
        d->rollout_state == ROLLOUT_IN_PROGRESS && !sd_is_finished(sd)) {
        /* Nothing ran, so nothing else was counted: this is the whole verdict. */
        const int threshold =
            sd->breaker_threshold > RESOLVE_TRIES ? sd->breaker_threshold : RESOLVE_TRIES;
        d->failed_tasks = threshold;
        if (sd->status == SD_IN_PROGRESS)
            sd->breaker_failures = threshold;
        r->resolve_at_ms = core->now_ms + RESOLVE_AGAIN_MS;
        return;
    }
    r->is_resolved = true;
}

void
image_resolved(struct core *core, const struct ev_image_resolved *ev)
{
    struct service *s = core_service_by_arn(core, ev->service_arn);
    struct revision *r = s == NULL ? NULL : service_find_revision(s, ev->revision_arn);
    const struct task_definition *td;

    if (r == NULL || r->is_resolved)
        return; /* the first answer holds: never two digests in one deployment */
    td = strmap_get(&core->index->definitions, r->task_definition_arn);
    if (td == NULL)
        return; /* deleted: no deployment needs the revision any more */
    core_touch_service(core, s);
    core_queue(core, s);
    if (ev->error != NULL) {
        resolve_failed(core, s, r, ev->error);
        return;
    }
    for (int i = 0; i < r->image_count && i < ev->digest_count; i++) {
        if (wants_digest(r, i, td))
            text_copy(r->images[i].digest, DIGEST_SIZE, str_of(ev->digests[i]));
    }
    r->is_resolved = true;
}
