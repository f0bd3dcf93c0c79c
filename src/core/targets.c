/* SPDX-License-Identifier: MIT */
#include "core/targets.h"
#include <assert.h>
#include <stdio.h>
#include "core/evidence.h"
#include "core/said.h"

/* Beyond the deregistration delay.  The balancer may need 60 s of it, for clients that connected before a
 * reload and have not spoken yet; after that it must be dead. */
#define DRAIN_MARGIN_MS 70000

static void
emit_target(struct core *core, const struct target_group *tg, const struct target *x)
{
    const bool is_draining = x->state == TARGET_draining;
    struct effect *e =
        core_emit(core, is_draining ? EFFECT_TARGET_DEREGISTER : EFFECT_TARGET_REGISTER);
    struct ef_target_change *c = is_draining ? &e->target_deregister : &e->target_register;

    text_copy(c->target_group_arn, ARN_SIZE, str_of(tg->arn));
    text_copy(c->target_id, ADDRESS_SIZE, str_of(x->id));
    c->port = x->port;
    c->registration = x->registration;
}

static struct task *
owner_of(const struct core *core, const char *group, const char *id, int port)
{
    char key[ARN_SIZE + ADDRESS_SIZE + 16];

    target_key(key, group, id, port);
    return strmap_get(&core->index->target_owners, key);
}

static void
set_target_owner(struct core *core, const char *group, const char *id, int port, struct task *t)
{
    char key[ARN_SIZE + ADDRESS_SIZE + 16];

    target_key(key, group, id, port);
    if (t == NULL)
        strmap_remove(&core->index->target_owners, key);
    else
        strmap_put(&core->index->target_owners, key, t);
}

static struct task_target *
task_target_of(struct task *t, const char *group, const char *id, int port)
{
    for (int i = 0; i < t->target_count; i++) {
        struct task_target *tt = &t->targets[i];
        if (tt->is_registered && tt->port == port && strcmp(tt->target_id, id) == 0 &&
            strcmp(tt->target_group_arn, group) == 0)
            return tt;
    }
    return NULL;
}

static void
set_target_state(struct target *x, enum target_state state, const char *reason,
                 const char *description)
{
    x->state = state;
    snprintf(x->reason, sizeof(x->reason), "%s", reason);
    snprintf(x->description, sizeof(x->description), "%s", description);
}

static void
begin_registration(struct target_group *tg, struct target *x)
{
    x->registration = ++tg->registrations;
    x->draining_since_ms = 0;
    set_target_state(x, TARGET_initial, "Elb.RegistrationInProgress",
                     "Target registration is in progress");
}

static struct target *
add_target(struct core *core, struct target_group *tg, const char *id, int port)
{
    struct target *x = mem_new(sizeof(*x));
    struct target **end = &tg->targets;

    text_copy(x->id, sizeof(x->id), str_of(id));
    x->port = port;
    x->registered_at_ms = core->now_ms;
    begin_registration(tg, x);
    while (*end != NULL)
        end = &(*end)->next;
    *end = x;
    tg->target_count++;
    return x;
}

static void
remove_target(struct target_group *tg, struct target *x)
{
    struct target **at = &tg->targets;

    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    tg->target_count--;
    free(x);
}

static void
start_draining(struct core *core, struct target_group *tg, struct target *x)
{
    if (x->draining_since_ms == 0)
        x->draining_since_ms = core->now_ms;
    set_target_state(x, TARGET_draining, "Target.DeregistrationInProgress",
                     "Target deregistration is in progress");
    core_touch_group(core, tg);
    emit_target(core, tg, x);
}

/* ---- of one task ---- */

static bool
bound_port(const struct task *t, const struct service_load_balancer *lb, int *port_out)
{
    for (int i = 0; i < t->container_count; i++) {
        const struct task_container *c = &t->containers[i];
        if (strcmp(c->name, lb->container_name) != 0)
            continue;
        for (int k = 0; k < c->binding_count; k++) {
            if (c->bindings[k].container_port == lb->container_port && !c->bindings[k].is_udp &&
                c->bindings[k].host_port > 0) {
                *port_out = c->bindings[k].host_port;
                return true;
            }
        }
    }
    return false;
}

