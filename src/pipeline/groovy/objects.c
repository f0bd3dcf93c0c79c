/* SPDX-License-Identifier: MIT */
/* objects.c - the classes of Java and Groovy that Jenkinsfiles use: the few that there are.
 * Everything else is refused by name when it is reached. */
#include <math.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/random.h"
#include "pipeline/groovy/methods.h"
#include "pipeline/groovy/number.h"

static const char *const known[] = {
    "String",
    "Integer",
    "Long",
    "Boolean",
    "Math",
    "System",
    "UUID",
    "Date",
    "Double",
    "Object",
    "List",
    "Map",
    "Exception",
    "Float",
    "Number",
    "BigDecimal",
    "BigInteger",
    "RoundingMode",
    "MathContext",
    "Closure",
    "GString",
    "Set",
    "Collection",
    "ArrayList",
    "LinkedList",
    "HashMap",
    "LinkedHashMap",
    "TreeMap",
    "HashSet",
    "LinkedHashSet",
    "TreeSet",
    "StringBuilder",
    "StringBuffer",
    "JsonSlurper",
    "JsonOutput",
    "JsonBuilder",
    "JsonSlurperClassic",
    "URLEncoder",
    "URLDecoder",
    "SimpleDateFormat",
    "Random",
    "Thread",
    "TimeZone",
    "Calendar",
    "Collections",
    "Arrays",
    "Result",
    "LocalDate",
    "LocalDateTime",
    "Instant",
    "DateTimeFormatter",
    "ZonedDateTime",
    "Pattern",
    "Character",
    "Objects",
    "TimeUnit",
    "Locale",
    "RuntimeException",
    "Throwable",
    "Error",
    "IOException",
    "InterruptedException",
    "IllegalArgumentException",
    "IllegalStateException",
    "NullPointerException",
    "FlowInterruptedException",
    "AbortException",
    "CharSequence",
    "Iterable",
    "Void",
    "ZoneId",
};

bool
object_is_class(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (str_is(name, known[i]))
            return true;
    return false;
}

void
object_append(struct interp *in, struct object *b, struct str text)
{
    char *to;

    if (b->text.len + text.len > b->capacity) {
        b->capacity = (b->text.len + text.len) * 2 + 64;
        to = arena_alloc(in->arena, b->capacity);
        if (b->text.len > 0)
            memcpy(to, b->text.at, b->text.len);
        b->text.at = to;
    }
    to = (char *)(uintptr_t)b->text.at; /* ours: the builder made it */
    if (text.len > 0)
        memcpy(to + b->text.len, text.at, text.len);
    b->text.len += text.len;
}

static struct value
text_object(struct interp *in, const char *class_name, struct str text)
{
    struct value v = value_object(in->arena, class_name);

    v.object->text = text;
    return v;
}

static bool
new_collection(struct interp *in, const struct node *at, struct str name, const struct args *args,
               struct value *out, bool *found)
{
    const bool is_map = str_ends(name, STR("Map"));
    const enum list_kind kind = list_kind_of(name);
    bool ignored;

    *found = is_map || kind != LIST_PLAIN || str_is(name, "ArrayList") || str_is(name, "LinkedList");
    if (!*found)
        return true;
    if (args->count > 0 && args->at[0].type == V_CLOSURE)
        return interp_throw(in, at, "UnsupportedFeature",
                            "a " STR_FMT " with a comparator is not supported; sort a list",
                            STR_ARG(name));
    *out = is_map ? value_map(in->arena) : value_list(in->arena);
    if (is_map)
        out->map->is_sorted = map_type_is_sorted(name);
    else
        out->list->kind = kind;
    if (is_map && args->named != NULL && !interp_map_put_all(in, at, out->map, args->named))
        return false;
    if (args->count == 0 || args->at[0].type != out->type)
        return true;
    return is_map ? interp_map_put_all(in, at, out->map, args->at[0].map)
                  : list_put_all(in, at, out->list, args->at[0].list, &ignored);
}

bool
object_new(struct interp *in, const struct node *at, struct str name, const struct args *args,
           struct value *out, bool *found)
{
    const struct value arg = args->count > 0 ? args->at[0] : value_null();

