/* SPDX-License-Identifier: MIT */
/* container_logs.h - what containers say, kept on disk: <data_dir>/log/tasks/<task id>/<container>.log
 * One line a message: "2026-01-02T03:04:05.678901234Z stdout the text", Docker's own time; a message that
 * Docker cut (16 KiB) is several lines.  At LOG_FILE_MAX the file becomes .log.1 and that .log.2, whose
 * old content goes.  Logs outlive their task until all of them together pass LOGS_TOTAL_MAX, or are those
 * of more than LOGS_TASKS_MAX tasks; then the longest untouched go first.
 * The last lines of each container are kept for longer: log_tail.h.
 * What cannot be written (a full disk) is asked of Docker again until it can.  After a restart of ours or of Docker the capture goes on behind the last line on disk, so nothing is
 * lost that Docker still has, and nothing is doubled.
 * Its own loop thread: disk and log bytes never keep the runners waiting.  Calls from any thread. */
#pragma once
#include <stdbool.h>
#include "agent/log_frames.h"

#define LOG_FILE_MAX (10LL * 1024 * 1024)
#define LOG_FILES 3
#define LOGS_TOTAL_MAX (1024LL * 1024 * 1024)
#define LOGS_TASKS_MAX 5000

struct container_logs;

struct container_logs *container_logs_new(const char *docker_socket, const char *data_dir);
void container_logs_free(struct container_logs *logs);
/* Captures a container that runs or ran; again is harmless. */
void container_logs_follow(struct container_logs *logs, int api_minor, const char *task_id,
                           const char *container, const char *docker_id, bool has_tty);
/* The container has stopped: take what is left and close. */
void container_logs_finish(struct container_logs *logs, const char *docker_id);
/* The task is gone: stop following, and make room if all logs together have grown too large. */
void container_logs_forget(struct container_logs *logs, const char *task_id);
/* The path of a container's newest file; false, and "", if it is too long or a name is no name of a
 * file. */
bool container_logs_path(const char *data_dir, const char *task_id, const char *container, char *out,
                         size_t size);
