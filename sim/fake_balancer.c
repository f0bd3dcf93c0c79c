/* SPDX-License-Identifier: MIT */
/* fake_balancer.c - the rotation that requests really meet, and the health checks. */
#include "world.h"
#include <assert.h>

static const struct health_check check = {.enabled = true,
                                          .interval_s = 5,
                                          .timeout_s = 2,
                                          .healthy_threshold = 2,
                                          .unhealthy_threshold = 2};

int
group_find(const struct world *w, const char *arn)
{
    for (int i = 0; i < 2 * w->service_count; i++) {
        if (strcmp(w->services[i / 2].groups[i % 2], arn) == 0)
            return i;
    }
    return -1;
}

int
target_find(const struct world *w, const char *group, const char *id, int port)
{
    const int g = group_find(w, group);

    for (int i = w->target_count - 1; i >= 0; i--) {
        const struct sim_target *x = &w->targets[i];
        if (x->group == g && x->port == port && strcmp(x->id, id) == 0)
            return i;
    }
    return -1;
}

/* HAProxy's rotation follows the verdicts; when all are unhealthy it fails open. */
static void
rotate(struct world *w, int group)
{
    int healthy = 0;

    for (int i = 0; i < w->target_count; i++) {
        const struct sim_target *x = &w->targets[i];
        healthy += x->group == group && x->is_registered && !x->is_draining &&
                   x->health.state == TARGET_healthy;
    }
    for (int i = 0; i < w->target_count; i++) {
        struct sim_target *x = &w->targets[i];
        if (x->group == group)
            x->in_rotation =
                x->is_registered && !x->is_draining && target_in_rotation(
                    x->health.state, target_group_fails_open(healthy, /* unhealthy= */ 0,
                                                             /* min_count= */ 1, /* min_percent= */ 0));
    }
}

static void
probe_in(struct world *w, int target, int64_t ms)
{
    happen(w, w->now_ms + ms, PROBE, target)->generation = ++w->targets[target].generation;
}

static void
register_target(struct world *w, const struct ef_target_change *c)
{
    int i = target_find(w, c->target_group_arn, c->target_id, c->port);
    struct sim_target *x;

    if (i < 0) {
        if (w->target_count == w->target_capacity) {
            w->target_capacity = w->target_capacity == 0 ? 32 : w->target_capacity * 2;
            w->targets = mem_grow(w->targets, (size_t)w->target_capacity, sizeof(w->targets[0]));
        }
        i = w->target_count++;
        w->targets[i] =
            (struct sim_target){.group = group_find(w, c->target_group_arn), .port = c->port};
        text_copy(w->targets[i].id, ADDRESS_SIZE, str_of(c->target_id));
    }
    x = &w->targets[i];
    if (x->is_registered && x->is_draining && x->by_hand && c->registration > x->registration)
        x->is_registered = false; /* an operator lets it in again, as a registration of its own */
    if (x->is_registered && x->is_draining)
        world_fail(w, "target %s:%d goes back into rotation while draining", x->id, x->port);
    if (!x->is_registered) {
        x->is_registered = true;
        x->is_draining = x->by_hand = false;
        x->registration = c->registration;
        x->last_report_ms = 0;
        x->in_flight = 0;
        x->container = container_of_target(w, x->group, x->id, x->port);
        x->told = TARGET_initial;
        target_health_init(&x->health);
        rotate(w, x->group);
    } else {
        report_health(w, i); /* asked again: says what it knows */
    }
    probe_in(w, i, between(w, 1, 20));
}

/* Nothing in flight any more, or the delay is over: then the connections are cut. */
static void
leave(struct world *w, int target)
{
    struct sim_target *x = &w->targets[target];
    struct effect e = {.type = EFFECT_TARGET_DEREGISTER};

    x->is_registered = x->is_draining = x->in_rotation = false;
    x->in_flight = 0;
    x->generation++;
    if (w->core == NULL)
        return; /* nobody to tell; it will ask again */
    text_copy(e.target_deregister.target_group_arn, ARN_SIZE,
              str_of(w->services[x->group / 2].groups[x->group % 2]));
    text_copy(e.target_deregister.target_id, ADDRESS_SIZE, str_of(x->id));
    e.target_deregister.port = x->port;
    e.target_deregister.registration = x->registration;
    report_drained_target(w, target, &e.target_deregister);
}

static void
deregister_target(struct world *w, const struct ef_target_change *c)
{
    const int i = target_find(w, c->target_group_arn, c->target_id, c->port);
    struct sim_target *x;

    if (i < 0 || !w->targets[i].is_registered)
        return; /* world_perform() answers that it is not there */
    x = &w->targets[i];
    if (x->is_draining)
        return; /* under way */
    x->is_draining = true;
    rotate(w, x->group);
    x->generation++;
    happen(w,
           w->now_ms + (x->in_flight == 0 ? between(w, 0, 3)
                                          : (int64_t)w->services[x->group / 2].drain_s * 1000),
           DRAIN_END, i)
        ->generation = x->generation;
}

