/* SPDX-License-Identifier: MIT */
/* A Pratt parser, straight over the text.  Binding powers follow the JMESPath grammar. */
#include <stdio.h>
#include "cli/jmespath_tree.h"

#define DEPTH_MAX 64
#define EXPRESSION_MAX 16384

enum token_kind {
    T_END,
    T_NAME,
    T_QUOTED,
    T_LITERAL,
    T_RAW,
    T_NUMBER,
    T_DOT,
    T_STAR,
    T_LBRACKET,
    T_FLATTEN,
    T_FILTER,
    T_RBRACKET,
    T_LBRACE,
    T_RBRACE,
    T_LPAREN,
    T_RPAREN,
    T_COMMA,
    T_COLON,
    T_COMPARE,
    T_AND,
    T_OR,
    T_NOT,
    T_PIPE,
    T_AT,
    T_AMPERSAND,
};

struct token {
    enum token_kind kind;
    struct str text; /* of T_QUOTED, T_LITERAL, T_RAW: between the quotes, as written */
    size_t at;
    int64_t number;
};

struct parser {
    struct str text;
    size_t at;
    int depth;
    struct token token; /* the next one */
    struct jmespath *path;
    struct err *err;
};

static bool next_token(struct parser *p);
static struct node *parse_expression(struct parser *p, int power);
static struct node *parse_prefix(struct parser *p);
static struct node *parse_suffix(struct parser *p, struct node *left);
static struct node *parse_projected(struct parser *p, int power);

struct jmespath *
jmespath_parse(struct str expression, struct err *err)
{
    struct jmespath *path = mem_new(sizeof(*path));
    struct parser p = {.text = expression, .path = path, .err = err};

    path->literals = json_array();
    if (expression.len > EXPRESSION_MAX) {
        err_set(err, ERR_USAGE, "Bad value for --query: longer than %d bytes", EXPRESSION_MAX);
    } else if (next_token(&p)) {
        path->root = parse_expression(&p, 0);
        if (path->root != NULL && p.token.kind == T_END)
            return path;
        if (path->root != NULL)
            err_set(err, ERR_USAGE,
                    "Bad value for --query: unexpected '" STR_FMT "' at character %zu",
                    STR_ARG(p.token.text), p.token.at + 1);
    }
    jmespath_free(path);
    return NULL;
}

void
jmespath_free(struct jmespath *path)
{
    if (path == NULL)
        return;
    json_unref(path->literals);
    arena_done(&path->arena);
    free(path);
}

/* ---- tokens ---- */

static bool
is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
fail(struct parser *p, const char *what)
{
    return err_set(p->err, ERR_USAGE, "Bad value for --query: %s at character %zu of '" STR_FMT "'",
                   what, p->token.at + 1, STR_ARG(p->text));
}

static bool
take_quoted(struct parser *p, enum token_kind kind)
{
    const char quote = p->text.at[p->at++];
    const size_t begin = p->at;

    while (p->at < p->text.len && p->text.at[p->at] != quote)
        p->at += p->text.at[p->at] == '\\' && p->at + 1 < p->text.len ? 2 : 1;
    if (p->at >= p->text.len)
        return fail(p, "a quote is not closed");
    p->token.kind = kind;
    p->token.text = str_slice(p->text, begin, p->at);
    p->at++;
    return true;
}

static bool
take_number(struct parser *p)
{
    const size_t begin = p->at;

    p->at++;
    while (p->at < p->text.len && is_digit(p->text.at[p->at]))
        p->at++;
    p->token.kind = T_NUMBER;
    p->token.text = str_slice(p->text, begin, p->at);
    if (!str_to_i64(p->token.text, &p->token.number) || p->token.number > INT32_MAX ||
        p->token.number < INT32_MIN)
        return fail(p, "a number is wrong or too large");
    return true;
}

static bool
take_sign(struct parser *p)
{
    static const struct {
        const char *text;
        enum token_kind kind;
    } signs[] = {
        {"[?", T_FILTER},  {"[]", T_FLATTEN},  {"==", T_COMPARE}, {"!=", T_COMPARE},
        {"<=", T_COMPARE}, {">=", T_COMPARE},  {"&&", T_AND},     {"||", T_OR},
        {"<", T_COMPARE},  {">", T_COMPARE},   {"[", T_LBRACKET}, {"]", T_RBRACKET},
        {"{", T_LBRACE},   {"}", T_RBRACE},    {"(", T_LPAREN},   {")", T_RPAREN},
        {",", T_COMMA},    {":", T_COLON},     {"!", T_NOT},      {"|", T_PIPE},
        {"@", T_AT},       {"&", T_AMPERSAND}, {".", T_DOT},      {"*", T_STAR},
    };

    for (size_t i = 0; i < ARRAY_COUNT(signs); i++) {
        const struct str sign = str_of(signs[i].text);

        if (str_starts(str_slice(p->text, p->at, p->text.len), sign)) {
            p->token.kind = signs[i].kind;
            p->token.text = str_slice(p->text, p->at, p->at + sign.len);
            p->at += sign.len;
            return true;
        }
    }
    return fail(p, "a character that JMESPath does not know");
}

