/* SPDX-License-Identifier: MIT */
#include "base/bignum.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <openssl/bn.h>

#define BYTES_MAX (BIGNUM_BITS_MAX / 8)
#define LEVELS_MAX 16 /* words * 2^15 are more than there are */

static void
bn_free(BIGNUM **n)
{
    BN_free(*n);
}
static void
ctx_free(BN_CTX **ctx)
{
    BN_CTX_free(*ctx);
}
#define cleanup_bn cleanup(bn_free)
#define cleanup_ctx cleanup(ctx_free)

/* Nothing here fails but for want of memory. */
static void
must(int done)
{
    if (!done)
        abort();
}

static BIGNUM *
bn_new(void)
{
    BIGNUM *n = BN_new();

    must(n != NULL);
    return n;
}

static BN_CTX *
ctx_new(void)
{
    BN_CTX *ctx = BN_CTX_new();

    must(ctx != NULL);
    return ctx;
}

static BIGNUM *
load(struct bignum n)
{
    BIGNUM *b = BN_bin2bn((const unsigned char *)n.magnitude.at, (int)n.magnitude.len, NULL);

    must(b != NULL);
    BN_set_negative(b, n.is_negative);
    return b;
}

static bool
store(struct arena *a, const BIGNUM *b, struct bignum *out)
{
    unsigned char *bytes;
    const int size = BN_num_bytes(b);

    if (BN_num_bits(b) > (int)BIGNUM_BITS_MAX)
        return false;
    bytes = arena_alloc(a, (size_t)size + 1);
    BN_bn2bin(b, bytes);
    *out = (struct bignum){{(const char *)bytes, (size_t)size}, BN_is_negative(b) != 0};
    return true;
}

static unsigned char
byte_at(struct bignum n, size_t i)
{
    return (unsigned char)n.magnitude.at[i];
}

struct bignum
bignum_of(__int128 n, struct bignum_space *space)
{
    unsigned __int128 size = n < 0 ? 0 - (unsigned __int128)n : (unsigned __int128)n;
    size_t first = sizeof(space->at);

    for (; size != 0; size >>= 8)
        space->at[--first] = (unsigned char)size;
    return (struct bignum){{(const char *)space->at + first, sizeof(space->at) - first}, n < 0};
}

bool
bignum_of_real(struct arena *a, double d, struct bignum *out)
{
    struct bignum_space space;
    int exponent;
    const double part = frexp(trunc(d), &exponent);

    if (!isfinite(d))
        return false;
    if (!bignum_shift(a, bignum_of((int64_t)ldexp(fabs(part), 53), &space), exponent - 53, out))
        return false;
    *out = d < 0 ? bignum_negated(*out) : *out;
    return true;
}

bool
bignum_to_i64(struct bignum n, int64_t *out)
{
    const uint64_t low = bignum_low(n);

    if (n.magnitude.len > 8 || ((int64_t)low < 0) != n.is_negative)
        return false;
    *out = (int64_t)low;
    return true;
}

uint64_t
bignum_low(struct bignum n)
{
    uint64_t low = 0;

    for (size_t i = n.magnitude.len > 8 ? n.magnitude.len - 8 : 0; i < n.magnitude.len; i++)
        low = low << 8 | byte_at(n, i);
    return n.is_negative ? 0 - low : low;
}

double
bignum_to_real(struct bignum n)
{
    const size_t bits = bignum_bits(n);
    uint64_t top = 0;
    bool rest = false;
    double d;
    size_t i = 0;

    for (; i < n.magnitude.len && i < 8; i++)
        top = top << 8 | byte_at(n, i);
    for (size_t j = i; j < n.magnitude.len && !rest; j++)
        rest = byte_at(n, j) != 0;
    /* At least 57 bits and whether there is more: rounded once. */
    d = bits > 4096 ? INFINITY : ldexp((double)(top | rest), (int)(n.magnitude.len - i) * 8);
    return n.is_negative ? -d : d;
}

int
bignum_sign(struct bignum n)
{
    return n.is_negative ? -1 : n.magnitude.len > 0;
}

