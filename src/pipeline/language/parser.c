/* SPDX-License-Identifier: MIT */
#include "pipeline/language/parser.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define BYTES_A_BYTE 11 /* of a tree, for one of the text, as a rule */

struct node *
node_new(struct arena *arena, enum node_type type, const struct token *at)
{
    struct node *n = arena_alloc(arena, sizeof(*n));

    n->type = type;
    n->line = at->line;
    n->column = at->column;
    return n;
}

void
node_append(struct node *parent, struct node *child)
{
    assert(child->next == NULL && parent->last != child);
    if (parent->last == NULL)
        parent->first = child;
    else
        parent->last->next = child;
    parent->last = child;
}

void
parser_fail(struct parser *p, const struct token *at, const char *format, ...)
{
    char text[300];
    va_list args;

    if (p->failed)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    diagnostics_add(p->d, at->line, at->column, "E-SYNTAX", "%s", text);
    p->failed = true;
    p->at = p->end;
}

bool
parser_accept(struct parser *p, enum token_type type)
{
    if (p->at->type != type || type == T_END)
        return false;
    p->at++;
    return true;
}

static const char *
describe(const struct token *t, char *buffer, size_t size)
{
    if ((t->type == T_NAME || t->type == T_KEYWORD) && t->text.len < 60)
        snprintf(buffer, size, "'" STR_FMT "'", STR_ARG(t->text));
    else
        snprintf(buffer, size, "%s", token_name(t->type));
    return buffer;
}

void
parser_expect(struct parser *p, enum token_type type, const char *where)
{
    char found[80];

    if (!parser_accept(p, type))
        parser_fail(p, p->at, "expected %s %s, found %s", token_name(type), where,
                    describe(p->at, found, sizeof(found)));
}

void
parser_close(struct parser *p, enum token_type type, const struct token *open, const char *what)
{
    char found[80];

    if (parser_accept(p, type))
        return;
    if (parser_is(p, T_END))
        parser_fail(p, p->at, "%s that opens with %s on line %u, column %u is never closed", what,
                    token_name(open->type), open->line, open->column);
    else
        parser_fail(p, p->at, "expected %s to close %s that opens on line %u, column %u; found %s",
                    token_name(type), what, open->line, open->column,
                    describe(p->at, found, sizeof(found)));
}

bool
parser_chain(struct parser *p, unsigned *length, const char *what)
{
    if (++*length > SYNTAX_CHAIN_MAX)
        parser_fail(p, p->at, "the %s is too long (limit %d parts)", what, SYNTAX_CHAIN_MAX);
    if (*length > p->longest_chain)
        p->longest_chain = *length;
    return !p->failed;
}

bool
parser_enter(struct parser *p)
{
    /* Each bracket costs several levels of the expression grammar. */
    if (++p->depth > SYNTAX_DEPTH_MAX * 4)
        parser_fail(p, p->at, "nested too deeply");
    if (p->depth > p->deepest)
        p->deepest = p->depth;
    return !p->failed;
}

void
parser_leave(struct parser *p)
{
    p->depth--;
}

static struct node *parse_statement(struct parser *p);

static bool
ends_statement(const struct parser *p)
{
    return p->at->newline || parser_is(p, T_SEMICOLON) || parser_is(p, T_RBRACE) ||
           parser_is(p, T_END) || parser_word(p, "else");
}

/* One statement or a block in braces; its newlines count again. */
static struct node *
parse_body(struct parser *p)
{
    struct node *n;
    unsigned inside = p->inside;

    p->inside = 0;
    if (parser_is(p, T_LBRACE)) {
        const struct token *open = p->at++;
        n = node_new(p->arena, N_BLOCK, open);
        if (parser_enter(p)) {
            parse_statements(p, n);
            parser_leave(p);
        }
        parser_close(p, T_RBRACE, open, "the block");
    } else {
        n = parse_statement(p);
    }
    p->inside = inside;
    return n;
}

