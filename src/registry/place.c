/* SPDX-License-Identifier: MIT */
/* place.c - what nearly every request asks of its repository: is it there, and has nobody set a policy? Each answer is
 * one or two looks at the disk, which made up half of a HEAD. Kept for the repositories that were asked for last. */
#include "registry/internal.h"

#include "base/hash.h"

#define PLACES_KEPT 64

struct places {
    pthread_mutex_t lock;
    struct place {
        char region[REGISTRY_REGION_SIZE];
        char name[REGISTRY_NAME_SIZE];
        unsigned facts, as_of; /* enum place_fact */
    } kept[PLACES_KEPT];
};

uint32_t
place_hash(const char *region, const char *name)
{
    return (uint32_t)hash_text(str_of(name), hash_text(str_of(region), 0));
}

struct places *
places_new(void)
{
    struct places *p = mem_new(sizeof *p);

    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void
places_free(struct places *p)
{
    if (p == NULL)
        return;
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static bool
place_is_of(const struct place *at, const char *region, const char *name, unsigned as_of)
{
    return at->as_of == as_of && strcmp(at->name, name) == 0 && strcmp(at->region, region) == 0;
}

bool
place_is(struct registry *reg, const char *region, const char *name, enum place_fact fact)
{
    if (reg->places == NULL)
        return false;
    const struct place *at = &reg->places->kept[place_hash(region, name) % PLACES_KEPT];
    pthread_mutex_lock(&reg->places->lock);
    const bool is = place_is_of(at, region, name, places_changed(reg)) && (at->facts & fact) != 0;
    pthread_mutex_unlock(&reg->places->lock);
    return is;
}

void
place_note(struct registry *reg, const char *region, const char *name, enum place_fact fact, unsigned as_of)
{
    if (reg->places == NULL)
        return;
    struct place *at = &reg->places->kept[place_hash(region, name) % PLACES_KEPT];
    pthread_mutex_lock(&reg->places->lock);
    if (!place_is_of(at, region, name, as_of)) {
        text_copy_all(at->region, sizeof at->region, region);
        text_copy_all(at->name, sizeof at->name, name);
        at->as_of = as_of;
        at->facts = 0;
    }
    at->facts |= fact;
    pthread_mutex_unlock(&reg->places->lock);
}
