/* SPDX-License-Identifier: MIT */
#include "pipeline/groovy/value.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES_SQUARED_A_VISIT 256 /* of a number whose digits have to be computed */

struct value
value_cstr(struct arena *a, const char *s)
{
    return s == NULL ? value_null() : value_text(arena_dup(a, str_of(s)));
}

struct value
value_list(struct arena *a)
{
    return (struct value){.type = V_LIST, .list = arena_alloc(a, sizeof(struct list))};
}

struct value
value_map(struct arena *a)
{
    return (struct value){.type = V_MAP, .map = arena_alloc(a, sizeof(struct map))};
}

struct value
value_object(struct arena *a, const char *class_name)
{
    struct value v = {.type = V_OBJECT, .object = arena_alloc(a, sizeof(struct object))};

    v.object->class_name = str_of(class_name);
    v.object->fields = arena_alloc(a, sizeof(struct map));
    return v;
}

struct value
value_record(struct arena *a, const char *class_name, struct value text)
{
    struct value v = value_object(a, class_name);

    v.object->is_record = true;
    map_put_text(a, v.object->fields, "$name", text);
    return v;
}

struct value
value_entry(struct arena *a, struct value key, struct value v)
{
    struct value entry = value_object(a, "Entry");

    map_put_text(a, entry.object->fields, "key", key);
    map_put_text(a, entry.object->fields, "value", v);
    return entry;
}

struct value
value_entry_of(struct arena *a, struct map *m, size_t i)
{
    struct value entry = value_entry(a, m->at[i].key, m->at[i].value);

    entry.object->of = (struct value){.type = V_MAP, .map = m};
    return entry;
}

bool
value_is_object(struct value v, const char *class_name)
{
    return v.type == V_OBJECT && v.object->class_node == NULL &&
           str_is(v.object->class_name, class_name);
}

bool
value_is_integer(struct value v)
{
    return v.type == V_INT || v.type == V_LONG || (v.type == V_BIG && !v.is_wide);
}

bool
value_is_whole(struct value v)
{
    return v.type == V_INT || v.type == V_LONG || v.type == V_BIG;
}

bool
value_is_number(struct value v)
{
    return value_is_whole(v) || v.type == V_DECIMAL || v.type == V_DOUBLE;
}

bool
value_truth(struct value v)
{
    switch (v.type) {
    case V_NULL:
        return false;
    case V_BOOL:
        return v.truth;
    case V_INT:
    case V_LONG:
    case V_BIG:
    case V_DECIMAL:
        return v.is_wide || v.number != 0;
    case V_DOUBLE:
        return v.real != 0;
    case V_TEXT:
        return v.text.len > 0;
    case V_LIST:
        return v.list->count > 0;
    case V_MAP:
        return v.map->count > 0;
    case V_CLOSURE:
    case V_EXCEPTION:
    case V_PATTERN:
    case V_HOST:
        return true;
    case V_OBJECT:
        if (value_is_object(v, "Matcher")) { /* looks for the next match, as Groovy does */
            v.object->number += (size_t)(v.object->number + 1) <= v.object->list->count;
            return (size_t)v.object->number < v.object->list->count;
        }
        return value_is_object(v, "StringBuilder") ? v.object->text.len > 0
                                                     : true;
    }
    return false;
}

/* As Java's equals(): 1 is neither 1L nor 1.0, and 1.0 not 1.00. */
static bool
same_number(struct value a, struct value b)
{
    if (a.type != b.type || a.scale != b.scale || a.is_wide != b.is_wide)
        return false;
    return a.is_wide ? a.is_negative == b.is_negative && str_equal(a.magnitude, b.magnitude)
                     : a.number == b.number;
}

static bool
is_date(struct value v)
{
    return value_is_object(v, "Date") || value_is_object(v, "LocalDate");
}

bool
object_is_its_fields(const struct object *o)
{
    return o->class_node == NULL ? str_is(o->class_name, "Entry")
                                 : (o->class_node->transforms & TRANSFORM_EQUALS) != 0;
}

