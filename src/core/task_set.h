/* SPDX-License-Identifier: MIT */
/* task_set.h - services with the deployment controller EXTERNAL: task sets side by side.
 * An external deployer decides what a rolling update would: which sets there are, how large each is
 * (a percentage of the service's desired count), which one is the primary, where the listeners
 * lead.  The core keeps each set at its size: it launches, places, registers, replaces what is
 * unhealthy or on a draining instance, and stops by the one stop path.  Nothing here is judged: no
 * breaker, no rollback, no verdict; only launches that fail are spaced (backoff.h).
 *
 * A set is a struct deployment with a struct task_set.  minimumHealthyPercent and maximumPercent
 * bind the replacements within one set, of its own size; a smaller scale is obeyed at once.
 * STEADY_STATE: as many tasks run as it shall have, none is on an instance that is being drained,
 * and whatever is checked (targets, containers) is healthy. A deleted set is DRAINING and is
 * forgotten with its last task; protection does not hold it up. */
#pragma once
#include "core/index.h"

void task_set_create(struct core *core, const struct ev_task_set_create *ev);
void task_set_scale(struct core *core, const struct ev_task_set_scale *ev);
void task_set_promote(struct core *core, const struct ev_task_set_promote *ev);
void task_set_delete(struct core *core, const struct ev_task_set_delete *ev);

/* Every move that is possible now. */
void task_sets_advance(struct core *core, struct service *s);
/* Says of each set whether it is stable, and of the service whether it has reached a steady state. */
void task_sets_note_steadiness(struct core *core, struct service *s);
int64_t task_sets_deadline_ms(const struct core *core, const struct service *s);
/* The service's desired count is another one. */
void task_sets_resize(struct core *core, struct service *s);
void task_sets_abandon(struct service *s);     /* the service is deleted */
void task_sets_check(const struct service *s); /* asserts what must always be true */
