/* SPDX-License-Identifier: MIT */
/* value_number.c - numbers as values: how large they are, how they are written and read. What is
 * computed on the way lies in an arena of the function's own. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "pipeline/groovy/value.h"

#define cleanup_arena cleanup(arena_done)
#define POWERS_MAX 18 /* digits that 64 bits have room for in any case */
#define EXPONENT_MAX (2 * (int64_t)INT32_MAX) /* digits behind a point take some of it away */

static struct value
exact(struct arena *a, enum value_type type, struct bignum n, int32_t scale)
{
    struct value v = {.type = type, .scale = scale};

    if (bignum_to_i64(n, &v.number))
        return v;
    v.is_wide = true;
    v.is_negative = n.is_negative;
    v.magnitude = arena_dup(a, n.magnitude);
    return v;
}

struct value
value_big(struct arena *a, struct bignum n)
{
    return exact(a, V_BIG, n, 0);
}

struct value
value_decimal(struct arena *a, struct bignum unscaled, int32_t scale)
{
    return exact(a, V_DECIMAL, unscaled, scale);
}

struct bignum
value_unscaled(struct value v, struct bignum_space *space)
{
    return v.is_wide ? (struct bignum){v.magnitude, v.is_negative} : bignum_of(v.number, space);
}

double
value_as_real(struct value v)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct bignum_space space;

    if (v.type == V_DOUBLE)
        return v.real;
    if (v.type != V_DECIMAL)
        return v.is_wide ? bignum_to_real(value_unscaled(v, &space)) : (double)v.number;
    if (!v.is_wide && v.scale >= 0 && v.scale <= 22 && v.number < ((int64_t)1 << 53) &&
        v.number > -((int64_t)1 << 53))
        return (double)v.number / pow(10, v.scale); /* both are exact: rounded once */
    value_format_number(v, &text);
    return strtod(strbuf_cstr(&text), NULL);
}

int64_t
value_as_integer(struct value v)
{
    cleanup_arena struct arena own = {0};
    struct bignum whole;
    int64_t n;

    if (v.type == V_DOUBLE)
        return isnan(v.real)      ? 0
               : v.real >= 0x1p63 ? INT64_MAX
               : v.real < -0x1p63 ? INT64_MIN
                                  : (int64_t)v.real;
    if (v.type != V_DECIMAL && !v.is_wide)
        return v.number;
    if (value_whole(&own, v, &whole) && bignum_to_i64(whole, &n))
        return n;
    return value_sign(v) < 0 ? INT64_MIN : INT64_MAX;
}

int
value_sign(struct value v)
{
    if (v.type == V_DOUBLE)
        return (v.real > 0) - (v.real < 0);
    if (v.is_wide)
        return v.is_negative ? -1 : 1;
    return (v.number > 0) - (v.number < 0);
}

/* 10^exponent */
static bool
ten_to(struct arena *a, uint64_t exponent, struct bignum *out)
{
    struct bignum_space space;

    return bignum_times_ten(a, bignum_of(10, &space), exponent - 1, out);
}

bool
value_whole(struct arena *a, struct value v, struct bignum *out)
{
    struct bignum_space space;
    struct bignum n, power;

    if (v.type == V_DOUBLE)
        return bignum_of_real(a, v.real, out);
    n = value_unscaled(v, &space);
    n.magnitude = arena_dup(a, n.magnitude);
    *out = n;
    if (v.type != V_DECIMAL || v.scale == 0 || n.magnitude.len == 0)
        return true;
    if (v.scale < 0)
        return bignum_times_ten(a, n, (uint64_t)-(int64_t)v.scale, out);
    if ((uint64_t)v.scale * 3 >= bignum_bits(n) || !ten_to(a, (uint64_t)v.scale, &power)) {
        *out = (struct bignum){0}; /* all of it is behind the point */
        return true;
    }
    return bignum_apply(a, BIGNUM_DIV, n, power, out);
}

