/* SPDX-License-Identifier: MIT */
/* number.c - small numbers go by the machine's 64 bits, others by base/bignum.h. What is computed on
 * the way lies in an arena of the function's own: the script's keeps all until it ends. */
#include "pipeline/groovy/number.h"

#include <math.h>
#include "pipeline/groovy/interp_scope.h"

#define cleanup_arena cleanup(arena_done)
#define POWERS_MAX 18          /* 10^18 fits into 64 bits */
#define DIVISION_DIGITS_MIN 10 /* of a quotient that does not end, as Groovy has it */
#define WORDS_AN_EVALUATION 16 /* products of words */
#define DETOUR 64              /* evaluations: what it costs to leave the machine's numbers */

static bool
too_large(struct interp *in, const struct node *at)
{
    return interp_throw(in, at, "ArithmeticException", "the number is larger than 2^%u",
                        BIGNUM_BITS_MAX);
}

static bool
by_zero(struct interp *in, const struct node *at)
{
    return interp_throw(in, at, "ArithmeticException", "Division by zero");
}

/* What a power of ten costs. */
static bool
spend_tens(struct interp *in, const struct node *at, int64_t digits)
{
    const uint64_t most = BIGNUM_DIGITS_MAX, all = digits < 0 ? 0 - (uint64_t)digits : (uint64_t)digits;
    const size_t words = all > most ? 0 : (size_t)all / 19; /* refused at once */

    return interp_spend(in, at, DETOUR + words * words / (WORDS_AN_EVALUATION * 16));
}

static int32_t
scale_of(struct value v)
{
    return v.type == V_DECIMAL ? v.scale : 0;
}

static size_t
words_of(struct value v)
{
    return v.is_wide ? v.magnitude.len / 8 + 1 : 1;
}

/* A result counts as much as making a text of it takes. */
static bool
give(struct interp *in, const struct node *at, struct value v, struct value *out)
{
    *out = v;
    return !v.is_wide || interp_spend(in, at, words_of(v) * words_of(v) / 64);
}

static bool
give_whole(struct interp *in, const struct node *at, struct bignum n, struct value *out)
{
    return give(in, at, value_big(in->arena, n), out);
}

static bool
give_decimal(struct interp *in, const struct node *at, struct bignum n, int64_t scale,
             struct value *out)
{
    if (scale > INT32_MAX || scale < INT32_MIN)
        return interp_throw(in, at, "ArithmeticException",
                            "the scale of the number is beyond 32 bits");
    return give(in, at, value_decimal(in->arena, n, (int32_t)scale), out);
}

static struct value
integer(struct value a, struct value b, uint64_t n)
{
    if (a.type == V_LONG || b.type == V_LONG)
        return value_long((int64_t)n);
    return value_int((int32_t)(uint32_t)n);
}

static enum bignum_op
operation(enum token_type op)
{
    switch (op) {
    case T_ADD:
        return BIGNUM_ADD;
    case T_SUB:
        return BIGNUM_SUB;
    case T_MUL:
        return BIGNUM_MUL;
    case T_AND:
        return BIGNUM_AND;
    case T_OR:
        return BIGNUM_OR;
    default:
        return BIGNUM_XOR;
    }
}

/* Of two that are short a result that is short, too, is had without a detour. */
static bool
is_short_result(enum token_type op, struct value a, struct value b, int64_t *out)
{
    if (a.is_wide || b.is_wide)
        return false;
    return op == T_ADD   ? !__builtin_add_overflow(a.number, b.number, out)
           : op == T_SUB ? !__builtin_sub_overflow(a.number, b.number, out)
                         : op == T_MUL && !__builtin_mul_overflow(a.number, b.number, out);
}

static bool
whole_binary(struct interp *in, const struct node *at, enum token_type op, struct value a,
             struct value b, struct value *out)
{
    cleanup_arena struct arena own = {0};
    struct bignum_space spaces[2];
    struct bignum n;
    int64_t number;

    if (is_short_result(op, a, b, &number)) {
        *out = (struct value){.type = V_BIG, .number = number};
        return true;
    }
    if (!interp_spend(in, at, DETOUR + words_of(a) * words_of(b) / WORDS_AN_EVALUATION))
        return false;
    if (!bignum_apply(&own, operation(op), value_unscaled(a, &spaces[0]),
                      value_unscaled(b, &spaces[1]), &n))
        return too_large(in, at);
    return give_whole(in, at, n, out);
}

