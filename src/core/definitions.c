/* SPDX-License-Identifier: MIT */
#include "core/definitions.h"
#include <assert.h>

#define SWEEP_FIRST_MS 1000 /* so long at least clients can see that it is going */
#define SWEEP_AGAIN_MS 10000

static bool
runs_from(const struct task *live, const struct task_definition *td)
{
    for (; live != NULL; live = live->next_live) {
        if (live->definition == td)
            return true;
    }
    return false;
}

static bool
service_uses(const struct core *core, const struct service *s, const struct task_definition *td)
{
    const struct deployment *back = core_rollback_target(core, s);

    if (runs_from(s->live, td))
        return true;
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if ((d->status != DEPLOYMENT_INACTIVE || d == back) &&
            strcmp(d->revision->task_definition_arn, td->arn) == 0)
            return true;
    }
    return false;
}

static bool
is_used(const struct core *core, const struct task_definition *td)
{
    if (runs_from(core->index->standalone, td))
        return true;
    for (const struct service *s = core->services; s != NULL; s = s->next) {
        if (service_uses(core, s, td))
            return true;
    }
    return false;
}

static void
forget(struct core *core, struct task_definition **at)
{
    struct task_definition *td = *at;

    for (struct task *t = core->tasks; t != NULL; t = t->next) {
        if (t->definition != td)
            continue;
        assert(t->is_settled);
        t->definition = NULL;
    }
    *at = td->next;
    strmap_remove(&core->index->definitions, td->arn);
    core_touch(core, ROW_TASK_DEFINITION, td->arn);
    task_definition_free(td);
}

int64_t
definitions_sweep(struct core *core)
{
    struct core_index *x = core->index;
    bool is_pending = false;

    if (x->sweep_at_ms == 0)
        return INT64_MAX;
    if (core->now_ms < x->sweep_at_ms)
        return x->sweep_at_ms;
    for (struct task_definition **at = &core->task_definitions; *at != NULL;) {
        if ((*at)->status == TASK_DEFINITION_DELETE_IN_PROGRESS && !is_used(core, *at)) {
            forget(core, at);
            continue;
        }
        is_pending |= (*at)->status == TASK_DEFINITION_DELETE_IN_PROGRESS;
        at = &(*at)->next;
    }
    x->sweep_at_ms = is_pending ? core->now_ms + SWEEP_AGAIN_MS : 0;
    return is_pending ? x->sweep_at_ms : INT64_MAX;
}

void
task_definition_delete(struct core *core, const struct ev_task_definition_delete *ev)
{
    struct task_definition *td = strmap_get(&core->index->definitions, ev->arn);

    assert(td != NULL && td->status != TASK_DEFINITION_ACTIVE);
    if (td->status == TASK_DEFINITION_DELETE_IN_PROGRESS)
        return;
    td->status = TASK_DEFINITION_DELETE_IN_PROGRESS;
    td->delete_requested_at_ms = core->now_ms;
    core->index->sweep_at_ms = core->now_ms + SWEEP_FIRST_MS;
    core_touch(core, ROW_TASK_DEFINITION, td->arn);
    core_queue(core, /* service= */ NULL);
}

void
definitions_resume(struct core *core)
{
    for (const struct task_definition *td = core->task_definitions; td != NULL; td = td->next) {
        if (td->status == TASK_DEFINITION_DELETE_IN_PROGRESS)
            core->index->sweep_at_ms = core->now_ms + SWEEP_FIRST_MS;
    }
}