/* Where the first digit stands: 0 of 1 to 9, 1 of 10 to 99. */
static int64_t
place_of(struct value v)
{
    struct bignum_space space;

    return (int64_t)bignum_digits(value_unscaled(v, &space)) - 1 -
           (v.type == V_DECIMAL ? v.scale : 0);
}

/* Of two that are not 0, have one sign and their first digit at one place. */
static int
compare_aligned(struct value a, struct value b)
{
    cleanup_arena struct arena own = {0};
    const int64_t lead = (int64_t)(b.type == V_DECIMAL ? b.scale : 0) -
                         (a.type == V_DECIMAL ? a.scale : 0);
    struct bignum_space spaces[2];
    struct bignum x = value_unscaled(a, &spaces[0]), y = value_unscaled(b, &spaces[1]);

    /* What grows too large by that is the larger one. */
    if (lead > 0 && !bignum_times_ten(&own, x, (uint64_t)lead, &x))
        return value_sign(a);
    if (lead < 0 && !bignum_times_ten(&own, y, (uint64_t)-lead, &y))
        return -value_sign(b);
    return bignum_compare(x, y);
}

static bool
is_short(struct value v)
{
    return !v.is_wide && v.scale >= 0 && v.scale <= POWERS_MAX;
}

static __int128
power_of_ten(int n)
{
    __int128 p = 1;

    while (n-- > 0)
        p *= 10;
    return p;
}

int
value_compare_numbers(struct value a, struct value b)
{
    struct bignum_space spaces[2];

    if (a.type == V_DOUBLE || b.type == V_DOUBLE) {
        const double p = value_as_real(a), q = value_as_real(b);
        if (isnan(p) || isnan(q)) /* more than all others */
            return isnan(p) - isnan(q);
        return (p > q) - (p < q);
    }
    if (is_short(a) && is_short(b)) {
        const __int128 x = a.number * power_of_ten(b.scale > a.scale ? b.scale - a.scale : 0);
        const __int128 y = b.number * power_of_ten(a.scale > b.scale ? a.scale - b.scale : 0);
        return (x > y) - (x < y);
    }
    if (value_sign(a) != value_sign(b) || value_sign(a) == 0)
        return (value_sign(a) > value_sign(b)) - (value_sign(a) < value_sign(b));
    if (a.scale == b.scale)
        return bignum_compare(value_unscaled(a, &spaces[0]), value_unscaled(b, &spaces[1]));
    if (place_of(a) != place_of(b))
        return (place_of(a) > place_of(b)) == (value_sign(a) > 0) ? 1 : -1;
    return compare_aligned(a, b);
}

/* Of BigInteger: its words of 32 bits. */
static uint32_t
hash_of_big(struct bignum n)
{
    uint32_t h = 0, word = 0;

    for (size_t i = 0; i < n.magnitude.len; i++) {
        word = word << 8 | (unsigned char)n.magnitude.at[i];
        if ((n.magnitude.len - 1 - i) % 4 == 0) {
            h = h * 31 + word;
            word = 0;
        }
    }
    return n.is_negative ? 0 - h : h;
}

uint32_t
value_hash_number(struct value v)
{
    struct bignum_space space;
    uint64_t bits;

    if (v.type == V_INT)
        return (uint32_t)v.number;
    if (v.type == V_BIG)
        return hash_of_big(value_unscaled(v, &space));
    if (v.type == V_DECIMAL)
        return hash_of_big(value_unscaled(v, &space)) * 31 + (uint32_t)v.scale;
    bits = (uint64_t)v.number;
    if (v.type == V_DOUBLE && v.is_float) {
        const float f = (float)v.real;
        uint32_t word;
        memcpy(&word, &f, sizeof(word));
        return word;
    }
    return (uint32_t)(bits ^ (bits >> 32));
}

/* Is a rest of that sign, and so far from one half, rounded away from zero? */
static bool
is_rounded_up(enum rounding mode, int sign, int half, bool is_odd)
{
    switch (mode) {
    case ROUND_UP:
        return true;
    case ROUND_CEILING:
        return sign > 0;
    case ROUND_FLOOR:
        return sign < 0;
    case ROUND_HALF_UP:
        return half >= 0;
    case ROUND_HALF_DOWN:
        return half > 0;
    case ROUND_HALF_EVEN:
        return half > 0 || (half == 0 && is_odd);
    default:
        return false;
    }
}