/* With as many digits behind the point as the other one has. */
static bool
aligned(struct arena *own, struct value v, int32_t scale, struct bignum_space *space,
        struct bignum *out)
{
    *out = value_unscaled(v, space);
    return scale <= scale_of(v) ||
           bignum_times_ten(own, *out, (uint64_t)((int64_t)scale - scale_of(v)), out);
}

static bool
decimal_sum(struct interp *in, const struct node *at, enum token_type op, struct value a,
            struct value b, struct value *out)
{
    cleanup_arena struct arena own = {0};
    const int32_t scale = scale_of(a) > scale_of(b) ? scale_of(a) : scale_of(b);
    struct bignum_space spaces[2];
    struct bignum x, y, n;
    int64_t number;

    if (scale_of(a) == scale_of(b) && is_short_result(op, a, b, &number)) {
        *out = (struct value){.type = V_DECIMAL, .number = number, .scale = scale};
        return true;
    }
    if (!spend_tens(in, at, (int64_t)scale_of(a) - scale_of(b)))
        return false;
    if (!aligned(&own, a, scale, &spaces[0], &x) || !aligned(&own, b, scale, &spaces[1], &y) ||
        !bignum_apply(&own, operation(op), x, y, &n))
        return too_large(in, at);
    return give_decimal(in, at, n, scale, out);
}

static bool
decimal_product(struct interp *in, const struct node *at, struct value a, struct value b,
                struct value *out)
{
    const int64_t scale = (int64_t)scale_of(a) + scale_of(b);
    struct bignum_space space;

    a.type = b.type = V_BIG;
    a.scale = b.scale = 0;
    if (!whole_binary(in, at, T_MUL, a, b, out))
        return false;
    return give_decimal(in, at, value_unscaled(*out, &space), scale, out);
}

struct value
number_stripped(struct arena *a, struct value v, int32_t least_scale)
{
    cleanup_arena struct arena own = {0};
    struct bignum_space spaces[2];
    struct bignum n = value_unscaled(v, &spaces[0]), power, q, rest;
    int64_t scale = v.scale;

    if (value_sign(v) == 0 && scale > least_scale)
        v.scale = least_scale;
    if (value_sign(v) == 0)
        return v;
    for (uint64_t step = 1u << 16; step > 0; step /= 2)
        while (scale - (int64_t)step >= least_scale && step * 3 <= bignum_bits(n) &&
               bignum_times_ten(&own, bignum_of(1, &spaces[1]), step, &power) &&
               bignum_apply(&own, BIGNUM_REST, n, power, &rest) && bignum_sign(rest) == 0 &&
               bignum_apply(&own, BIGNUM_DIV, n, power, &q)) {
            n = q;
            scale -= (int64_t)step;
        }
    return value_decimal(a, n, (int32_t)scale);
}

/* a / b with `scale` digits behind the point, as a number of all its digits. */
static bool
quotient(struct arena *own, struct value a, struct value b, int64_t scale, enum rounding mode,
         struct value *out)
{
    const int64_t more = scale - scale_of(a) + scale_of(b);
    struct bignum_space spaces[2];
    struct bignum x = value_unscaled(a, &spaces[0]), y = value_unscaled(b, &spaces[1]), q, rest;
    struct bignum_space tenth;

    if (!bignum_times_ten(own, more > 0 ? x : y, (uint64_t)(more > 0 ? more : -more),
                          more > 0 ? &x : &y) ||
        !bignum_apply(own, BIGNUM_DIV, x, y, &q) || !bignum_apply(own, BIGNUM_REST, x, y, &rest))
        return false;
    if (bignum_sign(rest) != 0) { /* a last digit that stands for all that is left: .1, .5 or .9 */
        struct bignum twice;
        if (!bignum_shift(own, rest, 1, &twice))
            return false;
        twice.is_negative = y.is_negative = false;
        const int half = bignum_compare(twice, y);
        const int digit = half < 0 ? 1 : half == 0 ? 5 : 9;
        const int sign = value_sign(a) * value_sign(b);
        if (!bignum_times_ten(own, q, 1, &q) ||
            !bignum_apply(own, BIGNUM_ADD, q, bignum_of(sign * digit, &tenth), &q))
            return false;
        return value_rescale(own, value_decimal(own, q, 1), 0, mode, out);
    }
    *out = value_decimal(own, q, 0);
    return true;
}

