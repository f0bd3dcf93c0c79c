/* SPDX-License-Identifier: MIT */
/* crowd_hands.c - containers that really run and targets that really take requests, whatever naru believes. */
#include "crowd.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define JOB_S 120 /* a stand-alone task takes so long at most */

/* ---- reports ---- */

/* What an agent says of its machine comes at once and in order; so does what is said of one target: each has one
 * thread that speaks. */
static void
send_of_target(struct crowd *w, struct crowd_task *t, struct report *r)
{
    const bool is_faulty = r->event.type != EVENT_INSTANCE_REPORT;
    int64_t at_ms = w->now_ms + (is_faulty ? between(w, 0, 5) : 0);

    if (is_faulty && chance(w, w->faults.lost)) {
        report_free(r);
        return;
    }
    if (is_faulty && chance(w, w->faults.late))
        at_ms += between(w, 10, 20000);
    if (t != NULL && at_ms < t->target.last_report_ms)
        at_ms = t->target.last_report_ms;
    if (t != NULL)
        t->target.last_report_ms = at_ms;
    happen(w, at_ms, DELIVER, 0)->report = r;
}

void
crowd_send(struct crowd *w, struct report *r)
{
    send_of_target(w, NULL, r);
}

static struct report *
task_report(struct crowd *w, const struct crowd_task *t)
{
    struct report *r = report_of_task(w->epoch, t->id, t->state, t->exit_code, t->port, t->address);
    struct ev_task_state *ev = &r->event.task_state;

    ev->is_infrastructure = t->is_infrastructure;
    ev->is_environment = t->image_is_gone;
    if ((t->behaviour == CROWD_BAD_IMAGE || t->image_is_gone) && ev->status == TASK_STOPPED)
        ev->reason = "CannotPullContainerError: manifest unknown";
    return r;
}

static void
send_task(struct crowd *w, const struct crowd_task *t)
{
    if (chance(w, w->faults.repeated)) /* what is so now is told once more, much later */
        happen(w, w->now_ms + between(w, 0, 30000), DELIVER, 0)->report = task_report(w, t);
    crowd_send(w, task_report(w, t));
}

static void
send_health(struct crowd *w, struct crowd_task *t)
{
    const struct ev_target_health health = {
        .target_group_arn = w->services[t->service].groups[t->target.group], .target_id = t->target.id,
        .port = t->target.port, .registration = t->target.registration, .state = t->target.state,
        .reason = t->target.state == TARGET_unhealthy ? "Target.Timeout" : "", .description = ""};

    send_of_target(w, t, report_of_health(w->epoch, &health));
}

/* ---- Docker ---- */

static void
next_in(struct crowd *w, struct crowd_task *t, int64_t in_ms)
{
    struct happening *h;

    if (chance(w, w->faults.hangs))
        in_ms += between(w, 30, 900) * 1000;
    h = happen(w, w->now_ms + in_ms, DOCKER, 0);
    h->task = t;
    h->generation = ++t->generation;
}

static void
verdict_in(struct crowd *w, struct crowd_task *t, int64_t in_ms)
{
    struct happening *h = happen(w, w->now_ms + in_ms, PROBE, 0);

    h->task = t;
    h->generation = ++t->target.generation;
}

static void
is_over(struct crowd *w, struct crowd_task *t, int code)
{
    t->state = EXITED;
    t->exit_code = code;
    t->generation++;
    crowd_tell(w, t->service, "task %.8s exits with %d", t->id, code);
    if (t->target.is_registered && !t->target.is_draining)
        verdict_in(w, t, between(w, 5000, 15000));
}

static void
exits(struct crowd *w, struct crowd_task *t, int code)
{
    is_over(w, t, code);
    send_task(w, t);
}

static void
target_name(char out[static 96], const char *id, int port)
{
    snprintf(out, 96, "%s:%d", id, port);
}

