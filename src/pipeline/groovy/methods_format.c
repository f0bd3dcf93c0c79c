/* SPDX-License-Identifier: MIT */
/* methods_format.c - String.format, and the rarer methods of strings; methods_text.c asks here
 * when it knows none. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include "base/crypto.h"
#include "pipeline/groovy/interp_scope.h"
#include "pipeline/groovy/methods.h"
#include "pipeline/groovy/number.h"

#define FORMAT_WIDTH_MAX 10000

struct spec {
    bool left, zero, plus, comma, space;
    size_t width;
    int precision; /* -1: none */
    char letter;
};

/* "%-8.2f" behind the '%'; how long it is, 0 if it is none. */
static size_t
parse_spec(struct str s, struct spec *out)
{
    size_t i = 0;

    *out = (struct spec){.precision = -1};
    for (; i < s.len && strchr("-0+, #", s.at[i]) != NULL; i++) {
        out->left |= s.at[i] == '-';
        out->zero |= s.at[i] == '0';
        out->plus |= s.at[i] == '+';
        out->comma |= s.at[i] == ',';
        out->space |= s.at[i] == ' ';
    }
    for (; i < s.len && isdigit((unsigned char)s.at[i]) && out->width < FORMAT_WIDTH_MAX; i++)
        out->width = out->width * 10 + (size_t)(s.at[i] - '0');
    if (i < s.len && s.at[i] == '.') {
        out->precision = 0;
        for (i++; i < s.len && isdigit((unsigned char)s.at[i]) && out->precision < 100; i++)
            out->precision = out->precision * 10 + (s.at[i] - '0');
    }
    if (i >= s.len)
        return 0;
    out->letter = s.at[i];
    return i + 1;
}

static void
add_grouped(struct strbuf *out, const char *digits, bool comma)
{
    const size_t whole = strcspn(digits, ".");

    for (size_t i = 0; digits[i] != '\0'; i++) {
        if (comma && i > 0 && i < whole && (whole - i) % 3 == 0)
            strbuf_add_char(out, ',');
        strbuf_add_char(out, digits[i]);
    }
}

static struct bignum
without_sign(struct value v, struct bignum_space *space)
{
    struct bignum n = value_unscaled(v, space);

    n.is_negative = false;
    return n;
}

/* Rounded half up to so many digits behind the point, its sign apart. */
static bool
format_fixed(struct interp *in, const struct node *at, int precision, struct value v,
             struct strbuf *out)
{
    if (v.type == V_DOUBLE && !operator_cast(in, at, v, STR("BigDecimal"), false, &v))
        return false;
    if (!number_rescale(in, at, v, precision, ROUND_HALF_UP, &v) ||
        (value_sign(v) < 0 && !number_negate(in, at, v, &v)))
        return false;
    return value_format_plain(v, out) ||
           interp_throw(in, at, "OutOfMemoryError", "the string is too long");
}

/* The digits of a number, its sign apart. */
static bool
format_number(struct interp *in, const struct node *at, const struct spec *s, struct value v,
              struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf digits = {0}, text = {0};
    bool is_negative = value_sign(v) < 0;
    struct bignum_space space;

    if (!interp_spend(in, at, interp_weight(v)))
        return false;
    if (s->letter == 'f' && v.type == V_DOUBLE && !isfinite(v.real)) {
        value_format(value_real(fabs(v.real)), &digits);
    } else if (s->letter == 'f') {
        if (!format_fixed(in, at, s->precision < 0 ? 6 : s->precision, v, &digits))
            return false;
    } else if (!value_is_whole(v)) {
        return interp_throw(in, at, "IllegalFormatConversionException", "%c != %s", s->letter,
                            value_type_name(v));
    } else if (s->letter == 'd' || v.type == V_BIG) {
        bignum_format(without_sign(v, &space),
                      s->letter == 'd' ? 10 : s->letter == 'o' ? 8 : 16, &digits);
        for (size_t i = 0; s->letter == 'X' && i < digits.len; i++)
            digits.at[i] = (char)toupper((unsigned char)digits.at[i]);
    } else {
        const uint64_t n = v.type == V_INT ? (uint32_t)v.number : (uint64_t)v.number;
        is_negative = false;
        strbuf_addf(&digits,
                    s->letter == 'x'   ? "%" PRIx64
                    : s->letter == 'X' ? "%" PRIX64
                                       : "%" PRIo64,
                    n);
    }
    add_grouped(&text, strbuf_cstr(&digits), s->comma);
    if (is_negative || s->plus || s->space)
        strbuf_add_char(out, is_negative ? '-' : s->plus ? '+' : ' ');
    for (size_t n = text.len + (size_t)(is_negative || s->plus); s->zero && n < s->width; n++)
        strbuf_add_char(out, '0');
    strbuf_add(out, strbuf_str(&text));
    return true;
}

