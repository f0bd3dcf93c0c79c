/* SPDX-License-Identifier: MIT */
/* pattern.h - regular expressions of the cluster query language (ecs.md 7.4, operators =~ and !~).
 * The part of Java's syntax that such expressions use: literals, '.', [classes] with ranges and '^',
 * \d \w \s \D \W \S, escapes, groups ( ) and (?: ), '|', the quantifiers * + ? {m} {m,} {m,n}, also
 * with a lazy '?' behind, and the anchors ^ $.  As with Java's matches() the whole text has to match.
 * What remembers (back references) or looks around is refused by name.
 * Matching takes time proportional to text times pattern, whatever the pattern: nobody can make the core
 * think for long.  Bytes are compared, so a multi-byte character is several.
 * Errors: ERR_INVALID_PARAMETER, naming what is wrong.  Ownership: pattern_free(). */
#pragma once
#include "base/err.h"
#include "base/str.h"

#define PATTERN_LENGTH_MAX 2000
#define PATTERN_SIZE_MAX 4000 /* instructions after repetitions were unrolled */

struct pattern;

struct pattern *pattern_parse(struct str text, struct err *err) MUST_CHECK;
bool pattern_matches(const struct pattern *p, struct str text); /* all of `text` */
void pattern_free(struct pattern *p);                           /* NULL is fine */
