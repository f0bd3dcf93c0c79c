/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include "hooks/hook_answer.h"
#include "hooks/internal.h"
#include "model/hook_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A receiver's answer; the output of a command; the name of a target. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str body = {(const char *)data, size};
    cleanup_free char *text = str_dup(body);
    char lines[64];
    struct hook_answer answer;
    enum hook_kind kind = HOOK_KIND_PAUSE;
    struct err err = {0};

    if (hook_answer_parse(body, &answer, &err)) {
        assert(size <= HOOK_ANSWER_MAX && answer.outcome != OUTCOME_UNREACHED);
        assert((answer.outcome == OUTCOME_IN_PROGRESS) == (answer.delay_s > 0));
        assert(answer.delay_s <= HOOK_DELAY_MAX_S);
    } else {
        assert(err.message[0] != '\0');
    }
    hook_last_lines(body, lines, sizeof(lines));
    assert(json_is_utf8(str_of(lines)) && strpbrk(lines, "\n\r\t\033") == NULL);
    err = (struct err){0};
    if (hook_target_read(text, &kind, &err))
        assert(kind != HOOK_KIND_PAUSE && strlen(text) <= HOOK_TARGET_MAX);
    else
        assert(err.message[0] != '\0');
    return 0;
}
