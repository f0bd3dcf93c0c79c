/* SPDX-License-Identifier: MIT */
#include "pipeline/language/syntax.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/crypto.h"

#define BYTES_A_TOKEN 4
#define NESTING_MAX 24 /* strings inside ${} inside strings */

struct lexer {
    const char *at, *begin, *end;
    unsigned line;
    const char *line_start;
    bool is_ascii;    /* a byte is a character */
    const char *mark; /* otherwise a place on this line whose column is known: columns cost little */
    unsigned mark_column;
    struct arena *arena;
    struct tokens *out;
    struct diagnostics *d;
    struct strbuf pieces; /* what the present string has had so far, */
    struct str run;       /* and behind it bytes that stand in the text as they are meant */
    unsigned nesting;
    bool newline; /* seen since the last token */
    bool failed;
};

/* By their first letters, for nearly every name is none of them. */
static const char *const keywords['z' - 'a' + 1][8] = {
    ['a' - 'a'] = {"as", "assert"},
    ['b' - 'a'] = {"boolean", "break", "byte"},
    ['c' - 'a'] = {"case", "catch", "char", "class", "continue"},
    ['d' - 'a'] = {"def", "default", "do", "double"},
    ['e' - 'a'] = {"else", "enum", "extends"},
    ['f' - 'a'] = {"false", "final", "finally", "float", "for"},
    ['i' - 'a'] = {"if", "implements", "import", "in", "instanceof", "int", "interface"},
    ['l' - 'a'] = {"long"},
    ['n' - 'a'] = {"new", "null"},
    ['p' - 'a'] = {"package", "private", "protected", "public"},
    ['r' - 'a'] = {"return"},
    ['s' - 'a'] = {"short", "static", "super", "switch"},
    ['t' - 'a'] = {"this", "throw", "throws", "true", "try"},
    ['v' - 'a'] = {"void"},
    ['w' - 'a'] = {"while"},
};

static const struct str punctuation[] = {
#define X(name, text) [T_##name] = {text, sizeof(text) - 1},
    PUNCTUATION(X)
#undef X
};

/* The first of those that begin with a character. */
static const enum token_type begins[256] = {
    ['('] = T_LPAREN,        [')'] = T_RPAREN,      ['['] = T_LBRACKET,   [']'] = T_RBRACKET,
    ['{'] = T_LBRACE,        ['}'] = T_RBRACE,      [','] = T_COMMA,      [';'] = T_SEMICOLON,
    [':'] = T_COLON,         ['@'] = T_AT,          ['~'] = T_TILDE,      ['.'] = T_RANGE_OPEN,
    ['='] = T_IDENTICAL,     ['>'] = T_USHR_ASSIGN, ['<'] = T_SHL_ASSIGN, ['*'] = T_POW_ASSIGN,
    ['!'] = T_NOT_IDENTICAL, ['?'] = T_SAFE_DOT,    ['-'] = T_ARROW,      ['+'] = T_INCREMENT,
    ['&'] = T_AND_AND,       ['|'] = T_OR_OR,       ['/'] = T_DIV_ASSIGN, ['%'] = T_MOD_ASSIGN,
    ['^'] = T_XOR_ASSIGN,
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
    if (lx->is_ascii)
        return at < lx->line_start ? 1 : (unsigned)(at - lx->line_start) + 1;
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
        const struct token *before = out->at;
        out->capacity *= 2;
        out->at = arena_alloc(&out->arena, out->capacity * sizeof(*out->at));
        memcpy(out->at, before, out->count * sizeof(*out->at));
    }
    t = &out->at[out->count++];
    *t = (struct token){.type = type,
                        .newline = lx->newline,
                        .line = lx->line,
                        .column = column_of(lx, at),
                        .offset = (unsigned)(at - lx->begin)};
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
looking_at(const struct lexer *lx, struct str text)
{
    return (size_t)(lx->end - lx->at) >= text.len && *lx->at == text.at[0] &&
           memcmp(lx->at, text.at, text.len) == 0;
}