/* It can be reached from now on, by a name that nobody else has. */
static void
comes_up(struct crowd *w, struct crowd_task *t)
{
    char name[96];

    t->state = UP;
    if (t->host < 0) {
        snprintf(t->address, sizeof(t->address), "10.%d.%d.%d", w->next_address >> 16, w->next_address >> 8 & 255,
                 w->next_address & 255);
        w->next_address++;
        target_name(name, t->address, 80);
    } else {
        t->port = t->fixed_port != 0 ? t->fixed_port : w->hosts[t->host].next_port++;
        target_name(name, w->hosts[t->host].instance, t->port);
    }
    strmap_put(&w->tasks_by_target, name, t);
    crowd_tell(w, t->service, "task %.8s is up at %s", t->id, name);
    send_task(w, t);
    if (t->hook_id[0] != '\0') { /* it does its work and ends, well or not, or never */
        if (!chance(w, 500))
            next_in(w, t, between(w, 100, 90000));
    } else if (t->service < 0)
        next_in(w, t, between(w, 1, JOB_S) * 1000);
    else if (t->behaviour == CROWD_CRASHES_AT_START)
        next_in(w, t, w->acts_left > 0 ? between(w, 10, 2000) : between(w, 2000, 60000));
    else if (t->behaviour == CROWD_CRASHES_LATER)
        next_in(w, t, between(w, 5, chance(w, 5000) ? 60 : 300) * 1000);
}

void
crowd_docker_happened(struct crowd *w, struct crowd_task *t)
{
    const int64_t back_ms = t->host < 0 ? 0 : w->hosts[t->host].back_ms;

    if (back_ms > w->now_ms) { /* nobody is there to do it */
        next_in(w, t, back_ms - w->now_ms + between(w, 1, 5000));
    } else if (t->state == PULLING) {
        if (t->is_signalled)
            exits(w, t, 137);
        else if (t->behaviour == CROWD_BAD_IMAGE ||
                 (t->image_is_gone = chance(w, w->faults.image_gone)))
            exits(w, t, 0);
        else
            comes_up(w, t);
    } else if (t->state == EXITED) {
        send_task(w, t); /* asked while the machine was off */
    } else if (t->state == UP) {
        if (t->is_signalled)
            exits(w, t, 143);
        else if (t->hook_id[0] != '\0')
            exits(w, t, t->behaviour == CROWD_GOOD || t->behaviour == CROWD_SLOW ? 0 : 1);
        else if (t->service < 0)
            exits(w, t, 0);
        else if (t->behaviour == CROWD_CRASHES_AT_START)
            exits(w, t, 1);
        else if (w->operators_end_ms == 0) /* afterwards it behaves */
            exits(w, t, 139);
    }
}

static bool
is_off(const struct crowd *w, const struct crowd_task *t)
{
    return t->host >= 0 && w->hosts[t->host].back_ms != 0;
}

static void
start(struct crowd *w, struct crowd_task *t, bool only_adopt)
{
    if (t->state == REMOVED)
        crowd_fail(w, t->service, "task %.8s was forgotten and is started again", t->id);
    if (is_off(w, t))
        return; /* naru asks again when the machine is back */
    if (t->state != NOT_CREATED) {
        send_task(w, t);
    } else if (only_adopt || chance(w, w->faults.refuses)) {
        t->is_infrastructure = true;
        exits(w, t, 0);
    } else {
        t->state = PULLING;
        next_in(w, t, t->behaviour == CROWD_SLOW ? between(w, 1000, 60000) : between(w, 50, 3000));
    }
}

/* Promise 1. */
static void
judge_signal(struct crowd *w, const struct crowd_task *t)
{
    if (t->target.is_registered && !t->target.is_draining)
        crowd_fail(w, t->service, "promise 1: task %.8s is signalled while its target is registered", t->id);
    else if (t->target.is_registered && t->target.has_requests)
        crowd_fail(w, t->service, "promise 1: task %.8s is signalled with requests in flight", t->id);
}

static void
stop(struct crowd *w, struct crowd_task *t)
{
    if (t->state == UP && !t->is_signalled)
        judge_signal(w, t);
    if (t->state == NOT_CREATED && !is_off(w, t)) {
        exits(w, t, 0);
    } else if (t->state == UP || t->state == PULLING) {
        if (t->is_signalled)
            return; /* under way */
        t->is_signalled = true;
        crowd_tell(w, t->service, "task %.8s is signalled", t->id);
        next_in(w, t, chance(w, 500) ? 30000 : between(w, 10, 1500));
    } else if (!is_off(w, t)) {
        send_task(w, t);
    } else {
        next_in(w, t, 0); /* when the machine is back */
    }
}

static void
forget(struct crowd *w, const char *id)
{
    struct crowd_task *t = strmap_get(&w->tasks_by_id, id);

    if (t == NULL)
        return;
    if (t->state == UP || t->state == PULLING)
        crowd_fail(w, t->service, "task %.8s is removed while it runs", t->id);
    t->state = REMOVED;
    t->generation++;
}

