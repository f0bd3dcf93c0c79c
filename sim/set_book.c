/* SPDX-License-Identifier: MIT */
/* set_book.c - task sets as a small world counts their tasks; task_sets.h judges. */
#include "world.h"
#include <string.h>

static struct set_service
set_service_of(const struct sim_service *s)
{
    return (struct set_service){.book = &s->sets,
                                .name = s->name,
                                .desired_count = s->desired_count,
                                .minimum = s->minimum,
                                .maximum = s->maximum,
                                .is_deleted = s->is_deleted,
                                .has_balancer = service_has_pair(s)};
}

void
note_task_set(struct world *w, const struct event *ev)
{
    for (int i = 0; i < w->service_count; i++) {
        struct sim_service *s = &w->services[i];
        const bool is_its = ev->type == EVENT_TASK_SET_CREATE
                                ? strcmp(s->arn, ev->task_set_create.service_arn) == 0
                                : has_task_set(&s->sets, ev->type == EVENT_TASK_SET_SCALE
                                                             ? ev->task_set_scale.arn
                                                             : ev->task_set_delete.arn);
        if (is_its) {
            told_task_set(&s->sets, core_service_by_arn(w->core, s->arn), ev);
            return;
        }
    }
}

/* Then protection does not hold its tasks up. */
bool
is_set_deleted(const struct world *w, int container)
{
    const struct sim_container *c = &w->containers[container];
    const struct sim_set *set = set_of_id(&w->services[c->service].sets, c->deployment_id);

    return set != NULL && set->is_deleted;
}

static bool
is_of_set(const struct sim_container *c, int service, const char *id)
{
    return c->service == service && strcmp(c->deployment_id, id) == 0;
}

/* It is in the book, and counts. */
void
judge_set_start(struct world *w, int container)
{
    const struct sim_container *c = &w->containers[container];
    const struct set_service s = set_service_of(&w->services[c->service]);
    struct complaint complaint;
    int total = 0;

    for (int i = 0; i < w->container_count; i++)
        total += is_of_set(&w->containers[i], c->service, c->deployment_id) &&
                 is_wanted(&w->containers[i]);
    world_judge(w, set_start_is_well(&s, c->deployment_id, c->id, total, &complaint), &complaint);
}

/* A healthy one is stopped, and by nobody's order to stop that task. */
void
judge_set_stop(struct world *w, int container)
{
    const struct sim_container *c = &w->containers[container];
    const struct set_service s = set_service_of(&w->services[c->service]);
    struct complaint complaint;
    int healthy = 0;

    for (int i = 0; i < w->container_count; i++)
        healthy +=
            is_of_set(&w->containers[i], c->service, c->deployment_id) && is_told_healthy(w, i);
    world_judge(w, set_stop_is_well(&s, c->deployment_id, c->id, healthy, &complaint), &complaint);
}

static void
check_stability(struct world *w, int service, const struct deployment *d)
{
    const struct sim_service *s = &w->services[service];
    struct complaint complaint;
    int well = 0, wanted = 0;

    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *c = &w->containers[i];
        if (!is_of_set(c, service, d->id) || !is_wanted(c))
            continue;
        wanted++;
        well += c->told_running_ms != 0 && (s->kind == NO_LB || is_told_healthy(w, i)) &&
                (!c->is_placed || !w->hosts[c->host].told_draining);
    }
    world_judge(w, stability_is_well(d, wanted, well, &complaint), &complaint);
}

void
check_sets_shown(struct world *w, int service)
{
    const struct set_service s = set_service_of(&w->services[service]);
    const struct service *now = core_service_by_arn(w->core, w->services[service].arn);
    struct complaint complaint;

    world_judge(w, sets_are_shown_well(w->core, &s, now, &complaint), &complaint);
    for (const struct deployment *d = now->deployments; d != NULL && !w->has_failed; d = d->next)
        check_stability(w, service, d);
}

static struct set_census
census_of(const struct world *w, int service, const char *id)
{
    struct set_census n = {0};

    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *c = &w->containers[i];
        if (!is_of_set(c, service, id))
            continue;
        n.up += c->state == UP;
        n.starting += c->state == PULLING;
        n.leaving += c->state == UP && c->is_placed && w->hosts[c->host].told_draining;
    }
    for (int i = 0; i < w->target_count; i++) {
        const struct sim_target *x = &w->targets[i];
        n.in_rotation += x->in_rotation && x->container >= 0 &&
                         strcmp(w->containers[x->container].deployment_id, id) == 0;
    }
    return n;
}

bool
sets_are_steady(struct world *w, int service, char *why, size_t why_size)
{
    const struct sim_service *s = &w->services[service];
    const struct set_service known = set_service_of(s);

    for (int i = 0; i < s->sets.count; i++) {
        const struct sim_set *set = &s->sets.sets[i];
        const struct set_census n = census_of(w, service, set_id(set));
        if (!set_is_steady(w->core, &known, set, &n, is_bad(s, set->definition), why, why_size))
            return false;
    }
    return true;
}

bool
deployer_acts(struct world *w, struct sim_service *s, struct act *out)
{
    const struct deployer deployer = {.service_arn = s->arn,
                                      .name = s->name,
                                      .groups = (const char(*)[BALANCING_ARN_SIZE])s->groups,
                                      .group_count = service_has_pair(s) ? 2 : 0,
                                      .definitions = (const char(*)[ARN_SIZE])s->definitions,
                                      .definition_count = VERSIONS_MAX,
                                      .launch_type =
                                          s->kind == AWSVPC_LB ? LAUNCH_FARGATE : LAUNCH_EC2,
                                      .book = &s->sets};

    return act_on_sets(&w->fate, w->core, &deployer, out);
}
