/* SPDX-License-Identifier: MIT */
#include "model/row.h"
#include <assert.h>

static struct json *
encode_field(const struct row_field *f, const char *at)
{
    switch (f->type) {
    case FIELD_TEXT:
        return at[0] == '\0' ? NULL : json_text(at);
    case FIELD_INT: {
        int n;
        memcpy(&n, at, sizeof(n));
        return n == 0 ? NULL : json_int(n);
    }
    case FIELD_I64: {
        int64_t n;
        memcpy(&n, at, sizeof(n));
        return n == 0 ? NULL : json_int(n);
    }
    case FIELD_BOOL: {
        bool b;
        memcpy(&b, at, sizeof(b));
        return b ? json_bool(true) : NULL;
    }
    case FIELD_ENUM: {
        int n;
        memcpy(&n, at, sizeof(n));
        assert(n >= 0 && n < f->names->count);
        return json_text(f->names->names[n]);
    }
    case FIELD_JSON: {
        struct json *doc;
        memcpy(&doc, at, sizeof(doc));
        return doc == NULL ? NULL : json_ref(doc);
    }
    }
    return NULL;
}

struct json *
row_encode(const struct row_field *fields, const void *object)
{
    struct json *row = json_object();

    for (const struct row_field *f = fields; f->name != NULL; f++)
        json_set(row, f->name, encode_field(f, (const char *)object + f->offset));
    return row;
}

static bool
wrong_member(const struct row_field *f, struct err *err)
{
    return err_set(err, ERR_INTERNAL, "stored member '%s' is not what it should be", f->name);
}

static bool
decode_number(const struct row_field *f, const struct json *value, char *at, struct err *err)
{
    const int64_t n = json_i64(value, 0);
    const int small = (int)n;

    if (json_type(value) != JSON_INT)
        return wrong_member(f, err);
    if (f->type == FIELD_I64) {
        memcpy(at, &n, sizeof(n));
        return true;
    }
    if (n != small)
        return wrong_member(f, err);
    memcpy(at, &small, sizeof(small));
    return true;
}

static bool
decode_enum(const struct row_field *f, const struct json *value, char *at, struct err *err)
{
    const struct str name = str_of(json_cstr(value, NULL));

    for (int i = 0; i < f->names->count; i++) {
        if (str_is(name, f->names->names[i])) {
            memcpy(at, &i, sizeof(i));
            return true;
        }
    }
    return wrong_member(f, err);
}

static bool
decode_field(const struct row_field *f, const struct json *value, char *at, struct err *err)
{
    switch (f->type) {
    case FIELD_TEXT:
        if (json_type(value) != JSON_TEXT || !text_copy(at, f->size, str_of(json_cstr(value, ""))))
            return wrong_member(f, err);
        return true;
    case FIELD_INT:
    case FIELD_I64:
        return decode_number(f, value, at, err);
    case FIELD_BOOL: {
        const bool b = json_truth(value, false);
        if (json_type(value) != JSON_BOOL)
            return wrong_member(f, err);
        memcpy(at, &b, sizeof(b));
        return true;
    }
    case FIELD_ENUM:
        return decode_enum(f, value, at, err);
    case FIELD_JSON: {
        struct json *doc = json_ref(value);
        memcpy(at, &doc, sizeof(doc));
        return true;
    }
    }
    return false;
}

bool
row_decode(const struct row_field *fields, const struct json *row, void *object, struct err *err)
{
    if (json_type(row) != JSON_OBJECT)
        return err_set(err, ERR_INTERNAL, "a stored row is no object");
    for (const struct row_field *f = fields; f->name != NULL; f++) {
        const struct json *value = json_get(row, f->name);
        if (value != NULL && !decode_field(f, value, (char *)object + f->offset, err))
            return false;
    }
    return true;
}

struct json *
row_encode_array(const struct row_field *fields, const void *items, int count, size_t stride)
{
    struct json *array;

    if (count == 0)
        return NULL;
    array = json_array();
    for (int i = 0; i < count; i++)
        json_append(array, row_encode(fields, (const char *)items + (size_t)i * stride));
    return array;
}

bool
row_decode_array(const struct row_field *fields, const struct json *array, void *items, int max,
                 size_t stride, int *count_out, struct err *err)
{
    const size_t count = json_size(array);

    *count_out = 0;
    if (array != NULL && json_type(array) != JSON_ARRAY)
        return err_set(err, ERR_INTERNAL, "a stored list is no array");
    if (count > (size_t)max)
        return err_set(err, ERR_INTERNAL, "a stored list has %zu items, more than %d", count, max);
    for (size_t i = 0; i < count; i++) {
        if (!row_decode(fields, json_at(array, i), (char *)items + i * stride, err))
            return false;
    }
    *count_out = (int)count;
    return true;
}

void *
row_decode_new(const struct row_field *fields, const struct json *row, size_t size, struct err *err)
{
    void *object = mem_new(size);

    if (row_decode(fields, row, object, err))
        return object;
    row_free_documents(fields, object);
    free(object);
    return NULL;
}

void
row_free_documents(const struct row_field *fields, void *object)
{
    for (const struct row_field *f = fields; f->name != NULL; f++) {
        struct json *doc;
        if (f->type != FIELD_JSON)
            continue;
        memcpy(&doc, (char *)object + f->offset, sizeof(doc));
        json_unref(doc);
    }
}
