/* SPDX-License-Identifier: MIT */
/* shorthand.h - the AWS CLI's `key=value,key=[a,b],key={a=b}` notation for structures and lists.
 * The parser gives JSON of texts, arrays and objects; shape_coerce() then gives the leaves the
 * types of a shape and refuses what the shape does not have.  Nesting is limited to 16. */
#pragma once
#include "base/err.h"
#include "base/json.h"
#include "cli/shapes.h"

/* One shorthand value: an object (`k=v,...`), or an array for a bare `a,b`. */
struct json *shorthand_parse(struct str text, struct err *err) MUST_CHECK;

/* A new value like `value` in the types of `shape`; `path` ("loadBalancers[0]") is for messages.
 * `is_lenient` turns texts into numbers and booleans (shorthand); JSON input must have the right
 * type. */
struct json *shape_coerce(const struct json *value, const struct shape *shape, const char *path,
                          bool is_lenient, struct err *err) MUST_CHECK;
