/* SPDX-License-Identifier: MIT */
/* hooks.h - the hands that call lifecycle hooks: URLs over HTTP, commands of the operator's
 * directory. Tasks that are hooks are the agent's, like any other task.
 * A call is named by (hook id, attempt); one that is under way already is not made twice.  What
 * became of it is reported once, from a thread of this room; nothing is reported of a call that
 * was cancelled.
 * URL: one POST of the payload, at most HOOK_CALL_MAX_MS; a 2xx answer is read
 * (hook_answer.h), every other status fails the hook, but 429, 502, 503 and 504, which say like a
 * refused connection that nobody was there: UNREACHED.  Redirects are not followed.
 * Command: the payload is its stdin, and in part NARU_* of its environment; of the server's own
 * only PATH, HOME, LANG and TZ are handed on.  Exit code 0 is SUCCEEDED; the last lines of what it
 * wrote are the detail of the report.  When its time is over, and when the server stops, its
 * process group is ended: SIGTERM, five seconds later SIGKILL. */
#pragma once
#include "base/json.h"
#include "model/service.h"

#define HOOK_CALL_MAX_MS (15 * 60 * 1000LL)
#define HOOK_CALLS_MAX 32 /* at a time, of URLs and of commands each; others wait */
#define HOOK_DETAIL_SIZE 512

struct hook_call {
    char service_deployment_arn[ARN_SIZE];
    char hook_id[HOOK_ID_SIZE];
    int attempt;
    char *target;         /* as the service has it, see model/hook_target.h */
    struct json *payload; /* ecs.md 6.8 */
    int64_t timeout_ms;   /* what is left of the hook's time; at least 1 */
};

struct hook_report {
    const char *service_deployment_arn, *hook_id;
    int attempt;
    enum hook_outcome outcome;
    int delay_s;        /* of IN_PROGRESS */
    const char *detail; /* why not SUCCEEDED, in a clause; or "" */
};

struct hooks_config {
    const char *commands_dir; /* need not exist */
    void (*report)(void *ctx, const struct hook_report *report);
    void *ctx;
};

struct hooks;
struct hooks *hooks_new(const struct hooks_config *config);
/* Any thread; takes the call over. */
void hooks_call(struct hooks *h, struct hook_call *call);
/* Every attempt of that hook. Any thread. */
void hooks_cancel(struct hooks *h, const char *hook_id);
/* Ends all calls and waits for that. */
void hooks_free(struct hooks *h);

void hook_call_free(struct hook_call *call);
