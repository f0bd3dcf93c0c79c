/* SPDX-License-Identifier: MIT */
#include "pipeline/steps/data_yaml.h"

#include <ctype.h>
#include <string.h>
#include <yaml.h>

#define ANCHORS_MAX 200

struct anchor {
    char *name;
    struct value value;
};

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    struct anchor anchors[ANCHORS_MAX];
    size_t anchor_count, aliases, items;
    struct err *err;
};

static bool
is_one_of(struct str s, const char *words)
{
    struct str rest = str_of(words), one;

    while (str_split(&rest, ' ', &one))
        if (str_equal(s, one))
            return true;
    return false;
}

/* 0x1f and 017: the integers that decimal text does not cover. */
static bool
other_base(struct arena *a, struct str s, struct value *out)
{
    const bool is_hex = s.len > 2 && s.at[1] == 'x';
    const struct str digits = str_slice(s, is_hex ? 2 : 1, s.len);
    struct bignum n;

    if (s.len < 2 || s.at[0] != '0' || !isxdigit((unsigned char)digits.at[0]) ||
        !bignum_parse(a, digits, is_hex ? 16 : 8, &n))
        return false;
    *out = value_big(a, n);
    if (!out->is_wide)
        *out = out->number <= INT32_MAX ? value_int(out->number) : value_long(out->number);
    return true;
}

static struct value
resolve(struct arena *a, struct str s)
{
    struct value v;

    if (s.len == 0 || is_one_of(s, "~ null Null NULL"))
        return value_null();
    if (is_one_of(s, "true True TRUE yes Yes YES on On ON"))
        return value_bool(true);
    if (is_one_of(s, "false False FALSE no No NO off Off OFF"))
        return value_bool(false);
    if (other_base(a, s, &v))
        return v;
    if ((s.at[0] == '-' || s.at[0] == '.' || (s.at[0] >= '0' && s.at[0] <= '9')) &&
        !str_is(s, ".") && value_of_number(a, s, &v))
        return v;
    return value_text(arena_dup(a, s));
}

static bool
fail(struct reader *r, const char *what)
{
    return err_set(r->err, ERR_VALIDATION, "line %zu: %s", r->parser.mark.line + 1, what);
}

static bool
next(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    return err_set(r->err, ERR_VALIDATION, "line %zu, column %zu: %s",
                   r->parser.problem_mark.line + 1, r->parser.problem_mark.column + 1,
                   r->parser.problem == NULL ? "not YAML" : r->parser.problem);
}

static bool
remember(struct reader *r, const yaml_char_t *name, struct value v)
{
    if (name == NULL)
        return true;
    if (r->anchor_count == ANCHORS_MAX)
        return fail(r, "too many anchors");
    r->anchors[r->anchor_count++] =
        (struct anchor){arena_cstr(r->arena, str_of((const char *)name)), v};
    return true;
}

static bool
recall(struct reader *r, const char *name, struct value *out)
{
    if (++r->aliases > YAML_ALIASES_MAX)
        return fail(r, "more than 50 aliases");
    for (size_t i = r->anchor_count; i > 0; i--)
        if (strcmp(r->anchors[i - 1].name, name) == 0) {
            *out = r->anchors[i - 1].value;
            return true;
        }
    return fail(r, "an alias without its anchor");
}

static bool read_value(struct reader *r, yaml_event_t *event, struct value *out, unsigned depth);

static bool
read_list(struct reader *r, struct value *out, unsigned depth)
{
    for (;;) {
        yaml_event_t event;
        struct value v;
        bool ok;
        if (!next(r, &event))
            return false;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return true;
        }
        ok = read_value(r, &event, &v, depth + 1);
        yaml_event_delete(&event);
        if (!ok)
            return false;
        list_add(r->arena, out->list, v);
    }
}

/* `<<: *base` gives what the map itself does not have. */
static void
merge(struct reader *r, struct map *to, struct value from)
{
    for (size_t i = 0; from.type == V_LIST && i < from.list->count; i++)
        merge(r, to, from.list->at[i].type == V_MAP ? from.list->at[i] : value_null());
    for (size_t i = 0; from.type == V_MAP && i < from.map->count; i++)
        if (map_find(to, from.map->at[i].key) == NULL)
            map_put(r->arena, to, from.map->at[i].key, from.map->at[i].value);
}

static bool
read_map(struct reader *r, struct value *out, unsigned depth)
{
    struct value merged = value_null();

    for (;;) {
        yaml_event_t event;
        struct value key, v;
        bool ok;
        if (!next(r, &event))
            return false;
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            merge(r, out->map, merged);
            return true;
        }
        ok = read_value(r, &event, &key, depth + 1);
        yaml_event_delete(&event);
        if (!ok || !next(r, &event))
            return false;
        ok = read_value(r, &event, &v, depth + 1);
        yaml_event_delete(&event);
        if (!ok)
            return false;
        if (key.type == V_TEXT && str_is(key.text, "<<"))
            merged = v;
        else
            map_put(r->arena, out->map, key, v);
    }
}

