/* SPDX-License-Identifier: MIT */
/* journal_value.c - null, true, "text" and [list] are themselves; other things are an object:
 *   {"int": 1} {"long": 1} {"decimal": 15, "scale": 1} {"big": 1} {"bytes": base64}
 *   {"map": [key, value, ...]} {"record": class, "fields": [key, value, ...]}; of a number of more than 64 bits its digits of base 16 */
#include "pipeline/run/journal_value.h"

#include "base/crypto.h"

/* `left`: how many more values are written; one list may stand in another many times. */
static bool write_at(struct value v, unsigned depth, unsigned *left, struct json **out);

static struct json *
tagged(const char *tag, struct json *j)
{
    struct json *o = json_object();

    json_set(o, tag, j);
    return o;
}

static struct json *
write_text(struct str s)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (json_is_utf8(s) && str_index(s, '\0') < 0)
        return json_str(s);
    base64_encode(&text, s);
    return tagged("bytes", json_str(strbuf_str(&text)));
}

static struct json *
write_exact(struct value v)
{
    cleanup(strbuf_done) struct strbuf digits = {0};
    struct bignum_space space;

    if (!v.is_wide)
        return json_int(v.number);
    bignum_format(value_unscaled(v, &space), 16, &digits);
    return json_str(strbuf_str(&digits));
}

static size_t
bytes_of(struct value v)
{
    if (v.type == V_TEXT)
        return v.text.len;
    return value_is_number(v) && v.is_wide ? v.magnitude.len * 2 : 0;
}

static bool
append(struct json *list, struct value v, unsigned depth, unsigned *left)
{
    struct json *one;

    if (!write_at(v, depth + 1, left, &one))
        return false;
    json_append(list, one);
    return true;
}

static bool
write_items(struct value v, unsigned depth, unsigned *left, struct json *list)
{
    if (v.type == V_LIST) {
        for (size_t i = 0; i < v.list->count; i++)
            if (!append(list, v.list->at[i], depth, left))
                return false;
        return true;
    }
    const struct map *m = v.type == V_MAP ? v.map : v.object->fields;
    for (size_t i = 0; i < m->count; i++)
        if (!append(list, m->at[i].key, depth, left) || !append(list, m->at[i].value, depth, left))
            return false;
    return true;
}

static bool
write_many(struct value v, unsigned depth, unsigned *left, struct json **out)
{
    struct json *list = json_array();

    if (!write_items(v, depth, left, list)) {
        json_unref(list);
        return false;
    }
    *out = v.type == V_LIST ? list : tagged(v.type == V_MAP ? "map" : "fields", list);
    if (v.type == V_OBJECT)
        json_set(*out, "record", json_str(v.object->class_name));
    return true;
}

static bool
write_at(struct value v, unsigned depth, unsigned *left, struct json **out)
{
    if (depth > JSON_DEPTH_MAX / 3 || *left == 0)
        return false;
    --*left;
    if (!value_take(bytes_of(v) / VALUE_BYTES_A_VISIT, left))
        return false;
    switch (v.type) {
    case V_NULL:
        *out = json_text(NULL);
        return true;
    case V_BOOL:
        *out = json_bool(v.truth);
        return true;
    case V_INT:
    case V_LONG:
        *out = tagged(v.type == V_INT ? "int" : "long", json_int(v.number));
        return true;
    case V_BIG:
        *out = tagged("big", write_exact(v));
        return true;
    case V_DECIMAL:
        *out = tagged("decimal", write_exact(v));
        json_set(*out, "scale", json_int(v.scale));
        return true;
    case V_DOUBLE: /* its bits: JSON knows neither NaN nor all digits */
        *out = tagged(v.is_float ? "float" : "double", json_int(v.number));
        return true;
    case V_TEXT:
        *out = write_text(v.text);
        return true;
    case V_LIST:
    case V_MAP:
        return write_many(v, depth, left, out);
    case V_OBJECT:
        return v.object->is_record && write_many(v, depth, left, out);
    default:
        return false;
    }
}

bool
journal_value_write(struct value v, struct json **out)
{
    unsigned left = VALUE_WRITTEN_MAX;

    return write_at(v, 0, &left, out);
}

static bool
read_list(struct arena *a, const struct json *j, struct value *out)
{
    *out = value_list(a);
    for (size_t i = 0; i < json_size(j); i++) {
        struct value one;
        if (!journal_value_read(a, json_at(j, i), &one))
            return false;
        list_add(a, out->list, one);
    }
    return true;
}

static bool
read_members(struct arena *a, const struct json *j, struct map *to)
{
    for (size_t i = 0; i + 1 < json_size(j); i += 2) {
        struct value key, value;
        if (!journal_value_read(a, json_at(j, i), &key) ||
            !journal_value_read(a, json_at(j, i + 1), &value))
            return false;
        map_put(a, to, key, value);
    }
    return true;
}

static bool
read_record(struct arena *a, const struct json *j, struct value *out)
{
    const char *class_name = json_get_cstr(j, "record", "");

    *out = value_record(a, arena_cstr(a, str_of(class_name)), value_null());
    return read_members(a, json_get(j, "fields"), out->object->fields);
}

static bool
read_exact(struct arena *a, const struct json *j, enum value_type type, int32_t scale,
           struct value *out)
{
    struct bignum n;

    if (json_type(j) == JSON_TEXT) {
        if (!bignum_parse(a, str_of(json_cstr(j, "")), 16, &n))
            return false;
        *out = value_decimal(a, n, scale);
    } else {
        *out = (struct value){.number = json_i64(j, 0), .scale = scale};
    }
    out->type = type;
    return true;
}

static bool
read_object(struct arena *a, const struct json *j, struct value *out)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    const struct json *v;

    if ((v = json_get(j, "int")) != NULL)
        *out = value_int(json_i64(v, 0));
    else if ((v = json_get(j, "long")) != NULL)
        *out = value_long(json_i64(v, 0));
    else if ((v = json_get(j, "big")) != NULL)
        return read_exact(a, v, V_BIG, 0, out);
    else if ((v = json_get(j, "decimal")) != NULL)
        return read_exact(a, v, V_DECIMAL, (int32_t)json_get_i64(j, "scale", 0), out);
    else if ((v = json_get(j, "double")) != NULL || (v = json_get(j, "float")) != NULL)
        *out = (struct value){
            .type = V_DOUBLE, .number = json_i64(v, 0), .is_float = json_get(j, "float") != NULL};
    else if ((v = json_get(j, "map")) != NULL)
        return read_members(a, v, (*out = value_map(a)).map);
    else if (json_get(j, "record") != NULL)
        return read_record(a, j, out);
    else if ((v = json_get(j, "bytes")) != NULL && base64_decode(&bytes, str_of(json_cstr(v, ""))))
        *out = value_text(arena_dup(a, strbuf_str(&bytes)));
    else
        return false;
    return true;
}

bool
journal_value_read(struct arena *a, const struct json *j, struct value *out)
{
    switch (json_type(j)) {
    case JSON_NULL:
        *out = value_null();
        return true;
    case JSON_BOOL:
        *out = value_bool(json_truth(j, false));
        return true;
    case JSON_TEXT:
        *out = value_text(arena_dup(a, str_of(json_cstr(j, ""))));
        return true;
    case JSON_ARRAY:
        return read_list(a, j, out);
    case JSON_OBJECT:
        return read_object(a, j, out);
    default:
        return false;
    }
}
