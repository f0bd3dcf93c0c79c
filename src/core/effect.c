/* SPDX-License-Identifier: MIT */
#include "core/effect.h"
#include <assert.h>
#include "base/hash.h"
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

/* There are no bytes in an effect but those that its zeroing and its fields gave it. */
static uint64_t
hash_of(const struct effect *e)
{
    return hash_text((struct str){(const char *)e, sizeof(*e)}, /* seed= */ 0);
}

void
effects_compact(struct effects *e)
{
    const size_t size = (size_t)e->count * 2 + 1;
    int *slots = mem_new(size * sizeof(*slots)); /* index + 1; 0: free */
    int kept = 0;

    for (int i = 0; i < e->count; i++) {
        size_t slot = hash_of(&e->at[i]) % size;
        while (slots[slot] != 0 && memcmp(&e->at[slots[slot] - 1], &e->at[i], sizeof(e->at[i])) != 0) // NOLINT: see above
            slot = (slot + 1) % size;
        if (slots[slot] != 0)
            continue;
        memmove(&e->at[kept], &e->at[i], sizeof(e->at[i]));
        slots[slot] = ++kept;
    }
    e->count = kept;
    free(slots);
}

struct effect *
effects_add(struct effects *e, enum effect_type type)
{
    assert(e->count < EFFECTS_MAX);
    if (e->count == e->capacity) {
        e->capacity = e->capacity == 0 ? 8 : e->capacity * 2;
        e->at = mem_grow(e->at, (size_t)e->capacity, sizeof(e->at[0]));
    }
    memset(&e->at[e->count], 0, sizeof(e->at[0])); /* between its members, too: see hash_of() */
    e->at[e->count].type = type;
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
