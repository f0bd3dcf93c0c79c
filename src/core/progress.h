/* SPDX-License-Identifier: MIT */
/* progress.h - the progress deadline: a deployment that gets nowhere for so long has failed.
 * Progress is that more tasks of the PRIMARY are healthy than ever before in this deployment, so
 * flapping is none.  The clock runs while tasks are missing, and stands else: during drains,
 * bake times and hooks, which have ends of their own.  It stands while the infrastructure is at
 * fault (nothing answers, no place, an agent is gone or is waited for) or protected tasks hold the deployment back.
 * Nor does it run while naru itself stands still, behind which there is a moment for the reports of that time: a few
 * seconds in all, so that a machine on which naru is starved again and again does not put the end off for ever.  What is stored is the time that was spent
 * before the clock stood last: what runs when naru dies is given back, since naru was not there to
 * see any progress. */
#pragma once
#include "core/index.h"

/* By the counts of the last look.  True if the deployment has failed by it. */
bool progress_judge(struct core *core, struct service *s);
/* What became of its tasks is not known, and nothing is started until it is: the clock stands. */
void progress_awaits_word(struct core *core, struct service *s);
int64_t progress_deadline_ms(const struct core *core, const struct service *s);
/* An agent came or went: clocks that stand or run may have to change. */
void progress_agents_changed(struct core *core);
/* The step under way comes so much later than it was to: nobody looked meanwhile, and it does not
 * count. */
void progress_was_late(struct core *core, int64_t late_ms);
/* Orders were performed late: whatever runs, runs from now on. */
void progress_anew(struct core *core);