/* `docker rm -f` by somebody, or a bug of Docker: gone, and nobody says so. */
void
crowd_container_lost(struct crowd *w)
{
    struct crowd_task *t = w->task_count == 0 ? NULL : w->tasks[between(w, 0, w->task_count - 1)];

    if (t == NULL || t->state != UP || t->is_signalled)
        return;
    t->is_infrastructure = true;
    is_over(w, t, 137);
}

/* Either the machine is off, with all that ran there, or only its agent. */
void
crowd_host_dies(struct crowd *w, int host)
{
    struct crowd_host *h = &w->hosts[host];
    const bool all = chance(w, 7000);

    if (h->back_ms != 0)
        return;
    crowd_tell(w, -1, "%s dies, its %s", h->name, all ? "tasks too" : "agent only");
    w->sum.dead_hosts++;
    h->back_ms = w->now_ms + between(w, 5, 600) * 1000;
    for (struct crowd_task *t = h->tasks; all && t != NULL; t = t->next_here) {
        if (t->state != UP && t->state != PULLING)
            continue;
        t->is_infrastructure = true;
        is_over(w, t, 255);
    }
    crowd_report_host(w, host);
    happen(w, h->back_ms, DOCKER_BACK, host);
}

void
crowd_host_returns(struct crowd *w, int host)
{
    w->hosts[host].back_ms = 0;
    crowd_tell(w, -1, "%s returns", w->hosts[host].name);
    crowd_report_host(w, host);
}

/* ---- the balancer ---- */

static struct crowd_task *
task_of_target(const struct crowd *w, const struct ef_target_change *c)
{
    char name[96];

    target_name(name, c->target_id, c->port);
    return strmap_get(&w->tasks_by_target, name);
}

static void
register_target(struct crowd *w, const struct ef_target_change *c)
{
    struct crowd_task *t = task_of_target(w, c);
    const struct crowd_service *s = strmap_get(&w->groups, c->target_group_arn);

    if (t == NULL || s == NULL || t->service != s - w->services) {
        crowd_fail(w, t == NULL ? -1 : t->service, "a target is registered that is no task's of the group: %s:%d",
                   c->target_id, c->port);
        return;
    }
    if (t->target.is_registered && t->target.is_draining) {
        crowd_fail(w, t->service, "target of task %.8s goes back into rotation while it drains", t->id);
    } else if (t->target.is_registered) {
        send_health(w, t); /* asked again: says what it knows */
    } else {
        t->target.group = strcmp(s->groups[1], c->target_group_arn) == 0;
        t->target.is_registered = true;
        t->target.registration = c->registration;
        t->target.port = c->port;
        t->target.last_report_ms = 0;
        t->target.state = t->book.told = TARGET_initial;
        text_copy(t->target.id, ADDRESS_SIZE, str_of(c->target_id));
    }
    verdict_in(w, t, between(w, 500, 20000));
}

/* naru checks the health: while it is down nobody does, and it asks for all of them when it is back. */
void
crowd_verdict(struct crowd *w, struct crowd_task *t)
{
    const bool answers = t->state == UP && t->behaviour != CROWD_UNHEALTHY;
    const enum target_state state = answers ? TARGET_healthy : TARGET_unhealthy;

    if (!t->target.is_registered || t->target.is_draining || w->core == NULL || state == t->target.state)
        return;
    t->target.state = state;
    crowd_tell(w, t->service, "target of task %.8s is %s", t->id, target_state_name(state));
    send_health(w, t);
}

static void
deregister_target(struct crowd *w, const struct ef_target_change *c)
{
    struct crowd_task *t = task_of_target(w, c);
    struct happening *h;

    if (t == NULL || !t->target.is_registered) {
        send_of_target(w, t, report_of_drained(w->epoch, c));
        return;
    }
    if (t->target.is_draining)
        return; /* under way */
    t->target.is_draining = true;
    t->target.has_requests = t->state == UP && chance(w, 5000);
    t->target.generation++;
    crowd_tell(w, t->service, "target of task %.8s drains", t->id);
    h = happen(w, w->now_ms + (t->target.has_requests ? between(w, 0, w->services[t->service].drain_s * 1000)
                                                      : between(w, 0, 3)), DRAIN_END, 0);
    h->task = t;
    h->generation = t->target.generation;
}

void
crowd_drain_ended(struct crowd *w, struct crowd_task *t)
{
    struct ef_target_change c = {.port = t->target.port, .registration = t->target.registration};

    t->target.is_registered = t->target.is_draining = t->target.has_requests = false;
    if (w->core == NULL)
        return; /* nobody to tell; it asks again */
    text_copy(c.target_group_arn, ARN_SIZE, str_of(w->services[t->service].groups[t->target.group]));
    text_copy(c.target_id, ADDRESS_SIZE, str_of(t->target.id));
    send_of_target(w, t, report_of_drained(w->epoch, &c));
}

