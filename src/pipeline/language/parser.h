/* SPDX-License-Identifier: MIT */
/* parser.h - what parser.c (statements), parser_expression.c and parser_number.c share. */
#pragma once
#include "pipeline/language/syntax.h"

struct parser_label {
    struct str name;
    const struct parser_label *around;
};

struct parser {
    struct arena *arena;
    struct str text;
    const struct token *at; /* ends with T_END */
    const struct token *end;
    const struct token *unsigned_least; /* 2^63 as a long or 2^31 as an int, not behind a minus, or NULL */
    struct diagnostics *d;
    const struct parser_label *labels; /* around the current token */
    unsigned depth, deepest, longest_chain;
    unsigned inside;       /* > 0 inside ( or [: line ends mean nothing */
    bool no_named_command; /* after `return` */
    bool may_lack_body;    /* an abstract method */
    bool failed;
};

void parser_fail(struct parser *p, const struct token *at, const char *format, ...)
    PRINTF_LIKE(3, 4);
static inline bool
parser_is(const struct parser *p, enum token_type type)
{
    return p->at->type == type;
}
/* keyword or name */
static inline bool
parser_word(const struct parser *p, const char *word)
{
    return (p->at->type == T_KEYWORD || p->at->type == T_NAME) && p->at->text.at[0] == word[0] &&
           str_is(p->at->text, word);
}
static inline const struct token *
parser_peek(const struct parser *p, size_t offset)
{
    return (size_t)(p->end - p->at) > offset ? p->at + offset : p->end;
}
bool parser_accept(struct parser *p, enum token_type type);
void parser_expect(struct parser *p, enum token_type type, const char *where);
/* The bracket that ends what `open` began; says where that was if it is missing. */
void parser_close(struct parser *p, enum token_type type, const struct token *open,
                  const char *what);
/* One more link of a chain that has had `*length`; false (and failed) beyond the limit. */
bool parser_chain(struct parser *p, unsigned *length, const char *what);
bool parser_enter(struct parser *p); /* counts depth; false (and failed) beyond the limit */
void parser_leave(struct parser *p);
/* the current token stands on the same line */
static inline bool
parser_continues(const struct parser *p)
{
    return p->inside > 0 || !p->at->newline;
}

struct node *parse_expression(struct parser *p);
struct node *parse_number(struct parser *p); /* stays at the number */
/* A minus and its operand may be one number. */
void take_sign(struct parser *p, struct node *minus, const struct token *operand);
/* As an expression, or a call without brackets: `echo 'x'`. */
struct node *parse_command(struct parser *p);
/* "{ a, b -> statements }", the brace is the current token. */
struct node *parse_closure(struct parser *p);
void parse_arguments(struct parser *p, struct node *call);    /* "(a, b: c)" */
void parse_statements(struct parser *p, struct node *parent); /* until '}' or the end */
void parse_parameters(struct parser *p, struct node *owner, enum token_type closing);
bool parser_is_type_name(struct str name); /* String, int, boolean ... */
struct str parse_type(struct parser *p);   /* a.b.C<X>[] -> "C[]" */
/* How many tokens a type takes from `offset`; 0 if there is none. */
size_t parser_type_length(const struct parser *p, size_t offset);
