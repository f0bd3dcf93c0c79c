/* SPDX-License-Identifier: MIT */
#include "pipeline/language/parser.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#define BYTES_A_BYTE 9 /* of a tree, for one of the text, as a rule */
#define NODES_AT_ONCE 16

void
parser_more_nodes(struct parser *p)
{
    p->node = arena_alloc(p->arena, NODES_AT_ONCE * sizeof(*p->node));
    p->nodes_left = NODES_AT_ONCE;
}

size_t
node_parts(const struct node *n, const struct node *out[static NODE_PARTS_MAX])
{
    const bool has_params = node_has_params(n), is_loop = n->type == N_FOR || n->type == N_FOR_IN;
    const struct node *all[] = {has_params ? NULL : n->a, n->b, n->first, is_loop ? n->d : NULL,
                                has_params ? n->params : NULL};
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        if (all[i] != NULL)
            out[count++] = all[i];
    return count;
}

void
parser_fill(struct parser *p, size_t ahead)
{
    const size_t at = (size_t)(p->at - p->lexer.tokens);
    const size_t done = p->may_go_back ? 0 : at - 1;

    lexer_fill(&p->lexer, done, at - done + ahead + 1);
    p->at = p->lexer.tokens + (at - done);
    p->last = p->lexer.tokens + p->lexer.count - 1;
}

/* What is no token is said before what stands in a wrong place, wherever it is. */
static bool
rest_is_tokens(struct lexer *lx)
{
    while (!lx->has_ended)
        lexer_fill(lx, lx->count - 1, 1);
    return !lx->failed;
}

