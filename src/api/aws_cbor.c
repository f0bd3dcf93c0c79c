/* SPDX-License-Identifier: MIT */
/* aws_cbor.c - RPC v2 CBOR, Smithy's binary protocol: libcbor cuts the bytes into items, which
 * become JSON here.  Its streaming decoder keeps no state and allocates nothing, so that what is
 * built, how deep and how much of it, is decided in this file alone. */
#include "api/protocol.h"

#include <assert.h>
#include <cbor.h>
#include <math.h>

#define TAG_TIME 1         /* seconds since 1970 */
#define TAG_BIG 2          /* and 3: integers of any length */
#define TIME_MEMBER "\x01" /* of no answer: no JSON that is sent has such a name */
#define HEAD_SIZE 9        /* of an item, the largest */

enum level_kind { LEVEL_ARRAY, LEVEL_MAP, LEVEL_TEXT };

/* A list, map or text in pieces that has not ended yet. */
struct level {
    enum level_kind kind;
    bool is_open;       /* ends with a break, not after `left` items */
    size_t left;        /* of a map: keys and values */
    struct json *value; /* of a text: NULL */
    struct strbuf text; /* the pieces; of a map: the key whose value comes next */
    bool has_key;
};

struct decoding {
    struct level levels[JSON_DEPTH_MAX];
    int depth;
    int items;
    bool is_time; /* the tag was there, its number comes */
    struct json *root;
    bool has_failed;
    struct err *err;
};

/* ---- what the bytes are made of becomes JSON ---- */

static void
fail(struct decoding *d, const char *why)
{
    if (!d->has_failed)
        err_set(d->err, ERR_SERIALIZATION, "The CBOR of the request %s.", why);
    d->has_failed = true;
}

static struct level *
top_of(struct decoding *d)
{
    return d->depth > 0 ? &d->levels[d->depth - 1] : NULL;
}

static void
level_done(struct level *l)
{
    json_unref(l->value);
    strbuf_done(&l->text);
}

static void
put_member(struct decoding *d, struct level *map, struct json *value)
{
    const char *text = json_cstr(value, NULL);

    if (map->has_key) {
        json_set(map->value, strbuf_cstr(&map->text), value);
        map->has_key = false;
        return;
    }
    if (text == NULL)
        fail(d, "has a key that is not a text");
    else if (json_get(map->value, text) != NULL)
        fail(d, "has a key twice");
    else {
        strbuf_clear(&map->text);
        strbuf_add_cstr(&map->text, text);
        map->has_key = true;
    }
    json_unref(value);
}

static void put(struct decoding *d, struct json *value);

/* The list or map at the top is complete: it is a value of the one around it. */
static void
close_level(struct decoding *d)
{
    struct level *l = top_of(d);
    struct json *value = TAKE(l->value);

    level_done(l);
    d->depth--;
    put(d, value);
}

/* Takes the value over.  Ends, too, what it is the last item of; not deeper than the levels are. */
static void
put(struct decoding *d, struct json *value)
{
    struct level *l = top_of(d);

    if (l == NULL) {
        d->root = value;
        return;
    }
    if (l->kind == LEVEL_MAP)
        put_member(d, l, value);
    else
        json_append(l->value, value);
    if (!d->has_failed && !l->is_open && --l->left == 0)
        close_level(d);
}

/* May an item begin here? */
static bool
begins(struct decoding *d, bool is_number)
{
    const struct level *l = top_of(d);

    if (++d->items > CBOR_ITEMS_MAX)
        fail(d, "has too many items");
    else if (l != NULL && l->kind == LEVEL_TEXT)
        fail(d, "has something else between the pieces of a text");
    else if (d->is_time && !is_number)
        fail(d, "has a time that is not a number");
    d->is_time = false;
    return !d->has_failed;
}

static void
open_level(struct decoding *d, enum level_kind kind, bool is_open, size_t left)
{
    struct json *value = kind == LEVEL_MAP     ? json_object()
                         : kind == LEVEL_ARRAY ? json_array()
                                               : NULL;

    if (d->depth == JSON_DEPTH_MAX) {
        fail(d, "is nested too deep");
        json_unref(value);
        return;
    }
    if (!is_open && left == 0) {
        put(d, value);
        return;
    }
    d->levels[d->depth++] =
        (struct level){.kind = kind, .is_open = is_open, .left = left, .value = value};
}

/* ---- libcbor's items ---- */

static void
put_number(struct decoding *d, bool is_negative, uint64_t n)
{
    if (!begins(d, true))
        return;
    if (n > INT64_MAX)
        fail(d, "has an integer beyond 64 bits with a sign");
    else
        put(d, json_int(is_negative ? -1 - (int64_t)n : (int64_t)n));
}

