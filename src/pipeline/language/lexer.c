/* SPDX-License-Identifier: MIT */
#include "pipeline/language/lexer.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/crypto.h"

#define WINDOW 256     /* tokens that are made at once: they stay in the first cache */
#define NESTING_MAX 24 /* strings inside ${} inside strings */

static const struct {
    struct str text;
    unsigned char kind;
} words[] = {
    [WORD_NONE] = {{"", 0}, 0},
#define X(name, text, kind) [WORD_##name] = {{text, sizeof(text) - 1}, kind},
    WORDS(X)
#undef X
    [WORD_COUNT] = {{"", 0}, 0},
};

/* The first of those that begin with a letter: nearly every name is none of them. */
static const enum token_word words_begin['z' - 'a' + 1] = {
    ['a' - 'a'] = WORD_ABSTRACT, ['b' - 'a'] = WORD_BOOLEAN, ['c' - 'a'] = WORD_CASE,
    ['d' - 'a'] = WORD_DEF,      ['e' - 'a'] = WORD_ELSE,    ['f' - 'a'] = WORD_FALSE,
    ['i' - 'a'] = WORD_IF,       ['l' - 'a'] = WORD_LONG,    ['n' - 'a'] = WORD_NEW,
    ['p' - 'a'] = WORD_PACKAGE,  ['r' - 'a'] = WORD_RETURN,  ['s' - 'a'] = WORD_SHORT,
    ['t' - 'a'] = WORD_THIS,     ['v' - 'a'] = WORD_VOID,    ['w' - 'a'] = WORD_WHILE,
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

/* What begins with a character, where that alone says it; T_END: more has to be looked at. */
static const enum token_type surely[256] = {
    ['a' ... 'z'] = T_NAME, ['A' ... 'Z'] = T_NAME, ['_'] = T_NAME,     [0x80 ... 0xC1] = T_NAME, [0xC3 ... 0xFF] = T_NAME,
    ['0' ... '9'] = T_INT,  ['('] = T_LPAREN,       [')'] = T_RPAREN,   ['['] = T_LBRACKET,       [']'] = T_RBRACKET,
    ['{'] = T_LBRACE,       ['}'] = T_RBRACE,       [','] = T_COMMA,    [':'] = T_COLON,          ['@'] = T_AT,
    [';'] = T_SEMICOLON,    ['~'] = T_TILDE,
};

/* The others of one character, without '/', which may begin a string; and the characters that longer ones have
 * behind their first: any other ends one of those there. */
static const enum token_type alone[256] = {
    ['.'] = T_DOT,   ['='] = T_ASSIGN, ['>'] = T_GREATER, ['<'] = T_LESS, ['*'] = T_MUL, ['!'] = T_NOT, ['?'] = T_QUESTION,
    ['-'] = T_SUB,   ['+'] = T_ADD,    ['&'] = T_AND,     ['|'] = T_OR,   ['%'] = T_MOD, ['^'] = T_XOR,
};
static const bool is_second[256] = {
    ['.'] = true, ['&'] = true, ['<'] = true, ['='] = true, ['~'] = true, ['>'] = true,
    ['*'] = true, [':'] = true, ['-'] = true, ['+'] = true, ['|'] = true,
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

static inline struct token *
put(struct lexer *lx, enum token_type type, const char *at, size_t len, unsigned column)
{
    struct token *t = &lx->tokens[lx->count++];

    *t = (struct token){
        .type = type,
        .newline = lx->newline,
        .line = lx->line,
        .column = column,
        .offset = (unsigned)(at - lx->text.at),
        .text = {at, len},
    };
    lx->newline = false;
    return t;
}

static __attribute__((noinline)) struct token *
emit_slowly(struct lexer *lx, enum token_type type, const char *at, size_t len)
{
    if (lx->count == lx->capacity) {
        lx->capacity *= 2;
        lx->tokens = mem_grow(lx->tokens, lx->capacity, sizeof(*lx->tokens));
    }
    return put(lx, type, at, len, column_of(lx, at));
}

/* Calls nothing where it need not: whoever does saves its registers, at each token. */
static inline struct token *
emit(struct lexer *lx, enum token_type type, const char *at, size_t len)
{
    assert(at >= lx->line_start);
    if (lx->count == lx->capacity || !lx->is_ascii)
        return emit_slowly(lx, type, at, len);
    return put(lx, type, at, len, (unsigned)(at - lx->line_start) + 1);
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
    return *lx->at == text.at[0] && (size_t)(lx->end - lx->at) >= text.len &&
           (text.len == 1 || memcmp(lx->at, text.at, text.len) == 0);
}

static enum token_word
word_of(struct str s)
{
    size_t i;

    if (s.at[0] < 'a' || s.at[0] > 'z')
        return WORD_NONE;
    for (enum token_word w = words_begin[s.at[0] - 'a']; words[w].text.at[0] == s.at[0]; w++) {
        if (words[w].text.len != s.len)
            continue;
        for (i = 1; i < s.len && words[w].text.at[i] == s.at[i]; i++)
            ;
        if (i == s.len)
            return w;
    }
    return WORD_NONE;
}

/* A '/' divides after a value and opens a string everywhere else. */
static bool
after_value(const struct lexer *lx)
{
    const struct token *t = &lx->tokens[lx->count - 1];

    switch (t->type) {
    case T_KEYWORD:
        return (t->word_kind & WORD_IS_VALUE) != 0;
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

static void lex_interpolation(struct lexer *lx, bool one_line);

struct string_form {
    struct str quote, closing;
    unsigned char stops; /* of what may_end[] has, its own */
    bool multi_line, interpolates, is_slashy, is_dollar;
};

/* Bytes that may not mean themselves in a string. */
enum { STOPS_SINGLE = 1, STOPS_DOUBLE = 2, STOPS_SLASHY = 4, STOPS_ALL = 7 };
static const unsigned char stops[256] = {
    ['\''] = STOPS_SINGLE, ['"'] = STOPS_DOUBLE, ['/'] = STOPS_SLASHY, ['\\'] = STOPS_ALL,
    ['$'] = STOPS_ALL,     ['\n'] = STOPS_ALL,   ['\0'] = STOPS_ALL, /* the end, or a byte as others */
};

static void
emit_piece(struct lexer *lx, const char *at)
{
    if (lx->run.len > 0 || lx->pieces.len > 0)
        emit(lx, T_TEXT, at, 0)->text = take_string(lx);
}

/* "$a.b.c", the '$' has been read. */
static void
lex_path(struct lexer *lx)
{
    const char *at = lx->at - 1;

    emit(lx, T_INTERPOLATE, at, 0);
    for (;;) {
        const char *start = lx->at;
        while (is_name_part((unsigned char)*lx->at) && *lx->at != '$')
            lx->at++;
        emit(lx, T_NAME, start, (size_t)(lx->at - start));
        if (lx->end - lx->at < 2 || *lx->at != '.' || !is_path_start((unsigned char)lx->at[1]))
            break;
        emit(lx, T_DOT, lx->at, 1);
        lx->at++;
    }
    emit(lx, T_INTERPOLATED, lx->at, 0);
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
        *begin = lx->count;
        emit(lx, T_GSTRING, at, 0);
    }
    emit_piece(lx, at);
    if (*lx->at != '{') {
        lex_path(lx);
        return;
    }
    emit(lx, T_INTERPOLATE, at, 0);
    lx->at++;
    lex_interpolation(lx, !form->multi_line);
}

static void
lex_plain(struct lexer *lx, const struct string_form *form)
{
    const char *start = lx->at, *at = start;

    while ((stops[(unsigned char)*at] & form->stops) == 0)
        at++;
    lx->at = at;
    if (at > start)
        add_run(lx, str_range(start, at));
}

/* A byte that may not mean itself. */
static void
lex_special(struct lexer *lx, const struct string_form *form, size_t *begin)
{
    const char *start = lx->at++;

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
    for (;;) {
        lex_plain(lx, form);
        if (looking_at(lx, form->closing))
            break;
        if (lx->at == lx->end) {
            lx->failed = true;
            diagnostics_add(lx->d, start_line, start_column, "E-SYNTAX",
                            "the string that starts here does not end");
        } else if (*lx->at == '\n' && !form->multi_line) {
            lex_fail(lx, start,
                     "the string that starts here does not end on its line; use %s%s%s for several",
                     form->quote.at, form->quote.at, form->quote.at);
        } else {
            lex_special(lx, form, &begin);
        }
        if (lx->failed)
            return;
    }
    lx->at += form->closing.len;
    if (begin == SIZE_MAX) {
        lx->newline = newline;
        t = emit(lx, T_TEXT, lx->at, 0);
        t->text = take_string(lx);
    } else {
        emit_piece(lx, lx->at);
        emit(lx, T_GSTRING_END, lx->at, 0);
        t = &lx->tokens[begin];
        t->newline = newline;
    }
    t->line = start_line;
    t->column = start_column;
    t->offset = (unsigned)(start - lx->text.at);
}

/* All that stands between two quotes is meant as it stands there: most strings. */
static bool
lex_literal(struct lexer *lx, const struct string_form *form)
{
    const char *start = lx->at + 1, *at = start;

    if (form->multi_line)
        return false;
    while ((stops[(unsigned char)*at] & form->stops) == 0)
        at++;
    if (*at != *form->closing.at)
        return false;
    emit(lx, T_TEXT, lx->at, 0)->text = str_range(start, at);
    lx->at = at + 1;
    return true;
}

/* The string that begins here, or NULL. */
static const struct string_form *
string_form(const struct lexer *lx)
{
#define QUOTE(literal) {(literal), sizeof(literal) - 1}
    static const struct string_form single = {QUOTE("'"), QUOTE("'"), STOPS_SINGLE, .multi_line = false};
    static const struct string_form singles = {QUOTE("'''"), QUOTE("'''"), STOPS_SINGLE, .multi_line = true};
    static const struct string_form double_ = {QUOTE("\""), QUOTE("\""), STOPS_DOUBLE, .interpolates = true};
    static const struct string_form doubles = {QUOTE("\"\"\""), QUOTE("\"\"\""), STOPS_DOUBLE, .multi_line = true,
                                               .interpolates = true};
    static const struct string_form dollar = {QUOTE("$/"), QUOTE("/$"), STOPS_SLASHY, .multi_line = true,
                                              .interpolates = true, .is_dollar = true};
    static const struct string_form slashy = {QUOTE("/"), QUOTE("/"), STOPS_SLASHY, .multi_line = true,
                                              .interpolates = true, .is_slashy = true};
#undef QUOTE
    const char *at = lx->at;

    switch (*at) {
    case '\'':
        return at[1] == '\'' && at[2] == '\'' ? &singles : &single;
    case '"':
        return at[1] == '"' && at[2] == '"' ? &doubles : &double_;
    case '$':
        return at[1] == '/' && !after_value(lx) ? &dollar : NULL;
    case '/':
        return at[1] != '=' && !after_value(lx) ? &slashy : NULL;
    default:
        return NULL;
    }
}

static bool
lex_any_string(struct lexer *lx)
{
    const struct string_form *form = string_form(lx);

    if (form == NULL)
        return false;
    if (lex_literal(lx, form))
        return true;
    if (++lx->nesting > NESTING_MAX)
        lex_fail(lx, lx->at, "strings are nested too deeply (limit %d)", NESTING_MAX);
    else
        lex_string(lx, form);
    lx->nesting--;
    return true;
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
static __attribute__((noinline)) void
lex_other_number(struct lexer *lx)
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
        emit(lx, is_decimal ? T_DECIMAL : T_INT, start, (size_t)(lx->at - start));
}

static void
lex_number(struct lexer *lx)
{
    const char *start = lx->at, *at = start;

    while (in_names[(unsigned char)*at] == NAME_GOES_ON)
        at++;
    if (*at == '.' || is_name_part((unsigned char)*at)) {
        lex_other_number(lx);
        return;
    }
    lx->at = at;
    emit(lx, T_INT, start, (size_t)(at - start));
}

static void
lex_comment(struct lexer *lx)
{
    const char *start = lx->at;
    unsigned line = lx->line, column = column_of(lx, start);

    if (lx->at[1] == '/') {
        lx->at = memchr(start, '\n', (size_t)(lx->end - start));
        if (lx->at == NULL)
            lx->at = lx->end;
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

static __attribute__((noinline)) void
skip_other_blanks(struct lexer *lx, bool one_line)
{
    for (;;) {
        while (*lx->at == ' ')
            lx->at++;
        switch (*lx->at) {
        case '\t':
        case '\f':
            lx->at++;
            break;
        case '\n':
            if (one_line) {
                lex_fail(lx, lx->at, "'${' is not closed on its line");
                return;
            }
            lx->at++;
            new_line(lx);
            lx->newline = true;
            break;
        case '\\':
            if (lx->at[1] != '\n')
                return;
            lx->at += 2;
            new_line(lx);
            break;
        case '/':
            if (lx->at[1] != '/' && lx->at[1] != '*')
                return;
            lex_comment(lx);
            break;
        default:
            return;
        }
    }
}

/* Blanks and comments; stops at code, or at the end. */
static inline void
skip_blanks(struct lexer *lx, bool one_line)
{
    static const bool is_other[256] = {['\t'] = true, ['\f'] = true, ['\n'] = true, ['\\'] = true, ['/'] = true};

    const char *at = lx->at;

    while (*at == ' ')
        at++;
    lx->at = at;
    if (is_other[(unsigned char)*at])
        skip_other_blanks(lx, one_line);
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
    emit(lx, type, lx->at, punctuation[type].len);
    lx->at += punctuation[type].len;
}

static void
lex_name(struct lexer *lx)
{
    const char *start = lx->at, *at = start + 1;
    struct token *t;
    enum token_word word;

    while (is_name_part((unsigned char)*at))
        at++;
    lx->at = at;
    t = emit(lx, T_NAME, start, (size_t)(at - start));
    word = word_of(t->text);
    if (word != WORD_NONE) {
        t->word = word;
        t->word_kind = words[word].kind;
        t->type = (t->word_kind & WORD_IS_NAME) != 0 ? T_NAME : T_KEYWORD;
    }
}

/* Apart from lex_token(), which would save all registers for what comes here, at each token. */
static __attribute__((noinline)) void
lex_other(struct lexer *lx)
{
    if (looking_at(lx, STR("\xC2\xA0")))
        lex_fail(lx, lx->at,
                 "a non-breaking space (U+00A0, often from a web page); replace it by a blank");
    else if (lex_any_string(lx))
        return;
    else if (is_name_start((unsigned char)*lx->at))
        lex_name(lx);
    else
        lex_punctuation(lx);
}

/* One of them, or all of a string. */
static inline void
lex_token(struct lexer *lx)
{
    const unsigned char c = (unsigned char)*lx->at;
    enum token_type type = surely[c];

    if (type == T_END && !is_second[(unsigned char)lx->at[1]])
        type = alone[c];
    if (type == T_NAME) {
        lex_name(lx);
    } else if (type == T_INT) {
        lex_number(lx);
    } else if (type != T_END) {
        emit(lx, type, lx->at, 1);
        lx->at++;
    } else {
        lex_other(lx);
    }
}

/* To the '}' that closes it. */
static void
lex_interpolation(struct lexer *lx, bool one_line)
{
    unsigned braces = 0;

    while (!lx->failed) {
        skip_blanks(lx, one_line);
        if (lx->failed)
            return;
        if (lx->at == lx->end) {
            lex_fail(lx, lx->at, "'${' is not closed");
            return;
        }
        if (*lx->at == '}' && braces == 0) {
            emit(lx, T_INTERPOLATED, lx->at, 0);
            lx->at++;
            return;
        }
        if (*lx->at == '{')
            braces++;
        else if (*lx->at == '}')
            braces--;
        lex_token(lx);
    }
}

bool
lexer_begin(struct lexer *lx, struct str text, struct arena *arena, struct diagnostics *d)
{
    *lx = (struct lexer){.line = 1, .mark_column = 1, .arena = arena, .d = d};
    if (text.len > SYNTAX_TEXT_MAX) {
        diagnostics_add(d, 1, 1, "E-SYNTAX", "the file is larger than %u bytes", SYNTAX_TEXT_MAX);
        return false;
    }
    lx->text = lexer_text(text, arena);
    lx->at = lx->line_start = lx->mark = lx->text.at;
    lx->is_ascii = lexer_text_is_ascii(lx->text);
    lx->end = lx->text.at + lx->text.len;
    lx->capacity = 2 * WINDOW;
    lx->tokens = mem_grow(NULL, lx->capacity, sizeof(*lx->tokens));
    emit(lx, T_END, lx->at, 0); /* what stands before the first one */
    return true;
}

void
lexer_fill(struct lexer *lx, size_t done, size_t count)
{
    const size_t enough = count + WINDOW;

    lx->count -= done;
    if (done > 0)
        memmove(lx->tokens, lx->tokens + done, lx->count * sizeof(*lx->tokens));
    while (lx->count < enough && !lx->has_ended) {
        skip_blanks(lx, false);
        if (lx->at < lx->end)
            lex_token(lx);
        else
            lx->has_ended = true;
    }
    while (lx->count < count) {
        lx->newline = true;
        emit(lx, T_END, lx->at, 0);
    }
}

void
lexer_done(struct lexer *lx)
{
    strbuf_done(&lx->pieces);
    free(lx->tokens);
}