void
parser_fail(struct parser *p, const struct token *at, const char *format, ...)
{
    const unsigned line = at->line, column = at->column;
    char text[300];
    va_list args;

    if (p->failed)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    p->failed = true;
    p->may_go_back = false;
    if (rest_is_tokens(&p->lexer))
        diagnostics_add(p->d, line, column, "E-SYNTAX", "%s", text);
    p->at = p->lexer.tokens + p->lexer.count;
    parser_fill(p, TOKENS_AHEAD);
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
parser_unexpected(struct parser *p, enum token_type type, const char *where)
{
    char found[80];

    parser_fail(p, p->at, "expected %s %s, found %s", token_name(type), where,
                describe(p->at, found, sizeof(found)));
}

void
parser_unclosed(struct parser *p, enum token_type type, struct place open, const char *what)
{
    const enum token_type opening = type == T_RPAREN ? T_LPAREN : type == T_RBRACE ? T_LBRACE : T_LBRACKET;
    char found[80];

    if (parser_is(p, T_END))
        parser_fail(p, p->at, "%s that opens with %s on line %u, column %u is never closed", what,
                    token_name(opening), open.line, open.column);
    else
        parser_fail(p, p->at, "expected %s to close %s that opens on line %u, column %u; found %s",
                    token_name(type), what, open.line, open.column,
                    describe(p->at, found, sizeof(found)));
}

void
parser_too_long(struct parser *p, const char *what)
{
    parser_fail(p, p->at, "the %s is too long (limit %d parts)", what, SYNTAX_CHAIN_MAX);
}

void
parser_too_deep(struct parser *p)
{
    parser_fail(p, p->at, "nested too deeply");
}

static struct node *parse_statement(struct parser *p);

static bool
ends_statement(const struct parser *p)
{
    return p->at->newline || parser_is(p, T_SEMICOLON) || parser_is(p, T_RBRACE) ||
           parser_is(p, T_END) || parser_word(p, WORD_ELSE);
}

/* One statement or a block in braces; its newlines count again. */
static struct node *
parse_body(struct parser *p)
{
    struct node *n;
    unsigned inside = p->inside;

    p->inside = 0;
    if (parser_is(p, T_LBRACE)) {
        const struct place open = parser_place(p);
        n = node_new(p, N_BLOCK, p->at);
        parser_next(p);
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
    struct node *n = node_new(p, N_IF, p->at);

    parser_next(p);
    n->a = parse_condition(p, "after 'if'");
    n->b = parse_body(p);
    if (parser_is(p, T_SEMICOLON) && p->at[1].word == WORD_ELSE)
        parser_next(p);
    if (parser_word(p, WORD_ELSE)) {
        parser_next(p);
        n->c = parse_body(p);
    }
    return n;
}

/* What stands behind a name in a type, or behind it; T_XOR is the last type of tokens. */
static const bool follows_type_name[T_XOR + 1] = {
    [T_NAME] = true, [T_DOT] = true, [T_LESS] = true, [T_LBRACKET] = true};

bool
parser_starts_declaration(struct parser *p)
{
    size_t n;
    const struct token *t;

    if ((p->at->word_kind & WORD_DECLARES) != 0)
        return true;
    if (parser_is(p, T_NAME) && !follows_type_name[p->at[1].type])
        return false;
    n = parser_type_length(p, 0);
    if (n == 0)
        return false;
    t = parser_peek(p, n);
    return t->type == T_NAME && !t->newline;
}

static struct node *
parse_for(struct parser *p)
{
    struct node *n = node_new(p, N_FOR, p->at);
    size_t start;

    parser_next(p);
    parser_expect(p, T_LPAREN, "after 'for'");
    p->inside++;
    start = parser_mark(p);
    while ((p->at->word_kind & WORD_DECLARES) != 0)
        parser_next(p);
    if (parser_type_then(p, T_NAME))
        (void)parse_type(p);
    if (parser_is(p, T_NAME) && (p->at[1].type == T_COLON || p->at[1].word == WORD_IN)) {
        parser_forget(p);
        n->type = N_FOR_IN;
        n->text = p->at->text;
        parser_next(p);
        parser_next(p);
        n->a = parse_expression(p);
    } else {
        parser_back(p, start);
        if (!parser_is(p, T_SEMICOLON))
            n->a = parser_starts_declaration(p) ? parse_declaration(p) : parse_expression(p);
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
    struct node *n = node_new(p, N_SWITCH, p->at);

    parser_next(p);
    n->a = parse_condition(p, "after 'switch'");
    const struct place open = parser_place(p);
    parser_expect(p, T_LBRACE, "after 'switch (...)'");
    while (!p->failed && !parser_is(p, T_RBRACE)) {
        struct node *one = node_new(p, N_CASE, p->at);
        if (parser_word(p, WORD_CASE)) {
            parser_next(p);
            one->a = parse_expression(p);
        } else if (parser_word(p, WORD_DEFAULT)) {
            parser_next(p);
        } else {
            parser_fail(p, p->at, "expected 'case' or 'default' in 'switch'");
        }
        parser_expect(p, T_COLON, "after the case");
        while (!p->failed && !parser_is(p, T_RBRACE) && !parser_word(p, WORD_CASE) &&
               !parser_word(p, WORD_DEFAULT)) {
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
    struct node *n = node_new(p, N_CATCH, p->at);
    struct node types = {0};

    parser_next(p);
    parser_expect(p, T_LPAREN, "after 'catch'");
    p->inside++;
    while ((p->at->word_kind & WORD_DECLARES) != 0)
        parser_next(p);
    while (!p->failed && parser_type_length(p, 0) > 0 && !parser_type_then(p, T_RPAREN)) {
        struct node *type = node_new(p, N_NAME, p->at);
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
    struct node *n = node_new(p, N_TRY, p->at);

    parser_next(p);
    if (parser_is(p, T_LPAREN))
        parser_fail(p, p->at, "'try' with resources is not part of a Jenkinsfile's Groovy");
    n->a = parse_body(p);
    while (!p->failed && parser_word(p, WORD_CATCH))
        node_append(n, parse_catch(p));
    if (parser_word(p, WORD_FINALLY)) {
        parser_next(p);
        n->b = parse_body(p);
    }
    if (n->first == NULL && n->b == NULL)
        parser_fail(p, p->at, "'try' needs 'catch' or 'finally'");
    return n;
}

struct node *
parse_method(struct parser *p, struct node *n)
{
    n->type = N_METHOD;
    parser_expect(p, T_LPAREN, "after the name of a function");
    p->inside++;
    parse_parameters(p, n, T_RPAREN);
    p->inside--;
    if (parser_word(p, WORD_THROWS))
        while (!p->failed && !parser_is(p, T_LBRACE) && !parser_is(p, T_END))
            parser_next(p);
    const struct place open = parser_place(p);
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
    struct node *n = node_new(p, N_DECLARE_MANY, p->at);

    parser_next(p);
    while (!p->failed && !parser_is(p, T_RPAREN)) {
        struct node *one = node_new(p, N_DECLARE, p->at);
        if (p->at[1].type == T_NAME && parser_type_length(p, 0) > 0)
            one->type_text = parse_type(p);
        one->text = p->at->text;
        if (is_assignment) {
            one->is_field = true;
            one->a = node_new(p, N_NAME, p->at);
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

struct node *
parse_declaration(struct parser *p)
{
    struct node *first = NULL, *block = NULL;
    struct str type = {0};
    const struct token start = *p->at;

    while ((p->at->word_kind & WORD_DECLARES) != 0)
        parser_next(p);
    if (parser_is(p, T_LPAREN))
        return parse_declare_many(p, false);
    if (parser_type_then(p, T_NAME) && !parser_peek(p, parser_type_length(p, 0))->newline)
        type = parse_type(p);
    do {
        struct node *n = node_new(p, N_DECLARE, &start);
        n->type_text = type;
        n->text = p->at->text;
        if (parser_is(p, T_TEXT))
            parser_next(p);
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
                block = node_new(p, N_DECLARE_MANY, &start);
                node_append(block, first);
            }
            node_append(block, n);
        }
    } while (!p->failed && parser_accept(p, T_COMMA));
    return block != NULL ? block : first;
}

bool
parse_modifiers(struct parser *p)
{
    bool is_static = false;

    p->may_lack_body = false;
    for (; (p->at->word_kind & WORD_IS_MODIFIER) != 0; parser_next(p)) {
        is_static = is_static || parser_word(p, WORD_STATIC);
        p->may_lack_body = p->may_lack_body || parser_word(p, WORD_ABSTRACT);
    }
    return is_static;
}

static struct node *
parse_import(struct parser *p)
{
    struct node *n = node_new(p, N_IMPORT, p->at);
    bool is_package = parser_word(p, WORD_PACKAGE);

    parser_next(p);
    if (ends_statement(p))
        parser_fail(p, p->at, "expected a class after 'import'");
    while (!p->failed && !ends_statement(p)) {
        bool is_alias = p->at[-1].word == WORD_AS;
        if (p->at->type == T_NAME && is_alias)
            n->type_text = p->at->text;
        else if (p->at->type == T_NAME)
            n->text = p->at->text;
        else if (p->at->type != T_DOT && p->at->type != T_MUL && p->at->type != T_KEYWORD)
            parser_fail(p, p->at, "unexpected %s in an import", token_name(p->at->type));
        parser_next(p);
    }
    if (is_package)
        n->type = N_PASS;
    return n;
}

static struct node *
parse_annotation(struct parser *p)
{
    const struct token start = *p->at;
    struct node *n = node_new(p, N_PASS, p->at);
    struct node call = {0};
    const struct str name = parser_annotation(p, &call);

    if (str_is(name, "Library")) {
        const bool is_underscore = parser_is(p, T_NAME) && str_is(p->at->text, "_");
        if (!is_underscore && !parser_word(p, WORD_IMPORT) && !parser_starts_declaration(p))
            parser_fail(p, &start, "@Library must be followed by '_' or an import");
        if (is_underscore)
            parser_next(p);
        n->type = N_LIBRARY;
        n->first = call.first;
        return n;
    }
    if (parser_is(p, T_END))
        return n;
    n = parse_statement(p);
    if (str_is(name, "Field") && n->type == N_DECLARE)
        n->is_field = true;
    if (n->type == N_CLASS)
        parser_annotate(p, n, name, call.first);
    return n;
}

static struct node *
parse_assert(struct parser *p)
{
    struct node *n = node_new(p, N_ASSERT, p->at);

    parser_next(p);
    const unsigned start = p->at->offset;
    n->a = parse_expression(p);
    n->text = str_trim(str_slice(p->lexer.text, start, p->at->offset));
    if (parser_accept(p, T_COLON) || parser_accept(p, T_COMMA))
        n->b = parse_expression(p);
    return n;
}

static struct node *
parse_return(struct parser *p)
{
    struct node *n = node_new(p, parser_word(p, WORD_THROW) ? N_THROW : N_RETURN, p->at);
    bool no_named = p->no_named_command;

    parser_next(p);
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
    struct node *n;

    switch (p->at->word) {
    case WORD_IF:
        return parse_if(p);
    case WORD_FOR:
        return parse_for(p);
    case WORD_SWITCH:
        return parse_switch(p);
    case WORD_TRY:
        return parse_try(p);
    case WORD_THROW:
    case WORD_RETURN:
        return parse_return(p);
    case WORD_ASSERT:
        return parse_assert(p);
    case WORD_IMPORT:
    case WORD_PACKAGE:
        return parse_import(p);
    case WORD_CLASS:
    case WORD_INTERFACE:
    case WORD_ENUM:
        return parse_class(p);
    default:
        break;
    }
    if (parser_word(p, WORD_WHILE)) {
        n = node_new(p, N_WHILE, p->at);
        parser_next(p);
        n->a = parse_condition(p, "after 'while'");
        n->b = parse_body(p);
        return n;
    }
    if (parser_word(p, WORD_BREAK) || parser_word(p, WORD_CONTINUE)) {
        n = node_new(p, parser_word(p, WORD_BREAK) ? N_BREAK : N_CONTINUE, p->at);
        parser_next(p);
        if (parser_is(p, T_NAME) && !p->at->newline) {
            n->text = p->at->text;
            if (!has_label(p, n->text))
                parser_fail(p, p->at, "no loop around this has the label '" STR_FMT "'",
                            STR_ARG(n->text));
            else
                parser_next(p);
        }
        return n;
    }
    if (parser_word(p, WORD_DO))
        parser_fail(p, p->at, "'do ... while' is not part of a Jenkinsfile's Groovy; use 'while'");
    return NULL;
}

/* (a, b) = list */
static bool
starts_many(struct parser *p)
{
    size_t n = 1;

    if (!parser_is(p, T_LPAREN))
        return false;
    while (parser_peek(p, n)->type == T_NAME || parser_peek(p, n)->type == T_COMMA)
        n++;
    return n > 2 && parser_peek(p, n)->type == T_RPAREN && parser_peek(p, n + 1)->type == T_ASSIGN &&
           parser_peek(p, n - 1)->type == T_NAME;
}

/* outer: for (...) */
static struct node *
parse_labelled(struct parser *p)
{
    const struct str label = p->at->text;
    const struct parser_label here = {label, p->labels};
    struct node *n;

    parser_next(p);
    parser_next(p);
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
    if (parser_is(p, T_NAME) && !follows_type_name[p->at[1].type])
        return parse_command(p); /* most of them: echo 'x', a = b */
    if (parser_is(p, T_AT))
        return parse_annotation(p);
    if (parser_starts_trait(p))
        return parse_trait(p);
    if (parser_is(p, T_KEYWORD)) {
        n = parse_keyword_statement(p);
        if (n != NULL)
            return n;
    }
    if (parser_is(p, T_LBRACE) && !p->failed)
        return parse_closure(p);
    if (parser_starts_declaration(p))
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
        return node_new(p, N_PASS, p->at);
    n = parse_statement_inner(p);
    parser_leave(p);
    if (!p->failed && !ends_statement(p) && p->inside == 0) {
        if (p->at[-1].type == T_RBRACE && n->type != N_CALL && n->type != N_NAME)
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
        const unsigned before = p->at->offset;
        if (parser_accept(p, T_SEMICOLON))
            continue;
        node_append(parent, parse_statement(p));
        assert(p->failed || p->at->offset > before);
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
    const struct node *parts[NODE_PARTS_MAX], *found = NULL;
    const size_t count = node_parts(n, parts);

    if (depth > SYNTAX_TREE_MAX)
        return n;
    for (size_t i = 0; i < count && found == NULL; i++)
        found = any_too_deep(parts[i], depth + 1);
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
    struct parser p = {
        .arena = arena, .d = d, .unsigned_least = {.offset = UINT_MAX}, .longest_chain = 1};
    struct node *root;

    if (text.len <= SYNTAX_TEXT_MAX)
        arena_reserve(arena, text.len * BYTES_A_BYTE);
    if (!lexer_begin(&p.lexer, text, arena, d))
        return NULL;
    p.at = p.lexer.tokens + 1;
    parser_fill(&p, TOKENS_AHEAD);
    root = node_new(&p, N_BLOCK, p.at);
    parse_statements(&p, root);
    if (!p.failed && !parser_is(&p, T_END))
        parser_fail(&p, p.at, "unexpected '}'");
    if (p.unsigned_least.offset != UINT_MAX)
        parser_fail(&p, &p.unsigned_least, "this number fits only behind a minus");
    p.failed = p.failed || p.lexer.failed;
    const struct node *deep = !p.failed && may_be_too_deep(&p) ? too_deep(root, 0) : NULL;
    if (deep != NULL) {
        diagnostics_add(d, deep->line, deep->column, "E-SYNTAX", "nested too deeply");
        p.failed = true;
    }
    lexer_done(&p.lexer);
    return p.failed ? NULL : root;
}
