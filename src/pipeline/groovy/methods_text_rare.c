/* SPDX-License-Identifier: MIT */
/* methods_text_rare.c - methods of strings that are none of the usual ones: methods_format.c asks here
 * last. And what is a capital letter beyond ASCII. */
#include <locale.h>
#include <pthread.h>
#include <wchar.h>
#include <wctype.h>
#include "pipeline/groovy/methods.h"

static locale_t unicode;
static pthread_once_t unicode_once = PTHREAD_ONCE_INIT;

static void
open_unicode(void)
{
    unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0); /* 0 if there is none: ASCII only */
}

/* One character, which may be bytes that are no UTF-8. */
static void
add_cased(struct strbuf *out, struct str one, bool up)
{
    const unsigned char *p = (const unsigned char *)one.at;
    uint32_t c = one.len == 1   ? p[0]
                 : one.len == 2 ? (p[0] & 0x1Fu) << 6 | (p[1] & 0x3F)
                 : one.len == 3 ? (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3F)
                                : 0;

    if (up && c == 0xDF) { /* sharp s */
        strbuf_add_cstr(out, "SS");
    } else if (one.len == 1 && c < 0x80) {
        strbuf_add_char(out, (char)(up && c >= 'a' && c <= 'z'    ? c - 32
                                    : !up && c >= 'A' && c <= 'Z' ? c + 32
                                                                  : c));
    } else if (c < 0xA0 || (c >= 0xD800 && c < 0xE000) || unicode == (locale_t)0) {
        strbuf_add(out, one);
    } else {
        strbuf_add_utf8(out, (unsigned)(up ? towupper_l((wint_t)c, unicode)
                                           : towlower_l((wint_t)c, unicode)));
    }
}

void
text_add_cased(struct strbuf *out, struct str s, bool up)
{
    size_t end;

    pthread_once(&unicode_once, open_unicode);
    for (size_t i = 0; i < s.len; i = end) {
        for (end = i + 1; end < s.len && ((unsigned char)s.at[end] & 0xC0) == 0x80; end++)
            ;
        add_cased(out, str_slice(s, i, end), up);
    }
}

static int64_t
int_arg(const struct call *c, size_t i)
{
    return i < c->args->count && value_is_integer(c->args->at[i]) ? c->args->at[i].number : -1;
}

/* stripMargin('#'), stripIndent(2) */
static bool
text_stripped(const struct call *c)
{
    cleanup(strbuf_done) struct strbuf b = {0};
    const bool is_margin = call_is(c, "stripMargin", 1);
    struct str rest = c->text, line, mark = {0};
    bool first = true;

    if (!is_margin && (!call_is(c, "stripIndent", 1) || int_arg(c, 0) < 0))
        return false;
    mark = is_margin ? call_text(c, 0) : mark;
    if (is_margin && mark.len == 0)
        return false;
    for (; str_split(&rest, '\n', &line); first = false) {
        size_t n = 0;
        if (is_margin) {
            while (n < line.len && (line.at[n] == ' ' || line.at[n] == '\t'))
                n++;
            n = n < line.len && line.at[n] == mark.at[0] ? n + 1 : 0;
        } else {
            n = (uint64_t)int_arg(c, 0) > line.len ? line.len : (size_t)int_arg(c, 0);
        }
        if (!first)
            strbuf_add_char(&b, '\n');
        strbuf_add(&b, str_slice(line, n, line.len));
    }
    call_give(c, &b);
    return true;
}

/* The last character one further or one back: 'a'++ */
static bool
text_step(const struct call *c)
{
    cleanup(strbuf_done) struct strbuf b = {0};
    const size_t count = text_count(c->text);
    const struct str last = text_part(c->text, count == 0 ? 0 : count - 1, count);
    const int ch = last.len != 1 ? 0 : last.at[0] + (call_is(c, "next", 0) ? 1 : -1);

    if ((!call_is(c, "next", 0) && !call_is(c, "previous", 0)) || ch <= 0)
        return false; /* beyond ASCII, or a NUL */
    strbuf_add(&b, str_slice(c->text, 0, c->text.len - 1));
    strbuf_add_utf8(&b, (unsigned)ch);
    call_give(c, &b);
    return true;
}

