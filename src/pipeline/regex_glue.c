/* SPDX-License-Identifier: MIT */
#include <regex.h>
#include "pipeline/interp.h"

#define PATTERN_MAX 1000
#define GROUPS_MAX 10

/* The C library's extended expressions know most of what Jenkinsfiles use; \d is spelled out and
 * what would silently mean something else (lazy repeats, look-around) is refused. */
static bool
translate(struct interp *in, const struct node *at, struct str pattern, struct strbuf *out)
{
    bool in_set = false;

    if (pattern.len > PATTERN_MAX)
        return interp_throw(in, at, "UnsupportedFeature", "the regular expression is too long");
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.at[i], next = i + 1 < pattern.len ? pattern.at[i + 1] : '\0';
        if (c == '\0')
            return interp_throw(in, at, "PatternSyntaxException", "NUL in a regular expression");
        if (c == '\\' && next != '\0') {
            i++;
            if (next == 'd' || next == 'D')
                strbuf_add_cstr(out, in_set ? "0-9" : next == 'd' ? "[0-9]" : "[^0-9]");
            else if (in_set && next == 'w')
                strbuf_add_cstr(out, "A-Za-z0-9_");
            else if (in_set && next == 's')
                strbuf_add_cstr(out, " \t\r\n\f\v");
            else if (next == 'n' || next == 't' || next == 'r')
                strbuf_add_char(out, next == 'n' ? '\n' : next == 't' ? '\t' : '\r');
            else if (in_set)
                strbuf_add_char(out, next); /* a backslash means nothing in a POSIX set */
            else if (strchr("QEAzZGpPkuxc", next) != NULL)
                return interp_throw(in, at, "UnsupportedFeature",
                                    "'\\%c' in a regular expression is not supported", next);
            else
                strbuf_addf(out, "\\%c", next);
            continue;
        }
        if (!in_set && c == '(' && next == '?')
            return interp_throw(in, at, "UnsupportedFeature",
                                "'(?' in a regular expression is not supported");
        if (!in_set && (c == '*' || c == '+' || c == '?' || c == '}') &&
            (next == '?' || next == '+'))
            return interp_throw(in, at, "UnsupportedFeature",
                                "lazy repeats in a regular expression are not supported");
        if (c == '[' && !in_set) {
            in_set = true;
            strbuf_add_char(out, c);
            if (next == '^') {
                strbuf_add_char(out, '^');
                i++;
            }
            continue;
        }
        if (c == ']' && in_set)
            in_set = false;
        strbuf_add_char(out, c);
    }
    return true;
}

static bool
compile(struct interp *in, const struct node *at, struct str pattern, const char *before,
        const char *after, regex_t *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    int code;

    strbuf_add_cstr(&text, before);
    if (!translate(in, at, pattern, &text))
        return false;
    strbuf_add_cstr(&text, after);
    code = regcomp(out, strbuf_cstr(&text), REG_EXTENDED);
    if (code != 0) {
        char why[120];
        regerror(code, out, why, sizeof(why));
        return interp_throw(in, at, "PatternSyntaxException", "'" STR_FMT "': %s", STR_ARG(pattern),
                            why);
    }
    return true;
}

/* One match from `from`; false at the end. */
static bool
next_match(const regex_t *re, struct str text, size_t from, regmatch_t groups[GROUPS_MAX])
{
    groups[0].rm_so = (regoff_t)from;
    groups[0].rm_eo = (regoff_t)text.len;
    return from <= text.len && regexec(re, text.at == NULL ? "" : text.at, GROUPS_MAX, groups,
                                       REG_STARTEND | (from > 0 ? REG_NOTBOL : 0)) == 0;
}

static size_t
after_match(const regmatch_t *m)
{
    return (size_t)m->rm_eo + (m->rm_eo == m->rm_so);
}

bool
regex_matches(struct interp *in, const struct node *at, struct str text, struct str pattern,
              bool *out)
{
    regmatch_t groups[GROUPS_MAX];
    regex_t re;

    if (!compile(in, at, pattern, "^(", ")$", &re))
        return false;
    *out = next_match(&re, text, 0, groups);
    regfree(&re);
    return true;
}