static struct node *
parse_condition(struct parser *p, const char *where)
{
    struct node *n;

    parser_expect(p, T_LPAREN, where);
    p->inside++;
    n = parse_expression(p);
    p->inside--;
    parser_expect(p, T_RPAREN, "after the condition");
    return n;
}

static struct node *
parse_if(struct parser *p)
{
    struct node *n = node_new(p->arena, N_IF, p->at);

    p->at++;
    n->a = parse_condition(p, "after 'if'");
    n->b = parse_body(p);
    if (parser_is(p, T_SEMICOLON) && p->at[1].type == T_KEYWORD && str_is(p->at[1].text, "else"))
        p->at++;
    if (parser_word(p, "else")) {
        p->at++;
        n->c = parse_body(p);
    }
    return n;
}

static struct node *parse_declaration(struct parser *p);

static bool
starts_declaration(const struct parser *p)
{
    size_t n;
    const struct token *t;

    if (parser_word(p, "def") || parser_word(p, "final"))
        return true;
    n = parser_type_length(p, 0);
    if (n == 0 || (size_t)(p->end - p->at) <= n)
        return false;
    t = p->at + n;
    return t->type == T_NAME && !t->newline;
}

static struct node *
parse_for(struct parser *p)
{
    struct node *n = node_new(p->arena, N_FOR, p->at);
    const struct token *start;

    p->at++;
    parser_expect(p, T_LPAREN, "after 'for'");
    p->inside++;
    start = p->at;
    while (parser_word(p, "def") || parser_word(p, "final"))
        p->at++;
    if (parser_type_length(p, 0) > 0 && p->at[parser_type_length(p, 0)].type == T_NAME)
        (void)parse_type(p);
    if (parser_is(p, T_NAME) &&
        (p->at[1].type == T_COLON || (p->at[1].type == T_KEYWORD && str_is(p->at[1].text, "in")))) {
        n->type = N_FOR_IN;
        n->text = p->at->text;
        p->at += 2;
        n->a = parse_expression(p);
    } else {
        if (!p->failed)
            p->at = start;
        if (!parser_is(p, T_SEMICOLON))
            n->a = starts_declaration(p) ? parse_declaration(p) : parse_expression(p);
        if ((n->a != NULL && n->a->type == N_DECLARE_MANY) || parser_is(p, T_COMMA))
            parser_fail(p, p->at, "'for' of a Jenkinsfile's Groovy starts with one variable only");
        parser_expect(p, T_SEMICOLON, "in 'for (start; condition; step)'");
        if (!parser_is(p, T_SEMICOLON))
            n->b = parse_expression(p);
        parser_expect(p, T_SEMICOLON, "in 'for (start; condition; step)'");
        if (!parser_is(p, T_RPAREN))
            n->c = parse_expression(p);
    }
    p->inside--;
    parser_expect(p, T_RPAREN, "to close 'for ('");
    n->d = parse_body(p);
    return n;
}

static struct node *
parse_switch(struct parser *p)
{
    struct node *n = node_new(p->arena, N_SWITCH, p->at);

    p->at++;
    n->a = parse_condition(p, "after 'switch'");
    const struct token *open = p->at;
    parser_expect(p, T_LBRACE, "after 'switch (...)'");
    while (!p->failed && !parser_is(p, T_RBRACE)) {
        struct node *one = node_new(p->arena, N_CASE, p->at);
        if (parser_word(p, "case")) {
            p->at++;
            one->a = parse_expression(p);
        } else if (parser_word(p, "default")) {
            p->at++;
        } else {
            parser_fail(p, p->at, "expected 'case' or 'default' in 'switch'");
        }
        parser_expect(p, T_COLON, "after the case");
        while (!p->failed && !parser_is(p, T_RBRACE) && !parser_word(p, "case") &&
               !parser_word(p, "default")) {
            if (!parser_accept(p, T_SEMICOLON))
                node_append(one, parse_statement(p));
        }
        node_append(n, one);
    }
    parser_close(p, T_RBRACE, open, "'switch'");
    return n;
}

