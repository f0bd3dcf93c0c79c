/* SPDX-License-Identifier: MIT */
/* methods_number.c - the methods of numbers, Java's and Groovy's, and what their classes have
 * themselves. */
#include <math.h>
#include "pipeline/groovy/interp_scope.h"
#include "pipeline/groovy/methods.h"
#include "pipeline/groovy/number.h"

#define BITS_SHOWN_MAX 64 /* toString(2) of an int or a long */

static const char *const roundings[] = {
    [ROUND_UP] = "UP",
    [ROUND_DOWN] = "DOWN",
    [ROUND_CEILING] = "CEILING",
    [ROUND_FLOOR] = "FLOOR",
    [ROUND_HALF_UP] = "HALF_UP",
    [ROUND_HALF_DOWN] = "HALF_DOWN",
    [ROUND_HALF_EVEN] = "HALF_EVEN",
    [ROUND_UNNECESSARY] = "UNNECESSARY",
};

static bool
is_whole_arg(const struct call *c, size_t i)
{
    return i < c->args->count && value_is_integer(c->args->at[i]);
}

static struct value
arg_of(const struct call *c)
{
    return c->args->count > 0 ? c->args->at[0] : value_null();
}

/* RoundingMode.HALF_UP, BigDecimal.ROUND_HALF_UP or 4. */
static bool
rounding_of(struct value v, enum rounding *out)
{
    if (v.type == V_INT && v.number >= 0 && v.number <= ROUND_UNNECESSARY) {
        *out = (enum rounding)v.number;
        return true;
    }
    for (size_t i = 0; v.type == V_TEXT && i < ARRAY_COUNT(roundings); i++)
        if (str_is(v.text, roundings[i])) {
            *out = (enum rounding)i;
            return true;
        }
    return false;
}

bool
call_each_number(const struct call *c, int64_t from, int64_t last, int64_t by)
{
    struct value arg, ignored;
    int64_t i = from;

    while (by > 0 ? i <= last : i >= last) {
        arg = c->self.type == V_LONG || c->self.type == V_BIG ? value_long(i) : value_int(i);
        if (!interp_call_closure(c->in, c->block, &arg, 1, &ignored))
            return false;
        if (__builtin_add_overflow(i, by, &i))
            break;
    }
    return true;
}

/* Those that run a block. */
static bool
number_loop(const struct call *c, bool *ok)
{
    const int64_t n = c->block == NULL ? 0 : value_as_integer(c->self);
    const struct value *arg = c->args->at;

    if (c->block == NULL)
        return false;
    if (call_is(c, "times", 1)) {
        struct call from_zero = *c;
        from_zero.self = value_int(0);
        *ok = n <= 0 || call_each_number(&from_zero, 0, n - 1, 1);
    } else if (call_is(c, "upto", 2) && is_whole_arg(c, 0)) {
        *ok = call_each_number(c, n, arg[0].number, 1);
    } else if (call_is(c, "downto", 2) && is_whole_arg(c, 0)) {
        *ok = call_each_number(c, n, arg[0].number, -1);
    } else if (call_is(c, "step", 3) && is_whole_arg(c, 0) && is_whole_arg(c, 1) &&
               arg[1].number != 0) {
        const int64_t to = arg[0].number, by = arg[1].number;
        if (by > 0 ? n < to : n > to)
            *ok = call_each_number(c, n, by > 0 ? to - 1 : to + 1, by);
    } else {
        return false;
    }
    return true;
}

static bool
no_intdiv(const struct call *c)
{
    return interp_throw(c->in, c->at, "UnsupportedOperationException",
                        "Cannot use intdiv() on this number type: %s with value: " STR_FMT,
                        value_type_name(c->self), STR_ARG(interp_text(c->in, c->self)));
}

