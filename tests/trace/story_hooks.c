/* SPDX-License-Identifier: MIT */
/* What those who are called as lifecycle hooks say, and those whom a PAUSE waits for. */
#include "story.h"

void
story_answer_of(struct story *st, int hook, int attempt, enum hook_outcome outcome, int delay_s)
{
    struct event ev = {.type = EVENT_HOOK_ANSWERED};
    char arn[ARN_SIZE], words[64];

    text_copy(arn, sizeof(arn), str_of(service_current(story_service(st))->arn));
    ev.hook_answered = (struct ev_hook_answered){.service_deployment_arn = arn,
                                                 .hook_id = st->hooks[hook - 1],
                                                 .attempt = attempt,
                                                 .outcome = outcome,
                                                 .delay_s = delay_s,
                                                 .detail = "because"};
    snprintf(words, sizeof(words), "%s h%d#%d", hook_outcome_name(outcome), hook, attempt);
    story_tell(st, &ev, words);
}

void
story_answer(struct story *st, int hook, enum hook_outcome outcome)
{
    story_answer_of(st, hook, /* attempt= */ 1, outcome, /* delay_s= */ 0);
}

void
story_continue(struct story *st, bool rolls_back)
{
    const struct service *s = story_service(st);
    struct event ev = {.type = EVENT_SERVICE_DEPLOYMENT_CONTINUE};
    char id[HOOK_ID_SIZE] = "none", arn[ARN_SIZE];

    for (int i = 0; i < s->course.hook_count; i++) {
        if (s->course.hooks[i].status == HOOK_AWAITING_ACTION) {
            memcpy(id, s->course.hooks[i].id, sizeof(id));
            break;
        }
    }
    text_copy(arn, sizeof(arn), str_of(service_current(s)->arn));
    ev.service_deployment_continue.arn = arn;
    ev.service_deployment_continue.hook_id = id;
    ev.service_deployment_continue.rolls_back = rolls_back;
    story_tell(st, &ev, rolls_back ? "continue ROLLBACK" : "continue");
}