/* n / 10^digits. */
static bool
cut_digits(struct arena *own, struct bignum n, uint64_t digits, enum rounding mode,
           struct bignum *out)
{
    struct bignum_space one;
    struct bignum power, rest = n, twice;
    int half = -1;

    *out = (struct bignum){0};
    if (digits * 3 <= bignum_bits(n) && ten_to(own, digits, &power)) {
        if (!bignum_apply(own, BIGNUM_DIV, n, power, out) ||
            !bignum_apply(own, BIGNUM_REST, n, power, &rest) ||
            !bignum_shift(own, rest, 1, &twice))
            return false;
        twice.is_negative = false;
        half = bignum_compare(twice, power);
    }
    if (bignum_sign(rest) == 0)
        return true;
    if (mode == ROUND_UNNECESSARY)
        return false;
    if (!is_rounded_up(mode, bignum_sign(n), half, bignum_low(*out) % 2 != 0))
        return true;
    return bignum_apply(own, BIGNUM_ADD, *out, bignum_of(bignum_sign(n), &one), out);
}

bool
value_rescale(struct arena *a, struct value v, int64_t scale, enum rounding mode, struct value *out)
{
    cleanup_arena struct arena own = {0};
    struct bignum_space space;
    struct bignum n = value_unscaled(v, &space);
    int64_t more;

    if (scale > INT32_MAX || scale < INT32_MIN)
        return false;
    more = scale - (v.type == V_DECIMAL ? v.scale : 0);
    if (!(more >= 0 ? bignum_times_ten(&own, n, (uint64_t)more, &n)
                    : cut_digits(&own, n, (uint64_t)-more, mode, &n)))
        return false;
    *out = value_decimal(a, n, (int32_t)scale);
    return true;
}

/* The exponent behind 'e', or 0; false if there is none that counts. */
static bool
take_exponent(struct str *text, int64_t *out)
{
    ptrdiff_t e = str_index(*text, 'e');
    struct str digits;

    *out = 0;
    if (e < 0)
        e = str_index(*text, 'E');
    if (e < 0)
        return true;
    digits = str_slice(*text, (size_t)e + 1, text->len);
    if (digits.len > 1 && digits.at[0] == '+' && digits.at[1] != '-')
        digits = str_slice(digits, 1, digits.len);
    *text = str_slice(*text, 0, (size_t)e);
    return str_to_i64(digits, out) && *out >= -EXPONENT_MAX && *out <= EXPONENT_MAX;
}

static bool
decimal_of_text(struct arena *a, struct str text, int64_t exponent, struct value *out)
{
    cleanup_arena struct arena own = {0};
    cleanup(strbuf_done) struct strbuf digits = {0};
    const ptrdiff_t point = str_index(text, '.');
    struct bignum n;
    int64_t scale = -exponent;

    if (point >= 0) {
        if ((size_t)point + 1 < text.len && !isdigit((unsigned char)text.at[point + 1]))
            return false;
        strbuf_add(&digits, str_slice(text, 0, (size_t)point));
        strbuf_add(&digits, str_slice(text, (size_t)point + 1, text.len));
        scale += (int64_t)text.len - point - 1;
        text = strbuf_str(&digits);
    }
    if (scale > INT32_MAX || scale < INT32_MIN || !bignum_parse(&own, text, 10, &n))
        return false;
    *out = value_decimal(a, n, (int32_t)scale);
    return true;
}

bool
value_of_number(struct arena *a, struct str text, struct value *out)
{
    const size_t whole = text.len;
    int64_t exponent;

    if (!take_exponent(&text, &exponent))
        return false;
    if (!decimal_of_text(a, text, exponent, out))
        return false;
    if (text.len < whole || str_index(text, '.') >= 0)
        return true;
    out->type = out->is_wide                                                      ? V_BIG
                : out->number >= INT32_MIN && out->number <= INT32_MAX ? V_INT
                                                                                  : V_LONG;
    return true;
}