static bool
next_token(struct parser *p)
{
    char c;

    while (p->at < p->text.len && strchr(" \t\r\n", p->text.at[p->at]) != NULL)
        p->at++;
    p->token = (struct token){.kind = T_END, .at = p->at};
    if (p->at >= p->text.len)
        return true;
    c = p->text.at[p->at];
    if (c == '"')
        return take_quoted(p, T_QUOTED);
    if (c == '\'')
        return take_quoted(p, T_RAW);
    if (c == '`')
        return take_quoted(p, T_LITERAL);
    if (is_digit(c) || (c == '-' && p->at + 1 < p->text.len && is_digit(p->text.at[p->at + 1])))
        return take_number(p);
    if (!is_name_start(c))
        return take_sign(p);
    while (p->at < p->text.len && (is_name_start(p->text.at[p->at]) || is_digit(p->text.at[p->at])))
        p->at++;
    p->token.kind = T_NAME;
    p->token.text = str_slice(p->text, p->token.at, p->at);
    return true;
}

/* ---- the tree ---- */

static struct node *
node_new(struct parser *p, enum node_kind kind)
{
    struct node *n = arena_alloc(&p->path->arena, sizeof(*n));

    n->kind = kind;
    return n;
}

static struct node *
node_binary(struct parser *p, enum node_kind kind, struct node *left, struct node *right)
{
    struct node *n;

    if (left == NULL || right == NULL)
        return NULL;
    n = node_new(p, kind);
    n->left = left;
    n->right = right;
    return n;
}

static struct node *
nothing(struct parser *p, const char *what)
{
    fail(p, what);
    return NULL;
}

static bool
expect(struct parser *p, enum token_kind kind, const char *what)
{
    if (p->token.kind != kind)
        return fail(p, what);
    return next_token(p);
}

static int
power_of(enum token_kind kind)
{
    switch (kind) {
    case T_PIPE:
        return 1;
    case T_OR:
        return 2;
    case T_AND:
        return 3;
    case T_COMPARE:
        return 5;
    case T_FLATTEN:
        return 9;
    case T_STAR:
        return 20;
    case T_FILTER:
        return 21;
    case T_DOT:
        return 40;
    case T_NOT:
        return 45;
    case T_LBRACE:
        return 50;
    case T_LBRACKET:
        return 55;
    case T_LPAREN:
        return 60;
    default:
        return 0;
    }
}

static struct node *
parse_expression(struct parser *p, int power)
{
    struct node *left;

    if (++p->depth > DEPTH_MAX)
        return nothing(p, "nested too deeply");
    left = parse_prefix(p);
    while (left != NULL && power < power_of(p->token.kind))
        left = parse_suffix(p, left);
    p->depth--;
    return left;
}

static struct node *
literal_node(struct parser *p, struct json *value)
{
    struct node *n = node_new(p, NODE_LITERAL);

    n->literal = value;
    json_append(p->path->literals, value);
    return n;
}

/* `x` is JSON; what is not JSON is a text, as in old JMESPath. */
static struct node *
parse_literal(struct parser *p)
{
    const struct str text = str_trim(p->token.text);
    cleanup(strbuf_done) struct strbuf wrapped = {0};
    cleanup_json struct json *box = NULL;
    struct node *n;

    strbuf_add_cstr(&wrapped, "[");
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] != '\\' || i + 1 == text.len || text.at[i + 1] != '`')
            strbuf_add_char(&wrapped, text.at[i]);
    strbuf_add_cstr(&wrapped, "]");
    box = json_parse(strbuf_str(&wrapped), NULL);
    if (box != NULL && json_size(box) == 1)
        n = literal_node(p, json_ref(json_at(box, 0)));
    else
        n = literal_node(p, json_str(text));
    return next_token(p) ? n : NULL;
}

static struct node *
parse_raw(struct parser *p)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const struct str raw = p->token.text;
    struct node *n;

    for (size_t i = 0; i < raw.len; i++) {
        if (raw.at[i] == '\\' && i + 1 < raw.len && raw.at[i + 1] == '\'')
            i++;
        strbuf_add_char(&text, raw.at[i]);
    }
    n = literal_node(p, json_str(strbuf_str(&text)));
    return next_token(p) ? n : NULL;
}