static int64_t
digits_of(struct value v)
{
    struct bignum_space space;

    return (int64_t)bignum_digits(value_unscaled(v, &space));
}

static bool
spend_division(struct interp *in, const struct node *at, struct value a, struct value b)
{
    const size_t steps = (words_of(a) + words_of(b)) * words_of(b) * 4;

    return interp_spend(in, at, DETOUR * 2 + steps / WORDS_AN_EVALUATION);
}

/* Exact if it ends, of the scale that Java prefers; `found` false if it does not. */
static bool
divide_exactly(struct interp *in, const struct node *at, struct value a, struct value b,
               struct value *out, bool *found)
{
    cleanup_arena struct arena own = {0};
    const int64_t least = (int64_t)scale_of(a) - scale_of(b);
    struct bignum_space spaces[2];
    struct bignum x = value_unscaled(a, &spaces[0]), y = value_unscaled(b, &spaces[1]), q, rest;
    const uint64_t more = bignum_bits(y) - 1; /* it has no more twos and fives than that */

    *found = bignum_times_ten(&own, x, more, &x) && bignum_apply(&own, BIGNUM_REST, x, y, &rest) &&
             bignum_sign(rest) == 0;
    if (!*found)
        return true;
    if (!bignum_apply(&own, BIGNUM_DIV, x, y, &q))
        return too_large(in, at);
    if (least > INT32_MAX || least < INT32_MIN || least + (int64_t)more > INT32_MAX)
        return give_decimal(in, at, q, INT64_MAX, out);
    return give(in, at,
                number_stripped(in->arena, value_decimal(&own, q, (int32_t)(least + (int64_t)more)),
                                (int32_t)least),
                out);
}

bool
number_divide_to(struct interp *in, const struct node *at, struct value a, struct value b,
                 int64_t scale, enum rounding mode, struct value *out)
{
    cleanup_arena struct arena own = {0};
    struct bignum_space space;
    struct value q;

    if (value_sign(b) == 0)
        return by_zero(in, at);
    if (scale > INT32_MAX || scale < INT32_MIN)
        return give_decimal(in, at, (struct bignum){0}, scale, out);
    if (!spend_division(in, at, a, b) || !spend_tens(in, at, scale - scale_of(a) + scale_of(b)))
        return false;
    if (!quotient(&own, a, b, scale, mode, &q))
        return mode == ROUND_UNNECESSARY
                   ? interp_throw(in, at, "ArithmeticException", "Rounding necessary")
                   : too_large(in, at);
    return give_decimal(in, at, value_unscaled(q, &space), scale, out);
}

/* Ten digits more than the longer one has, then at most ten behind the point, or as many as were
 * there: each time half up. */
static bool
divide(struct interp *in, const struct node *at, struct value a, struct value b, struct value *out)
{
    int64_t most = DIVISION_DIGITS_MIN, digits, scale;
    bool found;

    if (value_sign(b) == 0)
        return by_zero(in, at);
    if (!a.is_wide && !b.is_wide && scale_of(a) == scale_of(b) && b.number != -1 &&
        a.number % b.number == 0) {
        *out = (struct value){.type = V_DECIMAL, .number = a.number / b.number};
        return true;
    }
    if (!spend_division(in, at, a, b) || !divide_exactly(in, at, a, b, out, &found))
        return false;
    if (found)
        return true;
    digits = 10 + (digits_of(a) > digits_of(b) ? digits_of(a) : digits_of(b));
    most = scale_of(a) > most ? scale_of(a) : most;
    most = scale_of(b) > most ? scale_of(b) : most;
    scale = digits - digits_of(a) + digits_of(b) + scale_of(a) - scale_of(b);
    if (!number_divide_to(in, at, a, b, scale, ROUND_HALF_UP, out))
        return false;
    if (digits_of(*out) > digits &&
        !number_divide_to(in, at, a, b, scale - 1, ROUND_HALF_UP, out))
        return false;
    if (digits_of(*out) > digits) /* 9.99... has become 10.00... */
        *out = number_stripped(in->arena, *out, out->scale - 1);
    return out->scale <= most || number_rescale(in, at, *out, most, ROUND_HALF_UP, out);
}

