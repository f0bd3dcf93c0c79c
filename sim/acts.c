/* SPDX-License-Identifier: MIT */
#include "acts.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

void
act_done(struct act *a)
{
    json_unref(a->doc);
}

struct json *
alarms_of(const char *name)
{
    struct json *doc = json_object(), *alarms = json_object(), *names = json_array();

    json_append(names, json_text(name));
    json_set(alarms, "alarmNames", names);
    json_set(doc, "alarms", alarms);
    return doc;
}

bool
act_ring(const char *alarm, bool is_alarm, struct act *out)
{
    *out = (struct act){.event.type = EVENT_ALARM_STATE};
    text_copy_all(out->id, sizeof(out->id), alarm);
    out->event.alarm_state.region = "eu-west-1";
    out->event.alarm_state.name = out->id;
    out->event.alarm_state.is_alarm = is_alarm;
    snprintf(out->said, sizeof(out->said), "alarm %d", is_alarm);
    return true;
}

bool
act_answer_hook(struct fate *f, const struct service *now, struct act *out)
{
    struct ev_service_deployment_continue *ev = &out->event.service_deployment_continue;

    if (now->course.hook_count == 0)
        return false;
    *out = (struct act){.event.type = EVENT_SERVICE_DEPLOYMENT_CONTINUE};
    text_copy(out->arn, ARN_SIZE, str_of(service_current(now)->arn));
    memcpy(out->id, now->course.hooks[fate_between(f, 0, now->course.hook_count - 1)].id,
           sizeof(out->id));
    ev->arn = out->arn;
    ev->hook_id = out->id;
    ev->rolls_back = fate_chance(f, 2000);
    snprintf(out->said, sizeof(out->said), "operator answers a hook of %.100s", now->name);
    return true;
}

bool
act_tag(struct fate *f, const char *arn, const char *name, struct act *out)
{
    const int deadline_s = fate_chance(f, 7000) ? (int)fate_between(f, 60, 600) : 0;
    const int probation_s = fate_chance(f, 7000) ? (int)fate_between(f, 1, 400) : 0;
    char text[192];
    struct err err;

    snprintf(text, sizeof(text),
             "[{\"key\":\"" PROGRESS_DEADLINE_TAG "\",\"value\":\"%d\"},"
             "{\"key\":\"" PROBATION_TAG "\",\"value\":\"%d\"}]",
             deadline_s, probation_s);
    *out = (struct act){.event.type = EVENT_TAGS_SET, .doc = json_parse(str_of(text), &err)};
    assert(out->doc != NULL);
    text_copy(out->arn, ARN_SIZE, str_of(arn));
    out->event.tags_set.arn = out->arn;
    out->event.tags_set.tags = out->doc;
    snprintf(out->said, sizeof(out->said), "operator tags %.32s: %s", name, text);
    return true;
}

bool
act_protect(struct fate *f, const struct task *t, bool turns_on, struct act *out)
{
    const char *detail;

    if (core_protection_obstacle(t, turns_on, &detail) != NULL)
        return false;
    *out = (struct act){.event.type = EVENT_TASK_PROTECT};
    text_copy(out->arn, ARN_SIZE, str_of(t->arn));
    out->event.task_protect.task_arn = out->arn;
    out->event.task_protect.duration_ms = turns_on ? fate_between(f, 1, 20) * 60 * 1000 : 0;
    snprintf(out->said, sizeof(out->said), "operator protects task %.8s for %lld ms", t->id,
             (long long)out->event.task_protect.duration_ms);
    return true;
}