struct object *
value_instance(struct value v)
{
    struct object *o = v.type == V_OBJECT      ? v.object
                       : v.type == V_EXCEPTION ? v.exception->object
                                               : NULL;

    return o == NULL || o->class_node == NULL ? NULL : o;
}

bool
value_is_asked(struct value v)
{
    const struct object *o = value_instance(v);

    return o != NULL && o->is_asked;
}

/* Does `mode` tell the two apart before their contents are looked at? */
static bool
is_other_kind(struct value a, struct value b, enum equality mode)
{
    return a.type != b.type ||
           (mode == EQUAL_AS_KEYS && a.type == V_TEXT && a.is_gstring != b.is_gstring);
}

/* Of a number that has to be given other digits. */
static size_t
digits_cost(struct value v)
{
    return v.is_wide ? v.magnitude.len * v.magnitude.len / BYTES_SQUARED_A_VISIT : 0;
}

size_t
value_cost(struct value v)
{
    if (v.type == V_TEXT || v.type == V_PATTERN)
        return v.text.len / VALUE_BYTES_A_VISIT;
    if (v.type == V_DECIMAL)
        return digits_cost(v);
    return v.type == V_BIG && v.is_wide ? v.magnitude.len / VALUE_BYTES_A_VISIT : 0;
}

bool
value_take(size_t cost, unsigned *left)
{
    if (cost > *left) {
        *left = 0;
        return false;
    }
    *left -= (unsigned)cost;
    return true;
}

static bool
equal_texts(struct value a, struct value b, struct comparison *c)
{
    if (a.text.len != b.text.len)
        return false;
    return a.text.at == b.text.at || (value_take(value_cost(a), &c->left) && str_equal(a.text, b.text));
}

/* Of one scale they are compared as texts are, else one has to be given the digits of the other. */
static bool
equal_numbers(struct value a, struct value b, enum equality mode, struct comparison *c)
{
    size_t cost = digits_cost(a) > digits_cost(b) ? digits_cost(a) : digits_cost(b);

    if (mode == EQUAL_AS_KEYS || (a.type != V_DOUBLE && b.type != V_DOUBLE && a.scale == b.scale))
        cost = a.is_wide && b.is_wide && a.magnitude.len == b.magnitude.len
                   ? a.magnitude.len / VALUE_BYTES_A_VISIT
                   : 0;
    if (!value_take(cost, &c->left))
        return false;
    return mode == EQUAL_AS_KEYS ? same_number(a, b) : value_compare_numbers(a, b) == 0;
}

static bool equal_at(struct value a, struct value b, enum equality mode, unsigned depth,
                     struct comparison *c);

/* map_find() counts anew, and asks nobody: who holds others, or itself, or wants to be asked, is looked for
 * here. */
static bool
is_plain(struct value v)
{
    return v.type != V_LIST && v.type != V_MAP && !value_is_asked(v);
}

/* Who is asked may change what is being walked. What has been in it stays where it is, so each walk goes over
 * what it began with. */

/* Is there an item in the set that is equal? `i` is where it stands if both are in one order. */
static bool
is_in_set(const struct list *set, struct value v, size_t i, enum equality mode, unsigned depth,
          struct comparison *c)
{
    const struct map *keys = list_keys(set);
    const struct value *items = set->at;
    const size_t count = set->count;

    if (is_plain(v) && keys != NULL && keys->count == set->count && map_find(keys, v) != NULL)
        return true;
    for (size_t n = 0; n < count && c->left > 0; n++)
        if (equal_at(v, items[(i + n) % count], mode, depth + 1, c))
            return true;
    return false;
}

static bool
equal_lists(const struct list *a, const struct list *b, enum equality mode, unsigned depth,
            struct comparison *c)
{
    const struct value *items = a->at, *others = b->at;
    const size_t count = a->count;

