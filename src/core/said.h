/* SPDX-License-Identifier: MIT */
/* said.h - service events, with ECS's own words (ecs.md 5.12).
 * What a step does to one service is gathered in core->index->moves and said once, as ECS does:
 * "has started 2 tasks: (task A) (task B)." instead of two lines. */
#pragma once
#include "core/index.h"

void said_event(struct core *core, struct service *s, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same complaint is not repeated for 6 hours, unless said_no_complaint() came between. */
void said_complaint(struct core *core, struct service *s, const char *text);
void said_no_complaint(struct core *core, struct service *s);

void said_started(struct core *core, struct task *t, bool replaces_unhealthy);
void said_stopped(struct core *core, struct task *t, bool was_running);
void said_registered(struct core *core, struct task *t, const char *group_arn);
void said_deregistered(struct core *core, struct task *t, const char *group_arn);
void said_draining(struct core *core, struct task *t);
void said_flush(struct core *core); /* writes the events of what was gathered */