static bool
format_one(struct interp *in, const struct node *at, const struct spec *s, struct value v,
           struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (strchr("dxXof", s->letter) != NULL && v.type != V_NULL) {
        if (!value_is_number(v))
            return interp_throw(in, at, "IllegalFormatConversionException", "%c != %s", s->letter,
                                value_type_name(v));
        if (!format_number(in, at, s, v, &text))
            return false;
    } else if (strchr("sSbBdxXofc", s->letter) == NULL) {
        return interp_throw(in, at, "UnknownFormatConversionException", "Conversion = '%c'",
                            s->letter);
    } else {
        struct str shown;
        if (s->letter == 'b')
            v = value_bool(v.type == V_BOOL ? v.truth : v.type != V_NULL);
        if (!interp_to_text(in, at, v, &shown))
            return false;
        if (s->precision >= 0)
            shown = text_part(shown, 0, (size_t)s->precision);
        for (size_t i = 0; i < shown.len; i++)
            strbuf_add_char(&text, s->letter == 'S' ? (char)toupper((unsigned char)shown.at[i])
                                                    : shown.at[i]);
    }
    for (size_t n = text_count(strbuf_str(&text)); !s->left && n < s->width; n++)
        strbuf_add_char(out, ' ');
    strbuf_add(out, strbuf_str(&text));
    for (size_t n = text_count(strbuf_str(&text)); s->left && n < s->width; n++)
        strbuf_add_char(out, ' ');
    return true;
}

bool
method_format(struct interp *in, const struct node *at, const struct value *args, size_t count,
              struct value *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str format = interp_text(in, args[0]);
    const struct value *values = args + 1;
    size_t left = count - 1, used = 0;

    if (left == 1 && values[0].type == V_LIST && values[0].list->kind == LIST_ARRAY) {
        left = values[0].list->count;
        values = values[0].list->at;
    }
    for (size_t i = 0; i < format.len && text.len < INTERP_TEXT_MAX; i++) {
        struct spec s;
        size_t len;
        if (format.at[i] != '%') {
            strbuf_add_char(&text, format.at[i]);
            continue;
        }
        const struct value *value;
        size_t which = 0; /* "%2$s" */
        size_t digits = 0;
        while (i + 1 + digits < format.len && isdigit((unsigned char)format.at[i + 1 + digits]) &&
               digits < 3)
            which = which * 10 + (size_t)(format.at[i + 1 + digits++] - '0');
        if (which == 0 || i + 1 + digits >= format.len || format.at[i + 1 + digits] != '$')
            which = 0;
        else
            i += digits + 1;
        len = parse_spec(str_slice(format, i + 1, format.len), &s);
        if (len == 0)
            return interp_throw(in, at, "UnknownFormatConversionException", "Conversion = '%%'");
        i += len;
        if (s.letter == '%' || s.letter == 'n') {
            strbuf_add_char(&text, s.letter == '%' ? '%' : '\n');
            continue;
        }
        if (which > 0 ? which > left : used >= left)
            return interp_throw(in, at, "MissingFormatArgumentException",
                                "Format specifier '%%" STR_FMT "'",
                                STR_ARG(str_slice(format, i + 1 - len, i + 1)));
        value = which > 0 ? &values[which - 1] : &values[used++];
        if (!format_one(in, at, &s, *value, &text))
            return false;
    }
    *out = value_text(arena_dup(in->arena, strbuf_str(&text)));
    return true;
}

static bool
text_number(const struct call *c, bool *ok)
{
    struct value v;

    if (!call_is(c, "toDouble", 0) && !call_is(c, "toFloat", 0) && !call_is(c, "toBigDecimal", 0) &&
        !call_is(c, "toBigInteger", 0))
        return false;
    if (!value_of_number(c->in->arena, str_trim(c->text), &v) ||
        (str_is(c->name, "toBigInteger") && !value_is_whole(v))) {
        *ok =
            interp_throw(c->in, c->at, "NumberFormatException", "For input string: \"" STR_FMT "\"",
                         STR_ARG(str_slice(c->text, 0, 100)));
    } else if (str_is(c->name, "toBigDecimal")) {
        v.type = V_DECIMAL;
        *c->out = v;
    } else if (str_is(c->name, "toBigInteger")) {
        v.type = V_BIG;
        *c->out = v;
    } else {
        *ok =
            operator_cast(c->in, c->at, v,
                          str_is(c->name, "toFloat") ? STR("float") : STR("double"), false, c->out);
    }
    return true;
}

