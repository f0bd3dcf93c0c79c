/* SPDX-License-Identifier: MIT */
/* names.h - which names a block or a file has had so far, to find one that stands twice in time that does not grow
 * with it: an open table of hashes, in the arena.  Starts as {0}. Ownership: names are borrowed. */
#pragma once
#include "base/arena.h"

struct known_name {
    const char *name;
    uint32_t len, hash;
    const void *what; /* NULL: free */
};
struct names {
    struct known_name *at;
    size_t size, count;
    uint64_t seed;
};

/* There will be so many: the table need not grow. */
void names_reserve(struct arena *a, struct names *names, size_t count);
/* Of the name, `what` (not NULL) of when it was added first; NULL: it is added now. */
const void *names_add(struct arena *a, struct names *names, struct str name, const void *what);
/* NULL: it was not added. */
const void *names_find(const struct names *names, struct str name);
