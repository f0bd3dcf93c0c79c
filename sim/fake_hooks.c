/* SPDX-License-Identifier: MIT */
#include "fake_hooks.h"
#include <stdio.h>
#include <string.h>

/* ---- drawing ---- */

#define ROLLING_STAGES (1 << STAGE_PRE_SCALE_UP | 1 << STAGE_POST_PRODUCTION_TRAFFIC_SHIFT)
#define PAUSE_STAGES                                                            \
    (ROLLING_STAGES | 1 << STAGE_RECONCILE_SERVICE | 1 << STAGE_POST_SCALE_UP | \
     1 << STAGE_POST_TEST_TRAFFIC_SHIFT | 1 << STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT)
#define ALL_STAGES \
    (PAUSE_STAGES | 1 << STAGE_TEST_TRAFFIC_SHIFT | 1 << STAGE_PRODUCTION_TRAFFIC_SHIFT)

void
draw_hooks(struct fate *f, const struct hook_range *range, struct strategy_config *c,
           struct json *doc)
{
    struct json *list = json_array();

    while (c->hook_count < 3 && fate_chance(f, 2500)) {
        struct hook_config *hook = &c->hooks[c->hook_count++];
        struct json *o = json_object();
        int stages;
        hook->kind = (enum hook_kind)fate_between(f, HOOK_KIND_PAUSE, HOOK_KIND_TASK);
        if (hook->kind == HOOK_KIND_TASK && range->definition_count == 0)
            hook->kind = HOOK_KIND_COMMAND;
        stages = c->strategy == STRATEGY_ROLLING ? ROLLING_STAGES
                 : hook->kind == HOOK_KIND_PAUSE ? PAUSE_STAGES
                                                 : ALL_STAGES;
        hook->stages = (int)fate_between(f, 0, 1 << STAGE_ENUM_SIZE) & stages;
        hook->timeout_min = (int)fate_between(f, 1, range->longest_min);
        hook->continues = fate_chance(f, 6000);
        if (hook->kind != HOOK_KIND_PAUSE)
            json_set(
                o, "hookTargetArn",
                json_text(hook->kind == HOOK_KIND_TASK
                              ? range->definitions[fate_between(f, 0, range->definition_count - 1)]
                              : "naru:command/drawn"));
        json_append(list, o);
    }
    json_set(doc, "lifecycleHooks", list);
}

/* ---- answering ---- */

static void
send_answer(struct fate *f, uint32_t epoch, const struct ef_hook_call *call,
            enum hook_outcome outcome, int delay_s, int64_t at_ms)
{
    struct report *r = report_new(epoch, EVENT_HOOK_ANSWERED);
    struct ev_hook_answered *ev = &r->event.hook_answered;

    text_copy(r->texts[0], ARN_SIZE, str_of(call->service_deployment_arn));
    text_copy(r->texts[1], ARN_SIZE, str_of(call->hook_id));
    ev->service_deployment_arn = r->texts[0];
    ev->hook_id = r->texts[1];
    ev->attempt = call->attempt;
    ev->outcome = outcome;
    ev->delay_s = delay_s;
    ev->detail = "drawn";
    fate_happen(f, at_ms, DELIVER, 0)->report = r;
}

/* Twice, and not of one mind. */
static void
answer_again(struct fate *f, uint32_t epoch, const struct ef_hook_call *call, int64_t at_ms)
{
    const int64_t later_ms = fate_between(f, 0, 60000);

    send_answer(f, epoch, call, (enum hook_outcome)fate_between(f, 0, OUTCOME_ENUM_SIZE - 1), 1,
                at_ms + later_ms);
}

/* Mostly it lets the deployment go on; some are a trial to everybody's patience. */
void
hook_is_called(struct fate *f, int64_t now_ms, uint32_t epoch, const struct ef_hook_call *call)
{
    const int64_t after_ms =
        fate_chance(f, 7000) ? fate_between(f, 1, 3000) : fate_between(f, 3000, 200000);
    const int64_t dice = fate_between(f, 0, 99);
    struct ef_hook_call other = *call;
    const enum hook_outcome outcome = dice < 55   ? OUTCOME_SUCCEEDED
                                      : dice < 70 ? OUTCOME_IN_PROGRESS
                                      : dice < 85 ? OUTCOME_UNREACHED
                                                  : OUTCOME_FAILED;

    if (fate_chance(f, 700))
        return; /* never */
    send_answer(f, epoch, call, outcome, (int)fate_between(f, 1, 90), now_ms + after_ms);
    if (fate_chance(f, 1500))
        answer_again(f, epoch, call, now_ms + after_ms);
    if (!fate_chance(f, 1000))
        return;
    other.attempt += (int)fate_between(f, -1, 2);
    send_answer(f, epoch, &other, OUTCOME_FAILED, 1, now_ms + fate_between(f, 1, 60000));
}

/* ---- the book ---- */

#define ASKED_AGAIN_MS (21 * 60 * 1000) /* a minute more than the core waits */

struct hook_note *
hook_note_of(struct hook_book *book, const char *hook_id)
{
    for (int i = 0; i < book->count && i < HOOKS_NOTED; i++) {
        if (strcmp(book->notes[i].hook_id, hook_id) == 0)
            return &book->notes[i];
    }
    return NULL;
}

static bool
is_asked_in_time(const struct hook_note *n, int64_t now_ms, int64_t since_ms, uint32_t epoch,
                 struct complaint *out)
{
    const int64_t from_ms = n->asked_ms > since_ms ? n->asked_ms : since_ms;

