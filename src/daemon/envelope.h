/* SPDX-License-Identifier: MIT */
/* envelope.h - a report's own copy, so that it can cross threads. */
#pragma once
#include "core/event.h"

struct envelope {
    struct event event; /* points into the envelope */
    struct arena *arena;
};

/* Reports only (INSTANCE_REPORT, IMAGE_RESOLVED, IMAGE_PUSHED, TASK_STATE, TARGET_HEALTH, TARGET_DRAINED,
 * LISTENER_IN_FORCE). */
struct envelope *envelope_new(const struct event *event);
void envelope_free(struct envelope *e);
