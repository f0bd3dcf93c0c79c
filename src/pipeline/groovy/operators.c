/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "pipeline/groovy/interp_scope.h"
#include "pipeline/groovy/number.h"

#define SHOWN_MAX 100 /* bytes of what cannot be cast */

static bool
not_defined(struct interp *in, const struct node *at, const char *op, struct value a,
            struct value b)
{
    const struct args args = {.at = {b}, .count = 1};

    if (a.type == V_NULL)
        return interp_throw(in, at, "NullPointerException",
                            "Cannot invoke method %s() on null object", op);
    return interp_no_method(in, at, value_type_name(a), str_of(op), &args);
}

static bool
arithmetic_of_reals(enum token_type op, double a, double b, struct value *out)
{
    *out = value_real(op == T_ADD   ? a + b
                      : op == T_SUB ? a - b
                      : op == T_MUL ? a * b
                      : op == T_DIV ? a / b
                                    : fmod(a, b));
    return true;
}

static bool
arithmetic(struct interp *in, const struct node *at, enum token_type op, struct value a,
           struct value b, struct value *out)
{
    if (op == T_POW)
        return number_power(in, at, a, b, out);
    if (a.type == V_DOUBLE || b.type == V_DOUBLE)
        return interp_spend_for(in, at, a, b) &&
               arithmetic_of_reals(op, value_as_real(a), value_as_real(b), out);
    return number_binary(in, at, op, a, b, out);
}

static bool
join(struct interp *in, const struct node *at, struct value a, struct value b, struct value *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str left, right;

    if (!interp_to_text(in, at, a, &left) || !interp_to_text(in, at, b, &right))
        return false;
    strbuf_add(&text, left);
    strbuf_add(&text, right);
    if (text.len > INTERP_TEXT_MAX)
        return interp_throw(in, at, "OutOfMemoryError", "the string is too long");
    *out = value_text(arena_dup(in->arena, strbuf_str(&text)));
    out->is_gstring = a.type == V_TEXT && a.is_gstring;
    return true;
}

/* An operator that is a method of its left side. */
static bool
call_operator(struct interp *in, const struct node *at, struct value a, const char *name,
              struct value b, struct value *out)
{
    const struct args args = {.at = {b}, .count = 1};

    return interp_call_method(in, at, a, str_of(name), &args, out);
}

static bool
add(struct interp *in, const struct node *at, struct value a, struct value b, struct value *out)
{
    if (a.type == V_TEXT || b.type == V_TEXT)
        if (a.type != V_LIST)
            return join(in, at, a, b, out);
    if (a.type == V_LIST) {
        struct value sum;
        bool changed;
        if (!list_to_kind(in, at, a.list, a.list->kind, &sum))
            return false;
        *out = sum;
        return b.type == V_LIST ? list_put_all(in, at, sum.list, b.list, &changed)
                                : list_put(in, at, sum.list, b, &changed);
    }
    if (a.type == V_MAP && b.type == V_MAP) {
        struct value sum;
        if (!map_copy(in, at, a.map, a.map->is_sorted, &sum))
            return false;
        *out = sum;
        return interp_map_put_all(in, at, sum.map, b.map);
    }
    if (value_is_object(a, "Date") || value_is_object(a, "StringBuilder"))
        return call_operator(in, at, a, value_is_object(a, "Date") ? "plus" : "append", b, out);
    return not_defined(in, at, "plus", a, b);
}

static bool
subtract(struct interp *in, const struct node *at, struct value a, struct value b,
         struct value *out)
{
    if (a.type == V_TEXT && b.type == V_PATTERN) {
        if (!regex_replace(in, at, a.text, b.text, value_text(STR("")), false, &a.text))
            return false;
        *out = value_text(a.text);
        return true;
    }
    if (a.type == V_TEXT) {
        struct str cut = interp_text(in, b);
        ptrdiff_t found = str_find(a.text, cut);
        if (found < 0 || cut.len == 0)
            *out = a;
        else
            *out = value_text(str_of(
                arena_format(in->arena, STR_FMT STR_FMT, (int)found, a.text.at,
                             STR_ARG(str_slice(a.text, (size_t)found + cut.len, a.text.len)))));
        return true;
    }
    if (a.type == V_LIST) {
        return list_minus(in, at, a.list, b, out);
    }
    if (value_is_object(a, "Date") || (a.type == V_MAP && b.type == V_MAP))
        return call_operator(in, at, a, "minus", b, out);
    return not_defined(in, at, "minus", a, b);
}

