/* SPDX-License-Identifier: MIT */
/* fake_hooks.h - lifecycle hooks, in worlds of both sizes: which ones a service has, how those who are
 * called answer, and what has to be true of the tasks that are hooks or wait for some.
 * A receiver may answer at once or late, wrongly, twice, with one attempt's answer to another one,
 * or never; a command may be cancelled and answer all the same.  Tasks that are hooks are Docker's. */
#pragma once
#include "fate.h"
#include "shown.h"

/* A task that is a hook can be of any of these definitions; none: hooks are no tasks here. */
struct hook_tasks {
    const char (*definitions)[ARN_SIZE];
    int count;
};
/* Draws hooks for `c`, whose strategy is drawn already; says so in doc. */
void draw_hooks(struct fate *f, const struct hook_tasks *tasks, struct strategy_config *c,
                struct json *doc);
/* Has whoever is called answer, mostly: its reports are on their way. */
void hook_is_called(struct fate *f, int64_t now_ms, uint32_t epoch, const struct ef_hook_call *call);

/* Whose hook it is, as long as that waits for it; or NULL. */
const struct service *service_of_hook(const struct core *core, const char *hook_id);
/* One task a hook, whatever happened to naru; and only beside those that the same stage waits for.
 * `t` was just started for its hook; `other` is an earlier task of `other_hook`, of the same service
 * unless is_of_other_service. */
bool hook_task_is_well(const struct core *core, const struct task *t, const char *other,
                       const char *other_hook, bool other_told_stopped, bool is_of_other_service,
                       struct complaint *out);
/* No task of a deployment before the hooks of its PRE_SCALE_UP let it go on: `t` was just started. */
bool hooks_let_start(const struct core *core, const struct task *t, struct complaint *out);
