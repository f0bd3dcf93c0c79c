/* SPDX-License-Identifier: MIT */
#include "pipeline/language/parser.h"

/* Binary operators by how tightly they bind; the rest is none. */
static const unsigned char precedences[] = {
    [T_OR_OR] = 1,     [T_AND_AND] = 2,    [T_OR] = 3,        [T_XOR] = 4,           [T_AND] = 5,
    [T_FIND] = 6,      [T_FULL_MATCH] = 6, [T_EQUAL] = 7,     [T_NOT_EQUAL] = 7,     [T_IDENTICAL] = 7,
    [T_COMPARE] = 7,   [T_LESS] = 8,       [T_LESS_EQUAL] = 8, [T_GREATER] = 8,      [T_GREATER_EQUAL] = 8,
    [T_SHL] = 9,       [T_SHR] = 9,        [T_USHR] = 9,      [T_RANGE] = 9,         [T_RANGE_OPEN] = 9,
    [T_ADD] = 10,      [T_SUB] = 10,       [T_MUL] = 11,      [T_DIV] = 11,          [T_MOD] = 11,
    [T_POW] = 12,      [T_NOT_IDENTICAL] = 7,
};
#define PRECEDENCE_OF_WORDS 8 /* in, instanceof, as */

static int
precedence(const struct token *t)
{
    return (t->word_kind & WORD_IS_OPERATOR) != 0 ? PRECEDENCE_OF_WORDS : precedences[t->type];
}

static bool
starts_argument(struct parser *p)
{
    const struct token *t = p->at;

    if (!parser_continues(p))
        return false;
    switch (t->type) {
    case T_NAME:
    case T_INT:
    case T_DECIMAL:
    case T_TEXT:
    case T_GSTRING:
        return true;
    case T_KEYWORD:
        return t[1].type == T_COLON || t->word == WORD_NEW ||
               ((t->word_kind & WORD_IS_VALUE) != 0 && t->word != WORD_SUPER);
    default:
        return false;
    }
}

static bool
is_named_argument(const struct parser *p)
{
    const struct token *t = p->at;

    return t[1].type == T_COLON &&
           (t->type == T_NAME || t->type == T_KEYWORD || t->type == T_TEXT || t->type == T_INT);
}

static struct node *
parse_gstring(struct parser *p)
{
    struct node *n = node_new(p, N_GSTRING, p->at);

    parser_expect(p, T_GSTRING, "here");
    while (!p->failed && !parser_is(p, T_GSTRING_END)) {
        struct node *part;
        unsigned inside = p->inside;
        if (parser_is(p, T_TEXT)) {
            part = node_new(p, N_TEXT, p->at);
            part->text = p->at->text;
            parser_next(p);
        } else {
            parser_expect(p, T_INTERPOLATE, "in a string");
            p->inside = 1;
            if (parser_is(p, T_INTERPOLATED)) {
                part = node_new(p, N_NULL, p->at);
            } else if (parser_is(p, T_ARROW) ||
                       (parser_is(p, T_NAME) && p->at[1].type == T_ARROW)) {
                part = node_new(p, N_CLOSURE, p->at); /* made anew when it is read */
                parse_parameters(p, part, T_ARROW);
                node_append(part, parse_expression(p));
            } else {
                part = parse_expression(p);
            }
            p->inside = inside;
            parser_expect(p, T_INTERPOLATED, "to close '${'");
        }
        node_append(n, part);
    }
    parser_expect(p, T_GSTRING_END, "in a string");
    return n;
}

/* key: value, in calls, maps and commands. */
static struct node *
parse_named(struct parser *p)
{
    struct node *n = node_new(p, N_NAMED, p->at);

    n->text = p->at->text;
    if (p->at->type == T_INT)
        n->a = parse_number(p);
    parser_next(p);
    parser_expect(p, T_COLON, "after the name of an argument");
    n->b = parse_expression(p);
    return n;
}

/* Beside words and texts a name may be whatever brackets hold, and a number without a sign. */
static bool
may_be_name(const struct node *n, enum token_type first)
{
    switch (n->type) {
    case N_GSTRING:
    case N_LIST:
    case N_MAP:
    case N_CLOSURE:
        return true;
    default:
        return n->is_block_arg || (n->type == N_DECIMAL && first == T_DECIMAL);
    }
}

