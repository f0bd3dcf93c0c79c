/* SPDX-License-Identifier: MIT */
/* address_block.h - blocks of IP addresses, "10.0.0.0/8", "2001:db8::/32", as source-ip conditions name
 * them (alb.md A4).  Pure. */
#pragma once
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
/* Is the address in the block? False for what is no address, or one of the other kind. */
bool address_block_has(const struct address_block *block, const char *address);
