/* SPDX-License-Identifier: MIT */
#include "core/wait.h"
#include <stdio.h>
#include "core/backoff.h"

const char *
wait_cause_name(enum wait_cause cause)
{
    static const char *const names[] = {
        "",
#define X(NAME) #NAME,
        WAIT_CAUSES(X)
#undef X
    };

    return names[cause];
}

/* Nobody asked it to stop. */
static bool
ended_by_itself(const struct task *t)
{
    return t->last_status == TASK_STOPPED && t->has_stop_code &&
           (t->stop_code == STOP_TaskFailedToStart ||
            t->stop_code == STOP_EssentialContainerExited || t->stop_code == STOP_TerminationNotice);
}

static const struct task *
newest_of(const struct task *list, const struct deployment *d)
{
    for (; list != NULL; list = list->next_live) {
        if (ended_by_itself(list) && strcmp(list->deployment_id, d->id) == 0)
            return list;
    }
    return NULL;
}

static const char *
last_failure(const struct service *s, const struct deployment *d)
{
    const struct task *live = newest_of(s->live, d), *settled = newest_of(s->settled, d);

    if (live != NULL && (settled == NULL || live->stopped_at_ms >= settled->stopped_at_ms))
        return live->stopped_reason;
    return settled == NULL ? "" : settled->stopped_reason;
}

static enum wait_cause
find_cause(const struct core *core, const struct service *s, const struct deployment *p,
           struct service_wait *w)
{
    if (p->is_failed) {
        snprintf(w->reason, sizeof(w->reason), "%s", p->rollout_reason);
        return WAIT_FAILED;
    }
    if (s->is_awaiting_word)
        return WAIT_AGENT;
    if (!backoff_is_over(core, s, p)) {
        const int64_t after_ms = s->launches.after_ms;
        const bool is_runtime = s->infrastructure_after_ms > after_ms;
        w->next_try_ms = is_runtime ? s->infrastructure_after_ms : after_ms;
        w->ends_with_host = s->environment_failed;
        snprintf(w->reason, sizeof(w->reason), "%s", last_failure(s, p));
        return is_runtime              ? WAIT_RUNTIME
               : s->launches.start_failures > 0 ? WAIT_START_FAILURES
                                       : WAIT_CRASHES;
    }
    if (s->is_waiting) {
        snprintf(w->reason, sizeof(w->reason), "%s", s->last_complaint);
        return WAIT_PLACEMENT;
    }
    if (!p->revision->is_resolved && p->revision->resolve_at_ms != 0) {
        w->next_try_ms = p->revision->resolve_at_ms;
        return WAIT_IMAGE;
    }
    return WAIT_NOTHING;
}

struct service_wait
core_service_wait(const struct core *core, const struct service *s)
{
    const struct deployment *p = s->status == SERVICE_ACTIVE ? service_primary(s) : NULL;
    struct service_wait w = {0};

    if (p == NULL)
        return w;
    w.missing = p->desired_count - core_counts(core, s, p).desired_running;
    if (w.missing <= 0)
        return (struct service_wait){0};
    w.cause = find_cause(core, s, p, &w);
    return w;
}
