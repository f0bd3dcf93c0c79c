/* SPDX-License-Identifier: MIT */
#include "pipeline/language/names.h"

#include "base/hash.h"

#define SIZE_MIN 16

/* Its place, or the free one where it belongs. */
static struct known_name *
find(const struct names *names, struct str name)
{
    for (size_t slot = (size_t)hash_text(name, (uintptr_t)names->at);; slot++) {
        struct known_name *known = &names->at[slot & (names->size - 1)];
        if (known->what == NULL || str_equal(known->name, name))
            return known;
    }
}

static void
grow(struct arena *a, struct names *names)
{
    const struct names before = *names;

    names->size = before.size == 0 ? SIZE_MIN : before.size * 2;
    names->at = arena_alloc(a, names->size * sizeof(*names->at));
    for (size_t i = 0; i < before.size; i++)
        if (before.at[i].what != NULL)
            *find(names, before.at[i].name) = before.at[i];
}

const void *
names_add(struct arena *a, struct names *names, struct str name, const void *what)
{
    struct known_name *known;

    if (names->count * 2 >= names->size)
        grow(a, names);
    known = find(names, name);
    if (known->what != NULL)
        return known->what;
    *known = (struct known_name){name, what};
    names->count++;
    return NULL;
}
