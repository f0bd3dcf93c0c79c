/* SPDX-License-Identifier: MIT */
#include "pipeline/steps/data_xml.h"

#include <expat.h>

struct xml_reader {
    XML_Parser parser;
    struct arena *arena;
    struct xml *root, *at;
    struct strbuf text; /* of the innermost element since its last child */
    unsigned depth, elements;
    const char *refused;
};

static void
stop(struct xml_reader *r, const char *why)
{
    if (r->refused == NULL)
        r->refused = why;
    (void)XML_StopParser(r->parser, XML_FALSE);
}

static struct str
local_name(struct str name)
{
    ptrdiff_t colon = str_rindex(name, ':');

    return str_slice(name, colon < 0 ? 0 : (size_t)colon + 1, name.len);
}

static void XMLCALL
on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct xml_reader *r = arg;
    struct xml *x;

    if (r->depth >= XML_DEPTH_MAX || r->elements >= XML_ELEMENTS_MAX) {
        stop(r, r->depth >= XML_DEPTH_MAX ? "nested too deeply" : "too many elements");
        return;
    }
    strbuf_clear(&r->text);
    r->depth++;
    r->elements++;
    x = arena_alloc(r->arena, sizeof(*x));
    x->name = arena_dup(r->arena, local_name(str_of(name)));
    x->parent = r->at;
    for (; attributes[0] != NULL; attributes += 2) {
        struct xml_attribute *a = arena_alloc(r->arena, sizeof(*a));
        a->name = arena_dup(r->arena, local_name(str_of(attributes[0])));
        a->value = arena_dup(r->arena, str_of(attributes[1]));
        a->next = x->attributes;
        x->attributes = a;
    }
    if (r->at == NULL)
        r->root = x;
    else if (r->at->last == NULL)
        r->at->first = r->at->last = x;
    else
        r->at->last = r->at->last->next = x;
    r->at = x;
}

static void XMLCALL
on_end(void *arg, const XML_Char *name)
{
    struct xml_reader *r = arg;

    if (r->at->first == NULL)
        r->at->text = arena_dup(r->arena, strbuf_str(&r->text));
    strbuf_clear(&r->text);
    r->depth--;
    r->at = r->at->parent;
}

static void XMLCALL
on_text(void *arg, const XML_Char *text, int len)
{
    struct xml_reader *r = arg;

    strbuf_add(&r->text, (struct str){text, (size_t)len});
}

static void XMLCALL
on_entity(void *arg, const XML_Char *name, int is_parameter, const XML_Char *value, int len,
          const XML_Char *base, const XML_Char *system, const XML_Char *public,
          const XML_Char *notation)
{
    stop(arg, "it declares entities");
}

struct xml *
data_xml_parse(struct arena *a, struct str text, struct err *err)
{
    struct xml_reader r = {.arena = a, .parser = XML_ParserCreate(NULL)};
    bool ok;

    if (r.parser == NULL)
        abort();
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetEntityDeclHandler(r.parser, on_entity);
    ok = text.len <= INT32_MAX &&
         XML_Parse(r.parser, text.at == NULL ? "" : text.at, (int)text.len, 1) == XML_STATUS_OK;
    if (!ok)
        err_set(err, ERR_VALIDATION, "line %lu: %s",
                (unsigned long)XML_GetCurrentLineNumber(r.parser),
                r.refused != NULL ? r.refused : XML_ErrorString(XML_GetErrorCode(r.parser)));
    XML_ParserFree(r.parser);
    strbuf_done(&r.text);
    return ok ? r.root : NULL;
}

const struct xml *
xml_child(const struct xml *x, const char *name)
{
    for (const struct xml *c = x == NULL ? NULL : x->first; c != NULL; c = c->next)
        if (str_is(c->name, name))
            return c;
    return NULL;
}

struct str
xml_attribute(const struct xml *x, const char *name)
{
    for (const struct xml_attribute *a = x->attributes; a != NULL; a = a->next)
        if (str_is(a->name, name))
            return a->value;
    return (struct str){0};
}