static struct node *
parse_argument(struct parser *p)
{
    const enum token_type first = p->at->type;
    struct node *n;

    if (is_named_argument(p))
        return parse_named(p);
    if (parser_is(p, T_MUL)) {
        n = node_new(p, N_SPREAD, p->at);
        parser_next(p);
        n->is_spread = parser_accept(p, T_COLON);
        n->a = parse_expression(p);
        return n;
    }
    n = parse_expression(p);
    if (parser_is(p, T_COLON) && may_be_name(n, first)) {
        struct node *named = node_new(p, N_NAMED, p->at);
        named->a = n;
        parser_next(p);
        named->b = parse_expression(p);
        return named;
    }
    return n;
}

void
parse_arguments(struct parser *p, struct node *call)
{
    const struct place open = parser_place(p);

    parser_expect(p, T_LPAREN, "before arguments");
    p->inside++;
    while (!p->failed && !parser_is(p, T_RPAREN)) {
        node_append(call, parse_argument(p));
        if (!parser_accept(p, T_COMMA))
            break;
    }
    p->inside--;
    parser_close(p, T_RPAREN, open, "the argument list");
}

static struct node *
parse_list_or_map(struct parser *p)
{
    struct node *n = node_new(p, N_LIST, p->at);
    const struct place open = parser_place(p);

    parser_expect(p, T_LBRACKET, "here");
    p->inside++;
    if (parser_is(p, T_COLON) && p->at[1].type == T_RBRACKET) {
        n->type = N_MAP;
        parser_next(p);
    }
    while (!p->failed && !parser_is(p, T_RBRACKET)) {
        struct node *item = parse_argument(p);
        bool is_entry = item->type == N_NAMED || (item->type == N_SPREAD && item->is_spread);
        if (n->first == NULL && is_entry)
            n->type = N_MAP;
        else if ((n->type == N_MAP) != is_entry)
            parser_fail(p, p->at, "a list and a map cannot be mixed");
        node_append(n, item);
        if (!parser_accept(p, T_COMMA))
            break;
    }
    p->inside--;
    parser_close(p, T_RBRACKET, open, "the list");
    return n;
}

static bool
closure_has_parameters(struct parser *p)
{
    for (size_t i = 1; i < 200; i++) {
        const struct token *t = parser_peek(p, i);
        /* A list of parameters goes on behind a comma only. */
        if (i > 1 && t->newline && t->type != T_ARROW && t[-1].type != T_COMMA)
            return false;
        switch (t->type) {
        case T_ARROW:
            return true;
        case T_NAME:
        case T_KEYWORD:
        case T_COMMA:
        case T_ASSIGN:
        case T_LBRACKET:
        case T_RBRACKET:
        case T_TEXT:
        case T_INT:
        case T_DECIMAL:
        case T_DOT:
        case T_LESS:
        case T_GREATER:
        case T_COLON:
        case T_ELLIPSIS:
            continue;
        default:
            return false;
        }
    }
    return false;
}

void
parse_parameters(struct parser *p, struct node *owner, enum token_type closing)
{
    struct node head = {0};

    while (!p->failed && !parser_is(p, closing)) {
        struct node *param = node_new(p, N_PARAMETER, p->at);
        while ((p->at->word_kind & WORD_DECLARES) != 0)
            parser_next(p);
        if (parser_type_then(p, T_NAME) || parser_type_then(p, T_ELLIPSIS))
            param->type_text = parse_type(p);
        param->is_spread = parser_accept(p, T_ELLIPSIS);
        if (!parser_is(p, T_NAME)) {
            parser_fail(p, p->at, "expected the name of a parameter, found %s",
                        token_name(p->at->type));
            break;
        }
        param->text = p->at->text;
        parser_next(p);
        if (parser_accept(p, T_ASSIGN))
            param->b = parse_expression(p);
        node_append(&head, param);
        if (!parser_accept(p, T_COMMA))
            break;
    }
    parser_expect(p, closing, "after the parameters");
    owner->params = head.first;
    owner->has_params = true;
}

struct node *
parse_closure(struct parser *p)
{
    struct node *n = node_new(p, N_CLOSURE, p->at);
    unsigned inside = p->inside;
    bool no_named = p->no_named_command;
    const struct place open = parser_place(p);

    if (!parser_enter(p))
        return n;
    if (closure_has_parameters(p)) {
        parser_next(p);
        p->inside = 1;
        parse_parameters(p, n, T_ARROW);
    } else {
        parser_expect(p, T_LBRACE, "to open a block");
    }
    p->inside = 0;
    p->no_named_command = false;
    parse_statements(p, n);
    p->inside = inside;
    p->no_named_command = no_named;
    parser_close(p, T_RBRACE, open, "the block");
    parser_leave(p);
    return n;
}