static void
put_real(struct decoding *d, double n)
{
    if (!begins(d, true))
        return;
    if (!isfinite(n))
        fail(d, "has a number that is infinite or none");
    else
        put(d, json_real(n));
}

#define ON_INTEGER(name, type, is_negative) \
    static void name(void *d, type n)       \
    {                                       \
        put_number(d, is_negative, n);      \
    }
ON_INTEGER(on_uint8, uint8_t, false)
ON_INTEGER(on_uint16, uint16_t, false)
ON_INTEGER(on_uint32, uint32_t, false)
ON_INTEGER(on_uint64, uint64_t, false)
ON_INTEGER(on_negint8, uint8_t, true)
ON_INTEGER(on_negint16, uint16_t, true)
ON_INTEGER(on_negint32, uint32_t, true)
ON_INTEGER(on_negint64, uint64_t, true)

static void
on_double(void *d, double n)
{
    put_real(d, n);
}

static void
on_float(void *d, float n)
{
    put_real(d, (double)n);
}

static void
on_null(void *arg)
{
    struct decoding *d = arg;

    if (begins(d, false))
        put(d, json_text(NULL));
}

static void
on_boolean(void *arg, bool truth)
{
    struct decoding *d = arg;

    if (begins(d, false))
        put(d, json_bool(truth));
}

static void
on_text(void *arg, cbor_data bytes, size_t size)
{
    struct decoding *d = arg;
    const struct str text = {(const char *)bytes, size};
    struct level *l = top_of(d);

    if (!json_is_utf8(text) || str_index(text, '\0') >= 0) {
        fail(d, "has a text that is not UTF-8, or has a NUL");
        return;
    }
    if (l != NULL && l->kind == LEVEL_TEXT) {
        strbuf_add(&l->text, text);
        return;
    }
    if (begins(d, false))
        put(d, json_str(text));
}

static void
on_open_text(void *arg)
{
    struct decoding *d = arg;

    if (begins(d, false))
        open_level(d, LEVEL_TEXT, true, 0);
}

static void
on_array(void *arg, size_t count)
{
    struct decoding *d = arg;

    if (count > CBOR_ITEMS_MAX)
        fail(d, "has too many items");
    else if (begins(d, false))
        open_level(d, LEVEL_ARRAY, false, count);
}

static void
on_open_array(void *arg)
{
    struct decoding *d = arg;

    if (begins(d, false))
        open_level(d, LEVEL_ARRAY, true, 0);
}

static void
on_map(void *arg, size_t count)
{
    struct decoding *d = arg;

    if (count > CBOR_ITEMS_MAX)
        fail(d, "has too many items");
    else if (begins(d, false))
        open_level(d, LEVEL_MAP, false, 2 * count);
}

static void
on_open_map(void *arg)
{
    struct decoding *d = arg;

    if (begins(d, false))
        open_level(d, LEVEL_MAP, true, 0);
}

static void
on_break(void *arg)
{
    struct decoding *d = arg;
    struct level *l = top_of(d);

    if (l == NULL || !l->is_open || l->has_key || d->is_time) {
        fail(d, "has a break where nothing can end");
        return;
    }
    if (l->kind == LEVEL_TEXT)
        l->value = json_text(strbuf_cstr(&l->text));
    close_level(d);
}

static void
on_tag(void *arg, uint64_t tag)
{
    struct decoding *d = arg;

    if (!begins(d, false))
        return;
    if (tag == TAG_BIG || tag == TAG_BIG + 1)
        fail(d, "has an integer beyond 64 bits with a sign");
    else if (tag != TAG_TIME)
        fail(d, "has a tag other than that of times, 1");
    d->is_time = true;
}

/* No operation that is played takes bytes. */
static void
on_bytes(void *arg, cbor_data bytes, size_t size)
{
    fail(arg, "has bytes where nothing takes them");
}

static void
on_open_bytes(void *arg)
{
    on_bytes(arg, NULL, 0);
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint8 = on_negint8,
    .negint16 = on_negint16,
    .negint32 = on_negint32,
    .negint64 = on_negint64,
    .byte_string_start = on_open_bytes,
    .byte_string = on_bytes,
    .string = on_text,
    .string_start = on_open_text,
    .indef_array_start = on_open_array,
    .array_start = on_array,
    .indef_map_start = on_open_map,
    .map_start = on_map,
    .tag = on_tag,
    .float2 = on_float,
    .float4 = on_float,
    .float8 = on_double,
    .undefined = on_null,
    .null = on_null,
    .boolean = on_boolean,
    .indef_break = on_break,
};

/* ---- requests ---- */

