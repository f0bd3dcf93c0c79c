/* SPDX-License-Identifier: MIT */
/* value.h - the values a Jenkinsfile computes with.
 * A value is copied freely; lists, maps and closures are shared by reference, as in Groovy.  All
 * memory is the arena's of the run, so nothing is freed before the build ends; interp.c watches
 * how much that is.
 * Integers and decimals are exact, up to BIGNUM_BITS_MAX bits; doubles are binary.  value_number.c has
 * what only looks at numbers, number.h what computes with them. */
#pragma once
#include "base/arena.h"
#include "base/bignum.h"
#include "pipeline/language/syntax.h"

#define VALUE_ITEMS_MAX 1000000
#define VALUE_DEPTH_MAX 64
/* A list that holds itself, or one other many times over, is small and without end to whoever walks
 * it. */
#define VALUE_VISITS_MAX 10000000u
#define VALUE_KEY_VISITS_MAX 1000u /* a key of more values is only itself */
#define VALUE_BYTES_A_VISIT 64    /* bytes of a text that cost as much as one value */
#define VALUE_READ_MAX 2000000u    /* of one document */
#define VALUE_WRITTEN_MAX 1000000u /* of one value, into a journal, as JSON or YAML; texts by their bytes, too */
#define VALUE_TEXT_MAX \
    (16u << 20) /* bytes of a value as text; a little more is written of one that is longer */

enum value_type {
    V_NULL,
    V_BOOL,
    V_INT,  /* 32 bits, wraps */
    V_LONG, /* 64 bits, wraps */
    V_BIG,  /* a whole number of any size */
    V_DECIMAL, /* a number of any size / 10^scale */
    V_DOUBLE, /* a Float if `is_float`: shown with as many digits as that has */
    V_TEXT,
    V_LIST,
    V_MAP,
    V_CLOSURE,
    V_EXCEPTION,
    V_PATTERN,
    V_HOST,   /* env, params, currentBuild ... */
    V_OBJECT, /* an instance of a class of the file, or of one of objects.c */
};

enum host {
    HOST_ENV,
    HOST_PARAMS,
    HOST_CURRENT_BUILD,
    HOST_BUILD, /* an earlier build: `data` */
    HOST_SCM,
    HOST_DOCKER,
    HOST_DOCKER_IMAGE, /* docker_dsl.c knows their `data` */
    HOST_DOCKER_CONTAINER,
    HOST_STEPS,
    HOST_CLASS, /* text is its name */
};

struct list;
struct map;
struct closure;
struct exception;
struct object;

struct value {
    enum value_type type;
    bool is_gstring;     /* came from an interpolated string */
    bool is_float;
    bool is_wide, is_negative; /* V_BIG, V_DECIMAL: `magnitude` holds what `number` has no room for */
    enum host host;
    int32_t scale; /* V_DECIMAL */
    union {
        bool truth;
        int64_t number;
        struct str magnitude;
        double real;
        struct str text;
        struct list *list;
        struct map *map;
        struct closure *closure;
        struct exception *exception;
        struct object *object;
    };
    const void *data; /* V_HOST; of a V_TEXT: the `struct lazy_text` that makes it anew when read */
};

enum list_kind {
    LIST_PLAIN,
    LIST_ARRAY, /* what split() gives, String[], the rest of the arguments */
    LIST_SET,   /* no two are equal as keys; in the order of insertion */
    LIST_SORTED_SET,
};
enum map_view { VIEW_KEYS, VIEW_VALUES, VIEW_ENTRIES };
struct list {
    struct value *at;
    size_t count, capacity;
    enum list_kind kind;
    struct map *of; /* keySet(), values() or entrySet() of this map, which map_view_refresh() makes anew when
                     * the map is another; NULL: a list of its own */
    enum map_view view;
    unsigned changes; /* the map's, when this was made */
    struct map *keys; /* of a set: its items, made when they are first asked for; NULL, or of another
                       * number: there are others now */
};
static inline bool
list_is_set(const struct list *l)
{
    return l->kind == LIST_SET || l->kind == LIST_SORTED_SET;
}

