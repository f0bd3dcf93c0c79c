/* SPDX-License-Identifier: MIT */
#include "core/forecast_world.h"
#include <stdio.h>
#include <stdlib.h>
#include "core/index.h"

#define CRASH_MS 2000 /* of FORECAST_CRASHES_LATER, from RUNNING */
#define WEIGHTS_MS 10 /* until HAProxy acts by other weights */
#define HOOK_MS 1000  /* a lifecycle hook succeeds after that */
#define FIRST_PORT 49152

/* ---- ports ---- */

void
forecast_begin_ports(struct forecast_world *w)
{
    int port = FIRST_PORT;

    for (const struct task *t = w->core->tasks; t != NULL; t = t->next) {
        for (int i = 0; i < t->container_count; i++) {
            for (int k = 0; k < t->containers[i].binding_count; k++) {
                if (t->containers[i].bindings[k].host_port >= port)
                    port = t->containers[i].bindings[k].host_port + 1;
            }
        }
    }
    w->next_port = port + FORECAST_TASKS_MAX < 65535 ? port : 1024;
}

/* ---- what will happen ---- */

static bool
is_expected(const struct forecast_world *w, const struct happening *h)
{
    for (int i = 0; i < w->due_count; i++) {
        const struct happening *x = &w->due[i];
        if (x->kind == h->kind && strcmp(x->arn, h->arn) == 0 &&
            strcmp(x->target.target_group_arn, h->target.target_group_arn) == 0 &&
            strcmp(x->target.target_id, h->target.target_id) == 0 &&
            x->target.port == h->target.port)
            return true;
    }
    return false;
}

/* An order that is given again while it is carried out changes nothing: false. */
static bool
expect(struct forecast_world *w, struct happening h, int64_t after_ms)
{
    int at = w->due_count;

    if (is_expected(w, &h))
        return false;
    h.at_ms = w->now_ms + after_ms;
    h.order = w->order++;
    if (w->due_count == w->due_capacity) {
        w->due_capacity = w->due_capacity == 0 ? 64 : w->due_capacity * 2;
        w->due = mem_grow(w->due, (size_t)w->due_capacity, sizeof(w->due[0]));
    }
    while (at > 0 && w->due[at - 1].at_ms <= h.at_ms)
        at--;
    memmove(&w->due[at + 1], &w->due[at], (size_t)(w->due_count - at) * sizeof(w->due[0]));
    w->due[at] = h;
    w->due_count++;
    return true;
}

static bool
is_new(const struct forecast_world *w, const struct task *t)
{
    const char *number = strchr(t->deployment_id, '/');

    return number != NULL && strcmp(t->service_arn, w->options->service_arn) == 0 &&
           strtoull(number + 1, NULL, 10) > w->newest_before;
}

static enum forecast_fault
fault_of(const struct forecast_world *w, const struct task *t)
{
    return t != NULL && is_new(w, t) ? w->options->fault : FORECAST_NONE;
}

static void
expect_start(struct forecast_world *w, const struct task *t)
{
    struct happening h = {.kind = RUNS};

    text_copy(h.arn, ARN_SIZE, str_of(t->arn));
    if (t->created_at_ms == w->now_ms) /* else it is asked again */
        forecast_note_task(w, FORECAST_START, t);
    switch (fault_of(w, t)) {
    case FORECAST_HANGS_AT_START:
        return;
    case FORECAST_CRASHES_AT_START:
    case FORECAST_CANNOT_PULL:
        h.kind = EXITS;
        break;
    default:
        break;
    }
    expect(w, h, w->options->start_ms);
}

static struct task *
owner_of(const struct forecast_world *w, const struct ef_target_change *c)
{
    for (struct task *t = w->core->tasks; t != NULL; t = t->next) {
        for (int i = 0; i < t->target_count; i++) {
            const struct task_target *tt = &t->targets[i];
            if (tt->is_registered && tt->port == c->port &&
                strcmp(tt->target_id, c->target_id) == 0 &&
                strcmp(tt->target_group_arn, c->target_group_arn) == 0)
                return t;
        }
    }
    return NULL;
}

static void
expect_verdict(struct forecast_world *w, const struct ef_target_change *c)
{
    const struct target_group *tg = core_target_group(w->core, c->target_group_arn);
    const struct target *x = target_group_find(tg, c->target_id, c->port);
    const struct task *t = owner_of(w, c);

    if (x->state == TARGET_healthy)
        return; /* asked again; it stays so */
    if (fault_of(w, t) == FORECAST_NEVER_HEALTHY)
        expect(w, (struct happening){.kind = UNHEALTHY, .target = *c},
               (int64_t)tg->check.interval_s * tg->check.unhealthy_threshold * 1000);
    else
        expect(w, (struct happening){.kind = HEALTHY, .target = *c}, w->options->healthy_ms);
}

