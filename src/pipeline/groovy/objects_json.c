/* SPDX-License-Identifier: MIT */
/* objects_json.c - JsonSlurper and JsonOutput: JSON to values and back. */
#include "base/json.h"
#include "pipeline/groovy/interp_scope.h"
#include "pipeline/groovy/value_json.h"

bool
json_to_value(struct interp *in, const struct node *at, struct str text, struct value *out)
{
    struct err err = {0};

    if (text.len > INTERP_TEXT_MAX)
        return interp_throw(in, at, "OutOfMemoryError", "the JSON text is too long");
    return value_parse_json(in->arena, text, out, &err) ||
           interp_throw(in, at, err.code == ERR_VALIDATION ? "OutOfMemoryError" : "JsonException",
                        "%s", err.message);
}

static void
add_string(struct strbuf *out, struct str s)
{
    strbuf_add_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.at[i];
        if (c == '"' || c == '\\')
            strbuf_addf(out, "\\%c", c);
        else if (c == '\n')
            strbuf_add_cstr(out, "\\n");
        else if (c == '\t')
            strbuf_add_cstr(out, "\\t");
        else if (c == '\r')
            strbuf_add_cstr(out, "\\r");
        else if (c < 0x20)
            strbuf_addf(out, "\\u%04x", c);
        else
            strbuf_add_char(out, (char)c);
    }
    strbuf_add_char(out, '"');
}

static void
new_line(struct strbuf *out, bool pretty, unsigned depth)
{
    if (!pretty)
        return;
    strbuf_add_char(out, '\n');
    for (unsigned i = 0; i < depth; i++)
        strbuf_add_cstr(out, "    ");
}

static bool
add_value(struct interp *in, const struct node *at, struct value v, bool pretty, unsigned depth,
          struct strbuf *out)
{
    const struct map *map = v.type == V_MAP ? v.map : v.type == V_OBJECT ? v.object->fields : NULL;
    size_t shown = 0;

    if (depth > VALUE_DEPTH_MAX)
        return interp_throw(in, at, "StackOverflowError",
                            "the value is nested too deeply for JSON");
    if (out->len > INTERP_TEXT_MAX)
        return interp_throw(in, at, "OutOfMemoryError", "the JSON text is too long");
    if (!interp_spend(in, at, 1))
        return false;
    if (v.type == V_NULL || v.type == V_BOOL || value_is_number(v))
        return interp_format(in, at, v, INTERP_TEXT_MAX, out);
    if (v.type == V_LIST) {
        strbuf_add_char(out, '[');
        for (size_t i = 0; i < v.list->count; i++) {
            if (i > 0)
                strbuf_add_char(out, ',');
            new_line(out, pretty, depth + 1);
            if (!add_value(in, at, v.list->at[i], pretty, depth + 1, out))
                return false;
        }
        if (v.list->count > 0)
            new_line(out, pretty, depth);
        strbuf_add_char(out, ']');
        return true;
    }
    if (map == NULL || (v.type == V_OBJECT && v.object->class_node == NULL)) {
        add_string(out, interp_text(in, v));
        return true;
    }
    strbuf_add_char(out, '{');
    for (size_t i = 0; i < map->count; i++) {
        struct str key = interp_text(in, map->at[i].key);
        if (v.type == V_OBJECT && str_starts(key, STR("$")))
            continue;
        if (shown++ > 0)
            strbuf_add_char(out, ',');
        new_line(out, pretty, depth + 1);
        add_string(out, key);
        strbuf_add_cstr(out, pretty ? ": " : ":");
        if (!add_value(in, at, map->at[i].value, pretty, depth + 1, out))
            return false;
    }
    if (shown > 0)
        new_line(out, pretty, depth);
    strbuf_add_char(out, '}');
    return true;
}

bool
json_from_value(struct interp *in, const struct node *at, struct value v, bool pretty,
                struct value *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!add_value(in, at, v, pretty, 0, &text))
        return false;
    if (text.len > INTERP_TEXT_MAX)
        return interp_throw(in, at, "OutOfMemoryError", "the JSON text is too long");
    *out = value_text(arena_dup(in->arena, strbuf_str(&text)));
    return true;
}
