/* SPDX-License-Identifier: MIT */
/* parser_types.c - what is a type: "String", "java.util.Map<String, List>", "int[]". */
#include <ctype.h>
#include "pipeline/language/parser.h"

#define DIMENSIONS_MAX 255 /* as in Java */

bool
parser_is_type_name(struct str name)
{
    return (name.len > 0 && isupper((unsigned char)name.at[0])) || str_is(name, "int") ||
           str_is(name, "long") || str_is(name, "boolean") || str_is(name, "double") ||
           str_is(name, "float") || str_is(name, "char") || str_is(name, "byte") ||
           str_is(name, "short") || str_is(name, "void");
}

size_t
parser_type_length(const struct parser *p, size_t offset)
{
    size_t n = offset;
    const struct token *t = parser_peek(p, n);

    if (t->type != T_NAME && !(t->type == T_KEYWORD && parser_is_type_name(t->text)))
        return 0;
    while (parser_peek(p, n + 1)->type == T_DOT && parser_peek(p, n + 2)->type == T_NAME)
        n += 2;
    if (!parser_is_type_name(parser_peek(p, n)->text))
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
        p->at++;
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
