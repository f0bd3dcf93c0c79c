/* SPDX-License-Identifier: MIT */
/* artifacts.h - what `archiveArtifacts` of a build kept, for the API.
 * <build>/artifacts is a build's own doing: no symbolic link in there is followed, and plain files only are
 * shown.  Limits: ARTIFACTS_MAX files of a list, 64 folders deep. */
#pragma once
#include "pipeline/room.h"

#define ARTIFACTS_MAX 10000u

/* {"artifacts": [{"path", "size"}], "truncated": true}, by path. */
struct json *room_artifacts(const struct pipeline_room *room, const char *pipeline, int64_t number,
                            struct err *err) MUST_CHECK;
/* One of them, for reading; the caller's. */
bool room_artifact_open(const struct pipeline_room *room, const char *pipeline, int64_t number,
                        const char *path, int *fd_out, int64_t *size_out,
                        struct err *err) MUST_CHECK;
