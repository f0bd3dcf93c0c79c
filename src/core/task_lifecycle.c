/* SPDX-License-Identifier: MIT */
#include "core/task_lifecycle.h"
#include <assert.h>
#include <stdio.h>
#include "base/hash.h"
#include "core/evidence.h"
#include "core/gpus.h"
#include "core/hearing.h"
#include "core/hooks.h"
#include "core/placement.h"
#include "core/rollout.h"
#include "core/said.h"
#include "core/targets.h"
#include "model/arn.h"

/* How long to wait for a report before the hands are asked again.  A second TASK_START of a pull
 * under way costs the agent a look-up, so it may come often; a running task is only looked after.
 */
#define ASK_PENDING_MS 30000
#define ASK_RUNNING_MS 300000
#define ASK_TOGETHER_MS 10000 /* of those that run: an agent looks at each, and all at once are many */
#define ASK_INITIAL_MS 30000 /* running, its targets not decided yet */
#define ASK_DRAINING_MS 10000
#define ASK_UNREGISTERED_MS 5000
#define STOP_MARGIN_MS 30000 /* beyond the stop timeouts of its containers */

static bool
is_starting(const struct task *t)
{
    return t->last_status < TASK_RUNNING;
}

/* ---- birth ---- */

static void
name_containers(struct core *core, struct task *t, const struct revision *r)
{
    const struct task_definition *td = t->definition;

    for (int i = 0; i < td->container_count; i++) {
        struct task_container *c = &t->containers[i];
        const char *digest = "";
        text_copy(c->name, sizeof(c->name), str_of(td->containers[i].name));
        rng_uuid(&core->rng, c->id);
        c->last_status = TASK_PENDING;
        for (int k = 0; r != NULL && k < r->image_count; k++) {
            if (strcmp(r->images[k].container, c->name) == 0)
                digest = r->images[k].digest;
        }
        text_copy(c->digest, sizeof(c->digest), str_of(digest));
        /* As ECS shows a pinned image: repo:tag@sha256:... (5.7); one that is pinned already stays.
         */
        snprintf(c->image, sizeof(c->image), "%s%s%s", td->containers[i].image,
                 digest[0] != '\0' && strchr(td->containers[i].image, '@') == NULL ? "@" : "",
                 strchr(td->containers[i].image, '@') == NULL ? digest : "");
    }
}

static void
set_owner(struct task *t, const struct task_plan *plan)
{
    const struct service *s = plan->service;

    t->service = plan->service;
    t->deployment = plan->deployment;
    if (s == NULL)
        return;
    text_copy(t->service_arn, sizeof(t->service_arn), str_of(s->arn));
    text_copy(t->service_name, sizeof(t->service_name), str_of(s->name));
    text_copy(t->deployment_id, sizeof(t->deployment_id), str_of(plan->deployment->id));
    text_copy(t->revision_arn, sizeof(t->revision_arn), str_of(plan->deployment->revision->arn));
    for (int i = 0; i < t->target_count; i++)
        text_copy(t->targets[i].target_group_arn, ARN_SIZE,
                  str_of(deployment_target_group(plan->deployment, i)));
}

static void
emit_start(struct core *core, const struct task *t, bool is_repeated)
{
    struct effect *e = core_emit(core, EFFECT_TASK_START);

    text_copy(e->task_start.task_arn, ARN_SIZE, str_of(t->arn));
    e->task_start.is_repeated = is_repeated;
    e->task_start.only_adopt = !is_starting(t);
}

