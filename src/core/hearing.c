/* SPDX-License-Identifier: MIT */
#include "core/hearing.h"
#include <stdio.h>
#include "core/said.h"
#include "core/task_lifecycle.h"

/* Longer than Docker takes to come up with a machine, and an agent to look at all that it has; a machine that is
 * gone holds its services up for so long. */
#define SILENCE_MS 120000
#define COMPLAINT_AFTER_MS 10000 /* most have spoken within a second */

void
hearing_begin(struct core *core, struct task *t)
{
    if (t->is_unheard)
        return;
    t->is_unheard = true;
    t->unheard_since_ms = core->now_ms;
    core->index->unheard_count++;
}

/* Whoever runs since before a restart and never was healthy has his whole grace period again when he is heard: his
 * checks began anew, too. */
static bool
will_have_grace(const struct core *core, const struct task *t)
{
    return t->is_unheard && t->started_at_ms != 0 && t->started_at_ms < core->index->resumed_at_ms &&
           t->healthy_at_ms == 0 && t->grace_from_ms == 0;
}

void
hearing_end(struct core *core, struct task *t)
{
    if (!t->is_unheard)
        return;
    if (will_have_grace(core, t))
        t->grace_from_ms = core->now_ms;
    t->is_unheard = false;
    core->index->unheard_count--;
}

void
hearing_end_all(struct core *core)
{
    for (struct task *t = core->tasks; t != NULL; t = t->next)
        hearing_end(core, t);
}

static bool
may_have_ended(const struct task *t)
{
    return !t->is_settled && task_is_wanted(t) && t->last_status <= TASK_RUNNING;
}

void
hearing_stood_still(struct core *core, int64_t late_ms)
{
    for (struct task *t = core->tasks; t != NULL; t = t->next) {
        if (!may_have_ended(t))
            continue;
        if (t->is_unheard)
            t->unheard_since_ms += late_ms; /* asked already */
        else
            t->ask_at_ms = core->now_ms;
        if (t->started_at_ms != 0 && t->healthy_at_ms == 0 && !will_have_grace(core, t)) /* nor did anybody check it */
            t->grace_from_ms = (t->grace_from_ms != 0 ? t->grace_from_ms : t->started_at_ms) + late_ms;
        task_stood_still(core, t, late_ms);
        hearing_begin(core, t);
        core_queue(core, t->service);
    }
}

/* ---- who is waited for ---- */

static bool
any_is_up(const struct core *core)
{
    for (const struct host *h = core->index->hosts; h != NULL; h = h->next) {
        if (h->is_heard && h->is_connected)
            return true;
    }
    return false;
}

static int64_t
patience_ends_ms(const struct task *t)
{
    return t->unheard_since_ms + SILENCE_MS;
}

/* Where nobody can start or stop anything, nothing is missed by waiting. */
static bool
is_awaited(const struct core *core, const struct task *t, const struct host *h)
{
    if (h->is_heard && !h->is_connected)
        return !any_is_up(core);
    return core->now_ms < patience_ends_ms(t);
}

bool
hearing_awaits_task(const struct core *core, const struct task *t)
{
    if (!t->is_unheard)
        return false;
    if (t->instance != NULL)
        return is_awaited(core, t, t->instance->machine);
    for (const struct host *h = core->index->hosts; h != NULL; h = h->next) {
        if (is_awaited(core, t, h))
            return true;
    }
    return false;
}

const struct task *
hearing_awaited(const struct core *core, const struct service *s)
{
    const struct task *longest = NULL;

    if (core->index->unheard_count == 0)
        return NULL;
    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if ((longest == NULL || t->unheard_since_ms < longest->unheard_since_ms) && hearing_awaits_task(core, t))
            longest = t;
    }
    for (int i = 0; i < s->course.hook_count; i++) {
        const struct task *t = core_task_by_id(core, s->course.hooks[i].task_id);
        if (t != NULL && (longest == NULL || t->unheard_since_ms < longest->unheard_since_ms) &&
            hearing_awaits_task(core, t))
            longest = t;
    }
    return longest;
}

int64_t
hearing_deadline_ms(const struct core *core, const struct task *awaited)
{
    if (core->now_ms < awaited->unheard_since_ms + COMPLAINT_AFTER_MS)
        return awaited->unheard_since_ms + COMPLAINT_AFTER_MS;
    return core->now_ms < patience_ends_ms(awaited) ? patience_ends_ms(awaited) : INT64_MAX; /* until Docker is back */
}

void
hearing_complain(struct core *core, struct service *s, const struct task *awaited)
{
    char text[REASON_SIZE];

    if (core->now_ms < awaited->unheard_since_ms + COMPLAINT_AFTER_MS)
        return;
    snprintf(text, sizeof(text),
             "(service %.255s) is waiting for the container agent to report the state of (task %s). No tasks are "
             "started or stopped until then.",
             s->name, awaited->id);
    said_complaint(core, s, text);
}

/* ---- agents ---- */

/* It has the whole time from its first word on; later only what it was away for does not count.  A task without an
 * instance may run wherever an agent works. */
void
hearing_agent_comes(struct core *core, const struct host *h)
{
    const bool is_alone = !any_is_up(core);

    for (struct task *t = core->tasks; t != NULL; t = t->next) {
        if (!may_have_ended(t) || (t->instance != NULL ? t->instance->machine != h : !is_alone))
            continue;
        if (!h->is_heard)
            t->unheard_since_ms = core->now_ms;
        else if (t->is_unheard)
            t->unheard_since_ms += core->now_ms - later(h->down_since_ms, t->unheard_since_ms);
        else
            hearing_begin(core, t);
    }
}

void
hearing_agents_changed(struct core *core)
{
    for (struct service *s = core->services; core->index->unheard_count > 0 && s != NULL; s = s->next) {
        if (s->is_awaiting_word)
            core_queue(core, s);
    }
}
