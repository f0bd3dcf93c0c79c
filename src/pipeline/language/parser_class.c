/* SPDX-License-Identifier: MIT */
/* parser_class.c - classes, enums, interfaces, and annotations. */
#include "pipeline/language/parser.h"

static void
skip_types(struct parser *p) /* implements A, B<C> */
{
    while (!p->failed && parser_type_length(p, 0) > 0) {
        (void)parse_type(p);
        if (!parser_accept(p, T_COMMA))
            return;
    }
}

/* A(1), B: the constants of an enum, each as if it were a `new`. */
static void
parse_constants(struct parser *p, struct node *owner)
{
    struct node all = {0};

    while (!p->failed && parser_is(p, T_NAME)) {
        struct node *one = node_new(p, N_NEW, p->at);
        one->text = p->at->text;
        parser_next(p);
        if (parser_is(p, T_LPAREN))
            parse_arguments(p, one);
        node_append(&all, one);
        if (!parser_accept(p, T_COMMA))
            break;
    }
    parser_accept(p, T_SEMICOLON);
    owner->params = all.first;
}

/* The class does not become what the annotation says: it fails when it is reached. */
static void
refuse_annotation(struct parser *p, struct node *class, struct str name, const char *more)
{
    class->b = node_new(p, N_UNSUPPORTED, p->at);
    class->b->line = class->line;
    class->b->column = class->column;
    class->b->text = str_of(arena_format(p->arena, "@" STR_FMT "%s", STR_ARG(name), more));
}

struct str
parser_annotation(struct parser *p, struct node *arguments)
{
    struct str name;

    parser_next(p);
    name = p->at->text;
    parser_expect(p, T_NAME, "after '@'");
    while (parser_is(p, T_DOT) && p->at[1].type == T_NAME) {
        name = p->at[1].text;
        parser_next(p);
        parser_next(p);
    }
    if (parser_is(p, T_LPAREN)) {
        parser_next(p);
        p->inside++;
        while (!p->failed && !parser_is(p, T_RPAREN)) {
            node_append(arguments, parse_expression(p));
            if (!parser_accept(p, T_COMMA) && !parser_accept(p, T_ASSIGN))
                break;
        }
        p->inside--;
        parser_expect(p, T_RPAREN, "to close the annotation");
    }
    return name;
}

/* What an annotation makes of a class; those that only say something about it are without effect. */
void
parser_annotate(struct parser *p, struct node *class, struct str name,
                const struct node *arguments)
{
    static const struct {
        const char *name;
        unsigned transforms;
    } rows[] = {
        {"ToString", TRANSFORM_TEXT},
        {"EqualsAndHashCode", TRANSFORM_EQUALS},
        {"TupleConstructor", TRANSFORM_TUPLE},
        {"Canonical", TRANSFORM_TEXT | TRANSFORM_EQUALS | TRANSFORM_TUPLE},
        {"Immutable", TRANSFORM_TEXT | TRANSFORM_EQUALS | TRANSFORM_TUPLE | TRANSFORM_FINAL},
        {"Builder", 0},  {"Sortable", 0}, {"Singleton", 0}, {"Delegate", 0}, {"AutoClone", 0},
        {"Category", 0}, {"Mixin", 0},    {"Log", 0},       {"Slf4j", 0},    {"Bindable", 0},
    };
    const bool is_one = arguments != NULL && arguments->type == N_ASSIGN && arguments->next == NULL;
    size_t i = 0;

    while (i < ARRAY_COUNT(rows) && !str_is(name, rows[i].name))
        i++;
    if (i == ARRAY_COUNT(rows))
        return;
    class->transforms |= rows[i].transforms;
    if (str_is(name, "ToString") && is_one && str_is(arguments->a->text, "includeNames") &&
        arguments->b->type == N_BOOL)
        class->transforms |= arguments->b->number != 0 ? TRANSFORM_NAMES : 0u;
    else if (rows[i].transforms == 0 || arguments != NULL)
        refuse_annotation(p, class, name, arguments != NULL ? " with arguments" : "");
}

