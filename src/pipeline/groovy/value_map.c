/* SPDX-License-Identifier: MIT */
/* value_map.c - maps: their entries in a row, and from INDEX_FROM of them on a hash index beside
 * it. The index has a seed of its own (where it lies in memory), so that nobody can write a file
 * whose keys all fall into one place. */
#include <math.h>
#include "base/hash.h"
#include "pipeline/groovy/value.h"

#define INDEX_FROM 16

static uint64_t
hash_pointer(const void *p, uint64_t seed)
{
    return hash_mix(seed, (uintptr_t)p);
}

static uint64_t
times(uint64_t a, uint64_t b, uint64_t modulus)
{
    return (uint64_t)((unsigned __int128)a * b % modulus);
}

/* 10^exponent */
static uint64_t
power_of_ten(int64_t exponent, uint64_t modulus)
{
    uint64_t base = 10, power = 1, left = (uint64_t)(exponent < 0 ? -exponent : exponent), k = 1;

    while (exponent < 0 && (modulus * k + 1) % 10 != 0)
        k++;
    if (exponent < 0) /* what gives 1 with 10 */
        base = (modulus * k + 1) / 10;
    for (; left > 0; left /= 2, base = times(base, base, modulus))
        power = left % 2 != 0 ? times(power, base, modulus) : power;
    return power;
}

/* The same for all that are equal, however they are written: number / 10^scale modulo something that
 * nobody can know, and that has neither 2 nor 5 in it. */
static uint64_t
hash_exact(struct value v, uint64_t seed)
{
    const uint64_t some = seed >> 4 | (uint64_t)1 << 59 | 1, modulus = some + (some % 5 == 0 ? 2 : 0);
    struct bignum_space space;
    const struct bignum n = value_unscaled(v, &space);
    unsigned __int128 rest = 0;

    for (size_t i = 0; i < n.magnitude.len; i++) {
        rest = rest << 8 | (unsigned char)n.magnitude.at[i];
        if (i % 8 == 7)
            rest %= modulus;
    }
    rest = times((uint64_t)(rest % modulus), power_of_ten(-(int64_t)v.scale, modulus), modulus);
    return hash_mix(seed, n.is_negative && rest != 0 ? modulus - (uint64_t)rest : (uint64_t)rest);
}

/* A double counts as the decimal that it reads as; what is equal to it only because it is rounded to it
 * is another item of a set that is hashed. */
static uint64_t
hash_real(double d, uint64_t seed)
{
    cleanup(arena_done) struct arena own = {0};
    cleanup(strbuf_done) struct strbuf text = {0};
    struct value exact = value_null();

    if (fabs(d) < 0x1p53 && d == (double)(int64_t)d)
        return hash_exact(value_long((int64_t)d), seed);
    value_format_number(value_real(d), &text);
    if (value_of_number(&own, strbuf_str(&text), &exact))
        return hash_exact(exact, seed);
    return hash_text(strbuf_str(&text), seed); /* Infinity and NaN */
}

static uint64_t
hash_number(struct value v, enum equality mode, uint64_t seed)
{
    if (mode == EQUAL_BY_VALUE)
        return v.type == V_DOUBLE ? hash_real(v.real, seed) : hash_exact(v, seed);
    if (v.is_wide)
        return hash_text(v.magnitude, seed + v.type + (uint32_t)v.scale);
    return hash_mix(seed + v.type + (uint32_t)v.scale, (uint64_t)v.number);
}