static struct node *
parse_catch(struct parser *p)
{
    struct node *n = node_new(p->arena, N_CATCH, p->at);
    struct node types = {0};

    p->at++;
    parser_expect(p, T_LPAREN, "after 'catch'");
    p->inside++;
    while (parser_word(p, "def") || parser_word(p, "final"))
        p->at++;
    while (!p->failed && parser_type_length(p, 0) > 0 &&
           p->at[parser_type_length(p, 0)].type != T_RPAREN) {
        struct node *type = node_new(p->arena, N_NAME, p->at);
        type->text = parse_type(p);
        node_append(&types, type);
        if (!parser_accept(p, T_OR))
            break;
    }
    n->params = types.first;
    n->text = p->at->text;
    parser_expect(p, T_NAME, "as the variable of 'catch'");
    p->inside--;
    parser_expect(p, T_RPAREN, "to close 'catch ('");
    n->b = parse_body(p);
    return n;
}

static struct node *
parse_try(struct parser *p)
{
    struct node *n = node_new(p->arena, N_TRY, p->at);

    p->at++;
    if (parser_is(p, T_LPAREN))
        parser_fail(p, p->at, "'try' with resources is not part of a Jenkinsfile's Groovy");
    n->a = parse_body(p);
    while (!p->failed && parser_word(p, "catch"))
        node_append(n, parse_catch(p));
    if (parser_word(p, "finally")) {
        p->at++;
        n->b = parse_body(p);
    }
    if (n->first == NULL && n->b == NULL)
        parser_fail(p, p->at, "'try' needs 'catch' or 'finally'");
    return n;
}

static struct node *
parse_method(struct parser *p, struct node *n)
{
    n->type = N_METHOD;
    parser_expect(p, T_LPAREN, "after the name of a function");
    p->inside++;
    parse_parameters(p, n, T_RPAREN);
    p->inside--;
    if (parser_word(p, "throws"))
        while (!p->failed && !parser_is(p, T_LBRACE) && !parser_is(p, T_END))
            p->at++;
    const struct token *open = p->at;
    if (p->may_lack_body && !parser_is(p, T_LBRACE)) {
        n->type = N_PASS;
        return n;
    }
    parser_expect(p, T_LBRACE, "to open the body of a function");
    if (parser_enter(p)) {
        parse_statements(p, n);
        parser_leave(p);
    }
    parser_close(p, T_RBRACE, open, "the function");
    return n;
}

/* def (a, b) = list, and the same without def */
static struct node *
parse_declare_many(struct parser *p, bool is_assignment)
{
    struct node *n = node_new(p->arena, N_DECLARE_MANY, p->at);

    p->at++;
    while (!p->failed && !parser_is(p, T_RPAREN)) {
        struct node *one = node_new(p->arena, N_DECLARE, p->at);
        if (p->at[1].type == T_NAME && parser_type_length(p, 0) > 0)
            one->type_text = parse_type(p);
        one->text = p->at->text;
        if (is_assignment) {
            one->is_field = true;
            one->a = node_new(p->arena, N_NAME, p->at);
            one->a->text = one->text;
        }
        parser_expect(p, T_NAME, "as a variable");
        node_append(n, one);
        if (!parser_accept(p, T_COMMA))
            break;
    }
    parser_expect(p, T_RPAREN, "to close 'def ('");
    parser_expect(p, T_ASSIGN, "after 'def (...)'");
    n->b = parse_expression(p);
    return n;
}

