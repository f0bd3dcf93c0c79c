/* SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "pipeline/run/run.h"

static void
report(struct run *run, const struct stage_run *own, struct str name, enum stage_state state,
       const char *reason, int64_t started_ms)
{
    struct stage_report r = {.name = name,
                             .depth = run->depth,
                             .key = own->key,
                             .is_branch = own->is_branch,
                             .state = state,
                             .reason = reason,
                             .started_ms = started_ms};

    run_log_flush(run);
    if (run_is_suspended(run))
        return;
    r.took_ms = state == STAGE_RUNNING || state == STAGE_SKIPPED ? 0 : clock_wall_ms() - started_ms;
    if (run->config->on_stage != NULL)
        run->config->on_stage(run->config->ctx, &r);
}

static void
give_key(struct run *run, struct stage_run *own)
{
    if (run->stage != NULL)
        own->key = arena_format(&run->arena, "%s/%u", run->stage->key, ++run->stage->children);
    else
        own->key = arena_format(&run->arena, "%u", ++run->stage_count);
}

void
stage_enter(struct run *run, struct stage_run *own, struct str name, bool is_branch,
            int64_t *started_ms)
{
    *own = (struct stage_run){.outer = run->stage, .is_branch = is_branch};
    *started_ms = clock_wall_ms();
    give_key(run, own);
    report(run, own, name, STAGE_RUNNING, NULL, *started_ms);
    run->stage = own;
    run->depth++;
}

static enum stage_state
state_of(const struct stage_run *own, const struct exception *e)
{
    enum build_result r = run_error_result(e);

    if (own->mark > r)
        r = own->mark;
    switch (r) {
    case RESULT_SUCCESS:
        return STAGE_SUCCESS;
    case RESULT_UNSTABLE:
        return STAGE_UNSTABLE;
    case RESULT_ABORTED:
        return STAGE_ABORTED;
    default:
        return STAGE_FAILED;
    }
}

static void
step_out(struct run *run, const struct stage_run *own)
{
    run->stage = own->outer;
    run->depth--;
}

void
stage_leave(struct run *run, struct stage_run *own, struct str name, int64_t started_ms,
            const struct exception *e)
{
    step_out(run, own);
    report(run, own, name, state_of(own, e), NULL, started_ms);
}

void
stage_skip(struct run *run, struct stage_run *own, struct str name, const char *reason)
{
    if (run->stage == own)
        step_out(run, own); /* it had begun */
    else
        *own = (struct stage_run){.outer = run->stage};
    if (own->key == NULL)
        give_key(run, own);
    report(run, own, name, STAGE_SKIPPED, reason, clock_wall_ms());
    run->stage = own;
    run->depth++;
}

void
stage_skipped(struct run *run, struct stage_run *own)
{
    step_out(run, own);
}