    return !n->is_waited_for || n->epoch != epoch || now_ms - from_ms <= ASKED_AGAIN_MS ||
           complain(out, "promise 3: hook %.8s was called, and nobody asked again for %lld s",
                    n->hook_id, (long long)(now_ms - from_ms) / 1000);
}

static int64_t
expiry_of(const struct service *now, const char *hook_id)
{
    for (int i = 0; i < now->course.hook_count; i++) {
        if (strcmp(now->course.hooks[i].id, hook_id) == 0)
            return now->course.hooks[i].expires_at_ms;
    }
    return 0;
}

static struct hook_note *
add_note(struct hook_book *book, const struct service *now, const char *hook_id)
{
    struct hook_note *n = &book->notes[book->count++ % HOOKS_NOTED];

    *n = (struct hook_note){.expires_at_ms = expiry_of(now, hook_id)};
    text_copy(n->hook_id, ID_SIZE, str_of(hook_id));
    text_copy(n->sd_id, ID_SIZE, str_of(service_current(now)->id));
    return n;
}

bool
hook_call_is_well(struct hook_book *book, const struct service *now,
                  const struct ef_hook_call *call, int64_t now_ms, int64_t since_ms, uint32_t epoch,
                  struct complaint *out)
{
    struct hook_note *n = hook_note_of(book, call->hook_id);
    const bool is_well = n == NULL || is_asked_in_time(n, now_ms, since_ms, epoch, out);
    const bool is_again = n != NULL && n->attempt == call->attempt;

    if (n == NULL)
        n = add_note(book, now, call->hook_id);
    n->is_waited_for |= !is_again; /* what was answered already is not answered once more */
    n->attempt = call->attempt;
    n->asked_ms = now_ms;
    n->epoch = epoch;
    return is_well;
}

bool
hook_cancel_is_well(struct hook_note *note, int64_t now_ms, int64_t since_ms, uint32_t epoch,
                    struct complaint *out)
{
    const bool is_well = is_asked_in_time(note, now_ms, since_ms, epoch, out);

    note->is_waited_for = false;
    return is_well;
}

static void
note_end(struct hook_book *book, struct hook_note *n, bool has_failed, int64_t naru_now_ms)
{
    n->is_waited_for = false;
    if (has_failed && naru_now_ms < n->expires_at_ms)
        text_copy(book->failed_id, ID_SIZE, str_of(n->sd_id));
}

void
hook_answer_told(struct hook_book *book, const struct ev_hook_answered *ev, int64_t naru_now_ms)
{
    struct hook_note *n = hook_note_of(book, ev->hook_id);

    if (n != NULL && n->is_waited_for && n->attempt == ev->attempt)
        note_end(book, n, ev->outcome == OUTCOME_FAILED, naru_now_ms);
}

void
hook_task_noted(struct hook_book *book, const struct service *now, const char *hook_id)
{
    if (hook_note_of(book, hook_id) == NULL)
        add_note(book, now, hook_id)->is_waited_for = true;
}

bool
hook_task_has_failed(const struct ev_task_state *ev, bool is_called_off)
{
    return !is_called_off && !ev->is_infrastructure && ev->containers[0].has_exit_code &&
           ev->containers[0].exit_code != 0;
}

void
hook_task_told(struct hook_book *book, const char *hook_id, bool has_failed, int64_t naru_now_ms)
{
    struct hook_note *n = hook_note_of(book, hook_id);

    if (n != NULL && n->is_waited_for)
        note_end(book, n, has_failed, naru_now_ms);
}

bool
hooks_are_heard(const struct hook_book *book, const struct service *now, struct complaint *out)
{
    const struct service_deployment *sd = service_current(now);

    return sd == NULL || sd->status != SD_SUCCESSFUL || strcmp(sd->id, book->failed_id) != 0 ||
           complain(out, "promise 5: %s is SUCCESSFUL, and one of its hooks FAILED", sd->id);
}

/* ---- judging ---- */

const struct service *
service_of_hook(const struct core *core, const char *hook_id)
{
    for (const struct service *s = core->services; s != NULL; s = s->next) {
        for (int i = 0; i < s->course.hook_count; i++) {
            if (strcmp(s->course.hooks[i].id, hook_id) == 0)
                return s;
        }
    }
    return NULL;
}

bool
hook_task_is_well(const struct core *core, const struct task *t, const char *other,
                  const char *other_hook, bool other_told_stopped, bool is_of_other_service,
                  struct complaint *out)
{
    if (strcmp(other_hook, t->hook_id) == 0)
        return complain(out, "hook %.8s has the tasks %.8s and %.8s", t->hook_id, other, t->id);
    if (!other_told_stopped && !is_of_other_service && service_of_hook(core, other_hook) == NULL)
        return complain(out, "task %.8s of hook %.8s starts beside %.8s of an earlier stage", t->id,
                        t->hook_id, other);
    return true;
}

bool
hooks_let_start(const struct core *core, const struct task *t, struct complaint *out)
{
    const struct service *s = core_service_by_arn(core, t->service_arn);
    const struct service_deployment *sd = service_current(s);

    if (sd == NULL) /* of task sets, which have no hooks */
        return true;
    if (strcmp(sd->deployment_id, t->deployment_id) != 0 || sd->status != SD_IN_PROGRESS)
        return true;
    for (int i = 0; i < s->course.hook_count; i++) {
        const struct hook_run *run = &s->course.hooks[i];
        if (s->course.stage == STAGE_PRE_SCALE_UP && run->status != HOOK_SUCCEEDED &&
            (run->status != HOOK_TIMED_OUT || !s->course.plan.hooks[run->hook].continues))
            return complain(out, "task %.8s starts before hook %.8s let it", t->id, run->id);
    }
    return true;
}
