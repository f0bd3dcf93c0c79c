/* SPDX-License-Identifier: MIT */
#include "api/protocol.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/uri.h"

/* A tree of names: "A.member.2.B=x" is {"A": {"member": {"2": {"B": "x"}}}}. */
struct query_form {
    struct json *tree;
};

/* ---- from the form to the tree ---- */

static bool
fail_malformed(struct err *err, const char *name)
{
    return err_set(err, ERR_SERIALIZATION, "The request form is malformed at '%.100s'.", name);
}

/* Member names are plain ASCII; anything else would not even be a JSON key. */
static bool
is_plain(struct str part)
{
    for (size_t i = 0; i < part.len; i++) {
        if (part.at[i] <= ' ' || part.at[i] > '~')
            return false;
    }
    return part.len > 0;
}

static bool
insert(struct json *tree, const char *name, const char *value, struct err *err)
{
    struct str rest = str_of(name), part;
    struct json *node = tree;
    int depth = 0;

    while (str_split(&rest, '.', &part)) {
        char key[QUERY_NAME_MAX + 1];
        struct json *child;

        if (!is_plain(part) || ++depth > QUERY_DEPTH_MAX || !text_copy(key, sizeof(key), part))
            return fail_malformed(err, name);
        child = json_get(node, key);
        if (rest.at == NULL) { /* the last part */
            if (child != NULL && json_type(child) == JSON_TEXT)
                return fail_malformed(err, name); /* twice */
            if (child == NULL)
                json_set(node, key, json_text(value));
            else if (value[0] != '\0')
                return fail_malformed(err, name); /* a value and members */
            return true;
        }
        if (child != NULL && json_type(child) != JSON_OBJECT) {
            /* "A=" (an empty list) beside "A.member.1": the members win. */
            if (json_cstr(child, "")[0] != '\0')
                return fail_malformed(err, name);
            child = NULL;
        }
        if (child == NULL) {
            json_set(node, key, json_object());
            child = json_get(node, key);
        }
        node = child;
    }
    return fail_malformed(err, name); /* the empty name */
}

struct query_form *
query_parse(struct str form, struct err *err)
{
    cleanup_json struct json *tree = json_object();
    cleanup(strbuf_done) struct strbuf name = {0}, value = {0};
    struct str rest = form, pair;
    struct query_form *out;
    int count = 0;

    while (str_split(&rest, '&', &pair)) {
        const ptrdiff_t equals = str_index(pair, '=');
        const struct str left = equals < 0 ? pair : str_slice(pair, 0, (size_t)equals);

        if (str_trim(pair).len == 0)
            continue;
        if (++count > QUERY_PARAMETERS_MAX) {
            err_set(err, ERR_SERIALIZATION, "The request has more than %d parameters.",
                    QUERY_PARAMETERS_MAX);
            return NULL;
        }
        strbuf_clear(&name);
        strbuf_clear(&value);
        if (!uri_decode(&name, left, true) || name.len > QUERY_NAME_MAX ||
            (equals >= 0 && !uri_decode(&value, str_slice(pair, (size_t)equals + 1, pair.len), true))) {
            fail_malformed(err, name.len > 0 ? strbuf_cstr(&name) : "a percent escape");
            return NULL;
        }
        if (!json_is_utf8(strbuf_str(&value))) {
            err_set(err, ERR_SERIALIZATION, "The value of '%.100s' is not UTF-8.", strbuf_cstr(&name));
            return NULL;
        }
        if (!insert(tree, strbuf_cstr(&name), strbuf_cstr(&value), err))
            return NULL;
    }
    out = mem_new(sizeof(*out));
    out->tree = TAKE(tree);
    return out;
}

void
query_free(struct query_form *form)
{
    if (form == NULL)
        return;
    json_unref(form->tree);
    free(form);
}

const char *
query_get(const struct query_form *form, const char *name)
{
    return json_get_cstr(form->tree, name, NULL);
}

/* ---- from the tree to typed JSON ---- */

struct decoding {
    enum err_code invalid;
    bool is_ec2;
    struct err *err;
};

static struct json *decode_value(struct decoding *d, const struct shape *shape, const char *name,
                                 const struct json *node);

