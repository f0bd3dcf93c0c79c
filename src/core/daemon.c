/* SPDX-License-Identifier: MIT */
#include "core/daemon.h"
#include <assert.h>
#include <stdio.h>
#include "core/deployment.h"
#include "core/moves.h"
#include "core/placement.h"
#include "core/rolling_hooks.h"
#include "core/rollout.h"
#include "core/said.h"
#include "core/task_lifecycle.h"

struct round {
    struct core *core;
    struct service *s;
    struct deployment *primary;
    const struct task_definition *definition;
    int healthy, healthy_min;
    bool can_replace; /* the PRIMARY may start tasks, and knows its digests */
    bool is_held;     /* something would go, and the lower bound forbids it */
};

static void
count_tasks(const struct service *s)
{
    for (struct container_instance *i = s->cluster->instances; i != NULL; i = i->next_in_cluster)
        i->peer_count = 0;
    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if (t->instance != NULL && task_is_wanted(t))
            t->instance->peer_count++;
    }
}

static bool
meets_constraints(const struct round *r, const struct container_instance *i)
{
    return place_is_member(&r->definition->rules, i) && place_is_member(&r->s->rules, i);
}

static bool
is_eligible(const struct round *r, const struct container_instance *i)
{
    return i->status == INSTANCE_ACTIVE && (i->is_connected || i->peer_count > 0) &&
           meets_constraints(r, i);
}

/* The desired count is what there is; sources want what they have. */
static void
set_desired_counts(struct round *r)
{
    struct service *s = r->s;
    int desired = 0;

    for (const struct container_instance *i = s->cluster->instances; i != NULL; i = i->next_in_cluster)
        desired += is_eligible(r, i);
    r->healthy_min =
        deployment_limits(desired, s->config.minimum_healthy_percent, /* maximum_percent= */ 100)
            .healthy_min;
    if (s->desired_count != desired || (r->primary->desired_count != desired && !r->primary->is_failed)) {
        s->desired_count = desired;
        r->primary->desired_count = desired;
        core_touch_service(r->core, s);
    }
    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        int wanted = 0;
        if (d->status != DEPLOYMENT_ACTIVE)
            continue;
        for (const struct task *t = s->live; t != NULL; t = t->next_live)
            wanted += t->deployment == d && task_is_wanted(t);
        if (d->desired_count != wanted)
            core_touch_service(r->core, s);
        d->desired_count = wanted;
    }
}

static bool
only_daemons_on(const struct container_instance *i)
{
    for (const struct task *t = i->tasks; t != NULL; t = t->next_here) {
        if (t->service == NULL || !t->service->is_daemon)
            return false;
    }
    return true;
}

/* ---- stopping ---- */

/* Why the task has to go now, or NULL. */
static const char *
cause(const struct round *r, const struct task *t, char text[static REASON_SIZE])
{
    const struct container_instance *i = t->instance;

    if (i == NULL)
        return NULL;
    snprintf(text, REASON_SIZE, "Scaling activity initiated by (deployment %s)", t->deployment_id);
    if (i->status == INSTANCE_DRAINING && (t->last_status < TASK_RUNNING || only_daemons_on(i)))
        return text;
    if (i->status == INSTANCE_ACTIVE && !meets_constraints(r, i) && !r->primary->is_failed)
        return "MemberOf placement constraint unsatisfied.";
    if (!r->can_replace)
        return NULL;
    if (t->is_unhealthy_marked)
        return t->unhealthy_reason;
    return t->deployment != r->primary ? text : NULL;
}

static int
stop_tasks(struct round *r)
{
    int stopped = 0;

    for (struct task *t = r->s->live, *next; t != NULL; t = next) {
        char text[REASON_SIZE];
        const char *why = task_is_wanted(t) ? cause(r, t, text) : NULL;
        next = t->next_live;
        if (why == NULL || core_task_is_protected(r->core, t))
            continue;
        if (t->is_healthy_now && r->healthy - 1 < r->healthy_min) {
            r->is_held = true;
            continue;
        }
        if (t->instance->status == INSTANCE_ACTIVE && !meets_constraints(r, t->instance))
            said_event(r->core, r->s,
                       "(service %s) (task %s) is stopped: (container-instance %s) does not meet its "
                       "placement constraints any more.",
                       r->s->name, t->id, t->instance->id);
        r->healthy -= t->is_healthy_now;
        task_stop(r->core, t, STOP_ServiceSchedulerInitiated, why);
        stopped++;
    }
    return stopped;
}

/* ---- starting ---- */

/* Its last one is gone from there, not only told to go: never two of them on a machine, be the first of
 * a deleted service of that name. */
static bool
is_free_of(const struct container_instance *i, const struct service *s)
{
    for (const struct task *t = i->tasks; t != NULL; t = t->next_here) {
        if (strncmp(t->group, "service:", 8) == 0 && strcmp(t->group + 8, s->name) == 0)
            return false;
    }
    return true;
}

static int
start_tasks(struct round *r)
{
    int started = 0;

    r->s->lacks_place = false;
    for (struct container_instance *i = r->s->cluster->instances; i != NULL; i = i->next_in_cluster) {
        if (i->peer_count > 0 || !i->is_connected || !is_eligible(r, i))
            continue;
        if (is_free_of(i, r->s))
            started += moves_launch_on(r->core, r->s, r->primary, i);
        else
            r->s->lacks_place = true;
    }
    return started;
}

/* ---- a round ---- */

static bool
is_missing_somewhere(const struct round *r)
{
    for (const struct container_instance *i = r->s->cluster->instances; i != NULL;
         i = i->next_in_cluster) {
        if (is_eligible(r, i) && i->is_connected && i->peer_count == 0)
            return true;
    }
    return false;
}

/* Something to do for it: then its digests are asked for, before anything goes. */
static bool
is_behind(const struct round *r)
{
    for (const struct task *t = r->s->live; t != NULL; t = t->next_live) {
        if (task_is_wanted(t) && (t->deployment != r->primary || t->is_unhealthy_marked))
            return true;
    }
    return is_missing_somewhere(r);
}

static void
complain(struct round *r)
{
    char text[REASON_SIZE];

    if (!r->is_held || r->healthy_min < r->s->desired_count)
        return;
    snprintf(text, sizeof(text),
             "(service %.255s) was unable to stop or start tasks during a deployment because of the "
             "service deployment configuration. Update the minimumHealthyPercent or "
             "maximumPercent value and try again.",
             r->s->name);
    said_complaint(r->core, r->s, text);
}

bool
daemon_move(struct core *core, struct service *s)
{
    struct round r = {.core = core, .s = s, .primary = service_primary(s)};
    int moved;

    if (r.primary == NULL)
        return false;
    r.definition = strmap_get(&core->index->definitions, r.primary->revision->task_definition_arn);
    assert(r.definition != NULL);
    count_tasks(s);
    set_desired_counts(&r);
    if (rollout_judge(core, s) || rolling_move(core, s))
        return true;
    for (const struct task *t = s->live; t != NULL; t = t->next_live)
        r.healthy += t->is_healthy_now;
    r.can_replace = moves_may_launch(core, s, r.primary) && is_behind(&r) &&
                    revision_resolve(core, s, r.primary->revision);
    moved = stop_tasks(&r);
    if (r.can_replace)
        moved += start_tasks(&r);
    if (moved == 0)
        complain(&r);
    return moved > 0;
}
