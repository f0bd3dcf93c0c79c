/* SPDX-License-Identifier: MIT */
#include "core/hooks.h"

#define MINUTE_MS 60000LL
#define PAUSE_ID_HEAD "ecs-pause-"
#define PAUSE_ID_CHARS 43

void
hooks_start(struct core *core, struct service *s)
{
    struct course *c = &s->course;

    c->has_hooks = true;
    for (int i = 0; i < c->plan.hook_count; i++) {
        const struct hook_config *config = &c->plan.hooks[i];
        struct hook_run *run;
        if ((config->stages & 1 << c->stage) == 0)
            continue;
        run = &c->hooks[c->hook_count++];
        *run = (struct hook_run){.hook = i,
                                 .status = HOOK_AWAITING_ACTION,
                                 .expires_at_ms =
                                     core->now_ms + config->timeout_min * MINUTE_MS};
        memcpy(run->id, PAUSE_ID_HEAD, sizeof(PAUSE_ID_HEAD));
        rng_token(&core->rng, run->id + sizeof(PAUSE_ID_HEAD) - 1, PAUSE_ID_CHARS);
        core_touch_meta(core);
    }
    core_touch_service(core, s);
}

bool
hooks_expire(struct core *core, struct service *s)
{
    struct course *c = &s->course;

    for (int i = 0; i < c->hook_count; i++) {
        struct hook_run *run = &c->hooks[i];
        if (run->status == HOOK_AWAITING_ACTION && core->now_ms >= run->expires_at_ms) {
            run->status = HOOK_TIMED_OUT;
            core_touch_service(core, s);
        }
        if (run->status == HOOK_FAILED ||
            (run->status == HOOK_TIMED_OUT && !c->plan.hooks[run->hook].continues))
            return false;
    }
    return true;
}

bool
hooks_are_over(const struct course *c)
{
    for (int i = 0; i < c->hook_count; i++) {
        if (c->hooks[i].status == HOOK_AWAITING_ACTION)
            return false;
    }
    return true;
}

void
hooks_continued(struct core *core, const struct ev_service_deployment_continue *ev)
{
    struct service_deployment *sd = NULL;
    struct service *s = core_service_of_deployment(core, ev->arn, &sd);
    struct course *c = s == NULL ? NULL : &s->course;

    if (c == NULL || sd != service_current(s) || !c->is_on || c->is_frozen || c->is_returning)
        return;
    for (int i = 0; i < c->hook_count; i++) {
        if (strcmp(c->hooks[i].id, ev->hook_id) != 0 ||
            c->hooks[i].status != HOOK_AWAITING_ACTION)
            continue;
        c->hooks[i].status = ev->rolls_back ? HOOK_FAILED : HOOK_SUCCEEDED;
        core_touch_service(core, s);
        core_queue(core, s);
    }
}

int64_t
hooks_deadline_ms(const struct service *s)
{
    const struct course *c = &s->course;
    int64_t due = INT64_MAX;

    for (int i = 0; i < c->hook_count; i++) {
        if (c->hooks[i].status == HOOK_AWAITING_ACTION)
            due = earlier(due, c->hooks[i].expires_at_ms);
    }
    return due;
}