bool
regex_find_all(struct interp *in, const struct node *at, struct str text, struct str pattern,
               struct value *list_out)
{
    regmatch_t groups[GROUPS_MAX];
    regex_t re;

    if (!compile(in, at, pattern, "", "", &re))
        return false;
    *list_out = value_list(in->arena);
    for (size_t from = 0; next_match(&re, text, from, groups); from = after_match(groups)) {
        struct value whole =
            value_text(str_slice(text, (size_t)groups[0].rm_so, (size_t)groups[0].rm_eo));
        if (list_out->list->count >= VALUE_ITEMS_MAX)
            break;
        if (re.re_nsub > 0) {
            struct value parts = value_list(in->arena);
            list_add(in->arena, parts.list, whole);
            for (size_t g = 1; g <= re.re_nsub && g < GROUPS_MAX; g++)
                list_add(in->arena, parts.list,
                         groups[g].rm_so < 0 ? value_null()
                                             : value_text(str_slice(text, (size_t)groups[g].rm_so,
                                                                    (size_t)groups[g].rm_eo)));
            whole = parts;
        }
        list_add(in->arena, list_out->list, whole);
    }
    regfree(&re);
    return true;
}

static void
add_replacement(struct strbuf *out, struct str with, struct str text, const regmatch_t *groups)
{
    for (size_t i = 0; i < with.len; i++) {
        char next = i + 1 < with.len ? with.at[i + 1] : '\0';
        if (with.at[i] == '\\' && next != '\0') {
            strbuf_add_char(out, next);
            i++;
        } else if (with.at[i] == '$' && next >= '0' && next <= '9') {
            const regmatch_t *g = &groups[next - '0'];
            if (g->rm_so >= 0)
                strbuf_add(out, str_slice(text, (size_t)g->rm_so, (size_t)g->rm_eo));
            i++;
        } else {
            strbuf_add_char(out, with.at[i]);
        }
    }
}

bool
regex_replace(struct interp *in, const struct node *at, struct str text, struct str pattern,
              struct str replacement, bool all, struct str *out)
{
    cleanup(strbuf_done) struct strbuf b = {0};
    regmatch_t groups[GROUPS_MAX];
    size_t copied = 0;
    regex_t re;

    if (!compile(in, at, pattern, "", "", &re))
        return false;
    for (size_t from = 0; next_match(&re, text, from, groups); from = after_match(groups)) {
        strbuf_add(&b, str_slice(text, copied, (size_t)groups[0].rm_so));
        add_replacement(&b, replacement, text, groups);
        copied = (size_t)groups[0].rm_eo;
        if (!all || b.len > INTERP_TEXT_MAX)
            break;
    }
    strbuf_add(&b, str_slice(text, copied, text.len));
    regfree(&re);
    if (b.len > INTERP_TEXT_MAX)
        return interp_throw(in, at, "OutOfMemoryError", "the string is too long");
    *out = arena_dup(in->arena, strbuf_str(&b));
    return true;
}

bool
regex_split(struct interp *in, const struct node *at, struct str text, struct str pattern,
            int64_t limit, struct value *list_out)
{
    regmatch_t groups[GROUPS_MAX];
    size_t copied = 0;
    struct list *items;
    regex_t re;

    if (!compile(in, at, pattern, "", "", &re))
        return false;
    *list_out = value_list(in->arena);
    items = list_out->list;
    for (size_t from = 0; next_match(&re, text, from, groups); from = after_match(groups)) {
        if (limit > 0 && (int64_t)items->count + 1 >= limit)
            break;
        if (groups[0].rm_eo == 0 || items->count >= VALUE_ITEMS_MAX)
            continue; /* nothing before the first character */
        list_add(in->arena, items, value_text(str_slice(text, copied, (size_t)groups[0].rm_so)));
        copied = (size_t)groups[0].rm_eo;
    }
    list_add(in->arena, items, value_text(str_slice(text, copied, text.len)));
    regfree(&re);
    /* As Java: empty texts at the end go, unless there was nothing to split. */
    while (limit == 0 && items->count > 1 && items->at[items->count - 1].text.len == 0)
        items->count--;
    if (limit == 0 && items->count == 1 && items->at[0].text.len == 0 && text.len > 0)
        items->count = 0;
    return true;
}
