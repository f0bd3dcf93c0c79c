/* SPDX-License-Identifier: MIT */
#include "api/shapes.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "api/operations.h"
#include "base/crypto.h"

#include "shapes.inc"

#define PATH_MAX_PARTS 80 /* JSON_DEPTH_MAX and some */

/* Where in the input we are, for messages: "containerDefinitions.2.member.cpu". */
struct place {
    const struct place *parent;
    const char *name; /* NULL: an item of a list */
    size_t index;     /* of the item, from 1 */
};

struct check {
    enum err_code invalid;
    struct err *err;
};

static struct json *accept_value(struct check *c, const struct place *at, const struct shape *shape,
                                 const struct json *value);

const struct model_operation *
model_find_operation(const struct model *model, struct str name)
{
    for (size_t i = 0; i < model->operation_count; i++) {
        if (str_is(name, model->operations[i].name))
            return &model->operations[i];
    }
    return NULL;
}

static void
place_format(struct strbuf *out, const struct place *at)
{
    const struct place *parts[PATH_MAX_PARTS];
    int count = 0;

    for (; at != NULL && count < PATH_MAX_PARTS; at = at->parent)
        parts[count++] = at;
    while (count > 0) {
        at = parts[--count];
        if (out->len > 0)
            strbuf_add_char(out, '.');
        if (at->name != NULL)
            strbuf_add_cstr(out, at->name);
        else
            strbuf_addf(out, "%zu.member", at->index);
    }
}

/* A value as messages show it: texts and numbers as they are (cut at 100 bytes), the rest by kind. */
static void
value_format(struct strbuf *out, const struct json *value)
{
    cleanup_free char *text = NULL;
    struct str shown;

    if (json_type(value) == JSON_TEXT) {
        shown = str_of(json_cstr(value, ""));
    } else {
        text = json_format(value);
        shown = str_of(text);
    }
    size_t cut = shown.len > 100 ? 100 : shown.len;
    while (cut < shown.len && cut > 0 && ((unsigned char)shown.at[cut] & 0xc0) == 0x80)
        cut--; /* never in the middle of a character */
    strbuf_add(out, str_slice(shown, 0, cut));
    if (shown.len > cut)
        strbuf_add_cstr(out, "...");
}

static struct json *
fail_constraint(struct check *c, const struct place *at, const struct json *value, const char *constraint)
{
    cleanup(strbuf_done) struct strbuf path = {0}, shown = {0};

    place_format(&path, at);
    if (value == NULL) {
        err_set(c->err, c->invalid,
                "1 validation error detected: Value null at '%s' failed to satisfy constraint: %s",
                strbuf_cstr(&path), constraint);
    } else {
        value_format(&shown, value);
        err_set(c->err, c->invalid,
                "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s",
                strbuf_cstr(&shown), strbuf_cstr(&path), constraint);
    }
    return NULL;
}

static struct json *
fail_type(struct check *c, const struct place *at, const struct json *value, const char *wanted)
{
    cleanup(strbuf_done) struct strbuf path = {0};

    place_format(&path, at);
    switch (json_type(value)) {
    case JSON_OBJECT:
        err_set(c->err, ERR_SERIALIZATION,
                "Start of structure or map found where not expected: '%s' must be of type %s",
                strbuf_cstr(&path), wanted);
        break;
    case JSON_ARRAY:
        err_set(c->err, ERR_SERIALIZATION,
                "Start of list found where not expected: '%s' must be of type %s", strbuf_cstr(&path),
                wanted);
        break;
    case JSON_TEXT:
        err_set(c->err, ERR_SERIALIZATION, "STRING_VALUE can not be converted to %s at '%s'", wanted,
                strbuf_cstr(&path));
        break;
    case JSON_BOOL:
        err_set(c->err, ERR_SERIALIZATION, "%s can not be converted to %s at '%s'",
                json_truth(value, false) ? "TRUE_VALUE" : "FALSE_VALUE", wanted, strbuf_cstr(&path));
        break;
    case JSON_INT:
    case JSON_REAL:
        err_set(c->err, ERR_SERIALIZATION, "%s can not be converted to %s at '%s'",
                json_type(value) == JSON_REAL ? "DECIMAL_VALUE" : "NUMBER_VALUE", wanted,
                strbuf_cstr(&path));
        break;
    case JSON_NONE:
    case JSON_NULL:
        assert(!"null counts as absent and never comes here");
    }
    return NULL;
}

