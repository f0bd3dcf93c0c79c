/* SPDX-License-Identifier: MIT */
#include "task_sets.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- the book ---- */

static struct sim_set *
set_of_arn(struct set_book *book, const char *arn)
{
    for (int i = 0; i < book->count; i++) {
        if (strcmp(book->sets[i].arn, arn) == 0)
            return &book->sets[i];
    }
    return NULL;
}

bool
has_task_set(const struct set_book *book, const char *arn)
{
    return set_of_arn((struct set_book *)book, arn) != NULL;
}

const char *
set_id(const struct sim_set *set)
{
    return strstr(set->arn, "ecs-svc/");
}

const struct sim_set *
set_of_id(const struct set_book *book, const char *id)
{
    for (int i = 0; i < book->count; i++) {
        if (strcmp(set_id(&book->sets[i]), id) == 0)
            return &book->sets[i];
    }
    return NULL;
}

/* Ids only rise: the one just made has the greatest. */
static void
told_created(struct set_book *book, const struct service *now, const struct ev_task_set_create *ev)
{
    const struct deployment *newest = NULL;

    for (const struct deployment *d = now->deployments; d != NULL; d = d->next)
        newest = newest == NULL || strcmp(d->id, newest->id) > 0 ? d : newest;
    assert(newest != NULL && book->count < SIM_SETS_MAX);
    book->sets[book->count] = (struct sim_set){.scale = ev->scale};
    text_copy(book->sets[book->count].arn, ARN_SIZE, str_of(newest->set->arn));
    text_copy(book->sets[book->count++].definition, ARN_SIZE, str_of(ev->task_definition_arn));
}

void
told_task_set(struct set_book *book, const struct service *now, const struct event *ev)
{
    if (ev->type == EVENT_TASK_SET_CREATE)
        told_created(book, now, &ev->task_set_create);
    else if (ev->type == EVENT_TASK_SET_SCALE)
        set_of_arn(book, ev->task_set_scale.arn)->scale = ev->task_set_scale.scale;
    else if (ev->type == EVENT_TASK_SET_DELETE)
        set_of_arn(book, ev->task_set_delete.arn)->is_deleted = true;
}

int
set_size(const struct set_service *s, const struct sim_set *set)
{
    const int64_t part = (int64_t)s->desired_count * set->scale;

    return set->is_deleted || s->is_deleted ? 0 : (int)((part + SCALE_WHOLE - 1) / SCALE_WHOLE);
}

/* ---- what is judged ---- */

bool
set_start_is_well(const struct set_service *s, const char *id, const char *task_id, int total,
                  struct complaint *out)
{
    const struct sim_set *set = set_of_id(s->book, id);
    int size, most;

    if (set == NULL || set->is_deleted || s->is_deleted)
        return complain(out, "%s starts task %.8s of %s, which is deleted", s->name, task_id, id);
    size = set_size(s, set);
    most = size * s->maximum / 100 > size ? size * s->maximum / 100 : size;
    return total <= most ||
           complain(out, "promise 2: %s starts task %.8s of %s: %d tasks, %d wanted, maximum %d %%",
                    s->name, task_id, id, total, size, s->maximum);
}

bool
set_stop_is_well(const struct set_service *s, const char *id, const char *task_id, int healthy,
                 struct complaint *out)
{
    const struct sim_set *set = set_of_id(s->book, id);
    const int size = set == NULL ? 0 : set_size(s, set), lower = (size * s->minimum + 99) / 100;

    return healthy >= lower ||
           complain(out,
                    "promise 2: %s stops healthy task %.8s of %s: %d healthy left, %d wanted, "
                    "minimum %d %%",
                    s->name, task_id, id, healthy, size, s->minimum);
}

bool
stability_is_well(const struct deployment *d, int wanted, int well, struct complaint *out)
{
    return d->set->stability != STABILITY_STEADY_STATE || d->set->is_draining ||
           (wanted == d->desired_count && well == wanted) ||
           complain(out, "promise 5: %s is in STEADY_STATE with %d tasks, %d of them well, of %d",
                    d->id, wanted, well, d->desired_count);
}

bool
sets_are_shown_well(const struct core *core, const struct set_service *s, const struct service *now,
                    struct complaint *out)
{
    for (const struct deployment *d = now->deployments; d != NULL; d = d->next) {
        const struct sim_set *set = set_of_id(s->book, d->id);
        if (set == NULL || set->is_deleted != d->set->is_draining)
            return complain(out, "%s is shown, and it is not so in the book", d->id);
        if (d->desired_count != set_size(s, set))
            return complain(out, "%s is to have %d tasks, not %d", d->id, set_size(s, set),
                            d->desired_count);
    }
    for (int i = 0; i < s->book->count; i++) {
        const struct sim_set *set = &s->book->sets[i];
        if (!set->is_deleted && core_task_set(core, set->arn, NULL) == NULL)
            return complain(out, "nobody deleted %s, and it is gone", set->arn);
    }
    return true;
}

