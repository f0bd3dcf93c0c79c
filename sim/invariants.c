/* SPDX-License-Identifier: MIT */
/* invariants.c - what the core shows, judged by a small world's book: shown.h says what has to be
 * true of it. */
#include "world.h"

/* ---- tasks ---- */

void
check_task_rows(struct world *w, int first)
{
    struct complaint complaint;

    for (int i = first; i < w->effects.count; i++) {
        const struct effect *e = &w->effects.at[i];
        const struct task *t = e->type == EFFECT_PERSIST && e->persist.kind == ROW_TASK
                                   ? core_task_by_arn(w->core, e->persist.key)
                                   : NULL;
        const int at = t == NULL ? -1 : container_find(w, t->id);
        struct sim_container *c = at < 0 ? NULL : &w->containers[at];
        if (c == NULL)
            continue;
        world_judge(w, task_is_shown_well(t, c->version, c->told_stopped, &complaint), &complaint);
        c->version = t->version;
    }
}

/* ---- deployments ---- */

void
check_service_shown(struct world *w, int service)
{
    const struct service *s = core_service_by_arn(w->core, w->services[service].arn);
    struct complaint complaint;

    if (s == NULL)
        return;
    if (s->status == SERVICE_ACTIVE && s->is_external)
        check_sets_shown(w, service);
    else
        world_judge(w, service_is_shown_well(w->core, s, &w->completed, &complaint), &complaint);
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