static int
compare_magnitudes(struct bignum a, struct bignum b)
{
    if (a.magnitude.len != b.magnitude.len)
        return a.magnitude.len < b.magnitude.len ? -1 : 1;
    return a.magnitude.len == 0 ? 0 : memcmp(a.magnitude.at, b.magnitude.at, a.magnitude.len);
}

int
bignum_compare(struct bignum a, struct bignum b)
{
    int c;

    if (bignum_sign(a) != bignum_sign(b))
        return bignum_sign(a) < bignum_sign(b) ? -1 : 1;
    c = a.is_negative ? compare_magnitudes(b, a) : compare_magnitudes(a, b);
    return (c > 0) - (c < 0);
}

size_t
bignum_bits(struct bignum n)
{
    if (n.magnitude.len == 0)
        return 0;
    return n.magnitude.len * 8 - (size_t)(__builtin_clz(byte_at(n, 0)) - 24);
}

static BIGNUM *
ten_to(uint64_t exponent)
{
    cleanup_ctx BN_CTX *ctx = ctx_new();
    cleanup_bn BIGNUM *ten = bn_new(), *e = bn_new();
    BIGNUM *power = bn_new();

    must(BN_set_word(ten, 10) && BN_set_word(e, exponent) && BN_exp(power, ten, e, ctx));
    return power;
}

size_t
bignum_digits(struct bignum n)
{
    const size_t bits = bignum_bits(n);
    const size_t least = bits == 0 ? 0 : (size_t)((double)(bits - 1) * 0.30102999566398119);
    cleanup_bn BIGNUM *power = NULL, *size = NULL;

    if (bits < 4)
        return 1;
    /* 2^(bits-1) has `least` + 1 digits, and a number of so many bits has one more at most. */
    power = ten_to(least + 1);
    size = load(n);
    return least + 1 + (BN_ucmp(size, power) >= 0);
}

struct bignum
bignum_negated(struct bignum n)
{
    n.is_negative = !n.is_negative && n.magnitude.len > 0;
    return n;
}

/* Two's complement: byte `i` from the end, and beyond what there is. */
static unsigned char
complement_at(struct bignum n, size_t i, unsigned *carry)
{
    const unsigned byte = i < n.magnitude.len ? byte_at(n, n.magnitude.len - 1 - i) : 0;

    if (!n.is_negative)
        return (unsigned char)byte;
    *carry += ~byte & 0xFF;
    const unsigned sum = *carry;
    *carry = sum >> 8;
    return (unsigned char)sum;
}

static bool
apply_bits(struct arena *arena, enum bignum_op op, struct bignum a, struct bignum b,
           struct bignum *out)
{
    const size_t size = 1 + (a.magnitude.len > b.magnitude.len ? a.magnitude.len : b.magnitude.len);
    cleanup_free unsigned char *bytes = mem_new(size);
    cleanup_bn BIGNUM *result = NULL;
    const bool is_negative = op == BIGNUM_AND  ? a.is_negative && b.is_negative
                             : op == BIGNUM_OR ? a.is_negative || b.is_negative
                                               : a.is_negative != b.is_negative;
    unsigned carry_a = 1, carry_b = 1, carry = 1;

    for (size_t i = 0; i < size; i++) {
        const unsigned x = complement_at(a, i, &carry_a), y = complement_at(b, i, &carry_b);
        unsigned byte = op == BIGNUM_AND ? x & y : op == BIGNUM_OR ? x | y : x ^ y;
        if (is_negative) {
            carry += ~byte & 0xFF;
            byte = carry & 0xFF;
            carry >>= 8;
        }
        bytes[size - 1 - i] = (unsigned char)byte;
    }
    result = BN_bin2bn(bytes, (int)size, NULL);
    must(result != NULL);
    BN_set_negative(result, is_negative);
    return store(arena, result, out);
}

/* Into `x`. OpenSSL's own takes the same time for all numbers of a length: too long. */
static void
euclid(BIGNUM *x, BIGNUM *y, BN_CTX *ctx)
{
    while (!BN_is_zero(y)) {
        must(BN_mod(x, x, y, ctx));
        BN_swap(x, y);
    }
}