/* What was in flight there is lost with it; the rotation comes back from its state file. */
void
crowd_haproxy_restarts(struct crowd *w)
{
    crowd_tell(w, -1, "haproxy restarts");
    for (int i = 0; i < w->task_count; i++) {
        struct crowd_task *t = w->tasks[i];
        struct happening *h;
        if (!t->target.is_registered || !t->target.is_draining)
            continue;
        t->target.has_requests = false;
        h = happen(w, w->now_ms, DRAIN_END, 0);
        h->task = t;
        h->generation = ++t->target.generation;
    }
}

void
crowd_weights_ordered(struct crowd *w, int service)
{
    happen(w, w->now_ms + (chance(w, 500) ? between(w, 1000, 30000) : between(w, 0, 50)), WEIGHTS,
           service)->generation = w->epoch;
}

/* The balancer works from whole views, so what is in force is what is wanted by now. */
void
crowd_weights_set(struct crowd *w, int service)
{
    struct crowd_service *s = &w->services[service];
    const struct listener *l = core_listener(w->core, s->listener);

    if (w->store_is_away) { /* its view is of what is committed */
        happen(w, w->now_ms + 1000, WEIGHTS, service)->generation = w->epoch;
        return;
    }
    for (int g = 0; g < 2; g++) {
        s->weights[g] = 0;
        (void)listener_forwards_to(l, s->groups[g], &s->weights[g]);
    }
    crowd_rules_set(w, s);
    crowd_tell(w, service, "listener leads %d/%d, %d rules", s->weights[0], s->weights[1], s->served_rules.count);
    if (l->in_force >= l->generation)
        return;
    crowd_send(w, report_of_listener(w->epoch, l));
}

/* ---- what is asked of them ---- */

static void
resolve_image(struct crowd *w, const struct ef_image_resolve *e)
{
    const bool fails = chance(w, w->faults.image_fails);

    crowd_send(w, report_of_image(w->epoch, e, fails ? 0 : ++w->image_version));
}

static void
tell_of_hook(struct crowd *w, const char *hook_id, const char *what)
{
    const struct service *now = service_of_hook(w->core, hook_id);
    const struct crowd_service *s = now == NULL ? NULL : crowd_service_of(w, now->arn);

    if (s != NULL)
        crowd_tell(w, (int)(s - w->services), "hook %.8s %s", hook_id, what);
}

static void
perform(struct crowd *w, const struct effect *e)
{
    const struct crowd_service *s;

    switch (e->type) {
    case EFFECT_TASK_START:
        start(w, crowd_task_by_arn(w, e->task_start.task_arn), e->task_start.only_adopt);
        break;
    case EFFECT_TASK_STOP:
        stop(w, crowd_task_by_arn(w, e->task_stop.task_arn));
        break;
    case EFFECT_TASK_FORGET:
        forget(w, e->task_forget.task_id);
        break;
    case EFFECT_TARGET_REGISTER:
        register_target(w, &e->target_register);
        break;
    case EFFECT_TARGET_DEREGISTER:
        deregister_target(w, &e->target_deregister);
        break;
    case EFFECT_IMAGE_RESOLVE:
        resolve_image(w, &e->image_resolve);
        break;
    case EFFECT_BALANCER_CONFIG:
        s = strmap_get(&w->services_by_listener, e->balancer_config.arn);
        if (s == NULL)
            s = crowd_service_of_rule(w, e->balancer_config.arn);
        if (s != NULL)
            crowd_weights_ordered(w, (int)(s - w->services));
        break;
    case EFFECT_HOOK_CALL:
        tell_of_hook(w, e->hook_call.hook_id, "is called");
        w->sum.hook_calls++;
        hook_is_called(&w->fate, w->now_ms, w->epoch, &e->hook_call);
        break;
    case EFFECT_HOOK_CANCEL:
        tell_of_hook(w, e->hook_cancel.hook_id, "is called off");
        break;
    case EFFECT_IMAGE_PREFETCH: /* a hint: whether it is followed changes nothing here */
    case EFFECT_PERSIST:
        break;
    }
}

void
crowd_perform(struct crowd *w)
{
    for (int i = 0; i < w->effects.count; i++)
        perform(w, &w->effects.at[i]);
}
