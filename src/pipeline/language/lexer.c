/* SPDX-License-Identifier: MIT */
#include "pipeline/language/syntax.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/crypto.h"

#define BYTES_A_TOKEN 5
#define NESTING_MAX 24 /* strings inside ${} inside strings */

struct lexer {
    const char *at, *end;
    unsigned line;
    const char *line_start;
    const char *mark; /* a place on this line whose column is known: columns cost little */
    unsigned mark_column;
    struct arena *arena;
    struct tokens *out;
    struct diagnostics *d;
    unsigned nesting;
    bool newline; /* seen since the last token */
    bool failed;
};

#define KEYWORD_MAX 10
/* Sorted by their first letters, for nearly every name is none of them. */
static const char keywords[][KEYWORD_MAX + 1] = {
    "as",      "assert",     "boolean", "break",   "byte",       "case",   "catch",     "char",
    "class",   "continue",   "def",     "default", "do",         "double", "else",      "enum",
    "extends", "false",      "final",   "finally", "float",      "for",    "if",        "implements",
    "import",  "in",         "instanceof", "int",  "interface",  "long",   "new",       "null",
    "package", "private",    "protected", "public", "return",    "short",  "static",    "super",
    "switch",  "this",       "throw",   "throws",  "true",       "try",    "void",      "while",
};

static const struct {
    enum token_type type;
    const char *text;
    size_t len;
} punctuation[] = {
#define X(name, text) {T_##name, text, sizeof(text) - 1},
    PUNCTUATION(X)
#undef X
};

const char *
token_name(enum token_type type)
{
    switch (type) {
    case T_END:
        return "the end of the file";
    case T_NAME:
        return "a name";
    case T_KEYWORD:
        return "a keyword";
    case T_INT:
    case T_DECIMAL:
        return "a number";
    case T_TEXT:
    case T_GSTRING:
    case T_GSTRING_END:
        return "a string";
    case T_INTERPOLATE:
        return "'${'";
    case T_INTERPOLATED:
        return "'}'";
#define X(name, text) \
    case T_##name:    \
        return "'" text "'";
        PUNCTUATION(X)
#undef X
    }
    return "?";
}

static unsigned
column_of(struct lexer *lx, const char *at)
{
    if (lx->mark < lx->line_start || lx->mark > at) {
        lx->mark = lx->line_start;
        lx->mark_column = 1;
    }
    for (; lx->mark < at; lx->mark++)
        if (((unsigned char)*lx->mark & 0xC0) != 0x80)
            lx->mark_column++;
    return lx->mark_column;
}

static void lex_fail(struct lexer *lx, const char *at, const char *format, ...) PRINTF_LIKE(3, 4);

static void
lex_fail(struct lexer *lx, const char *at, const char *format, ...)
{
    char text[300];
    va_list args;

    if (lx->failed)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    diagnostics_add(lx->d, lx->line, column_of(lx, at), "E-SYNTAX", "%s", text);
    lx->failed = true;
    lx->at = lx->end;
}

static struct token *
emit(struct lexer *lx, enum token_type type, const char *at)
{
    struct tokens *out = lx->out;
    struct token *t;

    if (out->count == out->capacity) {
        /* A token has five bytes or more on average; what is too much here is never touched. */
        out->capacity = out->capacity == 0 ? 64 + (size_t)(lx->end - lx->at) / 4 : out->capacity * 2;
        out->at = mem_grow(out->at, out->capacity, sizeof(*out->at));
    }
    t = &out->at[out->count++];
    *t = (struct token){.type = type, .line = lx->line, .newline = lx->newline, .source = at};
    t->column = column_of(lx, at);
    lx->newline = false;
    return t;
}

static void
new_line(struct lexer *lx)
{
    lx->line++;
    lx->line_start = lx->at;
}

enum { NAME_STARTS = 1, NAME_GOES_ON = 2 };
static const unsigned char in_names[256] = {
    ['a' ... 'z'] = NAME_STARTS | NAME_GOES_ON,   ['A' ... 'Z'] = NAME_STARTS | NAME_GOES_ON,
    ['_'] = NAME_STARTS | NAME_GOES_ON,           ['$'] = NAME_STARTS | NAME_GOES_ON,
    [0x80 ... 0xFF] = NAME_STARTS | NAME_GOES_ON, ['0' ... '9'] = NAME_GOES_ON,
};