/* `left` reaches 0: the value is too large to be told by what it holds. */
static uint64_t
hash_at(struct value v, enum equality mode, uint64_t seed, unsigned depth, unsigned *left)
{
    uint64_t h = seed;

    if (*left == 0 || depth > VALUE_DEPTH_MAX) {
        *left = 0;
        return 0;
    }
    --*left;
    /* Inside of another value a text or a number counts as value_equal_within() counts it. */
    *left -= depth == 0 ? 0 : value_cost(v) > *left ? *left : (unsigned)value_cost(v);
    if (depth > 0 && value_is_asked(v)) /* what holds it is equal to what only that can say */
        *left = 0;
    if (*left == 0)
        return 0;
    switch (v.type) {
    case V_NULL:
        return seed;
    case V_BOOL:
        return hash_mix(seed, v.truth);
    case V_INT:
    case V_LONG:
    case V_BIG:
    case V_DECIMAL:
    case V_DOUBLE:
        return hash_number(v, mode, seed);
    case V_TEXT:
    case V_PATTERN:
        return hash_text(v.text, seed);
    case V_LIST:
        if (list_is_set(v.list)) { /* equal ones may differ in their order */
            for (size_t i = 0; i<v.list->count && * left> 0; i++)
                h += hash_mix(seed, hash_at(v.list->at[i], mode, seed, depth + 1, left));
            return h;
        }
        for (size_t i = 0; i<v.list->count && * left> 0; i++)
            h = hash_mix(h, hash_at(v.list->at[i], mode, seed, depth + 1, left));
        return hash_mix(h, v.list->count);
    case V_MAP: /* equal ones may differ in their order */
        for (size_t i = 0; i<v.map->count && * left> 0; i++)
            h += hash_mix(hash_at(v.map->at[i].key, EQUAL_AS_KEYS, seed, depth + 1, left),
                       hash_at(v.map->at[i].value, mode, seed, depth + 1, left));
        return h;
    case V_CLOSURE:
        return hash_pointer(v.closure, seed);
    case V_EXCEPTION:
        return hash_pointer(v.exception, seed);
    case V_HOST:
        return v.host == HOST_CLASS ? hash_text(v.text, seed) : hash_pointer(v.data, seed);
    case V_OBJECT:
        if (object_is_its_fields(v.object) && !v.object->is_asked)
            return hash_at((struct value){.type = V_MAP, .map = v.object->fields}, mode, seed,
                           depth + 1, left);
        return value_is_object(v, "Date") || value_is_object(v, "LocalDate") ? hash_mix(seed, (uint64_t)v.object->number)
                                          : hash_pointer(v.object, seed);
    }
    return 0;
}

bool
value_is_large(struct value v)
{
    unsigned left = VALUE_KEY_VISITS_MAX;

    if (value_is_asked(v))
        return true;
    if (v.type != V_LIST && v.type != V_MAP)
        return false;
    (void)hash_at(v, EQUAL_AS_KEYS, 0, 0, &left);
    return left == 0;
}

/* It is hashed, and compared with what is found; where there is no index with all there is. */
size_t
map_key_cost(const struct map *m, struct value key)
{
    unsigned left = VALUE_KEY_VISITS_MAX;

    if (key.type != V_LIST && key.type != V_MAP && key.type != V_OBJECT)
        return 0;
    (void)hash_at(key, m->by, 0, 0, &left);
    return (VALUE_KEY_VISITS_MAX - left) * (m->index != NULL ? 2 : 1 + m->count);
}

uint64_t
value_hash(struct value v, enum equality mode, uint64_t seed)
{
    unsigned left = VALUE_KEY_VISITS_MAX;
    const uint64_t h = hash_at(v, mode, seed, 0, &left);

    if (left > 0 || (v.type != V_LIST && v.type != V_MAP))
        return h;
    return v.type == V_LIST ? hash_pointer(v.list, seed) : hash_pointer(v.map, seed);
}

static bool
is_key(const struct map *m, struct value a, struct value b)
{
    struct comparison c = {.left = value_is_number(a) ? VALUE_VISITS_MAX : VALUE_KEY_VISITS_MAX};

    if (a.type == V_TEXT && b.type == V_TEXT)
        return (m->by == EQUAL_BY_VALUE || a.is_gstring == b.is_gstring) &&
               str_equal(a.text, b.text);
    return value_equal_within(a, b, m->by, &c);
}

/* The place in the index that has the key, or the free one where it would stand. */
static size_t
slot_of(const struct map *m, struct value key)
{
    const size_t mask = m->index_size - 1;
    size_t slot = (size_t)value_hash(key, m->by, m->seed) & mask;

    while (m->index[slot] != 0 && !is_key(m, m->at[m->index[slot] - 1].key, key))
        slot = (slot + 1) & mask;
    return slot;
}

/* A place for an entry whose key is known to be new. */
static void
index_add(struct map *m, size_t entry)
{
    const size_t mask = m->index_size - 1;
    size_t slot = (size_t)value_hash(m->at[entry].key, m->by, m->seed) & mask;

    while (m->index[slot] != 0)
        slot = (slot + 1) & mask;
    m->index[slot] = (uint32_t)entry + 1;
}

static void
index_build(struct arena *a, struct map *m, size_t capacity)
{
    size_t size = 64;

    while (size < capacity * 2)
        size *= 2;
    m->index = arena_alloc(a, size * sizeof(*m->index));
    m->index_size = size;
    m->seed = hash_mix((uintptr_t)m->index, (uintptr_t)m);
    for (size_t i = 0; i < m->count; i++)
        index_add(m, i);
}

