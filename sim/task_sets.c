/* SPDX-License-Identifier: MIT */
/* task_sets.c - services with the deployment controller EXTERNAL: a careless external deployer, and
 * what has to be true of its task sets whatever it does.  Bounds are those of each set: its size by
 * the book is its part of the desired count; naru's own replacements keep within minimum and
 * maximum of that. */
#include "world.h"
#include <assert.h>

/* ---- the book ---- */

static struct sim_set *
set_of_arn(struct sim_service *s, const char *arn)
{
    for (int i = 0; i < s->set_count; i++) {
        if (strcmp(s->sets[i].arn, arn) == 0)
            return &s->sets[i];
    }
    return NULL;
}

static struct sim_set *
find_set(struct world *w, const char *arn)
{
    struct sim_set *set = NULL;

    for (int i = 0; i < w->service_count && set == NULL; i++)
        set = set_of_arn(&w->services[i], arn);
    assert(set != NULL);
    return set;
}

static const struct sim_set *
set_of_id(const struct sim_service *s, const char *id)
{
    for (int i = 0; i < s->set_count; i++) {
        if (strcmp(strstr(s->sets[i].arn, "ecs-svc/"), id) == 0)
            return &s->sets[i];
    }
    return NULL;
}

/* Ids only rise: the one just made has the greatest. */
static void
told_created(struct world *w, const struct ev_task_set_create *ev)
{
    const struct service *now = core_service_by_arn(w->core, ev->service_arn);
    const struct deployment *newest = NULL;
    struct sim_service *s = NULL;

    for (int i = 0; i < w->service_count; i++)
        s = strcmp(w->services[i].arn, ev->service_arn) == 0 ? &w->services[i] : s;
    for (const struct deployment *d = now->deployments; d != NULL; d = d->next)
        newest = newest == NULL || strcmp(d->id, newest->id) > 0 ? d : newest;
    assert(s != NULL && newest != NULL && s->set_count < SIM_SETS_MAX);
    s->sets[s->set_count] = (struct sim_set){.scale = ev->scale};
    text_copy(s->sets[s->set_count].arn, ARN_SIZE, str_of(newest->set->arn));
    text_copy(s->sets[s->set_count++].definition, ARN_SIZE, str_of(ev->task_definition_arn));
}

void
told_task_set(struct world *w, const struct event *ev)
{
    if (ev->type == EVENT_TASK_SET_CREATE)
        told_created(w, &ev->task_set_create);
    else if (ev->type == EVENT_TASK_SET_SCALE)
        find_set(w, ev->task_set_scale.arn)->scale = ev->task_set_scale.scale;
    else if (ev->type == EVENT_TASK_SET_DELETE)
        find_set(w, ev->task_set_delete.arn)->is_deleted = true;
}

static int
size_of(const struct sim_service *s, const struct sim_set *set)
{
    const int64_t part = (int64_t)s->desired_count * set->scale;

    return set->is_deleted || s->is_deleted ? 0 : (int)((part + SCALE_WHOLE - 1) / SCALE_WHOLE);
}

/* ---- what is judged ---- */

/* Then protection does not hold its tasks up. */
bool
is_set_deleted(const struct world *w, int container)
{
    const struct sim_container *c = &w->containers[container];
    const struct sim_set *set = set_of_id(&w->services[c->service], c->deployment_id);

    return set != NULL && set->is_deleted;
}

/* It is in the book, and counts. */
void
judge_set_start(struct world *w, int container)
{
    const struct sim_container *c = &w->containers[container];
    const struct sim_service *s = &w->services[c->service];
    const struct sim_set *set = set_of_id(s, c->deployment_id);
    int total = 0, size, most;

    if (set == NULL || set->is_deleted || s->is_deleted) {
        world_fail(w, "%s starts task %.8s of %s, which is deleted", s->name, c->id,
                   c->deployment_id);
        return;
    }
    size = size_of(s, set);
    most = size * s->maximum / 100 > size ? size * s->maximum / 100 : size;
    for (int i = 0; i < w->container_count; i++)
        total += w->containers[i].service == c->service && is_wanted(&w->containers[i]) &&
                 strcmp(w->containers[i].deployment_id, c->deployment_id) == 0;
    if (total > most)
        world_fail(w, "promise 2: %s starts task %.8s of %s: %d tasks, %d wanted, maximum %d %%",
                   s->name, c->id, c->deployment_id, total, size, s->maximum);
}