static bool
is_name_start(unsigned char c)
{
    return (in_names[c] & NAME_STARTS) != 0;
}

static bool
is_name_part(unsigned char c)
{
    return in_names[c] != 0;
}

static bool
is_path_start(unsigned char c)
{
    return is_name_start(c) && c != '$';
}

static bool
looking_at(const struct lexer *lx, const char *text)
{
    size_t len = strlen(text);

    return (size_t)(lx->end - lx->at) >= len && memcmp(lx->at, text, len) == 0;
}

static bool
is_keyword(struct str s)
{
    if (s.len < 2 || s.len > KEYWORD_MAX || s.at[0] < 'a' || s.at[0] > 'w')
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(keywords) && keywords[i][0] <= s.at[0]; i++)
        if (keywords[i][0] == s.at[0] && keywords[i][1] == s.at[1] && str_is(s, keywords[i]))
            return true;
    return false;
}

/* A '/' divides after a value and opens a string everywhere else. */
static bool
after_value(const struct lexer *lx)
{
    const struct token *t;

    if (lx->out->count == 0)
        return false;
    t = &lx->out->at[lx->out->count - 1];
    switch (t->type) {
    case T_KEYWORD:
        return str_is(t->text, "this") || str_is(t->text, "true") || str_is(t->text, "false") ||
               str_is(t->text, "null") || str_is(t->text, "super");
    case T_NAME:
    case T_INT:
    case T_DECIMAL:
    case T_GSTRING_END:
    case T_RPAREN:
    case T_RBRACKET:
    case T_RBRACE:
    case T_INCREMENT:
    case T_DECREMENT:
    case T_TEXT:
        return true;
    default:
        return false;
    }
}

/* Four hex digits at `at`; false if there are not. */
static bool
hex4(const struct lexer *lx, const char *at, unsigned *out)
{
    unsigned char bytes[2];

    if (lx->end - at < 4 || !hex_decode((struct str){at, 4}, bytes))
        return false;
    *out = (unsigned)bytes[0] << 8 | bytes[1];
    return true;
}

