/* SPDX-License-Identifier: MIT */
#include "core/rolling_hooks.h"
#include "core/hooks.h"

static void
enter(struct core *core, struct service *s, enum lifecycle_stage stage)
{
    s->course.stage = service_current(s)->stage = stage;
    s->course.stage_at_ms = service_current(s)->updated_at_ms = core->now_ms;
    core_touch_service(core, s);
}

void
rolling_begin(struct core *core, struct service *s)
{
    hooks_drop(core, s);
    enter(core, s, STAGE_NONE);
    if (s->course.plan.hook_count == 0)
        return;
    enter(core, s, STAGE_PRE_SCALE_UP);
    hooks_start(core, s, STAGE_PRE_SCALE_UP);
}

bool
rolling_holds(const struct service *s)
{
    return !s->course.is_on && s->course.stage == STAGE_PRE_SCALE_UP;
}

bool
rolling_move(struct core *core, struct service *s)
{
    if (s->course.is_on || s->course.stage == STAGE_NONE)
        return false;
    if (!hooks_advance(core, s)) {
        hooks_fail(core, s);
        return true;
    }
    if (!rolling_holds(s) || !hooks_are_over(&s->course))
        return false;
    enter(core, s, STAGE_SCALE_UP);
    return true;
}

bool
rolling_has_passed(struct core *core, struct service *s)
{
    const struct course *c = &s->course;

    if (c->is_on || c->stage == STAGE_NONE)
        return true;
    /* A hook that can not be begun fails at once.  What is started in this step is heard of, and
     * then the question comes again. */
    if (c->stage == STAGE_SCALE_UP && s->launch_step == core->index->step)
        return false;
    if (c->stage == STAGE_SCALE_UP) {
        enter(core, s, STAGE_POST_PRODUCTION_TRAFFIC_SHIFT);
        hooks_start(core, s, STAGE_POST_PRODUCTION_TRAFFIC_SHIFT);
        if (c->hook_count > 0)
            core_queue(core, s); /* once more, for rolling_move() */
    }
    return c->stage == STAGE_POST_PRODUCTION_TRAFFIC_SHIFT && hooks_are_over(c);
}