struct task *
task_create(struct core *core, const struct task_plan *plan)
{
    struct task *t = task_new();

    rng_hex(&core->rng, t->id, 32);
    arn_format(t->arn, "ecs", plan->region, core->options.account, "task/%s/%s", plan->cluster_name,
               t->id);
    text_copy(t->cluster_arn, sizeof(t->cluster_arn), str_of(plan->cluster_arn));
    text_copy(t->cluster_name, sizeof(t->cluster_name), str_of(plan->cluster_name));
    text_copy(t->region, sizeof(t->region), str_of(plan->region));
    text_copy(t->task_definition_arn, sizeof(t->task_definition_arn),
              str_of(plan->definition->arn));
    text_copy(t->group, sizeof(t->group), str_of(plan->group));
    text_copy(t->started_by, sizeof(t->started_by), str_of(plan->started_by));
    text_copy(t->hook_id, sizeof(t->hook_id), str_of(plan->hook_id));
    text_copy(t->capacity_provider, sizeof(t->capacity_provider), str_of(plan->provider));
    if (plan->instance != NULL)
        text_copy(t->instance_arn, sizeof(t->instance_arn), str_of(plan->instance->arn));
    t->definition = plan->definition;
    t->launch_type = plan->launch_type;
    t->last_status = TASK_PENDING;
    t->desired_status = TASK_RUNNING;
    t->created_at_ms = core->now_ms;
    task_definition_size(plan->definition, plan->overrides, &t->cpu, &t->memory_mib);
    t->overrides = plan->overrides == NULL ? NULL : json_ref(plan->overrides);
    t->doc = plan->doc == NULL ? NULL : json_ref(plan->doc);
    t->tags = plan->tags == NULL ? NULL : json_ref(plan->tags);
    if (plan->definition->network_mode == NETWORK_awsvpc)
        rng_uuid(&core->rng, t->attachment_id);
    task_make_parts(t, plan->definition->container_count,
                    plan->deployment == NULL ? 0 : plan->deployment->revision->load_balancer_count);
    set_owner(t, plan);
    name_containers(core, t, plan->deployment == NULL ? NULL : plan->deployment->revision);
    core_add_task(core, t);
    core_link_task(core, t);
    if (plan->instance != NULL) {
        gpus_choose(t, plan->instance->machine);
        place_take(core, t, plan->instance);
    }
    t->ask_at_ms = core->now_ms + ASK_PENDING_MS;
    emit_start(core, t, /* is_repeated= */ false);
    core_touch_meta(core);
    core_touch_task(core, t);
    core_queue(core, t->service);
    return t;
}

/* ---- the one stop path ---- */

static int64_t
stop_timeouts_ms(const struct task *t)
{
    int64_t sum = 0;

    /* They stop in reverse order of their dependencies: one after the other at worst. */
    for (int i = 0; i < t->definition->container_count; i++)
        sum += t->definition->containers[i].stop_timeout_s;
    return sum * 1000;
}

static void
ask_to_stop(struct core *core, struct task *t)
{
    struct effect *e = core_emit(core, EFFECT_TASK_STOP);

    text_copy(e->task_stop.task_arn, ARN_SIZE, str_of(t->arn));
    t->stop_tries++;
    t->stop_deadline_ms = core->now_ms + stop_timeouts_ms(t) + STOP_MARGIN_MS;
    core_touch_task(core, t);
}

static void
begin_stopping(struct core *core, struct task *t)
{
    assert(!targets_are_registered(t)); /* promise 1: nobody is sent to it any more */
    t->last_status = TASK_STOPPING;
    t->stopping_at_ms = core->now_ms;
    t->drain_deadline_ms = 0;
    ask_to_stop(core, t);
}

void
task_stop(struct core *core, struct task *t, enum stop_code code, const char *reason)
{
    if (!task_is_wanted(t) || t->last_status == TASK_STOPPED)
        return; /* the first cause wins */
    t->desired_status = TASK_STOPPED;
    t->is_healthy_now = false;
    hearing_end(core, t);
    t->has_stop_code = true;
    t->stop_code = code;
    text_copy(t->stopped_reason, sizeof(t->stopped_reason), str_of(reason));
    if (code == STOP_ServiceSchedulerInitiated && t->service != NULL)
        said_stopped(core, t, !is_starting(t));
    core_touch_task(core, t);
    core_queue(core, t->service);
    targets_deregister(core, t);
    if (!targets_are_registered(t)) {
        begin_stopping(core, t);
        return;
    }
    t->last_status = TASK_DEACTIVATING;
    t->ask_at_ms = core->now_ms + ASK_DRAINING_MS;
    said_draining(core, t);
}

/* ---- what the agent reports ---- */

static bool
take_containers(struct task *t, const struct ev_task_state *ev)
{
    bool changed = false;

    for (int i = 0; i < ev->container_count; i++) {
        const struct task_container *from = &ev->containers[i];
        for (int k = 0; k < t->container_count; k++) {
            struct task_container *to = &t->containers[k];
            struct task_container before;
            if (strcmp(to->name, from->name) != 0)
                continue;
            memcpy(&before, to, sizeof(before)); /* padding included */
            text_copy(to->runtime_id, sizeof(to->runtime_id), str_of(from->runtime_id));
            if (from->digest[0] != '\0')
                text_copy(to->digest, sizeof(to->digest), str_of(from->digest));
            text_copy(to->reason, sizeof(to->reason), str_of(from->reason));
            to->last_status = from->last_status;
            to->health = from->health;
            to->has_exit_code = from->has_exit_code;
            to->exit_code = from->exit_code;
            changed |= task_container_bind(to, from->bindings, from->binding_count);
            changed |= memcmp(&before, to, sizeof(before)) != 0; // NOLINT: written field by field
        }
    }
    return changed;
}