static void
lex_unicode_escape(struct lexer *lx, struct strbuf *out)
{
    const char *start = lx->at;
    unsigned c, low;

    while (lx->at < lx->end && *lx->at == 'u')
        lx->at++;
    if (!hex4(lx, lx->at, &c)) {
        lex_fail(lx, start - 1, "\\u needs four hexadecimal digits");
        return;
    }
    lx->at += 4;
    if (c >= 0xD800 && c <= 0xDBFF && looking_at(lx, "\\u") && hex4(lx, lx->at + 2, &low) &&
        low >= 0xDC00 && low <= 0xDFFF) {
        lx->at += 6;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    if (c >= 0xD800 && c <= 0xDFFF)
        lex_fail(lx, start - 1, "\\u%04X is half of a character", c);
    else if (c == 0)
        lex_fail(lx, start - 1, "a NUL character cannot stand in a string");
    else
        strbuf_add_utf8(out, c);
}

/* Behind a backslash in a quoted string. */
static void
lex_escape(struct lexer *lx, struct strbuf *out)
{
    static const char from[] = "nrtbf\\'\"$", to[] = "\n\r\t\b\f\\'\"$";
    const char *slash = lx->at - 1;
    const char *found;

    if (lx->at == lx->end) {
        lex_fail(lx, slash, "the string does not end");
        return;
    }
    if (*lx->at == '\n') { /* joins the lines */
        lx->at++;
        new_line(lx);
        return;
    }
    if (*lx->at == 'u') {
        lex_unicode_escape(lx, out);
        return;
    }
    if (*lx->at >= '0' && *lx->at <= '7') {
        unsigned n = 0;
        for (int i = 0; i < 3 && lx->at < lx->end && *lx->at >= '0' && *lx->at <= '7'; i++) {
            if (n * 8 + (unsigned)(*lx->at - '0') > 255)
                break;
            n = n * 8 + (unsigned)(*lx->at++ - '0');
        }
        if (n == 0)
            lex_fail(lx, slash, "a NUL character cannot stand in a string");
        else
            strbuf_add_utf8(out, n);
        return;
    }
    found = *lx->at == '\0' ? NULL : strchr(from, *lx->at);
    if (found == NULL) {
        lex_fail(lx, slash, "'\\%c' is not an escape; write '\\\\' for a backslash",
                 isprint((unsigned char)*lx->at) ? *lx->at : '?');
        return;
    }
    strbuf_add_char(out, to[found - from]);
    lx->at++;
}

static void lex_code(struct lexer *lx, bool inside_string, bool one_line);

struct string_form {
    const char *quote;
    bool multi_line, interpolates, is_slashy, is_dollar;
};

static void
emit_piece(struct lexer *lx, struct strbuf *piece, const char *at)
{
    struct token *t;

    if (piece->len == 0)
        return;
    t = emit(lx, T_TEXT, at);
    t->text = arena_dup(lx->arena, strbuf_str(piece));
    strbuf_clear(piece);
}

/* "$a.b.c", the '$' has been read. */
static void
lex_path(struct lexer *lx)
{
    const char *at = lx->at - 1;

    emit(lx, T_INTERPOLATE, at);
    for (;;) {
        const char *start = lx->at;
        struct token *t;
        while (lx->at < lx->end && is_name_part((unsigned char)*lx->at) && *lx->at != '$')
            lx->at++;
        t = emit(lx, T_NAME, start);
        t->text = arena_dup(lx->arena, str_range(start, lx->at));
        if (lx->end - lx->at < 2 || *lx->at != '.' || !is_path_start((unsigned char)lx->at[1]))
            break;
        emit(lx, T_DOT, lx->at);
        lx->at++;
    }
    emit(lx, T_INTERPOLATED, lx->at);
}

static void
lex_dollar(struct lexer *lx, const struct string_form *form, struct strbuf *piece, size_t *begin)
{
    const char *at = lx->at - 1;
    bool is_value = lx->at < lx->end && (*lx->at == '{' || is_path_start((unsigned char)*lx->at));

    if (form->is_dollar && lx->at < lx->end && (*lx->at == '$' || *lx->at == '/')) {
        strbuf_add_char(piece, *lx->at++);
        return;
    }
    if (!is_value) {
        if (form->is_slashy || form->is_dollar) {
            strbuf_add_char(piece, '$');
            return;
        }
        lex_fail(lx, at,
                 "'$' in a double-quoted string starts an interpolation; write '\\$' or use single "
                 "quotes to leave it to the shell");
        return;
    }
    if (*begin == SIZE_MAX) {
        *begin = lx->out->count;
        emit(lx, T_GSTRING, at);
    }
    emit_piece(lx, piece, at);
    if (*lx->at != '{') {
        lex_path(lx);
        return;
    }
    emit(lx, T_INTERPOLATE, at);
    lx->at++;
    lex_code(lx, true, !form->multi_line);
}

static void
lex_string(struct lexer *lx, const struct string_form *form)
{
    const char *start = lx->at;
    unsigned start_line = lx->line;
    unsigned start_column = column_of(lx, start);
    bool newline = lx->newline;
    cleanup(strbuf_done) struct strbuf piece = {0};
    size_t begin = SIZE_MAX; /* index of T_GSTRING */
    const char *closing = form->is_dollar ? "/$" : form->quote;

    lx->at += strlen(form->quote);
    while (!lx->failed) {
        if (lx->at == lx->end) {
            lx->failed = true;
            diagnostics_add(lx->d, start_line, start_column, "E-SYNTAX",
                            "the string that starts here does not end");
            return;
        }
        const char *run = lx->at;
        while (lx->at < lx->end && *lx->at != closing[0] && *lx->at != '\\' && *lx->at != '$' &&
               *lx->at != '\n')
            lx->at++;
        if (lx->at > run) {
            strbuf_add(&piece, str_range(run, lx->at));
            continue;
        }
        if (looking_at(lx, closing) && !(form->is_dollar && looking_at(lx, "$$"))) {
            lx->at += strlen(closing);
            break;
        }
        char c = *lx->at++;
        if (c == '\\' && !form->is_slashy && !form->is_dollar) {
            lex_escape(lx, &piece);
        } else if (c == '\\' && form->is_slashy && lx->at < lx->end && *lx->at == '/') {
            strbuf_add_char(&piece, *lx->at++);
        } else if (c == '$' && form->interpolates) {
            lex_dollar(lx, form, &piece, &begin);
        } else if (c == '\n' && !form->multi_line) {
            lex_fail(lx, start,
                     "the string that starts here does not end on its line; use %s%s%s for several",
                     form->quote, form->quote, form->quote);
        } else {
            strbuf_add_char(&piece, c);
            if (c == '\n')
                new_line(lx);
        }
    }
    if (lx->failed)
        return;
    if (begin == SIZE_MAX) {
        struct token *t;
        lx->newline = newline;
        t = emit(lx, T_TEXT, lx->at);
        t->line = start_line;
        t->column = start_column;
        t->text = arena_dup(lx->arena, strbuf_str(&piece));
        return;
    }
    lx->out->at[begin].line = start_line;
    lx->out->at[begin].column = start_column;
    lx->out->at[begin].newline = newline;
    emit_piece(lx, &piece, lx->at);
    emit(lx, T_GSTRING_END, lx->at);
    lx->newline = false;
}

static bool
lex_any_string(struct lexer *lx)
{
    static const struct string_form forms[] = {
        {"'''", true, false, false, false}, {"\"\"\"", true, true, false, false},
        {"'", false, false, false, false},  {"\"", false, true, false, false},
        {"$/", true, true, false, true},    {"/", true, true, true, false},
    };

    if (*lx->at != '\'' && *lx->at != '"' && *lx->at != '/' && *lx->at != '$')
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        if (!looking_at(lx, forms[i].quote))
            continue;
        if ((forms[i].is_slashy || forms[i].is_dollar) && after_value(lx))
            continue;
        if (forms[i].is_slashy && looking_at(lx, "/="))
            continue;
        if (++lx->nesting > NESTING_MAX)
            lex_fail(lx, lx->at, "strings are nested too deeply (limit %d)", NESTING_MAX);
        else
            lex_string(lx, &forms[i]);
        lx->nesting--;
        return true;
    }
    return false;
}

