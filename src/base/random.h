/* SPDX-License-Identifier: MIT */
/* random.h - the only dice: getrandom(2) for ids and keys; a seeded generator for the core, whose
 * ids must be reproducible from its history (the engine seeds it once and stores the seed). */
#pragma once
#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t len);
void random_hex(char *out, size_t digits);     /* writes a NUL at out[digits] */
void random_uuid(char out[static 37]);
void random_token(char *out, size_t chars);    /* A-Za-z0-9_-, not '-' first; NUL at out[chars] */

struct rng { uint64_t s[4]; };                 /* xoshiro256** */
void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t bound); /* [0, bound), bound > 0 */
void rng_hex(struct rng *r, char *out, size_t digits);
void rng_uuid(struct rng *r, char out[static 37]);
void rng_token(struct rng *r, char *out, size_t chars);
