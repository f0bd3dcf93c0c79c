/* SPDX-License-Identifier: MIT */
/* leftovers.h - finds and ends what a build left running.
 * Every process of a build carries its cookie in the environment, as with Jenkins, and so do all
 * that it starts, whatever group or session they flee to.  Where the build has a cgroup
 * (build_group.h), also those in it that shed their environment.
 * Who is meant to stay says so as with Jenkins: JENKINS_NODE_COOKIE=dontKillMe or
 * BUILD_ID=dontKillMe in its environment.  It is moved out of the cgroup, and stays, unless the build was
 * of a change that is not trusted.
 * Blocks, up to ten seconds if they refuse. */
#pragma once
#include <stdbool.h>

/* Ends every process whose environment has JENKINS_NODE_COOKIE=`cookie`, or that is in that build's
 * cgroup: SIGTERM to each, SIGKILL two seconds later; then removes the cgroup.  `spares`: those
 * that are meant to stay do.  Gives how many were found. */
unsigned leftovers_end(const char *cookie, bool spares);

/* One look: sends `signal` (0: none) to every process whose environment has the entry "NAME=value",
 * also in containers of this machine; who is meant to stay is passed over.  Gives how many there
 * are. */
unsigned leftovers_signal(const char *entry, int signal);
