/* SPDX-License-Identifier: MIT */
/* hash.h - what tables of names that others write are indexed by.  A seed that they do not know (where a
 * table lies in memory will do) keeps them from writing names that all fall into one place.
 * What is written down or seen by users is FNV-1a: the same on every machine and in every version. */
#pragma once
#include "base/str.h"

static inline uint64_t
hash_mix(uint64_t a, uint64_t b)
{
    const unsigned __int128 product =
        (unsigned __int128)(a ^ 0x9E3779B97F4A7C15u) * (b ^ 0xC2B2AE3D27D4EB4Fu);

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The seed is in both factors: a word that makes one of them 0 would take all before it out of the hash. */
static inline uint64_t
hash_text(struct str s, uint64_t seed)
{
    uint64_t h = seed ^ s.len, word;
    size_t i = 0;

    for (; i + 8 <= s.len; i += 8) {
        memcpy(&word, s.at + i, 8);
        h = hash_mix(h, word ^ seed);
    }
    word = 0;
    if (i < s.len)
        memcpy(&word, s.at + i, s.len - i);
    return hash_mix(h, word ^ seed);
}

#define HASH_FNV_32 2166136261u
#define HASH_FNV_64 14695981039346656037u

/* Both go on from `h`, which begins as the constant above. */
static inline uint32_t
hash_fnv_32(uint32_t h, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.at[i]) * 16777619u;
    return h;
}

static inline uint64_t
hash_fnv_64(uint64_t h, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.at[i]) * 1099511628211u;
    return h;
}
