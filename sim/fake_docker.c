/* SPDX-License-Identifier: MIT */
/* fake_docker.c - containers that really run, whatever naru believes; one a task. */
#include "world.h"
#include <assert.h>

int
container_find(const struct world *w, const char *id)
{
    for (int i = w->container_count - 1; i >= 0; i--) {
        if (strcmp(w->containers[i].id, id) == 0)
            return i;
    }
    return -1;
}

int
container_of_target(const struct world *w, int group, const char *id, int port)
{
    for (int i = w->container_count - 1; i >= 0; i--) {
        const struct sim_container *c = &w->containers[i];
        if (c->service != group / 2)
            continue;
        if (c->address[0] != '\0'
                ? strcmp(c->address, id) == 0
                : c->port == port && strcmp(w->hosts[c->host].instance, id) == 0)
            return i;
    }
    return -1;
}

bool
container_answers(struct world *w, const struct sim_container *c)
{
    return c->state == UP && c->behaviour != UNHEALTHY;
}

static void
next(struct world *w, int container, int64_t in_ms)
{
    struct sim_container *c = &w->containers[container];

    if (strikes(w, docker_hangs))
        in_ms += between(w, 30, 900) * 1000;
    happen(w, w->now_ms + in_ms, DOCKER, container)->generation = ++c->generation;
}

static void
send_state(struct world *w, int container)
{
    send_report(w, report_task(w, container));
}

static void
exits(struct world *w, int container, int code)
{
    struct sim_container *c = &w->containers[container];

    c->state = EXITED;
    c->exit_code = code;
    c->generation++;
    world_trace(w, "container %.8s exits with %d", c->id, code);
    send_state(w, container);
}

static void
comes_up(struct world *w, int container)
{
    struct sim_container *c = &w->containers[container];
    const enum service_kind kind = c->service < 0 ? NO_LB : w->services[c->service].kind;

    c->state = UP;
    if (kind == AWSVPC_LB)
        snprintf(c->address, sizeof(c->address), "10.0.%d.%d", w->next_address / 250,
                 w->next_address % 250 + 1),
            w->next_address++;
    else
        c->port = kind == FIXED_PORT_LB ? 8000 + c->service : w->next_port++;
    if (w->next_port > 60000)
        w->next_port = 32768;
    world_trace(w, "container %.8s is up", c->id);
    send_state(w, container);
    c->crashes_early =
        c->behaviour == CRASHES_AT_START || (c->behaviour == FLAKY && chance(w, 3000));
    if (c->hook_id[0] != '\0') { /* it does its work and ends, well or not, or never */
        c->crashes_early = false;
        if (!chance(w, 500))
            next(w, container, between(w, 100, 90000));
    } else if (c->crashes_early) /* more slowly once all only waits for the end: it is seen by then */
        next(w, container,
             w->now_ms < w->operators_end_ms ? between(w, 10, 2000) : between(w, 2000, 60000));
    else if (c->has_check)
        next(w, container, between(w, 500, 5000));
    else if (c->behaviour == CRASHES_LATER)
        next(w, container, between(w, 5000, 300000));
}

/* Its next happening, by the state it is in. */
void
docker_happened(struct world *w, int container, uint32_t generation)
{
    struct sim_container *c = &w->containers[container];

    if (c->generation != generation)
        return;
    if (!w->hosts[c->host].docker_is_up) { /* frozen with it */
        next(w, container, 1000);
        return;
    }
    if (c->state == PULLING) {
        if (c->is_signalled)
            exits(w, container, 137);
        else if (c->behaviour == BAD_IMAGE || (c->image_is_gone = strikes(w, image_gone)))
            exits(w, container, 0);
        else
            comes_up(w, container);
        return;
    }
    if (c->state != UP)
        return;
    if (c->is_signalled) {
        exits(w, container, c->ignores_sigterm ? 137 : 143);
    } else if (c->hook_id[0] != '\0') {
        exits(w, container, c->behaviour == GOOD || c->behaviour == SLOW ? 0 : 1);
    } else if (c->crashes_early) {
        exits(w, container, 1);
    } else if (c->has_check && c->health == HEALTH_UNKNOWN) {
        c->health = c->behaviour == UNHEALTHY ? HEALTH_UNHEALTHY : HEALTH_HEALTHY;
        send_state(w, container);
        if (c->behaviour == CRASHES_LATER)
            next(w, container, between(w, 5000, 300000));
    } else if (c->behaviour == CRASHES_LATER && w->now_ms < w->operators_end_ms) {
        exits(w, container, 139); /* once the faults are over it behaves */
    }
}