static struct node *
parse_declaration(struct parser *p)
{
    struct node *first = NULL, *block = NULL;
    struct str type = {0};
    const struct token *start = p->at;

    while (parser_word(p, "def") || parser_word(p, "final"))
        p->at++;
    if (parser_is(p, T_LPAREN))
        return parse_declare_many(p, false);
    if (parser_type_length(p, 0) > 0 && p->at[parser_type_length(p, 0)].type == T_NAME &&
        !p->at[parser_type_length(p, 0)].newline)
        type = parse_type(p);
    do {
        struct node *n = node_new(p->arena, N_DECLARE, start);
        n->type_text = type;
        n->text = p->at->text;
        if (parser_is(p, T_TEXT))
            p->at++;
        else
            parser_expect(p, T_NAME, "in a declaration");
        if (parser_is(p, T_LPAREN) && first == NULL && !p->failed)
            return parse_method(p, n);
        if (parser_accept(p, T_ASSIGN))
            n->b = parse_command(p);
        if (first == NULL) {
            first = n;
        } else {
            if (block == NULL) {
                block = node_new(p->arena, N_DECLARE_MANY, start);
                node_append(block, first);
            }
            node_append(block, n);
        }
    } while (!p->failed && parser_accept(p, T_COMMA));
    return block != NULL ? block : first;
}

static void
skip_types(struct parser *p) /* implements A, B<C> */
{
    while (!p->failed && parser_type_length(p, 0) > 0) {
        (void)parse_type(p);
        if (!parser_accept(p, T_COMMA))
            return;
    }
}

static bool
parse_modifiers(struct parser *p)
{
    bool is_static = false;

    p->may_lack_body = false;
    if (p->at->type != T_KEYWORD && p->at->type != T_NAME)
        return false;
    for (;; p->at++) {
        is_static = is_static || parser_word(p, "static");
        p->may_lack_body = p->may_lack_body || parser_word(p, "abstract");
        if (!parser_word(p, "private") && !parser_word(p, "public") &&
            !parser_word(p, "protected") && !parser_word(p, "static") &&
            !parser_word(p, "abstract") && !parser_word(p, "synchronized") &&
            !parser_word(p, "transient"))
            return is_static;
    }
}

/* A(1), B: the constants of an enum, each as if it were a `new`. */
static void
parse_constants(struct parser *p, struct node *owner)
{
    struct node all = {0};

    while (!p->failed && parser_is(p, T_NAME)) {
        struct node *one = node_new(p->arena, N_NEW, p->at);
        one->text = p->at->text;
        p->at++;
        if (parser_is(p, T_LPAREN))
            parse_arguments(p, one);
        node_append(&all, one);
        if (!parser_accept(p, T_COMMA))
            break;
    }
    parser_accept(p, T_SEMICOLON);
    owner->params = all.first;
}

static struct node *parse_class(struct parser *p);

static void
parse_member(struct parser *p, struct node *owner)
{
    bool is_static;
    struct node *n;

    while (parser_is(p, T_AT) && !p->failed) {
        p->at++;
        parser_expect(p, T_NAME, "after '@'");
        if (parser_is(p, T_LPAREN)) {
            struct node ignored = {0};
            parse_arguments(p, &ignored);
        }
    }
    is_static = parse_modifiers(p);
    if (parser_word(p, "class") || parser_word(p, "enum") || parser_word(p, "interface")) {
        if (parser_enter(p)) {
            node_append(owner, parse_class(p));
            parser_leave(p);
        }
        return;
    }
    if (parser_is(p, T_LBRACE)) {
        parser_fail(p, p->at, "an initializer block in a class is not supported");
        return;
    }
    n = node_new(p->arena, N_DECLARE, p->at);
    if (parser_is(p, T_NAME) && p->at[1].type == T_LPAREN) { /* a constructor */
        n->text = p->at->text;
        p->at++;
        n = parse_method(p, n);
    } else if (starts_declaration(p)) {
        n = parse_declaration(p);
    } else {
        parser_fail(p, p->at, "expected a field or a method of the class");
        return;
    }
    n->is_static = is_static;
    if (n->type == N_DECLARE_MANY && n->b == NULL) {
        for (struct node *one = n->first, *next; one != NULL; one = next) {
            next = one->next;
            one->next = NULL;
            one->is_static = is_static;
            node_append(owner, one);
        }
        return;
    }
    node_append(owner, n);
}