size_t
map_place(const struct map *m, struct value key)
{
    size_t from = 0, to = m->count;

    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        int order = 0;
        (void)value_compare(m->at[middle].key, key, &order);
        from = order < 0 ? middle + 1 : from;
        to = order < 0 ? to : middle;
    }
    return from;
}

static struct value *
find_sorted(const struct map *m, struct value key)
{
    const size_t i = map_place(m, key);
    int order = 1;

    return i < m->count && value_compare(m->at[i].key, key, &order) && order == 0
               ? &m->at[i].value
               : NULL;
}

struct value *
map_find(const struct map *m, struct value key)
{
    if (m->is_sorted)
        return find_sorted(m, key);
    if (m->index != NULL) {
        const uint32_t entry = m->index[slot_of(m, key)];
        return entry == 0 ? NULL : &m->at[entry - 1].value;
    }
    for (size_t i = 0; i < m->count; i++)
        if (is_key(m, m->at[i].key, key))
            return &m->at[i].value;
    return NULL;
}

struct value *
map_find_text(const struct map *m, const char *key)
{
    return m == NULL ? NULL : map_find(m, value_text(str_of(key)));
}

void
map_reserve(struct arena *a, struct map *m, size_t count)
{
    struct map_entry *at;

    if (count <= m->capacity)
        return;
    at = arena_alloc(a, count * sizeof(*at));
    if (m->count > 0)
        memcpy(at, m->at, m->count * sizeof(*at));
    m->at = at;
    m->capacity = count;
    if (count > INDEX_FROM && !m->is_sorted)
        index_build(a, m, count);
}

void
map_put(struct arena *a, struct map *m, struct value key, struct value v)
{
    struct value *found = map_find(m, key);
    size_t i = m->count;

    m->changes++;
    if (found != NULL) {
        *found = v;
        return;
    }
    m->key_changes++;
    if (m->count == m->capacity)
        map_reserve(a, m, m->capacity == 0 ? 8 : m->capacity * 2);
    if (m->is_sorted) {
        i = map_place(m, key);
        memmove(&m->at[i + 1], &m->at[i], (m->count - i) * sizeof(*m->at));
    }
    m->at[i].key = key;
    m->at[i].value = v;
    m->count++;
    if (m->index != NULL)
        index_add(m, m->count - 1);
}

struct value
map_entries(struct arena *a, struct map *m)
{
    struct value v = value_list(a);

    for (size_t i = 0; i < m->count; i++)
        list_add(a, v.list, value_entry_of(a, m, i));
    return v;
}

void
map_put_text(struct arena *a, struct map *m, const char *key, struct value v)
{
    map_put(a, m, value_cstr(a, key), v);
}

void
map_clear(struct map *m)
{
    m->changes++;
    m->key_changes++;
    m->count = 0;
    m->capacity = 0; /* what walks the map may still hold its entries */
    m->index = NULL;
}

/* Takes entry `i` out of the index: what stands behind its place because of it moves up. */
static void
index_remove(struct map *m, size_t slot, size_t i)
{
    const size_t mask = m->index_size - 1;

    for (size_t next = (slot + 1) & mask; m->index[next] != 0; next = (next + 1) & mask) {
        const struct value key = m->at[m->index[next] - 1].key;
        const size_t home = (size_t)value_hash(key, m->by, m->seed) & mask;
        if (((next - home) & mask) < ((next - slot) & mask))
            continue;
        m->index[slot] = m->index[next];
        slot = next;
    }
    m->index[slot] = 0;
    for (size_t s = 0; s < m->index_size; s++)
        if (m->index[s] > i + 1)
            m->index[s]--;
}

void
map_remove(struct map *m, struct value key)
{
    const struct value *found = map_find(m, key);
    size_t i;

    if (found == NULL)
        return;
    i = (size_t)((const struct map_entry *)((const char *)found -
                                            offsetof(struct map_entry, value)) -
                 m->at);
    if (m->index != NULL)
        index_remove(m, slot_of(m, key), i);
    memmove(&m->at[i], &m->at[i + 1], (m->count - i - 1) * sizeof(*m->at));
    m->count--;
    m->changes++;
    m->key_changes++;
}

void
map_drop(struct arena *a, struct map *m, const bool *drops)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->count; i++)
        if (!drops[i])
            m->at[kept++] = m->at[i];
    m->count = kept;
    m->changes++;
    m->key_changes++;
    if (m->index != NULL)
        index_build(a, m, m->capacity);
}