static bool
repeat(struct interp *in, const struct node *at, struct value a, struct value b, struct value *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct value items = value_list(in->arena);
    size_t one = a.type == V_TEXT ? a.text.len : a.list->count;

    if (!value_is_integer(b))
        return not_defined(in, at, "multiply", a, b);
    if (b.number < 0)
        return interp_throw(in, at, "IllegalArgumentException",
                            "multiply() should be called with a number of 0 or greater not: %lld",
                            (long long)b.number);
    if (one > 0 &&
        (uint64_t)b.number > (a.type == V_TEXT ? INTERP_TEXT_MAX : VALUE_ITEMS_MAX) / one)
        return interp_throw(in, at, "OutOfMemoryError", "the result is too large");
    for (int64_t i = 0; i < b.number && one > 0; i++) {
        if (a.type == V_TEXT)
            strbuf_add(&text, a.text);
        else
            for (size_t j = 0; j < one; j++)
                list_add(in->arena, items.list, a.list->at[j]);
    }
    *out = a.type == V_TEXT ? value_text(arena_dup(in->arena, strbuf_str(&text))) : items;
    return true;
}

static bool
range(struct interp *in, const struct node *at, struct value a, struct value b, bool open,
      struct value *out)
{
    bool letters = a.type == V_TEXT && b.type == V_TEXT && a.text.len == 1 && b.text.len == 1;
    struct value items = value_list(in->arena);
    int64_t from, to, step;

    if (!letters && (!value_is_integer(a) || !value_is_integer(b)))
        return not_defined(in, at, "a range", a, b);
    from = letters ? (unsigned char)a.text.at[0] : a.number;
    to = letters ? (unsigned char)b.text.at[0] : b.number;
    step = from <= to ? 1 : -1;
    if (open && from == to) {
        *out = items;
        return true;
    }
    if (open)
        to -= step;
    if ((to > from ? (uint64_t)to - (uint64_t)from : (uint64_t)from - (uint64_t)to) >=
        VALUE_ITEMS_MAX)
        return interp_throw(in, at, "OutOfMemoryError", "the range is too large");
    for (int64_t i = from;; i += step) {
        char c = (char)i;
        list_add(in->arena, items.list,
                 letters ? value_text(arena_dup(in->arena, (struct str){&c, 1})) : value_int(i));
        if (i == to)
            break;
    }
    *out = items;
    return true;
}

/* By a method of the class of the file, if it has one. */
static bool
ask_instance(struct interp *in, const struct node *at, struct value a, const char *name,
             struct value b, struct value *out, bool *found)
{
    const struct args args = {.at = {b}, .count = 1};

    return !class_is_instance(a) || class_call(in, at, a, str_of(name), &args, out, found);
}

bool
operator_compare(struct interp *in, const struct node *at, struct value a, struct value b, int *out)
{
    struct value order;
    bool found = false;

    if (!interp_spend_for(in, at, a, b) ||
        !ask_instance(in, at, a, "compareTo", b, &order, &found))
        return false;
    if (found ? value_is_number(order) && value_compare(order, value_int(0), out)
              : value_compare(a, b, out))
        return true;
    return interp_throw(in, at, "IllegalArgumentException", "cannot compare %s with %s",
                        value_type_name(a), value_type_name(b));
}

static bool
order(struct interp *in, const struct node *at, enum token_type op, struct value a, struct value b,
      struct value *out)
{
    int c = 0;