static void
skip_digits(struct lexer *lx, bool is_hex)
{
    while (lx->at < lx->end && (*lx->at == '_' || isdigit((unsigned char)*lx->at) ||
                                (is_hex && isxdigit((unsigned char)*lx->at))))
        lx->at++;
}

/* "e-12" behind a number; false if that is beyond what a decimal can have. */
static bool
lex_exponent(struct lexer *lx, int64_t *out)
{
    bool negative;

    *out = 0;
    if (lx->end - lx->at < 2 || (*lx->at | 32) != 'e' ||
        (!isdigit((unsigned char)lx->at[1]) && lx->at[1] != '-' && lx->at[1] != '+'))
        return true;
    negative = lx->at[1] == '-';
    lx->at += isdigit((unsigned char)lx->at[1]) ? 1 : 2;
    for (; lx->at < lx->end && isdigit((unsigned char)*lx->at); lx->at++)
        if (*out <= INT32_MAX)
            *out = *out * 10 + (*lx->at - '0');
    *out = negative ? -*out : *out;
    return *out <= INT32_MAX && *out >= -INT32_MAX;
}

/* What stands between `at` and `end` into number or wide; points count digits behind them. */
static bool
lex_digits(struct lexer *lx, const char *at, const char *end, unsigned base, struct token *t)
{
    cleanup(strbuf_done) struct strbuf digits = {0};
    int64_t scale = t->scale;
    bool fraction = false;

    for (; at < end; at++) {
        if (*at == '.')
            fraction = true;
        else if (*at != '_')
            strbuf_add_char(&digits, *at);
        scale += fraction && isdigit((unsigned char)*at);
    }
    if (!bignum_parse(lx->arena, strbuf_str(&digits), base, &t->wide) || scale > INT32_MAX)
        return false;
    t->scale = (int32_t)scale;
    if (bignum_to_i64(t->wide, &t->number))
        t->wide = (struct bignum){0};
    return true;
}

static unsigned
lex_base(struct lexer *lx)
{
    if (lx->end - lx->at >= 3 && *lx->at == '0' && (lx->at[1] | 32) == 'x') {
        lx->at += 2;
        return 16;
    }
    if (lx->end - lx->at >= 3 && *lx->at == '0' && (lx->at[1] | 32) == 'b') {
        lx->at += 2;
        return 2;
    }
    return 10;
}

