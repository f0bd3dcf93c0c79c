/* SPDX-License-Identifier: MIT */
/* internal.h - what the files of this room share: one call, made on a thread of a crew. */
#pragma once
#include "hooks/hooks.h"

struct hook_verdict {
    enum hook_outcome outcome;
    int delay_s;
    char detail[HOOK_DETAIL_SIZE];
};

/* Asked several times a second while a call runs. */
typedef bool hook_cancelled(void *arg);

void hook_url_call(const struct hook_call *call, hook_cancelled *is_cancelled, void *arg,
                   struct hook_verdict *out);
void hook_command_run(const char *commands_dir, const struct hook_call *call,
                      hook_cancelled *is_cancelled, void *arg, struct hook_verdict *out);
/* The last lines of `text` in one, separated by "; ", without control characters, at most `size`
 * bytes with the NUL. */
void hook_last_lines(struct str text, char *out, size_t size);
