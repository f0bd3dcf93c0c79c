/* SPDX-License-Identifier: MIT */
/* number.h - arithmetic of integers and decimals as Groovy has it; operators.c has that of doubles.
 * All throw ArithmeticException for what is larger than BIGNUM_BITS_MAX, and count large numbers as
 * evaluations: what is made pays for being looked at once, too. */
#pragma once
#include "pipeline/groovy/interp.h"

/* + - * / % **; neither is a double, nor is the result of a power one that has to be. */
bool number_binary(struct interp *in, const struct node *at, enum token_type op, struct value a,
                   struct value b, struct value *out) MUST_CHECK;
/* ** of any two numbers. */
bool number_power(struct interp *in, const struct node *at, struct value a, struct value b,
                  struct value *out) MUST_CHECK;
/* & | ^ << >> >>> of two whole numbers. */
bool number_bits(struct interp *in, const struct node *at, enum token_type op, struct value a,
                 struct value b, struct value *out) MUST_CHECK;
bool number_negate(struct interp *in, const struct node *at, struct value v,
                   struct value *out) MUST_CHECK;
/* a.intdiv(b) of whole numbers. */
bool number_intdiv(struct interp *in, const struct node *at, struct value a, struct value b,
                   struct value *out) MUST_CHECK;
/* To decimals of that many digits behind the point. */
bool number_divide_to(struct interp *in, const struct node *at, struct value a, struct value b,
                      int64_t scale, enum rounding mode, struct value *out) MUST_CHECK;
bool number_rescale(struct interp *in, const struct node *at, struct value v, int64_t scale,
                    enum rounding mode, struct value *out) MUST_CHECK;
/* Math.round() and Number.round(digits): halves go up; of a double a double. */
bool number_round(struct interp *in, const struct node *at, struct value v, int64_t digits,
                  struct value *out) MUST_CHECK;
/* Without the zeros at its end, down to that scale. */
struct value number_stripped(struct arena *a, struct value v, int32_t least_scale);
/* methods_number.c */
bool method_of_number(struct interp *in, const struct node *call, struct value object,
                      struct str name, const struct args *args, struct value *out,
                      bool *found) MUST_CHECK;
/* new BigInteger('12'), new BigDecimal(1.5d), new MathContext(5). */
bool number_new(struct interp *in, const struct node *at, struct str class_name,
                const struct args *args, struct value *out, bool *found) MUST_CHECK;
/* BigInteger.valueOf(), BigDecimal.TEN, RoundingMode.HALF_UP ...; `args` NULL: a constant. */
bool number_static(struct interp *in, const struct node *at, struct str class_name,
                   struct str name, const struct args *args, struct value *out,
                   bool *found) MUST_CHECK;