static int
count_healthy(const struct world *w, int service, const char *id)
{
    int n = 0;

    for (int i = 0; i < w->container_count; i++)
        n += w->containers[i].service == service && is_told_healthy(w, i) &&
             strcmp(w->containers[i].deployment_id, id) == 0;
    return n;
}

/* A healthy one is stopped, and by nobody's order to stop that task. */
void
judge_set_stop(struct world *w, int container)
{
    const struct sim_container *c = &w->containers[container];
    const struct sim_service *s = &w->services[c->service];
    const struct sim_set *set = set_of_id(s, c->deployment_id);
    const int size = set == NULL ? 0 : size_of(s, set), lower = (size * s->minimum + 99) / 100;
    const int healthy = count_healthy(w, c->service, c->deployment_id);

    if (healthy < lower)
        world_fail(w,
                   "promise 2: %s stops healthy task %.8s of %s: %d healthy left, %d wanted, "
                   "minimum %d %%",
                   s->name, c->id, c->deployment_id, healthy, size, s->minimum);
}

/* Whoever says STEADY_STATE says that traffic can be led there: by what naru was told, all are
 * well. */
static void
check_stability(struct world *w, int service, const struct deployment *d)
{
    const struct sim_service *s = &w->services[service];
    int well = 0, wanted = 0;

    if (d->set->stability != STABILITY_STEADY_STATE || d->set->is_draining)
        return;
    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *c = &w->containers[i];
        if (c->service != service || strcmp(c->deployment_id, d->id) != 0 || !is_wanted(c))
            continue;
        wanted++;
        well += c->told_running_ms != 0 && (s->kind == NO_LB || is_told_healthy(w, i)) &&
                (!c->is_placed || !w->hosts[c->host].told_draining);
    }
    if (wanted != d->desired_count || well != wanted)
        world_fail(w, "promise 5: %s is in STEADY_STATE with %d tasks, %d of them well, of %d",
                   d->id, wanted, well, d->desired_count);
}

void
check_sets_shown(struct world *w, int service)
{
    const struct sim_service *s = &w->services[service];
    const struct service *now = core_service_by_arn(w->core, s->arn);

    for (const struct deployment *d = now->deployments; d != NULL; d = d->next) {
        const struct sim_set *set = set_of_id(s, d->id);
        if (set == NULL || set->is_deleted != d->set->is_draining)
            world_fail(w, "%s is shown, and it is not so in the book", d->id);
        else if (d->desired_count != size_of(s, set))
            world_fail(w, "%s is to have %d tasks, not %d", d->id, size_of(s, set),
                       d->desired_count);
        check_stability(w, service, d);
    }
    for (int i = 0; i < s->set_count; i++) {
        if (!s->sets[i].is_deleted && core_task_set(w->core, s->sets[i].arn, NULL) == NULL)
            world_fail(w, "nobody deleted %s, and it is gone", s->sets[i].arn);
    }
}

/* ---- settled ---- */

/* Within such bounds nothing leaves an instance that is being drained (ecs.md 5.1). */
static bool
is_stuck_at(const struct sim_service *s, int size)
{
    return size * s->maximum / 100 <= size && (size * s->minimum + 99) / 100 >= size;
}

static bool
set_is_steady(struct world *w, int service, const struct sim_set *set, char *why, size_t why_size)
{
    const struct sim_service *s = &w->services[service];
    const char *id = strstr(set->arn, "ecs-svc/");
    const int size = size_of(s, set);
    int up = 0, starting = 0, leaving = 0, in_rotation = 0;

    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *c = &w->containers[i];
        const bool is_mine = c->service == service && strcmp(c->deployment_id, id) == 0;
        up += is_mine && c->state == UP;
        starting += is_mine && c->state == PULLING;
        leaving += is_mine && c->state == UP && c->is_placed && w->hosts[c->host].told_draining;
    }
    for (int i = 0; i < w->target_count; i++) {
        const struct sim_target *x = &w->targets[i];
        in_rotation += x->in_rotation && x->container >= 0 &&
                       strcmp(w->containers[x->container].deployment_id, id) == 0;
    }
    snprintf(why, why_size,
             "%s: %s has %d up, %d starting, %d leaving, %d in rotation; it shall have %d", s->name,
             id, up, starting, leaving, in_rotation, size);
    if (is_stuck_at(s, size) && leaving > 0)
        return up == size && starting == 0;
    if (set->is_deleted)
        return up + starting == 0 && core_task_set(w->core, set->arn, NULL) == NULL;
    if (is_bad(s, set->definition))
        return true; /* it is replaced for ever, however often it fails: nobody judges it */
    return up == size && starting == 0 && leaving == 0 &&
           (s->kind == NO_LB || s->kind == CHECKED_NO_LB || in_rotation == size) &&
           core_task_set(w->core, set->arn, NULL)->set->stability == STABILITY_STEADY_STATE;
}