/* ---- settled ---- */

/* Within such bounds nothing leaves an instance that is being drained (ecs.md 5.1). */
static bool
is_stuck_at(const struct set_service *s, int size)
{
    return size * s->maximum / 100 <= size && (size * s->minimum + 99) / 100 >= size;
}

bool
set_is_steady(const struct core *core, const struct set_service *s, const struct sim_set *set,
              const struct set_census *n, bool is_bad, char *why, size_t why_size)
{
    const int size = set_size(s, set);

    snprintf(why, why_size,
             "%s: %s has %d up, %d starting, %d leaving, %d in rotation; it shall have %d", s->name,
             set_id(set), n->up, n->starting, n->leaving, n->in_rotation, size);
    if (is_stuck_at(s, size) && n->leaving > 0)
        return n->up == size && n->starting == 0;
    if (set->is_deleted)
        return n->up + n->starting == 0 && core_task_set(core, set->arn, NULL) == NULL;
    if (is_bad)
        return true; /* it is replaced for ever, however often it fails: nobody judges it */
    return n->up == size && n->starting == 0 && n->leaving == 0 &&
           (!s->has_balancer || n->in_rotation == size) &&
           core_task_set(core, set->arn, NULL)->set->stability == STABILITY_STEADY_STATE;
}

/* ---- the deployer ---- */

static int
draw_scale(struct fate *f)
{
    static const int scales[] = {0, 100, 100, 50, 33};
    const int64_t dice = fate_between(f, 0, 9);

    return dice < (int64_t)ARRAY_COUNT(scales) ? scales[dice] * SCALE_PERCENT
                                               : (int)fate_between(f, 0, SCALE_WHOLE);
}

static bool
create_set(struct fate *f, const struct core *core, const struct deployer *d, struct act *out)
{
    const struct service *now = core_service_by_arn(core, d->service_arn);
    struct ev_task_set_create *c = &out->event.task_set_create;
    int count = 0;

    for (const struct deployment *x = now->deployments; x != NULL; x = x->next)
        count++;
    if (count == TASK_SETS_MAX || d->book->count == SIM_SETS_MAX)
        return false; /* the door refuses */
    *out = (struct act){.event.type = EVENT_TASK_SET_CREATE,
                        .balancer = {.container_name = "app", .container_port = 80}};
    text_copy(out->balancer.target_group_arn, ARN_SIZE,
              str_of(d->groups[d->group_count == 2 && fate_chance(f, 5000)]));
    c->service_arn = d->service_arn;
    c->external_id = c->client_token = "";
    c->scale = draw_scale(f);
    c->task_definition_arn =
        d->definitions[fate_chance(f, 5000) ? 0 : fate_between(f, 0, d->definition_count - 1)];
    c->launch_type = d->launch_type;
    c->load_balancers = &out->balancer;
    c->load_balancer_count = d->group_count > 0;
    snprintf(out->said, sizeof(out->said), "deployer creates a set of %s, scale %d", d->name,
             c->scale);
    return true;
}

/* One that lives, or NULL. */
static const struct sim_set *
draw_set(struct fate *f, const struct set_book *book)
{
    const struct sim_set *set = NULL;

    for (int tries = 0; tries < 4 && book->count > 0 && set == NULL; tries++) {
        set = &book->sets[fate_between(f, 0, book->count - 1)];
        set = set->is_deleted ? NULL : set;
    }
    return set;
}

static bool
change_set(struct fate *f, const struct set_book *book, enum event_type type, struct act *out)
{
    const struct sim_set *set = draw_set(f, book);
    struct event *ev = &out->event;

    if (set == NULL)
        return false;
    *out = (struct act){.event.type = type};
    text_copy(out->arn, ARN_SIZE, str_of(set->arn));
    if (type == EVENT_TASK_SET_SCALE) {
        ev->task_set_scale.arn = out->arn;
        ev->task_set_scale.scale = draw_scale(f);
    } else if (type == EVENT_TASK_SET_PROMOTE) {
        ev->task_set_promote.arn = out->arn;
    } else {
        ev->task_set_delete.arn = out->arn;
    }
    snprintf(out->said, sizeof(out->said), "deployer: %s of %s", event_name(type), set_id(set));
    return true;
}

bool
act_on_sets(struct fate *f, const struct core *core, const struct deployer *deployer,
            struct act *out)
{
    const int64_t dice = fate_between(f, 0, 99);

    if (dice < 40)
        return create_set(f, core, deployer, out);
    return change_set(f, deployer->book,
                      dice < 70   ? EVENT_TASK_SET_SCALE
                      : dice < 85 ? EVENT_TASK_SET_PROMOTE
                                  : EVENT_TASK_SET_DELETE,
                      out);
}
