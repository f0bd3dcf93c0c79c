/* SPDX-License-Identifier: MIT */
/* builds.h - naru's own routes: repositories and builds. */
#pragma once
#include "cli/cli.h"

/* GET or POST of one of those routes; the JSON of a success, or NULL with err. */
struct json *builds_ask(struct client *client, const char *method, const char *path,
                        const struct json *body, struct err *err) MUST_CHECK;
/* A bare repository that builds what is pushed to it; there already is success. Its path in `path`.
 */
bool builds_make_repository(struct client *client, const char *name, char *path, size_t size,
                            bool *is_new, struct err *err) MUST_CHECK;
/* The newest build of `pipeline` for `commit` (NULL: any); JSON null object NULL without err if
 * there is none. */
struct json *builds_find(struct client *client, const char *pipeline, const char *commit,
                         struct err *err);
struct json *builds_get(struct client *client, const char *pipeline, int64_t number,
                        struct err *err) MUST_CHECK;
/* The whole log so far. */
bool builds_log(struct client *client, const char *pipeline, int64_t number, struct strbuf *out,
                struct err *err) MUST_CHECK;
bool build_is_over(const struct json *build);
/* A line for each that waits: for what. */
void builds_tell_waiting(const struct json *builds);
const char *build_result(const struct json *build); /* "SUCCESS", ... or "" while it runs */
/* Follows a build: a line per stage as it ends, the log when it fails. The finished build, or NULL.
 */
struct json *builds_follow(struct client *client, const char *pipeline, int64_t number,
                           struct progress *progress, int64_t timeout_ms,
                           struct err *err) MUST_CHECK;
