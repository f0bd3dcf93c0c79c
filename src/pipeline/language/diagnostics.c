/* SPDX-License-Identifier: MIT */
/* diagnostics.c - what is wrong with a file, collected and shown. */
#include <stdio.h>
#include <stdlib.h>
#include "pipeline/language/syntax.h"

#define SHOWN_MAX 160 /* bytes of a source line */

void
diagnostics_addv(struct diagnostics *d, unsigned line, unsigned column, const char *code,
                 const char *format, va_list args)
{
    struct diagnostic *item;

    if (d->count++ >= DIAGNOSTICS_MAX)
        return;
    item = &d->items[d->count - 1];
    item->line = line;
    item->column = column;
    snprintf(item->code, sizeof(item->code), "%s", code);
    vsnprintf(item->message, sizeof(item->message), format, args);
}

void
diagnostics_add(struct diagnostics *d, unsigned line, unsigned column, const char *code,
                const char *format, ...)
{
    va_list args;

    va_start(args, format);
    diagnostics_addv(d, line, column, code, format, args);
    va_end(args);
}

static int
compare_places(const void *a, const void *b)
{
    const struct diagnostic *x = a, *y = b;

    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->column < y->column ? -1 : x->column > y->column;
}

void
diagnostics_sort(struct diagnostics *d)
{
    qsort(d->items, d->count < DIAGNOSTICS_MAX ? d->count : DIAGNOSTICS_MAX, sizeof(d->items[0]),
          compare_places);
}

void
diagnostics_format(const struct diagnostics *d, const char *name, struct strbuf *out)
{
    size_t kept = d->count < DIAGNOSTICS_MAX ? d->count : DIAGNOSTICS_MAX;

    for (size_t i = 0; i < kept; i++)
        strbuf_addf(out, "%s:%u:%u: %s [%s]\n", name, d->items[i].line, d->items[i].column,
                    d->items[i].message, d->items[i].code);
    if (d->count > kept)
        strbuf_addf(out, "%s: %zu more errors\n", name, d->count - kept);
}

struct str
diagnostic_source(struct str text, unsigned line)
{
    struct str one = {0};

    for (unsigned i = 0; i < line; i++)
        if (!str_split(&text, '\n', &one))
            return (struct str){0};
    return str_ends(one, STR("\r")) ? str_slice(one, 0, one.len - 1) : one;
}

/* The line, and a caret below its column; tabs stay tabs, so that both lines agree. */
static void
show_source(struct str text, unsigned line, unsigned column, struct strbuf *out)
{
    struct str source = diagnostic_source(text, line);
    unsigned at = 1;

    if (source.len == 0 || source.len > SHOWN_MAX)
        return;
    strbuf_addf(out, "  " STR_FMT "\n  ", STR_ARG(source));
    for (size_t i = 0; i < source.len && at < column; i++) {
        if (((unsigned char)source.at[i] & 0xC0) == 0x80)
            continue;
        strbuf_add_char(out, source.at[i] == '\t' ? '\t' : ' ');
        at++;
    }
    for (; at < column; at++)
        strbuf_add_char(out, ' ');
    strbuf_add_cstr(out, "^\n");
}

void
diagnostics_show(const struct diagnostics *d, const char *name, const char *severity,
                 struct str text, struct strbuf *out)
{
    size_t kept = d->count < DIAGNOSTICS_MAX ? d->count : DIAGNOSTICS_MAX;

    for (size_t i = 0; i < kept; i++) {
        const struct diagnostic *one = &d->items[i];
        strbuf_addf(out, "%s:%u:%u: %s: %s [%s]\n", name, one->line, one->column, severity,
                    one->message, one->code);
        show_source(text, one->line, one->column, out);
    }
    if (d->count > kept)
        strbuf_addf(out, "%s: %zu more of them\n", name, d->count - kept);
}
