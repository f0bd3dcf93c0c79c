/* SPDX-License-Identifier: MIT */
/* parser_number.c - what number literals are worth. The lexer found where they end. */
#include <ctype.h>
#include <limits.h>
#include "pipeline/language/parser.h"

struct literal {
    struct str digits; /* with '_' and '.', without a base, an exponent and a suffix */
    unsigned base;
    int64_t exponent;
    char suffix; /* small; '\0' if there is none */
};

/* INT64_MAX if it is beyond what a decimal can have. */
static int64_t
exponent_of(struct str s)
{
    const bool is_negative = s.at[0] == '-';
    int64_t n = 0;

    for (size_t i = is_negative || s.at[0] == '+'; i < s.len; i++)
        if (n <= INT32_MAX)
            n = n * 10 + (s.at[i] - '0');
    if (n > INT32_MAX)
        return INT64_MAX;
    return is_negative ? -n : n;
}

static struct literal
split(const struct token *t)
{
    struct literal l = {.digits = t->text, .base = 10};
    const char last = t->text.at[t->text.len - 1];

    if (t->text.len >= 2 && t->text.at[0] == '0' && strchr("xXbB", t->text.at[1]) != NULL) {
        l.base = (t->text.at[1] | 32) == 'x' ? 16 : 2;
        l.digits = str_slice(l.digits, 2, l.digits.len);
    } else if (t->type == T_INT && t->text.at[0] == '0') {
        l.base = 8;
    }
    if (isalpha((unsigned char)last) && (l.base != 16 || !isxdigit((unsigned char)last))) {
        l.suffix = (char)(last | 32);
        l.digits = str_slice(l.digits, 0, l.digits.len - 1);
    }
    for (size_t i = 0; l.base == 10 && i < l.digits.len; i++)
        if ((l.digits.at[i] | 32) == 'e') {
            l.exponent = exponent_of(str_slice(l.digits, i + 1, l.digits.len));
            l.digits.len = i;
        }
    return l;
}

/* Of digits that fit, as nearly all do; false: they may still be a number, of more bits or none. */
static bool
read_small(const struct literal *l, int64_t *out)
{
    uint64_t n = 0;
    bool any = false;

    for (size_t i = 0; i < l->digits.len; i++) {
        const char c = l->digits.at[i];
        const unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 32) - 'a') + 10;
        if (c == '_' || c == '.')
            continue;
        if (digit >= l->base || n > ((uint64_t)INT64_MAX - digit) / l->base)
            return false;
        n = n * l->base + digit;
        any = true;
    }
    *out = (int64_t)n;
    return any;
}

static bool
read_wide(struct arena *arena, const struct literal *l, struct bignum *out)
{
    cleanup(strbuf_done) struct strbuf digits = {0};

    for (size_t i = 0; i < l->digits.len; i++)
        if (l->digits.at[i] != '_' && l->digits.at[i] != '.')
            strbuf_add_char(&digits, l->digits.at[i]);
    return bignum_parse(arena, strbuf_str(&digits), l->base, out);
}

/* Digits behind the point, less the exponent; false if that is more than a decimal can have. */
static bool
read_scale(const struct literal *l, int32_t *out)
{
    const ptrdiff_t point = str_index(l->digits, '.');
    int64_t scale = 0;

    for (size_t i = point < 0 ? l->digits.len : (size_t)point; i < l->digits.len; i++)
        scale += isdigit((unsigned char)l->digits.at[i]) != 0;
    if (l->exponent == INT64_MAX || scale - l->exponent > INT32_MAX)
        return false;
    *out = (int32_t)(scale - l->exponent);
    return true;
}

/* 1L and 1i have their bits: of base 10 no more than they hold, of the others the last. The least of
 * base 10 needs its sign (take_sign()); it stays wide until then, or an int that does not fit. */
static void
narrow(struct parser *p, struct node *n, const struct literal *l)
{
    const bool is_long = l->suffix == 'l';
    const uint64_t low = n->wide != NULL ? bignum_low(*n->wide) : (uint64_t)n->number;
    const uint64_t least = (uint64_t)1 << (is_long ? 63 : 31);
    const bool fits = n->wide == NULL || (is_long && bignum_bits(*n->wide) <= 64);

    if (l->base != 10) {
        n->number = is_long ? (int64_t)low : (int32_t)low;
        n->wide = NULL;
    } else if (!fits || low > least) {
        parser_fail(p, p->at, is_long ? "a long has 64 bits" : "an int has 32 bits");
    } else if (low == least && p->unsigned_least.offset == UINT_MAX) {
        p->unsigned_least = *p->at;
    }
}

/* Digits of base 10 and nothing else, as nearly all numbers are. */
static bool
read_digits(struct str s, int64_t *out)
{
    int64_t n = 0;

    if (s.len > 18 || (s.at[0] == '0' && s.len > 1))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        n = n * 10 + (s.at[i] - '0');
    }
    *out = n;
    return true;
}

struct node *
parse_number(struct parser *p)
{
    const struct token *t = p->at;
    struct node *n = node_new(p, t->type == T_INT ? N_INT : N_DECIMAL, t);
    struct literal l;

    if (read_digits(t->text, &n->number))
        return n;
    l = split(t);
    n->is_long = l.suffix == 'l';
    n->is_big = l.suffix == 'g';
    n->is_float = l.suffix == 'f';
    n->is_double = l.suffix == 'd';
    if (n->is_float || n->is_double) {
        n->text = t->text;
    } else if (t->type == T_DECIMAL && !read_scale(&l, &n->scale)) {
        parser_fail(p, t, "this number is not to be read: its exponent is too large");
    } else if (!read_small(&l, &n->number)) {
        struct bignum *wide = arena_alloc(p->arena, sizeof(*wide));
        n->wide = wide;
        if (!read_wide(p->arena, &l, wide))
            parser_fail(p, t, "this number is not to be read: digits of base %u, %u at most", l.base,
                        BIGNUM_DIGITS_MAX);
    }
    if (l.suffix == 'l' || l.suffix == 'i')
        narrow(p, n, &l);
    return n;
}

/* The least int and the least long are literals of their own: without the sign they do not fit. */
void
take_sign(struct parser *p, struct node *minus, unsigned operand)
{
    const struct node *n = minus->a;

    if (minus->op != T_SUB || n->type != N_INT || n->is_big)
        return;
    if (n->wide == NULL ? n->is_long || n->number != -(int64_t)INT32_MIN
                        : bignum_bits(*n->wide) != 64 || bignum_low(*n->wide) != (uint64_t)1 << 63)
        return;
    minus->type = N_INT;
    minus->is_long = n->wide != NULL;
    minus->number = minus->is_long ? INT64_MIN : INT32_MIN;
    if (p->unsigned_least.offset == operand)
        p->unsigned_least.offset = UINT_MAX;
}