    if (a == b)
        return true;
    if (count != b->count || list_is_set(a) != list_is_set(b))
        return false;
    if (list_is_set(a)) {
        for (size_t i = 0; i < count; i++)
            if (!is_in_set(b, items[i], i, mode, depth, c))
                return false;
        return true;
    }
    for (size_t i = 0; i < count; i++)
        if (!equal_at(items[i], others[i], mode, depth + 1, c))
            return false;
    return true;
}

/* The value of the key; NULL: there is none. `i` is where it stands if both are in one order. */
static const struct value *
value_of_key(const struct map *m, struct value key, size_t i, unsigned depth, struct comparison *c)
{
    const struct map_entry *entries = m->at;
    const size_t count = m->count;

    if (is_plain(key))
        return map_find(m, key);
    for (size_t n = 0; n < count && c->left > 0; n++) {
        const struct map_entry *e = &entries[(i + n) % count];
        if (equal_at(key, e->key, EQUAL_AS_KEYS, depth + 1, c))
            return &e->value;
    }
    return NULL;
}

static bool
equal_maps(const struct map *a, const struct map *b, enum equality mode, unsigned depth,
           struct comparison *c)
{
    const struct map_entry *entries = a->at;
    const size_t count = a->count;

    if (a == b)
        return true;
    if (count != b->count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct value *other = value_of_key(b, entries[i].key, i, depth, c);
        if (other == NULL || !equal_at(entries[i].value, *other, mode, depth + 1, c))
            return false;
    }
    return true;
}

static bool
equal_objects(struct value a, struct value b, enum equality mode, unsigned depth, struct comparison *c)
{
    if (is_date(a) && is_date(b))
        return a.object->number == b.object->number &&
               str_equal(a.object->class_name, b.object->class_name);
    if (!object_is_its_fields(a.object) || !str_equal(a.object->class_name, b.object->class_name))
        return false;
    return equal_maps(a.object->fields, b.object->fields, mode, depth, c);
}

/* Has `a` said whether it is equal? */
static bool
has_said(struct value a, struct value b, enum equality mode, struct comparison *c, bool *out)
{
    bool found = false;

    *out = false;
    if (c->instance == NULL || !value_is_asked(a))
        return false;
    if (c->instance(c, a, b, mode, &found, out))
        return found;
    c->has_failed = true;
    c->left = 0;
    *out = false;
    return true;
}

static bool
equal_at(struct value a, struct value b, enum equality mode, unsigned depth, struct comparison *c)
{
    bool said;

    if (depth > VALUE_DEPTH_MAX || c->left == 0)
        return false;
    --c->left;
    if (has_said(a, b, mode, c, &said))
        return said;
    if (value_is_number(a) && value_is_number(b))
        return equal_numbers(a, b, mode, c);
    if (is_other_kind(a, b, mode))
        return false;
    switch (a.type) {
    case V_NULL:
        return true;
    case V_BOOL:
        return a.truth == b.truth;
    case V_TEXT:
    case V_PATTERN:
        return equal_texts(a, b, c);
    case V_LIST:
        return equal_lists(a.list, b.list, mode, depth, c);
    case V_MAP:
        return equal_maps(a.map, b.map, mode, depth, c);
    case V_CLOSURE:
        return a.closure == b.closure;
    case V_EXCEPTION:
        return a.exception == b.exception;
    case V_HOST:
        return a.host == b.host && a.data == b.data &&
               (a.host != HOST_CLASS || str_equal(a.text, b.text));
    case V_OBJECT:
        return a.object == b.object || equal_objects(a, b, mode, depth, c);
    default:
        return false;
    }
}

bool
value_equal_within(struct value a, struct value b, enum equality mode, struct comparison *c)
{
    return equal_at(a, b, mode, 0, c);
}

bool
value_equal(struct value a, struct value b)
{
    struct comparison c = {.left = VALUE_VISITS_MAX};

    return equal_at(a, b, EQUAL_BY_VALUE, 0, &c);
}

bool
value_same_key(struct value a, struct value b)
{
    struct comparison c = {.left = VALUE_KEY_VISITS_MAX};

    return equal_at(a, b, EQUAL_AS_KEYS, 0, &c);
}

