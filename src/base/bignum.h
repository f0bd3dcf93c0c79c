/* SPDX-License-Identifier: MIT */
/* bignum.h - whole numbers beyond 64 bits; OpenSSL does their arithmetic.
 * A `struct bignum` is a view, as a `struct str` is: what a function gives lies in the arena that it
 * was called with. Of base 10 no number has more digits than BIGNUM_DIGITS_MAX, and nothing here takes
 * more than some hundredths of a second.
 * Errors: functions that give bool say false, and nothing else, when the result would be larger than
 * BIGNUM_BITS_MAX (or, where it says so, when the text is no number). Divisors must not be 0. */
#pragma once
#include "base/arena.h"

#define BIGNUM_BITS_MAX 262144u
#define BIGNUM_DIGITS_MAX 78914u
#define BIGNUM_GCD_BITS_MAX 16384u

struct bignum {
    struct str magnitude; /* the first byte counts most, and is not 0; empty: zero */
    bool is_negative;     /* never of zero */
};

/* Where the bytes of a small one lie. */
struct bignum_space {
    unsigned char at[16];
};
struct bignum bignum_of(__int128 n, struct bignum_space *space);
bool bignum_of_real(struct arena *a, double d, struct bignum *out) MUST_CHECK; /* its whole part */
bool bignum_to_i64(struct bignum n, int64_t *out) MUST_CHECK;                  /* does it fit? */
uint64_t bignum_low(struct bignum n); /* the last 64 bits of its two's complement */
double bignum_to_real(struct bignum n);

int bignum_sign(struct bignum n); /* -1, 0, 1 */
int bignum_compare(struct bignum a, struct bignum b);
size_t bignum_bits(struct bignum n);   /* of its magnitude */
size_t bignum_digits(struct bignum n); /* the same in decimal; 1 of zero */
struct bignum bignum_negated(struct bignum n);

enum bignum_op {
    BIGNUM_ADD,
    BIGNUM_SUB,
    BIGNUM_MUL,
    BIGNUM_DIV, /* towards zero */
    BIGNUM_REST, /* of the sign of `a` */
    BIGNUM_GCD, /* of numbers up to BIGNUM_GCD_BITS_MAX */
    BIGNUM_AND, /* bits of two's complement, from here on */
    BIGNUM_OR,
    BIGNUM_XOR
};
bool bignum_apply(struct arena *arena, enum bignum_op op, struct bignum a, struct bignum b,
                  struct bignum *out) MUST_CHECK;
bool bignum_power(struct arena *arena, struct bignum a, uint64_t exponent,
                  struct bignum *out) MUST_CHECK;
bool bignum_times_ten(struct arena *arena, struct bignum a, uint64_t exponent,
                      struct bignum *out) MUST_CHECK; /* a * 10^exponent */
/* To the left; by a negative number to the right, towards minus infinity. */
bool bignum_shift(struct arena *arena, struct bignum a, int64_t places,
                  struct bignum *out) MUST_CHECK;

/* Digits of base 2 to 36 with at most one '-' or '+' before them; false if it is anything else. */
bool bignum_parse(struct arena *arena, struct str text, unsigned base,
                  struct bignum *out) MUST_CHECK;
void bignum_format(struct bignum n, unsigned base, struct strbuf *out);
