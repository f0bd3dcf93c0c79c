/* SPDX-License-Identifier: MIT */
/* invariants.c - what has to be true of what the core shows; checks.c has the table. */
#include "world.h"

/* ---- tasks ---- */

static bool
is_in_order(const struct task *t)
{
    const int64_t ends_ms = t->stopped_at_ms != 0 ? t->stopped_at_ms : INT64_MAX;

    return t->created_at_ms > 0 && (t->started_at_ms == 0 || t->started_at_ms >= t->created_at_ms) &&
           (t->stopping_at_ms == 0 || t->stopping_at_ms >= t->created_at_ms) &&
           t->started_at_ms <= ends_ms && t->stopping_at_ms <= ends_ms;
}

void
check_task_rows(struct world *w, int first)
{
    for (int i = first; i < w->effects.count; i++) {
        const struct effect *e = &w->effects.at[i];
        const struct task *t = e->type == EFFECT_PERSIST && e->persist.kind == ROW_TASK
                                   ? core_task_by_arn(w->core, e->persist.key)
                                   : NULL;
        const int at = t == NULL ? -1 : container_find(w, t->id);
        struct sim_container *c = at < 0 ? NULL : &w->containers[at];
        if (c == NULL)
            continue;
        if (t->version <= c->version)
            world_fail(w, "version of task %.8s went from %d to %d", t->id, c->version, t->version);
        c->version = t->version;
        if (c->told_stopped && t->last_status != TASK_STOPPED)
            world_fail(w, "task %.8s left STOPPED", t->id);
        if (!is_in_order(t))
            world_fail(w, "the times of task %.8s are not in order", t->id);
    }
}

/* ---- deployments ---- */

static bool
was_completed(const struct world *w, const char *id)
{
    for (int i = w->completed_count - 1; i >= 0; i--) {
        if (strcmp(w->completed[i], id) == 0)
            return true;
    }
    return false;
}

static void
note_completed(struct world *w, const struct deployment *p)
{
    if (p->rollout_state != ROLLOUT_COMPLETED || was_completed(w, p->id))
        return;
    if (w->completed_count == w->completed_capacity) {
        w->completed_capacity = w->completed_capacity == 0 ? 16 : w->completed_capacity * 2;
        w->completed =
            mem_grow(w->completed, (size_t)w->completed_capacity, sizeof(w->completed[0]));
    }
    text_copy(w->completed[w->completed_count++], ID_SIZE, str_of(p->id));
}

/* What `aws ecs wait services-stable` looks at: one deployment, and all its tasks run. */
static bool
looks_stable(const struct core *core, const struct service *s)
{
    int shown = 0;

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
        shown += d->status != DEPLOYMENT_INACTIVE;
    return shown == 1 && core_counts(core, s, NULL).running == s->desired_count;
}

/* Promise 8: the newest complete deployment besides the present one can be returned to. */
static void
check_way_back(struct world *w, const struct service *s, const struct deployment *p)
{
    const struct deployment *target = core_rollback_target(w->core, s);

    if (p->rollout_state != ROLLOUT_IN_PROGRESS || target == NULL)
        return;
    if (!was_completed(w, target->id))
        world_fail(w, "promise 4: %s would return to %s, which never was COMPLETED", s->name,
                   target->id);
    if (target->revision == NULL || service_find_revision(s, target->revision->arn) == NULL)
        world_fail(w, "promise 8: the revision of %s is gone", target->id);
}

void
check_service_shown(struct world *w, int service)
{
    const struct service *s = core_service_by_arn(w->core, w->services[service].arn);
    const struct deployment *p = s == NULL ? NULL : service_primary(s);
    const struct service_deployment *sd = s == NULL ? NULL : service_current(s);

    if (s == NULL)
        return;
    if (s->status != SERVICE_ACTIVE) {
        if (sd != NULL && sd->finished_at_ms == 0)
            world_fail(w, "promise 3: %s is deleted and %s goes on", s->name, sd->id);
        return;
    }
    if (s->is_external) {
        check_sets_shown(w, service);
        return;
    }
    if (p == NULL) {
        world_fail(w, "%s has no PRIMARY", s->name);
        return;
    }
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
        note_completed(w, d); /* one that is in CLEAN_UP completes when a newer one comes */
    if (p->is_rollback && !was_completed(w, p->id))
        world_fail(w, "promise 4: %s returned to %s, which never was COMPLETED", s->name, p->id);
    check_way_back(w, s, p);
    if (p->rollout_state == ROLLOUT_IN_PROGRESS && sd->next != NULL && sd->source_count > 0 &&
        looks_stable(w->core, s))
        world_fail(w, "promise 5: %s looks stable while %s is IN_PROGRESS", s->name, p->id);
}

/* Promise 3: nobody waits on for what is over. */
void
check_waits_ended(struct world *w)
{
    for (const struct service *s = w->core->services; s != NULL; s = s->next) {
        if (s->environment_failed &&
            (s->launches.after_ms > naru_now(w) || s->infrastructure_after_ms > naru_now(w)))
            world_fail(w, "promise 3: a host came back, and %s waits on for another %lld ms", s->name,
                       (long long)(s->launches.after_ms - naru_now(w)));
    }
}

void
check_launch_allowed(struct world *w, const struct task *t)
{
    const struct service *s = t->service;
    const struct deployment *p = service_primary(s);
    const struct service_deployment *sd = service_current(s);

    if (p == NULL || t->deployment != p || !s->config.breaker.enable ||
        (s->course.is_on && s->course.stage == STAGE_CLEAN_UP)) /* proved: it is not watched */
        return;
    if (p->is_failed)
        world_fail(w, "%s failed and starts task %.8s", p->id, t->id);
    if (sd->finished_at_ms == 0 && sd->breaker_failures >= sd->breaker_threshold &&
        strcmp(sd->deployment_id, p->id) == 0)
        world_fail(w, "promise 3: %s starts task %.8s after %d failures of %d", p->id, t->id,
                   sd->breaker_failures, sd->breaker_threshold);
}

/* ---- restarts ---- */

void
check_rows_read_back(struct world *w)
{
    for (int i = 0; i < w->row_count; i++) {
        const struct stored_row *row = &w->rows[i];
        cleanup_json struct json *again = core_row(w->core, row->kind, row->key);
        if (again == NULL || !json_equal(again, row->doc))
            world_fail(w, "promise 7: %s %s is not read back as it was written",
                       row_kind_name(row->kind), row->key);
    }
}