    if (!operator_compare(in, at, a, b, &c))
        return false;
    *out = op == T_COMPARE ? value_int(c)
                           : value_bool(op == T_LESS         ? c < 0
                                        : op == T_LESS_EQUAL ? c <= 0
                                        : op == T_GREATER    ? c > 0
                                                             : c >= 0);
    return true;
}

static bool
bits(struct interp *in, const struct node *at, enum token_type op, struct value a, struct value b,
     struct value *out)
{
    if (a.type == V_BOOL && b.type == V_BOOL && (op == T_AND || op == T_OR || op == T_XOR)) {
        *out = value_bool(op == T_AND  ? a.truth && b.truth
                          : op == T_OR ? a.truth || b.truth
                                       : a.truth != b.truth);
        return true;
    }
    if (!value_is_whole(a) || !value_is_whole(b))
        return not_defined(in, at, token_name(op), a, b);
    return number_bits(in, at, op, a, b, out);
}

/* The same thing, not an equal one. */
static bool
is_same(struct value a, struct value b)
{
    if (a.type == V_LIST && b.type == V_LIST)
        return a.list == b.list;
    if (a.type == V_MAP && b.type == V_MAP)
        return a.map == b.map;
    return a.type == b.type && value_equal(a, b);
}

/* plus, minus ... of a class of the file. */
static const char *
operator_method(enum token_type op)
{
    switch (op) {
    case T_ADD:
        return "plus";
    case T_SUB:
        return "minus";
    case T_MUL:
        return "multiply";
    case T_DIV:
        return "div";
    case T_SHL:
        return "leftShift";
    default:
        return NULL;
    }
}

static bool
binary(struct interp *in, const struct node *at, enum token_type op, struct value a, struct value b,
       struct value *out)
{
    bool both_numbers = value_is_number(a) && value_is_number(b), truth;

    if (a.type == V_OBJECT && a.object->class_node != NULL && operator_method(op) != NULL)
        return call_operator(in, at, a, operator_method(op), b, out);
    switch (op) {
    case T_ADD:
        return both_numbers ? arithmetic(in, at, op, a, b, out) : add(in, at, a, b, out);
    case T_SUB:
        return both_numbers ? arithmetic(in, at, op, a, b, out) : subtract(in, at, a, b, out);
    case T_MUL:
        if (!both_numbers && (a.type == V_TEXT || a.type == V_LIST))
            return repeat(in, at, a, b, out);
        return both_numbers ? arithmetic(in, at, op, a, b, out)
                            : not_defined(in, at, "multiply", a, b);
    case T_DIV:
    case T_MOD:
    case T_POW:
        return both_numbers ? arithmetic(in, at, op, a, b, out)
                            : not_defined(in, at,
                                          op == T_DIV   ? "div"
                                          : op == T_MOD ? "mod"
                                                        : "power",
                                          a, b);
    case T_IDENTICAL:
    case T_NOT_IDENTICAL:
        truth = is_same(a, b) == (op == T_IDENTICAL);
        *out = value_bool(truth);
        return true;
    case T_EQUAL:
    case T_NOT_EQUAL:
        if (!interp_equal(in, at, a, b, EQUAL_BY_VALUE, &truth))
            return false;
        *out = value_bool(truth == (op == T_EQUAL));
        return true;
    case T_LESS:
    case T_LESS_EQUAL:
    case T_GREATER:
    case T_GREATER_EQUAL:
    case T_COMPARE:
        return order(in, at, op, a, b, out);
    case T_RANGE:
    case T_RANGE_OPEN:
        return range(in, at, a, b, op == T_RANGE_OPEN, out);
    case T_SHL:
        if (a.type == V_LIST) {
            *out = a;
            return list_put(in, at, a.list, b, &truth);
        }
        if (a.type == V_TEXT)
            return join(in, at, a, b, out);
        if (a.type == V_OBJECT || a.type == V_CLOSURE || a.type == V_MAP)
            return call_operator(in, at, a, "leftShift", b, out);
        return bits(in, at, op, a, b, out);
    case T_SHR:
        if (a.type == V_CLOSURE)
            return call_operator(in, at, a, "rightShift", b, out);
        return bits(in, at, op, a, b, out);
    case T_FULL_MATCH:
        if (!regex_matches(in, at, interp_text(in, a), interp_text(in, b),
                           &truth))
            return false;
        *out = value_bool(truth);
        return true;
    case T_FIND:
        return object_matcher(in, at, interp_text(in, a), interp_text(in, b),
                              out);
    default:
        return bits(in, at, op, a, b, out);
    }
}

