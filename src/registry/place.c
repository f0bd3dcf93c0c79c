/* SPDX-License-Identifier: MIT */
/* place.c - what nearly every request asks of its repository: is it there, has nobody set a policy or a quota, what does
 * its description say? Each answer is one to four looks at the disk, which made up half of a HEAD. Kept for the
 * repositories that were asked for last. */
#include "registry/internal.h"

#include "base/hash.h"

#define PLACES_KEPT 64
#define TEXT_KEPT_MAX ((size_t)4 << 10)

struct places {
    pthread_mutex_t lock;
    struct place {
        char region[REGISTRY_REGION_SIZE];
        char name[REGISTRY_NAME_SIZE];
        unsigned facts, as_of; /* enum place_fact */
        char *text;            /* its description; NULL: not kept */
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
    for (size_t i = 0; i < PLACES_KEPT; i++)
        free(p->kept[i].text);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static bool
place_is_of(const struct place *at, const char *region, const char *name, unsigned as_of)
{
    return at->as_of == as_of && strcmp(at->name, name) == 0 && strcmp(at->region, region) == 0;
}

static struct place *
place_of(struct registry *reg, const char *region, const char *name)
{
    return &reg->places->kept[place_hash(region, name) % PLACES_KEPT];
}

/* Whoever was there before goes. With the lock held. */
static struct place *
place_take(struct registry *reg, const char *region, const char *name, unsigned as_of)
{
    struct place *at = place_of(reg, region, name);

    if (place_is_of(at, region, name, as_of))
        return at;
    text_copy_all(at->region, sizeof at->region, region);
    text_copy_all(at->name, sizeof at->name, name);
    at->as_of = as_of;
    at->facts = 0;
    free(TAKE(at->text));
    return at;
}

bool
place_is(struct registry *reg, const char *region, const char *name, enum place_fact fact)
{
    if (reg->places == NULL)
        return false;
    const struct place *at = place_of(reg, region, name);
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
    pthread_mutex_lock(&reg->places->lock);
    place_take(reg, region, name, as_of)->facts |= fact;
    pthread_mutex_unlock(&reg->places->lock);
}

bool
place_text(struct registry *reg, const char *region, const char *name, struct strbuf *out)
{
    if (reg->places == NULL)
        return false;
    const struct place *at = place_of(reg, region, name);
    pthread_mutex_lock(&reg->places->lock);
    const bool is = place_is_of(at, region, name, places_changed(reg)) && at->text != NULL;
    if (is)
        strbuf_add(out, str_of(at->text));
    pthread_mutex_unlock(&reg->places->lock);
    return is;
}

void
place_note_text(struct registry *reg, const char *region, const char *name, struct str text, unsigned as_of)
{
    if (reg->places == NULL || text.len > TEXT_KEPT_MAX)
        return;
    pthread_mutex_lock(&reg->places->lock);
    struct place *at = place_take(reg, region, name, as_of);
    free(at->text);
    at->text = str_dup(text);
    pthread_mutex_unlock(&reg->places->lock);
}