/* What the book says was given back may still be in use here. */
static void
check_gpus(struct world *w, int container)
{
    const struct sim_container *c = &w->containers[container];

    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *other = &w->containers[i];
        if (i != container && other->is_placed && other->host == c->host &&
            (other->gpus & c->gpus) != 0 && (other->state == UP || other->state == PULLING))
            world_fail(w, "task %.8s is created with a GPU that task %.8s uses", c->id, other->id);
    }
}

static void
create(struct world *w, int container)
{
    struct sim_container *c = &w->containers[container];
    int64_t pull_ms = between(w, 50, 600);

    check_gpus(w, container);
    if ((!w->hosts[c->host].docker_is_up && chance(w, 5000)) || strikes(w, docker_refuses)) {
        c->is_infrastructure = true;
        exits(w, container, 0);
        return;
    }
    if (strikes(w, slow_pull) || c->behaviour == SLOW)
        pull_ms += between(w, 1000, 60000);
    c->state = PULLING;
    next(w, container, pull_ms);
}

static void
start(struct world *w, int container, bool only_adopt)
{
    struct sim_container *c = &w->containers[container];

    if (c->state == REMOVED)
        world_fail(w, "task %s was forgotten and is started again", c->id);
    if (c->state == NOT_CREATED && only_adopt)
        exits(w, container, 0);
    else if (c->state == NOT_CREATED)
        create(w, container);
    else
        send_state(w, container);
}

static void
stop(struct world *w, int container)
{
    struct sim_container *c = &w->containers[container];

    if (c->state == UP && !c->is_signalled)
        check_signal(w, container);
    if (c->state == NOT_CREATED) {
        exits(w, container, 0);
    } else if (c->state == UP || c->state == PULLING) {
        if (c->is_signalled)
            return; /* under way */
        c->is_signalled = true;
        world_trace(w, "container %.8s is signalled", c->id);
        next(w, container, c->ignores_sigterm && c->state == UP ? 30000 : between(w, 10, 1500));
    } else {
        send_state(w, container);
    }
}

static void
forget(struct world *w, const char *task_id)
{
    const int i = container_find(w, task_id);

    if (i < 0)
        return;
    if (w->containers[i].state == UP || w->containers[i].state == PULLING)
        world_fail(w, "task %s is removed while it runs", task_id);
    w->containers[i].state = REMOVED;
}

void
docker_effect(struct world *w, const struct effect *e)
{
    const char *arn = e->type == EFFECT_TASK_START ? e->task_start.task_arn : e->task_stop.task_arn;
    int i;

    if (e->type == EFFECT_TASK_FORGET) {
        forget(w, e->task_forget.task_id);
        return;
    }
    i = container_find(w, strrchr(arn, '/') + 1);
    assert(i >= 0); /* check_effects() opened its page in the book */
    if (e->type == EFFECT_TASK_START)
        start(w, i, e->task_start.only_adopt);
    else
        stop(w, i);
}

void
docker_dies(struct world *w, int host)
{
    const bool all = chance(w, 2000); /* the machine was off */

    world_trace(w, "docker of %s dies", w->hosts[host].name);
    w->hosts[host].docker_is_up = false;
    for (int i = 0; i < w->container_count; i++) {
        struct sim_container *c = &w->containers[i];
        if (c->host != host || c->state != UP || (!all && chance(w, 5000)))
            continue;      /* it survives, as with live-restore */
        c->state = EXITED; /* and nobody tells */
        c->exit_code = 255;
        c->is_infrastructure = true;
        c->generation++;
    }
}

void
docker_returns(struct world *w, int host)
{
    world_trace(w, "docker of %s returns", w->hosts[host].name);
    w->hosts[host].docker_is_up = true;
}