/* The letter behind a number, in small; 0 if there is none. */
static char
lex_suffix(struct lexer *lx)
{
    if (lx->at == lx->end || *lx->at == '\0' || strchr("lLgGdDfFiI", *lx->at) == NULL)
        return '\0';
    return (char)(*lx->at++ | 32);
}

static void
lex_number(struct lexer *lx)
{
    const char *start = lx->at, *digits, *end;
    unsigned base = lex_base(lx);
    struct token n = {0}, *t;
    bool is_decimal = false, fits;
    int64_t exponent = 0;
    char suffix;

    digits = lx->at;
    skip_digits(lx, base == 16);
    if (base == 10 && lx->end - lx->at >= 2 && *lx->at == '.' && isdigit((unsigned char)lx->at[1])) {
        is_decimal = true;
        lx->at++;
        skip_digits(lx, false);
    }
    end = lx->at;
    fits = base != 10 || lex_exponent(lx, &exponent);
    is_decimal = is_decimal || end != lx->at;
    suffix = lex_suffix(lx);
    if (base == 10 && !is_decimal && *digits == '0' && suffix != 'd' && suffix != 'f')
        base = 8;
    if (lx->at < lx->end && is_name_part((unsigned char)*lx->at)) {
        lex_fail(lx, start, "a name cannot follow a number without a blank");
        return;
    }
    if (suffix == 'd' || suffix == 'f') {
        is_decimal = true;
        n.suffix = suffix;
    } else {
        n.scale = (int32_t)-exponent;
        if (!fits || !lex_digits(lx, digits, end, base, &n)) {
            lex_fail(lx, start, "this number is not to be read: digits of base %u, %u at most", base,
                     BIGNUM_DIGITS_MAX);
            return;
        }
    }
    /* The parser takes the sign in: -2^63 is one. */
    if (suffix == 'l' && n.wide.magnitude.len > 0 && n.wide.magnitude.len * 8 != 64) {
        lex_fail(lx, start, "a long has 64 bits");
        return;
    }
    t = emit(lx, is_decimal ? T_DECIMAL : T_INT, start);
    t->text = arena_dup(lx->arena, str_range(start, lx->at));
    t->number = n.number;
    t->wide = n.wide;
    t->scale = n.scale;
    t->suffix = n.suffix;
    t->is_long = suffix == 'l';
    t->is_big = suffix == 'g';
}

static void
lex_comment(struct lexer *lx)
{
    const char *start = lx->at;
    unsigned line = lx->line, column = column_of(lx, start);

    if (lx->at[1] == '/') {
        while (lx->at < lx->end && *lx->at != '\n')
            lx->at++;
        return;
    }
    for (lx->at += 2; lx->at < lx->end; lx->at++) {
        if (looking_at(lx, "*/")) {
            lx->at += 2;
            return;
        }
        if (*lx->at == '\n') {
            lx->newline = true;
            lx->line++;
            lx->line_start = lx->at + 1;
        }
    }
    lx->failed = true;
    diagnostics_add(lx->d, line, column, "E-SYNTAX", "the comment that starts here does not end");
}

/* Blanks and comments; stops at code. */
static void
skip_blanks(struct lexer *lx, bool one_line)
{
    while (lx->at < lx->end && !lx->failed) {
        if (*lx->at == ' ' || *lx->at == '\t' || *lx->at == '\f') {
            lx->at++;
        } else if (*lx->at == '\n') {
            if (one_line) {
                lex_fail(lx, lx->at, "'${' is not closed on its line");
                return;
            }
            lx->at++;
            new_line(lx);
            lx->newline = true;
        } else if (*lx->at == '\\' && looking_at(lx, "\\\n")) {
            lx->at += 2;
            new_line(lx);
        } else if (*lx->at == '/' && (looking_at(lx, "//") || looking_at(lx, "/*"))) {
            lex_comment(lx);
        } else {
            return;
        }
    }
}

/* Those that no longer operator begins with: most of what is in a file. */
static enum token_type
single(char c)
{
    switch (c) {
    case '(':
        return T_LPAREN;
    case ')':
        return T_RPAREN;
    case '{':
        return T_LBRACE;
    case '}':
        return T_RBRACE;
    case '[':
        return T_LBRACKET;
    case ']':
        return T_RBRACKET;
    case ',':
        return T_COMMA;
    case ';':
        return T_SEMICOLON;
    case ':':
        return T_COLON;
    default:
        return T_END;
    }
}