static const char *
quoted_text(struct parser *p)
{
    cleanup_json struct json *box = NULL;
    char *text = arena_format(&p->path->arena, "[\"" STR_FMT "\"]", STR_ARG(p->token.text));

    box = json_parse(str_of(text), NULL);
    if (box == NULL || json_type(json_at(box, 0)) != JSON_TEXT) {
        fail(p, "a quoted name is not a JSON string");
        return NULL;
    }
    return arena_cstr(&p->path->arena, str_of(json_cstr(json_at(box, 0), "")));
}

static const char *
name_text(struct parser *p)
{
    return p->token.kind == T_QUOTED ? quoted_text(p) : arena_cstr(&p->path->arena, p->token.text);
}

static struct node *
parse_list_items(struct parser *p, enum node_kind kind, enum token_kind end)
{
    struct node *list = node_new(p, kind), **tail = &list->items;

    while (p->token.kind != end) {
        const char *key = NULL;

        if (kind == NODE_HASH) {
            if (p->token.kind != T_NAME && p->token.kind != T_QUOTED)
                return nothing(p, "expected a key");
            key = name_text(p);
            if (key == NULL || !next_token(p) || !expect(p, T_COLON, "expected ':'"))
                return NULL;
        }
        *tail = parse_expression(p, 0);
        if (*tail == NULL)
            return NULL;
        /* A bare name may appear in two lists; items are fresh nodes, so `next` is theirs alone. */
        (*tail)->key = key;
        tail = &(*tail)->next;
        if (p->token.kind == T_COMMA) {
            if (!next_token(p))
                return NULL;
            if (p->token.kind == end)
                return nothing(p, "a value is missing behind ','");
        } else if (p->token.kind != end) {
            return nothing(p, "expected ',' or the end of the list");
        }
    }
    if (list->items == NULL && kind != NODE_CALL)
        return nothing(p, "an empty selection");
    return next_token(p) ? list : NULL;
}

static struct node *
parse_call(struct parser *p, const char *name)
{
    const struct jmespath_function *function = jmespath_function_find(name);
    struct node *n;
    int count = 0;

    if (function == NULL) {
        err_set(p->err, ERR_USAGE, "Bad value for --query: the function '%s' is not built", name);
        return NULL;
    }
    if (!next_token(p)) /* ( */
        return NULL;
    n = parse_list_items(p, NODE_CALL, T_RPAREN);
    if (n == NULL)
        return NULL;
    n->text = name;
    for (const struct node *item = n->items; item != NULL; item = item->next)
        count++;
    if (count < function->argument_min || count > function->argument_max) {
        err_set(p->err, ERR_USAGE, "Bad value for --query: %s() takes %d argument(s), not %d", name,
                function->argument_min, count);
        return NULL;
    }
    return n;
}

/* Behind '[': a number, a slice or '*'. */
static struct node *
parse_bracket(struct parser *p, struct node *left)
{
    struct node *n;

    if (p->token.kind == T_STAR) {
        if (!next_token(p) || !expect(p, T_RBRACKET, "expected ']'"))
            return NULL;
        return node_binary(p, NODE_PROJECTION, left, parse_projected(p, power_of(T_STAR)));
    }
    n = node_new(p, NODE_INDEX);
    n->left = left;
    n->step = 1;
    if (p->token.kind == T_NUMBER) {
        n->start = p->token.number;
        n->has_start = true;
        if (!next_token(p))
            return NULL;
    }
    if (p->token.kind == T_COLON) {
        n->kind = NODE_SLICE;
        if (!next_token(p))
            return NULL;
        if (p->token.kind == T_NUMBER) {
            n->stop = p->token.number;
            n->has_stop = true;
            if (!next_token(p))
                return NULL;
        }
        if (p->token.kind == T_COLON) {
            if (!next_token(p))
                return NULL;
            if (p->token.kind == T_NUMBER) {
                n->step = p->token.number;
                if (!next_token(p))
                    return NULL;
            }
        }
        if (n->step == 0)
            return nothing(p, "a slice cannot have step 0");
    } else if (!n->has_start) {
        return nothing(p, "expected an index, a slice or '*'");
    }
    if (!expect(p, T_RBRACKET, "expected ']'"))
        return NULL;
    if (n->kind == NODE_SLICE)
        return node_binary(p, NODE_PROJECTION, n, parse_projected(p, power_of(T_STAR)));
    return n;
}

static struct node *
parse_filter(struct parser *p, struct node *left)
{
    struct node *condition = parse_expression(p, 0), *n;

    if (condition == NULL || !expect(p, T_RBRACKET, "expected ']'"))
        return NULL;
    n = node_binary(p, NODE_FILTER, left, parse_projected(p, power_of(T_FILTER)));
    if (n != NULL)
        n->condition = condition;
    return n;
}

