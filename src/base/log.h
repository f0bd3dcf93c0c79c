/* SPDX-License-Identifier: MIT */
/* log.h - logfmt lines on stderr: `ts=... level=info at=deployment.completed service=web`.
 * The format gives the pairs; values with blanks are the caller's to quote with %s and log_quote.
 * Never secrets, never bodies.  Thread safe: one write(2) a line. */
#pragma once
#include "base/cleanup.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level level); /* default LOG_INFO */
/* log_info("server.started", "port=%d took_ms=%lld", port, ms) */
void log_line(enum log_level level, const char *at, const char *format, ...) PRINTF_LIKE(3, 4);
#define log_debug(at, ...) log_line(LOG_DEBUG, at, __VA_ARGS__)
#define log_info(at, ...) log_line(LOG_INFO, at, __VA_ARGS__)
#define log_warn(at, ...) log_line(LOG_WARN, at, __VA_ARGS__)
#define log_error(at, ...) log_line(LOG_ERROR, at, __VA_ARGS__)
/* `"text"` with quotes and control characters escaped, in one of four per-thread buffers. */
const char *log_quote(const char *text);
