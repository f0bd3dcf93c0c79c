/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

struct code_row {
    const char *wire;
    int http;
};

static const struct code_row codes[] = {
#define CODE(name, wire, http) [ERR_##name] = {wire, http},
#include "base/codes.def"
#undef CODE
};

/* Adds what fits of ": text". */
static void
append(char *message, size_t size, const char *text)
{
    size_t len = strlen(message), more = strlen(text), room = size - 1 - len;

    if (room < 3)
        return;
    memcpy(message + len, ": ", 2);
    more = more < room - 2 ? more : room - 2;
    memcpy(message + len + 2, text, more);
    message[len + 2 + more] = '\0';
}

/* The message; `reason` may be NULL.  Through a copy, because the arguments may point into the
 * message that is there. */
static void
say(struct err *err, const char *format, va_list args, const char *reason)
{
    char message[sizeof(err->message)];

    (void)vsnprintf(message, sizeof(message), format, args);
    if (reason != NULL)
        append(message, sizeof(message), reason);
    memcpy(err->message, message, sizeof(message));
}

bool
err_set(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;

    assert(code != ERR_NONE);
    if (err == NULL)
        return false;
    va_start(args, format);
    say(err, format, args, /* reason= */ NULL);
    va_end(args);
    err->code = code;
    err->sys_errno = 0;
    return false;
}

bool
err_errno(struct err *err, const char *format, ...)
{
    int sys_errno = errno;
    char reason[128];
    va_list args;

    if (err == NULL)
        return false;
    va_start(args, format);
    say(err, format, args, strerror_r(sys_errno, reason, sizeof(reason)));
    va_end(args);
    err->code = ERR_INTERNAL;
    err->sys_errno = sys_errno;
    return false;
}

bool
err_context(struct err *err, const char *format, ...)
{
    va_list args;

    if (err == NULL)
        return false;
    va_start(args, format);
    say(err, format, args, err->message);
    va_end(args);
    return false;
}

const char *
err_wire(enum err_code code)
{
    assert((size_t)code < ARRAY_COUNT(codes));
    return codes[code].wire;
}

int
err_http(enum err_code code)
{
    assert((size_t)code < ARRAY_COUNT(codes));
    return codes[code].http;
}
