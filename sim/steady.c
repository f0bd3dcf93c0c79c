/* SPDX-License-Identifier: MIT */
/* steady.c - whether a world has come to rest: once the faults are over, every deployment ends
 * (promise 3), and of every service runs what it shall have. */
#include "world.h"
#include <stdio.h>
#include <string.h>

/* Longer than a drain, the longest stopTimeout and being asked a second time take together. */
#define STOP_TAKES_MS (10 * 60 * 1000)

struct census {
    int up, starting, foreign, in_rotation;
    int leaving; /* on hosts that are being drained */
};

static struct census
take_census(const struct world *w, int service, const char *deployment_id)
{
    struct census n = {0};

    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *c = &w->containers[i];
        if (c->service != service)
            continue;
        n.up += c->state == UP;
        n.starting += c->state == PULLING;
        n.leaving += c->state == UP && c->is_placed && w->hosts[c->host].told_draining;
        n.foreign += c->state == UP && strcmp(c->deployment_id, deployment_id) != 0;
    }
    for (int i = 0; i < w->target_count; i++)
        n.in_rotation += w->targets[i].group / 2 == service && w->targets[i].in_rotation;
    return n;
}

/* No deployment can move within such bounds; an operator has to change them (ecs.md 5.1). */
static bool
is_stuck(const struct world *w, const struct sim_service *s)
{
    const int desired = desired_of(w, (int)(s - w->services));

    return desired * s->maximum / 100 <= desired && (desired * s->minimum + 99) / 100 >= desired;
}

bool
is_bad(const struct sim_service *s, const char *definition)
{
    const int v = version_of(s, definition);

    return v >= 0 && (s->behaviours[v] == CRASHES_AT_START || s->behaviours[v] == UNHEALTHY ||
                      s->behaviours[v] == BAD_IMAGE || s->behaviours[v] == FLAKY);
}

/* Zones 0 and 1 differ by less than two, as far as both have a host with room (ecs.md 7.5). */
static bool
is_balanced(const struct world *w, int service)
{
    const struct sim_service *s = &w->services[service];
    int tasks[2] = {0}, room[2] = {0};

    if (!s->balances_zones || s->kind == AWSVPC_LB || s->has_providers ||
        s->desired_count * s->maximum / 100 <= s->desired_count)
        return true;
    for (int i = 0; i < w->host_count; i++) {
        tasks[i % 2] += wanted_on(w, service, i);
        room[i % 2] += is_eligible(w, service, i);
    }
    return (tasks[0] - tasks[1] < 2 || room[1] == 0) && (tasks[1] - tasks[0] < 2 || room[0] == 0);
}

/* No host takes one more; a provider's hosts may be full while others are not. */
static bool
is_full(const struct world *w, int service)
{
    if (w->services[service].has_providers)
        return true;
    for (int i = 0; i < w->host_count; i++) {
        if (is_eligible(w, service, i))
            return false;
    }
    return true;
}

static bool
service_is_steady(struct world *w, int service, char *why, size_t why_size)
{
    const struct sim_service *s = &w->services[service];
    const struct service *now = core_service_by_arn(w->core, s->arn);
    const struct deployment *p = now == NULL ? NULL : service_primary(now);
    const struct census n = take_census(w, service, p == NULL ? "" : p->id);
    const bool has_lb = s->kind == BRIDGE_LB || s->kind == AWSVPC_LB || s->kind == FIXED_PORT_LB;
    int desired;

    snprintf(why, why_size,
             "%s: %d up, %d starting, %d of other deployments, %d in rotation, %d leaving, desired "
             "%d, bounds %d/%d, stage %s, %s",
             s->name, n.up, n.starting, n.foreign, n.in_rotation, n.leaving, s->desired_count,
             s->minimum, s->maximum, now == NULL ? "-" : lifecycle_stage_name(now->course.stage),
             p == NULL ? "no PRIMARY" : p->rollout_reason);
    if (now == NULL)
        return !s->exists;
    if (s->is_deleted)
        return now->status == SERVICE_INACTIVE && n.up + n.starting == 0;
    if (s->is_external)
        return sets_are_steady(w, service, why, why_size);
    if (p->is_failed)
        return n.starting == 0;
    if (p->rollout_state == ROLLOUT_IN_PROGRESS && is_stuck(w, s) && s->watch.deadline_s == 0)
        return true;
    if (is_bad(s, p->revision->task_definition_arn))
        return (!s->has_breaker && s->watch.deadline_s == 0) ||
               p->rollout_state != ROLLOUT_IN_PROGRESS ||
               (now->course.is_on && /* for a day */
                (now->course.stage == STAGE_CLEAN_UP || now->course.is_returning)) ||
               (n.up == n.foreign && is_full(w, service)); /* its clock stands */
    desired = desired_of(w, service);
    /* After an early success an old task may still be there that bounds do not let go. */
    return p->rollout_state == ROLLOUT_COMPLETED && n.up == desired && n.starting == 0 &&
           (n.foreign == 0 || is_stuck(w, s)) && is_balanced(w, service) && (n.leaving == 0 || is_stuck(w, s)) && (!has_lb || n.in_rotation == desired);
}

bool
world_is_steady(struct world *w, char *why, size_t why_size)
{
    if (w->core == NULL) {
        snprintf(why, why_size, "naru is down");
        return false;
    }
    for (int i = 0; i < w->service_count; i++) {
        if (!service_is_steady(w, i, why, why_size) || !rules_are_steady(w, i, why, why_size))
            return false;
    }
    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *c = &w->containers[i];
        snprintf(why, why_size, "task %.8s was stopped and still runs", c->id);
        /* A bad revision without a breaker is replaced for ever, so something is always about to end. */
        if (c->asked_stop && c->state == UP && w->now_ms - c->asked_stop_ms > STOP_TAKES_MS)
            return false;
    }
    return true;
}
