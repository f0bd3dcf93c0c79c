/* SPDX-License-Identifier: MIT */
/* log_tail.h - the last lines of a container, from its files, and from what is kept of them. Logs
 * are many bytes and go first when room is short (container_logs.h); what a post-mortem needs is
 * few: when a container's log is closed, its last LOG_TAIL_LINES lines are put aside, as
 * <data_dir>/log/tails/<task id>/<container>.log.  Those go, the oldest first, once all of them
 * together pass LOG_TAILS_TOTAL_MAX. */
#pragma once
#include "base/str.h"

#define LOG_TAIL_LINES 200
#define LOG_TAIL_SIZE ((size_t)256 * 1024) /* of one container; 200 lines hardly ever need more */
#define LOG_TAILS_TOTAL_MAX (128LL * 1024 * 1024)
#define LOG_TAILS_TASKS_MAX 50000

/* Appends the last `lines` lines of `path`, and of "<path>.1" before it, to which it was rotated;
 * nothing if there are none. */
void log_tail_read(const char *path, int64_t lines, struct strbuf *out);
/* Puts them aside.  Failures are logged: a log is no reason to stop. */
void log_tail_keep(const char *data_dir, const char *task_id, const char *container, const char *path);
