/* SPDX-License-Identifier: MIT */
/* fake_hooks.h - lifecycle hooks, in worlds of both sizes: which ones a service has, how those who
 * are called answer, and what has to be true of the tasks that are hooks or wait for some. A
 * receiver may answer at once or late, wrongly, twice, with one attempt's answer to another one, or
 * never; a command may be cancelled and answer all the same.  Tasks that are hooks are Docker's. */
#pragma once
#include "fate.h"
#include "shown.h"

/* What hooks may be.  A task that is a hook can be of any of these definitions; none: hooks are no
 * tasks here. */
struct hook_range {
    const char (*definitions)[ARN_SIZE];
    int definition_count;
    int longest_min; /* the timeout: short, so that what nobody answers has ended in the end */
};
/* Draws hooks for `c`, whose strategy is drawn already; says so in doc. */
void draw_hooks(struct fate *f, const struct hook_range *range, struct strategy_config *c,
                struct json *doc);
/* Has whoever is called answer, mostly: its reports are on their way. */
void hook_is_called(struct fate *f, int64_t now_ms, uint32_t epoch,
                    const struct ef_hook_call *call);

#define HOOKS_NOTED 8 /* the last ones of a service */

/* The book of one service: who was called, as it was decided, and what naru was told. */
struct hook_book {
    struct hook_note {
        char hook_id[ID_SIZE], sd_id[ID_SIZE];
        int attempt;
        bool is_waited_for;
        int64_t expires_at_ms; /* by naru's clock */
        int64_t asked_ms;      /* the last time in this life of naru, by the world's clock */
        uint32_t epoch;
    } notes[HOOKS_NOTED];
    int count;               /* ever */
    char failed_id[ID_SIZE]; /* the last service deployment of which a hook said that it failed */
};
struct hook_note *hook_note_of(struct hook_book *book, const char *hook_id); /* or NULL */
/* It is called, for the first time or again; since_ms: naru stood still until then.
 * Promise 3: an answer that got lost is asked for again in time. */
bool hook_call_is_well(struct hook_book *book, const struct service *now,
                       const struct ef_hook_call *call, int64_t now_ms, int64_t since_ms,
                       uint32_t epoch, struct complaint *out);
/* ... and nobody waits for it any more. */
bool hook_cancel_is_well(struct hook_note *note, int64_t now_ms, int64_t since_ms, uint32_t epoch,
                         struct complaint *out);
void hook_answer_told(struct hook_book *book, const struct ev_hook_answered *ev,
                      int64_t naru_now_ms);
/* A task was started for the hook of `now`; and is said to be STOPPED. */
void hook_task_noted(struct hook_book *book, const struct service *now, const char *hook_id);
bool hook_task_has_failed(const struct ev_task_state *ev, bool is_called_off);
void hook_task_told(struct hook_book *book, const char *hook_id, bool has_failed,
                    int64_t naru_now_ms);
/* Promise 5: what a hook forbade is no success. */
bool hooks_are_heard(const struct hook_book *book, const struct service *now,
                     struct complaint *out);

/* Whose hook it is, as long as that waits for it; or NULL. */
const struct service *service_of_hook(const struct core *core, const char *hook_id);
/* One task a hook, whatever happened to naru; and only beside those that the same stage waits for.
 * `t` was just started for its hook; `other` is an earlier task of `other_hook`, of the same
 * service unless is_of_other_service. */
bool hook_task_is_well(const struct core *core, const struct task *t, const char *other,
                       const char *other_hook, bool other_told_stopped, bool is_of_other_service,
                       struct complaint *out);
/* No task of a deployment before the hooks of its PRE_SCALE_UP let it go on: `t` was just started.
 */
bool hooks_let_start(const struct core *core, const struct task *t, struct complaint *out);
