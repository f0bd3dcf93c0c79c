/* SPDX-License-Identifier: MIT */
/* selection.h - the files of a directory that Ant patterns name: a list with commas, `*` within a
 * part of a path, `**` across parts, a folder's name with '/' for all below it.
 * Limits: SELECTION_FILES_MAX files, SELECTION_DEPTH_MAX folders deep (what lies deeper is not
 * seen). */
#pragma once
#include "pipeline/run/run.h"

#define SELECTION_FILES_MAX 20000
#define SELECTION_DEPTH_MAX 64

struct selection {
    struct step_call *s;
    const char *root; /* absolute; missing: nothing is found */
    struct str includes, excludes;
    bool default_excludes; /* passes .git and its like over */
    bool ignore_case;
    enum links { LINKS_SKIP, LINKS_KEEP, LINKS_FOLLOW } links;
    struct list found; /* texts: paths relative to the root */
};

/* False with something thrown. */
bool selection_find(struct selection *sel);
bool selection_matches(struct str patterns, struct str path, bool ignore_case);
