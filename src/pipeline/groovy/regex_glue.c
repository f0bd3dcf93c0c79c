/* SPDX-License-Identifier: MIT */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
#include <stdio.h>
#include "base/json.h"
#include "pipeline/groovy/interp_scope.h"
#include "pipeline/language/java_regex.h"

#define MATCH_STEPS_MAX 2000000
#define MATCH_HEAP_KIB 32768

/* A compiled pattern at work on one text. */
struct regex {
    struct interp *in;
    const struct node *at;
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    struct str text;
    const size_t *spans; /* start and end of each group; PCRE2_UNSET: took no part */
    size_t groups;       /* the whole is one */
};

static void
regex_done(struct regex *re)
{
    pcre2_match_context_free(re->context);
    pcre2_match_data_free(re->data);
    pcre2_code_free(re->code);
}

/* Compiles; what follows must not outlive `text`. */
static bool
regex_open(struct regex *re, struct interp *in, const struct node *at, struct str text,
           struct str pattern, bool whole)
{
    uint32_t options = json_is_utf8(text) && json_is_utf8(pattern) ? PCRE2_UTF : 0, count = 0;
    size_t where;
    int code;

    *re = (struct regex){.in = in, .at = at, .text = text};
    if (pattern.len > REGEX_PATTERN_MAX)
        return interp_throw(in, at, "PatternSyntaxException",
                            "the regular expression is longer than %d bytes", REGEX_PATTERN_MAX);
    if (re->text.at == NULL)
        re->text.at = "";
    if (whole)
        options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    re->code = java_regex_compile(pattern, options, &code, &where);
    if (re->code == NULL) {
        char why[120];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
        return interp_throw(in, at, "PatternSyntaxException", "%s near index %zu: " STR_FMT, why,
                            (size_t)where, STR_ARG(str_slice(pattern, 0, 200)));
    }
    pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &count);
    re->groups = count + 1;
    re->data = pcre2_match_data_create_from_pattern(re->code, NULL);
    re->context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(re->context, MATCH_STEPS_MAX);
    pcre2_set_heap_limit(re->context, MATCH_HEAP_KIB);
    return true;
}

/* The next match from `from`; *found false at the end.  Many of them are many steps and much
 * memory, so each is asked what an evaluation is asked. */
static bool
regex_next(struct regex *re, size_t from, bool *found)
{
    int n;

    *found = false;
    if (from > re->text.len)
        return true;
    if (!interp_enter(re->in, re->at))
        return false;
    re->in->depth--;
    /* regex_open() looked at the whole text; a look at each match would make many of them slow. */
    n = pcre2_match(re->code, (PCRE2_SPTR)re->text.at, re->text.len, from, PCRE2_NO_UTF_CHECK,
                    re->data, re->context);
    if (n == PCRE2_ERROR_NOMATCH || n == PCRE2_ERROR_BADUTFOFFSET)
        return true;
    if (n < 0)
        return interp_throw(re->in, re->at, "StackOverflowError",
                            "the regular expression needs too many steps for this text");
    re->spans = pcre2_get_ovector_pointer(re->data);
    *found = true;
    return true;
}

static struct str
span(const struct regex *re, size_t group)
{
    const size_t from = re->spans[2 * group], to = re->spans[2 * group + 1];

    return from == PCRE2_UNSET || to < from ? (struct str){0} : str_slice(re->text, from, to);
}

static struct value
group_value(const struct regex *re, size_t group)
{
    return re->spans[2 * group] == PCRE2_UNSET ? value_null() : value_text(span(re, group));
}

/* Where to look next: an empty match moves on by one character. */
static size_t
after_match(const struct regex *re)
{
    size_t to = re->spans[1];

    if (to > re->spans[0])
        return to;
    for (to++; to < re->text.len && ((unsigned char)re->text.at[to] & 0xC0) == 0x80;)
        to++;
    return to;
}

/* A match as Groovy shows it: the text, or a list of the whole and its groups. */
static struct value
match_value(const struct regex *re, bool with_groups)
{
    struct value parts;

    if (!with_groups || re->groups == 1)
        return group_value(re, 0);
    parts = value_list(re->in->arena);
    for (size_t g = 0; g < re->groups; g++)
        list_add(re->in->arena, parts.list, group_value(re, g));
    return parts;
}

bool
regex_matches(struct interp *in, const struct node *at, struct str text, struct str pattern,
              bool *out)
{
    struct regex re;
    bool ok;

    if (!regex_open(&re, in, at, text, pattern, true))
        return false;
    ok = regex_next(&re, 0, out);
    regex_done(&re);
    return ok;
}

static bool
find_all(struct interp *in, const struct node *at, struct str text, struct str pattern,
         bool with_groups, bool whole, struct value *list_out)
{
    struct regex re;
    bool found = false, ok;

    if (!regex_open(&re, in, at, text, pattern, whole))
        return false;
    *list_out = value_list(in->arena);
    ok = regex_next(&re, 0, &found);
    while (ok && found && list_out->list->count <= VALUE_ITEMS_MAX) {
        list_add(in->arena, list_out->list, match_value(&re, with_groups));
        if (whole)
            break;
        ok = regex_next(&re, after_match(&re), &found);
    }
    regex_done(&re);
    return ok;
}

bool
regex_find_all(struct interp *in, const struct node *at, struct str text, struct str pattern,
               bool with_groups, struct value *list_out)
{
    return find_all(in, at, text, pattern, with_groups, false, list_out);
}

