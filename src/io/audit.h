/* SPDX-License-Identifier: MIT */
/* audit.h - who did what: one logfmt line a deed in <data>/log/audit.log, `ts=... at=registry.push
 * who=... `. At AUDIT_FILE_MAX bytes the file becomes audit.log.1, that one audit.log.2 ...; the
 * AUDIT_FILES newest are kept. Lines are written at once and not flushed to the disk.
 * Threads: any; one write(2) a line. A line that cannot be written is logged, and the deed goes on.
 */
#pragma once
#include "base/err.h"

#define AUDIT_FILE_MAX (8 << 20)
#define AUDIT_FILES 5

struct audit;
struct audit *audit_open(const char *path, struct err *err) MUST_CHECK;
void audit_close(struct audit *a); /* NULL is fine */
/* audit_line(a, "registry.push", "who=%s repository=%s", ...); `a` may be NULL: nothing is kept. */
void audit_line(struct audit *a, const char *at, const char *format, ...) PRINTF_LIKE(3, 4);
