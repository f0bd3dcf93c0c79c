/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#define ARENA_ALIGN 16u
#define ARENA_BLOCK_MIN 1008u /* with the header a block stays below a malloc size of 1 KiB */
#define ARENA_BLOCK_MAX (64u * 1024u)
#define ARENA_MAPPED_MIN (512u * 1024u)
#define HUGE_PAGE (2048u * 1024u)

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    bool is_mapped;
    _Alignas(ARENA_ALIGN) char bytes[];
};

void
arena_done(struct arena *a)
{
    while (a->head != NULL) {
        struct arena_block *b = a->head;

        a->head = b->next;
        if (b->is_mapped)
            munmap(b, sizeof(*b) + b->size);
        else
            free(b);
    }
    a->used = 0;
}

/* Of huge pages, where the kernel has them: the time for a new page goes by their count more than by
 * their size, and made up half of the time in which a large file was parsed. */
static struct arena_block *
block_map(size_t size)
{
    const size_t whole = (sizeof(struct arena_block) + size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    char *p = mmap(NULL, whole + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct arena_block *b;
    size_t before;

    if (p == MAP_FAILED)
        abort();
    before = HUGE_PAGE - (uintptr_t)p % HUGE_PAGE;
    munmap(p, before);
    if (before < HUGE_PAGE)
        munmap(p + before + whole, HUGE_PAGE - before);
    (void)madvise(p + before, whole, MADV_HUGEPAGE);
    b = (struct arena_block *)(void *)(p + before);
    b->size = whole - sizeof(*b);
    b->is_mapped = true;
    return b;
}

static struct arena_block *
block_new(size_t size)
{
    struct arena_block *b;

    if (size >= ARENA_MAPPED_MIN)
        return block_map(size);
    b = mem_new(sizeof(*b) + size);
    b->size = size;
    return b;
}

static void
block_add(struct arena *a, size_t size)
{
    struct arena_block *b = block_new(size);

    b->next = a->head;
    a->head = b;
}

/* Blocks double, so that n bytes cost log(n) allocations; a large piece gets its own block. */
static size_t
block_size(const struct arena *a, size_t need)
{
    size_t size = a->head == NULL ? ARENA_BLOCK_MIN : a->head->size * 2;

    if (a->head != NULL && a->head->is_mapped)
        size = ARENA_MAPPED_MIN;
    else if (size > ARENA_BLOCK_MAX)
        size = ARENA_BLOCK_MAX;
    return size < need ? need : size;
}

void
arena_reserve(struct arena *a, size_t size)
{
    if (a->head == NULL || a->head->size - a->head->used < size)
        block_add(a, size);
}

void *
arena_alloc(struct arena *a, size_t size)
{
    struct arena_block *b;
    size_t need;
    void *p;

    assert(size <= SIZE_MAX / 4);
    need = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (need == 0)
        need = ARENA_ALIGN;
    if (a->head == NULL || a->head->size - a->head->used < need)
        block_add(a, block_size(a, need));
    b = a->head;
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