    if (!new_collection(in, at, name, args, out, found))
        return false;
    if (*found)
        return true;
    *found = true;
    if (str_is(name, "Date")) {
        *out = date_value(in, value_is_integer(arg) ? arg.number : interp_now_ms(in));
    } else if (str_is(name, "String")) {
        *out = value_text(args->count == 0 ? STR("") : interp_text(in, arg));
    } else if (str_is(name, "StringBuilder") || str_is(name, "StringBuffer")) {
        *out = value_object(in->arena, "StringBuilder");
        if (args->count > 0 && !value_is_integer(arg))
            object_append(in, out->object, interp_text(in, arg));
    } else if (str_is(name, "JsonSlurper") || str_is(name, "JsonSlurperClassic")) {
        *out = value_object(in->arena, "JsonSlurper");
    } else if (str_is(name, "JsonBuilder")) {
        *out = value_object(in->arena, "JsonBuilder");
        map_put_text(in->arena, out->object->fields, "content", arg);
    } else if (str_is(name, "SimpleDateFormat")) {
        *out = text_object(in, "DateFormat", args->count == 0 ? STR("") : interp_text(in, arg));
    } else if (str_is(name, "Random") || str_is(name, "Object")) {
        *out = value_object(in->arena, str_is(name, "Random") ? "Random" : "java.lang.Object");
    } else if (str_is(name, "Integer") || str_is(name, "Long")) {
        return method_static(in, at, name, STR("valueOf"), args, out, found);
    } else {
        return number_new(in, at, name, args, out, found);
    }
    return true;
}

static double
sign_of(double x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x;
}

static bool
math_static(struct interp *in, const struct node *at, struct str name, const struct args *args,
            struct value *out, bool *found)
{
    static const struct {
        const char *name;
        double (*apply)(double x);
    } functions[] = {{"floor", floor}, {"ceil", ceil}, {"sqrt", sqrt},     {"log", log},
                     {"log10", log10}, {"exp", exp},   {"sin", sin},       {"cos", cos},
                     {"tan", tan},     {"cbrt", cbrt}, {"rint", rint},     {"asin", asin},
                     {"acos", acos},   {"atan", atan}, {"signum", sign_of}};
    const struct value a = args->count > 0 ? args->at[0] : value_null();

    *found = true;
    if (str_is(name, "random") && args->count == 0) {
        uint32_t bits = interp_random_bits(in);
        *out = value_real((double)bits / 4294967296.0);
        return true;
    }
    for (size_t i = 0; i < args->count; i++) {
        if (!value_is_number(args->at[i]))
            return interp_throw(in, at, "MissingMethodException",
                                "Math." STR_FMT "() needs numbers", STR_ARG(name));
        if (!interp_spend_for(in, at, args->at[i], value_null()))
            return false;
    }
    if ((str_is(name, "max") || str_is(name, "min")) && args->count == 2) {
        int order = 0;
        (void)value_compare(a, args->at[1], &order);
        *out = (order > 0) == str_is(name, "max") ? a : args->at[1];
        return true;
    }
    if (str_is(name, "abs") && args->count == 1) {
        *out = a;
        return value_sign(a) >= 0 || number_negate(in, at, a, out);
    }
    if (str_is(name, "round") && args->count == 1) {
        struct value rounded;
        if (!number_round(in, at, value_real(value_as_real(a)), 0, &rounded))
            return false;
        *out = value_long(value_is_integer(a) ? a.number : value_as_integer(rounded));
        return a.type != V_DOUBLE || !a.is_float ||
               operator_cast(in, at, *out, STR("int"), false, out);
    }
    if (str_is(name, "pow") && args->count == 2) {
        *out = value_real(pow(value_as_real(a), value_as_real(args->at[1])));
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(functions) && args->count == 1; i++)
        if (str_is(name, functions[i].name)) {
            *out = value_real(functions[i].apply(value_as_real(a)));
            return true;
        }
    *found = false;
    return true;
}

static struct str
url_encoded(struct interp *in, struct str s)
{
    cleanup(strbuf_done) struct strbuf b = {0};

    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.at[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            c == '.' || c == '-' || c == '*' || c == '_')
            strbuf_add_char(&b, (char)c);
        else if (c == ' ')
            strbuf_add_char(&b, '+');
        else
            strbuf_addf(&b, "%%%02X", c);
    }
    return arena_dup(in->arena, strbuf_str(&b));
}

static struct str
url_decoded(struct interp *in, struct str s)
{
    cleanup(strbuf_done) struct strbuf b = {0};

    for (size_t i = 0; i < s.len; i++) {
        unsigned n;
        char hex[3] = {0};
        if (s.at[i] == '%' && i + 2 < s.len) {
            memcpy(hex, &s.at[i + 1], 2);
            if (sscanf(hex, "%2x", &n) == 1) {
                strbuf_add_char(&b, (char)n);
                i += 2;
                continue;
            }
        }
        strbuf_add_char(&b, s.at[i] == '+' ? ' ' : s.at[i]);
    }
    return arena_dup(in->arena, strbuf_str(&b));
}