bool
operator_binary(struct interp *in, const struct node *at, enum token_type op, struct value a,
                struct value b, struct value *out)
{
    if (op == T_ADD || op == T_SUB)
        if (!interp_spend(in, at, interp_weight(a) + interp_weight(b)))
            return false;
    return binary(in, at, op, a, b, out);
}

bool
operator_unary(struct interp *in, const struct node *at, enum token_type op, struct value a,
               struct value *out)
{
    if (op == T_NOT) {
        *out = value_bool(!value_truth(a));
        return true;
    }
    if (op == T_TILDE && a.type == V_TEXT) {
        *out = a;
        out->type = V_PATTERN;
        return true;
    }
    if (op == T_TILDE && value_is_whole(a)) /* -a - 1 */
        return number_negate(in, at, a, out) &&
               number_binary(in, at, T_SUB, *out, value_int(1), out);
    if (!value_is_number(a))
        return not_defined(in, at, op == T_SUB ? "negative" : "positive", a, a);
    *out = a;
    return op != T_SUB || number_negate(in, at, a, out);
}

bool
operator_in(struct interp *in, const struct node *at, struct value a, struct value b, bool *out)
{
    const struct value *found;

    *out = false;
    switch (b.type) {
    case V_LIST:
        if (list_is_set(b.list))
            return set_contains(in, at, b.list, a, out);
        for (size_t i = 0; i < b.list->count && !*out; i++)
            if (!interp_equal(in, at, a, b.list->at[i], EQUAL_AS_KEYS, out))
                return false;
        return interp_spend(in, at, interp_weight(b));
    case V_MAP:
        if (!interp_map_key(in, at, b.map, a, &a))
            return false;
        found = map_find(b.map, a);
        *out = found != NULL && value_truth(*found);
        break;
    case V_NULL:
        *out = a.type == V_NULL;
        break;
    case V_HOST:
        *out = b.host == HOST_CLASS && operator_instanceof(a, b.text);
        break;
    default:
        return interp_equal(in, at, a, b, EQUAL_BY_VALUE, out);
    }
    return true;
}

bool
operator_instanceof(struct value v, struct str type)
{
    switch (v.type) {
    case V_NULL:
        return false;
    case V_BOOL:
        return str_is(type, "Boolean") || str_is(type, "Object");
    case V_INT:
        return str_is(type, "Integer") || str_is(type, "Number") || str_is(type, "Object");
    case V_LONG:
        return str_is(type, "Long") || str_is(type, "Number") || str_is(type, "Object");
    case V_BIG:
        return str_is(type, "BigInteger") || str_is(type, "Number") || str_is(type, "Object");
    case V_DECIMAL:
        return str_is(type, "BigDecimal") || str_is(type, "Number") || str_is(type, "Object");
    case V_DOUBLE:
        return str_is(type, v.is_float ? "Float" : "Double") || str_is(type, "Number") ||
               str_is(type, "Object");
    case V_TEXT:
        return str_is(type, v.is_gstring ? "GString" : "String") || str_is(type, "CharSequence") ||
               str_is(type, "Object");
    case V_LIST:
        if (str_is(type, "Object") || v.list->kind == LIST_ARRAY)
            return str_is(type, "Object") || str_ends(type, STR("[]"));
        if (str_is(type, "Collection") || str_is(type, "Iterable"))
            return true;
        return list_is_set(v.list)
                   ? (v.list->kind == LIST_SET ? str_is(type, "Set") || str_ends(type, STR("HashSet"))
                                               : list_kind_of(type) == LIST_SORTED_SET)
                   : str_is(type, "List") || str_is(type, "ArrayList");
    case V_MAP:
        return str_is(type, "Map") || str_is(type, "Object") ||
               (v.map->is_sorted ? map_type_is_sorted(type)
                                 : str_is(type, "LinkedHashMap") || str_is(type, "HashMap"));
    case V_CLOSURE:
        return str_is(type, "Closure") || str_is(type, "Object");
    case V_EXCEPTION:
        return str_equal(type, v.exception->class_name) || str_is(type, "Exception") ||
               str_is(type, "Throwable") || str_is(type, "Object");
    case V_PATTERN:
        return str_is(type, "Pattern");
    case V_HOST:
        return str_is(type, "Object") || (v.host == HOST_CLASS && str_is(type, "Class"));
    case V_OBJECT:
        return str_equal(type, v.object->class_name) || str_is(type, "Object") ||
               (str_is(type, "CharSequence") && value_is_object(v, "StringBuilder"));
    }
    return false;
}