/* Where the balancer finds the container (ecs.md 5.10). */
static bool
locate(const struct core *core, const struct task *t, const struct service_load_balancer *lb,
       char id_out[static ADDRESS_SIZE], int *port_out)
{
    const struct container_instance *instance;

    if (t->definition->network_mode == NETWORK_awsvpc) {
        *port_out = lb->container_port;
        return t->address[0] != '\0' && text_copy(id_out, ADDRESS_SIZE, str_of(t->address));
    }
    instance = core_instance(core, t->instance_arn);
    if (instance == NULL)
        return false;
    if (!bound_port(t, lb, port_out)) {
        if (t->definition->network_mode != NETWORK_host)
            return false;
        *port_out = lb->container_port; /* the process binds the host's port itself */
    }
    return text_copy(id_out, ADDRESS_SIZE, str_of(instance->id));
}

/* Does it answer somewhere else than where it is registered?  A container that was started again in place
 * may have got another host port or address. */
static bool
has_moved(const struct core *core, const struct task *t, const struct service_load_balancer *lb,
          const struct task_target *tt)
{
    char id[ADDRESS_SIZE];
    int port;

    for (int i = 0; i < t->container_count; i++) {
        const struct task_container *c = &t->containers[i];
        for (int k = 0; strcmp(c->name, lb->container_name) == 0 && k < c->binding_count; k++)
            if (c->bindings[k].container_port == lb->container_port &&
                c->bindings[k].host_port == tt->port)
                return false; /* one of several that lead to the same port */
    }
    return locate(core, t, lb, id, &port) && (port != tt->port || strcmp(id, tt->target_id) != 0);
}

/* Registers one; false if it has to wait. */
static bool
register_one(struct core *core, struct task *t, int at)
{
    struct task_target *tt = &t->targets[at];
    struct target_group *tg = core_target_group(core, tt->target_group_arn);
    const struct revision *r = t->deployment->revision;
    char complaint[REASON_SIZE];
    char id[ADDRESS_SIZE];
    struct target *x;
    int port;

    assert(at < r->load_balancer_count);
    if (tg == NULL) {
        snprintf(complaint, sizeof(complaint),
                 "(service %.255s) failed to register targets in (target-group %.600s) with (error "
                 "target group not found)",
                 t->service_name, tt->target_group_arn);
        said_complaint(core, t->service, complaint);
        return false;
    }
    if (!locate(core, t, &r->load_balancers[at], id, &port))
        return false;
    if (owner_of(core, tg->arn, id, port) != NULL)
        return false; /* another task's, not yet drained */
    x = target_group_find(tg, id, port);
    if (x != NULL && x->state == TARGET_draining)
        return false;
    if (x == NULL)
        x = add_target(core, tg, id, port);
    text_copy(tt->target_id, sizeof(tt->target_id), str_of(id));
    tt->port = port;
    tt->is_registered = true;
    tt->is_draining = tt->was_healthy = false;
    tt->state = x->state;
    set_target_owner(core, tg->arn, id, port, t);
    emit_target(core, tg, x);
    core_touch_group(core, tg);
    core_touch_task(core, t);
    said_registered(core, t, tg->arn);
    return true;
}

static void
deregister_one(struct core *core, struct task *t, struct task_target *tt)
{
    struct target_group *tg = core_target_group(core, tt->target_group_arn);
    struct target *x = tg == NULL ? NULL : target_group_find(tg, tt->target_id, tt->port);

    core_touch_task(core, t);
    if (x == NULL) { /* the group is gone, so nothing leads here */
        tt->is_registered = false;
        set_target_owner(core, tt->target_group_arn, tt->target_id, tt->port, NULL);
        return;
    }
    tt->is_draining = true;
    tt->state = TARGET_draining;
    start_draining(core, tg, x);
    said_deregistered(core, t, tg->arn);
}

enum targets_progress
targets_register(struct core *core, struct task *t)
{
    enum targets_progress progress = TARGETS_DECIDED;

    for (int i = 0; i < t->target_count; i++) {
        struct task_target *tt = &t->targets[i];
        if (tt->is_registered && !tt->is_draining &&
            has_moved(core, t, &t->deployment->revision->load_balancers[i], tt))
            deregister_one(core, t, tt); /* registered anew once it is drained */
        if (!t->targets[i].is_registered && !register_one(core, t, i))
            progress = TARGETS_MISSING;
        else if (t->targets[i].state == TARGET_initial && progress == TARGETS_DECIDED)
            progress = TARGETS_INITIAL;
    }
    return progress;
}