static bool
check_bounds(struct check *c, const struct place *at, const struct shape *shape,
             const struct json *value, int64_t measure, const char *what)
{
    char constraint[160];

    if (shape->has_min && measure < shape->min)
        snprintf(constraint, sizeof(constraint), "Member must have %s greater than or equal to %lld",
                 what, (long long)shape->min);
    else if (shape->has_max && measure > shape->max)
        snprintf(constraint, sizeof(constraint), "Member must have %s less than or equal to %lld", what,
                 (long long)shape->max);
    else
        return true;
    fail_constraint(c, at, value, constraint);
    return false;
}

static struct json *
accept_number(struct check *c, const struct place *at, const struct shape *shape,
              const struct json *value)
{
    const bool is_long = shape->type == SHAPE_LONG;
    int64_t n;

    /* 2.0 is the integer 2: some JSON writers print it so. */
    if (json_type(value) == JSON_REAL && json_f64(value, 0) == floor(json_f64(value, 0)) &&
        fabs(json_f64(value, 0)) < 9e15)
        n = (int64_t)json_f64(value, 0);
    else if (json_type(value) == JSON_INT)
        n = json_i64(value, 0);
    else
        return fail_type(c, at, value, is_long ? "Long" : "Integer");
    if (!is_long && (n < INT32_MIN || n > INT32_MAX)) {
        cleanup(strbuf_done) struct strbuf path = {0};
        place_format(&path, at);
        err_set(c->err, ERR_SERIALIZATION, "%lld at '%s' is not in the range of an Integer",
                (long long)n, strbuf_cstr(&path));
        return NULL;
    }
    if (!check_bounds(c, at, shape, value, n, "value"))
        return NULL;
    return json_int(n);
}

static struct json *
accept_real(struct check *c, const struct place *at, const struct shape *shape, const struct json *value)
{
    const double n = json_f64(value, json_type(value) == JSON_INT ? (double)json_i64(value, 0) : 0);

    if (json_type(value) != JSON_REAL && json_type(value) != JSON_INT)
        return fail_type(c, at, value, shape->type == SHAPE_TIMESTAMP ? "Timestamp" : "Double");
    if ((shape->has_min && n < (double)shape->min) || (shape->has_max && n > (double)shape->max)) {
        char text[128];
        snprintf(text, sizeof(text), "Member must have value between %lld and %lld",
                 (long long)shape->min, (long long)shape->max);
        return fail_constraint(c, at, value, text);
    }
    return json_ref(value);
}

static bool
enum_has(const struct shape *shape, const char *text)
{
    for (int i = 0; i < shape->value_count; i++) {
        if (strcmp(shape->values[i], text) == 0)
            return true;
    }
    return false;
}

static bool
has_only_its_chars(const struct shape *shape, const char *text)
{
    for (const char *p = text + strspn(text, shape->chars); *p != '\0'; p += strspn(p, shape->chars)) {
        if ((unsigned char)*p < 0x80 || !shape->has_beyond_ascii)
            return false;
        p++;
    }
    return true;
}

static struct json *
accept_text(struct check *c, const struct place *at, const struct shape *shape, const struct json *value)
{
    const char *text = json_cstr(value, "");

    if (json_type(value) != JSON_TEXT)
        return fail_type(c, at, value, "String");
    if (shape->values != NULL && !enum_has(shape, text)) {
        cleanup(strbuf_done) struct strbuf set = {0};
        strbuf_add_cstr(&set, "Member must satisfy enum value set: [");
        for (int i = 0; i < shape->value_count; i++)
            strbuf_addf(&set, "%s%s", i > 0 ? ", " : "", shape->values[i]);
        strbuf_add_char(&set, ']');
        return fail_constraint(c, at, value, strbuf_cstr(&set));
    }
    if (!check_bounds(c, at, shape, value, (int64_t)text_characters(text), "length"))
        return NULL;
    if (shape->chars != NULL && !has_only_its_chars(shape, text)) {
        cleanup(strbuf_done) struct strbuf pattern = {0};
        strbuf_addf(&pattern, "Member must satisfy regular expression pattern: %s", shape->chars_class);
        return fail_constraint(c, at, value, strbuf_cstr(&pattern));
    }
    return json_ref(value);
}

/* Bounds are of the bytes.  What is in one may be a private key, so no message shows it. */
static struct json *
accept_blob(struct check *c, const struct place *at, const struct shape *shape, const struct json *value)
{
    cleanup(strbuf_done) struct strbuf path = {0}, bytes = {0};
    struct str text = str_of(json_cstr(value, ""));
    const bool is_text = json_type(value) == JSON_TEXT;

    place_format(&path, at);
    if (!is_text || !base64_decode(&bytes, text)) {
        if (is_text)
            err_set(c->err, ERR_SERIALIZATION, "The member '%s' must be base64", strbuf_cstr(&path));
        return is_text ? NULL : fail_type(c, at, value, "Blob");
    }
    const int64_t size = (int64_t)bytes.len;
    if ((shape->has_min && size < shape->min) || (shape->has_max && size > shape->max)) {
        err_set(c->err, c->invalid,
                "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length "
                "%s than or equal to %lld", strbuf_cstr(&path), size < shape->min ? "greater" : "less",
                (long long)(size < shape->min ? shape->min : shape->max));
        return NULL;
    }
    return json_ref(value);
}