/* The last 64 bits of what stands before the point, as Java cuts them out. */
static int64_t
low_bits(struct value v)
{
    struct arena own = {0};
    struct bignum whole = {0};
    int64_t n;

    if (v.type == V_DOUBLE)
        return value_as_integer(v);
    if (!v.is_wide && v.type != V_DECIMAL)
        return v.number;
    n = value_whole(&own, v, &whole) ? (int64_t)bignum_low(whole) : 0;
    arena_done(&own);
    return n;
}

static bool
no_cast(struct interp *in, const struct node *at, struct value v, const char *type)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!interp_format(in, at, v, SHOWN_MAX, &text))
        return false;
    return interp_throw(in, at, "GroovyCastException",
                        "Cannot cast object '" STR_FMT "' with class '%s' to class '%s'",
                        STR_ARG(str_slice(strbuf_str(&text), 0, SHOWN_MAX)), value_type_name(v),
                        type);
}

static bool
cast_integer(struct interp *in, const struct node *at, struct value v, bool is_long,
             bool is_declaration, struct value *out)
{
    int64_t n = 0;

    if (value_is_integer(v)) {
        n = v.number;
    } else if (v.type == V_DOUBLE && !is_long) { /* the nearest int */
        n = value_as_integer(v);
        n = n > INT32_MAX ? INT32_MAX : n < INT32_MIN ? INT32_MIN : n;
    } else if (value_is_number(v)) {
        n = low_bits(v);
    } else if (v.type == V_TEXT && !is_declaration && str_to_i64(str_trim(v.text), &n)) {
        if (!is_long && n != (int32_t)n)
            return interp_throw(in, at, "NumberFormatException",
                                "For input string: \"" STR_FMT "\"", STR_ARG(v.text));
    } else {
        return no_cast(in, at, v, is_long ? "java.lang.Long" : "java.lang.Integer");
    }
    *out = is_long ? value_long(n) : value_int((int32_t)(uint32_t)(uint64_t)n);
    return true;
}

static bool
not_finite(struct interp *in, const struct node *at)
{
    return interp_throw(in, at, "NumberFormatException", "Infinite or NaN");
}

