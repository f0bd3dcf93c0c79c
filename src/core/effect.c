/* SPDX-License-Identifier: MIT */
#include "core/effect.h"
#include <assert.h>
#include "core/event.h"

#define EFFECTS_MAX (1 << 20) /* one step; far above what 5,000 tasks of a service can cause */

const char *
row_kind_name(enum row_kind kind)
{
    static const char *const names[] = {
#define X(NAME, name) #name,
        ROWS(X)
#undef X
    };
    assert((int)kind >= 0 && kind < ROW_KIND_COUNT);
    return names[kind];
}

void
effects_done(struct effects *e)
{
    free(e->at);
    *e = (struct effects){0};
}

void
effects_clear(struct effects *e)
{
    e->count = 0;
}

struct effect *
effects_add(struct effects *e, enum effect_type type)
{
    assert(e->count < EFFECTS_MAX);
    if (e->count == e->capacity) {
        e->capacity = e->capacity == 0 ? 8 : e->capacity * 2;
        e->at = mem_grow(e->at, (size_t)e->capacity, sizeof(e->at[0]));
    }
    e->at[e->count] = (struct effect){.type = type};
    return &e->at[e->count++];
}

const char *
effect_name(enum effect_type type)
{
    switch (type) {
#define X(NAME, member, type) \
    case EFFECT_##NAME:       \
        return #member;
        EFFECTS(X)
#undef X
    }
    return "unknown";
}

const char *
event_name(enum event_type type)
{
    switch (type) {
    case EVENT_CLOCK:
        return "clock";
    case EVENT_ORDERS_LATE:
        return "orders_late";
#define X(NAME, member) \
    case EVENT_##NAME:  \
        return #member;
        EVENTS(X)
#undef X
    }
    return "unknown";
}