static bool
take_report(struct task *t, const struct ev_task_state *ev)
{
    bool changed = take_containers(t, ev) || t->health != ev->health;

    t->health = ev->health;
    if (ev->address != NULL && strcmp(t->address, ev->address) != 0) {
        text_copy(t->address, sizeof(t->address), str_of(ev->address));
        changed = true;
    }
    if (ev->mac_address != NULL && strcmp(t->mac_address, ev->mac_address) != 0) {
        text_copy(t->mac_address, sizeof(t->mac_address), str_of(ev->mac_address));
        changed = true;
    }
    if (ev->pull_started_at_ms != 0 && t->pull_started_at_ms == 0) {
        t->pull_started_at_ms = ev->pull_started_at_ms;
        changed = true;
    }
    if (ev->pull_stopped_at_ms != 0 && t->pull_stopped_at_ms == 0) {
        t->pull_stopped_at_ms = ev->pull_stopped_at_ms;
        changed = true;
    }
    if (ev->health_log != NULL && evidence_health_log(t, ev->health_log))
        changed = true;
    return changed;
}

static const char *
first_reason(const struct task *t, const char *fallback)
{
    for (int i = 0; i < t->container_count; i++) {
        if (t->containers[i].reason[0] != '\0')
            return t->containers[i].reason;
    }
    return fallback;
}

/* Its process ran, perhaps too shortly to be seen RUNNING. */
static bool
has_exited(const struct task *t)
{
    for (int i = 0; i < t->container_count; i++) {
        if (t->containers[i].has_exit_code)
            return true;
    }
    return false;
}

static void
name_cause(struct task *t, const struct ev_task_state *ev)
{
    const bool ran = t->started_at_ms != 0;
    const char *reason = ev->reason != NULL && ev->reason[0] != '\0' ? ev->reason : NULL;

    t->desired_status = TASK_STOPPED;
    t->has_stop_code = true;
    if (!ran && (reason != NULL || !has_exited(t))) {
        t->stop_code = STOP_TaskFailedToStart;
        reason = reason != NULL ? reason : first_reason(t, "Task failed to start");
    } else if (ev->is_infrastructure) {
        t->stop_code = STOP_TerminationNotice;
        reason = reason != NULL ? reason : "The container runtime lost the task.";
    } else {
        t->stop_code = STOP_EssentialContainerExited;
        reason = "Essential container in task exited";
    }
    snprintf(t->stopped_reason, sizeof(t->stopped_reason), "%s", reason);
}

/* As far back as it can have been: clocks of hosts are set. */
static int64_t
exit_ms(const struct core *core, const struct task *t, const struct ev_task_state *ev)
{
    const int64_t exited_at_ms = ev->exited_ago_ms < 0 ? core->now_ms : core->now_ms - ev->exited_ago_ms,
                  earliest_ms = t->started_at_ms != 0 ? t->started_at_ms : t->created_at_ms;

    return later(exited_at_ms, earliest_ms);
}

static void
ended(struct core *core, struct task *t, const struct ev_task_state *ev)
{
    const bool by_itself = task_is_wanted(t);

    if (by_itself)
        name_cause(t, ev);
    t->last_status = TASK_STOPPED;
    t->is_healthy_now = false;
    t->stopped_at_ms = core->now_ms;
    if (t->execution_stopped_at_ms == 0)
        t->execution_stopped_at_ms = exit_ms(core, t, ev);
    for (int i = 0; i < t->container_count; i++)
        t->containers[i].last_status = TASK_STOPPED;
    t->stop_deadline_ms = 0;
    place_release(core, t);
    if (t->service != NULL)
        rollout_task_ended(core, t,
                           &(struct ending){.by_itself = by_itself,
                                            .is_infrastructure = ev->is_infrastructure,
                                            .is_environment = ev->is_environment});
    targets_deregister(core, t); /* after the fact: it died in traffic */
    t->ask_at_ms = core->now_ms + ASK_DRAINING_MS;
    core_touch_task(core, t);
}