static void
decode_items(struct decoding *d, struct str body)
{
    while (!d->has_failed && d->root == NULL) {
        const struct cbor_decoder_result r =
            cbor_stream_decode((cbor_data)body.at, body.len, &callbacks, d);

        if (r.status == CBOR_DECODER_FINISHED)
            body = str_slice(body, r.read, body.len);
        else if (r.status == CBOR_DECODER_NEDATA)
            fail(d, "ends too early");
        else
            fail(d, "has a byte that begins no item");
    }
    if (!d->has_failed && body.len > 0)
        fail(d, "has something behind its end");
    if (!d->has_failed && json_type(d->root) != JSON_OBJECT)
        fail(d, "must be a map");
}

bool
cbor_protocol_read(struct str body, struct json **out, struct err *err)
{
    struct decoding d = {.err = err};

    if (body.len == 0) {
        *out = json_object();
        return true;
    }
    decode_items(&d, body);
    while (d.depth > 0)
        level_done(&d.levels[--d.depth]);
    if (d.has_failed) {
        json_unref(d.root);
        return false;
    }
    *out = d.root;
    return true;
}

/* ---- answers ---- */

struct json *
cbor_time_ms(int64_t ms)
{
    struct json *time = json_object();

    json_set(time, TIME_MEMBER, json_int(ms));
    return time;
}

static void
add_head(struct strbuf *out, const unsigned char *head, size_t size)
{
    assert(size > 0); /* there was room */
    strbuf_add(out, (struct str){(const char *)head, size});
}

static void
write_real(struct strbuf *out, double n)
{
    unsigned char head[HEAD_SIZE];

    add_head(out, head, cbor_encode_double(n, head, sizeof(head)));
}

static void
write_text(struct strbuf *out, const char *text)
{
    const struct str s = str_of(text);
    unsigned char head[HEAD_SIZE];

    add_head(out, head, cbor_encode_string_start(s.len, head, sizeof(head)));
    strbuf_add(out, s);
}

/* What is null is left out: in a structure both mean the same. */
static void
write_object(struct strbuf *out, const struct json *object)
{
    const struct json *time = json_get(object, TIME_MEMBER);
    unsigned char head[HEAD_SIZE];
    size_t count = 0;

    if (time != NULL) {
        add_head(out, head, cbor_encode_tag(TAG_TIME, head, sizeof(head)));
        write_real(out, (double)json_i64(time, 0) / 1000);
        return;
    }
    for (void *it = json_first(object); it != NULL; it = json_next(object, it))
        count += json_type(json_value(it)) != JSON_NULL;
    add_head(out, head, cbor_encode_map_start(count, head, sizeof(head)));
    for (void *it = json_first(object); it != NULL; it = json_next(object, it)) {
        if (json_type(json_value(it)) == JSON_NULL)
            continue;
        write_text(out, json_key(it));
        cbor_protocol_write(out, json_value(it));
    }
}

static void
write_int(struct strbuf *out, int64_t n)
{
    unsigned char head[HEAD_SIZE];

    if (n < 0)
        add_head(out, head, cbor_encode_negint((uint64_t)(-1 - n), head, sizeof(head)));
    else
        add_head(out, head, cbor_encode_uint((uint64_t)n, head, sizeof(head)));
}

void
cbor_protocol_write(struct strbuf *out, const struct json *answer)
{
    unsigned char head[HEAD_SIZE];

    switch (json_type(answer)) {
    case JSON_OBJECT:
        write_object(out, answer);
        break;
    case JSON_ARRAY:
        add_head(out, head, cbor_encode_array_start(json_size(answer), head, sizeof(head)));
        for (size_t i = 0; i < json_size(answer); i++)
            cbor_protocol_write(out, json_at(answer, i));
        break;
    case JSON_TEXT:
        write_text(out, json_cstr(answer, ""));
        break;
    case JSON_INT:
        write_int(out, json_i64(answer, 0));
        break;
    case JSON_REAL:
        write_real(out, json_f64(answer, 0));
        break;
    case JSON_BOOL:
        add_head(out, head, cbor_encode_bool(json_truth(answer, false), head, sizeof(head)));
        break;
    case JSON_NULL:
    case JSON_NONE:
        add_head(out, head, cbor_encode_null(head, sizeof(head)));
        break;
    }
}

void
cbor_protocol_write_error(struct strbuf *out, const char *shape_namespace, const char *code,
                          const char *message, const struct json *extra)
{
    cleanup_json struct json *body = json_object();
    cleanup_free char *type = text_format("%s%s%s", shape_namespace != NULL ? shape_namespace : "",
                                          shape_namespace != NULL ? "#" : "", code);

    json_set(body, "__type", json_text(type));
    json_set(body, "message", json_text(message));
    for (void *it = json_first(extra); it != NULL; it = json_next(extra, it))
        json_set(body, json_key(it), json_ref(json_value(it)));
    cbor_protocol_write(out, body);
}
