/* SPDX-License-Identifier: MIT */
#include "pipeline/language/names.h"

#include "base/hash.h"

#define SIZE_MIN 16

/* A third stays free, so that a name is found near to where it belongs. */
static bool
has_room(size_t size, size_t count)
{
    return count * 3 < size * 2;
}

/* Its place, or the free one where it belongs. */
static inline struct known_name *
find(const struct names *names, struct str name, uint32_t hash)
{
    for (size_t slot = hash;; slot++) {
        struct known_name *known = &names->at[slot & (names->size - 1)];
        if (known->what == NULL || (known->hash == hash && str_equal((struct str){known->name, known->len}, name)))
            return known;
    }
}

/* All names differ: none of them has to be looked at. */
static void
resize(struct arena *a, struct names *names, size_t size)
{
    const struct names before = *names;

    names->size = size;
    names->at = arena_alloc(a, names->size * sizeof(*names->at));
    if (before.size == 0)
        names->seed = (uintptr_t)names->at;
    for (size_t i = 0; i < before.size; i++) {
        size_t slot = before.at[i].hash;
        if (before.at[i].what == NULL)
            continue;
        while (names->at[slot & (names->size - 1)].what != NULL)
            slot++;
        names->at[slot & (names->size - 1)] = before.at[i];
    }
}

void
names_reserve(struct arena *a, struct names *names, size_t count)
{
    size_t size = SIZE_MIN;

    while (!has_room(size, count))
        size *= 2;
    if (size > names->size)
        resize(a, names, size);
}

const void *
names_add(struct arena *a, struct names *names, struct str name, const void *what)
{
    struct known_name *known;
    uint32_t hash;

    if (!has_room(names->size, names->count))
        resize(a, names, names->size == 0 ? SIZE_MIN : names->size * 2);
    hash = (uint32_t)hash_text(name, names->seed);
    known = find(names, name, hash);
    if (known->what != NULL)
        return known->what;
    *known = (struct known_name){name.at, (uint32_t)name.len, hash, what};
    names->count++;
    return NULL;
}

const void *
names_find(const struct names *names, struct str name)
{
    return names->count == 0 ? NULL : find(names, name, (uint32_t)hash_text(name, names->seed))->what;
}
