/* SPDX-License-Identifier: MIT */
/* jmespath.h - the query language of the AWS CLI's --query and of its waiters.
 * Built: names, quoted names, sub-expressions, indexes, slices, [*], .*, [], filters [?..] with all
 * comparators, `literals`, 'raw strings', && || !, parentheses, pipes, @, multi-select lists and
 * hashes, and the functions listed in jmespath_eval.c.  Anything else is refused by name when it is
 * parsed. Nesting is limited to 64.  Nothing is evaluated twice; all values are references. */
#pragma once
#include "base/err.h"
#include "base/json.h"

struct jmespath;

struct jmespath *jmespath_parse(struct str expression, struct err *err) MUST_CHECK;
void jmespath_free(struct jmespath *path);
static inline void
jmespath_free_(struct jmespath **p)
{
    jmespath_free(*p);
}

/* The result, JSON null when nothing is there; NULL with err for a wrong argument of a function. */
struct json *jmespath_eval(const struct jmespath *path, const struct json *document,
                           struct err *err) MUST_CHECK;

/* Parses, evaluates, frees. */
struct json *jmespath_search(const char *expression, const struct json *document,
                             struct err *err) MUST_CHECK;