bool
targets_are_registered(const struct task *t)
{
    for (int i = 0; i < t->target_count; i++) {
        if (t->targets[i].is_registered)
            return true;
    }
    return false;
}

bool
targets_are_healthy(const struct core *core, const struct task *t)
{
    for (int i = 0; i < t->target_count; i++) {
        const struct task_target *tt = &t->targets[i];
        if (!tt->is_registered || tt->is_draining)
            return false;
        if (tt->state != TARGET_healthy && tt->state != TARGET_unavailable)
            return false;
    }
    return true;
}

bool
targets_complain(struct core *core, struct task *t, char reason[static REASON_SIZE])
{
    for (int i = 0; i < t->target_count; i++) {
        const struct task_target *tt = &t->targets[i];
        const struct target_group *tg = core_target_group(core, tt->target_group_arn);
        const struct target *x;
        const bool has_address = t->definition->network_mode == NETWORK_awsvpc;
        if (!tt->is_registered || tt->state != TARGET_unhealthy || tg == NULL)
            continue;
        x = target_group_find(tg, tt->target_id, tt->port);
        said_event(core, t->service,
                   "(service %s) (%s %s) (port %d) is unhealthy in (target-group %s) due to "
                   "(reason %s)",
                   t->service_name, has_address ? "task" : "instance",
                   has_address ? t->id : tt->target_id, tt->port, tg->arn,
                   x == NULL || x->description[0] == '\0' ? "Health checks failed"
                                                          : x->description);
        snprintf(reason, REASON_SIZE, "Task failed ELB health checks in (target-group %s)",
                 tg->arn);
        return true;
    }
    return false;
}

int64_t
targets_drain_deadline_ms(const struct core *core, const struct task *t)
{
    int delay_s = 0;

    for (int i = 0; i < t->target_count; i++) {
        const struct target_group *tg = core_target_group(core, t->targets[i].target_group_arn);
        if (tg != NULL && t->targets[i].is_registered && tg->deregistration_delay_s > delay_s)
            delay_s = tg->deregistration_delay_s;
    }
    return core->now_ms + (int64_t)delay_s * 1000 + DRAIN_MARGIN_MS;
}

void
targets_deregister(struct core *core, struct task *t)
{
    t->drain_deadline_ms = targets_drain_deadline_ms(core, t);
    for (int i = 0; i < t->target_count; i++) {
        struct task_target *tt = &t->targets[i];
        const struct target_group *tg = core_target_group(core, tt->target_group_arn);
        const struct target *x;
        if (!tt->is_registered || tt->is_draining)
            continue;
        x = tg == NULL ? NULL : target_group_find(tg, tt->target_id, tt->port);
        if (x != NULL)
            evidence_target(t, tt, x);
        deregister_one(core, t, tt);
    }
}

void
targets_ask_again(struct core *core, struct task *t)
{
    for (int i = 0; i < t->target_count; i++) {
        const struct task_target *tt = &t->targets[i];
        const struct target_group *tg = core_target_group(core, tt->target_group_arn);
        const struct target *x = !tt->is_registered || tg == NULL
                                     ? NULL
                                     : target_group_find(tg, tt->target_id, tt->port);
        if (x != NULL)
            emit_target(core, tg, x);
    }
}

static void
drained(struct core *core, const char *group_arn, const char *id, int port)
{
    struct target_group *tg = core_target_group(core, group_arn);
    struct target *x = tg == NULL ? NULL : target_group_find(tg, id, port);
    struct task *t = owner_of(core, group_arn, id, port);

    if (x == NULL || x->state != TARGET_draining)
        return;
    remove_target(tg, x);
    core_touch_group(core, tg);
    if (t != NULL) {
        struct task_target *tt = task_target_of(t, group_arn, id, port);
        assert(tt != NULL && tt->is_draining);
        tt->is_registered = tt->is_draining = false;
        tt->state = TARGET_unused;
        set_target_owner(core, group_arn, id, port, NULL);
        core_touch_task(core, t);
        core_queue(core, t->service);
    }
}

void
targets_give_up(struct core *core, struct task *t)
{
    for (int i = 0; i < t->target_count; i++) {
        struct task_target *tt = &t->targets[i];
        if (tt->is_registered)
            drained(core, tt->target_group_arn, tt->target_id, tt->port);
        tt->is_registered = tt->is_draining = false;
    }
}

/* ---- of a group ---- */

