/* SPDX-License-Identifier: MIT */
/* hearing.h - what is known of tasks after nobody watched them.
 * Rows say what was; so does the core when naru stood still for a while (stopped, starved, its machine paused), and
 * of the tasks of a machine whose Docker was away.  What became of a task meanwhile only its agent can tell, which is
 * asked at once.  Until it has spoken of the task, time alone proves nothing of it (that it has run for 40 s, that
 * it failed its checks beyond the grace period), and its service makes no move: not that a bake time is over, since
 * what baked may be long dead; nor that a hook took too long, whose task may have done its work.
 * Who waits is bounded for each task: so long as its agent could speak, and did not. */
#pragma once
#include "core/index.h"

/* Nobody has watched it, and it is not over. */
void hearing_begin(struct core *core, struct task *t);
/* Its agent has spoken of it, or nobody wants it any more. */
void hearing_end(struct core *core, struct task *t);
/* All that was read is so now: of a copy whose world is made up. */
void hearing_end_all(struct core *core);
/* naru stood still for so long at least: all tasks are asked for. */
void hearing_stood_still(struct core *core, int64_t late_ms);
/* Is the agent's word of the task still waited for?  Who is given up is judged by what else is known. */
bool hearing_awaits_task(const struct core *core, const struct task *t);
/* The task of the service, or of its hooks, of which it waits for an agent's word since the longest; NULL: it waits for
 * none.  Not for a machine without Docker while others work, and not for ever for an agent that says nothing. */
const struct task *hearing_awaited(const struct core *core, const struct service *s);
/* When it is given up, or complained of; or INT64_MAX. */
int64_t hearing_deadline_ms(const struct core *core, const struct task *awaited);
/* Says as an event of the service that it waits for the task, if that takes long. */
void hearing_complain(struct core *core, struct service *s, const struct task *awaited);
/* Before that is noted: an agent comes, for the first time or again. */
void hearing_agent_comes(struct core *core, const struct host *h);
/* After it was noted that an agent came or went: whoever waits looks again. */
void hearing_agents_changed(struct core *core);
