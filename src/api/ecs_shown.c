/* SPDX-License-Identifier: MIT */
#include "api/ecs_shown.h"

#include <stdlib.h>

#include "api/ecs_describe.h"

#define WAYS 4 /* slots in which one change may stand */

struct slot {
    uint64_t change; /* 0: empty */
    bool with_tags;
    size_t size;
    struct json *text;
};

struct ecs_shown {
    struct slot slots[SHOWN_SLOTS];
    size_t bytes;
    size_t hand; /* whose turn it is to go when there is no room for more */
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

/* One after the other: whoever reads more services in turn than fit still finds some of them kept.
 */
static void
make_room(struct ecs_shown *shown, size_t size)
{
    while (shown->bytes > 0 && shown->bytes + size > SHOWN_BYTES_MAX)
        forget(shown, &shown->slots[shown->hand++ % SHOWN_SLOTS]);
}

/* Changes are numbered, and services that are made alike are so many numbers apart: taken as they
 * are, they would meet in few slots.  An empty way is taken first, else the number says which goes.
 */
static struct slot *
find_slot(struct ecs_shown *shown, uint64_t change, bool with_tags)
{
    const uint64_t hash = (change * 0x9e3779b97f4a7c15ULL) >> 32;
    struct slot *ways = &shown->slots[hash % (SHOWN_SLOTS / WAYS) * WAYS];
    struct slot *empty = &ways[change % WAYS];

    for (size_t i = 0; i < WAYS; i++) {
        if (ways[i].change == change && ways[i].with_tags == with_tags)
            return &ways[i];
        if (ways[i].change == 0)
            empty = &ways[i];
    }
    return empty;
}

void
ecs_shown_free(struct ecs_shown *shown)
{
    if (shown == NULL)
        return;
    for (size_t i = 0; i < SHOWN_SLOTS; i++)
        forget(shown, &shown->slots[i]);
    free(shown);
}

struct json *
ecs_shown_service(const struct request *rq, const struct service *service, bool with_tags)
{
    struct ecs_shown *shown = api_shown(rq->api);
    struct slot *slot = find_slot(shown, service->change, with_tags);
    cleanup_json struct json *described = NULL;
    cleanup_free char *text = NULL;
    size_t size;

    if (slot->change == service->change && slot->with_tags == with_tags)
        return json_ref(slot->text);
    described = ecs_describe_service(rq, service, with_tags);
    text = json_format(described);
    size = strlen(text);
    forget(shown, slot);
    make_room(shown, size);
    *slot = (struct slot){service->change, with_tags, size,
                          json_formatted((struct str){text, size})};
    shown->bytes += size;
    return json_ref(slot->text);
}