/* eachLine { } and { line, number -> }, from 0 on as given. */
static bool
each_line(const struct call *c)
{
    struct str rest = c->text, line;
    int64_t number =
        c->args->count == 2 && value_is_integer(c->args->at[0]) ? c->args->at[0].number : 0;

    while (str_split(&rest, '\n', &line)) {
        struct value pair[2] = {value_text(line), value_int(number++)};
        if (rest.at == NULL && line.len == 0)
            break;
        if (!interp_call_closure(c->in, c->block, pair, closure_takes_two(c->block) ? 2 : 1,
                                 c->out))
            return false;
    }
    return true;
}

static bool
each_match(const struct call *c)
{
    struct value all;

    if (!regex_find_all(c->in, c->at, c->text, call_text(c, 0), true, &all))
        return false;
    for (size_t i = 0; i < all.list->count; i++)
        if (!interp_call_closure(c->in, c->block, &all.list->at[i], 1, c->out))
            return false;
    *c->out = value_text(c->text);
    return true;
}

/* tr('a-y', 'b-z'): only characters and ranges of ASCII. */
static struct str
translated(const struct call *c, struct str from, struct str to)
{
    char *copy = arena_cstr(c->in->arena, c->text);
    unsigned char map[256];
    size_t n = 0;
    unsigned char source[256], target[256];
    size_t sources = 0, targets = 0;

    for (size_t side = 0; side < 2; side++) {
        struct str s = side == 0 ? from : to;
        for (size_t i = 0; i < s.len; i++) {
            unsigned char first = (unsigned char)s.at[i], last = first;
            if (i + 2 < s.len && s.at[i + 1] == '-') {
                last = (unsigned char)s.at[i + 2];
                i += 2;
            }
            for (unsigned ch = first; ch <= last && (side == 0 ? sources : targets) < 256; ch++)
                (side == 0 ? source : target)[side == 0 ? sources++ : targets++] =
                    (unsigned char)ch;
        }
    }
    for (n = 0; n < 256; n++)
        map[n] = (unsigned char)n;
    for (n = 0; n < sources && targets > 0; n++)
        map[source[n]] = target[n < targets ? n : targets - 1];
    for (n = 0; n < c->text.len; n++)
        copy[n] = (char)map[(unsigned char)copy[n]];
    return (struct str){copy, c->text.len};
}

static bool
text_base64(const struct call *c, bool *ok)
{
    cleanup(strbuf_done) struct strbuf b = {0};

    if (call_is(c, "encodeBase64", 0)) {
        base64_encode(&b, c->text);
    } else if (call_is(c, "decodeBase64", 0)) {
        if (!base64_decode(&b, c->text)) {
            *ok = interp_throw(c->in, c->at, "IllegalArgumentException", "the text is not base64");
            return true;
        }
    } else {
        return false;
    }
    *c->out = value_text(arena_dup(c->in->arena, strbuf_str(&b)));
    return true;
}

/* ASCII only. */
static struct str
in_small(struct interp *in, struct str s)
{
    char *copy = arena_cstr(in->arena, s);

    for (size_t i = 0; i < s.len; i++)
        copy[i] = (char)tolower((unsigned char)copy[i]);
    return (struct str){copy, s.len};
}

