/* SPDX-License-Identifier: MIT */
#include "daemon/envelope.h"

#include <assert.h>
#include "base/arena.h"

static const char *
keep(struct arena *arena, const char *text)
{
    return text == NULL ? NULL : arena_cstr(arena, str_of(text));
}

static void *
keep_bytes(struct arena *arena, const void *bytes, size_t size)
{
    void *copy = size > 0 ? arena_alloc(arena, size) : NULL;

    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

static void
keep_task_state(struct arena *a, struct ev_task_state *ev)
{
    ev->task_id = keep(a, ev->task_id);
    struct task_container *containers =
        keep_bytes(a, ev->containers, sizeof(*containers) * (size_t)ev->container_count);

    for (int i = 0; i < ev->container_count; i++) {
        struct task_container *c = &containers[i];
        c->bindings = keep_bytes(a, c->bindings, sizeof(*c->bindings) * (size_t)c->binding_count);
    }
    ev->containers = containers;
    ev->address = keep(a, ev->address);
    ev->mac_address = keep(a, ev->mac_address);
    ev->reason = keep(a, ev->reason);
    ev->health_log = keep(a, ev->health_log);
}

static void
keep_image_resolved(struct arena *a, struct ev_image_resolved *ev)
{
    ev->service_arn = keep(a, ev->service_arn);
    ev->revision_arn = keep(a, ev->revision_arn);
    ev->digests = keep_bytes(a, ev->digests, sizeof(*ev->digests) * (size_t)ev->digest_count);
    ev->error = keep(a, ev->error);
}

static void
keep_image_pushed(struct arena *a, struct ev_image_pushed *ev)
{
    ev->name = keep(a, ev->name);
    ev->home.account = keep(a, ev->home.account);
    ev->home.region = keep(a, ev->home.region);
    ev->tag = keep(a, ev->tag);
    ev->digest = keep(a, ev->digest);
    ev->config_digest = keep(a, ev->config_digest);
}

struct envelope *
envelope_new(const struct event *event)
{
    struct envelope *e = mem_new(sizeof(*e));
    struct arena *a = e->arena = mem_new(sizeof(*a));

    e->event = *event;
    switch (event->type) {
    case EVENT_TASK_STATE:
        keep_task_state(a, &e->event.task_state);
        break;
    case EVENT_IMAGE_RESOLVED:
        keep_image_resolved(a, &e->event.image_resolved);
        break;
    case EVENT_IMAGE_PUSHED:
        keep_image_pushed(a, &e->event.image_pushed);
        break;
    case EVENT_INSTANCE_REPORT: {
        struct ev_instance_report *ev = &e->event.instance_report;

        ev->host = keep(a, ev->host);
        ev->doc = json_ref(ev->doc);
        break;
    }
    case EVENT_TARGET_HEALTH: {
        struct ev_target_health *ev = &e->event.target_health;

        ev->target_group_arn = keep(a, ev->target_group_arn);
        ev->target_id = keep(a, ev->target_id);
        ev->reason = keep(a, ev->reason);
        ev->description = keep(a, ev->description);
        break;
    }
    case EVENT_TARGET_DRAINED: {
        struct ev_target_drained *ev = &e->event.target_drained;

        ev->target_group_arn = keep(a, ev->target_group_arn);
        ev->target_id = keep(a, ev->target_id);
        break;
    }
    case EVENT_HOOK_ANSWERED: {
        struct ev_hook_answered *ev = &e->event.hook_answered;

        ev->service_deployment_arn = keep(a, ev->service_deployment_arn);
        ev->hook_id = keep(a, ev->hook_id);
        ev->detail = keep(a, ev->detail);
        break;
    }
    case EVENT_LISTENER_IN_FORCE: {
        struct ev_listener_in_force *ev = &e->event.listener_in_force;

        ev->listener_arn = keep(a, ev->listener_arn);
        break;
    }
    default:
        assert(!"only reports travel in envelopes");
    }
    return e;
}

void
envelope_free(struct envelope *e)
{
    if (e == NULL)
        return;
    if (e->event.type == EVENT_INSTANCE_REPORT)
        json_unref((struct json *)(uintptr_t)e->event.instance_report.doc);
    arena_done(e->arena);
    free(e->arena);
    free(e);
}