struct map_entry {
    struct value key, value;
};
enum equality {
    EQUAL_AS_KEYS,  /* Java's equals(): 1 is not 1L, and a GString misses */
    EQUAL_BY_VALUE, /* Groovy's ==: 1 == 1.0, and a GString is its text */
};
/* In the order of insertion, or of its keys. Read `at` and `count` as you like; change them by map_*(),
 * which keep the index (there is one from some size on). */
struct map {
    struct map_entry *at;
    size_t count, capacity;
    bool is_sorted; /* a TreeMap, without an index: interp_map_put() sees that its keys can be compared */
    unsigned changes; /* how often it was changed */
    unsigned key_changes; /* how often its keys were */
    const struct closure *fallback; /* withDefault { key -> }: what a missing key gets */
    enum equality by;               /* EQUAL_AS_KEYS but for sets that unique() and others make */
    uint32_t *index;                /* of `index_size`, a power of two: entries + 1, 0 is free */
    size_t index_size;
    uint64_t seed;
};

/* One of a class: which fields are used is the class's matter (objects.c). */
struct object {
    struct str class_name;
    const struct node *class_node; /* NULL: one of ours */
    bool is_record;
    bool is_asked;   /* its class has equals() or compareTo() */
    bool is_ordered, is_hashed; /* compareTo(); equals() and hashCode() */
    struct map *fields;
    struct str text; /* StringBuilder: what it holds; Matcher: the text; formatters: the pattern */
    size_t capacity; /* StringBuilder */
    struct str pattern; /* Matcher; of formatters the zone */
    int64_t number;     /* Date: ms since 1970; Matcher: the present match, or -1; of a class of the file
                         * which one it is, as its hashCode(), or what that said when it became a key */
    struct list *list;  /* Matcher: all matches; Iterator: what it gives, a copy */
    struct value of;    /* Entry: its map; Iterator: whose it is */
};

/* Are two of them equal if their fields are? Entries of maps, and @EqualsAndHashCode, @Canonical. */
bool object_is_its_fields(const struct object *o);

/* What has interrupted a flow, whatever the message says of it. */
enum interruption {
    INTERRUPTED_NOT, /* the exception is an ordinary one */
    INTERRUPTED_BY_USER,
    INTERRUPTED_BY_NEWER_BUILD, /* it takes the place of this one */
    INTERRUPTED_BY_MILESTONE,   /* that a newer build has passed */
    INTERRUPTED_BY_REJECTION,
    INTERRUPTED_BY_TIMEOUT,
    INTERRUPTED_BY_BRANCH,     /* another one has failed */
    INTERRUPTED_BY_DOWNSTREAM, /* the result of a build that a step has waited for */
    INTERRUPTIONS
};

struct exception {
    struct object *object; /* of a class of the file: its fields; NULL: it has none */
    struct str class_name; /* "AbortException" */
    struct str message;
    unsigned line, column;
    bool is_final; /* no script catches it, and no `finally` runs */
    enum interruption interruption;
    int result;          /* that it means, an enum build_result */
    const void *timeout; /* that it belongs to, while its step runs */
    struct str who;      /* has rejected */
    bool is_logged;
    bool has_no_message;       /* `message` is then "null" */
    struct exception *because; /* e.cause, or NULL */
};

/* Of a view: by what it knows that its map is another. */
static inline unsigned
view_changes(const struct list *l)
{
    return l->view == VIEW_KEYS ? l->of->key_changes : l->of->changes;
}
/* By whose keys the items of a set are found: those of the map that it shows, or `keys`. */
static inline struct map *
list_keys(const struct list *l)
{
    return l->of != NULL && l->view == VIEW_KEYS && !l->of->is_sorted ? l->of : l->keys;
}

