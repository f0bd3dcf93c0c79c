/* SPDX-License-Identifier: MIT */
/* build_group.h - the cgroup of a build (io/cgroup.h): made when it begins, found again when it is
 * taken up, removed by leftovers_end().  It is marked with the data directory.  All processes of its steps are in it; containers are
 * Docker's, and get the same limits by their options.
 * Where none can be made the log of naru says so once, and builds go on without. */
#pragma once
#include "pipeline/run/run.h"

#define BUILD_GROUP_PREFIX "build-" /* then the build's cookie */

void build_group_enter(struct run *run);
void build_group_leave(struct run *run, struct runner_outcome *out); /* `out` gets what it used */
/* Says in the log which limits were met since it last did.  `folder`, the step's that may have met
 * them, keeps what was said, so that the step says it again when it is taken up. */
void build_group_tell(struct run *run, const char *folder);