/* add and remainder are what Java calls them. */
static bool
number_operator(const struct call *c, bool *ok)
{
    static const struct {
        const char *name;
        enum token_type op;
    } operators[] = {{"plus", T_ADD},       {"minus", T_SUB},    {"multiply", T_MUL},
                     {"div", T_DIV},        {"mod", T_MOD},      {"power", T_POW},
                     {"add", T_ADD},        {"subtract", T_SUB}, {"pow", T_POW},
                     {"and", T_AND},        {"or", T_OR},        {"xor", T_XOR},
                     {"leftShift", T_SHL},  {"shiftLeft", T_SHL}, {"rightShift", T_SHR},
                     {"shiftRight", T_SHR}, {"rightShiftUnsigned", T_USHR}};
    const struct value arg = arg_of(c);

    if (c->args->count != 1 || !value_is_number(arg))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(operators); i++)
        if (str_is(c->name, operators[i].name)) {
            *ok = operator_binary(c->in, c->at, operators[i].op, c->self, arg, c->out);
            return true;
        }
    if (str_is(c->name, "intdiv"))
        *ok = value_is_whole(c->self) && value_is_whole(arg)
                  ? number_intdiv(c->in, c->at, c->self, arg, c->out)
                  : no_intdiv(c);
    else if (str_is(c->name, "compareTo"))
        *c->out = value_int(value_compare_numbers(c->self, arg));
    else if (str_is(c->name, "min") || str_is(c->name, "max"))
        *c->out = (value_compare_numbers(c->self, arg) > 0) == str_is(c->name, "max") ? c->self
                                                                                      : arg;
    else
        return false;
    return true;
}

/* What is left of a division towards zero: a - b * (a / b). */
static bool
exact_rest(const struct call *c, struct value a, struct value b, struct value *quotient,
           struct value *rest)
{
    const int64_t scale = (int64_t)a.scale - b.scale;
    struct value product;

    return number_divide_to(c->in, c->at, a, b, 0, ROUND_DOWN, quotient) &&
           number_binary(c->in, c->at, T_MUL, *quotient, b, &product) &&
           number_binary(c->in, c->at, T_SUB, a, product, rest) &&
           (scale <= 0 || number_rescale(c->in, c->at, *quotient, scale, ROUND_DOWN, quotient));
}

/* remainder, divide, divideToIntegralValue, divideAndRemainder. */
static bool
number_division(const struct call *c, bool *ok)
{
    const struct value a = c->self, b = arg_of(c);
    const bool is_decimal = a.type == V_DECIMAL || b.type == V_DECIMAL;
    const size_t last = c->args->count - 1;
    enum rounding mode;
    struct value both[2];

    if (c->args->count == 0 || !value_is_number(b) || a.type == V_DOUBLE || b.type == V_DOUBLE)
        return false;
    if (value_sign(b) == 0 && (call_is(c, "divide", 1) || call_is(c, "remainder", 1))) {
        *ok = interp_throw(c->in, c->at, "ArithmeticException", "Division by zero");
    } else if (call_is(c, "divide", 1)) {
        *ok = is_decimal ? number_binary(c->in, c->at, T_DIV, a, b, c->out)
                         : number_intdiv(c->in, c->at, a, b, c->out);
    } else if ((call_is(c, "divide", 2) || (call_is(c, "divide", 3) && is_whole_arg(c, 1))) &&
               rounding_of(c->args->at[last], &mode)) {
        *ok = number_divide_to(c->in, c->at, a, b, last == 2 ? c->args->at[1].number : a.scale,
                               mode, c->out);
    } else if (is_decimal &&
               (call_is(c, "remainder", 1) || call_is(c, "divideToIntegralValue", 1) ||
                call_is(c, "divideAndRemainder", 1))) {
        *ok = exact_rest(c, a, b, &both[0], &both[1]);
    } else if (call_is(c, "remainder", 1) || call_is(c, "divideAndRemainder", 1)) {
        *ok = number_intdiv(c->in, c->at, a, b, &both[0]) &&
              number_binary(c->in, c->at, T_MUL, both[0], b, &both[1]) &&
              number_binary(c->in, c->at, T_SUB, a, both[1], &both[1]);
    } else {
        return false;
    }
    if (str_starts(c->name, STR("remainder")) && *ok)
        *c->out = both[1];
    else if (str_is(c->name, "divideToIntegralValue") && *ok)
        *c->out = both[0];
    if (!str_is(c->name, "divideAndRemainder") || !*ok)
        return true;
    *c->out = value_list(c->in->arena);
    list_add(c->in->arena, c->out->list, both[0]);
    list_add(c->in->arena, c->out->list, both[1]);
    return true;
}

static bool
number_conversion(const struct call *c, bool *ok)
{
    static const struct {
        const char *to, *value, *type;
    } rows[] = {{"toInteger", "intValue", "int"},        {"toLong", "longValue", "long"},
                {"toDouble", "doubleValue", "double"},   {"toFloat", "floatValue", "float"},
                {"toBigDecimal", "", "BigDecimal"},      {"toBigInteger", "", "BigInteger"},
                {"", "intValueExact", "int"},            {"", "longValueExact", "long"},
                {"", "toBigIntegerExact", "BigInteger"}};

    for (size_t i = 0; i < ARRAY_COUNT(rows) && c->args->count == 0; i++)
        if (str_is(c->name, rows[i].to) || str_is(c->name, rows[i].value)) {
            *ok = operator_cast(c->in, c->at, c->self, str_of(rows[i].type), false, c->out);
            if (*ok && str_ends(c->name, STR("Exact")) &&
                value_compare_numbers(*c->out, c->self) != 0)
                *ok = interp_throw(c->in, c->at, "ArithmeticException",
                                   "the number does not fit, or has a part behind the point");
            return true;
        }
    return false;
}