/* To a double, a float, a big integer or a decimal. */
static bool
cast_number(struct interp *in, const struct node *at, struct value v, struct str type,
            bool is_declaration, struct value *out)
{
    struct value n = v;
    struct bignum whole;

    if (!value_is_number(v) &&
        (is_declaration || v.type != V_TEXT ||
         !value_of_number(in->arena, str_trim(v.text), &n)))
        return no_cast(in, at, v, arena_cstr(in->arena, type));
    if (str_is(type, "BigInteger")) {
        if (!value_is_number(v) && !value_is_whole(n))
            return interp_throw(in, at, "NumberFormatException",
                                "For input string: \"" STR_FMT "\"", STR_ARG(v.text));
        if (n.type == V_DOUBLE && !isfinite(n.real))
            return not_finite(in, at);
        if (!value_whole(in->arena, n, &whole))
            return interp_throw(in, at, "ArithmeticException", "the number is larger than 2^%u",
                                BIGNUM_BITS_MAX);
        *out = value_big(in->arena, whole);
        return true;
    }
    if (!str_is(type, "BigDecimal")) {
        *out = value_real(value_as_real(n));
        out->is_float = str_is(type, "float") || str_is(type, "Float");
        if (out->is_float)
            out->real = (double)(float)out->real;
        return true;
    }
    if (n.type == V_DOUBLE && !value_of_number(in->arena, value_to_text(in->arena, n), &n))
        return not_finite(in, at);
    *out = n;
    out->type = V_DECIMAL;
    return true;
}

/* To a set, an array, or from one to a list. It may hold itself: each level counts. */
static bool
cast_list(struct interp *in, const struct node *at, struct value v, struct str type,
          struct value *out)
{
    const enum list_kind kind = list_kind_of(type);
    struct str item;
    bool ok;

    if (kind == LIST_PLAIN && !str_is(type, "List") && !str_is(type, "ArrayList") &&
        !str_is(type, "LinkedList"))
        return true;
    if (!interp_enter(in, at))
        return false;
    ok = list_to_kind(in, at, v.list, kind, out);
    item = kind == LIST_ARRAY ? str_slice(type, 0, type.len - 2) : STR("");
    for (size_t i = 0; ok && i < out->list->count && item.len > 0; i++)
        ok = operator_cast(in, at, out->list->at[i], item, false, &out->list->at[i]);
    in->depth--;
    return ok;
}

bool
operator_cast(struct interp *in, const struct node *at, struct value v, struct str type,
              bool is_declaration, struct value *out)
{
    bool primitive = str_is(type, "int") || str_is(type, "long") || str_is(type, "boolean");

    *out = v;
    if (value_is_number(v) && !interp_spend_for(in, at, v, value_null()))
        return false;
    if (str_is(type, "boolean") || str_is(type, "Boolean")) {
        if (v.type != V_NULL || primitive)
            *out = value_bool(value_truth(v));
        return true;
    }
    if (v.type == V_NULL && !primitive)
        return true;
    if (str_is(type, "String") || str_is(type, "GString")) {
        struct str text;
        if (!interp_to_text(in, at, v, &text))
            return false;
        *out = value_text(text);
        return true;
    }
    if (v.type == V_TEXT && (str_is(type, "List") || str_is(type, "char[]"))) {
        static const struct args none = {0};
        bool found;
        return method_text(in, at, v, STR("toList"), &none, out, &found);
    }
    if (v.type == V_LIST && !operator_instanceof(v, type) &&
        (list_kind_of(type) != LIST_PLAIN || v.list->kind != LIST_PLAIN))
        return cast_list(in, at, v, type, out);
    if (v.type == V_MAP && map_type_is_sorted(type) && !v.map->is_sorted)
        return map_copy(in, at, v.map, true, out);
    if (str_is(type, "int") || str_is(type, "Integer"))
        return cast_integer(in, at, v, false, is_declaration, out);
    if (str_is(type, "long") || str_is(type, "Long"))
        return cast_integer(in, at, v, true, is_declaration, out);
    if (is_declaration && (str_is(type, "List") || str_is(type, "Map"))) {
        if (v.type == (str_is(type, "List") ? V_LIST : V_MAP))
            return true;
        return interp_throw(in, at, "GroovyCastException", "Cannot cast a %s to " STR_FMT,
                            value_type_name(v), STR_ARG(type));
    }
    if (str_is(type, "double") || str_is(type, "Double") || str_is(type, "float") ||
        str_is(type, "Float") || str_is(type, "BigDecimal") || str_is(type, "BigInteger"))
        return cast_number(in, at, v, type, is_declaration, out);
    return true;
}
