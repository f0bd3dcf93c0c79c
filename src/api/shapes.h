/* SPDX-License-Identifier: MIT */
/* shapes.h - what the service models say about inputs, as tables, and the check against them.
 * The tables come from models/<service>.json by tools/gen_shapes.py (shapes.inc, made by the build).
 * Start at shape_accept(); aws_query.c turns forms into JSON by the same tables.
 * Errors: a wrong JSON type is ERR_SERIALIZATION; a broken constraint (required, range, length,
 * enum, characters) has the code that the operation's row names.
 * Ownership: the tables are constant; values are json.h's. */
#pragma once
#include "base/json.h"

struct operation;

enum shape_type {
    SHAPE_STRUCTURE,
    SHAPE_LIST,
    SHAPE_MAP,
    SHAPE_STRING,
    SHAPE_INTEGER,
    SHAPE_LONG,
    SHAPE_DOUBLE,
    SHAPE_BOOLEAN,
    SHAPE_TIMESTAMP,
    SHAPE_BLOB,
    SHAPE_DOCUMENT, /* any JSON */
};

struct shape_member {
    const char *name;
    const struct shape *shape;
    bool required;
    const char *wire; /* its name in a form, where it has another one there (EC2), or NULL */
};

struct shape {
    const char *name;
    enum shape_type type;
    const struct shape_member *members; /* a list has one, a map has key and value */
    int member_count;
    const char *const *values; /* enum, or NULL */
    int value_count;
    bool has_min, has_max; /* of a number, a text's characters, a list's or map's items */
    int64_t min, max;
    const char *chars;       /* the only ones allowed, or NULL */
    bool has_beyond_ascii;   /* ... but for those beyond ASCII, which are, too */
    const char *chars_class; /* both, for people: "[A-Za-z0-9_-]+" */
};

struct model_operation {
    const char *name;
    const struct shape *input; /* NULL: none, or not built */
    enum err_code invalid;     /* what a broken constraint answers */
};

struct model {
    const char *service;      /* ours: "ecs", "ecr", "elbv2", "sts", "acm", "ec2", "cloudwatch" */
    const char *signing_name; /* of the signature's scope */
    bool is_query, is_ec2; /* EC2's is a dialect of Query */
    const char *version;
    const char *target_prefix; /* JSON; beside Query, too, if the service speaks both */
    const char *xml_namespace; /* Query */
    const char *cbor_namespace; /* RPC v2 CBOR: of its errors; NULL: not spoken */
    const struct model_operation *operations; /* sorted by name */
    size_t operation_count;
    const struct operation *handlers; /* ends with a NULL name */
};

extern const struct model models[];
extern const size_t model_count;

const struct model_operation *model_find_operation(const struct model *model, struct str name);

/* Checks `value` against `shape` and gives a copy without what is unknown or null (both count as
 * absent, as the real services treat them).  `invalid` is the code of a broken constraint. */
bool shape_accept(const struct shape *shape, const struct json *value, enum err_code invalid,
                  struct json **out, struct err *err) MUST_CHECK;
