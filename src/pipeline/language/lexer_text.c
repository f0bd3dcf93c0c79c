/* SPDX-License-Identifier: MIT */
/* lexer_text.c - the text of a file as the lexer wants it. */
#include "pipeline/language/lexer.h"

struct str
lexer_text(struct str text, struct arena *arena)
{
    char *to = arena_alloc(arena, text.len + 1);
    size_t len = 0;

    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = str_slice(text, 3, text.len);
    if (text.len > 0 && memchr(text.at, '\r', text.len) == NULL) {
        memcpy(to, text.at, text.len);
        len = text.len;
        text.len = 0;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != '\r')
            to[len++] = text.at[i];
        else if (i + 1 == text.len || text.at[i + 1] != '\n')
            to[len++] = '\n';
    }
    if (len >= 2 && to[0] == '#' && to[1] == '!')
        for (size_t i = 0; i < len && to[i] != '\n'; i++)
            to[i] = ' ';
    return (struct str){to, len};
}

bool
lexer_text_is_ascii(struct str text)
{
    uint64_t word = 0, all = 0;
    size_t i = 0;

    for (; i + sizeof(word) <= text.len; i += sizeof(word)) {
        memcpy(&word, text.at + i, sizeof(word));
        all |= word;
    }
    for (; i < text.len; i++)
        all |= (unsigned char)text.at[i];
    return (all & 0x8080808080808080u) == 0;
}