bool
value_compare(struct value a, struct value b, int *out)
{
    if (value_is_number(a) && value_is_number(b)) {
        *out = value_compare_numbers(a, b);
        return true;
    }
    if (a.type == V_NULL || b.type == V_NULL) {
        *out = (a.type != V_NULL) - (b.type != V_NULL);
        return true;
    }
    if (a.type == V_TEXT && b.type == V_TEXT) {
        const int64_t distance = text_distance(a.text, b.text);
        *out = (distance > 0) - (distance < 0);
        return true;
    }
    if (a.type == V_BOOL && b.type == V_BOOL) {
        *out = a.truth - b.truth;
        return true;
    }
    if (is_date(a) && is_date(b) && str_equal(a.object->class_name, b.object->class_name)) {
        *out = (a.object->number > b.object->number) - (a.object->number < b.object->number);
        return true;
    }
    return false;
}

const char *
value_package(struct str name)
{
    static const struct {
        const char *package, *names;
    } rows[] = {
        {"hudson.", " AbortException "},
        {"groovy.lang.",
         " MissingPropertyException MissingMethodException GroovyRuntimeException "},
        {"org.codehaus.groovy.runtime.typehandling.", " GroovyCastException "},
        {"java.util.", " NoSuchElementException ConcurrentModificationException "
                       "MissingFormatArgumentException IllegalFormatConversionException "
                       "UnknownFormatConversionException "},
        {"java.util.regex.", " PatternSyntaxException "},
        {"java.text.", " ParseException "},
        {"java.time.", " DateTimeException "},
        {"java.time.format.", " DateTimeParseException "},
        {"java.io.", " IOException FileNotFoundException UncheckedIOException "},
        {"java.util.concurrent.", " TimeoutException "},
        {"org.jenkinsci.plugins.workflow.steps.", " FlowInterruptedException "},
        {"groovy.json.", " JsonException "},
    };
    cleanup(strbuf_done) struct strbuf word = {0};

    strbuf_addf(&word, " " STR_FMT " ", STR_ARG(name));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strstr(rows[i].names, strbuf_cstr(&word)) != NULL)
            return rows[i].package;
    return "java.lang.";
}

/* "java.util."; "" of those of the file. */
static const char *
class_package(struct str name)
{
    static const struct {
        const char *package, *names;
    } rows[] = {
        {"java.lang.", " String Integer Long Boolean Double Float Object Math System Number Character Thread "
                       "Iterable CharSequence Comparable Throwable StringBuilder StringBuffer Class Void "},
        {"java.util.", " ArrayList LinkedHashMap List Map Set Collection HashMap HashSet LinkedHashSet TreeMap "
                       "TreeSet LinkedList Date UUID Random Calendar TimeZone Locale Collections Arrays "
                       "Objects Iterator "},
        {"java.math.", " BigDecimal BigInteger RoundingMode MathContext "},
        {"java.util.regex.", " Pattern Matcher "},
        {"groovy.lang.", " Closure GString "},
        {"org.codehaus.groovy.runtime.", " GStringImpl "},
    };
    cleanup(strbuf_done) struct strbuf word = {0};

    if (str_ends(name, STR("Exception")) || str_ends(name, STR("Error")))
        return value_package(name);
    strbuf_addf(&word, " " STR_FMT " ", STR_ARG(name));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strstr(rows[i].names, strbuf_cstr(&word)) != NULL)
            return rows[i].package;
    return "";
}

struct str
class_shown(struct arena *a, struct str name, bool simple)
{
    const struct str last = str_slice(name, (size_t)(str_rindex(name, '.') + 1), name.len);

    if (!simple)
        return str_of(arena_format(a, "%s" STR_FMT, class_package(name), STR_ARG(name)));
    return str_starts(name, STR("[L")) && str_ends(last, STR(";"))
               ? str_of(arena_format(a, STR_FMT "[]", STR_ARG(str_slice(last, 0, last.len - 1))))
               : last;
}

