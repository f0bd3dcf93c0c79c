/* SPDX-License-Identifier: MIT */
/* hook_book.c - calls of lifecycle hooks in the book of a small world; fake_hooks.h judges. */
#include "world.h"

static struct hook_note *
find_note(struct world *w, const char *hook_id)
{
    struct hook_note *n = NULL;

    for (int i = 0; i < w->service_count && n == NULL; i++)
        n = hook_note_of(&w->services[i].hooks, hook_id);
    return n;
}

static struct sim_service *
service_in_book(struct world *w, const struct service *now)
{
    for (int i = 0; now != NULL && i < w->service_count; i++) {
        if (strcmp(w->services[i].arn, now->arn) == 0)
            return &w->services[i];
    }
    return NULL;
}

void
note_hook_effect(struct world *w, const struct effect *e)
{
    struct complaint complaint;

    if (e->type == EFFECT_HOOK_CALL) {
        const struct service *now = service_of_hook(w->core, e->hook_call.hook_id);
        struct sim_service *s = service_in_book(w, now);
        if (s != NULL)
            world_judge(w,
                        hook_call_is_well(&s->hooks, now, &e->hook_call, w->now_ms,
                                          w->stalled_until_ms, w->epoch, &complaint),
                        &complaint);
    } else {
        struct hook_note *n = find_note(w, e->hook_cancel.hook_id);
        if (n != NULL)
            world_judge(
                w, hook_cancel_is_well(n, w->now_ms, w->stalled_until_ms, w->epoch, &complaint),
                &complaint);
    }
}

void
note_hook_answer(struct world *w, const struct ev_hook_answered *ev)
{
    for (int i = 0; i < w->service_count; i++)
        hook_answer_told(&w->services[i].hooks, ev, naru_now(w));
}

void
check_hooks_heard(struct world *w, int service)
{
    const struct service *now = core_service_by_arn(w->core, w->services[service].arn);
    struct complaint complaint;

    if (now != NULL)
        world_judge(w, hooks_are_heard(&w->services[service].hooks, now, &complaint), &complaint);
}
