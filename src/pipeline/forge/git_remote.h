/* SPDX-License-Identifier: MIT */
/* git_remote.h - naru's own bare repositories, <data>/git/<name>.git, to push to.
 * Their post-receive hook runs `naru git-hook <name>`, which reads git's lines on stdin
 * (git_hook_line()) and asks the daemon for builds.  The hook never fails a push: what it could not
 * report is found by the next comparison of heads (git_remote_heads(), room_watch.c). */
#pragma once
#include "base/err.h"
#include "base/str.h"

char *git_remote_path(const char *data_dir, const char *name); /* malloc'd */
/* Creates the repository, or brings its hook and settings up to date. */
bool git_remote_create(const char *data_dir, const char *name, const char *naru_path,
                       struct err *err) MUST_CHECK;

struct git_hook_push {
    struct str branch, commit;
    struct str before; /* empty: the branch was made */
};
/* "<old> <new> <ref>": true for a branch that was made or moved; views of the line.  Whether builds
 * take a branch of that name is for the daemon to say: who pushes hears it. */
bool git_hook_line(struct str line, struct git_hook_push *out);

/* `secrets_dir` may hold what git needs to get in (git_login.h), or be NULL; `forge`: what webhooks told
 * the repository's forge to be, or NULL. */
/* Calls for each branch of a repository (path or URL). False if git failed. */
bool git_remote_heads(const char *url, const char *secrets_dir, const char *forge,
                      void (*call)(void *arg, struct str branch, struct str commit), void *arg,
                      struct err *err) MUST_CHECK;
/* The commit a branch stands at; ERR_NOT_FOUND if there is no such branch. */
bool git_remote_resolve(const char *url, const char *secrets_dir, const char *forge,
                        const char *branch, char commit[static 41], struct err *err) MUST_CHECK;
/* The commit a ref ("refs/pull/7/merge") stands at; ERR_NOT_FOUND if there is no such ref. */
bool git_remote_ref(const char *url, const char *secrets_dir, const char *forge, const char *ref,
                    char commit[static 41], struct err *err) MUST_CHECK;
/* First line of the message and the author's name of a commit. */
bool git_remote_describe(const char *path, const char *commit, char message[static 512],
                         char author[static 128], struct err *err) MUST_CHECK;
