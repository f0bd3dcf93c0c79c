/* SPDX-License-Identifier: MIT */
#include "agent/log_frames.h"
#include <ctype.h>
#include <stdio.h>
#include "base/clock.h"

#define FRAME_HEAD 8

void
log_frames_done(struct log_frames *f)
{
    strbuf_done(&f->partial);
}

static size_t
feed_lines(struct log_frames *f, struct str all, log_message_call *message, void *arg)
{
    size_t used = 0;

    for (;;) {
        const struct str rest = str_slice(all, used, all.len);
        const ptrdiff_t end = str_index(rest, '\n');

        if (end < 0) {
            f->is_broken = rest.len > LOG_MESSAGE_MAX;
            return used;
        }
        message(arg, false, str_slice(rest, 0, (size_t)end));
        used += (size_t)end + 1;
    }
}

static size_t
feed_frames(struct log_frames *f, struct str all, log_message_call *message, void *arg)
{
    size_t used = 0;

    while (all.len - used >= FRAME_HEAD) {
        const unsigned char *head = (const unsigned char *)all.at + used;
        const size_t size = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 | head[7];

        if (head[0] > 3 || head[1] != 0 || head[2] != 0 || head[3] != 0 || size > LOG_MESSAGE_MAX) {
            f->is_broken = true;
            return used;
        }
        if (all.len - used - FRAME_HEAD < size)
            return used;
        message(arg, head[0] >= 2, str_slice(all, used + FRAME_HEAD, used + FRAME_HEAD + size));
        used += FRAME_HEAD + size;
    }
    return used;
}

void
log_frames_feed(struct log_frames *f, struct str data, log_message_call *message, void *arg)
{
    if (f->is_broken)
        return;
    strbuf_add(&f->partial, data);
    const struct str all = strbuf_str(&f->partial);
    const size_t used = f->has_tty ? feed_lines(f, all, message, arg) : feed_frames(f, all, message, arg);
    if (used == 0)
        return;
    memmove(f->partial.at, f->partial.at + used, f->partial.len - used);
    f->partial.len -= used;
    f->partial.at[f->partial.len] = '\0';
}

bool
log_take_time(struct str *message, char out[static LOG_TIME_SIZE])
{
    static const char form[] = "0000-00-00T00:00:00.000000000Z";
    const size_t len = sizeof(form) - 1;

    if (message->len < len || (message->len > len && message->at[len] != ' '))
        return false;
    for (size_t i = 0; i < len; i++) {
        const char c = message->at[i];

        if (form[i] == '0' ? !isdigit((unsigned char)c) : c != form[i])
            return false;
    }
    memcpy(out, message->at, len);
    out[len] = '\0';
    *message = str_slice(*message, len + 1, message->len);
    return true;
}

void
log_since(const char *time, char out[static LOG_TIME_SIZE])
{
    struct str text = str_of(time);
    char copy[LOG_TIME_SIZE];
    int64_t ms = 0;

    out[0] = '\0';
    if (log_take_time(&text, copy) && clock_parse_iso(str_of(copy), &ms))
        (void)snprintf(out, LOG_TIME_SIZE, "%lld.%.9s", (long long)(ms / 1000), copy + 20);
}
