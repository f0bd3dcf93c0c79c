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

bool
err_set(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;

    assert(code != ERR_NONE);
    if (err == NULL)
        return false;
    /* Through a copy, because the arguments may point into the message that is there. */
    char message[sizeof(err->message)];
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    memcpy(err->message, message, sizeof(message));
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
    char message[sizeof(err->message)];
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    append(message, sizeof(message), strerror_r(sys_errno, reason, sizeof(reason)));
    memcpy(err->message, message, sizeof(message));
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
    char message[sizeof(err->message)];
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    append(message, sizeof(message), err->message);
    memcpy(err->message, message, sizeof(message));
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