/* The digits of a decimal without its sign. */
static struct str
digits_of(struct value v, struct strbuf *to)
{
    struct bignum_space space;
    struct bignum n = value_unscaled(v, &space);

    n.is_negative = false;
    bignum_format(n, 10, to);
    return strbuf_str(to);
}

bool
value_format_plain(struct value v, struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const int64_t scale = v.type == V_DECIMAL ? v.scale : 0;
    struct str digits;

    if (scale > VALUE_TEXT_MAX || scale < -(int64_t)VALUE_TEXT_MAX)
        return false;
    digits = digits_of(v, &text);
    if (value_sign(v) < 0)
        strbuf_add_char(out, '-');
    if (scale >= (int64_t)digits.len)
        strbuf_add_char(out, '0');
    else
        strbuf_add(out, str_slice(digits, 0, digits.len - (size_t)(scale > 0 ? scale : 0)));
    for (int64_t i = scale; i < 0 && value_sign(v) != 0; i++)
        strbuf_add_char(out, '0');
    if (scale <= 0)
        return true;
    strbuf_add_char(out, '.');
    for (int64_t i = (int64_t)digits.len; i < scale; i++)
        strbuf_add_char(out, '0');
    strbuf_add(out, str_slice(digits, digits.len > (size_t)scale ? digits.len - (size_t)scale : 0,
                              digits.len));
    return true;
}

/* As Java: with an exponent where there are zeros before the point that nobody wrote, or more than
 * five behind it. */
static void
format_decimal(struct value v, struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const struct str digits = digits_of(v, &text);
    const int64_t exponent = (int64_t)digits.len - 1 - v.scale;

    if (v.scale >= 0 && exponent >= -6 && value_format_plain(v, out))
        return;
    if (value_sign(v) < 0)
        strbuf_add_char(out, '-');
    strbuf_add_char(out, digits.at[0]);
    if (digits.len > 1) {
        strbuf_add_char(out, '.');
        strbuf_add(out, str_slice(digits, 1, digits.len));
    }
    if (exponent != 0)
        strbuf_addf(out, "E%+" PRId64, exponent);
}

/* As Java: the fewest digits that tell it apart, 1.0E10 from 10^7 on and below 0.001. */
static void
format_real(struct value v, struct strbuf *out)
{
    char text[40], *exponent;
    const double size = fabs(v.real);
    int digits = 1, power;

    if (isnan(v.real) || isinf(v.real)) {
        strbuf_add_cstr(out, isnan(v.real) ? "NaN" : v.real < 0 ? "-Infinity" : "Infinity");
        return;
    }
    for (;; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits - 1, v.real);
        if (digits == 17 ||
            (v.is_float ? strtof(text, NULL) == (float)v.real : strtod(text, NULL) == v.real))
            break;
    }
    exponent = strchr(text, 'e');
    power = atoi(exponent + 1);
    if (size != 0 && (power < -3 || power >= 7)) {
        if (digits == 1) /* two, the nearest: 4.9E-324 */
            snprintf(text, sizeof(text), "%.1e", v.real);
        exponent = strchr(text, 'e');
        *exponent = '\0';
        strbuf_addf(out, "%sE%d", text, atoi(exponent + 1));
        return;
    }
    snprintf(text, sizeof(text), "%.*f", digits - 1 - power > 1 ? digits - 1 - power : 1, v.real);
    strbuf_add_cstr(out, text);
}

void
value_format_number(struct value v, struct strbuf *out)
{
    struct bignum_space space;

    if (v.type == V_DOUBLE)
        format_real(v, out);
    else if (v.type == V_DECIMAL)
        format_decimal(v, out);
    else if (v.is_wide)
        bignum_format(value_unscaled(v, &space), 10, out);
    else
        strbuf_addf(out, "%" PRId64, v.number);
}