static struct json *
fail_value(struct decoding *d, const char *name, const struct json *node, const char *must)
{
    if (d->is_ec2)
        err_set(d->err, d->invalid, "Value (%.100s) for parameter %.100s is invalid. It must %s",
                json_cstr(node, "(members)"), name, must);
    else
        err_set(d->err, d->invalid,
                "1 validation error detected: Value '%.100s' at '%.100s' failed to satisfy constraint: "
                "Member must %s",
                json_cstr(node, "(members)"), name, must);
    return NULL;
}

static struct json *
decode_scalar(struct decoding *d, const struct shape *shape, const char *name, const struct json *node)
{
    const char *text = json_cstr(node, NULL);
    int64_t n;

    if (text == NULL)
        return fail_value(d, name, node, "be a single value");
    switch (shape->type) {
    case SHAPE_INTEGER:
    case SHAPE_LONG:
        if (!str_to_i64(str_of(text), &n))
            return fail_value(d, name, node, "be an integer");
        if (shape->type == SHAPE_INTEGER && (n < INT32_MIN || n > INT32_MAX))
            return fail_value(d, name, node, "be in the range of an integer");
        return json_int(n);
    case SHAPE_BOOLEAN:
        if (str_equal_nocase(str_of(text), STR("true")))
            return json_bool(true);
        if (str_equal_nocase(str_of(text), STR("false")))
            return json_bool(false);
        return fail_value(d, name, node, "be true or false");
    case SHAPE_DOUBLE: {
        char *end;
        const double real = strtod(text, &end);
        if (text[0] == '\0' || *end != '\0')
            return fail_value(d, name, node, "be a number");
        return json_real(real);
    }
    case SHAPE_TIMESTAMP: {
        int64_t ms;
        char *end;
        const double seconds = strtod(text, &end);
        if (clock_parse_iso(str_of(text), &ms))
            return json_real((double)ms / 1000);
        if (text[0] == '\0' || *end != '\0' || !(seconds >= -1e12 && seconds <= 1e12))
            return fail_value(d, name, node, "be a time: ISO 8601, or seconds since 1970");
        return json_real(seconds);
    }
    default:
        return json_ref(node);
    }
}