static struct node *
parse_class(struct parser *p)
{
    struct node *n = node_new(p->arena, N_CLASS, p->at);
    const bool is_interface = parser_word(p, "interface");
    const struct token *open;

    n->is_enum = parser_word(p, "enum");
    p->at++;
    n->text = p->at->text;
    parser_expect(p, T_NAME, "as the name of the class");
    if (parser_word(p, "extends")) {
        p->at++;
        n->type_text = parse_type(p);
        if (parser_accept(p, T_COMMA))
            skip_types(p);
    }
    if (parser_word(p, "implements")) {
        p->at++;
        skip_types(p);
    }
    open = p->at;
    parser_expect(p, T_LBRACE, "to open the class");
    if (n->is_enum)
        parse_constants(p, n);
    if (is_interface) { /* names only */
        for (unsigned depth = 1; !p->failed && !parser_is(p, T_END); p->at++) {
            depth += parser_is(p, T_LBRACE);
            depth -= parser_is(p, T_RBRACE);
            if (depth == 0)
                break;
        }
    }
    while (!p->failed && !parser_is(p, T_RBRACE) && !parser_is(p, T_END))
        if (!parser_accept(p, T_SEMICOLON))
            parse_member(p, n);
    parser_close(p, T_RBRACE, open, "the class");
    return n;
}

static struct node *
parse_import(struct parser *p)
{
    struct node *n = node_new(p->arena, N_IMPORT, p->at);
    bool is_package = parser_word(p, "package");

    p->at++;
    if (ends_statement(p))
        parser_fail(p, p->at, "expected a class after 'import'");
    while (!p->failed && !ends_statement(p)) {
        bool is_alias = p->at[-1].type == T_KEYWORD && str_is(p->at[-1].text, "as");
        if (p->at->type == T_NAME && is_alias)
            n->type_text = p->at->text;
        else if (p->at->type == T_NAME)
            n->text = p->at->text;
        else if (p->at->type != T_DOT && p->at->type != T_MUL && p->at->type != T_KEYWORD)
            parser_fail(p, p->at, "unexpected %s in an import", token_name(p->at->type));
        p->at++;
    }
    if (is_package)
        n->type = N_PASS;
    return n;
}

static struct node *
parse_annotation(struct parser *p)
{
    const struct token *start = p->at;
    struct node *n = node_new(p->arena, N_PASS, p->at);
    struct node call = {0};
    struct str name = {0};

    p->at++;
    name = p->at->text;
    parser_expect(p, T_NAME, "after '@'");
    while (parser_is(p, T_DOT) && p->at[1].type == T_NAME) {
        name = p->at[1].text;
        p->at += 2;
    }
    if (parser_is(p, T_LPAREN)) {
        p->at++;
        p->inside++;
        while (!p->failed && !parser_is(p, T_RPAREN)) {
            node_append(&call, parse_expression(p));
            if (!parser_accept(p, T_COMMA) && !parser_accept(p, T_ASSIGN))
                break;
        }
        p->inside--;
        parser_expect(p, T_RPAREN, "to close the annotation");
    }
    if (str_is(name, "Library")) {
        if (!parser_word(p, "_") && !parser_word(p, "import") && !starts_declaration(p))
            parser_fail(p, start, "@Library must be followed by '_' or an import");
        if (parser_word(p, "_"))
            p->at++;
        n->type = N_LIBRARY;
        n->first = call.first;
        return n;
    }
    if (parser_is(p, T_END))
        return n;
    n = parse_statement(p);
    if (str_is(name, "Field") && n->type == N_DECLARE)
        n->is_field = true;
    return n;
}

