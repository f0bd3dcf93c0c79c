/* SPDX-License-Identifier: MIT */
/* tree.h - whole folders: what they take of the disk, and how they go.
 * What is let go is moved into the folder `.gone` of its root first, in one step: its name is free at
 * once, and what a kill left of it is found there and removed later (tree_remove_gone()).
 * No symbolic link is followed, in no part of a path below a root; other file systems that are
 * mounted in a folder do not count.  `is_stopped` may be NULL; true ends the work, which then fails. */
#pragma once
#include "base/err.h"
#include "base/str.h"

typedef bool tree_stop(void *arg);

/* Bytes on disk of a file or folder; a file with several names counts by its share.  Absent: 0. */
bool tree_bytes(const char *root, const char *below, tree_stop *is_stopped, void *arg,
                int64_t *out, struct err *err) MUST_CHECK;
/* Absent is success. */
bool tree_let_go(const char *root, const char *below, struct err *err) MUST_CHECK;
/* Removes what was let go, however deep it is.  What cannot be removed stays, and is said; the rest goes. */
bool tree_remove_gone(const char *root, tree_stop *is_stopped, void *arg, struct err *err) MUST_CHECK;
