/* SPDX-License-Identifier: MIT */
/* forge.h - webhooks of GitHub, GitLab and Gitea, as pure functions over bytes: is it theirs, and what
 * does it say?  Verify first, parse then.
 * A push and a new tag are built as they are; of a change (a pull or merge request) the merge into its
 * target is built where the forge offers one.  The rest says nothing to do, and why. */
#pragma once
#include "pipeline/forge/github.h"

enum forge { FORGE_GITHUB, FORGE_GITLAB, FORGE_GITEA };

enum forge_what {
    FORGE_NOTHING, /* `ignored` says why */
    FORGE_BUILD,   /* a branch, a tag or a change */
    FORGE_GONE,    /* the branch was deleted, the change was closed */
};

struct forge_event {
    enum forge_what what;
    const char *ignored;     /* a literal */
    struct github_push push; /* `branch` is the job: "main", a tag, "PR-7" */
    char ref[300];           /* to fetch; "" for a branch */
    char head[41];           /* of a change: the commit that is judged */
    bool is_fork;
    struct json *change; /* {"id", "url", "title", "author", "target", "branch", "fork"}; or NULL */
};

bool forge_is_authentic(enum forge forge, struct str secret, struct str body, struct str signature);
/* On success forge_event_done() is due. */
bool forge_event_parse(enum forge forge, struct str event, struct str body,
                       struct forge_event *out, struct err *err) MUST_CHECK;
void forge_event_done(struct forge_event *e);
