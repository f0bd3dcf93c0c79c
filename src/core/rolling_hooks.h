/* SPDX-License-Identifier: MIT */
/* rolling_hooks.h - the two stages in which a rolling update runs hooks.
 *   PRE_SCALE_UP                   before any of its tasks starts; the old ones are kept up
 *   POST_PRODUCTION_TRAFFIC_SHIFT  when it is whole and the old ones are gone, before it bakes
 * A rolling update without hooks is in no stage, and all of this does nothing. */
#pragma once
#include "core/index.h"

/* A rolling update begins, by the plan of s->course. */
void rolling_begin(struct core *core, struct service *s);
/* True if something moved: its tasks may start from now on, or it failed. */
bool rolling_move(struct core *core, struct service *s);
/* Must its tasks wait? */
bool rolling_holds(const struct service *s);
/* It is whole: are the hooks behind it?  The first question starts them. */
bool rolling_has_passed(struct core *core, struct service *s);