/* The target that a report is about; NULL if it has gone, or its (id, port) is another one's now. */
static struct target *
reported_target(const struct core *core, const char *group_arn, const char *id, int port,
                int64_t registration)
{
    const struct target_group *tg = core_target_group(core, group_arn);
    struct target *x = tg == NULL ? NULL : target_group_find(tg, id, port);

    return x != NULL && x->registration == registration ? x : NULL;
}

void
target_drained(struct core *core, const struct ev_target_drained *ev)
{
    if (reported_target(core, ev->target_group_arn, ev->target_id, ev->port, ev->registration) !=
        NULL)
        drained(core, ev->target_group_arn, ev->target_id, ev->port);
}

void
target_health_reported(struct core *core, const struct ev_target_health *ev)
{
    struct target *x = reported_target(core, ev->target_group_arn, ev->target_id, ev->port,
                                       ev->registration);
    const char *reason = ev->reason == NULL ? "" : ev->reason;
    const char *description = ev->description == NULL ? "" : ev->description;
    struct task *t;

    if (x == NULL || x->state == TARGET_draining || ev->state == TARGET_draining)
        return;
    if (x->state == ev->state && strcmp(x->reason, reason) == 0 &&
        strcmp(x->description, description) == 0)
        return;
    set_target_state(x, ev->state, reason, description);
    core_touch_group(core, core_target_group(core, ev->target_group_arn));
    t = owner_of(core, ev->target_group_arn, ev->target_id, ev->port);
    if (t != NULL) {
        struct task_target *tt = task_target_of(t, ev->target_group_arn, ev->target_id, ev->port);
        assert(tt != NULL);
        if (tt->state != ev->state) {
            tt->state = ev->state;
            tt->was_healthy |= ev->state == TARGET_healthy;
            core_touch_task(core, t);
        }
        core_queue(core, t->service);
    }
}

static void
register_by_hand(struct core *core, struct target_group *tg, const struct target *asked)
{
    const char *id = asked->id;
    const int port = asked->port;
    struct target *x = target_group_find(tg, id, port);
    struct task *t = owner_of(core, tg->arn, id, port);

    if (x != NULL && x->state != TARGET_draining)
        return;
    if (t != NULL && !task_is_wanted(t))
        return; /* it is being stopped: nobody may be sent to it again */
    if (x == NULL) {
        x = add_target(core, tg, id, port);
    } else { /* a draining one becomes active again (alb.md A1) */
        begin_registration(tg, x);
        if (t != NULL) {
            struct task_target *tt = task_target_of(t, tg->arn, id, port);
            assert(tt != NULL);
            tt->is_draining = false;
            tt->state = TARGET_initial;
            core_touch_task(core, t);
        }
    }
    text_copy(x->zone, sizeof(x->zone), str_of(asked->zone));
    core_touch_group(core, tg);
    emit_target(core, tg, x);
}

/* Nobody but targets_advance() looks after a draining target without a task. */
static void
watch_group(struct core *core, struct target_group *tg)
{
    core_queue(core, /* service= */ NULL); /* its deadline */
    if (tg->is_draining)
        return;
    tg->is_draining = true;
    tg->next_draining = core->index->draining_groups;
    core->index->draining_groups = tg;
}

static void
unwatch_group(struct core *core, struct target_group *tg)
{
    struct target_group **at = &core->index->draining_groups;

    if (!tg->is_draining)
        return;
    while (*at != tg)
        at = &(*at)->next_draining;
    *at = tg->next_draining;
    tg->is_draining = false;
}

static void
deregister_by_hand(struct core *core, struct target_group *tg, struct target *x)
{
    struct task *t = owner_of(core, tg->arn, x->id, x->port);

    if (x->state == TARGET_draining)
        return;
    if (t != NULL) {
        struct task_target *tt = task_target_of(t, tg->arn, x->id, x->port);
        assert(tt != NULL);
        tt->is_draining = true;
        tt->state = TARGET_draining;
        core_touch_task(core, t);
        core_queue(core, t->service);
    }
    start_draining(core, tg, x);
    if (t == NULL)
        watch_group(core, tg);
}

void
targets_change(struct core *core, const struct ev_targets_change *ev)
{
    struct target_group *tg = core_target_group(core, ev->target_group_arn);

    assert(tg != NULL);
    for (int i = 0; i < ev->target_count; i++) {
        const struct target *asked = &ev->targets[i];
        if (ev->registers) {
            register_by_hand(core, tg, asked);
            continue;
        }
        for (struct target *x = tg->targets; x != NULL; x = x->next) {
            if (strcmp(x->id, asked->id) == 0 && (asked->port == 0 || asked->port == x->port))
                deregister_by_hand(core, tg, x);
        }
    }
}