static bool
is_keyword(struct str s)
{
    if (s.at[0] < 'a' || s.at[0] > 'z')
        return false;
    for (const char *const *k = keywords[s.at[0] - 'a']; *k != NULL; k++)
        if (s.len > 1 && (*k)[1] == s.at[1] && str_is(s, *k))
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

/* ---- what a string holds ----
 * Mostly what stands in the text, and then it needs no copy. A string inside of ${} begins when the one
 * around it has emitted what it had. */

/* Bytes that do not stand in the text go behind those that do. */
static struct strbuf *
pieces(struct lexer *lx)
{
    if (lx->run.len > 0)
        strbuf_add(&lx->pieces, lx->run);
    lx->run.len = 0;
    return &lx->pieces;
}

static void
add_run(struct lexer *lx, struct str run)
{
    if (lx->run.len > 0 && lx->run.at + lx->run.len == run.at) {
        lx->run.len += run.len;
    } else {
        (void)pieces(lx);
        lx->run = run;
    }
}

static struct str
take_string(struct lexer *lx)
{
    struct str all = lx->run.len > 0 ? lx->run : STR("");

    if (lx->pieces.len > 0) {
        all = arena_dup(lx->arena, strbuf_str(pieces(lx)));
        strbuf_clear(&lx->pieces);
    }
    lx->run.len = 0;
    return all;
}

static void
lex_unicode_escape(struct lexer *lx)
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
    if (c >= 0xD800 && c <= 0xDBFF && looking_at(lx, STR("\\u")) && hex4(lx, lx->at + 2, &low) &&
        low >= 0xDC00 && low <= 0xDFFF) {
        lx->at += 6;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    if (c >= 0xD800 && c <= 0xDFFF)
        lex_fail(lx, start - 1, "\\u%04X is half of a character", c);
    else if (c == 0)
        lex_fail(lx, start - 1, "a NUL character cannot stand in a string");
    else
        strbuf_add_utf8(pieces(lx), c);
}

/* Behind a backslash in a quoted string. */
static void
lex_escape(struct lexer *lx)
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
        lex_unicode_escape(lx);
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
            strbuf_add_utf8(pieces(lx), n);
        return;
    }
    found = *lx->at == '\0' ? NULL : strchr(from, *lx->at);
    if (found == NULL) {
        lex_fail(lx, slash, "'\\%c' is not an escape; write '\\\\' for a backslash",
                 isprint((unsigned char)*lx->at) ? *lx->at : '?');
        return;
    }
    strbuf_add_char(pieces(lx), to[found - from]);
    lx->at++;
}

static void lex_code(struct lexer *lx, bool inside_string, bool one_line);

struct string_form {
    struct str quote, closing;
    bool multi_line, interpolates, is_slashy, is_dollar;
};

static void
emit_piece(struct lexer *lx, const char *at)
{
    if (lx->run.len > 0 || lx->pieces.len > 0)
        emit(lx, T_TEXT, at)->text = take_string(lx);
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
        t->text = str_range(start, lx->at);
        if (lx->end - lx->at < 2 || *lx->at != '.' || !is_path_start((unsigned char)lx->at[1]))
            break;
        emit(lx, T_DOT, lx->at);
        lx->at++;
    }
    emit(lx, T_INTERPOLATED, lx->at);
}

