/* SPDX-License-Identifier: MIT */
/* lock_table.h - the resources that `lock` steps hold, of all builds.
 * First come, first served.  Who holds what is on disk (if there is a path) before a step goes on, so
 * that a build which is taken up after a restart still has its locks.
 * An owner is "<pipeline>#<number> <step>"; asking again is harmless.  Thread safe. */
#pragma once
#include "base/err.h"

struct lock_table;

struct lock_table *lock_table_new(const char *path); /* NULL: memory only */
void lock_table_free(struct lock_table *t);
/* Takes the resource or queues for it: true once it is this owner's. */
bool lock_table_take(struct lock_table *t, const char *resource, const char *owner);
bool lock_table_is_free(struct lock_table *t, const char *resource, const char *owner);
void lock_table_give(struct lock_table *t, const char *resource, const char *owner);
/* All of a build that is over: owners that begin with `prefix` ("web#7 "). */
void lock_table_give_all(struct lock_table *t, const char *prefix);
