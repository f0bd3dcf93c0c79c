/* SPDX-License-Identifier: MIT */
/* parser_types.c - what is a type: "String", "java.util.Map<String, List>", "int[]". */
#include "pipeline/language/parser.h"

#define DIMENSIONS_MAX 255 /* as in Java */

size_t
parser_type_length(struct parser *p, size_t offset)
{
    size_t n = offset;
    const struct token *t = parser_peek(p, n);

    if (t->type != T_NAME && (t->word_kind & WORD_IS_TYPE) == 0)
        return 0;
    while (parser_peek(p, n + 1)->type == T_DOT && parser_peek(p, n + 2)->type == T_NAME)
        n += 2;
    if (!parser_is_type(parser_peek(p, n)))
        return 0;
    n++;
    if (parser_peek(p, n)->type == T_LESS) { /* generics: only names, commas, dots inside */
        int open = 0;
        size_t from = n;
        for (;; n++) {
            enum token_type type = parser_peek(p, n)->type;
            if (type == T_LESS)
                open++;
            else if (type == T_GREATER)
                open--;
            else if (type == T_SHR)
                open -= 2;
            else if (type != T_NAME && type != T_COMMA && type != T_DOT && type != T_QUESTION)
                return 0;
            if (open <= 0)
                break;
            if (n - from > 40)
                return 0;
        }
        n++;
    }
    while (parser_peek(p, n)->type == T_LBRACKET && parser_peek(p, n + 1)->type == T_RBRACKET)
        n += 2;
    return n - offset;
}

bool
parser_type_then(struct parser *p, enum token_type type)
{
    const size_t n = parser_type_length(p, 0);

    return n > 0 && parser_peek(p, n)->type == type;
}

struct str
parse_type(struct parser *p)
{
    const size_t n = parser_type_length(p, 0);
    size_t dimensions = 0;
    struct str name = {0};
    bool is_inside = false; /* of <>: the name stands before it */
    char *array;

    for (size_t i = 0; i < n; i++) {
        is_inside = is_inside || parser_is(p, T_LESS);
        if (i == 0 || (p->at[-1].type == T_DOT && !is_inside))
            name = p->at->text;
        dimensions += parser_is(p, T_LBRACKET);
        parser_next(p);
    }
    if (dimensions > DIMENSIONS_MAX)
        parser_fail(p, p->at - 1, "an array has %d dimensions at most", DIMENSIONS_MAX);
    if (dimensions == 0 || p->failed)
        return name;
    array = arena_alloc(p->arena, name.len + 2 * dimensions + 1);
    memcpy(array, name.at, name.len);
    for (size_t i = 0; i < dimensions; i++)
        memcpy(array + name.len + 2 * i, "[]", 2);
    return (struct str){array, name.len + 2 * dimensions};
}
