/* SPDX-License-Identifier: MIT */
#include "fate.h"
#include <stdio.h>
#include <stdlib.h>

bool
fate_chance(struct fate *f, int in_10000)
{
    return in_10000 > 0 && rng_below(&f->rng, 10000) < (uint64_t)in_10000;
}

int64_t
fate_between(struct fate *f, int64_t low, int64_t high)
{
    return low + (int64_t)rng_below(&f->rng, (uint64_t)(high - low + 1));
}

/* ---- the heap of happenings ---- */

static bool
comes_before(const struct happening *a, const struct happening *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

struct happening *
fate_happen(struct fate *f, int64_t at_ms, enum happening_kind kind, int index)
{
    const struct happening h = {.at_ms = at_ms, .order = f->order++, .kind = kind, .index = index};
    int at = f->count++;

    if (f->count > f->capacity) {
        f->capacity = f->capacity == 0 ? 64 : f->capacity * 2;
        f->heap = mem_grow(f->heap, (size_t)f->capacity, sizeof(f->heap[0]));
    }
    while (at > 0 && comes_before(&h, &f->heap[(at - 1) / 2])) {
        f->heap[at] = f->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    f->heap[at] = h;
    return &f->heap[at];
}

struct happening
fate_take(struct fate *f)
{
    const struct happening first = f->heap[0], last = f->heap[--f->count];
    int at = 0;

    for (;;) {
        int child = 2 * at + 1;
        if (child >= f->count)
            break;
        if (child + 1 < f->count && comes_before(&f->heap[child + 1], &f->heap[child]))
            child++;
        if (!comes_before(&f->heap[child], &last))
            break;
        f->heap[at] = f->heap[child];
        at = child;
    }
    if (f->count > 0)
        f->heap[at] = last;
    return first;
}

bool
fate_put_off(struct fate *f, const struct happening *h, int64_t until_ms)
{
    struct happening *later;

    if (h->kind != DELIVER && h->kind != PROBE && h->kind != OPERATOR && h->kind != STORE_BACK)
        return false;
    later = fate_happen(f, until_ms, h->kind, h->index);
    later->generation = h->generation;
    later->task = h->task;
    later->report = h->report;
    return true;
}

void
fate_done(struct fate *f)
{
    for (int i = 0; i < f->count; i++)
        report_free(f->heap[i].report);
    free(f->heap);
}

/* ---- reports ---- */

bool
fate_stood_still(const struct core *core, int64_t look_ms, int64_t naru_now_ms, struct event *out)
{
    *out = (struct event){.type = EVENT_STOOD_STILL, .stood_still = {core_stood_still_ms(core, look_ms, naru_now_ms)}};
    return out->stood_still.late_ms > 0;
}

struct report *
report_new(uint32_t epoch, enum event_type type)
{
    struct report *r = mem_new(sizeof(*r));

    r->event.type = type;
    r->epoch = epoch;
    r->target = -1;
    return r;
}

void
report_free(struct report *r)
{
    if (r != NULL)
        json_unref(r->doc);
    free(r);
}

static const char *
text_of(struct report *r, int index, const char *text)
{
    text_copy_all(r->texts[index], sizeof(r->texts[index]), text);
    return r->texts[index];
}

struct report *
report_of_task(uint32_t epoch, const char *id, enum container_state state, int exit_code, int port,
               const char *address)
{
    struct report *r = report_new(epoch, EVENT_TASK_STATE);
    struct ev_task_state *ev = &r->event.task_state;

    ev->task_id = text_of(r, 0, id);
    ev->status = state == UP                          ? TASK_RUNNING
                 : state == EXITED || state == REMOVED ? TASK_STOPPED
                                                       : TASK_PENDING;
    text_copy(r->container.name, NAME_SIZE, STR("app"));
    r->container.last_status = ev->status;
    r->container.has_exit_code = state == EXITED;
    r->container.exit_code = exit_code;
    if (port != 0) {
        r->container.binding_count = 1;
        r->container.bindings = &r->binding;
        r->binding.container_port = 80;
        r->binding.host_port = port;
    }
    if (address[0] != '\0')
        ev->address = text_of(r, 1, address);
    ev->containers = &r->container;
    ev->container_count = 1;
    return r;
}

struct report *
report_of_health(uint32_t epoch, const struct ev_target_health *health)
{
    struct report *r = report_new(epoch, EVENT_TARGET_HEALTH);
    struct ev_target_health *ev = &r->event.target_health;

    *ev = *health;
    ev->target_group_arn = text_of(r, 0, health->target_group_arn);
    ev->target_id = text_of(r, 1, health->target_id);
    snprintf(r->reason, sizeof(r->reason), "%s", health->reason);
    snprintf(r->description, sizeof(r->description), "%.100s", health->description);
    ev->reason = r->reason;
    ev->description = r->description;
    return r;
}

struct report *
report_of_drained(uint32_t epoch, const struct ef_target_change *asked)
{
    struct report *r = report_new(epoch, EVENT_TARGET_DRAINED);
    struct ev_target_drained *ev = &r->event.target_drained;

    ev->target_group_arn = text_of(r, 0, asked->target_group_arn);
    ev->target_id = text_of(r, 1, asked->target_id);
    ev->port = asked->port;
    ev->registration = asked->registration;
    return r;
}

struct report *
report_of_listener(uint32_t epoch, const struct listener *l)
{
    struct report *r = report_new(epoch, EVENT_LISTENER_IN_FORCE);

    r->event.listener_in_force.listener_arn = text_of(r, 0, l->arn);
    r->event.listener_in_force.generation = l->generation;
    return r;
}

struct report *
report_of_image(uint32_t epoch, const struct ef_image_resolve *asked, int version)
{
    struct report *r = report_new(epoch, EVENT_IMAGE_RESOLVED);
    struct ev_image_resolved *ev = &r->event.image_resolved;

    ev->service_arn = text_of(r, 0, asked->service_arn);
    ev->revision_arn = text_of(r, 1, asked->revision_arn);
    if (version == 0) {
        ev->error = "the registry is away";
        return r;
    }
    snprintf(r->digest[0], DIGEST_SIZE, "sha256:%064x", (unsigned)version);
    ev->digests = (const char(*)[DIGEST_SIZE])r->digest;
    ev->digest_count = 1;
    return r;
}
