/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "hooks/hook_answer.h"
#include "hooks/internal.h"
#include "io/http_client.h"

static bool
says_nobody_is_there(int status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

static void
judge(const struct http_answer *answer, struct hook_verdict *out)
{
    struct hook_answer parsed;
    struct err err = {0};

    out->outcome = OUTCOME_FAILED;
    if (answer->status < 200 || answer->status > 299) {
        if (says_nobody_is_there(answer->status))
            out->outcome = OUTCOME_UNREACHED;
        snprintf(out->detail, sizeof(out->detail), "it answered with HTTP status %d",
                 answer->status);
    } else if (!hook_answer_parse(strbuf_str(&answer->body), &parsed, &err)) {
        snprintf(out->detail, sizeof(out->detail), "its answer is invalid: %.400s", err.message);
    } else {
        out->outcome = parsed.outcome;
        out->delay_s = parsed.delay_s;
        if (parsed.outcome == OUTCOME_FAILED)
            snprintf(out->detail, sizeof(out->detail), "it answered FAILED");
    }
}

void
hook_url_call(const struct hook_call *call, hook_cancelled *is_cancelled, void *arg,
              struct hook_verdict *out)
{
    static const char *const headers[] = {"Content-Type: application/json",
                                          "Accept: application/json", NULL};
    cleanup_free char *body = json_format(call->payload);
    struct http_client *client = http_client_new();
    struct http_answer answer = {0};
    struct err err = {0};
    const struct http_call http = {
        .method = "POST",
        .url = call->target,
        .body = str_of(body),
        .headers = headers,
        .timeout_ms = call->timeout_ms < HOOK_CALL_MAX_MS ? call->timeout_ms : HOOK_CALL_MAX_MS,
        .limit = HOOK_ANSWER_MAX,
        .is_cancelled = is_cancelled,
        .arg = arg,
    };

    if (http_client_call(client, &http, &answer, &err)) {
        judge(&answer, out);
    } else {
        /* Longer than an answer may be: that one came. */
        out->outcome = err.code == ERR_LIMIT_EXCEEDED ? OUTCOME_FAILED : OUTCOME_UNREACHED;
        snprintf(out->detail, sizeof(out->detail), "it could not be called: %.400s", err.message);
    }
    http_answer_done(&answer);
    http_client_free(client);
}
