/* SPDX-License-Identifier: MIT */
/* syntax.h - the Groovy that Jenkinsfiles use, from text to tree.
 * lexer.c cuts the text into tokens (lexer.h), parser.c and parser_*.c make nodes of them.  One
 * grammar serves declarative and scripted files; jenkinsfile.c reads the declarative meaning out
 * of the tree, interp.c runs it.  Everything lives in one arena.
 * Syntax errors stop at the first one; the parser then jumps to the end of the input, so that no
 * function needs to look for failure in the middle.
 * Limits: SYNTAX_TEXT_MAX bytes, SYNTAX_DEPTH_MAX nested brackets, SYNTAX_CHAIN_MAX operators in a
 * row (they make a deep tree without nesting). */
#pragma once
#include <stdarg.h>
#include "base/arena.h"
#include "base/bignum.h"
#include "base/err.h"
#include "base/str.h"

#define SYNTAX_TEXT_MAX (1u << 20)
#define SYNTAX_DEPTH_MAX 120
#define SYNTAX_CHAIN_MAX 500
#define SYNTAX_TREE_MAX 900
#define DIAGNOSTICS_MAX 40

/* What is wrong with a file, each with its place. Line and column count from 1, columns in
 * characters. `count` goes on beyond DIAGNOSTICS_MAX; only so many are kept. */
struct diagnostic {
    unsigned line, column;
    char code[32]; /* "E-DUP-STAGE", or "E-SYNTAX" */
    char message[400];
};
struct diagnostics {
    struct diagnostic items[DIAGNOSTICS_MAX];
    size_t count;
};
void diagnostics_add(struct diagnostics *d, unsigned line, unsigned column, const char *code,
                     const char *format, ...) PRINTF_LIKE(5, 6);
void diagnostics_addv(struct diagnostics *d, unsigned line, unsigned column, const char *code,
                      const char *format, va_list args) PRINTF_LIKE(5, 0);
void diagnostics_sort(struct diagnostics *d); /* into the order of the file */
/* One "name:line:column: message [code]" a line. */
void diagnostics_format(const struct diagnostics *d, const char *name, struct strbuf *out);

/* "name:line:column: error: message [code]", the line of `text` and a caret below the column. */
void diagnostics_show(const struct diagnostics *d, const char *name, const char *severity,
                      struct str text, struct strbuf *out);
struct str diagnostic_source(struct str text, unsigned line); /* empty if there is no such line */

/* clang-format off */
/* Those that begin alike stand together, longer ones before what they begin with. */
#define PUNCTUATION(X)                                                                             \
    X(LPAREN, "(") X(RPAREN, ")") X(LBRACKET, "[") X(RBRACKET, "]") X(LBRACE, "{") X(RBRACE, "}")  \
    X(COMMA, ",") X(SEMICOLON, ";") X(COLON, ":") X(AT, "@") X(TILDE, "~")                         \
    X(RANGE_OPEN, "..<") X(ELLIPSIS, "...") X(METHOD_POINTER, ".&") X(RANGE, "..") X(DOT, ".")     \
    X(IDENTICAL, "===") X(FULL_MATCH, "==~") X(EQUAL, "==") X(FIND, "=~") X(ASSIGN, "=")           \
    X(USHR_ASSIGN, ">>>=") X(SHR_ASSIGN, ">>=") X(USHR, ">>>") X(GREATER_EQUAL, ">=")              \
    X(SHR, ">>") X(GREATER, ">")                                                                   \
    X(SHL_ASSIGN, "<<=") X(COMPARE, "<=>") X(LESS_EQUAL, "<=") X(SHL, "<<") X(LESS, "<")           \
    X(POW_ASSIGN, "**=") X(SPREAD_DOT, "*.") X(POW, "**") X(MUL_ASSIGN, "*=") X(MUL, "*")          \
    X(NOT_IDENTICAL, "!==") X(NOT_EQUAL, "!=") X(NOT, "!")                                         \
    X(SAFE_DOT, "?.") X(ELVIS, "?:") X(QUESTION, "?")                                              \
    X(ARROW, "->") X(DECREMENT, "--") X(SUB_ASSIGN, "-=") X(SUB, "-")                              \
    X(INCREMENT, "++") X(ADD_ASSIGN, "+=") X(ADD, "+")                                             \
    X(AND_AND, "&&") X(AND_ASSIGN, "&=") X(AND, "&") X(OR_OR, "||") X(OR_ASSIGN, "|=") X(OR, "|")  \
    X(DIV_ASSIGN, "/=") X(DIV, "/") X(MOD_ASSIGN, "%=") X(MOD, "%") X(XOR_ASSIGN, "^=") X(XOR, "^")
/* clang-format on */

/* Of one byte, as the types of nodes: a file of a megabyte has hundreds of thousands of both. */
enum __attribute__((packed)) token_type {
    T_END,
    T_NAME,
    T_KEYWORD,
    T_INT,
    T_DECIMAL, /* a number with a fraction, an exponent or a suffix that says so */
    T_TEXT,    /* a string without interpolation, decoded */
    T_GSTRING, /* then T_TEXT and T_INTERPOLATE .. T_INTERPOLATED, then T_GSTRING_END */
    T_GSTRING_END,
    T_INTERPOLATE,
    T_INTERPOLATED,
#define X(name, text) T_##name,
    PUNCTUATION(X)
#undef X
};

const char *token_name(enum token_type type); /* "'{'", "a name" */

