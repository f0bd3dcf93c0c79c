/* SPDX-License-Identifier: MIT */
/* hearing.h - what is known of tasks after naru was away.
 * Rows say what was.  What became of a task meanwhile only its agent can tell, which is asked at once.  Until
 * it has spoken of the task, time alone proves nothing of it (that it has run for 40 s, that it failed
 * its checks beyond the grace period), and its service makes no move: not that a bake time is over, since
 * what baked may be long dead; nor that a hook took too long, whose task may have done its work. */
#pragma once
#include "core/index.h"

/* It was read from a row, and is not over. */
void hearing_begin(struct core *core, struct task *t);
/* Its agent has spoken of it, or nobody wants it any more. */
void hearing_end(struct core *core, struct task *t);
/* All that was read is so now: of a copy whose world is made up. */
void hearing_end_all(struct core *core);
/* Is the agent's word of the task still waited for?  Who is given up is judged by what else is known. */
bool hearing_awaits_task(const struct core *core, const struct task *t);
/* Does the service wait for what agents have to say of its tasks, or of those of its hooks?  Not for a
 * machine without Docker while others work, and not for ever for an agent that says nothing. */
bool hearing_awaits(const struct core *core, const struct service *s);
/* When the next of those who say nothing is given up, or INT64_MAX. */
int64_t hearing_deadline_ms(const struct core *core);
/* An agent came, for the first time or again, or went: whoever waits looks again. */
void hearing_agents_changed(struct core *core);