static struct node *
parse_new(struct parser *p)
{
    struct node *n = node_new(p, N_NEW, p->at);

    parser_next(p);
    if (parser_type_length(p, 0) == 0) {
        parser_fail(p, p->at, "expected a class after 'new', found %s", token_name(p->at->type));
        return n;
    }
    n->text = parse_type(p);
    if (parser_is(p, T_LPAREN)) {
        parse_arguments(p, n);
        return n;
    }
    while (parser_is(p, T_LBRACKET) && !p->failed) { /* new int[2][3] */
        const struct place open = parser_place(p);
        parser_next(p);
        p->inside++;
        node_append(n, parse_expression(p));
        p->inside--;
        parser_close(p, T_RBRACKET, open, "the size");
        n->op = T_LBRACKET;
    }
    if (n->first == NULL)
        parser_fail(p, p->at, "expected '(' after 'new " STR_FMT "'", STR_ARG(n->text));
    return n;
}

static struct node *
parse_keyword(struct parser *p)
{
    const struct token *t = p->at;
    struct node *n;

    if (t->word == WORD_NEW)
        return parse_new(p);
    n = node_new(p, N_NULL, t);
    if (t->word == WORD_TRUE || t->word == WORD_FALSE) {
        n->type = N_BOOL;
        n->number = t->word == WORD_TRUE;
    } else if (t->word == WORD_THIS || t->word == WORD_SUPER || parser_is_type(t)) {
        n->type = N_NAME;
        n->text = t->text;
    } else if (t->word != WORD_NULL) {
        parser_fail(p, t, "unexpected '" STR_FMT "'", STR_ARG(t->text));
        return n;
    }
    parser_next(p);
    return n;
}

/* "(T) x": only before something that cannot continue "(T)" otherwise. */
static bool
is_cast(struct parser *p)
{
    size_t n = parser_type_length(p, 1);
    const struct token *t;

    if (n == 0 || parser_peek(p, n + 1)->type != T_RPAREN)
        return false;
    t = parser_peek(p, n + 2);
    if (t->newline && p->inside == 0)
        return false;
    if (t->type == T_SUB) /* (int) -x; but (A) - b subtracts */
        return p->at[1].type == T_KEYWORD;
    return t->type == T_NAME || t->type == T_INT || t->type == T_DECIMAL || t->type == T_TEXT ||
           t->type == T_GSTRING || t->type == T_LPAREN || t->type == T_LBRACKET ||
           t->word == WORD_NEW || t->word == WORD_THIS;
}

/* A name or a string. */
static inline struct node *
parse_word(struct parser *p, enum node_type type)
{
    struct node *n = node_new(p, type, p->at);

    n->text = p->at->text;
    parser_next(p);
    return n;
}

static struct node *
parse_primary(struct parser *p)
{
    const struct token *t = p->at;
    const struct place place = parser_place(p);
    struct node *n;

    switch (t->type) {
    case T_NAME:
        return parse_word(p, N_NAME);
    case T_TEXT:
        return parse_word(p, N_TEXT);
    case T_INT:
    case T_DECIMAL:
        n = parse_number(p);
        parser_next(p);
        return n;
    case T_KEYWORD:
        return parse_keyword(p);
    case T_GSTRING:
        return parse_gstring(p);
    case T_LBRACKET:
        return parse_list_or_map(p);
    case T_LBRACE:
        return parse_closure(p);
    case T_LPAREN:
        parser_next(p);
        p->inside++;
        n = parse_command(p);
        p->inside--;
        parser_close(p, T_RPAREN, place, "the bracket");
        n->is_block_arg = true; /* bracketed: may be a map key */
        return n;
    default:
        parser_fail(p, t, "unexpected %s", token_name(t->type));
        return node_new(p, N_NULL, p->at);
    }
}

static void
set_member(struct parser *p, struct node *n)
{
    const struct token *t = p->at;

    if (t->type == T_NAME || t->type == T_KEYWORD || t->type == T_TEXT) {
        n->text = t->text;
        parser_next(p);
    } else if (t->type == T_GSTRING) {
        n->b = parse_gstring(p);
    } else if (t->type == T_LPAREN) {
        parser_next(p);
        p->inside++;
        n->b = parse_expression(p);
        p->inside--;
        parser_expect(p, T_RPAREN, "to close '('");
    } else {
        parser_fail(p, t, "expected a name after '.', found %s", token_name(t->type));
    }
}