/* What a projection applies to each item: what follows, until something binds weaker. */
static struct node *
parse_projected(struct parser *p, int power)
{
    if (power_of(p->token.kind) < 10)
        return node_new(p, NODE_CURRENT);
    if (p->token.kind == T_LBRACKET || p->token.kind == T_FILTER)
        return parse_expression(p, power);
    if (p->token.kind == T_DOT) {
        if (!next_token(p))
            return NULL;
        if (p->token.kind != T_NAME && p->token.kind != T_QUOTED && p->token.kind != T_STAR &&
            p->token.kind != T_LBRACKET && p->token.kind != T_LBRACE)
            return nothing(p, "expected a name behind '.'");
        return parse_expression(p, power);
    }
    return nothing(p, "unexpected token");
}

static struct node *
parse_prefix(struct parser *p)
{
    const struct token token = p->token;
    struct node *n;

    switch (token.kind) {
    case T_NAME:
    case T_QUOTED: {
        const char *name = name_text(p);

        if (name == NULL || !next_token(p))
            return NULL;
        if (p->token.kind == T_LPAREN && token.kind == T_NAME)
            return parse_call(p, name);
        n = node_new(p, NODE_FIELD);
        n->text = name;
        return n;
    }
    case T_LITERAL:
        return parse_literal(p);
    case T_RAW:
        return parse_raw(p);
    case T_AT:
        return next_token(p) ? node_new(p, NODE_CURRENT) : NULL;
    case T_STAR:
        if (!next_token(p))
            return NULL;
        return node_binary(p, NODE_VALUES, node_new(p, NODE_CURRENT),
                           parse_projected(p, power_of(T_STAR)));
    case T_FLATTEN:
    case T_FILTER:
        return parse_suffix(p, node_new(p, NODE_CURRENT));
    case T_LBRACKET:
        if (!next_token(p))
            return NULL;
        if (p->token.kind == T_NUMBER || p->token.kind == T_COLON)
            return parse_bracket(p, node_new(p, NODE_CURRENT));
        if (p->token.kind == T_STAR) { /* [*] projects; [*, ...] cannot be written without a name */
            return parse_bracket(p, node_new(p, NODE_CURRENT));
        }
        return parse_list_items(p, NODE_LIST, T_RBRACKET);
    case T_LBRACE:
        return next_token(p) ? parse_list_items(p, NODE_HASH, T_RBRACE) : NULL;
    case T_LPAREN:
        if (!next_token(p))
            return NULL;
        n = parse_expression(p, 0);
        return n != NULL && expect(p, T_RPAREN, "expected ')'") ? n : NULL;
    case T_NOT:
    case T_AMPERSAND:
        if (!next_token(p))
            return NULL;
        n = node_new(p, token.kind == T_NOT ? NODE_NOT : NODE_REFERENCE);
        n->left = parse_expression(p, token.kind == T_NOT ? power_of(T_NOT) : 0);
        return n->left != NULL ? n : NULL;
    default:
        return nothing(p, "expected an expression");
    }
}

static struct node *
parse_dot(struct parser *p, struct node *left)
{
    if (p->token.kind == T_STAR) {
        if (!next_token(p))
            return NULL;
        return node_binary(p, NODE_VALUES, left, parse_projected(p, power_of(T_STAR)));
    }
    if (p->token.kind == T_LBRACKET) {
        if (!next_token(p))
            return NULL;
        return node_binary(p, NODE_SUB, left, parse_list_items(p, NODE_LIST, T_RBRACKET));
    }
    if (p->token.kind != T_NAME && p->token.kind != T_QUOTED && p->token.kind != T_LBRACE)
        return nothing(p, "expected a name behind '.'");
    return node_binary(p, NODE_SUB, left, parse_expression(p, power_of(T_DOT)));
}

static struct node *
parse_suffix(struct parser *p, struct node *left)
{
    const struct token token = p->token;
    struct node *n;

    if (!next_token(p))
        return NULL;
    switch (token.kind) {
    case T_DOT:
        return parse_dot(p, left);
    case T_PIPE:
        return node_binary(p, NODE_SUB, left, parse_expression(p, power_of(T_PIPE)));
    case T_AND:
        return node_binary(p, NODE_AND, left, parse_expression(p, power_of(T_AND)));
    case T_OR:
        return node_binary(p, NODE_OR, left, parse_expression(p, power_of(T_OR)));
    case T_COMPARE:
        n = node_binary(p, NODE_COMPARE, left, parse_expression(p, power_of(T_COMPARE)));
        if (n != NULL)
            n->text = arena_cstr(&p->path->arena, token.text);
        return n;
    case T_FLATTEN:
        n = node_new(p, NODE_FLATTEN);
        n->left = left;
        return node_binary(p, NODE_PROJECTION, n, parse_projected(p, power_of(T_FLATTEN)));
    case T_FILTER:
        return parse_filter(p, left);
    case T_LBRACKET:
        return parse_bracket(p, left);
    default:
        p->token = token;
        return nothing(p, "unexpected token");
    }
}
