/* SPDX-License-Identifier: MIT */
/* arena.h - memory of one request or one step, freed in one go.
 * A zeroed `struct arena` is ready to use. Nothing from it may outlive arena_done(). */
#pragma once
#include "base/str.h"

struct arena_block;
struct arena {
    struct arena_block *head;
    size_t used; /* bytes handed out, for limits */
};

void arena_done(struct arena *a);
void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for any type, never NULL */
/* The next `size` bytes come in one piece: for who knows that there will be many. */
void arena_reserve(struct arena *a, size_t size);
struct str arena_dup(struct arena *a, struct str s); /* followed by a NUL */
char *arena_cstr(struct arena *a, struct str s);
char *arena_format(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);
