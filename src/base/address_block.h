/* SPDX-License-Identifier: MIT */
/* address_block.h - blocks of IP addresses, "10.0.0.0/8", "2001:db8::/32": of source-ip conditions (alb.md
 * A4) and of policies, of subnets, of those whom the front door trusts and believes.  Pure. */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct address_block {
    unsigned char address[16]; /* the first `size` of them */
    int size;                  /* 4 or 16 */
    int bits;                  /* so many count, from the first on */
};

/* False: it is none; an address without '/' is none either. */
bool address_block_parse(const char *text, struct address_block *out) MUST_CHECK;
/* The same, but an address alone is the block of itself. */
bool address_block_parse_any(const char *text, struct address_block *out) MUST_CHECK;
/* Is all of `inner` in `outer`? False where they are of two kinds. */
bool address_block_holds(const struct address_block *outer, const struct address_block *inner);
/* Is the address in the block? False for what is no address, or one of the other kind. */
bool address_block_has(const struct address_block *block, const char *address);
/* "10.0.0.0/8, ::1": `max` of them at most. False: one is none, or there are more (ERR_USAGE). */
bool address_blocks_read(const char *text, struct address_block *out, size_t max, size_t *count_out,
                         struct err *err) MUST_CHECK;
/* Is all of it in one of them? */
bool address_blocks_hold(const struct address_block *blocks, size_t count,
                         const struct address_block *inner);
