/* SPDX-License-Identifier: MIT */
/* turns.h - whose turn it is with the core: the engine's, or that of those who only read.
 * The engine's turn lasts from its first step until the commit of it, so readers see what is
 * durable.  Whoever asks to read meanwhile is let in when it ends, before the next one begins,
 * however soon that follows: a reader waits for one turn, and no longer than its patience, for a disk
 * may stall.  Who asks while the engine waits for readers to leave is let in after it, so neither
 * side keeps the other out.
 * Readers run one at a time.  One engine thread; any number of readers. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct turns;

struct turns *turns_new(void);
void turns_free(struct turns *t); /* nobody is in, or waits */
void turns_begin(struct turns *t); /* the engine's */
void turns_end(struct turns *t);
/* False: the engine's turn lasts longer than that. */
bool turns_read_begin(struct turns *t, int64_t patience_ms);
void turns_read_end(struct turns *t);