static void
lex_punctuation(struct lexer *lx)
{
    const enum token_type one = single(*lx->at);
    const size_t left = (size_t)(lx->end - lx->at);

    if (one != T_END) {
        emit(lx, one, lx->at)->text = (struct str){lx->at, 1};
        lx->at++;
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(punctuation); i++) {
        const size_t len = punctuation[i].len;
        if (punctuation[i].text[0] != *lx->at || left < len ||
            (len > 1 && memcmp(lx->at, punctuation[i].text, len) != 0))
            continue;
        emit(lx, punctuation[i].type, lx->at)->text = (struct str){punctuation[i].text, len};
        lx->at += len;
        return;
    }
    if (isprint((unsigned char)*lx->at))
        lex_fail(lx, lx->at, "unexpected character '%c'", *lx->at);
    else
        lex_fail(lx, lx->at, "unexpected byte 0x%02x", (unsigned char)*lx->at);
}

/* Until the end, or to the '}' that closes an interpolation. */
static void
lex_code(struct lexer *lx, bool inside_string, bool one_line)
{
    unsigned braces = 0;

    for (;;) {
        const char *start;
        skip_blanks(lx, inside_string && one_line);
        if (lx->failed)
            return;
        if (lx->at == lx->end) {
            if (inside_string)
                lex_fail(lx, lx->at, "'${' is not closed");
            return;
        }
        start = lx->at;
        if (inside_string && *start == '}' && braces == 0) {
            emit(lx, T_INTERPOLATED, start);
            lx->at++;
            return;
        }
        if (*start == '{')
            braces++;
        else if (*start == '}' && braces > 0)
            braces--;
        if (*start == '\xC2' && looking_at(lx, "\xC2\xA0")) {
            lex_fail(lx, start,
                     "a non-breaking space (U+00A0, often from a web page); replace it by a blank");
        } else if (lex_any_string(lx)) {
            continue;
        } else if (isdigit((unsigned char)*start)) {
            lex_number(lx);
        } else if (is_name_start((unsigned char)*start)) {
            struct token *t;
            while (lx->at < lx->end && is_name_part((unsigned char)*lx->at))
                lx->at++;
            t = emit(lx, is_keyword(str_range(start, lx->at)) ? T_KEYWORD : T_NAME, start);
            t->text = str_range(start, lx->at); /* the text lives in the arena, too */
        } else {
            lex_punctuation(lx);
        }
    }
}

/* Line ends become LF; the byte-order mark and a first line "#!" go. */
static struct str
normalized(struct str text, struct arena *arena)
{
    char *to = arena_alloc(arena, text.len + 1);
    size_t len = 0;

    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = str_slice(text, 3, text.len);
    if (text.len > 0 && memchr(text.at, '\r', text.len) == NULL) {
        memcpy(to, text.at, text.len);
        len = text.len;
        text.len = 0;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != '\r')
            to[len++] = text.at[i];
        else if (i + 1 == text.len || text.at[i + 1] != '\n')
            to[len++] = '\n';
    }
    if (len >= 2 && to[0] == '#' && to[1] == '!')
        for (size_t i = 0; i < len && to[i] != '\n'; i++)
            to[i] = ' ';
    return (struct str){to, len};
}

bool
lexer_run(struct str text, struct arena *arena, struct tokens *out, struct diagnostics *d)
{
    struct lexer lx = {.line = 1, .arena = arena, .out = out, .d = d};

    if (text.len > SYNTAX_TEXT_MAX) {
        diagnostics_add(d, 1, 1, "E-SYNTAX", "the file is larger than %u bytes", SYNTAX_TEXT_MAX);
        return false;
    }
    text = normalized(text, arena);
    lx.at = lx.line_start = lx.mark = text.at;
    lx.mark_column = 1;
    lx.end = text.at + text.len;
    out->capacity = text.len / BYTES_A_TOKEN + 16; /* most files need no more */
    out->at = mem_grow(out->at, out->capacity, sizeof(*out->at));
    lex_code(&lx, false, false);
    if (!lx.failed) {
        /* Three of them: the parser looks two tokens ahead without asking. */
        for (int i = 0; i < 3; i++) {
            lx.newline = true;
            emit(&lx, T_END, lx.at);
        }
    }
    return !lx.failed;
}
