/* SPDX-License-Identifier: MIT */
/* pattern_search.c - an expression that is looked for anywhere in a line. */
#include <ctype.h>
#include "base/cleanup.h"
#include "model/pattern_program.h"

static bool
is_one_of(struct str text, size_t at, const char *signs)
{
    return at < text.len && text.at[at] != '\0' && strchr(signs, text.at[at]) != NULL;
}

/* Behind the class that begins at `at`. */
static size_t
skip_class(struct str text, size_t at)
{
    at += is_one_of(text, at + 1, "^") ? 2 : 1;
    for (size_t first = at; at < text.len && (text.at[at] != ']' || at == first); at++)
        at += text.at[at] == '\\';
    return at;
}

/* '|' outside of groups. */
static bool
has_alternatives(struct str text)
{
    int depth = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\\')
            i++;
        else if (text.at[i] == '[')
            i = skip_class(text, i);
        else if (text.at[i] == '|' && depth == 0)
            return true;
        else
            depth += text.at[i] == '(' ? 1 : text.at[i] == ')' ? -1 : 0;
    }
    return false;
}

/* How long the character at `at` is written, if it is one, once, whatever the text; else 0. */
static size_t
literal_at(struct str text, size_t at)
{
    const bool is_escaped = is_one_of(text, at, "\\");
    const size_t end = at + (is_escaped ? 2 : 1);

    if (end > text.len || text.at[end - 1] == '\0' || is_one_of(text, end, "*+?{"))
        return 0;
    if (is_escaped ? isalnum((unsigned char)text.at[at + 1]) : is_one_of(text, at, "^$.[](){}|*+?"))
        return 0;
    return end - at;
}

/* Where the literals from `at` on end. */
static size_t
skip_literals(struct str text, size_t at)
{
    for (size_t len; (len = literal_at(text, at)) > 0;)
        at += len;
    return at;
}

int
pattern_lead(struct str text)
{
    const size_t end = skip_literals(text, 0);

    return is_one_of(text, end, ".") && is_one_of(text, end + 1, "*") && !has_alternatives(text) ? (int)end : -1;
}

/* Behind what begins at `at`, which is no literal outside of groups. */
static size_t
skip_other(struct str text, size_t at)
{
    if (text.at[at] == '[')
        return skip_class(text, at) + 1;
    if (text.at[at] == '{')
        while (at < text.len && text.at[at] != '}')
            at++;
    return at + (is_one_of(text, at, "\\") ? 2 : 1);
}

/* The longest literals outside of groups. */
static struct str
longest_literals(struct str text)
{
    struct str longest = str_slice(text, 0, 0);
    int depth = 0;

    for (size_t at = 0; at < text.len;) {
        const size_t end = depth == 0 ? skip_literals(text, at) : at;

        if (end - at > longest.len)
            longest = str_slice(text, at, end);
        if (end > at) {
            at = end;
            continue;
        }
        depth += text.at[at] == '(' ? 1 : text.at[at] == ')' ? -1 : 0;
        at = skip_other(text, at);
    }
    return longest;
}

static bool
add_ahead(const char *way, struct str literals, const struct pattern_dialect *dialect, struct strbuf *out, struct err *err)
{
    if (literals.len == 0)
        return true;
    strbuf_addf(out, "(?=%s", way);
    if (!pattern_translate(literals, dialect, out, NULL, err))
        return false;
    strbuf_add_char(out, ')');
    return true;
}

bool
pattern_translate_known(struct str text, const struct pattern_dialect *dialect, struct strbuf *out, struct err *err)
{
    const struct str longest = longest_literals(text);
    const struct str beginning = str_slice(text, 1, is_one_of(text, 0, "^") ? skip_literals(text, 1) : 1);

    return has_alternatives(text) ||
           (add_ahead("", beginning, dialect, out, err) &&
            (longest.at == beginning.at || add_ahead(PATTERN_OF_LINE "*?", longest, dialect, out, err)));
}

/* What is before it. */
static bool
add_way(struct str text, const struct pattern_dialect *dialect, struct strbuf *out, struct err *err)
{
    const int lead = pattern_lead(text);

    if (lead >= 0) {
        strbuf_add_cstr(out, "(?>" PATTERN_OF_LINE "*?(?=");
        if (!pattern_translate(str_slice(text, 0, (size_t)lead), dialect, out, NULL, err))
            return false;
        strbuf_add_cstr(out, "))");
    } else if (!is_one_of(text, 0, "^") || has_alternatives(text)) {
        strbuf_add_cstr(out, PATTERN_OF_LINE "*?");
    }
    return true;
}

bool
pattern_translate_search(struct str text, const struct pattern_dialect *dialect, struct strbuf *out, int *captures_out,
                         struct err *err)
{
    strbuf_add_cstr(out, dialect->has_captures ? "(" : "");
    if (!add_way(text, dialect, out, err))
        return false;
    strbuf_add_cstr(out, dialect->has_captures ? ")(?:" : "(?:");
    if (!pattern_translate(text, dialect, out, captures_out, err))
        return false;
    strbuf_add_cstr(out, ")");
    return true;
}
