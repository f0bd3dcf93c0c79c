/* SPDX-License-Identifier: MIT */
/* slots.h - whom some threads serve just now: nobody twice, so that one that hangs keeps one thread only.
 * Pure; whoever uses it holds his own lock. Keys are borrowed until they are given back. */
#pragma once
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define SLOTS_MAX 6 /* threads */

struct slots {
    const char *keys[SLOTS_MAX]; /* NULL: free */
};

static inline bool
slots_have(const struct slots *s, const char *key)
{
    for (size_t i = 0; i < SLOTS_MAX; i++)
        if (s->keys[i] != NULL && strcmp(s->keys[i], key) == 0)
            return true;
    return false;
}

static inline void
slots_take(struct slots *s, const char *key)
{
    size_t i = 0;

    while (i < SLOTS_MAX && s->keys[i] != NULL)
        i++;
    assert(i < SLOTS_MAX);
    s->keys[i] = key;
}

static inline void
slots_give(struct slots *s, const char *key)
{
    for (size_t i = 0; i < SLOTS_MAX; i++)
        if (s->keys[i] == key)
            s->keys[i] = NULL;
}