enum __attribute__((packed)) node_type {
    /* expressions */
    N_NULL,
    N_BOOL,     /* number */
    N_INT,      /* number or wide, is_long, is_big */
    N_DECIMAL,  /* number or wide, scale; is_double and is_float: text */
    N_TEXT,     /* text */
    N_GSTRING,  /* first: N_TEXT and expressions in turn */
    N_NAME,     /* text */
    N_PROPERTY, /* a.text, or a."b"; is_safe, is_spread */
    N_INDEX,    /* a[first...] */
    N_CALL,   /* [a.]text(first...), or [a.]"b"(...); is_safe, is_spread; is_command: no brackets */
    N_NAMED,  /* text: b, or (a): b; in calls and maps */
    N_LIST,   /* first */
    N_MAP,    /* first: N_NAMED */
    N_UNARY,  /* op a */
    N_BINARY, /* a op b; also && || */
    N_IN,
    N_INSTANCEOF,     /* a, text */
    N_CAST,           /* a, text; `as` and (T) */
    N_TERNARY,        /* a ? b : c; a == NULL never; elvis has b == NULL */
    N_ASSIGN,         /* a op b; op T_ASSIGN, T_ADD_ASSIGN ... */
    N_PREFIX,         /* op a */
    N_POSTFIX,        /* a op */
    N_CLOSURE,        /* params: N_PARAMETER; first: statements; has_params */
    N_PARAMETER,      /* text, b: default; type in type_text; is_spread: takes all that are left */
    N_NEW,            /* text, first: arguments; op T_LBRACKET: the sizes of an array */
    N_SPREAD,         /* *a, or *: a with is_spread, in arguments, lists and maps */
    N_METHOD_POINTER, /* a.&text */
    N_UNSUPPORTED,    /* text names the feature; fails when it is reached */
    /* statements */
    N_BLOCK,        /* first */
    N_DECLARE,      /* text = b; type_text; is_field */
    N_DECLARE_MANY, /* first: N_DECLARE; b */
    N_IF,           /* a, b, c */
    N_FOR_IN,       /* text in a; d: body; type_text: its label */
    N_FOR,          /* a; b; c; d: body; type_text: its label */
    N_WHILE,        /* a; b; type_text: its label */
    N_SWITCH,       /* a; first: N_CASE */
    N_CASE,         /* a (NULL: default); first */
    N_TRY,          /* a; first: N_CATCH; b: finally */
    N_CATCH,        /* text: variable; params: N_NAME types; b */
    N_THROW,        /* a */
    N_RETURN,       /* a or NULL */
    N_BREAK,    /* text: the label of the loop that is left, or empty */
    N_CONTINUE, /* the same */
    N_ASSERT,  /* a, b: message or NULL; text: source */
    N_METHOD,  /* text, params, first: statements; is_constructor */
    N_CLASS,   /* text, type_text: what it extends; first: N_DECLARE and N_METHOD (is_static), and the
                * classes inside of it; params: constants of an enum, N_NEW each; transforms; b: NULL, or
                * N_UNSUPPORTED */
    N_LIBRARY, /* @Library: text is 'name@version' */
    N_IMPORT,  /* text: the class; type_text: its whole name */
    N_PASS,    /* nothing */
};

/* What annotations make of a class (N_CLASS). */
enum transform {
    TRANSFORM_TEXT = 1,   /* @ToString, @Canonical, @Immutable */
    TRANSFORM_NAMES = 2,  /* @ToString(includeNames = true) */
    TRANSFORM_EQUALS = 4, /* @EqualsAndHashCode, and the last two of the first */
    TRANSFORM_TUPLE = 8,  /* @TupleConstructor, and the same */
    TRANSFORM_FINAL = 16, /* @Immutable */
};
struct node {
    enum node_type type;
    enum token_type op;
    bool is_long : 1, is_safe : 1, is_spread : 1, is_command : 1, has_params : 1; /* bits: a tree is large */
    bool is_field : 1, is_block_arg : 1, is_big : 1, is_static : 1, is_enum : 1;
    bool is_double : 1, is_float : 1, is_constructor : 1;
    unsigned line, column;
    union {
        int32_t scale;       /* of decimals */
        unsigned transforms; /* of classes */
    };
    struct str text;
    union { /* a number has no type but its own */
        struct str type_text;
        struct {
            int64_t number;
            const struct bignum *wide; /* in place of a number that is not of 64 bits; else NULL */
        };
    };
    union { /* what no type has both of shares its place: a tree is large */
        struct node *a;
        struct node *params; /* of closures, methods, classes and `catch`, which have no a */
    };
    struct node *b;
    union {
        struct node *c;
        struct node *first; /* children, linked by next */
    };
    union {
        struct node *d;
        struct node *last;
    };
    struct node *next;
};

#define NODE_PARTS_MAX 4
static inline bool
node_has_params(const struct node *n)
{
    return n->type == N_CLOSURE || n->type == N_METHOD || n->type == N_CLASS || n->type == N_CATCH;
}
/* What hangs below a node, each the first of a list; gives how many. Parameters come last. */
size_t node_parts(const struct node *n, const struct node *out[static NODE_PARTS_MAX]);

/* The whole file as an N_BLOCK; NULL with one diagnostic. */
struct node *syntax_parse(struct str text, struct arena *arena, struct diagnostics *d) MUST_CHECK;
static inline void
node_append(struct node *parent, struct node *child)
{
    assert(child->next == NULL && parent->last != child);
    if (parent->last == NULL)
        parent->first = child;
    else
        parent->last->next = child;
    parent->last = child;
}