/* Is it an interface of Java's? */
static bool
is_interface(struct str name)
{
    static const char *const names[] = {"List",     "Map",          "Set",       "Collection",
                                        "Iterable", "CharSequence", "Comparable"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_is(name, names[i]))
            return true;
    return false;
}

struct value
value_class(struct value v)
{
    struct value c = value_host(HOST_CLASS);
    struct str name;

    name = v.type == V_EXCEPTION ? v.exception->class_name : str_of(value_type_name(v));
    c.text = str_starts(name, STR("["))
                 ? name
                 : str_slice(name, (size_t)(str_rindex(name, '.') + 1), name.len);
    return c;
}

size_t
value_text_cost(struct value v)
{
    if (value_is_number(v))
        return digits_cost(v);
    if (v.type == V_EXCEPTION)
        return v.exception->message.len / VALUE_BYTES_A_VISIT;
    if (v.type == V_OBJECT)
        return (v.object->text.len + v.object->pattern.len) / VALUE_BYTES_A_VISIT;
    return value_cost(v);
}

static bool format_at(struct value v, struct formatting *f, struct strbuf *out, unsigned depth);

static bool
format_list(const struct list *l, struct formatting *f, struct strbuf *out, unsigned depth)
{
    strbuf_add_char(out, '[');
    for (size_t i = 0; i < l->count && out->len <= f->most && f->left > 0; i++) {
        if (i > 0)
            strbuf_add_cstr(out, ", ");
        if (!format_at(l->at[i], f, out, depth + 1))
            return false;
    }
    strbuf_add_char(out, ']');
    return true;
}

static bool
format_map(const struct map *m, struct formatting *f, struct strbuf *out, unsigned depth)
{
    strbuf_add_cstr(out, m->count == 0 ? "[:" : "[");
    for (size_t i = 0; i < m->count && out->len <= f->most && f->left > 0; i++) {
        const struct map_entry e = m->at[i]; /* who is asked may change the map */
        if (i > 0)
            strbuf_add_cstr(out, ", ");
        if (!format_at(e.key, f, out, depth + 1))
            return false;
        strbuf_add_char(out, ':');
        if (!format_at(e.value, f, out, depth + 1))
            return false;
    }
    strbuf_add_char(out, ']');
    return true;
}

static bool
format_object(struct value v, struct formatting *f, struct strbuf *out, unsigned depth)
{
    const struct value *name;

    if (v.object->class_node != NULL && f->instance != NULL)
        return f->instance(f, v, out);
    if (value_is_object(v, "Matcher")) {
        strbuf_addf(out, "java.util.regex.Matcher[pattern=" STR_FMT " region=0,%zu lastmatch=]",
                    STR_ARG(v.object->pattern), text_count(v.object->text));
        return true;
    }
    if (value_is_object(v, "StringBuilder") || is_date(v)) {
        strbuf_add(out, v.object->text);
        return true;
    }
    if (value_is_object(v, "Entry")) {
        if (!format_at(*map_find_text(v.object->fields, "key"), f, out, depth + 1))
            return false;
        strbuf_add_char(out, '=');
        return format_at(*map_find_text(v.object->fields, "value"), f, out, depth + 1);
    }
    name = map_find_text(v.object->fields, "$name");
    if (name != NULL) /* a constant of an enum */
        return format_at(*name, f, out, depth + 1);
    strbuf_addf(out, STR_FMT "@%zx", STR_ARG(v.object->class_name),
                v.object->fields->count + v.object->class_name.len);
    return true;
}

static void
format_host(struct value v, struct strbuf *out)
{
    static const char *const hosts[] = {
        [HOST_ENV] = "env",     [HOST_PARAMS] = "params", [HOST_CURRENT_BUILD] = "currentBuild",
        [HOST_BUILD] = "build", [HOST_SCM] = "scm",       [HOST_DOCKER] = "docker",
        [HOST_DOCKER_IMAGE] = "image", [HOST_DOCKER_CONTAINER] = "container",
        [HOST_STEPS] = "steps", [HOST_CLASS] = "class",
    };

    if (v.host == HOST_CLASS)
        strbuf_addf(out, "%s %s" STR_FMT, is_interface(v.text) ? "interface" : "class",
                    class_package(v.text), STR_ARG(v.text));
    else
        strbuf_add_cstr(out, hosts[v.host]);
}

