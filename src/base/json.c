/* SPDX-License-Identifier: MIT */
/* jansson comes first and wrapped, because half of its names are ours as well: its type names are
 * renamed while its header is read, and the functions below call what json.h is about to shadow. */
#define json_type jansson_type
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_INTEGER JANSSON_INTEGER
#define JSON_REAL JANSSON_REAL
#define JSON_TRUE JANSSON_TRUE
#define JSON_FALSE JANSSON_FALSE
#define JSON_NULL JANSSON_NULL
#include <jansson.h>

static json_t *
jansson_object(void)
{
    return json_object();
}

static json_t *
jansson_array(void)
{
    return json_array();
}

static json_t *
jansson_real(double n)
{
    return json_real(n);
}

static int
jansson_equal(const json_t *a, const json_t *b)
{
    return json_equal(a, b);
}

static void
jansson_delete(json_t *j)
{
    json_delete(j);
}

#undef json_type
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_INTEGER
#undef JSON_REAL
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

/* A `struct json` is a json_t; it is never defined, only cast. */
static json_t *
in(const struct json *j)
{
    return (json_t *)(uintptr_t)j;
}

static struct json *
out(json_t *j)
{
    return (struct json *)j;
}

/* No UTF-8 text begins with this byte, so no other text looks like a formatted one. */
#define FORMATTED_MARK '\xff'

static bool
is_formatted(json_t *j)
{
    return json_string_value(j)[0] == FORMATTED_MARK;
}

/* jansson draws the seed of its hash tables with the first object; so before there are threads. */
__attribute__((constructor)) static void
seed_hashes(void)
{
    json_object_seed(0);
}

static struct json *
made(json_t *j)
{
    if (j == NULL)
        abort(); /* every caller gives valid input, so this is memory */
    return out(j);
}

/* jansson's own limit is 2048 levels, deep enough to hurt our recursive readers. */
static bool
is_too_deep(struct str text)
{
    bool in_text = false;
    int depth = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];

        if (in_text) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_text = false;
        } else if (c == '"') {
            in_text = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

struct json *
json_parse(struct str text, struct err *err)
{
    json_error_t e;
    json_t *j;

    if (text.len > JSON_TEXT_MAX) {
        err_set(err, ERR_SERIALIZATION, "JSON is larger than %u bytes", JSON_TEXT_MAX);
        return NULL;
    }
    if (is_too_deep(text)) {
        err_set(err, ERR_SERIALIZATION, "JSON is nested deeper than %d levels", JSON_DEPTH_MAX);
        return NULL;
    }
    j = json_loadb(text.len == 0 ? "" : text.at, text.len,
                   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (j == NULL)
        err_set(err, ERR_SERIALIZATION, "JSON is broken at line %d column %d: %s", e.line, e.column,
                e.text);
    return out(j);
}

/* ---- eight bytes at a time: nearly all of our texts are plain ASCII ---- */

#define EACH_BYTE(n) (0x0101010101010101u * (uint64_t)(n))

static uint64_t
eight_bytes(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

/* Not 0 if, and only if, one of them is below `n`, which is 1 to 128. */
static uint64_t
any_below(uint64_t word, unsigned n)
{
    return (word - EACH_BYTE(n)) & ~word & EACH_BYTE(0x80);
}

static uint64_t
any_is(uint64_t word, char c)
{
    return any_below(word ^ EACH_BYTE((unsigned char)c), 1);
}

/* How much of the text goes into JSON as it stands. */
static size_t
plain_len(const char *s, size_t len)
{
    size_t i = 0;

    while (i + 8 <= len) {
        const uint64_t word = eight_bytes(s + i);

        if ((any_below(word, ' ') | any_is(word, '"') | any_is(word, '\\')) != 0)
            break;
        i += 8;
    }
    while (i < len && (unsigned char)s[i] >= ' ' && s[i] != '"' && s[i] != '\\')
        i++;
    return i;
}

static void
format_escape(struct strbuf *b, unsigned char c)
{
    if (c == '"' || c == '\\')
        strbuf_add(b, (struct str){(const char[]){'\\', (char)c}, 2});
    else if (c == '\n')
        strbuf_add_cstr(b, "\\n");
    else if (c == '\r')
        strbuf_add_cstr(b, "\\r");
    else if (c == '\t')
        strbuf_add_cstr(b, "\\t");
    else
        strbuf_addf(b, "\\u%04x", c);
}

static void
format_text(struct strbuf *b, const char *s, size_t len)
{
    size_t plain;

    strbuf_reserve(b, len + 2);
    b->at[b->len++] = '"';
    while ((plain = plain_len(s, len)) < len) {
        strbuf_add(b, (struct str){s, plain});
        format_escape(b, (unsigned char)s[plain]);
        s += plain + 1;
        len -= plain + 1;
    }
    strbuf_reserve(b, len + 1); /* there already, but for escapes */
    memcpy(b->at + b->len, s, len);
    b->len += len;
    b->at[b->len++] = '"';
    b->at[b->len] = '\0';
}

static void
format_int(struct strbuf *b, int64_t n)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t left = n < 0 ? -(uint64_t)n : (uint64_t)n;

    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (n < 0)
        digits[--at] = '-';
    strbuf_add(b, (struct str){digits + at, sizeof(digits) - at});
}

/* A time: whole milliseconds, which is what nearly all of our reals are.  Digits below 1e15 in all read
 * back as the same number, so these are the shortest. */
static bool
format_time(struct strbuf *b, double n)
{
    const int64_t ms = n >= 1 && n < 1e11 ? (int64_t)(n * 1000 + 0.5) : 0;
    char part[4] = {'.', '0', '0', '0'};
    size_t len = sizeof(part);

    if (ms == 0 || (double)ms / 1000 != n)
        return false;
    for (int64_t i = 3, left = ms % 1000; i > 0; i--, left /= 10)
        part[i] = (char)('0' + left % 10);
    while (len > 2 && part[len - 1] == '0')
        len--;
    format_int(b, ms / 1000);
    strbuf_add(b, (struct str){part, len});
    return true;
}

/* The shortest digits that read back as the same number: 0.1 and 1700000000.123, not
 * 0.10000000000000001. A real keeps its point, so that it does not come back as an integer. */
static void
format_real(struct strbuf *b, double n)
{
    char text[40];

    if (format_time(b, n))
        return;
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, n);
        if (strtod(text, NULL) == n)
            break;
    }
    strbuf_add_cstr(b, text);
    if (strpbrk(text, ".e") == NULL)
        strbuf_add_cstr(b, ".0");
}

