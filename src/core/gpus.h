/* SPDX-License-Identifier: MIT */
/* gpus.h - which GPUs of its machine a task holds (ecs.md 3.2, 7.7).
 * A machine has those that its agent names (`gpus` of its document; the first GPUS_MAX count).  A
 * task is given the first free ones when it is placed, and holds them by identifier until it is
 * STOPPED, whatever its agent says meanwhile: one that is not named any more is given to nobody,
 * and when it is named again it still is its task's.
 * Start at gpus_choose().  Private to core/; pure, and nothing fails. */
#pragma once
#include "core/index.h"

/* What all containers of the task ask for; `overrides` may be NULL. */
int gpus_wanted(const struct task_definition *td, const struct json *overrides);
int gpus_free(const struct host *h);
/* Writes t->gpus, of a task that place_lack() found room for on `h`; nothing is marked yet. */
void gpus_choose(struct task *t, const struct host *h);
/* The bits of host.gpus_taken that are of the task. */
uint64_t gpus_of(const struct host *h, const struct task *t);
void gpus_mark(struct host *h, const struct task *t, bool taken);
void gpus_mark_all(struct host *h, const struct container_instance *i); /* taken, by its tasks */