static void parse_member(struct parser *p, struct node *owner);

/* An annotation, and the member that it stands before. */
static void
parse_annotated(struct parser *p, struct node *owner)
{
    const struct node *before = owner->last;
    struct node arguments = {0};
    const struct str name = parser_annotation(p, &arguments);

    if (str_is(name, "Delegate"))
        parser_annotate(p, owner, name, NULL);
    if (!parser_enter(p))
        return;
    parse_member(p, owner);
    parser_leave(p);
    if (owner->last != before && owner->last->type == N_CLASS)
        parser_annotate(p, owner->last, name, arguments.first);
}

static void
parse_member(struct parser *p, struct node *owner)
{
    const bool has_modifier = (p->at->word_kind & WORD_IS_MODIFIER) != 0;
    bool is_static;
    struct node *n;

    if (parser_is(p, T_AT)) {
        parse_annotated(p, owner);
        return;
    }
    is_static = parse_modifiers(p);
    if (parser_word(p, WORD_CLASS) || parser_word(p, WORD_ENUM) || parser_word(p, WORD_INTERFACE)) {
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
    n = node_new(p, N_DECLARE, p->at);
    if (parser_is(p, T_NAME) && p->at[1].type == T_LPAREN) { /* it says no type */
        n->text = p->at->text;
        n->is_constructor = !is_static && str_equal(n->text, owner->text);
        parser_next(p);
        n = parse_method(p, n);
    } else if (parser_starts_declaration(p) || (has_modifier && parser_is(p, T_NAME))) {
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

/* To the brace that ends the block that is open. */
static void
skip_block(struct parser *p)
{
    for (unsigned depth = 1; !p->failed && !parser_is(p, T_END); parser_next(p)) {
        depth += parser_is(p, T_LBRACE);
        depth -= parser_is(p, T_RBRACE);
        if (depth == 0)
            break;
    }
}

struct node *
parse_class(struct parser *p)
{
    struct node *n = node_new(p, N_CLASS, p->at);
    const bool is_interface = parser_word(p, WORD_INTERFACE);
    struct place open;

    n->is_enum = parser_word(p, WORD_ENUM);
    parser_next(p);
    n->text = p->at->text;
    parser_expect(p, T_NAME, "as the name of the class");
    if (!n->is_enum && parser_word(p, WORD_EXTENDS)) {
        parser_next(p);
        n->type_text = parse_type(p);
        if (parser_accept(p, T_COMMA))
            skip_types(p);
    }
    if (parser_word(p, WORD_IMPLEMENTS)) {
        parser_next(p);
        skip_types(p);
    }
    open = parser_place(p);
    parser_expect(p, T_LBRACE, "to open the class");
    if (n->is_enum)
        parse_constants(p, n);
    if (is_interface)
        skip_block(p); /* names only */
    while (!p->failed && !parser_is(p, T_RBRACE) && !parser_is(p, T_END))
        if (!parser_accept(p, T_SEMICOLON))
            parse_member(p, n);
    parser_close(p, T_RBRACE, open, "the class");
    return n;
}

bool
parser_starts_trait(const struct parser *p)
{
    return parser_is(p, T_NAME) && str_is(p->at->text, "trait") && p->at[1].type == T_NAME &&
           (p->at[2].type == T_LBRACE || p->at[2].word == WORD_IMPLEMENTS ||
            p->at[2].word == WORD_EXTENDS);
}

/* trait Name { ... }: fails when it is reached. */
struct node *
parse_trait(struct parser *p)
{
    struct node *n = node_new(p, N_UNSUPPORTED, p->at);
    struct place open;

    n->text = str_of(arena_format(p->arena, "trait " STR_FMT, STR_ARG(p->at[1].text)));
    while (!parser_is(p, T_LBRACE) && !parser_is(p, T_END))
        parser_next(p);
    open = parser_place(p);
    parser_expect(p, T_LBRACE, "to open the trait");
    skip_block(p);
    parser_close(p, T_RBRACE, open, "the trait");
    return n;
}