void
balancer_effect(struct world *w, const struct effect *e)
{
    if (e->type == EFFECT_TARGET_REGISTER)
        register_target(w, &e->target_register);
    else
        deregister_target(w, &e->target_deregister);
}

void
balancer_probe(struct world *w, int target, uint32_t generation)
{
    struct sim_target *x = &w->targets[target];
    enum check_result result = CHECK_OK;

    if (x->generation != generation || !x->is_registered || x->is_draining || w->core == NULL)
        return; /* naru checks the health: when it is down, nobody does */
    if (x->container < 0 || w->containers[x->container].state != UP)
        result = CHECK_FAILED;
    else if (!container_answers(w, &w->containers[x->container]))
        result = CHECK_BAD_CODE;
    else if (strikes(w, probe_flake))
        result = CHECK_TIMED_OUT;
    if (target_health_checked(&x->health, &check, result, 500)) {
        rotate(w, x->group);
        report_health(w, target);
    }
    probe_in(w, target, target_health_next_ms(&x->health, &check));
}

/* ---- the weights of listeners ---- */

bool
service_has_pair(const struct sim_service *s)
{
    return s->kind == BRIDGE_LB || s->kind == AWSVPC_LB;
}

/* What naru orders takes a while: until then requests go where they went. */
void
balancer_weights_ordered(struct world *w, const char *listener_arn)
{
    for (int i = 0; i < w->service_count; i++) {
        if (strcmp(w->services[i].listener, listener_arn) == 0)
            happen(w, w->now_ms + (chance(w, 500) ? between(w, 1000, 30000) : between(w, 0, 50)),
                   WEIGHTS, i)
                ->generation = w->epoch;
    }
}

/* The balancer works from whole views, so what is in force is what is wanted by now. */
void
balancer_weights_set(struct world *w, int service, uint32_t epoch)
{
    struct sim_service *s = &w->services[service];
    const struct listener *l;

    if (w->core == NULL || w->epoch != epoch)
        return; /* naru died with the order in its hands */
    l = core_listener(w->core, s->listener);
    for (int g = 0; g < 2; g++) {
        s->weights[g] = 0;
        (void)listener_forwards_to(l, s->groups[g], &s->weights[g]);
    }
    balancer_rules_set(w, service);
    world_trace(w, "listener of %s leads %d/%d", s->name, s->weights[0], s->weights[1]);
    if (l->in_force < l->generation)
        report_in_force(w, l);
}

void
balancer_view_again(struct world *w)
{
    for (int i = 0; i < w->service_count; i++) {
        if (service_has_pair(&w->services[i]))
            balancer_weights_ordered(w, w->services[i].listener);
    }
}

/* The group that the next request to the service is led to: by a rule of its listener, or by none. */
static int
draw_group(struct world *w, int service)
{
    const struct sim_service *s = &w->services[service];
    const int *weights = s->weights;

    if (s->served_rules.count > 0 && chance(w, 5000))
        weights = s->served_rules.rules[between(w, 0, s->served_rules.count - 1)].weights;
    if (!service_has_pair(s) || weights[0] + weights[1] == 0)
        return 2 * service;
    return 2 * service + (between(w, 0, weights[0] + weights[1] - 1) >= weights[0]);
}

void
balancer_traffic(struct world *w)
{
    const int group = draw_group(w, (int)between(w, 0, w->service_count - 1));
    int chosen = -1, seen = 0;

    for (int i = 0; i < w->target_count; i++) {
        if (w->targets[i].group == group && w->targets[i].in_rotation &&
            rng_below(&w->fate.rng, (uint64_t)++seen) == 0)
            chosen = i;
    }
    if (chosen >= 0) {
        struct sim_target *x = &w->targets[chosen];
        const struct sim_container *c = x->container < 0 ? NULL : &w->containers[x->container];
        if (c != NULL && c->is_signalled)
            world_fail(w, "promise 1: a request is sent to task %s after its SIGTERM", c->id);
        if (c != NULL && c->state == UP) {
            x->in_flight++;
            happen(w, w->now_ms + (chance(w, 500) ? between(w, 1000, 40000) : between(w, 1, 300)),
                   REQUEST_END, chosen)
                ->generation = (uint32_t)x->container;
        }
    }
    if (w->now_ms < w->operators_end_ms + 60000)
        happen(w, w->now_ms + between(w, 100, 1500), TRAFFIC, 0);
}

void
balancer_request_end(struct world *w, int target, uint32_t container)
{
    struct sim_target *x = &w->targets[target];

    if (!x->is_registered || x->in_flight == 0 || x->container != (int)container)
        return; /* cut before */
    x->in_flight--;
    if (x->is_draining && x->in_flight == 0)
        leave(w, target);
}

void
balancer_drain_end(struct world *w, int target, uint32_t generation)
{
    const struct sim_target *x = &w->targets[target];

    if (x->generation == generation && x->is_registered && x->is_draining)
        leave(w, target);
}