static bool
modulo(struct interp *in, const struct node *at, struct value a, struct value b, struct value *out)
{
    cleanup_arena struct arena own = {0};
    struct bignum_space spaces[2];
    struct bignum n, m = value_unscaled(b, &spaces[1]);

    if (a.type == V_DECIMAL || b.type == V_DECIMAL)
        return interp_throw(in, at, "UnsupportedOperationException",
                            "Cannot use mod() on this number type: %s with value: " STR_FMT,
                            value_type_name(a), STR_ARG(interp_text(in, a)));
    if (a.type != V_BIG && b.type != V_BIG) {
        if (b.number == 0)
            return by_zero(in, at);
        *out = integer(a, b, b.number == -1 ? 0 : (uint64_t)(a.number % b.number));
        return true;
    }
    if (value_sign(b) <= 0)
        return interp_throw(in, at, "ArithmeticException", "BigInteger: modulus not positive");
    if (!spend_division(in, at, a, b))
        return false;
    if (!bignum_apply(&own, BIGNUM_REST, value_unscaled(a, &spaces[0]), m, &n) ||
        (n.is_negative && !bignum_apply(&own, BIGNUM_ADD, n, m, &n)))
        return too_large(in, at);
    return give_whole(in, at, n, out);
}

bool
number_intdiv(struct interp *in, const struct node *at, struct value a, struct value b,
              struct value *out)
{
    cleanup_arena struct arena own = {0};
    struct bignum_space spaces[2];
    struct bignum n;

    if (value_sign(b) == 0)
        return by_zero(in, at);
    if (a.type != V_BIG && b.type != V_BIG) {
        *out = integer(a, b, b.number == -1 ? 0 - (uint64_t)a.number
                                            : (uint64_t)(a.number / b.number));
        return true;
    }
    if (!spend_division(in, at, a, b))
        return false;
    if (!bignum_apply(&own, BIGNUM_DIV, value_unscaled(a, &spaces[0]),
                      value_unscaled(b, &spaces[1]), &n))
        return too_large(in, at);
    return give_whole(in, at, n, out);
}

bool
number_binary(struct interp *in, const struct node *at, enum token_type op, struct value a,
              struct value b, struct value *out)
{
    const uint64_t x = (uint64_t)a.number, y = (uint64_t)b.number;

    if (op == T_DIV)
        return divide(in, at, a, b, out);
    if (op == T_MOD)
        return modulo(in, at, a, b, out);
    if (op == T_POW)
        return number_power(in, at, a, b, out);
    if (a.type == V_DECIMAL || b.type == V_DECIMAL)
        return op == T_MUL ? decimal_product(in, at, a, b, out)
                           : decimal_sum(in, at, op, a, b, out);
    if (a.type == V_BIG || b.type == V_BIG)
        return whole_binary(in, at, op, a, b, out);
    *out = integer(a, b, op == T_ADD ? x + y : op == T_SUB ? x - y : x * y);
    return true;
}

/* Whole results of a power of doubles are integers, as in Groovy. */
static struct value
power_of_reals(double a, double b)
{
    const double d = pow(a, b);

    if (d >= INT32_MIN && d <= INT32_MAX && d == (int32_t)d)
        return value_int((int32_t)d);
    if (d >= -0x1p63 && d < 0x1p63 && d == (double)(int64_t)d)
        return value_long((int64_t)d);
    return value_real(d);
}

/* Is the result exact? An exponent that is no int makes doubles of both, but for big integers and the
 * powers of -1, 0 and 1. */
static bool
is_exact_power(struct value a, struct value b)
{
    if (a.type == V_DOUBLE || !value_is_integer(b) || b.number < 0)
        return false;
    return b.type == V_INT || a.type == V_BIG ||
           (!a.is_wide && scale_of(a) == 0 && a.number >= -1 && a.number <= 1);
}

bool
number_power(struct interp *in, const struct node *at, struct value a, struct value b,
             struct value *out)
{
    cleanup_arena struct arena own = {0};
    struct bignum_space space;
    struct bignum x, n;
    size_t words;
    int64_t scale;

    if (!is_exact_power(a, b)) {
        if (!interp_spend_for(in, at, a, b))
            return false;
        *out = power_of_reals(value_as_real(a), value_as_real(b));
        return true;
    }
    x = value_unscaled(a, &space);
    words = bignum_bits(x) <= 1 ? 1 : bignum_bits(x) * (uint64_t)b.number / 64 + 1;
    words = words > BIGNUM_BITS_MAX / 64 ? BIGNUM_BITS_MAX / 64 : words;
    if (!interp_spend(in, at, DETOUR + words * words / WORDS_AN_EVALUATION))
        return false;
    if (!bignum_power(&own, x, (uint64_t)b.number, &n))
        return too_large(in, at);
    if (a.type == V_DECIMAL)
        return give_decimal(in, at, n,
                            __builtin_mul_overflow(a.scale, b.number, &scale) ? INT64_MAX : scale,
                            out);
    if (!give_whole(in, at, n, out))
        return false;
    if (a.type == V_INT && !out->is_wide && out->number == (int32_t)out->number)
        out->type = V_INT;
    else if (a.type == V_LONG && !out->is_wide)
        out->type = V_LONG;
    return true;
}

