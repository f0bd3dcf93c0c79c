/* SPDX-License-Identifier: MIT */
/* json.h - JSON values; the only user of jansson.
 * Values are reference counted (atomically), so a finished document may be shared between
 * threads as long as nobody changes it.  json_set() and json_append() take the value over;
 * json_get() and json_at() lend it.  All readers accept NULL and a wrong type and then give the
 * default, so chains need no checks.  Object members keep their order. */
#pragma once
#include "base/err.h"
#include "base/str.h"

/* jansson exports functions of these names; at link time ours would take the place of those that
 * jansson itself calls. */
#define json_object naru_json_object
#define json_array naru_json_array
#define json_real naru_json_real
#define json_copy naru_json_copy
#define json_equal naru_json_equal
#define json_delete naru_json_delete

struct json;
enum json_type { JSON_NONE, JSON_NULL, JSON_BOOL, JSON_INT, JSON_REAL, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

#define JSON_DEPTH_MAX 64

#define JSON_TEXT_MAX (64u * 1024u * 1024u)

/* Strict RFC 8259, duplicate keys refused, no NUL in texts, depth at most JSON_DEPTH_MAX, at
 * most JSON_TEXT_MAX bytes.
 * Fails with ERR_SERIALIZATION. */
struct json *json_parse(struct str text, struct err *err) MUST_CHECK;
char *json_format(const struct json *j);        /* compact, malloc'd */
void json_write(struct strbuf *out, const struct json *j); /* the same, appended */
char *json_format_pretty(const struct json *j); /* indented by two, malloc'd */

struct json *json_object(void);
struct json *json_array(void);
struct json *json_text(const char *s); /* NULL gives JSON null; invalid UTF-8 is replaced by '?' */
struct json *json_str(struct str s);
bool json_is_utf8(struct str s); /* would json_str() keep it as it is? */
/* Of what json_format() gave: written again as it stands. Several of them with commas between are
 * so many items of an array. Readers see a scalar of type JSON_NULL. */
struct json *json_formatted(struct str text);
struct json *json_int(int64_t n);
struct json *json_real(double n);
struct json *json_bool(bool b);
struct json *json_time_ms(int64_t ms); /* seconds since the epoch with a fraction, as AWS JSON wants */

struct json *json_ref(const struct json *j);
void json_unref(struct json *j);
static inline void json_unref_(struct json **j) { json_unref(*j); }
#define cleanup_json cleanup(json_unref_)
struct json *json_copy(const struct json *j); /* deep, may be changed */
bool json_equal(const struct json *a, const struct json *b);

enum json_type json_type(const struct json *j);
size_t json_size(const struct json *j); /* members or items; 0 for scalars */
struct json *json_get(const struct json *object, const char *key);
struct json *json_at(const struct json *array, size_t index);
/* The first object of an array whose member `key` is this text; NULL if there is none. */
struct json *json_find(const struct json *array, const char *key, const char *text);
bool json_has_text(const struct json *array, const char *text); /* as one of its items */
void json_set(struct json *object, const char *key, struct json *value); /* NULL value: no-op */
void json_delete(struct json *object, const char *key);
void json_append(struct json *array, struct json *value);

const char *json_cstr(const struct json *j, const char *fallback); /* of a JSON_TEXT */
int64_t json_i64(const struct json *j, int64_t fallback);
double json_f64(const struct json *j, double fallback);
bool json_truth(const struct json *j, bool fallback);
/* The same for a member: json_get_cstr(o, "name", "") */
const char *json_get_cstr(const struct json *o, const char *key, const char *fallback);
int64_t json_get_i64(const struct json *o, const char *key, int64_t fallback);
bool json_get_bool(const struct json *o, const char *key, bool fallback);

/* for (void *it = json_first(o); it; it = json_next(o, it)) { json_key(it); json_value(it); } */
void *json_first(const struct json *object);
void *json_next(const struct json *object, void *it);
const char *json_key(void *it);
struct json *json_value(void *it);
/* The first key that is none of the `known`; NULL if there is none. */
const char *json_stranger(const struct json *object, const char *const *known, size_t count);