bool
regex_match_groups(struct interp *in, const struct node *at, struct str text, struct str pattern,
                   struct value *list_out)
{
    return find_all(in, at, text, pattern, true, true, list_out);
}

bool
regex_group_number(struct interp *in, const struct node *at, struct str pattern, struct str name,
                   size_t *out)
{
    cleanup_free char *cname = str_dup(name);
    struct regex re;
    int n;

    if (!regex_open(&re, in, at, STR(""), pattern, false))
        return false;
    n = pcre2_substring_number_from_name(re.code, (PCRE2_SPTR)cname);
    regex_done(&re);
    if (n < 0)
        return interp_throw(in, at, "IllegalArgumentException", "No group with name <" STR_FMT ">",
                            STR_ARG(name));
    *out = (size_t)n;
    return true;
}

/* `$1`, `${name}`, and a backslash before what stands for itself. */
static bool
add_replacement(const struct regex *re, struct str with, struct strbuf *out)
{
    for (size_t i = 0; i < with.len; i++) {
        size_t group = 0, digits = 0;

        if (with.at[i] == '\\' && i + 1 < with.len) {
            strbuf_add_char(out, with.at[++i]);
            continue;
        }
        if (with.at[i] != '$') {
            strbuf_add_char(out, with.at[i]);
            continue;
        }
        if (i + 1 < with.len && with.at[i + 1] == '{') {
            const ptrdiff_t end = str_index(str_slice(with, i, with.len), '}');
            cleanup_free char *name =
                end < 0 ? NULL : str_dup(str_slice(with, i + 2, i + (size_t)end));
            int n =
                name == NULL ? -1 : pcre2_substring_number_from_name(re->code, (PCRE2_SPTR)name);
            if (n < 0)
                return interp_throw(re->in, re->at, "IllegalArgumentException",
                                    "No group with name {%s}", name == NULL ? "" : name);
            strbuf_add(out, span(re, (size_t)n));
            i += (size_t)end;
            continue;
        }
        /* As many digits as there are groups for. */
        while (i + 1 + digits < with.len && isdigit((unsigned char)with.at[i + 1 + digits])) {
            const size_t next = group * 10 + (size_t)(with.at[i + 1 + digits] - '0');
            if (digits > 0 && next >= re->groups)
                break;
            group = next;
            digits++;
        }
        if (digits == 0)
            return interp_throw(re->in, re->at, "IllegalArgumentException",
                                "Illegal group reference");
        if (group >= re->groups)
            return interp_throw(re->in, re->at, "IndexOutOfBoundsException", "No group %zu", group);
        strbuf_add(out, span(re, group));
        i += digits;
    }
    return true;
}

/* What takes the place of the present match: a text with `$1`, or what a closure gives for it. */
static bool
replace_match(struct regex *re, struct value with, struct strbuf *out)
{
    const size_t held = out->len;
    struct value arg, result;
    bool ok;

    if (with.type != V_CLOSURE)
        return add_replacement(re, with.text, out);
    arg = match_value(re, true);
    re->in->held += held;
    ok = interp_call_closure(re->in, with.closure, &arg, 1, &result);
    re->in->held -= held;
    return ok && interp_format(re->in, re->at, result, INTERP_TEXT_MAX, out);
}

bool
regex_replace(struct interp *in, const struct node *at, struct str text, struct str pattern,
              struct value with, bool all, struct str *out)
{
    cleanup(strbuf_done) struct strbuf b = {0};
    struct regex re;
    size_t copied = 0;
    bool found = false, ok;

    if (!regex_open(&re, in, at, text, pattern, false))
        return false;
    ok = regex_next(&re, 0, &found);
    while (ok && found) {
        size_t next = after_match(&re), end = re.spans[1];
        strbuf_add(&b, str_slice(re.text, copied, re.spans[0]));
        ok = replace_match(&re, with, &b);
        copied = end;
        if (!ok || !all || b.len > INTERP_TEXT_MAX)
            break;
        ok = regex_next(&re, next, &found);
    }
    strbuf_add(&b, str_slice(re.text, copied, text.len));
    regex_done(&re);
    if (!ok)
        return false;
    if (b.len > INTERP_TEXT_MAX)
        return interp_throw(in, at, "OutOfMemoryError", "the string is too long");
    *out = arena_dup(in->arena, strbuf_str(&b));
    return true;
}

bool
regex_split(struct interp *in, const struct node *at, struct str text, struct str pattern,
            int64_t limit, struct value *list_out)
{
    struct regex re;
    size_t copied = 0;
    struct list *items;
    bool found = false, ok;

    if (!regex_open(&re, in, at, text, pattern, false))
        return false;
    *list_out = value_list(in->arena);
    items = list_out->list;
    ok = regex_next(&re, 0, &found);
    while (ok && found && (limit <= 0 || (int64_t)items->count + 1 < limit) &&
           items->count <= VALUE_ITEMS_MAX) {
        if (re.spans[1] > 0) { /* nothing before the first character */
            list_add(in->arena, items, value_text(str_slice(text, copied, re.spans[0])));
            copied = re.spans[1];
        }
        ok = regex_next(&re, after_match(&re), &found);
    }
    list_add(in->arena, items, value_text(str_slice(text, copied, text.len)));
    regex_done(&re);
    /* As Java: empty texts at the end go, unless there was nothing to split. */
    while (limit == 0 && items->count > 1 && items->at[items->count - 1].text.len == 0)
        items->count--;
    if (limit == 0 && items->count == 1 && items->at[0].text.len == 0 && text.len > 0)
        items->count = 0;
    return ok;
}