bool
bignum_apply(struct arena *arena, enum bignum_op op, struct bignum a, struct bignum b,
             struct bignum *out)
{
    cleanup_ctx BN_CTX *ctx = NULL;
    cleanup_bn BIGNUM *x = NULL, *y = NULL, *result = NULL;
    int done = 0;

    if (op >= BIGNUM_AND)
        return apply_bits(arena, op, a, b, out);
    if (op == BIGNUM_GCD &&
        (bignum_bits(a) > BIGNUM_GCD_BITS_MAX || bignum_bits(b) > BIGNUM_GCD_BITS_MAX))
        return false;
    if (op == BIGNUM_MUL && bignum_bits(a) + bignum_bits(b) > BIGNUM_BITS_MAX + 1)
        return false;
    ctx = ctx_new();
    x = load(a);
    y = load(b);
    result = bn_new();
    switch (op) {
    case BIGNUM_ADD:
        done = BN_add(result, x, y);
        break;
    case BIGNUM_SUB:
        done = BN_sub(result, x, y);
        break;
    case BIGNUM_MUL:
        done = BN_mul(result, x, y, ctx);
        break;
    case BIGNUM_GCD:
        euclid(x, y, ctx);
        done = BN_copy(result, x) != NULL;
        BN_set_negative(result, 0);
        break;
    default:
        assert(!BN_is_zero(y));
        done = BN_div(op == BIGNUM_DIV ? result : NULL, op == BIGNUM_REST ? result : NULL, x, y,
                      ctx);
        break;
    }
    must(done);
    return store(arena, result, out);
}

bool
bignum_power(struct arena *arena, struct bignum a, uint64_t exponent, struct bignum *out)
{
    cleanup_ctx BN_CTX *ctx = NULL;
    cleanup_bn BIGNUM *x = NULL, *e = NULL, *result = NULL;
    const size_t bits = bignum_bits(a);

    /* Of 0 and 1 any power is small. */
    if (bits > 1 && (exponent > BIGNUM_BITS_MAX || (bits - 1) * exponent > BIGNUM_BITS_MAX))
        return false;
    if (bits <= 1)
        exponent = exponent == 0 ? 0 : 2 - exponent % 2;
    ctx = ctx_new();
    x = load(a);
    e = bn_new();
    result = bn_new();
    must(BN_set_word(e, exponent) && BN_exp(result, x, e, ctx));
    return store(arena, result, out);
}

bool
bignum_times_ten(struct arena *arena, struct bignum a, uint64_t exponent, struct bignum *out)
{
    cleanup_ctx BN_CTX *ctx = NULL;
    cleanup_bn BIGNUM *power = NULL, *x = NULL;

    if (exponent == 0 || a.magnitude.len == 0) {
        *out = (struct bignum){arena_dup(arena, a.magnitude), a.is_negative};
        return true;
    }
    if (exponent > BIGNUM_DIGITS_MAX || bignum_bits(a) + 3 * exponent > BIGNUM_BITS_MAX)
        return false;
    ctx = ctx_new();
    power = ten_to(exponent);
    x = load(a);
    must(BN_mul(power, x, power, ctx));
    return store(arena, power, out);
}

bool
bignum_shift(struct arena *arena, struct bignum a, int64_t places, struct bignum *out)
{
    cleanup_bn BIGNUM *x = NULL;
    bool is_cut = false;

    if (a.magnitude.len == 0 || places == 0) {
        *out = (struct bignum){arena_dup(arena, a.magnitude), a.is_negative};
        return true;
    }
    if (places > (int64_t)BIGNUM_BITS_MAX)
        return false;
    x = load(a);
    if (places > 0) {
        must(BN_lshift(x, x, (int)places));
        return store(arena, x, out);
    }
    places = places < -(int64_t)BIGNUM_BITS_MAX ? -(int64_t)BIGNUM_BITS_MAX : places;
    for (int i = 0; a.is_negative && i < -places && !is_cut; i++)
        is_cut = BN_is_bit_set(x, i);
    must(BN_rshift(x, x, (int)-places));
    if (is_cut)
        must(BN_sub_word(x, 1));
    return store(arena, x, out);
}

