/* SPDX-License-Identifier: MIT */
/* credentials.h - what steps do with secrets (secrets.h): look them up, hide them in the log, give
 * them to processes as private files.  What is false has thrown. */
#pragma once
#include "base/json.h"
#include "pipeline/run/run.h"

/* For the caller to unref; NULL with something thrown that names the id. */
struct json *credential_get(struct run *run, const struct node *at, const char *id) MUST_CHECK;
/* The same, of one of these kinds (names with blanks between). */
struct json *credential_of_kind(struct run *run, const struct node *at, const char *id,
                                const char *kinds) MUST_CHECK;
/* Hides the text and the forms in which it may show up: in the shell's quotes, in base64, in a URL.
 * It stays hidden until the build ends: an error that is logged later may still carry it. */
void credential_mask(struct run *run, struct str secret);
/* Says so in the log if `text`, an argument of `step`, holds a secret that is in the environment, too: the shell
 * would have put it in later, where no process list shows it. */
void credential_warn(struct run *run, const char *step, struct str text);
/* A private file beside the workspace, in a folder of its own, until credential_file_remove() or
 * the build's end.  It stays at a stop of naru: the script that was given it goes on. */
bool credential_file(struct run *run, const struct node *at, struct str content, const char *name,
                     unsigned mode, const char **path_out);
void credential_file_remove(struct run *run, const char *path);

/* Environment of git for a credential (password or ssh), set in `layer`; `path_out` is the file
 * it needs, to be removed afterwards. */
bool credential_for_git(struct run *run, const struct node *at, struct env_layer *layer,
                        const char *id, const char **path_out);