static bool
time_static(struct interp *in, struct str class_name, struct str name, const struct args *args,
            struct value *out)
{
    const struct value a = args->count > 0 ? args->at[0] : value_null();

    if ((str_is(class_name, "LocalDateTime") ||
         str_is(class_name, "ZonedDateTime") || str_is(class_name, "Instant")) &&
        str_is(name, "now")) {
        *out = date_value(in, interp_now_ms(in));
        if (args->count == 1)
            out->object->pattern = date_zone(in, a);
        out->object->text =
            date_format(in, out->object->number,
                        str_is(class_name, "Instant") ? STR("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")
                                                        : STR("yyyy-MM-dd'T'HH:mm:ss.SSS"),
                        str_is(class_name, "Instant") ? STR("UTC") : out->object->pattern);
        return true;
    }
    if (str_is(class_name, "DateTimeFormatter") && str_is(name, "ofPattern") && args->count >= 1) {
        *out = text_object(in, "DateFormat", interp_text(in, a));
        return true;
    }
    if ((str_is(class_name, "TimeZone") && str_is(name, "getTimeZone")) ||
        (str_is(class_name, "ZoneId") && str_is(name, "of"))) {
        *out = text_object(in, "TimeZone", interp_text(in, a));
        return true;
    }
    return false;
}

/* Date.parse('yyyy-MM-dd', text, zone) */
static bool
date_static(const struct call *c, bool *ok)
{
    struct str zone = {0};
    int64_t ms;

    if (!str_is(c->name, "parse") || (c->args->count != 2 && c->args->count != 3))
        return false;
    if (c->args->count == 3)
        zone = date_zone(c->in, c->args->at[2]);
    *ok = date_parse(c->in, c->at, call_text(c, 1), call_text(c, 0), zone, &ms);
    if (*ok)
        *c->out = date_value(c->in, ms);
    return true;
}

static bool
json_static(struct interp *in, const struct node *at, struct str name, const struct args *args,
            struct value *out, bool *found)
{
    struct value v;

    *found = args->count == 1 && (str_is(name, "toJson") || str_is(name, "prettyPrint"));
    if (!*found)
        return true;
    if (str_is(name, "toJson"))
        return json_from_value(in, at, args->at[0], false, out);
    return json_to_value(in, at, interp_text(in, args->at[0]), &v) &&
           json_from_value(in, at, v, true, out);
}

static bool
thread_sleep(struct interp *in, const struct node *at, const struct args *args, struct value *out,
             bool *found)
{
    struct args sleep = {.at = {args->at[0], value_null()}, .count = 0};
    struct node call = *at;

    sleep.named = arena_alloc(in->arena, sizeof(*sleep.named));
    map_put_text(in->arena, sleep.named, "time", args->at[0]);
    map_put_text(in->arena, sleep.named, "unit", value_text(STR("MILLISECONDS")));
    call.a = NULL;
    call.text = STR("sleep");
    return in->world->call == NULL || in->world->call(in, &call, &sleep, out, found);
}