/* What a digit is worth; 99 if it is none. */
static unsigned
digit_of(char c)
{
    return isdigit((unsigned char)c)   ? (unsigned)(c - '0')
           : isalpha((unsigned char)c) ? (unsigned)(tolower((unsigned char)c) - 'a') + 10
                                       : 99;
}

bool
bignum_parse(struct arena *arena, struct str text, unsigned base, struct bignum *out)
{
    const bool has_sign = text.len > 0 && (text.at[0] == '-' || text.at[0] == '+');
    cleanup_bn BIGNUM *n = bn_new();
    BN_ULONG chunk = 0, weight = 1;

    if (text.len == has_sign || text.len > BIGNUM_BITS_MAX)
        return false;
    for (size_t i = has_sign; i < text.len; i++) {
        if (digit_of(text.at[i]) >= base || BN_num_bits(n) > (int)BIGNUM_BITS_MAX)
            return false;
        chunk = chunk * base + digit_of(text.at[i]);
        weight *= base;
        if (weight > UINT64_MAX / base || i + 1 == text.len) {
            must(BN_mul_word(n, weight) && BN_add_word(n, chunk));
            chunk = 0;
            weight = 1;
        }
    }
    BN_set_negative(n, has_sign && text.at[0] == '-');
    return store(arena, n, out);
}

struct digits {
    struct strbuf *out;
    BN_CTX *ctx;
    BIGNUM *powers[LEVELS_MAX]; /* of the base: as many digits as one word has, twice as many ... */
    unsigned base, of_word;
};

static void
add_word(const struct digits *d, BN_ULONG n, bool is_first)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char text[64];
    size_t at = sizeof(text);

    for (unsigned i = 0; is_first ? i == 0 || n > 0 : i < d->of_word; i++, n /= d->base)
        text[--at] = letters[n % d->base];
    strbuf_add(d->out, (struct str){text + at, sizeof(text) - at});
}

/* As many digits as level `level` has, or without zeros before them. Halves: a division by one word
 * after the other takes ten times as long. */
static void
add_digits(const struct digits *d, const BIGNUM *n, size_t level, bool is_first)
{
    cleanup_bn BIGNUM *high = NULL, *low = NULL;

    if (level == 0) {
        add_word(d, BN_get_word(n), is_first);
        return;
    }
    high = bn_new();
    low = bn_new();
    must(BN_div(high, low, n, d->powers[level - 1], d->ctx));
    if (!is_first || !BN_is_zero(high)) {
        add_digits(d, high, level - 1, is_first);
        is_first = false;
    }
    add_digits(d, low, level - 1, is_first);
}

static void
format_magnitude(struct bignum n, unsigned base, struct strbuf *out)
{
    cleanup_ctx BN_CTX *ctx = ctx_new();
    cleanup_bn BIGNUM *size = load(n);
    struct digits d = {.out = out, .ctx = ctx, .base = base, .of_word = 1};
    BN_ULONG weight = base;
    size_t level = 0;

    for (; weight <= UINT64_MAX / base; d.of_word++)
        weight *= base;
    BN_set_negative(size, 0);
    d.powers[0] = bn_new();
    must(BN_set_word(d.powers[0], weight));
    for (; BN_cmp(size, d.powers[level]) >= 0; level++) {
        assert(level + 1 < LEVELS_MAX);
        d.powers[level + 1] = bn_new();
        must(BN_sqr(d.powers[level + 1], d.powers[level], ctx));
    }
    add_digits(&d, size, level, true);
    for (size_t i = 0; i <= level; i++)
        BN_free(d.powers[i]);
}

void
bignum_format(struct bignum n, unsigned base, struct strbuf *out)
{
    assert(base >= 2 && base <= 36);
    if (n.magnitude.len == 0) {
        strbuf_add_char(out, '0');
        return;
    }
    if (n.is_negative)
        strbuf_add_char(out, '-');
    format_magnitude(n, base, out);
}
