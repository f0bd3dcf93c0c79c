/* SPDX-License-Identifier: MIT */
/* log_frames.h - takes Docker's log stream apart.  Pure.
 * Without a terminal the stream is frames: one byte 1 (stdout) or 2 (stderr), three zeros, four bytes of
 * length (big endian), then one message; with a terminal it is plain lines.  Either way a message is
 * "<time> <text>", the time as 2026-01-02T03:04:05.678901234Z (timestamps=1). */
#pragma once
#include "base/str.h"

#define LOG_MESSAGE_MAX ((size_t)1024 * 1024) /* Docker cuts at 16 KiB; a longer frame is garbage */
#define LOG_TIME_SIZE 32                      /* of the fixed form above and a NUL */

struct log_frames {
    bool has_tty;
    bool is_broken; /* what came is no log stream; feed it no more */
    struct strbuf partial;
};
typedef void log_message_call(void *arg, bool is_error, struct str message);

void log_frames_done(struct log_frames *f);
void log_frames_feed(struct log_frames *f, struct str data, log_message_call *message, void *arg);
/* Cuts the time off `message`; false (and `message` untouched) if it does not begin with one. */
bool log_take_time(struct str *message, char out[static LOG_TIME_SIZE]);
/* "1767323045.678901234", as the API's `since` wants it; empty if `time` is no time. */
void log_since(const char *time, char out[static LOG_TIME_SIZE]);