static bool
read_value(struct reader *r, yaml_event_t *event, struct value *out, unsigned depth)
{
    struct str text;

    if (depth >= VALUE_DEPTH_MAX || ++r->items > VALUE_ITEMS_MAX)
        return fail(r, depth >= VALUE_DEPTH_MAX ? "nested too deeply" : "too many values");
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return recall(r, (const char *)event->data.alias.anchor, out);
    case YAML_SCALAR_EVENT:
        text = (struct str){(const char *)event->data.scalar.value, event->data.scalar.length};
        *out = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && event->data.scalar.tag == NULL
                   ? resolve(r->arena, text)
                   : value_text(arena_dup(r->arena, text));
        return remember(r, event->data.scalar.anchor, *out);
    case YAML_SEQUENCE_START_EVENT:
        *out = value_list(r->arena);
        return remember(r, event->data.sequence_start.anchor, *out) && read_list(r, out, depth);
    case YAML_MAPPING_START_EVENT:
        *out = value_map(r->arena);
        return remember(r, event->data.mapping_start.anchor, *out) && read_map(r, out, depth);
    default:
        return fail(r, "a value is missing");
    }
}

static bool
read_documents(struct reader *r, struct value *list)
{
    for (;;) {
        yaml_event_t event;
        yaml_event_type_t type;
        struct value v;
        bool ok = true;
        if (!next(r, &event))
            return false;
        type = event.type;
        if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
            type != YAML_DOCUMENT_START_EVENT && type != YAML_DOCUMENT_END_EVENT) {
            ok = read_value(r, &event, &v, 0);
            if (ok)
                list_add(r->arena, list->list, v);
        }
        yaml_event_delete(&event);
        if (!ok || type == YAML_STREAM_END_EVENT)
            return ok;
    }
}

bool
data_yaml_parse(struct arena *a, struct str text, struct value *list_out, struct err *err)
{
    struct reader *r = mem_new(sizeof(*r));
    bool ok;

    r->arena = a;
    r->err = err;
    *list_out = value_list(a);
    if (!yaml_parser_initialize(&r->parser))
        abort();
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text.at, text.len);
    ok = read_documents(r, list_out);
    yaml_parser_delete(&r->parser);
    free(r);
    return ok;
}

struct writer {
    yaml_emitter_t emitter;
    struct arena *arena;
    const struct strbuf *out;
    unsigned left; /* values */
    struct err *err;
};

static int
on_output(void *arg, unsigned char *data, size_t size)
{
    strbuf_add(arg, (struct str){(const char *)data, size});
    return 1;
}

static bool
emit(struct writer *w, yaml_event_t *event)
{
    if (yaml_emitter_emit(&w->emitter, event))
        return true;
    return err_set(w->err, ERR_VALIDATION, "%s",
                   w->emitter.problem == NULL ? "not writable as YAML" : w->emitter.problem);
}

/* Text that would read back as something else is quoted. */
static bool
write_scalar(struct writer *w, struct value v)
{
    struct str text = value_to_text(w->arena, v);
    bool plain = v.type != V_TEXT || resolve(w->arena, text).type == V_TEXT;
    yaml_event_t event;

    if (!yaml_scalar_event_initialize(
            &event, NULL, NULL, (const yaml_char_t *)text.at, (int)text.len, plain, 1,
            str_index(text, '\n') >= 0 ? YAML_LITERAL_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE))
        return err_set(w->err, ERR_VALIDATION, "a text is not UTF-8");
    return emit(w, &event);
}

static bool
write_value(struct writer *w, struct value v, unsigned depth)
{
    yaml_event_t event;

    if (depth >= VALUE_DEPTH_MAX)
        return err_set(w->err, ERR_VALIDATION, "the value is nested too deeply");
    if (w->left == 0 || w->out->len > VALUE_TEXT_MAX)
        return err_set(w->err, ERR_VALIDATION, "the value is too large");
    w->left--;
    if (v.type == V_LIST) {
        (void)yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                   YAML_BLOCK_SEQUENCE_STYLE);
        if (!emit(w, &event))
            return false;
        for (size_t i = 0; i < v.list->count; i++)
            if (!write_value(w, v.list->at[i], depth + 1))
                return false;
        (void)yaml_sequence_end_event_initialize(&event);
        return emit(w, &event);
    }
    if (v.type != V_MAP)
        return write_scalar(w, v);
    (void)yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE);
    if (!emit(w, &event))
        return false;
    for (size_t i = 0; i < v.map->count; i++)
        if (!write_scalar(w, v.map->at[i].key) || !write_value(w, v.map->at[i].value, depth + 1))
            return false;
    (void)yaml_mapping_end_event_initialize(&event);
    return emit(w, &event);
}

static bool
write_document(struct writer *w, struct value v, bool has_mark)
{
    yaml_event_t event;

    (void)yaml_document_start_event_initialize(&event, NULL, NULL, NULL, !has_mark);
    if (!emit(w, &event) || !write_value(w, v, 0))
        return false;
    (void)yaml_document_end_event_initialize(&event, 1);
    return emit(w, &event);
}

static bool
write_stream(struct writer *w, struct value v, bool many)
{
    yaml_event_t event;

    (void)yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
    if (!emit(w, &event))
        return false;
    for (size_t i = 0; many && i < v.list->count; i++)
        if (!write_document(w, v.list->at[i], true))
            return false;
    if (!many && !write_document(w, v, false))
        return false;
    (void)yaml_stream_end_event_initialize(&event);
    return emit(w, &event);
}

bool
data_yaml_format(struct arena *a, struct value v, bool many, struct strbuf *out, struct err *err)
{
    struct writer w = {.arena = a, .out = out, .left = VALUE_WRITTEN_MAX, .err = err};
    bool ok;

    if (!yaml_emitter_initialize(&w.emitter))
        abort();
    yaml_emitter_set_output(&w.emitter, on_output, out);
    yaml_emitter_set_unicode(&w.emitter, 1);
    yaml_emitter_set_width(&w.emitter, -1);
    ok = write_stream(&w, v, many);
    yaml_emitter_delete(&w.emitter);
    return ok;
}