void
targets_replace_group(struct core *core, struct target_group *before, struct target_group *tg)
{
    struct target *copied = tg->targets;

    /* Targets come by TARGETS_CHANGE only. */
    tg->targets = before->targets;
    tg->target_count = before->target_count;
    tg->registrations = before->registrations;
    before->targets = copied;
    tg->is_draining = false;
    if (before->is_draining) {
        unwatch_group(core, before);
        watch_group(core, tg);
    }
}

void
targets_forget_group(struct core *core, struct target_group *tg)
{
    unwatch_group(core, tg);
    for (struct target *x = tg->targets; x != NULL; x = x->next) {
        struct task *t = owner_of(core, tg->arn, x->id, x->port);
        struct task_target *tt = t == NULL ? NULL : task_target_of(t, tg->arn, x->id, x->port);
        if (tt == NULL)
            continue;
        tt->is_registered = tt->is_draining = false;
        tt->state = TARGET_unused;
        set_target_owner(core, tg->arn, x->id, x->port, NULL);
        core_touch_task(core, t);
        core_queue(core, t->service);
    }
}

void
targets_resume(struct core *core)
{
    for (struct task *t = core->tasks; t != NULL; t = t->next) {
        for (int i = 0; i < t->target_count; i++) {
            const struct task_target *tt = &t->targets[i];
            if (tt->is_registered)
                set_target_owner(core, tt->target_group_arn, tt->target_id, tt->port, t);
        }
    }
    for (struct target_group *tg = core->target_groups; tg != NULL; tg = tg->next) {
        for (struct target *x = tg->targets; x != NULL; x = x->next) {
            if (owner_of(core, tg->arn, x->id, x->port) != NULL)
                continue; /* its task asks */
            if (x->state == TARGET_draining) {
                x->draining_since_ms = core->now_ms;
                core_touch_group(core, tg);
                watch_group(core, tg);
            }
            emit_target(core, tg, x);
        }
    }
}

void
targets_drain_anew(struct core *core)
{
    for (struct task *t = core->tasks; t != NULL; t = t->next) {
        if (t->is_settled || !targets_are_registered(t) || task_is_wanted(t))
            continue;
        t->drain_deadline_ms = targets_drain_deadline_ms(core, t);
        core_touch_task(core, t);
        core_queue(core, t->service);
    }
    for (struct target_group *tg = core->target_groups; tg != NULL; tg = tg->next) {
        for (struct target *x = tg->targets; x != NULL; x = x->next) {
            if (x->state != TARGET_draining)
                continue;
            x->draining_since_ms = core->now_ms;
            core_touch_group(core, tg);
        }
    }
    core_queue(core, /* service= */ NULL);
}

static int64_t
drain_end_ms(const struct target_group *tg, const struct target *x)
{
    return x->draining_since_ms + (int64_t)tg->deregistration_delay_s * 1000 + DRAIN_MARGIN_MS;
}

static bool
drains_alone(const struct core *core, const struct target_group *tg, const struct target *x)
{
    return x->state == TARGET_draining && owner_of(core, tg->arn, x->id, x->port) == NULL;
}

void
targets_advance(struct core *core)
{
    for (struct target_group *tg = core->index->draining_groups, *after; tg != NULL; tg = after) {
        bool any = false;
        after = tg->next_draining;
        for (struct target *x = tg->targets, *next; x != NULL; x = next) {
            next = x->next;
            if (!drains_alone(core, tg, x))
                continue;
            if (core->now_ms >= drain_end_ms(tg, x))
                drained(core, tg->arn, x->id, x->port);
            else
                any = true;
        }
        if (!any)
            unwatch_group(core, tg);
    }
}

int64_t
targets_deadline_ms(const struct core *core)
{
    int64_t due = INT64_MAX;

    for (const struct target_group *tg = core->index->draining_groups; tg != NULL; tg = tg->next_draining) {
        for (const struct target *x = tg->targets; x != NULL; x = x->next) {
            if (drains_alone(core, tg, x))
                due = earlier(due, drain_end_ms(tg, x));
        }
    }
    return due;
}