void
forecast_expect_all(struct forecast_world *w)
{
    for (int i = 0; i < w->effects.count; i++) {
        const struct effect *e = &w->effects.at[i];
        struct happening h = {.kind = STOPS};
        const struct task *t;
        switch (e->type) {
        case EFFECT_IMAGE_RESOLVE:
            h.kind = RESOLVED;
            text_copy(h.arn, ARN_SIZE, str_of(e->image_resolve.revision_arn));
            expect(w, h, w->options->resolve_ms);
            break;
        case EFFECT_TASK_START:
            t = core_task_by_arn(w->core, e->task_start.task_arn);
            if (t != NULL && !e->task_start.only_adopt)
                expect_start(w, t);
            break;
        case EFFECT_TASK_STOP:
            text_copy(h.arn, ARN_SIZE, str_of(e->task_stop.task_arn));
            if (expect(w, h, w->options->stop_ms))
                forecast_note_task(w, FORECAST_STOP, core_task_by_arn(w->core, h.arn));
            break;
        case EFFECT_TARGET_REGISTER:
            expect_verdict(w, &e->target_register);
            break;
        case EFFECT_TARGET_DEREGISTER:
            h = (struct happening){.kind = DRAINED, .target = e->target_deregister};
            if (expect(w, h, w->options->drain_ms))
                forecast_note_task(w, FORECAST_DRAIN, owner_of(w, &h.target));
            break;
        case EFFECT_BALANCER_CONFIG:
            h.kind = IN_FORCE;
            text_copy(h.arn, ARN_SIZE, str_of(e->balancer_config.arn));
            expect(w, h, WEIGHTS_MS);
            break;
        case EFFECT_HOOK_CALL:
            h.kind = HOOK_SUCCEEDS;
            text_copy(h.arn, ARN_SIZE, str_of(e->hook_call.service_deployment_arn));
            text_copy(h.target.target_id, ADDRESS_SIZE, str_of(e->hook_call.hook_id));
            h.target.port = e->hook_call.attempt;
            expect(w, h, HOOK_MS);
            break;
        case EFFECT_HOOK_CANCEL:
        case EFFECT_IMAGE_PREFETCH:
        case EFFECT_TASK_FORGET:
        case EFFECT_PERSIST:
            break;
        }
    }
    effects_clear(&w->effects);
}

/* ---- what happens ---- */

static int
free_port(struct forecast_world *w)
{
    return w->next_port < 65535 ? w->next_port++ : 0;
}

static void
bind_ports(struct forecast_world *w, const struct task *t, struct task_container *c,
           struct network_binding bindings[static BINDINGS_MAX])
{
    const struct container_definition *cd = task_definition_container(t->definition, c->name);

    c->bindings = bindings;
    c->binding_count = 0;
    for (int i = 0; i < cd->port_count && i < BINDINGS_MAX; i++) {
        struct network_binding *b = &c->bindings[c->binding_count++];
        b->container_port = cd->ports[i].container_port;
        b->host_port = cd->ports[i].host_port != 0 ? cd->ports[i].host_port : free_port(w);
        b->is_udp = cd->ports[i].is_udp;
    }
}

static void
report_task(struct forecast_world *w, const struct task *t, enum task_status status)
{
    const bool has_run = t->last_status >= TASK_RUNNING;
    const enum forecast_fault fault = fault_of(w, t);
    struct task_container containers[CONTAINERS_MAX];
    struct network_binding bindings[CONTAINERS_MAX][BINDINGS_MAX];
    char address[ADDRESS_SIZE];
    struct event ev = {.type = EVENT_TASK_STATE};
    struct ev_task_state *s = &ev.task_state;

    memcpy(containers, t->containers, sizeof(containers[0]) * (size_t)t->container_count);
    for (int i = 0; i < t->container_count; i++) {
        struct task_container *c = &containers[i];
        c->last_status = status;
        if (status == TASK_RUNNING && !has_run && t->definition->network_mode != NETWORK_awsvpc)
            bind_ports(w, t, c, bindings[i]);
        c->has_exit_code = status == TASK_STOPPED && fault != FORECAST_CANNOT_PULL;
        c->exit_code = !task_is_wanted(t) ? 143 : t->hook_id[0] == '\0';
    }
    s->task_id = t->id;
    s->status = status;
    s->health = status == TASK_RUNNING && has_run && task_definition_has_health_check(t->definition)
                    ? fault == FORECAST_NEVER_HEALTHY ? HEALTH_UNHEALTHY : HEALTH_HEALTHY
                    : HEALTH_UNKNOWN;
    s->containers = containers;
    s->container_count = t->container_count;
    if (status == TASK_STOPPED && fault == FORECAST_CANNOT_PULL)
        s->reason = "CannotPullContainerError: the image cannot be pulled";
    if (t->definition->network_mode == NETWORK_awsvpc && !has_run) {
        const uint32_t a = w->next_address++;
        snprintf(address, sizeof(address), "%u.%u.%u.%u", a >> 24, (a >> 16) & 255, (a >> 8) & 255,
                 a & 255);
        s->address = address;
    }
    forecast_step(w, &ev);
}

