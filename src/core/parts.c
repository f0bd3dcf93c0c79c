/* SPDX-License-Identifier: MIT */
#include "core/parts.h"
#include <assert.h>
#include <stdio.h>
#include "core/rollout.h"
#include "model/arn.h"

static const struct {
    enum row_kind row;
    const char *word; /* in the key, which looks like an ARN: word/CLUSTER/SERVICE/id */
} kinds[] = {
    [PART_REVISION] = {ROW_SERVICE_REVISION, "service-revision"},
    [PART_DEPLOYMENT] = {ROW_DEPLOYMENT, "deployment"},
    [PART_SERVICE_DEPLOYMENT] = {ROW_SERVICE_DEPLOYMENT, "service-deployment"},
    [PART_EVENTS] = {ROW_SERVICE_EVENTS, "service-events"},
};

static enum service_part
part_of(enum row_kind kind)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (kinds[i].row == kind)
            return (enum service_part)i;
    }
    assert(false && "no part's row");
    return PART_EVENTS;
}

bool
row_is_part(enum row_kind kind)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (kinds[i].row == kind)
            return true;
    }
    return false;
}

static void
make_key(char out[static ARN_SIZE], const struct core *core, const struct service *s, enum row_kind kind,
         const char *id)
{
    arn_format(out, "ecs", s->region, core->options.account, "%s/%s/%s/%s", kinds[part_of(kind)].word,
               s->cluster_name, s->name, id);
}

static void
touch(struct core *core, const struct service *s, enum row_kind kind, const char *id)
{
    char key[ARN_SIZE];

    make_key(key, core, s, kind, id);
    core_touch(core, kind, key);
}

void
parts_drop(struct core *core, const struct service *s, enum row_kind kind, const char *id)
{
    touch(core, s, kind, id);
}

/* ---- who has a row of its own ---- */

static void
settle(struct core *core, const struct service *s, enum row_kind kind, const char *id, bool *has_row, bool is_over)
{
    if (*has_row == is_over)
        return;
    *has_row = is_over;
    touch(core, s, kind, id);
}

static void
sort_events(struct core *core, struct service *s)
{
    const int64_t full = s->events_ever / EVENTS_A_ROW;
    char slot[24];

    if (s->event_rows < full - EVENT_ROWS_MAX)
        s->event_rows = full - EVENT_ROWS_MAX; /* said and forgotten in one step */
    for (; s->event_rows < full; s->event_rows++) {
        snprintf(slot, sizeof(slot), "%d", (int)(s->event_rows % EVENT_ROWS_MAX));
        touch(core, s, ROW_SERVICE_EVENTS, slot);
    }
}

void
parts_sort(struct core *core, struct service *s)
{
    for (int i = 0; i < s->revision_count; i++) {
        struct revision *r = s->revisions[i];
        settle(core, s, ROW_SERVICE_REVISION, r->id, &r->has_row, r->is_resolved);
    }
    for (struct deployment *d = s->deployments; d != NULL; d = d->next)
        settle(core, s, ROW_DEPLOYMENT, deployment_number(d), &d->has_row, d->status == DEPLOYMENT_INACTIVE);
    for (struct service_deployment *sd = s->history; sd != NULL; sd = sd->next)
        settle(core, s, ROW_SERVICE_DEPLOYMENT, sd->id, &sd->has_row,
               sd != s->history && sd_is_finished(sd));
    sort_events(core, s);
}

/* ---- all of a service's ---- */

void
parts_each(const struct core *core, const struct service *s,
           void (*each)(void *arg, enum row_kind kind, const char *key), void *arg)
{
    const int64_t first = s->event_rows > EVENT_ROWS_MAX ? s->event_rows - EVENT_ROWS_MAX : 0;
    char key[ARN_SIZE], slot[24];

    for (int i = 0; i < s->revision_count; i++) {
        if (!s->revisions[i]->has_row)
            continue;
        make_key(key, core, s, ROW_SERVICE_REVISION, s->revisions[i]->id);
        each(arg, ROW_SERVICE_REVISION, key);
    }
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (!d->has_row)
            continue;
        make_key(key, core, s, ROW_DEPLOYMENT, deployment_number(d));
        each(arg, ROW_DEPLOYMENT, key);
    }
    for (const struct service_deployment *sd = s->history; sd != NULL; sd = sd->next) {
        if (!sd->has_row)
            continue;
        make_key(key, core, s, ROW_SERVICE_DEPLOYMENT, sd->id);
        each(arg, ROW_SERVICE_DEPLOYMENT, key);
    }
    for (int64_t n = first; n < s->event_rows; n++) {
        snprintf(slot, sizeof(slot), "%d", (int)(n % EVENT_ROWS_MAX));
        make_key(key, core, s, ROW_SERVICE_EVENTS, slot);
        each(arg, ROW_SERVICE_EVENTS, key);
    }
}

static void
touch_key(void *arg, enum row_kind kind, const char *key)
{
    core_touch(arg, kind, key);
}

void
parts_drop_all(struct core *core, const struct service *s)
{
    parts_each(core, s, touch_key, core);
}

/* ---- rows ---- */

struct json *
parts_row(const struct core *core, enum row_kind kind, const char *key)
{
    const struct service *s = core_service_of_part(core, key);

    return s == NULL ? NULL : service_encode_part(s, part_of(kind), strrchr(key, '/') + 1);
}

void
parts_load(struct core *core, enum row_kind kind, const struct json *row)
{
    struct json **list = &core->index->loaded_parts[part_of(kind)];

    if (*list == NULL)
        *list = json_array();
    json_append(*list, json_ref(row));
}

/* A part without its service can not be: both go in one commit. If it were, nobody would miss it. */
void
parts_link(struct core *core)
{
    for (size_t k = 0; k < ARRAY_COUNT(kinds); k++) {
        struct json *list = core->index->loaded_parts[k];
        for (size_t i = 0; i < json_size(list); i++) {
            struct service *s =
                core_service_by_arn(core, json_get_cstr(json_at(list, i), "service", ""));
            if (s != NULL)
                service_add_part(s, (enum service_part)k, json_at(list, i));
        }
        json_unref(list);
        core->index->loaded_parts[k] = NULL;
    }
}
