/* SPDX-License-Identifier: MIT */
/* parser.h - what parser.c (statements) and the other parser_*.c share.
 * A pointer to a token holds until the next one is read or one further ahead is looked at. */
#pragma once
#include "pipeline/language/lexer.h"

/* Each bracket costs several levels of the expression grammar. */
#define PARSER_DEPTH_MAX (SYNTAX_DEPTH_MAX * 4)
#define TOKENS_AHEAD 3 /* of the present one: those can be had without parser_peek() */

struct place {
    unsigned line, column;
};

struct parser_label {
    struct str name;
    const struct parser_label *around;
};

struct parser {
    struct arena *arena;
    struct lexer lexer;
    const struct token *at; /* in the window of the lexer, where it ends with `last`: see parser_fill() */
    const struct token *last;
    struct token unsigned_least; /* 2^63 as a long or 2^31 as an int, not behind a minus; or offset UINT_MAX */
    struct diagnostics *d;
    struct node *node; /* some are made at once; so many are left: */
    unsigned nodes_left;
    const struct parser_label *labels; /* around the current token */
    unsigned depth, deepest, longest_chain;
    unsigned inside;       /* > 0 inside ( or [: line ends mean nothing */
    bool no_named_command; /* after `return` */
    bool may_lack_body;    /* an abstract method */
    bool may_go_back;      /* between parser_mark() and parser_back() */
    bool failed;
};

void parser_fail(struct parser *p, const struct token *at, const char *format, ...)
    PRINTF_LIKE(3, 4);
static inline bool
parser_is(const struct parser *p, enum token_type type)
{
    return p->at->type == type;
}
static inline bool
parser_word(const struct parser *p, enum token_word word)
{
    return p->at->word == word;
}
/* The window moves on, so that there are `ahead` tokens behind the current one. */
void parser_fill(struct parser *p, size_t ahead);
static inline void
parser_next(struct parser *p)
{
    if (++p->at + TOKENS_AHEAD > p->last)
        parser_fill(p, TOKENS_AHEAD);
}
static inline const struct token *
parser_peek(struct parser *p, size_t offset)
{
    if (offset > (size_t)(p->last - p->at))
        parser_fill(p, offset);
    return p->at + offset;
}
/* From here on no token goes, until parser_back() with what this gives, or parser_forget(). */
static inline size_t
parser_mark(struct parser *p)
{
    p->may_go_back = true;
    return (size_t)(p->at - p->lexer.tokens);
}
static inline void
parser_forget(struct parser *p)
{
    p->may_go_back = false;
}
static inline void
parser_back(struct parser *p, size_t mark)
{
    p->may_go_back = false;
    if (!p->failed)
        p->at = p->lexer.tokens + mark;
}
static inline struct place
parser_place(const struct parser *p)
{
    return (struct place){p->at->line, p->at->column};
}
void parser_more_nodes(struct parser *p);
static inline struct node *
node_new(struct parser *p, enum node_type type, const struct token *at)
{
    struct node *n;

    if (p->nodes_left == 0)
        parser_more_nodes(p);
    p->nodes_left--;
    n = p->node++;
    n->type = type;
    n->line = at->line;
    n->column = at->column;
    return n;
}
static inline bool
parser_accept(struct parser *p, enum token_type type)
{
    if (p->at->type != type || type == T_END)
        return false;
    parser_next(p);
    return true;
}
void parser_unexpected(struct parser *p, enum token_type type, const char *where);
static inline void
parser_expect(struct parser *p, enum token_type type, const char *where)
{
    if (!parser_accept(p, type))
        parser_unexpected(p, type, where);
}
void parser_unclosed(struct parser *p, enum token_type type, struct place open, const char *what);
static inline void /* the bracket that ends what began at `open`; says where that was if it is missing */
parser_close(struct parser *p, enum token_type type, struct place open, const char *what)
{
    if (!parser_accept(p, type))
        parser_unclosed(p, type, open, what);
}
void parser_too_long(struct parser *p, const char *what);
static inline bool /* one more link of a chain that has had `*length`; false (and failed) beyond the limit */
parser_chain(struct parser *p, unsigned *length, const char *what)
{
    if (++*length > p->longest_chain) {
        p->longest_chain = *length;
        if (*length > SYNTAX_CHAIN_MAX)
            parser_too_long(p, what);
    }
    return !p->failed;
}
void parser_too_deep(struct parser *p);
static inline bool
parser_enter(struct parser *p) /* counts depth; false (and failed) beyond the limit */
{
    if (++p->depth > p->deepest) {
        p->deepest = p->depth;
        if (p->depth > PARSER_DEPTH_MAX)
            parser_too_deep(p);
    }
    return !p->failed;
}
static inline void
parser_leave(struct parser *p)
{
    p->depth--;
}
/* the current token stands on the same line */
static inline bool
parser_continues(const struct parser *p)
{
    return p->inside > 0 || !p->at->newline;
}

struct node *parse_expression(struct parser *p);
struct node *parse_number(struct parser *p); /* stays at the number */
/* A minus and its operand, which stands at that offset, may be one number. */
void take_sign(struct parser *p, struct node *minus, unsigned operand);
/* As an expression, or a call without brackets: `echo 'x'`. */
struct node *parse_command(struct parser *p);
/* "{ a, b -> statements }", the brace is the current token. */
struct node *parse_closure(struct parser *p);
void parse_arguments(struct parser *p, struct node *call);    /* "(a, b: c)" */
void parse_statements(struct parser *p, struct node *parent); /* until '}' or the end */
void parse_parameters(struct parser *p, struct node *owner, enum token_type closing);
static inline bool
parser_is_type(const struct token *t) /* String, int, boolean ... */
{
    return (t->word_kind & WORD_IS_TYPE) != 0 ||
           (t->type == T_NAME && t->text.at[0] >= 'A' && t->text.at[0] <= 'Z');
}
bool parser_starts_declaration(struct parser *p);
struct node *parse_declaration(struct parser *p); /* of variables, or of a function */
struct node *parse_method(struct parser *p, struct node *n); /* from its parameters on */
bool parse_modifiers(struct parser *p); /* private static final ...; is `static` among them? */
/* parser_class.c */
struct node *parse_class(struct parser *p);
/* "@a.B(c = d)": gives B, and appends what stands in its brackets. */
struct str parser_annotation(struct parser *p, struct node *arguments);
/* What an annotation makes of a class; those that only say something about it are without effect. */
void parser_annotate(struct parser *p, struct node *class, struct str name,
                     const struct node *arguments);
bool parser_starts_trait(const struct parser *p);
struct node *parse_trait(struct parser *p);
/* parser_types.c */
struct str parse_type(struct parser *p); /* a.b.C<X>[] -> "C[]" */
/* How many tokens a type takes from `offset`; 0 if there is none. */
size_t parser_type_length(struct parser *p, size_t offset);
/* Is there a type, and a token of `type` behind it? */
bool parser_type_then(struct parser *p, enum token_type type);