bool
object_static(struct interp *in, const struct node *call, struct str class_name, struct str name,
              const struct args *args, struct value *out, bool *found)
{
    const struct value a = args->count > 0 ? args->at[0] : value_null();
    char text[40];

    *found = true;
    if (str_is(class_name, "Math"))
        return math_static(in, call, name, args, out, found);
    if (!number_static(in, call, class_name, name, args, out, found))
        return false;
    if (*found)
        return true;
    *found = true;
    if (str_is(class_name, "JsonOutput"))
        return json_static(in, call, name, args, out, found);
    if (time_static(in, class_name, name, args, out))
        return true;
    if (str_is(class_name, "LocalDate") || str_is(class_name, "Date")) {
        const struct call c = call_make(in, call, value_null(), name, args, out);
        bool ok = true;
        *found = str_is(class_name, "Date") ? date_static(&c, &ok) : local_date_static(&c, &ok);
        return ok;
    }
    if (str_is(class_name, "Thread") && str_is(name, "sleep") && args->count == 1 &&
        value_is_integer(a))
        return thread_sleep(in, call, args, out, found);
    if (str_is(class_name, "System") && str_is(name, "currentTimeMillis")) {
        *out = value_long(interp_now_ms(in));
    } else if (str_is(class_name, "System") && str_is(name, "nanoTime")) {
        *out = interp_settled(in, value_long(clock_monotonic_ms() * 1000000));
    } else if (str_is(class_name, "System") && str_is(name, "lineSeparator")) {
        *out = value_text(STR("\n"));
    } else if (str_is(class_name, "UUID") && str_is(name, "randomUUID") && args->count == 0) {
        random_uuid(text);
        *out = interp_settled(in, value_cstr(in->arena, text));
    } else if (str_is(class_name, "URLEncoder") && str_is(name, "encode")) {
        *out = value_text(url_encoded(in, interp_text(in, a)));
    } else if (str_is(class_name, "URLDecoder") && str_is(name, "decode")) {
        *out = value_text(url_decoded(in, interp_text(in, a)));
    } else if (str_is(class_name, "Pattern") &&
               (str_is(name, "compile") || str_is(name, "quote"))) {
        *out = value_text(interp_text(in, a));
        if (str_is(name, "compile"))
            out->type = V_PATTERN;
        else
            *out = value_cstr(in->arena,
                              arena_format(in->arena, "\\Q" STR_FMT "\\E", STR_ARG(out->text)));
    } else if (str_is(class_name, "Arrays") && str_is(name, "asList")) {
        *out = value_list(in->arena);
        for (size_t i = 0; i < args->count; i++)
            list_add(in->arena, out->list, args->at[i]);
        if (args->count == 1 && a.type == V_LIST)
            *out = a;
    } else if (str_is(class_name, "Collections") && str_starts(name, STR("empty"))) {
        *out = str_is(name, "emptyMap") ? value_map(in->arena) : value_list(in->arena);
    } else if (str_is(class_name, "Collections") && args->count == 1) {
        static const struct args none = {0};
        return method_call(in, call, a, name, &none, out, found);
    } else if (str_is(class_name, "Double") && args->count == 1) {
        static const struct args none = {0};
        return method_call(in, call, a, STR("toDouble"), &none, out, found);
    } else if ((str_is(class_name, "UUID") || str_is(class_name, "Result")) &&
               str_is(name, "fromString") && args->count == 1) {
        *out = a;
    } else if (str_is(class_name, "Objects") && str_is(name, "equals") && args->count == 2) {
        bool truth;
        if (!interp_equal(in, call, a, args->at[1], EQUAL_AS_KEYS, &truth))
            return false;
        *out = value_bool(truth);
    } else if (str_is(class_name, "Integer") && args->count == 1 && value_is_integer(a) &&
               str_is(name, "toString")) {
        *out = value_text(interp_text(in, a));
    } else if (args->count == 0 && (str_is(name, "getName") || str_is(name, "getSimpleName"))) {
        *out = value_text(class_find(in, class_name) != NULL
                              ? class_name
                              : class_shown(in->arena, class_name, str_is(name, "getSimpleName")));
    } else if (str_is(name, "newInstance") || str_is(name, "new")) {
        return object_new(in, call, class_name, args, out, found);
    } else {
        *found = false;
    }
    return true;
}

static bool
method_builder(struct interp *in, const struct node *call, struct value object, struct str name,
               const struct args *args, struct value *out, bool *found)
{
    struct object *b = object.object;
    struct str text;

    *found = !str_is(name, "with") && !str_is(name, "tap");
    *out = object;
    if (!*found)
        return true;
    if ((str_is(name, "append") || str_is(name, "leftShift")) && args->count == 1) {
        if (!interp_to_text(in, call, args->at[0], &text))
            return false;
        if (b->text.len + text.len > INTERP_TEXT_MAX)
            return interp_throw(in, call, "OutOfMemoryError", "the string is too long");
        object_append(in, b, text);
    } else if (str_is(name, "insert") && args->count == 2 && value_is_integer(args->at[0])) {
        const struct str before = text_part(b->text, 0, (size_t)(uint32_t)args->at[0].number);
        cleanup(strbuf_done) struct strbuf all = {0};
        strbuf_add(&all, before);
        strbuf_add(&all, interp_text(in, args->at[1]));
        strbuf_add(&all, str_slice(b->text, before.len, b->text.len));
        b->text = (struct str){0};
        b->capacity = 0;
        object_append(in, b, strbuf_str(&all));
    } else if (str_is(name, "setLength") && args->count == 1 && value_is_integer(args->at[0])) {
        b->text = text_part(b->text, 0, (size_t)(uint32_t)args->at[0].number);
        *out = value_null();
    } else if (str_is(name, "toString")) {
        *out = value_text(arena_dup(in->arena, b->text));
    } else { /* a builder reads like its text */
        return method_call(in, call, value_text(arena_dup(in->arena, b->text)), name, args, out,
                           found);
    }
    return true;
}