static bool
shift(struct interp *in, const struct node *at, enum token_type op, struct value a, struct value b,
      struct value *out)
{
    cleanup_arena struct arena own = {0};
    const unsigned width = a.type == V_LONG ? 63 : 31;
    struct bignum_space space;
    struct bignum n;
    int64_t places;

    if (a.type == V_BIG) {
        if (op != T_SHL && op != T_SHR)
            return interp_throw(in, at, "UnsupportedOperationException",
                                "Cannot use rightShiftUnsigned() on this number type: %s",
                                value_type_name(a));
        places = b.is_wide || b.number > INT32_MAX || b.number < -INT32_MAX
                     ? (value_sign(b) < 0 ? -INT32_MAX : INT32_MAX)
                     : b.number;
        if (!interp_spend(in, at, DETOUR))
            return false;
        if (!bignum_shift(&own, value_unscaled(a, &space), op == T_SHL ? places : -places, &n))
            return too_large(in, at);
        return give_whole(in, at, n, out);
    }
    const uint64_t x = (uint64_t)a.number;
    const unsigned by = (unsigned)(b.is_wide ? 0 : (uint64_t)b.number & width);
    *out = integer(a, a,
                   op == T_SHL   ? x << by
                   : op == T_SHR ? (uint64_t)(a.number >> by)
                                 : (a.type == V_LONG ? x : (uint32_t)x) >> by);
    return true;
}

bool
number_bits(struct interp *in, const struct node *at, enum token_type op, struct value a,
            struct value b, struct value *out)
{
    if (op != T_AND && op != T_OR && op != T_XOR)
        return shift(in, at, op, a, b, out);
    if (a.type == V_BIG || b.type == V_BIG)
        return whole_binary(in, at, op, a, b, out);
    const uint64_t x = (uint64_t)a.number, y = (uint64_t)b.number;
    *out = integer(a, b, op == T_AND ? x & y : op == T_OR ? x | y : x ^ y);
    return true;
}

bool
number_negate(struct interp *in, const struct node *at, struct value v, struct value *out)
{
    struct bignum_space space;
    struct bignum n;

    if (v.type == V_INT || v.type == V_LONG) {
        *out = integer(v, v, 0 - (uint64_t)v.number);
        return true;
    }
    if (v.type == V_DOUBLE) {
        *out = v;
        out->real = -v.real;
        return true;
    }
    n = bignum_negated(value_unscaled(v, &space));
    return v.type == V_BIG ? give_whole(in, at, n, out) : give_decimal(in, at, n, v.scale, out);
}

bool
number_rescale(struct interp *in, const struct node *at, struct value v, int64_t scale,
               enum rounding mode, struct value *out)
{
    struct value result;

    if (scale > INT32_MAX || scale < INT32_MIN)
        return give_decimal(in, at, (struct bignum){0}, scale, out);
    if (!interp_spend(in, at, DETOUR + words_of(v) * words_of(v) / WORDS_AN_EVALUATION) ||
        (scale > scale_of(v) && !spend_tens(in, at, scale - scale_of(v))))
        return false;
    if (!value_rescale(in->arena, v, scale, mode, &result))
        return mode == ROUND_UNNECESSARY
                   ? interp_throw(in, at, "ArithmeticException", "Rounding necessary")
                   : too_large(in, at);
    return give(in, at, result, out);
}

bool
number_round(struct interp *in, const struct node *at, struct value v, int64_t digits,
             struct value *out)
{
    if (v.type != V_DOUBLE) {
        *out = v;
        return v.type != V_DECIMAL || v.scale <= digits ||
               number_rescale(in, at, v, digits, ROUND_HALF_UP, out);
    }
    const double power = pow(10, digits > 300 ? 300 : digits < -300 ? -300 : (double)digits);
    *out = v;
    if (fabs(v.real) < 0x1p52)
        out->real = floor(v.real * power + 0.5) / power;
    return true;
}
