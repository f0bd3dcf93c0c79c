/* SPDX-License-Identifier: MIT */
/* lexer.h - the text of a Jenkinsfile as tokens.
 * The parser sees a window of them: lexer_fill() makes some more when it comes near the end of what it has,
 * in the place of those that it is done with.  All tokens of a file are seven times its size, and whoever
 * writes and reads as much memory does little else.
 * A lexer starts with lexer_begin() and ends with lexer_done(). An error is one diagnostic; from there on the
 * text has ended. */
#pragma once
#include "pipeline/language/syntax.h"

/* clang-format off */
/* In the order of the alphabet. What are names to the lexer, but mean something where the parser asks. */
#define WORDS(X)                                                                                   \
    X(ABSTRACT, "abstract", WORD_IS_NAME | WORD_IS_MODIFIER) X(AS, "as", WORD_IS_OPERATOR) X(ASSERT, "assert", 0) \
    X(BOOLEAN, "boolean", WORD_IS_TYPE) X(BREAK, "break", 0) X(BYTE, "byte", WORD_IS_TYPE)         \
    X(CASE, "case", 0) X(CATCH, "catch", 0) X(CHAR, "char", WORD_IS_TYPE) X(CLASS, "class", 0)     \
    X(CONTINUE, "continue", 0)                                                                     \
    X(DEF, "def", WORD_DECLARES) X(DEFAULT, "default", 0) X(DO, "do", 0)                           \
    X(DOUBLE, "double", WORD_IS_TYPE)                                                              \
    X(ELSE, "else", 0) X(ENUM, "enum", 0) X(EXTENDS, "extends", 0)                                 \
    X(FALSE, "false", WORD_IS_VALUE) X(FINAL, "final", WORD_DECLARES) X(FINALLY, "finally", 0)     \
    X(FLOAT, "float", WORD_IS_TYPE) X(FOR, "for", 0)                                               \
    X(IF, "if", 0) X(IMPLEMENTS, "implements", 0) X(IMPORT, "import", 0) X(IN, "in", WORD_IS_OPERATOR) \
    X(INSTANCEOF, "instanceof", WORD_IS_OPERATOR) X(INT, "int", WORD_IS_TYPE)                      \
    X(INTERFACE, "interface", 0) X(LONG, "long", WORD_IS_TYPE)                                     \
    X(NEW, "new", 0) X(NULL, "null", WORD_IS_VALUE) X(PACKAGE, "package", 0)                       \
    X(PRIVATE, "private", WORD_IS_MODIFIER) X(PROTECTED, "protected", WORD_IS_MODIFIER)            \
    X(PUBLIC, "public", WORD_IS_MODIFIER) X(RETURN, "return", 0)                                   \
    X(SHORT, "short", WORD_IS_TYPE) X(STATIC, "static", WORD_IS_MODIFIER)                          \
    X(SUPER, "super", WORD_IS_VALUE) X(SWITCH, "switch", 0)                                        \
    X(SYNCHRONIZED, "synchronized", WORD_IS_NAME | WORD_IS_MODIFIER)                               \
    X(THIS, "this", WORD_IS_VALUE) X(THROW, "throw", 0) X(THROWS, "throws", 0)                     \
    X(TRANSIENT, "transient", WORD_IS_NAME | WORD_IS_MODIFIER)                                     \
    X(TRUE, "true", WORD_IS_VALUE) X(TRY, "try", 0)                                                \
    X(VOID, "void", WORD_IS_TYPE) X(WHILE, "while", 0)
/* clang-format on */

enum {
    WORD_IS_NAME = 1,
    WORD_IS_MODIFIER = 2,
    WORD_IS_TYPE = 4,
    WORD_IS_VALUE = 8,
    WORD_IS_OPERATOR = 16,
    WORD_DECLARES = 32,
};

enum __attribute__((packed)) token_word {
    WORD_NONE,
#define X(name, text, kind) WORD_##name,
    WORDS(X)
#undef X
    WORD_COUNT,
};

struct token {
    enum token_type type;
    enum token_word word;
    unsigned char word_kind;
    bool newline; /* a line ended between the token before and this one */
    unsigned line, column;
    unsigned offset; /* where it stands in the text */
    struct str text; /* of strings without quotes and escapes, of all others as they stand there */
};

struct lexer {
    struct str text; /* what the tokens are made of: line ends are LF, a NUL stands behind it */
    bool failed;
    bool has_ended; /* nothing but T_END comes any more */
    /* The window. The first is one that the parser is done with: it may look back by one. */
    struct token *tokens;
    size_t count, capacity;

    const char *at, *end;
    unsigned line;
    const char *line_start;
    bool is_ascii;    /* a byte is a character */
    const char *mark; /* otherwise a place on this line whose column is known: columns cost little */
    unsigned mark_column;
    struct arena *arena;
    struct diagnostics *d;
    struct strbuf pieces; /* what the present string has had so far, */
    struct str run;       /* and behind it bytes that stand in the text as they are meant */
    unsigned nesting;
    bool newline; /* seen since the last token */
};

/* What the tokens point at is in `arena`. False: the file is too large. */
bool lexer_begin(struct lexer *lx, struct str text, struct arena *arena, struct diagnostics *d) MUST_CHECK;
/* Forgets the first `done` tokens and makes more, until there are `count` at least; they move. */
void lexer_fill(struct lexer *lx, size_t done, size_t count);
void lexer_done(struct lexer *lx);

/* lexer_text.c: line ends become LF; the byte-order mark and a first line "#!" go. A NUL stands behind it. */
struct str lexer_text(struct str text, struct arena *arena);
bool lexer_text_is_ascii(struct str text);