static bool
text_other(const struct call *c, bool *ok)
{
    struct value self = value_text(c->text);

    if (call_is(c, "eachLine", 1) || call_is(c, "eachLine", 2)) {
        *ok = c->block == NULL || each_line(c);
        return c->block != NULL;
    }
    if (call_is(c, "eachMatch", 2) && c->block != NULL) {
        *ok = each_match(c);
    } else if (call_is(c, "getBytes", 0) || call_is(c, "getBytes", 1) || call_is(c, "intern", 0) ||
               call_is(c, "denormalize", 0) || call_is(c, "asWritable", 0) || call_is(c, "getText", 0)) {
        *c->out = self; /* bytes are kept as the text they are */
    } else if (call_is(c, "getChars", 0) || call_is(c, "toCharArray", 0)) {
        static const struct args none = {0};
        bool found;
        *ok = method_text(c->in, c->at, self, STR("toList"), &none, c->out, &found);
    } else if (call_is(c, "charAt", 1)) {
        *ok = interp_index_value(c->in, c->at, self, c->args->at[0], c->out);
    } else if (call_is(c, "multiply", 1) || call_is(c, "minus", 1) || call_is(c, "leftShift", 1)) {
        const enum token_type op = str_is(c->name, "multiply") ? T_MUL
                                   : str_is(c->name, "minus")  ? T_SUB
                                                               : T_ADD;
        *ok = operator_binary(c->in, c->at, op, self, c->args->at[0], c->out);
    } else if (call_is(c, "uncapitalize", 0)) {
        const struct str first = text_part(c->text, 0, 1);
        cleanup(strbuf_done) struct strbuf b = {0};
        text_add_cased(&b, first, false);
        strbuf_add(&b, str_slice(c->text, first.len, c->text.len));
        *c->out = value_text(arena_dup(c->in->arena, strbuf_str(&b)));
    } else if (call_is(c, "tr", 2)) {
        *c->out = value_text(translated(c, call_text(c, 0), call_text(c, 1)));
    } else if (call_is(c, "indexOf", 2) && value_is_integer(c->args->at[1])) {
        const int64_t from = c->args->at[1].number < 0 ? 0 : c->args->at[1].number;
        struct str rest = text_part(c->text, (size_t)from, SIZE_MAX / 2);
        const ptrdiff_t found = str_find(rest, call_text(c, 0));
        *c->out = value_int(
            found < 0 ? -1 : from + (int64_t)text_count(str_slice(rest, 0, (size_t)found)));
    } else if (call_is(c, "takeRight", 1) && value_is_integer(c->args->at[0])) {
        const size_t n = text_count(c->text);
        const uint64_t k = c->args->at[0].number < 0 ? 0 : (uint64_t)c->args->at[0].number;
        *c->out = value_text(text_part(c->text, k > n ? 0 : n - (size_t)k, n));
    } else if (call_is(c, "dropRight", 1) && value_is_integer(c->args->at[0])) {
        const size_t n = text_count(c->text);
        const uint64_t k = c->args->at[0].number < 0 ? 0 : (uint64_t)c->args->at[0].number;
        *c->out = value_text(text_part(c->text, 0, k > n ? 0 : n - (size_t)k));
    } else if (str_is(c->name, "center") && (c->args->count == 1 || call_text(c, 1).len > 0) &&
               c->args->count > 0 && c->args->count < 3 && value_is_integer(c->args->at[0])) {
        const struct str pad = c->args->count == 2 ? call_text(c, 1) : STR(" ");
        cleanup(strbuf_done) struct strbuf b = {0};
        const int64_t width = c->args->at[0].number, n = (int64_t)text_count(c->text);
        const int64_t fill = width > n && width < FORMAT_WIDTH_MAX ? width - n : 0;
        for (int64_t i = 0; i < fill / 2; i++)
            strbuf_add_char(&b, pad.at[(size_t)i % pad.len]);
        strbuf_add(&b, c->text);
        for (int64_t i = 0; i < fill - fill / 2; i++)
            strbuf_add_char(&b, pad.at[(size_t)i % pad.len]);
        *c->out = value_text(arena_dup(c->in->arena, strbuf_str(&b)));
    } else if (call_is(c, "isDouble", 0) || call_is(c, "isFloat", 0) || call_is(c, "isBigDecimal", 0)) {
        struct value ignored;
        *c->out = value_bool(value_of_number(c->in->arena, str_trim(c->text), &ignored));
    } else if (call_is(c, "compareToIgnoreCase", 1)) {
        *c->out = value_int(
            text_distance(in_small(c->in, c->text), in_small(c->in, call_text(c, 0))));
    } else if (call_is(c, "execute", 0) || call_is(c, "toURL", 0)) {
        *ok = interp_throw(c->in, c->at, "RejectedAccessException",
                           "Scripts not permitted to use method String " STR_FMT
                           "(); use the step sh",
                           STR_ARG(c->name));
    } else {
        return false;
    }
    return true;
}

bool
method_text_more(struct interp *in, const struct node *call, struct value object, struct str name,
                 const struct args *args, struct value *out, bool *found)
{
    const struct call c = call_make(in, call, object, name, args, out);
    bool ok = true;

    *found = text_number(&c, &ok) || text_base64(&c, &ok) || text_other(&c, &ok) ||
             method_text_rare(&c, &ok);
    return ok;
}
