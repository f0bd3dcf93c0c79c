/* SPDX-License-Identifier: MIT */
#include "balancer/slots.h"
#include <assert.h>

void
slots_done(struct slots *s)
{
    free(s->at);
    *s = (struct slots){0};
}

bool
slots_reserve(struct slots *s, int needed)
{
    int count = s->count > SLOTS_FIRST ? s->count : SLOTS_FIRST;

    while (count < needed && count < SLOTS_MAX)
        count *= 2;
    if (count <= s->count)
        return false;
    s->at = mem_grow(s->at, (size_t)count, sizeof(*s->at));
    for (int i = s->count; i < count; i++)
        s->at[i] = (struct slot){0};
    s->count = count;
    return true;
}

static bool
slot_is_at(const struct slot *slot, const char *address, int port)
{
    return slot->port == port && strcmp(slot->address, address) == 0;
}

int
slots_find(const struct slots *s, const char *address, int port)
{
    for (int i = 0; i < s->count; i++)
        if (s->at[i].use != SLOT_FREE && slot_is_at(&s->at[i], address, port))
            return i;
    return -1;
}

int
slots_take(struct slots *s, const char *address, int port)
{
    int index = slots_find(s, address, port);

    /* A free slot that already has the address saves a command, nothing more. */
    for (int i = 0; i < s->count && index < 0; i++)
        if (s->at[i].use == SLOT_FREE && slot_is_at(&s->at[i], address, port))
            index = i;
    for (int i = 0; i < s->count && index < 0; i++)
        if (s->at[i].use == SLOT_FREE)
            index = i;
    if (index < 0)
        return -1;
    s->at[index].use = SLOT_TAKEN;
    text_copy_all(s->at[index].address, sizeof(s->at[index].address), address);
    s->at[index].port = port;
    return index;
}

void
slots_leave(struct slots *s, int index)
{
    assert(index >= 0 && index < s->count && s->at[index].use != SLOT_FREE);
    s->at[index].use = SLOT_LEAVING;
    s->at[index].idle_polls = 0;
    s->at[index].wants_ready = false;
}

void
slots_free(struct slots *s, int index)
{
    assert(index >= 0 && index < s->count);
    /* In rotation and free would give the next target traffic before its first check. */
    assert(!s->at[index].wants_ready && !s->at[index].has_ready);
    s->at[index].use = SLOT_FREE;
}

int
slots_count(const struct slots *s, enum slot_use use)
{
    int count = 0;

    for (int i = 0; i < s->count; i++)
        count += s->at[i].use == use;
    return count;
}

void
slots_loaded(struct slots *s)
{
    for (int i = 0; i < s->count; i++) {
        struct slot *slot = &s->at[i];
        memcpy(slot->has_address, slot->address, sizeof(slot->has_address));
        slot->has_port = slot->port;
        slot->has_ready = slot->wants_ready;
    }
}
