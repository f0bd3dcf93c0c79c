/* SPDX-License-Identifier: MIT */
#include "pipeline/parser.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

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
parser_is(const struct parser *p, enum token_type type)
{
    return p->at->type == type;
}

bool
parser_word(const struct parser *p, const char *word)
{
    return (p->at->type == T_KEYWORD || p->at->type == T_NAME) && str_is(p->at->text, word);
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

bool
parser_enter(struct parser *p)
{
    /* Each bracket costs several levels of the expression grammar. */
    if (++p->depth > SYNTAX_DEPTH_MAX * 4)
        parser_fail(p, p->at, "nested too deeply");
    return !p->failed;
}

void
parser_leave(struct parser *p)
{
    p->depth--;
}

bool
parser_continues(const struct parser *p)
{
    return p->inside > 0 || !p->at->newline;
}

static struct node *parse_statement(struct parser *p);

static bool
ends_statement(const struct parser *p)
{
    return p->at->newline || parser_is(p, T_SEMICOLON) || parser_is(p, T_RBRACE) ||
           parser_is(p, T_END);
}

/* One statement or a block in braces; its newlines count again. */
static struct node *
parse_body(struct parser *p)
{
    struct node *n;
    unsigned inside = p->inside;

    p->inside = 0;
    if (parser_is(p, T_LBRACE)) {
        n = node_new(p->arena, N_BLOCK, p->at);
        p->at++;
        if (parser_enter(p)) {
            parse_statements(p, n);
            parser_leave(p);
        }
        parser_expect(p, T_RBRACE, "to close the block");
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
    parser_expect(p, T_RBRACE, "to close 'switch'");
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
        while (!p->failed && !parser_is(p, T_LBRACE))
            p->at++;
    parser_expect(p, T_LBRACE, "to open the body of a function");
    if (parser_enter(p)) {
        parse_statements(p, n);
        parser_leave(p);
    }
    parser_expect(p, T_RBRACE, "to close the function");
    return n;
}

/* def (a, b) = list */
static struct node *
parse_declare_many(struct parser *p)
{
    struct node *n = node_new(p->arena, N_DECLARE_MANY, p->at);

    p->at++;
    while (!p->failed && !parser_is(p, T_RPAREN)) {
        struct node *one = node_new(p->arena, N_DECLARE, p->at);
        if (p->at[1].type == T_NAME && parser_type_length(p, 0) > 0)
            one->type_text = parse_type(p);
        one->text = p->at->text;
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
        return parse_declare_many(p);
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

static struct node *
skip_class(struct parser *p)
{
    struct node *n = node_new(p->arena, N_UNSUPPORTED, p->at);
    unsigned open = 0;

    n->text = STR("a class definition");
    while (!parser_is(p, T_END)) {
        if (parser_is(p, T_LBRACE))
            open++;
        if (parser_is(p, T_RBRACE) && open > 0 && --open == 0) {
            p->at++;
            return n;
        }
        p->at++;
    }
    parser_fail(p, p->at, "the class that starts on line %u does not end", n->line);
    return n;
}

static struct node *
parse_import(struct parser *p)
{
    struct node *n = node_new(p->arena, N_IMPORT, p->at);
    bool is_package = parser_word(p, "package");

    p->at++;
    while (!p->failed && !ends_statement(p)) {
        if (p->at->type == T_NAME)
            n->text = p->at->text;
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
        parser_accept(p, T_NAME);
        n->type = N_UNSUPPORTED;
        n->text = STR("a shared library (@Library)");
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
    n->a = parse_expression(p);
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

static struct node *
parse_keyword_statement(struct parser *p)
{
    static const struct {
        const char *word;
        struct node *(*parse)(struct parser *p);
    } table[] = {
        {"if", parse_if},         {"for", parse_for},        {"switch", parse_switch},
        {"try", parse_try},       {"throw", parse_return},   {"return", parse_return},
        {"assert", parse_assert}, {"import", parse_import},  {"package", parse_import},
        {"class", skip_class},    {"interface", skip_class}, {"enum", skip_class},
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
        return n;
    }
    if (parser_word(p, "do"))
        parser_fail(p, p->at, "'do ... while' is not part of a Jenkinsfile's Groovy; use 'while'");
    return NULL;
}

static struct node *
parse_statement_inner(struct parser *p)
{
    struct node *n;

    while (parser_word(p, "private") || parser_word(p, "public") || parser_word(p, "protected") ||
           parser_word(p, "static"))
        p->at++;
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
    return parse_command(p);
}

static struct node *
parse_statement(struct parser *p)
{
    struct node *n = node_new(p->arena, N_PASS, p->at);
    char found[80];

    if (!parser_enter(p))
        return n;
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
static const struct node *
too_deep(const struct node *n, unsigned depth)
{
    const struct node *parts[6];
    const struct node *found = NULL;

    if (n == NULL)
        return NULL;
    if (depth > SYNTAX_TREE_MAX)
        return n;
    parts[0] = n->a;
    parts[1] = n->b;
    parts[2] = n->c;
    parts[3] = n->d;
    parts[4] = n->first;
    parts[5] = n->params;
    for (size_t i = 0; i < ARRAY_COUNT(parts) && found == NULL; i++) {
        found = too_deep(parts[i], depth + 1);
        if (i >= 4 && parts[i] != NULL)
            for (const struct node *s = parts[i]->next; s != NULL && found == NULL; s = s->next)
                found = too_deep(s, depth + 1);
    }
    return found;
}

struct node *
syntax_parse(struct str text, struct arena *arena, struct diagnostics *d)
{
    struct tokens tokens = {0};
    struct parser p = {.arena = arena, .d = d};
    struct node *root = NULL;

    if (lexer_run(text, arena, &tokens, d)) {
        p.at = tokens.at;
        p.end = tokens.at + tokens.count - 3;
        root = node_new(arena, N_BLOCK, p.at);
        parse_statements(&p, root);
        if (!p.failed && !parser_is(&p, T_END))
            parser_fail(&p, p.at, "unexpected '}'");
        const struct node *deep = p.failed ? NULL : too_deep(root, 0);
        if (deep != NULL) {
            diagnostics_add(d, deep->line, deep->column, "E-SYNTAX", "nested too deeply");
            p.failed = true;
        }
    }
    free(tokens.at);
    return p.failed ? NULL : root;
}