static void
now_runs(struct forecast_world *w, const struct task *t)
{
    struct happening later = {.kind = RUNS};
    const bool has_run = t->last_status >= TASK_RUNNING;

    text_copy(later.arn, ARN_SIZE, str_of(t->arn));
    if (has_run) { /* the verdict of its own health check */
        forecast_note_task(
            w, fault_of(w, t) == FORECAST_NEVER_HEALTHY ? FORECAST_UNHEALTHY : FORECAST_HEALTHY, t);
        report_task(w, t, TASK_RUNNING);
        return;
    }
    forecast_note_task(w, FORECAST_RUNNING, t);
    report_task(w, t, TASK_RUNNING);
    if (task_definition_has_health_check(t->definition))
        expect(w, later, w->options->healthy_ms);
    later.kind = EXITS;
    if (fault_of(w, t) == FORECAST_CRASHES_LATER)
        expect(w, later, CRASH_MS);
    else if (t->hook_id[0] != '\0')
        expect(w, later, HOOK_MS);
}

static void
now_resolved(struct forecast_world *w, const char *revision_arn)
{
    const struct service *s = core_service_by_arn(w->core, w->options->service_arn);
    const struct revision *r = service_find_revision(s, revision_arn);
    char digests[CONTAINERS_MAX][DIGEST_SIZE] = {{0}};
    struct event ev = {.type = EVENT_IMAGE_RESOLVED};

    if (r == NULL)
        return;
    ev.image_resolved = (struct ev_image_resolved){.service_arn = s->arn,
                                                   .revision_arn = revision_arn,
                                                   .digests = (const char(*)[DIGEST_SIZE])digests,
                                                   .digest_count = r->image_count};
    if (w->options->fault == FORECAST_IMAGE_MISSING)
        ev.image_resolved.error = "the image is not there";
    forecast_step(w, &ev);
}

static void
now_verdict(struct forecast_world *w, const struct happening *h)
{
    const struct ef_target_change *c = &h->target;
    struct event ev = {.type = EVENT_TARGET_HEALTH};

    forecast_note_task(w, h->kind == HEALTHY ? FORECAST_HEALTHY : FORECAST_UNHEALTHY,
                       owner_of(w, c));
    ev.target_health = (struct ev_target_health){
        .target_group_arn = c->target_group_arn,
        .target_id = c->target_id,
        .port = c->port,
        .registration = c->registration,
        .state = h->kind == HEALTHY ? TARGET_healthy : TARGET_unhealthy,
        .reason = h->kind == HEALTHY ? NULL : "Target.FailedHealthChecks",
        .description = h->kind == HEALTHY ? NULL : "Health checks failed"};
    forecast_step(w, &ev);
}

static void
now_drained(struct forecast_world *w, const struct ef_target_change *c)
{
    const struct event ev = {.type = EVENT_TARGET_DRAINED,
                             .target_drained = {.target_group_arn = c->target_group_arn,
                                                .target_id = c->target_id,
                                                .port = c->port,
                                                .registration = c->registration}};

    forecast_step(w, &ev);
}

static void
now_in_force(struct forecast_world *w, const char *arn)
{
    const struct listener *l = core_listener(w->core, arn);
    struct event ev = {.type = EVENT_LISTENER_IN_FORCE};

    if (l == NULL)
        return;
    ev.listener_in_force.listener_arn = arn;
    ev.listener_in_force.generation = l->generation;
    forecast_step(w, &ev);
}

static void
now_hook(struct forecast_world *w, const struct happening *h)
{
    struct event ev = {.type = EVENT_HOOK_ANSWERED};

    ev.hook_answered = (struct ev_hook_answered){.service_deployment_arn = h->arn,
                                                 .hook_id = h->target.target_id,
                                                 .attempt = h->target.port,
                                                 .outcome = OUTCOME_SUCCEEDED};
    forecast_step(w, &ev);
}

void
forecast_happens(struct forecast_world *w, const struct happening *h)
{
    const struct task *t = core_task_by_arn(w->core, h->arn);

    switch (h->kind) {
    case RESOLVED:
        now_resolved(w, h->arn);
        break;
    case RUNS:
        if (t != NULL && t->last_status <= TASK_RUNNING)
            now_runs(w, t);
        break;
    case EXITS:
    case STOPS:
        if (t == NULL || t->last_status == TASK_STOPPED)
            break;
        forecast_note_task(w, h->kind == EXITS ? FORECAST_EXITED : FORECAST_STOPPED, t);
        report_task(w, t, TASK_STOPPED);
        break;
    case HEALTHY:
    case UNHEALTHY:
        now_verdict(w, h);
        break;
    case DRAINED:
        now_drained(w, &h->target);
        break;
    case IN_FORCE:
        now_in_force(w, h->arn);
        break;
    case HOOK_SUCCEEDS:
        now_hook(w, h);
        break;
    }
}
