/* SPDX-License-Identifier: MIT */
#include "api/ecs_shown.h"

#include <stdlib.h>

#include "api/ecs_describe.h"

struct slot {
    uint64_t change; /* 0: empty */
    bool with_tags;
    size_t size;
    struct json *text;
};

struct ecs_shown {
    struct slot slots[SHOWN_SLOTS];
    size_t bytes;
};

struct ecs_shown *
ecs_shown_new(void)
{
    return mem_new(sizeof(struct ecs_shown));
}

static void
forget(struct ecs_shown *shown, struct slot *slot)
{
    shown->bytes -= slot->size;
    json_unref(slot->text);
    *slot = (struct slot){0};
}

static void
forget_all(struct ecs_shown *shown)
{
    for (size_t i = 0; i < SHOWN_SLOTS; i++)
        forget(shown, &shown->slots[i]);
}

void
ecs_shown_free(struct ecs_shown *shown)
{
    if (shown == NULL)
        return;
    forget_all(shown);
    free(shown);
}

struct json *
ecs_shown_service(const struct request *rq, const struct service *service, bool with_tags)
{
    struct ecs_shown *shown = api_shown(rq->api);
    struct slot *slot = &shown->slots[service->change % SHOWN_SLOTS];
    cleanup_json struct json *described = NULL;
    cleanup_free char *text = NULL;
    size_t size;

    if (slot->change == service->change && slot->with_tags == with_tags)
        return json_ref(slot->text);
    described = ecs_describe_service(rq, service, with_tags);
    text = json_format(described);
    size = strlen(text);
    forget(shown, slot);
    if (shown->bytes + size > SHOWN_BYTES_MAX)
        forget_all(shown);
    *slot = (struct slot){service->change, with_tags, size,
                          json_formatted((struct str){text, size})};
    shown->bytes += size;
    return json_ref(slot->text);
}
