/* SPDX-License-Identifier: MIT */
#include "core/hearing.h"

/* From naru's start, or from when the machine's agent came.  Longer than Docker takes to come up with a machine, and
 * an agent to look at all that it has; a machine that is gone holds its services up for so long. */
#define SILENCE_MS 120000

void
hearing_begin(struct core *core, struct task *t)
{
    t->is_unheard = true;
    core->index->unheard_count++;
}

/* Whoever runs and never was healthy has his whole grace period again: his checks began anew, too. */
void
hearing_end(struct core *core, struct task *t)
{
    if (!t->is_unheard)
        return;
    t->is_unheard = false;
    core->index->unheard_count--;
    if (t->started_at_ms != 0 && t->healthy_at_ms == 0)
        t->grace_from_ms = core->now_ms;
}

void
hearing_end_all(struct core *core)
{
    for (struct task *t = core->tasks; t != NULL; t = t->next)
        hearing_end(core, t);
}

/* ---- who is waited for ---- */

static int64_t
patience_ends_ms(const struct core *core, const struct host *h)
{
    return (h->is_heard ? h->up_since_ms : core->index->resumed_at_ms) + SILENCE_MS;
}

static bool
any_is_up(const struct core *core)
{
    for (const struct host *h = core->index->hosts; h != NULL; h = h->next) {
        if (h->is_heard && h->is_connected)
            return true;
    }
    return false;
}

/* Where nobody can start or stop anything, nothing is missed by waiting. */
static bool
is_awaited(const struct core *core, const struct host *h)
{
    if (h->is_heard && !h->is_connected)
        return !any_is_up(core);
    return core->now_ms < patience_ends_ms(core, h);
}

bool
hearing_awaits_task(const struct core *core, const struct task *t)
{
    if (!t->is_unheard)
        return false;
    if (t->instance != NULL)
        return is_awaited(core, t->instance->machine);
    for (const struct host *h = core->index->hosts; h != NULL; h = h->next) {
        if (is_awaited(core, h))
            return true;
    }
    return false;
}

bool
hearing_awaits(const struct core *core, const struct service *s)
{
    if (core->index->unheard_count == 0)
        return false;
    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if (hearing_awaits_task(core, t))
            return true;
    }
    for (int i = 0; i < s->course.hook_count; i++) {
        const struct task *t = core_task_by_id(core, s->course.hooks[i].task_id);
        if (t != NULL && hearing_awaits_task(core, t))
            return true;
    }
    return false;
}

int64_t
hearing_deadline_ms(const struct core *core)
{
    int64_t due_ms = INT64_MAX;

    for (const struct host *h = core->index->hosts; h != NULL; h = h->next) {
        if (patience_ends_ms(core, h) > core->now_ms)
            due_ms = earlier(due_ms, patience_ends_ms(core, h));
    }
    return due_ms;
}

void
hearing_agents_changed(struct core *core)
{
    for (struct service *s = core->services; core->index->unheard_count > 0 && s != NULL; s = s->next) {
        if (s->is_awaiting_word)
            core_queue(core, s);
    }
}