static struct node *
parse_assert(struct parser *p)
{
    struct node *n = node_new(p->arena, N_ASSERT, p->at);

    p->at++;
    const unsigned start = p->at->offset;
    n->a = parse_expression(p);
    n->text = str_trim(str_slice(p->text, start, p->at->offset));
    if (parser_accept(p, T_COLON) || parser_accept(p, T_COMMA))
        n->b = parse_expression(p);
    return n;
}

static struct node *
parse_return(struct parser *p)
{
    struct node *n = node_new(p->arena, parser_word(p, "throw") ? N_THROW : N_RETURN, p->at);
    bool no_named = p->no_named_command;

    p->at++;
    if (!ends_statement(p)) {
        p->no_named_command = true;
        n->a = parse_command(p);
        p->no_named_command = no_named;
    } else if (n->type == N_THROW) {
        parser_fail(p, p->at, "'throw' needs a value");
    }
    return n;
}

static bool
has_label(const struct parser *p, struct str name)
{
    const struct parser_label *l = p->labels;

    while (l != NULL && !str_equal(l->name, name))
        l = l->around;
    return l != NULL;
}

static struct node *
parse_keyword_statement(struct parser *p)
{
    static const struct {
        const char *word;
        struct node *(*parse)(struct parser *p);
    } table[] = {
        {"if", parse_if},         {"for", parse_for},         {"switch", parse_switch},
        {"try", parse_try},       {"throw", parse_return},    {"return", parse_return},
        {"assert", parse_assert}, {"import", parse_import},   {"package", parse_import},
        {"class", parse_class},   {"interface", parse_class}, {"enum", parse_class},
    };
    struct node *n;

    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (parser_word(p, table[i].word))
            return table[i].parse(p);
    if (parser_word(p, "while")) {
        n = node_new(p->arena, N_WHILE, p->at);
        p->at++;
        n->a = parse_condition(p, "after 'while'");
        n->b = parse_body(p);
        return n;
    }
    if (parser_word(p, "break") || parser_word(p, "continue")) {
        n = node_new(p->arena, parser_word(p, "break") ? N_BREAK : N_CONTINUE, p->at);
        p->at++;
        if (parser_is(p, T_NAME) && !p->at->newline) {
            n->text = p->at->text;
            if (!has_label(p, n->text))
                parser_fail(p, p->at, "no loop around this has the label '" STR_FMT "'",
                            STR_ARG(n->text));
            else
                p->at++;
        }
        return n;
    }
    if (parser_word(p, "do"))
        parser_fail(p, p->at, "'do ... while' is not part of a Jenkinsfile's Groovy; use 'while'");
    return NULL;
}

/* (a, b) = list */
static bool
starts_many(const struct parser *p)
{
    const struct token *t = p->at;

    if (t->type != T_LPAREN)
        return false;
    do
        t++;
    while ((t[0].type == T_NAME || t[0].type == T_COMMA) && t < p->end);
    return t[0].type == T_RPAREN && t[1].type == T_ASSIGN && t[-1].type == T_NAME && t - p->at > 2;
}

/* outer: for (...) */
static struct node *
parse_labelled(struct parser *p)
{
    const struct str label = p->at->text;
    const struct parser_label here = {label, p->labels};
    struct node *n;

    p->at += 2;
    p->labels = &here;
    n = parse_statement(p);
    p->labels = here.around;
    if (n->type == N_FOR || n->type == N_FOR_IN || n->type == N_WHILE)
        n->type_text = label;
    return n;
}

static struct node *
parse_statement_inner(struct parser *p)
{
    struct node *n;

    (void)parse_modifiers(p);
    if (parser_is(p, T_NAME) && p->at[1].type == T_COLON && p->inside == 0)
        return parse_labelled(p);
    if (parser_is(p, T_AT))
        return parse_annotation(p);
    if (parser_is(p, T_KEYWORD)) {
        n = parse_keyword_statement(p);
        if (n != NULL)
            return n;
    }
    if (parser_is(p, T_LBRACE) && !p->failed)
        return parse_closure(p);
    if (starts_declaration(p))
        return parse_declaration(p);
    if (starts_many(p))
        return parse_declare_many(p, true);
    return parse_command(p);
}