static struct node *
parse_member(struct parser *p, struct node *object)
{
    struct node *n = node_new(p, N_PROPERTY, p->at);

    n->a = object;
    n->line = object->line;
    n->column = object->column;
    n->is_safe = parser_is(p, T_SAFE_DOT);
    n->is_spread = parser_is(p, T_SPREAD_DOT);
    if (parser_is(p, T_METHOD_POINTER)) {
        n->type = N_METHOD_POINTER;
        parser_next(p);
        n->text = p->at->text;
        parser_expect(p, T_NAME, "after '.&'");
        return n;
    }
    parser_next(p);
    if (parser_accept(p, T_AT))
        parser_fail(p, p->at - 1, "field access with '.@' is not allowed in a Jenkinsfile");
    set_member(p, n);
    return n;
}

/* A name and a property become a call where they stand; any other value is called by itself. */
static struct node *
call_of(struct parser *p, struct node *callee)
{
    struct node *n = callee;

    if (callee->type == N_NAME || callee->type == N_PROPERTY) {
        n->type = N_CALL;
        n->is_block_arg = false;
    } else {
        n = node_new(p, N_CALL, p->at);
        n->line = callee->line;
        n->column = callee->column;
        n->a = callee;
        n->text = STR("call");
    }
    return n;
}

static void
append_closure(struct parser *p, struct node *call)
{
    struct node *closure = parse_closure(p);

    closure->is_block_arg = true;
    node_append(call, closure);
}

/* A '{' on the next line still belongs to `name` and `name(...)` (Allman style). */
static bool
takes_block(const struct parser *p, const struct node *n)
{
    if (n->type == N_CALL && !n->is_command)
        return n->last == NULL || !n->last->is_block_arg || n->last->type != N_CLOSURE ||
               parser_continues(p);
    return n->type == N_NAME || (n->type == N_PROPERTY && parser_continues(p));
}

static struct node *
parse_index(struct parser *p, struct node *object)
{
    struct node *n = node_new(p, N_INDEX, p->at);
    const struct place open = parser_place(p);

    n->a = object;
    parser_next(p);
    p->inside++;
    while (!p->failed && !parser_is(p, T_RBRACKET)) {
        node_append(n, parse_expression(p));
        if (!parser_accept(p, T_COMMA))
            break;
    }
    p->inside--;
    parser_close(p, T_RBRACKET, open, "the index");
    return n;
}

/* One more of what follows a value, or NULL. */
static struct node *
parse_suffix(struct parser *p, struct node *n)
{
    switch (p->at->type) {
    case T_DOT:
    case T_SAFE_DOT:
    case T_SPREAD_DOT:
    case T_METHOD_POINTER:
        return parse_member(p, n);
    case T_LPAREN:
        if (!parser_continues(p))
            return NULL;
        n = call_of(p, n);
        parse_arguments(p, n);
        return n;
    case T_LBRACE:
        if (!takes_block(p, n))
            return NULL;
        if (n->type != N_CALL)
            n = call_of(p, n);
        append_closure(p, n);
        return n;
    case T_LBRACKET:
        return parser_continues(p) ? parse_index(p, n) : NULL;
    default:
        return NULL;
    }
}

/* What follows a value: `.b`, `(c)`, `[d]`, `++`; T_XOR is the last type. */
static const bool begins_suffix[T_XOR + 1] = {
    [T_DOT] = true,    [T_SAFE_DOT] = true, [T_SPREAD_DOT] = true, [T_METHOD_POINTER] = true, [T_LPAREN] = true,
    [T_LBRACE] = true, [T_LBRACKET] = true, [T_INCREMENT] = true,  [T_DECREMENT] = true,
};

static struct node *
parse_suffixes(struct parser *p, struct node *n)
{
    struct node *next;
    unsigned length = 0;

    while (parser_chain(p, &length, "expression")) {
        next = parse_suffix(p, n);
        if (next == NULL)
            break;
        n = next;
    }
    if ((parser_is(p, T_INCREMENT) || parser_is(p, T_DECREMENT)) && parser_continues(p)) {
        next = node_new(p, N_POSTFIX, p->at);
        next->op = p->at->type;
        next->a = n;
        parser_next(p);
        return next;
    }
    return n;
}