/* In another base, of an int or a long without a sign. */
static void
give_digits(const struct call *c, struct bignum n, unsigned base)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    bignum_format(n, base, &text);
    *c->out = value_text(arena_dup(c->in->arena, strbuf_str(&text)));
}

/* MathContext: so many digits in all. */
static bool
number_to_precision(const struct call *c, int64_t digits, enum rounding mode)
{
    struct bignum_space space;
    const int64_t have = (int64_t)bignum_digits(value_unscaled(c->self, &space));

    *c->out = c->self;
    if (digits <= 0 || have <= digits)
        return true;
    if (!number_rescale(c->in, c->at, c->self, (int64_t)c->self.scale - (have - digits), mode,
                        c->out))
        return false;
    /* 9.99 has become 10.0: a digit too many, which is 0 */
    return (int64_t)bignum_digits(value_unscaled(*c->out, &space)) <= digits ||
           number_rescale(c->in, c->at, *c->out, (int64_t)c->out->scale - 1, mode, c->out);
}

static bool
plain_text(const struct call *c)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!value_format_plain(c->self, &text))
        return interp_throw(c->in, c->at, "OutOfMemoryError", "the string is too long");
    *c->out = value_text(arena_dup(c->in->arena, strbuf_str(&text)));
    return true;
}

static bool
decimal_method(const struct call *c, bool *ok)
{
    const struct value v = c->self;
    struct bignum_space space;
    enum rounding mode = ROUND_UNNECESSARY;

    if (v.type != V_DECIMAL)
        return false;
    if (call_is(c, "scale", 0)) {
        *c->out = value_int(v.scale);
    } else if (call_is(c, "precision", 0)) {
        *c->out = value_int((int64_t)bignum_digits(value_unscaled(v, &space)));
    } else if (call_is(c, "unscaledValue", 0)) {
        *c->out = value_big(c->in->arena, value_unscaled(v, &space));
    } else if ((call_is(c, "setScale", 1) ||
                (call_is(c, "setScale", 2) && rounding_of(c->args->at[1], &mode))) &&
               is_whole_arg(c, 0)) {
        *ok = number_rescale(c->in, c->at, v, c->args->at[0].number, mode, c->out);
    } else if (call_is(c, "round", 1) && value_is_object(arg_of(c), "MathContext")) {
        const struct object *context = arg_of(c).object;
        (void)rounding_of(value_text(context->pattern), &mode);
        *ok = number_to_precision(c, context->number, mode);
    } else if (call_is(c, "stripTrailingZeros", 0)) {
        *c->out = value_sign(v) == 0 ? (struct value){.type = V_DECIMAL}
                                     : number_stripped(c->in->arena, v, INT32_MIN);
    } else if (call_is(c, "toPlainString", 0)) {
        *ok = plain_text(c);
    } else if ((call_is(c, "movePointLeft", 1) || call_is(c, "movePointRight", 1) ||
                call_is(c, "scaleByPowerOfTen", 1)) &&
               is_whole_arg(c, 0) && c->args->at[0].number == (int32_t)c->args->at[0].number) {
        const int64_t places = c->args->at[0].number;
        const int64_t scale = v.scale + (str_is(c->name, "movePointLeft") ? places : -places);
        if (scale != (int32_t)scale)
            return (*ok = interp_throw(c->in, c->at, "ArithmeticException", "Overflow")), true;
        *c->out = v;
        c->out->scale = (int32_t)scale;
        if (scale < 0 && !str_is(c->name, "scaleByPowerOfTen"))
            *ok = number_rescale(c->in, c->at, *c->out, 0, ROUND_DOWN, c->out);
    } else {
        return false;
    }
    return true;
}

