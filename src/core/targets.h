/* SPDX-License-Identifier: MIT */
/* targets.h - where tasks meet target groups.
 * A target is (id, port) within its group.  Two tasks may want the same one in turn (a fixed or a
 * reused host port): the second waits until the first was seen drained.  Each registration has a
 * number of its own, so that a late report about the old one is never taken for the new one's. */
#pragma once
#include "core/index.h"

enum targets_progress {
    TARGETS_MISSING, /* one could not be registered yet */
    TARGETS_INITIAL, /* one has no verdict yet */
    TARGETS_DECIDED  /* or the task has none */
};

/* ---- of one task ---- */
enum targets_progress targets_register(struct core *core, struct task *t); /* those that are not */
void targets_deregister(struct core *core, struct task *t); /* and sets its drain deadline */
bool targets_are_registered(const struct task *t);          /* any, draining ones too */
bool targets_are_healthy(const struct core *core, const struct task *t); /* all of them */
/* Is one of them unhealthy?  Then says so as an event and gives the task's stoppedReason. */
bool targets_complain(struct core *core, struct task *t, char reason[static REASON_SIZE]);
void targets_ask_again(struct core *core, struct task *t);
void targets_give_up(struct core *core, struct task *t); /* waiting for the balancer took too long */
int64_t targets_drain_deadline_ms(const struct core *core, const struct task *t);

/* ---- of a group: reports, and targets registered by hand ---- */
void targets_change(struct core *core, const struct ev_targets_change *ev);
void target_health_reported(struct core *core, const struct ev_target_health *ev);
void target_drained(struct core *core, const struct ev_target_drained *ev);
void targets_forget_group(struct core *core, struct target_group *tg);
/* `tg` takes the place of `before`, and its targets; a copy's are dropped with `before`. */
void targets_replace_group(struct core *core, struct target_group *before, struct target_group *tg);
void targets_resume(struct core *core);  /* owners again; hand-made targets are asked for again */
void targets_drain_anew(struct core *core); /* every drain under way has its whole time again */
void targets_advance(struct core *core); /* hand-made ones whose drained report got lost */
int64_t targets_deadline_ms(const struct core *core);