static struct node *
parse_unary(struct parser *p)
{
    unsigned operand;
    struct node *n;

    if (!parser_enter(p))
        return node_new(p, N_UNARY, p->at);
    switch (p->at->type) {
    case T_NOT:
    case T_TILDE:
    case T_SUB:
    case T_ADD:
    case T_INCREMENT:
    case T_DECREMENT:
        n = node_new(p, N_UNARY, p->at);
        n->op = p->at->type;
        if (n->op == T_INCREMENT || n->op == T_DECREMENT)
            n->type = N_PREFIX;
        parser_next(p);
        operand = p->at->offset;
        n->a = parse_unary(p);
        take_sign(p, n, operand);
        break;
    case T_LPAREN:
        if (is_cast(p)) {
            n = node_new(p, N_CAST, p->at);
            parser_next(p);
            n->text = parse_type(p);
            if (!p->failed)
                parser_next(p);
            n->a = parse_unary(p);
            break;
        }
        n = parse_suffixes(p, parse_primary(p));
        break;
    default:
        n = parse_suffixes(p, parse_primary(p));
        break;
    }
    parser_leave(p);
    return n;
}

static struct node *
parse_type_operator(struct parser *p, struct node *left)
{
    const bool is_question = parser_word(p, WORD_INSTANCEOF);
    const struct str word = p->at->text;
    struct node *n = node_new(p, is_question ? N_INSTANCEOF : N_CAST, p->at);

    n->a = left;
    parser_next(p);
    if (parser_type_length(p, 0) == 0)
        parser_fail(p, p->at, "expected a type after '" STR_FMT "', found %s", STR_ARG(word),
                    token_name(p->at->type));
    n->text = parse_type(p);
    return n;
}

/* What binds as tightly as `minimum` at least, behind its left operand. */
static struct node *
parse_binary(struct parser *p, struct node *left, int minimum)
{
    unsigned length = 0;

    for (;;) {
        int strength = precedence(p->at);
        struct node *n;
        if (parser_is(p, T_NOT) && parser_continues(p) &&
            (p->at[1].word == WORD_IN || p->at[1].word == WORD_INSTANCEOF))
            parser_fail(p, p->at,
                        "'!" STR_FMT "' is not part of a Jenkinsfile's Groovy; write "
                        "!(a " STR_FMT " b)",
                        STR_ARG(p->at[1].text), STR_ARG(p->at[1].text));
        if (strength == 0 || strength < minimum || p->failed)
            return left;
        if (!parser_continues(p))
            return left;
        if (!parser_chain(p, &length, "expression"))
            return left;
        if (parser_word(p, WORD_INSTANCEOF) || parser_word(p, WORD_AS)) {
            left = parse_type_operator(p, left);
            continue;
        }
        n = node_new(p, p->at->type == T_KEYWORD ? N_IN : N_BINARY, p->at);
        n->op = p->at->type;
        n->a = left;
        parser_next(p);
        if (!parser_enter(p))
            return left;
        n->b = parse_binary(p, parse_unary(p), strength + 1);
        parser_leave(p);
        left = n;
    }
}

static struct node *parse_ternary(struct parser *p);

/* Behind the condition, if it is one. */
static struct node *
parse_choice(struct parser *p, struct node *condition)
{
    struct node *n;

    if (!parser_is(p, T_QUESTION) && !parser_is(p, T_ELVIS))
        return condition;
    n = node_new(p, N_TERNARY, p->at);
    n->a = condition;
    if (!parser_enter(p))
        return n;
    if (parser_accept(p, T_ELVIS)) {
        n->c = parse_ternary(p);
    } else {
        parser_next(p);
        n->b = parse_ternary(p);
        parser_expect(p, T_COLON, "in 'condition ? a : b'");
        n->c = parse_ternary(p);
    }
    parser_leave(p);
    return n;
}

static struct node *
parse_ternary(struct parser *p)
{
    return parse_choice(p, parse_binary(p, parse_unary(p), 1));
}

static bool
is_assignment(enum token_type type)
{
    switch (type) {
    case T_ASSIGN:
    case T_ADD_ASSIGN:
    case T_SUB_ASSIGN:
    case T_MUL_ASSIGN:
    case T_DIV_ASSIGN:
    case T_MOD_ASSIGN:
    case T_POW_ASSIGN:
    case T_SHL_ASSIGN:
    case T_SHR_ASSIGN:
    case T_USHR_ASSIGN:
    case T_OR_ASSIGN:
    case T_AND_ASSIGN:
    case T_XOR_ASSIGN:
        return true;
    default:
        return false;
    }
}

