/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define ARENA_ALIGN 16u
#define ARENA_BLOCK_MIN 1008u /* with the header a block stays below a malloc size of 1 KiB */
#define ARENA_BLOCK_MAX (64u * 1024u)

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(ARENA_ALIGN) char bytes[];
};

void
arena_done(struct arena *a)
{
    while (a->head != NULL) {
        struct arena_block *b = a->head;

        a->head = b->next;
        free(b);
    }
    a->used = 0;
}

/* Blocks double, so that n bytes cost log(n) allocations; a large piece gets its own block. */
static struct arena_block *
block_new(const struct arena *a, size_t need)
{
    size_t size = a->head == NULL ? ARENA_BLOCK_MIN : a->head->size * 2;
    struct arena_block *b;

    if (size > ARENA_BLOCK_MAX)
        size = ARENA_BLOCK_MAX;
    if (size < need)
        size = need;
    b = mem_new(sizeof(*b) + size);
    b->size = size;
    return b;
}

void *
arena_alloc(struct arena *a, size_t size)
{
    struct arena_block *b = a->head;
    size_t need;
    void *p;

    assert(size <= SIZE_MAX / 4);
    need = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (need == 0)
        need = ARENA_ALIGN;
    if (b == NULL || b->size - b->used < need) {
        b = block_new(a, need);
        b->next = a->head;
        a->head = b;
    }
    p = b->bytes + b->used;
    b->used += need;
    a->used += need;
    return p;
}

struct str
arena_dup(struct arena *a, struct str s)
{
    return (struct str){arena_cstr(a, s), s.len};
}

char *
arena_cstr(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.len + 1);

    if (s.len > 0)
        memcpy(copy, s.at, s.len);
    return copy;
}

char *
arena_format(struct arena *a, const char *format, ...)
{
    char *text = NULL, *copy;
    va_list args;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0)
        abort();
    copy = arena_cstr(a, (struct str){text, (size_t)len});
    free(text);
    return copy;
}