void
task_state_changed(struct core *core, const struct ev_task_state *ev)
{
    struct task *t = core_task_by_id(core, ev->task_id);
    bool changed;

    if (t == NULL || t->last_status == TASK_STOPPED)
        return; /* late: it never leaves STOPPED */
    if (ev->status == TASK_PENDING && !is_starting(t))
        return; /* overtaken by a newer report */
    changed = take_report(t, ev);
    hearing_end(core, t);
    core_queue(core, t->service);
    if (t->hook_id[0] != '\0')
        hooks_task_changed(core, t);
    if (ev->status == TASK_STOPPED) {
        ended(core, t, ev);
        return;
    }
    if (ev->status == TASK_RUNNING && is_starting(t)) {
        t->last_status = TASK_RUNNING;
        t->started_at_ms = core->now_ms;
        t->ask_at_ms = core->now_ms + ASK_INITIAL_MS;
        if (t->service != NULL)
            rollout_task_running(core, t);
        changed = true;
    }
    if (changed)
        core_touch_task(core, t);
}

/* ---- what is due ---- */

static void
mark_unhealthy(struct core *core, struct task *t, const char *reason)
{
    t->is_unhealthy_marked = true;
    snprintf(t->unhealthy_reason, sizeof(t->unhealthy_reason), "%s", reason);
    core_touch_task(core, t);
    rollout_task_unhealthy(core, t);
}

static int64_t
grace_end_ms(const struct task *t)
{
    const int64_t grace_ms = t->service == NULL ? 0 : t->service->health_check_grace_s * 1000LL;

    return (t->grace_from_ms != 0 ? t->grace_from_ms : t->started_at_ms) + grace_ms;
}

static void
judge_health(struct core *core, struct task *t)
{
    char reason[REASON_SIZE];

    t->is_healthy_now = core_task_is_healthy(core, t);
    if (t->is_healthy_now) {
        if (t->healthy_at_ms == 0) {
            t->healthy_at_ms = core->now_ms;
            rollout_task_healthy(core, t);
            core_touch_task(core, t);
        }
        if (t->is_unhealthy_marked) { /* it recovered before its replacement took over */
            t->is_unhealthy_marked = false;
            core_touch_task(core, t);
        }
        return;
    }
    if (t->is_unhealthy_marked || hearing_awaits_task(core, t) || core->now_ms < grace_end_ms(t))
        return;
    if (t->health == HEALTH_UNHEALTHY) {
        said_event(core, t->service, "(service %s) (task %s) failed container health checks.",
                   t->service->name, t->id);
        mark_unhealthy(core, t, "Task failed container health checks");
    } else if (targets_complain(core, t, reason)) {
        mark_unhealthy(core, t, reason);
    }
}

/* What was under way while naru was away has its whole time again. */
static int64_t
start_end_ms(const struct core *core, const struct task *t)
{
    return later(later(t->created_at_ms, core->index->resumed_at_ms), t->start_from_ms) + core->options.start_timeout_ms;
}

void
task_stood_still(struct core *core, struct task *t, int64_t late_ms)
{
    if (is_starting(t))
        t->start_from_ms = extended_ms(core, start_end_ms(core, t), late_ms) - core->options.start_timeout_ms;
}

static void
advance_starting(struct core *core, struct task *t)
{
    if (core->now_ms >= start_end_ms(core, t)) {
        task_stop(core, t, STOP_TaskFailedToStart, "Task failed to start");
    } else if (core->now_ms >= t->ask_at_ms) {
        t->ask_at_ms = core->now_ms + ASK_PENDING_MS;
        emit_start(core, t, /* is_repeated= */ true);
    }
}

/* When it is its turn among all that run. */
static int64_t
next_ask_ms(const struct core *core, const struct task *t)
{
    const uint64_t turns = ASK_RUNNING_MS / ASK_TOGETHER_MS;
    const int64_t turn_ms = (int64_t)(hash_text(str_of(t->id), turns) % turns) * ASK_TOGETHER_MS;

    return core->now_ms + ASK_RUNNING_MS - (core->now_ms - turn_ms) % ASK_RUNNING_MS;
}

