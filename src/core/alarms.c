/* SPDX-License-Identifier: MIT */
#include "core/alarms.h"
#include <stdio.h>
#include "core/rollout.h"

#define KEY_SIZE (REGION_SIZE + NAME_SIZE + 2)

static const char *
key_of(char out[static KEY_SIZE], const char *region, const char *name)
{
    snprintf(out, KEY_SIZE, "%s/%.255s", region, name);
    return out;
}

void
alarm_changed(struct core *core, const struct ev_alarm_state *ev)
{
    char key[KEY_SIZE];

    key_of(key, ev->region, ev->name);
    if (json_get_bool(core->alarms, key, false) == ev->is_alarm)
        return;
    if (ev->is_alarm)
        json_set(core->alarms, key, json_bool(true));
    else
        json_delete(core->alarms, key);
    core_touch_meta(core);
    for (struct service *s = core->services; s != NULL; s = s->next) {
        const struct service_deployment *sd = service_current(s);
        if (s->config.watches_alarms && sd != NULL && !sd_is_finished(sd))
            core_queue(core, s);
    }
}

const char *
alarms_triggered(const struct core *core, const struct service *s)
{
    const struct json *names = json_get(json_get(s->config.doc, "alarms"), "alarmNames");
    char key[KEY_SIZE];

    for (size_t i = 0; s->config.watches_alarms && i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        if (json_get_bool(core->alarms, key_of(key, s->region, name), false))
            return name;
    }
    return NULL;
}