static bool
big_method(const struct call *c, bool *ok)
{
    cleanup(arena_done) struct arena own = {0};
    struct bignum_space spaces[2];
    struct bignum n, bit;

    if (c->self.type != V_BIG)
        return false;
    n = value_unscaled(c->self, &spaces[0]);
    if (call_is(c, "bitLength", 0)) { /* of a negative one as of -n - 1 */
        if (n.is_negative && !bignum_apply(&own, BIGNUM_ADD, n, bignum_of(1, &spaces[1]), &n))
            return false;
        *c->out = value_int((int64_t)bignum_bits(n));
    } else if (call_is(c, "testBit", 1) && is_whole_arg(c, 0) && c->args->at[0].number >= 0) {
        if (!bignum_shift(&own, n, -c->args->at[0].number, &bit))
            return false;
        *c->out = value_bool(bignum_low(bit) % 2 != 0);
    } else if (call_is(c, "gcd", 1) && arg_of(c).type == V_BIG) {
        if (bignum_bits(n) <= BIGNUM_GCD_BITS_MAX &&
            !interp_spend(c->in, c->at, 64 + bignum_bits(n) / 16 * (bignum_bits(n) / 64 + 1))) {
            *ok = false;
        } else if (!bignum_apply(&own, BIGNUM_GCD, n, value_unscaled(arg_of(c), &spaces[1]), &n)) {
            *ok = interp_throw(c->in, c->at, "ArithmeticException",
                               "gcd() takes numbers up to 2^%u", BIGNUM_GCD_BITS_MAX);
        } else {
            *c->out = value_big(c->in->arena, n);
        }
    } else if (call_is(c, "not", 0)) {
        *ok = operator_unary(c->in, c->at, T_TILDE, c->self, c->out);
    } else {
        return false;
    }
    return true;
}

static bool
round_number(const struct call *c)
{
    if (!number_round(c->in, c->at, c->self, is_whole_arg(c, 0) ? c->args->at[0].number : 0,
                      c->out))
        return false;
    if (c->args->count > 0 || c->self.type != V_DOUBLE)
        return true;
    return operator_cast(c->in, c->at, *c->out, c->self.is_float ? STR("int") : STR("long"), false,
                         c->out);
}

static bool
number_other(const struct call *c, bool *ok)
{
    struct bignum_space space;

    if ((call_is(c, "round", 0) || (call_is(c, "round", 1) && is_whole_arg(c, 0)))) {
        *ok = round_number(c);
    } else if (call_is(c, "abs", 0)) {
        *c->out = c->self;
        *ok = value_sign(c->self) >= 0 || number_negate(c->in, c->at, c->self, c->out);
    } else if (call_is(c, "isNaN", 0) || call_is(c, "isInfinite", 0)) {
        const double d = value_as_real(c->self);
        *c->out = value_bool(str_is(c->name, "isNaN") ? isnan(d) : isinf(d) != 0);
    } else if (call_is(c, "equals", 1)) { /* as Java's: 1 is not 1L, nor 1.0 the same as 1.00 */
        *c->out = value_bool(value_same_key(c->self, arg_of(c)));
    } else if (call_is(c, "signum", 0)) {
        *c->out = value_int(value_sign(c->self));
    } else if (call_is(c, "negate", 0) || call_is(c, "unaryMinus", 0)) {
        *ok = number_negate(c->in, c->at, c->self, c->out);
    } else if (call_is(c, "bitwiseNegate", 0) && value_is_whole(c->self)) {
        *ok = operator_unary(c->in, c->at, T_TILDE, c->self, c->out);
    } else if (call_is(c, "toString", 1) && value_is_whole(c->self) && is_whole_arg(c, 0) &&
               arg_of(c).number >= 2 && arg_of(c).number <= 36) {
        give_digits(c, value_unscaled(c->self, &space), (unsigned)arg_of(c).number);
    } else if (call_is(c, "isInteger", 0) || call_is(c, "isNumber", 0)) {
        *c->out = value_bool(true);
    } else {
        return false;
    }
    return true;
}

bool
method_of_number(struct interp *in, const struct node *call, struct value object, struct str name,
                 const struct args *args, struct value *out, bool *found)
{
    const struct call c = call_make(in, call, object, name, args, out);
    bool ok = true;

    if (!interp_spend(in, call, interp_weight(object)))
        return false;
    *found = number_loop(&c, &ok) || number_division(&c, &ok) || number_operator(&c, &ok) ||
             number_conversion(&c, &ok) || decimal_method(&c, &ok) || big_method(&c, &ok) ||
             number_other(&c, &ok);
    return ok;
}