static void
new_line(struct strbuf *b, int indent, int level)
{
    if (indent > 0)
        strbuf_addf(b, "\n%*s", indent * level, "");
}

static void format_value(struct strbuf *b, json_t *j, int indent, int level);

static void
format_object(struct strbuf *b, json_t *j, int indent, int level)
{
    bool first = true;

    if (json_object_size(j) == 0) {
        strbuf_add_cstr(b, "{}");
        return;
    }
    strbuf_add_char(b, '{');
    for (void *it = json_object_iter(j); it != NULL; it = json_object_iter_next(j, it)) {
        const char *key = json_object_iter_key(it);

        if (!first)
            strbuf_add_char(b, ',');
        first = false;
        new_line(b, indent, level + 1);
        format_text(b, key, strlen(key));
        strbuf_add_char(b, ':');
        if (indent > 0)
            strbuf_add_char(b, ' ');
        format_value(b, json_object_iter_value(it), indent, level + 1);
    }
    new_line(b, indent, level);
    strbuf_add_char(b, '}');
}

static void
format_array(struct strbuf *b, json_t *j, int indent, int level)
{
    if (json_array_size(j) == 0) {
        strbuf_add_cstr(b, "[]");
        return;
    }
    strbuf_add_char(b, '[');
    for (size_t i = 0; i < json_array_size(j); i++) {
        if (i > 0)
            strbuf_add_char(b, ',');
        new_line(b, indent, level + 1);
        format_value(b, json_array_get(j, i), indent, level + 1);
    }
    new_line(b, indent, level);
    strbuf_add_char(b, ']');
}

static void
format_value(struct strbuf *b, json_t *j, int indent, int level)
{
    assert(level < 4 * JSON_DEPTH_MAX); /* a value put into itself would never end */
    switch (json_typeof(j)) {
    case JANSSON_OBJECT:
        format_object(b, j, indent, level);
        break;
    case JANSSON_ARRAY:
        format_array(b, j, indent, level);
        break;
    case JANSSON_STRING:
        if (is_formatted(j))
            strbuf_add(b, (struct str){json_string_value(j) + 1, json_string_length(j) - 1});
        else
            format_text(b, json_string_value(j), json_string_length(j));
        break;
    case JANSSON_INTEGER:
        format_int(b, json_integer_value(j));
        break;
    case JANSSON_REAL:
        format_real(b, json_real_value(j));
        break;
    case JANSSON_TRUE:
        strbuf_add_cstr(b, "true");
        break;
    case JANSSON_FALSE:
        strbuf_add_cstr(b, "false");
        break;
    case JANSSON_NULL:
        strbuf_add_cstr(b, "null");
        break;
    }
}

static void
write_value(struct strbuf *out, const struct json *j, int indent)
{
    if (j == NULL)
        strbuf_add_cstr(out, "null");
    else
        format_value(out, in(j), indent, 0);
}