static bool
format_at(struct value v, struct formatting *f, struct strbuf *out, unsigned depth)
{
    if (out->len > f->most || !value_take(1 + value_text_cost(v), &f->left))
        return true;
    if (depth > VALUE_DEPTH_MAX) {
        strbuf_add_cstr(out, "...");
        return true;
    }
    switch (v.type) {
    case V_NULL:
        strbuf_add_cstr(out, "null");
        return true;
    case V_BOOL:
        strbuf_add_cstr(out, v.truth ? "true" : "false");
        return true;
    case V_INT:
    case V_LONG:
    case V_BIG:
    case V_DECIMAL:
    case V_DOUBLE:
        value_format_number(v, out);
        return true;
    case V_TEXT:
    case V_PATTERN:
        strbuf_add(out, v.text);
        return true;
    case V_LIST:
        return format_list(v.list, f, out, depth);
    case V_MAP:
        return format_map(v.map, f, out, depth);
    case V_CLOSURE:
        strbuf_add_cstr(out, "closure");
        return true;
    case V_EXCEPTION:
        if (v.exception->object != NULL && f->instance != NULL)
            return f->instance(f, v, out);
        if (v.exception->object == NULL)
            strbuf_add_cstr(out, value_package(v.exception->class_name));
        strbuf_add(out, v.exception->class_name);
        if (!v.exception->has_no_message)
            strbuf_addf(out, ": " STR_FMT, STR_ARG(v.exception->message));
        return true;
    case V_HOST:
        format_host(v, out);
        return true;
    case V_OBJECT:
        return format_object(v, f, out, depth);
    }
    return true;
}

bool
value_format_within(struct value v, struct formatting *f, struct strbuf *out)
{
    return format_at(v, f, out, 0);
}

void
value_format(struct value v, struct strbuf *out)
{
    struct formatting f = {.most = VALUE_TEXT_MAX, .left = UINT_MAX};

    (void)!value_format_within(v, &f, out); /* nobody is asked, so nothing fails */
}

struct str
value_to_text(struct arena *a, struct value v)
{
    cleanup(strbuf_done) struct strbuf b = {0};

    if (v.type == V_TEXT)
        return v.text;
    value_format(v, &b);
    return arena_dup(a, strbuf_str(&b));
}

const char *
value_type_name(struct value v)
{
    switch (v.type) {
    case V_NULL:
        return "null";
    case V_BOOL:
        return "java.lang.Boolean";
    case V_INT:
        return "java.lang.Integer";
    case V_LONG:
        return "java.lang.Long";
    case V_BIG:
        return "java.math.BigInteger";
    case V_DECIMAL:
        return "java.math.BigDecimal";
    case V_DOUBLE:
        return v.is_float ? "java.lang.Float" : "java.lang.Double";
    case V_TEXT:
        return v.is_gstring ? "org.codehaus.groovy.runtime.GStringImpl" : "java.lang.String";
    case V_LIST:
        if (v.list->kind == LIST_ARRAY)
            return v.list->count > 0 && v.list->at[0].type == V_TEXT ? "[Ljava.lang.String;"
                                                                     : "[Ljava.lang.Object;";
        return v.list->kind == LIST_SET          ? "java.util.LinkedHashSet"
               : v.list->kind == LIST_SORTED_SET ? "java.util.TreeSet"
                                                 : "java.util.ArrayList";
    case V_MAP:
        return v.map->is_sorted ? "java.util.TreeMap" : "java.util.LinkedHashMap";
    case V_CLOSURE:
        return "groovy.lang.Closure";
    case V_EXCEPTION:
        return "java.lang.Exception";
    case V_PATTERN:
        return "java.util.regex.Pattern";
    case V_HOST:
        return v.host == HOST_CLASS ? "java.lang.Class" : "an object of the pipeline";
    case V_OBJECT: /* a class name of a file is NUL-terminated: it comes from arena_dup() */
        return v.object->class_name.at;
    }
    return "?";
}