static inline struct value
value_null(void)
{
    return (struct value){.type = V_NULL};
}
static inline struct value
value_bool(bool b)
{
    return (struct value){.type = V_BOOL, .truth = b};
}
static inline struct value
value_int(int64_t n)
{
    return (struct value){.type = V_INT, .number = (int32_t)n};
}
static inline struct value
value_long(int64_t n)
{
    return (struct value){.type = V_LONG, .number = n};
}
static inline struct value
value_text(struct str s)
{
    return (struct value){.type = V_TEXT, .text = s};
}
struct value value_cstr(struct arena *a, const char *s); /* copied; NULL gives null */
struct value value_object(struct arena *a, const char *class_name);
/* One of Jenkins' own: its fields are read as properties and by getX() and isX(); `text` is what it
 * reads as. */
struct value value_record(struct arena *a, const char *class_name, struct value text);
/* Of a map: has .key and .value, reads "k=v". */
struct value value_entry(struct arena *a, struct value key, struct value v);
/* The same of an entry of the map itself: setValue() is kept there. */
struct value value_entry_of(struct arena *a, struct map *m, size_t i);
static inline struct value
value_real(double d)
{
    return (struct value){.type = V_DOUBLE, .real = d};
}
bool value_is_object(struct value v, const char *class_name);
struct value value_list(struct arena *a);
struct value value_map(struct arena *a);
static inline struct value
value_host(enum host h)
{
    return (struct value){.type = V_HOST, .host = h};
}

bool value_is_number(struct value v);
bool value_is_integer(struct value v); /* with a `number`: none that is wide */
bool value_is_whole(struct value v);   /* an int, a long or a big integer */
bool value_truth(struct value v);
bool value_equal(struct value a, struct value b);    /* Groovy's == */
bool value_same_key(struct value a, struct value b); /* as keys and elements are */
/* An instance of a class of the file, an exception among them; NULL: it is none. */
struct object *value_instance(struct value v);
bool value_is_asked(struct value v); /* an instance that says what it is equal to */
/* How two values are compared. */
struct comparison {
    unsigned left; /* how many values may be looked at: what was needed is taken off, 0 if it did not do */
    /* Asks `a`, one that says what it is equal to; not `found`: it does not say it in that mode. NULL: nobody
     * is asked, and it is only itself. False: it failed, and nothing more is looked at. */
    bool (*instance)(const struct comparison *c, struct value a, struct value b, enum equality mode,
                     bool *found, bool *out);
    const void *ctx;
    bool has_failed;
};
bool value_equal_within(struct value a, struct value b, enum equality mode, struct comparison *c);
/* -1, 0, 1; false when the two cannot be ordered. */
bool value_compare(struct value a, struct value b, int *out);
void value_format(struct value v, struct strbuf *out);
/* How much of a value becomes a text. */
struct formatting {
    size_t most;   /* bytes of the buffer: what begins behind them is left out */
    unsigned left; /* as value_equal_within() has it; at 0 the text is cut short */
    /* Adds what an instance of a class of the file says that it reads as; NULL: nobody asks it. */
    bool (*instance)(const struct formatting *f, struct value v, struct strbuf *out);
    void *ctx;
};
/* False: `instance` failed. */
bool value_format_within(struct value v, struct formatting *f, struct strbuf *out) MUST_CHECK;
/* As how many values the text of a number, a text ... counts, beside the one that it is. */
size_t value_text_cost(struct value v);
/* Scripts' texts are made by interp_to_text() and interp_text(), which are counted. */
struct str value_to_text(struct arena *a, struct value v);
const char *value_type_name(struct value v);           /* "java.lang.String" */
const char *value_package(struct str exception_class); /* "java.lang." */
/* The class of a value, known by its simple name: "String". */
struct value value_class(struct value v);
/* "java.lang.String", or "String"; "[Ljava.lang.String;", or "String[]". */
struct str class_shown(struct arena *a, struct str name, bool simple);