bool
sets_are_steady(struct world *w, int service, char *why, size_t why_size)
{
    const struct sim_service *s = &w->services[service];

    for (int i = 0; i < s->set_count; i++) {
        if (!set_is_steady(w, service, &s->sets[i], why, why_size))
            return false;
    }
    return true;
}

/* ---- the deployer ---- */

static int
draw_scale(struct world *w)
{
    static const int scales[] = {0, 100, 100, 50, 33};
    const int64_t dice = between(w, 0, 9);

    return dice < (int64_t)ARRAY_COUNT(scales) ? scales[dice] * SCALE_PERCENT
                                               : (int)between(w, 0, SCALE_WHOLE);
}

static void
create_set(struct world *w, struct sim_service *s)
{
    const struct service *now = core_service_by_arn(w->core, s->arn);
    struct service_load_balancer lb = {.container_name = "app", .container_port = 80};
    struct event ev = {.type = EVENT_TASK_SET_CREATE};
    struct ev_task_set_create *c = &ev.task_set_create;
    int count = 0;

    for (const struct deployment *d = now->deployments; d != NULL; d = d->next)
        count++;
    if (count == TASK_SETS_MAX || s->set_count == SIM_SETS_MAX)
        return; /* the door refuses */
    text_copy(lb.target_group_arn, ARN_SIZE,
              str_of(s->groups[service_has_pair(s) && chance(w, 5000)]));
    c->service_arn = s->arn;
    c->external_id = c->client_token = "";
    c->scale = draw_scale(w);
    c->task_definition_arn = s->definitions[chance(w, 5000) ? 0 : between(w, 0, VERSIONS_MAX - 1)];
    c->launch_type = s->kind == AWSVPC_LB ? LAUNCH_FARGATE : LAUNCH_EC2;
    c->load_balancers = &lb;
    c->load_balancer_count = service_has_pair(s);
    world_trace(w, "deployer creates a set of %s, scale %d", s->name, c->scale);
    world_step(w, &ev);
}

/* One that lives, or NULL. */
static const struct sim_set *
draw_set(struct world *w, const struct sim_service *s)
{
    const struct sim_set *set = NULL;

    for (int tries = 0; tries < 4 && s->set_count > 0 && set == NULL; tries++) {
        set = &s->sets[between(w, 0, s->set_count - 1)];
        set = set->is_deleted ? NULL : set;
    }
    return set;
}

static void
change_set(struct world *w, struct sim_service *s, enum event_type type)
{
    const struct sim_set *set = draw_set(w, s);
    struct event ev = {.type = type};
    char arn[ARN_SIZE];

    if (set == NULL)
        return;
    text_copy(arn, ARN_SIZE, str_of(set->arn));
    if (type == EVENT_TASK_SET_SCALE) {
        ev.task_set_scale.arn = arn;
        ev.task_set_scale.scale = draw_scale(w);
    } else if (type == EVENT_TASK_SET_PROMOTE) {
        ev.task_set_promote.arn = arn;
    } else {
        ev.task_set_delete.arn = arn;
    }
    world_trace(w, "deployer: %s of %s", event_name(type), strstr(arn, "ecs-svc/"));
    world_step(w, &ev);
}

void
deployer_acts(struct world *w, struct sim_service *s)
{
    const int64_t dice = between(w, 0, 99);

    if (dice < 40)
        create_set(w, s);
    else if (dice < 70)
        change_set(w, s, EVENT_TASK_SET_SCALE);
    else if (dice < 85)
        change_set(w, s, EVENT_TASK_SET_PROMOTE);
    else
        change_set(w, s, EVENT_TASK_SET_DELETE);
}