void
json_write(struct strbuf *out, const struct json *j)
{
    write_value(out, j, 0);
}

char *
json_format(const struct json *j)
{
    struct strbuf b = {0};

    write_value(&b, j, 0);
    return strbuf_take(&b);
}

char *
json_format_pretty(const struct json *j)
{
    struct strbuf b = {0};

    write_value(&b, j, 2);
    return strbuf_take(&b);
}

struct json *
json_object(void)
{
    return made(jansson_object());
}

struct json *
json_array(void)
{
    return made(jansson_array());
}

/* Length of the UTF-8 character at the front of `s`, or 0 if there is none: overlong forms,
 * surrogates, what lies beyond U+10FFFF, and NUL. */
static size_t
utf8_len(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.at;
    unsigned char low = 0x80, high = 0xbf;
    size_t len;

    if (p[0] == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0xe0)
        low = 0xa0;
    if (p[0] == 0xed)
        high = 0x9f;
    if (p[0] == 0xf0)
        low = 0x90;
    if (p[0] == 0xf4)
        high = 0x8f;
    if (s.len < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

/* Neither a NUL nor above 127. */
static bool
is_plain_ascii(uint64_t word)
{
    return (word & EACH_BYTE(0x80)) == 0 && any_below(word, 1) == 0;
}

/* Where the first byte stands that is not UTF-8; s.len if all is well. */
static size_t
utf8_valid_len(struct str s)
{
    size_t at = 0, len;

    for (;;) {
        while (at + 8 <= s.len && is_plain_ascii(eight_bytes(s.at + at)))
            at += 8;
        while (at < s.len && (signed char)s.at[at] > 0)
            at++;
        if (at == s.len || (len = utf8_len(str_slice(s, at, s.len))) == 0)
            return at;
        at += len;
    }
}

bool
json_is_utf8(struct str s)
{
    return utf8_valid_len(s) == s.len;
}

static void
utf8_repair(struct strbuf *b, struct str s)
{
    while (s.len > 0) {
        size_t good = utf8_valid_len(s);

        strbuf_add(b, str_slice(s, 0, good));
        if (good < s.len) {
            strbuf_add_char(b, '?');
            good++;
        }
        s = str_slice(s, good, s.len);
    }
}

struct json *
json_text(const char *s)
{
    return s == NULL ? made(json_null()) : json_str(str_of(s));
}

struct json *
json_str(struct str s)
{
    cleanup(strbuf_done) struct strbuf repaired = {0};

    if (s.len == 0)
        return made(json_stringn_nocheck("", 0));
    if (utf8_valid_len(s) < s.len) {
        utf8_repair(&repaired, s);
        s = strbuf_str(&repaired);
    }
    return made(json_stringn_nocheck(s.at, s.len));
}

struct json *
json_formatted(struct str text)
{
    char *marked = mem_new(text.len + 2);
    json_t *j;

    marked[0] = FORMATTED_MARK;
    memcpy(marked + 1, text.at, text.len);
    j = json_stringn_nocheck(marked, text.len + 1);
    free(marked);
    return made(j);
}

struct json *
json_int(int64_t n)
{
    return made(json_integer(n));
}

struct json *
json_real(double n)
{
    assert(isfinite(n));
    return made(jansson_real(n));
}

struct json *
json_bool(bool b)
{
    return made(b ? json_true() : json_false());
}

struct json *
json_time_ms(int64_t ms)
{
    return json_real((double)ms / 1000.0);
}

/* true, false and null are one static value each and carry this instead of a count. */
#define REFCOUNT_STATIC ((size_t)-1)

/* As json_incref() and json_decref(), which read the count once without atomics. */
struct json *
json_ref(const struct json *j)
{
    if (j != NULL && __atomic_load_n(&in(j)->refcount, __ATOMIC_RELAXED) != REFCOUNT_STATIC)
        __atomic_add_fetch(&in(j)->refcount, 1, __ATOMIC_ACQUIRE);
    return out(in(j));
}

void
json_unref(struct json *j)
{
    if (j == NULL || __atomic_load_n(&in(j)->refcount, __ATOMIC_RELAXED) == REFCOUNT_STATIC)
        return;
    if (__atomic_sub_fetch(&in(j)->refcount, 1, __ATOMIC_ACQ_REL) == 0)
        jansson_delete(in(j));
}

struct json *
json_copy(const struct json *j)
{
    return j == NULL ? NULL : made(json_deep_copy(in(j)));
}

bool
json_equal(const struct json *a, const struct json *b)
{
    return a == b || (a != NULL && b != NULL && jansson_equal(in(a), in(b)) == 1);
}

enum json_type
json_type(const struct json *j)
{
    if (j == NULL)
        return JSON_NONE;
    switch (json_typeof(in(j))) {
    case JANSSON_OBJECT:
        return JSON_OBJECT;
    case JANSSON_ARRAY:
        return JSON_ARRAY;
    case JANSSON_STRING:
        return is_formatted(in(j)) ? JSON_NULL : JSON_TEXT;
    case JANSSON_INTEGER:
        return JSON_INT;
    case JANSSON_REAL:
        return JSON_REAL;
    case JANSSON_TRUE:
    case JANSSON_FALSE:
        return JSON_BOOL;
    case JANSSON_NULL:
        break;
    }
    return JSON_NULL;
}

size_t
json_size(const struct json *j)
{
    switch (json_type(j)) {
    case JSON_OBJECT:
        return json_object_size(in(j));
    case JSON_ARRAY:
        return json_array_size(in(j));
    default:
        return 0;
    }
}

struct json *
json_get(const struct json *object, const char *key)
{
    return json_type(object) == JSON_OBJECT ? out(json_object_get(in(object), key)) : NULL;
}

struct json *
json_at(const struct json *array, size_t index)
{
    return json_type(array) == JSON_ARRAY ? out(json_array_get(in(array), index)) : NULL;
}

struct json *
json_find(const struct json *array, const char *key, const char *text)
{
    for (size_t i = 0; i < json_size(array); i++) {
        const char *here = json_get_cstr(json_at(array, i), key, NULL);
        if (here != NULL && strcmp(here, text) == 0)
            return json_at(array, i);
    }
    return NULL;
}

bool
json_has_text(const struct json *array, const char *text)
{
    for (size_t i = 0; i < json_size(array); i++) {
        const char *here = json_cstr(json_at(array, i), NULL);
        if (here != NULL && strcmp(here, text) == 0)
            return true;
    }
    return false;
}

void
json_set(struct json *object, const char *key, struct json *value)
{
    cleanup(strbuf_done) struct strbuf repaired = {0};
    const struct str name = str_of(key);

    assert(json_type(object) == JSON_OBJECT);
    if (value == NULL)
        return;
    if (utf8_valid_len(name) < name.len) {
        utf8_repair(&repaired, name);
        key = strbuf_cstr(&repaired);
    }
    if (json_object_set_new_nocheck(in(object), key, in(value)) != 0)
        abort();
}

void
json_delete(struct json *object, const char *key)
{
    assert(json_type(object) == JSON_OBJECT);
    (void)json_object_del(in(object), key); /* -1 says that it was not there */
}

void
json_append(struct json *array, struct json *value)
{
    assert(json_type(array) == JSON_ARRAY);
    if (value != NULL && json_array_append_new(in(array), in(value)) != 0)
        abort();
}

const char *
json_cstr(const struct json *j, const char *fallback)
{
    return json_type(j) == JSON_TEXT ? json_string_value(in(j)) : fallback;
}

int64_t
json_i64(const struct json *j, int64_t fallback)
{
    return json_type(j) == JSON_INT ? (int64_t)json_integer_value(in(j)) : fallback;
}

double
json_f64(const struct json *j, double fallback)
{
    enum json_type type = json_type(j);

    return type == JSON_INT || type == JSON_REAL ? json_number_value(in(j)) : fallback;
}

bool
json_truth(const struct json *j, bool fallback)
{
    return json_type(j) == JSON_BOOL ? json_typeof(in(j)) == JANSSON_TRUE : fallback;
}

const char *
json_get_cstr(const struct json *o, const char *key, const char *fallback)
{
    return json_cstr(json_get(o, key), fallback);
}

int64_t
json_get_i64(const struct json *o, const char *key, int64_t fallback)
{
    return json_i64(json_get(o, key), fallback);
}

bool
json_get_bool(const struct json *o, const char *key, bool fallback)
{
    return json_truth(json_get(o, key), fallback);
}

void *
json_first(const struct json *object)
{
    return json_type(object) == JSON_OBJECT ? json_object_iter(in(object)) : NULL;
}

void *
json_next(const struct json *object, void *it)
{
    return json_object_iter_next(in(object), it);
}

const char *
json_key(void *it)
{
    return json_object_iter_key(it);
}

struct json *
json_value(void *it)
{
    return out(json_object_iter_value(it));
}

const char *
json_stranger(const struct json *object, const char *const *known, size_t count)
{
    for (void *it = json_first(object); it != NULL; it = json_next(object, it)) {
        bool is_known = false;
        for (size_t i = 0; i < count; i++)
            is_known |= strcmp(known[i], json_key(it)) == 0;
        if (!is_known)
            return json_key(it);
    }
    return NULL;
}
