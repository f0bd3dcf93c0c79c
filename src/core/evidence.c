/* SPDX-License-Identifier: MIT */
#include "core/evidence.h"

/* Answers may share what is there: a changed copy takes its place. */
static void
set(struct task *t, const char *key, struct json *value)
{
    struct json *now = t->evidence == NULL ? json_object() : json_copy(t->evidence);

    json_set(now, key, value);
    json_unref(t->evidence);
    t->evidence = now;
}

bool
evidence_health_log(struct task *t, const char *log)
{
    cleanup_free char *text = str_dup(str_slice(str_of(log), 0, EVIDENCE_LOG_MAX));

    if (strcmp(json_get_cstr(t->evidence, "healthLog", ""), text) == 0)
        return false;
    set(t, "healthLog", json_text(text));
    return true;
}

void
evidence_target(struct task *t, const struct task_target *tt, const struct target *x)
{
    const struct json *before = json_get(t->evidence, "targets");
    struct json *list = before == NULL ? json_array() : json_copy(before), *o;

    if (json_size(list) == LOAD_BALANCERS_MAX) {
        json_unref(list);
        return;
    }
    o = json_object();
    json_set(o, "targetGroupArn", json_text(tt->target_group_arn));
    json_set(o, "targetId", json_text(tt->target_id));
    json_set(o, "port", json_int(tt->port));
    json_set(o, "state", json_text(target_state_name(x->state)));
    if (x->reason[0] != '\0')
        json_set(o, "reason", json_text(x->reason));
    if (x->description[0] != '\0')
        json_set(o, "description", json_text(x->description));
    json_set(o, "wasHealthy", json_bool(tt->was_healthy));
    json_append(list, o);
    set(t, "targets", list);
}
