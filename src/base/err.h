/* SPDX-License-Identifier: MIT */
/* err.h - one error on the caller's stack; failing cannot fail.
 * What can fail returns bool, takes `struct err *err` last and fills it before it returns false.
 * err_set(), err_errno() and err_context() return false, so failing is one line.
 * `err` may be NULL where the caller does not care.  Bugs are asserts, not errors. */
#pragma once
#include <stdbool.h>
#include "base/str.h"

enum err_code {
#define CODE(name, wire, http) ERR_##name,
#include "base/codes.def"
#undef CODE
};

struct err {
    enum err_code code;
    int sys_errno;      /* the errno behind it, or 0; for the log, never for the client */
    char message[1024]; /* one sentence naming the thing that failed */
};

bool err_set(struct err *err, enum err_code code, const char *format, ...) PRINTF_LIKE(3, 4);
/* ERR_INTERNAL with ": strerror(errno)" behind the text. */
bool err_errno(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
/* Puts "text: " in front of what is there. */
bool err_context(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
const char *err_wire(enum err_code code); /* "ClusterNotFoundException" */
int err_http(enum err_code code);
