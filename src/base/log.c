/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include "base/clock.h"

#define LINE_MAX_BYTES 4096
#define QUOTE_MAX_BYTES 1024
#define QUOTE_BUFFERS 4

static atomic_int threshold = LOG_INFO;

void
log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

static const char *
level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    return names[level];
}

void
log_line(enum log_level level, const char *at, const char *format, ...)
{
    char line[LINE_MAX_BYTES], ts[32];
    int saved = errno; /* a log line between a failure and its err_errno() must not hide it */
    size_t len;
    va_list args;
    ssize_t n;

    if ((int)level < atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    clock_format_iso(clock_wall_ms(), ts);
    (void)snprintf(line, sizeof(line), "ts=%s level=%s at=%s ", ts, level_name(level), at);
    len = strlen(line);
    va_start(args, format);
    (void)vsnprintf(line + len, sizeof(line) - len - 1, format, args);
    va_end(args);
    len += strlen(line + len);
    while (len > 0 && line[len - 1] == ' ')
        len--;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < ' ')
            line[i] = ' '; /* one event stays one line, whatever it quotes */
    line[len++] = '\n';
    do
        n = write(STDERR_FILENO, line, len);
    while (n < 0 && errno == EINTR);
    errno = saved;
}

static size_t
quote_char(char *out, char c)
{
    unsigned char u = (unsigned char)c;

    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = c;
        return 2;
    }
    if (c == '\n' || c == '\t' || c == '\r') {
        out[0] = '\\';
        out[1] = c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
        return 2;
    }
    if (u < ' ' || u == 0x7f)
        return (size_t)snprintf(out, 5, "\\x%02x", u);
    out[0] = c;
    return 1;
}

const char *
log_quote(const char *text)
{
    static _Thread_local char buffers[QUOTE_BUFFERS][QUOTE_MAX_BYTES];
    static _Thread_local unsigned turn;
    char *out = buffers[turn++ % QUOTE_BUFFERS];
    size_t len = 0;

    out[len++] = '"';
    for (const char *p = text == NULL ? "" : text; *p != '\0'; p++) {
        if (len + 10 > QUOTE_MAX_BYTES) {
            len += (size_t)snprintf(out + len, 4, "...");
            break;
        }
        len += quote_char(out + len, *p);
    }
    out[len++] = '"';
    out[len] = '\0';
    return out;
}
