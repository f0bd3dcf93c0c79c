/* SPDX-License-Identifier: MIT */
/* pause_image.h - the smallest image there is: one static program of a few machine instructions that
 * sleeps until it is killed, and so holds a task's network namespace (container_spec.h).
 * Made here byte by byte, so that no image has to be downloaded and no compiler is needed. */
#pragma once
#include "base/err.h"
#include "base/str.h"

/* The tar of its root file system, for Docker's architecture name ("amd64", "arm64"). */
bool pause_image_tar(const char *arch, struct strbuf *out, struct err *err) MUST_CHECK;
