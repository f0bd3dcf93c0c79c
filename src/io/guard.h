/* SPDX-License-Identifier: MIT */
/* guard.h - slows down who guesses: failed attempts are counted by source address and key together,
 * and of each source address the keys with which one failed. After GUARD_FREE attempts (ten times as
 * many keys) the next one has to wait a second, then two, four ... GUARD_WAIT_MAX_MS; right ones wait
 * as well, or the answer would tell. Fifteen minutes without a failure, or a success for the pair, forget
 * it. Memory is fixed (about 200 KiB): a flood of addresses drives out the oldest of its own row.
 * Threads: any. */
#pragma once
#include "base/str.h"

#define GUARD_FREE 10
#define GUARD_WAIT_MAX_MS 30000

struct guard;
struct guard *guard_new(void);
void guard_free(struct guard *g); /* NULL is fine */
/* How long this one has to wait before the next attempt is looked at; 0: now. */
int64_t guard_wait_ms(struct guard *g, struct str peer, struct str key, int64_t now_ms);
/* `key` may be empty where what was wrong cannot be guessed (a signed token): these are counted by
 * themselves, ten times as many are free, and no key waits for them. */
void guard_failed(struct guard *g, struct str peer, struct str key, int64_t now_ms);
void guard_passed(struct guard *g, struct str peer, struct str key);