static struct node *
parse_statement(struct parser *p)
{
    struct node *n;
    char found[80];

    if (!parser_enter(p))
        return node_new(p->arena, N_PASS, p->at);
    n = parse_statement_inner(p);
    parser_leave(p);
    if (!p->failed && !ends_statement(p) && p->inside == 0) {
        const struct token *before = p->at - 1;
        if (before->type == T_RBRACE && n->type != N_CALL && n->type != N_NAME)
            return n; /* `if (a) { } echo 'x'` */
        parser_fail(p, p->at, "unexpected %s; a new line or ';' is missing before it",
                    describe(p->at, found, sizeof(found)));
    }
    return n;
}

void
parse_statements(struct parser *p, struct node *parent)
{
    while (!p->failed && !parser_is(p, T_RBRACE) && !parser_is(p, T_END)) {
        const struct token *before = p->at;
        if (parser_accept(p, T_SEMICOLON))
            continue;
        node_append(parent, parse_statement(p));
        assert(p->failed || p->at > before);
    }
}

/* Chains make trees that are deep without nesting; whoever walks the tree recurses, so its depth
 * has a limit of its own. Gives the node that lies too deep, or NULL. */
static const struct node *too_deep(const struct node *n, unsigned depth);

static const struct node *
any_too_deep(const struct node *n, unsigned depth)
{
    const struct node *found = NULL;

    for (; n != NULL && found == NULL; n = n->next)
        found = too_deep(n, depth);
    return found;
}

static const struct node *
too_deep(const struct node *n, unsigned depth)
{
    const struct node *found = NULL;

    if (depth > SYNTAX_TREE_MAX)
        return n;
    if (n->a != NULL)
        found = too_deep(n->a, depth + 1);
    if (n->b != NULL && found == NULL)
        found = too_deep(n->b, depth + 1);
    if (n->c != NULL && found == NULL)
        found = too_deep(n->c, depth + 1);
    if (n->d != NULL && found == NULL)
        found = too_deep(n->d, depth + 1);
    if (n->first != NULL && found == NULL)
        found = any_too_deep(n->first, depth + 1);
    if (n->params != NULL && found == NULL)
        found = any_too_deep(n->params, depth + 1);
    return found;
}

/* Most files need no walk: from the root to a leaf each nesting adds four nodes at most, besides two for
 * each link of a chain in it. */
static bool
may_be_too_deep(const struct parser *p)
{
    return p->deepest * (4 + 2 * p->longest_chain) > SYNTAX_TREE_MAX;
}

struct node *
syntax_parse(struct str text, struct arena *arena, struct diagnostics *d)
{
    struct tokens tokens = {0};
    struct parser p = {.arena = arena, .d = d};
    struct node *root = NULL;

    if (text.len <= SYNTAX_TEXT_MAX)
        arena_reserve(arena, text.len * BYTES_A_BYTE);
    if (lexer_run(text, arena, &tokens, d)) {
        p.text = tokens.text;
        p.at = tokens.at;
        p.end = tokens.at + tokens.count - 3;
        root = node_new(arena, N_BLOCK, p.at);
        parse_statements(&p, root);
        if (!p.failed && !parser_is(&p, T_END))
            parser_fail(&p, p.at, "unexpected '}'");
        if (p.unsigned_least != NULL)
            parser_fail(&p, p.unsigned_least, "this number fits only behind a minus");
        const struct node *deep = !p.failed && may_be_too_deep(&p) ? too_deep(root, 0) : NULL;
        if (deep != NULL) {
            diagnostics_add(d, deep->line, deep->column, "E-SYNTAX", "nested too deeply");
            p.failed = true;
        }
    }
    arena_done(&tokens.arena);
    return p.failed ? NULL : root;
}