size_t
text_count(struct str s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.len; i++)
        count += ((unsigned char)s.at[i] & 0xC0) != 0x80;
    return count;
}

/* The character that begins there as UTF-16 has it: one unit, or two (`low` is then not 0). What is no
 * UTF-8 is a byte each. */
static unsigned
utf16_at(struct str s, size_t i, unsigned *low)
{
    const unsigned char *p = (const unsigned char *)s.at + i;
    const unsigned size = p[0] < 0xC0 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    unsigned code = size == 1 ? p[0] : p[0] & (0x7Fu >> size);

    *low = 0;
    if (s.len - i < size)
        return p[0];
    for (unsigned j = 1; j < size; j++)
        code = code << 6 | (p[j] & 0x3F);
    if (code < 0x10000)
        return code;
    *low = 0xDC00 + ((code - 0x10000) & 0x3FF);
    return 0xD800 + ((code - 0x10000) >> 10);
}

uint32_t
text_hash(struct str s)
{
    uint32_t h = 0;
    unsigned low;

    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.at[i];
        if ((c & 0xC0) == 0x80)
            continue;
        h = h * 31 + (c < 0x80 ? c : utf16_at(s, i, &low));
        if (c >= 0xF0 && low != 0)
            h = h * 31 + low;
    }
    return h;
}

/* A character of four bytes is two units. */
static size_t
utf16_count(struct str s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.len; i++)
        count += (((unsigned char)s.at[i] & 0xC0) != 0x80) + ((unsigned char)s.at[i] >= 0xF0);
    return count;
}

int64_t
text_distance(struct str a, struct str b)
{
    const size_t len = a.len < b.len ? a.len : b.len;
    unsigned low_a, low_b, unit_a, unit_b;
    size_t i = 0;

    while (i < len && a.at[i] == b.at[i])
        i++;
    while (i > 0 && i < len && ((unsigned char)a.at[i] & (unsigned char)b.at[i] & 0xC0) == 0x80)
        i--; /* to where both characters begin */
    if (i == len)
        return (int64_t)utf16_count(str_slice(a, i, a.len)) -
               (int64_t)utf16_count(str_slice(b, i, b.len));
    unit_a = utf16_at(a, i, &low_a);
    unit_b = utf16_at(b, i, &low_b);
    return unit_a != unit_b ? (int64_t)unit_a - unit_b : (int64_t)low_a - low_b;
}

/* Where character `n` begins. */
static size_t
text_offset(struct str s, size_t n)
{
    size_t i = 0;

    for (; i < s.len; i++)
        if (((unsigned char)s.at[i] & 0xC0) != 0x80 && n-- == 0)
            break;
    return i;
}

struct str
text_part(struct str s, size_t from, size_t to)
{
    size_t start = text_offset(s, from);

    return to <= from
               ? str_slice(s, start, start)
               : str_slice(s, start, start + text_offset(str_slice(s, start, s.len), to - from));
}

void
list_reserve(struct arena *a, struct list *l, size_t count)
{
    struct value *at;

    if (count <= l->capacity)
        return;
    at = arena_alloc(a, count * sizeof(*at));
    if (l->count > 0)
        memcpy(at, l->at, l->count * sizeof(*at));
    l->at = at;
    l->capacity = count;
}

void
list_assign(struct list *l, const struct list *other)
{
    l->of = NULL;
    l->at = other->at;
    l->count = other->count;
    l->capacity = other->capacity;
    l->keys = NULL;
}

void
list_add(struct arena *a, struct list *l, struct value v)
{
    if (l->count == l->capacity)
        list_reserve(a, l, l->capacity == 0 ? 8 : l->capacity * 2);
    l->at[l->count++] = v;
}