static int
compare_indexes(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* "A.member.N", or EC2's "A.N", with gaps and in any order; "A=" alone is the empty list. */
static struct json *
decode_list(struct decoding *d, const struct shape *shape, const char *name, const struct json *node)
{
    cleanup_json struct json *list = json_array();
    cleanup_free int64_t *indexes = NULL;
    const char *form = d->is_ec2 ? "be a list: Name.N" : "be a list: Name.member.N";
    const struct json *items = d->is_ec2 ? node : json_get(node, "member");
    const size_t count = json_size(items);
    size_t used = 0;

    if (json_type(node) == JSON_TEXT && json_cstr(node, "")[0] == '\0')
        return TAKE(list);
    if (json_type(items) != JSON_OBJECT)
        return fail_value(d, name, node, form);
    if (count > QUERY_ITEMS_MAX)
        return fail_value(d, name, node, "have length less than or equal to 2000");
    indexes = mem_grow(NULL, count, sizeof(*indexes));
    for (void *it = json_first(items); it != NULL; it = json_next(items, it)) {
        if (!str_to_i64(str_of(json_key(it)), &indexes[used]) || indexes[used] < 0)
            return fail_value(d, name, node, form);
        used++;
    }
    qsort(indexes, used, sizeof(*indexes), compare_indexes);
    for (size_t i = 0; i < used; i++) {
        char key[32], place[QUERY_NAME_MAX + 64];
        struct json *item;

        snprintf(key, sizeof(key), "%lld", (long long)indexes[i]);
        if (json_get(items, key) == NULL) /* "01" */
            return fail_value(d, name, node, form);
        snprintf(place, sizeof(place), d->is_ec2 ? "%.500s.%s" : "%.500s.%s.member", name, key);
        item = decode_value(d, shape->members[0].shape, place, json_get(items, key));
        if (item == NULL)
            return NULL;
        json_append(list, item);
    }
    return TAKE(list);
}

/* What every form may have besides the operation's members. */
static bool
is_of_every_request(const char *name)
{
    static const char *const names[] = {"Action", "Version", "AWSAccessKeyId", "Signature",
                                        "SignatureMethod", "SignatureVersion", "Timestamp"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return strncmp(name, "X-Amz-", 6) == 0;
}

static const char *
wire_name(const struct shape_member *m)
{
    return m->wire != NULL ? m->wire : m->name;
}

/* EC2 takes no member that it does not know, and says which one is missing. */
static bool
check_ec2_names(struct decoding *d, const struct shape *shape, const char *name,
                const struct json *node)
{
    const char *dot = name[0] != '\0' ? "." : "";

    for (void *it = json_first(node); it != NULL; it = json_next(node, it)) {
        int i = 0;
        while (i < shape->member_count && strcmp(wire_name(&shape->members[i]), json_key(it)) != 0)
            i++;
        if (i == shape->member_count && (name[0] != '\0' || !is_of_every_request(json_key(it))))
            return err_set(d->err, ERR_EC2_UNKNOWN_PARAMETER,
                           "The parameter %.200s%s%.100s is not recognized", name, dot, json_key(it));
    }
    for (int i = 0; i < shape->member_count; i++) {
        const char *wire = wire_name(&shape->members[i]);
        if (shape->members[i].required && json_get(node, wire) == NULL)
            return err_set(d->err, ERR_ELB_MISSING_PARAMETER,
                           "The request must contain the parameter %.200s%s%s", name, dot, wire);
    }
    return true;
}

static struct json *
decode_structure(struct decoding *d, const struct shape *shape, const char *name,
                 const struct json *node)
{
    cleanup_json struct json *object = json_object();

    if (json_type(node) == JSON_TEXT && json_cstr(node, "")[0] == '\0')
        return TAKE(object);
    if (json_type(node) != JSON_OBJECT)
        return fail_value(d, name, node, "be a structure: Name.Member");
    if (d->is_ec2 && !check_ec2_names(d, shape, name, node))
        return NULL;
    for (int i = 0; i < shape->member_count; i++) {
        const struct shape_member *m = &shape->members[i];
        const struct json *given = json_get(node, wire_name(m));
        char place[QUERY_NAME_MAX + 64];
        struct json *value;

        if (given == NULL)
            continue;
        snprintf(place, sizeof(place), "%.400s%s%s", name, name[0] != '\0' ? "." : "", wire_name(m));
        value = decode_value(d, m->shape, place, given);
        if (value == NULL)
            return NULL;
        json_set(object, m->name, value);
    }
    return TAKE(object);
}

static struct json *
decode_value(struct decoding *d, const struct shape *shape, const char *name, const struct json *node)
{
    switch (shape->type) {
    case SHAPE_STRUCTURE:
        return decode_structure(d, shape, name, node);
    case SHAPE_LIST:
        return decode_list(d, shape, name, node);
    case SHAPE_MAP:
    case SHAPE_DOCUMENT:
        return fail_value(d, name, node, "not be a map: maps are not supported in Query requests");
    default:
        return decode_scalar(d, shape, name, node);
    }
}

static bool
decode_form(struct decoding *d, const struct query_form *form, const struct shape *input,
            struct json **out)
{
    struct json *value = decode_structure(d, input, "", form->tree);

    if (value == NULL)
        return false;
    *out = value;
    return true;
}

bool
query_decode(const struct query_form *form, const struct shape *input, enum err_code invalid,
             struct json **out, struct err *err)
{
    struct decoding d = {.invalid = invalid, .err = err};

    return decode_form(&d, form, input, out);
}

bool
ec2_decode(const struct query_form *form, const struct shape *input, enum err_code invalid,
           struct json **out, struct err *err)
{
    struct decoding d = {.invalid = invalid, .is_ec2 = true, .err = err};

    return decode_form(&d, form, input, out);
}

/* ---- answers ---- */

static void
xml_text(struct strbuf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        switch (*p) {
        case '&':
            strbuf_add_cstr(out, "&amp;");
            break;
        case '<':
            strbuf_add_cstr(out, "&lt;");
            break;
        case '>':
            strbuf_add_cstr(out, "&gt;");
            break;
        case '"':
            strbuf_add_cstr(out, "&quot;");
            break;
        case '\r':
            strbuf_add_cstr(out, "&#xD;");
            break;
        default: /* XML 1.0 has no way to write the other control characters, U+FFFE and U+FFFF */
            if ((unsigned char)*p < 0x20 && *p != '\t' && *p != '\n')
                strbuf_add_char(out, '?');
            else if (strncmp(p, "\xef\xbf\xbe", 3) == 0 || strncmp(p, "\xef\xbf\xbf", 3) == 0)
                strbuf_add_char(out, '?'), p += 2;
            else
                strbuf_add_char(out, *p);
        }
    }
}

/* Items of lists are elements of the name `item`; those of a map are always `entry`, {key, value}. */
static void
xml_value(struct strbuf *out, const struct json *value, const char *item)
{
    switch (json_type(value)) {
    case JSON_OBJECT:
        for (void *it = json_first(value); it != NULL; it = json_next(value, it)) {
            if (json_type(json_value(it)) == JSON_NULL)
                continue;
            if (strcmp(json_key(it), "entry") == 0) {
                xml_value(out, json_value(it), "entry");
                continue;
            }
            strbuf_addf(out, "<%s>", json_key(it));
            xml_value(out, json_value(it), item);
            strbuf_addf(out, "</%s>", json_key(it));
        }
        break;
    case JSON_ARRAY:
        for (size_t i = 0; i < json_size(value); i++) {
            strbuf_addf(out, "<%s>", item);
            xml_value(out, json_at(value, i), item);
            strbuf_addf(out, "</%s>", item);
        }
        break;
    case JSON_TEXT:
        xml_text(out, json_cstr(value, ""));
        break;
    case JSON_BOOL:
        strbuf_add_cstr(out, json_truth(value, false) ? "true" : "false");
        break;
    case JSON_INT:
        strbuf_addf(out, "%lld", (long long)json_i64(value, 0));
        break;
    case JSON_REAL:
        strbuf_addf(out, "%.15g", json_f64(value, 0));
        break;
    case JSON_NULL:
    case JSON_NONE:
        break;
    }
}

void
query_write(struct strbuf *out, const char *operation, const char *xml_namespace,
            const struct json *answer, const char *request_id)
{
    /* The result element stands even when it is empty: clients look it up by name. */
    strbuf_addf(out, "<%sResponse xmlns=\"%s\"><%sResult>", operation, xml_namespace, operation);
    xml_value(out, answer, "member");
    strbuf_addf(out,
                "</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata>"
                "</%sResponse>",
                operation, request_id, operation);
}

void
query_write_error(struct strbuf *out, const char *xml_namespace, const char *code,
                  const char *message, bool is_ours, const char *request_id)
{
    cleanup_json struct json *text = json_text(message); /* mends what was cut in a character */

    strbuf_addf(out, "<ErrorResponse xmlns=\"%s\"><Error><Type>%s</Type><Code>" STR_FMT "</Code><Message>",
                xml_namespace, is_ours ? "Receiver" : "Sender", STR_ARG(query_error_code(code)));
    xml_text(out, json_cstr(text, ""));
    strbuf_addf(out, "</Message></Error><RequestId>%s</RequestId></ErrorResponse>", request_id);
}

void
ec2_write(struct strbuf *out, const char *operation, const char *xml_namespace,
          const struct json *answer, const char *request_id)
{
    strbuf_addf(out, "<%sResponse xmlns=\"%s\"><requestId>%s</requestId>", operation, xml_namespace,
                request_id);
    xml_value(out, answer, "item");
    strbuf_addf(out, "</%sResponse>", operation);
}

void
ec2_write_error(struct strbuf *out, const char *code, const char *message, const char *request_id)
{
    cleanup_json struct json *text = json_text(message);

    strbuf_addf(out, "<Response><Errors><Error><Code>" STR_FMT "</Code><Message>",
                STR_ARG(query_error_code(code)));
    xml_text(out, json_cstr(text, ""));
    strbuf_addf(out, "</Message></Error></Errors><RequestID>%s</RequestID></Response>", request_id);
}

struct str
query_error_code(const char *wire)
{
    const struct str code = str_of(wire);

    if (str_ends(code, STR("Exception")))
        return str_slice(code, 0, code.len - (sizeof("Exception") - 1));
    return code;
}