/* ZERO, ONE, TWO, TEN of both, and the roundings. */
static bool
number_constant(struct str class_name, struct str name, struct value *out)
{
    static const struct {
        const char *name;
        int number;
    } rows[] = {{"ZERO", 0}, {"ONE", 1}, {"TWO", 2}, {"TEN", 10}};
    const bool is_decimal = str_is(class_name, "BigDecimal");

    for (size_t i = 0; i < ARRAY_COUNT(rows) && !str_is(class_name, "RoundingMode"); i++)
        if (str_is(name, rows[i].name)) {
            *out = (struct value){.type = is_decimal ? V_DECIMAL : V_BIG,
                                  .number = rows[i].number};
            return true;
        }
    for (size_t i = 0; i < ARRAY_COUNT(roundings) && !str_is(class_name, "BigInteger"); i++) {
        if (is_decimal && str_starts(name, STR("ROUND_")) &&
            str_is(str_slice(name, 6, name.len), roundings[i]))
            return (*out = value_int((int64_t)i)), true;
        if (!is_decimal && str_is(name, roundings[i]))
            return (*out = value_text(str_of(roundings[i]))), true;
    }
    return false;
}

/* toBinaryString and its like: of an int or a long without its sign. */
static bool
unsigned_digits(const struct call *c, struct str class_name)
{
    static const struct {
        const char *name;
        unsigned base;
    } rows[] = {{"toHexString", 16}, {"toOctalString", 8}, {"toBinaryString", 2}};
    const struct value v = arg_of(c);
    struct bignum_space space;

    for (size_t i = 0; i < ARRAY_COUNT(rows) && c->args->count == 1 && value_is_integer(v); i++)
        if (str_is(c->name, rows[i].name)) {
            give_digits(c,
                        bignum_of(str_is(class_name, "Integer") ? (uint32_t)v.number
                                                                : (uint64_t)v.number,
                                  &space),
                        rows[i].base);
            return true;
        }
    return false;
}

bool
number_static(struct interp *in, const struct node *at, struct str class_name, struct str name,
              const struct args *args, struct value *out, bool *found)
{
    static const struct args none = {0};
    const struct call c = call_make(in, at, value_null(), name, args == NULL ? &none : args, out);
    const bool is_big = str_is(class_name, "BigInteger"),
               is_decimal = str_is(class_name, "BigDecimal");

    *found = true;
    if (args == NULL) {
        *found = (is_big || is_decimal || str_is(class_name, "RoundingMode")) &&
                 number_constant(class_name, name, out);
        return true;
    }
    if ((str_is(class_name, "Integer") || str_is(class_name, "Long")) &&
        unsigned_digits(&c, class_name))
        return true;
    if ((is_big || is_decimal) && str_is(name, "valueOf") && args->count == 1 &&
        value_is_number(args->at[0]))
        return operator_cast(in, at, args->at[0], class_name, false, out);
    if (is_decimal && call_is(&c, "valueOf", 2) && is_whole_arg(&c, 0) && is_whole_arg(&c, 1) &&
        args->at[1].number == (int32_t)args->at[1].number) {
        *out = args->at[0];
        out->type = V_DECIMAL;
        out->scale = (int32_t)args->at[1].number;
        return true;
    }
    *found = false;
    return true;
}

bool
number_new(struct interp *in, const struct node *at, struct str class_name,
           const struct args *args, struct value *out, bool *found)
{
    const struct value arg = args->count > 0 ? args->at[0] : value_null();
    struct bignum n;

    *found = true;
    if (str_is(class_name, "MathContext") && args->count >= 1 && value_is_integer(arg)) {
        *out = value_object(in->arena, "MathContext");
        out->object->number = arg.number;
        out->object->pattern =
            args->count > 1 ? interp_text(in, args->at[1]) : STR("HALF_UP");
        return true;
    }
    if (str_is(class_name, "BigInteger") && args->count == 2 && value_is_integer(args->at[1]) &&
        args->at[1].number >= 2 && args->at[1].number <= 36) {
        if (!bignum_parse(in->arena, interp_text(in, arg), (unsigned)args->at[1].number,
                          &n))
            return interp_throw(in, at, "NumberFormatException",
                                "For input string: \"" STR_FMT "\"",
                                STR_ARG(str_slice(interp_text(in, arg), 0, 100)));
        *out = value_big(in->arena, n);
        return true;
    }
    *found = (str_is(class_name, "BigInteger") || str_is(class_name, "BigDecimal")) &&
             args->count == 1;
    if (!*found)
        return true;
    if (arg.type == V_TEXT && !value_of_number(in->arena, arg.text, out))
        return interp_throw(in, at, "NumberFormatException", "For input string: \"" STR_FMT "\"",
                            STR_ARG(str_slice(arg.text, 0, 100)));
    return operator_cast(in, at, arg, class_name, false, out);
}