/* value_number.c. Copied into the arena if they are wide. */
struct value value_big(struct arena *a, struct bignum n);
struct value value_decimal(struct arena *a, struct bignum unscaled, int32_t scale);
struct bignum value_unscaled(struct value v, struct bignum_space *space); /* of none that is a double */
double value_as_real(struct value v); /* of any number, the nearest */
/* Of any number, without what is behind the point; the nearest there is if it is too large. */
int64_t value_as_integer(struct value v);
/* -1, 0, 1; the sign of a number, of NaN 0 */
int value_sign(struct value v);
int value_compare_numbers(struct value a, struct value b);
/* The hash codes of Java's numbers, BigInteger and BigDecimal among them. */
uint32_t value_hash_number(struct value v);
/* The whole part of any number but NaN and infinities. */
bool value_whole(struct arena *a, struct value v, struct bignum *out) MUST_CHECK;
enum rounding { /* as java.math.BigDecimal counts them */
    ROUND_UP,
    ROUND_DOWN,
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    ROUND_HALF_DOWN,
    ROUND_HALF_EVEN,
    ROUND_UNNECESSARY
};
/* A decimal of so many digits behind the point. False if it is too large, or has to be rounded
 * although that is said to be unnecessary. */
bool value_rescale(struct arena *a, struct value v, int64_t scale, enum rounding mode,
                   struct value *out) MUST_CHECK;
/* "12", "+1.50", "1e3": an int, long, big integer or decimal. False if it is no number, or larger than
 * numbers are here. */
bool value_of_number(struct arena *a, struct str text, struct value *out) MUST_CHECK;
void value_format_number(struct value v, struct strbuf *out);
/* Of a decimal without an exponent, as it grows longer than VALUE_TEXT_MAX false. */
bool value_format_plain(struct value v, struct strbuf *out) MUST_CHECK;

/* Characters, not bytes; text_part() clamps. */
size_t text_count(struct str s);
uint32_t text_hash(struct str s); /* Java's hashCode() */
/* As Java's compareTo(): how far the first UTF-16 units are apart that differ, or the lengths. */
int64_t text_distance(struct str a, struct str b);
struct str text_part(struct str s, size_t from, size_t to);

void list_reserve(struct arena *a, struct list *l, size_t count);
void list_add(struct arena *a, struct list *l, struct value v); /* to no set: list_put() */
/* Keeps what kind it is, and has the items of the other. */
void list_assign(struct list *l, const struct list *other);
/* value_map.c. What is found stands there until the map is changed. */
struct value *map_find(const struct map *m, struct value key);
struct value *map_find_text(const struct map *m, const char *key);
void map_put(struct arena *a, struct map *m, struct value key, struct value v);
struct value map_entries(struct arena *a, struct map *m); /* a list */
void map_put_text(struct arena *a, struct map *m, const char *key, struct value v);
void map_reserve(struct arena *a, struct map *m, size_t count);
void map_remove(struct map *m, struct value key); /* takes as long as a walk */
/* Without the entries whose place in `drops` says so. */
void map_drop(struct arena *a, struct map *m, const bool *drops);
/* Of a sorted map: how many keys come before this one. */
size_t map_place(const struct map *m, struct value key);
void map_clear(struct map *m);
/* As how many values a text or a number counts that is looked at, beside the one that it is. */
size_t value_cost(struct value v);
/* Takes off `left`; false, and nothing is left, if that is less. */
bool value_take(size_t cost, unsigned *left) MUST_CHECK;
/* As how many values a key counts that is looked for, beside the one that it is. */
size_t map_key_cost(const struct map *m, struct value key);
/* Of more than VALUE_KEY_VISITS_MAX values, or of one that says itself what it is equal to: as a key it is
 * only itself. */
bool value_is_large(struct value v);
/* The same for values that are equal in that mode. */
uint64_t value_hash(struct value v, enum equality mode, uint64_t seed);