/* getMsg(), isEmptySet(), toString() */
static void
method_record(struct interp *in, const struct object *o, struct str name, struct value *out,
              bool *found)
{
    const size_t skip = str_starts(name, STR("get")) ? 3 : str_starts(name, STR("is")) ? 2 : 0;
    const struct value *field;
    char *property;

    if (str_is(name, "toString")) {
        field = map_find_text(o->fields, "$name");
    } else {
        property = arena_cstr(in->arena, str_slice(name, skip, name.len));
        property[0] = (char)(property[0] | 0x20);
        field = skip == 0 || name.len == skip ? NULL : map_find_text(o->fields, property);
    }
    *found = field != NULL;
    if (*found)
        *out = *field;
}

bool
entry_set(struct interp *in, const struct node *at, const struct object *o, struct value v)
{
    map_put_text(in->arena, o->fields, "value", v);
    return o->of.type != V_MAP ||
           interp_map_put(in, at, o->of.map, *map_find_text(o->fields, "key"), v);
}

bool
method_object(struct interp *in, const struct node *call, struct value object, struct str name,
              const struct args *args, struct value *out, bool *found)
{
    const struct value a = args->count > 0 ? args->at[0] : value_null();
    struct object *o = object.object;

    *found = false;
    if (o->class_node != NULL)
        return true;
    if (o->is_record) {
        if (args->count == 0)
            method_record(in, o, name, out, found);
        return true;
    }
    if (value_is_object(object, "Matcher"))
        return method_matcher(in, call, object, name, args, out, found);
    if (value_is_object(object, "Date"))
        return date_method(in, call, object, name, args, out, found);
    if (value_is_object(object, "LocalDate")) {
        const struct call c = call_make(in, call, object, name, args, out);
        bool ok = true;
        *found = local_date_method(&c, &ok);
        return ok;
    }
    if (value_is_object(object, "StringBuilder"))
        return method_builder(in, call, object, name, args, out, found);
    if (value_is_object(object, "Iterator")) {
        const struct call c = call_make(in, call, object, name, args, out);
        bool ok = true;
        *found = method_iterator(&c, &ok);
        return ok;
    }
    *found = true;
    if (value_is_object(object, "Entry") && args->count == 0 &&
        (str_is(name, "getKey") || str_is(name, "getValue"))) {
        *out = *map_find_text(o->fields, str_is(name, "getKey") ? "key" : "value");
    } else if (value_is_object(object, "Entry") && args->count == 1 && str_is(name, "setValue")) {
        *out = *map_find_text(o->fields, "value");
        return entry_set(in, call, o, a);
    } else if (value_is_object(object, "JsonSlurper") && args->count == 1 &&
               str_is(name, "parseText")) {
        return json_to_value(in, call, interp_text(in, a), out);
    } else if (value_is_object(object, "JsonBuilder") &&
               (str_is(name, "toString") || str_is(name, "toPrettyString"))) {
        return json_from_value(in, call, *map_find_text(o->fields, "content"),
                               str_is(name, "toPrettyString"), out);
    } else if (value_is_object(object, "DateFormat") && str_is(name, "format") &&
               args->count == 1 && value_is_object(a, "Date")) {
        *out = value_text(date_format(in, a.object->number, o->text, o->pattern));
    } else if (value_is_object(object, "DateFormat") && str_is(name, "format") &&
               args->count == 1 && value_is_object(a, "LocalDate")) {
        *out = value_text(date_format(in, a.object->number * DATE_DAY_MS, o->text, STR("UTC")));
    } else if (value_is_object(object, "DateFormat") && str_is(name, "parse") && args->count == 1) {
        int64_t ms;
        if (!date_parse(in, call, interp_text(in, a), o->text, o->pattern, &ms))
            return false;
        *out = date_value(in, ms);
    } else if (value_is_object(object, "DateFormat") && str_is(name, "setTimeZone") &&
               args->count == 1 && value_is_object(a, "TimeZone")) {
        o->pattern = a.object->text;
    } else if (value_is_object(object, "Random") && str_is(name, "nextInt") && args->count == 1 &&
               value_is_integer(a) && a.number > 0) {
        uint32_t bits = interp_random_bits(in);
        *out = value_int((int64_t)(bits % (uint64_t)a.number));
    } else if (value_is_object(object, "Random") && str_is(name, "nextBoolean")) {
        uint32_t bits = interp_random_bits(in);
        *out = value_bool((bits & 1) != 0);
    } else {
        *found = false;
    }
    return true;
}
