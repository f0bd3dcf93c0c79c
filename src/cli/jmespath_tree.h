/* SPDX-License-Identifier: MIT */
/* jmespath_tree.h - the parsed form, shared by the parser and the evaluator only. */
#pragma once
#include "base/arena.h"
#include "cli/jmespath.h"

enum node_kind {
    NODE_CURRENT,    /* @ */
    NODE_FIELD,      /* text */
    NODE_LITERAL,    /* literal */
    NODE_INDEX,      /* left[number] */
    NODE_SLICE,      /* left[start:stop:step] */
    NODE_SUB,        /* left.right; also a pipe, which ends projections */
    NODE_PROJECTION, /* left[*] applied to right */
    NODE_VALUES,     /* left.* applied to right */
    NODE_FLATTEN,    /* left[] */
    NODE_FILTER,     /* left[?condition] applied to right */
    NODE_COMPARE,    /* left text right */
    NODE_AND,
    NODE_OR,
    NODE_NOT,       /* left */
    NODE_LIST,      /* items */
    NODE_HASH,      /* items with keys */
    NODE_CALL,      /* text(items) */
    NODE_REFERENCE, /* &left */
};

struct node {
    enum node_kind kind;
    struct node *left, *right, *condition;
    const char *text;
    struct json *literal;
    int64_t start, stop, step;
    bool has_start, has_stop;
    struct node *items, *next; /* children as a chain */
    const char *key;           /* of an item in a hash */
};

struct jmespath {
    struct arena arena;
    struct node *root;
    struct json *literals; /* keeps the literals alive */
};

struct jmespath_function {
    const char *name;
    int argument_min, argument_max;
    /* `arguments` are values; a NODE_REFERENCE argument arrives as NULL value with its node. */
    struct json *(*call)(struct json **arguments, const struct node **nodes, int count,
                         struct err *err);
};
const struct jmespath_function *jmespath_function_find(const char *name);
struct json *jmespath_eval_node(const struct node *n, const struct json *value, struct err *err);
