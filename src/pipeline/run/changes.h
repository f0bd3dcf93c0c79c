/* SPDX-License-Identifier: MIT */
/* changes.h - what was committed since the previous build of the branch: what scripts see as
 * currentBuild.changeSets, and what `when { changeset }` and `when { changelog }` look at.
 * git is asked when a build first wants to know (a repository elsewhere is then fetched with
 * CHANGES_MAX commits of history instead of one), and what it said is kept for a build that is taken
 * up again.  As with Jenkins: merges themselves are left out, the oldest commit comes first, and the
 * first build of a branch has no changes; the first one of a change (a pull request) has those that it
 * would bring to its target.
 * Limits: CHANGES_MAX commits, CHANGES_PATHS_MAX paths in all, 16 KiB of a message.
 * A commit is {"commitId", "author", "authorEmail", "timestampMs", "msg", "comment",
 * "files": [{"path", "editType"}]}, where editType is add, edit or delete. */
#pragma once
#include "base/json.h"
#include "pipeline/run/run.h"

#define CHANGES_MAX 200u
#define CHANGES_PATHS_MAX 5000u

/* Reads what workspace_log() makes git say; an array for the caller to unref.  Bytes that are
 * not such a log end it. */
struct json *changes_parse(struct str log);

/* Borrowed until the build ends; empty where nothing is known. */
const struct json *changes_of_build(struct run *run);
/* Of a change all that it would bring to its target, else the same. */
const struct json *changes_to_judge(struct run *run);
/* Of an earlier build: between two commits. */
const struct json *changes_between(struct run *run, const char *from, const char *to);
/* As scripts see them: a list with one change set, or none. */
struct value changes_value(struct run *run, const struct json *commits);
