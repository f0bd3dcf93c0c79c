/* SPDX-License-Identifier: MIT */
#include "pipeline/language/names.h"

#include "base/hash.h"

#define SIZE_MIN 16

/* Its place, or the free one where it belongs. */
static struct known_name *
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
grow(struct arena *a, struct names *names)
{
    const struct names before = *names;

    names->size = before.size == 0 ? SIZE_MIN : before.size * 2;
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

const void *
names_add(struct arena *a, struct names *names, struct str name, const void *what)
{
    struct known_name *known;
    uint32_t hash;

    if (names->count * 2 >= names->size)
        grow(a, names);
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
