/* SPDX-License-Identifier: MIT */
/* leftovers.h - finds and ends what a build left running.
 * Every process of a build carries its cookie in the environment, as with Jenkins, and so do all
 * that it starts, whatever group or session they flee to.  Blocks, up to ten seconds if they refuse. */
#pragma once

/* Ends every process whose environment has JENKINS_NODE_COOKIE=`cookie`: SIGTERM to each, SIGKILL
 * two seconds later.  Gives how many were found. */
unsigned leftovers_end(const char *cookie);