static void
advance_running(struct core *core, struct task *t)
{
    enum targets_progress progress;

    if (t->service == NULL && core->now_ms < t->ask_at_ms)
        return;
    progress = targets_register(core, t);
    if (t->service != NULL)
        judge_health(core, t);
    if (core->now_ms >= t->ask_at_ms) {
        emit_start(core, t, /* is_repeated= */ true);
        targets_ask_again(core, t);
        t->ask_at_ms = progress == TARGETS_DECIDED && !t->is_unheard ? next_ask_ms(core, t)
                                                                     : core->now_ms + ASK_INITIAL_MS;
    }
    if (progress == TARGETS_MISSING)
        t->ask_at_ms = earlier(t->ask_at_ms, core->now_ms + ASK_UNREGISTERED_MS);
}

/* Out of traffic?  Else asks again; after the deadline the balancer had its delay and more: it is
 * dead or stuck, and a task may not stay for ever because of that. */
static bool
is_drained(struct core *core, struct task *t)
{
    if (targets_are_registered(t) && core->now_ms >= t->drain_deadline_ms)
        targets_give_up(core, t);
    if (!targets_are_registered(t))
        return true;
    if (core->now_ms >= t->ask_at_ms) {
        t->ask_at_ms = core->now_ms + ASK_DRAINING_MS;
        targets_ask_again(core, t);
    }
    return false;
}

static void
settle(struct core *core, struct task *t)
{
    struct effect *e = core_emit(core, EFFECT_TASK_FORGET);
    struct task *oldest;

    text_copy(e->task_forget.task_id, ID_SIZE, str_of(t->id));
    core_settle_task(core, t);
    if (t->service == NULL ? core->index->standalone_settled_count <= STOPPED_TASKS_MAX
                           : t->service->settled_count <= STOPPED_TASKS_MAX)
        return;
    oldest = t->service == NULL ? core->index->standalone_settled : t->service->settled;
    while (oldest->next_live != NULL)
        oldest = oldest->next_live;
    core_drop_task(core, oldest);
}

void
task_advance(struct core *core, struct task *t)
{
    switch (t->last_status) {
    case TASK_PROVISIONING:
    case TASK_PENDING:
    case TASK_ACTIVATING:
        advance_starting(core, t);
        break;
    case TASK_RUNNING:
        advance_running(core, t);
        break;
    case TASK_DEACTIVATING:
        if (is_drained(core, t))
            begin_stopping(core, t);
        break;
    case TASK_STOPPING:
    case TASK_DEPROVISIONING:
        if (core->now_ms >= t->stop_deadline_ms)
            ask_to_stop(core, t);
        break;
    case TASK_STOPPED:
        if (is_drained(core, t))
            settle(core, t);
        break;
    case TASK_ENUM_SIZE:
        assert(false && "no status");
    }
}

int64_t
task_deadline_ms(const struct core *core, const struct task *t)
{
    int64_t due = t->ask_at_ms;

    switch (t->last_status) {
    case TASK_STOPPING:
    case TASK_DEPROVISIONING:
        return t->stop_deadline_ms;
    case TASK_DEACTIVATING:
    case TASK_STOPPED:
        return earlier(due, t->drain_deadline_ms);
    case TASK_RUNNING: {
        const int64_t steady_ms = t->started_at_ms + core->options.steady_after_ms;
        if (t->service != NULL && t->healthy_at_ms == 0 && steady_ms > core->now_ms)
            due = earlier(due, steady_ms);
        return grace_end_ms(t) > core->now_ms ? earlier(due, grace_end_ms(t)) : due;
    }
    default:
        return earlier(due, start_end_ms(core, t));
    }
}

void
task_resume(struct core *core, struct task *t)
{
    t->ask_at_ms = core->now_ms + ASK_PENDING_MS;
    switch (t->last_status) {
    case TASK_DEACTIVATING:
    case TASK_STOPPED:
        /* The effect of the order may have been lost with us: the balancer gets it again, and its
         * whole delay, before anything is signalled. */
        t->drain_deadline_ms = targets_drain_deadline_ms(core, t);
        core_touch_task(core, t);
        t->ask_at_ms = core->now_ms + ASK_DRAINING_MS;
        targets_ask_again(core, t);
        break;
    case TASK_STOPPING:
    case TASK_DEPROVISIONING:
        ask_to_stop(core, t);
        break;
    case TASK_RUNNING:
        targets_ask_again(core, t);
        emit_start(core, t, /* is_repeated= */ true);
        break;
    default:
        emit_start(core, t, /* is_repeated= */ true);
    }
}