static struct str
without_blanks(struct str s, bool front, bool back)
{
    while (front && s.len > 0 && strchr(" \t\r\n\f", s.at[0]) != NULL)
        s = str_slice(s, 1, s.len);
    while (back && s.len > 0 && strchr(" \t\r\n\f", s.at[s.len - 1]) != NULL)
        s = str_slice(s, 0, s.len - 1);
    return s;
}

/* find(regex) { }, findAll(regex) { }: what the block gives for the match, or the whole and its groups. */
static bool
text_matches(const struct call *c, bool *ok)
{
    struct value all, result;

    if (c->block == NULL || (!call_is(c, "find", 2) && !call_is(c, "findAll", 2)))
        return false;
    *ok = regex_find_all(c->in, c->at, c->text, call_text(c, 0), true, &all);
    *c->out = str_is(c->name, "find") ? value_null() : value_list(c->in->arena);
    for (size_t i = 0; *ok && i < all.list->count; i++) {
        *ok = interp_call_closure(c->in, c->block, &all.list->at[i], 1, &result);
        if (!*ok)
            break;
        if (str_is(c->name, "find")) {
            *c->out = result;
            break;
        }
        list_add(c->in->arena, c->out->list, result);
    }
    return true;
}

/* lastIndexOf(text), lastIndexOf(text, from) */
static bool
text_last(const struct call *c, bool *ok)
{
    const int64_t from = c->args->count == 1 ? INT32_MAX : int_arg(c, 1);
    struct str needle;
    size_t i;

    if (!str_is(c->name, "lastIndexOf") || c->args->count == 0 || c->args->count > 2 || from < 0)
        return false;
    needle = call_text(c, 0);
    *c->out = value_int(-1);
    if (needle.len > c->text.len)
        return true;
    i = text_part(c->text, 0, (size_t)from).len;
    i = i < c->text.len - needle.len ? i : c->text.len - needle.len;
    for (i++; i-- > 0 && *ok;) {
        if (needle.len > 0 && c->text.at[i] != needle.at[0])
            continue;
        *ok = interp_spend_for(c->in, c->at, value_text(needle), value_null());
        if (*ok && str_starts(str_slice(c->text, i, c->text.len), needle)) {
            *c->out = value_int((int64_t)text_count(str_slice(c->text, 0, i)));
            break;
        }
    }
    return true;
}

static bool
text_where(const struct call *c, bool *ok)
{
    const int64_t from = int_arg(c, 1);

    if (!call_is(c, "startsWith", 2) || from < 0)
        return text_last(c, ok);
    *c->out = value_bool((size_t)from <= text_count(c->text) &&
                         str_starts(text_part(c->text, (size_t)from, SIZE_MAX / 2),
                                    call_text(c, 0)));
    return true;
}

bool
method_text_rare(const struct call *c, bool *ok)
{
    const struct value self = value_text(c->text);

    if (text_stripped(c) || text_step(c) || text_matches(c, ok) || text_where(c, ok))
        return true;
    if (call_is(c, "repeat", 1)) {
        *ok = operator_binary(c->in, c->at, T_MUL, self, c->args->at[0], c->out);
    } else if (call_is(c, "stripLeading", 0) || call_is(c, "stripTrailing", 0)) {
        const bool front = str_is(c->name, "stripLeading");
        *c->out = value_text(without_blanks(c->text, front, !front));
    } else if (call_is(c, "lines", 0)) {
        static const struct args none = {0};
        bool found;
        *ok = method_text(c->in, c->at, self, STR("readLines"), &none, c->out, &found);
    } else if (call_is(c, "subSequence", 2)) {
        bool found;
        *ok = method_text(c->in, c->at, self, STR("substring"), c->args, c->out, &found);
    } else if (str_is(c->name, "formatted") && c->args->count < INTERP_ARGS_MAX) {
        struct value all[INTERP_ARGS_MAX] = {self};
        memcpy(&all[1], c->args->at, c->args->count * sizeof(*all));
        *ok = method_format(c->in, c->at, all, c->args->count + 1, c->out);
    } else if ((call_is(c, "toLowerCase", 1) || call_is(c, "toUpperCase", 1))) { /* of a Locale */
        cleanup(strbuf_done) struct strbuf b = {0};
        text_add_cased(&b, c->text, str_is(c->name, "toUpperCase"));
        call_give(c, &b);
    } else {
        return false;
    }
    return true;
}