static void
lex_dollar(struct lexer *lx, const struct string_form *form, size_t *begin)
{
    const char *at = lx->at - 1;
    bool is_value = lx->at < lx->end && (*lx->at == '{' || is_path_start((unsigned char)*lx->at));

    if (form->is_dollar && lx->at < lx->end && (*lx->at == '$' || *lx->at == '/')) {
        add_run(lx, (struct str){lx->at++, 1});
        return;
    }
    if (!is_value) {
        if (form->is_slashy || form->is_dollar) {
            add_run(lx, (struct str){at, 1});
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
    emit_piece(lx, at);
    if (*lx->at != '{') {
        lex_path(lx);
        return;
    }
    emit(lx, T_INTERPOLATE, at);
    lx->at++;
    lex_code(lx, true, !form->multi_line);
}

/* One step on in a string: a run of bytes that mean themselves, or one that may not. */
static void
lex_string_part(struct lexer *lx, const struct string_form *form, size_t *begin)
{
    const char *start = lx->at;

    while (lx->at < lx->end && *lx->at != form->closing.at[0] && *lx->at != '\\' && *lx->at != '$' &&
           *lx->at != '\n')
        lx->at++;
    if (lx->at > start) {
        add_run(lx, str_range(start, lx->at));
        return;
    }
    lx->at++;
    if (*start == '\\' && !form->is_slashy && !form->is_dollar) {
        lex_escape(lx);
    } else if (*start == '\\' && form->is_slashy && lx->at < lx->end && *lx->at == '/') {
        add_run(lx, (struct str){lx->at++, 1});
    } else if (*start == '$' && form->interpolates) {
        lex_dollar(lx, form, begin);
    } else {
        add_run(lx, (struct str){start, 1});
        if (*start == '\n')
            new_line(lx);
    }
}

static void
lex_string(struct lexer *lx, const struct string_form *form)
{
    const char *start = lx->at;
    const unsigned start_line = lx->line, start_column = column_of(lx, start);
    const bool newline = lx->newline;
    size_t begin = SIZE_MAX; /* index of T_GSTRING */
    struct token *t;

    lx->at += form->quote.len;
    while (!lx->failed && !looking_at(lx, form->closing)) {
        if (lx->at == lx->end) {
            lx->failed = true;
            diagnostics_add(lx->d, start_line, start_column, "E-SYNTAX",
                            "the string that starts here does not end");
        } else if (*lx->at == '\n' && !form->multi_line) {
            lex_fail(lx, start,
                     "the string that starts here does not end on its line; use %s%s%s for several",
                     form->quote.at, form->quote.at, form->quote.at);
        } else {
            lex_string_part(lx, form, &begin);
        }
    }
    if (lx->failed)
        return;
    lx->at += form->closing.len;
    if (begin == SIZE_MAX) {
        lx->newline = newline;
        t = emit(lx, T_TEXT, lx->at);
        t->text = take_string(lx);
    } else {
        emit_piece(lx, lx->at);
        emit(lx, T_GSTRING_END, lx->at);
        t = &lx->out->at[begin];
        t->newline = newline;
    }
    t->line = start_line;
    t->column = start_column;
    t->offset = (unsigned)(start - lx->begin);
}

static bool
lex_any_string(struct lexer *lx)
{
#define QUOTE(literal) {(literal), sizeof(literal) - 1}
    static const struct string_form forms[] = {
        {QUOTE("'''"), QUOTE("'''"), true, false, false, false},
        {QUOTE("\"\"\""), QUOTE("\"\"\""), true, true, false, false},
        {QUOTE("'"), QUOTE("'"), false, false, false, false},
        {QUOTE("\""), QUOTE("\""), false, true, false, false},
        {QUOTE("$/"), QUOTE("/$"), true, true, false, true},
        {QUOTE("/"), QUOTE("/"), true, true, true, false},
    };
#undef QUOTE

    if (*lx->at != '\'' && *lx->at != '"' && *lx->at != '/' && *lx->at != '$')
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        if (!looking_at(lx, forms[i].quote))
            continue;
        if ((forms[i].is_slashy || forms[i].is_dollar) && after_value(lx))
            continue;
        if (forms[i].is_slashy && looking_at(lx, STR("/=")))
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

/* "e-12" behind a number; false if there is none. */
static bool
lex_exponent(struct lexer *lx)
{
    const char *at = lx->at;

    if (lx->end - at < 2 || (*at | 32) != 'e')
        return false;
    at++;
    if (*at == '-' || *at == '+')
        at++;
    if (at == lx->end || !isdigit((unsigned char)*at))
        return false;
    while (at < lx->end && isdigit((unsigned char)*at))
        at++;
    lx->at = at;
    return true;
}

static bool
lex_base(struct lexer *lx)
{
    const bool is_other = lx->end - lx->at >= 3 && *lx->at == '0' &&
                          ((lx->at[1] | 32) == 'x' || (lx->at[1] | 32) == 'b');

    lx->at += is_other ? 2 : 0;
    return is_other;
}

/* Where it ends; parser_number.c reads what it is worth. */
static void
lex_number(struct lexer *lx)
{
    const char *start = lx->at;
    const bool has_base = lex_base(lx);
    bool is_decimal = false;

    skip_digits(lx, has_base && (start[1] | 32) == 'x');
    if (!has_base && lx->end - lx->at >= 2 && *lx->at == '.' && isdigit((unsigned char)lx->at[1])) {
        is_decimal = true;
        lx->at++;
        skip_digits(lx, false);
    }
    if (!has_base && lex_exponent(lx))
        is_decimal = true;
    if (lx->at < lx->end && is_name_start((unsigned char)*lx->at) &&
        strchr(is_decimal ? "gGdDfF" : has_base ? "gGlLiI" : "gGlLiIdDfF", *lx->at) != NULL) {
        is_decimal = is_decimal || strchr("dDfF", *lx->at) != NULL;
        lx->at++;
    }
    if (lx->at < lx->end && is_name_part((unsigned char)*lx->at))
        lex_fail(lx, start, "a name cannot follow a number without a blank");
    else
        emit(lx, is_decimal ? T_DECIMAL : T_INT, start)->text = str_range(start, lx->at);
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
        if (looking_at(lx, STR("*/"))) {
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
        } else if (*lx->at == '\\' && looking_at(lx, STR("\\\n"))) {
            lx->at += 2;
            new_line(lx);
        } else if (*lx->at == '/' && (looking_at(lx, STR("//")) || looking_at(lx, STR("/*")))) {
            lex_comment(lx);
        } else {
            return;
        }
    }
}

static void
lex_punctuation(struct lexer *lx)
{
    const struct str left = str_range(lx->at, lx->end);
    enum token_type type = begins[(unsigned char)*lx->at];

    if (type == T_END) {
        if (isprint((unsigned char)*lx->at))
            lex_fail(lx, lx->at, "unexpected character '%c'", *lx->at);
        else
            lex_fail(lx, lx->at, "unexpected byte 0x%02x", (unsigned char)*lx->at);
        return;
    }
    /* The last that begins so has one character. A NUL stands behind the text. */
    while (punctuation[type].len > 1 &&
           (punctuation[type].at[1] != lx->at[1] || !str_starts(left, punctuation[type])))
        type++;
    emit(lx, type, lx->at)->text = punctuation[type];
    lx->at += punctuation[type].len;
}

static void
lex_name(struct lexer *lx)
{
    const char *start = lx->at;
    struct str name;

    while (lx->at < lx->end && is_name_part((unsigned char)*lx->at))
        lx->at++;
    name = str_range(start, lx->at);
    emit(lx, is_keyword(name) ? T_KEYWORD : T_NAME, start)->text = name;
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
        if (in_names[(unsigned char)*start] == NAME_GOES_ON) {
            lex_number(lx);
        } else if (*start == '\xC2' && looking_at(lx, STR("\xC2\xA0"))) {
            lex_fail(lx, start,
                     "a non-breaking space (U+00A0, often from a web page); replace it by a blank");
        } else if (*start != '$' && is_name_start((unsigned char)*start)) {
            lex_name(lx);
        } else if (!lex_any_string(lx)) {
            if (*start == '$')
                lex_name(lx);
            else
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

static bool
is_ascii(struct str text)
{
    uint64_t word = 0, all = 0;
    size_t i = 0;

    for (; i + sizeof(word) <= text.len; i += sizeof(word)) {
        memcpy(&word, text.at + i, sizeof(word));
        all |= word;
    }
    for (; i < text.len; i++)
        all |= (unsigned char)text.at[i];
    return (all & 0x8080808080808080u) == 0;
}

bool
lexer_run(struct str text, struct arena *arena, struct tokens *out, struct diagnostics *d)
{
    struct lexer lx = {.line = 1, .arena = arena, .out = out, .d = d};

    if (text.len > SYNTAX_TEXT_MAX) {
        diagnostics_add(d, 1, 1, "E-SYNTAX", "the file is larger than %u bytes", SYNTAX_TEXT_MAX);
        return false;
    }
    text = out->text = normalized(text, arena);
    lx.at = lx.begin = lx.line_start = lx.mark = text.at;
    lx.mark_column = 1;
    lx.is_ascii = is_ascii(text);
    lx.end = text.at + text.len;
    /* Most files need no more, and what is too much is never touched. */
    out->capacity = text.len / BYTES_A_TOKEN + 16;
    out->at = arena_alloc(&out->arena, out->capacity * sizeof(*out->at));
    lex_code(&lx, false, false);
    strbuf_done(&lx.pieces);
    if (!lx.failed) {
        /* Three of them: the parser looks two tokens ahead without asking. */
        for (int i = 0; i < 3; i++) {
            lx.newline = true;
            emit(&lx, T_END, lx.at);
        }
    }
    return !lx.failed;
}