static struct json *
accept_list(struct check *c, const struct place *at, const struct shape *shape, const struct json *value)
{
    cleanup_json struct json *list = NULL;

    if (json_type(value) != JSON_ARRAY)
        return fail_type(c, at, value, "List");
    if (!check_bounds(c, at, shape, value, (int64_t)json_size(value), "length"))
        return NULL;
    list = json_array();
    for (size_t i = 0; i < json_size(value); i++) {
        const struct place item = {.parent = at, .index = i + 1};
        struct json *accepted;

        if (json_type(json_at(value, i)) == JSON_NULL)
            return fail_constraint(c, &item, NULL, "Member must not be null");
        accepted = accept_value(c, &item, shape->members[0].shape, json_at(value, i));
        if (accepted == NULL)
            return NULL;
        json_append(list, accepted);
    }
    return TAKE(list);
}

static struct json *
accept_map(struct check *c, const struct place *at, const struct shape *shape, const struct json *value)
{
    cleanup_json struct json *map = NULL;

    if (json_type(value) != JSON_OBJECT)
        return fail_type(c, at, value, "Map");
    if (!check_bounds(c, at, shape, value, (int64_t)json_size(value), "length"))
        return NULL;
    map = json_object();
    for (void *it = json_first(value); it != NULL; it = json_next(value, it)) {
        const struct place item = {.parent = at, .name = json_key(it)};
        cleanup_json struct json *key = json_text(json_key(it));
        cleanup_json struct json *accepted_key = accept_value(c, &item, shape->members[0].shape, key);
        struct json *accepted;

        if (accepted_key == NULL)
            return NULL;
        if (json_type(json_value(it)) == JSON_NULL)
            continue;
        accepted = accept_value(c, &item, shape->members[1].shape, json_value(it));
        if (accepted == NULL)
            return NULL;
        json_set(map, json_key(it), accepted);
    }
    return TAKE(map);
}

static struct json *
accept_structure(struct check *c, const struct place *at, const struct shape *shape,
                 const struct json *value)
{
    cleanup_json struct json *object = NULL;

    if (json_type(value) != JSON_OBJECT)
        return fail_type(c, at, value, "Structure");
    object = json_object();
    for (int i = 0; i < shape->member_count; i++) {
        const struct shape_member *m = &shape->members[i];
        const struct place inside = {.parent = at, .name = m->name};
        const struct json *given = json_get(value, m->name);
        struct json *accepted;

        if (json_type(given) == JSON_NONE || json_type(given) == JSON_NULL) {
            if (m->required)
                return fail_constraint(c, &inside, NULL, "Member must not be null");
            continue;
        }
        accepted = accept_value(c, &inside, m->shape, given);
        if (accepted == NULL)
            return NULL;
        json_set(object, m->name, accepted);
    }
    return TAKE(object);
}

static struct json *
accept_value(struct check *c, const struct place *at, const struct shape *shape, const struct json *value)
{
    switch (shape->type) {
    case SHAPE_STRUCTURE:
        return accept_structure(c, at, shape, value);
    case SHAPE_LIST:
        return accept_list(c, at, shape, value);
    case SHAPE_MAP:
        return accept_map(c, at, shape, value);
    case SHAPE_STRING:
        return accept_text(c, at, shape, value);
    case SHAPE_BLOB: /* base64 text; who uses one decodes it */
        return accept_blob(c, at, shape, value);
    case SHAPE_INTEGER:
    case SHAPE_LONG:
        return accept_number(c, at, shape, value);
    case SHAPE_DOUBLE:
    case SHAPE_TIMESTAMP:
        return accept_real(c, at, shape, value);
    case SHAPE_BOOLEAN:
        if (json_type(value) != JSON_BOOL)
            return fail_type(c, at, value, "Boolean");
        return json_ref(value);
    case SHAPE_DOCUMENT:
        return json_ref(value);
    }
    assert(!"unknown shape type");
    return NULL;
}

bool
shape_accept(const struct shape *shape, const struct json *value, enum err_code invalid,
             struct json **out, struct err *err)
{
    struct check c = {.invalid = invalid, .err = err};
    struct json *accepted = accept_value(&c, NULL, shape, value);

    if (accepted == NULL)
        return false;
    *out = accepted;
    return true;
}