/* Behind the left side; the right one may be a command (`x = sh script: ..`). */
static struct node *
parse_assignment(struct parser *p, struct node *left)
{
    struct node *n;

    if (!is_assignment(p->at->type) || !parser_continues(p))
        return left;
    if (left->type != N_NAME && left->type != N_PROPERTY && left->type != N_INDEX &&
        left->type != N_UNSUPPORTED) {
        parser_fail(p, p->at, "cannot assign to this expression");
        return left;
    }
    n = node_new(p, N_ASSIGN, p->at);
    n->line = left->line;
    n->column = left->column;
    n->op = p->at->type;
    n->a = left;
    parser_next(p);
    if (!parser_enter(p))
        return n;
    n->b = parse_command(p);
    parser_leave(p);
    return n;
}

/* Most expressions are an operand and nothing else. These have no sign, and behind them come what ends them
 * wherever they stand. T_XOR is the last type. */
static const bool is_operand[T_XOR + 1] = {[T_NAME] = true, [T_INT] = true, [T_TEXT] = true, [T_GSTRING] = true};
static const bool ends_expression[T_XOR + 1] = {
    [T_END] = true,       [T_NAME] = true,         [T_INT] = true,    [T_DECIMAL] = true,
    [T_TEXT] = true,      [T_GSTRING] = true,      [T_RPAREN] = true, [T_RBRACKET] = true,
    [T_RBRACE] = true,    [T_COMMA] = true,        [T_COLON] = true,  [T_ARROW] = true,
    [T_SEMICOLON] = true, [T_INTERPOLATED] = true,
};

/* As parse_unary(), of one that is_operand[] knows. */
static struct node *
parse_operand(struct parser *p)
{
    struct node *n;

    if (!parser_enter(p))
        return node_new(p, N_NULL, p->at);
    if (parser_is(p, T_NAME))
        n = parse_word(p, N_NAME);
    else if (parser_is(p, T_TEXT))
        n = parse_word(p, N_TEXT);
    else
        n = parse_primary(p);
    if (begins_suffix[p->at->type])
        n = parse_suffixes(p, n);
    parser_leave(p);
    return n;
}

struct node *
parse_expression(struct parser *p)
{
    struct node *n;

    if (!parser_enter(p))
        return node_new(p, N_NULL, p->at);
    n = is_operand[p->at->type] ? parse_operand(p) : parse_unary(p);
    if (!ends_expression[p->at->type])
        n = parse_assignment(p, parse_choice(p, parse_binary(p, n, 1)));
    parser_leave(p);
    return n;
}

/* The arguments of `name a, b: c`. */
static struct node *
parse_command_arguments(struct parser *p, struct node *callee)
{
    struct node *call = call_of(p, callee);

    call->is_command = true;
    do {
        if (p->no_named_command && is_named_argument(p))
            parser_fail(p, p->at,
                        "named arguments without brackets cannot follow 'return'; write '" STR_FMT
                        "(...)'",
                        STR_ARG(call->text));
        node_append(call, parse_argument(p));
    } while (!p->failed && parser_accept(p, T_COMMA));
    return call;
}

struct node *
parse_command(struct parser *p)
{
    struct node *n = parse_expression(p);
    unsigned length = 0;

    while (!p->failed && starts_argument(p)) {
        bool callable = n->type == N_NAME || n->type == N_PROPERTY || n->type == N_CALL;
        if (!callable || n->is_block_arg)
            break;
        if (!parser_chain(p, &length, "command"))
            break;
        if (n->type != N_CALL) {
            n = parse_command_arguments(p, n);
            if (parser_is(p, T_LBRACE)) {
                if (!parser_continues(p))
                    parser_fail(p, p->at,
                                "a '{' on the next line is ambiguous here; put it behind the "
                                "arguments, or the arguments into brackets");
                else
                    append_closure(p, n);
            }
        } else if (parser_is(p, T_NAME)) { /* a b c d: a(b).c(d) */
            struct node *chained = node_new(p, N_PROPERTY, p->at);
            chained->a = n;
            chained->text = p->at->text;
            parser_next(p);
            if (starts_argument(p)) {
                n = parse_command_arguments(p, chained);
            } else if (parser_is(p, T_LPAREN) && parser_continues(p)) {
                n = call_of(p, chained);
                parse_arguments(p, n);
                if (parser_is(p, T_LBRACE) && parser_continues(p))
                    append_closure(p, n);
            } else if (parser_is(p, T_LBRACE) && parser_continues(p)) {
                n = call_of(p, chained);
                append_closure(p, n);
            } else {
                n = chained;
                break;
            }
        } else {
            break;
        }
    }
    return n;
}
